//! Tables of cases: gates, remarks, what waits for whom.

use super::*;

const STRICT: Demands = Demands { dialogue: Demand::Block, political_goal: Demand::Block, executive_goal: Demand::Warn };
const GOAL: Uuid = Uuid::from_u128(7);

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn section(key: &str, kind: SectionKind, goal_origin: Option<GoalOrigin>, filled: bool) -> SectionFact {
    SectionFact { key: key.to_owned(), title: format!("Om {key}"), kind, goal_origin, required: true, filled }
}

fn goal(targets: &[(ChainGoalKind, bool)]) -> GoalFact {
    let links = targets.iter().map(|(kind, adopted)| LinkFact { target: Some(*kind), adopted: *adopted }).collect();
    GoalFact { id: GOAL, title: "Flere dage i skole".to_owned(), has_criterion: true, links }
}

/// An agreement that lacks nothing.
fn complete() -> Facts {
    Facts {
        status: AgreementStatus::InDialogue,
        sections: vec![
            section("parter", SectionKind::Generated, None, false),
            section("rammer", SectionKind::RichText, None, true),
            section("politiske_maal", SectionKind::Goals, Some(GoalOrigin::Political), false),
            section("faelles_maal", SectionKind::Goals, Some(GoalOrigin::Executive), false),
            section("dialog", SectionKind::Generated, None, false),
        ],
        goals: vec![goal(&[(ChainGoalKind::StrategyGoal, true), (ChainGoalKind::Initiative, true)])],
        covered: Covered { political: true, executive: true },
        open_threads: 0,
    }
}

/// The gates that do not hold, each as its kind, whether it blocks, and its place.
fn failing(facts: &Facts, demands: Demands) -> Vec<(GateKind, bool, Option<String>)> {
    gates(facts, demands).into_iter().filter(|gate| !gate.holds).map(|gate| (gate.kind, gate.blocks, gate.place)).collect()
}

#[test]
fn an_agreement_that_lacks_nothing_passes_every_gate() {
    let gates = gates(&complete(), STRICT);
    assert!(gates.iter().all(|gate| gate.holds), "{gates:?}");
    assert_eq!(gates.len(), 7, "each kind of gate is shown once");
}

#[test]
fn each_lack_fails_its_own_gate_and_no_other() {
    type Lack = (&'static str, fn(&mut Facts), GateKind, bool, Option<&'static str>);
    let cases: [Lack; 8] = [
        (
            "no goal at all",
            |facts| facts.goals[0].links = goal(&[(ChainGoalKind::Initiative, true)]).links,
            GateKind::PoliticalGoal,
            true,
            Some("politiske_maal"),
        ),
        (
            "a budget priority is not a political goal",
            |facts| facts.goals[0].links = goal(&[(ChainGoalKind::BudgetPriority, true), (ChainGoalKind::ExecutiveGoal, true)]).links,
            GateKind::PoliticalGoal,
            true,
            Some("politiske_maal"),
        ),
        (
            "no executive goal",
            |facts| facts.goals[0].links = goal(&[(ChainGoalKind::VisionAim, true)]).links,
            GateKind::ExecutiveGoal,
            false,
            Some("faelles_maal"),
        ),
        ("politics not talked over", |facts| facts.covered.political = false, GateKind::PoliticalDialogue, true, Some("dialog")),
        (
            "the executive strategy not talked over",
            |facts| facts.covered.executive = false,
            GateKind::ExecutiveDialogue,
            true,
            Some("dialog"),
        ),
        ("an empty section", |facts| facts.sections[1].filled = false, GateKind::SectionsFilled, true, Some("rammer")),
        (
            "a goal without criterion",
            |facts| facts.goals[0].has_criterion = false,
            GateKind::GoalCriterion,
            false,
            Some("00000000-0000-0000-0000-000000000007"),
        ),
        ("an open thread", |facts| facts.open_threads = 1, GateKind::CommentsSettled, true, None),
    ];
    for (name, lack, kind, blocks, place) in cases {
        let mut facts = complete();
        lack(&mut facts);
        assert_eq!(failing(&facts, STRICT), [(kind, blocks, place.map(str::to_owned))], "{name}");
    }
}

#[test]
fn a_broken_link_points_at_nothing() {
    let mut facts = complete();
    facts.goals[0].links = vec![LinkFact { target: None, adopted: false }];
    let kinds: Vec<_> = failing(&facts, STRICT).into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!(kinds, [GateKind::PoliticalGoal, GateKind::ExecutiveGoal]);
    assert!(remarks(&facts, STRICT, DueDays::default(), day("2026-11-23")).iter().all(|remark| remark.kind != WaitingKind::LinkNotAdopted));
}

#[test]
fn only_required_text_can_be_empty() {
    let mut facts = complete();
    facts.sections[1].filled = false;
    facts.sections[1].required = false;
    assert_eq!(failing(&facts, STRICT), []);
}

#[test]
fn a_demand_that_is_off_makes_no_gate() {
    let off = Demands { dialogue: Demand::Off, political_goal: Demand::Off, executive_goal: Demand::Off };
    let mut facts = complete();
    facts.goals.clear();
    facts.covered = Covered::default();
    assert_eq!(failing(&facts, off), []);
    assert_eq!(gates(&facts, off).len(), 3);
}

