//! Live schema version 1 (design §4), as far as admission has to know it: which kind of type stands where, and what may go
//! into it.

use super::parse::Content;

/// Names of elements, as ProseMirror writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name(u8);

const NAMES: [&str; 10] =
    ["paragraph", "heading", "bullet_list", "ordered_list", "list_item", "table", "table_row", "table_cell", "table_header", "hard_break"];

impl Name {
    pub(super) fn of(name: &str) -> Option<Self> {
        NAMES.iter().position(|known| *known == name).and_then(|at| u8::try_from(at).ok()).map(Self)
    }
}

/// What a type in a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `meta`: the server alone writes here.
    Meta,
    /// A fragment: a section's text, or any field that people type in.
    Fragment,
    /// An element within one.
    Element,
    /// The text within an element.
    Text,
    /// `goals`.
    Goals,
    /// A goal.
    Goal,
    /// A goal's actions, indicators or links.
    Actions,
    /// See `Actions`.
    Indicators,
    /// See `Actions`.
    Links,
    /// One action.
    Action,
    /// One indicator.
    Indicator,
    /// One link up the chain.
    Link,
}

impl Kind {
    /// What the root of this name is. Whether the document has it is known by the index.
    pub(super) fn of_root(name: &str) -> Option<Self> {
        match name {
            "meta" => Some(Kind::Meta),
            "goals" => Some(Kind::Goals),
            _ if name.starts_with("section:") => Some(Kind::Fragment),
            _ => None,
        }
    }

    /// Rule 9: may this content stand under this key (or in the sequence)? For a new type: what it becomes.
    pub(super) fn takes(self, key: Option<&str>, content: Content) -> Option<Placed> {
        if matches!(content, Content::Deleted) {
            return Some(Placed::Content);
        }
        let becomes = |kind| (content == Content::Map).then_some(Placed::Type(kind));
        let fragment = || (content == Content::Fragment).then_some(Placed::Type(Kind::Fragment));
        let plain = || (content == Content::Values { plain: true }).then_some(Placed::Content);
        match (self, key) {
            (Kind::Fragment | Kind::Element, None) => match content {
                Content::Element(_) => Some(Placed::Type(Kind::Element)),
                Content::Text if self == Kind::Element => Some(Placed::Type(Kind::Text)),
                _ => None,
            },
            // Attributes: a heading's level, a cell's span, the widths of columns.
            (Kind::Element, Some(_)) => matches!(content, Content::Values { .. }).then_some(Placed::Content),
            (Kind::Text, None) => matches!(content, Content::String | Content::Format).then_some(Placed::Content),
            (Kind::Goals, Some(_)) => becomes(Kind::Goal),
            (Kind::Actions, Some(_)) => becomes(Kind::Action),
            (Kind::Indicators, Some(_)) => becomes(Kind::Indicator),
            (Kind::Links, Some(_)) => becomes(Kind::Link),
            (Kind::Goal, Some("title" | "body" | "success" | "responsible"))
            | (Kind::Action, Some("text" | "responsible"))
            | (Kind::Indicator, Some("name" | "source"))
            | (Kind::Link, Some("reason")) => fragment(),
            (Kind::Goal, Some("actions")) => becomes(Kind::Actions),
            (Kind::Goal, Some("indicators")) => becomes(Kind::Indicators),
            (Kind::Goal, Some("links")) => becomes(Kind::Links),
            (Kind::Goal, Some("origin" | "rank" | "due"))
            | (Kind::Action, Some("due" | "rank"))
            | (Kind::Indicator, Some("unit" | "direction" | "frequency" | "baseline" | "target" | "rank"))
            | (Kind::Link, Some("target" | "relation" | "rank")) => plain(),
            _ => None,
        }
    }
}

/// What a block becomes where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// Content, or something deleted.
    Content,
    /// A type of this kind.
    Type(Kind),
}
