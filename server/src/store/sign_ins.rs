//! A sign-in on its way through the identity provider: the attempt, whose identity it is, invites, logout tokens.

use chrono::{DateTime, Utc};

use super::{Result, Store, Transaction};
use crate::domain::ids::{PersonId, SessionId};

/// A browser that was sent to the identity provider.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// What the ID token must repeat.
    pub nonce: String,
    /// What proves at the token endpoint that the code is ours.
    pub pkce_verifier: String,
    /// The path of ours to show afterwards.
    pub return_to: String,
    /// SHA-256 of the invite's code, if it began with one.
    pub invite_hash: Option<Vec<u8>>,
}

/// Attempts that are kept at once; far more than a municipality has people signing in within ten minutes.
const ATTEMPTS_MAX: i64 = 10_000;

impl Store {
    /// Keeps an attempt, and forgets those that nobody came back from: anybody may begin one, so there are never more than so many.
    pub async fn keep_attempt(
        &self,
        state_hash: &[u8],
        browser_hash: &[u8],
        attempt: &Attempt,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<()> {
        sqlx::query!(
            "WITH forgotten AS (DELETE FROM sign_in_attempt WHERE expires_at <= $7),
                  crowded_out AS (DELETE FROM sign_in_attempt WHERE state_hash IN (
                      SELECT state_hash FROM sign_in_attempt WHERE expires_at > $7 ORDER BY expires_at DESC, state_hash OFFSET $9))
             INSERT INTO sign_in_attempt (state_hash, browser_hash, nonce, pkce_verifier, return_to, invite_hash, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $8)",
            state_hash,
            browser_hash,
            attempt.nonce,
            attempt.pkce_verifier,
            attempt.return_to,
            attempt.invite_hash,
            now,
            expires_at,
            ATTEMPTS_MAX
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// The attempt that this browser began under this state. It is gone afterwards: nobody comes back twice.
    pub async fn take_attempt(&self, state_hash: &[u8], browser_hash: &[u8], now: DateTime<Utc>) -> Result<Option<Attempt>> {
        let attempt = sqlx::query_as!(
            Attempt,
            "DELETE FROM sign_in_attempt WHERE state_hash = $1 AND browser_hash = $2 AND expires_at > $3
             RETURNING nonce, pkce_verifier, return_to, invite_hash",
            state_hash,
            browser_hash,
            now
        )
        .fetch_optional(self.pool())
        .await?;
        Ok(attempt)
    }

    /// The person whom this identity was linked to.
    pub async fn person_of_identity(&self, issuer: &str, subject: &str) -> Result<Option<PersonId>> {
        let person = sqlx::query_scalar!("SELECT person_id FROM identity WHERE issuer = $1 AND subject = $2", issuer, subject)
            .fetch_optional(self.pool())
            .await?;
        Ok(person.map(PersonId))
    }

    /// Can this invite still be used?
    pub async fn invite_holds(&self, code_hash: &[u8], now: DateTime<Utc>) -> Result<bool> {
        let holds = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM invite WHERE code_hash = $1 AND used_at IS NULL AND expires_at > $2) AS "holds!""#,
            code_hash,
            now
        )
        .fetch_one(self.pool())
        .await?;
        Ok(holds)
    }
}

/// Links an identity to a person, for good. `false`: it was linked already, and stays with whom it was.
pub async fn link(transaction: &mut Transaction, issuer: &str, subject: &str, person: PersonId, now: DateTime<Utc>) -> Result<bool> {
    let linked = sqlx::query!(
        "INSERT INTO identity (issuer, subject, person_id, linked_at) VALUES ($1, $2, $3, $4) ON CONFLICT (issuer, subject) DO NOTHING",
        issuer,
        subject,
        person.0,
        now
    )
    .execute(&mut **transaction)
    .await?;
    Ok(linked.rows_affected() == 1)
}

/// Makes an invite.
pub async fn invite(transaction: &mut Transaction, code_hash: &[u8], person: PersonId, expires_at: DateTime<Utc>) -> Result<()> {
    sqlx::query!("INSERT INTO invite (code_hash, person_id, expires_at) VALUES ($1, $2, $3)", code_hash, person.0, expires_at)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Uses an invite up, and says whose it was; `None` when it was used, is too old or never was.
pub async fn use_invite(transaction: &mut Transaction, code_hash: &[u8], now: DateTime<Utc>) -> Result<Option<PersonId>> {
    let person = sqlx::query_scalar!(
        "UPDATE invite SET used_at = $2 WHERE code_hash = $1 AND used_at IS NULL AND expires_at > $2 RETURNING person_id",
        code_hash,
        now
    )
    .fetch_optional(&mut **transaction)
    .await?;
    Ok(person.map(PersonId))
}

/// Notes that a logout token is being obeyed. `false`: it was obeyed before.
pub async fn note_logout_token(
    transaction: &mut Transaction,
    issuer: &str,
    jti: &str,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<bool> {
    sqlx::query!("DELETE FROM logout_token WHERE expires_at <= $1", now).execute(&mut **transaction).await?;
    let noted = sqlx::query!(
        "INSERT INTO logout_token (issuer, jti, expires_at) VALUES ($1, $2, $3) ON CONFLICT (issuer, jti) DO NOTHING",
        issuer,
        jti,
        expires_at
    )
    .execute(&mut **transaction)
    .await?;
    Ok(noted.rows_affected() == 1)
}

/// The sign-ins that a logout token means: those of the provider's session, or all of the subject's.
pub async fn meant_by(transaction: &mut Transaction, issuer: &str, subject: Option<&str>, sid: Option<&str>) -> Result<Vec<SessionId>> {
    let sessions = sqlx::query_scalar!(
        "SELECT id FROM session WHERE issuer = $1 AND ended_at IS NULL
           AND ($2::text IS NULL OR subject = $2) AND ($3::text IS NULL OR sid = $3) AND ($2::text IS NOT NULL OR $3::text IS NOT NULL)",
        issuer,
        subject,
        sid
    )
    .fetch_all(&mut **transaction)
    .await?;
    Ok(sessions.into_iter().map(SessionId).collect())
}
