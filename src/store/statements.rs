//! Statements: their texts, approvals and moves. What is published is never changed here, only marked.

use serde::Serialize;

use super::{StoreError, Tx, expect_one, on, strange};
use crate::domain::audience::Audience;
use crate::domain::statement::{Figure, StatementKind, StatementState, Wording};
use crate::domain::{IncidentId, Moment, StatementId};

/// A statement.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Statement {
    /// Its number, which readers see.
    pub id: StatementId,
    /// What it is about.
    pub incident: IncidentId,
    /// What it is to another one.
    pub kind: StatementKind,
    /// The published one that it puts right or takes back.
    pub about: Option<StatementId>,
    /// Who reads it.
    pub audience: Audience,
    /// Where it goes.
    pub channels: Vec<String>,
    /// As it was typed, with variables.
    pub body: String,
    /// Counts its texts, from 1.
    pub version: i64,
    /// Where it is.
    pub state: StatementState,
    /// Who drafted it.
    pub author: String,
    /// When it was drafted.
    pub drafted_at: Moment,
    /// When somebody last did something about it.
    pub touched_at: Moment,
    /// Why it was sent back, if it was, and not edited since.
    pub sent_back: Option<String>,
    /// The approval that holds.
    pub approval: Option<Approval>,
    /// Who answers for what the guard found.
    pub overridden: Option<Overridden>,
    /// When it is published by itself.
    pub publish_at: Option<Moment>,
    /// When it was put out.
    pub published_at: Option<Moment>,
    /// By whom: an operator, or `bell` at its time.
    pub published_by: Option<String>,
    /// The later one that put it right or took it back.
    pub marked_by: Option<StatementId>,
}

/// An approval, and exactly what was approved.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Approval {
    /// Who.
    pub by: String,
    /// When.
    pub at: Moment,
    /// What it is bound to.
    pub hash: String,
    /// Frozen.
    pub wording: Wording,
}

/// Somebody answers for publishing what the guard found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Overridden {
    /// Who: neither a writer nor the approver.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Moment,
}

/// One of a statement's texts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct StatementVersion {
    /// Which.
    pub version: i64,
    /// As it was typed.
    pub body: String,
    /// By whom.
    pub by: String,
    /// When.
    pub at: Moment,
}

/// A statement that is to be kept.
#[derive(Clone, Debug)]
pub struct StatementDraft<'a> {
    /// What it is about.
    pub incident: IncidentId,
    /// What it is to another one.
    pub kind: StatementKind,
    /// The published one that it is about.
    pub about: Option<StatementId>,
    /// Who reads it.
    pub audience: Audience,
    /// Where it goes.
    pub channels: &'a [String],
    /// Its text, with variables.
    pub body: &'a str,
}

#[derive(sqlx::FromRow)]
struct StatementRow {
    id: i64,
    incident_id: i64,
    kind: String,
    about_id: Option<i64>,
    audience: String,
    channels: String,
    body: String,
    version: i64,
    state: String,
    author: String,
    drafted_at: i64,
    touched_at: i64,
    sent_back: Option<String>,
    approved_by: Option<String>,
    approved_at: Option<i64>,
    approved_hash: Option<String>,
    approved_text: Option<String>,
    approved_words: Option<String>,
    approved_figures: Option<String>,
    figures_as_of: Option<i64>,
    overridden_by: Option<String>,
    override_reason: Option<String>,
    overridden_at: Option<i64>,
    publish_at: Option<i64>,
    published_at: Option<i64>,
    published_by: Option<String>,
    marked_by: Option<i64>,
}

/// The columns of [`StatementRow`].
macro_rules! columns {
    () => {
        "id, incident_id, kind, about_id, audience, channels, body, version, state, author, drafted_at, touched_at, sent_back, approved_by, approved_at,
         approved_hash, approved_text, approved_words, approved_figures, figures_as_of, overridden_by, override_reason, overridden_at, publish_at,
         published_at, published_by, marked_by"
    };
}

impl TryFrom<StatementRow> for Statement {
    type Error = StoreError;

