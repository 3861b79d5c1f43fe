//! Errors as the caller sees them: `application/problem+json` with a stable `type` and the request id. What went wrong inside
//! goes to the log, once, with the whole chain of causes, and never into the answer (house style §5).

use axum::{
    Json as AxumJson,
    extract::{
        FromRequest, FromRequestParts, Request,
        rejection::{JsonRejection, PathRejection, QueryRejection},
    },
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use samspil_client_protocol::api;
use tower_http::request_id::RequestId;
use uuid::Uuid;

use crate::{domain::signoff::Refused, store};

tokio::task_local! {
    static REQUEST_ID: String;
}

/// Longest request id that is taken over from a proxy in front of us.
const REQUEST_ID_BYTES_MAX: usize = 64;

/// What a handler answers when it does not answer what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: Option<String>,
}

impl Problem {
    const fn new(status: StatusCode, kind: &'static str, title: &'static str) -> Self {
        Self { status, kind, title, detail: None }
    }

    /// 404: it does not exist, or it may not be seen. The two look the same (invariant 9).
    #[must_use]
    pub const fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "/problems/not-found", "Det findes ikke, eller du har ikke adgang til det.")
    }

    /// 401: nobody is signed in, or the sign-in has run out.
    #[must_use]
    pub const fn signed_out() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "/problems/signed-out", "Du er ikke logget ind.")
    }

    /// 403: it can be seen, but this cannot be done with it.
    #[must_use]
    pub const fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "/problems/forbidden", "Det har du ikke ret til.")
    }

    /// 403: the request came from another site's page.
    #[must_use]
    pub const fn foreign_origin() -> Self {
        Self::new(StatusCode::FORBIDDEN, "/problems/foreign-origin", "Forespørgslen kommer fra et andet websted.")
    }

    /// 405: this address exists, but not for this.
    #[must_use]
    pub const fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "/problems/method-not-allowed", "Det kan man ikke gøre her.")
    }

    /// 422: the request does not make sense; `detail` says why, for whoever wrote the client.
    #[must_use]
    pub fn invalid(detail: impl Into<String>) -> Self {
        let invalid = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "/problems/invalid", "Forespørgslen kan ikke forstås.");
        Self { detail: Some(detail.into()), ..invalid }
    }

    /// 413: more bytes than we take.
    #[must_use]
    pub const fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "/problems/too-large", "Det er for stort.")
    }

    /// 409: somebody else was first.
    #[must_use]
    pub const fn conflict() -> Self {
        Self::new(StatusCode::CONFLICT, "/problems/conflict", "En anden nåede det først.")
    }

    /// 429: too often from one address.
    #[must_use]
    pub const fn too_often() -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "/problems/too-often", "Der er kommet for mange på kort tid. Prøv igen om lidt.")
    }

    /// 503: the database or the identity provider does not answer just now. Nothing was lost.
    #[must_use]
    pub const fn unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "/problems/unavailable", "Det kan ikke lade sig gøre lige nu. Prøv igen om lidt.")
    }

    /// 500: our mistake. The log has the rest under the same request id.
    #[must_use]
    pub const fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "/problems/internal", "Der skete en fejl hos os.")
    }

    /// 422: more characters than we take; the limit is said.
    #[must_use]
    pub fn too_long(chars_max: usize) -> Self {
        let too_long = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "/problems/too-long", "Teksten er for lang.");
        too_long.with_detail(format!("Der er plads til {chars_max} tegn."))
    }

    /// 422: something in the words looks like a CPR number, and the writer has not said that it may stand there.
    #[must_use]
    pub fn looks_like_cpr() -> Self {
        let looks =
            Self::new(StatusCode::UNPROCESSABLE_ENTITY, "/problems/looks-like-cpr", "Teksten ser ud til at indeholde et CPR-nummer.");
        looks.with_detail("Fjern det, eller bekræft, at det skal stå der.")
    }

    /// 422: people are named who may not read it; `who` says whom.
    #[must_use]
    pub fn mention_without_access(who: impl Into<String>) -> Self {
        let without =
            Self::new(StatusCode::UNPROCESSABLE_ENTITY, "/problems/mention-without-access", "En af de nævnte kan ikke læse kommentaren.");
        without.with_detail(format!("{} har ikke adgang.", who.into()))
    }

    /// 409: what a thread was to be about does not stand in the text any more.
    #[must_use]
    pub fn anchor_gone(what: &'static str) -> Self {
        Self::new(StatusCode::CONFLICT, "/problems/anchor-gone", what)
    }

    /// 422: no page makes such a selection.
    #[must_use]
    pub const fn anchor_forged() -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "/problems/anchor-forged", "Markeringen kan ikke være lavet i dokumentet.")
    }

    /// 409: the words that others were proposed for are not the same any more.
    #[must_use]
    pub const fn anchor_changed() -> Self {
        Self::new(StatusCode::CONFLICT, "/problems/anchor-changed", "Ordene er ændret, siden forslaget blev skrevet. Intet er sat ind.")
    }

    /// 409: somebody else deals with the proposed words, or has.
    #[must_use]
    pub fn proposal_taken(detail: String) -> Self {
        Self::new(StatusCode::CONFLICT, "/problems/proposal-taken", "En anden nåede det først.").with_detail(detail)
    }

    /// 409: the thread is resolved.
    #[must_use]
    pub fn thread_resolved() -> Self {
        let resolved = Self::new(StatusCode::CONFLICT, "/problems/thread-resolved", "Tråden er markeret som løst.");
        resolved.with_detail("Genåbn den for at svare.")
    }

    /// 409: something must be in place before the text is frozen; `detail` says what, in words.
    #[must_use]
    pub fn not_in_place(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "/problems/not-in-place", "Teksten kan ikke fryses endnu.").with_detail(detail)
    }

    /// 409: the agreement is somewhere else in its life.
    #[must_use]
    pub fn wrong_status(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "/problems/wrong-status", "Det kan ikke gøres med aftalen, som den står nu.").with_detail(detail)
    }

    /// 409: the text went on while it was being frozen.
    #[must_use]
    pub fn text_moved() -> Self {
        let moved = Self::new(StatusCode::CONFLICT, "/problems/text-moved", "Teksten blev ændret, mens den skulle fryses.");
        moved.with_detail("Intet er frosset, og intet er gået tabt. Prøv igen.")
    }

    /// 409: what is shown is not what the log says; nothing was frozen.
    #[must_use]
    pub fn text_differs() -> Self {
        let differs = Self::new(StatusCode::CONFLICT, "/problems/text-differs", "Teksten kunne ikke fryses.");
        differs.with_detail("Det, der vises, er ikke det, der er gemt. Siden hentes på ny. Prøv igen, og giv besked, hvis det sker igen.")
    }

    /// 422: the words given are no reason.
    #[must_use]
    pub fn no_reason(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "/problems/no-reason", "Begrundelsen mangler.").with_detail(detail)
    }

    /// 412: somebody (or oneself in another window) changed it meanwhile.
    #[must_use]
    pub const fn stale() -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "/problems/stale", "Det er ændret, siden du hentede det.")
    }

    /// 428: this change needs `If-Match`.
    #[must_use]
    pub const fn version_required() -> Self {
        Self::new(StatusCode::PRECONDITION_REQUIRED, "/problems/version-required", "Forespørgslen siger ikke, hvilken udgave den ændrer.")
    }

    /// 409: the approval is not taken as things stand.
    #[must_use]
    pub fn not_approved(reason: Refused) -> Self {
        let (kind, title) = match reason {
            Refused::OtherText => {
                ("/problems/other-text", "Teksten på siden er ikke den, der ligger klar til underskrift. Hent siden igen.")
            }
            Refused::AlreadySigned => ("/problems/already-signed", "Der er allerede skrevet under for den side af aftalen."),
            Refused::BothSides => {
                ("/problems/both-sides", "Du har skrevet under for den anden part. Én person kan ikke indgå aftalen med sig selv.")
            }
            Refused::SignedOut => ("/problems/sign-in-again", "Dit login er fra en anden login-tjeneste. Log ud og ind igen."),
            _ => ("/problems/not-frozen", "Aftalen er ikke klar til underskrift."),
        };
        Self::new(StatusCode::CONFLICT, kind, title)
    }

    /// 409: nobody has signed with evidence that is held here.
    #[must_use]
    pub const fn no_evidence() -> Self {
        Self::new(StatusCode::CONFLICT, "/problems/no-evidence", "Der er ingen underskrifter med bevis på denne aftale.")
    }

    /// The same problem with a sentence about what one can do.
    #[must_use]
    pub fn with_detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// Which status it is answered with.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = api::Problem {
            kind: self.kind.to_owned(),
            title: self.title.to_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
            request_id: request_id(),
        };
        let mut response = (self.status, AxumJson(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        tracing::error!(request.id = %request_id(), error = %causes(&error), "the store failed");
        if error.is_outage() { Self::unavailable() } else { Self::internal() }
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE { Self::too_large() } else { Self::invalid(rejection.body_text()) }
    }
}

