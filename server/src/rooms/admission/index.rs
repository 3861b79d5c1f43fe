//! Rules 5 to 9: where every block of the document stands, and whether an update fits onto it.
//!
//! Blocks are kept in runs: a run is a stretch of one client's clocks that stand in the same place, so that a page typed by
//! one hand is one run. A *place* is a type, or one key of a map; a *node* is a type that a block (or a root) made.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use bytes::{BufMut, Bytes, BytesMut};
use samspil_client_protocol::{frame::put_varuint, message::RefusalCode};

use super::{
    Refusal,
    parse::{Block, Content, Id, Parent, Parsed, Range, Section, UpdateLimits, parse},
    schema::{Kind, Placed},
};

type NodeId = u32;
type PlaceId = u32;

/// A place that no longer exists: the block was collected, and with it the knowledge of where it stood.
const COLLECTED: PlaceId = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Run {
    from: u32,
    to: u32,
    place: PlaceId,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    node: NodeId,
    key: Option<Arc<str>>,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    kind: Kind,
    /// Where it stands; roots stand nowhere.
    place: Option<PlaceId>,
    depth: u16,
    root: Root,
    /// The block that made it is deleted: what is in it is collected.
    dead: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Root {
    Meta,
    Goals,
    Section,
}

#[derive(Debug, Default)]
struct Client {
    runs: Vec<Run>,
    deleted: Vec<Range>,
}

impl Client {
    fn next(&self) -> u32 {
        self.runs.last().map_or(0, |run| run.to)
    }

    fn place(&self, clock: u32) -> Option<PlaceId> {
        let at = self.runs.partition_point(|run| run.to <= clock);
        self.runs.get(at).filter(|run| run.from <= clock).map(|run| run.place)
    }

    fn push(&mut self, run: Run) {
        match self.runs.last_mut() {
            Some(last) if last.to == run.from && last.place == run.place => last.to = run.to,
            _ => self.runs.push(run),
        }
    }
}

/// What is known of every block of one document.
#[derive(Debug, Default)]
pub struct Index {
    clients: HashMap<u64, Client>,
    nodes: Vec<Node>,
    places: Vec<Place>,
    place_ids: HashMap<Place, PlaceId>,
    node_by_id: BTreeMap<(u64, u32), NodeId>,
    roots: HashMap<Arc<str>, NodeId>,
}

/// Who sends the update, as far as rules 7 and 8 have to know.
pub trait Writer {
    /// May this person write in the text now? If not, with which code are new words refused?
    fn may_write(&self) -> Result<(), RefusalCode>;
    /// Rule 8: may this person make blocks under this client id?
    fn may_use(&self, client: u64) -> bool;
    /// Are all these ranges (client, from, to) deleted in the document already? The library deletes more than updates say:
    /// what stands in a deleted type, and the value of a key that lost against another.
    fn are_deleted(&self, ranges: &mut dyn Iterator<Item = (u64, u32, u32)>) -> bool;
}

/// An update that fits, and what the index learns from it.
#[derive(Debug)]
pub struct Admitted {
    /// The update to apply, keep and pass on. Blocks that build on collected ones are collected in it, because Yjs hides them
    /// and yrs would show them.
    pub update: Bytes,
    /// The same in parts, if it is long: to be applied one after the other, so that a slow one can be left in the middle.
    pub parts: Vec<Bytes>,
    /// False: everything in it is here already.
    pub brings_news: bool,
    /// Clients with new blocks, and the clock of the first.
    pub clients: Vec<(u64, u32)>,
    /// Something under `goals` was written or deleted.
    pub touches_goals: bool,
    runs: Vec<(u64, Run)>,
    deleted: Vec<(u64, Range)>,
    nodes: Vec<NewNode>,
    places: Vec<Place>,
}

#[derive(Debug)]
struct NewNode {
    node: Node,
    name: NodeName,
}

#[derive(Debug)]
enum NodeName {
    Root(Arc<str>),
    Block(Id),
}

impl Index {
    /// How many clients have written in the document.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Checks an update from outside against rules 1 to 9. Changes nothing.
    pub fn admit(&self, update: &Bytes, writer: &impl Writer, limits: &UpdateLimits) -> Result<Admitted, Refusal> {
        let parsed = parse(update, limits, false)?;
        let mut admitted = Stage::new(self, limits, Trust::Outside).read(update, &parsed)?;
        if let (true, Err(code)) = (admitted.brings_news, writer.may_write()) {
            let deleted = &mut admitted.deleted.iter().map(|(client, range)| (*client, range.from, range.to));
            if !admitted.clients.is_empty() || !writer.are_deleted(deleted) {
                return Err(Refusal::new(7, code, "no right to write"));
            }
            admitted.brings_news = false;
        }
        if !admitted.clients.iter().all(|(client, _)| writer.may_use(*client)) {
            return Err(Refusal::new(8, RefusalCode::ClientId, "a client id of somebody else, or a retired one"));
        }
        Ok(admitted)
    }

    /// Takes in what the server itself has kept: a snapshot or a row of the log. Its roots become the document's. Answers the parts
    /// in which it was applied when it came in; a snapshot has none.
    pub fn load(&mut self, update: &Bytes, kept: Kept, limits: &UpdateLimits) -> Result<Vec<Bytes>, Refusal> {
        let parsed = parse(update, limits, true)?;
        let mut stage = Stage::new(self, limits, Trust::Kept);
        stage.in_parts = kept == Kept::Row;
        let mut admitted = stage.read(update, &parsed)?;
        let parts = std::mem::take(&mut admitted.parts);
        self.learn(admitted);
        Ok(parts)
    }

    /// Of each client the clock after its last block.
    #[cfg(test)]
    pub(super) fn state_vector(&self) -> BTreeMap<u64, u32> {
        self.clients.iter().map(|(client, known)| (*client, known.next())).filter(|(_, next)| *next > 0).collect()
    }

    /// All of it, in words that do not depend on the order in which it was learned: of each block where it stands, of each type what it
    /// is, and what is deleted.
    #[cfg(test)]
    pub(super) fn what_it_knows(&self) -> BTreeMap<String, String> {
        let names: HashMap<NodeId, String> = (self.node_by_id.iter().map(|((client, clock), node)| (*node, format!("{client} {clock}"))))
            .chain(self.roots.iter().map(|(name, node)| (*node, name.to_string())))
            .collect();
        let place = |place: PlaceId| match self.places.get(place as usize) {
            Some(place) => format!("{} {:?}", names[&place.node], place.key),
            None => "collected".to_owned(),
        };
        let nodes = names.iter().map(|(node, name)| {
            let Node { kind, place: at, depth, root, dead } = self.nodes[*node as usize];
            (format!("type {name}"), format!("{kind:?} in {:?} at {depth} under {root:?}, dead: {dead}", at.map(place)))
        });
        let clients = self.clients.iter().map(|(client, known)| {
            let runs: Vec<String> = known.runs.iter().map(|run| format!("{}-{} {}", run.from, run.to, place(run.place))).collect();
            (format!("client {client}"), format!("{runs:?}, deleted {:?}", known.deleted))
        });
        nodes.chain(clients).collect()
    }

    /// Remembers an admitted update. Nothing else may have been learned since it was admitted.
    pub fn learn(&mut self, admitted: Admitted) {
        for new in admitted.nodes {
            let id = node_id(self.nodes.len());
            self.nodes.push(new.node);
            match new.name {
                NodeName::Root(name) => {
                    self.roots.insert(name, id);
                }
                NodeName::Block(block) => {
                    self.node_by_id.insert((block.client, block.clock), id);
                }
            }
        }
        for place in admitted.places {
            self.place_ids.insert(place.clone(), node_id(self.places.len()));
            self.places.push(place);
        }
        for (client, run) in admitted.runs {
            let known = self.clients.entry(client).or_default();
            known.push(run);
            if run.place == COLLECTED {
                add_range(&mut known.deleted, Range { from: run.from, to: run.to });
            }
        }
        for (client, range) in admitted.deleted {
            add_range(&mut self.clients.entry(client).or_default().deleted, range);
            let gone: Vec<NodeId> = self.node_by_id.range((client, range.from)..(client, range.to)).map(|(_, node)| *node).collect();
            for node in gone {
                self.nodes[node as usize].dead = true;
            }
        }
    }
}

fn node_id(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(COLLECTED - 1)
}

/// Adds a range to a sorted list of ranges that neither touch nor overlap.
fn add_range(ranges: &mut Vec<Range>, new: Range) {
    let first = ranges.partition_point(|range| range.to < new.from);
    let last = ranges.partition_point(|range| range.from <= new.to);
    let merged =
        ranges[first..last].iter().fold(new, |merged, range| Range { from: merged.from.min(range.from), to: merged.to.max(range.to) });
    ranges.splice(first..last, [merged]);
}

/// The parts of `range` that `known`, sorted, does not cover.
fn uncovered(known: &[Range], range: Range) -> Vec<Range> {
    let mut parts = Vec::new();
    let mut from = range.from;
    for covered in &known[known.partition_point(|known| known.to <= range.from)..] {
        if covered.from >= range.to {
            break;
        }
        if covered.from > from {
            parts.push(Range { from, to: covered.from });
        }
        from = from.max(covered.to);
    }
    if from < range.to {
        parts.push(Range { from, to: range.to });
    }
    parts
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// From a client: every rule holds.
    Outside,
    /// From our own log or snapshot: what does not fit was accepted once and is taken as it is.
    Kept,
}

/// What the server has kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// A whole state.
    Snapshot,
    /// One update, as it was admitted.
    Row,
}

