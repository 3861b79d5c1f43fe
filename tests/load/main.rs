//! `make bench`: many people write and read at once over real sockets, on our server and on Hocuspocus, from one generator with one clock;
//! one table says how long words took to be safe and to be seen, and what it cost. Timings are printed, never judged; what is judged is
//! that nothing of ours is missing.
//!
//! `ONLY=edits,document` measures these rows alone, `SECONDS_EACH=20` lets people write longer than 10 s in each, `INGEST=20000` makes
//! the long document shorter, `RIVAL=no` leaves Hocuspocus out.

mod people;
mod rows;
mod servers;
mod table;
mod wire;

use std::path::Path;
use std::process::{Command, ExitCode};

use samspil_server::clock::Clock;
use sqlx::Connection as _;
use tokio::task::LocalSet;

use rows::Bench;
use servers::Programs;
use wire::Error;

const ROWS: [&str; 9] = ["idle", "waves", "edits", "10k", "20k", "document", "fanout", "stalled", "killed"];

/// One thread: it must leave the other core to the servers, and what one thread does needs no locks.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match LocalSet::new().run_until(bench()).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(missing) => {
            eprintln!("{missing} edits of ours are missing");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("samspil-load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn setting(name: &str, default: u32) -> Result<u32, Error> {
    std::env::var(name).map_or(Ok(default), |text| text.parse().map_err(|_| format!("{name} is not a number: {text}").into()))
}

async fn bench() -> Result<u64, Error> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no workspace")?;
    let rival = std::env::var("RIVAL").map_or(true, |text| text != "no");
    let only = std::env::var("ONLY").unwrap_or_else(|_| ROWS.join(","));
    let only: Vec<&str> = only.split(',').map(str::trim).collect();
    if let Some(unknown) = only.iter().find(|row| !ROWS.contains(row)) {
        return Err(format!("there is no row {unknown:?}; there are {}", ROWS.join(", ")).into());
    }
    let mut bench = Bench {
        programs: Programs::find(root, rival).await?,
        // A page that says nothing for a minute is closed by Hocuspocus.
        seconds: setting("SECONDS_EACH", 10)?.clamp(1, 45),
        ingest: setting("INGEST", 260_000)?.max(1),
        commit: (f64::NAN, f64::NAN),
        lines: Vec::new(),
        missing: 0,
    };
    let machine = machine(&bench, root).await?;
    bench.one_commit().await?;
    for row in ROWS.into_iter().filter(|row| only.contains(row)) {
        eprintln!("measuring {row}");
        match row {
            "idle" => bench.idle().await?,
            "waves" => bench.waves().await?,
            "edits" => bench.edits().await?,
            "10k" => bench.many(500, "20 ms").await?,
            "20k" => bench.many(1_000, "100 ms").await?,
            "document" => bench.document().await?,
            "fanout" => bench.fan_out().await?,
            "stalled" => bench.stalled().await?,
            _ => bench.killed().await?,
        }
    }
    eprintln!("verifying");
    bench.verify().await?;
    println!("{machine}\n\n{}", table::markdown(&bench.lines));
    Ok(bench.missing)
}

/// When, what and where; and makes the rival's database on the way.
async fn machine(bench: &Bench, root: &Path) -> Result<String, Error> {
    let mut server = bench.programs.samspil(&[]).await?;
    let mut connection = sqlx::PgConnection::connect(&bench.programs.database()?).await?;
    let version: String = sqlx::query_scalar("SHOW server_version").fetch_one(&mut connection).await?;
    let fsync: String = sqlx::query_scalar("SHOW fsync").fetch_one(&mut connection).await?;
    let durable: String = sqlx::query_scalar("SHOW synchronous_commit").fetch_one(&mut connection).await?;
    connection.close().await?;
    if bench.programs.has_rival() {
        bench.programs.make_rivals_database().await?;
    }
    server.stop().await?;
    let cpus = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("a processor", |name| name.trim_start_matches([' ', '\t', ':']));
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(root).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    let changed = if git(&["status", "--porcelain"]).is_empty() { "" } else { " with changes" };
    Ok(format!(
        "{}, build {}{changed}, {} cores of {model}, PostgreSQL {version} (fsync {fsync}, synchronous_commit {durable}), {} s each",
        Clock::machine().now().format("%-d %B %Y"),
        git(&["rev-parse", "--short", "HEAD"]),
        cpus.matches("processor\t").count(),
        bench.seconds,
    ))
}
