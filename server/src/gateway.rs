//! A socket: upgrade, hello, a reader and a writer. It knows who is there and how fast they may speak; what a frame means is the
//! room's to say. Refusals at the door are close codes, so that a page can tell them apart (SPEC H1, C).

use std::{
    collections::{HashMap, VecDeque},
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::{FromRef, Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use futures_util::{FutureExt as _, future::FusedFuture as _};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use samspil_client_protocol::{close::CloseCode, message::PeerPerson};
use tokio::{net::TcpStream, runtime::Handle, sync::Notify, time::Instant};
use uuid::Uuid;

mod websocket;

use self::websocket::{Bucket, Heard, Hearing, Kind, Unheard};
use crate::{
    auth::{Sessions, SignedIn},
    clock::Clock,
    config::Limits,
    connections::Place,
    domain::ids::{DocumentId, SessionId},
    http::problem::Problem,
    rooms::{
        RoomHandle, Rooms,
        outbox::{Goodbye, Line, Outbox},
        room::{Newcomer, PeerId},
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
/// How long a peer that is told goodbye may take to say it, too.
const GOODBYE_PATIENCE: Duration = Duration::from_secs(5);
/// How often a sign-in in use by a socket is noted as used.
const SEEN_EVERY: Duration = Duration::from_mins(1);

/// An awareness message that says nothing: the heartbeat that every client understands and none reacts to.
const NOTHING: &[u8] = &[1, 1, 0];
/// How `saved` begins (SPEC H3).
const SAVED: u8 = 101;

/// What a socket needs. Cheap to clone, and to hold for as long as a socket lives.
#[derive(Clone)]
pub struct Gateway(Arc<Parts>);

struct Parts {
    store: Store,
    sessions: Sessions,
    rooms: Rooms,
    clock: Clock,
    limits: Limits,
    origin: HeaderValue,
    open: Arc<Open>,
    /// The server's own runtime: the database is asked there.
    main: Handle,
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
    /// A gateway for pages that come from exactly this origin, e.g. `https://samspil.example`. Must be called on the server's runtime.
    #[must_use]
    pub fn new(store: Store, sessions: Sessions, rooms: Rooms, clock: Clock, limits: Limits, origin: HeaderValue) -> Self {
        Self(Arc::new(Parts { store, sessions, rooms, clock, limits, origin, open: Arc::default(), main: Handle::current() }))
    }

    /// Waits until the last socket is gone: every one has then been told why.
    pub async fn all_gone(&self) {
        loop {
            let last_gone = self.0.open.last_gone.notified();
            if self.0.open.sockets().is_empty() {
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

async fn upgrade(State(gateway): State<Gateway>, Path(document): Path<String>, mut request: Request) -> Result<Response, Problem> {
    if request.headers().get(header::ORIGIN) != Some(&gateway.0.origin) {
        return Err(Problem::forbidden());
    }
    let Some(accept) = websocket::accept(request.method(), request.headers()) else {
        return Err(Problem::invalid("a live document is opened as a WebSocket of version 13"));
    };
    let signed_in = gateway.0.sessions.authenticate(request.headers(), gateway.0.clock.now()).await?;
    let document = Uuid::parse_str(&document).map(DocumentId).ok();
    let samspil = offers_ours(request.headers());
    let upgraded = hyper::upgrade::on(&mut request);
    // It is a connection for as long as it is a socket.
    let place = request.extensions().get::<Place>().cloned();
    tokio::spawn(async move {
        let Some(wire) = Wire::of(upgraded).await else { return };
        let newcomer = match (signed_in, document) {
            (None, _) => Err((CloseCode::SignIn, "sign in")),
            (Some(_), None) => Err((CloseCode::NotFound, why(CloseCode::NotFound))),
            (Some(signed_in), Some(document)) => gateway.receive(document, &signed_in, samspil).await.map(|newcomer| (document, newcomer)),
        };
        match newcomer {
            Ok((document, (newcomer, taken))) => gateway.0.rooms.clone().beside(document, async move {
                let Some(socket) = wire.here() else { return };
                gateway.serve(socket, document, newcomer).await;
                drop((taken, place));
            }),
            Err((code, why)) => {
                if let Some(socket) = wire.here() {
                    close(socket, &gateway.0.limits, code, why).await;
                }
                drop(place);
            }
        }
    });
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if samspil {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    }
    Ok(response)
}

fn offers_ours(headers: &HeaderMap) -> bool {
    let offers = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL);
    offers.iter().filter_map(|value| value.to_str().ok()).any(|offered| websocket::lists(offered, SUBPROTOCOL))
}

/// A connection that has been upgraded, on no runtime, and what came together with its request.
struct Wire {
    stream: std::net::TcpStream,
    read: Bytes,
}

impl Wire {
    async fn of(upgraded: OnUpgrade) -> Option<Self> {
        let upgraded = match upgraded.await {
            Ok(upgraded) => upgraded,
            Err(error) => {
                tracing::debug!(%error, "a connection ended before it was a socket");
                return None;
            }
        };
        let parts = upgraded.downcast::<TokioIo<TcpStream>>().expect("the server listens on TCP and nothing else");
        let stream = parts.io.into_inner().into_std().inspect_err(|error| tracing::warn!(%error, "a connection was lost")).ok()?;
        // A copy: what was read is held by all of the buffer that the request came into.
        Some(Self { stream, read: Bytes::copy_from_slice(&parts.read_buf) })
    }

    /// The socket, served from now on by the runtime that this is called on.
    fn here(self) -> Option<Socket> {
        let stream = TcpStream::from_std(self.stream).inspect_err(|error| tracing::warn!(%error, "a connection was lost")).ok()?;
        Some(Socket { stream: Arc::new(stream), read: self.read })
    }
}

/// A connection that is a socket now.
struct Socket {
    stream: Arc<TcpStream>,
    read: Bytes,
}

impl Socket {
    fn hearing(&self, limits: &Limits) -> Hearing<'_> {
        let burst = limits.peer_bytes_per_s.max(saturating(limits.frame_bytes_max));
        let pace = Bucket::new(limits.peer_bytes_per_s, burst);
        Hearing::new(&self.stream, &self.read, limits.frame_bytes_max, SILENCE_MAX, pace)
    }
}

impl Gateway {
    /// Looks up who comes, and takes one of their session's places. `Err`: with which code and words the door is shut.
    async fn receive(
        &self,
        document: DocumentId,
        signed_in: &SignedIn,
        samspil: bool,
    ) -> Result<(Newcomer, PlaceTaken), (CloseCode, &'static str)> {
        let place = self.take_place(signed_in.principal.session).ok_or((CloseCode::ComeBack, "too many open pages"))?;
        match self.newcomer(signed_in, samspil).await {
            Ok(Some(newcomer)) => Ok((newcomer, place)),
            Ok(None) => Err((CloseCode::SignIn, "sign in")),
            Err(error) => {
                tracing::error!(document.id = %document, error = &error as &dyn std::error::Error, "a socket could not be served");
                Err((CloseCode::ComeBack, "not available at the moment"))
            }
        }
    }

    async fn serve(self, socket: Socket, document: DocumentId, newcomer: Newcomer) {
        let (person, session) = (newcomer.principal.person, newcomer.principal.session);
        let speaking = Arc::new(Speaking { stream: socket.stream.clone(), sent: Traffic::new("out") });
        let outbox = Outbox::new(self.0.limits.peer_queue_bytes_max, self.0.limits.peer_queue_messages_max).on(speaking.clone());
        let outbox = Arc::new(outbox);
        // Boxed, because a socket that lives for hours holds the memory of all that happens in its first moment.
        let (room, peer) = match Box::pin(self.0.rooms.join(document, newcomer, outbox.clone())).await {
            Ok(joined) => joined,
            Err(code) => return close(socket, &self.0.limits, code, why(code)).await,
        };
        metrics::gauge!("samspil_peers").increment(1);
        let began = Instant::now();
        let mut reader = Reader::new(&socket, outbox.clone(), &self.0.limits);
        let (ended, closed) = {
            let mut writing = pin!(write(&speaking, &outbox).fuse());
            let ended = tokio::select! {
                ended = self.listen(&mut reader, &room, peer, session) => ended,
                () = async {
                    writing.as_mut().await;
                    tokio::time::sleep(GOODBYE_PATIENCE).await;
                } => "told goodbye and did not go",
            };
            room.leave(peer).await;
            let closed = outbox.closed();
            outbox.close(CloseCode::ComeBack, "the connection ended");
            if !writing.is_terminated() {
                // It ends by itself once it has said goodbye, or has tried to for long enough.
                writing.await;
            }
            (ended, closed)
        };
        count_close(closed);
        reader.hear_out().await;
        let (heard, sent) = (&reader.traffic, &speaking.sent);
        metrics::gauge!("samspil_peers").decrement(1);
        tracing::info!(
            document.id = %document, person.id = %person, peer.id = peer.0, ended, code = code_name(closed),
            frames_in = heard.frames(), bytes_in = heard.bytes(), frames_out = sent.frames(), bytes_out = sent.bytes(),
            duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX), "a connection ended"
        );
    }

    /// Passes on what the peer says, until it ends. Answers why it did.
    async fn listen(&self, reader: &mut Reader<'_>, room: &RoomHandle, peer: PeerId, session: SessionId) -> &'static str {
        let mut seen = Instant::now();
        loop {
            let frame = match reader.next().await {
                Ok(frame) => frame,
                Err(ended) => return ended,
            };
            // A page left open shows its caret for ever; that is no use of a sign-in. Writing is.
            let is_use = matches!(frame[..], [0, 1 | 2, ..]);
            if is_use {
                stop_points::reach(StopPoint::FrameReceived);
            }
            if let Err(ended) = reader.pass_on(room, peer, frame).await {
                return ended;
            }
            if is_use && seen.elapsed() >= SEEN_EVERY {
                seen = Instant::now();
                let gateway = self.clone();
                self.0.main.spawn(async move {
                    if let Err(error) = gateway.0.sessions.seen(session, gateway.0.clock.now()).await {
                        tracing::warn!(error = &error as &dyn std::error::Error, "a sign-in in use was not noted");
                    }
                });
            }
        }
    }

    /// Versions first, then what they stand for: a change in between shows as an old version and is loaded again.
    async fn newcomer(&self, signed_in: &SignedIn, samspil: bool) -> crate::store::Result<Option<Newcomer>> {
        let (person, session) = (signed_in.principal.person, signed_in.principal.session);
        let versions = self.0.store.versions(&[], &[person], &[session]).await?;
        let Some(signed_in) = self.0.sessions.current(session, self.0.clock.now()).await? else { return Ok(None) };
        let Some(row) = self.0.store.person(person).await? else { return Ok(None) };
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
        let mut open = self.0.open.sockets();
        let taken = open.entry(session).or_default();
        (*taken < self.0.limits.sockets_per_session_max).then(|| {
            *taken += 1;
            metrics::gauge!("samspil_sockets").increment(1);
            PlaceTaken { session, open: self.0.open.clone() }
        })
    }
}

struct PlaceTaken {
    session: SessionId,
    open: Arc<Open>,
}

impl Drop for PlaceTaken {
    fn drop(&mut self) {
        metrics::gauge!("samspil_sockets").decrement(1);
        let mut open = self.open.sockets();
        if let Some(taken) = open.get_mut(&self.session) {
            *taken -= 1;
            if *taken == 0 {
                open.remove(&self.session);
                if open.len() < open.capacity() / 4 {
                    open.shrink_to_fit();
                }
            }
        }
        if open.is_empty() {
            self.open.last_gone.notify_waiters();
        }
    }
}

/// Listens: passes on what is said, not before the peer may speak again.
struct Reader<'s> {
    hearing: Hearing<'s>,
    outbox: Arc<Outbox>,
    updates: Bucket,
    /// So long a frame may wait for the room.
    stalled: Duration,
    /// The peer has said goodbye, or broke off.
    gone: bool,
    traffic: Traffic,
}

/// What has gone over one socket in one direction.
struct Traffic {
    frames: AtomicU64,
    bytes: AtomicU64,
    all_frames: metrics::Counter,
    all_bytes: metrics::Counter,
}

impl Traffic {
    fn new(direction: &'static str) -> Self {
        Self {
            frames: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            all_frames: metrics::counter!("samspil_frames_total", "direction" => direction),
            all_bytes: metrics::counter!("samspil_frame_bytes_total", "direction" => direction),
        }
    }

    fn count(&self, frames: usize, bytes: usize) {
        let (frames, bytes) = (frames as u64, bytes as u64);
        self.frames.fetch_add(frames, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.all_frames.increment(frames);
        self.all_bytes.increment(bytes);
    }

    fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// The half of a socket that speaks. The room speaks on it, too, whenever the task that serves the socket does not ([`Outbox`]).
struct Speaking {
    stream: Arc<TcpStream>,
    sent: Traffic,
}

fn bytes_of(frames: &VecDeque<Bytes>) -> usize {
    frames.iter().map(Bytes::len).sum()
}

impl Line for Speaking {
    fn say_now(&self, frames: &mut VecDeque<Bytes>, begun: &mut usize) {
        let (all, all_bytes) = (frames.len(), bytes_of(frames));
        let says_saved = reach_points(frames);
        // A line that is broken is found so by the task that serves it; what is left is counted when that takes it.
        let _ = websocket::say_now(&self.stream, Kind::Binary, frames, begun);
        self.sent.count(all - frames.len(), all_bytes - bytes_of(frames));
        if says_saved && frames.is_empty() {
            stop_points::reach(StopPoint::AfterSaved);
        }
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

impl<'s> Reader<'s> {
    fn new(socket: &'s Socket, outbox: Arc<Outbox>, limits: &Limits) -> Self {
        Self {
            hearing: socket.hearing(limits),
            outbox,
            updates: Bucket::new(limits.peer_updates_per_s, limits.peer_updates_burst),
            stalled: Duration::from_secs(limits.peer_stalled_s),
            gone: false,
            traffic: Traffic::new("in"),
        }
    }

    /// Passes a frame on, as soon as the room has time for it. `Err`: why that came to nothing.
    async fn pass_on(&self, room: &RoomHandle, peer: PeerId, frame: Bytes) -> Result<(), &'static str> {
        match tokio::time::timeout(self.stalled, room.frame(peer, frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err("the room ended"),
            Err(_) => {
                self.outbox.close(CloseCode::ComeBack, "nothing can be taken in at the moment");
                Err("no progress for too long")
            }
        }
    }

    /// The next frame. `Err`: why there is none.
    async fn next(&mut self) -> Result<Bytes, &'static str> {
        loop {
            match self.hearing.next().await {
                Ok(Heard::Binary(frame)) => {
                    self.traffic.count(1, frame.len());
                    let wait = self.updates.take(1);
                    if !wait.is_zero() {
                        tokio::time::sleep(wait).await;
                    }
                    return Ok(frame);
                }
                Ok(Heard::Ping(body)) => self.outbox.pong(body),
                Ok(Heard::Pong) => {}
                Ok(Heard::Text) => {
                    self.outbox.close(CloseCode::Stop, "text frames are not spoken here");
                    return Err("spoke text");
                }
                Ok(Heard::Close(body)) => {
                    self.gone = true;
                    self.outbox.answer_goodbye(body);
                    return Err("closed");
                }
                Err(Unheard::TooLarge) => {
                    self.outbox.close(CloseCode::FrameTooLarge, "the frame is too large");
                    return Err("a frame was too large");
                }
                Err(Unheard::Malformed) => {
                    self.outbox.close(CloseCode::Stop, "malformed frame");
                    return Err("spoke no WebSocket");
                }
                Err(Unheard::Silent) => return Err("silent for too long"),
                Err(Unheard::Ended) => {
                    self.gone = true;
                    return Err("broke off");
                }
            }
        }
    }

    /// Reads what the peer still says, for a moment: closing on unread bytes resets the connection, and our last word may be lost.
    async fn hear_out(&mut self) {
        if !self.gone {
            hear_out(&mut self.hearing).await;
        }
    }
}

async fn hear_out(hearing: &mut Hearing<'_>) {
    let _ = tokio::time::timeout(GOODBYE_PATIENCE, async { while !matches!(hearing.next().await, Ok(Heard::Close(_)) | Err(_)) {} }).await;
}

/// Sends what waits, all of it in one go, and a heartbeat. The ping is for us: who only reads is heard by its answer. Ends when goodbye
/// has been said, or could not be.
async fn write(speaking: &Speaking, outbox: &Outbox) {
    let stream = &*speaking.stream;
    let mut frames = VecDeque::new();
    let mut beat_at = Instant::now() + HEARTBEAT;
    loop {
        let taken = outbox.take(&mut frames, beat_at).await;
        let beat = Instant::now() >= beat_at;
        if beat {
            beat_at = Instant::now() + HEARTBEAT;
            frames.push_back(Bytes::from_static(NOTHING));
        }
        let last = taken.close.is_some();
        let sending = async {
            speaking.sent.count(frames.len(), bytes_of(&frames));
            let says_saved = reach_points(&frames);
            websocket::say(stream, Kind::Binary, &mut frames, taken.begun).await?;
            if says_saved {
                stop_points::reach(StopPoint::AfterSaved);
            }
            if beat {
                websocket::say_one(stream, Kind::Ping, Bytes::new()).await?;
            }
            if let Some(body) = taken.pong {
                websocket::say_one(stream, Kind::Pong, body).await?;
            }
            match taken.close {
                Some(Goodbye::Ours(code, why)) => websocket::say_one(stream, Kind::Close, goodbye_body(code, why)).await,
                Some(Goodbye::Theirs(body)) => websocket::say_one(stream, Kind::Close, body).await,
                None => Ok(()),
            }
        };
        let sent = matches!(tokio::time::timeout(WRITE_PATIENCE, sending).await, Ok(Ok(())));
        if last || !sent {
            outbox.close(CloseCode::ComeBack, "the connection ended");
            return;
        }
    }
}

/// The points at which a server can be made to die that lie before these frames. Answers whether one of them is `saved`.
fn reach_points(frames: &VecDeque<Bytes>) -> bool {
    let mut says_saved = false;
    for frame in frames {
        match frame[..] {
            [SAVED, ..] => {
                stop_points::reach(StopPoint::BeforeSaved);
                says_saved = true;
            }
            [0, 2, ..] => stop_points::reach(StopPoint::BeforeFanOut),
            _ => {}
        }
    }
    says_saved
}

fn goodbye_body(code: CloseCode, why: &'static str) -> Bytes {
    [&code.code().to_be_bytes(), why.as_bytes()].concat().into()
}

/// The words beside a code with which the door is shut. One for each code: no document and one that may not be seen sound alike.
fn why(code: CloseCode) -> &'static str {
    if code == CloseCode::NotFound { "no such document" } else { "not available at the moment" }
}

async fn close(socket: Socket, limits: &Limits, code: CloseCode, why: &'static str) {
    count_close(Some(code));
    tracing::info!(code = code.code(), ended = why, "a connection was turned away");
    // It may be gone already.
    let said = websocket::say_one(&socket.stream, Kind::Close, goodbye_body(code, why));
    if matches!(tokio::time::timeout(GOODBYE_PATIENCE, said).await, Ok(Ok(()))) {
        // Its own goodbye, and whatever it sent before: closing on unread bytes resets the connection, and the code may be lost.
        hear_out(&mut socket.hearing(limits)).await;
    }
}

fn saturating(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The origin of an address: scheme, host and port as a browser writes them.
#[must_use]
pub fn origin_of(public_url: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(public_url.trim_end_matches('/')).ok()
}

#[cfg(test)]
mod tests;
