//! What SQL wants to know of a document: goals, links, actions and indicators as plain text, and how full each section is.

use chrono::{Datelike, NaiveDate};
use uuid::Uuid;

use super::{Content, Goal, Node};

/// A UUID has 36 characters. What a foreign client wrote beyond this is cut, so that it fits an index.
const TARGET_CHARS_MAX: usize = 100;

/// A document as plain text and values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Projection {
    /// Sections of live text by key.
    pub sections: Vec<SectionText>,
    /// Goals in their order. A goal whose id is not a UUID was made by a foreign client and is left out.
    pub goals: Vec<GoalText>,
}

/// A section as plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionText {
    /// Template key.
    pub key: String,
    /// Its filled blocks (paragraphs, headings, list items, cells), in reading order.
    pub blocks: Vec<String>,
}

impl SectionText {
    /// Has nobody written anything here?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }
}

/// A goal as plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoalText {
    /// Id.
    pub id: Uuid,
    /// Place in the order, from 1.
    pub number: i32,
    /// Fractional key.
    pub rank: String,
    /// Where it comes from.
    pub origin: String,
    /// Title.
    pub title: String,
    /// Description; blocks are separated by line breaks.
    pub body: String,
    /// Filled success criteria.
    pub success: Vec<String>,
    /// Who answers for it.
    pub responsible: String,
    /// When it is due, if that is a day.
    pub due: Option<NaiveDate>,
    /// What will be done.
    pub actions: Vec<ActionText>,
    /// How it is measured.
    pub indicators: Vec<IndicatorText>,
    /// What it points up to: links with the same target and relation are one.
    pub links: Vec<LinkText>,
}

/// An action as plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionText {
    /// Id.
    pub id: Uuid,
    /// Fractional key.
    pub rank: String,
    /// What.
    pub text: String,
    /// Who.
    pub responsible: String,
    /// When, if that is a day.
    pub due: Option<NaiveDate>,
}

/// An indicator as plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndicatorText {
    /// Id.
    pub id: Uuid,
    /// What is measured.
    pub name: String,
    /// Where the figures come from.
    pub source: String,
    /// Unit.
    pub unit: String,
    /// Which way is good.
    pub direction: String,
    /// How often.
    pub frequency: String,
    /// A decimal as text, if given.
    pub baseline: Option<String>,
    /// A decimal as text, if given.
    pub target: Option<String>,
}

/// A link as plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkText {
    /// As it stands in the text; the server resolves it.
    pub target: String,
    /// `contributes_to`, `implements` or `constrained_by`.
    pub relation: String,
    /// Every filled reason, in key order.
    pub reasons: Vec<String>,
}

impl Projection {
    /// What there is to know of this content.
    #[must_use]
    pub fn of(content: &Content) -> Self {
        let sections = content.sections.iter().map(|(key, nodes)| SectionText { key: key.clone(), blocks: plain_blocks(nodes) }).collect();
        let goals = content.goals.iter().zip(1..).filter_map(|(goal, number)| goal_text(goal, number)).collect();
        Self { sections, goals }
    }

    /// The section of this key, if it has any text or an empty paragraph.
    #[must_use]
    pub fn section(&self, key: &str) -> Option<&SectionText> {
        self.sections.iter().find(|section| section.key == key)
    }

    /// How many words there are, for the reading time.
    #[must_use]
    pub fn words(&self) -> usize {
        let count = |text: &str| text.split_whitespace().count();
        let sections: usize = self.sections.iter().flat_map(|section| &section.blocks).map(|block| count(block)).sum();
        let goals: usize = self
            .goals
            .iter()
            .map(|goal| {
                count(&goal.title)
                    + count(&goal.body)
                    + goal.success.iter().map(|text| count(text)).sum::<usize>()
                    + goal.actions.iter().map(|action| count(&action.text) + count(&action.responsible)).sum::<usize>()
                    + goal.indicators.iter().map(|indicator| count(&indicator.name)).sum::<usize>()
            })
            .sum();
        sections + goals
    }
}

/// What SQL wants to know of this document.
#[must_use]
pub fn project(doc: &yrs::Doc) -> Projection {
    Projection::of(&super::read(doc))
}

fn goal_text(goal: &Goal, number: i32) -> Option<GoalText> {
    Some(GoalText {
        id: id(&goal.id)?,
        number,
        rank: goal.rank.clone(),
        origin: goal.origin.clone(),
        title: line(&goal.title),
        body: plain_blocks(&goal.body).join("\n"),
        success: plain_blocks(&goal.success),
        responsible: line(&goal.responsible),
        due: day(&goal.due),
        actions: goal
            .actions
            .iter()
            .filter_map(|action| {
                Some(ActionText {
                    id: id(&action.id)?,
                    rank: action.rank.clone(),
                    text: line(&action.text),
                    responsible: line(&action.responsible),
                    due: day(&action.due),
                })
            })
            .collect(),
        indicators: goal
            .indicators
            .iter()
            .filter_map(|indicator| {
                Some(IndicatorText {
                    id: id(&indicator.id)?,
                    name: line(&indicator.name),
                    source: line(&indicator.source),
                    unit: indicator.unit.clone(),
                    direction: indicator.direction.clone(),
                    frequency: indicator.frequency.clone(),
                    baseline: given(&indicator.baseline),
                    target: given(&indicator.target),
                })
            })
            .collect(),
        links: links(goal),
    })
}

fn links(goal: &Goal) -> Vec<LinkText> {
    let mut links: Vec<LinkText> = Vec::new();
    for link in &goal.links {
        let reasons = plain_blocks(&link.reason);
        // What a foreign client wrote as relation counts as the widest of the three.
        let relation = match link.relation.as_str() {
            known @ ("implements" | "constrained_by") => known,
            _ => "contributes_to",
        };
        let target = target(&link.target);
        match links.iter_mut().find(|same| same.target == target && same.relation == relation) {
            Some(same) => same.reasons.extend(reasons),
            None => links.push(LinkText { target, relation: relation.to_owned(), reasons }),
        }
    }
    links
}

/// Only the usual spelling: two keys must never become one id.
fn id(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|id| id.to_string() == text)
}

/// A target as it is looked up and, when it cannot be, shown as broken.
fn target(text: &str) -> String {
    text.chars().take(TARGET_CHARS_MAX).collect()
}

/// A day that PostgreSQL and people can write, too.
fn day(text: &str) -> Option<NaiveDate> {
    text.parse().ok().filter(|day: &NaiveDate| (1..=9_999).contains(&day.year()))
}

fn given(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn line(nodes: &[Node]) -> String {
    plain_blocks(nodes).join(" ")
}

/// The filled blocks of rich text as plain text, in reading order; a hard break is a line break.
#[must_use]
pub fn plain_blocks(nodes: &[Node]) -> Vec<String> {
    let mut blocks = Vec::new();
    collect(nodes, &mut blocks);
    blocks
}

fn collect(nodes: &[Node], blocks: &mut Vec<String>) {
    let mut words = String::new();
    for node in nodes {
        match node {
            Node::Text(text, _) => words.push_str(text),
            Node::Element(element, _) if element.inline() => words.push('\n'),
            Node::Element(_, inner) => {
                flush(&mut words, blocks);
                collect(inner, blocks);
            }
        }
    }
    flush(&mut words, blocks);
}

fn flush(words: &mut String, blocks: &mut Vec<String>) {
    let block = words.trim();
    if !block.is_empty() {
        blocks.push(block.to_owned());
    }
    words.clear();
}
