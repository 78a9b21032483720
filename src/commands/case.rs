//! `bell case …` and `bell tasks`

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{Said, misused, operator};
use crate::app::App;
use crate::cli::{Case as Command, Cli};
use crate::config::Role;
use crate::domain::address::fold;
use crate::domain::case::CaseState;
use crate::domain::evidence::Standing;
use crate::domain::{CaseId, Moment, Way};
use crate::steps;
use crate::store::{CaseRow, StoreError};

pub(super) async fn run(cli: &Cli, app: &App, command: &Command) -> anyhow::Result<Said> {
    let now = app.clock.now();
    match command {
        Command::List { all } => list(app, !*all).await,
        Command::Show { id } => show(app, *id).await,
        Command::Contain {
            id,
            note,
            at,
            override_it: _,
            reason,
        } => contain(cli, app, *id, note.as_deref(), *at, reason.as_deref()).await,
        Command::Told { csv: Some(csv), .. } => {
            let by = operator(cli, app)?;
            if steps::calls::is_list_of_calls(csv)? {
                let called = steps::calls::calls(app, csv, &by).await?;
                return Ok(Said::both(&called)?.look_if(!called.rejects.is_empty()));
            }
            let ticked = steps::letters::told(app, csv, &by).await?;
            Ok(Said::both(&ticked)?.look_if(!ticked.rejects.is_empty()))
        }
        Command::Told {
            id: Some(id),
            how: Some(how),
            at,
            ..
        } => {
            let by = operator(cli, app)?;
            let mut tx = app.store.begin().await?;
            tx.tell_case(*id, at.unwrap_or(now).min(now), how, &by, now)
                .await?;
            tx.commit().await?;
            Ok(done(*id, "its person was told"))
        }
        Command::Told { .. } => Err(misused("say which case, and how with --how")),
        Command::Exempt {
            id,
            until,
            reason,
            requested_by,
        } => {
            let by = operator(cli, app)?;
            if !app.has_role(&by, Role::Approver) {
                return Err(misused(
                    "an exemption is approved by an operator with the role approver",
                ));
            }
            if fold(&by) == fold(requested_by) || !app.is_operator(requested_by) {
                return Err(misused(
                    "an exemption is asked for by one operator and approved by another",
                ));
            }
            if *until <= now || until.since(now) > TimeDelta::days(90) {
                return Err(misused("an exemption ends in the future, within 90 days"));
            }
            steps::exempt::exempt(app, *id, *until, reason, requested_by, &by).await?;
            Ok(done(*id, "exempt; it comes back by itself"))
        }
        Command::Withdraw { id, reason } => {
            let by = operator(cli, app)?;
            let mut tx = app.store.begin().await?;
            let thread = tx.case(*id).await?.and_then(|case| case.thread);
            tx.withdraw_case(*id, reason, &by, now).await?;
            tx.end_threads(&thread.into_iter().collect::<Vec<_>>(), now)
                .await?;
            tx.commit().await?;
            Ok(done(*id, "withdrawn"))
        }
        Command::Unreached
        | Command::Assign { .. }
        | Command::Missed { .. }
        | Command::Reply { .. }
        | Command::Snooze { .. }
        | Command::Resting => super::reach::run(cli, app, command).await,
    }
}

/// With a note: it is contained. With a reason instead: the incident lead has its person told before that.
async fn contain(
    cli: &Cli,
    app: &App,
    id: CaseId,
    note: Option<&str>,
    at: Option<Moment>,
    reason: Option<&str>,
) -> anyhow::Result<Said> {
    let now = app.clock.now();
    let by = operator(cli, app)?;
    let mut tx = app.store.begin().await?;
    let what = match (note, reason) {
        (Some(note), _) => {
            tx.contain_case(id, at.unwrap_or(now).min(now), note, &by, now)
                .await?;
            "contained; whoever it belongs to can now be told"
        }
        (None, Some(reason)) => {
            if !app.has_role(&by, Role::IncidentLead) {
                return Err(misused(
                    "only an operator with the role incident_lead has somebody told before containment (rule 3.9)",
                ));
            }
            tx.override_containment(id, reason, &by, now).await?;
            "not contained; its person is told all the same, and never in the affected mailbox"
        }
        (None, None) => return Err(misused("say how, with --note")),
    };
    tx.commit().await?;
    Ok(done(id, what))
}

pub(super) fn done(id: CaseId, what: &str) -> Said {
    Said::words(
        format!("case {id}: {what}"),
        json!({ "case": id, "done": what }),
    )
}

/// open, notified, or how it was closed.
pub(super) fn state_word(case: &CaseRow) -> &'static str {
    match case.state {
        CaseState::Open => "open",
        CaseState::Notified { .. } => "notified",
        CaseState::Closed { closed_as, .. } => match closed_as {
            crate::domain::case::ClosedAs::Reset => "closed: reset",
            crate::domain::case::ClosedAs::Disabled => "closed: disabled",
            crate::domain::case::ClosedAs::Withdrawn => "closed: withdrawn",
        },
    }
}

