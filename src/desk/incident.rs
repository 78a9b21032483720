//! Incidents: opened, moved, promised about, shown, told. Every act is an operator's, and in the ledger.

use anyhow::ensure;
use serde::Serialize;

use super::clock::{self, ClockLeft};
use super::roles::{Act, Declined, declined, is_allowed, may};
use crate::app::App;
use crate::domain::figures::Figures;
use crate::domain::incident::IncidentState;
use crate::domain::{IncidentId, Moment};
use crate::store::{Entry, Incident, Partner, Statement, Tx};

/// The incidents, and the figures they tell of.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Shown {
    /// Newest first.
    pub incidents: Vec<Incident>,
    /// As of now.
    pub figures: Figures,
}

/// An incident's whole story.
#[derive(Clone, Debug, Serialize)]
pub struct Log {
    /// As it is now.
    pub incident: Incident,
    /// Its statements, newest first.
    pub statements: Vec<Statement>,
    /// Whom it is spoken about with.
    pub partners: Vec<Partner>,
    /// The regulators' clocks, for those who may see them.
    pub clocks: Vec<ClockLeft>,
    /// What the ledger says of it and of its statements, oldest first.
    pub entries: Vec<Entry>,
}

/// What the ledger calls an incident.
pub(super) fn thing(id: IncidentId) -> String {
    format!("incident:{id}")
}

/// The incident, or a no that says which there is not.
pub(super) async fn load(tx: &mut Tx, id: IncidentId) -> anyhow::Result<Incident> {
    tx.incident(id).await?.ok_or_else(|| {
        Declined(format!(
            "there is no incident {id}; bell incident show lists them"
        ))
        .into()
    })
}

/// Opens an incident. Its status post goes out with the next announcement.
pub async fn open(
    app: &App,
    title: &str,
    next_update_at: Option<Moment>,
    by: &str,
) -> anyhow::Result<Incident> {
    may(app, Act::IncidentOpen, None, by).await?;
    let title: String = title.split_whitespace().collect::<Vec<_>>().join(" ");
    ensure!(
        !title.is_empty() && title.chars().count() <= 200,
        "an incident's title has 1 to 200 characters"
    );
    ensure!(
        !title.contains('@') && !title.chars().any(crate::domain::address::is_bidi),
        "an incident's title is public: no addresses, no mentions"
    );
    let mut tx = app.store.begin().await?;
    let incident = tx
        .open_incident(&title, by, next_update_at, app.clock.now())
        .await?;
    tx.commit().await?;
    Ok(incident)
}

/// Moves an incident to another state.
pub async fn move_to(
    app: &App,
    id: IncidentId,
    state: IncidentState,
    next_update_at: Option<Moment>,
    by: &str,
) -> anyhow::Result<Incident> {
    may(app, Act::IncidentMove, Some(&thing(id)), by).await?;
    let mut tx = app.store.begin().await?;
    tx.move_incident(id, state, by, next_update_at, app.clock.now())
        .await?;
    let incident = load(&mut tx, id).await?;
    tx.commit().await?;
    Ok(incident)
}

/// Promises to say more by then. What was promised before stays promised until something is said.
pub async fn promise(
    app: &App,
    id: IncidentId,
    next_update_at: Moment,
    by: &str,
) -> anyhow::Result<Incident> {
    let act = Act::IncidentPromise;
    may(app, act, Some(&thing(id)), by).await?;
    let now = app.clock.now();
    if next_update_at <= now {
        let why =
            "the next update is promised for a moment that has passed; say when people hear more";
        return Err(declined(app, act, Some(&thing(id)), by, why).await);
    }
    let before = load(&mut app.store.read().await?, id).await?;
    if before.state == IncidentState::Resolved {
        let why = "a resolved incident promises nothing; move it to another state first";
        return Err(declined(app, act, Some(&thing(id)), by, why).await);
    }
    let mut tx = app.store.begin().await?;
    tx.promise_update(id, next_update_at, by, now).await?;
    let incident = load(&mut tx, id).await?;
    tx.commit().await?;
    Ok(incident)
}

/// All incidents, with the figures: counts only.
pub async fn show(app: &App) -> anyhow::Result<Shown> {
    let mut tx = app.store.read().await?;
    Ok(Shown {
        incidents: tx.incidents().await?,
        figures: tx.figures(app.clock.now()).await?,
    })
}

/// The whole story: states, promises, statements, partners and clocks.
pub async fn log(app: &App, id: IncidentId, by: &str) -> anyhow::Result<Log> {
    may(app, Act::IncidentRead, Some(&thing(id)), by).await?;
    let mut tx = app.store.read().await?;
    let incident = load(&mut tx, id).await?;
    let statements = tx.statements(Some(id)).await?;
    let mut things = vec![thing(id)];
    things.extend(statements.iter().map(|one| super::statement::thing(one.id)));
    let clocks = match is_allowed(app, Act::ClockRead, by) {
        true => clock::of(app, &mut tx, &incident).await?,
        false => Vec::new(),
    };
    let mut entries = tx.ledger_about(&things).await?;
    if !is_allowed(app, Act::ClockRead, by) {
        entries.retain(|entry| !entry.act.starts_with("duty.") && entry.act != "incident.aware");
    }
    Ok(Log {
        statements,
        partners: tx.partners(id).await?,
        clocks,
        entries,
        incident,
    })
}
