//! Where the storm's updates come from: honest ones taken apart, altered and put together again; new ones that fit what the document
//! holds; the known killers; noise.

use std::collections::{BTreeMap, HashMap};

use bytes::{BufMut, Bytes, BytesMut};
use samspil_client_protocol::frame::put_varuint;

use super::super::parse::{Block, Id, Parent, Parsed, UpdateLimits, parse};

/// Small, and the same numbers for the same seed everywhere.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// Where a block stands: in a root or a type, perhaps under a key.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Place {
    parent: DraftParent,
    key: Option<Bytes>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum DraftParent {
    Root(Bytes),
    Block(Id),
}

/// A block that the document holds.
struct Stands {
    id: Id,
    len: u32,
    place: usize,
    kind: u8,
    content: Bytes,
}

/// What the document holds, as far as the storm knows.
#[derive(Default)]
pub(super) struct Known {
    blocks: Vec<Stands>,
    at: BTreeMap<(u64, u32), usize>,
    places: Vec<Place>,
    place_ids: HashMap<Place, usize>,
    next: BTreeMap<u64, u32>,
}

impl Known {
    /// Learns an update that was admitted.
    pub(super) fn learn(&mut self, update: &Bytes, limits: &UpdateLimits) {
        let parsed = parse(update, limits, true).expect("what was admitted can be read");
        // Those that name a block which comes later in the bytes: as often as it takes.
        let mut left: Vec<(u64, &Block<'_>)> =
            parsed.sections.iter().flat_map(|section| section.blocks.iter().map(|block| (section.client, block))).collect();
        while !left.is_empty() {
            let before = left.len();
            left.retain(|(client, block)| !self.learn_block(*client, block, update));
            if left.len() == before {
                return;
            }
        }
    }

    fn learn_block(&mut self, client: u64, block: &Block<'_>, update: &Bytes) -> bool {
        let next = self.next.entry(client).or_default();
        *next = (*next).max(block.clock + block.len);
        let (kind, content) = content_of(block, update);
        if kind == 0 {
            return true;
        }
        let place = match (block.origin.or(block.right_origin), block.parent) {
            (Some(id), _) => match self.find(id) {
                Some(at) => self.blocks[at].place,
                None => return false,
            },
            (None, Parent::Root(name)) => {
                self.place(Place { parent: DraftParent::Root(Bytes::copy_from_slice(name.as_bytes())), key: key_of(block) })
            }
            (None, Parent::Block(id)) => self.place(Place { parent: DraftParent::Block(id), key: key_of(block) }),
            (None, Parent::Neighbour) => return true,
        };
        let id = Id { client, clock: block.clock };
        self.at.insert((client, block.clock), self.blocks.len());
        self.blocks.push(Stands { id, len: block.len, place, kind, content });
        true
    }

    fn find(&self, id: Id) -> Option<usize> {
        let (_, at) = self.at.range(..=(id.client, id.clock)).next_back()?;
        let stands = &self.blocks[*at];
        (stands.id.client == id.client && id.clock < stands.id.clock + stands.len).then_some(*at)
    }

    fn place(&mut self, place: Place) -> usize {
        if let Some(id) = self.place_ids.get(&place) {
            return *id;
        }
        self.places.push(place.clone());
        self.place_ids.insert(place, self.places.len() - 1);
        self.places.len() - 1
    }
}

fn key_of(block: &Block<'_>) -> Option<Bytes> {
    block.key.map(|key| Bytes::copy_from_slice(key.as_bytes()))
}

fn varuint_len(number: u64) -> usize {
    (64 - number.max(1).leading_zeros() as usize).div_ceil(7)
}

/// The kind of a block and the bytes of its content.
fn content_of(block: &Block<'_>, update: &Bytes) -> (u8, Bytes) {
    let (from, to) = block.bytes;
    let ids = [block.origin, block.right_origin].into_iter().flatten();
    let mut head = 1 + ids.map(|id| varuint_len(id.client) + varuint_len(id.clock.into())).sum::<usize>();
    if block.origin.is_none() && block.right_origin.is_none() {
        head += match block.parent {
            Parent::Root(name) => 1 + varuint_len(name.len() as u64) + name.len(),
            Parent::Block(id) => 1 + varuint_len(id.client) + varuint_len(id.clock.into()),
            Parent::Neighbour => 0,
        };
        head += block.key.map_or(0, |key| varuint_len(key.len() as u64) + key.len());
    }
    (update[from] & 0x1f, update.slice((from + head).min(to)..to))
}

/// A block on its way to be written.
#[derive(Clone)]
struct Draft {
    flags: u8,
    kind: u8,
    origin: Option<Id>,
    right_origin: Option<Id>,
    parent: Option<DraftParent>,
    key: Option<Bytes>,
    content: Bytes,
    len: u32,
}

struct DraftUpdate {
    sections: Vec<(u64, u64, Vec<Draft>)>,
    deletes: Vec<(u64, Vec<(u64, u64)>)>,
}

impl DraftUpdate {
    fn of(update: &Bytes, parsed: &Parsed<'_>) -> Self {
        let draft = |block: &Block<'_>| {
            let (kind, content) = content_of(block, update);
            Draft {
                flags: update[block.bytes.0] & 0xe0,
                kind,
                origin: block.origin,
                right_origin: block.right_origin,
                parent: match block.parent {
                    Parent::Root(name) => Some(DraftParent::Root(Bytes::copy_from_slice(name.as_bytes()))),
                    Parent::Block(id) => Some(DraftParent::Block(id)),
                    Parent::Neighbour => None,
                },
                key: key_of(block),
                content,
                len: block.len,
            }
        };
        let sections = parsed
            .sections
            .iter()
            .map(|section| (section.client, u64::from(section.first_clock), section.blocks.iter().map(draft).collect()));
        let deletes = parsed.deletes.iter().map(|(client, ranges)| {
            (*client, ranges.iter().map(|range| (u64::from(range.from), u64::from(range.to - range.from))).collect())
        });
        Self { sections: sections.collect(), deletes: deletes.collect() }
    }

