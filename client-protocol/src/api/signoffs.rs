//! Entering into an agreement: what the page for it shows, and what checking a document answers.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{AgreementStatus, Party, Person};

/// What is signed, who has and what I may do: `GET /api/documents/{id}/signing`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Signing {
    /// The agreement.
    pub agreement_id: Uuid,
    /// The version, from 1.
    pub version: u32,
    /// Where it is in its life.
    pub status: AgreementStatus,
    /// The text that is signed; absent while it is written in, or when it is not held here.
    pub frozen: Option<FrozenText>,
    /// Both sides, the unit's first.
    pub sides: Vec<SigningSide>,
    /// Signatures that do not stand any more, newest first.
    pub lapsed: Vec<SignedBy>,
    /// What I may do now.
    pub mine: Option<MyApproval>,
    /// Why not, if I am a party: `not_frozen`, `already_signed`, `both_sides`.
    pub refused: Option<String>,
    /// Is there an evidence package?
    pub has_package: bool,
    /// When the checkpoint that has all of it was made.
    pub checkpoint_at: Option<DateTime<Utc>>,
    /// When an outside authority stamped a checkpoint that has the last approval; absent: not yet.
    pub stamped_at: Option<DateTime<Utc>>,
    /// Are outside authorities asked at all?
    pub stamps_asked: bool,
    /// In a demonstration: it proves nothing about anybody.
    pub demonstration: bool,
    /// The server's now.
    pub now: DateTime<Utc>,
}

/// The text that is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct FrozenText {
    /// What people call the revision.
    pub revision: u32,
    /// SHA-256 of its canonical content, in hexadecimal.
    pub content_sha256: String,
    /// When it was frozen.
    pub at: DateTime<Utc>,
    /// Who froze it, if that is known.
    pub person: Option<Person>,
}

/// One side of an agreement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct SigningSide {
    /// Which.
    pub party: Party,
    /// Who the party is.
    pub person: Person,
    /// The signature that stands.
    pub signature: Option<SignedBy>,
}

/// A signature, and how it was proved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct SignedBy {
    /// Who.
    pub person: Person,
    /// For which side.
    pub party: Party,
    /// In whose place, when it is a substitute.
    pub on_behalf_of: Option<String>,
    /// As acting leader.
    pub acting: bool,
    /// When.
    pub signed_at: DateTime<Utc>,
    /// Which revision.
    pub revision: u32,
    /// When the identity provider authenticated the person.
    pub auth_time: DateTime<Utc>,
    /// At which level, if it said.
    pub acr: Option<String>,
    /// What proves it.
    pub proof: ProofKind,
    /// SHA-256 of the statement, in hexadecimal; absent where the evidence is not held here.
    pub statement_sha256: Option<String>,
    /// Why it does not stand any more.
    pub lapsed_because: Option<String>,
    /// Since when not, if that is known.
    pub lapsed_at: Option<DateTime<Utc>>,
}

/// What proves a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[serde(rename_all = "snake_case")]
pub enum ProofKind {
    /// A sign-in made for it, held here with its seal.
    FreshSignIn,
    /// Evidence made for a demonstration.
    Demonstration,
    /// It was brought in; its evidence is not held here.
    Imported,
}

/// What I may approve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct MyApproval {
    /// For which side.
    pub party: Party,
    /// In whose place, when I am a substitute.
    pub on_behalf_of: Option<Person>,
    /// The words that I agree to.
    pub consent: String,
}

/// `POST /api/documents/{id}/approvals`: I want to approve what my page has shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct NewApproval {
    /// SHA-256 of the bytes that the page has shown, computed by the page, in hexadecimal.
    pub content_sha256: String,
    /// The words beside the button, as the page has shown them. Other words are not agreed to.
    pub consent: String,
    /// The language in which the words were read: `da` or `en`.
    pub locale: String,
}

/// Where to prove who one is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct ApprovalBegun {
    /// An address at the identity provider.
    pub redirect_to: String,
}

/// What checking a document found: `POST /api/verifications`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Verification {
    /// What the file is.
    pub kind: FileKind,
    /// Nothing in it is broken, and every approval in it was proven.
    pub holds: bool,
    /// The checks, in order; after a broken one those that build on it are left out.
    pub lines: Vec<CheckLine>,
    /// Name of the key that sealed it.
    pub key: Option<String>,
    /// The key is one of this server's.
    pub own_key: bool,
    /// SHA-256 of the content, in hexadecimal.
    pub content_sha256: Option<String>,
    /// What was approved, in words; empty where nothing holds.
    pub approvals: Vec<CheckedApproval>,
}

/// What a file that is checked is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// An evidence package, whole or not.
    Package,
    /// A PDF alone: it does not prove anything by itself.
    Pdf,
    /// Something else.
    Other,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct CheckLine {
    /// What was checked, e.g. `manifest`; the page words it.
    pub check: String,
    /// Whose approval it is about.
    pub party: Option<Party>,
    /// What came of it.
    pub outcome: CheckOutcome,
    /// Why it does not hold, or what it waits for, e.g. `altered`.
    pub reason: Option<String>,
    /// The file, key or event it is about.
    pub about: Option<String>,
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[serde(rename_all = "snake_case")]
pub enum CheckOutcome {
    /// It holds.
    Holds,
    /// It is not there yet.
    Waits,
    /// It is only shown: nobody has approved anything.
    Demonstration,
    /// It does not hold.
    Broken,
}

/// An approval that holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct CheckedApproval {
    /// For which side.
    pub party: Party,
    /// Who.
    pub name: String,
    /// Their title.
    pub title: String,
    /// In whose place.
    pub on_behalf_of: Option<String>,
    /// *Aftale 2027 · Fjordskolen*.
    pub agreement: String,
    /// The municipality.
    pub municipality: String,
    /// Which revision.
    pub revision: u32,
    /// When the button was pressed.
    pub at: DateTime<Utc>,
    /// When the person signed in for it; absent: nobody did, it is only shown.
    pub auth_time: Option<DateTime<Utc>>,
    /// The issuer that says so.
    pub issuer: String,
    /// Made in a demonstration.
    pub demonstration: bool,
}

/// How a signed agreement's way to the records system stands: `GET /api/documents/{id}/journal`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Delivery {
    /// `queued`, `retrying`, `delivered`, `given_up`.
    pub status: String,
    /// The case it was filed under.
    pub case_number: Option<String>,
    /// When it arrived.
    pub delivered_at: Option<DateTime<Utc>>,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it did not arrive the last time; only for whoever can do something about it.
    pub error: Option<String>,
    /// May I have it tried again?
    pub may_retry: bool,
}
