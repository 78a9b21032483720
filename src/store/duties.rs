//! Duties: since when we are aware of an incident, and what was decided about each authority. Only ever added to.

use super::{StoreError, Tx, on, strange};
use crate::domain::duty::{Decided, Duty, Trigger, Verdict};
use crate::domain::{IncidentId, Moment};

impl Tx {
    /// Writes down since when something is true that starts clocks, such as being aware. Of several moments the earliest
    /// counts.
    pub async fn note_trigger(
        &mut self,
        incident: IncidentId,
        trigger: Trigger,
        since: Moment,
        by: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        on!(self, db => sqlx::query("INSERT INTO awareness (incident_id, what, since, noted_at, noted_by) VALUES ($1, $2, $3, $4, $5)")
            .bind(incident.0).bind(trigger.word()).bind(since.micros()).bind(now.micros()).bind(by).execute(db).await.map(|_| ()))?;
        let detail = serde_json::json!({ "trigger": trigger, "since": since });
        self.note(
            now,
            by,
            "duty.started",
            Some(&format!("incident:{incident}")),
            Some(&detail.to_string()),
        )
        .await
    }

    /// What has started clocks, of which incident, and since when.
    pub async fn triggers(&mut self) -> Result<Vec<(IncidentId, Trigger, Moment)>, StoreError> {
        self.triggers_as_of(Moment::from_micros(i64::MAX)).await
    }

    /// The same, as it was known by `as_of`.
    pub async fn triggers_as_of(
        &mut self,
        as_of: Moment,
    ) -> Result<Vec<(IncidentId, Trigger, Moment)>, StoreError> {
        let rows: Vec<(i64, String, i64)> = on!(self, db => sqlx::query_as("SELECT incident_id, what, MIN(since) FROM awareness WHERE noted_at <= $1 GROUP BY incident_id, what ORDER BY incident_id, what")
            .bind(as_of.micros()).fetch_all(db).await)?;
        rows.into_iter()
            .map(|(id, what, at)| {
                let trigger =
                    Trigger::from_word(&what).ok_or_else(|| strange("awareness", "what", id))?;
                Ok((IncidentId(id), trigger, Moment::from_micros(at)))
            })
            .collect()
    }

    /// Writes down a decision about a duty. The latest one holds.
    pub async fn decide_duty(
        &mut self,
        incident: IncidentId,
        decided: &Decided,
        now: Moment,
    ) -> Result<(), StoreError> {
        on!(self, db => sqlx::query(
            "INSERT INTO duty_decisions (incident_id, duty, verdict, effective_at, reference, reason, advice, deputy, noted_at, noted_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        ).bind(incident.0).bind(decided.duty.word()).bind(decided.verdict.word()).bind(decided.at.micros()).bind(&decided.reference).bind(&decided.reason)
            .bind(&decided.advice).bind(&decided.deputy).bind(now.micros()).bind(&decided.by).execute(db).await.map(|_| ()))?;
        let detail = serde_json::json!({
            "duty": decided.duty, "at": decided.at, "reference": decided.reference, "reason": decided.reason, "advice": decided.advice, "deputy": decided.deputy
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
        self.duty_decisions_as_of(incident, Moment::from_micros(i64::MAX))
            .await
    }

    /// The same, as it was known by `as_of`.
    pub async fn duty_decisions_as_of(
        &mut self,
        incident: IncidentId,
        as_of: Moment,
    ) -> Result<Vec<Decided>, StoreError> {
        type Row = (
            i64,
            String,
            String,
            i64,
            Option<String>,
            Option<String>,
            Option<String>,
            Option<String>,
            String,
        );
        let rows: Vec<Row> = on!(self, db => sqlx::query_as(
            "SELECT id, duty, verdict, effective_at, reference, reason, advice, deputy, noted_by FROM duty_decisions WHERE incident_id = $1 AND noted_at <= $2 ORDER BY id",
        ).bind(incident.0).bind(as_of.micros()).fetch_all(db).await)?;
        rows.into_iter()
            .map(
                |(id, duty, verdict, at, reference, reason, advice, deputy, by)| {
                    Ok(Decided {
                        duty: Duty::from_word(&duty)
                            .ok_or_else(|| strange("duty_decisions", "duty", id))?,
                        verdict: Verdict::from_word(&verdict)
                            .ok_or_else(|| strange("duty_decisions", "verdict", id))?,
                        at: Moment::from_micros(at),
                        reference,
                        reason,
                        advice,
                        deputy,
                        by,
                    })
                },
            )
            .collect()
    }
}
