//! Signing out, here or at the identity provider, silences every socket of that sign-in within a second.

use std::time::Duration;

use openidconnect::reqwest::Method;
use serde_json::json;

use crate::harness::{Socket, TestServer, people};

/// The code with which the server closes the socket; it has a second for it.
async fn closed_within_a_second(socket: &mut Socket) -> u16 {
    let closed = tokio::time::timeout(Duration::from_secs(1), socket.frame_where(|_| false)).await;
    closed.expect("a second is enough").unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn g5_signing_out_closes_the_sockets_of_that_sign_in_alone() {
    let server = TestServer::start().await;
    let mut leader = server.sign_in(people::LEADER).await;
    let mut head = server.sign_in(people::HEAD).await;
    let document = leader.document_of("Fjordskolen").await;
    let (mut first, mut second, mut others) = (leader.open(document).await, leader.open(document).await, head.open(document).await);
    for socket in [&mut first, &mut second, &mut others] {
        assert_eq!(socket.frame().await.unwrap()[0], 100);
    }
    assert_eq!(leader.send_json(Method::POST, "/auth/logout", &json!({})).await.status, 303);
    assert_eq!(closed_within_a_second(&mut first).await, 4401);
    assert_eq!(closed_within_a_second(&mut second).await, 4401);
    // A new socket under the old cookie is told the same.
    assert_eq!(closed_within_a_second(&mut leader.open(document).await).await, 4401);
    others.send(samspil_client_protocol::frame::sync_step1(&[0])).await;
    others.frame_where(|frame| frame.starts_with(&[0, 1])).await.expect("the other's socket lives on");
    assert_eq!(head.get("/api/me").await.status, 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g5_signing_out_at_the_provider_closes_the_sockets_of_other_browsers() {
    let server = TestServer::start().await;
    let mut office = server.sign_in(people::LEADER).await;
    let mut meeting_room = office.known_to_the_provider();
    meeting_room.sign_in(people::LEADER).await;
    let document = meeting_room.document_of("Fjordskolen").await;
    let mut socket = meeting_room.open(document).await;
    assert_eq!(socket.frame().await.unwrap()[0], 100);

    let out = office.send_json(Method::POST, "/auth/logout", &json!({})).await;
    assert_eq!(meeting_room.get("/api/me").await.status, 200, "the provider does not know yet");
    office.follow(&out).await;
    assert_eq!(closed_within_a_second(&mut socket).await, 4401);
    assert_eq!(meeting_room.get("/api/me").await.status, 401);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_again_in_the_same_browser_ends_what_was_before() {
    let server = TestServer::start().await;
    let mut browser = server.sign_in(people::LEADER).await;
    let document = browser.document_of("Fjordskolen").await;
    let mut socket = browser.open(document).await;
    assert_eq!(socket.frame().await.unwrap()[0], 100);
    browser.sign_in(people::HEAD).await;
    assert_eq!(closed_within_a_second(&mut socket).await, 4401);
    assert_eq!(browser.get("/api/me").await.json()["person"]["title"], "Skolechef");
    server.stop().await;
}
