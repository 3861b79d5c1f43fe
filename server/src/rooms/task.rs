//! The task that owns one room: it gathers input, lets the room decide, and does what the room wants done. Everything slow
//! (the database, a replay for a snapshot) happens elsewhere and comes back as input.
//!
//! It runs on a thread of the rooms' own with a large stack, so that no update, however deep, can take the server's workers
//! with it, and a long one slows only the rooms on that thread.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use samspil_client_protocol::{close::CloseCode, message::Event};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior},
};
use uuid::Uuid;

use super::{
    anchors::{NotPlaced, Selection},
    compaction,
    document::{LiveDocument, NotReplayed, update_limits},
    journal::Journal,
    outbox::Outbox,
    quarantine::Quarantine,
    registry::Registry,
    replays::Replays,
    room::{Appended, Backlog, Effect, FreshPrincipal, Newcomer, PeerId, Room, RoomAccess},
};
use crate::{
    auth::Sessions,
    clock::Clock,
    config::Limits,
    domain::ids::{DocumentId, PersonId, SessionId},
    stop_points::{self, StopPoint},
    store::{
        self, Store,
        anchors::AnchorRow,
        log::{Log, ReadFrom},
    },
};

/// How often a room looks at the clock.
const TICK: Duration = Duration::from_secs(1);
/// How long the first retry of a failed load waits; each further one twice as long, up to the last.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(2);
/// A full room waits so long for words to be saved before it turns new ones away.
const PATIENCE_WHEN_FULL: Duration = Duration::from_millis(500);
/// Places that are kept for those who are told something in a round.
const TOLD_KEPT: usize = 16;
/// Input taken in one round before the room is asked for a batch.
const ROUND_MAX: usize = 1_024;

/// What a room's task is told.
pub enum Input {
    /// Somebody comes in.
    Join(Box<Newcomer>, Arc<Outbox>, oneshot::Sender<Result<PeerId, CloseCode>>),
    /// A frame from a peer.
    Frame(PeerId, Bytes),
    /// A peer's connection ended.
    Leave(PeerId),
    /// Asks for the canonical content as committed.
    Content(oneshot::Sender<Committed>),
    /// Asks to anchor a new thread on what a page has selected.
    Place(Uuid, Box<Selection>, oneshot::Sender<Result<Placed, NotPlaced>>),
    /// Asks where a thread's words stand.
    Standing(Uuid, oneshot::Sender<Standing>),
    /// Asks that nothing be taken in until `Release` is gone, and for the content as committed then.
    Seal(oneshot::Sender<Result<Committed, Sealed>>, Release),
    /// A session ended on this server.
    SessionEnded(SessionId),
    /// Rights may have changed: load them again.
    Refresh,
    /// Another node may have written: read on in the log.
    CatchUp,
    /// What is here is not what the log says.
    Reload,
    /// Tell the pages.
    Event(Event),
    /// Close everybody with *come back* and end.
    Stop,
}

/// The content at one seq.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Where the log stood.
    pub seq: u64,
    /// Canonical JSON.
    pub content: Bytes,
}

/// An anchor as it was made, and the seq it stands at.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Where the log stood.
    pub seq: u64,
    /// The anchor.
    pub anchor: AnchorRow,
}

/// Where a thread's words stand, at one seq.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Where the log stood.
    pub seq: u64,
    /// The words; `None`: they are gone.
    pub words: Option<String>,
    /// The anchor; `None`: no thread about words.
    pub anchor: Option<AnchorRow>,
}

/// The other end of what holds a room sealed: it ends when that is dropped.
pub type Release = oneshot::Receiver<std::convert::Infallible>;

/// Somebody else holds the room sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("somebody else is freezing the text")]
pub struct Sealed;

/// Who waits for committed state, and what for.
enum Asking {
    Seal(oneshot::Sender<Result<Committed, Sealed>>),
    Content(oneshot::Sender<Committed>),
    Place(Uuid, Box<Selection>, oneshot::Sender<Result<Placed, NotPlaced>>),
    Standing(Uuid, oneshot::Sender<Standing>),
}

