//! Audits and their findings: known by the file's hash and by what was found, so nothing is taken in twice.

use std::collections::HashMap;

use serde::Serialize;

use super::{StoreError, Tx, on, on_set, on_set_as_text, strange};
use crate::domain::finding::{Baseline, Reject, Severity, Weakness};
use crate::domain::identity::{KeyKind, Realm};
use crate::domain::{AccountId, AuditId, CaseId, FindingId, Moment};

/// A file that is about to be taken in.
#[derive(Clone, PartialEq, Debug)]
pub struct NewAudit {
    /// Of the file's bytes, in hexadecimal.
    pub sha256: String,
    /// Name of the configured source.
    pub source: String,
    /// Where its accounts live.
    pub realm: Realm,
    /// Which reader read it.
    pub format: &'static str,
    /// Without its folder.
    pub file_name: String,
    /// How long it is.
    pub size_bytes: u64,
    /// When its data were taken.
    pub as_of: Moment,
    /// Nobody said so: the file's own time stands in.
    pub as_of_assumed: bool,
    /// When it is taken in.
    pub imported_at: Moment,
    /// By whom.
    pub imported_by: String,
}

/// What taking it in came to.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct AuditCounts {
    /// Rows read.
    pub records: u64,
    /// New findings.
    pub findings: u64,
    /// Known findings, seen again.
    pub sighted: u64,
    /// New findings that name nobody, or more than one.
    pub unmatched: u64,
    /// Rows that could not be used.
    pub rejected: u64,
}

/// An audit as it is listed.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Audit {
    /// Its number.
    pub id: AuditId,
    /// Of the file's bytes.
    pub sha256: String,
    /// Name of the source.
    pub source: String,
    /// Where its accounts live.
    pub realm: String,
    /// Which reader read it.
    pub format: String,
    /// Without its folder.
    pub file_name: String,
    /// How long it is.
    pub size_bytes: i64,
    /// When its data were taken.
    pub as_of: Moment,
    /// Nobody said so.
    pub as_of_assumed: bool,
    /// When it was taken in.
    pub imported_at: Moment,
    /// By whom.
    pub imported_by: String,
    /// What it came to.
    pub counts: AuditCounts,
}

#[derive(sqlx::FromRow)]
struct AuditRow {
    id: i64,
    sha256: String,
    source: String,
    realm: String,
    format: String,
    file_name: String,
    size_bytes: i64,
    as_of: i64,
    as_of_assumed: bool,
    imported_at: i64,
    imported_by: String,
    records: i64,
    findings: i64,
    sighted: i64,
    unmatched: i64,
    rejected: i64,
}

impl From<AuditRow> for Audit {
    fn from(row: AuditRow) -> Self {
        Self {
            id: AuditId(row.id),
            sha256: row.sha256,
            source: row.source,
            realm: row.realm,
            format: row.format,
            file_name: row.file_name,
            size_bytes: row.size_bytes,
            as_of: Moment::from_micros(row.as_of),
            as_of_assumed: row.as_of_assumed,
            imported_at: Moment::from_micros(row.imported_at),
            imported_by: row.imported_by,
            counts: AuditCounts {
                records: row.records.unsigned_abs(),
                findings: row.findings.unsigned_abs(),
                sighted: row.sighted.unsigned_abs(),
                unmatched: row.unmatched.unsigned_abs(),
                rejected: row.rejected.unsigned_abs(),
            },
        }
    }
}

/// A finding that may be new.
#[derive(Clone, PartialEq, Debug)]
pub struct FindingDraft {
    /// What makes it the same finding when it is seen again.
    pub dedupe_key: String,
    /// Line of the file.
    pub line: u64,
    /// Whose, if one is certain.
    pub account: Option<AccountId>,
    /// Why not: nobody, ambiguous.
    pub unmatched: Option<&'static str>,
    /// How the source names the account.
    pub key_kind: KeyKind,
    /// As written.
    pub key_given: String,
    /// What is wrong.
    pub weakness: Weakness,
    /// Breach, site or detection.
    pub detail: Option<String>,
    /// How bad.
    pub severity: Severity,
    /// The password was the bad one at this moment.
    pub bad_as_of: Moment,
    /// Nobody said so.
    pub bad_as_of_assumed: bool,
    /// When the source learnt of it.
    pub discovered_at: Option<Moment>,
    /// The directory's own mark.
    pub baseline: Option<Baseline>,
}

/// What became of a draft.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct StoredFinding {
    /// Its number.
    pub id: FindingId,
    /// Whether it was new.
    pub is_new: bool,
    /// Whether a later sighting raised its bad-as-of.
    pub is_raised: bool,
}

#[derive(Serialize)]
struct KeySet<'a> {
    dedupe_key: &'a str,
}

