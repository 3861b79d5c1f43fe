//! From records of the data to rows and contents. Pure: one record in, JSON in the columns' names out.

use chrono::{Datelike, NaiveDate};
use serde_json::{Number, Value, json};
use uuid::Uuid;

use super::data::{
    Agreement, Data, Document, DocumentType, EventKind, LifeEvent, Meeting, Message, MunicipalityFile, Node, PastAgreement, Person, Report,
    TemplateFile, Thread, TimePlanFile, id_of,
};
use crate::{
    content::{self, Action, Content, Goal, Indicator, Link, SCHEMA, blocks, bullets, paragraph},
    domain::{comments::About, ids::imported, signoff::DEMONSTRATION},
    rooms::anchors::Anchors,
};

/// The section of a governance document that holds its summary.
const SUMMARY: &str = "resume";
/// The section of an executive strategy that holds its overall guidelines.
const GUIDELINES: &str = "retningslinjer";

/// The document of an agreement's first version. Its own id, not the agreement's: the two must not be taken for one another.
pub(super) fn first_version(agreement: &str) -> Uuid {
    imported(&format!("{agreement}/version/1"))
}

fn maybe(slug: Option<&String>) -> Option<Uuid> {
    slug.map(|slug| imported(slug))
}

/// A decimal as text with a full stop; `None` when it is written with an exponent.
pub(super) fn decimal(number: &Number) -> Option<String> {
    let text = number.to_string();
    text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-')).then_some(text)
}

/// The key that stands at this place among keys that npm's `fractional-indexing` makes: a0 … az, b00 …
pub(super) fn rank(place: usize) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let digit = |value: usize| char::from(DIGITS[value % 62]);
    match place.checked_sub(62) {
        None => format!("a{}", digit(place)),
        Some(place) => format!("b{}{}", digit(place / 62), digit(place)),
    }
}

// ── What people wrote ───────────────────────────────────────────────────────────────────────────────────────────────

/// What an agreement says.
pub(super) fn agreement_content(agreement: &Agreement, text_sections: &[&str]) -> Content {
    let mut goals: Vec<_> = agreement.goals.iter().collect();
    goals.sort_by_key(|goal| goal.priority);
    let body = |key: &str| agreement.sections.iter().find(|section| section.key == key).map_or("", |section| &section.body_md);
    Content {
        schema: SCHEMA,
        template: imported(&agreement.template_id).to_string(),
        sections: text_sections.iter().map(|key| ((*key).to_owned(), blocks(body(key)))).collect(),
        goals: goals.into_iter().enumerate().map(|(place, goal)| agreement_goal(place, goal)).collect(),
    }
}

fn agreement_goal(place: usize, goal: &super::data::Goal) -> Goal {
    let mut indicators: Vec<Indicator> = goal.indicators.iter().map(indicator).collect();
    indicators.sort_by(|one, other| one.id.cmp(&other.id));
    Goal {
        id: imported(&goal.id).to_string(),
        title: paragraph(&goal.title),
        body: blocks(&goal.description_md),
        success: bullets(&goal.success_criteria),
        responsible: paragraph(""),
        origin: id_of(goal.origin),
        rank: rank(place),
        due: String::new(),
        actions: goal.actions.iter().enumerate().map(|(place, action)| self::action(&goal.id, place, action)).collect(),
        indicators,
        links: links(&goal.id, goal.links.iter().map(|link| (link.goal_id.as_str(), link.relation.in_text()))),
    }
}

fn action(goal: &str, place: usize, action: &super::data::Action) -> Action {
    Action {
        id: imported(&format!("{goal}/action/{place}")).to_string(),
        text: paragraph(&action.text),
        responsible: paragraph(&action.responsible),
        due: action.due_on.to_string(),
        rank: rank(place),
    }
}

fn indicator(indicator: &super::data::Indicator) -> Indicator {
    Indicator {
        id: imported(&indicator.id).to_string(),
        name: paragraph(&indicator.name),
        source: paragraph(&indicator.source),
        unit: indicator.unit.clone(),
        direction: id_of(indicator.direction),
        frequency: indicator.frequency.clone(),
        baseline: decimal(&indicator.baseline).unwrap_or_default(),
        target: decimal(&indicator.target).unwrap_or_default(),
    }
}

