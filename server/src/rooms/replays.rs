//! Logs are replayed beside the rooms, on threads with room for deep documents, so that a long one keeps no room waiting.

use std::{sync::Arc, thread::available_parallelism};

use tokio::sync::{Semaphore, oneshot};

use super::{
    admission::{UpdateLimits, Whole},
    document::{LiveDocument, NotReplayed},
};
use crate::store::log::Log;

const STACK_BYTES: usize = 8 << 20;

/// Where rooms have their logs replayed: as many at a time as the machine has cores, because after a restart all rooms want it at once.
#[derive(Clone)]
pub(super) struct Replays(Arc<Semaphore>);

impl Replays {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(available_parallelism().map_or(2, usize::from))))
    }

    /// Replays a log; says first what the document will hold, as far as that is known before.
    pub(super) async fn replay(
        self,
        log: Log,
        limits: UpdateLimits,
        foretelling: Option<oneshot::Sender<Option<Whole>>>,
    ) -> Result<(Log, LiveDocument), NotReplayed> {
        let _place = self.0.acquire().await;
        let head = log.head;
        let replayed = beside_rooms(move || {
            if let Some(foretelling) = foretelling {
                // The room may have been given up.
                let _ = foretelling.send(LiveDocument::foretell(&log, &limits));
            }
            LiveDocument::replay(&log, &limits).map(|document| (log, document))
        });
        replayed.await.unwrap_or_else(|| Err(NotReplayed { seq: head, what: "it panicked".into() }))
    }
}

/// Runs something that may go deep. `None`: it panicked.
pub(super) async fn beside_rooms<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (answer, answered) = oneshot::channel();
    let spawned = std::thread::Builder::new().name("replay".into()).stack_size(STACK_BYTES).spawn(move || {
        // Whoever asked may be gone.
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
