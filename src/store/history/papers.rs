//! The papers of a past moment: which files were taken in, which words were approved and said, by whom and when.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::super::{StoreError, Tx, on, strange};
use crate::domain::incident::{Word, promises};
use crate::domain::report::{IncidentFacts, Provenance, StatementFacts};
use crate::domain::{AuditId, Moment};

/// What is said of a post whose words nobody approves: it is made of figures.
const FIGURES_ONLY: &str = "none: figures only";

#[derive(sqlx::FromRow)]
struct FileRow {
    id: i64,
    name: String,
    sha256: String,
    size_bytes: i64,
    received_at: i64,
    rows_read: i64,
    rows_rejected: i64,
    unmatched: i64,
}

#[derive(sqlx::FromRow)]
struct CampaignRow {
    reference: String,
    content_hash: String,
    author: String,
    approved_by: String,
    approved_at: i64,
    first_sent_at: Option<i64>,
}

#[derive(sqlx::FromRow)]
struct PublishedRow {
    id: i64,
    kind: String,
    version: i64,
    approved_hash: String,
    author: String,
    approved_by: String,
    approved_at: Option<i64>,
    about_id: Option<i64>,
    channel: String,
    external_id: Option<String>,
    said_at: Option<i64>,
}

/// The particulars that an incident's rows of the ledger carry.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Detail {
    next_update: Option<i64>,
    version: u32,
    content: String,
    external: Option<String>,
    channel: String,
}

/// One incident as the ledger tells it.
#[derive(Default)]
struct Told {
    opened_by: String,
    opened_at: Option<Moment>,
    first_said_at: Option<Moment>,
    latest: Option<Detail>,
    words: Vec<Word>,
}

impl Tx {
    /// The files that the figures of `as_of` rest on: each audit, and each evidence file that closed a case.
    pub async fn files_as_of(&mut self, as_of: Moment) -> Result<Vec<Provenance>, StoreError> {
        let audits: Vec<FileRow> = on!(self, db => sqlx::query_as(
            "SELECT id, source || ': ' || file_name AS name, sha256, size_bytes, imported_at AS received_at, records AS rows_read, rejected AS rows_rejected, unmatched
             FROM audits WHERE imported_at <= $1 ORDER BY id",
        ).bind(as_of.micros()).fetch_all(db).await)?;
        let reasons: Vec<(i64, String, i64)> = on!(self, db => sqlx::query_as(
            "SELECT r.audit_id, r.reason, COUNT(*) FROM rejects r JOIN audits a ON a.id = r.audit_id WHERE a.imported_at <= $1 GROUP BY r.audit_id, r.reason ORDER BY r.audit_id, r.reason",
        ).bind(as_of.micros()).fetch_all(db).await)?;
        // The same bytes are read every hour until they change: the first reading stands for all of them.
        let evidence: Vec<FileRow> = on!(self, db => sqlx::query_as(
            "SELECT MIN(r.id) AS id, r.source || ': ' || r.file_name AS name, r.sha256, CAST(0 AS BIGINT) AS size_bytes, MIN(r.read_at) AS received_at,
                 MAX(r.entries + r.rejected) AS rows_read, MAX(r.rejected) AS rows_rejected, CAST(0 AS BIGINT) AS unmatched
             FROM evidence_reads r WHERE r.id IN (
                 SELECT e.read_id FROM cases c JOIN evidence e ON e.id = c.evidence_id WHERE c.closed_at <= $1
             ) GROUP BY r.source, r.file_name, r.sha256 ORDER BY 1",
        ).bind(as_of.micros()).fetch_all(db).await)?;
        let mut by_audit: HashMap<i64, Vec<(String, u64)>> = HashMap::new();
        for (audit, reason, count) in reasons {
            by_audit
                .entry(audit)
                .or_default()
                .push((reason, count.unsigned_abs()));
        }
        let audits = audits.into_iter().map(|row| {
            let reasons = by_audit.remove(&row.id).unwrap_or_default();
            file(row, reasons)
        });
        let evidence = evidence.into_iter().map(|row| {
            let rejected = row.rows_rejected.unsigned_abs();
            let reasons = (rejected > 0).then(|| ("unreadable".to_owned(), rejected));
            (row, reasons.into_iter().collect())
        });
        Ok(audits
            .chain(evidence.map(|(row, reasons)| file(row, reasons)))
            .collect())
    }

