//! Evidence → closed cases. The rule is recomputed from stored facts on every run; safe to repeat.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::notify::thank;
use crate::app::App;
use crate::config::EvidenceSource;
use crate::directory::Summary;
use crate::directory::evidence::{
    EvidenceColumns, EvidenceItem, EvidenceOptions, EvidenceRow, read,
};
use crate::domain::case::{CaseEvent, CaseState, ClosedAs};
use crate::domain::evidence::{Evidence, Grade, Rule, Standing, assess, grade};
use crate::domain::finding::Reject;
use crate::domain::identity::{Match, resolve};
use crate::domain::{AccountId, CaseId, Moment};
use crate::store::{
    CaseClosing, CaseOpening, CaseRow, EvidenceDraft, EvidenceRead, LatestEvidence, Tx,
};

const BATCH: usize = 500;

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
        let path = file.unwrap_or(&source.file);
        if let Err(error) = one(app, source, path, &mut confirmed)
            .await
            .with_context(|| format!("reading {}", path.display()))
        {
            if file.is_some() {
                return Err(error);
            }
            tracing::warn!(source.name = %source.name, "{error:#}");
            confirmed.failed.push(format!("{error:#}"));
        }
    }
    Ok(confirmed)
}

async fn one(
    app: &App,
    source: &EvidenceSource,
    path: &Path,
    confirmed: &mut Confirmed,
) -> anyhow::Result<()> {
    let now = app.clock.now();
    let (sha256, modified) = {
        let path = path.to_owned();
        tokio::task::spawn_blocking(move || hash(&path)).await??
    };
    // What an export says is true as of when it was written, not as of when we look at it.
    let observed_at = modified.min(now);
    let options = EvidenceOptions {
        columns: columns(&source.columns)?,
        zone: source.time_zone,
        ..EvidenceOptions::observed_at(observed_at)
    };
    let (sender, mut batches) = tokio::sync::mpsc::channel::<Vec<EvidenceItem>>(2);
    let reading = {
        let path = path.to_owned();
        tokio::task::spawn_blocking(move || -> anyhow::Result<Summary> {
            let mut batch = Vec::with_capacity(BATCH);
            let summary = read(File::open(&path)?, &options, &mut |item| {
                batch.push(item);
                if batch.len() < BATCH {
                    return ControlFlow::Continue(());
                }
                match sender.blocking_send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH)))
                {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                }
            })?;
            // If nobody listens any more, they have their reason and will say so.
            let _ = sender.blocking_send(batch);
            Ok(summary)
        })
    };
    let mut tx = app.store.begin().await?;
    let file_name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let id = tx
        .add_evidence_read(&EvidenceRead {
            source: source.name.clone(),
            realm: source.realm.clone(),
            file_name,
            sha256,
            observed_at,
            read_at: now,
        })
        .await?;
    let taking = Taking {
        app,
        source,
        id,
        rule: app.rule(&source.realm)?,
        now,
    };
    let mut own = Confirmed::default();
    while let Some(items) = batches.recv().await {
        taking.take(&mut tx, items, &mut own).await?;
    }
    let summary = reading.await.context("the reader's thread")??;
    if summary.is_unusable() {
        bail!(
            "{} of {} lines could not be used; nothing was concluded",
            summary.rejects,
            summary.rows + summary.rejects
        );
    }
    tx.end_evidence_read(id, own.entries, own.rejected).await?;
    tx.commit().await?;
    confirmed.add(own);
    Ok(())
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

fn hash(path: &Path) -> anyhow::Result<(String, Moment)> {
    let mut file = File::open(path)?;
    let about = file.metadata()?;
    ensure!(about.is_file(), "this is no file");
    let modified = about
        .modified()
        .ok()
        .map_or(Moment::from_micros(i64::MAX), |at| {
            Moment::from(chrono::DateTime::<chrono::Utc>::from(at))
        });
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 65536];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hash.update(buffer.get(..count).unwrap_or_default());
    }
    Ok((HEXLOWER.encode(&hash.finalize()), modified))
}

/// The columns' names, with what the config replaces.
fn columns(named: &BTreeMap<String, String>) -> anyhow::Result<EvidenceColumns> {
    let mut all = serde_json::to_value(EvidenceColumns::default())?;
    for (ours, theirs) in named {
        let known = all.as_object().is_some_and(|all| all.contains_key(ours));
        ensure!(
            known,
            "[evidence.columns] has {ours:?}, which is none of our columns"
        );
        if let Some(all) = all.as_object_mut() {
            all.insert(ours.clone(), theirs.clone().into());
        }
    }
    Ok(serde_json::from_value(all)?)
}

/// What stays the same from batch to batch.
struct Taking<'a> {
    app: &'a App,
    source: &'a EvidenceSource,
    id: i64,
    rule: Rule,
    now: Moment,
}

