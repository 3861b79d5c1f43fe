//! A field of the live text as the anchors see it: its words in one stretch, and from which pieces of the document they come; and how
//! one stretch became another.
//!
//! Words are UTF-16 units, as Yjs counts. Text blocks are joined by a line break; a hard break is one too. Line breaks are no words: no
//! anchor begins or ends with one.

use std::{collections::HashMap, sync::Arc};

use yrs::{Any, BranchID, ID, Out, ReadTxn, Text, XmlFragment, XmlFragmentRef, XmlOut, XmlTextRef, types::text::YChange};

/// Between text blocks.
pub(super) const BREAK: u16 = b'\n' as u16;
/// What stands for something in a text that is no text; the schema knows none.
const OBJECT: u16 = 0xfffc;

/// A field as it stood after the last update.
#[derive(Debug, Default)]
pub(super) struct Field {
    /// The fragment: another one under the same name is another field.
    pub fragment: Option<BranchID>,
    /// Its words.
    pub text: Vec<u16>,
    /// The pieces they come from, in order; between two there may be line breaks.
    pub leaves: Vec<Leaf>,
}

/// A text or a hard break of the document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaf {
    pub id: ID,
    pub start: usize,
    pub len: usize,
}

/// One step along a text that changes into another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// So many units stay.
    Keep(usize),
    /// So many go.
    Drop(usize),
    /// These come.
    Put(Vec<u16>),
}

/// How a field's words became others.
#[derive(Debug)]
pub(super) struct Flow {
    pub field: Arc<str>,
    /// The words before.
    pub old: Vec<u16>,
    /// What stayed, in order.
    pub kept: Vec<Kept>,
    /// What went: where it stood before.
    pub dropped: Vec<Lump>,
    /// What came: where it stands now.
    pub put: Vec<Lump>,
}

/// Words that went, or came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lump {
    pub stretch: Stretch,
    /// They are all of a text. When blocks are split, joined or moved, such a one goes or comes; a few letters typed are none.
    pub whole: bool,
}

/// Words that stayed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    pub old: usize,
    pub new: usize,
    pub len: usize,
}

/// From here to there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stretch {
    pub start: usize,
    pub end: usize,
}

impl Stretch {
    /// Have they something in common?
    pub fn meets(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

/// A field as the document has it now.
pub(super) enum Piece {
    /// Between two text blocks.
    Break,
    /// A text.
    Text(ID, XmlTextRef),
    /// A hard break.
    HardBreak(ID),
}

/// The pieces of a field, in order.
pub(super) fn pieces(transaction: &impl ReadTxn, fragment: &XmlFragmentRef) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut blocks = 0;
    walk(transaction, fragment, &mut pieces, &mut blocks);
    pieces
}

fn walk(transaction: &impl ReadTxn, parent: &impl XmlFragment, pieces: &mut Vec<Piece>, blocks: &mut usize) {
    for child in parent.children(transaction) {
        let BranchID::Nested(id) = child.id() else { continue };
        match child {
            XmlOut::Text(text) => pieces.push(Piece::Text(id, text)),
            XmlOut::Element(element) => match element.try_tag().map(|tag| &**tag) {
                Some("paragraph" | "heading") => {
                    if *blocks > 0 {
                        pieces.push(Piece::Break);
                    }
                    *blocks += 1;
                    walk(transaction, &element, pieces, blocks);
                }
                Some("hard_break") => pieces.push(Piece::HardBreak(id)),
                Some("bullet_list" | "ordered_list" | "list_item" | "table" | "table_row" | "table_cell" | "table_header") => {
                    walk(transaction, &element, pieces, blocks);
                }
                _ => {}
            },
            XmlOut::Fragment(_) => {}
        }
    }
}

/// The words of a text.
fn words(transaction: &impl ReadTxn, text: &XmlTextRef) -> Vec<u16> {
    let mut words = Vec::new();
    for run in text.diff(transaction, YChange::identity) {
        put(&mut words, &run.insert);
    }
    words
}

/// What was put into a text, in units.
pub(super) fn put(words: &mut Vec<u16>, inserted: &Out) {
    match inserted {
        Out::Any(Any::String(text)) => words.extend(text.encode_utf16()),
        _ => words.push(OBJECT),
    }
}

impl Field {
    /// Which units a leaf covers.
    pub fn leaf(&self, id: ID) -> Option<Leaf> {
        self.leaves.iter().find(|leaf| leaf.id == id).copied()
    }

    /// The leaf that the unit at this place comes from, and its place in it.
    pub fn at(&self, place: usize) -> Option<(ID, usize)> {
        let leaf = self.leaves.get(self.leaves.partition_point(|leaf| leaf.start + leaf.len <= place))?;
        Some((leaf.id, place.checked_sub(leaf.start)?))
    }

