//! What each command does: builds the app, calls a step or the desk, and answers in words or JSON.

mod access;
mod alarms;
mod audits;
mod campaign;
mod case;
mod check;
mod contain;
mod deliver;
mod delivery;
mod hand_over;
mod inbox;
mod incident;
mod keep;
mod keys;
mod ledger;
mod manual;
mod people;
mod reach;
mod report;
mod statement;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::app::{App, Progress, Shared};
use crate::audit::Format;
use crate::channels::InboxError;
use crate::cli::{Cli, Command, Intake, Messages};
use crate::clock::Clock;
use crate::config::{Config, ConfigErrors, EXAMPLE, Role};
use crate::desk;
use crate::desk::access::Refused;
use crate::desk::genuine::{Askings, Genuine, genuine};
use crate::desk::roles::Declined;
use crate::domain::campaign::NotCleared;
use crate::steps::backup::InTheWay;
use crate::steps::privacy::NotErased;
use crate::store::StoreError;
use crate::{demo, logging, serve, steps};

/// Done.
const DONE: u8 = 0;
/// Something to look at.
const LOOK: u8 = 1;
/// Used wrongly.
const WRONG: u8 = 2;
/// Try again later.
const LATER: u8 = 75;

/// What a command answers.
#[derive(Debug)]
pub struct Said {
    text: String,
    json: Value,
    look: bool,
}

impl Said {
    /// The same thing in words and as JSON.
    fn both<T: std::fmt::Display + Serialize>(what: &T) -> anyhow::Result<Self> {
        Ok(Self {
            text: what.to_string(),
            json: serde_json::to_value(what)?,
            look: false,
        })
    }

    fn words(text: impl Into<String>, json: Value) -> Self {
        Self {
            text: text.into(),
            json,
            look: false,
        }
    }

    /// Somebody should look at it: exit code 1.
    fn look_if(mut self, look: bool) -> Self {
        self.look |= look;
        self
    }
}

/// Runs one command, prints its answer, and says how it went.
pub async fn run(cli: Cli) -> ExitCode {
    let json = cli.json;
    let is_handed_over = matches!(&cli.command, Command::Inbox(options) if options.stdin);
    match answer(cli).await {
        Ok(said) => {
            print(&if json {
                serde_json::to_string_pretty(&said.json).unwrap_or_default()
            } else {
                said.text
            });
            ExitCode::from(if said.look { LOOK } else { DONE })
        }
        Err(error) => {
            // Whatever is wrong here, the mail system keeps the mail.
            let code = if is_handed_over {
                LATER
            } else {
                code_of(&error)
            };
            if json {
                print(
                    &serde_json::json!({ "error": format!("{error:#}"), "exit_code": code })
                        .to_string(),
                );
            }
            eprintln!("bell: {error:#}");
            ExitCode::from(code)
        }
    }
}

/// Prints; a reader that went away, as `head` does, is no error.
fn print(text: &str) {
    use std::io::Write;
    if !text.is_empty() {
        let _ = writeln!(std::io::stdout().lock(), "{}", text.trim_end());
    }
}

fn code_of(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if cause.is::<ConfigErrors>()
            || cause.is::<serve::BadSchedules>()
            || cause.is::<Misused>()
            || cause.is::<Refused>()
            || cause.is::<Declined>()
            || cause.is::<InTheWay>()
            || cause.is::<NotErased>()
        {
            return WRONG;
        }
        if cause
            .downcast_ref::<StoreError>()
            .is_some_and(StoreError::is_passing)
            || cause
                .downcast_ref::<InboxError>()
                .is_some_and(InboxError::is_passing)
        {
            return LATER;
        }
    }
    LOOK
}

/// The command was used wrongly: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Misused(String);

fn misused(text: impl Into<String>) -> anyhow::Error {
    Misused(text.into()).into()
}

