//! Those whom a human being told, and with whom no conversation by letters is under way: their clock runs all the same.

use serde::Serialize;

use super::ledger::Act;
use super::{CaseRow, StoreError, Tx, ids, on, on_set};
use crate::domain::{CaseId, Moment};

impl Tx {
    /// Told cases from `after` on, by number, that no conversation takes care of and that have no deadline.
    pub async fn told_undated(
        &mut self,
        after: CaseId,
        limit: i64,
    ) -> Result<Vec<CaseRow>, StoreError> {
        let found: Vec<(i64,)> = on!(self, db => sqlx::query_as(
            "SELECT c.id FROM cases c LEFT JOIN threads t ON t.id = c.thread_id
             WHERE c.state = 'notified' AND c.deadline_at IS NULL AND c.id > $1 AND (t.id IS NULL OR t.state = 'ended') ORDER BY c.id LIMIT $2",
        ).bind(after.0).bind(limit).fetch_all(db).await)?;
        self.cases_by_id(&ids(found.into_iter().map(|(id,)| id)))
            .await
    }

    /// Told cases from `after` on, by number, that no conversation takes care of, whose deadline lies between `since` and
    /// `now`, that do not rest, and that were not handed over.
    pub async fn told_overdue(
        &mut self,
        after: CaseId,
        since: Moment,
        now: Moment,
        limit: i64,
    ) -> Result<Vec<CaseRow>, StoreError> {
        let found: Vec<(i64,)> = on!(self, db => sqlx::query_as(
            "SELECT c.id FROM cases c LEFT JOIN threads t ON t.id = c.thread_id
             WHERE c.state = 'notified' AND c.deadline_at BETWEEN $2 AND $3 AND c.id > $1 AND (t.id IS NULL OR t.state = 'ended')
                 AND COALESCE(c.exempt_until, 0) <= $3 AND COALESCE(c.snoozed_until, 0) <= $3
                 AND NOT EXISTS (SELECT 1 FROM ledger l WHERE l.case_id = c.id AND l.act = 'case.hand_over_due') ORDER BY c.id LIMIT $4",
        ).bind(after.0).bind(since.micros()).bind(now.micros()).bind(limit).fetch_all(db).await)?;
        self.cases_by_id(&ids(found.into_iter().map(|(id,)| id)))
            .await
    }

    /// Gives these cases the deadlines that they did not have.
    pub async fn date_cases(
        &mut self,
        deadlines: &[(CaseId, Moment)],
        now: Moment,
    ) -> Result<(), StoreError> {
        #[derive(Serialize)]
        struct Set {
            id: i64,
            deadline_at: i64,
        }
        if deadlines.is_empty() {
            return Ok(());
        }
        let sets: Vec<Set> = deadlines
            .iter()
            .map(|(case, at)| Set {
                id: case.0,
                deadline_at: at.micros(),
            })
            .collect();
        let dated: Vec<(i64, i64)> = on_set!(
            self, &sets, [id bigint, deadline_at bigint],
            "UPDATE cases SET deadline_at = d.deadline_at FROM d WHERE cases.id = d.id AND cases.state <> 'closed' AND cases.deadline_at IS NULL RETURNING cases.id, cases.deadline_at",
            sqlx::query_as::<_, (i64, i64)>, |query, db| query.fetch_all(db).await
        )?;
        let acts: Vec<Act> = dated
            .into_iter()
            .map(|(case_id, deadline_at)| Act {
                case_id,
                act: "case.due",
                effective_at: Some(deadline_at),
                detail: None,
            })
            .collect();
        self.note_cases(now, "bell", &acts).await
    }
}
