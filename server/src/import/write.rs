//! Writes what is new and what follows the data, in one transaction, in the order that references ask for.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use samspil_evidence::{statement::log_hash, trail::SYSTEM_TRAIL};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    data::{Agreement, Data, DocumentStatus, Meeting, Node, Person, SectionKind, id_of},
    demonstration,
    plan::{Change, Report},
    rows,
};
use crate::{
    content,
    domain::{
        access::{AgreementAccess, DocumentAccess, abilities},
        document::{DocumentKind, Status},
        ids::{DocumentId, OrgId, PersonId, SessionId, imported},
        principal::{Placement, Principal, Role},
    },
    store::{
        Error, Result, Transaction, audit,
        creation::{NewDocument, create},
        import as table,
    },
};

/// Writes everything; the caller commits, or takes it back.
pub(super) async fn write(transaction: &mut Transaction, data: &Data, now: DateTime<Utc>) -> Result<Report> {
    table::lock(transaction).await?;
    let mut import = Import { known: table::records(transaction).await?, report: Report::default(), entries: Vec::new(), now };
    import.people_and_places(transaction, data).await?;
    import.municipality(transaction, data).await?;
    import.templates(transaction, data).await?;
    import.documents(transaction, data).await?;
    import.past_agreements(transaction, data).await?;
    import.agreements(transaction, data).await?;
    import.meetings(transaction, data).await?;
    import.feedback(transaction, data).await?;
    import.finish(transaction).await
}

struct Import {
    /// What earlier imports brought.
    known: HashMap<(String, String), Vec<u8>>,
    report: Report,
    /// Rows of `import_record` to write.
    entries: Vec<Value>,
    now: DateTime<Utc>,
}

impl Import {
    /// Does a record that follows the data have to be written?
    fn follows(&mut self, sort: &'static str, slug: &str, record: &impl Serialize) -> bool {
        let hash = hash(record);
        let change = match self.known.get(&(sort.to_owned(), slug.to_owned())) {
            None => Change::New,
            Some(known) if known[..] == hash[..] => Change::Unchanged,
            Some(_) => Change::Changed,
        };
        self.note(sort, slug, hash, change)
    }

    /// Does a record that is made once, and then belongs to the people here, have to be made?
    fn makes(&mut self, sort: &'static str, slug: &str, record: &impl Serialize) -> bool {
        let hash = hash(record);
        let change = match self.known.get(&(sort.to_owned(), slug.to_owned())) {
            None => Change::New,
            Some(known) if known[..] == hash[..] => Change::LeftAlone,
            Some(_) => Change::Differs,
        };
        self.note(sort, slug, hash, change)
    }

    fn note(&mut self, sort: &'static str, slug: &str, hash: [u8; 32], change: Change) -> bool {
        let write = matches!(change, Change::New | Change::Changed);
        if write {
            self.entries.push(json!({ "kind": sort, "slug": slug, "id": imported(slug), "sha256": hex::encode(hash), "at": self.now }));
        }
        self.report.records.push((sort, slug.to_owned(), change));
        write
    }

    async fn people_and_places(&mut self, transaction: &mut Transaction, data: &Data) -> Result<()> {
        let people: Vec<&Person> = data.people.iter().filter(|person| self.follows("person", &person.id, person)).collect();
        let nodes: Vec<&Node> =
            parents_first(&data.organisation).into_iter().filter(|node| self.follows("org_node", &node.id, node)).collect();
        if people.is_empty() && nodes.is_empty() {
            return Ok(());
        }
        table::raise_access_versions(transaction).await?;
        table::people(transaction, &people.iter().map(|person| rows::person(person)).collect()).await?;
        table::org_nodes(transaction, &nodes.into_iter().map(rows::node).collect()).await?;
        let ids: Vec<Uuid> = people.iter().map(|person| imported(&person.id)).collect();
        table::end_placements(transaction, &ids).await?;
        table::placements(transaction, &people.into_iter().flat_map(rows::placements).collect()).await
    }

