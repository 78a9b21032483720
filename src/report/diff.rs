//! Two reports → what is different: each cell of each table that says something else, has come, or has gone.

use serde::Serialize;

use super::csv::{heads, values};
use super::tables::{self, Table};
use crate::domain::report::Report;

/// One cell that is not as it was.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Change {
    /// The table, as its file is called.
    pub table: &'static str,
    /// The question that it answers.
    pub question: &'static str,
    /// The row, by what stands in its first column.
    pub row: String,
    /// The column.
    pub column: String,
    /// What stood there; none: there was no such row.
    pub before: Option<String>,
    /// What stands there; none: there is no such row.
    pub after: Option<String>,
}

/// What is different, in the order of reading. Rows are known by their first column, and of several that begin alike by
/// their order.
pub fn diff(before: &Report, after: &Report) -> Vec<Change> {
    let (old, new) = (tables::all(before), tables::all(after));
    let mut files: Vec<&'static str> = new.iter().map(|table| table.file).collect();
    files.extend(old.iter().map(|table| table.file));
    files.sort_unstable();
    files.dedup();
    let of = |all: &'_ [Table], file: &str| all.iter().position(|table| table.file == file);
    let mut changes = Vec::new();
    for file in files {
        let (one, other) = (of(&old, file), of(&new, file));
        let one = one.and_then(|at| old.get(at));
        let other = other.and_then(|at| new.get(at));
        compare(one, other, &mut changes);
    }
    changes
}

/// A row by its first column, and its cells by their headings.
type Line = (String, Vec<(String, String)>);

fn lines(table: Option<&Table>) -> Vec<Line> {
    let Some(table) = table else {
        return Vec::new();
    };
    let heads: Vec<String> = table.columns.iter().flat_map(heads).collect();
    let mut known: Vec<String> = Vec::new();
    let mut lines = Vec::new();
    for row in &table.rows {
        let cells: Vec<String> = table
            .columns
            .iter()
            .zip(&row.values)
            .flat_map(|(column, value)| values(column, value))
            .collect();
        let first = cells.first().cloned().unwrap_or_default();
        let again = known.iter().filter(|one| **one == first).count();
        known.push(first.clone());
        let name = match again {
            0 => first,
            again => format!("{first} ({})", again + 1),
        };
        lines.push((name, heads.iter().cloned().zip(cells).collect()));
    }
    lines
}

fn compare(one: Option<&Table>, other: Option<&Table>, changes: &mut Vec<Change>) {
    let Some(table) = other.or(one) else { return };
    let (old, new) = (lines(one), lines(other));
    let find = |all: &[Line], name: &str| all.iter().find(|(known, _)| known == name).cloned();
    let mut names: Vec<&String> = new.iter().map(|(name, _)| name).collect();
    names.extend(
        old.iter()
            .map(|(name, _)| name)
            .filter(|name| find(&new, name).is_none()),
    );
    for name in names {
        let (was, is) = (find(&old, name), find(&new, name));
        // Either may have a column that the other lacks.
        let mut heads: Vec<String> = Vec::new();
        for (_, cells) in [&is, &was].into_iter().flatten() {
            for (head, _) in cells {
                if !heads.contains(head) {
                    heads.push(head.clone());
                }
            }
        }
        let cell = |line: &Option<Line>, head: &str| {
            let (_, cells) = line.as_ref()?;
            let cell = cells.iter().find(|(known, _)| known == head);
            cell.map(|(_, text)| text.clone())
        };
        for head in heads {
            let (before, after) = (cell(&was, &head), cell(&is, &head));
            if before != after {
                changes.push(Change {
                    table: table.file,
                    question: table.question,
                    row: name.clone(),
                    column: head,
                    before,
                    after,
                });
            }
        }
    }
}
