//! The small Markdown subset of imported text: paragraphs, `- ` lists, `*italic*`, `**bold**`. Anything else is taken literally.

use super::{Element, Marks, Node, paragraph};

/// The blocks of this text; one empty paragraph for an empty text.
#[must_use]
pub fn blocks(markdown: &str) -> Vec<Node> {
    let blocks: Vec<Node> = markdown.split("\n\n").map(str::trim).filter(|block| !block.is_empty()).flat_map(lines).collect();
    if blocks.is_empty() { paragraph("") } else { blocks }
}

/// The lines of a block: runs of `- ` lines become a list, runs of others a paragraph.
fn lines(block: &str) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    let mut words: Vec<&str> = Vec::new();
    let mut items: Vec<Node> = Vec::new();
    for line in block.lines().map(str::trim) {
        if let Some(item) = line.strip_prefix("- ") {
            close_paragraph(&mut words, &mut nodes);
            items.push(Node::Element(Element::ListItem, vec![Node::Element(Element::Paragraph, inline(item))]));
        } else {
            close_list(&mut items, &mut nodes);
            words.push(line);
        }
    }
    close_paragraph(&mut words, &mut nodes);
    close_list(&mut items, &mut nodes);
    nodes
}

fn close_paragraph(words: &mut Vec<&str>, nodes: &mut Vec<Node>) {
    if !words.is_empty() {
        nodes.push(Node::Element(Element::Paragraph, inline(&words.join(" "))));
        words.clear();
    }
}

fn close_list(items: &mut Vec<Node>, nodes: &mut Vec<Node>) {
    if !items.is_empty() {
        nodes.push(Node::Element(Element::BulletList, std::mem::take(items)));
    }
}

/// Text with `**` and `*` around words. A star that nothing closes stays a star.
fn inline(text: &str) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut rest = text;
    let mut plain = String::new();
    while let Some(star) = rest.find('*') {
        let (before, from_star) = rest.split_at(star);
        plain.push_str(before);
        let delimiter = if from_star.starts_with("**") { "**" } else { "*" };
        let inside = &from_star[delimiter.len()..];
        match inside.find(delimiter) {
            Some(end) if end > 0 && !inside.starts_with(' ') => {
                push(&mut nodes, std::mem::take(&mut plain), Marks::default());
                push(&mut nodes, inside[..end].to_owned(), Marks { strong: delimiter == "**", em: delimiter == "*", link: None });
                rest = &inside[end + delimiter.len()..];
            }
            _ => {
                plain.push_str(delimiter);
                rest = inside;
            }
        }
    }
    plain.push_str(rest);
    push(&mut nodes, plain, Marks::default());
    nodes
}

fn push(nodes: &mut Vec<Node>, text: String, marks: Marks) {
    if !text.is_empty() {
        nodes.push(Node::Text(text, marks));
    }
}
