//! Prints a report: as a page for people, as tables for a spreadsheet, as JSON for machines; and signs what others act on.
//!
//! Nothing is decided here. The same [`Report`] gives the same bytes in each form, and each carries the fingerprint of
//! the same figures.

mod chart;
mod csv;
mod diff;
mod html;
mod json;
pub mod letters;
mod picture;
mod signed;
mod tables;
#[cfg(test)]
mod tests;
mod times;
mod xlsx;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

pub use csv::render_csv;
pub use diff::{Change, diff};
pub use html::render_html;
pub use json::{LAYOUT, SCHEMA, render_json};
pub use picture::picture;
pub use xlsx::render_xlsx;

pub use signed::{HOW_TO_VERIFY, SigningError, SigningKey, VerifyingError, VerifyingKey};

use crate::domain::report::Report;

/// A form of the report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// One page to read and print.
    Html,
    /// A folder with one file a table.
    Csv,
    /// One file for other programs.
    Json,
    /// A workbook with one sheet a table.
    Xlsx,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Html, Self::Csv, Self::Json, Self::Xlsx];

    /// How a file of this form is called; none if it is a folder.
    pub const fn extension(self) -> Option<&'static str> {
        match self {
            Self::Html => Some("html"),
            Self::Csv => None,
            Self::Json => Some("json"),
            Self::Xlsx => Some("xlsx"),
        }
    }
}

/// The report in a few sentences, as its page begins.
pub fn in_short(report: &Report) -> String {
    html::sentences(report).join(" ")
}

/// Why a report could not be printed. Each is a fault of the program, not of the data.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The page's template does not fit what it is given.
    #[error("messages/page/report.html: {0}")]
    Page(#[from] minijinja::Error),
    /// The page of letters or the tick sheet does not fit what it is given.
    #[error("messages/page/letters.html or sheet.html: {0}")]
    Letters(minijinja::Error),
    /// The chart could not be drawn.
    #[error("the chart of open accounts: {0}")]
    Chart(String),
    /// The figures could not be written as JSON.
    #[error("the figures as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The workbook could not be written.
    #[error("the workbook: {0}")]
    Xlsx(#[from] rust_xlsxwriter::XlsxError),
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
