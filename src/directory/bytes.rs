//! Bytes: a file seen through a window of fixed size that slides over it, and its lines.
//!
//! The window is wiped when dropped, as an export may carry columns that nobody should have put there.

use std::io::Read;

use zeroize::Zeroizing;

use super::{DirectoryError, Encoding};
use crate::domain::finding::RejectReason;

/// The longest line, and the longest record, that is read.
pub(super) const MOST_BYTES: usize = 64 * 1024;
/// The size of the window.
pub(super) const BUFFER: usize = 4 * MOST_BYTES;

/// A stretch of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Span {
    /// Line from 1.
    pub line: u64,
    /// The file ends right after it, without an end of line.
    pub is_cut: bool,
}

/// A stretch, and what was made of it or why nothing was; none at the end of the file.
pub(super) type Found<T> = Option<(Span, Result<T, RejectReason>)>;

/// The bytes of a file in a window that slides over it.
pub(super) struct Bytes<R> {
    input: R,
    buffer: Zeroizing<Vec<u8>>,
    start: usize,
    end: usize,
    is_at_end: bool,
    line: u64,
    has_mark: bool,
}

impl<R: Read> Bytes<R> {
    /// Looks at the first bytes: a mark of UTF-8 is passed over, one of UTF-16 and a web page are refused.
    pub fn open(input: R) -> Result<Self, DirectoryError> {
        let bytes = Self::open_any(input)?;
        match bytes.window().trim_ascii_start().first() {
            Some(b'<') => Err(DirectoryError::WebPage),
            _ => Ok(bytes),
        }
    }

    /// The same for files that may begin as a web page does.
    pub fn open_any(input: R) -> Result<Self, DirectoryError> {
        let mut bytes = Self {
            input,
            buffer: Zeroizing::new(vec![0; BUFFER]),
            start: 0,
            end: 0,
            is_at_end: false,
            line: 1,
            has_mark: false,
        };
        bytes.fill()?;
        let window = bytes.window();
        if window.starts_with(&[0xFF, 0xFE]) || window.starts_with(&[0xFE, 0xFF]) {
            return Err(DirectoryError::Utf16);
        }
        if window.starts_with(b"\xEF\xBB\xBF") {
            bytes.start += 3;
            bytes.has_mark = true;
        }
        bytes.skip_blank_lines()?;
        match bytes.window().trim_ascii_start().is_empty() {
            true => Err(DirectoryError::Empty),
            false => Ok(bytes),
        }
    }

    /// The line that comes next, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Whether the window reaches to the end of the file.
    pub fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// The encoding to read with: a mark in the file beats the configuration.
    pub fn encoding(&self, configured: Encoding) -> Encoding {
        if self.has_mark {
            Encoding::Utf8
        } else {
            configured
        }
    }

    /// What can be seen of the file from here; at least [`MOST_BYTES`], unless it ends sooner.
    pub fn window(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Reads on until the window is as wide as it must be.
    fn fill(&mut self) -> Result<(), DirectoryError> {
        if self.is_at_end || self.end - self.start > MOST_BYTES {
            return Ok(());
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < BUFFER {
            let Some(free) = self.buffer.get_mut(self.end..) else {
                break;
            };
            match self.input.read(free) {
                Ok(0) => {
                    self.is_at_end = true;
                    break;
                }
                Ok(count) => self.end = (self.end + count).min(BUFFER),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Passes over `count` bytes of the window, and counts their lines.
    pub fn advance(&mut self, count: usize) {
        let passed = self.window().get(..count).unwrap_or_default();
        let lines = passed.iter().filter(|&&byte| byte == b'\n').count();
        self.line = self.line.saturating_add(lines as u64);
        self.start = (self.start + count).min(self.end);
    }

    /// Passes over lines with nothing but white space.
    pub fn skip_blank_lines(&mut self) -> Result<(), DirectoryError> {
        loop {
            self.fill()?;
            let Some(newline) = self
                .window()
                .iter()
                .position(|byte| !byte.is_ascii_whitespace() || *byte == b'\n')
            else {
                let blanks = self.window().len();
                self.advance(blanks);
                if self.window().is_empty() && self.is_at_end {
                    return Ok(());
                }
                continue;
            };
            if self.window().get(newline) != Some(&b'\n') {
                return Ok(());
            }
            self.advance(newline + 1);
        }
    }

    /// The first line of the window, without its end; none if it is longer than is read.
    pub fn peek(&self) -> Option<&[u8]> {
        let window = self.window();
        match window
            .iter()
            .take(MOST_BYTES)
            .position(|&byte| byte == b'\n')
        {
            Some(newline) => window.get(..newline),
            None if self.is_at_end && window.len() <= MOST_BYTES => Some(window),
            None => None,
        }
    }

    /// Passes over the rest of the current line, however long it is.
    pub fn skip_line(&mut self) -> Result<(), DirectoryError> {
        loop {
            self.fill()?;
            let newline = self.window().iter().position(|&byte| byte == b'\n');
            let count = newline.map_or(self.window().len(), |at| at + 1);
            self.advance(count);
            if newline.is_some() || (self.is_at_end && self.window().is_empty()) {
                return Ok(());
            }
        }
    }

    /// The next line that is not blank, handed to `use_line` without its end. None at the end of the file.
    pub fn take_line<T>(
        &mut self,
        use_line: impl FnOnce(&[u8]) -> T,
    ) -> Result<Found<T>, DirectoryError> {
        self.skip_blank_lines()?;
        self.next_line(use_line)
    }

    /// The same for lines of which blank ones mean something.
    pub fn next_line<T>(
        &mut self,
        use_line: impl FnOnce(&[u8]) -> T,
    ) -> Result<Found<T>, DirectoryError> {
        self.fill()?;
        if self.window().is_empty() {
            return Ok(None);
        }
        let line = self.line;
        let Some(bytes) = self.peek() else {
            self.skip_line()?;
            return Ok(Some((
                Span {
                    line,
                    is_cut: false,
                },
                Err(RejectReason::TooLong),
            )));
        };
        let is_cut = bytes.len() == self.window().len();
        if bytes.contains(&0) {
            return Err(DirectoryError::NoText { line });
        }
        let made = use_line(bytes);
        self.skip_line()?;
        Ok(Some((Span { line, is_cut }, Ok(made))))
    }
}

/// For parsers that read by themselves. What they copy is theirs to wipe.
impl<R: Read> Read for Bytes<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let available = std::io::BufRead::fill_buf(self)?;
        let count = available.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), available.get(..count)) {
            to.copy_from_slice(from);
        }
        self.advance(count);
        Ok(count)
    }
}

impl<R: Read> std::io::BufRead for Bytes<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.window().is_empty() {
            self.fill().map_err(|error| match error {
                DirectoryError::Read(error) => error,
                other => std::io::Error::other(other),
            })?;
        }
        Ok(self.window())
    }

    fn consume(&mut self, count: usize) {
        self.advance(count);
    }
}