pub(super) fn line(case: &CaseRow) -> String {
    let deadline = case
        .deadline_at
        .map(|at| format!("due {at}"))
        .unwrap_or_default();
    let not_reached = case
        .not_reached
        .as_deref()
        .map(|why| format!("not reached: {why}"))
        .unwrap_or_default();
    format!(
        "{:>7}  {:<12} {:<18} {:<14} {:<24} {deadline} {not_reached}",
        case.id,
        case.claim.category,
        state_word(case),
        case.standing.word(),
        case.department
    )
    .trim_end()
    .to_owned()
}

pub(super) fn document(case: &CaseRow) -> Value {
    json!({
        "case": case.id, "account": case.account, "person": case.person, "route": case.route.word(), "department": case.department,
        "category": case.claim.category, "severity": case.claim.severity, "found_at": case.claim.found_at, "bad_as_of": case.claim.bad_as_of,
        "opened_at": case.opened_at, "reopens": case.reopens, "state": state_word(case), "standing": case.standing.word(), "deadline_at": case.deadline_at,
        "not_reached": case.not_reached, "contained_at": case.contained_at, "contain_override_at": case.contain_override_at, "exempt_until": case.exempt_until, "snoozed_until": case.snoozed_until, "reach_by": case.reach_by, "safe_at": case.safe_at, "closed_reason": case.closed_reason,
    })
}

async fn list(app: &App, open_only: bool) -> anyhow::Result<Said> {
    let mut tx = app.store.read().await?;
    let (mut lines, mut all, mut after) = (Vec::new(), Vec::new(), CaseId(0));
    loop {
        let page = tx.cases(after, open_only, 1_000).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        lines.extend(page.iter().map(line));
        all.extend(page.iter().map(document));
    }
    let text = if lines.is_empty() {
        "no cases".to_owned()
    } else {
        lines.join("\n")
    };
    Ok(Said::words(text, json!(all)))
}

async fn show(app: &App, id: CaseId) -> anyhow::Result<Said> {
    let mut tx = app.store.read().await?;
    let Some(case) = tx.case(id).await? else {
        anyhow::bail!("there is no case {id}; `bell case list --all` shows them")
    };
    let history = tx.case_history(id).await?;
    let stories = tx.stories(id).await?;
    let replies = tx.replies(id).await?;
    let mut text = line(&case);
    if let Some(before) = case.reopens {
        text.push_str(&format!(
            "\n  reopens case {before}, which was closed and found again"
        ));
    }
    if let Some(reason) = case.closed_reason {
        text.push_str(&format!("\n  closed: {}", reason.text()));
        if case.standing == Standing::Verified {
            text.push_str("; a later audit looked at the new password and did not find it bad");
        }
    }
    for reply in &replies {
        text.push_str(&format!(
            "\n  {} said {} ({}), grade {}: closes nothing",
            reply.said_at,
            reply.said.word(),
            reply.by_way.word(),
            reply.grade.word()
        ));
    }
    text.push_str("\n  history");
    for entry in &history {
        text.push_str(&format!(
            "\n    {}  {:<22} {:<10} {}",
            entry.at,
            entry.act,
            entry.actor,
            entry.detail.as_deref().unwrap_or("")
        ));
    }
    text.push_str("\n  letters");
    for story in &stories {
        for line in super::delivery::tell(story).lines() {
            text.push_str(&format!("\n    {line}"));
        }
    }
    Ok(Said::words(
        text,
        json!({ "case": document(&case), "history": history, "letters": stories, "replies": replies }),
    ))
}

pub(super) async fn tasks(
    cli: &Cli,
    app: &App,
    ended: Option<i64>,
    note: Option<&str>,
) -> anyhow::Result<Said> {
    if let (Some(id), Some(note)) = (ended, note) {
        let by = operator(cli, app)?;
        let mut tx = app.store.begin().await?;
        tx.end_task(id, note, &by, app.clock.now())
            .await
            .map_err(|error| match error {
                StoreError::Lost { .. } => misused(
                    "there is no open task of this number that is ended by hand; the others end by what is done about their cases",
                ),
                other => other.into(),
            })?;
        tx.commit().await?;
        return Ok(Said::words(
            format!("task {id}: done"),
            json!({ "task": id, "done": true }),
        ));
    }
    let mut tx = app.store.read().await?;
    let tasks = tx.tasks(10_000).await?;
    let letters = tx.others_due(Way::Letter, app.clock.now()).await?;
    let mut lines: Vec<String> = tasks
        .iter()
        .map(|task| {
            let about = task.case.map(|id| format!("case {id}")).unwrap_or_default();
            format!(
                "{:>7}  since {}  {:<10} {about:<12} {}",
                task.id, task.opened_at, task.kind, task.reason
            )
        })
        .collect();
    if letters > 0 {
        lines.push(format!(
            "{letters} letters wait to be printed: bell letters --out DIR"
        ));
    }
    let text = if lines.is_empty() {
        "nothing to do by hand".to_owned()
    } else {
        lines.join("\n")
    };
    Ok(Said::words(text, serde_json::to_value(&tasks)?))
}
