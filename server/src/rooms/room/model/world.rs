//! The world: clients on lines that break, nodes that crash, a journal whose answers get lost, and one database. A node does what the
//! task (`rooms::task`) does with what its room wants done, in the same order.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque, hash_map::DefaultHasher},
    fmt::Write as _,
    hash::{Hash, Hasher},
};

use bytes::Bytes;
use samspil_client_protocol::{
    api::AgreementStatus,
    frame::{ClientFrame, Reader},
    message::Refused,
};

use super::{
    super::{
        Appended, Asking, Effect, FreshPrincipal, Newcomer, PeerId, Room, RoomAccess, Waiting,
        tests::{ABOVE, HEAD, LEADER, TEACHER, UNIT, id, newcomer, now},
    },
    client::{Client, Edit, Standing, Unsent},
    database::{Database, LeftOut, NotAppended, Rights, blocks, canonical, holdings},
};
use crate::{
    config::Limits,
    domain::{
        ids::{DocumentId, OrgId, PersonId, SessionId},
        principal::{Placement, Role},
    },
    rooms::document::{LiveDocument, update_limits},
    store::log::{Batch, Log},
};

/// So many rounds, and a world that has not come to rest never will.
const ROUNDS_MAX: usize = 60;

/// One thing that can happen next. What cannot happen just now does nothing, so that any list of actions is a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A person writes.
    Edit { client: usize, edit: Edit },
    /// A client opens a line to a node.
    Connect { client: usize, node: usize },
    /// A client's line breaks; of the frames on their way to the server so many still arrive, none the other way.
    Cut { client: usize, arrive: usize },
    /// A client hears so many frames.
    Hear { client: usize, frames: usize },
    /// A page is closed and opened again.
    Reload { client: usize },
    /// The last update frame on a line comes twice.
    Repeat { client: usize },
    /// A node reads so many frames from a line, and does what follows from them.
    Take { line: usize, frames: usize },
    /// The database decides a node's transaction: commits it, or fails.
    Decide { node: usize, commits: bool },
    /// A node's journal answers its room, or the answer is lost.
    Answer { node: usize, heard: bool },
    /// What a crash left in the database's hands is decided.
    Orphan { commits: bool },
    /// A node's load reads the next of what it has to read.
    Read { node: usize },
    /// A node's room is given what was loaded.
    Loaded { node: usize },
    /// A node's watch compares rights and heads.
    Watch { node: usize },
    /// A node dies, and is there again at once with nothing in memory.
    Crash { node: usize },
    /// A person may only read from now on, or not even that.
    Revoke { client: usize, reads: bool },
    /// A client's session ends.
    End { client: usize },
    /// The text is frozen, or opened again.
    Freeze { frozen: bool },
}

/// Something done wrong on purpose: a search that does not find it proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The journal says committed before the database does.
    AcknowledgesBeforeCommit,
    /// The room shows what it has applied before it is committed.
    ShowsBeforeCommit,
    /// The transaction does not compare versions.
    SkipsVersions,
    /// The transaction does not ask who owns a client id.
    SkipsOwners,
    /// Owners are not read again after a freeze.
    KeepsRetiredIds,
    /// The words of who has left are forgotten.
    ForgetsDeparted,
    /// A batch whose end is unknown is forgotten.
    ForgetsUnknown,
    /// The journal appends again what it had no answer to, instead of having the room look.
    AppendsTwice,
    /// What another node wrote in between is never read.
    NeverCatchesUp,
    /// Rights and heads are never compared.
    NeverWatches,
    /// What a session may do is not looked at again.
    KeepsOldRights,
    /// Nobody is told that the text was frozen and opened again.
    ForgetsFreezes,
}

impl Fault {
    pub const ALL: [Self; 12] = [
        Self::AcknowledgesBeforeCommit,
        Self::ShowsBeforeCommit,
        Self::SkipsVersions,
        Self::SkipsOwners,
        Self::KeepsRetiredIds,
        Self::ForgetsDeparted,
        Self::ForgetsUnknown,
        Self::AppendsTwice,
        Self::NeverCatchesUp,
        Self::NeverWatches,
        Self::KeepsOldRights,
        Self::ForgetsFreezes,
    ];
}

/// How a world is set up.
#[derive(Clone, Debug)]
pub struct Setting {
    pub clients: usize,
    pub nodes: usize,
    /// The first two clients, of different people, happen to have one Yjs client id. The server keeps them apart (rule 8), but it cannot
    /// tell blocks of the same ids from those that are here already: what the two see is not looked at.
    pub one_id: bool,
    /// Room for so few unsaved updates that frames are turned away.
    pub unsaved_max: Option<usize>,
    pub fault: Option<Fault>,
}

/// On its way to a node.
#[derive(Clone, Debug, Hash)]
enum Up {
    Frame(Bytes),
    Gone,
}

/// On its way to a client.
#[derive(Clone, Debug, Hash)]
enum Down {
    Frame(Bytes),
    Closed(u16),
}

struct Line {
    client: usize,
    node: usize,
    peer: Option<PeerId>,
    up: VecDeque<Up>,
    down: VecDeque<Down>,
    /// What arrived on it, and was neither refused nor on a line where something was.
    arrived: Vec<Bytes>,
    refused: bool,
    /// The client is still on it.
    held: bool,
    /// The server has closed it: what is said on it before that is heard reaches nobody.
    shut: bool,
}

struct Job {
    batch: Batch,
    decided: Option<Result<u64, NotAppended>>,
    failed: bool,
}

