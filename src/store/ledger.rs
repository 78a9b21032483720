//! The ledger: who did what, when; only ever added to, and in the same transaction as the act itself.

use serde::Serialize;

use super::{StoreError, Tx, on, on_set};
use crate::domain::{CaseId, Moment};

/// One row of the ledger.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Entry {
    /// Its place.
    pub id: i64,
    /// When it was written down.
    pub at: Moment,
    /// Operator, or `bell`.
    pub actor: String,
    /// What was done: `case.opened`, `campaign.approved`.
    pub act: String,
    /// The case it moves.
    pub case_id: Option<CaseId>,
    /// What else it is about: `campaign:3`.
    pub thing: Option<String>,
    /// The moment the fact itself speaks of.
    pub effective_at: Option<Moment>,
    /// Particulars, as JSON without personal data.
    pub detail: Option<String>,
}

#[derive(sqlx::FromRow)]
pub(super) struct EntryRow {
    id: i64,
    at: i64,
    actor: String,
    act: String,
    case_id: Option<i64>,
    thing: Option<String>,
    effective_at: Option<i64>,
    detail: Option<String>,
}

impl From<EntryRow> for Entry {
    fn from(row: EntryRow) -> Self {
        Self {
            id: row.id,
            at: Moment::from_micros(row.at),
            actor: row.actor,
            act: row.act,
            case_id: row.case_id.map(CaseId),
            thing: row.thing,
            effective_at: row.effective_at.map(Moment::from_micros),
            detail: row.detail,
        }
    }
}

/// One act on one case, for a set of them.
#[derive(Serialize)]
pub(super) struct Act {
    pub case_id: i64,
    pub act: &'static str,
    pub effective_at: Option<i64>,
    pub detail: Option<String>,
}

impl Tx {
    /// Writes down an act that is about `thing`, such as `campaign:3`.
    pub async fn note(
        &mut self,
        at: Moment,
        actor: &str,
        act: &str,
        thing: Option<&str>,
        detail: Option<&str>,
    ) -> Result<(), StoreError> {
        on!(self, db => sqlx::query("INSERT INTO ledger (at, actor, act, thing, detail) VALUES ($1, $2, $3, $4, $5)")
            .bind(at.micros()).bind(actor).bind(act).bind(thing).bind(detail).execute(db).await.map(|_| ()))?;
        Ok(())
    }

    /// Writes down an operator's act on one case.
    pub async fn note_case(
        &mut self,
        at: Moment,
        actor: &str,
        act: &str,
        case: CaseId,
        effective_at: Option<Moment>,
        detail: Option<&str>,
    ) -> Result<(), StoreError> {
        on!(self, db => sqlx::query("INSERT INTO ledger (at, actor, act, case_id, effective_at, detail) VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(at.micros()).bind(actor).bind(act).bind(case.0).bind(effective_at.map(Moment::micros)).bind(detail)
            .execute(db).await.map(|_| ()))?;
        Ok(())
    }

    pub(super) async fn note_cases(
        &mut self,
        at: Moment,
        actor: &str,
        acts: &[Act],
    ) -> Result<(), StoreError> {
        if acts.is_empty() {
            return Ok(());
        }
        on_set!(
            self, acts, [case_id bigint, act text, effective_at bigint, detail text],
            "INSERT INTO ledger (at, actor, act, case_id, effective_at, detail) SELECT $2, $3, d.act, d.case_id, d.effective_at, d.detail FROM d",
            sqlx::query, |query, db| query.bind(at.micros()).bind(actor).execute(db).await.map(|_| ())
        )?;
        Ok(())
    }

    /// The ledger from `after` on, oldest first, `limit` rows at most.
    pub async fn ledger(&mut self, after: i64, limit: i64) -> Result<Vec<Entry>, StoreError> {
        let rows: Vec<EntryRow> = on!(self, db => sqlx::query_as(
            "SELECT id, at, actor, act, case_id, thing, effective_at, detail FROM ledger WHERE id > $1 ORDER BY id LIMIT $2",
        ).bind(after).bind(limit).fetch_all(db).await)?;
        Ok(rows.into_iter().map(Entry::from).collect())
    }

    /// The number of the newest row; 0 if there is none.
    pub async fn newest_entry(&mut self) -> Result<i64, StoreError> {
        let (id,): (i64,) = on!(self, db => sqlx::query_as("SELECT COALESCE(MAX(id), 0) FROM ledger").fetch_one(db).await)?;
        Ok(id)
    }

    /// What happened to one case, oldest first.
    pub async fn case_history(&mut self, case: CaseId) -> Result<Vec<Entry>, StoreError> {
        let rows: Vec<EntryRow> = on!(self, db => sqlx::query_as(
            "SELECT id, at, actor, act, case_id, thing, effective_at, detail FROM ledger WHERE case_id = $1 ORDER BY id",
        ).bind(case.0).fetch_all(db).await)?;
        Ok(rows.into_iter().map(Entry::from).collect())
    }

    /// What the ledger says about these things, such as `incident:3`, oldest first, 2,000 rows at most.
    pub async fn ledger_about(&mut self, things: &[String]) -> Result<Vec<Entry>, StoreError> {
        #[derive(Serialize)]
        struct Thing<'a> {
            thing: &'a str,
        }
        let things: Vec<Thing<'_>> = things.iter().map(|thing| Thing { thing }).collect();
        let rows: Vec<EntryRow> = on_set!(
            self, &things, [thing text],
            "SELECT l.id, l.at, l.actor, l.act, l.case_id, l.thing, l.effective_at, l.detail FROM d CROSS JOIN ledger l WHERE l.thing = d.thing
             ORDER BY l.id LIMIT 2000",
            sqlx::query_as::<_, EntryRow>, |query, db| query.fetch_all(db).await
        )?;
        Ok(rows.into_iter().map(Entry::from).collect())
    }
}
