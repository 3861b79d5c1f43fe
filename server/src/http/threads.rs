//! `/api/documents/{id}/threads`, `/api/threads/{id}` and `/api/comments/{id}`: comments beside a text.

use std::{collections::HashSet, sync::Arc};

use axum::{
    Json as Answer,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use chrono::{DateTime, Utc};
use samspil_client_protocol::{
    api::{
        self, Abilities, AboutKind, AboutShown, Anchor, Comment, CommentEdit, ForMeeting, Mentionable, NewComment, NewThread,
        Problem as ProblemBody, ProposedWording, Thread, ThreadAbilities, ThreadState, ThreadsRead, WordingOutcome, WordingReport,
        WordingState,
    },
    message::Event,
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    documents::readable,
    people::{self, People},
    problem::{Json, Path, Problem, Query},
};
use crate::{
    auth::SignedIn,
    config::Limits,
    domain::{
        access::{DocumentAccess, abilities},
        comments::{self, About, Telling, Wording, reads_threads, resolves, told_of, wording_now},
        ids::PersonId,
        principal::Principal,
    },
    rooms::{
        Placed, Rooms,
        anchors::{NotPlaced, Selection},
    },
    store::{
        self, Store, Transaction, anchors,
        comments::{self as rows, CommentRow, Happened, LockedThread, ThreadRow, Told},
        documents::DocumentRow,
    },
};

/// At most so many people are offered at a time.
const MENTIONABLE_MAX: usize = 20;
/// So many names are looked through at a time for those.
const NAMES_AT_A_TIME: usize = 200;

/// The comment threads beside the text, resolved ones too, by number: for those who may comment and for the executive board. Who only
/// reads (the council, an auditor) reads what was agreed, not how it was talked over.
#[utoipa::path(get, operation_id = "document_threads", path = "/api/documents/{id}/threads", params(("id" = Uuid, Path)), responses(
    (status = OK, body = Vec<Thread>), (status = UNAUTHORIZED, body = ProblemBody), (status = NOT_FOUND, body = ProblemBody)))]
pub(super) async fn list(signed_in: SignedIn, State(store): State<Store>, Path(id): Path<Uuid>) -> Result<Answer<Vec<Thread>>, Problem> {
    let (document, can) = readable(&store, id, &signed_in).await?;
    if !reads_threads(&signed_in.principal, can, signed_in.now) {
        return Err(Problem::not_found());
    }
    let rows = store.threads(&[document.access.document], signed_in.principal.person).await?;
    let people = People::load(&store, rows.iter().flat_map(named).collect()).await?;
    let reader = Reader { person: signed_in.principal.person, can, now: signed_in.now };
    Ok(Answer(rows.into_iter().map(|row| reader.show(row, &people)).collect()))
}

/// Begins a thread. Sent again under the same id, it is the same thread.
#[utoipa::path(post, operation_id = "begin_thread", path = "/api/documents/{id}/threads", params(("id" = Uuid, Path)), request_body = NewThread,
    responses((status = CREATED, body = Thread), (status = UNAUTHORIZED, body = ProblemBody), (status = FORBIDDEN, body = ProblemBody),
    (status = NOT_FOUND, body = ProblemBody), (status = CONFLICT, body = ProblemBody), (status = UNPROCESSABLE_ENTITY, body = ProblemBody)))]
pub(super) async fn begin(
    signed_in: SignedIn,
    State(store): State<Store>,
    State(rooms): State<Rooms>,
    State(limits): State<Arc<Limits>>,
    Path(id): Path<Uuid>,
    Json(new): Json<NewThread>,
) -> Result<(StatusCode, Answer<Thread>), Problem> {
    let (document, can) = readable(&store, id, &signed_in).await?;
    comments_here(can)?;
    let desk = Desk { store, rooms, limits, signed_in, document, can };
    if desk.store.document_of_thread(new.id).await?.is_some() {
        return desk.sent_again(new.id).await;
    }
    let body = desk.body(&new.body, new.confirmed_personal_data)?;
    let proposal = new.proposal.as_deref().map(|words| desk.proposed(words, new.confirmed_personal_data)).transpose()?;
    let mentions = desk.mentions(&new.mentions).await?;
    let place = desk.place(new.id, &new.about, proposal.as_deref()).await?;
    if proposal.is_some() && !place.quote.as_ref().is_some_and(|quote| quote.whole) {
        return Err(Problem::invalid("Andre ord kan kun foreslås i stedet for en markering, der ikke er for lang."));
    }
    let mut transaction = desk.store.begin().await?;
    let at_most = i64::try_from(desk.limits.document_threads_max).unwrap_or(i64::MAX);
    if rows::count_threads(&mut transaction, desk.document.access.document).await? >= at_most {
        return Err(Problem::conflict().with_detail("Der er ikke plads til flere kommentartråde ved dette dokument."));
    }
    let thread = rows::NewThread {
        id: new.id,
        document: desk.document.access.document,
        about: place.about,
        section_key: place.section_key.as_deref(),
        goal: place.goal,
        quote: place.quote.as_ref().map(|quote| &quote.shown[..]),
        anchor: place.placed.as_ref().map(|placed| (&placed.anchor, placed.seq)),
        for_meeting: new.for_meeting,
        proposal: proposal.as_deref(),
        by: desk.me(),
        at: desk.signed_in.now,
    };
    match rows::begin_thread(&mut transaction, &thread).await {
        // The same was sent twice at once.
        Err(error) if error.constraint() == Some("thread_pkey") => {
            drop(transaction);
            return desk.sent_again(new.id).await;
        }
        begun => begun?,
    }
    let comment = Uuid::now_v7();
    desk.say(&mut transaction, new.id, comment, &body, &mentions).await?;
    desk.tell(&mut transaction, new.id, comment, told_of(desk.me(), &mentions, &[], &desk.parties(), proposal.is_some())).await?;
    transaction.commit().await.map_err(store::Error::from)?;
    if let Some(placed) = &place.placed {
        desk.catch_up(new.id, placed).await?;
    }
    Ok((StatusCode::CREATED, desk.changed(new.id).await?))
}

