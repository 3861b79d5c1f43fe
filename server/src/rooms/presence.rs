//! Who is here and where their caret stands: relayed, never stored (SPEC P1–P6, invariant 8). Pure; the room calls it.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use chrono::{DateTime, Duration, Utc};
use samspil_client_protocol::{
    frame::{self, Malformed},
    message::PeerPerson,
};
use serde_json::Value;

use super::room::PeerId;
use crate::{config::Limits, domain::ids::PersonId};

/// What each peer shows of itself.
#[derive(Debug, Default)]
pub struct Presence {
    shown: BTreeMap<PeerId, Shown>,
    /// Ids that have been relayed. The oldest of those that are gone are forgotten.
    relayed: HashMap<u64, Relayed>,
    /// How much has been relayed so far: what counts as before and after.
    moment: u64,
}

/// What is remembered of an id.
#[derive(Clone, Copy, Debug)]
struct Relayed {
    /// Its clock when it was last relayed, so that one who comes back under it is believed.
    clock: u32,
    /// When that was.
    moment: u64,
    /// Whose it was then: that person's other peers were not sent it.
    person: PersonId,
}

#[derive(Debug)]
struct Shown {
    person: PersonId,
    /// The client id that this peer owns here, once it has shown one.
    client: Option<u64>,
    state: Option<String>,
    /// What was relayed from then on it has been sent: it echoes that, and it is not its own.
    came: u64,
    seen: DateTime<Utc>,
    /// How many states it may show right now, in tenths.
    allowance: i64,
    allowance_at: DateTime<Utc>,
}

/// Depth of a presence state's JSON.
const DEPTH_MAX: usize = 8;
/// Ids that are remembered; beyond it the older half of those that are gone is forgotten.
const RELAYED_MAX: usize = 1_024;

/// A state to show to others, with those who are to see it.
#[derive(Debug)]
pub struct Relay {
    /// The frame.
    pub frame: Bytes,
    /// To whom.
    pub to: Vec<PeerId>,
}

impl Presence {
    /// A peer has come; the answer is what it is to see, if anything.
    pub fn join(&mut self, peer: PeerId, person: PersonId, now: DateTime<Utc>) -> Option<Bytes> {
        let shown = Shown {
            person,
            client: None,
            state: None,
            came: self.moment,
            seen: now,
            allowance: 0,
            allowance_at: now - Duration::seconds(2),
        };
        self.shown.insert(peer, shown);
        self.all_for(peer)
    }

    /// Everybody's state, for a peer that asks or joins. Its own person's other peers are left out: they are the same hand.
    pub fn all_for(&self, peer: PeerId) -> Option<Bytes> {
        let me = self.shown.get(&peer)?.person;
        let others = self.shown.values().filter(|shown| shown.person != me);
        let states: Vec<(u64, u32, &str)> = others
            .filter_map(|shown| {
                let client = shown.client?;
                Some((client, self.relayed.get(&client).map_or(1, |relayed| relayed.clock), shown.state.as_deref()?))
            })
            .collect();
        (!states.is_empty()).then(|| frame::awareness(states.into_iter()))
    }

    /// A peer's awareness message. What is not its own, too large or too frequent is dropped silently.
    pub fn show(
        &mut self,
        peer: PeerId,
        person: &PeerPerson,
        body: &[u8],
        limits: &Limits,
        now: DateTime<Utc>,
    ) -> Result<Option<Relay>, Malformed> {
        let entries = frame::awareness_entries(body)?;
        let Some((client, state)) = self.own_entry(peer, &entries) else { return Ok(None) };
        let Some(shown) = self.shown.get_mut(&peer) else { return Ok(None) };
        shown.seen = now;
        if state.len() > limits.presence_bytes_max || !shown.allow(limits.presence_per_s, now) {
            return Ok(None);
        }
        let state = if state == "null" {
            None
        } else {
            match with_person(state, person, peer) {
                Some(state) => Some(state),
                None => return Ok(None),
            }
        };
        shown.client = Some(client);
        shown.state.clone_from(&state);
        Ok(self.relay(peer, client, state.as_deref()))
    }

