//! Comment threads beside a text: what is asked for and what is answered under `/api/documents/{id}/threads`, `/api/threads/{id}` and
//! `/api/comments/{id}`.
//!
//! A *field* is one stretch of live text: `section:<key>`, `goal:<id>:<title|body|success|responsible>`,
//! `goal:<id>:action:<id>:<text|responsible>`, `goal:<id>:indicator:<id>:<name|source>` or `goal:<id>:link:<id>:reason`.
//! Its words are its text blocks joined by a line break; a hard break is one too.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::Person;

/// A comment thread, in `GET /api/documents/{id}/threads` and as the answer to everything that changes one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Thread {
    /// Stable id.
    pub id: Uuid,
    /// Beside which document.
    pub document_id: Uuid,
    /// What people call it: 1, 2 … within the document.
    pub number: u32,
    /// What it is about.
    pub about: AboutShown,
    /// The words as they stood when it was begun, cut with … when they are long; absent unless it is about words.
    pub quote: Option<String>,
    /// Where the words stand now; absent when they are gone (`detached_at`) or it is not about words.
    pub anchor: Option<Anchor>,
    /// Since when its words are gone from the text.
    pub detached_at: Option<DateTime<Utc>>,
    /// Open or resolved.
    pub state: ThreadState,
    /// Who resolved it.
    pub resolved_by: Option<Person>,
    /// When.
    pub resolved_at: Option<DateTime<Utc>>,
    /// *Tag op på mødet.*
    pub for_meeting: bool,
    /// Other words in place of the quote, if somebody proposed them.
    pub proposal: Option<ProposedWording>,
    /// What was said, oldest first. A deleted one keeps its place, without its words.
    pub comments: Vec<Comment>,
    /// The first comment that I have not seen, by number; absent: I have seen all of it.
    pub unread_from: Option<u32>,
    /// Does one of its comments name me?
    pub mentions_me: bool,
    /// Have I written in it?
    pub mine: bool,
    /// Raised by every change of the thread; `If-Match` where two could collide.
    pub version: u32,
    /// What I may do with it.
    pub can: ThreadAbilities,
}

/// What a thread is about, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct AboutShown {
    /// What kind of thing.
    pub kind: AboutKind,
    /// The section, a template key.
    pub section_key: Option<String>,
    /// The goal.
    pub goal_id: Option<Uuid>,
    /// The field that its words stand in, or last stood in.
    pub field: Option<String>,
}

/// Kinds of things that a thread can be about.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[serde(rename_all = "snake_case")]
pub enum AboutKind {
    /// The whole document.
    Document,
    /// A section.
    Section,
    /// A goal.
    Goal,
    /// Words.
    Words,
}

/// Open or resolved.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[serde(rename_all = "snake_case")]
pub enum ThreadState {
    /// Still talked about.
    Open,
    /// Dealt with.
    Resolved,
}

/// Where words stand: two Yjs relative positions (`Y.encodeRelativePosition`, base64). The start belongs to the first character
/// (association 0), the end to the last (association -1). Made by the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Anchor {
    /// The field.
    pub field: String,
    /// Before the first character.
    pub start: String,
    /// After the last.
    pub end: String,
}

/// Words proposed in place of the quote (R12).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct ProposedWording {
    /// The words.
    pub text: String,
    /// What became of them.
    pub state: WordingState,
    /// Who is inserting them, inserted or declined them.
    pub by: Option<Person>,
    /// When.
    pub at: Option<DateTime<Utc>>,
}

/// What became of proposed words.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[serde(rename_all = "snake_case")]
pub enum WordingState {
    /// Nobody has dealt with them.
    Open,
    /// An editor is inserting them at this moment.
    Claimed,
    /// They stand in the text.
    Inserted,
    /// An editor said no.
    Declined,
}

