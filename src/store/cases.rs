//! Cases as they are read: one, a page, a person's, a thread's, and what is needed to decide about some.

use std::collections::{HashMap, HashSet};

use super::{LatestEvidence, One, StoreError, Tx, ids, on, on_set, on_set_as_text, strange};
use crate::domain::case::{CaseState, Claim, ClosedAs, Ended, Route};
use crate::domain::closing::ClosingReason;
use crate::domain::evidence::Standing;
use crate::domain::finding::{Baseline, Category, Severity};
use crate::domain::identity::Realm;
use crate::domain::{AccountId, CaseId, Moment, PersonId};

/// A case as it is shown.
#[derive(Clone, PartialEq, Debug)]
pub struct CaseRow {
    /// Its number.
    pub id: CaseId,
    /// Whose password.
    pub account: AccountId,
    /// Who is told.
    pub person: Option<PersonId>,
    /// Whose work it is.
    pub route: Route,
    /// Where the account belonged when the case opened.
    pub department: String,
    /// What its findings amount to.
    pub claim: Claim,
    /// When it opened.
    pub opened_at: Moment,
    /// The closed case that it proves wrong.
    pub reopens: Option<CaseId>,
    /// Where it is.
    pub state: CaseState,
    /// What the directory's word amounts to.
    pub standing: Standing,
    /// The conversation with its person.
    pub thread: Option<i64>,
    /// When the new password is wanted.
    pub deadline_at: Option<Moment>,
    /// Why the notice did not get through.
    pub not_reached: Option<String>,
    /// When sign-in was blocked and sessions were revoked.
    pub contained_at: Option<Moment>,
    /// When the incident lead decided that its person is told before that.
    pub contain_override_at: Option<Moment>,
    /// Until when it is exempt.
    pub exempt_until: Option<Moment>,
    /// Until when one operator lets it rest: no letter goes meanwhile, and it is due all the same.
    pub snoozed_until: Option<Moment>,
    /// The operator who sees to it that its person is reached.
    pub reach_by: Option<String>,
    /// In which way it was closed.
    pub closed_reason: Option<ClosingReason>,
    /// When the directory says it was made safe.
    pub safe_at: Option<Moment>,
}

#[derive(sqlx::FromRow)]
struct Raw {
    id: i64,
    account_id: i64,
    person_id: Option<i64>,
    route: String,
    department: String,
    category: String,
    severity: String,
    found_at: i64,
    bad_as_of: i64,
    baseline: Option<String>,
    opened_at: i64,
    reopens_id: Option<i64>,
    state: String,
    standing: String,
    thread_id: Option<i64>,
    notice_at: Option<i64>,
    deadline_at: Option<i64>,
    not_reached: Option<String>,
    contained_at: Option<i64>,
    contain_override_at: Option<i64>,
    exempt_until: Option<i64>,
    snoozed_until: Option<i64>,
    reach_by: Option<String>,
    closed_reason: Option<String>,
    closed_at: Option<i64>,
    closed_as: Option<String>,
    safe_at: Option<i64>,
}

impl TryFrom<Raw> for CaseRow {
    type Error = StoreError;

