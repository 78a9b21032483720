//! Other ways: texts and printed letters in the outbox, and whom a way did not reach.
//!
//! The same table, states and attempts as mail: what is claimed here is recorded by [`Tx::record`], and what a dead worker
//! left in flight is found by [`Tx::recover`].

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;

use super::{StoreError, TemplateId, Thread, Tx, ids, on, on_set, strange};
use crate::domain::notice::NoticeKind;
use crate::domain::text::Fate;
use crate::domain::way::{Destination, Way};
use crate::domain::{AttemptId, CaseId, DeliveryId, Mobile, Moment, PersonName, Room};

/// A text or a printed letter that is about to be queued.
#[derive(Clone, PartialEq, Debug)]
pub struct OtherDraft {
    /// In which conversation.
    pub thread: i64,
    /// What it says.
    pub kind: NoticeKind,
    /// 1, unless the kind is said again in its thread.
    pub seq: i64,
    /// Where it goes.
    pub to: Destination,
    /// By which template.
    pub template: TemplateId,
    /// What it says of its reader, as JSON.
    pub facts: String,
    /// Of the words.
    pub letter_hash: String,
    /// When it was queued.
    pub queued_at: Moment,
    /// Who is told first.
    pub priority: i64,
    /// Not before.
    pub due_at: Moment,
}

/// A text that is ours to attempt; its attempt is written down.
#[derive(Clone, PartialEq, Debug)]
pub struct OtherDelivery {
    /// Its number.
    pub id: DeliveryId,
    /// In which conversation.
    pub thread: i64,
    /// What it says.
    pub kind: NoticeKind,
    /// To whom.
    pub to: Mobile,
    /// By which template.
    pub template: TemplateId,
    /// What it says of its reader, as JSON.
    pub facts: String,
    /// Of the words.
    pub letter_hash: String,
    /// How many attempts there were, this one included.
    pub attempts: i64,
    /// When the first was made.
    pub first_attempt_at: Moment,
    /// Whether it was in doubt before.
    pub possible_duplicate: bool,
    /// This attempt.
    pub attempt: AttemptId,
}

/// A printed letter on its way in the internal post.
#[derive(Clone, PartialEq, Debug)]
pub struct HandedOut {
    /// Its number.
    pub id: DeliveryId,
    /// What it says.
    pub kind: NoticeKind,
    /// What its reader can have looked up.
    pub reference: String,
    /// Their name.
    pub name: PersonName,
    /// Where they work.
    pub department: String,
    /// Where the letter is left.
    pub room: Room,
    /// Which round that is.
    pub building: Option<String>,
    /// By which template.
    pub template: TemplateId,
    /// What it says of its reader, as JSON.
    pub facts: String,
    /// Of the words.
    pub letter_hash: String,
    /// The letter's date.
    pub queued_at: Moment,
}

/// A printed letter of which a tick sheet tells.
#[derive(Clone, PartialEq, Debug)]
pub struct Outstanding {
    /// Its number.
    pub id: DeliveryId,
    /// In which conversation.
    pub thread: i64,
    /// How far it is.
    pub state: String,
    /// When it was handed out.
    pub handed_out_at: Option<Moment>,
    /// The open cases that it tells of.
    pub cases: Vec<CaseId>,
}

/// A first notice by one way, and how far it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tried {
    /// By which way.
    pub way: Way,
    /// The delivery's state.
    pub state: String,
}

#[derive(sqlx::FromRow)]
struct TextRow {
    id: i64,
    thread_id: i64,
    kind: String,
    recipient: String,
    template_id: i64,
    facts: String,
    letter_hash: String,
    attempts: i64,
    first_attempt_at: i64,
    possible_duplicate: bool,
}

#[derive(sqlx::FromRow)]
struct LetterRow {
    id: i64,
    kind: String,
    reference: String,
    display_name: String,
    department: String,
    recipient: String,
    building: Option<String>,
    template_id: i64,
    facts: String,
    letter_hash: String,
    queued_at: i64,
}

