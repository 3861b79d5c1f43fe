//! The text that is signed: made from nothing but the whole log, in a document of its own, so that it says what every update from the first
//! one on says, and not what a room or a snapshot believes (reliability-security §6.1).

use bytes::Bytes;
use samspil_evidence::statement::log_hash;

use super::{
    document::{self, NotReplayed, update_limits},
    replays::beside_rooms,
};
use crate::{
    config::Limits,
    content::{self, Content},
    domain::ids::DocumentId,
    store::{self, Store, life::FrozenText, log::WholeLog},
};

/// A text as its log makes it.
#[derive(Clone, Debug)]
pub struct Frozen {
    /// What is signed of it.
    pub text: FrozenText,
    /// What it says.
    pub content: Content,
}

/// Replays a document's whole log, without holding a lock. `None`: there is no such document.
pub(super) async fn freeze(store: &Store, document: DocumentId, limits: &Limits) -> store::Result<Option<Result<Frozen, NotReplayed>>> {
    let Some(log) = store.whole_log(document).await? else { return Ok(None) };
    let (head, limits) = (log.head, limits.clone());
    let replayed = beside_rooms(move || replay(&log, &limits)).await;
    Ok(Some(replayed.unwrap_or_else(|| Err(NotReplayed { seq: head, what: "it panicked".into() }))))
}

/// What a document said at this place in its log. `None`: there is no such document, or its log does not go so far.
pub(super) async fn text_at(
    store: &Store,
    document: DocumentId,
    seq: u64,
    limits: &Limits,
) -> store::Result<Option<Result<Content, NotReplayed>>> {
    let Some(mut log) = store.whole_log(document).await?.filter(|log| log.head >= seq) else { return Ok(None) };
    log.rows.retain(|row| row.seq <= seq);
    log.head = seq;
    let limits = limits.clone();
    let replayed = beside_rooms(move || replay(&log, &limits)).await;
    Ok(Some(replayed.unwrap_or_else(|| Err(NotReplayed { seq, what: "it panicked".into() })).map(|frozen| frozen.content)))
}

fn replay(log: &WholeLog, limits: &Limits) -> Result<Frozen, NotReplayed> {
    for (expected, row) in (1..).zip(&log.rows) {
        if row.seq != expected {
            return Err(NotReplayed { seq: expected, what: "an update is missing from the log".into() });
        }
        if content::sha256(&row.payload) != row.hash {
            return Err(NotReplayed { seq: row.seq, what: "an update is not the one that was logged".into() });
        }
    }
    if log.rows.len() as u64 != log.head {
        return Err(NotReplayed { seq: log.rows.len() as u64 + 1, what: format!("the log ends before its head {}", log.head) });
    }
    let content = document::read_log(log.rows.iter().map(|row| (row.seq, &row.payload)), &update_limits(limits))?;
    let bytes = Bytes::from(content::render_content(&content));
    let text = FrozenText {
        head: log.head,
        schema: content.schema,
        content_sha256: content::sha256(&bytes),
        log_sha256: log_hash(log.rows.iter().map(|row| (row.seq, row.person.map(|person| person.0), row.hash))),
        bytes,
    };
    Ok(Frozen { text, content })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{content::paragraph, domain::ids::PersonId, store::log::WholeRow};

    fn row(seq: u64, payload: Vec<u8>) -> WholeRow {
        WholeRow { seq, person: Some(PersonId(uuid::Uuid::from_u128(1))), hash: content::sha256(&payload), payload: payload.into() }
    }

    fn first() -> Vec<u8> {
        let sections = [("rammer".to_owned(), paragraph("To biler og en cykel"))].into();
        content::build(&Content { schema: content::SCHEMA, template: "t".into(), sections, goals: Vec::new() }, 7)
    }

    /// Blocks of client 9 from clock 5 on: what comes before them is nowhere.
    const GAP: [u8; 13] = [1, 1, 9, 5, 4, 1, 1, b'r', 3, b'o', b'r', b'd', 0];

    #[test]
    fn a_log_that_is_whole_says_what_it_says() {
        let frozen = replay(&WholeLog { head: 1, rows: vec![row(1, first())] }, &Limits::default()).unwrap().text;
        assert!(String::from_utf8_lossy(&frozen.bytes).contains("To biler og en cykel"));
        assert_eq!(frozen.content_sha256, content::sha256(&frozen.bytes));
        assert_eq!(frozen.log_sha256, log_hash([(1, Some(uuid::Uuid::from_u128(1)), content::sha256(&first()))]));
    }

    #[test]
    fn a_log_with_a_hole_or_with_a_row_that_was_altered_is_not_frozen() {
        let mut altered = row(1, first());
        altered.hash[0] ^= 1;
        for (name, log, at) in [
            ("altered", WholeLog { head: 1, rows: vec![altered] }, 1),
            ("missing in the middle", WholeLog { head: 3, rows: vec![row(1, first()), row(3, first())] }, 2),
            ("missing at the end", WholeLog { head: 2, rows: vec![row(1, first())] }, 2),
            ("beyond the head", WholeLog { head: 1, rows: vec![row(1, first()), row(2, first())] }, 3),
            ("not an update", WholeLog { head: 2, rows: vec![row(1, first()), row(2, vec![1, 2, 3])] }, 2),
            ("builds on what is not there", WholeLog { head: 2, rows: vec![row(1, first()), row(2, GAP.to_vec())] }, 2),
        ] {
            assert_eq!(replay(&log, &Limits::default()).map(|_| ()).map_err(|refused| refused.seq), Err(at), "{name}");
        }
    }
}
