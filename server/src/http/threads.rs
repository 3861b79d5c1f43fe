//! `/api/documents/{id}/threads`, `/api/threads/{id}` and `/api/comments/{id}`: comments beside a text.

use std::collections::HashSet;

use axum::{Json, extract::State};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use chrono::{DateTime, Utc};
use samspil_client_protocol::api::{
    Abilities, AboutKind, AboutShown, Anchor, Comment, Problem as ProblemBody, ProposedWording, Thread, ThreadAbilities, ThreadState,
    WordingState,
};
use uuid::Uuid;

use super::{
    documents::readable,
    people::People,
    problem::{Path, Problem},
};
use crate::{
    auth::SignedIn,
    domain::{
        comments::{About, Wording, reads_threads, resolves, wording_now},
        ids::PersonId,
    },
    store::{
        Store,
        comments::{CommentRow, ThreadRow},
    },
};

/// The comment threads beside the text, resolved ones too, by number: for those who may comment and for the executive board. Who only
/// reads (the council, an auditor) reads what was agreed, not how it was talked over.
#[utoipa::path(get, operation_id = "document_threads", path = "/api/documents/{id}/threads", params(("id" = Uuid, Path)), responses(
    (status = OK, body = Vec<Thread>), (status = UNAUTHORIZED, body = ProblemBody), (status = NOT_FOUND, body = ProblemBody)))]
pub(super) async fn list(signed_in: SignedIn, State(store): State<Store>, Path(id): Path<Uuid>) -> Result<Json<Vec<Thread>>, Problem> {
    let (document, can) = readable(&store, id, &signed_in).await?;
    if !reads_threads(&signed_in.principal, can, signed_in.now) {
        return Err(Problem::not_found());
    }
    let rows = store.threads(&[document.access.document], signed_in.principal.person).await?;
    let people = People::load(&store, rows.iter().flat_map(named).collect()).await?;
    let reader = Reader { person: signed_in.principal.person, can, now: signed_in.now };
    Ok(Json(rows.into_iter().map(|row| reader.show(row, &people)).collect()))
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
