//! Signing in and out through real doors: our routes, the demo provider beside them, a browser that keeps cookies, a database.

use std::collections::{BTreeMap, HashMap};

use axum::{
    Router,
    extract::FromRef,
    http::{HeaderValue, StatusCode, header},
    routing::get,
};
use chrono::{Duration, TimeZone as _, Utc};
use openidconnect::{
    ClientSecret,
    reqwest::{self, Method},
    url::Url,
};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::{net::TcpListener, sync::broadcast};

use crate::{
    auth::{
        Sessions, SignIns, SignedIn, StepUps,
        demo_idp::{self, DemoIdp},
        oidc::{Provider, Settings},
        session::{ABSOLUTE_MAX, IDLE_MAX, SignIn},
        sign_in,
    },
    clock::Clock,
    config::Limits,
    domain::{
        claims::RoleMapping,
        ids::{PersonId, SessionId, imported},
        principal::Role,
    },
    http::pace::Pace,
    rooms::{Rooms, quarantine::Quarantine},
    store::Store,
};

#[derive(Clone, FromRef)]
struct Parts {
    store: Store,
    sessions: Sessions,
    sign_ins: SignIns,
    step_ups: StepUps,
    rooms: Rooms,
    clock: Clock,
    pace: Pace,
}

/// The server's part that signs people in, and the demo provider, on two ports of this machine.
struct World {
    url: String,
    provider_url: String,
    parts: Parts,
    ended: broadcast::Receiver<SessionId>,
    data_dir: std::path::PathBuf,
}

impl Drop for World {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.data_dir).unwrap();
    }
}

impl World {
    async fn new(connect: PgConnectOptions) -> Self {
        Self::with(connect, Some(demo_idp::PERSON_CLAIM)).await
    }

    async fn with(connect: PgConnectOptions, person_claim: Option<&str>) -> Self {
        let store = Store::as_app(connect).await;
        people(&store).await;
        let (ours, theirs) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let url = format!("http://{}", ours.local_addr().unwrap());
        let clock = Clock::offset(Duration::days(3));
        let data_dir = std::env::temp_dir().join(uuid::Uuid::new_v4().to_string());
        std::fs::create_dir(&data_dir).unwrap();
        let idp = DemoIdp::new(theirs.local_addr().unwrap(), store.clone(), clock, &url, &data_dir).unwrap();
        let provider = Provider::new(Settings {
            issuer: idp.issuer().to_owned(),
            client_id: demo_idp::CLIENT_ID.to_owned(),
            client_secret: ClientSecret::new(idp.client_secret().to_owned()),
            public_url: url.clone(),
            scopes: Vec::new(),
        })
        .unwrap();
        let sessions = Sessions::new(store.clone(), &url);
        let roles = RoleMapping::own_names("roles");
        let sign_ins = SignIns::new(store.clone(), sessions.clone(), provider, roles, person_claim.map(str::to_owned));
        let (provider_url, ended) = (idp.issuer().to_owned(), sessions.ended());
        let (step_ups, _) = crate::http::tests::approvals(&store, &sessions, clock.now()).await;
        let rooms = Rooms::start(store.clone(), sessions.clone(), clock, Limits::default(), Quarantine::open(&data_dir).unwrap());
        let parts = Parts { store, sessions, sign_ins, step_ups, rooms, clock, pace: Pace::new(&Limits::default(), 0) };
        let router = Router::new().merge(super::routes()).route("/whoami", get(whoami)).with_state(parts.clone());
        tokio::spawn(async move { axum::serve(ours, router).await.unwrap() });
        tokio::spawn(demo_idp::serve(theirs, idp, std::future::pending()));
        Self { url, provider_url, parts, ended, data_dir }
    }

    fn browser(&self) -> Browser {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        Browser { url: self.url.clone(), client, cookies: BTreeMap::new() }
    }

    async fn signed_in(&self, person: &str) -> Browser {
        let mut browser = self.browser();
        let at = browser.follow(&format!("/auth/login?login_hint={person}&return_to=/whoami")).await;
        assert_eq!(at.url, format!("{}/whoami", self.url), "{}", at.body);
        browser
    }
}

async fn whoami(signed_in: SignedIn) -> String {
    let roles: Vec<_> = signed_in.principal.token_roles.iter().map(|role| role.id()).collect();
    format!("{} {}", signed_in.principal.person, roles.join(","))
}

