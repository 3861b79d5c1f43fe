//! What is true. No `async`, no database, no clock, no randomness: everything here is decided from its arguments.

pub mod access;
pub mod agreement;
pub mod claims;
pub mod comments;
pub mod document;
pub mod governance;
pub mod ids;
pub mod life;
pub mod notice;
pub mod principal;
pub mod signoff;
