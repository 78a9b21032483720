//! Incidents: what staff and public are told about.

use serde::Serialize;

use super::{StoreError, Tx, expect_one, on, strange};
use crate::domain::incident::{IncidentState, Word};
use crate::domain::{IncidentId, Moment};

/// What staff and public are told about.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Incident {
    /// Its number.
    pub id: IncidentId,
    /// Its public reference.
    pub reference: String,
    /// In a few words, without names.
    pub title: String,
    /// Where it is.
    pub state: IncidentState,
    /// Since when we tell of it.
    pub opened_at: Moment,
    /// When the state last changed.
    pub changed_at: Moment,
    /// When we promised to say more.
    pub next_update_at: Option<Moment>,
}

type IncidentRow = (i64, String, String, String, i64, i64, Option<i64>);

fn incident(
    (id, reference, title, state, opened_at, changed_at, next_update_at): IncidentRow,
) -> Result<Incident, StoreError> {
    Ok(Incident {
        id: IncidentId(id),
        reference,
        title,
        state: IncidentState::from_word(&state).ok_or_else(|| strange("incidents", "state", id))?,
        opened_at: Moment::from_micros(opened_at),
        changed_at: Moment::from_micros(changed_at),
        next_update_at: next_update_at.map(Moment::from_micros),
    })
}

/// A promised update, as the ledger keeps it: the incident itself only knows the latest.
fn promise(next_update_at: Option<Moment>) -> Option<String> {
    next_update_at.map(|at| format!("{{\"next_update\":{}}}", at.micros()))
}

impl Tx {
    /// Opens an incident; its reference is `INC-` and the year and month, with a number if the month has more than one.
    pub async fn open_incident(
        &mut self,
        title: &str,
        by: &str,
        next_update_at: Option<Moment>,
        now: Moment,
    ) -> Result<Incident, StoreError> {
        let (before,): (i64,) =
            on!(self, db => sqlx::query_as("SELECT COUNT(*) FROM incidents").fetch_one(db).await)?;
        let reference = format!("INC-{}-{}", now.utc().format("%y%m"), before + 1);
        let row: IncidentRow = on!(self, db => sqlx::query_as(
            "INSERT INTO incidents (reference, title, state, opened_by, opened_at, changed_at, next_update_at) VALUES ($1, $2, 'investigating', $3, $4, $4, $5)
             RETURNING id, reference, title, state, opened_at, changed_at, next_update_at",
        ).bind(&reference).bind(title).bind(by).bind(now.micros()).bind(next_update_at.map(Moment::micros)).fetch_one(db).await)?;
        let incident = incident(row)?;
        self.note(
            now,
            by,
            "incident.opened",
            Some(&format!("incident:{}", incident.id)),
            promise(next_update_at).as_deref(),
        )
        .await?;
        Ok(incident)
    }

    /// Moves an incident to `state`, with a new promise if one is given.
    pub async fn move_incident(
        &mut self,
        id: IncidentId,
        state: IncidentState,
        by: &str,
        next_update_at: Option<Moment>,
        now: Moment,
    ) -> Result<(), StoreError> {
        let changed = on!(self, db => sqlx::query(
            "UPDATE incidents SET state = $2, changed_at = $3, next_update_at = COALESCE($4, next_update_at) WHERE id = $1",
        ).bind(id.0).bind(state.word()).bind(now.micros()).bind(next_update_at.map(Moment::micros)).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "incidents", id.0)?;
        self.note(
            now,
            by,
            &format!("incident.{}", state.word()),
            Some(&format!("incident:{id}")),
            promise(next_update_at).as_deref(),
        )
        .await
    }

    /// All incidents, newest first.
    pub async fn incidents(&mut self) -> Result<Vec<Incident>, StoreError> {
        let rows: Vec<IncidentRow> = on!(self, db => sqlx::query_as(
            "SELECT id, reference, title, state, opened_at, changed_at, next_update_at FROM incidents ORDER BY id DESC LIMIT 1000",
        ).fetch_all(db).await)?;
        rows.into_iter().map(incident).collect()
    }

    /// One incident.
    pub async fn incident(&mut self, id: IncidentId) -> Result<Option<Incident>, StoreError> {
        let row: Option<IncidentRow> = on!(self, db => sqlx::query_as(
            "SELECT id, reference, title, state, opened_at, changed_at, next_update_at FROM incidents WHERE id = $1",
        ).bind(id.0).fetch_optional(db).await)?;
        row.map(incident).transpose()
    }

    /// Promises to say more by then. It says nothing new by itself: what was promised before stays promised.
    pub async fn promise_update(
        &mut self,
        id: IncidentId,
        next_update_at: Moment,
        by: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let changed = on!(self, db => sqlx::query("UPDATE incidents SET next_update_at = $2 WHERE id = $1 AND state <> 'resolved'")
            .bind(id.0).bind(next_update_at.micros()).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "incidents", id.0)?;
        self.note(
            now,
            by,
            "incident.promised",
            Some(&format!("incident:{id}")),
            promise(Some(next_update_at)).as_deref(),
        )
        .await
    }

    /// What readers of an incident were told by people, and promised: its moves and its statements, not the figures of its
    /// post, which move by themselves.
    pub async fn told_of(&mut self, id: IncidentId) -> Result<Vec<Word>, StoreError> {
        #[derive(serde::Deserialize, Default)]
        #[serde(default)]
        struct Said {
            next_update: Option<i64>,
        }
        let rows: Vec<(i64, i64, String, Option<String>)> = on!(self, db => sqlx::query_as(
            "SELECT id, at, act, detail FROM ledger WHERE thing = $1 AND act LIKE 'incident.%' ORDER BY id",
        ).bind(format!("incident:{id}")).fetch_all(db).await)?;
        let mut words = Vec::new();
        for (row, at, act, detail) in rows {
            let at = Moment::from_micros(at);
            let said: Said = match detail {
                Some(text) => {
                    serde_json::from_str(&text).map_err(|_| strange("ledger", "detail", row))?
                }
                None => Said::default(),
            };
            if act != "incident.opened" && act != "incident.promised" {
                words.push(Word::Updated { at });
            }
            if let Some(by) = said.next_update {
                words.push(Word::Promised {
                    at,
                    by: Moment::from_micros(by),
                });
            }
        }
        Ok(words)
    }
}
