//! Audit file → findings → cases. Safe to repeat: the same bytes change nothing.
//!
//! A file is read twice: once to hash and to check all of it while the database stays untouched, and once to take it in,
//! in one transaction. So nothing is ever half imported, and memory does not grow with the file.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::audit::{self, Catalogue, CodePage, Format, Item, Mapping, ReadOptions, Stop};
use crate::config::{AuditSource, SourceKind};
use crate::domain::case::{Claim, OnClaims, Route, on_claims};
use crate::domain::evidence::{Rule, Standing, assess};
use crate::domain::finding::{AuditRow, Category, Effect, Reject, RejectReason, dedupe_key};
use crate::domain::identity::{Key, Match, RealmNames, resolve};
use crate::domain::person::AccountKind;
use crate::domain::policy::WhyNot;
use crate::domain::{AccountId, CaseId, FindingId, Moment};
use crate::store::{
    AccountFacts, AuditCounts, CaseClosing, CaseOpening, FindingDraft, Known, NewAudit, TaskKind,
    Tx,
};

/// Rows that are looked at together.
const BATCH: usize = 500;

/// How a file is to be taken in.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The reader to use, whatever the content looks like.
    pub format: Option<Format>,
    /// The configured source; found by format if there is only one of it.
    pub source: Option<String>,
    /// When the data were taken, if the operator knows.
    pub as_of: Option<Moment>,
    /// Says what would happen, and changes nothing.
    pub dry_run: bool,
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
    /// Findings that are only kept.
    pub recorded: u64,
    /// Lines rightly left out, by reason.
    pub skipped: std::collections::BTreeMap<&'static str, u64>,
    /// Findings by weakness, new and known.
    pub weaknesses: std::collections::BTreeMap<&'static str, u64>,
    /// Lines that could not be used; the first hundred.
    pub rejects: Vec<Reject>,
    /// What the operator should know.
    pub notes: Vec<String>,
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
    let file_name = path
        .file_name()
        .map_or_else(|| shown.clone(), |name| name.to_string_lossy().into_owned());
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
        .audit_by_hash(&prepared.first.sha256, &prepared.source.name)
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
            sha256: prepared.first.sha256.clone(),
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
    let records = prepared.first.records;
    let mut reading = prepared.start(path);
    let bar = app.progress.begin("taking in", records);
    while let Some(items) = reading.batches.recv().await {
        let rows = items.len() as u64;
        taking.take(&mut tx, items, &mut intake).await?;
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
    intake.counts.records = second.records;
    tx.end_audit(audit, &intake.counts).await?;
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

/// A file that has been read through once: what it is, and that all of it can be read.
struct Prepared {
    source: AuditSource,
    format: Format,
    reason: String,
    reader: Reader,
    first: Pass,
    as_of: Moment,
    as_of_assumed: bool,
}

/// What a reader needs, owned, for a thread of its own.
#[derive(Clone, Default)]
struct Reader {
    mapping: Option<Mapping>,
    catalogue: Option<std::sync::Arc<Catalogue>>,
    domain: Option<String>,
    zone: Option<chrono_tz::Tz>,
    code_page: CodePage,
}

/// One way through a file.
#[derive(Clone, Debug, Default)]
struct Pass {
    sha256: String,
    size_bytes: u64,
    records: u64,
    rejects: u64,
    newest: Option<Moment>,
    notes: Vec<String>,
}

struct Reading {
    batches: tokio::sync::mpsc::Receiver<Vec<Item>>,
    ended: tokio::task::JoinHandle<anyhow::Result<Pass>>,
}

impl Prepared {
    /// The second pass, on a thread that may block; a few batches ahead at most.
    fn start(self, path: &Path) -> Reading {
        let (sender, batches) = tokio::sync::mpsc::channel(2);
        let (path, format, reader) = (path.to_owned(), self.format, self.reader);
        let ended = tokio::task::spawn_blocking(move || {
            let mut batch = Vec::with_capacity(BATCH);
            let pass = read_through(&path, format, &reader, &mut |item| {
                batch.push(item);
                if batch.len() < BATCH {
                    return Ok(());
                }
                sender
                    .blocking_send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH)))
                    .map_err(|_| Stop)
            })?;
            // If nobody listens any more, they have their reason and will say so.
            let _ = sender.blocking_send(batch);
            Ok(pass)
        });
        Reading { batches, ended }
    }
}