/// What a node is loading, as far as it has read.
enum Load {
    Asked(Stale),
    /// Versions first, then what they stand for.
    Versions(Stale, i64, BTreeMap<SessionId, (i64, i64)>),
    Read(Box<Found>),
}

struct Stale {
    access: bool,
    document: bool,
    after: Option<u64>,
    sessions: Vec<(SessionId, PersonId)>,
}

struct Found {
    access: Option<(RoomAccess, BTreeMap<SessionId, Option<FreshPrincipal>>)>,
    log: Option<Log>,
    tail: Option<Log>,
}

#[derive(Default)]
struct Node {
    room: Option<Room>,
    lines: BTreeMap<PeerId, usize>,
    appending: Option<Job>,
    loading: Option<Load>,
    refresh: bool,
    reload: bool,
    catch_up: bool,
    /// Sessions of which this node knows that they may see nothing.
    silenced: BTreeSet<SessionId>,
}

struct Word {
    client: usize,
    person: PersonId,
    update: Bytes,
    /// How often the text had been frozen when it was written.
    freezes: u32,
}

pub struct World {
    setting: Setting,
    limits: Limits,
    pub database: Database,
    nodes: Vec<Node>,
    pub clients: Vec<Client>,
    lines: Vec<Line>,
    /// The line that each client is on.
    on: Vec<Option<usize>>,
    orphans: VecDeque<Batch>,
    words: Vec<Word>,
    /// A node has died: what it left may be written beside what is sent again.
    crashed: bool,
    /// No right has changed, nobody shares a client id, and there was room for everything: then nothing may be refused.
    harmless: bool,
    /// The first promise that was broken.
    pub broken: Option<String>,
}

fn session(client: usize) -> SessionId {
    SessionId(id(2_000 + client as u128))
}

fn person(client: usize) -> PersonId {
    PersonId(id([LEADER, HEAD, TEACHER, LEADER][client % 4]))
}

fn as_newcomer(person: PersonId, session: SessionId, versions: (i64, i64), rights: Rights) -> Newcomer {
    let mut newcomer = newcomer(person.0.as_u128());
    newcomer.principal.session = session;
    (newcomer.person_version, newcomer.session_version) = versions;
    let place = match rights {
        Rights::Writes => None,
        Rights::Reads => Some((Role::UnitContributor, UNIT)),
        Rights::Nothing => Some((Role::UnitContributor, ABOVE + 70)),
    };
    if let Some((role, org)) = place {
        newcomer.principal.token_roles = BTreeSet::from([role]);
        newcomer.principal.placements = vec![Placement { role, org: OrgId(id(org)), from: None, to: None }];
    }
    newcomer
}

/// Actions as a test spells them.
pub fn spelled(actions: &[Action]) -> String {
    actions.iter().fold(String::new(), |mut text, action| {
        let _ = writeln!(text, "    Action::{action:?},");
        text
    })
}

impl World {
    pub fn new(setting: &Setting) -> Self {
        let limits = Limits { room_unsaved_updates_max: setting.unsaved_max.unwrap_or(1_000), ..Limits::default() };
        let shared = |client: usize| (setting.one_id && client < 2).then_some(77);
        Self {
            limits,
            database: Database::new((0..setting.clients).map(session)),
            nodes: (0..setting.nodes).map(|_| Node::default()).collect(),
            clients: (0..setting.clients).map(|client| Client::new(client, person(client), session(client), shared(client))).collect(),
            lines: Vec::new(),
            on: vec![None; setting.clients],
            orphans: VecDeque::new(),
            words: Vec::new(),
            crashed: false,
            harmless: !setting.one_id && setting.unsaved_max.is_none(),
            broken: None,
            setting: setting.clone(),
        }
    }

    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    pub fn lines(&self) -> usize {
        self.lines.len()
    }

    fn has(&self, fault: Fault) -> bool {
        self.setting.fault == Some(fault)
    }

    fn promise(&mut self, kept: bool, what: impl FnOnce() -> String) {
        if !kept && self.broken.is_none() {
            self.broken = Some(what());
        }
    }

    /// Does it, if it can be done. Answers whether anything happened.
    pub fn act(&mut self, action: Action) -> bool {
        if self.broken.is_some() {
            return false;
        }
        let happened = match action {
            Action::Edit { client, edit } => self.edit(client, edit),
            Action::Connect { client, node } => self.connect(client, node),
            Action::Cut { client, arrive } => self.cut(client, arrive),
            Action::Hear { client, frames } => self.hear(client, frames),
            Action::Reload { client } => {
                self.cut(client, usize::MAX);
                self.clients[client].reload();
                true
            }
            Action::Repeat { client } => self.repeat(client),
            Action::Take { line, frames } => self.take(line, frames),
            Action::Decide { node, commits } => self.decide(node, commits),
            Action::Answer { node, heard } => self.answer(node, heard),
            Action::Orphan { commits } => self.orphan(commits),
            Action::Read { node } => self.read(node),
            Action::Loaded { node } => self.loaded(node),
            Action::Watch { node } => self.watch(node),
            Action::Crash { node } => self.crash(node),
            Action::Revoke { client, reads } => self.revoke(client, reads),
            Action::End { client } => {
                self.harmless = false;
                let ended = self.clients[client].session;
                let changes = !self.database.sessions[&ended].1;
                self.database.end(ended);
                changes
            }
            Action::Freeze { frozen } => self.freeze(frozen),
        };
        if happened {
            self.look_for_words();
        }
        happened
    }