async fn answer(cli: Cli) -> anyhow::Result<Said> {
    match &cli.command {
        Command::Demo(options) => {
            return demo::run(options).await.map(|told| {
                Said::words(
                    told.to_string(),
                    serde_json::to_value(&told).unwrap_or_default(),
                )
            });
        }
        Command::Init { force } => return init(&cli, *force),
        Command::Intake(options) if options.explain => return explain(&options.files),
        Command::Check { offline } => return check::run(&cli, *offline).await,
        Command::Completions { shell } => return manual::completions(*shell),
        Command::Man { dir } => return manual::man(dir),
        _ => {}
    }
    let config = Config::load(&cli.config, &|name| std::env::var(name).ok())?;
    if let Command::Restore(options) = &cli.command {
        return keep::restore(&cli, &config, options).await;
    }
    // One command keeps its standard error for its own words; the service logs.
    if matches!(cli.command, Command::Serve) || std::env::var_os("BELL_LOG").is_some() {
        logging::start(&config.log)?;
    }
    let mut app = App::build(config, Clock::System).await?;
    if !matches!(cli.command, Command::Serve) {
        app.progress = Progress::terminal();
    }
    let app = Arc::new(app);
    let said = with_app(&cli, &app).await;
    // A command has time; the service has promised to stop.
    let patience = if matches!(cli.command, Command::Serve) {
        1
    } else {
        30
    };
    app.alarms.finish(Duration::from_secs(patience)).await;
    app.store.close().await;
    said
}

async fn with_app(cli: &Cli, app: &Shared) -> anyhow::Result<Said> {
    if app.config.report.aggregate_only && cli.command.shows_single_people() {
        one_who_acts(cli, app)?;
    }
    match &cli.command {
        Command::Demo(_)
        | Command::Init { .. }
        | Command::Check { .. }
        | Command::Restore(_)
        | Command::Completions { .. }
        | Command::Man { .. } => Ok(Said::words("", Value::Null)),
        Command::Serve => serve::run(Arc::clone(app))
            .await
            .map(|()| Said::words("stopped", Value::Null)),
        Command::People(command) => people::run(cli, app, command).await,
        Command::Intake(options) if options.unmatched => audits::unmatched(cli, app, false).await,
        Command::Intake(options) => intake(cli, app, options).await,
        Command::Audits(command) => audits::run(cli, app, command).await,
        Command::Plan => Said::both(&steps::plan::plan(app).await?),
        Command::Campaign(command) => campaign::run(cli, app, command).await,
        Command::Notify => {
            let queued = steps::notify::notify(app).await?;
            let unannounced = queued
                .waiting
                .iter()
                .any(|waiting| matches!(waiting.why, NotCleared::NotAnnounced(_)));
            Ok(Said::both(&queued)?.look_if(unannounced || !queued.void.is_empty()))
        }
        Command::Deliver { once } => deliver::run(app, *once).await,
        Command::Text => {
            ensure!(
                app.gateway.is_some(),
                "no gateway for texts is configured; see [sms]"
            );
            let texted = steps::text::text(app, &steps::deliver::never()).await?;
            Ok(Said::both(&texted)?.look_if(texted.held.is_some() || texted.stopped > 0))
        }
        Command::Letters(options) => {
            let by = operator(cli, app)?;
            let (out, building) = (&options.out, options.building.as_deref());
            let printed = steps::letters::hand_out(app, out, building, options.again, &by).await?;
            Ok(Said::both(&printed)?.look_if(!printed.unwritable.is_empty()))
        }
        Command::Inbox(options) => inbox::run(app, options).await,
        Command::Confirm { file, source } => {
            let confirmed =
                steps::confirm::confirm(app, file.as_deref(), source.as_deref()).await?;
            Ok(Said::both(&confirmed)?
                .look_if(!confirmed.failed.is_empty() || confirmed.rejected > 0))
        }
        Command::Case(command) => case::run(cli, app, command).await,
        Command::Delivery(command) => delivery::run(cli, app, command).await,
        Command::Verify { code } => {
            let found = genuine(app, &Askings::default(), code, "bell").await?;
            let is_ours = found != Genuine::NotOurs;
            let json = serde_json::to_value(&found)?;
            Ok(Said::words(found.in_words(app), json).look_if(!is_ours))
        }
        Command::Hold(command) => delivery::hold(cli, app, command).await,
        Command::Tasks { done, note } => case::tasks(cli, app, *done, note.as_deref()).await,
        Command::AuditSteps => {
            let audited =
                steps::audit_steps::audit_steps(app, serve::not_run(app).await?, false).await?;
            Ok(Said::both(&audited)?.look_if(!audited.is_good()))
        }
        Command::Contain(command) => contain::run(cli, app, command).await,
        Command::HandOver(options) => hand_over::run(cli, app, options).await,
        Command::Alarms => alarms::run(app).await,
        Command::Incident(command) => incident::run(cli, app, command).await,
        Command::Statement(command) => statement::run(cli, app, command).await,
        Command::Access(command) => access::run(cli, app, command).await,
        Command::Announce => {
            ensure!(
                !app.places.is_empty(),
                "no channel for status posts is configured; see [discord] and [[chat]]"
            );
            let passed = desk::office::pass(app).await?;
            let announced = steps::announce::announce(app).await?;
            let said = steps::statements::post(app).await?;
            let waits =
                !announced.waiting.is_empty() || !said.waiting.is_empty() || passed.held > 0;
            let mut json = serde_json::to_value(&announced)?;
            if let Some(json) = json.as_object_mut() {
                json.insert("statements".to_owned(), serde_json::to_value(&said)?);
                json.insert("office".to_owned(), serde_json::to_value(&passed)?);
            }
            Ok(Said::words(format!("{announced}\n{said}\n{passed}"), json).look_if(waits))
        }
        Command::Report(options) => report::run(cli, app, options).await,
        Command::Messages(command) => messages(app, command),
        Command::Ledger(command) => ledger::run(cli, app, command).await,
        Command::Purge => Said::both(&steps::privacy::purge(app, &operator(cli, app)?).await?),
        Command::Backup(options) => keep::back_up(cli, app, options).await,
        Command::Epoch(command) => keep::epoch(cli, app, command).await,
        Command::Operator(command) => keys::run(cli, app, command).await,
        Command::Token(command) => keys::tokens(cli, app, command).await,
    }
}

