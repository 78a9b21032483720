//! Interactions: what somebody asked for in a chat is done once, however often and to how many of us the chat tells it.

use chrono::TimeDelta;

use super::{Claimed, Store, StoreError, on};
use crate::domain::Moment;

/// A chat tells the same again within minutes, if at all.
const KEPT: TimeDelta = TimeDelta::days(1);

impl Store {
    /// Takes what somebody asked for, unless one of us has it. `id` is the chat's own, and never comes twice for two things.
    pub async fn claim_interaction(
        &self,
        id: &str,
        by: &str,
        now: Moment,
    ) -> Result<Claimed, StoreError> {
        let mut tx = self.begin().await?;
        on!(&mut tx, db => sqlx::query("DELETE FROM interactions WHERE claimed_at < $1")
            .bind(now.minus(KEPT).micros()).execute(db).await.map(|_| ()))?;
        let rows = on!(&mut tx, db => sqlx::query(
            "INSERT INTO interactions (id, claimed_at, claimed_by) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING",
        ).bind(id).bind(now.micros()).bind(by).execute(db).await.map(|done| done.rows_affected()))?;
        tx.commit().await?;
        Ok(if rows == 1 {
            Claimed::Ours
        } else {
            Claimed::Theirs
        })
    }
}