    fn try_from(row: StatementRow) -> Result<Self, StoreError> {
        let odd = |column| strange("statements", column, row.id);
        let audience = Audience::from_word(&row.audience).ok_or_else(|| odd("audience"))?;
        let channels: Vec<String> =
            serde_json::from_str(&row.channels).map_err(|_| odd("channels"))?;
        let approval = match (
            row.approved_by,
            row.approved_at,
            row.approved_hash,
            row.approved_text,
            row.figures_as_of,
        ) {
            (Some(by), Some(at), Some(hash), Some(text), Some(as_of)) => Some(Approval {
                by,
                at: Moment::from_micros(at),
                hash,
                wording: Wording {
                    text,
                    as_of_words: row.approved_words.unwrap_or_default(),
                    figures: match row.approved_figures.as_deref() {
                        Some(figures) => serde_json::from_str::<Vec<Figure>>(figures)
                            .map_err(|_| odd("approved_figures"))?,
                        None => Vec::new(),
                    },
                    as_of: Moment::from_micros(as_of),
                    audience,
                    channels: channels.clone(),
                },
            }),
            _ => None,
        };
        let overridden = match (row.overridden_by, row.override_reason, row.overridden_at) {
            (Some(by), Some(reason), Some(at)) => Some(Overridden {
                by,
                reason,
                at: Moment::from_micros(at),
            }),
            _ => None,
        };
        Ok(Self {
            id: StatementId(row.id),
            incident: IncidentId(row.incident_id),
            kind: StatementKind::from_word(&row.kind).ok_or_else(|| odd("kind"))?,
            about: row.about_id.map(StatementId),
            audience,
            channels,
            body: row.body,
            version: row.version,
            state: StatementState::from_word(&row.state).ok_or_else(|| odd("state"))?,
            author: row.author,
            drafted_at: Moment::from_micros(row.drafted_at),
            touched_at: Moment::from_micros(row.touched_at),
            sent_back: row.sent_back,
            approval,
            overridden,
            publish_at: row.publish_at.map(Moment::from_micros),
            published_at: row.published_at.map(Moment::from_micros),
            published_by: row.published_by,
            marked_by: row.marked_by.map(StatementId),
        })
    }
}

/// What the ledger says a statement's rows are about.
fn thing(id: StatementId) -> String {
    format!("statement:{id}")
}

impl Tx {
    /// Keeps a new draft.
    pub async fn draft_statement(
        &mut self,
        draft: &StatementDraft<'_>,
        by: &str,
        now: Moment,
    ) -> Result<Statement, StoreError> {
        let row: StatementRow = on!(self, db => sqlx::query_as(concat!(
            "INSERT INTO statements (incident_id, kind, about_id, audience, channels, body, version, state, author, drafted_at, touched_at)
             VALUES ($1, $2, $3, $4, $5, $6, 1, 'draft', $7, $8, $8) RETURNING ", columns!(),
        )).bind(draft.incident.0).bind(draft.kind.word()).bind(draft.about.map(|id| id.0)).bind(draft.audience.word())
            .bind(serde_json::to_string(draft.channels)?).bind(draft.body).bind(by).bind(now.micros()).fetch_one(db).await)?;
        let statement = Statement::try_from(row)?;
        self.keep_version(statement.id, 1, draft.body, by, now)
            .await?;
        let detail = serde_json::json!({
            "incident": draft.incident, "kind": draft.kind, "about": draft.about, "audience": draft.audience, "channels": draft.channels
        });
        self.note(
            now,
            by,
            "statement.drafted",
            Some(&thing(statement.id)),
            Some(&detail.to_string()),
        )
        .await?;
        Ok(statement)
    }

    async fn keep_version(
        &mut self,
        id: StatementId,
        version: i64,
        body: &str,
        by: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        on!(self, db => sqlx::query("INSERT INTO statement_versions (statement_id, version, body, written_by, written_at) VALUES ($1, $2, $3, $4, $5)")
            .bind(id.0).bind(version).bind(body).bind(by).bind(now.micros()).execute(db).await.map(|_| ()))?;
        Ok(())
    }

