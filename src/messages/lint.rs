//! Lint: the eight rules that a notice keeps so that it cannot be mistaken for phishing. Text in, findings out.
//!
//! 1 nothing to follow · 2 no pressing words · 3 nothing unresolved or empty · 4 easy to read · 5 short · 6 the promise and
//! the check route are there · 7 the subject is calm and both parts say the same · 8 claims have evidence.
//! A finding never quotes the text: what is read here may be somebody's letter.

use std::fmt;

use super::html::html_to_text;
use super::measure::{grade, numbered, prose, sentences, without_signature};
use crate::domain::address::is_bidi;

/// Something that a text may not do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The file, and the sample it was read with.
    pub file: String,
    /// The line of the file, where one line is to blame.
    pub line: Option<usize>,
    /// The rule, 1 to 8.
    pub rule: u8,
    /// What is wrong; never the text itself.
    pub reason: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ": line {line}")?;
        }
        write!(f, ": rule {}: {}", self.rule, self.reason)
    }
}

/// A broken rule and what is wrong.
pub type Broken = (u8, &'static str);

/// The sentence that every letter carries.
pub const NEVER_ASK: &str = "We will never ask you for your password.";

/// Longest subject, in characters.
pub const SUBJECT_CHARS: usize = 72;
/// Longest plain part of a notice, in characters.
pub const TEXT_CHARS: usize = 1_400;
/// Longest sentence, in words.
pub const SENTENCE_WORDS: usize = 25;
/// Hardest grade of a letter to staff.
pub const STAFF_GRADE: f64 = 6.0;

/// Whether a character shows nothing, ends a line or turns text around.
pub fn is_hidden(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    c.is_control()
        || is_bidi(c)
        || matches!(
            c,
            '\u{AD}' | '\u{180E}' | '\u{200B}' | '\u{2028}' | '\u{2029}' | '\u{2060}'
                ..='\u{2064}' | '\u{FEFF}'
        )
}

/// Whether braces of a template are left.
pub fn has_braces(text: &str) -> bool {
    ["{{", "}}", "{%", "%}", "{#", "#}"]
        .iter()
        .any(|braces| text.contains(braces))
}

/// Full-width letters and foreign dots as the ASCII that mail programs take them for.
const fn plain(c: char) -> char {
    match c {
        '\u{FF01}'..='\u{FF5E}' => match char::from_u32(c as u32 - 0xFEE0) {
            Some(ascii) => ascii,
            None => c,
        },
        '\u{3002}' | '\u{FF61}' | '\u{2024}' => '.',
        _ => c,
    }
}

/// Rule 1: a link, a domain, an e-mail address, or a number that could be dialled.
pub fn something_to_follow(text: &str) -> Option<&'static str> {
    let mut before = ' ';
    let mut word = 0_u64;
    let mut scheme = false;
    let mut digits = 0_u32;
    let mut after_dot = None;
    let mut joined_dots = 0_u32;
    for c in text.chars().map(plain) {
        if c == '@' {
            return Some("it holds an \"@\"");
        }
        digits = match c {
            '0'..='9' => digits + 1,
            '\n' => 0,
            ' '
            | '\u{A0}'
            | '\u{2007}'..='\u{200A}'
            | '\u{202F}'
            | '-'
            | '('
            | ')'
            | '.'
            | '/'
            | '\u{2010}'..='\u{2013}' => digits,
            _ if c.is_numeric() => digits + 1,
            _ => 0,
        };
        if digits >= 7 {
            return Some("it holds seven or more digits in a row");
        }
        // A name, a dot and two letters: a domain, or a full stop without its space.
        after_dot = match after_dot {
            Some(letters) if c.is_alphabetic() => {
                if letters == 1 {
                    return Some("it holds what reads like a domain");
                }
                Some(letters + 1)
            }
            _ if c == '.' && before.is_alphanumeric() => Some(0),
            _ => None,
        };
        // 10.0.0.1
        joined_dots = match c {
            '.' if before.is_ascii_digit() => joined_dots + 1,
            '0'..='9' => joined_dots,
            _ => 0,
        };
        if joined_dots >= 3 && c.is_ascii_digit() {
            return Some("it holds what reads like an internet address");
        }
        if scheme && !c.is_whitespace() || c == '/' && before == '/' {
            return Some("it holds a link");
        }
        scheme = false;
        if c.is_ascii_alphabetic() {
            word = word << 8 | u64::from(c.to_ascii_lowercase() as u8);
        } else {
            if c == ':' {
                scheme = SCHEMES.contains(&word);
            } else if WEB.contains(&word) {
                return Some("it holds a link");
            }
            word = 0;
        }
        before = c;
    }
    WEB.contains(&word).then_some("it holds a link")
}

