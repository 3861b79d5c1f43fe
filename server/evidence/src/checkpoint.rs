//! What fixes the trails: a Merkle tree (RFC 6962, §2.1) over the head of every trail, its root signed as a checkpoint in the C2SP formats
//! `tlog-checkpoint` and `signed-note`. Whoever holds an older checkpoint finds out when a trail was cut or altered afterwards.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    Hash,
    seal::{PublicKey, SealKey},
};

/// The end of a trail at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Head {
    /// Which trail.
    pub trail: Uuid,
    /// Seq of its newest event.
    pub seq: u64,
    /// That event's hash.
    pub hash: Hash,
}

/// A signed checkpoint as text, whole and in its one spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose log: the server's public address without its scheme.
    pub origin: String,
    /// How many trails.
    pub size: u64,
    /// Root of the tree over their heads.
    pub root: Hash,
}

/// That a trail's head is in a checkpoint (RFC 6962, §2.1.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inclusion {
    /// Seq of the trail's newest event then.
    pub seq: u64,
    /// Place of the trail among all, from 0.
    pub index: u64,
    /// The hashes beside the way up, from the leaf, in hexadecimal.
    pub path: Vec<String>,
}

/// Why a checkpoint does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Not a checkpoint in its one spelling.
    #[error("it is not a checkpoint")]
    Malformed,
    /// None of the keys signed it.
    #[error("none of the known keys signed it")]
    Signature,
    /// The trail is not in it.
    #[error("the trail is not in it")]
    NotIncluded,
}

/// The root over these heads. They are put in the order of their trails' ids.
#[must_use]
pub fn root(heads: &mut [Head]) -> Hash {
    heads.sort_unstable();
    subtree(&heads.iter().map(leaf).collect::<Vec<_>>())
}

/// Shows that a trail is among these heads; `None` if it is not.
#[must_use]
pub fn include(heads: &mut [Head], trail: Uuid) -> Option<Inclusion> {
    heads.sort_unstable();
    let index = heads.iter().position(|head| head.trail == trail)?;
    let mut path = Vec::new();
    climb(&heads.iter().map(leaf).collect::<Vec<_>>(), index, &mut path);
    Some(Inclusion { seq: heads[index].seq, index: index as u64, path: path.iter().map(hex::encode).collect() })
}

fn leaf(head: &Head) -> Hash {
    let mut hash = Sha256::new();
    hash.update([0]);
    hash.update(head.trail.as_bytes());
    hash.update(head.seq.to_be_bytes());
    hash.update(head.hash);
    hash.finalize().into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// Where a tree of `count` leaves is cut: the largest power of two below it.
fn cut(count: usize) -> usize {
    count.next_power_of_two() / 2
}

fn subtree(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::digest([]).into(),
        [one] => *one,
        many => {
            let (left, right) = many.split_at(cut(many.len()));
            node(&subtree(left), &subtree(right))
        }
    }
}

fn climb(leaves: &[Hash], index: usize, path: &mut Vec<Hash>) {
    if leaves.len() < 2 {
        return;
    }
    let (left, right) = leaves.split_at(cut(leaves.len()));
    if index < left.len() {
        climb(left, index, path);
        path.push(subtree(right));
    } else {
        climb(right, index - left.len(), path);
        path.push(subtree(left));
    }
}

/// The root that a leaf and its way up lead to; `None` if the way has the wrong length.
fn lead_up(leaf: Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    let (mut at, mut last, mut hash) = (index, size.checked_sub(1)?, leaf);
    if at > last {
        return None;
    }
    for beside in path {
        if last == 0 {
            return None;
        }
        if at % 2 == 1 || at == last {
            hash = node(beside, &hash);
            while at % 2 == 0 && at != 0 {
                at /= 2;
                last /= 2;
            }
        } else {
            hash = node(&hash, beside);
        }
        at /= 2;
        last /= 2;
    }
    (last == 0).then_some(hash)
}

/// Signs a checkpoint over these heads.
#[must_use]
pub fn sign(origin: &str, heads: &mut [Head], key: &SealKey) -> String {
    let root = root(heads);
    let body = format!("{origin}\n{}\n{}\n", heads.len(), BASE64_STANDARD.encode(root));
    let mut signature = key_hash(origin, &key.public()).unwrap_or_default().to_vec();
    signature.extend_from_slice(&key.sign(body.as_bytes()));
    format!("{body}\n\u{2014} {origin} {}\n", BASE64_STANDARD.encode(signature))
}