#[derive(Serialize)]
struct DraftSet<'a> {
    /// Where the database does not give it.
    number: i64,
    dedupe_key: &'a str,
    line: u64,
    account_id: Option<i64>,
    key_kind: &'static str,
    key_given: &'a str,
    unmatched: Option<&'static str>,
    weakness: &'static str,
    detail: Option<&'a str>,
    severity: &'static str,
    bad_as_of: i64,
    assumed: bool,
    discovered_at: Option<i64>,
    baseline: Option<String>,
}

impl Tx {
    /// The audit of `source` with these bytes, if it was taken in before.
    pub async fn audit_by_hash(
        &mut self,
        sha256: &str,
        source: &str,
    ) -> Result<Option<AuditId>, StoreError> {
        let row: Option<(i64,)> = on!(self, db => sqlx::query_as("SELECT id FROM audits WHERE sha256 = $1 AND source = $2")
            .bind(sha256).bind(source).fetch_optional(db).await)?;
        Ok(row.map(|(id,)| AuditId(id)))
    }

    /// Writes an audit down; its counts follow when it has been read to the end.
    pub async fn add_audit(&mut self, audit: &NewAudit) -> Result<AuditId, StoreError> {
        let (id,): (i64,) = on!(self, db => sqlx::query_as(
            "INSERT INTO audits (sha256, source, realm, format, file_name, size_bytes, as_of, as_of_assumed, imported_at, imported_by, records, findings, sighted, unmatched, rejected)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0, 0, 0, 0) RETURNING id",
        ).bind(&audit.sha256).bind(&audit.source).bind(&audit.realm.0).bind(audit.format).bind(&audit.file_name)
            .bind(i64::try_from(audit.size_bytes).unwrap_or(i64::MAX)).bind(audit.as_of.micros()).bind(audit.as_of_assumed)
            .bind(audit.imported_at.micros()).bind(&audit.imported_by).fetch_one(db).await)?;
        Ok(AuditId(id))
    }

    /// Writes down what an audit came to.
    pub async fn end_audit(&mut self, id: AuditId, counts: &AuditCounts) -> Result<(), StoreError> {
        let n = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        on!(self, db => sqlx::query("UPDATE audits SET records = $2, findings = $3, sighted = $4, unmatched = $5, rejected = $6 WHERE id = $1")
            .bind(id.0).bind(n(counts.records)).bind(n(counts.findings)).bind(n(counts.sighted)).bind(n(counts.unmatched)).bind(n(counts.rejected))
            .execute(db).await.map(|_| ()))?;
        Ok(())
    }

    /// Takes in a batch of findings, in which each dedupe key stands once. A known one is sighted again: its
    /// bad-as-of rises to the later value, and what was first said of it stays.
    pub async fn add_findings(
        &mut self,
        audit: AuditId,
        drafts: &[FindingDraft],
        now: Moment,
    ) -> Result<Vec<StoredFinding>, StoreError> {
        let sets: Vec<DraftSet> = drafts.iter().map(draft_set).collect::<Result<_, _>>()?;
        let keys: Vec<KeySet<'_>> = sets
            .iter()
            .map(|set| KeySet {
                dedupe_key: set.dedupe_key,
            })
            .collect();
        let text = on_set_as_text!(
            self, &keys, [dedupe_key text],
            ["f.dedupe_key", "f.id", "f.bad_as_of"],
            "FROM d CROSS JOIN findings f WHERE f.dedupe_key = d.dedupe_key",
            |query| query
        );
        let known: Vec<(String, i64, i64)> = serde_json::from_str(&text)?;
        let known: HashMap<String, (i64, i64)> = known
            .into_iter()
            .map(|(key, id, bad_as_of)| (key, (id, bad_as_of)))
            .collect();
        let (again, mut new): (Vec<DraftSet>, Vec<DraftSet>) = sets
            .into_iter()
            .partition(|set| known.contains_key(set.dedupe_key));
        let mut stored: HashMap<String, StoredFinding> = HashMap::with_capacity(drafts.len());
        for set in &again {
            if let Some((id, before)) = known.get(set.dedupe_key) {
                stored.insert(
                    set.dedupe_key.to_owned(),
                    StoredFinding {
                        id: FindingId(*id),
                        is_new: false,
                        is_raised: set.bad_as_of > *before,
                    },
                );
            }
        }
        self.sight(audit, &again).await?;
        let rows = self.insert_findings(audit, &mut new, now).await?;
        stored.extend(rows.into_iter().map(|(key, id)| {
            (
                key,
                StoredFinding {
                    id: FindingId(id),
                    is_new: true,
                    is_raised: false,
                },
            )
        }));
        drafts
            .iter()
            .map(|draft| {
                stored
                    .get(&draft.dedupe_key)
                    .copied()
                    .ok_or_else(|| strange("findings", "dedupe_key", 0))
            })
            .collect()
    }

