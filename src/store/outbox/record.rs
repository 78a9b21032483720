//! Recording: how attempts ended, what follows for their deliveries, and who was told by them.

use serde::Serialize;

use super::super::{One, StoreError, Tx, ids, on_set};
use crate::domain::delivery::{Cause, Outcome, Stage};
use crate::domain::notice::NoticeKind;
use crate::domain::{AttemptId, DeliveryId, Moment};

/// How an attempt ended, and what follows for its delivery.
#[derive(Clone, PartialEq, Debug)]
pub struct Finished {
    /// Which delivery.
    pub delivery: DeliveryId,
    /// In which conversation it stands.
    pub thread: i64,
    /// What it says.
    pub kind: NoticeKind,
    /// Which attempt.
    pub attempt: AttemptId,
    /// When it was written down.
    pub started_at: Moment,
    /// When it ended.
    pub ended_at: Moment,
    /// What it means.
    pub outcome: Outcome,
    /// How far it came.
    pub stage: Stage,
    /// Why, as the table of replies says.
    pub cause: Cause,
    /// The relay's code.
    pub code: Option<u16>,
    /// The relay's words, addresses masked.
    pub reply: Option<String>,
    /// What follows.
    pub then: Undelivered,
}

/// What follows for a delivery after an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Undelivered {
    /// Nothing: it is accepted.
    No,
    /// It comes back at this moment.
    Again(Moment),
    /// This address does not work.
    Refused,
    /// Time is up.
    Expired,
    /// A human being decides.
    Stopped,
}