/// Who is connected and how much of the log is here, for the watch: written by the task, read by the watch.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    /// Seq of the newest update that is here; `None` until the document is loaded.
    pub head: Option<u64>,
    /// The document's access version in force here.
    pub document: i64,
    /// People with their versions.
    pub persons: HashMap<PersonId, i64>,
    /// Sessions with theirs.
    pub sessions: HashMap<SessionId, i64>,
}

/// What every room's task works with.
pub struct Surroundings {
    pub(super) store: Store,
    pub(super) sessions: Sessions,
    /// One on each thread that rooms run on.
    pub(super) journals: Vec<Journal>,
    pub(super) clock: Clock,
    pub(super) limits: Limits,
    pub(super) quarantine: Arc<Quarantine>,
    pub(super) replays: Replays,
    /// The server's own runtime: the database is asked there.
    pub(super) main: Handle,
}

pub(super) struct Task {
    pub(super) document: DocumentId,
    /// Number of the thread it runs on.
    pub(super) thread: usize,
    pub(super) inbox: mpsc::Receiver<Input>,
    pub(super) watched: Arc<Mutex<Watched>>,
    pub(super) backlog: Arc<Mutex<Backlog>>,
    pub(super) around: Arc<Surroundings>,
    pub(super) registry: Arc<Registry>,
}

type Loading = Pin<Box<dyn Future<Output = Loaded> + Send>>;

/// What was loaded again.
#[derive(Default)]
struct Loaded {
    access: Option<(RoomAccess, BTreeMap<SessionId, Option<FreshPrincipal>>)>,
    /// The whole log and what it replays to.
    document: Option<Result<(Log, LiveDocument), NotReplayed>>,
    /// The log after what the room has.
    tail: Option<Log>,
}

/// What is out of date.
#[derive(Clone, Copy, Debug, Default)]
struct Stale {
    /// Rights.
    access: bool,
    /// The whole document.
    document: bool,
    /// The end of the log.
    tail: bool,
}

impl Stale {
    fn any(self) -> bool {
        self.access || self.document || self.tail
    }
}

struct Live {
    room: Room,
    outboxes: HashMap<PeerId, Arc<Outbox>>,
    /// Who has been told something in this round.
    told: Vec<PeerId>,
    appending: Option<oneshot::Receiver<Appended>>,
    loading: Option<Loading>,
    stale: Stale,
    asking: Vec<Asking>,
    /// Nothing is taken in until this ends.
    sealed: Option<Release>,
    stopping: bool,
    idle_since: Option<Instant>,
    snapshot_seq: u64,
    compacting: Option<oneshot::Receiver<compaction::Outcome>>,
    /// What the watch was last told of the head.
    watched_head: u64,
    /// Since when no more words fit until some are saved.
    full_since: Option<Instant>,
}

/// However the task ends, nobody is left on a socket that nobody reads from.
impl Drop for Live {
    fn drop(&mut self) {
        for outbox in self.outboxes.values() {
            outbox.close(CloseCode::ComeBack, "the room ended");
        }
    }
}

impl Task {
    pub(super) async fn run(mut self) {
        let begun = Instant::now();
        match self.open().await {
            Ok((room, waking)) => {
                metrics::histogram!("samspil_open_seconds").record(begun.elapsed());
                metrics::gauge!("samspil_rooms").increment(1);
                self.live(room, waking).await;
                metrics::gauge!("samspil_rooms").decrement(1);
            }
            Err(code) => {
                self.registry.forget(self.document, &self.watched);
                self.refuse_rest(Some(code));
            }
        }
    }

