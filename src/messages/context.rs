//! What a text may say: the organisation's own sentences, one person's facts, and the flat list of words that templates see.
//!
//! A delivery stores its [`Personal`] facts only; [`Constants`] are the same for everybody and covered by the template's
//! hash. Each context has named samples, which the start-up check, the snapshots and the preview share.

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::lint;
use super::words;
use crate::domain::finding::Category;
use crate::domain::notice::NoticeKind;
use crate::domain::person::AccountKind;
use crate::domain::{Moment, PersonName};

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
enum Shape {
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
    fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
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
            | NoticeKind::Done => &[],
        };
        needed
            .iter()
            .find(|(_, missing)| *missing)
            .map(|(name, _)| *name)
    }
}

/// Whether a text may be printed as it is.
fn check(text: &str, shape: Shape) -> Result<(), BadValue> {
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
fn safe(text: &str) -> Result<(), BadValue> {
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

/// Why a text is no reference. Never quotes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "a reference is a campaign's part and a personal part joined by \"-\": capitals and digits, at most 15 characters"
)]
pub struct BadReference;

/// `CAMPAIGN-PERSONAL`, such as `DB-2507-K7M4`: helps the help desk to find a case, and proves nothing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference(pub(super) String);

impl Reference {
    /// Joins a campaign's published part and a person's part. Together at most 15 characters, so that a subject keeps to
    /// its 72; no seven digits in a row, which would read as a telephone number.
    pub fn new(campaign: &str, personal: &str) -> Result<Self, BadReference> {
        Self::try_from(format!("{campaign}-{personal}"))
    }

    /// The part that is published on the intranet.
    pub fn campaign(&self) -> &str {
        self.0.rsplit_once('-').map_or("", |(campaign, _)| campaign)
    }

    /// The whole reference.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Reference {
    type Error = BadReference;

    fn try_from(text: String) -> Result<Self, BadReference> {
        let plain = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        };
        let parts = text.split('-').collect::<Vec<_>>();
        if parts.len() < 2
            || text.len() > 15
            || !parts.iter().all(|part| plain(part))
            || lint::something_to_follow(&text).is_some()
        {
            return Err(BadReference);
        }
        Ok(Self(text))
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.0
    }
}

/// One person's facts: all that a delivery stores of its letter. Names are short, because a million of these are kept.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Personal {
    /// The name that the directory shows.
    #[serde(rename = "f", with = "bare_name")]
    pub full_name: PersonName,
    /// Plain labels of the accounts, made by [`account_label`].
    #[serde(rename = "a")]
    pub accounts: Vec<String>,
    /// Campaign and personal part.
    #[serde(rename = "r")]
    pub reference: Reference,
    /// The severest category of the accounts named here.
    #[serde(rename = "c")]
    pub category: Category,
    /// Until when. Needed by all kinds but `notice.compromised` and `notice.done`.
    #[serde(
        rename = "d",
        with = "bare_moment",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub deadline: Option<Moment>,
    /// Their own zone, if it is not the organisation's.
    #[serde(rename = "z", default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Tz>,
    /// The how manieth reminder this is.
    #[serde(rename = "n", default, skip_serializing_if = "is_zero")]
    pub n: u8,
    /// How many reminders there are in all.
    #[serde(rename = "t", default, skip_serializing_if = "is_zero")]
    pub total: u8,
    /// Whole days until the deadline; 0 is its very day.
    #[serde(rename = "l", default, skip_serializing_if = "is_zero")]
    pub days_left: u8,
    /// Whether over half of the campaign has verifiably done it.
    #[serde(rename = "m", default, skip_serializing_if = "is_false")]
    pub most_done: bool,
    /// When the directory saw the change. Needed by `notice.done`.
    #[serde(
        rename = "w",
        with = "bare_moment",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub changed_at: Option<Moment>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
