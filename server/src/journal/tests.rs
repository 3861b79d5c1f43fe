use serde_json::Value;
use sqlx::PgPool;

use super::*;
use crate::{
    auth::Sessions,
    config::Limits,
    domain::ids::{AgreementId, DocumentId, imported},
    import,
    rooms::{Rooms, quarantine::Quarantine},
};

/// The demo municipality with a folder for its records system.
struct Demo {
    store: Store,
    courier: Courier,
    dir: PathBuf,
}

impl Demo {
    async fn new(pool: PgPool, name: &str) -> Self {
        let store = Store::new(pool);
        let now: DateTime<Utc> = "2026-11-23T13:30:00+01:00".parse().unwrap();
        import::run(import::Source::Demo, &store, now, import::Mode::Apply).await.unwrap();
        let dir = std::env::temp_dir().join(format!("samspil-journal-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(dir.join("data")).unwrap();
        std::fs::create_dir(dir.join("esdh")).unwrap();
        let sessions = Sessions::new(store.clone(), "http://127.0.0.1:8080");
        let clock = Clock::frozen(now);
        let quarantine = Quarantine::open(&dir.join("data")).unwrap();
        let rooms = Rooms::start(store.clone(), sessions, clock, Limits::default(), quarantine);
        let papers = Papers::new(store.clone(), rooms, 1, true);
        let courier = Courier::new(store.clone(), papers, clock, dir.join("esdh"));
        Self { store, courier, dir }
    }

    async fn document(&self, agreement: &str) -> DocumentId {
        let which = store::agreements::Which { agreement: Some(AgreementId(imported(agreement))), ..Default::default() };
        self.store.agreement_heads(&which).await.unwrap().pop().unwrap().document.unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.join("esdh")).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn every_signed_agreement_is_delivered_whole_and_once(pool: PgPool) {
    let demo = Demo::new(pool.clone(), "once").await;
    // As if none had ever been handed over.
    sqlx::query("DELETE FROM journal_delivery").execute(&pool).await.unwrap();
    demo.courier.round().await.unwrap();
    let library = AgreementId(imported("agr-2027-bibliotek"));
    let name = format!("aftale-{}-v1", library.0);
    let names = demo.names();
    assert_eq!(names.len(), 4, "a PDF and a description of each of two: {names:?}");
    assert!(names.contains(&format!("{name}.pdf")) && names.contains(&format!("{name}.json")), "{names:?}");
    let pdf = std::fs::read(demo.dir.join("esdh").join(format!("{name}.pdf"))).unwrap();
    let described: Value = serde_json::from_slice(&std::fs::read(demo.dir.join("esdh").join(format!("{name}.json"))).unwrap()).unwrap();
    assert!(pdf.starts_with(b"%PDF-"));
    assert_eq!(described["pdf_sha256"], hex::encode(sha256(&pdf)));
    for (key, value) in [("date", "2026-11-16"), ("type", "aftale"), ("municipality", "Klitfjord Kommune")] {
        assert_eq!(described[key], value, "{described}");
    }
    assert_eq!(
        (described["period"]["from"].as_str(), described["unit"]["name"].as_str()),
        (Some("2027-01-01"), Some("Klitfjord Bibliotek"))
    );
    assert_eq!(described["parties"].as_array().unwrap().len(), 2);
    assert!(described["content_sha256"].as_str().is_some_and(|hash| hash.len() == 64));
    let document = demo.document("agr-2027-bibliotek").await;
    let delivered = demo.store.delivery(document).await.unwrap().unwrap();
    assert_eq!((delivered.status.as_str(), delivered.attempts), ("delivered", 1));
    demo.courier.round().await.unwrap();
    assert_eq!(demo.store.delivery(document).await.unwrap().unwrap(), delivered, "it is not delivered again");
    assert!(!demo.store.deliver_again(document, FOLDER).await.unwrap(), "what has arrived is not sent again");
    let noted = "SELECT count(*) FROM audit_event WHERE trail_id = $1 AND type = 'journalised' AND body ->> 'document' = $2";
    let noted = sqlx::query_scalar::<_, i64>(noted).bind(library.0).bind(document.0.to_string()).fetch_one(&pool).await.unwrap();
    assert_eq!(noted, 1, "it is on the trail");
}

#[sqlx::test(migrations = "../migrations")]
async fn what_cannot_be_delivered_is_told_and_tried_again(pool: PgPool) {
    let demo = Demo::new(pool.clone(), "again").await;
    let document = demo.document("agr-2027-vej-park").await;
    assert_eq!(demo.store.delivery(document).await.unwrap().unwrap().last_error.as_deref(), Some("503 Service Unavailable"));
    demo.courier.round().await.unwrap();
    assert_eq!(demo.store.delivery(document).await.unwrap().unwrap().attempts, 7, "another system's delivery is not ours");
    // The folder's mount is away: nothing takes its place.
    std::fs::remove_dir(demo.dir.join("esdh")).unwrap();
    assert!(demo.store.deliver_again(document, FOLDER).await.unwrap());
    demo.courier.round().await.unwrap();
    let failed = demo.store.due_deliveries(FOLDER, "2027-01-01T00:00:00Z".parse().unwrap()).await.unwrap();
    assert_eq!(failed.iter().map(|due| due.attempts).collect::<Vec<_>>(), [1]);
    assert!(demo.store.due_deliveries(FOLDER, demo.courier.clock.now()).await.unwrap().is_empty(), "not at once");
    let noted =
        "SELECT count(*) FROM audit_event a JOIN agreement_event e ON e.agreement_id = a.trail_id AND e.at = a.at AND e.type = a.type
                 WHERE a.type = 'journalisation_failed' AND a.body ->> 'document' = $1 AND a.body ->> 'error' = e.error";
    let noted = sqlx::query_scalar::<_, i64>(noted).bind(document.0.to_string()).fetch_one(&pool).await.unwrap();
    assert_eq!(noted, 1, "in the agreement's life and on its trail, at the same moment");
    assert!(!demo.dir.join("esdh").exists());
    let told = demo.store.delivery(document).await.unwrap().unwrap();
    assert_eq!((told.target.as_str(), told.last_error.as_deref()), (FOLDER, Some("mappen er der ikke")));
    std::fs::create_dir(demo.dir.join("esdh")).unwrap();
    assert!(demo.store.deliver_again(document, FOLDER).await.unwrap(), "somebody asks for it");
    demo.courier.round().await.unwrap();
    let delivered = demo.store.delivery(document).await.unwrap().unwrap();
    assert_eq!((delivered.target.as_str(), delivered.status.as_str(), delivered.attempts), (FOLDER, "delivered", 2));
    assert_eq!(demo.names().len(), 2);
}

#[test]
fn it_is_tried_ever_more_seldom() {
    let waits: Vec<i64> = (0..11).map(|attempts| again_after(attempts).num_seconds()).collect();
    assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1_920, 3_840, 7_680, 14_400, 14_400]);
}
