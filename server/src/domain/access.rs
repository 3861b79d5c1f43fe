//! Who may do what with a document at one moment. `abilities` is the one function that guards routes, sockets and pages
//! (design §6); its answer also goes to the client, which never guesses.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Europe::Copenhagen;
pub use samspil_client_protocol::api::{Abilities, Party, ReadOnlyBecause};
use samspil_evidence::statement::Mandate;

use super::{
    document::{AgreementStatus, DocumentKind, Status},
    ids::{DocumentId, OrgId, PersonId},
    principal::{Principal, Role},
};

/// What decides who may do what with one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentAccess {
    /// The document.
    pub document: DocumentId,
    /// Its kind.
    pub kind: DocumentKind,
    /// Where it is in its life.
    pub status: Status,
    /// For agreements: the unit and the parties.
    pub agreement: Option<AgreementAccess>,
    /// Sharing with named people.
    pub grants: Vec<Grant>,
}

/// The agreement's part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgreementAccess {
    /// The unit.
    pub unit: OrgId,
    /// The nodes above the unit, nearest first.
    pub above: Vec<OrgId>,
    /// One party.
    pub unit_leader: PersonId,
    /// The other.
    pub counterpart: PersonId,
}

/// A share of a document with one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// With whom.
    pub person: PersonId,
    /// Comment too, or only read.
    pub kind: GrantKind,
    /// Until when; `None` until it is taken away.
    pub until: Option<DateTime<Utc>>,
}

/// What a grant gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantKind {
    /// Read.
    Read,
    /// Read and comment.
    Comment,
}

/// The day it is in Denmark at this moment: placements and periods count in days there.
#[must_use]
pub fn danish_day(now: DateTime<Utc>) -> NaiveDate {
    now.with_timezone(&Copenhagen).date_naive()
}

/// What this person may do with this document now. All false: for them the document does not exist.
#[must_use]
pub fn abilities(principal: &Principal, document: &DocumentAccess, now: DateTime<Utc>) -> Abilities {
    let day = danish_day(now);
    let party = document.agreement.as_ref().and_then(|agreement| party(principal, agreement, day));
    let granted = document.grants.iter().find(|grant| grant.person == principal.person && grant.until.is_none_or(|until| now < until));
    let comments =
        party.is_some() || granted.is_some_and(|grant| grant.kind == GrantKind::Comment) || comments_by_place(principal, document, day);
    let read = comments || granted.is_some() || reads_by_place(principal, document, day);
    let writes = party.is_some() || writes_by_place(principal, document, day);
    let closed = closed_because(document.status);
    Abilities {
        read,
        comment: comments,
        edit: read && writes && closed.is_none(),
        read_only_because: if !read {
            None
        } else if let Some(reason) = closed {
            Some(reason)
        } else if writes {
            None
        } else {
            Some(ReadOnlyBecause::NotAParty)
        },
        party,
        history: party.is_some(),
    }
}

/// By what right somebody acts for one side of an agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// For which side.
    pub party: Party,
    /// As the party, as acting leader, or in the party's place.
    pub mandate: Mandate,
}

/// On which side this person is a party today, and by what right: as one of the two, by appointment or as a substitute. Who is a party
/// is not also somebody's substitute: of several rights the one of one's own counts.
#[must_use]
pub fn standing(principal: &Principal, agreement: &AgreementAccess, day: NaiveDate) -> Option<Standing> {
    let by = |placement: &super::principal::Placement| {
        let own = |party, mandate| Some(Standing { party, mandate });
        match placement.role {
            Role::UnitLeader if placement.org == agreement.unit && principal.person == agreement.unit_leader => {
                own(Party::UnitLeader, Mandate::Own)
            }
            Role::ActingUnitLeader if placement.org == agreement.unit && principal.person == agreement.unit_leader => {
                own(Party::UnitLeader, Mandate::Acting)
            }
            Role::Director | Role::HeadOfDepartment
                if principal.person == agreement.counterpart && agreement.above.contains(&placement.org) =>
            {
                own(Party::Counterpart, Mandate::Own)
            }
            Role::SubstituteUnitLeader if placement.org == agreement.unit => own(Party::UnitLeader, Mandate::Substitute),
            Role::SubstituteCounterpart if placement.org == agreement.unit => own(Party::Counterpart, Mandate::Substitute),
            _ => None,
        }
    };
    principal.standing_on(day).filter_map(by).min_by_key(|standing| (standing.mandate as u8, standing.party == Party::Counterpart))
}

fn party(principal: &Principal, agreement: &AgreementAccess, day: NaiveDate) -> Option<Party> {
    standing(principal, agreement, day).map(|standing| standing.party)
}

/// Directors and heads above, the unit's people and the secretariat read and comment. Whoever leads the unit today is one of
/// its people, also where the agreement names an earlier leader as its party. The executive board comments on its own strategy.
fn comments_by_place(principal: &Principal, document: &DocumentAccess, day: NaiveDate) -> bool {
    principal.standing_on(day).any(|placement| match (placement.role, &document.agreement) {
        (Role::Secretariat, _) => true,
        (Role::Director | Role::HeadOfDepartment, Some(agreement)) => {
            placement.org == agreement.unit || agreement.above.contains(&placement.org)
        }
        (Role::UnitLeader | Role::ActingUnitLeader | Role::UnitContributor, Some(agreement)) => placement.org == agreement.unit,
        (Role::Executive, None) => matches!(document.kind, DocumentKind::ExecutiveStrategy | DocumentKind::Guideline),
        _ => false,
    })
}

fn reads_by_place(principal: &Principal, document: &DocumentAccess, day: NaiveDate) -> bool {
    match document.status {
        // Everybody signed in reads adopted documents.
        Status::Adopted | Status::Superseded => true,
        Status::InPreparation => false,
        Status::Agreement(status) => principal.standing_on(day).any(|placement| match placement.role {
            Role::Executive => true,
            Role::CouncilMember | Role::CommitteeChair | Role::RecordsOfficer | Role::Auditor => {
                matches!(status, AgreementStatus::Signed | AgreementStatus::Closed | AgreementStatus::Superseded)
            }
            _ => false,
        }),
    }
}

/// Who writes in documents that are not agreements: the secretariat in the political ones, the executive board in its own
/// strategy, and either in the guidelines.
fn writes_by_place(principal: &Principal, document: &DocumentAccess, day: NaiveDate) -> bool {
    match document.kind {
        DocumentKind::Agreement => false,
        DocumentKind::ExecutiveStrategy => principal.is(Role::Executive, day),
        DocumentKind::Guideline => principal.is(Role::Executive, day) || principal.is(Role::Secretariat, day),
        DocumentKind::Vision | DocumentKind::Policy | DocumentKind::Strategy | DocumentKind::Budget => principal.is(Role::Secretariat, day),
    }
}

/// Why nobody writes in a document of this status, if nobody does.
fn closed_because(status: Status) -> Option<ReadOnlyBecause> {
    match status {
        Status::Agreement(
            AgreementStatus::NotStarted | AgreementStatus::Drafting | AgreementStatus::InDialogue | AgreementStatus::Reopened,
        )
        | Status::InPreparation => None,
        Status::Agreement(AgreementStatus::ReadyToSign | AgreementStatus::PartlySigned) => Some(ReadOnlyBecause::Frozen),
        Status::Agreement(AgreementStatus::Signed) | Status::Adopted => Some(ReadOnlyBecause::Final),
        Status::Agreement(AgreementStatus::Closed | AgreementStatus::Superseded) | Status::Superseded => Some(ReadOnlyBecause::Closed),
    }
}

#[cfg(test)]
mod tests;