    fn write(&self) -> BytesMut {
        let mut out = BytesMut::new();
        put_varuint(&mut out, self.sections.len() as u64);
        for (client, clock, blocks) in &self.sections {
            put_varuint(&mut out, blocks.len() as u64);
            put_varuint(&mut out, *client);
            put_varuint(&mut out, *clock);
            for block in blocks {
                block.write(&mut out);
            }
        }
        put_varuint(&mut out, self.deletes.len() as u64);
        for (client, ranges) in &self.deletes {
            put_varuint(&mut out, *client);
            put_varuint(&mut out, ranges.len() as u64);
            for (from, len) in ranges {
                put_varuint(&mut out, *from);
                put_varuint(&mut out, *len);
            }
        }
        out
    }
}

impl Draft {
    fn write(&self, out: &mut BytesMut) {
        out.put_u8(self.flags | self.kind);
        for id in
            [self.origin.filter(|_| self.flags & 0x80 != 0), self.right_origin.filter(|_| self.flags & 0x40 != 0)].into_iter().flatten()
        {
            put_varuint(out, id.client);
            put_varuint(out, id.clock.into());
        }
        if self.flags & 0xc0 == 0 && self.kind != 0 {
            match &self.parent {
                Some(DraftParent::Root(name)) => {
                    put_varuint(out, 1);
                    put_text(out, name);
                }
                Some(DraftParent::Block(id)) => {
                    put_varuint(out, 0);
                    put_varuint(out, id.client);
                    put_varuint(out, id.clock.into());
                }
                None => put_varuint(out, 2),
            }
            if let Some(key) = self.key.as_ref().filter(|_| self.flags & 0x20 != 0) {
                put_text(out, key);
            }
        }
        out.put_slice(&self.content);
    }

    /// Between these, here; where neither is, it says where.
    fn between(origin: Option<Id>, right_origin: Option<Id>, place: &Place, kind: u8, content: Bytes, len: u32) -> Self {
        let flags = if origin.is_some() { 0x80 } else { 0 }
            | if right_origin.is_some() { 0x40 } else { 0 }
            | if place.key.is_some() { 0x20 } else { 0 };
        Self { flags, kind, origin, right_origin, parent: Some(place.parent.clone()), key: place.key.clone(), content, len }
    }
}

fn put_text(out: &mut BytesMut, text: &[u8]) {
    put_varuint(out, text.len() as u64);
    out.put_slice(text);
}

