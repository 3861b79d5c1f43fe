//! What every request passes before it reaches a route, and every answer on its way out.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::origin::same_origin;
use super::problem::Problem;

/// An unsafe request that comes from no page: the identity provider's, which proves itself by its signature.
const FROM_THE_PROVIDER: &str = "/auth/backchannel-logout";
/// And the one that a mail program makes (RFC 8058), which proves itself by the secret of that mail.
const FROM_A_MAIL: &str = crate::mail::UNSUBSCRIBE;

/// The address people write in the browser: scheme, host and port, exactly as a browser writes an origin. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OwnOrigin(pub Arc<str>);

/// Middleware: a request that may change something is believed only from our own pages.
pub async fn only_our_pages(State(own): State<OwnOrigin>, request: Request, next: Next) -> Response {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let path = request.uri().path();
    if safe || path == FROM_THE_PROVIDER || path.starts_with(FROM_A_MAIL) || same_origin(request.headers(), &own.0) {
        next.run(request).await
    } else {
        Problem::foreign_origin().into_response()
    }
}

/// How long a request may take before it is answered without its result. A socket's upgrade is answered at once and lives on.
#[derive(Clone, Copy, Debug)]
pub struct Patience(pub Duration);

/// Middleware: nobody waits for ever.
pub async fn in_time(State(patience): State<Patience>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(patience.0, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::unavailable().into_response(),
    }
}

/// Middleware: what every answer says to the browser, unless its route has said something else.
pub async fn careful_headers(State(own): State<OwnOrigin>, request: Request, next: Next) -> Response {
    let is_api = request.uri().path().starts_with("/api/") || request.uri().path().starts_with("/auth/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut say = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    say(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
    say(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    say(header::X_FRAME_OPTIONS, "DENY");
    say(header::REFERRER_POLICY, "same-origin");
    say(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    say(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    say(HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()");
    if is_api {
        say(header::CACHE_CONTROL, "no-store");
    }
    if own.0.starts_with("https://") {
        say(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    response
}

/// What a caller sees when a handler panics; the log has the rest.
pub fn panicked(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    Problem::internal().into_response()
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, http::StatusCode, middleware::from_fn_with_state, routing::get};
    use tokio::time::Instant;
    use tower::ServiceExt as _;

    use super::*;

    /// What is answered to a request that takes so long, and after how long.
    async fn asked(takes_ms: u64) -> (StatusCode, Duration) {
        let slow = get(move || async move {
            tokio::time::sleep(Duration::from_millis(takes_ms)).await;
        });
        let app = Router::new().route("/", slow).layer(from_fn_with_state(Patience(Duration::from_secs(30)), in_time));
        let began = Instant::now();
        let answer = app.oneshot(Request::new(Body::empty())).await.unwrap();
        (answer.status(), began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn l14_request_ms_max() {
        assert_eq!(asked(29_999).await, (StatusCode::OK, Duration::from_millis(29_999)));
        assert_eq!(asked(30_000).await.1, Duration::from_secs(30), "whichever comes first");
        assert_eq!(asked(30_001).await, (StatusCode::SERVICE_UNAVAILABLE, Duration::from_secs(30)));
    }
}