    /// The campaigns that had been approved by `as_of`: which words, whose, and when the first letter was accepted.
    pub async fn campaigns_as_of(
        &mut self,
        as_of: Moment,
    ) -> Result<Vec<StatementFacts>, StoreError> {
        let rows: Vec<CampaignRow> = on!(self, db => sqlx::query_as(
            "SELECT c.reference, c.content_hash, c.author, c.approved_by, c.approved_at,
                 (SELECT MIN(a.ended_at) FROM threads t JOIN deliveries d ON d.thread_id = t.id JOIN attempts a ON a.delivery_id = d.id
                  WHERE t.campaign_id = c.id AND a.outcome = 'accepted' AND a.ended_at <= $1) AS first_sent_at
             FROM campaigns c WHERE c.approved_at <= $1 AND c.approved_by IS NOT NULL ORDER BY c.id",
        ).bind(as_of.micros()).fetch_all(db).await)?;
        Ok(rows
            .into_iter()
            .map(|row| StatementFacts {
                id: row.reference,
                kind: "campaign".to_owned(),
                version: 1,
                sha256: row.content_hash,
                author: row.author,
                approver: row.approved_by,
                approved_at: Some(Moment::from_micros(row.approved_at)),
                posted_at: row.first_sent_at.map(Moment::from_micros),
                channel: "mail".to_owned(),
                external_id: String::new(),
                replaces: None,
            })
            .collect())
    }

    /// The incidents that had been opened by `as_of`, and the post of each, by the ledger alone.
    pub async fn incidents_as_of(
        &mut self,
        as_of: Moment,
    ) -> Result<(Vec<IncidentFacts>, Vec<StatementFacts>), StoreError> {
        let references: Vec<(i64, String)> = on!(self, db => sqlx::query_as("SELECT id, reference FROM incidents WHERE opened_at <= $1 ORDER BY id")
            .bind(as_of.micros()).fetch_all(db).await)?;
        let told = self.incidents_told(as_of).await?;
        let (mut incidents, mut posts) = (Vec::new(), Vec::new());
        for (id, reference) in references {
            let Some(told) = told.get(&format!("incident:{id}")) else {
                return Err(strange("incidents", "opened_at", id));
            };
            let (due, missed) = promises(&told.words, as_of);
            if let Some(latest) = &told.latest {
                posts.push(StatementFacts {
                    id: reference.clone(),
                    kind: "status post".to_owned(),
                    version: latest.version,
                    sha256: latest.content.clone(),
                    author: told.opened_by.clone(),
                    approver: FIGURES_ONLY.to_owned(),
                    approved_at: None,
                    posted_at: told.first_said_at,
                    channel: "status".to_owned(),
                    external_id: latest.external.clone().unwrap_or_default(),
                    replaces: None,
                });
            }
            incidents.push(IncidentFacts {
                id: reference,
                declared_at: told
                    .opened_at
                    .ok_or_else(|| strange("incidents", "opened_at", id))?,
                first_statement_at: told.first_said_at,
                promises_due: due,
                promises_missed: missed,
            });
        }
        Ok((incidents, posts))
    }

    async fn incidents_told(
        &mut self,
        as_of: Moment,
    ) -> Result<BTreeMap<String, Told>, StoreError> {
        type Row = (i64, i64, String, String, String, Option<String>);
        let rows: Vec<Row> = on!(self, db => sqlx::query_as(
            "SELECT id, at, actor, act, thing, detail FROM ledger WHERE case_id IS NULL AND thing LIKE 'incident:%' AND at <= $1 ORDER BY id",
        ).bind(as_of.micros()).fetch_all(db).await)?;
        let mut all: BTreeMap<String, Told> = BTreeMap::new();
        for (id, at, actor, act, thing, detail) in rows {
            let at = Moment::from_micros(at);
            let detail: Detail = match detail {
                Some(text) => {
                    serde_json::from_str(&text).map_err(|_| strange("ledger", "detail", id))?
                }
                None => Detail::default(),
            };
            tell(all.entry(thing).or_default(), at, actor, &act, detail);
        }
        Ok(all)
    }

