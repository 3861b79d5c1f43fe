//! `GET /api/overview`: what waits for me, my agreements, the next meeting, the days to keep.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
};

use axum::{Json, extract::State};
use chrono::{Datelike, Duration, NaiveDate};
use samspil_client_protocol::api::{
    Abilities, AgreementStatus, AgreementSummary, ChainNews, Deadline, DeadlineKind, Overview, Party, Problem as ProblemBody, Waiting,
    WaitingKind,
};
use uuid::Uuid;

use super::{
    agreements::{people_of_meetings, show_meeting, summaries, visible},
    people::People,
    problem::Problem,
    texts,
};
use crate::{
    auth::SignedIn,
    domain::{
        access::danish_day,
        agreement::{Covered, Facts, GoalFact, remarks, signature_waits, thread_waits, urgency, waits_for},
        governance::{Rules, due, next_meeting},
        ids::{AgreementId, DocumentId, PersonId},
        principal::Role,
    },
    rooms::Rooms,
    store::{
        Store,
        agreements::{AgreementHead, LifeRow, SectionRow, SignatureRow, Which},
        comments::ThreadRow,
        meetings::MeetingRow,
    },
};

/// An adoption is news for so long.
const NEWS_DAYS: i64 = 30;
/// Words of a comment that fit beside its title.
const WORDS_CHARS_MAX: usize = 200;

/// The first page.
#[utoipa::path(get, operation_id = "overview", path = "/api/overview", responses((status = OK, body = Overview), (status = UNAUTHORIZED, body = ProblemBody)))]
pub(super) async fn overview(
    signed_in: SignedIn,
    State(store): State<Store>,
    State(rooms): State<Rooms>,
) -> Result<Json<Overview>, Problem> {
    let now = signed_in.now;
    let today = danish_day(now);
    let me = signed_in.principal.person;
    let rules = store.rules().await?;
    let visible = visible(store.agreement_heads(&Which::default()).await?, &signed_in);
    let summaries = summaries(&store, &visible).await?;
    let meetings = store.coming_meetings(me, now).await?;
    let waiting = waiting(&store, &rooms, &signed_in, &rules, &visible, &summaries).await?;
    let own: Vec<DocumentId> = own(&visible).filter_map(|(head, _)| head.document).collect();
    let news = store.adopted_between(today - Duration::days(NEWS_DAYS), today, &own).await?;

    let overseen = overseen(&signed_in, &visible);
    let places = places(&summaries);
    let (mut mine, mut others): (Vec<_>, Vec<_>) = summaries.into_iter().partition(|summary| summary.my_party.is_some());
    // Both keep the Danish order of the units, which only the database knows.
    mine.sort_by_key(|summary| (Reverse(summary.period_from), places[&summary.unit.id]));
    others.sort_by_key(|summary| (places[&summary.unit.id], Reverse(summary.period_from)));
    let visible_ids: Vec<AgreementId> = visible.iter().map(|(head, _)| head.id).collect();
    let meetings: Vec<MeetingRow> =
        meetings.into_iter().filter(|row| row.agreements.iter().any(|about| visible_ids.contains(&about.id))).collect();
    let concerned: Vec<&AgreementSummary> =
        if mine.is_empty() { others.iter().filter(|summary| overseen.contains(&summary.id)).collect() } else { mine.iter().collect() };
    let deadlines = deadlines(&rules, &concerned, &meetings, today);
    let people = People::load(&store, people_of_meetings(&meetings)).await?;
    let next = next_meeting(meetings, |row| (row.starts_at, row.ends_at), now);
    Ok(Json(Overview {
        now,
        next_meeting: next.map(|row| show_meeting(row, &visible_ids, &people)),
        waiting,
        mine,
        others,
        deadlines,
        news: news
            .into_iter()
            .map(|row| ChainNews { document_id: row.document.0, title: row.title, adopted_on: row.adopted_on, my_goals: row.goals })
            .collect(),
    }))
}

fn own(visible: &[(AgreementHead, Abilities)]) -> impl Iterator<Item = (&AgreementHead, Party)> {
    visible.iter().filter_map(|(head, abilities)| Some((head, abilities.party?)))
}

/// The agreements whose progress this person follows without being a party. Whoever only reads what is signed follows none: to
/// them every agreement would look signed.
fn overseen(signed_in: &SignedIn, visible: &[(AgreementHead, Abilities)]) -> BTreeSet<Uuid> {
    let executive = signed_in.principal.is(Role::Executive, danish_day(signed_in.now));
    visible.iter().filter(|(_, abilities)| executive || abilities.comment).map(|(head, _)| head.id.0).collect()
}

