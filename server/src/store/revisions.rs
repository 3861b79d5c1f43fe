//! The named states of a document. A frozen one is what is signed: its bytes, and what they were made of, never change.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use samspil_evidence::Hash;

use super::{Error, Result, Store, agreements::number};
use crate::domain::ids::{AgreementId, DocumentId, PersonId};

/// A named state of a document.
#[derive(Clone, Debug)]
pub struct RevisionRow {
    /// What people call it.
    pub number: u32,
    /// Its place in the log; `None`: the text is not held here.
    pub seq: Option<u64>,
    /// SHA-256 of the canonical content.
    pub content_sha256: Option<Vec<u8>>,
    /// The name it was given.
    pub label: Option<String>,
    /// Made for signing.
    pub frozen: bool,
    /// Who made it.
    pub person: Option<PersonId>,
    /// When.
    pub at: DateTime<Utc>,
}

/// The text that is signed, as it was frozen.
#[derive(Clone, Debug)]
pub struct FrozenRevision {
    /// The document.
    pub document: DocumentId,
    /// The agreement that it is a version of.
    pub agreement: AgreementId,
    /// Which version, from 1.
    pub version: u32,
    /// The document's title.
    pub title: String,
    /// The document's access version now: whoever changes its status next names it.
    pub access_version: i64,
    /// What people call the revision.
    pub number: u32,
    /// Seq of the newest update in it.
    pub seq: u64,
    /// Version of the content's schema.
    pub schema: u16,
    /// The canonical JSON.
    pub content: Bytes,
    /// SHA-256 of it.
    pub content_sha256: Hash,
    /// SHA-256 over (seq, person, hash) of every update up to `seq`.
    pub log_sha256: Hash,
    /// Who froze it; `None`: not known here.
    pub person: Option<PersonId>,
    /// When.
    pub at: DateTime<Utc>,
}

impl Store {
    /// The named states of a document, newest first.
    pub async fn revisions(&self, document: DocumentId) -> Result<Vec<RevisionRow>> {
        let rows = sqlx::query!(
            "SELECT number, seq, content_sha256, label, frozen, person_id, at FROM revision WHERE document_id = $1 ORDER BY number DESC",
            document.0
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(RevisionRow {
                    number: number("revision", "number", row.number.into())?,
                    seq: row.seq.map(|seq| u64::try_from(seq).map_err(|_| unknown("seq", seq))).transpose()?,
                    content_sha256: row.content_sha256,
                    label: row.label,
                    frozen: row.frozen,
                    person: row.person_id.map(PersonId),
                    at: row.at,
                })
            })
            .collect()
    }

    /// The text that is signed or was signed; `None` while the document is written in, whatever was frozen before: what was taken back
    /// to a draft is signed by nobody.
    pub async fn frozen_revision(&self, document: DocumentId) -> Result<Option<FrozenRevision>> {
        let row = sqlx::query!(
            r#"SELECT d.version, d.title AS "title: String", d.access_version, v.agreement_id, r.number, r.seq AS "seq!", r.schema AS "schema!",
                      r.content AS "content!", r.content_sha256 AS "content_sha256!", r.log_sha256 AS "log_sha256!", r.person_id, r.at
               FROM document d JOIN agreement_version v ON v.document_id = d.id JOIN revision r ON r.document_id = d.id
               WHERE d.id = $1 AND d.status IN ('ready_to_sign', 'partly_signed', 'signed', 'closed', 'superseded')
                 AND r.frozen AND r.content IS NOT NULL
               ORDER BY r.number DESC LIMIT 1"#,
            document.0
        )
        .fetch_optional(self.pool())
        .await?;
        row.map(|row| {
            Ok(FrozenRevision {
                document,
                agreement: AgreementId(row.agreement_id),
                version: number("document", "version", row.version.into())?,
                title: row.title,
                access_version: row.access_version,
                number: number("revision", "number", row.number.into())?,
                seq: u64::try_from(row.seq).map_err(|_| unknown("seq", row.seq))?,
                schema: u16::try_from(row.schema).map_err(|_| unknown("schema", row.schema))?,
                content: row.content.into(),
                content_sha256: row.content_sha256.try_into().map_err(|_| unknown("content_sha256", row.number))?,
                log_sha256: row.log_sha256.try_into().map_err(|_| unknown("log_sha256", row.number))?,
                person: row.person_id.map(PersonId),
                at: row.at,
            })
        })
        .transpose()
    }
}

fn unknown(what: &'static str, value: impl Into<i64>) -> Error {
    Error::Unknown { table: "revision", what, value: value.into().to_string() }
}
