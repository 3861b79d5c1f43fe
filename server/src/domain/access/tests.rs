//! A table of cases: who, which document, which day, and what they may.
//!
//! The organisation is a small one: a unit below a department below a directorate below the executive board, and another unit
//! beside it. *May* is written as four letters: `r` read, `c` comment, `e` edit, `h` history; `-` where not.

use std::collections::BTreeSet;

use chrono::TimeZone;
use uuid::Uuid;

use super::*;
use crate::domain::{ids::SessionId, principal::Placement};

const UNIT: OrgId = OrgId(Uuid::from_u128(1));
const DEPARTMENT: OrgId = OrgId(Uuid::from_u128(2));
const DIRECTORATE: OrgId = OrgId(Uuid::from_u128(3));
const BOARD_OF_EXECUTIVES: OrgId = OrgId(Uuid::from_u128(4));
const OTHER_UNIT: OrgId = OrgId(Uuid::from_u128(5));
const OTHER_DIRECTORATE: OrgId = OrgId(Uuid::from_u128(6));
const COUNCIL: OrgId = OrgId(Uuid::from_u128(7));
const LEADER: PersonId = PersonId(Uuid::from_u128(101));
const COUNTERPART: PersonId = PersonId(Uuid::from_u128(102));
const SOMEBODY: PersonId = PersonId(Uuid::from_u128(103));

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn noon(text: &str) -> DateTime<Utc> {
    day(text).and_hms_opt(12, 0, 0).unwrap().and_utc()
}

/// A person who stands at a node in a role that the token carries too.
fn stands(person: PersonId, role: Role, org: OrgId) -> Principal {
    Principal {
        person,
        session: SessionId(Uuid::nil()),
        token_roles: BTreeSet::from([role]),
        placements: vec![Placement { role, org, from: None, to: None }],
    }
}

/// A stranger: signed in, with no role and no place.
fn nobody() -> Principal {
    Principal { person: SOMEBODY, session: SessionId(Uuid::nil()), token_roles: BTreeSet::new(), placements: vec![] }
}

fn between(mut principal: Principal, from: &str, to: &str) -> Principal {
    for placement in &mut principal.placements {
        placement.from = Some(day(from));
        placement.to = Some(day(to));
    }
    principal
}

fn with_token(mut principal: Principal, roles: &[Role]) -> Principal {
    principal.token_roles = roles.iter().copied().collect();
    principal
}

fn agreement(status: AgreementStatus) -> DocumentAccess {
    DocumentAccess {
        document: DocumentId(Uuid::from_u128(201)),
        kind: DocumentKind::Agreement,
        status: Status::Agreement(status),
        agreement: Some(AgreementAccess {
            unit: UNIT,
            above: vec![DEPARTMENT, DIRECTORATE, BOARD_OF_EXECUTIVES],
            unit_leader: LEADER,
            counterpart: COUNTERPART,
        }),
        grants: vec![],
    }
}

fn document(kind: DocumentKind, status: Status) -> DocumentAccess {
    DocumentAccess { document: DocumentId(Uuid::from_u128(202)), kind, status, agreement: None, grants: vec![] }
}

fn shared(mut document: DocumentAccess, kind: GrantKind, until: Option<&str>) -> DocumentAccess {
    document.grants.push(Grant { person: SOMEBODY, kind, until: until.map(noon) });
    document
}

fn may(principal: &Principal, document: &DocumentAccess, now: DateTime<Utc>) -> String {
    let abilities = abilities(principal, document, now);
    [(abilities.read, 'r'), (abilities.comment, 'c'), (abilities.edit, 'e'), (abilities.history, 'h')]
        .into_iter()
        .map(|(may, letter)| if may { letter } else { '-' })
        .collect()
}

#[track_caller]
fn check(name: &str, principal: &Principal, document: &DocumentAccess, expected: &str) {
    assert_eq!(may(principal, document, noon("2026-11-23")), expected, "{name}: {:?}", document.status);
}

const OPEN: [AgreementStatus; 4] =
    [AgreementStatus::NotStarted, AgreementStatus::Drafting, AgreementStatus::InDialogue, AgreementStatus::Reopened];
const FROZEN: [AgreementStatus; 2] = [AgreementStatus::ReadyToSign, AgreementStatus::PartlySigned];
const FINAL: [AgreementStatus; 3] = [AgreementStatus::Signed, AgreementStatus::Closed, AgreementStatus::Superseded];

