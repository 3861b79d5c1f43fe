//! What was measured, as one table of Markdown that can be read as text, too.

use std::fmt::Write as _;

/// One line of the table. What was not measured is left empty.
#[derive(Clone, Debug, Default)]
pub struct Line {
    what: String,
    ours: String,
    commits: String,
    theirs: String,
    ratio: String,
    goal: String,
}

/// A figure with its unit.
#[derive(Clone, Copy, Debug)]
pub enum Figure {
    /// Microseconds.
    Us(f64),
    /// Per second.
    PerS(f64),
    /// Percent of one core.
    Percent(f64),
    /// KiB.
    Kib(f64),
    /// Things.
    Count(u64),
}

impl Figure {
    fn value(self) -> f64 {
        match self {
            Self::Us(value) | Self::PerS(value) | Self::Percent(value) | Self::Kib(value) => value,
            #[expect(clippy::cast_precision_loss, reason = "nothing here comes near 2^52")]
            Self::Count(count) => count as f64,
        }
    }
}

impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Us(us) if us < 100_000.0 => write!(f, "{:.2} ms", us / 1_000.0),
            Self::Us(us) => write!(f, "{:.0} ms", us / 1_000.0),
            Self::PerS(per_s) => write!(f, "{per_s:.0} /s"),
            Self::Percent(percent) => write!(f, "{percent:.0} %"),
            Self::Kib(kib) if kib.abs() < 1_024.0 => write!(f, "{kib:.1} KiB"),
            Self::Kib(kib) => write!(f, "{:.1} MiB", kib / 1_024.0),
            Self::Count(count) => write!(f, "{count}"),
        }
    }
}

impl Line {
    /// What is measured, and what is to be reached.
    pub fn new(what: impl Into<String>, goal: impl Into<String>) -> Self {
        Self { what: what.into(), goal: goal.into(), ..Self::default() }
    }

    /// Our figure, and Hocuspocus'.
    pub fn figures(mut self, ours: Figure, theirs: Option<Figure>) -> Self {
        self.ours = ours.to_string();
        if let Some(theirs) = theirs {
            self.theirs = theirs.to_string();
            if theirs.value() > 0.0 && !matches!(ours, Figure::Count(_)) {
                self.ratio = format!("{:.2} ×", ours.value() / theirs.value());
            }
        }
        self
    }

    /// Words instead of a figure.
    pub fn words(mut self, ours: impl Into<String>, theirs: Option<String>) -> Self {
        self.ours = ours.into();
        self.theirs = theirs.unwrap_or_default();
        self
    }

    /// Our figure as so many commits of this length.
    pub fn commits(mut self, ours_us: f64, commit_us: f64) -> Self {
        self.commits = format!("{:.1} ×", ours_us / commit_us);
        self
    }

    fn cells(&self) -> [&str; 6] {
        [&self.what, &self.ours, &self.commits, &self.goal, &self.theirs, &self.ratio]
    }
}

const TITLES: [&str; 6] = ["what", "ours", "one commit", "goal", "Hocuspocus 4", "ours to theirs"];

/// The lines as Markdown, every column as wide as its widest cell.
pub fn markdown(lines: &[Line]) -> String {
    let rows: Vec<[&str; 6]> = std::iter::once(TITLES).chain(lines.iter().map(Line::cells)).collect();
    let widths: [usize; 6] = std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let mut out = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            // Words begin, figures end, beneath each other.
            let _ = if matches!(column, 0 | 3) { write!(out, "| {cell:<width$} ") } else { write!(out, "| {cell:>width$} ") };
        }
        out.push_str("|\n");
        if number == 0 {
            for (column, width) in widths.iter().enumerate() {
                let rule = "-".repeat(*width);
                let _ = if matches!(column, 0 | 3) { write!(out, "| {rule} ") } else { write!(out, "| {}: ", &rule[1..]) };
            }
            out.push_str("|\n");
        }
    }
    out
}
