//! People at documents: they write at a pace, read, and know for every word when it was typed, so that they can say how long it took to be
//! safe and to be seen. All on one thread with one clock.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use rand::Rng as _;
use samspil_client_protocol::frame;
use tokio::time::{Instant, interval_at, timeout_at};
use yrs::updates::decoder::Decode;
use yrs::{ClientID, Doc, OffsetKind, Options, ReadTxn, Transact, Update, XmlElementPrelim, XmlFragment, XmlTextPrelim};

use crate::wire::{Error, Heard, Seat, Socket, typed};

/// So long after the last word was typed, what is not settled or seen counts as missing.
const PATIENCE: Duration = Duration::from_secs(30);
/// A place that every agreement has.
const SECTION: &str = "section:kerneopgave";

/// How people write.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Edits a second, each.
    pub per_s: u32,
    /// For so long.
    pub seconds: u32,
    /// Characters an edit. More than one: each edit replaces the one before, as when a table is recalculated.
    pub characters: u32,
    /// Does the caret move with every edit?
    pub caret: Caret,
}

/// Whether others are told where one writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caret {
    /// With every edit.
    Moves,
    /// Never.
    Hidden,
}

/// What one person, or all of them, found.
#[derive(Debug, Default)]
pub struct Measured {
    /// Microseconds from typing to the acknowledgement.
    pub acknowledged_us: Vec<u32>,
    /// Microseconds from typing to another person's screen.
    pub seen_us: Vec<u32>,
    /// Microseconds that the generator itself typed later than it wanted to.
    pub late_us: Vec<u32>,
    /// Edits typed.
    pub sent: u64,
    /// How many of them were never acknowledged, and how many never seen where they should have been.
    pub unacknowledged: u64,
    /// As above.
    pub unseen: u64,
    /// Why it ended early, if it did.
    pub broken: Option<String>,
    /// What was acknowledged.
    pub promised: Vec<Promise>,
}

/// Edits of one person that are said to be safe: the blocks of this client id from one clock to another.
#[derive(Clone, Copy, Debug)]
pub struct Promise {
    /// Whose.
    pub client: u64,
    /// The first clock, and the one after the last.
    pub from: u32,
    /// As above.
    pub to: u32,
    /// How many clocks one edit takes.
    pub each: u32,
}

impl Measured {
    /// Adds another's.
    pub fn add(&mut self, other: Self) {
        self.acknowledged_us.extend(other.acknowledged_us);
        self.seen_us.extend(other.seen_us);
        self.late_us.extend(other.late_us);
        self.sent += other.sent;
        self.unacknowledged += other.unacknowledged;
        self.unseen += other.unseen;
        self.broken = self.broken.take().or(other.broken);
        self.promised.extend(other.promised);
    }
}

/// When each person of a document typed each edit.
#[derive(Default)]
pub struct Board(RefCell<HashMap<u64, Typed>>);

struct Typed {
    /// The clock of the first edit, and how many each takes.
    base: u32,
    each: u32,
    at: Vec<Instant>,
}

/// What one person has seen of the others.
#[derive(Default)]
struct Eyes {
    edits: HashMap<u64, usize>,
    count: u64,
}

impl Eyes {
    /// Notes every edit that an update brings, also when the server made one update of several.
    fn see(&mut self, board: &Board, me: u64, update: &[u8], now: Instant, seen_us: &mut Vec<u32>) -> Result<(), Error> {
        let board = board.0.borrow();
        let inserted = Update::decode_v1(update)?.insertions(true);
        for (client, ranges) in inserted.iter() {
            let Some(typed) = board.get(&client.get()).filter(|_| client.get() != me) else { continue };
            let seen = self.edits.entry(client.get()).or_default();
            for range in ranges.iter() {
                let from = range.start.saturating_sub(typed.base) / typed.each;
                let to = usize::try_from(range.end.saturating_sub(typed.base) / typed.each)?.min(typed.at.len());
                if usize::try_from(from)? > *seen {
                    return Err(format!("edits {seen} to {from} of {} were skipped", client.get()).into());
                }
                for at in &typed.at[(*seen).min(to)..to] {
                    seen_us.push(micros(now - *at));
                    self.count += 1;
                }
                *seen = to.max(*seen);
            }
        }
        Ok(())
    }
}

/// A person who can write, with a paragraph of their own.
pub struct Writer {
    socket: Socket,
    client: u64,
    clock: u32,
    board: Rc<Board>,
}

