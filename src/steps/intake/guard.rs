//! Guard: an audit that would concern far more people than usual waits for a second operator. The wrong column, or a file of
//! another house, looks just like the worst day.

use super::{Intake, Options};
use crate::app::App;
use crate::config::Role;
use crate::domain::AuditId;
use crate::domain::address::fold;
use crate::domain::identity::Realm;
use crate::store::Tx;

/// Why an audit waits; says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Held {
    /// Too many of all accounts.
    #[error(
        "it would open cases for {opened} of {all} accounts, more than {share} %; nothing was taken in. If it is right, a second operator with the role security or approver takes it in with --confirm"
    )]
    Share {
        /// Cases that would open.
        opened: u64,
        /// Accounts of the realm.
        all: u64,
        /// As the config says.
        share: u64,
    },
    /// Many times what this source found before.
    #[error(
        "it has {findings} findings, and the last audit of this source had {before}; nothing was taken in. If it is right, a second operator with the role security or approver takes it in with --confirm"
    )]
    Leap {
        /// Of this one.
        findings: u64,
        /// Of the one before.
        before: u64,
    },
    /// The second operator has to be another one.
    #[error(
        "whoever tried it first cannot confirm it; a second operator with the role security or approver can"
    )]
    Alone,
    /// Nobody has tried it.
    #[error("there is nothing to confirm: take it in without --confirm first")]
    Untried,
}

/// What the ledger calls a file.
pub(super) fn thing(sha256: &str) -> String {
    format!("file:{}", sha256.get(..16).unwrap_or(sha256))
}

/// Whether an audit that was taken in, and not yet for good, may stay. `sha256` is of its file by itself, without the lists
/// that it is joined with.
pub(super) async fn check(
    app: &App,
    tx: &mut Tx,
    intake: &Intake,
    (audit, realm): (AuditId, &Realm),
    (thing, sha256): (&str, &str),
    options: &Options,
    by: &str,
) -> anyhow::Result<Result<(), Held>> {
    let guard = &app.config.intake;
    let opened = intake.opened.saturating_sub(intake.closed_at_once);
    if opened < guard.at_least {
        return Ok(Ok(()));
    }
    let all = tx.accounts_of(realm).await?;
    let findings = intake.counts.findings + intake.counts.sighted;
    let before = tx.findings_before(&intake.source, audit, sha256).await?;
    let held = if opened.saturating_mul(100) > all.saturating_mul(guard.share_percent) {
        Some(Held::Share {
            opened,
            all,
            share: guard.share_percent,
        })
    } else {
        before
            .filter(|before| findings > before.saturating_mul(guard.times))
            .map(|before| Held::Leap { findings, before })
    };
    let Some(held) = held else {
        return Ok(Ok(()));
    };
    if !options.confirm {
        return Ok(Err(held));
    }
    let may = app.has_role(by, Role::Security) || app.has_role(by, Role::Approver);
    Ok(match tx.held_by(thing).await? {
        None => Err(Held::Untried),
        Some(first) if fold(&first) != fold(by) && may => Ok(()),
        Some(_) => Err(Held::Alone),
    })
}

/// Writes down that an audit waits, for whoever confirms it.
pub(super) async fn note(app: &App, thing: &str, held: &Held, by: &str) -> anyhow::Result<()> {
    // A confirmation that was refused does not make its author the first.
    if matches!(held, Held::Alone | Held::Untried) {
        return Ok(());
    }
    let detail = serde_json::json!({ "why": held.to_string() }).to_string();
    let mut tx = app.store.begin().await?;
    tx.note(
        app.clock.now(),
        by,
        "audit.held",
        Some(thing),
        Some(&detail),
    )
    .await?;
    Ok(tx.commit().await?)
}
