//! Where the words of comment threads stand while others write: an anchor stays on its words through rewording, splitting, merging and
//! moving; when all of them go, its thread is detached; when they come back, it finds them again, and never others.
//!
//! Of every field there is a mirror of its words. After each update the document tells which texts changed and how; from that follows
//! exactly which units stayed, went and came (`field`). For an anchor:
//!
//! - Units put strictly between two of its own belong to it; those put at its edges do not.
//! - Words that went and came alike in one update have moved (an editor that splits a paragraph deletes and inserts its end): the anchor
//!   goes with them. Of an anchor that was torn apart, the largest piece counts.
//! - Words that come back (undo, paste, a restored version) are known again because they are the same words *and came only now*: an
//!   equal passage that stood there all the time is somebody else's. Where that is not enough (short words, or several passages),
//!   what stood beside them has to fit; where it does not tell, the thread stays detached.
//! - What an anchor loses at its edges comes back to it in the same way.
//!
//! Without threads about words nothing of this costs anything. Called by `document`; knows no database and no clock.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use chrono::{DateTime, Utc};
use uuid::Uuid;
use yrs::{
    Assoc, BranchID, DeepObservable, Doc, ID, IndexedSequence, Map, MapRef, Nested, Out, ReadTxn, Transact, TransactionMut, WriteTxn,
    XmlElementRef, XmlFragment, XmlFragmentRef, XmlOut, XmlTextRef,
    branch::Branch,
    types::{Delta, Event, Events, PathSegment, TypeRef},
};

use crate::store::anchors::AnchorRow;

mod field;
mod position;

use field::{BREAK, Field, Flow, Kept, Piece, Step, Stretch};

/// Words are kept up to so many units: to be shown, and to be found again by. Longer ones are found again by their beginning.
pub const WORDS_MAX: usize = 2_000;
/// So many units on each side tell one passage from another.
const CONTEXT: usize = 40;
/// Words shorter than this are found again only where they stand beside the same as before.
const TELLING: usize = 8;
/// So many units beside the words have to be the same, on both sides together, unless everything that stood there is.
const CONTEXT_MIN: usize = 16;
/// So many lost edges are remembered.
const EDGES_MAX: usize = 64;
/// The least that a part of what came must have in common with what went to be the same words, moved.
const MOVED_MIN: usize = 4;
/// Pairing what is not exactly alike looks at so many units at most; a paste of a whole document must not hold everybody up.
const PAIRING_MAX: usize = 1 << 20;
/// And compares two that differ in several places only while they are short.
const ALIGNING_MAX: usize = 1 << 18;

/// Where the words of a document's threads stand.
#[derive(Default)]
pub struct Anchors {
    heard: Arc<Mutex<Heard>>,
    /// There are threads about words: the document is watched and mirrored.
    watching: bool,
    watching_goals: bool,
    fields: BTreeMap<Arc<str>, Field>,
    threads: BTreeMap<Uuid, Tracked>,
    /// Threads that are to be written: their first or last character is another one, or they were detached or found again.
    changed: BTreeSet<Uuid>,
}

/// What the document said of its last change.
#[derive(Debug, Default)]
struct Heard {
    texts: HashMap<ID, Vec<Step>>,
    /// In these fields, texts came or went.
    fields: BTreeSet<Arc<str>>,
    /// Fields may have come or gone.
    goals: bool,
}

impl Heard {
    fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.fields.is_empty() && !self.goals
    }
}

/// A thread's anchor.
#[derive(Debug)]
struct Tracked {
    field: Arc<str>,
    /// Where its words stand in the field; `None`: they are gone.
    stands: Option<Stretch>,
    /// What it was begun on, up to [`WORDS_MAX`].
    quote: Vec<u16>,
    /// That was all of it.
    whole: bool,
    /// The words when they were last seen, and what stood beside them. While they stand, only as of when it was last written.
    words: Vec<u16>,
    before: Vec<u16>,
    after: Vec<u16>,
    /// What it lost at its beginning and its end, outermost first.
    front: Vec<Vec<u16>>,
    back: Vec<Vec<u16>>,
    detached_at: Option<DateTime<Utc>>,
}

/// What a page has selected.
#[derive(Clone, Debug)]
pub struct Selection {
    /// The field.
    pub field: String,
    /// Relative position of the first character.
    pub start: Vec<u8>,
    /// Of the last.
    pub end: Vec<u8>,
    /// The words that the writer saw.
    pub quote: String,
}

/// Why a selection was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPlaced {
    /// No page makes such a selection.
    #[error("no page makes such a selection")]
    Forged,
    /// The words do not stand there any more.
    #[error("the words do not stand there any more")]
    Gone,
}

impl Anchors {
    /// The anchors of a document's threads as they were kept, over the document as it stood then.
    #[must_use]
    pub fn open(rows: &[AnchorRow], doc: &Doc) -> Self {
        let mut anchors = Self::default();
        for row in rows {
            anchors.take_in(row, doc);
        }
        anchors
    }

