//! One live document in memory: the Y.Doc, the index that admission checks against, and who owns which client id. Everything
//! that touches yrs for a live document is here; nothing here awaits.

use std::{
    collections::{HashMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use samspil_client_protocol::{
    frame::{Malformed, Reader},
    message::RefusalCode,
};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use yrs::{
    ClientID, Doc, ID, IdSet, OffsetKind, Options, ReadTxn, StateVector, Transact, Update,
    updates::{decoder::Decode, encoder::Encode},
};

use super::{
    admission::{Index, Kept, Refusal, UpdateLimits, Whole, Writer, whole},
    anchors::{Anchors, NotPlaced, Selection},
    quarantine::{Noted, Unwatched, Watch},
};
use crate::{
    config::Limits,
    content,
    domain::ids::PersonId,
    stop_points::{self, StopPoint},
    store::{
        anchors::AnchorRow,
        log::{Log, Owner},
    },
};

/// A document as it is open.
pub struct LiveDocument {
    doc: Doc,
    index: Index,
    owners: HashMap<u64, Ownership>,
    anchors: Anchors,
    /// The state's encoded size when it was last measured, and what has been added since: never less than the size is now.
    bytes: usize,
    added: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ownership {
    person: Option<PersonId>,
    retired: bool,
}

/// What an admitted and applied update was.
#[derive(Debug)]
pub struct Applied {
    /// The update as it goes into the log and to the others; `None` when it brought nothing new.
    pub update: Option<Bytes>,
    /// Client ids that were used for the first time.
    pub new_clients: Vec<u64>,
    /// It wrote or deleted under `goals`.
    pub touches_goals: bool,
    /// SHA-256 of the update.
    pub hash: [u8; 32],
}

/// Why an update was not applied.
#[derive(Debug, thiserror::Error)]
pub enum NotApplied {
    /// It may not come in; the document is as before.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The library took too long for it. The document in memory is worth nothing any more and must be loaded again.
    #[error("it takes the library longer than update_cpu_ms_max")]
    TooSlow,
    /// The library failed on it. The document in memory is worth nothing any more and must be loaded again.
    #[error("the library failed on an admitted update: {0}")]
    Broken(String),
}

/// A document that could not be made from its log.
#[derive(Debug, thiserror::Error)]
#[error("the log does not replay at seq {seq}: {what}")]
pub struct NotReplayed {
    /// Where.
    pub seq: u64,
    /// What happened.
    pub what: String,
}

/// Close to its largest size a document is measured whenever it has grown by this part of it.
const MEASURED_EVERY: usize = 64;

/// An empty Y.Doc as every document here is: positions count UTF-16 code units, and the server makes no changes of its own.
fn new_doc() -> Doc {
    Doc::with_options(Options { offset_kind: OffsetKind::Utf16, cleanup_formatting: false, ..Options::default() })
}

/// The limits of one update, from the settings.
#[must_use]
pub fn update_limits(limits: &Limits) -> UpdateLimits {
    UpdateLimits {
        blocks_max: limits.update_blocks_max,
        same_origin_max: limits.update_same_origin_max,
        clients_max: limits.update_clients_max,
        delete_ranges_max: limits.update_delete_ranges_max,
        value_depth_max: limits.value_depth_max,
        type_depth_max: u16::try_from(limits.type_depth_max).unwrap_or(u16::MAX),
        attribute_bytes_max: limits.attribute_bytes_max,
        cpu_max: Duration::from_millis(limits.update_cpu_ms_max),
    }
}

/// What these updates say, applied in this order, with nothing left over that waits for something else. For bytes from our own log only.
///
/// One transaction for all of them: the document is read once, at the end. The index finds what builds on something that is not there,
/// which the library would show.
pub fn read_log<'a>(updates: impl IntoIterator<Item = (u64, &'a Bytes)>, limits: &UpdateLimits) -> Result<content::Content, NotReplayed> {
    let (doc, mut index) = (new_doc(), Index::default());
    {
        let mut transaction = doc.transact_mut();
        for (seq, update) in updates {
            let failed = |error: &dyn std::error::Error| NotReplayed { seq, what: error.to_string() };
            let parts = index.load(update, Kept::Row, limits).map_err(|refusal| failed(&refusal))?;
            let parts = if parts.is_empty() { std::slice::from_ref(update) } else { &parts[..] };
            for part in parts {
                transaction.apply_update(Update::decode_v1(part).map_err(|error| failed(&error))?).map_err(|error| failed(&error))?;
            }
        }
    }
    Ok(content::read(&doc))
}

impl LiveDocument {
    /// Replays a log: snapshot, then every update after it.
    pub fn replay(log: &Log, limits: &UpdateLimits) -> Result<Self, NotReplayed> {
        let mut document = Self {
            doc: new_doc(),
            index: Index::default(),
            owners: log
                .owners
                .iter()
                .map(|Owner { client, person, retired }| (*client, Ownership { person: *person, retired: *retired }))
                .collect(),
            anchors: Anchors::default(),
            bytes: 0,
            added: 0,
        };
        let mut expected = 1;
        if let Some(snapshot) = &log.snapshot {
            document.replay_one(&snapshot.state, Kept::Snapshot, limits).map_err(|what| NotReplayed { seq: snapshot.seq, what })?;
            expected = snapshot.seq + 1;
            (document.bytes, document.added) = (snapshot.state.len(), 0);
        }
        document.replay_rows(log, expected, limits)?;
        document.anchors = Anchors::open(&log.anchors, &document.doc);
        Ok(document)
    }

    /// Takes in what another node wrote: the log after `head`. On `Err` the document is worth nothing any more.
    pub fn catch_up(&mut self, log: &Log, head: u64, limits: &UpdateLimits) -> Result<(), NotReplayed> {
        for owner in &log.owners {
            self.owners.insert(owner.client, Ownership { person: owner.person, retired: owner.retired });
        }
        self.replay_rows(log, head + 1, limits)?;
        // Threads that were begun on another node.
        log.anchors.iter().for_each(|row| self.anchors.take_in(row, &self.doc));
        Ok(())
    }

    /// What [`Self::replay`] will make of a log, without replaying it. `None`: the bytes do not say it, or it will fail.
    #[must_use]
    pub fn foretell(log: &Log, limits: &UpdateLimits) -> Option<Whole> {
        without_gaps(log, log.snapshot.as_ref().map_or(1, |snapshot| snapshot.seq + 1)).ok()?;
        let updates = log.snapshot.iter().map(|snapshot| &snapshot.state).chain(log.updates.iter().map(|update| &update.payload));
        whole(updates, limits).ok().flatten()
    }

    fn replay_rows(&mut self, log: &Log, first: u64, limits: &UpdateLimits) -> Result<(), NotReplayed> {
        without_gaps(log, first)?;
        for update in &log.updates {
            self.replay_one(&update.payload, Kept::Row, limits).map_err(|what| NotReplayed { seq: update.seq, what })?;
        }
        Ok(())
    }

    fn replay_one(&mut self, update: &Bytes, kept: Kept, limits: &UpdateLimits) -> Result<(), String> {
        let parts = self.index.load(update, kept, limits).map_err(|refusal| refusal.to_string())?;
        self.apply(update, &parts, Duration::MAX, &Unwatched).map_err(|error| error.to_string())
    }

    /// Admits an update from a person and applies it, under the eyes of whoever watches.
    pub fn write(
        &mut self,
        update: &Bytes,
        writer: DocumentWriter,
        limits: &UpdateLimits,
        watch: &mut dyn Watch,
    ) -> Result<Applied, NotApplied> {
        let admitted = self.index.admit(update, &OwnedWriter { writer, document: self }, limits)?;
        if !admitted.brings_news {
            self.index.learn(admitted);
            return Ok(Applied { update: None, new_clients: Vec::new(), touches_goals: false, hash: [0; 32] });
        }
        let new_clients: Vec<u64> =
            admitted.clients.iter().map(|(client, _)| *client).filter(|client| !self.owners.contains_key(client)).collect();
        let update = admitted.update.clone();
        let touches_goals = admitted.touches_goals;
        let hash = Sha256::digest(&update).into();
        let noted = Noted { hash: &hash, begins: &admitted.clients };
        if watch.is_quarantined(noted) {
            return Err(Refusal::new(10, RefusalCode::Quarantined, "the server ended while it applied this").into());
        }
        stop_points::reach(StopPoint::Admitted);
        watch.note(noted);
        stop_points::reach(StopPoint::Applying);
        let applied = self.apply(&update, &admitted.parts, limits.cpu_max, watch);
        watch.clear();
        applied?;
        stop_points::reach(StopPoint::Applied);
        self.index.learn(admitted);
        for client in &new_clients {
            self.owners.insert(*client, Ownership { person: Some(writer.person), retired: false });
        }
        Ok(Applied { update: Some(update), new_clients, touches_goals, hash })
    }

    /// Applies an update, in parts if it has any. Their cost can be quadratic in ways that bytes do not show, and the library cannot be
    /// interrupted: between two parts is the moment to give up.
    fn apply(&mut self, update: &Bytes, parts: &[Bytes], cpu_max: Duration, watch: &dyn Watch) -> Result<(), NotApplied> {
        let doc = &self.doc;
        let parts = if parts.is_empty() { std::slice::from_ref(update) } else { parts };
        let applied = catch_unwind(AssertUnwindSafe(|| {
            let failed = |error: &dyn std::error::Error| NotApplied::Broken(error.to_string());
            // Asking costs a call to the kernel, and most updates are one part.
            let begun = if parts.len() > 1 { watch.cpu() } else { Duration::ZERO };
            let mut transaction = doc.transact_mut();
            for (at, part) in parts.iter().enumerate() {
                if at > 0 && watch.cpu().saturating_sub(begun) > cpu_max {
                    return Err(NotApplied::TooSlow);
                }
                transaction.apply_update(Update::decode_v1(part).map_err(|error| failed(&error))?).map_err(|error| failed(&error))?;
            }
            // Admission lets nothing through that would have to wait.
            if transaction.store().pending_update().is_some() || transaction.store().pending_ds().is_some() {
                return Err(NotApplied::Broken("something was parked instead of applied".to_owned()));
            }
            Ok(())
        }));
        self.added += update.len();
        applied.unwrap_or_else(|_| Err(NotApplied::Broken("it panicked".to_owned())))?;
        // Words are worth more than where comments stand: if that fails, it is as it was last written, and the words go on.
        if catch_unwind(AssertUnwindSafe(|| self.anchors.after(&self.doc))).is_err() {
            tracing::error!("anchors could not follow an update; they stand where they stood until the document is opened again");
            self.anchors = Anchors::default();
        }
        Ok(())
    }

    /// Anchors a new thread on what a page has selected.
    pub fn place(&mut self, thread: Uuid, selection: &Selection) -> Result<AnchorRow, NotPlaced> {
        self.anchors.place(thread, selection, &self.doc)
    }

    /// The words that a thread stands on.
    #[must_use]
    pub fn words_of(&self, thread: Uuid) -> Option<String> {
        self.anchors.words(thread)
    }

    /// Where a thread's words stand.
    #[must_use]
    pub fn anchor_of(&self, thread: Uuid) -> Option<AnchorRow> {
        self.anchors.row(thread, &self.doc)
    }

    /// Anchors that have to be written since this was last asked.
    pub fn anchor_changes(&mut self, now: DateTime<Utc>) -> Vec<AnchorRow> {
        self.anchors.changes(&self.doc, now)
    }

    /// The state vector, as sync step 1 carries it.
    #[must_use]
    pub fn state_vector(&self) -> Vec<u8> {
        self.doc.transact().state_vector().encode_v1()
    }

    /// Everything that a holder of this state vector lacks.
    pub fn diff(&self, state_vector: &[u8]) -> Result<Vec<u8>, Malformed> {
        let known = read_state_vector(state_vector)?;
        Ok(self.doc.transact().encode_state_as_update_v1(&known))
    }

    /// The whole state as one update.
    #[must_use]
    pub fn state(&self) -> Bytes {
        self.doc.transact().encode_state_as_update_v1(&StateVector::default()).into()
    }

    /// The canonical content (reliability-security §6.1).
    #[must_use]
    pub fn content(&self) -> Vec<u8> {
        content::render(&self.doc)
    }

    /// What SQL is to know of it.
    #[must_use]
    pub fn project(&self) -> content::Projection {
        content::project(&self.doc)
    }

    /// Does its state take more than so many bytes, encoded? Keystrokes take far fewer in it than in the log, so it is measured
    /// when the sum says so; and again only when enough has come since, because measuring is encoding all of it. What was larger once
    /// counts as larger from then on: if it shrinks, that is seen when it is opened again.
    pub fn is_larger_than(&mut self, bytes_max: usize) -> bool {
        if self.bytes <= bytes_max && self.bytes + self.added > bytes_max && self.added > bytes_max / MEASURED_EVERY {
            self.bytes = self.state().len();
            self.added = 0;
        }
        self.bytes > bytes_max
    }

    /// How many clients have written in it.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.index.clients()
    }
}

