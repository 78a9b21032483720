//! Tables: their header, and the rows of those whose columns are known beforehand.

use std::io::Read;

use zeroize::Zeroizing;

use super::decode::{Bytes, Charset, Line, Lines, MAX_LINE};
use super::detect::Refusal;
use super::mapping::header;
use super::records::{Cells, Record, Records, cut, likely_delimiter};
use super::{AuditError, ReadOptions, Sink};
use crate::domain::finding::RejectReason;

/// Lines that a header may have: a quotation mark that is never closed must not be followed for ever.
const MAX_HEADER_LINES: u64 = 20;

/// A table's header.
pub(super) struct TableHead {
    /// Its line.
    pub(super) line: u64,
    /// As they are compared. The first of two equal ones counts.
    pub(super) names: Vec<String>,
}

impl TableHead {
    /// Where a column is. Compared as headers are.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        let wanted = header(name);
        self.names.iter().position(|name| *name == wanted)
    }

    /// Where the first of several names for one column is.
    pub(super) fn any(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| self.find(name))
    }
}

/// Reads up to and with the header. `sep=;` and `#TYPE …`, which spreadsheets and PowerShell write, go before it.
pub(super) fn open<R: Read>(
    mut lines: Lines<R>,
    skip_lines: u64,
    delimiter: Option<u8>,
) -> Result<(Records<R>, TableHead), AuditError> {
    let charset = lines.charset();
    let mut delimiter = delimiter;
    let mut text: Zeroizing<Vec<u8>> = Zeroizing::new(Vec::with_capacity(MAX_LINE * 2 + 2));
    let mut started_at = 0;
    let mut seen = 0;
    loop {
        let Some(line) = lines.next()? else {
            return Err(AuditError::Header {
                line: seen,
                problem: "the table ends before its header",
            });
        };
        let (number, line) = match line {
            Line::Whole { number, text, .. } => (number, text),
            Line::TooLong { number } => {
                return Err(AuditError::Header {
                    line: number,
                    problem: "the header is longer than 64 KiB",
                });
            }
        };
        seen = number;
        if number <= skip_lines {
            continue;
        }
        if text.is_empty() {
            if line.trim_ascii().is_empty() || line.starts_with(b"#TYPE ") {
                continue;
            }
            if let Some(rest) = line.strip_prefix(b"sep=") {
                delimiter = delimiter.or_else(|| rest.first().copied());
                continue;
            }
            started_at = number;
        } else {
            text.push(b'\n');
        }
        if text.len() + line.len() > MAX_LINE || number - started_at >= MAX_HEADER_LINES {
            return Err(AuditError::Header {
                line: started_at,
                problem: "the header is longer than 20 lines or 64 KiB: a quotation mark in it is never closed",
            });
        }
        text.extend_from_slice(line);
        let delimiter = delimiter.unwrap_or_else(|| likely_delimiter(&text));
        if let Some(cells) = cut(&text, delimiter) {
            let names = cells
                .iter()
                .map(|cell| charset.text(cell).map(|name| header(&name)))
                .collect::<Option<Vec<String>>>()
                .ok_or(AuditError::Header {
                    line: started_at,
                    problem: "the header is not in the encoding that the file is read in",
                })?;
            let (bytes, read) = lines.into_rest();
            let head = TableHead {
                line: started_at,
                names,
            };
            return Ok((Records::new(bytes, delimiter, read), head));
        }
    }
}

/// One row of a table.
pub(super) struct Row<'a> {
    /// Its line.
    pub(super) line: u64,
    cells: Cells<'a>,
    charset: Charset,
}

impl Row<'_> {
    /// A cell's text, trimmed; none if there is none.
    pub(super) fn text(&self, at: Option<usize>) -> Result<Option<String>, RejectReason> {
        let Some(cell) = at.and_then(|at| self.cells.get(at)) else {
            return Ok(None);
        };
        let text = self.charset.text(cell).ok_or(RejectReason::BadEncoding)?;
        let text = text.trim();
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    /// Whether a cell says yes.
    pub(super) fn is_true(&self, at: Option<usize>) -> Result<bool, RejectReason> {
        let text = self.text(at)?;
        Ok(text.is_some_and(|text| {
            ["true", "yes", "1"]
                .iter()
                .any(|yes| text.eq_ignore_ascii_case(yes))
        }))
    }
}

/// Why a row was not taken.
pub(super) enum Fault {
    /// It is of no use, the next may be.
    Row(RejectReason),
    /// There is no going on.
    File(AuditError),
}

impl From<RejectReason> for Fault {
    fn from(reason: RejectReason) -> Self {
        Self::Row(reason)
    }
}

impl<E: Into<AuditError>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::File(error.into())
    }
}

/// Hands out the rows of a table whose `columns` are found in its header.
pub(super) fn each<C>(
    input: impl Read,
    options: &ReadOptions<'_>,
    sink: &mut Sink<'_>,
    columns: impl FnOnce(&TableHead) -> Result<C, AuditError>,
    take: &mut dyn FnMut(&C, &Row<'_>, &mut Sink<'_>) -> Result<(), Fault>,
) -> Result<(), AuditError> {
    let bytes = Bytes::open(input, None, options.code_page)?;
    if bytes.empty {
        return Err(Refusal::Empty.into());
    }
    rows(bytes, sink, columns, take)
}

/// The same, of a file that was opened before.
pub(super) fn rows<R: Read, C>(
    bytes: Bytes<R>,
    sink: &mut Sink<'_>,
    columns: impl FnOnce(&TableHead) -> Result<C, AuditError>,
    take: &mut dyn FnMut(&C, &Row<'_>, &mut Sink<'_>) -> Result<(), Fault>,
) -> Result<(), AuditError> {
    let charset = bytes.charset();
    let (mut records, head) = open(Lines::new(bytes), 0, None)?;
    let columns = columns(&head)?;
    let width = head.names.len();
    while let Some(record) = records.next()? {
        let (line, cells, ended) = match record {
            Record::TooLong { line } => {
                sink.record();
                sink.reject(line, RejectReason::TooLong)?;
                continue;
            }
            Record::Open { line } => {
                sink.record();
                sink.reject(line, RejectReason::Truncated)?;
                continue;
            }
            Record::Whole { cells, .. } if cells.is_blank() => continue,
            Record::Whole { line, cells, ended } => (line, cells, ended),
        };
        sink.record();
        if cells.len() > width {
            sink.reject(line, RejectReason::Malformed)?;
        } else if cells.len() < width && !ended {
            sink.reject(line, RejectReason::Truncated)?;
        } else {
            let row = Row {
                line,
                cells,
                charset,
            };
            match take(&columns, &row, sink) {
                Ok(()) => {}
                Err(Fault::Row(reason)) => sink.reject(line, reason)?,
                Err(Fault::File(error)) => return Err(error),
            }
        }
    }
    Ok(())
}

/// A column that a table of this kind has.
pub(super) fn needed(at: Option<usize>, head: &TableHead, name: &str) -> Result<usize, AuditError> {
    at.ok_or_else(|| AuditError::MissingColumn {
        line: head.line,
        column: name.to_owned(),
        setting: "this format".to_owned(),
    })
}
