//! What moves cases: opened, joined, closed, told, contained, exempt. Each move writes its line in the ledger.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::ledger::Act;
use super::{StoreError, Tx, expect_one, on, on_set, on_set_as_text, strange};
use crate::domain::case::{Claim, Route};
use crate::domain::evidence::Standing;
use crate::domain::{AccountId, CaseId, Moment, PersonId};

/// A case that opens.
#[derive(Clone, PartialEq, Debug)]
pub struct CaseOpening {
    /// Whose password.
    pub account: AccountId,
    /// Who is told.
    pub person: Option<PersonId>,
    /// Whose work it is.
    pub route: Route,
    /// Where the account belongs.
    pub department: String,
    /// What its findings amount to.
    pub claim: Claim,
    /// The closed case that it proves wrong.
    pub reopens: Option<CaseId>,
    /// What the directory's word amounts to now.
    pub standing: Standing,
}

#[derive(Serialize)]
struct NewCase<'a> {
    /// Where the database does not give it.
    number: i64,
    account_id: i64,
    person_id: Option<i64>,
    route: &'static str,
    department: &'a str,
    category: &'static str,
    severity: &'static str,
    found_at: i64,
    bad_as_of: i64,
    baseline: Option<String>,
    reopens_id: Option<i64>,
    standing: &'static str,
}

impl Tx {
    /// Opens cases and says so in the ledger. The numbers come back in the order of the openings.
    pub async fn open_cases(
        &mut self,
        openings: &[CaseOpening],
        actor: &str,
        now: Moment,
    ) -> Result<Vec<CaseId>, StoreError> {
        if openings.is_empty() {
            return Ok(Vec::new());
        }
        let mut sets: Vec<NewCase<'_>> = openings
            .iter()
            .map(|opening| {
                Ok(NewCase {
                    number: 0,
                    account_id: opening.account.0,
                    person_id: opening.person.map(|id| id.0),
                    route: opening.route.word(),
                    department: &opening.department,
                    category: opening.claim.category.word(),
                    severity: opening.claim.severity.word(),
                    found_at: opening.claim.found_at.micros(),
                    bad_as_of: opening.claim.bad_as_of.micros(),
                    baseline: opening
                        .claim
                        .baseline
                        .as_ref()
                        .map(serde_json::to_string)
                        .transpose()?,
                    reopens_id: opening.reopens.map(|id| id.0),
                    standing: opening.standing.word(),
                })
            })
            .collect::<Result<_, StoreError>>()?;
        let numbered = self.insert_cases(&mut sets, now).await?;
        let text = on_set_as_text!(
            self, &sets, [account_id bigint],
            ["d.account_id", "(SELECT COUNT(*) FROM account_mailboxes m WHERE m.account_id = d.account_id)"],
            "FROM d",
            |query| query
        );
        let mailboxes: Vec<(i64, i64)> = serde_json::from_str(&text)?;
        let mailboxes: HashMap<i64, i64> = mailboxes.into_iter().collect();
        let acts: Vec<Act> = openings
            .iter()
            .zip(&numbered)
            .map(|(opening, id)| Act {
                case_id: id.0,
                act: if opening.reopens.is_some() {
                    "case.reopened"
                } else {
                    "case.opened"
                },
                effective_at: Some(opening.claim.found_at.micros()),
                // The directory goes on changing: what it said on this day is kept here.
                detail: Some({
                    let category = opening.claim.category;
                    let opens = mailboxes.get(&opening.account.0).copied().unwrap_or(0);
                    match opening.reopens {
                        Some(before) => format!(
                            "{{\"category\":\"{category}\",\"mailboxes\":{opens},\"reopens\":{before}}}"
                        ),
                        None => format!(
                            "{{\"category\":\"{category}\",\"mailboxes\":{opens}}}"
                        ),
                    }
                }),
            })
            .collect();
        self.note_cases(now, actor, &acts).await?;
        Ok(numbered)
    }

