//! Context: one person's facts, and the flat list of words that templates see.
//!
//! A delivery stores its [`Personal`] facts only; [`Constants`] are the same for everybody and covered by the template's
//! hash. Each context has named samples, which the start-up check, the snapshots and the preview share.

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::constants::{BadValue, Constants, Shape, Sourced, check, safe};
use super::lint;
use super::words;
use crate::domain::finding::Category;
use crate::domain::notice::NoticeKind;
use crate::domain::person::AccountKind;
use crate::domain::{Moment, PersonName};

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
    /// Until when. Needed by all kinds but `notice.compromised`, `notice.done` and letters to managers.
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
    /// Whom a manager or a delegate is told about. Empty in all other letters.
    #[serde(rename = "s", default, skip_serializing_if = "Vec::is_empty")]
    pub staff: Vec<Staff>,
}

/// Somebody whose manager is told.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Staff {
    /// The name that the directory shows.
    #[serde(rename = "f", with = "bare_name")]
    pub name: PersonName,
    /// When their task is due; none: they cannot sign in, and need time.
    #[serde(
        rename = "d",
        with = "bare_moment",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub due_at: Option<Moment>,
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
    staff: Vec<StaffWords>,
    locked: Vec<String>,
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

/// Somebody whose task is overdue.
#[derive(Serialize)]
struct StaffWords {
    name: String,
    due: String,
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
            None if matches!(
                kind,
                NoticeKind::Compromised
                    | NoticeKind::Done
                    | NoticeKind::Manager
                    | NoticeKind::Delegate
            ) =>
            {
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
        if personal.staff.is_empty() != kind.is_to_holder() {
            return Err(BadFact::NoFact("staff"));
        }
        if personal.accounts.is_empty() && kind.is_to_holder() {
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
        let full_name = shown(&personal.full_name, "full_name")?;
        let (mut staff, mut locked) = (Vec::new(), Vec::new());
        for one in &personal.staff {
            let name = shown(&one.name, "staff")?;
            match one.due_at {
                Some(at) => staff.push(StaffWords {
                    name,
                    due: words::day_short(at, zone),
                }),
                None => locked.push(name),
            }
        }
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
            staff,
            locked,
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

/// A name as it is printed, or why it cannot be.
fn shown(name: &PersonName, fact: &'static str) -> Result<String, BadFact> {
    let mut shown = words::without_dots(name.expose());
    shown.retain(|c| !lint::is_hidden(c));
    if shown.trim().is_empty() {
        "colleague".clone_into(&mut shown);
    }
    safe(&shown).map_err(|bad| BadFact::Fact(fact, bad))?;
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_called_what_its_reader_calls_it() {
        use AccountKind::{Admin, Builtin, Person, Service, Shared};
        for (kind, name, label) in [
            (Person, "aclarke", "your work account"),
            (Admin, "adm-aclarke", "your admin account"),
            (Service, "Backup", "the Backup service account"),
            (Service, "svc.backup", "the svc. backup service account"),
            // What reads like an address or a number is left out, not the letter.
            (
                Service,
                "svc@parl.example",
                "a service account that you look after",
            ),
            (
                Shared,
                "Committee\r\n office",
                "the Committee office shared account",
            ),
            (
                Shared,
                "02079460000",
                "a shared account that you look after",
            ),
            (Builtin, "", "a system account that you look after"),
        ] {
            assert_eq!(account_label(kind, name), label);
        }
    }

    #[test]
    fn a_reference_keeps_to_its_form() {
        let reference = Reference::new("DB-2507", "K7M4").unwrap();
        assert_eq!(reference.campaign(), "DB-2507");
        for (campaign, personal) in [
            ("", "K7M4"),
            ("DB-2507", ""),
            ("db-2507", "K7M4"),
            ("DB 2507", "K7M4"),
            ("DB-2507-LONG", "K7M4"),
            ("DB-2507\r\nBcc", "K7M4"),
            ("2507", "1234"),
            ("DB\u{202E}", "K7M4"),
        ] {
            assert!(Reference::new(campaign, personal).is_err(), "{campaign:?}");
        }
    }

    #[test]
    fn a_name_is_printed_so_that_it_leads_nowhere() {
        let (_, constants, personal) = Personal::samples(NoticeKind::Weak).remove(0);
        for (name, shown) in [
            ("J.Smith", "J. Smith"),
            ("Soft\u{AD}hyphen", "Softhyphen"),
            ("  ", "colleague"),
            ("\u{200B}", "colleague"),
        ] {
            let full_name = PersonName::new(name);
            let personal = Personal {
                full_name,
                ..personal.clone()
            };
            let words = Words::new(NoticeKind::Weak, "en-GB", &constants, &personal).unwrap();
            assert_eq!(words.full_name, shown, "{name:?}");
        }
    }
}
