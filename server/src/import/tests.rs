use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use chrono::{NaiveDate, TimeDelta};
use samspil_evidence::{statement::Statement, trail::first_break};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::*;
use crate::{
    content,
    domain::{
        access::danish_day,
        agreement::{AgreementStatus, ChainGoalKind, Covered, Facts, SectionFact, WaitingKind, remarks},
        ids::{AgreementId, DocumentId, PersonId, imported},
    },
    store::agreements::Which,
};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../demo-data");

fn demo_now() -> DateTime<Utc> {
    "2026-11-23T13:30:00+01:00".parse().unwrap()
}

async fn with_demo(options: PgConnectOptions) -> Store {
    let store = Store::as_app(options).await;
    run(Source::Demo, &store, demo_now(), Mode::Apply).await.unwrap();
    store
}

fn expected() -> Value {
    serde_json::from_slice(&fs::read(Path::new(DATA).join("expected.json")).unwrap()).unwrap()
}

/// Slugs of the data by their ids here, to compare with what `expected.json` names.
async fn slugs(store: &Store) -> BTreeMap<uuid::Uuid, String> {
    let goals = sqlx::query!(r#"SELECT id, slug AS "slug!" FROM goal WHERE slug IS NOT NULL"#).fetch_all(store.pool()).await.unwrap();
    let mut slugs: BTreeMap<_, _> = goals.into_iter().map(|row| (row.id, row.slug)).collect();
    for name in ["agreements/2026-previous.json", "people.json", "governance-documents.json"] {
        collect_ids(&serde_json::from_slice(&fs::read(Path::new(DATA).join(name)).unwrap()).unwrap(), &mut slugs);
    }
    for file in fs::read_dir(Path::new(DATA).join("agreements")).unwrap() {
        collect_ids(&serde_json::from_slice(&fs::read(file.unwrap().path()).unwrap()).unwrap(), &mut slugs);
    }
    slugs
}

fn collect_ids(value: &Value, slugs: &mut BTreeMap<uuid::Uuid, String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(id)) = members.get("id") {
                slugs.insert(imported(id), id.clone());
            }
            members.values().for_each(|member| collect_ids(member, slugs));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_ids(item, slugs)),
        _ => {}
    }
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn the_counts_are_those_expected(_: PgPoolOptions, options: PgConnectOptions) {
    let store = with_demo(options).await;
    let row = sqlx::query!(
        r#"SELECT (SELECT count(*) FROM person) AS "people!", (SELECT count(*) FROM org_node WHERE kind = 'agreement_unit') AS "units!",
                  (SELECT count(*) FROM governance_document) AS "documents!",
                  (SELECT count(*) FROM agreement WHERE period_from = '2027-01-01') AS "agreements!",
                  (SELECT count(*) FROM agreement_goal) AS "goals!", (SELECT count(*) FROM meeting) AS "meetings!",
                  (SELECT count(*) FROM meeting WHERE status = 'held') AS "held!", (SELECT count(*) FROM thread) AS "threads!",
                  (SELECT count(*) FROM thread WHERE status = 'open') AS "open!""#
    )
    .fetch_one(store.pool())
    .await
    .unwrap();
    let found = json!({
        "people": row.people, "agreement_units": row.units, "documents": row.documents, "agreements_2027": row.agreements,
        "goals_2027": row.goals, "meetings": row.meetings, "meetings_held": row.held, "comment_threads": row.threads,
        "open_comment_threads": row.open,
    });
    assert_eq!(found, expected()["counts"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn threads_stand_on_their_words(_: PgPoolOptions, options: PgConnectOptions) {
    let store = with_demo(options).await;
    let rows = sqlx::query!(
        "SELECT quote, field, words, words_before, words_after, detached_at FROM thread WHERE about = 'words' ORDER BY document_id, number"
    )
    .fetch_all(store.pool())
    .await
    .unwrap();
    assert_eq!(rows.len(), 10);
    for row in &rows {
        assert_eq!((&row.quote, row.detached_at), (&row.words, None), "{:?}", row.field);
        assert!(row.words_before.as_ref().zip(row.words_after.as_ref()).is_some_and(|(before, after)| before.len() + after.len() > 0));
    }
    let cars = rows.iter().find(|row| row.quote.as_deref() == Some("ni biler")).unwrap();
    assert_eq!(cars.field.as_deref(), Some("section:rammer"));
}

#[sqlx::test(migrations = "../migrations")]
async fn agreements_stand_where_expected_and_wait_for_whom_expected(_: PgPoolOptions, options: PgConnectOptions) {
    let store = with_demo(options).await;
    let slugs = slugs(&store).await;
    let mut by_status: BTreeMap<String, u32> = BTreeMap::new();
    for head in store.agreement_heads(&Which { year: Some(2027), ..Which::default() }).await.unwrap() {
        let Value::String(status) = serde_json::to_value(head.status).unwrap() else { panic!("a status is a word") };
        *by_status.entry(status).or_default() += 1;
    }
    assert_eq!(json!(by_status), expected()["agreements_by_status"]);

    let mut waiting: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (person, agreement) in store.signatures_awaited().await.unwrap() {
        waiting.entry(slugs[&person.0].as_str()).or_default().push(&slugs[&agreement.0]);
    }
    assert_eq!(json!(waiting), expected()["waiting_for_signature_by"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_in_force_and_what_is_to_come(_: PgPoolOptions, options: PgConnectOptions) {
    let store = with_demo(options).await;
    let slugs = slugs(&store).await;
    let names = |documents: Vec<crate::store::chain::ChainDocument>| -> BTreeSet<String> {
        documents.into_iter().map(|document| slugs[&document.id.0].clone()).collect()
    };
    let today = danish_day(demo_now());
    assert_eq!(json!(names(store.documents_in_force(today).await.unwrap())), expected()["in_force_on_demo_now"]);
    assert_eq!(json!(names(store.documents_to_come(today).await.unwrap())), expected()["adopted_not_yet_in_force"]);
    let in_2027 = names(store.documents_in_force(day("2027-01-01")).await.unwrap());
    assert!(in_2027.contains("vis-2027") && !in_2027.contains("vis-2023") && !in_2027.contains("str-groen"));
}

#[sqlx::test(migrations = "../migrations")]
async fn the_chain_is_carried_as_expected(_: PgPoolOptions, options: PgConnectOptions) {
    let store = with_demo(options).await;
    let slugs = slugs(&store).await;
    let support = store.support(day("2027-01-01")).await.unwrap();
    let goals = || support.iter().filter(|goal| goal.kind != ChainGoalKind::Initiative);
    let all: BTreeMap<&str, u32> = goals().map(|goal| (slugs[&goal.goal].as_str(), goal.all)).collect();
    assert_eq!(json!(all), expected()["supporting_goals_per_chain_goal"]);
    let without: BTreeSet<&str> = goals().filter(|goal| goal.all == 0).map(|goal| slugs[&goal.goal].as_str()).collect();
    assert_eq!(json!(without), expected()["chain_goals_without_any_agreement_goal"]);
    let undirected: BTreeSet<&str> = support
        .iter()
        .filter(|goal| goal.kind != ChainGoalKind::VisionAim && goal.direct == 0)
        .map(|goal| slugs[&goal.goal].as_str())
        .collect();
    assert_eq!(json!(undirected), expected()["chain_items_without_direct_link"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_warnings_are_those_expected(_: PgPoolOptions, options: PgConnectOptions) {
    let store = with_demo(options).await;
    let slugs = slugs(&store).await;
    let rules = store.rules().await.unwrap();
    let mut found: Vec<Value> = Vec::new();
    for head in store.agreement_heads(&Which { year: Some(2027), ..Which::default() }).await.unwrap() {
        let document = head.document.unwrap();
        let facts = facts(&store, head.id, document, head.status).await;
        for remark in remarks(&facts, rules.demands, rules.calendar.due_days(head.period_from), danish_day(demo_now())) {
            let place = remark.place.unwrap_or_default();
            let goal = place.parse().ok().and_then(|id: uuid::Uuid| slugs.get(&id));
            let agreement_id = &slugs[&head.id.0];
            match remark.kind {
                WaitingKind::DraftOverdue => {
                    found.push(json!({ "code": "draft_overdue", "agreement_id": agreement_id, "due_on": remark.due_on }));
                }
                WaitingKind::GoalWithoutCriterion => {
                    found.push(json!({ "code": "goal_without_success_criterion", "agreement_id": agreement_id, "goal_id": goal }));
                }
                WaitingKind::LinkNotAdopted => {
                    for target in not_adopted(&store, document, place.parse().unwrap()).await {
                        let code = "link_to_document_not_adopted";
                        found.push(json!({ "code": code, "agreement_id": agreement_id, "goal_id": goal, "target": slugs[&target] }));
                    }
                }
                WaitingKind::NoExecutiveGoal => found.push(json!({ "code": "no_executive_goal", "agreement_id": agreement_id })),
                WaitingKind::SectionEmpty => {
                    found.push(json!({ "code": "required_section_empty", "agreement_id": agreement_id, "section": place }));
                }
                // A step still to come, not a warning about the text.
                WaitingKind::DialogueMissing => {}
                other => panic!("not a remark about a text: {other:?}"),
            }
        }
    }
    let key = |warning: &Value| (warning["code"].to_string(), warning["agreement_id"].to_string());
    found.sort_by_key(key);
    assert_eq!(json!(found), expected()["warnings"]);
}

async fn facts(store: &Store, agreement: AgreementId, document: DocumentId, status: AgreementStatus) -> Facts {
    let doc = replayed(store, document).await;
    let projection = content::project(&doc);
    let sections = store.document_sections(&[document]).await.unwrap().remove(&document).unwrap();
    let sections = sections.into_iter().map(|section| SectionFact {
        filled: projection.section(&section.key).is_some_and(|text| !text.is_empty()),
        key: section.key,
        title: section.title,
        kind: section.kind,
        goal_origin: section.goal_origin,
        required: section.required,
    });
    let meetings = store.meetings(&[agreement]).await.unwrap();
    Facts {
        status,
        sections: sections.collect(),
        goals: store.goal_facts(&[document]).await.unwrap().into_iter().map(|(_, goal)| goal).collect(),
        covered: Covered::by(
            meetings.iter().map(|meeting| (meeting.status, meeting.covers_political_goals, meeting.covers_executive_goals)),
        ),
        open_threads: 0,
    }
}

async fn replayed(store: &Store, document: DocumentId) -> yrs::Doc {
    let log = store.log(document, crate::store::log::ReadFrom::Beginning).await.unwrap().unwrap();
    content::replay(log.updates.iter().map(|update| &update.payload[..])).unwrap()
}

async fn not_adopted(store: &Store, document: DocumentId, goal: uuid::Uuid) -> Vec<uuid::Uuid> {
    sqlx::query_scalar!(
        r#"SELECT l.target_goal_id AS "target!" FROM agreement_goal_link l JOIN document d ON d.id = l.target_document_id
           WHERE l.document_id = $1 AND l.goal_id = $2 AND d.status <> 'adopted'"#,
        document.0,
        goal
    )
    .fetch_all(store.pool())
    .await
    .unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn names_sort_as_danes_sort_them(_: PgPoolOptions, options: PgConnectOptions) {
    let store = with_demo(options).await;
    let people = sqlx::query_scalar!(r#"SELECT display_name AS "name: String" FROM person ORDER BY display_name, id"#);
    assert_eq!(json!(people.fetch_all(store.pool()).await.unwrap()), expected()["people_sorted_da"]);
    let units = sqlx::query_scalar!(r#"SELECT name AS "name: String" FROM org_node WHERE kind = 'agreement_unit' ORDER BY name, id"#);
    assert_eq!(json!(units.fetch_all(store.pool()).await.unwrap()), expected()["org_units_sorted_da"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_live_document_says_what_the_data_says_and_its_hash_is_the_snapshots(_: PgPoolOptions, options: PgConnectOptions) {
    let store = with_demo(options).await;
    let document = DocumentId(
        sqlx::query_scalar!("SELECT id FROM document WHERE slug = 'agr-2027-fjordskolen'").fetch_one(store.pool()).await.unwrap(),
    );
    let doc = replayed(&store, document).await;
    let projection = content::project(&doc);
    let titles: Vec<&str> = projection.goals.iter().map(|goal| goal.title.as_str()).collect();
    assert_eq!(
        titles,
        ["Flere dage i skole", "Læselyst på mellemtrinnet", "Ét sprogteam fra børnehave til 3. klasse", "Åben skole om eftermiddagen"]
    );
    assert_eq!(projection.goals[0].indicators[0].baseline.as_deref(), Some("6.9"));
    assert_eq!(projection.goals[2].links.iter().filter(|link| link.relation == "implements").count(), 1);
    assert_eq!(projection.section("rammer").unwrap().blocks.len(), 4);
    // An empty section still has its paragraph, so that two never both make the first one.
    assert!(content::read(&doc).sections.values().all(|section| !section.is_empty()));
    let kept = sqlx::query_scalar!("SELECT content_sha256 FROM document_snapshot WHERE document_id = $1", document.0);
    assert_eq!(kept.fetch_one(store.pool()).await.unwrap(), content::sha256(&content::render(&doc)));
}

#[sqlx::test(migrations = "../migrations")]
async fn signatures_carry_the_hash_where_the_text_is_here(_: PgPoolOptions, options: PgConnectOptions) {
    let store = with_demo(options).await;
    let rows = sqlx::query!(
        r#"SELECT d.slug AS "slug!", s.revision, s.valid, s.content_sha256, n.content_sha256 AS "here!", r.content AS "content?"
           FROM signature s JOIN document d ON d.id = s.document_id JOIN document_snapshot n ON n.document_id = d.id
           JOIN revision r ON r.document_id = d.id AND r.number = s.revision ORDER BY d.slug, s.signed_at"#
    )
    .fetch_all(store.pool())
    .await
    .unwrap();
    assert_eq!(rows.len(), 6);
    for row in rows {
        if row.slug == "agr-2027-hjemmepleje-nord" {
            assert_eq!((row.revision, row.valid, row.content_sha256, row.content), (24, false, None, None));
        } else {
            assert!(row.valid);
            assert_eq!(row.content_sha256.as_ref(), Some(&row.here), "{}", row.slug);
            assert_eq!(content::sha256(&row.content.unwrap())[..], row.here);
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn signatures_of_made_up_people_say_that_nobody_signed_in_and_others_bring_no_evidence(_: PgPoolOptions, options: PgConnectOptions) {
    let store = Store::as_app(options).await;
    // The same data, as if it were of real people: what proves their signatures is elsewhere.
    let real = Altered::new("real", "municipality.json", |file| file["fictional"] = false.into());
    run(real.source(), &store, demo_now(), Mode::DryRun).await.unwrap();
    let mut transaction = store.begin().await.unwrap();
    let data = read::read(&real.source()).unwrap().0;
    write::write(&mut transaction, &data, demo_now()).await.unwrap();
    let row = sqlx::query!(
        r#"SELECT (SELECT count(*) FROM approval) AS "evidence!", count(*) FILTER (WHERE method = 'oidc_reauthentication') AS "kept!",
                  count(*) AS "all!" FROM signature"#
    );
    let row = row.fetch_one(&mut *transaction).await.unwrap();
    assert_eq!((row.evidence, row.kept, row.all), (0, 6, 6));
    transaction.rollback().await.unwrap();

    run(Source::Demo, &store, demo_now(), Mode::Apply).await.unwrap();
    let rows = sqlx::query!(
        r#"SELECT s.method, s.acr, s.auth_time = s.signed_at AS "no_sign_in!", s.valid, a.statement AS "statement?", a.id_token, a.seal,
                  r.content_sha256 AS "content_sha256?", r.log_sha256, e.body AS "body!"
           FROM signature s JOIN agreement_version v ON v.document_id = s.document_id LEFT JOIN approval a ON a.signature_id = s.id
           LEFT JOIN revision r ON r.document_id = s.document_id AND r.number = s.revision
           JOIN audit_event e ON e.trail_id = v.agreement_id AND e.type = 'signed' AND e.body ->> 'signature' = s.id::text"#
    );
    let rows = rows.fetch_all(store.pool()).await.unwrap();
    assert_eq!(rows.len(), 6);
    for row in rows {
        assert_eq!((row.method.as_str(), row.acr, row.no_sign_in), ("demonstration", None, true));
        assert_eq!((row.id_token, row.seal, &row.body["demonstration"]), (None, None, &json!(true)));
        // What lapsed names a text that is not here, so there is nothing to be stated about it.
        assert_eq!(row.statement.is_some(), row.valid);
        let Some(statement) = row.statement else { continue };
        let read = Statement::from_bytes(&statement).expect("in its one spelling");
        assert!(read.demonstration);
        assert_eq!(Some(read.content_sha256), row.content_sha256.map(hex::encode));
        assert_eq!(Some(read.log_sha256), row.log_sha256.map(hex::encode));
        assert_eq!(row.body["statement_sha256"], hex::encode(content::sha256(&statement)));
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn every_trail_holds_and_an_altered_row_is_refused(_: PgPoolOptions, options: PgConnectOptions) {
    let store = with_demo(options).await;
    let trails = store.trails().await.unwrap();
    assert_eq!(trails.len(), 10);
    let mut events = 0;
    for trail in trails {
        let trail = store.trail(trail).await.unwrap();
        assert_eq!(first_break(&trail), None);
        events += trail.len();
    }
    let life = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM agreement_event"#).fetch_one(store.pool()).await.unwrap();
    assert_eq!(events, usize::try_from(life).unwrap() + 1);
    assert!(sqlx::query!("UPDATE audit_event SET type = 'x'").execute(store.pool()).await.is_err());
}

#[sqlx::test(migrations = "../migrations")]
async fn only_those_without_another_right_get_a_grant(_: PgPoolOptions, options: PgConnectOptions) {
    let store = with_demo(options).await;
    let grants = sqlx::query!(
        r#"SELECT p.slug AS person, d.slug AS "document!", g.kind FROM document_grant g JOIN person p ON p.id = g.person_id
           JOIN document d ON d.id = g.document_id ORDER BY 1, 2"#
    );
    let grants = grants.fetch_all(store.pool()).await.unwrap();
    let found: Vec<String> = grants.into_iter().map(|row| format!("{} {} {}", row.person, row.kind, row.document)).collect();
    assert_eq!(found, ["p-sb-fjord comment agr-2027-fjordskolen"]);
}

/// What the whole database says, table by table, to find that nothing was written.
async fn everything(store: &Store) -> Vec<(String, Option<i64>)> {
    let rows = sqlx::query!(
        r#"SELECT table_name::text AS "name!",
                  (xpath('/row/c/text()', query_to_xml(format('SELECT count(*) AS c FROM %I', table_name), false, true, '')))[1]::text::bigint AS rows
           FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name NOT LIKE '\_%'
           ORDER BY 1"#
    );
    rows.fetch_all(store.pool()).await.unwrap().into_iter().map(|row| (row.name, row.rows)).collect()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_dry_run_says_the_same_and_writes_nothing(_: PgPoolOptions, options: PgConnectOptions) {
    let store = Store::as_app(options).await;
    let empty = everything(&store).await;
    let dry = run(Source::Demo, &store, demo_now(), Mode::DryRun).await.unwrap();
    assert_eq!(everything(&store).await, empty);
    assert!(empty.len() > 50 && empty.iter().all(|(_, rows)| *rows == Some(0)));
    let real = run(Source::Demo, &store, demo_now(), Mode::Apply).await.unwrap();
    assert_eq!(dry, real);
    assert_eq!(real.count(Change::New), real.records.len());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_second_import_changes_nothing(_: PgPoolOptions, options: PgConnectOptions) {
    let store = with_demo(options).await;
    let before = everything(&store).await;
    let again = run(Source::Dir(DATA.into()), &store, demo_now() + TimeDelta::hours(1), Mode::Apply).await.unwrap();
    assert_eq!((again.count(Change::New), again.count(Change::Changed), again.count(Change::Vanished)), (0, 0, 0));
    assert!(again.of("agreement").all(|(_, change)| change == Change::LeftAlone));
    assert!(again.to_string().contains("agreement: 16 exists, left alone\n"), "{again}");
    assert_eq!(everything(&store).await, before);
}

/// A copy of the demo data in which one file was altered.
struct Altered(PathBuf);

impl Altered {
    fn new(name: &str, file: &str, alter: impl FnOnce(&mut Value)) -> Self {
        let dir = std::env::temp_dir().join(format!("samspil-import-{name}-{}", std::process::id()));
        fs::create_dir_all(dir.join("agreements")).unwrap();
        for folder in ["", "agreements"] {
            for entry in fs::read_dir(Path::new(DATA).join(folder)).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    fs::copy(&path, dir.join(folder).join(path.file_name().unwrap())).unwrap();
                }
            }
        }
        let mut value = serde_json::from_slice(&fs::read(dir.join(file)).unwrap()).unwrap();
        alter(&mut value);
        fs::write(dir.join(file), serde_json::to_vec(&value).unwrap()).unwrap();
        Self(dir)
    }

    fn source(&self) -> Source {
        Source::Dir(self.0.clone())
    }
}

impl Drop for Altered {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn people_follow_the_data_and_documents_do_not(_: PgPoolOptions, options: PgConnectOptions) {
    let store = with_demo(options).await;
    let person = PersonId(imported("p-tr-fjord"));
    let version = store.person(person).await.unwrap().unwrap().access_version;
    let altered = Altered::new("people", "people.json", |file| {
        let people = file["people"].as_array_mut().unwrap();
        let person = people.iter_mut().find(|person| person["id"] == "p-tr-fjord").unwrap();
        person["title"] = json!("Viceskoleleder");
        person["roles"] = json!([{ "role": "substitute_unit_leader", "org_id": "fjordskolen", "from": "2026-12-01" }]);
    });
    // The role must stand in roles.json too: it does not, and the place is named.
    let Err(Error::Invalid(faults)) = run(altered.source(), &store, demo_now(), Mode::Apply).await else { panic!("a role nobody knows") };
    assert_eq!((faults.len(), faults[0].file.as_str()), (1, "people.json"));
    drop(altered);

    let altered = Altered::new("people-2", "people.json", |file| {
        let people = file["people"].as_array_mut().unwrap();
        let person = people.iter_mut().find(|person| person["id"] == "p-tr-fjord").unwrap();
        person["title"] = json!("Viceskoleleder");
        person["roles"] = json!([{ "role": "unit_contributor", "org_id": "klitskolen" }]);
    });
    fs::remove_file(altered.0.join("agreements/2027-bibliotek.json")).unwrap();
    let fjord = altered.0.join("agreements/2027-fjordskolen.json");
    let text = fs::read_to_string(&fjord).unwrap().replace("Flere dage i skole", "Færre dage i skole");
    fs::write(&fjord, text).unwrap();
    for file in ["meetings.json", "feedback.json"] {
        let text = fs::read_to_string(altered.0.join(file)).unwrap().replace("agr-2027-bibliotek", "agr-2027-fjordskolen");
        fs::write(altered.0.join(file), text).unwrap();
    }
    let report = run(altered.source(), &store, demo_now(), Mode::Apply).await.unwrap();
    let changed: Vec<_> = report.records.iter().filter(|(.., change)| !matches!(change, Change::Unchanged | Change::LeftAlone)).collect();
    let wanted = [
        ("agreement", "agr-2027-bibliotek".to_owned(), Change::Vanished),
        ("agreement", "agr-2027-fjordskolen".to_owned(), Change::Differs),
        ("meeting", "mtg-bib-1".to_owned(), Change::Differs),
        ("person", "p-tr-fjord".to_owned(), Change::Changed),
    ];
    assert_eq!(changed, wanted.iter().collect::<Vec<_>>());
    let row = store.person(person).await.unwrap().unwrap();
    assert_eq!((row.title.as_str(), row.access_version), ("Viceskoleleder", version + 1));
    let placements = store.placements(person).await.unwrap();
    assert_eq!(placements.iter().map(|placement| placement.org.0).collect::<Vec<_>>(), [imported("klitskolen")]);
    let title = sqlx::query_scalar!(
        r#"SELECT title AS "title: String" FROM agreement_goal WHERE goal_id = $1"#,
        imported("agr-2027-fjordskolen-g1")
    );
    assert_eq!(title.fetch_one(store.pool()).await.unwrap(), "Flere dage i skole");
}

#[sqlx::test(migrations = "../migrations")]
async fn faults_are_named_with_file_place_and_reason_and_nothing_is_written(_: PgPoolOptions, options: PgConnectOptions) {
    type Alter = fn(&mut Value);
    let cases: [(&str, Alter, &str); 14] = [
        ("people.json", |v| v["people"][3]["nickname"] = json!("x"), "people[3].nickname: unknown field `nickname`"),
        ("people.json", |v| v["schema_version"] = json!(2), "schema_version: this build reads version 1 of the data"),
        ("people.json", |v| v["people"][0]["title"] = json!("a\u{0}b"), "people[0].title: holds the character U+0000"),
        ("people.json", |v| v["people"][1]["id"] = json!("p-borgmester"), "people[1].id: stands here twice: p-borgmester"),
        (
            "organisation.json",
            |v| v["nodes"][2]["parent_id"] = json!("nowhere"),
            "nodes[2].parent_id: no such node of the organisation: nowhere",
        ),
        (
            "organisation.json",
            |v| v["nodes"][0]["parent_id"] = json!("fjordskolen"),
            "nodes[0].parent_id: a node stands above itself: klitfjord",
        ),
        (
            "governance-documents.json",
            |v| v["documents"][3]["goals"][0]["parent_goal_ids"][0] = json!("vis-9"),
            "documents[3].goals[0].parent_goal_ids[0]: no such goal in a governance document: vis-9",
        ),
        ("governance-documents.json", |v| v["documents"][0]["type"] = json!("dream"), "documents[0].type: unknown variant `dream`"),
        ("meetings.json", |v| v["meetings"][0]["starts_at"] = json!("i morgen"), "meetings[0].starts_at: "),
        (
            "agreements/2027-bibliotek.json",
            |v| v["goals"][0]["links"][0]["goal_id"] = json!("str-x"),
            "goals[0].links[0].goal_id: nothing a goal can point at with this relation: str-x",
        ),
        ("agreements/2027-bibliotek.json", |v| v["status"] = json!("drafting"), "status: the events lead to signed, not to drafting"),
        (
            "agreements/2027-bibliotek.json",
            |v| v["sections"][0]["key"] = json!("underskrift"),
            "sections[0].key: the template has no text section underskrift",
        ),
        (
            "agreements/2027-bibliotek.json",
            |v| v["goals"][0]["indicators"][0]["target"] = json!(1e300),
            "goals[0].indicators[0].target: not a plain decimal number",
        ),
        (
            "feedback.json",
            |v| v["management_reports"][0]["items"][0]["status"] = json!("fine"),
            "management_reports[0].items[0].status: no such goal status in agreement-template.json: fine",
        ),
    ];
    let store = Store::as_app(options).await;
    let empty = everything(&store).await;
    for (place, (file, alter, wanted)) in cases.into_iter().enumerate() {
        let altered = Altered::new(&format!("fault-{place}"), file, alter);
        match run(altered.source(), &store, demo_now(), Mode::Apply).await {
            Err(Error::Invalid(faults)) => {
                let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
                assert!(said.iter().any(|fault| fault.starts_with(&format!("{file}: {wanted}"))), "{wanted}\n{said:#?}");
            }
            other => panic!("{wanted}: {other:?}"),
        }
    }
    let missing = Altered::new("missing", "people.json", |_| ());
    fs::remove_file(missing.0.join("roles.json")).unwrap();
    fs::write(missing.0.join("timeplan.json"), "{\"schema_version\": 1,").unwrap();
    let Err(error) = run(missing.source(), &store, demo_now(), Mode::Apply).await else { panic!("two files are not there") };
    let said = error.to_string();
    assert!(said.contains("roles.json: the file is missing") && said.contains("timeplan.json: line 1 column 21: not JSON"), "{said}");
    assert_eq!(everything(&store).await, empty);
}
