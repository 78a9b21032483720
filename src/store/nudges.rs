//! Nudges: what somebody should be told once, until a channel has carried it.

use serde::Serialize;

use super::{StoreError, Tx, expect_one, on};
use crate::domain::Moment;

/// Something that somebody should be told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Nudge {
    /// Its number.
    pub id: i64,
    /// `operator:` and a name, or `role:` and a role of the config.
    pub to: String,
    /// What; never a name, an address or a count that could be one.
    pub text: String,
    /// Since when it is due.
    pub due_at: Moment,
}

impl Tx {
    /// Has somebody told, unless they were told of the same `key` before. True if it is new.
    pub async fn nudge(
        &mut self,
        key: &str,
        to: &str,
        text: &str,
        now: Moment,
    ) -> Result<bool, StoreError> {
        let added = on!(self, db => sqlx::query("INSERT INTO nudges (key, to_whom, text, due_at) VALUES ($1, $2, $3, $4) ON CONFLICT (key) DO NOTHING")
            .bind(key).bind(to).bind(text).bind(now.micros()).execute(db).await.map(|done| done.rows_affected()))?;
        Ok(added == 1)
    }

    /// What no channel has carried yet, oldest first, 200 at most.
    pub async fn nudges_due(&mut self) -> Result<Vec<Nudge>, StoreError> {
        let rows: Vec<(i64, String, String, i64)> = on!(self, db => sqlx::query_as(
            "SELECT id, to_whom, text, due_at FROM nudges WHERE carried_at IS NULL ORDER BY id LIMIT 200",
        ).fetch_all(db).await)?;
        Ok(rows
            .into_iter()
            .map(|(id, to, text, due_at)| Nudge {
                id,
                to,
                text,
                due_at: Moment::from_micros(due_at),
            })
            .collect())
    }

    /// When `key` was last due, if it ever was.
    pub async fn nudged_at(&mut self, key: &str) -> Result<Option<Moment>, StoreError> {
        let row: Option<(i64,)> = on!(self, db => sqlx::query_as("SELECT due_at FROM nudges WHERE key = $1").bind(key).fetch_optional(db).await)?;
        Ok(row.map(|(at,)| Moment::from_micros(at)))
    }

    /// Writes down that a channel took it.
    pub async fn carry_nudge(&mut self, id: i64, now: Moment) -> Result<(), StoreError> {
        let changed = on!(self, db => sqlx::query("UPDATE nudges SET carried_at = $2 WHERE id = $1 AND carried_at IS NULL")
            .bind(id).bind(now.micros()).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "nudges", id)
    }
}
