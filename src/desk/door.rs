//! Door: who somebody is that asks in a chat, and whether they are let in. Whoever is not is in the ledger.

use crate::app::App;
use crate::config::{Bot, Config, GUEST, Role};

/// Somebody who asks, as the chat tells it with this very question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Visitor {
    /// Their number there.
    pub user: u64,
    /// The server in which they ask; none: a direct message.
    pub guild: Option<u64>,
    /// Which of its roles they hold.
    pub roles: Vec<u64>,
}

/// Why somebody is not let in; the sentence is for them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Closed {
    /// Direct messages leave no trace that colleagues could see.
    #[error("This works in our own server only, not in direct messages. Please ask there.")]
    Direct,
    /// Another organisation's server.
    #[error("This is not one of the servers I work for. Please ask in your organisation's own.")]
    Elsewhere,
    /// Nobody said that they may.
    #[error(
        "You have no role that lets you do this. Please ask the people who run Division Bell to give you one."
    )]
    NoRole,
}

impl Closed {
    const fn word(self) -> &'static str {
        match self {
            Self::Direct => "direct_message",
            Self::Elsewhere => "unknown_server",
            Self::NoRole => "no_role",
        }
    }
}

/// Whom the ledger names: the operator whose number this is, or a guest with what their roles are worth.
fn known(config: &Config, visitor: &Visitor) -> Result<(String, Vec<Role>), Closed> {
    let bot = config.discord.as_ref().and_then(|discord| discord.bot());
    let guild = visitor.guild.ok_or(Closed::Direct)?;
    let serves = |bot: &&Bot| bot.guilds.iter().any(|one| one.get() == guild);
    let bot = bot.filter(serves).ok_or(Closed::Elsewhere)?;
    let mut operators = config.operators.iter();
    if let Some(own) =
        operators.find(|one| one.discord_user.is_some_and(|id| id.get() == visitor.user))
    {
        return Ok((own.name.clone(), Vec::new()));
    }
    let mut roles: Vec<Role> = bot
        .roles
        .iter()
        .filter(|(id, _)| visitor.roles.contains(&id.get()))
        .map(|(_, role)| *role)
        .collect();
    roles.sort_unstable();
    roles.dedup();
    Ok((format!("{GUEST}{}", visitor.user), roles))
}

/// The operator that a visitor is, without a trace: for suggestions while somebody types.
pub fn glance(app: &App, visitor: &Visitor) -> Result<String, Closed> {
    let (name, roles) = known(&app.config, visitor)?;
    if name.starts_with(GUEST) {
        let is_nobody = roles.is_empty();
        // Also when there are none: roles that were taken away are gone at once.
        app.guests.admit(&name, roles);
        if is_nobody {
            return Err(Closed::NoRole);
        }
    }
    Ok(name)
}

/// Lets anybody in who asks in a server of ours, whatever their roles, for what is everybody's to know.
pub fn at_home(app: &App, visitor: &Visitor) -> Result<String, Closed> {
    known(&app.config, visitor).map(|(name, _)| name)
}

/// Lets somebody in as the operator that they are; what this one may do is decided act by act. A no is written down with
/// what was wanted, which is a command's name and no more.
pub async fn enter(
    app: &App,
    visitor: &Visitor,
    wanted: &str,
) -> anyhow::Result<Result<String, Closed>> {
    let closed = match glance(app, visitor) {
        Ok(name) => return Ok(Ok(name)),
        Err(closed) => closed,
    };
    let detail = serde_json::json!({ "why": closed.word(), "wanted": wanted });
    let mut tx = app.store.begin().await?;
    tx.note(
        app.clock.now(),
        &format!("{GUEST}{}", visitor.user),
        "chat.refused",
        None,
        Some(&detail.to_string()),
    )
    .await?;
    tx.commit().await?;
    Ok(Err(closed))
}
