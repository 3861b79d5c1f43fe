//! Rules 1 to 4: from bytes to blocks. Nothing is believed that the bytes do not bear out.

use std::time::Duration;

use bytes::Bytes;
use samspil_client_protocol::{
    frame::{Malformed, Reader},
    message::RefusalCode,
};

use super::{Refusal, schema::Name};

/// Limits of one update (SPEC L2–L4).
#[derive(Clone, Copy, Debug)]
pub struct UpdateLimits {
    /// Blocks in all.
    pub blocks_max: usize,
    /// Blocks that share parent, key and origin: their integration is quadratic.
    pub same_origin_max: usize,
    /// Clients with new blocks.
    pub clients_max: usize,
    /// Delete ranges that are new here.
    pub delete_ranges_max: usize,
    /// Depth of nested values.
    pub value_depth_max: usize,
    /// Depth of nested types.
    pub type_depth_max: u16,
    /// Bytes of one key, attribute or mark.
    pub attribute_bytes_max: usize,
    /// Processor time that the library may take for it.
    pub cpu_max: Duration,
}

/// The name of a block: who made it, and its place in what they made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Id {
    pub(super) client: u64,
    pub(super) clock: u32,
}

/// What a block says about its parent when it cannot be copied from a neighbour.
#[derive(Clone, Copy, Debug)]
pub(super) enum Parent<'a> {
    /// Copied from the origin or the right origin.
    Neighbour,
    /// A root type.
    Root(&'a str),
    /// A type that some block made.
    Block(Id),
}

/// What a block holds, as far as rule 9 has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Collected: a block of which nothing is left.
    Collected,
    /// Deleted: its place is known, its content is gone.
    Deleted,
    /// Text.
    String,
    /// The beginning or end of a mark.
    Format,
    /// Plain values, and whether each is a string, number, truth value or nothing. Several: values that followed one another under one
    /// key, which Yjs keeps as one block as long as undo may want them back.
    Values { plain: bool },
    /// A new type.
    Map,
    /// A new type.
    Fragment,
    /// A new type.
    Text,
    /// A new type: an element of this name.
    Element(Name),
    /// Something no document of ours holds.
    Foreign,
}

/// A block as it stands in the bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'a> {
    pub(super) clock: u32,
    pub(super) len: u32,
    pub(super) origin: Option<Id>,
    pub(super) right_origin: Option<Id>,
    pub(super) parent: Parent<'a>,
    pub(super) key: Option<&'a str>,
    pub(super) content: Content,
    /// Where it stands in the update.
    pub(super) bytes: (usize, usize),
}

/// The blocks of one client.
#[derive(Debug)]
pub(super) struct Section<'a> {
    pub(super) client: u64,
    pub(super) first_clock: u32,
    pub(super) blocks: Vec<Block<'a>>,
}

impl Section<'_> {
    pub(super) fn end(&self) -> u32 {
        self.blocks.last().map_or(self.first_clock, |block| block.clock + block.len)
    }
}

/// A range of deleted clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) from: u32,
    pub(super) to: u32,
}

/// An update, read.
#[derive(Debug)]
pub(super) struct Parsed<'a> {
    pub(super) sections: Vec<Section<'a>>,
    pub(super) deletes: Vec<(u64, Vec<Range>)>,
    /// Where the delete set begins.
    pub(super) deletes_at: usize,
}

const CLOCK_MAX: u64 = 1 << 31;

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Refusal::new(1, RefusalCode::Malformed, malformed.what)
    }
}

const fn malformed(rule: u8, what: &'static str) -> Refusal {
    Refusal::new(rule, RefusalCode::Malformed, what)
}

const fn too_large(rule: u8, what: &'static str) -> Refusal {
    Refusal::new(rule, RefusalCode::TooLarge, what)
}

/// Reads an update. `trusted` bytes are the server's own (a snapshot, the log): the limits of one frame do not hold for them.
pub(super) fn parse<'a>(update: &'a Bytes, limits: &UpdateLimits, trusted: bool) -> Result<Parsed<'a>, Refusal> {
    let mut reader = Reader::new(update);
    // A section takes at least a count, a client, a clock and one block of two bytes.
    let count = reader.count(4)?;
    let mut sections: Vec<Section<'a>> = Vec::with_capacity(count.min(1024));
    let mut blocks_in_all = 0usize;
    for _ in 0..count {
        let blocks = reader.count(2)?;
        let client = client_id(&mut reader)?;
        let first_clock = clock(&mut reader)?;
        if blocks == 0 {
            return Err(malformed(1, "a client without blocks"));
        }
        blocks_in_all += blocks;
        if !trusted && blocks_in_all > limits.blocks_max {
            return Err(too_large(1, "more blocks than update_blocks_max"));
        }
        let mut section = Section { client, first_clock, blocks: Vec::with_capacity(blocks) };
        let mut at = first_clock;
        for _ in 0..blocks {
            let block = block(&mut reader, at, limits)?;
            at = sum(at, block.len)?;
            section.blocks.push(block);
        }
        sections.push(section);
    }
    let deletes_at = reader.position();
    let deletes = deletes(&mut reader)?;
    reader.finish()?;
    let mut clients: Vec<u64> = sections.iter().map(|section| section.client).collect();
    once_each(&mut clients)?;
    Ok(Parsed { sections, deletes, deletes_at })
}

