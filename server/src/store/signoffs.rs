//! Approvals: attempts that are on their way through the identity provider, signatures with their evidence, and the rows that a
//! signature is written under.

use chrono::{DateTime, Utc};
use samspil_evidence::{Hash, trail::AuditEvent};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Error, Result, Store, Transaction,
    life::{Event, record},
};
use crate::domain::{
    access::Party,
    agreement::AgreementStatus,
    document::{DocumentKind, Status},
    ids::{AgreementId, DocumentId, PersonId, SessionId},
};

/// Attempts of one person that are kept at once; the oldest go first.
const ATTEMPTS_MAX: i64 = 50;

/// Somebody who was sent to prove an approval.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The sign-in it was begun in.
    pub session: SessionId,
    /// Who pressed the button.
    pub person: PersonId,
    /// About which agreement.
    pub agreement: AgreementId,
    /// The document that is a version of it.
    pub document: DocumentId,
    /// What is to be approved, in its one spelling.
    pub statement: Vec<u8>,
    /// What proves at the token endpoint that the code is ours.
    pub pkce_verifier: String,
    /// From then on nobody comes back.
    pub expires_at: DateTime<Utc>,
}

/// A signature with what proves it.
#[derive(Clone, Debug)]
pub struct NewApproval<'a> {
    /// Id of the signature.
    pub id: Uuid,
    /// The document.
    pub document: DocumentId,
    /// The frozen revision.
    pub revision: u32,
    /// SHA-256 of its content.
    pub content_sha256: Hash,
    /// For which side.
    pub party: Party,
    /// Who.
    pub person: PersonId,
    /// When it was accepted.
    pub at: DateTime<Utc>,
    /// When the provider authenticated the person.
    pub auth_time: DateTime<Utc>,
    /// At which level.
    pub acr: Option<&'a str>,
    /// In its one spelling.
    pub statement: &'a [u8],
    /// Encrypted.
    pub id_token: &'a [u8],
    /// Encrypted.
    pub idp_key: &'a [u8],
    /// The seal.
    pub seal: &'a str,
    /// Which key made it.
    pub seal_kid: &'a str,
}

/// A signature as it stands, with its evidence where there is any.
#[derive(Clone, Debug)]
pub struct ApprovalRow {
    /// Id of the signature.
    pub id: Uuid,
    /// The document.
    pub document: DocumentId,
    /// Which revision.
    pub revision: u32,
    /// SHA-256 of its content, if that is known.
    pub content_sha256: Option<Vec<u8>>,
    /// For which side.
    pub party: Party,
    /// Who.
    pub person: PersonId,
    /// When.
    pub signed_at: DateTime<Utc>,
    /// How it was proved.
    pub method: String,
    /// When the provider authenticated the person.
    pub auth_time: DateTime<Utc>,
    /// At which level.
    pub acr: Option<String>,
    /// Does it stand?
    pub valid: bool,
    /// Why not.
    pub lapsed_reason: Option<String>,
    /// Since when not.
    pub lapsed_at: Option<DateTime<Utc>>,
    /// What proves it; `None`: it was imported, and its evidence is not here.
    pub evidence: Option<EvidenceRow>,
}

/// What proves a signature.
#[derive(Clone, Debug)]
pub struct EvidenceRow {
    /// The document it is filed under.
    pub document: DocumentId,
    /// The revision it is filed under.
    pub revision: u32,
    /// In its one spelling.
    pub statement: Vec<u8>,
    /// SHA-256 of it.
    pub statement_sha256: Vec<u8>,
    /// The sign-in and the seal; `None`: it is only shown, nobody has approved anything.
    pub proof: Option<ProofRow>,
    /// When it was accepted.
    pub at: DateTime<Utc>,
}

/// The sign-in that proves a statement, and the seal over both.
#[derive(Clone, Debug)]
pub struct ProofRow {
    /// Encrypted.
    pub id_token: Vec<u8>,
    /// Encrypted.
    pub idp_key: Vec<u8>,
    /// The seal.
    pub seal: String,
    /// Which key made it.
    pub seal_kid: String,
}

