//! `/api/agreements`: the agreements one may see, and one agreement's page apart from its live text.

use std::collections::{BTreeSet, HashMap};

use axum::{Json, extract::State};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Europe::Copenhagen;
use samspil_client_protocol::api::{
    Abilities, AgreementList, AgreementStatus, AgreementSummary, AgreementVersion, AgreementView, AttainmentCount, Followup, Gate,
    LastEdit, LifeEvent, LifeStep, Measurement, Meeting, Participant, PreviousAgreement, PreviousGoal, Problem as ProblemBody, Revision,
    Signature, TemplateSection, Unit,
};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use uuid::Uuid;

use super::{
    people::People,
    problem::{Path, Problem, Query},
    texts,
};
use crate::{
    auth::SignedIn,
    domain::{
        access::abilities,
        agreement::{Covered, Demands, Facts, gates},
        ids::{AgreementId, DocumentId, PersonId},
        life,
    },
    rooms::Rooms,
    store::{
        self, Store,
        agreements::{AgreementHead, AgreementRow, LifeRow, SignatureRow, TemplateRow, Which},
        life::EventRow,
        meetings::{MeetingAgreement, MeetingRow},
        revisions::FrozenRevision,
    },
};

/// Rows of a page when nobody asks for fewer.
const PAGE_ROWS_DEFAULT: usize = 50;
/// Rows of a page at most.
const PAGE_ROWS_MAX: usize = 200;

/// Which agreements, and from where in the list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only agreements whose period begins in this year.
    year: Option<i32>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Rows of the page, 1 to 200.
    limit: Option<usize>,
}

/// A place in the list: the unit's name and the agreement's id of the last row given.
#[derive(Debug, Serialize, Deserialize)]
struct Cursor(String, Uuid);

/// The agreements I may see, by unit (Danish collation) and id.
#[utoipa::path(get, operation_id = "list_agreements", path = "/api/agreements", params(ListQuery), responses(
    (status = OK, body = AgreementList), (status = UNAUTHORIZED, body = ProblemBody), (status = UNPROCESSABLE_ENTITY, body = ProblemBody)))]
pub(super) async fn list(
    signed_in: SignedIn,
    State(store): State<Store>,
    Query(query): Query<ListQuery>,
) -> Result<Json<AgreementList>, Problem> {
    let limit = query.limit.unwrap_or(PAGE_ROWS_DEFAULT);
    if !(1..=PAGE_ROWS_MAX).contains(&limit) {
        return Err(Problem::invalid(format!("limit skal være mellem 1 og {PAGE_ROWS_MAX}.")));
    }
    let after = query.cursor.as_deref().map(read_cursor).transpose()?;
    let heads = store.agreement_heads(&Which { year: query.year, after, ..Which::default() }).await?;
    let mut visible = visible(heads, &signed_in);
    let next = (visible.len() > limit).then(|| write_cursor(&visible[limit - 1].0));
    visible.truncate(limit);
    Ok(Json(AgreementList { items: summaries(&store, &visible).await?, next }))
}

/// Which version of an agreement.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct VersionQuery {
    /// From 1; absent: the newest that I may read.
    version: Option<u32>,
}

/// An agreement's page apart from its live text.
#[utoipa::path(get, operation_id = "agreement", path = "/api/agreements/{id}", params(("id" = Uuid, Path), VersionQuery), responses(
    (status = OK, body = AgreementView), (status = UNAUTHORIZED, body = ProblemBody), (status = NOT_FOUND, body = ProblemBody)))]
