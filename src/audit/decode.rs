//! Bytes of an audit file → lines: byte order marks, UTF-16, code pages, and a bound on what one line may hold.
//!
//! What passes through here holds passwords and hashes. All buffers have a fixed size, so that none is ever moved and
//! left behind, and are wiped when they are done with. Hand the reader an unbuffered file: buffers of others stay as they are.

use std::borrow::Cow;
use std::io::Read;

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use zeroize::{Zeroize, Zeroizing};

use super::detect::Refusal;
use super::{AuditError, Sink};
use crate::domain::finding::RejectReason;

/// Bytes that are asked of the file at once.
pub(super) const CHUNK: usize = 64 * 1024;
/// Bytes that one line, or one record of a table, may have.
pub(super) const MAX_LINE: usize = 64 * 1024;

/// Bytes that a file of one value may have.
pub(super) const MAX_WHOLE: usize = 50 * 1024 * 1024;

/// What a file without byte order mark is read as: an 8-bit code page where it is not UTF-8, or UTF-16 in any case.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CodePage(&'static Encoding);

impl CodePage {
    /// The code page of a name such as `windows-1252`, `iso-8859-2` or `utf-16le`; none if it is unknown or another of more
    /// than 8 bits.
    pub fn from_name(name: &str) -> Option<Self> {
        Encoding::for_label(name.trim().as_bytes())
            .filter(|encoding| encoding.is_single_byte() || [UTF_16LE, UTF_16BE].contains(encoding))
            .map(Self)
    }

    /// UTF-16, if it is that.
    pub(super) fn wide(self) -> Option<&'static Encoding> {
        [UTF_16LE, UTF_16BE]
            .into_iter()
            .find(|encoding| *encoding == self.0)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.0.name()
    }
}

impl Default for CodePage {
    /// Windows-1252, which Western European Windows writes.
    fn default() -> Self {
        Self(WINDOWS_1252)
    }
}

impl std::fmt::Debug for CodePage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The encoding that a mapping says a file has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Declared {
    /// UTF-8, and nothing else.
    Utf8,
    /// UTF-16 without a byte order mark.
    Utf16(&'static Encoding),
    /// An 8-bit code page.
    Page(CodePage),
}

impl Declared {
    /// The encoding of a name; none if it is unknown, or neither Unicode nor an 8-bit code page.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        let encoding = Encoding::for_label(name.trim().as_bytes())?;
        if encoding == UTF_8 {
            Some(Self::Utf8)
        } else if encoding == UTF_16LE || encoding == UTF_16BE {
            Some(Self::Utf16(encoding))
        } else {
            CodePage::from_name(name).map(Self::Page)
        }
    }
}

/// How a cell's bytes become text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Charset {
    /// UTF-8, strictly.
    Utf8,
    /// UTF-8 where the cell is UTF-8, else this code page. Decided a cell: a password in some other encoding must not
    /// change how the name beside it is read, and the whole file cannot be looked at first.
    Utf8Or(CodePage),
    /// This code page.
    Page(CodePage),
}

impl Charset {
    /// The text of a cell; none if its bytes are not in this encoding.
    pub(super) fn text<'a>(self, cell: &'a [u8]) -> Option<Cow<'a, str>> {
        let in_page = |page: CodePage| {
            page.0
                .decode_without_bom_handling_and_without_replacement(cell)
        };
        match self {
            Self::Utf8 => std::str::from_utf8(cell).ok().map(Cow::Borrowed),
            Self::Utf8Or(page) => std::str::from_utf8(cell)
                .ok()
                .map(Cow::Borrowed)
                .or_else(|| in_page(page)),
            Self::Page(page) => in_page(page),
        }
    }
}

/// The byte order mark at the head of a file: its encoding and its length.
pub(super) fn byte_order_mark(head: &[u8]) -> Option<(&'static Encoding, usize)> {
    Encoding::for_bom(head)
}

