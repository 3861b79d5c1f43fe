//! Asks outside authorities what time it is with our newest checkpoints there (RFC 3161), so that not even we can say later that something
//! was signed earlier. Nobody waits for it: a signature stands without, and is *tidsstemplet* when the answer has come.
//!
//! An authority that does not answer is asked again, ever more seldom. What it answers is checked before it is kept: about this checkpoint, the
//! answer to this question, from a certificate that the municipality trusts.

use std::time::Duration;

use openidconnect::reqwest;
use samspil_evidence::{
    sha256,
    timestamp::{self, Authorities, Broken},
};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    config::Timestamps,
    store::{
        self, Store,
        timestamps::{StampRow, Unstamped},
    },
};

/// How often the worker looks.
const EVERY: Duration = Duration::from_secs(2);
/// After the first failure; each further one doubles it.
const AGAIN_AFTER: Duration = Duration::from_secs(30);
/// At most so long.
const AGAIN_AFTER_MAX: Duration = Duration::from_hours(1);
/// An authority is asked for so many in a row.
const IN_A_ROW_MAX: i64 = 20;
/// A request takes no longer.
const PATIENCE: Duration = Duration::from_secs(15);
/// And no answer is larger.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// The worker.
pub struct Stamper {
    store: Store,
    clock: Clock,
    http: reqwest::Client,
    trusted: Authorities,
    certificates: String,
    authorities: Vec<Authority>,
}

/// An authority, and when it is asked again.
struct Authority {
    name: String,
    url: String,
    failures: u32,
    not_before: Option<Instant>,
}

/// Why nothing can be stamped at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The certificates cannot be read.
    #[error("SAMSPIL_TIMESTAMP_CA_FILE: {0}")]
    Certificates(#[from] timestamp::NoCertificate),
    /// No requests can be made.
    #[error("no client for time stamps")]
    Client(#[source] reqwest::Error),
}

/// Why one checkpoint was not stamped.
#[derive(Debug, thiserror::Error)]
enum NotStamped {
    /// The way to the authority.
    #[error("the authority does not answer")]
    Http(#[from] reqwest::Error),
    /// It answers something that is no time stamp.
    #[error("the authority answers {0}")]
    Status(reqwest::StatusCode),
    /// More than any answer.
    #[error("the answer is too large")]
    TooLarge,
    /// The answer does not hold.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Stamper {
    /// A worker; `None` when nobody is to be asked.
    pub fn new(store: Store, clock: Clock, settings: &Timestamps) -> Result<Option<Self>, Error> {
        if settings.urls.is_empty() {
            return Ok(None);
        }
        let http =
            reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(PATIENCE).build().map_err(Error::Client)?;
        let authorities = settings.urls.iter().map(|url| Authority { name: name(url), url: url.clone(), failures: 0, not_before: None });
        Ok(Some(Self {
            store,
            clock,
            http,
            trusted: Authorities::from_pem(settings.certificates.as_bytes())?,
            certificates: settings.certificates.clone(),
            authorities: authorities.collect(),
        }))
    }

    /// Works until it is told to stop.
    pub async fn work(mut self, stop: CancellationToken) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = every.tick() => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.round() => {}
            }
        }
    }

    /// Asks everybody who may be asked again.
    pub async fn round(&mut self) {
        for place in 0..self.authorities.len() {
            let due = self.authorities[place].not_before.is_none_or(|not_before| Instant::now() >= not_before);
            if !due {
                continue;
            }
            let outcome = self.ask(place).await;
            let authority = &mut self.authorities[place];
            match outcome {
                Ok(()) => (authority.failures, authority.not_before) = (0, None),
                Err(error) => {
                    authority.not_before = Some(Instant::now() + again_after(authority.failures));
                    authority.failures = authority.failures.saturating_add(1);
                    metrics::counter!("samspil_timestamps_total", "outcome" => "failed").increment(1);
                    tracing::warn!(authority = %authority.name, authority.failures, error = &error as &dyn std::error::Error, "no time stamp");
                }
            }
        }
    }

    async fn ask(&self, place: usize) -> Result<(), NotStamped> {
        let authority = &self.authorities[place];
        for unstamped in self.store.unstamped(&authority.name, IN_A_ROW_MAX).await? {
            let stamp = self.stamp(authority, &unstamped).await?;
            self.store.keep_stamp(unstamped.checkpoint, &stamp, self.clock.now()).await?;
            metrics::counter!("samspil_timestamps_total", "outcome" => "stamped").increment(1);
        }
        Ok(())
    }

    async fn stamp(&self, authority: &Authority, unstamped: &Unstamped) -> Result<StampRow, NotStamped> {
        let hash = sha256(unstamped.note.as_bytes());
        let nonce: [u8; 16] = rand::random();
        let question =
            self.http.post(&authority.url).header("content-type", "application/timestamp-query").body(timestamp::request(&hash, &nonce));
        let mut response = question.send().await?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(NotStamped::Status(response.status()));
        }
        let mut answer = Vec::new();
        while let Some(more) = response.chunk().await? {
            if answer.len() + more.len() > ANSWER_BYTES_MAX {
                return Err(NotStamped::TooLarge);
            }
            answer.extend_from_slice(&more);
        }
        let stamp = timestamp::accept(&answer, &hash, &nonce, &self.trusted)?;
        Ok(StampRow { authority: authority.name.clone(), answer, certificates: self.certificates.clone(), stamped_at: stamp.at })
    }
}

/// Half a minute, one, two …, at most an hour.
fn again_after(failures: u32) -> Duration {
    (AGAIN_AFTER * 2_u32.saturating_pow(failures.min(10))).min(AGAIN_AFTER_MAX)
}

/// The host that is asked: what people know an authority by.
fn name(url: &str) -> String {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    host.split(['/', '?']).next().unwrap_or(host).replace(|char: char| !char.is_ascii_alphanumeric() && !".-".contains(char), "_")
}

#[cfg(test)]
mod tests;
