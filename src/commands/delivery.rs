//! `bell delivery …` and `bell hold …`: did somebody get it, and what keeps letters back.

use serde_json::{Value, json};

use super::{Said, misused, operator};
use crate::app::App;
use crate::cli::{Cli, Delivery as Command, Hold, Verdict as Word};
use crate::domain::address::fold;
use crate::domain::{DeliveryId, EmailAddress, PersonId};
use crate::store::{DeliveryStory, Verdict};

pub(super) async fn run(cli: &Cli, app: &App, command: &Command) -> anyhow::Result<Said> {
    match command {
        Command::Show { id } => show(app, *id).await,
        Command::Of { who } => of(app, who).await,
        Command::Decide {
            id,
            verdict,
            reason,
        } => {
            let by = operator(cli, app)?;
            let (verdict, done) = match verdict {
                Word::Arrived => (Verdict::Arrived, "taken as arrived"),
                Word::Again => (
                    Verdict::Again,
                    "goes out once more, with the same bytes, in the next pass",
                ),
            };
            let mut tx = app.store.begin().await?;
            tx.decide_doubt(*id, verdict, &by, reason, app.clock.now())
                .await
                .map_err(|error| match error {
                    crate::store::StoreError::Lost { .. } => misused(format!(
                        "delivery {id} is not stopped in doubt; `bell delivery show {id}` says what it is"
                    )),
                    other => other.into(),
                })?;
            tx.commit().await?;
            Ok(Said::words(
                format!("delivery {id}: {done}"),
                json!({ "delivery": id, "done": done }),
            ))
        }
    }
}

async fn show(app: &App, id: DeliveryId) -> anyhow::Result<Said> {
    let mut tx = app.store.read().await?;
    let Some(story) = tx.story(id).await? else {
        anyhow::bail!("there is no delivery {id}; `bell delivery of WHO` lists a person's")
    };
    Ok(Said::words(tell(&story), serde_json::to_value(&story)?))
}

async fn of(app: &App, who: &str) -> anyhow::Result<Said> {
    let mut tx = app.store.read().await?;
    let id = match (who.parse::<i64>(), EmailAddress::parse(who)) {
        (Ok(number), _) => Some(PersonId(number)),
        (_, Ok(address)) => tx.person_by_address(&address.folded()).await?,
        _ => tx.person_by_login(&fold(who)).await?,
    };
    let Some(id) = id else {
        anyhow::bail!("the directory has nobody of that number, address or login")
    };
    let stories = tx.stories_of(id).await?;
    let text: Vec<String> = stories.iter().map(tell).collect();
    let text = if text.is_empty() {
        format!("nothing was ever written to person {id}; `bell plan` says why not")
    } else {
        text.join("\n")
    };
    Ok(Said::words(text, serde_json::to_value(&stories)?))
}

/// Did it arrive? The attempts, what the relay said, what came back.
pub(super) fn tell(story: &DeliveryStory) -> String {
    let twice = if story.possible_duplicate {
        ", may have arrived twice"
    } else {
        ""
    };
    let mut text = format!(
        "delivery {} {} by {} to {}: {}{twice}",
        story.id,
        story.kind,
        story.recipient.way(),
        story.recipient,
        words(&story.state)
    );
    if story.state == "queued" {
        text.push_str(&format!(", due {}", story.due_at));
    }
    text.push_str(&format!("\n  {}  queued", story.queued_at));
    for attempt in &story.attempts {
        let code = attempt
            .code
            .map(|code| format!(" {code}"))
            .unwrap_or_default();
        let word = |text: &Option<String>| text.clone().unwrap_or_default();
        let end = match attempt.ended_at {
            Some(at) => format!(
                "{at}  {} {}{code} {}",
                word(&attempt.outcome),
                word(&attempt.stage),
                word(&attempt.reply)
            ),
            None => "in flight".to_owned(),
        };
        text.push_str(&format!("\n  {}  attempt → {end}", attempt.started_at));
    }
    for bounce in &story.bounces {
        text.push_str(&format!(
            "\n  {}  came back: {} {} {}",
            bounce.received_at,
            bounce.action,
            bounce.status.as_deref().unwrap_or(""),
            bounce.reply.as_deref().unwrap_or("")
        ));
    }
    text
}

/// What a state means, for somebody who is asked whether X got it.
fn words(state: &str) -> &str {
    match state {
        "accepted" => "accepted: the relay has taken it, which is not yet read",
        "leased" => "on its way just now",
        "handed_out" => "handed out: printed, and not yet ticked off",
        "refused" => "refused: this address does not work",
        "bounced" => "bounced: taken by the relay, and returned later",
        "expired" => "expired: it was tried for days",
        "dropped" => "dropped: there was nothing left to say",
        "paused" => "waits: its campaign is paused",
        "stopped" => "stopped: a human being decides",
        other => other,
    }
}

pub(super) async fn hold(cli: &Cli, app: &App, command: &Hold) -> anyhow::Result<Said> {
    match command {
        Hold::List => {
            let holds = app.store.read().await?.holds().await?;
            let lines: Vec<String> = holds
                .iter()
                .map(|hold| {
                    let what = match (&hold.relay, &hold.kind) {
                        (Some(_), _) => "the relay".to_owned(),
                        (None, Some(kind)) => format!("{kind}, {} letters wait", hold.letters),
                        (None, None) => String::new(),
                    };
                    format!(
                        "{:>5}  since {}  {what}: {}",
                        hold.id, hold.held_at, hold.reason
                    )
                })
                .collect();
            let text = if lines.is_empty() {
                "nothing is held".to_owned()
            } else {
                lines.join("\n")
            };
            Ok(Said::words(text, serde_json::to_value(&holds)?).look_if(!holds.is_empty()))
        }
        Hold::Release { id, reason } => {
            let by = operator(cli, app)?;
            let mut tx = app.store.begin().await?;
            tx.release_hold(*id, &by, reason, app.clock.now())
                .await
                .map_err(|error| match error {
                    crate::store::StoreError::Lost { .. } => misused(format!(
                        "there is no hold {id} in force; `bell hold list` shows them"
                    )),
                    other => other.into(),
                })?;
            tx.commit().await?;
            Ok(Said::words(
                format!("hold {id} is released; the next pass sends what waited"),
                json!({ "hold": id, "released": Value::Bool(true) }),
            ))
        }
    }
}