    /// A peer is gone.
    pub fn leave(&mut self, peer: PeerId) -> Option<Relay> {
        let client = self.shown.get(&peer).and_then(|shown| shown.state.is_some().then_some(shown.client).flatten());
        let relay = client.and_then(|client| self.relay(peer, client, None));
        self.shown.remove(&peer);
        self.forget();
        relay
    }

    fn forget(&mut self) {
        if self.relayed.len() <= RELAYED_MAX.max(2 * self.shown.len()) {
            return;
        }
        let held: HashSet<u64> = self.shown.values().filter_map(|shown| shown.client).collect();
        let mut gone: Vec<u64> =
            self.relayed.iter().filter(|(client, _)| !held.contains(client)).map(|(_, relayed)| relayed.moment).collect();
        gone.sort_unstable();
        let Some(middle) = gone.get(gone.len() / 2).copied() else { return };
        self.relayed.retain(|client, relayed| relayed.moment > middle || held.contains(client));
    }

    /// Those who have been silent for too long are shown as gone.
    pub fn expire(&mut self, limits: &Limits, now: DateTime<Utc>) -> Vec<Relay> {
        let idle = Duration::seconds(i64::try_from(limits.presence_idle_s).unwrap_or(i64::MAX / 1000));
        let silent: Vec<(PeerId, u64)> = self
            .shown
            .iter()
            .filter(|(_, shown)| shown.state.is_some() && now - shown.seen >= idle)
            .filter_map(|(peer, shown)| Some((*peer, shown.client?)))
            .collect();
        silent
            .into_iter()
            .filter_map(|(peer, client)| {
                if let Some(shown) = self.shown.get_mut(&peer) {
                    shown.state = None;
                }
                self.relay(peer, client, None)
            })
            .collect()
    }

    /// Which of these entries is the peer's own (SPEC P2).
    fn own_entry<'e>(&mut self, peer: PeerId, entries: &[(u64, u64, &'e str)]) -> Option<(u64, &'e str)> {
        let shown = self.shown.get(&peer)?;
        if let Some(own) = shown.client {
            return entries.iter().find(|(client, ..)| *client == own).map(|(client, _, state)| (*client, *state));
        }
        let (client, _, state) = entries.iter().find(|(client, _, state)| {
            *state != "null"
                && !self.was_sent(shown, *client)
                && self.shown.iter().all(|(other, held)| *other == peer || held.client != Some(*client) || held.person == shown.person)
        })?;
        // The same person on a new connection: the old one has not noticed yet that it is dead.
        for held in self.shown.values_mut() {
            if held.client == Some(*client) {
                held.client = None;
                held.state = None;
            }
        }
        Some((*client, *state))
    }

    /// Has the server told this peer of this id since it came? What others showed before it came is still theirs, or has been
    /// relayed as gone since.
    fn was_sent(&self, shown: &Shown, client: u64) -> bool {
        self.relayed.get(&client).is_some_and(|relayed| relayed.moment > shown.came && relayed.person != shown.person)
    }

    fn relay(&mut self, from: PeerId, client: u64, state: Option<&str>) -> Option<Relay> {
        let person = self.shown.get(&from)?.person;
        self.moment += 1;
        let relayed = self.relayed.entry(client).or_insert(Relayed { clock: 0, moment: 0, person });
        *relayed = Relayed { clock: relayed.clock + 1, moment: self.moment, person };
        let frame = frame::awareness([(client, relayed.clock, state.unwrap_or("null"))].into_iter());
        let to = self.shown.iter().filter(|(_, shown)| shown.person != person).map(|(peer, _)| *peer).collect();
        Some(Relay { frame, to })
    }
}