/// Reads a checkpoint that one of these keys signed.
pub fn open(note: &str, keys: &[PublicKey]) -> Result<Checkpoint, Broken> {
    let (body, signatures) = note.split_once("\n\n").ok_or(Broken::Malformed)?;
    let body = format!("{body}\n");
    let lines: Vec<&str> = body.trim_end_matches('\n').split('\n').collect();
    let [origin, size, root] = lines[..] else { return Err(Broken::Malformed) };
    let checkpoint = Checkpoint {
        origin: origin.to_owned(),
        size: size.parse().map_err(|_| Broken::Malformed)?,
        root: BASE64_STANDARD.decode(root).ok().and_then(|root| root.try_into().ok()).ok_or(Broken::Malformed)?,
    };
    if format!("{}\n{}\n{}\n", checkpoint.origin, checkpoint.size, BASE64_STANDARD.encode(checkpoint.root)) != body {
        return Err(Broken::Malformed);
    }
    // One signature, ours, and nothing beside it: a note may carry others', a package does not.
    let signature = signatures
        .strip_prefix(&format!("\u{2014} {origin} "))
        .and_then(|rest| rest.strip_suffix('\n'))
        .and_then(|encoded| BASE64_STANDARD.decode(encoded).ok())
        .ok_or(Broken::Malformed)?;
    let (hash, signature) = signature.split_at_checked(4).ok_or(Broken::Malformed)?;
    keys.iter()
        .any(|key| key_hash(origin, key).is_some_and(|known| known == hash) && key.verifies(body.as_bytes(), signature))
        .then_some(checkpoint)
        .ok_or(Broken::Signature)
}

impl Checkpoint {
    /// That this head was in it.
    pub fn includes(&self, head: &Head, inclusion: &Inclusion) -> Result<(), Broken> {
        let path: Option<Vec<Hash>> =
            inclusion.path.iter().map(|hash| hex::decode(hash).ok().and_then(|hash| hash.try_into().ok())).collect();
        let found = path.and_then(|path| lead_up(leaf(head), inclusion.index, self.size, &path));
        if inclusion.seq == head.seq && found == Some(self.root) { Ok(()) } else { Err(Broken::NotIncluded) }
    }
}

/// C2SP `signed-note`: what names a key beside its signature. Algorithm 1 is Ed25519.
fn key_hash(name: &str, key: &PublicKey) -> Option<[u8; 4]> {
    let hash: Hash = Sha256::new().chain_update(name).chain_update([b'\n', 1]).chain_update(key.bytes()?).finalize().into();
    hash[..4].try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads(count: u8) -> Vec<Head> {
        (0..count).map(|n| Head { trail: Uuid::from_u128(u128::from(n) * 7 % 251), seq: u64::from(n) + 1, hash: [n; 32] }).collect()
    }

    #[test]
    fn every_trail_of_every_tree_is_shown_to_be_in_it_and_nothing_else_is() {
        let key = SealKey::from_seed([1; 32]);
        for count in 1..40 {
            let mut all = heads(count);
            let note = sign("samspil.klitfjord.example", &mut all, &key);
            let checkpoint = open(&note, &[key.public()]).unwrap();
            assert_eq!(checkpoint.size, u64::from(count));
            for head in all.clone() {
                let inclusion = include(&mut all, head.trail).unwrap();
                checkpoint.includes(&head, &inclusion).unwrap();
                let other = Head { hash: [99; 32], ..head };
                assert_eq!(checkpoint.includes(&other, &inclusion), Err(Broken::NotIncluded));
                let longer = Inclusion { path: [inclusion.path.clone(), vec![hex::encode([0; 32])]].concat(), ..inclusion };
                assert_eq!(checkpoint.includes(&head, &longer), Err(Broken::NotIncluded));
            }
        }
        assert_eq!(include(&mut heads(3), Uuid::max()), None);
    }

    /// RFC 6962 has no examples; this tree of three is computed by hand from its definition.
    #[test]
    fn the_root_is_that_of_rfc_6962() {
        let mut three = heads(3);
        three.sort_unstable();
        let [a, b, c] = [leaf(&three[0]), leaf(&three[1]), leaf(&three[2])];
        assert_eq!(root(&mut three), node(&node(&a, &b), &c));
    }

    #[test]
    fn every_byte_of_a_checkpoint_counts() {
        let key = SealKey::from_seed([1; 32]);
        let note = sign("samspil.klitfjord.example", &mut heads(5), &key);
        for at in 0..note.len() {
            for bit in 0..8 {
                let mut bytes = note.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let Ok(altered) = String::from_utf8(bytes) else { continue };
                assert!(open(&altered, &[key.public()]).is_err(), "byte {at}, bit {bit}: {altered}");
            }
        }
        assert_eq!(open(&note, &[SealKey::from_seed([2; 32]).public()]), Err(Broken::Signature));
    }
}
