//! Escalations: cases of which a manager or a delegate is to be told, the letters that name them, and how that ended.

use std::collections::HashSet;

use serde::Serialize;

use super::ledger::Act;
use super::{StoreError, TaskKind, Tx, ids, on, on_set, strange};
use crate::domain::escalation::{About, Standing};
use crate::domain::{CaseId, DeliveryId, Moment, PersonId};

/// A case of which a manager is to be told, and no letter that does so is on its way.
#[derive(Clone, PartialEq, Debug)]
pub struct Escalation {
    /// Its number.
    pub id: i64,
    /// About which case.
    pub case: CaseId,
    /// What is told.
    pub about: About,
    /// In which conversation the person was told.
    pub thread: i64,
    /// Who has the task.
    pub person: PersonId,
    /// Who is to be told, as the directory says now: the manager, or the delegate.
    pub manager: Option<PersonId>,
    /// Whether an intruder may be reading the manager's mailbox.
    pub manager_is_victim: bool,
    /// When the task was due.
    pub deadline_at: Option<Moment>,
    /// How the person stands now.
    pub standing: Standing,
}

#[derive(sqlx::FromRow)]
struct EscalationRow {
    id: i64,
    case_id: i64,
    reason: String,
    thread_id: i64,
    person_id: i64,
    manager_id: Option<i64>,
    manager_is_victim: bool,
    deadline_at: Option<i64>,
    state: String,
    not_reached: Option<String>,
    exempt_until: Option<i64>,
    campaign: String,
    reminded: bool,
}

impl EscalationRow {
    fn at(self, now: Moment) -> Result<Escalation, StoreError> {
        let is_exempt = self.exempt_until.is_some_and(|until| until > now.micros());
        let standing = match (self.state.as_str(), self.campaign.as_str()) {
            ("closed", _) => Standing::Done,
            (_, "stopped" | "void") => Standing::Stopped,
            (_, "paused") => Standing::Resting,
            _ if is_exempt => Standing::Resting,
            ("notified", _) if self.not_reached.is_none() => Standing::Told {
                reminded: self.reminded,
            },
            _ => Standing::NotReached,
        };
        Ok(Escalation {
            id: self.id,
            case: CaseId(self.case_id),
            about: About::from_word(&self.reason)
                .ok_or_else(|| strange("escalations", "reason", self.id))?,
            thread: self.thread_id,
            person: PersonId(self.person_id),
            manager: self.manager_id.map(PersonId),
            manager_is_victim: self.manager_is_victim,
            deadline_at: self.deadline_at.map(Moment::from_micros),
            standing,
        })
    }
}

/// An escalation and the letter that names its person.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Escalated {
    /// Its number.
    pub id: i64,
    /// Who is told.
    pub manager_id: i64,
    /// By which thread's letter, and the how manieth of it.
    pub thread_id: i64,
    /// See [`Escalated::thread_id`].
    pub seq: i64,
}

impl Tx {
    /// Writes down that managers are to be told of these cases: each once for ever.
    pub async fn ask_managers(
        &mut self,
        asked: &[(CaseId, About)],
        now: Moment,
    ) -> Result<(), StoreError> {
        if asked.is_empty() {
            return Ok(());
        }
        #[derive(Serialize)]
        struct Set {
            case_id: i64,
            reason: &'static str,
        }
        let sets: Vec<Set> = asked
            .iter()
            .map(|(case, about)| Set {
                case_id: case.0,
                reason: about.word(),
            })
            .collect();
        let new: Vec<(i64, String)> = on_set!(
            self, &sets, [case_id bigint, reason text],
            "INSERT INTO escalations (case_id, reason, asked_at) SELECT d.case_id, d.reason, $2 FROM d WHERE true ON CONFLICT (case_id, reason) DO NOTHING RETURNING case_id, reason",
            sqlx::query_as::<_, (i64, String)>, |query, db| query.bind(now.micros()).fetch_all(db).await
        )?;
        let acts: Vec<Act> = new
            .into_iter()
            .map(|(case_id, reason)| Act {
                case_id,
                act: if reason == About::Delegate.word() {
                    "case.delegate_due"
                } else {
                    "case.manager_due"
                },
                effective_at: None,
                detail: None,
            })
            .collect();
        self.note_cases(now, "bell", &acts).await
    }

