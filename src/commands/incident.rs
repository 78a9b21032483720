//! `bell incident …`: thin words for the desk.

use super::{Said, operator};
use crate::app::App;
use crate::cli::{Cli, Incident as Command, IncidentState as Word};
use crate::desk::{incident, posts};
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
        Command::Posts => {
            let shown = posts::show(app).await?;
            let asks = shown.iter().any(|one| one.asks());
            let text = match shown.is_empty() {
                true => "nothing was said yet".to_owned(),
                false => shown.iter().map(post).collect::<Vec<_>>().join("\n"),
            };
            Ok(Said::words(text, serde_json::to_value(&shown)?).look_if(asks))
        }
        Command::Posted {
            id, yes, message, ..
        } => {
            let by = operator(cli, app)?;
            let decided = posts::decide(app, *id, *yes, message.as_deref(), &by).await?;
            Ok(Said::words(post(&decided), serde_json::to_value(&decided)?))
        }
    }
}

fn post(shown: &posts::Shown) -> String {
    let post = &shown.post;
    let trouble = post
        .trouble
        .map(|trouble| format!(": {}", trouble.advice()))
        .unwrap_or_default();
    format!(
        "post {}: {} of {} on {}, {}{trouble}",
        post.id,
        post.what,
        shown.reference,
        post.channel,
        post.state.in_words()
    )
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
