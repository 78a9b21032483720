//! Clocks: those who have to be told by law, started by being aware, with the hours left; and what was decided about them.

use serde::Serialize;

use super::incident::{load, thing};
use super::roles::{Act, Declined, declined, may};
use super::statement::reason;
use crate::app::App;
use crate::domain::duty::{Clock, Decided, Duty, Facts, Mark, Trigger, Verdict, check, clocks};
use crate::domain::{IncidentId, Moment};
use crate::store::{Incident, Tx};

/// One clock, and what is left of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ClockLeft {
    /// Of which incident.
    pub incident: IncidentId,
    /// Its public reference.
    pub reference: String,
    /// The clock.
    #[serde(flatten)]
    pub clock: Clock,
    /// Whole minutes until it is due, negative once it is late; none: it has not started, or is decided.
    pub minutes_left: Option<i64>,
    /// How far it is, while it runs.
    pub mark: Option<Mark>,
}

/// A decision about a duty.
#[derive(Clone, Copy, Debug)]
pub enum Decision<'a> {
    /// It went in.
    Reported {
        /// When; now if left out.
        at: Option<Moment>,
        /// The authority's number for it.
        reference: Option<&'a str>,
        /// Why it is late, if it is.
        reason: Option<&'a str>,
        /// What the authority, or the data protection officer, advised.
        advice: Option<&'a str>,
    },
    /// It is not reported.
    NotReported {
        /// Why.
        reason: &'a str,
        /// What the authority, or the data protection officer, advised.
        advice: Option<&'a str>,
        /// The second person who decided it: an operator.
        deputy: &'a str,
    },
}

/// Says since when something is true that starts clocks, such as that we are aware. Said again, the earliest counts.
pub async fn start(
    app: &App,
    id: IncidentId,
    trigger: Trigger,
    at: Moment,
    by: &str,
) -> anyhow::Result<Vec<ClockLeft>> {
    let act = Act::ClockStart;
    may(app, act, Some(&thing(id)), by).await?;
    let now = app.clock.now();
    if at > now {
        let why = "it cannot be true only after now";
        return Err(declined(app, act, Some(&thing(id)), by, why).await);
    }
    let mut tx = app.store.begin().await?;
    let incident = load(&mut tx, id).await?;
    tx.note_trigger(id, trigger, at, by, now).await?;
    let left = of(app, &mut tx, &incident).await?;
    tx.commit().await?;
    Ok(left)
}

/// The clocks of one incident, or of all.
pub async fn show(app: &App, id: Option<IncidentId>, by: &str) -> anyhow::Result<Vec<ClockLeft>> {
    let about = id.map(thing);
    may(app, Act::ClockRead, about.as_deref(), by).await?;
    let mut tx = app.store.read().await?;
    match id {
        Some(id) => {
            let incident = load(&mut tx, id).await?;
            of(app, &mut tx, &incident).await
        }
        None => all(app, &mut tx).await,
    }
}

/// Writes down a decision about a duty.
pub async fn decide(
    app: &App,
    id: IncidentId,
    duty: Duty,
    decision: &Decision<'_>,
    by: &str,
) -> anyhow::Result<Vec<ClockLeft>> {
    let act = Act::ClockDecide;
    may(app, act, Some(&thing(id)), by).await?;
    let now = app.clock.now();
    let decided = decided(duty, decision, by, now)?;
    let mut tx = app.store.begin().await?;
    let incident = load(&mut tx, id).await?;
    let clock = of(app, &mut tx, &incident)
        .await?
        .into_iter()
        .map(|left| left.clock)
        .find(|clock| clock.duty == duty)
        // One that the config does not name can be decided all the same.
        .unwrap_or(Clock {
            duty,
            started_at: None,
            due_at: None,
            decided: None,
        });
    let is_operator = decided
        .deputy
        .as_deref()
        .is_some_and(|deputy| app.is_operator(deputy));
    if let Err(why) = check(&decided, &clock, is_operator, now) {
        drop(tx);
        return Err(declined(app, act, Some(&thing(id)), by, why.to_string()).await);
    }
    tx.decide_duty(id, &decided, now).await?;
    let left = of(app, &mut tx, &incident).await?;
    tx.commit().await?;
    Ok(left)
}

fn decided(
    duty: Duty,
    decision: &Decision<'_>,
    by: &str,
    now: Moment,
) -> Result<Decided, Declined> {
    Ok(match decision {
        Decision::Reported {
            at,
            reference,
            reason: why,
            advice,
        } => Decided {
            duty,
            verdict: Verdict::Reported,
            at: at.unwrap_or(now),
            reference: reference.map(reason).transpose()?,
            reason: why.map(reason).transpose()?,
            advice: advice.map(reason).transpose()?,
            deputy: None,
            by: by.to_owned(),
        },
        Decision::NotReported {
            reason: why,
            advice,
            deputy,
        } => Decided {
            duty,
            verdict: Verdict::NotReported,
            at: now,
            reference: None,
            reason: Some(reason(why)?),
            advice: advice.map(reason).transpose()?,
            deputy: Some(deputy.trim().to_owned()),
            by: by.to_owned(),
        },
    })
}

/// The clocks of one incident.
pub(super) async fn of(
    app: &App,
    tx: &mut Tx,
    incident: &Incident,
) -> anyhow::Result<Vec<ClockLeft>> {
    let started = tx.triggers().await?;
    left(app, tx, incident, &started).await
}

/// The clocks of all incidents of which something was said that starts any.
pub(super) async fn all(app: &App, tx: &mut Tx) -> anyhow::Result<Vec<ClockLeft>> {
    let started = tx.triggers().await?;
    let mut ids: Vec<IncidentId> = started.iter().map(|(id, ..)| *id).collect();
    ids.dedup();
    let mut all = Vec::new();
    for id in ids {
        let incident = load(tx, id).await?;
        all.extend(left(app, tx, &incident, &started).await?);
    }
    Ok(all)
}

async fn left(
    app: &App,
    tx: &mut Tx,
    incident: &Incident,
    started: &[(IncidentId, Trigger, Moment)],
) -> anyhow::Result<Vec<ClockLeft>> {
    let since: Vec<(Trigger, Moment)> = started
        .iter()
        .filter(|(id, ..)| *id == incident.id)
        .map(|(_, trigger, at)| (*trigger, *at))
        .collect();
    if since.is_empty() {
        return Ok(Vec::new());
    }
    let decided = tx.duty_decisions(incident.id).await?;
    let facts = Facts {
        since: &since,
        decided: &decided,
        calendar: &app.calendar,
        sec: &app.sec,
    };
    let now = app.clock.now();
    let left = clocks(&app.config.communications.duties, &facts)
        .into_iter()
        .map(|clock| {
            let running = clock.started_at.zip(clock.due_at);
            let running = running.filter(|_| clock.decided.is_none());
            ClockLeft {
                incident: incident.id,
                reference: incident.reference.clone(),
                minutes_left: running.map(|(_, due)| due.since(now).num_minutes()),
                mark: running.map(|(started, due)| Mark::at(started, due, now)),
                clock,
            }
        });
    Ok(left.collect())
}