    /// The later statement that has put this one right or taken it back, and since when it is out.
    pub async fn marked(
        &mut self,
        statement: &Statement,
    ) -> Result<Option<(StatementId, Moment)>, StoreError> {
        let Some(by) = statement.marked_by else {
            return Ok(None);
        };
        let later = self.statement(by).await?;
        Ok(later.map(|later| (by, later.published_at.unwrap_or(later.touched_at))))
    }

    /// One statement.
    pub async fn statement(&mut self, id: StatementId) -> Result<Option<Statement>, StoreError> {
        let row: Option<StatementRow> = on!(self, db => sqlx::query_as(concat!("SELECT ", columns!(), " FROM statements WHERE id = $1"))
            .bind(id.0).fetch_optional(db).await)?;
        row.map(Statement::try_from).transpose()
    }

    /// All statements, newest first, a thousand at most; of one incident if it is given.
    pub async fn statements(
        &mut self,
        incident: Option<IncidentId>,
    ) -> Result<Vec<Statement>, StoreError> {
        let rows: Vec<StatementRow> = on!(self, db => sqlx::query_as(concat!(
            "SELECT ", columns!(), " FROM statements WHERE $1 = 0 OR incident_id = $1 ORDER BY id DESC LIMIT 1000",
        )).bind(incident.map_or(0, |id| id.0)).fetch_all(db).await)?;
        rows.into_iter().map(Statement::try_from).collect()
    }

    /// Its texts, oldest first. Who wrote one of them cannot approve it.
    pub async fn statement_versions(
        &mut self,
        id: StatementId,
    ) -> Result<Vec<StatementVersion>, StoreError> {
        let rows: Vec<(i64, String, String, i64)> = on!(self, db => sqlx::query_as(
            "SELECT version, body, written_by, written_at FROM statement_versions WHERE statement_id = $1 ORDER BY version",
        ).bind(id.0).fetch_all(db).await)?;
        Ok(rows
            .into_iter()
            .map(|(version, body, by, at)| StatementVersion {
                version,
                body,
                by,
                at: Moment::from_micros(at),
            })
            .collect())
    }

    /// Keeps a new text, audience and channels of one that is not out. An approval, an override and a time are gone with it.
    pub async fn edit_statement(
        &mut self,
        before: &Statement,
        body: &str,
        audience: Audience,
        channels: &[String],
        by: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let changed = on!(self, db => sqlx::query(
            "UPDATE statements SET body = $3, audience = $4, channels = $5, version = version + 1, state = 'draft', touched_at = $6, sent_back = NULL,
                 approved_by = NULL, approved_at = NULL, approved_hash = NULL, approved_text = NULL, approved_words = NULL, approved_figures = NULL,
                 figures_as_of = NULL, overridden_by = NULL, override_reason = NULL, overridden_at = NULL, publish_at = NULL
             WHERE id = $1 AND version = $2 AND state IN ('draft', 'approved', 'scheduled')",
        ).bind(before.id.0).bind(before.version).bind(body).bind(audience.word()).bind(serde_json::to_string(channels)?).bind(now.micros())
            .execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "statements", before.id.0)?;
        self.keep_version(before.id, before.version + 1, body, by, now)
            .await?;
        let detail = serde_json::json!({
            "version": before.version + 1, "audience": audience, "channels": channels, "voids_approval": before.approval.is_some()
        });
        self.note(
            now,
            by,
            "statement.edited",
            Some(&thing(before.id)),
            Some(&detail.to_string()),
        )
        .await
    }

    /// Keeps the approval of a draft, with exactly what was approved.
    pub async fn approve_statement(
        &mut self,
        id: StatementId,
        version: i64,
        approval: &Approval,
    ) -> Result<(), StoreError> {
        let wording = &approval.wording;
        let changed = on!(self, db => sqlx::query(
            "UPDATE statements SET state = 'approved', touched_at = $3, sent_back = NULL, approved_by = $4, approved_at = $3, approved_hash = $5, approved_text = $6,
                 approved_words = $7, approved_figures = $8, figures_as_of = $9 WHERE id = $1 AND version = $2 AND state = 'draft'",
        ).bind(id.0).bind(version).bind(approval.at.micros()).bind(&approval.by).bind(&approval.hash).bind(&wording.text).bind(&wording.as_of_words)
            .bind(serde_json::to_string(&wording.figures)?).bind(wording.as_of.micros()).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "statements", id.0)?;
        let detail = serde_json::json!({ "version": version, "content": approval.hash, "figures": wording.figures, "as_of": wording.as_of });
        self.note(
            approval.at,
            &approval.by,
            "statement.approved",
            Some(&thing(id)),
            Some(&detail.to_string()),
        )
        .await
    }

