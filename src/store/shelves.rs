//! Shelves: what the page lists, a handful at a time, newest first.

use super::ledger::EntryRow;
use super::{Entry, StoreError, Tx, on};
use crate::domain::{CaseId, DeliveryId, Moment};

/// A delivery in a list: without its reader.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Its number.
    pub id: DeliveryId,
    /// What it says.
    pub kind: String,
    /// By which way.
    pub way: String,
    /// How far it is.
    pub state: String,
    /// When it was queued.
    pub queued_at: Moment,
    /// How often it was tried.
    pub attempts: i64,
    /// Whether it may have arrived twice.
    pub possible_duplicate: bool,
}

/// An exemption in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exempted {
    /// Of which case.
    pub case: CaseId,
    /// Its category's word.
    pub category: String,
    /// Where the account belongs.
    pub department: String,
    /// Until when.
    pub until: Moment,
    /// Who approved it.
    pub approved_by: String,
    /// Who asked for it, and why; JSON.
    pub detail: String,
}

impl Tx {
    /// The deliveries before `before`, newest first; only those in this state if one is given.
    pub async fn deliveries_before(
        &mut self,
        before: DeliveryId,
        state: Option<&str>,
        limit: i64,
    ) -> Result<Vec<Listed>, StoreError> {
        type Row = (i64, String, String, String, i64, i64, bool);
        let rows: Vec<Row> = on!(self, db => sqlx::query_as(
            "SELECT id, kind, channel, state, queued_at, CAST(attempts AS BIGINT), possible_duplicate FROM deliveries
             WHERE id < $1 AND ($2 = '' OR state = $2) ORDER BY id DESC LIMIT $3",
        ).bind(before.0).bind(state.unwrap_or("")).bind(limit).fetch_all(db).await)?;
        Ok(rows
            .into_iter()
            .map(
                |(id, kind, way, state, queued_at, attempts, possible_duplicate)| Listed {
                    id: DeliveryId(id),
                    kind,
                    way,
                    state,
                    queued_at: Moment::from_micros(queued_at),
                    attempts,
                    possible_duplicate,
                },
            )
            .collect())
    }

    /// The exemptions that are in force, the next to end first.
    pub async fn exemptions(
        &mut self,
        now: Moment,
        limit: i64,
    ) -> Result<Vec<Exempted>, StoreError> {
        let rows: Vec<(i64, String, String, i64, String, String)> = on!(self, db => sqlx::query_as(
            "SELECT c.id, c.category, c.department, c.exempt_until, l.actor, COALESCE(l.detail, '{}') FROM cases c
             JOIN ledger l ON l.id = (SELECT MAX(e.id) FROM ledger e WHERE e.case_id = c.id AND e.act = 'case.exempted')
             WHERE c.state <> 'closed' AND c.exempt_until > $1 ORDER BY c.exempt_until, c.id LIMIT $2",
        ).bind(now.micros()).bind(limit).fetch_all(db).await)?;
        Ok(rows
            .into_iter()
            .map(
                |(case, category, department, until, approved_by, detail)| Exempted {
                    case: CaseId(case),
                    category,
                    department,
                    until: Moment::from_micros(until),
                    approved_by,
                    detail,
                },
            )
            .collect())
    }

    /// The ledger before row `before`, newest first.
    pub async fn ledger_before(
        &mut self,
        before: i64,
        limit: i64,
    ) -> Result<Vec<Entry>, StoreError> {
        let rows: Vec<EntryRow> = on!(self, db => sqlx::query_as(
            "SELECT id, at, actor, act, case_id, thing, effective_at, detail FROM ledger WHERE id < $1 ORDER BY id DESC LIMIT $2",
        ).bind(before).bind(limit).fetch_all(db).await)?;
        Ok(rows.into_iter().map(Entry::from).collect())
    }
}
