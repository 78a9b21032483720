//! Bounces: what came back, each mail once, and what it does to the letter that it is about.

use serde::Serialize;

use super::ledger::Act;
use super::outbox::{Finished, Undelivered};
use super::{StoreError, TaskKind, Tx, ids, on, on_set, strange};
use crate::domain::delivery::{
    Cause, Effect, Outcome, Returned, Stage, Verdict, Whereabouts, effect,
};
use crate::domain::notice::NoticeKind;
use crate::domain::{AttemptId, CaseId, DeliveryId, Moment};

/// A report about one of our deliveries.
#[derive(Clone, PartialEq, Debug)]
pub struct Bounce {
    /// Which.
    pub delivery: DeliveryId,
    /// What it says of the letter.
    pub verdict: Verdict,
    /// Enhanced code.
    pub status: Option<String>,
    /// The other side's words, addresses masked.
    pub reply: Option<String>,
    /// Why the person was not reached, for whoever reaches them another way.
    pub why: &'static str,
}

/// What a report did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Bounced {
    /// The letter did not arrive.
    pub taken_back: bool,
    /// It was in doubt, and is no more.
    pub settled: bool,
    /// Cases whose person no letter and no human being has reached.
    pub not_reached: u64,
}

/// A delivery as a report finds it.
#[derive(sqlx::FromRow)]
struct Found {
    thread_id: i64,
    kind: String,
    state: String,
    possible_duplicate: bool,
}

impl Found {
    fn whereabouts(&self) -> Whereabouts {
        match (self.state.as_str(), self.possible_duplicate) {
            ("accepted", _) => Whereabouts::Taken,
            // While it is leased its second copy may be under way: how that ends is recorded in a moment.
            ("queued" | "paused" | "stopped", true) => Whereabouts::InDoubt,
            _ => Whereabouts::Elsewhere,
        }
    }
}

/// A case of the letter's thread that is not closed.
#[derive(sqlx::FromRow)]
struct Touched {
    id: i64,
    state: String,
    notice_at: Option<i64>,
}

impl Tx {
    /// Writes down that a mail came back; false if it was known already, by its digest. `delivery` must exist.
    pub async fn keep_returned(
        &mut self,
        digest: &str,
        kind: Returned,
        delivery: Option<DeliveryId>,
        now: Moment,
    ) -> Result<bool, StoreError> {
        let new = on!(self, db => sqlx::query("INSERT INTO returned_mails (digest, read_at, kind, delivery_id) VALUES ($1, $2, $3, $4) ON CONFLICT (digest) DO NOTHING")
            .bind(digest).bind(now.micros()).bind(kind.word()).bind(delivery.map(|id| id.0)).execute(db).await.map(|done| done.rows_affected()))?;
        Ok(new == 1)
    }

    /// How many mails of each kind had come back by `as_of`; kinds of which there were none are left out.
    pub async fn returned_as_of(
        &mut self,
        as_of: Moment,
    ) -> Result<Vec<(Returned, u64)>, StoreError> {
        let rows: Vec<(String, i64)> = on!(self, db => sqlx::query_as("SELECT kind, COUNT(*) FROM returned_mails WHERE read_at <= $1 GROUP BY kind ORDER BY kind")
            .bind(as_of.micros()).fetch_all(db).await)?;
        rows.into_iter()
            .map(|(kind, count)| {
                let kind = Returned::from_word(&kind)
                    .ok_or_else(|| strange("returned_mails", "kind", 0))?;
                Ok((kind, count.unsigned_abs()))
            })
            .collect()
    }

