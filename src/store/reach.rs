//! Whom nobody has reached, who sees to it, and what people say: none of it closes a case.

use serde::Serialize;

use super::{CaseRow, StoreError, Tx, expect_one, on};
use crate::domain::evidence::Grade;
use crate::domain::reply::{Heard, OutOfReach, Reply};
use crate::domain::{CaseId, Moment};
use crate::store::TaskKind;

/// An open case whose person is not reached.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Unreached {
    /// Which.
    pub case: CaseId,
    /// Why.
    pub why: String,
    /// Since when somebody has to reach them; none if only its flag says so.
    pub since: Option<Moment>,
    /// The operator who sees to it.
    pub by: Option<String>,
    /// When the reset is due.
    pub deadline_at: Option<Moment>,
    /// Its category's word.
    pub category: String,
    /// Where the account belongs.
    pub department: String,
}

/// What a person said, as it was written down.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Said {
    /// What.
    pub said: Reply,
    /// By which way it was heard.
    pub by_way: Heard,
    /// When they said it.
    pub said_at: Moment,
    /// Who wrote it down.
    pub noted_by: String,
    /// What it is worth as evidence: C or D, neither of which closes a case.
    pub grade: Grade,
}

impl Tx {
    /// Open cases whose persons are not reached, or that somebody has to reach another way; those without an owner
    /// first, then by deadline.
    pub async fn unreached(&mut self, limit: i64) -> Result<Vec<Unreached>, StoreError> {
        type Row = (
            i64,
            String,
            Option<i64>,
            Option<String>,
            Option<i64>,
            String,
            String,
        );
        let rows: Vec<Row> = on!(self, db => sqlx::query_as(
            "SELECT c.id, COALESCE(c.not_reached, k.reason), k.opened_at, c.reach_by, c.deadline_at, c.category, c.department
             FROM cases c LEFT JOIN tasks k ON k.case_id = c.id AND k.kind = 'reach' AND k.done_at IS NULL
             WHERE c.state <> 'closed' AND (c.not_reached IS NOT NULL OR k.id IS NOT NULL)
             ORDER BY CASE WHEN c.reach_by IS NULL THEN 0 ELSE 1 END, CASE WHEN c.deadline_at IS NULL THEN 1 ELSE 0 END, c.deadline_at, c.id LIMIT $1",
        ).bind(limit).fetch_all(db).await)?;
        Ok(rows
            .into_iter()
            .map(
                |(id, why, since, by, deadline_at, category, department)| Unreached {
                    case: CaseId(id),
                    why,
                    since: since.map(Moment::from_micros),
                    by,
                    deadline_at: deadline_at.map(Moment::from_micros),
                    category,
                    department,
                },
            )
            .collect())
    }

    /// Makes an operator see to it that a case's person is reached.
    pub async fn assign_case(
        &mut self,
        case: CaseId,
        to: &str,
        actor: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let changed = on!(self, db => sqlx::query("UPDATE cases SET reach_by = $2 WHERE id = $1 AND state <> 'closed'")
            .bind(case.0).bind(to).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "cases", case.0)?;
        let detail = serde_json::json!({ "to": to }).to_string();
        self.note_case(now, actor, "case.assigned", case, None, Some(&detail))
            .await
    }

    /// Puts a case among those whose person is not reached, with the deadline it has from then on if it had none.
    pub async fn miss_case(
        &mut self,
        case: &CaseRow,
        why: OutOfReach,
        deadline_at: Moment,
        actor: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        // A firmer word than that of whoever opened the task before.
        let changed = on!(self, db => sqlx::query("UPDATE cases SET not_reached = $2 WHERE id = $1 AND state <> 'closed'")
            .bind(case.id.0).bind(why.word()).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "cases", case.id.0)?;
        let task = (case.id, TaskKind::Reach, why.word(), Some(deadline_at));
        self.open_tasks(&[task], now).await?;
        on!(self, db => sqlx::query("UPDATE tasks SET reason = $2 WHERE case_id = $1 AND kind = 'reach' AND done_at IS NULL")
            .bind(case.id.0).bind(why.word()).execute(db).await.map(|_| ()))?;
        let detail = serde_json::json!({ "reason": why.word() }).to_string();
        self.note_case(now, actor, "case.missed", case.id, None, Some(&detail))
            .await
    }