    /// Loads the document once, however many wait for it. A failure is an error to all of them, never an empty document. The room sleeps
    /// until its document is there, too.
    async fn open(&self) -> Result<(Room, Loading), CloseCode> {
        let (store, document) = (self.around.store.clone(), self.document);
        let loaded = self.around.main.spawn(async move {
            let Some(row) = store.document_access(document).await? else { return Ok(None) };
            let Some(log) = store.log(document, ReadFrom::Snapshot).await? else { return Ok(None) };
            store::Result::Ok(Some((row, log)))
        });
        let (row, log) = match loaded.await {
            Ok(Ok(Some(loaded))) => loaded,
            Ok(Ok(None)) => return Err(CloseCode::NotFound),
            Ok(Err(error)) => {
                tracing::error!(document.id = %self.document, error = &error as &dyn std::error::Error, "a document could not be loaded");
                return Err(CloseCode::ComeBack);
            }
            Err(error) => {
                tracing::error!(document.id = %self.document, error = &error as &dyn std::error::Error, "loading a document panicked");
                return Err(CloseCode::ComeBack);
            }
        };
        stop_points::reach(StopPoint::DocumentLoaded);
        let access = RoomAccess { document: row.access, version: row.access_version, freezes: row.freezes };
        let (head, limits) = (log.head, self.around.limits.clone());
        let (foretelling, foretold) = oneshot::channel();
        let replays = self.around.replays.clone();
        let replaying = self.around.main.spawn(replays.replay(log, update_limits(&limits), Some(foretelling)));
        let waking = Box::pin(async move { Loaded { document: replaying.await.ok(), ..Loaded::default() } });
        let room = Room::asleep(self.document, row.schema, head, foretold.await.ok().flatten(), access, limits);
        Ok((room.watched_by(self.around.quarantine.watch(self.document, self.thread)), waking))
    }

