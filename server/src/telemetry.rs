//! What the operator sees: log lines and figures. One line for each request, with the route and not the address, because an
//! address names a document; never content, tokens or cookies. Every figure stands in [`FIGURES`], with what it means; its labels
//! take few values, all known beforehand.

use std::io::IsTerminal as _;
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
/// And of those that updates in one transaction are counted in.
const BATCH_BOUNDS: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1_000.0, 4_096.0];

/// What kind a figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, from 0 at the start.
    Counter,
    /// The same for each value of a label.
    CounterBy(&'static str, &'static [&'static str]),
    /// It goes up and down.
    Gauge,
    /// How often it was in which range.
    Histogram,
}

/// A figure: its name, its kind, and what it means.
pub type Figure = (&'static str, Kind, &'static str);

/// Every figure there is.
pub const FIGURES: &[Figure] = &[
    ("samspil_build_info", Kind::Gauge, "1; the label build says which build this is."),
    (
        "samspil_closes_total",
        Kind::CounterBy("code", &["gone", "1009", "4000", "4001", "4401", "4403", "4404", "4409"]),
        "Live sockets that ended, by close code; gone: the peer went by itself.",
    ),
    ("samspil_commit_seconds", Kind::Histogram, "How long writing one batch to the log took, by outcome."),
    ("samspil_database_connections", Kind::Gauge, "Connections to the database, by state: used, idle."),
    (
        "samspil_deliveries_total",
        Kind::CounterBy("outcome", &["delivered", "failed", "given_up"]),
        "Deliveries to the records system, by what came of trying: failed ones are tried again.",
    ),
    ("samspil_flagged_sessions_total", Kind::Counter, "Sessions closed because their updates took more time than peer_cpu_ms_per_10s."),
    ("samspil_frame_bytes_total", Kind::CounterBy("direction", &["in", "out"]), "Bytes in frames over live sockets."),
    ("samspil_frames_total", Kind::CounterBy("direction", &["in", "out"]), "Frames over live sockets."),
    ("samspil_journal_batch_updates", Kind::Histogram, "Updates written in one transaction."),
    (
        "samspil_mails_total",
        Kind::CounterBy("outcome", &["sent", "failed", "given_up"]),
        "Mails, by what came of trying: failed ones are tried again.",
    ),
    ("samspil_notes_failed_total", Kind::Counter, "Updates that were applied without a note, because none could be written."),
    ("samspil_open_seconds", Kind::Histogram, "How long it took to open a document that was not in memory."),
    ("samspil_peers", Kind::Gauge, "Live sockets in rooms."),
    ("samspil_print_seconds", Kind::Histogram, "How long it took to print one document."),
    ("samspil_process_resident_bytes", Kind::Gauge, "Memory of the server's process."),
    ("samspil_quarantined_updates_total", Kind::Counter, "Updates kept out because they were being applied when the process ended."),
    (
        "samspil_refusals_total",
        Kind::CounterBy("rule", &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]),
        "Updates refused, by rule of SPEC R; 0: they could not be saved.",
    ),
    ("samspil_request_duration_seconds", Kind::Histogram, "How long requests took, by method, route and status."),
    ("samspil_room_waiting_updates", Kind::Gauge, "Updates that arrived and are not on disk yet, in all rooms."),
    ("samspil_rooms", Kind::Gauge, "Documents in memory."),
    ("samspil_slow_peers_total", Kind::Counter, "Peers sent away because they did not read fast enough."),
    (
        "samspil_snapshots_total",
        Kind::CounterBy("outcome", &["kept", "failed", "differs"]),
        "Snapshots tried; differs: the log and the live document were not the same, and the log won.",
    ),
    ("samspil_sockets", Kind::Gauge, "Live sockets, also those that have not joined a room yet."),
    (
        "samspil_timestamps_total",
        Kind::CounterBy("outcome", &["stamped", "failed"]),
        "Time stamps asked for, by what came of it: failed ones are asked for again.",
    ),
    ("samspil_unacknowledged_age_seconds", Kind::Gauge, "How long the oldest update that is not on disk yet has been waiting."),
    ("samspil_updates_committed_total", Kind::Counter, "Updates on disk since the start."),
];

/// Begins to log to standard error. `directives` is a level or `tracing` directives.
pub fn log_to_stderr(directives: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(directives)
        .map_err(|error| anyhow::anyhow!("SAMSPIL_LOG: {error}\n    for example SAMSPIL_LOG=info,sqlx=warn"))?;
    // At its lowest level the socket's library logs whole messages, and with them what people write.
    let filter = filter.add_directive("tungstenite=debug".parse()?);
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => lines.with_target(false).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}

/// The figures of this process, for `/metrics`. They are one set for the whole process, also when several servers run in it.
pub fn figures() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &DURATION_BOUNDS_S)
            .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_batch_updates".to_owned()), &BATCH_BOUNDS));
        // Refused only for an empty list of bounds; then the figures come without bounds.
        let recorder = builder.unwrap_or_default().build_recorder();
        let handle = recorder.handle();
        // Somebody else's recorder may be there in a test; then these figures stay empty.
        let _ = metrics::set_global_recorder(recorder);
        describe();
        handle
    })
}

/// Says what each figure means, and lets what is counted begin at 0: who watches must see the first one as a change.
fn describe() {
    for (name, kind, meaning) in FIGURES {
        match kind {
            Kind::Counter | Kind::CounterBy(..) => metrics::describe_counter!(*name, *meaning),
            Kind::Gauge => metrics::describe_gauge!(*name, *meaning),
            Kind::Histogram => metrics::describe_histogram!(*name, *meaning),
        }
        match *kind {
            Kind::Counter => metrics::counter!(*name).increment(0),
            Kind::CounterBy(label, values) => values.iter().for_each(|value| metrics::counter!(*name, label => *value).increment(0)),
            Kind::Gauge | Kind::Histogram => {}
        }
    }
    metrics::gauge!("samspil_build_info", "build" => crate::BUILD).set(1);
}

/// Memory of this process in RAM, as the kernel counts it.
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse().ok()?;
    Some(kib * 1024)
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

    /// Every word `samspil_…` in quotes in the source.
    fn used_in_source() -> std::collections::BTreeSet<String> {
        let mut dirs = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
        let mut names = std::collections::BTreeSet::new();
        while let Some(dir) = dirs.pop() {
            for path in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    dirs.push(path);
                    continue;
                }
                if path.extension().is_none_or(|extension| extension != "rs") {
                    continue;
                }
                let source = std::fs::read_to_string(&path).unwrap();
                for kind in ["counter!(\"", "gauge!(\"", "histogram!(\""] {
                    names.extend(source.split(kind).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
                }
            }
        }
        names.retain(|name| name.starts_with("samspil_"));
        names
    }

    #[test]
    fn every_figure_is_used_and_described_here_and_in_the_readme() {
        let readme = include_str!("../../README.md");
        let described: std::collections::BTreeSet<String> = FIGURES.iter().map(|(name, ..)| (*name).to_owned()).collect();
        assert_eq!(described, used_in_source());
        for (name, _, meaning) in FIGURES {
            let line = format!("| `{name}` | {meaning} |");
            assert!(readme.contains(&line), "the README lacks: {line}");
        }
        assert!(FIGURES.is_sorted_by_key(|(name, ..)| *name));
    }

    #[test]
    fn an_invented_method_is_no_figure_of_its_own() {
        assert_eq!(known(&Method::from_bytes(b"AAAA1").unwrap()), "other");
        assert_eq!(known(&Method::POST), "POST");
    }
}
