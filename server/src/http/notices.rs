//! `/api/notifications`, `/api/notification-settings`, and the address in a mail that ends such mail.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use samspil_client_protocol::api::{Notice, NoticeList, NoticeSetting, NoticeSettings, NoticeWay, NoticesRead, Problem as ProblemBody};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    people::People,
    problem::{Json, Path, Problem, Query},
};
use crate::{
    auth::SignedIn,
    content::sha256,
    domain::{
        access::abilities,
        ids::DocumentId,
        notice::{self, escape},
    },
    store::{self, Store, notices},
};

/// One page of the list.
const PAGE: usize = 30;

/// Which page.
#[derive(Debug, Deserialize)]
pub(super) struct Which {
    /// Those before this one; absent: the newest.
    before: Option<Uuid>,
}

/// What I was told, newest first: what I may see now.
#[utoipa::path(get, operation_id = "notifications", path = "/api/notifications", params(("before" = Option<Uuid>, Query)), responses(
    (status = OK, body = NoticeList), (status = UNAUTHORIZED, body = ProblemBody)))]
pub(super) async fn list(
    signed_in: SignedIn,
    State(store): State<Store>,
    Query(which): Query<Which>,
) -> Result<axum::Json<NoticeList>, Problem> {
    let person = signed_in.principal.person;
    // All that may be new to me is counted, so that the number is right also when something became invisible meanwhile.
    let rows = store.notices(person, None, 1_000).await?;
    let mut documents: Vec<DocumentId> = rows.iter().map(|row| row.document).collect();
    documents.sort_unstable_by_key(|document| document.0);
    documents.dedup();
    let visible: Vec<DocumentId> = store
        .documents_access(&documents)
        .await?
        .into_iter()
        .filter(|row| abilities(&signed_in.principal, &row.access, signed_in.now).comment)
        .map(|row| row.access.document)
        .collect();
    let ways = ways(&store, &signed_in).await?;
    let shown = |kind| !ways.iter().any(|setting| setting.kind == kind && setting.way == NoticeWay::Off);
    let rows: Vec<_> = rows.into_iter().filter(|row| visible.contains(&row.document) && shown(row.kind)).collect();
    let unread = u32::try_from(rows.iter().filter(|row| row.unread).count()).unwrap_or(u32::MAX);
    let page: Vec<_> = rows.into_iter().filter(|row| which.before.is_none_or(|before| row.id < before)).take(PAGE + 1).collect();
    let people = People::load(&store, page.iter().filter_map(|row| row.by).collect()).await?;
    let next = (page.len() > PAGE).then(|| page[PAGE - 1].id);
    let items = page.into_iter().take(PAGE).map(|row| Notice {
        id: row.id,
        kind: row.kind,
        by: row.by.map(|by| people.show(by)),
        title: row.title,
        unit: row.unit,
        quote: row.quote,
        reason: row.reason,
        path: notice::path_of(row.agreement.map(|agreement| agreement.0), row.thread),
        at: row.at,
        unread: row.unread,
    });
    Ok(axum::Json(NoticeList { items: items.collect(), unread, next }))
}

/// I have seen these.
#[utoipa::path(post, operation_id = "notifications_read", path = "/api/notifications/read", request_body = NoticesRead, responses(
    (status = NO_CONTENT), (status = UNAUTHORIZED, body = ProblemBody), (status = UNPROCESSABLE_ENTITY, body = ProblemBody)))]
pub(super) async fn read(
    signed_in: SignedIn,
    State(store): State<Store>,
    Json(read): Json<NoticesRead>,
) -> Result<axum::http::StatusCode, Problem> {
    let mut transaction = store.begin().await?;
    notices::read_up_to(&mut transaction, signed_in.principal.person, read.up_to, signed_in.now).await?;
    transaction.commit().await.map_err(store::Error::from)?;
    Ok(axum::http::StatusCode::NO_CONTENT)
}

/// How I want to hear of each kind of thing.
#[utoipa::path(get, operation_id = "notification_settings", path = "/api/notification-settings", responses(
    (status = OK, body = NoticeSettings), (status = UNAUTHORIZED, body = ProblemBody)))]
pub(super) async fn settings(signed_in: SignedIn, State(store): State<Store>) -> Result<axum::Json<NoticeSettings>, Problem> {
    Ok(axum::Json(NoticeSettings { items: ways(&store, &signed_in).await? }))
}

