//! What crosses the wire between a Samspil server and its clients: the frames of a live document and the JSON bodies of
//! the HTTP interface. It knows nobody; the server and the tests build on it, and the TypeScript types are made from it.
//!
//! The rules are numbered in `SPEC.md`; tests quote the numbers.

pub mod api;
pub mod close;
pub mod frame;
pub mod message;
