//! What a source says of logs and of what others found: whose domains are ours, what labels mean, and how many failures
//! within which hours are an attack.

use std::collections::BTreeMap;

use serde::Serialize;

use super::evidence::DATE_ORDERS;
use super::section::{Parsed, Read, Section, Value};
use super::sources::OwnKey;
use super::values::{choice, domain, line, number};
use crate::domain::evidence::DateOrder;
use crate::domain::finding::Weakness;
use crate::domain::format::Format;

/// The keys of one source.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LogKeys {
    /// Whether `02/03/2026` begins with the day, where no other date of a file shows it.
    pub date_order: Option<DateOrder>,
    /// Mail domains that are ours; those of the realm if left out.
    pub domains: Option<Vec<String>>,
    /// What labels and types mean, beside what is known.
    pub labels: BTreeMap<String, Weakness>,
    /// Failed attempts on one account that make a finding.
    pub failed_logins_at: Option<u32>,
    /// Hours that are looked at together.
    pub window_hours: Option<u32>,
}

impl LogKeys {
    /// Whether a key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        match key {
            "date_order" => self.date_order.is_some(),
            "domains" => self.domains.is_some(),
            "labels" => !self.labels.is_empty(),
            "failed_logins_at" => self.failed_logins_at.is_some(),
            "window_hours" => self.window_hours.is_some(),
            _ => false,
        }
    }
}

/// Formats whose attempts are weighed.
const WEIGHED: &[Format] = &[
    Format::EntraSignins,
    Format::OktaLog,
    Format::GoogleLog,
    Format::LoginLog,
    Format::IisLog,
    Format::WindowsEvents,
];

/// Which kinds have which of them.
pub(super) const LOG_KEYS: &[OwnKey] = &[
    OwnKey {
        key: "date_order",
        needed_by: &[],
        known_to: &[
            Format::PasswordSolution,
            Format::EntraRisk,
            Format::EntraSignins,
            Format::WindowsEvents,
        ],
        example: "\"day_first\"",
    },
    OwnKey {
        key: "domains",
        needed_by: &[],
        known_to: &[Format::HibpStealerLogs, Format::Intelmq],
        example: "[\"parl.example\"]",
    },
    OwnKey {
        key: "labels",
        needed_by: &[],
        known_to: &[Format::Ocsf, Format::Stix, Format::Intelmq],
        example: "",
    },
    OwnKey {
        key: "failed_logins_at",
        needed_by: &[],
        known_to: WEIGHED,
        example: "10",
    },
    OwnKey {
        key: "window_hours",
        needed_by: &[],
        known_to: WEIGHED,
        example: "24",
    },
];

pub(super) fn keys(own: &Section<'_>) -> Read<LogKeys> {
    let date_order = own.optional("date_order", choice(DATE_ORDERS));
    let domains = own.list("domains", domain);
    let labels = own.section("labels").entries(weakness);
    let failed = own.optional("failed_logins_at", number("number of failures", 1..=10_000));
    let window = own.optional("window_hours", number("number of hours", 1..=720));
    Ok(LogKeys {
        date_order: date_order?,
        domains: domains?,
        labels: labels?.into_iter().collect(),
        failed_logins_at: failed?,
        window_hours: window?,
    })
}

/// `category/reason`.
fn weakness(value: &Value<'_>) -> Parsed<Weakness> {
    let text = line(value)?;
    Weakness::from_text(&text).ok_or_else(|| {
        "this is no category and reason; write such as \"compromised/leaked_credentials\"".into()
    })
}
