//! From a yrs document to [`Content`]. Reads what is there and changes nothing: root types are taken as they stand, so that a document
//! that was only replayed reads the same as one that people have open.

use yrs::{
    Any, Doc, Map, MapRef, Out, ReadTxn, Text, Transact, Xml, XmlElementRef, XmlFragment, XmlFragmentRef, XmlOut, XmlTextRef,
    types::{Attrs, text::YChange},
};

use super::{Action, Content, Element, Goal, Indicator, Link, Marks, Node, Span};

const SECTION: &str = "section:";

/// What the document says now. Takes a read transaction of its own: the caller holds none that writes.
#[must_use]
pub fn read(doc: &Doc) -> Content {
    read_in(&doc.transact())
}

/// What the document says in this transaction.
#[must_use]
pub fn read_in<T: ReadTxn>(transaction: &T) -> Content {
    let mut content = Content::default();
    for (name, root) in transaction.root_refs() {
        if let Some(key) = name.strip_prefix(SECTION) {
            let nodes = root_fragment(root).map(|fragment| children(transaction, &fragment)).unwrap_or_default();
            if !nodes.is_empty() {
                content.sections.insert(key.to_owned(), nodes);
            }
        } else if name == "goals" {
            content.goals = root_map(root).map(|map| goals(transaction, &map)).unwrap_or_default();
        } else if name == "meta"
            && let Some(meta) = root_map(root)
        {
            content.schema = whole(meta.get(transaction, "schema")).and_then(|schema| schema.try_into().ok()).unwrap_or_default();
            content.template = string(transaction, &meta, "template");
        }
    }
    content
}

/// A root that came with an update has no type until somebody names one.
fn root_fragment(root: Out) -> Option<XmlFragmentRef> {
    match root {
        Out::YXmlFragment(fragment) => Some(fragment),
        Out::UndefinedRef(branch) => Some(XmlFragmentRef::from(branch)),
        _ => None,
    }
}

fn root_map(root: Out) -> Option<MapRef> {
    match root {
        Out::YMap(map) => Some(map),
        Out::UndefinedRef(branch) => Some(MapRef::from(branch)),
        _ => None,
    }
}

fn goals<T: ReadTxn>(transaction: &T, map: &MapRef) -> Vec<Goal> {
    let mut goals: Vec<Goal> = items(transaction, map, |id, goal| {
        Some(Goal {
            id,
            title: fragment(transaction, goal, "title")?,
            body: fragment(transaction, goal, "body")?,
            success: fragment(transaction, goal, "success")?,
            responsible: fragment(transaction, goal, "responsible")?,
            origin: string_or(transaction, goal, "origin", "local"),
            rank: string_or(transaction, goal, "rank", "a0"),
            due: string(transaction, goal, "due"),
            actions: actions(transaction, goal),
            indicators: indicators(transaction, goal),
            links: links(transaction, goal),
        })
    });
    goals.sort_by(|one, other| (&one.rank, &one.id).cmp(&(&other.rank, &other.id)));
    goals
}

fn actions<T: ReadTxn>(transaction: &T, goal: &MapRef) -> Vec<Action> {
    let mut actions = items_of(transaction, goal, "actions", |id, action| {
        Some(Action {
            id,
            text: fragment(transaction, action, "text")?,
            responsible: fragment(transaction, action, "responsible")?,
            due: string(transaction, action, "due"),
            rank: string_or(transaction, action, "rank", "a0"),
        })
    });
    actions.sort_by(|one, other| (&one.rank, &one.id).cmp(&(&other.rank, &other.id)));
    actions
}

fn indicators<T: ReadTxn>(transaction: &T, goal: &MapRef) -> Vec<Indicator> {
    let mut indicators = items_of(transaction, goal, "indicators", |id, indicator| {
        Some(Indicator {
            id,
            name: fragment(transaction, indicator, "name")?,
            source: fragment(transaction, indicator, "source")?,
            unit: string(transaction, indicator, "unit"),
            direction: string(transaction, indicator, "direction"),
            frequency: string(transaction, indicator, "frequency"),
            baseline: string(transaction, indicator, "baseline"),
            target: string(transaction, indicator, "target"),
        })
    });
    indicators.sort_by(|one, other| one.id.cmp(&other.id));
    indicators
}

