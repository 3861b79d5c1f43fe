//! The trail: what counts and happened, each event chained to the one before it by a hash. What is hashed is spelled out here and held by
//! a golden example, so that no refactor can change it.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{Hash, canonical};

/// What the first event of a trail is chained to.
pub const BEGINNING: Hash = [0; 32];

/// The trail of the system itself; every agreement has one under its own id.
pub const SYSTEM_TRAIL: Uuid = Uuid::nil();

/// Something that counts and happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditEvent {
    /// Which trail: an agreement's id, or the system's.
    pub trail: Uuid,
    /// Place in the trail, from 1.
    pub seq: i64,
    /// What, in one word, e.g. `signed`.
    pub kind: String,
    /// Who did it; `None`: the system.
    pub person: Option<Uuid>,
    /// What else is to be known about it. Decimals are strings.
    pub body: Value,
    /// When, to the microsecond.
    pub at: DateTime<Utc>,
}

/// SHA-256 over the hash before it and the canonical JSON of the event.
#[must_use]
pub fn hash(previous: &Hash, event: &AuditEvent) -> Hash {
    let spelled = canonical::to_vec(&json!({
        "trail": event.trail.to_string(),
        "seq": event.seq,
        "type": event.kind,
        "person": event.person.map(|person| person.to_string()),
        "body": event.body,
        "at": event.at.to_rfc3339_opts(SecondsFormat::Micros, true),
    }));
    Sha256::new().chain_update(previous).chain_update(&spelled).finalize().into()
}

/// The place of the first event that does not follow from the ones before it; `None` when the whole trail holds.
#[must_use]
pub fn first_break(trail: &[(AuditEvent, Hash)]) -> Option<i64> {
    let mut previous = BEGINNING;
    for ((event, found), seq) in trail.iter().zip(1..) {
        if event.seq != seq || hash(&previous, event) != *found {
            return Some(seq);
        }
        previous = *found;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seq: i64, body: Value) -> AuditEvent {
        AuditEvent {
            trail: Uuid::from_u128(7),
            seq,
            kind: "signed".into(),
            person: Some(Uuid::from_u128(9)),
            body,
            at: DateTime::from_timestamp_micros(1_795_000_000_000_001).unwrap(),
        }
    }

    #[test]
    fn the_hash_of_an_event_never_changes() {
        let found = hash(&BEGINNING, &event(1, json!({"revision": 17, "party": "unit_leader", "grund": "æøå"})));
        assert_eq!(hex::encode(found), "f17d9b9cbf008ace487cb3fc21dee1194c7c9d0175b86f9f9a0c5c57258671f3");
    }

    #[test]
    fn whatever_is_altered_the_break_is_named() {
        let mut trail = Vec::new();
        let mut previous = BEGINNING;
        for seq in 1..=3 {
            let event = event(seq, json!({"revision": seq}));
            previous = hash(&previous, &event);
            trail.push((event, previous));
        }
        assert_eq!(first_break(&trail), None);

        let altered = |alter: fn(&mut AuditEvent)| {
            let mut trail = trail.clone();
            alter(&mut trail[1].0);
            first_break(&trail)
        };
        assert_eq!(altered(|event| event.body = json!({"revision": 99})), Some(2));
        assert_eq!(altered(|event| event.person = None), Some(2));
        assert_eq!(altered(|event| event.kind = "reopened".into()), Some(2));
        assert_eq!(altered(|event| event.at += chrono::Duration::microseconds(1)), Some(2));
        let mut shortened = trail.clone();
        shortened.remove(1);
        assert_eq!(first_break(&shortened), Some(2));
    }
}
