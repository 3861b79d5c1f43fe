//! What proves an approval, and how anybody checks it with nothing but the file (reliability-security §6). Pure: no database, no network,
//! no clock. The server makes evidence with it; `samspil verify` and the page *Kontrollér dokument* check it with the same code.
//!
//! An approval is a [`statement`] about exact content, spelled as [`canonical`] JSON. Its hash is the nonce of a fresh sign-in, so the
//! identity provider's own signature covers it ([`token`]). The server's [`seal`] binds statement and token; the event goes into the
//! agreement's [`trail`], whose head a [`checkpoint`] over all trails fixes. A [`package`] holds all of it, and [`verify`] reads it.

pub mod canonical;
pub mod checkpoint;
pub mod package;
pub mod seal;
pub mod statement;
pub mod timestamp;
pub mod token;
pub mod trail;
pub mod verify;

use sha2::{Digest, Sha256};

/// A SHA-256.
pub type Hash = [u8; 32];

/// SHA-256 of these bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}