/// A leader, one who stands in for her, and somebody without a place.
async fn people(store: &Store) {
    crate::store::people::some_for_tests(store).await;
}

/// Keeps cookies as a browser does on one host: by name, whatever the port.
#[derive(Clone)]
struct Browser {
    url: String,
    client: reqwest::Client,
    cookies: BTreeMap<String, String>,
}

struct At {
    url: String,
    status: StatusCode,
    headers: axum::http::HeaderMap,
    body: String,
}

impl Browser {
    async fn send(&mut self, method: Method, url: &str, headers: &[(&str, &str)], body: &str) -> At {
        let url = if url.starts_with('/') { format!("{}{url}", self.url) } else { url.to_owned() };
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = self.client.request(method, &url).header("cookie", cookies.join("; ")).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        for cookie in headers.get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        At { url, status, headers, body: answer.text().await.unwrap() }
    }

    async fn get(&mut self, url: &str) -> At {
        self.send(Method::GET, url, &[], "").await
    }

    async fn post(&mut self, url: &str, origin: &str, body: &str) -> At {
        let headers = [("origin", origin), ("content-type", "application/x-www-form-urlencoded")];
        self.send(Method::POST, url, &headers, body).await
    }

    /// Where a redirect leads, without going there.
    async fn one_step(&mut self, url: &str) -> String {
        self.get(url).await.leads_to().expect("a redirect")
    }

    async fn follow(&mut self, url: &str) -> At {
        let at = self.get(url).await;
        self.follow_from(at).await
    }

    async fn follow_from(&mut self, mut at: At) -> At {
        while let Some(next) = at.leads_to() {
            at = self.get(&next).await;
        }
        at
    }

    async fn is_signed_in(&mut self) -> bool {
        match self.get("/whoami").await.status {
            StatusCode::OK => true,
            StatusCode::UNAUTHORIZED => false,
            other => panic!("{other}"),
        }
    }
}

impl At {
    fn leads_to(&self) -> Option<String> {
        if !self.status.is_redirection() {
            return None;
        }
        let to = self.headers.get(header::LOCATION)?.to_str().unwrap();
        Some(Url::parse(&self.url).unwrap().join(to).unwrap().into())
    }

    fn query(&self) -> HashMap<String, String> {
        Url::parse(&self.leads_to().unwrap()).unwrap().query_pairs().into_owned().collect()
    }
}

fn problem(code: &str) -> String {
    format!("/login-problem?code={code}")
}

