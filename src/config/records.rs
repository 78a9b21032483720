//! What is kept and said about the work: `[report]` and `[log]`.

use std::path::PathBuf;

use chrono::TimeDelta;
use serde::Serialize;
use tracing::Level;

use super::errors::quoted;
use super::hashed;
use super::section::{Read, Section, instead};
use super::values::{DAY, choice, delta, path, yes_or_no};

/// Where reports go, and how long personal data is kept.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Where scheduled reports are written.
    #[serde(serialize_with = "hashed::path")]
    pub folder: PathBuf,
    /// Whether nothing about single people is shown but to who acts for them: only sums, and none that are small.
    pub aggregate_only: bool,
    /// How long personal data is kept.
    pub retention: Retention,
}

/// How long each kind of personal data is kept, counted from the end of the case, or of the import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Retention {
    /// Recipients and contexts of deliveries.
    #[serde(serialize_with = "hashed::delta")]
    pub delivery_detail: TimeDelta,
    /// Which person a case was about.
    #[serde(serialize_with = "hashed::delta")]
    pub person_link: TimeDelta,
    /// Who was overdue, and whose manager was told.
    #[serde(serialize_with = "hashed::delta")]
    pub escalation_detail: TimeDelta,
    /// Audit files in the drop folder.
    #[serde(serialize_with = "hashed::delta")]
    pub audit_files: TimeDelta,
    /// What the schedule did and when, counted from then.
    #[serde(serialize_with = "hashed::delta")]
    pub runs: TimeDelta,
}

/// `tells_managers` is whether managers hear of single people who are overdue.
pub(super) fn report(root: &Section<'_>, tells_managers: bool) -> Read<Report> {
    let own = root.section("report");
    let folder = own.or("folder", path, own.folder().join("reports"));
    let aggregate_only = own
        .or("aggregate_only", yes_or_no, false)
        .and_then(|is_on| match is_on && tells_managers {
            true => Err(own.wrong(
                "aggregate_only",
                "managers hear of single people as long as tell_managers is on; take it out of [campaign]",
            )),
            false => Ok(is_on),
        });
    let retention = retention(own.section("retention"));
    own.finish()?;
    Ok(Report {
        folder: folder?,
        aggregate_only: aggregate_only?,
        retention: retention?,
    })
}

fn retention(own: Section<'_>) -> Read<Retention> {
    let keep = |key, days| own.or(key, delta(DAY, 3650 * DAY), TimeDelta::days(days));
    let delivery_detail = keep("delivery_detail", 90);
    let person_link = keep("person_link", 395);
    let escalation_detail = keep("escalation_detail", 30);
    let audit_files = keep("audit_files", 30);
    let runs = keep("runs", 400);
    own.finish()?;
    Ok(Retention {
        delivery_detail: delivery_detail?,
        person_link: person_link?,
        escalation_detail: escalation_detail?,
        audit_files: audit_files?,
        runs: runs?,
    })
}

/// What the program says about itself, on stderr.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Log {
    /// How much our own code says. Libraries never say more than `warn`.
    #[serde(serialize_with = "hashed::level")]
    pub level: Level,
    /// For people or for programs.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: Level::INFO,
            format: LogFormat::Plain,
        }
    }
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One line of text.
    Plain,
    /// One JSON object a line.
    Json,
}

const LEVELS: &[(&str, Level)] = &[
    ("error", Level::ERROR),
    ("warn", Level::WARN),
    ("info", Level::INFO),
    ("debug", Level::DEBUG),
    ("trace", Level::TRACE),
];

const FORMATS: &[(&str, LogFormat)] = &[("plain", LogFormat::Plain), ("json", LogFormat::Json)];

/// The environment variable that goes before `log.level`.
pub const LEVEL_VARIABLE: &str = "BELL_LOG";

pub(super) fn log(root: &Section<'_>) -> Read<Log> {
    let own = root.section("log");
    let default = Log::default();
    let level = own.or("level", choice(LEVELS), default.level);
    let format = own.or("format", choice(FORMATS), default.format);
    let from_env = level_from_env(root);
    own.finish()?;
    let level = level?;
    Ok(Log {
        level: from_env?.unwrap_or(level),
        format: format?,
    })
}

fn level_from_env(root: &Section<'_>) -> Read<Option<Level>> {
    let reader = root.reader();
    let Some(word) = (reader.env)(LEVEL_VARIABLE).filter(|word| !word.is_empty()) else {
        return Ok(None);
    };
    let known = LEVELS
        .iter()
        .find(|(level, _)| word.eq_ignore_ascii_case(level));
    known.map(|(_, level)| Some(*level)).ok_or_else(|| {
        let words: Vec<_> = LEVELS.iter().map(|(level, _)| *level).collect();
        let text = format!(
            "in the environment: {} is not known; {}",
            quoted(&word),
            instead(&word, &words)
        );
        reader.record(None, LEVEL_VARIABLE.to_owned(), text)
    })
}
