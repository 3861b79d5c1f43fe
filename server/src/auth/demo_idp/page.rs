//! The demo provider's pages: plain HTML without scripts, in Danish, usable with a keyboard and a screen reader alone.

use std::fmt::{self, Write as _};

use axum::{
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
};

use super::{Authorize, EndSession};
use crate::store::people::DirectoryRow;

/// A page.
pub(super) enum Page<'a> {
    /// Who are you?
    SignIn {
        /// What is asked for.
        request: &'a Authorize,
        /// Everybody.
        people: Vec<DirectoryRow>,
        /// Whom the client expects.
        hinted: Option<DirectoryRow>,
    },
    /// Really?
    SignOut {
        /// What was asked for.
        request: &'a EndSession,
    },
    /// Done, and nowhere to go.
    SignedOut,
    /// It cannot be done.
    Wrong(&'static str),
}

impl Page<'_> {
    /// The database does not answer.
    pub(super) fn unavailable() -> Response {
        Page::Wrong("Databasen svarer ikke lige nu. Prøv igen om lidt.").answer(StatusCode::SERVICE_UNAVAILABLE)
    }

    /// As an answer.
    pub(super) fn answer(&self, status: StatusCode) -> Response {
        let headers = [
            (header::CACHE_CONTROL, "no-store"),
            // Not `no-referrer`: browsers would send `Origin: null` with our own form.
            (header::REFERRER_POLICY, "same-origin"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"),
        ];
        (status, headers, Html(self.to_string())).into_response()
    }

    fn title(&self) -> &'static str {
        match self {
            Self::SignIn { .. } => "Vælg, hvem du logger ind som",
            Self::SignOut { .. } => "Vil du logge ud?",
            Self::SignedOut => "Du er logget ud",
            Self::Wrong(_) => "Det gik ikke",
        }
    }
}

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = self.title();
        write!(
            f,
            "<!doctype html><html lang=\"da\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <title>{title} – demologin</title><link rel=\"stylesheet\" href=\"/style.css\"></head><body><main><p class=\"notice\">Demologin: \
             her er ingen adgangskoder, og alle personer er opdigtede.</p><h1>{title}</h1>"
        )?;
        match self {
            Self::SignIn { request, people, hinted } => sign_in(f, request, people, hinted.as_ref())?,
            Self::SignOut { request } => sign_out(f, request)?,
            Self::SignedOut => f.write_str("<p>Du kan lukke vinduet.</p>")?,
            Self::Wrong(what) => write!(f, "<p>{}</p>", Escaped(what))?,
        }
        f.write_str("</main></body></html>")
    }
}

fn sign_in(f: &mut fmt::Formatter<'_>, request: &Authorize, people: &[DirectoryRow], hinted: Option<&DirectoryRow>) -> fmt::Result {
    let query = as_query(request);
    write!(f, "<form method=\"post\" action=\"/authorize?{}\">", Escaped(&query))?;
    if let Some(person) = hinted {
        write!(f, "<section><h2>Bekræft, at det er dig</h2><ul>{}</ul></section>", Row(person))?;
    }
    // The directory comes unit by unit.
    for unit in people.chunk_by(|one, next| one.unit == next.unit) {
        let name = unit[0].unit.as_deref().unwrap_or("Uden for organisationen");
        write!(f, "<section><h2>{}</h2><ul>", Escaped(name))?;
        for person in unit {
            write!(f, "{}", Row(person))?;
        }
        f.write_str("</ul></section>")?;
    }
    f.write_str("</form>")
}

fn sign_out(f: &mut fmt::Formatter<'_>, request: &EndSession) -> fmt::Result {
    f.write_str("<form method=\"post\" action=\"/end_session\">")?;
    for (name, value) in [("post_logout_redirect_uri", &request.post_logout_redirect_uri), ("state", &request.state)] {
        if let Some(value) = value {
            write!(f, "<input type=\"hidden\" name=\"{name}\" value=\"{}\">", Escaped(value))?;
        }
    }
    f.write_str("<p><button>Log ud</button></p></form>")
}

/// The request again, as a query.
fn as_query(request: &Authorize) -> String {
    let mut query = openidconnect::url::form_urlencoded::Serializer::new(String::new());
    let value = serde_json::to_value(request).unwrap_or_default();
    for (name, value) in value.as_object().into_iter().flatten() {
        match value {
            serde_json::Value::String(text) => _ = query.append_pair(name, text),
            serde_json::Value::Number(number) => _ = query.append_pair(name, &number.to_string()),
            _ => {}
        }
    }
    query.finish()
}

struct Row<'a>(&'a DirectoryRow);

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(person) = self;
        write!(
            f,
            "<li><button name=\"person\" value=\"{}\"><strong>{}</strong> <span>{}</span></button></li>",
            Escaped(&person.slug),
            Escaped(&person.name),
            Escaped(&person.title)
        )
    }
}

/// Text that cannot become markup.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// How the pages look.
pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

const STYLE: &str = "
:root {
  color-scheme: light dark; font: 1.0625rem/1.5 'IBM Plex Sans', 'Segoe UI', system-ui, sans-serif;
  --paper: light-dark(#f7f8f5, #14171a); --text: light-dark(#1b2025, #e7e9e6); --quiet: light-dark(#5d666d, #98a1a8);
  --rule: light-dark(#dcdfd9, #30363c); --edge: light-dark(#7f878b, #7a838b); --ink: light-dark(#2b3f9e, #a8b6ff);
  --wash: light-dark(#e9edf9, #232a44); --warn: light-dark(#824b00, #efb662); --warn-wash: light-dark(#fcf0db, #38290f);
}
body { margin: 0; background: var(--paper); color: var(--text); }
main { max-width: 39rem; margin: 0 auto; padding: 3rem 1rem 5rem; }
.notice { color: var(--warn); background: var(--warn-wash); border-inline-start: 3px solid; padding: .625rem 1rem; margin: 0 0 2.5rem; font-size: .9375rem; }
h1 { font-size: 2.125rem; line-height: 1.18; letter-spacing: -.015em; font-weight: 600; margin: 0 0 2rem; }
h2 { font-size: .9375rem; font-weight: 600; color: var(--quiet); margin: 2rem 0 .25rem; }
ul { list-style: none; margin: 0; padding: 0; border-top: 1px solid var(--rule); }
li { border-bottom: 1px solid var(--rule); }
button { font: inherit; color: var(--text); background: none; border: 1px solid var(--edge); border-radius: 3px; padding: .5rem 1rem; cursor: pointer; }
li button { width: 100%; text-align: start; display: flex; flex-wrap: wrap; gap: 0 1rem; justify-content: space-between; border: 0; padding: .625rem .5rem; border-radius: 0; }
li span { color: var(--quiet); }
li strong { font-weight: 600; }
button:hover { background: var(--wash); color: var(--ink); }
button:focus-visible { outline: 3px solid var(--ink); outline-offset: 2px; }
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_become_markup() {
        assert_eq!(Escaped("<b title='x'>\"&").to_string(), "&lt;b title=&#39;x&#39;&gt;&quot;&amp;");
    }
}
