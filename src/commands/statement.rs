//! `bell statement …`: thin words for the desk.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context;

use super::incident::entry_line;
use super::{Said, misused, operator};
use crate::app::App;
use crate::cli::{About, Cli, Draft, Nudges, Statement as Command};
use crate::desk::nudges;
use crate::desk::statement::{self, Body, Edit, NewDraft, Preview};
use crate::domain::StatementId;
use crate::domain::statement::MOST_CHARS;
use crate::store::Statement;

pub(super) async fn run(cli: &Cli, app: &App, command: &Command) -> anyhow::Result<Said> {
    let by = &operator(cli, app)?;
    match command {
        Command::Draft(options) => one(&draft(app, options, by).await?),
        Command::Edit {
            id,
            text,
            file,
            audience,
            channels,
        } => {
            let text = typed(text.as_deref(), file.as_deref())?;
            let edit = Edit {
                text: text.as_deref(),
                audience: *audience,
                channels: (!channels.is_empty()).then_some(channels.as_slice()),
            };
            one(&statement::edit(app, *id, &edit, by).await?)
        }
        Command::Preview { id } => previewed(&statement::preview(app, *id, by).await?),
        Command::Approve { id, seen } => {
            previewed(&statement::approve(app, *id, seen.as_deref(), by).await?)
        }
        Command::SendBack { id, reason } => one(&statement::send_back(app, *id, reason, by).await?),
        Command::Override { id, reason } => {
            one(&statement::override_guard(app, *id, reason, by).await?)
        }
        Command::Publish { id } => one(&statement::publish(app, *id, by).await?),
        Command::Schedule { id, at } => one(&statement::schedule(app, *id, *at, by).await?),
        Command::Cancel { id } => one(&statement::cancel(app, *id, by).await?),
        Command::Correct(about) => {
            let (id, text) = about_text(about)?;
            one(&statement::correct(app, id, &text, by).await?)
        }
        Command::Withdraw(about) => {
            let (id, text) = about_text(about)?;
            one(&statement::withdraw(app, id, &text, by).await?)
        }
        Command::History { id } => history(app, *id, by).await,
        Command::List { incident } => {
            let all = statement::list(app, *incident, by).await?;
            let text: Vec<String> = all.iter().map(line).collect();
            Ok(Said::words(text.join("\n"), serde_json::to_value(&all)?))
        }
        Command::Show { id } => {
            let found = statement::show(app, *id, by).await?;
            let text = match &found.approval {
                Some(approval) => approval.wording.text.clone(),
                None => found.body.clone(),
            };
            let text = format!("{}\n\n{text}", line(&found));
            Ok(Said::words(text, serde_json::to_value(&found)?))
        }
        Command::Nudges(options) => nudged(app, options, by).await,
    }
}

async fn draft(app: &App, options: &Draft, by: &str) -> anyhow::Result<Statement> {
    let typed = typed(options.text.as_deref(), options.file.as_deref())?;
    let text = match (&typed, &options.template) {
        (Some(text), _) => Body::Text(text),
        (None, Some(template)) => Body::Template(template, &options.gaps),
        (None, None) => return Err(misused("a statement needs a text or a template")),
    };
    let new = NewDraft {
        incident: options.incident,
        audience: options.audience,
        channels: &options.channels,
        text,
    };
    statement::draft(app, &new, by).await
}

/// The text as it was typed, read from a file, or from standard input.
fn typed(text: Option<&str>, file: Option<&Path>) -> anyhow::Result<Option<String>> {
    // Longer than any statement can be, in bytes.
    let most = u64::try_from(MOST_CHARS * 4 + 1).unwrap_or(u64::MAX);
    let mut read = String::new();
    match (text, file) {
        (Some("-"), _) => {
            std::io::stdin()
                .lock()
                .take(most)
                .read_to_string(&mut read)
                .context("reading the text from standard input")?;
        }
        (Some(text), _) => return Ok(Some(text.to_owned())),
        (None, Some(file)) => {
            let reading = || format!("reading {}", file.display());
            std::fs::File::open(file)
                .with_context(reading)?
                .take(most)
                .read_to_string(&mut read)
                .with_context(reading)?;
        }
        (None, None) => return Ok(None),
    }
    Ok(Some(read))
}

fn about_text(about: &About) -> anyhow::Result<(StatementId, String)> {
    let text = typed(about.text.as_deref(), about.file.as_deref())?
        .ok_or_else(|| misused("a statement needs a text"))?;
    Ok((about.id, text))
}

