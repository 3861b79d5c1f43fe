//! The trail. It can only grow: the database refuses everything else.

use chrono::{DateTime, SubsecRound, Utc};
use samspil_evidence::{
    Hash,
    trail::{AuditEvent, BEGINNING, hash},
};
use serde_json::Value;
use uuid::Uuid;

use super::{Error, Result, Store, Transaction};
use crate::domain::ids::PersonId;

/// Appends an event to a trail, in the transaction of what it is about. Two that append to one trail wait for each other.
pub async fn append(
    transaction: &mut Transaction,
    trail: Uuid,
    kind: &str,
    person: Option<PersonId>,
    body: Value,
    at: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", trail.to_string()).execute(&mut **transaction).await?;
    let last = sqlx::query!("SELECT seq, hash FROM audit_event WHERE trail_id = $1 ORDER BY seq DESC LIMIT 1", trail)
        .fetch_optional(&mut **transaction)
        .await?;
    let (seq, previous) = match last {
        Some(last) => (last.seq + 1, stored_hash(&last.hash)?),
        None => (1, BEGINNING),
    };
    // What PostgreSQL keeps is what is hashed: microseconds.
    let event = AuditEvent { trail, seq, kind: kind.to_owned(), person: person.map(|person| person.0), body, at: kept(at) };
    let hash = hash(&previous, &event);
    sqlx::query!(
        "INSERT INTO audit_event (trail_id, seq, type, person_id, body, at, prev_hash, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        trail,
        seq,
        kind,
        event.person,
        event.body,
        event.at,
        &previous[..],
        &hash[..]
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// A moment as the database keeps it, to the microsecond: what is hashed or sealed is what can be read again.
#[must_use]
pub fn kept(at: DateTime<Utc>) -> DateTime<Utc> {
    at.trunc_subsecs(6)
}

impl Store {
    /// A whole trail, oldest first, as [`samspil_evidence::trail::first_break`] asks for it.
    pub async fn trail(&self, trail: Uuid) -> Result<Vec<(AuditEvent, Hash)>> {
        let rows =
            sqlx::query!("SELECT seq, type AS kind, person_id, body, at, hash FROM audit_event WHERE trail_id = $1 ORDER BY seq", trail)
                .fetch_all(self.pool())
                .await?;
        rows.into_iter()
            .map(|row| {
                let hash = stored_hash(&row.hash)?;
                Ok((AuditEvent { trail, seq: row.seq, kind: row.kind, person: row.person_id, body: row.body, at: row.at }, hash))
            })
            .collect()
    }

    /// Events that do not carry the hash of the one before them: (trail, seq).
    pub async fn broken_links(&self) -> Result<Vec<(Uuid, i64)>> {
        let rows = sqlx::query!(
            r#"SELECT trail_id, seq FROM (
                   SELECT trail_id, seq, prev_hash, lag(hash) OVER (PARTITION BY trail_id ORDER BY seq) AS before FROM audit_event) e
               WHERE prev_hash IS DISTINCT FROM COALESCE(before, decode(repeat('00', 32), 'hex')) ORDER BY trail_id, seq"#
        )
        .fetch_all(self.pool())
        .await?;
        Ok(rows.into_iter().map(|row| (row.trail_id, row.seq)).collect())
    }

    /// The trails there are.
    pub async fn trails(&self) -> Result<Vec<Uuid>> {
        Ok(sqlx::query_scalar!("SELECT DISTINCT trail_id FROM audit_event ORDER BY trail_id").fetch_all(self.pool()).await?)
    }
}

fn stored_hash(bytes: &[u8]) -> Result<Hash> {
    bytes.try_into().map_err(|_| Error::Unknown { table: "audit_event", what: "hash", value: format!("{} bytes", bytes.len()) })
}
