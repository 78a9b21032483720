//! Campaigns and the threads they open with people.

use serde::Serialize;

use super::{StoreError, Tx, expect_one, ids, on, on_set, strange};
use crate::domain::campaign::{CampaignState, Cleared};
use crate::domain::finding::Category;
use crate::domain::notice::NoticeKind;
use crate::domain::{CampaignId, CaseId, Moment, PersonId};

/// A campaign as it is shown.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Campaign {
    /// Its number.
    pub id: CampaignId,
    /// What its notices' references start with.
    pub reference: String,
    /// Who drafted it.
    pub author: String,
    /// When.
    pub drafted_at: Moment,
    /// Of all recipients and texts.
    pub content_hash: String,
    /// How many are told.
    pub people: i64,
    /// Where it is.
    pub state: CampaignState,
    /// Who approved it.
    pub approved_by: Option<String>,
    /// When.
    pub approved_at: Option<Moment>,
    /// Why it says nothing.
    pub void_reason: Option<String>,
}

#[derive(sqlx::FromRow)]
struct CampaignRow {
    id: i64,
    reference: String,
    author: String,
    drafted_at: i64,
    content_hash: String,
    people: i64,
    state: String,
    approved_by: Option<String>,
    approved_at: Option<i64>,
    void_reason: Option<String>,
}

impl TryFrom<CampaignRow> for Campaign {
    type Error = StoreError;

    fn try_from(row: CampaignRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: CampaignId(row.id),
            state: CampaignState::from_word(&row.state)
                .ok_or_else(|| strange("campaigns", "state", row.id))?,
            reference: row.reference,
            author: row.author,
            drafted_at: Moment::from_micros(row.drafted_at),
            content_hash: row.content_hash,
            people: row.people,
            approved_by: row.approved_by,
            approved_at: row.approved_at.map(Moment::from_micros),
            void_reason: row.void_reason,
        })
    }
}

/// Where a thread is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ThreadState {
    /// Its campaign is not approved yet.
    Draft,
    /// Approved; its first notice is not queued yet.
    Waiting,
    /// Under way.
    Running,
    /// Over.
    Ended,
}

impl ThreadState {
    const fn word(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Ended => "ended",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Draft, Self::Waiting, Self::Running, Self::Ended]
            .into_iter()
            .find(|state| state.word() == word)
    }
}

/// A conversation with one person about all that a campaign has to tell them.
#[derive(Clone, PartialEq, Debug)]
pub struct Thread {
    /// Its number.
    pub id: i64,
    /// Part of which campaign.
    pub campaign: CampaignId,
    /// With whom.
    pub person: PersonId,
    /// What the person can have looked up.
    pub reference: String,
    /// Of the first notice.
    pub kind: NoticeKind,
    /// The severest of its cases.
    pub category: Category,
    /// Of recipient and text, as approved.
    pub content_hash: String,
    /// Frozen, as JSON.
    pub ladder: String,
    /// The person's IANA zone.
    pub zone: String,
    /// When the first notice was queued to go.
    pub first_at: Option<Moment>,
    /// When the new password is wanted.
    pub deadline_at: Option<Moment>,
    /// The rungs' moments, as JSON.
    pub timetable: Option<String>,
    /// The rungs behind us, as JSON.
    pub climbed: String,
    /// Of its letters, in their order.
    pub message_ids: String,
    /// Where it is.
    pub state: ThreadState,
}

#[derive(sqlx::FromRow)]
struct ThreadRow {
    id: i64,
    state: String,
    campaign_id: i64,
    person_id: i64,
    reference: String,
    kind: String,
    category: String,
    content_hash: String,
    ladder: String,
    zone: String,
    first_at: Option<i64>,
    deadline_at: Option<i64>,
    timetable: Option<String>,
    climbed: String,
    message_ids: String,
}

impl TryFrom<ThreadRow> for Thread {
    type Error = StoreError;

