//! What people are told, and how each wants to hear of it.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Error, Result, Store, Transaction};
use crate::domain::{
    ids::{AgreementId, DocumentId, PersonId},
    notice::{self, NoticeKind, NoticeWay},
};

/// Something a person is told.
#[derive(Clone, Debug)]
pub struct NoticeRow {
    /// Its id; newer ones are greater.
    pub id: Uuid,
    /// What kind of thing.
    pub kind: NoticeKind,
    /// Beside which document.
    pub document: DocumentId,
    /// The agreement that it is a version of.
    pub agreement: Option<AgreementId>,
    /// The document's title.
    pub title: String,
    /// The agreement's unit.
    pub unit: Option<String>,
    /// Which thread.
    pub thread: Option<Uuid>,
    /// The words that the thread is about.
    pub quote: Option<String>,
    /// Why it was done, where a reason was given.
    pub reason: Option<String>,
    /// Who did it.
    pub by: Option<PersonId>,
    /// When.
    pub at: DateTime<Utc>,
    /// Not seen yet, neither here nor in the thread.
    pub unread: bool,
    /// Nobody has decided yet whether a mail tells of it.
    pub unsettled: bool,
}

impl Store {
    /// What this person was told about these documents, newest first, from before `before`.
    pub async fn notices(&self, person: PersonId, before: Option<Uuid>, most: i64) -> Result<Vec<NoticeRow>> {
        let rows = sqlx::query!(
            r#"SELECT n.id, n.kind, n.document_id, v.agreement_id AS "agreement_id?", d.title AS "title: String", o.name AS "unit?: String",
                      n.thread_id, t.quote AS "quote?", n.caused_by, n.reason, n.at, n.settled_at IS NULL AS "unsettled!",
                      n.read_at IS NULL AND NOT EXISTS (SELECT FROM thread_read r JOIN comment c ON c.id = n.comment_id
                          WHERE r.person_id = n.person_id AND r.thread_id = n.thread_id AND r.up_to >= c.number) AS "unread!"
               FROM notification n JOIN document d ON d.id = n.document_id LEFT JOIN thread t ON t.id = n.thread_id
               LEFT JOIN agreement_version v ON v.document_id = d.id LEFT JOIN agreement a ON a.id = v.agreement_id
               LEFT JOIN org_node o ON o.id = a.unit_id
               WHERE n.person_id = $1 AND ($2::uuid IS NULL OR n.id < $2) ORDER BY n.id DESC LIMIT $3"#,
            person.0,
            before,
            most
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                let kind = notice::kind_of(&row.kind).ok_or(Error::Unknown { table: "notification", what: "kind", value: row.kind })?;
                Ok(NoticeRow {
                    id: row.id,
                    kind,
                    document: DocumentId(row.document_id),
                    agreement: row.agreement_id.map(AgreementId),
                    title: row.title,
                    unit: row.unit,
                    thread: row.thread_id,
                    quote: row.quote,
                    reason: row.reason,
                    by: row.caused_by.map(PersonId),
                    at: row.at,
                    unread: row.unread,
                    unsettled: row.unsettled,
                })
            })
            .collect()
    }

    /// How this person has chosen to hear of things; kinds without a choice are left out.
    pub async fn notice_ways(&self, person: PersonId) -> Result<Vec<(NoticeKind, NoticeWay)>> {
        let rows = sqlx::query!("SELECT kind, way FROM notification_setting WHERE person_id = $1", person.0).fetch_all(self.pool()).await?;
        rows.into_iter()
            .map(|row| {
                let unknown = |what, value| Error::Unknown { table: "notification_setting", what, value };
                let kind = notice::kind_of(&row.kind).ok_or_else(|| unknown("kind", row.kind))?;
                Ok((kind, notice::way_of(&row.way).ok_or_else(|| unknown("way", row.way))?))
            })
            .collect()
    }
}

/// This person has seen this and everything before it.
pub async fn read_up_to(transaction: &mut Transaction, person: PersonId, up_to: Uuid, at: DateTime<Utc>) -> Result<()> {
    sqlx::query!("UPDATE notification SET read_at = $3 WHERE person_id = $1 AND id <= $2 AND read_at IS NULL", person.0, up_to, at)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// From now on this person hears of this kind so.
pub async fn choose(transaction: &mut Transaction, person: PersonId, kind: NoticeKind, way: NoticeWay) -> Result<()> {
    sqlx::query!(
        "INSERT INTO notification_setting (person_id, kind, way) VALUES ($1, $2, $3)
         ON CONFLICT (person_id, kind) DO UPDATE SET way = excluded.way",
        person.0,
        notice::kind_id(kind),
        notice::way_id(way)
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
