//! Comment threads beside a text, what was said in them, who is named and who has read how far.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Error, Result, Store, Transaction, agreements::number, anchors::AnchorRow};
use crate::domain::{
    comments::{About, Telling, Wording},
    ids::{DocumentId, PersonId},
};

/// A thread with its comments, as one person sees it.
#[derive(Clone, Debug)]
pub struct ThreadRow {
    /// Id.
    pub id: Uuid,
    /// Beside which document.
    pub document: DocumentId,
    /// What people call it.
    pub number: u32,
    /// What it is about.
    pub about: About,
    /// The section it is about.
    pub section_key: Option<String>,
    /// The goal it is about.
    pub goal: Option<Uuid>,
    /// The words it is about, as they stood when it was begun.
    pub quote: Option<String>,
    /// The field its words stand in, or last stood in.
    pub field: Option<String>,
    /// Where they stand: relative positions of the first and the last character.
    pub anchor: Option<(Vec<u8>, Vec<u8>)>,
    /// Since when they are gone.
    pub detached_at: Option<DateTime<Utc>>,
    /// Still open?
    pub open: bool,
    /// Who began it.
    pub created_by: PersonId,
    /// Who resolved it, and when; imported threads may not know.
    pub resolved_by: Option<PersonId>,
    /// When.
    pub resolved_at: Option<DateTime<Utc>>,
    /// To be taken up at the meeting.
    pub for_meeting: bool,
    /// Proposed words.
    pub proposal: Option<ProposalRow>,
    /// Raised by every change.
    pub version: u32,
    /// How far the person has read; 0: nothing.
    pub read_up_to: u32,
    /// What was said, oldest first.
    pub comments: Vec<CommentRow>,
}

impl ThreadRow {
    /// The comments that say something: deleted ones left out.
    pub fn said(&self) -> impl DoubleEndedIterator<Item = &CommentRow> {
        self.comments.iter().filter(|comment| comment.deleted_at.is_none())
    }
}

/// Words proposed in place of the quote.
#[derive(Clone, Debug)]
pub struct ProposalRow {
    /// The words.
    pub text: String,
    /// What became of them.
    pub state: Wording,
    /// Who claimed, inserted or declined them, and when.
    pub by: Option<(PersonId, DateTime<Utc>)>,
}

/// What somebody said.
#[derive(Clone, Debug)]
pub struct CommentRow {
    /// Id.
    pub id: Uuid,
    /// Place in the thread.
    pub number: u32,
    /// Who.
    pub person: PersonId,
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub body: String,
    /// When it was reworded.
    pub edited_at: Option<DateTime<Utc>>,
    /// When it was deleted.
    pub deleted_at: Option<DateTime<Utc>>,
    /// Whom it names.
    pub mentions: Vec<PersonId>,
    /// Raised by every change.
    pub version: u32,
}

impl Store {
    /// The threads beside these documents as this person sees them, resolved ones too, by number. One whose only comment was deleted
    /// is left out.
    pub async fn threads(&self, documents: &[DocumentId], reader: PersonId) -> Result<Vec<ThreadRow>> {
        self.threads_where(documents, None, reader, None).await
    }

    /// One thread as this person sees it; `None` if there is none, or it has disappeared.
    pub async fn thread(&self, thread: Uuid, reader: PersonId) -> Result<Option<ThreadRow>> {
        let Some(document) = self.document_of_thread(thread).await? else { return Ok(None) };
        Ok(self.threads_where(&[document], Some(thread), reader, None).await?.pop())
    }

    /// The document that a thread is beside.
    pub async fn document_of_thread(&self, thread: Uuid) -> Result<Option<DocumentId>> {
        let document = sqlx::query_scalar!("SELECT document_id FROM thread WHERE id = $1", thread).fetch_optional(self.pool()).await?;
        Ok(document.map(DocumentId))
    }

    /// The threads beside a document, disappeared ones too.
    pub async fn thread_ids(&self, document: DocumentId) -> Result<HashSet<Uuid>> {
        let ids = sqlx::query_scalar!("SELECT id FROM thread WHERE document_id = $1", document.0).fetch_all(self.pool()).await?;
        Ok(ids.into_iter().collect())
    }

