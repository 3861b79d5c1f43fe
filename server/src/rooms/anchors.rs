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
//!   what stood beside them has to fit; where it does not tell, the thread stays detached. How they are broken into paragraphs is no
//!   part of the words: an undo may bring back in two what was deleted as one.
//! - What an anchor loses at its edges comes back to it in the same way.
//! - Words that a thread proposes, put in place of its own, are its own from then on.
//!
//! Without threads about words nothing of this costs anything. Called by `document`; knows no database and no clock.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
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
mod moves;
mod passages;
mod position;

use field::{BREAK, Field, Flow, Piece, Step, Stretch};
use moves::{Moves, Part, largest, part_of};
use passages::{among, begins_before, come, cut, ends_after, occurrences, only, same_words, text, trimmed, unbroken, units, whole};

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
#[derive(Debug, Default)]
struct Tracked {
    field: Arc<str>,
    /// Where its words stand in the field; `None`: they are gone.
    stands: Option<Stretch>,
    /// What it was begun on, up to [`WORDS_MAX`].
    quote: Vec<u16>,
    /// The words that it proposes in their place, if it does.
    proposal: Option<Vec<u16>>,
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
    /// What the writer proposes in their place.
    pub proposal: Option<String>,
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
            quote: units(&row.quote),
            proposal: row.proposal.as_deref().map(units),
            whole: row.whole,
            words: units(&row.words),
            before: units(&row.before),
            after: units(&row.after),
            detached_at: row.detached_at,
            ..Tracked::default()
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
            proposal: selection.proposal.as_deref().map(units),
            whole: stretch.end - stretch.start <= WORDS_MAX,
            ..Tracked::default()
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
            found.extend(occurrences(&field.text, &words, whole(&field.text)).map(|stretch| (name.clone(), stretch)));
        }
        let [(name, stretch)] = &found[..] else { return None };
        let stands = Some(trimmed(&self.fields[name].text, *stretch)?);
        let mut tracked = Tracked { field: name.clone(), stands, quote: units(quote), whole: true, ..Tracked::default() };
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
                Some(flow) => tracked.follow(flow, &flows, &moves, &self.fields, &fresh),
                None => false,
            };
            let found = match tracked.stands {
                _ if fresh.is_empty() => false,
                Some(_) => tracked.grow_back(&self.fields, &fresh),
                None => tracked.find_again(&self.fields, &fresh),
            };
            let replaced = !found && tracked.is_replaced(&self.fields, &fresh);
            if changed || found || replaced {
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
    fn follow(
        &mut self,
        flow: &Flow,
        flows: &[Flow],
        moves: &Moves,
        fields: &BTreeMap<Arc<str>, Field>,
        fresh: &[(Arc<str>, Stretch)],
    ) -> bool {
        let Some(was) = self.stands else { return false };
        let from = flow.kept.partition_point(|kept| kept.old + kept.len <= was.start);
        let mut parts: Vec<Part> = part_of(&flow.field, flow.kept[from..].iter().copied(), was).into_iter().collect();
        let complete = parts.first().is_some_and(|part| part.old == was);
        parts.extend(moves.parts(flow, was, flows));
        let whole = complete && parts.len() == 1;
        let words = &flow.old[was.start..was.end];
        let Some(part) = largest(parts, fields, fresh) else {
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
        !whole || stands != part.new
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
        let came = |stretch: Stretch| fresh.iter().any(|(name, fresh)| *name == self.field && fresh.meets(stretch));
        let mut grown = false;
        // Not only what was lost last: two who undo do so in their own order. What was lost nearer by comes back inside.
        let front = |start: usize, piece: &Vec<u16>| {
            let from = begins_before(&field.text, start, piece)?;
            came(Stretch { start: from, end: start }).then_some(from)
        };
        while let Some((at, start)) = self.front.iter().enumerate().rev().find_map(|(at, piece)| Some((at, front(stands.start, piece)?))) {
            (stands.start, grown) = (start, true);
            self.front.truncate(at);
        }
        let back = |end: usize, piece: &Vec<u16>| {
            let to = ends_after(&field.text, end, piece)?;
            came(Stretch { start: end, end: to }).then_some(to)
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
        if unbroken(&fields[&field].text[stands.start..stands.end]).eq(unbroken(&self.quote)) {
            (self.front, self.back) = (Vec::new(), Vec::new());
        }
        (self.field, self.stands) = (field, Some(stands));
        self.grow_back(fields, fresh);
        true
    }

    fn find(&self, words: &[u16], fields: &BTreeMap<Arc<str>, Field>, fresh: &[(Arc<str>, Stretch)]) -> Option<(Arc<str>, Stretch)> {
        let mut found = come(words, fields, fresh);
        let alone = || fields.values().flat_map(|field| occurrences(&field.text, words, whole(&field.text)).take(2)).count() == 1;
        if found.len() == 1 && words.len() >= TELLING && alone() { found.pop_first() } else { self.best(found, fields) }
    }

    /// The place beside which most is as it was; `None`: nowhere enough, or nowhere more than elsewhere.
    fn best(&self, found: BTreeSet<(Arc<str>, Stretch)>, fields: &BTreeMap<Arc<str>, Field>) -> Option<(Arc<str>, Stretch)> {
        let mut fitting: Vec<(usize, (Arc<str>, Stretch))> =
            found.into_iter().filter_map(|place| Some((self.fits(&fields[&place.0].text, place.1)?, place))).collect();
        fitting.sort();
        let (most, best) = fitting.pop()?;
        fitting.last().is_none_or(|(next, _)| *next < most).then_some(best)
    }

    /// How much of what stood beside the words stands beside these; `None`: too little to tell.
    fn fits(&self, text: &[u16], place: Stretch) -> Option<usize> {
        let (before, after) = (unbroken(&text[..place.start]).rev(), unbroken(&text[place.end..]));
        let same_before = before.clone().zip(unbroken(&self.before).rev()).take_while(|(one, other)| one == other).count();
        let same_after = after.clone().zip(unbroken(&self.after)).take_while(|(one, other)| one == other).count();
        // Nothing stood there: then nothing may.
        let all = |same: usize, stood: usize, stands: bool| same == stood && (stood > 0 || !stands);
        let all_before = all(same_before, unbroken(&self.before).count(), before.clone().next().is_some());
        let all_after = all(same_after, unbroken(&self.after).count(), after.clone().next().is_some());
        let same = same_before + same_after;
        (same >= CONTEXT_MIN || (all_before && all_after)).then_some(same)
    }

    /// The words that it proposes have come in place of its own.
    fn is_replaced(&mut self, fields: &BTreeMap<Arc<str>, Field>, fresh: &[(Arc<str>, Stretch)]) -> bool {
        let Some(proposal) = self.proposal.as_deref().filter(|_| !fresh.is_empty()) else { return false };
        // Where no paragraph may be begun, a line break is inserted as a space.
        let in_one_line: Vec<u16> = proposal.iter().map(|unit| if *unit == BREAK { b' '.into() } else { *unit }).collect();
        let spelled = if in_one_line == proposal { vec![proposal] } else { vec![proposal, &in_one_line] };
        let found = spelled.into_iter().find_map(|words| {
            match self.stands {
                // What is alike in both stayed; the rest came around it.
                Some(stands) => among(words, fields, fresh)
                    .into_keys()
                    .find(|(field, stretch)| *field == self.field && stretch.start <= stands.start && stands.end <= stretch.end),
                None => self.best(come(words, fields, fresh), fields),
            }
        });
        let Some((field, stands)) = found else { return false };
        if self.stands == Some(stands) {
            return false;
        }
        (self.field, self.stands) = (field, Some(stands));
        true
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
            proposal: self.proposal.as_deref().map(text),
            whole: self.whole,
            words: text(&self.words),
            before: text(&self.before),
            after: text(&self.after),
        })
    }
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
    if unbroken(words).next().is_some() {
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

#[cfg(test)]
mod tests;
