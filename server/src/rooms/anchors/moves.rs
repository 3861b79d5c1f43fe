//! What moved in one update: words that went and came. An editor that splits, joins or moves a paragraph deletes words and inserts them
//! again; what stayed of an anchor and what moved of it are its parts, and the largest is where it stands.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use super::{
    field::{BREAK, Field, Flow, Kept, Lump, Stretch},
    passages::part_at,
};

/// The least that a part of what came must have in common with what went to be the same words, moved, unless it is all of both.
pub(super) const MOVED_MIN: usize = 8;
/// Pairing what is not exactly alike looks at so many units at most; a paste of a whole document must not hold everybody up.
const PAIRING_MAX: usize = 1 << 20;
/// And compares two that differ in several places only while they are short.
const ALIGNING_MAX: usize = 1 << 18;

/// A part of an anchor's words and where it stands now.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub field: Arc<str>,
    pub old: Stretch,
    pub new: Stretch,
    /// So many of the anchor's units are in it.
    weight: usize,
}

/// From the first to the last unit that is still there: what was put between them belongs.
pub(super) fn part_of(field: &Arc<str>, kept: impl Iterator<Item = Kept>, was: Stretch) -> Option<Part> {
    let mut part: Option<Part> = None;
    for kept in kept.filter(|kept| kept.old + kept.len > was.start).take_while(|kept| kept.old < was.end) {
        let (start, end) = (kept.old.max(was.start), (kept.old + kept.len).min(was.end));
        let new = Stretch { start: kept.new + (start - kept.old), end: kept.new + (end - kept.old) };
        let part = part.get_or_insert_with(|| Part { field: field.clone(), old: Stretch { start, end }, new, weight: 0 });
        (part.old.end, part.new.end) = (end, new.end);
        part.weight += end - start;
    }
    part
}

/// The largest of the parts, after those that stand side by side, or with nothing between them but what has just come, have become one.
/// Of equal ones the first.
pub(super) fn largest(mut parts: Vec<Part>, fields: &BTreeMap<Arc<str>, Field>, fresh: &[(Arc<str>, Stretch)]) -> Option<Part> {
    parts.sort_by(|one, other| (&one.field, one.new.start).cmp(&(&other.field, other.new.start)));
    let mut joined: Vec<Part> = Vec::new();
    for part in parts {
        let came = |at: usize| fresh.iter().any(|(field, stretch)| *field == part.field && (stretch.start..stretch.end).contains(&at));
        let beside = |last: &Part| {
            let between = last.new.end..part.new.start;
            let text = || fields.get(&part.field).and_then(|field| field.text.get(between.clone())).unwrap_or_default();
            last.field == part.field
                && (between.is_empty() || text().iter().zip(between.clone()).all(|(unit, at)| *unit == BREAK || came(at)))
        };
        match joined.last_mut().filter(|last| beside(last)) {
            Some(last) => {
                last.new.end = last.new.end.max(part.new.end);
                last.old = Stretch { start: last.old.start.min(part.old.start), end: last.old.end.max(part.old.end) };
                last.weight += part.weight;
            }
            None => joined.push(part),
        }
    }
    joined.into_iter().max_by(|one, other| one.weight.cmp(&other.weight).then_with(|| other.old.start.cmp(&one.old.start)))
}

/// What went and came alike in one update.
#[derive(Debug)]
pub(super) struct Moves {
    moved: Vec<Moved>,
    /// What came and had not been there before, by flow.
    came: Vec<(usize, Stretch)>,
}

/// Words that moved.
#[derive(Debug)]
struct Moved {
    from_flow: usize,
    to_flow: usize,
    /// Where the stretches stood, where they stand now, and how long they are, in order, with something new or lost between them.
    stretches: Vec<(usize, usize, usize)>,
}

impl Moves {
    /// Pairs what went with what came: first what is exactly alike, then what is a part of something larger or grew in between.
    pub fn of(flows: &[Flow], fields: &BTreeMap<Arc<str>, Field>) -> Self {
        let all = |of: fn(&Flow) -> &[Lump]| -> Vec<(usize, Lump)> {
            flows.iter().enumerate().flat_map(|(at, flow)| of(flow).iter().map(move |lump| (at, *lump))).collect()
        };
        let (went, came) = (all(|flow| &flow.dropped), all(|flow| &flow.put));
        let moves = Self { moved: Vec::new(), came: Vec::new() };
        Pairing { flows, fields, moves, budget: PAIRING_MAX }.pair(&went, &came)
    }

    /// What of these words of a field moved, and where it stands now.
    pub fn parts(&self, flow: &Flow, was: Stretch, flows: &[Flow]) -> Vec<Part> {
        let here = self.moved.iter().filter(|moved| flows[moved.from_flow].field == flow.field);
        here.filter_map(|moved| {
            let kept = moved.stretches.iter().map(|(old, new, len)| Kept { old: *old, new: *new, len: *len });
            part_of(&flows[moved.to_flow].field, kept, was)
        })
        .collect()
    }

    /// What came and had not been there before.
    pub fn fresh(&self, flows: &[Flow]) -> Vec<(Arc<str>, Stretch)> {
        self.came.iter().map(|(flow, stretch)| (flows[*flow].field.clone(), *stretch)).collect()
    }
}

/// Pairing what went with what came; it stops when the budget of units to look at is used up.
struct Pairing<'f> {
    flows: &'f [Flow],
    fields: &'f BTreeMap<Arc<str>, Field>,
    moves: Moves,
    budget: usize,
}