    /// Sends one that is not out back to its author; its approval is gone.
    pub async fn send_back_statement(
        &mut self,
        before: &Statement,
        reason: &str,
        by: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let changed = on!(self, db => sqlx::query(
            "UPDATE statements SET state = 'draft', touched_at = $3, sent_back = $4, approved_by = NULL, approved_at = NULL, approved_hash = NULL,
                 approved_text = NULL, approved_words = NULL, approved_figures = NULL, figures_as_of = NULL, overridden_by = NULL, override_reason = NULL,
                 overridden_at = NULL, publish_at = NULL
             WHERE id = $1 AND version = $2 AND state IN ('draft', 'approved', 'scheduled')",
        ).bind(before.id.0).bind(before.version).bind(now.micros()).bind(reason).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "statements", before.id.0)?;
        let detail = serde_json::json!({ "version": before.version, "reason": reason });
        self.note(
            now,
            by,
            "statement.sent_back",
            Some(&thing(before.id)),
            Some(&detail.to_string()),
        )
        .await
    }

    /// Keeps who answers for publishing what the guard found in an approved one. `findings` says what, without the words.
    pub async fn override_statement(
        &mut self,
        id: StatementId,
        hash: &str,
        overridden: &Overridden,
        findings: &[String],
    ) -> Result<(), StoreError> {
        let changed = on!(self, db => sqlx::query(
            "UPDATE statements SET overridden_by = $3, override_reason = $4, overridden_at = $5 WHERE id = $1 AND approved_hash = $2 AND state IN ('approved', 'scheduled')",
        ).bind(id.0).bind(hash).bind(&overridden.by).bind(&overridden.reason).bind(overridden.at.micros()).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "statements", id.0)?;
        let detail = serde_json::json!({ "content": hash, "reason": overridden.reason, "findings": findings });
        self.note(
            overridden.at,
            &overridden.by,
            "statement.guard_overridden",
            Some(&thing(id)),
            Some(&detail.to_string()),
        )
        .await
    }

    /// Gives an approved one its time.
    pub async fn schedule_statement(
        &mut self,
        id: StatementId,
        publish_at: Moment,
        by: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let changed = on!(self, db => sqlx::query(
            "UPDATE statements SET state = 'scheduled', publish_at = $2, touched_at = $3 WHERE id = $1 AND state IN ('approved', 'scheduled')",
        ).bind(id.0).bind(publish_at.micros()).bind(now.micros()).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "statements", id.0)?;
        let detail = serde_json::json!({ "publish_at": publish_at });
        self.note(
            now,
            by,
            "statement.scheduled",
            Some(&thing(id)),
            Some(&detail.to_string()),
        )
        .await
    }

    /// Takes a scheduled one off the clock; it stays approved. `act` says whether somebody wanted it, or what stood in the way.
    pub async fn unschedule_statement(
        &mut self,
        id: StatementId,
        act: &str,
        reason: Option<&str>,
        by: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let changed = on!(self, db => sqlx::query(
            "UPDATE statements SET state = 'approved', publish_at = NULL, touched_at = $2 WHERE id = $1 AND state = 'scheduled'",
        ).bind(id.0).bind(now.micros()).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "statements", id.0)?;
        let detail = serde_json::json!({ "reason": reason });
        self.note(now, by, act, Some(&thing(id)), Some(&detail.to_string()))
            .await
    }

    /// Gives up one that is not out and has no time.
    pub async fn cancel_statement(
        &mut self,
        id: StatementId,
        by: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let changed = on!(self, db => sqlx::query("UPDATE statements SET state = 'cancelled', touched_at = $2 WHERE id = $1 AND state IN ('draft', 'approved')")
            .bind(id.0).bind(now.micros()).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "statements", id.0)?;
        self.note(now, by, "statement.cancelled", Some(&thing(id)), None)
            .await
    }

