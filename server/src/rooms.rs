//! What is live: one room for each open document. `admission` and `room` are pure; `task` owns one room and the journal
//! writes for all of them.

pub mod admission;
pub mod anchors;
pub mod room;

mod compaction;
pub mod document;
mod frozen;
mod journal;
pub mod outbox;
mod presence;
pub mod quarantine;
mod registry;
mod replays;
mod task;

pub use compaction::{Verdict, verify};
pub use frozen::Frozen;
pub use registry::{RoomHandle, Rooms, Seal, Unavailable};
pub use room::Backlog;
pub use task::{Committed, Placed, Sealed, Standing};
