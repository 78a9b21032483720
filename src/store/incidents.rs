//! Incidents, and the one post on each channel that tells of one.

use serde::Serialize;

use super::{StoreError, Tx, expect_one, on, strange};
use crate::domain::incident::{IncidentState, Word};
use crate::domain::{IncidentId, Moment};

/// What staff and public are told about.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Incident {
    /// Its number.
    pub id: IncidentId,
    /// Its public reference.
    pub reference: String,
    /// In a few words, without names.
    pub title: String,
    /// Where it is.
    pub state: IncidentState,
    /// Since when we tell of it.
    pub opened_at: Moment,
    /// When the state last changed.
    pub changed_at: Moment,
    /// When we promised to say more.
    pub next_update_at: Option<Moment>,
}

/// How far a post is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PostState {
    /// Written down before the call; not known to be there.
    Intended,
    /// It is there.
    Posted,
    /// The call broke off: look before saying it again.
    InDoubt,
    /// Somebody deleted it.
    Gone,
}

impl PostState {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Posted => "posted",
            Self::InDoubt => "in_doubt",
            Self::Gone => "gone",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        [Self::Intended, Self::Posted, Self::InDoubt, Self::Gone]
            .into_iter()
            .find(|state| state.word() == word)
    }
}

/// One post: an incident on a channel.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Post {
    /// Its number.
    pub id: i64,
    /// The incident it tells of.
    pub incident: IncidentId,
    /// The same for every try at the same post.
    pub nonce: String,
    /// Of what was last meant to be said.
    pub version: i64,
    /// Of the content last meant to be said.
    pub content_hash: String,
    /// How far it is.
    pub state: PostState,
    /// The channel's own id.
    pub external_id: Option<String>,
    /// When the version was written down.
    pub intended_at: Moment,
    /// When the channel last took it.
    pub said_at: Option<Moment>,
}

type IncidentRow = (i64, String, String, String, i64, i64, Option<i64>);

fn incident(
    (id, reference, title, state, opened_at, changed_at, next_update_at): IncidentRow,
) -> Result<Incident, StoreError> {
    Ok(Incident {
        id: IncidentId(id),
        reference,
        title,
        state: IncidentState::from_word(&state).ok_or_else(|| strange("incidents", "state", id))?,
        opened_at: Moment::from_micros(opened_at),
        changed_at: Moment::from_micros(changed_at),
        next_update_at: next_update_at.map(Moment::from_micros),
    })
}

#[derive(sqlx::FromRow)]
struct PostRow {
    id: i64,
    incident_id: i64,
    nonce: String,
    version: i64,
    content_hash: String,
    state: String,
    external_id: Option<String>,
    intended_at: i64,
    said_at: Option<i64>,
}

impl TryFrom<PostRow> for Post {
    type Error = StoreError;

    fn try_from(row: PostRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            incident: IncidentId(row.incident_id),
            nonce: row.nonce,
            version: row.version,
            content_hash: row.content_hash,
            state: PostState::from_word(&row.state)
                .ok_or_else(|| strange("posts", "state", row.id))?,
            external_id: row.external_id,
            intended_at: Moment::from_micros(row.intended_at),
            said_at: row.said_at.map(Moment::from_micros),
        })
    }
}

/// A promised update, as the ledger keeps it: the incident itself only knows the latest.
fn promise(next_update_at: Option<Moment>) -> Option<String> {
    next_update_at.map(|at| format!("{{\"next_update\":{}}}", at.micros()))
}

impl Tx {
    /// Opens an incident; its reference is `INC-` and the year and month, with a number if the month has more than one.
    pub async fn open_incident(
        &mut self,
        title: &str,
        by: &str,
        next_update_at: Option<Moment>,
        now: Moment,
    ) -> Result<Incident, StoreError> {
        let (before,): (i64,) =
            on!(self, db => sqlx::query_as("SELECT COUNT(*) FROM incidents").fetch_one(db).await)?;
        let reference = format!("INC-{}-{}", now.utc().format("%y%m"), before + 1);
        let row: IncidentRow = on!(self, db => sqlx::query_as(
            "INSERT INTO incidents (reference, title, state, opened_by, opened_at, changed_at, next_update_at) VALUES ($1, $2, 'investigating', $3, $4, $4, $5)
             RETURNING id, reference, title, state, opened_at, changed_at, next_update_at",
        ).bind(&reference).bind(title).bind(by).bind(now.micros()).bind(next_update_at.map(Moment::micros)).fetch_one(db).await)?;
        let incident = incident(row)?;
        self.note(
            now,
            by,
            "incident.opened",
            Some(&format!("incident:{}", incident.id)),
            promise(next_update_at).as_deref(),
        )
        .await?;
        Ok(incident)
    }

    /// Moves an incident to `state`, with a new promise if one is given.
    pub async fn move_incident(
        &mut self,
        id: IncidentId,
        state: IncidentState,
        by: &str,
        next_update_at: Option<Moment>,
        now: Moment,
    ) -> Result<(), StoreError> {
        let changed = on!(self, db => sqlx::query(
            "UPDATE incidents SET state = $2, changed_at = $3, next_update_at = COALESCE($4, next_update_at) WHERE id = $1",
        ).bind(id.0).bind(state.word()).bind(now.micros()).bind(next_update_at.map(Moment::micros)).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "incidents", id.0)?;
        self.note(
            now,
            by,
            &format!("incident.{}", state.word()),
            Some(&format!("incident:{id}")),
            promise(next_update_at).as_deref(),
        )
        .await
    }

