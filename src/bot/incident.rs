//! `/incident …`: thin words for the desk.

use anyhow::{Context, bail};
use chrono_tz::Tz;

use super::answer::{Answer, plain};
use super::asked::Command;
use super::{Bot, when};
use crate::app::App;
use crate::desk::{incident, partner};
use crate::domain::incident::IncidentState;
use crate::domain::{IncidentId, Moment};
use crate::store::{Entry, Incident, Partner, PartnerDraft};

/// As many are shown at once.
const SHOWN: usize = 10;

/// As many lines of a story are shown.
const STORY: usize = 25;

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
        ["promise"] => {
            let next = next.context("please say when people hear more, as 14:30")?;
            let promised = incident::promise(app, id(command)?, next, by).await?;
            Ok(Answer::Words(line(&promised, zone)))
        }
        ["show"] => show(app, by).await,
        ["log"] => log(app, by, id(command)?).await,
        ["partner", "add"] => {
            let new = PartnerDraft {
                name: command.get("name").unwrap_or_default(),
                contact: command.get("contact").unwrap_or_default(),
                reference: command.get("reference"),
                wording: command.get("wording"),
            };
            let added = partner::add(app, id(command)?, &new, by).await?;
            Ok(Answer::Words(of_partner(&added, zone)))
        }
        ["partner", "list"] => {
            let all = partner::list(app, id(command)?, by).await?;
            let lines: Vec<String> = all.iter().map(|one| of_partner(one, zone)).collect();
            Ok(Answer::Words(match lines.is_empty() {
                true => "Nobody is written down for this incident.".to_owned(),
                false => lines.join("\n"),
            }))
        }
        ["partner", "clear"] => {
            let which = command
                .get("partner")
                .and_then(|text| text.parse().ok())
                .context("please choose a partner from the list")?;
            let with = command.get("with").unwrap_or_default();
            let cleared = partner::clear(app, which, with, None, by).await?;
            Ok(Answer::Words(of_partner(&cleared, zone)))
        }
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

async fn log(app: &App, by: &str, id: IncidentId) -> anyhow::Result<Answer> {
    let zone = app.calendar.zone();
    let log = incident::log(app, id, by).await?;
    let mut lines = vec![line(&log.incident, zone)];
    lines.extend(log.statements.iter().map(|one| {
        format!(
            "Statement {} for {}: {}",
            one.id,
            one.audience.word(),
            one.state.word()
        )
    }));
    lines.extend(log.partners.iter().map(|one| of_partner(one, zone)));
    lines.extend(story(&log.entries, zone));
    Ok(Answer::Words(lines.join("\n")))
}

/// The last lines of the ledger about something.
pub(super) fn story(entries: &[Entry], zone: Tz) -> Vec<String> {
    let left_out = entries.len().saturating_sub(STORY);
    let mut lines = Vec::new();
    if left_out > 0 {
        lines.push(format!("… {left_out} earlier lines"));
    }
    lines.extend(entries.iter().skip(left_out).map(|entry| {
        let (act, actor) = (plain(&entry.act), plain(&entry.actor));
        format!("{}: {act} by {actor}", when::shown(entry.at, zone))
    }));
    lines
}

fn of_partner(partner: &Partner, zone: Tz) -> String {
    let mut line = format!(
        "Partner {}: **{}**, {}",
        partner.id,
        plain(&partner.name),
        plain(&partner.contact)
    );
    if let Some(reference) = &partner.reference {
        line.push_str(&format!(", their reference {}", plain(reference)));
    }
    match (&partner.wording, partner.cleared_at) {
        (None, _) => line.push_str("; no wording yet"),
        (Some(wording), None) => {
            line.push_str(&format!("; not cleared yet: {}", plain(wording)));
        }
        (Some(wording), Some(at)) => {
            let at = when::shown(at, zone);
            line.push_str(&format!("; cleared on {at}: {}", plain(wording)));
        }
    }
    line
}

/// Partners of the newest incidents whose line holds what is typed.
pub(super) async fn suggest_partners(
    app: &App,
    by: &str,
    typed: &str,
) -> anyhow::Result<Vec<(String, String)>> {
    let typed = typed.to_lowercase();
    let incidents = app.store.read().await?.incidents().await?;
    let mut found = Vec::new();
    for incident in incidents.iter().take(SHOWN) {
        let all = partner::list(app, incident.id, by).await?;
        found.extend(all.into_iter().map(|one| {
            let name = format!("{} ({}, {})", one.name, one.contact, incident.reference);
            (name, one.id.to_string())
        }));
    }
    found.retain(|(name, _)| name.to_lowercase().contains(&typed));
    Ok(found)
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
