//! Chat: where an incident's messages go: posted once, then edited where the service allows it, with lines below them.
//!
//! This file is the boundary: what is said, what can come of it, and each kind of chat behind one set of calls. Each kind
//! escapes and shortens for itself, and mentions nobody.

mod folder;
mod http;
mod mattermost;
mod render;
mod slack;
mod teams;
mod webhook;

use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;

use super::discord::Discord;
use crate::domain::Moment;
use crate::domain::post::{Can, Outcome, Repeats, Trouble};

pub use http::ChatError;
pub use mattermost::Mattermost;
pub use slack::Slack;
pub use teams::Teams;
pub use webhook::SignedWebhook;

/// What a place is told, in plain text: every place escapes and shortens for itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StatusPost {
    /// What this is about.
    pub title: String,
    /// The state in a word or two; may be empty.
    pub state: String,
    /// A few sentences; may be empty.
    pub text: String,
    /// Figures and promises, one a line.
    pub lines: Vec<StatusLine>,
    /// By which we find the post again, such as `DB-2026-0001`.
    pub footer_reference: String,
    /// What stands behind it, such as a version or a seal.
    pub footer_note: Option<String>,
    /// Shown where pictures can be shown; its words elsewhere.
    pub picture: Option<Picture>,
}

/// A labelled value.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StatusLine {
    /// What it is.
    pub label: String,
    /// What it says.
    pub value: String,
}

/// A picture, and the words that say the same.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// A PNG file.
    pub png: Vec<u8>,
    /// For those who do not see it.
    pub words: String,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Picture")
            .field("size_bytes", &self.png.len())
            .field("words", &self.words)
            .finish()
    }
}

/// A message, or a thread, as the place that holds it names it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct MessageId(pub String);

impl std::fmt::Display for MessageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What somebody has to put right, and what the place said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct Refusal {
    /// What it comes to.
    pub trouble: Trouble,
    /// In words; never a secret.
    pub words: String,
}

impl Refusal {
    /// A refusal of one message.
    pub(super) fn message(words: impl Into<String>) -> Miss {
        Miss::Never(Self {
            trouble: Trouble::Message,
            words: words.into(),
        })
    }
}

/// Why a post is not where it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Miss {
    /// Not now; perhaps the place said how long to wait. Nothing has arrived.
    #[error("asked to come back later")]
    Later(Option<Duration>),
    /// It may have arrived: look, or repeat with the same nonce.
    #[error("it may or may not have arrived")]
    Unsure,
    /// The message to be edited was deleted: post anew, and tell the desk.
    #[error("the message is gone")]
    Gone,
    /// Repeating will not help; somebody has to act.
    #[error(transparent)]
    Never(Refusal),
}

impl Miss {
    /// What it means for a post.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Later(wait) => {
                Outcome::Later(wait.and_then(|wait| TimeDelta::from_std(wait).ok()))
            }
            Self::Unsure => Outcome::Unsure,
            Self::Gone => Outcome::Gone,
            Self::Never(refusal) => Outcome::Never(refusal.trouble),
        }
    }
}

/// What a look for a message finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// It is there.
    Found(MessageId),
    /// It is not: all that was posted since then was seen.
    Absent,
    /// Not all of it could be seen.
    Perhaps,
}

/// Where an incident's messages go.
#[derive(Debug, Clone)]
pub enum StatusChannel {
    /// A channel on Discord.
    Discord(Discord),
    /// A folder; each message is a file with the JSON that Discord would have got.
    File(PathBuf),
    /// A channel on Slack.
    Slack(Slack),
    /// A channel on Mattermost.
    Mattermost(Mattermost),
    /// A workflow of Microsoft Teams.
    Teams(Teams),
    /// Somebody else's service.
    Webhook(SignedWebhook),
}

impl StatusChannel {
    /// What can be done there.
    pub const fn can(&self) -> Can {
        let all = Can {
            edit: true,
            thread: true,
            picture: true,
            look: true,
            repeats: Repeats::Never,
        };
        match self {
            // "In the past few minutes", it says; less is safe.
            Self::Discord(_) => Can {
                repeats: Repeats::For(TimeDelta::minutes(2)),
                ..all
            },
            Self::File(_) => Can {
                repeats: Repeats::Always,
                ..all
            },
            Self::Slack(_) | Self::Mattermost(_) => Can {
                picture: false,
                ..all
            },
            Self::Teams(_) => Can {
                edit: false,
                thread: false,
                picture: false,
                look: false,
                repeats: Repeats::Never,
            },
            Self::Webhook(_) => Can {
                edit: false,
                thread: false,
                picture: false,
                look: false,
                repeats: Repeats::Always,
            },
        }
    }

