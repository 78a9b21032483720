//! Legal holds: whose data is kept whatever its time is, since when, why, and when somebody has to look again.

use serde::Serialize;

use super::{StoreError, Tx, on};
use crate::domain::{Moment, PersonId};

/// A hold that is in force.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LegalHold {
    /// Its number.
    pub id: i64,
    /// Whose data is kept; none: everybody's.
    pub person: Option<PersonId>,
    /// Which proceedings or order.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// Since when.
    pub noted_at: Moment,
    /// When somebody has to look whether it is still needed.
    pub review_at: Moment,
}

impl Tx {
    /// The holds that are in force, those first that have to be looked at first.
    pub async fn data_holds(&mut self) -> Result<Vec<LegalHold>, StoreError> {
        type Row = (i64, Option<i64>, String, String, i64, i64);
        let rows: Vec<Row> = on!(self, db => sqlx::query_as(
            "SELECT id, person_id, reason, owner, noted_at, review_at FROM legal_holds WHERE ended_at IS NULL ORDER BY review_at, id",
        ).fetch_all(db).await)?;
        let hold = |(id, person, reason, owner, noted_at, review_at): Row| LegalHold {
            id,
            person: person.map(PersonId),
            reason,
            owner,
            noted_at: Moment::from_micros(noted_at),
            review_at: Moment::from_micros(review_at),
        };
        Ok(rows.into_iter().map(hold).collect())
    }

    /// Keeps everything about somebody, or about everybody, whatever its time is.
    pub async fn hold_data(
        &mut self,
        person: Option<PersonId>,
        reason: &str,
        review_at: Moment,
        by: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        on!(self, db => sqlx::query("INSERT INTO legal_holds (person_id, reason, owner, noted_at, review_at) VALUES ($1, $2, $3, $4, $5)")
            .bind(person.map(|id| id.0)).bind(reason).bind(by).bind(now.micros()).bind(review_at.micros()).execute(db).await.map(|_| ()))?;
        let thing = held(person);
        self.note(now, by, "privacy.held", Some(&thing), None).await
    }

    /// Ends what keeps somebody's, or everybody's, data. How many holds that were.
    pub async fn end_data_hold(
        &mut self,
        person: Option<PersonId>,
        by: &str,
        now: Moment,
    ) -> Result<u64, StoreError> {
        let ended = on!(self, db => sqlx::query("UPDATE legal_holds SET ended_at = $2, ended_by = $3 WHERE ended_at IS NULL AND COALESCE(person_id, 0) = $1")
            .bind(person.map_or(0, |id| id.0)).bind(now.micros()).bind(by).execute(db).await.map(|done| done.rows_affected()))?;
        if ended > 0 {
            let thing = held(person);
            self.note(now, by, "privacy.released", Some(&thing), None)
                .await?;
        }
        Ok(ended)
    }

    /// How many holds somebody has to look at again by `now`.
    pub async fn data_holds_to_review(&mut self, now: Moment) -> Result<u64, StoreError> {
        let (count,): (i64,) = on!(self, db => sqlx::query_as("SELECT COUNT(*) FROM legal_holds WHERE ended_at IS NULL AND review_at <= $1")
            .bind(now.micros()).fetch_one(db).await)?;
        Ok(count.unsigned_abs())
    }
}

fn held(person: Option<PersonId>) -> String {
    person.map_or_else(|| "people:all".to_owned(), |id| format!("person:{id}"))
}