    /// A thread that was kept and is not known here yet.
    pub fn take_in(&mut self, row: &AnchorRow, doc: &Doc) {
        if self.threads.contains_key(&row.thread) {
            return;
        }
        self.watch(doc);
        let mut tracked = Tracked {
            field: row.field.as_deref().unwrap_or_default().into(),
            stands: None,
            quote: units(&row.quote),
            whole: row.whole,
            words: units(&row.words),
            before: units(&row.before),
            after: units(&row.after),
            front: Vec::new(),
            back: Vec::new(),
            detached_at: row.detached_at,
        };
        if let Some((start, end)) = &row.stands {
            let transaction = doc.transact();
            let stretch = self.stretch(&transaction, start, end).ok().flatten();
            // What is kept stands at the log's head. If it does not (a crash just after the thread was begun), its words tell.
            let words = stretch.and_then(|(field, stretch)| Some((field.clone(), trimmed(&self.fields.get(&field)?.text, stretch)?)));
            if let Some((field, stretch)) = words {
                (tracked.field, tracked.stands) = (field, Some(stretch));
                tracked.remember_edges(&self.fields);
            } else {
                self.changed.insert(row.thread);
                let everywhere: Vec<(Arc<str>, Stretch)> =
                    self.fields.iter().map(|(name, field)| (name.clone(), whole(&field.text))).collect();
                tracked.find_again(&self.fields, &everywhere);
            }
        }
        self.threads.insert(row.thread, tracked);
    }

    /// Anchors a new thread on a selection.
    pub fn place(&mut self, thread: Uuid, selection: &Selection, doc: &Doc) -> Result<AnchorRow, NotPlaced> {
        self.watch(doc);
        let transaction = doc.transact();
        let (name, stretch) = match self.stretch(&transaction, &selection.start, &selection.end)? {
            Some((field, stretch)) if *field == *selection.field => {
                let text = &self.fields[&field].text;
                let stretch = trimmed(text, stretch).filter(|found| same_words(&text[found.start..found.end], &selection.quote));
                (field, stretch)
            }
            Some(_) => return Err(NotPlaced::Forged),
            None => (selection.field.as_str().into(), None),
        };
        let text = &self.fields.get(&name).ok_or(NotPlaced::Gone)?.text;
        let stretch = stretch.or_else(|| only(text, &units(&selection.quote))).ok_or(NotPlaced::Gone)?;
        let mut tracked = Tracked {
            field: name,
            stands: Some(stretch),
            quote: cut(&text[stretch.start..stretch.end], WORDS_MAX).to_vec(),
            whole: stretch.end - stretch.start <= WORDS_MAX,
            words: Vec::new(),
            before: Vec::new(),
            after: Vec::new(),
            front: Vec::new(),
            back: Vec::new(),
            detached_at: None,
        };
        tracked.look(&self.fields);
        let row = tracked.row(thread, &self.fields, &transaction).ok_or(NotPlaced::Gone)?;
        self.threads.insert(thread, tracked);
        Ok(row)
    }

    /// Anchors a thread that knows only its quote, if that stands exactly once in the fields that `within` names.
    pub fn place_by_quote(&mut self, thread: Uuid, quote: &str, within: impl Fn(&str) -> bool, doc: &Doc) -> Option<AnchorRow> {
        self.watch(doc);
        let words = units(quote);
        let mut found = Vec::new();
        for (name, field) in self.fields.iter().filter(|(name, _)| within(name)) {
            found.extend(occurrences(&field.text, &words, whole(&field.text)).map(|start| (name.clone(), start)));
        }
        let [(name, start)] = &found[..] else { return None };
        let (name, stretch) = (name.clone(), trimmed(&self.fields[name].text, Stretch { start: *start, end: start + words.len() })?);
        let mut tracked = Tracked {
            field: name,
            stands: Some(stretch),
            quote: units(quote),
            whole: true,
            words: Vec::new(),
            before: Vec::new(),
            after: Vec::new(),
            front: Vec::new(),
            back: Vec::new(),
            detached_at: None,
        };
        tracked.look(&self.fields);
        let row = tracked.row(thread, &self.fields, &doc.transact());
        self.threads.insert(thread, tracked);
        row
    }

    /// The words that a thread stands on now; `None`: they are gone, or there is no such thread.
    #[must_use]
    pub fn words(&self, thread: Uuid) -> Option<String> {
        let tracked = self.threads.get(&thread)?;
        let stands = tracked.stands?;
        Some(text(&self.fields.get(&tracked.field)?.text[stands.start..stands.end]))
    }