/// Contents that have been trouble somewhere, each with its kind.
const TROUBLE: &[(u8, &[u8])] = &[
    (0, b"\x01"),
    (0, b"\xff\xff\xff\xff\x07"),
    (0, b"\x00"),
    (1, b"\x01"),
    (1, b"\x40"),
    (1, b"\xff\xff\xff\xff\x0f"),
    (1, b"\x00"),
    (2, b"\x01\x02{}"),
    (3, b"\x04\xff\xff\xff\xff"),
    (4, b"\x04\xf0\x9f\x8e\x88"),
    (4, b"\x02\xc3\xa6"),
    (4, b"\x00"),
    (4, b"\x03a\x00b"),
    (4, b"\x02\xff\xfe"),
    (4, b"\x03\xed\xa0\xbc"),
    (4, b"\xff\xff\x03a"),
    (5, b"\x02{}"),
    (5, b"\x06{\"a\":1"),
    (6, b"\x06strong\x02{}"),
    (6, b"\x06strong\x04null"),
    (6, b"\x04link\x0a{\"href\":{}}"),
    (6, b"\x00\x00"),
    (7, b"\x00"),
    (7, b"\x01"),
    (7, b"\x02"),
    (7, b"\x03\x09paragraph"),
    (7, b"\x03\x05table"),
    (7, b"\x03\x06script"),
    (7, b"\x04"),
    (7, b"\x05\x01a"),
    (7, b"\x06"),
    (7, b"\x07\x00\x01\x00\x01\x01"),
    (7, b"\x09"),
    (7, b"\x0f"),
    (8, b"\x01\x77\x02a0"),
    (8, b"\x02\x77\x02a0\x77\x02a1"),
    (8, b"\x01\x7d\x02"),
    (8, b"\x01\x75\x02\x7e\x7e"),
    (8, b"\x01\x76\x01\x01a\x7e"),
    (8, b"\x01\x7a\xff\xff\xff\xff\xff\xff\xff\xff"),
    (8, b"\x01\x7b\x7f\xf8\x00\x00\x00\x00\x00\x00"),
    (8, b"\x01\x74\x02\x00\x01"),
    (8, b"\x01\x7f"),
    (8, b"\x00"),
    (8, b"\xff\xff\xff\x7f\x7e"),
    (9, b"\x04guid\x76\x00"),
    (10, b"\x01"),
    (11, b"\x00\x00"),
    (31, b"\x00"),
];

const ROOTS: &[&[u8]] = &[b"section:kerneopgave", b"section:rammer", b"goals", b"meta", b"section:ukendt", b"t", b""];
const KEYS: &[&[u8]] = &[b"title", b"body", b"rank", b"level", b"actions", b"links", b"target", b"x", b"\x00"];
const EDGES: &[u64] = &[0, 1, 2, 127, 128, 1 << 31, (1 << 31) - 1, (1 << 32) - 1, 1 << 32, (1 << 53) - 1, 1 << 53, u64::MAX];

impl Random {
    /// One hostile update. Many of them fit: what is refused at the first door tries nothing behind it.
    pub(super) fn hostile(&mut self, known: &Known, honest: &[Bytes], killers: &[Bytes], limits: &UpdateLimits) -> Bytes {
        match self.below(100) {
            0..55 => {
                let mut draft = self.fitting(known);
                for _ in 0..self.few() {
                    self.alter(&mut draft, known);
                }
                self.write(&draft, honest)
            }
            55..88 => {
                let update = self.pick(honest);
                let parsed = parse(update, limits, true).expect("honest updates can be read");
                let mut draft = DraftUpdate::of(update, &parsed);
                // A page of text altered in one place says little and takes long.
                if draft.sections.iter().map(|(.., blocks)| blocks.len()).sum::<usize>() > 60 && self.below(8) > 0 {
                    return self.hostile(known, honest, killers, limits);
                }
                if self.below(3) > 0 {
                    self.plant(&mut draft, known);
                }
                for _ in 0..self.few() {
                    self.alter(&mut draft, known);
                }
                self.write(&draft, honest)
            }
            88..97 => {
                let update = self.pick(honest).clone();
                let bytes = BytesMut::from(&update[..update.len().min(2_000)]);
                self.noise(bytes, honest)
            }
            97 => {
                let killer = self.pick(killers).clone();
                if self.below(4) == 0 { killer } else { self.noise(BytesMut::from(&killer[..killer.len().min(300)]), honest) }
            }
            _ => {
                let mut bytes = BytesMut::zeroed(self.below(40));
                bytes.iter_mut().for_each(|byte| *byte = self.next().to_le_bytes()[0]);
                bytes.freeze()
            }
        }
    }

    /// Mostly none or one.
    fn few(&mut self) -> usize {
        [0, 0, 0, 0, 1, 1, 1, 2, 2, 4][self.below(10)]
    }

    fn write(&mut self, draft: &DraftUpdate, honest: &[Bytes]) -> Bytes {
        let bytes = draft.write();
        if self.below(12) == 0 { self.noise(bytes, honest) } else { bytes.freeze() }
    }

