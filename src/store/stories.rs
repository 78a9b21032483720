//! Stories: "did X get it?" The letters of a case, their attempts, and what the relay said.

use serde::Serialize;

use super::{StoreError, Tx, on, strange};
use crate::domain::{CaseId, DeliveryId, Destination, Moment};

/// One delivery's story.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct DeliveryStory {
    /// Its number.
    pub id: DeliveryId,
    /// What it says.
    pub kind: String,
    /// To whom and by which way; masked when printed.
    pub recipient: Destination,
    /// How far it is.
    pub state: String,
    /// When it was queued.
    pub queued_at: Moment,
    /// When it is due next.
    pub due_at: Moment,
    /// Whether it may have arrived twice.
    pub possible_duplicate: bool,
    /// Its attempts, oldest first.
    pub attempts: Vec<Attempt>,
}

/// One conversation with a relay.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Attempt {
    /// When it was written down, before its first byte.
    pub started_at: Moment,
    /// When it ended; none while it is in flight.
    pub ended_at: Option<Moment>,
    /// What it means.
    pub outcome: Option<String>,
    /// How far it came.
    pub stage: Option<String>,
    /// The relay's code.
    pub code: Option<i64>,
    /// The relay's words, addresses masked.
    pub reply: Option<String>,
}

#[derive(sqlx::FromRow)]
struct AttemptRow {
    started_at: i64,
    ended_at: Option<i64>,
    outcome: Option<String>,
    stage: Option<String>,
    code: Option<i64>,
    reply: Option<String>,
}

impl From<AttemptRow> for Attempt {
    fn from(row: AttemptRow) -> Self {
        Self {
            started_at: Moment::from_micros(row.started_at),
            ended_at: row.ended_at.map(Moment::from_micros),
            outcome: row.outcome,
            stage: row.stage,
            code: row.code,
            reply: row.reply,
        }
    }
}

impl Tx {
    /// The stories of a case's deliveries, oldest first.
    pub async fn stories(&mut self, case: CaseId) -> Result<Vec<DeliveryStory>, StoreError> {
        type Row = (i64, String, String, String, String, i64, i64, bool);
        let rows: Vec<Row> = on!(self, db => sqlx::query_as(
            "SELECT x.id, x.kind, x.channel, x.recipient, x.state, x.queued_at, x.due_at, x.possible_duplicate FROM deliveries x JOIN cases c ON c.thread_id = x.thread_id WHERE c.id = $1 ORDER BY x.id",
        ).bind(case.0).fetch_all(db).await)?;
        let mut stories = Vec::with_capacity(rows.len());
        for (id, kind, channel, recipient, state, queued_at, due_at, possible_duplicate) in rows {
            let attempts: Vec<AttemptRow> = on!(self, db => sqlx::query_as(
                "SELECT started_at, ended_at, outcome, stage, code, reply FROM attempts WHERE delivery_id = $1 ORDER BY id",
            ).bind(id).fetch_all(db).await)?;
            stories.push(DeliveryStory {
                id: DeliveryId(id),
                kind,
                recipient: Destination::read(&channel, &recipient)
                    .ok_or_else(|| strange("deliveries", "recipient", id))?,
                state,
                queued_at: Moment::from_micros(queued_at),
                due_at: Moment::from_micros(due_at),
                possible_duplicate,
                attempts: attempts.into_iter().map(Attempt::from).collect(),
            });
        }
        Ok(stories)
    }
}
