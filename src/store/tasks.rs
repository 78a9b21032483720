//! The tasks of human beings.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::ledger::Act;
use super::{StoreError, Tx, on, on_set};
use crate::domain::{CaseId, Moment};

/// Why somebody is to be reached whose first notice is tried on: no relay has taken it for too long. It may yet arrive, so
/// nobody counts as not reached for it, and any other reason replaces it.
pub const LATE: &str = "late";

/// Something a human being has to do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// Reach the person another way: by phone, in person, by letter.
    Reach,
    /// Reset an account that is nobody's own.
    Operators,
    /// Block sign-in and revoke sessions, before anybody is told.
    Contain,
    /// Decide about a delivery in doubt.
    Decide,
    /// Ask the identity provider to force a change: the last rung.
    HandOver,
    /// Help a person who cannot do it alone.
    Help,
    /// Speak with whoever can give the person time: no letter to a manager does.
    Manager,
}

impl TaskKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Reach,
        Self::Operators,
        Self::Contain,
        Self::Decide,
        Self::HandOver,
        Self::Help,
        Self::Manager,
    ];

    /// The word that the database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reach => "reach",
            Self::Operators => "operators",
            Self::Contain => "contain",
            Self::Decide => "decide",
            Self::HandOver => "hand_over",
            Self::Help => "help",
            Self::Manager => "manager",
        }
    }
}

/// One of them.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Task {
    /// Its number.
    pub id: i64,
    /// About which case.
    pub case: Option<CaseId>,
    /// reach, operators, contain, decide, hand_over, help, manager.
    pub kind: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub opened_at: Moment,
}

impl Tx {
    /// Opens tasks, one of a kind an open case; one that was opened because a letter is [`LATE`] takes on a firmer reason. Fixes
    /// the deadline of those cases whose notice cannot go by mail. Gives how many are new.
    pub async fn open_tasks(
        &mut self,
        tasks: &[(CaseId, TaskKind, &'static str, Option<Moment>)],
        now: Moment,
    ) -> Result<u64, StoreError> {
        if tasks.is_empty() {
            return Ok(0);
        }
        #[derive(Serialize)]
        struct Set {
            id: i64,
            kind: &'static str,
            reason: &'static str,
            deadline_at: Option<i64>,
        }
        let sets: Vec<Set> = tasks
            .iter()
            .map(|(case, kind, reason, deadline)| Set {
                id: case.0,
                kind: kind.word(),
                reason,
                deadline_at: deadline.map(Moment::micros),
            })
            .collect();
        // PostgreSQL changes no row twice in one statement.
        let mut seen = HashSet::new();
        let once: Vec<&Set> = sets
            .iter()
            .filter(|set| seen.insert((set.id, set.kind)))
            .collect();
        let opened: Vec<(i64, String, String)> = on_set!(
            self, &once, [id bigint, kind text, reason text],
            "INSERT INTO tasks (case_id, kind, reason, opened_at) SELECT d.id, d.kind, d.reason, $2 FROM d JOIN cases c ON c.id = d.id AND c.state <> 'closed' WHERE true
             ON CONFLICT (case_id, kind) WHERE done_at IS NULL DO UPDATE SET reason = excluded.reason WHERE tasks.reason = 'late' AND excluded.reason <> 'late' RETURNING case_id, kind, reason",
            sqlx::query_as::<_, (i64, String, String)>, |query, db| query.bind(now.micros()).fetch_all(db).await
        )?;
        on_set!(
            self, &sets, [id bigint, kind text, reason text, deadline_at bigint],
            "UPDATE cases SET deadline_at = COALESCE(cases.deadline_at, f.deadline_at), not_reached = COALESCE(f.reason, cases.not_reached)
             FROM (SELECT id, MIN(deadline_at) AS deadline_at, MAX(CASE WHEN kind = 'reach' AND reason <> 'late' THEN reason END) AS reason FROM d GROUP BY id) f
             WHERE cases.id = f.id AND cases.state <> 'closed'",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        let deadlines: HashMap<(i64, &str), Option<i64>> = sets
            .iter()
            .map(|set| ((set.id, set.kind), set.deadline_at))
            .collect();
        let acts: Vec<Act> = opened
            .iter()
            .map(|(case, kind, reason)| Act {
                case_id: *case,
                act: if kind == "reach" && reason != LATE {
                    "case.not_reached"
                } else {
                    "case.task"
                },
                effective_at: deadlines.get(&(*case, kind.as_str())).copied().flatten(),
                detail: Some(format!("{{\"kind\":\"{kind}\",\"reason\":\"{reason}\"}}")),
            })
            .collect();
        self.note_cases(now, "bell", &acts).await?;
        Ok(acts.len() as u64)
    }

    /// What human beings have to do, oldest first.
    pub async fn tasks(&mut self, limit: i64) -> Result<Vec<Task>, StoreError> {
        let rows: Vec<(i64, Option<i64>, String, String, i64)> = on!(self, db => sqlx::query_as(
            "SELECT id, case_id, kind, reason, opened_at FROM tasks WHERE done_at IS NULL ORDER BY id LIMIT $1",
        ).bind(limit).fetch_all(db).await)?;
        Ok(rows
            .into_iter()
            .map(|(id, case, kind, reason, opened_at)| Task {
                id,
                case: case.map(CaseId),
                kind,
                reason,
                opened_at: Moment::from_micros(opened_at),
            })
            .collect())
    }
}