    fn try_from(row: ThreadRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            campaign: CampaignId(row.campaign_id),
            person: PersonId(row.person_id),
            kind: NoticeKind::from_word(&row.kind)
                .ok_or_else(|| strange("threads", "kind", row.id))?,
            category: Category::from_word(&row.category)
                .ok_or_else(|| strange("threads", "category", row.id))?,
            reference: row.reference,
            content_hash: row.content_hash,
            ladder: row.ladder,
            zone: row.zone,
            first_at: row.first_at.map(Moment::from_micros),
            deadline_at: row.deadline_at.map(Moment::from_micros),
            timetable: row.timetable,
            climbed: row.climbed,
            message_ids: row.message_ids,
            state: ThreadState::from_word(&row.state)
                .ok_or_else(|| strange("threads", "state", row.id))?,
        })
    }
}

macro_rules! thread_columns {
    () => {
        "t.id, t.state, t.campaign_id, t.person_id, t.reference, t.kind, t.category, t.content_hash, t.ladder, t.zone, t.first_at, t.deadline_at, t.timetable, t.climbed, t.message_ids"
    };
}

/// Frees open cases from their threads, and says so where a deadline goes with it.
macro_rules! freeing {
    ($self:ident, $threads:expr, $now:expr, $only:literal) => {{
        if $threads.is_empty() {
            return Ok(());
        }
        let threads = ids($threads.iter().copied());
        on_set!(
            $self, &threads, [id bigint],
            concat!(
                "INSERT INTO ledger (at, actor, act, case_id) SELECT $2, 'bell', 'case.freed', cases.id FROM d CROSS JOIN threads t CROSS JOIN cases
                 WHERE t.id = d.id AND cases.thread_id = t.id AND cases.state = 'open' AND cases.deadline_at = t.deadline_at", $only, " ORDER BY cases.id"
            ),
            sqlx::query, |query, db| query.bind($now.micros()).execute(db).await.map(|_| ())
        )?;
        on_set!(
            $self, &threads, [id bigint],
            concat!(
                "UPDATE cases SET thread_id = NULL, deadline_at = CASE WHEN cases.deadline_at = t.deadline_at THEN NULL ELSE cases.deadline_at END
                 FROM d CROSS JOIN threads t WHERE t.id = d.id AND cases.thread_id = t.id AND cases.state = 'open'", $only
            ),
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        Ok(())
    }};
}

/// A thread of a campaign that is being drafted.
#[derive(Clone, PartialEq, Debug)]
pub struct ThreadDraft {
    /// With whom.
    pub person: PersonId,
    /// What the person can have looked up.
    pub reference: String,
    /// Of the first notice.
    pub kind: NoticeKind,
    /// The severest of its cases.
    pub category: Category,
    /// Of recipient and text.
    pub content_hash: String,
    /// Frozen, as JSON.
    pub ladder: String,
    /// The person's IANA zone.
    pub zone: String,
    /// What it is about.
    pub cases: Vec<CaseId>,
}

/// A thread whose first notice is queued.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ThreadQueued {
    /// Its number.
    pub id: i64,
    /// When the first notice may go.
    pub first_at: i64,
    /// When the new password is wanted.
    pub deadline_at: i64,
    /// The rungs' moments, as JSON.
    pub timetable: String,
    /// When the next rung is due.
    pub next_at: Option<i64>,
    /// Of its first letter.
    pub message_ids: String,
}

impl Tx {
    /// Begins the draft of a campaign. Its reference is `PREFIX-` and the year and month, with a letter from the second
    /// of a month on: DB-2603, DB-2603B.
    pub async fn draft_campaign(
        &mut self,
        prefix: &str,
        author: &str,
        now: Moment,
    ) -> Result<Campaign, StoreError> {
        let month = format!("{prefix}-{}", now.utc().format("%y%m"));
        let (before,): (i64,) = on!(self, db => sqlx::query_as("SELECT COUNT(*) FROM campaigns WHERE reference LIKE $1").bind(format!("{month}%")).fetch_one(db).await)?;
        let reference = match before {
            0 => month,
            1..=25 => format!(
                "{month}{}",
                char::from(b'A' + u8::try_from(before).unwrap_or(25))
            ),
            more => format!("{month}X{more}"),
        };
        let row: CampaignRow = on!(self, db => sqlx::query_as(
            "INSERT INTO campaigns (reference, author, drafted_at, content_hash, people, state) VALUES ($1, $2, $3, '', 0, 'draft')
             RETURNING id, reference, author, drafted_at, content_hash, people, state, approved_by, approved_at, void_reason",
        ).bind(reference).bind(author).bind(now.micros()).fetch_one(db).await)?;
        Campaign::try_from(row)
    }

