//! Who writes, in which words, and who may operate: `[organisation]`, `[[operator]]`, `[campaign]`.

use std::num::NonZeroU64;
use std::time::Duration;

use chrono::TimeDelta;
use chrono_tz::Tz;
use serde::Serialize;

use super::bot::{self, GUEST};
use super::errors::quoted;
use super::hashed;
use super::managers::{self, TellManagers};
use super::oidc::VOUCHED;
use super::rates::{self, HelpDesk};
use super::section::{Parsed, Read, Section, Value};
use super::values::{DAY, choice, delta, line, zone};
use crate::domain::campaign::Place;

/// Who writes the letters.
#[derive(Debug, Clone, Serialize)]
pub struct Organisation {
    /// Its name.
    pub name: String,
    /// The team that signs.
    pub team: String,
    /// The person who signs.
    pub signatory: String,
    /// The site's zone: deadlines, quiet hours and dates in letters, unless a person has their own.
    pub time_zone: Tz,
    /// BCP 47 tag of the language of letters, unless a person has their own.
    pub language: String,
    /// What letters say about this organisation.
    pub texts: Texts,
}

/// Sentences that letters need and only the organisation knows. An empty optional one disappears from the letter.
#[derive(Debug, Clone, Serialize)]
pub struct Texts {
    /// The known way to a new password, in words, without an address.
    pub how_to_reset: String,
    /// The known way to the page that lists our notices; follows "To check that it is real,".
    pub check_route: String,
    /// One sentence, without a number.
    pub help_route: String,
    /// One sentence.
    pub help_hours: String,
    /// Where one can come in person; follows "come to".
    pub in_person: String,
    /// Whether sign-in records were checked, and found clean.
    pub no_sign_line: String,
    /// Which authority helps, once it has agreed to be named.
    pub authority_line: Option<String>,
    /// That a list of stolen passwords did not come from us, once that has been checked.
    pub source_line: Option<String>,
    /// What was changed because of an attack.
    pub changes_line: String,
    /// When an attack was found; precedes "we found that someone was trying".
    pub attack_when: String,
    /// A further sentence about the audit.
    pub audit_note: Option<String>,
    /// What happens after the deadline.
    pub consequence: String,
    /// What was done to keep the intruder out.
    pub containment_line: Option<String>,
    /// When the intruder was seen; follows "We found this".
    pub seen_when: String,
    /// When those affected hear more; follows "We will tell you what we know".
    pub next_contact: String,
}

pub(super) fn organisation(root: &Section<'_>) -> Read<Organisation> {
    let own = root.required_section("organisation");
    let name = own.required("name", line, "\"Westbridge Council\"");
    let team = own.required("team", line, "\"Digital Security Team\"");
    let signatory = own.required("signatory", line, "\"Sam Lee\"");
    let time_zone = own.required("time_zone", zone, "\"Europe/London\"");
    let language = own.or("language", language_tag, "en-GB".to_owned());
    let texts = texts(&own);
    own.finish()?;
    Ok(Organisation {
        name: name?,
        team: team?,
        signatory: signatory?,
        time_zone: time_zone?,
        language: language?,
        texts: texts?,
    })
}

fn texts(own: &Section<'_>) -> Read<Texts> {
    let texts = own.required_section("texts");
    let how_to_reset = texts.required(
        "how_to_reset",
        line,
        "\"On your work computer, press Ctrl, Alt and Delete. Then choose Change a password.\"",
    );
    let check_route = texts.required(
        "check_route",
        line,
        "\"go to the staff home page, open Security notices\"",
    );
    let help_route = texts.required(
        "help_route",
        line,
        "\"Call the number on the back of your staff pass.\"",
    );
    let help_hours = texts.required("help_hours", line, "\"We are open from 8am to 8pm.\"");
    let in_person = texts.required("in_person", line, "\"the help desk at the main entrance\"");
    let no_sign_line = texts.or("no_sign_line", line, NO_SIGN_LINE.to_owned());
    let authority_line = texts.optional("authority_line", line);
    let source_line = texts.optional("source_line", line);
    let changes_line = texts.required(
        "changes_line",
        line,
        "\"We have switched off old ways to sign in from outside.\"",
    );
    let attack_when = texts.or("attack_when", line, "In the last few days".to_owned());
    let audit_note = texts.optional("audit_note", line);
    let consequence = texts.or("consequence", line, CONSEQUENCE.to_owned());
    let containment_line = texts.optional("containment_line", line);
    let seen_when = texts.or("seen_when", line, "in the last few days".to_owned());
    let next_contact = texts.required("next_contact", line, "\"within two working days\"");
    texts.finish()?;
    Ok(Texts {
        how_to_reset: how_to_reset?,
        check_route: check_route?,
        help_route: help_route?,
        help_hours: help_hours?,
        in_person: in_person?,
        no_sign_line: no_sign_line?,
        authority_line: authority_line?,
        source_line: source_line?,
        changes_line: changes_line?,
        attack_when: attack_when?,
        audit_note: audit_note?,
        consequence: consequence?,
        containment_line: containment_line?,
        seen_when: seen_when?,
        next_contact: next_contact?,
    })
}

/// True whatever has been found so far; the other approved sentence needs a finished check.
const NO_SIGN_LINE: &str = "We are still checking if anyone else has used your account.";

const CONSEQUENCE: &str =
    "The next time you sign in, you will have to choose a new password before you can go on.";

