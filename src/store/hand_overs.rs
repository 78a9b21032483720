//! Hand-overs: what the identity provider is asked for, committed before it is asked, and what came of it.

use serde::Serialize;

use super::{StoreError, Tx, expect_one, ids, on, on_set, strange};
use crate::domain::hand_over::HandOverKind;
use crate::domain::ladder::{Demand, Ladder};
use crate::domain::person::AccountKind;
use crate::domain::{AccountId, CaseId, Moment};

/// A case whose last rung is reached: what a hand-over is made from.
#[derive(Clone, PartialEq, Debug)]
pub struct HandOverDue {
    /// Which case.
    pub case: CaseId,
    /// Which account.
    pub account: AccountId,
    /// What the directory knows the account by, for ever.
    pub object_id: String,
    /// Its login without the domain.
    pub sam: Option<String>,
    /// What it is for.
    pub kind: AccountKind,
    /// What its ladder demands.
    pub demand: Demand,
    /// What its person can have looked up.
    pub reference: String,
    /// How it was begun before, if it was.
    pub begun: Option<HandOverBegun>,
}

/// A hand-over that was begun before.
#[derive(Clone, PartialEq, Debug)]
pub struct HandOverBegun {
    /// Its number.
    pub id: i64,
    /// The same for every try.
    pub key: String,
    /// When it was asked for first.
    pub asked_at: Moment,
    /// Tries so far.
    pub tries: u32,
}

/// A hand-over that is about to be made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct HandOverDraft {
    /// About which case.
    pub case_id: i64,
    /// What is asked for.
    pub demand: &'static str,
    /// How.
    pub kind: &'static str,
    /// The same for every try.
    pub key: String,
}

/// One that is ours to make now: it is committed, and nobody else makes it before the lease ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HandOverClaim {
    /// Its number.
    pub id: i64,
    /// About which case.
    pub case: CaseId,
    /// When it was asked for first.
    pub asked_at: Moment,
    /// Which try this is, from 1.
    pub tries: u32,
}

/// How a hand-over stands after a try.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct HandOverEnd {
    /// Its number.
    pub id: i64,
    /// About which case.
    pub case_id: i64,
    /// again, done, refused, stopped.
    pub state: &'static str,
    /// When it is tried again.
    pub next_at: Option<i64>,
    /// When it was over.
    pub done_at: Option<i64>,
    /// A word.
    pub outcome: &'static str,
    /// What proves it.
    pub proof: Option<String>,
}

/// A hand-over as it is shown.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct HandOver {
    /// Its number.
    pub id: i64,
    /// About which case.
    pub case: CaseId,
    /// What was asked for.
    pub demand: String,
    /// How.
    pub kind: HandOverKind,
    /// What the other side knows it by.
    pub key: String,
    /// When it was asked for first.
    pub asked_at: Moment,
    /// Tries so far.
    pub tries: u32,
    /// asked, again, done, refused, stopped.
    pub state: String,
    /// When it is tried again.
    pub next_at: Option<Moment>,
    /// When it was over.
    pub done_at: Option<Moment>,
    /// A word.
    pub outcome: Option<String>,
    /// What proves it.
    pub proof: Option<String>,
}

#[derive(sqlx::FromRow)]
struct DueRow {
    id: i64,
    account_id: i64,
    object_id: String,
    sam: Option<String>,
    kind: String,
    ladder: String,
    reference: String,
    hand_over: Option<i64>,
    key: Option<String>,
    asked_at: Option<i64>,
    tries: Option<i64>,
}

impl TryFrom<DueRow> for HandOverDue {
    type Error = StoreError;

    fn try_from(row: DueRow) -> Result<Self, StoreError> {
        let ladder =
            Ladder::from_json(&row.ladder).map_err(|_| strange("threads", "ladder", row.id))?;
        let begun = match (row.hand_over, row.key, row.asked_at) {
            (Some(id), Some(key), Some(asked_at)) => Some(HandOverBegun {
                id,
                key,
                asked_at: Moment::from_micros(asked_at),
                tries: row
                    .tries
                    .and_then(|tries| u32::try_from(tries).ok())
                    .unwrap_or(0),
            }),
            _ => None,
        };
        Ok(Self {
            case: CaseId(row.id),
            account: AccountId(row.account_id),
            kind: AccountKind::from_word(&row.kind)
                .ok_or_else(|| strange("accounts", "kind", row.account_id))?,
            object_id: row.object_id,
            sam: row.sam,
            demand: ladder.demand,
            reference: row.reference,
            begun,
        })
    }
}

