//! Prints a report: as a page for people, as tables for a spreadsheet, as JSON for machines.
//!
//! Nothing is decided here. The same [`Report`] gives the same bytes in each form, and each carries the fingerprint of
//! the same figures.

mod chart;
mod csv;
mod html;
mod json;
mod tables;
#[cfg(test)]
mod tests;
mod times;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

pub use csv::render_csv;
pub use html::render_html;
pub use json::{SCHEMA, render_json};

use crate::domain::report::Report;

/// Why a report could not be printed. Each is a fault of the program, not of the data.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The page's template does not fit what it is given.
    #[error("messages/page/report.html: {0}")]
    Page(#[from] minijinja::Error),
    /// The chart could not be drawn.
    #[error("the chart of open accounts: {0}")]
    Chart(String),
    /// The figures could not be written as JSON.
    #[error("the figures as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A table could not be written as CSV.
    #[error("table {table} as CSV: {cause}")]
    Csv {
        /// Its file name.
        table: &'static str,
        /// What the writer says.
        cause: String,
    },
}

/// SHA-256 of the figures as JSON, in hexadecimal: what the page, the tables and the JSON file have in common.
pub fn fingerprint(report: &Report) -> Result<String, ReportError> {
    Ok(HEXLOWER.encode(&Sha256::digest(serde_json::to_vec(report)?)))
}
