//! Nudges: what somebody should be told now, until a channel has carried it.

use crate::app::App;
use crate::config::Role;

pub use crate::store::Nudge;

/// To one operator.
pub(super) fn operator(name: &str) -> String {
    format!("operator:{name}")
}

/// To all who have a role.
pub(super) fn role(role: Role) -> String {
    format!("role:{}", role.word())
}

/// What no channel has carried yet, oldest first. Whoever carries one says so by [`carried`].
pub async fn due(app: &App) -> anyhow::Result<Vec<Nudge>> {
    Ok(app.store.read().await?.nudges_due().await?)
}

/// Writes down that a channel took it. An error if another was first.
pub async fn carried(app: &App, nudge: &Nudge) -> anyhow::Result<()> {
    let mut tx = app.store.begin().await?;
    tx.carry_nudge(nudge.id, app.clock.now()).await?;
    tx.commit().await?;
    Ok(())
}

/// Whether a nudge is for this operator: by name, or by a role of theirs.
pub fn is_for(app: &App, nudge: &Nudge, name: &str) -> bool {
    let fold = crate::domain::address::fold;
    match nudge.to.split_once(':') {
        Some(("operator", operator)) => fold(operator) == fold(name),
        Some(("role", word)) => Role::ALL
            .into_iter()
            .any(|role| role.word() == word && app.has_role(name, role)),
        Some(_) | None => false,
    }
}