/// Where a block turned out to stand.
#[derive(Clone, Copy)]
enum Standing {
    /// In this place, as this.
    At(PlaceId, Placed),
    /// It builds on what is collected, and is collected itself.
    Dead,
    /// It needs a block of this update that has not been read yet.
    Waits(Id),
}

/// An update on its way through the rules: what the index would learn, on top of what it knows.
struct Stage<'i> {
    index: &'i Index,
    limits: &'i UpdateLimits,
    trust: Trust,
    staged: HashMap<u64, Client>,
    nodes: Vec<NewNode>,
    node_by_id: HashMap<Id, NodeId>,
    places: Vec<Place>,
    place_ids: HashMap<Place, PlaceId>,
    ends: HashMap<u64, u32>,
    by_origin: HashMap<(Option<Id>, PlaceId), usize>,
    runs: Vec<(u64, Run)>,
    in_parts: bool,
    /// The order in which blocks come after what they name, in stretches: section, from, to.
    order: Vec<(usize, usize, usize)>,
    /// For each section: how many of its blocks are here already.
    known: Vec<usize>,
    dead: Vec<(usize, usize)>,
    deleted: Vec<(u64, Range)>,
    /// Several values in one block under one key: only the last of them can be the key's, so all of it has to be deleted.
    outdated: Vec<(u64, Range)>,
    touches_goals: bool,
}

