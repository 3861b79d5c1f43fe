//! A live document with the people who have it open: a pure state machine. Input and the moment go in, a list of things to do
//! comes out; nothing is awaited, so a test needs no sockets and no sleeping. One task owns it (`task`).
//!
//! A room opens asleep: what its log holds is known, and is being made into a document. Newcomers are told it meanwhile; words wait.
//!
//! The order is always: admit → apply → append → commit → acknowledge → fan out. Whatever the room tells anybody has been
//! committed; while a batch is on its way, newcomers and questions wait.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    time::Duration,
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use samspil_client_protocol::{
    api::{Abilities, ReadOnlyBecause},
    close::CloseCode,
    frame::{self, ClientFrame},
    message::{AbilityChanged, AbilityReason, Event, Hello, PeerPerson, RefusalAction, RefusalCode, Refused},
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    admission::{Refusal, UpdateLimits, Whole},
    anchors::{NotPlaced, Selection},
    document::{DocumentWriter, LiveDocument, NotApplied, update_limits},
    presence::{Presence, Relay},
    quarantine::{Unwatched, Watch},
};
use crate::{
    config::Limits,
    domain::{
        access::{DocumentAccess, abilities},
        comments::reads_threads,
        ids::{DocumentId, PersonId, SessionId},
        principal::Principal,
    },
    store::{
        anchors::AnchorRow,
        log::{Batch, Log, Row, Versions},
    },
};

/// A connection within one room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(pub u32);

/// Somebody who comes in.
#[derive(Clone, Debug)]
pub struct Newcomer {
    /// Who, with roles and places.
    pub principal: Principal,
    /// Their access version when the principal was loaded.
    pub person_version: i64,
    /// The session's.
    pub session_version: i64,
    /// When the session ends at the latest.
    pub session_until: DateTime<Utc>,
    /// As others see them; the room gives the colour.
    pub person: PeerPerson,
    /// Offered `samspil.v1`: gets our frames.
    pub samspil: bool,
}

/// What decides who may do what with the document, as of one access version.
#[derive(Clone, Debug)]
pub struct RoomAccess {
    /// What `abilities` asks for.
    pub document: DocumentAccess,
    /// The access version it was loaded at.
    pub version: i64,
    /// How often the text was frozen for signing. Words belong to the count that their connection was told (SPEC S8).
    pub freezes: u32,
}

/// What the room wants done, in this order.
#[derive(Debug)]
pub enum Effect {
    /// Send a frame to a peer.
    Send(PeerId, Bytes),
    /// Close a peer's socket; the room has forgotten the peer already.
    Close(PeerId, CloseCode, &'static str),
    /// The document in memory is worth nothing: load it again and call [`Room::reloaded`].
    Reload,
    /// The document's access or a peer's principal is out of date: load them again and call [`Room::access`].
    Refresh,
    /// Another node wrote: read what the log has after [`Room::head`] and call [`Room::caught_up`].
    CatchUp,
}

/// How a batch ended.
#[derive(Debug)]
pub enum Appended {
    /// It is on disk; its first update has this seq.
    Committed {
        /// Seq of the first update.
        first: u64,
    },
    /// Unknown, or the database is not there: it is settled by loading and admitting again.
    Unknown,
    /// Rights changed meanwhile: nothing of it was kept; admit again under the new ones.
    AccessChanged,
    /// A client id is somebody else's: nothing was kept; load who owns what and admit again.
    ClientTaken,
    /// The database refuses this very batch: nothing of it was kept. Its frames go again one at a time, so that only the one that
    /// fails alone is refused.
    Rejected,
}

/// What has arrived and is not settled yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Updates, those on their way to the disk among them.
    pub updates: usize,
    /// When the oldest of them arrived.
    pub since: Option<DateTime<Utc>>,
}

/// The live document and its peers.
pub struct Room {
    id: DocumentId,
    schema: u32,
    limits: Limits,
    update_limits: UpdateLimits,
    document: Option<LiveDocument>,
    /// While the document has never been here: what it will hold at the head, if that is known.
    foretold: Option<Foretold>,
    head: u64,
    /// The log has words of another node after `head` that are not here yet. The seqs are of our own that are here already.
    behind: Option<Range<u64>>,
    access: RoomAccess,
    peers: BTreeMap<PeerId, Peer>,
    /// Who has left while words of theirs were still waiting: they wrote them while they were here.
    departed: BTreeMap<PeerId, Newcomer>,
    presence: Presence,
    /// How near it was to its largest size when last measured.
    fullness: Fullness,
    /// What peers show while words are on their way that they sent before it: a caret stands in words, and is shown after them.
    held: Vec<Held>,
    next_peer: u32,
    /// Updates that are here and not admitted yet, in order of arrival.
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    /// So many of them, the first, go one at a time: the database refused them together.
    one_at_a_time: usize,
    /// The batch that is on its way.
    in_flight: Option<InFlight>,
    /// Who waits for committed state.
    asking: Vec<Asking>,
    /// Who looks on while updates are applied.
    watch: Box<dyn Watch>,
    /// Processor time that each session has cost lately.
    spent: BTreeMap<SessionId, Spent>,
    /// Frames turned away because nothing could be saved, by peer the last of them: once it can, their senders are asked
    /// for what they have.
    turned_away: BTreeMap<PeerId, u64>,
}

struct Peer {
    newcomer: Newcomer,
    told: Abilities,
    /// How often the text had been frozen when this connection was told so.
    freezes: u32,
    /// Update frames that have arrived.
    frames: u64,
    /// How many of them it has been told are settled.
    settled: u64,
    /// It was sent step 1 after a gap: until its next step 2, gaps are not answered.
    resyncing: bool,
    /// Its step 2 was a gap itself, and it was asked again.
    asked_again: bool,
    refusals_in_a_row: u32,
    welcomed: bool,
}