impl Taking<'_> {
    async fn take(
        &self,
        tx: &mut Tx,
        items: Vec<EvidenceItem>,
        confirmed: &mut Confirmed,
    ) -> anyhow::Result<()> {
        let mut rows = Vec::with_capacity(items.len());
        for item in items {
            match item {
                EvidenceItem::Row(row) => rows.push(row),
                EvidenceItem::Reject(reject) => {
                    confirmed.rejected += 1;
                    if confirmed.rejects.len() < 100 {
                        confirmed.rejects.push(reject);
                    }
                }
            }
        }
        confirmed.entries += rows.len() as u64;
        let drafts = self.matched(tx, rows, confirmed).await?;
        let latest = tx.add_evidence(self.id, &drafts).await?;
        self.decide(tx, &latest, confirmed).await
    }

    /// Whose each line is. A line of another realm says nothing here; an account that is named twice counts once, by
    /// what was said last.
    async fn matched(
        &self,
        tx: &mut Tx,
        rows: Vec<EvidenceRow>,
        confirmed: &mut Confirmed,
    ) -> anyhow::Result<Vec<EvidenceDraft>> {
        let names = &self.app.realm(&self.source.realm)?.names;
        let lookups: BTreeSet<_> = rows
            .iter()
            .flat_map(|row| &row.keys)
            .flat_map(|key| key.lookups(names, true))
            .collect();
        let known = tx
            .known(&names.realm, &lookups.into_iter().collect::<Vec<_>>())
            .await?;
        let mut drafts: BTreeMap<AccountId, EvidenceDraft> = BTreeMap::new();
        for row in rows {
            if row
                .realm
                .as_ref()
                .is_some_and(|realm| *realm != names.realm)
            {
                continue;
            }
            match resolve(&row.keys, names, true, |lookup| known.hits(lookup)) {
                Match::Account(account) => {
                    let grade = grade(&row.evidence);
                    drafts.insert(
                        account,
                        EvidenceDraft {
                            account,
                            line: row.line,
                            grade,
                            evidence: row.evidence,
                        },
                    );
                }
                Match::Nobody | Match::Ambiguous | Match::Conflict => confirmed.unmatched += 1,
            }
        }
        Ok(drafts.into_values().collect())
    }

    async fn decide(
        &self,
        tx: &mut Tx,
        latest: &HashMap<AccountId, LatestEvidence>,
        confirmed: &mut Confirmed,
    ) -> anyhow::Result<()> {
        let accounts: Vec<AccountId> = latest.keys().copied().collect();
        let deciding = tx.deciding(&accounts).await?;
        let mut open: Vec<&CaseRow> = deciding.open.values().collect();
        open.sort_by_key(|case| case.id);
        let (mut closings, mut closed, mut standings) = (Vec::new(), Vec::new(), Vec::new());
        for case in open {
            let Some(latest) = latest.get(&case.account) else {
                continue;
            };
            let standing = assess(
                &case.claim.found(),
                Some(&latest.evidence),
                &self.rule,
                self.now,
            );
            let event = CaseEvent::Seen {
                at: self.now,
                standing,
                grade: latest.grade,
            };
            match case.state.after(event)? {
                CaseState::Closed { closed_as, .. } => {
                    let safe_at = closed_as.safe_at(&latest.evidence);
                    closings.push(CaseClosing {
                        case: case.id,
                        closed_as,
                        safe_at,
                        evidence: latest.id,
                        grade: latest.grade,
                        standing,
                    });
                    closed.push((
                        closed_as,
                        CaseRow {
                            safe_at,
                            ..case.clone()
                        },
                    ));
                }
                CaseState::Open | CaseState::Notified { .. } => {
                    *confirmed.standings.entry(standing.word()).or_default() += 1;
                    if standing != case.standing {
                        standings.push((case.id, standing));
                    }
                }
            }
        }
        tx.close_cases(&closings, "bell", self.now).await?;
        tx.restand(&standings, self.now).await?;
        confirmed.moved += standings.len() as u64;
        confirmed.disabled += closed
            .iter()
            .filter(|(closed_as, _)| *closed_as == ClosedAs::Disabled)
            .count() as u64;
        let reset: Vec<CaseRow> = closed
            .iter()
            .filter(|(closed_as, _)| *closed_as == ClosedAs::Reset)
            .map(|(_, case)| case.clone())
            .collect();
        confirmed.reset += reset.len() as u64;
        confirmed.thanks += thank(self.app, tx, &reset, self.now).await?;
        let threads: BTreeSet<i64> = closed.iter().filter_map(|(_, case)| case.thread).collect();
        tx.end_threads(&threads.into_iter().collect::<Vec<_>>(), self.now)
            .await?;
        confirmed.reopened += self.reopen(tx, latest).await?;
        Ok(())
    }

    /// A case that was closed because nobody could sign in opens again when somebody can, unless the password was changed.
    async fn reopen(
        &self,
        tx: &mut Tx,
        latest: &HashMap<AccountId, LatestEvidence>,
    ) -> anyhow::Result<u64> {
        let enabled: Vec<AccountId> = latest
            .iter()
            .filter(|(_, latest)| !latest.evidence.disabled && latest.evidence.exists)
            .map(|(id, _)| *id)
            .collect();
        let cases = tx.closed_as_disabled(&enabled).await?;
        let mut openings = Vec::new();
        for case in cases {
            let Some(latest) = latest.get(&case.account) else {
                continue;
            };
            if let Some(opening) = self.successor(&case, &latest.evidence, latest.grade) {
                openings.push(opening);
            }
        }
        let opened: Vec<CaseId> = tx.open_cases(&openings, "bell", self.now).await?;
        Ok(opened.len() as u64)
    }

    fn successor(&self, case: &CaseRow, evidence: &Evidence, grade: Grade) -> Option<CaseOpening> {
        let standing = assess(&case.claim.found(), Some(evidence), &self.rule, self.now);
        if ClosedAs::on(standing, grade).is_some() || standing == Standing::Unknown {
            return None;
        }
        Some(CaseOpening {
            account: case.account,
            person: case.person,
            route: case.route,
            department: case.department.clone(),
            claim: case.claim,
            reopens: Some(case.id),
            standing,
        })
    }
}
