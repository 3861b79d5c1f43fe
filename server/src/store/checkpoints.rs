//! The keys that sealed, and the checkpoints that fix the trails.

use chrono::{DateTime, Utc};
use samspil_evidence::{Hash, checkpoint::Head, seal::PublicKey, trail::SYSTEM_TRAIL};
use serde_json::json;
use uuid::Uuid;

use super::{Error, Result, Store, Transaction, audit, timestamps::STAMPED};

/// A signed checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointRow {
    /// From 1, without gaps.
    pub number: i64,
    /// The signed note.
    pub note: String,
    /// Which key signed it.
    pub seal_kid: String,
    /// When it was made.
    pub at: DateTime<Utc>,
}

/// A key that sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealKeyRow {
    /// Its thumbprint.
    pub kid: String,
    /// The key.
    pub key: PublicKey,
    /// Since when.
    pub since: DateTime<Utc>,
}

impl Store {
    /// The key that was taken into use last; `None` before any was.
    pub async fn newest_seal_key(&self) -> Result<Option<String>> {
        Ok(sqlx::query_scalar!("SELECT kid FROM seal_key ORDER BY since DESC, kid LIMIT 1").fetch_optional(self.pool()).await?)
    }

    /// Every key that sealed, oldest first.
    pub async fn seal_keys(&self) -> Result<Vec<SealKeyRow>> {
        let rows = sqlx::query!("SELECT kid, jwk, since FROM seal_key ORDER BY since, kid").fetch_all(self.pool()).await?;
        rows.into_iter()
            .map(|row| {
                let shown = row.jwk.to_string();
                let key = serde_json::from_value(row.jwk).map_err(|_| Error::Unknown { table: "seal_key", what: "jwk", value: shown })?;
                Ok(SealKeyRow { kid: row.kid, key, since: row.since })
            })
            .collect()
    }

    /// Every checkpoint, oldest first.
    pub async fn checkpoints(&self) -> Result<Vec<CheckpointRow>> {
        Ok(sqlx::query_as!(CheckpointRow, "SELECT number, note, seal_kid, at FROM checkpoint ORDER BY number")
            .fetch_all(self.pool())
            .await?)
    }

    /// The newest checkpoint; `None` before there is one.
    pub async fn newest_checkpoint(&self) -> Result<Option<CheckpointRow>> {
        let row = sqlx::query_as!(CheckpointRow, "SELECT number, note, seal_kid, at FROM checkpoint ORDER BY number DESC LIMIT 1");
        Ok(row.fetch_optional(self.pool()).await?)
    }

    /// Has anything come to the system's own trail after this event that a checkpoint is worth? That one was stamped is not: each would
    /// call for the next, for ever.
    pub async fn system_moved(&self, after: u64) -> Result<bool> {
        let moved = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM audit_event WHERE trail_id = $1 AND seq > $2 AND type <> $3) AS "moved!""#,
            SYSTEM_TRAIL,
            super::log::signed(after),
            STAMPED
        );
        Ok(moved.fetch_one(self.pool()).await?)
    }

    /// Where every trail ended at this checkpoint.
    pub async fn checkpoint_heads(&self, number: i64) -> Result<Vec<Head>> {
        let rows = sqlx::query!(
            r#"SELECT h.trail_id AS "trail_id!", h.seq AS "seq!", e.hash AS "hash?"
               FROM (SELECT DISTINCT ON (trail_id) trail_id, seq FROM checkpoint_head WHERE checkpoint <= $1
                     ORDER BY trail_id, checkpoint DESC) h
               LEFT JOIN audit_event e ON e.trail_id = h.trail_id AND e.seq = h.seq"#,
            number
        )
        .fetch_all(self.pool())
        .await?;
        // An event that is gone leaves a head that no checkpoint has.
        rows.into_iter().map(|row| head(row.trail_id, row.seq, row.hash.as_deref().unwrap_or(&[0; 32]))).collect()
    }
}

