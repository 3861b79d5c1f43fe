//! The command line: one call for each command.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use samspil_server::app::App;
use samspil_server::clock::Clock;
use samspil_server::config::{Config, Settings};
use samspil_server::demo::Demo;
use samspil_server::store::setup;
use samspil_server::{BUILD, telemetry};
use tokio::signal::unix::{SignalKind, signal};

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
    Demo(Box<Settings>),
    /// Serves, on the database and with the identity provider that the settings name.
    Serve(Box<Settings>),
    /// Brings the database's schema up to date, as the role that owns it.
    Migrate(Box<Settings>),
    /// Says whether `serve` would accept the settings, and what it would run on.
    CheckConfig(Box<Settings>),
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
        Command::Demo(settings) => {
            telemetry::log_to_stderr(&settings.log, settings.log_format)?;
            demo(&settings).await
        }
        Command::Serve(settings) => {
            telemetry::log_to_stderr(&settings.log, settings.log_format)?;
            serve(settings.check()?).await
        }
        Command::Migrate(settings) => migrate(&settings).await,
        Command::CheckConfig(settings) => check_config(&settings),
    }
}

async fn demo(settings: &Settings) -> anyhow::Result<()> {
    let demo = Demo::start(settings).await?;
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
    println!("The settings are in order.\n\n{config:#?}\n\nLimits that differ from their default:");
    for (setting, value, default) in config.limits.list().into_iter().filter(|(_, value, default)| value != default) {
        println!("  {setting}={value} (default {default})");
    }
    Ok(())
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