    async fn live(&mut self, room: Room, waking: Loading) {
        let mut live = Live::new(room);
        live.loading = Some(waking);
        self.watch(&live);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut effects = Vec::new();
            tokio::select! {
                biased;
                appended = settled(&mut live.appending) => {
                    live.appending = None;
                    stop_points::reach(StopPoint::BeforeAnswer);
                    live.room.appended(&appended.unwrap_or(Appended::Unknown), self.around.clock.now(), &mut effects);
                }
                loaded = settled_load(&mut live.loading) => {
                    live.loading = None;
                    self.loaded(&mut live, loaded, &mut effects);
                }
                // Before the inbox, which under load is never empty.
                _ = tick.tick() => live.room.tick(self.around.clock.now(), &mut effects),
                _ = settled(&mut live.sealed) => live.sealed = None,
                input = self.inbox.recv(), if !live.holds_back() => match input {
                    Some(input) => self.inputs(&mut live, input, &mut effects),
                    None => live.stopping = true,
                },
                outcome = settled(&mut live.compacting) => {
                    live.compacting = None;
                    if let Some(outcome) = outcome {
                        self.compacted(&mut live, &outcome);
                    }
                }
            }
            live.perform(effects);
            // Who needs committed state comes first: where people write without a pause, this is the only moment at which there is one.
            live.answer();
            self.compact(&mut live);
            self.append(&mut live).await;
            // After the next batch has been handed over, so that it does not wait for this one's readers.
            live.flush();
            self.load(&mut live);
            self.watch_head(&mut live);
            *self.backlog.lock().unwrap_or_else(PoisonError::into_inner) = live.room.backlog();
            if self.ended(&mut live) {
                return;
            }
        }
    }

    /// The first input and whatever else is waiting: one batch for all of it.
    fn inputs(&mut self, live: &mut Live, first: Input, effects: &mut Vec<Effect>) {
        self.input(live, first, effects);
        for _ in 1..ROUND_MAX {
            if live.room.is_full() {
                break;
            }
            let Ok(next) = self.inbox.try_recv() else { break };
            self.input(live, next, effects);
        }
    }

    fn input(&mut self, live: &mut Live, input: Input, effects: &mut Vec<Effect>) {
        let now = self.around.clock.now();
        match input {
            Input::Join(_, _, answer) if live.stopping => drop(answer.send(Err(CloseCode::ComeBack))),
            Input::Join(newcomer, outbox, answer) => match live.room.join(*newcomer, now, effects) {
                Ok(peer) => {
                    live.outboxes.insert(peer, outbox);
                    self.watch(live);
                    if answer.send(Ok(peer)).is_err() {
                        live.room.leave(peer, effects);
                        live.outboxes.remove(&peer);
                    }
                }
                Err(code) => drop(answer.send(Err(code))),
            },
            Input::Frame(peer, bytes) => live.room.frame(peer, &bytes, now, effects),
            Input::Leave(peer) => {
                live.room.leave(peer, effects);
                live.outboxes.remove(&peer);
                self.watch(live);
            }
            Input::Content(answer) => live.asking.push(Asking::Content(answer)),
            Input::Place(thread, selection, answer) => live.asking.push(Asking::Place(thread, selection, answer)),
            Input::Standing(thread, answer) => live.asking.push(Asking::Standing(thread, answer)),
            Input::Seal(answer, _) if live.sealed.is_some() => drop(answer.send(Err(Sealed))),
            Input::Seal(answer, release) => {
                live.sealed = Some(release);
                live.asking.push(Asking::Seal(answer));
            }
            Input::SessionEnded(session) => live.room.session_ended(session, effects),
            Input::Refresh => live.stale.access = true,
            Input::CatchUp => live.room.catch_up(effects),
            Input::Reload => live.stale.document = true,
            Input::Event(event) => live.room.event(&event, now, effects),
            Input::Stop => {
                live.stopping = true;
                // What waits is written before the server ends; whoever freezes finds that the text has moved.
                live.sealed = None;
                live.room.close_all(CloseCode::ComeBack, "the server is being restarted", effects);
            }
        }
    }

    fn watch(&self, live: &Live) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.head = Some(live.room.head());
        watched.document = live.room.access_version();
        watched.persons.clear();
        watched.sessions.clear();
        for (principal, person, session) in live.room.present() {
            watched.persons.insert(principal.person, person);
            watched.sessions.insert(principal.session, session);
        }
    }

    fn watch_head(&self, live: &mut Live) {
        if live.watched_head != live.room.head() {
            live.watched_head = live.room.head();
            self.watched.lock().unwrap_or_else(PoisonError::into_inner).head = Some(live.watched_head);
        }
    }

    /// Asks the room for a batch and gives it to the journal.
    async fn append(&self, live: &mut Live) {
        if live.sealed.is_some() || live.appending.is_some() || live.loading.is_some() || live.stale.any() {
            return;
        }
        let mut effects = Vec::new();
        if let Some(batch) = live.room.next_batch(self.around.clock.now(), &mut effects) {
            stop_points::reach(StopPoint::BeforeAppend);
            live.appending = Some(self.around.journals[self.thread].append(batch).await);
        }
        live.perform(effects);
    }

    /// Begins to load what is out of date, once nothing is on its way.
    fn load(&self, live: &mut Live) {
        if live.loading.is_some() || live.appending.is_some() || !live.stale.any() {
            return;
        }
        let (stale, head) = (std::mem::take(&mut live.stale), live.room.head());
        let sessions: BTreeSet<(SessionId, PersonId)> =
            live.room.present().map(|(principal, ..)| (principal.session, principal.person)).collect();
        let sessions: Vec<(SessionId, PersonId)> = sessions.into_iter().collect();
        let (around, document) = (self.around.clone(), self.document);
        let loading = self.around.main.spawn(async move {
            let mut wait = RETRY_FIRST;
            loop {
                match around.load(document, stale, head, &sessions).await {
                    Ok(loaded) => return loaded,
                    Err(error) => {
                        tracing::warn!(document.id = %document, error = &error as &dyn std::error::Error, "loading again failed; trying on");
                        tokio::time::sleep(wait).await;
                        wait = (wait * 2).min(RETRY_LAST);
                    }
                }
            }
        });
        live.loading = Some(Box::pin(async move { loading.await.unwrap_or_default() }));
    }

    fn loaded(&self, live: &mut Live, loaded: Loaded, effects: &mut Vec<Effect>) {
        let now = self.around.clock.now();
        if let Some((access, principals)) = loaded.access {
            live.room.access(access, &principals, now, effects);
            self.watch(live);
        }
        if let Some(tail) = loaded.tail {
            live.room.caught_up(&tail, now, effects);
        }
        match loaded.document {
            None => {}
            Some(Ok((log, document))) => {
                live.snapshot_seq = log.snapshot.as_ref().map_or(0, |snapshot| snapshot.seq);
                live.room.reloaded(&log, document, now, effects);
            }
            Some(Err(error)) => {
                tracing::error!(document.id = %self.document, error = &error as &dyn std::error::Error, "the log does not replay; the room closes");
                live.room.close_all(CloseCode::ComeBack, "the document cannot be read", effects);
                live.stopping = true;
            }
        }
    }

    /// Has a snapshot made when enough has been written since the last one.
    fn compact(&self, live: &mut Live) {
        let behind = live.room.head().saturating_sub(live.snapshot_seq);
        let enough = if live.room.peers() == 0 { compaction::AT_REST } else { compaction::WHILE_WRITING };
        if live.compacting.is_some() || behind < enough {
            return;
        }
        let Some(document) = live.room.committed() else { return };
        live.compacting =
            Some(compaction::start(&self.around, self.document, live.room.head(), crate::content::sha256(&document.content())));
    }

    fn compacted(&self, live: &mut Live, outcome: &compaction::Outcome) {
        metrics::counter!("samspil_snapshots_total", "outcome" => outcome.name()).increment(1);
        match outcome {
            compaction::Outcome::Kept { seq } => live.snapshot_seq = *seq,
            // Tried again when as much has been written once more.
            compaction::Outcome::Failed => live.snapshot_seq = live.room.head(),
            compaction::Outcome::Differs => {
                tracing::error!(document.id = %self.document, "the live document differs from its log; the log wins");
                live.snapshot_seq = live.room.head();
                live.stale.document = true;
            }
        }
    }

    /// Leaves memory when nobody has been here for a while, or the server stops.
    fn ended(&mut self, live: &mut Live) -> bool {
        if live.stopping {
            // What was admitted is still written and, where the socket lives, acknowledged; and a snapshot is made if it spares the next
            // server a long log.
            let settled = live.appending.is_none()
                && live.compacting.is_none()
                && (live.room.is_idle() || live.loading.is_some() || live.room.committed().is_none());
            if settled {
                stop_points::reach(StopPoint::RoomDrained);
                self.registry.forget(self.document, &self.watched);
                self.refuse_rest(Some(CloseCode::ComeBack));
            }
            return settled;
        }
        if !live.room.is_idle() || live.compacting.is_some() || live.loading.is_some() || !live.asking.is_empty() || live.sealed.is_some() {
            live.idle_since = None;
            return false;
        }
        let since = *live.idle_since.get_or_insert_with(Instant::now);
        if since.elapsed() < Duration::from_secs(self.around.limits.room_idle_s) || !self.inbox.is_empty() {
            return false;
        }
        self.registry.forget(self.document, &self.watched);
        self.refuse_rest(None);
        true
    }

    /// Nobody new can find this room any more. Who found it just before is told why; without a reason it merely left memory, and
    /// who wants to join looks again.
    fn refuse_rest(&mut self, code: Option<CloseCode>) {
        self.inbox.close();
        while let Ok(input) = self.inbox.try_recv() {
            if let (Input::Join(_, _, answer), Some(code)) = (input, code) {
                // The newcomer may have given up.
                let _ = answer.send(Err(code));
            }
        }
    }
}

