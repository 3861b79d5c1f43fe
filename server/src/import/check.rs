//! What must hold between the records, beyond each one's shape: ids are unique, references lead somewhere, trees have no rings, a status
//! follows from its history. Finds all faults, not only the first.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{
    Fault,
    data::{
        Agreement, AgreementStatus, Data, Document, EventKind, FeedbackFile, GoalLink, LifeEvent, Meeting, Node, NodeKind, PastAgreement,
        Person, Relation, SectionKind, TimePlanFile, id_of,
    },
    rows::decimal,
};
use crate::domain::principal::Role;

const ORGANISATION: &str = "organisation.json";
const PEOPLE: &str = "people.json";
const DOCUMENTS: &str = "governance-documents.json";
const TEMPLATE: &str = "agreement-template.json";
const MEETINGS: &str = "meetings.json";
const FEEDBACK: &str = "feedback.json";
const TIMEPLAN: &str = "timeplan.json";

/// Every fault between the records; empty: they can be written.
pub(super) fn check(data: &Data) -> Vec<Fault> {
    let mut check = Check { known: Known::of(data), faults: Vec::new() };
    check.unique(data);
    check.organisation(&data.organisation);
    for (place, person) in data.people.iter().enumerate() {
        check.person(&format!("people[{place}]"), person);
    }
    if let Some(plan) = &data.timeplan {
        check.time_plan(plan);
    }
    for (place, document) in data.documents.iter().enumerate() {
        check.document(&format!("documents[{place}]"), document);
    }
    check.rings("a document stands above itself", DOCUMENTS, &document_parents(data));
    check.rings("a goal stands above itself", DOCUMENTS, &goal_parents(data));
    for (file, agreement) in &data.agreements {
        check.agreement(file, agreement, data);
    }
    for (file, place, agreement) in &data.past {
        check.past_agreement(file, &format!("agreements[{place}]"), agreement);
    }
    for (place, meeting) in data.meetings.iter().enumerate() {
        check.meeting(&format!("meetings[{place}]"), meeting);
    }
    if let Some(feedback) = &data.feedback {
        check.feedback(feedback);
    }
    check.faults
}

/// The ids there are.
struct Known<'a> {
    people: HashSet<&'a str>,
    nodes: HashMap<&'a str, NodeKind>,
    roles: HashSet<&'a str>,
    documents: HashSet<&'a str>,
    chain_goals: HashSet<&'a str>,
    initiatives: HashSet<&'a str>,
    templates: HashSet<&'a str>,
    goal_statuses: HashSet<&'a str>,
    agreements: HashSet<&'a str>,
    past_agreements: HashSet<&'a str>,
    agreement_goals: HashSet<&'a str>,
    meetings: HashMap<&'a str, &'a [String]>,
    evaluations: HashSet<&'a str>,
}

impl<'a> Known<'a> {
    fn of(data: &'a Data) -> Self {
        let live_goals = data.agreements.iter().flat_map(|(_, agreement)| &agreement.goals).map(|goal| goal.id.as_str());
        let past_goals = data.past.iter().flat_map(|(.., agreement)| &agreement.goals).map(|goal| goal.id.as_str());
        Self {
            people: data.people.iter().map(|person| person.id.as_str()).collect(),
            nodes: data.organisation.iter().map(|node| (node.id.as_str(), node.kind)).collect(),
            roles: data.roles.iter().map(|role| role.id.as_str()).collect(),
            documents: data.documents.iter().map(|document| document.id.as_str()).collect(),
            chain_goals: data.documents.iter().flat_map(|document| &document.goals).map(|goal| goal.id.as_str()).collect(),
            initiatives: data.documents.iter().flat_map(|document| &document.initiatives).map(|one| one.id.as_str()).collect(),
            templates: data.templates.iter().flat_map(|file| &file.templates).map(|template| template.id.as_str()).collect(),
            goal_statuses: data.templates.iter().flat_map(|file| &file.goal_statuses).map(|status| status.id.as_str()).collect(),
            agreements: data.agreements.iter().map(|(_, agreement)| agreement.id.as_str()).collect(),
            past_agreements: data.past.iter().map(|(.., agreement)| agreement.id.as_str()).collect(),
            agreement_goals: live_goals.chain(past_goals).collect(),
            meetings: data.meetings.iter().map(|meeting| (meeting.id.as_str(), &meeting.agreement_ids[..])).collect(),
            evaluations: data.feedback.iter().flat_map(|file| &file.evaluations).map(|one| one.id.as_str()).collect(),
        }
    }
}