/// A key seals for the first time: kept, and on record. Nothing happens when it was there.
pub async fn take_into_use(transaction: &mut Transaction, key: &PublicKey, now: DateTime<Utc>) -> Result<()> {
    let jwk = serde_json::to_value(key).map_err(|error| Error::Unknown { table: "seal_key", what: "jwk", value: error.to_string() })?;
    let kid = key.kid();
    let at = audit::kept(now);
    let new = sqlx::query!("INSERT INTO seal_key (kid, jwk, since) VALUES ($1, $2, $3) ON CONFLICT (kid) DO NOTHING", kid, jwk, at)
        .execute(&mut **transaction)
        .await?;
    if new.rows_affected() == 1 {
        audit::append(transaction, SYSTEM_TRAIL, "seal_key", None, json!({ "kid": kid }), at).await?;
    }
    Ok(())
}

/// One checkpoint at a time; answers the newest.
pub async fn lock(transaction: &mut Transaction) -> Result<Option<CheckpointRow>> {
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended('samspil checkpoint', 0))").execute(&mut **transaction).await?;
    let row = sqlx::query_as!(CheckpointRow, "SELECT number, note, seal_kid, at FROM checkpoint ORDER BY number DESC LIMIT 1");
    Ok(row.fetch_optional(&mut **transaction).await?)
}

/// Where every trail ends now. Goes from trail to trail instead of over all their events.
pub async fn heads(transaction: &mut Transaction) -> Result<Vec<Head>> {
    let rows = sqlx::query!(
        r#"WITH RECURSIVE trail AS (
               (SELECT trail_id FROM audit_event ORDER BY trail_id LIMIT 1)
               UNION ALL
               SELECT (SELECT e.trail_id FROM audit_event e WHERE e.trail_id > trail.trail_id ORDER BY e.trail_id LIMIT 1) FROM trail
               WHERE trail.trail_id IS NOT NULL
           )
           SELECT last.trail_id AS "trail_id!", last.seq AS "seq!", last.hash AS "hash!" FROM trail
           JOIN LATERAL (SELECT trail_id, seq, hash FROM audit_event e WHERE e.trail_id = trail.trail_id ORDER BY seq DESC LIMIT 1) last ON true"#
    )
    .fetch_all(&mut **transaction)
    .await?;
    rows.into_iter().map(|row| head(row.trail_id, row.seq, &row.hash)).collect()
}

/// Keeps a checkpoint over these heads: those that are not where they were at the one before.
pub async fn insert(transaction: &mut Transaction, new: &CheckpointRow, heads: &[Head]) -> Result<()> {
    sqlx::query!("INSERT INTO checkpoint (number, note, seal_kid, at) VALUES ($1, $2, $3, $4)", new.number, new.note, new.seal_kid, new.at)
        .execute(&mut **transaction)
        .await?;
    let trails: Vec<Uuid> = heads.iter().map(|head| head.trail).collect();
    let seqs: Vec<i64> = heads.iter().map(|head| super::log::signed(head.seq)).collect();
    sqlx::query!(
        "INSERT INTO checkpoint_head (checkpoint, trail_id, seq)
         SELECT $1, now_at.trail_id, now_at.seq FROM unnest($2::uuid[], $3::bigint[]) AS now_at(trail_id, seq)
         WHERE now_at.seq IS DISTINCT FROM
               (SELECT h.seq FROM checkpoint_head h WHERE h.trail_id = now_at.trail_id ORDER BY h.checkpoint DESC LIMIT 1)",
        new.number,
        &trails,
        &seqs
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

fn head(trail: Uuid, seq: i64, hash: &[u8]) -> Result<Head> {
    let hash: Hash = hash.try_into().map_err(|_| Error::Unknown { table: "audit_event", what: "hash", value: hex::encode(hash) })?;
    let seq = u64::try_from(seq).map_err(|_| Error::Unknown { table: "audit_event", what: "seq", value: seq.to_string() })?;
    Ok(Head { trail, seq, hash })
}