    /// Can it happen just now? What cannot is not worth doing a history again for.
    pub fn can(&self, action: Action) -> bool {
        let line_of = |client: usize| self.on[client].map(|line| &self.lines[line]);
        match action {
            Action::Edit { client, .. } => self.clients[client].can_edit(),
            Action::Connect { client, .. } => self.on[client].is_none() && self.clients[client].standing == Standing::Fine,
            // Where nothing is on its way, all of it arrives and nothing of it is the same.
            Action::Cut { client, arrive } => line_of(client).is_some_and(|line| arrive > 0 || !line.up.is_empty()),
            Action::Hear { client, .. } => line_of(client).is_some_and(|line| !line.down.is_empty()),
            Action::Repeat { client } | Action::Reload { client } => self.on[client].is_some(),
            Action::Take { line, .. } => self.lines.get(line).is_some_and(|line| !line.up.is_empty()),
            Action::Decide { node, .. } => self.nodes[node].appending.as_ref().is_some_and(|job| job.decided.is_none() && !job.failed),
            Action::Answer { node, .. } => self.nodes[node].appending.as_ref().is_some_and(|job| job.decided.is_some() || job.failed),
            Action::Orphan { .. } => !self.orphans.is_empty(),
            Action::Read { node } => matches!(self.nodes[node].loading, Some(Load::Asked(_) | Load::Versions(..))),
            Action::Loaded { node } => matches!(self.nodes[node].loading, Some(Load::Read(_))),
            Action::Watch { node } => {
                let settled = self.nodes[node].room.as_ref().is_some_and(Room::is_settled);
                self.is_stale(node) || (settled && self.nodes[node].room.as_ref().is_some_and(|room| room.head() != self.database.head()))
            }
            Action::Crash { node } => self.nodes[node].room.is_some(),
            Action::Revoke { client, .. } => self.database.persons[&self.clients[client].person].1 == Rights::Writes,
            Action::End { client } => !self.database.sessions[&self.clients[client].session].1,
            Action::Freeze { frozen } => (self.database.status == AgreementStatus::ReadyToSign) != frozen,
        }
    }

    /// Rights have changed since this node read them, and it is not reading them just now.
    fn is_stale(&self, node: usize) -> bool {
        let here = &self.nodes[node];
        let reading = here.refresh || here.loading.is_some();
        !reading
            && here.room.as_ref().is_some_and(|room| {
                room.access_version() != self.database.document_version
                    || room.present().any(|(principal, person, session)| {
                        self.database.persons[&principal.person].0 != person || self.database.sessions[&principal.session].0 != session
                    })
            })
    }

    // ---- people and clients

    fn edit(&mut self, client: usize, edit: Edit) -> bool {
        let word = self.words.len();
        let Some((update, frame)) = self.clients[client].edit(edit, word) else { return false };
        self.words.push(Word { client, person: self.clients[client].person, update, freezes: self.database.freezes });
        if let (Some(frame), Some(line)) = (frame, self.on[client]) {
            self.lines[line].up.push_back(Up::Frame(frame));
        }
        true
    }

    fn connect(&mut self, client: usize, node: usize) -> bool {
        if self.on[client].is_some() || self.clients[client].standing != Standing::Fine {
            return false;
        }
        let step1 = self.clients[client].connected();
        self.on[client] = Some(self.lines.len());
        self.lines.push(Line {
            client,
            node,
            peer: None,
            up: VecDeque::from([Up::Frame(step1)]),
            down: VecDeque::new(),
            arrived: Vec::new(),
            refused: false,
            held: true,
            shut: false,
        });
        true
    }

    fn cut(&mut self, client: usize, arrive: usize) -> bool {
        let Some(line) = self.on[client].take() else { return false };
        let line = &mut self.lines[line];
        line.held = false;
        line.down.clear();
        line.up.truncate(arrive);
        line.up.push_back(Up::Gone);
        true
    }

    fn hear(&mut self, client: usize, frames: usize) -> bool {
        let mut heard = false;
        for _ in 0..frames {
            let Some(line) = self.on[client] else { break };
            let Some(next) = self.lines[line].down.pop_front() else { break };
            heard = true;
            match next {
                Down::Closed(code) => {
                    self.lines[line].held = false;
                    self.on[client] = None;
                    self.clients[client].closed(code);
                }
                Down::Frame(bytes) => {
                    let reaction = self.clients[client].hear(&bytes);
                    for update in &reaction.settled {
                        let kept = self.database.has(update);
                        self.promise(kept, || format!("G1: client {client} was told that words are saved that are not in the log"));
                    }
                    self.lines[line].up.extend(reaction.send.into_iter().map(Up::Frame));
                    if reaction.hang_up {
                        self.cut(client, usize::MAX);
                    }
                }
            }
        }
        heard
    }

    fn repeat(&mut self, client: usize) -> bool {
        let Some(line) = self.on[client] else { return false };
        let is_update = |up: &&Up| matches!(up, Up::Frame(bytes) if bytes[0] == 0 && bytes[1] == 2);
        let Some(Up::Frame(last)) = self.lines[line].up.iter().rfind(is_update).cloned() else { return false };
        let client = &mut self.clients[client];
        client.frames += 1;
        client.under_way.push((client.frames, Vec::new()));
        self.lines[line].up.push_back(Up::Frame(last));
        true
    }

    /// No word is forgotten: it is in the log under its writer's name, or its writer's client still holds it.
    fn look_for_words(&mut self) {
        if self.setting.one_id {
            return;
        }
        let lost = self.words.iter().enumerate().find(|(number, word)| {
            let blocks = blocks(&word.update);
            let in_log = || self.database.authored.get(&word.person).is_some_and(|authored| blocks.diff(authored).is_empty());
            !blocks.is_empty() && !self.clients[word.client].holds(*number) && !in_log()
        });
        let lost = lost.map(|(number, word)| format!("G1: word {number} of client {} is nowhere any more", word.client));
        self.promise(lost.is_none(), || lost.unwrap_or_default());
    }

