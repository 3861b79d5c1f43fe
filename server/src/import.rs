//! Bringing a municipality's data in: people and organisation, governance documents, agreements and what happened around them.
//!
//! All or nothing: every fault is found and named (file, place, reason) before the first row is written, and one transaction holds it
//! all. Safe to repeat: organisation, people, roles, time plan and rules follow the data; everything else is created once and then
//! belongs to the people here, so a document that exists is *left alone*. What vanished from the data is reported, never removed.
//!
//! Called by the commands `import` and `demo`. Writes as the app's role.

use std::{fmt, io, path::PathBuf};

use chrono::{DateTime, Utc};

use crate::store::{self, Store};

mod check;
mod data;
mod demonstration;
mod plan;
mod read;
mod rows;
mod write;

pub use plan::{Change, Report};

/// Where the data comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A directory laid out as `demo-data/README.md` describes.
    Dir(PathBuf),
    /// Klitfjord Kommune, which is in the binary.
    Demo,
}

/// Write, or only say what would be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Write.
    Apply,
    /// Do everything, then take it back.
    DryRun,
}

/// A fault in the data.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The file, relative to the source.
    pub file: String,
    /// The place in it, e.g. `documents[3].parent_ids[0]`; empty: the file as a whole.
    pub path: String,
    /// What is wrong.
    pub reason: String,
}

impl Fault {
    fn new(file: impl Into<String>, path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { file: file.into(), path: path.into(), reason: reason.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, path, reason } = self;
        if path.is_empty() { write!(f, "{file}: {reason}") } else { write!(f, "{file}: {path}: {reason}") }
    }
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory cannot be read.
    #[error("cannot read {file}: {error}")]
    Read {
        /// Which.
        file: String,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The data has faults; nothing was written.
    #[error("the data has {} fault(s); nothing was written\n{}", .0.len(), lines(.0))]
    Invalid(Vec<Fault>),
    /// The database failed, or refused a row.
    #[error("the database did not take the data; nothing was written")]
    Store(#[from] store::Error),
}

fn lines(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("  {fault}")).collect::<Vec<_>>().join("\n")
}

/// Imports everything from this source, or says why not a row was written. `now` is when it happens, for the log and the trail.
pub async fn run(source: Source, store: &Store, now: DateTime<Utc>, mode: Mode) -> Result<Report, Error> {
    let (data, mut faults) = read::read(&source)?;
    // References are judged only when every file could be read: a missing file would make each of them a fault.
    if faults.is_empty() {
        faults = check::check(&data);
    }
    if !faults.is_empty() {
        faults.sort();
        return Err(Error::Invalid(faults));
    }
    let mut transaction = store.begin().await?;
    let report = write::write(&mut transaction, &data, now).await?;
    match mode {
        Mode::Apply => transaction.commit().await.map_err(store::Error::from)?,
        Mode::DryRun => transaction.rollback().await.map_err(store::Error::from)?,
    }
    Ok(report)
}

#[cfg(test)]
mod tests;
