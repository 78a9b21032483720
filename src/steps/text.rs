//! Texts → attempts. As with mail, an attempt is committed before its request goes out; a doubt is settled by asking the
//! gateway where it can be asked, before anything is repeated.

use chrono::TimeDelta;
use futures_util::future::join_all;
use serde::Serialize;

use super::deliver::{Stopping, describe};
use crate::app::App;
use crate::channels::sms::LookedUp;
use crate::channels::{Gateway, Sent};
use crate::domain::case::CaseState;
use crate::domain::delivery::{Answer, Cause, Next, Outcome, Reply, Stage, Tried, Verdict};
use crate::domain::policy::WhyNot;
use crate::domain::text::Fate;
use crate::domain::{Moment, Way};
use crate::store::{Bounce, Finished, OtherDelivery, TaskKind, Undelivered};

/// A worker that is silent for this long is dead; a request never takes as long.
const LEASE: TimeDelta = TimeDelta::minutes(15);

/// Texts that are on their way at once, and so may be in doubt at once.
const WINDOW: i64 = 8;

/// How long a gateway is asked what became of a text.
const ASKED_FOR: TimeDelta = TimeDelta::days(3);

/// How often.
const ASKED_EVERY: TimeDelta = TimeDelta::minutes(5);

/// How many are asked about in one pass.
const ASKED_AT_ONCE: i64 = 100;

/// What a pass came to.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Texted {
    /// Texts that the gateway took.
    pub accepted: u64,
    /// Attempts that come back later.
    pub deferred: u64,
    /// Numbers that cannot be texted.
    pub refused: u64,
    /// Texts that may or may not have been taken.
    pub in_doubt: u64,
    /// Texts for which a human being has to decide.
    pub stopped: u64,
    /// Texts that the gateway took, and could not deliver.
    pub failed_later: u64,
    /// Why the pass ended early, and what to do.
    pub held: Option<String>,
}

impl std::fmt::Display for Texted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "texts: {} accepted, {} deferred, {} refused, {} in doubt, {} not delivered by the gateway",
            self.accepted, self.deferred, self.refused, self.in_doubt, self.failed_later
        )?;
        match &self.held {
            Some(why) => write!(f, "; the gateway is held: {why}"),
            None => Ok(()),
        }
    }
}

/// Sends every text that is due, until none is, the gateway refuses us, or we are told to stop; then asks what became of
/// those that were taken before.
pub async fn text(app: &App, stopping: &Stopping) -> anyhow::Result<Texted> {
    let mut texted = Texted::default();
    if app.gateway.is_some()
        && let Some(held) = app.mute().await?
    {
        texted.held = Some(held);
        return Ok(texted);
    }
    let due = app
        .store
        .read()
        .await?
        .others_due(Way::Sms, app.clock.now())
        .await?;
    let Some(gateway) = &app.gateway else {
        if due > 0 {
            texted.held = Some(format!(
                "{due} texts wait, and there is no [sms] in the config"
            ));
        }
        return Ok(texted);
    };
    if due > 0 {
        while texted.held.is_none() && !*stopping.borrow() {
            if !round(app, gateway, &mut texted).await? {
                break;
            }
        }
    }
    if due > 0 {
        app.mute().await?;
    }
    if gateway.can_look_up() && texted.held.is_none() && !*stopping.borrow() {
        ask(app, gateway, &mut texted).await?;
    }
    Ok(texted)
}

/// Claims, sends and records up to a window of texts; false if none was due.
async fn round(app: &App, gateway: &Gateway, texted: &mut Texted) -> anyhow::Result<bool> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let claims = tx
        .claim_texts(WINDOW, &app.worker, now.plus(LEASE), now)
        .await?;
    tx.commit().await?;
    if claims.is_empty() {
        return Ok(false);
    }
    let sent = join_all(claims.iter().map(|claim| one(app, gateway, claim))).await;
    let now = app.clock.now();
    let finished: Vec<Finished> = claims
        .iter()
        .zip(&sent)
        .map(|(claim, sent)| finish(app, claim, sent, now))
        .collect();
    let mut tx = app.store.begin().await?;
    tx.record(&finished, now).await?;
    let mut tasks = Vec::new();
    for record in &finished {
        // A number that cannot be texted is followed by the next way; see `steps::notify`.
        let task = match (record.then, record.outcome) {
            (Undelivered::Stopped, Outcome::FailMessage) => {
                (TaskKind::Reach, WhyNot::Unwritable.word())
            }
            (Undelivered::Stopped, _) => (TaskKind::Decide, "in_doubt"),
            _ => continue,
        };
        let cases = tx.open_cases_of(&[record.thread]).await?;
        let open = cases
            .iter()
            .filter(|case| matches!(case.state, CaseState::Open));
        tasks.extend(open.map(|case| (case.id, task.0, task.1, None)));
    }
    tx.open_tasks(&tasks, now).await?;
    tx.commit().await?;
    for (record, sent) in finished.iter().zip(&sent) {
        texted.count(record);
        if sent.outcome.is_about_the_relay() && texted.held.is_none() {
            let why = describe(sent);
            tracing::warn!(
                gateway.outcome = sent.outcome.word(),
                "the gateway is held: {why}"
            );
            texted.held = Some(why);
        }
    }
    Ok(true)
}

