//! Delegates: whose own mailbox others read, and who of them is told that there is a task.

use super::{StoreError, Tx, on};
use crate::domain::{Moment, PersonId};

impl Tx {
    /// Writes down that others read a person's mailbox, and who of them is told that there is a task.
    pub async fn set_delegate(
        &mut self,
        person: PersonId,
        delegate: Option<PersonId>,
        by: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        on!(self, db => sqlx::query(
            "INSERT INTO delegates (person_id, delegate_id, noted_at, noted_by) VALUES ($1, $2, $3, $4)
             ON CONFLICT (person_id) DO UPDATE SET delegate_id = excluded.delegate_id, noted_at = excluded.noted_at, noted_by = excluded.noted_by",
        ).bind(person.0).bind(delegate.map(|id| id.0)).bind(now.micros()).bind(by).execute(db).await.map(|_| ()))?;
        let detail = serde_json::json!({ "delegate": delegate }).to_string();
        let thing = format!("person:{person}");
        self.note(now, by, "person.delegated", Some(&thing), Some(&detail))
            .await
    }

    /// Writes down that nobody else reads a person's mailbox any more.
    pub async fn end_delegate(
        &mut self,
        person: PersonId,
        by: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        on!(self, db => sqlx::query("DELETE FROM delegates WHERE person_id = $1").bind(person.0).execute(db).await.map(|_| ()))?;
        let thing = format!("person:{person}");
        self.note(now, by, "person.delegate_ended", Some(&thing), None)
            .await
    }
}
