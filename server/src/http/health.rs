//! For whoever watches the server: whether it lives, whether it can be used, and its figures. None of it needs a sign-in, and none
//! of it tells anything about people or documents; a reverse proxy keeps `/metrics` to itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::problem::causes;
use crate::store::Store;
use crate::telemetry;

/// Whether the server is on its way out: then it asks for no new requests. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Stopping(Arc<AtomicBool>);

impl Stopping {
    /// From now on `/readyz` says no.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// `GET /healthz`: the process answers.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the database can be reached and has this build's schema.
pub async fn readyz(State(store): State<Store>, State(stopping): State<Stopping>) -> Response {
    if stopping.0.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    match store.check_schema().await {
        Ok(()) => "ready\n".into_response(),
        Err(error) => {
            tracing::warn!(error = %causes(&error), "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response()
        }
    }
}

/// `GET /metrics`: the figures, for Prometheus.
pub async fn metrics() -> Response {
    let figures = telemetry::figures();
    figures.run_upkeep();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], figures.render()).into_response()
}
