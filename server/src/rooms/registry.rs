//! Which rooms are open. Whoever asks first for a document opens its room, and everybody who asks while it loads waits in that
//! room's inbox, so a document is loaded once however many arrive together.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;
use samspil_client_protocol::{close::CloseCode, message::Event};
use tokio::{
    runtime::Handle,
    sync::{broadcast, mpsc, oneshot},
    time::MissedTickBehavior,
};
use uuid::Uuid;

use super::{
    anchors::{NotPlaced, Selection},
    document::NotReplayed,
    frozen::{self, Frozen},
    journal::Journal,
    outbox::Outbox,
    quarantine::Quarantine,
    replays::Replays,
    room::{Backlog, Newcomer, PeerId},
    task::{Committed, Input, Placed, Sealed, Standing, Surroundings, Task, Watched},
};
use crate::{
    auth::Sessions,
    clock::Clock,
    config::Limits,
    content::Content,
    domain::ids::{DocumentId, PersonId, SessionId},
    store::{self, Store},
};

/// Inputs that may wait in a room's inbox; beyond it the sockets are read more slowly.
const INBOX_MAX: usize = 2_048;
/// How often rights and heads are compared with the database, as long as nothing tells of a change earlier.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// The stack of a thread that rooms run on (reliability-security §3).
const STACK_BYTES: usize = 8 << 20;
/// How often a newcomer looks again for a room that left memory under its hands.
const LOOKS_MAX: usize = 5;

pub(super) struct Registry {
    rooms: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    rooms: HashMap<DocumentId, RoomHandle>,
    /// The server stops: nothing is opened any more.
    stopping: bool,
}

/// Sends to one room. Cheap to clone.
#[derive(Clone)]
pub struct RoomHandle {
    inbox: mpsc::Sender<Input>,
    watched: Arc<Mutex<Watched>>,
    backlog: Arc<Mutex<Backlog>>,
}

/// All rooms. Cheap to clone.
#[derive(Clone)]
pub struct Rooms {
    registry: Arc<Registry>,
    around: Arc<Surroundings>,
    threads: Arc<[Handle]>,
    spread: RandomState,
}

/// A room that takes nothing in for as long as this lives. What people type meanwhile waits.
pub struct Seal {
    /// The content as it is committed, and stays.
    pub committed: Committed,
    _hold: oneshot::Sender<std::convert::Infallible>,
}

/// The server stops, or the room cannot be opened now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the room is not to be had now")]
pub struct Unavailable;

impl Registry {
    pub(super) fn empty() -> Self {
        Self { rooms: Mutex::default() }
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a room out, if it is still the one that `watched` belongs to.
    pub(super) fn forget(&self, document: DocumentId, watched: &Arc<Mutex<Watched>>) {
        let mut open = self.open();
        if open.rooms.get(&document).is_some_and(|room| Arc::ptr_eq(&room.watched, watched)) {
            open.rooms.remove(&document);
            if open.rooms.len() < open.rooms.capacity() / 4 {
                open.rooms.shrink_to_fit();
            }
        }
    }
}

impl Rooms {
    /// Starts the threads that rooms run on, a journal on each, and the watch over rights. Must be called on the server's runtime.
    #[must_use]
    pub fn start(store: Store, sessions: Sessions, clock: Clock, limits: Limits, quarantine: Arc<Quarantine>) -> Self {
        let threads = std::thread::available_parallelism().map_or(2, usize::from).max(2);
        let threads: Vec<Handle> = (0..threads).map(room_thread).collect();
        let journals = threads.iter().map(|thread| Journal::start(&store, &limits, thread)).collect();
        let ended = sessions.ended();
        let rooms = Self {
            registry: Arc::new(Registry::empty()),
            around: Surroundings { store, sessions, journals, clock, limits, quarantine, replays: Replays::new(), main: Handle::current() }
                .into(),
            threads: threads.into(),
            spread: RandomState::new(),
        };
        tokio::spawn(watch(rooms.clone(), ended));
        rooms
    }

    /// Number of the thread that this document's room runs on.
    fn thread_of(&self, document: DocumentId) -> usize {
        usize::try_from(self.spread.hash_one(document)).unwrap_or(0) % self.threads.len()
    }

    /// Runs what serves a socket of this document, beside its room: what the two tell each other then wakes no other thread.
    pub fn beside(&self, document: DocumentId, serving: impl Future<Output = ()> + Send + 'static) {
        self.threads[self.thread_of(document)].spawn(serving);
    }

    fn room(&self, document: DocumentId) -> Result<RoomHandle, Unavailable> {
        let mut open = self.registry.open();
        if open.stopping {
            return Err(Unavailable);
        }
        if let Some(room) = open.rooms.get(&document).filter(|room| !room.inbox.is_closed()) {
            return Ok(room.clone());
        }
        let (inbox, receiver) = mpsc::channel(INBOX_MAX);
        let watched = Arc::new(Mutex::new(Watched::default()));
        let backlog = Arc::new(Mutex::new(Backlog::default()));
        let thread = self.thread_of(document);
        let (around, registry) = (self.around.clone(), self.registry.clone());
        let (watching, waiting) = (watched.clone(), backlog.clone());
        let task = Task { document, thread, inbox: receiver, watched: watching, backlog: waiting, around, registry };
        self.threads[thread].spawn(task.run());
        let room = RoomHandle { inbox, watched, backlog };
        open.rooms.insert(document, room.clone());
        Ok(room)
    }

