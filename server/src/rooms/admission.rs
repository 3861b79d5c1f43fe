//! The door: every update from a client is read as bytes and checked here before any library sees it (reliability-security
//! §3, SPEC R1–R9). `yrs` is fast and trusts its input; 15 hostile bytes can hang or abort it past `catch_unwind`.
//!
//! [`Index::admit`] is pure: it allocates in proportion to its input, never recurses, and changes nothing unless the whole
//! update is admitted. The index knows, for every block of the document, where it stands and whether it is deleted, in
//! runs, so that ordinary typing costs it nothing.

mod index;
mod parse;
mod schema;
mod whole;

pub use index::{Admitted, Index, Kept, Writer};
pub use parse::UpdateLimits;
pub use whole::{Whole, whole};

use samspil_client_protocol::message::{RefusalAction, RefusalCode};

/// An update that may not come in, and what its sender is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("refused by rule {rule}: {what}")]
pub struct Refusal {
    /// The rule of SPEC R that stopped it; 0: none, nothing can be saved now.
    pub rule: u8,
    /// Its code on the wire.
    pub code: RefusalCode,
    /// What was wrong, for the log.
    pub what: &'static str,
}

impl Refusal {
    pub(crate) const fn new(rule: u8, code: RefusalCode, what: &'static str) -> Self {
        Self { rule, code, what }
    }

    /// What the sender is to do next.
    #[must_use]
    pub fn action(self) -> RefusalAction {
        match self.code {
            RefusalCode::Gap | RefusalCode::NotSaving => RefusalAction::Resync,
            RefusalCode::ClientId => RefusalAction::NewClientId,
            _ => RefusalAction::KeepAsProposal,
        }
    }
}

#[cfg(test)]
mod storm;
#[cfg(test)]
mod tests;
