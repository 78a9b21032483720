//! Where an incident's messages go beside `[discord]`: `[[chat]]`; and who reads there: `[[audience]]`.

use std::path::PathBuf;

use reqwest::Url;
use secrecy::SecretString;
use serde::Serialize;

use super::discord::{Discord, api_base, snowflake};
use super::errors::quoted;
use super::hashed;
use super::secret::{SecretKeys, TOKEN, secret};
use super::section::{Parsed, Read, Section, Value, instead};
use super::values::{choice, is_private, line, path, yes_or_no};
use crate::domain::audience::Audience;

/// The channel of `[discord]` itself.
pub const STATUS: &str = "status";

/// A channel by its name.
#[derive(Debug, Clone, Serialize)]
pub struct Chat {
    /// Unique; what the ledger and operators call it.
    pub name: String,
    /// Which kind, and how it is spoken to.
    pub kind: ChatKind,
}

/// How a channel is spoken to.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatKind {
    /// Another channel of the same bot's.
    Discord {
        /// Discord's own id of it.
        channel_id: std::num::NonZeroU64,
    },
    /// A channel on Slack.
    Slack {
        /// Slack's own id of it.
        channel: String,
        /// The bot's.
        #[serde(skip)]
        token: SecretString,
        /// Another address than Slack's own; for tests.
        api_base: Option<String>,
    },
    /// A channel on a Mattermost server.
    Mattermost {
        /// The server.
        url: String,
        /// Its own id of the channel.
        channel: String,
        /// The bot's.
        #[serde(skip)]
        token: SecretString,
    },
    /// A workflow of Microsoft Teams.
    Teams {
        /// The workflow's address: whoever has it may post.
        #[serde(skip)]
        url: SecretString,
    },
    /// Somebody else's service.
    Webhook {
        /// Where it is.
        url: String,
        /// What requests are signed with.
        #[serde(skip)]
        secret: SecretString,
    },
    /// A folder that gets what Discord would get.
    Folder(#[serde(serialize_with = "hashed::path")] PathBuf),
}

/// Who reads on which channels.
#[derive(Debug, Clone, Serialize)]
pub struct Readers {
    /// Who.
    pub audience: Audience,
    /// On which channels, by their names.
    pub channels: Vec<String>,
    /// Whether incidents' status posts and timelines are there.
    pub status: bool,
}

/// Where messages go, and who reads there.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Chats {
    /// Beside the channel of `[discord]`.
    pub chats: Vec<Chat>,
    /// Each audience once, and each channel in one at most.
    pub readers: Vec<Readers>,
}

