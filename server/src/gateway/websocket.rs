//! RFC 6455 as far as a server needs it whose peers are quiet most of the time: nothing is held for a socket on which nothing is said,
//! and what is sent to many is sent from the bytes that all of them share. No extensions. What a frame means is not known here.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    time::Duration,
};

use axum::http::{HeaderMap, HeaderValue, Method, header};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::{Buf, Bytes, BytesMut};
use sha1::{Digest, Sha1};
use tokio::{net::TcpStream, time::Instant};

/// Taken from the machine at a time; on the stack, so that a socket that waits holds none of it.
const READ_BYTES: usize = 8 << 10;
/// Frames given to the machine at a time.
const WRITE_FRAMES: usize = 32;
/// The longest frame header that a server writes.
const HEADER_BYTES: usize = 10;
/// The longest body of a ping, a pong or a goodbye.
const CONTROL_BYTES_MAX: usize = 125;

const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;

/// What a request has to say to become a socket, answered: the value of `Sec-WebSocket-Accept`. `None`: it is no such request.
pub(super) fn accept(method: &Method, headers: &HeaderMap) -> Option<HeaderValue> {
    let says = |name, word: &str| headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).any(|value| lists(value, word));
    let asks = *method == Method::GET
        && says(header::CONNECTION, "upgrade")
        && says(header::UPGRADE, "websocket")
        && headers.get(header::SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13");
    let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| asks)?;
    let digest = Sha1::new().chain_update(key).chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize();
    HeaderValue::try_from(BASE64_STANDARD.encode(digest)).ok()
}

/// Does this header list the word, between commas, however it is written?
pub(super) fn lists(value: &str, word: &str) -> bool {
    value.split(',').any(|listed| listed.trim().eq_ignore_ascii_case(word))
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// What a peer has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A whole message.
    Binary(Bytes),
    /// The beginning of one in letters; what it says is not read.
    Text,
    /// Wants a pong with the same body.
    Ping(Bytes),
    Pong,
    /// Goodbye, with code and reason as they came.
    Close(Bytes),
}

/// Why nothing more will be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unheard {
    /// The line ended without a goodbye.
    Ended,
    /// Nothing came for too long.
    Silent,
    /// A message is larger than it may be.
    TooLarge,
    /// It is not RFC 6455.
    Malformed,
}

/// The half that listens.
pub(super) struct Hearing<'s> {
    stream: &'s TcpStream,
    /// What has been read and is no whole frame yet; has no memory while it is empty.
    held: BytesMut,
    /// What a message in several frames has said so far.
    begun: Option<BytesMut>,
    message_bytes_max: usize,
    silence_max: Duration,
    pace: Bucket,
}

impl<'s> Hearing<'s> {
    /// Listens, beginning with what had been read together with the request.
    pub(super) fn new(stream: &'s TcpStream, read: &[u8], message_bytes_max: usize, silence_max: Duration, pace: Bucket) -> Self {
        Self { stream, held: read.into(), begun: None, message_bytes_max, silence_max, pace }
    }

    /// What the peer says next.
    pub(super) async fn next(&mut self) -> Result<Heard, Unheard> {
        loop {
            while let Some((last, opcode, body)) = self.frame()? {
                if let Some(heard) = self.take(last, opcode, body)? {
                    return Ok(heard);
                }
            }
            let read = self.read().await?;
            let wait = self.pace.take(u32::try_from(read).unwrap_or(u32::MAX));
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
        }
    }

    async fn read(&mut self) -> Result<usize, Unheard> {
        loop {
            match tokio::time::timeout(self.silence_max, self.stream.readable()).await {
                Err(_) => return Err(Unheard::Silent),
                Ok(Err(_)) => return Err(Unheard::Ended),
                Ok(Ok(())) => {}
            }
            match self.try_read() {
                Ok(0) => return Err(Unheard::Ended),
                Ok(read) => return Ok(read),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(_) => return Err(Unheard::Ended),
            }
        }
    }

