//! What outside authorities said about checkpoints. It can only grow: the database refuses everything else.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Result, Store, checkpoints::CheckpointRow};

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

    /// Keeps an authority's answer; the first one stays.
    pub async fn keep_stamp(&self, checkpoint: i64, stamp: &StampRow, now: DateTime<Utc>) -> Result<()> {
        sqlx::query!(
            "INSERT INTO timestamp_token (checkpoint, authority, answer, certificates, stamped_at, at) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (checkpoint, authority) DO NOTHING",
            checkpoint,
            stamp.authority,
            stamp.answer,
            stamp.certificates,
            stamp.stamped_at,
            now
        )
        .execute(self.pool())
        .await?;
        Ok(())
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
