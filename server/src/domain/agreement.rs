//! An agreement between a unit's leader and the director or head of department: what must be in place before it is frozen for
//! signing (the gates, domain R11–R13), what is to be remarked about its text, and what of that waits for whom.
//!
//! Everything is decided from facts that `store` has loaded; nothing here knows where they came from.

use chrono::{DateTime, NaiveDate, Utc};
pub use samspil_client_protocol::api::{
    AgreementStatus, ChainGoalKind, Gate, GateKind, GoalOrigin, MeetingStatus, Party, SectionKind, WaitingKind,
};
use uuid::Uuid;

use super::ids::PersonId;

/// What an agreement is called beside its unit's name: *Aftale 2027*, also where the title names the unit, too.
#[must_use]
pub fn short_title<'a>(title: &'a str, unit_name: &str) -> &'a str {
    let rest = title.strip_suffix(unit_name).map(|rest| rest.trim_end_matches([' ', '–', '-', '·', ',', ':']));
    rest.filter(|rest| !rest.is_empty()).unwrap_or(title)
}

/// How much a municipality demands of something (`require_*` in its settings).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Without it nobody signs.
    Block,
    /// It is remarked.
    Warn,
    /// Nobody asks.
    Off,
}

impl Demand {
    /// The demand that the settings call this.
    #[must_use]
    pub fn from_id(id: &str) -> Option<Self> {
        match id {
            "block" => Some(Demand::Block),
            "warn" => Some(Demand::Warn),
            "off" => Some(Demand::Off),
            _ => None,
        }
    }
}

/// What a municipality demands before signing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demands {
    /// A held dialogue about the political goals and the executive strategy's (R12).
    pub dialogue: Demand,
    /// A goal that points at a political goal (R13).
    pub political_goal: Demand,
    /// A goal that points at the executive strategy.
    pub executive_goal: Demand,
}

/// A section of the agreement, as far as decisions need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionFact {
    /// Its key in the template.
    pub key: String,
    /// Its title.
    pub title: String,
    /// What it holds.
    pub kind: SectionKind,
    /// For sections of goals: of which origin.
    pub goal_origin: Option<GoalOrigin>,
    /// Must it be filled?
    pub required: bool,
    /// Is there a word in it?
    pub filled: bool,
}

/// A goal of the agreement, as far as decisions need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoalFact {
    /// Its id in the live text.
    pub id: Uuid,
    /// Its title.
    pub title: String,
    /// Does it say when it has succeeded?
    pub has_criterion: bool,
    /// What it points at.
    pub links: Vec<LinkFact>,
}

/// Where a goal points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkFact {
    /// What stands there; `None`: nothing that is known (a broken link).
    pub target: Option<ChainGoalKind>,
    /// Is the document it stands in adopted?
    pub adopted: bool,
}

/// What the held meetings have covered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Covered {
    /// The political goals.
    pub political: bool,
    /// The goals of the executive strategy.
    pub executive: bool,
}

impl Covered {
    /// What these meetings covered, of those that were held: (status, political, executive).
    #[must_use]
    pub fn by(meetings: impl IntoIterator<Item = (MeetingStatus, bool, bool)>) -> Self {
        meetings.into_iter().filter(|(status, ..)| *status == MeetingStatus::Held).fold(
            Self::default(),
            |covered, (_, political, executive)| Self {
                political: covered.political || political,
                executive: covered.executive || executive,
            },
        )
    }
}

/// All that is known about one agreement when its gates are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Where it is in its life.
    pub status: AgreementStatus,
    /// The template's sections, in order.
    pub sections: Vec<SectionFact>,
    /// Its goals, in order.
    pub goals: Vec<GoalFact>,
    /// What the held meetings covered.
    pub covered: Covered,
    /// Open comment threads.
    pub open_threads: u32,
}