/// A path that does not parse names nothing that exists.
impl From<PathRejection> for Problem {
    fn from(_: PathRejection) -> Self {
        Self::not_found()
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::invalid(rejection.body_text())
    }
}

/// `axum::Json` for request bodies, refused with a [`Problem`].
#[derive(Clone, Copy, Debug, FromRequest)]
#[from_request(via(axum::Json), rejection(Problem))]
pub struct Json<T>(pub T);

/// `axum::extract::Path`, refused with a [`Problem`].
#[derive(Clone, Copy, Debug, FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub struct Path<T>(pub T);

/// `axum::extract::Query`, refused with a [`Problem`].
#[derive(Clone, Copy, Debug, FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub struct Query<T>(pub T);

/// An error with everything that caused it, in one line for the log.
#[must_use]
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}

/// The id of the request that is being answered, for the log and the answer alike; empty outside of one.
#[must_use]
pub fn request_id() -> String {
    REQUEST_ID.try_with(Clone::clone).unwrap_or_default()
}

/// Middleware that lets [`Problem`] know the request id. Goes inside tower-http's `SetRequestIdLayer`; an id that does not look
/// like one is replaced, so that nobody writes into the log through it.
pub async fn carry_request_id(request: Request, next: Next) -> Response {
    let given = request.extensions().get::<RequestId>().and_then(|id| id.header_value().to_str().ok());
    let id = match given {
        Some(id) if id.len() <= REQUEST_ID_BYTES_MAX && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => id.to_owned(),
        _ => Uuid::new_v4().to_string(),
    };
    REQUEST_ID.scope(id, next.run(request)).await
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, middleware::from_fn, routing::get};
    use tower::ServiceExt;
    use tower_http::request_id::{MakeRequestUuid, SetRequestIdLayer};

    use super::*;

    async fn ask(id: &str) -> (Response, api::Problem) {
        let app = Router::new()
            .route("/", get(async || Problem::not_found()))
            .layer(from_fn(carry_request_id))
            .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid));
        let request = Request::builder().uri("/").header("x-request-id", id).body(Body::empty()).unwrap();
        let (parts, body) = app.oneshot(request).await.unwrap().into_parts();
        let bytes = axum::body::to_bytes(body, 10_000).await.unwrap();
        (Response::from_parts(parts, Body::empty()), serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn a_problem_carries_the_request_id_and_its_own_content_type() {
        let (response, body) = ask("abc-123").await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!((body.request_id.as_str(), body.kind.as_str(), body.status), ("abc-123", "/problems/not-found", 404));
    }

    #[tokio::test]
    async fn an_id_that_would_forge_a_log_line_is_replaced() {
        let (_, body) = ask("x level=error you have been had").await;
        assert!(Uuid::parse_str(&body.request_id).is_ok(), "{}", body.request_id);
    }

    #[tokio::test]
    async fn a_store_error_tells_the_caller_nothing() {
        let problem = Problem::from(store::Error::Unknown { table: "person", what: "role", value: "hemmelig".to_owned() });
        assert_eq!(problem, Problem::internal());
        assert_eq!(Problem::from(store::Error::Database(sqlx::Error::PoolTimedOut)), Problem::unavailable());
    }
}