fn links<'a>(goal: &str, targets: impl Iterator<Item = (&'a str, &'static str)>) -> Vec<Link> {
    let mut links: Vec<Link> = targets
        .map(|(target, relation)| Link {
            id: imported(&format!("{goal}/link/{target}/{relation}")).to_string(),
            target: imported(target).to_string(),
            relation: relation.to_owned(),
            reason: paragraph(""),
        })
        .collect();
    links.sort_by(|one, other| one.id.cmp(&other.id));
    links
}

/// What a governance document says: its summary, its own sections, its guidelines and its goals, in the same schema as agreements.
pub(super) fn document_content(document: &Document, people: &[Person]) -> Content {
    let mut sections: std::collections::BTreeMap<_, _> = [(SUMMARY.to_owned(), blocks(&document.summary))].into();
    sections.extend(document.sections.iter().map(|section| (key_of(&section.title), blocks(&section.body))));
    if document.kind == DocumentType::ExecutiveStrategy {
        sections.insert(GUIDELINES.to_owned(), bullets(&document.guidelines));
    }
    let goals = document.goals.iter().map(|goal| Goal {
        id: imported(&goal.id).to_string(),
        title: paragraph(&goal.title),
        body: blocks(&goal.description),
        success: bullets(&[]),
        responsible: paragraph(""),
        origin: id_of(goal.kind),
        links: links(&goal.id, goal.parent_goal_ids.iter().map(|parent| (parent.as_str(), "contributes_to"))),
        ..Goal::default()
    });
    let name = |id: &str| people.iter().find(|person| person.id == id).map_or("", |person| person.display_name.as_str());
    let initiatives = document.initiatives.iter().map(|initiative| {
        let served = initiative.goal_ids.iter().map(|goal| (goal.as_str(), "contributes_to"));
        let implemented = initiative.policy_goal_ids.iter().map(|goal| (goal.as_str(), "implements"));
        Goal {
            id: imported(&initiative.id).to_string(),
            title: paragraph(&initiative.title),
            body: paragraph(""),
            success: bullets(&[]),
            responsible: paragraph(name(&initiative.responsible_person_id)),
            origin: "initiative".to_owned(),
            due: initiative.ends_on.to_string(),
            links: links(&initiative.id, served.chain(implemented)),
            ..Goal::default()
        }
    });
    let goals = goals.chain(initiatives).enumerate().map(|(place, goal)| Goal { rank: rank(place), ..goal }).collect();
    Content { schema: SCHEMA, template: imported(&document_template(document)).to_string(), sections, goals }
}

/// The template of a governance document: its kind's, or one of its own when it has sections of its own.
pub(super) fn document_template(document: &Document) -> String {
    if document.sections.is_empty() { format!("tpl-{}", id_of(document.kind)) } else { format!("tpl-{}", document.id) }
}

/// A section's key made of its title, as the agreement template's keys are: small letters, æ ø å written out.
fn key_of(title: &str) -> String {
    let mut key = String::new();
    for letter in title.to_lowercase().chars() {
        match letter {
            'æ' => key.push_str("ae"),
            'ø' => key.push_str("oe"),
            'å' => key.push_str("aa"),
            letter if letter.is_ascii_alphanumeric() => key.push(letter),
            _ if !key.ends_with('_') => key.push('_'),
            _ => {}
        }
    }
    key.trim_matches('_').to_owned()
}

// ── Templates ───────────────────────────────────────────────────────────────────────────────────────────────────────

/// The agreement templates: (slug, row, rows of its sections).
pub(super) fn templates(file: &TemplateFile) -> Vec<(String, Value, Vec<Value>)> {
    file.templates
        .iter()
        .map(|template| {
            let row = json!({
                "id": imported(&template.id), "slug": template.id, "document_kind": "agreement", "name": template.name,
                "valid_from": template.valid_from, "language": template.language, "max_goals": template.max_goals,
                "guidance": template.guidance,
            });
            let sections = template.sections.iter().enumerate().map(|(place, section)| {
                json!({
                    "template_id": imported(&template.id), "key": section.key, "rank": place, "title": section.title,
                    "kind": section.kind, "goal_origin": section.goal_origin, "required": section.required, "guidance": section.guidance,
                })
            });
            (template.id.clone(), row, sections.collect())
        })
        .collect()
}

