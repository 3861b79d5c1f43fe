//! What a party says when they approve. Its spelling is what is hashed, what the identity provider signs as `nonce`, and what is sealed.
//! A golden example holds it: statements that were made are read for ever.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Hash, canonical, sha256};

/// The version of this format.
pub const VERSION: u16 = 1;

/// A party's approval of exact content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// [`VERSION`].
    pub statement: u16,
    /// Made in a demonstration: it proves nothing about anybody.
    pub demonstration: bool,
    /// The municipality's name.
    pub municipality: String,
    /// Which agreement.
    pub agreement: Uuid,
    /// The document that is a version of it.
    pub document: Uuid,
    /// Which version, from 1.
    pub version: u32,
    /// The frozen revision.
    pub revision: u32,
    /// *Aftale 2027 · Fjordskolen*.
    pub title: String,
    /// SHA-256 of the canonical content, in hexadecimal.
    pub content_sha256: String,
    /// Version of the content's schema.
    pub schema: u16,
    /// Seq of the newest update in the content.
    pub head: u64,
    /// SHA-256 over (seq, person, hash) of every update up to `head`, in hexadecimal.
    pub log_sha256: String,
    /// What is decided.
    pub decision: Decision,
    /// For which side.
    pub party: Party,
    /// By what right.
    pub mandate: Mandate,
    /// Who approves.
    pub person: Signatory,
    /// For whom, when it is a substitute.
    pub on_behalf_of: Option<Signatory>,
    /// The sign-in that must be repeated: issuer and subject.
    pub identity: Identity,
    /// The words that were agreed to, as shown.
    pub consent: String,
    /// Language of those words.
    pub locale: String,
    /// SHA-256 of the other party's statement, if they approved first, in hexadecimal.
    pub previous_sha256: Option<String>,
    /// When the button was pressed.
    pub at: DateTime<Utc>,
    /// 16 random bytes in hexadecimal: no two statements are the same.
    pub random: String,
}

/// What is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The agreement is entered into.
    Approve,
}

/// The two sides of an agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// The unit.
    UnitLeader,
    /// Director or head of department.
    Counterpart,
}

/// By what right somebody approves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mandate {
    /// As the party.
    Own,
    /// As acting leader.
    Acting,
    /// As a substitute with a period, *på vegne af*.
    Substitute,
}

/// A person who is named in a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signatory {
    /// Id in the organisation data.
    pub id: Uuid,
    /// As people say it.
    pub name: String,
    /// *Skoleleder* …
    pub title: String,
}

/// Who somebody is to the identity provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// `aud`: our client id there.
    pub client: String,
    /// What the sign-in must have reached, if the municipality asks for a level.
    pub required_acr: Vec<String>,
}

impl Statement {
    /// Its one spelling: what is kept, shown and hashed.
    ///
    /// # Panics
    ///
    /// Never: every field is a string, a whole number, a truth value or a list of those.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        canonical::to_vec(&serde_json::to_value(self).expect("a statement is plain JSON"))
    }

    /// Reads a statement, only in its one spelling.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let statement: Self = serde_json::from_slice(bytes).ok()?;
        (statement.statement == VERSION && statement.to_bytes() == bytes).then_some(statement)
    }
}

/// The `nonce` of the sign-in that proves this statement: base64url(SHA-256(statement)), 43 characters.
#[must_use]
pub fn nonce(statement: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(sha256(statement))
}

/// SHA-256 over (seq, person, SHA-256 of the update) of each update, in order: what [`Statement::log_sha256`] holds. Each update is
/// spelled as 8 bytes of seq, big-endian, 16 bytes of person (zero: the server) and 32 of hash.
#[must_use]
pub fn log_hash(updates: impl IntoIterator<Item = (u64, Option<Uuid>, Hash)>) -> Hash {
    use sha2::{Digest, Sha256};

    let mut all = Sha256::new();
    for (seq, person, hash) in updates {
        all.update(seq.to_be_bytes());
        all.update(person.unwrap_or(Uuid::nil()).as_bytes());
        all.update(hash);
    }
    all.finalize().into()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn example(party: Party, content: &[u8]) -> Statement {
        Statement {
            statement: VERSION,
            demonstration: true,
            municipality: "Klitfjord Kommune".into(),
            agreement: Uuid::from_u128(1),
            document: Uuid::from_u128(2),
            version: 1,
            revision: 18,
            title: "Aftale 2027 · Fjordskolen".into(),
            content_sha256: hex::encode(sha256(content)),
            schema: 1,
            head: 412,
            log_sha256: hex::encode(log_hash([(1, None, [7; 32])])),
            decision: Decision::Approve,
            party,
            mandate: Mandate::Own,
            person: Signatory {
                id: Uuid::from_u128(if party == Party::UnitLeader { 3 } else { 4 }),
                name: if party == Party::UnitLeader { "Hanne Påfundsen" } else { "Esben Opdigtsen" }.into(),
                title: "Skoleleder".into(),
            },
            on_behalf_of: None,
            identity: Identity {
                issuer: "http://127.0.0.1:8081".into(),
                subject: if party == Party::UnitLeader { "hanne" } else { "esben" }.into(),
                client: "samspil".into(),
                required_acr: vec!["urn:demo:fresh".into()],
            },
            consent: "Jeg indgår aftalen.".into(),
            locale: "da".into(),
            previous_sha256: None,
            at: DateTime::from_timestamp(1_795_000_000, 0).unwrap(),
            random: "00112233445566778899aabbccddeeff".into(),
        }
    }

    #[test]
    fn the_spelling_of_a_statement_never_changes() {
        let bytes = example(Party::UnitLeader, b"{}").to_bytes();
        assert_eq!(
            String::from_utf8(bytes.clone()).unwrap(),
            include_str!("../tests/statement.json").trim_end(),
            "what was signed is read for ever"
        );
        assert_eq!(Statement::from_bytes(&bytes), Some(example(Party::UnitLeader, b"{}")));
    }

    #[test]
    fn only_the_one_spelling_is_read() {
        let bytes = example(Party::UnitLeader, b"{}").to_bytes();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(Statement::from_bytes(text.replacen(':', ": ", 1).as_bytes()), None);
        assert_eq!(Statement::from_bytes(text.replacen("\"statement\":1", "\"statement\":2", 1).as_bytes()), None);
        assert_eq!(Statement::from_bytes(text.replacen('{', "{\"aaa\":1,", 1).as_bytes()), None);
    }

    #[test]
    fn a_nonce_is_43_characters_of_base64url() {
        let nonce = nonce(b"statement");
        assert_eq!(nonce.len(), 43);
        assert!(nonce.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_'));
    }
}