impl<'f> Pairing<'f> {
    /// The words that came.
    fn words(&self, flow: usize, came: Stretch) -> &'f [u16] {
        &self.fields[&self.flows[flow].field].text[came.start..came.end]
    }

    fn pair(mut self, went: &[(usize, Lump)], came: &[(usize, Lump)]) -> Moves {
        let mut alike: HashMap<&[u16], Vec<usize>> = HashMap::new();
        let flows = self.flows;
        if !went.is_empty() {
            for (at, (flow, lump)) in came.iter().enumerate() {
                alike.entry(self.words(*flow, lump.stretch)).or_default().push(at);
            }
        }
        let mut taken = HashSet::new();
        let mut rest = Vec::new();
        for (flow, Lump { stretch, whole }) in went.iter().copied() {
            let len = stretch.end - stretch.start;
            // A few letters deleted here and the same typed there are no move.
            let moves = |to: &usize| len >= MOVED_MIN || whole || came[*to].1.whole;
            let same = alike.get_mut(&flows[flow].old[stretch.start..stretch.end]);
            match same.and_then(|same| same.iter().position(moves).map(|at| same.remove(at))) {
                Some(at) => {
                    let (to_flow, to) = came[at];
                    self.moves.moved.push(Moved { from_flow: flow, to_flow, stretches: vec![(stretch.start, to.stretch.start, len)] });
                    taken.insert(at);
                }
                None => rest.push((flow, stretch)),
            }
        }
        let fresh = came.iter().enumerate().filter(|(at, _)| !taken.contains(at));
        self.moves.came = fresh.map(|(_, (flow, lump))| (*flow, lump.stretch)).collect();
        // The longest first; what of it did not come with the first of them may have come with another.
        rest.sort_by_key(|(_, stretch)| stretch.end - stretch.start);
        while let Some((flow, stretch)) = rest.pop() {
            rest.extend(self.pair_partly(flow, stretch).into_iter().map(|left| (flow, left)));
        }
        self.moves
    }

    /// Pairs a stretch that went with the first of those that came which has enough of it. Answers what is left of it.
    fn pair_partly(&mut self, from_flow: usize, went: Stretch) -> Vec<Stretch> {
        let words = &self.flows[from_flow].old[went.start..went.end];
        for at in 0..self.moves.came.len() {
            let (to_flow, came) = self.moves.came[at];
            let Some(left) = self.budget.checked_sub(words.len() + (came.end - came.start)) else { return Vec::new() };
            self.budget = left;
            let parts = aligned(words, self.words(to_flow, came));
            if parts.is_empty() {
                continue;
            }
            self.moves.came.remove(at);
            let stretches: Vec<(usize, usize, usize)> =
                parts.into_iter().map(|(went_at, came_at, len)| (went.start + went_at, came.start + came_at, len)).collect();
            let fresh = between(came, stretches.iter().map(|(_, to, len)| Stretch { start: *to, end: to + len }));
            self.moves.came.extend(fresh.into_iter().map(|stretch| (to_flow, stretch)));
            let left = between(went, stretches.iter().map(|(from, _, len)| Stretch { start: *from, end: from + len }));
            self.moves.moved.push(Moved { from_flow, to_flow, stretches });
            return left;
        }
        Vec::new()
    }
}

/// What of a stretch these, in order, leave out.
fn between(all: Stretch, parts: impl Iterator<Item = Stretch>) -> Vec<Stretch> {
    let mut from = all.start;
    let mut left = Vec::new();
    for part in parts.chain([Stretch { start: all.end, end: all.end }]) {
        left.extend((from < part.start).then_some(Stretch { start: from, end: part.start }));
        from = part.end;
    }
    left
}

/// What two stretches of words have in common: places in both, and how long, in order. Less than half of the shorter is chance: what
/// somebody wrote elsewhere meanwhile has a few letters in common with what they deleted.
fn aligned(one: &[u16], other: &[u16]) -> Vec<(usize, usize, usize)> {
    if one.len().min(other.len()) < MOVED_MIN {
        return Vec::new();
    }
    if let Some(at) = part_at(one, other) {
        return vec![(0, at, one.len())];
    }
    if let Some(at) = part_at(other, one) {
        return vec![(at, 0, other.len())];
    }
    let mut parts = Vec::new();
    if one.len().saturating_mul(other.len()) <= ALIGNING_MAX {
        common_parts(one, other, (0, 0), &mut parts);
    }
    let common: usize = parts.iter().map(|(.., len)| len).sum();
    if common * 2 < one.len().min(other.len()) {
        parts.clear();
    }
    parts
}

/// The longest part that both have, and what stands before and after it in the same way.
fn common_parts(one: &[u16], other: &[u16], (one_at, other_at): (usize, usize), parts: &mut Vec<(usize, usize, usize)>) {
    let (mut longest, mut row) = ((0, 0, 0), vec![0; other.len() + 1]);
    for (at, unit) in one.iter().enumerate() {
        for (there, same) in other.iter().enumerate().rev() {
            row[there + 1] = if unit == same { row[there] + 1 } else { 0 };
            if row[there + 1] > longest.2 {
                longest = (at + 1 - row[there + 1], there + 1 - row[there + 1], row[there + 1]);
            }
        }
    }
    let (here, there, len) = longest;
    if len < MOVED_MIN {
        return;
    }
    common_parts(&one[..here], &other[..there], (one_at, other_at), parts);
    parts.push((one_at + here, other_at + there, len));
    common_parts(&one[here + len..], &other[there + len..], (one_at + here + len, other_at + there + len), parts);
}