pub(super) async fn one(
    signed_in: SignedIn,
    State(store): State<Store>,
    State(rooms): State<Rooms>,
    Path(id): Path<Uuid>,
    Query(query): Query<VersionQuery>,
) -> Result<Json<AgreementView>, Problem> {
    let agreement = AgreementId(id);
    let heads = store.agreement_heads(&Which { agreement: Some(agreement), version: query.version, ..Which::default() }).await?;
    let visible = visible(heads, &signed_in);
    let (head, abilities) = visible.first().ok_or_else(Problem::not_found)?;
    let row = store.agreements(&[(agreement, head.document)]).await?.pop().ok_or_else(Problem::not_found)?;
    let rules = store.rules().await?;
    let template = match row.template {
        Some(template) => store.template(template).await?,
        None => None,
    };
    let meetings = store.meetings(&[agreement]).await?;
    let signatures = store.signatures(head.document.as_slice()).await?;
    let frozen = match head.document {
        Some(document) => store.frozen_revision(document).await?,
        None => None,
    };
    let history = if abilities.comment { store.agreement_events(agreement).await? } else { Vec::new() };
    let versions = versions(&store, &signed_in, agreement).await?;
    let steps_taken = life_of(&row, store.lives(&[agreement]).await?.into_iter().map(|(_, step)| step).collect());
    let mut named = people_of_meetings(&meetings);
    named.extend(signatures.iter().map(|signature| signature.person));
    named.extend(steps_taken.iter().filter_map(|step| step.person));
    named.extend(history.iter().filter_map(|event| event.person));
    named.extend(frozen.iter().filter_map(|frozen| frozen.person));
    let people = People::load(&store, named).await?;
    let gates = match (&template, head.document) {
        (Some(template), Some(document)) => {
            let words = texts::filled(&rooms, document).await?;
            gates_of(&store, head, document, template, &words, &meetings, &row, rules.demands).await?
        }
        _ => Vec::new(),
    };
    let newest = versions.first().is_none_or(|newest| Some(newest.document_id) == head.document.map(|document| document.0));
    let steps = life::steps(head.status, abilities.party, &gates, newest);
    let previous = match row.predecessor {
        Some(predecessor) => previous(&store, predecessor).await?,
        None => None,
    };
    let measurements = store.measurements(agreement).await?;
    let summary = summaries(&store, &visible).await?.pop().ok_or_else(Problem::not_found)?;
    Ok(Json(AgreementView {
        summary,
        abilities: *abilities,
        max_goals: template.as_ref().and_then(|template| template.max_goals).unwrap_or(u32::MAX),
        guidance: template.as_ref().and_then(|template| template.guidance.clone()),
        sections: template.map(show_sections).unwrap_or_default(),
        budget_frame_dkk: row.budget_frame_dkk,
        life: steps_taken.into_iter().map(|step| show_step(step, &people)).collect(),
        sign_deadline: rules.calendar.due_days(row.period_from).sign,
        meetings: meetings.into_iter().map(|meeting| show_meeting(meeting, &[agreement], &people)).collect(),
        gates,
        signatures: signatures.into_iter().map(|signature| show_signature(signature, &people)).collect(),
        steps,
        frozen: frozen.map(|frozen| show_frozen(&frozen, &people)),
        versions,
        history: history.into_iter().map(|event| show_event(event, &people)).collect(),
        previous,
        measurements: measurements.into_iter().map(|m| Measurement { indicator_id: m.indicator, on: m.on, value: m.value }).collect(),
        now: signed_in.now,
    }))
}

/// What must be in place before this version is frozen, and whether it is.
#[expect(clippy::too_many_arguments, reason = "each is a fact that its callers have at hand")]
pub(super) async fn gates_of(
    store: &Store,
    head: &AgreementHead,
    document: DocumentId,
    template: &TemplateRow,
    words: &BTreeSet<String>,
    meetings: &[MeetingRow],
    row: &AgreementRow,
    demands: Demands,
) -> store::Result<Vec<Gate>> {
    let facts = Facts {
        status: head.status,
        sections: template.sections.iter().map(|section| texts::section_fact(section, words)).collect(),
        goals: store.goal_facts(&[document]).await?.into_iter().map(|(_, goal)| goal).collect(),
        covered: Covered::by(meetings.iter().map(|m| (m.status, m.covers_political_goals, m.covers_executive_goals))),
        open_threads: row.open_threads,
    };
    Ok(gates(&facts, demands))
}