#[derive(Debug)]
struct Waiting {
    peer: PeerId,
    /// Who sent it; kept because the peer may be gone when it is admitted.
    author: Author,
    frame: u64,
    step2: bool,
    /// How often the text had been frozen as far as its sender was told.
    freezes: u32,
    /// Its sender says `samspil.v1`, and so keeps apart by itself what is older than a freeze.
    samspil: bool,
    update: Bytes,
    arrived: DateTime<Utc>,
    /// It was refused, and its sender has been told: when its batch is made again, that is not said twice.
    refused: bool,
}

#[derive(Clone, Copy, Debug)]
struct Author {
    person: PersonId,
    session: SessionId,
}

#[derive(Debug)]
struct InFlight {
    frames: Vec<Waiting>,
    /// The update of each row, with who is not to be sent it.
    rows: Vec<(PeerId, Bytes)>,
    settled: BTreeMap<PeerId, u64>,
    /// Only the last of the frames has a row.
    alone: bool,
    /// Threads whose words move with it.
    threads: Vec<Uuid>,
}

/// What a document that is on its way will say.
#[derive(Debug)]
struct Foretold {
    state_vector: Vec<u8>,
    /// Step 2 for who has nothing, the same bytes for all of them.
    step2: Bytes,
}

/// The state vector of who has nothing.
const NOTHING: &[u8] = &[0];

impl InFlight {
    fn settle(&mut self, frame: Waiting) {
        self.settled.insert(frame.peer, frame.frame);
        self.frames.push(frame);
    }
}

/// To be shown once so many of the peer's frames are settled.
#[derive(Debug)]
struct Held {
    peer: PeerId,
    frames: u64,
    relay: Relay,
}

#[derive(Debug)]
enum Asking {
    Welcome(PeerId),
    Diff(PeerId, Bytes),
}

impl Room {
    /// A room over a log that has been read up to its `head` and holds this, if that is known. It sleeps until [`Self::reloaded`].
    #[must_use]
    pub fn asleep(id: DocumentId, schema: u32, head: u64, holds: Option<Whole>, access: RoomAccess, limits: Limits) -> Self {
        let update_limits = update_limits(&limits);
        let fullness = holds.as_ref().map_or(Fullness::Roomy, |whole| Fullness::foretold(whole, &limits));
        let foretold = holds.map(|whole| Foretold { state_vector: whole.state_vector, step2: frame::sync_step2(&whole.update) });
        Self {
            id,
            schema,
            fullness,
            document: None,
            foretold,
            head,
            behind: None,
            access,
            peers: BTreeMap::new(),
            departed: BTreeMap::new(),
            presence: Presence::default(),
            held: Vec::new(),
            next_peer: 1,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            one_at_a_time: 0,
            in_flight: None,
            asking: Vec::new(),
            watch: Box::new(Unwatched),
            spent: BTreeMap::new(),
            turned_away: BTreeMap::new(),
            limits,
            update_limits,
        }
    }

    /// From now on this one looks on while updates are applied.
    #[must_use]
    pub fn watched_by(self, watch: Box<dyn Watch>) -> Self {
        Self { watch, ..self }
    }