/// The updates of a log are all of those from `first` to its head.
fn without_gaps(log: &Log, first: u64) -> Result<(), NotReplayed> {
    let mut expected = first;
    for update in &log.updates {
        if update.seq != expected {
            return Err(NotReplayed { seq: expected, what: "an update is missing from the log".into() });
        }
        expected += 1;
    }
    if expected != log.head + 1 {
        return Err(NotReplayed { seq: expected, what: format!("the log ends before its head {}", log.head) });
    }
    Ok(())
}

/// Reads a state vector without believing its count, which could ask for gigabytes in four bytes.
fn read_state_vector(bytes: &[u8]) -> Result<StateVector, Malformed> {
    let mut reader = Reader::new(bytes);
    let count = reader.count(2)?;
    let mut seen = HashSet::with_capacity(count);
    for _ in 0..count {
        let client = reader.varuint()?;
        let clock = reader.varuint()?;
        if client == 0 || clock > u64::from(u32::MAX) || !seen.insert(client) {
            return Err(reader.malformed("no state vector"));
        }
    }
    let at = reader.malformed("no state vector");
    reader.finish()?;
    StateVector::decode_v1(bytes).map_err(|_| at)
}

/// Who writes, and whether they may.
#[derive(Clone, Copy, Debug)]
pub struct DocumentWriter {
    /// The person.
    pub person: PersonId,
    /// `Err`: not now, for this reason.
    pub may_write: Result<(), RefusalCode>,
}

struct OwnedWriter<'a> {
    writer: DocumentWriter,
    document: &'a LiveDocument,
}

impl Writer for OwnedWriter<'_> {
    fn may_write(&self) -> Result<(), RefusalCode> {
        self.writer.may_write
    }

    fn may_use(&self, client: u64) -> bool {
        self.document.owners.get(&client).is_none_or(|owner| !owner.retired && owner.person == Some(self.writer.person))
    }

    fn are_deleted(&self, ranges: &mut dyn Iterator<Item = (u64, u32, u32)>) -> bool {
        let deleted = self.document.doc.transact().snapshot().delete_set;
        let mut asked = IdSet::new();
        for (client, from, to) in ranges {
            asked.insert(ID::new(ClientID::new(client), from), to - from);
        }
        asked.diff(&deleted).is_empty()
    }
}
