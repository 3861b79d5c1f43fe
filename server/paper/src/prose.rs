//! Rich text as the template sets it. Any content that the schema can hold becomes something that can be set: lists as deep as a page is
//! wide, tables whose cells do not overlap, headings that skip no level. No word is left out.

use serde_json::{Value, json};

use crate::glyphs::{Glyphs, breakable};

/// Lists are indented so deep, tables stand inside one another so deep; what is deeper stands beside it.
const LISTS_MAX: usize = 6;
const TABLES_MAX: usize = 2;
/// A wider table is set line by line.
const COLUMNS_MAX: usize = 12;
/// Letters in a row before a line may end among them, in text as wide as the page.
const WORD_MAX: usize = 44;

/// Where in the page some text stands.
#[derive(Clone, Copy)]
struct Place {
    lists: usize,
    tables: usize,
    word_max: usize,
}

/// Sets rich text below a heading of some level.
pub(crate) struct Prose<'g> {
    glyphs: &'g Glyphs<'g>,
    level: u64,
}

impl<'g> Prose<'g> {
    /// For text under a heading of this level.
    pub(crate) fn under(glyphs: &'g Glyphs<'g>, level: u64) -> Self {
        Self { glyphs, level }
    }

    /// Blocks of text.
    pub(crate) fn blocks(&mut self, nodes: &Value) -> Value {
        let mut blocks = Vec::new();
        let top = self.level;
        self.each(nodes, top, Place { lists: 0, tables: 0, word_max: WORD_MAX }, &mut blocks);
        Value::Array(blocks)
    }

    /// The text of one line: every word in the nodes, without their structure.
    pub(crate) fn line(&self, nodes: &Value) -> Value {
        let mut runs = Vec::new();
        self.flat(nodes, &mut 0, WORD_MAX, &mut runs);
        Value::Array(runs)
    }

    fn each(&mut self, nodes: &Value, top: u64, place: Place, blocks: &mut Vec<Value>) {
        for node in nodes.as_array().into_iter().flatten() {
            let inside = &node["content"];
            match kind(node) {
                "heading" => {
                    let wanted = top + node["attrs"]["level"].as_u64().unwrap_or(2).saturating_sub(1);
                    self.level = wanted.min(self.level + 1).min(6);
                    blocks.push(json!({ "kind": "heading", "level": self.level, "runs": self.runs(inside, place) }));
                }
                "bullet_list" | "ordered_list" if place.lists < LISTS_MAX => {
                    let deeper = Place { lists: place.lists + 1, ..place };
                    let items = inside.as_array().into_iter().flatten().map(|item| {
                        let mut blocks = Vec::new();
                        self.each(&item["content"], top, deeper, &mut blocks);
                        Value::Array(blocks)
                    });
                    let items: Vec<Value> = items.collect();
                    let kind = if kind(node) == "ordered_list" { "numbers" } else { "bullets" };
                    blocks.push(json!({ "kind": kind, "items": items }));
                }
                "table" => self.table(inside, top, place, blocks),
                "paragraph" => blocks.push(json!({ "kind": "paragraph", "runs": self.runs(inside, place) })),
                "text" | "hard_break" => {
                    blocks.push(json!({ "kind": "paragraph", "runs": self.runs(&json!([node]), place) }));
                }
                // A list below the deepest, or a row without its table.
                _ => self.each(inside, top, place, blocks),
            }
        }
    }

    fn table(&mut self, rows: &Value, top: u64, place: Place, blocks: &mut Vec<Value>) {
        let grid = Grid::of(rows);
        if place.tables >= TABLES_MAX || grid.columns > COLUMNS_MAX {
            for row in rows.as_array().into_iter().flatten() {
                self.each(&row["content"], top, place, blocks);
            }
            return;
        }
        let word_max = (WORD_MAX * 3 / 2 / grid.columns.max(1)).clamp(5, place.word_max);
        let deeper = Place { tables: place.tables + 1, word_max, ..place };
        let mut cells = Vec::new();
        for cell in &grid.cells {
            let mut blocks = Vec::new();
            self.each(cell.nodes, top, deeper, &mut blocks);
            cells.push(json!({
                "x": cell.x, "y": cell.y, "columns": cell.columns, "rows": cell.rows, "header": cell.header, "blocks": blocks,
            }));
        }
        blocks.push(json!({ "kind": "table", "columns": grid.columns, "header": grid.header, "cells": cells }));
    }

