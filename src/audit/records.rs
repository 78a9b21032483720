//! Records of a table: RFC 4180 as people write it, in bounded memory and in buffers that are wiped.

use std::io::Read;

use csv_core::ReadRecordResult;
use zeroize::{Zeroize, Zeroizing};

use super::AuditError;
use super::decode::{Bytes, MAX_LINE};

/// Columns that a table may have.
const MAX_COLUMNS: usize = 1024;

/// The delimiter that a header line has most of.
pub(super) fn likely_delimiter(line: &[u8]) -> u8 {
    let count = |delimiter: u8| {
        let mut quoted = false;
        line.iter()
            .filter(|byte| {
                quoted ^= **byte == b'"';
                !quoted && **byte == delimiter
            })
            .count()
    };
    let mut best = b',';
    for delimiter in *b";\t|" {
        if count(delimiter) > count(best) {
            best = delimiter;
        }
    }
    best
}

/// The cells of one record; none if a quotation mark is still open at its end.
pub(super) fn cut(record: &[u8], delimiter: u8) -> Option<Vec<Vec<u8>>> {
    let mut core = core(delimiter);
    let mut cells = vec![0; record.len() + 1];
    let mut ends = vec![0; record.len() + 2];
    let (_, read, written, ended) = core.read_record(record, &mut cells, &mut ends);
    let rest = record.get(read..).unwrap_or_default();
    if !rest.is_empty() {
        return None;
    }
    let (result, _, _, last) =
        core.read_record(b"\n", cells.get_mut(written..)?, ends.get_mut(ended..)?);
    if !matches!(result, ReadRecordResult::Record) {
        return None;
    }
    let mut from = 0;
    ends.get(..ended + last)?
        .iter()
        .map(|end| {
            let cell = cells.get(from..*end).map(<[u8]>::to_vec);
            from = *end;
            cell
        })
        .collect()
}

fn core(delimiter: u8) -> csv_core::Reader {
    csv_core::ReaderBuilder::new().delimiter(delimiter).build()
}

/// One record of a table.
pub(super) enum Record<'a> {
    /// All of it.
    Whole {
        line: u64,
        cells: Cells<'a>,
        /// Whether an end of line ended it, and not the file.
        ended: bool,
    },
    /// It has more bytes or cells than are read.
    TooLong { line: u64 },
    /// The file ends inside its quotation marks.
    Open { line: u64 },
}

/// The cells of a record.
#[derive(Clone, Copy)]
pub(super) struct Cells<'a> {
    bytes: &'a [u8],
    ends: &'a [usize],
}

impl<'a> Cells<'a> {
    pub(super) const fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<&'a [u8]> {
        let end = *self.ends.get(at)?;
        let start = match at.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.bytes.get(start..end)
    }

    pub(super) fn is_blank(&self) -> bool {
        self.bytes.trim_ascii().is_empty()
    }
}

/// The records of a table, each bounded, however long it is in the file.
pub(super) struct Records<R> {
    bytes: Bytes<R>,
    core: csv_core::Reader,
    cells: Zeroizing<Vec<u8>>,
    used: usize,
    ends: Vec<usize>,
    /// Line ends passed so far.
    lines: u64,
}