struct Check<'a> {
    known: Known<'a>,
    faults: Vec<Fault>,
}

impl Check<'_> {
    fn fault(&mut self, file: &str, path: impl Into<String>, reason: impl Into<String>) {
        self.faults.push(Fault::new(file, path, reason));
    }

    fn holds(&mut self, holds: bool, file: &str, path: impl FnOnce() -> String, reason: &str) {
        if !holds {
            self.faults.push(Fault::new(file, path(), reason));
        }
    }

    fn person_exists(&mut self, file: &str, path: String, id: &str) {
        if !self.known.people.contains(id) {
            self.fault(file, path, format!("no such person: {id}"));
        }
    }

    fn node_exists(&mut self, file: &str, path: String, id: &str) {
        if !self.known.nodes.contains_key(id) {
            self.fault(file, path, format!("no such node of the organisation: {id}"));
        }
    }

    fn document_exists(&mut self, path: String, file: &str, id: &str) {
        if !self.known.documents.contains(id) {
            self.fault(file, path, format!("no such governance document: {id}"));
        }
    }

    fn goal_exists(&mut self, file: &str, path: String, id: &str) {
        if !self.known.chain_goals.contains(id) {
            self.fault(file, path, format!("no such goal in a governance document: {id}"));
        }
    }

    fn goal_status_exists(&mut self, file: &str, path: String, id: &str) {
        if !self.known.goal_statuses.contains(id) {
            self.fault(file, path, format!("no such goal status in agreement-template.json: {id}"));
        }
    }

    /// Ids become UUIDs, so one slug must mean one thing of its sort.
    fn unique(&mut self, data: &Data) {
        let mut seen = Seen::default();
        for (place, person) in data.people.iter().enumerate() {
            seen.id("person", PEOPLE, format!("people[{place}].id"), &person.id);
        }
        for (place, node) in data.organisation.iter().enumerate() {
            seen.id("node", ORGANISATION, format!("nodes[{place}].id"), &node.id);
        }
        for (place, template) in data.templates.iter().flat_map(|file| &file.templates).enumerate() {
            seen.id("template", TEMPLATE, format!("templates[{place}].id"), &template.id);
            for (inner, section) in template.sections.iter().enumerate() {
                let path = format!("templates[{place}].sections[{inner}].key");
                seen.id("section", TEMPLATE, path, &format!("{}/{}", template.id, section.key));
            }
        }
        for (place, document) in data.documents.iter().enumerate() {
            seen.id("document", DOCUMENTS, format!("documents[{place}].id"), &document.id);
            for (inner, goal) in document.goals.iter().enumerate() {
                seen.id("goal", DOCUMENTS, format!("documents[{place}].goals[{inner}].id"), &goal.id);
            }
            for (inner, initiative) in document.initiatives.iter().enumerate() {
                seen.id("goal", DOCUMENTS, format!("documents[{place}].initiatives[{inner}].id"), &initiative.id);
            }
        }
        for (file, agreement) in &data.agreements {
            seen.id("document", file, "id".into(), &agreement.id);
            seen.id("period", file, "period.from".into(), &format!("{} from {}", agreement.unit_id, agreement.period.from));
            for (inner, goal) in agreement.goals.iter().enumerate() {
                seen.id("goal", file, format!("goals[{inner}].id"), &goal.id);
                seen.id("rank", file, format!("goals[{inner}].priority"), &format!("{} in {}", goal.priority, agreement.id));
                for (place, indicator) in goal.indicators.iter().enumerate() {
                    seen.id("indicator", file, format!("goals[{inner}].indicators[{place}].id"), &indicator.id);
                }
            }
            for (inner, thread) in agreement.comments.iter().enumerate() {
                seen.id("thread", file, format!("comments[{inner}].id"), &thread.id);
            }
        }
        for (file, place, agreement) in &data.past {
            seen.id("document", file, format!("agreements[{place}].id"), &agreement.id);
            let period = format!("{} from {}", agreement.unit_id, agreement.period.from);
            seen.id("period", file, format!("agreements[{place}].period.from"), &period);
            for (inner, goal) in agreement.goals.iter().enumerate() {
                seen.id("goal", file, format!("agreements[{place}].goals[{inner}].id"), &goal.id);
            }
        }
        for (place, meeting) in data.meetings.iter().enumerate() {
            seen.id("meeting", MEETINGS, format!("meetings[{place}].id"), &meeting.id);
        }
        if let Some(feedback) = &data.feedback {
            for (place, one) in feedback.management_reports.iter().enumerate() {
                seen.id("report", FEEDBACK, format!("management_reports[{place}].id"), &one.id);
            }
            for (place, one) in feedback.dialogues.iter().enumerate() {
                seen.id("dialogue", FEEDBACK, format!("dialogues[{place}].id"), &one.id);
            }
            for (place, one) in feedback.evaluations.iter().enumerate() {
                seen.id("evaluation", FEEDBACK, format!("evaluations[{place}].id"), &one.id);
            }
        }
        self.faults.extend(seen.faults);
    }

    fn organisation(&mut self, nodes: &[Node]) {
        for (place, node) in nodes.iter().enumerate() {
            let path = |field: &str| format!("nodes[{place}].{field}");
            for (field, id) in [
                ("head_person_id", &node.head_person_id),
                ("chair_person_id", &node.chair_person_id),
                ("counterpart_person_id", &node.counterpart_person_id),
            ] {
                if let Some(id) = id {
                    self.person_exists(ORGANISATION, path(field), id);
                }
            }
            for (field, id) in [("parent_id", &node.parent_id), ("board_id", &node.board_id), ("committee_id", &node.committee_id)] {
                if let Some(id) = id {
                    self.node_exists(ORGANISATION, path(field), id);
                }
            }
        }
        let parents: Vec<(String, &str, Vec<&str>)> = nodes
            .iter()
            .enumerate()
            .map(|(place, node)| {
                (format!("nodes[{place}].parent_id"), node.id.as_str(), node.parent_id.iter().map(String::as_str).collect())
            })
            .collect();
        self.rings("a node stands above itself", ORGANISATION, &parents);
    }

    fn person(&mut self, path: &str, person: &Person) {
        for (place, role) in person.roles.iter().enumerate() {
            let path = format!("{path}.roles[{place}]");
            let known = self.known.roles.contains(role.role.as_str()) && Role::from_id(&role.role).is_some();
            self.holds(known, PEOPLE, || format!("{path}.role"), &format!("no such role in roles.json and in this build: {}", role.role));
            self.node_exists(PEOPLE, format!("{path}.org_id"), &role.org_id);
            let in_order = role.from.zip(role.to).is_none_or(|(from, to)| from <= to);
            self.holds(in_order, PEOPLE, || format!("{path}.to"), "ends before it begins");
        }
    }

    fn time_plan(&mut self, file: &TimePlanFile) {
        let active = file.plans.iter().any(|plan| plan.id == file.active_plan);
        self.holds(active, TIMEPLAN, || "active_plan".into(), &format!("no such plan: {}", file.active_plan));
        self.holds(file.cell_order.len() == 16, TIMEPLAN, || "cell_order".into(), "four years of four quarters are sixteen cells");
        for (place, plan) in file.plans.iter().enumerate() {
            for (inner, row) in plan.rows.iter().enumerate() {
                let path = format!("plans[{place}].rows[{inner}].cells");
                self.holds(row.cells.len() == 16, TIMEPLAN, || path.clone(), "four years of four quarters are sixteen cells");
                for (cell, code) in row.cells.iter().enumerate() {
                    let known = file.cell_codes.contains_key(code);
                    self.holds(known, TIMEPLAN, || format!("{path}[{cell}]"), &format!("no such cell code: {code}"));
                }
            }
        }
    }

    fn document(&mut self, path: &str, document: &Document) {
        self.node_exists(DOCUMENTS, format!("{path}.adopted_by"), &document.adopted_by);
        self.node_exists(DOCUMENTS, format!("{path}.owner_org_id"), &document.owner_org_id);
        self.holds(document.version >= 1, DOCUMENTS, || format!("{path}.version"), "versions count from 1");
        let in_order = document.valid_to.is_none_or(|to| document.valid_from <= to);
        self.holds(in_order, DOCUMENTS, || format!("{path}.valid_to"), "ends before it begins");
        let adopted = matches!(document.status, super::data::DocumentStatus::InPreparation) == document.adopted_on.is_none();
        self.holds(adopted, DOCUMENTS, || format!("{path}.adopted_on"), "an adopted document has a day of adoption, another has none");
        for (place, id) in document.parent_ids.iter().enumerate() {
            self.document_exists(format!("{path}.parent_ids[{place}]"), DOCUMENTS, id);
        }
        if let Some(id) = &document.replaces_id {
            self.document_exists(format!("{path}.replaces_id"), DOCUMENTS, id);
        }
        for (place, id) in document.involved_org_ids.iter().enumerate() {
            self.node_exists(DOCUMENTS, format!("{path}.involved_org_ids[{place}]"), id);
        }
        for (place, frame) in document.unit_frames.iter().enumerate() {
            self.node_exists(DOCUMENTS, format!("{path}.unit_frames[{place}].org_id"), &frame.org_id);
        }
        for (place, goal) in document.goals.iter().enumerate() {
            for (inner, id) in goal.parent_goal_ids.iter().enumerate() {
                self.goal_exists(DOCUMENTS, format!("{path}.goals[{place}].parent_goal_ids[{inner}]"), id);
            }
        }
        for (place, initiative) in document.initiatives.iter().enumerate() {
            let path = format!("{path}.initiatives[{place}]");
            self.person_exists(DOCUMENTS, format!("{path}.responsible_person_id"), &initiative.responsible_person_id);
            self.holds(initiative.starts_on <= initiative.ends_on, DOCUMENTS, || format!("{path}.ends_on"), "ends before it begins");
            for (field, ids) in [("goal_ids", &initiative.goal_ids), ("policy_goal_ids", &initiative.policy_goal_ids)] {
                for (inner, id) in ids.iter().enumerate() {
                    self.goal_exists(DOCUMENTS, format!("{path}.{field}[{inner}]"), id);
                }
            }
        }
        if let Some(id) = document.midterm_review.as_ref().and_then(|review| review.evaluation_id.as_deref()) {
            let known = self.known.evaluations.contains(id);
            self.holds(known, DOCUMENTS, || format!("{path}.midterm_review.evaluation_id"), &format!("no such evaluation: {id}"));
        }
    }

    /// Parents by id, with the place of each; names every node that reaches itself.
    fn rings(&mut self, reason: &str, file: &str, parents: &[(String, &str, Vec<&str>)]) {
        let above: HashMap<&str, &[&str]> = parents.iter().map(|(_, id, above)| (*id, &above[..])).collect();
        for (path, id, direct) in parents {
            let mut seen: BTreeSet<&str> = BTreeSet::new();
            let mut waiting: Vec<&str> = direct.clone();
            while let Some(next) = waiting.pop() {
                if seen.insert(next) {
                    waiting.extend(above.get(next).copied().unwrap_or_default());
                }
            }
            if seen.contains(id) {
                self.fault(file, path.clone(), format!("{reason}: {id}"));
            }
        }
    }

    fn agreement(&mut self, file: &str, agreement: &Agreement, data: &Data) {
        self.head(file, "", &agreement.unit_id, &agreement.parties, &agreement.period);
        if let Some(id) = &agreement.predecessor_id {
            let known = self.known.past_agreements.contains(id.as_str()) || self.known.agreements.contains(id.as_str());
            self.holds(known && *id != agreement.id, file, || "predecessor_id".into(), &format!("no such agreement: {id}"));
        }
        let known = self.known.templates.contains(agreement.template_id.as_str());
        self.holds(known, file, || "template_id".into(), &format!("no such template: {}", agreement.template_id));
        self.holds(agreement.revision >= 0, file, || "revision".into(), "revisions count from 0");
        let template = data.templates.iter().flat_map(|file| &file.templates).find(|template| template.id == agreement.template_id);
        let sections = template.map(|template| &template.sections[..]).unwrap_or_default();
        let mut written = HashSet::new();
        for (place, section) in agreement.sections.iter().enumerate() {
            let path = format!("sections[{place}]");
            let kind = sections.iter().find(|known| known.key == section.key).map(|known| known.kind);
            let holds_text = matches!(kind, Some(SectionKind::RichText | SectionKind::RichTextWithGoals));
            self.holds(holds_text, file, || format!("{path}.key"), &format!("the template has no text section {}", section.key));
            self.holds(written.insert(&section.key), file, || format!("{path}.key"), "the section stands here twice");
            self.person_exists(file, format!("{path}.last_edited_by"), &section.last_edited_by);
        }
        for (place, goal) in agreement.goals.iter().enumerate() {
            self.agreement_goal(file, &format!("goals[{place}]"), goal);
        }
        for (place, id) in agreement.meeting_ids.iter().enumerate() {
            let names_us = self.known.meetings.get(id.as_str()).is_some_and(|agreements| agreements.contains(&agreement.id));
            self.holds(names_us, file, || format!("meeting_ids[{place}]"), &format!("no meeting {id} about this agreement in {MEETINGS}"));
        }
        for (place, thread) in agreement.comments.iter().enumerate() {
            let path = format!("comments[{place}]");
            let known = sections.iter().any(|section| section.key == thread.anchor.section_key);
            let reason = format!("the template has no section {}", thread.anchor.section_key);
            self.holds(known, file, || format!("{path}.anchor.section_key"), &reason);
            if let Some(id) = &thread.anchor.goal_id {
                let ours = agreement.goals.iter().any(|goal| goal.id == *id);
                self.holds(ours, file, || format!("{path}.anchor.goal_id"), &format!("no such goal in this agreement: {id}"));
            }
            self.holds(!thread.messages.is_empty(), file, || format!("{path}.messages"), "a thread begins with a message");
            for (inner, message) in thread.messages.iter().enumerate() {
                self.person_exists(file, format!("{path}.messages[{inner}].person_id"), &message.person_id);
            }
        }
        self.signatures(file, agreement);
        self.life(file, agreement);
    }

    fn head(&mut self, file: &str, prefix: &str, unit: &str, parties: &super::data::Parties, period: &super::data::Period) {
        let is_unit = matches!(self.known.nodes.get(unit), Some(NodeKind::AgreementUnit | NodeKind::Department));
        self.holds(is_unit, file, || format!("{prefix}unit_id"), &format!("no such unit or department: {unit}"));
        self.person_exists(file, format!("{prefix}parties.unit_leader_person_id"), &parties.unit_leader_person_id);
        self.person_exists(file, format!("{prefix}parties.counterpart_person_id"), &parties.counterpart_person_id);
        let two = parties.unit_leader_person_id != parties.counterpart_person_id;
        self.holds(two, file, || format!("{prefix}parties"), "an agreement has two parties");
        self.holds(period.from <= period.to, file, || format!("{prefix}period.to"), "ends before it begins");
    }

    fn agreement_goal(&mut self, file: &str, path: &str, goal: &super::data::Goal) {
        self.links(file, path, &goal.links);
        let numbered = goal.code == goal.priority.to_string();
        self.holds(numbered, file, || format!("{path}.code"), "a goal of an agreement is numbered by its priority");
        self.goal_status_exists(file, format!("{path}.status"), &goal.status);
        for (place, indicator) in goal.indicators.iter().enumerate() {
            let path = format!("{path}.indicators[{place}]");
            let mut days = HashSet::new();
            for (field, number) in [("baseline", &indicator.baseline), ("target", &indicator.target)] {
                self.holds(decimal(number).is_some(), file, || format!("{path}.{field}"), "not a plain decimal number");
            }
            for (inner, measured) in indicator.series.iter().enumerate() {
                self.holds(
                    decimal(&measured.value).is_some(),
                    file,
                    || format!("{path}.series[{inner}].value"),
                    "not a plain decimal number",
                );
                self.holds(days.insert(measured.on), file, || format!("{path}.series[{inner}].on"), "measured twice on one day");
            }
        }
    }

    fn links(&mut self, file: &str, path: &str, links: &[GoalLink]) {
        let mut seen = HashSet::new();
        for (place, link) in links.iter().enumerate() {
            let path = format!("{path}.links[{place}]");
            let id = link.goal_id.as_str();
            let known = match link.relation {
                Relation::ContributesToInitiative => self.known.initiatives.contains(id),
                Relation::Supports => self.known.chain_goals.contains(id),
                Relation::ConstrainedBy => self.known.chain_goals.contains(id) || self.known.initiatives.contains(id),
            };
            let reason = format!("nothing a goal can point at with this relation: {id}");
            self.holds(known, file, || format!("{path}.goal_id"), &reason);
            self.holds(seen.insert((id, link.relation)), file, || path.clone(), "the link stands here twice");
        }
    }

    fn signatures(&mut self, file: &str, agreement: &Agreement) {
        let mut standing = HashSet::new();
        for (place, signature) in agreement.signatures.iter().enumerate() {
            let path = format!("signatures[{place}]");
            self.person_exists(file, format!("{path}.person_id"), &signature.person_id);
            let lapse = signature.valid == signature.invalidated_reason.is_none();
            self.holds(lapse, file, || format!("{path}.invalidated_reason"), "a signature that lapsed has a reason, a valid one has none");
            let once = !signature.valid || standing.insert(signature.role);
            self.holds(once, file, || format!("{path}.role"), "this party has a valid signature already");
            let revision = (1..=agreement.revision).contains(&signature.revision);
            self.holds(revision, file, || format!("{path}.revision"), "no such revision yet");
            let hash = signature.content_sha256.as_ref().is_none_or(|hash| hex::decode(hash).is_ok_and(|bytes| bytes.len() == 32));
            self.holds(hash, file, || format!("{path}.content_sha256"), "not a SHA-256 in hexadecimal");
        }
    }

    /// The status can be derived from the history; the two must agree.
    fn life(&mut self, file: &str, agreement: &Agreement) {
        let mut before = None;
        for (place, event) in agreement.events.iter().enumerate() {
            let path = format!("events[{place}]");
            let in_order = before.is_none_or(|before| before <= event.at);
            self.holds(in_order, file, || format!("{path}.at"), "stands after a later event");
            before = Some(event.at);
            for (field, id) in [("person_id", &event.person_id), ("old", &event.old), ("new", &event.new)] {
                if let Some(id) = id {
                    self.person_exists(file, format!("{path}.{field}"), id);
                }
            }
            if let Some(id) = &event.meeting_id {
                let ours = self.known.meetings.get(id.as_str()).is_some_and(|agreements| agreements.contains(&agreement.id));
                self.holds(ours, file, || format!("{path}.meeting_id"), &format!("no meeting {id} about this agreement in {MEETINGS}"));
            }
            if let Some(field) = lacking(event) {
                self.holds(false, file, || format!("{path}.{field}"), &format!("{} needs this", id_of(event.kind)));
            }
        }
        let derived = statuses(&agreement.events).last().copied().flatten();
        if derived != Some(agreement.status) {
            let said = derived.map_or_else(|| "none".to_owned(), id_of);
            self.fault(file, "status", format!("the events lead to {said}, not to {}", id_of(agreement.status)));
        }
    }

    fn past_agreement(&mut self, file: &str, path: &str, agreement: &PastAgreement) {
        self.head(file, &format!("{path}."), &agreement.unit_id, &agreement.parties, &agreement.period);
        for (place, goal) in agreement.goals.iter().enumerate() {
            let path = format!("{path}.goals[{place}]");
            self.links(file, &path, &goal.links);
            for (inner, followup) in goal.followups.iter().enumerate() {
                self.goal_status_exists(file, format!("{path}.followups[{inner}].status"), &followup.status);
            }
        }
    }

    fn meeting(&mut self, path: &str, meeting: &Meeting) {
        self.holds(meeting.starts_at < meeting.ends_at, MEETINGS, || format!("{path}.ends_at"), "ends before it begins");
        for (place, id) in meeting.agreement_ids.iter().enumerate() {
            let known = self.known.agreements.contains(id.as_str()) || self.known.past_agreements.contains(id.as_str());
            self.holds(known, MEETINGS, || format!("{path}.agreement_ids[{place}]"), &format!("no such agreement: {id}"));
        }
        let mut seen = HashSet::new();
        for (place, participant) in meeting.participants.iter().enumerate() {
            let path = format!("{path}.participants[{place}].person_id");
            self.person_exists(MEETINGS, path.clone(), &participant.person_id);
            self.holds(seen.insert(&participant.person_id), MEETINGS, || path, "takes part twice");
        }
    }

    fn feedback(&mut self, file: &FeedbackFile) {
        for (place, report) in file.management_reports.iter().enumerate() {
            let path = format!("management_reports[{place}]");
            self.node_exists(FEEDBACK, format!("{path}.from_org_id"), &report.from_org_id);
            if let Some(id) = &report.to_person_id {
                self.person_exists(FEEDBACK, format!("{path}.to_person_id"), id);
            }
            if let Some(id) = &report.to_org_id {
                self.node_exists(FEEDBACK, format!("{path}.to_org_id"), id);
            }
            let one = report.to_person_id.is_some() != report.to_org_id.is_some();
            self.holds(one, FEEDBACK, || path.clone(), "goes to one person or one node, not to both or neither");
            for (inner, item) in report.items.iter().enumerate() {
                let known = self.known.agreement_goals.contains(item.agreement_goal_id.as_str());
                let reason = format!("no such goal in an agreement: {}", item.agreement_goal_id);
                self.holds(known, FEEDBACK, || format!("{path}.items[{inner}].agreement_goal_id"), &reason);
                self.goal_status_exists(FEEDBACK, format!("{path}.items[{inner}].status"), &item.status);
            }
        }
        for (place, dialogue) in file.dialogues.iter().enumerate() {
            let path = format!("dialogues[{place}]");
            self.node_exists(FEEDBACK, format!("{path}.host_org_id"), &dialogue.host_org_id);
            if let Some(id) = &dialogue.with_org_id {
                self.node_exists(FEEDBACK, format!("{path}.with_org_id"), id);
            }
            for (inner, id) in dialogue.feeds_document_ids.iter().enumerate() {
                self.document_exists(format!("{path}.feeds_document_ids[{inner}]"), FEEDBACK, id);
            }
        }
        for (place, evaluation) in file.evaluations.iter().enumerate() {
            let path = format!("evaluations[{place}]");
            self.document_exists(format!("{path}.document_id"), FEEDBACK, &evaluation.document_id);
            self.node_exists(FEEDBACK, format!("{path}.by_org_id"), &evaluation.by_org_id);
        }
    }
}