    /// The document has taken in an update.
    pub fn after(&mut self, doc: &Doc) {
        if !self.watching {
            return;
        }
        if !self.watching_goals && doc.transact().get_map("goals").is_some() {
            self.watch_goals(&mut doc.transact_mut());
            self.heard().goals = true;
        }
        let heard = std::mem::take(&mut *self.heard());
        if heard.is_empty() {
            return;
        }
        let flows = self.flows(&doc.transact(), &heard);
        let moves = Moves::of(&flows, &self.fields);
        let fresh = moves.fresh(&flows);
        for (thread, tracked) in &mut self.threads {
            let was = tracked.stands.is_some();
            let changed = match flows.iter().find(|flow| was && flow.field == tracked.field) {
                Some(flow) => tracked.follow(flow, &flows, &moves, &self.fields),
                None => false,
            };
            let found = match tracked.stands {
                Some(_) => tracked.grow_back(&self.fields, &fresh),
                None => !fresh.is_empty() && tracked.find_again(&self.fields, &fresh),
            };
            if changed || found {
                self.changed.insert(*thread);
            }
        }
    }

    /// What is to be written since this was last asked, as it stands now.
    pub fn changes(&mut self, doc: &Doc, now: DateTime<Utc>) -> Vec<AnchorRow> {
        if self.changed.is_empty() {
            return Vec::new();
        }
        let transaction = doc.transact();
        let mut rows = Vec::new();
        for thread in std::mem::take(&mut self.changed) {
            let Some(tracked) = self.threads.get_mut(&thread) else { continue };
            if tracked.stands.is_some() {
                tracked.detached_at = None;
                tracked.look(&self.fields);
            } else {
                tracked.detached_at.get_or_insert(now);
            }
            rows.extend(tracked.row(thread, &self.fields, &transaction));
        }
        rows
    }

    /// One thread as it stands now.
    #[must_use]
    pub fn row(&self, thread: Uuid, doc: &Doc) -> Option<AnchorRow> {
        self.threads.get(&thread)?.row(thread, &self.fields, &doc.transact())
    }

    fn heard(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to watch and to mirror the document.
    fn watch(&mut self, doc: &Doc) {
        if self.watching {
            return;
        }
        self.watching = true;
        {
            let mut transaction = doc.transact_mut();
            let sections: Vec<Arc<str>> =
                transaction.root_refs().map(|(name, _)| name).filter(|name| name.starts_with("section:")).map(Arc::from).collect();
            for name in sections {
                // It is there already; this tells the library what it is.
                let fragment = transaction.get_or_insert_xml_fragment(name.clone());
                let heard = Arc::downgrade(&self.heard);
                fragment.observe_deep("anchors", move |transaction, events| listen(&heard, Some(&name), transaction, events));
            }
            if transaction.get_map("goals").is_some() {
                self.watch_goals(&mut transaction);
            }
        }
        let transaction = doc.transact();
        for (name, fragment) in fields_of(&transaction) {
            let mut field = Field { fragment: Some(AsRef::<Branch>::as_ref(&fragment).id()), ..Field::default() };
            field.rebuild(&name, &transaction, &field::pieces(&transaction, &fragment), &HashMap::new());
            self.fields.insert(name, field);
        }
    }

    fn watch_goals(&mut self, transaction: &mut TransactionMut<'_>) {
        let goals = transaction.get_or_insert_map("goals");
        let heard = Arc::downgrade(&self.heard);
        goals.observe_deep("anchors", move |transaction, events| listen(&heard, None, transaction, events));
        self.watching_goals = true;
    }

    /// Brings the mirrors up to date and tells what flowed.
    fn flows(&mut self, transaction: &impl ReadTxn, heard: &Heard) -> Vec<Flow> {
        let mut flows = Vec::new();
        let mut rebuilt: Vec<(Arc<str>, Vec<Piece>)> = Vec::new();
        if heard.goals {
            let found: BTreeMap<Arc<str>, XmlFragmentRef> = fields_of(transaction).into_iter().collect();
            let gone: Vec<Arc<str>> = self.fields.keys().filter(|name| !found.contains_key(*name)).cloned().collect();
            for name in gone {
                let mut field = self.fields.remove(&name).unwrap_or_default();
                flows.push(field.rebuild(&name, transaction, &[], &heard.texts));
            }
            for (name, fragment) in found {
                let field = self.fields.entry(name.clone()).or_default();
                let id = Some(AsRef::<Branch>::as_ref(&fragment).id());
                if field.fragment != id || heard.fields.contains(&name) {
                    field.fragment = id;
                    rebuilt.push((name, field::pieces(transaction, &fragment)));
                }
            }
        } else {
            for name in &heard.fields {
                let known = self.fields.get(name).and_then(|field| field.fragment.as_ref());
                if let Some(fragment) = known.and_then(|id| fragment(transaction, id)) {
                    rebuilt.push((name.clone(), field::pieces(transaction, &fragment)));
                }
            }
        }
        for (name, pieces) in &rebuilt {
            flows.push(self.fields.entry(name.clone()).or_default().rebuild(name, transaction, pieces, &heard.texts));
        }
        if !heard.texts.is_empty() {
            for (name, field) in &mut self.fields {
                if rebuilt.iter().all(|(done, _)| done != name) && field.leaves.iter().any(|leaf| heard.texts.contains_key(&leaf.id)) {
                    flows.push(field.write(name, &heard.texts));
                }
            }
        }
        flows
    }

    /// The field and the stretch between two positions. `Ok(None)`: what they name is not here.
    fn stretch(&self, transaction: &impl ReadTxn, start: &[u8], end: &[u8]) -> Result<Option<(Arc<str>, Stretch)>, NotPlaced> {
        let place = |bytes: &[u8], side: Assoc| {
            let position = position::decode(bytes).ok_or(NotPlaced::Forged)?;
            Ok(position::resolve(transaction, &position).and_then(|(branch, index)| self.place_in(transaction, &branch, index, side)))
        };
        let (Some((field, start)), Some((other, end))) = (place(start, Assoc::After)?, place(end, Assoc::Before)?) else { return Ok(None) };
        if field != other || start > end {
            return Err(NotPlaced::Forged);
        }
        Ok(Some((field, Stretch { start, end })))
    }

    /// The field and the place in its words of a place in the document: in a text, or between the children of an element.
    fn place_in(&self, transaction: &impl ReadTxn, branch: &BranchID, index: usize, side: Assoc) -> Option<(Arc<str>, usize)> {
        let in_leaf = |id: &ID| self.fields.iter().find_map(|(name, field)| Some((name, field.leaf(*id)?)));
        if let BranchID::Nested(id) = branch
            && let Some((name, leaf)) = in_leaf(id)
        {
            return Some((name.clone(), leaf.start + index.min(leaf.len)));
        }
        let children: Vec<XmlOut> = match branch {
            BranchID::Root(name) => root_fragment(transaction, name)?.children(transaction).collect(),
            BranchID::Nested(id) => children(transaction, *id)?,
        };
        let mut before = Vec::new();
        let mut after = Vec::new();
        for (at, child) in children.iter().enumerate() {
            leaves_under(transaction, child, if at < index { &mut before } else { &mut after });
        }
        let first_after = after.first().and_then(in_leaf).map(|(name, leaf)| (name.clone(), leaf.start));
        let last_before = before.last().and_then(in_leaf).map(|(name, leaf)| (name.clone(), leaf.start + leaf.len));
        match side {
            Assoc::After => first_after.or(last_before),
            Assoc::Before => last_before.or(first_after),
        }
    }
}

impl Tracked {
    /// Follows what became of its field. Answers whether its first or last character is another one, or all are gone.
    fn follow(&mut self, flow: &Flow, flows: &[Flow], moves: &Moves, fields: &BTreeMap<Arc<str>, Field>) -> bool {
        let Some(was) = self.stands else { return false };
        let from = flow.kept.partition_point(|kept| kept.old + kept.len <= was.start);
        let mut parts: Vec<Part> = part_of(&flow.field, flow.kept[from..].iter().copied(), was).into_iter().collect();
        let complete = parts.first().is_some_and(|part| part.old == was);
        if !complete {
            parts.extend(moves.parts(flow, was, flows));
        }
        let words = &flow.old[was.start..was.end];
        let Some(part) = largest(parts, fields) else {
            self.gone(flow, was);
            return true;
        };
        let text = &fields[&part.field].text;
        let Some(stands) = trimmed(text, part.new) else {
            self.gone(flow, was);
            return true;
        };
        lost(&mut self.front, &words[..part.old.start - was.start]);
        lost(&mut self.back, &words[part.old.end - was.start..]);
        (self.field, self.stands) = (part.field, Some(stands));
        !complete || stands != part.new
    }

