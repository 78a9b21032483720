//! The report as JSON, for machines that keep or compare reports.
//!
//! Top level: `schema` (this layout's name and version), `figures_sha256` (of `report`, compact, in this order of
//! fields), and `report`. Inside it:
//!
//! - `header`, `readers` (`restricted`, `wider` or `aggregate_only`), `units`;
//! - `headline`: a list of `{key, name, note, value, previous}`; a value is a ratio, a count, a median or seconds;
//! - `by_category`, `rates`, `targets`, `by_department`: rows and their total;
//! - `time_to_safe`, `time_to_reset`: medians, and estimates at fixed times;
//! - `overdue`, `exceptions`, `delivery`, `reminder_yield`, `coverage`, `quality`;
//! - `statements`, `incidents`, `clocks`, `provenance`, `ledger`, `burn_down`, `benchmarks`.
//!
//! A ratio is `{numerator, denominator, percent}`. A count is a number, or a word if it is withheld: `"<5"` (1 to 4),
//! `"39–42"` (one of these), `"hidden"`. Instants are RFC 3339 in UTC; fields that end in `_seconds` are whole seconds,
//! in `_permille` tenths of a per cent. A missing value is `null`.

use serde::Serialize;

use super::{ReportError, fingerprint};
use crate::domain::report::Report;

/// Every field of the layout and what it means, as a JSON Schema.
pub const LAYOUT: &str = include_str!("schema.json");

/// The layout's name and version. The number rises when a field changes its meaning or goes.
pub const SCHEMA: &str = "division-bell/report/1";

/// The report as indented JSON, with a line end.
pub fn render_json(report: &Report) -> Result<String, ReportError> {
    #[derive(Serialize)]
    struct File<'a> {
        schema: &'static str,
        figures_sha256: String,
        report: &'a Report,
    }
    let mut text = serde_json::to_string_pretty(&File {
        schema: SCHEMA,
        figures_sha256: fingerprint(report)?,
        report,
    })?;
    text.push('\n');
    Ok(text)
}
