//! Epochs: who a database is, as it says itself.

use super::{StoreError, Tx, on};
use crate::domain::Moment;
use crate::domain::epoch::Identity;

impl Tx {
    /// Who this database is; none if nobody has settled that.
    pub async fn identity(&mut self) -> Result<Option<Identity>, StoreError> {
        let row: (Option<String>, Option<String>, i64) = on!(self, db => sqlx::query_as(
            "SELECT (SELECT value FROM settled WHERE name = 'instance'), (SELECT value FROM settled WHERE name = 'epoch'), COALESCE((SELECT MAX(id) FROM ledger), 0)",
        ).fetch_one(db).await)?;
        let (Some(instance), Some(epoch), reached) = row else {
            return Ok(None);
        };
        Ok(Some(Identity {
            instance,
            epoch: epoch
                .parse()
                .map_err(|_| super::strange("settled", "value", 0))?,
            reached,
        }))
    }

    /// Settles who this database is, as long as nobody has; whether it was us.
    pub async fn settle_identity(&mut self, instance: &str) -> Result<bool, StoreError> {
        let added = on!(self, db => sqlx::query("INSERT INTO settled (name, value) VALUES ('instance', $1) ON CONFLICT (name) DO NOTHING")
            .bind(instance).execute(db).await.map(|done| done.rows_affected()))?;
        on!(self, db => sqlx::query("INSERT INTO settled (name, value) VALUES ('epoch', '1') ON CONFLICT (name) DO NOTHING").execute(db).await.map(|_| ()))?;
        Ok(added == 1)
    }

    /// Begins an epoch, and says so in the ledger.
    pub async fn begin_epoch(
        &mut self,
        instance: &str,
        epoch: i64,
        reason: &str,
        by: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let counted = epoch.to_string();
        for (name, value) in [("instance", instance), ("epoch", counted.as_str())] {
            on!(self, db => sqlx::query("INSERT INTO settled (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
                .bind(name).bind(value).execute(db).await.map(|_| ()))?;
        }
        let detail = serde_json::json!({ "epoch": epoch, "reason": reason }).to_string();
        self.note(now, by, "epoch.advanced", None, Some(&detail))
            .await
    }

    /// Makes a database that was just restored another than the one that spoke: it stays mute.
    pub async fn forget_identity(&mut self, instance: &str) -> Result<(), StoreError> {
        on!(self, db => sqlx::query("UPDATE settled SET value = $1 WHERE name = 'instance'").bind(instance).execute(db).await.map(|_| ()))?;
        Ok(())
    }
}
