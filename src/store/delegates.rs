//! Delegates: whose own mailbox others read, and who of them is told that there is a task.

use super::{StoreError, Tx, on};
use crate::domain::{Moment, PersonId};

/// Who notes what the staff directory says of delegates. What an operator noted stands.
const DIRECTORY: &str = "bell";

impl Tx {
    /// Brings delegates in step with what people's entries in the directory say. A delegate who is not known reads the mailbox
    /// all the same, and nobody is told of the task.
    pub(super) async fn find_delegates(&mut self, now: Moment) -> Result<(), StoreError> {
        let named: Vec<(i64, Option<i64>)> = on!(self, db => sqlx::query_as(
            "INSERT INTO delegates (person_id, delegate_id, noted_at, noted_by) SELECT o.id, o.delegate_id, $1, $2 FROM (
                 SELECT x.id, MIN(a.holder_id) AS delegate_id FROM persons x LEFT JOIN account_keys k ON k.kind = 'email' AND k.key = x.delegate_mail
                     LEFT JOIN accounts a ON a.id = k.account_id AND a.holder_id <> x.id AND a.left_at IS NULL
                 WHERE x.delegate_mail IS NOT NULL AND x.left_at IS NULL GROUP BY x.id) o WHERE true
             ON CONFLICT (person_id) DO UPDATE SET delegate_id = excluded.delegate_id, noted_at = excluded.noted_at
                 WHERE delegates.noted_by = excluded.noted_by AND delegates.delegate_id IS DISTINCT FROM excluded.delegate_id
             RETURNING person_id, delegate_id",
        ).bind(now.micros()).bind(DIRECTORY).fetch_all(db).await)?;
        let ended: Vec<(i64,)> = on!(self, db => sqlx::query_as(
            "DELETE FROM delegates WHERE noted_by = $1 AND person_id IN (SELECT id FROM persons WHERE delegate_mail IS NULL OR left_at IS NOT NULL) RETURNING person_id",
        ).bind(DIRECTORY).fetch_all(db).await)?;
        for (person, delegate) in named {
            self.note_delegate(PersonId(person), delegate.map(PersonId), DIRECTORY, now)
                .await?;
        }
        for (person,) in ended {
            let thing = format!("person:{person}");
            self.note(now, DIRECTORY, "person.delegate_ended", Some(&thing), None)
                .await?;
        }
        Ok(())
    }

    async fn note_delegate(
        &mut self,
        person: PersonId,
        delegate: Option<PersonId>,
        by: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let detail = serde_json::json!({ "delegate": delegate }).to_string();
        let thing = format!("person:{person}");
        self.note(now, by, "person.delegated", Some(&thing), Some(&detail))
            .await
    }

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
        self.note_delegate(person, delegate, by, now).await
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
