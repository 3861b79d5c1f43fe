//! The bodies of Samspil's own frames, numbered from 100 (SPEC H1–H6).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::api::Abilities;

/// `100 hello`, the first frame on a `samspil.v1` socket (SPEC H2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Hello {
    /// The document's schema version; a client that does not know it opens read-only.
    pub schema: u32,
    /// This connection's name within the room. Presence of others carries it too.
    pub peer_id: u32,
    /// Who you are, as others see you here.
    pub person: PeerPerson,
    /// What you may do at this moment.
    pub abilities: Abilities,
    /// Limits that a client can keep to by itself.
    pub limits: Limits,
    /// The build of the server; a page made by another build reloads itself once nothing is unsent.
    pub build: String,
    /// Where the log stands.
    pub seq: u64,
    /// How often the text has been frozen for signing. Words that were written under a lower count are kept apart, never sent (SPEC S8).
    pub freezes: u32,
}

/// Limits of a live socket, by the names of `config.rs` (SPEC L).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Limits {
    /// Bytes in one frame.
    pub frame_bytes_max: u32,
    /// Update frames a second, sustained.
    pub peer_updates_per_s: u32,
    /// Bytes of one awareness state.
    pub presence_bytes_max: u32,
}

/// A person as shown beside a caret. The server writes it; what a client claims is not relayed (SPEC P3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct PeerPerson {
    /// The person.
    pub id: Uuid,
    /// Name as people say it.
    pub name: String,
    /// Two letters for the ring.
    pub initials: String,
    /// 1–5: which of the five person colours (`--p1` … `--p5`); stable within a document.
    pub colour: u8,
}

/// Why a frame was refused (SPEC R1–R10; the rules of admission).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// Bytes that are no update (rules 1–4).
    Malformed,
    /// Larger than a limit allows (rule 1).
    TooLarge,
    /// It builds on something that is not here yet (rules 5 and 6).
    Gap,
    /// It builds on something that is gone (rule 6, dead blocks).
    Dead,
    /// It writes outside what the schema knows (rules 7 and 9).
    Schema,
    /// This person may not write here.
    ReadOnly,
    /// The text is frozen.
    Frozen,
    /// The client id belongs to somebody else, or is retired (rule 8).
    ClientId,
    /// The document has reached its largest size.
    DocumentFull,
    /// Nothing can be saved at the moment.
    NotSaving,
    /// The server ended while it applied this, twice: it is not tried again (rule 10).
    Quarantined,
}

/// What a client does after a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[serde(rename_all = "snake_case")]
pub enum RefusalAction {
    /// Answer the sync step 1 that follows; nothing is lost.
    Resync,
    /// Keep my own unsaved words apart as a proposal and start afresh under a new client id.
    KeepAsProposal,
    /// Start afresh under a new client id and place my own unsaved words again.
    NewClientId,
    /// Sign in again; my words stay with me.
    SignIn,
}

/// `102 refused` (SPEC H4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Refused {
    /// Which of my update frames on this connection, counted as in `saved`.
    pub frame: u64,
    /// Why.
    pub code: RefusalCode,
    /// What to do.
    pub action: RefusalAction,
}

/// `103 event`: what the page should fetch or show (SPEC H5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// The agreement's status, parties or meetings changed: fetch its view again.
    AgreementChanged,
    /// A comment thread changed.
    ThreadChanged {
        /// Which.
        thread_id: Uuid,
    },
    /// The document comes near its largest size: said to those who may write in it, when it does and after each `hello` (SPEC L5, L6).
    NearlyFull,
}

/// `104 ability`: what you may do has changed (SPEC H6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct AbilityChanged {
    /// What holds from now on.
    pub abilities: Abilities,
    /// Why.
    pub reason: AbilityReason,
}

/// Why abilities changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[serde(rename_all = "snake_case")]
pub enum AbilityReason {
    /// The text was frozen for signing.
    Frozen,
    /// A right was taken away.
    Revoked,
    /// The document has reached its largest size.
    Full,
    /// Writing is possible again; take a new client id before the first key.
    Restored,
}