#[test]
fn every_role_in_every_phase_of_an_agreement() {
    use Role::{
        ActingUnitLeader, Admin, Auditor, BoardMember, CommitteeChair, CouncilMember, Director, Executive, HeadOfDepartment,
        RecordsOfficer, Secretariat, SubstituteCounterpart, SubstituteUnitLeader, UnitContributor, UnitLeader,
    };
    // Who, then what they may while the text is open, frozen, and final.
    let table = [
        ("leader who is a party", stands(LEADER, UnitLeader, UNIT), ["rceh", "rc-h", "rc-h"]),
        ("acting leader who is a party", stands(LEADER, ActingUnitLeader, UNIT), ["rceh", "rc-h", "rc-h"]),
        ("new leader whom the agreement does not name", stands(SOMEBODY, UnitLeader, UNIT), ["rc--"; 3]),
        ("leader of another unit", stands(SOMEBODY, UnitLeader, OTHER_UNIT), ["----"; 3]),
        ("named leader who now leads another unit", stands(LEADER, UnitLeader, OTHER_UNIT), ["----"; 3]),
        ("counterpart as head of department", stands(COUNTERPART, HeadOfDepartment, DEPARTMENT), ["rceh", "rc-h", "rc-h"]),
        ("counterpart as director", stands(COUNTERPART, Director, DIRECTORATE), ["rceh", "rc-h", "rc-h"]),
        ("named counterpart who now heads another directorate", stands(COUNTERPART, Director, OTHER_DIRECTORATE), ["----"; 3]),
        ("director above, not the counterpart", stands(SOMEBODY, Director, DIRECTORATE), ["rc--"; 3]),
        ("head of department above, not the counterpart", stands(SOMEBODY, HeadOfDepartment, DEPARTMENT), ["rc--"; 3]),
        ("director of another directorate", stands(SOMEBODY, Director, OTHER_DIRECTORATE), ["----"; 3]),
        ("one of the unit's people", stands(SOMEBODY, UnitContributor, UNIT), ["rc--"; 3]),
        ("one of another unit's people", stands(SOMEBODY, UnitContributor, OTHER_UNIT), ["----"; 3]),
        ("substitute for the leader", stands(SOMEBODY, SubstituteUnitLeader, UNIT), ["rceh", "rc-h", "rc-h"]),
        ("substitute for the counterpart", stands(SOMEBODY, SubstituteCounterpart, UNIT), ["rceh", "rc-h", "rc-h"]),
        ("substitute in another unit", stands(SOMEBODY, SubstituteUnitLeader, OTHER_UNIT), ["----"; 3]),
        ("secretariat", stands(SOMEBODY, Secretariat, DIRECTORATE), ["rc--"; 3]),
        ("member of the executive board", stands(SOMEBODY, Executive, BOARD_OF_EXECUTIVES), ["r---"; 3]),
        ("council member", stands(SOMEBODY, CouncilMember, COUNCIL), ["----", "----", "r---"]),
        ("committee chair", stands(SOMEBODY, CommitteeChair, COUNCIL), ["----", "----", "r---"]),
        ("records officer", stands(SOMEBODY, RecordsOfficer, DIRECTORATE), ["----", "----", "r---"]),
        ("auditor", stands(SOMEBODY, Auditor, DIRECTORATE), ["----", "----", "r---"]),
        ("administrator", stands(SOMEBODY, Admin, DIRECTORATE), ["----"; 3]),
        ("board member without a share", stands(SOMEBODY, BoardMember, UNIT), ["----"; 3]),
        ("nobody in particular", nobody(), ["----"; 3]),
    ];
    for (name, principal, [open, frozen, last]) in table {
        let phases = [(&OPEN[..], open), (&FROZEN[..], frozen), (&FINAL[..], last)];
        for (status, expected) in phases.into_iter().flat_map(|(statuses, expected)| statuses.iter().map(move |s| (*s, expected))) {
            check(name, &with_token(principal.clone(), &granting(&principal)), &agreement(status), expected);
        }
    }
}

/// The token that such a person carries: `unit_leader` covers acting leaders and the leader's substitutes.
fn granting(principal: &Principal) -> Vec<Role> {
    principal
        .token_roles
        .iter()
        .map(|role| match role {
            Role::ActingUnitLeader | Role::SubstituteUnitLeader => Role::UnitLeader,
            Role::SubstituteCounterpart => Role::HeadOfDepartment,
            role => *role,
        })
        .collect()
}