/// The archive, document or database whose first bytes these are.
pub(super) fn container(head: &[u8]) -> Option<&'static str> {
    const MAGIC: [(&[u8], &str); 9] = [
        (b"\x1f\x8b", "a gzip archive"),
        (b"PK\x03\x04", "a ZIP archive or a spreadsheet workbook"),
        (b"\xfd7zXZ\x00", "an xz archive"),
        (b"BZh", "a bzip2 archive"),
        (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
        (b"SQLite format 3\x00", "an SQLite database"),
        (b"%PDF-", "a PDF document"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            "an old Office document",
        ),
    ];
    MAGIC
        .into_iter()
        .find(|(magic, _)| head.starts_with(magic))
        .map(|(_, name)| name)
}

/// UTF-16 on its way to UTF-8.
struct Wide {
    decoder: Decoder,
    text: Zeroizing<Vec<u8>>,
    at: usize,
    len: usize,
    flushed: bool,
}

/// A file's bytes in pieces, without its byte order mark, UTF-16 as UTF-8, everything else as it is.
pub(super) struct Bytes<R> {
    input: R,
    raw: Zeroizing<Vec<u8>>,
    at: usize,
    len: usize,
    ended: bool,
    wide: Option<Wide>,
    charset: Charset,
    /// Whether the file has any byte at all.
    pub(super) empty: bool,
}

impl<R: Read> Bytes<R> {
    /// Reads the first bytes: a byte order mark decides the encoding, then what is declared, then UTF-8 or `page`.
    pub(super) fn open(
        input: R,
        declared: Option<Declared>,
        page: CodePage,
    ) -> Result<Self, AuditError> {
        let mut bytes = Self {
            input,
            raw: Zeroizing::new(vec![0; CHUNK]),
            at: 0,
            len: 0,
            ended: false,
            wide: None,
            charset: Charset::Utf8Or(page),
            empty: false,
        };
        // A reader may hand out a byte at a time; the longest sign that is looked for has 16.
        while bytes.len < 16 && !bytes.ended {
            bytes.fill()?;
        }
        let head = bytes.raw.get(..bytes.len).unwrap_or_default();
        bytes.empty = head.is_empty();
        if let Some(what) = container(head) {
            return Err(Refusal::Container(what).into());
        }
        let wide = match (byte_order_mark(head), declared) {
            (Some((encoding, mark)), _) => {
                bytes.at = mark;
                bytes.charset = Charset::Utf8;
                (encoding != UTF_8).then_some(encoding)
            }
            (None, Some(Declared::Utf16(encoding))) => {
                bytes.charset = Charset::Utf8;
                Some(encoding)
            }
            (None, Some(Declared::Utf8)) => {
                bytes.charset = Charset::Utf8;
                None
            }
            (None, Some(Declared::Page(page))) => {
                bytes.charset = Charset::Page(page);
                None
            }
            (None, None) => {
                let wide = page.wide();
                if wide.is_some() {
                    bytes.charset = Charset::Utf8;
                }
                wide
            }
        };
        bytes.wide = wide.map(|encoding| Wide {
            decoder: encoding.new_decoder_without_bom_handling(),
            text: Zeroizing::new(vec![0; CHUNK]),
            at: 0,
            len: 0,
            flushed: false,
        });
        bytes.refuse_zero(bytes.at)?;
        Ok(bytes)
    }

    /// How the cells of this file become text.
    pub(super) const fn charset(&self) -> Charset {
        self.charset
    }

    /// The next piece; the same again until it is consumed; empty at the end of the file.
    pub(super) fn chunk(&mut self) -> Result<&[u8], AuditError> {
        if self.wide.is_some() {
            return self.wide_chunk();
        }
        while self.at >= self.len && !self.ended {
            self.at = 0;
            self.len = 0;
            self.fill()?;
            self.refuse_zero(0)?;
        }
        Ok(self.raw.get(self.at..self.len).unwrap_or_default())
    }

    /// Moves on by `count` bytes of the last piece.
    pub(super) fn consume(&mut self, count: usize) {
        match &mut self.wide {
            Some(wide) => wide.at = (wide.at + count).min(wide.len),
            None => self.at = (self.at + count).min(self.len),
        }
    }

