//! What the evidence sources said of each account, and when it was last confirmed.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use sqlx::QueryBuilder;

use super::{StoreError, Tx, ids, on, on_list, on_set, strange};
use crate::domain::evidence::{Actor, Change, Evidence, Grade};
use crate::domain::identity::Realm;
use crate::domain::{AccountId, EvidenceId, Moment};

/// How many rows are written at once.
const MOST_ROWS: usize = 500;

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
        let facts: Facts = serde_json::from_str(facts).map_err(|_| bad("facts"))?;
        Ok(Self {
            id: EvidenceId(id),
            grade: Grade::from_word(grade).ok_or_else(|| bad("grade"))?,
            evidence: facts.at(Moment::from_micros(observed_at)),
        })
    }
}

/// An account that the directory's immutable id names, and what is known of it.
#[derive(Clone, PartialEq, Debug)]
pub struct KnownObject {
    /// Which.
    pub account: AccountId,
    /// Whether it has, or had, a case.
    pub has_cases: bool,
    /// Its newest evidence.
    pub latest: Option<LatestEvidence>,
}

/// Evidence as it is kept: what is not said is not written. When it was observed has a column of its own.
#[derive(Serialize, Deserialize)]
#[serde(default)]
struct Facts {
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<Change>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_changed_at: Option<Moment>,
    #[serde(skip_serializing_if = "is_false")]
    pending: bool,
    #[serde(skip_serializing_if = "is_false")]
    date_is_zero: bool,
    #[serde(skip_serializing_if = "is_false")]
    disabled: bool,
    #[serde(skip_serializing_if = "is_true")]
    exists: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions_valid_from: Option<Moment>,
    #[serde(skip_serializing_if = "is_unknown")]
    actor: Actor,
}

// Serde's form of a condition.
#[allow(clippy::trivially_copy_pass_by_ref)]
const fn is_false(it: &bool) -> bool {
    !*it
}

#[allow(clippy::trivially_copy_pass_by_ref)]
const fn is_true(it: &bool) -> bool {
    *it
}

#[allow(clippy::trivially_copy_pass_by_ref)]
const fn is_unknown(actor: &Actor) -> bool {
    matches!(actor, Actor::Unknown)
}

impl Default for Facts {
    fn default() -> Self {
        Self::of(&Evidence::silent(Moment::from_micros(0)))
    }
}

impl Facts {
    /// All that evidence says but when that was observed.
    fn of(evidence: &Evidence) -> Self {
        let Evidence {
            changed,
            secret_changed_at,
            pending,
            date_is_zero,
            disabled,
            exists,
            sessions_valid_from,
            actor,
            observed_at: _,
        } = *evidence;
        Self {
            changed,
            secret_changed_at,
            pending,
            date_is_zero,
            disabled,
            exists,
            sessions_valid_from,
            actor,
        }
    }

