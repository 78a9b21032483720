//! Bot: Discord's words for what the desk can do. Slash commands, forms and buttons go in; every one is a thin word for a
//! function of [`crate::desk`], and nothing is decided here.
//!
//! One event, walked: [`gateway`] hears it, [`asked`] reads it, [`attend`] takes it once, has the door of the desk say who
//! asks, has [`commands`] do it, and sends what [`answer`] makes of the outcome by [`rest`], within Discord's three seconds
//! or, after it said that it will take longer, later.
//!
//! A bot that is down stops nothing else: it tries again by itself, and an alarm says so. What it knows is in the database
//! and on the buttons' backs, so it can be stopped and started at any time.

mod answer;
mod asked;
mod attend;
mod commands;
mod definitions;
mod gateway;
mod incident;
mod rest;
mod statement;
mod when;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::app::Shared;
use crate::config::{Bot as Settings, Discord};
use crate::desk::genuine::Askings;
use crate::desk::nudges;
use crate::steps::deliver::Stopping;

use self::answer::plain;
use self::gateway::{Heard, Line, Over};
use self::rest::{Rest, Trouble};

/// The alarms that are the bot's own: of its line, and of its commands.
const ALARM: &str = "discord.bot";
const COMMANDS: &str = "discord.commands";

/// How long the line may be down before somebody is told.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often we look whether the line is up.
const LOOK: Duration = Duration::from_secs(5);

/// How often we look whether somebody is to be told something.
const ERRAND: Duration = Duration::from_secs(30);

/// The longest pause between two tries to reach Discord at all.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// So many new sessions in an hour are none of our doing. Discord takes the token away from who begins a thousand a day.
const SESSIONS: usize = 40;
const HOUR: Duration = Duration::from_secs(3600);

/// How many people are attended to at once.
const AT_ONCE: usize = 64;

/// How long those who were being answered have, once we stop.
const FAREWELL: Duration = Duration::from_secs(3);

/// The bot, at work.
#[derive(Debug)]
struct Bot {
    app: Shared,
    rest: Rest,
    settings: Settings,
    /// Who asked of late whether a letter is ours.
    askings: Askings,
    /// Rung when a call says that the token is none.
    token_lost: Notify,
}

impl Bot {
    fn new(app: Shared) -> Option<Result<Self, Trouble>> {
        let Some(Discord::Channel {
            token,
            api_base,
            bot: Some(settings),
            ..
        }) = &app.config.discord
        else {
            return None;
        };
        let settings = settings.clone();
        let made = Rest::new(token, api_base.as_deref()).map(|rest| Self {
            app: Arc::clone(&app),
            rest,
            settings,
            askings: Askings::default(),
            token_lost: Notify::new(),
        });
        Some(made)
    }

    async fn raise(&self, text: &str) {
        self.app.alarms.raise(ALARM, text).await;
    }

    async fn clear(&self) {
        self.app.alarms.clear(ALARM).await;
    }

    /// What we cannot mend. Whoever starts us again has mended it.
    async fn give_up(&self, why: &str) {
        let text = format!(
            "the bot on Discord is off, and everything else goes on: {why}; restart bell serve then"
        );
        self.raise(&text).await;
    }
}

/// Takes commands on Discord until it is told to stop; returns at once if the config does not ask for it.
pub async fn run(app: Shared, mut stopping: Stopping) {
    let alarms = Shared::clone(&app);
    let bot = match Bot::new(app) {
        None => return,
        Some(Ok(bot)) => Arc::new(bot),
        Some(Err(trouble)) => {
            alarms.alarms.raise(ALARM, &trouble.to_string()).await;
            return;
        }
    };
    let line = tokio::select! {
        line = connect(&bot) => line,
        () = told_to_stop(&mut stopping) => return,
    };
    if let Some(line) = line {
        serve(&bot, line, &mut stopping).await;
    }
}