    /// All incidents, newest first.
    pub async fn incidents(&mut self) -> Result<Vec<Incident>, StoreError> {
        let rows: Vec<IncidentRow> = on!(self, db => sqlx::query_as(
            "SELECT id, reference, title, state, opened_at, changed_at, next_update_at FROM incidents ORDER BY id DESC LIMIT 1000",
        ).fetch_all(db).await)?;
        rows.into_iter().map(incident).collect()
    }

    /// One incident.
    pub async fn incident(&mut self, id: IncidentId) -> Result<Option<Incident>, StoreError> {
        let row: Option<IncidentRow> = on!(self, db => sqlx::query_as(
            "SELECT id, reference, title, state, opened_at, changed_at, next_update_at FROM incidents WHERE id = $1",
        ).bind(id.0).fetch_optional(db).await)?;
        row.map(incident).transpose()
    }

    /// Promises to say more by then. It says nothing new by itself: what was promised before stays promised.
    pub async fn promise_update(
        &mut self,
        id: IncidentId,
        next_update_at: Moment,
        by: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        let changed = on!(self, db => sqlx::query("UPDATE incidents SET next_update_at = $2 WHERE id = $1 AND state <> 'resolved'")
            .bind(id.0).bind(next_update_at.micros()).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "incidents", id.0)?;
        self.note(
            now,
            by,
            "incident.promised",
            Some(&format!("incident:{id}")),
            promise(Some(next_update_at)).as_deref(),
        )
        .await
    }

    /// What readers of an incident were told by people, and promised: its moves and its statements, not the figures of its
    /// post, which move by themselves.
    pub async fn told_of(&mut self, id: IncidentId) -> Result<Vec<Word>, StoreError> {
        #[derive(serde::Deserialize, Default)]
        #[serde(default)]
        struct Said {
            next_update: Option<i64>,
        }
        let rows: Vec<(i64, i64, String, Option<String>)> = on!(self, db => sqlx::query_as(
            "SELECT id, at, act, detail FROM ledger WHERE thing = $1 AND act LIKE 'incident.%' AND act <> 'incident.aware' ORDER BY id",
        ).bind(format!("incident:{id}")).fetch_all(db).await)?;
        let mut words = Vec::new();
        for (row, at, act, detail) in rows {
            let at = Moment::from_micros(at);
            let said: Said = match detail {
                Some(text) => {
                    serde_json::from_str(&text).map_err(|_| strange("ledger", "detail", row))?
                }
                None => Said::default(),
            };
            if act != "incident.opened" && act != "incident.promised" {
                words.push(Word::Updated { at });
            }
            if let Some(by) = said.next_update {
                words.push(Word::Promised {
                    at,
                    by: Moment::from_micros(by),
                });
            }
        }
        Ok(words)
    }

    /// The post of an incident on a channel, if one was ever meant.
    pub async fn post(
        &mut self,
        incident: IncidentId,
        channel: &str,
    ) -> Result<Option<Post>, StoreError> {
        let row: Option<PostRow> = on!(self, db => sqlx::query_as(
            "SELECT id, incident_id, nonce, version, content_hash, state, external_id, intended_at, said_at FROM posts WHERE incident_id = $1 AND channel = $2",
        ).bind(incident.0).bind(channel).fetch_optional(db).await)?;
        row.map(Post::try_from).transpose()
    }

    /// Writes down what is about to be said, before the call: a new post, or the next version of the one there is.
    pub async fn intend_post(
        &mut self,
        incident: IncidentId,
        channel: &str,
        content_hash: &str,
        now: Moment,
    ) -> Result<Post, StoreError> {
        let nonce = format!("i{}v1", incident.0);
        let row: PostRow = on!(self, db => sqlx::query_as(
            "INSERT INTO posts (incident_id, channel, nonce, version, content_hash, state, intended_at) VALUES ($1, $2, $3, 1, $4, 'intended', $5)
             ON CONFLICT (incident_id, channel) DO UPDATE SET version = posts.version + 1, content_hash = $4, intended_at = $5
             RETURNING id, incident_id, nonce, version, content_hash, state, external_id, intended_at, said_at",
        ).bind(incident.0).bind(channel).bind(nonce).bind(content_hash).bind(now.micros()).fetch_one(db).await)?;
        Post::try_from(row)
    }

    /// Writes down how the call ended. A deleted post gets a fresh nonce: the channel must not take the next one for it.
    pub async fn settle_post(
        &mut self,
        post: &Post,
        state: PostState,
        external_id: Option<&str>,
        now: Moment,
    ) -> Result<(), StoreError> {
        let nonce = match state {
            PostState::Gone => format!("i{}v{}", post.incident.0, post.version + 1),
            PostState::Intended | PostState::Posted | PostState::InDoubt => post.nonce.clone(),
        };
        let said_at = (state == PostState::Posted).then_some(now.micros());
        let changed = on!(self, db => sqlx::query(
            "UPDATE posts SET state = $2, external_id = $3, nonce = $4, said_at = COALESCE($5, said_at) WHERE id = $1",
        ).bind(post.id).bind(state.word()).bind(external_id).bind(nonce).bind(said_at).execute(db).await.map(|done| done.rows_affected()))?;
        expect_one(changed, "posts", post.id)?;
        let act = match (state, post.external_id.is_some()) {
            (PostState::Posted, true) => "post.edited",
            (PostState::Posted, false) => "post.posted",
            (PostState::InDoubt, _) => "post.in_doubt",
            (PostState::Gone, _) => "post.gone",
            (PostState::Intended, _) => "post.intended",
        };
        let detail = serde_json::json!({
            "version": post.version,
            "content": post.content_hash,
            "external": external_id,
        });
        self.note(
            now,
            "bell",
            act,
            Some(&format!("incident:{}", post.incident)),
            Some(&detail.to_string()),
        )
        .await
    }
}
