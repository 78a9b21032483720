//! First notices that no relay takes: while they are tried on, a human being reaches the person another way.

use super::{BATCH, Queued};
use crate::app::App;
use crate::domain::case::CaseState;
use crate::domain::delivery::{LATE_AFTER, LATE_SHARE, late_at};
use crate::store::{LATE, TaskKind};

/// Opens the work of reaching those whose first notice is late, and ends it where the notice was taken after all. Neither
/// their deadline nor their letter is touched.
pub(super) async fn chase(app: &App, queued: &mut Queued) -> anyhow::Result<()> {
    let now = app.clock.now();
    if app.store.read().await?.has_needless_chase().await? {
        let mut tx = app.store.begin().await?;
        tx.end_needless_chases(now).await?;
        tx.commit().await?;
    }
    let mut after = 0;
    loop {
        let rule = (LATE_AFTER, LATE_SHARE);
        let threads = app
            .store
            .read()
            .await?
            .late_threads(rule, after, BATCH, now)
            .await?;
        let Some(last) = threads.last() else {
            return Ok(());
        };
        after = last.id;
        let late: Vec<i64> = threads
            .iter()
            .filter(|thread| late_at(thread.first_at, thread.deadline_at) <= now)
            .map(|thread| thread.id)
            .collect();
        let mut tx = app.store.begin().await?;
        let tasks: Vec<_> = tx
            .open_cases_of(&late)
            .await?
            .iter()
            .filter(|case| {
                matches!(case.state, CaseState::Open)
                    && case.rests_until().is_none_or(|until| until <= now)
            })
            .map(|case| (case.id, TaskKind::Reach, LATE, None))
            .collect();
        queued.tasks += tx.open_tasks(&tasks, now).await?;
        tx.commit().await?;
    }
}
