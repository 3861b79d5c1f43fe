//! An update that ends the server costs two restarts and not a loop of them (SPEC R10): the real server aborts in the middle of applying
//! it, and what it had noted is found by the next.

use samspil_client_protocol::message::{RefusalAction, RefusalCode};

use crate::harness::{Live, ServerProcess, people};

const SECTION: &str = "rammer";
/// Whatever is applied ends the server.
const ABORTS: &str = "applying:abort";

#[tokio::test(flavor = "multi_thread")]
async fn r10_an_update_that_aborts_the_server_is_refused_after_the_second_time_and_everything_else_goes_on() {
    let mut server = ServerProcess::start().await;
    let mut browser = server.browser();
    browser.sign_in(people::LEADER).await;
    let document = browser.document_of("Fjordskolen").await;
    let mut leader = Live::open(browser.door(document)).await;
    leader.type_in(SECTION, 0, "gode ord ").await;
    leader.until_settled().await;

    server = server.kill_and_restart_to_stop_at(ABORTS).await;
    leader.reconnect().await;
    leader.type_in(SECTION, 0, "onde ord ").await;
    leader.until_closed().await;
    server.aborted().await;

    // The same words come back as a sync step 2: other bytes.
    server = server.kill_and_restart_to_stop_at(ABORTS).await;
    leader.connect().await.expect("the upgrade is accepted");
    leader.until_closed().await;
    server.aborted().await;

    server = server.kill_and_restart_to_stop_at(ABORTS).await;
    leader.connect().await.expect("the upgrade is accepted");
    leader.until("refused", |leader| !leader.refused.is_empty()).await;
    let refused = leader.refused[0];
    assert_eq!((refused.code, refused.action), (RefusalCode::Quarantined, RefusalAction::KeepAsProposal));
    let content = browser.content(document).await;
    assert!(content.contains("gode ord") && !content.contains("onde ord"), "the server lives, and the document is as it was");
    drop(leader);

    // Others write on, in this document and in another.
    server = server.kill_and_restart().await;
    let mut head = server.browser();
    head.sign_in(people::HEAD).await;
    for school in ["Fjordskolen", "Klitskolen"] {
        let document = head.document_of(school).await;
        let mut live = Live::open(head.door(document)).await;
        live.type_in(SECTION, 0, "flere ord ").await;
        live.until_settled().await;
        assert!(live.refused.is_empty(), "{school}");
        let content = head.content(document).await;
        assert!(content.contains("flere ord") && !content.contains("onde ord"), "{school}");
    }

    // Nothing is suspected of what was applied to the end, however the server then ends.
    server = server.kill_and_restart_to_stop_at(ABORTS).await;
    let document = head.document_of("Fjordskolen").await;
    let live = Live::open(head.door(document)).await;
    assert!(live.says("flere ord"));
    assert_eq!(server.terminate().await, Some(0));
}
