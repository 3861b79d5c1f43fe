//! What takes an agreement from one part of its life to the next: freezing the text for signing, taking it back to a draft, and the
//! next version of what was signed. Who may do it when, decided from what `store` has loaded; signing itself is decided where it is done.

pub use samspil_client_protocol::api::Steps;

use super::agreement::{AgreementStatus, Gate, GateKind, Party};

/// A reason says something. (`samspil` counts characters, not bytes: *for få biler* has eleven.)
pub const REASON_CHARS_MIN: usize = 10;
/// And is no document of its own.
pub const REASON_CHARS_MAX: usize = 2_000;

/// Why something was done, in words that can be read later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(String);

/// Words that are no reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoReason {
    /// They say nothing yet.
    #[error("{0} characters are too few")]
    TooShort(usize),
    /// They say too much.
    #[error("{0} characters are too many")]
    TooLong(usize),
    /// The database keeps every character but U+0000.
    #[error("U+0000 cannot be kept")]
    Unkeepable,
}

impl Reason {
    /// These words as a reason, without the white space around them.
    pub fn new(words: &str) -> Result<Self, NoReason> {
        let words = words.trim();
        match words.chars().count() {
            _ if words.contains('\0') => Err(NoReason::Unkeepable),
            few if few < REASON_CHARS_MIN => Err(NoReason::TooShort(few)),
            many if many > REASON_CHARS_MAX => Err(NoReason::TooLong(many)),
            _ => Ok(Self(words.to_owned())),
        }
    }

    /// The words.
    #[must_use]
    pub fn words(&self) -> &str {
        &self.0
    }
}

/// Why a step is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Only the two parties and who stands in for them do this.
    #[error("not a party")]
    NotAParty,
    /// The agreement is somewhere else in its life.
    #[error("not while it is {0:?}")]
    Status(AgreementStatus),
    /// These must be in place first.
    #[error("gates do not hold")]
    Gates(Vec<Gate>),
    /// Only the director or head of department answers for an agreement without a dialogue (domain D4).
    #[error("the counterpart alone overrides")]
    NotYoursToOverride,
}

/// Gates that were passed over with a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overridden {
    /// Which.
    pub gates: Vec<GateKind>,
    /// Why.
    pub reason: Reason,
}

/// What a page may offer this person to do now; it is decided again when it is done. `newest`: no later version was begun.
#[must_use]
pub fn steps(status: AgreementStatus, party: Option<Party>, gates: &[Gate], newest: bool) -> Steps {
    let (blocked, dialogue) = blocking(gates);
    let drafted = may_freeze(status, party).is_ok();
    Steps {
        freeze: drafted && blocked.is_empty() && dialogue.is_empty(),
        override_dialogue: drafted && party == Some(Party::Counterpart) && blocked.is_empty() && !dialogue.is_empty(),
        reopen: may_reopen(status, party).is_ok(),
        renew: newest && may_renew(status, party).is_ok(),
    }
}

/// Freezes the text for signing, if all is in place. Of what blocks, a missing dialogue alone can be passed over: by the counterpart, with a
/// reason (domain D4). Answers what was passed over; a reason that nothing asked for is not put on record.
pub fn freeze(
    status: AgreementStatus,
    party: Option<Party>,
    gates: &[Gate],
    reason: Option<Reason>,
) -> Result<Option<Overridden>, Refused> {
    may_freeze(status, party)?;
    let (blocked, dialogue) = blocking(gates);
    if !blocked.is_empty() {
        return Err(Refused::Gates(blocked.into_iter().chain(dialogue).cloned().collect()));
    }
    match reason {
        _ if dialogue.is_empty() => Ok(None),
        None => Err(Refused::Gates(dialogue.into_iter().cloned().collect())),
        Some(_) if party != Some(Party::Counterpart) => Err(Refused::NotYoursToOverride),
        Some(reason) => Ok(Some(Overridden { gates: dialogue.into_iter().map(|gate| gate.kind).collect(), reason })),
    }
}

/// Takes it back to a draft: what was signed of it lapses.
pub fn may_reopen(status: AgreementStatus, party: Option<Party>) -> Result<(), Refused> {
    may(status, party, &[AgreementStatus::ReadyToSign, AgreementStatus::PartlySigned])
}

/// Begins the next version of what both have signed.
pub fn may_renew(status: AgreementStatus, party: Option<Party>) -> Result<(), Refused> {
    may(status, party, &[AgreementStatus::Signed])
}

fn may_freeze(status: AgreementStatus, party: Option<Party>) -> Result<(), Refused> {
    may(status, party, &[AgreementStatus::Drafting, AgreementStatus::InDialogue, AgreementStatus::Reopened])
}

