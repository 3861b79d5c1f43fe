//! Yjs relative positions as bytes: read without trusting them, and written as Yjs writes them.

use bytes::BufMut;
use samspil_client_protocol::frame::{Reader, put_varuint};
use yrs::{Assoc, BranchID, ClientID, ID, IndexScope, ReadTxn, StickyIndex};

/// Longest position from outside. One that names a character has at most 15 bytes; one that names a root has its name.
pub(super) const BYTES_MAX: usize = 256;

/// Yjs client ids have at most 53 bits.
const CLIENT_MAX: u64 = (1 << 53) - 1;

/// On which side of a position the character stands that it belongs to, as Yjs encodes it.
const BEFORE_A_CHARACTER: u8 = 0;
/// −1 as lib0 writes a signed number.
const AFTER_A_CHARACTER: u8 = 0x41;

/// Reads a position. `None`: these bytes are none, or not one that Yjs would write.
pub(super) fn decode(bytes: &[u8]) -> Option<StickyIndex> {
    if bytes.len() > BYTES_MAX {
        return None;
    }
    let mut reader = Reader::new(bytes);
    let scope = match reader.varuint().ok()? {
        0 => IndexScope::Relative(id(&mut reader)?),
        1 => IndexScope::Root(reader.string().ok()?.into()),
        2 => IndexScope::Nested(id(&mut reader)?),
        _ => return None,
    };
    let assoc = match reader.u8().unwrap_or(BEFORE_A_CHARACTER) {
        BEFORE_A_CHARACTER => Assoc::After,
        AFTER_A_CHARACTER => Assoc::Before,
        _ => return None,
    };
    reader.finish().ok()?;
    Some(StickyIndex::new(scope, assoc))
}

fn id(reader: &mut Reader<'_>) -> Option<ID> {
    let client = reader.varuint().ok().filter(|client| (1..=CLIENT_MAX).contains(client))?;
    let clock = u32::try_from(reader.varuint().ok()?).ok()?;
    Some(ID::new(ClientID::new(client), clock))
}

/// The position before this character.
pub(super) fn before(character: ID) -> Vec<u8> {
    encode(character, BEFORE_A_CHARACTER)
}

/// The position after this character.
pub(super) fn after(character: ID) -> Vec<u8> {
    encode(character, AFTER_A_CHARACTER)
}

fn encode(character: ID, assoc: u8) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(16);
    put_varuint(&mut bytes, 0);
    put_varuint(&mut bytes, character.client.get());
    put_varuint(&mut bytes, character.clock.into());
    bytes.put_u8(assoc);
    bytes
}

/// The type that a position stands in, and the place in it. `None`: what it names is not here, or gone without a trace.
pub(super) fn resolve(transaction: &impl ReadTxn, position: &StickyIndex) -> Option<(BranchID, usize)> {
    let offset = position.get_offset(transaction)?;
    Some((offset.branch.id(), usize::try_from(offset.index).ok()?))
}
