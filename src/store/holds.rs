//! Holds: a relay that refuses us, a text that was refused. Nothing is marked as failed for either; an operator ends them.

use serde::Serialize;

use super::{StoreError, TemplateId, Tx, expect_one, on};
use crate::domain::Moment;

/// Something that stands in the way of letters until an operator takes it away.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Hold {
    /// Its number.
    pub id: i64,
    /// The relay that refuses us; none if a text is held.
    pub relay: Option<String>,
    /// The kind of letter whose text was refused.
    pub kind: Option<String>,
    /// Hash of the relay's settings then.
    #[serde(skip)]
    pub settings: Option<String>,
    /// The relay's words, addresses masked.
    pub reason: String,
    /// Since when.
    pub held_at: Moment,
    /// How many letters wait for its end.
    pub letters: i64,
}

type Row = (
    i64,
    Option<String>,
    Option<String>,
    Option<String>,
    String,
    i64,
    i64,
);

impl From<Row> for Hold {
    fn from((id, relay, kind, settings, reason, held_at, letters): Row) -> Self {
        Self {
            id,
            relay,
            kind,
            settings,
            reason,
            held_at: Moment::from_micros(held_at),
            letters,
        }
    }
}

impl Tx {
    /// Holds a relay; whether it was not held already.
    pub async fn hold_relay(
        &mut self,
        relay: &str,
        settings: &str,
        reason: &str,
        now: Moment,
    ) -> Result<bool, StoreError> {
        let rows = on!(self, db => sqlx::query("INSERT INTO holds (relay, settings, reason, held_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING")
            .bind(relay).bind(settings).bind(reason).bind(now.micros()).execute(db).await.map(|done| done.rows_affected()))?;
        if rows == 1 {
            self.note(
                now,
                "bell",
                "relay.held",
                Some(relay),
                Some(&detail(reason)?),
            )
            .await?;
        }
        Ok(rows == 1)
    }

    /// Holds a text: no letter is made from it until the hold ends. Whether it was not held already.
    pub async fn hold_template(
        &mut self,
        template: TemplateId,
        reason: &str,
        now: Moment,
    ) -> Result<bool, StoreError> {
        let rows = on!(self, db => sqlx::query("INSERT INTO holds (template_id, reason, held_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(template.0).bind(reason).bind(now.micros()).execute(db).await.map(|done| done.rows_affected()))?;
        if rows == 1 {
            let thing = format!("template:{}", template.0);
            self.note(
                now,
                "bell",
                "template.held",
                Some(&thing),
                Some(&detail(reason)?),
            )
            .await?;
        }
        Ok(rows == 1)
    }

    /// The hold on a relay, if it is held.
    pub async fn relay_hold(&mut self, relay: &str) -> Result<Option<Hold>, StoreError> {
        Ok(self
            .holds()
            .await?
            .into_iter()
            .find(|hold| hold.relay.as_deref() == Some(relay)))
    }

    /// All holds that are in force, oldest first.
    pub async fn holds(&mut self) -> Result<Vec<Hold>, StoreError> {
        let rows: Vec<Row> = on!(self, db => sqlx::query_as(
            "SELECT h.id, h.relay, t.kind, h.settings, h.reason, h.held_at,
                 CASE WHEN h.template_id IS NULL THEN 0 ELSE (SELECT COUNT(*) FROM deliveries x WHERE x.state = 'queued' AND x.template_id = h.template_id) END
             FROM holds h LEFT JOIN templates t ON t.id = h.template_id WHERE h.released_at IS NULL ORDER BY h.id",
        ).fetch_all(db).await)?;
        Ok(rows.into_iter().map(Hold::from).collect())
    }

    /// Ends a hold: what waited for it goes out with the next pass.
    pub async fn release_hold(
        &mut self,
        id: i64,
        by: &str,
        reason: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let rows = on!(self, db => sqlx::query("UPDATE holds SET released_at = $2, released_by = $3, release_reason = $4 WHERE id = $1 AND released_at IS NULL")
            .bind(id).bind(now.micros()).bind(by).bind(reason).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(rows, "holds", id)?;
        let thing = format!("hold:{id}");
        self.note(
            now,
            by,
            "hold.released",
            Some(&thing),
            Some(&detail(reason)?),
        )
        .await
    }

    /// How a relay is treated now, as JSON; none if nothing was ever the matter.
    pub async fn relay_standing(&mut self, relay: &str) -> Result<Option<String>, StoreError> {
        let row: Option<(String,)> = on!(self, db => sqlx::query_as("SELECT standing FROM relays WHERE name = $1").bind(relay).fetch_optional(db).await)?;
        Ok(row.map(|(standing,)| standing))
    }

    /// Writes down how a relay is treated from now on.
    pub async fn set_relay_standing(
        &mut self,
        relay: &str,
        standing: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        on!(self, db => sqlx::query("INSERT INTO relays (name, standing, changed_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE SET standing = excluded.standing, changed_at = excluded.changed_at")
            .bind(relay).bind(standing).bind(now.micros()).execute(db).await.map(|_| ()))?;
        Ok(())
    }
}

fn detail(reason: &str) -> Result<String, StoreError> {
    Ok(serde_json::to_string(
        &serde_json::json!({ "reason": reason }),
    )?)
}