/// The last letters of a word as one number, as [`something_to_follow`] gathers them.
const fn packed(word: &str) -> u64 {
    let mut packed = 0;
    let mut at = 0;
    while at < word.len() {
        packed = packed << 8 | word.as_bytes()[at] as u64;
        at += 1;
    }
    packed
}

/// Words that make a link when a colon and something else follow.
const SCHEMES: [u64; 7] = [
    packed("http"),
    packed("https"),
    packed("mailto"),
    packed("tel"),
    packed("sms"),
    packed("ftp"),
    packed("file"),
];

/// Words that are never said but in a link.
const WEB: [u64; 3] = [packed("http"), packed("https"), packed("www")];

/// Phrases that press, that phishing uses, or that claim more than anybody looked at.
const PRESSING: [(&str, &str); 14] = [
    ("urgent", "\"urgent\" presses people"),
    ("urgently", "\"urgently\" presses people"),
    ("immediately", "\"immediately\" presses people"),
    ("act now", "\"act now\" presses people"),
    (
        "verify your account",
        "\"verify your account\" is what phishing says",
    ),
    (
        "verify your password",
        "\"verify your password\" is what phishing says",
    ),
    ("suspended", "\"suspended\" is a threat"),
    ("final warning", "\"final warning\" is a threat"),
    ("within 24 hours", "\"within 24 hours\" presses people"),
    ("click", "\"click\" is what phishing says"),
    ("click here", "\"click here\" is what phishing says"),
    ("link below", "\"link below\" is what phishing says"),
    ("no evidence", "\"no evidence\" says too little or too much"),
    (
        "sophisticated",
        "\"sophisticated\" excuses, and says nothing",
    ),
];

/// Phrases that may only come from a sourced constant, never be typed into a template.
const CLAIMS: [(&str, &str); 3] = [
    (
        "seen no sign",
        "a claim about sign-ins belongs in the constant no_sign_line, beside its evidence",
    ),
    (
        "is helping us",
        "a claim about a partner belongs in the constant authority_line, beside its evidence",
    ),
    (
        "did not come from our systems",
        "a claim about a list belongs in the constant source_line, beside its evidence",
    ),
];

/// Rules 1 and 2 on any text: something to follow, pressing words, exclamation marks, words in capitals.
pub fn words(text: &str) -> Vec<Broken> {
    let mut broken = Vec::new();
    if let Some(reason) = something_to_follow(text) {
        broken.push((1, reason));
    }
    let folded = folded(text);
    for (phrase, reason) in PRESSING {
        if has_phrase(&folded, phrase) {
            broken.push((2, reason));
        }
    }
    if folded.contains('!') {
        broken.push((2, "it holds an exclamation mark"));
    }
    if text.lines().any(|line| !is_heading(line) && shouts(line)) {
        broken.push((2, "words in capitals shout"));
    }
    broken
}

/// Rule 8 on a template's own text: a claim that only a sourced constant may make.
pub fn claims(template: &str) -> Vec<Broken> {
    let folded = folded(template);
    CLAIMS
        .iter()
        .filter(|(phrase, _)| has_phrase(&folded, phrase))
        .map(|(_, reason)| (8, *reason))
        .collect()
}

/// Lower case, white space as single spaces, curly marks straight.
fn folded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text
        .chars()
        .map(plain)
        .filter(|c| *c == '\n' || !is_hidden(*c))
    {
        if c.is_whitespace() {
            if !out.ends_with(' ') {
                out.push(' ');
            }
        } else {
            out.extend(c.to_lowercase());
        }
    }
    out
}

fn has_phrase(folded: &str, phrase: &str) -> bool {
    folded.match_indices(phrase).any(|(at, _)| {
        let edge = |c: Option<char>| !c.is_some_and(char::is_alphanumeric);
        edge(folded.get(..at).and_then(|text| text.chars().next_back()))
            && edge(
                folded
                    .get(at + phrase.len()..)
                    .and_then(|text| text.chars().next()),
            )
    })
}

/// A line of capitals and nothing else: one of the fixed headings.
pub(super) fn is_heading(line: &str) -> bool {
    let letters = || line.chars().filter(|c| c.is_alphabetic());
    letters().count() >= 4
        && letters().all(char::is_uppercase)
        && line.chars().all(|c| !c.is_ascii_digit())
}

/// Six capitals are no abbreviation any more, and two words of capitals in a row are shouted.
fn shouts(line: &str) -> bool {
    let mut before = false;
    line.split_whitespace().any(|word| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        let capitals = word.chars().count() >= 2 && word.chars().all(char::is_uppercase);
        let shouted = capitals && (before || word.chars().count() >= 6);
        before = capitals;
        shouted
    })
}