    /// Joins a document's room, opening it if need be.
    pub async fn join(&self, document: DocumentId, newcomer: Newcomer, outbox: Arc<Outbox>) -> Result<(RoomHandle, PeerId), CloseCode> {
        for _ in 0..LOOKS_MAX {
            let room = self.room(document).map_err(|Unavailable| CloseCode::ComeBack)?;
            let (answer, answered) = oneshot::channel();
            let join = Input::Join(Box::new(newcomer.clone()), outbox.clone(), answer);
            if room.inbox.send(join).await.is_err() {
                continue;
            }
            match answered.await {
                Ok(Ok(peer)) => return Ok((room, peer)),
                Ok(Err(code)) => return Err(code),
                // It left memory while we were knocking.
                Err(_) => {}
            }
        }
        Err(CloseCode::ComeBack)
    }

    /// The canonical content of a document as committed, and the seq it stands at.
    pub async fn content(&self, document: DocumentId) -> Result<Committed, Unavailable> {
        self.ask(document, Input::Content).await
    }

    /// Anchors a new thread on what a page has selected, in committed state; from now on its room follows the words.
    pub async fn place(&self, document: DocumentId, thread: Uuid, selection: &Selection) -> Result<Result<Placed, NotPlaced>, Unavailable> {
        self.ask(document, |answer| Input::Place(thread, Box::new(selection.clone()), answer)).await
    }

    /// Where the words of a thread stand in committed state.
    pub async fn standing(&self, document: DocumentId, thread: Uuid) -> Result<Standing, Unavailable> {
        self.ask(document, |answer| Input::Standing(thread, answer)).await
    }

    /// Has the document's room take nothing in until the seal is dropped. Other servers write on: whoever freezes looks at the head.
    pub async fn seal(&self, document: DocumentId) -> Result<Result<Seal, Sealed>, Unavailable> {
        for _ in 0..LOOKS_MAX {
            let (hold, release) = oneshot::channel();
            let (answer, answered) = oneshot::channel();
            if self.room(document)?.inbox.send(Input::Seal(answer, release)).await.is_err() {
                continue;
            }
            if let Ok(sealed) = answered.await {
                return Ok(sealed.map(|committed| Seal { committed, _hold: hold }));
            }
        }
        Err(Unavailable)
    }

    /// What a document's whole log says, made anew beside its room, and without holding a lock. `None`: there is no such document.
    pub async fn frozen(&self, document: DocumentId) -> store::Result<Option<Result<Frozen, NotReplayed>>> {
        frozen::freeze(&self.around.store, document, &self.around.limits).await
    }

    /// What a document said at this place in its log, made anew from the log. `None`: there is no such place.
    pub async fn text_at(&self, document: DocumentId, seq: u64) -> store::Result<Option<Result<Content, NotReplayed>>> {
        frozen::text_at(&self.around.store, document, seq, &self.around.limits).await
    }

    async fn ask<T>(&self, document: DocumentId, question: impl Fn(oneshot::Sender<T>) -> Input) -> Result<T, Unavailable> {
        for _ in 0..LOOKS_MAX {
            let (answer, answered) = oneshot::channel();
            if self.room(document)?.inbox.send(question(answer)).await.is_err() {
                continue;
            }
            if let Ok(answer) = answered.await {
                return Ok(answer);
            }
        }
        Err(Unavailable)
    }

    /// Rights to this document changed and are committed: its room loads them again at once.
    pub async fn access_changed(&self, document: DocumentId) {
        self.tell(document, Input::Refresh).await;
    }

    /// Another server may have written in this document: its room reads on in the log.
    pub async fn catch_up(&self, document: DocumentId) {
        self.tell(document, Input::CatchUp).await;
    }

    /// What this document's room holds is not what the log says: the log wins.
    pub async fn reload(&self, document: DocumentId) {
        self.tell(document, Input::Reload).await;
    }

    /// Tells the pages that have this document open.
    pub async fn event(&self, document: DocumentId, event: Event) {
        self.tell(document, Input::Event(event)).await;
    }

    /// A document that is not open is read when it is opened: nobody has to be told.
    async fn tell(&self, document: DocumentId, input: Input) {
        let room = self.registry.open().rooms.get(&document).cloned();
        if let Some(room) = room {
            let _ = room.inbox.send(input).await;
        }
    }

    /// How many rooms are open.
    #[must_use]
    pub fn open_rooms(&self) -> usize {
        self.registry.open().rooms.len()
    }

    /// What has arrived in all rooms and is not settled yet.
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        let open = self.registry.open();
        let each = open.rooms.values().map(|room| *room.backlog.lock().unwrap_or_else(PoisonError::into_inner));
        each.fold(Backlog::default(), |all, room| Backlog {
            updates: all.updates + room.updates,
            since: all.since.into_iter().chain(room.since).min(),
        })
    }

