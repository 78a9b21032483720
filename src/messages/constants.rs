//! Constants: the organisation's own sentences, the same in every letter, and what they may not hold.

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::lint;
use crate::domain::notice::NoticeKind;

/// A sentence that claims a fact, and the record that proves it. It is printed only because there is such a record.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sourced {
    /// The sentence, with its full stop.
    pub text: String,
    /// Where the proof is: a case, a ticket, a minute. Never printed in a letter.
    pub evidence: String,
}

/// What is the same in every letter of the organisation; a table of the config.
///
/// Sentences end with their full stop, phrases do not. Routes are described in words that the reader already knows: no
/// link, no address, no telephone number, for a copy of the letter could print another one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constants {
    /// The organisation: "Westbridge Council".
    pub org: String,
    /// Who writes: "Digital Security Team".
    pub team: String,
    /// The person who signs: "Sam Lee".
    pub signatory: String,
    /// Sentences: the known way to a new password. "On your work computer, press Ctrl, Alt and Delete. Then choose Change a password."
    pub how_to_reset: String,
    /// Phrase after "To check that it is real,": "go to the staff home page, open Security notices".
    pub check_route: String,
    /// Sentence: "Call the number on the back of your staff pass."
    pub help_route: String,
    /// Sentence: "We are open from 8am to 8pm."
    #[serde(default)]
    pub help_hours: Option<String>,
    /// Phrase after "come to": "the help desk on the ground floor".
    #[serde(default)]
    pub in_person: Option<String>,
    /// Sentence: what the sign-in records show, if they were read. Without it letters say that we are still checking.
    #[serde(default)]
    pub no_sign_line: Option<Sourced>,
    /// Sentence: who helps us, once they agreed to be named. "The National Cyber Security Centre is helping us."
    #[serde(default)]
    pub authority_line: Option<Sourced>,
    /// Sentence about a list of stolen passwords, once checked: "The list did not come from our systems."
    #[serde(default)]
    pub source_line: Option<Sourced>,
    /// Sentences: what was changed after the attack. Needed by `notice.attacked`.
    #[serde(default)]
    pub changes_line: Option<String>,
    /// Phrase that opens a sentence: "On Tuesday". Needed by `notice.attacked`.
    #[serde(default)]
    pub attack_when: Option<String>,
    /// Sentence about the audit: "People from outside did this check for us."
    #[serde(default)]
    pub audit_note: Option<String>,
    /// Sentence: what happens after the deadline.
    #[serde(default = "default_consequence")]
    pub consequence: String,
    /// Whether last reminders say that the manager will be told. Only where escalation is switched on.
    #[serde(default)]
    pub manager_line: bool,
    /// Sentences: what was done to the account. Needed by `notice.compromised`.
    #[serde(default)]
    pub containment_line: Option<String>,
    /// Phrase after "We found this": "on Tuesday morning". Needed by `notice.compromised`.
    #[serde(default)]
    pub seen_when: Option<String>,
    /// Phrase after "We will tell you what we know": "by noon tomorrow". Needed by `notice.compromised`.
    #[serde(default)]
    pub next_contact: Option<String>,
    /// The zone in which letters name times, unless the person has their own.
    #[serde(default = "default_zone")]
    pub zone: Tz,
}

pub(super) fn default_consequence() -> String {
    "The next time you sign in, you will have to choose a new password before you can go on."
        .to_owned()
}

pub(super) const fn default_zone() -> Tz {
    Tz::Europe__London
}

/// What is wrong with a value that letters print. Never quotes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadValue {
    /// Nothing in it.
    #[error("it is empty")]
    Empty,
    /// A line break, another control character, or one that hides or turns text around.
    #[error("it holds a control character")]
    Control,
    /// Braces that look like a template.
    #[error("it holds the braces of a template")]
    Braces,
    /// A link, an address or a telephone number, or a word that letters never use.
    #[error("it breaks rule {0} of the messages: {1}")]
    Rule(u8, &'static str),
    /// A sentence without its end.
    #[error("it is a sentence and must end with a full stop")]
    NoStop,
    /// A phrase that ends like a sentence.
    #[error("it is a part of a sentence and must not end with a full stop")]
    Stop,
    /// More than 300 characters.
    #[error("it is longer than 300 characters")]
    TooLong,
    /// No evidence beside a sentence that needs it.
    #[error("it claims a fact and names no evidence")]
    NoEvidence,
}

/// What kind of text a constant is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Name,
    Phrase,
    Sentence,
}

