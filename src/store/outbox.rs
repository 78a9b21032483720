//! The outbox: what is queued in the deciding transaction, claimed with a lease, begun, attempted, and recorded.

mod claim;
mod lease;
mod record;

use serde::Serialize;

use super::{One, StoreError, Tx, ids, on, on_set};
use crate::domain::notice::NoticeKind;
use crate::domain::{EmailAddress, Moment};

pub use claim::{Begun, Delivery, GivenBack};
pub use lease::Recovered;
pub use record::{Finished, Undelivered};

/// A template kept by its content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TemplateId(pub i64);

/// A delivery that is about to be queued.
#[derive(Clone, PartialEq, Debug)]
pub struct DeliveryDraft {
    /// In which conversation.
    pub thread: i64,
    /// What it says.
    pub kind: NoticeKind,
    /// 1, unless the kind is said again in its thread.
    pub seq: i64,
    /// `mail`, or `mail.2` for a second address.
    pub channel: String,
    /// To whom.
    pub recipient: EmailAddress,
    /// By which template.
    pub template: TemplateId,
    /// What the letter says of its reader, as JSON.
    pub facts: String,
    /// Of the rendered bytes.
    pub letter_hash: String,
    /// The letter's Date.
    pub queued_at: Moment,
    /// Who is told first.
    pub priority: i64,
    /// Not before.
    pub due_at: Moment,
}

/// A thread that moves past a rung.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Following {
    /// Its number.
    pub id: i64,
    /// The rungs behind us, as JSON.
    pub climbed: String,
    /// When the next is due.
    pub next_at: Option<i64>,
    /// Of its letters, in their order.
    pub message_ids: String,
}

impl Tx {
    /// Keeps a template once, by its content.
    pub async fn keep_template(
        &mut self,
        hash: &str,
        kind: &str,
        locale: &str,
        source: &str,
        now: Moment,
    ) -> Result<TemplateId, StoreError> {
        on!(self, db => sqlx::query("INSERT INTO templates (hash, kind, locale, source, kept_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (hash) DO NOTHING")
            .bind(hash).bind(kind).bind(locale).bind(source).bind(now.micros()).execute(db).await.map(|_| ()))?;
        let (id,): (i64,) = on!(self, db => sqlx::query_as("SELECT id FROM templates WHERE hash = $1").bind(hash).fetch_one(db).await)?;
        Ok(TemplateId(id))
    }

    /// The kind, locale and source of a template.
    pub async fn template(
        &mut self,
        id: TemplateId,
    ) -> Result<(String, String, String), StoreError> {
        Ok(
            on!(self, db => sqlx::query_as("SELECT kind, locale, source FROM templates WHERE id = $1").bind(id.0).fetch_one(db).await)?,
        )
    }

