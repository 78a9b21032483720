//! Gauges: what a machine that watches us wants to know; counts and moments, and nobody's name.

use super::{Run, Store, StoreError, Tx, on};
use crate::domain::Moment;

/// Open cases of one category.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenCases {
    /// Its word.
    pub category: String,
    /// All that are open.
    pub open: i64,
    /// Of these, past their deadline, and not exempt.
    pub overdue: i64,
    /// Of these, whose person was not reached.
    pub not_reached: i64,
}

impl Store {
    /// Whether the database answers, and its schema is exactly this version's: each migration applied as we have it, and
    /// none that we do not know.
    pub async fn is_current(&self) -> Result<bool, StoreError> {
        let mut tx = self.read().await?;
        let applied: Vec<(i64, Vec<u8>, bool)> = on!(&mut tx, db => sqlx::query_as(
            "SELECT version, checksum, success FROM _sqlx_migrations ORDER BY version",
        ).fetch_all(db).await)?;
        tx.rollback().await?;
        let ours = self.migrations();
        Ok(applied.len() == ours.iter().count()
            && ours
                .iter()
                .zip(&applied)
                .all(|(own, (version, checksum, success))| {
                    own.version == *version && *own.checksum == **checksum && *success
                }))
    }
}

impl Tx {
    /// How many conversations about deliveries came to which outcome.
    pub async fn attempt_outcomes(&mut self) -> Result<Vec<(String, i64)>, StoreError> {
        Ok(on!(self, db => sqlx::query_as(
            "SELECT outcome, COUNT(*) FROM attempts WHERE outcome IS NOT NULL GROUP BY outcome ORDER BY outcome",
        ).fetch_all(db).await)?)
    }

    /// The open cases of each category that has any.
    pub async fn open_by_category(&mut self, now: Moment) -> Result<Vec<OpenCases>, StoreError> {
        let rows: Vec<(String, i64, i64, i64)> = on!(self, db => sqlx::query_as(
            "SELECT category, COUNT(*), COUNT(*) FILTER (WHERE deadline_at < $1 AND COALESCE(exempt_until, 0) < $1), COUNT(*) FILTER (WHERE not_reached IS NOT NULL)
             FROM cases WHERE state <> 'closed' GROUP BY category ORDER BY category",
        ).bind(now.micros()).fetch_all(db).await)?;
        Ok(rows
            .into_iter()
            .map(|(category, open, overdue, not_reached)| OpenCases {
                category,
                open,
                overdue,
                not_reached,
            })
            .collect())
    }

    /// How many things of each kind human beings have to do.
    pub async fn open_task_kinds(&mut self) -> Result<Vec<(String, i64)>, StoreError> {
        Ok(on!(self, db => sqlx::query_as(
            "SELECT kind, COUNT(*) FROM tasks WHERE done_at IS NULL GROUP BY kind ORDER BY kind",
        ).fetch_all(db).await)?)
    }

    /// The latest firing of a step that came to an end, whoever ran it.
    pub async fn last_ended_run(&mut self, name: &str) -> Result<Option<Run>, StoreError> {
        let row: Option<(i64, i64, Option<String>, bool)> = on!(self, db => sqlx::query_as(
            "SELECT due_at, ended_at, result, failed FROM runs WHERE name = $1 AND ended_at IS NOT NULL ORDER BY due_at DESC LIMIT 1",
        ).bind(name).fetch_optional(db).await)?;
        Ok(row.map(|(due_at, ended_at, result, failed)| Run {
            name: name.to_owned(),
            due_at: Moment::from_micros(due_at),
            ended_at: Some(Moment::from_micros(ended_at)),
            result,
            failed,
        }))
    }
}
