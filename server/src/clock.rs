//! The one clock. In production it is the machine's; in the demo it runs from the moment the demo municipality's data
//! stands at, and serves the domain and the demo identity provider alike (design §2).

use chrono::{DateTime, Duration, Utc};

/// Tells what time it is. Cheap to copy; the only place that reads the machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    offset: Duration,
}

impl Clock {
    /// The machine's own time.
    #[must_use]
    pub fn machine() -> Self {
        Self { offset: Duration::zero() }
    }

    /// A clock that is this much ahead of (or behind) the machine's.
    #[must_use]
    pub fn offset(offset: Duration) -> Self {
        Self { offset }
    }

    /// Now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
    pub fn now(self) -> DateTime<Utc> {
        Utc::now() + self.offset
    }
}