    /// Queues deliveries; one that is queued already is not queued again, and what is queued in a campaign that stands still
    /// stands still with it. Returns how many are new.
    pub async fn queue(
        &mut self,
        drafts: &[DeliveryDraft],
        now: Moment,
    ) -> Result<u64, StoreError> {
        if drafts.is_empty() {
            return Ok(0);
        }
        #[derive(Serialize)]
        struct Set<'a> {
            thread_id: i64,
            kind: &'static str,
            seq: i64,
            channel: &'a str,
            recipient: &'a str,
            template_id: i64,
            facts: &'a str,
            letter_hash: &'a str,
            queued_at: i64,
            priority: i64,
            due_at: i64,
        }
        let sets: Vec<Set> = drafts
            .iter()
            .map(|draft| Set {
                thread_id: draft.thread,
                kind: draft.kind.word(),
                seq: draft.seq,
                channel: &draft.channel,
                recipient: draft.recipient.expose(),
                template_id: draft.template.0,
                facts: &draft.facts,
                letter_hash: &draft.letter_hash,
                queued_at: draft.queued_at.micros(),
                priority: draft.priority,
                due_at: draft.due_at.micros(),
            })
            .collect();
        // Thanks are owed whatever becomes of a campaign.
        let threads = drafts
            .iter()
            .filter(|draft| draft.kind != NoticeKind::Done)
            .map(|draft| draft.thread);
        self.hold_campaigns(&ids(threads)).await?;
        let new: Vec<(i64,)> = on_set!(
            self, &sets,
            [thread_id bigint, kind text, seq bigint, channel text, recipient text, template_id bigint, facts text, letter_hash text, queued_at bigint, priority bigint, due_at bigint],
            "INSERT INTO deliveries (thread_id, kind, seq, channel, recipient, template_id, facts, letter_hash, queued_at, priority, due_at, state, attempts, possible_duplicate)
             SELECT thread_id, kind, seq, channel, recipient, template_id, facts, letter_hash, queued_at, priority, due_at, 'queued', 0, $2 FROM d WHERE true
             ON CONFLICT (thread_id, kind, seq, channel) DO NOTHING RETURNING id",
            sqlx::query_as::<_, (i64,)>, |query, db| query.bind(false).fetch_all(db).await
        )?;
        self.settle(&ids(new.iter().map(|(id,)| *id)), now).await?;
        Ok(new.len() as u64)
    }

    /// [`Tx::hold_campaigns`] for whoever goes on to change letters and cases of these threads: who pauses or stops a
    /// campaign locks it first, so everybody does, and nobody waits for each other.
    pub async fn hold_campaigns_of(&mut self, threads: &[i64]) -> Result<(), StoreError> {
        self.hold_campaigns(&ids(threads.iter().copied())).await
    }

    /// Nobody pauses or stops the campaigns of these threads before this transaction ends: what is queued in it is seen
    /// by whoever does, or stands still with the campaign.
    pub(super) async fn hold_campaigns(&mut self, threads: &[One]) -> Result<(), StoreError> {
        self.lock(
            "SELECT p.id FROM campaigns p WHERE p.id IN (SELECT t.campaign_id FROM threads t JOIN json_to_recordset($1::json) AS d (id bigint) ON d.id = t.id) ORDER BY p.id FOR SHARE",
            threads,
        )
        .await
    }

    /// Waits for whoever else is deciding about these deliveries, and keeps others off until this transaction ends. What is
    /// read afterwards is what they left: PostgreSQL looks at a locked row anew, but not at the attempts that came with it.
    pub(super) async fn lock_deliveries(&mut self, deliveries: &[One]) -> Result<(), StoreError> {
        self.lock(
            "SELECT x.id FROM deliveries x WHERE x.id IN (SELECT id FROM json_to_recordset($1::json) AS d (id bigint)) ORDER BY x.id FOR UPDATE",
            deliveries,
        )
        .await
    }

    /// Locks what `sql` finds by these numbers. SQLite has one writer anyway.
    async fn lock(&mut self, sql: &'static str, numbers: &[One]) -> Result<(), StoreError> {
        match self {
            Tx::Sqlite(_) => {}
            Tx::Postgres(_) if numbers.is_empty() => {}
            Tx::Postgres(tx) => {
                sqlx::query(sql)
                    .bind(serde_json::to_string(numbers)?)
                    .execute(&mut **tx)
                    .await?;
            }
        }
        Ok(())
    }

    /// How often `kind` was said in these threads so far.
    pub async fn said(
        &mut self,
        threads: &[i64],
        kind: NoticeKind,
    ) -> Result<std::collections::HashMap<i64, i64>, StoreError> {
        let rows: Vec<(i64, i64)> = on_set!(
            self, &ids(threads.iter().copied()), [id bigint],
            "SELECT d.id, MAX(x.seq) FROM d JOIN deliveries x ON x.thread_id = d.id AND x.kind = $2 GROUP BY d.id",
            sqlx::query_as::<_, (i64, i64)>, |query, db| query.bind(kind.word()).fetch_all(db).await
        )?;
        Ok(rows.into_iter().collect())
    }

    /// The next moment at which something is due, if anything is queued.
    pub async fn next_due(&mut self) -> Result<Option<Moment>, StoreError> {
        let (at,): (Option<i64>,) = on!(self, db => sqlx::query_as("SELECT MIN(due_at) FROM deliveries WHERE state = 'queued' AND channel IN ('mail', 'mail.2')").fetch_one(db).await)?;
        Ok(at.map(Moment::from_micros))
    }

    /// How many deliveries are due.
    pub async fn due_count(&mut self, now: Moment) -> Result<u64, StoreError> {
        let (count,): (i64,) = on!(self, db => sqlx::query_as("SELECT COUNT(*) FROM deliveries WHERE state = 'queued' AND due_at <= $1 AND channel IN ('mail', 'mail.2')").bind(now.micros()).fetch_one(db).await)?;
        Ok(count.unsigned_abs())
    }

    /// How many deliveries are in each state.
    pub async fn delivery_states(&mut self) -> Result<Vec<(String, i64)>, StoreError> {
        Ok(
            on!(self, db => sqlx::query_as("SELECT state, COUNT(*) FROM deliveries GROUP BY state ORDER BY state").fetch_all(db).await)?,
        )
    }
}
