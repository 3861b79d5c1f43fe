//! What is live: one room for each open document. `admission` and `room` are pure; `task` owns one room and the journal
//! writes for all of them.

pub mod admission;
pub mod document;
pub mod presence;
pub mod room;
