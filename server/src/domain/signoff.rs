//! Entering into an agreement: who may approve it, in which words, and every reason for which an approval is refused.

use samspil_evidence::{
    statement::{self, Mandate},
    token::NotProven,
};

use super::{
    access::{Party, Standing},
    agreement::AgreementStatus,
    ids::PersonId,
};

/// Why somebody's approval is not taken. Nothing has happened then, beside the line on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nobody came back in time, or it was begun elsewhere.
    #[error("the attempt is unknown or too old")]
    Expired,
    /// The attempt was used before.
    #[error("the attempt was used before")]
    UsedBefore,
    /// The sign-in in which the button was pressed is over, or it was pressed in another browser.
    #[error("the sign-in in which it was begun is not the one that came back")]
    SignedOut,
    /// The identity provider does not answer, or not as a provider does.
    #[error("the identity provider failed")]
    ProviderDown,
    /// The person did not sign in, or the provider would not have it.
    #[error("the identity provider refused")]
    ProviderRefused,
    /// The answer came from another issuer.
    #[error("the answer is another issuer's")]
    Issuer,
    /// The token cannot be believed.
    #[error("the token cannot be believed")]
    Token,
    /// The token is for another statement.
    #[error("the token is for something else")]
    Nonce,
    /// Somebody else signed in.
    #[error("somebody else signed in")]
    OtherPerson,
    /// The provider does not say when the person signed in.
    #[error("the token does not say when the person signed in")]
    NoAuthTime,
    /// The provider answered from an old sign-in.
    #[error("the sign-in is older than the button")]
    OldLogin,
    /// The provider's clock, or the token, is wrong.
    #[error("the sign-in lies in the future")]
    FutureLogin,
    /// Not at the level that is asked for.
    #[error("the sign-in did not reach the level that is asked for")]
    Level,
    /// The person is no party today.
    #[error("not a party")]
    NotAParty,
    /// The text is not frozen any more, or is not yet.
    #[error("the text is not frozen")]
    NotFrozen,
    /// The page showed another text than the one that is frozen.
    #[error("the text shown is not the one that is frozen")]
    OtherText,
    /// That side has approved.
    #[error("that side has approved")]
    AlreadySigned,
    /// The person approved for the other side.
    #[error("the person approved for the other side")]
    BothSides,
}

impl Refused {
    /// What it is called in addresses, on record and in the page's words.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::UsedBefore => "used_before",
            Self::SignedOut => "signed_out",
            Self::ProviderDown => "provider_down",
            Self::ProviderRefused => "provider_refused",
            Self::Issuer => "issuer",
            Self::Token => "token",
            Self::Nonce => "nonce",
            Self::OtherPerson => "other_person",
            Self::NoAuthTime => "no_auth_time",
            Self::OldLogin => "old_login",
            Self::FutureLogin => "future_login",
            Self::Level => "level",
            Self::NotAParty => "not_a_party",
            Self::NotFrozen => "not_frozen",
            Self::OtherText => "other_text",
            Self::AlreadySigned => "already_signed",
            Self::BothSides => "both_sides",
        }
    }
}

impl From<NotProven> for Refused {
    fn from(reason: NotProven) -> Self {
        match reason {
            NotProven::Malformed | NotProven::Signature | NotProven::Audience => Self::Token,
            NotProven::Nonce => Self::Nonce,
            NotProven::Issuer => Self::Issuer,
            NotProven::Subject => Self::OtherPerson,
            NotProven::NoAuthTime => Self::NoAuthTime,
            NotProven::NotFresh => Self::OldLogin,
            NotProven::Ahead => Self::FutureLogin,
            NotProven::Level => Self::Level,
        }
    }
}

/// For whom this person may approve now, given who has: (side, person) of every signature that stands.
pub fn may_approve(
    person: PersonId,
    standing: Option<Standing>,
    status: AgreementStatus,
    signed: &[(Party, PersonId)],
) -> Result<Standing, Refused> {
    let standing = standing.ok_or(Refused::NotAParty)?;
    if signed.iter().any(|(party, _)| *party == standing.party) {
        return Err(Refused::AlreadySigned);
    }
    if signed.iter().any(|(_, signer)| *signer == person) {
        return Err(Refused::BothSides);
    }
    if !matches!(status, AgreementStatus::ReadyToSign | AgreementStatus::PartlySigned) {
        return Err(Refused::NotFrozen);
    }
    Ok(standing)
}

/// The side as evidence names it.
#[must_use]
pub fn side(party: Party) -> statement::Party {
    match party {
        Party::UnitLeader => statement::Party::UnitLeader,
        Party::Counterpart => statement::Party::Counterpart,
    }
}

/// How a signature of made-up data was proved: not at all.
pub const DEMONSTRATION: &str = "demonstration";