    /// Not part of `read`, whose future would hold the bytes.
    fn try_read(&mut self) -> io::Result<usize> {
        let mut bytes = [0; READ_BYTES];
        let read = self.stream.try_read(&mut bytes)?;
        self.held.extend_from_slice(&bytes[..read]);
        Ok(read)
    }

    /// The next frame, unmasked, if all of it is here: is it the last of its message, what is it, and its body.
    fn frame(&mut self) -> Result<Option<(bool, u8, BytesMut)>, Unheard> {
        let [first, second, ..] = self.held[..] else { return Ok(None) };
        // Reserved bits belong to extensions, and what a browser says is masked.
        if first & 0x70 != 0 || second & MASKED == 0 {
            return Err(Unheard::Malformed);
        }
        let (length, at) = match second & !MASKED {
            126 => (self.held.get(2..4).map(|mut bytes| u64::from(bytes.get_u16())), 4),
            127 => (self.held.get(2..10).map(|mut bytes| bytes.get_u64()), 10),
            short => (Some(u64::from(short)), 2),
        };
        let Some(length) = length else { return Ok(None) };
        let (last, opcode) = (first & FINAL != 0, first & 0x0f);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if opcode >= 8 && (length > CONTROL_BYTES_MAX || !last) {
            return Err(Unheard::Malformed);
        }
        let before = self.begun.as_ref().map_or(0, BytesMut::len);
        if opcode < 8 && length > self.message_bytes_max - before {
            return Err(Unheard::TooLarge);
        }
        let Some(mask) = self.held.get(at..at + 4).and_then(|mask| <[u8; 4]>::try_from(mask).ok()) else { return Ok(None) };
        if self.held.len() < at + 4 + length {
            return Ok(None);
        }
        self.held.advance(at + 4);
        let mut body = self.held.split_to(length);
        if self.held.is_empty() {
            self.held = BytesMut::new();
        }
        unmask(&mut body, mask);
        Ok(Some((last, opcode, body)))
    }

    /// What this frame says, if it completes anything.
    fn take(&mut self, last: bool, opcode: u8, body: BytesMut) -> Result<Option<Heard>, Unheard> {
        match (opcode, self.begun.take()) {
            (0, Some(mut begun)) => {
                begun.unsplit(body);
                Ok(self.message(last, begun))
            }
            (2, None) => Ok(self.message(last, body)),
            (1, None) => Ok(Some(Heard::Text)),
            (8.., begun) => {
                self.begun = begun;
                match opcode {
                    8 if body.len() != 1 => Ok(Some(Heard::Close(body.freeze()))),
                    9 => Ok(Some(Heard::Ping(body.freeze()))),
                    10 => Ok(Some(Heard::Pong)),
                    _ => Err(Unheard::Malformed),
                }
            }
            _ => Err(Unheard::Malformed),
        }
    }

    fn message(&mut self, last: bool, body: BytesMut) -> Option<Heard> {
        if last {
            return Some(Heard::Binary(body.freeze()));
        }
        self.begun = Some(body);
        None
    }
}