/// What must be in place before the text is frozen for signing, and whether it is. A demand that is off makes no gate.
#[must_use]
pub fn gates(facts: &Facts, demands: Demands) -> Vec<Gate> {
    let mut gates = Vec::new();
    let place = |origin| facts.sections.iter().find(|section| section.goal_origin == Some(origin));
    let mut demand = |kind, demand, holds, section: Option<&SectionFact>| {
        if demand != Demand::Off {
            gates.push(Gate {
                kind,
                holds,
                blocks: demand == Demand::Block,
                place: section.map(|section| section.key.clone()),
                place_title: section.map(|section| section.title.clone()),
                count: None,
            });
        }
    };
    let dialogue = facts.sections.iter().find(|section| section.key == "dialog");
    demand(GateKind::PoliticalGoal, demands.political_goal, points_at_political(&facts.goals), place(GoalOrigin::Political));
    demand(GateKind::ExecutiveGoal, demands.executive_goal, points_at_executive(&facts.goals), place(GoalOrigin::Executive));
    demand(GateKind::PoliticalDialogue, demands.dialogue, facts.covered.political, dialogue);
    demand(GateKind::ExecutiveDialogue, demands.dialogue, facts.covered.executive, dialogue);
    let empty = facts.sections.iter().filter(|section| is_empty(section)).map(|section| (section.key.clone(), section.title.clone()));
    gates.extend(one_for_each(GateKind::SectionsFilled, Demand::Block, empty));
    let without = facts.goals.iter().filter(|goal| !goal.has_criterion).map(|goal| (goal.id.to_string(), goal.title.clone()));
    gates.extend(one_for_each(GateKind::GoalCriterion, Demand::Warn, without));
    gates.push(Gate {
        kind: GateKind::CommentsSettled,
        holds: facts.open_threads == 0,
        blocks: true,
        place: None,
        place_title: None,
        count: Some(facts.open_threads),
    });
    gates
}

/// One gate that fails for each place, or one that holds when there is none.
fn one_for_each(kind: GateKind, demand: Demand, places: impl Iterator<Item = (String, String)>) -> Vec<Gate> {
    let blocks = demand == Demand::Block;
    let fails = |(place, title)| Gate { kind, holds: false, blocks, place: Some(place), place_title: Some(title), count: None };
    let failing: Vec<Gate> = places.map(fails).collect();
    if failing.is_empty() { vec![Gate { kind, holds: true, blocks, place: None, place_title: None, count: None }] } else { failing }
}

/// Only text that people write counts as empty: what is generated is never empty, and goals are governed by the demands.
fn is_empty(section: &SectionFact) -> bool {
    section.required && !section.filled && matches!(section.kind, SectionKind::RichText | SectionKind::RichTextWithGoals)
}

fn points_at_political(goals: &[GoalFact]) -> bool {
    points_at(goals, |kind| matches!(kind, ChainGoalKind::VisionAim | ChainGoalKind::PolicyGoal | ChainGoalKind::StrategyGoal))
}

fn points_at_executive(goals: &[GoalFact]) -> bool {
    points_at(goals, |kind| matches!(kind, ChainGoalKind::ExecutiveGoal | ChainGoalKind::Initiative))
}

fn points_at(goals: &[GoalFact], wanted: impl Fn(ChainGoalKind) -> bool) -> bool {
    goals.iter().flat_map(|goal| &goal.links).any(|link| link.target.is_some_and(&wanted))
}

/// Something to be remarked about an agreement, with the place it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// What.
    pub kind: WaitingKind,
    /// A section key or goal id.
    pub place: Option<String>,
    /// The title of that place.
    pub place_title: Option<String>,
    /// When it had to be done; `None`: before signing.
    pub due_on: Option<NaiveDate>,
}

/// The days by which a draft must be ready and an agreement signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DueDays {
    /// *Udkast.*
    pub draft: Option<NaiveDate>,
    /// *Underskrift.*
    pub sign: Option<NaiveDate>,
}

/// What is to be remarked about the agreement on this day. Text is judged from *drafting* on; what a signed text lacks cannot be
/// mended any more and is not remarked, except a link to a document that may still not be adopted.
#[must_use]
pub fn remarks(facts: &Facts, demands: Demands, due: DueDays, today: NaiveDate) -> Vec<Remark> {
    match facts.status {
        AgreementStatus::NotStarted => {
            let overdue = due.draft.filter(|due| *due < today);
            overdue
                .map(|due| Remark { kind: WaitingKind::DraftOverdue, place: None, place_title: None, due_on: Some(due) })
                .into_iter()
                .collect()
        }
        AgreementStatus::Drafting | AgreementStatus::InDialogue | AgreementStatus::Reopened => {
            let mut remarks = remarks_before_freeze(facts, demands);
            remarks.extend(links_not_adopted(facts));
            remarks
        }
        AgreementStatus::ReadyToSign | AgreementStatus::PartlySigned | AgreementStatus::Signed => links_not_adopted(facts).collect(),
        AgreementStatus::Closed | AgreementStatus::Superseded => Vec::new(),
    }
}

