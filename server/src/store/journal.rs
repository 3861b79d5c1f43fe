//! Deliveries of signed agreements to the records system. A delivery is queued because the agreement is signed, by the database's own account of
//! that: no signature can be without its delivery, whatever happened between the two.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Result, Store,
    agreements::number,
    life::{Event, record},
};
use crate::domain::ids::{AgreementId, DocumentId};

/// A delivery as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Which delivery.
    pub id: Uuid,
    /// To which system.
    pub target: String,
    /// `queued`, `retrying`, `delivered`, `given_up`.
    pub status: String,
    /// The case it was filed under.
    pub case_number: Option<String>,
    /// When it arrived.
    pub delivered_at: Option<DateTime<Utc>>,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it did not arrive the last time.
    pub last_error: Option<String>,
}

/// A delivery that is to be tried now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueRow {
    /// Which delivery.
    pub id: Uuid,
    /// Of which document.
    pub document: DocumentId,
    /// Of which agreement.
    pub agreement: AgreementId,
    /// How often it was tried before.
    pub attempts: u32,
}

impl Store {
    /// Queues a delivery to this system for every signed agreement that has none to any.
    pub async fn queue_deliveries(&self, target: &str) -> Result<u64> {
        let queued = sqlx::query!(
            "INSERT INTO journal_delivery (id, document_id, target, status, attempts)
             SELECT gen_random_uuid(), d.id, $1, 'queued', 0 FROM document d
             WHERE d.kind = 'agreement' AND d.status = 'signed' AND NOT EXISTS (SELECT FROM journal_delivery j WHERE j.document_id = d.id)
             ON CONFLICT (document_id, target) DO NOTHING",
            target
        )
        .execute(self.pool())
        .await?;
        Ok(queued.rows_affected())
    }

    /// The deliveries to this system that are to be tried now, the longest waiting first.
    pub async fn due_deliveries(&self, target: &str, now: DateTime<Utc>) -> Result<Vec<DueRow>> {
        let rows = sqlx::query!(
            r#"SELECT j.id AS "id!", j.document_id AS "document_id!", v.agreement_id AS "agreement_id!", j.attempts AS "attempts!"
               FROM journal_delivery j JOIN agreement_version v ON v.document_id = j.document_id
               WHERE j.target = $1 AND j.status IN ('queued', 'retrying') AND (j.not_before IS NULL OR j.not_before <= $2)
               ORDER BY j.not_before NULLS FIRST, j.id LIMIT 20"#,
            target,
            now
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(DueRow {
                    id: row.id,
                    document: DocumentId(row.document_id),
                    agreement: AgreementId(row.agreement_id),
                    attempts: number("journal_delivery", "attempts", row.attempts.into())?,
                })
            })
            .collect()
    }

    /// How the delivery of a document stands: the one that arrived, else the one that is tried, ours before another system's; `None`: none is to be made.
    pub async fn delivery(&self, document: DocumentId) -> Result<Option<DeliveryRow>> {
        let row = sqlx::query!(
            "SELECT id, target, status, case_number, delivered_at, attempts, last_error FROM journal_delivery WHERE document_id = $1
             ORDER BY array_position(ARRAY['delivered', 'queued', 'retrying', 'given_up'], status), target <> 'folder', target LIMIT 1",
            document.0
        )
        .fetch_optional(self.pool())
        .await?;
        row.map(|row| {
            Ok(DeliveryRow {
                id: row.id,
                target: row.target,
                status: row.status,
                case_number: row.case_number,
                delivered_at: row.delivered_at,
                attempts: number("journal_delivery", "attempts", row.attempts.into())?,
                last_error: row.last_error,
            })
        })
        .transpose()
    }

    /// The case that an earlier version of the same agreement was filed under.
    pub async fn case_number(&self, agreement: AgreementId) -> Result<Option<String>> {
        let numbers = sqlx::query_scalar!(
            r#"SELECT j.case_number AS "case_number!" FROM journal_delivery j JOIN agreement_version v ON v.document_id = j.document_id
               WHERE v.agreement_id = $1 AND j.case_number IS NOT NULL ORDER BY j.delivered_at DESC NULLS LAST LIMIT 1"#,
            agreement.0
        );
        Ok(numbers.fetch_optional(self.pool()).await?)
    }

    /// It has arrived: noted, in the agreement's life and on its trail.
    pub async fn delivered(&self, due: DueRow, case_number: Option<&str>, now: DateTime<Utc>) -> Result<()> {
        let mut transaction = self.begin().await?;
        let noted = sqlx::query!(
            "UPDATE journal_delivery SET status = 'delivered', delivered_at = $2, attempts = attempts + 1, last_error = NULL,
                    not_before = NULL, case_number = $3
             WHERE id = $1 AND status IN ('queued', 'retrying')",
            due.id,
            now,
            case_number
        )
        .execute(&mut *transaction)
        .await?;
        if noted.rows_affected() == 1 {
            let body = json!({ "document": due.document.0, "case_number": case_number });
            record(&mut transaction, &Event { case_number, ..event(due, "journalised", body, now) }).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// It has not arrived; tried again at `again`, never if that is `None`. The first failure and the last are told in the agreement's life.
    pub async fn not_delivered(&self, due: DueRow, error: &str, again: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<()> {
        let mut transaction = self.begin().await?;
        let status = if again.is_some() { "retrying" } else { "given_up" };
        sqlx::query!(
            "UPDATE journal_delivery SET status = $2, attempts = attempts + 1, last_error = $3, not_before = $4
             WHERE id = $1 AND status IN ('queued', 'retrying')",
            due.id,
            status,
            error,
            again
        )
        .execute(&mut *transaction)
        .await?;
        if due.attempts == 0 || again.is_none() {
            let body = json!({ "document": due.document.0, "error": error });
            record(&mut transaction, &Event { error: Some(error), ..event(due, "journalisation_failed", body, now) }).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Somebody wants it tried again at once. `false`: there is nothing to try, or it has arrived.
    pub async fn deliver_again(&self, document: DocumentId, target: &str) -> Result<bool> {
        let queued = sqlx::query!(
            "INSERT INTO journal_delivery (id, document_id, target, status, attempts)
             SELECT gen_random_uuid(), d.id, $2, 'queued', 0 FROM document d
             WHERE d.id = $1 AND d.kind = 'agreement' AND d.status = 'signed'
               AND NOT EXISTS (SELECT FROM journal_delivery j WHERE j.document_id = d.id AND j.status = 'delivered')
             ON CONFLICT (document_id, target) DO UPDATE SET status = 'queued', not_before = NULL",
            document.0,
            target
        )
        .execute(self.pool())
        .await?;
        Ok(queued.rows_affected() == 1)
    }
}

/// Something that happens to a delivery, in the life of its agreement; nobody does it.
fn event(due: DueRow, kind: &'static str, body: Value, at: DateTime<Utc>) -> Event<'static> {
    Event {
        agreement: due.agreement,
        document: due.document,
        kind,
        person: None,
        at,
        to: None,
        revision: None,
        party: None,
        reason: None,
        case_number: None,
        error: None,
        body,
    }
}
