//! What the self-audit looks at: open cases, their conversations, letters and tasks, as they are stored.

use std::collections::HashMap;

use super::{StoreError, Tx, ids, on, on_set, strange};
use crate::domain::campaign::CampaignState;
use crate::domain::notice::NoticeKind;
use crate::domain::self_audit::{Watched, WatchedLetter, WatchedThread};
use crate::domain::{CaseId, Moment};

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    opened_at: i64,
    state: String,
    deadline_at: Option<i64>,
    owned: i64,
    blocked: i64,
    exempt_until: Option<i64>,
    snoozed_until: Option<i64>,
    tasks: i64,
    handed_over: i64,
    thread_id: Option<i64>,
    thread_state: Option<String>,
    campaign_state: Option<String>,
    timetable: Option<String>,
    climbed: Option<String>,
}

impl Tx {
    /// Open cases from `after` on, by number, with all that was done about them.
    pub async fn watched(&mut self, after: CaseId, limit: i64) -> Result<Vec<Watched>, StoreError> {
        let rows: Vec<Row> = on!(self, db => sqlx::query_as(
            "SELECT c.id, c.opened_at, c.state, c.deadline_at, CAST(CASE WHEN c.reach_by IS NULL THEN 0 ELSE 1 END AS BIGINT) AS owned,
                 CAST(CASE WHEN c.category = 'compromised' AND c.contained_at IS NOT NULL THEN 1 ELSE 0 END AS BIGINT) AS blocked, c.exempt_until, c.snoozed_until,
                 (SELECT COUNT(*) FROM tasks k WHERE k.case_id = c.id AND k.done_at IS NULL) AS tasks,
                 (SELECT COUNT(*) FROM ledger l WHERE l.case_id = c.id AND l.act = 'case.hand_over_due') AS handed_over,
                 t.id AS thread_id, t.state AS thread_state, p.state AS campaign_state, t.timetable, t.climbed
             FROM cases c LEFT JOIN threads t ON t.id = c.thread_id AND t.state <> 'ended' LEFT JOIN campaigns p ON p.id = t.campaign_id
             WHERE c.id > $1 AND c.state <> 'closed' ORDER BY c.id LIMIT $2",
        ).bind(after.0).bind(limit).fetch_all(db).await)?;
        let mut letters = self
            .watched_letters(rows.iter().filter_map(|row| row.thread_id))
            .await?;
        rows.into_iter()
            .map(|row| {
                let thread = match row.thread_id {
                    None => None,
                    Some(id) => Some(thread(id, &row, letters.remove(&id).unwrap_or_default())?),
                };
                Ok(Watched {
                    case: CaseId(row.id),
                    opened_at: Moment::from_micros(row.opened_at),
                    deadline_at: row.deadline_at.map(Moment::from_micros),
                    has_owner: row.owned > 0,
                    is_blocked: row.blocked > 0,
                    is_told: row.state == "notified",
                    rests_until: row
                        .exempt_until
                        .max(row.snoozed_until)
                        .map(Moment::from_micros),
                    tasks: row.tasks.unsigned_abs(),
                    is_handed_over: row.handed_over > 0,
                    thread,
                })
            })
            .collect()
    }

    /// The letters of these threads, to whomever they go. Two cases of one thread see the same.
    async fn watched_letters(
        &mut self,
        threads: impl Iterator<Item = i64>,
    ) -> Result<HashMap<i64, Vec<WatchedLetter>>, StoreError> {
        let rows: Vec<(i64, i64, String, String, i64, i64)> = on_set!(
            self, &ids(threads), [id bigint],
            "SELECT x.id, x.thread_id, x.kind, x.state, x.due_at, x.attempts FROM d CROSS JOIN deliveries x WHERE x.thread_id = d.id AND x.channel = 'mail' ORDER BY x.id",
            sqlx::query_as::<_, (i64, i64, String, String, i64, i64)>, |query, db| query.fetch_all(db).await
        )?;
        let mut letters: HashMap<i64, Vec<WatchedLetter>> = HashMap::new();
        for (id, thread, kind, state, due_at, attempts) in rows {
            letters.entry(thread).or_default().push(WatchedLetter {
                kind: NoticeKind::from_word(&kind)
                    .ok_or_else(|| strange("deliveries", "kind", id))?,
                is_queued: state == "queued",
                due_at: Moment::from_micros(due_at),
                was_tried: attempts > 0,
            });
        }
        Ok(letters)
    }

    /// Leases that ran out before `since`, and that nobody has taken back: letters of a worker that died.
    pub async fn stale_leases(&mut self, since: Moment) -> Result<u64, StoreError> {
        let (count,): (i64,) = on!(self, db => sqlx::query_as("SELECT COUNT(*) FROM deliveries WHERE state = 'leased' AND lease_until < $1")
            .bind(since.micros()).fetch_one(db).await)?;
        Ok(count.unsigned_abs())
    }
}

fn thread(id: i64, row: &Row, letters: Vec<WatchedLetter>) -> Result<WatchedThread, StoreError> {
    Ok(WatchedThread {
        id,
        is_running: row.thread_state.as_deref() == Some("running"),
        campaign: row
            .campaign_state
            .as_deref()
            .and_then(CampaignState::from_word)
            .ok_or_else(|| strange("campaigns", "state", id))?,
        // What cannot be read is a gap of one case, not the end of the audit.
        timetable: row
            .timetable
            .as_deref()
            .and_then(|text| serde_json::from_str(text).ok()),
        climbed: row
            .climbed
            .as_deref()
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default(),
        letters,
    })
}
