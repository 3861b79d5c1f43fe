//! `GET /api/plan`: the four years by quarter, and which documents are in force on a day.

use axum::{Json, extract::State};
use chrono::NaiveDate;
use samspil_client_protocol::api::{Plan, PlanCell, PlanDocument, PlanRow, Problem as ProblemBody};
use serde::Deserialize;
use utoipa::IntoParams;

use super::problem::{Problem, Query};
use crate::{
    auth::SignedIn,
    domain::{
        access::{abilities, danish_day},
        document::Status,
        governance::{in_force, plan_cell},
        ids::DocumentId,
    },
    store::Store,
};

/// For which day.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PlanQuery {
    /// *Gældende den …*; today when it is left out.
    on: Option<NaiveDate>,
}

/// The time plan and the documents with their days. Titles are for everybody who is signed in, also of what is not adopted yet.
#[utoipa::path(get, operation_id = "plan", path = "/api/plan", params(PlanQuery), responses(
    (status = OK, body = Plan), (status = UNAUTHORIZED, body = ProblemBody), (status = UNPROCESSABLE_ENTITY, body = ProblemBody)))]
pub(super) async fn plan(signed_in: SignedIn, State(store): State<Store>, Query(query): Query<PlanQuery>) -> Result<Json<Plan>, Problem> {
    let on = query.on.unwrap_or_else(|| danish_day(signed_in.now));
    let plan = store.time_plan().await?.ok_or_else(Problem::not_found)?;
    let documents = store.dated_documents().await?;
    let ids: Vec<DocumentId> = documents.iter().map(|row| row.document).collect();
    let access = store.documents_access(&ids).await?;
    let readable: Vec<DocumentId> = access
        .iter()
        .filter(|row| abilities(&signed_in.principal, &row.access, signed_in.now).read)
        .map(|row| row.access.document)
        .collect();
    let rows = plan.rows.into_iter().map(|(document_kind, label, level, cells)| PlanRow {
        document_kind,
        label,
        level,
        cells: cells.iter().map(|code| PlanCell { preparation: code.contains('P'), validity: code.contains('V') }).collect(),
    });
    let documents = documents.into_iter().map(|row| PlanDocument {
        id: row.document.0,
        in_force: in_force(row.status, row.valid_from, row.valid_to, on),
        readable: readable.contains(&row.document),
        adopted: row.status != Status::InPreparation,
        title: row.title,
        kind: row.kind.id().to_owned(),
        version: row.version,
        adopted_on: row.adopted_on,
        planned_adoption_on: row.planned_adoption_on,
        valid_from: row.valid_from,
        valid_to: row.valid_to,
    });
    Ok(Json(Plan {
        now: signed_in.now,
        on,
        current_cell: plan_cell(plan.term_from, plan.term_to, on),
        term: plan.term,
        term_from: plan.term_from,
        term_to: plan.term_to,
        title: plan.title,
        certainty: plan.certainty,
        rows: rows.collect(),
        documents: documents.collect(),
    }))
}