    /// Of whom managers are still to be told, and no letter is on its way that does; from `after` on.
    pub async fn escalations(
        &mut self,
        after: i64,
        limit: i64,
        now: Moment,
    ) -> Result<Vec<Escalation>, StoreError> {
        let rows: Vec<EscalationRow> = on!(self, db => sqlx::query_as(
            "SELECT e.id, e.case_id, e.reason, t.id AS thread_id, t.person_id, CASE WHEN e.reason = 'delegate' THEN g.delegate_id ELSE p.manager_id END AS manager_id, c.deadline_at, c.state, c.not_reached, c.exempt_until, q.state AS campaign,
                 EXISTS (SELECT 1 FROM deliveries r WHERE r.thread_id = t.id AND r.kind LIKE 'reminder.%' AND r.state = 'accepted') AS reminded,
                 EXISTS (SELECT 1 FROM cases v WHERE v.person_id = CASE WHEN e.reason = 'delegate' THEN g.delegate_id ELSE p.manager_id END AND v.state <> 'closed' AND v.category = 'compromised' AND v.route = 'holder') AS manager_is_victim
             FROM escalations e JOIN cases c ON c.id = e.case_id JOIN threads t ON t.id = c.thread_id JOIN campaigns q ON q.id = t.campaign_id JOIN persons p ON p.id = t.person_id
                 LEFT JOIN delegates g ON g.person_id = p.id LEFT JOIN deliveries x ON x.id = e.delivery_id
             WHERE e.ended_at IS NULL AND (e.delivery_id IS NULL OR x.state = 'dropped') AND e.id > $1 ORDER BY e.id LIMIT $2",
        ).bind(after).bind(limit).fetch_all(db).await)?;
        rows.into_iter().map(|row| row.at(now)).collect()
    }

    /// Those of these managers for whom a letter was written since `since`: today's has gone, or is on its way.
    pub async fn managers_written_to(
        &mut self,
        managers: &[PersonId],
        since: Moment,
    ) -> Result<HashSet<PersonId>, StoreError> {
        let rows: Vec<(i64,)> = on_set!(
            self, &ids(managers.iter().map(|id| id.0)), [id bigint],
            "SELECT DISTINCT d.id FROM d JOIN escalations e ON e.manager_id = d.id JOIN deliveries x ON x.id = e.delivery_id AND x.state <> 'dropped' AND x.due_at >= $2",
            sqlx::query_as::<_, (i64,)>, |query, db| query.bind(since.micros()).fetch_all(db).await
        )?;
        Ok(rows.into_iter().map(|(id,)| PersonId(id)).collect())
    }

