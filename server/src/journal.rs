//! Hands signed agreements to the municipality's records system (domain B7): a PDF and a description beside it, dropped into a folder from which
//! the system takes them. Tried until it is done; what fails is seen on the agreement.
//!
//! The description is written last and both appear under their names at once, so that whoever takes them never takes half. The names are the
//! same each time: what is delivered twice is there once.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::{DateTime, Utc};
use samspil_evidence::{sha256, statement::Statement};
use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    domain::access::danish_day,
    papers::{self, Papers},
    store::{self, Store, journal::DueRow},
};

/// The system that a folder leads to, as deliveries name it.
pub const FOLDER: &str = "folder";
/// How often the worker looks.
const EVERY: Duration = Duration::from_secs(2);
/// After the first failure; each further one doubles it.
const AGAIN_AFTER: chrono::Duration = chrono::Duration::seconds(30);
/// At most so long.
const AGAIN_AFTER_MAX: chrono::Duration = chrono::Duration::hours(4);
/// Given up after so many tries: some five days.
const ATTEMPTS_MAX: u32 = 40;

/// The worker.
pub struct Courier {
    store: Store,
    papers: Papers,
    clock: Clock,
    dir: PathBuf,
}

/// Why something was not delivered. What people see of it.
#[derive(Debug, thiserror::Error)]
enum NotDelivered {
    /// It is not there: not made yet, or its mount is away.
    #[error("mappen er der ikke")]
    NoFolder,
    /// The folder.
    #[error("mappen kan ikke skrives: {0}")]
    Folder(#[from] std::io::Error),
    /// The PDF.
    #[error("dokumentet kan ikke dannes: {0}")]
    Paper(#[from] papers::Error),
    /// The database.
    #[error("databasen svarer ikke: {0}")]
    Store(#[from] store::Error),
    /// The text that was signed is not held here; what is written now is not it.
    #[error("den underskrevne tekst findes ikke her")]
    NoText,
    /// The document is gone, or is no agreement.
    #[error("aftalen findes ikke")]
    Gone,
}

impl Courier {
    /// A worker that drops into this folder.
    #[must_use]
    pub fn new(store: Store, papers: Papers, clock: Clock, dir: PathBuf) -> Self {
        Self { store, papers, clock, dir }
    }

    /// Works until it is told to stop. The database's failures are its own to retry.
    pub async fn work(self, stop: CancellationToken) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = every.tick() => {}
            }
            if let Err(error) = self.round().await {
                tracing::warn!(error = &error as &dyn std::error::Error, "deliveries wait for the database");
            }
        }
    }

    /// Delivers whatever is due.
    pub async fn round(&self) -> store::Result<()> {
        self.store.queue_deliveries(FOLDER).await?;
        for due in self.store.due_deliveries(FOLDER, self.clock.now()).await? {
            let outcome = self.deliver(due).await;
            let now = self.clock.now();
            match outcome {
                Ok(case_number) => {
                    metrics::counter!("samspil_deliveries_total", "outcome" => "delivered").increment(1);
                    self.store.delivered(due, case_number.as_deref(), now).await?;
                }
                Err(error) => {
                    let again = (due.attempts + 1 < ATTEMPTS_MAX).then(|| now + again_after(due.attempts));
                    let outcome = if again.is_some() { "failed" } else { "given_up" };
                    metrics::counter!("samspil_deliveries_total", "outcome" => outcome).increment(1);
                    tracing::warn!(delivery.id = %due.id, due.attempts, outcome, error = &error as &dyn std::error::Error, "not delivered");
                    self.store.not_delivered(due, &error.to_string(), again, now).await?;
                }
            }
        }
        Ok(())
    }

    async fn deliver(&self, due: DueRow) -> Result<Option<String>, NotDelivered> {
        let document = self.store.document_access(due.document).await?.ok_or(NotDelivered::Gone)?;
        let printed = self.papers.of(&document, self.clock.now()).await?;
        if printed.draft {
            return Err(NotDelivered::NoText);
        }
        let pdf = printed.pdf;
        let case_number = self.store.case_number(due.agreement).await?;
        let name = format!("aftale-{}-v{}", due.agreement.0, document.version);
        let described = self.describe(due, &name, &pdf, case_number.as_deref()).await?;
        let dir = self.dir.clone();
        let written = tokio::task::spawn_blocking(move || {
            // Never made here: where a mount should be, it would be a folder that nobody takes anything from.
            if !dir.is_dir() {
                return Err(NotDelivered::NoFolder);
            }
            put(&dir, &format!("{name}.pdf"), &pdf)?;
            Ok(put(&dir, &format!("{name}.json"), &described)?)
        });
        written.await.map_err(std::io::Error::other)??;
        Ok(case_number)
    }

    /// What a records system asks of a document (domain B7): date and theme, and what it is about.
    async fn describe(&self, due: DueRow, name: &str, pdf: &[u8], case_number: Option<&str>) -> Result<Vec<u8>, NotDelivered> {
        let row = self.store.agreements(&[(due.agreement, Some(due.document))]).await?.pop().ok_or(NotDelivered::Gone)?;
        let approvals = self.store.approvals_that_stand(due.document).await?;
        let people = self.store.people(&approvals.iter().map(|approval| approval.person).collect::<Vec<_>>()).await?;
        let parties: Vec<Value> = approvals
            .iter()
            .map(|approval| {
                let person = people.get(&approval.person);
                json!({
                    "party": approval.party, "name": person.map(|person| &person.display_name), "title": person.map(|person| &person.title),
                    "signed_at": rfc3339(approval.at),
                })
            })
            .collect();
        let signed = approvals.iter().map(|approval| approval.at).max();
        let revision = self.store.frozen_revision(due.document).await?;
        let statements = approvals.iter().filter_map(|approval| Statement::from_bytes(&approval.evidence.as_ref()?.statement));
        let demonstration = statements.into_iter().any(|statement| statement.demonstration);
        let described = json!({
            "type": "aftale",
            "demonstration": demonstration,
            "municipality": self.store.municipality_name().await?,
            "agreement": due.agreement.0,
            "document": due.document.0,
            "title": format!("{} · {}", row.title, row.unit.name),
            "theme": format!("Aftale mellem {} og den øverste ledelse", row.unit.name),
            "date": signed.map(danish_day),
            "unit": { "id": row.unit.id.0, "name": row.unit.name },
            "period": { "from": row.period_from, "to": row.period_to },
            "parties": parties,
            "version": row.version,
            "revision": revision.as_ref().map(|revision| revision.number),
            "content_sha256": revision.as_ref().map(|revision| hex::encode(revision.content_sha256)),
            "pdf": format!("{name}.pdf"),
            "pdf_sha256": hex::encode(sha256(pdf)),
            "case_number": case_number,
        });
        Ok(serde_json::to_vec_pretty(&described).map_err(std::io::Error::other)?)
    }
}

fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// Half a minute, one, two …, at most four hours.
fn again_after(attempts: u32) -> chrono::Duration {
    (AGAIN_AFTER * 2_i32.saturating_pow(attempts.min(10))).min(AGAIN_AFTER_MAX)
}

/// A file that is there whole or not at all, and on disk once it is.
fn put(dir: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let unfinished = dir.join(format!(".{name}.part"));
    let mut file = std::fs::File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, dir.join(name))?;
    std::fs::File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests;
