//! `bell serve`: every step on its schedule, each in a task of its own, so that a relay that hangs holds up nothing else;
//! and the bot and the page beside them, if there are any.

mod systemd;

mod sources;

use std::time::Duration;

use anyhow::Context;
use chrono::TimeDelta;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::app::{App, Shared};
use crate::bot;
use crate::desk;
use crate::domain::Moment;
use crate::schedule::Schedule;
use crate::steps::{self, deliver::Stopping};
use crate::store::{Claimed, StoreError};
use crate::web;

pub use self::sources::gather;

/// After the signal to stop, steps have this long to come to an end.
const GRACE: Duration = Duration::from_secs(8);

/// What the schedule may be late by without anybody having forgotten it.
const LATE: TimeDelta = TimeDelta::minutes(15);

/// The longest sleep: a clock that was set forward is noticed this soon.
const NAP: Duration = Duration::from_secs(30);

/// Runs until SIGTERM or SIGINT, and stops within ten seconds: nothing new is begun, what is in flight is ended and
/// recorded, and what cannot be ended comes back in doubt.
pub async fn run(app: Shared) -> anyhow::Result<()> {
    let (stop, stopping) = watch::channel(false);
    // A port that somebody else has, or a certificate that is none, is told before anything runs.
    let door = web::open(&app).await?;
    let mut jobs = JoinSet::new();
    for (name, schedule) in schedules(&app)? {
        jobs.spawn(job(Shared::clone(&app), name, schedule, stopping.clone()));
    }
    jobs.spawn(bot::run(Shared::clone(&app), stopping.clone()));
    jobs.spawn(sealing(Shared::clone(&app), stopping.clone()));
    if let Some(door) = door {
        jobs.spawn(web::run(Shared::clone(&app), door, stopping.clone()));
    }
    tracing::info!(worker = %app.worker, "serving");
    let watched = watch_over(&mut jobs).await;
    systemd::stopping();
    tracing::info!("stopping: what is in flight is ended first");
    stop.send_replace(true);
    let ended =
        tokio::time::timeout(GRACE, async { while jobs.join_next().await.is_some() {} }).await;
    if ended.is_err() {
        tracing::warn!(
            "some steps did not end in time; what they had in flight comes back in doubt"
        );
        jobs.abort_all();
    }
    tracing::info!("stopped");
    watched
}

/// Until a signal says stop. A part that panics ends all of it: whoever started us starts us anew, and one that is missing
/// would be noticed too late.
async fn watch_over(jobs: &mut JoinSet<()>) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let beat = systemd::beat();
    systemd::ready();
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            Some(ended) = jobs.join_next() => if ended.is_err_and(|error| error.is_panic()) {
                anyhow::bail!("a part of the service has died, so all of it ends; the log says which, and it is to be started anew");
            },
            () = tokio::time::sleep(beat.unwrap_or(NAP)) => {}
        }
        systemd::alive();
    }
}

/// How sealing is called where steps are.
const SEALING: &str = "seal";

/// The alarm about what is sealed.
const RECORD: &str = "record";

/// Seals what is added to the record, for ever, a few seconds after it was added.
async fn sealing(app: Shared, mut stopping: Stopping) {
    // Whatever was wrong before us is over with the first pass that works.
    let mut fails = true;
    while !*stopping.borrow() {
        match steps::seal::seal(&app).await {
            Ok(sealed) if !sealed.waiting.is_empty() => tracing::info!("{sealed}"),
            Ok(_) if fails => {
                fails = false;
                clear(&app, SEALING).await;
            }
            Ok(_) => {}
            Err(error) => {
                fails = true;
                tracing::error!(run.name = SEALING, "{error:#}");
                raise(&app, SEALING, &error).await;
            }
        }
        // The paper beside the config knows how far the record has come.
        if let Err(error) = app.mute().await {
            tracing::error!(run.name = SEALING, "{error:#}");
        }
        nap(app.config.seals.every, &mut stopping).await;
    }
}

/// The whole chain is walked along; what is not what it was is an alarm until somebody has looked.
async fn verify(app: &App) -> anyhow::Result<String> {
    let verified = steps::seal::verify_and_note(app, None, None, "bell").await?;
    match verified.is_good() {
        true => app.alarms.clear(RECORD).await,
        false => {
            let text = format!(
                "{} things in the record are not what they were when they were sealed: look with `bell ledger verify`, and keep a copy of the database",
                verified.broken
            );
            app.alarms.raise(RECORD, &text).await;
        }
    }
    Ok(format!(
        "{} rows under {} seals, {} breaks",
        verified.rows, verified.seals, verified.broken
    ))
}