    async fn municipality(&mut self, transaction: &mut Transaction, data: &Data) -> Result<()> {
        let (Some(file), Some(plan), Some(template)) = (&data.municipality, &data.timeplan, &data.templates) else { return Ok(()) };
        if self.follows("municipality", &file.municipality.id, &(file, plan.validity_carry_over.clone(), rows::draft_deadline(data))) {
            table::municipality(transaction, &rows::municipality(file, plan, data)).await?;
            table::terms(transaction, &rows::terms(file)).await?;
            table::values(transaction, &rows::values(file)).await?;
        }
        if self.follows("roles", "roles", &data.roles) {
            table::role_definitions(transaction, &rows::role_definitions(data)).await?;
        }
        if self.follows("status_names", "statuses", &(&template.goal_statuses, &template.agreement_statuses)) {
            table::status_names(transaction, &rows::status_names(template)).await?;
        }
        if self.follows("time_plan", "timeplan", plan) {
            let (plans, plan_rows) = rows::time_plans(plan);
            table::end_time_plans(transaction).await?;
            table::time_plans(transaction, &plans).await?;
            table::time_plan_rows(transaction, &plan_rows).await?;
        }
        Ok(())
    }

    async fn templates(&mut self, transaction: &mut Transaction, data: &Data) -> Result<()> {
        let mut templates = data.templates.as_ref().map(rows::templates).unwrap_or_default();
        for document in &data.documents {
            let template = rows::governance_template(document);
            if !templates.iter().any(|(slug, ..)| *slug == template.0) {
                templates.push(template);
            }
        }
        for (slug, row, sections) in templates {
            if self.makes("template", &slug, &(&row, &sections)) {
                table::templates(transaction, &json!([row])).await?;
                table::template_sections(transaction, &sections.into()).await?;
            }
        }
        Ok(())
    }

    async fn documents(&mut self, transaction: &mut Transaction, data: &Data) -> Result<()> {
        let mut made = Vec::new();
        for document in &data.documents {
            if !self.makes("document", &document.id, document) {
                continue;
            }
            let kind = DocumentKind::from_id(&id_of(document.kind)).ok_or_else(|| unknown("kind", id_of(document.kind)))?;
            let status = match document.status {
                DocumentStatus::InPreparation => Status::InPreparation,
                DocumentStatus::Adopted => Status::Adopted,
                DocumentStatus::Superseded => Status::Superseded,
            };
            let new = NewDocument {
                id: DocumentId(imported(&document.id)),
                slug: Some(&document.id),
                kind,
                title: &document.title,
                version: document.version,
                template: imported(&rows::document_template(document)),
                status,
                content: &rows::document_content(document, &data.people),
                by: None,
                at: self.now,
            };
            create(transaction, &new).await?;
            made.push(document);
        }
        table::chain_goal_attributes(transaction, &made.iter().flat_map(|document| rows::chain_goal_attributes(document)).collect())
            .await?;
        table::governance_documents(transaction, &made.iter().map(|document| rows::governance_document(document)).collect()).await?;
        table::governance_parents(transaction, &made.iter().flat_map(|document| rows::governance_parents(document)).collect()).await?;
        table::involved_orgs(transaction, &made.iter().flat_map(|document| rows::involved_orgs(document)).collect()).await?;
        table::unit_frames(transaction, &made.iter().flat_map(|document| rows::unit_frames(document)).collect()).await
    }

    async fn past_agreements(&mut self, transaction: &mut Transaction, data: &Data) -> Result<()> {
        for (.., agreement) in &data.past {
            if self.makes("agreement", &agreement.id, agreement) {
                let (goals, links, followups) = rows::past_goals(agreement);
                table::agreements(transaction, &rows::past_agreement(agreement)).await?;
                table::past_goals(transaction, &goals).await?;
                table::past_goal_links(transaction, &links).await?;
                table::followups(transaction, &followups).await?;
            }
        }
        Ok(())
    }

    async fn agreements(&mut self, transaction: &mut Transaction, data: &Data) -> Result<()> {
        let mut agreements: Vec<&Agreement> = data.agreements.iter().map(|(_, agreement)| agreement).collect();
        // A predecessor before its successor.
        agreements.sort_by_key(|agreement| agreement.period.from);
        for agreement in agreements {
            if self.makes("agreement", &agreement.id, agreement) {
                self.agreement(transaction, data, agreement).await?;
            }
        }
        Ok(())
    }

