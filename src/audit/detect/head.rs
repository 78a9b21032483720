//! Head: the first 64 KiB of a file as text, and the questions that a format asks of it.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};
use zeroize::Zeroizing;

use super::super::decode::{CodePage, byte_order_mark};
use super::super::mapping::header;
use super::super::records;
use super::Refusal;

/// Lines of a head that are looked at.
const LINES: usize = 400;

/// How a file is written, before anything is known of what it says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::audit) enum Shape {
    /// JSON, one value or one a line.
    Json,
    /// XML or HTML.
    Markup,
    /// Lines, or a table.
    Lines,
}

impl Shape {
    /// What a person calls it.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Markup => "XML or HTML",
            Self::Lines => "lines of text",
        }
    }
}

/// What shows that a file is of a format: the stronger one counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::audit) enum By {
    /// It could be anybody's.
    Any,
    /// Its lines have the format's form.
    Form,
    /// It has what no other format has.
    Sign,
}

/// What a format says to a head. Neither quotes the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::audit) enum Look {
    /// It is one of mine.
    Yes {
        /// How strongly.
        by: By,
        /// What shows it.
        reason: String,
    },
    /// It is not.
    No {
        /// How much of it fits, in per cent.
        near: u8,
        /// What does not.
        why: String,
    },
}

impl Look {
    pub(in crate::audit) fn yes(by: By, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::Yes { by, reason }
    }

    pub(in crate::audit) fn no(near: u8, why: impl Into<String>) -> Self {
        let why = why.into();
        Self::No { near, why }
    }

    /// The same, as long as `other` does not say yes: for forms that a more telling one includes.
    pub(in crate::audit) fn unless(self, other: &Self, why: &str) -> Self {
        match (self, other) {
            (Self::Yes { .. }, Self::Yes { .. }) => Self::no(50, why),
            (own, Self::Yes { .. } | Self::No { .. }) => own,
        }
    }
}

/// The first part of a file.
pub(in crate::audit) struct Head<'a> {
    /// From the first sign that is no blank.
    pub(in crate::audit) start: &'a str,
    /// Lines that are not blank; a last one that is cut off is left out.
    pub(in crate::audit) lines: Vec<&'a str>,
    /// Whether this is all of the file.
    pub(in crate::audit) whole: bool,
    /// How it is written.
    pub(in crate::audit) shape: Shape,
    /// In small letters, where it is JSON.
    folded: Zeroizing<String>,
    /// The header's names as they are compared, where it could be a table.
    columns: Vec<String>,
}

impl<'a> Head<'a> {
    pub(super) fn new(text: &'a str, whole: bool) -> Self {
        let start = text.trim_start();
        let shape = match start.as_bytes() {
            [b'<', ..] => Shape::Markup,
            // A program's words may begin so as well.
            [b'{' | b'[', ..] if !start.starts_with("[*]") && !start.starts_with("[20") => {
                Shape::Json
            }
            _ => Shape::Lines,
        };
        let mut lines: Vec<&str> = text.lines().collect();
        if !whole && lines.len() > 1 {
            lines.pop();
        }
        let lines: Vec<&str> = lines
            .into_iter()
            .filter(|line| !line.trim().is_empty())
            .take(LINES)
            .collect();
        let columns = match shape {
            Shape::Lines => columns(&lines),
            Shape::Json | Shape::Markup => Vec::new(),
        };
        let folded = match shape {
            Shape::Json => start.to_lowercase(),
            Shape::Lines | Shape::Markup => String::new(),
        };
        Self {
            start,
            lines,
            whole,
            shape,
            folded: Zeroizing::new(folded),
            columns,
        }
    }

    /// Whether it is JSON with this key, or this text, in quotation marks; without case.
    pub(in crate::audit) fn has_key(&self, key: &str) -> bool {
        self.folded.contains(&format!("\"{}\"", key.to_lowercase()))
    }

    /// Whether it is JSON with this text anywhere; without case.
    pub(in crate::audit) fn has_text(&self, text: &str) -> bool {
        self.folded.contains(&text.to_lowercase())
    }

    /// JSON that has all of these keys.
    pub(in crate::audit) fn json_with(&self, keys: &[&str]) -> Look {
        self.json_with_some(keys, keys.len())
    }

    /// JSON that has at least so many of these keys.
    pub(in crate::audit) fn json_with_some(&self, keys: &[&str], enough: usize) -> Look {
        if let Some(no) = self.unless_shape(Shape::Json) {
            return no;
        }
        let has = keys.iter().filter(|key| self.has_key(key)).count();
        let all = named(keys);
        if has >= enough {
            return Look::yes(By::Sign, format!("JSON with {all}"));
        }
        let near = percent(has, enough).max(1);
        if has == 0 {
            return Look::no(near, format!("it has none of the keys {all}"));
        }
        let missing = keys.iter().filter(|key| !self.has_key(key));
        let missing: Vec<&str> = missing.copied().collect();
        Look::no(near, format!("it has no {}", named(&missing)))
    }