    fn gone(&mut self, flow: &Flow, was: Stretch) {
        self.words = cut(&flow.old[was.start..was.end], WORDS_MAX).to_vec();
        (self.before, self.after) = beside(&flow.old, was);
        self.stands = None;
    }

    /// Looks at the words that it stands on, and beside them.
    fn look(&mut self, fields: &BTreeMap<Arc<str>, Field>) {
        if let (Some(stands), Some(field)) = (self.stands, fields.get(&self.field)) {
            self.words = cut(&field.text[stands.start..stands.end], WORDS_MAX).to_vec();
            (self.before, self.after) = beside(&field.text, stands);
        }
    }

    /// From a quote of which only a part still stands, the rest may come back.
    fn remember_edges(&mut self, fields: &BTreeMap<Arc<str>, Field>) {
        let (Some(stands), Some(field)) = (self.stands, fields.get(&self.field)) else { return };
        let words = &field.text[stands.start..stands.end];
        if let Some(part) = only(&self.quote, words) {
            lost(&mut self.front, &self.quote[..part.start]);
            lost(&mut self.back, &self.quote[part.end..]);
        }
    }

    /// What it lost at an edge has come back there.
    fn grow_back(&mut self, fields: &BTreeMap<Arc<str>, Field>, fresh: &[(Arc<str>, Stretch)]) -> bool {
        let (Some(mut stands), Some(field)) = (self.stands, fields.get(&self.field)) else { return false };
        if self.front.is_empty() && self.back.is_empty() {
            return false;
        }
        let came = |stretch: Stretch| {
            fresh.iter().any(|(name, fresh)| *name == self.field && fresh.start < stretch.end && stretch.start < fresh.end)
        };
        let mut grown = false;
        // Not only what was lost last: two who undo do so in their own order. What was lost nearer by comes back inside.
        let front = |start: usize, piece: &Vec<u16>| {
            let from = start.checked_sub(piece.len())?;
            (field.text[from..start] == piece[..] && came(Stretch { start: from, end: start })).then_some(from)
        };
        while let Some((at, start)) = self.front.iter().enumerate().rev().find_map(|(at, piece)| Some((at, front(stands.start, piece)?))) {
            (stands.start, grown) = (start, true);
            self.front.truncate(at);
        }
        let back = |end: usize, piece: &Vec<u16>| {
            let to = end + piece.len();
            (field.text.get(end..to)? == &piece[..] && came(Stretch { start: end, end: to })).then_some(to)
        };
        while let Some((at, end)) = self.back.iter().enumerate().rev().find_map(|(at, piece)| Some((at, back(stands.end, piece)?))) {
            (stands.end, grown) = (end, true);
            self.back.truncate(at);
        }
        if grown && let Some(stands) = trimmed(&field.text, stands) {
            self.stands = Some(stands);
        }
        grown
    }

