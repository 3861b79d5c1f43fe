//! Comments beside a text: what a thread can be about, who may do what with it, and what is said back to a body that cannot be taken.

use chrono::{DateTime, Duration, NaiveDate, Utc};

use super::{
    access::{Abilities, danish_day},
    ids::PersonId,
    principal::{Principal, Role},
};

/// What kind of thing a thread is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The whole document.
    Document,
    /// A section.
    Section,
    /// A goal.
    Goal,
    /// Words.
    Words,
}

impl About {
    /// Its id.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            About::Document => "document",
            About::Section => "section",
            About::Goal => "goal",
            About::Words => "words",
        }
    }

    /// The kind of this id.
    #[must_use]
    pub fn from_id(id: &str) -> Option<Self> {
        [About::Document, About::Section, About::Goal, About::Words].into_iter().find(|about| about.id() == id)
    }
}

/// What became of proposed words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wording {
    /// Nobody has dealt with them.
    Open,
    /// An editor is inserting them.
    Claimed,
    /// They stand in the text.
    Inserted,
    /// An editor said no.
    Declined,
}

impl Wording {
    /// Its id.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Wording::Open => "open",
            Wording::Claimed => "claimed",
            Wording::Inserted => "inserted",
            Wording::Declined => "declined",
        }
    }

    /// The state of this id.
    #[must_use]
    pub fn from_id(id: &str) -> Option<Self> {
        [Wording::Open, Wording::Claimed, Wording::Inserted, Wording::Declined].into_iter().find(|state| state.id() == id)
    }
}

/// What somebody is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// A comment names me.
    Mention,
    /// Somebody wrote in a thread that I wrote in.
    Reply,
    /// Somebody commented beside an agreement that I am a party of.
    Comment,
    /// A thread that I wrote in was resolved.
    Resolved,
    /// Other words were proposed beside an agreement that I am a party of; or mine were inserted or declined.
    Proposal,
}

impl Telling {
    /// Its id.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Telling::Mention => "mention",
            Telling::Reply => "reply",
            Telling::Comment => "comment",
            Telling::Resolved => "resolved",
            Telling::Proposal => "proposal",
        }
    }
}

/// Who is told of a comment, each once and of what concerns them most: who is named, who wrote in the thread, the parties. Never who
/// wrote it.
#[must_use]
pub fn told_of(
    by: PersonId,
    mentions: &[PersonId],
    writers: &[PersonId],
    parties: &[PersonId],
    proposes: bool,
) -> Vec<(PersonId, Telling)> {
    let beside = if proposes { Telling::Proposal } else { Telling::Comment };
    let all = [(mentions, Telling::Mention), (writers, Telling::Reply), (parties, beside)];
    let mut told: Vec<(PersonId, Telling)> = Vec::new();
    for (person, kind) in all.into_iter().flat_map(|(people, kind)| people.iter().map(move |person| (*person, kind))) {
        if person != by && told.iter().all(|(other, _)| *other != person) {
            told.push((person, kind));
        }
    }
    told
}

/// How long an editor has to insert proposed words and to say so.
pub const CLAIM_LAPSES: Duration = Duration::seconds(30);

/// What became of proposed words as it counts now: a claim without a report lapses.
#[must_use]
pub fn wording_now(state: Wording, since: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Wording {
    match state {
        Wording::Claimed if since.is_none_or(|since| now >= since + CLAIM_LAPSES) => Wording::Open,
        state => state,
    }
}

/// May this person read how a text is talked over? Those who may comment on it, and the executive board. Who only reads (the council,
/// an auditor) reads what was agreed.
#[must_use]
pub fn reads_threads(principal: &Principal, can: Abilities, now: DateTime<Utc>) -> bool {
    can.read && (can.comment || principal.is(Role::Executive, danish_day(now)))
}

/// May this person resolve a thread that `author` began? Who writes in the text (also while it is closed), and who began it.
#[must_use]
pub fn resolves(person: PersonId, can: Abilities, author: PersonId) -> bool {
    can.comment && (can.edit || can.party.is_some() || person == author)
}

/// Does the text hold something that looks like a CPR number: ten digits, as ddmmyy-xxxx, ddmmyy xxxx or in one, that begin with a day?
#[must_use]
pub fn looks_like_cpr(text: &str) -> bool {
    let characters: Vec<char> = text.chars().collect();
    (0..characters.len()).any(|at| cpr_at(&characters, at))
}

fn cpr_at(text: &[char], at: usize) -> bool {
    let digits = |from: usize, count: usize| text.get(from..from + count).filter(|part| part.iter().all(char::is_ascii_digit));
    let stands_alone = |at: Option<&char>| at.is_none_or(|character| !character.is_ascii_digit());
    let Some(day) = digits(at, 6) else { return false };
    let last = if text.get(at + 6).is_some_and(|between| ['-', ' ', '–', '\u{2011}'].contains(between)) { at + 7 } else { at + 6 };
    if digits(last, 4).is_none()
        || !stands_alone(text.get(last + 4))
        || !stands_alone(at.checked_sub(1).and_then(|before| text.get(before)))
    {
        return false;
    }
    let two = |from: usize| day[from..from + 2].iter().filter_map(|digit| digit.to_digit(10)).fold(0, |sum, digit| sum * 10 + digit);
    // Whichever century it is: 29 February is a day in one that has it.
    [1900, 2000].iter().any(|century| NaiveDate::from_ymd_opt(century + i32::try_from(two(4)).unwrap_or(0), two(2), two(0)).is_some())
}

#[cfg(test)]
mod tests;
