//! First notices that no relay takes: which of them are late, and the work that they made once they are taken after all.

use chrono::TimeDelta;

use super::tasks::LATE;
use super::{StoreError, Tx, on};
use crate::domain::Moment;

/// A thread whose first notice is late.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LateThread {
    /// Its number.
    pub id: i64,
    /// When its first notice was due.
    pub first_at: Moment,
    /// Until when its reader has time.
    pub deadline_at: Option<Moment>,
}

impl Tx {
    /// Threads after `after` whose first notice is due, not taken, and late: `longest` has passed since it was due, or one of
    /// `share` parts of the time to the deadline ([`crate::domain::delivery::late_at`]). Only those of which a case is open
    /// that is no human being's work yet.
    pub async fn late_threads(
        &mut self,
        (longest, share): (TimeDelta, i32),
        after: i64,
        limit: i64,
        now: Moment,
    ) -> Result<Vec<LateThread>, StoreError> {
        // Two looks at what is on its way, because each has an index of its own; both are empty most of the time. CROSS JOIN
        // keeps SQLite to this order.
        let rows: Vec<(i64, i64, Option<i64>)> = on!(self, db => sqlx::query_as(
            "SELECT DISTINCT t.id, t.first_at, t.deadline_at
             FROM (SELECT thread_id, kind FROM deliveries WHERE state = 'queued' UNION ALL SELECT thread_id, kind FROM deliveries WHERE state = 'leased') x
             CROSS JOIN threads t
             WHERE t.id = x.thread_id AND t.kind = x.kind AND t.state = 'running' AND t.id > $1 AND t.first_at <= $2 AND ($2 - t.first_at >= $3 OR ($2 - t.first_at) * $4 >= t.deadline_at - t.first_at)
                 AND EXISTS (SELECT 1 FROM cases c WHERE c.thread_id = t.id AND c.state = 'open' AND COALESCE(c.exempt_until, 0) <= $2 AND COALESCE(c.snoozed_until, 0) <= $2
                     AND NOT EXISTS (SELECT 1 FROM tasks k WHERE k.case_id = c.id AND k.kind = 'reach' AND k.done_at IS NULL))
             ORDER BY t.id LIMIT $5",
        ).bind(after).bind(now.micros()).bind(longest.num_microseconds().unwrap_or(i64::MAX)).bind(i64::from(share)).bind(limit).fetch_all(db).await)?;
        Ok(rows
            .into_iter()
            .map(|(id, first_at, deadline_at)| LateThread {
                id,
                first_at: Moment::from_micros(first_at),
                deadline_at: deadline_at.map(Moment::from_micros),
            })
            .collect())
    }

    /// Whether a person is still to be reached because their notice was late, and has been told meanwhile.
    pub async fn has_needless_chase(&mut self) -> Result<bool, StoreError> {
        let found: Option<(i64,)> = on!(self, db => sqlx::query_as(
            "SELECT k.id FROM tasks k JOIN cases c ON c.id = k.case_id AND c.state = 'notified' WHERE k.kind = 'reach' AND k.reason = $1 AND k.done_at IS NULL LIMIT 1",
        ).bind(LATE).fetch_optional(db).await)?;
        Ok(found.is_some())
    }

    /// Ends the work of reaching people whose notice was late and has been taken after all; gives how much of it there was.
    pub async fn end_needless_chases(&mut self, now: Moment) -> Result<u64, StoreError> {
        Ok(on!(self, db => sqlx::query(
            "UPDATE tasks SET done_at = $2, done_by = 'bell' WHERE kind = 'reach' AND reason = $1 AND done_at IS NULL AND EXISTS (SELECT 1 FROM cases c WHERE c.id = tasks.case_id AND c.state = 'notified')",
        ).bind(LATE).bind(now.micros()).execute(db).await.map(|done| done.rows_affected()))?)
    }
}
