//! Fill: a statement's text as it was typed, its variables replaced. Nothing but names in double braces: no branches, no
//! loops, so that nobody can write a text that does not end.

/// Why a text cannot be filled. Never quotes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Braces that do not close, or hold something else than a name.
    #[error(
        "the braces at character {0} hold no variable; write {{{{ compromised }}}} with one of: {1}"
    )]
    Braces(usize, &'static str),
    /// A name that is no variable.
    #[error("there is no variable as at character {0}; there are: {1}")]
    Unknown(usize, &'static str),
    /// Something that readers would not see.
    #[error("a hidden or control character is at character {0}; type it anew")]
    Hidden(usize),
    /// Nothing in it.
    #[error("a statement needs a text")]
    Empty,
    /// Longer than one message.
    #[error("a statement has at most {} characters", super::statement::MOST_CHARS)]
    TooLong,
    /// A figure of a group so small that it would tell of persons.
    #[error("the rate at character {0} would be one of fewer than {1} people; leave it out")]
    SmallGroup(usize, u64),
    /// A variable that has no value yet.
    #[error("the variable at character {0} has no value yet: {1}")]
    NoValue(usize, &'static str),
}

/// A name in braces, and where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Variable<'a> {
    /// As it was typed.
    pub name: &'a str,
    /// Of its first brace, in characters from 1.
    pub at: usize,
}

enum Piece<'a> {
    Text(&'a str),
    Variable(Variable<'a>),
}

/// The variables, in the order in which they stand. `known` lists all names, for whoever mistyped one.
pub fn variables<'a>(body: &'a str, known: &'static str) -> Result<Vec<Variable<'a>>, Unfit> {
    Ok(pieces(body, known)?
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Variable(variable) => Some(variable),
        })
        .collect())
}

/// The text with each variable replaced by what `value` says.
pub fn fill(
    body: &str,
    known: &'static str,
    mut value: impl FnMut(&Variable<'_>) -> Result<String, Unfit>,
) -> Result<String, Unfit> {
    let mut filled = String::with_capacity(body.len() + 64);
    for piece in pieces(body, known)? {
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Variable(variable) => filled.push_str(&value(&variable)?),
        }
    }
    Ok(filled)
}

fn pieces<'a>(body: &'a str, known: &'static str) -> Result<Vec<Piece<'a>>, Unfit> {
    let mut pieces = Vec::new();
    let mut rest = body;
    let mut at = 1;
    while let Some((before, tag)) = rest.split_once("{{") {
        at += before.chars().count();
        pieces.push(Piece::Text(before));
        let (inside, after) = tag.split_once("}}").ok_or(Unfit::Braces(at, known))?;
        let name = inside.trim();
        let is_name = (1..=40).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if !is_name {
            return Err(Unfit::Braces(at, known));
        }
        pieces.push(Piece::Variable(Variable { name, at }));
        at += inside.chars().count() + 4;
        rest = after;
    }
    // A single brace is a text's own; a pair that closes nothing is a slip.
    for odd in ["}}", "{%", "%}"] {
        if let Some((before, _)) = rest.split_once(odd) {
            return Err(Unfit::Braces(at + before.chars().count(), known));
        }
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

/// The gaps of a template that nobody has filled: `[services]`, lower case in square brackets.
pub fn gaps(text: &str) -> Vec<&str> {
    text.split('[')
        .skip(1)
        .filter_map(|rest| rest.split_once(']'))
        .map(|(inside, _)| inside)
        .filter(|inside| {
            (1..=40).contains(&inside.len())
                && inside.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        })
        .collect()
}

/// Checks a text as it was typed: visible, not empty, not too long. Line ends become `\n`, blanks at its ends go.
pub fn tidy(body: &str) -> Result<String, Unfit> {
    let body = body.replace("\r\n", "\n").trim().to_owned();
    if body.is_empty() {
        return Err(Unfit::Empty);
    }
    if body.chars().count() > super::statement::MOST_CHARS {
        return Err(Unfit::TooLong);
    }
    match body.chars().position(is_hidden) {
        Some(at) => Err(Unfit::Hidden(at + 1)),
        None => Ok(body),
    }
}

/// Whether a character shows nothing, or turns text around; a line's end is no such thing.
pub fn is_hidden(c: char) -> bool {
    c != '\n'
        && (c.is_control()
            || super::address::is_bidi(c)
            || matches!(c, '\u{AD}' | '\u{180E}' | '\u{200B}'..='\u{200D}' | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}' | '\u{E0000}'..='\u{E007F}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &str = "compromised, told";

    fn filled(body: &str) -> Result<String, Unfit> {
        fill(body, KNOWN, |variable| match variable.name {
            "told" => Ok("at least 80".to_owned()),
            _ => Err(Unfit::Unknown(variable.at, KNOWN)),
        })
    }

    #[test]
    fn variables_are_filled_and_slips_are_told_with_their_place() {
        for (body, expected) in [
            (
                "We told {{ told }} people.",
                Ok("We told at least 80 people."),
            ),
            ("{{told}}{{ told }}", Ok("at least 80at least 80")),
            ("A single { is fine.", Ok("A single { is fine.")),
            ("É {{ tolld }}", Err(Unfit::Unknown(3, KNOWN))),
            ("a {{ told", Err(Unfit::Braces(3, KNOWN))),
            ("a }} b", Err(Unfit::Braces(3, KNOWN))),
            ("{{ Amina Clarke }}", Err(Unfit::Braces(1, KNOWN))),
            ("{{ told }} {% for %}", Err(Unfit::Braces(12, KNOWN))),
        ] {
            assert_eq!(filled(body), expected.map(str::to_owned), "{body}");
        }
    }

    #[test]
    fn gaps_and_hidden_characters_are_found() {
        assert_eq!(
            gaps("[services] and [Note 1] and [more_words"),
            ["services"]
        );
        assert_eq!(tidy(" a\r\nb "), Ok("a\nb".to_owned()));
        assert_eq!(tidy("ab\u{200B}c"), Err(Unfit::Hidden(3)));
        assert_eq!(tidy("  "), Err(Unfit::Empty));
        assert_eq!(tidy(&"x".repeat(3_501)), Err(Unfit::TooLong));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = filled(&text);
            let _ = gaps(&text);
            let _ = tidy(&text);
        }
    }
}