impl<'i> Stage<'i> {
    fn new(index: &'i Index, limits: &'i UpdateLimits, trust: Trust) -> Self {
        Self {
            index,
            limits,
            trust,
            staged: HashMap::new(),
            nodes: Vec::new(),
            node_by_id: HashMap::new(),
            places: Vec::new(),
            place_ids: HashMap::new(),
            ends: HashMap::new(),
            by_origin: HashMap::new(),
            runs: Vec::new(),
            in_parts: true,
            order: Vec::new(),
            known: Vec::new(),
            dead: Vec::new(),
            deleted: Vec::new(),
            outdated: Vec::new(),
            touches_goals: false,
        }
    }

    fn read(mut self, update: &Bytes, parsed: &Parsed<'_>) -> Result<Admitted, Refusal> {
        self.blocks(parsed)?;
        self.deletes(parsed)?;
        self.outdated(parsed)?;
        let mut clients: Vec<(u64, u32)> = self.runs.iter().map(|(client, run)| (*client, run.from)).collect();
        clients.sort_unstable();
        clients.dedup_by_key(|(client, _)| *client);
        let rewriter = Rewriter { update, parsed, dead: self.dead.iter().copied().collect() };
        let unchanged = self.dead.is_empty() && self.known.iter().all(|known| *known == 0);
        Ok(Admitted {
            parts: if self.in_parts { rewriter.parts(&self.order, &self.known) } else { Vec::new() },
            update: if unchanged { update.clone() } else { rewriter.all(&self.known) },
            brings_news: !self.runs.is_empty() || !self.deleted.is_empty(),
            clients,
            touches_goals: self.touches_goals,
            runs: self.runs,
            deleted: self.deleted,
            nodes: self.nodes,
            places: self.places,
        })
    }

