//! Renders a neutral post as plain pieces of text, for chats that mark nothing up: cut, and free of what could hide.

use super::StatusPost;
use crate::domain::address::is_bidi;

/// A post in pieces.
pub(super) struct Plain {
    /// What this is about.
    pub title: String,
    /// Sentences; none of them empty.
    pub paragraphs: Vec<String>,
    /// Labels and values: the state, figures, promises, and a picture's words.
    pub facts: Vec<(String, String)>,
    /// By which we find it, and what stands behind it.
    pub footer: String,
}

/// No more paragraphs than this; what follows stands in the last one.
const PARAGRAPHS: usize = 20;

/// No piece is longer than `longest` characters, and there are no more than `most` facts.
pub(super) fn plain(post: &StatusPost, longest: usize, most: usize) -> Plain {
    let paragraphs = post
        .text
        .splitn(PARAGRAPHS, "\n\n")
        .filter(|text| !text.trim().is_empty());
    let piece = |text: &str| cut(text, longest);
    let state = (!post.state.is_empty()).then(|| ("State".to_owned(), piece(&post.state)));
    let lines = post
        .lines
        .iter()
        .map(|line| (piece(&line.label), piece(&line.value)));
    let picture = post
        .picture
        .iter()
        .map(|picture| ("Over time".to_owned(), piece(&picture.words)));
    let mut facts: Vec<_> = state.into_iter().chain(lines).chain(picture).collect();
    if facts.len() > most {
        let left = facts.len() + 1 - most;
        facts.truncate(most.saturating_sub(1));
        facts.push(("…".to_owned(), format!("{left} more")));
    }
    let footer = match &post.footer_note {
        Some(note) => format!("{} · {note}", post.footer_reference),
        None => post.footer_reference.clone(),
    };
    Plain {
        title: piece(&post.title),
        paragraphs: paragraphs.map(piece).collect(),
        facts,
        footer: piece(&footer),
    }
}

impl Plain {
    /// All of it on lines, for whoever shows nothing else.
    pub(super) fn on_lines(&self) -> String {
        let facts = self
            .facts
            .iter()
            .map(|(label, value)| format!("{label}: {value}"));
        let all: Vec<String> = std::iter::once(self.title.clone())
            .chain(self.paragraphs.iter().cloned())
            .chain(facts)
            .chain(std::iter::once(self.footer.clone()))
            .collect();
        all.join("\n")
    }
}

/// Whether each paragraph has `longest` characters at most, so that [`plain`] cuts none.
pub(super) fn has_room(text: &str, longest: usize) -> bool {
    text.splitn(PARAGRAPHS, "\n\n")
        .all(|paragraph| paragraph.chars().count() <= longest)
}

/// At most `longest` characters, with `…` where something is missing.
pub(super) fn cut(text: &str, longest: usize) -> String {
    let mut shown = text
        .chars()
        .filter(|c| (!c.is_control() || *c == '\n') && !is_bidi(*c));
    let mut kept: String = shown.by_ref().take(longest).collect();
    if shown.next().is_some() {
        kept.pop();
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::super::StatusLine;
    use super::*;

    #[test]
    fn what_is_too_long_or_too_much_says_so() {
        assert_eq!(cut("abcd", 4), "abcd");
        assert_eq!(cut("abcde", 4), "abc…");
        assert_eq!(cut("a\u{202e}b\u{7}", 4), "ab");
        let line = StatusLine {
            label: "a".into(),
            value: "b".into(),
        };
        let post = StatusPost {
            lines: vec![line; 9],
            footer_reference: "INC-1".into(),
            ..StatusPost::default()
        };
        let plain = plain(&post, 100, 5);
        assert_eq!(plain.facts.len(), 5);
        assert_eq!(plain.facts[4].1, "5 more");
        assert!(plain.on_lines().ends_with("\nINC-1"));
    }
}