    fn runs(&self, nodes: &Value, place: Place) -> Value {
        let mut runs = Vec::new();
        self.flat(nodes, &mut 0, place.word_max, &mut runs);
        Value::Array(runs)
    }

    fn flat(&self, nodes: &Value, since: &mut usize, word_max: usize, runs: &mut Vec<Value>) {
        for node in nodes.as_array().into_iter().flatten() {
            match kind(node) {
                "text" => {
                    let marks: Vec<&Value> = node["marks"].as_array().into_iter().flatten().collect();
                    let marked = |name: &str| marks.iter().any(|mark| kind(mark) == name);
                    let link = marks.iter().find(|mark| kind(mark) == "link").and_then(|mark| mark["attrs"]["href"].as_str());
                    for (line, text) in node["text"].as_str().unwrap_or_default().split('\n').enumerate() {
                        if line > 0 {
                            *since = 0;
                            runs.push(json!({ "text": null }));
                        }
                        if text.is_empty() {
                            continue;
                        }
                        runs.push(json!({
                            "text": breakable(&self.glyphs.shown(text), word_max, since),
                            "strong": marked("strong"),
                            "em": marked("em"),
                            "link": link.filter(|link| allowed(link)),
                        }));
                    }
                }
                "hard_break" => {
                    *since = 0;
                    runs.push(json!({ "text": null }));
                }
                // Two paragraphs in what is shown as one line are two words at least.
                _ => {
                    if !runs.is_empty() {
                        *since = 0;
                        runs.push(json!({ "text": " ", "strong": false, "em": false, "link": null }));
                    }
                    self.flat(&node["content"], since, word_max, runs);
                }
            }
        }
    }
}

/// The links that the pages make: nothing else can be followed from paper either.
fn allowed(href: &str) -> bool {
    let lower = href.to_ascii_lowercase();
    (lower.starts_with("https://") || lower.starts_with("mailto:"))
        && href.len() <= 2_000
        && href.bytes().all(|byte| byte.is_ascii_graphic())
}

fn kind(node: &Value) -> &str {
    node["type"].as_str().unwrap_or_default()
}

/// Is there a word in these nodes?
pub(crate) fn says_something(nodes: &Value) -> bool {
    match nodes {
        Value::Array(nodes) => nodes.iter().any(says_something),
        Value::Object(node) => {
            node.get("text").and_then(Value::as_str).is_some_and(|text| !text.trim().is_empty())
                || node.get("content").is_some_and(says_something)
        }
        _ => false,
    }
}

/// A table's cells, each in a place of its own.
struct Grid<'n> {
    columns: usize,
    header: bool,
    cells: Vec<Cell<'n>>,
}

struct Cell<'n> {
    x: usize,
    y: usize,
    columns: usize,
    rows: usize,
    header: bool,
    nodes: &'n Value,
}

impl<'n> Grid<'n> {
    /// Lays the cells out as a browser does: each in the first place that is free, no wider or taller than what is there.
    fn of(rows: &'n Value) -> Self {
        let rows: Vec<&Value> = rows.as_array().into_iter().flatten().collect();
        let mut taken: Vec<Vec<bool>> = vec![Vec::new(); rows.len()];
        let mut cells = Vec::new();
        for (y, row) in rows.iter().enumerate() {
            let mut x = 0;
            for node in row["content"].as_array().into_iter().flatten() {
                while taken[y].get(x) == Some(&true) {
                    x += 1;
                }
                let span = |name: &str, max: usize| {
                    let span = node["attrs"][name].as_u64().and_then(|span| usize::try_from(span).ok());
                    span.unwrap_or(1).clamp(1, max)
                };
                let free = (x..).take_while(|x| taken[y].get(*x) != Some(&true)).take(COLUMNS_MAX).count();
                let (columns, tall) = (span("colspan", free), span("rowspan", rows.len() - y));
                for row in &mut taken[y..y + tall] {
                    if row.len() < x + columns {
                        row.resize(x + columns, false);
                    }
                    row[x..x + columns].fill(true);
                }
                cells.push(Cell { x, y, columns, rows: tall, header: kind(node) == "table_header", nodes: &node["content"] });
                x += columns;
            }
        }
        let columns = taken.iter().map(Vec::len).max().unwrap_or_default();
        let mut first = cells.iter().filter(|cell| cell.y == 0).peekable();
        let header = first.peek().is_some() && first.all(|cell| cell.header && cell.rows == 1) && rows.len() > 1;
        Self { columns, header, cells }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Glyphs<'static> {
        Glyphs { fonts: vec![Box::new(|_| true)] }
    }

