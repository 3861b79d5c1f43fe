//! Mails on their way: written in the transaction that settles what they tell, taken by a worker, tried again until they go.

use chrono::{DateTime, Duration, Utc};
use uuid::Uuid;

use super::{Error, Result, Store, Transaction};
use crate::domain::{
    ids::{DocumentId, PersonId},
    notice::{self, Letter, NoticeKind},
};

/// What is to be settled for a person: tell it in a mail, or not.
#[derive(Clone, Debug)]
pub struct Unsettled {
    /// The notification.
    pub id: Uuid,
    /// What kind of thing.
    pub kind: NoticeKind,
    /// Beside which document.
    pub document: DocumentId,
    /// When.
    pub at: DateTime<Utc>,
}

/// A mail that a worker has taken.
#[derive(Clone, Debug)]
pub struct MailRow {
    /// Its id.
    pub id: Uuid,
    /// Where it goes.
    pub recipient: String,
    /// What it says.
    pub letter: Letter,
    /// The address that ends such mail; empty: it tells only what everybody hears of.
    pub unsubscribe: String,
    /// How often it has been tried, this time included.
    pub attempts: u32,
    /// When it was written.
    pub at: DateTime<Utc>,
}

/// A mail to be written.
#[derive(Clone, Debug)]
pub struct NewMail {
    /// To whom.
    pub person: PersonId,
    /// Their address.
    pub recipient: String,
    /// What it tells.
    pub kinds: Vec<NoticeKind>,
    /// What it says.
    pub letter: Letter,
    /// The address that ends such mail; empty: it tells only what everybody hears of.
    pub unsubscribe: String,
    /// SHA-256 of the secret in it.
    pub unsubscribe_hash: [u8; 32],
}

impl Store {
    /// People for whom something has not been settled yet.
    pub async fn people_to_tell(&self) -> Result<Vec<PersonId>> {
        let rows =
            sqlx::query_scalar!("SELECT DISTINCT person_id FROM notification WHERE settled_at IS NULL").fetch_all(self.pool()).await?;
        Ok(rows.into_iter().map(PersonId).collect())
    }

    /// Where mail to this person goes, and what to call them.
    pub async fn address(&self, person: PersonId) -> Result<Option<(Option<String>, String)>> {
        let row = sqlx::query!("SELECT email, given_name FROM person WHERE id = $1", person.0).fetch_optional(self.pool()).await?;
        Ok(row.map(|row| (row.email, row.given_name)))
    }

    /// Takes the mail that has waited longest, for so long that another worker takes over if this one dies.
    pub async fn take_mail(&self, now: DateTime<Utc>, for_so_long: Duration) -> Result<Option<MailRow>> {
        let row = sqlx::query!(
            "UPDATE mail SET next_at = $2, attempts = attempts + 1
             WHERE id = (SELECT id FROM mail WHERE next_at <= $1 ORDER BY next_at LIMIT 1 FOR UPDATE SKIP LOCKED)
             RETURNING id, recipient, subject, plain, html, unsubscribe, attempts, at",
            now,
            now + for_so_long
        )
        .fetch_optional(self.pool())
        .await?;
        Ok(row.map(|row| MailRow {
            id: row.id,
            recipient: row.recipient,
            letter: Letter { subject: row.subject, plain: row.plain, html: row.html },
            unsubscribe: row.unsubscribe,
            attempts: row.attempts.unsigned_abs(),
            at: row.at,
        }))
    }

    /// It went.
    pub async fn mail_sent(&self, mail: Uuid, at: DateTime<Utc>) -> Result<()> {
        sqlx::query!("UPDATE mail SET sent_at = $2, next_at = NULL, last_error = NULL WHERE id = $1 AND sent_at IS NULL", mail, at)
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// It did not go; it is tried again then, or, without a time, given up.
    pub async fn mail_failed(&self, mail: Uuid, error: &str, again: Option<DateTime<Utc>>, at: DateTime<Utc>) -> Result<()> {
        sqlx::query!(
            "UPDATE mail SET last_error = $2, next_at = $3, given_up_at = CASE WHEN $3::timestamptz IS NULL THEN $4::timestamptz END
             WHERE id = $1 AND sent_at IS NULL",
            mail,
            error,
            again,
            at
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// The newest mails that went, newest first, for the demo.
    pub async fn sent_mails(&self, most: i64) -> Result<Vec<MailRow>> {
        let rows = sqlx::query!(
            "SELECT id, recipient, subject, plain, html, unsubscribe, attempts, at FROM mail WHERE sent_at IS NOT NULL ORDER BY id DESC LIMIT $1",
            most
        )
        .fetch_all(self.pool())
        .await?;
        let rows = rows.into_iter().map(|row| MailRow {
            id: row.id,
            recipient: row.recipient,
            letter: Letter { subject: row.subject, plain: row.plain, html: row.html },
            unsubscribe: row.unsubscribe,
            attempts: row.attempts.unsigned_abs(),
            at: row.at,
        });
        Ok(rows.collect())
    }

    /// Whose mail this address ends, and of which kinds; `None` if it ends none.
    pub async fn unsubscribes(&self, hash: [u8; 32]) -> Result<Option<(PersonId, Vec<NoticeKind>)>> {
        let row =
            sqlx::query!("SELECT person_id, kinds FROM mail WHERE unsubscribe_hash = $1", &hash[..]).fetch_optional(self.pool()).await?;
        Ok(row.map(|row| (PersonId(row.person_id), row.kinds.iter().filter_map(|kind| notice::kind_of(kind)).collect())))
    }
}

/// What is unsettled for this person, oldest first, held until the transaction ends. Another worker that looks meanwhile sees nothing.
pub async fn unsettled(transaction: &mut Transaction, person: PersonId) -> Result<Vec<Unsettled>> {
    let rows = sqlx::query!(
        "SELECT id, kind, document_id, at FROM notification WHERE person_id = $1 AND settled_at IS NULL ORDER BY id FOR UPDATE SKIP LOCKED",
        person.0
    )
    .fetch_all(&mut **transaction)
    .await?;
    rows.into_iter()
        .map(|row| {
            let kind = notice::kind_of(&row.kind).ok_or(Error::Unknown { table: "notification", what: "kind", value: row.kind })?;
            Ok(Unsettled { id: row.id, kind, document: DocumentId(row.document_id), at: row.at })
        })
        .collect()
}

/// These are settled: this mail tells of them, or none does.
pub async fn settle(transaction: &mut Transaction, notices: &[Uuid], mail: Option<Uuid>, at: DateTime<Utc>) -> Result<()> {
    sqlx::query!("UPDATE notification SET settled_at = $2, mail_id = $3 WHERE id = ANY($1)", notices, at, mail)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Writes a mail, to be sent at once.
pub async fn write(transaction: &mut Transaction, mail: &NewMail, at: DateTime<Utc>) -> Result<Uuid> {
    let id = Uuid::now_v7();
    let kinds: Vec<String> = mail.kinds.iter().map(|kind| notice::kind_id(*kind).to_owned()).collect();
    sqlx::query!(
        "INSERT INTO mail (id, person_id, kinds, recipient, subject, plain, html, unsubscribe, unsubscribe_hash, at, next_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)",
        id,
        mail.person.0,
        &kinds,
        mail.recipient,
        mail.letter.subject,
        mail.letter.plain,
        mail.letter.html,
        mail.unsubscribe,
        &mail.unsubscribe_hash[..],
        at
    )
    .execute(&mut **transaction)
    .await?;
    Ok(id)
}
