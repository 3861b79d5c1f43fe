//! One writer for all rooms: while a commit is under way the next batches gather, and then go together in one transaction.
//! There is no timer. It answers each room with what became of its batch.

use std::time::Duration;

use tokio::{
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
    /// Starts the writer on the current runtime; it ends when every `Journal` is gone.
    #[must_use]
    pub fn start(store: &Store, limits: &Limits) -> Self {
        let (jobs, inbox) = mpsc::channel(WAITING_MAX);
        let (updates_max, bytes_max) = (limits.journal_batch_updates_max, limits.journal_batch_bytes_max);
        let writer = tokio::spawn(write(store.appender(), inbox, updates_max, bytes_max));
        tokio::spawn(async move {
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
    while let Some(first) = inbox.recv().await {
        let mut updates = first.batch.rows.len();
        let mut bytes = first.batch.bytes();
        let mut jobs = vec![first];
        while updates < updates_max && bytes < bytes_max {
            let Ok(job) = inbox.try_recv() else { break };
            updates += job.batch.rows.len();
            bytes += job.batch.bytes();
            jobs.push(job);
        }
        // Rows are locked in ascending order of the documents' ids.
        jobs.sort_by_key(|job| job.batch.document);
        metrics::histogram!("samspil_journal_batch_updates").record(u32::try_from(updates).unwrap_or(u32::MAX));
        stop_points::reach(StopPoint::Gathered);
        append_all(&mut appender, jobs).await;
    }
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