    /// Says which letter, queued in this transaction, names these people.
    pub async fn link_escalations(&mut self, escalated: &[Escalated]) -> Result<(), StoreError> {
        on_set!(
            self, escalated, [id bigint, manager_id bigint, thread_id bigint, seq bigint],
            "UPDATE escalations SET manager_id = d.manager_id, delivery_id = x.id FROM d JOIN deliveries x ON x.thread_id = d.thread_id AND x.seq = d.seq AND x.kind LIKE 'escalation.%' AND x.channel = 'mail'
             WHERE escalations.id = d.id AND escalations.ended_at IS NULL",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        Ok(())
    }

    /// Ends escalations of which there is nothing left to tell.
    pub async fn end_escalations(&mut self, over: &[i64], now: Moment) -> Result<(), StoreError> {
        on_set!(
            self, &ids(over.iter().copied()), [id bigint],
            "UPDATE escalations SET ended_at = $2, outcome = 'over' FROM d WHERE escalations.id = d.id AND escalations.ended_at IS NULL",
            sqlx::query, |query, db| query.bind(now.micros()).execute(db).await.map(|_| ())
        )?;
        Ok(())
    }

    /// Leaves escalations to human beings, each with its reason.
    pub async fn escalate_by_hand(
        &mut self,
        by_hand: &[(i64, CaseId, &'static str)],
        now: Moment,
    ) -> Result<u64, StoreError> {
        on_set!(
            self, &ids(by_hand.iter().map(|(id, ..)| *id)), [id bigint],
            "UPDATE escalations SET ended_at = $2, outcome = 'by_hand' FROM d WHERE escalations.id = d.id AND escalations.ended_at IS NULL",
            sqlx::query, |query, db| query.bind(now.micros()).execute(db).await.map(|_| ())
        )?;
        let tasks: Vec<_> = by_hand
            .iter()
            .map(|(_, case, why)| (*case, TaskKind::Manager, *why, None))
            .collect();
        self.open_tasks(&tasks, now).await
    }

    /// The cases that these letters name, with the letter.
    pub async fn escalated(
        &mut self,
        deliveries: &[DeliveryId],
    ) -> Result<Vec<(DeliveryId, CaseId)>, StoreError> {
        if deliveries.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<(i64, i64)> = on_set!(
            self, &ids(deliveries.iter().map(|id| id.0)), [id bigint],
            "SELECT d.id, e.case_id FROM d JOIN escalations e ON e.delivery_id = d.id ORDER BY e.id",
            sqlx::query_as::<_, (i64, i64)>, |query, db| query.fetch_all(db).await
        )?;
        Ok(rows
            .into_iter()
            .map(|(delivery, case)| (DeliveryId(delivery), CaseId(case)))
            .collect())
    }

    /// These letters have reached their managers; the ledger says so of each case.
    pub(in crate::store) async fn managers_told(
        &mut self,
        told: &[(DeliveryId, Moment)],
        now: Moment,
    ) -> Result<(), StoreError> {
        if told.is_empty() {
            return Ok(());
        }
        #[derive(Serialize)]
        struct Set {
            id: i64,
            ended_at: i64,
        }
        let sets: Vec<Set> = told
            .iter()
            .map(|(delivery, at)| Set {
                id: delivery.0,
                ended_at: at.micros(),
            })
            .collect();
        let cases: Vec<(i64, i64, i64, String)> = on_set!(
            self, &sets, [id bigint, ended_at bigint],
            "UPDATE escalations SET ended_at = d.ended_at, outcome = 'told' FROM d WHERE escalations.delivery_id = d.id RETURNING escalations.case_id, escalations.delivery_id, escalations.ended_at, escalations.reason",
            sqlx::query_as::<_, (i64, i64, i64, String)>, |query, db| query.fetch_all(db).await
        )?;
        let acts: Vec<Act> = cases
            .iter()
            .map(|(case_id, delivery, at, reason)| Act {
                case_id: *case_id,
                act: if reason == About::Delegate.word() {
                    "case.delegate_told"
                } else {
                    "case.manager_told"
                },
                effective_at: Some(*at),
                detail: Some(format!("{{\"delivery\":{delivery}}}")),
            })
            .collect();
        self.note_cases(now, "bell", &acts).await?;
        let cases: Vec<i64> = cases.iter().map(|(case, ..)| *case).collect();
        self.end_manager_tasks(&cases, now).await
    }

    /// Letters that do not reach their managers: a human being speaks with them.
    pub async fn manager_by_hand(
        &mut self,
        letters: &[(DeliveryId, &'static str)],
        now: Moment,
    ) -> Result<(), StoreError> {
        if letters.is_empty() {
            return Ok(());
        }
        let named = self
            .escalated(&letters.iter().map(|(id, _)| *id).collect::<Vec<_>>())
            .await?;
        on_set!(
            self, &ids(letters.iter().map(|(id, _)| id.0)), [id bigint],
            "UPDATE escalations SET ended_at = $2, outcome = 'by_hand' FROM d WHERE escalations.delivery_id = d.id",
            sqlx::query, |query, db| query.bind(now.micros()).execute(db).await.map(|_| ())
        )?;
        let cases: Vec<i64> = named.iter().map(|(_, case)| case.0).collect();
        self.end_manager_tasks(&cases, now).await?;
        let tasks: Vec<_> = named
            .iter()
            .filter_map(|(delivery, case)| {
                let (_, why) = letters.iter().find(|(id, _)| id == delivery)?;
                Some((*case, TaskKind::Manager, *why, None))
            })
            .collect();
        self.open_tasks(&tasks, now).await?;
        Ok(())
    }

    /// Nobody has to speak with these cases' managers any more, nor to find out whether they were told.
    async fn end_manager_tasks(&mut self, cases: &[i64], now: Moment) -> Result<(), StoreError> {
        on_set!(
            self, &ids(cases.iter().copied()), [id bigint],
            "UPDATE tasks SET done_at = $2, done_by = 'bell' FROM d WHERE tasks.case_id = d.id AND tasks.done_at IS NULL AND (tasks.kind = 'manager' OR tasks.kind = 'decide' AND tasks.reason = 'manager_in_doubt')",
            sqlx::query, |query, db| query.bind(now.micros()).execute(db).await.map(|_| ())
        )?;
        Ok(())
    }
}
