//! A name that the directory does not know → its account, by an operator's word: for the findings that have it, and for later
//! audits.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Intake;
use super::taking::Taking;
use crate::app::App;
use crate::domain::{AccountId, AuditId, FindingId};
use crate::store::{FindingDraft, Known, StoredFinding, Tx, UnmatchedFinding};

/// Findings that are looked through at once.
const PAGE: i64 = 1_000;

/// What binding a name came to.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Bound {
    /// Findings that have an account now.
    pub findings: u64,
    /// Cases that opened.
    pub opened: u64,
    /// Findings that joined an open case.
    pub joined: u64,
    /// Findings that were settled before, such as by a new password.
    pub settled: u64,
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} findings have their account: {} cases opened, {} joined, {} settled before; later audits know the name",
            self.findings, self.opened, self.joined, self.settled
        )
    }
}

/// Binds the name of an unmatched finding to an account of the same realm.
pub async fn bind(
    app: &App,
    finding: FindingId,
    account: AccountId,
    by: &str,
) -> anyhow::Result<Bound> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let named = all_named_so(&mut tx, finding).await?;
    let Some(first) = named.first() else {
        anyhow::bail!(
            "there is no finding {finding} without an account; bell audits unmatched lists them"
        );
    };
    let facts = tx.accounts([account]).await?;
    anyhow::ensure!(
        facts.contains_key(&account) && tx.realm_of(account).await?.as_ref() == Some(&first.realm),
        "there is no account {account} in {}; bell people show says which there are",
        first.realm
    );
    tx.bind_key(&first.realm, &first.key, account, by, now)
        .await?;
    let ids: Vec<FindingId> = named.iter().map(|one| one.id).collect();
    tx.match_findings(&ids, account).await?;
    let known = Known::of(facts);
    let mut by_audit: BTreeMap<AuditId, Vec<&UnmatchedFinding>> = BTreeMap::new();
    for one in &named {
        by_audit.entry(one.audit).or_default().push(one);
    }
    let mut intake = Intake::default();
    for (audit, findings) in by_audit {
        let Some(first) = findings.first() else {
            continue;
        };
        let taking = Taking {
            audit,
            names: app.realm(&first.realm)?.names.clone(),
            rule: app.rule(&first.realm)?,
            bare_sam: false,
            source_kind: "bound",
            as_of: first.audit_as_of,
            as_of_assumed: first.bad_as_of_assumed,
            now,
            by,
        };
        let drafts: Vec<FindingDraft> = findings
            .iter()
            .map(|finding| draft(finding, account))
            .collect();
        let stored: Vec<StoredFinding> = findings
            .iter()
            .map(|finding| StoredFinding {
                id: finding.id,
                is_new: true,
                is_raised: false,
            })
            .collect();
        taking
            .move_cases(&mut tx, &known, &drafts, &stored, &mut intake)
            .await?;
    }
    tx.commit().await?;
    Ok(Bound {
        findings: ids.len() as u64,
        opened: intake.opened,
        joined: intake.joined,
        settled: intake.settled,
    })
}

/// The finding, and all others of its realm that use the same name; none if it has an account.
async fn all_named_so(tx: &mut Tx, finding: FindingId) -> anyhow::Result<Vec<UnmatchedFinding>> {
    let before = FindingId(finding.0.saturating_sub(1));
    let first = tx.unmatched_findings(before, 1).await?;
    let Some(named) = first.into_iter().find(|one| one.id == finding) else {
        return Ok(Vec::new());
    };
    let folded = named.key.folded();
    let (mut all, mut after) = (Vec::new(), FindingId(0));
    loop {
        let mut page = tx.unmatched_findings(after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(all);
        };
        after = last.id;
        page.retain(|one| {
            one.realm == named.realm && one.key.kind == named.key.kind && one.key.folded() == folded
        });
        all.append(&mut page);
    }
}

fn draft(finding: &UnmatchedFinding, account: AccountId) -> FindingDraft {
    FindingDraft {
        dedupe_key: String::new(),
        line: finding.line,
        account: Some(account),
        unmatched: None,
        key_kind: finding.key.kind,
        key_given: finding.key.given.clone(),
        weakness: finding.weakness,
        detail: finding.detail.clone(),
        severity: finding.severity,
        bad_as_of: finding.bad_as_of,
        bad_as_of_assumed: finding.bad_as_of_assumed,
        discovered_at: None,
        baseline: None,
    }
}
