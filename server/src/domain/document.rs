//! A governance document: its kind and where it is in its life. The difference between kinds is data, not code paths.

pub use samspil_client_protocol::api::AgreementStatus;

/// What a governance document is (domain part A2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DocumentKind {
    /// *Aftale.*
    Agreement,
    /// *Politisk vision.*
    Vision,
    /// *Politik.*
    Policy,
    /// *Strategi.*
    Strategy,
    /// *Budget.*
    Budget,
    /// *Direktionens strategi.*
    ExecutiveStrategy,
    /// *Retningslinje.*
    Guideline,
}

const KINDS: [(DocumentKind, &str); 7] = [
    (DocumentKind::Agreement, "agreement"),
    (DocumentKind::Vision, "vision"),
    (DocumentKind::Policy, "policy"),
    (DocumentKind::Strategy, "strategy"),
    (DocumentKind::Budget, "budget"),
    (DocumentKind::ExecutiveStrategy, "executive_strategy"),
    (DocumentKind::Guideline, "guideline"),
];

impl DocumentKind {
    /// Its id in the database and on the wire.
    #[must_use]
    pub fn id(self) -> &'static str {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or("", |(_, id)| id)
    }

    /// The kind of this id.
    #[must_use]
    pub fn from_id(id: &str) -> Option<Self> {
        KINDS.iter().find(|(_, name)| *name == id).map(|(kind, _)| *kind)
    }
}

/// Where a document of any kind is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// An agreement's status.
    Agreement(AgreementStatus),
    /// Being prepared (the other kinds).
    InPreparation,
    /// Adopted by its body.
    Adopted,
    /// Replaced by a later version.
    Superseded,
}

const STATUSES: [(Status, &str); 11] = [
    (Status::Agreement(AgreementStatus::NotStarted), "not_started"),
    (Status::Agreement(AgreementStatus::Drafting), "drafting"),
    (Status::Agreement(AgreementStatus::InDialogue), "in_dialogue"),
    (Status::Agreement(AgreementStatus::ReadyToSign), "ready_to_sign"),
    (Status::Agreement(AgreementStatus::PartlySigned), "partly_signed"),
    (Status::Agreement(AgreementStatus::Signed), "signed"),
    (Status::Agreement(AgreementStatus::Reopened), "reopened"),
    (Status::Agreement(AgreementStatus::Closed), "closed"),
    (Status::Agreement(AgreementStatus::Superseded), "superseded"),
    (Status::InPreparation, "in_preparation"),
    (Status::Adopted, "adopted"),
];

impl Status {
    /// The status that the database calls this, for a document of this kind.
    #[must_use]
    pub fn from_id(kind: DocumentKind, id: &str) -> Option<Self> {
        if id == "superseded" && kind != DocumentKind::Agreement {
            return Some(Status::Superseded);
        }
        let status = STATUSES.iter().find(|(_, name)| *name == id).map(|(status, _)| *status)?;
        (matches!(status, Status::Agreement(_)) == (kind == DocumentKind::Agreement)).then_some(status)
    }

    /// What the database calls it.
    #[must_use]
    pub fn id(self) -> &'static str {
        STATUSES.iter().find(|(status, _)| *status == self).map_or("superseded", |(_, name)| name)
    }
}