/// What kind of text a constant is, by its name.
fn shape(name: &str) -> Shape {
    match name {
        "org" | "team" | "signatory" => Shape::Name,
        "check_route" | "in_person" | "attack_when" | "seen_when" | "next_contact" => Shape::Phrase,
        _ => Shape::Sentence,
    }
}

impl Constants {
    /// Every value that may not be printed, by its name in the config.
    pub fn problems(&self) -> Vec<(&'static str, BadValue)> {
        let unproven = [
            ("no_sign_line", &self.no_sign_line),
            ("authority_line", &self.authority_line),
            ("source_line", &self.source_line),
        ]
        .into_iter()
        .filter(|(_, line)| {
            line.as_ref()
                .is_some_and(|line| line.evidence.trim().is_empty())
        })
        .map(|(name, _)| (name, BadValue::NoEvidence));
        self.texts()
            .filter_map(|(name, text)| Some((name, check(text, shape(name)).err()?)))
            .chain(unproven)
            .collect()
    }

    /// Every text that letters print, by its name.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let sourced = |line: &'static str, sourced| {
            (line, Option::<&Sourced>::map(sourced, |line| &line.text))
        };
        [
            ("org", Some(&self.org)),
            ("team", Some(&self.team)),
            ("signatory", Some(&self.signatory)),
            ("how_to_reset", Some(&self.how_to_reset)),
            ("check_route", Some(&self.check_route)),
            ("help_route", Some(&self.help_route)),
            ("help_hours", self.help_hours.as_ref()),
            ("in_person", self.in_person.as_ref()),
            sourced("no_sign_line", self.no_sign_line.as_ref()),
            sourced("authority_line", self.authority_line.as_ref()),
            sourced("source_line", self.source_line.as_ref()),
            ("changes_line", self.changes_line.as_ref()),
            ("attack_when", self.attack_when.as_ref()),
            ("audit_note", self.audit_note.as_ref()),
            ("consequence", Some(&self.consequence)),
            ("containment_line", self.containment_line.as_ref()),
            ("seen_when", self.seen_when.as_ref()),
            ("next_contact", self.next_contact.as_ref()),
        ]
        .into_iter()
        .filter_map(|(name, text)| Some((name, text?.as_str())))
    }

    /// The constant that a kind cannot do without and that is not set, if there is one.
    pub(super) fn missing(&self, kind: NoticeKind) -> Option<&'static str> {
        let needed: &[(&'static str, bool)] = match kind {
            NoticeKind::Attacked => &[
                ("attack_when", self.attack_when.is_none()),
                ("changes_line", self.changes_line.is_none()),
            ],
            NoticeKind::Compromised => &[
                ("seen_when", self.seen_when.is_none()),
                ("containment_line", self.containment_line.is_none()),
                ("next_contact", self.next_contact.is_none()),
            ],
            NoticeKind::Weak
            | NoticeKind::Breached
            | NoticeKind::Reminder1
            | NoticeKind::Reminder2
            | NoticeKind::ReminderFinal
            | NoticeKind::Done
            | NoticeKind::Manager
            | NoticeKind::Delegate => &[],
        };
        needed
            .iter()
            .find(|(_, missing)| *missing)
            .map(|(name, _)| *name)
    }
}

/// Whether a text may be printed as it is.
pub(super) fn check(text: &str, shape: Shape) -> Result<(), BadValue> {
    if text.trim().is_empty() {
        return Err(BadValue::Empty);
    }
    if text.chars().count() > 300 {
        return Err(BadValue::TooLong);
    }
    safe(text)?;
    if shape != Shape::Name
        && let Some(broken) = lint::words(text).first()
    {
        return Err(BadValue::Rule(broken.0, broken.1));
    }
    match shape {
        Shape::Sentence if !text.trim_end().ends_with(['.', '?']) => Err(BadValue::NoStop),
        Shape::Phrase if text.trim_end().ends_with(['.', '?']) => Err(BadValue::Stop),
        Shape::Sentence | Shape::Phrase | Shape::Name => Ok(()),
    }
}

/// Whether a text can change nothing but its own place: no control or hidden character, no braces, nothing to follow.
pub(super) fn safe(text: &str) -> Result<(), BadValue> {
    if text.chars().any(lint::is_hidden) {
        return Err(BadValue::Control);
    }
    if lint::has_braces(text) {
        return Err(BadValue::Braces);
    }
    match lint::something_to_follow(text) {
        Some(reason) => Err(BadValue::Rule(1, reason)),
        None => Ok(()),
    }
}
