//! Containments: what was done to accounts, by whom, since when. Only ever added to.

use std::collections::HashMap;

use serde::Serialize;

use super::{StoreError, Tx, ids, on, on_set, strange};
use crate::domain::case::ClosedAs;
use crate::domain::containment::{ContainmentAct, Ended};
use crate::domain::evidence::Grade;
use crate::domain::finding::Category;
use crate::domain::{AccountId, CaseId, Moment};

/// Something that was done to an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ContainmentDraft {
    /// To which.
    pub account: AccountId,
    /// What.
    pub act: ContainmentAct,
    /// Since when it holds.
    pub effective_at: Moment,
    /// Which team or system did it.
    pub done_by: String,
    /// On what proof.
    pub how: String,
}

/// The same, as it was written down.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Containment {
    /// Its number.
    pub id: i64,
    /// To which account.
    pub account: AccountId,
    /// What.
    pub act: ContainmentAct,
    /// Since when it holds.
    pub effective_at: Moment,
    /// Which team or system did it.
    pub done_by: String,
    /// On what proof.
    pub how: String,
    /// When it was written down.
    pub noted_at: Moment,
    /// By which operator.
    pub noted_by: String,
}

#[derive(sqlx::FromRow)]
struct ContainmentRow {
    id: i64,
    account_id: i64,
    act: String,
    effective_at: i64,
    done_by: String,
    how: String,
    noted_at: i64,
    noted_by: String,
}

impl TryFrom<ContainmentRow> for Containment {
    type Error = StoreError;

    fn try_from(row: ContainmentRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            account: AccountId(row.account_id),
            act: ContainmentAct::from_word(&row.act)
                .ok_or_else(|| strange("containments", "act", row.id))?,
            effective_at: Moment::from_micros(row.effective_at),
            done_by: row.done_by,
            how: row.how,
            noted_at: Moment::from_micros(row.noted_at),
            noted_by: row.noted_by,
        })
    }
}

#[derive(sqlx::FromRow)]
struct EndedRow {
    id: i64,
    account_id: i64,
    category: String,
    closed_as: Option<String>,
    grade: Option<String>,
    safe_at: Option<i64>,
    bad_as_of: i64,
    contained_at: Option<i64>,
}

impl EndedRow {
    fn read(self) -> Result<(AccountId, CaseId, Ended), StoreError> {
        let closed_as = self
            .closed_as
            .map(|word| {
                ClosedAs::from_word(&word).ok_or_else(|| strange("cases", "closed_as", self.id))
            })
            .transpose()?;
        let grade = self
            .grade
            .map(|word| {
                Grade::from_word(&word).ok_or_else(|| strange("evidence", "grade", self.id))
            })
            .transpose()?;
        let ended = Ended {
            category: Category::from_word(&self.category)
                .ok_or_else(|| strange("cases", "category", self.id))?,
            closed_as,
            grade,
            safe_at: self.safe_at.map(Moment::from_micros),
            bad_as_of: Moment::from_micros(self.bad_as_of),
            contained_at: self.contained_at.map(Moment::from_micros),
        };
        Ok((AccountId(self.account_id), CaseId(self.id), ended))
    }
}

