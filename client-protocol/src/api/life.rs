//! An agreement's way to its signatures and beyond: freezing its text, taking it back, and the next version.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{AgreementStatus, Party, Person};

/// Freezes the text for signing, `POST /api/documents/{id}/freeze`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// Why it is signed without the dialogue that is missing: ten characters or more, from the director or head of department.
    pub override_dialogue: Option<String>,
}

/// Takes a frozen text back to a draft, `POST /api/documents/{id}/reopen`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[serde(deny_unknown_fields)]
pub struct Reopen {
    /// Why: ten characters or more. Those concerned read it, in Samspil and in a mail.
    pub reason: String,
}

/// What I may do with an agreement now besides writing in it. Made by one function on the server; the client never guesses.
#[expect(clippy::struct_excessive_bools, reason = "each step is asked for by its name; together they are no state")]
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Steps {
    /// Freeze the text for signing: all is in place.
    pub freeze: bool,
    /// Freeze it although the dialogue is missing, with a reason, once the rest is in place.
    pub override_dialogue: bool,
    /// Take it back to a draft.
    pub reopen: bool,
    /// Begin the next version.
    pub renew: bool,
}

/// A version of an agreement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct AgreementVersion {
    /// The document.
    pub document_id: Uuid,
    /// Which, from 1.
    pub version: u32,
    /// Where it is in its life.
    pub status: AgreementStatus,
    /// *Gældende*: the newest that both have signed.
    pub in_force: bool,
}

/// Something that happened in an agreement's life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct LifeEvent {
    /// What: `created`, `frozen`, `signed`, `reopened`, `signature_invalidated`, `new_version` …; the page words it.
    pub kind: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Who, if a person did it.
    pub person: Option<Person>,
    /// The status it led to.
    pub status: Option<AgreementStatus>,
    /// Which revision.
    pub revision: Option<u32>,
    /// On which side.
    pub party: Option<Party>,
    /// Why; of a freeze: why it was made without the dialogue that was missing.
    pub reason: Option<String>,
}

/// What a version says otherwise than an earlier one, `GET /api/documents/{id}/changes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct VersionChanges {
    /// The earlier version.
    pub since: u32,
    /// The places that changed, in the order of the text; what is gone comes last.
    pub places: Vec<PlaceChange>,
}

/// A section or goal that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct PlaceChange {
    /// A section key or goal id.
    pub place: String,
    /// Its title.
    pub title: String,
    /// Its words, old and new, in reading order.
    pub pieces: Vec<Piece>,
}

/// Words that are the same, new or gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Piece {
    /// Which.
    pub kind: PieceKind,
    /// The words, with the white space and line breaks that belong to them.
    pub text: String,
}

/// What became of words.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[serde(rename_all = "snake_case")]
pub enum PieceKind {
    /// They stand as before.
    Same,
    /// They are new.
    Inserted,
    /// They are gone.
    Deleted,
}
