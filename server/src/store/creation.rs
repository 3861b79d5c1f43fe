//! How a live document comes to be: its row, its first update and its first snapshot, in one transaction (G4: the log is complete from
//! the first word).

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Result, Transaction};
use crate::{
    content::{self, Content, Projection},
    domain::{
        document::{DocumentKind, Status},
        ids::{DocumentId, PersonId},
    },
};

/// A document to be made.
#[derive(Clone, Debug)]
pub struct NewDocument<'a> {
    /// The live id, for ever.
    pub id: DocumentId,
    /// The id in the data it is imported from.
    pub slug: Option<&'a str>,
    /// Its kind.
    pub kind: DocumentKind,
    /// Its title.
    pub title: &'a str,
    /// The version people speak of.
    pub version: i32,
    /// The template it is made from.
    pub template: Uuid,
    /// Where it is in its life.
    pub status: Status,
    /// What it says at first.
    pub content: &'a Content,
    /// Who made it; `None`: the server.
    pub by: Option<PersonId>,
    /// When.
    pub at: DateTime<Utc>,
}

/// Makes the document: after this its log stands at seq 1. Returns the SHA-256 of its canonical content. Its goals are projected too, so
/// an agreement or governance row that belongs to it may follow, not precede.
pub async fn create(transaction: &mut Transaction, new: &NewDocument<'_>) -> Result<[u8; 32]> {
    let client = content::first_client(new.id.0);
    let update = content::build(new.content, client);
    let content_sha256 = content::sha256(&content::render_content(new.content));
    let update_sha256 = content::sha256(&update);
    sqlx::query!(
        "INSERT INTO document (id, slug, kind, title, version, schema, template_id, status, head, snapshot_seq)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, 1)",
        new.id.0,
        new.slug,
        new.kind.id(),
        new.title as _,
        new.version,
        i32::from(content::SCHEMA),
        new.template,
        new.status.id()
    )
    .execute(&mut **transaction)
    .await?;
    sqlx::query!(
        "INSERT INTO document_update (document_id, seq, payload, hash, at) VALUES ($1, 1, $2, $3, $4)",
        new.id.0,
        update,
        &update_sha256[..],
        new.at
    )
    .execute(&mut **transaction)
    .await?;
    sqlx::query!("INSERT INTO document_client (document_id, client_id) VALUES ($1, $2)", new.id.0, i64::from(client))
        .execute(&mut **transaction)
        .await?;
    sqlx::query!(
        "INSERT INTO document_snapshot (document_id, seq, state, content_sha256, at) VALUES ($1, 1, $2, $3, $4)",
        new.id.0,
        update,
        &content_sha256[..],
        new.at
    )
    .execute(&mut **transaction)
    .await?;
    super::goals::replace_projection(transaction, new.id, &Projection::of(new.content), new.by, new.at).await?;
    Ok(content_sha256)
}