impl Tx {
    /// Writes down what was done; what is written down already is not written twice. Each new one is in the ledger. Returns
    /// the accounts of those that are new, in order.
    pub async fn contain(
        &mut self,
        drafts: &[ContainmentDraft],
        by: &str,
        now: Moment,
    ) -> Result<Vec<AccountId>, StoreError> {
        if drafts.is_empty() {
            return Ok(Vec::new());
        }
        #[derive(Serialize)]
        struct Set<'a> {
            account_id: i64,
            act: &'static str,
            effective_at: i64,
            done_by: &'a str,
            how: &'a str,
        }
        let sets: Vec<Set> = drafts
            .iter()
            .map(|draft| Set {
                account_id: draft.account.0,
                act: draft.act.word(),
                effective_at: draft.effective_at.micros(),
                done_by: &draft.done_by,
                how: &draft.how,
            })
            .collect();
        let mut new: Vec<(i64, i64)> = on_set!(
            self, &sets, [account_id bigint, act text, effective_at bigint, done_by text, how text],
            "INSERT INTO containments (account_id, act, effective_at, done_by, how, noted_at, noted_by)
             SELECT account_id, act, effective_at, done_by, how, $2, $3 FROM d WHERE true ON CONFLICT (account_id, act, effective_at) DO NOTHING RETURNING id, account_id",
            sqlx::query_as::<_, (i64, i64)>, |query, db| query.bind(now.micros()).bind(by).fetch_all(db).await
        )?;
        new.sort_unstable();
        on_set!(
            self, &ids(new.iter().map(|(id, _)| *id)), [id bigint],
            "INSERT INTO ledger (at, actor, act, thing, effective_at, detail)
             SELECT $2, $3, 'containment.' || m.act, 'account:' || m.account_id, m.effective_at, '{\"containment\":' || m.id || '}' FROM d JOIN containments m ON m.id = d.id ORDER BY m.id",
            sqlx::query, |query, db| query.bind(now.micros()).bind(by).execute(db).await.map(|_| ())
        )?;
        let mut accounts: Vec<AccountId> = new
            .into_iter()
            .map(|(_, account)| AccountId(account))
            .collect();
        accounts.sort_unstable();
        accounts.dedup();
        Ok(accounts)
    }

    /// What was done to these accounts, oldest first.
    pub async fn containments_of(
        &mut self,
        accounts: &[AccountId],
    ) -> Result<Vec<Containment>, StoreError> {
        let rows: Vec<ContainmentRow> = on_set!(
            self, &ids(accounts.iter().map(|id| id.0)), [id bigint],
            "SELECT m.id, m.account_id, m.act, m.effective_at, m.done_by, m.how, m.noted_at, m.noted_by FROM d JOIN containments m ON m.account_id = d.id ORDER BY m.account_id, m.effective_at, m.id",
            sqlx::query_as::<_, ContainmentRow>, |query, db| query.fetch_all(db).await
        )?;
        rows.into_iter().map(Containment::try_from).collect()
    }

    /// The accounts to which anything was done, by number from `after` on.
    pub async fn contained_accounts(
        &mut self,
        after: AccountId,
        limit: i64,
    ) -> Result<Vec<AccountId>, StoreError> {
        let rows: Vec<(i64,)> = on!(self, db => sqlx::query_as("SELECT DISTINCT account_id FROM containments WHERE account_id > $1 ORDER BY account_id LIMIT $2")
            .bind(after.0).bind(limit).fetch_all(db).await)?;
        Ok(rows.into_iter().map(|(id,)| AccountId(id)).collect())
    }

    /// All cases of these accounts, as far as letting them in again is concerned.
    pub async fn ended_cases(
        &mut self,
        accounts: &[AccountId],
    ) -> Result<HashMap<AccountId, Vec<(CaseId, Ended)>>, StoreError> {
        let rows: Vec<EndedRow> = on_set!(
            self, &ids(accounts.iter().map(|id| id.0)), [id bigint],
            "SELECT c.id, c.account_id, c.category, c.closed_as, v.grade, c.safe_at, c.bad_as_of, c.contained_at FROM d JOIN cases c ON c.account_id = d.id LEFT JOIN evidence v ON v.id = c.evidence_id ORDER BY c.id",
            sqlx::query_as::<_, EndedRow>, |query, db| query.fetch_all(db).await
        )?;
        let mut cases: HashMap<AccountId, Vec<(CaseId, Ended)>> = HashMap::new();
        for row in rows {
            let (account, case, ended) = row.read()?;
            cases.entry(account).or_default().push((case, ended));
        }
        Ok(cases)
    }

    /// The accounts that a word names: an object id, SID, UPN or login. Several if it is not unique.
    pub async fn accounts_named(&mut self, folded: &str) -> Result<Vec<AccountId>, StoreError> {
        let rows: Vec<(i64,)> = on!(self, db => sqlx::query_as("SELECT DISTINCT account_id FROM account_keys WHERE key = $1 AND kind IN ('object_id', 'sid', 'upn', 'sam') ORDER BY account_id LIMIT 10")
            .bind(folded).fetch_all(db).await)?;
        Ok(rows.into_iter().map(|(id,)| AccountId(id)).collect())
    }
}