/// The template that a governance document is made from.
pub(super) fn governance_template(document: &Document) -> (String, Value, Vec<Value>) {
    let slug = document_template(document);
    let id = imported(&slug);
    let name = match document.kind {
        DocumentType::Vision => "Politisk vision",
        DocumentType::Policy => "Politik",
        DocumentType::Strategy => "Strategi",
        DocumentType::Budget => "Budget",
        DocumentType::ExecutiveStrategy => "Direktionens strategi",
        DocumentType::Guideline => "Retningslinje",
    };
    let mut sections = vec![(SUMMARY.to_owned(), "Kort fortalt", "rich_text", true)];
    sections.extend(document.sections.iter().map(|section| (key_of(&section.title), section.title.as_str(), "rich_text", false)));
    if document.kind != DocumentType::Guideline {
        sections.push(("maal".to_owned(), "Mål", "goals", false));
    }
    if document.kind == DocumentType::ExecutiveStrategy {
        sections.push((GUIDELINES.to_owned(), "Overordnede retningslinjer", "rich_text", false));
    }
    let rows = sections.into_iter().enumerate().map(|(place, (key, title, kind, required))| {
        json!({ "template_id": id, "key": key, "rank": place, "title": title, "kind": kind, "required": required })
    });
    let row = json!({ "id": id, "slug": slug, "document_kind": document.kind, "name": name, "language": "da" });
    let rows = rows.collect();
    (slug, row, rows)
}

// ── The municipality and its people ─────────────────────────────────────────────────────────────────────────────────

/// The municipality's row.
pub(super) fn municipality(file: &MunicipalityFile, plan: &TimePlanFile, data: &Data) -> Value {
    let one = &file.municipality;
    let mut settings = file.settings.clone();
    settings.draft_deadline = settings.draft_deadline.or_else(|| draft_deadline(data));
    json!([{
        "id": imported(&one.id), "slug": one.id, "name": one.name, "cvr": one.cvr, "email_domain": one.email_domain, "locale": one.locale,
        "time_zone": one.time_zone, "settings": settings, "demo_now": file.clock.as_ref().map(|clock| clock.demo_now), "clock_note": file.clock.as_ref().map(|clock| &clock.note),
        "time_plan_frame": {
            "cell_codes": plan.cell_codes, "cell_order": plan.cell_order, "columns": plan.columns,
            "validity_carry_over": plan.validity_carry_over,
        },
    }])
}

/// The draft's deadline stands only in the guideline's words: *udkast senest den 20. november*. The day is the first such one from the
/// guideline's first day on; none, when no guideline says it.
pub(super) fn draft_deadline(data: &Data) -> Option<NaiveDate> {
    const MONTHS: [&str; 12] =
        ["januar", "februar", "marts", "april", "maj", "juni", "juli", "august", "september", "oktober", "november", "december"];
    let guidelines = data.documents.iter().filter(|document| document.kind == DocumentType::Guideline);
    guidelines.max_by_key(|document| document.valid_from).and_then(|guideline| {
        let (_, after) = guideline.summary.split_once("udkast senest den ")?;
        let mut words = after.split([' ', ',', ';']);
        let day = words.next()?.strip_suffix('.')?.parse().ok()?;
        let month = words.next()?.trim_end_matches('.');
        let month = u32::try_from(MONTHS.iter().position(|name| *name == month)?).ok()? + 1;
        let year = guideline.valid_from.year();
        [year, year + 1].into_iter().find_map(|year| NaiveDate::from_ymd_opt(year, month, day).filter(|day| *day >= guideline.valid_from))
    })
}

/// Both council terms.
pub(super) fn terms(file: &MunicipalityFile) -> Value {
    [(&file.term, true), (&file.previous_term, false)]
        .into_iter()
        .map(|(term, current)| {
            json!({
                "id": imported(&term.id), "slug": term.id, "label": term.label, "starts_on": term.starts_on, "ends_on": term.ends_on,
                "years": term.years.values().collect::<Vec<_>>(), "current": current,
            })
        })
        .collect()
}

/// Values.
pub(super) fn values(file: &MunicipalityFile) -> Value {
    let of = |kind: &'static str, values: &[super::data::Named]| -> Vec<Value> {
        let rows = values.iter().enumerate();
        rows.map(|(place, one)| json!({ "id": imported(&one.id), "slug": one.id, "kind": kind, "name": one.name, "rank": place })).collect()
    };
    of("leadership", &file.leadership_values).into_iter().chain(of("unit", &file.unit_values)).collect()
}

