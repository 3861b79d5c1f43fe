//! A socket: upgrade, hello, a reader and a writer. It knows who is there and how fast they may speak; what a frame means is the
//! room's to say. Refusals at the door are close codes, so that a page can tell them apart (SPEC H1, C).

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    extract::{
        FromRef, Path, State, WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket},
    },
    http::{HeaderMap, HeaderValue, header},
    response::Response,
    routing::get,
};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, stream::SplitSink, stream::SplitStream};
use samspil_client_protocol::{close::CloseCode, message::PeerPerson};
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::{
    auth::{Sessions, SignedIn},
    clock::Clock,
    config::Limits,
    domain::ids::{DocumentId, SessionId},
    http::problem::Problem,
    rooms::{
        Rooms,
        outbox::{Outbox, Taken},
        room::Newcomer,
    },
    stop_points::{self, StopPoint},
    store::Store,
};

/// The subprotocol of our own frames.
pub const SUBPROTOCOL: &str = "samspil.v1";
/// Something is sent at least so often: standard clients take a socket that says nothing for 30 s as dead.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// A socket that hears nothing, not even an answer to a ping, for so long is dead.
const SILENCE_MAX: Duration = Duration::from_mins(1);
/// Writing one round of frames may take so long.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);
/// Each socket has these, also when nothing is said; the library's own are 128 KiB each.
const READ_BUFFER_BYTES: usize = 4 << 10;
/// Frames that wait together are sent together, up to so many bytes at a time.
const WRITE_BUFFER_BYTES: usize = 16 << 10;
/// How long a peer that is told goodbye may take to say it, too.
const GOODBYE_PATIENCE: Duration = Duration::from_secs(5);
/// How often a sign-in in use by a socket is noted as used.
const SEEN_EVERY: Duration = Duration::from_mins(1);

/// An awareness message that says nothing: the heartbeat that every client understands and none reacts to.
const NOTHING: &[u8] = &[1, 1, 0];
/// How `saved` begins (SPEC H3).
const SAVED: u8 = 101;

/// What a socket needs. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    store: Store,
    sessions: Sessions,
    rooms: Rooms,
    clock: Clock,
    limits: Limits,
    origin: HeaderValue,
    open: Arc<Open>,
}

/// The sockets that are open, by session.
#[derive(Default)]
struct Open {
    sockets: Mutex<HashMap<SessionId, usize>>,
    last_gone: Notify,
}

impl Open {
    fn sockets(&self) -> MutexGuard<'_, HashMap<SessionId, usize>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gateway {
    /// A gateway for pages that come from exactly this origin, e.g. `https://samspil.example`.
    #[must_use]
    pub fn new(store: Store, sessions: Sessions, rooms: Rooms, clock: Clock, limits: Limits, origin: HeaderValue) -> Self {
        Self { store, sessions, rooms, clock, limits, origin, open: Arc::default() }
    }

    /// Waits until the last socket is gone: every one has then been told why.
    pub async fn all_gone(&self) {
        loop {
            let last_gone = self.open.last_gone.notified();
            if self.open.sockets().is_empty() {
                return;
            }
            last_gone.await;
        }
    }
}

/// `GET /live/{document_id}`.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S>
where
    Gateway: FromRef<S>,
{
    Router::new().route("/live/{document}", get(upgrade))
}

async fn upgrade(
    State(gateway): State<Gateway>,
    Path(document): Path<String>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    if headers.get(header::ORIGIN) != Some(&gateway.origin) {
        return Err(Problem::forbidden());
    }
    let signed_in = gateway.sessions.authenticate(&headers, gateway.clock.now()).await?;
    let document = Uuid::parse_str(&document).map(DocumentId).ok();
    let samspil = offers_ours(&headers);
    let upgrade = upgrade
        .protocols([SUBPROTOCOL])
        .max_message_size(gateway.limits.frame_bytes_max)
        .max_frame_size(gateway.limits.frame_bytes_max)
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES);
    Ok(upgrade.on_upgrade(move |socket| async move {
        match (signed_in, document) {
            (None, _) => close(socket, CloseCode::SignIn, "sign in").await,
            (Some(_), None) => close(socket, CloseCode::NotFound, why(CloseCode::NotFound)).await,
            (Some(signed_in), Some(document)) => gateway.serve(socket, document, signed_in, samspil).await,
        }
    }))
}

fn offers_ours(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|offered| offered.trim() == SUBPROTOCOL)
}