    /// Does the text hold this goal?
    pub async fn has_goal(&self, document: DocumentId, goal: Uuid) -> Result<bool> {
        let held = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM agreement_goal WHERE document_id = $1 AND goal_id = $2)
                   OR EXISTS (SELECT FROM goal WHERE document_id = $1 AND id = $2) AS "held!""#,
            document.0,
            goal
        )
        .fetch_one(self.pool())
        .await?;
        Ok(held)
    }

    /// The thread that a comment is in.
    pub async fn thread_of_comment(&self, comment: Uuid) -> Result<Option<Uuid>> {
        Ok(sqlx::query_scalar!("SELECT thread_id FROM comment WHERE id = $1", comment).fetch_optional(self.pool()).await?)
    }

    /// The open threads beside these documents that this person may have to answer: those beside `own` documents, and those in
    /// which they have written.
    pub async fn open_threads_concerning(&self, person: PersonId, own: &[DocumentId], visible: &[DocumentId]) -> Result<Vec<ThreadRow>> {
        self.threads_where(visible, None, person, Some(own)).await
    }

    async fn threads_where(
        &self,
        documents: &[DocumentId],
        only: Option<Uuid>,
        reader: PersonId,
        concerning: Option<&[DocumentId]>,
    ) -> Result<Vec<ThreadRow>> {
        let ids: Vec<Uuid> = documents.iter().map(|document| document.0).collect();
        let own: Vec<Uuid> = concerning.unwrap_or_default().iter().map(|document| document.0).collect();
        let rows = sqlx::query!(
            r#"SELECT t.id, t.document_id, t.number, t.about, t.section_key, t.goal_id, t.quote, t.field, t.anchor_start, t.anchor_end,
                      t.detached_at, t.status = 'open' AS "open!", t.created_by, t.resolved_by, t.resolved_at, t.for_meeting, t.proposal,
                      t.proposal_state, t.proposal_by, t.proposal_at, t.version, r.up_to AS "up_to?", c.id AS comment_id,
                      c.number AS comment_number, c.person_id, c.at, c.body, c.edited_at, c.deleted_at, c.version AS comment_version,
                      ARRAY(SELECT m.person_id FROM comment_mention m WHERE m.comment_id = c.id ORDER BY m.person_id) AS "mentions!: Vec<Uuid>"
               FROM thread t JOIN comment c ON c.thread_id = t.id LEFT JOIN thread_read r ON r.thread_id = t.id AND r.person_id = $2
               WHERE t.document_id = ANY($1) AND ($3::uuid IS NULL OR t.id = $3)
                 AND EXISTS (SELECT FROM comment said WHERE said.thread_id = t.id AND said.deleted_at IS NULL)
                 AND (NOT $4 OR (t.status = 'open' AND (t.document_id = ANY($5)
                      OR EXISTS (SELECT FROM comment mine WHERE mine.thread_id = t.id AND mine.person_id = $2))))
               ORDER BY t.document_id, t.number, c.number"#,
            &ids,
            reader.0,
            only,
            concerning.is_some(),
            &own
        )
        .fetch_all(self.pool())
        .await?;
        let mut threads: Vec<ThreadRow> = Vec::new();
        for row in rows {
            if threads.last().is_none_or(|last| last.id != row.id) {
                let proposal = proposal(row.proposal, row.proposal_state, row.proposal_by, row.proposal_at)?;
                threads.push(ThreadRow {
                    id: row.id,
                    document: DocumentId(row.document_id),
                    number: number("thread", "number", row.number.into())?,
                    about: About::from_id(&row.about).ok_or(Error::Unknown { table: "thread", what: "about", value: row.about })?,
                    section_key: row.section_key,
                    goal: row.goal_id,
                    quote: row.quote,
                    field: row.field,
                    anchor: row.anchor_start.zip(row.anchor_end),
                    detached_at: row.detached_at,
                    open: row.open,
                    created_by: PersonId(row.created_by),
                    resolved_by: row.resolved_by.map(PersonId),
                    resolved_at: row.resolved_at,
                    for_meeting: row.for_meeting,
                    proposal,
                    version: number("thread", "version", row.version.into())?,
                    read_up_to: number("thread_read", "up_to", row.up_to.unwrap_or_default().into())?,
                    comments: vec![],
                });
            }
            threads.last_mut().expect("a thread was pushed above").comments.push(CommentRow {
                id: row.comment_id,
                number: number("comment", "number", row.comment_number.into())?,
                person: PersonId(row.person_id),
                at: row.at,
                body: row.body,
                edited_at: row.edited_at,
                deleted_at: row.deleted_at,
                mentions: row.mentions.into_iter().map(PersonId).collect(),
                version: number("comment", "version", row.comment_version.into())?,
            });
        }
        Ok(threads)
    }
}