impl Tx {
    /// Records how attempts ended. Whoever was told for the first time becomes notified; the ledger says so.
    pub async fn record(&mut self, finished: &[Finished], now: Moment) -> Result<(), StoreError> {
        if finished.is_empty() {
            return Ok(());
        }
        #[derive(Serialize)]
        struct Set<'a> {
            id: i64,
            attempt: i64,
            state: &'static str,
            due_at: Option<i64>,
            started_at: i64,
            ended_at: i64,
            outcome: &'static str,
            stage: &'static str,
            code: Option<u16>,
            reply: Option<&'a str>,
            in_doubt: bool,
        }
        let sets: Vec<Set> = finished
            .iter()
            .map(|one| {
                let (state, due_at) = match one.then {
                    Undelivered::No => ("accepted", None),
                    Undelivered::Again(at) => ("queued", Some(at.micros())),
                    Undelivered::Refused => ("refused", None),
                    Undelivered::Expired => ("expired", None),
                    Undelivered::Stopped => ("stopped", None),
                };
                Set {
                    id: one.delivery.0,
                    attempt: one.attempt.0,
                    state,
                    due_at,
                    started_at: one.started_at.micros(),
                    ended_at: one.ended_at.micros(),
                    outcome: one.outcome.word(),
                    stage: one.stage.word(),
                    code: one.code,
                    reply: one.reply.as_deref(),
                    in_doubt: one.outcome == Outcome::InDoubt,
                }
            })
            .collect();
        let back = finished.iter().filter(|one| {
            matches!(one.then, Undelivered::Again(_)) && one.kind != NoticeKind::Done
        });
        self.hold_campaigns(&ids(back.map(|one| one.thread)))
            .await?;
        let changed = on_set!(
            self, &sets, [id bigint, state text, due_at bigint, started_at bigint, ended_at bigint, in_doubt boolean],
            "UPDATE deliveries SET state = d.state, due_at = COALESCE(d.due_at, deliveries.due_at), lease_until = NULL, lease_by = NULL,
                 attempts = attempts + 1, first_attempt_at = COALESCE(first_attempt_at, d.started_at), ended_at = CASE WHEN d.state = 'queued' THEN NULL ELSE d.ended_at END, possible_duplicate = (possible_duplicate OR d.in_doubt)
             FROM d WHERE deliveries.id = d.id AND deliveries.state = 'leased'",
            sqlx::query, |query, db| query.execute(db).await.map(|done| done.rows_affected())
        )?;
        expect_all(changed, finished)?;
        // An attempt that was taken for dead has ended: its lease is another's, or nobody's.
        let changed = on_set!(
            self, &sets, [attempt bigint, ended_at bigint, outcome text, stage text, code bigint, reply text],
            "UPDATE attempts SET ended_at = d.ended_at, outcome = d.outcome, stage = d.stage, code = d.code, reply = d.reply FROM d WHERE attempts.id = d.attempt AND attempts.ended_at IS NULL",
            sqlx::query, |query, db| query.execute(db).await.map(|done| done.rows_affected())
        )?;
        expect_all(changed, finished)?;
        self.note_told(finished, now).await?;
        let again = finished
            .iter()
            .filter(|one| matches!(one.then, Undelivered::Again(_)))
            .map(|one| one.delivery.0);
        self.settle(&ids(again), now).await
    }

    /// Queues again what was refused one after the other for the relay's own reasons: nobody is unreachable for that. The
    /// work that came of it is done.
    pub async fn unrefuse(
        &mut self,
        deliveries: &[DeliveryId],
        now: Moment,
    ) -> Result<u64, StoreError> {
        let back: Vec<(i64, i64)> = on_set!(
            self, &ids(deliveries.iter().map(|id| id.0)), [id bigint],
            "UPDATE deliveries SET state = 'queued', ended_at = NULL FROM d WHERE deliveries.id = d.id AND deliveries.state = 'refused' RETURNING deliveries.id, deliveries.thread_id",
            sqlx::query_as::<_, (i64, i64)>, |query, db| query.fetch_all(db).await
        )?;
        let threads = ids(back.iter().map(|(_, thread)| *thread));
        on_set!(
            self, &threads, [id bigint],
            "INSERT INTO ledger (at, actor, act, case_id) SELECT $2, 'bell', 'case.reachable', c.id FROM d JOIN cases c ON c.thread_id = d.id AND c.not_reached = 'refused' AND c.state <> 'closed'",
            sqlx::query, |query, db| query.bind(now.micros()).execute(db).await.map(|_| ())
        )?;
        on_set!(
            self, &threads, [id bigint],
            "UPDATE tasks SET done_at = $2, done_by = 'bell' FROM d JOIN cases c ON c.thread_id = d.id WHERE tasks.case_id = c.id AND tasks.kind = 'reach' AND tasks.reason = 'refused' AND tasks.done_at IS NULL",
            sqlx::query, |query, db| query.bind(now.micros()).execute(db).await.map(|_| ())
        )?;
        on_set!(
            self, &threads, [id bigint],
            "UPDATE cases SET not_reached = NULL FROM d WHERE cases.thread_id = d.id AND cases.not_reached = 'refused' AND cases.state <> 'closed'",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        self.settle(&ids(back.iter().map(|(id, _)| *id)), now)
            .await?;
        Ok(back.len() as u64)
    }

    /// Decides about deliveries that are queued now, or came back to be sent again, what would have been decided had they
    /// been queued all along: they are dropped if nothing is left to say, and stand still with their campaign.
    pub(super) async fn settle(&mut self, again: &[One], now: Moment) -> Result<(), StoreError> {
        if again.is_empty() {
            return Ok(());
        }
        on_set!(
            self, again, [id bigint],
            "UPDATE deliveries SET state = 'dropped', ended_at = $2 FROM d WHERE deliveries.id = d.id AND deliveries.state = 'queued' AND deliveries.kind <> 'notice.done'
                 AND NOT EXISTS (SELECT 1 FROM cases c WHERE c.thread_id = deliveries.thread_id AND c.state <> 'closed')",
            sqlx::query, |query, db| query.bind(now.micros()).execute(db).await.map(|_| ())
        )?;
        self.rest(again, now).await?;
        // A letter that names somebody of whom it is true no more is written anew without them.
        on_set!(
            self, again, [id bigint],
            "UPDATE deliveries SET state = 'dropped', ended_at = $2 FROM d WHERE deliveries.id = d.id AND deliveries.state = 'queued' AND deliveries.kind LIKE 'escalation.%'
                 AND EXISTS (SELECT 1 FROM escalations e JOIN cases c ON c.id = e.case_id WHERE e.delivery_id = deliveries.id AND (c.state <> 'notified' OR COALESCE(c.exempt_until, 0) > $2))",
            sqlx::query, |query, db| query.bind(now.micros()).execute(db).await.map(|_| ())
        )?;
        let stopped: Vec<(i64, String)> = on_set!(
            self, again, [id bigint],
            "UPDATE deliveries SET state = p.state, ended_at = CASE WHEN p.state = 'stopped' THEN $2 END FROM d, threads t, campaigns p
             WHERE deliveries.id = d.id AND t.id = deliveries.thread_id AND p.id = t.campaign_id
                 AND deliveries.state = 'queued' AND deliveries.kind <> 'notice.done' AND p.state IN ('paused', 'stopped') RETURNING deliveries.thread_id, deliveries.state",
            sqlx::query_as::<_, (i64, String)>, |query, db| query.bind(now.micros()).fetch_all(db).await
        )?;
        let threads: Vec<i64> = stopped
            .into_iter()
            .filter(|(_, state)| state == "stopped")
            .map(|(thread, _)| thread)
            .collect();
        self.free_untold(&threads, now).await
    }

    /// What is about nothing but exempt cases rests, as if it had been queued when they were exempted: a first notice waits
    /// until the first exemption ends, a reminder goes only if a later one is due.
    async fn rest(&mut self, again: &[One], now: Moment) -> Result<(), StoreError> {
        on_set!(
            self, again, [id bigint],
            "UPDATE deliveries SET state = 'dropped', ended_at = $2 FROM d WHERE deliveries.id = d.id AND deliveries.state = 'queued' AND deliveries.kind LIKE 'reminder.%'
                 AND NOT EXISTS (SELECT 1 FROM cases c WHERE c.thread_id = deliveries.thread_id AND c.state <> 'closed' AND COALESCE(c.exempt_until, 0) <= $2)",
            sqlx::query, |query, db| query.bind(now.micros()).execute(db).await.map(|_| ())
        )?;
        on_set!(
            self, again, [id bigint],
            "UPDATE deliveries SET due_at = (SELECT MIN(c.exempt_until) FROM cases c WHERE c.thread_id = deliveries.thread_id AND c.state <> 'closed')
             FROM d WHERE deliveries.id = d.id AND deliveries.state = 'queued' AND deliveries.kind LIKE 'notice.%' AND deliveries.kind <> 'notice.done'
                 AND NOT EXISTS (SELECT 1 FROM cases c WHERE c.thread_id = deliveries.thread_id AND c.state <> 'closed' AND COALESCE(c.exempt_until, 0) <= $2)",
            sqlx::query, |query, db| query.bind(now.micros()).execute(db).await.map(|_| ())
        )?;
        Ok(())
    }

    /// Whoever was told for the first time becomes notified; the ledger says so.
    pub(in crate::store) async fn note_told(
        &mut self,
        finished: &[Finished],
        now: Moment,
    ) -> Result<(), StoreError> {
        let managers = finished
            .iter()
            .filter(|one| one.then == Undelivered::No && !one.kind.is_to_holder());
        let managers: Vec<_> = managers.map(|one| (one.delivery, one.ended_at)).collect();
        self.managers_told(&managers, now).await?;
        #[derive(Serialize)]
        struct Told {
            id: i64,
            ended_at: i64,
            act: &'static str,
            detail: String,
        }
        let told: Vec<Told> = finished
            .iter()
            .filter(|one| {
                one.then == Undelivered::No
                    && one.kind != NoticeKind::Done
                    && one.kind.is_to_holder()
            })
            .map(|one| Told {
                id: one.thread,
                ended_at: one.ended_at.micros(),
                act: if one.kind.is_first() {
                    "case.notified"
                } else {
                    "case.reminded"
                },
                detail: format!(
                    "{{\"kind\":\"{}\",\"delivery\":{}}}",
                    one.kind, one.delivery
                ),
            })
            .collect();
        if told.is_empty() {
            return Ok(());
        }
        on_set!(
            self, &told, [id bigint, ended_at bigint, act text, detail text],
            "INSERT INTO ledger (at, actor, act, case_id, effective_at, detail) SELECT $2, 'bell', d.act, c.id, d.ended_at, d.detail FROM d JOIN cases c ON c.thread_id = d.id AND c.state <> 'closed'",
            sqlx::query, |query, db| query.bind(now.micros()).execute(db).await.map(|_| ())
        )?;
        on_set!(
            self, &told, [id bigint, ended_at bigint],
            "UPDATE cases SET state = 'notified', notice_at = COALESCE(notice_at, f.ended_at), not_reached = NULL FROM (SELECT id, MIN(ended_at) AS ended_at FROM d GROUP BY id) f
             WHERE cases.thread_id = f.id AND cases.state = 'open'",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        Ok(())
    }
}

/// A batch of records stands or falls as a whole.
fn expect_all(changed: u64, finished: &[Finished]) -> Result<(), StoreError> {
    if changed == finished.len() as u64 {
        return Ok(());
    }
    Err(StoreError::Lost {
        table: "deliveries",
        id: finished.first().map_or(0, |one| one.delivery.0),
    })
}