impl Shown {
    fn allow(&mut self, per_s: u32, now: DateTime<Utc>) -> bool {
        let per_s = i64::from(per_s);
        let gained = (now - self.allowance_at).num_milliseconds().max(0) * per_s;
        self.allowance = (self.allowance + gained).min(per_s * 1000);
        self.allowance_at = now;
        let allowed = self.allowance >= 1000;
        if allowed {
            self.allowance -= 1000;
        }
        allowed
    }
}

/// The state with the server's words about who it is; `None` if it is no JSON object or too deep.
fn with_person(state: &str, person: &PeerPerson, peer: PeerId) -> Option<String> {
    let mut value: Value = serde_json::from_str(state).ok()?;
    if depth_beyond(&value, DEPTH_MAX) {
        return None;
    }
    let user = serde_json::json!({
        "id": person.id,
        "name": person.name,
        "initials": person.initials,
        "color": COLOURS[usize::from(person.colour.clamp(1, 5)) - 1],
        "colour": person.colour,
        "peer_id": peer.0,
    });
    value.as_object_mut()?.insert("user".to_owned(), user);
    Some(value.to_string())
}

/// For clients that know nothing of our five: the light values of `--p1` … `--p5`.
const COLOURS: [&str; 5] = ["#8c3a10", "#00645c", "#772d68", "#565a00", "#1b5a86"];

fn depth_beyond(value: &Value, depth: usize) -> bool {
    match value {
        Value::Array(items) => depth == 0 || items.iter().any(|item| depth_beyond(item, depth - 1)),
        Value::Object(fields) => depth == 0 || fields.values().any(|field| depth_beyond(field, depth - 1)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
    }

    fn person(number: u128) -> PersonId {
        PersonId(Uuid::from_u128(number))
    }

    fn show(presence: &mut Presence, peer: u32, client: u64) -> Option<Relay> {
        let message = frame::awareness([(client, 1, "{}")].into_iter());
        let body = frame::Reader::new(&message[1..]).bytes().unwrap().to_vec();
        let words = PeerPerson { id: Uuid::nil(), name: String::new(), initials: String::new(), colour: 1 };
        presence.show(PeerId(peer), &words, &body, &Limits::default(), at(0)).unwrap()
    }

    #[test]
    fn p2_what_a_peer_was_sent_is_not_its_own_also_when_its_owner_has_gone() {
        let mut presence = Presence::default();
        presence.join(PeerId(1), person(1), at(0));
        presence.join(PeerId(2), person(2), at(0));
        assert!(show(&mut presence, 1, 70).is_some());
        presence.leave(PeerId(1));
        assert!(show(&mut presence, 2, 70).is_none(), "an echo");
        // Whoever comes later was sent nothing of it and may have it.
        presence.join(PeerId(3), person(1), at(0));
        assert!(show(&mut presence, 3, 70).is_some());
        // And who was sent it when it came in, and again when it went, does not get it either.
        presence.join(PeerId(4), person(4), at(0));
        presence.leave(PeerId(3));
        assert!(show(&mut presence, 4, 70).is_none());
        assert!(show(&mut presence, 4, 71).is_some());
    }

    #[test]
    fn f15_what_is_remembered_of_those_who_came_and_went_is_bounded() {
        let mut presence = Presence::default();
        presence.join(PeerId(0), person(0), at(0));
        assert!(show(&mut presence, 0, 1).is_some());
        for come in 1..10_000 {
            presence.join(PeerId(come), person(1), at(0));
            let relay = show(&mut presence, come, 100 + u64::from(come)).unwrap();
            assert_eq!(relay.to, [PeerId(0)]);
            presence.leave(PeerId(come));
            assert!(presence.relayed.len() <= RELAYED_MAX + 1);
        }
        assert!(presence.relayed.contains_key(&1), "those who are here are remembered");
        assert!(show(&mut presence, 0, 100 + 9_999).is_none(), "and those who have just gone");
        assert_eq!(presence.shown.len(), 1);
    }
}