    /// Blocks that fit what the document holds, between neighbours that may stand anywhere in the same place.
    fn fitting(&mut self, known: &Known) -> DraftUpdate {
        let mut sections = Vec::new();
        for _ in 0..=(self.below(5) / 3) {
            let client = self.client(known);
            let clock = known.next.get(&client).copied().unwrap_or(0);
            let mut blocks: Vec<Draft> = Vec::new();
            let mut places = Vec::new();
            let mut at = clock;
            for _ in 0..=self.below(7) {
                let block = self.fitting_block(known, client, &mut places, at);
                at += block.len;
                blocks.push(block);
            }
            sections.push((client, u64::from(clock), blocks));
        }
        let mut deletes = Vec::new();
        if self.below(3) == 0 {
            for _ in 0..=self.below(3) {
                let gone = self.pick(&known.blocks);
                let from = self.below(gone.len as usize) as u64;
                let len = 1 + self.below(gone.len as usize - usize::try_from(from).unwrap()) as u64;
                deletes.push((gone.id.client, vec![(u64::from(gone.id.clock) + from, len)]));
            }
            deletes.sort_unstable_by_key(|(client, _)| *client);
            deletes.dedup_by_key(|(client, _)| *client);
        }
        sections.dedup_by_key(|(client, ..)| *client);
        DraftUpdate { sections, deletes }
    }

    fn fitting_block(&mut self, known: &Known, client: u64, places: &mut Vec<(u32, usize)>, at: u32) -> Draft {
        let model = self.below(known.blocks.len());
        let (stands, place) = (&known.blocks[model], known.blocks[model].place);
        // Neighbours in the same place: a little before and after it among all that was ever written, or its own earlier ones.
        let neighbour = |random: &mut Self| -> Option<Id> {
            if let Some((clock, _)) = places.iter().rev().find(|(_, own)| *own == place).filter(|_| random.below(3) > 0) {
                return Some(Id { client, clock: *clock });
            }
            for _ in 0..4 {
                let other = &known.blocks[(model + random.below(20)).saturating_sub(10).min(known.blocks.len() - 1)];
                if other.place == place {
                    return Some(Id {
                        client: other.id.client,
                        clock: other.id.clock + u32::try_from(random.below(other.len as usize)).unwrap(),
                    });
                }
            }
            None
        };
        let origin = if self.below(4) > 0 { neighbour(self) } else { None };
        let right_origin = if self.below(2) > 0 { neighbour(self) } else { None };
        let (kind, content, len) = match self.below(10) {
            6 if stands.kind == 4 => (4, Bytes::from_static(b"\x06ord \xc3\xa5"), 5),
            7 if stands.kind == 4 || stands.kind == 6 => (6, Bytes::from_static(b"\x02em\x02{}"), 1),
            8 => (1, Bytes::from_static(b"\x02"), 2),
            _ => (stands.kind, stands.content.clone(), stands.len),
        };
        places.push((at, place));
        Draft::between(origin, right_origin, &known.places[place], kind, content, len)
    }

    fn client(&mut self, known: &Known) -> u64 {
        match self.below(20) {
            0..3 => 1 + self.next() % 0xffff_fffe,
            3..5 => 1 + self.next() % 8,
            5 => *self.pick(EDGES),
            _ => {
                let nth = self.below(known.next.len());
                known.next.keys().nth(nth).copied().unwrap_or(1)
            }
        }
    }

    fn id(&mut self, known: &Known) -> Id {
        match self.below(10) {
            0 => Id { client: self.client(known), clock: u32::try_from(self.below(20)).unwrap() },
            1 => Id { client: *self.pick(EDGES), clock: u32::try_from(*self.pick(EDGES) & 0xffff_ffff).unwrap() },
            _ => {
                let stands = self.pick(&known.blocks);
                Id { client: stands.id.client, clock: stands.id.clock + u32::try_from(self.below(stands.len as usize + 1)).unwrap() }
            }
        }
    }

    /// Puts blocks of another document where this one goes on.
    fn plant(&mut self, draft: &mut DraftUpdate, known: &Known) {
        let mut moved: HashMap<u64, (u64, i64)> = HashMap::new();
        for (client, clock, _) in &mut draft.sections {
            let new = self.client(known);
            let next = u64::from(known.next.get(&new).copied().unwrap_or(0));
            moved.insert(*client, (new, next.cast_signed() - clock.cast_signed()));
            (*client, *clock) = (new, next);
        }
        let carry = |random: &mut Self, id: &mut Id| match moved.get(&id.client) {
            Some((client, by)) if i64::from(id.clock) + by >= 0 => {
                *id = Id { client: *client, clock: u32::try_from((i64::from(id.clock) + by) & 0x7fff_ffff).unwrap() };
            }
            _ => *id = random.id(known),
        };
        for block in draft.sections.iter_mut().flat_map(|(.., blocks)| blocks) {
            for id in [&mut block.origin, &mut block.right_origin].into_iter().flatten() {
                carry(self, id);
            }
            if let Some(DraftParent::Block(id)) = &mut block.parent {
                carry(self, id);
            }
        }
        draft.deletes.clear();
    }

