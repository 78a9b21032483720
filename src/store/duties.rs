//! Duties: since when we are aware of an incident, and what was decided about each authority. Only ever added to.

use super::{StoreError, Tx, on, strange};
use crate::domain::duty::{Decided, Duty, Verdict};
use crate::domain::{IncidentId, Moment};

impl Tx {
    /// Writes down since when we are aware. Of several the earliest counts.
    pub async fn note_aware(
        &mut self,
        incident: IncidentId,
        aware_at: Moment,
        by: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        on!(self, db => sqlx::query("INSERT INTO awareness (incident_id, aware_at, noted_at, noted_by) VALUES ($1, $2, $3, $4)")
            .bind(incident.0).bind(aware_at.micros()).bind(now.micros()).bind(by).execute(db).await.map(|_| ()))?;
        let detail = serde_json::json!({ "aware_at": aware_at });
        self.note(
            now,
            by,
            "incident.aware",
            Some(&format!("incident:{incident}")),
            Some(&detail.to_string()),
        )
        .await
    }

    /// The incidents of which we are aware, and since when.
    pub async fn aware(&mut self) -> Result<Vec<(IncidentId, Moment)>, StoreError> {
        let rows: Vec<(i64, i64)> = on!(self, db => sqlx::query_as("SELECT incident_id, MIN(aware_at) FROM awareness GROUP BY incident_id ORDER BY incident_id")
            .fetch_all(db).await)?;
        Ok(rows
            .into_iter()
            .map(|(id, at)| (IncidentId(id), Moment::from_micros(at)))
            .collect())
    }

    /// Writes down a decision about a duty. The latest one holds.
    pub async fn decide_duty(
        &mut self,
        incident: IncidentId,
        decided: &Decided,
        now: Moment,
    ) -> Result<(), StoreError> {
        on!(self, db => sqlx::query(
            "INSERT INTO duty_decisions (incident_id, duty, verdict, effective_at, reference, reason, deputy, noted_at, noted_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        ).bind(incident.0).bind(decided.duty.word()).bind(decided.verdict.word()).bind(decided.at.micros()).bind(&decided.reference).bind(&decided.reason)
            .bind(&decided.deputy).bind(now.micros()).bind(&decided.by).execute(db).await.map(|_| ()))?;
        let detail = serde_json::json!({
            "duty": decided.duty, "at": decided.at, "reference": decided.reference, "reason": decided.reason, "deputy": decided.deputy
        });
        self.note(
            now,
            &decided.by,
            &format!("duty.{}", decided.verdict.word()),
            Some(&format!("incident:{incident}")),
            Some(&detail.to_string()),
        )
        .await
    }

    /// What was decided about the duties of an incident, oldest first.
    pub async fn duty_decisions(
        &mut self,
        incident: IncidentId,
    ) -> Result<Vec<Decided>, StoreError> {
        type Row = (
            i64,
            String,
            String,
            i64,
            Option<String>,
            Option<String>,
            Option<String>,
            String,
        );
        let rows: Vec<Row> = on!(self, db => sqlx::query_as(
            "SELECT id, duty, verdict, effective_at, reference, reason, deputy, noted_by FROM duty_decisions WHERE incident_id = $1 ORDER BY id",
        ).bind(incident.0).fetch_all(db).await)?;
        rows.into_iter()
            .map(|(id, duty, verdict, at, reference, reason, deputy, by)| {
                Ok(Decided {
                    duty: Duty::from_word(&duty)
                        .ok_or_else(|| strange("duty_decisions", "duty", id))?,
                    verdict: Verdict::from_word(&verdict)
                        .ok_or_else(|| strange("duty_decisions", "verdict", id))?,
                    at: Moment::from_micros(at),
                    reference,
                    reason,
                    deputy,
                    by,
                })
            })
            .collect()
    }
}