/// Replies. Sent again under the same id, it is the same comment.
#[utoipa::path(post, operation_id = "reply", path = "/api/threads/{id}/comments", params(("id" = Uuid, Path)), request_body = NewComment,
    responses((status = CREATED, body = Thread), (status = UNAUTHORIZED, body = ProblemBody), (status = FORBIDDEN, body = ProblemBody),
    (status = NOT_FOUND, body = ProblemBody), (status = CONFLICT, body = ProblemBody), (status = UNPROCESSABLE_ENTITY, body = ProblemBody)))]
pub(super) async fn reply(
    signed_in: SignedIn,
    State(store): State<Store>,
    State(rooms): State<Rooms>,
    State(limits): State<Arc<Limits>>,
    Path(id): Path<Uuid>,
    Json(new): Json<NewComment>,
) -> Result<(StatusCode, Answer<Thread>), Problem> {
    let desk = Desk::at(store, rooms, limits, signed_in, id).await?;
    if let Some(thread) = desk.store.thread_of_comment(new.id).await? {
        return if thread == id { desk.sent_again(id).await } else { Err(Problem::conflict()) };
    }
    let body = desk.body(&new.body, new.confirmed_personal_data)?;
    let mentions = desk.mentions(&new.mentions).await?;
    let mut transaction = desk.store.begin().await?;
    let thread = desk.lock(&mut transaction, id).await?;
    if !thread.open && !new.reopen {
        return Err(Problem::thread_resolved());
    }
    rows::reopen(&mut transaction, id).await?;
    match desk.say(&mut transaction, id, new.id, &body, &mentions).await {
        Err(Said::Before) => {
            drop(transaction);
            return desk.sent_again(id).await;
        }
        Err(Said::Refused(problem)) => return Err(problem),
        Ok(()) => {}
    }
    desk.tell(&mut transaction, id, new.id, told_of(desk.me(), &mentions, &thread.writers, &desk.parties(), false)).await?;
    transaction.commit().await.map_err(store::Error::from)?;
    Ok((StatusCode::CREATED, desk.changed(id).await?))
}

/// Rewords a comment of one's own. `If-Match` names the version that the page has.
#[utoipa::path(patch, operation_id = "reword_comment", path = "/api/comments/{id}", params(("id" = Uuid, Path), ("If-Match" = String, Header)),
    request_body = CommentEdit, responses((status = OK, body = Thread), (status = UNAUTHORIZED, body = ProblemBody),
    (status = FORBIDDEN, body = ProblemBody), (status = NOT_FOUND, body = ProblemBody), (status = CONFLICT, body = ProblemBody),
    (status = PRECONDITION_FAILED, body = ProblemBody), (status = UNPROCESSABLE_ENTITY, body = ProblemBody),
    (status = PRECONDITION_REQUIRED, body = ProblemBody)))]
pub(super) async fn reword(
    signed_in: SignedIn,
    State(store): State<Store>,
    State(rooms): State<Rooms>,
    State(limits): State<Arc<Limits>>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    Json(edit): Json<CommentEdit>,
) -> Result<Answer<Thread>, Problem> {
    let thread = store.thread_of_comment(id).await?.ok_or_else(Problem::not_found)?;
    let desk = Desk::at(store, rooms, limits, signed_in, thread).await?;
    let version = version_held(&headers)?;
    let body = desk.body(&edit.body, edit.confirmed_personal_data)?;
    let mentions = desk.mentions(&edit.mentions).await?;
    let mut transaction = desk.store.begin().await?;
    desk.lock(&mut transaction, thread).await?;
    let comment = desk.lock_own(&mut transaction, id).await?;
    if comment.deleted {
        return Err(Problem::conflict().with_detail("Kommentaren er slettet."));
    }
    if comment.version != version {
        return Err(Problem::stale());
    }
    rows::reword(&mut transaction, id, &body, &mentions, desk.signed_in.now).await?;
    transaction.commit().await.map_err(store::Error::from)?;
    desk.changed(thread).await
}

