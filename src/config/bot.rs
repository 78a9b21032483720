//! The bot on Discord: `[discord.bot]`, which servers it serves and who its people are.

use std::num::NonZeroU64;

use serde::Serialize;
use toml::de::DeValue;

use super::organisation::Role;
use super::section::{Parsed, Read, Section, Value};
use super::values::line;

/// What operators without a section of their own are called in the ledger, followed by their number on Discord.
pub const GUEST: &str = "discord:";

/// The bot that takes commands, beside the posts of its channel.
#[derive(Debug, Clone, Serialize)]
pub struct Bot {
    /// The servers, which Discord calls guilds, whose people may ask; at least one.
    pub guilds: Vec<NonZeroU64>,
    /// The private channel in which drafts wait for a second person, if there is one.
    pub desk_channel: Option<NonZeroU64>,
    /// What the roles of these servers are worth here.
    pub roles: Vec<(NonZeroU64, Role)>,
}

pub(super) fn bot(discord: &Section<'_>) -> Read<Option<Bot>> {
    let own = discord.section("bot");
    if own.is_absent() {
        return Ok(None);
    }
    let guilds = own.list("guild_ids", number).and_then(|ids| {
        let mut ids = ids.unwrap_or_default();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Err(own.missing("guild_ids", "[\"1139876543210987650\"]"));
        }
        Ok(ids)
    });
    let desk_channel = own.optional("desk_channel_id", number);
    let roles = roles(&own);
    own.finish()?;
    Ok(Some(Bot {
        guilds: guilds?,
        desk_channel: desk_channel?,
        roles: roles?,
    }))
}

fn roles(bot: &Section<'_>) -> Read<Vec<(NonZeroU64, Role)>> {
    let own = bot.section("roles");
    let listed = [
        ("security", Role::Security),
        ("approver", Role::Approver),
        ("communications", Role::Communications),
        ("compliance", Role::Compliance),
        ("incident_lead", Role::IncidentLead),
    ]
    .map(|(key, role)| -> Read<Vec<_>> {
        let ids = own.list(key, number)?.unwrap_or_default();
        Ok(ids.into_iter().map(|id| (id, role)).collect())
    });
    own.finish()?;
    let listed: Vec<Vec<_>> = listed.into_iter().collect::<Read<_>>()?;
    Ok(listed.into_iter().flatten().collect())
}

/// Discord shows ids as long numbers: with and without quotes is right.
pub(super) fn number(value: &Value<'_>) -> Parsed<NonZeroU64> {
    let text = match value.raw {
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
        _ => line(value)?,
    };
    text.parse().map_err(|_| {
        "this is no id of Discord's; copy it there (Copy ID, a long number)".to_owned()
    })
}