    /// Writes down what a person said. Whoever needs help, or says that it is not theirs, becomes somebody's work.
    pub async fn add_reply(
        &mut self,
        case: CaseId,
        said: &Said,
        now: Moment,
    ) -> Result<(), StoreError> {
        on!(self, db => sqlx::query("INSERT INTO replies (case_id, said, by_way, said_at, noted_at, noted_by, grade) VALUES ($1, $2, $3, $4, $5, $6, $7)")
            .bind(case.0).bind(said.said.word()).bind(said.by_way.word()).bind(said.said_at.micros()).bind(now.micros())
            .bind(&said.noted_by).bind(said.grade.word()).execute(db).await.map(|_| ()))?;
        let kind = match said.said {
            Reply::Done => None,
            Reply::NotMe => Some(TaskKind::Operators),
            Reply::NeedHelp => Some(TaskKind::Help),
        };
        if let Some(kind) = kind {
            self.open_tasks(&[(case, kind, said.said.word(), None)], now)
                .await?;
        }
        let detail =
            serde_json::json!({ "said": said.said, "by": said.by_way, "grade": said.grade })
                .to_string();
        self.note_case(
            now,
            &said.noted_by,
            "case.replied",
            case,
            Some(said.said_at),
            Some(&detail),
        )
        .await
    }

    /// What a case's person has said, oldest first.
    pub async fn replies(&mut self, case: CaseId) -> Result<Vec<Said>, StoreError> {
        let rows: Vec<(i64, String, String, i64, String, String)> = on!(self, db => sqlx::query_as(
            "SELECT id, said, by_way, said_at, noted_by, grade FROM replies WHERE case_id = $1 ORDER BY id",
        ).bind(case.0).fetch_all(db).await)?;
        rows.into_iter()
            .map(|(id, said, by_way, said_at, noted_by, grade)| {
                let bad = |column| super::strange("replies", column, id);
                Ok(Said {
                    said: Reply::from_word(&said).ok_or_else(|| bad("said"))?,
                    by_way: Heard::from_word(&by_way).ok_or_else(|| bad("by_way"))?,
                    said_at: Moment::from_micros(said_at),
                    noted_by,
                    grade: Grade::from_word(&grade).ok_or_else(|| bad("grade"))?,
                })
            })
            .collect()
    }

    /// Ends a task that only a human being can end: help that was given, an account whose holder was found.
    pub async fn end_task(
        &mut self,
        id: i64,
        note: &str,
        actor: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let done: Option<(Option<i64>, String)> = on!(self, db => sqlx::query_as(
            "UPDATE tasks SET done_at = $2, done_by = $3 WHERE id = $1 AND done_at IS NULL AND (kind = 'help' OR reason = 'not_me') RETURNING case_id, kind",
        ).bind(id).bind(now.micros()).bind(actor).fetch_optional(db).await)?;
        let Some((case, kind)) = done else {
            return expect_one(0, "tasks", id);
        };
        let detail = serde_json::json!({ "kind": kind, "note": note }).to_string();
        self.note_case(
            now,
            actor,
            "case.task_done",
            CaseId(case.unwrap_or(0)),
            None,
            Some(&detail),
        )
        .await
    }

    /// Lets a case rest until `until`, by one operator's word: it is due all the same.
    pub async fn snooze_case(
        &mut self,
        case: CaseId,
        until: Moment,
        reason: &str,
        actor: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let changed = on!(self, db => sqlx::query("UPDATE cases SET snoozed_until = $2 WHERE id = $1 AND state <> 'closed' AND category <> 'compromised'")
            .bind(case.0).bind(until.micros()).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "cases", case.0)?;
        let detail = serde_json::json!({ "reason": reason }).to_string();
        self.note_case(now, actor, "case.snoozed", case, Some(until), Some(&detail))
            .await
    }

    /// Open cases that are or were exempt or snoozed, those that rest longest last.
    pub async fn resting(&mut self, limit: i64) -> Result<Vec<CaseRow>, StoreError> {
        let numbers: Vec<(i64,)> = on!(self, db => sqlx::query_as(
            "SELECT id FROM cases WHERE state <> 'closed' AND (exempt_until IS NOT NULL OR snoozed_until IS NOT NULL) ORDER BY COALESCE(exempt_until, snoozed_until), id LIMIT $1",
        ).bind(limit).fetch_all(db).await)?;
        let mut cases = Vec::with_capacity(numbers.len());
        for (id,) in numbers {
            cases.extend(self.case(CaseId(id)).await?);
        }
        Ok(cases)
    }
}
