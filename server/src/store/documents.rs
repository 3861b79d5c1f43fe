//! Documents and what decides who may do what with them. Everything that guards a document (a route, a socket, a list) loads it
//! here and asks `domain::access::abilities`; nothing here decides.

use std::collections::HashMap;

use uuid::Uuid;

use super::{Error, Result, Store};
use crate::domain::{
    access::{AgreementAccess, DocumentAccess, Grant, GrantKind},
    document::{DocumentKind, Status},
    ids::{AgreementId, DocumentId, OrgId, PersonId},
};

/// A document's row, with all that decides who may do what with it.
#[derive(Clone, Debug)]
pub struct DocumentRow {
    /// What `domain::access::abilities` asks for.
    pub access: DocumentAccess,
    /// Its title.
    pub title: String,
    /// The version people speak of, from 1.
    pub version: u32,
    /// Version of the live schema.
    pub schema: u32,
    /// Seq of the newest update in the log.
    pub head: u64,
    /// Raised whenever status or rights change; the append transaction compares it.
    pub access_version: i64,
    /// How often its text was frozen for signing.
    pub freezes: u32,
    /// The agreement it is a version of, if it is one.
    pub agreement_id: Option<AgreementId>,
}

impl Store {
    /// The document with what decides who may do what with it; `None` if there is no such document.
    pub async fn document_access(&self, document: DocumentId) -> Result<Option<DocumentRow>> {
        Ok(self.documents_access(&[document]).await?.pop())
    }

    /// The same for many documents at once, in no particular order; those that do not exist are left out.
    pub async fn documents_access(&self, documents: &[DocumentId]) -> Result<Vec<DocumentRow>> {
        let ids: Vec<Uuid> = documents.iter().map(|document| document.0).collect();
        let rows = sqlx::query!(
            r#"SELECT d.id AS "id!", d.kind AS "kind!", d.title AS "title!: String", d.version AS "version!", d.schema AS "schema!",
                      d.status AS "status!", d.head AS "head!", d.access_version AS "access_version!",
                      d.freezes AS "freezes!",
                      a.id AS "agreement_id?", a.unit_id AS "unit_id?", a.unit_leader_id AS "unit_leader_id?",
                      a.counterpart_id AS "counterpart_id?",
                      ARRAY(WITH RECURSIVE above AS (
                                SELECT parent_id, 1 AS distance FROM org_node WHERE id = a.unit_id
                                UNION ALL
                                SELECT node.parent_id, above.distance + 1
                                FROM org_node node JOIN above ON node.id = above.parent_id
                            ) CYCLE parent_id SET looped USING path
                            SELECT parent_id FROM above WHERE parent_id IS NOT NULL AND NOT looped ORDER BY distance) AS "above!: Vec<Uuid>"
               FROM document d
               LEFT JOIN agreement_version v ON v.document_id = d.id
               LEFT JOIN agreement a ON a.id = v.agreement_id
               WHERE d.id = ANY($1)"#,
            &ids
        )
        .fetch_all(self.pool())
        .await?;
        let mut grants = self.grants(&ids).await?;
        rows.into_iter()
            .map(|row| {
                let kind = DocumentKind::from_id(&row.kind).ok_or_else(|| unknown("kind", row.kind.clone()))?;
                let status = Status::from_id(kind, &row.status).ok_or_else(|| unknown("status", row.status.clone()))?;
                let agreement = match (row.unit_id, row.unit_leader_id, row.counterpart_id) {
                    (Some(unit), Some(unit_leader), Some(counterpart)) => Some(AgreementAccess {
                        unit: OrgId(unit),
                        above: row.above.into_iter().map(OrgId).collect(),
                        unit_leader: PersonId(unit_leader),
                        counterpart: PersonId(counterpart),
                    }),
                    _ => None,
                };
                Ok(DocumentRow {
                    access: DocumentAccess {
                        document: DocumentId(row.id),
                        kind,
                        status,
                        agreement,
                        grants: grants.remove(&row.id).unwrap_or_default(),
                    },
                    title: row.title,
                    version: u32::try_from(row.version).map_err(|_| unknown("version", row.version.to_string()))?,
                    schema: u32::try_from(row.schema).map_err(|_| unknown("schema", row.schema.to_string()))?,
                    head: u64::try_from(row.head).map_err(|_| unknown("head", row.head.to_string()))?,
                    access_version: row.access_version,
                    freezes: u32::try_from(row.freezes).map_err(|_| unknown("freezes", row.freezes.to_string()))?,
                    agreement_id: row.agreement_id.map(AgreementId),
                })
            })
            .collect()
    }

    pub(super) async fn grants(&self, documents: &[Uuid]) -> Result<HashMap<Uuid, Vec<Grant>>> {
        let rows = sqlx::query!(r#"SELECT document_id, person_id, kind, until FROM document_grant WHERE document_id = ANY($1)"#, documents)
            .fetch_all(self.pool())
            .await?;
        let mut grants: HashMap<Uuid, Vec<Grant>> = HashMap::new();
        for row in rows {
            let kind = match row.kind.as_str() {
                "read" => GrantKind::Read,
                "comment" => GrantKind::Comment,
                _ => return Err(Error::Unknown { table: "document_grant", what: "kind", value: row.kind }),
            };
            grants.entry(row.document_id).or_default().push(Grant { person: PersonId(row.person_id), kind, until: row.until });
        }
        Ok(grants)
    }
}

fn unknown(what: &'static str, value: String) -> Error {
    Error::Unknown { table: "document", what, value }
}
