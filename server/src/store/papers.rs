//! What a document on paper says besides its text, and the papers of signed agreements, which are printed once.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use samspil_evidence::sha256;
use serde_json::json;

use super::{Result, Store, agreements::number, agreements::party, audit};
use crate::domain::{
    agreement::Party,
    ids::{AgreementId, DocumentId, PersonId},
};

/// The event of a paper that is kept.
pub const PRINTED: &str = "printed";

/// A signature that stands, with its evidence if that is held here.
#[derive(Clone, Debug)]
pub struct ApprovalRow {
    /// For which side.
    pub party: Party,
    /// Who signed.
    pub person: PersonId,
    /// When.
    pub at: DateTime<Utc>,
    /// The revision that was signed.
    pub revision: u32,
    /// The level that the identity provider answered.
    pub level: Option<String>,
    /// What is held of it; `None`: imported.
    pub evidence: Option<HeldEvidence>,
}

/// What a paper says of a signature's evidence, and carries along.
#[derive(Clone, Debug)]
pub struct HeldEvidence {
    /// In its one spelling.
    pub statement: Vec<u8>,
    /// The seal over it; `None`: it is only shown, nobody has approved anything.
    pub seal: Option<String>,
}

/// When and by whom a document of the chain was adopted, and how long it holds.
#[derive(Clone, Debug)]
pub struct AdoptionRow {
    /// The body's name.
    pub by: String,
    /// On which day; `None`: not yet.
    pub on: Option<NaiveDate>,
    /// First day.
    pub from: NaiveDate,
    /// Last day; `None`: until replaced.
    pub to: Option<NaiveDate>,
}

/// A paper that is kept.
#[derive(Clone, Debug)]
pub struct KeptPaper {
    /// Of which document.
    pub document: DocumentId,
    /// As which revision it was signed.
    pub revision: u32,
    /// SHA-256 of the file.
    pub sha256: Vec<u8>,
    /// When it was printed.
    pub at: DateTime<Utc>,
}

impl Store {
    /// The signatures on a document that stand, oldest first.
    pub async fn approvals_that_stand(&self, document: DocumentId) -> Result<Vec<ApprovalRow>> {
        let rows = sqlx::query!(
            r#"SELECT s.party, s.person_id, s.signed_at, s.revision, s.acr, a.statement AS "statement?", a.seal AS "seal?"
               FROM signature s LEFT JOIN approval a ON a.signature_id = s.id
               WHERE s.document_id = $1 AND s.valid ORDER BY s.signed_at, s.id"#,
            document.0
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(ApprovalRow {
                    party: party(row.party)?,
                    person: PersonId(row.person_id),
                    at: row.signed_at,
                    revision: number("signature", "revision", row.revision.into())?,
                    level: row.acr,
                    evidence: row.statement.map(|statement| HeldEvidence { statement, seal: row.seal }),
                })
            })
            .collect()
    }

    /// How a document of the chain was adopted; `None` for an agreement.
    pub async fn adoption(&self, document: DocumentId) -> Result<Option<AdoptionRow>> {
        Ok(sqlx::query_as!(
            AdoptionRow,
            r#"SELECT o.name AS "by: String", g.adopted_on AS "on", g.valid_from AS "from", g.valid_to AS "to"
               FROM governance_document g JOIN org_node o ON o.id = g.adopted_by_org_id WHERE g.document_id = $1"#,
            document.0
        )
        .fetch_optional(self.pool())
        .await?)
    }

    /// The municipality's words for how a goal stands, by id.
    pub async fn goal_status_names(&self) -> Result<HashMap<String, String>> {
        let rows = sqlx::query!("SELECT id, name FROM status_name WHERE scope = 'goal'").fetch_all(self.pool()).await?;
        Ok(rows.into_iter().map(|row| (row.id, row.name)).collect())
    }

    /// The paper of a signed revision, if it has been printed.
    pub async fn paper(&self, document: DocumentId, revision: u32) -> Result<Option<Vec<u8>>> {
        Ok(sqlx::query_scalar!("SELECT pdf FROM document_paper WHERE document_id = $1 AND revision = $2", document.0, place(revision))
            .fetch_optional(self.pool())
            .await?)
    }

    /// Keeps the paper of a signed revision, unless one is kept already; gives the one that is kept. Which it is goes into the agreement's
    /// trail, so that nobody puts another in its place.
    pub async fn keep_paper(
        &self,
        agreement: AgreementId,
        document: DocumentId,
        revision: u32,
        pdf: &[u8],
        at: DateTime<Utc>,
    ) -> Result<Vec<u8>> {
        let (hash, at) = (sha256(pdf), audit::kept(at));
        let mut transaction = self.begin().await?;
        let kept = sqlx::query!(
            "INSERT INTO document_paper (document_id, revision, pdf, sha256, at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (document_id, revision) DO NOTHING",
            document.0,
            place(revision),
            pdf,
            &hash[..],
            at
        )
        .execute(&mut *transaction)
        .await?;
        if kept.rows_affected() == 1 {
            let body = json!({ "document": document.0, "revision": revision, "pdf_sha256": hex::encode(hash) });
            audit::append(&mut transaction, agreement.0, PRINTED, None, body, at).await?;
        }
        transaction.commit().await?;
        Ok(self.paper(document, revision).await?.unwrap_or_else(|| pdf.to_vec()))
    }

    /// The papers that are kept, without their files.
    pub async fn kept_papers(&self) -> Result<Vec<KeptPaper>> {
        let rows = sqlx::query!("SELECT document_id, revision, sha256, at FROM document_paper ORDER BY document_id, revision");
        let rows = rows.fetch_all(self.pool()).await?;
        rows.into_iter()
            .map(|row| {
                let revision = number("document_paper", "revision", row.revision.into())?;
                Ok(KeptPaper { document: DocumentId(row.document_id), revision, sha256: row.sha256, at: row.at })
            })
            .collect()
    }
}

/// A revision's number as the database has it; beyond what it can hold there is none.
fn place(revision: u32) -> i32 {
    i32::try_from(revision).unwrap_or(i32::MAX)
}
