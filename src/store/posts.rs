//! Posts: each message of an incident on each channel, written down before its call and settled after it.

use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{StoreError, Tx, expect_one, on, strange};
use crate::domain::post::{After, Found, PostState, Trouble, What};
use crate::domain::timeline::Told;
use crate::domain::{IncidentId, Moment};

/// One message of an incident on a channel.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Post {
    /// Its number.
    pub id: i64,
    /// The incident it tells of.
    pub incident: IncidentId,
    /// The channel's name in the config.
    pub channel: String,
    /// Which message it is.
    pub what: What,
    /// The same for every try at the same post.
    pub nonce: String,
    /// Of what was last meant to be said.
    pub version: i64,
    /// Of the content last meant to be said.
    pub content_hash: String,
    /// How far it is.
    pub state: PostState,
    /// What somebody has to put right first.
    pub trouble: Option<Trouble>,
    /// The channel's own id.
    pub external_id: Option<String>,
    /// The thread below it, if it has one.
    pub thread_id: Option<String>,
    /// When the version was written down.
    pub intended_at: Moment,
    /// When the first call with its nonce was.
    pub tried_at: Moment,
    /// Until when it rests.
    pub due_at: Option<Moment>,
    /// When the channel last took it.
    pub said_at: Option<Moment>,
}

impl Post {
    /// What a pass has to know to go on.
    pub fn found(&self) -> Found {
        Found {
            state: self.state,
            has_id: self.external_id.is_some(),
            intended_at: self.intended_at,
            tried_at: self.tried_at,
            due_at: self.due_at,
        }
    }
}

#[derive(sqlx::FromRow)]
struct PostRow {
    id: i64,
    incident_id: i64,
    channel: String,
    what: String,
    nonce: String,
    version: i64,
    content_hash: String,
    state: String,
    trouble: Option<String>,
    external_id: Option<String>,
    thread_id: Option<String>,
    intended_at: i64,
    tried_at: i64,
    due_at: Option<i64>,
    said_at: Option<i64>,
}

impl TryFrom<PostRow> for Post {
    type Error = StoreError;

    fn try_from(row: PostRow) -> Result<Self, StoreError> {
        let odd = |column| strange("posts", column, row.id);
        let trouble = row
            .trouble
            .as_deref()
            .map(|word| Trouble::from_word(word).ok_or_else(|| odd("trouble")));
        Ok(Self {
            id: row.id,
            incident: IncidentId(row.incident_id),
            what: What::from_word(&row.what).ok_or_else(|| odd("what"))?,
            state: PostState::from_word(&row.state).ok_or_else(|| odd("state"))?,
            trouble: trouble.transpose()?,
            channel: row.channel,
            nonce: row.nonce,
            version: row.version,
            content_hash: row.content_hash,
            external_id: row.external_id,
            thread_id: row.thread_id,
            intended_at: Moment::from_micros(row.intended_at),
            tried_at: Moment::from_micros(row.tried_at),
            due_at: row.due_at.map(Moment::from_micros),
            said_at: row.said_at.map(Moment::from_micros),
        })
    }
}

/// The particulars of an act that readers hear of, as the ledger keeps them.
#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct Particulars {
    next_update: Option<i64>,
    statement: Option<i64>,
}

/// No channel takes more than 25 characters, and none may take two messages of ours for one.
fn nonce(incident: IncidentId, channel: &str, what: What, version: i64) -> String {
    let all = format!("{incident}\n{channel}\n{}\n{version}", what.word());
    let mut hex = HEXLOWER.encode(&Sha256::digest(all));
    hex.truncate(24);
    hex
}

fn detail(post: &Post, external_id: Option<&str>) -> String {
    serde_json::json!({
        "channel": post.channel,
        "what": post.what,
        "version": post.version,
        "content": post.content_hash,
        "external": external_id,
    })
    .to_string()
}

