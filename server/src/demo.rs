//! The demo: everything on this machine, with the demo municipality, its clock, its own identity provider and a private database
//! that is found again at the next start.

use std::fs;
use std::path::Path;

use chrono::{DateTime, Duration, Utc};

use crate::app::{App, Running, StartError};
use crate::clock::Clock;
use crate::cluster::{self, Cluster};
use crate::config::{self, Settings};
use crate::import::{self, Mode, Source};
use crate::store::Store;
use crate::store::setup::{self, SchemaError};

/// A demo that runs.
pub struct Demo {
    running: Running,
    cluster: Cluster,
}

/// Why the demo did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings are wrong.
    #[error(transparent)]
    Settings(#[from] config::Error),
    /// The private `PostgreSQL` did not start.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// The schema could not be made.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The demo clock cannot be kept.
    #[error("the demo clock in {path} cannot be read or written")]
    Clock {
        /// Its file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The demo municipality could not be imported.
    #[error(transparent)]
    Import(#[from] import::Error),
    /// The server did not start.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl Demo {
    /// Starts everything; when this returns, the demo can be used. To be called on the main thread (see [`Cluster`]).
    pub async fn start(settings: &Settings) -> Result<Self, Error> {
        // Wrong settings are said before anything is started.
        settings.check_demo(String::new())?;
        let cluster = Cluster::start(&settings.data_dir, settings.postgresql_bin.as_deref()).await?;
        setup::migrate(&cluster.owner_url()).await?;
        let clock = clock(&settings.data_dir)?;
        let config = settings.check_demo(cluster.app_url())?;
        let store = Store::connect(&cluster.app_url(), 1)?;
        import::run(Source::Demo, &store, clock.now(), Mode::Apply).await?;
        store.close().await;
        let running = App::start(config, clock).await?;
        Ok(Self { running, cluster })
    }

    /// The origin that people use.
    pub fn public_url(&self) -> &str {
        self.running.public_url()
    }

    /// Stops the server, then the database.
    pub async fn stop(self) {
        self.running.stop().await;
        self.cluster.stop().await;
    }
}

/// Whom a newcomer may want to be, for the terminal.
pub const WHO_TO_SIGN_IN_AS: &str = "
Choose anybody on the sign-in page. For a start:
  Hanne Påfundsen    Skoleleder, Fjordskolen: writes the agreement whose dialogue meeting begins at 14:00
  Esben Opdigtsen    Skolechef: the counterpart in it
  Jytte Udkastsen    Dagtilbudsleder, Strandsneglen: has signed; the other party has not
  Asger Fiktivsen    Kommunaldirektør: reads and comments what stands below him
  Vibe Systemsen     It-arkitekt: administers
";

/// The moment at which the demo municipality's data stands.
const DEMO_NOW: &str = "2026-11-23T13:30:00+01:00";

/// The demo clock: at the first start it stands at `demo_now`, then it runs on, also while the server is stopped.
pub fn clock(data_dir: &Path) -> Result<Clock, Error> {
    let path = data_dir.join("demo-clock-offset-ms");
    let failed = |source| Error::Clock { path: path.display().to_string(), source };
    if let Ok(text) = fs::read_to_string(&path)
        && let Ok(offset_ms) = text.trim().parse()
    {
        return Ok(Clock::offset(Duration::milliseconds(offset_ms)));
    }
    let offset = demo_now() - Clock::machine().now();
    fs::write(&path, format!("{}\n", offset.num_milliseconds())).map_err(failed)?;
    Ok(Clock::offset(offset))
}

fn demo_now() -> DateTime<Utc> {
    DEMO_NOW.parse().expect("the constant is a moment")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_begins_at_demo_now_and_is_the_same_one_after_a_restart() {
        let dir = std::env::temp_dir().join(format!("samspil-demo-clock-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let demo_now: DateTime<Utc> = DEMO_NOW.parse().unwrap();
        let first = clock(&dir).unwrap();
        assert!((first.now() - demo_now).abs() < Duration::seconds(5));
        let kept = fs::read_to_string(dir.join("demo-clock-offset-ms")).unwrap();
        let second = clock(&dir).unwrap();
        assert!(second.now() >= first.now() - Duration::seconds(1));
        assert_eq!(fs::read_to_string(dir.join("demo-clock-offset-ms")).unwrap(), kept);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn the_clock_stands_where_the_data_does() {
        let municipality = include_str!("../../demo-data/municipality.json");
        assert!(municipality.contains(&format!("\"demo_now\": \"{DEMO_NOW}\"")));
    }
}