impl Live {
    fn new(room: Room) -> Self {
        Self {
            room,
            outboxes: HashMap::new(),
            told: Vec::new(),
            appending: None,
            loading: None,
            stale: Stale::default(),
            asking: Vec::new(),
            sealed: None,
            stopping: false,
            idle_since: Some(Instant::now()),
            snapshot_seq: 0,
            compacting: None,
            watched_head: 0,
            full_since: None,
        }
    }

    /// A room that is full of words on their way reads its inbox more slowly, and with it the sockets; when nothing has been saved
    /// for a while, it goes on reading and turns words away, so that people are told within a second (G9).
    fn holds_back(&mut self) -> bool {
        if !self.room.is_full() {
            self.full_since = None;
            return false;
        }
        self.full_since.get_or_insert_with(Instant::now).elapsed() < PATIENCE_WHEN_FULL
    }

    /// Does what the room wants done.
    fn perform(&mut self, effects: Vec<Effect>) {
        let mut slow = Vec::new();
        for effect in effects {
            match effect {
                Effect::Send(peer, frame) => {
                    if self.outboxes.get(&peer).is_some_and(|outbox| outbox.push(frame).is_err()) {
                        slow.push(peer);
                    }
                    self.told.push(peer);
                }
                Effect::Close(peer, code, why) => {
                    if let Some(outbox) = self.outboxes.remove(&peer) {
                        outbox.close(code, why);
                    }
                }
                Effect::Reload => self.stale.document = true,
                Effect::Refresh => self.stale.access = true,
                Effect::CatchUp => self.stale.tail = true,
            }
        }
        if !slow.is_empty() {
            let mut effects = Vec::new();
            for peer in slow {
                metrics::counter!("samspil_slow_peers_total").increment(1);
                self.outboxes.remove(&peer);
                self.room.leave(peer, &mut effects);
            }
            self.perform(effects);
        }
    }

