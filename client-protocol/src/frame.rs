//! Bytes ↔ messages: the standard y-protocols frames and Samspil's own (SPEC S, P, H). Nothing here allocates more than the
//! bytes it was given, and nothing recurses.

use bytes::{BufMut, Bytes, BytesMut};

use crate::message::{AbilityChanged, Event, Hello, Refused};

/// Reads lib0's integers and strings from a slice; every length is compared with what remains before it is believed.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Bytes that are no message: too short, too long, or not what the place demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed at byte {at}: {what}")]
pub struct Malformed {
    /// Where reading stopped.
    pub at: usize,
    /// What was wrong there.
    pub what: &'static str,
}

impl<'a> Reader<'a> {
    /// Reads these bytes from the beginning.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes have been read.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// An error at this place.
    #[must_use]
    pub fn malformed(&self, what: &'static str) -> Malformed {
        Malformed { at: self.at, what }
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        let byte = *self.bytes.get(self.at).ok_or(self.malformed("ends too early"))?;
        self.at += 1;
        Ok(byte)
    }

    /// lib0's variable-length unsigned integer, at most 2^53−1 (what JavaScript can hold).
    pub fn varuint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..56).step_by(7) {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return if value < (1 << 53) { Ok(value) } else { Err(self.malformed("integer beyond 2^53")) };
            }
        }
        Err(self.malformed("integer too long"))
    }

    /// A count of things that take at least `each` bytes: never more than the bytes that remain can hold.
    pub fn count(&mut self, each: usize) -> Result<usize, Malformed> {
        let count = self.varuint()?;
        match usize::try_from(count) {
            Ok(count) if count <= self.remaining() / each.max(1) => Ok(count),
            _ => Err(self.malformed("count larger than the bytes that remain")),
        }
    }

    /// So many bytes.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len()).ok_or(self.malformed("ends too early"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// A length, then so many bytes.
    pub fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.count(1)?;
        self.take(length)
    }

    /// A length, then so many bytes of UTF-8 without U+0000.
    pub fn string(&mut self) -> Result<&'a str, Malformed> {
        let bytes = self.bytes()?;
        let text = std::str::from_utf8(bytes).map_err(|_| self.malformed("not UTF-8"))?;
        if text.contains('\0') { Err(self.malformed("holds U+0000")) } else { Ok(text) }
    }

    /// Nothing may be left.
    pub fn finish(self) -> Result<(), Malformed> {
        if self.remaining() == 0 { Ok(()) } else { Err(self.malformed("bytes left over")) }
    }
}

/// Appends lib0's variable-length unsigned integer.
#[expect(clippy::cast_possible_truncation, reason = "seven bits at a time is what the encoding is")]
pub fn put_varuint(out: &mut impl BufMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Appends a length and so many bytes.
pub fn put_bytes(out: &mut impl BufMut, bytes: &[u8]) {
    put_varuint(out, bytes.len() as u64);
    out.put_slice(bytes);
}

/// What a client sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientFrame {
    /// S1, kind 0: a state vector; the answer is what it lacks.
    SyncStep1(Bytes),
    /// S1, kind 1 or 2: an update to admit. The two are handled alike, but only a step 2 ends a resync (S4).
    Update {
        /// Was it a step 2?
        step2: bool,
        /// The update, v1 encoding.
        update: Bytes,
    },
    /// P1.
    Awareness(Bytes),
    /// S5: asks for everybody's presence.
    QueryAwareness,
    /// S5, H7: nothing to do.
    Ignored,
}

impl ClientFrame {
    /// Reads a whole frame.
    pub fn decode(frame: &Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(frame);
        let decoded = match reader.varuint()? {
            0 => {
                let kind = reader.varuint()?;
                let body = slice(frame, &mut reader)?;
                match kind {
                    0 => ClientFrame::SyncStep1(body),
                    1 => ClientFrame::Update { step2: true, update: body },
                    2 => ClientFrame::Update { step2: false, update: body },
                    _ => return Err(reader.malformed("unknown kind of sync")),
                }
            }
            1 => ClientFrame::Awareness(slice(frame, &mut reader)?),
            3 => ClientFrame::QueryAwareness,
            _ => return Ok(ClientFrame::Ignored),
        };
        reader.finish()?;
        Ok(decoded)
    }
}

/// The body of a frame, sharing the frame's memory.
fn slice(frame: &Bytes, reader: &mut Reader<'_>) -> Result<Bytes, Malformed> {
    let length = reader.count(1)?;
    let from = reader.position();
    reader.take(length)?;
    Ok(frame.slice(from..from + length))
}

/// Sync step 1 with this state vector.
#[must_use]
pub fn sync_step1(state_vector: &[u8]) -> Bytes {
    sync(0, state_vector)
}

/// Sync step 2 with this update.
#[must_use]
pub fn sync_step2(update: &[u8]) -> Bytes {
    sync(1, update)
}

/// An update for everybody else.
#[must_use]
pub fn update(update: &[u8]) -> Bytes {
    sync(2, update)
}

fn sync(kind: u64, body: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(body.len() + 8);
    put_varuint(&mut out, 0);
    put_varuint(&mut out, kind);
    put_bytes(&mut out, body);
    out.freeze()
}

/// Awareness states: (client id, clock, JSON or `null`).
#[must_use]
pub fn awareness<'a>(states: impl ExactSizeIterator<Item = (u64, u32, &'a str)>) -> Bytes {
    let mut body = BytesMut::new();
    put_varuint(&mut body, states.len() as u64);
    for (client, clock, state) in states {
        put_varuint(&mut body, client);
        put_varuint(&mut body, u64::from(clock));
        put_bytes(&mut body, state.as_bytes());
    }
    let mut out = BytesMut::with_capacity(body.len() + 8);
    put_varuint(&mut out, 1);
    put_bytes(&mut out, &body);
    out.freeze()
}

/// The entries of an awareness message.
pub fn awareness_entries(body: &[u8]) -> Result<Vec<(u64, u64, &str)>, Malformed> {
    let mut reader = Reader::new(body);
    let count = reader.count(3)?;
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        entries.push((reader.varuint()?, reader.varuint()?, reader.string()?));
    }
    reader.finish()?;
    Ok(entries)
}

/// `101 saved` (H3).
#[must_use]
pub fn saved(frames: u64, seq: u64) -> Bytes {
    let mut out = BytesMut::with_capacity(16);
    put_varuint(&mut out, 101);
    put_varuint(&mut out, frames);
    put_varuint(&mut out, seq);
    out.freeze()
}

/// `100 hello` (H2).
#[must_use]
pub fn hello(hello: &Hello) -> Bytes {
    json(100, hello)
}

/// `102 refused` (H4).
#[must_use]
pub fn refused(refused: &Refused) -> Bytes {
    json(102, refused)
}

/// `103 event` (H5).
#[must_use]
pub fn event(event: &Event) -> Bytes {
    json(103, event)
}

/// `104 ability` (H6).
#[must_use]
pub fn ability(change: &AbilityChanged) -> Bytes {
    json(104, change)
}

fn json(number: u64, body: &impl serde::Serialize) -> Bytes {
    let body = serde_json::to_vec(body).expect("our own bodies have string keys and no failing serializers");
    let mut out = BytesMut::with_capacity(body.len() + 8);
    put_varuint(&mut out, number);
    put_bytes(&mut out, &body);
    out.freeze()
}
