//! The log is the document (G4): rooms come and go, snapshots shorten the way, and a command proves that nothing differs.

use samspil_server::config::Limits;
use samspil_server::domain::ids::DocumentId;
use samspil_server::rooms::{Verdict, verify};
use samspil_server::store::Store;
use tokio::time::Instant;
use uuid::Uuid;

use crate::harness::{DEADLINE, Live, TestServer, people};

const SECTION: &str = "rammer";

#[tokio::test(flavor = "multi_thread")]
async fn g4_a_room_that_nobody_is_in_leaves_memory_with_a_snapshot_and_opens_as_it_was() {
    let server = TestServer::start_with(Limits { room_idle_s: 1, ..Limits::default() }).await;
    let mut browser = server.sign_in(people::LEADER).await;
    let document = browser.document_of("Fjordskolen").await;
    let mut leader = Live::open(browser.door(document)).await;
    for number in 0..150 {
        leader.type_in(SECTION, 0, &format!("[{number}]")).await;
    }
    leader.until_settled().await;
    let written = leader.content();
    assert!(server.open_rooms() >= 1);
    drop(leader);
    let deadline = Instant::now() + DEADLINE;
    while server.open_rooms() > 0 {
        assert!(Instant::now() < deadline, "the room stays although nobody is in it");
        tokio::task::yield_now().await;
    }
    let mut database = server.superuser().await;
    let (head, snapshot): (i64, i64) =
        sqlx::query_as("SELECT head, snapshot_seq FROM document WHERE id = $1").bind(document).fetch_one(&mut database).await.unwrap();
    assert!(snapshot > 1 && snapshot <= head, "no snapshot was made on the way: {snapshot} of {head}");
    assert_eq!(browser.content(document).await, written, "opened again, it is as it was");
    drop(database);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g4_the_proof_holds_for_what_is_and_fails_for_what_was_tampered_with() {
    let server = TestServer::start().await;
    let mut browser = server.sign_in(people::LEADER).await;
    let document = browser.document_of("Fjordskolen").await;
    let mut leader = Live::open(browser.door(document)).await;
    for number in 0..5 {
        leader.type_in(SECTION, 0, &format!("[{number}]")).await;
    }
    leader.until_settled().await;
    let store = Store::connect(&server.superuser_url(), 2).unwrap();
    let limits = Limits::default();
    for id in store.all_documents().await.unwrap() {
        let verdict = verify(&store, id, &limits).await.unwrap();
        assert!(matches!(verdict, Verdict::Holds { .. }), "{id}: {verdict:?}");
    }
    let id = DocumentId(document);
    let mut database = server.superuser().await;
    sqlx::query("UPDATE document_snapshot SET content_sha256 = decode(repeat('00', 32), 'hex') WHERE document_id = $1")
        .bind(document)
        .execute(&mut database)
        .await
        .unwrap();
    assert_eq!(verify(&store, id, &limits).await.unwrap(), Verdict::Differs, "a snapshot that says something else");
    sqlx::query("DELETE FROM document_update WHERE document_id = $1 AND seq = 3").bind(document).execute(&mut database).await.unwrap();
    let verdict = verify(&store, id, &limits).await.unwrap();
    assert!(matches!(&verdict, Verdict::Broken(why) if why.contains('3')), "a word taken out of the log: {verdict:?}");
    assert_eq!(verify(&store, DocumentId(Uuid::nil()), &limits).await.unwrap(), Verdict::Missing);
    store.close().await;
    drop(database);
    server.stop().await;
}
