//! Reply: what a relay said, kept with each attempt, without anybody's address in it.

use crate::domain::address::is_bidi;

/// The longest text that is kept of a reply, in characters.
const LONGEST_TEXT: usize = 500;

/// One SMTP reply (RFC 5321 section 4.2), with its enhanced code (RFC 3463).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// Basic code, 200 to 599.
    pub code: u16,
    /// Enhanced code, such as 5.1.1.
    pub enhanced: Option<(u16, u16, u16)>,
    /// The text, addresses masked, cut at 500 characters.
    pub text: String,
}

impl Reply {
    /// A reply whose lines are joined already. Relays quote the recipient back at us: every address in `text` becomes
    /// `<…>`, and what cannot be printed becomes a space.
    pub fn new(code: u16, text: &str) -> Self {
        let (enhanced, text) = enhanced(text.trim_start());
        Self {
            code,
            enhanced,
            text: masked(text),
        }
    }

    /// Reads a whole reply, `550-5.1.1 first` to `550 5.1.1 last`. None if it is no reply: other codes on its lines, a last
    /// line that announces another, a code outside 200 to 599.
    pub fn parse(raw: &str) -> Option<Self> {
        let raw = raw.strip_suffix('\n').unwrap_or(raw);
        let mut code = None;
        let mut first_enhanced = None;
        let mut ended = false;
        let mut joined = String::new();
        for line in raw.split('\n') {
            let line = line.strip_suffix('\r').unwrap_or(line);
            let (digits, rest) = line.split_at_checked(3)?;
            if ended || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            let here: u16 = digits.parse().ok()?;
            if *code.get_or_insert(here) != here {
                return None;
            }
            ended = match rest.chars().next() {
                None | Some(' ') => true,
                Some('-') => false,
                Some(_) => return None,
            };
            // The enhanced code is repeated on each line (RFC 2034 section 4); once is enough.
            let (enhanced, text) = enhanced(rest.get(1..).unwrap_or(""));
            first_enhanced = first_enhanced.or(enhanced);
            if !joined.is_empty() {
                joined.push(' ');
            }
            joined.push_str(text);
        }
        let code = code.filter(|code| ended && (200..600).contains(code))?;
        Some(Self {
            code,
            enhanced: first_enhanced,
            text: masked(&joined),
        })
    }

    /// The first digit: 2 done, 3 go on, 4 not now, 5 no.
    pub const fn class(&self) -> u16 {
        self.code / 100
    }
}

impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some((class, subject, detail)) = self.enhanced {
            write!(f, " {class}.{subject}.{detail}")?;
        }
        write!(f, " {}", self.text)
    }
}

/// Splits the enhanced code off the front of a text.
pub(super) fn enhanced(text: &str) -> (Option<(u16, u16, u16)>, &str) {
    let word = text.split(' ').next().unwrap_or("");
    let mut parts = word.split('.').map(|part| {
        let digits = (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        part.parse::<u16>().ok().filter(|_| digits)
    });
    let code = match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(Some(class @ (2 | 4 | 5))), Some(Some(subject)), Some(Some(detail)), None) => {
            (class, subject, detail)
        }
        _ => return (None, text),
    };
    let rest = text.get(word.len()..).unwrap_or("");
    (Some(code), rest.trim_start())
}

/// How a text may write the mark between the parts of an address: plain, wide, and as encoded by URLs, VERP and HTML.
const AT: [&str; 6] = ["@", "\u{FF20}", "\u{FE6B}", "%40", "=40", "&#64;"];

fn holds_address(text: &str) -> bool {
    AT.iter().any(|at| text.contains(at))
}

/// The text with `<…>` for each address, one line, cut at 500 characters.
pub fn masked(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() || is_bidi(c) { ' ' } else { c })
        .collect();
    let mut without_spans = String::with_capacity(line.len());
    let mut rest = line.as_str();
    // `<"a b"@example.org>` holds a space: what stands between angle brackets goes as a whole.
    while let Some((before, (span, after))) = rest
        .split_once('<')
        .and_then(|(before, from)| Some((before, from.split_once('>')?)))
    {
        without_spans.push_str(before);
        if holds_address(span) {
            without_spans.push_str("<…>");
            rest = after;
        } else {
            without_spans.push('<');
            rest = rest.get(before.len() + 1..).unwrap_or("");
        }
    }
    without_spans.push_str(rest);
    let words: Vec<&str> = without_spans
        .split_whitespace()
        .map(|word| if holds_address(word) { "<…>" } else { word })
        .collect();
    words.join(" ").chars().take(LONGEST_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_reply_of_several_lines_is_one_text_with_one_enhanced_code() {
        let raw = "550-5.1.1 <anna@parl.example>: no such\r\n550-5.1.1 user here,\r\n550 5.1.1 ask bob@parl.example.\r\n";
        let reply = Reply::parse(raw).unwrap();
        assert_eq!((reply.code, reply.enhanced), (550, Some((5, 1, 1))));
        assert_eq!(reply.text, "<…>: no such user here, ask <…>");
        assert_eq!(
            reply.to_string(),
            "550 5.1.1 <…>: no such user here, ask <…>"
        );
    }

    #[test]
    fn what_is_no_reply_is_none() {
        for raw in [
            "",
            "hello",
            "25",
            "250-more\r\n",
            "250-a\r\n550 b\r\n",
            "250 a\r\n250 b\r\n",
            "2500 a",
            "199 a",
            "600 a",
            "+50 a",
            "25é",
        ] {
            assert_eq!(Reply::parse(raw), None, "{raw:?}");
        }
        assert_eq!(Reply::parse("250").unwrap().code, 250);
        assert_eq!(Reply::parse("250 ok\n").unwrap().text, "ok");
    }

    #[test]
    fn addresses_are_masked_however_they_are_written() {
        for (text, seen) in [
            ("<anna@parl.example>: gone", "<…>: gone"),
            ("<\"anna b\"@parl.example> gone", "<…> gone"),
            (
                "no mailbox anna@parl.example, sorry",
                "no mailbox <…> sorry",
            ),
            (
                "see https://x.example/?u=anna%40parl.example now",
                "see <…> now",
            ),
            ("<bounces+anna=40parl.example>", "<…>"),
            ("<anna at home> <bob@x.example>", "<anna at home> <…>"),
            ("<<anna@x.example>", "<…>"),
            ("a < b", "a < b"),
        ] {
            assert_eq!(Reply::new(550, text).text, seen);
        }
    }

    #[test]
    fn only_three_short_numbers_are_an_enhanced_code() {
        for (text, code) in [
            ("5.1.1 no", Some((5, 1, 1))),
            ("5.7.515 no", Some((5, 7, 515))),
            ("5.7.5150 no", None),
            ("192.0.2.1 is listed", None),
            ("3.1.1 no", None),
            ("5.1 no", None),
            ("+5.1.1 no", None),
        ] {
            assert_eq!(Reply::new(550, text).enhanced, code, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_never_keeps_an_address(
            raw in "([2-5][0-9]{2}[ -])?\\PC*(<?[a-z]{0,5}@[a-z.]{0,9}>?|\r\n|[\u{0}-\u{9f}]|\u{202e}|.){0,40}(\r\n)?"
        ) {
            let new = Reply::new(550, &raw).text;
            let parsed = Reply::parse(&raw).map(|reply| reply.text).unwrap_or_default();
            for text in [new, parsed] {
                prop_assert!(!text.contains('@'));
                prop_assert!(!text.chars().any(|c| c.is_control() || is_bidi(c)));
                prop_assert!(text.chars().count() <= LONGEST_TEXT);
            }
        }
    }
}
