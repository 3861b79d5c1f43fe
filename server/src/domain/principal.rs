//! Who asks: a signed-in person with the roles their token carried and the places where the organisation has put them.

use std::collections::BTreeSet;

use chrono::NaiveDate;

use super::ids::{OrgId, PersonId, SessionId};

/// A role as `roles.json` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// *Kommunalbestyrelsesmedlem.*
    CouncilMember,
    /// *Udvalgsformand.*
    CommitteeChair,
    /// *Medlem af direktionen.*
    Executive,
    /// *Direktør.*
    Director,
    /// *Fagchef.*
    HeadOfDepartment,
    /// *Leder af aftaleenhed.*
    UnitLeader,
    /// *Konstitueret leder*: within its dates as the leader.
    ActingUnitLeader,
    /// Stands in for the unit's leader within its dates.
    SubstituteUnitLeader,
    /// Stands in for the director or head of department within its dates.
    SubstituteCounterpart,
    /// *Medarbejder i enheden.*
    UnitContributor,
    /// *Bestyrelses- eller brugerrådsmedlem.*
    BoardMember,
    /// *Strategisekretariat.*
    Secretariat,
    /// *Journalmedarbejder.*
    RecordsOfficer,
    /// *Revisor.*
    Auditor,
    /// *Systemadministrator.*
    Admin,
}

const NAMES: [(Role, &str); 15] = [
    (Role::CouncilMember, "council_member"),
    (Role::CommitteeChair, "committee_chair"),
    (Role::Executive, "executive"),
    (Role::Director, "director"),
    (Role::HeadOfDepartment, "head_of_department"),
    (Role::UnitLeader, "unit_leader"),
    (Role::ActingUnitLeader, "acting_unit_leader"),
    (Role::SubstituteUnitLeader, "substitute_unit_leader"),
    (Role::SubstituteCounterpart, "substitute_counterpart"),
    (Role::UnitContributor, "unit_contributor"),
    (Role::BoardMember, "board_member"),
    (Role::Secretariat, "secretariat"),
    (Role::RecordsOfficer, "records_officer"),
    (Role::Auditor, "auditor"),
    (Role::Admin, "admin"),
];

impl Role {
    /// The role of this id, if it is one of ours.
    #[must_use]
    pub fn from_id(id: &str) -> Option<Self> {
        NAMES.iter().find(|(_, name)| *name == id).map(|(role, _)| *role)
    }

    /// Every role.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(role, _)| *role)
    }

    /// Its id.
    #[must_use]
    pub fn id(self) -> &'static str {
        NAMES.iter().find(|(role, _)| *role == self).map_or("", |(_, name)| name)
    }

    /// The token role that must be there for a placement in this role to count: `unit_leader` in the token covers acting
    /// leaders, substitutes and appointments by date (design §6).
    #[must_use]
    pub fn in_token(self) -> &'static [Role] {
        match self {
            Role::ActingUnitLeader | Role::SubstituteUnitLeader => &[Role::UnitLeader, Role::ActingUnitLeader],
            Role::SubstituteCounterpart => &[Role::Director, Role::HeadOfDepartment, Role::UnitLeader],
            Role::CouncilMember => &[Role::CouncilMember],
            Role::CommitteeChair => &[Role::CommitteeChair],
            Role::Executive => &[Role::Executive],
            Role::Director => &[Role::Director],
            Role::HeadOfDepartment => &[Role::HeadOfDepartment],
            Role::UnitLeader => &[Role::UnitLeader],
            Role::UnitContributor => &[Role::UnitContributor],
            Role::BoardMember => &[Role::BoardMember],
            Role::Secretariat => &[Role::Secretariat],
            Role::RecordsOfficer => &[Role::RecordsOfficer],
            Role::Auditor => &[Role::Auditor],
            Role::Admin => &[Role::Admin],
        }
    }
}

/// Where the organisation has put a person, in a role, between two days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// In which role.
    pub role: Role,
    /// At which node.
    pub org: OrgId,
    /// First day; `None` always was.
    pub from: Option<NaiveDate>,
    /// Last day; `None` until further notice.
    pub to: Option<NaiveDate>,
}

impl Placement {
    fn holds_on(&self, day: NaiveDate) -> bool {
        self.from.is_none_or(|from| from <= day) && self.to.is_none_or(|to| day <= to)
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The person.
    pub person: PersonId,
    /// The sign-in.
    pub session: SessionId,
    /// What the token says they may be.
    pub token_roles: BTreeSet<Role>,
    /// Where the organisation has put them.
    pub placements: Vec<Placement>,
}

impl Principal {
    /// Somebody who is not signed in, as far as the organisation's data tells: for what is sent to them, and for who can be named.
    #[must_use]
    pub fn as_placed(person: PersonId, placements: Vec<Placement>) -> Self {
        let token_roles = placements.iter().flat_map(|placement| placement.role.in_token().iter().copied()).collect();
        Self { person, session: SessionId(uuid::Uuid::nil()), token_roles, placements }
    }

    /// The placements that count on this day: the token carries the role *and* the organisation places the person.
    pub fn standing_on(&self, day: NaiveDate) -> impl Iterator<Item = &Placement> {
        self.placements.iter().filter(move |placement| {
            placement.holds_on(day) && placement.role.in_token().iter().any(|role| self.token_roles.contains(role))
        })
    }

    /// Does the person hold this role anywhere on this day?
    #[must_use]
    pub fn is(&self, role: Role, day: NaiveDate) -> bool {
        self.standing_on(day).any(|placement| placement.role == role)
    }
}