    // ---- nodes

    fn take(&mut self, at: usize, frames: usize) -> bool {
        if let Some(line) = self.lines.get_mut(at).filter(|line| line.shut) {
            return line.up.drain(..).count() > 0;
        }
        let mut taken = false;
        for _ in 0..frames {
            let Some(next) = self.lines.get_mut(at).and_then(|line| line.up.pop_front()) else { break };
            taken = true;
            let mut effects = Vec::new();
            let node = self.lines[at].node;
            match next {
                Up::Gone => {
                    if let (Some(peer), Some(room)) = (self.lines[at].peer.take(), &mut self.nodes[node].room) {
                        room.leave(peer, &mut effects);
                        if self.setting.fault == Some(Fault::ForgetsDeparted) {
                            room.departed.clear();
                        }
                        self.nodes[node].lines.remove(&peer);
                    }
                }
                Up::Frame(bytes) => {
                    if self.lines[at].peer.is_none() && !self.join(at, &mut effects) {
                        break;
                    }
                    if let (Some(peer), Some(room)) = (self.lines[at].peer, &mut self.nodes[node].room) {
                        if let Ok(ClientFrame::Update { update, .. }) = ClientFrame::decode(&bytes) {
                            self.lines[at].arrived.push(update);
                        }
                        room.frame(peer, &bytes, now(), &mut effects);
                    }
                }
            }
            self.perform(node, effects);
        }
        if taken {
            let node = self.lines[at].node;
            self.step(node);
        }
        taken
    }

    /// The first frame of a line opens it, and the room if need be.
    fn join(&mut self, at: usize, effects: &mut Vec<Effect>) -> bool {
        let (client, node) = (self.lines[at].client, self.lines[at].node);
        let code = if self.lines[at].up.iter().any(|up| matches!(up, Up::Gone)) && self.nodes[node].room.is_none() && !self.lines[at].held {
            // Nobody is there any more; no room is opened for that.
            Some(4000)
        } else if let Some(newcomer) = self.newcomer(client) {
            if self.nodes[node].room.is_none() {
                self.open(node);
            }
            let Some(room) = &mut self.nodes[node].room else { return false };
            match room.join(newcomer, now(), effects) {
                Ok(peer) => {
                    self.lines[at].peer = Some(peer);
                    self.nodes[node].lines.insert(peer, at);
                    None
                }
                Err(code) => Some(code.code()),
            }
        } else {
            Some(4401)
        };
        if let Some(code) = code {
            self.lines[at].shut = true;
            self.lines[at].up.clear();
            self.lines[at].down.push_back(Down::Closed(code));
        }
        code.is_none()
    }

    /// What a node reads of the document's access.
    fn access(&self) -> RoomAccess {
        let access = self.database.access();
        RoomAccess { freezes: if self.has(Fault::ForgetsFreezes) { 0 } else { access.freezes }, ..access }
    }

    /// A room opens asleep, and its log is on its way to it.
    fn open(&mut self, node: usize) {
        let log = self.database.read(0);
        let holds = LiveDocument::foretell(&log, &update_limits(&self.limits));
        let room = Room::asleep(DocumentId(id(100)), 1, log.head, holds, self.access(), self.limits.clone());
        self.nodes[node].room = Some(room);
        self.nodes[node].loading = Some(Load::Read(Box::new(Found { access: None, log: Some(log), tail: None })));
    }

    fn newcomer(&self, client: usize) -> Option<Newcomer> {
        let (person, session) = (self.clients[client].person, self.clients[client].session);
        let (session_version, ended) = self.database.sessions[&session];
        let (person_version, rights) = self.database.persons[&person];
        (!ended).then(|| as_newcomer(person, session, (person_version, session_version), rights))
    }