    fn alter(&mut self, draft: &mut DraftUpdate, known: &Known) {
        if draft.sections.is_empty() {
            draft.deletes.push((self.client(known), vec![(self.below(10) as u64, 1 + self.below(10) as u64)]));
            return;
        }
        let what = self.below(20);
        let section = self.below(draft.sections.len());
        let sections = draft.sections.len();
        let (client, clock, blocks) = &mut draft.sections[section];
        let at = self.below(blocks.len());
        match what {
            0 => *client = self.client(known),
            1 => *clock = [clock.wrapping_add(1), clock.saturating_sub(1), 0, *self.pick(EDGES)][self.below(4)],
            2 if !blocks.is_empty() => drop(blocks.remove(at)),
            3 if !blocks.is_empty() => blocks.insert(at, blocks[at].clone()),
            4 if !blocks.is_empty() => {
                let other = self.below(blocks.len());
                blocks.swap(at, other);
            }
            5 => {
                let empty = (self.client(known), *clock, Vec::new());
                draft.sections.push(empty);
            }
            6 => {
                let twice = draft.sections[section].clone();
                draft.sections.push(twice);
            }
            7 if sections > 1 => {
                let taken = std::mem::take(blocks);
                draft.sections[(section + 1) % sections].2.extend(taken);
            }
            8 => {
                let range = if self.below(3) == 0 {
                    (*self.pick(EDGES), *self.pick(EDGES))
                } else {
                    let id = self.id(known);
                    (u64::from(id.clock), 1 + self.below(30) as u64)
                };
                draft.deletes.push((self.client(known), vec![range, range]));
            }
            9 => draft.deletes.extend(known.next.iter().map(|(client, next)| (*client, vec![(0, u64::from(*next))]))),
            _ if blocks.is_empty() => {}
            10 => blocks[at].flags ^= 1 << (5 + self.below(3)),
            11 => blocks[at].kind = u8::try_from(self.below(32)).unwrap(),
            12 | 13 => {
                let (kind, content) = *self.pick(TROUBLE);
                (blocks[at].kind, blocks[at].content) = (kind, Bytes::from_static(content));
            }
            14 => (blocks[at].origin, blocks[at].flags) = (Some(self.id(known)), blocks[at].flags | 0x80),
            15 => (blocks[at].right_origin, blocks[at].flags) = (Some(self.id(known)), blocks[at].flags | 0x40),
            16 => {
                let own = Id { client: *client, clock: u32::try_from(clock.wrapping_add(self.below(8) as u64) & 0x7fff_ffff).unwrap() };
                (blocks[at].origin, blocks[at].flags) = (Some(own), blocks[at].flags | 0x80);
            }
            17 => {
                let parent = if self.below(2) == 0 {
                    DraftParent::Root(Bytes::from_static(self.pick::<&[u8]>(ROOTS)))
                } else {
                    DraftParent::Block(self.id(known))
                };
                (blocks[at].parent, blocks[at].flags) = (Some(parent), blocks[at].flags & 0x3f);
            }
            18 => (blocks[at].key, blocks[at].flags) = (Some(Bytes::from_static(self.pick::<&[u8]>(KEYS))), blocks[at].flags | 0x20),
            _ => {
                let stands = self.pick(&known.blocks);
                (blocks[at].kind, blocks[at].content) = (stands.kind, stands.content.clone());
            }
        }
    }

    /// Bytes changed without looking what they are.
    fn noise(&mut self, mut bytes: BytesMut, honest: &[Bytes]) -> Bytes {
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len());
            match self.below(7) {
                _ if bytes.is_empty() => bytes.put_u8(self.next().to_le_bytes()[0]),
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = self.next().to_le_bytes()[0],
                2 => bytes.truncate(at),
                3 => {
                    let rest = bytes.split_off(at);
                    put_varuint(&mut bytes, *self.pick(EDGES));
                    bytes.extend_from_slice(&rest);
                }
                4 => {
                    let rest = bytes.split_off(at);
                    bytes.extend_from_slice(&rest[self.below(rest.len().min(4))..]);
                }
                5 => {
                    let other = self.pick(honest).clone();
                    bytes.truncate(at);
                    bytes.extend_from_slice(&other[self.below(other.len())..]);
                }
                _ => bytes.put_slice(b"\x00"),
            }
        }
        bytes.freeze()
    }
}
