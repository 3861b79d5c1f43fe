//! What a live document says: its content as plain values, apart from how the CRDT encodes it. The one module outside `rooms` that
//! reads or makes a yrs document. Live schema version 1 (design §4).
//!
//! [`build`] makes the first update of a document, [`read`] reads any state of it, [`render`] spells the content in the one way that is
//! hashed, shown and signed, and [`project`] takes out what SQL wants to know.
//!
//! What the schema does not know is not content: an unknown node, mark, attribute or key is neither shown, nor rendered, nor signed
//! (y-prosemirror removes such nodes as soon as an editor sees them). A section without nodes is left out, so that a root type that was
//! only looked at changes nothing. A goal or item that lacks one of its fragments (half undone by its maker) is not there either.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use yrs::{Doc, OffsetKind, Options, Transact, block::ClientID};

mod build;
mod json;
mod markdown;
mod project;
mod read;

pub use build::{build, first_client};
pub use markdown::blocks;
pub use project::{ActionText, GoalText, IndicatorText, LinkText, Projection, SectionText, plain_blocks, project};
pub use read::{read, read_in};

/// The live schema that this build writes.
pub const SCHEMA: u16 = 1;

/// What a document says at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Version of the live schema.
    pub schema: u16,
    /// Id of the template it was made from.
    pub template: String,
    /// Sections of live text by template key.
    pub sections: BTreeMap<String, Vec<Node>>,
    /// Goals in their order: (rank, id) by bytes.
    pub goals: Vec<Goal>,
}

/// A goal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Goal {
    /// The same in every version of the document.
    pub id: String,
    /// One paragraph.
    pub title: Vec<Node>,
    /// The description.
    pub body: Vec<Node>,
    /// A list of criteria.
    pub success: Vec<Node>,
    /// Who answers for it, in words.
    pub responsible: Vec<Node>,
    /// `political`, `executive`, `local`; in the chain's other documents the kind of goal.
    pub origin: String,
    /// Fractional key.
    pub rank: String,
    /// A day, or empty.
    pub due: String,
    /// In their order: (rank, id) by bytes.
    pub actions: Vec<Action>,
    /// By id.
    pub indicators: Vec<Indicator>,
    /// By id.
    pub links: Vec<Link>,
}

/// What will be done for a goal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Action {
    /// Stable id.
    pub id: String,
    /// What.
    pub text: Vec<Node>,
    /// Who, in words.
    pub responsible: Vec<Node>,
    /// A day, or empty.
    pub due: String,
    /// Fractional key.
    pub rank: String,
}

/// How a goal is measured. Plain values are strings, also decimals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indicator {
    /// Stable id.
    pub id: String,
    /// What is measured.
    pub name: Vec<Node>,
    /// Where the figures come from.
    pub source: Vec<Node>,
    /// *procent*, *antal* …
    pub unit: String,
    /// `up` or `down` is good.
    pub direction: String,
    /// `monthly` …
    pub frequency: String,
    /// Where it starts.
    pub baseline: String,
    /// Where it shall get.
    pub target: String,
}

/// What a goal points up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// A fresh UUID for each link.
    pub id: String,
    /// Id of a goal of the chain.
    pub target: String,
    /// `contributes_to`, `implements` or `constrained_by`.
    pub relation: String,
    /// Why.
    pub reason: Vec<Node>,
}

/// A node of rich text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A block, or a hard break.
    Element(Element, Vec<Node>),
    /// A run of text under the same marks; never empty, never beside another with equal marks.
    Text(String, Marks),
}

/// The elements of schema version 1, with their attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// `paragraph`
    Paragraph,
    /// `heading`, level 2 to 4.
    Heading(u32),
    /// `bullet_list`
    BulletList,
    /// `ordered_list`
    OrderedList,
    /// `list_item`
    ListItem,
    /// `table`
    Table,
    /// `table_row`
    TableRow,
    /// `table_cell`
    TableCell(Span),
    /// `table_header`
    TableHeader(Span),
    /// `hard_break`
    HardBreak,
}

/// How many columns and rows a cell spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Columns.
    pub columns: u32,
    /// Rows.
    pub rows: u32,
}

impl Element {
    /// Its name in ProseMirror and in the Y.XmlElement.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Element::Paragraph => "paragraph",
            Element::Heading(_) => "heading",
            Element::BulletList => "bullet_list",
            Element::OrderedList => "ordered_list",
            Element::ListItem => "list_item",
            Element::Table => "table",
            Element::TableRow => "table_row",
            Element::TableCell(_) => "table_cell",
            Element::TableHeader(_) => "table_header",
            Element::HardBreak => "hard_break",
        }
    }

    /// Its attributes, defaults too, in the order of their names.
    fn attributes(self) -> Vec<(&'static str, u32)> {
        match self {
            Element::Heading(level) => vec![("level", level)],
            Element::TableCell(span) | Element::TableHeader(span) => vec![("colspan", span.columns), ("rowspan", span.rows)],
            _ => Vec::new(),
        }
    }

    /// Does it stand inside a line of text?
    fn inline(self) -> bool {
        self == Element::HardBreak
    }
}

/// The marks on a run of text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// **strong**
    pub strong: bool,
    /// *em*
    pub em: bool,
    /// A link's address.
    pub link: Option<String>,
}

/// One paragraph of unmarked text; an empty one for an empty text.
#[must_use]
pub fn paragraph(text: &str) -> Vec<Node> {
    let words = if text.is_empty() { Vec::new() } else { vec![Node::Text(text.to_owned(), Marks::default())] };
    vec![Node::Element(Element::Paragraph, words)]
}

/// A bullet list with one paragraph for each text; one empty item for none.
#[must_use]
pub fn bullets(texts: &[String]) -> Vec<Node> {
    let item = |text: &str| Node::Element(Element::ListItem, paragraph(text));
    let items = if texts.is_empty() { vec![item("")] } else { texts.iter().map(|text| item(text)).collect() };
    vec![Node::Element(Element::BulletList, items)]
}

/// An empty document under this client id, counting as Yjs does: the default counts bytes and corrupts Danish letters.
#[must_use]
pub fn empty_doc(client: u64) -> Doc {
    Doc::with_options(Options { client_id: ClientID::new(client), offset_kind: OffsetKind::Utf16, ..Options::default() })
}

/// The canonical JSON of a document's content: the bytes that are shown, hashed and signed.
///
/// Takes a read transaction of its own: the caller holds none that writes.
#[must_use]
pub fn render(doc: &Doc) -> Vec<u8> {
    render_content(&read(doc))
}

/// The canonical JSON of this content.
#[must_use]
pub fn render_content(content: &Content) -> Vec<u8> {
    samspil_evidence::canonical::to_vec(&json::value(content))
}

/// SHA-256.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The document that these updates, in this order, make; `None` when one of them does not decode or apply. For bytes from our own log
/// only: what comes from outside passes admission first.
#[must_use]
pub fn replay<'a>(updates: impl IntoIterator<Item = &'a [u8]>) -> Option<Doc> {
    use yrs::{Update, updates::decoder::Decode};

    // No block is ever made under this id here: the document is only read.
    let doc = empty_doc(1);
    {
        let mut transaction = doc.transact_mut();
        for update in updates {
            transaction.apply_update(Update::decode_v1(update).ok()?).ok()?;
        }
    }
    Some(doc)
}

#[cfg(test)]
mod tests;