impl TryFrom<LetterRow> for HandedOut {
    type Error = StoreError;

    fn try_from(row: LetterRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: DeliveryId(row.id),
            kind: kind(&row.kind, row.id)?,
            reference: row.reference,
            name: PersonName::new(&row.display_name),
            department: row.department,
            room: Room::new(&row.recipient)
                .ok_or_else(|| strange("deliveries", "recipient", row.id))?,
            building: row.building,
            template: TemplateId(row.template_id),
            facts: row.facts,
            letter_hash: row.letter_hash,
            queued_at: Moment::from_micros(row.queued_at),
        })
    }
}

fn kind(word: &str, id: i64) -> Result<NoticeKind, StoreError> {
    NoticeKind::from_word(word).ok_or_else(|| strange("deliveries", "kind", id))
}

impl Tx {
    /// Queues texts and printed letters; one that is queued already is not queued again. What is queued in a campaign that
    /// stands still stands still with it, and nothing is queued where no case is open or the campaign is over. Returns how
    /// many are new.
    pub async fn queue_other(&mut self, drafts: &[OtherDraft]) -> Result<u64, StoreError> {
        if drafts.is_empty() {
            return Ok(0);
        }
        #[derive(Serialize)]
        struct Set<'a> {
            thread_id: i64,
            kind: &'static str,
            seq: i64,
            channel: &'static str,
            recipient: &'a str,
            template_id: i64,
            facts: &'a str,
            letter_hash: &'a str,
            queued_at: i64,
            priority: i64,
            due_at: i64,
        }
        let sets: Vec<Set> = drafts
            .iter()
            .map(|draft| Set {
                thread_id: draft.thread,
                kind: draft.kind.word(),
                seq: draft.seq,
                channel: draft.to.way().word(),
                recipient: draft.to.expose(),
                template_id: draft.template.0,
                facts: &draft.facts,
                letter_hash: &draft.letter_hash,
                queued_at: draft.queued_at.micros(),
                priority: draft.priority,
                due_at: draft.due_at.micros(),
            })
            .collect();
        let threads: Vec<i64> = drafts.iter().map(|draft| draft.thread).collect();
        self.hold_campaigns_of(&threads).await?;
        let new: Vec<(i64,)> = on_set!(
            self, &sets,
            [thread_id bigint, kind text, seq bigint, channel text, recipient text, template_id bigint, facts text, letter_hash text, queued_at bigint, priority bigint, due_at bigint],
            "INSERT INTO deliveries (thread_id, kind, seq, channel, recipient, template_id, facts, letter_hash, queued_at, priority, due_at, state, attempts, possible_duplicate)
             SELECT d.thread_id, d.kind, d.seq, d.channel, d.recipient, d.template_id, d.facts, d.letter_hash, d.queued_at, d.priority, d.due_at,
                 CASE WHEN p.state = 'paused' THEN 'paused' ELSE 'queued' END, 0, $2
             FROM d CROSS JOIN threads t CROSS JOIN campaigns p WHERE t.id = d.thread_id AND p.id = t.campaign_id AND p.state <> 'stopped'
                 AND EXISTS (SELECT 1 FROM cases c WHERE c.thread_id = t.id AND c.state <> 'closed')
             ON CONFLICT (thread_id, kind, seq, channel) DO NOTHING RETURNING id",
            sqlx::query_as::<_, (i64,)>, |query, db| query.bind(false).fetch_all(db).await
        )?;
        Ok(new.len() as u64)
    }

    /// How many texts and printed letters are due.
    pub async fn others_due(&mut self, way: Way, now: Moment) -> Result<u64, StoreError> {
        let (count,): (i64,) = on!(self, db => sqlx::query_as(
            "SELECT COUNT(*) FROM deliveries WHERE channel IN ('sms', 'letter') AND channel = $1 AND state = 'queued' AND due_at <= $2",
        ).bind(way.word()).bind(now.micros()).fetch_one(db).await)?;
        Ok(count.unsigned_abs())
    }

    /// Takes up to `limit` texts that are due, severest first, and writes their attempts: after the commit, and not before,
    /// may a request go out.
    pub async fn claim_texts(
        &mut self,
        limit: i64,
        by: &str,
        lease_until: Moment,
        now: Moment,
    ) -> Result<Vec<OtherDelivery>, StoreError> {
        // PostgreSQL's workers step around each other's rows.
        macro_rules! claim {
            ($lock:literal) => {
                concat!(
                    "UPDATE deliveries SET state = 'leased', lease_until = $3, lease_by = $2, first_attempt_at = COALESCE(first_attempt_at, $1)
                     WHERE id IN (SELECT id FROM deliveries WHERE channel IN ('sms', 'letter') AND channel = 'sms' AND state = 'queued' AND due_at <= $1 ORDER BY priority, due_at, id LIMIT $4 ", $lock, ") RETURNING id"
                )
            };
        }
        let claimed: Vec<(i64,)> = match self {
            Tx::Sqlite(tx) => {
                sqlx::query_as(claim!(""))
                    .bind(now.micros())
                    .bind(by)
                    .bind(lease_until.micros())
                    .bind(limit)
                    .fetch_all(&mut **tx)
                    .await?
            }
            Tx::Postgres(tx) => {
                sqlx::query_as(claim!("FOR UPDATE SKIP LOCKED"))
                    .bind(now.micros())
                    .bind(by)
                    .bind(lease_until.micros())
                    .bind(limit)
                    .fetch_all(&mut **tx)
                    .await?
            }
        };
        if claimed.is_empty() {
            return Ok(Vec::new());
        }
        let claimed = ids(claimed.into_iter().map(|(id,)| id));
        let attempts = self.begin_others(&claimed, now).await?;
        let rows: Vec<TextRow> = on_set!(
            self, &claimed, [id bigint],
            "SELECT x.id, x.thread_id, x.kind, x.recipient, x.template_id, x.facts, x.letter_hash, x.attempts, x.first_attempt_at, x.possible_duplicate
             FROM d JOIN deliveries x ON x.id = d.id ORDER BY x.priority, x.due_at, x.id",
            sqlx::query_as::<_, TextRow>, |query, db| query.fetch_all(db).await
        )?;
        rows.into_iter()
            .map(|row| {
                Ok(OtherDelivery {
                    id: DeliveryId(row.id),
                    thread: row.thread_id,
                    kind: kind(&row.kind, row.id)?,
                    to: Mobile::parse(&row.recipient)
                        .map_err(|_| strange("deliveries", "recipient", row.id))?,
                    template: TemplateId(row.template_id),
                    facts: row.facts,
                    letter_hash: row.letter_hash,
                    attempts: row.attempts,
                    first_attempt_at: Moment::from_micros(row.first_attempt_at),
                    possible_duplicate: row.possible_duplicate,
                    attempt: attempts
                        .get(&row.id)
                        .map(|id| AttemptId(*id))
                        .ok_or_else(|| strange("attempts", "delivery_id", row.id))?,
                })
            })
            .collect()
    }

    async fn begin_others(
        &mut self,
        deliveries: &[super::One],
        now: Moment,
    ) -> Result<HashMap<i64, i64>, StoreError> {
        let rows: Vec<(i64, i64)> = on_set!(
            self, deliveries, [id bigint],
            "INSERT INTO attempts (delivery_id, started_at) SELECT id, $2 FROM d RETURNING delivery_id, id",
            sqlx::query_as::<_, (i64, i64)>, |query, db| query.bind(now.micros()).fetch_all(db).await
        )?;
        Ok(rows.into_iter().collect())
    }

    /// Hands printed letters out: those that are queued and due, of one building if it is named. Their attempts begin, and
    /// end when the tick sheet comes back. Said `again`, those that are out already come as well.
    pub async fn hand_out_letters(
        &mut self,
        building: Option<&str>,
        again: bool,
        now: Moment,
    ) -> Result<Vec<HandedOut>, StoreError> {
        let taken: Vec<(i64,)> = on!(self, db => sqlx::query_as(
            "UPDATE deliveries SET state = 'handed_out', attempts = attempts + 1, first_attempt_at = COALESCE(first_attempt_at, $1)
             WHERE id IN (SELECT x.id FROM deliveries x JOIN threads t ON t.id = x.thread_id JOIN persons p ON p.id = t.person_id
                 WHERE x.channel IN ('sms', 'letter') AND x.channel = 'letter' AND x.state = 'queued' AND x.due_at <= $1 AND (CAST($2 AS TEXT) IS NULL OR p.building = $2)) RETURNING id",
        ).bind(now.micros()).bind(building).fetch_all(db).await)?;
        let taken = ids(taken.into_iter().map(|(id,)| id));
        self.begin_others(&taken, now).await?;
        let mut wanted: Vec<i64> = taken.iter().map(|one| one.id).collect();
        if again {
            let out: Vec<(i64,)> = on!(self, db => sqlx::query_as(
                "SELECT x.id FROM deliveries x JOIN threads t ON t.id = x.thread_id JOIN persons p ON p.id = t.person_id
                 WHERE x.channel IN ('sms', 'letter') AND x.channel = 'letter' AND x.state = 'handed_out' AND (CAST($1 AS TEXT) IS NULL OR p.building = $1)",
            ).bind(building).fetch_all(db).await)?;
            wanted.extend(out.into_iter().map(|(id,)| id));
            wanted.sort_unstable();
            wanted.dedup();
        }
        let rows: Vec<LetterRow> = on_set!(
            self, &ids(wanted), [id bigint],
            "SELECT x.id, x.kind, t.reference, p.display_name, p.department, x.recipient, p.building, x.template_id, x.facts, x.letter_hash, x.queued_at
             FROM d CROSS JOIN deliveries x CROSS JOIN threads t CROSS JOIN persons p WHERE x.id = d.id AND t.id = x.thread_id AND p.id = t.person_id ORDER BY x.id",
            sqlx::query_as::<_, LetterRow>, |query, db| query.fetch_all(db).await
        )?;
        rows.into_iter().map(HandedOut::try_from).collect()
    }

    /// The printed letters of these references, by reference.
    pub async fn outstanding_letters(
        &mut self,
        references: &[String],
    ) -> Result<HashMap<String, Outstanding>, StoreError> {
        #[derive(Serialize)]
        struct Asked<'a> {
            reference: &'a str,
        }
        // Each once, however often it is asked for.
        let references: BTreeSet<&String> = references.iter().collect();
        let asked: Vec<Asked> = references
            .into_iter()
            .map(|reference| Asked { reference })
            .collect();
        type Row = (String, i64, i64, String, Option<i64>);
        let rows: Vec<Row> = on_set!(
            self, &asked, [reference text],
            "SELECT t.reference, x.id, t.id, x.state, (SELECT MAX(a.started_at) FROM attempts a WHERE a.delivery_id = x.id)
             FROM d CROSS JOIN threads t CROSS JOIN deliveries x WHERE t.reference = d.reference AND x.thread_id = t.id AND x.channel = 'letter' ORDER BY x.id",
            sqlx::query_as::<_, Row>, |query, db| query.fetch_all(db).await
        )?;
        let cases: Vec<(i64, i64)> = on_set!(
            self, &ids(rows.iter().map(|row| row.2)), [id bigint],
            "SELECT c.thread_id, c.id FROM d JOIN cases c ON c.thread_id = d.id AND c.state <> 'closed' ORDER BY c.id",
            sqlx::query_as::<_, (i64, i64)>, |query, db| query.fetch_all(db).await
        )?;
        Ok(rows
            .into_iter()
            .map(|(reference, id, thread, state, at)| {
                let letter = Outstanding {
                    id: DeliveryId(id),
                    thread,
                    state,
                    handed_out_at: at.map(Moment::from_micros),
                    cases: cases
                        .iter()
                        .filter(|(of, _)| *of == thread)
                        .map(|(_, case)| CaseId(*case))
                        .collect(),
                };
                (reference, letter)
            })
            .collect())
    }

    /// Ends a letter that was handed out: it was handed over, or came back. False if it was not out any more.
    pub async fn end_letter(
        &mut self,
        id: DeliveryId,
        reached: bool,
        at: Moment,
    ) -> Result<bool, StoreError> {
        let (state, outcome) = if reached {
            ("accepted", "accepted")
        } else {
            ("refused", "fail_recipient")
        };
        let changed = on!(self, db => sqlx::query("UPDATE deliveries SET state = $2, ended_at = $3 WHERE id = $1 AND state = 'handed_out'")
            .bind(id.0).bind(state).bind(at.micros()).execute(db).await.map(|done| done.rows_affected()))?;
        on!(self, db => sqlx::query("UPDATE attempts SET ended_at = $2, outcome = $3 WHERE delivery_id = $1 AND ended_at IS NULL")
            .bind(id.0).bind(at.micros()).bind(outcome).execute(db).await.map(|_| ()))?;
        Ok(changed == 1)
    }

    /// Takes what is queued by a way that its campaign goes without out of the queue: first notices go by the next way,
    /// reminders not at all. Returns how many.
    pub async fn drop_left_out(&mut self, now: Moment) -> Result<u64, StoreError> {
        let dropped = on!(self, db => sqlx::query(
            "UPDATE deliveries SET state = 'dropped', ended_at = $1 WHERE state IN ('queued', 'paused') AND kind <> 'notice.done'
             AND thread_id IN (SELECT t.id FROM ways_left_out w CROSS JOIN threads t WHERE t.campaign_id = w.campaign_id AND t.state = 'running')
             AND EXISTS (SELECT 1 FROM threads t JOIN ways_left_out w ON w.campaign_id = t.campaign_id WHERE t.id = deliveries.thread_id AND w.way = deliveries.channel)",
        ).bind(now.micros()).execute(db).await.map(|done| done.rows_affected()))?;
        Ok(dropped)
    }

    /// Running threads of running campaigns, by number from `after` on, with an open case that nobody was told about and a
    /// first notice that ended in vain, and none that is under way, arrived or in doubt.
    pub async fn threads_in_vain(
        &mut self,
        after: i64,
        limit: i64,
    ) -> Result<Vec<Thread>, StoreError> {
        let rows: Vec<(i64,)> = on!(self, db => sqlx::query_as(
            "SELECT DISTINCT f.thread_id FROM deliveries f JOIN threads t ON t.id = f.thread_id JOIN campaigns p ON p.id = t.campaign_id
             WHERE f.state IN ('refused', 'bounced', 'expired', 'dropped') AND f.kind IN ('notice.weak', 'notice.attacked', 'notice.breached', 'notice.compromised')
                 AND f.thread_id > $1 AND t.state = 'running' AND p.state = 'running'
                 AND EXISTS (SELECT 1 FROM cases c WHERE c.thread_id = t.id AND c.state = 'open')
                 AND NOT EXISTS (SELECT 1 FROM deliveries x WHERE x.thread_id = t.id AND x.kind = t.kind AND x.state IN ('queued', 'leased', 'paused', 'accepted', 'handed_out', 'stopped'))
             ORDER BY f.thread_id LIMIT $2",
        ).bind(after).bind(limit).fetch_all(db).await)?;
        let wanted: Vec<i64> = rows.into_iter().map(|(id,)| id).collect();
        self.threads_by_id(&wanted).await
    }

    /// The ways by which the first notices of these threads went, oldest first.
    pub async fn tried(&mut self, threads: &[i64]) -> Result<HashMap<i64, Vec<Tried>>, StoreError> {
        let rows: Vec<(i64, i64, String, String)> = on_set!(
            self, &ids(threads.iter().copied()), [id bigint],
            "SELECT x.id, t.id, x.channel, x.state FROM d CROSS JOIN threads t CROSS JOIN deliveries x WHERE t.id = d.id AND x.thread_id = t.id AND x.kind = t.kind ORDER BY x.id",
            sqlx::query_as::<_, (i64, i64, String, String)>, |query, db| query.fetch_all(db).await
        )?;
        let mut tried: HashMap<i64, Vec<Tried>> = HashMap::with_capacity(threads.len());
        for (id, thread, channel, state) in rows {
            let way =
                Way::from_word(&channel).ok_or_else(|| strange("deliveries", "channel", id))?;
            tried.entry(thread).or_default().push(Tried { way, state });
        }
        Ok(tried)
    }

    /// The next way is under way: whoever was asked to reach these people because the last one failed need not, and the
    /// ledger says why.
    pub async fn take_another_way(
        &mut self,
        cases: &[(CaseId, Way)],
        now: Moment,
    ) -> Result<(), StoreError> {
        if cases.is_empty() {
            return Ok(());
        }
        on_set!(
            self, &ids(cases.iter().map(|(case, _)| case.0)), [id bigint],
            "UPDATE tasks SET done_at = $2, done_by = 'bell' FROM d WHERE tasks.case_id = d.id AND tasks.kind = 'reach' AND tasks.reason NOT IN ('late', 'in_doubt', 'not_spoken_to', 'unwritable', 'no_address', 'disabled', 'left', 'only_affected_mailbox') AND tasks.done_at IS NULL",
            sqlx::query, |query, db| query.bind(now.micros()).execute(db).await.map(|_| ())
        )?;
        // If that fails as well, somebody is asked anew.
        on_set!(
            self, &ids(cases.iter().map(|(case, _)| case.0)), [id bigint],
            "UPDATE cases SET not_reached = NULL FROM d WHERE cases.id = d.id AND cases.state = 'open'",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        for (case, way) in cases {
            let detail = format!("{{\"way\":\"{way}\"}}");
            self.note_case(now, "bell", "case.another_way", *case, None, Some(&detail))
                .await?;
        }
        Ok(())
    }

    /// Keeps the letters of threads that got another one.
    pub async fn keep_message_ids(&mut self, threads: &[(i64, String)]) -> Result<(), StoreError> {
        #[derive(Serialize)]
        struct Set<'a> {
            id: i64,
            message_ids: &'a str,
        }
        let sets: Vec<Set> = threads
            .iter()
            .map(|(id, message_ids)| Set {
                id: *id,
                message_ids,
            })
            .collect();
        on_set!(
            self, &sets, [id bigint, message_ids text],
            "UPDATE threads SET message_ids = d.message_ids FROM d WHERE threads.id = d.id",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        Ok(())
    }

    /// Texts that a gateway took since `since` and of which it has not told the end, and was not asked since `asked_before`.
    pub async fn texts_underway(
        &mut self,
        since: Moment,
        asked_before: Moment,
        limit: i64,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        let rows: Vec<(i64,)> = on!(self, db => sqlx::query_as(
            "SELECT x.id FROM deliveries x LEFT JOIN text_fates f ON f.delivery_id = x.id
             WHERE x.channel IN ('sms', 'letter') AND x.channel = 'sms' AND x.state = 'accepted' AND x.ended_at >= $1
                 AND (f.delivery_id IS NULL OR (f.fate = 'underway' AND f.looked_at < $2)) ORDER BY COALESCE(f.looked_at, 0), x.id LIMIT $3",
        ).bind(since.micros()).bind(asked_before.micros()).bind(limit).fetch_all(db).await)?;
        Ok(rows.into_iter().map(|(id,)| DeliveryId(id)).collect())
    }

    /// Keeps what a gateway says of a text that it took.
    pub async fn keep_fate(
        &mut self,
        id: DeliveryId,
        fate: Fate,
        now: Moment,
    ) -> Result<(), StoreError> {
        on!(self, db => sqlx::query("INSERT INTO text_fates (delivery_id, fate, looked_at) VALUES ($1, $2, $3) ON CONFLICT (delivery_id) DO UPDATE SET fate = excluded.fate, looked_at = excluded.looked_at")
            .bind(id.0).bind(fate.word()).bind(now.micros()).execute(db).await.map(|_| ()))?;
        Ok(())
    }
}
