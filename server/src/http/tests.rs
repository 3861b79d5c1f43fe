//! The description of the routes, and what they answer in the demo municipality. What strangers get is tried on the whole server:
//! `tests/strangers.rs`.

use axum::{
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
    response::IntoResponse,
};
use chrono::{DateTime, Utc};
use samspil_client_protocol::api::{AgreementList, ChainGoalList, DeadlineKind, Overview, Plan};
use serde_json::{Value, json};
use sqlx::PgPool;
use tower::ServiceExt;
use utoipa::openapi::RefOr;
use uuid::Uuid;

use super::{problem::Problem, *};
use crate::{
    auth::{oidc, session::SignIn, step_up::How},
    config::{Limits, StepUp, VerifyFor},
    domain::{
        claims::RoleMapping,
        ids::{AgreementId, PersonId, imported},
    },
    import,
    keys::{Keys, Places},
    papers::Papers,
    rooms::quarantine::Quarantine,
    store::agreements::Which,
};

/// Paths that are answered by hand, each with the reason why it is not described.
const NOT_DESCRIBED: [(&str, &str); 1] = [("/api/openapi.json", "is the description")];

/// Every `/api` path that stands in the source of the routes, in `path = "…"` of a described one or in `.route("…"`.
fn paths_in_source() -> Vec<String> {
    let mut files = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/http.rs"))];
    files.extend(std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/http")).unwrap().map(|entry| entry.unwrap().path()));
    let mut paths = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs") && !file.ends_with("tests.rs")) {
        let source = std::fs::read_to_string(file).unwrap();
        for before in ["path = \"", ".route(\""] {
            let after = source.split(before).skip(1);
            paths.extend(after.map(|rest| rest.split('"').next().unwrap().to_owned()).filter(|path| path.starts_with("/api")));
        }
    }
    paths.sort();
    paths.dedup();
    paths
}

#[test]
fn every_route_is_described() {
    let described = description();
    for path in paths_in_source() {
        let by_hand = NOT_DESCRIBED.iter().any(|(not, _)| *not == path);
        assert!(by_hand || described.paths.paths.contains_key(&path), "{path} is served but not described");
    }
}

#[test]
fn everything_that_the_description_names_is_described() {
    let description = description();
    let json = serde_json::to_string(&description).unwrap();
    let schemas = description.components.unwrap().schemas;
    let named = json.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap());
    for name in named {
        assert!(matches!(schemas.get(name), Some(RefOr::T(_))), "{name} is referred to but not described");
    }
    assert_eq!(json.matches("\"openapi\":\"3.1").count(), 1);
}