    /// Looks for its words among what came.
    fn find_again(&mut self, fields: &BTreeMap<Arc<str>, Field>, fresh: &[(Arc<str>, Stretch)]) -> bool {
        let found = self.find(&self.words, fields, fresh).or_else(|| {
            // What it was begun on counts too: words may have been reworded, and then an older version comes back.
            if self.quote == self.words { None } else { self.find(&self.quote, fields, fresh) }
        });
        let Some((field, stands)) = found else { return false };
        if stands.end - stands.start == self.quote.len() && fields[&field].text[stands.start..stands.end] == self.quote[..] {
            (self.front, self.back) = (Vec::new(), Vec::new());
        }
        (self.field, self.stands) = (field, Some(stands));
        self.grow_back(fields, fresh);
        true
    }

    fn find(&self, words: &[u16], fields: &BTreeMap<Arc<str>, Field>, fresh: &[(Arc<str>, Stretch)]) -> Option<(Arc<str>, Stretch)> {
        let mut found = BTreeSet::new();
        for (name, stretch) in fresh {
            if let Some(field) = fields.get(name) {
                found.extend(occurrences(&field.text, words, *stretch).map(|start| (name.clone(), start)));
            }
        }
        let alone = || fields.values().flat_map(|field| occurrences(&field.text, words, whole(&field.text)).take(2)).count() == 1;
        let chosen = match found.len() {
            0 => return None,
            1 if words.len() >= TELLING && alone() => found.pop_first()?,
            _ => {
                let fits =
                    |(name, start): &(Arc<str>, usize)| self.fits(&fields[name].text, Stretch { start: *start, end: start + words.len() });
                let mut fitting: Vec<(usize, (Arc<str>, usize))> =
                    found.into_iter().filter_map(|place| Some((fits(&place)?, place))).collect();
                fitting.sort();
                let (most, best) = fitting.pop()?;
                if fitting.last().is_some_and(|(next, _)| *next == most) {
                    return None;
                }
                best
            }
        };
        let (name, start) = chosen;
        Some((name, Stretch { start, end: start + words.len() }))
    }

    /// How much of what stood beside the words stands beside these; `None`: too little to tell.
    fn fits(&self, text: &[u16], place: Stretch) -> Option<usize> {
        let same_before = text[..place.start].iter().rev().zip(self.before.iter().rev()).take_while(|(one, other)| one == other).count();
        let same_after = text[place.end..].iter().zip(&self.after).take_while(|(one, other)| one == other).count();
        // Nothing stood there: then nothing may.
        let all_before = same_before == self.before.len() && (!self.before.is_empty() || place.start == 0);
        let all_after = same_after == self.after.len() && (!self.after.is_empty() || place.end == text.len());
        let same = same_before + same_after;
        (same >= CONTEXT_MIN || (all_before && all_after)).then_some(same)
    }