/// The rules that are cheap enough for every single letter: subject and plain part as they will be sent.
pub fn rendered(subject: &str, text: &str) -> Option<Broken> {
    if subject.is_empty() || subject.chars().any(is_hidden) {
        return Some((7, "the subject is no single line of visible characters"));
    }
    if subject.chars().count() > SUBJECT_CHARS {
        return Some((7, "the subject is longer than 72 characters"));
    }
    if text.chars().any(|c| c != '\n' && is_hidden(c)) {
        return Some((3, "a hidden or control character is left"));
    }
    if has_braces(subject) || has_braces(text) {
        return Some((3, "the braces of a template are left"));
    }
    something_to_follow(subject)
        .or_else(|| something_to_follow(text))
        .map(|reason| (1, reason))
}

/// The part of a letter that breaks a rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// `subject.txt`
    Subject,
    /// `body.txt`
    Text,
    /// `body.html`
    Html,
}

/// All rules that one letter can be measured by. `check_route` is the phrase that has to be in it.
pub fn letter(subject: &str, text: &str, html: &str, check_route: &str) -> Vec<(Part, Broken)> {
    let mut broken = Vec::new();
    if let Some(found) = rendered(subject, text) {
        let part = if found.0 == 7 {
            Part::Subject
        } else {
            Part::Text
        };
        broken.push((part, found));
    }
    broken.extend(
        subject_rules(subject)
            .into_iter()
            .map(|found| (Part::Subject, found)),
    );
    broken.extend(
        text_rules(text, check_route)
            .into_iter()
            .map(|found| (Part::Text, found)),
    );
    if html_to_text(html) != text.trim() {
        let found = (7, "the HTML part does not say what the plain part says");
        broken.push((Part::Html, found));
    }
    broken
}

/// What is wrong with a letter that has a plain part only.
pub fn plain_letter(subject: &str, text: &str, check_route: &str) -> Vec<Broken> {
    rendered(subject, text)
        .into_iter()
        .chain(subject_rules(subject))
        .chain(text_rules(text, check_route))
        .collect()
}

fn subject_rules(subject: &str) -> Vec<Broken> {
    let mut broken: Vec<Broken> = words(subject)
        .into_iter()
        .filter(|found| found.0 == 2)
        .collect();
    let folded = folded(subject);
    if folded.starts_with("re:") {
        broken.push((7, "a notice that is no reply has no \"Re:\""));
    }
    let findings = [
        "weak",
        "stolen",
        "breach",
        "attack",
        "hack",
        "compromise",
        "guess",
    ];
    if findings.iter().any(|word| folded.contains(word)) {
        broken.push((7, "the subject says what was found"));
    }
    broken
}

fn text_rules(text: &str, check_route: &str) -> Vec<Broken> {
    let body = without_signature(text);
    let mut broken: Vec<Broken> = words(&body)
        .into_iter()
        .filter(|found| found.0 == 2)
        .collect();
    broken.extend(empty_sections(text));
    let prose = prose(text);
    if grade(&prose) > STAFF_GRADE {
        broken.push((4, "it is harder to read than grade 6"));
    }
    if sentences(&prose)
        .iter()
        .any(|words| *words > SENTENCE_WORDS)
    {
        broken.push((5, "a sentence has more than 25 words"));
    }
    if text.chars().count() > TEXT_CHARS {
        broken.push((5, "the plain part is longer than 1,400 characters"));
    }
    if !text.contains(NEVER_ASK) {
        broken.push((6, "the promise never to ask for a password is missing"));
    }
    if !text.contains(check_route) {
        broken.push((6, "the route to the check page is missing"));
    }
    broken
}

/// Rule 1 on a template's HTML: elements and attributes that a notice never has.
pub fn markup(html: &str) -> Vec<Broken> {
    let html = html.to_ascii_lowercase();
    let tags = [
        "<a ",
        "<a>",
        "<img",
        "<form",
        "<input",
        "<button",
        "<script",
        "<link",
        "<iframe",
        "<object",
        "<embed",
        "<svg",
        "<video",
        "<audio",
        "<base",
        "http-equiv",
    ];
    let inside = [
        "href=",
        "src=",
        "url(",
        "@import",
        "@font-face",
        "background=",
        " on",
    ];
    let mut broken = Vec::new();
    if tags.iter().any(|tag| html.contains(tag)) {
        broken.push((1, "the HTML holds a link, an image, a form or a program"));
    }
    // Attributes are looked for inside tags and styles only: " on" is a word elsewhere.
    let in_tag = |needle: &str| {
        html.split('<')
            .filter_map(|piece| piece.split_once('>'))
            .any(|(tag, _)| match needle {
                " on" => tag
                    .split_whitespace()
                    .any(|word| word.starts_with("on") && word.contains('=')),
                _ => tag.contains(needle),
            })
    };
    if inside.iter().any(|needle| in_tag(needle))
        || ["url(", "@import", "@font-face"]
            .iter()
            .any(|needle| html.contains(needle))
    {
        broken.push((1, "the HTML fetches or leads to something"));
    }
    broken
}