impl Writer {
    /// Sits down at a document and begins a paragraph.
    pub async fn sit_down(seat: &Seat, board: Rc<Board>) -> Result<Self, Error> {
        let (mut socket, state) = Socket::open(seat).await?;
        let client = u64::from(rand::rng().random_range(1..u32::MAX));
        let doc = Doc::with_options(Options { client_id: ClientID::new(client), offset_kind: OffsetKind::Utf16, ..Options::default() });
        let section = doc.get_or_insert_xml_fragment(SECTION);
        doc.transact_mut().apply_update(Update::decode_v1(&state)?)?;
        let before = doc.transact().state_vector();
        {
            let mut transaction = doc.transact_mut();
            let paragraph = section.push_back(&mut transaction, XmlElementPrelim::empty("paragraph"));
            paragraph.push_back(&mut transaction, XmlTextPrelim::new("0"));
        }
        let (begun, clock) = {
            let transaction = doc.transact();
            (transaction.encode_diff_v1(&before), transaction.state_vector().get(&ClientID::new(client)))
        };
        socket.queue(&frame::update(&begun));
        socket.flush().await?;
        loop {
            match socket.next().await? {
                Heard::Acknowledged(_) => return Ok(Self { socket, client, clock, board }),
                Heard::Refused(why) => return Err(format!("refused while sitting down: {why}").into()),
                _ => {}
            }
        }
    }

    /// Writes at a pace, beginning at `first`, with so many others in the document; returns once everything is safe and seen.
    pub async fn write(mut self, pace: Pace, first: Instant, others: u64) -> Measured {
        let mut measured = Measured::default();
        let mut writing = Writing::new(&self, pace, first, others);
        if let Err(error) = self.write_all(&mut writing, &mut measured).await {
            measured.broken = Some(error.to_string());
        }
        measured.unacknowledged = measured.sent - writing.acknowledged;
        measured.unseen = writing.to_see.saturating_sub(writing.eyes.count);
        let (from, each) = (writing.base, pace.characters);
        let to = from + u32::try_from(writing.acknowledged).unwrap_or(u32::MAX) * each;
        measured.promised.push(Promise { client: self.client, from, to, each });
        measured
    }

    async fn write_all(&mut self, writing: &mut Writing, measured: &mut Measured) -> Result<(), Error> {
        let mut ticks = interval_at(writing.first, Duration::from_secs(1) / writing.pace.per_s);
        while !(measured.sent == writing.total && writing.acknowledged == writing.total && writing.eyes.count >= writing.to_see) {
            tokio::select! {
                due = ticks.tick(), if measured.sent < writing.total => {
                    let now = Instant::now();
                    measured.late_us.push(micros(now - due));
                    self.type_one(writing, now)?;
                    measured.sent += 1;
                    self.socket.flush().await?;
                }
                heard = self.socket.next() => {
                    let mut heard = Some(heard?);
                    let now = Instant::now();
                    while let Some(one) = heard {
                        self.hear(one, writing, measured, now)?;
                        heard = self.socket.already_here()?;
                    }
                }
                () = tokio::time::sleep_until(writing.last + PATIENCE), if measured.sent == writing.total => return Ok(()),
            }
        }
        Ok(())
    }

    fn type_one(&mut self, writing: &mut Writing, now: Instant) -> Result<(), Error> {
        let (client, each) = (self.client, writing.pace.characters);
        let erased = (each > 1 && self.clock > writing.base).then_some(each);
        self.socket.queue(&frame::update(&typed(client, self.clock, &writing.text, erased)));
        self.clock += each;
        writing.carets += 1;
        if writing.pace.caret == Caret::Moves {
            self.socket.queue(&caret(client, writing.carets));
        }
        self.board.0.borrow_mut().get_mut(&client).ok_or("nobody")?.at.push(now);
        writing.last = now;
        Ok(())
    }

    fn hear(&self, heard: Heard, writing: &mut Writing, measured: &mut Measured, now: Instant) -> Result<(), Error> {
        match heard {
            Heard::Acknowledged(frames) => {
                // The first was the paragraph.
                let board = self.board.0.borrow();
                let at = &board.get(&self.client).ok_or("nobody")?.at;
                for edit in writing.acknowledged..frames.saturating_sub(1) {
                    measured.acknowledged_us.push(micros(now - at[usize::try_from(edit)?]));
                }
                writing.acknowledged = writing.acknowledged.max(frames.saturating_sub(1));
            }
            Heard::Update(update) => writing.eyes.see(&self.board, self.client, &update, now, &mut measured.seen_us)?,
            Heard::Refused(why) => return Err(format!("refused: {why}").into()),
            Heard::Everything(_) | Heard::Other => {}
        }
        Ok(())
    }

