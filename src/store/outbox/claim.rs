//! Claiming and beginning: a lease on what is due, and an attempt written down before its first byte goes out.
//!
//! A lease says who prepares a letter; an open attempt says that a byte of it may be out. So a crash leaves in doubt only
//! what was begun, however many are leased.

use std::collections::HashMap;

use serde::Serialize;

use super::super::{StoreError, Tx, expect_one, ids, on, on_set, strange};
use super::TemplateId;
use crate::domain::finding::Category;
use crate::domain::notice::NoticeKind;
use crate::domain::{AttemptId, CampaignId, DeliveryId, EmailAddress, Moment};

/// A delivery with all that its letter is made from.
#[derive(Clone, PartialEq, Debug)]
pub struct Delivery {
    /// Its number.
    pub id: DeliveryId,
    /// In which conversation.
    pub thread: i64,
    /// Of which campaign.
    pub campaign: CampaignId,
    /// What it says.
    pub kind: NoticeKind,
    /// The severest of its thread's cases.
    pub category: Category,
    /// 1, unless the kind is said again in its thread.
    pub seq: i64,
    /// `mail`, or `mail.2`.
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
    /// How many attempts have ended.
    pub attempts: i64,
    /// When the first of them was made.
    pub first_attempt_at: Option<Moment>,
    /// Whether it was in doubt before.
    pub possible_duplicate: bool,
    /// The person's IANA zone.
    pub zone: String,
    /// The letters of the thread, in their order.
    pub message_ids: String,
}

#[derive(sqlx::FromRow)]
struct DeliveryRow {
    id: i64,
    thread_id: i64,
    campaign_id: i64,
    kind: String,
    category: String,
    seq: i64,
    channel: String,
    recipient: String,
    template_id: i64,
    facts: String,
    letter_hash: String,
    queued_at: i64,
    attempts: i64,
    first_attempt_at: Option<i64>,
    possible_duplicate: bool,
    zone: String,
    message_ids: String,
}

impl TryFrom<DeliveryRow> for Delivery {
    type Error = StoreError;

    fn try_from(row: DeliveryRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: DeliveryId(row.id),
            thread: row.thread_id,
            campaign: CampaignId(row.campaign_id),
            kind: NoticeKind::from_word(&row.kind)
                .ok_or_else(|| strange("deliveries", "kind", row.id))?,
            category: Category::from_word(&row.category)
                .ok_or_else(|| strange("threads", "category", row.thread_id))?,
            seq: row.seq,
            channel: row.channel,
            recipient: EmailAddress::parse(&row.recipient)
                .map_err(|_| strange("deliveries", "recipient", row.id))?,
            template: TemplateId(row.template_id),
            facts: row.facts,
            letter_hash: row.letter_hash,
            queued_at: Moment::from_micros(row.queued_at),
            attempts: row.attempts,
            first_attempt_at: row.first_attempt_at.map(Moment::from_micros),
            possible_duplicate: row.possible_duplicate,
            zone: row.zone,
            message_ids: row.message_ids,
        })
    }
}

/// An attempt that is written down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Begun {
    /// About which delivery.
    pub delivery: DeliveryId,
    /// Its number.
    pub attempt: AttemptId,
    /// When it was written down.
    pub started_at: Moment,
}

/// A delivery of ours of which no byte has gone out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GivenBack {
    /// Which.
    pub delivery: DeliveryId,
    /// In which conversation it stands.
    pub thread: i64,
    /// The attempt, if one was written down.
    pub attempt: Option<AttemptId>,
    /// Not before; as before if none.
    pub due_at: Option<Moment>,
}