/// A revision's text.
#[derive(Clone, Debug)]
pub struct RevisionText {
    /// Seq of the newest update in it.
    pub seq: u64,
    /// Version of the content's schema.
    pub schema: Option<i32>,
    /// The canonical JSON.
    pub content: Vec<u8>,
    /// SHA-256 of it.
    pub content_sha256: Vec<u8>,
    /// SHA-256 of the log that made it.
    pub log_sha256: Vec<u8>,
    /// Who froze it.
    pub person: Option<Uuid>,
    /// When.
    pub at: DateTime<Utc>,
}

/// The document as it stands while its row is held.
#[derive(Clone, Debug)]
pub struct LockedDocument {
    /// Where it is in its life.
    pub status: Status,
    /// Raised whenever status or rights change.
    pub access_version: i64,
}

impl Store {
    /// Keeps an attempt, and forgets those that are a day old or crowd out newer ones of the same person.
    pub async fn keep_approval_attempt(&self, state_hash: &[u8], attempt: &Attempt, now: DateTime<Utc>) -> Result<()> {
        sqlx::query!(
            "WITH forgotten AS (DELETE FROM approval_attempt WHERE expires_at <= $8::timestamptz - interval '1 day'),
                  crowded_out AS (DELETE FROM approval_attempt WHERE state_hash IN (
                      SELECT state_hash FROM approval_attempt WHERE person_id = $3 AND expires_at > $8::timestamptz - interval '1 day'
                      ORDER BY expires_at DESC, state_hash OFFSET $10))
             INSERT INTO approval_attempt (state_hash, session_id, person_id, agreement_id, document_id, statement, pkce_verifier, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $9)",
            state_hash,
            attempt.session.0,
            attempt.person.0,
            attempt.agreement.0,
            attempt.document.0,
            attempt.statement,
            attempt.pkce_verifier,
            now,
            attempt.expires_at,
            ATTEMPTS_MAX
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// The attempt under this state, and whether this is the first to come back with it; `None` if there is no such attempt.
    pub async fn use_approval_attempt(&self, state_hash: &[u8], now: DateTime<Utc>) -> Result<Option<(Attempt, bool)>> {
        let first = sqlx::query!("UPDATE approval_attempt SET used_at = $2 WHERE state_hash = $1 AND used_at IS NULL", state_hash, now)
            .execute(self.pool())
            .await?
            .rows_affected()
            == 1;
        let attempt = sqlx::query_as!(
            Attempt,
            "SELECT session_id AS session, person_id AS person, agreement_id AS agreement, document_id AS document, statement,
                    pkce_verifier, expires_at
             FROM approval_attempt WHERE state_hash = $1",
            state_hash
        )
        .fetch_optional(self.pool())
        .await?;
        Ok(attempt.map(|attempt| (attempt, first)))
    }

    /// The signatures on a document with their evidence, lapsed ones too, oldest first.
    pub async fn approvals(&self, document: DocumentId) -> Result<Vec<ApprovalRow>> {
        let rows = sqlx::query!(
            r#"SELECT s.id, s.document_id, s.revision, s.content_sha256, s.party, s.person_id, s.signed_at, s.method, s.auth_time, s.acr,
                      s.valid, s.lapsed_reason, s.lapsed_at, a.document_id AS "filed_document?", a.revision AS "filed_revision?",
                      a.statement AS "statement?", a.statement_sha256 AS "statement_sha256?", a.id_token AS "id_token?",
                      a.idp_key AS "idp_key?", a.seal AS "seal?", a.seal_kid AS "seal_kid?", a.at AS "at?"
               FROM signature s LEFT JOIN approval a ON a.signature_id = s.id
               WHERE s.document_id = $1 ORDER BY s.signed_at, s.id"#,
            document.0
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                // Half a proof is one that does not hold, not none.
                let proof = match (row.id_token, row.idp_key, row.seal, row.seal_kid) {
                    (None, None, None, None) => None,
                    (id_token, idp_key, seal, seal_kid) => Some(ProofRow {
                        id_token: id_token.unwrap_or_default(),
                        idp_key: idp_key.unwrap_or_default(),
                        seal: seal.unwrap_or_default(),
                        seal_kid: seal_kid.unwrap_or_default(),
                    }),
                };
                let evidence = match (row.filed_document, row.filed_revision, row.statement, row.statement_sha256, row.at) {
                    (Some(document), Some(revision), Some(statement), Some(statement_sha256), Some(at)) => Some(EvidenceRow {
                        document: DocumentId(document),
                        revision: positive("approval", revision)?,
                        statement,
                        statement_sha256,
                        proof,
                        at,
                    }),
                    _ => None,
                };
                Ok(ApprovalRow {
                    id: row.id,
                    document: DocumentId(row.document_id),
                    revision: positive("signature", row.revision)?,
                    content_sha256: row.content_sha256,
                    party: party(row.party)?,
                    person: PersonId(row.person_id),
                    signed_at: row.signed_at,
                    method: row.method,
                    auth_time: row.auth_time,
                    acr: row.acr,
                    valid: row.valid,
                    lapsed_reason: row.lapsed_reason,
                    lapsed_at: row.lapsed_at,
                    evidence,
                })
            })
            .collect()
    }

    /// The agreement that this document is a version of.
    pub async fn agreement_of(&self, document: DocumentId) -> Result<Option<AgreementId>> {
        let agreement = sqlx::query_scalar!("SELECT agreement_id FROM agreement_version WHERE document_id = $1", document.0);
        Ok(agreement.fetch_optional(self.pool()).await?.map(AgreementId))
    }

    /// Is the signature that this event tells of still there?
    pub async fn holds_signature_of(&self, event: &AuditEvent) -> Result<bool> {
        let party = event.body["party"].as_str();
        let statement = event.body["statement_sha256"].as_str().and_then(|hash| hex::decode(hash).ok());
        let there = sqlx::query_scalar!(
            r#"SELECT EXISTS (
                   SELECT FROM signature s JOIN agreement_version v ON v.document_id = s.document_id
                   LEFT JOIN approval a ON a.signature_id = s.id
                   WHERE v.agreement_id = $1 AND s.party = $2 AND s.signed_at = $3 AND s.person_id = $4
                     AND ($5::bytea IS NULL OR a.statement_sha256 = $5)) AS "there!""#,
            event.trail,
            party,
            event.at,
            event.person,
            statement
        )
        .fetch_one(self.pool())
        .await?;
        Ok(there)
    }

