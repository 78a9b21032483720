//! The report as tables: what the page and the spreadsheet have in common.

mod cases;
mod records;

use crate::domain::finding::Category;
use crate::domain::moment::Moment;
use crate::domain::report::{Cell, Lasting, Measure, Ratio, Report};

use super::chart::capitalised;

/// One table.
#[derive(Debug)]
pub struct Table {
    /// The name of its file, without `.csv`.
    pub file: &'static str,
    /// The question that it answers: its heading.
    pub question: &'static str,
    /// What it shows, and in which unit.
    pub caption: String,
    /// Its columns. The first one names the row.
    pub columns: Vec<Column>,
    /// Its rows.
    pub rows: Vec<Row>,
    /// What a reader has to know.
    pub notes: Vec<String>,
}

/// One column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its heading.
    pub name: String,
    /// What stands in it.
    pub holds: Holds,
}

/// What stands in a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holds {
    /// Words.
    Words,
    /// A number or a length of time, set to the right.
    Number,
    /// An instant.
    When,
    /// So many of so many: three columns in a spreadsheet.
    Ratio,
}

/// One row.
#[derive(Debug)]
pub struct Row {
    /// Its cells, as many as there are columns.
    pub values: Vec<Value>,
    /// It is the sum of those above.
    pub is_total: bool,
}

/// One cell.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// Words.
    Words(String),
    /// Words, and smaller ones that explain them.
    Explained(&'static str, &'static str),
    /// A fingerprint.
    Hash(String),
    /// A count.
    Cell(Cell),
    /// So many of so many.
    Ratio(Ratio),
    /// A metric's value.
    Measure(Measure),
    /// An instant.
    When(Moment),
    /// A length of time.
    Lasting(Lasting),
    /// Tenths of a per cent.
    Permille(u64),
    /// There is none.
    Nothing,
    /// There is one, and readers may not see it.
    Withheld,
}

impl Value {
    fn when(at: Option<Moment>) -> Self {
        at.map_or(Self::Nothing, Self::When)
    }

    fn words(text: &str) -> Self {
        Self::Words(text.to_owned())
    }
}

fn columns(of: &[(&str, Holds)]) -> Vec<Column> {
    of.iter()
        .map(|(name, holds)| Column {
            name: (*name).to_owned(),
            holds: *holds,
        })
        .collect()
}

fn row(values: Vec<Value>) -> Row {
    Row {
        values,
        is_total: false,
    }
}

fn total(values: Vec<Value>) -> Row {
    Row {
        values,
        is_total: true,
    }
}

fn category(category: Option<Category>) -> Value {
    Value::Words(category.map_or("All".to_owned(), |category| capitalised(category.word())))
}

/// Every table that has something in it, in the order of reading.
pub fn all(report: &Report) -> Vec<Table> {
    let mut tables = vec![
        cases::headline(report),
        cases::by_category(report),
        cases::rates(report),
        cases::targets(report),
        cases::by_department(report),
        cases::time(&report.time_to_safe, false),
        cases::time(&report.time_to_reset, true),
        cases::overdue_by_age(report),
        cases::overdue_cases(report),
        records::exceptions(report),
        records::delivery(report),
        records::reminders(report),
        records::coverage(report),
        records::statements(report),
        records::incidents(report),
        records::clocks(report),
        records::provenance(report),
        records::ledger(report),
        records::quality(report),
        records::benchmarks(report),
    ];
    tables.retain(|table| !table.rows.is_empty());
    tables
}