/// Names of statuses.
pub(super) fn status_names(file: &TemplateFile) -> Value {
    let of = |scope: &'static str, names: &[super::data::Named]| -> Vec<Value> {
        names.iter().enumerate().map(|(place, one)| json!({ "scope": scope, "id": one.id, "name": one.name, "rank": place })).collect()
    };
    of("goal", &file.goal_statuses).into_iter().chain(of("agreement", &file.agreement_statuses)).collect()
}

/// Roles in words.
pub(super) fn role_definitions(data: &Data) -> Value {
    let rows = data.roles.iter().enumerate();
    rows.map(|(place, role)| {
        json!({
            "id": role.id, "name": role.name, "named_in_source": role.named_in_source, "scope": role.scope, "can": role.can, "rank": place,
        })
    })
    .collect()
}

/// Readings of the time plan, and their rows.
pub(super) fn time_plans(file: &TimePlanFile) -> (Value, Value) {
    let plans = file.plans.iter().enumerate().map(|(place, plan)| {
        json!({
            "id": time_plan_id(&plan.id), "slug": plan.id, "title": plan.title, "certainty": plan.certainty,
            "active": plan.id == file.active_plan, "rank": place,
        })
    });
    let rows = file.plans.iter().flat_map(|plan| {
        plan.rows.iter().enumerate().map(|(place, row)| {
            json!({
                "plan_id": time_plan_id(&plan.id), "rank": place, "document_type": row.document_type, "label": row.label,
                "level": row.level, "cells": row.cells,
            })
        })
    });
    (plans.collect(), rows.collect())
}

/// Plans have short names that other things may bear too.
fn time_plan_id(slug: &str) -> Uuid {
    imported(&format!("time-plan/{slug}"))
}

/// A person's row.
pub(super) fn person(person: &Person) -> Value {
    json!({
        "id": imported(&person.id), "slug": person.id, "given_name": person.given_name, "family_name": person.family_name,
        "display_name": person.display_name, "initials": person.initials, "title": person.title, "upn": person.upn, "email": person.email,
        "external": person.external,
    })
}

/// Where a person stands.
pub(super) fn placements(person: &Person) -> impl Iterator<Item = Value> {
    person.roles.iter().map(|role| {
        let from = role.from.map(|day| day.to_string()).unwrap_or_default();
        json!({
            "id": imported(&format!("{}/{}/{}/{from}", person.id, role.role, role.org_id)), "person_id": imported(&person.id),
            "role": role.role, "org_id": imported(&role.org_id), "from_day": role.from, "to_day": role.to,
        })
    })
}

/// A node's row.
pub(super) fn node(node: &Node) -> Value {
    json!({
        "id": imported(&node.id), "slug": node.id, "parent_id": maybe(node.parent_id.as_ref()), "kind": node.kind, "name": node.name,
        "unit_type": node.unit_type, "head_person_id": maybe(node.head_person_id.as_ref()),
        "chair_person_id": maybe(node.chair_person_id.as_ref()), "counterpart_person_id": maybe(node.counterpart_person_id.as_ref()),
        "board_id": maybe(node.board_id.as_ref()), "committee_id": maybe(node.committee_id.as_ref()), "seats": node.seats,
        "employees": node.employees, "users": node.users, "users_label": node.users_label,
    })
}

// ── Governance documents ────────────────────────────────────────────────────────────────────────────────────────────

/// What a governance document has besides its text.
pub(super) fn governance_document(document: &Document) -> Value {
    let review = document.midterm_review.as_ref();
    json!({
        "document_id": imported(&document.id), "level": document.level, "adopted_on": document.adopted_on,
        "adopted_by_org_id": imported(&document.adopted_by), "planned_adoption_on": document.planned_adoption_on,
        "valid_from": document.valid_from, "valid_to": document.valid_to, "owner_org_id": imported(&document.owner_org_id),
        "policy_area": document.policy_area, "summary": content::plain_blocks(&blocks(&document.summary)).join("\n\n"),
        "price_level": document.price_level, "currency": document.currency, "replaces_id": maybe(document.replaces_id.as_ref()),
        "midterm_due_on": review.map(|review| review.due_on),
        "midterm_evaluation_id": review.and_then(|review| maybe(review.evaluation_id.as_ref())),
        "midterm_evaluated_on": review.and_then(|review| review.evaluated_on),
        "midterm_revised_on": review.and_then(|review| review.revised_on),
        "midterm_result_version": review.and_then(|review| review.result_version),
    })
}