    /// Has everybody who was told something hear it: each once, and in the order in which they were told.
    fn flush(&mut self) {
        for peer in self.told.drain(..) {
            if let Some(outbox) = self.outboxes.get(&peer) {
                outbox.flush();
            }
        }
        self.told.shrink_to(TOLD_KEPT);
    }

    /// Answers who asked for committed state, if the room is settled. Who asked may have given up.
    fn answer(&mut self) {
        if self.asking.is_empty() || !self.room.is_settled() {
            return;
        }
        let seq = self.room.head();
        let mut content = None;
        for asking in std::mem::take(&mut self.asking) {
            let Some(document) = self.room.committed() else { return };
            match asking {
                Asking::Content(answer) => {
                    let content = content.get_or_insert_with(|| Bytes::from(document.content()));
                    drop(answer.send(Committed { seq, content: content.clone() }));
                }
                Asking::Seal(answer) => {
                    let content = content.get_or_insert_with(|| Bytes::from(document.content()));
                    drop(answer.send(Ok(Committed { seq, content: content.clone() })));
                }
                Asking::Standing(thread, answer) => {
                    drop(answer.send(Standing { seq, words: document.words_of(thread), anchor: document.anchor_of(thread) }));
                }
                Asking::Place(thread, selection, answer) => {
                    if let Some(placed) = self.room.place(thread, &selection) {
                        drop(answer.send(placed.map(|anchor| Placed { seq, anchor })));
                    }
                }
            }
        }
    }
}

impl Surroundings {
    async fn load(&self, document: DocumentId, stale: Stale, head: u64, sessions: &[(SessionId, PersonId)]) -> store::Result<Loaded> {
        let access = if stale.access { self.load_access(document, sessions).await? } else { None };
        let (mut replayed, mut tail) = (None, None);
        if stale.document {
            stop_points::reach(StopPoint::BeforeReload);
            // A transaction whose end we did not hear of is over once its lock is gone.
            self.store.wait_for_append(document).await?;
            if let Some(log) = self.store.log(document, ReadFrom::Snapshot).await? {
                replayed = Some(self.replays.clone().replay(log, update_limits(&self.limits), None).await);
            }
        } else if stale.tail {
            tail = self.store.log(document, ReadFrom::After(head)).await?;
        }
        Ok(Loaded { access, document: replayed, tail })
    }