    /// Goes through the blocks of all clients in an order in which each comes after what it names (rule 6): a client's
    /// blocks in turn, pausing at one that waits for another client's until that has been read.
    fn blocks(&mut self, parsed: &Parsed<'_>) -> Result<(), Refusal> {
        let mut writers = 0usize;
        for section in &parsed.sections {
            let next = self.next(section.client);
            if section.first_clock > next && self.trust == Trust::Outside {
                return Err(Refusal::new(5, RefusalCode::Gap, "starts after what is here"));
            }
            writers += usize::from(section.end() > next);
            if writers > self.limits.clients_max && self.trust == Trust::Outside {
                return Err(Refusal::new(1, RefusalCode::TooLarge, "more clients than update_clients_max"));
            }
            self.ends.insert(section.client, section.end());
            self.known.push(section.blocks.partition_point(|block| block.clock + block.len <= next));
        }
        let by_client: HashMap<u64, usize> = parsed.sections.iter().enumerate().map(|(at, section)| (section.client, at)).collect();
        let mut position = vec![0usize; parsed.sections.len()];
        let mut waiting: Vec<Vec<(u32, usize)>> = vec![Vec::new(); parsed.sections.len()];
        let mut ready: Vec<usize> = (0..parsed.sections.len()).rev().collect();
        while let Some(at) = ready.pop() {
            let section = &parsed.sections[at];
            let from = position[at];
            let needed = self.section(section, &mut position[at], at)?;
            if position[at] > from {
                self.order.push((at, from, position[at]));
            }
            if let Some(needed) = needed {
                // It names a block of its own that comes later, or another client's: the first never comes true.
                let other = by_client.get(&needed.client).copied().filter(|other| *other != at);
                let Some(other) = other else { return Err(CYCLE) };
                waiting[other].push((needed.clock, at));
            }
            let reached = self.next(section.client);
            let done = position[at] == section.blocks.len();
            waiting[at].retain(|(clock, waiter)| {
                let free = done || *clock < reached;
                if free {
                    ready.push(*waiter);
                }
                !free
            });
        }
        if position.iter().zip(&parsed.sections).all(|(position, section)| *position == section.blocks.len()) { Ok(()) } else { Err(CYCLE) }
    }

    /// Goes on with one client's blocks. `Some`: it waits for this block of another client.
    fn section(&mut self, section: &Section<'_>, position: &mut usize, at: usize) -> Result<Option<Id>, Refusal> {
        while let Some(block) = section.blocks.get(*position) {
            let known = self.next(section.client);
            let end = block.clock + block.len;
            if end > known {
                match self.standing(section.client, block, known)? {
                    Standing::Waits(id) => return Ok(Some(id)),
                    Standing::Dead => {
                        if block.content != Content::Collected {
                            self.dead.push((at, *position));
                        }
                        self.push(section.client, Run { from: known, to: end, place: COLLECTED });
                    }
                    Standing::At(place, placed) => {
                        let values = matches!(block.content, Content::Values { .. }) && block.len > 1;
                        if values && self.trust == Trust::Outside && self.place(place).key.is_some() {
                            self.outdated.push((section.client, Range { from: block.clock, to: end }));
                        }
                        self.touches_goals |= self.node(self.place(place).node).root == Root::Goals;
                        if let Placed::Type(kind) = placed {
                            self.new_node(Id { client: section.client, clock: block.clock }, kind, place);
                        }
                        self.push(section.client, Run { from: known, to: end, place });
                    }
                }
            }
            *position += 1;
        }
        Ok(None)
    }

    fn standing(&mut self, client: u64, block: &Block<'_>, known: u32) -> Result<Standing, Refusal> {
        if block.content == Content::Collected {
            return Ok(Standing::Dead);
        }
        for id in [block.origin, block.right_origin].into_iter().flatten() {
            if self.whereabouts(id).is_none() {
                return self.missing(id);
            }
        }
        let place = match (block.origin, block.right_origin) {
            (Some(one), Some(other)) => {
                let (one, other) = (self.whereabouts(one).unwrap_or(COLLECTED), self.whereabouts(other).unwrap_or(COLLECTED));
                match (self.is_dead(one), self.is_dead(other)) {
                    (true, true) => COLLECTED,
                    (false, false) if one == other => one,
                    (false, false) if self.trust == Trust::Kept => one,
                    (false, false) => return Err(Refusal::new(9, RefusalCode::Schema, "neighbours with different parents")),
                    _ if self.trust == Trust::Kept => COLLECTED,
                    _ => return Err(Refusal::new(6, RefusalCode::Dead, "one neighbour is gone, the other is not")),
                }
            }
            (Some(id), None) | (None, Some(id)) => self.whereabouts(id).unwrap_or(COLLECTED),
            (None, None) => match self.parent(block)? {
                Ok(place) => place,
                Err(id) => return self.missing(id),
            },
        };
        // The first part is here: the rest must stand where that stands.
        if block.clock < known && self.trust == Trust::Outside {
            let here = self.whereabouts(Id { client, clock: known - 1 }).unwrap_or(COLLECTED);
            match (self.is_dead(here), self.is_dead(place)) {
                (true, true) => {}
                (false, false) if here == place => {}
                (false, false) => return Err(Refusal::new(9, RefusalCode::Schema, "its first part stands elsewhere")),
                _ => return Err(Refusal::new(6, RefusalCode::Dead, "its first part is gone, the rest is not")),
            }
        }
        if self.trust == Trust::Outside && place != COLLECTED {
            let same = self.by_origin.entry((block.origin, if block.origin.is_some() { 0 } else { place })).or_default();
            *same += 1;
            if *same > self.limits.same_origin_max {
                return Err(Refusal::new(1, RefusalCode::TooLarge, "more blocks at one origin than update_same_origin_max"));
            }
        }
        self.fits(place, block)
    }

