//! Discord: one status post a place, posted once and then edited; or the same JSON into a file, for the demo.
//!
//! serenity builds the requests, a client of our own sends them: its limiter waits without end and hides how long Discord
//! asked us to wait, and behind a proxy it would ignore the proxy.

mod render;

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serenity::http::{LightMethod, Request, Route};
use serenity::model::id::{ChannelId, MessageId as DiscordMessageId};
use sha2::{Digest, Sha256};

pub use render::{NONCE_LONGEST, StatusLine, StatusPost};

/// How long one call may take, name look-up and answer included.
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// How many messages are looked through for our own.
const LOOK_BACK: u8 = 50;

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
    /// Not now; perhaps we were told how long to wait. Nothing has arrived.
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

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum DiscordError {
    /// Not a channel id.
    #[error("a channel is named by its id, a number")]
    Channel,
    /// No characters that a header may hold.
    #[error("the token holds characters that no token has")]
    Token,
    /// The HTTP client cannot be built.
    #[error("the HTTP client cannot be set up")]
    Client,
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

/// A bot's way to one channel.
#[derive(Clone)]
pub struct Discord {
    client: reqwest::Client,
    /// As the header wants it.
    token: SecretString,
    channel: ChannelId,
    /// What stands in for `https://discord.com`.
    base: Option<String>,
}

impl std::fmt::Debug for Discord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Discord")
            .field("channel", &self.channel.get())
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Message {
    id: String,
    #[serde(default)]
    author: Author,
    #[serde(default)]
    embeds: Vec<Embed>,
}

#[derive(Deserialize, Default)]
struct Author {
    #[serde(default)]
    bot: bool,
}

#[derive(Deserialize)]
struct Embed {
    footer: Option<Footer>,
}

#[derive(Deserialize)]
struct Footer {
    text: String,
}

/// Discord's own error, as far as it decides anything.
#[derive(Deserialize, Default)]
struct Refusal {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
    retry_after: Option<f64>,
}

impl Discord {
    /// `base` replaces `https://discord.com`, for a test or a proxy of the organisation's own.
    pub fn new(
        token: &SecretString,
        channel: u64,
        base: Option<&str>,
    ) -> Result<Self, DiscordError> {
        let bare = token.expose_secret().trim();
        if bare.is_empty() || !bare.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(DiscordError::Token);
        }
        let client = reqwest::Client::builder()
            .timeout(CALL_LIMIT)
            // A proxy from the environment would see the token; a redirect could take it elsewhere.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|_| DiscordError::Client)?;
        Ok(Self {
            client,
            token: format!("Bot {bare}").into(),
            channel: ChannelId::from(NonZeroU64::new(channel).ok_or(DiscordError::Channel)?),
            base: base.map(str::to_owned),
        })
    }

    /// The same with another limit for each call.
    pub fn with_limit(mut self, limit: Duration) -> Result<Self, DiscordError> {
        self.client = reqwest::Client::builder()
            .timeout(limit)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|_| DiscordError::Client)?;
        Ok(self)
    }

    async fn create(&self, body: &serde_json::Value) -> Result<MessageId, Miss> {
        let route = Route::ChannelMessages {
            channel_id: self.channel,
        };
        let request =
            Request::new(route, LightMethod::Post).body(Some(body.to_string().into_bytes()));
        let message: Message = self.call(request).await?;
        Ok(MessageId(message.id))
    }

    async fn replace(&self, message: &MessageId, body: &serde_json::Value) -> Result<(), Miss> {
        let id: NonZeroU64 = message.0.parse().map_err(|_| Miss::Gone)?;
        let route = Route::ChannelMessage {
            channel_id: self.channel,
            message_id: DiscordMessageId::from(id),
        };
        let request =
            Request::new(route, LightMethod::Patch).body(Some(body.to_string().into_bytes()));
        self.call::<Message>(request).await.map(|_| ())
    }

    async fn find(&self, reference: &str) -> Result<Option<MessageId>, Miss> {
        let route = Route::ChannelMessages {
            channel_id: self.channel,
        };
        let request = Request::new(route, LightMethod::Get)
            .params(Some(vec![("limit", LOOK_BACK.to_string())]));
        let messages: Vec<Message> = self.call(request).await.map_err(|miss| match miss {
            // Reading leaves nothing behind.
            Miss::Unsure => Miss::Later(None),
            other => other,
        })?;
        let ours = messages.into_iter().find(|message| {
            message.author.bot
                && message.embeds.iter().any(|embed| {
                    embed
                        .footer
                        .as_ref()
                        .is_some_and(|footer| is_ours(&footer.text, reference))
                })
        });
        Ok(ours.map(|message| MessageId(message.id)))
    }

    async fn call<T: serde::de::DeserializeOwned>(&self, request: Request<'_>) -> Result<T, Miss> {
        let token = self.token.expose_secret();
        let request = request
            .build(&self.client, token, self.base.as_deref())
            .map_err(|_| {
                Miss::Never("the request to Discord cannot be built: check its address".to_owned())
            })?;
        let answered = request.send().await.map_err(|error| {
            // Without a connection nothing can have arrived.
            if error.is_connect() {
                Miss::Later(None)
            } else {
                Miss::Unsure
            }
        })?;
        let status = answered.status().as_u16();
        let waits = answered
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok()?.trim().parse::<f64>().ok());
        let body = answered.bytes().await.map_err(|_| Miss::Unsure)?;
        if (200..300).contains(&status) {
            return serde_json::from_slice(&body).map_err(|_| Miss::Unsure);
        }
        let refusal: Refusal = serde_json::from_slice(&body).unwrap_or_default();
        Err(refused(status, &refusal, waits))
    }
}