fn deletes(reader: &mut Reader<'_>) -> Result<Vec<(u64, Vec<Range>)>, Refusal> {
    let count = reader.count(4)?;
    let mut deletes = Vec::with_capacity(count.min(1024));
    for _ in 0..count {
        let client = client_id(reader)?;
        let ranges = reader.count(2)?;
        let mut list = Vec::with_capacity(ranges);
        for _ in 0..ranges {
            let from = clock(reader)?;
            let len = clock(reader)?;
            if len == 0 {
                return Err(malformed(2, "an empty delete range"));
            }
            list.push(Range { from, to: sum(from, len)? });
        }
        // Yjs writes them in order; nobody promises it.
        list.sort_unstable_by_key(|range: &Range| range.from);
        deletes.push((client, list));
    }
    let mut clients: Vec<u64> = deletes.iter().map(|(client, _)| *client).collect();
    once_each(&mut clients)?;
    Ok(deletes)
}

fn once_each(clients: &mut [u64]) -> Result<(), Refusal> {
    clients.sort_unstable();
    if clients.windows(2).any(|pair| pair[0] == pair[1]) { Err(malformed(4, "a client twice")) } else { Ok(()) }
}

fn client_id(reader: &mut Reader<'_>) -> Result<u64, Refusal> {
    match reader.varuint()? {
        0 => Err(malformed(4, "client id 0")),
        client => Ok(client),
    }
}

fn clock(reader: &mut Reader<'_>) -> Result<u32, Refusal> {
    let clock = reader.varuint()?;
    if clock >= CLOCK_MAX {
        return Err(malformed(4, "a clock beyond 2^31"));
    }
    u32::try_from(clock).map_err(|_| malformed(4, "a clock beyond 2^31"))
}

fn sum(at: u32, len: u32) -> Result<u32, Refusal> {
    at.checked_add(len).filter(|sum| u64::from(*sum) < CLOCK_MAX).ok_or(malformed(4, "clocks beyond 2^31"))
}

fn id(reader: &mut Reader<'_>) -> Result<Id, Refusal> {
    Ok(Id { client: client_id(reader)?, clock: clock(reader)? })
}

const HAS_ORIGIN: u8 = 0x80;
const HAS_RIGHT_ORIGIN: u8 = 0x40;
const HAS_KEY: u8 = 0x20;
const KIND: u8 = 0x1f;

fn block<'a>(reader: &mut Reader<'a>, clock_at: u32, limits: &UpdateLimits) -> Result<Block<'a>, Refusal> {
    let from = reader.position();
    let info = reader.u8()?;
    let kind = info & KIND;
    if kind == 0 {
        if info != 0 {
            return Err(malformed(2, "flags on a collected block"));
        }
        let len = clock(reader)?;
        if len == 0 {
            return Err(malformed(2, "an empty block"));
        }
        return Ok(Block {
            clock: clock_at,
            len,
            origin: None,
            right_origin: None,
            parent: Parent::Neighbour,
            key: None,
            content: Content::Collected,
            bytes: (from, reader.position()),
        });
    }
    let origin = if info & HAS_ORIGIN != 0 { Some(id(reader)?) } else { None };
    let right_origin = if info & HAS_RIGHT_ORIGIN != 0 { Some(id(reader)?) } else { None };
    let mut parent = Parent::Neighbour;
    let mut key = None;
    if origin.is_none() && right_origin.is_none() {
        parent = match reader.varuint()? {
            1 => Parent::Root(short(reader, limits)?),
            0 => Parent::Block(id(reader)?),
            _ => return Err(malformed(2, "an unknown kind of parent")),
        };
        if info & HAS_KEY != 0 {
            key = Some(short(reader, limits)?);
        }
    }
    let (content, len) = content(reader, kind, limits)?;
    Ok(Block { clock: clock_at, len, origin, right_origin, parent, key, content, bytes: (from, reader.position()) })
}

/// A name, key or mark: bounded by `attribute_bytes_max`.
fn short<'a>(reader: &mut Reader<'a>, limits: &UpdateLimits) -> Result<&'a str, Refusal> {
    let text = reader.string().map_err(|error| malformed(2, error.what))?;
    if text.len() > limits.attribute_bytes_max { Err(too_large(3, "longer than attribute_bytes_max")) } else { Ok(text) }
}