/// Schedules that cannot be read, each with its line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadSchedules(String);

/// Every step and its schedule. All lines that cannot be parsed are told at once, with their lines.
pub fn schedules(app: &Shared) -> anyhow::Result<Vec<(&'static str, Schedule)>> {
    let config = &app.config;
    let (mut parsed, mut wrong) = (Vec::new(), Vec::new());
    for (name, line) in config.schedule.lines() {
        match Schedule::parse(&line.text, config.schedule.zone) {
            Ok(schedule) => parsed.push((name, schedule)),
            Err(error) => {
                let at = line.line.map(|line| format!(":{line}")).unwrap_or_default();
                wrong.push(format!(
                    "{}{at}: schedule.{name}: {error}",
                    config.file.display()
                ));
            }
        }
    }
    if let Err(error) = sources::schedules(app) {
        wrong.push(format!("{}: {error:#}", config.file.display()));
    }
    if wrong.is_empty() {
        Ok(parsed)
    } else {
        Err(BadSchedules(wrong.join("\n")).into())
    }
}

/// One schedule, for ever. Firings that were missed while nobody ran are merged into one.
async fn job(app: Shared, name: &'static str, schedule: Schedule, mut stopping: Stopping) {
    let mut since = match app.store.latest_run(name).await {
        Ok(Some(run)) => run.due_at,
        Ok(None) => app.clock.now(),
        Err(error) => {
            let error = anyhow::Error::from(error);
            tracing::error!(run.name = name, "{error:#}");
            raise(&app, name, &error).await;
            app.clock.now()
        }
    };
    while !*stopping.borrow() {
        let now = app.clock.now();
        if let Some(due_at) = schedule.latest_due(since, now) {
            match fire(&app, name, due_at, &stopping).await {
                Ok(()) => since = due_at,
                // The firing stays due: a database that was away is asked again.
                Err(error) => {
                    tracing::error!(run.name = name, "{error:#}");
                    raise(&app, name, &error).await;
                    nap(Duration::from_secs(5), &mut stopping).await;
                }
            }
            continue;
        }
        let wait = schedule.next_after(now).map_or(NAP, |next| {
            next.since(now).to_std().unwrap_or_default().min(NAP)
        });
        nap(wait + Duration::from_millis(1), &mut stopping).await;
    }
}

async fn nap(time: Duration, stopping: &mut Stopping) {
    let _ = tokio::time::timeout(time, stopping.wait_for(|stop| *stop)).await;
}

/// Runs a firing unless another instance has it, and writes down how it ended.
async fn fire(
    app: &Shared,
    name: &'static str,
    due_at: Moment,
    stopping: &Stopping,
) -> anyhow::Result<()> {
    if app
        .store
        .claim_run(name, due_at, &app.worker, app.clock.now())
        .await?
        == Claimed::Theirs
    {
        return Ok(());
    }
    let (result, failed) = match step(app, name, stopping).await {
        Ok(result) => {
            tracing::info!(run.name = name, run.due_at = %due_at, "{result}");
            clear(app, name).await;
            (result, false)
        }
        Err(error) => {
            tracing::error!(run.name = name, run.due_at = %due_at, "{error:#}");
            raise(app, name, &error).await;
            (format!("{error:#}"), true)
        }
    };
    app.store
        .end_run(name, due_at, &result, failed, app.clock.now())
        .await?;
    Ok(())
}

/// Steps that the schedule has run before, and has not when it should have.
pub async fn not_run(app: &App) -> anyhow::Result<Vec<&'static str>> {
    let due_before = app.clock.now().minus(LATE);
    let mut missing = Vec::new();
    for (name, line) in app.config.schedule.lines() {
        let schedule = Schedule::parse(&line.text, app.config.schedule.zone)?;
        if let Some(run) = app.store.latest_run(name).await?
            && schedule.latest_due(run.due_at, due_before).is_some()
        {
            missing.push(name);
        }
    }
    Ok(missing)
}