    /// New cases, with the number that each has now, in their order.
    async fn insert_cases(
        &mut self,
        sets: &mut [NewCase<'_>],
        now: Moment,
    ) -> Result<Vec<CaseId>, StoreError> {
        macro_rules! insert {
            ($id:literal, $number:literal, $returning:literal) => {
                concat!(
                    "INSERT INTO cases (", $id, "account_id, person_id, route, department, category, severity, found_at, bad_as_of, baseline, opened_at, reopens_id, state, standing)
                     SELECT ", $number, "account_id, person_id, route, department, category, severity, found_at, bad_as_of, baseline, $2, reopens_id, 'open', standing FROM d", $returning
                )
            };
        }
        if matches!(self, Self::Postgres(_)) {
            let rows: Vec<(i64, i64)> = on_set!(
                self, sets,
                [account_id bigint, person_id bigint, route text, department text, category text, severity text, found_at bigint, bad_as_of bigint, baseline text, reopens_id bigint, standing text],
                insert!("", "", " RETURNING account_id, id"),
                sqlx::query_as::<_, (i64, i64)>, |query, db| query.bind(now.micros()).fetch_all(db).await
            )?;
            let numbers: HashMap<i64, i64> = rows.into_iter().collect();
            let number = |set: &NewCase<'_>| {
                let number = numbers.get(&set.account_id).copied();
                number
                    .map(CaseId)
                    .ok_or_else(|| strange("cases", "account_id", set.account_id))
            };
            return sets.iter().map(number).collect();
        }
        let first = self
            .next_number("SELECT COALESCE(MAX(id), 0) + 1 FROM cases")
            .await?;
        for (set, number) in sets.iter_mut().zip(first..) {
            set.number = number;
        }
        on_set!(
            self, sets,
            [number bigint, account_id bigint, person_id bigint, route text, department text, category text, severity text, found_at bigint, bad_as_of bigint, baseline text, reopens_id bigint, standing text],
            insert!("id, ", "number, ", ""),
            sqlx::query, |query, db| query.bind(now.micros()).execute(db).await.map(|_| ())
        )?;
        Ok(sets.iter().map(|set| CaseId(set.number)).collect())
    }

    /// Lets open cases say what new findings add to them. A raised category goes into the ledger.
    pub async fn join_cases(
        &mut self,
        joins: &[(CaseId, Claim, bool)],
        actor: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        if joins.is_empty() {
            return Ok(());
        }
        #[derive(Serialize)]
        struct Set {
            id: i64,
            category: &'static str,
            severity: &'static str,
            bad_as_of: i64,
            baseline: Option<String>,
        }
        let sets: Vec<Set> = joins
            .iter()
            .map(|(case, claim, _)| {
                Ok(Set {
                    id: case.0,
                    category: claim.category.word(),
                    severity: claim.severity.word(),
                    bad_as_of: claim.bad_as_of.micros(),
                    baseline: claim
                        .baseline
                        .as_ref()
                        .map(serde_json::to_string)
                        .transpose()?,
                })
            })
            .collect::<Result<_, StoreError>>()?;
        let joined: Vec<(i64,)> = on_set!(
            self, &sets, [id bigint, category text, severity text, bad_as_of bigint, baseline text],
            "UPDATE cases SET category = d.category, severity = d.severity, bad_as_of = d.bad_as_of, baseline = d.baseline FROM d WHERE cases.id = d.id AND cases.state <> 'closed' RETURNING cases.id",
            sqlx::query_as::<_, (i64,)>, |query, db| query.fetch_all(db).await
        )?;
        let joined: HashSet<i64> = joined.into_iter().map(|(id,)| id).collect();
        let acts: Vec<Act> = joins
            .iter()
            .filter(|(case, _, raised)| *raised && joined.contains(&case.0))
            .map(|(case, claim, _)| Act {
                case_id: case.0,
                act: "case.raised",
                effective_at: None,
                detail: Some(format!("{{\"category\":\"{}\"}}", claim.category)),
            })
            .collect();
        self.note_cases(now, actor, &acts).await
    }

