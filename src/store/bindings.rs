//! Bindings: findings that name nobody the directory knows, and whose they are by an operator's word.

use std::collections::HashMap;

use serde::Serialize;

use super::{StoreError, Tx, on, on_set, strange};
use crate::domain::finding::{Severity, Weakness};
use crate::domain::identity::{Key, KeyKind, Realm};
use crate::domain::{AccountId, AuditId, FindingId, Moment};

/// A finding that names nobody, or more than one.
#[derive(Clone, PartialEq, Debug)]
pub struct UnmatchedFinding {
    /// Its number.
    pub id: FindingId,
    /// The audit that first had it.
    pub audit: AuditId,
    /// Name of the source.
    pub source: String,
    /// Where its accounts live.
    pub realm: Realm,
    /// Line of the file.
    pub line: u64,
    /// How the source names the account.
    pub key: Key,
    /// Why there is no account: nobody, ambiguous.
    pub why: String,
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
    /// When the audit's data were taken.
    pub audit_as_of: Moment,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    audit_id: i64,
    source: String,
    realm: String,
    line: i64,
    key_kind: String,
    key_given: String,
    unmatched: Option<String>,
    weakness: String,
    detail: Option<String>,
    severity: String,
    bad_as_of: i64,
    bad_as_of_assumed: bool,
    as_of: i64,
}

impl TryFrom<Row> for UnmatchedFinding {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let odd = |column| strange("findings", column, row.id);
        let kind = KeyKind::from_word(&row.key_kind).ok_or_else(|| odd("key_kind"))?;
        Ok(Self {
            id: FindingId(row.id),
            audit: AuditId(row.audit_id),
            source: row.source,
            realm: Realm(row.realm),
            line: row.line.unsigned_abs(),
            key: Key::new(kind, &row.key_given).ok_or_else(|| odd("key_given"))?,
            why: row.unmatched.unwrap_or_default(),
            weakness: Weakness::from_text(&row.weakness).ok_or_else(|| odd("weakness"))?,
            detail: row.detail,
            severity: Severity::from_word(&row.severity).ok_or_else(|| odd("severity"))?,
            bad_as_of: Moment::from_micros(row.bad_as_of),
            bad_as_of_assumed: row.bad_as_of_assumed,
            audit_as_of: Moment::from_micros(row.as_of),
        })
    }
}

impl Tx {
    /// Findings that name nobody, or more than one, after `after`, oldest first.
    pub async fn unmatched_findings(
        &mut self,
        after: FindingId,
        limit: i64,
    ) -> Result<Vec<UnmatchedFinding>, StoreError> {
        let rows: Vec<Row> = on!(self, db => sqlx::query_as(
            "SELECT f.id, f.audit_id, a.source, a.realm, f.line, f.key_kind, f.key_given, f.unmatched, f.weakness, f.detail, f.severity, f.bad_as_of, f.bad_as_of_assumed, a.as_of
             FROM findings f JOIN audits a ON a.id = f.audit_id WHERE f.account_id IS NULL AND f.id > $1 ORDER BY f.id LIMIT $2",
        ).bind(after.0).bind(limit).fetch_all(db).await)?;
        rows.into_iter().map(UnmatchedFinding::try_from).collect()
    }

    /// Where an account lives; none: there is no such account, or it has left.
    pub async fn realm_of(&mut self, account: AccountId) -> Result<Option<Realm>, StoreError> {
        let row: Option<(String,)> = on!(self, db => sqlx::query_as("SELECT realm FROM accounts WHERE id = $1 AND left_at IS NULL")
            .bind(account.0).fetch_optional(db).await)?;
        Ok(row.map(|(realm,)| Realm(realm)))
    }

    /// The accounts of a realm that this login names: a sAMAccountName, a principal name or an address, folded.
    pub async fn accounts_of_login(
        &mut self,
        realm: &Realm,
        login: &str,
    ) -> Result<Vec<AccountId>, StoreError> {
        let rows: Vec<(i64,)> = on!(self, db => sqlx::query_as(
            "SELECT DISTINCT a.id FROM account_keys k CROSS JOIN accounts a WHERE k.kind IN ('sam', 'upn', 'email') AND k.key = $2 AND a.id = k.account_id AND a.realm = $1 AND a.left_at IS NULL ORDER BY a.id",
        ).bind(&realm.0).bind(login).fetch_all(db).await)?;
        Ok(rows.into_iter().map(|(id,)| AccountId(id)).collect())
    }

    /// Says whose a name is, from now on. Said again, the later word holds.
    pub async fn bind_key(
        &mut self,
        realm: &Realm,
        key: &Key,
        account: AccountId,
        by: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        on!(self, db => sqlx::query(
            "INSERT INTO bindings (realm, key_kind, key, account_id, bound_at, bound_by) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (realm, key_kind, key) DO UPDATE SET account_id = excluded.account_id, bound_at = excluded.bound_at, bound_by = excluded.bound_by",
        ).bind(&realm.0).bind(key.kind.word()).bind(key.folded()).bind(account.0).bind(now.micros()).bind(by).execute(db).await.map(|_| ()))?;
        let detail = serde_json::json!({ "realm": realm, "kind": key.kind }).to_string();
        let thing = format!("account:{account}");
        self.note(now, by, "key.bound", Some(&thing), Some(&detail))
            .await
    }

    /// The accounts that these names were bound to, of those that are still there.
    pub async fn bound(
        &mut self,
        realm: &Realm,
        keys: &[&Key],
    ) -> Result<HashMap<(KeyKind, String), AccountId>, StoreError> {
        #[derive(Serialize)]
        struct Asked {
            kind: &'static str,
            key: String,
        }
        let asked: Vec<Asked> = keys
            .iter()
            .map(|key| Asked {
                kind: key.kind.word(),
                key: key.folded(),
            })
            .collect();
        let rows: Vec<(String, String, i64)> = on_set!(
            self, &asked, [kind text, key text],
            "SELECT b.key_kind, b.key, b.account_id FROM d CROSS JOIN bindings b CROSS JOIN accounts a
             WHERE b.realm = $2 AND b.key_kind = d.kind AND b.key = d.key AND a.id = b.account_id AND a.left_at IS NULL",
            sqlx::query_as::<_, (String, String, i64)>, |query, db| query.bind(&realm.0).fetch_all(db).await
        )?;
        rows.into_iter()
            .map(|(kind, key, id)| {
                let kind =
                    KeyKind::from_word(&kind).ok_or_else(|| strange("bindings", "key_kind", id))?;
                Ok(((kind, key), AccountId(id)))
            })
            .collect()
    }

    /// Gives findings that named nobody to an account.
    pub async fn match_findings(
        &mut self,
        findings: &[FindingId],
        account: AccountId,
    ) -> Result<(), StoreError> {
        #[derive(Serialize)]
        struct Id {
            id: i64,
        }
        let ids: Vec<Id> = findings.iter().map(|id| Id { id: id.0 }).collect();
        on_set!(
            self, &ids, [id bigint],
            "UPDATE findings SET account_id = $2, unmatched = NULL FROM d WHERE findings.id = d.id AND findings.account_id IS NULL",
            sqlx::query, |query, db| query.bind(account.0).execute(db).await.map(|_| ())
        )?;
        Ok(())
    }
}
