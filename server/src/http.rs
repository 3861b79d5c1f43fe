//! Routes, one file for each noun. A handler reads top to bottom: load (or 404), decide, save, answer.

pub mod auth;
pub mod origin;
pub mod problem;
mod signed_in;
