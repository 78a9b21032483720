//! Cases as they stood at a past moment, told by the ledger alone: the same whenever it is asked.

use std::collections::HashMap;

use serde::Deserialize;

use super::ledger::Entry;
use super::{StoreError, Tx, ids, on, on_set, strange};
use crate::domain::finding::Category;
use crate::domain::notice::NoticeKind;
use crate::domain::report::{CaseFacts, DeliveryFacts, ExceptionFacts};
use crate::domain::{CaseId, Moment, PersonId};

mod papers;

/// What never changes about a case.
#[derive(sqlx::FromRow)]
struct Opened {
    id: i64,
    person_id: Option<i64>,
    department: String,
    found_at: i64,
    opened_at: i64,
    reopens_id: Option<i64>,
    superseded_at: Option<i64>,
    realm: String,
}

/// The particulars that a case's rows of the ledger carry.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Detail {
    category: Option<String>,
    kind: Option<String>,
    reason: Option<String>,
    requested_by: Option<String>,
    mailboxes: u32,
}

impl Tx {
    /// The cases from `after` on that had been opened by `as_of`, each as it stood then, by number; and their exemptions.
    pub async fn cases_as_of(
        &mut self,
        after: CaseId,
        as_of: Moment,
        limit: i64,
    ) -> Result<Vec<(CaseFacts, Vec<ExceptionFacts>)>, StoreError> {
        let opened: Vec<Opened> = on!(self, db => sqlx::query_as(
            "SELECT c.id, c.person_id, c.department, c.found_at, c.opened_at, c.reopens_id,
                 (SELECT MIN(s.opened_at) FROM cases s WHERE s.reopens_id = c.id AND s.opened_at <= $2 AND NOT (COALESCE(s.closed_as, '') = 'withdrawn' AND s.closed_at <= $2)) AS superseded_at, a.realm
             FROM cases c CROSS JOIN accounts a WHERE a.id = c.account_id AND c.id > $1 AND c.opened_at <= $2 ORDER BY c.id LIMIT $3",
        ).bind(after.0).bind(as_of.micros()).bind(limit).fetch_all(db).await)?;
        let entries = self.entries_of(&opened, as_of).await?;
        let looks = self.latest_looks(as_of).await?;
        opened
            .into_iter()
            .map(|row| {
                let id = row.id;
                let looked_at = looks.get(&row.realm).copied();
                fold(row, entries.get(&id).map_or(&[], Vec::as_slice), looked_at)
            })
            .collect()
    }

    /// Of each realm, the moment of which the newest audit of its passwords speaks. Lists of breaches look at no password.
    async fn latest_looks(&mut self, as_of: Moment) -> Result<HashMap<String, Moment>, StoreError> {
        let rows: Vec<(String, i64)> = on!(self, db => sqlx::query_as(
            "SELECT realm, MAX(as_of) FROM audits WHERE imported_at <= $1 AND format <> 'hibp_domain' GROUP BY realm",
        ).bind(as_of.micros()).fetch_all(db).await)?;
        Ok(rows
            .into_iter()
            .map(|(realm, at)| (realm, Moment::from_micros(at)))
            .collect())
    }

    async fn entries_of(
        &mut self,
        opened: &[Opened],
        as_of: Moment,
    ) -> Result<HashMap<i64, Vec<Entry>>, StoreError> {
        let rows: Vec<super::ledger::EntryRow> = on_set!(
            self, &ids(opened.iter().map(|row| row.id)), [id bigint],
            "SELECT l.id, l.at, l.actor, l.act, l.case_id, l.thing, l.effective_at, l.detail FROM d JOIN ledger l ON l.case_id = d.id WHERE l.at <= $2 ORDER BY l.id",
            sqlx::query_as::<_, super::ledger::EntryRow>, |query, db| query.bind(as_of.micros()).fetch_all(db).await
        )?;
        let mut entries: HashMap<i64, Vec<Entry>> = HashMap::with_capacity(opened.len());
        for entry in rows.into_iter().map(Entry::from) {
            if let Some(case) = entry.case_id {
                entries.entry(case.0).or_default().push(entry);
            }
        }
        Ok(entries)
    }

