//! Sign-ins behind cookies, by the hash of what the cookie holds.

use chrono::{DateTime, Utc};

use super::{Result, Store, Transaction};
use crate::domain::ids::{PersonId, SessionId};

/// A sign-in as a row.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// Id; not a secret.
    pub id: SessionId,
    /// Whose.
    pub person: PersonId,
    /// At which provider.
    pub issuer: String,
    /// As whom there.
    pub subject: String,
    /// Role ids from the token.
    pub roles: Vec<String>,
    /// The token, as a hint when signing out there.
    pub id_token: Option<String>,
    /// Last use, to the minute.
    pub seen_at: DateTime<Utc>,
    /// The absolute end.
    pub expires_at: DateTime<Utc>,
    /// Ended before that.
    pub ended_at: Option<DateTime<Utc>>,
}

/// A sign-in to be written.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Id.
    pub id: SessionId,
    /// SHA-256 of what the cookie holds.
    pub token_hash: Vec<u8>,
    /// Whose.
    pub person: PersonId,
    /// At which provider.
    pub issuer: String,
    /// As whom there.
    pub subject: String,
    /// The provider's session.
    pub sid: Option<String>,
    /// Role ids from the token.
    pub roles: Vec<String>,
    /// The token.
    pub id_token: Option<String>,
    /// When they proved who they are.
    pub auth_time: Option<DateTime<Utc>>,
    /// How.
    pub acr: Option<String>,
    /// Now.
    pub created_at: DateTime<Utc>,
    /// The absolute end.
    pub expires_at: DateTime<Utc>,
}

/// What a sign-in that was proved anew is from then on.
#[derive(Clone, Debug)]
pub struct Renewed<'a> {
    /// SHA-256 of what the cookie holds now.
    pub token_hash: &'a [u8],
    /// The provider's session, if it says.
    pub sid: Option<&'a str>,
    /// The token.
    pub id_token: &'a str,
    /// When they proved who they are.
    pub auth_time: DateTime<Utc>,
    /// How.
    pub acr: Option<&'a str>,
}

impl Store {
    /// The sign-in whose cookie has this hash, ended ones too.
    pub async fn session_by_token(&self, token_hash: &[u8]) -> Result<Option<SessionRow>> {
        let row = sqlx::query_as!(
            SessionRow,
            "SELECT id, person_id AS person, issuer, subject, roles, id_token, seen_at, expires_at, ended_at FROM session WHERE token_hash = $1",
            token_hash
        )
        .fetch_optional(self.pool())
        .await?;
        Ok(row)
    }

    /// This sign-in, an ended one too.
    pub async fn session(&self, session: SessionId) -> Result<Option<SessionRow>> {
        let row = sqlx::query_as!(
            SessionRow,
            "SELECT id, person_id AS person, issuer, subject, roles, id_token, seen_at, expires_at, ended_at FROM session WHERE id = $1",
            session.0
        )
        .fetch_optional(self.pool())
        .await?;
        Ok(row)
    }

    /// The sign-in was used. Written only when the last use noted is a minute old.
    pub async fn session_seen(&self, session: SessionId, now: DateTime<Utc>) -> Result<()> {
        sqlx::query!("UPDATE session SET seen_at = $2 WHERE id = $1 AND seen_at <= $2::timestamptz - interval '1 minute'", session.0, now)
            .execute(self.pool())
            .await?;
        Ok(())
    }
}

/// Writes a new sign-in.
pub async fn insert(transaction: &mut Transaction, new: &NewSession) -> Result<()> {
    sqlx::query!(
        "INSERT INTO session (id, token_hash, person_id, issuer, subject, sid, roles, id_token, auth_time, acr, created_at, seen_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11, $12)",
        new.id.0,
        new.token_hash,
        new.person.0,
        new.issuer,
        new.subject,
        new.sid,
        &new.roles,
        new.id_token,
        new.auth_time,
        new.acr,
        new.created_at,
        new.expires_at
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// The same sign-in, proved anew: from now on behind another cookie, with the newer token.
pub async fn renew(transaction: &mut Transaction, session: SessionId, renewed: &Renewed<'_>) -> Result<()> {
    sqlx::query!(
        "UPDATE session SET token_hash = $2, id_token = $3, sid = COALESCE($4, sid), auth_time = $5, acr = $6 WHERE id = $1",
        session.0,
        renewed.token_hash,
        renewed.id_token,
        renewed.sid,
        renewed.auth_time,
        renewed.acr
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Forgets the provider's tokens of sign-ins that are over, in this or another way: they were kept only to sign out with.
pub async fn forget_tokens(transaction: &mut Transaction, now: DateTime<Utc>, idle_since: DateTime<Utc>) -> Result<()> {
    sqlx::query!("UPDATE session SET id_token = NULL WHERE id_token IS NOT NULL AND (expires_at <= $1 OR seen_at <= $2)", now, idle_since)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Ends these sign-ins and raises their access version, so that nothing admitted under them commits afterwards. Rows are locked
/// in ascending order of id, as the journal does. Answers which of them had not ended before. The token is forgotten.
pub async fn end(transaction: &mut Transaction, sessions: &[SessionId], now: DateTime<Utc>) -> Result<Vec<SessionId>> {
    let ids: Vec<_> = sessions.iter().map(|session| session.0).collect();
    let ended = sqlx::query_scalar!(
        "WITH locked AS (SELECT id FROM session WHERE id = ANY($1) AND ended_at IS NULL ORDER BY id FOR UPDATE)
           UPDATE session SET ended_at = $2, access_version = access_version + 1, id_token = NULL FROM locked
           WHERE session.id = locked.id RETURNING session.id",
        &ids,
        now
    )
    .fetch_all(&mut **transaction)
    .await?;
    Ok(ended.into_iter().map(SessionId).collect())
}