#[derive(sqlx::FromRow)]
struct HandOverRow {
    id: i64,
    case_id: i64,
    demand: String,
    kind: String,
    key: String,
    asked_at: i64,
    tries: i64,
    state: String,
    next_at: Option<i64>,
    done_at: Option<i64>,
    outcome: Option<String>,
    proof: Option<String>,
}

impl TryFrom<HandOverRow> for HandOver {
    type Error = StoreError;

    fn try_from(row: HandOverRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            case: CaseId(row.case_id),
            demand: row.demand,
            kind: HandOverKind::from_word(&row.kind)
                .ok_or_else(|| strange("hand_overs", "kind", row.id))?,
            key: row.key,
            asked_at: Moment::from_micros(row.asked_at),
            tries: u32::try_from(row.tries).unwrap_or(u32::MAX),
            state: row.state,
            next_at: row.next_at.map(Moment::from_micros),
            done_at: row.done_at.map(Moment::from_micros),
            outcome: row.outcome,
            proof: row.proof,
        })
    }
}

/// Cases whose last rung is reached and that may be handed over now: open, not exempt, with the directory's word not in
/// question, in a campaign that does not stand still.
macro_rules! due {
    () => {
        "FROM tasks k JOIN cases c ON c.id = k.case_id JOIN threads t ON t.id = c.thread_id JOIN campaigns p ON p.id = t.campaign_id JOIN accounts a ON a.id = c.account_id
             LEFT JOIN hand_overs h ON h.case_id = c.id
         WHERE k.kind = 'hand_over' AND k.done_at IS NULL AND c.state <> 'closed' AND COALESCE(c.exempt_until, 0) <= $1 AND c.standing <> 'hold'
             AND p.state NOT IN ('paused', 'stopped') AND a.left_at IS NULL AND (h.id IS NULL OR h.state = 'again' AND h.next_at <= $1)"
    };
}

impl Tx {
    /// Writes down that the last rung of these cases has come, once each, and gives those of which it was not known.
    pub async fn note_hand_overs_due(
        &mut self,
        cases: &[CaseId],
        now: Moment,
    ) -> Result<Vec<CaseId>, StoreError> {
        if cases.is_empty() {
            return Ok(Vec::new());
        }
        let new: Vec<(i64,)> = on_set!(
            self, &ids(cases.iter().map(|case| case.0)), [id bigint],
            "INSERT INTO ledger (at, actor, act, case_id) SELECT $2, 'bell', 'case.hand_over_due', d.id FROM d
             WHERE NOT EXISTS (SELECT 1 FROM ledger l WHERE l.case_id = d.id AND l.act = 'case.hand_over_due') ORDER BY d.id RETURNING case_id",
            sqlx::query_as::<_, (i64,)>, |query, db| query.bind(now.micros()).fetch_all(db).await
        )?;
        Ok(new.into_iter().map(|(case,)| CaseId(case)).collect())
    }

    /// What may be handed over now, by case, `limit` at most: what is looked at once more right before it is done.
    pub async fn hand_overs_due(
        &mut self,
        after: CaseId,
        limit: i64,
        now: Moment,
    ) -> Result<Vec<HandOverDue>, StoreError> {
        let rows: Vec<DueRow> = on!(self, db => sqlx::query_as(concat!(
            "SELECT c.id, c.account_id, a.object_id, a.sam, a.kind, t.ladder, t.reference, h.id AS hand_over, h.key, h.asked_at, h.tries ",
            due!(), " AND c.id > $2 ORDER BY c.id LIMIT $3",
        )).bind(now.micros()).bind(after.0).bind(limit).fetch_all(db).await)?;
        rows.into_iter().map(HandOverDue::try_from).collect()
    }