    fn wide_chunk(&mut self) -> Result<&[u8], AuditError> {
        loop {
            if self.at >= self.len && !self.ended {
                self.at = 0;
                self.len = 0;
                self.fill()?;
            }
            let Some(wide) = &mut self.wide else {
                return Ok(&[]);
            };
            if wide.at < wide.len || wide.flushed {
                break;
            }
            let source = self.raw.get(self.at..self.len).unwrap_or_default();
            let (result, read, written, _) =
                wide.decoder
                    .decode_to_utf8(source, &mut wide.text, self.ended);
            self.at += read;
            wide.at = 0;
            wide.len = written;
            wide.flushed = self.ended && result == CoderResult::InputEmpty;
            // UTF-32 begins with UTF-16's mark, and is full of zeros.
            if wide.text.get(..written).unwrap_or_default().contains(&0) {
                return Err(AuditError::ZeroByte);
            }
        }
        Ok(self
            .wide
            .as_ref()
            .and_then(|wide| wide.text.get(wide.at..wide.len))
            .unwrap_or_default())
    }

    /// Adds one reading to the buffer.
    fn fill(&mut self) -> Result<(), AuditError> {
        let free = self.raw.get_mut(self.len..).unwrap_or_default();
        let room = free.len();
        match self.input.read(free) {
            Ok(0) => self.ended = true,
            Ok(count) => self.len += count.min(room),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(AuditError::from_io(error)),
        }
        Ok(())
    }

    fn refuse_zero(&self, from: usize) -> Result<(), AuditError> {
        let fresh = self.raw.get(from..self.len).unwrap_or_default();
        match &self.wide {
            None if fresh.contains(&0) => Err(AuditError::ZeroByte),
            None | Some(_) => Ok(()),
        }
    }

    /// All that is left of the file as text, for formats that are one value. No longer than [`MAX_WHOLE`].
    pub(super) fn whole(&mut self) -> Result<Zeroizing<String>, AuditError> {
        let mut all: Zeroizing<Vec<u8>> = Zeroizing::default();
        loop {
            let chunk = self.chunk()?;
            if chunk.is_empty() {
                break;
            }
            if all.len() + chunk.len() > MAX_WHOLE {
                return Err(AuditError::TooLarge);
            }
            let count = chunk.len();
            // Grown by hand, so that what is moved away from is wiped.
            if all.capacity() - all.len() < count {
                let mut larger = Zeroizing::new(Vec::with_capacity((all.len() + count) * 2));
                larger.extend_from_slice(&all);
                all = larger;
            }
            all.extend_from_slice(chunk);
            self.consume(count);
        }
        match self.charset.text(&all) {
            Some(text) => Ok(Zeroizing::new(text.into_owned())),
            None => Err(AuditError::BadEncoding),
        }
    }

    /// Bytes of memory that this holds.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.raw.capacity() + self.wide.as_ref().map_or(0, |wide| wide.text.capacity())
    }
}

/// One line of a file.
pub(super) enum Line<'a> {
    /// All of it, without its end.
    Whole {
        /// From 1.
        number: u64,
        /// Its bytes.
        text: &'a [u8],
        /// Whether a line feed ended it, and not the file.
        ended: bool,
    },
    /// It has more bytes than are read.
    TooLong {
        /// From 1.
        number: u64,
    },
}

/// A line with something in it, that is not too long.
pub(super) struct Filled<'a> {
    /// From 1.
    pub(super) number: u64,
    /// Its bytes, without its end.
    pub(super) text: &'a [u8],
    /// Whether a line feed ended it, and not the file.
    pub(super) ended: bool,
}

/// What was found on the way to the end of a line.
enum Found {
    Nothing,
    TooLong,
    Whole { ended: bool },
}

/// The lines of a file, each bounded, however long it is in the file.
pub(super) struct Lines<R> {
    bytes: Bytes<R>,
    line: Zeroizing<Vec<u8>>,
    number: u64,
}

impl<R: Read> Lines<R> {
    /// Starts before the first line.
    pub(super) fn new(bytes: Bytes<R>) -> Self {
        Self {
            bytes,
            line: Zeroizing::new(Vec::with_capacity(MAX_LINE + 1)),
            number: 0,
        }
    }

