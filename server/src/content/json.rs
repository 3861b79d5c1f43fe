//! Content as JSON in ProseMirror's shape, every attribute written, nothing left to a default (reliability-security §6.1). The names and
//! their meaning never change for schema version 1: what was signed is read for ever.

use serde_json::{Map, Value, json};

use super::{Action, Content, Goal, Indicator, Link, Marks, Node};

/// The content as a JSON value; [`samspil_evidence::canonical`] spells it.
pub(super) fn value(content: &Content) -> Value {
    let sections: Map<String, Value> = content.sections.iter().map(|(key, section)| (key.clone(), nodes(section))).collect();
    json!({
        "schema": content.schema,
        "template": content.template,
        "sections": sections,
        "goals": content.goals.iter().map(goal).collect::<Vec<_>>(),
    })
}

fn goal(goal: &Goal) -> Value {
    json!({
        "id": goal.id,
        "title": nodes(&goal.title),
        "body": nodes(&goal.body),
        "success": nodes(&goal.success),
        "responsible": nodes(&goal.responsible),
        "origin": goal.origin,
        "rank": goal.rank,
        "due": goal.due,
        "actions": goal.actions.iter().map(action).collect::<Vec<_>>(),
        "indicators": goal.indicators.iter().map(indicator).collect::<Vec<_>>(),
        "links": goal.links.iter().map(link).collect::<Vec<_>>(),
    })
}

fn action(action: &Action) -> Value {
    json!({
        "id": action.id,
        "text": nodes(&action.text),
        "responsible": nodes(&action.responsible),
        "due": action.due,
        "rank": action.rank,
    })
}

fn indicator(indicator: &Indicator) -> Value {
    json!({
        "id": indicator.id,
        "name": nodes(&indicator.name),
        "source": nodes(&indicator.source),
        "unit": indicator.unit,
        "direction": indicator.direction,
        "frequency": indicator.frequency,
        "baseline": indicator.baseline,
        "target": indicator.target,
    })
}

fn link(link: &Link) -> Value {
    json!({ "id": link.id, "target": link.target, "relation": link.relation, "reason": nodes(&link.reason) })
}

fn nodes(content: &[Node]) -> Value {
    content.iter().map(node).collect()
}

fn node(node: &Node) -> Value {
    match node {
        Node::Element(element, content) => {
            let attributes: Map<String, Value> =
                element.attributes().into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
            json!({ "type": element.name(), "attrs": attributes, "content": nodes(content) })
        }
        Node::Text(text, marked) => json!({ "type": "text", "text": text, "marks": marks(marked) }),
    }
}

/// In schema order: strong, em, link.
fn marks(marks: &Marks) -> Value {
    let mut list = Vec::new();
    if marks.strong {
        list.push(json!({ "type": "strong", "attrs": {} }));
    }
    if marks.em {
        list.push(json!({ "type": "em", "attrs": {} }));
    }
    if let Some(href) = &marks.link {
        list.push(json!({ "type": "link", "attrs": { "href": href } }));
    }
    Value::Array(list)
}