async fn prepare(
    app: &App,
    path: &Path,
    options: &Options,
    now: Moment,
) -> anyhow::Result<Prepared> {
    let (head, modified) = {
        let path = path.to_owned();
        tokio::task::spawn_blocking(move || head(&path)).await??
    };
    let detected = match options.format {
        Some(format) => audit::Detected {
            format,
            reason: "as asked for".to_owned(),
        },
        None => audit::detect(&head)?,
    };
    let source = source_for(app, options.source.as_deref(), detected.format)?.clone();
    let reader = reader(&source)?;
    let first = {
        let (path, reader, format) = (path.to_owned(), reader.clone(), detected.format);
        tokio::task::spawn_blocking(move || {
            let mut newest: Option<Moment> = None;
            let mut pass = read_through(&path, format, &reader, &mut |item| {
                if let Item::Row(row) = item {
                    newest = newest.max(row.bad_as_of);
                }
                Ok(())
            })?;
            pass.newest = newest;
            anyhow::Ok(pass)
        })
        .await??
    };
    if first.rejects > 20 && first.rejects.saturating_mul(100) > first.records {
        bail!(
            "{} of {} rows could not be used; this is the wrong file, format or mapping, and nothing was taken in",
            first.rejects,
            first.records
        );
    }
    // All that stand in for the time of the dump are later than it, so at worst somebody who has changed is asked again.
    let (as_of, as_of_assumed) = match options.as_of {
        Some(as_of) => (as_of.min(now), false),
        None => (
            stand_in(detected.format, first.newest, modified).min(now),
            true,
        ),
    };
    Ok(Prepared {
        source,
        format: detected.format,
        reason: detected.reason,
        reader,
        first,
        as_of,
        as_of_assumed,
    })
}

/// What stands in for the time of the data where nobody says it. A breach's own dates tell nothing about when our domain
/// was looked up.
fn stand_in(format: Format, newest: Option<Moment>, modified: Moment) -> Moment {
    match format {
        Format::HibpDomain => modified,
        Format::MappedCsv | Format::HashcatShow | Format::JohnShow => newest.unwrap_or(modified),
    }
}

fn head(path: &Path) -> anyhow::Result<(Vec<u8>, Moment)> {
    let file = File::open(path)?;
    let about = file.metadata()?;
    ensure!(about.is_file(), "this is no file");
    let modified = about
        .modified()
        .ok()
        .map_or(Moment::from_micros(i64::MAX), |at| {
            Moment::from(chrono::DateTime::<chrono::Utc>::from(at))
        });
    let mut head = Vec::new();
    file.take(audit::HEAD_BYTES as u64).read_to_end(&mut head)?;
    Ok((head, modified))
}

/// The source that a file belongs to: the one that was named, else the only one of its format.
fn source_for<'a>(
    app: &'a App,
    named: Option<&str>,
    format: Format,
) -> anyhow::Result<&'a AuditSource> {
    let reads = |source: &AuditSource| format_of(&source.kind) == format;
    if let Some(name) = named {
        let source = app.config.sources.iter().find(|source| source.name == name);
        let source = source
            .with_context(|| format!("there is no [[source]] named {name:?} in the config"))?;
        ensure!(
            reads(source),
            "the file is {format}, and the source {name:?} is for {}",
            format_of(&source.kind)
        );
        return Ok(source);
    }
    let mut fitting = app.config.sources.iter().filter(|source| reads(source));
    match (fitting.next(), fitting.next()) {
        (Some(source), None) => Ok(source),
        (None, _) => {
            bail!("the file is {format}, and the config has no [[source]] of that kind; add one")
        }
        (Some(_), Some(_)) => bail!(
            "the file is {format}, and the config has more than one [[source]] of that kind; name it with --source"
        ),
    }
}

/// The format that a source's files have.
pub fn format_of(kind: &SourceKind) -> Format {
    match kind {
        SourceKind::MappedCsv { .. } => Format::MappedCsv,
        SourceKind::HibpDomain { .. } => Format::HibpDomain,
        SourceKind::HashcatShow => Format::HashcatShow,
        SourceKind::JohnShow => Format::JohnShow,
    }
}

/// Whether a source's own files, its mapping or its catalogue, can be read.
pub fn check_source(source: &AuditSource) -> anyhow::Result<String> {
    reader(source).map(|_| format!("for {}", format_of(&source.kind)))
}

fn reader(source: &AuditSource) -> anyhow::Result<Reader> {
    let code_page = CodePage::from_name(source.code_page.name()).unwrap_or_default();
    let mut reader = Reader {
        zone: Some(source.time_zone),
        code_page,
        ..Reader::default()
    };
    let text = |path: &PathBuf| {
        std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
    };
    match &source.kind {
        SourceKind::MappedCsv { mapping } => {
            reader.mapping = Some(
                Mapping::parse(&text(mapping)?)
                    .with_context(|| format!("reading {}", mapping.display()))?,
            );
        }
        SourceKind::HibpDomain { catalogue, domain } => {
            let parsed = Catalogue::parse(&text(catalogue)?)
                .with_context(|| format!("reading {}", catalogue.display()))?;
            reader.catalogue = Some(std::sync::Arc::new(parsed));
            reader.domain = Some(domain.clone());
        }
        SourceKind::HashcatShow | SourceKind::JohnShow => {}
    }
    Ok(reader)
}

