//! An exemption → a case that rests, and with it the letters that are queued about nothing else.

use crate::app::App;
use crate::domain::{CaseId, Moment};

/// Exempts a case until `until`. Who may ask for it and approve it is checked by the caller; the ledger keeps both.
pub async fn exempt(
    app: &App,
    case: CaseId,
    until: Moment,
    reason: &str,
    requested_by: &str,
    approver: &str,
) -> anyhow::Result<()> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    tx.exempt_case(case, until, reason, requested_by, approver, now)
        .await?;
    tx.hold_letters(case, app.calendar.next_sendable(until), now)
        .await?;
    tx.commit().await?;
    Ok(())
}