impl<R: Read> Records<R> {
    pub(super) fn new(bytes: Bytes<R>, delimiter: u8, lines: u64) -> Self {
        Self {
            bytes,
            core: core(delimiter),
            cells: Zeroizing::new(vec![0; MAX_LINE]),
            used: 0,
            ends: vec![0; MAX_COLUMNS],
            lines,
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<Record<'_>>, AuditError> {
        if let Some(before) = self.cells.get_mut(..self.used) {
            before.zeroize();
        }
        self.used = 0;
        if !self.pass_line_ends()? {
            return Ok(None);
        }
        let line = self.lines + 1;
        let mut cells = 0;
        loop {
            let chunk = self.bytes.chunk()?;
            let at_end = chunk.is_empty();
            // The file's last record is asked to end. If it does not, it is inside quotation marks.
            let input = if at_end { b"\n".as_slice() } else { chunk };
            let (result, read, written, ended) = self.core.read_record(
                input,
                self.cells.get_mut(self.used..).unwrap_or_default(),
                self.ends.get_mut(cells..).unwrap_or_default(),
            );
            let passed = input.get(..read).unwrap_or_default();
            if !at_end {
                self.lines += line_ends(passed);
                self.bytes.consume(read);
            }
            self.used += written;
            cells += ended;
            match result {
                ReadRecordResult::Record => {
                    return Ok(Some(Record::Whole {
                        line,
                        ended: !at_end,
                        cells: Cells {
                            bytes: self.cells.get(..self.used).unwrap_or_default(),
                            ends: self.ends.get(..cells).unwrap_or_default(),
                        },
                    }));
                }
                ReadRecordResult::InputEmpty if at_end => {
                    self.core.reset();
                    return Ok(Some(Record::Open { line }));
                }
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    // A quotation mark that is never closed ends here too: go on at the next line, not at the end of the file.
                    self.core.reset();
                    self.pass_line()?;
                    return Ok(Some(Record::TooLong { line }));
                }
                ReadRecordResult::End => return Ok(None),
            }
        }
    }

    /// Passes over empty lines and what is left of the last line's end. False at the end of the file.
    fn pass_line_ends(&mut self) -> Result<bool, AuditError> {
        loop {
            let chunk = self.bytes.chunk()?;
            if chunk.is_empty() {
                return Ok(false);
            }
            let count = chunk
                .iter()
                .take_while(|byte| matches!(byte, b'\r' | b'\n'))
                .count();
            if count == 0 {
                return Ok(true);
            }
            self.lines += line_ends(chunk.get(..count).unwrap_or_default());
            self.bytes.consume(count);
        }
    }

    /// Passes over the rest of the line.
    fn pass_line(&mut self) -> Result<(), AuditError> {
        loop {
            let chunk = self.bytes.chunk()?;
            let (count, found) = match chunk.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (chunk.len(), chunk.is_empty()),
            };
            self.bytes.consume(count);
            if found {
                self.lines += u64::from(count > 0);
                return Ok(());
            }
        }
    }

    /// Bytes of memory that this holds.
    #[cfg(test)]
    fn held(&self) -> usize {
        self.bytes.held() + self.cells.capacity() + self.ends.capacity() * size_of::<usize>()
    }
}

fn line_ends(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::CodePage;

    #[test]
    fn an_endless_record_is_passed_over_in_constant_memory() {
        for start in ["\"", ""] {
            let head: &[u8] = start.as_bytes();
            let tail: &[u8] = b"\nlast,cell\n";
            let input = head
                .chain(std::io::repeat(b'a').take(70 * 1024 * 1024))
                .chain(tail);
            let bytes = Bytes::open(input, None, CodePage::default()).unwrap();
            let mut records = Records::new(bytes, b',', 0);
            let before = records.held();
            assert!(matches!(
                records.next().unwrap(),
                Some(Record::TooLong { line: 1 })
            ));
            let Some(Record::Whole { line: 2, cells, .. }) = records.next().unwrap() else {
                panic!("the second line is not read");
            };
            assert_eq!(cells.get(1), Some(b"cell".as_slice()));
            assert_eq!(records.held(), before);
            assert!(before < 256 * 1024, "{before} bytes");
        }
    }

    #[test]
    fn the_commonest_delimiter_outside_quotation_marks_is_the_likely_one() {
        for (line, expected) in [
            ("a,b;c,d", b','),
            ("a;\"b,c,d\";e", b';'),
            ("a\tb", b'\t'),
            ("a|b|c,d", b'|'),
            ("alone", b','),
        ] {
            assert_eq!(likely_delimiter(line.as_bytes()), expected, "{line}");
        }
    }
}
