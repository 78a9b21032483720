//! Sources: which of them are asked for their audits now, each by its own cron line.

use anyhow::Context;

use crate::app::App;
use crate::config::AuditSource;
use crate::schedule::Schedule;
use crate::steps::fetch::{self, Gathered};

/// The cron lines of all sources that are asked; an error names the one that cannot be read.
pub(super) fn schedules(app: &App) -> anyhow::Result<Vec<(&AuditSource, Schedule)>> {
    let mut all = Vec::new();
    for source in &app.config.sources {
        let Some(fetch) = &source.fetch else { continue };
        let schedule = Schedule::parse(&fetch.at.text, app.config.schedule.zone)
            .with_context(|| format!("fetch_at of [[source]] {}", source.name))?;
        all.push((source, schedule));
    }
    Ok(all)
}

/// Asks those whose time has come since they were last asked. One that never was is asked at once.
pub async fn gather(app: &App) -> anyhow::Result<Gathered> {
    let now = app.clock.now();
    let mut due = Vec::new();
    for (source, schedule) in schedules(app)? {
        let asked = fetch::asked_at(app, source).await?;
        if asked.is_none_or(|asked| schedule.latest_due(asked, now).is_some()) {
            due.push(source);
        }
    }
    fetch::fetch(app, &due).await
}
