//! Posts: what was said of incidents on each channel, and a person's word where nobody else can tell.

use anyhow::Context;
use serde::Serialize;

use super::roles::{Act, Declined, may};
use crate::app::App;
use crate::channels::StatusChannel;
use crate::domain::post::{PostState, What};
use crate::store::Post;

/// A message, and the incident it is about.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Shown {
    /// The incident's public reference.
    pub reference: String,
    /// How far it is.
    #[serde(flatten)]
    pub post: Post,
}

impl Shown {
    /// Whether it waits for a person's word.
    pub fn asks(&self) -> bool {
        self.post.state == PostState::Asked
    }
}

/// All messages on all channels; lines of timelines only while they are not there.
pub async fn show(app: &App) -> anyhow::Result<Vec<Shown>> {
    let (incidents, posts) = {
        let mut tx = app.store.read().await?;
        (tx.incidents().await?, tx.posts(None).await?)
    };
    let is_line = |what| matches!(what, What::Line(_) | What::Kept(_));
    let posts = posts
        .into_iter()
        .filter(|post| post.state != PostState::Posted || !is_line(post.what));
    let shown = posts.map(|post| {
        let own = incidents.iter().find(|one| one.id == post.incident);
        Shown {
            reference: own.map(|one| one.reference.clone()).unwrap_or_default(),
            post,
        }
    });
    Ok(shown.collect())
}

/// Settles a message that asks. `message` is the channel's own id of one that is there.
pub async fn decide(
    app: &App,
    id: i64,
    is_there: bool,
    message: Option<&str>,
    by: &str,
) -> anyhow::Result<Shown> {
    may(app, Act::PostSettle, None, by).await?;
    let shown = show(app).await?;
    let mut shown = shown
        .into_iter()
        .find(|one| one.post.id == id)
        .ok_or_else(|| {
            Declined(format!(
                "there is no post {id} that is not settled; bell incident posts lists them"
            ))
        })?;
    if !shown.asks() {
        let why = format!(
            "post {id} does not ask: it is {}",
            shown.post.state.in_words()
        );
        return Err(Declined(why).into());
    }
    let there = match is_there {
        true => Some(id_of(app, &shown.post, message)?),
        false => None,
    };
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    tx.decide_post(&shown.post, there.as_deref(), by, now)
        .await?;
    let post = tx
        .post(shown.post.incident, &shown.post.channel, shown.post.what)
        .await?;
    let left = tx.posts(Some(&shown.post.channel)).await?;
    tx.commit().await?;
    if left.iter().all(|post| post.state != PostState::Asked) {
        app.alarms
            .clear(&format!("posts.{}", shown.post.channel))
            .await;
    }
    shown.post = post.with_context(|| format!("there is no post {id}"))?;
    Ok(shown)
}

/// By what the channel knows a message that is there. Where it names none, or nobody will ever change it, our own key stands
/// for it.
fn id_of(app: &App, post: &Post, message: Option<&str>) -> anyhow::Result<String> {
    let place = app.places.iter().find(|place| place.name == post.channel);
    let channel = place.map(|place| &place.channel);
    if let Some(message) = message {
        let is_word = (1..=64).contains(&message.len())
            && message
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        let is_number = message.bytes().all(|byte| byte.is_ascii_digit());
        let fits = match channel {
            Some(StatusChannel::Discord(_) | StatusChannel::File(_)) => is_word && is_number,
            Some(
                StatusChannel::Slack(_)
                | StatusChannel::Mattermost(_)
                | StatusChannel::Teams(_)
                | StatusChannel::Webhook(_),
            )
            | None => is_word,
        };
        if !fits {
            let why =
                "this is no message's id; copy it from the channel (on Discord: Copy Message ID)";
            return Err(Declined(why.to_owned()).into());
        }
        return Ok(message.to_owned());
    }
    let changes = channel.is_some_and(|channel| channel.can().edit)
        && !matches!(post.what, What::Line(_) | What::Kept(_));
    if changes {
        let why = "say which message it is, so that it can be brought up to date: --message ID (on Discord: Copy Message ID)";
        return Err(Declined(why.to_owned()).into());
    }
    Ok(post.nonce.clone())
}
