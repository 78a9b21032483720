//! `bell deliver`: sends until nothing is left that is due soon; said `--once`, one pass.

use std::time::Duration;

use chrono::TimeDelta;

use super::Said;
use crate::app::Shared;
use crate::domain::Moment;
use crate::steps::deliver::{Delivered, Stopping, deliver};

/// What is due within this time is waited for; what is due later is `serve`'s, or the next call's.
const SOON: TimeDelta = TimeDelta::hours(1);

pub(super) async fn run(app: &Shared, once: bool) -> anyhow::Result<Said> {
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let interrupted = tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            eprintln!("bell: stopping; what is in flight is ended first");
            stop.send_replace(true);
        }
        // Kept until the command ends, so that nobody takes its end for a signal.
        std::future::pending::<()>().await;
    });
    let delivered = until_nothing_is_due(app, once, &stopping).await;
    interrupted.abort();
    let delivered = delivered?;
    Ok(Said::both(&delivered)?.look_if(delivered.held.is_some() || delivered.stopped > 0))
}

async fn until_nothing_is_due(
    app: &Shared,
    once: bool,
    stopping: &Stopping,
) -> anyhow::Result<Delivered> {
    let mut all = Delivered::default();
    loop {
        let pass = deliver(app, stopping).await?;
        let is_held = pass.held.is_some();
        all.add(pass);
        if once || is_held || *stopping.borrow() {
            return Ok(all);
        }
        let now = app.clock.now();
        let next = app.next_delivery_at().await?;
        let Some(at) = next.filter(|at| at.since(now) < SOON) else {
            return Ok(all);
        };
        wait(at, now, stopping.clone()).await;
    }
}

async fn wait(at: Moment, now: Moment, mut stopping: Stopping) {
    if at > now {
        eprintln!("bell: the next letters are due at {at}");
    }
    let span = at.since(now).to_std().unwrap_or_default();
    // At least a second: what is due and cannot go is not asked for in a rush.
    let span = span.max(Duration::from_secs(1));
    let _ = tokio::time::timeout(span, stopping.wait_for(|stop| *stop)).await;
}