    /// Whether a text of this length and kind is shown whole: what somebody approved word for word is never shortened.
    pub fn shows_whole(&self, text: &str) -> bool {
        match self {
            Self::Discord(_) | Self::File(_) => super::discord::render::shows_whole(text),
            Self::Slack(_) => slack::shows_whole(text),
            Self::Mattermost(_) => mattermost::shows_whole(text),
            Self::Teams(_) => teams::shows_whole(text),
            Self::Webhook(_) => webhook::shows_whole(text),
        }
    }

    /// Posts once, as far as the place knows a repeated `nonce`; below `thread` if one is given and there are threads. The
    /// nonce is at most 25 characters long.
    pub async fn post(&self, post: &StatusPost, nonce: &str) -> Result<MessageId, Miss> {
        self.say(None, post, nonce).await
    }

    /// The same below another message.
    pub async fn reply(
        &self,
        thread: &MessageId,
        post: &StatusPost,
        nonce: &str,
    ) -> Result<MessageId, Miss> {
        self.say(Some(thread), post, nonce).await
    }

    async fn say(
        &self,
        thread: Option<&MessageId>,
        post: &StatusPost,
        nonce: &str,
    ) -> Result<MessageId, Miss> {
        match self {
            Self::Discord(discord) => discord.say(thread, post, nonce).await,
            Self::File(dir) => folder::create(dir, thread, post, nonce).await,
            Self::Slack(slack) => slack.say(thread, post).await,
            Self::Mattermost(mattermost) => mattermost.say(thread, post).await,
            Self::Teams(teams) => teams.say(post, nonce).await,
            Self::Webhook(webhook) => webhook.say(post, nonce).await,
        }
    }

    /// Replaces what a message says.
    pub async fn edit(&self, message: &MessageId, post: &StatusPost) -> Result<(), Miss> {
        match self {
            Self::Discord(discord) => discord.edit(message, post).await,
            Self::File(dir) => folder::replace(dir, message, post).await,
            Self::Slack(slack) => slack.edit(message, post).await,
            Self::Mattermost(mattermost) => mattermost.edit(message, post).await,
            Self::Teams(_) | Self::Webhook(_) => {
                Err(Refusal::message("what was said there cannot be changed"))
            }
        }
    }

    /// Opens a thread below a message, or names the one that is there.
    pub async fn thread(&self, message: &MessageId, name: &str) -> Result<MessageId, Miss> {
        match self {
            Self::Discord(discord) => discord.thread(message, name).await,
            // The first message stands for its thread.
            Self::File(_) | Self::Slack(_) | Self::Mattermost(_) => Ok(message.clone()),
            Self::Teams(_) | Self::Webhook(_) => Err(Refusal::message("there are no threads")),
        }
    }

    /// Looks among the last messages for one of a bot that carries our reference, before anything is posted again.
    pub async fn find_recent(&self, footer_reference: &str) -> Result<Option<MessageId>, Miss> {
        let long_ago = Moment::from_micros(0);
        Ok(match self.look(None, footer_reference, long_ago).await? {
            Looked::Found(id) => Some(id),
            Looked::Absent | Looked::Perhaps => None,
        })
    }

    /// The same, below `thread` if one is given; and whether all that was posted since `since` was seen.
    pub async fn look(
        &self,
        thread: Option<&MessageId>,
        reference: &str,
        since: Moment,
    ) -> Result<Looked, Miss> {
        let looked = match self {
            Self::Discord(discord) => discord.look(thread, reference, since).await,
            Self::File(dir) => folder::look(dir, reference).await,
            Self::Slack(slack) => slack.look(thread, reference, since).await,
            Self::Mattermost(mattermost) => mattermost.look(reference, since).await,
            Self::Teams(_) | Self::Webhook(_) => Ok(Looked::Perhaps),
        };
        // Reading leaves nothing behind.
        looked.map_err(|miss| match miss {
            Miss::Unsure => Miss::Later(None),
            other => other,
        })
    }

    /// Whether the channel can be read with this token. Of a place that nobody can read, nothing is known before the first
    /// message.
    pub async fn check(&self) -> Result<(), Miss> {
        self.find_recent("").await.map(|_| ())
    }
}

/// The reference alone, or followed by a version.
pub(super) fn is_ours(footer: &str, reference: &str) -> bool {
    !reference.is_empty()
        && footer
            .strip_prefix(reference)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(" · "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_not_taken_for_a_longer_one() {
        assert!(is_ours("DB-2026-0001", "DB-2026-0001"));
        assert!(is_ours("DB-2026-0001 · v3", "DB-2026-0001"));
        assert!(!is_ours("DB-2026-00011", "DB-2026-0001"));
        assert!(!is_ours("DB-2026-0001/17", "DB-2026-0001"));
        assert!(!is_ours("anything", ""));
    }
}
