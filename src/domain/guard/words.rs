//! Words: a text as the guard reads it: runs of characters without blanks, and the words of letters and figures in them.

use super::names::fold_word;

/// A run of characters between blanks, without the marks around it.
pub(super) struct Token<'a> {
    /// Where it begins, in characters from 1.
    pub at: usize,
    /// As it was typed.
    pub raw: &'a str,
}

/// One word of a token: letters, figures, and marks that stand inside words.
pub(super) struct Word<'a> {
    /// Where it begins, in characters from 1.
    pub at: usize,
    /// As it was typed.
    pub raw: &'a str,
    /// As it is compared.
    pub folded: String,
    /// Whether a full stop, a colon or a line's end follows: no phrase goes on behind it.
    pub ends: bool,
}

/// A text, read.
pub(super) struct Words<'a> {
    pub tokens: Vec<Token<'a>>,
    pub words: Vec<Word<'a>>,
}

/// Marks that stand around a word and are no part of it.
fn is_around(c: char) -> bool {
    matches!(
        c,
        '"' | '\''
            | '('
            | ')'
            | '['
            | ']'
            | '{'
            | '}'
            | '<'
            | '>'
            | ','
            | ';'
            | ':'
            | '.'
            | '!'
            | '?'
            | '*'
            | '_'
            | '~'
            | '`'
            | '|'
            | '\u{2018}'
            ..='\u{201F}' | '\u{2026}' | '\u{AB}' | '\u{BB}' | '\u{2013}' | '\u{2014}'
    )
}

/// Marks that stand inside a name: O'Neill, Smith-Jones.
pub(super) fn is_inside(c: char) -> bool {
    matches!(c, '\'' | '-' | '`')
        || matches!(
            c,
            '\u{2018}' | '\u{2019}' | '\u{02BC}' | '\u{00B4}' | '\u{2010}' | '\u{2011}'
        )
}

fn is_stop(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | ':' | ';')
}

impl<'a> Words<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self {
            tokens: tokens(text),
            words: words(text),
        }
    }
}

/// Splits `text` where `is_gap` is true: the runs between, each with its place in characters from 1 and what follows it.
fn runs(text: &str, is_gap: impl Fn(char) -> bool) -> Vec<(usize, &str, &str)> {
    let mut runs = Vec::new();
    let mut start: Option<(usize, usize)> = None;
    for (nth, (byte, c)) in text.char_indices().enumerate() {
        match (is_gap(c), start) {
            (false, None) => start = Some((nth + 1, byte)),
            (true, Some((at, from))) => {
                if let (Some(run), Some(rest)) = (text.get(from..byte), text.get(byte..)) {
                    runs.push((at, run, rest));
                }
                start = None;
            }
            (true, None) | (false, Some(_)) => {}
        }
    }
    if let Some((at, from)) = start
        && let Some(run) = text.get(from..)
    {
        runs.push((at, run, ""));
    }
    runs
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    runs(text, char::is_whitespace)
        .into_iter()
        .filter_map(|(at, run, _)| {
            let front = run.chars().take_while(|c| is_around(*c)).count();
            // A mention begins with a mark that is its own.
            if run.contains("<@") || run.contains("<#") || run.contains("<:") {
                return Some(Token { at, raw: run });
            }
            let raw = run.trim_matches(is_around);
            (!raw.is_empty()).then_some(Token {
                at: at + front,
                raw,
            })
        })
        .collect()
}

fn words(text: &str) -> Vec<Word<'_>> {
    runs(text, |c| {
        !(c.is_alphanumeric() || is_inside(c) || unicode_normalization::char::is_combining_mark(c))
    })
    .into_iter()
    .filter_map(|(at, run, rest)| {
        let front = run.chars().take_while(|c| is_inside(*c)).count();
        let raw = run.trim_matches(is_inside);
        let between: &str = rest
            .split(|c: char| c.is_alphanumeric())
            .next()
            .unwrap_or_default();
        (!raw.is_empty()).then(|| Word {
            at: at + front,
            raw,
            folded: fold_word(raw),
            ends: between.contains(is_stop) || between.contains("\n\n"),
        })
    })
    .collect()
}
