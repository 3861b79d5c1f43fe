//! One writer for all rooms of a thread, on that thread: while a commit is under way the next batches gather, and then go together in
//! one transaction. There is no timer. It answers each room with what became of its batch.

use std::time::Duration;

use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::room::Appended;
use crate::{
    config::Limits,
    stop_points::{self, StopPoint},
    store::{
        Store,
        log::{Appender, Batch, NotAppended},
    },
};

/// Batches that may wait for the writer. A room has one at most under way, so this bounds the rooms that wait without
/// holding them up.
const WAITING_MAX: usize = 4_096;
/// A transaction that takes longer is given up as unknown: the rooms read what became of it.
const APPEND_PATIENCE: Duration = Duration::from_secs(5);

struct Job {
    batch: Batch,
    answer: oneshot::Sender<Appended>,
}

/// Sends to the writer. Cheap to clone.
#[derive(Clone)]
pub struct Journal {
    jobs: mpsc::Sender<Job>,
}

impl Journal {
    /// Starts the writer on this runtime; it ends when every `Journal` is gone.
    #[must_use]
    pub fn start(store: &Store, limits: &Limits, on: &Handle) -> Self {
        let (jobs, inbox) = mpsc::channel(WAITING_MAX);
        let (updates_max, bytes_max) = (limits.journal_batch_updates_max, limits.journal_batch_bytes_max);
        let writer = on.spawn(write(store.appender(), inbox, updates_max, bytes_max));
        on.spawn(async move {
            if let Err(error) = writer.await
                && error.is_panic()
            {
                // Without the journal nothing can be saved; a server that is started anew can. Nothing acknowledged is lost.
                tracing::error!(error = &error as &dyn std::error::Error, "the journal panicked; the server ends");
                std::process::abort();
            }
        });
        Self { jobs }
    }

    /// Appends a batch; the receiver learns how it ended. If the writer is gone, the receiver is told by its absence.
    pub async fn append(&self, batch: Batch) -> oneshot::Receiver<Appended> {
        let (answer, answered) = oneshot::channel();
        // A failed send drops `answer`, which the receiver sees.
        let _ = self.jobs.send(Job { batch, answer }).await;
        answered
    }
}

async fn write(mut appender: Appender, mut inbox: mpsc::Receiver<Job>, updates_max: usize, bytes_max: usize) {
    let mut next = None;
    while let Some(first) = match next.take() {
        Some(job) => Some(job),
        None => inbox.recv().await,
    } {
        let mut jobs = gather(first, &mut inbox, &mut next, updates_max, bytes_max);
        let updates: usize = jobs.iter().map(|job| job.batch.rows.len()).sum();
        // Rows are locked in ascending order of the documents' ids.
        jobs.sort_by_key(|job| job.batch.document);
        metrics::histogram!("samspil_journal_batch_updates").record(u32::try_from(updates).unwrap_or(u32::MAX));
        stop_points::reach(StopPoint::Gathered);
        append_all(&mut appender, jobs).await;
    }
}

/// What goes together in one transaction: never more than fits, unless a room's own batch is larger. What did not fit is the `next`.
fn gather(first: Job, inbox: &mut mpsc::Receiver<Job>, next: &mut Option<Job>, updates_max: usize, bytes_max: usize) -> Vec<Job> {
    let (mut updates, mut bytes) = (first.batch.rows.len(), first.batch.bytes());
    let mut jobs = vec![first];
    while let Ok(job) = inbox.try_recv() {
        updates += job.batch.rows.len();
        bytes += job.batch.bytes();
        if updates > updates_max || bytes > bytes_max {
            *next = Some(job);
            break;
        }
        jobs.push(job);
    }
    jobs
}

/// Appends what can be appended. Rooms whose rights changed are told at once, the others are tried again without them.
async fn append_all(appender: &mut Appender, mut jobs: Vec<Job>) {
    while !jobs.is_empty() {
        let batches: Vec<&Batch> = jobs.iter().map(|job| &job.batch).collect();
        match appended(appender, &batches).await {
            Ok(firsts) => {
                for (job, first) in jobs.drain(..).zip(firsts) {
                    answer(job, Appended::Committed { first });
                }
            }
            Err(Failed::Changed(documents)) => {
                for job in jobs.extract_if(.., |job| documents.contains(&job.batch.document)) {
                    answer(job, Appended::AccessChanged);
                }
            }
            Err(Failed::Elsewhere(documents)) => {
                for job in jobs.extract_if(.., |job| documents.contains(&job.batch.document)) {
                    answer(job, Appended::Unknown);
                }
            }
            Err(Failed::Taken(documents)) => {
                for job in jobs.extract_if(.., |job| documents.contains(&job.batch.document)) {
                    answer(job, Appended::ClientTaken);
                }
            }
            Err(Failed::Refused) if jobs.len() > 1 => {
                for job in std::mem::take(&mut jobs) {
                    Box::pin(append_all(appender, vec![job])).await;
                }
            }
            Err(Failed::Refused) => jobs.drain(..).for_each(|job| answer(job, Appended::Rejected)),
            Err(Failed::Unknown) => jobs.drain(..).for_each(|job| answer(job, Appended::Unknown)),
        }
    }
}

