//! Discord: one status post a place, posted once and then edited; or the same JSON into a file, for the demo.
//!
//! This file is the post and the folder; `bot` is the way to Discord itself, `render` the JSON for both.

mod bot;
mod render;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

pub use bot::{Discord, DiscordError};
pub use render::{NONCE_LONGEST, StatusLine, StatusPost};

/// A message as the place that holds it names it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct MessageId(pub String);

impl std::fmt::Display for MessageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
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
    #[error("{0}")]
    Never(String),
}

/// Where a status post lives.
#[derive(Debug, Clone)]
pub enum StatusChannel {
    /// A channel on Discord.
    Discord(Discord),
    /// A folder; each message is a file with the JSON that Discord would have got.
    File(PathBuf),
}

impl StatusChannel {
    /// Posts once: within Discord's few minutes the same nonce gives the same message, in a folder for ever. The nonce is
    /// at most 25 characters long.
    pub async fn post(&self, post: &StatusPost, nonce: &str) -> Result<MessageId, Miss> {
        let body = render::created(post, nonce).map_err(|bad| Miss::Never(bad.to_string()))?;
        match self {
            Self::Discord(discord) => discord.create(&body).await,
            Self::File(dir) => create_file(dir, nonce, &body).await,
        }
    }

    /// Replaces what a message says.
    pub async fn edit(&self, message: &MessageId, post: &StatusPost) -> Result<(), Miss> {
        let body = render::edited(post);
        match self {
            Self::Discord(discord) => discord.replace(message, &body).await,
            Self::File(dir) => replace_file(dir, message, &body).await,
        }
    }

    /// Looks among the last messages for one of a bot that carries our reference, before anything is posted again.
    pub async fn find_recent(&self, footer_reference: &str) -> Result<Option<MessageId>, Miss> {
        match self {
            Self::Discord(discord) => discord.find(footer_reference).await,
            Self::File(dir) => find_file(dir, footer_reference).await,
        }
    }

    /// Whether the channel can be read with this token.
    pub async fn check(&self) -> Result<(), Miss> {
        self.find_recent("").await.map(|_| ())
    }
}

/// The reference alone, or followed by a version.
fn is_ours(footer: &str, reference: &str) -> bool {
    !reference.is_empty()
        && footer
            .strip_prefix(reference)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(" · "))
}

fn path_of(dir: &Path, id: &str) -> PathBuf {
    dir.join(format!("{id}.json"))
}

fn file_trouble(error: &std::io::Error) -> Miss {
    match error.kind() {
        std::io::ErrorKind::NotFound => Miss::Gone,
        kind => Miss::Never(format!("the folder of status posts cannot be used: {kind}")),
    }
}

async fn create_file(dir: &Path, nonce: &str, body: &serde_json::Value) -> Result<MessageId, Miss> {
    let digest = Sha256::digest(nonce.as_bytes());
    let number = digest
        .iter()
        .take(7)
        .fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    let id = MessageId(number.to_string());
    let path = path_of(dir, &id.0);
    tokio::fs::create_dir_all(dir)
        .await
        .map_err(|error| file_trouble(&error))?;
    if !tokio::fs::try_exists(&path)
        .await
        .map_err(|error| file_trouble(&error))?
    {
        write_whole(&path, body).await?;
    }
    Ok(id)
}

async fn replace_file(
    dir: &Path,
    message: &MessageId,
    body: &serde_json::Value,
) -> Result<(), Miss> {
    let number: u64 = message.0.parse().map_err(|_| Miss::Gone)?;
    let path = path_of(dir, &number.to_string());
    tokio::fs::metadata(&path)
        .await
        .map_err(|error| file_trouble(&error))?;
    write_whole(&path, body).await
}

async fn write_whole(path: &Path, body: &serde_json::Value) -> Result<(), Miss> {
    let half = path.with_extension("part");
    let written = async {
        tokio::fs::write(&half, format!("{body:#}\n")).await?;
        tokio::fs::rename(&half, path).await
    };
    written.await.map_err(|error| file_trouble(&error))
}

async fn find_file(dir: &Path, reference: &str) -> Result<Option<MessageId>, Miss> {
    let mut entries = match tokio::fs::read_dir(dir).await {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(file_trouble(&error)),
    };
    while let Some(entry) = entries
        .next_entry()
        .await
        .map_err(|error| file_trouble(&error))?
    {
        let path = entry.path();
        let Some(id) = path.file_stem().and_then(|stem| stem.to_str()) else {
            continue;
        };
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let bytes = tokio::fs::read(&path)
            .await
            .map_err(|error| file_trouble(&error))?;
        let body: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let footer = body
            .pointer("/embeds/0/footer/text")
            .and_then(|text| text.as_str());
        if footer.is_some_and(|footer| is_ours(footer, reference)) {
            return Ok(Some(MessageId(id.to_owned())));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_not_taken_for_a_longer_one() {
        assert!(is_ours("DB-2026-0001", "DB-2026-0001"));
        assert!(is_ours("DB-2026-0001 · v3", "DB-2026-0001"));
        assert!(!is_ours("DB-2026-00011", "DB-2026-0001"));
        assert!(!is_ours("anything", ""));
    }

    #[tokio::test]
    async fn a_folder_keeps_one_message_a_nonce_and_edits_it_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let channel = StatusChannel::File(dir.path().join("status"));
        assert_eq!(channel.find_recent("DB-1").await, Ok(None));
        let mut post = StatusPost {
            title: "Accounts".into(),
            state: "investigating".into(),
            text: String::new(),
            lines: Vec::new(),
            footer_reference: "DB-1".into(),
            footer_note: Some("v1".into()),
        };
        let id = channel.post(&post, "st1v1").await.unwrap();
        post.state = "changed".into();
        assert_eq!(channel.post(&post, "st1v1").await.unwrap(), id);
        let read =
            || std::fs::read_to_string(dir.path().join(format!("status/{id}.json"))).unwrap();
        assert!(read().contains("investigating"));
        channel.edit(&id, &post).await.unwrap();
        assert!(read().contains("changed"));
        assert_eq!(channel.find_recent("DB-1").await, Ok(Some(id)));
        assert_eq!(
            channel.edit(&MessageId("5".into()), &post).await,
            Err(Miss::Gone)
        );
        assert_eq!(
            channel.edit(&MessageId("../x".into()), &post).await,
            Err(Miss::Gone)
        );
    }
}