/// The versions of an agreement that this person may read, newest first.
async fn versions(store: &Store, signed_in: &SignedIn, agreement: AgreementId) -> store::Result<Vec<AgreementVersion>> {
    let rows = store.agreement_versions(agreement).await?;
    let documents: Vec<DocumentId> = rows.iter().map(|row| row.document).collect();
    let access = store.documents_access(&documents).await?;
    let readable = |document| {
        access.iter().any(|row| row.access.document == document && abilities(&signed_in.principal, &row.access, signed_in.now).read)
    };
    let in_force = rows.iter().find(|row| row.status == AgreementStatus::Signed).map(|row| row.document);
    let rows = rows.into_iter().filter(|row| readable(row.document));
    Ok(rows
        .map(|row| AgreementVersion {
            document_id: row.document.0,
            version: row.version,
            status: row.status,
            in_force: Some(row.document) == in_force,
        })
        .collect())
}

/// Those that this person may read, with what they may do: of each agreement the newest version that they may.
pub(super) fn visible(heads: Vec<AgreementHead>, signed_in: &SignedIn) -> Vec<(AgreementHead, Abilities)> {
    let with_abilities = heads.into_iter().map(|head| {
        let abilities = abilities(&signed_in.principal, &head.access, signed_in.now);
        (head, abilities)
    });
    let mut readable: Vec<_> = with_abilities.filter(|(_, abilities)| abilities.read).collect();
    readable.dedup_by_key(|(head, _)| head.id);
    readable
}

/// These agreements as they stand in lists, in this order.
pub(super) async fn summaries(store: &Store, visible: &[(AgreementHead, Abilities)]) -> store::Result<Vec<AgreementSummary>> {
    let ids: Vec<AgreementId> = visible.iter().map(|(head, _)| head.id).collect();
    let shown: Vec<_> = visible.iter().map(|(head, _)| (head.id, head.document)).collect();
    let rows = store.agreements(&shown).await?;
    let named = rows.iter().flat_map(|row| [Some(row.unit_leader), Some(row.counterpart), row.last_edit.map(|(person, _)| person)]);
    let people = People::load(store, named.flatten().collect()).await?;
    let mut attainment: HashMap<AgreementId, Vec<AttainmentCount>> = HashMap::new();
    for (agreement, status, goals) in store.attainment(&ids).await? {
        attainment.entry(agreement).or_default().push(AttainmentCount { status, goals });
    }
    let mut rows: HashMap<AgreementId, AgreementRow> = rows.into_iter().map(|row| (row.id, row)).collect();
    let in_order = visible.iter().filter_map(|(head, abilities)| Some((head, abilities, rows.remove(&head.id)?)));
    let summaries = in_order.map(|(head, abilities, row)| AgreementSummary {
        id: head.id.0,
        document_id: head.document.map(|document| document.0),
        title: row.title,
        unit: Unit { id: row.unit.id.0, name: row.unit.name, unit_type: row.unit.unit_type, parent_name: row.unit.parent_name },
        period_from: row.period_from,
        period_to: row.period_to,
        status: head.status,
        version: row.version,
        unit_leader: people.show(row.unit_leader),
        counterpart: people.show(row.counterpart),
        my_party: abilities.party,
        goals: row.goals,
        open_threads: row.open_threads,
        last_edit: row.last_edit.map(|(person, at)| LastEdit { person: people.show(person), at }),
        attainment: attainment.remove(&head.id).unwrap_or_default(),
    });
    Ok(summaries.collect())
}

/// The goals of the agreement before this one, as they stand above its own follow-up: part of this agreement's page, for everybody
/// who may read it.
async fn previous(store: &Store, predecessor: AgreementId) -> store::Result<Option<PreviousAgreement>> {
    let Some(row) = store.agreements(&[(predecessor, None)]).await?.pop() else { return Ok(None) };
    let goals = store.followed_goals(predecessor).await?.into_iter().map(|goal| PreviousGoal {
        code: goal.code,
        title: goal.title,
        followups: goal
            .followups
            .into_iter()
            .map(|followup| Followup { kind: followup.kind, on: followup.on, status: followup.status, note: followup.note })
            .collect(),
    });
    Ok(Some(PreviousAgreement { title: row.title, goals: goals.collect() }))
}

