//! Cases, the evidence that closes them, and the tasks of human beings. Each change writes its line in the ledger.

use std::collections::HashMap;

use serde::Serialize;

use super::ledger::Act;
use super::{StoreError, Tx, expect_one, ids, on, on_set, strange};
use crate::domain::case::{CaseState, Claim, ClosedAs, Ended, Route};
use crate::domain::evidence::{Evidence, Grade, Standing};
use crate::domain::finding::{Baseline, Category, Severity};
use crate::domain::identity::Realm;
use crate::domain::{AccountId, CaseId, EvidenceId, Moment, PersonId};

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
    /// Until when it is exempt.
    pub exempt_until: Option<Moment>,
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
    exempt_until: Option<i64>,
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
            exempt_until: at(row.exempt_until),
            safe_at: at(row.safe_at),
            department: row.department,
            not_reached: row.not_reached,
        })
    }
}

macro_rules! columns {
    () => {
        "c.id, c.account_id, c.person_id, c.route, c.department, c.category, c.severity, c.found_at, c.bad_as_of, c.baseline, c.opened_at, c.reopens_id, c.state, c.standing, \
         c.thread_id, c.notice_at, c.deadline_at, c.not_reached, c.contained_at, c.exempt_until, c.closed_at, c.closed_as, c.safe_at"
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

/// A case that closes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CaseClosing {
    /// Which.
    pub case: CaseId,
    /// How.
    pub closed_as: ClosedAs,
    /// When the directory says it happened.
    pub safe_at: Option<Moment>,
    /// What proves it.
    pub evidence: EvidenceId,
    /// How good that is.
    pub grade: Grade,
    /// What it amounts to.
    pub standing: Standing,
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

/// Something a human being has to do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// Reach the person another way: by phone, in person, by letter.
    Reach,
    /// Reset an account that is nobody's own.
    Operators,
    /// Block sign-in and revoke sessions, before anybody is told.
    Contain,
    /// Decide about a delivery in doubt.
    Decide,
    /// Ask the identity provider to force a change: the last rung.
    HandOver,
}

impl TaskKind {
    /// The word that the database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reach => "reach",
            Self::Operators => "operators",
            Self::Contain => "contain",
            Self::Decide => "decide",
            Self::HandOver => "hand_over",
        }
    }
}

/// One of them.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Task {
    /// Its number.
    pub id: i64,
    /// About which case.
    pub case: Option<CaseId>,
    /// reach, operators, contain, decide.
    pub kind: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub opened_at: Moment,
}

