//! What the evidence sources said of each account, and when it was last confirmed.

use std::collections::HashMap;

use serde::Serialize;

use super::{StoreError, Tx, ids, on, on_set, strange};
use crate::domain::evidence::{Evidence, Grade};
use crate::domain::identity::Realm;
use crate::domain::{AccountId, EvidenceId, Moment};

/// The newest evidence of an account.
#[derive(Clone, PartialEq, Debug)]
pub struct LatestEvidence {
    /// Its number.
    pub id: EvidenceId,
    /// How good it is.
    pub grade: Grade,
    /// What it says.
    pub evidence: Evidence,
}

impl LatestEvidence {
    fn of(id: i64, grade: &str, facts: &str, observed_at: i64) -> Result<Self, StoreError> {
        let bad = |column| strange("evidence", column, id);
        let mut evidence: Evidence = serde_json::from_str(facts).map_err(|_| bad("facts"))?;
        evidence.observed_at = Moment::from_micros(observed_at);
        Ok(Self {
            id: EvidenceId(id),
            grade: Grade::from_word(grade).ok_or_else(|| bad("grade"))?,
            evidence,
        })
    }
}

/// A reading of an evidence source.
#[derive(Clone, PartialEq, Debug)]
pub struct EvidenceRead {
    /// Name of the configured source.
    pub source: String,
    /// Whose passwords it speaks of.
    pub realm: Realm,
    /// Without its folder.
    pub file_name: String,
    /// Of the file's bytes.
    pub sha256: String,
    /// What it says is true as of here.
    pub observed_at: Moment,
    /// When it was read.
    pub read_at: Moment,
}

/// One line of it.
#[derive(Clone, PartialEq, Debug)]
pub struct EvidenceDraft {
    /// Whose.
    pub account: AccountId,
    /// Line of the file.
    pub line: u64,
    /// How good.
    pub grade: Grade,
    /// What it says.
    pub evidence: Evidence,
}

/// An open case, and what a source has said of its account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CaseOfObject {
    /// The directory's immutable id of the account.
    pub object_id: String,
    /// When the case was opened.
    pub opened_at: Moment,
    /// When the source last spoke of the account, if ever.
    pub told_at: Option<Moment>,
}

