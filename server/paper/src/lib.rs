//! A document on paper: its canonical content and what stands around it become a PDF that is PDF/A-3a and PDF/UA-1 at once, in Danish,
//! tagged, with the content and the evidence attached. Pure: no database, no network, no clock; the same paper is the same bytes.
//!
//! What people wrote reaches the typesetter as data, never as source, so no word of theirs can be markup. What no font can show is spelled
//! out ([`glyphs`]); what no page could hold is laid out so that it can ([`prose`]). Nothing that is signed is left out.
//!
//! In a crate of its own because of the typesetter: nobody who changes the server waits for it.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

mod chain;
pub mod danish;
mod glyphs;
mod prose;
mod sheet;
mod typeset;

pub use typeset::Printer;

/// What is printed.
#[derive(Clone, Debug)]
pub struct Paper {
    /// Which document.
    pub document: Uuid,
    /// Its content: canonical JSON of schema version 1.
    pub content: Vec<u8>,
    /// The municipality's name.
    pub municipality: String,
    /// *Aftale 2027*, or the title of another document of the chain.
    pub title: String,
    /// The unit whose agreement it is.
    pub unit: Option<String>,
    /// The version people speak of, from 1.
    pub version: u32,
    /// Where the document is in its life.
    pub standing: Standing,
    /// The two parties of an agreement: the unit's leader first.
    pub parties: Vec<Signatory>,
    /// First and last day.
    pub period: Option<(NaiveDate, NaiveDate)>,
    /// The unit's budget in whole kroner.
    pub budget_frame_dkk: Option<i64>,
    /// The template's sections, in order.
    pub sections: Vec<Section>,
    /// The goals of the governance chain, by id.
    pub chain: BTreeMap<String, ChainGoal>,
    /// What became of the agreement before this one.
    pub previous: Option<Previous>,
    /// The dialogue meetings about the agreement, by number.
    pub meetings: Vec<Meeting>,
    /// From a demonstration: it proves nothing about anybody.
    pub demonstration: bool,
    /// What goes along as files; the content always does.
    pub attachments: Vec<Attachment>,
}

/// Where a document is in its life.
#[derive(Clone, Debug)]
pub enum Standing {
    /// Being written; as it was then.
    Draft {
        /// When.
        at: DateTime<Utc>,
    },
    /// Frozen: exactly this text is signed, by some or by all.
    Frozen {
        /// The revision's number.
        revision: u32,
        /// When it was frozen; `None`: before it came here.
        at: Option<DateTime<Utc>>,
        /// One for each party, in their order; `None`: not yet.
        approvals: Vec<Option<Approval>>,
    },
    /// Adopted by a body.
    Adopted {
        /// By whom, if it is known.
        by: Option<String>,
        /// On which day.
        on: Option<NaiveDate>,
    },
}

/// Somebody with a title.
#[derive(Clone, Debug)]
pub struct Signatory {
    /// Name.
    pub name: String,
    /// *Skoleleder* …
    pub title: String,
}

/// A party's approval.
#[derive(Clone, Debug)]
pub struct Approval {
    /// Who.
    pub by: Signatory,
    /// For whom, when it was not the party in person.
    pub on_behalf_of: Option<Signatory>,
    /// When.
    pub at: DateTime<Utc>,
    /// How it was proved: the level that the identity provider answered.
    pub level: Option<String>,
    /// What proves it.
    pub proof: Proof,
}

/// What proves an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A fresh sign-in and a seal, which are held.
    SignIn,
    /// Nothing: it came with made-up data.
    Demonstration,
    /// It came from another system, and so does whatever proves it.
    Elsewhere,
}

/// A section of the template.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its key in the content.
    pub key: String,
    /// Its title.
    pub title: String,
    /// What stands in it.
    pub kind: SectionKind,
}

/// What stands in a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionKind {
    /// The parties and the period: said above the text.
    Parties,
    /// The dialogue meetings.
    Dialogue,
    /// Text.
    Text,
    /// Text below what became of the goals of the agreement before.
    TextWithPrevious,
    /// The goals of this origin; `None`: all.
    Goals(Option<String>),
    /// The signatures.
    Signatures,
}

/// A goal of the governance chain.
#[derive(Clone, Debug)]
pub struct ChainGoal {
    /// *S1*.
    pub code: String,
    /// Its title.
    pub title: String,
    /// The document in which it stands.
    pub document: String,
    /// How far down the chain, the vision being 0.
    pub level: u8,
    /// Its document is adopted.
    pub adopted: bool,
    /// What it points up to.
    pub parents: Vec<String>,
}

/// The agreement before this one.
#[derive(Clone, Debug)]
pub struct Previous {
    /// *Aftale 2026*.
    pub title: String,
    /// Its goals, in order.
    pub goals: Vec<PreviousGoal>,
}

/// A goal of the agreement before, with what became of it.
#[derive(Clone, Debug)]
pub struct PreviousGoal {
    /// Its number then.
    pub code: String,
    /// Its title.
    pub title: String,
    /// What became of it, in the municipality's word; `None`: not said.
    pub status: Option<String>,
    /// What was noted, oldest first: *Midtvejs* or *Årsstatus*, the day, the words.
    pub notes: Vec<(String, NaiveDate, String)>,
}

/// A dialogue meeting.
#[derive(Clone, Debug)]
pub struct Meeting {
    /// 1, 2 …
    pub number: u32,
    /// When.
    pub at: DateTime<Utc>,
    /// Was it held, is it planned or cancelled?
    pub held: Held,
    /// Who took part.
    pub participants: Vec<String>,
    /// Were the political goals talked over?
    pub political: bool,
    /// Were the executive board's goals?
    pub executive: bool,
}

/// Whether a meeting was held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// It was.
    Held,
    /// Not yet.
    Planned,
    /// It was called off.
    Cancelled,
}

/// A file that goes along.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// What it is, in words.
    pub description: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Why something cannot be printed.
#[derive(Debug, thiserror::Error)]
pub enum NotPrinted {
    /// The content is not canonical JSON of a known schema.
    #[error("the content cannot be read")]
    Content(#[source] serde_json::Error),
    /// The typesetter refused. Its words may quote the document and never go into a log.
    #[error("the document cannot be set")]
    Typeset(Vec<String>),
}

/// The first 16 letters of a fingerprint in groups of four, as people compare them.
#[must_use]
pub fn short_hash(hash: &[u8; 32]) -> String {
    grouped(&hex::encode(&hash[..8]))
}

fn grouped(hex: &str) -> String {
    let groups: Vec<&str> = (0..hex.len()).step_by(4).map(|at| &hex[at..(at + 4).min(hex.len())]).collect();
    groups.join(" ")
}
