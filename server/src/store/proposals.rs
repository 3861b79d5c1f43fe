//! Words that could not be placed in a text any more, kept for their writer alone.

use chrono::{DateTime, Utc};
use samspil_client_protocol::api::ProposalPiece;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Result, Store, Transaction};
use crate::domain::ids::{DocumentId, PersonId};

/// A kept proposal.
#[derive(Clone, Debug)]
pub struct ProposalRow {
    /// Id.
    pub id: Uuid,
    /// When it was kept.
    pub at: DateTime<Utc>,
    /// The pieces.
    pub pieces: Vec<ProposalPiece>,
}

impl Store {
    /// This person's proposals for this document, newest first, at most so many.
    pub async fn proposals(&self, document: DocumentId, person: PersonId, most: i64) -> Result<Vec<ProposalRow>> {
        let rows = sqlx::query!(
            r#"SELECT id, at, pieces AS "pieces: Json<Vec<ProposalPiece>>" FROM proposal
               WHERE document_id = $1 AND person_id = $2 ORDER BY at DESC, id DESC LIMIT $3"#,
            document.0,
            person.0,
            most
        )
        .fetch_all(self.pool())
        .await?;
        Ok(rows.into_iter().map(|row| ProposalRow { id: row.id, at: row.at, pieces: row.pieces.0 }).collect())
    }
}

/// How many proposals this person has kept for this document. Whoever asks in order to add one holds the person's row, so that
/// two requests at once cannot pass a limit together.
pub async fn count_for_writer(transaction: &mut Transaction, document: DocumentId, person: PersonId) -> Result<i64> {
    sqlx::query!("SELECT id FROM person WHERE id = $1 FOR UPDATE", person.0).fetch_optional(&mut **transaction).await?;
    let count =
        sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM proposal WHERE document_id = $1 AND person_id = $2"#, document.0, person.0)
            .fetch_one(&mut **transaction)
            .await?;
    Ok(count)
}

/// Keeps a proposal.
pub async fn insert(transaction: &mut Transaction, document: DocumentId, person: PersonId, proposal: &ProposalRow) -> Result<()> {
    sqlx::query!(
        "INSERT INTO proposal (id, document_id, person_id, pieces, at) VALUES ($1, $2, $3, $4, $5)",
        proposal.id,
        document.0,
        person.0,
        Json(&proposal.pieces) as Json<&Vec<ProposalPiece>>,
        proposal.at
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
