//! Alarms: what is wrong with the service itself is told to an operator once, then at most once in each span of
//! `alarm.every`, and once when it is over.
//!
//! What was told is remembered here and, while the database is there, in it, so that neither a restart nor another instance
//! tells it again. When the database itself is away, memory alone decides. Whoever raises hears nothing of how it went: an
//! alarm must never be what stops the work.

use std::collections::HashMap;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::config;
use crate::domain::Moment;
use crate::store::{AlarmRow, Store, StoreError, Telling};

/// How long the database may take to hear of an alarm before memory alone decides.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the command may run.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);

/// What did not change is looked up in the database this often: another instance may have said otherwise.
const LOOK_AGAIN: TimeDelta = TimeDelta::minutes(1);

/// A text is a line for a pager, not a log.
const LONGEST_TEXT: usize = 600;

/// What the command may see of our environment, which holds passwords.
const PASSED_ON: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// Raises and clears. Cheap to ask: what is known already costs no look at the database.
#[derive(Debug)]
pub struct Alarms {
    store: Store,
    clock: Clock,
    command: Vec<String>,
    every: TimeDelta,
    known: Mutex<HashMap<String, Known>>,
    /// One connection of the pool at most waits for a database that does not answer.
    asking: Arc<tokio::sync::Mutex<()>>,
    commands: Mutex<JoinSet<()>>,
}

/// What this process knows of one alarm.
#[derive(Clone, Debug, Default)]
struct Known {
    /// Since when it is wrong; none while all is well.
    raised_at: Option<Moment>,
    /// When an operator was last told that it is wrong, as far as we know.
    told_at: Option<Moment>,
    /// When we last said that it is over.
    over_at: Option<Moment>,
    /// When the database was last asked.
    looked_at: Option<Moment>,
    /// Whether the database knows that it is wrong.
    is_saved: bool,
    text: String,
}

impl Known {
    fn is_told(&self) -> bool {
        self.raised_at
            .is_some_and(|raised| self.told_at.is_some_and(|told| told >= raised))
    }

    fn was_looked_up(&self, now: Moment) -> bool {
        self.looked_at
            .is_some_and(|at| is_within(at, LOOK_AGAIN, now))
    }
}

/// Whether `at` is less than `span` ago. A moment in the future is from before the clock was set back.
fn is_within(at: Moment, span: TimeDelta, now: Moment) -> bool {
    at <= now && now.since(at) < span
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tidings {
    Wrong,
    Over,
}

impl Alarms {
    /// Alarms that are told as the config says.
    pub fn new(config: &config::Alarm, store: Store, clock: Clock) -> Self {
        Self {
            store,
            clock,
            command: config.command.clone(),
            every: config.every,
            known: Mutex::default(),
            asking: Arc::default(),
            commands: Mutex::default(),
        }
    }

    /// Says that `name` is wrong: `database`, `relay`, `disk`, `inbox`, `discord.bot`, `discord.commands`, `evidence.` and a
    /// source, `schedule.` and a step, `promise.` and an incident, or `duty.`, an incident and a clock. Safe to repeat: it is told
    /// when it is new, and while it lasts at most once in each span of `alarm.every`.
    ///
    /// `text` says what is wrong and what to do; never an address, a name or a secret. Takes five seconds at most, and only
    /// while the database does not answer.
    pub async fn raise(&self, name: &str, text: &str) {
        let now = self.clock.now();
        let text: String = text.chars().take(LONGEST_TEXT).collect();
        let Some(told_before) = self.note_raised(name, &text, now) else {
            return;
        };
        let before = now.minus(self.every);
        let saved = self.ask(raise_in(
            self.store.clone(),
            (name.to_owned(), text.clone()),
            told_before,
            before,
            now,
        ));
        let ours = match saved.await {
            Some(telling) => {
                self.change(name, |known| {
                    known.is_saved = true;
                    if let Telling::Done(at) = telling {
                        known.told_at = Some(at);
                    }
                });
                telling == Telling::Ours
            }
            None => told_before.is_none(),
        };
        if ours {
            self.tell(name, &text, Tidings::Wrong);
        }
    }

    /// Says that `name` is well. An operator who was told that it is wrong is told that it is over, once.
    pub async fn clear(&self, name: &str) {
        let now = self.clock.now();
        let Some(known) = self.note_cleared(name, now) else {
            return;
        };
        let saved = self
            .ask(clear_in(self.store.clone(), name.to_owned(), now))
            .await;
        let (text, is_news) = match saved {
            // A row that outlived what we said without it, while the database was away.
            Some(Some(row)) if known.over_at.is_some_and(|over| row.told_at <= Some(over)) => {
                (row.text, false)
            }
            Some(Some(row)) => {
                let is_told = row.is_told();
                (row.text, is_told)
            }
            // Whoever cleared the row said so; of what never got a row only we know.
            Some(None) => {
                let is_told = known.is_told() && !known.is_saved;
                (known.text, is_told)
            }
            None => {
                let is_told = known.is_told();
                (known.text, is_told)
            }
        };
        if is_news {
            self.change(name, |known| known.over_at = Some(now));
            self.tell(name, &text, Tidings::Over);
        }
    }

    /// Waits for commands that still run, for `limit` at most. The last thing that a process does.
    pub async fn finish(&self, limit: Duration) {
        let mut running =
            std::mem::take(&mut *self.commands.lock().unwrap_or_else(PoisonError::into_inner));
        let all = async { while running.join_next().await.is_some() {} };
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::warn!("an alarm's command still runs, and nobody waits for it any more");
            running.detach_all();
        }
    }

    /// None if there is nothing to do: it is told, and the database was asked a moment ago. Otherwise when it was told, if
    /// it is too early to tell it again; whoever else raises it meanwhile finds it told.
    fn note_raised(&self, name: &str, text: &str, now: Moment) -> Option<Option<Moment>> {
        self.change(name, |known| {
            let is_new = known.raised_at.is_none();
            let told_at = known.told_at.filter(|at| is_within(*at, self.every, now));
            if !is_new && told_at.is_some() && known.was_looked_up(now) {
                return None;
            }
            if is_new {
                known.raised_at = Some(now);
                known.is_saved = false;
            }
            known.told_at = told_at.or(Some(now));
            known.looked_at = Some(now);
            text.clone_into(&mut known.text);
            Some(told_at)
        })
    }

    /// None if there is nothing to do: it was well a moment ago. Otherwise what was known of it.
    fn note_cleared(&self, name: &str, now: Moment) -> Option<Known> {
        self.change(name, |known| {
            if known.raised_at.is_none() && known.was_looked_up(now) {
                return None;
            }
            let before = known.clone();
            known.raised_at = None;
            known.looked_at = Some(now);
            Some(before)
        })
    }

    fn change<T>(&self, name: &str, change: impl FnOnce(&mut Known) -> T) -> T {
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        change(all.entry(name.to_owned()).or_default())
    }

    /// What the database says, unless it does not say so in time. Work that takes longer goes on by itself.
    async fn ask<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Option<T> {
        let asking = Arc::clone(&self.asking);
        let answer = async {
            let alone = asking.lock_owned().await;
            let task = tokio::spawn(async move {
                let answer = work.await;
                drop(alone);
                answer
            });
            task.await
        };
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(Ok(answer))) => Some(answer),
            Ok(Ok(Err(error))) => {
                // Whoever works with the database says so aloud.
                tracing::debug!("an alarm is kept in memory only: {error}");
                None
            }
            Ok(Err(_)) | Err(_) => None,
        }
    }

    fn tell(&self, name: &str, text: &str, tidings: Tidings) {
        let line = match tidings {
            Tidings::Wrong => format!("{name}: {text}"),
            Tidings::Over => format!("over: {name}: {text}"),
        };
        match tidings {
            Tidings::Wrong => tracing::error!(alarm.name = name, "{line}"),
            Tidings::Over => tracing::warn!(alarm.name = name, "{line}"),
        }
        let Some((program, arguments)) = self.command.split_first() else {
            return;
        };
        let mut command = Command::new(program);
        command.args(arguments).env_clear().env("BELL_ALARM", name);
        command.envs(
            PASSED_ON
                .iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        );
        let name = name.to_owned();
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        while commands.try_join_next().is_some() {}
        commands.spawn_blocking(move || {
            if let Err(why) = run(&mut command, &line) {
                tracing::error!(
                    alarm.name = name,
                    "the alarm's command: {why}; nobody was told by it"
                );
            }
        });
    }
}

