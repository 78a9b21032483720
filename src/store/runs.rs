//! Scheduled runs: a firing is a row, so two instances and a restart agree on who runs it.

use serde::Serialize;

use super::{Store, StoreError, Tx, on};
use crate::domain::Moment;

/// Who has a firing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claimed {
    /// We run it.
    Ours,
    /// Somebody else does, or did.
    Theirs,
}

/// One firing.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Run {
    /// The schedule's name.
    pub name: String,
    /// When it was due.
    pub due_at: Moment,
    /// When it was done.
    pub ended_at: Option<Moment>,
    /// What it did, in one line.
    pub result: Option<String>,
    /// Whether it went wrong.
    pub failed: bool,
}

impl Store {
    /// Takes the firing of `name` that was due at `due_at`, unless somebody has it.
    pub async fn claim_run(
        &self,
        name: &str,
        due_at: Moment,
        by: &str,
        now: Moment,
    ) -> Result<Claimed, StoreError> {
        let mut tx = self.begin().await?;
        let rows = on!(&mut tx, db => sqlx::query(
            "INSERT INTO runs (name, due_at, claimed_at, claimed_by, failed) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name, due_at) DO NOTHING",
        ).bind(name).bind(due_at.micros()).bind(now.micros()).bind(by).bind(false).execute(db).await.map(|done| done.rows_affected()))?;
        tx.commit().await?;
        Ok(if rows == 1 {
            Claimed::Ours
        } else {
            Claimed::Theirs
        })
    }

    /// Writes down how a firing ended.
    pub async fn end_run(
        &self,
        name: &str,
        due_at: Moment,
        result: &str,
        failed: bool,
        now: Moment,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        on!(&mut tx, db => sqlx::query("UPDATE runs SET ended_at = $3, result = $4, failed = $5 WHERE name = $1 AND due_at = $2")
            .bind(name).bind(due_at.micros()).bind(now.micros()).bind(result).bind(failed).execute(db).await.map(|_| ()))?;
        tx.commit().await
    }

    /// The latest firing of `name`, whoever ran it.
    pub async fn latest_run(&self, name: &str) -> Result<Option<Run>, StoreError> {
        let mut tx = self.read().await?;
        let row: Option<(i64, Option<i64>, Option<String>, bool)> = on!(&mut tx, db => sqlx::query_as(
            "SELECT due_at, ended_at, result, failed FROM runs WHERE name = $1 ORDER BY due_at DESC LIMIT 1",
        ).bind(name).fetch_optional(db).await)?;
        Ok(row.map(|(due_at, ended_at, result, failed)| Run {
            name: name.to_owned(),
            due_at: Moment::from_micros(due_at),
            ended_at: ended_at.map(Moment::from_micros),
            result,
            failed,
        }))
    }
}

impl Tx {
    /// Removes firings that ended and were due before a moment. The latest of each name stays: the next one is reckoned from
    /// it. How many.
    pub async fn purge_runs(&mut self, due_before: Moment) -> Result<u64, StoreError> {
        Ok(on!(self, db => sqlx::query(
            "DELETE FROM runs WHERE due_at < $1 AND ended_at IS NOT NULL AND due_at < (SELECT MAX(r.due_at) FROM runs r WHERE r.name = runs.name)",
        ).bind(due_before.micros()).execute(db).await.map(|done| done.rows_affected()))?)
    }
}
