//! What waits to be sent to one peer: bounded in bytes and frames. Who cannot keep up is closed with *resync*; a frame is never
//! skipped (invariant 6). Slow is who has many frames waiting and has taken none for a moment: a burst is nobody's fault. Written by the
//! room's task and by what listens to the socket.
//!
//! Two may speak on the socket, never both at once: the task that serves it, and the room, which says what it has just pushed as far as
//! the machine takes it at once. So words for a peer that keeps up wake no task.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use samspil_client_protocol::close::CloseCode;
use tokio::{
    sync::Notify,
    time::{Duration, Instant},
};

/// More than `peer_queue_messages_max` may wait for so long: that many come at once when many write while a commit takes its time.
const BURST_PATIENCE: Duration = Duration::from_secs(1);

/// A socket, as far as the room speaks on it.
pub trait Line: Send + Sync {
    /// Says of these what the machine takes at once, and takes out what is gone. `begun` bytes of the first have been said already, its
    /// header included. What fails here fails again for the task that serves the socket.
    fn say_now(&self, frames: &mut VecDeque<Bytes>, begun: &mut usize);
}

/// The queue to one socket.
#[derive(Debug)]
pub struct Outbox {
    queue: Mutex<Queue>,
    changed: Notify,
    bytes_max: usize,
    messages_max: usize,
}

#[derive(Default)]
struct Queue {
    frames: VecDeque<Bytes>,
    bytes: usize,
    /// So many bytes of the first frame have been said, its header included.
    begun: usize,
    /// Until it is closed.
    line: Option<Arc<dyn Line>>,
    /// The task that serves the socket has its turn.
    taken: bool,
    /// Since when the oldest of the frames has been waiting.
    since: Option<Instant>,
    pong: Option<Bytes>,
    close: Option<Goodbye>,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("frames", &self.frames.len())
            .field("bytes", &self.bytes)
            .field("close", &self.close)
            .finish_non_exhaustive()
    }
}

/// What to say last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goodbye {
    /// With our own code and words.
    Ours(CloseCode, &'static str),
    /// The answer to the peer's, which says the same.
    Theirs(Bytes),
}

/// What the writer is to do next, beside sending the frames it has been given.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken {
    /// Of the first frame so many bytes have been said.
    pub begun: usize,
    /// After the frames answer a ping, if so.
    pub pong: Option<Bytes>,
    /// Then close, if so.
    pub close: Option<Goodbye>,
}

/// Places for frames that are kept for the next ones.
const KEPT_PLACES: usize = 64;
/// So much is taken at a time, or one frame: what is taken counts no more, and what waits to be sent is to stay bounded.
const TAKEN_BYTES: usize = 64 << 10;

/// The peer is too slow; the outbox has closed itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSlow;

impl Outbox {
    /// An empty queue with these bounds.
    #[must_use]
    pub fn new(bytes_max: usize, messages_max: usize) -> Self {
        Self { queue: Mutex::default(), changed: Notify::new(), bytes_max, messages_max }
    }

