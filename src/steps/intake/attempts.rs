//! Attempts of a log → findings: matched first, weighed at the end of the file.

use std::collections::{HashMap, HashSet};

use chrono::TimeDelta;

use super::taking::Taking;
use super::{BATCH, Intake};
use crate::audit::Item;
use crate::config::AuditSource;
use crate::domain::attempt::{Attempt, Tally, Weighed, Weighing, Who};
use crate::domain::case::Claim;
use crate::domain::evidence::{Actor, Evidence};
use crate::domain::finding::{Reject, RejectReason, Weakness};
use crate::domain::identity::{Match, resolve};
use crate::domain::{AccountId, FindingId, Moment};
use crate::store::{Deciding, FindingDraft, Known, StoredFinding, Tx};

/// For how long after a person's own change their old telephone still tries the old password.
const OLD_TELEPHONE: TimeDelta = TimeDelta::hours(48);

/// How a source wants its attempts weighed.
pub(super) fn weighing(source: &AuditSource) -> Weighing {
    let log = &source.kind.log;
    let usual = Weighing::default();
    let window = log.window_hours.map(|hours| TimeDelta::hours(hours.into()));
    Weighing {
        failed_logins_at: log.failed_logins_at.unwrap_or(usual.failed_logins_at),
        window: window.unwrap_or(usual.window),
        sprays: !source.kind.format.tells_sprays(),
    }
}

impl Taking<'_> {
    /// Adds a batch's attempts to what will be weighed.
    pub(super) fn count(
        &self,
        attempts: Vec<Attempt>,
        known: &Known,
        tally: &mut Tally,
        rejects: &mut Vec<Reject>,
    ) -> anyhow::Result<()> {
        for attempt in attempts {
            let matched = resolve(&attempt.keys, &self.names, self.bare_sam, |lookup| {
                known.hits(lookup)
            });
            let who = match matched {
                Match::Account(id) => Who::Account(id),
                Match::Conflict => {
                    rejects.push(Reject {
                        line: attempt.line,
                        reason: RejectReason::ConflictingKeys,
                    });
                    continue;
                }
                Match::Nobody | Match::Ambiguous => {
                    let named_by = attempt.keys.iter().min_by_key(|key| key.kind);
                    Who::Name(named_by.map(|key| key.folded()).unwrap_or_default())
                }
            };
            tally.add(who, attempt)?;
        }
        Ok(())
    }

    /// Turns all attempts into findings. Names that match nobody are counted and never stored: the internet tries every
    /// name, and some people type their password there.
    pub(super) async fn weigh(
        &self,
        tx: &mut Tx,
        tally: Tally,
        rule: &Weighing,
        intake: &mut Intake,
    ) -> anyhow::Result<()> {
        if tally.is_empty() {
            return Ok(());
        }
        let Weighed {
            findings,
            ordinary,
            typing,
            no_such_name,
            few,
        } = tally.weigh(rule);
        let nobody = findings
            .iter()
            .filter(|(who, _)| matches!(who, Who::Name(_)));
        let nobody = nobody.count() as u64;
        for (word, count) in [
            ("ordinary", ordinary),
            ("typing", typing),
            ("no_such_user", no_such_name),
            ("few_failures", few),
            ("attacked_nobody", nobody),
        ] {
            if count > 0 {
                *intake.skipped.entry(word).or_default() += count;
            }
        }
        let rows = findings.into_iter().filter_map(|(who, row)| match who {
            Who::Account(_) => Some(Item::Row(row)),
            Who::Name(_) => None,
        });
        let rows: Vec<Item> = rows.collect();
        for batch in rows.chunks(BATCH) {
            self.take(tx, batch.to_vec(), &mut Tally::default(), intake)
                .await?;
        }
        Ok(())
    }
}

/// Those of a batch's findings that only say that an account was locked.
pub(super) fn lockouts(drafts: &[FindingDraft], stored: &[StoredFinding]) -> HashSet<FindingId> {
    let locked = drafts
        .iter()
        .zip(stored)
        .filter(|(draft, _)| draft.weakness == Weakness::Lockout);
    locked.map(|(_, stored)| stored.id).collect()
}

/// Drops the lockouts that came within two days of a person's own change: a telephone has yet to be told.
pub(super) fn spare_old_telephones(
    claims: &mut HashMap<AccountId, Vec<(FindingId, Claim)>>,
    lockouts: &HashSet<FindingId>,
    deciding: &Deciding,
    intake: &mut Intake,
) {
    for (account, claims) in claims.iter_mut() {
        let evidence = deciding.evidence.get(account);
        let changed_at = evidence.and_then(|latest| own_change(&latest.evidence));
        let before = claims.len();
        claims.retain(|(finding, claim)| {
            let soon = changed_at.is_some_and(|changed_at| {
                let after = claim.bad_as_of.since(changed_at);
                after >= TimeDelta::zero() && after <= OLD_TELEPHONE
            });
            !(soon && lockouts.contains(finding))
        });
        intake.recorded += (before - claims.len()) as u64;
    }
    claims.retain(|_, claims| !claims.is_empty());
}

/// When the account's holder changed the password.
fn own_change(evidence: &Evidence) -> Option<Moment> {
    match evidence.actor {
        Actor::Admin => None,
        Actor::Myself | Actor::Unknown => evidence.changed.map(|change| change.lo),
    }
}
