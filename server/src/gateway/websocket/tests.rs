//! The examples of RFC 6455, and what is no frame of its. That other implementations understand us is what all tests over sockets show.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

const SILENCE: Duration = Duration::from_mins(1);
const MAX: usize = 300;

async fn line() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (ours, theirs) = tokio::join!(listener.accept(), TcpStream::connect(listener.local_addr().unwrap()));
    (ours.unwrap().0, theirs.unwrap())
}

fn fast() -> Bucket {
    Bucket::new(1 << 30, 1 << 30)
}

/// A frame as a browser sends it.
fn masked(first: u8, body: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let (mut prefix, length) = prefix(Kind::Binary, &Bytes::copy_from_slice(body));
    prefix[0] = first;
    prefix[1] |= MASKED;
    let body = body.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    prefix[..length].iter().copied().chain(mask).chain(body).collect()
}

/// What is heard of these bytes, up to and with what ends it.
async fn heard(bytes: &[u8]) -> (Vec<Heard>, Unheard) {
    let (ours, mut theirs) = line().await;
    theirs.write_all(bytes).await.unwrap();
    drop(theirs);
    let mut hearing = Hearing::new(&ours, &[], MAX, SILENCE, fast());
    let mut heard = Vec::new();
    loop {
        match hearing.next().await {
            Ok(next) => heard.push(next),
            Err(unheard) => return (heard, unheard),
        }
    }
}

fn binary(body: &[u8]) -> Heard {
    Heard::Binary(Bytes::copy_from_slice(body))
}

#[test]
fn the_key_is_answered_as_in_the_rfc() {
    let headers = |words: &[(&'static str, &'static str)]| -> HeaderMap {
        words.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    };
    let asks = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    assert_eq!(accept(&Method::GET, &headers(&asks)).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(accept(&Method::HEAD, &headers(&asks)), None);
    for left_out in 0..asks.len() {
        let some: Vec<_> = asks.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, ask)| *ask).collect();
        assert_eq!(accept(&Method::GET, &headers(&some)), None, "without {}", asks[left_out].0);
    }
}

#[tokio::test]
async fn messages_are_heard_whole_however_they_come() {
    let long: Vec<u8> = (0..=255).collect();
    let mut bytes = Vec::new();
    bytes.extend(masked(0x82, b""));
    bytes.extend(masked(0x82, &long));
    // In three frames, with a ping between them.
    bytes.extend(masked(0x02, b"et "));
    bytes.extend(masked(0x89, b"er du der?"));
    bytes.extend(masked(0x00, b"ord"));
    bytes.extend(masked(0x80, b" mere"));
    bytes.extend(masked(0x8a, b""));
    bytes.extend(masked(0x88, &[0x03, 0xe8]));
    let expected = vec![
        binary(b""),
        binary(&long),
        Heard::Ping(Bytes::from_static(b"er du der?")),
        binary(b"et ord mere"),
        Heard::Pong,
        Heard::Close(Bytes::from_static(&[0x03, 0xe8])),
    ];
    assert_eq!(heard(&bytes).await, (expected.clone(), Unheard::Ended));

    // Byte by byte, the first of them together with the request.
    let (ours, mut theirs) = line().await;
    theirs.set_nodelay(true).unwrap();
    let (first, rest) = bytes.split_at(3);
    let mut hearing = Hearing::new(&ours, first, MAX, SILENCE, fast());
    let listening = async {
        let mut heard = Vec::new();
        while heard.len() < expected.len() {
            heard.push(hearing.next().await.unwrap());
        }
        heard
    };
    let speaking = async {
        for byte in rest {
            theirs.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(tokio::join!(listening, speaking).0, expected);
    assert_eq!(hearing.held.capacity(), 0, "who says nothing holds nothing");
}

#[tokio::test]
async fn l1_a_message_of_the_largest_size_is_heard_and_a_larger_one_is_not() {
    let body = [7; MAX + 1];
    assert_eq!(heard(&masked(0x82, &body[..MAX])).await, (vec![binary(&body[..MAX])], Unheard::Ended));
    assert_eq!(heard(&masked(0x82, &body)).await, (vec![], Unheard::TooLarge));
    // Refused by what it says of itself, before it has come.
    assert_eq!(heard(&[0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).await, (vec![], Unheard::TooLarge));
    let in_two = [masked(0x02, &body[..MAX]), masked(0x80, b"x")].concat();
    assert_eq!(heard(&in_two).await, (vec![], Unheard::TooLarge));
}

#[tokio::test]
async fn what_is_no_frame_of_a_browser_is_not_heard() {
    let unmasked = [0x82, 0x01, b'x'];
    let cases: [(&str, Vec<u8>); 9] = [
        ("not masked", unmasked.into()),
        ("an extension's bit", masked(0xc2, b"x")),
        ("a continuation of nothing", masked(0x80, b"x")),
        ("a message within a message", [masked(0x02, b"x"), masked(0x82, b"x")].concat()),
        ("a ping in parts", masked(0x09, b"x")),
        ("a long ping", masked(0x89, &[0; CONTROL_BYTES_MAX + 1])),
        ("an unknown opcode", masked(0x83, b"x")),
        ("an unknown control opcode", masked(0x8b, b"x")),
        ("half a close code", masked(0x88, &[3])),
    ];
    for (what, bytes) in cases {
        assert_eq!(heard(&bytes).await, (vec![], Unheard::Malformed), "{what}");
    }
    assert_eq!(heard(&masked(0x81, b"tekst")).await, (vec![Heard::Text], Unheard::Ended));
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_for_too_long_is_heard_no_more() {
    let (ours, _theirs) = line().await;
    let mut hearing = Hearing::new(&ours, &[], MAX, SILENCE, fast());
    assert_eq!(hearing.next().await, Err(Unheard::Silent));
}

#[tokio::test]
async fn everything_is_said_once_and_in_order_to_one_who_reads_slowly() {
    let (ours, mut theirs) = line().await;
    // More frames than go at a time, of every kind of length, and more bytes than the machine takes.
    let bodies: VecDeque<Bytes> =
        (0..100_usize).map(|at| vec![u8::try_from(at).unwrap(); [0, 1, 125, 126, 70_000, 65_535][at % 6]].into()).collect();
    let expected: Vec<u8> = bodies
        .iter()
        .flat_map(|body| {
            let (prefix, length) = prefix(Kind::Binary, body);
            prefix[..length].iter().copied().chain(body.iter().copied()).collect::<Vec<u8>>()
        })
        .collect();
    assert_eq!(&expected[..2], &[0x82, 0], "never masked");
    let mut saying = bodies.clone();
    let speaking = async {
        say(&ours, Kind::Binary, &mut saying, 0).await.unwrap();
        assert!(saying.is_empty());
    };
    let mut heard = vec![0; expected.len()];
    let listening = async {
        for part in heard.chunks_mut(10_007) {
            theirs.read_exact(part).await.unwrap();
        }
    };
    tokio::join!(speaking, listening);
    assert!(heard == expected);
}

#[tokio::test(start_paused = true)]
async fn l8_a_peer_beyond_its_rate_waits_and_loses_nothing() {
    let mut bucket = Bucket::new(60, 200);
    assert!((0..200).all(|_| bucket.take(1).is_zero()), "a burst passes");
    let wait = bucket.take(1);
    assert!(wait > Duration::ZERO && wait < Duration::from_millis(20), "then one every 60th of a second: {wait:?}");
    tokio::time::sleep(wait).await;
    assert!(bucket.take(1) > Duration::ZERO);
}