    /// Text of which more than half the lines are of a form.
    pub(in crate::audit) fn lines_like(&self, what: &str, test: impl Fn(&str) -> bool) -> Look {
        if let Some(no) = self.unless_shape(Shape::Lines) {
            return no;
        }
        let (fit, all) = (self.count(test), self.lines.len());
        if 2 * fit > all {
            return Look::yes(
                By::Form,
                format!("{fit} of the first {all} lines are {what}"),
            );
        }
        Look::no(
            percent(fit, all).max(1),
            format!("only {fit} of the first {all} lines are {what}"),
        )
    }

    /// Text with a line that no other format has.
    pub(in crate::audit) fn line_with(&self, what: &str, test: impl Fn(&str) -> bool) -> Look {
        if let Some(no) = self.unless_shape(Shape::Lines) {
            return no;
        }
        if self.count(test) > 0 {
            Look::yes(By::Sign, format!("it has {what}"))
        } else {
            Look::no(1, format!("it has not {what}"))
        }
    }

    /// A table whose header has all of these columns, as [`header`] writes them: in small letters.
    pub(in crate::audit) fn table_with(&self, columns: &[&str]) -> Look {
        if let Some(no) = self.unless_shape(Shape::Lines) {
            return no;
        }
        let has_not = columns.iter().filter(|name| !self.has_column(name));
        let missing: Vec<&str> = has_not.copied().collect();
        if missing.is_empty() {
            return Look::yes(By::Sign, format!("a table with {}", named(columns)));
        }
        Look::no(
            percent(columns.len() - missing.len(), columns.len()).max(1),
            format!("its first line has no column {}", named(&missing)),
        )
    }

    /// Whether the header has this column.
    pub(in crate::audit) fn has_column(&self, name: &str) -> bool {
        self.columns.iter().any(|known| known == name)
    }

    /// The header's names.
    pub(in crate::audit) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// How many lines are of a form.
    pub(in crate::audit) fn count(&self, test: impl Fn(&str) -> bool) -> usize {
        self.lines.iter().filter(|line| test(line)).count()
    }

    /// No, if it is written in another way.
    pub(in crate::audit) fn unless_shape(&self, wanted: Shape) -> Option<Look> {
        (self.shape != wanted).then(|| {
            Look::no(
                0,
                format!("it is {}, not {}", self.shape.title(), wanted.title()),
            )
        })
    }
}

fn columns(lines: &[&str]) -> Vec<String> {
    let first = lines
        .iter()
        .find(|line| !line.starts_with("#TYPE ") && !line.starts_with("sep="));
    let Some(first) = first else {
        return Vec::new();
    };
    let delimiter = records::likely_delimiter(first.as_bytes());
    records::cut(first.as_bytes(), delimiter)
        .unwrap_or_default()
        .iter()
        .map(|cell| header(&String::from_utf8_lossy(cell)))
        .collect()
}

fn named(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    quoted.join(", ")
}

fn percent(part: usize, whole: usize) -> u8 {
    let percent = (part * 100).checked_div(whole).unwrap_or_default();
    u8::try_from(percent.min(99)).unwrap_or(99)
}

/// The head as text, and the name of its encoding. What is in no encoding becomes U+FFFD: only the shape matters here.
pub(super) fn text(
    head: &[u8],
    page: CodePage,
) -> Result<(Zeroizing<String>, &'static str), Refusal> {
    let (encoding, mark, name): (&'static Encoding, usize, &'static str) =
        match (byte_order_mark(head), page.wide()) {
            (Some((encoding, mark)), _) => (encoding, mark, encoding.name()),
            (None, Some(encoding)) => (encoding, 0, encoding.name()),
            (None, None) if std::str::from_utf8(whole_letters(head)).is_ok() => (UTF_8, 0, "UTF-8"),
            (None, None) => (UTF_8, 0, page.name()),
        };
    let body = head.get(mark..).unwrap_or_default();
    let text = if encoding == UTF_8 {
        String::from_utf8_lossy(body)
    } else {
        encoding.decode_without_bom_handling(body).0
    };
    if text.contains('\0') {
        return Err(Refusal::ZeroByte);
    }
    let text = match text {
        Cow::Owned(text) => text,
        Cow::Borrowed(text) => text.to_owned(),
    };
    Ok((Zeroizing::new(text), name))
}

/// Without the last three bytes, in which a letter of UTF-8 may be cut.
fn whole_letters(head: &[u8]) -> &[u8] {
    let end = head
        .iter()
        .rposition(|byte| byte & 0xC0 != 0x80)
        .filter(|at| head.get(*at).is_some_and(|byte| byte & 0x80 != 0));
    match end {
        Some(at) if head.len() - at < 4 => head.get(..at).unwrap_or(head),
        Some(_) | None => head,
    }
}
