//! Everything that a log holds, as one update, put together from its bytes: it is there long before a document is. What the document
//! itself would say is shorter, and says the same.

use std::{cmp::Reverse, collections::BTreeMap};

use bytes::Bytes;
use samspil_client_protocol::frame::put_varuint;

use super::{
    Refusal,
    parse::{Range, UpdateLimits, parse},
};

/// A log as one update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// The update.
    pub update: Vec<u8>,
    /// Its state vector, as sync step 1 carries it.
    pub state_vector: Vec<u8>,
}

/// What is known of one client's blocks.
#[derive(Default)]
struct Client<'u> {
    end: u32,
    blocks: u64,
    stretches: Vec<&'u [u8]>,
}

/// Puts the updates of a log together, the first first. `None`: an update begins within a block that is here, or after what is here;
/// only the library can say what that comes to.
pub fn whole<'u>(updates: impl Iterator<Item = &'u Bytes>, limits: &UpdateLimits) -> Result<Option<Whole>, Refusal> {
    let mut clients: BTreeMap<Reverse<u64>, Client<'u>> = BTreeMap::new();
    let mut deleted: BTreeMap<u64, Vec<Range>> = BTreeMap::new();
    for update in updates {
        let parsed = parse(update, limits, true)?;
        for section in &parsed.sections {
            let client = clients.entry(Reverse(section.client)).or_default();
            let known = section.blocks.partition_point(|block| block.clock + block.len <= client.end);
            let ([first, ..], [.., last]) = (&section.blocks[known..], &section.blocks[..]) else { continue };
            if first.clock != client.end {
                return Ok(None);
            }
            client.end = section.end();
            client.blocks += (section.blocks.len() - known) as u64;
            client.stretches.push(&update[first.bytes.0..last.bytes.1]);
        }
        for (client, ranges) in parsed.deletes {
            deleted.entry(client).or_default().extend(ranges);
        }
    }
    clients.retain(|_, client| client.blocks > 0);
    Ok(Some(Whole { state_vector: state_vector(&clients), update: written(&clients, deleted) }))
}

fn written(clients: &BTreeMap<Reverse<u64>, Client<'_>>, deleted: BTreeMap<u64, Vec<Range>>) -> Vec<u8> {
    let mut out = Vec::new();
    put_varuint(&mut out, clients.len() as u64);
    for (Reverse(id), client) in clients {
        put_varuint(&mut out, client.blocks);
        put_varuint(&mut out, *id);
        put_varuint(&mut out, 0);
        client.stretches.iter().for_each(|stretch| out.extend_from_slice(stretch));
    }
    put_varuint(&mut out, deleted.len() as u64);
    for (client, ranges) in deleted {
        let ranges = joined(ranges);
        put_varuint(&mut out, client);
        put_varuint(&mut out, ranges.len() as u64);
        for range in ranges {
            put_varuint(&mut out, range.from.into());
            put_varuint(&mut out, (range.to - range.from).into());
        }
    }
    out
}

/// In order, without those that touch or overlap.
fn joined(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.sort_unstable_by_key(|range| range.from);
    ranges.dedup_by(|next, last| {
        let touch = next.from <= last.to;
        if touch {
            last.to = last.to.max(next.to);
        }
        touch
    });
    ranges
}

fn state_vector(clients: &BTreeMap<Reverse<u64>, Client<'_>>) -> Vec<u8> {
    let mut out = Vec::new();
    put_varuint(&mut out, clients.len() as u64);
    for (Reverse(id), client) in clients {
        put_varuint(&mut out, *id);
        put_varuint(&mut out, client.end.into());
    }
    out
}
