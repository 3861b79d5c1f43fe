//! Documents on paper: gathers what stands around a document's text and has it printed (the crate `samspil-paper`). A draft is printed as it
//! stands; what both parties signed is printed once and kept, so that everybody has the same bytes, whatever changes around them later.
//!
//! Printing takes as long as a page takes to set, so few are printed at once, on threads of the printer's own; the others wait their turn.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use samspil_client_protocol::api::{GoalOrigin, SectionKind};
use samspil_evidence::statement::{Signatory as Stated, Statement};
use samspil_paper::{
    Approval, Attachment, ChainGoal, Held, Meeting, NotPrinted, Paper, Previous, PreviousGoal, Printer, Proof, Section,
    SectionKind as Kind, Signatory, Standing,
};
use tokio::{
    sync::{Semaphore, oneshot},
    time::Instant,
};

use crate::{
    domain::{
        agreement::{ChainGoalKind, MeetingStatus, Party},
        document::Status,
        ids::{AgreementId, PersonId},
    },
    rooms::Rooms,
    store::{
        self, Store,
        agreements::{AgreementRow, SectionRow},
        documents::DocumentRow,
        papers::ApprovalRow,
        people::PersonRow,
    },
};

/// The section that is said above the text.
const PARTIES: &str = "parter";
/// The section that tells of the meetings.
const DIALOGUE: &str = "dialog";

/// Prints documents. Cheap to clone.
#[derive(Clone)]
pub struct Papers {
    store: Store,
    rooms: Rooms,
    printer: Printer,
    turns: Arc<Semaphore>,
    demonstration: bool,
}

/// A document on paper.
#[derive(Clone, Debug)]
pub struct Printed {
    /// The file.
    pub pdf: Bytes,
    /// It shows a text that is still written in.
    pub draft: bool,
}

/// Why there is no paper.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The text cannot be had just now.
    #[error("the text cannot be read just now")]
    Unavailable,
    /// The printer refused it.
    #[error(transparent)]
    NotPrinted(#[from] NotPrinted),
    /// The printer ended without a word.
    #[error("the printer ended")]
    Ended,
}

/// People by id, as far as the paper names them.
type People = std::collections::HashMap<PersonId, PersonRow>;

impl Papers {
    /// Prints so many at once. `demonstration`: every paper says that it proves nothing.
    #[must_use]
    pub fn new(store: Store, rooms: Rooms, at_once_max: usize, demonstration: bool) -> Self {
        Self { store, rooms, printer: Printer::new(at_once_max), turns: Arc::new(Semaphore::new(at_once_max)), demonstration }
    }

    /// The document on paper, as it stands now or as it was signed. Whether somebody may read it was asked before.
    pub async fn of(&self, document: &DocumentRow, now: DateTime<Utc>) -> Result<Printed, Error> {
        let id = document.access.document;
        let frozen = self.store.frozen_revision(id).await?;
        let approvals = match &frozen {
            Some(frozen) => {
                let mut approvals = self.store.approvals_that_stand(id).await?;
                approvals.retain(|approval| approval.revision == frozen.number);
                approvals
            }
            None => Vec::new(),
        };
        let signed = frozen.as_ref().filter(|_| approvals.len() == 2).map(|frozen| (frozen.agreement, frozen.number));
        if let Some((_, revision)) = signed
            && let Some(kept) = self.store.paper(id, revision).await?
        {
            return Ok(Printed { pdf: kept.into(), draft: false });
        }
        let _turn = self.turns.acquire().await.map_err(|_| Error::Ended)?;
        let content = match &frozen {
            Some(frozen) => frozen.content.clone(),
            None => self.rooms.content(id).await.map_err(|_| Error::Unavailable)?.content,
        };
        let frozen = frozen.map(|frozen| (frozen.number, frozen.at));
        let paper = self.gather(document, content, frozen, &approvals, now).await?;
        let draft = matches!(paper.standing, Standing::Draft { .. });
        let pdf = self.print(paper).await?;
        let pdf = match signed {
            Some((agreement, revision)) => self.store.keep_paper(agreement, id, revision, &pdf, now).await?,
            None => pdf,
        };
        Ok(Printed { pdf: pdf.into(), draft })
    }

    async fn print(&self, paper: Paper) -> Result<Vec<u8>, Error> {
        let (done, printed) = oneshot::channel();
        let began = Instant::now();
        self.printer.print(paper, move |pdf| {
            // Whoever asked may have gone.
            let _ = done.send(pdf);
        });
        let pdf = printed.await.map_err(|_| Error::Ended)?;
        metrics::histogram!("samspil_print_seconds").record(began.elapsed());
        Ok(pdf?)
    }