    /// Opens nothing more, closes every socket with *come back*, writes what was admitted, and ends every room; at the latest after `patience`.
    pub async fn shutdown(&self, patience: Duration) {
        let rooms: Vec<RoomHandle> = {
            let mut open = self.registry.open();
            open.stopping = true;
            open.rooms.values().cloned().collect()
        };
        let all_gone = join_all(rooms.iter().map(|room| async {
            // A room whose inbox is closed has ended already.
            let _ = room.inbox.send(Input::Stop).await;
            room.inbox.closed().await;
        }));
        if tokio::time::timeout(patience, all_gone).await.is_err() {
            tracing::warn!("some rooms had not ended when the server stopped; nothing acknowledged is lost");
        }
    }
}

impl RoomHandle {
    /// Passes a frame on. Waits when the room has much to do, so that the socket is read more slowly.
    pub async fn frame(&self, peer: PeerId, bytes: Bytes) -> Result<(), Unavailable> {
        self.inbox.send(Input::Frame(peer, bytes)).await.map_err(|_| Unavailable)
    }

    /// The connection has ended.
    pub async fn leave(&self, peer: PeerId) {
        // A room that has ended has forgotten everybody.
        let _ = self.inbox.send(Input::Leave(peer)).await;
    }

    /// For tests: a room that has no time for anything more until what it has been told is taken out of here.
    #[cfg(test)]
    pub(crate) fn busy() -> (Self, mpsc::Receiver<Input>) {
        let (inbox, receiver) = mpsc::channel(1);
        inbox.try_send(Input::Refresh).unwrap_or_else(|_| unreachable!("there is room for one"));
        (Self { inbox, watched: Arc::default(), backlog: Arc::default() }, receiver)
    }

    fn watched(&self) -> Watched {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A thread with a runtime of its own: for rooms, their sockets and their journal.
fn room_thread(number: usize) -> Handle {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("the server cannot run without its room threads");
    let handle = runtime.handle().clone();
    std::thread::Builder::new()
        .name(format!("rooms-{number}"))
        .stack_size(STACK_BYTES)
        .spawn(move || runtime.block_on(std::future::pending::<()>()))
        .expect("the server cannot run without its room threads");
    handle
}

/// Watches over rights, and over what other nodes write: every second, one question for all rooms; and at once when a session
/// ends here.
async fn watch(rooms: Rooms, mut ended: broadcast::Receiver<SessionId>) {
    let mut every = tokio::time::interval(WATCH_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            session = ended.recv() => match session {
                Ok(session) => session_ended(&rooms, session),
                Err(broadcast::error::RecvError::Lagged(_)) => every.reset_immediately(),
                Err(broadcast::error::RecvError::Closed) => return,
            },
            _ = every.tick() => {
                if let Err(error) = compare(&rooms).await {
                    tracing::warn!(error = &error as &dyn std::error::Error, "rights and heads could not be compared with the database");
                }
            }
        }
    }
}

fn session_ended(rooms: &Rooms, session: SessionId) {
    let open: Vec<RoomHandle> = rooms.registry.open().rooms.values().cloned().collect();
    for room in open.into_iter().filter(|room| room.watched().sessions.contains_key(&session)) {
        // One room that is busy must not keep the others waiting; it is found again by the session's version.
        let _ = room.inbox.try_send(Input::SessionEnded(session));
    }
}

async fn compare(rooms: &Rooms) -> crate::store::Result<()> {
    let open: Vec<(DocumentId, RoomHandle)> = rooms.registry.open().rooms.iter().map(|(id, room)| (*id, room.clone())).collect();
    let watched: Vec<(DocumentId, RoomHandle, u64, Watched)> = open
        .into_iter()
        .filter_map(|(id, room)| {
            let watched = room.watched();
            watched.head.map(|head| (id, room, head, watched))
        })
        .collect();
    if watched.is_empty() {
        return Ok(());
    }
    let documents: Vec<DocumentId> = watched.iter().map(|(id, ..)| *id).collect();
    let persons: Vec<PersonId> = watched.iter().flat_map(|(.., watched)| watched.persons.keys().copied()).collect();
    let sessions: Vec<SessionId> = watched.iter().flat_map(|(.., watched)| watched.sessions.keys().copied()).collect();
    let current = rooms.around.store.versions(&documents, &persons, &sessions).await?;
    for (document, room, head, held) in watched {
        let changed = current.documents.get(&document) != Some(&held.document)
            || held.persons.iter().any(|(id, version)| current.persons.get(id) != Some(version))
            || held.sessions.iter().any(|(id, version)| current.sessions.get(id) != Some(version));
        if changed {
            // A room that is busy is asked again in a second; the others are asked now.
            let _ = room.inbox.try_send(Input::Refresh);
        }
        // The room may have written meanwhile; the log has more than it ever knew of, or less than it had before: then it is to read.
        let found = current.heads.get(&document).copied().unwrap_or_default();
        if found < head || room.watched().head.is_some_and(|now| found > now) {
            let _ = room.inbox.try_send(Input::CatchUp);
        }
    }
    Ok(())
}
