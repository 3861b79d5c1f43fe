//! Clients, rooms, journal and database as an executable model around the real [`Room`]: everything but the room, the admission of
//! updates and yrs is a model here, and what is modelled is held to what ships (`differential`).
//!
//! A [`World`](world::World) is a few clients, one or two nodes and one database; it moves by [`Action`](world::Action)s, each of which
//! is one thing that can happen next. The promises G1–G5 are looked at after every one of them, and once more when everything has come
//! to rest. Two searches walk through it:
//!
//! - `histories`: long random histories from seeds, with loss, duplication, delay, crashes, two nodes, revocations, freezes (F3);
//! - `exhaustive`: every history of a few small worlds.
//!
//! Both must find every [`Fault`](world::Fault) that is planted. Why not a model checker off the shelf: they walk over states that are
//! cloned and hashed, and a room with its Y.Doc is neither. Here a state is the actions that lead to it, done again on new rooms, and
//! two are the same when their fingerprints are.

mod client;
mod database;
mod differential;
mod exhaustive;
mod histories;
mod world;