/// A thread to be begun.
#[derive(Clone, Debug)]
pub struct NewThread<'a> {
    /// Id, made by the page.
    pub id: Uuid,
    /// Beside which document.
    pub document: DocumentId,
    /// What it is about.
    pub about: About,
    /// The section.
    pub section_key: Option<&'a str>,
    /// The goal.
    pub goal: Option<Uuid>,
    /// Its words, as they are shown for ever.
    pub quote: Option<&'a str>,
    /// Where they stand, at this place in the log.
    pub anchor: Option<(&'a AnchorRow, u64)>,
    /// To be taken up at the meeting.
    pub for_meeting: bool,
    /// Other words.
    pub proposal: Option<&'a str>,
    /// Who begins it.
    pub by: PersonId,
    /// When.
    pub at: DateTime<Utc>,
}

/// A comment to be written.
#[derive(Clone, Debug)]
pub struct NewComment<'a> {
    /// Id.
    pub id: Uuid,
    /// In which thread.
    pub thread: Uuid,
    /// What.
    pub body: &'a str,
    /// Whom it names.
    pub mentions: &'a [PersonId],
    /// Who.
    pub by: PersonId,
    /// When.
    pub at: DateTime<Utc>,
}

/// A thread that nobody else changes now.
#[derive(Clone, Debug)]
pub struct LockedThread {
    /// Beside which document.
    pub document: DocumentId,
    /// Still open?
    pub open: bool,
    /// Who began it.
    pub created_by: PersonId,
    /// The words it is about, as they stood when it was begun.
    pub quote: Option<String>,
    /// Proposed words.
    pub proposal: Option<ProposalRow>,
    /// Everybody whose words are in it.
    pub writers: Vec<PersonId>,
}

/// A comment that nobody else changes now.
#[derive(Clone, Copy, Debug)]
pub struct LockedComment {
    /// In which thread.
    pub thread: Uuid,
    /// Whose.
    pub person: PersonId,
    /// Which version of it.
    pub version: u32,
    /// It was deleted.
    pub deleted: bool,
}

/// Somebody to be told of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Who.
    pub person: PersonId,
    /// Of what.
    pub kind: Telling,
}

/// What somebody is told of.
#[derive(Clone, Copy, Debug)]
pub struct Happened {
    /// Beside which document.
    pub document: DocumentId,
    /// In which thread.
    pub thread: Uuid,
    /// With which comment.
    pub comment: Option<Uuid>,
    /// Who did it.
    pub by: PersonId,
    /// When.
    pub at: DateTime<Utc>,
}

/// Begins a thread. A second one of the same id hits `thread_pkey`.
pub async fn begin_thread(transaction: &mut Transaction, new: &NewThread<'_>) -> Result<()> {
    // Two who begin at once get different numbers.
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended($1::text, 4))", new.document.0.to_string())
        .execute(&mut **transaction)
        .await?;
    let (anchor, seq) = new.anchor.unzip();
    let stands = anchor.and_then(|anchor| anchor.stands.as_ref());
    sqlx::query!(
        "INSERT INTO thread (id, document_id, number, about, section_key, goal_id, quote, field, anchor_start, anchor_end, anchor_seq,
             words, words_before, words_after, for_meeting, proposal, proposal_state, status, created_by, created_at)
         VALUES ($1, $2, (SELECT COALESCE(max(number), 0) + 1 FROM thread WHERE document_id = $2), $3, $4, $5, $6, $7, $8, $9, $10, $11,
             $12, $13, $14, $15, CASE WHEN $15::text IS NOT NULL THEN 'open' END, 'open', $16, $17)",
        new.id,
        new.document.0,
        new.about.id(),
        new.section_key,
        new.goal,
        new.quote,
        anchor.and_then(|anchor| anchor.field.as_deref()),
        stands.map(|(start, _)| &start[..]),
        stands.map(|(_, end)| &end[..]),
        super::log::signed(seq.unwrap_or_default()),
        anchor.map(|anchor| &anchor.words[..]),
        anchor.map(|anchor| &anchor.before[..]),
        anchor.map(|anchor| &anchor.after[..]),
        new.for_meeting,
        new.proposal,
        new.by.0,
        new.at
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// How many threads there are beside a document.
pub async fn count_threads(transaction: &mut Transaction, document: DocumentId) -> Result<i64> {
    let count = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM thread WHERE document_id = $1"#, document.0)
        .fetch_one(&mut **transaction)
        .await?;
    Ok(count)
}