    fn try_from(row: Raw) -> Result<Self, StoreError> {
        let bad = |column| strange("cases", column, row.id);
        let at = |micros: Option<i64>| micros.map(Moment::from_micros);
        let state = match row.state.as_str() {
            "open" => CaseState::Open,
            "notified" => CaseState::Notified {
                at: at(row.notice_at).ok_or_else(|| bad("notice_at"))?,
            },
            "closed" => CaseState::Closed {
                at: at(row.closed_at).ok_or_else(|| bad("closed_at"))?,
                closed_as: row
                    .closed_as
                    .as_deref()
                    .and_then(ClosedAs::from_word)
                    .ok_or_else(|| bad("closed_as"))?,
            },
            _ => return Err(bad("state")),
        };
        Ok(Self {
            id: CaseId(row.id),
            account: AccountId(row.account_id),
            person: row.person_id.map(PersonId),
            route: Route::from_word(&row.route).ok_or_else(|| bad("route"))?,
            claim: Claim {
                category: Category::from_word(&row.category).ok_or_else(|| bad("category"))?,
                severity: Severity::from_word(&row.severity).ok_or_else(|| bad("severity"))?,
                bad_as_of: Moment::from_micros(row.bad_as_of),
                baseline: row
                    .baseline
                    .as_deref()
                    .map(serde_json::from_str::<Baseline>)
                    .transpose()
                    .map_err(|_| bad("baseline"))?,
                found_at: Moment::from_micros(row.found_at),
            },
            opened_at: Moment::from_micros(row.opened_at),
            reopens: row.reopens_id.map(CaseId),
            state,
            standing: Standing::from_word(&row.standing).ok_or_else(|| bad("standing"))?,
            thread: row.thread_id,
            deadline_at: at(row.deadline_at),
            contained_at: at(row.contained_at),
            contain_override_at: at(row.contain_override_at),
            exempt_until: at(row.exempt_until),
            snoozed_until: at(row.snoozed_until),
            reach_by: row.reach_by,
            closed_reason: row
                .closed_reason
                .as_deref()
                .map(|word| ClosingReason::from_word(word).ok_or_else(|| bad("closed_reason")))
                .transpose()?,
            safe_at: at(row.safe_at),
            department: row.department,
            not_reached: row.not_reached,
        })
    }
}

impl CaseRow {
    /// Until when nobody is written to about it: exempt, or snoozed.
    pub fn rests_until(&self) -> Option<Moment> {
        self.exempt_until.max(self.snoozed_until)
    }
}

macro_rules! columns {
    () => {
        "c.id, c.account_id, c.person_id, c.route, c.department, c.category, c.severity, c.found_at, c.bad_as_of, c.baseline, c.opened_at, c.reopens_id, c.state, c.standing, \
         c.thread_id, c.notice_at, c.deadline_at, c.not_reached, c.contained_at, c.contain_override_at, c.exempt_until, c.snoozed_until, c.reach_by, c.closed_reason, c.closed_at, c.closed_as, c.safe_at"
    };
}

/// What is needed to decide about the cases of some accounts.
#[derive(Default, Debug)]
pub struct Deciding {
    /// The open case of an account.
    pub open: HashMap<AccountId, CaseRow>,
    /// Its latest case that is over.
    pub ended: HashMap<AccountId, Ended>,
    /// The newest evidence.
    pub evidence: HashMap<AccountId, LatestEvidence>,
}

impl Tx {
    /// Open case, latest ended case and newest evidence of these accounts.
    pub async fn deciding(&mut self, accounts: &[AccountId]) -> Result<Deciding, StoreError> {
        let wanted = ids(accounts.iter().map(|id| id.0));
        // Of most accounts that an audit names nothing is known yet, and one question tells.
        let text = on_set_as_text!(
            self, &wanted, [id bigint],
            ["d.id"],
            "FROM d WHERE EXISTS (SELECT 1 FROM cases c WHERE c.account_id = d.id) OR EXISTS (SELECT 1 FROM evidence e WHERE e.account_id = d.id)",
            |query| query
        );
        let known: Vec<[i64; 1]> = serde_json::from_str(&text)?;
        if known.is_empty() {
            return Ok(Deciding::default());
        }
        let accounts: Vec<AccountId> = known.into_iter().map(|[id]| AccountId(id)).collect();
        let wanted = ids(accounts.iter().map(|id| id.0));
        let open: Vec<Raw> = on_set!(
            self, &wanted, [id bigint],
            concat!("SELECT ", columns!(), " FROM d JOIN cases c ON c.account_id = d.id AND c.state <> 'closed'"),
            sqlx::query_as::<_, Raw>, |query, db| query.fetch_all(db).await
        )?;
        let ended: Vec<Raw> = on_set!(
            self, &wanted, [id bigint],
            concat!("SELECT ", columns!(), " FROM d JOIN cases c ON c.id = (SELECT MAX(e.id) FROM cases e WHERE e.account_id = d.id AND e.state = 'closed')"),
            sqlx::query_as::<_, Raw>, |query, db| query.fetch_all(db).await
        )?;
        let mut deciding = Deciding {
            evidence: self.latest_evidence(&accounts).await?,
            ..Deciding::default()
        };
        for row in open {
            let case = CaseRow::try_from(row)?;
            deciding.open.insert(case.account, case);
        }
        for row in ended {
            let case = CaseRow::try_from(row)?;
            if let CaseState::Closed { closed_as, .. } = case.state {
                deciding.ended.insert(
                    case.account,
                    Ended {
                        id: case.id,
                        closed_as,
                        safe_at: case.safe_at,
                    },
                );
            }
        }
        Ok(deciding)
    }