/// Whose trouble it is when a step fails: the name of an alarm, and what it says.
fn trouble(name: &str, error: &anyhow::Error) -> (String, String) {
    let of_store = || {
        error
            .chain()
            .filter_map(|cause| cause.downcast_ref::<StoreError>())
    };
    let is_full = of_store().any(StoreError::is_full)
        || error
            .chain()
            .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
            .any(|cause| cause.kind() == std::io::ErrorKind::StorageFull);
    if is_full {
        let text = format!("there is no room left; make some, and the work goes on: {error:#}");
        ("disk".to_owned(), text)
    } else if of_store().any(StoreError::is_passing) {
        let text = format!(
            "it does not answer, and nothing is read, sent or recorded until it does; the work then goes on by itself: {error:#}"
        );
        ("database".to_owned(), text)
    } else if name == "inbox" {
        (own_alarm(name), format!("bounces are not read: {error:#}"))
    } else {
        (own_alarm(name), format!("the step {name} fails: {error:#}"))
    }
}

/// The alarm that is a step's own.
fn own_alarm(name: &str) -> String {
    match name {
        "inbox" => "inbox".to_owned(),
        name => format!("schedule.{name}"),
    }
}

async fn raise(app: &Shared, name: &str, error: &anyhow::Error) {
    let (alarm, text) = trouble(name, error);
    app.alarms.raise(&alarm, &text).await;
}

/// A step that came to its end had a database, and room.
async fn clear(app: &Shared, name: &str) {
    for alarm in ["database", "disk", &own_alarm(name)] {
        app.alarms.clear(alarm).await;
    }
}

/// The last rung; none if there was nothing to do. What an operator has to look at is an alarm.
async fn hand_over(app: &Shared) -> anyhow::Result<Option<steps::hand_over::HandedOver>> {
    let handed = steps::hand_over::hand_over(app).await?;
    if handed.unrehearsed > 0 {
        let text = format!(
            "the directory waits to be written about {} accounts: look with `bell hand-over --dry-run`, and it is done",
            handed.unrehearsed
        );
        app.alarms.raise("hand_over", &text).await;
    } else if app.hand_overs.is_some() {
        app.alarms.clear("hand_over").await;
    }
    Ok((handed != steps::hand_over::HandedOver::default()).then_some(handed))
}

/// One step by its name in the schedule; what it did, in one line.
pub async fn step(app: &Shared, name: &str, stopping: &Stopping) -> anyhow::Result<String> {
    Ok(match name {
        "people" => steps::people::sync(app, None, false, "bell")
            .await?
            .to_string(),
        "intake" => {
            let dropped = steps::dropped::take(app).await?;
            let gathered = gather(app).await?;
            match gathered == steps::fetch::Gathered::default() {
                true => dropped.to_string(),
                false => format!("{dropped}; {gathered}"),
            }
        }
        "plan" => match steps::plan::draft(app, "bell").await? {
            Some(campaign) => format!(
                "campaign {} drafted for {} people; it waits for an operator's approval",
                campaign.reference, campaign.people
            ),
            None => "nobody new is to be told".to_owned(),
        },
        "notify" => {
            let queued = steps::notify::notify(app).await;
            // The last rung does not wait for a campaign that cannot be queued.
            let handed = hand_over(app).await;
            let mut told = queued?.to_string();
            if let Some(handed) = handed? {
                told = format!("{told}; {handed}");
            }
            told
        }
        "deliver" => {
            let delivered = steps::deliver::deliver(app, stopping).await;
            // Texts do not wait for a relay that is in trouble.
            let texted = steps::text::text(app, stopping).await?;
            let mut told = delivered?.to_string();
            if texted != steps::text::Texted::default() {
                told = format!("{told}; {texted}");
            }
            told
        }
        "inbox" => steps::inbox::receive(app).await?.to_string(),
        "confirm" => steps::confirm::poll(app).await?.to_string(),
        "announce" => steps::announce::announce(app).await?.to_string(),
        "statements" => {
            let passed = desk::office::pass(app).await?;
            let said = steps::statements::post(app).await?;
            format!("{passed}; {said}")
        }
        "audit_steps" => steps::audit_steps::audit_steps(app, not_run(app).await?, true)
            .await?
            .to_string(),
        "report" => steps::report::write_scheduled(app).await?,
        "verify" => verify(app).await?,
        "purge" => steps::privacy::purge(app, "bell").await?.to_string(),
        other => anyhow::bail!("there is no step named {other:?}"),
    })
}
