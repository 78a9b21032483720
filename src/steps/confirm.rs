//! Evidence → closed cases. The rule is recomputed from stored facts on every run; safe to repeat.

mod file;
mod ldap;
mod saving;
mod service;
mod source;
mod taking;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde::Serialize;

use self::saving::Saving;
use self::taking::Taking;
use crate::app::App;
use crate::config::EvidenceSource;
use crate::domain::finding::Reject;

/// What evidence came to.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Confirmed {
    /// Lines that were read.
    pub entries: u64,
    /// Lines that name nobody, or more than one.
    pub unmatched: u64,
    /// Lines that could not be used; the first hundred.
    pub rejects: Vec<Reject>,
    /// How many there were.
    pub rejected: u64,
    /// Cases closed by a proven reset.
    pub reset: u64,
    /// Cases closed because the account can no longer be used.
    pub disabled: u64,
    /// Closed cases that opened again: the account is enabled, and its password unchanged.
    pub reopened: u64,
    /// Open cases whose standing changed.
    pub moved: u64,
    /// Open cases by standing, after this.
    pub standings: BTreeMap<&'static str, u64>,
    /// Thanks that were queued.
    pub thanks: u64,
    /// Sources that could not be read, and why.
    pub failed: Vec<String>,
}

impl std::fmt::Display for Confirmed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} entries: {} cases closed by reset, {} as disabled, {} reopened, {} moved; {} thanks queued",
            self.entries, self.reset, self.disabled, self.reopened, self.moved, self.thanks
        )?;
        if self.rejected > 0 {
            write!(f, "; {} lines could not be used", self.rejected)?;
        }
        for failed in &self.failed {
            write!(f, "\n{failed}")?;
        }
        Ok(())
    }
}

/// One pass over all configured evidence sources, or over `file` as if it were the source `named`. One source's trouble
/// does not keep the others from being read.
pub async fn confirm(
    app: &App,
    file: Option<&Path>,
    named: Option<&str>,
) -> anyhow::Result<Confirmed> {
    let mut confirmed = Confirmed::default();
    let sources: Vec<&EvidenceSource> = app
        .config
        .evidence
        .iter()
        .filter(|source| named.is_none_or(|name| source.name == name))
        .filter(|source| file.is_none() || named.is_some() || source::is_file(source))
        .collect();
    if sources.is_empty() {
        match named {
            Some(name) => bail!("there is no [[evidence]] named {name:?} in the config"),
            None => return Ok(confirmed),
        }
    }
    ensure!(
        file.is_none() || sources.len() == 1,
        "the config has more than one [[evidence]]; name the one whose form this file has with --source"
    );
    for source in sources {
        if let Err(error) = one(app, source, file, &mut confirmed).await {
            if file.is_some() {
                return Err(error);
            }
            tracing::warn!(source.name = %source.name, "{error:#}");
            confirmed.failed.push(format!("{error:#}"));
        }
    }
    Ok(confirmed)
}

/// One pass of the schedule, which comes often: a file that has not been written since it was last read waits for an hour,
/// and a source that cannot be read is an alarm until it can, and is asked less and less often.
pub async fn poll(app: &App) -> anyhow::Result<Confirmed> {
    let mut confirmed = Confirmed::default();
    for source in &app.config.evidence {
        let alarm = format!("evidence.{}", source.name);
        if !app.patience.may(&alarm, app.clock.now()) {
            continue;
        }
        let read = match source::is_due(app, source).await {
            Ok(false) => continue,
            Ok(true) => one(app, source, None, &mut confirmed).await,
            Err(error) => Err(error),
        };
        match read {
            Ok(()) => {
                app.patience.worked(&alarm);
                app.alarms.clear(&alarm).await;
            }
            Err(error) => {
                let wait = app.patience.failed(&alarm, app.clock.now());
                tracing::warn!(source.name = %source.name, retry.seconds = wait.num_seconds(), "{error:#}");
                let text = format!("it is not known who changed their password: {error:#}");
                app.alarms.raise(&alarm, &text).await;
                confirmed.failed.push(format!("{error:#}"));
            }
        }
    }
    Ok(confirmed)
}

/// Whether the services among the sources answer and let us in, each by its name. Nothing is kept of what they say.
pub async fn check(app: &App) -> Vec<(&str, anyhow::Result<()>)> {
    source::check(app).await
}

async fn one(
    app: &App,
    source: &EvidenceSource,
    file: Option<&Path>,
    confirmed: &mut Confirmed,
) -> anyhow::Result<()> {
    take(app, source, file, confirmed)
        .await
        .with_context(|| format!("reading {}", source::place(source, file)))
}

async fn take(
    app: &App,
    source: &EvidenceSource,
    file: Option<&Path>,
    confirmed: &mut Confirmed,
) -> anyhow::Result<()> {
    let now = app.clock.now();
    let rule = app.rule(&source.realm)?;
    let mut opened = source::open(app, source, file, now).await?;
    let mut saving = Saving::new(app, opened.about, opened.cursor.is_some());
    let taking = Taking {
        app,
        source,
        rule,
        id_decides: opened.cursor.is_some(),
        now,
    };
    while let Some(items) = opened.reading.next().await {
        if items.is_empty() && opened.cursor.is_some() {
            continue;
        }
        let (tx, id, own) = saving.tx().await?;
        taking.take(tx, id, items, own).await?;
        saving
            .batch_ends(opened.reading.has_next().await, confirmed)
            .await?;
    }
    let ended = opened.reading.end().await?;
    let summary = ended.summary;
    if summary.is_unusable() {
        bail!(
            "{} of {} lines could not be used; nothing was concluded",
            summary.rejects,
            summary.rows + summary.rejects
        );
    }
    if let Some(cursor) = opened.cursor {
        let (tx, ..) = saving.tx().await?;
        tx.keep_cursor(&cursor.after(&ended, now)).await?;
    }
    saving.end(confirmed).await
}

impl Confirmed {
    fn add(&mut self, other: Self) {
        self.entries += other.entries;
        self.unmatched += other.unmatched;
        self.rejected += other.rejected;
        self.reset += other.reset;
        self.disabled += other.disabled;
        self.reopened += other.reopened;
        self.moved += other.moved;
        self.thanks += other.thanks;
        let room = 100_usize.saturating_sub(self.rejects.len());
        self.rejects.extend(other.rejects.into_iter().take(room));
        for (standing, count) in other.standings {
            *self.standings.entry(standing).or_default() += count;
        }
    }
}
