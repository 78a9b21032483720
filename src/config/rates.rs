//! How fast letters leave: the limits in `[mail.relay]`, `[[mail.relay.domain]]`, and the help desk's in `[campaign]`.

use serde::Serialize;

use super::Config;
use super::errors::quoted;
use super::section::{Parsed, Read, Section, Value};
use super::values::{choice, domain, number};
use crate::domain::EmailAddress;
use crate::domain::rate::{DomainLimits, Limits, Preset, Rates, people_per_hour};

/// Connections at once if nothing is said, as far as the preset allows.
const CONNECTIONS: u16 = 4;

/// What the relay and its recipients' domains take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RelayRates {
    /// The preset's name.
    pub preset: &'static str,
    /// The preset's limits, with what the config says in their place.
    pub limits: Limits,
    /// Domains that take less.
    pub domains: Vec<DomainLimits>,
    /// Connections at once that we use, 1 to 64: never more than the preset allows.
    pub connections: u16,
}

/// What the help desk bears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct HelpDesk {
    /// First notices in any hour, as it stands in the config.
    pub people_per_hour: Option<u32>,
    /// People who get in touch whom the help desk can answer in an hour.
    pub contacts_per_hour: Option<u32>,
    /// How many of those who are told are expected to get in touch, in percent.
    pub expected_contacts_percent: u8,
}

impl HelpDesk {
    /// First notices in any hour: as the config says, or as many as the help desk can answer.
    pub fn pace(&self) -> Option<u32> {
        let bears = |contacts| people_per_hour(contacts, self.expected_contacts_percent);
        self.people_per_hour.or(self.contacts_per_hour.map(bears))
    }
}

impl Config {
    /// Everything that bounds how fast letters leave.
    pub fn rates(&self) -> Rates {
        Rates {
            relay: self.mail.relay.rates.limits,
            domains: self.mail.relay.rates.domains.clone(),
            people_per_hour: self.campaign.help_desk.pace(),
        }
    }
}

/// The keys of `[mail.relay]` that are about pace.
pub(super) fn relay(own: &Section<'_>) -> Read<RelayRates> {
    const LETTERS: &str = "number of letters";
    let preset = own.or("preset", choice(&Preset::ALL), Preset::Own);
    let connections = own.optional("connections", number("number of connections", 1..=64u16));
    let per_minute = own.optional("per_minute", number(LETTERS, 1..=1_000_000u32));
    let burst = own.optional("burst", number(LETTERS, 1..=1_000_000u32));
    let per_day = own.optional("per_day", number(LETTERS, 1..=1_000_000_000u32));
    let reserve_percent = own.or("reserve_percent", number("share in percent", 0..=90u8), 10);
    let domains = domains(own);
    let preset = preset?;
    let connections = connections.and_then(|given| capped(own, preset, given));
    let paced =
        per_minute.and_then(|given| burst.and_then(|burst| paced(own, preset, given, burst)));
    let per_day = per_day.and_then(|given| daily(own, preset, given));
    let (per_minute, burst) = paced?;
    let limits = Limits {
        per_minute,
        burst,
        per_day: per_day?,
        reserve_percent: reserve_percent?,
        connections: preset.limits().connections,
    };
    Ok(RelayRates {
        preset: preset.word(),
        limits,
        domains: domains?,
        connections: connections?,
    })
}

/// The connections that we use. The preset's number is the relay's: more of them are refused, letter by letter.
fn capped(own: &Section<'_>, preset: Preset, given: Option<u16>) -> Read<u16> {
    let cap = preset.limits().connections.unwrap_or(u16::MAX);
    match given {
        None => Ok(CONNECTIONS.min(cap)),
        Some(given) if given <= cap => Ok(given),
        Some(given) => Err(own.wrong(
            "connections",
            format!(
                "{given} are more than the {cap} that {} takes; use 1 to {cap}, or leave it out",
                preset.word()
            ),
        )),
    }
}

fn paced(
    own: &Section<'_>,
    preset: Preset,
    given: Option<u32>,
    burst: Option<u32>,
) -> Read<(Option<u32>, u32)> {
    if given.is_none() && preset.needs_numbers() {
        return Err(own.wrong(
            "per_minute",
            "your account has a number of its own, and it is not published; write what its console says, times 60 if that is for a second",
        ));
    }
    let per_minute = given.or(preset.limits().per_minute);
    match (per_minute, burst) {
        (per_minute, None) => Ok((per_minute, Preset::burst(per_minute))),
        (Some(pace), Some(burst)) if burst <= pace => Ok((per_minute, burst)),
        (Some(pace), Some(burst)) => Err(own.wrong(
            "burst",
            format!("{burst} at once are more than the {pace} of a whole minute; use 1 to {pace}"),
        )),
        (None, Some(_)) => Err(own.wrong(
            "burst",
            "without per_minute there is nothing to burst out of; add per_minute, or remove it",
        )),
    }
}

fn daily(own: &Section<'_>, preset: Preset, given: Option<u32>) -> Read<Option<u32>> {
    if given.is_none() && preset.needs_numbers() {
        return Err(own.wrong(
            "per_day",
            "your account has a number of its own, and it is not published; write what its console says",
        ));
    }
    Ok(given.or(preset.limits().per_day))
}

fn domains(relay: &Section<'_>) -> Read<Vec<DomainLimits>> {
    let sections = relay.sections("domain")?;
    let mut names = Vec::new();
    let all: Vec<_> = sections
        .into_iter()
        .map(|section| domain_limits(section, &mut names))
        .collect();
    all.into_iter().collect()
}

fn domain_limits(own: Section<'_>, names: &mut Vec<String>) -> Read<DomainLimits> {
    let name = own.required("name", ascii_domain, "\"parl.example\"");
    let per_minute = own.optional("per_minute", number("number of letters", 1..=1_000_000u32));
    let per_day = own.optional("per_day", number("number of letters", 1..=1_000_000_000u32));
    let connections = own.optional("connections", number("number of connections", 1..=64u16));
    own.finish_after(|own| {
        let limits = DomainLimits {
            name: name?,
            per_minute: per_minute?,
            per_day: per_day?,
            connections: connections?,
        };
        if names.contains(&limits.name) {
            let text = format!(
                "{} is there already; write all of its limits in one place",
                quoted(&limits.name)
            );
            return Err(own.wrong("name", text));
        }
        names.push(limits.name.clone());
        if (limits.per_minute, limits.per_day, limits.connections) == (None, None, None) {
            return Err(own.wrong(
                "name",
                "nothing limits it; add per_minute, per_day or connections, or remove the section",
            ));
        }
        Ok(limits)
    })
}

/// A domain as recipients are counted by it: lower-case ASCII.
fn ascii_domain(value: &Value<'_>) -> Parsed<String> {
    let text = domain(value)?;
    Ok(EmailAddress::parse(&format!("x@{text}")).map_or(text, |address| address.domain_ascii()))
}

/// The keys of `[campaign]` that are about pace.
pub(super) fn help_desk(own: &Section<'_>) -> Read<HelpDesk> {
    let people = own.optional(
        "people_per_hour",
        number("number of people", 1..=10_000_000u32),
    );
    let contacts = own.optional(
        "helpdesk_contacts_per_hour",
        number("number of contacts", 1..=1_000_000u32),
    );
    let percent = own.or(
        "expected_contacts_percent",
        number("share in percent", 1..=100u8),
        3,
    );
    Ok(HelpDesk {
        people_per_hour: people?,
        contacts_per_hour: contacts?,
        expected_contacts_percent: percent?,
    })
}