    async fn agreement(&self, transaction: &mut Transaction, data: &Data, agreement: &Agreement) -> Result<()> {
        let id = imported(&agreement.id);
        let document = DocumentId(rows::first_version(&agreement.id));
        let content = rows::agreement_content(agreement, &text_sections(data, &agreement.template_id));
        let status = id_of(agreement.status);
        let new = NewDocument {
            id: document,
            slug: Some(&agreement.id),
            kind: DocumentKind::Agreement,
            title: &agreement.title,
            version: 1,
            template: imported(&agreement.template_id),
            status: Status::from_id(DocumentKind::Agreement, &status).ok_or_else(|| unknown("status", status))?,
            content: &content,
            by: None,
            at: self.now,
        };
        let content_sha256 = create(transaction, &new).await?;
        table::agreements(transaction, &rows::agreement(agreement)).await?;
        table::agreement_versions(transaction, &json!([{ "document_id": document.0, "agreement_id": id }])).await?;
        table::attainments(transaction, &rows::attainments(agreement)).await?;
        table::measurements(transaction, &rows::measurements(agreement)).await?;
        table::revisions(transaction, &rows::revisions(agreement, &content, content_sha256)).await?;
        table::section_edits(transaction, &rows::section_edits(agreement)).await?;
        let (threads, comments) = rows::threads(agreement, &content);
        table::threads(transaction, &threads).await?;
        table::comments(transaction, &comments).await?;
        let first_update = content::sha256(&content::build(&content, content::first_client(document.0)));
        let shown = demonstration::shown(data, agreement, &content_sha256, &log_hash([(1, None, first_update)]));
        table::signatures(transaction, &rows::signatures(agreement, content_sha256, data.is_fictional())).await?;
        table::approvals(transaction, &shown.iter().filter_map(|shown| shown.row(document.0)).collect()).await?;
        table::journal_deliveries(transaction, &rows::journal(agreement)).await?;
        table::agreement_events(transaction, &rows::agreement_events(agreement).into()).await?;
        for event in &agreement.events {
            let person = event.person_id.as_deref().map(|slug| PersonId(imported(slug)));
            let mut body = rows::audit_body(event);
            for shown in &shown {
                shown.mark(event, document.0, &mut body);
            }
            audit::append(transaction, id, &id_of(event.kind), person, body, event.at).await?;
        }
        let authors = agreement.comments.iter().flat_map(|thread| &thread.messages).map(|message| message.person_id.as_str());
        self.share(transaction, data, agreement, authors.collect()).await
    }

    async fn meetings(&mut self, transaction: &mut Transaction, data: &Data) -> Result<()> {
        for meeting in &data.meetings {
            if self.makes("meeting", &meeting.id, meeting) {
                let (row, agreements, participants) = rows::meeting(meeting);
                table::meetings(transaction, &row).await?;
                table::meeting_agreements(transaction, &agreements).await?;
                table::participants(transaction, &participants).await?;
                self.share_meeting(transaction, data, meeting).await?;
            }
        }
        Ok(())
    }

    async fn share_meeting(&self, transaction: &mut Transaction, data: &Data, meeting: &Meeting) -> Result<()> {
        for (_, agreement) in &data.agreements {
            if meeting.agreement_ids.contains(&agreement.id) {
                let people = meeting.participants.iter().map(|participant| participant.person_id.as_str());
                self.share(transaction, data, agreement, people.collect()).await?;
            }
        }
        Ok(())
    }

    /// A grant for everybody here who may not comment on the agreement anyway (design §6).
    async fn share(&self, transaction: &mut Transaction, data: &Data, agreement: &Agreement, people: BTreeSet<&str>) -> Result<()> {
        let document = rows::first_version(&agreement.id);
        let access = access(data, agreement).ok_or_else(|| unknown("status", id_of(agreement.status)))?;
        let without = data.people.iter().filter(|person| people.contains(person.id.as_str()));
        let grants: Value = without
            .filter(|person| !abilities(&principal(person), &access, self.now).comment)
            .map(|person| {
                json!({
                    "id": imported(&format!("{}/grant/{}", agreement.id, person.id)), "document_id": document,
                    "person_id": imported(&person.id), "kind": "comment",
                })
            })
            .collect();
        table::grants(transaction, &grants).await
    }

    async fn feedback(&mut self, transaction: &mut Transaction, data: &Data) -> Result<()> {
        let Some(file) = &data.feedback else { return Ok(()) };
        for evaluation in &file.evaluations {
            if self.makes("evaluation", &evaluation.id, evaluation) {
                table::evaluations(transaction, &rows::evaluation(evaluation)).await?;
            }
        }
        for report in &file.management_reports {
            if self.makes("management_report", &report.id, report) {
                let (row, items) = rows::report(report);
                table::reports(transaction, &row).await?;
                table::report_items(transaction, &items).await?;
            }
        }
        for dialogue in &file.dialogues {
            if self.makes("public_dialogue", &dialogue.id, dialogue) {
                let (row, documents) = rows::dialogue(dialogue);
                table::dialogues(transaction, &row).await?;
                table::dialogue_documents(transaction, &documents).await?;
            }
        }
        Ok(())
    }

