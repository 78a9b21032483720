//! Published statements → posts: each once on each channel that we reach, and marked once a later one puts it right.

use anyhow::Context;
use chrono::TimeDelta;
use serde::Serialize;

use crate::app::App;
use crate::channels::discord::{MessageId, Miss, StatusChannel, StatusPost};
use crate::domain::statement::{StatementState, mark};
use crate::domain::{Moment, StatementId};
use crate::messages::moment_in_words;
use crate::store::{PostState, Statement, StatementPost, Tx};

/// The one place that we post to ourselves.
const CHANNEL: &str = "status";

/// Within this time the channel itself recognises a repeated post by its nonce; later we look for it first.
const NONCE_HOLDS: TimeDelta = TimeDelta::minutes(2);

/// What was posted.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Posted {
    /// New posts.
    pub posted: u64,
    /// Posts that bear their mark now.
    pub marked: u64,
    /// Posts that wait: what the channel said.
    pub waiting: Vec<String>,
}

impl std::fmt::Display for Posted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} statements posted, {} marked",
            self.posted, self.marked
        )?;
        for waiting in &self.waiting {
            write!(f, "\nwaiting: {waiting}")?;
        }
        Ok(())
    }
}

/// Posts what is out and not posted, and marks what was put right. Without a channel there is nothing to do.
pub async fn post(app: &App) -> anyhow::Result<Posted> {
    let mut posted = Posted::default();
    let Some(channel) = &app.status else {
        return Ok(posted);
    };
    let due = app.store.read().await?.statement_posts_due(CHANNEL).await?;
    for post in due {
        one(app, channel, &post, &mut posted)
            .await
            .with_context(|| format!("the post of statement {}", post.statement))?;
    }
    Ok(posted)
}

async fn one(
    app: &App,
    channel: &StatusChannel,
    post: &StatementPost,
    posted: &mut Posted,
) -> anyhow::Result<()> {
    let now = app.clock.now();
    let Some((content, mark)) = ({
        let mut tx = app.store.read().await?;
        content(app, &mut tx, post).await?
    }) else {
        return Ok(());
    };
    // The intent is written down before the call; the message's id after it.
    let mut tx = app.store.begin().await?;
    if !tx.try_statement_post(post, now).await? {
        return Ok(());
    }
    tx.commit().await?;
    let outcome = say(channel, post, &content, now).await;
    let mut tx = app.store.begin().await?;
    match outcome {
        Ok(id) => {
            tx.settle_statement_post(post, PostState::Posted, Some(&id.0), mark, now)
                .await?;
            match post.external_id.is_some() {
                true => posted.marked += 1,
                false => posted.posted += 1,
            }
        }
        Err(miss) => {
            let state = match &miss {
                // Whoever deletes a statement's post has their reasons: it is not said again.
                Miss::Gone => PostState::Gone,
                Miss::Unsure => PostState::InDoubt,
                Miss::Later(_) | Miss::Never(_) => post.state,
            };
            let text = format!("the post of statement {}: {miss}", post.statement);
            tracing::warn!(statement.id = %post.statement, "{text}");
            if state != post.state {
                let external = post.external_id.as_deref();
                tx.settle_statement_post(post, state, external, post.marked_by, now)
                    .await?;
            }
            posted.waiting.push(text);
        }
    }
    tx.commit().await?;
    Ok(())
}

/// Marks what is there, or posts; a post that may be there already is looked for first.
async fn say(
    channel: &StatusChannel,
    post: &StatementPost,
    content: &StatusPost,
    now: Moment,
) -> Result<MessageId, Miss> {
    if let Some(id) = &post.external_id {
        let id = MessageId(id.clone());
        channel.edit(&id, content).await?;
        return Ok(id);
    }
    let is_old = post
        .tried_at
        .is_some_and(|tried| now.since(tried) > NONCE_HOLDS);
    if is_old && let Some(id) = channel.find_recent(&content.footer_reference).await? {
        channel.edit(&id, content).await?;
        return Ok(id);
    }
    let nonce = format!("st{}", post.statement);
    channel.post(content, &nonce).await
}

/// What a post says, and which mark that bears. None: it is not out.
async fn content(
    app: &App,
    tx: &mut Tx,
    post: &StatementPost,
) -> anyhow::Result<Option<(StatusPost, Option<StatementId>)>> {
    let Some(statement) = tx.statement(post.statement).await? else {
        return Ok(None);
    };
    let Some(approval) = statement
        .approval
        .as_ref()
        .filter(|_| statement.state.is_out())
    else {
        return Ok(None);
    };
    // What is posted is what was approved, and nothing else.
    anyhow::ensure!(
        approval.wording.hash() == approval.hash,
        "what is kept is not what was approved; it is not posted, please look into it"
    );
    let title = tx
        .incident(statement.incident)
        .await?
        .map(|incident| incident.title)
        .unwrap_or_default();
    let text = match mark_of(app, tx, &statement).await? {
        Some(mark) => format!("{mark}\n\n{}", approval.wording.text),
        None => approval.wording.text.clone(),
    };
    let content = StatusPost {
        title,
        state: word(statement.state).to_owned(),
        text,
        lines: Vec::new(),
        footer_reference: format!("Statement {}", statement.id),
        footer_note: Some(statement.kind.word().to_owned()),
    };
    Ok(Some((content, statement.marked_by)))
}

const fn word(state: StatementState) -> &'static str {
    match state {
        StatementState::Corrected => "corrected",
        StatementState::Withdrawn => "withdrawn",
        StatementState::Draft
        | StatementState::Approved
        | StatementState::Scheduled
        | StatementState::Published
        | StatementState::Cancelled => "published",
    }
}

async fn mark_of(app: &App, tx: &mut Tx, statement: &Statement) -> anyhow::Result<Option<String>> {
    let Some(by) = statement.marked_by else {
        return Ok(None);
    };
    let Some(later) = tx.statement(by).await? else {
        return Ok(None);
    };
    let at = later.published_at.unwrap_or(later.touched_at);
    let at = moment_in_words(at, app.calendar.zone());
    Ok(mark(statement.state, by, &at))
}