    /// What had become of the letters by `as_of`, by kind. Any report about a letter that was in doubt proves that the relay had it.
    pub async fn deliveries_as_of(
        &mut self,
        as_of: Moment,
    ) -> Result<Vec<(NoticeKind, DeliveryFacts)>, StoreError> {
        type Row = (String, i64, i64, i64, i64, i64, i64, i64);
        let rows: Vec<Row> = on!(self, db => sqlx::query_as(
            "WITH back AS (
                 SELECT delivery_id, COUNT(*) FILTER (WHERE action IN ('failed', 'unparsed')) AS bounces FROM bounces WHERE received_at <= $1 GROUP BY delivery_id
             ), tried AS (
                 SELECT a.delivery_id, COUNT(*) FILTER (WHERE a.outcome IS NULL OR a.ended_at > $1 OR a.outcome <> 'not_started') AS attempts,
                     COUNT(*) FILTER (WHERE (a.outcome = 'accepted' OR (a.outcome = 'in_doubt' AND a.delivery_id IN (SELECT delivery_id FROM back))) AND a.ended_at <= $1) AS accepted,
                     COUNT(*) FILTER (WHERE a.outcome = 'fail_recipient' AND a.ended_at <= $1) AS refused,
                     COUNT(*) FILTER (WHERE a.outcome = 'in_doubt' AND a.ended_at <= $1) AS in_doubt
                 FROM attempts a WHERE a.started_at <= $1 GROUP BY a.delivery_id
             )
             SELECT x.kind, COUNT(*) FILTER (WHERE COALESCE(t.attempts, 0) = 0 AND (x.ended_at IS NULL OR x.ended_at > $1)), COUNT(*) FILTER (WHERE t.attempts > 0), COUNT(*) FILTER (WHERE t.accepted > 0), COUNT(*) FILTER (WHERE t.refused > 0 AND t.accepted = 0),
                 COUNT(*) FILTER (WHERE x.state IN ('expired', 'stopped') AND x.ended_at <= $1 AND t.attempts > 0 AND t.accepted = 0 AND t.refused = 0),
                 COUNT(*) FILTER (WHERE b.bounces > 0), COUNT(*) FILTER (WHERE t.in_doubt > 0)
             FROM deliveries x LEFT JOIN tried t ON t.delivery_id = x.id LEFT JOIN back b ON b.delivery_id = x.id WHERE x.queued_at <= $1 GROUP BY x.kind ORDER BY x.kind",
        ).bind(as_of.micros()).fetch_all(db).await)?;
        rows.into_iter()
            .map(
                |(kind, queued, attempted, accepted, refused, expired, bounced, in_doubt)| {
                    let n = i64::unsigned_abs;
                    let facts = DeliveryFacts {
                        queued: n(queued),
                        attempted: n(attempted),
                        accepted: n(accepted),
                        refused: n(refused),
                        expired: n(expired),
                        trying: n(attempted).saturating_sub(n(accepted) + n(refused) + n(expired)),
                        bounced: n(bounced),
                        in_doubt: n(in_doubt),
                    };
                    Ok((
                        NoticeKind::from_word(&kind)
                            .ok_or_else(|| strange("deliveries", "kind", 0))?,
                        facts,
                    ))
                },
            )
            .collect()
    }

    /// How many tasks were open at `as_of`.
    pub async fn tasks_open_at(&mut self, as_of: Moment) -> Result<u64, StoreError> {
        let (count,): (i64,) = on!(self, db => sqlx::query_as("SELECT COUNT(*) FROM tasks WHERE opened_at <= $1 AND (done_at IS NULL OR done_at > $1)")
            .bind(as_of.micros()).fetch_one(db).await)?;
        Ok(count.unsigned_abs())
    }
}

