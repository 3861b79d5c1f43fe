//! The command line: one call for each command.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use samspil_evidence::verify::Outcome;
use samspil_server::app::App;
use samspil_server::bench;
use samspil_server::clock::Clock;
use samspil_server::cluster::Cluster;
use samspil_server::config::{Config, Settings};
use samspil_server::demo::{self, Demo};
use samspil_server::domain::ids::DocumentId;
use samspil_server::domain::principal::Role;
use samspil_server::import::{self, Mode, Source};
use samspil_server::keys::Keys;
use samspil_server::notary::Notary;
use samspil_server::rooms::{Verdict, verify};
use samspil_server::store::{Store, setup};
use samspil_server::{BUILD, auth, stop_points, telemetry};
use tokio::signal::unix::{SignalKind, signal};

/// Chosen by measuring (docs/decisions/0007); how it behaves stands in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Samspil: the server on which a municipality holds its structured dialogue.
#[derive(Parser)]
#[command(version = BUILD, max_term_width = 120)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts everything on this machine with the demo municipality, and says when it can be used.
    Demo {
        #[command(flatten)]
        settings: Box<Settings>,
    },
    /// Serves, on the database and with the identity provider that the settings name.
    Serve {
        #[command(flatten)]
        settings: Box<Settings>,
    },
    /// Brings the database's schema up to date, as the role that owns it.
    Migrate {
        #[command(flatten)]
        settings: Box<Settings>,
    },
    /// Says whether `serve` would accept the settings, and what it would run on.
    CheckConfig {
        #[command(flatten)]
        settings: Box<Settings>,
    },
    /// Brings a municipality's people, organisation, documents and agreements in, all or nothing.
    Import {
        /// Directory laid out as demo-data/README.md describes.
        dir: PathBuf,
        /// Only say what would change.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        settings: Box<Settings>,
    },
    /// Checks an evidence package, offline, with a line for each check; or that the database holds what was written and approved.
    Verify {
        /// An evidence package (a file), or the id of a document whose log is to be replayed.
        #[arg(required_unless_present = "all", value_name = "FILE|DOCUMENT")]
        what: Option<String>,
        /// The key that must have sealed the package: its thumbprint, as the municipality has published it.
        #[arg(long, value_name = "THUMBPRINT", conflicts_with = "all")]
        key: Option<String>,
        /// Every document, every trail, every signature and every checkpoint in the database.
        #[arg(long, conflicts_with = "what")]
        all: bool,
        #[command(flatten)]
        settings: Box<Settings>,
    },
    /// What `make bench` needs.
    Bench {
        #[command(subcommand)]
        command: Bench,
    },
    /// Makes a link that ties whoever signs in through it, once and within 24 hours, to a person.
    Invite {
        /// The person's id, or the id in the data they were imported from.
        person: String,
        /// A role to put the person into, for the whole municipality, e.g. `admin`; it counts once their token carries it, too.
        #[arg(long, value_name = "ROLE")]
        role: Option<String>,
        #[command(flatten)]
        settings: Box<Settings>,
    },
}

#[derive(Subcommand)]
enum Bench {
    /// Makes agreements with synthetic people in the demo that runs in the data directory, one session each, and writes a line of JSON
    /// for each document: `document_id` and `cookies`, the two parties' first.
    Prepare {
        #[command(flatten)]
        wanted: bench::Wanted,
        /// Where the lines go.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        settings: Box<Settings>,
    },
}

