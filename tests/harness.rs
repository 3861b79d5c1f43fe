//! The people and machines of the tests: a server in this process, or as a process of its own; browsers with people before them.

mod browser;
mod database;
mod line;
mod live;
mod party;
mod process;
mod provider;
mod seed;
mod server;
mod stamps;

pub use browser::{Answer, Browser, Socket};
pub use database::demo_now;
pub use line::{AtCommit, DatabaseLine, Weather};
pub use live::{DEADLINE, Door, Live, first_section, first_text};
pub use party::{Counter, Party, words};
pub use process::{ServerProcess, binary};
pub use provider::OddProvider;
pub use seed::{Seed, faults};
pub use server::{Prepared, TestServer};
pub use stamps::StampAuthority;

/// The slugs of some of the demo municipality's people, by what they are in it.
pub mod people {
    /// Leads Fjordskolen; a party to its agreement.
    pub const LEADER: &str = "p-l-fjordskolen";
    /// Head of schools; the other party.
    pub const HEAD: &str = "p-chef-skole";
    /// Teaches there: reads and comments, writes nothing.
    pub const TEACHER: &str = "p-tr-fjord";
}