/// The status after each event; `None` before the history says one.
pub(super) fn statuses(events: &[LifeEvent]) -> Vec<Option<AgreementStatus>> {
    let mut status = None;
    events
        .iter()
        .map(|event| {
            status = match event.kind {
                EventKind::Created => Some(AgreementStatus::NotStarted),
                EventKind::StatusChanged => event.to,
                EventKind::MeetingHeld => Some(AgreementStatus::InDialogue),
                EventKind::Frozen => Some(AgreementStatus::ReadyToSign),
                EventKind::Signed if status == Some(AgreementStatus::PartlySigned) => Some(AgreementStatus::Signed),
                EventKind::Signed => Some(AgreementStatus::PartlySigned),
                EventKind::Reopened => Some(AgreementStatus::Reopened),
                EventKind::Closed => Some(AgreementStatus::Closed),
                _ => status,
            };
            status
        })
        .collect()
}

/// The field that an event of this kind must have and has not.
fn lacking(event: &LifeEvent) -> Option<&'static str> {
    let needs: &[(&'static str, bool)] = match event.kind {
        EventKind::StatusChanged => &[("from", event.from.is_some()), ("to", event.to.is_some())],
        EventKind::MeetingHeld => &[("meeting_id", event.meeting_id.is_some())],
        EventKind::Snapshot | EventKind::Frozen => &[("revision", event.revision.is_some())],
        EventKind::Signed | EventKind::SignatureInvalidated => &[("role", event.role.is_some()), ("revision", event.revision.is_some())],
        EventKind::Reopened => &[("reason", event.reason.is_some())],
        EventKind::PartyChanged => &[("role", event.role.is_some()), ("old", event.old.is_some()), ("new", event.new.is_some())],
        _ => &[],
    };
    needs.iter().find(|(_, there)| !there).map(|(field, _)| *field)
}

