//! Where status posts go: `[discord]`, the real one or files of a folder.

use std::num::NonZeroU64;
use std::path::PathBuf;

use reqwest::Url;
use secrecy::SecretString;
use serde::Serialize;
use toml::de::DeValue;

use super::bot::{self, Bot};
use super::hashed;
use super::secret::{TOKEN, secret};
use super::section::{Parsed, Read, Section, Value};
use super::values::{has_no_login, is_private, line, path};

/// Where status posts go.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Discord {
    /// What Discord would get is written to files of this folder.
    Folder(#[serde(serialize_with = "hashed::path")] PathBuf),
    /// One channel.
    Channel {
        /// Discord's own id of it.
        channel_id: NonZeroU64,
        /// The bot's.
        #[serde(skip)]
        token: SecretString,
        /// Another address than Discord's own; for tests.
        api_base: Option<String>,
        /// The bot that takes commands, if there is to be one.
        bot: Option<Bot>,
    },
}

impl Discord {
    /// The bot that takes commands, if there is to be one.
    pub fn bot(&self) -> Option<&Bot> {
        match self {
            Self::Folder(_) => None,
            Self::Channel { bot, .. } => bot.as_ref(),
        }
    }
}

pub(super) fn discord(root: &Section<'_>) -> Read<Option<Discord>> {
    let own = root.section("discord");
    if own.is_absent() {
        return Ok(None);
    }
    let folder = own.optional("file", path);
    let channel_id = own.optional("channel_id", snowflake);
    let token = secret(&own, &TOKEN);
    let api_base = own.optional("api_base", api_base);
    let bot = bot::bot(&own);
    own.finish_after(|own| match (folder?, channel_id, token) {
        (Some(_), Ok(Some(_)), _) => {
            Err(own.wrong("file", "channel_id is there too; keep one of them"))
        }
        (Some(_), Ok(None), _) if matches!(bot, Ok(Some(_))) => Err(own.wrong(
            "bot",
            "a bot needs the real Discord; put channel_id and the token in place of file",
        )),
        (Some(folder), Ok(None), _) => bot.map(|_| Some(Discord::Folder(folder))),
        (None, Ok(None), Ok(None)) => Err(own.missing("file", "\"discord\"")),
        (_, channel_id, token) => {
            let channel_id = channel_id.and_then(|id| {
                id.ok_or_else(|| own.missing("channel_id", "\"1139876543210987654\""))
            });
            let token = token.and_then(|token| {
                token.ok_or_else(|| own.missing(TOKEN.env, "\"BELL_DISCORD_TOKEN\""))
            });
            Ok(Some(Discord::Channel {
                channel_id: channel_id?,
                token: token?,
                api_base: api_base?,
                bot: bot?,
            }))
        }
    })
}

/// Discord shows ids as long numbers: with and without quotes is right.
pub(super) fn snowflake(value: &Value<'_>) -> Parsed<NonZeroU64> {
    let text = match value.raw {
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
        _ => line(value)?,
    };
    text.parse()
        .map_err(|_| "this is no channel's id; copy it from Discord (Copy Channel ID)".to_owned())
}

/// The token goes there, so it has to be this machine or TLS.
pub(super) fn api_base(value: &Value<'_>) -> Parsed<String> {
    let text = line(value)?;
    let url = Url::parse(&text).ok();
    let fits = |url: &Url| is_private(url) && has_no_login(url);
    match url.as_ref().is_some_and(fits) {
        true => Ok(text),
        false => Err(
            "this is no address for the token to go to; use https://, or http:// on this machine"
                .into(),
        ),
    }
}
