//! What waits to be sent to one peer: bounded in bytes and frames. Who cannot keep up is closed with *resync*; a frame is never
//! skipped (invariant 6). Slow is who has many frames waiting and has taken none for a moment: a burst is nobody's fault. Written by the room's task, read by the socket's writer.

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
    close: Option<(CloseCode, &'static str)>,
}

/// What the writer is to do next.
#[derive(Debug)]
pub struct Taken {
    /// Frames to send, in order.
    pub frames: VecDeque<Bytes>,
    /// Then close, if so.
    pub close: Option<(CloseCode, &'static str)>,
}

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
            queue.frames.clear();
            queue.bytes = 0;
            queue.close = Some((CloseCode::Resync, "too slow"));
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
        self.queue().close.get_or_insert((code, why));
        self.changed.notify_one();
    }

    /// The code that it is closed with, once it is.
    #[must_use]
    pub fn closed(&self) -> Option<CloseCode> {
        self.queue().close.map(|(code, _)| code)
    }

    /// Waits until there is something to do, and takes all of it.
    pub async fn take(&self) -> Taken {
        loop {
            {
                let mut queue = self.queue();
                if !queue.frames.is_empty() || queue.close.is_some() {
                    queue.bytes = 0;
                    queue.since = None;
                    return Taken { frames: std::mem::take(&mut queue.frames), close: queue.close };
                }
            }
            self.changed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Bytes {
        Bytes::from_static(b"frame")
    }

    #[tokio::test(start_paused = true)]
    async fn l10_a_burst_is_taken_and_who_does_not_take_it_is_sent_away() {
        let outbox = Outbox::new(1 << 20, 3);
        assert!((0..10).all(|_| outbox.push(frame()).is_ok()), "so many at once are nobody's fault");
        assert_eq!(outbox.take().await.frames.len(), 10);
        for _ in 0..3 {
            outbox.push(frame()).unwrap();
        }
        tokio::time::advance(BURST_PATIENCE).await;
        assert_eq!(outbox.push(frame()), Err(TooSlow));
        let taken = outbox.take().await;
        assert_eq!((taken.frames.len(), taken.close), (0, Some((CloseCode::Resync, "too slow"))));
    }

    #[tokio::test(start_paused = true)]
    async fn l10_bytes_are_bounded_at_once_but_one_large_frame_passes() {
        let outbox = Outbox::new(9, 100);
        outbox.push(Bytes::from_static(b"larger than all of it")).unwrap();
        assert_eq!(outbox.push(frame()), Err(TooSlow));
    }
}
