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
    /// The last clock relayed for an id, so that one who comes back under it is believed. Forgotten when it grows too long.
    clocks: HashMap<u64, u32>,
}

#[derive(Debug)]
struct Shown {
    person: PersonId,
    /// The client id that this peer owns here, once it has shown one.
    client: Option<u64>,
    state: Option<String>,
    /// Ids that the server has relayed to this peer: it echoes them, and they are not its own.
    relayed: HashSet<u64>,
    seen: DateTime<Utc>,
    /// How many states it may show right now, in tenths.
    allowance: i64,
    allowance_at: DateTime<Utc>,
}

/// Depth of a presence state's JSON.
const DEPTH_MAX: usize = 8;
/// Ids that have gone and whose clocks are kept.
const CLOCKS_MAX: usize = 10_000;

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
            relayed: HashSet::new(),
            seen: now,
            allowance: 0,
            allowance_at: now - Duration::seconds(2),
        };
        self.shown.insert(peer, shown);
        self.all_for(peer)
    }

    /// Everybody's state, for a peer that asks or joins. Its own person's other peers are left out: they are the same hand.
    pub fn all_for(&mut self, peer: PeerId) -> Option<Bytes> {
        let me = self.shown.get(&peer)?.person;
        let states: Vec<(u64, u32, String)> = self
            .shown
            .values()
            .filter(|shown| shown.person != me)
            .filter_map(|shown| Some((shown.client?, self.clocks.get(&shown.client?).copied().unwrap_or(1), shown.state.clone()?)))
            .collect();
        let shown = self.shown.get_mut(&peer)?;
        shown.relayed.extend(states.iter().map(|(client, ..)| *client));
        (!states.is_empty()).then(|| frame::awareness(states.iter().map(|(client, clock, state)| (*client, *clock, state.as_str()))))
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
        Ok(Some(self.relay(peer, client, state.as_deref())))
    }

    /// A peer is gone.
    pub fn leave(&mut self, peer: PeerId) -> Option<Relay> {
        let client = self.shown.get(&peer).and_then(|shown| shown.state.is_some().then_some(shown.client).flatten());
        let relay = client.map(|client| self.relay(peer, client, None));
        self.shown.remove(&peer);
        if self.clocks.len() > CLOCKS_MAX {
            let held: HashSet<u64> = self.shown.values().filter_map(|shown| shown.client).collect();
            self.clocks.retain(|client, _| held.contains(client));
        }
        relay
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
            .map(|(peer, client)| {
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
                && !shown.relayed.contains(client)
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

    fn relay(&mut self, from: PeerId, client: u64, state: Option<&str>) -> Relay {
        let clock = self.clocks.entry(client).or_insert(0);
        *clock += 1;
        let clock = *clock;
        let me = self.shown.get(&from).map(|shown| shown.person);
        let mut to = Vec::with_capacity(self.shown.len());
        for (peer, shown) in &mut self.shown {
            if *peer != from && Some(shown.person) != me {
                shown.relayed.insert(client);
                to.push(*peer);
            }
        }
        Relay { frame: frame::awareness([(client, clock, state.unwrap_or("null"))].into_iter()), to }
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