    /// Adds threads to a draft; each takes its cases along.
    pub async fn add_threads(
        &mut self,
        campaign: CampaignId,
        drafts: &[ThreadDraft],
    ) -> Result<(), StoreError> {
        #[derive(Serialize)]
        struct Set<'a> {
            person_id: i64,
            reference: &'a str,
            kind: &'static str,
            category: &'static str,
            content_hash: &'a str,
            ladder: &'a str,
            zone: &'a str,
        }
        #[derive(Serialize)]
        struct Link<'a> {
            id: i64,
            reference: &'a str,
        }
        let sets: Vec<Set> = drafts
            .iter()
            .map(|draft| Set {
                person_id: draft.person.0,
                reference: &draft.reference,
                kind: draft.kind.word(),
                category: draft.category.word(),
                content_hash: &draft.content_hash,
                ladder: &draft.ladder,
                zone: &draft.zone,
            })
            .collect();
        on_set!(
            self, &sets, [person_id bigint, reference text, kind text, category text, content_hash text, ladder text, zone text],
            "INSERT INTO threads (campaign_id, person_id, reference, kind, category, content_hash, ladder, zone, state, climbed, message_ids)
             SELECT $2, person_id, reference, kind, category, content_hash, ladder, zone, 'draft', '[]', '' FROM d",
            sqlx::query, |query, db| query.bind(campaign.0).execute(db).await.map(|_| ())
        )?;
        let links: Vec<Link> = drafts
            .iter()
            .flat_map(|draft| {
                draft.cases.iter().map(|case| Link {
                    id: case.0,
                    reference: &draft.reference,
                })
            })
            .collect();
        on_set!(
            self, &links, [id bigint, reference text],
            "UPDATE cases SET thread_id = t.id FROM d JOIN threads t ON t.reference = d.reference WHERE cases.id = d.id AND cases.thread_id IS NULL",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        Ok(())
    }

    /// Ends the drafting: this is what an approval will be bound to.
    pub async fn end_draft(
        &mut self,
        campaign: CampaignId,
        content_hash: &str,
        people: u64,
        author: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let people = i64::try_from(people).unwrap_or(i64::MAX);
        let changed = on!(self, db => sqlx::query("UPDATE campaigns SET content_hash = $2, people = $3 WHERE id = $1 AND state = 'draft'")
            .bind(campaign.0).bind(content_hash).bind(people).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "campaigns", campaign.0)?;
        let detail = format!("{{\"people\":{people},\"content\":\"{content_hash}\"}}");
        self.note(
            now,
            author,
            "campaign.drafted",
            Some(&format!("campaign:{campaign}")),
            Some(&detail),
        )
        .await
    }

    /// One campaign.
    pub async fn campaign(&mut self, id: CampaignId) -> Result<Option<Campaign>, StoreError> {
        let row: Option<CampaignRow> = on!(self, db => sqlx::query_as(
            "SELECT id, reference, author, drafted_at, content_hash, people, state, approved_by, approved_at, void_reason FROM campaigns WHERE id = $1",
        ).bind(id.0).fetch_optional(db).await)?;
        row.map(Campaign::try_from).transpose()
    }

    /// All campaigns, oldest first.
    pub async fn campaigns(&mut self) -> Result<Vec<Campaign>, StoreError> {
        let rows: Vec<CampaignRow> = on!(self, db => sqlx::query_as(
            "SELECT id, reference, author, drafted_at, content_hash, people, state, approved_by, approved_at, void_reason FROM campaigns ORDER BY id",
        ).fetch_all(db).await)?;
        rows.into_iter().map(Campaign::try_from).collect()
    }

    /// Lets a campaign go. Whether it may is decided in the domain.
    pub async fn approve_campaign(
        &mut self,
        campaign: &Campaign,
        approver: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let changed = on!(self, db => sqlx::query("UPDATE campaigns SET state = 'approved', approved_by = $2, approved_at = $3 WHERE id = $1 AND state = 'draft' AND content_hash = $4")
            .bind(campaign.id.0).bind(approver).bind(now.micros()).bind(&campaign.content_hash).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "campaigns", campaign.id.0)?;
        on!(self, db => sqlx::query("UPDATE threads SET state = 'waiting' WHERE campaign_id = $1 AND state = 'draft'").bind(campaign.id.0).execute(db).await.map(|_| ()))?;
        let detail = format!(
            "{{\"author\":{},\"content\":\"{}\"}}",
            serde_json::to_string(&campaign.author)?,
            campaign.content_hash
        );
        self.note(
            now,
            approver,
            "campaign.approved",
            Some(&format!("campaign:{}", campaign.id)),
            Some(&detail),
        )
        .await
    }

    /// Moves a campaign on: running when its first notices are queued, paused and back, stopped.
    pub async fn move_campaign(
        &mut self,
        id: CampaignId,
        from: &[CampaignState],
        to: CampaignState,
        actor: &str,
        reason: Option<&str>,
        now: Moment,
    ) -> Result<(), StoreError> {
        let Some(campaign) = self
            .campaign(id)
            .await?
            .filter(|campaign| from.contains(&campaign.state))
        else {
            return Err(StoreError::Lost {
                table: "campaigns",
                id: id.0,
            });
        };
        // Somebody may have moved it since it was read.
        let changed = on!(self, db => sqlx::query("UPDATE campaigns SET state = $2 WHERE id = $1 AND state = $3")
            .bind(id.0).bind(to.word()).bind(campaign.state.word()).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "campaigns", id.0)?;
        let moved = match to {
            CampaignState::Paused => Some((["queued", "queued"], "paused", None)),
            CampaignState::Stopped => Some((["queued", "paused"], "stopped", Some(now.micros()))),
            CampaignState::Running if campaign.state == CampaignState::Paused => {
                Some((["paused", "paused"], "queued", None))
            }
            CampaignState::Draft
            | CampaignState::Approved
            | CampaignState::Running
            | CampaignState::Void => None,
        };
        if let Some((from, state, ended_at)) = moved {
            // Thanks are owed whatever becomes of a campaign.
            on!(self, db => sqlx::query("UPDATE deliveries SET state = $4, ended_at = $5 WHERE state IN ($2, $3) AND kind <> 'notice.done' AND thread_id IN (SELECT id FROM threads WHERE campaign_id = $1)")
                .bind(id.0).bind(from[0]).bind(from[1]).bind(state).bind(ended_at).execute(db).await.map(|_| ()))?;
        }
        if to == CampaignState::Stopped {
            self.release(id, now).await?;
        }
        let detail = reason.map(|reason| serde_json::json!({ "reason": reason }).to_string());
        self.note(
            now,
            actor,
            &format!("campaign.{}", to.word()),
            Some(&format!("campaign:{id}")),
            detail.as_deref(),
        )
        .await
    }

    /// Voids a campaign that has told nobody yet: what was approved is not what is there now. Cases that nobody was told about are free for the
    /// next draft.
    pub async fn void_campaign(
        &mut self,
        id: CampaignId,
        reason: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let changed = on!(self, db => sqlx::query("UPDATE campaigns SET state = 'void', void_reason = $2 WHERE id = $1 AND state IN ('draft', 'approved')")
            .bind(id.0).bind(reason).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "campaigns", id.0)?;
        self.release(id, now).await?;
        let detail = serde_json::json!({ "reason": reason }).to_string();
        self.note(
            now,
            "bell",
            "campaign.void",
            Some(&format!("campaign:{id}")),
            Some(&detail),
        )
        .await
    }

    /// Ends a campaign's threads. Whoever was told, is somebody's work or may be told by a letter in flight stays with
    /// theirs; that letter is decided about when it comes back.
    async fn release(&mut self, id: CampaignId, now: Moment) -> Result<(), StoreError> {
        let threads: Vec<(i64,)> = on!(self, db => sqlx::query_as("SELECT id FROM threads WHERE campaign_id = $1 AND state <> 'ended' ORDER BY id").bind(id.0).fetch_all(db).await)?;
        let threads: Vec<i64> = threads.into_iter().map(|(id,)| id).collect();
        self.free_untold(&threads, now).await?;
        on!(self, db => sqlx::query("UPDATE threads SET state = 'ended', next_at = NULL WHERE campaign_id = $1 AND state <> 'ended'").bind(id.0).execute(db).await.map(|_| ()))?;
        Ok(())
    }

    /// Threads of a campaign in `state`, by number, from `after` on.
    pub async fn threads(
        &mut self,
        campaign: CampaignId,
        state: ThreadState,
        after: i64,
        limit: i64,
    ) -> Result<Vec<Thread>, StoreError> {
        let rows: Vec<ThreadRow> = on!(self, db => sqlx::query_as(concat!(
            "SELECT ", thread_columns!(), " FROM threads t WHERE t.campaign_id = $1 AND t.state = $2 AND t.id > $3 ORDER BY t.id LIMIT $4",
        )).bind(campaign.0).bind(state.word()).bind(after).bind(limit).fetch_all(db).await)?;
        rows.into_iter().map(Thread::try_from).collect()
    }

    /// All threads of a campaign, by number, from `after` on.
    pub async fn all_threads(
        &mut self,
        campaign: CampaignId,
        after: i64,
        limit: i64,
    ) -> Result<Vec<Thread>, StoreError> {
        let rows: Vec<ThreadRow> = on!(self, db => sqlx::query_as(concat!(
            "SELECT ", thread_columns!(), " FROM threads t WHERE t.campaign_id = $1 AND t.id > $2 ORDER BY t.id LIMIT $3",
        )).bind(campaign.0).bind(after).bind(limit).fetch_all(db).await)?;
        rows.into_iter().map(Thread::try_from).collect()
    }

    /// Running threads of running campaigns with a rung due, the longest overdue first.
    pub async fn threads_due(
        &mut self,
        now: Moment,
        limit: i64,
    ) -> Result<Vec<Thread>, StoreError> {
        let rows: Vec<ThreadRow> = on!(self, db => sqlx::query_as(concat!(
            "SELECT ", thread_columns!(), " FROM threads t JOIN campaigns p ON p.id = t.campaign_id
             WHERE t.state = 'running' AND t.next_at IS NOT NULL AND t.next_at <= $1 AND p.state = 'running' ORDER BY t.next_at, t.id LIMIT $2",
        )).bind(now.micros()).bind(limit).fetch_all(db).await)?;
        rows.into_iter().map(Thread::try_from).collect()
    }

    /// These threads, by number.
    pub async fn threads_by_id(&mut self, wanted: &[i64]) -> Result<Vec<Thread>, StoreError> {
        let rows: Vec<ThreadRow> = on_set!(
            self, &ids(wanted.iter().copied()), [id bigint],
            concat!("SELECT ", thread_columns!(), " FROM d JOIN threads t ON t.id = d.id ORDER BY t.id"),
            sqlx::query_as::<_, ThreadRow>, |query, db| query.fetch_all(db).await
        )?;
        rows.into_iter().map(Thread::try_from).collect()
    }

    /// Sets waiting threads of a campaign that is cleared running: their first notices are queued, and their cases'
    /// deadline is fixed. What waits no more, or is another campaign's, stays as it is.
    pub async fn start_threads(
        &mut self,
        cleared: Cleared,
        queued: &[ThreadQueued],
        now: Moment,
    ) -> Result<(), StoreError> {
        let started: Vec<(i64,)> = on_set!(
            self, queued, [id bigint, first_at bigint, deadline_at bigint, timetable text, next_at bigint, message_ids text],
            "UPDATE threads SET state = 'running', first_at = d.first_at, deadline_at = d.deadline_at, timetable = d.timetable, next_at = d.next_at, message_ids = d.message_ids
             FROM d WHERE threads.id = d.id AND threads.state = 'waiting' AND threads.campaign_id + 0 = $2 RETURNING threads.id",
            sqlx::query_as::<_, (i64,)>, |query, db| query.bind(cleared.campaign().0).fetch_all(db).await
        )?;
        let started = ids(started.into_iter().map(|(id,)| id));
        on_set!(
            self, &started, [id bigint],
            "UPDATE cases SET deadline_at = t.deadline_at FROM d CROSS JOIN threads t WHERE t.id = d.id AND cases.thread_id = t.id AND cases.state <> 'closed' AND cases.deadline_at IS NULL",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        on_set!(
            self, &started, [id bigint],
            "INSERT INTO ledger (at, actor, act, case_id, effective_at) SELECT $2, 'bell', 'case.due', c.id, c.deadline_at FROM d JOIN cases c ON c.thread_id = d.id AND c.state <> 'closed' ORDER BY c.id",
            sqlx::query, |query, db| query.bind(now.micros()).execute(db).await.map(|_| ())
        )?;
        Ok(())
    }

    /// Moves threads past a rung.
    pub async fn follow_threads(
        &mut self,
        following: &[super::Following],
    ) -> Result<(), StoreError> {
        on_set!(
            self, following, [id bigint, climbed text, next_at bigint, message_ids text],
            "UPDATE threads SET climbed = d.climbed, next_at = d.next_at, message_ids = d.message_ids FROM d WHERE threads.id = d.id AND threads.state = 'running'",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        Ok(())
    }

    /// Ends threads in which nothing will be said. Their open cases are somebody's work, or freed for the next plan.
    pub async fn close_threads(&mut self, threads: &[i64], now: Moment) -> Result<(), StoreError> {
        if threads.is_empty() {
            return Ok(());
        }
        let wanted = ids(threads.iter().copied());
        on_set!(
            self, &wanted, [id bigint],
            "UPDATE threads SET state = 'ended', next_at = NULL FROM d WHERE threads.id = d.id AND threads.state <> 'ended'",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        self.end_threads(threads, now).await
    }

    /// Lets the letters of a case's thread rest until `until`, if all its open cases do: a first notice waits, a reminder
    /// goes only if a later one is due.
    pub async fn hold_letters(
        &mut self,
        case: CaseId,
        until: Moment,
        now: Moment,
    ) -> Result<(), StoreError> {
        macro_rules! resting {
            ($set:literal, $kinds:literal) => {
                concat!(
                    "UPDATE deliveries SET ", $set, " WHERE state IN ('queued', 'paused') AND kind ", $kinds,
                    " AND thread_id IN (SELECT thread_id FROM cases WHERE id = $1)
                     AND NOT EXISTS (SELECT 1 FROM cases c WHERE c.thread_id = deliveries.thread_id AND c.state <> 'closed' AND COALESCE(c.exempt_until, 0) <= $2 AND COALESCE(c.snoozed_until, 0) <= $2)"
                )
            };
        }
        on!(self, db => sqlx::query(resting!("due_at = CASE WHEN due_at < $3 THEN $3 ELSE due_at END", "LIKE 'notice.%' AND kind <> 'notice.done'"))
            .bind(case.0).bind(now.micros()).bind(until.micros()).execute(db).await.map(|_| ()))?;
        on!(self, db => sqlx::query(resting!("state = 'dropped', ended_at = $2", "LIKE 'reminder.%'"))
            .bind(case.0).bind(now.micros()).execute(db).await.map(|_| ()))?;
        Ok(())
    }

    /// Holds back what is still to be said in the threads of these cases, and frees those that nobody was told about: what
    /// is known of them now is worse than what their letters say.
    pub async fn withhold(&mut self, cases: &[CaseId], now: Moment) -> Result<(), StoreError> {
        let threads: Vec<(i64,)> = on_set!(
            self, &ids(cases.iter().map(|id| id.0)), [id bigint],
            "SELECT DISTINCT c.thread_id FROM d JOIN cases c ON c.id = d.id AND c.thread_id IS NOT NULL ORDER BY 1",
            sqlx::query_as::<_, (i64,)>, |query, db| query.fetch_all(db).await
        )?;
        let threads: Vec<i64> = threads.into_iter().map(|(thread,)| thread).collect();
        on_set!(
            self, &ids(threads.iter().copied()), [id bigint],
            "UPDATE deliveries SET state = 'dropped', ended_at = $2 FROM d WHERE deliveries.thread_id = d.id AND deliveries.state IN ('queued', 'paused') AND deliveries.kind <> 'notice.done'",
            sqlx::query, |query, db| query.bind(now.micros()).execute(db).await.map(|_| ())
        )?;
        self.free_cases(&threads, now).await?;
        self.end_threads(&threads, now).await
    }

    /// Frees the cases of these threads that nobody was told about, for the next plan. A deadline that came with the thread
    /// goes with it: nobody has heard of it.
    pub async fn free_cases(&mut self, threads: &[i64], now: Moment) -> Result<(), StoreError> {
        freeing!(self, threads, now, "")
    }

    /// The same, but leaves those that are somebody's work, and those that a letter in flight is about.
    pub(super) async fn free_untold(
        &mut self,
        threads: &[i64],
        now: Moment,
    ) -> Result<(), StoreError> {
        freeing!(
            self, threads, now,
            " AND cases.not_reached IS NULL AND NOT EXISTS (SELECT 1 FROM deliveries x WHERE x.thread_id = cases.thread_id AND x.state = 'leased')
             AND NOT EXISTS (SELECT 1 FROM tasks k WHERE k.case_id = cases.id AND k.kind = 'decide' AND k.done_at IS NULL)"
        )
    }

    /// How many of a campaign's deliveries are in each state.
    pub async fn campaign_deliveries(
        &mut self,
        id: CampaignId,
    ) -> Result<Vec<(String, i64)>, StoreError> {
        Ok(on!(self, db => sqlx::query_as(
            "SELECT x.state, COUNT(*) FROM threads t JOIN deliveries x ON x.thread_id = t.id WHERE t.campaign_id = $1 GROUP BY x.state ORDER BY x.state",
        ).bind(id.0).fetch_all(db).await)?)
    }

    /// How many of a campaign's cases have a proven reset, and of how many.
    pub async fn campaign_progress(&mut self, id: CampaignId) -> Result<(i64, i64), StoreError> {
        Ok(on!(self, db => sqlx::query_as(
            "SELECT COUNT(*) FILTER (WHERE c.closed_as = 'reset'), COUNT(*) FROM threads t JOIN cases c ON c.thread_id = t.id WHERE t.campaign_id = $1 AND COALESCE(c.closed_as, '') <> 'withdrawn'",
        ).bind(id.0).fetch_one(db).await)?)
    }

    /// Ends threads that have no open case left, and drops what was still queued to be said in them.
    pub async fn end_threads(&mut self, threads: &[i64], now: Moment) -> Result<(), StoreError> {
        if threads.is_empty() {
            return Ok(());
        }
        let wanted = ids(threads.iter().copied());
        on_set!(
            self, &wanted, [id bigint],
            "UPDATE threads SET state = 'ended', next_at = NULL FROM d WHERE threads.id = d.id AND threads.state <> 'ended'
                 AND NOT EXISTS (SELECT 1 FROM cases c WHERE c.thread_id = threads.id AND c.state <> 'closed')",
            sqlx::query, |query, db| query.execute(db).await.map(|_| ())
        )?;
        on_set!(
            self, &wanted, [id bigint],
            "UPDATE deliveries SET state = 'dropped', ended_at = $2 FROM d WHERE deliveries.thread_id = d.id AND deliveries.state IN ('queued', 'paused') AND deliveries.kind <> 'notice.done'
                 AND NOT EXISTS (SELECT 1 FROM cases c WHERE c.thread_id = deliveries.thread_id AND c.state <> 'closed')",
            sqlx::query, |query, db| query.bind(now.micros()).execute(db).await.map(|_| ())
        )?;
        Ok(())
    }
}
