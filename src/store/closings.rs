//! What ends cases: evidence, or an operator who takes one back; and what a later audit says of a password that was changed.

use std::collections::HashMap;

use serde::Serialize;

use super::case_moves::reason_json;
use super::ledger::Act;
use super::{StoreError, Tx, expect_one, ids, on, on_set};
use crate::domain::case::ClosedAs;
use crate::domain::closing::ClosingReason;
use crate::domain::evidence::{Grade, Standing};
use crate::domain::{AuditId, CaseId, EvidenceId, Moment};

/// A case that closes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CaseClosing {
    /// Which.
    pub case: CaseId,
    /// How.
    pub closed_as: ClosedAs,
    /// When the directory says it happened.
    pub safe_at: Option<Moment>,
    /// What proves it.
    pub evidence: EvidenceId,
    /// How good that is.
    pub grade: Grade,
    /// In which way.
    pub reason: ClosingReason,
    /// What it amounts to.
    pub standing: Standing,
}

impl Tx {
    /// Closes cases on evidence and says so in the ledger.
    pub async fn close_cases(
        &mut self,
        closings: &[CaseClosing],
        actor: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        if closings.is_empty() {
            return Ok(());
        }
        #[derive(Serialize)]
        struct Set {
            id: i64,
            closed_as: &'static str,
            closed_reason: &'static str,
            safe_at: Option<i64>,
            evidence_id: i64,
            standing: &'static str,
        }
        let sets: Vec<Set> = closings
            .iter()
            .map(|closing| Set {
                id: closing.case.0,
                closed_as: closing.closed_as.word(),
                closed_reason: closing.reason.word(),
                safe_at: closing.safe_at.map(Moment::micros),
                evidence_id: closing.evidence.0,
                standing: closing.standing.word(),
            })
            .collect();
        let changed = on_set!(
            self, &sets, [id bigint, closed_as text, closed_reason text, safe_at bigint, evidence_id bigint, standing text],
            "UPDATE cases SET state = 'closed', closed_at = $2, closed_as = d.closed_as, closed_reason = d.closed_reason, safe_at = d.safe_at, evidence_id = d.evidence_id, standing = d.standing, not_reached = NULL
             FROM d WHERE cases.id = d.id AND cases.state <> 'closed'",
            sqlx::query, |query, db| query.bind(now.micros()).execute(db).await.map(|done| done.rows_affected())
        )?;
        if changed != closings.len() as u64 {
            return Err(StoreError::Lost {
                table: "cases",
                id: closings.first().map_or(0, |closing| closing.case.0),
            });
        }
        on_set!(
            self, &sets, [id bigint],
            "UPDATE tasks SET done_at = $2, done_by = 'bell' FROM d WHERE tasks.case_id = d.id AND tasks.done_at IS NULL",
            sqlx::query, |query, db| query.bind(now.micros()).execute(db).await.map(|_| ())
        )?;
        let sources = self.sources_of(closings).await?;
        let acts: Vec<Act> = closings
            .iter()
            .map(|closing| Act {
                case_id: closing.case.0,
                act: match closing.closed_as {
                    ClosedAs::Reset => "case.closed.reset",
                    ClosedAs::Disabled => "case.closed.disabled",
                    ClosedAs::Withdrawn => "case.closed.withdrawn",
                },
                effective_at: closing.safe_at.map(Moment::micros),
                // The name of a source is a config's, and may hold anything.
                detail: Some(
                    serde_json::json!({
                        "evidence": closing.evidence, "grade": closing.grade.word(), "reason": closing.reason.word(),
                        "source": sources.get(&closing.evidence.0),
                    })
                    .to_string(),
                ),
            })
            .collect();
        self.note_cases(now, actor, &acts).await
    }

    /// Withdraws a case: it was none.
    pub async fn withdraw_case(
        &mut self,
        case: CaseId,
        reason: &str,
        actor: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let changed = on!(self, db => sqlx::query("UPDATE cases SET state = 'closed', closed_at = $2, closed_as = 'withdrawn', closed_reason = 'withdrawn', not_reached = NULL WHERE id = $1 AND state <> 'closed'")
            .bind(case.0).bind(now.micros()).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "cases", case.0)?;
        on!(self, db => sqlx::query("UPDATE tasks SET done_at = $2, done_by = $3 WHERE case_id = $1 AND done_at IS NULL")
            .bind(case.0).bind(now.micros()).bind(actor).execute(db).await.map(|_| ()))?;
        self.note_case(
            now,
            actor,
            "case.closed.withdrawn",
            case,
            None,
            Some(&reason_json(reason)?),
        )
        .await
    }

    /// From which sources the evidence of these closings came.
    async fn sources_of(
        &mut self,
        closings: &[CaseClosing],
    ) -> Result<HashMap<i64, String>, StoreError> {
        let rows: Vec<(i64, String)> = on_set!(
            self, &ids(closings.iter().map(|closing| closing.evidence.0)), [id bigint],
            "SELECT e.id, r.source FROM d JOIN evidence e ON e.id = d.id JOIN evidence_reads r ON r.id = e.read_id",
            sqlx::query_as::<_, (i64, String)>, |query, db| query.fetch_all(db).await
        )?;
        Ok(rows.into_iter().collect())
    }

    /// What an audit of a realm's passwords proves by not listing them: those that were changed before it was taken hold.
    /// Gives how many cases are verified by it.
    pub async fn verify_cases(
        &mut self,
        audit: AuditId,
        realm: &str,
        as_of: Moment,
        now: Moment,
    ) -> Result<u64, StoreError> {
        let verified: Vec<(i64,)> = on!(self, db => sqlx::query_as(
            "UPDATE cases SET standing = 'verified' WHERE standing = 'reset' AND state = 'closed' AND safe_at < $1
                 AND EXISTS (SELECT 1 FROM accounts a WHERE a.id = cases.account_id AND a.realm = $2)
                 AND NOT EXISTS (SELECT 1 FROM findings f WHERE f.account_id = cases.account_id AND f.bad_as_of >= cases.safe_at)
                 AND NOT EXISTS (SELECT 1 FROM cases s WHERE s.reopens_id = cases.id) RETURNING id",
        ).bind(as_of.micros()).bind(realm).fetch_all(db).await)?;
        let acts: Vec<Act> = verified
            .iter()
            .map(|(case,)| Act {
                case_id: *case,
                act: "case.verified",
                effective_at: Some(as_of.micros()),
                detail: Some(format!("{{\"audit\":{audit}}}")),
            })
            .collect();
        self.note_cases(now, "bell", &acts).await?;
        Ok(acts.len() as u64)
    }
}