#[test]
fn every_operation_has_a_name_of_its_own() {
    let json = serde_json::to_value(description()).unwrap();
    let operations = json["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
    let mut names: Vec<&str> = operations.map(|operation| operation["operationId"].as_str().unwrap()).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}

/// Approvals at a provider that nobody asks.
pub(super) async fn approvals(store: &Store, sessions: &Sessions, now: DateTime<Utc>) -> (StepUps, Notary) {
    let settings = oidc::Settings {
        issuer: "https://issuer.example".to_owned(),
        client_id: "samspil".to_owned(),
        client_secret: openidconnect::ClientSecret::new("secret".to_owned()),
        public_url: "http://127.0.0.1:8080".to_owned(),
        scopes: Vec::new(),
    };
    let data_dir = std::env::temp_dir().join(format!("samspil-http-tests-{}", Uuid::new_v4()));
    std::fs::create_dir_all(&data_dir).unwrap();
    let keys = Keys::open(&Places { data_dir: data_dir.clone(), seal: None, token: None }, store, now).await.unwrap();
    std::fs::remove_dir_all(data_dir).unwrap();
    let notary = Notary::new(store.clone(), keys.into(), "http://127.0.0.1:8080");
    let how = How { step_up: StepUp::default(), skew: chrono::Duration::seconds(5), demonstration: true };
    let (provider, roles) = (oidc::Provider::new(settings).unwrap(), RoleMapping::own_names("roles"));
    (StepUps::new(store.clone(), sessions.clone(), provider, roles, notary.clone(), how), notary)
}

/// The demo municipality in a database of its own, with the clock standing where its data stands.
struct Demo {
    app: Router,
    store: Store,
    sessions: Sessions,
    now: DateTime<Utc>,
}

impl Demo {
    async fn new(pool: PgPool) -> Self {
        let store = Store::new(pool);
        let now: DateTime<Utc> = "2026-11-23T13:30:00+01:00".parse().unwrap();
        import::run(import::Source::Demo, &store, now, import::Mode::Apply).await.unwrap();
        let sessions = Sessions::new(store.clone(), "http://127.0.0.1:8080");
        let site = Site { demo: true, was_url: None };
        let clock = Clock::frozen(now);
        let data_dir = std::env::temp_dir().join("samspil-http-tests");
        std::fs::create_dir_all(&data_dir).unwrap();
        let rooms = Rooms::start(store.clone(), sessions.clone(), clock, Limits::default(), Quarantine::open(&data_dir).unwrap());
        let (step_ups, notary) = approvals(&store, &sessions, now).await;
        let parts = Parts {
            store: store.clone(),
            sessions: sessions.clone(),
            clock,
            papers: Papers::new(store.clone(), rooms.clone(), 1, true),
            outside: Outside { folder: true, stamps: false },
            rooms,
            step_ups,
            notary,
            counter: Counter::new(VerifyFor::Everybody),
            site,
            limits: std::sync::Arc::new(Limits::default()),
        };
        let app = api::<()>(parts).layer(axum::middleware::from_fn(problem::carry_request_id));
        Self { app, store, sessions, now }
    }

    /// Signs this person in with the roles that their places would give them; answers the cookie.
    async fn sign_in(&self, slug: &str) -> String {
        let person = PersonId(imported(slug));
        let roles = self.store.placements(person).await.unwrap().into_iter().map(|placement| placement.role).collect();
        let sign_in = SignIn {
            person,
            issuer: "https://issuer.example".to_owned(),
            subject: slug.to_owned(),
            sid: None,
            roles,
            id_token: String::new(),
            auth_time: Some(self.now),
            acr: None,
        };
        let (_, cookie) = self.sessions.begin(sign_in, &HeaderMap::new(), self.now).await.unwrap();
        format!("{}={}", cookie.name(), cookie.value())
    }

    async fn ask(&self, method: &str, path: &str, cookie: Option<&str>) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, cookie);
        }
        let body = if method == "POST" {
            request = request.header(header::CONTENT_TYPE, "application/json");
            Body::from(json!({ "pieces": [{ "place": "rammer", "text": "Ordene, der ikke nåede med." }] }).to_string())
        } else {
            Body::empty()
        };
        let answer = self.app.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = answer.status();
        let bytes = axum::body::to_bytes(answer.into_body(), 10_000_000).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// What this person gets.
    async fn get(&self, slug: &str, path: &str) -> Value {
        let cookie = self.sign_in(slug).await;
        let (status, body) = self.ask("GET", path, Some(&cookie)).await;
        assert_eq!(status, StatusCode::OK, "{slug} {path}: {body}");
        body
    }

    /// The live document of an agreement.
    async fn document_of(&self, agreement: &str) -> Uuid {
        let which = Which { agreement: Some(AgreementId(imported(agreement))), ..Which::default() };
        self.store.agreement_heads(&which).await.unwrap().pop().unwrap().document.unwrap().0
    }

    /// A route's path, about Fjordskolen's agreement.
    async fn about_fjordskolen(&self, path: &str) -> String {
        let document = self.document_of("agr-2027-fjordskolen").await;
        let id = if path.starts_with("/api/documents") { document } else { imported("agr-2027-fjordskolen") };
        path.replace("{id}", &id.to_string())
    }
}

/// A problem without its request id, which differs from request to request.
fn without_request_id(mut problem: Value) -> Value {
    problem.as_object_mut().unwrap().remove("request_id").expect("every problem has one");
    problem
}

#[sqlx::test(migrations = "../migrations")]
async fn a_kept_proposal_is_shown_to_its_writer_alone(pool: PgPool) {
    let demo = Demo::new(pool).await;
    let path = demo.about_fjordskolen("/api/documents/{id}/proposals").await;
    let cookie = demo.sign_in("p-l-fjordskolen").await;
    let (status, kept) = demo.ask("POST", &path, Some(&cookie)).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(demo.get("p-l-fjordskolen", &path).await["items"], json!([kept]));
    assert_eq!(demo.get("p-chef-skole", &path).await["items"], json!([]));
}

/// An answer as lines to read, each person as one of them.
fn lines(mut answer: Value) -> String {
    shorten_people(&mut answer);
    serde_json::to_string_pretty(&answer).unwrap()
}

