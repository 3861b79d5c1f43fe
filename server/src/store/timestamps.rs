//! What outside authorities said about checkpoints. It can only grow: the database refuses everything else.

use chrono::{DateTime, Utc};
use samspil_evidence::{sha256, trail::SYSTEM_TRAIL};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Result, Store, audit, checkpoints::CheckpointRow};

/// The event of an answer that is kept.
pub const STAMPED: &str = "stamped";

/// A checkpoint that an authority is to be asked about.
#[derive(Clone, Debug)]
pub struct Unstamped {
    /// The checkpoint's number.
    pub checkpoint: i64,
    /// Its signed note.
    pub note: String,
}

/// An authority's answer about a checkpoint.
#[derive(Clone, Debug)]
pub struct StampRow {
    /// The host that was asked.
    pub authority: String,
    /// The answer as it came.
    pub answer: Vec<u8>,
    /// Whom we trusted about it, in PEM form.
    pub certificates: String,
    /// When, by the authority's clock.
    pub stamped_at: DateTime<Utc>,
}

impl StampRow {
    /// What the trail says of it.
    #[must_use]
    pub fn on_record(&self, checkpoint: i64) -> Value {
        json!({
            "checkpoint": checkpoint,
            "authority": self.authority,
            "answer_sha256": hex::encode(sha256(&self.answer)),
            "certificates_sha256": hex::encode(sha256(self.certificates.as_bytes())),
        })
    }
}

impl Store {
    /// The checkpoints that an authority has not stamped since the newest it has, newest first: whoever begins to ask begins with the newest.
    pub async fn unstamped(&self, authority: &str, limit: i64) -> Result<Vec<Unstamped>> {
        Ok(sqlx::query_as!(
            Unstamped,
            "SELECT number AS checkpoint, note FROM checkpoint
             WHERE number > COALESCE((SELECT max(checkpoint) FROM timestamp_token WHERE authority = $1),
                                     (SELECT max(number) FROM checkpoint) - 1)
             ORDER BY number DESC LIMIT $2",
            authority,
            limit
        )
        .fetch_all(self.pool())
        .await?)
    }

    /// Keeps an authority's answer; the first one stays, and is on record in the system's trail.
    pub async fn keep_stamp(&self, checkpoint: i64, stamp: &StampRow, now: DateTime<Utc>) -> Result<()> {
        let at = audit::kept(now);
        let mut transaction = self.begin().await?;
        let kept = sqlx::query!(
            "INSERT INTO timestamp_token (checkpoint, authority, answer, certificates, stamped_at, at) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (checkpoint, authority) DO NOTHING",
            checkpoint,
            stamp.authority,
            stamp.answer,
            stamp.certificates,
            stamp.stamped_at,
            at
        )
        .execute(&mut *transaction)
        .await?;
        if kept.rows_affected() == 1 {
            audit::append(&mut transaction, SYSTEM_TRAIL, STAMPED, None, stamp.on_record(checkpoint), at).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Everything that was said, with the checkpoint it is about and when it came.
    pub async fn all_stamps(&self) -> Result<Vec<(i64, StampRow, DateTime<Utc>)>> {
        let rows = sqlx::query!(
            "SELECT checkpoint, authority, answer, certificates, stamped_at, at FROM timestamp_token ORDER BY checkpoint, authority"
        );
        let rows = rows.fetch_all(self.pool()).await?;
        let shown = rows.into_iter().map(|row| {
            let (authority, answer, certificates, stamped_at) = (row.authority, row.answer, row.certificates, row.stamped_at);
            (row.checkpoint, StampRow { authority, answer, certificates, stamped_at }, row.at)
        });
        Ok(shown.collect())
    }

    /// What was said about a checkpoint, by authority.
    pub async fn stamps(&self, checkpoint: i64) -> Result<Vec<StampRow>> {
        Ok(sqlx::query_as!(
            StampRow,
            "SELECT authority, answer, certificates, stamped_at FROM timestamp_token WHERE checkpoint = $1 ORDER BY authority",
            checkpoint
        )
        .fetch_all(self.pool())
        .await?)
    }

    /// The newest checkpoint that an authority has stamped.
    pub async fn newest_stamped_checkpoint(&self) -> Result<Option<CheckpointRow>> {
        let row = sqlx::query_as!(
            CheckpointRow,
            "SELECT number, note, seal_kid, at FROM checkpoint WHERE number = (SELECT max(checkpoint) FROM timestamp_token)"
        );
        Ok(row.fetch_optional(self.pool()).await?)
    }

    /// Seq of the newest approval on a trail.
    pub async fn last_signed(&self, trail: Uuid) -> Result<Option<u64>> {
        let seq = sqlx::query_scalar!("SELECT max(seq) FROM audit_event WHERE trail_id = $1 AND type = 'signed'", trail);
        Ok(seq.fetch_one(self.pool()).await?.map(i64::unsigned_abs))
    }

    /// When an authority stamped the newest approval on a trail; `None`: not yet.
    pub async fn stamped_at(&self, trail: Uuid) -> Result<Option<DateTime<Utc>>> {
        Ok(sqlx::query_scalar!(
            "SELECT min(t.stamped_at) FROM timestamp_token t
             WHERE t.checkpoint >= (SELECT min(h.checkpoint) FROM checkpoint_head h WHERE h.trail_id = $1 AND h.seq >=
                                        (SELECT max(seq) FROM audit_event WHERE trail_id = $1 AND type = 'signed'))",
            trail
        )
        .fetch_one(self.pool())
        .await?)
    }
}
