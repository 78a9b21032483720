//! What the communications office works by: `[communications]`.

use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;
use serde::Serialize;

use super::hashed;
use super::section::{Read, Section};
use super::values::{DAY, choice, delta, domain, line, number, path};
use crate::domain::duty::Duty;

/// What statements, promises and clocks go by.
#[derive(Debug, Clone, Serialize)]
pub struct Communications {
    /// How long an approval holds.
    #[serde(serialize_with = "hashed::delta")]
    pub approval_lasts: TimeDelta,
    /// After how long without a hand on it a draft is brought to its author's mind.
    #[serde(serialize_with = "hashed::delta")]
    pub draft_abandoned_after: TimeDelta,
    /// How long before a promised update the office is reminded.
    #[serde(serialize_with = "hashed::delta")]
    pub promise_reminder: TimeDelta,
    /// By how much a published count may be wrong before a correction is drafted.
    pub figure_step: u64,
    /// Phrases that nobody may publish for now.
    pub hold: Vec<String>,
    /// Hosts that a link may lead to.
    pub link_hosts: Vec<String>,
    /// Countries that a text may name.
    pub own_countries: Vec<String>,
    /// Whose clocks start when we are aware of an incident.
    pub duties: Vec<Duty>,
    /// A file of dates that are no business days of the SEC.
    #[serde(serialize_with = "hashed::some_path")]
    pub sec_holidays: Option<PathBuf>,
}

const DUTIES: &[(&str, Duty)] = &[
    (Duty::UkGdpr.word(), Duty::UkGdpr),
    (Duty::EuGdpr.word(), Duty::EuGdpr),
    (Duty::Pecr.word(), Duty::Pecr),
    (Duty::UkNisWarning.word(), Duty::UkNisWarning),
    (Duty::UkNisNotification.word(), Duty::UkNisNotification),
    (Duty::Nis2Warning.word(), Duty::Nis2Warning),
    (Duty::Nis2Notification.word(), Duty::Nis2Notification),
    (Duty::Nis2Final.word(), Duty::Nis2Final),
    (Duty::GdprPeople.word(), Duty::GdprPeople),
    (Duty::DoraInitial.word(), Duty::DoraInitial),
    (Duty::DoraIntermediate.word(), Duty::DoraIntermediate),
    (Duty::DoraFinal.word(), Duty::DoraFinal),
    (Duty::Sec8K.word(), Duty::Sec8K),
];

/// The shortest span that makes sense for people.
const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn communications(root: &Section<'_>) -> Read<Communications> {
    let own = root.section("communications");
    let span = |key: &'static str, default| own.or(key, delta(MINUTE, 30 * DAY), default);
    let approval_lasts = span("approval_lasts", TimeDelta::hours(4));
    let draft_abandoned_after = span("draft_abandoned_after", TimeDelta::hours(2));
    let promise_reminder = span("promise_reminder", TimeDelta::minutes(30));
    let figure_step = own.or(
        "figure_step",
        number("number of accounts", 1..=1_000_000),
        10,
    );
    let hold = own.list("hold", line);
    let link_hosts = own.list("link_hosts", domain);
    let own_countries = own.list("own_countries", line);
    let duties = own.list("duties", choice(DUTIES));
    let sec_holidays = own.optional("sec_holidays", path);
    own.finish_after(|_| {
        let mut duties = duties?.unwrap_or_else(|| vec![Duty::UkGdpr]);
        duties.sort_unstable();
        duties.dedup();
        Ok(Communications {
            approval_lasts: approval_lasts?,
            draft_abandoned_after: draft_abandoned_after?,
            promise_reminder: promise_reminder?,
            figure_step: figure_step?,
            hold: hold?.unwrap_or_default(),
            link_hosts: link_hosts?.unwrap_or_default(),
            own_countries: own_countries?.unwrap_or_default(),
            duties,
            sec_holidays: sec_holidays?,
        })
    })
}
