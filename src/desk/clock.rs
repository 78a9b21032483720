//! Clocks: those who have to be told by law, started by being aware, with the hours left; and what was decided about them.

use serde::Serialize;

use super::incident::{load, thing};
use super::roles::{Act, Declined, declined, may};
use super::statement::reason;
use crate::app::App;
use crate::domain::duty::{Clock, Decided, Duty, Mark, Verdict, check, clocks};
use crate::domain::{IncidentId, Moment};
use crate::store::{Incident, Tx};

/// One clock, and what is left of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ClockLeft {
    /// Of which incident.
    pub incident: IncidentId,
    /// Its public reference.
    pub reference: String,
    /// Since when we are aware.
    pub aware_at: Moment,
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
    },
    /// It is not reported.
    NotReported {
        /// Why.
        reason: &'a str,
        /// The second person who decided it: an operator.
        deputy: &'a str,
    },
}

/// Says since when we were reasonably certain: all clocks of the config start. Said again, the earliest counts.
pub async fn aware(
    app: &App,
    id: IncidentId,
    at: Moment,
    by: &str,
) -> anyhow::Result<Vec<ClockLeft>> {
    let act = Act::ClockStart;
    may(app, act, Some(&thing(id)), by).await?;
    let now = app.clock.now();
    if at > now {
        let why = "you cannot be aware of it after now";
        return Err(declined(app, act, Some(&thing(id)), by, why).await);
    }
    let mut tx = app.store.begin().await?;
    let incident = load(&mut tx, id).await?;
    tx.note_aware(id, at, by, now).await?;
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
        } => Decided {
            duty,
            verdict: Verdict::Reported,
            at: at.unwrap_or(now),
            reference: reference.map(reason).transpose()?,
            reason: why.map(reason).transpose()?,
            deputy: None,
            by: by.to_owned(),
        },
        Decision::NotReported {
            reason: why,
            deputy,
        } => Decided {
            duty,
            verdict: Verdict::NotReported,
            at: now,
            reference: None,
            reason: Some(reason(why)?),
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
    let aware = tx.aware().await?;
    let Some((_, aware_at)) = aware.into_iter().find(|(id, _)| *id == incident.id) else {
        return Ok(Vec::new());
    };
    left(app, tx, incident, aware_at).await
}

/// The clocks of all incidents that we are aware of.
pub(super) async fn all(app: &App, tx: &mut Tx) -> anyhow::Result<Vec<ClockLeft>> {
    let mut all = Vec::new();
    for (id, aware_at) in tx.aware().await? {
        let incident = load(tx, id).await?;
        all.extend(left(app, tx, &incident, aware_at).await?);
    }
    Ok(all)
}

async fn left(
    app: &App,
    tx: &mut Tx,
    incident: &Incident,
    aware_at: Moment,
) -> anyhow::Result<Vec<ClockLeft>> {
    let decided = tx.duty_decisions(incident.id).await?;
    let duties = &app.config.communications.duties;
    let now = app.clock.now();
    Ok(clocks(duties, aware_at, &decided, app.calendar.zone())
        .into_iter()
        .map(|clock| {
            let running = clock.due_at.filter(|_| clock.decided.is_none());
            ClockLeft {
                incident: incident.id,
                reference: incident.reference.clone(),
                aware_at,
                minutes_left: running.map(|due| due.since(now).num_minutes()),
                mark: running.map(|due| Mark::at(aware_at, due, now)),
                clock,
            }
        })
        .collect())
}
