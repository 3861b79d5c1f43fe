//! What a document's text says, as far as answers need it beyond the projections: read from its room, from what is committed.

use std::collections::BTreeSet;

use samspil_evidence::canonical;
use serde_json::Value;

use super::problem::Problem;
use crate::{
    domain::{agreement::SectionFact, ids::DocumentId},
    rooms::Rooms,
    store::agreements::SectionRow,
};

/// The keys of the sections in which somebody has written something.
pub(super) async fn filled(rooms: &Rooms, document: DocumentId) -> Result<BTreeSet<String>, Problem> {
    filled_in(&rooms.content(document).await.map_err(|_| Problem::unavailable())?.content)
}

/// The same of canonical content that is at hand.
pub(super) fn filled_in(content: &[u8]) -> Result<BTreeSet<String>, Problem> {
    let content = canonical::from_slice(content).map_err(|error| {
        tracing::error!(%error, "canonical content is not JSON");
        Problem::internal()
    })?;
    let sections = content["sections"].as_object().into_iter().flatten();
    Ok(sections.filter(|(_, nodes)| says_something(nodes)).map(|(key, _)| key.clone()).collect())
}

/// Is there a word in these nodes?
fn says_something(node: &Value) -> bool {
    match node {
        Value::Array(nodes) => nodes.iter().any(says_something),
        Value::Object(node) => {
            node.get("text").and_then(Value::as_str).is_some_and(|text| !text.trim().is_empty())
                || node.get("content").is_some_and(says_something)
        }
        _ => false,
    }
}

/// A section as decisions need it.
pub(super) fn section_fact(section: &SectionRow, filled: &BTreeSet<String>) -> SectionFact {
    SectionFact {
        key: section.key.clone(),
        title: section.title.clone(),
        kind: section.kind,
        goal_origin: section.goal_origin,
        required: section.required,
        filled: filled.contains(&section.key),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_are_found_as_deep_as_a_text_may_be() {
        let item = |inner: Value| json!({ "type": "bullet_list", "content": [{ "type": "list_item", "content": [inner] }] });
        let deepest = (0..32).fold(json!({ "type": "paragraph", "content": [{ "type": "text", "text": "ord" }] }), |inner, _| item(inner));
        let content = json!({ "sections": { "focus": [deepest] } }).to_string();
        assert_eq!(filled_in(content.as_bytes()).unwrap(), BTreeSet::from(["focus".to_owned()]));
    }

    #[test]
    fn blank_paragraphs_lists_and_tables_say_nothing() {
        let paragraph =
            |text: &str| json!({ "type": "paragraph", "attrs": {}, "content": [{ "type": "text", "text": text, "marks": [] }] });
        let cell = |nodes: Value| json!([{ "type": "table", "content": [{ "type": "table_row", "content": [{ "type": "table_cell", "content": nodes }] }] }]);
        for (nodes, says) in [
            (json!([]), false),
            (json!([{ "type": "paragraph", "attrs": {}, "content": [] }]), false),
            (json!([paragraph(" \u{a0}\t")]), false),
            (json!([{ "type": "paragraph", "attrs": {}, "content": [{ "type": "hard_break", "attrs": {}, "content": [] }] }]), false),
            (cell(json!([paragraph(" ")])), false),
            (json!([paragraph(""), paragraph("ord")]), true),
            (cell(json!([paragraph("ord")])), true),
        ] {
            assert_eq!(says_something(&nodes), says, "{nodes}");
        }
    }
}
