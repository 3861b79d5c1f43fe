//! What a person is told: `/api/notifications` and how they want to hear of it, `/api/notification-settings`.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::Person;

/// A kind of thing that one is told.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// A comment names me.
    Mention,
    /// Somebody wrote in a thread that I wrote in.
    Reply,
    /// Somebody began a thread beside an agreement that I am a party of.
    Comment,
    /// Other words were proposed there, or mine were inserted or declined.
    Proposal,
    /// A thread that I wrote in was resolved.
    Resolved,
    /// An agreement of mine waits for my signature. Nobody chooses not to hear of it.
    ReadyToSign,
    /// An agreement that I am a party of, or have signed, was taken back to a draft. Nobody chooses not to hear of it.
    Reopened,
}

/// How one hears of it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[serde(rename_all = "snake_case")]
pub enum NoticeWay {
    /// Not at all.
    Off,
    /// In Samspil.
    InApp,
    /// Also by mail, gathered.
    Digest,
    /// Also by a mail of its own.
    AtOnce,
}

/// Something that one is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct Notice {
    /// Stable id; newer ones are greater.
    pub id: Uuid,
    /// What kind of thing.
    pub kind: NoticeKind,
    /// Who did it.
    pub by: Option<Person>,
    /// *Aftale 2027*.
    pub title: String,
    /// The unit whose agreement it is.
    pub unit: Option<String>,
    /// The words it is about.
    pub quote: Option<String>,
    /// Why it was done, where a reason was given.
    pub reason: Option<String>,
    /// The page that shows it.
    pub path: String,
    /// When.
    pub at: DateTime<Utc>,
    /// I have not seen it yet.
    pub unread: bool,
}

/// `GET /api/notifications`: newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
pub struct NoticeList {
    /// One page of them.
    pub items: Vec<Notice>,
    /// How many I have not seen, on all pages.
    pub unread: u32,
    /// Where the next page begins, as `before`.
    pub next: Option<Uuid>,
}

/// What I have seen, `POST /api/notifications/read`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[serde(deny_unknown_fields)]
pub struct NoticesRead {
    /// This one and everything before it.
    pub up_to: Uuid,
}

/// How I want to hear of each kind: `GET` and `PUT /api/notification-settings`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[serde(deny_unknown_fields)]
pub struct NoticeSettings {
    /// Each kind once, in the order in which they are shown. Kinds that are left out in a `PUT` stay as they are.
    pub items: Vec<NoticeSetting>,
}

/// How I want to hear of one kind.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(export))]
#[serde(deny_unknown_fields)]
pub struct NoticeSetting {
    /// The kind.
    pub kind: NoticeKind,
    /// The way.
    pub way: NoticeWay,
}
