//! Named moments at which a server can be made to die or to stand still, for the tests that show that nothing is lost by it
//! (reliability-security §7, F1 and F2). Called wherever a word, a right or the server itself passes from one hand to the next.
//!
//! `SAMSPIL_STOP_AT=<point>[:<nth>][:kill|:abort|:stall:<ms>]` arms one of them: at every nth time (every one, unless said otherwise) the
//! process kills itself as `kill -9` does, aborts, or holds the thread that came by for so long. Each says `reached <point>` on standard
//! output first. Only `demo`, which serves this machine alone, takes the setting; `serve` refuses to start with it. Where it is not set, a
//! moment costs one look at a static that is never written.

use std::fmt;
use std::io::Write as _;
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

/// Makes the enum and its names from one table.
macro_rules! points {
    ($( $(#[doc = $doc:literal])+ $point:ident = $name:literal; )+) => {
        /// A moment in the life of a word, a right or the server. `ALL` has them in the order in which they come.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum StopPoint {
            $( $(#[doc = $doc])+ $point, )+
        }

        impl StopPoint {
            /// Every one.
            pub const ALL: &[Self] = &[ $( Self::$point, )+ ];

            /// As the setting has it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( Self::$point => $name, )+ }
            }
        }
    };
}

points! {
    /// A document was read to be opened; nobody has been shown anything of it.
    DocumentLoaded = "document_loaded";
    /// A frame with words was read from a socket; no room has it yet.
    FrameReceived = "frame_received";
    /// An update was admitted and is not in the document yet.
    Admitted = "admitted";
    /// An update is being applied: the server has noted which.
    Applying = "applying";
    /// An update is in the document in memory, and nowhere else.
    Applied = "applied";
    /// A room has made a batch; the journal does not have it yet.
    BeforeAppend = "before_append";
    /// The journal has gathered batches; their transaction has not begun.
    Gathered = "gathered";
    /// All is ready, nothing is committed.
    BeforeCommit = "before_commit";
    /// The database was asked to write and commit; its answer has not been heard.
    Committing = "committing";
    /// It is committed, and only this place knows.
    AfterCommit = "after_commit";
    /// A room is about to say what was committed.
    BeforeAnswer = "before_answer";
    /// *Saved* is about to be sent to its author.
    BeforeSaved = "before_saved";
    /// *Saved* is on its way.
    AfterSaved = "after_saved";
    /// The words are about to be sent to somebody else.
    BeforeFanOut = "before_fan_out";
    /// A document is about to be read again after a failure, or because another wrote in it.
    BeforeReload = "before_reload";
    /// A snapshot says what the log says; it is not written.
    SnapshotCompared = "snapshot_compared";
    /// A snapshot is written and not committed.
    SnapshotWritten = "snapshot_written";
    /// A snapshot is kept.
    SnapshotKept = "snapshot_kept";
    /// A text is to be frozen and its room takes nothing in; nothing is written.
    Sealed = "sealed";
    /// A new status is written, with its signatures, events and notices, and not committed.
    StatusWritten = "status_written";
    /// A new status is committed; its room has not been told.
    StatusChanged = "status_changed";
    /// A sign-in has ended in the database; its sockets have not been told.
    SessionEnded = "session_ended";
    /// The server was asked to stop and takes in nothing new.
    Stopping = "stopping";
    /// A room was asked to stop and has written what it admitted.
    RoomDrained = "room_drained";
    /// All rooms have ended; the server has not.
    Drained = "drained";
}

impl fmt::Display for StopPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What happens there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Kill,
    Abort,
    Stall(Duration),
}

/// The setting `SAMSPIL_STOP_AT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopAt {
    point: StopPoint,
    nth: u32,
    stop: Stop,
}

/// It names no moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not <point>[:<nth>][:kill|:abort|:stall:<ms>]; for example SAMSPIL_STOP_AT=before_commit:3. The points: {}", names())]
pub struct NoSuchStop;

fn names() -> String {
    StopPoint::ALL.iter().map(|point| point.name()).collect::<Vec<_>>().join(", ")
}

impl FromStr for StopAt {
    type Err = NoSuchStop;

    fn from_str(text: &str) -> Result<Self, NoSuchStop> {
        let mut parts = text.split(':').peekable();
        let name = parts.next().unwrap_or_default();
        let point = StopPoint::ALL.iter().copied().find(|point| point.name() == name).ok_or(NoSuchStop)?;
        let nth = match parts.next_if(|part| part.starts_with(|first: char| first.is_ascii_digit())) {
            Some(nth) => nth.parse().ok().filter(|nth| *nth > 0).ok_or(NoSuchStop)?,
            None => 1,
        };
        let stop = match (parts.next(), parts.next(), parts.next()) {
            (None | Some("kill"), None, None) => Stop::Kill,
            (Some("abort"), None, None) => Stop::Abort,
            (Some("stall"), Some(ms), None) => Stop::Stall(Duration::from_millis(ms.parse().map_err(|_| NoSuchStop)?)),
            _ => return Err(NoSuchStop),
        };
        Ok(Self { point, nth, stop })
    }
}

static ARMED: OnceLock<(StopAt, AtomicU32)> = OnceLock::new();

/// From now on this process stops there. Once in a process: a second one changes nothing.
pub fn arm(stop_at: StopAt) {
    let StopAt { point, nth, stop } = ARMED.get_or_init(|| (stop_at, AtomicU32::new(0))).0;
    tracing::warn!(point = point.name(), nth, ?stop, "SAMSPIL_STOP_AT is set: THIS SERVER WILL STOP ITSELF, as a test wants it");
}

/// This moment is now.
#[inline]
pub fn reach(point: StopPoint) {
    if let Some((stop_at, times)) = ARMED.get()
        && stop_at.point == point
        && (times.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(stop_at.nth)
    {
        stop_at.happen();
    }
}

impl StopAt {
    #[cold]
    fn happen(self) {
        // Nobody may be listening, which is no reason to live on.
        let _ = writeln!(std::io::stdout(), "reached {}", self.point);
        match self.stop {
            Stop::Stall(pause) => std::thread::sleep(pause),
            Stop::Abort => std::process::abort(),
            Stop::Kill => {
                // No destructor, no flush, no goodbye: what a power cut or the kernel's memory killer leaves.
                let _ = kill_process(getpid(), Signal::KILL);
                loop {
                    std::thread::park();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_is_a_point_perhaps_a_number_and_perhaps_a_way() {
        let stop = |text: &str| text.parse::<StopAt>().map(|StopAt { point, nth, stop }| (point, nth, stop));
        assert_eq!(stop("before_commit"), Ok((StopPoint::BeforeCommit, 1, Stop::Kill)));
        assert_eq!(stop("before_commit:3"), Ok((StopPoint::BeforeCommit, 3, Stop::Kill)));
        assert_eq!(stop("drained:kill"), Ok((StopPoint::Drained, 1, Stop::Kill)));
        assert_eq!(stop("drained:2:abort"), Ok((StopPoint::Drained, 2, Stop::Abort)));
        assert_eq!(stop("drained:stall:50"), Ok((StopPoint::Drained, 1, Stop::Stall(Duration::from_millis(50)))));
        for wrong in
            ["", "nowhere", "drained:0", "drained:x", "drained:1:2", "drained:stall", "drained:stall:x", "drained:abort:1", "drained:"]
        {
            assert_eq!(stop(wrong), Err(NoSuchStop), "{wrong:?}");
        }
    }
}
