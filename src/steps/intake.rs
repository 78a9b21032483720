//! Audit file → findings → cases. Safe to repeat: the same bytes change nothing.
//!
//! A file is read twice: once to hash and to check all of it while the database stays untouched, and once to take it in,
//! in one transaction. So nothing is ever half imported, and memory does not grow with the file.

mod attempts;
mod bind;
mod guard;
mod joins;
mod reading;
mod taking;

use std::path::Path;

use anyhow::{Context, ensure};
use serde::Serialize;

use crate::app::App;
use crate::audit::Format;
use crate::domain::Moment;
use crate::domain::attempt::Tally;
use crate::domain::case::Claim;
use crate::domain::finding::{Category, Reject, Severity};
use crate::store::{AuditCounts, NewAudit};

pub use bind::{Bound, bind};
pub use guard::Held;
pub use joins::{Together, sort};
use reading::prepare;
pub use reading::{check_source, explain};
use taking::Taking;

/// Rows that are looked at together.
const BATCH: usize = 500;

/// How a file is to be taken in.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The reader to use, whatever the content looks like.
    pub format: Option<Format>,
    /// The configured source; found by format if there is only one of it.
    pub source: Option<String>,
    /// Lists of hashes that the file, a dump, is joined with.
    pub lists: Vec<std::path::PathBuf>,
    /// When the data were taken, if the operator knows.
    pub as_of: Option<Moment>,
    /// Says what would happen, and changes nothing.
    pub dry_run: bool,
    /// A second operator's word for an audit that concerns unusually many.
    pub confirm: bool,
}

/// What taking a file in came to.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Intake {
    /// The file's name.
    pub file: String,
    /// The configured source.
    pub source: String,
    /// The reader, and why.
    pub format: String,
    /// Why that reader.
    pub format_reason: String,
    /// The audit's number; none if nothing was written.
    pub audit: Option<crate::domain::AuditId>,
    /// The same bytes were taken in before: nothing has changed.
    pub known: bool,
    /// Nothing was written, because nobody wanted it.
    pub dry_run: bool,
    /// Rows, findings, rejects.
    pub counts: AuditCounts,
    /// Cases that opened.
    pub opened: u64,
    /// Of these, how many prove a closed case wrong.
    pub reopened: u64,
    /// Findings that joined an open case.
    pub joined: u64,
    /// Cases that opened and closed at once: changed since, or disabled.
    pub closed_at_once: u64,
    /// Claims that were settled before.
    pub settled: u64,
    /// Closed cases whose new password this audit looked at, and did not find bad.
    pub verified: u64,
    /// Findings that are only kept.
    pub recorded: u64,
    /// Lines rightly left out, by reason.
    pub skipped: std::collections::BTreeMap<&'static str, u64>,
    /// Findings by weakness, new and known.
    pub weaknesses: std::collections::BTreeMap<&'static str, u64>,
    /// What it does to which case; the first hundred.
    pub moves: Vec<Moved>,
    /// Lines that could not be used; the first hundred.
    pub rejects: Vec<Reject>,
    /// What the operator should know.
    pub notes: Vec<String>,
}

/// What an audit does to one case. Names nobody.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Moved {
    /// Opens, reopens, joins, closes at once.
    pub what: &'static str,
    /// The account's number, or that of the open case that it joins.
    pub number: i64,
    /// The account's department.
    pub department: String,
    /// What is wrong.
    pub category: Category,
    /// How bad.
    pub severity: Severity,
}

impl Intake {
    fn moved(&mut self, what: &'static str, number: i64, department: &str, claim: &Claim) {
        if self.moves.len() < 100 {
            self.moves.push(Moved {
                what,
                number,
                department: department.to_owned(),
                category: claim.category,
                severity: claim.severity,
            });
        }
    }
}

impl std::fmt::Display for Moved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (category, severity) = (self.category, self.severity.word());
        match self.what {
            "joins" => write!(f, "joins case {}: {category}, {severity}", self.number),
            what => write!(
                f,
                "{what} a case of account {} ({}): {category}, {severity}",
                self.number, self.department
            ),
        }
    }
}

