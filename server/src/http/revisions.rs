//! `/api/documents/{id}/revisions/{number}`: a text as it was frozen, for a page that brings its words back by an edit like any other, and
//! putting on record that it did.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use chrono::SubsecRound as _;
use samspil_client_protocol::{api::Problem as ProblemBody, message::Event};
use uuid::Uuid;

use super::{
    documents::readable,
    problem::{Path, Problem},
};
use crate::{
    auth::SignedIn,
    content,
    domain::{access::Abilities, ids::DocumentId},
    rooms::Rooms,
    store::{
        self, Store,
        life::{self, Act},
        revisions::RevisionRow,
    },
};

/// What a revision says, as the first update of a document of its own: never to be merged with the text, only to be compared with it.
#[utoipa::path(get, operation_id = "revision", path = "/api/documents/{id}/revisions/{number}",
    params(("id" = Uuid, Path), ("number" = u32, Path)), responses((status = OK, content_type = "application/octet-stream", body = Vec<u8>),
    (status = UNAUTHORIZED, body = ProblemBody), (status = FORBIDDEN, body = ProblemBody), (status = NOT_FOUND, body = ProblemBody)))]
pub(super) async fn one(
    signed_in: SignedIn,
    State(store): State<Store>,
    State(rooms): State<Rooms>,
    Path((id, number)): Path<(Uuid, u32)>,
) -> Result<impl IntoResponse, Problem> {
    let (document, can) = readable(&store, id, &signed_in).await?;
    let (revision, seq) = held(&store, document.access.document, number).await?.ok_or_else(Problem::not_found)?;
    writes_here(can)?;
    let says = rooms.text_at(document.access.document, seq).await?.ok_or_else(Problem::not_found)?;
    let says = says.map_err(|error| {
        tracing::error!(document.id = %id, error = &error as &dyn std::error::Error, "the log does not replay");
        Problem::internal()
    })?;
    if revision.content_sha256 != Some(content::sha256(content::render_content(&says).as_slice()).to_vec()) {
        tracing::error!(document.id = %id, revision = number, "the log does not say what was frozen");
        return Err(Problem::internal());
    }
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], content::build(&says, content::first_client(id))))
}

/// I have brought this revision's words back: they are in the text, as words that I wrote.
#[utoipa::path(post, operation_id = "revision_restored", path = "/api/documents/{id}/revisions/{number}/restored",
    params(("id" = Uuid, Path), ("number" = u32, Path)), responses((status = NO_CONTENT), (status = UNAUTHORIZED, body = ProblemBody),
    (status = FORBIDDEN, body = ProblemBody), (status = NOT_FOUND, body = ProblemBody), (status = CONFLICT, body = ProblemBody)))]
pub(super) async fn restored(
    signed_in: SignedIn,
    State(store): State<Store>,
    State(rooms): State<Rooms>,
    Path((id, number)): Path<(Uuid, u32)>,
) -> Result<StatusCode, Problem> {
    let (document, can) = readable(&store, id, &signed_in).await?;
    let (agreement, document) = (document.agreement_id.ok_or_else(Problem::not_found)?, document.access.document);
    writes_here(can)?;
    if held(&store, document, number).await?.is_none() {
        return Err(Problem::conflict().with_detail("Teksten fra den udgave findes ikke her."));
    }
    let act = Act { agreement, document, by: signed_in.principal.person, at: signed_in.now.trunc_subsecs(6) };
    let mut transaction = store.begin().await?;
    life::restored(&mut transaction, act, number).await?;
    transaction.commit().await.map_err(store::Error::from)?;
    rooms.event(document, Event::AgreementChanged).await;
    Ok(StatusCode::NO_CONTENT)
}

/// A revision whose text is held here, and its place in the log.
async fn held(store: &Store, document: DocumentId, number: u32) -> Result<Option<(RevisionRow, u64)>, Problem> {
    let revision = store.revisions(document).await?.into_iter().find(|revision| revision.number == number);
    Ok(revision.and_then(|revision| revision.seq.map(|seq| (revision, seq))))
}

fn writes_here(can: Abilities) -> Result<(), Problem> {
    if can.edit {
        Ok(())
    } else {
        Err(Problem::forbidden().with_detail("En tidligere tekst kan kun hentes tilbage af den, der kan skrive i teksten nu."))
    }
}