impl Tx {
    /// A message of an incident on a channel, if one was ever meant.
    pub async fn post(
        &mut self,
        incident: IncidentId,
        channel: &str,
        what: What,
    ) -> Result<Option<Post>, StoreError> {
        let row: Option<PostRow> = on!(self, db => sqlx::query_as("SELECT * FROM posts WHERE incident_id = $1 AND channel = $2 AND what = $3")
            .bind(incident.0).bind(channel).bind(what.word()).fetch_optional(db).await)?;
        row.map(Post::try_from).transpose()
    }

    /// All messages on all channels that were ever meant, oldest first; of one channel if it is named.
    pub async fn posts(&mut self, channel: Option<&str>) -> Result<Vec<Post>, StoreError> {
        let rows: Vec<PostRow> = on!(self, db => sqlx::query_as("SELECT * FROM posts WHERE CAST($1 AS TEXT) IS NULL OR channel = $1 ORDER BY id")
            .bind(channel).fetch_all(db).await)?;
        rows.into_iter().map(Post::try_from).collect()
    }

    /// The same of one incident on one channel.
    pub async fn incident_posts(
        &mut self,
        incident: IncidentId,
        channel: &str,
    ) -> Result<Vec<Post>, StoreError> {
        let rows: Vec<PostRow> = on!(self, db => sqlx::query_as("SELECT * FROM posts WHERE incident_id = $1 AND channel = $2 ORDER BY id")
            .bind(incident.0).bind(channel).fetch_all(db).await)?;
        rows.into_iter().map(Post::try_from).collect()
    }

    /// Writes down what is about to be said, before the call: a new post, or the next version of the one there is. A doubt
    /// stays one; whatever else it was, it is under way now.
    pub async fn intend_post(
        &mut self,
        incident: IncidentId,
        channel: &str,
        what: What,
        content_hash: &str,
        now: Moment,
    ) -> Result<Post, StoreError> {
        let row: PostRow = on!(self, db => sqlx::query_as(
            "INSERT INTO posts (incident_id, channel, what, nonce, version, content_hash, state, intended_at, tried_at) VALUES ($1, $2, $3, $4, 1, $5, 'intended', $6, $6)
             ON CONFLICT (incident_id, channel, what) DO UPDATE SET version = posts.version + 1, content_hash = $5, intended_at = $6,
                 state = CASE WHEN posts.external_id IS NULL AND posts.state IN ('in_doubt', 'asked') THEN posts.state ELSE 'intended' END,
                 tried_at = CASE WHEN posts.external_id IS NULL AND posts.state IN ('in_doubt', 'asked', 'intended') THEN posts.tried_at ELSE $6 END
             RETURNING *",
        ).bind(incident.0).bind(channel).bind(what.word()).bind(nonce(incident, channel, what, 1)).bind(content_hash).bind(now.micros()).fetch_one(db).await)?;
        Post::try_from(row)
    }

    /// Makes the next version a message of its own: with a fresh nonce, and not known to be there.
    pub async fn renew_post(&mut self, post: &Post) -> Result<(), StoreError> {
        let fresh = nonce(post.incident, &post.channel, post.what, post.version + 1);
        let changed = on!(self, db => sqlx::query("UPDATE posts SET external_id = NULL, nonce = $2, state = 'waiting' WHERE id = $1")
            .bind(post.id).bind(fresh).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "posts", post.id)
    }

