//! Table: bytes → CSV records, each bounded in length, none able to swallow the rest of the file.
//!
//! A quote that is never closed costs its own line only.

use std::io::Read;

use csv_core::ReadRecordResult;
use zeroize::Zeroizing;

use super::bytes::{Bytes, Found, MOST_BYTES, Span};
use super::{DirectoryError, Encoding, looks_secret};
use crate::domain::address::fold;
use crate::domain::finding::{Reject, RejectReason};

/// The most lines that one record may span: cells with line breaks exist, cells with pages do not. It also bounds how
/// often a line is looked at again when quotes are damaged.
const MOST_LINES: usize = 32;
/// The most columns of a table.
const MOST_COLUMNS: usize = 1_024;
/// The cells of one record, decoded.
pub(super) struct Cells {
    text: Zeroizing<String>,
    ends: Vec<usize>,
}

impl Cells {
    /// Room for the largest record there is, so that its text is never moved and left behind.
    pub fn new() -> Self {
        Self {
            text: Zeroizing::new(String::with_capacity(3 * MOST_BYTES + 3)),
            ends: Vec::new(),
        }
    }

    /// A cell without white space around it; nothing if there is no such column.
    pub fn get(&self, column: Option<usize>) -> &str {
        column.map_or("", |column| self.cell(column)).trim()
    }

    fn cell(&self, column: usize) -> &str {
        let start = match column.checked_sub(1) {
            Some(before) => self.ends.get(before).copied(),
            None => Some(0),
        };
        start
            .zip(self.ends.get(column).copied())
            .and_then(|(start, end)| self.text.get(start..end))
            .unwrap_or_default()
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).map(|column| self.cell(column).trim())
    }

    /// Takes over what csv-core found. False if a cell is not in the encoding.
    fn take(&mut self, bytes: &[u8], ends: &[usize], encoding: Encoding) -> bool {
        self.text.clear();
        self.ends.clear();
        let mut start = 0;
        for &end in ends {
            let cell = bytes.get(start..end).unwrap_or_default();
            match encoding {
                Encoding::Utf8 => match std::str::from_utf8(cell) {
                    Ok(cell) => self.text.push_str(cell),
                    Err(_) => return false,
                },
                Encoding::Windows1252 => {
                    let (cell, _) = encoding_rs::WINDOWS_1252.decode_without_bom_handling(cell);
                    self.text.push_str(&cell);
                }
            }
            self.ends.push(self.text.len());
            start = end;
        }
        true
    }
}

/// One record of a CSV file after its header.
pub(super) enum Row {
    /// Its cells are in the `Cells` that was handed in.
    Cells(u64),
    /// It cannot be used.
    Bad(Reject),
}

/// A CSV file whose header is read.
pub(super) struct Table<R> {
    bytes: Bytes<R>,
    encoding: Encoding,
    delimiter: u8,
    parser: csv_core::Reader,
    output: Zeroizing<Vec<u8>>,
    ends: Vec<usize>,
    header: Vec<String>,
    /// The last record was cut off.
    pub truncated: bool,
}

impl<R: Read> Table<R> {
    /// Reads up to the header. `#TYPE …` and `sep=…` before it are passed over.
    pub fn open(mut bytes: Bytes<R>, configured: Encoding) -> Result<Self, DirectoryError> {
        let mut said = None;
        while let Some(first) = bytes.peek() {
            let first = first.trim_ascii();
            if let Some(separator) = first.to_ascii_lowercase().strip_prefix(b"sep=") {
                said = separator.first().copied();
            } else if !first.starts_with(b"#TYPE") {
                break;
            }
            bytes.skip_line()?;
            bytes.skip_blank_lines()?;
            if bytes.window().is_empty() {
                return Err(DirectoryError::Empty);
            }
        }
        let delimiter = said
            .filter(|said| b",;\t".contains(said))
            .unwrap_or_else(|| delimiter_of(bytes.peek().unwrap_or_default()));
        let mut table = Self {
            encoding: bytes.encoding(configured),
            bytes,
            delimiter,
            parser: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
            output: Zeroizing::new(vec![0; MOST_BYTES + 1]),
            ends: vec![0; MOST_COLUMNS + 1],
            header: Vec::new(),
            truncated: false,
        };
        let mut cells = Cells::new();
        match table.record(&mut cells)? {
            None => return Err(DirectoryError::Empty),
            Some((span, Err(_))) => return Err(DirectoryError::Header { line: span.line }),
            Some((_, Ok(()))) => table.header = cells.iter().map(header_name).collect(),
        }
        while table.header.last().is_some_and(String::is_empty) {
            table.header.pop();
        }
        table.bytes.skip_blank_lines()?;
        let is_lengths = table.header == ["length"];
        if is_lengths
            || table
                .bytes
                .peek()
                .is_some_and(|row| names_types(row, delimiter))
        {
            return Err(DirectoryError::TypeNames);
        }
        Ok(table)
    }

