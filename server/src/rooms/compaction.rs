//! Snapshots: the live state and a replay of the log must have the same content, and only then is the state kept, so that a
//! snapshot can never say something that the log does not (G4). And the proof of the same, as a command.

use bytes::Bytes;
use tokio::sync::{Semaphore, oneshot};

use super::{
    document::{LiveDocument, NotReplayed, update_limits},
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
/// Replays run on a thread of their own with room for deep documents.
const STACK_BYTES: usize = 8 << 20;

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

/// Makes a snapshot of this state, beside everything else.
pub(super) fn start(
    around: &Surroundings,
    document: DocumentId,
    seq: u64,
    state: Bytes,
    content_sha256: [u8; 32],
) -> oneshot::Receiver<Outcome> {
    let (answer, answered) = oneshot::channel();
    let around = around.clone();
    let main = around.main.clone();
    main.spawn(async move {
        let _place = PLACES.acquire().await;
        // The task may have ended meanwhile; the snapshot is kept all the same.
        let _ = answer.send(compact(&around, document, Snapshot { seq, state, content_sha256 }).await);
    });
    answered
}

async fn compact(around: &Surroundings, document: DocumentId, snapshot: Snapshot) -> Outcome {
    let log = match around.store.log(document, ReadFrom::Snapshot).await {
        Ok(Some(mut log)) => {
            log.updates.retain(|update| update.seq <= snapshot.seq);
            log.head = snapshot.seq;
            log
        }
        Ok(None) => return Outcome::Failed,
        Err(error) => {
            tracing::warn!(document.id = %document, error = &error as &dyn std::error::Error, "no snapshot was made");
            return Outcome::Failed;
        }
    };
    let from_state = Log {
        head: snapshot.seq,
        snapshot: None,
        updates: vec![Logged { seq: 1, payload: snapshot.state.clone() }],
        owners: Vec::new(),
        anchors: Vec::new(),
    };
    let limits = around.limits.clone();
    let compared = on_large_stack(move || {
        let replayed = content_of(&log, &limits)?;
        let from_state = content_of(&Log { head: 1, ..from_state }, &limits)?;
        Ok::<_, NotReplayed>((replayed, from_state))
    })
    .await;
    match compared {
        Some(Ok((replayed, from_state))) if replayed == snapshot.content_sha256 && from_state == snapshot.content_sha256 => {
            let seq = snapshot.seq;
            stop_points::reach(StopPoint::SnapshotCompared);
            match around.store.keep_snapshot(document, &snapshot, around.clock.now()).await {
                Ok(()) => Outcome::Kept { seq },
                Err(error) => {
                    tracing::warn!(document.id = %document, error = &error as &dyn std::error::Error, "a snapshot was not kept");
                    Outcome::Failed
                }
            }
        }
        Some(Ok((replayed, _))) if replayed == snapshot.content_sha256 => {
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

fn content_of(log: &Log, limits: &Limits) -> Result<[u8; 32], NotReplayed> {
    Ok(content::sha256(&LiveDocument::replay(log, &update_limits(limits))?.content()))
}

/// Runs something that may go deep. `None`: it panicked.
async fn on_large_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (answer, answered) = oneshot::channel();
    let spawned = std::thread::Builder::new().name("replay".into()).stack_size(STACK_BYTES).spawn(move || {
        let _ = answer.send(work());
    });
    match spawned {
        Ok(_) => answered.await.ok(),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "no thread for a replay");
            None
        }
    }
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
    let limits = limits.clone();
    let kept = short.snapshot.as_ref().map(|snapshot| (snapshot.seq, snapshot.content_sha256));
    let head = whole.head;
    let compared = on_large_stack(move || {
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
