use sqlx::PgPool;

use super::*;
use crate::{
    auth::Sessions,
    clock::Clock,
    config::Limits,
    domain::ids::{DocumentId, imported},
    import,
    rooms::quarantine::Quarantine,
};

/// The demo municipality on paper.
struct Demo {
    store: Store,
    papers: Papers,
    now: DateTime<Utc>,
}

impl Demo {
    async fn new(pool: PgPool, at_once_max: usize) -> Self {
        let store = Store::new(pool);
        let now: DateTime<Utc> = "2026-11-23T13:30:00+01:00".parse().unwrap();
        import::run(import::Source::Demo, &store, now, import::Mode::Apply).await.unwrap();
        let sessions = Sessions::new(store.clone(), "http://127.0.0.1:8080");
        let data_dir = std::env::temp_dir().join(format!("samspil-papers-tests-{}", std::process::id()));
        std::fs::create_dir_all(&data_dir).unwrap();
        let quarantine = Quarantine::open(&data_dir).unwrap();
        let rooms = Rooms::start(store.clone(), sessions, Clock::frozen(now), Limits::default(), quarantine);
        let papers = Papers::new(store.clone(), rooms, at_once_max, true);
        Self { store, papers, now }
    }

    async fn document(&self, agreement: &str) -> DocumentRow {
        let which = store::agreements::Which { agreement: Some(AgreementId(imported(agreement))), ..Default::default() };
        let document: DocumentId = self.store.agreement_heads(&which).await.unwrap().pop().unwrap().document.unwrap();
        self.store.document_access(document).await.unwrap().unwrap()
    }

    async fn print(&self, document: &DocumentRow) -> Printed {
        self.papers.of(document, self.now).await.unwrap()
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_draft_is_marked_and_an_agreement_that_both_signed_is_printed_once(pool: PgPool) {
    let demo = Demo::new(pool.clone(), 1).await;
    let draft = demo.print(&demo.document("agr-2027-fjordskolen").await).await;
    assert!(draft.draft && draft.pdf.starts_with(b"%PDF-"));
    let kept = "SELECT count(*) FROM document_paper";
    assert_eq!(sqlx::query_scalar::<_, i64>(kept).fetch_one(&pool).await.unwrap(), 0);

    let signed = demo.document("agr-2027-bibliotek").await;
    let first = demo.print(&signed).await;
    assert!(!first.draft);
    sqlx::query("UPDATE municipality SET name = 'Et andet navn'").execute(&pool).await.unwrap();
    let later = demo.papers.of(&signed, demo.now + chrono::Duration::days(400)).await.unwrap();
    assert_eq!(later.pdf, first.pdf, "what was signed looks the same for ever");
    assert_eq!(sqlx::query_scalar::<_, i64>(kept).fetch_one(&pool).await.unwrap(), 1);
    let refused = sqlx::query("UPDATE document_paper SET at = now()").execute(&pool).await;
    assert!(refused.is_err(), "nobody alters it");
}

#[sqlx::test(migrations = "../migrations")]
async fn prints_at_once_max(pool: PgPool) {
    let demo = Demo::new(pool, 2).await;
    let document = demo.document("agr-2027-fjordskolen").await;
    let other = Papers::new(demo.store.clone(), demo.papers.rooms.clone(), 2, true);
    let one = demo.papers.turns.clone().acquire_owned().await.unwrap();
    demo.print(&document).await;
    let two = demo.papers.turns.clone().acquire_owned().await.unwrap();
    // A third does not begin: while it waits, somebody else does all that it has to do.
    let mut third = Box::pin(demo.papers.of(&document, demo.now));
    tokio::select! {
        biased;
        _ = &mut third => panic!("three were printed at once"),
        printed = other.of(&document, demo.now) => assert!(printed.unwrap().draft),
    }
    drop(two);
    assert!(third.await.unwrap().draft);
    drop(one);
}