    /// Seq of the newest committed update.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.head
    }

    /// How many peers.
    #[must_use]
    pub fn peers(&self) -> usize {
        self.peers.len()
    }

    /// Nobody is here and nothing is on its way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.peers.is_empty() && self.waiting.is_empty() && self.is_settled()
    }

    /// Whether the document can be asked: it is loaded and nothing uncommitted is in it.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.in_flight.is_none() && self.document.is_some() && self.behind.is_none()
    }

    /// What has arrived and is not settled yet.
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        let on_its_way = self.in_flight.iter().flat_map(|batch| &batch.frames);
        let oldest = on_its_way.clone().chain(&self.waiting).next();
        Backlog { updates: on_its_way.count() + self.waiting.len(), since: oldest.map(|waiting| waiting.arrived) }
    }

    /// The document, when [`Self::is_settled`].
    #[must_use]
    pub fn committed(&self) -> Option<&LiveDocument> {
        self.document.as_ref().filter(|_| self.is_settled())
    }

    /// The sessions and people who are here, or have left words behind that are not written yet, for those who watch over rights.
    pub fn present(&self) -> impl Iterator<Item = (&Principal, i64, i64)> {
        let here = self.peers.values().map(|peer| &peer.newcomer);
        here.chain(self.departed.values()).map(|newcomer| (&newcomer.principal, newcomer.person_version, newcomer.session_version))
    }

    /// The access version in force here.
    #[must_use]
    pub fn access_version(&self) -> i64 {
        self.access.version
    }

    /// Somebody comes in. `Err`: they may not see it.
    pub fn join(&mut self, mut newcomer: Newcomer, now: DateTime<Utc>, out: &mut Vec<Effect>) -> Result<PeerId, CloseCode> {
        let told = self.can(&newcomer.principal, now);
        if !told.read {
            return Err(CloseCode::NotFound);
        }
        let id = PeerId(self.next_peer);
        self.next_peer = self.next_peer.wrapping_add(1).max(1);
        newcomer.person.colour = self.colour(newcomer.principal.person);
        self.peers.insert(
            id,
            Peer {
                newcomer,
                told,
                freezes: self.access.freezes,
                frames: 0,
                settled: 0,
                resyncing: false,
                asked_again: false,
                refusals_in_a_row: 0,
                welcomed: false,
            },
        );
        self.asking.push(Asking::Welcome(id));
        self.answer(now, out);
        Ok(id)
    }

    /// What a person may do here now: what their rights say, as long as the document can hold more.
    fn can(&self, principal: &Principal, now: DateTime<Utc>) -> Abilities {
        let can = abilities(principal, &self.access.document, now);
        if can.edit && self.fullness == Fullness::Full {
            Abilities { edit: false, read_only_because: Some(ReadOnlyBecause::Full), ..can }
        } else {
            can
        }
    }

    /// A person keeps their colour within a document; two who are here together never share one while there are five.
    fn colour(&self, person: PersonId) -> u8 {
        let own = self.peers.values().find(|peer| peer.newcomer.principal.person == person).map(|peer| peer.newcomer.person.colour);
        own.unwrap_or_else(|| {
            let favourite = Sha256::digest([self.id.0.as_bytes().as_slice(), person.0.as_bytes()].concat())[0] % 5;
            (0..5)
                .map(|step| (favourite + step) % 5 + 1)
                .find(|colour| self.peers.values().all(|peer| peer.newcomer.person.colour != *colour))
                .unwrap_or(favourite + 1)
        })
    }

    /// A peer's connection has ended.
    pub fn leave(&mut self, peer: PeerId, out: &mut Vec<Effect>) {
        if let Some(gone) = self.peers.remove(&peer) {
            // Not only what waits or is on its way: it may be in the very batch that is being made.
            if gone.frames > gone.settled {
                self.departed.insert(peer, gone.newcomer);
            }
            self.held.retain(|held| held.peer != peer);
            let relay = self.presence.leave(peer);
            relay_all(relay, out);
        }
    }

    /// A frame from a peer.
    pub fn frame(&mut self, peer: PeerId, bytes: &Bytes, now: DateTime<Utc>, out: &mut Vec<Effect>) {
        let Some(here) = self.peers.get_mut(&peer) else { return };
        match ClientFrame::decode(bytes) {
            Ok(ClientFrame::Update { step2, update }) => {
                here.frames += 1;
                let principal = &here.newcomer.principal;
                let author = Author { person: principal.person, session: principal.session };
                let frame = here.frames;
                self.waiting_bytes += update.len();
                let (freezes, samspil) = (here.freezes, here.newcomer.samspil);
                self.waiting.push_back(Waiting { peer, author, frame, step2, freezes, samspil, update, arrived: now, refused: false });
                self.refuse_overflow(out);
            }
            Ok(ClientFrame::SyncStep1(state_vector)) => {
                if state_vector.len() > self.limits.state_vector_bytes_max {
                    self.close(peer, CloseCode::Stop, "the state vector is too large", out);
                    return;
                }
                // Who asks again while the answer has to wait gets one: the newer question knows more.
                self.asking.retain(|asking| !matches!(asking, Asking::Diff(other, _) if *other == peer));
                self.asking.push(Asking::Diff(peer, state_vector));
                self.answer(now, out);
            }
            Ok(ClientFrame::Awareness(body)) => match self.presence.show(peer, &here.newcomer.person, &body, &self.limits, now) {
                Ok(Some(relay)) if here.frames > here.settled => self.held.push(Held { peer, frames: here.frames, relay }),
                Ok(relay) => relay_all(relay, out),
                Err(_) => self.close(peer, CloseCode::Stop, "malformed presence", out),
            },
            // Always answered: a client asks also to hear whether anybody is there.
            Ok(ClientFrame::QueryAwareness) => {
                let nobody = || frame::awareness(std::iter::empty());
                out.push(Effect::Send(peer, self.presence.all_for(peer).unwrap_or_else(nobody)));
            }
            Ok(ClientFrame::Ignored) => {}
            Err(_) => self.close(peer, CloseCode::Stop, "malformed frame", out),
        }
    }

    /// No more words fit until some are saved.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let in_flight = self.in_flight.as_ref().map_or(0, |batch| batch.frames.len());
        self.waiting.len() + in_flight >= self.limits.room_unsaved_updates_max || self.waiting_bytes >= self.limits.room_unsaved_bytes_max
    }

    /// What is here and cannot be saved is bounded; beyond it, new words stay with their writer.
    fn refuse_overflow(&mut self, out: &mut Vec<Effect>) {
        let in_flight = self.in_flight.as_ref().map_or(0, |batch| batch.frames.len());
        let too_many = self.waiting.len() + in_flight > self.limits.room_unsaved_updates_max;
        if !too_many && self.waiting_bytes <= self.limits.room_unsaved_bytes_max {
            return;
        }
        if let Some(last) = self.waiting.pop_back() {
            self.waiting_bytes -= last.update.len();
            self.turned_away.insert(last.peer, last.frame);
            self.refuse(&last, Refusal::new(0, RefusalCode::NotSaving, "nothing can be saved at the moment"), out);
        }
    }

    /// Admits what waits, applies it, and answers the batch to append, if there is anything to append. Call it after every
    /// round of input; while a batch is on its way it does nothing.
    pub fn next_batch(&mut self, now: DateTime<Utc>, out: &mut Vec<Effect>) -> Option<Batch> {
        if !self.is_settled() || self.waiting.is_empty() {
            return None;
        }
        let mut batch = Batch {
            document: self.id,
            head: self.head,
            versions: Versions { document: self.access.version, ..Versions::default() },
            rows: Vec::new(),
            clients: Vec::new(),
            projection: None,
            anchors: Vec::new(),
            at: now,
        };
        let mut in_flight = InFlight { frames: Vec::new(), rows: Vec::new(), settled: BTreeMap::new(), alone: false, threads: Vec::new() };
        let mut touches_goals = false;
        let mut bytes = 0;
        let (updates_max, bytes_max) = (self.limits.journal_batch_updates_max, self.limits.journal_batch_bytes_max);
        // An update as it is admitted is never longer than as it came.
        while let Some(mut waiting) = self.waiting.pop_front_if(|next| bytes == 0 || bytes + next.update.len() <= bytes_max) {
            self.waiting_bytes -= waiting.update.len();
            let alone = self.one_at_a_time > 0;
            self.one_at_a_time = self.one_at_a_time.saturating_sub(1);
            if waiting.refused {
                in_flight.settle(waiting);
                continue;
            }
            if self.has_spent_too_much(waiting.author.session, now) {
                // Not settled, so it stays its writer's; whoever has gone already brings it when they come back.
                self.close(waiting.peer, CloseCode::ComeBack, "peer_cpu_ms_per_10s", out);
                continue;
            }
            match self.admit(&waiting, now) {
                Ok(applied) => {
                    if let Some(peer) = self.peers.get_mut(&waiting.peer) {
                        peer.refusals_in_a_row = 0;
                        peer.resyncing &= !waiting.step2;
                        peer.asked_again = false;
                    }
                    touches_goals |= applied.touches_goals;
                    batch.clients.extend(applied.new_clients.iter().map(|client| (*client, waiting.author.person)));
                    if let Some(update) = applied.update {
                        self.note_versions(&mut batch.versions, &waiting);
                        bytes += update.len();
                        batch.rows.push(Row {
                            person: waiting.author.person,
                            session: waiting.author.session,
                            payload: update.clone(),
                            hash: applied.hash,
                        });
                        in_flight.rows.push((waiting.peer, update));
                    }
                }
                Err(NotApplied::Refused(refusal)) => {
                    waiting.refused = true;
                    self.refuse(&waiting, refusal, out);
                }
                Err(NotApplied::TooSlow) => {
                    waiting.refused = true;
                    self.refuse(&waiting, Refusal::new(1, RefusalCode::TooLarge, "it takes longer than update_cpu_ms_max"), out);
                    in_flight.settle(waiting);
                    self.put_back(in_flight.frames);
                    self.document = None;
                    out.push(Effect::Reload);
                    return None;
                }
                Err(NotApplied::Broken(what)) => {
                    tracing::error!(document.id = %self.id, person.id = %waiting.author.person, what, "an admitted update broke the document");
                    // Everything of this round is admitted again on the document as it is on disk.
                    self.put_back(in_flight.frames);
                    self.document = None;
                    self.close(waiting.peer, CloseCode::Stop, "the update could not be applied", out);
                    out.push(Effect::Reload);
                    return None;
                }
            }
            in_flight.settle(waiting);
            if alone && !batch.rows.is_empty() {
                in_flight.alone = true;
                break;
            }
            if batch.rows.len() >= updates_max {
                break;
            }
        }
        if self.waiting.is_empty() && batch.rows.is_empty() {
            self.departed.clear();
        }
        if batch.rows.is_empty() {
            self.acknowledge(&in_flight.settled, out);
            self.show_held(out);
            self.answer(now, out);
            return None;
        }
        if touches_goals {
            batch.projection = self.document.as_ref().map(LiveDocument::project);
        }
        batch.anchors = self.document.as_mut().map(|document| document.anchor_changes(now)).unwrap_or_default();
        in_flight.threads = batch.anchors.iter().map(|anchor| anchor.thread).collect();
        self.in_flight = Some(in_flight);
        Some(batch)
    }

    fn admit(&mut self, waiting: &Waiting, now: DateTime<Utc>) -> Result<super::document::Applied, NotApplied> {
        let mut may_write = match self.writer(waiting.peer) {
            None => Err(RefusalCode::NotSaving),
            Some(newcomer) => writes(newcomer, &self.access.document, now),
        };
        // Words from before a freeze never merge by themselves, also not after reopening. What comes on a connection that was not told
        // of the freeze may be such words; so may what a standard client, which counts no freezes, brings along in a step 2.
        let may_be_older = waiting.freezes != self.access.freezes || (waiting.step2 && !waiting.samspil && self.access.freezes > 0);
        if may_be_older {
            may_write = may_write.and(Err(RefusalCode::Frozen));
        }
        let Some(document) = &mut self.document else { return Err(NotApplied::Broken("no document".into())) };
        // A full document is one that nobody may write in; what is here already is no offence in it.
        if is_full(document, &self.limits) {
            may_write = may_write.and(Err(RefusalCode::DocumentFull));
        }
        let writer = DocumentWriter { person: waiting.author.person, may_write };
        let begun = self.watch.cpu();
        let applied = document.write(&waiting.update, writer, &self.update_limits, &mut *self.watch);
        let cpu = self.watch.cpu().saturating_sub(begun);
        self.spend(waiting.author.session, cpu, now);
        applied
    }

    fn spend(&mut self, session: SessionId, cpu: Duration, now: DateTime<Utc>) {
        if cpu > Duration::ZERO {
            self.spent.entry(session).or_insert(Spent { cpu: Duration::ZERO, at: now, flagged: false }).add(cpu, now, &self.limits);
        }
    }

    /// Has this session cost more than `peer_cpu_ms_per_10s`? Said once for each time it happens.
    fn has_spent_too_much(&mut self, session: SessionId, now: DateTime<Utc>) -> bool {
        let Some(spent) = self.spent.get_mut(&session) else { return false };
        spent.add(Duration::ZERO, now, &self.limits);
        let too_much = spent.cpu > Duration::from_millis(self.limits.peer_cpu_ms_per_10s.into());
        if too_much && !std::mem::replace(&mut spent.flagged, true) {
            metrics::counter!("samspil_flagged_sessions_total").increment(1);
            tracing::warn!(document.id = %self.id, session.id = %session, "a session costs more than peer_cpu_ms_per_10s");
        }
        spent.flagged &= too_much;
        too_much
    }

    fn writer(&self, peer: PeerId) -> Option<&Newcomer> {
        self.peers.get(&peer).map(|peer| &peer.newcomer).or_else(|| self.departed.get(&peer))
    }

    fn note_versions(&self, versions: &mut Versions, waiting: &Waiting) {
        let Some(newcomer) = self.writer(waiting.peer) else { return };
        let person = (waiting.author.person, newcomer.person_version);
        if !versions.persons.contains(&person) {
            versions.persons.push(person);
        }
        let session = (waiting.author.session, newcomer.session_version);
        if !versions.sessions.contains(&session) {
            versions.sessions.push(session);
        }
    }

    /// The journal has answered.
    pub fn appended(&mut self, appended: &Appended, now: DateTime<Utc>, out: &mut Vec<Effect>) {
        let Some(batch) = self.in_flight.take() else { return };
        match appended {
            Appended::Committed { first } => {
                let end = *first + batch.rows.len() as u64;
                if self.waiting.is_empty() {
                    self.departed.clear();
                }
                self.acknowledge_at(&batch.settled, end - 1, out);
                for (author, update) in &batch.rows {
                    self.fan_out(Some(*author), update, out);
                }
                self.show_held(out);
                for thread_id in batch.threads {
                    self.event(&Event::ThreadChanged { thread_id }, now, out);
                }
                if *first == self.head + 1 {
                    self.head = end - 1;
                    self.answer(now, out);
                } else {
                    // Another node wrote in between. The head stays until that is here, too.
                    self.behind = Some(*first..end);
                    out.push(Effect::CatchUp);
                }
            }
            Appended::Unknown | Appended::ClientTaken => {
                self.put_back(batch.frames);
                self.document = None;
                out.push(Effect::Reload);
            }
            Appended::AccessChanged => {
                self.put_back(batch.frames);
                self.document = None;
                out.push(Effect::Refresh);
                out.push(Effect::Reload);
            }
            Appended::Rejected => {
                match batch.frames.last() {
                    Some(frame) if batch.alone => {
                        self.refuse(frame, Refusal::new(2, RefusalCode::Malformed, "the database refuses it"), out);
                        self.acknowledge(&batch.settled, out);
                    }
                    _ => {
                        self.one_at_a_time = batch.frames.len();
                        self.put_back(batch.frames);
                    }
                }
                self.document = None;
                out.push(Effect::Reload);
            }
        }
    }

    /// The log seems to stand elsewhere than here: another node may have written. What is on its way will tell by itself.
    pub fn catch_up(&mut self, out: &mut Vec<Effect>) {
        if self.is_settled() {
            self.behind = Some(0..0);
            out.push(Effect::CatchUp);
        }
    }

    /// What another node wrote has been read: the log after [`Self::head`]. It is taken in and shown; nothing of ours is thrown away.
    pub fn caught_up(&mut self, log: &Log, now: DateTime<Utc>, out: &mut Vec<Effect>) {
        let (Some(own), Some(document)) = (&self.behind, &mut self.document) else { return };
        if log.head < self.head.max(own.end.saturating_sub(1)) || document.catch_up(log, self.head, &self.update_limits).is_err() {
            // Back in time, or not what this document can take in: the log wins.
            self.document = None;
            out.push(Effect::Reload);
            return;
        }
        for update in log.updates.iter().filter(|update| !own.contains(&update.seq)) {
            self.fan_out(None, &update.payload, out);
        }
        self.behind = None;
        self.head = log.head;
        self.answer(now, out);
    }

    fn put_back(&mut self, frames: Vec<Waiting>) {
        for frame in frames.into_iter().rev() {
            self.waiting_bytes += frame.update.len();
            self.waiting.push_front(frame);
        }
    }

    /// The log has been read and replayed, at first or again after a failure. What was committed without being shown is shown now; what
    /// waits is admitted again, and what is there already is acknowledged without a row.
    pub fn reloaded(&mut self, log: &Log, document: LiveDocument, now: DateTime<Utc>, out: &mut Vec<Effect>) {
        let own = self.behind.take().unwrap_or_default();
        if log.head < self.head.max(own.end.saturating_sub(1)) {
            // The database went back in time: everybody starts over from what it holds now, with their own words only.
            tracing::error!(document.id = %self.id, held = self.head, found = log.head, "the database went back in time");
            for peer in self.peers.keys().copied().collect::<Vec<_>>() {
                self.close(peer, CloseCode::Resync, "the server was restored from a backup", out);
            }
            self.waiting.clear();
            self.waiting_bytes = 0;
            self.turned_away.clear();
            self.departed.clear();
        } else if log.snapshot.as_ref().is_some_and(|snapshot| snapshot.seq > self.head) {
            let everything = document.state();
            self.fan_out(None, &everything, out);
        } else {
            for update in log.updates.iter().filter(|update| update.seq > self.head && !own.contains(&update.seq)) {
                self.fan_out(None, &update.payload, out);
            }
        }
        self.head = log.head;
        self.foretold = None;
        self.document = Some(document);
        self.answer(now, out);
    }

    /// Rights have been loaded again: the document's, and of each session its principal with versions (`None`: it is over).
    pub fn access(
        &mut self,
        access: RoomAccess,
        principals: &BTreeMap<SessionId, Option<FreshPrincipal>>,
        now: DateTime<Utc>,
        out: &mut Vec<Effect>,
    ) {
        // A freeze retires client ids: who owns which is read again with everything else.
        if access.version != self.access.version && self.in_flight.is_none() && self.document.is_some() {
            self.document = None;
            out.push(Effect::Reload);
        }
        let changed = access.version != self.access.version;
        self.access = access;
        let mut over = Vec::new();
        for (id, peer) in &mut self.peers {
            match principals.get(&peer.newcomer.principal.session) {
                Some(Some(fresh)) => fresh.renew(&mut peer.newcomer),
                Some(None) => over.push(*id),
                None => {}
            }
        }
        for peer in over {
            self.close(peer, CloseCode::SignIn, "signed out", out);
        }
        // Who has left had rights as well: without this their last words would be admitted under old ones for ever, and nobody's
        // after them.
        self.departed.retain(|_, newcomer| match principals.get(&newcomer.principal.session) {
            Some(Some(fresh)) => {
                fresh.renew(newcomer);
                true
            }
            Some(None) => false,
            None => true,
        });
        self.tick(now, out);
        // On whichever server it was changed: each hears of it here, as of the rights themselves.
        if changed {
            self.event(&Event::AgreementChanged, now, out);
        }
    }

    /// The session has ended.
    pub fn session_ended(&mut self, session: SessionId, out: &mut Vec<Effect>) {
        for peer in self.peers.iter().filter(|(_, peer)| peer.newcomer.principal.session == session).map(|(id, _)| *id).collect::<Vec<_>>()
        {
            self.close(peer, CloseCode::SignIn, "signed out", out);
        }
    }

    /// Time has passed: presence that fell silent, sessions that ran out, rights that began or ended with the day.
    pub fn tick(&mut self, now: DateTime<Utc>, out: &mut Vec<Effect>) {
        // Where saving takes so long, people are at least seen.
        self.held.drain(..).for_each(|held| relay_all(Some(held.relay), out));
        for relay in self.presence.expire(&self.limits, now) {
            relay_all(Some(relay), out);
        }
        let limits = &self.limits;
        let mut over = Vec::new();
        self.spent.retain(|_, spent| {
            spent.add(Duration::ZERO, now, limits);
            spent.cpu > Duration::ZERO
        });
        for (id, peer) in &self.peers {
            if now >= peer.newcomer.session_until {
                over.push(*id);
            }
        }
        for id in over {
            self.close(id, CloseCode::SignIn, "the sign-in ran out", out);
        }
        self.tell_abilities(now, out);
    }

    /// Tells each peer what it may do, if that has changed.
    fn tell_abilities(&mut self, now: DateTime<Utc>, out: &mut Vec<Effect>) {
        for id in self.peers.keys().copied().collect::<Vec<_>>() {
            let Some(can) = self.peers.get(&id).map(|peer| self.can(&peer.newcomer.principal, now)) else { continue };
            if can.edit && self.peers.get(&id).is_some_and(|peer| peer.freezes != self.access.freezes) {
                // What it sends from now on cannot be told from what it sent before the freeze. On a new line it can.
                self.close(id, CloseCode::ComeBack, "the text was frozen meanwhile", out);
                continue;
            }
            let Some(peer) = self.peers.get_mut(&id).filter(|peer| peer.told != can) else { continue };
            let reason = reason(peer.told, can);
            let may_write_now = can.edit && !peer.told.edit;
            peer.told = can;
            if peer.newcomer.samspil && peer.welcomed {
                out.push(Effect::Send(id, frame::ability(&AbilityChanged { abilities: can, reason })));
                if may_write_now && self.fullness == Fullness::Near {
                    out.push(Effect::Send(id, frame::event(&Event::NearlyFull)));
                }
            }
            if !can.read {
                self.close(id, CloseCode::Stop, "access was taken away", out);
            }
        }
    }

    /// The document may have come nearer to its largest size: who may write in it hears that before it is there.
    fn measure(&mut self, now: DateTime<Utc>, out: &mut Vec<Effect>) {
        let Some(document) = &mut self.document else { return };
        let before = std::mem::replace(&mut self.fullness, Fullness::of(document, &self.limits));
        if before == self.fullness {
            return;
        }
        tracing::info!(document.id = %self.id, fullness = ?self.fullness, "a document's size reached a limit, or left it");
        self.tell_abilities(now, out);
        if before == Fullness::Roomy && self.fullness == Fullness::Near {
            self.event(&Event::NearlyFull, now, out);
        }
    }

    /// Tells every page that speaks `samspil.v1` of an event; of threads only those that may read them.
    pub fn event(&self, event: &Event, now: DateTime<Utc>, out: &mut Vec<Effect>) {
        let frame = frame::event(event);
        let concerns = |peer: &Peer| match event {
            Event::AgreementChanged => true,
            Event::ThreadChanged { .. } => reads_threads(&peer.newcomer.principal, peer.told, now),
            Event::NearlyFull => peer.told.edit,
        };
        let told = self.peers.iter().filter(|(_, peer)| peer.newcomer.samspil && peer.welcomed && concerns(peer));
        out.extend(told.map(|(id, _)| Effect::Send(*id, frame.clone())));
    }

    /// Anchors a new thread on what a page has selected, in committed state. `None`: not now.
    pub fn place(&mut self, thread: Uuid, selection: &Selection) -> Option<Result<AnchorRow, NotPlaced>> {
        if !self.is_settled() {
            return None;
        }
        Some(self.document.as_mut()?.place(thread, selection))
    }

    /// Closes everybody: the server stops, or the room cannot go on.
    pub fn close_all(&mut self, code: CloseCode, why: &'static str, out: &mut Vec<Effect>) {
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            self.close(peer, code, why, out);
        }
    }

    /// Answers those who wait for committed state, if the room is in one; while it sleeps, as far as it is known.
    fn answer(&mut self, now: DateTime<Utc>, out: &mut Vec<Effect>) {
        if let Some(foretold) = &self.foretold {
            let step2 = foretold.step2.clone();
            for asking in std::mem::take(&mut self.asking) {
                match asking {
                    Asking::Welcome(peer) => self.welcome(peer, now, out),
                    Asking::Diff(peer, state_vector) if state_vector == NOTHING => out.push(Effect::Send(peer, step2.clone())),
                    wants_less @ Asking::Diff(..) => self.asking.push(wants_less),
                }
            }
            return;
        }
        if !self.is_settled() {
            return;
        }
        self.measure(now, out);
        if self.waiting.is_empty() && !self.turned_away.is_empty() {
            let turned_away = std::mem::take(&mut self.turned_away);
            self.acknowledge(&turned_away, out);
            for peer in turned_away.into_keys().filter(|peer| self.peers.contains_key(peer)) {
                out.extend(self.step1().map(|frame| Effect::Send(peer, frame)));
            }
        }
        for asking in std::mem::take(&mut self.asking) {
            match asking {
                Asking::Welcome(peer) => self.welcome(peer, now, out),
                Asking::Diff(peer, state_vector) => {
                    let begun = self.watch.cpu();
                    let diff = self.document.as_ref().map(|document| document.diff(&state_vector));
                    let cpu = self.watch.cpu().saturating_sub(begun);
                    if let Some(session) = self.peers.get(&peer).map(|peer| peer.newcomer.principal.session) {
                        self.spend(session, cpu, now);
                        if self.has_spent_too_much(session, now) {
                            self.close(peer, CloseCode::ComeBack, "peer_cpu_ms_per_10s", out);
                            continue;
                        }
                    }
                    match diff {
                        Some(Ok(diff)) if self.peers.contains_key(&peer) => out.push(Effect::Send(peer, frame::sync_step2(&diff))),
                        Some(Err(_)) => self.close(peer, CloseCode::Stop, "malformed state vector", out),
                        _ => {}
                    }
                }
            }
        }
    }

    fn welcome(&mut self, id: PeerId, now: DateTime<Utc>, out: &mut Vec<Effect>) {
        let Some(step1) = self.step1() else { return };
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.welcomed = true;
        if peer.newcomer.samspil {
            out.push(Effect::Send(
                id,
                frame::hello(&Hello {
                    schema: self.schema,
                    peer_id: id.0,
                    person: peer.newcomer.person.clone(),
                    abilities: peer.told,
                    limits: self.limits.for_hello(),
                    build: crate::BUILD.to_owned(),
                    seq: self.head,
                    freezes: peer.freezes,
                }),
            ));
            if peer.told.edit && self.fullness == Fullness::Near {
                out.push(Effect::Send(id, frame::event(&Event::NearlyFull)));
            }
        }
        out.push(Effect::Send(id, step1));
        let person = peer.newcomer.principal.person;
        out.extend(self.presence.join(id, person, now).map(|frame| Effect::Send(id, frame)));
    }

    fn step1(&self) -> Option<Bytes> {
        let foretold = || self.foretold.as_ref().map(|foretold| frame::sync_step1(&foretold.state_vector));
        self.document.as_ref().map(|document| frame::sync_step1(&document.state_vector())).or_else(foretold)
    }

    fn fan_out(&self, author: Option<PeerId>, update: &Bytes, out: &mut Vec<Effect>) {
        let frame = frame::update(update);
        let others = self.peers.iter().filter(|(id, peer)| Some(**id) != author && peer.welcomed);
        out.extend(others.map(|(id, _)| Effect::Send(*id, frame.clone())));
    }

    fn acknowledge(&mut self, settled: &BTreeMap<PeerId, u64>, out: &mut Vec<Effect>) {
        self.acknowledge_at(settled, self.head, out);
    }

    /// The count never goes back: of what was turned away while later frames came in, the later ones spoke already.
    fn acknowledge_at(&mut self, settled: &BTreeMap<PeerId, u64>, seq: u64, out: &mut Vec<Effect>) {
        for (id, frames) in settled {
            let Some(peer) = self.peers.get_mut(id).filter(|peer| peer.settled < *frames) else { continue };
            peer.settled = *frames;
            if peer.newcomer.samspil {
                out.push(Effect::Send(*id, frame::saved(*frames, seq)));
            }
        }
    }

    /// Shows what was held until words were settled that are settled now.
    fn show_held(&mut self, out: &mut Vec<Effect>) {
        let settled = |held: &mut Held| self.peers.get(&held.peer).is_some_and(|peer| peer.settled >= held.frames);
        self.held.extract_if(.., settled).for_each(|held| relay_all(Some(held.relay), out));
    }

    fn refuse(&mut self, waiting: &Waiting, refusal: Refusal, out: &mut Vec<Effect>) {
        let Some(peer) = self.peers.get_mut(&waiting.peer) else { return };
        let action = refusal.action();
        metrics::counter!("samspil_refusals_total", "rule" => RULES[usize::from(refusal.rule.min(9))]).increment(1);
        let gap = refusal.code == RefusalCode::Gap;
        if gap && peer.resyncing && !waiting.step2 {
            return;
        }
        tracing::info!(document.id = %self.id, person.id = %waiting.author.person, rule = refusal.rule, what = refusal.what, "refused an update");
        // That nothing can be saved is no fault of theirs, nor that a step 1 of ours promised words that were taken back: however often
        // they are told, they are not sent away for it.
        let no_fault = refusal.code == RefusalCode::NotSaving || (gap && waiting.step2);
        peer.refusals_in_a_row += u32::from(!no_fault);
        if gap && waiting.step2 && std::mem::replace(&mut peer.asked_again, true) {
            self.close(waiting.peer, CloseCode::Resync, "its step 2 builds on what is not here", out);
            return;
        }
        let too_often = peer.refusals_in_a_row > self.limits.refusals_before_close;
        let samspil = peer.newcomer.samspil;
        if samspil {
            out.push(Effect::Send(waiting.peer, frame::refused(&Refused { frame: waiting.frame, code: refusal.code, action })));
        }
        if too_often {
            self.close(waiting.peer, CloseCode::Stop, "refused too often", out);
        } else if gap {
            peer.resyncing = true;
            out.extend(self.step1().map(|frame| Effect::Send(waiting.peer, frame)));
        } else if !samspil {
            let (code, why) = match action {
                RefusalAction::NewClientId => (CloseCode::NewClientId, "this client id is taken"),
                RefusalAction::Resync => (CloseCode::ComeBack, "nothing can be saved at the moment"),
                RefusalAction::SignIn => (CloseCode::SignIn, "sign in"),
                RefusalAction::KeepAsProposal => (CloseCode::Stop, "refused for good"),
            };
            self.close(waiting.peer, code, why, out);
        }
    }

    fn close(&mut self, peer: PeerId, code: CloseCode, why: &'static str, out: &mut Vec<Effect>) {
        if self.peers.contains_key(&peer) {
            out.push(Effect::Close(peer, code, why));
            self.leave(peer, out);
        }
    }
}

