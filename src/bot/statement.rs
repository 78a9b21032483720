//! `/statement …`: thin words for the desk. Long texts come by forms; a draft waits in the desk's channel, with buttons for
//! the second person, and what a button approves is what was seen: its back holds the hash of it.

use std::collections::BTreeMap;

use anyhow::{Context, bail};

use super::answer::{self, Answer, Button, Field, Form, plain};
use super::asked::Command;
use super::{Bot, incident, when};
use crate::app::App;
use crate::desk::statement::{self, Body, Edit, NewDraft, Preview};
use crate::domain::audience::Audience;
use crate::domain::statement::MOST_CHARS;
use crate::domain::{IncidentId, StatementId};
use crate::store::Statement;

/// The longest reason that the desk takes.
const REASON: usize = 500;

const OLD: &str = "this is from another time; please give the command again";

pub(super) async fn command(
    bot: &Bot,
    by: &str,
    words: &[&str],
    command: &Command,
) -> anyhow::Result<Answer> {
    let app = &bot.app;
    match words {
        ["draft"] => draft(bot, by, command).await,
        ["edit"] => {
            let old = statement::show(app, id(command)?, by).await?;
            let back = format!("st:edit:{}:{}", old.id, old.version);
            Ok(form(back, format!("Statement {}", old.id), &old.body))
        }
        ["preview"] => {
            let seen = statement::preview(app, id(command)?, by).await?;
            Ok(Answer::Words(shown(app, &seen)))
        }
        ["approve"] => {
            let seen = statement::preview(app, id(command)?, by).await?;
            Ok(Answer::Offer(shown(app, &seen), buttons(&seen)))
        }
        ["publish"] => {
            let out = statement::publish(app, id(command)?, by).await?;
            Ok(Answer::Words(format!(
                "Statement {} goes out with the next announcement.",
                out.id
            )))
        }
        ["schedule"] => {
            let at = incident::moment(app, command, "at")?.context("please say when, as 14:30")?;
            let waits = statement::schedule(app, id(command)?, at, by).await?;
            Ok(Answer::Words(format!(
                "Statement {} goes out by itself on {}, and not before.",
                waits.id,
                when::shown(at, app.calendar.zone())
            )))
        }
        ["cancel"] => {
            let left = statement::cancel(app, id(command)?, by).await?;
            Ok(Answer::Words(format!(
                "Statement {} is {} now.",
                left.id,
                left.state.word()
            )))
        }
        ["correct"] => {
            let old = statement::show(app, id(command)?, by).await?;
            let title = format!("A correction of statement {}", old.id);
            Ok(form(format!("st:correct:{}", old.id), title, &old.body))
        }
        ["withdraw"] => {
            let old = statement::show(app, id(command)?, by).await?;
            let title = format!("Withdraw statement {}", old.id);
            Ok(form(format!("st:withdraw:{}", old.id), title, ""))
        }
        ["history"] => history(app, by, id(command)?).await,
        _ => bail!("there is no such command any more; please look at /help"),
    }
}

async fn draft(bot: &Bot, by: &str, command: &Command) -> anyhow::Result<Answer> {
    let incident = incident::id(command)?;
    let audience = command
        .get("audience")
        .and_then(Audience::from_word)
        .context("there is no such audience; please choose one from the list")?;
    let Some(template) = command.get("template") else {
        let back = format!("st:draft:{incident}:{}", audience.word());
        let title = format!("A statement for {}", audience.word());
        return Ok(form(back, title, ""));
    };
    let new = NewDraft {
        incident,
        audience,
        channels: &[],
        text: Body::Template(template, &[]),
    };
    let drafted = statement::draft(&bot.app, &new, by).await?;
    Ok(Answer::Words(laid_out(bot, by, &drafted).await))
}