#[test]
fn only_held_meetings_cover_anything() {
    let covered =
        Covered::by([(MeetingStatus::Planned, true, true), (MeetingStatus::Cancelled, true, true), (MeetingStatus::Held, true, false)]);
    assert_eq!(covered, Covered { political: true, executive: false });
}

#[test]
fn a_draft_is_overdue_from_the_day_after_until_it_is_begun() {
    let due = DueDays { draft: Some(day("2026-11-20")), sign: Some(day("2027-01-29")) };
    for (status, today, overdue) in [
        (AgreementStatus::NotStarted, "2026-11-20", false),
        (AgreementStatus::NotStarted, "2026-11-21", true),
        (AgreementStatus::Drafting, "2026-11-21", false),
    ] {
        let facts = Facts { status, ..complete() };
        let remarks = remarks(&facts, STRICT, due, day(today));
        assert_eq!(remarks.iter().any(|remark| remark.kind == WaitingKind::DraftOverdue), overdue, "{status:?} {today}");
    }
}

#[test]
fn a_missing_dialogue_is_remarked_from_the_first_meeting_on_and_names_the_goals() {
    let mut facts = complete();
    facts.covered.executive = false;
    let kinds = |facts: &Facts| remarks(facts, STRICT, DueDays::default(), day("2026-11-23"));
    assert_eq!(
        kinds(&facts).iter().map(|r| (r.kind, r.place.as_deref())).collect::<Vec<_>>(),
        [(WaitingKind::DialogueMissing, Some("faelles_maal"))]
    );
    facts.status = AgreementStatus::Drafting;
    assert_eq!(kinds(&facts), []);
}

#[test]
fn a_link_to_what_is_not_adopted_is_remarked_until_the_period_is_over() {
    use AgreementStatus::{Closed, Drafting, InDialogue, NotStarted, PartlySigned, ReadyToSign, Reopened, Signed, Superseded};
    let goals = vec![goal(&[(ChainGoalKind::StrategyGoal, false), (ChainGoalKind::Initiative, true)])];
    for (status, remarked) in [
        (NotStarted, 0),
        (Drafting, 1),
        (InDialogue, 1),
        (ReadyToSign, 1),
        (PartlySigned, 1),
        (Signed, 1),
        (Reopened, 1),
        (Closed, 0),
        (Superseded, 0),
    ] {
        let facts = Facts { status, goals: goals.clone(), ..complete() };
        assert_eq!(remarks(&facts, STRICT, DueDays::default(), day("2026-11-23")).len(), remarked, "{status:?}");
    }
}

#[test]
fn a_signature_waits_for_the_side_that_has_none_that_stands() {
    use AgreementStatus::{InDialogue, PartlySigned, ReadyToSign, Reopened, Signed};
    let signature = |party, valid| SignatureFact { party, at: DateTime::UNIX_EPOCH, valid };
    let leader = signature(Party::UnitLeader, true);
    let lapsed = signature(Party::UnitLeader, false);
    for (status, signatures, of_leader, of_counterpart) in [
        (InDialogue, vec![], None, None),
        (ReadyToSign, vec![], Some(WaitingKind::Sign), Some(WaitingKind::Sign)),
        (ReadyToSign, vec![lapsed], Some(WaitingKind::Sign), Some(WaitingKind::Sign)),
        (PartlySigned, vec![leader], None, Some(WaitingKind::Sign)),
        (Signed, vec![leader, signature(Party::Counterpart, true)], None, None),
        (Reopened, vec![lapsed], Some(WaitingKind::SignatureLapsed), None),
    ] {
        assert_eq!(signature_waits(status, &signatures, Party::UnitLeader), of_leader, "{status:?}");
        assert_eq!(signature_waits(status, &signatures, Party::Counterpart), of_counterpart, "{status:?}");
    }
}

#[test]
fn a_thread_waits_for_those_it_concerns_who_did_not_write_last() {
    let [me, you, third] = [1, 2, 3].map(|n| PersonId(Uuid::from_u128(n)));
    for (is_party, writers, waits) in [
        (true, vec![you], true),
        (true, vec![you, me], false),
        (true, vec![me, you], true),
        (true, vec![], false),
        (false, vec![you, third], false),
        (false, vec![me, you], true),
        (false, vec![me], false),
    ] {
        assert_eq!(thread_waits(me, is_party, &writers), waits, "{is_party} {writers:?}");
    }
}

#[test]
fn beside_its_units_name_an_agreement_is_called_by_its_year() {
    for (title, short) in [
        ("Aftale 2027 – Fjordskolen", "Aftale 2027"),
        ("Aftale 2026", "Aftale 2026"),
        ("Fjordskolen", "Fjordskolen"),
        ("Aftale 2027 – Fjordskolens SFO", "Aftale 2027 – Fjordskolens SFO"),
    ] {
        assert_eq!(short_title(title, "Fjordskolen"), short);
    }
}