/// Who acts. The ledger needs a name, and the config has to know it.
fn operator(cli: &Cli, app: &App) -> anyhow::Result<String> {
    let Some(name) = cli
        .operator
        .as_deref()
        .map(str::trim)
        .filter(|name| !name.is_empty())
    else {
        return Err(misused(
            "who are you? say it with --as NAME or BELL_OPERATOR; the ledger keeps it",
        ));
    };
    if !app.is_operator(name) {
        return Err(misused(format!(
            "{name:?} is no operator; the config's [[operator]] list says who is"
        )));
    }
    Ok(name.to_owned())
}

/// Where only sums may be shown, single people are for those who act for them.
fn one_who_acts(cli: &Cli, app: &App) -> anyhow::Result<()> {
    let name = operator(cli, app)?;
    let acting = Role::ALL.into_iter().filter(|role| role.acts_for_people());
    match acting.clone().any(|role| app.has_role(&name, role)) {
        true => Ok(()),
        false => {
            let words: Vec<_> = acting.map(Role::word).collect();
            Err(misused(format!(
                "only sums are shown here (aggregate_only in [report]): single people and their cases are for {}; `bell report` has the figures",
                words.join(", ")
            )))
        }
    }
}

fn init(cli: &Cli, force: bool) -> anyhow::Result<Said> {
    let path = &cli.config;
    if path.exists() && !force {
        return Err(misused(format!(
            "{} is there already; --force replaces it",
            path.display()
        )));
    }
    std::fs::write(path, EXAMPLE).with_context(|| format!("writing {}", path.display()))?;
    let text = format!(
        "{} is written; it explains itself. Then: bell --config {} check",
        path.display(),
        path.display()
    );
    Ok(Said::words(text, serde_json::json!({ "config": path })))
}