    /// The statements that were out by `as_of`, one for each of their channels. What was approved is never changed once it is
    /// out, so this is the same whenever it is asked.
    pub async fn published_as_of(
        &mut self,
        as_of: Moment,
    ) -> Result<Vec<StatementFacts>, StoreError> {
        let rows: Vec<PublishedRow> = on!(self, db => sqlx::query_as(
            "SELECT s.id, s.kind, s.version, s.approved_hash, s.author, s.approved_by, s.approved_at, s.about_id, p.channel, p.external_id,
                 CASE WHEN p.said_at <= $1 THEN p.said_at END AS said_at
             FROM statements s JOIN statement_posts p ON p.statement_id = s.id
             WHERE s.published_at <= $1 AND s.approved_hash IS NOT NULL AND s.approved_by IS NOT NULL ORDER BY s.id, p.id",
        ).bind(as_of.micros()).fetch_all(db).await)?;
        Ok(rows
            .into_iter()
            .map(|row| StatementFacts {
                id: format!("S-{}", row.id),
                kind: row.kind,
                version: u32::try_from(row.version).unwrap_or(u32::MAX),
                sha256: row.approved_hash,
                author: row.author,
                approver: row.approved_by,
                approved_at: row.approved_at.map(Moment::from_micros),
                posted_at: row.said_at.map(Moment::from_micros),
                channel: row.channel,
                external_id: match row.said_at {
                    Some(_) => row.external_id.unwrap_or_default(),
                    None => String::new(),
                },
                replaces: row.about_id.map(|id| format!("S-{id}")),
            })
            .collect())
    }

    /// The texts that had been kept by `as_of`, because letters were made of them: kind, language and hash.
    pub async fn templates_as_of(
        &mut self,
        as_of: Moment,
    ) -> Result<Vec<(String, String, String)>, StoreError> {
        let mut rows: Vec<(String, String, String)> = on!(self, db => sqlx::query_as("SELECT kind, locale, hash FROM templates WHERE kept_at <= $1")
            .bind(as_of.micros()).fetch_all(db).await)?;
        // Here, and not in SQL: the databases' collations differ.
        rows.sort_unstable();
        Ok(rows)
    }
}

fn tell(told: &mut Told, at: Moment, actor: String, act: &str, detail: Detail) {
    match act {
        "incident.opened" => {
            told.opened_by = actor;
            told.opened_at = Some(at);
        }
        "post.posted" | "post.edited" => {
            // Where it was said first: on another channel it is the same again, and no news.
            let is_again = told.latest.as_ref().is_some_and(|latest| {
                !latest.channel.is_empty() && latest.channel != detail.channel
            });
            if is_again {
                return;
            }
            // The first post publishes what was promised; what follows keeps it.
            if told.first_said_at.is_some() {
                told.words.push(Word::Updated { at });
            }
            told.first_said_at.get_or_insert(at);
            told.latest = Some(detail);
            return;
        }
        // A statement that is out is news; what was meant and did not come about, or is a line of the timeline, is none.
        "post.statement" => told.words.push(Word::Updated { at }),
        act if act.starts_with("post.") => return,
        // What is settled with authorities and partners is not told to readers.
        "duty.started" | "partner.added" | "partner.edited" | "partner.cleared"
        | "duty.reported" | "duty.not_reported" | "desk.refused" => return,
        // A promise keeps none.
        "incident.promised" => {}
        _ => told.words.push(Word::Updated { at }),
    }
    if let Some(by) = detail.next_update {
        told.words.push(Word::Promised {
            at,
            by: Moment::from_micros(by),
        });
    }
}

fn file(row: FileRow, mut rejected: Vec<(String, u64)>) -> Provenance {
    let n = i64::unsigned_abs;
    let (rows, unmatched) = (n(row.rows_read), n(row.unmatched));
    if unmatched > 0 {
        rejected.push(("names nobody".to_owned(), unmatched));
    }
    Provenance {
        id: AuditId(row.id),
        name: row.name,
        sha256: row.sha256,
        size_bytes: n(row.size_bytes),
        received_at: Moment::from_micros(row.received_at),
        rows,
        accepted: rows
            .saturating_sub(n(row.rows_rejected))
            .saturating_sub(unmatched),
        rejected,
    }
}