/// Folds a case's rows of the ledger into what was known of it.
fn fold(
    row: Opened,
    entries: &[Entry],
    looked_at: Option<Moment>,
) -> Result<(CaseFacts, Vec<ExceptionFacts>), StoreError> {
    let id = CaseId(row.id);
    let mut facts = CaseFacts::open(
        id,
        Category::Weak,
        &row.department,
        Moment::from_micros(row.found_at),
    );
    facts.person = row.person_id.map(PersonId);
    facts.opened_at = Moment::from_micros(row.opened_at);
    facts.reopened_from = row.reopens_id.map(CaseId);
    facts.superseded_at = row.superseded_at.map(Moment::from_micros);
    let mut exceptions = Vec::new();
    for entry in entries {
        let detail: Detail = match &entry.detail {
            Some(text) => {
                serde_json::from_str(text).map_err(|_| strange("ledger", "detail", entry.id))?
            }
            None => Detail::default(),
        };
        apply(&mut facts, &mut exceptions, entry, &detail)?;
    }
    if let Some(reset_at) = facts.reset_at {
        // Whether the change answers the finding was decided when the case was closed. One that came before we heard of the
        // finding leaves no time in which the account was known to be exposed.
        facts.found_at = facts
            .found_at
            .min(Moment::from_micros(reset_at.micros().saturating_sub(1)));
        facts.recheck_pending = looked_at.is_none_or(|looked_at| looked_at < reset_at);
    }
    Ok((facts, exceptions))
}

fn apply(
    facts: &mut CaseFacts,
    exceptions: &mut Vec<ExceptionFacts>,
    entry: &Entry,
    detail: &Detail,
) -> Result<(), StoreError> {
    let at = entry.effective_at.unwrap_or(entry.at);
    match entry.act.as_str() {
        "case.opened" | "case.reopened" | "case.raised" => {
            let word = detail.category.as_deref().unwrap_or_default();
            facts.category =
                Category::from_word(word).ok_or_else(|| strange("ledger", "detail", entry.id))?;
            facts.mailboxes = facts.mailboxes.max(detail.mailboxes);
        }
        "case.due" | "case.not_reached" | "case.task" => {
            facts.deadline_at = facts.deadline_at.or(entry.effective_at);
            facts.undeliverable |= entry.act == "case.not_reached";
        }
        // Freed for another letter, which brings a deadline of its own.
        "case.freed" => facts.deadline_at = None,
        // The refusals were the relay's own.
        "case.reachable" => facts.undeliverable = false,
        "case.notified" | "case.told" => {
            facts.notice_at = Some(facts.notice_at.map_or(at, |before| before.min(at)));
            facts.last_contact_at = facts.last_contact_at.max(Some(at));
            facts.undeliverable = false;
        }
        "case.reminded" => {
            facts.last_contact_at = facts.last_contact_at.max(Some(at));
            let wave = match detail.kind.as_deref() {
                Some("reminder.1") => 1,
                Some("reminder.2") => 2,
                _ => 3,
            };
            facts.reminders.push((wave, at));
        }
        "case.bounced" => {
            facts.notice_at = None;
            facts.undeliverable = true;
        }
        "case.closed.reset" => facts.reset_at = Some(at),
        "case.closed.disabled" => facts.disabled_at = Some(at),
        "case.closed.withdrawn" => facts.withdrawn = true,
        "case.hand_over_due" => facts.handed_over_at = Some(at),
        "case.exempted" => {
            facts.exempt.push((entry.at, at));
            exceptions.push(ExceptionFacts {
                case: facts.id,
                reason: detail.reason.clone().unwrap_or_default(),
                control: String::new(),
                requested_by: detail.requested_by.clone().unwrap_or_default(),
                approved_by: entry.actor.clone(),
                granted_at: entry.at,
                expires_at: at,
            });
        }
        // Standings, containment and evidence change nothing that is counted here.
        _ => {}
    }
    Ok(())
}