#[test]
fn every_role_with_the_other_kinds_of_documents() {
    use DocumentKind::{Budget, ExecutiveStrategy, Guideline, Policy, Strategy, Vision};
    use Role::{
        Admin, Auditor, BoardMember, CommitteeChair, CouncilMember, Director, Executive, HeadOfDepartment, RecordsOfficer, Secretariat,
        UnitContributor, UnitLeader,
    };
    let political = [Vision, Policy, Strategy, Budget];
    for role in [
        CouncilMember,
        CommitteeChair,
        Executive,
        Director,
        HeadOfDepartment,
        UnitLeader,
        UnitContributor,
        BoardMember,
        Secretariat,
        RecordsOfficer,
        Auditor,
        Admin,
    ] {
        let principal = stands(SOMEBODY, role, DIRECTORATE);
        let secretariat = role == Secretariat;
        let executive = role == Executive;
        for kind in political {
            check(role.id(), &principal, &document(kind, Status::InPreparation), if secretariat { "rce-" } else { "----" });
            check(role.id(), &principal, &document(kind, Status::Adopted), if secretariat { "rc--" } else { "r---" });
            check(role.id(), &principal, &document(kind, Status::Superseded), if secretariat { "rc--" } else { "r---" });
        }
        let own = document(ExecutiveStrategy, Status::InPreparation);
        check(
            role.id(),
            &principal,
            &own,
            if executive {
                "rce-"
            } else if secretariat {
                "rc--"
            } else {
                "----"
            },
        );
        let guideline = document(Guideline, Status::InPreparation);
        check(role.id(), &principal, &guideline, if executive || secretariat { "rce-" } else { "----" });
        check(role.id(), &principal, &document(Guideline, Status::Adopted), if executive || secretariat { "rc--" } else { "r---" });
    }
    check("nobody in particular", &nobody(), &document(Vision, Status::Adopted), "r---");
    check("nobody in particular", &nobody(), &document(Vision, Status::InPreparation), "----");
}

#[test]
fn a_place_counts_only_with_the_role_in_the_token_and_the_other_way_round() {
    let open = agreement(AgreementStatus::InDialogue);
    let leader = stands(LEADER, Role::UnitLeader, UNIT);
    check("place without role", &with_token(leader.clone(), &[]), &open, "----");
    check("place with another role", &with_token(leader.clone(), &[Role::UnitContributor]), &open, "----");
    let unplaced = Principal { placements: vec![], ..leader };
    check("role without place", &unplaced, &open, "----");
    let acting = stands(LEADER, Role::ActingUnitLeader, UNIT);
    check("unit_leader covers acting", &with_token(acting.clone(), &[Role::UnitLeader]), &open, "rceh");
    check("acting in the token too", &acting, &open, "rceh");
    let substitute = stands(SOMEBODY, Role::SubstituteUnitLeader, UNIT);
    check("unit_leader covers substitutes", &with_token(substitute.clone(), &[Role::UnitLeader]), &open, "rceh");
    check("a contributor's token does not", &with_token(substitute, &[Role::UnitContributor]), &open, "----");
    let acting_only = with_token(stands(LEADER, Role::UnitLeader, UNIT), &[Role::ActingUnitLeader]);
    check("acting in the token does not make a leader", &acting_only, &open, "----");
}

#[test]
fn appointments_count_from_their_first_day_to_their_last() {
    let open = agreement(AgreementStatus::Drafting);
    let acting = between(stands(LEADER, Role::ActingUnitLeader, UNIT), "2026-08-01", "2027-02-28");
    let substitute =
        between(with_token(stands(SOMEBODY, Role::SubstituteCounterpart, UNIT), &[Role::HeadOfDepartment]), "2026-08-01", "2027-02-28");
    for principal in [acting, substitute] {
        for (today, expected) in
            [("2026-07-31", "----"), ("2026-08-01", "rceh"), ("2026-11-23", "rceh"), ("2027-02-28", "rceh"), ("2027-03-01", "----")]
        {
            assert_eq!(may(&principal, &open, noon(today)), expected, "{today}");
        }
    }
    let former = between(stands(LEADER, Role::UnitLeader, UNIT), "2021-03-01", "2026-10-31");
    check("former leader", &former, &open, "----");
}

