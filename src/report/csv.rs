//! The report as CSV: one file a table, and one that says what the others are.
//!
//! Instants are RFC 3339 in UTC, lengths of time whole seconds, withheld numbers words. A cell that a spreadsheet
//! would run as a formula gets an apostrophe in front.

use super::tables::{self, Column, Holds, Table, Value};
use super::{ReportError, fingerprint};
use crate::domain::report::{Cell, Lasting, Measure, Median, Ratio, Report};

/// File names and their contents, in the order of reading. Names hold no folder.
pub fn render_csv(report: &Report) -> Result<Vec<(String, String)>, ReportError> {
    let mut files = vec![("00-about.csv".to_owned(), about(report)?)];
    files.push(("00-open-over-time.csv".to_owned(), burn_down(report)?));
    for table in tables::all(report) {
        files.push((format!("{}.csv", table.file), file(&table)?));
    }
    Ok(files)
}

fn about(report: &Report) -> Result<String, ReportError> {
    let lines = about_lines(report)?.into_iter();
    let rows = lines.map(|(name, value)| vec![name.to_owned(), value]);
    write("00-about", rows.collect())
}

/// What a report is of, and what it was made of.
pub(super) fn about_lines(report: &Report) -> Result<Vec<(&'static str, String)>, ReportError> {
    let header = &report.header;
    let readers = serde_json::to_value(report.readers)?;
    Ok(vec![
        ("organisation", header.organisation.clone()),
        ("scope", header.scope.clone()),
        ("as of", header.as_of.to_string()),
        (
            "made at",
            header
                .generated_at
                .map(|at| at.to_string())
                .unwrap_or_default(),
        ),
        ("zone", header.zone.name().to_owned()),
        ("readers", readers.as_str().unwrap_or_default().to_owned()),
        ("accounts", report.units.accounts.plain()),
        ("people", report.units.people.plain()),
        ("mailboxes", report.units.mailboxes.plain()),
        ("product", header.product.clone()),
        ("configuration SHA-256", header.config_sha256.clone()),
        ("templates SHA-256", header.templates_sha256.clone()),
        ("figures SHA-256", fingerprint(report)?),
        ("purpose", super::html::PURPOSE.to_owned()),
        (
            "small numbers",
            super::html::small_numbers(report.readers).to_owned(),
        ),
    ])
}

fn burn_down(report: &Report) -> Result<String, ReportError> {
    let mut rows = vec![
        ["at", "weak", "attacked", "breached", "compromised"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for point in &report.burn_down.points {
        rows.push(
            std::iter::once(point.at.to_string())
                .chain(point.open.map(Cell::plain))
                .collect(),
        );
    }
    write("00-open-over-time", rows)
}

fn file(table: &Table) -> Result<String, ReportError> {
    let mut rows = vec![table.columns.iter().flat_map(heads).collect()];
    for row in &table.rows {
        let cells = table.columns.iter().zip(&row.values);
        rows.push(
            cells
                .flat_map(|(column, value)| values(column, value))
                .collect(),
        );
    }
    write(table.file, rows)
}

/// The headings of a column: one, or the three of a ratio.
pub(super) fn heads(column: &Column) -> Vec<String> {
    let name = &column.name;
    match column.holds {
        Holds::Words | Holds::Number => vec![name.clone()],
        Holds::Ratio => vec![
            name.clone(),
            format!("{name}: of"),
            format!("{name}: per cent"),
        ],
    }
}

/// What stands below them.
pub(super) fn values(column: &Column, value: &Value) -> Vec<String> {
    let ratio = match value {
        Value::Ratio(ratio) | Value::Measure(Measure::Ratio(ratio)) => Some(ratio),
        _ => None,
    };
    match (column.holds, ratio) {
        (Holds::Words | Holds::Number, _) => vec![plain(value)],
        (Holds::Ratio, Some(ratio)) => three(ratio),
        (Holds::Ratio, None) => vec![plain(value), String::new(), String::new()],
    }
}

fn three(ratio: &Ratio) -> Vec<String> {
    let percent = ratio
        .tenths()
        .map(|tenths| format!("{}.{}", tenths / 10, tenths % 10));
    vec![
        ratio.numerator.plain(),
        ratio.denominator.plain(),
        percent.unwrap_or_default(),
    ]
}

fn plain(value: &Value) -> String {
    let seconds = |lasting: &Lasting| (lasting.0 / 1_000_000).to_string();
    match value {
        Value::Words(text) | Value::Hash(text) => text.clone(),
        Value::Explained(text, _) => (*text).to_owned(),
        Value::Cell(cell) | Value::Measure(Measure::Count(cell)) => cell.plain(),
        Value::Ratio(ratio) | Value::Measure(Measure::Ratio(ratio)) => ratio.to_string(),
        Value::Measure(Measure::Median(Median::Reached { median, .. })) => seconds(median),
        Value::Measure(Measure::Median(other)) => other.to_string(),
        Value::Measure(Measure::Lasting(Some(lasting))) | Value::Lasting(lasting) => {
            seconds(lasting)
        }
        Value::Measure(Measure::Lasting(None)) => "not yet".to_owned(),
        Value::When(at) => at.to_string(),
        Value::Permille(tenths) => format!("{}.{}", tenths / 10, tenths % 10),
        Value::Nothing => String::new(),
        Value::Withheld => "hidden".to_owned(),
    }
}

pub(super) fn write(table: &'static str, rows: Vec<Vec<String>>) -> Result<String, ReportError> {
    let broken = |cause: String| ReportError::Csv { table, cause };
    let mut out = ::csv::WriterBuilder::new()
        .terminator(::csv::Terminator::CRLF)
        .from_writer(Vec::new());
    for row in rows {
        out.write_record(row.iter().map(|cell| harmless(cell)))
            .map_err(|error| broken(error.to_string()))?;
    }
    let bytes = out
        .into_inner()
        .map_err(|error| broken(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| broken(error.to_string()))
}

/// A spreadsheet runs a cell that begins like this. Leading spaces do not stop every one of them.
fn harmless(cell: &str) -> String {
    let first = cell.trim_start_matches(' ').chars().next();
    match first {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠') => {
            format!("'{cell}")
        }
        _ => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_would_be_run_as_a_formula_gets_an_apostrophe() {
        for cell in ["=1+1", "+44", "-2", "@SUM(A1)", "\tx", "\rx", "  =1", "＝1"] {
            assert_eq!(harmless(cell), format!("'{cell}"));
        }
        for cell in ["", "Library", "<5", "1", "39–42", "a=b"] {
            assert_eq!(harmless(cell), cell);
        }
    }

    #[test]
    fn commas_quotes_and_line_ends_stay_in_their_cell() {
        let text = write("x", vec![vec!["a,\"b\"\nc".to_owned(), "d".to_owned()]]).unwrap();
        assert_eq!(text, "\"a,\"\"b\"\"\nc\",d\r\n");
    }
}