fn language_tag(value: &Value<'_>) -> Parsed<String> {
    let tag = line(value)?;
    let is_part = |part: &str| {
        (1..=8).contains(&part.len()) && part.chars().all(|c| c.is_ascii_alphanumeric())
    };
    match tag.split('-').all(is_part) {
        true => Ok(tag),
        false => Err(format!(
            "{} is no language tag; write one such as \"en-GB\"",
            quoted(&tag)
        )),
    }
}

/// What an operator may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Feeds audits, drafts campaigns, handles people who could not be reached, exempts, hands over.
    Security,
    /// Approves what somebody else has drafted.
    Approver,
    /// Drafts and publishes statements.
    Communications,
    /// Reads reports and verifies the ledger.
    Compliance,
    /// Leads an incident: may have the person of a compromised account told before it is contained.
    IncidentLead,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Security,
        Self::Approver,
        Self::Communications,
        Self::Compliance,
        Self::IncidentLead,
    ];

    /// The word that config, ledger and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Security => "security",
            Self::Approver => "approver",
            Self::Communications => "communications",
            Self::Compliance => "compliance",
            Self::IncidentLead => "incident_lead",
        }
    }

    /// Whether it acts for single people, and so has to see them even where only sums may be shown.
    pub const fn acts_for_people(self) -> bool {
        match self {
            Self::Security | Self::Approver | Self::IncidentLead => true,
            Self::Communications | Self::Compliance => false,
        }
    }
}

const ROLES: &[(&str, Role)] = &[
    ("security", Role::Security),
    ("approver", Role::Approver),
    ("communications", Role::Communications),
    ("compliance", Role::Compliance),
    ("incident_lead", Role::IncidentLead),
];

/// Somebody who may act. The name is shown in the ledger.
#[derive(Debug, Clone, Serialize)]
pub struct Operator {
    /// Unique, compared exactly.
    pub name: String,
    /// At least one, each once.
    pub roles: Vec<Role>,
    /// Who they are on Discord, if they act there.
    pub discord_user: Option<NonZeroU64>,
}

pub(super) fn operators(root: &Section<'_>) -> Read<Vec<Operator>> {
    let sections = root.sections("operator")?;
    let (mut names, mut users) = (Vec::new(), Vec::new());
    let all: Vec<_> = sections
        .into_iter()
        .map(|section| operator(section, &mut names, &mut users))
        .collect();
    all.into_iter().collect()
}

fn operator(
    own: Section<'_>,
    names: &mut Vec<String>,
    users: &mut Vec<NonZeroU64>,
) -> Read<Operator> {
    let name = own
        .unique_name(names, "\"sam\"")
        .and_then(|name| match [GUEST, VOUCHED].iter().any(|start| name.to_lowercase().starts_with(start)) {
            // The ledger calls somebody else so.
            true => Err(own.wrong("name", "such a name is given by us; choose another one, and put the number into discord_user_id")),
            false => Ok(name),
        });
    let discord_user = own
        .optional("discord_user_id", bot::number)
        .and_then(|user| match user {
            Some(user) if users.contains(&user) => Err(own.wrong(
                "discord_user_id",
                "another operator has this one; a person is one operator",
            )),
            user => {
                users.extend(user);
                Ok(user)
            }
        });
    let roles = own.list("roles", choice(ROLES)).and_then(|roles| {
        let mut roles = roles.unwrap_or_default();
        roles.sort();
        roles.dedup();
        if roles.is_empty() {
            return Err(own.missing("roles", "[\"security\"]"));
        }
        Ok(roles)
    });
    own.finish()?;
    Ok(Operator {
        name: name?,
        roles: roles?,
        discord_user: discord_user?,
    })
}

/// How campaigns are named and announced.
#[derive(Debug, Clone, Serialize)]
pub struct Campaign {
    /// What references begin with, such as DB in DB-2507-K7M4.
    pub reference_prefix: String,
    /// How long before the first notice the announcement has to be out.
    #[serde(serialize_with = "hashed::delta")]
    pub announce_lead: TimeDelta,
    /// What the help desk bears.
    pub help_desk: HelpDesk,
    /// Where it has to be out.
    pub announce_where: Vec<Place>,
    /// Who agreed that managers are told; none: they are not.
    pub tell_managers: Option<TellManagers>,
}

const PLACES: &[(&str, Place)] = &[("intranet", Place::Intranet), ("chat", Place::Chat)];

pub(super) fn campaign(root: &Section<'_>) -> Read<Campaign> {
    let own = root.section("campaign");
    let reference_prefix = own.or("reference_prefix", prefix, "DB".to_owned());
    let announce_lead = own.or(
        "announce_lead",
        delta(Duration::ZERO, 7 * DAY),
        TimeDelta::minutes(15),
    );
    let help_desk = rates::help_desk(&own);
    let announce_where = own.list("announce_where", choice(PLACES)).and_then(|places| {
        let mut places = places.unwrap_or_else(|| Place::ALL.to_vec());
        places.sort_unstable();
        places.dedup();
        if places.is_empty() {
            let text = "staff have to be told somewhere before the first notice (rule 3.7); name a place";
            return Err(own.wrong("announce_where", text));
        }
        Ok(places)
    });
    let tell_managers = managers::managers(&own);
    own.finish()?;
    Ok(Campaign {
        reference_prefix: reference_prefix?,
        announce_lead: announce_lead?,
        help_desk: help_desk?,
        announce_where: announce_where?,
        tell_managers: tell_managers?,
    })
}

fn prefix(value: &Value<'_>) -> Parsed<String> {
    let text = line(value)?;
    match (1..=4).contains(&text.len()) && text.chars().all(|c| c.is_ascii_uppercase()) {
        true => Ok(text),
        false => Err(format!(
            "{} is no prefix; use one to four capital letters",
            quoted(&text)
        )),
    }
}