    /// Puts an approved one out as long as it is where it was a moment ago: what was taken off the clock meanwhile stays in.
    /// Marks the one that it is about, and promises on what its incident promises: all or nothing.
    pub async fn publish_statement(
        &mut self,
        statement: &Statement,
        hash: &str,
        next_update_at: Option<Moment>,
        by: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let id = statement.id;
        let changed = on!(self, db => sqlx::query(
            "UPDATE statements SET state = 'published', published_at = $3, published_by = $4, touched_at = $3
             WHERE id = $1 AND approved_hash = $2 AND state = $5 AND state IN ('approved', 'scheduled')",
        ).bind(id.0).bind(hash).bind(now.micros()).bind(by).bind(statement.state.word()).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "statements", id.0)?;
        for channel in &statement.channels {
            on!(self, db => sqlx::query("INSERT INTO statement_posts (statement_id, channel, state) VALUES ($1, $2, 'intended') ON CONFLICT DO NOTHING")
                .bind(id.0).bind(channel).execute(db).await.map(|_| ()))?;
        }
        let detail = serde_json::json!({ "content": hash, "incident": statement.incident, "audience": statement.audience, "channels": statement.channels });
        self.note(
            now,
            by,
            "statement.published",
            Some(&thing(id)),
            Some(&detail.to_string()),
        )
        .await?;
        if let (Some(about), Some(state)) = (statement.about, statement.kind.marks()) {
            self.mark_statement(about, state, id, by, now).await?;
        }
        let detail = serde_json::json!({ "statement": id, "next_update": next_update_at.map(Moment::micros) });
        self.note(
            now,
            by,
            "incident.spoken",
            Some(&format!("incident:{}", statement.incident)),
            Some(&detail.to_string()),
        )
        .await
    }

    async fn mark_statement(
        &mut self,
        about: StatementId,
        state: StatementState,
        id: StatementId,
        by: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let changed = on!(self, db => sqlx::query(
            "UPDATE statements SET state = $2, marked_by = $3 WHERE id = $1 AND (state = 'published' OR state = 'corrected')",
        ).bind(about.0).bind(state.word()).bind(id.0).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "statements", about.0)?;
        let detail = serde_json::json!({ "by_statement": id });
        self.note(
            now,
            by,
            &format!("statement.{}", state.word()),
            Some(&thing(about)),
            Some(&detail.to_string()),
        )
        .await
    }

    /// The scheduled ones whose time has come, in that order.
    pub async fn due_statements(&mut self, now: Moment) -> Result<Vec<StatementId>, StoreError> {
        let rows: Vec<(i64,)> = on!(self, db => sqlx::query_as(
            "SELECT id FROM statements WHERE state = 'scheduled' AND publish_at <= $1 ORDER BY publish_at, id LIMIT 100",
        ).bind(now.micros()).fetch_all(db).await)?;
        Ok(rows.into_iter().map(|(id,)| StatementId(id)).collect())
    }

    /// The published ones, not marked, of incidents that are not over: what they say still has to be true.
    pub async fn standing_statements(&mut self) -> Result<Vec<Statement>, StoreError> {
        let rows: Vec<StatementRow> = on!(self, db => sqlx::query_as(concat!(
            "SELECT ", columns!(), " FROM statements WHERE state = 'published'
                 AND incident_id IN (SELECT i.id FROM incidents i WHERE i.state <> 'resolved') ORDER BY id DESC LIMIT 200",
        )).fetch_all(db).await)?;
        rows.into_iter().map(Statement::try_from).collect()
    }

    /// Drafts, those that wait longest first.
    pub async fn waiting_drafts(&mut self) -> Result<Vec<Statement>, StoreError> {
        let rows: Vec<StatementRow> = on!(self, db => sqlx::query_as(concat!(
            "SELECT ", columns!(), " FROM statements WHERE state = 'draft' ORDER BY touched_at, id LIMIT 200",
        )).fetch_all(db).await)?;
        rows.into_iter().map(Statement::try_from).collect()
    }
}