    /// Moves cases whose standing has changed, and says so in the ledger.
    pub async fn restand(
        &mut self,
        standings: &[(CaseId, Standing)],
        now: Moment,
    ) -> Result<(), StoreError> {
        if standings.is_empty() {
            return Ok(());
        }
        #[derive(Serialize)]
        struct Set {
            id: i64,
            standing: &'static str,
        }
        let sets: Vec<Set> = standings
            .iter()
            .map(|(case, standing)| Set {
                id: case.0,
                standing: standing.word(),
            })
            .collect();
        let moved: Vec<(i64,)> = on_set!(
            self, &sets, [id bigint, standing text],
            "UPDATE cases SET standing = d.standing FROM d WHERE cases.id = d.id AND cases.state <> 'closed' RETURNING cases.id",
            sqlx::query_as::<_, (i64,)>, |query, db| query.fetch_all(db).await
        )?;
        let moved: HashSet<i64> = moved.into_iter().map(|(id,)| id).collect();
        let acts: Vec<Act> = standings
            .iter()
            .filter(|(case, _)| moved.contains(&case.0))
            .map(|(case, standing)| Act {
                case_id: case.0,
                act: "case.standing",
                effective_at: None,
                detail: Some(format!("{{\"standing\":\"{}\"}}", standing.word())),
            })
            .collect();
        self.note_cases(now, "bell", &acts).await
    }

    /// Writes down that sign-in is blocked and sessions are revoked.
    pub async fn contain_case(
        &mut self,
        case: CaseId,
        at: Moment,
        note: &str,
        actor: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let changed = on!(self, db => sqlx::query("UPDATE cases SET contained_at = $2 WHERE id = $1 AND state <> 'closed'")
            .bind(case.0).bind(at.micros()).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "cases", case.0)?;
        on!(self, db => sqlx::query("UPDATE tasks SET done_at = $2, done_by = $3 WHERE case_id = $1 AND kind = 'contain' AND done_at IS NULL")
            .bind(case.0).bind(now.micros()).bind(actor).execute(db).await.map(|_| ()))?;
        self.note_case(
            now,
            actor,
            "case.contained",
            case,
            Some(at),
            Some(&reason_json(note)?),
        )
        .await
    }

    /// Writes down that the incident lead has a person told before containment; the account is contained no more by it.
    pub async fn override_containment(
        &mut self,
        case: CaseId,
        reason: &str,
        actor: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let changed = on!(self, db => sqlx::query("UPDATE cases SET contain_override_at = $2 WHERE id = $1 AND state <> 'closed'")
            .bind(case.0).bind(now.micros()).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "cases", case.0)?;
        self.note_case(
            now,
            actor,
            "case.containment_overridden",
            case,
            None,
            Some(&reason_json(reason)?),
        )
        .await
    }

    /// Writes down that a human being told the person: by phone, in person, by letter. Whoever does sees to it from then on,
    /// unless somebody does already.
    pub async fn tell_case(
        &mut self,
        case: CaseId,
        at: Moment,
        how: &str,
        actor: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let changed = on!(self, db => sqlx::query(
            "UPDATE cases SET state = 'notified', notice_at = CASE WHEN notice_at IS NULL OR notice_at > $2 THEN $2 ELSE notice_at END, not_reached = NULL, reach_by = COALESCE(reach_by, $3) WHERE id = $1 AND state <> 'closed'",
        ).bind(case.0).bind(at.micros()).bind(actor).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "cases", case.0)?;
        on!(self, db => sqlx::query("UPDATE tasks SET done_at = $2, done_by = $3 WHERE case_id = $1 AND kind = 'reach' AND done_at IS NULL")
            .bind(case.0).bind(now.micros()).bind(actor).execute(db).await.map(|_| ()))?;
        self.note_case(
            now,
            actor,
            "case.told",
            case,
            Some(at),
            Some(&reason_json(how)?),
        )
        .await
    }

    /// Exempts a case until `until`; two people answer for it.
    pub async fn exempt_case(
        &mut self,
        case: CaseId,
        until: Moment,
        reason: &str,
        requester: &str,
        approver: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let changed = on!(self, db => sqlx::query("UPDATE cases SET exempt_until = $2 WHERE id = $1 AND state <> 'closed'")
            .bind(case.0).bind(until.micros()).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "cases", case.0)?;
        let detail = serde_json::json!({ "reason": reason, "requested_by": requester }).to_string();
        self.note_case(
            now,
            approver,
            "case.exempted",
            case,
            Some(until),
            Some(&detail),
        )
        .await
    }
}

pub(super) fn reason_json(reason: &str) -> Result<String, StoreError> {
    Ok(serde_json::to_string(
        &serde_json::json!({ "reason": reason }),
    )?)
}