/// Chooses it.
#[utoipa::path(put, operation_id = "choose_notification_settings", path = "/api/notification-settings", request_body = NoticeSettings, responses(
    (status = OK, body = NoticeSettings), (status = UNAUTHORIZED, body = ProblemBody), (status = UNPROCESSABLE_ENTITY, body = ProblemBody)))]
pub(super) async fn choose(
    signed_in: SignedIn,
    State(store): State<Store>,
    Json(chosen): Json<NoticeSettings>,
) -> Result<axum::Json<NoticeSettings>, Problem> {
    if chosen.items.iter().any(|setting| notice::ALWAYS.contains(&setting.kind)) {
        return Err(Problem::invalid("Anmodninger om underskrift kan ikke slås fra."));
    }
    let mut transaction = store.begin().await?;
    for setting in &chosen.items {
        notices::choose(&mut transaction, signed_in.principal.person, setting.kind, setting.way).await?;
    }
    transaction.commit().await.map_err(store::Error::from)?;
    Ok(axum::Json(NoticeSettings { items: ways(&store, &signed_in).await? }))
}

async fn ways(store: &Store, signed_in: &SignedIn) -> Result<Vec<NoticeSetting>, Problem> {
    let chosen = store.notice_ways(signed_in.principal.person).await?;
    let way = |kind| chosen.iter().find(|(one, _)| *one == kind).map_or_else(|| notice::at_first(kind), |(_, way)| *way);
    Ok(notice::KINDS.into_iter().map(|kind| NoticeSetting { kind, way: way(kind) }).collect())
}

/// `GET /mail/unsubscribe/{secret}`: asks first; a program that only looks at links in mails must end nothing.
pub async fn ask_unsubscribe(State(store): State<Store>, Path(secret): Path<String>) -> Result<Response, Problem> {
    let (_, kinds) = whose(&store, &secret).await?;
    let kinds: Vec<&str> = kinds.into_iter().map(name).collect();
    Ok(page(&format!(
        "<h1>Vil du stoppe mail om dette?</h1><p>Du får ikke længere mail om {}. Du kan stadig se det i Samspil.</p>\
         <form method=\"post\"><button>Stop mail om dette</button></form>",
        escape(&kinds.join(", "))
    )))
}

/// `POST /mail/unsubscribe/{secret}` (RFC 8058): ends such mail, without a sign-in. The secret is in that mail alone.
pub async fn unsubscribe(State(store): State<Store>, Path(secret): Path<String>) -> Result<Response, Problem> {
    let (person, kinds) = whose(&store, &secret).await?;
    let mut transaction = store.begin().await?;
    for kind in kinds {
        notices::choose(&mut transaction, person, kind, NoticeWay::InApp).await?;
    }
    transaction.commit().await.map_err(store::Error::from)?;
    Ok(page("<h1>Du får ikke længere mail om dette</h1><p>Du kan ombestemme dig under <em>Besked om nyt</em> i Samspil.</p>"))
}

async fn whose(store: &Store, secret: &str) -> Result<(crate::domain::ids::PersonId, Vec<notice::NoticeKind>), Problem> {
    let secret = BASE64_URL_SAFE_NO_PAD.decode(secret).map_err(|_| Problem::not_found())?;
    let (person, mut kinds) = store.unsubscribes(sha256(&secret)).await?.ok_or_else(Problem::not_found)?;
    // A mail that also asks for a signature ends the rest alone.
    kinds.retain(|kind| !notice::ALWAYS.contains(kind));
    Ok((person, kinds))
}

fn name(kind: notice::NoticeKind) -> &'static str {
    match kind {
        notice::NoticeKind::Mention => "at nogen nævner dig",
        notice::NoticeKind::Reply => "svar i tråde, du har skrevet i",
        notice::NoticeKind::Comment => "nye kommentarer i dine aftaler",
        notice::NoticeKind::Proposal => "forslag til ny ordlyd",
        notice::NoticeKind::Resolved => "løste kommentarer",
        notice::NoticeKind::ReadyToSign => "aftaler, der er klar til underskrift",
        notice::NoticeKind::Reopened => "aftaler, der tages tilbage til kladde",
    }
}

/// A small page of its own: whoever comes from a mail is not signed in.
pub(super) fn page(body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"da\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>Samspil</title></head><body><main>{body}</main></body></html>"
    );
    let policy = "default-src 'none'; form-action 'self'; frame-ancestors 'none'";
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, policy)], html).into_response()
}
