//! `bell incident …`: thin words for the desk.

use super::{Said, operator};
use crate::app::App;
use crate::cli::{Cli, Incident as Command, IncidentState as Word};
use crate::desk::incident;
use crate::domain::incident::IncidentState;
use crate::store::Incident;

pub(super) async fn run(cli: &Cli, app: &App, command: &Command) -> anyhow::Result<Said> {
    match command {
        Command::Open { title, next_update } => {
            let opened = incident::open(app, title, *next_update, &operator(cli, app)?).await?;
            Ok(Said::words(line(&opened), serde_json::to_value(&opened)?))
        }
        Command::State {
            id,
            state,
            next_update,
        } => {
            let moved =
                incident::move_to(app, *id, word(*state), *next_update, &operator(cli, app)?)
                    .await?;
            Ok(Said::words(line(&moved), serde_json::to_value(&moved)?))
        }
        Command::Show => {
            let shown = incident::show(app).await?;
            let mut text: Vec<String> = shown.incidents.iter().map(line).collect();
            text.extend(
                shown
                    .figures
                    .lines()
                    .into_iter()
                    .map(|(label, value)| format!("  {label:<36} {value}")),
            );
            Ok(Said::words(text.join("\n"), serde_json::to_value(&shown)?))
        }
    }
}

const fn word(state: Word) -> IncidentState {
    match state {
        Word::Investigating => IncidentState::Investigating,
        Word::Identified => IncidentState::Identified,
        Word::Contained => IncidentState::Contained,
        Word::Monitoring => IncidentState::Monitoring,
        Word::Resolved => IncidentState::Resolved,
    }
}

fn line(incident: &Incident) -> String {
    let next = incident
        .next_update_at
        .map(|at| format!(", next update by {at}"))
        .unwrap_or_default();
    format!(
        "incident {}: {} {:?}, {}{next}",
        incident.id,
        incident.reference,
        incident.title,
        incident.state.word()
    )
}
