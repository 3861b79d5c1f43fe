//! What waits to be sent to one peer: bounded in bytes and frames. Who cannot keep up is closed with *resync*; a frame is never
//! skipped (invariant 6). Slow is who has many frames waiting and has taken none for a moment: a burst is nobody's fault. Written by the
//! room's task and by what listens to the socket, read by what speaks on it.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use samspil_client_protocol::close::CloseCode;
use tokio::{
    sync::Notify,
    time::{Duration, Instant},
};

/// More than `peer_queue_messages_max` may wait for so long: that many come at once when many write while a commit takes its time.
const BURST_PATIENCE: Duration = Duration::from_secs(1);

/// The queue to one socket.
#[derive(Debug)]
pub struct Outbox {
    queue: Mutex<Queue>,
    changed: Notify,
    bytes_max: usize,
    messages_max: usize,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Bytes>,
    bytes: usize,
    /// Since when the oldest of the frames has been waiting.
    since: Option<Instant>,
    pong: Option<Bytes>,
    close: Option<Goodbye>,
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
    /// First answer a ping, if so.
    pub pong: Option<Bytes>,
    /// Then send the frames, and close, if so.
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

    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a frame at the end.
    pub fn push(&self, frame: Bytes) -> Result<(), TooSlow> {
        let mut queue = self.queue();
        if queue.close.is_some() {
            return Ok(());
        }
        // One large answer (a whole document) must pass; only what piles up behind something is too much.
        let since = *queue.since.get_or_insert_with(Instant::now);
        let many = queue.frames.len() >= self.messages_max && since.elapsed() >= BURST_PATIENCE;
        let full = many || (queue.bytes > 0 && queue.bytes + frame.len() > self.bytes_max);
        if full {
            queue.frames = VecDeque::new();
            queue.bytes = 0;
            queue.close = Some(Goodbye::Ours(CloseCode::Resync, "too slow"));
        } else {
            queue.bytes += frame.len();
            queue.frames.push_back(frame);
        }
        drop(queue);
        self.changed.notify_one();
        if full { Err(TooSlow) } else { Ok(()) }
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
        self.queue().close.get_or_insert(goodbye);
        self.changed.notify_one();
    }

    /// Answers a ping; of several that wait, only the newest (RFC 6455 §5.5.3).
    pub fn pong(&self, body: Bytes) {
        self.queue().pong = Some(body);
        self.changed.notify_one();
    }

    /// Waits until there is something to do, and takes it: the frames to send come into `frames`, from which all have been sent.
    pub async fn take(&self, frames: &mut VecDeque<Bytes>) -> Taken {
        loop {
            if let Some(taken) = self.try_take(frames) {
                return taken;
            }
            self.changed.notified().await;
        }
    }

    fn try_take(&self, frames: &mut VecDeque<Bytes>) -> Option<Taken> {
        frames.clear();
        frames.shrink_to(KEPT_PLACES);
        let mut queue = self.queue();
        if queue.frames.is_empty() && queue.pong.is_none() && queue.close.is_none() {
            return None;
        }
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
        Some(Taken { pong: queue.pong.take(), close: queue.close.clone().filter(|_| queue.frames.is_empty()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Bytes {
        Bytes::from_static(b"frame")
    }

    const SENT_AWAY: Taken = Taken { pong: None, close: Some(Goodbye::Ours(CloseCode::Resync, "too slow")) };

    #[tokio::test(start_paused = true)]
    async fn l10_a_burst_is_taken_and_who_does_not_take_it_is_sent_away() {
        let (outbox, mut frames) = (Outbox::new(1 << 20, 3), VecDeque::new());
        assert!((0..10).all(|_| outbox.push(frame()).is_ok()), "so many at once are nobody's fault");
        outbox.take(&mut frames).await;
        assert_eq!(frames.len(), 10);
        for _ in 0..3 {
            outbox.push(frame()).unwrap();
        }
        tokio::time::advance(BURST_PATIENCE).await;
        assert_eq!(outbox.push(frame()), Err(TooSlow));
        assert_eq!(outbox.take(&mut frames).await, SENT_AWAY);
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
            assert_eq!(outbox.take(&mut frames).await, Taken { pong: None, close });
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
            assert_eq!(outbox.take(&mut frames).await, Taken { pong: None, close });
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
            let taken = outbox.take(&mut frames).await;
            rounds.push(frames.len());
            if taken.close.is_some() {
                break;
            }
        }
        assert_eq!(rounds, [1, 1, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_pings_only_the_last_is_answered() {
        let (outbox, mut frames) = (Outbox::new(9, 100), VecDeque::new());
        for body in [&b"en"[..], b"to"] {
            outbox.pong(Bytes::from_static(body));
        }
        assert_eq!(outbox.take(&mut frames).await, Taken { pong: Some(Bytes::from_static(b"to")), close: None });
    }
}