    /// Types so many edits as fast as they are taken in; answers how long until the last one was settled, and which they were.
    pub async fn pour(&mut self, count: u32) -> Result<(Duration, Promise), Error> {
        for edit in 0..count {
            self.socket.queue(&frame::update(&typed(self.client, self.clock + edit, "x", None)));
        }
        let from = self.clock;
        self.clock += count;
        let (began, mut settled) = (Instant::now(), 0);
        while settled <= u64::from(count) {
            let waiting = self.socket.flush_some()?;
            while let Some(heard) = self.socket.already_here()? {
                settled = settled.max(acknowledged(heard)?);
            }
            if settled > u64::from(count) {
                break;
            }
            if waiting {
                self.socket.readable_or_writable().await?;
            } else {
                settled = settled.max(acknowledged(self.socket.next().await?)?);
            }
        }
        Ok((began.elapsed(), Promise { client: self.client, from, to: self.clock, each: 1 }))
    }

    /// This person's client id here, drawn anew for each.
    pub fn client(&self) -> u64 {
        self.client
    }
}

fn acknowledged(heard: Heard) -> Result<u64, Error> {
    match heard {
        Heard::Acknowledged(frames) => Ok(frames),
        Heard::Refused(why) => Err(format!("refused: {why}").into()),
        _ => Ok(0),
    }
}

struct Writing {
    pace: Pace,
    text: String,
    first: Instant,
    last: Instant,
    base: u32,
    total: u64,
    acknowledged: u64,
    carets: u32,
    to_see: u64,
    eyes: Eyes,
}

impl Writing {
    fn new(writer: &Writer, pace: Pace, first: Instant, others: u64) -> Self {
        let (base, total) = (writer.clock, u64::from(pace.per_s) * u64::from(pace.seconds));
        let typed = Typed { base, each: pace.characters, at: Vec::new() };
        writer.board.0.borrow_mut().insert(writer.client, typed);
        let text = "x".repeat(pace.characters as usize);
        Self { pace, text, first, last: first, base, total, acknowledged: 0, carets: 0, to_see: others * total, eyes: Eyes::default() }
    }
}

/// Somebody who only reads.
pub struct Reader {
    socket: Socket,
    board: Rc<Board>,
}

impl Reader {
    /// Sits down at a document.
    pub async fn sit_down(seat: &Seat, board: Rc<Board>) -> Result<Self, Error> {
        Ok(Self { socket: Socket::open(seat).await?.0, board })
    }

    /// Reads until so many edits have been seen, or `until` has passed.
    pub async fn read(mut self, edits: u64, until: Instant) -> Measured {
        let (mut measured, mut eyes) = (Measured::default(), Eyes::default());
        while eyes.count < edits {
            let heard = match timeout_at(until + PATIENCE, self.socket.next()).await {
                Ok(Ok(heard)) => heard,
                Ok(Err(error)) => {
                    measured.broken = Some(error.to_string());
                    break;
                }
                Err(_) => break,
            };
            if let Heard::Update(update) = heard
                && let Err(error) = eyes.see(&self.board, 0, &update, Instant::now(), &mut measured.seen_us)
            {
                measured.broken = Some(error.to_string());
                break;
            }
        }
        measured.unseen = edits.saturating_sub(eyes.count);
        measured
    }
}

/// Somebody whose page is open with a caret in it, and who does nothing.
pub async fn rest(seat: &Seat) -> Result<Socket, Error> {
    let (mut socket, _) = Socket::open(seat).await?;
    socket.queue(&caret(u64::from(rand::rng().random_range(1..u32::MAX)), 1));
    socket.flush().await?;
    Ok(socket)
}

fn caret(client: u64, clock: u32) -> Bytes {
    let state = format!("{{\"cursor\":{clock},\"place\":\"kerneopgave\"}}");
    frame::awareness([(client, clock, state.as_str())].into_iter())
}

/// Opens a document anew and answers how many of the promised edits are not in it.
pub async fn missing(seat: &Seat, promised: &[Promise]) -> Result<u64, Error> {
    let (_socket, state) = Socket::open(seat).await?;
    let there = Update::decode_v1(&state)?.state_vector();
    let missing = promised.iter().map(|promise| {
        let there = there.get(&ClientID::new(promise.client)).max(promise.from);
        u64::from(promise.to.saturating_sub(there) / promise.each)
    });
    Ok(missing.sum())
}

/// Whole microseconds.
pub fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}
