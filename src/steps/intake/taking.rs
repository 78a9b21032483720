//! Items → findings → cases: a batch of a file, in the transaction of the whole.

use std::collections::{BTreeSet, HashMap};

use data_encoding::BASE64URL_NOPAD;

use super::Intake;
use super::attempts::{lockouts, spare_old_telephones};
use crate::audit::Item;
use crate::domain::attempt::Tally;
use crate::domain::case::{Claim, OnClaims, Route, on_claims};
use crate::domain::closing::ClosingReason;
use crate::domain::evidence::{Grade, Rule, Standing, assess};
use crate::domain::finding::{AuditRow, Category, Effect, Reject, RejectReason, dedupe_key};
use crate::domain::identity::{Key, KeyKind, Match, RealmNames, resolve};
use crate::domain::person::AccountKind;
use crate::domain::policy::WhyNot;
use crate::domain::{AccountId, CaseId, FindingId, Moment};
use crate::store::{AccountFacts, CaseClosing, CaseOpening, FindingDraft, Known, TaskKind, Tx};

/// What stays the same from batch to batch.
pub(super) struct Taking<'a> {
    pub(super) audit: crate::domain::AuditId,
    pub(super) names: RealmNames,
    pub(super) rule: Rule,
    pub(super) bare_sam: bool,
    pub(super) source_kind: &'static str,
    pub(super) as_of: Moment,
    pub(super) as_of_assumed: bool,
    pub(super) now: Moment,
    pub(super) by: &'a str,
}

impl Taking<'_> {
    pub(super) async fn take(
        &self,
        tx: &mut Tx,
        items: Vec<Item>,
        tally: &mut Tally,
        intake: &mut Intake,
    ) -> anyhow::Result<()> {
        let (mut rows, mut rejects, mut attempts) = (Vec::new(), Vec::new(), Vec::new());
        for item in items {
            match item {
                Item::Row(row) if row.has_zero() => rejects.push(Reject {
                    line: row.line,
                    reason: RejectReason::Malformed,
                }),
                Item::Row(row) => rows.push(row),
                Item::Attempt(attempt) => attempts.push(attempt),
                Item::Reject(reject) => rejects.push(reject),
                Item::Skipped(skip) => *intake.skipped.entry(skip.reason.word()).or_default() += 1,
            }
        }
        let lookups: BTreeSet<_> = rows
            .iter()
            .flat_map(|row| &row.keys)
            .chain(attempts.iter().flat_map(|attempt| &attempt.keys))
            .flat_map(|key| key.lookups(&self.names, self.bare_sam))
            .collect();
        let mut known = tx
            .known(&self.names.realm, &lookups.into_iter().collect::<Vec<_>>())
            .await?;
        let matches = self.matches(tx, &rows, &mut known).await?;
        self.count(attempts, &known, tally, &mut rejects)?;
        let drafts = self.drafts(&rows, &matches, &known, &mut rejects, intake);
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

    /// Whom each row names: by the directory, or where that does not know, by an operator's word.
    async fn matches(
        &self,
        tx: &mut Tx,
        rows: &[AuditRow],
        known: &mut Known,
    ) -> anyhow::Result<Vec<Match>> {
        let mut matches: Vec<Match> = rows
            .iter()
            .map(|row| {
                resolve(&row.keys, &self.names, self.bare_sam, |lookup| {
                    known.hits(lookup)
                })
            })
            .collect();
        let is_unsure = |matched: &Match| matches!(matched, Match::Nobody | Match::Ambiguous);
        let unsure: Vec<&Key> = rows
            .iter()
            .zip(&matches)
            .filter(|(_, matched)| is_unsure(matched))
            .flat_map(|(row, _)| &row.keys)
            .collect();
        if unsure.is_empty() {
            return Ok(matches);
        }
        let bound = tx.bound(&self.names.realm, &unsure).await?;
        if bound.is_empty() {
            return Ok(matches);
        }
        known.add(tx.accounts(bound.values().copied()).await?);
        for (row, matched) in rows.iter().zip(&mut matches) {
            if is_unsure(matched)
                && let Some(word) = by_word(&row.keys, &bound)
            {
                *matched = word;
            }
        }
        Ok(matches)
    }

    /// Rows → findings: whose, and what makes them the same when they are seen again. A dedupe key stands once; the
    /// later bad-as-of counts.
    fn drafts(
        &self,
        rows: &[AuditRow],
        matches: &[Match],
        known: &Known,
        rejects: &mut Vec<Reject>,
        intake: &mut Intake,
    ) -> Vec<FindingDraft> {
        let mut drafts: Vec<FindingDraft> = Vec::with_capacity(rows.len());
        let mut at: HashMap<String, usize> = HashMap::with_capacity(rows.len());
        for (row, matched) in rows.iter().zip(matches) {
            let Some(key) = named_by(row) else {
                rejects.push(Reject {
                    line: row.line,
                    reason: RejectReason::NoKey,
                });
                continue;
            };
            let (account, unmatched) = match matched {
                Match::Account(id) => (known.facts(*id), None),
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
    pub(super) async fn move_cases(
        &self,
        tx: &mut Tx,
        known: &Known,
        drafts: &[FindingDraft],
        stored: &[crate::store::StoredFinding],
        intake: &mut Intake,
    ) -> anyhow::Result<()> {
        let mut claims: HashMap<AccountId, Vec<(FindingId, Claim)>> = HashMap::new();
        let lockouts = lockouts(drafts, stored);
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
        spare_old_telephones(&mut claims, &lockouts, &deciding, intake);
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
                    let latest = deciding.evidence.get(&account);
                    let grade = latest.map_or(Grade::B, |latest| latest.grade);
                    let reason = latest.map_or(ClosingReason::ChangedBeforeImport, |latest| {
                        ClosingReason::of(closed_as, &latest.evidence).at_import()
                    });
                    let closing = CaseClosing {
                        case: CaseId(0),
                        closed_as,
                        safe_at,
                        evidence,
                        grade,
                        reason,
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
            let what = match (opening.reopens, opening.standing) {
                (Some(_), _) => "reopens",
                (None, Standing::Reset | Standing::ClosedDisabled) => "closes at once",
                (None, _) => "opens",
            };
            intake.moved(what, opening.account.0, &opening.department, &opening.claim);
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
        for (case, claim, _) in &self.joins {
            intake.moved("joins", case.0, "", claim);
        }
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

/// Whose a row is by operators' words; two of them that differ are a conflict.
fn by_word(keys: &[Key], bound: &HashMap<(KeyKind, String), AccountId>) -> Option<Match> {
    let mut all: Vec<AccountId> = keys
        .iter()
        .filter_map(|key| bound.get(&(key.kind, key.folded())).copied())
        .collect();
    all.sort_unstable();
    all.dedup();
    match all[..] {
        [] => None,
        [one] => Some(Match::Account(one)),
        [..] => Some(Match::Conflict),
    }
}

/// The key that a finding is known by when nobody matches: the most certain that the row gives.
pub(super) fn named_by(row: &AuditRow) -> Option<&Key> {
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