/// Deletes a comment of one's own: its words are gone for everybody, that there was one stays. A thread in which nothing is said any
/// more disappears, and the answer is 204.
#[utoipa::path(delete, operation_id = "delete_comment", path = "/api/comments/{id}", params(("id" = Uuid, Path)), responses(
    (status = OK, body = Thread), (status = NO_CONTENT), (status = UNAUTHORIZED, body = ProblemBody), (status = FORBIDDEN, body = ProblemBody),
    (status = NOT_FOUND, body = ProblemBody)))]
pub(super) async fn delete(
    signed_in: SignedIn,
    State(store): State<Store>,
    State(rooms): State<Rooms>,
    State(limits): State<Arc<Limits>>,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    let thread = store.thread_of_comment(id).await?.ok_or_else(Problem::not_found)?;
    let desk = Desk::at(store, rooms, limits, signed_in, thread).await?;
    let mut transaction = desk.store.begin().await?;
    desk.lock(&mut transaction, thread).await?;
    if !desk.lock_own(&mut transaction, id).await?.deleted {
        rows::delete(&mut transaction, id, desk.signed_in.now).await?;
    }
    transaction.commit().await.map_err(store::Error::from)?;
    desk.announce(thread).await;
    match desk.show(thread).await? {
        Some(shown) => Ok(Answer(shown).into_response()),
        None => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}

/// Resolves a thread. Whoever comes second is told who was first.
#[utoipa::path(post, operation_id = "resolve_thread", path = "/api/threads/{id}/resolve", params(("id" = Uuid, Path)), responses(
    (status = OK, body = Thread), (status = UNAUTHORIZED, body = ProblemBody), (status = FORBIDDEN, body = ProblemBody),
    (status = NOT_FOUND, body = ProblemBody)))]
pub(super) async fn resolve(
    signed_in: SignedIn,
    State(store): State<Store>,
    State(rooms): State<Rooms>,
    State(limits): State<Arc<Limits>>,
    Path(id): Path<Uuid>,
) -> Result<Answer<Thread>, Problem> {
    let desk = Desk::at(store, rooms, limits, signed_in, id).await?;
    let mut transaction = desk.store.begin().await?;
    let thread = desk.lock(&mut transaction, id).await?;
    if !resolves(desk.me(), desk.can, thread.created_by) {
        return Err(Problem::forbidden().with_detail("Kun aftalens parter og den, der begyndte tråden, kan markere den som løst."));
    }
    if thread.open {
        rows::resolve(&mut transaction, id, desk.me(), desk.signed_in.now).await?;
        let told = thread.writers.iter().filter(|person| **person != desk.me()).map(|person| (*person, Telling::Resolved));
        desk.tell(&mut transaction, id, None, told.collect()).await?;
    }
    transaction.commit().await.map_err(store::Error::from)?;
    desk.changed(id).await
}

/// Opens a resolved thread again; an open one stays open.
#[utoipa::path(post, operation_id = "reopen_thread", path = "/api/threads/{id}/reopen", params(("id" = Uuid, Path)), responses(
    (status = OK, body = Thread), (status = UNAUTHORIZED, body = ProblemBody), (status = FORBIDDEN, body = ProblemBody),
    (status = NOT_FOUND, body = ProblemBody)))]
pub(super) async fn reopen(
    signed_in: SignedIn,
    State(store): State<Store>,
    State(rooms): State<Rooms>,
    State(limits): State<Arc<Limits>>,
    Path(id): Path<Uuid>,
) -> Result<Answer<Thread>, Problem> {
    let desk = Desk::at(store, rooms, limits, signed_in, id).await?;
    let mut transaction = desk.store.begin().await?;
    desk.lock(&mut transaction, id).await?;
    rows::reopen(&mut transaction, id).await?;
    transaction.commit().await.map_err(store::Error::from)?;
    desk.changed(id).await
}

/// *Tag op på mødet*, or not after all.
#[utoipa::path(post, operation_id = "take_thread_up", path = "/api/threads/{id}/for-meeting", params(("id" = Uuid, Path)),
    request_body = ForMeeting, responses((status = OK, body = Thread), (status = UNAUTHORIZED, body = ProblemBody),
    (status = FORBIDDEN, body = ProblemBody), (status = NOT_FOUND, body = ProblemBody), (status = UNPROCESSABLE_ENTITY, body = ProblemBody)))]
pub(super) async fn for_meeting(
    signed_in: SignedIn,
    State(store): State<Store>,
    State(rooms): State<Rooms>,
    State(limits): State<Arc<Limits>>,
    Path(id): Path<Uuid>,
    Json(wanted): Json<ForMeeting>,
) -> Result<Answer<Thread>, Problem> {
    let desk = Desk::at(store, rooms, limits, signed_in, id).await?;
    let mut transaction = desk.store.begin().await?;
    desk.lock(&mut transaction, id).await?;
    rows::take_up(&mut transaction, id, wanted.on).await?;
    transaction.commit().await.map_err(store::Error::from)?;
    desk.changed(id).await
}

