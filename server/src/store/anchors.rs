//! Where the words of threads stand in the live text. Written in the transaction of the words that move them, so that what is kept always
//! speaks of the log's head.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Result, Transaction};
use crate::domain::ids::DocumentId;

/// The anchor of a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnchorRow {
    /// The thread.
    pub thread: Uuid,
    /// The field its words stand in, or last stood in.
    pub field: Option<String>,
    /// Yjs relative positions of the first and the last character; `None`: the words are gone.
    pub stands: Option<(Vec<u8>, Vec<u8>)>,
    /// The words as they stood when the thread was begun; never written here.
    pub quote: String,
    /// The words that the thread proposes in their place; never written here.
    pub proposal: Option<String>,
    /// All of them: none were left out because they are too many.
    pub whole: bool,
    /// The words when this was made.
    pub words: String,
    /// What stood before them.
    pub before: String,
    /// What stood after them.
    pub after: String,
    /// Since when they are gone.
    pub detached_at: Option<DateTime<Utc>>,
}

/// The anchors of every thread about words beside a document.
pub(super) async fn of_document(transaction: &mut Transaction, document: DocumentId) -> Result<Vec<AnchorRow>> {
    let rows = sqlx::query!(
        r#"SELECT id, field, anchor_start, anchor_end, quote AS "quote!", words AS "words!", words_before, words_after, detached_at, proposal
           FROM thread WHERE document_id = $1 AND about = 'words' ORDER BY number"#,
        document.0
    )
    .fetch_all(&mut **transaction)
    .await?;
    let rows = rows.into_iter().map(|row| AnchorRow {
        thread: row.id,
        field: row.field,
        stands: row.anchor_start.zip(row.anchor_end),
        whole: !row.quote.ends_with('…'),
        quote: row.quote,
        proposal: row.proposal,
        words: row.words,
        before: row.words_before.unwrap_or_default(),
        after: row.words_after.unwrap_or_default(),
        detached_at: row.detached_at,
    });
    Ok(rows.collect())
}

/// Writes anchors as they stand at this place in the log; one that was written from a later place stays.
pub async fn write(transaction: &mut Transaction, anchors: &[AnchorRow], seq: u64) -> Result<()> {
    if anchors.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = anchors.iter().map(|anchor| anchor.thread).collect();
    let fields: Vec<Option<&str>> = anchors.iter().map(|anchor| anchor.field.as_deref()).collect();
    let starts: Vec<Option<&[u8]>> = anchors.iter().map(|anchor| anchor.stands.as_ref().map(|(start, _)| &start[..])).collect();
    let ends: Vec<Option<&[u8]>> = anchors.iter().map(|anchor| anchor.stands.as_ref().map(|(_, end)| &end[..])).collect();
    let words: Vec<&str> = anchors.iter().map(|anchor| &anchor.words[..]).collect();
    let before: Vec<&str> = anchors.iter().map(|anchor| &anchor.before[..]).collect();
    let after: Vec<&str> = anchors.iter().map(|anchor| &anchor.after[..]).collect();
    let detached: Vec<Option<DateTime<Utc>>> = anchors.iter().map(|anchor| anchor.detached_at).collect();
    sqlx::query!(
        "UPDATE thread SET field = new.field, anchor_start = new.anchor_start, anchor_end = new.anchor_end, words = new.words,
             words_before = new.before, words_after = new.after, detached_at = new.detached_at, anchor_seq = $9
         FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::bytea[], $5::text[], $6::text[], $7::text[], $8::timestamptz[])
             AS new (id, field, anchor_start, anchor_end, words, before, after, detached_at)
         WHERE thread.id = new.id AND thread.anchor_seq < $9",
        &ids,
        &fields as &[Option<&str>],
        &starts as &[Option<&[u8]>],
        &ends as &[Option<&[u8]>],
        &words as &[&str],
        &before as &[&str],
        &after as &[&str],
        &detached as &[Option<DateTime<Utc>>],
        super::log::signed(seq)
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