    /// Versions first, then what they stand for: if something changes in between, the versions are old and it is loaded again.
    async fn load_access(
        &self,
        document: DocumentId,
        sessions: &[(SessionId, PersonId)],
    ) -> store::Result<Option<(RoomAccess, BTreeMap<SessionId, Option<FreshPrincipal>>)>> {
        let now = self.clock.now();
        let ids: Vec<SessionId> = sessions.iter().map(|(session, _)| *session).collect();
        let persons: Vec<PersonId> = sessions.iter().map(|(_, person)| *person).collect();
        let versions = self.store.versions(&[document], &persons, &ids).await?;
        let mut principals = BTreeMap::new();
        for (session, person) in sessions {
            let fresh = self.sessions.current(*session, now).await?.map(|signed_in| FreshPrincipal {
                principal: signed_in.principal,
                person_version: versions.persons.get(person).copied().unwrap_or(-1),
                session_version: versions.sessions.get(session).copied().unwrap_or(-1),
                session_until: signed_in.expiry.absolute,
            });
            principals.insert(*session, fresh);
        }
        let row = self.store.document_access(document).await?;
        Ok(row.map(|row| {
            let version = versions.documents.get(&document).copied().unwrap_or(row.access_version);
            (RoomAccess { document: row.access, version, freezes: row.freezes }, principals)
        }))
    }
}

/// The value of a receiver that may not be there; never, if it is not. `None`: the other side is gone.
async fn settled<T>(receiver: &mut Option<oneshot::Receiver<T>>) -> Option<T> {
    match receiver {
        Some(receiver) => receiver.await.ok(),
        None => std::future::pending().await,
    }
}

async fn settled_load(loading: &mut Option<Loading>) -> Loaded {
    match loading {
        Some(loading) => loading.await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rooms::room::tests::{self, LEADER};

    fn task(limits: Limits) -> Task {
        let store = Store::connect("postgres://localhost/nobody-asks", 1).unwrap();
        let sessions = Sessions::new(store.clone(), "http://localhost");
        let journals = vec![Journal::start(&store, &limits, &Handle::current())];
        let data_dir = std::env::temp_dir().join(format!("samspil-task-tests-{}", std::process::id()));
        std::fs::create_dir_all(&data_dir).unwrap();
        let quarantine = Quarantine::open(&data_dir).unwrap();
        std::fs::remove_dir_all(data_dir).unwrap();
        let around = Surroundings {
            store,
            sessions,
            journals,
            clock: Clock::machine(),
            limits,
            quarantine,
            replays: Replays::new(),
            main: Handle::current(),
        };
        let around = Arc::new(around);
        let (document, (_, inbox)) = (DocumentId(uuid::Uuid::nil()), mpsc::channel(1));
        Task { document, thread: 0, inbox, watched: Arc::default(), backlog: Arc::default(), around, registry: Arc::new(Registry::empty()) }
    }

    async fn pass_ms(ms: u64) {
        tokio::time::advance(Duration::from_millis(ms)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn room_idle_s() {
        let mut task = task(Limits { room_idle_s: 60, ..Limits::default() });
        let mut live = Live::new(tests::empty_room());
        let peer = live.room.join(tests::newcomer(LEADER), tests::now(), &mut Vec::new()).unwrap();
        pass_ms(3_600_000).await;
        assert!(!task.ended(&mut live), "somebody is here");
        live.room.leave(peer, &mut Vec::new());
        assert!(!task.ended(&mut live));
        pass_ms(59_999).await;
        assert!(!task.ended(&mut live));
        let back = live.room.join(tests::newcomer(LEADER), tests::now(), &mut Vec::new()).unwrap();
        assert!(!task.ended(&mut live));
        live.room.leave(back, &mut Vec::new());
        assert!(!task.ended(&mut live), "whoever came in between began the count anew");
        pass_ms(60_000).await;
        assert!(task.ended(&mut live));
        pass_ms(1).await;
        assert!(task.ended(&mut live));
    }
}
