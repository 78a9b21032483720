//! Those whom a human being told before any letter did: their deadline is fixed from then on, and their last rung is the same.

use chrono::TimeDelta;

use super::{BATCH, Queued};
use crate::app::App;
use crate::domain::case::CaseState;
use crate::domain::finding::Category;
use crate::domain::policy::WhyNot;
use crate::domain::{CaseId, Moment};
use crate::store::TaskKind;

/// A deadline that passed longer ago than this was found before, or has to be found by the self-audit.
const LOOK_BACK: TimeDelta = TimeDelta::days(30);

/// Dates what was told by hand, and asks for its hand-over when that date is past.
pub(super) async fn told(app: &App, queued: &mut Queued) -> anyhow::Result<()> {
    date(app, queued).await?;
    let now = app.clock.now();
    let mut after = CaseId(0);
    loop {
        let page = {
            let mut tx = app.store.read().await?;
            tx.told_overdue(after, now.minus(LOOK_BACK), now, BATCH)
                .await?
        };
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = last.id;
        // A compromised account stays blocked until the reset: there is nothing left to ask for.
        let due: Vec<CaseId> = page
            .iter()
            .filter(|case| case.claim.category != Category::Compromised)
            .map(|case| case.id)
            .collect();
        let mut tx = app.store.begin().await?;
        let due = tx.note_hand_overs_due(&due, now).await?;
        let tasks: Vec<_> = due
            .iter()
            .map(|case| (*case, TaskKind::HandOver, "deadline_passed", None))
            .collect();
        queued.tasks += tx.open_tasks(&tasks, now).await?;
        tx.commit().await?;
    }
}

/// Fixes deadlines. Whoever was told of a compromised account before any plan saw it may still share it with the intruder:
/// somebody has to lock that one out.
async fn date(app: &App, queued: &mut Queued) -> anyhow::Result<()> {
    let now = app.clock.now();
    let mut after = CaseId(0);
    loop {
        let page = {
            let mut tx = app.store.read().await?;
            tx.told_undated(after, BATCH).await?
        };
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = last.id;
        let mut tx = app.store.begin().await?;
        let persons: Vec<_> = page.iter().filter_map(|case| case.person).collect();
        let persons = tx.persons(persons).await?;
        let deadlines: Vec<(CaseId, Moment)> = page
            .iter()
            .map(|case| {
                let told_at = match case.state {
                    CaseState::Notified { at } => at,
                    CaseState::Open | CaseState::Closed { .. } => now,
                };
                let person = case.person.and_then(|id| persons.get(&id));
                let calendar =
                    app.calendar_in(person.and_then(|person| person.time_zone.as_deref()));
                let ladder = app.ladder(case.claim.category);
                (case.id, ladder.schedule(told_at, &calendar).deadline)
            })
            .collect();
        tx.date_cases(&deadlines, now).await?;
        let tasks: Vec<_> = page
            .iter()
            .filter(|case| {
                case.claim.category == Category::Compromised && case.contained_at.is_none()
            })
            .map(|case| {
                (
                    case.id,
                    TaskKind::Contain,
                    WhyNot::NotContained.word(),
                    None,
                )
            })
            .collect();
        queued.tasks += tx.open_tasks(&tasks, now).await?;
        tx.commit().await?;
    }
}
