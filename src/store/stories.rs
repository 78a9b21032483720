//! Stories: "did X get it?" A letter's attempts, what the relay said, and what came back.

use serde::Serialize;

use super::{StoreError, Tx, on, strange};
use crate::domain::{CaseId, DeliveryId, Destination, Moment, PersonId};

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
    /// What came back, oldest first.
    pub bounces: Vec<CameBack>,
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

/// A report that came back.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct CameBack {
    /// When we read it.
    pub received_at: Moment,
    /// failed, delayed, unparsed.
    pub action: String,
    /// Enhanced code.
    pub status: Option<String>,
    /// The other side's words, addresses masked.
    pub reply: Option<String>,
}

#[derive(sqlx::FromRow)]
struct StoryRow {
    id: i64,
    kind: String,
    channel: String,
    recipient: String,
    state: String,
    queued_at: i64,
    due_at: i64,
    possible_duplicate: bool,
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
    /// When the first letter with this reference was accepted for somebody; none: no such letter ever was.
    pub async fn first_sent(&mut self, reference: &str) -> Result<Option<Moment>, StoreError> {
        let (at,): (Option<i64>,) = on!(self, db => sqlx::query_as(
            "SELECT MIN(d.ended_at) FROM threads t JOIN deliveries d ON d.thread_id = t.id WHERE t.reference = $1 AND d.state IN ('accepted', 'bounced')",
        ).bind(reference).fetch_one(db).await)?;
        Ok(at.map(Moment::from_micros))
    }

    /// The stories of a case's deliveries, oldest first.
    pub async fn stories(&mut self, case: CaseId) -> Result<Vec<DeliveryStory>, StoreError> {
        let rows: Vec<StoryRow> = on!(self, db => sqlx::query_as(
            "SELECT x.id, x.kind, x.channel, x.recipient, x.state, x.queued_at, x.due_at, x.possible_duplicate FROM deliveries x JOIN cases c ON c.thread_id = x.thread_id WHERE c.id = $1 ORDER BY x.id",
        ).bind(case.0).fetch_all(db).await)?;
        self.told(rows).await
    }

    /// The story of one letter.
    pub async fn story(&mut self, id: DeliveryId) -> Result<Option<DeliveryStory>, StoreError> {
        let rows: Vec<StoryRow> = on!(self, db => sqlx::query_as(
            "SELECT id, kind, channel, recipient, state, queued_at, due_at, possible_duplicate FROM deliveries WHERE id = $1",
        ).bind(id.0).fetch_all(db).await)?;
        Ok(self.told(rows).await?.pop())
    }

    /// The stories of a person's letters, oldest first.
    pub async fn stories_of(&mut self, person: PersonId) -> Result<Vec<DeliveryStory>, StoreError> {
        let rows: Vec<StoryRow> = on!(self, db => sqlx::query_as(
            "SELECT x.id, x.kind, x.channel, x.recipient, x.state, x.queued_at, x.due_at, x.possible_duplicate FROM threads t CROSS JOIN deliveries x WHERE t.person_id = $1 AND x.thread_id = t.id ORDER BY x.id",
        ).bind(person.0).fetch_all(db).await)?;
        self.told(rows).await
    }

    async fn told(&mut self, rows: Vec<StoryRow>) -> Result<Vec<DeliveryStory>, StoreError> {
        let mut stories = Vec::with_capacity(rows.len());
        for row in rows {
            let attempts: Vec<AttemptRow> = on!(self, db => sqlx::query_as(
                "SELECT started_at, ended_at, outcome, stage, code, reply FROM attempts WHERE delivery_id = $1 ORDER BY id",
            ).bind(row.id).fetch_all(db).await)?;
            type Back = (i64, String, Option<String>, Option<String>);
            let bounces: Vec<Back> = on!(self, db => sqlx::query_as(
                "SELECT received_at, action, status, reply FROM bounces WHERE delivery_id = $1 ORDER BY id",
            ).bind(row.id).fetch_all(db).await)?;
            stories.push(DeliveryStory {
                id: DeliveryId(row.id),
                kind: row.kind,
                recipient: Destination::read(&row.channel, &row.recipient)
                    .ok_or_else(|| strange("deliveries", "recipient", row.id))?,
                state: row.state,
                queued_at: Moment::from_micros(row.queued_at),
                due_at: Moment::from_micros(row.due_at),
                possible_duplicate: row.possible_duplicate,
                attempts: attempts.into_iter().map(Attempt::from).collect(),
                bounces: bounces
                    .into_iter()
                    .map(|(received_at, action, status, reply)| CameBack {
                        received_at: Moment::from_micros(received_at),
                        action,
                        status,
                        reply,
                    })
                    .collect(),
            });
        }
        Ok(stories)
    }
}