impl Tx {
    /// The open cases of a realm, by the directory's ids of their accounts, and when `source` last spoke of each.
    pub async fn open_cases_by_object(
        &mut self,
        realm: &Realm,
        source: &str,
    ) -> Result<Vec<CaseOfObject>, StoreError> {
        let rows: Vec<(String, i64, Option<i64>)> = on!(self, db => sqlx::query_as(
            "SELECT a.object_id, c.opened_at, (SELECT MAX(e.observed_at) FROM evidence e JOIN evidence_reads r ON r.id = e.read_id
                 WHERE e.account_id = c.account_id AND r.source = $2)
             FROM cases c JOIN accounts a ON a.id = c.account_id WHERE c.state <> 'closed' AND a.realm = $1",
        ).bind(&realm.0).bind(source).fetch_all(db).await)?;
        Ok(rows
            .into_iter()
            .map(|(object_id, opened_at, told_at)| CaseOfObject {
                object_id,
                opened_at: Moment::from_micros(opened_at),
                told_at: told_at.map(Moment::from_micros),
            })
            .collect())
    }

    /// The newest evidence of these accounts. Its age counts from the last reading that confirmed it.
    pub async fn latest_evidence(
        &mut self,
        accounts: &[AccountId],
    ) -> Result<HashMap<AccountId, LatestEvidence>, StoreError> {
        if accounts.is_empty() {
            return Ok(HashMap::new());
        }
        let rows: Vec<(i64, i64, String, String, i64)> = on_set!(
            self, &ids(accounts.iter().map(|id| id.0)), [id bigint],
            "SELECT e.account_id, e.id, e.grade, e.facts, e.observed_at FROM d JOIN evidence e ON e.id = (SELECT MAX(l.id) FROM evidence l WHERE l.account_id = d.id)",
            sqlx::query_as::<_, (i64, i64, String, String, i64)>, |query, db| query.fetch_all(db).await
        )?;
        rows.into_iter()
            .map(|(account, id, grade, facts, observed_at)| {
                let latest = LatestEvidence::of(id, &grade, &facts, observed_at)?;
                Ok((AccountId(account), latest))
            })
            .collect()
    }

    /// The accounts of a realm that bear these immutable ids of their directory, folded, and what is known of each. Of an id
    /// that two bear nothing is said. One question for both, as a whole directory asks it at every sweep.
    pub async fn known_by_object(
        &mut self,
        realm: &Realm,
        object_ids: &[String],
    ) -> Result<HashMap<String, (AccountId, Option<LatestEvidence>)>, StoreError> {
        #[derive(Serialize)]
        struct Sought<'a> {
            key: &'a str,
        }
        type Row = (
            String,
            i64,
            Option<i64>,
            Option<String>,
            Option<String>,
            Option<i64>,
        );
        let sought: Vec<Sought> = object_ids.iter().map(|key| Sought { key }).collect();
        let rows: Vec<Row> = on_set!(
            self, &sought, [key text],
            "SELECT f.key, f.account_id, e.id, e.grade, e.facts, e.observed_at
             FROM (SELECT k.key, MIN(k.account_id) AS account_id FROM d CROSS JOIN account_keys k CROSS JOIN accounts a
                 WHERE k.kind = 'object_id' AND k.key = d.key AND a.id = k.account_id AND a.realm = $2 AND a.left_at IS NULL GROUP BY k.key HAVING COUNT(*) = 1) f
             LEFT JOIN evidence e ON e.id = (SELECT MAX(l.id) FROM evidence l WHERE l.account_id = f.account_id)",
            sqlx::query_as::<_, Row>, |query, db| query.bind(&realm.0).fetch_all(db).await
        )?;
        rows.into_iter()
            .map(|(key, account, id, grade, facts, observed_at)| {
                let latest = match (id, grade, facts, observed_at) {
                    (Some(id), Some(grade), Some(facts), Some(observed_at)) => {
                        Some(LatestEvidence::of(id, &grade, &facts, observed_at)?)
                    }
                    _ => None,
                };
                Ok((key, (AccountId(account), latest)))
            })
            .collect()
    }

    /// Writes down that an evidence source was read.
    pub async fn add_evidence_read(&mut self, read: &EvidenceRead) -> Result<i64, StoreError> {
        let (id,): (i64,) = on!(self, db => sqlx::query_as(
            "INSERT INTO evidence_reads (source, realm, file_name, sha256, observed_at, read_at, entries, rejected) VALUES ($1, $2, $3, $4, $5, $6, 0, 0) RETURNING id",
        ).bind(&read.source).bind(&read.realm.0).bind(&read.file_name).bind(&read.sha256).bind(read.observed_at.micros()).bind(read.read_at.micros()).fetch_one(db).await)?;
        Ok(id)
    }

    /// Writes down what reading it came to.
    pub async fn end_evidence_read(
        &mut self,
        id: i64,
        entries: u64,
        rejected: u64,
    ) -> Result<(), StoreError> {
        let n = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        on!(self, db => sqlx::query("UPDATE evidence_reads SET entries = $2, rejected = $3 WHERE id = $1").bind(id).bind(n(entries)).bind(n(rejected)).execute(db).await.map(|_| ()))?;
        Ok(())
    }

    /// Keeps evidence that says something new; what only confirms the newest moves its time of observation. An account counts
    /// once. `before` is the newest that this transaction knows of each.
    pub async fn add_evidence(
        &mut self,
        read: i64,
        drafts: &[EvidenceDraft],
        before: &HashMap<AccountId, LatestEvidence>,
    ) -> Result<(), StoreError> {
        #[derive(Serialize)]
        struct Set {
            account_id: i64,
            line: u64,
            grade: &'static str,
            facts: String,
            observed_at: i64,
        }
        #[derive(Serialize)]
        struct Same {
            id: i64,
            observed_at: i64,
        }
        let (mut new, mut same) = (Vec::new(), Vec::new());
        for draft in drafts {
            let observed_at = draft.evidence.observed_at;
            match before.get(&draft.account) {
                Some(latest)
                    if latest.grade == draft.grade
                        && says_the_same(&latest.evidence, &draft.evidence) =>
                {
                    if latest.evidence.observed_at < observed_at {
                        same.push(Same {
                            id: latest.id.0,
                            observed_at: observed_at.micros(),
                        });
                    }
                }
                _ => new.push(Set {
                    account_id: draft.account.0,
                    line: draft.line,
                    grade: draft.grade.word(),
                    facts: serde_json::to_string(&draft.evidence)?,
                    observed_at: observed_at.micros(),
                }),
            }
        }
        if !same.is_empty() {
            on_set!(
                self, &same, [id bigint, observed_at bigint],
                "UPDATE evidence SET observed_at = d.observed_at FROM d WHERE evidence.id = d.id AND evidence.observed_at < d.observed_at",
                sqlx::query, |query, db| query.execute(db).await.map(|_| ())
            )?;
        }
        if !new.is_empty() {
            on_set!(
                self, &new, [account_id bigint, line bigint, grade text, facts text, observed_at bigint],
                "INSERT INTO evidence (account_id, read_id, line, facts, grade, observed_at) SELECT account_id, $2, line, facts, grade, observed_at FROM d",
                sqlx::query, |query, db| query.bind(read).execute(db).await.map(|_| ())
            )?;
        }
        Ok(())
    }
}

fn says_the_same(one: &Evidence, other: &Evidence) -> bool {
    Evidence {
        observed_at: one.observed_at,
        ..other.clone()
    } == *one
}