    /// New findings, with the number that each has now.
    async fn insert_findings(
        &mut self,
        audit: AuditId,
        new: &mut [DraftSet<'_>],
        now: Moment,
    ) -> Result<Vec<(String, i64)>, StoreError> {
        macro_rules! insert {
            ($id:literal, $number:literal, $returning:literal) => {
                concat!(
                    "INSERT INTO findings (", $id, "dedupe_key, audit_id, line, account_id, key_kind, key_given, unmatched, weakness, detail, severity, bad_as_of, bad_as_of_assumed, discovered_at, baseline, found_at)
                     SELECT ", $number, "dedupe_key, $2, line, account_id, key_kind, key_given, unmatched, weakness, detail, severity, bad_as_of, assumed, discovered_at, baseline, $3 FROM d", $returning
                )
            };
        }
        if matches!(self, Self::Postgres(_)) {
            return Ok(on_set!(
                self, new,
                [dedupe_key text, line bigint, account_id bigint, key_kind text, key_given text, unmatched text, weakness text, detail text, severity text,
                 bad_as_of bigint, assumed boolean, discovered_at bigint, baseline text],
                insert!("", "", " RETURNING dedupe_key, id"),
                sqlx::query_as::<_, (String, i64)>, |query, db| query.bind(audit.0).bind(now.micros()).fetch_all(db).await
            )?);
        }
        let first = self
            .next_number("SELECT COALESCE(MAX(id), 0) + 1 FROM findings")
            .await?;
        for (set, number) in new.iter_mut().zip(first..) {
            set.number = number;
        }
        on_set!(
            self, new,
            [number bigint, dedupe_key text, line bigint, account_id bigint, key_kind text, key_given text, unmatched text, weakness text, detail text, severity text,
             bad_as_of bigint, assumed boolean, discovered_at bigint, baseline text],
            insert!("id, ", "number, ", ""),
            sqlx::query, |query, db| query.bind(audit.0).bind(now.micros()).execute(db).await.map(|_| ())
        )?;
        let numbered = new.iter();
        Ok(numbered
            .map(|set| (set.dedupe_key.to_owned(), set.number))
            .collect())
    }

    async fn sight(&mut self, audit: AuditId, again: &[DraftSet<'_>]) -> Result<(), StoreError> {
        if again.is_empty() {
            return Ok(());
        }
        on_set!(
            self, again, [dedupe_key text, bad_as_of bigint],
            "INSERT INTO sightings (finding_id, audit_id, bad_as_of) SELECT f.id, $2, MAX(d.bad_as_of) FROM d JOIN findings f ON f.dedupe_key = d.dedupe_key WHERE true GROUP BY f.id
             ON CONFLICT (finding_id, audit_id) DO UPDATE SET bad_as_of = excluded.bad_as_of WHERE excluded.bad_as_of > sightings.bad_as_of",
            sqlx::query, |query, db| query.bind(audit.0).execute(db).await.map(|_| ())
        )?;
        on_set!(
            self, again, [dedupe_key text, bad_as_of bigint, assumed boolean],
            "UPDATE findings SET bad_as_of = d.bad_as_of, bad_as_of_assumed = d.assumed FROM d WHERE findings.dedupe_key = d.dedupe_key AND d.bad_as_of > findings.bad_as_of",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        Ok(())
    }

    /// Writes down which case these findings opened or joined.
    pub async fn link_findings(&mut self, links: &[(FindingId, CaseId)]) -> Result<(), StoreError> {
        #[derive(Serialize)]
        struct Link {
            id: i64,
            case_id: i64,
        }
        let links: Vec<Link> = links
            .iter()
            .map(|(finding, case)| Link {
                id: finding.0,
                case_id: case.0,
            })
            .collect();
        on_set!(
            self, &links, [id bigint, case_id bigint],
            "UPDATE findings SET case_id = d.case_id FROM d WHERE findings.id = d.id",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        Ok(())
    }

    /// Keeps which lines could not be used, and why; never what they say.
    pub async fn add_rejects(
        &mut self,
        audit: AuditId,
        rejects: &[Reject],
    ) -> Result<(), StoreError> {
        #[derive(Serialize)]
        struct Set {
            line: u64,
            reason: &'static str,
        }
        let sets: Vec<Set> = rejects
            .iter()
            .map(|reject| Set {
                line: reject.line,
                reason: reject.reason.word(),
            })
            .collect();
        on_set!(
            self, &sets, [line bigint, reason text],
            "INSERT INTO rejects (audit_id, line, reason) SELECT $2, line, reason FROM d",
            sqlx::query, |query, db| query.bind(audit.0).execute(db).await.map(|_| ())
        )?;
        Ok(())
    }

    /// How many accounts of a realm there are.
    pub async fn accounts_of(&mut self, realm: &Realm) -> Result<u64, StoreError> {
        let (count,): (i64,) = on!(self, db => sqlx::query_as("SELECT COUNT(*) FROM accounts WHERE realm = $1 AND left_at IS NULL")
            .bind(&realm.0).fetch_one(db).await)?;
        Ok(count.unsigned_abs())
    }

    /// How many findings the last audit of `source` before `audit` had, new and known. One of the very same bytes, which are
    /// `sha256`, is none: a dump is taken in by itself before it is joined with lists, and tells little then.
    pub async fn findings_before(
        &mut self,
        source: &str,
        audit: AuditId,
        sha256: &str,
    ) -> Result<Option<u64>, StoreError> {
        let row: Option<(i64,)> = on!(self, db => sqlx::query_as("SELECT findings + sighted FROM audits WHERE source = $1 AND id < $2 AND sha256 <> $3 ORDER BY id DESC LIMIT 1")
            .bind(source).bind(audit.0).bind(sha256).fetch_optional(db).await)?;
        Ok(row.map(|(count,)| count.unsigned_abs()))
    }

    /// Who was the last to try to take in a file that waits for a second operator; none if nobody did.
    pub async fn held_by(&mut self, thing: &str) -> Result<Option<String>, StoreError> {
        let row: Option<(String,)> = on!(self, db => sqlx::query_as("SELECT actor FROM ledger WHERE thing = $1 AND act = 'audit.held' ORDER BY id DESC LIMIT 1")
            .bind(thing).fetch_optional(db).await)?;
        Ok(row.map(|(actor,)| actor))
    }

    /// One audit.
    pub async fn audit(&mut self, id: AuditId) -> Result<Option<Audit>, StoreError> {
        let row: Option<AuditRow> = on!(self, db => sqlx::query_as(
            "SELECT id, sha256, source, realm, format, file_name, size_bytes, as_of, as_of_assumed, imported_at, imported_by, records, findings, sighted, unmatched, rejected
             FROM audits WHERE id = $1",
        ).bind(id.0).fetch_optional(db).await)?;
        Ok(row.map(Audit::from))
    }

    /// The lines of an audit that could not be used.
    pub async fn rejects(&mut self, audit: AuditId) -> Result<Vec<(i64, String)>, StoreError> {
        Ok(
            on!(self, db => sqlx::query_as("SELECT line, reason FROM rejects WHERE audit_id = $1 ORDER BY line, reason").bind(audit.0).fetch_all(db).await)?,
        )
    }

    /// All audits that were taken in by `as_of`, oldest first.
    pub async fn audits(&mut self, as_of: Moment) -> Result<Vec<Audit>, StoreError> {
        let rows: Vec<AuditRow> = on!(self, db => sqlx::query_as(
            "SELECT id, sha256, source, realm, format, file_name, size_bytes, as_of, as_of_assumed, imported_at, imported_by, records, findings, sighted, unmatched, rejected
             FROM audits WHERE imported_at <= $1 ORDER BY id",
        ).bind(as_of.micros()).fetch_all(db).await)?;
        Ok(rows.into_iter().map(Audit::from).collect())
    }

    /// How many findings there are by weakness and by what became of them: `weak/cracked`, `mail`, 13.
    pub async fn finding_counts(
        &mut self,
        audit: AuditId,
    ) -> Result<Vec<(String, i64)>, StoreError> {
        Ok(
            on!(self, db => sqlx::query_as("SELECT weakness, COUNT(*) FROM findings WHERE audit_id = $1 GROUP BY weakness ORDER BY weakness").bind(audit.0).fetch_all(db).await)?,
        )
    }
}

fn draft_set(draft: &FindingDraft) -> Result<DraftSet<'_>, StoreError> {
    Ok(DraftSet {
        number: 0,
        dedupe_key: &draft.dedupe_key,
        line: draft.line,
        account_id: draft.account.map(|id| id.0),
        key_kind: draft.key_kind.word(),
        key_given: &draft.key_given,
        unmatched: draft.unmatched,
        weakness: draft.weakness.text(),
        detail: draft.detail.as_deref(),
        severity: draft.severity.word(),
        bad_as_of: draft.bad_as_of.micros(),
        assumed: draft.bad_as_of_assumed,
        discovered_at: draft.discovered_at.map(Moment::micros),
        baseline: draft
            .baseline
            .as_ref()
            .map(serde_json::to_string)
            .transpose()?,
    })
}