    /// A block that is not here: either it comes later in this update, or this is a gap.
    fn missing(&self, id: Id) -> Result<Standing, Refusal> {
        if self.ends.get(&id.client).is_some_and(|end| id.clock < *end) {
            Ok(Standing::Waits(id))
        } else if self.trust == Trust::Kept {
            Ok(Standing::Dead)
        } else {
            Err(Refusal::new(6, RefusalCode::Gap, "names a block that is not here"))
        }
    }

    /// The place that a block names itself. `Err` inside: it names a block that is not here yet.
    fn parent(&mut self, block: &Block<'_>) -> Result<Result<PlaceId, Id>, Refusal> {
        let node = match block.parent {
            Parent::Root(name) => self.root(name)?,
            Parent::Block(id) => {
                let found = self.node_by_id.get(&id).or_else(|| self.index.node_by_id.get(&(id.client, id.clock))).copied();
                match (found, self.whereabouts(id)) {
                    (Some(node), _) => node,
                    (None, None) => return Ok(Err(id)),
                    // Deleted types are kept without saying what they were.
                    (None, Some(_)) if self.trust == Trust::Kept || self.is_deleted(id) => return Ok(Ok(COLLECTED)),
                    (None, Some(COLLECTED)) => return Ok(Ok(COLLECTED)),
                    (None, Some(_)) => return Err(Refusal::new(9, RefusalCode::Schema, "its parent is no type")),
                }
            }
            Parent::Neighbour => return Ok(Ok(COLLECTED)),
        };
        Ok(Ok(self.place_id(Place { node, key: block.key.map(Arc::from) })))
    }

    fn root(&mut self, name: &str) -> Result<NodeId, Refusal> {
        if let Some(node) = self.index.roots.get(name) {
            return Ok(*node);
        }
        let staged = self.nodes.iter().position(|new| matches!(&new.name, NodeName::Root(root) if &**root == name));
        if let Some(at) = staged {
            return Ok(node_id(self.index.nodes.len() + at));
        }
        // Every document has goals, but one that was made without any says so nowhere.
        let kind = Kind::of_root(name).filter(|kind| self.trust == Trust::Kept || *kind == Kind::Goals);
        let Some(kind) = kind else { return Err(Refusal::new(7, RefusalCode::Schema, "a root that this document does not have")) };
        let root = match kind {
            Kind::Meta => Root::Meta,
            Kind::Goals => Root::Goals,
            _ => Root::Section,
        };
        let node = Node { kind, place: None, depth: 0, root, dead: false };
        self.nodes.push(NewNode { node, name: NodeName::Root(name.into()) });
        Ok(node_id(self.index.nodes.len() + self.nodes.len() - 1))
    }

    /// Rules 7 and 9 for a block that stands here.
    fn fits(&self, place: PlaceId, block: &Block<'_>) -> Result<Standing, Refusal> {
        if self.is_dead(place) {
            return Ok(Standing::Dead);
        }
        let at = self.place(place);
        let node = self.node(at.node);
        let placed = node.kind.takes(at.key.as_deref(), block.content);
        if self.trust == Trust::Kept {
            return Ok(Standing::At(place, placed.unwrap_or(Placed::Content)));
        }
        if node.root == Root::Meta {
            return Err(Refusal::new(7, RefusalCode::Schema, "only the server writes here"));
        }
        if node.depth >= self.limits.type_depth_max {
            return Err(Refusal::new(3, RefusalCode::TooLarge, "nested deeper than type_depth_max"));
        }
        placed.map(|placed| Standing::At(place, placed)).ok_or(Refusal::new(9, RefusalCode::Schema, "content that does not fit its parent"))
    }