/// Each unit's place in the order in which the list came.
fn places(summaries: &[AgreementSummary]) -> HashMap<Uuid, usize> {
    summaries.iter().enumerate().map(|(place, summary)| (summary.unit.id, place)).collect()
}

/// The days to keep and the meetings to come, in order of time.
fn deadlines(rules: &Rules, agreements: &[&AgreementSummary], meetings: &[MeetingRow], today: NaiveDate) -> Vec<Deadline> {
    let statuses: Vec<AgreementStatus> = agreements
        .iter()
        .filter(|agreement| rules.calendar.year() == Some(agreement.period_from.year()))
        .map(|agreement| agreement.status)
        .collect();
    let days = due(&rules.calendar, &statuses, today).into_iter();
    let days = days.map(|due| Deadline { on: due.on, at: None, kind: due.kind, done: due.done, number: due.year });
    let meetings = meetings.iter().map(|meeting| Deadline {
        on: danish_day(meeting.starts_at),
        at: Some(meeting.starts_at),
        kind: DeadlineKind::Meeting,
        done: false,
        number: i32::try_from(meeting.number).unwrap_or(i32::MAX),
    });
    let mut deadlines: Vec<Deadline> = days.chain(meetings).collect();
    deadlines.sort_by_key(|deadline| (deadline.on, deadline.at));
    deadlines
}

/// What waits for this person in the agreements that they may see, most urgent first.
async fn waiting(
    store: &Store,
    rooms: &Rooms,
    signed_in: &SignedIn,
    rules: &Rules,
    visible: &[(AgreementHead, Abilities)],
    summaries: &[AgreementSummary],
) -> Result<Vec<Waiting>, Problem> {
    let me = signed_in.principal.person;
    let own_documents: Vec<DocumentId> = own(visible).filter_map(|(head, _)| head.document).collect();
    let talked_over: Vec<DocumentId> = visible.iter().filter(|(_, can)| can.comment).filter_map(|(head, _)| head.document).collect();
    let threads = store.open_threads_concerning(me, &own_documents, &talked_over).await?;
    let about = About::load(store, visible, &own_documents, &threads).await?;
    let people = People::load(store, about.people(&threads)).await?;
    let summary_of: HashMap<Uuid, &AgreementSummary> = summaries.iter().map(|summary| (summary.id, summary)).collect();

    let mut waiting = Vec::new();
    for (head, party) in own(visible) {
        let (Some(document), Some(summary)) = (head.document, summary_of.get(&head.id.0)) else { continue };
        let due_days = rules.calendar.due_days(head.period_from);
        let item = item(summary);
        if let Some(kind) = signature_waits(head.status, &about.signatures_of(document), party) {
            // What brought it here: the freeze, or the reopening with its reason.
            let step = about.last_step(head.id);
            waiting.push(Waiting {
                person: step.and_then(|step| step.person).filter(|person| *person != me).map(|person| people.show(person)),
                words: step.and_then(|step| step.reason.as_deref()).map(shortened),
                at: step.map(|step| step.at),
                due_on: due_days.sign,
                ..item(kind)
            });
        }
        let facts = about.facts(rooms, head, document, summary, party).await?;
        for remark in remarks(&facts, rules.demands, due_days, danish_day(signed_in.now)) {
            if waits_for(remark.kind, party) {
                // In a signed text there is no *before signing* any more: it has waited since then.
                let since = about.last_step(head.id).filter(|_| head.status == AgreementStatus::Signed);
                waiting.push(Waiting {
                    place: remark.place,
                    place_title: remark.place_title,
                    due_on: remark.due_on,
                    at: since.map(|step| step.at),
                    ..item(remark.kind)
                });
            }
        }
    }
    let agreement_of: HashMap<DocumentId, &AgreementHead> = visible.iter().filter_map(|(head, _)| Some((head.document?, head))).collect();
    for thread in &threads {
        let writers: Vec<PersonId> = thread.said().map(|comment| comment.person).collect();
        let (Some(head), Some(last)) = (agreement_of.get(&thread.document), thread.said().last()) else { continue };
        if let Some(summary) = summary_of.get(&head.id.0)
            && thread_waits(me, own_documents.contains(&thread.document), &writers)
        {
            let (place, place_title) = about.place(thread);
            waiting.push(Waiting {
                place,
                place_title,
                person: Some(people.show(last.person)),
                words: Some(shortened(&last.body)),
                at: Some(last.at),
                ..item(summary)(WaitingKind::AnswerComment)
            });
        }
    }
    waiting.sort_by_key(|item| (urgency(item.kind), item.due_on, Reverse(item.at)));
    Ok(waiting)
}

