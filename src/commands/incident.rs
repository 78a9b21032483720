//! `bell incident …`: thin words for the desk.

use super::{Said, operator};
use crate::app::App;
use crate::cli::{Cli, Decide, Incident as Command, IncidentState as Word, PartnerCommand};
use crate::desk::clock::{ClockLeft, Decision};
use crate::desk::incident::Log;
use crate::desk::{clock, incident, partner, posts};
use crate::domain::duty::Verdict;
use crate::domain::incident::IncidentState;
use crate::store::{Entry, Incident, Partner, PartnerDraft};

pub(super) async fn run(cli: &Cli, app: &App, command: &Command) -> anyhow::Result<Said> {
    if let Command::Show = command {
        return show(app).await;
    }
    let by = operator(cli, app)?;
    match command {
        Command::Show => show(app).await,
        Command::Open { title, next_update } => {
            one(&incident::open(app, title, *next_update, &by).await?)
        }
        Command::State {
            id,
            state,
            next_update,
        } => one(&incident::move_to(app, *id, word(*state), *next_update, &by).await?),
        Command::Promise { id, at } => one(&incident::promise(app, *id, *at, &by).await?),
        Command::Partner(command) => partners(app, command, &by).await,
        Command::Aware { id, trigger, at } => {
            clocks(&clock::start(app, *id, *trigger, *at, &by).await?)
        }
        Command::Clock { id } => clocks(&clock::show(app, *id, &by).await?),
        Command::Decide(options) => decide(app, options, &by).await,
        Command::Log { id } => {
            let log = incident::log(app, *id, &by).await?;
            Ok(Said::words(story(&log), serde_json::to_value(&log)?))
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

async fn show(app: &App) -> anyhow::Result<Said> {
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

fn one(incident: &Incident) -> anyhow::Result<Said> {
    Ok(Said::words(line(incident), serde_json::to_value(incident)?))
}

async fn partners(app: &App, command: &PartnerCommand, by: &str) -> anyhow::Result<Said> {
    let all = match command {
        PartnerCommand::List { incident } => partner::list(app, *incident, by).await?,
        PartnerCommand::Add {
            incident,
            name,
            contact,
            reference,
            wording,
        } => {
            let new = PartnerDraft {
                name,
                contact,
                reference: reference.as_deref(),
                wording: wording.as_deref(),
            };
            vec![partner::add(app, *incident, &new, by).await?]
        }
        PartnerCommand::Edit {
            id,
            reference,
            wording,
        } => {
            let edit = partner::PartnerEdit {
                reference: reference.as_deref(),
                wording: wording.as_deref(),
            };
            vec![partner::edit(app, *id, &edit, by).await?]
        }
        PartnerCommand::Clear {
            id,
            cleared_with,
            at,
        } => vec![partner::clear(app, *id, cleared_with, *at, by).await?],
    };
    let text: Vec<String> = all.iter().map(partner_line).collect();
    Ok(Said::words(text.join("\n"), serde_json::to_value(&all)?))
}

async fn decide(app: &App, options: &Decide, by: &str) -> anyhow::Result<Said> {
    let decision = match (&options.reason, &options.deputy) {
        (Some(reason), Some(deputy)) if options.not_reported => {
            let advice = options.advice.as_deref();
            Decision::NotReported {
                reason,
                advice,
                deputy,
            }
        }
        _ => Decision::Reported {
            at: options.at,
            reference: options.reference.as_deref(),
            reason: options.reason.as_deref(),
            advice: options.advice.as_deref(),
        },
    };
    clocks(&clock::decide(app, options.id, options.duty, &decision, by).await?)
}

fn clocks(all: &[ClockLeft]) -> anyhow::Result<Said> {
    let is_late = all
        .iter()
        .any(|left| left.minutes_left.is_some_and(|minutes| minutes < 0));
    let text = match all {
        [] => "no clock runs; say since when you are aware: bell incident aware NUMBER --at TIME"
            .to_owned(),
        all => all.iter().map(clock_line).collect::<Vec<_>>().join("\n"),
    };
    Ok(Said::words(text, serde_json::to_value(all)?).look_if(is_late))
}

fn clock_line(left: &ClockLeft) -> String {
    let clock = &left.clock;
    let stands = match (&clock.decided, left.minutes_left) {
        (Some(decided), _) => {
            let what = match decided.verdict {
                Verdict::Reported => "reported",
                Verdict::NotReported => "not to be reported",
            };
            let more: String = [
                decided
                    .reference
                    .as_ref()
                    .map(|one| format!(", reference {one}")),
                decided.reason.as_ref().map(|why| format!(": {why}")),
                decided
                    .advice
                    .as_ref()
                    .map(|what| format!(", advised: {what}")),
                decided.deputy.as_ref().map(|name| format!(", with {name}")),
            ]
            .into_iter()
            .flatten()
            .collect();
            format!("{what} at {} by {}{more}", decided.at, decided.by)
        }
        (None, Some(minutes)) if minutes < 0 => {
            format!("LATE by {} h {} min", -minutes / 60, -minutes % 60)
        }
        (None, Some(minutes)) => format!("{} h {} min left", minutes / 60, minutes % 60),
        (None, None) => "not started".to_owned(),
    };
    let due = clock
        .due_at
        .map(|due| format!(", due {due}"))
        .unwrap_or_default();
    format!(
        "{} {:<18} {stands}{due}\n  {}",
        left.reference,
        clock.duty.word(),
        clock.duty.in_words()
    )
}

fn partner_line(partner: &Partner) -> String {
    let wording = match (&partner.wording, partner.cleared_at) {
        (None, _) => "no wording yet".to_owned(),
        (Some(wording), None) => format!("NOT cleared: {wording:?}"),
        (Some(wording), Some(at)) => format!(
            "cleared {at} with {}: {wording:?}",
            partner.cleared_with.as_deref().unwrap_or_default()
        ),
    };
    let reference = partner
        .reference
        .as_ref()
        .map(|reference| format!(", reference {reference}"))
        .unwrap_or_default();
    format!(
        "partner {}: {} ({}){reference}; {wording}",
        partner.id, partner.name, partner.contact
    )
}

fn story(log: &Log) -> String {
    let mut lines = vec![line(&log.incident)];
    lines.extend(log.statements.iter().map(super::statement::line));
    lines.extend(log.partners.iter().map(partner_line));
    lines.extend(log.clocks.iter().map(clock_line));
    lines.extend(log.entries.iter().map(entry_line));
    lines.join("\n")
}

/// One row of the ledger, without its particulars.
pub(super) fn entry_line(entry: &Entry) -> String {
    format!(
        "{}  {:<14} {:<26} {}",
        entry.at,
        entry.actor,
        entry.act,
        entry.thing.as_deref().unwrap_or_default()
    )
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