    /// How the cells of this file become text.
    pub(super) const fn charset(&self) -> Charset {
        self.bytes.charset()
    }

    /// The same of a file that is not empty.
    pub(super) fn open(input: R, page: CodePage) -> Result<Self, AuditError> {
        let bytes = Bytes::open(input, None, page)?;
        match bytes.empty {
            true => Err(Refusal::Empty.into()),
            false => Ok(Self::new(bytes)),
        }
    }

    /// The next line with something in it; none at the end. One that is too long is a record, and rejected.
    pub(super) fn filled(&mut self, sink: &mut Sink<'_>) -> Result<Option<Filled<'_>>, AuditError> {
        let ended = loop {
            match self.find()? {
                Found::Nothing => return Ok(None),
                Found::TooLong => {
                    sink.record();
                    sink.reject(self.number, RejectReason::TooLong)?;
                }
                Found::Whole { .. } if self.text().trim_ascii().is_empty() => {}
                Found::Whole { ended } => break ended,
            }
        };
        Ok(Some(Filled {
            number: self.number,
            text: self.text(),
            ended,
        }))
    }

    /// The next line; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Line<'_>>, AuditError> {
        Ok(match self.find()? {
            Found::Nothing => None,
            Found::TooLong => Some(Line::TooLong {
                number: self.number,
            }),
            Found::Whole { ended } => Some(Line::Whole {
                number: self.number,
                text: self.text(),
                ended,
            }),
        })
    }

    fn text(&self) -> &[u8] {
        let line = self.line.as_slice();
        line.strip_suffix(b"\r").unwrap_or(line)
    }

