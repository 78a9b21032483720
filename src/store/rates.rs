//! What was sent, minute by minute, and what is still to go: what limits and forecasts are worked out from.

use serde::Serialize;

use super::{StoreError, Tx, on, on_set, strange};
use crate::domain::finding::Category;
use crate::domain::notice::NoticeKind;
use crate::domain::rate::{Key, Sent};
use crate::domain::{CampaignId, Moment};

/// The lock by which instances take turns at the limits; any number that nothing else uses.
const RATES_LOCK: i64 = 0x6265_6c6c_7261_7465;

/// Letters that wait, and are alike.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// What they say.
    pub kind: NoticeKind,
    /// About what.
    pub category: Category,
    /// Their readers' IANA zone.
    pub zone: String,
    /// Not before this moment, to the hour.
    pub due_at: Moment,
    /// How many.
    pub letters: u64,
}

/// How far the letters of a campaign are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Gone {
    /// Taken by the relay, whether or not they came back.
    pub sent: u64,
    /// Waiting, in flight, or standing still with their campaign.
    pub left: u64,
    /// When the first was taken.
    pub first_at: Option<Moment>,
    /// Taken since the moment that was asked about.
    pub recent: u64,
}

impl Tx {
    /// Waits for its turn at the limits, until this transaction ends: whoever comes next sees what was counted here.
    /// SQLite has one writer anyway.
    pub async fn lock_rates(&mut self) -> Result<(), StoreError> {
        match self {
            Tx::Sqlite(_) => {}
            Tx::Postgres(tx) => {
                sqlx::query("SELECT pg_advisory_xact_lock($1)")
                    .bind(RATES_LOCK)
                    .execute(&mut **tx)
                    .await?;
            }
        }
        Ok(())
    }

    /// What was sent in this minute, counted from 1970, and since; the oldest first.
    pub async fn sent_since(&mut self, minute: i64) -> Result<Vec<Sent>, StoreError> {
        let rows: Vec<(String, i64, i64, i64)> = on!(self, db => sqlx::query_as(
            "SELECT key, minute, letters, free_at FROM sent_minutes WHERE minute >= $1 ORDER BY minute, key",
        ).bind(minute).fetch_all(db).await)?;
        rows.into_iter()
            .map(|(key, minute, letters, free_at)| {
                Ok(Sent {
                    key: Key::from_word(&key)
                        .ok_or_else(|| strange("sent_minutes", "key", minute))?,
                    minute,
                    letters,
                    free_at: Moment::from_micros(free_at),
                })
            })
            .collect()
    }