impl Chats {
    /// Who reads on a channel.
    pub fn readers_of(&self, channel: &str) -> Option<&Readers> {
        self.readers
            .iter()
            .find(|readers| readers.channels.iter().any(|name| name == channel))
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Discord,
    Slack,
    Mattermost,
    Teams,
    Webhook,
    Folder,
}

const KINDS: &[(&str, Kind)] = &[
    ("discord", Kind::Discord),
    ("slack", Kind::Slack),
    ("mattermost", Kind::Mattermost),
    ("teams", Kind::Teams),
    ("webhook", Kind::Webhook),
    ("folder", Kind::Folder),
];

const AUDIENCES: &[(&str, Audience)] = &[
    ("staff", Audience::Staff),
    ("press", Audience::Press),
    ("partners", Audience::Partners),
];

const SECRET: SecretKeys = SecretKeys {
    inline: "secret",
    env: "secret_env",
    file: "secret_file",
};

const SECRET_URL: SecretKeys = SecretKeys {
    inline: "url",
    env: "url_env",
    file: "url_file",
};

/// `discord` is what `[discord]` says, none while it is wrong: then nobody asks whether the names fit.
pub(super) fn chats(root: &Section<'_>, discord: Option<&Option<Discord>>) -> Read<Chats> {
    let mut names = vec![STATUS.to_owned()];
    let sections = root.sections("chat");
    let audiences = root.sections("audience");
    let chats: Vec<Read<Chat>> = sections?
        .into_iter()
        .map(|own| chat(own, &mut names, discord))
        .collect();
    let chats: Read<Vec<Chat>> = chats.into_iter().collect();
    if discord.is_some_and(Option::is_none) {
        names.remove(0);
    }
    let known = (chats.is_ok() && discord.is_some()).then_some(&names[..]);
    let mut taken = Vec::new();
    let readers: Vec<Read<Readers>> = audiences?
        .into_iter()
        .map(|own| readers(own, known, &mut taken))
        .collect();
    let mut readers: Vec<Readers> = readers.into_iter().collect::<Read<_>>()?;
    // Whoever says nothing has one house, and everybody in it reads everything.
    if readers.is_empty() {
        readers.push(Readers {
            audience: Audience::Staff,
            channels: names,
            status: true,
        });
    }
    Ok(Chats {
        chats: chats?,
        readers,
    })
}

fn chat(
    own: Section<'_>,
    names: &mut Vec<String>,
    discord: Option<&Option<Discord>>,
) -> Read<Chat> {
    let name = own.unique_name(names, "\"press-room\"");
    let kind = own.required("kind", choice(KINDS), "\"discord\"");
    let Ok(kind) = kind else {
        // Which keys belong here, only the kind says.
        return Err(super::section::Told);
    };
    let kind = match kind {
        Kind::Discord => {
            let channel_id = own.required("channel_id", snowflake, "\"1139876543210987654\"");
            let has_bot = match discord {
                Some(Some(Discord::Channel { .. })) | None => Ok(()),
                Some(Some(Discord::Folder(_)) | None) => Err(own.wrong(
                    "kind",
                    "there is no bot: give [discord] its channel_id and token_env first",
                )),
            };
            channel_id.and_then(|channel_id| has_bot.map(|()| ChatKind::Discord { channel_id }))
        }
        Kind::Slack => {
            let channel = own.required("channel", word, "\"C024BE91L\"");
            let token = needed(&own, &TOKEN, "\"BELL_SLACK_TOKEN\"");
            let api_base = own.optional("api_base", api_base);
            channel.and_then(|channel| {
                Ok(ChatKind::Slack {
                    channel,
                    token: token?,
                    api_base: api_base?,
                })
            })
        }
        Kind::Mattermost => {
            let url = own.required("url", api_base, "\"https://chat.parl.example\"");
            let channel = own.required("channel", word, "\"4xp9fdt77pncbef59f4k1qe83o\"");
            let token = needed(&own, &TOKEN, "\"BELL_MATTERMOST_TOKEN\"");
            url.and_then(|url| {
                Ok(ChatKind::Mattermost {
                    url,
                    channel: channel?,
                    token: token?,
                })
            })
        }
        Kind::Teams => {
            needed(&own, &SECRET_URL, "\"BELL_TEAMS_URL\"").and_then(|url| match is_safe(&url) {
                true => Ok(ChatKind::Teams { url }),
                false => Err(own.wrong(
                    SECRET_URL.env,
                    "what it names is no address to post to; it has to begin with https://",
                )),
            })
        }
        Kind::Webhook => {
            let url = own.required("url", api_base, "\"https://status.parl.example/in\"");
            let secret = needed(&own, &SECRET, "\"BELL_WEBHOOK_SECRET\"");
            url.and_then(|url| {
                Ok(ChatKind::Webhook {
                    url,
                    secret: secret?,
                })
            })
        }
        Kind::Folder => own
            .required("folder", path, "\"press\"")
            .map(ChatKind::Folder),
    };
    own.finish()?;
    Ok(Chat {
        name: name?,
        kind: kind?,
    })
}

fn needed(own: &Section<'_>, keys: &SecretKeys, example: &str) -> Read<SecretString> {
    secret(own, keys)?.ok_or_else(|| own.missing(keys.env, example))
}

/// Part of an address.
fn word(value: &Value<'_>) -> Parsed<String> {
    let text = line(value)?;
    match text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        true => Ok(text),
        false => Err(format!(
            "{} is no channel's id; copy the id, not the name",
            quoted(&text)
        )),
    }
}

fn is_safe(url: &SecretString) -> bool {
    use secrecy::ExposeSecret;
    let url = Url::parse(url.expose_secret()).ok();
    url.as_ref().is_some_and(is_private)
}

/// `known` are the names of all channels, if all of them are right.
fn readers(
    own: Section<'_>,
    known: Option<&[String]>,
    taken: &mut Vec<(String, Audience)>,
) -> Read<Readers> {
    let audience = own.required("name", choice(AUDIENCES), "\"staff\"");
    let channels = own.list("channels", line).and_then(|channels| {
        let channels = channels.unwrap_or_default();
        match channels.is_empty() {
            true => Err(own.missing("channels", "[\"status\"]")),
            false => Ok(channels),
        }
    });
    let staff = matches!(audience, Ok(Audience::Staff));
    let status = own.or("status", yes_or_no, staff);
    own.finish_after(|own| {
        let (audience, channels) = (audience?, channels?);
        if taken.iter().any(|(_, other)| *other == audience) {
            return Err(own.wrong("name", "this audience is there already; put all its channels there"));
        }
        for channel in &channels {
            if let Some((_, other)) = taken.iter().find(|(name, _)| name == channel) {
                let text = format!(
                    "{} is read by {} already; what is approved for one audience must not reach another",
                    quoted(channel),
                    other.word()
                );
                return Err(own.wrong("channels", text));
            }
            if let Some(known) = known.filter(|known| !known.contains(channel)) {
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                let text = match known.is_empty() {
                    true => "there is no channel yet; add [discord] or a [[chat]]".to_owned(),
                    false => format!(
                        "{} is no channel here; {}",
                        quoted(channel),
                        instead(channel, &known)
                    ),
                };
                return Err(own.wrong("channels", text));
            }
        }
        taken.extend(channels.iter().map(|channel| (channel.clone(), audience)));
        Ok(Readers {
            audience,
            channels,
            status: status?,
        })
    })
}