fn unmask(body: &mut [u8], mask: [u8; 4]) {
    let wide = u64::from_ne_bytes([mask, mask].concat().try_into().unwrap_or_default());
    let mut chunks = body.chunks_exact_mut(8);
    for chunk in &mut chunks {
        let plain = u64::from_ne_bytes((&*chunk).try_into().unwrap_or_default()) ^ wide;
        chunk.copy_from_slice(&plain.to_ne_bytes());
    }
    for (byte, mask) in chunks.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

/// Says all of these, in order, each as a frame of its own, and takes them out as they are gone; of the first, `begun` bytes have been said
/// already, its header included. May be dropped only if nothing is said on this stream afterwards.
pub(super) async fn say(stream: &TcpStream, kind: Kind, bodies: &mut VecDeque<Bytes>, mut begun: usize) -> io::Result<()> {
    loop {
        match say_now(stream, kind, bodies, &mut begun) {
            Ok(()) if bodies.is_empty() => return Ok(()),
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.writable().await?,
            Err(error) => return Err(error),
        }
    }
}

/// Says some of these, as much as the machine takes at once.
pub(super) fn say_now(stream: &TcpStream, kind: Kind, bodies: &mut VecDeque<Bytes>, begun: &mut usize) -> io::Result<()> {
    if bodies.is_empty() {
        return Ok(());
    }
    match try_say(stream, kind, bodies, *begun) {
        Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
        Ok(written) => *begun += written,
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
        Err(error) => return Err(error),
    }
    while let Some(first) = bodies.pop_front_if(|first| *begun >= length(kind, first)) {
        *begun -= length(kind, &first);
    }
    Ok(())
}

/// Says one thing.
pub(super) async fn say_one(stream: &TcpStream, kind: Kind, body: Bytes) -> io::Result<()> {
    say(stream, kind, &mut VecDeque::from([body]), 0).await
}

/// Not part of `say`, whose future would hold all of this.
fn try_say(stream: &TcpStream, kind: Kind, bodies: &VecDeque<Bytes>, begun: usize) -> io::Result<usize> {
    let mut headers = [([0; HEADER_BYTES], 0); WRITE_FRAMES];
    for (place, body) in headers.iter_mut().zip(bodies) {
        *place = prefix(kind, body);
    }
    let mut slices = [IoSlice::new(&[]); 2 * WRITE_FRAMES];
    for ((pair, (header, length)), body) in slices.as_chunks_mut::<2>().0.iter_mut().zip(&headers).zip(bodies) {
        *pair = [IoSlice::new(&header[..*length]), IoSlice::new(body)];
    }
    let mut rest = &mut slices[..2 * bodies.len().min(WRITE_FRAMES)];
    IoSlice::advance_slices(&mut rest, begun);
    stream.try_write_vectored(rest)
}

/// How long it is with its header.
fn length(kind: Kind, body: &Bytes) -> usize {
    prefix(kind, body).1 + body.len()
}

/// The header before this body, and how long that is.
fn prefix(kind: Kind, body: &Bytes) -> ([u8; HEADER_BYTES], usize) {
    let mut header = [0; HEADER_BYTES];
    header[0] = FINAL | kind as u8;
    match (u8::try_from(body.len()), u16::try_from(body.len())) {
        (Ok(short @ ..126), _) => {
            header[1] = short;
            (header, 2)
        }
        (_, Ok(medium)) => {
            header[1] = 126;
            header[2..4].copy_from_slice(&medium.to_be_bytes());
            (header, 4)
        }
        _ => {
            header[1] = 127;
            header[2..].copy_from_slice(&(body.len() as u64).to_be_bytes());
            (header, HEADER_BYTES)
        }
    }
}

/// Lets so many a second through, and so many at once after a pause. What is more has to wait; nothing is lost.
pub(super) struct Bucket {
    per_s: f64,
    burst: f64,
    left: f64,
    at: Instant,
}

impl Bucket {
    /// So many a second, and so many at once.
    pub(super) fn new(per_s: u32, burst: u32) -> Self {
        let burst = f64::from(burst.max(1));
        Self { per_s: f64::from(per_s.max(1)), burst, left: burst, at: Instant::now() }
    }

    /// Takes so many, and answers how long to wait for them.
    pub(super) fn take(&mut self, number: u32) -> Duration {
        let now = Instant::now();
        self.left = (self.left + now.duration_since(self.at).as_secs_f64() * self.per_s).min(self.burst) - f64::from(number);
        self.at = now;
        if self.left >= 0.0 { Duration::ZERO } else { Duration::from_secs_f64(-self.left / self.per_s) }
    }
}

#[cfg(test)]
mod tests;
