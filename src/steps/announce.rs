//! Figures → the status post of each incident: one post, edited in place when the figures move. Counts only.

use anyhow::Context;
use chrono::TimeDelta;
use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::channels::discord::{MessageId, Miss, StatusChannel, StatusLine, StatusPost};
use crate::domain::Moment;
use crate::domain::incident::IncidentState;
use crate::messages::StatusContext;
use crate::store::{Incident, Post, PostState};

/// The one place that posts go to.
const CHANNEL: &str = "status";

/// Within this time the channel itself recognises a repeated post by its nonce; later we look for it first.
const NONCE_HOLDS: TimeDelta = TimeDelta::minutes(2);

/// What was said.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Announced {
    /// New posts.
    pub posted: u64,
    /// Posts that were brought up to date.
    pub edited: u64,
    /// Posts that say what is true already.
    pub unchanged: u64,
    /// Posts that wait: what the channel said.
    pub waiting: Vec<String>,
}

impl std::fmt::Display for Announced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} posted, {} edited, {} unchanged",
            self.posted, self.edited, self.unchanged
        )?;
        for waiting in &self.waiting {
            write!(f, "\nwaiting: {waiting}")?;
        }
        Ok(())
    }
}

/// Brings the status post of every incident up to date. Without a channel there is nothing to do.
pub async fn announce(app: &App) -> anyhow::Result<Announced> {
    let mut announced = Announced::default();
    let Some(channel) = &app.status else {
        return Ok(announced);
    };
    let incidents = {
        let mut tx = app.store.read().await?;
        tx.incidents().await?
    };
    for incident in incidents {
        one(app, channel, &incident, &mut announced)
            .await
            .with_context(|| format!("the status post of {}", incident.reference))?;
    }
    Ok(announced)
}

async fn one(
    app: &App,
    channel: &StatusChannel,
    incident: &Incident,
    announced: &mut Announced,
) -> anyhow::Result<()> {
    let now = app.clock.now();
    let (before, said) = {
        let mut tx = app.store.read().await?;
        let before = tx.post(incident.id, CHANNEL).await?;
        (before, content(app, &mut tx, incident, now).await?)
    };
    let hash = HEXLOWER.encode(&Sha256::digest(said.fingerprint()));
    let up_to_date = before
        .as_ref()
        .is_some_and(|post| post.state == PostState::Posted && post.content_hash == hash);
    // A resolved incident keeps its last word.
    let is_over = incident.state == IncidentState::Resolved
        && before
            .as_ref()
            .is_some_and(|post| post.said_at.is_some_and(|at| at >= incident.changed_at));
    if up_to_date || is_over {
        announced.unchanged += 1;
        return Ok(());
    }
    // The intent is written down before the call; the message's id after it.
    let mut tx = app.store.begin().await?;
    let post = tx.intend_post(incident.id, CHANNEL, &hash, now).await?;
    tx.commit().await?;
    let content = said.post(incident, post.version);
    let outcome = say(channel, before.as_ref(), &post, &content, now).await;
    let mut tx = app.store.begin().await?;
    match outcome {
        Ok(Said::New(id)) => {
            tx.settle_post(&post, PostState::Posted, Some(&id.0), now)
                .await?;
            announced.posted += 1;
        }
        Ok(Said::Again(id)) => {
            tx.settle_post(&post, PostState::Posted, Some(&id.0), now)
                .await?;
            announced.edited += 1;
        }
        Err(Miss::Gone) => {
            tracing::warn!(incident.id = %incident.id, "the status post was deleted by somebody; it is posted anew next time");
            tx.settle_post(&post, PostState::Gone, None, now).await?;
            announced.waiting.push(format!(
                "{}: the post was deleted by somebody; it is posted anew next time",
                incident.reference
            ));
        }
        Err(miss) => {
            let state = if matches!(miss, Miss::Unsure) {
                PostState::InDoubt
            } else {
                PostState::Intended
            };
            let external = post.external_id.clone();
            let state = if external.is_some() && state == PostState::Intended {
                PostState::InDoubt
            } else {
                state
            };
            tx.settle_post(&post, state, external.as_deref(), now)
                .await?;
            tracing::warn!(incident.id = %incident.id, "the status post waits: {miss}");
            announced
                .waiting
                .push(format!("{}: {miss}", incident.reference));
        }
    }
    tx.commit().await?;
    Ok(())
}

enum Said {
    New(MessageId),
    Again(MessageId),
}

/// Edits what is there, or posts; a post that may be there already is looked for first.
async fn say(
    channel: &StatusChannel,
    before: Option<&Post>,
    post: &Post,
    content: &StatusPost,
    now: Moment,
) -> Result<Said, Miss> {
    if let Some(id) = &post.external_id {
        let id = MessageId(id.clone());
        channel.edit(&id, content).await?;
        return Ok(Said::Again(id));
    }
    let tried_before = before.is_some_and(|before| before.state != PostState::Gone);
    let is_old = before.is_some_and(|before| now.since(before.intended_at) > NONCE_HOLDS);
    if tried_before
        && is_old
        && let Some(id) = channel.find_recent(&content.footer_reference).await?
    {
        channel.edit(&id, content).await?;
        return Ok(Said::Again(id));
    }
    channel.post(content, &post.nonce).await.map(Said::New)
}

/// What there is to say.
struct Content {
    text: String,
    lines: Vec<StatusLine>,
    as_of: String,
}

impl Content {
    /// What makes an edit worth while: everything but the moment it is said.
    fn fingerprint(&self) -> String {
        let lines: Vec<String> = self
            .lines
            .iter()
            .map(|line| format!("{}\u{1f}{}", line.label, line.value))
            .collect();
        format!("{}\u{1e}{}", self.text, lines.join("\u{1e}"))
    }

    fn post(self, incident: &Incident, version: i64) -> StatusPost {
        StatusPost {
            title: incident.title.clone(),
            state: incident.state.word().to_owned(),
            text: self.text,
            lines: self.lines,
            footer_reference: incident.reference.clone(),
            footer_note: Some(format!("update {version}, {}", self.as_of)),
        }
    }
}

async fn content(
    app: &App,
    tx: &mut crate::store::Tx,
    incident: &Incident,
    now: Moment,
) -> anyhow::Result<Content> {
    let figures = tx.figures(now).await?;
    let zone = app.calendar.zone();
    let at = |moment: Moment| {
        format!(
            "{} ({})",
            moment.utc().with_timezone(&zone).format("%-d %B %Y, %H:%M"),
            zone.name()
        )
    };
    let line = |label: &str, value: String| StatusLine {
        label: label.to_owned(),
        value,
    };
    let mut lines: Vec<StatusLine> = figures
        .lines()
        .into_iter()
        .map(|(label, value)| line(label, value))
        .collect();
    if let Some(next) = incident
        .next_update_at
        .filter(|_| incident.state != IncidentState::Resolved)
    {
        lines.push(line("Next update by", at(next)));
    }
    Ok(Content {
        text: app.letters.messages.render_status(&StatusContext {
            state: incident.state,
            team: app.letters.constants.team.clone(),
        })?,
        lines,
        as_of: at(now),
    })
}