/// An item about this agreement, of a kind that is still to be said.
fn item(summary: &AgreementSummary) -> impl Fn(WaitingKind) -> Waiting + '_ {
    |kind| Waiting {
        kind,
        agreement_id: summary.id,
        unit_name: summary.unit.name.clone(),
        agreement_title: summary.title.clone(),
        place: None,
        place_title: None,
        person: None,
        words: None,
        at: None,
        due_on: None,
    }
}

/// The beginning of what somebody wrote.
fn shortened(words: &str) -> String {
    if words.chars().count() <= WORDS_CHARS_MAX {
        return words.to_owned();
    }
    let beginning: String = words.chars().take(WORDS_CHARS_MAX - 1).collect();
    format!("{}…", beginning.trim_end())
}

/// What stands beside the agreements, loaded for all of them at once.
struct About {
    sections: HashMap<DocumentId, Vec<SectionRow>>,
    goals: HashMap<DocumentId, Vec<GoalFact>>,
    signatures: Vec<SignatureRow>,
    lives: HashMap<AgreementId, Vec<LifeRow>>,
    meetings: Vec<MeetingRow>,
}

impl About {
    async fn load(
        store: &Store,
        visible: &[(AgreementHead, Abilities)],
        own_documents: &[DocumentId],
        threads: &[ThreadRow],
    ) -> Result<Self, Problem> {
        let mut documents: Vec<DocumentId> = own_documents.iter().copied().chain(threads.iter().map(|thread| thread.document)).collect();
        documents.sort_unstable();
        documents.dedup();
        let own_agreements: Vec<AgreementId> = own(visible).map(|(head, _)| head.id).collect();
        let mut goals: HashMap<DocumentId, Vec<GoalFact>> = HashMap::new();
        for (document, goal) in store.goal_facts(&documents).await? {
            goals.entry(document).or_default().push(goal);
        }
        let mut lives: HashMap<AgreementId, Vec<LifeRow>> = HashMap::new();
        for (agreement, step) in store.lives(&own_agreements).await? {
            lives.entry(agreement).or_default().push(step);
        }
        Ok(Self {
            sections: store.document_sections(&documents).await?,
            goals,
            signatures: store.signatures(own_documents).await?,
            lives,
            meetings: store.meetings(&own_agreements).await?,
        })
    }

    fn people(&self, threads: &[ThreadRow]) -> Vec<PersonId> {
        let writers = threads.iter().filter_map(|thread| thread.said().last()).map(|comment| comment.person);
        writers.chain(self.lives.values().flatten().filter_map(|step| step.person)).collect()
    }

    fn signatures_of(&self, document: DocumentId) -> Vec<crate::domain::agreement::SignatureFact> {
        self.signatures.iter().filter(|signature| signature.document == document).map(|signature| signature.fact).collect()
    }

    fn last_step(&self, agreement: AgreementId) -> Option<&LifeRow> {
        self.lives.get(&agreement).and_then(|life| life.last())
    }

    async fn facts(
        &self,
        rooms: &Rooms,
        head: &AgreementHead,
        document: DocumentId,
        summary: &AgreementSummary,
        party: Party,
    ) -> Result<Facts, Problem> {
        let sections = self.sections.get(&document).map(Vec::as_slice).unwrap_or_default();
        // Reading the text costs most; it is asked only where an empty section would wait for this person.
        let open = matches!(head.status, AgreementStatus::Drafting | AgreementStatus::InDialogue | AgreementStatus::Reopened);
        let filled: BTreeSet<String> = if open && waits_for(WaitingKind::SectionEmpty, party) {
            texts::filled(rooms, document).await?
        } else {
            sections.iter().map(|section| section.key.clone()).collect()
        };
        let meetings = self.meetings.iter().filter(|meeting| meeting.agreements.iter().any(|about| about.id == head.id));
        Ok(Facts {
            status: head.status,
            sections: sections.iter().map(|section| texts::section_fact(section, &filled)).collect(),
            goals: self.goals.get(&document).cloned().unwrap_or_default(),
            covered: Covered::by(meetings.map(|meeting| (meeting.status, meeting.covers_political_goals, meeting.covers_executive_goals))),
            open_threads: summary.open_threads,
        })
    }

    /// Where a thread stands: its goal if it is about one that is still there, else its section, if it is about one.
    fn place(&self, thread: &ThreadRow) -> (Option<String>, Option<String>) {
        let goals = self.goals.get(&thread.document).map(Vec::as_slice).unwrap_or_default();
        if let Some(goal) = goals.iter().find(|goal| Some(goal.id) == thread.goal) {
            return (Some(goal.id.to_string()), Some(goal.title.clone()));
        }
        let sections = self.sections.get(&thread.document).map(Vec::as_slice).unwrap_or_default();
        let title = sections.iter().find(|section| Some(&section.key) == thread.section_key.as_ref()).map(|section| section.title.clone());
        (thread.section_key.clone(), title)
    }
}