/// Reads all of a file, hashing what passes by.
fn read_through(
    path: &Path,
    format: Format,
    reader: &Reader,
    emit: &mut dyn FnMut(Item) -> Result<(), Stop>,
) -> anyhow::Result<Pass> {
    let mut hashing = Hashing {
        file: File::open(path)?,
        hash: Sha256::new(),
        size_bytes: 0,
    };
    let options = ReadOptions {
        mapping: reader.mapping.as_ref(),
        catalogue: reader.catalogue.as_deref(),
        domain: reader.domain.as_deref(),
        domain_sid: None,
        time_zone: reader.zone,
        code_page: reader.code_page,
    };
    let summary = audit::read(format, &mut hashing, &options, emit)?;
    std::io::copy(&mut hashing, &mut std::io::sink())?;
    Ok(Pass {
        sha256: HEXLOWER.encode(&hashing.hash.finalize()),
        size_bytes: hashing.size_bytes,
        records: summary.records,
        rejects: summary.rejects,
        newest: None,
        notes: summary.notes,
    })
}

struct Hashing {
    file: File,
    hash: Sha256,
    size_bytes: u64,
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.hash.update(buffer.get(..count).unwrap_or_default());
        self.size_bytes += count as u64;
        Ok(count)
    }
}

/// What stays the same from batch to batch.
struct Taking<'a> {
    audit: crate::domain::AuditId,
    names: RealmNames,
    rule: Rule,
    bare_sam: bool,
    source_kind: &'static str,
    as_of: Moment,
    as_of_assumed: bool,
    now: Moment,
    by: &'a str,
}

