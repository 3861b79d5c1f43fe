//! `/api/documents/{id}/journal`: how a signed agreement's way to the records system stands, and trying it again.

use axum::{Json, extract::State, http::StatusCode};
use samspil_client_protocol::api::{Delivery, Problem as ProblemBody};
use uuid::Uuid;

use super::{
    documents::readable,
    problem::{Path, Problem},
};
use crate::{
    auth::SignedIn,
    domain::{access::danish_day, principal::Role},
    journal::FOLDER,
    store::Store,
};

/// What of the outside world there is for signed agreements.
#[derive(Clone, Copy, Debug)]
pub struct Outside {
    /// A folder from which the records system takes them.
    pub folder: bool,
    /// Authorities that are asked for time stamps.
    pub stamps: bool,
}

/// How the delivery stands; nothing where none is to be made.
#[utoipa::path(get, operation_id = "delivery", path = "/api/documents/{id}/journal", params(("id" = Uuid, Path)), responses(
    (status = OK, body = Option<Delivery>), (status = UNAUTHORIZED, body = ProblemBody), (status = NOT_FOUND, body = ProblemBody)))]
pub(super) async fn delivery(
    signed_in: SignedIn,
    State(store): State<Store>,
    State(outside): State<Outside>,
    Path(id): Path<Uuid>,
) -> Result<Json<Option<Delivery>>, Problem> {
    let (document, _) = readable(&store, id, &signed_in).await?;
    let may = may_retry(&signed_in);
    let delivery = store.delivery(document.access.document).await?.map(|row| Delivery {
        may_retry: may && outside.folder && row.status != "delivered",
        status: row.status,
        case_number: row.case_number,
        delivered_at: row.delivered_at,
        attempts: row.attempts,
        error: row.last_error.filter(|_| may),
    });
    Ok(Json(delivery))
}

/// Tries it again at once.
#[utoipa::path(post, operation_id = "deliver_again", path = "/api/documents/{id}/journal/again", params(("id" = Uuid, Path)), responses(
    (status = NO_CONTENT), (status = UNAUTHORIZED, body = ProblemBody), (status = FORBIDDEN, body = ProblemBody),
    (status = NOT_FOUND, body = ProblemBody), (status = CONFLICT, body = ProblemBody)))]
pub(super) async fn again(
    signed_in: SignedIn,
    State(store): State<Store>,
    State(outside): State<Outside>,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    let (document, _) = readable(&store, id, &signed_in).await?;
    if !may_retry(&signed_in) {
        return Err(Problem::forbidden());
    }
    let queued = outside.folder && store.deliver_again(document.access.document, FOLDER).await?;
    if queued { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::conflict()) }
}

/// Whoever looks after the records.
fn may_retry(signed_in: &SignedIn) -> bool {
    let day = danish_day(signed_in.now);
    [Role::Secretariat, Role::RecordsOfficer, Role::Admin].into_iter().any(|role| signed_in.principal.is(role, day))
}