/// How near a document is to its largest size (SPEC L5, L6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fullness {
    Roomy,
    /// Those who write are told.
    Near,
    /// Nobody writes any more.
    Full,
}

impl Fullness {
    /// Before there is a document: by the bytes that it will be made of.
    fn foretold(whole: &Whole, limits: &Limits) -> Self {
        let clients = frame::Reader::new(&whole.state_vector).varuint().map_or(0, |count| usize::try_from(count).unwrap_or(usize::MAX));
        if whole.update.len() > limits.document_bytes_max || clients > limits.document_clients_max {
            Self::Full
        } else if whole.update.len() > limits.document_bytes_warn || clients > limits.document_clients_warn {
            Self::Near
        } else {
            Self::Roomy
        }
    }

    fn of(document: &mut LiveDocument, limits: &Limits) -> Self {
        if is_full(document, limits) {
            Self::Full
        } else if document.is_larger_than(limits.document_bytes_warn) || document.clients() > limits.document_clients_warn {
            Self::Near
        } else {
            Self::Roomy
        }
    }
}

fn is_full(document: &mut LiveDocument, limits: &Limits) -> bool {
    document.is_larger_than(limits.document_bytes_max) || document.clients() > limits.document_clients_max
}

/// Processor time that runs out of mind at the rate at which it may be used.
#[derive(Clone, Copy, Debug)]
struct Spent {
    cpu: Duration,
    at: DateTime<Utc>,
    flagged: bool,
}