    /// Adds to what was sent.
    pub async fn count_sent(&mut self, sent: &[Sent]) -> Result<(), StoreError> {
        if sent.is_empty() {
            return Ok(());
        }
        #[derive(Serialize)]
        struct Set {
            key: String,
            minute: i64,
            letters: i64,
            free_at: i64,
        }
        let sets: Vec<Set> = sent
            .iter()
            .map(|one| Set {
                key: one.key.word(),
                minute: one.minute,
                letters: one.letters,
                free_at: one.free_at.micros(),
            })
            .collect();
        on_set!(
            self, &sets, [key text, minute bigint, letters bigint, free_at bigint],
            "INSERT INTO sent_minutes (key, minute, letters, free_at) SELECT key, minute, letters, free_at FROM d WHERE true
             ON CONFLICT (minute, key) DO UPDATE SET letters = sent_minutes.letters + excluded.letters,
                 free_at = CASE WHEN excluded.free_at > sent_minutes.free_at THEN excluded.free_at ELSE sent_minutes.free_at END",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        Ok(())
    }

    /// Forgets what was sent before this minute: no window reaches it any more.
    pub async fn forget_sent(&mut self, before_minute: i64) -> Result<(), StoreError> {
        on!(self, db => sqlx::query("DELETE FROM sent_minutes WHERE minute < $1").bind(before_minute).execute(db).await.map(|_| ()))?;
        Ok(())
    }

    /// The letters that are queued, of one campaign or of all, and to one domain or to all; in the order in which they go.
    pub async fn waiting_letters(
        &mut self,
        campaign: Option<CampaignId>,
        domain: Option<&str>,
        now: Moment,
    ) -> Result<Vec<Waiting>, StoreError> {
        // What is due is due; what is not is told by the hour, so that a million letters stay a few rows.
        macro_rules! waiting {
            ($from:literal) => {
                concat!(
                    "SELECT x.kind, t.category, t.zone, CASE WHEN x.due_at <= $1 THEN 0 ELSE (x.due_at + 3599999999) / 3600000000 END, COUNT(*) ",
                    $from, " AND LOWER(x.recipient) LIKE $2 GROUP BY 1, 2, 3, 4 ORDER BY MIN(x.priority), 4, 3"
                )
            };
        }
        let domain = domain.map_or_else(|| "%".to_owned(), |domain| format!("%@{domain}"));
        let rows: Vec<(String, String, String, i64, i64)> = match campaign {
            Some(id) => on!(self, db => sqlx::query_as(waiting!(
                "FROM threads t CROSS JOIN deliveries x WHERE x.thread_id = t.id AND t.campaign_id = $3 AND x.state = 'queued'"
            )).bind(now.micros()).bind(&domain).bind(id.0).fetch_all(db).await)?,
            None => on!(self, db => sqlx::query_as(waiting!(
                "FROM deliveries x CROSS JOIN threads t WHERE t.id = x.thread_id AND x.state = 'queued'"
            )).bind(now.micros()).bind(&domain).fetch_all(db).await)?,
        };
        rows.into_iter().map(waiting).collect()
    }

    /// The first notices of a campaign that are not queued yet, by kind.
    pub async fn untold_threads(
        &mut self,
        campaign: CampaignId,
    ) -> Result<Vec<Waiting>, StoreError> {
        let rows: Vec<(String, String, String, i64, i64)> = on!(self, db => sqlx::query_as(
            "SELECT t.kind, t.category, t.zone, CAST(0 AS BIGINT), COUNT(*) FROM threads t WHERE t.campaign_id = $1 AND t.state IN ('draft', 'waiting') GROUP BY 1, 2, 3 ORDER BY 1, 3",
        ).bind(campaign.0).fetch_all(db).await)?;
        rows.into_iter().map(waiting).collect()
    }

    /// How far the letters of a campaign are; what went since `recent` is counted by itself.
    pub async fn letters_gone(
        &mut self,
        campaign: CampaignId,
        recent: Moment,
    ) -> Result<Gone, StoreError> {
        let row: (i64, i64, Option<i64>, i64) = on!(self, db => sqlx::query_as(
            "SELECT COUNT(*) FILTER (WHERE x.state IN ('accepted', 'bounced')), COUNT(*) FILTER (WHERE x.state IN ('queued', 'leased', 'paused')), MIN(a.ended_at), COUNT(*) FILTER (WHERE a.ended_at >= $2)
             FROM threads t CROSS JOIN deliveries x LEFT JOIN attempts a ON a.delivery_id = x.id AND a.outcome = 'accepted' WHERE x.thread_id = t.id AND t.campaign_id = $1",
        ).bind(campaign.0).bind(recent.micros()).fetch_one(db).await)?;
        Ok(Gone {
            sent: row.0.unsigned_abs(),
            left: row.1.unsigned_abs(),
            first_at: row.2.map(Moment::from_micros),
            recent: row.3.unsigned_abs(),
        })
    }

    /// How many people can sign in and have an address: the readers of a staff-wide notice.
    pub async fn staff_count(&mut self) -> Result<u64, StoreError> {
        let (count,): (i64,) = on!(self, db => sqlx::query_as(
            "SELECT COUNT(*) FROM persons p WHERE p.left_at IS NULL AND EXISTS
                 (SELECT 1 FROM accounts a JOIN account_mailboxes am ON am.account_id = a.id WHERE a.holder_id = p.id AND a.enabled AND a.left_at IS NULL)",
        ).fetch_one(db).await)?;
        Ok(count.unsigned_abs())
    }
}

/// Kind, category, zone, hour since 1970, letters.
fn waiting(
    (kind, category, zone, hour, letters): (String, String, String, i64, i64),
) -> Result<Waiting, StoreError> {
    Ok(Waiting {
        kind: NoticeKind::from_word(&kind).ok_or_else(|| strange("deliveries", "kind", 0))?,
        category: Category::from_word(&category)
            .ok_or_else(|| strange("threads", "category", 0))?,
        zone,
        due_at: Moment::from_micros(hour.saturating_mul(3_600_000_000)),
        letters: letters.unsigned_abs(),
    })
}
