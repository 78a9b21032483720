//! The outbox: what is queued in the deciding transaction, claimed with a lease, attempted, and recorded.

use serde::Serialize;

use super::{StoreError, TaskKind, Tx, expect_one, ids, on, on_set, strange};
use crate::domain::delivery::{Outcome, Stage};
use crate::domain::notice::NoticeKind;
use crate::domain::{AttemptId, CampaignId, CaseId, DeliveryId, EmailAddress, Moment};

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

/// A delivery that is ours to attempt.
#[derive(Clone, PartialEq, Debug)]
pub struct Claim {
    /// What is to be delivered.
    pub delivery: Delivery,
    /// The attempt that is written down already.
    pub attempt: AttemptId,
}

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
    /// How many attempts there were, this one included.
    pub attempts: i64,
    /// When the first was made.
    pub first_attempt_at: Moment,
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
    seq: i64,
    channel: String,
    recipient: String,
    template_id: i64,
    facts: String,
    letter_hash: String,
    queued_at: i64,
    attempts: i64,
    first_attempt_at: i64,
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
            seq: row.seq,
            channel: row.channel,
            recipient: EmailAddress::parse(&row.recipient)
                .map_err(|_| strange("deliveries", "recipient", row.id))?,
            template: TemplateId(row.template_id),
            facts: row.facts,
            letter_hash: row.letter_hash,
            queued_at: Moment::from_micros(row.queued_at),
            attempts: row.attempts,
            first_attempt_at: Moment::from_micros(row.first_attempt_at),
            possible_duplicate: row.possible_duplicate,
            zone: row.zone,
            message_ids: row.message_ids,
        })
    }
}

/// How an attempt ended, and what follows for its delivery.
#[derive(Clone, PartialEq, Debug)]
pub struct Finished {
    /// Which delivery.
    pub delivery: DeliveryId,
    /// In which conversation it stands.
    pub thread: i64,
    /// What it says.
    pub kind: NoticeKind,
    /// Which attempt.
    pub attempt: AttemptId,
    /// When it ended.
    pub ended_at: Moment,
    /// What it means.
    pub outcome: Outcome,
    /// How far it came.
    pub stage: Stage,
    /// The relay's code.
    pub code: Option<u16>,
    /// The relay's words, addresses masked.
    pub reply: Option<String>,
    /// What follows.
    pub then: Undelivered,
}

/// What follows for a delivery after an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Undelivered {
    /// Nothing: it is accepted.
    No,
    /// It comes back at this moment.
    Again(Moment),
    /// This address does not work.
    Refused,
    /// Time is up.
    Expired,
    /// A human being decides.
    Stopped,
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

