//! What waits to be sent to one peer: bounded in bytes and frames. Who cannot keep up is closed with *resync*; a frame is never
//! skipped (invariant 6). Written by the room's task, read by the socket's writer.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use samspil_client_protocol::close::CloseCode;
use tokio::sync::Notify;

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
        let full = queue.frames.len() >= self.messages_max || (queue.bytes > 0 && queue.bytes + frame.len() > self.bytes_max);
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

    /// Waits until there is something to do, and takes all of it.
    pub async fn take(&self) -> Taken {
        loop {
            {
                let mut queue = self.queue();
                if !queue.frames.is_empty() || queue.close.is_some() {
                    queue.bytes = 0;
                    return Taken { frames: std::mem::take(&mut queue.frames), close: queue.close };
                }
            }
            self.changed.notified().await;
        }
    }
}