fn document_parents(data: &Data) -> Vec<(String, &str, Vec<&str>)> {
    data.documents
        .iter()
        .enumerate()
        .map(|(place, document)| {
            (format!("documents[{place}].parent_ids"), document.id.as_str(), document.parent_ids.iter().map(String::as_str).collect())
        })
        .collect()
}

fn goal_parents(data: &Data) -> Vec<(String, &str, Vec<&str>)> {
    let mut parents = Vec::new();
    for (place, document) in data.documents.iter().enumerate() {
        for (inner, goal) in document.goals.iter().enumerate() {
            let path = format!("documents[{place}].goals[{inner}].parent_goal_ids");
            parents.push((path, goal.id.as_str(), goal.parent_goal_ids.iter().map(String::as_str).collect()));
        }
    }
    parents
}

#[derive(Default)]
struct Seen {
    ids: HashSet<(&'static str, String)>,
    faults: Vec<Fault>,
}

impl Seen {
    fn id(&mut self, sort: &'static str, file: &str, path: String, id: &str) {
        if id.is_empty() {
            self.faults.push(Fault::new(file, path, "empty"));
        } else if !self.ids.insert((sort, id.to_owned())) {
            self.faults.push(Fault::new(file, path, format!("stands here twice: {id}")));
        }
    }
}
