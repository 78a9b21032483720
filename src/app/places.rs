//! Places: the channels that an incident's messages go to, each with who reads there.

use anyhow::Context;

use crate::channels::{Discord, Mattermost, SignedWebhook, Slack, StatusChannel, Teams};
use crate::clock::Clock;
use crate::config::{self, ChatKind, Config, STATUS};
use crate::domain::audience::Audience;

/// A channel by its name in the config.
#[derive(Debug, Clone)]
pub struct Place {
    /// The name.
    pub name: String,
    /// The way there.
    pub channel: StatusChannel,
    /// Who reads there, if anybody is known to.
    pub readers: Option<Audience>,
    /// Whether status posts and timelines are there.
    pub has_status: bool,
}

pub(super) fn places(config: &Config, clock: &Clock) -> anyhow::Result<Vec<Place>> {
    let place = |name: &str, channel| {
        let readers = config.chats.readers_of(name);
        Place {
            name: name.to_owned(),
            channel,
            readers: readers.map(|readers| readers.audience),
            has_status: readers.is_some_and(|readers| readers.status),
        }
    };
    let mut places = Vec::new();
    if let Some(discord) = &config.discord {
        places.push(place(STATUS, first(discord)?));
    }
    for chat in &config.chats.chats {
        let channel = channel(&chat.kind, config.discord.as_ref(), clock)
            .with_context(|| format!("[[chat]] {}", chat.name))?;
        places.push(place(&chat.name, channel));
    }
    Ok(places)
}

fn first(discord: &config::Discord) -> anyhow::Result<StatusChannel> {
    Ok(match discord {
        config::Discord::Folder(dir) => StatusChannel::File(dir.clone()),
        config::Discord::Channel {
            channel_id,
            token,
            api_base,
            ..
        } => StatusChannel::Discord(
            Discord::new(token, channel_id.get(), api_base.as_deref()).context("discord")?,
        ),
    })
}

fn channel(
    kind: &ChatKind,
    discord: Option<&config::Discord>,
    clock: &Clock,
) -> anyhow::Result<StatusChannel> {
    Ok(match kind {
        ChatKind::Discord { channel_id } => match discord {
            Some(config::Discord::Channel {
                token, api_base, ..
            }) => {
                StatusChannel::Discord(Discord::new(token, channel_id.get(), api_base.as_deref())?)
            }
            Some(config::Discord::Folder(_)) | None => {
                anyhow::bail!("there is no bot: give [discord] its channel_id and token_env first")
            }
        },
        ChatKind::Slack {
            channel,
            token,
            api_base,
        } => StatusChannel::Slack(Slack::new(token, channel, api_base.as_deref())?),
        ChatKind::Mattermost {
            url,
            channel,
            token,
        } => StatusChannel::Mattermost(Mattermost::new(token, url, channel)?),
        ChatKind::Teams { url } => StatusChannel::Teams(Teams::new(url)?),
        ChatKind::Webhook { url, secret } => {
            StatusChannel::Webhook(SignedWebhook::new(url, secret, clock.clone())?)
        }
        ChatKind::Folder(dir) => StatusChannel::File(dir.clone()),
    })
}