/// An agreement's life. Where only the day of signing is known, that is all there is to tell.
fn life_of(row: &AgreementRow, steps: Vec<LifeRow>) -> Vec<LifeRow> {
    match row.signed_on {
        Some(day) if steps.is_empty() => {
            vec![LifeRow { status: AgreementStatus::Signed, at: danish_noon(day), person: None, reason: None }]
        }
        _ => steps,
    }
}

/// Noon in Denmark: a moment that is on this day for everybody who looks.
fn danish_noon(day: NaiveDate) -> chrono::DateTime<Utc> {
    let noon = day.and_time(NaiveTime::from_hms_opt(12, 0, 0).expect("noon is a time of day"));
    Copenhagen.from_local_datetime(&noon).earliest().expect("clocks are never changed at noon").to_utc()
}

fn show_sections(template: TemplateRow) -> Vec<TemplateSection> {
    let show = |section: store::agreements::SectionRow| TemplateSection {
        key: section.key,
        title: section.title,
        kind: section.kind,
        goal_origin: section.goal_origin,
        required: section.required,
        guidance: section.guidance,
    };
    template.sections.into_iter().map(show).collect()
}

fn show_step(step: LifeRow, people: &People) -> LifeStep {
    LifeStep { status: step.status, at: step.at, person: step.person.map(|person| people.show(person)), reason: step.reason }
}

/// A frozen text in an answer.
pub(super) fn show_frozen(frozen: &FrozenRevision, people: &People) -> Revision {
    Revision {
        number: frozen.number,
        seq: Some(frozen.seq),
        content_sha256: Some(hex::encode(frozen.content_sha256)),
        label: None,
        frozen: true,
        person: frozen.person.map(|person| people.show(person)),
        at: frozen.at,
    }
}

fn show_event(event: EventRow, people: &People) -> LifeEvent {
    LifeEvent {
        kind: event.kind,
        at: event.at,
        person: event.person.map(|person| people.show(person)),
        status: event.to,
        revision: event.revision,
        party: event.party,
        reason: event.reason,
    }
}

/// A signature in an answer.
pub(super) fn show_signature(row: SignatureRow, people: &People) -> Signature {
    Signature {
        person: people.show(row.person),
        party: row.fact.party,
        signed_at: row.fact.at,
        revision: row.revision,
        valid: row.fact.valid,
        lapsed_because: row.lapsed_reason,
    }
}

/// Everybody who takes part in these meetings.
pub(super) fn people_of_meetings(rows: &[MeetingRow]) -> Vec<PersonId> {
    rows.iter().flat_map(|row| row.participants.iter().map(|(person, _)| *person)).collect()
}

/// A meeting in an answer, naming only those of its agreements that the reader may see.
pub(super) fn show_meeting(row: MeetingRow, visible: &[AgreementId], people: &People) -> Meeting {
    let about: Vec<MeetingAgreement> = row.agreements.into_iter().filter(|agreement| visible.contains(&agreement.id)).collect();
    let (agreement_title, unit_name) = about.first().map(|first| (first.title.clone(), first.unit_name.clone())).unwrap_or_default();
    Meeting {
        id: row.id,
        number: row.number,
        agreement_ids: about.iter().map(|agreement| agreement.id.0).collect(),
        agreement_title,
        unit_name,
        starts_at: row.starts_at,
        ends_at: row.ends_at,
        location: row.location,
        online: row.online,
        status: row.status,
        participants: row.participants.into_iter().map(|(person, role)| Participant { person: people.show(person), role }).collect(),
        covers_political_goals: row.covers_political_goals,
        covers_executive_goals: row.covers_executive_goals,
        agenda: row.agenda,
        minutes: row.minutes_md,
    }
}

fn write_cursor(last: &AgreementHead) -> String {
    let cursor = Cursor(last.unit_name.clone(), last.id.0);
    BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(&cursor).expect("a name and an id are JSON"))
}

fn read_cursor(text: &str) -> Result<(String, AgreementId), Problem> {
    let refused = || Problem::invalid("cursor er ikke en, vi har givet.");
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| refused())?;
    let Cursor(name, id) = serde_json::from_slice(&bytes).map_err(|_| refused())?;
    if name.contains('\0') { Err(refused()) } else { Ok((name, AgreementId(id))) }
}
