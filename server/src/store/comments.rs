//! Comment threads beside a text.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Result, Store};
use crate::domain::ids::{DocumentId, PersonId};

/// A thread with its comments.
#[derive(Clone, Debug)]
pub struct ThreadRow {
    /// Id.
    pub id: Uuid,
    /// Beside which document.
    pub document: DocumentId,
    /// The section it is about.
    pub section_key: String,
    /// The goal it is about.
    pub goal: Option<Uuid>,
    /// The words it is about.
    pub quote: Option<String>,
    /// Still open?
    pub open: bool,
    /// Who resolved it, and when.
    pub resolved: Option<(PersonId, DateTime<Utc>)>,
    /// What was said, oldest first.
    pub comments: Vec<CommentRow>,
}

/// What somebody said.
#[derive(Clone, Debug)]
pub struct CommentRow {
    /// Id.
    pub id: Uuid,
    /// Who.
    pub person: PersonId,
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub body: String,
    /// When it was reworded.
    pub edited_at: Option<DateTime<Utc>>,
}

impl Store {
    /// The threads beside these documents, resolved ones too, in the order in which they were begun.
    pub async fn threads(&self, documents: &[DocumentId]) -> Result<Vec<ThreadRow>> {
        self.threads_where(documents, None).await
    }

    /// The open threads beside these documents that this person may have to answer: those beside `own` documents, and those in
    /// which they have written.
    pub async fn open_threads_concerning(&self, person: PersonId, own: &[DocumentId], visible: &[DocumentId]) -> Result<Vec<ThreadRow>> {
        self.threads_where(visible, Some((person, own))).await
    }

    async fn threads_where(&self, documents: &[DocumentId], concerning: Option<(PersonId, &[DocumentId])>) -> Result<Vec<ThreadRow>> {
        let ids: Vec<Uuid> = documents.iter().map(|document| document.0).collect();
        let (person, own) = concerning.unzip();
        let own: Vec<Uuid> = own.unwrap_or_default().iter().map(|document| document.0).collect();
        let rows = sqlx::query!(
            r#"SELECT t.id, t.document_id, t.section_key, t.goal_id, t.quote, t.status = 'open' AS "open!", t.resolved_by, t.resolved_at,
                      c.id AS comment_id, c.person_id, c.at, c.body, c.edited_at
               FROM thread t JOIN comment c ON c.thread_id = t.id
               WHERE t.document_id = ANY($1)
                 AND ($2::uuid IS NULL OR (t.status = 'open' AND (t.document_id = ANY($3)
                      OR EXISTS (SELECT FROM comment mine WHERE mine.thread_id = t.id AND mine.person_id = $2))))
               ORDER BY min(c.at) OVER (PARTITION BY t.id), t.id, c.number"#,
            &ids,
            person.map(|person| person.0),
            &own
        )
        .fetch_all(self.pool())
        .await?;
        let mut threads: Vec<ThreadRow> = Vec::new();
        for row in rows {
            if threads.last().is_none_or(|last| last.id != row.id) {
                threads.push(ThreadRow {
                    id: row.id,
                    document: DocumentId(row.document_id),
                    section_key: row.section_key,
                    goal: row.goal_id,
                    quote: row.quote,
                    open: row.open,
                    resolved: row.resolved_by.map(PersonId).zip(row.resolved_at),
                    comments: vec![],
                });
            }
            let comment =
                CommentRow { id: row.comment_id, person: PersonId(row.person_id), at: row.at, body: row.body, edited_at: row.edited_at };
            threads.last_mut().expect("a thread was pushed above").comments.push(comment);
        }
        Ok(threads)
    }
}