    /// Does what the room wants done, and looks at everything that it says.
    fn perform(&mut self, node: usize, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send(peer, bytes) => {
                    let Some(line) = self.nodes[node].lines.get(&peer).copied() else { continue };
                    self.look_at(node, line, &bytes);
                    if self.lines[line].held {
                        self.lines[line].down.push_back(Down::Frame(bytes));
                    }
                }
                Effect::Close(peer, code, _) => {
                    if let Some(line) = self.nodes[node].lines.remove(&peer) {
                        let line = &mut self.lines[line];
                        (line.peer, line.shut) = (None, true);
                        line.up.clear();
                        if line.held {
                            line.down.push_back(Down::Closed(code.code()));
                        }
                    }
                }
                Effect::Reload => self.nodes[node].reload = true,
                Effect::Refresh => self.nodes[node].refresh = true,
                Effect::CatchUp if self.has(Fault::NeverCatchesUp) => {
                    if let Some(room) = &mut self.nodes[node].room {
                        (room.behind, room.head) = (None, self.database.head());
                    }
                }
                Effect::CatchUp => self.nodes[node].catch_up = true,
            }
        }
    }

    fn look_at(&mut self, node: usize, line: usize, bytes: &Bytes) {
        let mut reader = Reader::new(bytes);
        match reader.varuint().unwrap() {
            0 => {
                let kind = reader.varuint().unwrap();
                let body = reader.bytes().unwrap();
                let client = self.lines[line].client;
                let kept = kind == 0 || self.database.has(body);
                self.promise(kept, || format!("G2: client {client} is shown what is not in the log"));
                let silenced = self.nodes[node].silenced.contains(&self.clients[client].session);
                self.promise(!silenced, || {
                    format!("G5: client {client} is shown something after node {node} knew that it may see nothing")
                });
            }
            102 => {
                let refused: Refused = serde_json::from_str(reader.string().unwrap()).unwrap();
                self.lines[line].refused = true;
                let harmless = self.harmless;
                self.promise(!harmless, || format!("an honest update was refused: {refused:?}"));
            }
            _ => {}
        }
    }

    /// What a node's task does after every input: a batch for the journal, or a load.
    fn step(&mut self, node: usize) {
        let here = &mut self.nodes[node];
        let Some(room) = &mut here.room else { return };
        let stale = here.refresh || here.reload || here.catch_up;
        if here.appending.is_none() && here.loading.is_none() && !stale {
            let mut effects = Vec::new();
            let batch = room.next_batch(now(), &mut effects);
            let mut shown = Vec::new();
            if let Some(batch) = batch {
                if self.setting.fault == Some(Fault::ShowsBeforeCommit) {
                    batch.rows.iter().for_each(|row| room.fan_out(None, &row.payload, &mut shown));
                }
                here.appending = Some(Job { batch, decided: None, failed: false });
            }
            self.perform(node, effects);
            self.perform(node, shown);
            if self.has(Fault::AcknowledgesBeforeCommit)
                && let Some(job) = self.nodes[node].appending.take()
            {
                let first = self.database.head() + 1;
                self.orphans.push_back(job.batch);
                self.appended(node, &Appended::Committed { first });
            }
        }
        let here = &mut self.nodes[node];
        let Some(room) = &here.room else { return };
        if here.loading.is_none() && here.appending.is_none() && (here.refresh || here.reload || here.catch_up) {
            let sessions: BTreeSet<_> = room.present().map(|(principal, ..)| (principal.session, principal.person)).collect();
            here.loading = Some(Load::Asked(Stale {
                access: std::mem::take(&mut here.refresh),
                document: std::mem::take(&mut here.reload),
                after: std::mem::take(&mut here.catch_up).then(|| room.head()),
                sessions: sessions.into_iter().collect(),
            }));
        }
    }

    fn crash(&mut self, node: usize) -> bool {
        let here = std::mem::take(&mut self.nodes[node]);
        let lived = here.room.is_some();
        self.crashed |= lived;
        // A transaction that was not decided is in the database's hands.
        self.orphans.extend(here.appending.filter(|job| job.decided.is_none() && !job.failed).map(|job| job.batch));
        for line in 0..self.lines.len() {
            if self.lines[line].node == node {
                let client = self.lines[line].client;
                if self.on[client] == Some(line) {
                    self.on[client] = None;
                }
                let line = &mut self.lines[line];
                (line.held, line.peer) = (false, None);
                line.up.clear();
                line.down.clear();
                line.arrived.clear();
            }
        }
        lived
    }

    // ---- journal and database

    fn commit(&mut self, batch: &Batch) -> Result<u64, NotAppended> {
        let without = LeftOut { versions: self.has(Fault::SkipsVersions), owners: self.has(Fault::SkipsOwners) };
        let before = self.database.head();
        let news = |world: &Self| !batch.rows.iter().any(|row| world.database.has(&row.payload));
        // Another node, or one that died, may have been given the same words over another line; a room that has seen the whole log writes nothing twice.
        let alone = self.nodes.len() == 1 && !self.crashed;
        let twice = (alone || batch.head == before) && !news(self);
        let older = self.words.iter().enumerate().filter(|(_, word)| word.freezes < self.database.freezes);
        let older: Vec<usize> = older.filter(|(_, word)| !self.database.has(&word.update)).map(|(number, _)| number).collect();
        let appended = self.database.append(batch, without)?;
        let merged = older.into_iter().find(|number| self.database.has(&self.words[*number].update));
        self.promise(merged.is_none(), || format!("S8: word {merged:?} was written before a freeze and merged after it"));
        self.promise(!twice, || "a resent update that brings nothing new got a row".to_owned());
        for row in &batch.rows {
            let may = self.database.may_write(row.person, row.session);
            self.promise(may, || format!("G5: words of {} were committed after their right to write had ended", row.person));
            let owns = blocks(&row.payload).client_ids().all(|client| {
                let owner = self.database.owners.get(&client.get());
                owner == Some(&(Some(row.person), false))
            });
            self.promise(owns, || format!("G5: words of {} were committed under a client id that is not theirs, or retired", row.person));
        }
        Ok(appended)
    }

    fn decide(&mut self, node: usize, commits: bool) -> bool {
        let Some(mut job) = self.nodes[node].appending.take() else { return false };
        if job.decided.is_some() || job.failed {
            self.nodes[node].appending = Some(job);
            return false;
        }
        if commits {
            job.decided = Some(self.commit(&job.batch));
        } else {
            job.failed = true;
        }
        self.nodes[node].appending = Some(job);
        true
    }

    fn answer(&mut self, node: usize, heard: bool) -> bool {
        let Some(job) = self.nodes[node].appending.take_if(|job| job.decided.is_some() || job.failed) else { return false };
        let answer = match job.decided {
            Some(Ok(first)) if heard => Appended::Committed { first },
            Some(Err(NotAppended::AccessChanged)) if heard => Appended::AccessChanged,
            Some(Err(NotAppended::ClientTaken)) if heard => Appended::ClientTaken,
            _ if self.has(Fault::AppendsTwice) => match self.commit(&job.batch) {
                Ok(first) => Appended::Committed { first },
                Err(_) => Appended::Unknown,
            },
            _ => Appended::Unknown,
        };
        self.appended(node, &answer);
        true
    }

    fn appended(&mut self, node: usize, answer: &Appended) {
        let mut effects = Vec::new();
        let forgets = self.has(Fault::ForgetsUnknown) && matches!(answer, Appended::Unknown);
        if let Some(room) = &mut self.nodes[node].room {
            if let Some(batch) = room.in_flight.as_mut().filter(|_| forgets) {
                batch.frames.clear();
            }
            room.appended(answer, now(), &mut effects);
        }
        self.perform(node, effects);
        self.step(node);
    }

    fn orphan(&mut self, commits: bool) -> bool {
        let Some(batch) = self.orphans.pop_front() else { return false };
        if commits {
            // Nobody hears how it ended.
            let _ = self.commit(&batch);
        }
        true
    }

    fn read(&mut self, node: usize) -> bool {
        let Some(load) = self.nodes[node].loading.take() else { return false };
        let found = |world: &Self, stale: &Stale| {
            let log = stale.document.then(|| world.database.read(0));
            let tail = stale.after.filter(|_| log.is_none()).map(|after| world.database.read(after));
            (log, tail)
        };
        let (next, happened) = match load {
            Load::Asked(stale) if stale.access => {
                let versions = stale
                    .sessions
                    .iter()
                    .map(|(session, person)| (*session, (self.database.persons[person].0, self.database.sessions[session].0)));
                let versions = versions.collect();
                (Load::Versions(stale, self.database.document_version, versions), true)
            }
            Load::Asked(stale) => {
                let (log, tail) = found(self, &stale);
                (Load::Read(Box::new(Found { access: None, log, tail })), true)
            }
            Load::Versions(stale, version, versions) => {
                let principals = stale.sessions.iter().map(|(session, person)| {
                    let fresh = (!self.database.sessions[session].1).then(|| {
                        let newcomer = as_newcomer(*person, *session, versions[session], self.database.persons[person].1);
                        FreshPrincipal {
                            principal: newcomer.principal,
                            person_version: newcomer.person_version,
                            session_version: newcomer.session_version,
                            session_until: newcomer.session_until,
                        }
                    });
                    (*session, fresh)
                });
                let access = Some((RoomAccess { version, ..self.access() }, principals.collect()));
                let (log, tail) = found(self, &stale);
                (Load::Read(Box::new(Found { access, log, tail })), true)
            }
            read @ Load::Read(_) => (read, false),
        };
        self.nodes[node].loading = Some(next);
        happened
    }

    fn loaded(&mut self, node: usize) -> bool {
        if !matches!(self.nodes[node].loading, Some(Load::Read(_))) {
            return false;
        }
        let Some(Load::Read(found)) = self.nodes[node].loading.take() else { return false };
        let Found { access, log, tail } = *found;
        let mut effects = Vec::new();
        let (keeps_rights, keeps_ids) = (self.has(Fault::KeepsOldRights), self.has(Fault::KeepsRetiredIds));
        if let Some((access, mut principals)) = access {
            for (session, fresh) in &principals {
                let nothing =
                    fresh.as_ref().is_none_or(|fresh| fresh.principal.placements.iter().any(|place| place.org.0 == id(ABOVE + 70)));
                if nothing {
                    self.nodes[node].silenced.insert(*session);
                }
            }
            if keeps_rights {
                principals.clear();
            }
            let Some(room) = &mut self.nodes[node].room else { return true };
            if keeps_ids {
                (room.access.version, room.access.freezes) = (access.version, access.freezes);
                room.peers.values_mut().for_each(|peer| peer.freezes = access.freezes);
            }
            room.access(access, &principals, now(), &mut effects);
        }
        if let (Some(tail), Some(room)) = (tail, &mut self.nodes[node].room) {
            room.caught_up(&tail, now(), &mut effects);
        }
        let replays = match (log, &mut self.nodes[node].room) {
            (Some(mut log), Some(room)) => {
                if keeps_ids {
                    log.owners.iter_mut().for_each(|owner| owner.retired = false);
                }
                room.replayed(&log, now(), &mut effects).is_ok()
            }
            _ => true,
        };
        self.promise(replays, || "G4: the log does not replay".to_owned());
        self.perform(node, effects);
        self.step(node);
        true
    }

    fn watch(&mut self, node: usize) -> bool {
        if self.has(Fault::NeverWatches) {
            return false;
        }
        let stale = self.is_stale(node);
        let Some(room) = &mut self.nodes[node].room else { return false };
        let mut effects = Vec::new();
        if room.head() != self.database.head() {
            room.catch_up(&mut effects);
        }
        let happened = stale || !effects.is_empty();
        self.nodes[node].refresh |= stale;
        self.perform(node, effects);
        self.step(node);
        happened
    }

    fn revoke(&mut self, client: usize, reads: bool) -> bool {
        self.harmless = false;
        let person = self.clients[client].person;
        let rights = if reads { Rights::Reads } else { Rights::Nothing };
        let (_, before) = self.database.persons[&person];
        // Nobody is given more by it.
        if before == rights || before == Rights::Nothing {
            return false;
        }
        self.database.set_rights(person, rights);
        true
    }

    fn freeze(&mut self, frozen: bool) -> bool {
        let status = if frozen { AgreementStatus::ReadyToSign } else { AgreementStatus::Reopened };
        if (self.database.status == AgreementStatus::ReadyToSign) == frozen {
            return false;
        }
        self.harmless = false;
        self.database.set_status(status);
        true
    }

    // ---- rest

    /// Lets everything that is under way arrive, with nothing failing any more, and looks whether the promises hold then. Whoever may
    /// come back does.
    pub fn rest(&mut self) {
        self.drain(false);
        self.look_for_arrived();
        self.drain(true);
        if self.broken.is_none() {
            self.look_at_rest();
        }
    }

    /// If nothing is under way: looks whether the promises hold at rest. To be asked in every state that can be reached.
    pub fn look_if_at_rest(&mut self) {
        let nodes = 0..self.nodes.len();
        let moves = nodes.flat_map(|node| {
            [Action::Decide { node, commits: true }, Action::Answer { node, heard: true }, Action::Read { node }, Action::Loaded { node }]
                .into_iter()
                .chain((!self.has(Fault::NeverWatches)).then_some(Action::Watch { node }))
        });
        let lines = (0..self.lines.len()).map(|line| Action::Take { line, frames: usize::MAX });
        let hears = (0..self.clients.len()).map(|client| Action::Hear { client, frames: usize::MAX });
        let under_way = moves.chain(lines).chain(hears).chain([Action::Orphan { commits: true }]).any(|action| self.can(action));
        if under_way || self.broken.is_some() {
            return;
        }
        self.look_for_arrived();
        if !(0..self.clients.len()).any(|client| self.can(Action::Connect { client, node: 0 })) {
            self.look_at_rest();
        }
    }

    fn drain(&mut self, return_too: bool) {
        for _ in 0..ROUNDS_MAX {
            let mut happened = false;
            for node in 0..self.nodes.len() {
                for _ in 0..3 {
                    happened |= self.act(Action::Decide { node, commits: true });
                    happened |= self.act(Action::Answer { node, heard: true });
                    happened |= self.act(Action::Read { node });
                    happened |= self.act(Action::Loaded { node });
                }
            }
            for line in 0..self.lines.len() {
                happened |= self.act(Action::Take { line, frames: usize::MAX });
            }
            happened |= self.act(Action::Orphan { commits: true });
            for client in 0..self.clients.len() {
                happened |= self.act(Action::Hear { client, frames: usize::MAX });
                if return_too {
                    happened |= self.act(Action::Connect { client, node: client % self.nodes.len() });
                }
            }
            if !happened {
                for node in 0..self.nodes.len() {
                    happened |= self.act(Action::Watch { node });
                }
            }
            if !happened || self.broken.is_some() {
                return;
            }
        }
        self.promise(false, || "it does not come to rest".to_owned());
    }

    /// What a room was given is written, whether or not its writer stayed, unless the room died or something was refused.
    fn look_for_arrived(&mut self) {
        if !self.harmless {
            return;
        }
        let lost = self.lines.iter().filter(|line| !line.refused).find(|line| line.arrived.iter().any(|update| !self.database.has(update)));
        let lost = lost.map(|line| format!("words of client {} arrived and were not written", line.client));
        self.promise(lost.is_none(), || lost.unwrap_or_default());
    }

    fn look_at_rest(&mut self) {
        let says = crate::content::render(&self.database.says);
        let replayed = LiveDocument::replay(&self.database.read(0), &update_limits(&self.limits)).map(|document| document.content());
        let replays = replayed.is_ok_and(|content| content == says);
        self.promise(replays, || "G4: the log replays to something else than the library makes of it".to_owned());
        for node in 0..self.nodes.len() {
            let Some(room) = &self.nodes[node].room else { continue };
            let settled = room.committed().map(LiveDocument::content);
            let (head, nothing_waits) = (room.head(), room.waiting.is_empty() && room.in_flight.is_none() && room.asking.is_empty());
            let live = settled.as_ref() == Some(&says);
            let expected = self.database.head();
            self.promise(head == expected && nothing_waits, || {
                format!("node {node} stands at {head} of {expected}, or something waits in it")
            });
            self.promise(live, || format!("G4: the live document of node {node} is not what the log says"));
        }
        for number in 0..self.clients.len() {
            let client = &self.clients[number];
            let sees = self.database.persons[&client.person].1 != Rights::Nothing && !self.database.sessions[&client.session].1;
            let on = self.on[number].is_some();
            let broken = match (client.standing, sees) {
                (Standing::Fine, true) if !on => Some("does not get back in".to_owned()),
                (Standing::Fine, true) if self.setting.one_id => None,
                (Standing::Fine, true) if client.content() != says => Some("G3: sees something else than the log says".to_owned()),
                (Standing::Fine, true) if holdings(&client.doc) != holdings(&self.database.says) => {
                    Some("G3: holds other blocks than the log".to_owned())
                }
                (Standing::Fine, true) if client.saved != client.frames => {
                    Some(format!("H3: of {} frames only {} were settled", client.frames, client.saved))
                }
                (Standing::Fine, true) if !client.unsent.is_empty() || client.limbo.is_some() => {
                    Some("still holds unsent words".to_owned())
                }
                (_, false) if on => Some("G5: is on a line although it may see nothing".to_owned()),
                (Standing::Stopped, true) => Some("was stopped although it may read".to_owned()),
                _ if self.harmless && !client.kept.is_empty() => Some("had words refused that were honest".to_owned()),
                _ => None,
            };
            self.promise(broken.is_none(), || format!("client {number} {}", broken.unwrap_or_default()));
        }
    }

    // ---- telling worlds apart

    /// Two worlds with the same fingerprint have the same future.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let mut text = String::new();
        let _ = write!(
            text,
            "{:?}",
            (
                self.database.log.iter().map(|row| canonical(row)).collect::<Vec<_>>(),
                &self.database.owners,
                (self.database.document_version, self.database.freezes),
                &self.database.persons,
                &self.database.sessions,
                self.orphans.iter().map(describe_batch).collect::<Vec<_>>(),
                (self.harmless, self.crashed),
            )
        );
        for node in &self.nodes {
            let _ = write!(text, "{:?}", (&node.lines, node.refresh, node.reload, node.catch_up, &node.silenced));
            if let Some(job) = &node.appending {
                let _ = write!(text, "{:?}", (describe_batch(&job.batch), &job.decided, job.failed));
            }
            match &node.loading {
                None => {}
                Some(Load::Asked(stale)) => drop(write!(text, "asked {:?}", (stale.access, stale.document, stale.after, &stale.sessions))),
                Some(Load::Versions(stale, version, versions)) => {
                    let _ = write!(text, "versions {:?}", (stale.document, stale.after, version, versions));
                }
                Some(Load::Read(found)) => {
                    let heads = [&found.log, &found.tail].map(|log| log.as_ref().map(|log| (log.head, format!("{:?}", log.owners))));
                    let access = found.access.as_ref().map(|(access, principals)| (access.version, format!("{principals:?}")));
                    let _ = write!(text, "read {:?}", (heads, access));
                }
            }
            if let Some(room) = &node.room {
                describe_room(room, &mut text);
            }
        }
        for (number, line) in self.lines.iter().enumerate() {
            let over = !line.held && line.up.is_empty() && line.peer.is_none();
            if !over {
                let up: Vec<_> = line.up.iter().map(describe_up).collect();
                let down: Vec<_> = line.down.iter().map(describe_down).collect();
                let _ = write!(text, "{:?}", (number, line.client, line.node, line.peer, line.held, line.shut, up, down, line.refused));
            }
            let lost: Vec<_> = line.arrived.iter().filter(|update| !self.database.has(update)).map(|update| canonical(update)).collect();
            let _ = write!(text, "{lost:?}");
        }
        for client in &self.clients {
            let unsent = |unsent: &BTreeMap<usize, Unsent>| unsent.iter().map(|(key, one)| (*key, one.word)).collect::<Vec<_>>();
            let _ = write!(
                text,
                "{:?}",
                (
                    client.standing,
                    holdings(&client.doc),
                    client.doc.client_id().get(),
                    unsent(&client.unsent),
                    client.limbo.as_ref().map(unsent),
                    &client.kept,
                    (client.may_write, client.frames, client.saved, client.answered, client.synced, client.heard_of_freezes()),
                    &client.under_way,
                )
            );
        }
        text.hash(&mut hasher);
        hasher.finish()
    }
}

