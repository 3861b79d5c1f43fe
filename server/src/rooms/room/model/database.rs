//! The database: one document's log and what decides over it, with the semantics of `store::log::Appender`. That it has them is shown by
//! `differential`.

use std::collections::BTreeMap;

use bytes::Bytes;
use samspil_client_protocol::api::AgreementStatus;
use yrs::{Doc, IdSet, ReadTxn, StateVector, Transact, Update, XmlElementPrelim, XmlFragment, XmlTextPrelim, updates::decoder::Decode};

use super::super::tests::{HEAD, LEADER, TEACHER, access, doc, first_update, id};
use crate::{
    domain::ids::{PersonId, SessionId},
    rooms::room::RoomAccess,
    store::log::{Batch, Log, Logged, Owner},
};

/// What a person may do, in this model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rights {
    Writes,
    Reads,
    Nothing,
}

/// Why a batch was not appended; named as in `store::log::NotAppended`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAppended {
    AccessChanged,
    Rewound,
    Behind,
    ClientTaken,
}

/// What the transaction leaves out, for a search that must notice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    pub versions: bool,
    pub owners: bool,
}

pub struct Database {
    pub log: Vec<Bytes>,
    /// Who owns a client id, and whether it is retired.
    pub owners: BTreeMap<u64, (Option<PersonId>, bool)>,
    pub status: AgreementStatus,
    pub document_version: i64,
    /// How often the text was frozen.
    pub freezes: u32,
    pub persons: BTreeMap<PersonId, (i64, Rights)>,
    /// With their version, and whether they have ended.
    pub sessions: BTreeMap<SessionId, (i64, bool)>,
    /// Every row applied by the library alone, with no rule of ours: what the log says.
    pub says: Doc,
    /// The blocks that each person has in the log.
    pub authored: BTreeMap<PersonId, IdSet>,
}

impl Database {
    pub fn new(sessions: impl IntoIterator<Item = SessionId>) -> Self {
        let says = doc(998);
        let first = two_paragraphs();
        apply(&says, &first);
        Self {
            log: vec![first],
            owners: BTreeMap::from([(999, (None, false))]),
            status: AgreementStatus::InDialogue,
            document_version: 0,
            freezes: 0,
            persons: [(LEADER, Rights::Writes), (HEAD, Rights::Writes), (TEACHER, Rights::Reads)]
                .map(|(person, rights)| (PersonId(id(person)), (0, rights)))
                .into(),
            sessions: sessions.into_iter().map(|session| (session, (0, false))).collect(),
            says,
            authored: BTreeMap::new(),
        }
    }

    pub fn head(&self) -> u64 {
        self.log.len() as u64
    }

    /// The log after this seq, and who owns which client id.
    pub fn read(&self, after: u64) -> Log {
        Log {
            head: self.head(),
            snapshot: None,
            updates: (1..)
                .zip(&self.log)
                .map(|(seq, payload)| Logged { seq, payload: payload.clone() })
                .filter(|row| row.seq > after)
                .collect(),
            owners: self
                .owners
                .iter()
                .map(|(client, (person, retired))| Owner { client: *client, person: *person, retired: *retired })
                .collect(),
            anchors: Vec::new(),
        }
    }

    pub fn access(&self) -> RoomAccess {
        RoomAccess { freezes: self.freezes, ..access(self.status, self.document_version) }
    }

    /// One transaction: all of it, or nothing.
    pub fn append(&mut self, batch: &Batch, without: LeftOut) -> Result<u64, NotAppended> {
        let versions = &batch.versions;
        let hold = versions.document == self.document_version
            && versions.persons.iter().all(|(person, version)| self.persons.get(person).is_some_and(|(now, _)| now == version))
            && versions.sessions.iter().all(|(session, version)| self.sessions.get(session).is_some_and(|(now, _)| now == version));
        if !hold && !without.versions {
            return Err(NotAppended::AccessChanged);
        }
        if self.head() < batch.head {
            return Err(NotAppended::Rewound);
        }
        let mut owners = self.owners.clone();
        for (client, person) in &batch.clients {
            owners.entry(*client).or_insert((Some(*person), false));
        }
        if !without.owners && batch.clients.iter().any(|(client, person)| owners[client] != (Some(*person), false)) {
            return Err(NotAppended::ClientTaken);
        }
        if self.head() > batch.head && !batch.is_words_alone() {
            return Err(NotAppended::Behind);
        }
        self.owners = owners;
        let first = self.head() + 1;
        for row in &batch.rows {
            apply(&self.says, &row.payload);
            self.authored.entry(row.person).or_default().merge_with(blocks(&row.payload));
            self.log.push(row.payload.clone());
        }
        Ok(first)
    }