    /// Writes down that these are asked for now: after the commit, and not before, may they be. What somebody else has
    /// begun, or is no longer due, is not in the answer.
    pub async fn begin_hand_overs(
        &mut self,
        drafts: &[HandOverDraft],
        lease_until: Moment,
        now: Moment,
    ) -> Result<Vec<HandOverClaim>, StoreError> {
        if drafts.is_empty() {
            return Ok(Vec::new());
        }
        on_set!(
            self, drafts, [case_id bigint, demand text, kind text, key text],
            "INSERT INTO hand_overs (case_id, demand, kind, key, asked_at, tries, state, next_at)
             SELECT d.case_id, d.demand, d.kind, d.key, $2, 0, 'again', $2 FROM d WHERE true ON CONFLICT (case_id) DO NOTHING",
            sqlx::query, |query, db| query.bind(now.micros()).execute(db).await.map(|_| ())
        )?;
        // One of us at a time takes a row: whoever comes second finds it asked for.
        let begun: Vec<(i64, i64, i64, i64)> = on_set!(
            self, drafts, [case_id bigint, kind text],
            concat!(
                "UPDATE hand_overs SET state = 'asked', lease_until = $2, next_at = NULL, tries = tries + 1, kind = d.kind FROM d
                 WHERE hand_overs.case_id = d.case_id AND hand_overs.state = 'again' AND hand_overs.next_at <= $3
                     AND EXISTS (SELECT 1 FROM tasks k JOIN cases c ON c.id = k.case_id JOIN threads t ON t.id = c.thread_id JOIN campaigns p ON p.id = t.campaign_id
                         WHERE k.case_id = hand_overs.case_id AND k.kind = 'hand_over' AND k.done_at IS NULL AND c.state <> 'closed' AND COALESCE(c.exempt_until, 0) <= $3
                             AND c.standing <> 'hold' AND p.state NOT IN ('paused', 'stopped'))
                 RETURNING hand_overs.id, hand_overs.case_id, hand_overs.asked_at, hand_overs.tries"
            ),
            sqlx::query_as::<_, (i64, i64, i64, i64)>, |query, db| query.bind(lease_until.micros()).bind(now.micros()).fetch_all(db).await
        )?;
        let claims: Vec<HandOverClaim> = begun
            .into_iter()
            .map(|(id, case, asked_at, tries)| HandOverClaim {
                id,
                case: CaseId(case),
                asked_at: Moment::from_micros(asked_at),
                tries: u32::try_from(tries).unwrap_or(u32::MAX),
            })
            .collect();
        let acts: Vec<super::ledger::Act> = claims
            .iter()
            .map(|claim| super::ledger::Act {
                case_id: claim.case.0,
                act: "case.hand_over_asked",
                effective_at: None,
                detail: Some(format!(
                    "{{\"hand_over\":{},\"try\":{}}}",
                    claim.id, claim.tries
                )),
            })
            .collect();
        self.note_cases(now, "bell", &acts).await?;
        Ok(claims)
    }