async fn raise_in(
    store: Store,
    (name, text): (String, String),
    told_before: Option<Moment>,
    before: Moment,
    now: Moment,
) -> Result<Telling, StoreError> {
    let mut tx = store.begin().await?;
    let telling = tx
        .raise_alarm(&name, &text, told_before, before, now)
        .await?;
    tx.commit().await?;
    Ok(telling)
}

/// A look first: nearly always there is nothing to clear.
async fn clear_in(store: Store, name: String, now: Moment) -> Result<Option<AlarmRow>, StoreError> {
    if !store.read().await?.is_alarm_raised(&name).await? {
        return Ok(None);
    }
    let mut tx = store.begin().await?;
    let cleared = tx.clear_alarm(&name, now).await?;
    tx.commit().await?;
    Ok(cleared)
}

/// Runs the command to its end, within its time. Without a shell, and with nothing of ours but the line.
fn run(command: &mut Command, line: &str) -> Result<(), String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("it does not start: {error}"))?;
    if let Some(mut input) = child.stdin.take() {
        // A line fits into a pipe, so this waits for nobody; a command that does not read it has its reasons.
        let _ = writeln!(input, "{line}");
    }
    let until = Instant::now() + COMMAND_LIMIT;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("it ended with {status}")),
            Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(50)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!(
                    "it was stopped after {} seconds",
                    COMMAND_LIMIT.as_secs()
                ));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_gets_the_line_and_its_failure_is_told() {
        let mut fine = Command::new("sh");
        fine.args(["-c", "read line; test \"$line\" = 'relay: it is away'"]);
        assert_eq!(run(&mut fine, "relay: it is away"), Ok(()));
        let mut wrong = Command::new("sh");
        wrong.args(["-c", "exit 3"]);
        assert_eq!(
            run(&mut wrong, "x"),
            Err("it ended with exit status: 3".to_owned())
        );
        let missing = run(&mut Command::new("/nowhere/to-be-found"), "x").unwrap_err();
        assert!(missing.starts_with("it does not start: "), "{missing}");
    }

    #[test]
    fn what_was_told_in_the_future_was_told_before_the_clock_was_set_back() {
        let now: Moment = "2026-03-02T08:00:00Z".parse().unwrap();
        let hour = TimeDelta::hours(1);
        assert!(is_within(now, hour, now));
        assert!(!is_within(now.minus(hour), hour, now));
        assert!(!is_within(now.plus(hour), hour, now));
    }
}
