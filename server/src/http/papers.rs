//! `GET /api/documents/{id}/pdf`: a document on paper, for whoever may read it.

use std::fmt::Write as _;

use axum::{
    extract::State,
    http::{HeaderName, header},
    response::IntoResponse,
};
use samspil_client_protocol::api::Problem as ProblemBody;
use uuid::Uuid;

use super::{
    documents::readable,
    problem::{Path, Problem, causes, request_id},
};
use crate::{
    auth::SignedIn,
    papers::{Error, Papers},
    store::Store,
};

/// The document as a PDF that is PDF/A-3a and PDF/UA-1: a draft as it stands now, marked as one; a signed agreement always in the same bytes.
#[utoipa::path(get, operation_id = "document_pdf", path = "/api/documents/{id}/pdf", params(("id" = Uuid, Path)), responses(
    (status = OK, content_type = "application/pdf", body = Vec<u8>), (status = UNAUTHORIZED, body = ProblemBody),
    (status = NOT_FOUND, body = ProblemBody)))]
pub(super) async fn pdf(
    signed_in: SignedIn,
    State(store): State<Store>,
    State(papers): State<Papers>,
    Path(id): Path<Uuid>,
) -> Result<impl IntoResponse, Problem> {
    let (document, _) = readable(&store, id, &signed_in).await?;
    let printed = papers.of(&document, signed_in.now).await?;
    let name = format!("{}{}.pdf", document.title, if printed.draft { " (kladde)" } else { "" });
    let headers: [(HeaderName, String); 2] =
        [(header::CONTENT_TYPE, "application/pdf".to_owned()), (header::CONTENT_DISPOSITION, disposition(&name))];
    Ok((headers, printed.pdf))
}

/// RFC 6266: the name in full for whoever reads it, and in plain letters for the rest.
fn disposition(name: &str) -> String {
    let plain = |char: char| if char.is_ascii_alphanumeric() || " .-_()".contains(char) { char } else { '_' };
    let mut full = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_".contains(&byte) {
            full.push(char::from(byte));
        } else {
            let _ = write!(full, "%{byte:02X}");
        }
    }
    format!("attachment; filename=\"{}\"; filename*=UTF-8''{full}", name.chars().map(plain).collect::<String>())
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error.into(),
            Error::Unavailable => Self::unavailable(),
            Error::NotPrinted(_) | Error::Ended => {
                tracing::error!(request.id = %request_id(), error = %causes(&error), "a document could not be printed");
                Self::internal()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_cannot_leave_its_header() {
        assert_eq!(
            disposition("Aftale \"æ\"\r\nX: 1.pdf"),
            "attachment; filename=\"Aftale _____X_ 1.pdf\"; filename*=UTF-8''Aftale%20%22%C3%A6%22%0D%0AX%3A%201.pdf"
        );
    }
}
