//! Comment threads beside a text, what was said in them, who is named and who has read how far.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Error, Result, Store, agreements::number};
use crate::domain::{
    comments::{About, Wording},
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
        let document = sqlx::query_scalar!("SELECT document_id FROM thread WHERE id = $1", thread).fetch_optional(self.pool()).await?;
        let Some(document) = document else { return Ok(None) };
        Ok(self.threads_where(&[DocumentId(document)], Some(thread), reader, None).await?.pop())
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
                let proposal = match (row.proposal, row.proposal_state) {
                    (Some(text), Some(state)) => {
                        let state =
                            Wording::from_id(&state).ok_or(Error::Unknown { table: "thread", what: "proposal_state", value: state })?;
                        Some(ProposalRow { text, state, by: row.proposal_by.map(PersonId).zip(row.proposal_at) })
                    }
                    _ => None,
                };
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