/// What a pressed button does.
pub(super) async fn press(bot: &Bot, by: &str, back: &[&str]) -> anyhow::Result<Answer> {
    match back {
        ["ok", id, hash] => {
            let id: StatementId = id.parse().context(OLD)?;
            let approved = statement::approve(&bot.app, id, Some(hash), by).await?;
            Ok(Answer::Settled(format!(
                "Approved by {}; `/statement publish` or `/statement schedule` puts it out.\n{}",
                plain(by),
                shown(&bot.app, &approved)
            )))
        }
        ["back", id, version] => {
            let old = current(&bot.app, by, id, version).await?;
            Ok(Answer::Form(Form {
                id: format!("st:back:{}:{}", old.id, old.version),
                title: format!("Send statement {} back", old.id),
                fields: vec![Field {
                    id: "reason",
                    label: "What has to be changed?",
                    text: String::new(),
                    most: REASON,
                }],
            }))
        }
        _ => bail!(OLD),
    }
}

/// What a form was for.
pub(super) async fn filled_in(
    bot: &Bot,
    by: &str,
    back: &[&str],
    fields: &BTreeMap<String, String>,
) -> anyhow::Result<Answer> {
    let app = &bot.app;
    let text = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let drafted = match back {
        ["draft", incident, audience] => {
            let incident: IncidentId = incident.parse().context(OLD)?;
            let new = NewDraft {
                incident,
                audience: Audience::from_word(audience).context(OLD)?,
                channels: &[],
                text: Body::Text(text("text")),
            };
            statement::draft(app, &new, by).await?
        }
        ["edit", id, version] => {
            let old = current(app, by, id, version).await?;
            let edit = Edit {
                text: Some(text("text")),
                ..Edit::default()
            };
            statement::edit(app, old.id, &edit, by).await?
        }
        ["correct", id] => {
            let id: StatementId = id.parse().context(OLD)?;
            statement::correct(app, id, text("text"), by).await?
        }
        ["withdraw", id] => {
            let id: StatementId = id.parse().context(OLD)?;
            statement::withdraw(app, id, text("text"), by).await?
        }
        ["back", id, version] => {
            let old = current(app, by, id, version).await?;
            let sent = statement::send_back(app, old.id, text("reason"), by).await?;
            return Ok(Answer::Settled(format!(
                "Statement {} was sent back by {} to {}:\n{}",
                sent.id,
                plain(by),
                plain(&sent.author),
                plain(text("reason"))
            )));
        }
        _ => bail!(OLD),
    };
    Ok(Answer::Words(laid_out(bot, by, &drafted).await))
}

/// The statement, if its text is still the one that somebody saw.
async fn current(app: &App, by: &str, id: &str, version: &str) -> anyhow::Result<Statement> {
    let id: StatementId = id.parse().context(OLD)?;
    let now = statement::show(app, id, by).await?;
    if now.version.to_string() != version {
        bail!("somebody has changed statement {id} meanwhile; please look at it again");
    }
    Ok(now)
}

/// Shows a draft at the desk, where a second person approves it or sends it back; what its author reads of that.
async fn laid_out(bot: &Bot, by: &str, drafted: &Statement) -> String {
    let kept = format!("Statement {} is kept, as a draft.", drafted.id);
    let seen = match statement::preview(&bot.app, drafted.id, by).await {
        Ok(seen) => seen,
        Err(error) => {
            let why = plain(&format!("{error:#}"));
            return format!("{kept} It cannot be shown as it is: {why}.");
        }
    };
    let text = shown(&bot.app, &seen);
    let Some(channel) = bot.settings.desk_channel else {
        return format!("{kept} A second person approves it with `/statement approve`.\n{text}");
    };
    let nonce = format!("st{}v{}", drafted.id, drafted.version);
    let body = answer::posted(&text, &buttons(&seen), &nonce);
    match bot.rest.post(channel.get(), &body).await {
        Ok(()) => format!("{kept} It waits in the desk's channel for a second person.\n{text}"),
        Err(trouble) => {
            tracing::warn!("a draft could not be shown in the desk's channel: {trouble}");
            format!(
                "{kept} It could not be shown in the desk's channel; a second person approves it with `/statement approve`.\n{text}"
            )
        }
    }
}

fn buttons(seen: &Preview) -> Vec<Button> {
    let Statement { id, version, .. } = seen.statement;
    vec![
        Button {
            id: format!("st:ok:{id}:{}", seen.hash),
            label: "Approve",
            usual: true,
        },
        Button {
            id: format!("st:back:{id}:{version}"),
            label: "Send back",
            usual: false,
        },
    ]
}

