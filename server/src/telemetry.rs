//! What the operator sees: log lines and figures. One line for each request, with the route and not the address, because an
//! address names a document; never content, tokens or cookies.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;
use crate::http::problem::request_id;

/// Upper bounds, in seconds, of the groups that durations are counted in.
const DURATION_BOUNDS_S: [f64; 12] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// Begins to log to standard error. `directives` is a level or `tracing` directives.
pub fn log_to_stderr(directives: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(directives)
        .map_err(|error| anyhow::anyhow!("SAMSPIL_LOG: {error}\n    for example SAMSPIL_LOG=info,sqlx=warn"))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.with_target(false).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}

/// The figures of this process, for `/metrics`. They are one set for the whole process, also when several servers run in it.
pub fn figures() -> &'static PrometheusHandle {
    static FIGURES: OnceLock<PrometheusHandle> = OnceLock::new();
    FIGURES.get_or_init(|| {
        let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &DURATION_BOUNDS_S);
        // Refused only for an empty list of bounds; then the figures come without bounds.
        let recorder = builder.unwrap_or_default().build_recorder();
        let handle = recorder.handle();
        // Somebody else's recorder may be there in a test; then these figures stay empty.
        let _ = metrics::set_global_recorder(recorder);
        handle
    })
}

/// How often figures are folded together.
const UPKEEP_EVERY: Duration = Duration::from_secs(10);

/// Keeps the figures small between two readings, until the server stops; without it they grow on a server that nobody reads.
pub async fn keep_figures_small(stop: CancellationToken) {
    let mut every = tokio::time::interval(UPKEEP_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = every.tick() => figures().run_upkeep(),
        }
    }
}

/// The method as figures and log lines name it: whoever asks may invent any, and each would be a figure of its own for ever.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Middleware: the one line of a request, and its figures.
pub async fn one_line_per_request(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = known(request.method());
    let route = request.extensions().get::<MatchedPath>().map_or("(pages)", MatchedPath::as_str).to_owned();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let duration = begun.elapsed();
    let duration_ms = duration.as_micros() / 1000;
    if response.status().is_server_error() {
        tracing::warn!(request.id = %request_id(), method, route, status, duration_ms, "request");
    } else if matches!(route.as_str(), "/healthz" | "/readyz" | "/metrics" | "(pages)") {
        tracing::debug!(request.id = %request_id(), method, route, status, duration_ms, "request");
    } else {
        tracing::info!(request.id = %request_id(), method, route, status, duration_ms, "request");
    }
    metrics::histogram!("samspil_request_duration_seconds", "method" => method, "route" => route, "status" => status.to_string())
        .record(duration.as_secs_f64());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invented_method_is_no_figure_of_its_own() {
        assert_eq!(known(&Method::from_bytes(b"AAAA1").unwrap()), "other");
        assert_eq!(known(&Method::POST), "POST");
    }
}