    fn row(&self, thread: Uuid, fields: &BTreeMap<Arc<str>, Field>, transaction: &impl ReadTxn) -> Option<AnchorRow> {
        let stands = match self.stands {
            Some(stands) => {
                let field = fields.get(&self.field)?;
                let first = character(transaction, field, stands.start)?;
                let last = character(transaction, field, stands.end - 1)?;
                Some((position::before(first), position::after(last)))
            }
            None => None,
        };
        Some(AnchorRow {
            thread,
            field: (!self.field.is_empty()).then(|| self.field.to_string()),
            detached_at: if stands.is_some() { None } else { self.detached_at },
            stands,
            quote: text(&self.quote),
            whole: self.whole,
            words: text(&self.words),
            before: text(&self.before),
            after: text(&self.after),
        })
    }
}

/// A part of an anchor's words and where it stands now.
#[derive(Clone, Debug)]
struct Part {
    field: Arc<str>,
    old: Stretch,
    new: Stretch,
    /// So many of the anchor's units are in it.
    weight: usize,
}

/// From the first to the last unit that is still there: what was put between them belongs.
fn part_of(field: &Arc<str>, kept: impl Iterator<Item = Kept>, was: Stretch) -> Option<Part> {
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

/// The largest of the parts, after those that stand side by side have become one. Of equal ones the first.
fn largest(mut parts: Vec<Part>, fields: &BTreeMap<Arc<str>, Field>) -> Option<Part> {
    parts.sort_by(|one, other| (&one.field, one.new.start).cmp(&(&other.field, other.new.start)));
    let mut joined: Vec<Part> = Vec::new();
    for part in parts {
        let beside = |last: &Part| {
            let between = fields.get(&part.field).and_then(|field| field.text.get(last.new.end..part.new.start));
            last.field == part.field
                && (part.new.start <= last.new.end || between.is_some_and(|text| text.iter().all(|unit| *unit == BREAK)))
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
struct Moves {
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
    fn of(flows: &[Flow], fields: &BTreeMap<Arc<str>, Field>) -> Self {
        let all = |of: fn(&Flow) -> &[Stretch]| -> Vec<(usize, Stretch)> {
            flows.iter().enumerate().flat_map(|(at, flow)| of(flow).iter().map(move |stretch| (at, *stretch))).collect()
        };
        let (went, came) = (all(|flow| &flow.dropped), all(|flow| &flow.put));
        if went.is_empty() || came.is_empty() {
            return Self { moved: Vec::new(), came };
        }
        Pairing { flows, fields, moves: Self { moved: Vec::new(), came }, budget: PAIRING_MAX }.pair(went)
    }

    /// What of these words of a field moved, and where it stands now.
    fn parts(&self, flow: &Flow, was: Stretch, flows: &[Flow]) -> Vec<Part> {
        let here = self.moved.iter().filter(|moved| flows[moved.from_flow].field == flow.field);
        here.filter_map(|moved| {
            let kept = moved.stretches.iter().map(|(old, new, len)| Kept { old: *old, new: *new, len: *len });
            part_of(&flows[moved.to_flow].field, kept, was)
        })
        .collect()
    }

    /// What came and had not been there before.
    fn fresh(&self, flows: &[Flow]) -> Vec<(Arc<str>, Stretch)> {
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

    fn pair(mut self, went: Vec<(usize, Stretch)>) -> Moves {
        let mut alike: HashMap<&[u16], VecDeque<usize>> = HashMap::new();
        let flows = self.flows;
        for (at, (flow, stretch)) in self.moves.came.iter().enumerate() {
            alike.entry(self.words(*flow, *stretch)).or_default().push_back(at);
        }
        let mut taken = HashSet::new();
        let mut rest = Vec::new();
        for (flow, stretch) in went {
            match alike.get_mut(&flows[flow].old[stretch.start..stretch.end]).and_then(VecDeque::pop_front) {
                Some(at) => {
                    let (to_flow, to) = self.moves.came[at];
                    let len = stretch.end - stretch.start;
                    self.moves.moved.push(Moved { from_flow: flow, to_flow, stretches: vec![(stretch.start, to.start, len)] });
                    taken.insert(at);
                }
                None => rest.push((flow, stretch)),
            }
        }
        let mut at = 0..;
        self.moves.came.retain(|_| !taken.contains(&at.next().unwrap_or_default()));
        rest.sort_by_key(|(_, stretch)| std::cmp::Reverse(stretch.end - stretch.start));
        for (flow, stretch) in rest {
            self.pair_partly(flow, stretch);
        }
        self.moves
    }

    fn pair_partly(&mut self, from_flow: usize, went: Stretch) {
        let words = &self.flows[from_flow].old[went.start..went.end];
        for at in 0..self.moves.came.len() {
            let (to_flow, came) = self.moves.came[at];
            let Some(left) = self.budget.checked_sub(words.len() + (came.end - came.start)) else { return };
            self.budget = left;
            let parts = aligned(words, self.words(to_flow, came));
            if parts.is_empty() {
                continue;
            }
            self.moves.came.remove(at);
            let stretches: Vec<(usize, usize, usize)> =
                parts.into_iter().map(|(went_at, came_at, len)| (went.start + went_at, came.start + came_at, len)).collect();
            let mut from = came.start;
            for (_, to, len) in stretches.iter().copied().chain([(0, came.end, 0)]) {
                self.moves.came.extend((from < to).then_some((to_flow, Stretch { start: from, end: to })));
                from = to + len;
            }
            self.moves.moved.push(Moved { from_flow, to_flow, stretches });
            return;
        }
    }
}

/// What two stretches of words have in common: places in both, and how long, in order.
fn aligned(one: &[u16], other: &[u16]) -> Vec<(usize, usize, usize)> {
    if one.len().min(other.len()) < MOVED_MIN {
        return Vec::new();
    }
    if let Some(at) = occurrences(other, one, whole(other)).next() {
        return vec![(0, at, one.len())];
    }
    if let Some(at) = occurrences(one, other, whole(one)).next() {
        return vec![(at, 0, other.len())];
    }
    let mut parts = Vec::new();
    if one.len().saturating_mul(other.len()) <= ALIGNING_MAX {
        common_parts(one, other, (0, 0), &mut parts);
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

/// Hears what an update did: in which texts it wrote, and in which fields texts came or went.
fn listen(heard: &Weak<Mutex<Heard>>, section: Option<&Arc<str>>, transaction: &TransactionMut<'_>, events: &Events<'_>) {
    let Some(heard) = heard.upgrade() else { return };
    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
    for event in events.iter() {
        match event {
            Event::XmlText(event) => {
                let BranchID::Nested(id) = AsRef::<Branch>::as_ref(event.target()).id() else { continue };
                let steps: Vec<Step> = event.delta(transaction).iter().map(step).collect();
                if steps.iter().any(|step| !matches!(step, Step::Keep(_))) {
                    heard.texts.insert(id, steps);
                }
            }
            Event::XmlFragment(event) => match section.cloned().or_else(|| field_name(&event.path())) {
                Some(name) => drop(heard.fields.insert(name)),
                None => heard.goals = true,
            },
            _ => heard.goals = true,
        }
    }
}

fn step(delta: &Delta) -> Step {
    match delta {
        Delta::Retain(len, _) => Step::Keep(*len as usize),
        Delta::Deleted(len) => Step::Drop(*len as usize),
        Delta::Inserted(inserted, _) => {
            let mut words = Vec::new();
            field::put(&mut words, inserted);
            Step::Put(words)
        }
    }
}

/// The keys under which a goal has items of its own, and what one of them is called.
const ITEMS: [(&str, &str); 3] = [("actions", "action"), ("indicators", "indicator"), ("links", "link")];

/// The field that a change within `goals` was in.
fn field_name(path: &VecDeque<PathSegment>) -> Option<Arc<str>> {
    let keys: Vec<&str> = path
        .iter()
        .map_while(|segment| match segment {
            PathSegment::Key(key) => Some(&**key),
            PathSegment::Index(_) => None,
        })
        .collect();
    match keys[..] {
        [goal, field] => Some(format!("goal:{goal}:{field}").into()),
        [goal, items, item, field] => {
            let (_, one) = ITEMS.iter().find(|(key, _)| *key == items)?;
            Some(format!("goal:{goal}:{one}:{item}:{field}").into())
        }
        _ => None,
    }
}

/// Every field of the document. An id with a colon in it, which no page makes, names no field.
fn fields_of(transaction: &impl ReadTxn) -> Vec<(Arc<str>, XmlFragmentRef)> {
    let names = transaction.root_refs().map(|(name, _)| name).filter(|name| name.starts_with("section:"));
    let mut fields: Vec<(Arc<str>, XmlFragmentRef)> =
        names.filter_map(|name| Some((name.into(), root_fragment(transaction, name)?))).collect();
    let Some(goals) = transaction.get_map("goals") else { return fields };
    for (id, goal) in maps(transaction, &goals) {
        fragments(transaction, &format!("goal:{id}"), &goal, &mut fields);
        for (key, one) in ITEMS {
            let Some(Out::YMap(items)) = goal.get(transaction, key) else { continue };
            for (item, map) in maps(transaction, &items) {
                fragments(transaction, &format!("goal:{id}:{one}:{item}"), &map, &mut fields);
            }
        }
    }
    fields
}

fn maps<'t>(transaction: &'t impl ReadTxn, map: &'t MapRef) -> impl Iterator<Item = (&'t str, MapRef)> {
    map.iter(transaction).filter(|(id, _)| !id.contains(':')).filter_map(|(id, value)| match value {
        Out::YMap(inner) => Some((id, inner)),
        _ => None,
    })
}

fn fragments(transaction: &impl ReadTxn, name: &str, map: &MapRef, fields: &mut Vec<(Arc<str>, XmlFragmentRef)>) {
    fields.extend(map.iter(transaction).filter_map(|(key, value)| match value {
        Out::YXmlFragment(fragment) => Some((format!("{name}:{key}").into(), fragment)),
        _ => None,
    }));
}

fn root_fragment(transaction: &impl ReadTxn, name: &str) -> Option<XmlFragmentRef> {
    if name.starts_with("section:") { transaction.get_xml_fragment(name) } else { None }
}

/// The fragment of a field that was seen before.
fn fragment(transaction: &impl ReadTxn, id: &BranchID) -> Option<XmlFragmentRef> {
    match id {
        BranchID::Root(name) => root_fragment(transaction, name),
        BranchID::Nested(id) => Nested::new(*id).get(transaction),
    }
}

/// What stands in an element or a fragment.
fn children(transaction: &impl ReadTxn, id: ID) -> Option<Vec<XmlOut>> {
    let element: XmlElementRef = Nested::new(id).get(transaction)?;
    match AsRef::<Branch>::as_ref(&element).type_ref() {
        TypeRef::XmlElement(_) | TypeRef::XmlFragment => Some(element.children(transaction).collect()),
        _ => None,
    }
}

fn leaves_under(transaction: &impl ReadTxn, node: &XmlOut, leaves: &mut Vec<ID>) {
    match node {
        XmlOut::Element(element) if element.try_tag().is_none_or(|tag| &**tag != "hard_break") => {
            element.children(transaction).for_each(|child| leaves_under(transaction, &child, leaves));
        }
        leaf => {
            if let BranchID::Nested(id) = leaf.id() {
                leaves.push(id);
            }
        }
    }
}

/// The character at this place.
fn character(transaction: &impl ReadTxn, field: &Field, place: usize) -> Option<ID> {
    let (leaf, offset) = field.at(place)?;
    let text: XmlTextRef = Nested::new(leaf).get(transaction)?;
    text.sticky_index(transaction, u32::try_from(offset).ok()?, Assoc::After)?.id().copied()
}

/// Remembers what was lost at an edge.
fn lost(edge: &mut Vec<Vec<u16>>, words: &[u16]) {
    if !words.is_empty() {
        edge.push(words.to_vec());
    }
    while edge.len() > EDGES_MAX || edge.iter().map(Vec::len).sum::<usize>() > WORDS_MAX {
        edge.remove(0);
    }
}

/// What stands beside a stretch.
fn beside(text: &[u16], stretch: Stretch) -> (Vec<u16>, Vec<u16>) {
    let before = &text[stretch.start.saturating_sub(CONTEXT)..stretch.start];
    let after = &text[stretch.end..text.len().min(stretch.end + CONTEXT)];
    (before.to_vec(), after.to_vec())
}

/// The stretch without line breaks at its ends; `None` when there is no word in it.
fn trimmed(text: &[u16], stretch: Stretch) -> Option<Stretch> {
    let words = text.get(stretch.start..stretch.end)?;
    if words.iter().all(|unit| char::from_u32((*unit).into()).is_some_and(char::is_whitespace)) {
        return None;
    }
    let before = words.iter().take_while(|unit| **unit == BREAK).count();
    let after = words.iter().rev().take_while(|unit| **unit == BREAK).count();
    Some(Stretch { start: stretch.start + before, end: stretch.end - after })
}

/// The only place where these words stand.
fn only(text: &[u16], words: &[u16]) -> Option<Stretch> {
    let mut found = occurrences(text, words, whole(text));
    match (found.next(), found.next()) {
        (Some(start), None) => trimmed(text, Stretch { start, end: start + words.len() }),
        _ => None,
    }
}

fn whole(text: &[u16]) -> Stretch {
    Stretch { start: 0, end: text.len() }
}

/// Where these words stand in a text so that they share something with a stretch. Linear in both, whatever they are
/// (Knuth, Morris and Pratt).
fn occurrences<'t>(text: &'t [u16], words: &'t [u16], sharing: Stretch) -> impl Iterator<Item = usize> + 't {
    let reach = words.len().saturating_sub(1);
    let from = sharing.start.saturating_sub(reach);
    let to = if words.is_empty() || sharing.start >= sharing.end { from } else { text.len().min(sharing.end + reach) };
    let worth_it = to - from >= words.len();
    let fallback = if worth_it { fallbacks(words) } else { Vec::new() };
    let mut matched = 0;
    text[from..if worth_it { to } else { from }].iter().zip(from..).filter_map(move |(unit, at)| {
        while matched > 0 && (matched == words.len() || words[matched] != *unit) {
            matched = fallback[matched - 1];
        }
        matched += usize::from(words[matched] == *unit);
        (matched == words.len()).then(|| at + 1 - words.len())
    })
}

/// For each beginning of the words, how long the longest shorter beginning is that it also ends with.
fn fallbacks(words: &[u16]) -> Vec<usize> {
    let mut fallback = vec![0; words.len()];
    let mut matched = 0;
    for at in 1..words.len() {
        while matched > 0 && words[matched] != words[at] {
            matched = fallback[matched - 1];
        }
        matched += usize::from(words[matched] == words[at]);
        fallback[at] = matched;
    }
    fallback
}

/// The same words, however they are spaced?
fn same_words(words: &[u16], quote: &str) -> bool {
    let words = String::from_utf16_lossy(words);
    let mut quoted = quote.split_whitespace().peekable();
    quoted.peek().is_some() && words.split_whitespace().eq(quoted)
}

/// The beginning of words that are longer than this; never half a character.
fn cut(words: &[u16], max: usize) -> &[u16] {
    let half = words.len() > max && (0xd800..0xdc00).contains(&words[max - 1]);
    &words[..words.len().min(max - usize::from(half))]
}

fn units(text: &str) -> Vec<u16> {
    cut(&text.encode_utf16().collect::<Vec<_>>(), WORDS_MAX).to_vec()
}

/// As PostgreSQL can keep it: every character but one.
fn text(words: &[u16]) -> String {
    String::from_utf16_lossy(words).replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests;