/// Where the agreement is once one more side has approved.
#[must_use]
pub fn status_after(signed_before: usize) -> AgreementStatus {
    if signed_before == 0 { AgreementStatus::PartlySigned } else { AgreementStatus::Signed }
}

/// A language that consent is given in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locale {
    /// Danish.
    Danish,
    /// English.
    English,
}

impl Locale {
    /// The language of this name; Danish, if it is none we have.
    #[must_use]
    pub fn of(id: &str) -> Self {
        if id == "en" { Self::English } else { Self::Danish }
    }

    /// Its name.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Danish => "da",
            Self::English => "en",
        }
    }
}

/// The words that are agreed to: shown beside the button, and part of the statement. `side` is the unit, or the department above it;
/// `party_name` whom a substitute acts for.
#[must_use]
pub fn consent(locale: Locale, mandate: Mandate, side: &str, party_name: &str, revision: u32) -> String {
    match (locale, mandate) {
        (Locale::Danish, Mandate::Own) => format!("Jeg indgår denne aftale på vegne af {side}, som den står i udgave {revision}."),
        (Locale::Danish, Mandate::Acting) => {
            format!("Jeg indgår som konstitueret leder denne aftale på vegne af {side}, som den står i udgave {revision}.")
        }
        (Locale::Danish, Mandate::Substitute) => {
            format!("Jeg indgår som stedfortræder for {party_name} denne aftale på vegne af {side}, som den står i udgave {revision}.")
        }
        (Locale::English, Mandate::Own) => format!("I enter into this agreement on behalf of {side}, as it stands in revision {revision}."),
        (Locale::English, Mandate::Acting) => {
            format!("As acting leader I enter into this agreement on behalf of {side}, as it stands in revision {revision}.")
        }
        (Locale::English, Mandate::Substitute) => {
            format!("As substitute for {party_name} I enter into this agreement on behalf of {side}, as it stands in revision {revision}.")
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const ONE: PersonId = PersonId(Uuid::from_u128(1));
    const OTHER: PersonId = PersonId(Uuid::from_u128(2));

    const LEADER: Standing = Standing { party: Party::UnitLeader, mandate: Mandate::Own };

    #[test]
    fn each_side_approves_once_by_a_person_of_its_own_while_the_text_is_frozen() {
        use AgreementStatus::{Closed, Drafting, InDialogue, NotStarted, PartlySigned, ReadyToSign, Reopened, Signed, Superseded};
        let leader = Some(LEADER);
        assert_eq!(may_approve(ONE, leader, ReadyToSign, &[]), Ok(LEADER));
        assert_eq!(may_approve(ONE, leader, PartlySigned, &[(Party::Counterpart, OTHER)]), Ok(LEADER));
        assert_eq!(may_approve(ONE, None, ReadyToSign, &[]), Err(Refused::NotAParty));
        for status in [NotStarted, Drafting, InDialogue, Reopened, Signed, Closed, Superseded] {
            assert_eq!(may_approve(ONE, leader, status, &[]), Err(Refused::NotFrozen), "{status:?}");
        }
        assert_eq!(may_approve(OTHER, leader, PartlySigned, &[(Party::UnitLeader, ONE)]), Err(Refused::AlreadySigned));
        assert_eq!(may_approve(ONE, leader, PartlySigned, &[(Party::Counterpart, ONE)]), Err(Refused::BothSides));
        let both = [(Party::UnitLeader, ONE), (Party::Counterpart, OTHER)];
        assert_eq!(may_approve(ONE, leader, Signed, &both), Err(Refused::AlreadySigned), "what there is to say of it");
        assert_eq!([status_after(0), status_after(1)], [PartlySigned, Signed]);
    }

    #[test]
    fn whoever_stands_in_says_for_whom() {
        insta::assert_snapshot!(
            [Mandate::Own, Mandate::Acting, Mandate::Substitute]
                .iter()
                .flat_map(|mandate| [Locale::Danish, Locale::English].map(|locale| consent(locale, *mandate, "Fjordskolen", "Hanne Påfundsen", 18)))
                .collect::<Vec<_>>()
                .join("\n"),
            @r"
        Jeg indgår denne aftale på vegne af Fjordskolen, som den står i udgave 18.
        I enter into this agreement on behalf of Fjordskolen, as it stands in revision 18.
        Jeg indgår som konstitueret leder denne aftale på vegne af Fjordskolen, som den står i udgave 18.
        As acting leader I enter into this agreement on behalf of Fjordskolen, as it stands in revision 18.
        Jeg indgår som stedfortræder for Hanne Påfundsen denne aftale på vegne af Fjordskolen, som den står i udgave 18.
        As substitute for Hanne Påfundsen I enter into this agreement on behalf of Fjordskolen, as it stands in revision 18.
        "
        );
    }
}