/// An editor is about to insert the proposed words: one at a time, and only while the words they replace still stand. The page then
/// inserts them by an edit of its own and reports it; without a report the claim lapses.
#[utoipa::path(post, operation_id = "claim_wording", path = "/api/threads/{id}/proposal/claim", params(("id" = Uuid, Path)), responses(
    (status = OK, body = Thread), (status = UNAUTHORIZED, body = ProblemBody), (status = FORBIDDEN, body = ProblemBody),
    (status = NOT_FOUND, body = ProblemBody), (status = CONFLICT, body = ProblemBody)))]
pub(super) async fn claim(
    signed_in: SignedIn,
    State(store): State<Store>,
    State(rooms): State<Rooms>,
    State(limits): State<Arc<Limits>>,
    Path(id): Path<Uuid>,
) -> Result<Answer<Thread>, Problem> {
    let desk = Desk::at(store, rooms, limits, signed_in, id).await?;
    edits_here(desk.can)?;
    let standing = desk.rooms.standing(desk.document.access.document, id).await.map_err(|_| Problem::unavailable())?;
    let mut transaction = desk.store.begin().await?;
    let thread = desk.lock(&mut transaction, id).await?;
    let (state, by) = desk.wording(&thread)?;
    match state {
        Wording::Open => {}
        Wording::Claimed if by == Some(desk.me()) => {}
        Wording::Claimed | Wording::Inserted | Wording::Declined => return Err(desk.wording_taken(state, by).await?),
    }
    if standing.words.is_none() || standing.words != thread.quote {
        return Err(Problem::anchor_changed());
    }
    rows::set_wording(&mut transaction, id, Wording::Claimed, desk.me(), desk.signed_in.now, None).await?;
    transaction.commit().await.map_err(store::Error::from)?;
    desk.changed(id).await
}

/// What became of proposed words: inserted, by the one who has claimed them; or declined.
#[utoipa::path(post, operation_id = "report_wording", path = "/api/threads/{id}/proposal", params(("id" = Uuid, Path)),
    request_body = WordingReport, responses((status = OK, body = Thread), (status = UNAUTHORIZED, body = ProblemBody),
    (status = FORBIDDEN, body = ProblemBody), (status = NOT_FOUND, body = ProblemBody), (status = CONFLICT, body = ProblemBody),
    (status = UNPROCESSABLE_ENTITY, body = ProblemBody)))]
pub(super) async fn report_wording(
    signed_in: SignedIn,
    State(store): State<Store>,
    State(rooms): State<Rooms>,
    State(limits): State<Arc<Limits>>,
    Path(id): Path<Uuid>,
    Json(report): Json<WordingReport>,
) -> Result<Answer<Thread>, Problem> {
    let desk = Desk::at(store, rooms, limits, signed_in, id).await?;
    edits_here(desk.can)?;
    let mut transaction = desk.store.begin().await?;
    let thread = desk.lock(&mut transaction, id).await?;
    let (state, by) = desk.wording(&thread)?;
    let mine = by == Some(desk.me());
    // A claim that lapsed and that nobody else took is still good for a report: the words may stand in the text.
    let claimed = thread.proposal.as_ref().is_some_and(|proposal| proposal.state == Wording::Claimed) && mine;
    let outcome = match report.outcome {
        WordingOutcome::Inserted => Wording::Inserted,
        WordingOutcome::Declined => Wording::Declined,
    };
    if state == outcome && mine {
        // Sent again.
    } else if claimed || (outcome == Wording::Declined && state == Wording::Open) {
        rows::set_wording(&mut transaction, id, outcome, desk.me(), desk.signed_in.now, report.seq).await?;
        let told = if thread.created_by == desk.me() { vec![] } else { vec![(thread.created_by, Telling::Proposal)] };
        desk.tell(&mut transaction, id, None, told).await?;
    } else if state == Wording::Open {
        return Err(Problem::conflict().with_detail("Tag forslaget, før du indsætter det."));
    } else {
        return Err(desk.wording_taken(state, by).await?);
    }
    transaction.commit().await.map_err(store::Error::from)?;
    desk.changed(id).await
}

/// What is looked for among the people who may be named.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Named {
    /// How a word of the name begins.
    #[serde(default)]
    q: String,
}

/// People who may be named in a comment here: those who may read it.
#[utoipa::path(get, operation_id = "mentionable", path = "/api/documents/{id}/mentionable", params(("id" = Uuid, Path),
    ("q" = Option<String>, Query, description = "How a word of the name begins")), responses((status = OK, body = Mentionable),
    (status = UNAUTHORIZED, body = ProblemBody), (status = FORBIDDEN, body = ProblemBody), (status = NOT_FOUND, body = ProblemBody)))]