/// One text: written anew, looked for if it may be there already, and sent.
async fn one(app: &App, gateway: &Gateway, delivery: &OtherDelivery) -> Sent {
    let written = match app.letters.write_text(&app.store, delivery).await {
        Ok(text) => app
            .letters
            .reference(delivery.id)
            .map(|reference| (reference, text)),
        Err(error) => Err(error),
    };
    let (reference, text) = match written {
        Ok(written) => written,
        Err(error) => {
            tracing::error!(delivery.id = %delivery.id, "{error:#}");
            return answer(
                Outcome::FailMessage,
                500,
                "the text cannot be written as it was queued",
            );
        }
    };
    if delivery.possible_duplicate {
        match gateway.look_up(&reference).await {
            LookedUp::There(Fate::Underway | Fate::Arrived) => return Sent::found(),
            LookedUp::There(Fate::Failed) => {
                return answer(
                    Outcome::FailRecipient,
                    550,
                    "the gateway has it, and could not deliver it",
                );
            }
            LookedUp::NotThere => {}
            LookedUp::Unknown if gateway.can_look_up() => {
                return answer(
                    Outcome::DeferRelay,
                    451,
                    "the gateway does not say whether it has the text already",
                );
            }
            LookedUp::Unknown => {}
        }
    }
    gateway.send(&reference, &delivery.to, &text).await
}

fn answer(outcome: Outcome, code: u16, text: &str) -> Sent {
    let cause = match outcome {
        Outcome::FailMessage => Cause::ContentRefused,
        Outcome::FailRecipient => Cause::BadAddress,
        _ => Cause::NotNow,
    };
    Sent {
        stage: Stage::Connect,
        answer: Answer::Reply(Reply::new(code, text)),
        outcome,
        cause,
    }
}

/// What an attempt means for its delivery.
fn finish(app: &App, delivery: &OtherDelivery, sent: &Sent, ended_at: Moment) -> Finished {
    let doubts =
        u32::from(delivery.possible_duplicate) + u32::from(sent.outcome == Outcome::InDoubt);
    let tried = Tried {
        delivery: delivery.id,
        attempts: u32::try_from(delivery.attempts)
            .unwrap_or(u32::MAX)
            .saturating_add(1),
        doubts,
        first_at: delivery.first_attempt_at,
    };
    let then = match (
        sent.outcome,
        app.retries.next(&tried, sent.outcome, ended_at),
    ) {
        (Outcome::Accepted, _) => Undelivered::No,
        (Outcome::FailRecipient, _) => Undelivered::Refused,
        (_, Next::At(at)) => Undelivered::Again(at),
        (_, Next::Expired) => Undelivered::Expired,
        (_, Next::Stop) => Undelivered::Stopped,
    };
    let (code, reply) = match &sent.answer {
        Answer::Reply(reply) => (Some(reply.code), Some(reply.text.clone())),
        Answer::Lost | Answer::TimedOut | Answer::Tls | Answer::Garbled => {
            (None, Some(describe(sent)))
        }
    };
    Finished {
        delivery: delivery.id,
        thread: delivery.thread,
        kind: delivery.kind,
        attempt: delivery.attempt,
        started_at: delivery.first_attempt_at,
        ended_at,
        outcome: sent.outcome,
        stage: sent.stage,
        cause: sent.cause,
        code,
        reply,
        then,
    }
}

/// Asks what became of texts that were taken; one that did not arrive is followed by the next way.
async fn ask(app: &App, gateway: &Gateway, texted: &mut Texted) -> anyhow::Result<()> {
    let now = app.clock.now();
    let underway = app
        .store
        .read()
        .await?
        .texts_underway(now.minus(ASKED_FOR), now.minus(ASKED_EVERY), ASKED_AT_ONCE)
        .await?;
    for id in underway {
        let fate = match gateway.look_up(&app.letters.reference(id)?).await {
            LookedUp::There(fate) => fate,
            LookedUp::NotThere => Fate::Underway,
            // It does not answer now; it is asked again.
            LookedUp::Unknown => return Ok(()),
        };
        let now = app.clock.now();
        let mut tx = app.store.begin().await?;
        tx.keep_fate(id, fate, now).await?;
        if fate == Fate::Failed {
            let bounce = Bounce {
                delivery: id,
                verdict: Verdict::Failed,
                status: None,
                reply: Some("the gateway could not deliver it".to_owned()),
                why: "bounced",
            };
            tx.bounce(&bounce, now).await?;
            texted.failed_later += 1;
        }
        tx.commit().await?;
    }
    Ok(())
}

impl Texted {
    fn count(&mut self, record: &Finished) {
        match (record.outcome, record.then) {
            (Outcome::Accepted, _) => self.accepted += 1,
            (Outcome::InDoubt, then) => {
                self.in_doubt += 1;
                self.stopped += u64::from(then == Undelivered::Stopped);
            }
            (_, Undelivered::Refused) => self.refused += 1,
            (_, Undelivered::Stopped | Undelivered::Expired) => self.stopped += 1,
            (_, Undelivered::Again(_) | Undelivered::No) => self.deferred += 1,
        }
    }
}