    /// The first column of this name, compared without case and with blanks collapsed.
    pub fn column(&self, name: &str) -> Option<usize> {
        let name = header_name(name);
        self.header.iter().position(|column| *column == name)
    }

    /// Where the column that is to hold `field` is. A name that differs from the field's own was written down by
    /// somebody, so it must be there; one that looks like a secret is refused.
    pub fn place(
        &self,
        field: &'static str,
        column: &str,
    ) -> Result<Option<usize>, DirectoryError> {
        if column.trim().is_empty() {
            return Ok(None);
        }
        if column != field && looks_secret(column) {
            return Err(DirectoryError::SecretColumn { field });
        }
        self.time_place(field, column)
    }

    /// The same for what is only ever read as a time or a yes and no: nothing else is taken from a column that is
    /// called `PasswordLastSet`.
    pub fn time_place(
        &self,
        field: &'static str,
        column: &str,
    ) -> Result<Option<usize>, DirectoryError> {
        match self.column(column) {
            Some(place) => Ok(Some(place)),
            None if column == field || column.trim().is_empty() => Ok(None),
            None => Err(DirectoryError::NoColumn {
                field,
                column: column.to_owned(),
            }),
        }
    }

    /// The next row that is not empty; its cells are put into `cells`.
    pub fn row(&mut self, cells: &mut Cells) -> Result<Option<Row>, DirectoryError> {
        loop {
            let Some((span, outcome)) = self.record(cells)? else {
                return Ok(None);
            };
            if outcome.is_ok() && cells.iter().all(str::is_empty) {
                continue;
            }
            let reason = outcome.and_then(|()| self.fits(cells, span)).err();
            let Some(reason) = reason else {
                return Ok(Some(Row::Cells(span.line)));
            };
            self.truncated |= reason == RejectReason::Truncated;
            return Ok(Some(Row::Bad(Reject {
                line: span.line,
                reason,
            })));
        }
    }

    /// A row with other columns than the header would put one person's address beside another's name.
    fn fits(&self, cells: &Cells, span: Span) -> Result<(), RejectReason> {
        let surplus = cells
            .iter()
            .skip(self.header.len())
            .any(|cell| !cell.is_empty());
        if cells.ends.len() < self.header.len() && span.is_cut {
            Err(RejectReason::Truncated)
        } else if cells.ends.len() < self.header.len() || surplus {
            Err(RejectReason::Malformed)
        } else {
            Ok(())
        }
    }

    /// The next record that is not a blank line. What cannot be read costs its first line only.
    fn record(&mut self, cells: &mut Cells) -> Result<Found<()>, DirectoryError> {
        self.bytes.skip_blank_lines()?;
        let window = self.bytes.window();
        if window.is_empty() {
            return Ok(None);
        }
        let line = self.bytes.line();
        let (output, ends) = (&mut self.output, &mut self.ends);
        // Nearly every record is one line; only where that does not do are more looked at.
        let mut look = within_reach(window, 1);
        let mut is_last = self.bytes.is_at_end() && look.len() == window.len();
        let mut parsed = Parsed::from(&mut self.parser, look, is_last, output, ends);
        if parsed.result != ReadRecordResult::Record {
            look = within_reach(window, MOST_LINES);
            is_last = self.bytes.is_at_end() && look.len() == window.len();
            parsed = Parsed::from(&mut self.parser, look, is_last, output, ends);
        }
        let Parsed {
            result,
            read,
            out,
            end,
            is_cut,
        } = parsed;
        if look.get(..read).is_some_and(|taken| taken.contains(&0)) {
            return Err(DirectoryError::NoText { line });
        }
        let taken = look.get(..read).unwrap_or_default();
        if result == ReadRecordResult::Record && self.is_whole(taken, end) {
            let bytes = self.output.get(..out).unwrap_or_default();
            let ends = self.ends.get(..end).unwrap_or_default();
            let is_text = cells.take(bytes, ends, self.encoding);
            self.bytes.advance(read);
            let outcome = if is_text {
                Ok(())
            } else {
                Err(RejectReason::BadEncoding)
            };
            return Ok(Some((Span { line, is_cut }, outcome)));
        }
        let is_long = self.bytes.peek().is_none();
        self.bytes.skip_line()?;
        self.truncated |= is_cut;
        let reason = if is_long {
            RejectReason::TooLong
        } else if is_cut && self.bytes.window().is_empty() {
            RejectReason::Truncated
        } else {
            RejectReason::Malformed
        };
        Ok(Some((Span { line, is_cut }, Err(reason))))
    }

