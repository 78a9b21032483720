//! Release: an approved statement is answered for, put out, given a time, or taken off the clock.

use chrono::TimeDelta;

use super::about::event_of;
use super::{begin, find, load, no, reason, writers};
use crate::app::App;
use crate::desk::guard;
use crate::desk::partner;
use crate::desk::roles::Act;
use crate::desk::wording::{self, Facts};
use crate::domain::statement::{self, StatementEvent, StatementState, is_among};
use crate::domain::{Moment, StatementId};
use crate::store::{Overridden, Statement};

/// The longest embargo.
const LONGEST_EMBARGO: TimeDelta = TimeDelta::days(30);

/// A third person answers for what the guard found in an approved statement.
pub async fn override_guard(
    app: &App,
    id: StatementId,
    why: &str,
    by: &str,
) -> anyhow::Result<Statement> {
    let act = Act::StatementOverride;
    let before = begin(app, id, act, StatementEvent::Published, by).await?;
    let why = reason(why)?;
    let Some(approval) = &before.approval else {
        return Err(no(app, act, id, by, "it is not approved").await);
    };
    let mut others = {
        let mut tx = app.store.read().await?;
        writers(&mut tx, &before).await?
    };
    others.push(approval.by.clone());
    if is_among(by, &others) {
        let text = "what the guard found is answered for by somebody who neither wrote nor approved it; please ask a third person";
        return Err(no(app, act, id, by, text).await);
    }
    let findings = guard::check(app, &approval.wording.text).await?;
    if findings.is_empty() {
        let text = "the guard finds nothing in it: there is nothing to answer for, publish it";
        return Err(no(app, act, id, by, text).await);
    }
    let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
    let overridden = Overridden {
        by: by.to_owned(),
        reason: why,
        at: app.clock.now(),
    };
    let mut tx = app.store.begin().await?;
    tx.override_statement(id, &approval.hash, &overridden, &told)
        .await?;
    let after = load(&mut tx, id).await?;
    tx.commit().await?;
    Ok(after)
}

/// Puts an approved statement out: the next announcement posts it.
pub async fn publish(app: &App, id: StatementId, by: &str) -> anyhow::Result<Statement> {
    let act = Act::StatementPublish;
    let before = begin(app, id, act, StatementEvent::Published, by).await?;
    match put_out(app, &before, by).await? {
        Ok(()) => find(app, id).await,
        Err(why) => Err(no(app, act, id, by, why).await),
    }
}

/// Puts it out, unless something stands in the way: then what.
pub(in crate::desk) async fn put_out(
    app: &App,
    statement: &Statement,
    by: &str,
) -> anyhow::Result<Result<(), String>> {
    let now = app.clock.now();
    let Some(approval) = &statement.approval else {
        return Ok(Err("it is not approved".to_owned()));
    };
    let lasts = app.config.communications.approval_lasts;
    if !statement::is_approval_fresh(approval.at, statement.publish_at, lasts, now) {
        let text =
            "its approval is too old; please have it approved anew: send it back, or edit it";
        return Ok(Err(text.to_owned()));
    }
    if approval.wording.hash() != approval.hash {
        let text =
            "what is kept is not what was approved; nothing is published, please look into it";
        return Ok(Err(text.to_owned()));
    }
    let findings = guard::check(app, &approval.wording.text).await?;
    if !findings.is_empty() && statement.overridden.is_none() {
        let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
        return Ok(Err(format!(
            "the disclosure guard refuses it: {}; edit it, or have a third person answer for it: bell statement override {} --reason …",
            told.join("; "),
            statement.id
        )));
    }
    let mut tx = app.store.begin().await?;
    let facts = Facts::of(&mut tx, statement, now).await?;
    if !wording::still_promises(app, statement, &approval.wording.text, &facts) {
        let text = "the next update that it promises has passed or was changed since it was approved; please have it approved anew";
        return Ok(Err(text.to_owned()));
    }
    let uncleared = partner::uncleared(&mut tx, statement.incident, &approval.wording.text).await?;
    if !uncleared.is_empty() {
        return Ok(Err(format!(
            "{}; have it cleared first",
            uncleared.join("; ")
        )));
    }
    if let Some(about) = statement.about {
        let old = load(&mut tx, about).await?;
        if let Err(illegal) = old.state.after(event_of(statement.kind)) {
            return Ok(Err(format!("statement {about}: {illegal}")));
        }
    }
    let promise = match facts.is_over() || !wording::promises(&statement.body) {
        true => None,
        false => facts.incident.next_update_at,
    };
    tx.publish_statement(statement, &approval.hash, promise, by, now)
        .await?;
    tx.commit().await?;
    Ok(Ok(()))
}

/// Has an approved statement put out at a time, not before.
pub async fn schedule(
    app: &App,
    id: StatementId,
    at: Moment,
    by: &str,
) -> anyhow::Result<Statement> {
    let act = Act::StatementSchedule;
    let before = begin(app, id, act, StatementEvent::Scheduled, by).await?;
    let now = app.clock.now();
    if at <= now || at > now.plus(LONGEST_EMBARGO) {
        let text = "please give a time to come, within 30 days; to put it out now, publish it";
        return Err(no(app, act, id, by, text).await);
    }
    let lasts = app.config.communications.approval_lasts;
    let is_fresh = before.approval.as_ref().is_some_and(|approval| {
        statement::is_approval_fresh(approval.at, before.publish_at, lasts, now)
    });
    if !is_fresh {
        let text = "its approval is too old; please have it approved anew";
        return Err(no(app, act, id, by, text).await);
    }
    let mut tx = app.store.begin().await?;
    tx.schedule_statement(id, at, by, now).await?;
    let after = load(&mut tx, id).await?;
    tx.commit().await?;
    Ok(after)
}

/// Takes a scheduled one off the clock (it stays approved), or gives up one that is not out.
pub async fn cancel(app: &App, id: StatementId, by: &str) -> anyhow::Result<Statement> {
    let act = Act::StatementCancel;
    let before = begin(app, id, act, StatementEvent::Cancelled, by).await?;
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    match before.state {
        StatementState::Scheduled => {
            tx.unschedule_statement(id, "statement.unscheduled", None, by, now)
                .await?;
        }
        StatementState::Draft
        | StatementState::Approved
        | StatementState::Published
        | StatementState::Corrected
        | StatementState::Withdrawn
        | StatementState::Cancelled => tx.cancel_statement(id, by, now).await?,
    }
    let after = load(&mut tx, id).await?;
    tx.commit().await?;
    Ok(after)
}