    /// Delete ranges lie inside what exists; what is newly deleted must be this peer's to delete (rule 7).
    fn deletes(&mut self, parsed: &Parsed<'_>) -> Result<(), Refusal> {
        let mut fresh = 0usize;
        for (client, ranges) in &parsed.deletes {
            let next = self.next(*client);
            let known = self.index.clients.get(client).map_or(&[][..], |known| &known.deleted);
            for range in ranges {
                if range.to > next && self.trust == Trust::Outside {
                    return Err(Refusal::new(6, RefusalCode::Gap, "deletes what is not here"));
                }
                for part in uncovered(known, *range) {
                    fresh += 1;
                    if fresh > self.limits.delete_ranges_max && self.trust == Trust::Outside {
                        return Err(Refusal::new(1, RefusalCode::TooLarge, "more delete ranges than update_delete_ranges_max"));
                    }
                    self.delete(*client, part)?;
                }
            }
        }
        Ok(())
    }

    /// A key has one value. One that is neither deleted nor the last would outlive the type it stands in, and yrs would read freed memory.
    fn outdated(&self, parsed: &Parsed<'_>) -> Result<(), Refusal> {
        for (client, range) in &self.outdated {
            let deleted = parsed.deletes.iter().find(|(other, _)| other == client).map_or(&[][..], |(_, ranges)| ranges);
            if !uncovered(deleted, *range).is_empty() {
                return Err(Refusal::new(9, RefusalCode::Schema, "several values under one key"));
            }
        }
        Ok(())
    }

    fn delete(&mut self, client: u64, range: Range) -> Result<(), Refusal> {
        let known = self.index.clients.get(&client).map_or(&[][..], |known| &known.runs);
        let staged = self.staged.get(&client).map_or(&[][..], |staged| &staged.runs);
        let touched = |runs: &[Run]| -> Vec<PlaceId> {
            runs[runs.partition_point(|run| run.to <= range.from)..]
                .iter()
                .take_while(|run| run.from < range.to)
                .map(|run| run.place)
                .collect()
        };
        // What stands in something deleted was deleted with it.
        let places: Vec<PlaceId> = touched(known).into_iter().chain(touched(staged)).filter(|place| !self.is_dead(*place)).collect();
        for place in &places {
            let root = self.node(self.place(*place).node).root;
            if root == Root::Meta && self.trust == Trust::Outside {
                return Err(Refusal::new(7, RefusalCode::Schema, "only the server deletes here"));
            }
            self.touches_goals |= root == Root::Goals;
        }
        if !places.is_empty() {
            self.deleted.push((client, range));
        }
        Ok(())
    }

    fn next(&self, client: u64) -> u32 {
        match self.staged.get(&client).map(Client::next) {
            Some(next) if next > 0 => next,
            _ => self.index.clients.get(&client).map_or(0, Client::next),
        }
    }

    fn whereabouts(&self, id: Id) -> Option<PlaceId> {
        let known = self.index.clients.get(&id.client).and_then(|known| known.place(id.clock));
        known.or_else(|| self.staged.get(&id.client).and_then(|staged| staged.place(id.clock)))
    }

    fn is_deleted(&self, id: Id) -> bool {
        self.index.clients.get(&id.client).is_some_and(|known| {
            let at = known.deleted.partition_point(|range| range.to <= id.clock);
            known.deleted.get(at).is_some_and(|range| range.from <= id.clock)
        })
    }

    fn place(&self, place: PlaceId) -> &Place {
        let known = self.index.places.len();
        let at = place as usize;
        if at < known { &self.index.places[at] } else { &self.places[at - known] }
    }

    fn node(&self, node: NodeId) -> Node {
        let known = self.index.nodes.len();
        let at = node as usize;
        if at < known { self.index.nodes[at] } else { self.nodes[at - known].node }
    }

    /// Is this place, or anything it stands in, deleted? Then what is in it is collected.
    fn is_dead(&self, place: PlaceId) -> bool {
        let mut at = Some(place);
        while let Some(place) = at {
            if place == COLLECTED {
                return true;
            }
            let node = self.node(self.place(place).node);
            if node.dead {
                return true;
            }
            at = node.place;
        }
        false
    }

