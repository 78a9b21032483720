//! What is wrong with the service itself: raised, told and cleared by any number of instances.

use serde::Serialize;

use super::{StoreError, Tx, on};
use crate::domain::Moment;

/// Something that is wrong, or was.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct AlarmRow {
    /// `database`, `relay`, `disk`, `inbox`, `evidence.` or `audit.` and a source, `schedule.` and a step, `posts.` and a
    /// channel, `discord.bot`, `discord.commands`, `promise.` and an incident, or `duty.`, an incident and a clock.
    pub name: String,
    /// Since when.
    pub raised_at: Moment,
    /// When an operator was last told that it is wrong, this time or an earlier one.
    pub told_at: Option<Moment>,
    /// What is wrong, and what to do.
    pub text: String,
}

impl AlarmRow {
    /// Whether an operator knows of it: it was told since it was raised.
    pub fn is_told(&self) -> bool {
        self.told_at.is_some_and(|at| at >= self.raised_at)
    }
}

/// Who tells an operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Telling {
    /// We do.
    Ours,
    /// Somebody did, at this moment, and it is too early to tell again.
    Done(Moment),
}

type Columns = (String, i64, Option<i64>, String);

fn row((name, raised_at, told_at, text): Columns) -> AlarmRow {
    AlarmRow {
        name,
        raised_at: Moment::from_micros(raised_at),
        told_at: told_at.map(Moment::from_micros),
        text,
    }
}

impl Tx {
    /// Writes down that something is wrong, and settles who tells: one of all instances, if the last telling was not after
    /// `before`. `told_at` is a telling of ours that the database could not hear of, if there was one.
    pub async fn raise_alarm(
        &mut self,
        name: &str,
        text: &str,
        told_at: Option<Moment>,
        before: Moment,
        now: Moment,
    ) -> Result<Telling, StoreError> {
        on!(self, db => sqlx::query(
            "INSERT INTO alarms (name, raised_at, told_at, text) VALUES ($1, $2, $3, $4) ON CONFLICT (name) DO UPDATE SET
                 raised_at = CASE WHEN alarms.cleared_at IS NULL THEN alarms.raised_at ELSE excluded.raised_at END, cleared_at = NULL, text = excluded.text,
                 told_at = CASE WHEN COALESCE(alarms.told_at, 0) < excluded.told_at THEN excluded.told_at ELSE alarms.told_at END",
        ).bind(name).bind(now.micros()).bind(told_at.map(Moment::micros)).bind(text).execute(db).await.map(|_| ()))?;
        // What was told in the future was told before the clock was set back.
        let ours = on!(self, db => sqlx::query("UPDATE alarms SET told_at = $2 WHERE name = $1 AND (told_at IS NULL OR told_at <= $3 OR told_at > $2)")
            .bind(name).bind(now.micros()).bind(before.micros()).execute(db).await.map(|done| done.rows_affected()))?;
        if ours > 0 {
            return Ok(Telling::Ours);
        }
        let (at,): (i64,) = on!(self, db => sqlx::query_as("SELECT COALESCE(told_at, $2) FROM alarms WHERE name = $1").bind(name).bind(now.micros()).fetch_one(db).await)?;
        Ok(Telling::Done(Moment::from_micros(at)))
    }

    /// Writes down that it is over; gives what was wrong to the one who did so first.
    pub async fn clear_alarm(
        &mut self,
        name: &str,
        now: Moment,
    ) -> Result<Option<AlarmRow>, StoreError> {
        let cleared: Option<Columns> = on!(self, db => sqlx::query_as("UPDATE alarms SET cleared_at = $2 WHERE name = $1 AND cleared_at IS NULL RETURNING name, raised_at, told_at, text")
            .bind(name).bind(now.micros()).fetch_optional(db).await)?;
        Ok(cleared.map(row))
    }

    /// Whether this is wrong now: a look before a write.
    pub async fn is_alarm_raised(&mut self, name: &str) -> Result<bool, StoreError> {
        let found: Option<(String,)> = on!(self, db => sqlx::query_as("SELECT name FROM alarms WHERE name = $1 AND cleared_at IS NULL").bind(name).fetch_optional(db).await)?;
        Ok(found.is_some())
    }

    /// All that is wrong now, by name.
    pub async fn alarms(&mut self) -> Result<Vec<AlarmRow>, StoreError> {
        let rows: Vec<Columns> = on!(self, db => sqlx::query_as("SELECT name, raised_at, told_at, text FROM alarms WHERE cleared_at IS NULL ORDER BY name").fetch_all(db).await)?;
        Ok(rows.into_iter().map(row).collect())
    }
}