    /// Records how tries ended, closes the tasks of what is done, and says so in the ledger.
    pub async fn end_hand_overs(
        &mut self,
        ends: &[HandOverEnd],
        by: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        if ends.is_empty() {
            return Ok(());
        }
        let changed = on_set!(
            self, ends, [id bigint, state text, next_at bigint, done_at bigint, outcome text, proof text],
            "UPDATE hand_overs SET state = d.state, next_at = d.next_at, done_at = d.done_at, outcome = d.outcome, proof = COALESCE(d.proof, hand_overs.proof), lease_until = NULL
             FROM d WHERE hand_overs.id = d.id AND hand_overs.state IN ('asked', 'stopped', 'refused')",
            sqlx::query, |query, db| query.execute(db).await.map(|done| done.rows_affected())
        )?;
        if changed != ends.len() as u64 {
            return Err(StoreError::Lost {
                table: "hand_overs",
                id: ends.first().map_or(0, |end| end.id),
            });
        }
        let done: Vec<&HandOverEnd> = ends.iter().filter(|end| end.state == "done").collect();
        on_set!(
            self, &done, [case_id bigint],
            "UPDATE tasks SET done_at = $2, done_by = $3 FROM d WHERE tasks.case_id = d.case_id AND tasks.kind = 'hand_over' AND tasks.done_at IS NULL",
            sqlx::query, |query, db| query.bind(now.micros()).bind(by).execute(db).await.map(|_| ())
        )?;
        // Whoever looks at the tasks sees why it is theirs.
        let by_hand: Vec<&HandOverEnd> = ends
            .iter()
            .filter(|end| matches!(end.state, "refused" | "stopped"))
            .collect();
        on_set!(
            self, &by_hand, [case_id bigint, outcome text],
            "UPDATE tasks SET reason = d.outcome FROM d WHERE tasks.case_id = d.case_id AND tasks.kind = 'hand_over' AND tasks.done_at IS NULL",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        let mut acts = Vec::with_capacity(ends.len());
        for end in ends {
            let detail = serde_json::json!({ "hand_over": end.id, "outcome": end.outcome, "proof": end.proof });
            acts.push(super::ledger::Act {
                case_id: end.case_id,
                act: match end.state {
                    "done" => "case.handed_over",
                    "again" => "case.hand_over_again",
                    "stopped" => "case.hand_over_in_doubt",
                    _ => "case.hand_over_refused",
                },
                effective_at: end.done_at,
                detail: Some(detail.to_string()),
            });
        }
        self.note_cases(now, by, &acts).await
    }

    /// Those of a worker that died in the middle: asked for or not, nobody knows. Their numbers, cases and kinds.
    pub async fn hand_overs_in_doubt(&mut self, now: Moment) -> Result<Vec<HandOver>, StoreError> {
        let rows: Vec<HandOverRow> = on!(self, db => sqlx::query_as(
            "SELECT id, case_id, demand, kind, key, asked_at, tries, state, next_at, done_at, outcome, proof FROM hand_overs WHERE state = 'asked' AND lease_until < $1 ORDER BY lease_until, id LIMIT 1000",
        ).bind(now.micros()).fetch_all(db).await)?;
        rows.into_iter().map(HandOver::try_from).collect()
    }

    /// All hand-overs from `after` on, or those that are not done.
    pub async fn hand_overs(
        &mut self,
        after: i64,
        open_only: bool,
        limit: i64,
    ) -> Result<Vec<HandOver>, StoreError> {
        let rows: Vec<HandOverRow> = on!(self, db => sqlx::query_as(
            "SELECT id, case_id, demand, kind, key, asked_at, tries, state, next_at, done_at, outcome, proof FROM hand_overs WHERE id > $1 AND (state <> 'done' OR NOT $2) ORDER BY id LIMIT $3",
        ).bind(after).bind(open_only).bind(limit).fetch_all(db).await)?;
        rows.into_iter().map(HandOver::try_from).collect()
    }

    /// Has one that was left to a human being asked for once more, from the start. Who did, and why, is in the ledger.
    pub async fn hand_over_again(
        &mut self,
        id: i64,
        by: &str,
        reason: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let case: Option<(i64,)> = on!(self, db => sqlx::query_as("UPDATE hand_overs SET state = 'again', next_at = $2, tries = 0, done_at = NULL WHERE id = $1 AND state IN ('refused', 'stopped') RETURNING case_id")
            .bind(id).bind(now.micros()).fetch_optional(db).await)?;
        let changed = u64::from(case.is_some());
        expect_one(changed, "hand_overs", id)?;
        let case = CaseId(case.map_or(0, |(case,)| case));
        let detail =
            serde_json::to_string(&serde_json::json!({ "hand_over": id, "reason": reason }))?;
        self.note_case(now, by, "case.hand_over_again", case, None, Some(&detail))
            .await
    }

    /// The question whether a case's hand-over was made is answered.
    pub async fn end_doubt_of_hand_over(
        &mut self,
        case: CaseId,
        by: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        on!(self, db => sqlx::query("UPDATE tasks SET done_at = $2, done_by = $3 WHERE case_id = $1 AND kind = 'decide' AND reason = 'hand_over_in_doubt' AND done_at IS NULL")
            .bind(case.0).bind(now.micros()).bind(by).execute(db).await.map(|_| ()))?;
        Ok(())
    }

    /// Remembers that a set was looked at without writing.
    pub async fn keep_rehearsal(
        &mut self,
        kind: HandOverKind,
        set_hash: &str,
        by: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        on!(self, db => sqlx::query(
            "INSERT INTO rehearsals (kind, set_hash, rehearsed_at, rehearsed_by) VALUES ($1, $2, $3, $4)
             ON CONFLICT (kind) DO UPDATE SET set_hash = excluded.set_hash, rehearsed_at = excluded.rehearsed_at, rehearsed_by = excluded.rehearsed_by",
        ).bind(kind.word()).bind(set_hash).bind(now.micros()).bind(by).execute(db).await.map(|_| ()))?;
        let detail = format!("{{\"set\":\"{set_hash}\"}}");
        let thing = format!("hand_over:{}", kind.word());
        self.note(now, by, "hand_over.rehearsed", Some(&thing), Some(&detail))
            .await
    }

    /// The set that was looked at last.
    pub async fn rehearsed(&mut self, kind: HandOverKind) -> Result<Option<String>, StoreError> {
        let row: Option<(String,)> = on!(self, db => sqlx::query_as("SELECT set_hash FROM rehearsals WHERE kind = $1").bind(kind.word()).fetch_optional(db).await)?;
        Ok(row.map(|(hash,)| hash))
    }
}