async fn told_to_stop(stopping: &mut Stopping) {
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// Opens the line, however long it takes; none if it never will.
async fn connect(bot: &Bot) -> Option<Line> {
    let start = Instant::now();
    let mut pause = Duration::from_secs(1);
    loop {
        match Line::open(&bot.rest).await {
            Ok(line) => return Some(line),
            Err(Trouble::Later) => {
                if start.elapsed() >= PATIENCE {
                    bot.raise(AWAY).await;
                }
            }
            Err(trouble) => {
                bot.give_up(&trouble.to_string()).await;
                return None;
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

const AWAY: &str = "the bot cannot reach Discord, and people cannot use its commands; it tries again by itself, and all of it \
                    can be done with bell's own commands meanwhile";

async fn serve(bot: &Arc<Bot>, mut line: Line, stopping: &mut Stopping) {
    let mut tasks = JoinSet::new();
    let mut sessions = VecDeque::new();
    let mut up_at = Instant::now();
    let mut look = tokio::time::interval(LOOK);
    let mut errand = tokio::time::interval(ERRAND);
    let why = loop {
        let heard = tokio::select! {
            () = told_to_stop(stopping) => break None,
            () = bot.token_lost.notified() => Heard::Over(Over::Token),
            heard = line.next() => heard,
            Some(done) = tasks.join_next() => {
                // A fault of ours costs one answer.
                if let Err(error) = done && error.is_panic() {
                    tracing::error!("attending to somebody on Discord broke off");
                }
                continue;
            }
            _ = errand.tick() => {
                let bot = Arc::clone(bot);
                tasks.spawn(async move { carry(&bot).await });
                continue;
            }
            _ = look.tick() => {
                if line.is_up().await {
                    up_at = Instant::now();
                } else if up_at.elapsed() >= PATIENCE {
                    bot.raise(AWAY).await;
                }
                continue;
            }
        };
        match heard {
            Heard::Ready(application) => {
                let now = Instant::now();
                up_at = now;
                sessions.push_back(now);
                sessions.retain(|at: &Instant| at.elapsed() < HOUR);
                if sessions.len() > SESSIONS {
                    break Some("Discord ends our sessions again and again; find out why");
                }
                bot.clear().await;
                let bot = Arc::clone(bot);
                tasks.spawn(async move { register(&bot, application).await });
            }
            Heard::Back => bot.clear().await,
            Heard::Asked(event) => take_in(bot, &mut tasks, event),
            Heard::Strange => {
                bot.raise("Discord speaks in a form that this version does not understand; look for a newer one").await;
            }
            Heard::Over(over) => {
                break Some(match over {
                    Over::Token => {
                        "Discord does not know its token; make a new one there, and put it where the config says"
                    }
                    Over::Intents => {
                        "Discord does not let it in without more intents than it asks for; look at the application's settings"
                    }
                    Over::Ended => "its line ended, and nobody said why",
                });
            }
        }
    };
    match why {
        // A dead line needs no farewell.
        Some(why) => bot.give_up(why).await,
        None => line.close().await,
    }
    let rest = async { while tasks.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(FAREWELL, rest).await;
}

/// Attends to somebody, or to nobody while too many ask at once: Discord tells them that we did not answer.
fn take_in(bot: &Arc<Bot>, tasks: &mut JoinSet<()>, event: Value) {
    if tasks.len() >= AT_ONCE {
        tracing::warn!("more people ask on Discord than can be answered");
        return;
    }
    let bot = Arc::clone(bot);
    tasks.spawn(async move { attend::attend(&bot, &event).await });
}

/// Makes each server's commands those that we have, if they are not.
async fn register(bot: &Bot, application: u64) {
    let ours = definitions::all();
    for guild in &bot.settings.guilds {
        let guild = guild.get();
        let done = async {
            let theirs = bot.rest.commands(application, guild).await?;
            if definitions::are_same(&theirs, &ours) {
                return Ok(());
            }
            bot.rest.register(application, guild, &ours).await?;
            tracing::info!("the bot's commands are registered in a server of Discord");
            Ok(())
        };
        match done.await {
            Ok(()) => {}
            Err(Trouble::Token) => {
                bot.token_lost.notify_one();
                return;
            }
            Err(trouble) => {
                let text = format!("the bot's commands cannot be registered: {trouble}");
                bot.app.alarms.raise(COMMANDS, &text).await;
                return;
            }
        }
    }
    bot.app.alarms.clear(COMMANDS).await;
}

/// Tells the desk's channel what somebody there should know by now. Another instance may be at it as well: the same nonce
/// gives the same message.
async fn carry(bot: &Bot) {
    let Some(channel) = bot.settings.desk_channel else {
        return;
    };
    // What a copy or an older state of the database has to say was said, or is none of its business.
    match bot.app.mute().await {
        Ok(None) => {}
        Ok(Some(why)) => return tracing::warn!("{why}"),
        Err(error) => return tracing::warn!("looking whether this database may speak: {error:#}"),
    }
    let due = match nudges::due(&bot.app).await {
        Ok(due) => due,
        Err(error) => return tracing::warn!("looking for what the desk should know: {error:#}"),
    };
    for nudge in due.iter().take(AT_ONCE) {
        let to = nudge.to.replace(':', " ");
        let text = format!("For the {}: {}", plain(&to), plain(&nudge.text));
        let body = answer::posted(&text, &[], &format!("nudge{}", nudge.id));
        if let Err(trouble) = bot.rest.post(channel.get(), &body).await {
            return tracing::warn!(
                "the desk's channel does not hear what it should know: {trouble}"
            );
        }
        if nudges::carried(&bot.app, nudge).await.is_err() {
            tracing::debug!("somebody else has told the desk's channel");
        }
    }
}