    fn at(self, observed_at: Moment) -> Evidence {
        Evidence {
            changed: self.changed,
            secret_changed_at: self.secret_changed_at,
            pending: self.pending,
            date_is_zero: self.date_is_zero,
            disabled: self.disabled,
            exists: self.exists,
            sessions_valid_from: self.sessions_valid_from,
            actor: self.actor,
            observed_at,
        }
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
    /// that two bear nothing is said. A whole directory asks this at every sweep, so it is one question for all of it, and
    /// the answer is one text: a row of its own for each would take longer to hand over than to find.
    pub async fn known_by_object(
        &mut self,
        realm: &Realm,
        object_ids: &[&str],
    ) -> Result<HashMap<String, KnownObject>, StoreError> {
        type Row<'a> = (
            Cow<'a, str>,
            i64,
            u8,
            Option<i64>,
            Option<&'a str>,
            Option<Cow<'a, str>>,
            Option<i64>,
        );
        macro_rules! question {
            ($list:literal, $row:literal) => {
                concat!(
                    "SELECT COALESCE(CAST(", $list, "(", $row, "(k.key, k.account_id, CASE WHEN EXISTS (SELECT 1 FROM cases c WHERE c.account_id = k.account_id) THEN 1 ELSE 0 END,
                     e.id, e.grade, e.facts, e.observed_at)) AS TEXT), '[]')
                     FROM d CROSS JOIN account_keys k CROSS JOIN accounts a LEFT JOIN evidence e ON e.id = (SELECT MAX(l.id) FROM evidence l WHERE l.account_id = k.account_id)
                     WHERE k.kind = 'object_id' AND k.key = d.value AND a.id = k.account_id AND a.realm = $2 AND a.left_at IS NULL"
                )
            };
        }
        let list = serde_json::to_string(object_ids)?;
        let (rows,): (String,) = match self {
            Self::Sqlite(tx) => {
                sqlx::query_as(concat!(
                    "WITH d AS (SELECT value FROM json_each($1)) ",
                    question!("json_group_array", "json_array")
                ))
                .bind(list)
                .bind(&realm.0)
                .fetch_one(&mut **tx)
                .await?
            }
            Self::Postgres(tx) => {
                sqlx::query_as(concat!(
                    "WITH d AS (SELECT value FROM json_array_elements_text($1::json)) ",
                    question!("json_agg", "json_build_array")
                ))
                .bind(list)
                .bind(&realm.0)
                .fetch_one(&mut **tx)
                .await?
            }
        };
        let rows: Vec<Row<'_>> = serde_json::from_str(&rows)?;
        let mut known: HashMap<String, Option<KnownObject>> = HashMap::with_capacity(rows.len());
        for (key, account, has_cases, id, grade, facts, observed_at) in rows {
            let latest = match (id, grade, facts, observed_at) {
                (Some(id), Some(grade), Some(facts), Some(observed_at)) => {
                    Some(LatestEvidence::of(id, grade, &facts, observed_at)?)
                }
                _ => None,
            };
            let one = KnownObject {
                account: AccountId(account),
                has_cases: has_cases != 0,
                latest,
            };
            known
                .entry(key.into_owned())
                .and_modify(|two| *two = None)
                .or_insert(Some(one));
        }
        Ok(known
            .into_iter()
            .filter_map(|(key, one)| Some((key, one?)))
            .collect())
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
        let (mut new, mut same) = (Vec::new(), BTreeMap::<i64, Vec<i64>>::new());
        for draft in drafts {
            let observed_at = draft.evidence.observed_at;
            match before.get(&draft.account) {
                Some(latest)
                    if latest.grade == draft.grade
                        && says_the_same(&latest.evidence, &draft.evidence) =>
                {
                    if latest.evidence.observed_at < observed_at {
                        let all = same.entry(observed_at.micros()).or_default();
                        all.push(latest.id.0);
                    }
                }
                _ => new.push((draft, serde_json::to_string(&Facts::of(&draft.evidence))?)),
            }
        }
        for (observed_at, ids) in same {
            on_list!(
                self,
                &ids,
                bigint,
                "UPDATE evidence SET observed_at = $2 WHERE id IN (SELECT value FROM d) AND observed_at < $2",
                sqlx::query,
                |query, db| query.bind(observed_at).execute(db).await.map(|_| ())
            )?;
        }
        // Bound one by one, not as one JSON text, which SQLite turns from text to its own form and back for each column: the first
        // sweep of a directory writes as many rows as it has accounts.
        for rows in new.chunks(MOST_ROWS) {
            on!(self, db => {
                let mut insert = QueryBuilder::new(
                    "INSERT INTO evidence (account_id, read_id, line, facts, grade, observed_at) ",
                );
                insert.push_values(rows, |mut row, (draft, facts)| {
                    row.push_bind(draft.account.0)
                        .push_bind(read)
                        .push_bind(i64::try_from(draft.line).unwrap_or(i64::MAX))
                        .push_bind(facts)
                        .push_bind(draft.grade.word())
                        .push_bind(draft.evidence.observed_at.micros());
                });
                // Only what comes again is worth being kept prepared.
                let is_usual = rows.len() == MOST_ROWS;
                insert.build().persistent(is_usual).execute(db).await.map(|_| ())
            })?;
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