    /// Writes down a report and does what it means. A failure takes a letter back, and with it the notice of its cases,
    /// unless another letter of the thread was taken and has not come back, or a human being told the person: then
    /// the notice is theirs. Any report settles a doubt. A deadline never moves, and a closed case does not either.
    ///
    /// A report that is written down twice has its effect once; [`Tx::keep_returned`] knows whether it is the same.
    pub async fn bounce(&mut self, bounce: &Bounce, now: Moment) -> Result<Bounced, StoreError> {
        let id = bounce.delivery.0;
        on!(self, db => sqlx::query("INSERT INTO bounces (delivery_id, received_at, action, status, reply) VALUES ($1, $2, $3, $4, $5)")
            .bind(id).bind(now.micros()).bind(bounce.verdict.word()).bind(bounce.status.as_deref()).bind(bounce.reply.as_deref()).execute(db).await.map(|_| ()))?;
        // Changes nothing, but nobody else moves the row before we are done: the same words on both databases.
        let found: Option<Found> = on!(self, db => sqlx::query_as("UPDATE deliveries SET state = state WHERE id = $1 RETURNING thread_id, kind, state, possible_duplicate")
            .bind(id).fetch_optional(db).await)?;
        let found = found.ok_or(StoreError::Lost {
            table: "deliveries",
            id,
        })?;
        let kind =
            NoticeKind::from_word(&found.kind).ok_or_else(|| strange("deliveries", "kind", id))?;
        let whereabouts = found.whereabouts();
        let effect = effect(bounce.verdict, whereabouts);
        let mut bounced = Bounced {
            taken_back: effect == Effect::Bounces,
            settled: effect != Effect::Nothing && whereabouts == Whereabouts::InDoubt,
            not_reached: 0,
        };
        match effect {
            Effect::Nothing => return Ok(bounced),
            Effect::Accepts => {
                self.accept_by_report(bounce, &found, kind, now).await?;
            }
            Effect::Bounces => {
                on!(self, db => sqlx::query("UPDATE deliveries SET state = 'bounced', ended_at = $2 WHERE id = $1")
                    .bind(id).bind(now.micros()).execute(db).await.map(|_| ()))?;
                if !kind.is_to_holder() {
                    self.manager_by_hand(&[(bounce.delivery, "manager_bounced")], now)
                        .await?;
                } else if kind != NoticeKind::Done {
                    bounced.not_reached = self.take_back(bounce, found.thread_id, now).await?;
                }
            }
        }
        if bounced.settled {
            self.settled_by_report(bounce, &found, effect, now).await?;
        }
        Ok(bounced)
    }

    /// The relay had it after all: it is as if its answer had not been lost.
    async fn accept_by_report(
        &mut self,
        bounce: &Bounce,
        found: &Found,
        kind: NoticeKind,
        now: Moment,
    ) -> Result<(), StoreError> {
        let id = bounce.delivery;
        let (at,): (Option<i64>,) = on!(self, db => sqlx::query_as("SELECT MAX(ended_at) FROM attempts WHERE delivery_id = $1 AND outcome = 'in_doubt'")
            .bind(id.0).fetch_one(db).await)?;
        let taken_at = at.map_or(now, Moment::from_micros);
        on!(self, db => sqlx::query("UPDATE deliveries SET state = 'accepted', ended_at = $2 WHERE id = $1")
            .bind(id.0).bind(taken_at.micros()).execute(db).await.map(|_| ()))?;
        let finished = Finished {
            delivery: id,
            thread: found.thread_id,
            kind,
            attempt: AttemptId(0),
            started_at: taken_at,
            ended_at: taken_at,
            outcome: Outcome::Accepted,
            stage: Stage::Dot,
            cause: Cause::Accepted,
            code: None,
            reply: None,
            then: Undelivered::No,
        };
        self.note_told(&[finished], now).await
    }

    /// Says so in the ledger, and spares a human being the decision.
    async fn settled_by_report(
        &mut self,
        bounce: &Bounce,
        found: &Found,
        effect: Effect,
        now: Moment,
    ) -> Result<(), StoreError> {
        let outcome = match effect {
            Effect::Accepts => "accepted",
            Effect::Bounces | Effect::Nothing => "bounced",
        };
        let detail = format!("{{\"as\":\"{outcome}\",\"report\":\"{}\"}}", bounce.verdict);
        let thing = format!("delivery:{}", bounce.delivery);
        self.note(now, "bell", "delivery.settled", Some(&thing), Some(&detail))
            .await?;
        on!(self, db => sqlx::query(
            "UPDATE tasks SET done_at = $2, done_by = 'bell' WHERE kind = 'decide' AND reason = 'in_doubt' AND done_at IS NULL
                 AND case_id IN (SELECT id FROM cases WHERE thread_id = $1)
                 AND NOT EXISTS (SELECT 1 FROM deliveries x WHERE x.thread_id = $1 AND x.state = 'stopped' AND x.possible_duplicate)",
        ).bind(found.thread_id).bind(now.micros()).execute(db).await.map(|_| ()))?;
        Ok(())
    }