impl Taking<'_> {
    async fn take(&self, tx: &mut Tx, items: Vec<Item>, intake: &mut Intake) -> anyhow::Result<()> {
        let (mut rows, mut rejects) = (Vec::new(), Vec::new());
        for item in items {
            match item {
                Item::Row(row) if row.has_zero() => rejects.push(Reject {
                    line: row.line,
                    reason: RejectReason::Malformed,
                }),
                Item::Row(row) => rows.push(row),
                Item::Reject(reject) => rejects.push(reject),
                Item::Skipped(skip) => *intake.skipped.entry(skip.reason.word()).or_default() += 1,
            }
        }
        let lookups: BTreeSet<_> = rows
            .iter()
            .flat_map(|row| &row.keys)
            .flat_map(|key| key.lookups(&self.names, self.bare_sam))
            .collect();
        let known = tx
            .known(&self.names.realm, &lookups.into_iter().collect::<Vec<_>>())
            .await?;
        let drafts = self.drafts(&rows, &known, &mut rejects, intake);
        let stored = tx.add_findings(self.audit, &drafts, self.now).await?;
        for (draft, stored) in drafts.iter().zip(&stored) {
            *intake.weaknesses.entry(draft.weakness.text()).or_default() += 1;
            if stored.is_new {
                intake.counts.findings += 1;
                intake.counts.unmatched += u64::from(draft.account.is_none());
            } else {
                intake.counts.sighted += 1;
            }
        }
        intake.counts.rejected += rejects.len() as u64;
        tx.add_rejects(self.audit, &rejects).await?;
        let room = 100_usize.saturating_sub(intake.rejects.len());
        intake.rejects.extend(rejects.into_iter().take(room));
        self.move_cases(tx, &known, &drafts, &stored, intake).await
    }

    /// Rows → findings: whose, and what makes them the same when they are seen again. A dedupe key stands once; the
    /// later bad-as-of counts.
    fn drafts(
        &self,
        rows: &[AuditRow],
        known: &Known,
        rejects: &mut Vec<Reject>,
        intake: &mut Intake,
    ) -> Vec<FindingDraft> {
        let mut drafts: Vec<FindingDraft> = Vec::with_capacity(rows.len());
        let mut at: HashMap<String, usize> = HashMap::with_capacity(rows.len());
        for row in rows {
            let matched = resolve(&row.keys, &self.names, self.bare_sam, |lookup| {
                known.hits(lookup)
            });
            let Some(key) = named_by(row) else {
                rejects.push(Reject {
                    line: row.line,
                    reason: RejectReason::NoKey,
                });
                continue;
            };
            let (account, unmatched) = match matched {
                Match::Account(id) => (known.facts(id), None),
                Match::Conflict => {
                    rejects.push(Reject {
                        line: row.line,
                        reason: RejectReason::ConflictingKeys,
                    });
                    continue;
                }
                Match::Nobody if row.history_unless_known => {
                    *intake.skipped.entry("history").or_default() += 1;
                    continue;
                }
                Match::Nobody => (None, Some("nobody")),
                Match::Ambiguous => (None, Some("ambiguous")),
            };
            let draft = self.draft(row, key, account, unmatched);
            match at.get(&draft.dedupe_key).and_then(|at| drafts.get_mut(*at)) {
                Some(before) => {
                    *intake.skipped.entry("duplicate").or_default() += 1;
                    if draft.bad_as_of > before.bad_as_of {
                        (before.bad_as_of, before.bad_as_of_assumed, before.baseline) =
                            (draft.bad_as_of, draft.bad_as_of_assumed, draft.baseline);
                    }
                }
                None => {
                    at.insert(draft.dedupe_key.clone(), drafts.len());
                    drafts.push(draft);
                }
            }
        }
        drafts
    }

    fn draft(
        &self,
        row: &AuditRow,
        key: &Key,
        account: Option<&AccountFacts>,
        unmatched: Option<&'static str>,
    ) -> FindingDraft {
        let id = account.map(|facts| facts.object_id.as_str());
        let kind = account.map_or(AccountKind::Unknown, |facts| facts.kind);
        FindingDraft {
            dedupe_key: BASE64URL_NOPAD.encode(&dedupe_key(
                self.source_kind,
                &self.names.realm,
                id,
                key,
                row.weakness,
                row.detail.as_deref(),
            )),
            line: row.line,
            account: account.map(|facts| facts.id),
            unmatched,
            key_kind: key.kind,
            key_given: key.given.clone(),
            weakness: row.weakness,
            detail: row.detail.clone(),
            severity: row
                .severity
                .unwrap_or_else(|| row.weakness.default_severity(kind)),
            bad_as_of: row.bad_as_of.unwrap_or(self.as_of).min(self.now),
            bad_as_of_assumed: row.bad_as_of.is_none() && self.as_of_assumed,
            discovered_at: row.discovered_at,
            baseline: row.baseline,
        }
    }

    /// Findings → cases: opened, joined, reopened, closed at once, or settled before.
    async fn move_cases(
        &self,
        tx: &mut Tx,
        known: &Known,
        drafts: &[FindingDraft],
        stored: &[crate::store::StoredFinding],
        intake: &mut Intake,
    ) -> anyhow::Result<()> {
        let mut claims: HashMap<AccountId, Vec<(FindingId, Claim)>> = HashMap::new();
        for (draft, stored) in drafts.iter().zip(stored) {
            match (draft.account, claim_of(draft, self.as_of)) {
                // A known finding moves a case only if a later sighting raised it.
                (Some(account), Some(claim)) if stored.is_new || stored.is_raised => {
                    claims.entry(account).or_default().push((stored.id, claim))
                }
                (Some(_), Some(_)) => intake.settled += 1,
                (_, None) => intake.recorded += 1,
                (None, Some(_)) => {}
            }
        }
        let accounts: Vec<AccountId> = claims.keys().copied().collect();
        let deciding = tx.deciding(&accounts).await?;
        let mut moves = Moves::default();
        let mut ordered: Vec<_> = claims.into_iter().collect();
        ordered.sort_by_key(|(account, _)| *account);
        for (account, claims) in ordered {
            let open = deciding.open.get(&account);
            let evidence = deciding
                .evidence
                .get(&account)
                .map(|latest| (latest.id, latest.grade, &latest.evidence));
            let said: Vec<Claim> = claims.iter().map(|(_, claim)| *claim).collect();
            let outcome = on_claims(
                open.map(|case| case.claim),
                deciding.ended.get(&account).copied(),
                evidence,
                &said,
                &self.rule,
                self.now,
            );
            let findings: Vec<FindingId> = claims.iter().map(|(finding, _)| *finding).collect();
            let Some(facts) = known.facts(account) else {
                continue;
            };
            match outcome {
                OnClaims::Join(claim) => {
                    if let Some(open) = open {
                        moves
                            .joins
                            .push((open.id, claim, claim.category > open.claim.category));
                        moves
                            .links
                            .extend(findings.iter().map(|finding| (*finding, open.id)));
                    }
                }
                OnClaims::Open { claim, reopens } => {
                    let standing = assess(
                        &claim.found(),
                        evidence.map(|(_, _, evidence)| evidence),
                        &self.rule,
                        self.now,
                    );
                    moves.open(opening(facts, claim, reopens, standing), findings, None);
                }
                OnClaims::OpenClosed {
                    claim,
                    closed_as,
                    safe_at,
                    evidence,
                } => {
                    let standing = if closed_as == crate::domain::case::ClosedAs::Disabled {
                        Standing::ClosedDisabled
                    } else {
                        Standing::Reset
                    };
                    let grade = deciding
                        .evidence
                        .get(&account)
                        .map_or(crate::domain::evidence::Grade::B, |latest| latest.grade);
                    let closing = CaseClosing {
                        case: CaseId(0),
                        closed_as,
                        safe_at,
                        evidence,
                        grade,
                        standing,
                    };
                    moves.open(
                        opening(facts, claim, None, standing),
                        findings,
                        Some(closing),
                    );
                }
                OnClaims::Settled => intake.settled += findings.len() as u64,
            }
        }
        moves.save(tx, self, intake).await
    }
}