    /// A record over several lines must be flawless: a quote that nobody closed would take other people's lines along.
    fn is_whole(&self, taken: &[u8], cells: usize) -> bool {
        let is_one_line = !taken.trim_ascii_end().contains(&b'\n');
        let is_as_wide = self.header.is_empty() || self.header.len() == cells;
        is_one_line || (is_as_wide && is_well_quoted(taken, self.delimiter))
    }
}

/// Whether quotes stand only around cells, and doubled inside of them (RFC 4180).
fn is_well_quoted(record: &[u8], delimiter: u8) -> bool {
    enum At {
        Start,
        Bare,
        Quoted,
        AfterQuote,
    }
    let mut at = At::Start;
    for &byte in record {
        let ends_cell = byte == delimiter || byte == b'\r' || byte == b'\n';
        at = match at {
            At::Start if byte == b'"' => At::Quoted,
            At::Quoted if byte == b'"' => At::AfterQuote,
            At::Quoted => At::Quoted,
            At::AfterQuote if byte == b'"' => At::Quoted,
            At::Start | At::Bare | At::AfterQuote if ends_cell => At::Start,
            At::Start | At::Bare if byte != b'"' => At::Bare,
            At::Start | At::Bare | At::AfterQuote => return false,
        };
    }
    !matches!(at, At::Quoted)
}

/// What csv-core made of a stretch.
struct Parsed {
    result: ReadRecordResult,
    read: usize,
    out: usize,
    end: usize,
    is_cut: bool,
}

impl Parsed {
    /// Parses one record from the start of `look`. If the file ends with it, the missing end of line is supplied: a
    /// record that is still open then has an open quote.
    fn from(
        parser: &mut csv_core::Reader,
        look: &[u8],
        is_last: bool,
        output: &mut [u8],
        ends: &mut [usize],
    ) -> Self {
        parser.reset();
        let (result, read, out, end) = parser.read_record(look, output, ends);
        if !is_last || result != ReadRecordResult::InputEmpty {
            return Self {
                result,
                read,
                out,
                end,
                is_cut: false,
            };
        }
        let output = output.get_mut(out..).unwrap_or_default();
        let ends = ends.get_mut(end..).unwrap_or_default();
        let (result, _, more_out, more_end) = parser.read_record(b"\n", output, ends);
        Self {
            result,
            read: look.len(),
            out: out + more_out,
            end: end + more_end,
            is_cut: true,
        }
    }
}

/// As much of the window as one record of so many lines may take.
fn within_reach(window: &[u8], lines: usize) -> &[u8] {
    let window = window.get(..MOST_BYTES).unwrap_or(window);
    let last = window
        .iter()
        .enumerate()
        .filter(|&(_, &byte)| byte == b'\n')
        .nth(lines.saturating_sub(1));
    match last {
        Some((newline, _)) => window.get(..=newline).unwrap_or(window),
        None => window,
    }
}

/// The most frequent of comma, semicolon and tab; the comma if there is none.
fn delimiter_of(header: &[u8]) -> u8 {
    let count = |mark: u8| header.iter().filter(|&&byte| byte == mark).count();
    [b'\t', b';', b',']
        .into_iter()
        .max_by_key(|&mark| count(mark))
        .unwrap_or(b',')
}

/// PowerShell's names of types where values should be.
fn names_types(row: &[u8], delimiter: u8) -> bool {
    let mut cells = row
        .split(|&byte| byte == delimiter)
        .map(<[u8]>::trim_ascii)
        .map(|cell| cell.strip_prefix(b"\"").unwrap_or(cell))
        .filter(|cell| !cell.is_empty())
        .peekable();
    cells.peek().is_some() && cells.all(|cell| cell.starts_with(b"System."))
}

fn header_name(name: &str) -> String {
    fold(&name.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests;