/// What a status and Discord's own code mean (`topics/opcodes-and-status-codes`).
fn refused(status: u16, refusal: &Refusal, retry_after_header: Option<f64>) -> Miss {
    let wait = refusal
        .retry_after
        .or(retry_after_header)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds.clamp(0.0, 86_400.0)).ok());
    match (status, refusal.code) {
        (_, 10008) => Miss::Gone,
        // Blocked for the User-Agent: waiting does not help.
        (429, 40333) => Miss::Never(words(status, refusal)),
        (429, _) | (_, 30046 | 20022 | 20028) => Miss::Later(wait),
        (500.., _) => Miss::Unsure,
        _ => Miss::Never(words(status, refusal)),
    }
}

fn words(status: u16, refusal: &Refusal) -> String {
    let meant = match (status, refusal.code) {
        (401, _) => "the bot's token is not valid",
        (_, 50001) => "the bot may not see the channel",
        (403, _) => "the bot lacks a permission in the channel",
        (_, 10003) => "there is no such channel",
        _ => "discord refused",
    };
    // Discord's own words, without what could disturb a terminal or a log line.
    let said: String = refusal
        .message
        .chars()
        .filter(|c| !c.is_control())
        .take(200)
        .collect();
    format!("{meant} (status {status}, code {}: {said})", refusal.code)
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

    fn refusal(status: u16, code: i64, retry_after: Option<f64>) -> Miss {
        let refusal = Refusal {
            code,
            message: "because".to_owned(),
            retry_after,
        };
        refused(status, &refusal, Some(7.0))
    }

    #[test]
    fn each_code_with_a_branch_of_its_own_is_told_apart() {
        let seconds = |n| Some(Duration::from_secs_f64(n));
        assert_eq!(refusal(404, 10008, None), Miss::Gone);
        assert_eq!(refusal(429, 0, Some(1.5)), Miss::Later(seconds(1.5)));
        assert_eq!(refusal(429, 0, None), Miss::Later(seconds(7.0)));
        assert_eq!(refusal(400, 30046, Some(-1.0)), Miss::Later(seconds(0.0)));
        assert_eq!(refusal(503, 0, None), Miss::Unsure);
        for (status, code) in [
            (401, 0),
            (403, 50013),
            (403, 50001),
            (404, 10003),
            (400, 50035),
            (429, 40333),
            (302, 0),
        ] {
            assert!(
                matches!(refusal(status, code, None), Miss::Never(_)),
                "{status} {code}"
            );
        }
    }

    #[test]
    fn a_reference_is_not_taken_for_a_longer_one() {
        assert!(is_ours("DB-2026-0001", "DB-2026-0001"));
        assert!(is_ours("DB-2026-0001 · v3", "DB-2026-0001"));
        assert!(!is_ours("DB-2026-00011", "DB-2026-0001"));
        assert!(!is_ours("anything", ""));
    }

    #[test]
    fn settings_that_cannot_work_are_refused_and_the_token_is_never_shown() {
        let token = |text: &str| SecretString::from(text.to_owned());
        assert!(matches!(
            Discord::new(&token("a\r\nb"), 1, None),
            Err(DiscordError::Token)
        ));
        assert!(matches!(
            Discord::new(&token(" "), 1, None),
            Err(DiscordError::Token)
        ));
        assert!(matches!(
            Discord::new(&token("t"), 0, None),
            Err(DiscordError::Channel)
        ));
        let shown = format!(
            "{:?}",
            Discord::new(&token("sentinel-4711"), 1, None).unwrap()
        );
        assert!(!shown.contains("sentinel"));
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
