//! Samspil: the server on which a municipality holds its structured dialogue.
//!
//! A keystroke: gateway → client-protocol → room task → admission → room → journal → commit → acknowledgement → the others.
//!
//! A request: auth → http handler → store → domain decides → store → commit → tell the room → answer.
//!
//! The modules in reading order; each uses what stands below it, never what stands above.

pub mod app;
pub mod bench;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod connections;
pub mod demo;
pub mod gateway;
pub mod http;
pub mod import;
pub mod telemetry;

pub mod auth;
pub mod journal;
pub mod mail;
pub mod notary;
pub mod papers;
pub mod rooms;
pub mod timestamps;

pub mod keys;
pub mod store;

pub mod content;
pub mod domain;
pub mod stop_points;

/// The build this server is: a page made by another build reloads itself once nothing is unsent.
pub const BUILD: &str = env!("CARGO_PKG_VERSION");