    /// One case.
    pub async fn case(&mut self, id: CaseId) -> Result<Option<CaseRow>, StoreError> {
        let row: Option<Raw> = on!(self, db => sqlx::query_as(concat!("SELECT ", columns!(), " FROM cases c WHERE c.id = $1")).bind(id.0).fetch_optional(db).await)?;
        row.map(CaseRow::try_from).transpose()
    }

    /// These cases, by number.
    pub(super) async fn cases_by_id(&mut self, wanted: &[One]) -> Result<Vec<CaseRow>, StoreError> {
        let rows: Vec<Raw> = on_set!(
            self, wanted, [id bigint],
            concat!("SELECT ", columns!(), " FROM d JOIN cases c ON c.id = d.id ORDER BY c.id"),
            sqlx::query_as::<_, Raw>, |query, db| query.fetch_all(db).await
        )?;
        rows.into_iter().map(CaseRow::try_from).collect()
    }

    /// Cases from `after` on, by number; only those that are not closed if `open_only`.
    pub async fn cases(
        &mut self,
        after: CaseId,
        open_only: bool,
        limit: i64,
    ) -> Result<Vec<CaseRow>, StoreError> {
        let rows: Vec<Raw> = on!(self, db => sqlx::query_as(
            concat!("SELECT ", columns!(), " FROM cases c WHERE c.id > $1 AND (c.state <> 'closed' OR NOT $2) ORDER BY c.id LIMIT $3"),
        ).bind(after.0).bind(open_only).bind(limit).fetch_all(db).await)?;
        rows.into_iter().map(CaseRow::try_from).collect()
    }

    /// Open cases that no campaign has yet, of the next `limit` people after `after`, by person. Cases of operators come
    /// under person 0.
    pub async fn unplanned(
        &mut self,
        after: PersonId,
        limit: i64,
    ) -> Result<Vec<CaseRow>, StoreError> {
        let rows: Vec<Raw> = on!(self, db => sqlx::query_as(concat!(
            "SELECT ", columns!(), " FROM cases c
             WHERE c.state = 'open' AND c.thread_id IS NULL AND COALESCE(c.person_id, 0) IN
                 (SELECT DISTINCT COALESCE(person_id, 0) FROM cases WHERE state = 'open' AND thread_id IS NULL AND COALESCE(person_id, 0) > $1 ORDER BY 1 LIMIT $2)
             ORDER BY COALESCE(c.person_id, 0), c.id",
        )).bind(after.0).bind(limit).fetch_all(db).await)?;
        rows.into_iter().map(CaseRow::try_from).collect()
    }

    /// The open cases of these threads, by number.
    pub async fn open_cases_of(&mut self, threads: &[i64]) -> Result<Vec<CaseRow>, StoreError> {
        let rows: Vec<Raw> = on_set!(
            self, &ids(threads.iter().copied()), [id bigint],
            concat!("SELECT ", columns!(), " FROM d JOIN cases c ON c.thread_id = d.id AND c.state <> 'closed' ORDER BY c.id"),
            sqlx::query_as::<_, Raw>, |query, db| query.fetch_all(db).await
        )?;
        rows.into_iter().map(CaseRow::try_from).collect()
    }

