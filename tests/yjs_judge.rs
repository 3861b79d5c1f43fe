//! Live documents through clients that others wrote: Yjs and its WebSocket provider, unchanged (`judges/yjs`).

use serde_json::json;
use tokio::process::Command;
use uuid::Uuid;

use crate::harness::{TestServer, faults, people};

#[tokio::test(flavor = "multi_thread")]
async fn g3_f6_yjs_own_clients_write_lose_their_line_and_end_with_what_is_on_disk() {
    let server = TestServer::start().await;
    let mut leader = server.sign_in(people::LEADER).await;
    let head = server.sign_in(people::HEAD).await;
    let document = leader.document_of("Fjordskolen").await;
    let named = std::env::var("SAMSPIL_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u32 = named.unwrap_or_else(|| Uuid::new_v4().as_fields().0);
    let task = json!({
        "origin": leader.door(document).origin, "document": document, "seed": seed, "rounds": 5 * faults(),
        "cookies": [leader.cookie(), head.cookie(), leader.cookie(), head.cookie()],
    });
    let judge = Command::new("node")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/judges/yjs/judge.mjs"))
        .arg(task.to_string())
        .output()
        .await
        .expect("Node is needed for the outside judge");
    print!("{}", String::from_utf8_lossy(&judge.stdout));
    assert!(
        judge.status.success(),
        "{}\nagain: SAMSPIL_SEED={seed} cargo test -p samspil-tests --test all yjs_judge",
        String::from_utf8_lossy(&judge.stderr)
    );
    server.stop().await;
}
