//! `/api/documents/{id}/proposals`: words that could not be placed in the text any more, kept for their writer alone.

use axum::{extract::State, http::StatusCode};
use samspil_client_protocol::api::{NewProposal, Problem as ProblemBody, Proposal, ProposalList};
use uuid::Uuid;

use super::problem::{Json, Path, Problem};
use crate::{
    auth::SignedIn,
    domain::{access::abilities, ids::DocumentId},
    store::{
        Store,
        proposals::{self, ProposalRow},
    },
};

/// A document has tens of places to write in; nobody has unsent words in more than this many.
const PROPOSAL_PIECES_MAX: usize = 100;
/// Words of all pieces together, in bytes. What was typed during a disconnection fits many times over.
const PROPOSAL_TEXT_BYTES_MAX: usize = 64 * 1024;
/// A place is a section key, or a goal's id and a field.
const PROPOSAL_PLACE_BYTES_MAX: usize = 200;
/// So many proposals of one person for one document; a client that keeps in a loop fills no disk.
const PROPOSALS_PER_WRITER_MAX: i64 = 200;

/// My kept proposals for a document, newest first.
#[utoipa::path(get, operation_id = "list_proposals", path = "/api/documents/{id}/proposals", params(("id" = Uuid, Path)), responses(
    (status = OK, body = ProposalList), (status = UNAUTHORIZED, body = ProblemBody), (status = NOT_FOUND, body = ProblemBody)))]
pub(super) async fn list(
    signed_in: SignedIn,
    State(store): State<Store>,
    Path(id): Path<Uuid>,
) -> Result<axum::Json<ProposalList>, Problem> {
    let document = store.document_access(DocumentId(id)).await?.ok_or_else(Problem::not_found)?;
    if !abilities(&signed_in.principal, &document.access, signed_in.now).read {
        return Err(Problem::not_found());
    }
    let rows = store.proposals(DocumentId(id), signed_in.principal.person, PROPOSALS_PER_WRITER_MAX).await?;
    Ok(axum::Json(ProposalList { items: rows.into_iter().map(show).collect() }))
}

/// Keeps words that could not be placed. Whoever may read the document may keep words for it: they were written while they could be.
#[utoipa::path(post, operation_id = "keep_proposal", path = "/api/documents/{id}/proposals", params(("id" = Uuid, Path)), request_body = NewProposal, responses(
    (status = CREATED, body = Proposal), (status = UNAUTHORIZED, body = ProblemBody), (status = NOT_FOUND, body = ProblemBody),
    (status = PAYLOAD_TOO_LARGE, body = ProblemBody), (status = UNPROCESSABLE_ENTITY, body = ProblemBody)))]
pub(super) async fn keep(
    signed_in: SignedIn,
    State(store): State<Store>,
    Path(id): Path<Uuid>,
    Json(new): Json<NewProposal>,
) -> Result<(StatusCode, axum::Json<Proposal>), Problem> {
    let document = store.document_access(DocumentId(id)).await?.ok_or_else(Problem::not_found)?;
    if !abilities(&signed_in.principal, &document.access, signed_in.now).read {
        return Err(Problem::not_found());
    }
    check(&new)?;
    let proposal = ProposalRow { id: Uuid::now_v7(), at: signed_in.now, pieces: new.pieces };
    let mut transaction = store.begin().await?;
    if proposals::count_for_writer(&mut transaction, DocumentId(id), signed_in.principal.person).await? >= PROPOSALS_PER_WRITER_MAX {
        return Err(Problem::conflict().with_detail("Du har gemt så mange forslag til dette dokument, som der er plads til."));
    }
    proposals::insert(&mut transaction, DocumentId(id), signed_in.principal.person, &proposal).await?;
    transaction.commit().await.map_err(crate::store::Error::from)?;
    Ok((StatusCode::CREATED, axum::Json(show(proposal))))
}

/// Is this something that can be kept?
fn check(new: &NewProposal) -> Result<(), Problem> {
    if new.pieces.is_empty() {
        return Err(Problem::invalid("Der er ingen ord at gemme."));
    }
    if new.pieces.len() > PROPOSAL_PIECES_MAX {
        return Err(Problem::too_large().with_detail(format!("Der kan højst gemmes {PROPOSAL_PIECES_MAX} stykker tekst ad gangen.")));
    }
    if new.pieces.iter().map(|piece| piece.text.len()).sum::<usize>() > PROPOSAL_TEXT_BYTES_MAX {
        return Err(Problem::too_large().with_detail("Der kan højst gemmes 64 KiB tekst ad gangen."));
    }
    if new.pieces.iter().any(|piece| piece.place.is_empty() || piece.place.len() > PROPOSAL_PLACE_BYTES_MAX) {
        return Err(Problem::invalid("Et sted i dokumentet mangler eller er for langt."));
    }
    // PostgreSQL keeps every character but this one.
    if new.pieces.iter().any(|piece| piece.text.contains('\0') || piece.place.contains('\0')) {
        return Err(Problem::invalid("Teksten indeholder tegnet U+0000, som ikke kan gemmes."));
    }
    Ok(())
}

fn show(row: ProposalRow) -> Proposal {
    Proposal { id: row.id, at: row.at, pieces: row.pieces }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use samspil_client_protocol::api::ProposalPiece;

    use super::*;

    fn pieces(count: usize, place: &str, text: &str) -> NewProposal {
        let piece = ProposalPiece { place: place.to_owned(), text: text.to_owned() };
        NewProposal { pieces: vec![piece; count] }
    }

    #[test]
    fn what_is_kept_has_limits() {
        let longest = "x".repeat(PROPOSAL_TEXT_BYTES_MAX);
        let (too_large, invalid) = (Err(StatusCode::PAYLOAD_TOO_LARGE), Err(StatusCode::UNPROCESSABLE_ENTITY));
        for (name, proposal, expected) in [
            ("nothing", pieces(0, "rammer", "ord"), invalid),
            ("one piece", pieces(1, "rammer", "ord"), Ok(())),
            ("an emptied place", pieces(1, "rammer", ""), Ok(())),
            ("as many pieces as fit", pieces(PROPOSAL_PIECES_MAX, "rammer", "ord"), Ok(())),
            ("one piece more", pieces(PROPOSAL_PIECES_MAX + 1, "rammer", "ord"), too_large),
            ("as many words as fit", pieces(1, "rammer", &longest), Ok(())),
            ("one letter more", pieces(1, "rammer", &format!("{longest}x")), too_large),
            ("letters count in bytes", pieces(1, "rammer", &"å".repeat(PROPOSAL_TEXT_BYTES_MAX / 2 + 1)), too_large),
            ("all pieces together", pieces(2, "rammer", &longest[..=PROPOSAL_TEXT_BYTES_MAX / 2]), too_large),
            ("no place", pieces(1, "", "ord"), invalid),
            ("a place as long as fits", pieces(1, &"p".repeat(PROPOSAL_PLACE_BYTES_MAX), "ord"), Ok(())),
            ("a longer place", pieces(1, &"p".repeat(PROPOSAL_PLACE_BYTES_MAX + 1), "ord"), invalid),
            ("U+0000 in the words", pieces(1, "rammer", "or\0d"), invalid),
            ("U+0000 in the place", pieces(1, "ram\0mer", "ord"), invalid),
        ] {
            assert_eq!(check(&proposal).map_err(|problem| problem.status()), expected, "{name}");
        }
    }
}
