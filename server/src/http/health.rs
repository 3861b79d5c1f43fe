//! For whoever watches the server: whether it lives, whether it can be used, and its figures. None of it needs a sign-in, and none
//! of it tells anything about people or documents; a reverse proxy keeps `/metrics` to itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::problem::causes;
use crate::clock::Clock;
use crate::config::Limits;
use crate::rooms::Rooms;
use crate::store::Store;
use crate::store::setup::SchemaError;
use crate::telemetry;

/// How long the database may take to answer before it counts as not answering.
const DATABASE_PATIENCE: Duration = Duration::from_secs(2);

/// Whether the server is on its way out: then it asks for no new requests. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Stopping(Arc<AtomicBool>);

impl Stopping {
    /// From now on `/readyz` says no.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Why the server cannot be used just now.
#[derive(Debug, thiserror::Error)]
enum NotReady {
    #[error("stopping")]
    Stopping,
    #[error("words have been waiting for {0} s to be saved")]
    NotSaving(u64),
    #[error("the database does not answer")]
    Silent,
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error("the database takes no writes")]
    ReadOnly,
}

/// `GET /healthz`: the process answers.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: people can use it. The database answers, takes writes and has this build's schema; nothing has been waiting too
/// long to be saved; and the server is not on its way out. Otherwise it says why not.
pub async fn readyz(
    State(store): State<Store>,
    State(rooms): State<Rooms>,
    State(clock): State<Clock>,
    State(limits): State<Arc<Limits>>,
    State(stopping): State<Stopping>,
) -> Response {
    let ready = if stopping.0.load(Ordering::Relaxed) {
        Err(NotReady::Stopping)
    } else if let Err(why) = saves(unacknowledged_age(&rooms, clock), &limits) {
        Err(why)
    } else {
        tokio::time::timeout(DATABASE_PATIENCE, can_be_written(&store)).await.unwrap_or(Err(NotReady::Silent))
    };
    match ready {
        Ok(()) => "ready\n".into_response(),
        Err(why) => {
            tracing::warn!(error = %causes(&why), "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response()
        }
    }
}

fn saves(waiting: Duration, limits: &Limits) -> Result<(), NotReady> {
    if waiting > Duration::from_secs(limits.unacknowledged_s_max) { Err(NotReady::NotSaving(waiting.as_secs())) } else { Ok(()) }
}

async fn can_be_written(store: &Store) -> Result<(), NotReady> {
    store.check_schema().await?;
    if store.takes_writes().await? { Ok(()) } else { Err(NotReady::ReadOnly) }
}

/// How long the oldest update that is not on disk yet has been waiting.
fn unacknowledged_age(rooms: &Rooms, clock: Clock) -> Duration {
    let since = rooms.backlog().since;
    since.and_then(|since| (clock.now() - since).to_std().ok()).unwrap_or_default()
}

/// `GET /metrics`: the figures, for Prometheus.
pub async fn metrics(State(store): State<Store>, State(rooms): State<Rooms>, State(clock): State<Clock>) -> Response {
    let (used, idle) = store.connections();
    metrics::gauge!("samspil_database_connections", "state" => "used").set(used);
    metrics::gauge!("samspil_database_connections", "state" => "idle").set(idle);
    metrics::gauge!("samspil_room_waiting_updates").set(u32::try_from(rooms.backlog().updates).unwrap_or(u32::MAX));
    metrics::gauge!("samspil_unacknowledged_age_seconds").set(unacknowledged_age(&rooms, clock).as_secs_f64());
    if let Some(bytes) = telemetry::resident_bytes() {
        #[expect(clippy::cast_precision_loss, reason = "exact up to 8 PiB")]
        metrics::gauge!("samspil_process_resident_bytes").set(bytes as f64);
    }
    let figures = telemetry::figures();
    figures.run_upkeep();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], figures.render()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unacknowledged_s_max() {
        let limits = Limits { unacknowledged_s_max: 10, ..Limits::default() };
        assert!(saves(Duration::from_millis(9_999), &limits).is_ok());
        assert!(saves(Duration::from_secs(10), &limits).is_ok());
        assert_eq!(saves(Duration::from_millis(10_001), &limits).unwrap_err().to_string(), "words have been waiting for 10 s to be saved");
    }
}
