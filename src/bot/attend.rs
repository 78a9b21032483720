//! Attend: one thing that somebody wants, from the question to the answer. Taken once, by one of us; answered within
//! Discord's three seconds, if need be with the word that it will take longer.

use std::time::Duration;

use serde_json::Value;

use super::Bot;
use super::answer::{self, Answer};
use super::asked::{self, Asked, Ticket, Unreadable, What};
use super::commands;
use super::rest::Trouble;
use crate::desk::door;
use crate::store::{Claimed, StoreError};

/// When we say that it takes longer: half of Discord's three seconds are for the way there and back.
const DEFER_AFTER: Duration = Duration::from_millis(1500);

/// Suggestions that come later are for nobody.
const TYPING_LIMIT: Duration = Duration::from_millis(2500);

/// After 15 minutes nothing can be answered any more.
const LONGEST: Duration = Duration::from_secs(14 * 60);

const STRANGE: &str = "I did not understand this; Discord may be newer than I am. Please use bell's own commands for it, and tell the people who run Division Bell.";

const SLOW: &str =
    "This takes too long, and I do not know how it ended. Please look before you ask again.";

/// Attends to one event.
pub async fn attend(bot: &Bot, event: &Value) {
    let asked = match asked::read(event) {
        Ok(asked) => asked,
        Err(Unreadable(ticket)) => {
            tracing::warn!("something came from Discord that cannot be read");
            if let Some(ticket) = ticket {
                let words = Answer::Words(STRANGE.to_owned());
                told(bot, bot.rest.answer(&ticket, &answer::first(&words)).await);
            }
            return;
        }
    };
    match &asked.what {
        What::Typing { command, at } => {
            let found = match door::glance(&bot.app, &asked.visitor) {
                Ok(by) => {
                    let found = commands::suggest(&bot.app, &by, command, at);
                    let found = tokio::time::timeout(TYPING_LIMIT, found).await;
                    found.ok().and_then(Result::ok).unwrap_or_default()
                }
                Err(_) => Vec::new(),
            };
            let suggestions = answer::suggestions(&found);
            told(bot, bot.rest.answer(&asked.ticket, &suggestions).await);
        }
        What::Command(_) | What::Press { .. } | What::Form { .. } => {
            answered(bot, &asked, event).await;
        }
    }
}

/// Does it, and says so, sooner or later.
async fn answered(bot: &Bot, asked: &Asked, event: &Value) {
    let is_press = matches!(asked.what, What::Press { .. });
    let work = tokio::time::timeout(LONGEST, work(bot, asked));
    tokio::pin!(work);
    if let Ok(quick) = tokio::time::timeout(DEFER_AFTER, &mut work).await {
        if let Some(answer) = quick.unwrap_or_else(|_| slow()) {
            let body = answer::first(&fit(answer, &asked.what));
            told(bot, bot.rest.answer(&asked.ticket, &body).await);
        }
        return;
    }
    let later = answer::later(is_press);
    let (deferred, answer) = tokio::join!(bot.rest.answer(&asked.ticket, &later), work);
    if !told(bot, deferred) {
        return;
    }
    let Some(answer) = answer.unwrap_or_else(|_| slow()) else {
        return;
    };
    let Some(application) = application(event) else {
        return;
    };
    let ticket = &asked.ticket;
    let sent = match &answer {
        // The message with the button stays as it is.
        Answer::Words(_) | Answer::Offer(..) | Answer::Form(_) if is_press => {
            let body = answer::whispered(&answer);
            bot.rest.follow_up(application, ticket, &body).await
        }
        answer => {
            let body = answer::late(answer);
            bot.rest.replace(application, ticket, &body).await
        }
    };
    told(bot, sent);
}

fn slow() -> Option<Answer> {
    Some(Answer::Words(SLOW.to_owned()))
}

/// A form cannot be answered by another one.
fn fit(answer: Answer, what: &What) -> Answer {
    match (what, answer) {
        (What::Form { .. }, Answer::Form(_)) => {
            Answer::Words("Please give the command again.".to_owned())
        }
        (_, answer) => answer,
    }
}

fn application(event: &Value) -> Option<u64> {
    event.get("application_id")?.as_str()?.parse().ok()
}

/// Takes it, asks at the door, and does it. None if somebody else has it.
async fn work(bot: &Bot, asked: &Asked) -> Option<Answer> {
    let app = &bot.app;
    let Ticket { id, .. } = &asked.ticket;
    let claimed = app
        .store
        .claim_interaction(&id.to_string(), &app.worker, app.clock.now())
        .await;
    match claimed {
        Ok(Claimed::Ours) => {}
        Ok(Claimed::Theirs) => return None,
        Err(error) => return Some(sorry(&error.into())),
    }
    if let What::Command(command) = &asked.what
        && command.words() == "verify"
        && let Ok(asker) = door::at_home(app, &asked.visitor)
    {
        let answer = commands::verify(bot, &asker, command).await;
        return Some(answer.unwrap_or_else(|error| sorry(&error)));
    }
    let by = match door::enter(app, &asked.visitor, &commands::wanted(&asked.what)).await {
        Ok(Ok(by)) => by,
        Ok(Err(closed)) => return Some(Answer::Words(closed.to_string())),
        Err(error) => return Some(sorry(&error)),
    };
    let done = match &asked.what {
        What::Command(command) => commands::command(bot, &by, command).await,
        What::Press { id } => commands::press(bot, &by, id).await,
        What::Form { id, fields } => commands::form(bot, &by, id, fields).await,
        What::Typing { .. } => return None,
    };
    Some(done.unwrap_or_else(|error| sorry(&error)))
}

/// Says politely what is wrong, and what to do.
fn sorry(error: &anyhow::Error) -> Answer {
    let store = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<StoreError>());
    Answer::Words(match store {
        Some(StoreError::Lost { .. }) => {
            "There is nothing of this number, or somebody changed it a moment ago. Please look again.".to_owned()
        }
        Some(_) => {
            tracing::error!("answering somebody on Discord: {error:#}");
            "Something is wrong on our side, not with what you asked. Please try again in a few minutes.".to_owned()
        }
        None => format!("That did not work: {}.", answer::plain(format!("{error:#}").trim_end_matches('.'))),
    })
}

/// Logs what did not arrive; false if it did not.
fn told(bot: &Bot, sent: Result<(), Trouble>) -> bool {
    match sent {
        Ok(()) => true,
        Err(trouble) => {
            if trouble == Trouble::Token {
                bot.token_lost.notify_one();
            }
            tracing::warn!("an answer on Discord did not arrive: {trouble}");
            false
        }
    }
}