    /// A freeze retires every client id of the document (design §4).
    pub fn set_status(&mut self, status: AgreementStatus) {
        if status == AgreementStatus::ReadyToSign {
            self.owners.values_mut().for_each(|(_, retired)| *retired = true);
            self.freezes += 1;
        }
        self.status = status;
        self.document_version += 1;
    }

    pub fn set_rights(&mut self, person: PersonId, rights: Rights) {
        if let Some(state) = self.persons.get_mut(&person) {
            *state = (state.0 + 1, rights);
        }
    }

    pub fn end(&mut self, session: SessionId) {
        if let Some(state) = self.sessions.get_mut(&session) {
            *state = (state.0 + 1, true);
        }
    }

    /// May these words be written at this moment?
    pub fn may_write(&self, person: PersonId, session: SessionId) -> bool {
        self.status != AgreementStatus::ReadyToSign
            && self.persons.get(&person).is_some_and(|(_, rights)| *rights == Rights::Writes)
            && self.sessions.get(&session).is_some_and(|(_, ended)| !ended)
    }

    /// Does the log say all that this update says?
    pub fn has(&self, update: &[u8]) -> bool {
        is_in(&self.says, update)
    }
}

/// The server's first words: a text of two paragraphs.
fn two_paragraphs() -> Bytes {
    let doc = doc(999);
    apply(&doc, &first_update());
    let section = doc.get_or_insert_xml_fragment("section:kerneopgave");
    {
        let mut transaction = doc.transact_mut();
        let paragraph = section.push_back(&mut transaction, XmlElementPrelim::empty("paragraph"));
        paragraph.push_back(&mut transaction, XmlTextPrelim::new("Mere"));
    }
    doc.transact().encode_state_as_update_v1(&StateVector::default()).into()
}

pub fn apply(doc: &Doc, update: &[u8]) {
    doc.transact_mut().apply_update(Update::decode_v1(update).unwrap()).unwrap();
}

/// Every block of an update.
pub fn blocks(update: &[u8]) -> IdSet {
    Update::decode_v1(update).unwrap().insertions(true)
}

/// Every block of a document.
pub fn all_blocks(doc: &Doc) -> IdSet {
    let mut blocks = IdSet::new();
    for (client, clock) in doc.transact().state_vector().iter() {
        if *clock > 0 {
            blocks.insert(yrs::ID::new(*client, 0), *clock);
        }
    }
    blocks
}

/// Does the document hold every block of this update, and is everything deleted that it deletes?
pub fn is_in(doc: &Doc, update: &[u8]) -> bool {
    let update = Update::decode_v1(update).unwrap();
    let snapshot = doc.transact().snapshot();
    update.insertions(true).diff(&all_blocks(doc)).is_empty() && update.delete_set().diff(&snapshot.delete_set).is_empty()
}

/// A state vector in one order.
type Clocks = Vec<(u64, u32)>;
/// A set of ids in one order.
type Ranges = Vec<(u64, Vec<(u32, u32)>)>;

/// What a document holds, in one order.
pub fn holdings(doc: &Doc) -> (Clocks, Ranges) {
    let snapshot = doc.transact().snapshot();
    (clocks(&snapshot.state_map), ranges(&snapshot.delete_set))
}

fn clocks(state_vector: &StateVector) -> Clocks {
    let mut clocks: Clocks = state_vector.iter().map(|(client, clock)| (client.get(), *clock)).filter(|(_, clock)| *clock > 0).collect();
    clocks.sort_unstable();
    clocks
}

fn ranges(set: &IdSet) -> Ranges {
    let mut ranges: Ranges =
        set.iter().map(|(client, ranges)| (client.get(), ranges.iter().map(|range| (range.start, range.end)).collect())).collect();
    ranges.retain(|(_, ranges)| !ranges.is_empty());
    ranges.sort_unstable();
    ranges
}

/// An update in one order: its blocks and what it deletes.
pub fn canonical(update: &[u8]) -> (Ranges, Ranges) {
    let update = Update::decode_v1(update).unwrap();
    (ranges(&update.insertions(true)), ranges(update.delete_set()))
}