    async fn gather(
        &self,
        document: &DocumentRow,
        content: Bytes,
        frozen: Option<(u32, DateTime<Utc>)>,
        approvals: &[ApprovalRow],
        now: DateTime<Utc>,
    ) -> Result<Paper, store::Error> {
        let id = document.access.document;
        let adoption = self.store.adoption(id).await?;
        let agreement = match document.agreement_id {
            Some(agreement) => self.store.agreements(&[(agreement, Some(id))]).await?.pop(),
            None => None,
        };
        let meetings = self.store.meetings(document.agreement_id.as_slice()).await?;
        let mut named: Vec<PersonId> = meetings.iter().flat_map(|meeting| meeting.participants.iter().map(|(person, _)| *person)).collect();
        named.extend(approvals.iter().map(|approval| approval.person));
        named.extend(agreement.iter().flat_map(|row| [row.unit_leader, row.counterpart]));
        let people = self.store.people(&named).await?;
        let sides = agreement.as_ref().map(|row| sides(row, approvals, &people)).unwrap_or_default();
        let standing = match (frozen, document.access.status) {
            (Some((revision, at)), _) => {
                Standing::Frozen { revision, at: Some(at), approvals: sides.iter().map(|(_, approval)| approval.clone()).collect() }
            }
            (None, Status::Adopted | Status::Superseded) => Standing::Adopted {
                by: adoption.as_ref().map(|adoption| adoption.by.clone()),
                on: adoption.as_ref().and_then(|adoption| adoption.on),
            },
            (None, _) => Standing::Draft { at: now },
        };
        let previous = match agreement.as_ref().and_then(|row| row.predecessor) {
            Some(predecessor) => self.previous(predecessor).await?,
            None => None,
        };
        let sections = self.store.document_sections(&[id]).await?.remove(&id).unwrap_or_default();
        let period = agreement.as_ref().map(|row| (row.period_from, row.period_to));
        Ok(Paper {
            document: id.0,
            content: content.to_vec(),
            municipality: self.store.municipality_name().await?.unwrap_or_default(),
            title: agreement.as_ref().map_or_else(|| document.title.clone(), |row| row.title.clone()),
            unit: agreement.as_ref().map(|row| row.unit.name.clone()),
            version: document.version,
            standing,
            parties: sides.into_iter().map(|(party, _)| party).collect(),
            period: period.or_else(|| adoption.and_then(|adoption| Some((adoption.from, adoption.to?)))),
            budget_frame_dkk: agreement.and_then(|row| row.budget_frame_dkk),
            sections: sections.into_iter().map(section).collect(),
            chain: self.chain().await?,
            previous,
            meetings: meetings
                .into_iter()
                .map(|meeting| Meeting {
                    number: meeting.number,
                    at: meeting.starts_at,
                    held: match meeting.status {
                        MeetingStatus::Held => Held::Held,
                        MeetingStatus::Planned => Held::Planned,
                        MeetingStatus::Cancelled => Held::Cancelled,
                    },
                    participants: meeting
                        .participants
                        .iter()
                        .filter_map(|(person, _)| Some(people.get(person)?.display_name.clone()))
                        .collect(),
                    political: meeting.covers_political_goals,
                    executive: meeting.covers_executive_goals,
                })
                .collect(),
            demonstration: self.demonstration || approvals.iter().any(|approval| proof(approval) == Proof::Demonstration),
            attachments: approvals.iter().flat_map(attachments).collect(),
        })
    }

    async fn chain(&self) -> Result<BTreeMap<String, ChainGoal>, store::Error> {
        let goals = self.store.chain_goals().await?.into_iter().map(|goal| {
            let printed = ChainGoal {
                code: goal.code,
                title: goal.title,
                document: goal.document_title,
                level: level(goal.kind),
                adopted: goal.document_status != Status::InPreparation,
                parents: goal.parents.iter().map(ToString::to_string).collect(),
            };
            (goal.id.to_string(), printed)
        });
        Ok(goals.collect())
    }