fn shorten_people(value: &mut Value) {
    let person =
        |value: &Value| Some(format!("{} ({}), {}", value["name"].as_str()?, value["initials"].as_str()?, value["title"].as_str()?));
    if let Some(person) = person(value) {
        *value = Value::String(person);
        return;
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(shorten_people),
        Value::Object(fields) => fields.values_mut().for_each(shorten_people),
        _ => {}
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn what_waits_for_a_school_leader_half_an_hour_before_her_meeting(pool: PgPool) {
    let demo = Demo::new(pool).await;
    let overview = demo.get("p-l-fjordskolen", "/api/overview").await;
    insta::assert_snapshot!(lines(overview), @r#"
    {
      "deadlines": [
        {
          "at": null,
          "done": true,
          "kind": "draft",
          "number": 2027,
          "on": "2026-11-20"
        },
        {
          "at": "2026-11-23T13:00:00Z",
          "done": false,
          "kind": "meeting",
          "number": 2,
          "on": "2026-11-23"
        },
        {
          "at": null,
          "done": false,
          "kind": "sign",
          "number": 2027,
          "on": "2027-01-29"
        },
        {
          "at": null,
          "done": false,
          "kind": "midyear",
          "number": 2027,
          "on": "2027-06-14"
        },
        {
          "at": null,
          "done": false,
          "kind": "annual",
          "number": 2027,
          "on": "2027-11-05"
        }
      ],
      "mine": [
        {
          "attainment": [],
          "counterpart": "Esben Opdigtsen (EO), Skolechef",
          "document_id": "75c7b035-8618-51ac-bac8-0ba615af0457",
          "goals": 4,
          "id": "e44df7dd-cc4f-5d07-becb-5d1b5d6c1a46",
          "last_edit": {
            "at": "2026-11-18T13:31:00Z",
            "person": "Hanne Påfundsen (HP), Skoleleder"
          },
          "my_party": "unit_leader",
          "open_threads": 2,
          "period_from": "2027-01-01",
          "period_to": "2027-12-31",
          "status": "in_dialogue",
          "title": "Aftale 2027",
          "unit": {
            "id": "4047be15-052a-5e3c-97fd-992cf0d78fe0",
            "name": "Fjordskolen",
            "parent_name": "Skoleafdelingen",
            "unit_type": "Folkeskole"
          },
          "unit_leader": "Hanne Påfundsen (HP), Skoleleder",
          "version": 1
        },
        {
          "attainment": [
            {
              "goals": 1,
              "status": "achieved"
            },
            {
              "goals": 1,
              "status": "not_achieved"
            }
          ],
          "counterpart": "Esben Opdigtsen (EO), Skolechef",
          "document_id": null,
          "goals": 2,
          "id": "a91c8ff6-213f-588f-a1f6-30bf1c53b2bd",
          "last_edit": null,
          "my_party": "unit_leader",
          "open_threads": 0,
          "period_from": "2026-01-01",
          "period_to": "2026-12-31",
          "status": "signed",
          "title": "Aftale 2026",
          "unit": {
            "id": "4047be15-052a-5e3c-97fd-992cf0d78fe0",
            "name": "Fjordskolen",
            "parent_name": "Skoleafdelingen",
            "unit_type": "Folkeskole"
          },
          "unit_leader": "Hanne Påfundsen (HP), Skoleleder",
          "version": 1
        }
      ],
      "news": [
        {
          "adopted_on": "2026-11-18",
          "document_id": "450be229-cf90-57aa-9936-584ad88515fe",
          "my_goals": 2,
          "title": "Strategi for børns sprog og læring 2027–2030"
        },
        {
          "adopted_on": "2026-11-18",
          "document_id": "72132647-ed29-56fd-8a42-473445dda42e",
          "my_goals": 0,
          "title": "Strategi for nær omsorg 2027–2030"
        },
        {
          "adopted_on": "2026-11-09",
          "document_id": "9ab241b5-4feb-5ef5-83cc-c1bc133d6e75",
          "my_goals": 1,
          "title": "Direktionens strategi 2027–2030: Sammen om opgaven"
        }
      ],
      "next_meeting": {
        "agenda": [
          "Kommentarer siden sidst",
          "Mål 1: hvor højt sigter vi?",
          "Direktionens mål: fælles sprogteam",
          "Klar til underskrift?"
        ],
        "agreement_ids": [
          "e44df7dd-cc4f-5d07-becb-5d1b5d6c1a46"
        ],
        "agreement_title": "Aftale 2027",
        "covers_executive_goals": true,
        "covers_political_goals": true,
        "ends_at": "2026-11-23T14:30:00Z",
        "id": "7f3d20d5-8908-52d6-8214-77a5421d27f9",
        "location": "Rådhuset, mødelokale Tangen, og online",
        "minutes": null,
        "number": 2,
        "online": true,
        "participants": [
          {
            "person": "Hanne Påfundsen (HP), Skoleleder",
            "role": "unit_leader"
          },
          {
            "person": "Esben Opdigtsen (EO), Skolechef",
            "role": "counterpart"
          },
          {
            "person": "Rasmus Pladsholdersen (RP), Lærer og tillidsrepræsentant",
            "role": "unit_contributor"
          },
          {
            "person": "Signe Ordfyldsen (SO), Formand for skolebestyrelsen",
            "role": "board_member"
          },
          {
            "person": "Tove Drejebogsen (TD), Strategikonsulent",
            "role": "secretariat"
          }
        ],
        "starts_at": "2026-11-23T13:00:00Z",
        "status": "planned",
        "unit_name": "Fjordskolen"
      },
      "now": "2026-11-23T12:30:00Z",
      "others": [],
      "waiting": [
        {
          "agreement_id": "e44df7dd-cc4f-5d07-becb-5d1b5d6c1a46",
          "agreement_title": "Aftale 2027",
          "at": "2026-11-21T09:41:00Z",
          "due_on": null,
          "kind": "answer_comment",
          "person": "Signe Ordfyldsen (SO), Formand for skolebestyrelsen",
          "place": "1a8590f2-9340-5484-a1a8-d5ec73223669",
          "place_title": "Åben skole om eftermiddagen",
          "unit_name": "Fjordskolen",
          "words": "Skolebestyrelsen bakker op. Husk naturskolen, de har spurgt to gange."
        },
        {
          "agreement_id": "e44df7dd-cc4f-5d07-becb-5d1b5d6c1a46",
          "agreement_title": "Aftale 2027",
          "at": null,
          "due_on": null,
          "kind": "dialogue_missing",
          "person": null,
          "place": "faelles_maal",
          "place_title": "Fælles mål fra direktionens strategi",
          "unit_name": "Fjordskolen",
          "words": null
        }
      ]
    }
    "#);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_agreement_in_dialogue_as_its_leader_sees_it(pool: PgPool) {
    let demo = Demo::new(pool).await;
    let path = demo.about_fjordskolen("/api/agreements/{id}").await;
    let view = demo.get("p-l-fjordskolen", &path).await;
    insta::assert_snapshot!(lines(view), @r#"
    {
      "abilities": {
        "comment": true,
        "edit": true,
        "history": true,
        "party": "unit_leader",
        "read": true,
        "read_only_because": null
      },
      "budget_frame_dkk": 41200000,
      "frozen": null,
      "gates": [
        {
          "blocks": true,
          "count": null,
          "holds": true,
          "kind": "political_goal",
          "place": "politiske_maal",
          "place_title": "Mål, der understøtter de politiske mål"
        },
        {
          "blocks": false,
          "count": null,
          "holds": true,
          "kind": "executive_goal",
          "place": "faelles_maal",
          "place_title": "Fælles mål fra direktionens strategi"
        },
        {
          "blocks": true,
          "count": null,
          "holds": true,
          "kind": "political_dialogue",
          "place": "dialog",
          "place_title": "Dialogen bag aftalen"
        },
        {
          "blocks": true,
          "count": null,
          "holds": false,
          "kind": "executive_dialogue",
          "place": "dialog",
          "place_title": "Dialogen bag aftalen"
        },
        {
          "blocks": true,
          "count": null,
          "holds": true,
          "kind": "sections_filled",
          "place": null,
          "place_title": null
        },
        {
          "blocks": false,
          "count": null,
          "holds": true,
          "kind": "goal_criterion",
          "place": null,
          "place_title": null
        },
        {
          "blocks": true,
          "count": 2,
          "holds": false,
          "kind": "comments_settled",
          "place": null,
          "place_title": null
        }
      ],
      "guidance": "Skriv kort. Aftalen skal kunne læses på ti minutter.",
      "history": [
        {
          "at": "2026-10-26T07:00:00Z",
          "kind": "created",
          "party": null,
          "person": "Tove Drejebogsen (TD), Strategikonsulent",
          "reason": null,
          "revision": null,
          "status": "not_started"
        },
        {
          "at": "2026-11-04T08:12:00Z",
          "kind": "status_changed",
          "party": null,
          "person": "Hanne Påfundsen (HP), Skoleleder",
          "reason": null,
          "revision": null,
          "status": "drafting"
        },
        {
          "at": "2026-11-12T14:45:00Z",
          "kind": "meeting_held",
          "party": null,
          "person": "Hanne Påfundsen (HP), Skoleleder",
          "reason": null,
          "revision": null,
          "status": null
        },
        {
          "at": "2026-11-12T14:45:00Z",
          "kind": "status_changed",
          "party": null,
          "person": "Hanne Påfundsen (HP), Skoleleder",
          "reason": null,
          "revision": null,
          "status": "in_dialogue"
        },
        {
          "at": "2026-11-18T13:31:00Z",
          "kind": "snapshot",
          "party": null,
          "person": "Hanne Påfundsen (HP), Skoleleder",
          "reason": null,
          "revision": 31,
          "status": null
        }
      ],
      "life": [
        {
          "at": "2026-10-26T07:00:00Z",
          "person": "Tove Drejebogsen (TD), Strategikonsulent",
          "reason": null,
          "status": "not_started"
        },
        {
          "at": "2026-11-04T08:12:00Z",
          "person": "Hanne Påfundsen (HP), Skoleleder",
          "reason": null,
          "status": "drafting"
        },
        {
          "at": "2026-11-12T14:45:00Z",
          "person": "Hanne Påfundsen (HP), Skoleleder",
          "reason": null,
          "status": "in_dialogue"
        }
      ],
      "max_goals": 6,
      "measurements": [
        {
          "indicator_id": "b7905287-24a6-5773-9670-6f77caf60846",
          "on": "2026-05-20",
          "value": "38"
        },
        {
          "indicator_id": "c731e4c5-f44a-5051-91ca-44fc6879ec6b",
          "on": "2026-08-31",
          "value": "5.4"
        },
        {
          "indicator_id": "c731e4c5-f44a-5051-91ca-44fc6879ec6b",
          "on": "2026-09-30",
          "value": "6.6"
        },
        {
          "indicator_id": "c731e4c5-f44a-5051-91ca-44fc6879ec6b",
          "on": "2026-10-31",
          "value": "7.1"
        }
      ],
      "meetings": [
        {
          "agenda": [
            "Siden sidst: opfølgning på aftalen for 2026",
            "De politiske mål: hvad betyder de hos jer?",
            "Direktionens mål og indsatser",
            "Prioritering",
            "Næste skridt"
          ],
          "agreement_ids": [
            "e44df7dd-cc4f-5d07-becb-5d1b5d6c1a46"
          ],
          "agreement_title": "Aftale 2027",
          "covers_executive_goals": false,
          "covers_political_goals": true,
          "ends_at": "2026-11-12T14:30:00Z",
          "id": "4296b858-1125-53ae-9bc6-c95cb4a5e882",
          "location": "Fjordskolen, lærerværelset",
          "minutes": "Vi gennemgik de politiske mål. Fravær og læselyst bliver hovedsporene. Direktionens mål tages på næste møde.",
          "number": 1,
          "online": false,
          "participants": [
            {
              "person": "Hanne Påfundsen (HP), Skoleleder",
              "role": "unit_leader"
            },
            {
              "person": "Esben Opdigtsen (EO), Skolechef",
              "role": "counterpart"
            },
            {
              "person": "Rasmus Pladsholdersen (RP), Lærer og tillidsrepræsentant",
              "role": "unit_contributor"
            }
          ],
          "starts_at": "2026-11-12T13:00:00Z",
          "status": "held",
          "unit_name": "Fjordskolen"
        },
        {
          "agenda": [
            "Kommentarer siden sidst",
            "Mål 1: hvor højt sigter vi?",
            "Direktionens mål: fælles sprogteam",
            "Klar til underskrift?"
          ],
          "agreement_ids": [
            "e44df7dd-cc4f-5d07-becb-5d1b5d6c1a46"
          ],
          "agreement_title": "Aftale 2027",
          "covers_executive_goals": true,
          "covers_political_goals": true,
          "ends_at": "2026-11-23T14:30:00Z",
          "id": "7f3d20d5-8908-52d6-8214-77a5421d27f9",
          "location": "Rådhuset, mødelokale Tangen, og online",
          "minutes": null,
          "number": 2,
          "online": true,
          "participants": [
            {
              "person": "Hanne Påfundsen (HP), Skoleleder",
              "role": "unit_leader"
            },
            {
              "person": "Esben Opdigtsen (EO), Skolechef",
              "role": "counterpart"
            },
            {
              "person": "Rasmus Pladsholdersen (RP), Lærer og tillidsrepræsentant",
              "role": "unit_contributor"
            },
            {
              "person": "Signe Ordfyldsen (SO), Formand for skolebestyrelsen",
              "role": "board_member"
            },
            {
              "person": "Tove Drejebogsen (TD), Strategikonsulent",
              "role": "secretariat"
            }
          ],
          "starts_at": "2026-11-23T13:00:00Z",
          "status": "planned",
          "unit_name": "Fjordskolen"
        }
      ],
      "now": "2026-11-23T12:30:00Z",
      "previous": {
        "goals": [
          {
            "code": "1",
            "followups": [
              {
                "kind": "midyear",
                "note": "Skemalagt fra februar.",
                "on": "2026-06-16",
                "status": "on_track"
              },
              {
                "kind": "annual",
                "note": "Gennemført i alle klasser.",
                "on": "2026-11-05",
                "status": "achieved"
              }
            ],
            "title": "To lærere i dansk og matematik på mellemtrinnet"
          },
          {
            "code": "2",
            "followups": [
              {
                "kind": "midyear",
                "note": "6,7 procent i foråret.",
                "on": "2026-06-16",
                "status": "at_risk"
              },
              {
                "kind": "annual",
                "note": "6,9 procent. Breve hjem virkede ikke alene.",
                "on": "2026-11-05",
                "status": "not_achieved"
              }
            ],
            "title": "Fravær under seks procent"
          }
        ],
        "title": "Aftale 2026"
      },
      "sections": [
        {
          "goal_origin": null,
          "guidance": null,
          "key": "parter",
          "kind": "generated",
          "required": true,
          "title": "Parter og periode"
        },
        {
          "goal_origin": null,
          "guidance": "Hvem er I til for, og hvad er den vigtigste opgave? Højst ti linjer.",
          "key": "kerneopgave",
          "kind": "rich_text",
          "required": true,
          "title": "Kerneopgave"
        },
        {
          "goal_origin": null,
          "guidance": "Økonomi, lovgivning og politiske rammer, der særligt betyder noget i perioden.",
          "key": "rammer",
          "kind": "rich_text",
          "required": true,
          "title": "Rammer"
        },
        {
          "goal_origin": null,
          "guidance": "Hvad nåede I? Hvad lærte I? Hvad tager I med videre?",
          "key": "opfoelgning",
          "kind": "rich_text_with_goals",
          "required": false,
          "title": "Opfølgning på aftalen for 2026"
        },
        {
          "goal_origin": "political",
          "guidance": "Vælg og prioritér. Hvert mål skal pege på mindst ét mål i en politik eller strategi.",
          "key": "politiske_maal",
          "kind": "goals",
          "required": true,
          "title": "Mål, der understøtter de politiske mål"
        },
        {
          "goal_origin": "executive",
          "guidance": "Hvordan bidrager I til direktionens mål og indsatser?",
          "key": "faelles_maal",
          "kind": "goals",
          "required": false,
          "title": "Fælles mål fra direktionens strategi"
        },
        {
          "goal_origin": "local",
          "guidance": "Højst to.",
          "key": "egne_maal",
          "kind": "goals",
          "required": false,
          "title": "Enhedens egne mål"
        },
        {
          "goal_origin": null,
          "guidance": "Ét konkret eksempel er nok.",
          "key": "vaerdier",
          "kind": "rich_text",
          "required": false,
          "title": "Værdierne hos os"
        },
        {
          "goal_origin": null,
          "guidance": "Hvilke tal og historier får direktøren eller fagchefen, og hvornår?",
          "key": "ledelsesinformation",
          "kind": "rich_text",
          "required": true,
          "title": "Ledelsesinformation og opfølgning"
        },
        {
          "goal_origin": null,
          "guidance": null,
          "key": "dialog",
          "kind": "generated",
          "required": true,
          "title": "Dialogen bag aftalen"
        },
        {
          "goal_origin": null,
          "guidance": null,
          "key": "underskrift",
          "kind": "signatures",
          "required": true,
          "title": "Underskrift"
        }
      ],
      "sign_deadline": "2027-01-29",
      "signatures": [],
      "steps": {
        "freeze": false,
        "override_dialogue": false,
        "renew": false,
        "reopen": false
      },
      "summary": {
        "attainment": [],
        "counterpart": "Esben Opdigtsen (EO), Skolechef",
        "document_id": "75c7b035-8618-51ac-bac8-0ba615af0457",
        "goals": 4,
        "id": "e44df7dd-cc4f-5d07-becb-5d1b5d6c1a46",
        "last_edit": {
          "at": "2026-11-18T13:31:00Z",
          "person": "Hanne Påfundsen (HP), Skoleleder"
        },
        "my_party": "unit_leader",
        "open_threads": 2,
        "period_from": "2027-01-01",
        "period_to": "2027-12-31",
        "status": "in_dialogue",
        "title": "Aftale 2027",
        "unit": {
          "id": "4047be15-052a-5e3c-97fd-992cf0d78fe0",
          "name": "Fjordskolen",
          "parent_name": "Skoleafdelingen",
          "unit_type": "Folkeskole"
        },
        "unit_leader": "Hanne Påfundsen (HP), Skoleleder",
        "version": 1
      },
      "versions": [
        {
          "document_id": "75c7b035-8618-51ac-bac8-0ba615af0457",
          "in_force": false,
          "status": "in_dialogue",
          "version": 1
        }
      ]
    }
    "#);
}

/// What waits for this person, as (kind, unit, place).
async fn waiting(demo: &Demo, slug: &str) -> Vec<(String, String, Option<String>)> {
    let overview: Overview = serde_json::from_value(demo.get(slug, "/api/overview").await).unwrap();
    let kind = |kind| serde_json::to_value(kind).unwrap().as_str().unwrap().to_owned();
    overview.waiting.into_iter().map(|item| (kind(item.kind), item.unit_name, item.place_title)).collect()
}

#[sqlx::test(migrations = "../migrations")]
async fn each_warning_and_each_missing_signature_waits_for_whoever_can_mend_it(pool: PgPool) {
    type Items = &'static [(&'static str, &'static str, Option<&'static str>)];
    let demo = Demo::new(pool).await;
    let table: [(&str, Items); 10] = [
        ("p-chef-dagtilbud", &[("sign", "Børnehuset Strandsneglen", None)]),
        ("p-l-strandsneglen", &[]),
        ("p-l-borgerservice", &[("sign", "Borgerservice", None)]),
        ("p-kd", &[("sign", "Borgerservice", None)]),
        ("p-l-oesterklit-2", &[("draft_overdue", "Børnehuset Østerklit", None)]),
        (
            "p-l-hjemmenord",
            &[("signature_lapsed", "Hjemmeplejen Nord", None), ("link_not_adopted", "Hjemmeplejen Nord", Some("El på vejene"))],
        ),
        ("p-l-vejpark", &[("link_not_adopted", "Vej og Park", Some("Vilde vejkanter"))]),
        (
            "p-l-klitskolen",
            &[
                ("answer_comment", "Klitskolen", Some("Ledelsesinformation og opfølgning")),
                ("answer_comment", "Klitskolen", Some("Et hus, familier flytter efter")),
                ("section_empty", "Klitskolen", Some("Ledelsesinformation og opfølgning")),
                ("goal_without_criterion", "Klitskolen", Some("Et hus, familier flytter efter")),
                ("no_executive_goal", "Klitskolen", Some("Fælles mål fra direktionens strategi")),
            ],
        ),
        ("p-sekretariat", &[]),
        ("p-fmd-boern", &[]),
    ];
    for (person, expected) in table {
        let got = waiting(&demo, person).await;
        let got: Vec<_> = got.iter().map(|(kind, unit, place)| (kind.as_str(), unit.as_str(), place.as_deref())).collect();
        assert_eq!(got, expected, "{person}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn whoever_reads_only_what_is_signed_is_told_of_no_days_to_keep(pool: PgPool) {
    let demo = Demo::new(pool).await;
    for (person, days) in [("p-fmd-boern", 0), ("p-arkiv", 0), ("p-sekretariat", 4), ("p-dir-bkl", 4), ("p-kd", 4)] {
        let overview: Overview = serde_json::from_value(demo.get(person, "/api/overview").await).unwrap();
        let kept = overview.deadlines.iter().filter(|deadline| deadline.kind != DeadlineKind::Meeting);
        assert_eq!(kept.count(), days, "{person}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn pages_of_agreements_come_in_danish_order_and_lose_nobody(pool: PgPool) {
    let demo = Demo::new(pool).await;
    let mut names = Vec::new();
    let mut path = "/api/agreements?year=2027&limit=2".to_owned();
    loop {
        let page: AgreementList = serde_json::from_value(demo.get("p-sekretariat", &path).await).unwrap();
        assert!(page.items.len() <= 2);
        names.extend(page.items.into_iter().map(|item| item.unit.name));
        let Some(next) = page.next else { break };
        path = format!("/api/agreements?year=2027&limit=2&cursor={next}");
    }
    let expected: Value = serde_json::from_str(include_str!("../../../demo-data/expected.json")).unwrap();
    assert_eq!(json!(names), expected["org_units_sorted_da"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_query_that_makes_no_sense_is_refused_in_words(pool: PgPool) {
    let demo = Demo::new(pool).await;
    let cookie = demo.sign_in("p-sekretariat").await;
    for query in [
        "limit=0",
        "limit=201",
        "limit=x",
        "year=x",
        "cursor=x",
        "cursor=WyJcdTAwMDAiLCIwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDAiXQ",
    ] {
        let (status, body) = demo.ask("GET", &format!("/api/agreements?{query}"), Some(&cookie)).await;
        assert_eq!((status, &body["type"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("/problems/invalid")), "{query}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn of_a_document_that_may_not_be_seen_goals_tell_the_titles_alone(pool: PgPool) {
    let demo = Demo::new(pool).await;
    for (person, told) in [("p-l-fjordskolen", false), ("p-fmd-teknik", false), ("p-kd", false), ("p-sekretariat", true)] {
        let goals: ChainGoalList = serde_json::from_value(demo.get(person, "/api/goals").await).unwrap();
        let draft: Vec<_> = goals.items.iter().filter(|goal| !goal.adopted).collect();
        assert_eq!(draft.iter().map(|goal| goal.code.as_str()).collect::<Vec<_>>(), ["G1", "G2", "G3"]);
        assert!(draft.iter().all(|goal| goal.document_title == "Strategi for grøn drift og natur 2027–2030"));
        assert!(draft.iter().all(|goal| goal.description.is_some() == told), "{person}");
        let cookie = demo.sign_in(person).await;
        let (status, _) = demo.ask("GET", &format!("/api/documents/{}", draft[0].document_id), Some(&cookie)).await;
        assert_eq!(status, if told { StatusCode::OK } else { StatusCode::NOT_FOUND }, "{person}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_in_force_is_told_for_any_day(pool: PgPool) {
    let demo = Demo::new(pool).await;
    let in_force = async |query: &str| {
        let plan: Plan = serde_json::from_value(demo.get("p-l-fjordskolen", &format!("/api/plan{query}")).await).unwrap();
        let titles = plan.documents.into_iter().filter(|document| document.in_force).map(|document| document.id);
        (plan.current_cell, titles.collect::<std::collections::BTreeSet<_>>())
    };
    let expected: Value = serde_json::from_str(include_str!("../../../demo-data/expected.json")).unwrap();
    let ids = |list: &Value| list.as_array().unwrap().iter().map(|slug| imported(slug.as_str().unwrap())).collect();
    assert_eq!(in_force("").await, (Some(3), ids(&expected["in_force_on_demo_now"])));
    let later = in_force("?on=2027-01-01").await.1;
    assert!(later.is_superset(&ids(&expected["adopted_not_yet_in_force"])), "what is adopted is in force from the new year");
    assert_eq!(in_force("?on=2031-01-01").await.0, None);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_content_is_the_canonical_json_of_what_is_committed(pool: PgPool) {
    let demo = Demo::new(pool).await;
    let path = demo.about_fjordskolen("/api/documents/{id}/content").await;
    let content = demo.get("p-l-fjordskolen", &path).await;
    assert_eq!(content["goals"].as_array().unwrap().len(), 4);
    assert_eq!(content["goals"][0]["title"][0]["content"][0]["text"], "Flere dage i skole");
    let path = demo.about_fjordskolen("/api/documents/{id}/versions").await;
    let versions = demo.get("p-l-fjordskolen", &path).await;
    let canonical = samspil_evidence::canonical::to_vec(&content);
    assert_eq!(versions[0]["content_sha256"], hex::encode(crate::content::sha256(&canonical)), "the newest revision names these bytes");
}

#[tokio::test]
async fn each_problem_in_its_own_words() {
    let problems = [
        Problem::not_found(),
        Problem::signed_out(),
        Problem::forbidden(),
        Problem::foreign_origin(),
        Problem::method_not_allowed(),
        Problem::conflict(),
        Problem::too_large(),
        Problem::invalid("Der er ingen ord at gemme."),
        Problem::unavailable(),
        Problem::internal(),
    ];
    let mut lines = Vec::new();
    for problem in problems {
        let answer = problem.into_response();
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let bytes = axum::body::to_bytes(answer.into_body(), 10_000).await.unwrap();
        lines.push(without_request_id(serde_json::from_slice(&bytes).unwrap()).to_string());
    }
    insta::assert_snapshot!(lines.join("\n"), @r#"
    {"status":404,"title":"Det findes ikke, eller du har ikke adgang til det.","type":"/problems/not-found"}
    {"status":401,"title":"Du er ikke logget ind.","type":"/problems/signed-out"}
    {"status":403,"title":"Det har du ikke ret til.","type":"/problems/forbidden"}
    {"status":403,"title":"Forespørgslen kommer fra et andet websted.","type":"/problems/foreign-origin"}
    {"status":405,"title":"Det kan man ikke gøre her.","type":"/problems/method-not-allowed"}
    {"status":409,"title":"En anden nåede det først.","type":"/problems/conflict"}
    {"status":413,"title":"Det er for stort.","type":"/problems/too-large"}
    {"detail":"Der er ingen ord at gemme.","status":422,"title":"Forespørgslen kan ikke forstås.","type":"/problems/invalid"}
    {"status":503,"title":"Det kan ikke lade sig gøre lige nu. Prøv igen om lidt.","type":"/problems/unavailable"}
    {"status":500,"title":"Der skete en fejl hos os.","type":"/problems/internal"}
    "#);
}