/// What somebody said in a thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Comment {
    /// Stable id.
    pub id: Uuid,
    /// Place in the thread, from 1.
    pub number: u32,
    /// Who.
    pub person: Person,
    /// When.
    pub at: DateTime<Utc>,
    /// What, as plain text with its line breaks; empty when it was deleted.
    pub body: String,
    /// When it was reworded, if it was.
    pub edited_at: Option<DateTime<Utc>>,
    /// When its writer deleted it.
    pub deleted_at: Option<DateTime<Utc>>,
    /// Whom it names.
    pub mentions: Vec<Person>,
    /// Raised by every change of it: `If-Match` of the next.
    pub version: u32,
}

/// What I may do with a thread.
#[expect(clippy::struct_excessive_bools, reason = "each ability is asked for by its name; together they are no state")]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct ThreadAbilities {
    /// Write in it; when it is resolved, with `reopen`.
    pub reply: bool,
    /// Resolve it.
    pub resolve: bool,
    /// Open it again.
    pub reopen: bool,
    /// Insert or decline its proposed words.
    pub insert: bool,
    /// Reword or delete these comments: my own.
    pub edit: Vec<Uuid>,
}

/// What a new thread is to be about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum About {
    /// The whole document.
    Document,
    /// A section.
    Section {
        /// A template key.
        section_key: String,
    },
    /// A goal.
    Goal {
        /// Its id.
        goal_id: Uuid,
    },
    /// Words, as the page has them selected.
    Words {
        /// The field.
        field: String,
        /// Before the first character: a Yjs relative position with association 0, base64.
        start: String,
        /// After the last: a Yjs relative position with association -1, base64.
        end: String,
        /// The words that the writer saw: text blocks joined by a line break.
        quote: String,
    },
}

/// A new thread, `POST /api/documents/{id}/threads`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct NewThread {
    /// Made by the page: sent again, it is the same thread.
    pub id: Uuid,
    /// What it is about.
    pub about: About,
    /// Plain text.
    pub body: String,
    /// People whom the text names; each must be able to read it.
    #[serde(default)]
    pub mentions: Vec<Uuid>,
    /// *Tag op på mødet.*
    #[serde(default)]
    pub for_meeting: bool,
    /// Other words in place of the quote.
    #[serde(default)]
    pub proposal: Option<String>,
    /// The writer was told that something looks like a CPR number and posts it all the same.
    #[serde(default)]
    pub confirmed_personal_data: bool,
}

/// A reply, `POST /api/threads/{id}/comments`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct NewComment {
    /// Made by the page: sent again, it is the same comment.
    pub id: Uuid,
    /// Plain text.
    pub body: String,
    /// People whom the text names.
    #[serde(default)]
    pub mentions: Vec<Uuid>,
    /// *Genåbn og svar*: opens a resolved thread in the same step.
    #[serde(default)]
    pub reopen: bool,
    /// As in [`NewThread`].
    #[serde(default)]
    pub confirmed_personal_data: bool,
}

/// One's own comment in other words, `PATCH /api/comments/{id}` with `If-Match: "<version>"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct CommentEdit {
    /// Plain text.
    pub body: String,
    /// People whom the text names.
    #[serde(default)]
    pub mentions: Vec<Uuid>,
    /// As in [`NewThread`].
    #[serde(default)]
    pub confirmed_personal_data: bool,
}

/// *Tag op på mødet*, `POST /api/threads/{id}/for-meeting`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct ForMeeting {
    /// Take it up, or not after all.
    pub on: bool,
}

/// What became of proposed words, `POST /api/threads/{id}/proposal`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct WordingReport {
    /// What.
    pub outcome: WordingOutcome,
    /// Where the log stood when the words were on disk.
    #[serde(default)]
    pub seq: Option<u64>,
}

/// How proposed words end.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[serde(rename_all = "snake_case")]
pub enum WordingOutcome {
    /// They stand in the text.
    Inserted,
    /// An editor said no.
    Declined,
}

/// People who may be named in a comment, `GET /api/documents/{id}/mentionable?q=`: at most 20, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Mentionable {
    /// The people.
    pub items: Vec<Person>,
}

/// What I have seen, `POST /api/documents/{id}/threads/read`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct ThreadsRead {
    /// For each thread, the number of the last comment seen.
    pub up_to: std::collections::BTreeMap<Uuid, u32>,
}