    async fn previous(&self, predecessor: AgreementId) -> Result<Option<Previous>, store::Error> {
        let Some(row) = self.store.agreements(&[(predecessor, None)]).await?.pop() else { return Ok(None) };
        let names = self.store.goal_status_names().await?;
        let goals = self.store.followed_goals(predecessor).await?.into_iter().map(|goal| PreviousGoal {
            code: goal.code,
            title: goal.title,
            status: goal.followups.last().map(|last| names.get(&last.status).unwrap_or(&last.status).clone()),
            notes: goal
                .followups
                .into_iter()
                .filter_map(|followup| {
                    let kind = if followup.kind == "midyear" { "Midtvejs" } else { "Årsstatus" };
                    Some((kind.to_owned(), followup.on, followup.note?))
                })
                .collect(),
        });
        Ok(Some(Previous { title: row.title, goals: goals.collect() }))
    }
}

/// The two sides, the unit's leader first: who the party is, and their approval. What a statement says of its people stands, also when they
/// have other titles now.
fn sides(row: &AgreementRow, approvals: &[ApprovalRow], people: &People) -> Vec<(Signatory, Option<Approval>)> {
    let known = |person: PersonId| {
        let row = people.get(&person);
        Signatory {
            name: row.map(|row| row.display_name.clone()).unwrap_or_default(),
            title: row.map(|row| row.title.clone()).unwrap_or_default(),
        }
    };
    let stated = |person: Stated| Signatory { name: person.name, title: person.title };
    [(Party::UnitLeader, row.unit_leader), (Party::Counterpart, row.counterpart)]
        .into_iter()
        .map(|(side, party)| {
            let Some(row) = approvals.iter().find(|approval| approval.party == side) else { return (known(party), None) };
            let proof = proof(row);
            let statement = row.evidence.as_ref().and_then(|evidence| Statement::from_bytes(&evidence.statement));
            let (by, on_behalf_of) = match statement {
                Some(statement) => (stated(statement.person), statement.on_behalf_of.map(stated)),
                None => (known(row.person), None),
            };
            let party = on_behalf_of.clone().unwrap_or_else(|| by.clone());
            (party, Some(Approval { by, on_behalf_of, at: row.at, level: row.level.clone(), proof }))
        })
        .collect()
}

fn proof(row: &ApprovalRow) -> Proof {
    match &row.evidence {
        None => Proof::Elsewhere,
        Some(evidence) if evidence.seal.is_none() => Proof::Demonstration,
        Some(_) => Proof::SignIn,
    }
}

/// The statement and the seal. The identity provider's token stays in the package: it tells more of a person than whoever may read the
/// agreement needs to know.
fn attachments(approval: &ApprovalRow) -> Vec<Attachment> {
    let Some(evidence) = &approval.evidence else { return Vec::new() };
    let side = match approval.party {
        Party::UnitLeader => "aftaleholder",
        Party::Counterpart => "modpart",
    };
    let file = |name: String, media_type: &str, description: &str, bytes: Vec<u8>| Attachment {
        name,
        media_type: media_type.to_owned(),
        description: description.to_owned(),
        bytes,
    };
    let said = match &evidence.seal {
        Some(_) => "Partens godkendelse, som den blev afgivet",
        None => "Godkendelse i en demonstration, som ingen har afgivet",
    };
    let mut files = vec![file(format!("godkendelse-{side}.json"), "application/json", said, evidence.statement.clone())];
    files.extend(evidence.seal.as_ref().map(|seal| {
        file(format!("segl-{side}.jws"), "application/jose", "Kommunens segl på godkendelsen og login", seal.clone().into_bytes())
    }));
    files
}

fn section(row: SectionRow) -> Section {
    let kind = match row.kind {
        SectionKind::Generated if row.key == PARTIES => Kind::Parties,
        SectionKind::Generated if row.key == DIALOGUE => Kind::Dialogue,
        SectionKind::Generated | SectionKind::RichText => Kind::Text,
        SectionKind::RichTextWithGoals => Kind::TextWithPrevious,
        SectionKind::Goals => Kind::Goals(row.goal_origin.map(|origin| origin_id(origin).to_owned())),
        SectionKind::Signatures => Kind::Signatures,
    };
    Section { key: row.key, title: row.title, kind }
}

fn origin_id(origin: GoalOrigin) -> &'static str {
    match origin {
        GoalOrigin::Political => "political",
        GoalOrigin::Executive => "executive",
        GoalOrigin::Local => "local",
    }
}

fn level(kind: ChainGoalKind) -> u8 {
    match kind {
        ChainGoalKind::VisionAim => 0,
        ChainGoalKind::PolicyGoal => 1,
        ChainGoalKind::StrategyGoal => 2,
        ChainGoalKind::BudgetPriority => 3,
        ChainGoalKind::ExecutiveGoal => 4,
        ChainGoalKind::Initiative => 5,
    }
}

#[cfg(test)]
mod tests;