    /// The notice of a thread's cases is what is left of it without the letter that came back. Gives how many are left
    /// with none.
    async fn take_back(
        &mut self,
        bounce: &Bounce,
        thread: i64,
        now: Moment,
    ) -> Result<u64, StoreError> {
        let mut cases: Vec<Touched> = on!(self, db => sqlx::query_as("UPDATE cases SET state = state WHERE thread_id = $1 AND state <> 'closed' RETURNING id, state, notice_at")
            .bind(thread).fetch_all(db).await)?;
        cases.sort_by_key(|case| case.id);
        if cases.is_empty() {
            return Ok(0);
        }
        let (letter,): (Option<i64>,) = on!(self, db => sqlx::query_as("SELECT MIN(ended_at) FROM deliveries WHERE thread_id = $1 AND state = 'accepted' AND kind <> 'notice.done' AND kind NOT LIKE 'escalation.%'")
            .bind(thread).fetch_one(db).await)?;
        let told: Vec<(i64, i64)> = on_set!(
            self, &ids(cases.iter().map(|case| case.id)), [id bigint],
            "SELECT l.case_id, MIN(COALESCE(l.effective_at, l.at)) FROM d JOIN ledger l ON l.case_id = d.id AND l.act = 'case.told' GROUP BY l.case_id",
            sqlx::query_as::<_, (i64, i64)>, |query, db| query.fetch_all(db).await
        )?;
        let told: std::collections::HashMap<i64, i64> = told.into_iter().collect();
        #[derive(Serialize)]
        struct Set {
            id: i64,
            state: &'static str,
            notice_at: Option<i64>,
        }
        let (mut sets, mut acts, mut lost) = (Vec::new(), Vec::new(), Vec::new());
        for case in &cases {
            let left = [letter, told.get(&case.id).copied()];
            let notice_at = left.into_iter().flatten().min();
            if notice_at.is_some() && (notice_at == case.notice_at || case.state == "open") {
                continue;
            }
            let act = |act, effective_at| Act {
                case_id: case.id,
                act,
                effective_at,
                detail: Some(format!("{{\"delivery\":{}}}", bounce.delivery)),
            };
            acts.push(act("case.bounced", None));
            if notice_at.is_some() {
                acts.push(act("case.notified", notice_at));
            } else {
                lost.push((CaseId(case.id), TaskKind::Reach, bounce.why, None));
            }
            sets.push(Set {
                id: case.id,
                state: notice_at.map_or("open", |_| "notified"),
                notice_at,
            });
        }
        on_set!(
            self, &sets, [id bigint, state text, notice_at bigint],
            "UPDATE cases SET state = d.state, notice_at = d.notice_at FROM d WHERE cases.id = d.id",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        self.note_cases(now, "bell", &acts).await?;
        self.open_tasks(&lost, now).await?;
        // The task says why; the case says that it bounced, whatever the reason.
        on_set!(
            self, &ids(lost.iter().map(|(case, ..)| case.0)), [id bigint],
            "UPDATE cases SET not_reached = 'bounced' FROM d WHERE cases.id = d.id",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        Ok(lost.len() as u64)
    }

    /// Whether a delivery exists.
    pub async fn has_delivery(&mut self, id: DeliveryId) -> Result<bool, StoreError> {
        let row: Option<(i64,)> = on!(self, db => sqlx::query_as("SELECT id FROM deliveries WHERE id = $1").bind(id.0).fetch_optional(db).await)?;
        Ok(row.is_some())
    }

    /// Remembers that the server of the bounce mailbox refused us: `until` when it is left alone, and of which settings
    /// that is true. Replaces what was remembered.
    pub async fn bar_inbox(&mut self, settings: &str, until: Moment) -> Result<(), StoreError> {
        let value = format!("{} {settings}", until.micros());
        on!(self, db => sqlx::query("INSERT INTO settled (name, value) VALUES ('inbox_barred', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
            .bind(value).execute(db).await.map(|_| ()))?;
        Ok(())
    }

    /// Until when the bounce mailbox is left alone with these settings, if it is.
    pub async fn inbox_barred(&mut self, settings: &str) -> Result<Option<Moment>, StoreError> {
        let row: Option<(String,)> = on!(self, db => sqlx::query_as("SELECT value FROM settled WHERE name = 'inbox_barred'").fetch_optional(db).await)?;
        let Some((value,)) = row else {
            return Ok(None);
        };
        let (until, of) = value
            .split_once(' ')
            .ok_or_else(|| strange("settled", "value", 0))?;
        let until = until
            .parse()
            .map_err(|_| strange("settled", "value", 0))
            .map(Moment::from_micros)?;
        Ok((of == settings).then_some(until))
    }

    /// Forgets that the server refused us: it has let us in.
    pub async fn admit_inbox(&mut self) -> Result<(), StoreError> {
        on!(self, db => sqlx::query("DELETE FROM settled WHERE name = 'inbox_barred'").execute(db).await.map(|_| ()))?;
        Ok(())
    }
}