fn content(reader: &mut Reader<'_>, kind: u8, limits: &UpdateLimits) -> Result<(Content, u32), Refusal> {
    match kind {
        1 => match clock(reader)? {
            0 => Err(malformed(2, "an empty block")),
            len => Ok((Content::Deleted, len)),
        },
        3 => {
            reader.bytes()?;
            Ok((Content::Foreign, 1))
        }
        4 => {
            let text = reader.string().map_err(|error| malformed(2, error.what))?;
            let len: usize = text.chars().map(char::len_utf16).sum();
            match u32::try_from(len) {
                Ok(0) | Err(_) => Err(malformed(2, "an empty block")),
                Ok(len) => Ok((Content::String, len)),
            }
        }
        5 => {
            json(reader, limits)?;
            Ok((Content::Foreign, 1))
        }
        6 => {
            short(reader, limits)?;
            json(reader, limits)?;
            Ok((Content::Format, 1))
        }
        7 => Ok((new_type(reader, limits)?, 1)),
        8 => {
            let count = reader.count(1)?;
            let Ok(len @ 1..) = u32::try_from(count) else { return Err(malformed(2, "an empty block")) };
            let mut plain = true;
            for _ in 0..count {
                plain &= value(reader, limits)?;
            }
            Ok((Content::Values { plain }, len))
        }
        10 => Err(malformed(2, "a skip block")),
        2 | 9 => Err(malformed(2, "legacy JSON or a sub-document")),
        _ => Err(malformed(2, "an unknown kind of block")),
    }
}

fn new_type(reader: &mut Reader<'_>, limits: &UpdateLimits) -> Result<Content, Refusal> {
    // One byte, as yrs reads it; Yjs would take a longer spelling of the same number too.
    match reader.u8()? {
        1 => Ok(Content::Map),
        3 => Ok(Name::of(short(reader, limits)?).map_or(Content::Foreign, Content::Element)),
        4 => Ok(Content::Fragment),
        6 => Ok(Content::Text),
        // Arrays and plain texts are no part of any schema: reading an array with an emoji in it never returns.
        0 | 2 => Ok(Content::Foreign),
        _ => Err(malformed(2, "a hook, a weak link or an unknown type")),
    }
}

/// A JSON text, as marks and embeds carry.
fn json(reader: &mut Reader<'_>, limits: &UpdateLimits) -> Result<(), Refusal> {
    let text = short(reader, limits)?;
    // Most marks: nothing to look into.
    if matches!(text, "{}" | "null" | "true" | "false") {
        return Ok(());
    }
    let value: serde_json::Value = serde_json::from_str(text).map_err(|_| malformed(2, "a mark that is no JSON"))?;
    if text.contains("\\u0000") {
        return Err(malformed(2, "U+0000 in a mark"));
    }
    let mut level = vec![&value];
    for _ in 0..=limits.value_depth_max {
        level = level
            .into_iter()
            .flat_map(|value| match value {
                serde_json::Value::Array(items) => items.iter().collect(),
                serde_json::Value::Object(fields) => fields.values().collect(),
                _ => Vec::new(),
            })
            .collect();
        if level.is_empty() {
            return Ok(());
        }
    }
    Err(too_large(3, "nested deeper than value_depth_max"))
}

/// One value of lib0's `any`, without recursion. True: a string, number, truth value or nothing.
fn value(reader: &mut Reader<'_>, limits: &UpdateLimits) -> Result<bool, Refusal> {
    let from = reader.position();
    // How many values are still to come at each depth; objects have a key before each.
    let mut open: Vec<(usize, bool)> = Vec::new();
    let mut plain = true;
    loop {
        let mut opened = None;
        match reader.u8()? {
            120 | 121 | 126 | 127 => {}
            119 => {
                reader.string().map_err(|error| malformed(2, error.what))?;
            }
            118 => opened = Some((reader.count(2)?, true)),
            117 => opened = Some((reader.count(1)?, false)),
            116 => {
                plain = false;
                reader.bytes()?;
            }
            122 | 123 => {
                reader.take(8)?;
            }
            124 => {
                reader.take(4)?;
            }
            125 => signed(reader)?,
            _ => return Err(malformed(2, "an unknown kind of value")),
        }
        if let Some(level) = opened {
            plain = false;
            if open.len() >= limits.value_depth_max {
                return Err(too_large(3, "nested deeper than value_depth_max"));
            }
            open.push(level);
        }
        loop {
            match open.last_mut() {
                None => {
                    return if reader.position() - from > limits.attribute_bytes_max {
                        Err(too_large(3, "longer than attribute_bytes_max"))
                    } else {
                        Ok(plain)
                    };
                }
                Some((0, _)) => {
                    open.pop();
                }
                Some((left, keyed)) => {
                    *left -= 1;
                    if *keyed {
                        short(reader, limits)?;
                    }
                    break;
                }
            }
        }
    }
}

/// lib0's signed integer: six bits in the first byte, seven in each that follows.
fn signed(reader: &mut Reader<'_>) -> Result<(), Refusal> {
    for _ in 0..9 {
        if reader.u8()? < 0x80 {
            return Ok(());
        }
    }
    Err(malformed(2, "an integer too long"))
}