enum Failed {
    Changed(Vec<crate::domain::ids::DocumentId>),
    Taken(Vec<crate::domain::ids::DocumentId>),
    /// These documents' logs stand elsewhere than their rooms believed: they read them again.
    Elsewhere(Vec<crate::domain::ids::DocumentId>),
    Refused,
    Unknown,
}

async fn appended(appender: &mut Appender, batches: &[&Batch]) -> Result<Vec<u64>, Failed> {
    let begun = Instant::now();
    let answer = tokio::time::timeout(APPEND_PATIENCE, appender.append(batches)).await;
    let outcome = if matches!(answer, Ok(Ok(_))) { "committed" } else { "failed" };
    metrics::histogram!("samspil_commit_seconds", "outcome" => outcome).record(begun.elapsed());
    match answer {
        Ok(Ok(firsts)) => {
            metrics::counter!("samspil_updates_committed_total").increment(batches.iter().map(|batch| batch.rows.len() as u64).sum());
            Ok(firsts)
        }
        Ok(Err(NotAppended::AccessChanged(documents))) => Err(Failed::Changed(documents)),
        Ok(Err(NotAppended::ClientTaken(documents))) => Err(Failed::Taken(documents)),
        Ok(Err(NotAppended::Rewound(documents))) => {
            tracing::error!(rooms = batches.len(), rewound = documents.len(), "the database went back in time");
            Err(Failed::Elsewhere(documents))
        }
        Ok(Err(NotAppended::Behind(documents))) => Err(Failed::Elsewhere(documents)),
        Ok(Err(NotAppended::Store(error))) => {
            let refused = error.is_refusal();
            tracing::error!(rooms = batches.len(), refused, error = &error as &dyn std::error::Error, "a batch was not appended");
            Err(if refused { Failed::Refused } else { Failed::Unknown })
        }
        Err(_) => {
            tracing::error!(rooms = batches.len(), "the database did not answer in time");
            Err(Failed::Unknown)
        }
    }
}

fn answer(job: Job, appended: Appended) {
    // The room may be gone; then nobody waits for it.
    let _ = job.answer.send(appended);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::ids::{DocumentId, PersonId, SessionId},
        store::log::{Row, Versions},
    };

    /// A room's batch of so many updates of two bytes.
    fn job(updates: usize) -> Job {
        let (person, session) = (PersonId(uuid::Uuid::nil()), SessionId(uuid::Uuid::nil()));
        let row = Row { person, session, payload: bytes::Bytes::from_static(b"to"), hash: [0; 32] };
        let document = DocumentId(uuid::Uuid::nil());
        let batch = Batch {
            document,
            head: 0,
            versions: Versions::default(),
            rows: vec![row; updates],
            clients: Vec::new(),
            projection: None,
            anchors: Vec::new(),
            at: chrono::DateTime::UNIX_EPOCH,
        };
        Job { batch, answer: oneshot::channel().0 }
    }

    /// How many updates go in each transaction, when batches of two, three and one wait.
    fn together(updates_max: usize, bytes_max: usize) -> Vec<usize> {
        let (jobs, mut inbox) = mpsc::channel(3);
        for updates in [3, 1] {
            jobs.try_send(job(updates)).unwrap_or_else(|_| panic!("there is room"));
        }
        let mut next = Some(job(2));
        let mut together = Vec::new();
        while let Some(first) = next.take() {
            let gathered = gather(first, &mut inbox, &mut next, updates_max, bytes_max);
            together.push(gathered.iter().map(|job| job.batch.rows.len()).sum());
        }
        together
    }

    #[test]
    fn journal_batch_updates_max_of_many_rooms() {
        assert_eq!(together(6, 100), [6]);
        assert_eq!(together(5, 100), [5, 1]);
        assert_eq!(together(4, 100), [2, 4]);
    }

    #[test]
    fn journal_batch_bytes_max_of_many_rooms() {
        assert_eq!(together(100, 11), [5, 1]);
        assert_eq!(together(100, 10), [5, 1]);
        assert_eq!(together(100, 9), [2, 4]);
    }
}