/// What was found in flight after a crash.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct Recovered {
    /// In doubt: they go out once more with the same bytes, marked for ever.
    pub in_doubt: u64,
    /// In doubt for the second time: a human being decides.
    pub stopped: u64,
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

    /// Nobody pauses or stops the campaigns of these threads before this transaction ends: what is queued in it is seen
    /// by whoever does, or stands still with the campaign. SQLite has one writer anyway.
    async fn hold_campaigns(&mut self, threads: &[super::One]) -> Result<(), StoreError> {
        match self {
            Tx::Sqlite(_) => {}
            Tx::Postgres(_) if threads.is_empty() => {}
            Tx::Postgres(tx) => {
                sqlx::query(
                    "SELECT p.id FROM campaigns p WHERE p.id IN (SELECT t.campaign_id FROM threads t JOIN json_to_recordset($1::json) AS d (id bigint) ON d.id = t.id) ORDER BY p.id FOR SHARE",
                ).bind(serde_json::to_string(threads)?).execute(&mut **tx).await?;
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

    /// Takes up to `limit` deliveries that are due, severest first, and writes their attempts: after the commit, and not
    /// before, may a byte go out.
    pub async fn claim(
        &mut self,
        limit: usize,
        by: &str,
        lease_until: Moment,
        now: Moment,
    ) -> Result<Vec<Claim>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        // The one statement that differs on purpose: PostgreSQL's workers step around each other's rows.
        macro_rules! claim {
            ($lock:literal) => {
                concat!(
                    "UPDATE deliveries SET state = 'leased', lease_until = $3, lease_by = $2, attempts = attempts + 1, first_attempt_at = COALESCE(first_attempt_at, $1)
                     WHERE id IN (SELECT id FROM deliveries WHERE state = 'queued' AND due_at <= $1 ORDER BY priority, due_at, id LIMIT $4 ", $lock, ") RETURNING id"
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
        let claimed = ids(claimed.into_iter().map(|(id,)| id));
        let attempts: Vec<(i64, i64)> = on_set!(
            self, &claimed, [id bigint],
            "INSERT INTO attempts (delivery_id, started_at) SELECT id, $2 FROM d RETURNING delivery_id, id",
            sqlx::query_as::<_, (i64, i64)>, |query, db| query.bind(now.micros()).fetch_all(db).await
        )?;
        let attempts: std::collections::HashMap<i64, i64> = attempts.into_iter().collect();
        let rows: Vec<DeliveryRow> = on_set!(
            self, &claimed, [id bigint],
            "SELECT x.id, x.thread_id, x.kind, x.seq, x.channel, x.recipient, x.template_id, x.facts, x.letter_hash, x.queued_at, x.attempts, x.first_attempt_at, x.possible_duplicate, t.zone, t.message_ids, t.campaign_id
             FROM d JOIN deliveries x ON x.id = d.id JOIN threads t ON t.id = x.thread_id ORDER BY x.priority, x.due_at, x.id",
            sqlx::query_as::<_, DeliveryRow>, |query, db| query.fetch_all(db).await
        )?;
        rows.into_iter()
            .map(|row| {
                let attempt = attempts
                    .get(&row.id)
                    .copied()
                    .ok_or_else(|| strange("attempts", "delivery_id", row.id))?;
                Ok(Claim {
                    delivery: Delivery::try_from(row)?,
                    attempt: AttemptId(attempt),
                })
            })
            .collect()
    }

    /// Records how attempts ended. Whoever was told for the first time becomes notified; the ledger says so.
    pub async fn record(&mut self, finished: &[Finished], now: Moment) -> Result<(), StoreError> {
        if finished.is_empty() {
            return Ok(());
        }
        #[derive(Serialize)]
        struct Set<'a> {
            id: i64,
            attempt: i64,
            state: &'static str,
            due_at: Option<i64>,
            ended_at: i64,
            outcome: &'static str,
            stage: &'static str,
            code: Option<u16>,
            reply: Option<&'a str>,
            in_doubt: bool,
        }
        let sets: Vec<Set> = finished
            .iter()
            .map(|one| {
                let (state, due_at) = match one.then {
                    Undelivered::No => ("accepted", None),
                    Undelivered::Again(at) => ("queued", Some(at.micros())),
                    Undelivered::Refused => ("refused", None),
                    Undelivered::Expired => ("expired", None),
                    Undelivered::Stopped => ("stopped", None),
                };
                Set {
                    id: one.delivery.0,
                    attempt: one.attempt.0,
                    state,
                    due_at,
                    ended_at: one.ended_at.micros(),
                    outcome: one.outcome.word(),
                    stage: one.stage.word(),
                    code: one.code,
                    reply: one.reply.as_deref(),
                    in_doubt: one.outcome == Outcome::InDoubt,
                }
            })
            .collect();
        let back = finished.iter().filter(|one| {
            matches!(one.then, Undelivered::Again(_)) && one.kind != NoticeKind::Done
        });
        self.hold_campaigns(&ids(back.map(|one| one.thread)))
            .await?;
        let changed = on_set!(
            self, &sets, [id bigint, state text, due_at bigint, ended_at bigint, in_doubt boolean],
            "UPDATE deliveries SET state = d.state, due_at = COALESCE(d.due_at, deliveries.due_at), lease_until = NULL, lease_by = NULL,
                 ended_at = CASE WHEN d.state = 'queued' THEN NULL ELSE d.ended_at END, possible_duplicate = (possible_duplicate OR d.in_doubt)
             FROM d WHERE deliveries.id = d.id AND deliveries.state = 'leased'",
            sqlx::query, |query, db| query.execute(db).await.map(|done| done.rows_affected())
        )?;
        expect_all(changed, finished)?;
        // An attempt that was taken for dead has ended: its lease is another's, or nobody's.
        let changed = on_set!(
            self, &sets, [attempt bigint, ended_at bigint, outcome text, stage text, code bigint, reply text],
            "UPDATE attempts SET ended_at = d.ended_at, outcome = d.outcome, stage = d.stage, code = d.code, reply = d.reply FROM d WHERE attempts.id = d.attempt AND attempts.ended_at IS NULL",
            sqlx::query, |query, db| query.execute(db).await.map(|done| done.rows_affected())
        )?;
        expect_all(changed, finished)?;
        self.note_told(finished, now).await?;
        let again = finished
            .iter()
            .filter(|one| matches!(one.then, Undelivered::Again(_)))
            .map(|one| one.delivery.0);
        self.settle(&ids(again), now).await
    }

    /// Decides about deliveries that are queued now, or came back to be sent again, what would have been decided had they
    /// been queued all along: they are dropped if nothing is left to say, and stand still with their campaign.
    async fn settle(&mut self, again: &[super::One], now: Moment) -> Result<(), StoreError> {
        if again.is_empty() {
            return Ok(());
        }
        on_set!(
            self, again, [id bigint],
            "UPDATE deliveries SET state = 'dropped', ended_at = $2 FROM d WHERE deliveries.id = d.id AND deliveries.state = 'queued' AND deliveries.kind <> 'notice.done'
                 AND NOT EXISTS (SELECT 1 FROM cases c WHERE c.thread_id = deliveries.thread_id AND c.state <> 'closed')",
            sqlx::query, |query, db| query.bind(now.micros()).execute(db).await.map(|_| ())
        )?;
        let stopped: Vec<(i64, String)> = on_set!(
            self, again, [id bigint],
            "UPDATE deliveries SET state = p.state, ended_at = CASE WHEN p.state = 'stopped' THEN $2 END FROM d, threads t, campaigns p
             WHERE deliveries.id = d.id AND t.id = deliveries.thread_id AND p.id = t.campaign_id
                 AND deliveries.state = 'queued' AND deliveries.kind <> 'notice.done' AND p.state IN ('paused', 'stopped') RETURNING deliveries.thread_id, deliveries.state",
            sqlx::query_as::<_, (i64, String)>, |query, db| query.bind(now.micros()).fetch_all(db).await
        )?;
        let threads: Vec<i64> = stopped
            .into_iter()
            .filter(|(_, state)| state == "stopped")
            .map(|(thread, _)| thread)
            .collect();
        self.free_untold(&threads, now).await
    }

    pub(super) async fn note_told(
        &mut self,
        finished: &[Finished],
        now: Moment,
    ) -> Result<(), StoreError> {
        #[derive(Serialize)]
        struct Told {
            id: i64,
            ended_at: i64,
            act: &'static str,
            detail: String,
        }
        let told: Vec<Told> = finished
            .iter()
            .filter(|one| one.then == Undelivered::No && one.kind != NoticeKind::Done)
            .map(|one| Told {
                id: one.thread,
                ended_at: one.ended_at.micros(),
                act: if one.kind.is_first() {
                    "case.notified"
                } else {
                    "case.reminded"
                },
                detail: format!(
                    "{{\"kind\":\"{}\",\"delivery\":{}}}",
                    one.kind, one.delivery
                ),
            })
            .collect();
        if told.is_empty() {
            return Ok(());
        }
        on_set!(
            self, &told, [id bigint, ended_at bigint, act text, detail text],
            "INSERT INTO ledger (at, actor, act, case_id, effective_at, detail) SELECT $2, 'bell', d.act, c.id, d.ended_at, d.detail FROM d JOIN cases c ON c.thread_id = d.id AND c.state <> 'closed'",
            sqlx::query, |query, db| query.bind(now.micros()).execute(db).await.map(|_| ())
        )?;
        on_set!(
            self, &told, [id bigint, ended_at bigint],
            "UPDATE cases SET state = 'notified', notice_at = COALESCE(notice_at, f.ended_at), not_reached = NULL FROM (SELECT id, MIN(ended_at) AS ended_at FROM d GROUP BY id) f
             WHERE cases.thread_id = f.id AND cases.state = 'open'",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        Ok(())
    }

    /// Keeps the leases of what is in flight from running out while its relay is slow.
    pub async fn extend_leases(
        &mut self,
        deliveries: &[DeliveryId],
        lease_until: Moment,
    ) -> Result<(), StoreError> {
        on_set!(
            self, &ids(deliveries.iter().map(|id| id.0)), [id bigint],
            "UPDATE deliveries SET lease_until = $2 FROM d WHERE deliveries.id = d.id AND deliveries.state = 'leased'",
            sqlx::query, |query, db| query.bind(lease_until.micros()).execute(db).await.map(|_| ())
        )?;
        Ok(())
    }

    /// Stops a claimed delivery of which no byte has gone out: its letter cannot be written.
    pub async fn stop_delivery(
        &mut self,
        claim: &Claim,
        why: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let id = claim.delivery.id.0;
        let changed = on!(self, db => sqlx::query("UPDATE deliveries SET state = 'stopped', ended_at = $2, lease_until = NULL, lease_by = NULL WHERE id = $1 AND state = 'leased'")
            .bind(id).bind(now.micros()).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "deliveries", id)?;
        let changed = on!(self, db => sqlx::query("UPDATE attempts SET ended_at = $2, outcome = 'not_started', reply = $3 WHERE id = $1 AND ended_at IS NULL")
            .bind(claim.attempt.0).bind(now.micros()).bind(why).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "attempts", claim.attempt.0)
    }

    /// Gives back claims of ours of which no byte has gone out. What is ours no more stays as it is.
    pub async fn unclaim(
        &mut self,
        claims: &[Claim],
        due_at: Moment,
        now: Moment,
    ) -> Result<(), StoreError> {
        if claims.is_empty() {
            return Ok(());
        }
        #[derive(Serialize)]
        struct Set {
            id: i64,
            attempt: i64,
        }
        let sets: Vec<Set> = claims
            .iter()
            .map(|claim| Set {
                id: claim.delivery.id.0,
                attempt: claim.attempt.0,
            })
            .collect();
        self.hold_campaigns(&ids(claims.iter().map(|claim| claim.delivery.thread)))
            .await?;
        let back: Vec<(i64,)> = on_set!(
            self, &sets, [id bigint, attempt bigint],
            "UPDATE deliveries SET state = 'queued', due_at = $2, lease_until = NULL, lease_by = NULL, attempts = attempts - 1, first_attempt_at = CASE WHEN attempts = 1 THEN NULL ELSE first_attempt_at END
             FROM d CROSS JOIN attempts a WHERE a.id = d.attempt AND a.ended_at IS NULL AND deliveries.id = d.id AND deliveries.state = 'leased' RETURNING deliveries.id",
            sqlx::query_as::<_, (i64,)>, |query, db| query.bind(due_at.micros()).fetch_all(db).await
        )?;
        on_set!(
            self, &sets, [attempt bigint],
            "UPDATE attempts SET ended_at = $2, outcome = 'not_started' FROM d WHERE attempts.id = d.attempt AND attempts.ended_at IS NULL",
            sqlx::query, |query, db| query.bind(now.micros()).execute(db).await.map(|_| ())
        )?;
        self.settle(&ids(back.into_iter().map(|(id,)| id)), now)
            .await
    }

    /// Finds what a dead worker left in flight: its lease ran out. It is in
    /// doubt: sent once more at `again_at` with the same bytes and marked for ever; in doubt twice, a human decides.
    pub async fn recover(
        &mut self,
        again_at: Moment,
        now: Moment,
    ) -> Result<Recovered, StoreError> {
        let found: Vec<(i64, i64)> = on!(self, db => sqlx::query_as("SELECT id, thread_id FROM deliveries WHERE state = 'leased' AND lease_until < $1 ORDER BY lease_until, id LIMIT 10000")
            .bind(now.micros()).fetch_all(db).await)?;
        if found.is_empty() {
            return Ok(Recovered::default());
        }
        self.hold_campaigns(&ids(found.iter().map(|(_, thread)| *thread)))
            .await?;
        // Looked at once more: its worker may have come back to life, or another of us been faster.
        let taken: Vec<(i64, String)> = on_set!(
            self, &ids(found.iter().map(|(id, _)| *id)), [id bigint],
            "UPDATE deliveries SET state = CASE WHEN possible_duplicate THEN 'stopped' ELSE 'queued' END, ended_at = CASE WHEN possible_duplicate THEN $4 END, due_at = $2,
                 lease_until = NULL, lease_by = NULL, possible_duplicate = $3
             FROM d WHERE deliveries.id = d.id AND deliveries.state = 'leased' AND deliveries.lease_until < $4 RETURNING deliveries.id, deliveries.state",
            sqlx::query_as::<_, (i64, String)>, |query, db| query.bind(again_at.micros()).bind(true).bind(now.micros()).fetch_all(db).await
        )?;
        if taken.is_empty() {
            return Ok(Recovered::default());
        }
        let all = ids(taken.iter().map(|(id, _)| *id));
        on_set!(
            self, &all, [id bigint],
            "UPDATE attempts SET ended_at = $2, outcome = 'in_doubt' FROM d WHERE attempts.delivery_id = d.id AND attempts.ended_at IS NULL",
            sqlx::query, |query, db| query.bind(now.micros()).execute(db).await.map(|_| ())
        )?;
        self.settle(&all, now).await?;
        let stopped: Vec<i64> = taken
            .iter()
            .filter(|(_, state)| state == "stopped")
            .map(|(id, _)| *id)
            .collect();
        self.ask_about(&ids(stopped.iter().copied()), now).await?;
        let recovered = Recovered {
            in_doubt: (taken.len() - stopped.len()) as u64,
            stopped: stopped.len() as u64,
        };
        let detail = serde_json::to_string(&recovered)?;
        self.note(now, "bell", "deliveries.in_doubt", None, Some(&detail))
            .await?;
        Ok(recovered)
    }

    /// Asks a human being about deliveries that are in doubt for the second time, unless their people are told already.
    async fn ask_about(&mut self, stopped: &[super::One], now: Moment) -> Result<(), StoreError> {
        let cases: Vec<(i64,)> = on_set!(
            self, stopped, [id bigint],
            "SELECT DISTINCT c.id FROM d JOIN deliveries x ON x.id = d.id AND x.kind <> 'notice.done' JOIN cases c ON c.thread_id = x.thread_id AND c.state = 'open' ORDER BY c.id",
            sqlx::query_as::<_, (i64,)>, |query, db| query.fetch_all(db).await
        )?;
        let tasks: Vec<_> = cases
            .into_iter()
            .map(|(case,)| (CaseId(case), TaskKind::Decide, "in_doubt", None))
            .collect();
        self.open_tasks(&tasks, now).await?;
        Ok(())
    }

    /// The next moment at which something is due, if anything is queued.
    pub async fn next_due(&mut self) -> Result<Option<Moment>, StoreError> {
        let (at,): (Option<i64>,) = on!(self, db => sqlx::query_as("SELECT MIN(due_at) FROM deliveries WHERE state = 'queued'").fetch_one(db).await)?;
        Ok(at.map(Moment::from_micros))
    }

    /// Whether a lease has run out.
    pub async fn has_expired_leases(&mut self, now: Moment) -> Result<bool, StoreError> {
        let row: Option<(i64,)> = on!(self, db => sqlx::query_as("SELECT id FROM deliveries WHERE state = 'leased' AND lease_until < $1 LIMIT 1").bind(now.micros()).fetch_optional(db).await)?;
        Ok(row.is_some())
    }

    /// How many deliveries are due.
    pub async fn due_count(&mut self, now: Moment) -> Result<u64, StoreError> {
        let (count,): (i64,) = on!(self, db => sqlx::query_as("SELECT COUNT(*) FROM deliveries WHERE state = 'queued' AND due_at <= $1").bind(now.micros()).fetch_one(db).await)?;
        Ok(count.unsigned_abs())
    }

    /// How many deliveries are in each state.
    pub async fn delivery_states(&mut self) -> Result<Vec<(String, i64)>, StoreError> {
        Ok(
            on!(self, db => sqlx::query_as("SELECT state, COUNT(*) FROM deliveries GROUP BY state ORDER BY state").fetch_all(db).await)?,
        )
    }
}

/// A batch of records stands or falls as a whole.
fn expect_all(changed: u64, finished: &[Finished]) -> Result<(), StoreError> {
    if changed == finished.len() as u64 {
        return Ok(());
    }
    Err(StoreError::Lost {
        table: "deliveries",
        id: finished.first().map_or(0, |one| one.delivery.0),
    })
}