    /// Goes to the end of the next line and keeps it.
    fn find(&mut self) -> Result<Found, AuditError> {
        self.line.as_mut_slice().zeroize();
        self.line.clear();
        let mut too_long = false;
        let mut any = false;
        let mut ended = false;
        while !ended {
            let chunk = self.bytes.chunk()?;
            if chunk.is_empty() {
                break;
            }
            any = true;
            let (piece, used) = match chunk.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    ended = true;
                    (chunk.get(..end).unwrap_or_default(), end + 1)
                }
                None => (chunk, chunk.len()),
            };
            // One byte more than a line may have: a carriage return does not count.
            let room = MAX_LINE + 1 - self.line.len();
            too_long |= piece.len() > room;
            self.line.extend(piece.iter().take(room));
            self.bytes.consume(used);
        }
        if !any {
            return Ok(Found::Nothing);
        }
        self.number += 1;
        Ok(match too_long || self.text().len() > MAX_LINE {
            true => Found::TooLong,
            false => Found::Whole { ended },
        })
    }

    /// The rest of the file after the lines read so far, and how many those were.
    pub(super) fn into_rest(self) -> (Bytes<R>, u64) {
        (self.bytes, self.number)
    }

    /// Bytes of memory that this holds.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.bytes.held() + self.line.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::tests::Trickle;
    use proptest::prelude::*;

    fn lines(bytes: &[u8], step: usize) -> Result<Vec<(String, bool)>, AuditError> {
        let bytes = Bytes::open(Trickle { rest: bytes, step }, None, CodePage::default())?;
        let mut lines = Lines::new(bytes);
        let charset = lines.charset();
        let mut all = Vec::new();
        while let Some(line) = lines.next()? {
            all.push(match line {
                Line::Whole { text, ended, .. } => (
                    charset.text(text).map_or("?".into(), Cow::into_owned),
                    ended,
                ),
                Line::TooLong { number } => (format!("line {number} is too long"), true),
            });
        }
        Ok(all)
    }

    fn utf16(text: &str, little: bool) -> Vec<u8> {
        std::iter::once(0xFEFF)
            .chain(text.encode_utf16())
            .flat_map(|unit| {
                if little {
                    unit.to_le_bytes()
                } else {
                    unit.to_be_bytes()
                }
            })
            .collect()
    }

    #[test]
    fn every_encoding_and_line_end_gives_the_same_lines_whatever_the_reader_hands_out() {
        let text = "Müller\r\nLévêque\n\nПароль\u{1F600}";
        let expected = [
            ("Müller", true),
            ("Lévêque", true),
            ("", true),
            ("Пароль\u{1F600}", false),
        ]
        .map(|(line, ended)| (line.to_owned(), ended));
        for step in [1, 2, 3, 7, 100_000] {
            for bytes in [
                text.as_bytes().to_vec(),
                [b"\xEF\xBB\xBF", text.as_bytes()].concat(),
                utf16(text, true),
                utf16(text, false),
            ] {
                assert_eq!(lines(&bytes, step).unwrap(), expected, "step {step}");
            }
            assert_eq!(
                lines(b"M\xFCller\n", step).unwrap(),
                [("Müller".to_owned(), true)]
            );
        }
    }

    #[test]
    fn zero_bytes_without_a_mark_are_refused() {
        let bare = &utf16("abaraa:hash\n", true)[2..];
        assert!(matches!(lines(bare, 5), Err(AuditError::ZeroByte)));
        // UTF-32 has UTF-16's mark at its head.
        assert!(matches!(
            lines(b"\xFF\xFE\0\0a\0\0\0", 3),
            Err(AuditError::ZeroByte)
        ));
        assert!(matches!(
            lines(b"abc\ndef\0\n", 2),
            Err(AuditError::ZeroByte)
        ));
    }

    #[test]
    fn an_endless_line_is_passed_over_in_constant_memory() {
        let head: &[u8] = b"first\n";
        let tail: &[u8] = b"\nlast";
        let input = head
            .chain(std::io::repeat(b'a').take(70 * 1024 * 1024))
            .chain(tail);
        let mut lines = Lines::new(Bytes::open(input, None, CodePage::default()).unwrap());
        let before = lines.held();
        let mut seen = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            seen.push(match line {
                Line::Whole { text, .. } => String::from_utf8_lossy(text).into_owned(),
                Line::TooLong { number } => format!("line {number} is too long"),
            });
        }
        assert_eq!(seen, ["first", "line 2 is too long", "last"]);
        assert_eq!(lines.held(), before);
        assert!(before <= CHUNK + 2 * MAX_LINE, "{before} bytes");
    }

    #[test]
    fn the_longest_line_is_read_and_one_byte_more_is_not() {
        for end in ["\n", "\r\n"] {
            let longest = format!("{}{end}", "a".repeat(MAX_LINE));
            assert_eq!(
                lines(longest.as_bytes(), CHUNK).unwrap()[0].0.len(),
                MAX_LINE
            );
            let longer = format!("{}{end}", "a".repeat(MAX_LINE + 1));
            assert_eq!(
                lines(longer.as_bytes(), CHUNK).unwrap()[0].0,
                "line 1 is too long"
            );
        }
    }

    #[test]
    fn archives_are_refused_by_name() {
        let Err(refused) = lines(b"\x1f\x8b\x08\x00\x00\x00\x00\x00", 1) else {
            panic!("a gzip archive was read");
        };
        assert!(refused.to_string().contains("gzip"), "{refused}");
    }

    #[test]
    fn a_code_page_has_eight_bits_or_is_utf_16() {
        assert_eq!(
            CodePage::from_name(" Windows-1250 ").unwrap().name(),
            "windows-1250"
        );
        for name in ["utf-16le", "UTF-16BE"] {
            assert!(
                CodePage::from_name(name).unwrap().wide().is_some(),
                "{name}"
            );
        }
        for name in ["gb18030", "shift_jis", "utf-8", "nonsense"] {
            assert!(CodePage::from_name(name).is_none(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_the_same_lines_in_any_steps(
            bytes in proptest::collection::vec(any::<u8>(), 0..400), step in 1usize..9
        ) {
            let whole = lines(&bytes, CHUNK);
            let pieces = lines(&bytes, step);
            prop_assert_eq!(whole.is_ok(), pieces.is_ok());
            if let (Ok(whole), Ok(pieces)) = (whole, pieces) {
                prop_assert_eq!(whole, pieces);
            }
        }
    }
}
