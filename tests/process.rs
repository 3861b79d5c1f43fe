//! The server as a process: it may be killed at any moment, and stops when asked to.

use std::time::Instant;

use crate::harness::{ServerProcess, people};

#[tokio::test]
async fn a_killed_server_starts_again_with_everything_it_had() {
    let server = ServerProcess::start().await;
    let mut browser = server.browser();
    browser.sign_in(people::LEADER).await;
    let before = browser.get("/api/agreements").await.json();
    let server = server.kill_and_restart().await;
    // The session is still there, too: it is in the database.
    assert_eq!(browser.get("/api/agreements").await.json(), before);
    assert_eq!(server.terminate().await, Some(0));
}

/// How long it takes is printed: two seconds are the goal, and a machine that has other work decides nothing.
#[tokio::test]
async fn a_server_that_is_asked_to_stop_does_so() {
    let server = ServerProcess::start().await;
    let mut browser = server.browser();
    browser.sign_in(people::LEADER).await;
    let begun = Instant::now();
    assert_eq!(server.terminate().await, Some(0));
    println!("asked to stop: server and database took {:?}", begun.elapsed());
}