/// What a rehearsal's figures are of.
fn summed(intake: &steps::intake::Intake) -> String {
    let [verified, settled, recorded] = [intake.verified, intake.settled, intake.recorded];
    let hygiene: u64 = intake
        .weaknesses
        .iter()
        .filter(|(weakness, _)| weakness.starts_with("hygiene/"))
        .map(|(_, count)| *count)
        .sum();
    format!(
        "  {verified} closed cases would be verified: this audit looked at the new password and does not list it\n  \
           {settled} findings are contradicted by the directory or a later audit, and change nothing\n  \
           {recorded} findings would only be kept, {hygiene} of them about how accounts are set up\n"
    )
}

/// What files are and what shows it. Needs no configuration and no database.
fn explain(files: &[std::path::PathBuf]) -> anyhow::Result<Said> {
    let (mut text, mut json, mut refused) = (String::new(), Vec::new(), false);
    for file in files {
        let shown = file.display().to_string();
        let explained = steps::intake::explain(file).with_context(|| format!("reading {shown}"))?;
        text.push_str(&format!("{shown}\n"));
        for line in explained.to_string().lines() {
            text.push_str(&format!("  {line}\n"));
        }
        let (kind, reason) = match &explained.verdict {
            Ok(detected) => (Some(detected.kind.to_string()), detected.reason.clone()),
            Err(refusal) => (None, refusal.to_string()),
        };
        refused |= kind.is_none();
        json.push(serde_json::json!({ "file": shown, "format": kind, "reason": reason }));
    }
    Ok(Said::words(text, Value::Array(json)).look_if(refused))
}

async fn intake(cli: &Cli, app: &App, options: &Intake) -> anyhow::Result<Said> {
    let by = operator(cli, app)?;
    let format = options.format.as_deref().and_then(Format::from_word);
    let mut all = Vec::new();
    for together in steps::intake::sort(&options.files, format)? {
        let how = steps::intake::Options {
            format,
            source: options.source.clone(),
            lists: together.lists,
            as_of: options.taken_at,
            dry_run: options.dry_run,
            confirm: options.confirm,
        };
        all.push(steps::intake::intake(app, &together.file, &how, &by).await?);
    }
    let mut text = String::new();
    for intake in &all {
        text.push_str(&format!("{intake}\n"));
        for reject in &intake.rejects {
            text.push_str(&format!(
                "  {}:{}: {}\n",
                intake.file, reject.line, reject.reason
            ));
        }
        if intake.dry_run {
            for moved in &intake.moves {
                text.push_str(&format!("  {moved}\n"));
            }
            text.push_str(&summed(intake));
        }
        for note in &intake.notes {
            text.push_str(&format!("  {note}\n"));
        }
        if !intake.known && !intake.dry_run {
            text.push_str(
                "  the file itself is not kept: destroy it as your rules for secrets demand\n",
            );
        }
    }
    let rejected = all.iter().any(|intake| intake.counts.rejected > 0);
    Ok(Said::words(text, serde_json::to_value(&all)?).look_if(rejected))
}

fn messages(app: &App, command: &Messages) -> anyhow::Result<Said> {
    match command {
        // The app does not come up with broken texts, so this is the good news.
        Messages::Check => {
            let findings = app.letters.messages.check(&app.letters.constants);
            let text = findings
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n");
            let text = if findings.is_empty() {
                "all texts keep the rules".to_owned()
            } else {
                text
            };
            Ok(Said::words(text, serde_json::json!({ "findings": findings.iter().map(ToString::to_string).collect::<Vec<_>>() })).look_if(!findings.is_empty()))
        }
        Messages::Preview { out } => {
            let count = app
                .letters
                .messages
                .preview(out, Some(&app.letters.constants))?;
            Ok(Said::words(
                format!(
                    "{count} letters in {}; open index.html there",
                    out.display()
                ),
                serde_json::json!({ "letters": count, "folder": out }),
            ))
        }
    }
}