fn describe_batch(batch: &Batch) -> String {
    let rows: Vec<_> = batch.rows.iter().map(|row| (row.person, row.session, canonical(&row.payload))).collect();
    format!("{:?}", (batch.head, &batch.versions, rows, &batch.clients))
}

fn describe_waiting(waiting: &Waiting) -> String {
    format!("{:?}", (waiting.peer, waiting.frame, waiting.step2, waiting.freezes, canonical(&waiting.update), waiting.refused))
}

fn describe_frame(bytes: &Bytes) -> String {
    let mut reader = Reader::new(bytes);
    match (reader.varuint(), reader.varuint()) {
        (Ok(0), Ok(kind)) if kind > 0 => format!("{kind} {:?}", canonical(reader.bytes().unwrap())),
        // A state vector has no order; its length and the rest of the world say what is in it.
        (Ok(0), _) => format!("step 1 of {}", bytes.len()),
        _ => format!("{bytes:?}"),
    }
}

fn describe_up(up: &Up) -> String {
    match up {
        Up::Frame(bytes) => describe_frame(bytes),
        Up::Gone => "gone".to_owned(),
    }
}

fn describe_down(down: &Down) -> String {
    match down {
        Down::Frame(bytes) => describe_frame(bytes),
        Down::Closed(code) => format!("closed {code}"),
    }
}