fn remarks_before_freeze(facts: &Facts, demands: Demands) -> Vec<Remark> {
    let failing = gates(facts, demands).into_iter().filter(|gate| !gate.holds);
    failing
        .filter_map(|gate| {
            let kind = match gate.kind {
                GateKind::SectionsFilled => WaitingKind::SectionEmpty,
                GateKind::GoalCriterion => WaitingKind::GoalWithoutCriterion,
                GateKind::ExecutiveGoal | GateKind::PoliticalGoal => WaitingKind::NoExecutiveGoal,
                // Before the first meeting a missing dialogue is simply the next step.
                GateKind::PoliticalDialogue | GateKind::ExecutiveDialogue if facts.status == AgreementStatus::Drafting => return None,
                GateKind::PoliticalDialogue | GateKind::ExecutiveDialogue => WaitingKind::DialogueMissing,
                // Threads wait one by one for those who have not answered.
                GateKind::CommentsSettled => return None,
            };
            let origin = match gate.kind {
                GateKind::PoliticalDialogue => Some(GoalOrigin::Political),
                GateKind::ExecutiveDialogue => Some(GoalOrigin::Executive),
                _ => None,
            };
            let section = origin.and_then(|origin| facts.sections.iter().find(|section| section.goal_origin == Some(origin)));
            Some(Remark {
                kind,
                place: section.map(|section| section.key.clone()).or(gate.place),
                place_title: section.map(|section| section.title.clone()).or(gate.place_title),
                due_on: None,
            })
        })
        .collect()
}

/// One remark for each goal that points at a document which is not adopted.
fn links_not_adopted(facts: &Facts) -> impl Iterator<Item = Remark> {
    let goals = facts.goals.iter().filter(|goal| goal.links.iter().any(|link| link.target.is_some() && !link.adopted));
    goals.map(|goal| Remark {
        kind: WaitingKind::LinkNotAdopted,
        place: Some(goal.id.to_string()),
        place_title: Some(goal.title.clone()),
        due_on: None,
    })
}

/// Does this remark wait for the person on this side? The leader of the unit writes; the dialogue is held by both.
#[must_use]
pub fn waits_for(remark: WaitingKind, side: Party) -> bool {
    match remark {
        WaitingKind::DialogueMissing => true,
        _ => side == Party::UnitLeader,
    }
}

/// A signature, as far as decisions need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureFact {
    /// On which side.
    pub party: Party,
    /// When.
    pub at: DateTime<Utc>,
    /// Does it still stand?
    pub valid: bool,
}

/// What the signatures so far ask of the person on this side: to sign, or to know that theirs lapsed.
#[must_use]
pub fn signature_waits(status: AgreementStatus, signatures: &[SignatureFact], side: Party) -> Option<WaitingKind> {
    let mut own = signatures.iter().filter(|signature| signature.party == side);
    let stands = own.clone().any(|signature| signature.valid);
    match status {
        AgreementStatus::ReadyToSign | AgreementStatus::PartlySigned if !stands => Some(WaitingKind::Sign),
        AgreementStatus::Reopened if !stands && own.next().is_some() => Some(WaitingKind::SignatureLapsed),
        _ => None,
    }
}

/// Does an open thread wait for this person? It does when somebody else wrote last and they are a party or have written in it.
#[must_use]
pub fn thread_waits(reader: PersonId, is_party: bool, writers: &[PersonId]) -> bool {
    writers.last().is_some_and(|last| *last != reader) && (is_party || writers.contains(&reader))
}

/// How pressing a kind of item is; the most pressing is 0.
#[must_use]
pub fn urgency(kind: WaitingKind) -> u8 {
    match kind {
        WaitingKind::Sign => 0,
        WaitingKind::SignatureLapsed => 1,
        WaitingKind::DraftOverdue => 2,
        WaitingKind::AnswerComment => 3,
        WaitingKind::DialogueMissing => 4,
        WaitingKind::SectionEmpty => 5,
        WaitingKind::GoalWithoutCriterion => 6,
        WaitingKind::NoExecutiveGoal => 7,
        WaitingKind::LinkNotAdopted => 8,
    }
}

#[cfg(test)]
mod tests;
