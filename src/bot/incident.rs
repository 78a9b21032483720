//! `/incident …`: thin words for the desk.

use anyhow::{Context, bail};
use chrono_tz::Tz;

use super::answer::{Answer, plain};
use super::asked::Command;
use super::{Bot, when};
use crate::app::App;
use crate::desk::incident;
use crate::domain::incident::IncidentState;
use crate::domain::{IncidentId, Moment};
use crate::store::Incident;

/// As many are shown at once.
const SHOWN: usize = 10;

pub(super) async fn command(
    bot: &Bot,
    by: &str,
    words: &[&str],
    command: &Command,
) -> anyhow::Result<Answer> {
    let app = &bot.app;
    let zone = app.calendar.zone();
    let next = moment(app, command, "next_update")?;
    match words {
        ["open"] => {
            let title = command.get("title").unwrap_or_default();
            let opened = incident::open(app, title, next, by).await?;
            Ok(Answer::Words(format!(
                "Opened. Its post goes out with the next announcement.\n{}",
                line(&opened, zone)
            )))
        }
        ["state"] => {
            let state = command
                .get("state")
                .and_then(IncidentState::from_word)
                .context("there is no such state; please choose one from the list")?;
            let moved = incident::move_to(app, id(command)?, state, next, by).await?;
            Ok(Answer::Words(line(&moved, zone)))
        }
        ["show"] => show(app, by).await,
        _ => bail!("there is no such command any more; please look at /help"),
    }
}

async fn show(app: &App, _by: &str) -> anyhow::Result<Answer> {
    let zone = app.calendar.zone();
    let shown = incident::show(app).await?;
    let mut text: Vec<String> = shown
        .incidents
        .iter()
        .take(SHOWN)
        .map(|incident| line(incident, zone))
        .collect();
    match shown.incidents.len() {
        0 => text.push("There is no incident.".to_owned()),
        all if all > SHOWN => text.push(format!("… and {} older ones", all - SHOWN)),
        _ => {}
    }
    let figures = shown.figures.lines().into_iter();
    text.extend(figures.map(|(label, value)| format!("{label}: **{value}**")));
    Ok(Answer::Words(text.join("\n")))
}

/// Those whose number, reference or title holds what is typed, newest first.
pub(super) async fn suggest(app: &App, typed: &str) -> anyhow::Result<Vec<(String, String)>> {
    let typed = typed.to_lowercase();
    let mut tx = app.store.read().await?;
    let found = tx.incidents().await?.into_iter().map(|incident| {
        let state = incident.state.word();
        let name = format!("{}: {} ({state})", incident.reference, incident.title);
        (name, incident.id.to_string())
    });
    Ok(found
        .filter(|(name, id)| name.to_lowercase().contains(&typed) || *id == typed)
        .take(25)
        .collect())
}

/// The incident that is meant.
pub(super) fn id(command: &Command) -> anyhow::Result<IncidentId> {
    command
        .get("incident")
        .and_then(|text| text.parse().ok())
        .context("please choose an incident from the list")
}

/// A moment, if one was given.
pub(super) fn moment(app: &App, command: &Command, name: &str) -> anyhow::Result<Option<Moment>> {
    let read = |text| when::read(text, app.clock.now(), app.calendar.zone());
    Ok(command.get(name).map(read).transpose()?)
}

pub(super) fn line(incident: &Incident, zone: Tz) -> String {
    let next = incident
        .next_update_at
        .map(|at| format!(", next update by {}", when::shown(at, zone)))
        .unwrap_or_default();
    format!(
        "**{}** {}: {} since {}{next}",
        plain(&incident.reference),
        plain(&incident.title),
        incident.state.word(),
        when::shown(incident.changed_at, zone),
    )
}