    /// Says what has vanished, keeps what was read, and leaves a line in the system's trail when anything was written.
    async fn finish(mut self, transaction: &mut Transaction) -> Result<Report> {
        let read: HashSet<(&str, &str)> = self.report.records.iter().map(|(sort, slug, _)| (*sort, slug.as_str())).collect();
        let vanished: Vec<(&'static str, String, Change)> = self
            .known
            .keys()
            .filter(|(sort, slug)| !read.contains(&(sort.as_str(), slug.as_str())))
            .filter_map(|(sort, slug)| Some((SORTS.into_iter().find(|known| known == sort)?, slug.clone(), Change::Vanished)))
            .collect();
        self.report.records.extend(vanished);
        self.report.records.sort();
        if !self.entries.is_empty() {
            table::import_records(transaction, &self.entries.into()).await?;
            let body = json!({ "new": self.report.count(Change::New), "changed": self.report.count(Change::Changed) });
            audit::append(transaction, SYSTEM_TRAIL, "imported", None, body, self.now).await?;
        }
        Ok(self.report)
    }
}

/// Every sort of record that an import writes.
const SORTS: [&str; 13] = [
    "agreement",
    "document",
    "evaluation",
    "management_report",
    "meeting",
    "municipality",
    "org_node",
    "person",
    "public_dialogue",
    "roles",
    "status_names",
    "template",
    "time_plan",
];

fn hash(record: &impl Serialize) -> [u8; 32] {
    content::sha256(&serde_json::to_vec(record).expect("a record that was read can be written"))
}

fn unknown(what: &'static str, value: String) -> Error {
    Error::Unknown { table: "document", what, value }
}

/// The sections of live text in this template.
fn text_sections<'a>(data: &'a Data, template: &str) -> Vec<&'a str> {
    let templates = data.templates.iter().flat_map(|file| &file.templates).filter(|known| known.id == template);
    let text = |kind| matches!(kind, SectionKind::RichText | SectionKind::RichTextWithGoals);
    templates.flat_map(|template| &template.sections).filter(|section| text(section.kind)).map(|section| section.key.as_str()).collect()
}

/// A node after the one above it. The check has found that there are no rings.
fn parents_first(nodes: &[Node]) -> Vec<&Node> {
    let mut placed: HashSet<&str> = HashSet::new();
    let mut ordered = Vec::with_capacity(nodes.len());
    while ordered.len() < nodes.len() {
        let before = ordered.len();
        for node in nodes {
            let ready = node.parent_id.as_deref().is_none_or(|parent| placed.contains(parent));
            if ready && placed.insert(&node.id) {
                ordered.push(node);
            }
        }
        if ordered.len() == before {
            break;
        }
    }
    ordered
}

/// What decides who may do what with an agreement, as the data has it and without grants.
fn access(data: &Data, agreement: &Agreement) -> Option<DocumentAccess> {
    let parent = |id: &str| data.organisation.iter().find(|node| node.id == id).and_then(|node| node.parent_id.as_deref());
    let above = std::iter::successors(parent(&agreement.unit_id), |id| parent(id)).map(|id| OrgId(imported(id))).collect();
    Some(DocumentAccess {
        document: DocumentId(rows::first_version(&agreement.id)),
        kind: DocumentKind::Agreement,
        status: Status::from_id(DocumentKind::Agreement, &id_of(agreement.status))?,
        agreement: Some(AgreementAccess {
            unit: OrgId(imported(&agreement.unit_id)),
            above,
            unit_leader: PersonId(imported(&agreement.parties.unit_leader_person_id)),
            counterpart: PersonId(imported(&agreement.parties.counterpart_person_id)),
        }),
        grants: Vec::new(),
    })
}

/// The person as they would stand here with every role in the token that the organisation has placed them in.
fn principal(person: &Person) -> Principal {
    let placements: Vec<Placement> = person
        .roles
        .iter()
        .filter_map(|role| {
            let org = OrgId(imported(&role.org_id));
            Some(Placement { role: Role::from_id(&role.role)?, org, from: role.from, to: role.to })
        })
        .collect();
    Principal {
        person: PersonId(imported(&person.id)),
        session: SessionId(Uuid::nil()),
        token_roles: placements.iter().map(|placement| placement.role).collect(),
        placements,
    }
}
