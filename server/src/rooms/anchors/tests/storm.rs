//! The storm: several pages write at random, as y-prosemirror does, undo, redo, cut and paste, and go offline and come back with all of
//! it at once; beside every thread stands what its anchor must be, found without any of the anchors' own means.
//!
//! Every character of the text is unlike every other: it *is* its identity. Where an anchor's characters stand can be read off any
//! state of the document, whatever moved them. A second server receives the same updates spelled with few letters, so that words look
//! alike: there an anchor may give up, but never stand on others' words.
//!
//! Where more than one act comes in one update, or an undo under what was written since, the letters alone do not tell which of them
//! were deleted and put in again. There an anchor has to stand on some of its own, and on nothing but its own and what came between.

use std::collections::HashSet;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use yrs::merge_updates_v1;

use super::*;

/// Histories in one run; `SAMSPIL_FAULTS` times as many where time is no matter.
const HISTORIES: u64 = 60;
/// Acts in one history.
const ACTS: usize = 60;
const PAGES: usize = 3;
const THREADS: usize = 4;
const FIELDS: [&str; 2] = [SECTION, OTHER];
/// The first of the characters that stand for themselves: 11,172 syllables, one UTF-16 unit each.
const FIRST: u32 = 0xac00;

/// What one page does, in places and characters; the same for both spellings.
#[derive(Clone, Debug)]
enum Act {
    Type { field: &'static str, block: u32, place: u32, words: Vec<u32> },
    Delete { field: &'static str, block: u32, place: u32, len: u32 },
    Split { field: &'static str, block: u32, place: u32 },
    Merge { field: &'static str, block: u32 },
    Drag { field: &'static str, block: u32, to: u32 },
    Become { field: &'static str, block: u32, tag: &'static str },
    Remove { field: &'static str, block: u32 },
    Paste { field: &'static str, block: u32, place: u32, words: Vec<u32> },
    Undo,
    Redo,
}

/// When a page does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// A step of its own for undo.
    Apart,
    /// So soon after the act before that one undo takes back both.
    AtOnce,
}

/// How a character is written: as itself.
fn itself(id: u32) -> char {
    char::from_u32(FIRST + id).unwrap()
}

/// Or as one of 26, mixed, so that what stands side by side is no pattern.
fn alike(id: u32) -> char {
    let mut mixed = u64::from(id + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    itself(((mixed ^ (mixed >> 29)) % 26) as u32)
}

/// An update in which every character is spelled as one of 26. In an update of these tests no number is so large that it looks like a
/// character of three bytes.
fn spelled_alike(update: &[u8]) -> Vec<u8> {
    let mut spelled = update.to_vec();
    let mut at = 0;
    while at + 3 <= spelled.len() {
        let character =
            std::str::from_utf8(&spelled[at..at + 3]).ok().and_then(|three| three.chars().next()).filter(|it| it.len_utf8() == 3);
        if let Some(character) = character {
            alike(character as u32 - FIRST).encode_utf8(&mut spelled[at..at + 3]);
        }
        at += if character.is_some() { 3 } else { 1 };
    }
    spelled
}

/// The pages.
struct Pages {
    pages: Vec<Page>,
    /// What each page has not heard from the others yet.
    waiting: Vec<Vec<Vec<u8>>>,
}

impl Pages {
    /// A page does something. The update, if anything was written.
    fn act(&mut self, page: usize, act: &Act, when: When) -> Option<Vec<u8>> {
        let spell = |words: &[u32]| words.iter().copied().map(itself).collect::<String>();
        let at = &mut self.pages[page];
        if when == When::Apart {
            at.undo.reset();
        }
        Some(match act.clone() {
            Act::Type { field, block, place, words } | Act::Paste { field, block, place, words } => {
                at.write_on(|t| type_in(t, field, block, place, &spell(&words)))
            }
            Act::Delete { field, block, place, len } => at.write_on(|t| delete(t, field, block, place, len)),
            Act::Split { field, block, place } => at.write_on(|t| split(t, field, block, place)),
            Act::Merge { field, block } => at.write_on(|t| merge(t, field, block)),
            Act::Drag { field, block, to } => at.write_on(|t| drag(t, field, block, to)),
            Act::Become { field, block, tag } => at.write_on(|t| become_kind(t, field, block, tag)),
            Act::Remove { field, block } => at.write_on(|t| delete_block(t, field, block)),
            Act::Undo => at.undo()?,
            Act::Redo => at.redo()?,
        })
    }

    /// The others are told.
    fn tell(&mut self, page: usize, update: &[u8]) {
        for other in (0..PAGES).filter(|other| *other != page) {
            self.waiting[other].push(update.to_vec());
        }
    }

    fn deliver(&mut self) {
        for (page, waiting) in self.pages.iter().zip(&mut self.waiting) {
            for update in std::mem::take(waiting) {
                page.hear(&update);
            }
        }
    }

    /// Everybody has heard everything.
    fn settled(&self) -> bool {
        self.waiting.iter().all(Vec::is_empty)
    }
}

/// A server with its anchors.
struct World {
    doc: Doc,
    anchors: Anchors,
}

impl World {
    fn new(spelling: fn(u32) -> char, texts: &[Vec<Vec<u32>>; 2]) -> Self {
        let words: Vec<Vec<String>> =
            texts.iter().map(|blocks| blocks.iter().map(|block| block.iter().map(|id| spelling(*id)).collect()).collect()).collect();
        let refs = |at: usize| words[at].iter().map(String::as_str).collect::<Vec<_>>();
        let desk = Desk::with(&refs(0), &refs(1));
        Self { doc: desk.doc, anchors: desk.anchors }
    }

    fn receive(&mut self, update: &[u8]) {
        self.doc.transact_mut().apply_update(Update::decode_v1(update).unwrap()).unwrap();
        self.anchors.after(&self.doc);
        assert_mirrored(&self.anchors, &self.doc);
    }

    /// The words of a field as the server has them, blocks with a line break between them.
    fn words(&self, field: &str) -> Vec<char> {
        let transaction = self.doc.transact();
        let texts = |block: XmlElementRef| {
            let texts = block.children(&transaction).filter_map(yrs::XmlOut::into_xml_text);
            let runs = texts.flat_map(|text| text.diff(&transaction, yrs::types::text::YChange::identity));
            runs.map(|run| run.insert.to_string(&transaction)).collect::<String>()
        };
        let blocks = fragment(&transaction, field).children(&transaction).filter_map(yrs::XmlOut::into_xml_element);
        blocks.map(texts).collect::<Vec<_>>().join("\n").chars().collect()
    }

    fn texts(&self) -> [Vec<char>; 2] {
        FIELDS.map(|field| self.words(field))
    }

    fn stands(&self, thread: Uuid) -> Option<Range> {
        let tracked = &self.anchors.threads[&thread];
        let stands = tracked.stands?;
        Some((FIELDS.iter().position(|field| **field == *tracked.field).unwrap(), stands.start, stands.end))
    }

    /// Begins a thread on words that stand at this place, whatever else is spelled like them.
    fn comment(&mut self, thread: Uuid, field: &str, start: usize, len: usize) {
        self.anchors.watch(&self.doc);
        let mirror = &self.anchors.fields[field];
        let transaction = self.doc.transact();
        let [first, last] = [start, start + len - 1].map(|at| character(&transaction, mirror, at).unwrap());
        let quote = text(&mirror.text[start..start + len]);
        drop(transaction);
        let selection =
            Selection { field: field.into(), start: position::before(first), end: position::after(last), quote, proposal: None };
        self.anchors.place(thread, &selection, &self.doc).unwrap();
    }
}

/// What an anchor must be.
struct Expected {
    thread: Uuid,
    /// The characters it stands on; none: detached.
    members: HashSet<char>,
    /// Its characters in order when it last stood, or as it was begun.
    words: Vec<char>,
    quote: Vec<char>,
    /// What it has ever stood on, and under the other spelling.
    ever: HashSet<char>,
    ever_alike: HashSet<char>,
}

/// Where something stands: which field, from where to where.
type Range = (usize, usize, usize);

impl Expected {
    /// After an update: which texts there were before and are now. Answers the least and the most it may stand on.
    fn after(&mut self, before: &[Vec<char>; 2], now: &[Vec<char>; 2], dragged: &HashSet<char>) -> Option<(Range, Range)> {
        let old: HashSet<char> = before.iter().flatten().copied().collect();
        let new = |character: &char| !old.contains(character);
        // A block that was dragged into the middle of it is put between its characters, wherever it came from. One that held some of its
        // own may as well have torn it: which of both, the letters alone do not tell.
        let joined = |character: &char| new(character) || dragged.contains(character);
        let tears = !dragged.is_disjoint(&self.members);
        if let Some(core) =
            self.largest(&pieces(now, &self.members, &|character| new(character) || (!tears && dragged.contains(character))), now)
        {
            let mut wide = pieces(now, &self.members, &joined).into_iter().map(|(_, range)| range);
            let all = wide.find(|(field, from, to)| *field == core.0 && *from <= core.1 && core.2 <= *to).unwrap_or(core);
            return Some((core, self.grown(now, all, &new)));
        }
        self.members.clear();
        let came = |(field, from, to): &Range| {
            let letters = || now[*field][*from..*to].iter().filter(|character| **character != '\n');
            letters().filter(|character| new(character)).count() * 2 >= letters().count()
        };
        let core = [&self.words, &self.quote].into_iter().find_map(|words| passage(now, words).filter(came))?;
        Some((core, self.grown(now, core, &new)))
    }

    /// Of an anchor that was torn apart the largest piece, of equal ones the first.
    fn largest(&self, pieces: &[(usize, Range)], now: &[Vec<char>; 2]) -> Option<Range> {
        let place = |range: &Range| self.words.iter().position(|character| *character == now[range.0][range.1]);
        pieces.iter().max_by_key(|(count, range)| (*count, std::cmp::Reverse(place(range)))).map(|(_, range)| *range)
    }

    /// With what once belonged right beside it, if any of that has just come back.
    fn grown(&self, now: &[Vec<char>; 2], (field, from, to): Range, new: &impl Fn(&char) -> bool) -> Range {
        let text = &now[field];
        let once_own = |at: &usize| text[*at] == '\n' || self.ever.contains(&text[*at]);
        let before: Vec<usize> = (0..from).rev().take_while(once_own).collect();
        let after: Vec<usize> = (to..text.len()).take_while(once_own).collect();
        let grown = |run: &[usize]| run.iter().any(|at| text[*at] != '\n' && new(&text[*at]));
        let from = before.last().copied().filter(|_| grown(&before)).unwrap_or(from);
        let to = after.last().map(|at| at + 1).filter(|_| grown(&after)).unwrap_or(to);
        (field, from, to)
    }

    fn give_up(&mut self, kept: &Tracked) {
        self.members.clear();
        self.words = text(&kept.words).chars().collect();
    }

    fn stand(&mut self, now: &[Vec<char>; 2], (field, from, to): Range) {
        self.words = now[field][from..to].to_vec();
        self.members = self.words.iter().copied().filter(|character| *character != '\n').collect();
        self.ever.extend(&self.members);
    }
}

/// Where these characters stand now, and how many in each piece: from the first to the last, if nothing else stands between.
fn pieces(now: &[Vec<char>; 2], members: &HashSet<char>, between: &impl Fn(&char) -> bool) -> Vec<(usize, Range)> {
    let mut pieces: Vec<(usize, Range)> = Vec::new();
    for (field, text) in now.iter().enumerate() {
        let mut open = false;
        for (at, character) in text.iter().enumerate() {
            match (members.contains(character), pieces.last_mut()) {
                (true, Some((count, piece))) if open => (*count, piece.2) = (*count + 1, at + 1),
                (true, _) => {
                    pieces.push((1, (field, at, at + 1)));
                    open = true;
                }
                (false, _) => open &= *character == '\n' || between(character),
            }
        }
    }
    pieces
}

/// Where these characters stand in this order, however they are broken into blocks.
fn passage(now: &[Vec<char>; 2], words: &[char]) -> Option<Range> {
    let words: Vec<char> = words.iter().copied().filter(|character| *character != '\n').collect();
    now.iter().enumerate().find_map(|(field, text)| {
        let letters: Vec<(usize, char)> = text.iter().copied().enumerate().filter(|(_, character)| *character != '\n').collect();
        let found = letters.windows(words.len()).find(|part| part.iter().map(|(_, character)| character).eq(&words))?;
        Some((field, found.first()?.0, found.last()?.0 + 1))
    })
}

/// What is drawn next.
struct Dice {
    rng: StdRng,
    /// The next character that nobody has written yet.
    next: u32,
    /// What was cut last.
    cut: Option<Vec<u32>>,
}

impl Dice {
    fn written(&mut self, len: std::ops::Range<u32>) -> Vec<u32> {
        let len = self.rng.random_range(len);
        self.next += len;
        (self.next - len..self.next).collect()
    }

    /// Something that a page can do. Blocks are made and unmade only by who has heard everything: two who split the same block at once
    /// make two of its end.
    fn act(&mut self, page: &Page, alone: bool) -> Act {
        let field = FIELDS[self.rng.random_range(0..2)];
        let ids = |block: &String| block.chars().map(|character| (character as u32).wrapping_sub(FIRST)).collect::<Vec<u32>>();
        let all: Vec<Vec<u32>> = blocks(&page.doc.transact(), field).iter().map(ids).collect();
        let count = all.len() as u32;
        if count == 0 {
            return Act::Undo;
        }
        let block = self.rng.random_range(0..count);
        let words = &all[block as usize];
        let len = words.len() as u32;
        let place = self.rng.random_range(0..=len);
        match self.rng.random_range(0..if alone { 23 } else { 10 }) {
            0..4 => Act::Type { field, block, place, words: self.written(1..6) },
            4..8 if len > 0 => {
                let place = self.rng.random_range(0..len);
                let most = if self.rng.random_bool(0.2) { 40 } else { 6 };
                let len = self.rng.random_range(1..=(len - place).min(most));
                if alone && self.cut.is_none() && self.rng.random_bool(0.5) {
                    self.cut = Some(words[place as usize..(place + len) as usize].to_vec());
                }
                Act::Delete { field, block, place, len }
            }
            8 => Act::Undo,
            9 | 19 => Act::Redo,
            10..13 => Act::Split { field, block, place },
            13..16 if block + 1 < count => Act::Merge { field, block },
            16 if count > 1 => Act::Become { field, block, tag: if self.rng.random_bool(0.5) { "heading" } else { "paragraph" } },
            17 if count > 1 => Act::Drag { field, block, to: self.rng.random_range(0..count) },
            18 if count > 1 => {
                if self.cut.is_none() && self.rng.random_bool(0.5) {
                    self.cut = Some(words.clone());
                }
                Act::Remove { field, block }
            }
            _ => match self.cut.take() {
                Some(words) => Act::Paste { field, block, place, words },
                None => Act::Undo,
            },
        }
    }
}

/// How often the anchors were where they had to be, and how often they gave up.
#[derive(Debug, Default)]
struct Figures {
    acts: usize,
    updates: usize,
    /// Threads that stood on all that they had to.
    stood: usize,
    /// On a part.
    parts: usize,
    detached: usize,
    found_again: usize,
    /// Came back too short to tell.
    short: usize,
    /// Two made the same words, or undo swapped blocks: not judged.
    unclear: usize,
    /// Spelled alike it gave up.
    gave_up: usize,
}

/// What came to the server in one update.
#[derive(Clone, Debug, Default)]
struct Sent {
    update: Vec<u8>,
    /// More than one act, or an undo: the letters alone do not tell what of them was put in again.
    loose: bool,
    /// A block of a field was dragged, and nothing else happened.
    dragged: Option<(usize, usize)>,
}

/// As it is kept: how an undo puts back several things at once is drawn anew by the library each time, so that a seed alone does not
/// bring a history again.
impl std::fmt::Display for Sent {
    fn fmt(&self, line: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (field, block) = self.dragged.unwrap_or((9, 0));
        write!(line, "{} {field} {block} {}", u8::from(self.loose), BASE64_STANDARD.encode(&self.update))
    }
}

impl std::str::FromStr for Sent {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let [loose, field, block, update] = line.split(' ').collect::<Vec<_>>()[..] else { return Err(()) };
        let dragged = (field != "9").then(|| (field.parse().unwrap(), block.parse().unwrap()));
        Ok(Self { loose: loose == "1", dragged, update: BASE64_STANDARD.decode(update).unwrap() })
    }
}

/// Both spellings of one history, and what must be true of it.
struct History {
    seed: u64,
    pages: Pages,
    plain: World,
    like: World,
    dice: Dice,
    expected: Vec<Expected>,
    /// What has come so far.
    sent: Vec<Sent>,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut dice = Dice { rng: StdRng::seed_from_u64(seed), next: 0, cut: None };
        let texts = [4, 2].map(|blocks| (0..blocks).map(|_| dice.written(12..40)).collect::<Vec<_>>());
        let (mut plain, mut like) = (World::new(itself, &texts), World::new(alike, &texts));
        let mut expected = Vec::new();
        for _ in 0..THREADS {
            let at = usize::from(dice.rng.random_bool(0.3));
            let block = &texts[at][dice.rng.random_range(0..texts[at].len())];
            let from = dice.rng.random_range(0..block.len() - 9);
            let to = dice.rng.random_range(from + 9..=block.len());
            let words: Vec<char> = block[from..to].iter().map(|id| itself(*id)).collect();
            let start = plain.words(FIELDS[at]).windows(words.len()).position(|part| part == words).unwrap();
            let thread = Uuid::from_u128(u128::from(dice.rng.random::<u64>()));
            plain.comment(thread, FIELDS[at], start, words.len());
            like.comment(thread, FIELDS[at], start, words.len());
            let members: HashSet<char> = words.iter().copied().collect();
            expected.push(Expected {
                thread,
                ever: members.clone(),
                ever_alike: members.clone(),
                members,
                words: words.clone(),
                quote: words,
            });
        }
        let state = plain.doc.transact().encode_state_as_update_v1(&StateVector::default());
        let pages = (0..PAGES as u64).map(|page| Page::open(7 + page, &state)).collect();
        let pages = Pages { pages, waiting: vec![vec![]; PAGES] };
        Self { seed, pages, plain, like, dice, expected, sent: Vec::new() }
    }

    /// One page does something, or several things before it sends them.
    fn step(&mut self, figures: &mut Figures) {
        if self.dice.rng.random_bool(0.6) {
            self.pages.deliver();
        }
        let page = self.dice.rng.random_range(0..PAGES);
        let burst = if self.dice.rng.random_bool(0.15) { self.dice.rng.random_range(2..6) } else { 1 };
        let alone = self.pages.settled();
        let mut done = Vec::new();
        let mut updates = Vec::new();
        for _ in 0..burst {
            let act = self.dice.act(&self.pages.pages[page], alone);
            let when = if self.dice.rng.random_bool(0.25) { When::AtOnce } else { When::Apart };
            if let Some(update) = self.pages.act(page, &act, when) {
                updates.push(update);
                done.push(act);
            }
        }
        if done.is_empty() {
            return;
        }
        let dragged = match &done[..] {
            [Act::Drag { field, block, .. }] => Some((FIELDS.iter().position(|name| name == field).unwrap(), *block as usize)),
            _ => None,
        };
        let loose = !matches!(&done[..], [act] if !matches!(act, Act::Undo | Act::Redo));
        let sent = Sent { update: merge_updates_v1(&updates).unwrap(), loose, dragged };
        self.pages.tell(page, &sent.update);
        figures.acts += done.len();
        self.arrive(sent, figures);
    }

    fn arrive(&mut self, sent: Sent, figures: &mut Figures) {
        let (before, update) = (self.plain.texts(), sent.update.clone());
        self.sent.push(sent);
        self.plain.receive(&update);
        self.like.receive(&spelled_alike(&update));
        let now = self.plain.texts();
        figures.updates += 1;
        if std::env::var_os("SAMSPIL_STORM_KEPT").is_some() {
            println!("{:?}", now.each_ref().map(String::from_iter));
        }
        for expected in &mut self.expected {
            judge(&self.plain, &self.like, expected, (&before, &now), self.sent.last().unwrap(), figures);
        }
    }
}

/// A history that fails is kept, and how to have it again is said.
impl Drop for History {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let kept = std::env::temp_dir().join(format!("anchors-{}.storm", self.seed));
            let lines: Vec<String> = self.sent.iter().map(ToString::to_string).collect();
            std::fs::write(&kept, format!("{}\n{}\n", self.seed, lines.join("\n"))).unwrap();
            eprintln!("update {} of the history with seed {}; again: scripts/anchors --again {}", lines.len(), self.seed, kept.display());
        }
    }
}

/// Holds one thread under both spellings to what it must be.
fn judge(
    plain: &World,
    like: &World,
    expected: &mut Expected,
    (before, now): (&[Vec<char>; 2], &[Vec<char>; 2]),
    sent: &Sent,
    figures: &mut Figures,
) {
    let loose = sent.loose;
    let was_detached = expected.members.is_empty();
    let (one, other) = (plain.stands(expected.thread), like.stands(expected.thread));
    let kept = &plain.anchors.threads[&expected.thread];
    let dragged = dragged(sent, before);
    let unclear = doubled(before) || doubled(now) || (loose && reordered(before, now));
    // Spelled alike, what stands where it stands is its own, or nothing is.
    if let Some((field, from, to)) = other {
        let words = &now[field][from..to];
        assert!(unclear || its_own_nearly(&expected.ever_alike, words), "spelled alike it stands on {words:?}, the other at {one:?}");
        expected.ever_alike.extend(words.iter().filter(|character| **character != '\n'));
    }
    figures.gave_up += usize::from(one.is_some() && other.is_none());
    if unclear {
        figures.unclear += 1;
        match one {
            Some(range) => expected.stand(now, range),
            None => expected.give_up(kept),
        }
        return;
    }
    let own = expected.ever.clone();
    match (expected.after(before, now, &dragged), one) {
        (None, None) => figures.detached += 1,
        (None, Some((field, from, to))) => {
            let words = &now[field][from..to];
            assert!(loose && its_own(&own, words), "stands on {words:?}, and must not stand");
            figures.parts += 1;
            expected.stand(now, (field, from, to));
        }
        (Some((core, _)), None) => {
            // Words too short to tell stay detached unless all beside them fits; what was taken apart and put in again, too.
            let words = &now[core.0][core.1..core.2];
            let run = words.split(|character| !own.contains(character)).map(<[char]>::len).max().unwrap_or_default();
            let telling = if loose { run >= 2 * moves::MOVED_MIN && !was_detached } else { kept.words.len() >= TELLING };
            assert!(!telling, "lost {words:?}, was {:?}", text(&kept.words));
            figures.short += 1;
            expected.give_up(kept);
        }
        (Some((core, all)), Some(range)) => {
            let (field, from, to) = range;
            let within = field == all.0 && all.1 <= from && from <= core.1 && core.2 <= to && to <= all.2;
            let part = loose && its_own(&own, &now[field][from..to]);
            let here = String::from_iter(&now[field][from..to]);
            assert!(within || part, "{range:?} {here:?}, must reach over {core:?} within {all:?}");
            figures.parts += usize::from(!within);
            figures.stood += usize::from(within);
            figures.found_again += usize::from(was_detached);
            expected.stand(now, range);
        }
    }
}

/// An anchor begins and ends with what was once its own.
fn its_own(own: &HashSet<char>, words: &[char]) -> bool {
    [words.first(), words.last()].into_iter().all(|end| end.is_some_and(|end| own.contains(end)))
}

/// Spelled alike, up to three letters beside its own may be another's: that went and came with the same spelling in one update.
fn its_own_nearly(own: &HashSet<char>, words: &[char]) -> bool {
    let first = words.iter().position(|character| own.contains(character));
    let last = words.iter().rev().position(|character| own.contains(character));
    first.is_some_and(|first| first <= 3) && last.is_some_and(|last| last <= 3)
}

/// The characters of a block that was dragged.
fn dragged(sent: &Sent, before: &[Vec<char>; 2]) -> HashSet<char> {
    let Some((field, block)) = sent.dragged else { return HashSet::new() };
    before[field].split(|character| *character == '\n').nth(block).unwrap().iter().copied().collect()
}

/// Do characters that stayed stand in another order? Of two blocks that an undo swaps, it cannot be told which one stayed.
fn reordered(before: &[Vec<char>; 2], now: &[Vec<char>; 2]) -> bool {
    let common = |one: &[Vec<char>; 2], other: &[Vec<char>; 2]| -> Vec<char> {
        let there: HashSet<char> = other.iter().flatten().copied().collect();
        one.iter().flatten().copied().filter(|character| *character != '\n' && there.contains(character)).collect()
    };
    common(before, now) != common(now, before)
}

/// Does a character stand in the text twice? Which of the two is meant cannot be told from the words.
fn doubled(now: &[Vec<char>; 2]) -> bool {
    let mut seen = HashSet::new();
    now.iter().flatten().any(|character| *character != '\n' && !seen.insert(*character))
}

#[test]
fn r3_in_a_storm_anchors_stand_where_their_characters_stand() {
    if let Ok(kept) = std::env::var("SAMSPIL_STORM_KEPT") {
        let kept = std::fs::read_to_string(kept).unwrap();
        let mut lines = kept.lines();
        let mut history = History::new(lines.next().unwrap().parse().unwrap());
        for line in lines {
            history.arrive(line.parse().unwrap(), &mut Figures::default());
            for Expected { thread, .. } in &history.expected {
                let shown = |world: &World| (world.stands(*thread), world.anchors.words(*thread));
                println!("  {:?}, spelled alike {:?}", shown(&history.plain), shown(&history.like));
            }
        }
        return;
    }
    let times: u64 = std::env::var("SAMSPIL_FAULTS").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    let named = std::env::var("SAMSPIL_SEED").ok().and_then(|seed| seed.parse().ok());
    let first: u64 = named.unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0);
    let mut figures = Figures::default();
    for seed in (0..HISTORIES * times).map(|at| first.wrapping_add(at)) {
        let mut history = History::new(seed);
        for _ in 0..ACTS {
            history.step(&mut figures);
        }
    }
    println!("anchor storm from seed {first}: {figures:?}");
    assert!(figures.stood > figures.updates * 2, "most of four threads stand most of the time: {figures:?}");
}