/// The documents above it.
pub(super) fn governance_parents(document: &Document) -> impl Iterator<Item = Value> {
    let id = imported(&document.id);
    document
        .parent_ids
        .iter()
        .enumerate()
        .map(move |(place, parent)| json!({ "document_id": id, "parent_id": imported(parent), "rank": place }))
}

/// The bodies involved in it.
pub(super) fn involved_orgs(document: &Document) -> impl Iterator<Item = Value> {
    let id = imported(&document.id);
    document
        .involved_org_ids
        .iter()
        .enumerate()
        .map(move |(place, org)| json!({ "document_id": id, "org_id": imported(org), "rank": place }))
}

/// Its frames for units.
pub(super) fn unit_frames(document: &Document) -> impl Iterator<Item = Value> {
    let id = imported(&document.id);
    document
        .unit_frames
        .iter()
        .map(move |frame| json!({ "document_id": id, "org_id": imported(&frame.org_id), "amount_dkk": frame.amount_dkk }))
}

/// What its goals have besides their text.
pub(super) fn chain_goal_attributes(document: &Document) -> impl Iterator<Item = Value> {
    let id = imported(&document.id);
    let goals = document.goals.iter().map(move |goal| {
        json!({ "document_id": id, "id": imported(&goal.id), "slug": goal.id, "code": goal.code, "amount_dkk": goal.amount_dkk })
    });
    let initiatives = document.initiatives.iter().map(move |one| {
        json!({
            "document_id": id, "id": imported(&one.id), "slug": one.id, "code": one.code,
            "responsible_person_id": imported(&one.responsible_person_id), "starts_on": one.starts_on, "ends_on": one.ends_on,
            "status": one.status,
        })
    });
    goals.chain(initiatives)
}

// ── Agreements ──────────────────────────────────────────────────────────────────────────────────────────────────────

/// An agreement whose text is here.
pub(super) fn agreement(agreement: &Agreement) -> Value {
    json!([{
        "id": imported(&agreement.id), "slug": agreement.id, "unit_id": imported(&agreement.unit_id), "title": agreement.title,
        "period_from": agreement.period.from, "period_to": agreement.period.to,
        "unit_leader_id": imported(&agreement.parties.unit_leader_person_id),
        "counterpart_id": imported(&agreement.parties.counterpart_person_id), "predecessor_id": maybe(agreement.predecessor_id.as_ref()),
        "current_document_id": first_version(&agreement.id), "budget_frame_dkk": agreement.budget_frame_dkk,
    }])
}

/// How its goals stand.
pub(super) fn attainments(agreement: &Agreement) -> Value {
    let id = imported(&agreement.id);
    agreement.goals.iter().map(|goal| json!({ "agreement_id": id, "goal_id": imported(&goal.id), "status": goal.status })).collect()
}

/// Measured values of its indicators.
pub(super) fn measurements(agreement: &Agreement) -> Value {
    let id = imported(&agreement.id);
    let indicators = agreement.goals.iter().flat_map(|goal| &goal.indicators);
    let rows = indicators.flat_map(|indicator| indicator.series.iter().map(move |measured| (indicator, measured)));
    rows.map(|(indicator, measured)| {
        json!({
            "agreement_id": id, "indicator_id": imported(&indicator.id), "on_day": measured.on, "value": decimal(&measured.value),
        })
    })
    .collect()
}