impl Tx {
    /// Open case, latest ended case and newest evidence of these accounts.
    pub async fn deciding(&mut self, accounts: &[AccountId]) -> Result<Deciding, StoreError> {
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
            evidence: self.latest_evidence(accounts).await?,
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

    /// The newest evidence of these accounts. Its age counts from the last reading that confirmed it.
    pub async fn latest_evidence(
        &mut self,
        accounts: &[AccountId],
    ) -> Result<HashMap<AccountId, LatestEvidence>, StoreError> {
        let rows: Vec<(i64, i64, String, String, i64)> = on_set!(
            self, &ids(accounts.iter().map(|id| id.0)), [id bigint],
            "SELECT e.account_id, e.id, e.grade, e.facts, e.observed_at FROM d JOIN evidence e ON e.id = (SELECT MAX(l.id) FROM evidence l WHERE l.account_id = d.id)",
            sqlx::query_as::<_, (i64, i64, String, String, i64)>, |query, db| query.fetch_all(db).await
        )?;
        rows.into_iter()
            .map(|(account, id, grade, facts, observed_at)| {
                let bad = |column| strange("evidence", column, id);
                let mut evidence: Evidence =
                    serde_json::from_str(&facts).map_err(|_| bad("facts"))?;
                evidence.observed_at = Moment::from_micros(observed_at);
                let grade = Grade::from_word(&grade).ok_or_else(|| bad("grade"))?;
                Ok((
                    AccountId(account),
                    LatestEvidence {
                        id: EvidenceId(id),
                        grade,
                        evidence,
                    },
                ))
            })
            .collect()
    }

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
        #[derive(Serialize)]
        struct Set<'a> {
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
        let sets: Vec<Set> = openings
            .iter()
            .map(|opening| {
                Ok(Set {
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
        let rows: Vec<(i64, i64)> = on_set!(
            self, &sets,
            [account_id bigint, person_id bigint, route text, department text, category text, severity text, found_at bigint, bad_as_of bigint, baseline text, reopens_id bigint, standing text],
            "INSERT INTO cases (account_id, person_id, route, department, category, severity, found_at, bad_as_of, baseline, opened_at, reopens_id, state, standing)
             SELECT account_id, person_id, route, department, category, severity, found_at, bad_as_of, baseline, $2, reopens_id, 'open', standing FROM d
             RETURNING account_id, id",
            sqlx::query_as::<_, (i64, i64)>, |query, db| query.bind(now.micros()).fetch_all(db).await
        )?;
        let numbers: HashMap<i64, i64> = rows.into_iter().collect();
        let numbered: Vec<CaseId> = openings
            .iter()
            .map(|opening| {
                numbers
                    .get(&opening.account.0)
                    .map(|id| CaseId(*id))
                    .ok_or_else(|| strange("cases", "account_id", opening.account.0))
            })
            .collect::<Result<_, _>>()?;
        let mailboxes: HashMap<i64, i64> = on_set!(
            self, &sets, [account_id bigint],
            "SELECT d.account_id, COUNT(*) FROM d JOIN account_mailboxes m ON m.account_id = d.account_id GROUP BY d.account_id",
            sqlx::query_as::<_, (i64, i64)>, |query, db| query.fetch_all(db).await
        )?.into_iter().collect();
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
        on_set!(
            self, &sets, [id bigint, category text, severity text, bad_as_of bigint, baseline text],
            "UPDATE cases SET category = d.category, severity = d.severity, bad_as_of = d.bad_as_of, baseline = d.baseline FROM d WHERE cases.id = d.id AND cases.state <> 'closed'",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        let acts: Vec<Act> = joins
            .iter()
            .filter(|(_, _, raised)| *raised)
            .map(|(case, claim, _)| Act {
                case_id: case.0,
                act: "case.raised",
                effective_at: None,
                detail: Some(format!("{{\"category\":\"{}\"}}", claim.category)),
            })
            .collect();
        self.note_cases(now, actor, &acts).await
    }

    /// Closes cases on evidence and says so in the ledger.
    pub async fn close_cases(
        &mut self,
        closings: &[CaseClosing],
        actor: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        if closings.is_empty() {
            return Ok(());
        }
        #[derive(Serialize)]
        struct Set {
            id: i64,
            closed_as: &'static str,
            safe_at: Option<i64>,
            evidence_id: i64,
            standing: &'static str,
        }
        let sets: Vec<Set> = closings
            .iter()
            .map(|closing| Set {
                id: closing.case.0,
                closed_as: closing.closed_as.word(),
                safe_at: closing.safe_at.map(Moment::micros),
                evidence_id: closing.evidence.0,
                standing: closing.standing.word(),
            })
            .collect();
        let changed = on_set!(
            self, &sets, [id bigint, closed_as text, safe_at bigint, evidence_id bigint, standing text],
            "UPDATE cases SET state = 'closed', closed_at = $2, closed_as = d.closed_as, safe_at = d.safe_at, evidence_id = d.evidence_id, standing = d.standing, not_reached = NULL
             FROM d WHERE cases.id = d.id AND cases.state <> 'closed'",
            sqlx::query, |query, db| query.bind(now.micros()).execute(db).await.map(|done| done.rows_affected())
        )?;
        if changed != closings.len() as u64 {
            return Err(StoreError::Lost {
                table: "cases",
                id: closings.first().map_or(0, |closing| closing.case.0),
            });
        }
        on_set!(
            self, &sets, [id bigint],
            "UPDATE tasks SET done_at = $2, done_by = 'bell' FROM d WHERE tasks.case_id = d.id AND tasks.done_at IS NULL",
            sqlx::query, |query, db| query.bind(now.micros()).execute(db).await.map(|_| ())
        )?;
        let acts: Vec<Act> = closings
            .iter()
            .map(|closing| Act {
                case_id: closing.case.0,
                act: match closing.closed_as {
                    ClosedAs::Reset => "case.closed.reset",
                    ClosedAs::Disabled => "case.closed.disabled",
                    ClosedAs::Withdrawn => "case.closed.withdrawn",
                },
                effective_at: closing.safe_at.map(Moment::micros),
                detail: Some(format!(
                    "{{\"evidence\":{},\"grade\":\"{}\"}}",
                    closing.evidence,
                    closing.grade.word()
                )),
            })
            .collect();
        self.note_cases(now, actor, &acts).await
    }

    /// Withdraws a case: it was none.
    pub async fn withdraw_case(
        &mut self,
        case: CaseId,
        reason: &str,
        actor: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let changed = on!(self, db => sqlx::query("UPDATE cases SET state = 'closed', closed_at = $2, closed_as = 'withdrawn', not_reached = NULL WHERE id = $1 AND state <> 'closed'")
            .bind(case.0).bind(now.micros()).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "cases", case.0)?;
        on!(self, db => sqlx::query("UPDATE tasks SET done_at = $2, done_by = $3 WHERE case_id = $1 AND done_at IS NULL")
            .bind(case.0).bind(now.micros()).bind(actor).execute(db).await.map(|_| ()))?;
        self.note_case(
            now,
            actor,
            "case.closed.withdrawn",
            case,
            None,
            Some(&reason_json(reason)?),
        )
        .await
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
        on_set!(
            self, &sets, [id bigint, standing text],
            "UPDATE cases SET standing = d.standing FROM d WHERE cases.id = d.id AND cases.state <> 'closed'",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        let acts: Vec<Act> = standings
            .iter()
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

    /// Writes down that a human being told the person: by phone, in person, by letter.
    pub async fn tell_case(
        &mut self,
        case: CaseId,
        at: Moment,
        how: &str,
        actor: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let changed = on!(self, db => sqlx::query(
            "UPDATE cases SET state = 'notified', notice_at = CASE WHEN notice_at IS NULL OR notice_at > $2 THEN $2 ELSE notice_at END, not_reached = NULL WHERE id = $1 AND state <> 'closed'",
        ).bind(case.0).bind(at.micros()).execute(db).await.map(|done| done.rows_affected()))?;
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

    /// Opens tasks, one of a kind a case. Fixes the deadline of those cases whose notice cannot go by mail.
    pub async fn open_tasks(
        &mut self,
        tasks: &[(CaseId, TaskKind, &'static str, Option<Moment>)],
        now: Moment,
    ) -> Result<u64, StoreError> {
        if tasks.is_empty() {
            return Ok(0);
        }
        #[derive(Serialize)]
        struct Set {
            id: i64,
            kind: &'static str,
            reason: &'static str,
            deadline_at: Option<i64>,
        }
        let sets: Vec<Set> = tasks
            .iter()
            .map(|(case, kind, reason, deadline)| Set {
                id: case.0,
                kind: kind.word(),
                reason,
                deadline_at: deadline.map(Moment::micros),
            })
            .collect();
        let opened: Vec<(i64, String, String)> = on_set!(
            self, &sets, [id bigint, kind text, reason text],
            "INSERT INTO tasks (case_id, kind, reason, opened_at) SELECT id, kind, reason, $2 FROM d WHERE true ON CONFLICT DO NOTHING RETURNING case_id, kind, reason",
            sqlx::query_as::<_, (i64, String, String)>, |query, db| query.bind(now.micros()).fetch_all(db).await
        )?;
        on_set!(
            self, &sets, [id bigint, kind text, reason text, deadline_at bigint],
            "UPDATE cases SET deadline_at = COALESCE(cases.deadline_at, d.deadline_at), not_reached = CASE WHEN d.kind = 'reach' THEN d.reason ELSE cases.not_reached END
             FROM d WHERE cases.id = d.id AND cases.state <> 'closed'",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        let deadlines: HashMap<i64, Option<i64>> =
            sets.iter().map(|set| (set.id, set.deadline_at)).collect();
        let acts: Vec<Act> = opened
            .iter()
            .map(|(case, kind, reason)| Act {
                case_id: *case,
                act: if kind == "reach" {
                    "case.not_reached"
                } else {
                    "case.task"
                },
                effective_at: deadlines.get(case).copied().flatten(),
                detail: Some(format!("{{\"kind\":\"{kind}\",\"reason\":\"{reason}\"}}")),
            })
            .collect();
        self.note_cases(now, "bell", &acts).await?;
        Ok(acts.len() as u64)
    }

    /// What human beings have to do, oldest first.
    pub async fn tasks(&mut self, limit: i64) -> Result<Vec<Task>, StoreError> {
        let rows: Vec<(i64, Option<i64>, String, String, i64)> = on!(self, db => sqlx::query_as(
            "SELECT id, case_id, kind, reason, opened_at FROM tasks WHERE done_at IS NULL ORDER BY id LIMIT $1",
        ).bind(limit).fetch_all(db).await)?;
        Ok(rows
            .into_iter()
            .map(|(id, case, kind, reason, opened_at)| Task {
                id,
                case: case.map(CaseId),
                kind,
                reason,
                opened_at: Moment::from_micros(opened_at),
            })
            .collect())
    }

    /// One case.
    pub async fn case(&mut self, id: CaseId) -> Result<Option<CaseRow>, StoreError> {
        let row: Option<Raw> = on!(self, db => sqlx::query_as(concat!("SELECT ", columns!(), " FROM cases c WHERE c.id = $1")).bind(id.0).fetch_optional(db).await)?;
        row.map(CaseRow::try_from).transpose()
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
            "SELECT ", columns!(), " FROM cases c JOIN accounts a ON a.id = c.account_id WHERE c.id > $1 AND c.state <> 'closed' AND a.realm = $2 ORDER BY c.id LIMIT $3",
        )).bind(after.0).bind(&realm.0).bind(limit).fetch_all(db).await)?;
        rows.into_iter().map(CaseRow::try_from).collect()
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

    /// Keeps evidence that says something new; what only confirms the newest moves its time of observation.
    pub async fn add_evidence(
        &mut self,
        read: i64,
        drafts: &[EvidenceDraft],
    ) -> Result<HashMap<AccountId, LatestEvidence>, StoreError> {
        let accounts: Vec<AccountId> = drafts.iter().map(|draft| draft.account).collect();
        let before = self.latest_evidence(&accounts).await?;
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
            match before.get(&draft.account) {
                Some(latest)
                    if latest.grade == draft.grade
                        && says_the_same(&latest.evidence, &draft.evidence) =>
                {
                    same.push(Same {
                        id: latest.id.0,
                        observed_at: draft.evidence.observed_at.micros(),
                    });
                }
                _ => new.push(Set {
                    account_id: draft.account.0,
                    line: draft.line,
                    grade: draft.grade.word(),
                    facts: serde_json::to_string(&draft.evidence)?,
                    observed_at: draft.evidence.observed_at.micros(),
                }),
            }
        }
        on_set!(
            self, &same, [id bigint, observed_at bigint],
            "UPDATE evidence SET observed_at = d.observed_at FROM d WHERE evidence.id = d.id AND evidence.observed_at < d.observed_at",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        on_set!(
            self, &new, [account_id bigint, line bigint, grade text, facts text, observed_at bigint],
            "INSERT INTO evidence (account_id, read_id, line, facts, grade, observed_at) SELECT account_id, $2, line, facts, grade, observed_at FROM d",
            sqlx::query, |query, db| query.bind(read).execute(db).await.map(|_| ())
        )?;
        self.latest_evidence(&accounts).await
    }
}

fn says_the_same(one: &Evidence, other: &Evidence) -> bool {
    Evidence {
        observed_at: one.observed_at,
        ..other.clone()
    } == *one
}

fn reason_json(reason: &str) -> Result<String, StoreError> {
    Ok(serde_json::to_string(
        &serde_json::json!({ "reason": reason }),
    )?)
}