    /// A frozen revision's text with what was kept of how it was made; `None` if it is not there, or its text is not held here.
    pub async fn revision_text(&self, document: DocumentId, revision: u32) -> Result<Option<RevisionText>> {
        let row = sqlx::query!(
            r#"SELECT seq AS "seq!", schema, content AS "content!", content_sha256 AS "content_sha256!", log_sha256, person_id, at FROM revision
               WHERE document_id = $1 AND number = $2 AND content IS NOT NULL AND frozen"#,
            document.0,
            i32::try_from(revision).unwrap_or(i32::MAX)
        )
        .fetch_optional(self.pool())
        .await?;
        Ok(row.map(|row| RevisionText {
            seq: u64::try_from(row.seq).unwrap_or(0),
            schema: row.schema,
            content: row.content,
            content_sha256: row.content_sha256,
            log_sha256: row.log_sha256.unwrap_or_default(),
            person: row.person_id,
            at: row.at,
        }))
    }

    /// A document's log up to this seq: (seq, who, hash, update).
    pub async fn log_hashes(&self, document: DocumentId, head: u64) -> Result<Vec<(u64, Option<Uuid>, Vec<u8>, Vec<u8>)>> {
        let rows = sqlx::query!(
            "SELECT seq, person_id, hash, payload FROM document_update WHERE document_id = $1 AND seq <= $2 ORDER BY seq",
            document.0,
            super::log::signed(head)
        )
        .fetch_all(self.pool())
        .await?;
        Ok(rows.into_iter().map(|row| (u64::try_from(row.seq).unwrap_or(0), row.person_id, row.hash, row.payload)).collect())
    }

