//! The posts of statements: one on each of its channels, and whether it bears its mark.

use serde::Serialize;

use super::{StoreError, Tx, expect_one, on, strange};
use crate::domain::post::PostState;
use crate::domain::{Moment, StatementId};

/// One post: a statement on a channel.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct StatementPost {
    /// Its number.
    pub id: i64,
    /// The statement it says.
    pub statement: StatementId,
    /// Where.
    pub channel: String,
    /// How far it is.
    pub state: PostState,
    /// The channel's own id.
    pub external_id: Option<String>,
    /// When it first took it.
    pub said_at: Option<Moment>,
    /// The mark that it bears already.
    pub marked_by: Option<StatementId>,
}

#[derive(sqlx::FromRow)]
struct PostRow {
    id: i64,
    statement_id: i64,
    channel: String,
    state: String,
    external_id: Option<String>,
    said_at: Option<i64>,
    marked_by: Option<i64>,
}

impl TryFrom<PostRow> for StatementPost {
    type Error = StoreError;

    fn try_from(row: PostRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            statement: StatementId(row.statement_id),
            channel: row.channel,
            state: PostState::from_word(&row.state)
                .ok_or_else(|| strange("statement_posts", "state", row.id))?,
            external_id: row.external_id,
            said_at: row.said_at.map(Moment::from_micros),
            marked_by: row.marked_by.map(StatementId),
        })
    }
}

impl Tx {
    /// The posts on `channel` that are not there yet, or lack their statement's mark; oldest first.
    pub async fn statement_posts_due(
        &mut self,
        channel: &str,
    ) -> Result<Vec<StatementPost>, StoreError> {
        let rows: Vec<PostRow> = on!(self, db => sqlx::query_as(
            "SELECT p.id, p.statement_id, p.channel, p.state, p.external_id, p.said_at, p.marked_by
             FROM statement_posts p JOIN statements s ON s.id = p.statement_id
             WHERE p.channel = $1 AND (p.state <> 'posted' OR COALESCE(s.marked_by, 0) <> COALESCE(p.marked_by, 0)) AND p.state <> 'gone'
             ORDER BY p.id LIMIT 100",
        ).bind(channel).fetch_all(db).await)?;
        rows.into_iter().map(StatementPost::try_from).collect()
    }

    /// The posts of statements that are not there yet, on whatever channel; oldest first.
    pub async fn statement_posts_waiting(&mut self) -> Result<Vec<StatementPost>, StoreError> {
        let rows: Vec<PostRow> = on!(self, db => sqlx::query_as(
            "SELECT id, statement_id, channel, state, external_id, said_at, marked_by FROM statement_posts WHERE state NOT IN ('posted', 'gone') ORDER BY id LIMIT 100",
        ).fetch_all(db).await)?;
        rows.into_iter().map(StatementPost::try_from).collect()
    }

    /// The posts of one statement, by channel.
    pub async fn statement_posts_of(
        &mut self,
        id: StatementId,
    ) -> Result<Vec<StatementPost>, StoreError> {
        let rows: Vec<PostRow> = on!(self, db => sqlx::query_as(
            "SELECT id, statement_id, channel, state, external_id, said_at, marked_by FROM statement_posts WHERE statement_id = $1 ORDER BY id",
        ).bind(id.0).fetch_all(db).await)?;
        rows.into_iter().map(StatementPost::try_from).collect()
    }

    /// Writes down how the call ended, and which mark the post bears since.
    pub async fn settle_statement_post(
        &mut self,
        post: &StatementPost,
        state: PostState,
        external_id: Option<&str>,
        marked_by: Option<StatementId>,
        now: Moment,
    ) -> Result<(), StoreError> {
        let said_at = (state == PostState::Posted).then_some(now.micros());
        let changed = on!(self, db => sqlx::query(
            "UPDATE statement_posts SET state = $2, external_id = $3, marked_by = $4, said_at = COALESCE(said_at, $5) WHERE id = $1",
        ).bind(post.id).bind(state.word()).bind(external_id).bind(marked_by.map(|id| id.0)).bind(said_at).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "statement_posts", post.id)?;
        let act = match state {
            PostState::Posted if post.external_id.is_some() => "statement.post_marked",
            PostState::Posted => "statement.posted",
            PostState::Gone => "statement.post_gone",
            PostState::Intended
            | PostState::InDoubt
            | PostState::Asked
            | PostState::Waiting
            | PostState::Refused => "statement.post_waits",
        };
        let detail = serde_json::json!({ "channel": post.channel, "external": external_id });
        self.note(
            now,
            "bell",
            act,
            Some(&format!("statement:{}", post.statement)),
            Some(&detail.to_string()),
        )
        .await
    }
}