    /// Writes down how the call ended. A deleted post gets a fresh nonce: the channel must not take the next one for it.
    pub async fn settle_post(
        &mut self,
        post: &Post,
        after: After,
        external_id: Option<&str>,
        now: Moment,
    ) -> Result<(), StoreError> {
        let is_gone = after.state == PostState::Gone;
        let nonce = match is_gone {
            true => nonce(post.incident, &post.channel, post.what, post.version + 1),
            false => post.nonce.clone(),
        };
        let said_at = (after.state == PostState::Posted).then_some(now.micros());
        let thread = post.thread_id.as_deref().filter(|_| !is_gone);
        let changed = on!(self, db => sqlx::query(
            "UPDATE posts SET state = $2, trouble = $3, external_id = $4, nonce = $5, due_at = $6, said_at = COALESCE($7, said_at), thread_id = $8 WHERE id = $1",
        ).bind(post.id).bind(after.state.word()).bind(after.trouble.map(Trouble::word)).bind(external_id).bind(nonce)
            .bind(after.due_at.map(Moment::micros)).bind(said_at).bind(thread).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "posts", post.id)?;
        let act = match (after.state, post.what, post.external_id.is_some()) {
            (PostState::Posted, What::Status, true) => "post.edited",
            (PostState::Posted, What::Status, false) => "post.posted",
            (PostState::Posted, What::Line(_) | What::Kept(_), _) => "post.line",
            (PostState::Posted, What::Statement(_), _) => "post.statement",
            (PostState::InDoubt, ..) => "post.in_doubt",
            (PostState::Asked, ..) => "post.asked",
            (PostState::Gone, ..) => "post.gone",
            (PostState::Refused, ..) => "post.refused",
            // What comes back by itself is no news.
            (PostState::Intended | PostState::Waiting, ..) => return Ok(()),
        };
        let detail = detail(post, external_id);
        let thing = format!("incident:{}", post.incident);
        self.note(now, "bell", act, Some(&thing), Some(&detail))
            .await
    }

    /// Writes down which thread is below a post; none: it was deleted.
    pub async fn thread_post(&mut self, post: i64, thread: Option<&str>) -> Result<(), StoreError> {
        let changed = on!(self, db => sqlx::query("UPDATE posts SET thread_id = $2 WHERE id = $1").bind(post).bind(thread)
            .execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "posts", post)
    }

    /// Settles a post that asks: it is there, perhaps under this id, or it is not. Nothing happens to one that does not ask.
    pub async fn decide_post(
        &mut self,
        post: &Post,
        there: Option<&str>,
        by: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let state = match there {
            Some(_) => PostState::Posted,
            None => PostState::Waiting,
        };
        let said_at = there.map(|_| now.micros());
        let changed = on!(self, db => sqlx::query(
            "UPDATE posts SET state = $2, external_id = $3, said_at = COALESCE($4, said_at), trouble = NULL, due_at = NULL WHERE id = $1 AND state = 'asked'",
        ).bind(post.id).bind(state.word()).bind(there).bind(said_at).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "posts", post.id)?;
        let act = match (there, post.what) {
            (None, _) => "post.absent",
            (Some(_), What::Status) => "post.posted",
            (Some(_), What::Line(_) | What::Kept(_)) => "post.line",
            (Some(_), What::Statement(_)) => "post.statement",
        };
        let detail = detail(post, there);
        let thing = format!("incident:{}", post.incident);
        self.note(now, by, act, Some(&thing), Some(&detail)).await
    }

    /// What the ledger tells of an incident, oldest first.
    pub async fn incident_timeline(
        &mut self,
        incident: IncidentId,
    ) -> Result<Vec<Told>, StoreError> {
        type Row = (i64, i64, String, Option<String>);
        let rows: Vec<Row> = on!(self, db => sqlx::query_as("SELECT id, at, act, detail FROM ledger WHERE case_id IS NULL AND thing = $1 ORDER BY id")
            .bind(format!("incident:{incident}")).fetch_all(db).await)?;
        let told = rows.into_iter().map(|(id, at, act, detail)| {
            // What is not JSON, or holds neither, says neither.
            let said: Particulars = detail
                .and_then(|text| serde_json::from_str(&text).ok())
                .unwrap_or_default();
            Told {
                entry: id,
                at: Moment::from_micros(at),
                act,
                next_update_at: said.next_update.map(Moment::from_micros),
                statement: said.statement,
            }
        });
        Ok(told.collect())
    }
}