#[sqlx::test(migrations = "../migrations")]
async fn somebody_signs_in_and_is_who_the_provider_says(_: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(connect).await;
    let mut browser = world.browser();
    assert!(!browser.is_signed_in().await);
    let at = browser.follow("/auth/login?login_hint=p-leader&return_to=%2Fwhoami%3Fa%3D1%23x").await;
    assert_eq!(at.url, format!("{}/whoami?a=1#x", world.url));
    assert_eq!(at.body, format!("{} unit_leader", imported("p-leader")));
    // The organisation, not the order of the links, says who stands in for whom; the token carries what lets it count.
    let mut substitute = world.signed_in("sub@k.example").await;
    assert_eq!(substitute.get("/whoami").await.body, format!("{} unit_leader", imported("p-substitute")));
    let trail = world.parts.store.trail(uuid::Uuid::nil()).await.unwrap();
    assert_eq!(trail.iter().map(|(event, _)| event.kind.as_str()).collect::<Vec<_>>(), ["seal_key", "identity_linked", "identity_linked"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_cookie_planted_before_is_worth_nothing_after(_: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(connect).await;
    let mut attacker = world.signed_in("p-substitute").await;
    let mut victim = world.browser();
    victim.cookies.clone_from(&attacker.cookies);
    let at = victim.follow("/auth/login?login_hint=p-leader&return_to=/whoami").await;
    assert!(at.body.starts_with(&imported("p-leader").to_string()), "{}", at.body);
    assert_ne!(victim.cookies["samspil"], attacker.cookies["samspil"]);
    assert!(!attacker.is_signed_in().await, "the sign-in that was replaced has ended");
    world.ended.try_recv().expect("and its sockets are told");
    let set = at_the_callback(&world, "p-leader").await;
    assert_eq!(set.split(';').skip(1).map(str::trim).collect::<Vec<_>>(), ["HttpOnly", "SameSite=Lax", "Path=/"]);
}

/// The `Set-Cookie` with which somebody comes back signed in.
async fn at_the_callback(world: &World, person: &str) -> String {
    let mut browser = world.browser();
    let provider = browser.one_step(&format!("/auth/login?login_hint={person}")).await;
    let callback = browser.one_step(&provider).await;
    let at = browser.get(&callback).await;
    assert_eq!(
        (&at.headers["cache-control"], &at.headers["referrer-policy"]),
        (&"no-store".parse().unwrap(), &"no-referrer".parse().unwrap())
    );
    at.headers[header::SET_COOKIE].to_str().unwrap().to_owned()
}

#[sqlx::test(migrations = "../migrations")]
async fn signing_out_ends_it_here_and_at_the_provider(_: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(connect).await;
    let mut browser = world.signed_in("p-leader").await;
    let (mut replay, mut second) = (browser.clone(), browser.clone());
    // A second sign-in from the same provider session, as another device's would be if they shared it.
    second.cookies.remove("samspil");
    second.follow("/auth/login?return_to=/whoami").await;
    assert!(second.is_signed_in().await);

    let foreign = browser.post("/auth/logout", "https://evil.example", "").await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    assert!(browser.is_signed_in().await);

    let own = world.url.clone();
    let out = browser.post("/auth/logout", &own, "").await;
    assert!(out.leads_to().unwrap().starts_with(&format!("{}/end_session?", world.provider_url)));
    assert!(!browser.cookies.contains_key("samspil"));
    assert!(!replay.is_signed_in().await, "the old cookie is worth nothing");
    assert!(second.is_signed_in().await, "the provider has not been told yet");
    world.ended.recv().await.unwrap();

    let home = browser.follow_from(out).await;
    assert_eq!(home.url, format!("{}/", world.url));
    world.ended.recv().await.unwrap();
    assert!(!second.is_signed_in().await, "the provider told us behind the browser's back");
    let page = browser.follow("/auth/login").await;
    assert_eq!(page.url.split('?').next().unwrap(), format!("{}/authorize", world.provider_url), "the provider asks who it is");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_page_that_fetches_is_told_where_to_go(_: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(connect).await;
    let mut browser = world.signed_in("p-leader").await;
    let headers = [("origin", world.url.as_str()), ("accept", "application/json")];
    let out = browser.send(Method::POST, "/auth/logout", &headers, "").await;
    let body: serde_json::Value = serde_json::from_str(&out.body).unwrap();
    assert!(body["redirect_to"].as_str().unwrap().starts_with(&world.provider_url), "{body}");
    assert!(!browser.is_signed_in().await);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_attempt_counts_once_in_its_own_browser_for_ten_minutes(_: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(connect).await;
    let mut browser = world.browser();
    let provider = browser.one_step("/auth/login?login_hint=p-leader").await;
    let callback = browser.one_step(&provider).await;
    let mut another = world.browser();
    assert!(another.one_step(&callback).await.ends_with(&problem("expired")), "no cookie at all");
    another.one_step("/auth/login").await;
    assert!(another.one_step(&callback).await.ends_with(&problem("expired")), "another browser's cookie");
    let stateless = callback.replace("state=", "was=");
    assert!(browser.one_step(&stateless).await.ends_with(&problem("expired")), "no state");
    let mixed_up = callback.replace("iss=", "iss=https%3A%2F%2Flogin.example.dk&was=");
    assert!(browser.one_step(&mixed_up).await.ends_with(&problem("generic")), "another issuer");
    assert!(browser.one_step(&callback).await.ends_with(&problem("expired")), "and the attempt is used up");

    let provider = browser.one_step("/auth/login?login_hint=p-leader").await;
    let callback = browser.one_step(&provider).await;
    let refused = callback.replace("code=", "error=access_denied%0Alevel%3Derror&was=");
    assert!(browser.one_step(&refused).await.ends_with(&problem("provider")), "the provider said no");

    let provider = browser.one_step("/auth/login?login_hint=p-leader").await;
    let callback = browser.one_step(&provider).await;
    let parameters: HashMap<_, _> = Url::parse(&callback).unwrap().query_pairs().into_owned().collect();
    let answer = || sign_in::Answer {
        state: parameters.get("state").cloned(),
        code: parameters.get("code").cloned(),
        iss: parameters.get("iss").cloned(),
        error: None,
    };
    let headers = [(header::COOKIE, HeaderValue::from_str(&format!("samspil-sign-in={}", browser.cookies["samspil-sign-in"])).unwrap())];
    let late = world.parts.clock.now() + Duration::minutes(10);
    let failed = world.parts.sign_ins.complete(answer(), &headers.into_iter().collect(), late).await.unwrap_err();
    assert_eq!(failed.code(), "expired", "ten minutes later");
    assert_eq!(browser.one_step(&callback).await, format!("{}/", world.url));
    assert!(browser.one_step(&callback).await.ends_with(&problem("expired")), "a second time");

    // Two tabs of one browser may be on their way at once.
    let (first, second) = (browser.one_step("/auth/login?return_to=/1").await, browser.one_step("/auth/login?return_to=/2").await);
    let (first, second) = (browser.one_step(&first).await, browser.one_step(&second).await);
    assert_eq!(browser.one_step(&first).await, format!("{}/1", world.url));
    assert_eq!(browser.one_step(&second).await, format!("{}/2", world.url));
}

#[sqlx::test(migrations = "../migrations")]
async fn nobody_is_sent_elsewhere_by_a_link_to_our_sign_in(_: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(connect).await;
    let mut browser = world.signed_in("p-leader").await;
    let elsewhere = [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/.//evil.example",
        "/auth/logout",
        "",
        "whoami",
        &format!("/{}", "x".repeat(2048)),
    ];
    for path in elsewhere {
        let encoded: String = openidconnect::url::form_urlencoded::byte_serialize(path.as_bytes()).collect();
        let provider = browser.one_step(&format!("/auth/login?return_to={encoded}")).await;
        let callback = browser.one_step(&provider).await;
        let back = browser.get(&callback).await.headers[header::LOCATION].to_str().unwrap().to_owned();
        assert_eq!(back, "/", "{path}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_sign_in_ends_when_idle_and_after_twelve_hours_in_any_case(_: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(connect).await;
    let browser = world.signed_in("p-leader").await;
    let sessions = &world.parts.sessions;
    let headers = [(header::COOKIE, HeaderValue::from_str(&format!("samspil={}", browser.cookies["samspil"])).unwrap())];
    let headers = headers.into_iter().collect();
    let start = world.parts.clock.now();
    let (second, minute) = (Duration::seconds(1), Duration::minutes(1));
    let first = sessions.authenticate(&headers, start).await.unwrap().unwrap();
    assert!(sessions.current(first.principal.session, first.expiry.idle - second).await.unwrap().is_some());
    assert!(sessions.current(first.principal.session, first.expiry.idle).await.unwrap().is_none(), "four hours without a request");
    // Somebody who keeps working is let go on, until the end.
    let mut now = start;
    while now + IDLE_MAX / 2 < first.expiry.absolute {
        now += IDLE_MAX / 2;
        let signed_in = sessions.authenticate(&headers, now).await.unwrap().expect("still working");
        assert_eq!(signed_in.expiry.absolute, first.expiry.absolute);
        // Seconds after one note there is no other.
        sessions.seen(signed_in.principal.session, now + second).await.unwrap();
        let again = sessions.current(signed_in.principal.session, now).await.unwrap().unwrap();
        assert_eq!(again.expiry.idle, kept(now) + IDLE_MAX);
        sessions.seen(signed_in.principal.session, now + minute).await.unwrap();
    }
    assert!(first.expiry.absolute - start <= ABSOLUTE_MAX);
    assert!(sessions.authenticate(&headers, first.expiry.absolute - second).await.unwrap().is_some());
    assert!(sessions.authenticate(&headers, first.expiry.absolute).await.unwrap().is_none(), "twelve hours");
}

/// As PostgreSQL keeps it: microseconds.
fn kept(at: chrono::DateTime<Utc>) -> chrono::DateTime<Utc> {
    Utc.timestamp_micros(at.timestamp_micros()).unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn two_cookies_of_one_name_count_as_none(_: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(connect).await;
    let browser = world.signed_in("p-leader").await;
    let own = &browser.cookies["samspil"];
    for cookies in [
        format!("samspil={own}; samspil={own}"),
        format!("samspil=x; samspil={own}"),
        format!("__Host-samspil={own}"),
        "samspil=".to_owned(),
    ] {
        let headers = [(header::COOKIE, HeaderValue::from_str(&cookies).unwrap())].into_iter().collect();
        assert_eq!(world.parts.sessions.authenticate(&headers, world.parts.clock.now()).await.unwrap(), None, "{cookies}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn without_a_role_or_a_person_nobody_comes_in(_: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::with(connect, None).await;
    let at_last = |at: At| at.url.strip_prefix(&world.url).unwrap().to_owned();
    assert_eq!(at_last(world.browser().follow("/auth/login?login_hint=p-nobody").await), problem("no_role"));
    let mut leader = world.browser();
    assert_eq!(at_last(leader.follow("/auth/login?login_hint=p-leader").await), problem("not_linked"));

    let now = world.parts.clock.now();
    let link = sign_in::invite(&world.parts.store, PersonId(imported("p-leader")), &world.url, now).await.unwrap();
    assert_eq!(at_last(leader.follow(&link).await), "/");
    assert!(leader.is_signed_in().await);
    assert_eq!(at_last(world.signed_in("p-leader").await.follow(&link).await), problem("expired"), "a link works once");
    let old = sign_in::invite(&world.parts.store, PersonId(imported("p-leader")), &world.url, now - Duration::hours(24)).await.unwrap();
    assert_eq!(at_last(world.browser().follow(&old).await), problem("expired"), "and for a day");
    assert_eq!(at_last(world.browser().follow("/auth/invite?code=guessed").await), problem("expired"));
}

#[sqlx::test(migrations = "../migrations")]
async fn attempts_that_nobody_comes_back_from_do_not_pile_up(_: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(connect).await;
    let pool = world.parts.store.pool();
    sqlx::query(
        "INSERT INTO sign_in_attempt (state_hash, browser_hash, nonce, pkce_verifier, return_to, expires_at)
         SELECT sha256(n::text::bytea), '', '', '', '/', $1 FROM generate_series(1, 10050) n",
    )
    .bind(world.parts.clock.now() + Duration::minutes(5))
    .execute(pool)
    .await
    .unwrap();
    world.signed_in("p-leader").await;
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM sign_in_attempt").fetch_one(pool).await.unwrap();
    assert!(kept <= 10_001, "{kept}");
}

#[sqlx::test(migrations = "../migrations")]
async fn the_first_administrator_is_appointed(_: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(connect).await;
    assert!(world.browser().follow("/auth/login?login_hint=p-nobody").await.url.ends_with("no_role"));
    let person = PersonId(imported("p-nobody"));
    for _ in 0..2 {
        assert!(sign_in::appoint(&world.parts.store, person, Role::Admin, world.parts.clock.now()).await.unwrap());
    }
    assert_eq!(world.signed_in("p-nobody").await.get("/whoami").await.body, format!("{person} admin"));
    assert_eq!(world.parts.store.placements(person).await.unwrap().len(), 1, "twice is once");
}

#[sqlx::test(migrations = "../migrations")]
async fn the_providers_token_is_forgotten_when_its_sign_in_is_over(_: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(connect).await;
    let (sessions, store) = (&world.parts.sessions, &world.parts.store);
    let begin = async |now| {
        let sign_in = SignIn {
            person: PersonId(imported("p-leader")),
            issuer: "https://login.example.dk".to_owned(),
            subject: "s".to_owned(),
            sid: None,
            roles: [Role::UnitLeader].into(),
            id_token: "token".to_owned(),
            auth_time: None,
            acr: None,
        };
        sessions.begin(sign_in, &axum::http::HeaderMap::new(), now).await.unwrap().0
    };
    let now = world.parts.clock.now();
    let first = begin(now).await;
    let second = begin(now + IDLE_MAX - Duration::seconds(1)).await;
    assert!(store.session(first).await.unwrap().unwrap().id_token.is_some());
    begin(now + IDLE_MAX + Duration::seconds(1)).await;
    assert!(store.session(first).await.unwrap().unwrap().id_token.is_none());
    assert!(store.session(second).await.unwrap().unwrap().id_token.is_some());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_logout_token_is_obeyed_once(_: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(connect).await;
    let mut browser = world.browser();
    let forged = browser.post("/auth/backchannel-logout", "null", "logout_token=a.b.c").await;
    assert_eq!(forged.status, StatusCode::BAD_REQUEST);
    assert_eq!(forged.headers["cache-control"], "no-store");
    assert_eq!(browser.post("/auth/backchannel-logout", "null", "other=1").await.status, StatusCode::BAD_REQUEST);
    let now = world.parts.clock.now();
    let later = now + Duration::minutes(5);
    let store = &world.parts.store;
    let note = async |jti: &'static str, at| {
        let mut transaction = store.begin().await.unwrap();
        let noted =
            crate::store::sign_ins::note_logout_token(&mut transaction, "https://i", jti, at, at + Duration::minutes(5)).await.unwrap();
        transaction.commit().await.unwrap();
        noted
    };
    assert!(note("1", now).await);
    assert!(!note("1", now).await, "a second time");
    assert!(note("2", now).await);
    assert!(note("1", later).await, "forgotten once the token itself is too old");
}

#[sqlx::test(migrations = "../migrations")]
async fn the_demo_provider_does_as_it_is_asked(_: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(connect).await;
    let mut browser = world.browser();
    let login = browser.one_step("/auth/login").await;
    let page = browser.get(&login).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("<h2>Fjordskolen</h2>") && page.body.contains("Hanne &lt;b&gt; Påfundsen"), "{}", page.body);
    let ask = |more: &str| format!("{login}{more}");
    assert_eq!(browser.get(&ask("&prompt=none")).await.query()["error"], "login_required");

    // Pressing a name signs in; another site's form does not.
    let action = page.body.split("action=\"").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
    let action = format!("{}{action}", world.provider_url);
    assert_eq!(browser.post(&action, "https://evil.example", "person=p-leader").await.status, StatusCode::FORBIDDEN);
    let chosen = browser.post(&action, &world.provider_url, "person=p-leader").await;
    assert!(chosen.query().contains_key("code") && chosen.query()["iss"] == world.provider_url);

    assert!(browser.get(&ask("&prompt=none")).await.query().contains_key("code"), "signed in already");
    assert_eq!(browser.get(&ask("&prompt=login&login_hint=p-leader")).await.status, StatusCode::OK, "asks again");
    assert_eq!(browser.get(&ask("&prompt=none&login_hint=p-substitute")).await.query()["error"], "login_required", "as somebody else");
    assert_eq!(browser.get(&ask("&prompt=none&max_age=-1")).await.query()["error"], "login_required", "too long ago");
    let other_client = login.replace("client_id=samspil", "client_id=other");
    assert_eq!(browser.get(&other_client).await.status, StatusCode::BAD_REQUEST);
    let elsewhere = login.replace("%2Fauth%2Fcallback", "%2Fevil");
    assert_eq!(browser.get(&elsewhere).await.status, StatusCode::BAD_REQUEST);
    let plain = login.replace("code_challenge_method=S256", "code_challenge_method=plain");
    assert_eq!(browser.get(&plain).await.query()["error"], "invalid_request");

    // A code is worth nothing without its verifier, and nothing at all the second time.
    let code = chosen.query()["code"].clone();
    let exchange = format!("grant_type=authorization_code&code={code}&code_verifier={}&client_id=samspil&client_secret=x", "v".repeat(43));
    let refused = browser.post(&format!("{}/token", world.provider_url), "null", &exchange).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);

    // Whoever does not bring a token is asked before being signed out.
    let asked = browser.get(&format!("{}/end_session", world.provider_url)).await;
    assert!(asked.body.contains("Vil du logge ud?"));
    assert!(browser.get(&ask("&prompt=none")).await.query().contains_key("code"));
    let out = browser.post(&format!("{}/end_session", world.provider_url), &world.provider_url, "").await;
    assert!(out.body.contains("Du er logget ud"));
    assert_eq!(browser.get(&ask("&prompt=none")).await.query()["error"], "login_required");

    let beyond = DemoIdp::new("192.0.2.1:8081".parse().unwrap(), world.parts.store.clone(), world.parts.clock, &world.url, &world.data_dir);
    assert!(matches!(beyond, Err(demo_idp::Error::NotLoopback(_))));
}
