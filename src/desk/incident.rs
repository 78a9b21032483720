//! Incidents: opened, moved, shown. Every act is an operator's, and in the ledger.

use anyhow::{Context, ensure};
use serde::Serialize;

use crate::app::App;
use crate::config::Role;
use crate::domain::figures::Figures;
use crate::domain::incident::IncidentState;
use crate::domain::{IncidentId, Moment};
use crate::store::Incident;

/// The incidents, and the figures they tell of.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Shown {
    /// Newest first.
    pub incidents: Vec<Incident>,
    /// As of now.
    pub figures: Figures,
}

pub(super) fn may(app: &App, by: &str) -> anyhow::Result<()> {
    ensure!(
        app.has_role(by, Role::Communications) || app.has_role(by, Role::Security),
        "incidents are opened and moved by an operator with the role communications or security"
    );
    Ok(())
}

/// Opens an incident. Its status post goes out with the next announcement.
pub async fn open(
    app: &App,
    title: &str,
    next_update_at: Option<Moment>,
    by: &str,
) -> anyhow::Result<Incident> {
    may(app, by)?;
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
    may(app, by)?;
    let mut tx = app.store.begin().await?;
    tx.move_incident(id, state, by, next_update_at, app.clock.now())
        .await?;
    let incident = tx
        .incidents()
        .await?
        .into_iter()
        .find(|incident| incident.id == id);
    tx.commit().await?;
    incident.with_context(|| format!("there is no incident {id}"))
}

/// All incidents, with the figures.
pub async fn show(app: &App) -> anyhow::Result<Shown> {
    let mut tx = app.store.read().await?;
    Ok(Shown {
        incidents: tx.incidents().await?,
        figures: tx.figures(app.clock.now()).await?,
    })
}
