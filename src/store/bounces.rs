//! Bounces: what came back to a letter that the relay had taken.

use super::ledger::Act;
use super::{StoreError, Tx, on};
use crate::domain::notice::NoticeKind;
use crate::domain::{DeliveryId, Moment};

/// A bounce that named one of our deliveries.
#[derive(Clone, PartialEq, Debug)]
pub struct Bounce {
    /// Which.
    pub delivery: DeliveryId,
    /// `failed`, `delayed` or `unparsed`.
    pub action: String,
    /// Enhanced code.
    pub status: Option<String>,
    /// The other side's words, addresses masked.
    pub reply: Option<String>,
}

impl Tx {
    /// Writes down a bounce. A failure ends the delivery as bounced and takes back its cases' notice; returns the
    /// threads whose person was not reached.
    pub async fn bounce(
        &mut self,
        bounce: &Bounce,
        now: Moment,
    ) -> Result<Option<i64>, StoreError> {
        on!(self, db => sqlx::query("INSERT INTO bounces (delivery_id, received_at, action, status, reply) VALUES ($1, $2, $3, $4, $5)")
            .bind(bounce.delivery.0).bind(now.micros()).bind(&bounce.action).bind(bounce.status.as_deref()).bind(bounce.reply.as_deref()).execute(db).await.map(|_| ()))?;
        if bounce.action == "delayed" {
            return Ok(None);
        }
        let row: Option<(i64, String)> = on!(self, db => sqlx::query_as("UPDATE deliveries SET state = 'bounced', ended_at = $2 WHERE id = $1 AND state = 'accepted' RETURNING thread_id, kind")
            .bind(bounce.delivery.0).bind(now.micros()).fetch_optional(db).await)?;
        let Some((thread, kind)) = row else {
            return Ok(None);
        };
        if NoticeKind::from_word(&kind) == Some(NoticeKind::Done) {
            return Ok(None);
        }
        let cases: Vec<(i64,)> = on!(self, db => sqlx::query_as("UPDATE cases SET state = 'open', notice_at = NULL WHERE thread_id = $1 AND state = 'notified' RETURNING id").bind(thread).fetch_all(db).await)?;
        let acts: Vec<Act> = cases
            .iter()
            .map(|(case,)| Act {
                case_id: *case,
                act: "case.bounced",
                effective_at: None,
                detail: Some(format!("{{\"delivery\":{}}}", bounce.delivery)),
            })
            .collect();
        self.note_cases(now, "bell", &acts).await?;
        Ok(Some(thread))
    }

    /// Whether a delivery exists.
    pub async fn has_delivery(&mut self, id: DeliveryId) -> Result<bool, StoreError> {
        let row: Option<(i64,)> = on!(self, db => sqlx::query_as("SELECT id FROM deliveries WHERE id = $1").bind(id.0).fetch_optional(db).await)?;
        Ok(row.is_some())
    }
}