impl Gateway {
    async fn serve(self, socket: WebSocket, document: DocumentId, signed_in: SignedIn, samspil: bool) {
        let session = signed_in.principal.session;
        let Some(_place) = self.take_place(session) else {
            close(socket, CloseCode::ComeBack, "too many open pages").await;
            return;
        };
        let newcomer = match self.newcomer(&signed_in, samspil).await {
            Ok(Some(newcomer)) => newcomer,
            Ok(None) => return close(socket, CloseCode::SignIn, "sign in").await,
            Err(error) => {
                tracing::error!(document.id = %document, error = &error as &dyn std::error::Error, "a socket could not be served");
                return close(socket, CloseCode::ComeBack, "not available at the moment").await;
            }
        };
        let outbox = Arc::new(Outbox::new(self.limits.peer_queue_bytes_max, self.limits.peer_queue_messages_max));
        let (room, peer) = match self.rooms.join(document, newcomer, outbox.clone()).await {
            Ok(joined) => joined,
            Err(code) => return close(socket, code, why(code)).await,
        };
        metrics::gauge!("samspil_peers").increment(1);
        let began = Instant::now();
        let (sink, stream) = socket.split();
        let farewell = CancellationToken::new();
        let writer = tokio::spawn(write(sink, outbox.clone(), farewell.clone().drop_guard()));
        let mut dismissed = pin!(dismissed(farewell));
        let mut reader = Reader {
            stream,
            outbox: outbox.clone(),
            updates: Bucket::new(self.limits.peer_updates_per_s, self.limits.peer_updates_burst),
            bytes: Bucket::new(self.limits.peer_bytes_per_s, self.limits.peer_bytes_per_s.max(saturating(self.limits.frame_bytes_max))),
            heard: Instant::now(),
            traffic: Traffic::new("in"),
        };
        let mut seen = Instant::now();
        let stalled = Duration::from_secs(self.limits.peer_stalled_s);
        let ended = loop {
            let next = tokio::select! {
                next = reader.next() => next,
                () = &mut dismissed => Err("told goodbye and did not go"),
            };
            match next {
                Ok(frame) => {
                    // A page left open shows its caret for ever; that is no use of a sign-in. Writing is.
                    let is_use = matches!(frame[..], [0, 1 | 2, ..]);
                    if is_use {
                        stop_points::reach(StopPoint::FrameReceived);
                    }
                    match tokio::time::timeout(stalled, room.frame(peer, frame)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(_)) => break "the room ended",
                        Err(_) => {
                            outbox.close(CloseCode::ComeBack, "nothing can be taken in at the moment");
                            break "no progress for too long";
                        }
                    }
                    if is_use && seen.elapsed() >= SEEN_EVERY {
                        seen = Instant::now();
                        if let Err(error) = self.sessions.seen(session, self.clock.now()).await {
                            tracing::warn!(error = &error as &dyn std::error::Error, "a sign-in in use was not noted");
                        }
                    }
                }
                Err(ended) => break ended,
            }
        };
        room.leave(peer).await;
        let closed = outbox.closed();
        count_close(closed);
        outbox.close(CloseCode::ComeBack, "the connection ended");
        // The writer ends by itself once it has said goodbye, or has tried to for long enough.
        let sent = writer.await.unwrap_or_else(|_| Traffic::new("out"));
        let heard = reader.hear_out().await;
        metrics::gauge!("samspil_peers").decrement(1);
        tracing::info!(
            document.id = %document, person.id = %signed_in.principal.person, peer.id = peer.0, ended, code = code_name(closed),
            frames_in = heard.frames, bytes_in = heard.bytes, frames_out = sent.frames, bytes_out = sent.bytes,
            duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX), "a connection ended"
        );
    }

    /// Versions first, then what they stand for: a change in between shows as an old version and is loaded again.
    async fn newcomer(&self, signed_in: &SignedIn, samspil: bool) -> crate::store::Result<Option<Newcomer>> {
        let (person, session) = (signed_in.principal.person, signed_in.principal.session);
        let versions = self.store.versions(&[], &[person], &[session]).await?;
        let Some(signed_in) = self.sessions.current(session, self.clock.now()).await? else { return Ok(None) };
        let Some(row) = self.store.person(person).await? else { return Ok(None) };
        Ok(Some(Newcomer {
            person_version: versions.persons.get(&person).copied().unwrap_or(-1),
            session_version: versions.sessions.get(&session).copied().unwrap_or(-1),
            session_until: signed_in.expiry.absolute,
            person: PeerPerson { id: row.id, initials: row.initials(), name: row.display_name, colour: 1 },
            principal: signed_in.principal,
            samspil,
        }))
    }

    /// One of the session's places for sockets; given back when dropped.
    fn take_place(&self, session: SessionId) -> Option<PlaceTaken> {
        let mut open = self.open.sockets();
        let taken = open.entry(session).or_default();
        (*taken < self.limits.sockets_per_session_max).then(|| {
            *taken += 1;
            PlaceTaken { session, open: self.open.clone() }
        })
    }
}

