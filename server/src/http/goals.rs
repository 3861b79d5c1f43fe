//! `GET /api/goals`: what an agreement's goal may point at.

use axum::{Json, extract::State};
use samspil_client_protocol::api::{ChainGoal, ChainGoalList, Problem as ProblemBody};

use super::problem::Problem;
use crate::{
    auth::SignedIn,
    domain::{access::abilities, document::Status, ids::DocumentId},
    store::Store,
};

/// The goals of the chain. Of a document that may not be seen, its title and its goals' titles alone.
#[utoipa::path(get, operation_id = "list_goals", path = "/api/goals", responses((status = OK, body = ChainGoalList), (status = UNAUTHORIZED, body = ProblemBody)))]
pub(super) async fn list(signed_in: SignedIn, State(store): State<Store>) -> Result<Json<ChainGoalList>, Problem> {
    let goals = store.chain_goals().await?;
    let mut documents: Vec<DocumentId> = goals.iter().map(|goal| goal.document).collect();
    documents.sort_unstable();
    documents.dedup();
    let seen: Vec<DocumentId> = store
        .documents_access(&documents)
        .await?
        .iter()
        .filter(|row| abilities(&signed_in.principal, &row.access, signed_in.now).read)
        .map(|row| row.access.document)
        .collect();
    let items = goals
        .into_iter()
        .map(|goal| ChainGoal {
            id: goal.id,
            code: goal.code,
            title: goal.title,
            kind: goal.kind,
            description: goal.description.filter(|_| seen.contains(&goal.document)),
            document_id: goal.document.0,
            document_title: goal.document_title,
            document_kind: goal.document_kind.id().to_owned(),
            adopted: goal.document_status != Status::InPreparation,
            parent_ids: goal.parents,
        })
        .collect();
    Ok(Json(ChainGoalList { items }))
}
