//! `bell case unreached|assign|missed|reply|snooze|resting`: people who are not reached, what people say, and cases that rest.

use chrono::TimeDelta;
use serde_json::json;

use super::case::{document, done, line};
use super::{Said, misused, operator};
use crate::app::App;
use crate::cli::{Case as Command, Cli};
use crate::domain::case::CaseState;
use crate::domain::finding::Category;
use crate::domain::reply::OutOfReach;
use crate::domain::{CaseId, Moment};
use crate::steps;
use crate::store::{self, CaseRow, Tx};

/// The longest that one operator may let a case rest.
const LONGEST_SNOOZE: TimeDelta = TimeDelta::days(7);

/// What of `bell case` is about people.
pub(super) async fn run(cli: &Cli, app: &App, command: &Command) -> anyhow::Result<Said> {
    match command {
        Command::Assign { id, to } => assign(cli, app, *id, to).await,
        Command::Missed { id, why } => missed(cli, app, *id, *why).await,
        Command::Reply {
            id,
            said,
            by,
            at,
            grade,
        } => {
            let now = app.clock.now();
            let said = store::Said {
                said: *said,
                by_way: *by,
                said_at: at.unwrap_or(now).min(now),
                noted_by: operator(cli, app)?,
                grade: *grade,
            };
            reply(app, *id, &said).await
        }
        Command::Snooze { id, until, reason } => snooze(cli, app, *id, *until, reason).await,
        Command::Resting => resting(app).await,
        _ => unreached(app).await,
    }
}

/// A case that is not over.
async fn open(tx: &mut Tx, id: CaseId) -> anyhow::Result<CaseRow> {
    let Some(case) = tx.case(id).await? else {
        anyhow::bail!("there is no case {id}; `bell case list --all` shows them")
    };
    if matches!(case.state, CaseState::Closed { .. }) {
        return Err(misused(
            "the case is closed; there is nothing left to do about it",
        ));
    }
    Ok(case)
}

async fn unreached(app: &App) -> anyhow::Result<Said> {
    let now = app.clock.now();
    let all = app.store.read().await?.unreached(10_000).await?;
    let lines: Vec<String> = all
        .iter()
        .map(|one| {
            let due = match one.deadline_at {
                Some(at) if at < now => format!("overdue since {at}"),
                Some(at) => format!("due {at}"),
                None => String::new(),
            };
            let by = one.by.as_deref().unwrap_or("nobody yet");
            format!(
                "{:>7}  {:<12} {:<24} {:<22} {by:<12} {due}",
                one.case, one.category, one.department, one.why
            )
            .trim_end()
            .to_owned()
        })
        .collect();
    let text = if lines.is_empty() {
        "everybody who has to be told has been reached".to_owned()
    } else {
        lines.join("\n")
    };
    Ok(Said::words(text, serde_json::to_value(&all)?))
}

async fn assign(cli: &Cli, app: &App, id: CaseId, to: &str) -> anyhow::Result<Said> {
    let by = operator(cli, app)?;
    if !app.is_operator(to) {
        return Err(misused("the config has no operator of this name"));
    }
    let mut tx = app.store.begin().await?;
    open(&mut tx, id).await?;
    tx.assign_case(id, to, &by, app.clock.now()).await?;
    tx.commit().await?;
    Ok(done(id, &format!("{to} sees to it")))
}

async fn missed(cli: &Cli, app: &App, id: CaseId, why: OutOfReach) -> anyhow::Result<Said> {
    let by = operator(cli, app)?;
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let case = open(&mut tx, id).await?;
    let deadline = steps::calls::deadline_of(app, &case, now);
    tx.miss_case(&case, why, deadline, &by, now).await?;
    tx.commit().await?;
    Ok(done(id, "among those who are not reached"))
}

async fn reply(app: &App, id: CaseId, said: &store::Said) -> anyhow::Result<Said> {
    let mut tx = app.store.begin().await?;
    open(&mut tx, id).await?;
    tx.add_reply(id, said, app.clock.now()).await?;
    tx.commit().await?;
    Ok(done(id, said.said.consequence()))
}

async fn snooze(
    cli: &Cli,
    app: &App,
    id: CaseId,
    until: Moment,
    reason: &str,
) -> anyhow::Result<Said> {
    let by = operator(cli, app)?;
    let now = app.clock.now();
    if until <= now || until.since(now) > LONGEST_SNOOZE {
        return Err(misused(
            "a snooze ends in the future, within seven days; for longer, two people `bell case exempt`",
        ));
    }
    let case = open(&mut app.store.read().await?, id).await?;
    if case.claim.category == Category::Compromised {
        return Err(misused(
            "nobody lets a compromised account rest alone; two people `bell case exempt`",
        ));
    }
    if case.deadline_at.is_some_and(|deadline| until > deadline) {
        return Err(misused(
            "a snooze does not outlast the deadline; for longer, two people `bell case exempt`",
        ));
    }
    steps::exempt::snooze(app, id, until, reason, &by).await?;
    Ok(done(id, "rests; it comes back by itself, and stays due"))
}

async fn resting(app: &App) -> anyhow::Result<Said> {
    let now = app.clock.now();
    let cases = app.store.read().await?.resting(10_000).await?;
    let lines: Vec<String> = cases
        .iter()
        .map(|case| {
            let rest = |what, until: Option<Moment>| {
                let until = until?;
                let is_over = if until <= now { " (over)" } else { "" };
                Some(format!("{what} until {until}{is_over}"))
            };
            let rests = [
                rest("exempt", case.exempt_until),
                rest("snoozed", case.snoozed_until),
            ];
            let rests: Vec<String> = rests.into_iter().flatten().collect();
            format!("{}  {}", line(case), rests.join(", "))
        })
        .collect();
    let text = if lines.is_empty() {
        "no case is exempt or snoozed".to_owned()
    } else {
        lines.join("\n")
    };
    Ok(Said::words(
        text,
        json!(cases.iter().map(document).collect::<Vec<_>>()),
    ))
}