struct PlaceTaken {
    session: SessionId,
    open: Arc<Open>,
}

impl Drop for PlaceTaken {
    fn drop(&mut self) {
        let mut open = self.open.sockets();
        if let Some(taken) = open.get_mut(&self.session) {
            *taken -= 1;
            if *taken == 0 {
                open.remove(&self.session);
            }
        }
        if open.is_empty() {
            self.open.last_gone.notify_waiters();
        }
    }
}

struct Reader {
    stream: SplitStream<WebSocket>,
    outbox: Arc<Outbox>,
    updates: Bucket,
    bytes: Bucket,
    heard: Instant,
    traffic: Traffic,
}

/// What has gone over one socket in one direction.
struct Traffic {
    frames: u64,
    bytes: u64,
    all_frames: metrics::Counter,
    all_bytes: metrics::Counter,
}

impl Traffic {
    fn new(direction: &'static str) -> Self {
        Self {
            frames: 0,
            bytes: 0,
            all_frames: metrics::counter!("samspil_frames_total", "direction" => direction),
            all_bytes: metrics::counter!("samspil_frame_bytes_total", "direction" => direction),
        }
    }

    fn count(&mut self, frame: &Bytes) {
        let bytes = frame.len() as u64;
        (self.frames, self.bytes) = (self.frames + 1, self.bytes + bytes);
        self.all_frames.increment(1);
        self.all_bytes.increment(bytes);
    }
}

fn count_close(code: Option<CloseCode>) {
    metrics::counter!("samspil_closes_total", "code" => code_name(code)).increment(1);
}

/// A close code as figures and log lines name it; without one, it was the peer who went.
const fn code_name(code: Option<CloseCode>) -> &'static str {
    match code {
        None => "gone",
        Some(CloseCode::FrameTooLarge) => "1009",
        Some(CloseCode::ComeBack) => "4000",
        Some(CloseCode::Resync) => "4001",
        Some(CloseCode::SignIn) => "4401",
        Some(CloseCode::Stop) => "4403",
        Some(CloseCode::NotFound) => "4404",
        Some(CloseCode::NewClientId) => "4409",
    }
}

impl Reader {
    /// Reads what the peer still says, for a moment: closing on unread bytes resets the connection, and our last word may be lost.
    async fn hear_out(mut self) -> Traffic {
        let _ = tokio::time::timeout(GOODBYE_PATIENCE, async { while let Some(Ok(_)) = self.stream.next().await {} }).await;
        self.traffic
    }

    /// The next frame, not before the peer may speak again. `Err`: why there is none.
    async fn next(&mut self) -> Result<Bytes, &'static str> {
        loop {
            let Ok(message) = tokio::time::timeout_at(self.heard + SILENCE_MAX, self.stream.next()).await else {
                return Err("silent for too long");
            };
            self.heard = Instant::now();
            match message {
                Some(Ok(Message::Binary(frame))) => {
                    self.traffic.count(&frame);
                    let wait = self.bytes.take(saturating(frame.len())).max(self.updates.take(1));
                    if !wait.is_zero() {
                        tokio::time::sleep(wait).await;
                        // Slowed down is not silent.
                        self.heard = Instant::now();
                    }
                    return Ok(frame);
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Text(_))) => {
                    self.outbox.close(CloseCode::Stop, "text frames are not spoken here");
                    return Err("spoke text");
                }
                Some(Ok(Message::Close(_))) | None => return Err("closed"),
                Some(Err(error)) => {
                    if is_too_large(&error) {
                        self.outbox.close(CloseCode::FrameTooLarge, "the frame is too large");
                        return Err("a frame was too large");
                    }
                    return Err("broke off");
                }
            }
        }
    }
}

/// Waits until the peer has been told goodbye and has had its time to go.
async fn dismissed(farewell: CancellationToken) {
    farewell.cancelled().await;
    tokio::time::sleep(GOODBYE_PATIENCE).await;
}