/// Every revision that the history or a signature names. The newest is what the text here says; of earlier ones only the number is known.
pub(super) fn revisions(agreement: &Agreement, content: &Content, content_sha256: [u8; 32]) -> Value {
    let mut numbers: Vec<i32> = agreement.events.iter().filter_map(|event| event.revision).collect();
    numbers.extend(agreement.signatures.iter().map(|signature| signature.revision));
    numbers.push(agreement.revision);
    numbers.retain(|number| *number > 0);
    numbers.sort_unstable();
    numbers.dedup();
    let last_edit = agreement.sections.iter().max_by_key(|section| section.last_edited_at);
    numbers
        .into_iter()
        .map(|number| {
            let of = |kind: EventKind| agreement.events.iter().find(|event| event.kind == kind && event.revision == Some(number));
            let named = of(EventKind::Frozen).or_else(|| of(EventKind::Snapshot));
            let signed = agreement.signatures.iter().find(|signature| signature.revision == number);
            let frozen = of(EventKind::Frozen).is_some() || signed.is_some();
            let here = number == agreement.revision;
            let person = named.and_then(|event| event.person_id.clone()).or_else(|| last_edit.map(|edit| edit.last_edited_by.clone()));
            let at = named
                .map(|event| event.at)
                .or_else(|| signed.map(|signature| signature.signed_at))
                .or_else(|| last_edit.map(|edit| edit.last_edited_at))
                .or_else(|| agreement.events.first().map(|event| event.at));
            let bytes = (here && frozen).then(|| String::from_utf8(content::render_content(content)).expect("canonical JSON is UTF-8"));
            json!({
                "document_id": first_version(&agreement.id), "number": number, "seq": here.then_some(1), "content": bytes,
                "content_sha256": here.then(|| hex::encode(content_sha256)), "label": named.and_then(|event| event.label.clone()),
                "frozen": frozen, "person_id": maybe(person.as_ref()), "at": at,
            })
        })
        .collect()
}

/// Who last wrote in its sections.
pub(super) fn section_edits(agreement: &Agreement) -> Value {
    let document = first_version(&agreement.id);
    let rows = agreement.sections.iter();
    rows.map(|section| {
        json!({
            "document_id": document, "section_key": section.key, "person_id": imported(&section.last_edited_by),
            "at": section.last_edited_at,
        })
    })
    .collect()
}

/// Its threads, and their comments. A quote is looked for in the goal or section that the thread is about; one that is not found there,
/// or more than once, leaves the thread detached.
pub(super) fn threads(agreement: &Agreement, content: &Content) -> (Value, Value) {
    let document = first_version(&agreement.id);
    let update = content::build(content, content::first_client(document));
    let live = content::replay([&update[..]]).expect("an update that was just built applies");
    let mut anchors = Anchors::default();
    let mut in_order: Vec<(&Thread, &Message)> =
        agreement.comments.iter().filter_map(|thread| Some((thread, thread.messages.first()?))).collect();
    in_order.sort_by_key(|(thread, first)| (first.at, imported(&thread.id)));
    let threads = in_order.into_iter().zip(1..).map(|((thread, first), number)| {
        let about = match (&thread.anchor.quote, &thread.anchor.goal_id) {
            (Some(_), _) => About::Words,
            (None, Some(_)) => About::Goal,
            (None, None) => About::Section,
        };
        let goal = maybe(thread.anchor.goal_id.as_ref());
        let section = format!("section:{}", thread.anchor.section_key);
        let within = |field: &str| goal.map_or_else(|| field == section, |goal| field.starts_with(&format!("goal:{goal}:")));
        let anchor = thread.anchor.quote.as_ref().and_then(|quote| anchors.place_by_quote(imported(&thread.id), quote, within, &live));
        let stands = anchor.as_ref().and_then(|anchor| anchor.stands.as_ref());
        let detached_at = thread.anchor.quote.as_ref().filter(|_| stands.is_none()).map(|_| first.at);
        json!({
            "id": imported(&thread.id), "slug": thread.id, "document_id": document, "number": number, "about": about.id(),
            "section_key": thread.anchor.section_key, "goal_id": goal, "quote": thread.anchor.quote,
            "status": thread.status, "created_by": imported(&first.person_id), "created_at": first.at, "words": thread.anchor.quote,
            "words_before": anchor.as_ref().map(|anchor| &anchor.before), "words_after": anchor.as_ref().map(|anchor| &anchor.after),
            "field": anchor.as_ref().and_then(|anchor| anchor.field.as_ref()), "detached_at": detached_at,
            "anchor_start": stands.map(|(start, _)| hex::encode(start)), "anchor_end": stands.map(|(_, end)| hex::encode(end)),
        })
    });
    let comments = agreement.comments.iter().flat_map(|thread| {
        thread.messages.iter().zip(1..).map(|(message, number)| {
            json!({
                "id": imported(&format!("{}/{number}", thread.id)), "thread_id": imported(&thread.id), "number": number,
                "person_id": imported(&message.person_id), "body": message.body, "at": message.at,
            })
        })
    });
    (threads.collect(), comments.collect())
}

/// The signature that stands at this place in the data.
pub(super) fn signature_id(agreement: &Agreement, place: usize) -> Uuid {
    imported(&format!("{}/signature/{}", agreement.id, place + 1))
}