fn links<T: ReadTxn>(transaction: &T, goal: &MapRef) -> Vec<Link> {
    let mut links = items_of(transaction, goal, "links", |id, link| {
        let target = string(transaction, link, "target");
        (!target.is_empty()).then_some(())?;
        Some(Link {
            id,
            target,
            relation: string_or(transaction, link, "relation", "contributes_to"),
            reason: fragment(transaction, link, "reason")?,
        })
    });
    links.sort_by(|one, other| one.id.cmp(&other.id));
    links
}

/// The maps inside the map under this key.
fn items_of<T: ReadTxn, Item>(transaction: &T, map: &MapRef, key: &str, one: impl Fn(String, &MapRef) -> Option<Item>) -> Vec<Item> {
    match map.get(transaction, key) {
        Some(Out::YMap(inner)) => items(transaction, &inner, one),
        _ => Vec::new(),
    }
}

fn items<T: ReadTxn, Item>(transaction: &T, map: &MapRef, one: impl Fn(String, &MapRef) -> Option<Item>) -> Vec<Item> {
    map.iter(transaction)
        .filter_map(|(id, value)| match value {
            Out::YMap(item) => one(id.to_owned(), &item),
            _ => None,
        })
        .collect()
}

fn fragment<T: ReadTxn>(transaction: &T, map: &MapRef, key: &str) -> Option<Vec<Node>> {
    match map.get(transaction, key) {
        Some(Out::YXmlFragment(fragment)) => Some(children(transaction, &fragment)),
        _ => None,
    }
}

fn string<T: ReadTxn>(transaction: &T, map: &MapRef, key: &str) -> String {
    string_or(transaction, map, key, "")
}

fn string_or<T: ReadTxn>(transaction: &T, map: &MapRef, key: &str, otherwise: &str) -> String {
    match map.get(transaction, key) {
        Some(Out::Any(Any::String(text))) => text.to_string(),
        _ => otherwise.to_owned(),
    }
}

/// A whole number, however JavaScript or we encoded it.
fn whole(value: Option<Out>) -> Option<u32> {
    match value? {
        Out::Any(any @ Any::Number(_)) => {
            let number = f64::try_from(any).ok()?;
            let whole = format!("{number}").parse().ok()?;
            Some(whole)
        }
        _ => None,
    }
}

/// The nodes inside a fragment or element, with neighbouring runs of equal marks made one.
fn children<T: ReadTxn, F: XmlFragment>(transaction: &T, parent: &F) -> Vec<Node> {
    let mut nodes = Vec::new();
    for child in parent.children(transaction) {
        match child {
            XmlOut::Element(element) => nodes.extend(node(transaction, &element)),
            XmlOut::Text(text) => runs(transaction, &text, &mut nodes),
            XmlOut::Fragment(_) => {}
        }
    }
    nodes
}

fn node<T: ReadTxn>(transaction: &T, element: &XmlElementRef) -> Option<Node> {
    let number = |name: &str| whole(element.get_attribute(transaction, name));
    let span = || Span { columns: number("colspan").unwrap_or(1), rows: number("rowspan").unwrap_or(1) };
    let kind = match &**element.try_tag()? {
        "paragraph" => Element::Paragraph,
        "heading" => Element::Heading(number("level").unwrap_or(2).clamp(2, 4)),
        "bullet_list" => Element::BulletList,
        "ordered_list" => Element::OrderedList,
        "list_item" => Element::ListItem,
        "table" => Element::Table,
        "table_row" => Element::TableRow,
        "table_cell" => Element::TableCell(span()),
        "table_header" => Element::TableHeader(span()),
        "hard_break" => Element::HardBreak,
        _ => return None,
    };
    Some(Node::Element(kind, children(transaction, element)))
}

fn runs<T: ReadTxn>(transaction: &T, text: &XmlTextRef, nodes: &mut Vec<Node>) {
    for run in text.diff(transaction, YChange::identity) {
        let Out::Any(Any::String(words)) = run.insert else { continue };
        if words.is_empty() {
            continue;
        }
        let marks = run.attributes.as_deref().map(marks).unwrap_or_default();
        match nodes.last_mut() {
            Some(Node::Text(before, same)) if *same == marks => before.push_str(&words),
            _ => nodes.push(Node::Text(words.to_string(), marks)),
        }
    }
}

fn marks(attributes: &Attrs) -> Marks {
    let set = |name: &str| attributes.get(name).is_some_and(|value| !matches!(value, Any::Null | Any::Undefined));
    let link = match attributes.get("link") {
        Some(Any::Map(link)) => match link.get("href") {
            Some(Any::String(href)) => Some(href.to_string()),
            _ => None,
        },
        _ => None,
    };
    Marks { strong: set("strong"), em: set("em"), link }
}