    fn place_id(&mut self, place: Place) -> PlaceId {
        if let Some(id) = self.index.place_ids.get(&place).or_else(|| self.place_ids.get(&place)) {
            return *id;
        }
        let id = node_id(self.index.places.len() + self.places.len());
        self.place_ids.insert(place.clone(), id);
        self.places.push(place);
        id
    }

    fn new_node(&mut self, id: Id, kind: Kind, place: PlaceId) {
        let above = self.node(self.place(place).node);
        let node = Node { kind, place: Some(place), depth: above.depth + 1, root: above.root, dead: false };
        self.node_by_id.insert(id, node_id(self.index.nodes.len() + self.nodes.len()));
        self.nodes.push(NewNode { node, name: NodeName::Block(id) });
    }

    fn push(&mut self, client: u64, run: Run) {
        self.staged.entry(client).or_default().push(run);
        self.runs.push((client, run));
    }
}

const CYCLE: Refusal = Refusal::new(6, RefusalCode::Malformed, "blocks that name each other in a circle");

/// More blocks than this are applied in parts of this size. A block costs at most one walk along everything that stands in its place,
/// and honest ones hardly anything.
const PART_BLOCKS: usize = 16;
/// The end of an update in which nothing is deleted.
const NOTHING_DELETED: &[u8] = &[0];

/// Writes what is admitted of an update: without the blocks that are here already, and with the dead ones collected. Known blocks are
/// not harmless: Yjs looks up what they name, even if it then leaves them alone, so that a forged one would hold back or break off
/// what comes after it.
struct Rewriter<'a> {
    update: &'a Bytes,
    parsed: &'a Parsed<'a>,
    dead: HashSet<(usize, usize)>,
}

impl Rewriter<'_> {
    fn all(&self, known: &[usize]) -> Bytes {
        let new: Vec<(usize, usize, usize)> =
            self.parsed.sections.iter().zip(known).enumerate().map(|(at, (section, known))| (at, *known, section.blocks.len())).collect();
        self.write(&new, &self.update[self.parsed.deletes_at..])
    }

    /// In the order in which each block comes after what it names; what is deleted comes last. Empty if the update is short.
    fn parts(&self, order: &[(usize, usize, usize)], known: &[usize]) -> Vec<Bytes> {
        if order.iter().map(|(at, from, to)| to.saturating_sub((*from).max(known[*at]))).sum::<usize>() <= PART_BLOCKS {
            return Vec::new();
        }
        let mut parts = Vec::new();
        let mut part: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
        let mut left = PART_BLOCKS;
        for (at, from, to) in order {
            let mut from = (*from).max(known[*at]);
            while from < *to {
                let taken = left.min(to - from);
                part.entry(*at).or_insert((from, from)).1 = from + taken;
                from += taken;
                left -= taken;
                if left == 0 {
                    left = PART_BLOCKS;
                    parts.push(self.write(&stretches(&std::mem::take(&mut part)), NOTHING_DELETED));
                }
            }
        }
        parts.push(self.write(&stretches(&part), &self.update[self.parsed.deletes_at..]));
        parts
    }

    fn write(&self, stretches: &[(usize, usize, usize)], deletes: &[u8]) -> Bytes {
        let stretches = || stretches.iter().filter(|(_, from, to)| from < to);
        let mut out = BytesMut::new();
        put_varuint(&mut out, stretches().count() as u64);
        for (at, from, to) in stretches() {
            let section = &self.parsed.sections[*at];
            let blocks = &section.blocks[*from..*to];
            put_varuint(&mut out, blocks.len() as u64);
            put_varuint(&mut out, section.client);
            put_varuint(&mut out, u64::from(blocks[0].clock));
            for (position, block) in (*from..).zip(blocks) {
                if self.dead.contains(&(*at, position)) {
                    out.put_u8(0);
                    put_varuint(&mut out, u64::from(block.len));
                } else {
                    out.put_slice(&self.update[block.bytes.0..block.bytes.1]);
                }
            }
        }
        out.put_slice(deletes);
        out.freeze()
    }
}

fn stretches(part: &BTreeMap<usize, (usize, usize)>) -> Vec<(usize, usize, usize)> {
    part.iter().map(|(at, (from, to))| (*at, *from, *to)).collect()
}