    /// As whom the provider knows a person when they sign in, for a hint.
    pub async fn login_name(&self, person: PersonId) -> Result<Option<String>> {
        Ok(sqlx::query_scalar!("SELECT upn FROM person WHERE id = $1", person.0).fetch_optional(self.pool()).await?.flatten())
    }

    /// Versions of agreements that are not where their signatures put them: (document, status, how many signatures stand).
    pub async fn misplaced(&self) -> Result<Vec<(DocumentId, String, i64)>> {
        let rows = sqlx::query!(
            r#"SELECT d.id, d.status, count(s.id) AS "stand!" FROM agreement_version v JOIN document d ON d.id = v.document_id
               LEFT JOIN signature s ON s.document_id = d.id AND s.valid GROUP BY d.id, d.status
               HAVING count(s.id) <> CASE WHEN d.status IN ('signed', 'superseded', 'closed') THEN 2 WHEN d.status = 'partly_signed' THEN 1 ELSE 0 END
               ORDER BY d.id"#
        );
        Ok(rows.fetch_all(self.pool()).await?.into_iter().map(|row| (DocumentId(row.id), row.status, row.stand)).collect())
    }

    /// The documents that anybody has signed.
    pub async fn signed_documents(&self) -> Result<Vec<DocumentId>> {
        let documents =
            sqlx::query_scalar!("SELECT DISTINCT document_id FROM signature ORDER BY document_id").fetch_all(self.pool()).await?;
        Ok(documents.into_iter().map(DocumentId).collect())
    }

    /// What the newest approval's token is kept under, and what it belongs to: to see whether a key still opens it.
    pub async fn newest_kept_token(&self) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        let row = sqlx::query!(
            r#"SELECT statement_sha256, id_token AS "id_token!" FROM approval WHERE id_token IS NOT NULL
               ORDER BY at DESC, signature_id LIMIT 1"#
        )
        .fetch_optional(self.pool())
        .await?;
        Ok(row.map(|row| (row.statement_sha256, row.id_token)))
    }
}

/// Holds the document, and with it the versions before it that are in force, in the order that every change of rights keeps: documents,
/// then persons, then sessions. `None` if it is not there.
pub async fn lock(transaction: &mut Transaction, agreement: AgreementId, document: DocumentId) -> Result<Option<LockedDocument>> {
    let rows = sqlx::query!(
        "SELECT d.id, d.status, d.access_version FROM document d JOIN agreement_version v ON v.document_id = d.id
         WHERE v.agreement_id = $1 AND (d.id = $2 OR d.status = 'signed') ORDER BY d.id FOR NO KEY UPDATE OF d",
        agreement.0,
        document.0
    )
    .fetch_all(&mut **transaction)
    .await?;
    rows.into_iter()
        .find(|row| row.id == document.0)
        .map(|row| {
            let status = Status::from_id(DocumentKind::Agreement, &row.status);
            let status = status.ok_or(Error::Unknown { table: "document", what: "status", value: row.status })?;
            Ok(LockedDocument { status, access_version: row.access_version })
        })
        .transpose()
}

/// Holds a person and a sign-in; answers their access versions, and `None` for the sign-in when it has ended.
pub async fn lock_person(transaction: &mut Transaction, person: PersonId, session: SessionId) -> Result<(i64, Option<i64>)> {
    let person =
        sqlx::query_scalar!("SELECT access_version FROM person WHERE id = $1 FOR SHARE", person.0).fetch_one(&mut **transaction).await?;
    let session = sqlx::query_scalar!("SELECT access_version FROM session WHERE id = $1 AND ended_at IS NULL FOR NO KEY UPDATE", session.0)
        .fetch_optional(&mut **transaction)
        .await?;
    Ok((person, session))
}