impl std::fmt::Display for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.known {
            return write!(f, "{}: taken in before, nothing has changed", self.file);
        }
        let counts = &self.counts;
        write!(
            f,
            "{}: {} rows → {} new findings, {} known, {} rejected, {} unmatched → {} cases opened ({} reopened, {} closed at once), {} joined{}",
            self.file,
            counts.records,
            counts.findings,
            counts.sighted,
            counts.rejected,
            counts.unmatched,
            self.opened,
            self.reopened,
            self.closed_at_once,
            self.joined,
            if self.dry_run {
                " — dry run, nothing written"
            } else {
                ""
            }
        )
    }
}

/// Takes one audit file in.
pub async fn intake(app: &App, path: &Path, options: &Options, by: &str) -> anyhow::Result<Intake> {
    let shown = path.display().to_string();
    let names: Vec<String> = std::iter::once(path)
        .chain(options.lists.iter().map(std::path::PathBuf::as_path))
        .map(|path| {
            path.file_name()
                .map_or_else(|| path.display(), |name| Path::new(name).display())
                .to_string()
        })
        .collect();
    let file_name = names.join(" + ");
    let now = app.clock.now();
    let prepared = prepare(app, path, options, now)
        .await
        .with_context(|| format!("reading {shown}"))?;
    let mut intake = Intake {
        file: file_name.clone(),
        source: prepared.source.name.clone(),
        format: prepared.format.word().to_owned(),
        format_reason: prepared.reason.clone(),
        dry_run: options.dry_run,
        notes: prepared.first.notes.clone(),
        ..Intake::default()
    };
    let mut tx = app.store.begin().await?;
    if tx
        .audit_by_hash(&prepared.sha256, &prepared.source.name)
        .await?
        .is_some()
    {
        intake.known = true;
        return Ok(intake);
    }
    let realm = prepared.source.realm.clone();
    let as_of = prepared.as_of;
    let audit = tx
        .add_audit(&NewAudit {
            sha256: prepared.sha256.clone(),
            source: prepared.source.name.clone(),
            realm: realm.clone(),
            format: prepared.format.word(),
            file_name,
            size_bytes: prepared.first.size_bytes,
            as_of,
            as_of_assumed: prepared.as_of_assumed,
            imported_at: now,
            imported_by: by.to_owned(),
        })
        .await?;
    let taking = Taking {
        audit,
        names: app.realm(&realm)?.names.clone(),
        rule: app.rule(&realm)?,
        bare_sam: prepared.source.bare_sam,
        source_kind: prepared.format.word(),
        as_of,
        as_of_assumed: prepared.as_of_assumed,
        now,
        by,
    };
    let sha256 = prepared.first.sha256.clone();
    // Of the file and of the lists that it is joined with.
    let thing = guard::thing(&prepared.sha256);
    let records = prepared.first.records;
    let looks_at_passwords = prepared.format.looks_at_passwords();
    let weighing = attempts::weighing(&prepared.source);
    let mut tally = Tally::default();
    let mut reading = prepared.start(path);
    let bar = app.progress.begin("taking in", records);
    while let Some(items) = reading.batches.recv().await {
        let rows = items.len() as u64;
        taking.take(&mut tx, items, &mut tally, &mut intake).await?;
        bar.advance(rows);
    }
    drop(bar);
    let second = reading
        .ended
        .await
        .context("the reader's thread")?
        .with_context(|| format!("reading {shown}"))?;
    ensure!(
        second.sha256 == sha256,
        "{shown} changed while it was read; nothing was taken in, try again"
    );
    taking.weigh(&mut tx, tally, &weighing, &mut intake).await?;
    intake.counts.records = second.records;
    tx.end_audit(audit, &intake.counts).await?;
    if looks_at_passwords {
        intake.verified = tx.verify_cases(audit, &realm.0, as_of, now).await?;
    }
    let (whose, what) = ((audit, &realm), (thing.as_str(), sha256.as_str()));
    if let Err(held) = guard::check(app, &mut tx, &intake, whose, what, options, by).await? {
        if options.dry_run {
            intake.notes.push(held.to_string());
        } else {
            tx.rollback().await?;
            guard::note(app, &thing, &held, by).await?;
            return Err(held.into());
        }
    }
    let detail = format!(
        "{{\"findings\":{},\"opened\":{}}}",
        intake.counts.findings, intake.opened
    );
    tx.note(
        now,
        by,
        "audit.taken_in",
        Some(&format!("audit:{audit}")),
        Some(&detail),
    )
    .await?;
    if options.dry_run {
        tx.rollback().await?;
    } else {
        tx.commit().await?;
        intake.audit = Some(audit);
    }
    Ok(intake)
}