#[test]
fn a_day_ends_at_midnight_in_denmark() {
    let acting = between(stands(LEADER, Role::ActingUnitLeader, UNIT), "2026-11-01", "2026-11-23");
    let open = agreement(AgreementStatus::Drafting);
    let at = |hour, minute| Utc.with_ymd_and_hms(2026, 11, 23, hour, minute, 59).unwrap();
    assert_eq!(may(&acting, &open, at(22, 59)), "rceh");
    assert_eq!(may(&acting, &open, at(23, 0)), "----");
}

#[test]
fn a_share_gives_what_it_says_to_whom_it_names_until_it_runs_out() {
    let board_member = stands(SOMEBODY, Role::BoardMember, UNIT);
    for status in OPEN.into_iter().chain(FROZEN).chain(FINAL) {
        check("may read", &board_member, &shared(agreement(status), GrantKind::Read, None), "r---");
        check("may comment", &board_member, &shared(agreement(status), GrantKind::Comment, None), "rc--");
        check("may comment until", &board_member, &shared(agreement(status), GrantKind::Comment, Some("2026-11-24")), "rc--");
        check("ran out", &board_member, &shared(agreement(status), GrantKind::Comment, Some("2026-11-22")), "----");
        check("runs out now", &board_member, &shared(agreement(status), GrantKind::Comment, Some("2026-11-23")), "----");
    }
    let draft = document(DocumentKind::Policy, Status::InPreparation);
    check("no role is needed", &nobody(), &shared(draft.clone(), GrantKind::Comment, None), "rc--");
    let other = stands(PersonId(Uuid::from_u128(104)), Role::BoardMember, UNIT);
    check("somebody else", &other, &shared(draft, GrantKind::Comment, None), "----");
}

#[test]
fn a_share_takes_nothing_away() {
    let contributor = stands(SOMEBODY, Role::UnitContributor, UNIT);
    check("reads by share, comments by place", &contributor, &shared(agreement(AgreementStatus::Drafting), GrantKind::Read, None), "rc--");
}

#[test]
fn the_reason_for_not_writing_is_said_only_to_those_who_may_read() {
    let leader = stands(LEADER, Role::UnitLeader, UNIT);
    let contributor = stands(SOMEBODY, Role::UnitContributor, UNIT);
    let cases = [
        (AgreementStatus::InDialogue, None, Some(ReadOnlyBecause::NotAParty)),
        (AgreementStatus::ReadyToSign, Some(ReadOnlyBecause::Frozen), Some(ReadOnlyBecause::Frozen)),
        (AgreementStatus::PartlySigned, Some(ReadOnlyBecause::Frozen), Some(ReadOnlyBecause::Frozen)),
        (AgreementStatus::Signed, Some(ReadOnlyBecause::Final), Some(ReadOnlyBecause::Final)),
        (AgreementStatus::Closed, Some(ReadOnlyBecause::Closed), Some(ReadOnlyBecause::Closed)),
        (AgreementStatus::Superseded, Some(ReadOnlyBecause::Closed), Some(ReadOnlyBecause::Closed)),
    ];
    let now = noon("2026-11-23");
    for (status, to_leader, to_contributor) in cases {
        assert_eq!(abilities(&leader, &agreement(status), now).read_only_because, to_leader, "{status:?}");
        assert_eq!(abilities(&contributor, &agreement(status), now).read_only_because, to_contributor, "{status:?}");
        assert_eq!(abilities(&nobody(), &agreement(status), now), Abilities::default(), "{status:?}");
    }
}

#[test]
fn a_party_knows_its_side() {
    let now = noon("2026-11-23");
    let open = agreement(AgreementStatus::Drafting);
    let side = |principal: Principal| abilities(&principal, &open, now).party;
    assert_eq!(side(stands(LEADER, Role::UnitLeader, UNIT)), Some(Party::UnitLeader));
    assert_eq!(side(stands(COUNTERPART, Role::Director, DIRECTORATE)), Some(Party::Counterpart));
    let substitute = with_token(stands(SOMEBODY, Role::SubstituteUnitLeader, UNIT), &[Role::UnitLeader]);
    assert_eq!(side(substitute), Some(Party::UnitLeader));
    assert_eq!(side(stands(SOMEBODY, Role::Director, DIRECTORATE)), None);
}
