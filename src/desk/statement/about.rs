//! About: a new statement that puts a published one right, or takes it back. The old one's text stays as it is.

use super::{begin, checked, no};
use crate::app::App;
use crate::desk::roles::Act;
use crate::domain::StatementId;
use crate::domain::statement::{StatementEvent, StatementKind, StatementState};
use crate::store::{Statement, StatementDraft};

/// What happens to the old one when one of this kind is published.
pub(super) const fn event_of(kind: StatementKind) -> StatementEvent {
    match kind {
        StatementKind::Correction => StatementEvent::Corrected,
        StatementKind::Withdrawal => StatementEvent::Withdrawn,
        StatementKind::Statement => StatementEvent::Published,
    }
}

/// Drafts a statement that puts a published one right. The old one is marked once the new one is out.
pub async fn correct(
    app: &App,
    id: StatementId,
    text: &str,
    by: &str,
) -> anyhow::Result<Statement> {
    about(app, id, StatementKind::Correction, text, by).await
}

/// Drafts a statement that takes a published one back. The old one is marked once the new one is out.
pub async fn withdraw(
    app: &App,
    id: StatementId,
    text: &str,
    by: &str,
) -> anyhow::Result<Statement> {
    about(app, id, StatementKind::Withdrawal, text, by).await
}

async fn about(
    app: &App,
    id: StatementId,
    kind: StatementKind,
    text: &str,
    by: &str,
) -> anyhow::Result<Statement> {
    let old = begin(app, id, Act::StatementDraft, event_of(kind), by).await?;
    let body = checked(text)?;
    match draft_about(app, &old, kind, &body, by).await? {
        Ok(drafted) => Ok(drafted),
        Err(other) => {
            let why =
                format!("statement {other} is written about it already; edit or cancel that one");
            Err(no(app, Act::StatementDraft, id, by, why).await)
        }
    }
}

/// Drafts a statement about a published one, unless another is under way: then which.
pub(in crate::desk) async fn draft_about(
    app: &App,
    old: &Statement,
    kind: StatementKind,
    body: &str,
    by: &str,
) -> anyhow::Result<Result<Statement, StatementId>> {
    let mut tx = app.store.begin().await?;
    let under_way = tx
        .statements(Some(old.incident))
        .await?
        .into_iter()
        .find(|one| {
            one.about == Some(old.id)
                && !one.state.is_out()
                && one.state != StatementState::Cancelled
        });
    if let Some(other) = under_way {
        return Ok(Err(other.id));
    }
    let draft = StatementDraft {
        incident: old.incident,
        kind,
        about: Some(old.id),
        audience: old.audience,
        channels: &old.channels,
        body,
    };
    let drafted = tx.draft_statement(&draft, by, app.clock.now()).await?;
    tx.commit().await?;
    Ok(Ok(drafted))
}