    fn text(words: &str) -> Value {
        json!({ "type": "text", "text": words, "marks": [] })
    }

    #[expect(clippy::needless_pass_by_value, reason = "made where it is given")]
    fn node(kind: &str, attrs: Value, content: Vec<Value>) -> Value {
        json!({ "type": kind, "attrs": attrs, "content": content })
    }

    fn cell(columns: u32, rows: u32, words: &str) -> Value {
        node("table_cell", json!({ "colspan": columns, "rowspan": rows }), vec![node("paragraph", json!({}), vec![text(words)])])
    }

    fn places(rows: Vec<Vec<Value>>) -> (usize, Vec<(usize, usize, usize, usize)>) {
        let rows = Value::Array(rows.into_iter().map(|cells| node("table_row", json!({}), cells)).collect());
        let grid = Grid::of(&rows);
        (grid.columns, grid.cells.iter().map(|cell| (cell.x, cell.y, cell.columns, cell.rows)).collect())
    }

    #[test]
    fn cells_never_overlap_and_never_reach_beyond_their_table() {
        assert_eq!(places(vec![vec![cell(1, 1, "a"), cell(1, 1, "b")]]), (2, vec![(0, 0, 1, 1), (1, 0, 1, 1)]));
        let tall = vec![vec![cell(1, 9, "a"), cell(1, 1, "b")], vec![cell(1, 1, "c")]];
        assert_eq!(places(tall), (2, vec![(0, 0, 1, 2), (1, 0, 1, 1), (1, 1, 1, 1)]));
        // The second row's wide cell has but one place left before the tall one.
        let between = vec![vec![cell(1, 1, "a"), cell(1, 2, "b")], vec![cell(u32::MAX, 1, "c"), cell(1, 1, "d")]];
        assert_eq!(places(between), (3, vec![(0, 0, 1, 1), (1, 0, 1, 2), (0, 1, 1, 1), (2, 1, 1, 1)]));
        assert_eq!(places(vec![]), (0, vec![]));
    }

    #[test]
    fn headings_skip_no_level() {
        let heading = |level: u32| node("heading", json!({ "level": level }), vec![text("x")]);
        let nodes = Value::Array([4, 2, 4, 3, 4].map(heading).to_vec());
        let glyphs = all();
        let blocks = Prose::under(&glyphs, 1).blocks(&nodes);
        let levels: Vec<u64> = blocks.as_array().unwrap().iter().map(|block| block["level"].as_u64().unwrap()).collect();
        assert_eq!(levels, [2, 2, 3, 3, 4]);
    }

    #[test]
    fn only_links_that_the_pages_make_can_be_followed() {
        let glyphs = all();
        for (href, stays) in [("https://a.dk", true), ("mailto:a@b.dk", true), ("javascript:alert(1)", false), ("http://a.dk", false)] {
            let run = json!({ "type": "text", "text": "x", "marks": [{ "type": "link", "attrs": { "href": href } }] });
            let line = Prose::under(&glyphs, 1).line(&json!([run]));
            assert_eq!(line[0]["link"].is_string(), stays, "{href}");
        }
    }

    #[test]
    fn lists_and_tables_below_the_deepest_stand_beside_it_with_every_word() {
        let mut nodes = text("inderst");
        for depth in 0..60 {
            nodes = if depth % 3 == 2 {
                node("table", json!({}), vec![node("table_row", json!({}), vec![node("table_cell", json!({}), vec![nodes])])])
            } else {
                let item = node("list_item", json!({}), vec![node("paragraph", json!({}), vec![text("punkt")]), nodes]);
                node("bullet_list", json!({}), vec![item])
            };
        }
        let glyphs = all();
        let blocks = Prose::under(&glyphs, 1).blocks(&json!([nodes])).to_string();
        assert_eq!((blocks.matches("punkt").count(), blocks.matches("inderst").count()), (40, 1));
        assert!(blocks.matches("\"items\"").count() <= LISTS_MAX * 8, "{blocks}");
    }
}
