//! Office: what falls due at the desk by itself: statements whose time has come, promises, clocks, forgotten drafts, and
//! published figures that the ledger has moved past. Safe to repeat.

use serde::Serialize;

use super::roles::Declined;
use super::statement::{draft_about, put_out};
use super::{clock, nudges, wording};
use crate::app::App;
use crate::config::Role;
use crate::domain::Moment;
use crate::domain::duty::Mark;
use crate::domain::incident::{IncidentState, PromiseState, outstanding, promise_state};
use crate::domain::stated::{Counts, by_name, steps_past};
use crate::domain::statement::{Figure, StatementKind, StatementState, idle_spans};
use crate::store::{Incident, Statement, StoreError};

/// Who acts when nobody does.
const BELL: &str = "bell";

/// What one pass did.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Passed {
    /// Statements that were put out at their time.
    pub published: u64,
    /// Statements whose time came and that something stood in the way of; they are approved still.
    pub held: u64,
    /// People who are to be told something.
    pub nudged: u64,
    /// Corrections that were drafted.
    pub corrections: u64,
}

impl std::fmt::Display for Passed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} statements published, {} held, {} nudges, {} corrections drafted",
            self.published, self.held, self.nudged, self.corrections
        )
    }
}

/// One pass over everything that can be due.
pub async fn pass(app: &App) -> anyhow::Result<Passed> {
    let mut passed = Passed::default();
    due_statements(app, &mut passed).await?;
    promises(app, &mut passed).await?;
    clocks(app, &mut passed).await?;
    forgotten_drafts(app, &mut passed).await?;
    figures(app, &mut passed).await?;
    Ok(passed)
}

/// Has somebody told once; whether it is new.
async fn nudge(
    app: &App,
    key: &str,
    to: &str,
    text: &str,
    passed: &mut Passed,
) -> anyhow::Result<bool> {
    let now = app.clock.now();
    // Nearly always it was said: a look is cheaper than the one write lock.
    if app.store.read().await?.nudged_at(key).await?.is_some() {
        return Ok(false);
    }
    let mut tx = app.store.begin().await?;
    let is_new = tx.nudge(key, to, text, now).await?;
    tx.commit().await?;
    if is_new {
        tracing::info!(nudge.to = to, "{text}");
        passed.nudged += 1;
    }
    Ok(is_new)
}

async fn due_statements(app: &App, passed: &mut Passed) -> anyhow::Result<()> {
    let due = app
        .store
        .read()
        .await?
        .due_statements(app.clock.now())
        .await?;
    for id in due {
        let Some(statement) = app.store.read().await?.statement(id).await? else {
            continue;
        };
        if statement.state != StatementState::Scheduled {
            continue;
        }
        let done = match put_out(app, &statement, BELL).await {
            Ok(Ok(())) => {
                passed.published += 1;
                Ok(())
            }
            Ok(Err(why)) => hold(app, &statement, &why, passed).await,
            Err(error) => Err(error),
        };
        match done {
            // Cancelled, or put out by another instance, at the last moment.
            Err(error) if is_lost(&error) => {}
            other => other?,
        }
    }
    Ok(())
}

fn is_lost(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref::<StoreError>(),
        Some(StoreError::Lost { .. })
    )
}

/// Its time came, and something stands in the way: people decide.
async fn hold(
    app: &App,
    statement: &Statement,
    why: &str,
    passed: &mut Passed,
) -> anyhow::Result<()> {
    let id = statement.id;
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    tx.unschedule_statement(id, "statement.held", Some(why), BELL, now)
        .await?;
    tx.commit().await?;
    passed.held += 1;
    let text = format!("the time of statement {id} came, and it was not published: {why}");
    let key = format!("held:{id}:{}", now.micros());
    nudge(
        app,
        &key,
        &nudges::role(Role::Communications),
        &text,
        passed,
    )
    .await?;
    tracing::error!(statement.id = %id, "{text}");
    Ok(())
}

/// The promise of more that an incident still has to keep; none once it is over.
pub async fn promised(app: &App, incident: &Incident) -> anyhow::Result<Option<Moment>> {
    match incident.state {
        IncidentState::Resolved => Ok(None),
        IncidentState::Investigating
        | IncidentState::Identified
        | IncidentState::Contained
        | IncidentState::Monitoring => {
            let words = app.store.read().await?.told_of(incident.id).await?;
            Ok(outstanding(&words))
        }
    }
}

/// A reminder before the time of each promise, and an alarm from its time until something is said.
async fn promises(app: &App, passed: &mut Passed) -> anyhow::Result<()> {
    let now = app.clock.now();
    let incidents = app.store.read().await?.incidents().await?;
    for incident in incidents {
        let alarm = format!("promise.{}", incident.reference);
        let before = app.config.communications.promise_reminder;
        let Some(by) = promised(app, &incident).await? else {
            app.alarms.clear(&alarm).await;
            continue;
        };
        match promise_state(by, before, now) {
            PromiseState::Ahead => app.alarms.clear(&alarm).await,
            PromiseState::Near => {
                let text = format!(
                    "{}: the next update is promised by {}; publish a statement or move the incident before then",
                    incident.reference,
                    wording::in_words(app, by)
                );
                let key = format!("promise:{}:{}", incident.id, by.micros());
                let to = nudges::role(Role::Communications);
                nudge(app, &key, &to, &text, passed).await?;
                app.alarms.clear(&alarm).await;
            }
            PromiseState::Late => {
                let text = format!(
                    "an update was promised by {}, and nothing was said: publish a statement now, if only that there is no news",
                    wording::in_words(app, by)
                );
                app.alarms.raise(&alarm, &text).await;
            }
        }
    }
    Ok(())
}