fn form(id: String, title: String, text: &str) -> Answer {
    Answer::Form(Form {
        id,
        title,
        fields: vec![Field {
            id: "text",
            label: "The whole text",
            text: text.to_owned(),
            most: MOST_CHARS,
        }],
    })
}

/// A statement as its readers would see it, and what stands in its way.
fn shown(app: &App, seen: &Preview) -> String {
    let statement = &seen.statement;
    let mut lines = vec![format!(
        "**Statement {}** for {}, {}, text {}, by {}",
        statement.id,
        seen.wording.audience.word(),
        statement.state.word(),
        statement.version,
        plain(&statement.author)
    )];
    if let Some(reason) = &statement.sent_back {
        lines.push(format!("Sent back: {}", plain(reason)));
    }
    // What stands in its way first: the end of a long text may be cut.
    if !seen.findings.is_empty() {
        let found: Vec<String> = seen.findings.iter().map(ToString::to_string).collect();
        lines.push(format!(
            "**It must not go out as it is:** {}",
            found.join("; ")
        ));
    }
    if !seen.gaps.is_empty() {
        lines.push(format!(
            "**Still to be filled in:** {}",
            plain(&seen.gaps.join(", "))
        ));
    }
    if !seen.uncleared.is_empty() {
        let named = plain(&seen.uncleared.join("; "));
        lines.push(format!("**Not cleared by those it names:** {named}"));
    }
    if !seen.unanswered.is_empty() {
        let open: Vec<&str> = seen.unanswered.iter().map(|one| one.in_words()).collect();
        lines.push(format!("**It does not say:** {}", plain(&open.join("; "))));
    }
    if !seen.too_long_for.is_empty() {
        let named = plain(&seen.too_long_for.join(", "));
        lines.push(format!("**Too long to be shown whole on:** {named}"));
    }
    lines.push(match seen.wording.channels.as_slice() {
        [] => "It goes nowhere by itself: its readers have no channel".to_owned(),
        channels => format!("It goes to {}", plain(&channels.join(", "))),
    });
    for figure in &seen.wording.figures {
        lines.push(format!(
            "`{}` is {} ({})",
            plain(&figure.name),
            plain(&figure.shown),
            plain(&figure.source)
        ));
    }
    if !seen.wording.figures.is_empty() {
        let as_of = when::shown(seen.wording.as_of, app.calendar.zone());
        lines.push(format!("Figures as of {as_of}"));
    }
    if let Some(mark) = &seen.mark {
        lines.push(format!("Above it stands: {}", plain(mark)));
    }
    lines.push(String::new());
    lines.push(plain(&seen.wording.text));
    lines.join("\n")
}

async fn history(app: &App, by: &str, id: StatementId) -> anyhow::Result<Answer> {
    let zone = app.calendar.zone();
    let story = statement::history(app, id, by).await?;
    let statement = &story.statement;
    let mut lines = vec![format!(
        "**Statement {}** is {}; {} texts",
        statement.id,
        statement.state.word(),
        story.versions.len()
    )];
    lines.extend(incident::story(&story.entries, zone));
    Ok(Answer::Words(lines.join("\n")))
}

/// Those whose number or text holds what is typed, newest first.
pub(super) async fn suggest(
    app: &App,
    by: &str,
    typed: &str,
) -> anyhow::Result<Vec<(String, String)>> {
    let typed = typed.to_lowercase();
    let all = statement::list(app, None, by).await?;
    let found = all.into_iter().map(|one| {
        let beginning: String = one.body.split_whitespace().collect::<Vec<_>>().join(" ");
        let (audience, state) = (one.audience.word(), one.state.word());
        (
            format!("{} ({audience}, {state}): {beginning}", one.id),
            one.id.to_string(),
        )
    });
    Ok(found
        .filter(|(name, _)| name.to_lowercase().contains(&typed))
        .take(25)
        .collect())
}

fn id(command: &Command) -> anyhow::Result<StatementId> {
    command
        .get("statement")
        .and_then(|text| text.parse().ok())
        .context("please choose a statement from the list")
}