fn describe_room(room: &Room, text: &mut String) {
    let peers: Vec<_> = room
        .peers
        .iter()
        .map(|(id, peer)| {
            let newcomer = &peer.newcomer;
            let counts = (peer.frames, peer.settled, peer.resyncing, peer.refusals_in_a_row, peer.welcomed);
            (id, counts, peer.freezes, peer.told.edit, peer.told.read, newcomer.person_version, newcomer.session_version)
        })
        .collect();
    let departed: Vec<_> = room.departed.iter().map(|(id, newcomer)| (id, newcomer.person_version, newcomer.session_version)).collect();
    let in_flight = room.in_flight.as_ref().map(|batch| (batch.frames.iter().map(describe_waiting).collect::<Vec<_>>(), &batch.settled));
    let asking: Vec<_> = room
        .asking
        .iter()
        .map(|asking| match asking {
            Asking::Welcome(peer) => (peer, 0),
            Asking::Diff(peer, state_vector) => (peer, state_vector.len()),
        })
        .collect();
    let document = room.document.as_ref().map(LiveDocument::state).map(|state| canonical(&state));
    let _ = write!(
        text,
        "{:?}",
        (
            (room.head, &room.behind, room.access.version, room.access.freezes, room.next_peer, room.foretold.is_some()),
            peers,
            departed,
            room.waiting.iter().map(describe_waiting).collect::<Vec<_>>(),
            in_flight,
            asking,
            &room.turned_away,
            document,
        )
    );
}