/// Its signatures: the hash is computed where the text of the signed revision is the one that is here. Where the people are made up,
/// nobody signed in.
pub(super) fn signatures(agreement: &Agreement, content_sha256: [u8; 32], fictional: bool) -> Value {
    let rows = agreement.signatures.iter().enumerate();
    rows.map(|(place, signature)| {
        let (method, auth_time, acr) = if fictional {
            (DEMONSTRATION, signature.signed_at, None)
        } else {
            (signature.method.as_str(), signature.auth_time, signature.acr.as_ref())
        };
        let computed = (signature.revision == agreement.revision).then(|| hex::encode(content_sha256));
        json!({
            "id": signature_id(agreement, place), "document_id": first_version(&agreement.id),
            "party": signature.role, "person_id": imported(&signature.person_id), "signed_at": signature.signed_at,
            "revision": signature.revision, "content_sha256": signature.content_sha256.clone().or(computed), "method": method,
            "auth_time": auth_time, "acr": acr, "valid": signature.valid,
            "lapsed_reason": signature.invalidated_reason,
        })
    })
    .collect()
}

/// What happened in its life. A status stands at the event that led to it, once.
pub(super) fn agreement_events(agreement: &Agreement) -> Vec<Value> {
    let statuses = super::check::statuses(&agreement.events);
    let said = |place: usize| agreement.events.get(place).is_some_and(|event| event.kind == EventKind::StatusChanged);
    let mut before = None;
    let rows = agreement.events.iter().zip(statuses).enumerate();
    rows.map(|(place, (event, status))| {
        // A meeting that is followed by the change of status it caused leaves the change to that event.
        let led_to = (status != before && !(event.kind == EventKind::MeetingHeld && said(place + 1))).then_some(status).flatten();
        if led_to.is_some() {
            before = status;
        }
        json!({
            "agreement_id": imported(&agreement.id), "seq": place + 1, "document_id": first_version(&agreement.id), "type": event.kind,
            "at": event.at, "person_id": maybe(event.person_id.as_ref()), "from_status": event.from, "to_status": led_to,
            "meeting_id": maybe(event.meeting_id.as_ref()), "revision": event.revision, "party": event.role, "label": event.label,
            "reason": event.reason, "case_number": event.case_number, "error": event.error, "old_person_id": maybe(event.old.as_ref()),
            "new_person_id": maybe(event.new.as_ref()),
        })
    })
    .collect()
}

/// The same event as the trail keeps it: only what it says.
pub(super) fn audit_body(event: &LifeEvent) -> Value {
    let mut body = json!({
        "from": event.from, "to": event.to, "meeting": maybe(event.meeting_id.as_ref()), "revision": event.revision, "party": event.role,
        "label": event.label, "reason": event.reason, "case_number": event.case_number, "error": event.error,
        "old_person": maybe(event.old.as_ref()), "new_person": maybe(event.new.as_ref()), "imported": true,
    });
    if let Some(members) = body.as_object_mut() {
        members.retain(|_, member| !member.is_null());
    }
    body
}

/// Its delivery to the records system.
pub(super) fn journal(agreement: &Agreement) -> Value {
    let document = first_version(&agreement.id);
    let rows = agreement.journal.iter();
    rows.map(|journal| {
        json!({
            "id": imported(&format!("{}/journal/{}", agreement.id, journal.target)), "document_id": document, "target": journal.target,
            "status": journal.status, "case_number": journal.case_number, "document_number": journal.document_number,
            "delivered_at": journal.delivered_at, "attempts": journal.attempts, "last_error": journal.last_error,
        })
    })
    .collect()
}

/// An agreement whose text is not here.
pub(super) fn past_agreement(agreement: &PastAgreement) -> Value {
    json!([{
        "id": imported(&agreement.id), "slug": agreement.id, "unit_id": imported(&agreement.unit_id), "title": agreement.title,
        "period_from": agreement.period.from, "period_to": agreement.period.to,
        "unit_leader_id": imported(&agreement.parties.unit_leader_person_id),
        "counterpart_id": imported(&agreement.parties.counterpart_person_id), "status_without_text": agreement.status,
        "signed_on": agreement.signed_on,
    }])
}

