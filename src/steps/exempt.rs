//! An exemption → a case that rests, and with it the letters that are queued about nothing else.

use crate::app::App;
use crate::domain::rate::release;
use crate::domain::{CaseId, Moment};
use crate::store::Tx;

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
    let rests_until = first_hour(app, &mut tx, case, until).await?;
    tx.hold_letters(case, rests_until, now).await?;
    tx.commit().await?;
    Ok(())
}

/// Lets a case rest until `until` by one operator's word. What it may be is checked by the caller.
pub async fn snooze(
    app: &App,
    case: CaseId,
    until: Moment,
    reason: &str,
    by: &str,
) -> anyhow::Result<()> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    tx.snooze_case(case, until, reason, by, now).await?;
    let rests_until = first_hour(app, &mut tx, case, until).await?;
    tx.hold_letters(case, rests_until, now).await?;
    tx.commit().await?;
    Ok(())
}

/// When a letter about this case may go again: an exemption may well end at midnight, or at night where its reader is.
async fn first_hour(app: &App, tx: &mut Tx, case: CaseId, until: Moment) -> anyhow::Result<Moment> {
    let thread = tx.case(case).await?.and_then(|case| case.thread);
    let threads = tx.threads_by_id(thread.as_slice()).await?;
    Ok(threads.first().map_or(until, |thread| {
        let calendar = app.calendar_in(Some(&thread.zone));
        release(thread.kind, thread.category, &calendar, until).at(until)
    }))
}
