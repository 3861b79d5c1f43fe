//! What an import does with each record, and the report of it.

use std::{collections::BTreeMap, fmt};

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Change {
    /// It was not here.
    New,
    /// It follows the data, and the data has changed.
    Changed,
    /// It is here as the data has it.
    Unchanged,
    /// It was made by an earlier import, and belongs to the people here since then.
    LeftAlone,
    /// The same, and the data has changed since then: whoever keeps the data may want to know that it is not followed.
    Differs,
    /// It was imported once and is not in the data any more; nothing is removed.
    Vanished,
}

/// What an import did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Each record: sort, id in the data, what became of it.
    pub records: Vec<(&'static str, String, Change)>,
}

impl Report {
    /// How many records this became of.
    #[must_use]
    pub fn count(&self, change: Change) -> usize {
        self.records.iter().filter(|(.., found)| *found == change).count()
    }

    /// The records of this sort, by id.
    pub fn of(&self, sort: &str) -> impl Iterator<Item = (&str, Change)> {
        self.records.iter().filter(move |(found, ..)| *found == sort).map(|(_, id, change)| (id.as_str(), *change))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorts: BTreeMap<&str, BTreeMap<Change, Vec<&str>>> = BTreeMap::new();
        for (sort, id, change) in &self.records {
            sorts.entry(sort).or_default().entry(*change).or_default().push(id);
        }
        for (sort, changes) in sorts {
            for (change, ids) in changes {
                let (words, listed) = match change {
                    Change::New => ("new", false),
                    Change::Changed => ("changed", true),
                    Change::Unchanged => ("exists, unchanged", false),
                    Change::LeftAlone => ("exists, left alone", false),
                    Change::Differs => ("exists, left alone although the data has changed", true),
                    Change::Vanished => ("no longer in the data, kept", true),
                };
                let names = if listed { format!(": {}", ids.join(", ")) } else { String::new() };
                writeln!(f, "{sort}: {} {words}{names}", ids.len())?;
            }
        }
        Ok(())
    }
}