/// Who has signed: the signatures that stand, read while the document is held.
pub async fn standing(transaction: &mut Transaction, document: DocumentId) -> Result<Vec<(Party, PersonId)>> {
    let rows = sqlx::query!("SELECT party, person_id FROM signature WHERE document_id = $1 AND valid", document.0)
        .fetch_all(&mut **transaction)
        .await?;
    rows.into_iter().map(|row| Ok((party(row.party)?, PersonId(row.person_id)))).collect()
}

/// Writes a signature with what proves it.
pub async fn insert(transaction: &mut Transaction, new: &NewApproval<'_>) -> Result<()> {
    sqlx::query!(
        "INSERT INTO signature (id, document_id, party, person_id, signed_at, revision, content_sha256, method, auth_time, acr, valid)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'oidc_reauthentication', $8, $9, true)",
        new.id,
        new.document.0,
        party_id(new.party),
        new.person.0,
        new.at,
        i32::try_from(new.revision).unwrap_or(i32::MAX),
        &new.content_sha256[..],
        new.auth_time,
        new.acr
    )
    .execute(&mut **transaction)
    .await?;
    sqlx::query!(
        "INSERT INTO approval (signature_id, document_id, revision, statement, statement_sha256, id_token, idp_key, seal, seal_kid, at)
         VALUES ($1, $2, $3, $4, sha256($4), $5, $6, $7, $8, $9)",
        new.id,
        new.document.0,
        i32::try_from(new.revision).unwrap_or(i32::MAX),
        new.statement,
        new.id_token,
        new.idp_key,
        new.seal,
        new.seal_kid,
        new.at
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// One more side has signed: the new status, on the document, in the agreement's life and, with `body`, in its trail.
pub async fn move_on(
    transaction: &mut Transaction,
    agreement: AgreementId,
    new: &NewApproval<'_>,
    to: AgreementStatus,
    body: Value,
) -> Result<()> {
    sqlx::query!(
        "UPDATE document SET status = $2, access_version = access_version + 1 WHERE id = $1",
        new.document.0,
        Status::Agreement(to).id()
    )
    .execute(&mut **transaction)
    .await?;
    let event = Event {
        agreement,
        document: new.document,
        kind: "signed",
        person: Some(new.person),
        at: new.at,
        to: Some(to),
        revision: Some(new.revision),
        party: Some(new.party),
        reason: None,
        case_number: None,
        error: None,
        body,
    };
    record(transaction, &event).await
}

/// The versions before this one that were in force are replaced by it; answers which.
pub async fn supersede(transaction: &mut Transaction, agreement: AgreementId, by: DocumentId) -> Result<Vec<DocumentId>> {
    let replaced = sqlx::query_scalar!(
        "UPDATE document SET status = 'superseded', access_version = access_version + 1 FROM agreement_version v
         WHERE v.document_id = document.id AND v.agreement_id = $1 AND document.id <> $2 AND document.status = 'signed' RETURNING document.id",
        agreement.0,
        by.0
    )
    .fetch_all(&mut **transaction)
    .await?;
    Ok(replaced.into_iter().map(DocumentId).collect())
}

/// What the database calls a side.
#[must_use]
pub fn party_id(party: Party) -> &'static str {
    match party {
        Party::UnitLeader => "unit_leader",
        Party::Counterpart => "counterpart",
    }
}

fn party(id: String) -> Result<Party> {
    match id.as_str() {
        "unit_leader" => Ok(Party::UnitLeader),
        "counterpart" => Ok(Party::Counterpart),
        _ => Err(Error::Unknown { table: "signature", what: "party", value: id }),
    }
}

fn positive(table: &'static str, revision: i32) -> Result<u32> {
    super::agreements::number(table, "revision", revision.into())
}
