//! Snapshots: the live document, a replay of the log and the state that this makes must have the same content, and only then is the state
//! kept, so that a snapshot can never say something that the log does not (G4). And the proof of the same, as a command.

use std::sync::Arc;

use tokio::sync::{Semaphore, oneshot};

use super::{
    admission::UpdateLimits,
    document::{LiveDocument, NotReplayed, update_limits},
    replays::beside_rooms,
    task::Surroundings,
};
use crate::{
    config::Limits,
    content,
    domain::ids::DocumentId,
    stop_points::{self, StopPoint},
    store::{
        self, Store,
        log::{Log, Logged, ReadFrom, Snapshot},
    },
};

/// So many updates after the newest snapshot, another is made while people write.
pub(super) const WHILE_WRITING: u64 = 2_000;
/// And so many when nobody is here any more, also because the server stops.
pub(super) const AT_REST: u64 = 100;
/// So many snapshots are made at once: when the server stops, or everybody goes home, all rooms want one.
const AT_ONCE: usize = 4;
static PLACES: Semaphore = Semaphore::const_new(AT_ONCE);

/// How the making of a snapshot ended.
pub(super) enum Outcome {
    /// It is kept.
    Kept {
        /// The log up to here is in it.
        seq: u64,
    },
    /// The database or the replay failed; nothing was kept.
    Failed,
    /// The live state is not what the log makes.
    Differs,
}

impl Outcome {
    /// As figures name it.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Kept { .. } => "kept",
            Self::Failed => "failed",
            Self::Differs => "differs",
        }
    }
}

/// Makes a snapshot of the log up to this seq, where the live content had this hash, beside everything else.
pub(super) fn start(around: &Arc<Surroundings>, document: DocumentId, seq: u64, content_sha256: [u8; 32]) -> oneshot::Receiver<Outcome> {
    let (answer, answered) = oneshot::channel();
    let around = around.clone();
    let main = around.main.clone();
    main.spawn(async move {
        let _place = PLACES.acquire().await;
        // The task may have ended meanwhile; the snapshot is kept all the same.
        let _ = answer.send(compact(&around, document, seq, content_sha256).await);
    });
    answered
}

async fn compact(around: &Surroundings, document: DocumentId, seq: u64, live: [u8; 32]) -> Outcome {
    let log = match around.store.log(document, ReadFrom::Snapshot).await {
        Ok(Some(mut log)) => {
            log.updates.retain(|update| update.seq <= seq);
            log.head = seq;
            log
        }
        Ok(None) => return Outcome::Failed,
        Err(error) => {
            tracing::warn!(document.id = %document, error = &error as &dyn std::error::Error, "no snapshot was made");
            return Outcome::Failed;
        }
    };
    let limits = update_limits(&around.limits);
    let compared = beside_rooms(move || {
        let replayed = LiveDocument::replay(&log, &limits)?;
        let state = replayed.state();
        let update = Logged { seq: 1, payload: state.clone() };
        let from_state = Log { head: 1, snapshot: None, updates: vec![update], owners: Vec::new(), anchors: Vec::new() };
        Ok::<_, NotReplayed>((content::sha256(&replayed.content()), content_of(&from_state, &limits)?, state))
    })
    .await;
    match compared {
        Some(Ok((replayed, from_state, state))) if replayed == live && from_state == live => {
            stop_points::reach(StopPoint::SnapshotCompared);
            match around.store.keep_snapshot(document, &Snapshot { seq, state, content_sha256: live }, around.clock.now()).await {
                Ok(()) => Outcome::Kept { seq },
                Err(error) => {
                    tracing::warn!(document.id = %document, error = &error as &dyn std::error::Error, "a snapshot was not kept");
                    Outcome::Failed
                }
            }
        }
        Some(Ok((replayed, ..))) if replayed == live => {
            // Reading the log again would change nothing: blocks made by no honest client depend on the order in which they came.
            tracing::error!(document.id = %document, "the state does not say what the log says; no snapshot was made");
            Outcome::Failed
        }
        Some(Ok(_)) => Outcome::Differs,
        Some(Err(error)) => {
            tracing::error!(document.id = %document, error = &error as &dyn std::error::Error, "the log does not replay");
            Outcome::Failed
        }
        None => Outcome::Failed,
    }
}

fn content_of(log: &Log, limits: &UpdateLimits) -> Result<[u8; 32], NotReplayed> {
    Ok(content::sha256(&LiveDocument::replay(log, limits)?.content()))
}

/// What [`verify`] found for one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The whole log replays, and what is served is what it makes.
    Holds {
        /// Seq of its newest update.
        head: u64,
        /// SHA-256 of the content.
        content_sha256: [u8; 32],
    },
    /// The log does not replay.
    Broken(String),
    /// Snapshot and log make different contents.
    Differs,
    /// There is no such document.
    Missing,
}

/// Proves for one document that replaying its log from the very first update gives what is opened and served (G4).
pub async fn verify(store: &Store, document: DocumentId, limits: &Limits) -> store::Result<Verdict> {
    let (Some(whole), Some(short)) = (store.log(document, ReadFrom::Beginning).await?, store.log(document, ReadFrom::Snapshot).await?)
    else {
        return Ok(Verdict::Missing);
    };
    let limits = update_limits(limits);
    let kept = short.snapshot.as_ref().map(|snapshot| (snapshot.seq, snapshot.content_sha256));
    let head = whole.head;
    let compared = beside_rooms(move || {
        let up_to = |seq: u64| Log {
            head: seq,
            snapshot: None,
            updates: whole.updates.iter().filter(|update| update.seq <= seq).cloned().collect(),
            owners: Vec::new(),
            anchors: Vec::new(),
        };
        let replayed = content_of(&up_to(whole.head), &limits)?;
        let opened = if short.head == whole.head { content_of(&short, &limits)? } else { replayed };
        let at_snapshot = match kept {
            Some((seq, hash)) => content_of(&up_to(seq), &limits)? == hash,
            None => true,
        };
        Ok::<_, NotReplayed>((replayed, opened == replayed && at_snapshot))
    })
    .await;
    Ok(match compared {
        Some(Ok((content_sha256, true))) => Verdict::Holds { head, content_sha256 },
        Some(Ok((_, false))) => Verdict::Differs,
        Some(Err(error)) => Verdict::Broken(error.to_string()),
        None => Verdict::Broken("it panicked".into()),
    })
}