    /// The same to a line that the room may speak on.
    #[must_use]
    pub fn on(self, line: Arc<dyn Line>) -> Self {
        self.queue().line = Some(line);
        self
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a frame at the end. It is said with [`Self::flush`].
    pub fn push(&self, frame: Bytes) -> Result<(), TooSlow> {
        let mut queue = self.queue();
        if queue.close.is_some() {
            return Ok(());
        }
        // One large answer (a whole document) must pass; only what piles up behind something is too much.
        let since = *queue.since.get_or_insert_with(Instant::now);
        let many = queue.frames.len() >= self.messages_max && since.elapsed() >= BURST_PATIENCE;
        let full = many || (queue.bytes > 0 && queue.bytes + frame.len() > self.bytes_max);
        if !full {
            queue.bytes += frame.len();
            queue.frames.push_back(frame);
            return Ok(());
        }
        // One that has been begun is said to its end, or nothing after it would be understood.
        let begun = usize::from(queue.begun > 0);
        queue.frames.truncate(begun);
        queue.frames.shrink_to_fit();
        queue.bytes = queue.frames.iter().map(Bytes::len).sum();
        queue.say_goodbye(Goodbye::Ours(CloseCode::Resync, "too slow"));
        drop(queue);
        self.changed.notify_one();
        Err(TooSlow)
    }

    /// Says what has been pushed, or has it said.
    pub fn flush(&self) {
        let mut queue = self.queue();
        // Who has the turn looks again when it ends.
        if queue.frames.is_empty() || queue.taken {
            return;
        }
        let Queue { frames, bytes, begun, line, since, .. } = &mut *queue;
        if let Some(line) = line.as_ref().filter(|_| *bytes <= TAKEN_BYTES) {
            line.say_now(frames, begun);
            *bytes = frames.iter().map(Bytes::len).sum();
            if frames.is_empty() {
                *since = None;
                return;
            }
        }
        drop(queue);
        self.changed.notify_one();
    }

    /// Closes it after what is in it.
    pub fn close(&self, code: CloseCode, why: &'static str) {
        self.say_goodbye(Goodbye::Ours(code, why));
    }

    /// The code that it is closed with, once it is; none, if the peer closed first.
    #[must_use]
    pub fn closed(&self) -> Option<CloseCode> {
        match self.queue().close {
            Some(Goodbye::Ours(code, _)) => Some(code),
            Some(Goodbye::Theirs(_)) | None => None,
        }
    }

    /// The peer has closed: answers with its own words.
    pub fn answer_goodbye(&self, body: Bytes) {
        self.say_goodbye(Goodbye::Theirs(body));
    }

    fn say_goodbye(&self, goodbye: Goodbye) {
        self.queue().say_goodbye(goodbye);
        self.changed.notify_one();
    }

    /// Answers a ping; of several that wait, only the newest (RFC 6455 §5.5.3).
    pub fn pong(&self, body: Bytes) {
        self.queue().pong = Some(body);
        self.changed.notify_one();
    }

    /// Waits until there is something to do, at the latest until `at`, and takes it: the frames to send come into `frames`, from which all
    /// have been sent. Until it asks again, who has taken it is the only one to speak.
    pub async fn take(&self, frames: &mut VecDeque<Bytes>, at: Instant) -> Taken {
        loop {
            let due = Instant::now() >= at;
            if let Some(taken) = self.try_take(frames, due) {
                return taken;
            }
            // Whether it was notified or is due, it looks again.
            let _ = tokio::time::timeout_at(at, self.changed.notified()).await;
        }
    }

    fn try_take(&self, frames: &mut VecDeque<Bytes>, due: bool) -> Option<Taken> {
        frames.clear();
        frames.shrink_to(KEPT_PLACES);
        let mut queue = self.queue();
        queue.taken = due || !queue.frames.is_empty() || queue.pong.is_some() || queue.close.is_some();
        if !queue.taken {
            return None;
        }
        let begun = std::mem::take(&mut queue.begun);
        if queue.bytes <= TAKEN_BYTES {
            std::mem::swap(&mut queue.frames, frames);
            queue.bytes = 0;
        }
        let mut taken = 0;
        while let Some(frame) = queue.frames.pop_front_if(|frame| taken == 0 || taken + frame.len() <= TAKEN_BYTES) {
            taken += frame.len();
            queue.bytes -= frame.len();
            frames.push_back(frame);
        }
        queue.since = (!queue.frames.is_empty()).then(Instant::now);
        Some(Taken { begun, pong: queue.pong.take(), close: queue.close.clone().filter(|_| queue.frames.is_empty()) })
    }
}

impl Queue {
    fn say_goodbye(&mut self, goodbye: Goodbye) {
        self.close.get_or_insert(goodbye);
        // What is said last is said by the task that serves the socket, and after that nothing.
        self.line = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Bytes {
        Bytes::from_static(b"frame")
    }

    async fn take(outbox: &Outbox, frames: &mut VecDeque<Bytes>) -> Taken {
        outbox.take(frames, Instant::now() + Duration::from_hours(1)).await
    }

    const SENT_AWAY: Taken = Taken { begun: 0, pong: None, close: Some(Goodbye::Ours(CloseCode::Resync, "too slow")) };

    #[tokio::test(start_paused = true)]
    async fn l10_a_burst_is_taken_and_who_does_not_take_it_is_sent_away() {
        let (outbox, mut frames) = (Outbox::new(1 << 20, 3), VecDeque::new());
        assert!((0..10).all(|_| outbox.push(frame()).is_ok()), "so many at once are nobody's fault");
        take(&outbox, &mut frames).await;
        assert_eq!(frames.len(), 10);
        for _ in 0..3 {
            outbox.push(frame()).unwrap();
        }
        tokio::time::advance(BURST_PATIENCE).await;
        assert_eq!(outbox.push(frame()), Err(TooSlow));
        assert_eq!(take(&outbox, &mut frames).await, SENT_AWAY);
        assert!(frames.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn l10_bytes_are_bounded_at_once_but_one_large_frame_passes() {
        let outbox = Outbox::new(9, 100);
        outbox.push(Bytes::from_static(b"larger than all of it")).unwrap();
        assert_eq!(outbox.push(frame()), Err(TooSlow));
    }

    #[tokio::test(start_paused = true)]
    async fn l10_peer_queue_messages_max() {
        for (number, last) in [(2, Ok(())), (3, Ok(())), (4, Err(TooSlow))] {
            let (outbox, mut frames) = (Outbox::new(1 << 20, 3), VecDeque::new());
            outbox.push(frame()).unwrap();
            tokio::time::advance(BURST_PATIENCE).await;
            let pushed: Vec<_> = (1..number).map(|_| outbox.push(frame())).collect();
            assert_eq!(pushed.last(), Some(&last), "{number} frames");
            let close = last.is_err().then_some(SENT_AWAY.close).flatten();
            assert_eq!(take(&outbox, &mut frames).await, Taken { begun: 0, pong: None, close });
            assert_eq!(frames.len(), if last.is_ok() { number } else { 0 });
        }
    }

    #[tokio::test(start_paused = true)]
    async fn l10_peer_queue_bytes_max() {
        for (bytes, second) in [(4, Ok(())), (5, Ok(())), (6, Err(TooSlow))] {
            let (outbox, mut frames) = (Outbox::new(10, 100), VecDeque::new());
            outbox.push(Bytes::from_static(b"first")).unwrap();
            assert_eq!(outbox.push(vec![0; bytes].into()), second, "5 + {bytes} bytes");
            let close = second.is_err().then_some(SENT_AWAY.close).flatten();
            assert_eq!(take(&outbox, &mut frames).await, Taken { begun: 0, pong: None, close });
            assert_eq!(frames.len(), if second.is_ok() { 2 } else { 0 });
        }
    }

    #[tokio::test(start_paused = true)]
    async fn l10_of_much_that_waits_some_is_taken_at_a_time_and_goodbye_comes_last() {
        let (outbox, mut frames) = (Outbox::new(4 * TAKEN_BYTES, 100), VecDeque::new());
        let large = Bytes::from(vec![0; TAKEN_BYTES + 1]);
        for frame in [frame(), large.clone(), frame(), frame()] {
            outbox.push(frame).unwrap();
        }
        outbox.close(CloseCode::ComeBack, "done");
        let mut rounds = Vec::new();
        loop {
            let taken = take(&outbox, &mut frames).await;
            rounds.push(frames.len());
            if taken.close.is_some() {
                break;
            }
        }
        assert_eq!(rounds, [1, 1, 2]);
    }

    /// A machine that takes so many bytes, as if frames had no headers.
    #[derive(Default)]
    struct Takes {
        bytes: Mutex<usize>,
        said: Mutex<Vec<u8>>,
    }

    impl Line for Takes {
        fn say_now(&self, frames: &mut VecDeque<Bytes>, begun: &mut usize) {
            let mut left = self.bytes.lock().unwrap();
            while let Some(first) = frames.front() {
                let more = (first.len() - *begun).min(*left);
                self.said.lock().unwrap().extend_from_slice(&first[*begun..*begun + more]);
                (*left, *begun) = (*left - more, *begun + more);
                if *begun < first.len() {
                    return;
                }
                *begun = 0;
                frames.pop_front();
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_room_says_what_the_machine_takes_and_the_task_says_the_rest() {
        let line = Arc::new(Takes { bytes: Mutex::new(8), said: Mutex::default() });
        let (outbox, mut frames) = (Outbox::new(1 << 20, 100).on(line.clone()), VecDeque::new());
        outbox.push(frame()).unwrap();
        outbox.flush();
        assert_eq!(*line.said.lock().unwrap(), b"frame");
        outbox.push(frame()).unwrap();
        outbox.flush();
        assert_eq!(*line.said.lock().unwrap(), b"framefra");
        assert_eq!(take(&outbox, &mut frames).await, Taken { begun: 3, pong: None, close: None });
        assert_eq!(frames, [frame()]);
        // While the task has its turn, what comes waits for it.
        *line.bytes.lock().unwrap() = 8;
        outbox.push(frame()).unwrap();
        outbox.flush();
        assert_eq!(*line.said.lock().unwrap(), b"framefra");
        assert_eq!(take(&outbox, &mut frames).await, Taken { begun: 0, pong: None, close: None });
        // And it has its turn when it is time for a heartbeat, too.
        outbox.take(&mut frames, Instant::now()).await;
        outbox.push(frame()).unwrap();
        outbox.flush();
        assert_eq!(*line.said.lock().unwrap(), b"framefra");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_sent_away_in_the_middle_of_a_frame_hears_the_end_of_it() {
        let line = Arc::new(Takes { bytes: Mutex::new(2), said: Mutex::default() });
        let (outbox, mut frames) = (Outbox::new(9, 100).on(line), VecDeque::new());
        outbox.push(frame()).unwrap();
        outbox.flush();
        assert_eq!(outbox.push(frame()), Err(TooSlow));
        assert_eq!(take(&outbox, &mut frames).await, Taken { begun: 2, ..SENT_AWAY });
        assert_eq!(frames, [frame()]);
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_pings_only_the_last_is_answered() {
        let (outbox, mut frames) = (Outbox::new(9, 100), VecDeque::new());
        for body in [&b"en"[..], b"to"] {
            outbox.pong(Bytes::from_static(body));
        }
        assert_eq!(take(&outbox, &mut frames).await, Taken { begun: 0, pong: Some(Bytes::from_static(b"to")), close: None });
    }
}