/// What a batch does to cases.
#[derive(Default)]
struct Moves {
    openings: Vec<(CaseOpening, Vec<FindingId>, Option<CaseClosing>)>,
    joins: Vec<(CaseId, Claim, bool)>,
    links: Vec<(FindingId, CaseId)>,
}

impl Moves {
    fn open(
        &mut self,
        opening: CaseOpening,
        findings: Vec<FindingId>,
        closing: Option<CaseClosing>,
    ) {
        self.openings.push((opening, findings, closing));
    }

    async fn save(
        mut self,
        tx: &mut Tx,
        taking: &Taking<'_>,
        intake: &mut Intake,
    ) -> anyhow::Result<()> {
        let openings: Vec<CaseOpening> = self
            .openings
            .iter()
            .map(|(opening, ..)| opening.clone())
            .collect();
        let numbers = tx.open_cases(&openings, taking.by, taking.now).await?;
        let mut closings = Vec::new();
        for ((opening, findings, closing), case) in self.openings.iter().zip(numbers) {
            self.links
                .extend(findings.iter().map(|finding| (*finding, case)));
            closings.extend(closing.map(|closing| CaseClosing { case, ..closing }));
            intake.opened += 1;
            intake.reopened += u64::from(opening.reopens.is_some());
        }
        // What was drafted or queued about a weak password is not said in a mailbox that an intruder may be reading.
        let stolen: Vec<CaseId> = self
            .joins
            .iter()
            .filter(|(_, claim, raised)| *raised && claim.category == Category::Compromised)
            .map(|(case, ..)| *case)
            .collect();
        intake.closed_at_once += closings.len() as u64;
        intake.joined += self.joins.len() as u64;
        tx.join_cases(&self.joins, taking.by, taking.now).await?;
        tx.close_cases(&closings, "bell", taking.now).await?;
        tx.link_findings(&self.links).await?;
        tx.withhold(&stolen, taking.now).await?;
        let tasks: Vec<_> = stolen
            .iter()
            .map(|case| (*case, TaskKind::Contain, WhyNot::NotContained.word(), None))
            .collect();
        tx.open_tasks(&tasks, taking.now).await?;
        Ok(())
    }
}

/// The key that a finding is known by when nobody matches: the most certain that the row gives.
fn named_by(row: &AuditRow) -> Option<&Key> {
    row.keys.iter().min_by_key(|key| key.kind)
}

fn claim_of(draft: &FindingDraft, seen_at: Moment) -> Option<Claim> {
    let category = draft.weakness.category()?;
    match draft.weakness.effect_at(draft.severity) {
        Effect::Record => None,
        Effect::Tell => Some(Claim {
            category,
            severity: draft.severity,
            bad_as_of: draft.bad_as_of,
            baseline: draft.baseline,
            // A breach may be years old; what counts is when we were shown that an account of ours is in it.
            found_at: if category == Category::Breached {
                seen_at
            } else {
                draft.bad_as_of
            },
        }),
    }
}

fn opening(
    facts: &AccountFacts,
    claim: Claim,
    reopens: Option<CaseId>,
    standing: Standing,
) -> CaseOpening {
    let route = Route::of(
        facts.kind,
        facts.sam.as_deref(),
        facts.holder.is_some(),
        facts.owner.is_some(),
    );
    CaseOpening {
        account: facts.id,
        person: match route {
            Route::Holder => facts.holder,
            Route::Owner => facts.owner,
            Route::Operators => None,
        },
        route,
        department: facts.department.clone(),
        claim,
        reopens,
        standing,
    }
}
