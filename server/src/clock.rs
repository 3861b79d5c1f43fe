//! The one clock. In production it is the machine's; in the demo it runs from the moment the demo municipality's data
//! stands at, and serves the domain and the demo identity provider alike (design §2).

use chrono::{DateTime, Duration, Utc};

/// Tells what time it is. Cheap to copy; the only place that reads the machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    offset: Duration,
    /// Stands still here, for tests that look at whole answers.
    frozen: Option<DateTime<Utc>>,
}

impl Clock {
    /// The machine's own time.
    #[must_use]
    pub fn machine() -> Self {
        Self { offset: Duration::zero(), frozen: None }
    }

    /// A clock that is this much ahead of (or behind) the machine's.
    #[must_use]
    pub fn offset(offset: Duration) -> Self {
        Self { offset, frozen: None }
    }

    /// A clock that stands still at this moment.
    #[must_use]
    pub fn frozen(at: DateTime<Utc>) -> Self {
        Self { offset: Duration::zero(), frozen: Some(at) }
    }

    /// Now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
    pub fn now(self) -> DateTime<Utc> {
        self.frozen.unwrap_or_else(|| Utc::now() + self.offset)
    }
}