    /// All cases of these threads, closed ones too, by number: what an approval covered.
    pub async fn cases_of(&mut self, threads: &[i64]) -> Result<Vec<CaseRow>, StoreError> {
        let rows: Vec<Raw> = on_set!(
            self, &ids(threads.iter().copied()), [id bigint],
            concat!("SELECT ", columns!(), " FROM d JOIN cases c ON c.thread_id = d.id ORDER BY c.id"),
            sqlx::query_as::<_, Raw>, |query, db| query.fetch_all(db).await
        )?;
        rows.into_iter().map(CaseRow::try_from).collect()
    }

    /// All cases of a person, by number.
    pub async fn cases_of_person(&mut self, person: PersonId) -> Result<Vec<CaseRow>, StoreError> {
        let rows: Vec<Raw> = on!(self, db => sqlx::query_as(concat!("SELECT ", columns!(), " FROM cases c WHERE c.person_id = $1 ORDER BY c.id")).bind(person.0).fetch_all(db).await)?;
        rows.into_iter().map(CaseRow::try_from).collect()
    }

    /// Open cases that wait for evidence, with accounts of `realm`, from `after` on.
    pub async fn open_cases_in(
        &mut self,
        realm: &Realm,
        after: CaseId,
        limit: i64,
    ) -> Result<Vec<CaseRow>, StoreError> {
        let rows: Vec<Raw> = on!(self, db => sqlx::query_as(concat!(
            "SELECT ", columns!(), " FROM cases c CROSS JOIN accounts a WHERE a.id = c.account_id AND c.id > $1 AND c.state <> 'closed' AND a.realm = $2 ORDER BY c.id LIMIT $3",
        )).bind(after.0).bind(&realm.0).bind(limit).fetch_all(db).await)?;
        rows.into_iter().map(CaseRow::try_from).collect()
    }

    /// Those of these accounts that have a case, open or closed: evidence about any other decides nothing.
    pub async fn accounts_with_cases(
        &mut self,
        accounts: &[AccountId],
    ) -> Result<Vec<AccountId>, StoreError> {
        let rows: Vec<(i64,)> = on_set!(
            self, &ids(accounts.iter().map(|id| id.0)), [id bigint],
            "SELECT d.id FROM d WHERE EXISTS (SELECT 1 FROM cases c WHERE c.account_id = d.id)",
            sqlx::query_as::<_, (i64,)>, |query, db| query.fetch_all(db).await
        )?;
        Ok(rows.into_iter().map(|(id,)| AccountId(id)).collect())
    }

    /// All names, folded, of accounts of `realm` that have an open case.
    pub async fn names_in_open_cases(
        &mut self,
        realm: &Realm,
    ) -> Result<HashSet<String>, StoreError> {
        let rows: Vec<(String,)> = on!(self, db => sqlx::query_as(
            "SELECT DISTINCT k.key FROM cases c JOIN accounts a ON a.id = c.account_id JOIN account_keys k ON k.account_id = a.id WHERE c.state <> 'closed' AND a.realm = $1",
        ).bind(&realm.0).fetch_all(db).await)?;
        Ok(rows.into_iter().map(|(name,)| name).collect())
    }

    /// Cases closed as disabled, with accounts of `realm` that can sign in again by this evidence.
    pub async fn closed_as_disabled(
        &mut self,
        accounts: &[AccountId],
    ) -> Result<Vec<CaseRow>, StoreError> {
        let rows: Vec<Raw> = on_set!(
            self, &ids(accounts.iter().map(|id| id.0)), [id bigint],
            concat!("SELECT ", columns!(), " FROM d JOIN cases c ON c.id = (SELECT MAX(l.id) FROM cases l WHERE l.account_id = d.id) AND c.closed_as = 'disabled'"),
            sqlx::query_as::<_, Raw>, |query, db| query.fetch_all(db).await
        )?;
        rows.into_iter().map(CaseRow::try_from).collect()
    }
}
