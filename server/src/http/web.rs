//! The pages: files of the web build, in the binary (read from disk in debug). Any path that is not a file and not ours is a page
//! of the single-page application, and gets its one HTML file together with its content security policy.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::problem::Problem;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../web/build/"]
struct Files;

/// What the pages' policy needs to know, and where the accessibility statement is.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    /// The identity provider's origin: signing out is a form that is answered with a redirect to it.
    pub provider_origin: Option<String>,
    /// The accessibility statement.
    pub was_url: Option<String>,
}

/// First parts of paths that are never pages.
const NOT_PAGES: [&str; 6] = ["api", "auth", "live", "_app", "demo", "metrics"];

/// Answers everything that no route does.
pub async fn fallback(State(pages): State<Pages>, request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return Problem::not_found().into_response();
    }
    if let Some(file) = Files::get(path).filter(|_| path != "index.html") {
        return answer(&request, path, file);
    }
    let first = path.split('/').next().unwrap_or_default();
    // A missing script must not be answered with a page: the browser would try to run it.
    if NOT_PAGES.contains(&first) || path.rsplit('/').next().is_some_and(|name| name.contains('.')) {
        return Problem::not_found().into_response();
    }
    page(&pages)
}

/// `GET /was`: the accessibility statement, which the law wants to find under that name.
pub async fn was(State(pages): State<Pages>) -> Response {
    match pages.was_url {
        Some(url) => Redirect::temporary(&url).into_response(),
        None => Problem::not_found().into_response(),
    }
}

fn answer(request: &Request, path: &str, file: EmbeddedFile) -> Response {
    let etag = format!("\"{}\"", hex::encode(&file.metadata.sha256_hash()[..16]));
    if request.headers().get(header::IF_NONE_MATCH).is_some_and(|seen| seen.as_bytes() == etag.as_bytes()) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    // The build puts a hash of the content into these names: they never change.
    let cache = if path.starts_with("_app/immutable/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let kind = file.metadata.mimetype().to_owned();
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, cache.to_owned()), (header::ETAG, etag)];
    let mut response = (headers, file.data).into_response();
    if path == SERVICE_WORKER {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(SERVICE_WORKER_POLICY));
    }
    response
}

/// A service worker lives by the policy of its own answer, not by the page's: it fetches our files so that they open offline.
const SERVICE_WORKER: &str = "service-worker.js";
const SERVICE_WORKER_POLICY: &str = "default-src 'none'; connect-src 'self'; script-src 'self'; frame-ancestors 'none'";

fn page(pages: &Pages) -> Response {
    let html = Files::get("index.html").map(|file| String::from_utf8_lossy(&file.data).into_owned()).unwrap_or_default();
    let (html, policy) = take_policy(&html);
    let policy = policy_header(&policy, pages.provider_origin.as_deref());
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    (headers, html).into_response()
}

const META: &str = "<meta http-equiv=\"content-security-policy\" content=\"";

/// Takes the build's policy out of the page. It names the hash of the page's one inline script, and as a header it can say more
/// than as a tag: who may frame the page.
fn take_policy(html: &str) -> (String, String) {
    let Some((before, rest)) = html.split_once(META) else { return (html.to_owned(), "default-src 'none'".to_owned()) };
    let Some((policy, rest)) = rest.split_once('"') else { return (html.to_owned(), "default-src 'none'".to_owned()) };
    let after = rest.split_once('>').map_or(rest, |(_, after)| after);
    (format!("{before}{after}"), policy.replace("&#39;", "'").replace("&quot;", "\"").replace("&amp;", "&"))
}

fn policy_header(policy: &str, provider_origin: Option<&str>) -> HeaderValue {
    let provider = provider_origin.unwrap_or_default();
    let policy = policy.replace("form-action 'self'", format!("form-action 'self' {provider}").trim_end());
    HeaderValue::try_from(format!("{policy}; frame-ancestors 'none'")).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// The origin of an address: what a policy names.
pub fn origin_of(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    Some(format!("{}://{}", uri.scheme_str()?, uri.authority()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<head><meta http-equiv=\"content-security-policy\" content=\"default-src 'none'; script-src 'self' \
        'sha256-abc='; form-action 'self'\"><title>x</title></head>";

    #[test]
    fn the_policy_moves_from_the_page_to_the_header() {
        let (html, policy) = take_policy(PAGE);
        assert_eq!(html, "<head><title>x</title></head>");
        assert_eq!(
            policy_header(&policy, Some("https://login.example.dk")).to_str().unwrap(),
            "default-src 'none'; script-src 'self' 'sha256-abc='; form-action 'self' https://login.example.dk; frame-ancestors 'none'"
        );
    }

    #[test]
    fn a_page_without_a_policy_may_do_nothing() {
        let (html, policy) = take_policy("<p>intet</p>");
        assert_eq!(
            (html.as_str(), policy_header(&policy, None).to_str().unwrap()),
            ("<p>intet</p>", "default-src 'none'; frame-ancestors 'none'")
        );
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        assert_eq!(origin_of("http://127.0.0.1:8081/realms/x").as_deref(), Some("http://127.0.0.1:8081"));
    }
}