fn main() -> ExitCode {
    let line = Line::parse();
    // The private database ends with the thread that starts it; `block_on` runs on this one, the main thread.
    let runtime = tokio::runtime::Runtime::new().expect("the machine can start threads");
    match runtime.block_on(run(line.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("samspil: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Demo { settings } => {
            telemetry::log_to_stderr(&settings.log, settings.log_format)?;
            demo(&settings).await
        }
        Command::Serve { settings } => {
            telemetry::log_to_stderr(&settings.log, settings.log_format)?;
            serve(settings.check()?).await
        }
        Command::Migrate { settings } => migrate(&settings).await,
        Command::CheckConfig { settings } => check_config(&settings),
        Command::Import { dir, dry_run, settings } => import(dir, if dry_run { Mode::DryRun } else { Mode::Apply }, &settings).await,
        Command::Verify { what: Some(what), key, all: _, settings } => match what.parse() {
            Ok(document) => verify_documents(Some(DocumentId(document)), &settings).await,
            Err(_) => verify_package(Path::new(&what), key.as_deref()),
        },
        Command::Verify { what: None, settings, .. } => {
            verify_documents(None, &settings).await?;
            verify_evidence(&settings).await
        }
        Command::Bench { command: Bench::Prepare { wanted, out, settings } } => bench_prepare(wanted, &out, &settings).await,
        Command::Invite { person, role, settings } => invite(&person, role.as_deref(), &settings).await,
    }
}

async fn demo(settings: &Settings) -> anyhow::Result<()> {
    if let Some(stop_at) = settings.stop_at {
        stop_points::arm(stop_at);
    }
    let demo = Demo::start(settings).await?;
    println!("{}", demo::WHO_TO_SIGN_IN_AS);
    println!("ready {}", demo.public_url());
    asked_to_stop().await?;
    demo.stop().await;
    Ok(())
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let running = App::start(config, Clock::machine()).await?;
    tracing::info!(listen = %running.addr(), public_url = running.public_url(), build = BUILD, "ready");
    asked_to_stop().await?;
    running.stop().await;
    Ok(())
}

async fn migrate(settings: &Settings) -> anyhow::Result<()> {
    let applied = setup::migrate(&settings.check_owner()?).await?;
    println!("{applied} migration(s) applied; the schema is up to date");
    Ok(())
}

fn check_config(settings: &Settings) -> anyhow::Result<()> {
    let config = settings.check()?;
    println!("The settings are in order.\n\n{config:#?}\n\nKeys:");
    for key in settings.check_keys()?.told()? {
        println!("  {key}");
    }
    println!("\nLimits that differ from their default:");
    for (setting, value, default) in config.limits.list().into_iter().filter(|(_, value, default)| value != default) {
        println!("  {setting}={value} (default {default})");
    }
    Ok(())
}

async fn import(dir: PathBuf, mode: Mode, settings: &Settings) -> anyhow::Result<()> {
    let store = store(settings).await?;
    let report = import::run(Source::Dir(dir), &store, Clock::machine().now(), mode).await?;
    println!("{report}");
    if mode == Mode::DryRun {
        println!("Nothing was written: this was a dry run.");
    }
    Ok(())
}

async fn verify_documents(document: Option<DocumentId>, settings: &Settings) -> anyhow::Result<()> {
    let store = store(settings).await?;
    let documents = match document {
        Some(document) => vec![document],
        None => store.all_documents().await?,
    };
    let mut failed = 0;
    for document in &documents {
        let words = match verify(&store, *document, &settings.limits).await? {
            Verdict::Holds { head, content_sha256 } => format!("holds at {head}, content {}", hex::encode(content_sha256)),
            Verdict::Broken(why) => format!("BROKEN: {why}"),
            Verdict::Differs => "DIFFERS: snapshot and log make different contents".to_owned(),
            Verdict::Missing => "MISSING: there is no such document".to_owned(),
        };
        failed += usize::from(!words.starts_with("holds"));
        println!("{document} {words}");
    }
    anyhow::ensure!(failed == 0, "{failed} of {} document(s) do not hold", documents.len());
    Ok(())
}

/// Checks a package with nothing but the package, and says whose key sealed it.
fn verify_package(file: &Path, key: Option<&str>) -> anyhow::Result<()> {
    let bytes = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let report = samspil_evidence::verify::verify(&bytes, None);
    for (check, outcome) in &report.lines {
        match outcome {
            Outcome::Holds => println!("holds   {check}"),
            Outcome::Waits(what) => println!("waits   {check}: {what}"),
            Outcome::Demonstration => println!("SHOWN   {check}: not so; it is only shown, in a demonstration"),
            Outcome::Broken(why) => println!("BROKEN  {check}: {why}"),
        }
    }
    for (statement, proof) in report.approvals.iter().filter(|_| report.whole()) {
        let name = &statement.person.name;
        let what = format!("{:?}, revision {}, at {}", statement.title, statement.revision, statement.at.format("%F %T UTC"));
        match proof {
            Some(proof) => println!("{name} approved {what}, signed in at {}", proof.auth_time),
            None => println!("{name} is shown as having approved {what}; nobody signed in, and nobody approved it"),
        }
        if statement.demonstration {
            println!("        in a demonstration: it proves nothing about anybody");
        }
    }
    let sealed_by = report.key.as_deref().unwrap_or("no key that could be read");
    println!("sealed by {sealed_by}");
    if let Some((check, why)) = report.first_broken() {
        anyhow::bail!("the package does not hold; the first broken link: {check}: {why}");
    }
    anyhow::ensure!(report.holds(), "nothing in the package was altered, and it proves no approval: it is a demonstration");
    anyhow::ensure!(key.is_none_or(|key| key == sealed_by), "it was not sealed by the key that was named");
    Ok(())
}

/// Checks that nothing that proves anything was altered in the database behind the server's back.
async fn verify_evidence(settings: &Settings) -> anyhow::Result<()> {
    let store = store(settings).await?;
    if store.newest_seal_key().await?.is_none() {
        println!("no server has sealed anything in this database yet");
        return Ok(());
    }
    let keys = Keys::open(&settings.check_keys()?, &store, Clock::machine().now()).await?;
    let still = Store::at_one_moment(&settings.check_database()?)?;
    let findings = Notary::new(still, keys.into(), "").check_all().await?;
    for finding in &findings {
        println!("BROKEN  {finding}");
    }
    anyhow::ensure!(findings.is_empty(), "{} thing(s) were altered behind the server's back", findings.len());
    println!("holds   every trail, every signature with its evidence, every checkpoint");
    Ok(())
}

async fn invite(person: &str, role: Option<&str>, settings: &Settings) -> anyhow::Result<()> {
    let role = role.map(|id| Role::from_id(id).with_context(|| format!("there is no role {id:?}"))).transpose()?;
    let public_url = settings.check()?.public_url.context("SAMSPIL_PUBLIC_URL is not set")?;
    let store = store(settings).await?;
    let id = store.person_by_key(person).await?.with_context(|| format!("there is no person {person:?}"))?;
    let now = Clock::machine().now();
    if let Some(role) = role {
        anyhow::ensure!(auth::sign_in::appoint(&store, id, role, now).await?, "there is no municipality yet; import one first");
    }
    println!("{}", auth::sign_in::invite(&store, id, &public_url, now).await?);
    Ok(())
}

async fn bench_prepare(wanted: bench::Wanted, out: &Path, settings: &Settings) -> anyhow::Result<()> {
    let url = Cluster::url_of_running(&settings.data_dir).context("no demo runs in SAMSPIL_DATA_DIR; start `samspil demo` first")?;
    let store = Store::connect(&url, settings.limits.database_connections_max)?;
    store.check_schema().await?;
    let public_url = settings.public_url.clone().unwrap_or_else(|| format!("http://{}", settings.listen));
    let mut out = BufWriter::new(File::create(out).with_context(|| format!("{} cannot be written", out.display()))?);
    bench::prepare(&store, demo::clock(&settings.data_dir)?, &public_url, wanted, &mut out).await?;
    out.flush()?;
    Ok(())
}

/// The database, once its schema is known to fit.
async fn store(settings: &Settings) -> anyhow::Result<Store> {
    let store = Store::connect(&settings.check_database()?, settings.limits.database_connections_max)?;
    store.check_schema().await?;
    Ok(store)
}

/// Waits for SIGTERM (systemd) or SIGINT (Ctrl-C).
async fn asked_to_stop() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("signals cannot be listened to")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("signals cannot be listened to")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    Ok(())
}