impl Spent {
    fn add(&mut self, cpu: Duration, now: DateTime<Utc>, limits: &Limits) {
        let passed = (now - self.at).to_std().unwrap_or_default();
        let forgotten = passed.mul_f64(f64::from(limits.peer_cpu_ms_per_10s) / 10_000.0);
        *self = Self { cpu: self.cpu.saturating_sub(forgotten) + cpu, at: now.max(self.at), ..*self };
    }
}

/// A principal as it was loaded again.
#[derive(Clone, Debug)]
pub struct FreshPrincipal {
    /// Roles and places.
    pub principal: Principal,
    /// The person's access version.
    pub person_version: i64,
    /// The session's.
    pub session_version: i64,
    /// When the session ends at the latest.
    pub session_until: DateTime<Utc>,
}

impl FreshPrincipal {
    fn renew(&self, newcomer: &mut Newcomer) {
        newcomer.principal = self.principal.clone();
        newcomer.person_version = self.person_version;
        newcomer.session_version = self.session_version;
        newcomer.session_until = self.session_until;
    }
}

/// May this person write now? If not, with which code are their words refused?
fn writes(newcomer: &Newcomer, document: &DocumentAccess, now: DateTime<Utc>) -> Result<(), RefusalCode> {
    let can = abilities(&newcomer.principal, document, now);
    match can.read_only_because {
        _ if can.edit => Ok(()),
        Some(ReadOnlyBecause::Frozen | ReadOnlyBecause::Final | ReadOnlyBecause::Closed) => Err(RefusalCode::Frozen),
        Some(ReadOnlyBecause::Full) => Err(RefusalCode::DocumentFull),
        Some(ReadOnlyBecause::NotAParty) | None => Err(RefusalCode::ReadOnly),
    }
}

fn reason(before: Abilities, after: Abilities) -> AbilityReason {
    if after.edit && !before.edit {
        AbilityReason::Restored
    } else if before.edit
        && matches!(after.read_only_because, Some(ReadOnlyBecause::Frozen | ReadOnlyBecause::Final | ReadOnlyBecause::Closed))
    {
        AbilityReason::Frozen
    } else if before.edit && after.read_only_because == Some(ReadOnlyBecause::Full) {
        AbilityReason::Full
    } else {
        AbilityReason::Revoked
    }
}

/// The rules of admission as figures name them; 0: it could not be saved.
const RULES: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

fn relay_all(relay: Option<Relay>, out: &mut Vec<Effect>) {
    if let Some(Relay { frame, to }) = relay {
        out.extend(to.into_iter().map(|peer| Effect::Send(peer, frame.clone())));
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
pub(super) mod tests;
