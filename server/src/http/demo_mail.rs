//! The demo's mail: what would have been sent lies in files of the data directory and is shown at `/demo/mail`. There is no such route in
//! production.

use axum::extract::State;
use axum::response::Response;
use uuid::Uuid;

use super::notices::page;
use super::problem::{Path, Problem};
use crate::domain::notice::escape;
use crate::store::Store;

/// So many are listed.
const LISTED: i64 = 200;

/// Whether mail is shown: in the demo. Cheap to clone.
#[derive(Clone, Copy, Debug, Default)]
pub struct MailShown(pub bool);

/// `GET /demo/mail`: everybody's, newest first.
pub async fn list(State(MailShown(shown)): State<MailShown>, State(store): State<Store>) -> Result<Response, Problem> {
    if !shown {
        return Err(Problem::not_found());
    }
    let mails = store.sent_mails(LISTED).await?;
    let items: Vec<String> = mails
        .iter()
        .map(|mail| {
            format!("<li><a href=\"/demo/mail/{}\">{}</a> til {}</li>", mail.id, escape(&mail.letter.subject), escape(&mail.recipient))
        })
        .collect();
    let list = if items.is_empty() { "<p>Der er ikke sendt mail endnu.</p>".to_owned() } else { format!("<ul>{}</ul>", items.concat()) };
    Ok(page(&format!("<h1>Mail i demoen</h1>{list}")))
}

/// `GET /demo/mail/{id}`: one of them, its addresses as links.
pub async fn read(
    State(MailShown(shown)): State<MailShown>,
    State(store): State<Store>,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    let mails = if shown { store.sent_mails(LISTED).await? } else { Vec::new() };
    let mail = mails.into_iter().find(|mail| mail.id == id).ok_or_else(Problem::not_found)?;
    let words: Vec<String> = mail.letter.plain.split_inclusive([' ', '\n']).map(linked).collect();
    Ok(page(&format!(
        "<p><a href=\"/demo/mail\">Al mail</a></p><h1>{}</h1><p>Til {}</p><p>{}</p>",
        escape(&mail.letter.subject),
        escape(&mail.recipient),
        words.concat().replace('\n', "<br>")
    )))
}

fn linked(word: &str) -> String {
    let address = word.trim_end();
    if address.starts_with("http://") || address.starts_with("https://") {
        format!("<a href=\"{0}\">{0}</a>{1}", escape(address), &word[address.len()..])
    } else {
        escape(word)
    }
}