/// Writes a comment as the last of its thread, and has its writer read up to there. Answers its number. A second one of the same id
/// hits `comment_pkey`.
pub async fn say(transaction: &mut Transaction, new: &NewComment<'_>) -> Result<u32> {
    let said = sqlx::query_scalar!(
        "INSERT INTO comment (id, thread_id, number, person_id, body, at)
         VALUES ($1, $2, (SELECT COALESCE(max(number), 0) + 1 FROM comment WHERE thread_id = $2), $3, $4, $5) RETURNING number",
        new.id,
        new.thread,
        new.by.0,
        new.body,
        new.at
    )
    .fetch_one(&mut **transaction)
    .await?;
    mention(transaction, new.id, new.mentions).await?;
    sqlx::query!("UPDATE thread SET version = version + 1 WHERE id = $1", new.thread).execute(&mut **transaction).await?;
    read_up_to(transaction, new.by, &[(new.thread, said)]).await?;
    number("comment", "number", said.into())
}

async fn mention(transaction: &mut Transaction, comment: Uuid, people: &[PersonId]) -> Result<()> {
    let people: Vec<Uuid> = people.iter().map(|person| person.0).collect();
    sqlx::query!(
        "INSERT INTO comment_mention (comment_id, person_id) SELECT $1, person_id FROM unnest($2::uuid[]) AS named (person_id)
         ON CONFLICT (comment_id, person_id) DO NOTHING",
        comment,
        &people
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// The thread, held still until the transaction ends.
pub async fn lock_thread(transaction: &mut Transaction, thread: Uuid) -> Result<Option<LockedThread>> {
    let row = sqlx::query!(
        r#"SELECT document_id, status = 'open' AS "open!", created_by, quote, proposal, proposal_state, proposal_by, proposal_at,
                  ARRAY(SELECT DISTINCT person_id FROM comment WHERE thread_id = thread.id AND deleted_at IS NULL ORDER BY person_id) AS "writers!: Vec<Uuid>"
           FROM thread WHERE id = $1 FOR UPDATE OF thread"#,
        thread
    )
    .fetch_optional(&mut **transaction)
    .await?;
    row.map(|row| {
        Ok(LockedThread {
            document: DocumentId(row.document_id),
            open: row.open,
            created_by: PersonId(row.created_by),
            quote: row.quote,
            proposal: proposal(row.proposal, row.proposal_state, row.proposal_by, row.proposal_at)?,
            writers: row.writers.into_iter().map(PersonId).collect(),
        })
    })
    .transpose()
}

/// The comment, held still until the transaction ends.
pub async fn lock_comment(transaction: &mut Transaction, comment: Uuid) -> Result<Option<LockedComment>> {
    let row = sqlx::query!(
        r#"SELECT thread_id, person_id, version, deleted_at IS NOT NULL AS "deleted!" FROM comment WHERE id = $1 FOR UPDATE"#,
        comment
    )
    .fetch_optional(&mut **transaction)
    .await?;
    row.map(|row| {
        let version = number("comment", "version", row.version.into())?;
        Ok(LockedComment { thread: row.thread_id, person: PersonId(row.person_id), version, deleted: row.deleted })
    })
    .transpose()
}

/// Resolves an open thread.
pub async fn resolve(transaction: &mut Transaction, thread: Uuid, by: PersonId, at: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "UPDATE thread SET status = 'resolved', resolved_by = $2, resolved_at = $3, version = version + 1 WHERE id = $1 AND status = 'open'",
        thread,
        by.0,
        at
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Opens a resolved thread again.
pub async fn reopen(transaction: &mut Transaction, thread: Uuid) -> Result<()> {
    sqlx::query!(
        "UPDATE thread SET status = 'open', resolved_by = NULL, resolved_at = NULL, version = version + 1 WHERE id = $1 AND status <> 'open'",
        thread
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// *Tag op på mødet*, or not after all.
pub async fn take_up(transaction: &mut Transaction, thread: Uuid, on: bool) -> Result<()> {
    sqlx::query!("UPDATE thread SET for_meeting = $2, version = version + 1 WHERE id = $1 AND for_meeting <> $2", thread, on)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// What becomes of proposed words.
pub async fn set_wording(
    transaction: &mut Transaction,
    thread: Uuid,
    state: Wording,
    by: PersonId,
    at: DateTime<Utc>,
    seq: Option<u64>,
) -> Result<()> {
    sqlx::query!(
        "UPDATE thread SET proposal_state = $2, proposal_by = $3, proposal_at = $4, proposal_seq = $5, version = version + 1 WHERE id = $1",
        thread,
        state.id(),
        by.0,
        at,
        seq.map(super::log::signed)
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Rewords a comment; what it said is kept.
pub async fn reword(transaction: &mut Transaction, comment: Uuid, body: &str, mentions: &[PersonId], at: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "INSERT INTO comment_revision (comment_id, version, body, until) SELECT id, version, body, $2 FROM comment WHERE id = $1",
        comment,
        at
    )
    .execute(&mut **transaction)
    .await?;
    sqlx::query!("UPDATE comment SET body = $2, edited_at = $3, version = version + 1 WHERE id = $1", comment, body, at)
        .execute(&mut **transaction)
        .await?;
    sqlx::query!("DELETE FROM comment_mention WHERE comment_id = $1", comment).execute(&mut **transaction).await?;
    mention(transaction, comment, mentions).await?;
    touch(transaction, comment).await
}

/// Empties a comment, and whatever it said before; that there was one stays.
pub async fn delete(transaction: &mut Transaction, comment: Uuid, at: DateTime<Utc>) -> Result<()> {
    sqlx::query!("UPDATE comment SET body = '', deleted_at = $2, version = version + 1 WHERE id = $1", comment, at)
        .execute(&mut **transaction)
        .await?;
    sqlx::query!("UPDATE comment_revision SET body = '' WHERE comment_id = $1", comment).execute(&mut **transaction).await?;
    sqlx::query!("DELETE FROM comment_mention WHERE comment_id = $1", comment).execute(&mut **transaction).await?;
    touch(transaction, comment).await
}

async fn touch(transaction: &mut Transaction, comment: Uuid) -> Result<()> {
    sqlx::query!("UPDATE thread SET version = version + 1 WHERE id = (SELECT thread_id FROM comment WHERE id = $1)", comment)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// A person has read these threads up to these comments; never back, and never further than there are comments.
pub async fn read_up_to(transaction: &mut Transaction, person: PersonId, read: &[(Uuid, i32)]) -> Result<()> {
    let (threads, numbers): (Vec<Uuid>, Vec<i32>) = read.iter().copied().unzip();
    sqlx::query!(
        "INSERT INTO thread_read (person_id, thread_id, up_to)
         SELECT $1, read.thread_id, least(read.up_to, last.number)
         FROM unnest($2::uuid[], $3::integer[]) AS read (thread_id, up_to)
         CROSS JOIN LATERAL (SELECT max(number) AS number FROM comment WHERE comment.thread_id = read.thread_id) AS last
         WHERE read.up_to >= 1 AND last.number IS NOT NULL ORDER BY read.thread_id
         ON CONFLICT (person_id, thread_id) DO UPDATE SET up_to = greatest(thread_read.up_to, excluded.up_to)",
        person.0,
        &threads,
        &numbers
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Writes down who is to be told, in the transaction of what happened.
pub async fn tell(transaction: &mut Transaction, what: &Happened, told: &[Told]) -> Result<()> {
    let ids: Vec<Uuid> = told.iter().map(|_| Uuid::now_v7()).collect();
    let people: Vec<Uuid> = told.iter().map(|told| told.person.0).collect();
    let kinds: Vec<&str> = told.iter().map(|told| told.kind.id()).collect();
    sqlx::query!(
        "INSERT INTO notification (id, person_id, kind, document_id, thread_id, comment_id, caused_by, at)
         SELECT id, person_id, kind, $4, $5, $6, $7, $8 FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS told (id, person_id, kind)",
        &ids,
        &people,
        &kinds as &[&str],
        what.document.0,
        what.thread,
        what.comment,
        what.by.0,
        what.at
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

fn proposal(text: Option<String>, state: Option<String>, by: Option<Uuid>, at: Option<DateTime<Utc>>) -> Result<Option<ProposalRow>> {
    let (Some(text), Some(state)) = (text, state) else { return Ok(None) };
    let state = Wording::from_id(&state).ok_or(Error::Unknown { table: "thread", what: "proposal_state", value: state })?;
    Ok(Some(ProposalRow { text, state, by: by.map(PersonId).zip(at) }))
}