    /// Words were written in texts that stand where they stood.
    pub fn write(&mut self, name: &Arc<str>, texts: &HashMap<ID, Vec<Step>>) -> Flow {
        let mut making = Making::of(name, std::mem::take(&mut self.text));
        for leaf in &mut self.leaves {
            making.keep(leaf.start - making.from);
            let start = making.text.len();
            making.through(leaf.len, texts.get(&leaf.id));
            (leaf.start, leaf.len) = (start, making.text.len() - start);
        }
        making.keep(making.flow.old.len() - making.from);
        self.text = making.text;
        making.flow
    }

    /// Texts came and went; in others, words may have been written too. `None` instead of pieces: the field is gone.
    pub fn rebuild(&mut self, name: &Arc<str>, transaction: &impl ReadTxn, pieces: &[Piece], texts: &HashMap<ID, Vec<Step>>) -> Flow {
        let mut making = Making::of(name, std::mem::take(&mut self.text));
        let was = std::mem::take(&mut self.leaves);
        let known: HashMap<ID, usize> = was.iter().enumerate().map(|(at, leaf)| (leaf.id, at)).collect();
        let mut next = 0;
        for piece in pieces {
            let (id, text) = match piece {
                Piece::Break => {
                    making.text.push(BREAK);
                    continue;
                }
                Piece::Text(id, text) => (*id, Some(text)),
                Piece::HardBreak(id) => (*id, None),
            };
            let start;
            if let Some(at) = known.get(&id).copied().filter(|at| *at >= next) {
                was[next..at].iter().for_each(|gone| making.drop_from(gone.start, gone.len, true));
                next = at + 1;
                making.from = was[at].start;
                start = making.text.len();
                making.through(was[at].len, texts.get(&id));
            } else {
                start = making.text.len();
                match text {
                    Some(text) => making.put(&words(transaction, text), true),
                    None => making.put(&[BREAK], true),
                }
            }
            self.leaves.push(Leaf { id, start, len: making.text.len() - start });
        }
        was[next..].iter().for_each(|gone| making.drop_from(gone.start, gone.len, true));
        self.text = making.text;
        making.flow
    }
}

/// A text on its way to another.
struct Making {
    /// So far of the old words has been passed.
    from: usize,
    text: Vec<u16>,
    flow: Flow,
}

impl Making {
    fn of(name: &Arc<str>, old: Vec<u16>) -> Self {
        let text = Vec::with_capacity(old.len() + 64);
        Self { from: 0, text, flow: Flow { field: name.clone(), old, kept: Vec::new(), dropped: Vec::new(), put: Vec::new() } }
    }

    /// Passes a leaf of so many units in these steps; what they do not reach stays.
    fn through(&mut self, len: usize, steps: Option<&Vec<Step>>) {
        let end = self.from + len;
        for step in steps.into_iter().flatten() {
            match step {
                Step::Keep(len) => self.keep((*len).min(end - self.from)),
                Step::Drop(len) => self.drop_from(self.from, (*len).min(end - self.from), false),
                Step::Put(words) => self.put(words, false),
            }
        }
        self.keep(end - self.from);
    }

    fn keep(&mut self, len: usize) {
        if len == 0 {
            return;
        }
        let (old, new) = (self.from, self.text.len());
        self.text.extend_from_slice(&self.flow.old[old..old + len]);
        self.from += len;
        // A line break is nobody's: what is put beside one that stayed is put beside the words, not between them.
        if self.flow.old[old..old + len].iter().all(|unit| *unit == BREAK) {
            return;
        }
        match self.flow.kept.last_mut() {
            Some(last) if last.old + last.len == old && last.new + last.len == new => last.len += len,
            _ => self.flow.kept.push(Kept { old, new, len }),
        }
    }

    fn drop_from(&mut self, start: usize, len: usize, whole: bool) {
        self.from = start + len;
        add(&mut self.flow.dropped, Lump { stretch: Stretch { start, end: start + len }, whole });
    }

    fn put(&mut self, words: &[u16], whole: bool) {
        let start = self.text.len();
        self.text.extend_from_slice(words);
        add(&mut self.flow.put, Lump { stretch: Stretch { start, end: self.text.len() }, whole });
    }
}

/// Adds a lump; one that only goes on from the last is the same one.
fn add(lumps: &mut Vec<Lump>, new: Lump) {
    match lumps.last_mut() {
        _ if new.stretch.start == new.stretch.end => {}
        Some(last) if last.stretch.end == new.stretch.start => {
            last.stretch.end = new.stretch.end;
            last.whole &= new.whole;
        }
        _ => lumps.push(new),
    }
}