pub(super) async fn mentionable(
    signed_in: SignedIn,
    State(store): State<Store>,
    Path(id): Path<Uuid>,
    Query(named): Query<Named>,
) -> Result<Answer<Mentionable>, Problem> {
    let (document, can) = readable(&store, id, &signed_in).await?;
    comments_here(can)?;
    let begins: String = named.q.trim().chars().filter(|character| *character != '\0').take(100).collect();
    let mut items = Vec::new();
    let mut after: Option<(String, PersonId)> = None;
    while items.len() < MENTIONABLE_MAX {
        let from = after.as_ref().map(|(name, id)| (&name[..], *id));
        let found = store.people_named(&begins, from, NAMES_AT_A_TIME).await?;
        let ids: Vec<PersonId> = found.iter().map(|row| PersonId(row.id)).collect();
        let readers = readers(&store, &document.access, &ids, signed_in.now).await?;
        let others = found.iter().filter(|row| row.id != signed_in.principal.person.0 && readers.contains(&PersonId(row.id)));
        items.extend(others.map(people::show).take(MENTIONABLE_MAX - items.len()));
        match found.last() {
            Some(last) if found.len() == NAMES_AT_A_TIME => after = Some((last.display_name.clone(), PersonId(last.id))),
            _ => break,
        }
    }
    Ok(Answer(Mentionable { items }))
}

/// I have read these threads up to these comments.
#[utoipa::path(post, operation_id = "threads_read", path = "/api/documents/{id}/threads/read", params(("id" = Uuid, Path)),
    request_body = ThreadsRead, responses((status = NO_CONTENT), (status = UNAUTHORIZED, body = ProblemBody),
    (status = NOT_FOUND, body = ProblemBody), (status = UNPROCESSABLE_ENTITY, body = ProblemBody)))]
pub(super) async fn read(
    signed_in: SignedIn,
    State(store): State<Store>,
    Path(id): Path<Uuid>,
    Json(seen): Json<ThreadsRead>,
) -> Result<StatusCode, Problem> {
    let (document, can) = readable(&store, id, &signed_in).await?;
    if !reads_threads(&signed_in.principal, can, signed_in.now) {
        return Err(Problem::not_found());
    }
    let here = store.thread_ids(document.access.document).await?;
    let read: Vec<(Uuid, i32)> = seen
        .up_to
        .into_iter()
        .filter(|(thread, _)| here.contains(thread))
        .map(|(thread, number)| (thread, i32::try_from(number).unwrap_or(i32::MAX)))
        .collect();
    let mut transaction = store.begin().await?;
    rows::read_up_to(&mut transaction, signed_in.principal.person, &read).await?;
    transaction.commit().await.map_err(store::Error::from)?;
    Ok(StatusCode::NO_CONTENT)
}

/// May this person comment here? They can see the document: the refusal says why.
fn comments_here(can: Abilities) -> Result<(), Problem> {
    if can.comment { Ok(()) } else { Err(Problem::forbidden().with_detail("Du kan læse dokumentet, men ikke kommentere det.")) }
}

fn edits_here(can: Abilities) -> Result<(), Problem> {
    if can.edit {
        Ok(())
    } else {
        Err(Problem::forbidden().with_detail("Kun den, der kan skrive i teksten, kan indsætte eller afvise et forslag."))
    }
}

/// The version that `If-Match` names.
fn version_held(headers: &HeaderMap) -> Result<u32, Problem> {
    let held = headers.get(header::IF_MATCH).and_then(|held| held.to_str().ok()).ok_or_else(Problem::version_required)?;
    held.trim().trim_matches('"').parse().map_err(|_| Problem::stale())
}

/// Those of these people who may read the threads beside a document, as the organisation has placed them.
async fn readers(store: &Store, document: &DocumentAccess, people: &[PersonId], now: DateTime<Utc>) -> store::Result<HashSet<PersonId>> {
    let placements = store.placements_of(people).await?;
    let reads = |principal: &Principal| reads_threads(principal, abilities(principal, document, now), now);
    let principals = placements.into_iter().map(|(person, placements)| Principal::as_placed(person, placements));
    Ok(principals.filter(reads).map(|principal| principal.person).collect())
}

/// Why a comment was not written.
enum Said {
    /// It is there already.
    Before,
    /// It may not be.
    Refused(Problem),
}

impl From<store::Error> for Said {
    fn from(error: store::Error) -> Self {
        if error.constraint() == Some("comment_pkey") { Said::Before } else { Said::Refused(error.into()) }
    }
}

impl From<Said> for Problem {
    fn from(said: Said) -> Self {
        match said {
            Said::Before => Problem::conflict(),
            Said::Refused(problem) => problem,
        }
    }
}

/// What a new thread is about, found in the document.
struct Place {
    about: About,
    section_key: Option<String>,
    goal: Option<Uuid>,
    quote: Option<Quote>,
    placed: Option<Placed>,
}

/// Words as they are shown.
struct Quote {
    shown: String,
    /// All of them are shown.
    whole: bool,
}

