//! How fast a peer may speak, on a real line with a clock that only waiting moves: nothing is refused and nothing is lost (SPEC L8).

use tokio::{io::AsyncWriteExt as _, net::TcpListener};

use super::*;
use crate::rooms::quarantine::Quarantine;

/// A socket on which all of this has been said, and the other end of it.
async fn socket_that_hears(said: &[u8]) -> (Socket, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    peer.write_all(said).await.unwrap();
    let mut here = vec![0; said.len()];
    while !said.is_empty() && stream.peek(&mut here).await.unwrap() < said.len() {}
    (Socket { stream: Arc::new(stream), read: Bytes::new() }, peer)
}

/// A frame as a browser writes it, of so many bytes on the line.
fn frame_of(bytes: usize) -> Vec<u8> {
    let length = u8::try_from(bytes - 6).unwrap();
    assert!(length < 126, "short enough for one byte of length");
    [&[0x82, 0x80 | length, 0, 0, 0, 0][..], &vec![0; length.into()]].concat()
}

/// After how many milliseconds each of these frames is heard, when all of them have come at once.
async fn heard_after(limits: &Limits, frames: &[usize]) -> Vec<u128> {
    let said: Vec<u8> = frames.iter().flat_map(|bytes| frame_of(*bytes)).collect();
    let (socket, _peer) = socket_that_hears(&said).await;
    let began = Instant::now();
    let mut reader = Reader::new(&socket, Arc::new(Outbox::new(1, 1)), limits);
    let mut after = Vec::new();
    for _ in frames {
        assert!(reader.next().await.is_ok(), "read more slowly, never refused");
        after.push(began.elapsed().as_millis());
    }
    assert_eq!(reader.outbox.closed(), None);
    after
}

#[tokio::test(start_paused = true)]
async fn l8_peer_updates_burst() {
    let limits = Limits { peer_updates_burst: 3, peer_updates_per_s: 1, ..Limits::default() };
    assert_eq!(heard_after(&limits, &[10; 2]).await, [0; 2]);
    assert_eq!(heard_after(&limits, &[10; 3]).await, [0; 3]);
    assert_eq!(heard_after(&limits, &[10; 4]).await, [0, 0, 0, 1_000], "the fourth is heard, a second later");
}

#[tokio::test(start_paused = true)]
async fn l8_peer_updates_per_s() {
    let limits = Limits { peer_updates_burst: 1, peer_updates_per_s: 50, ..Limits::default() };
    // The first goes at once. In the second after it there are fifty more, and no fifty-first.
    let heard = heard_after(&limits, &[10; 52]).await;
    assert_eq!((heard[49], heard[50], heard[51]), (980, 1_000, 1_020));
}

#[tokio::test(start_paused = true)]
async fn l8_peer_bytes_per_s() {
    let limits = Limits { peer_bytes_per_s: 100, frame_bytes_max: 10, ..Limits::default() };
    assert_eq!(heard_after(&limits, &[9; 11]).await, [0; 11]);
    assert_eq!(heard_after(&limits, &[10; 10]).await, [0; 10]);
    assert_eq!(heard_after(&limits, &[[10; 9].as_slice(), &[11]].concat()).await, [10; 10], "one byte more is a hundredth of a second");
}

#[tokio::test(start_paused = true)]
async fn l8_peer_stalled_s() {
    let (socket, _peer) = socket_that_hears(&[]).await;
    let limits = Limits { peer_stalled_s: 30, ..Limits::default() };
    for (room_has_time_after_ms, taken) in [(29_999, true), (30_001, false)] {
        let reader = Reader::new(&socket, Arc::new(Outbox::new(1, 1)), &limits);
        let (room, mut inbox) = RoomHandle::busy();
        let began = Instant::now();
        let passed = tokio::select! {
            biased;
            passed = reader.pass_on(&room, PeerId(1), Bytes::new()) => passed,
            () = async {
                tokio::time::sleep(Duration::from_millis(room_has_time_after_ms)).await;
                inbox.recv().await;
                std::future::pending::<()>().await;
            } => unreachable!(),
        };
        if taken {
            assert_eq!((passed, reader.outbox.closed()), (Ok(()), None), "a moment before");
        } else {
            assert_eq!(passed, Err("no progress for too long"));
            assert_eq!(began.elapsed(), Duration::from_secs(30), "just then");
            assert_eq!(reader.outbox.closed(), Some(CloseCode::ComeBack));
        }
    }
}

#[tokio::test]
async fn l12_sockets_per_session_max() {
    let limits = Limits { sockets_per_session_max: 3, ..Limits::default() };
    let store = Store::connect("postgres://localhost/nobody-asks", 1).unwrap();
    let sessions = Sessions::new(store.clone(), "http://localhost");
    let data_dir = std::env::temp_dir().join(format!("samspil-gateway-tests-{}", std::process::id()));
    std::fs::create_dir_all(&data_dir).unwrap();
    let quarantine = Quarantine::open(&data_dir).unwrap();
    std::fs::remove_dir_all(data_dir).unwrap();
    let rooms = Rooms::start(store.clone(), sessions.clone(), Clock::machine(), limits.clone(), quarantine);
    let gateway = Gateway::new(store, sessions, rooms, Clock::machine(), limits, HeaderValue::from_static("http://localhost"));
    let session = SessionId(Uuid::from_u128(1));
    let places: Vec<_> = (0..4).map(|_| gateway.take_place(session)).collect();
    assert_eq!(places.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, true, false]);
    assert!(gateway.take_place(SessionId(Uuid::from_u128(2))).is_some(), "another session has its own");
    drop(places);
    assert!(gateway.take_place(session).is_some(), "and what was given back is there again");
}