fn one(statement: &Statement) -> anyhow::Result<Said> {
    Ok(Said::words(
        line(statement),
        serde_json::to_value(statement)?,
    ))
}

/// Something stands in its way: exit code 1.
fn previewed(preview: &Preview) -> anyhow::Result<Said> {
    let wording = &preview.wording;
    let mut lines = vec![line(&preview.statement), String::new()];
    lines.extend(preview.mark.clone());
    lines.push(wording.text.clone());
    lines.push(String::new());
    for figure in &wording.figures {
        lines.push(format!(
            "figure {:<12} {:<20} as of {}, from the query {}",
            figure.name, figure.shown, wording.as_of, figure.source
        ));
    }
    lines.extend(
        preview
            .findings
            .iter()
            .map(|finding| format!("guard: {finding}")),
    );
    lines.extend(
        preview
            .unanswered
            .iter()
            .map(|question| format!("open: {}", question.in_words())),
    );
    lines.extend(preview.uncleared.iter().cloned());
    lines.extend(
        preview
            .too_long_for
            .iter()
            .map(|channel| format!("too long for {channel}: it would not be shown whole")),
    );
    lines.push(match wording.channels.as_slice() {
        [] => format!(
            "goes nowhere by itself: no channel is read by {}; see [[audience]] in the config",
            wording.audience.word()
        ),
        channels => format!("goes to {}", channels.join(", ")),
    });
    lines.extend(preview.gaps.iter().map(|gap| format!("gap: [{gap}]")));
    for post in &preview.posts {
        lines.push(format!(
            "post on {}: {}",
            post.channel,
            post.external_id.as_deref().unwrap_or("waits")
        ));
    }
    lines.push(format!("hash {}", preview.hash));
    let in_the_way = !preview.unanswered.is_empty()
        || !preview.gaps.is_empty()
        || !preview.uncleared.is_empty()
        || !preview.too_long_for.is_empty()
        || !preview.findings.is_empty() && preview.statement.overridden.is_none();
    Ok(Said::words(lines.join("\n"), serde_json::to_value(preview)?).look_if(in_the_way))
}

async fn history(app: &App, id: StatementId, by: &str) -> anyhow::Result<Said> {
    let history = statement::history(app, id, by).await?;
    let mut lines = vec![line(&history.statement)];
    for version in &history.versions {
        lines.push(format!(
            "\nversion {} by {}, {}:\n{}",
            version.version, version.by, version.at, version.body
        ));
    }
    lines.push(String::new());
    lines.extend(history.entries.iter().map(entry_line));
    Ok(Said::words(
        lines.join("\n"),
        serde_json::to_value(&history)?,
    ))
}

/// What this operator should be told.
async fn nudged(app: &App, options: &Nudges, by: &str) -> anyhow::Result<Said> {
    let mut all = nudges::due(app).await?;
    all.retain(|nudge| nudges::is_for(app, nudge, by));
    if options.done {
        for nudge in &all {
            nudges::carried(app, nudge).await?;
        }
    }
    let text = match all.as_slice() {
        [] => "nothing waits for you".to_owned(),
        all => all
            .iter()
            .map(|nudge| format!("{}  {}", nudge.due_at, nudge.text))
            .collect::<Vec<_>>()
            .join("\n"),
    };
    Ok(Said::words(text, serde_json::to_value(&all)?))
}

/// One statement in one line, without its text.
pub(super) fn line(statement: &Statement) -> String {
    let about = statement
        .about
        .map(|id| format!(" of statement {id}"))
        .unwrap_or_default();
    let more: String = [
        statement
            .approval
            .as_ref()
            .map(|approval| format!(", approved by {}", approval.by)),
        statement
            .overridden
            .as_ref()
            .map(|one| format!(", guard overridden by {}: {}", one.by, one.reason)),
        statement
            .publish_at
            .filter(|_| !statement.state.is_out())
            .map(|at| format!(", out at {at}")),
        statement.published_at.map(|at| format!(", out since {at}")),
        statement.marked_by.map(|by| format!(", by statement {by}")),
        statement
            .sent_back
            .as_ref()
            .map(|why| format!(", sent back: {why}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    format!(
        "statement {}: {}{about} for {}, incident {}, {}, version {} by {}{more}",
        statement.id,
        statement.kind.word(),
        statement.audience.word(),
        statement.incident,
        statement.state.word(),
        statement.version,
        statement.author
    )
}