impl Place {
    fn of(about: About) -> Self {
        Self { about, section_key: None, goal: None, quote: None, placed: None }
    }
}

/// Somebody who comments beside a document that they may comment on.
struct Desk {
    store: Store,
    rooms: Rooms,
    limits: Arc<Limits>,
    signed_in: SignedIn,
    document: DocumentRow,
    can: Abilities,
}

impl Desk {
    /// At a thread: for who may not read it, it does not exist.
    async fn at(store: Store, rooms: Rooms, limits: Arc<Limits>, signed_in: SignedIn, thread: Uuid) -> Result<Self, Problem> {
        let document = store.document_of_thread(thread).await?.ok_or_else(Problem::not_found)?;
        let (document, can) = readable(&store, document.0, &signed_in).await?;
        if !reads_threads(&signed_in.principal, can, signed_in.now) {
            return Err(Problem::not_found());
        }
        comments_here(can)?;
        Ok(Self { store, rooms, limits, signed_in, document, can })
    }

    fn me(&self) -> PersonId {
        self.signed_in.principal.person
    }

    /// The two whose agreement it is.
    fn parties(&self) -> Vec<PersonId> {
        self.document.access.agreement.iter().flat_map(|agreement| [agreement.unit_leader, agreement.counterpart]).collect()
    }

    /// Words that can be kept: some, not too many, and nothing in them that the writer may not have meant to say.
    fn body(&self, body: &str, confirmed_personal_data: bool) -> Result<String, Problem> {
        let body = self.proposed(body, confirmed_personal_data)?;
        let body = body.trim();
        if body.is_empty() { Err(Problem::invalid("Kommentaren er tom.")) } else { Ok(body.to_owned()) }
    }

    fn proposed(&self, words: &str, confirmed_personal_data: bool) -> Result<String, Problem> {
        let words = words.replace("\r\n", "\n");
        let at_most = self.limits.comment_chars_max;
        if words.chars().count() > at_most {
            return Err(Problem::too_long(at_most));
        }
        // PostgreSQL keeps every character but this one.
        if words.contains('\0') {
            return Err(Problem::invalid("Teksten indeholder tegnet U+0000, som ikke kan gemmes."));
        }
        if !confirmed_personal_data && comments::looks_like_cpr(&words) {
            return Err(Problem::looks_like_cpr());
        }
        Ok(words)
    }

    /// The people who are named, if each of them may read it.
    async fn mentions(&self, people: &[Uuid]) -> Result<Vec<PersonId>, Problem> {
        let mut named: Vec<PersonId> = people.iter().copied().map(PersonId).collect();
        named.sort_unstable();
        named.dedup();
        if named.len() > self.limits.comment_mentions_max {
            return Err(Problem::invalid(format!("En kommentar kan højst nævne {} personer.", self.limits.comment_mentions_max)));
        }
        let readers = readers(&self.store, &self.document.access, &named, self.signed_in.now).await?;
        let without: Vec<PersonId> = named.iter().copied().filter(|person| !readers.contains(person)).collect();
        if without.is_empty() {
            return Ok(named);
        }
        let known = self.store.people(&without).await?;
        let mut who: Vec<&str> = known.values().map(|row| &row.display_name[..]).collect();
        who.sort_unstable();
        Err(Problem::mention_without_access(if who.is_empty() { "En af de nævnte".to_owned() } else { who.join(", ") }))
    }

    /// What a new thread is about, as it stands in the document now.
    async fn place(&self, thread: Uuid, about: &api::About, proposal: Option<&str>) -> Result<Place, Problem> {
        let document = self.document.access.document;
        match about {
            api::About::Document => Ok(Place::of(About::Document)),
            api::About::Section { section_key } => {
                let sections = self.store.document_sections(&[document]).await?;
                if !sections.get(&document).is_some_and(|sections| sections.iter().any(|section| section.key == *section_key)) {
                    return Err(Problem::invalid("Dokumentet har ikke det afsnit."));
                }
                Ok(Place { section_key: Some(section_key.clone()), ..Place::of(About::Section) })
            }
            api::About::Goal { goal_id } => {
                if self.store.has_goal(document, *goal_id).await? {
                    Ok(Place { goal: Some(*goal_id), ..Place::of(About::Goal) })
                } else {
                    Err(Problem::anchor_gone("Målet er slettet."))
                }
            }
            api::About::Words { field, start, end, quote } => {
                let bytes = |position: &str| BASE64_STANDARD.decode(position).map_err(|_| Problem::anchor_forged());
                let (start, end, proposal) = (bytes(start)?, bytes(end)?, proposal.map(str::to_owned));
                let selection = Selection { field: field.clone(), start, end, quote: quote.clone(), proposal };
                if quote.trim().is_empty() {
                    return Err(Problem::invalid("Der er ikke markeret nogen ord."));
                }
                let placed = match self.rooms.place(document, thread, &selection).await.map_err(|_| Problem::unavailable())? {
                    Ok(placed) => placed,
                    Err(NotPlaced::Forged) => return Err(Problem::anchor_forged()),
                    Err(NotPlaced::Gone) => return Err(Problem::anchor_gone("Ordene står ikke længere i teksten.")),
                };
                let quote = quote_of(&placed);
                let (section_key, goal) = match field.split_once(':') {
                    Some(("section", key)) => (Some(key.to_owned()), None),
                    Some(("goal", rest)) => (None, rest.split(':').next().and_then(|id| id.parse().ok())),
                    _ => (None, None),
                };
                Ok(Place { about: About::Words, section_key, goal, quote: Some(quote), placed: Some(placed) })
            }
        }
    }