const fn is_zero(n: &u8) -> bool {
    *n == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
const fn is_false(is: &bool) -> bool {
    !*is
}

/// The name in clear: `PersonName` masks itself wherever it is not asked to do otherwise.
mod bare_name {
    use super::{Deserialize, PersonName};
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(name: &PersonName, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(name.expose())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<PersonName, D::Error> {
        String::deserialize(input).map(|text| PersonName::new(&text))
    }
}

/// A moment as microseconds: exact, and shorter than RFC 3339.
mod bare_moment {
    use super::{Deserialize, Moment};
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(at: &Option<Moment>, out: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => out.serialize_i64(at.micros()),
            None => out.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Moment>, D::Error> {
        Option::<i64>::deserialize(input).map(|micros| micros.map(Moment::from_micros))
    }
}

/// The plain label of an account, with "your" where it is the reader's own. A name that could not be printed in a letter
/// (it looks like an address or a link) is left out rather than the letter.
pub fn account_label(kind: AccountKind, name: &str) -> String {
    let name = words::without_dots(PersonName::new(name).expose());
    let name = Some(name.as_str()).filter(|name| !name.is_empty() && safe(name).is_ok());
    match (kind, name) {
        (AccountKind::Person | AccountKind::Unknown, _) => "your work account".to_owned(),
        (AccountKind::Admin, _) => "your admin account".to_owned(),
        (AccountKind::Service, Some(name)) => format!("the {name} service account"),
        (AccountKind::Service, None) => "a service account that you look after".to_owned(),
        (AccountKind::Shared, Some(name)) => format!("the {name} shared account"),
        (AccountKind::Shared, None) => "a shared account that you look after".to_owned(),
        (AccountKind::Builtin | AccountKind::Machine, Some(name)) => {
            format!("the {name} system account")
        }
        (AccountKind::Builtin | AccountKind::Machine, None) => {
            "a system account that you look after".to_owned()
        }
    }
}

/// A fact without which a letter cannot be written, or that may not be printed. Never quotes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadFact {
    /// A constant that this kind needs.
    #[error("the constant {0} is not set")]
    NoConstant(&'static str),
    /// A personal fact that this kind needs.
    #[error("{0} is not given")]
    NoFact(&'static str),
    /// A constant that may not be printed.
    #[error("the constant {0} cannot be used: {1}")]
    Constant(&'static str, BadValue),
    /// A personal fact that may not be printed.
    #[error("{0} cannot be used: {1}")]
    Fact(&'static str, BadValue),
    /// The letter's kind and the person's category contradict each other.
    #[error("this kind of letter is not for this category")]
    Category,
}

impl BadFact {
    /// Whether only this person's letter is concerned, and everybody else's can be written.
    pub const fn is_personal(self) -> bool {
        match self {
            Self::NoConstant(_) | Self::Constant(..) => false,
            Self::NoFact(_) | Self::Fact(..) | Self::Category => true,
        }
    }
}

/// The words that templates see: one flat list, every one of them always there. An optional sentence is empty, not missing.
#[derive(Serialize)]
pub(super) struct Words<'a> {
    language: &'a str,
    full_name: String,
    accounts: String,
    several: bool,
    #[serde(rename = "ref")]
    reference: &'a str,
    campaign_ref: &'a str,
    deadline: String,
    deadline_short: String,
    changed_when: String,
    n: u8,
    total: u8,
    days_left: u8,
    most_done: bool,
    why_short: &'static str,
    org: &'a str,
    team: &'a str,
    signatory: &'a str,
    how_to_reset: &'a str,
    check_route: &'a str,
    help_route: &'a str,
    help_hours: &'a str,
    in_person: &'a str,
    no_sign_line: &'a str,
    authority_line: &'a str,
    source_line: &'a str,
    changes_line: &'a str,
    attack_when: &'a str,
    audit_note: &'a str,
    consequence: &'a str,
    manager_line: &'static str,
    containment_line: &'a str,
    seen_when: &'a str,
    next_contact: &'a str,
}

const STILL_CHECKING: &str = "We are still checking if anyone else has used your account.";
const STILL_CHECKING_SEVERAL: &str =
    "We are still checking if anyone else has used these accounts.";
const MANAGER_LINE: &str = "We will also tell your manager that you have a security task to finish. We will not say what it is about.";

impl<'a> Words<'a> {
    /// Puts constants and personal facts together; refuses what may not be printed. The constants are taken as checked.
    pub(super) fn new(
        kind: NoticeKind,
        language: &'a str,
        constants: &'a Constants,
        personal: &'a Personal,
    ) -> Result<Self, BadFact> {
        if let Some(name) = constants.missing(kind) {
            return Err(BadFact::NoConstant(name));
        }
        // Reminders to the victims of an intruder are people's work, and a first notice says what its category says.
        if (kind.is_first() && NoticeKind::first(personal.category) != kind)
            || (kind.is_reminder() && personal.category == Category::Compromised)
        {
            return Err(BadFact::Category);
        }
        let zone = personal.zone.unwrap_or(constants.zone);
        let (deadline, deadline_short) = match personal.deadline {
            Some(at) => (words::moment(at, zone), words::day_short(at, zone)),
            None if matches!(kind, NoticeKind::Compromised | NoticeKind::Done) => {
                (String::new(), String::new())
            }
            None => return Err(BadFact::NoFact("deadline")),
        };
        let changed_when = match personal.changed_at {
            Some(at) => words::past(at, zone),
            None if kind == NoticeKind::Done => return Err(BadFact::NoFact("changed_at")),
            None => String::new(),
        };
        if kind.is_reminder() && (personal.n == 0 || personal.total < personal.n) {
            return Err(BadFact::NoFact("n of total"));
        }
        if personal.accounts.is_empty() {
            return Err(BadFact::NoFact("accounts"));
        }
        for label in &personal.accounts {
            check(label, Shape::Name).map_err(|bad| BadFact::Fact("accounts", bad))?;
        }
        for (name, text) in constants.texts() {
            if text.chars().any(lint::is_hidden) {
                return Err(BadFact::Constant(name, BadValue::Control));
            }
        }
        let several = personal.accounts.len() > 1;
        let full_name = match words::without_dots(personal.full_name.expose()) {
            name if name.trim().is_empty() => "colleague".to_owned(),
            name => name,
        };
        safe(&full_name).map_err(|bad| BadFact::Fact("full_name", bad))?;
        let line = |line: &'a Option<Sourced>| line.as_ref().map_or("", |line| &line.text);
        let text = |text: &'a Option<String>| text.as_deref().unwrap_or_default();
        Ok(Self {
            language,
            full_name,
            accounts: words::join(&personal.accounts),
            several,
            reference: personal.reference.as_str(),
            campaign_ref: personal.reference.campaign(),
            deadline,
            deadline_short,
            changed_when,
            n: personal.n,
            total: personal.total,
            days_left: personal.days_left,
            most_done: personal.most_done,
            why_short: words::why_short(personal.category, several),
            org: &constants.org,
            team: &constants.team,
            signatory: &constants.signatory,
            how_to_reset: &constants.how_to_reset,
            check_route: &constants.check_route,
            help_route: &constants.help_route,
            help_hours: text(&constants.help_hours),
            in_person: text(&constants.in_person),
            no_sign_line: match &constants.no_sign_line {
                Some(line) => &line.text,
                None if several => STILL_CHECKING_SEVERAL,
                None => STILL_CHECKING,
            },
            authority_line: line(&constants.authority_line),
            source_line: line(&constants.source_line),
            changes_line: text(&constants.changes_line),
            attack_when: text(&constants.attack_when),
            audit_note: text(&constants.audit_note),
            consequence: &constants.consequence,
            manager_line: if constants.manager_line {
                MANAGER_LINE
            } else {
                ""
            },
            containment_line: text(&constants.containment_line),
            seen_when: text(&constants.seen_when),
            next_contact: text(&constants.next_contact),
        })
    }
}