/// Rule 3: a heading without a text under it, and the holes that a dropped sentence leaves.
fn empty_sections(text: &str) -> Vec<Broken> {
    let mut broken = Vec::new();
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    if lines
        .windows(2)
        .any(|pair| matches!(pair, [one, next] if is_heading(one) && is_heading(next)))
        || lines.last().is_some_and(|line| is_heading(line))
    {
        broken.push((3, "a heading has nothing under it"));
    }
    if text.contains("  ")
        || text.contains(" \n")
        || text.contains("\n ")
        || text.contains(" .")
        || text.contains("\n\n\n")
    {
        broken.push((3, "a sentence that was left out left a hole"));
    }
    if lines.iter().any(|line| numbered(line) == Some("")) {
        broken.push((3, "a step is empty"));
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_followed_is_found() {
        for text in [
            "see https://x.example/y",
            "see HTTP:x",
            "the http page",
            "www page",
            "intranet.westbridge.example",
            "bank.co",
            "done.We see",
            "a@b",
            "mailto:x",
            "write mailto:x",
            "tel:112",
            "TEL:112",
            "020 7946 0000",
            "020-7946-0000",
            "(020) 7946.0000",
            "+44 20 7946",
            "\u{FF10}\u{FF12}\u{FF10} 7946 0",
            "x\u{FF0E}example",
            "x\u{3002}example",
            "\u{FF57}\u{FF57}\u{FF57}.x.example",
            "10.0.0.1",
            "//server/share",
        ] {
            assert!(something_to_follow(text).is_some(), "{text}");
        }
    }

    #[test]
    fn plain_words_dates_and_references_lead_nowhere() {
        for text in [
            "Security notice DB-2507-K7M4: new password needed by Fri 4 July",
            "by 5.30pm on Friday 4 July 2025, e.g. at home.",
            "There are no links and no files. To check that it is real, go to the staff home page.",
            "Hotel: ask there. File: none.",
            "1. One\n2. Two\n3. Three\n4. Four\n5. Five\n6. Six\n7. Seven",
            "We told 9,000 people, 4,211 did it.",
            "Call extension 5555 from 8am to 8pm.",
            "Zo\u{eb} O'Brien-\u{141}ukasz jr.",
        ] {
            assert_eq!(something_to_follow(text), None, "{text}");
        }
    }

    #[test]
    fn pressing_words_are_found_as_words_only() {
        let rules = |text: &str| {
            words(text)
                .into_iter()
                .map(|found| found.0)
                .collect::<Vec<_>>()
        };
        for text in [
            "This is URGENT.",
            "Act\nnow.",
            "Do it now!",
            "Click the button.",
            "There is no evidence of harm.",
            "Your account is Suspended.",
            "ACT QUICKLY please",
            "PLEASEREAD this",
            "Verify your acc\u{200B}ount today",
        ] {
            assert!(rules(text).contains(&2), "{text}");
        }
        for text in [
            "The clicking clock",
            "He felt an urge.",
            "WHAT TO DO",
            "Press Ctrl, Alt and Delete.",
            "The NCSC and the BBC know.",
        ] {
            assert_eq!(rules(text), [] as [u8; 0], "{text}");
        }
    }

    #[test]
    fn markup_that_leads_somewhere_is_found() {
        for html in [
            "<a href='x'>y</a>",
            "<A>",
            "<p onclick='x()'>",
            "<td background=\"x\">",
            "<meta http-equiv=refresh>",
            "<style>@import 'x'</style>",
            "<p style='background: url(x)'>",
            "<IMG SRC=x>",
        ] {
            assert!(!markup(html).is_empty(), "{html}");
        }
        assert_eq!(
            markup("<p class=\"lead\">Read on: one = 1, on=2</p><style>a { color: red }</style>"),
            []
        );
    }

    #[test]
    fn a_finding_reads_as_one_line() {
        let finding = Finding {
            file: "messages/email/x.txt".to_owned(),
            line: Some(3),
            rule: 2,
            reason: "\"urgent\" presses people".to_owned(),
        };
        assert_eq!(
            finding.to_string(),
            "messages/email/x.txt: line 3: rule 2: \"urgent\" presses people"
        );
    }
}