    async fn lock(&self, transaction: &mut Transaction, thread: Uuid) -> Result<LockedThread, Problem> {
        rows::lock_thread(transaction, thread).await?.ok_or_else(Problem::not_found)
    }

    async fn lock_own(&self, transaction: &mut Transaction, comment: Uuid) -> Result<rows::LockedComment, Problem> {
        let comment = rows::lock_comment(transaction, comment).await?.ok_or_else(Problem::not_found)?;
        if comment.person == self.me() {
            Ok(comment)
        } else {
            Err(Problem::forbidden().with_detail("Du kan kun rette og slette dine egne kommentarer."))
        }
    }

    async fn say(&self, transaction: &mut Transaction, thread: Uuid, id: Uuid, body: &str, mentions: &[PersonId]) -> Result<(), Said> {
        let comment = rows::NewComment { id, thread, body, mentions, by: self.me(), at: self.signed_in.now };
        let number = rows::say(transaction, &comment).await?;
        if number as usize > self.limits.thread_comments_max {
            return Err(Said::Refused(Problem::conflict().with_detail("Der er ikke plads til flere kommentarer i tråden. Begynd en ny.")));
        }
        Ok(())
    }

    /// Those of these people who may read it are told, in the same transaction.
    async fn tell(
        &self,
        transaction: &mut Transaction,
        thread: Uuid,
        comment: impl Into<Option<Uuid>>,
        told: Vec<(PersonId, Telling)>,
    ) -> Result<(), Problem> {
        let people: Vec<PersonId> = told.iter().map(|(person, _)| *person).collect();
        let readers = readers(&self.store, &self.document.access, &people, self.signed_in.now).await?;
        let told: Vec<Told> =
            told.into_iter().filter(|(person, _)| readers.contains(person)).map(|(person, kind)| Told { person, kind }).collect();
        let (document, by, at) = (self.document.access.document, self.me(), self.signed_in.now);
        rows::tell(transaction, &Happened { document, thread, comment: comment.into(), by, at }, &told).await?;
        Ok(())
    }

    /// Others wrote between the moment at which the words were anchored and the one at which the thread was kept: what moved them
    /// meanwhile is written now.
    async fn catch_up(&self, thread: Uuid, placed: &Placed) -> Result<(), Problem> {
        let document = self.document.access.document;
        let standing = self.rooms.standing(document, thread).await.map_err(|_| Problem::unavailable())?;
        if let Some(anchor) = standing.anchor.filter(|anchor| *anchor != placed.anchor) {
            let mut transaction = self.store.begin().await?;
            anchors::write(&mut transaction, &[anchor], standing.seq).await?;
            transaction.commit().await.map_err(store::Error::from)?;
        }
        Ok(())
    }

    /// What became of the proposed words, as it counts now, and through whom.
    fn wording(&self, thread: &LockedThread) -> Result<(Wording, Option<PersonId>), Problem> {
        let proposal = thread.proposal.as_ref().ok_or_else(|| Problem::invalid("Tråden har intet forslag til andre ord."))?;
        let (by, since) = proposal.by.unzip();
        Ok((wording_now(proposal.state, since, self.signed_in.now), by))
    }

    async fn wording_taken(&self, state: Wording, by: Option<PersonId>) -> Result<Problem, Problem> {
        let person = match by {
            Some(by) => self.store.person(by).await?,
            None => None,
        };
        let name = person.map_or_else(|| "En anden".to_owned(), |person| person.display_name);
        Ok(Problem::proposal_taken(match state {
            Wording::Inserted => format!("{name} har allerede indsat forslaget."),
            Wording::Declined => format!("{name} har afvist forslaget."),
            Wording::Open | Wording::Claimed => format!("{name} er ved at indsætte forslaget."),
        }))
    }

    /// What was sent before: mine, beside this document, or somebody else's id.
    async fn sent_again(&self, thread: Uuid) -> Result<(StatusCode, Answer<Thread>), Problem> {
        match self.store.thread(thread, self.me()).await? {
            Some(row) if row.document == self.document.access.document => Ok((StatusCode::CREATED, Answer(self.present(row).await?))),
            _ => Err(Problem::conflict()),
        }
    }

    /// Tells the pages, and answers the thread.
    async fn changed(&self, thread: Uuid) -> Result<Answer<Thread>, Problem> {
        self.announce(thread).await;
        Ok(Answer(self.show(thread).await?.ok_or_else(Problem::not_found)?))
    }