fn may(status: AgreementStatus, party: Option<Party>, from: &[AgreementStatus]) -> Result<(), Refused> {
    if party.is_none() {
        Err(Refused::NotAParty)
    } else if from.contains(&status) {
        Ok(())
    } else {
        Err(Refused::Status(status))
    }
}

/// The gates that fail and block: those that nobody passes over, and those about the dialogue.
fn blocking(gates: &[Gate]) -> (Vec<&Gate>, Vec<&Gate>) {
    let failing = gates.iter().filter(|gate| gate.blocks && !gate.holds);
    failing.partition(|gate| !matches!(gate.kind, GateKind::PoliticalDialogue | GateKind::ExecutiveDialogue))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(kind: GateKind, holds: bool, blocks: bool) -> Gate {
        Gate { kind, holds, blocks, place: None, place_title: None, count: None }
    }

    #[test]
    fn a_reason_has_ten_characters_or_more() {
        for (words, expected) in [
            ("", Err(NoReason::TooShort(0))),
            ("For få bil", Ok("For få bil")),
            ("  For få b  ", Err(NoReason::TooShort(8))),
            ("For få bi", Err(NoReason::TooShort(9))),
            ("\tFor få biler i rammen\n", Ok("For få biler i rammen")),
            ("For få bil\0er", Err(NoReason::Unkeepable)),
        ] {
            assert_eq!(Reason::new(words).as_ref().map(Reason::words), expected.as_ref().copied(), "{words:?}");
        }
        assert!(Reason::new(&"å".repeat(REASON_CHARS_MAX)).is_ok());
        assert_eq!(Reason::new(&"å".repeat(REASON_CHARS_MAX + 1)), Err(NoReason::TooLong(REASON_CHARS_MAX + 1)));
    }

    #[test]
    fn each_gate_that_blocks_stops_the_freeze_and_the_dialogue_alone_is_passed_over() {
        use GateKind::*;
        let why = || Some(Reason::new("Mødet holdes i december").unwrap());
        let kinds = [PoliticalGoal, ExecutiveGoal, SectionsFilled, PoliticalDialogue, ExecutiveDialogue, CommentsSettled, GoalCriterion];
        for kind in kinds {
            for party in [Party::UnitLeader, Party::Counterpart] {
                let all = |holds, blocks| kinds.map(|other| gate(other, other != kind || holds, blocks));
                let frozen = |gates: &[Gate], reason| freeze(AgreementStatus::InDialogue, Some(party), gates, reason);
                assert_eq!(frozen(&all(true, true), why()), Ok(None), "{kind:?}: nothing is passed over when nothing is missing");
                assert_eq!(frozen(&all(false, false), None), Ok(None), "{kind:?}: what only warns stops nobody");
                let blocked = Err(Refused::Gates(vec![gate(kind, false, true)]));
                assert_eq!(frozen(&all(false, true), None), blocked, "{kind:?}");
                let with_reason = frozen(&all(false, true), why());
                match (kind, party) {
                    (PoliticalDialogue | ExecutiveDialogue, Party::Counterpart) => {
                        assert_eq!(with_reason, Ok(Some(Overridden { gates: vec![kind], reason: why().unwrap() })));
                    }
                    (PoliticalDialogue | ExecutiveDialogue, Party::UnitLeader) => {
                        assert_eq!(with_reason, Err(Refused::NotYoursToOverride));
                    }
                    _ => assert_eq!(with_reason, blocked, "{kind:?}"),
                }
            }
        }
        let both = [gate(SectionsFilled, false, true), gate(PoliticalDialogue, false, true)];
        assert_eq!(
            freeze(AgreementStatus::Drafting, Some(Party::Counterpart), &both, why()),
            Err(Refused::Gates(both.to_vec())),
            "a reason for one thing is none for another"
        );
    }

    #[test]
    fn every_step_has_its_statuses_and_its_people() {
        use AgreementStatus::*;
        for status in [NotStarted, Drafting, InDialogue, ReadyToSign, PartlySigned, Signed, Reopened, Closed, Superseded] {
            let may = steps(status, Some(Party::UnitLeader), &[], true);
            assert_eq!(may.freeze, matches!(status, Drafting | InDialogue | Reopened), "{status:?}");
            assert_eq!(may.reopen, matches!(status, ReadyToSign | PartlySigned), "{status:?}");
            assert_eq!(may.renew, status == Signed, "{status:?}");
            assert_eq!(steps(status, None, &[], true), Steps::default(), "{status:?}: nobody else");
            assert!(!steps(status, Some(Party::UnitLeader), &[], false).renew, "one next version at a time");
            let refused = freeze(status, Some(Party::Counterpart), &[], None);
            assert_eq!(refused, if may.freeze { Ok(None) } else { Err(Refused::Status(status)) });
            assert_eq!(freeze(status, None, &[], None), Err(Refused::NotAParty));
        }
    }
}