impl Tx {
    /// Leases up to `limit` letters by mail that are due, severest first. Texts that are held wait.
    pub async fn claim(
        &mut self,
        limit: usize,
        by: &str,
        lease_until: Moment,
        now: Moment,
    ) -> Result<Vec<Delivery>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        // The one statement that differs on purpose: PostgreSQL's workers step around each other's rows.
        macro_rules! claim {
            ($lock:literal) => {
                concat!(
                    "UPDATE deliveries SET state = 'leased', lease_until = $3, lease_by = $2
                     WHERE id IN (SELECT id FROM deliveries WHERE state = 'queued' AND due_at <= $1 AND channel IN ('mail', 'mail.2')
                         AND template_id NOT IN (SELECT template_id FROM holds WHERE template_id IS NOT NULL AND released_at IS NULL)
                         ORDER BY priority, due_at, id LIMIT $4 ", $lock, ") RETURNING id"
                )
            };
        }
        let claimed: Vec<(i64,)> = match self {
            Tx::Sqlite(tx) => {
                sqlx::query_as(claim!(""))
                    .bind(now.micros())
                    .bind(by)
                    .bind(lease_until.micros())
                    .bind(limit)
                    .fetch_all(&mut **tx)
                    .await?
            }
            Tx::Postgres(tx) => {
                sqlx::query_as(claim!("FOR UPDATE SKIP LOCKED"))
                    .bind(now.micros())
                    .bind(by)
                    .bind(lease_until.micros())
                    .bind(limit)
                    .fetch_all(&mut **tx)
                    .await?
            }
        };
        if claimed.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<DeliveryRow> = on_set!(
            self, &ids(claimed.into_iter().map(|(id,)| id)), [id bigint],
            "SELECT x.id, x.thread_id, x.kind, t.category, x.seq, x.channel, x.recipient, x.template_id, x.facts, x.letter_hash, x.queued_at, x.attempts, x.first_attempt_at, x.possible_duplicate, t.zone, t.message_ids, t.campaign_id
             FROM d CROSS JOIN deliveries x CROSS JOIN threads t WHERE x.id = d.id AND t.id = x.thread_id ORDER BY x.priority, x.due_at, x.id",
            sqlx::query_as::<_, DeliveryRow>, |query, db| query.fetch_all(db).await
        )?;
        rows.into_iter().map(Delivery::try_from).collect()
    }

    /// Writes down that these letters go out now: after the commit, and not before, may a byte of them do so. Looks once
    /// more whether each still may: what is not in the answer was closed, exempted, paused, stopped or held meanwhile, or is
    /// ours no more, and has to be given back.
    pub async fn begin_attempts(
        &mut self,
        deliveries: &[(DeliveryId, i64)],
        by: &str,
        now: Moment,
    ) -> Result<Vec<Begun>, StoreError> {
        if deliveries.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = ids(deliveries.iter().map(|(id, _)| id.0));
        self.hold_campaigns(&ids(deliveries.iter().map(|(_, thread)| *thread)))
            .await?;
        self.lock_deliveries(&wanted).await?;
        let begun: Vec<(i64, i64)> = on_set!(
            self, &wanted, [id bigint],
            "INSERT INTO attempts (delivery_id, started_at) SELECT x.id, $2 FROM d CROSS JOIN deliveries x CROSS JOIN threads t CROSS JOIN campaigns p
             WHERE x.id = d.id AND x.state = 'leased' AND x.lease_by = $3 AND t.id = x.thread_id AND p.id = t.campaign_id
                 AND (x.kind = 'notice.done' OR p.state NOT IN ('paused', 'stopped') AND EXISTS (SELECT 1 FROM cases c WHERE c.thread_id = t.id AND c.state <> 'closed' AND COALESCE(c.exempt_until, 0) <= $2))
                 AND NOT (x.kind LIKE 'escalation.%' AND EXISTS (SELECT 1 FROM escalations e JOIN cases c ON c.id = e.case_id WHERE e.delivery_id = x.id AND (c.state <> 'notified' OR COALESCE(c.exempt_until, 0) > $2)))
                 AND x.template_id NOT IN (SELECT template_id FROM holds WHERE template_id IS NOT NULL AND released_at IS NULL)
             RETURNING delivery_id, id",
            sqlx::query_as::<_, (i64, i64)>, |query, db| query.bind(now.micros()).bind(by).fetch_all(db).await
        )?;
        let attempts: HashMap<i64, i64> = begun.into_iter().collect();
        Ok(deliveries
            .iter()
            .filter_map(|(id, _)| {
                Some(Begun {
                    delivery: *id,
                    attempt: AttemptId(*attempts.get(&id.0)?),
                    started_at: now,
                })
            })
            .collect())
    }

    /// Gives back what is ours and of which no byte has gone out. What is ours no more stays as it is.
    pub async fn give_back(
        &mut self,
        given: &[GivenBack],
        by: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        if given.is_empty() {
            return Ok(());
        }
        #[derive(Serialize)]
        struct Set {
            id: i64,
            attempt: Option<i64>,
            due_at: Option<i64>,
        }
        let sets: Vec<Set> = given
            .iter()
            .map(|one| Set {
                id: one.delivery.0,
                attempt: one.attempt.map(|id| id.0),
                due_at: one.due_at.map(Moment::micros),
            })
            .collect();
        self.hold_campaigns(&ids(given.iter().map(|one| one.thread)))
            .await?;
        let back: Vec<(i64,)> = on_set!(
            self, &sets, [id bigint, attempt bigint, due_at bigint],
            "UPDATE deliveries SET state = 'queued', due_at = COALESCE(d.due_at, deliveries.due_at), lease_until = NULL, lease_by = NULL
             FROM d WHERE deliveries.id = d.id AND deliveries.state = 'leased' AND deliveries.lease_by = $2
                 AND (d.attempt IS NULL OR EXISTS (SELECT 1 FROM attempts a WHERE a.id = d.attempt AND a.ended_at IS NULL)) RETURNING deliveries.id",
            sqlx::query_as::<_, (i64,)>, |query, db| query.bind(by).fetch_all(db).await
        )?;
        on_set!(
            self, &sets, [attempt bigint],
            "UPDATE attempts SET ended_at = $2, outcome = 'not_started' FROM d WHERE attempts.id = d.attempt AND attempts.ended_at IS NULL",
            sqlx::query, |query, db| query.bind(now.micros()).execute(db).await.map(|_| ())
        )?;
        self.settle(&ids(back.into_iter().map(|(id,)| id)), now)
            .await
    }

    /// Stops a delivery of ours of which no byte has gone out: its letter cannot be written. The story says why.
    pub async fn stop_delivery(
        &mut self,
        id: DeliveryId,
        by: &str,
        why: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let changed = on!(self, db => sqlx::query("UPDATE deliveries SET state = 'stopped', ended_at = $2, lease_until = NULL, lease_by = NULL WHERE id = $1 AND state = 'leased' AND lease_by = $3")
            .bind(id.0).bind(now.micros()).bind(by).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "deliveries", id.0)?;
        on!(self, db => sqlx::query("INSERT INTO attempts (delivery_id, started_at, ended_at, outcome, reply) VALUES ($1, $2, $2, 'not_started', $3)")
            .bind(id.0).bind(now.micros()).bind(why).execute(db).await.map(|_| ()))?;
        Ok(())
    }
}
