//! Doubts that a human being decides: a letter that was in doubt twice, and is sent by itself no more.

use super::outbox::{Finished, Undelivered};
use super::{StoreError, Tx, expect_one, on, strange};
use crate::domain::delivery::{Cause, Outcome, Stage};
use crate::domain::notice::NoticeKind;
use crate::domain::{AttemptId, DeliveryId, Moment};

/// What a human being says of a letter in doubt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It did arrive: the relay's log or its reader says so.
    Arrived,
    /// Send it once more, the same bytes.
    Again,
}

impl Verdict {
    const fn act(self) -> &'static str {
        match self {
            Self::Arrived => "delivery.arrived",
            Self::Again => "delivery.again",
        }
    }
}

impl Tx {
    /// Decides about a letter that was stopped in doubt; who did, and why, is in the ledger. Its task is done.
    pub async fn decide_doubt(
        &mut self,
        id: DeliveryId,
        verdict: Verdict,
        by: &str,
        reason: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let changed = match verdict {
            Verdict::Arrived => {
                on!(self, db => sqlx::query("UPDATE deliveries SET state = 'accepted', ended_at = $2 WHERE id = $1 AND state = 'stopped' AND possible_duplicate")
                    .bind(id.0).bind(now.micros()).execute(db).await.map(|done| done.rows_affected()))?
            }
            Verdict::Again => {
                on!(self, db => sqlx::query("UPDATE deliveries SET state = 'queued', due_at = $2, ended_at = NULL WHERE id = $1 AND state = 'stopped' AND possible_duplicate")
                    .bind(id.0).bind(now.micros()).execute(db).await.map(|done| done.rows_affected()))?
            }
        };
        expect_one(changed, "deliveries", id.0)?;
        let detail = serde_json::to_string(&serde_json::json!({ "reason": reason }))?;
        let thing = format!("delivery:{id}");
        self.note(now, by, verdict.act(), Some(&thing), Some(&detail))
            .await?;
        let (thread, kind): (i64, String) = on!(self, db => sqlx::query_as("SELECT thread_id, kind FROM deliveries WHERE id = $1").bind(id.0).fetch_one(db).await)?;
        let kind =
            NoticeKind::from_word(&kind).ok_or_else(|| strange("deliveries", "kind", id.0))?;
        if kind.is_to_holder() {
            on!(self, db => sqlx::query("UPDATE tasks SET done_at = $2, done_by = $3 WHERE kind = 'decide' AND reason = 'in_doubt' AND done_at IS NULL AND case_id IN (SELECT id FROM cases WHERE thread_id = $1)")
                .bind(thread).bind(now.micros()).bind(by).execute(db).await.map(|_| ()))?;
        } else {
            on!(self, db => sqlx::query("UPDATE tasks SET done_at = $2, done_by = $3 WHERE kind = 'decide' AND reason = 'manager_in_doubt' AND done_at IS NULL AND case_id IN (SELECT case_id FROM escalations WHERE delivery_id = $1)")
                .bind(id.0).bind(now.micros()).bind(by).execute(db).await.map(|_| ()))?;
        }
        if verdict == Verdict::Arrived {
            self.note_arrived(id, thread, kind, now).await?;
        }
        Ok(())
    }

    async fn note_arrived(
        &mut self,
        id: DeliveryId,
        thread: i64,
        kind: NoticeKind,
        now: Moment,
    ) -> Result<(), StoreError> {
        let arrived = Finished {
            delivery: id,
            thread,
            kind,
            attempt: AttemptId(0),
            started_at: now,
            ended_at: now,
            outcome: Outcome::Accepted,
            stage: Stage::Dot,
            cause: Cause::Accepted,
            code: None,
            reply: None,
            then: Undelivered::No,
        };
        self.note_told(&[arrived], now).await
    }
}