    async fn announce(&self, thread: Uuid) {
        self.rooms.event(self.document.access.document, Event::ThreadChanged { thread_id: thread }).await;
    }

    async fn show(&self, thread: Uuid) -> Result<Option<Thread>, Problem> {
        match self.store.thread(thread, self.me()).await? {
            Some(row) => Ok(Some(self.present(row).await?)),
            None => Ok(None),
        }
    }

    async fn present(&self, row: ThreadRow) -> Result<Thread, Problem> {
        let people = People::load(&self.store, named(&row)).await?;
        Ok(Reader { person: self.me(), can: self.can, now: self.signed_in.now }.show(row, &people))
    }
}

/// The words as they are shown for ever: cut with … when they are long.
fn quote_of(placed: &Placed) -> Quote {
    let whole = placed.anchor.whole;
    Quote { shown: if whole { placed.anchor.quote.clone() } else { format!("{}…", placed.anchor.quote) }, whole }
}

/// Everybody whom an answer about this thread names.
fn named(row: &ThreadRow) -> Vec<PersonId> {
    let proposal = row.proposal.iter().filter_map(|proposal| proposal.by.map(|(person, _)| person));
    let comments = row.comments.iter().flat_map(|comment| comment.mentions.iter().copied().chain([comment.person]));
    row.resolved_by.into_iter().chain(proposal).chain(comments).collect()
}

/// Who reads a thread, and what they may do with the document.
struct Reader {
    person: PersonId,
    can: Abilities,
    now: DateTime<Utc>,
}

impl Reader {
    fn show(&self, row: ThreadRow, people: &People) -> Thread {
        let can = self.may(&row);
        let mine: HashSet<u32> =
            row.comments.iter().filter(|comment| comment.person == self.person).map(|comment| comment.number).collect();
        let unread = row.said().map(|comment| comment.number).find(|number| *number > row.read_up_to && !mine.contains(number));
        let mentions_me = row.said().any(|comment| comment.mentions.contains(&self.person));
        let field = row.field.clone();
        Thread {
            id: row.id,
            document_id: row.document.0,
            number: row.number,
            about: AboutShown {
                kind: match row.about {
                    About::Document => AboutKind::Document,
                    About::Section => AboutKind::Section,
                    About::Goal => AboutKind::Goal,
                    About::Words => AboutKind::Words,
                },
                section_key: row.section_key.clone(),
                goal_id: row.goal,
                field: row.field.clone(),
            },
            quote: row.quote.clone(),
            anchor: row.anchor.as_ref().zip(field).map(|((start, end), field)| Anchor {
                field,
                start: BASE64_STANDARD.encode(start),
                end: BASE64_STANDARD.encode(end),
            }),
            detached_at: row.detached_at,
            state: if row.open { ThreadState::Open } else { ThreadState::Resolved },
            resolved_by: row.resolved_by.map(|person| people.show(person)),
            resolved_at: row.resolved_at,
            for_meeting: row.for_meeting,
            proposal: row.proposal.as_ref().map(|proposal| {
                let state = wording_now(proposal.state, proposal.by.map(|(_, at)| at), self.now);
                let by = proposal.by.filter(|_| state != Wording::Open);
                ProposedWording {
                    text: proposal.text.clone(),
                    state: match state {
                        Wording::Open => WordingState::Open,
                        Wording::Claimed => WordingState::Claimed,
                        Wording::Inserted => WordingState::Inserted,
                        Wording::Declined => WordingState::Declined,
                    },
                    by: by.map(|(person, _)| people.show(person)),
                    at: by.map(|(_, at)| at),
                }
            }),
            unread_from: unread,
            mentions_me,
            mine: !mine.is_empty(),
            version: row.version,
            can,
            comments: row.comments.into_iter().map(|comment| show_comment(comment, people)).collect(),
        }
    }

    fn may(&self, row: &ThreadRow) -> ThreadAbilities {
        let proposed = row
            .proposal
            .as_ref()
            .is_some_and(|proposal| wording_now(proposal.state, proposal.by.map(|(_, at)| at), self.now) == Wording::Open);
        let own = row.said().filter(|comment| comment.person == self.person).map(|comment| comment.id);
        ThreadAbilities {
            reply: self.can.comment,
            resolve: row.open && resolves(self.person, self.can, row.created_by),
            reopen: !row.open && self.can.comment,
            insert: self.can.edit && proposed,
            edit: if self.can.comment { own.collect() } else { Vec::new() },
        }
    }
}

fn show_comment(row: CommentRow, people: &People) -> Comment {
    Comment {
        id: row.id,
        number: row.number,
        person: people.show(row.person),
        at: row.at,
        body: row.body,
        edited_at: row.edited_at,
        deleted_at: row.deleted_at,
        mentions: row.mentions.into_iter().map(|person| people.show(person)).collect(),
        version: row.version,
    }
}