/// axum hides tungstenite's error; its words say whether a size was passed.
fn is_too_large(error: &axum::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.to_string().contains("too long") || error.to_string().contains("Space limit exceeded") {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Sends what waits, all of it in one go, and a heartbeat. The ping is for us: who only reads is heard by its answer.
async fn write(mut sink: SplitSink<WebSocket, Message>, outbox: Arc<Outbox>, _farewell: DropGuard) -> Traffic {
    let mut traffic = Traffic::new("out");
    let mut beat_at = Instant::now() + HEARTBEAT;
    loop {
        let taken = match tokio::time::timeout_at(beat_at, outbox.take()).await {
            Ok(taken) => taken,
            Err(_) => Taken { frames: [Bytes::from_static(NOTHING)].into(), close: None },
        };
        let beat = Instant::now() >= beat_at;
        if beat {
            beat_at = Instant::now() + HEARTBEAT;
        }
        let goodbye = taken.close;
        let sent = tokio::time::timeout(WRITE_PATIENCE, async {
            if beat {
                sink.feed(Message::Ping(Bytes::new())).await?;
            }
            let mut said_saved = false;
            for frame in taken.frames {
                match frame[..] {
                    [SAVED, ..] => {
                        stop_points::reach(StopPoint::BeforeSaved);
                        said_saved = true;
                    }
                    [0, 2, ..] => stop_points::reach(StopPoint::BeforeFanOut),
                    _ => {}
                }
                traffic.count(&frame);
                sink.feed(Message::Binary(frame)).await?;
            }
            if let Some((code, why)) = goodbye {
                sink.feed(Message::Close(Some(CloseFrame { code: code.code(), reason: why.into() }))).await?;
            }
            sink.flush().await?;
            if said_saved {
                stop_points::reach(StopPoint::AfterSaved);
            }
            Ok::<(), axum::Error>(())
        })
        .await;
        if goodbye.is_some() || !matches!(sent, Ok(Ok(()))) {
            // The reader learns of it from the closed stream.
            let _ = tokio::time::timeout(WRITE_PATIENCE, sink.close()).await;
            outbox.close(CloseCode::ComeBack, "the connection ended");
            return traffic;
        }
    }
}

/// The words beside a code with which the door is shut. One for each code: no document and one that may not be seen sound alike.
fn why(code: CloseCode) -> &'static str {
    if code == CloseCode::NotFound { "no such document" } else { "not available at the moment" }
}

async fn close(mut socket: WebSocket, code: CloseCode, why: &'static str) {
    count_close(Some(code));
    tracing::info!(code = code.code(), ended = why, "a connection was turned away");
    let frame = CloseFrame { code: code.code(), reason: why.into() };
    // It may be gone already.
    let _ = tokio::time::timeout(GOODBYE_PATIENCE, async {
        socket.send(Message::Close(Some(frame))).await?;
        // Its own goodbye, and whatever it sent before: closing on unread bytes resets the connection, and the code may be lost.
        while let Some(Ok(_)) = socket.recv().await {}
        Ok::<(), axum::Error>(())
    })
    .await;
}

fn saturating(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Lets so many a second through, and so many at once after a pause. What is more has to wait; nothing is lost.
struct Bucket {
    per_s: f64,
    burst: f64,
    left: f64,
    at: Instant,
}

impl Bucket {
    fn new(per_s: u32, burst: u32) -> Self {
        let burst = f64::from(burst.max(1));
        Self { per_s: f64::from(per_s.max(1)), burst, left: burst, at: Instant::now() }
    }

    /// Takes so many, and answers how long to wait for them.
    fn take(&mut self, number: u32) -> Duration {
        let now = Instant::now();
        self.left = (self.left + now.duration_since(self.at).as_secs_f64() * self.per_s).min(self.burst) - f64::from(number);
        self.at = now;
        if self.left >= 0.0 { Duration::ZERO } else { Duration::from_secs_f64(-self.left / self.per_s) }
    }
}

/// The origin of an address: scheme, host and port as a browser writes them.
#[must_use]
pub fn origin_of(public_url: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(public_url.trim_end_matches('/')).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn l8_a_peer_beyond_its_rate_waits_and_loses_nothing() {
        let mut bucket = Bucket::new(60, 200);
        assert!((0..200).all(|_| bucket.take(1).is_zero()), "a burst passes");
        let wait = bucket.take(1);
        assert!(wait > Duration::ZERO && wait < Duration::from_millis(20), "then one every 60th of a second: {wait:?}");
        tokio::time::sleep(wait).await;
        assert!(bucket.take(1) > Duration::ZERO);
    }
}
