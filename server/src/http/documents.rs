//! `/api/documents/{id}`: a document's head, its content, and what stands beside it.

use axum::{Json, extract::State, http::header, response::IntoResponse};
use samspil_client_protocol::api::{Abilities, DocumentView, Meeting, Problem as ProblemBody, Revision, Signature};
use uuid::Uuid;

use super::{
    agreements,
    people::People,
    problem::{Path, Problem},
};
use crate::{
    auth::SignedIn,
    domain::{access::abilities, ids::DocumentId},
    rooms::Rooms,
    store::{Store, documents::DocumentRow},
};

/// The document with what this person may do with it; 404 when it does not exist or may not be seen.
pub(super) async fn readable(store: &Store, id: Uuid, signed_in: &SignedIn) -> Result<(DocumentRow, Abilities), Problem> {
    let document = store.document_access(DocumentId(id)).await?.ok_or_else(Problem::not_found)?;
    let abilities = abilities(&signed_in.principal, &document.access, signed_in.now);
    if abilities.read { Ok((document, abilities)) } else { Err(Problem::not_found()) }
}

/// A document's head.
#[utoipa::path(get, operation_id = "document", path = "/api/documents/{id}", params(("id" = Uuid, Path)), responses(
    (status = OK, body = DocumentView), (status = UNAUTHORIZED, body = ProblemBody), (status = NOT_FOUND, body = ProblemBody)))]
pub(super) async fn head(signed_in: SignedIn, State(store): State<Store>, Path(id): Path<Uuid>) -> Result<Json<DocumentView>, Problem> {
    let (document, abilities) = readable(&store, id, &signed_in).await?;
    Ok(Json(DocumentView {
        id,
        kind: document.access.kind.id().to_owned(),
        title: document.title,
        version: document.version,
        schema: document.schema,
        head: document.head,
        abilities,
        agreement_id: document.agreement_id.map(|agreement| agreement.0),
    }))
}

/// The canonical JSON of the content as it is committed now: the bytes that are hashed, shown and signed. The `ETag` is the place in
/// the log at which they stand.
#[utoipa::path(get, operation_id = "document_content", path = "/api/documents/{id}/content", params(("id" = Uuid, Path)), responses(
    (status = OK, content_type = "application/json", body = serde_json::Value), (status = UNAUTHORIZED, body = ProblemBody),
    (status = NOT_FOUND, body = ProblemBody)))]
pub(super) async fn content(
    signed_in: SignedIn,
    State(store): State<Store>,
    State(rooms): State<Rooms>,
    Path(id): Path<Uuid>,
) -> Result<impl IntoResponse, Problem> {
    let (document, _) = readable(&store, id, &signed_in).await?;
    let committed = rooms.content(document.access.document).await.map_err(|_| Problem::unavailable())?;
    let headers = [(header::CONTENT_TYPE, "application/json".to_owned()), (header::ETAG, format!("\"{}\"", committed.seq))];
    Ok((headers, committed.content))
}

/// The dialogue meetings about the agreement that this document is a version of, by number.
#[utoipa::path(get, operation_id = "document_meetings", path = "/api/documents/{id}/meetings", params(("id" = Uuid, Path)), responses(
    (status = OK, body = Vec<Meeting>), (status = UNAUTHORIZED, body = ProblemBody), (status = NOT_FOUND, body = ProblemBody)))]
pub(super) async fn meetings(signed_in: SignedIn, State(store): State<Store>, Path(id): Path<Uuid>) -> Result<Json<Vec<Meeting>>, Problem> {
    let (document, _) = readable(&store, id, &signed_in).await?;
    let rows = store.meetings(document.agreement_id.as_slice()).await?;
    let people = People::load(&store, agreements::people_of_meetings(&rows)).await?;
    Ok(Json(rows.into_iter().map(|row| agreements::show_meeting(row, document.agreement_id.as_slice(), &people)).collect()))
}

/// The named states of the document, newest first.
#[utoipa::path(get, operation_id = "document_versions", path = "/api/documents/{id}/versions", params(("id" = Uuid, Path)), responses(
    (status = OK, body = Vec<Revision>), (status = UNAUTHORIZED, body = ProblemBody), (status = NOT_FOUND, body = ProblemBody)))]
pub(super) async fn versions(
    signed_in: SignedIn,
    State(store): State<Store>,
    Path(id): Path<Uuid>,
) -> Result<Json<Vec<Revision>>, Problem> {
    let (document, _) = readable(&store, id, &signed_in).await?;
    let rows = store.revisions(document.access.document).await?;
    let people = People::load(&store, rows.iter().filter_map(|row| row.person).collect()).await?;
    let revisions = rows.into_iter().map(|row| Revision {
        number: row.number,
        seq: row.seq,
        content_sha256: row.content_sha256.map(hex::encode),
        label: row.label,
        frozen: row.frozen,
        person: row.person.map(|person| people.show(person)),
        at: row.at,
    });
    Ok(Json(revisions.collect()))
}

/// The signatures on the document, lapsed ones too, oldest first.
#[utoipa::path(get, operation_id = "document_signoffs", path = "/api/documents/{id}/signoffs", params(("id" = Uuid, Path)), responses(
    (status = OK, body = Vec<Signature>), (status = UNAUTHORIZED, body = ProblemBody), (status = NOT_FOUND, body = ProblemBody)))]
pub(super) async fn signoffs(
    signed_in: SignedIn,
    State(store): State<Store>,
    Path(id): Path<Uuid>,
) -> Result<Json<Vec<Signature>>, Problem> {
    let (document, _) = readable(&store, id, &signed_in).await?;
    let rows = store.signatures(&[document.access.document]).await?;
    let people = People::load(&store, rows.iter().map(|row| row.person).collect()).await?;
    Ok(Json(rows.into_iter().map(|row| agreements::show_signature(row, &people)).collect()))
}
