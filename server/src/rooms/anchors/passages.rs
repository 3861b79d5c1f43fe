//! Passages of words: where they stand in a text, however they are broken into lines. Words are UTF-16 units, as Yjs counts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    WORDS_MAX,
    field::{BREAK, Field, Stretch},
};

/// The stretch without line breaks at its ends; `None` when there is no word in it.
pub(super) fn trimmed(text: &[u16], stretch: Stretch) -> Option<Stretch> {
    let words = text.get(stretch.start..stretch.end)?;
    if words.iter().all(|unit| char::from_u32((*unit).into()).is_some_and(char::is_whitespace)) {
        return None;
    }
    let before = words.iter().take_while(|unit| **unit == BREAK).count();
    let after = words.iter().rev().take_while(|unit| **unit == BREAK).count();
    Some(Stretch { start: stretch.start + before, end: stretch.end - after })
}

/// The only place where these words stand.
pub(super) fn only(text: &[u16], words: &[u16]) -> Option<Stretch> {
    let mut found = occurrences(text, words, whole(text));
    found.next().filter(|_| found.next().is_none()).and_then(|stretch| trimmed(text, stretch))
}

/// Where these words stand so that a part of them is in these stretches, and how many of their units are.
pub(super) fn among(
    words: &[u16],
    fields: &BTreeMap<Arc<str>, Field>,
    stretches: &[(Arc<str>, Stretch)],
) -> BTreeMap<(Arc<str>, Stretch), usize> {
    let mut found = BTreeMap::new();
    for (name, stretch) in stretches {
        let Some(field) = fields.get(name) else { continue };
        for place in occurrences(&field.text, words, *stretch) {
            let shared = place.end.min(stretch.end) - place.start.max(stretch.start);
            *found.entry((name.clone(), place)).or_default() += shared;
        }
    }
    found
}

/// Where these words have come: most of their units only now. A letter typed at words that stood there all the time makes them nobody
/// else's; and a page that pastes beside what begins alike may count a letter or two of the one as the other's.
pub(super) fn come(words: &[u16], fields: &BTreeMap<Arc<str>, Field>, fresh: &[(Arc<str>, Stretch)]) -> BTreeSet<(Arc<str>, Stretch)> {
    let len = unbroken(words).count();
    among(words, fields, fresh).into_iter().filter(|(_, came)| came * 2 >= len).map(|(place, _)| place).collect()
}

pub(super) fn whole(text: &[u16]) -> Stretch {
    Stretch { start: 0, end: text.len() }
}

/// The words without their line breaks.
pub(super) fn unbroken(words: &[u16]) -> impl DoubleEndedIterator<Item = u16> + Clone {
    words.iter().copied().filter(|unit| *unit != BREAK)
}

/// Where these words begin, if they end here, however they are broken into lines.
pub(super) fn begins_before(text: &[u16], end: usize, words: &[u16]) -> Option<usize> {
    let mut at = end;
    for unit in unbroken(words).rev() {
        at = text[..at].iter().rposition(|there| *there != BREAK).filter(|at| text[*at] == unit)?;
    }
    Some(at)
}

/// Where these words end, if they begin here, however they are broken into lines.
pub(super) fn ends_after(text: &[u16], start: usize, words: &[u16]) -> Option<usize> {
    let mut at = start;
    for unit in unbroken(words) {
        at += text[at..].iter().position(|there| *there != BREAK).filter(|step| text[at + step] == unit)? + 1;
    }
    Some(at)
}

/// Where one stretch of units stands in another, unit for unit.
pub(super) fn part_at(part: &[u16], all: &[u16]) -> Option<usize> {
    occurrences(all, part, whole(all)).find(|found| all[found.start..found.end] == *part).map(|found| found.start)
}

/// Where these words stand in a text, however they are broken into lines, so that they share something with a stretch. Linear in both,
/// whatever they are (Knuth, Morris and Pratt).
pub(super) fn occurrences<'t>(text: &'t [u16], words: &[u16], sharing: Stretch) -> impl Iterator<Item = Stretch> + 't {
    let words: Vec<u16> = unbroken(words).collect();
    let reach = words.len().saturating_sub(1);
    let from = text[..sharing.start].iter().enumerate().rev().filter(|(_, unit)| **unit != BREAK).take(reach).last();
    let from = from.map_or(sharing.start, |(at, _)| at);
    let to = (sharing.end..).zip(&text[sharing.end..]).filter(|(_, unit)| **unit != BREAK).take(reach).last();
    let to = to.map_or(sharing.end, |(at, _)| at + 1);
    let worth_it = !words.is_empty() && sharing.start < sharing.end && to - from >= words.len();
    let to = if worth_it { to } else { from };
    let fallback = if worth_it { fallbacks(&words) } else { Vec::new() };
    let units = text[from..to].iter().copied().zip(from..).filter(|(unit, _)| *unit != BREAK);
    // Where words would begin that end at the unit that is looked at.
    let mut begins = units.clone().map(|(_, at)| at);
    let mut matched = 0;
    units.enumerate().filter_map(move |(count, (unit, at))| {
        let start = if count >= reach { begins.next()? } else { from };
        while matched > 0 && (matched == words.len() || words[matched] != unit) {
            matched = fallback[matched - 1];
        }
        matched += usize::from(words[matched] == unit);
        (matched == words.len()).then(|| Stretch { start, end: at + 1 })
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
pub(super) fn same_words(words: &[u16], quote: &str) -> bool {
    let words = String::from_utf16_lossy(words);
    let mut quoted = quote.split_whitespace().peekable();
    quoted.peek().is_some() && words.split_whitespace().eq(quoted)
}

/// The beginning of words that are longer than this; never half a character.
pub(super) fn cut(words: &[u16], max: usize) -> &[u16] {
    let half = words.len() > max && (0xd800..0xdc00).contains(&words[max - 1]);
    &words[..words.len().min(max - usize::from(half))]
}

pub(super) fn units(text: &str) -> Vec<u16> {
    cut(&text.encode_utf16().collect::<Vec<_>>(), WORDS_MAX).to_vec()
}

/// As PostgreSQL can keep it: every character but one.
pub(super) fn text(words: &[u16]) -> String {
    String::from_utf16_lossy(words).replace('\0', "\u{fffd}")
}
