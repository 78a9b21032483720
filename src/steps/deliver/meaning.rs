//! What an attempt means: for its delivery, for the relay, for the text, and for whoever is to act.

use std::collections::HashMap;

use super::describe;
use crate::app::App;
use crate::channels::Sent;
use crate::domain::Moment;
use crate::domain::case::CaseState;
use crate::domain::delivery::{Answer, Cause, Next, Outcome, Tried};
use crate::domain::notice::NoticeKind;
use crate::store::{Begun, Delivery, Finished, TaskKind, Tx, Undelivered};

/// An attempt that has ended.
pub(super) struct Ended<'a> {
    pub(super) delivery: &'a Delivery,
    pub(super) begun: Begun,
    pub(super) sent: &'a Sent,
    pub(super) at: Moment,
}

/// What it means for its delivery.
pub(super) fn finish(app: &App, ended: &Ended<'_>) -> Finished {
    let Ended {
        delivery,
        begun,
        sent,
        at,
    } = *ended;
    let doubts =
        u32::from(delivery.possible_duplicate) + u32::from(sent.outcome == Outcome::InDoubt);
    let tried = Tried {
        delivery: delivery.id,
        attempts: u32::try_from(delivery.attempts)
            .unwrap_or(u32::MAX)
            .saturating_add(1),
        doubts,
        first_at: delivery.first_attempt_at.unwrap_or(begun.started_at),
    };
    let then = match (sent.outcome, app.retries.next(&tried, sent.outcome, at)) {
        (Outcome::Accepted, _) => Undelivered::No,
        (Outcome::FailRecipient, _) => Undelivered::Refused,
        // The text is held, and with it this letter: nobody is marked as failed for what a template says.
        (Outcome::FailMessage, _) => Undelivered::Again(at),
        // A manager is never told the same of somebody twice.
        (Outcome::InDoubt, _) if !delivery.kind.is_to_holder() => Undelivered::Stopped,
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
        attempt: begun.attempt,
        started_at: begun.started_at,
        ended_at: at,
        outcome: sent.outcome,
        stage: sent.stage,
        cause: sent.cause,
        code,
        reply,
        then,
    }
}

/// Whom no letter reaches is reached by a human being: the address is wrong, time is up, or a doubt must be decided.
pub(super) async fn work_of(tx: &mut Tx, records: &[Finished], now: Moment) -> anyhow::Result<()> {
    managers_by_hand(tx, records, now).await?;
    let mut reasons: HashMap<i64, (TaskKind, &'static str)> = HashMap::new();
    for record in records
        .iter()
        .filter(|record| record.kind != NoticeKind::Done && record.kind.is_to_holder())
    {
        match record.then {
            Undelivered::Refused => reasons.insert(record.thread, (TaskKind::Reach, "refused")),
            Undelivered::Expired => {
                reasons.insert(record.thread, (TaskKind::Reach, "undeliverable"))
            }
            Undelivered::Stopped => reasons.insert(record.thread, (TaskKind::Decide, "in_doubt")),
            // A mailbox that is full may stay so: somebody looks at once, and the letter goes on being tried.
            Undelivered::Again(_) if record.cause == Cause::MailboxFull => {
                reasons.insert(record.thread, (TaskKind::Reach, "mailbox_full"))
            }
            Undelivered::No | Undelivered::Again(_) => None,
        };
    }
    if reasons.is_empty() {
        return Ok(());
    }
    let threads: Vec<i64> = reasons.keys().copied().collect();
    let cases = tx.open_cases_of(&threads).await?;
    let tasks: Vec<_> = cases
        .iter()
        .filter_map(|case| {
            let (kind, why) = reasons.get(&case.thread?)?;
            // A doubt about a reminder is nobody's work; an address that stopped working is.
            let is_work = *kind == TaskKind::Reach || matches!(case.state, CaseState::Open);
            is_work.then_some((case.id, *kind, *why, None))
        })
        .collect();
    tx.open_tasks(&tasks, now).await?;
    Ok(())
}

/// Managers whom no letter reaches, or may have reached: a human being speaks with them, or finds out.
async fn managers_by_hand(tx: &mut Tx, records: &[Finished], now: Moment) -> anyhow::Result<()> {
    let (mut by_hand, mut doubts) = (Vec::new(), Vec::new());
    for record in records.iter().filter(|record| !record.kind.is_to_holder()) {
        match record.then {
            Undelivered::Refused => by_hand.push((record.delivery, "manager_refused")),
            Undelivered::Expired => by_hand.push((record.delivery, "manager_undeliverable")),
            Undelivered::Stopped => doubts.push(record.delivery),
            Undelivered::No | Undelivered::Again(_) => {}
        }
    }
    tx.manager_by_hand(&by_hand, now).await?;
    let doubts = tx.escalated(&doubts).await?;
    let tasks: Vec<_> = doubts
        .into_iter()
        .map(|(_, case)| (case, TaskKind::Decide, "manager_in_doubt", None))
        .collect();
    tx.open_tasks(&tasks, now).await?;
    Ok(())
}
