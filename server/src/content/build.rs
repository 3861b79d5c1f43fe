//! From [`Content`] to the first update of a document, in exactly the shapes that the web client makes (y-prosemirror's: an element for
//! each node, one text for each run between nodes, marks as formats, an empty paragraph without children).

use yrs::{
    Any, Doc, Map, MapPrelim, MapRef, ReadTxn, StateVector, Text, Transact, TransactionMut, WriteTxn, Xml, XmlElementPrelim, XmlFragment,
    XmlFragmentPrelim, XmlFragmentRef, XmlTextPrelim, types::Attrs,
};

use super::{Action, Content, Goal, Indicator, Link, Marks, Node, empty_doc, sha256};

/// The client id under which the server writes the first update of this document: the same at every try, its own in every document.
#[must_use]
pub fn first_client(document: uuid::Uuid) -> u32 {
    let hash = sha256(document.as_bytes());
    // 32 bits, as Yjs draws them, and never 0.
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]).max(1)
}

/// The first update of a document that says this, in the v1 encoding. Every section of live text that the caller names gets at least one
/// paragraph, so that two people never both create the first one.
#[must_use]
pub fn build(content: &Content, client: u32) -> Vec<u8> {
    let doc = doc(content, client);
    let transaction = doc.transact();
    transaction.encode_state_as_update_v1(&StateVector::default())
}

fn doc(content: &Content, client: u32) -> Doc {
    let doc = empty_doc(client.into());
    {
        let mut transaction = doc.transact_mut();
        let meta = transaction.get_or_insert_map("meta");
        meta.insert(&mut transaction, "schema", Any::from(u32::from(content.schema)));
        meta.insert(&mut transaction, "template", Any::from(content.template.as_str()));
        for (key, section) in &content.sections {
            let fragment = transaction.get_or_insert_xml_fragment(format!("section:{key}"));
            if section.is_empty() {
                nodes(&mut transaction, &fragment, &super::paragraph(""));
            } else {
                nodes(&mut transaction, &fragment, section);
            }
        }
        let goals = transaction.get_or_insert_map("goals");
        for one in &content.goals {
            goal(&mut transaction, &goals, one);
        }
    }
    doc
}

fn goal(transaction: &mut TransactionMut, goals: &MapRef, goal: &Goal) {
    let map = goals.insert(transaction, goal.id.as_str(), MapPrelim::default());
    fragment(transaction, &map, "title", &goal.title);
    fragment(transaction, &map, "body", &goal.body);
    fragment(transaction, &map, "success", &goal.success);
    fragment(transaction, &map, "responsible", &goal.responsible);
    value(transaction, &map, "origin", &goal.origin);
    value(transaction, &map, "rank", &goal.rank);
    day(transaction, &map, &goal.due);
    let actions = map.insert(transaction, "actions", MapPrelim::default());
    for one in &goal.actions {
        action(transaction, &actions, one);
    }
    let indicators = map.insert(transaction, "indicators", MapPrelim::default());
    for one in &goal.indicators {
        indicator(transaction, &indicators, one);
    }
    let links = map.insert(transaction, "links", MapPrelim::default());
    for one in &goal.links {
        link(transaction, &links, one);
    }
}

fn action(transaction: &mut TransactionMut, actions: &MapRef, action: &Action) {
    let map = actions.insert(transaction, action.id.as_str(), MapPrelim::default());
    fragment(transaction, &map, "text", &action.text);
    fragment(transaction, &map, "responsible", &action.responsible);
    day(transaction, &map, &action.due);
    value(transaction, &map, "rank", &action.rank);
}

fn indicator(transaction: &mut TransactionMut, indicators: &MapRef, indicator: &Indicator) {
    let map = indicators.insert(transaction, indicator.id.as_str(), MapPrelim::default());
    fragment(transaction, &map, "name", &indicator.name);
    fragment(transaction, &map, "source", &indicator.source);
    value(transaction, &map, "unit", &indicator.unit);
    value(transaction, &map, "direction", &indicator.direction);
    value(transaction, &map, "frequency", &indicator.frequency);
    value(transaction, &map, "baseline", &indicator.baseline);
    value(transaction, &map, "target", &indicator.target);
}

fn link(transaction: &mut TransactionMut, links: &MapRef, link: &Link) {
    let map = links.insert(transaction, link.id.as_str(), MapPrelim::default());
    value(transaction, &map, "target", &link.target);
    value(transaction, &map, "relation", &link.relation);
    fragment(transaction, &map, "reason", &link.reason);
}

fn value(transaction: &mut TransactionMut, map: &MapRef, key: &str, text: &str) {
    map.insert(transaction, key, Any::from(text));
}

/// No day is no key.
fn day(transaction: &mut TransactionMut, map: &MapRef, due: &str) {
    if !due.is_empty() {
        value(transaction, map, "due", due);
    }
}

fn fragment(transaction: &mut TransactionMut, map: &MapRef, key: &str, content: &[Node]) {
    let fragment: XmlFragmentRef = map.insert(transaction, key, XmlFragmentPrelim::default());
    if content.is_empty() {
        nodes(transaction, &fragment, &super::paragraph(""));
    } else {
        nodes(transaction, &fragment, content);
    }
}

fn nodes<F: XmlFragment>(transaction: &mut TransactionMut, parent: &F, content: &[Node]) {
    let mut text = None;
    for node in content {
        match node {
            Node::Element(kind, inner) => {
                text = None;
                let element = parent.push_back(transaction, XmlElementPrelim::empty(kind.name()));
                for (name, number) in kind.attributes() {
                    element.insert_attribute(transaction, name, Any::from(number));
                }
                nodes(transaction, &element, inner);
            }
            Node::Text(words, marks) => {
                let run = text.get_or_insert_with(|| parent.push_back(transaction, XmlTextPrelim::new("")));
                let end = run.len(transaction);
                run.insert_with_attributes(transaction, end, words, formats(marks));
            }
        }
    }
}

/// Marks as y-prosemirror writes them: the mark's name and its attributes.
fn formats(marks: &Marks) -> Attrs {
    let mut formats = Attrs::new();
    let none = || Any::from(std::collections::HashMap::<String, Any>::new());
    if marks.strong {
        formats.insert("strong".into(), none());
    }
    if marks.em {
        formats.insert("em".into(), none());
    }
    if let Some(href) = &marks.link {
        formats.insert("link".into(), Any::from(std::collections::HashMap::from([("href".to_owned(), href.clone())])));
    }
    formats
}
