//! Samspil as a whole: the real server, real sockets, a real database, a small identity provider. One file for each feature.

#![cfg(test)]

mod harness;

mod comments;
mod freezing;
mod kills;
mod live;
mod loads;
mod oidc_judge;
mod outages;
mod process;
mod quarantine;
mod replay;
mod revocations;
mod server;
mod signing_out;
mod signoffs;
mod sockets;
mod strangers;
mod watching;
mod yjs_judge;
