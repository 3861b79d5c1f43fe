//! What a connection costs, and that it costs nothing any more once it is gone.

use futures_util::{SinkExt as _, StreamExt as _};
use samspil_client_protocol::frame;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::harness::{Browser, DEADLINE, Live, ServerProcess, TestServer, faults, people};

const UNIT: &str = "Fjordskolen";
/// Memory that a server may have taken beyond the first wave's: allocators give back late and never all of it. Far below what it would
/// be if each connection left something behind.
const MARGIN_BYTES: usize = 24 << 20;

/// The value of a figure that has no labels.
async fn figure(browser: &mut Browser, name: &str) -> Option<u64> {
    let answer = browser.get("/metrics").await;
    String::from_utf8_lossy(&answer.body).lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// People come, show their caret, and go: some say goodbye, some are cut off.
async fn wave(browsers: &[Browser; 2], documents: &[uuid::Uuid], count: usize) {
    let mut opening = JoinSet::new();
    for at in 0..count {
        let door = browsers[at % 2].door(documents[at % documents.len()]);
        opening.spawn(async move {
            let mut live = Live::open(door).await;
            let client = live.doc.client_id().get();
            live.send_frame(frame::awareness([(client, 1, "{\"cursor\":1}")].into_iter())).await;
            live
        });
    }
    let mut open = opening.join_all().await;
    for (at, live) in open.iter_mut().enumerate() {
        if at % 2 == 0 {
            live.send_message(Message::Close(None)).await;
            live.until_closed().await;
        } else {
            live.cut();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f15_after_waves_of_connections_nothing_of_them_is_left() {
    const WAVES: usize = 10;
    const EACH: usize = 100;
    let settings = [("SAMSPIL_LIMIT_SOCKETS_PER_SESSION_MAX", "1000"), ("SAMSPIL_LIMIT_ROOM_IDLE_S", "1"), ("SAMSPIL_LOG", "warn")];
    let mut server = ServerProcess::start_with(&settings).await;
    let (mut leader, mut head) = (server.browser(), server.browser());
    leader.sign_in(people::LEADER).await;
    head.sign_in(people::HEAD).await;
    let documents = [leader.document_of(UNIT).await];
    let browsers = [leader, head];
    let mut after_first = 0;
    let mut watcher = server.browser();
    let waves = WAVES * faults();
    for at in 0..waves {
        wave(&browsers, &documents, EACH).await;
        let give_up = Instant::now() + DEADLINE;
        loop {
            let left = [
                figure(&mut watcher, "samspil_sockets").await,
                figure(&mut watcher, "samspil_peers").await,
                figure(&mut watcher, "samspil_rooms").await,
            ];
            if left == [Some(0); 3] {
                break;
            }
            assert!(Instant::now() < give_up, "sockets, peers and rooms left after wave {at}: {left:?}");
            tokio::task::yield_now().await;
        }
        if at == 0 {
            after_first = server.resident_bytes();
        }
    }
    let grown = server.resident_bytes().saturating_sub(after_first);
    println!(
        "F15 {} connections came and went · memory after the first {EACH} {} KiB, grown by {} KiB",
        waves * EACH,
        after_first >> 10,
        grown >> 10
    );
    assert!(grown < MARGIN_BYTES, "{grown} bytes more than after the first wave");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_goodbye_is_answered_with_its_own_words_and_a_ping_with_its_own_body() {
    let server = TestServer::start().await;
    let mut leader = server.sign_in(people::LEADER).await;
    let document = leader.document_of(UNIT).await;
    let mut socket = leader.door(document).knock().await.unwrap();
    socket.send(Message::Ping("er du der?".into())).await.unwrap();
    let close = CloseFrame { code: 3_000.into(), reason: "tak for i dag".into() };
    let answered = loop {
        match socket.next().await.unwrap().unwrap() {
            Message::Pong(body) => break body,
            Message::Binary(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(&answered[..], "er du der?".as_bytes());
    socket.send(Message::Close(Some(close.clone()))).await.unwrap();
    let said = loop {
        match socket.next().await.unwrap().unwrap() {
            Message::Close(close) => break close,
            Message::Binary(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(said, Some(close));
    assert!(socket.next().await.is_none(), "and the server ends the connection");
    server.stop().await;
}
