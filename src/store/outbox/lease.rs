//! Leases: kept while their worker lives; what a dead worker had begun is in doubt, and the rest is as if it had never
//! been claimed.

use serde::Serialize;

use super::super::{One, StoreError, TaskKind, Tx, ids, on, on_set};
use crate::domain::{CaseId, DeliveryId, Moment};

/// What was found after a crash.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct Recovered {
    /// In doubt: they go out once more with the same bytes, marked for ever.
    pub in_doubt: u64,
    /// In doubt for the second time: a human being decides.
    pub stopped: u64,
    /// Claimed, and not begun: nothing happened to them.
    pub unharmed: u64,
}

impl Tx {
    /// Keeps the leases of what is in hand from running out while its relay is slow.
    pub async fn extend_leases(
        &mut self,
        deliveries: &[DeliveryId],
        lease_until: Moment,
    ) -> Result<(), StoreError> {
        if deliveries.is_empty() {
            return Ok(());
        }
        on_set!(
            self, &ids(deliveries.iter().map(|id| id.0)), [id bigint],
            "UPDATE deliveries SET lease_until = $2 FROM d WHERE deliveries.id = d.id AND deliveries.state = 'leased'",
            sqlx::query, |query, db| query.bind(lease_until.micros()).execute(db).await.map(|_| ())
        )?;
        Ok(())
    }

    /// Whether a lease has run out.
    pub async fn has_expired_leases(&mut self, now: Moment) -> Result<bool, StoreError> {
        let row: Option<(i64,)> = on!(self, db => sqlx::query_as("SELECT id FROM deliveries WHERE state = 'leased' AND lease_until < $1 LIMIT 1").bind(now.micros()).fetch_optional(db).await)?;
        Ok(row.is_some())
    }

    /// Finds what a dead worker left behind: its lease ran out. What it had begun is in doubt: sent once more at `again_at`
    /// with the same bytes and marked for ever; in doubt twice, or to a manager, a human decides. What it had not begun is queued as before.
    pub async fn recover(
        &mut self,
        again_at: Moment,
        now: Moment,
    ) -> Result<Recovered, StoreError> {
        let found: Vec<(i64, i64)> = on!(self, db => sqlx::query_as("SELECT id, thread_id FROM deliveries WHERE state = 'leased' AND lease_until < $1 ORDER BY lease_until, id LIMIT 10000")
            .bind(now.micros()).fetch_all(db).await)?;
        if found.is_empty() {
            return Ok(Recovered::default());
        }
        self.hold_campaigns(&ids(found.iter().map(|(_, thread)| *thread)))
            .await?;
        let found = ids(found.iter().map(|(id, _)| *id));
        self.lock_deliveries(&found).await?;
        let unharmed = self.free_unbegun(&found, now).await?;
        // Looked at once more: its worker may have come back to life, or another of us been faster.
        let taken: Vec<(i64, String)> = on_set!(
            self, &found, [id bigint],
            "UPDATE deliveries SET state = CASE WHEN possible_duplicate OR kind LIKE 'escalation.%' THEN 'stopped' ELSE 'queued' END, ended_at = CASE WHEN possible_duplicate OR kind LIKE 'escalation.%' THEN $4 END, due_at = $2,
                 lease_until = NULL, lease_by = NULL, possible_duplicate = $3, attempts = attempts + 1,
                 first_attempt_at = COALESCE(first_attempt_at, (SELECT MIN(a.started_at) FROM attempts a WHERE a.delivery_id = deliveries.id AND a.ended_at IS NULL))
             FROM d WHERE deliveries.id = d.id AND deliveries.state = 'leased' AND deliveries.lease_until < $4 RETURNING deliveries.id, deliveries.state",
            sqlx::query_as::<_, (i64, String)>, |query, db| query.bind(again_at.micros()).bind(true).bind(now.micros()).fetch_all(db).await
        )?;
        let all = ids(taken.iter().map(|(id, _)| *id));
        on_set!(
            self, &all, [id bigint],
            "UPDATE attempts SET ended_at = $2, outcome = 'in_doubt' FROM d WHERE attempts.delivery_id = d.id AND attempts.ended_at IS NULL",
            sqlx::query, |query, db| query.bind(now.micros()).execute(db).await.map(|_| ())
        )?;
        self.settle(&all, now).await?;
        let stopped: Vec<i64> = taken
            .iter()
            .filter(|(_, state)| state == "stopped")
            .map(|(id, _)| *id)
            .collect();
        self.ask_about(&ids(stopped.iter().copied()), now).await?;
        let recovered = Recovered {
            in_doubt: (taken.len() - stopped.len()) as u64,
            stopped: stopped.len() as u64,
            unharmed,
        };
        if !taken.is_empty() {
            let detail = serde_json::to_string(&recovered)?;
            self.note(now, "bell", "deliveries.in_doubt", None, Some(&detail))
                .await?;
        }
        Ok(recovered)
    }

    /// Queues again what was leased and not begun.
    async fn free_unbegun(&mut self, found: &[One], now: Moment) -> Result<u64, StoreError> {
        let freed: Vec<(i64,)> = on_set!(
            self, found, [id bigint],
            "UPDATE deliveries SET state = 'queued', lease_until = NULL, lease_by = NULL
             FROM d WHERE deliveries.id = d.id AND deliveries.state = 'leased' AND deliveries.lease_until < $2
                 AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.delivery_id = deliveries.id AND a.ended_at IS NULL) RETURNING deliveries.id",
            sqlx::query_as::<_, (i64,)>, |query, db| query.bind(now.micros()).fetch_all(db).await
        )?;
        let freed = ids(freed.into_iter().map(|(id,)| id));
        self.settle(&freed, now).await?;
        Ok(freed.len() as u64)
    }

    /// Asks a human being about deliveries that are in doubt for the second time, unless their people are told already.
    async fn ask_about(&mut self, stopped: &[One], now: Moment) -> Result<(), StoreError> {
        if stopped.is_empty() {
            return Ok(());
        }
        let cases: Vec<(i64,)> = on_set!(
            self, stopped, [id bigint],
            "SELECT DISTINCT c.id FROM d JOIN deliveries x ON x.id = d.id AND x.kind <> 'notice.done' AND x.kind NOT LIKE 'escalation.%' JOIN cases c ON c.thread_id = x.thread_id AND c.state = 'open' ORDER BY c.id",
            sqlx::query_as::<_, (i64,)>, |query, db| query.fetch_all(db).await
        )?;
        let managers: Vec<DeliveryId> = stopped.iter().map(|one| DeliveryId(one.id)).collect();
        let managers = self.escalated(&managers).await?;
        let tasks: Vec<_> = cases
            .into_iter()
            .map(|(case,)| (CaseId(case), TaskKind::Decide, "in_doubt", None))
            .chain(
                managers
                    .into_iter()
                    .map(|(_, case)| (case, TaskKind::Decide, "manager_in_doubt", None)),
            )
            .collect();
        self.open_tasks(&tasks, now).await?;
        Ok(())
    }
}