/// Its goals, what they pointed at, what became of them.
pub(super) fn past_goals(agreement: &PastAgreement) -> (Value, Value, Value) {
    let id = imported(&agreement.id);
    let goals = agreement.goals.iter().enumerate().map(|(place, goal)| {
        json!({
            "agreement_id": id, "goal_id": imported(&goal.id), "code": goal.code, "title": goal.title, "origin": goal.origin, "rank": place,
        })
    });
    let links = agreement.goals.iter().flat_map(|goal| {
        goal.links.iter().map(|link| {
            json!({
                "agreement_id": id, "goal_id": imported(&goal.id), "target_id": imported(&link.goal_id),
                "relation": link.relation.in_text(),
            })
        })
    });
    let followups = agreement.goals.iter().flat_map(|goal| {
        goal.followups.iter().map(|followup| {
            json!({
                "agreement_id": id, "goal_id": imported(&goal.id), "kind": followup.kind, "on_day": followup.on, "status": followup.status,
                "note": followup.note,
            })
        })
    });
    (goals.collect(), links.collect(), followups.collect())
}

// ── Meetings and feedback ───────────────────────────────────────────────────────────────────────────────────────────

/// A meeting, the agreements it is about, who takes part.
pub(super) fn meeting(meeting: &Meeting) -> (Value, Value, Value) {
    let id = imported(&meeting.id);
    let row = json!([{
        "id": id, "slug": meeting.id, "kind": meeting.kind, "number": meeting.number, "starts_at": meeting.starts_at,
        "ends_at": meeting.ends_at, "location": meeting.location, "online": meeting.online, "status": meeting.status,
        "covers_political_goals": meeting.covers.political_goals, "covers_executive_goals": meeting.covers.executive_goals,
        "agenda": meeting.agenda, "minutes_md": meeting.minutes_md,
    }]);
    let agreements = meeting.agreement_ids.iter().enumerate();
    let agreements = agreements.map(|(place, agreement)| json!({ "meeting_id": id, "agreement_id": imported(agreement), "rank": place }));
    let participants = meeting.participants.iter().enumerate().map(|(place, participant)| {
        json!({ "meeting_id": id, "person_id": imported(&participant.person_id), "role": participant.role, "rank": place })
    });
    (row, agreements.collect(), participants.collect())
}

/// A management report and its items.
pub(super) fn report(report: &Report) -> (Value, Value) {
    let id = imported(&report.id);
    let row = json!([{
        "id": id, "slug": report.id, "kind": report.kind, "from_org_id": imported(&report.from_org_id),
        "to_person_id": maybe(report.to_person_id.as_ref()), "to_org_id": maybe(report.to_org_id.as_ref()), "period": report.period,
        "submitted_on": report.submitted_on, "due_on": report.due_on, "status": report.status, "summary": report.summary,
    }]);
    let items = report.items.iter().enumerate().map(
        |(place, item)| json!({ "report_id": id, "goal_id": imported(&item.agreement_goal_id), "rank": place, "status": item.status }),
    );
    (row, items.collect())
}

/// A dialogue, and the documents it fed into.
pub(super) fn dialogue(dialogue: &super::data::Dialogue) -> (Value, Value) {
    let id = imported(&dialogue.id);
    let row = json!([{
        "id": id, "slug": dialogue.id, "kind": dialogue.kind, "title": dialogue.title, "held_on": dialogue.held_on,
        "host_org_id": imported(&dialogue.host_org_id), "with_org_id": maybe(dialogue.with_org_id.as_ref()),
        "attendance": dialogue.attendance, "summary": dialogue.summary,
    }]);
    let documents = dialogue.feeds_document_ids.iter().enumerate();
    let documents = documents.map(|(place, document)| json!({ "dialogue_id": id, "document_id": imported(document), "rank": place }));
    (row, documents.collect())
}

/// An evaluation.
pub(super) fn evaluation(evaluation: &super::data::Evaluation) -> Value {
    json!([{
        "id": imported(&evaluation.id), "slug": evaluation.id, "document_id": imported(&evaluation.document_id), "kind": evaluation.kind,
        "evaluated_on": evaluation.evaluated_on, "by_org_id": imported(&evaluation.by_org_id), "idea": evaluation.idea,
        "implementation": evaluation.implementation, "performance": evaluation.performance, "outcome": evaluation.outcome,
        "lessons": evaluation.lessons, "led_to_version": evaluation.led_to_version,
    }])
}