/// The security lead hears at half and at four fifths of a regulator's clock; late it is an alarm.
async fn clocks(app: &App, passed: &mut Passed) -> anyhow::Result<()> {
    let all = {
        let mut tx = app.store.read().await?;
        clock::all(app, &mut tx).await?
    };
    for left in all {
        let duty = left.clock.duty;
        let alarm = format!("duty.{}.{}", left.reference, duty.word());
        let (Some(mark), Some(minutes)) = (left.mark, left.minutes_left) else {
            app.alarms.clear(&alarm).await;
            continue;
        };
        match mark {
            Mark::Early => app.alarms.clear(&alarm).await,
            Mark::Half | Mark::Most => {
                let text = format!(
                    "{}: {}; {} hours are left. Report it, or decide with a deputy that it is not reported: bell incident decide",
                    left.reference,
                    duty.in_words(),
                    minutes / 60
                );
                let key = format!(
                    "duty:{}:{}:{}:{mark:?}",
                    left.incident,
                    duty.word(),
                    left.clock.started_at.map_or(0, Moment::micros)
                );
                nudge(app, &key, &nudges::role(Role::Security), &text, passed).await?;
                app.alarms.clear(&alarm).await;
            }
            Mark::Over => {
                let text = format!(
                    "its time has passed, and nothing is on record: {}; write down what was done: bell incident decide",
                    duty.in_words()
                );
                app.alarms.raise(&alarm, &text).await;
            }
        }
    }
    Ok(())
}

async fn forgotten_drafts(app: &App, passed: &mut Passed) -> anyhow::Result<()> {
    let now = app.clock.now();
    let after = app.config.communications.draft_abandoned_after;
    let drafts = app.store.read().await?.waiting_drafts().await?;
    for draft in drafts {
        let Some(spans) = idle_spans(draft.state, draft.touched_at, after, now) else {
            continue;
        };
        let to = match draft.author.as_str() {
            BELL => nudges::role(Role::Communications),
            author => nudges::operator(author),
        };
        let text = format!(
            "statement {} is a draft that nobody has touched since {}: go on with it, have it approved, or cancel it",
            draft.id,
            wording::in_words(app, draft.touched_at)
        );
        let key = format!("draft:{}:{}:{spans}", draft.id, draft.touched_at.micros());
        nudge(app, &key, &to, &text, passed).await?;
    }
    Ok(())
}

/// Where the ledger has moved past a published figure, the office is told and a correction drafted, once at each step.
async fn figures(app: &App, passed: &mut Passed) -> anyhow::Result<()> {
    let now = app.clock.now();
    let (standing, counts) = {
        let mut tx = app.store.read().await?;
        let mut standing = tx.standing_statements().await?;
        // To count all cases each minute is only for those that say how many there are.
        standing.retain(|statement| {
            let approval = statement.approval.as_ref();
            approval.is_some_and(|approval| !approval.wording.figures.is_empty())
        });
        if standing.is_empty() {
            return Ok(());
        }
        (standing, wording::counts(&mut tx, now).await?)
    };
    for statement in standing {
        let Some(approval) = &statement.approval else {
            continue;
        };
        let moved = moved(app, &approval.wording.figures, &counts);
        let mut is_new = false;
        for (said, label, steps, shown) in &moved {
            let text = format!(
                "statement {} says {} {label}; by now it is {shown}. A correction is drafted",
                statement.id, said.shown
            );
            let key = format!("figure:{}:{}:{steps}", statement.id, said.name);
            let to = nudges::role(Role::Communications);
            is_new |= nudge(app, &key, &to, &text, passed).await?;
        }
        if is_new {
            correct(app, &statement, approval.wording.as_of, &moved, passed).await?;
        }
    }
    Ok(())
}

/// A published figure that is not true any more: itself, its label, the steps with their side, and what it would be now.
type Moved<'a> = (&'a Figure, &'static str, i64, String);

fn moved<'a>(app: &App, figures: &'a [Figure], counts: &Counts) -> Vec<Moved<'a>> {
    let step = app.config.communications.figure_step;
    figures
        .iter()
        .filter_map(|said| {
            let stated = by_name(&said.name)?;
            let now = stated.figure(counts).ok()?;
            let steps = i64::try_from(steps_past(said.count, now.count, step)).ok()?;
            let steps = if now.count < said.count {
                -steps
            } else {
                steps
            };
            (steps != 0 && now.shown != said.shown).then_some((
                said,
                stated.label,
                steps,
                now.shown,
            ))
        })
        .collect()
}

/// Drafts the correction; its new figures are variables, filled when somebody approves it.
async fn correct(
    app: &App,
    statement: &Statement,
    as_of: Moment,
    moved: &[Moved<'_>],
    passed: &mut Passed,
) -> anyhow::Result<()> {
    let lines: Vec<String> = moved
        .iter()
        .map(|(said, label, _, _)| {
            format!(
                "We said: {} {label}. Now it is: {{{{ {} }}}}.",
                said.shown, said.name
            )
        })
        .collect();
    let body = format!(
        "Statement {{{{ statement_no }}}}, {{{{ as_of }}}}. Correction.\n\nIn statement {} we gave figures as of {}.\n\n{}\n\nThe figures have moved since then.",
        statement.id,
        wording::in_words(app, as_of),
        lines.join("\n")
    );
    match draft_about(app, statement, StatementKind::Correction, &body, BELL).await {
        Ok(Ok(_)) => passed.corrections += 1,
        // One is under way; its figures are variables too.
        Ok(Err(_)) => {}
        Err(error) if error.is::<Declined>() => {}
        Err(error) => return Err(error),
    }
    Ok(())
}
