//! Counts: what the overview shows of all cases, kept so that nobody who looks waits for them, however many cases there are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::Site;
use super::door::stopped;
use crate::app::App;
use crate::domain::Moment;
use crate::domain::figures::Figures;
use crate::steps::deliver::Stopping;
use crate::store::OpenCases;

/// How often it is looked whether something has changed.
pub(super) const FRESH: Duration = Duration::from_secs(2);

/// Deadlines pass without anybody's doing.
const OLDEST: Duration = Duration::from_secs(30);

/// What is older is asked for anew, and whoever looks hears why that is not possible.
const TOO_OLD: Duration = Duration::from_secs(90);

/// Counting takes at most one part in so many of the time.
const SHARE: u32 = 10;

/// What was counted last.
#[derive(Debug)]
pub(super) struct Counted {
    at: Instant,
    took: Duration,
    /// The newest row of the ledger, which has one for each move of a case.
    ledger: i64,
    /// As of when.
    pub as_of: Moment,
    /// Of everything.
    pub figures: Figures,
    /// Of the open cases, by category.
    pub open: Vec<OpenCases>,
}

/// As it was counted last.
#[derive(Debug)]
pub(super) struct Counts(watch::Sender<Option<Arc<Counted>>>);

impl Default for Counts {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Counts {
    /// What there is.
    pub async fn of(&self, app: &App) -> anyhow::Result<Arc<Counted>> {
        let kept = self.0.borrow().clone();
        match kept {
            Some(counted) if counted.at.elapsed() < TOO_OLD => Ok(counted),
            Some(_) | None => self.count(app).await,
        }
    }

    async fn count(&self, app: &App) -> anyhow::Result<Arc<Counted>> {
        let (began, as_of) = (Instant::now(), app.clock.now());
        let mut tx = app.store.read().await?;
        // Asked first: what comes between the two is counted once more.
        let ledger = tx.newest_entry().await?;
        let figures = tx.figures(as_of).await?;
        let open = tx.open_by_category(as_of).await?;
        tx.rollback().await?;
        let counted = Arc::new(Counted {
            at: Instant::now(),
            took: began.elapsed(),
            ledger,
            as_of,
            figures,
            open,
        });
        self.0.send_replace(Some(Arc::clone(&counted)));
        Ok(counted)
    }

    /// Counts again if a case was moved, or time has passed.
    async fn freshen(&self, app: &App) -> anyhow::Result<()> {
        let kept = self.0.borrow().clone();
        let is_right = match kept {
            None => false,
            Some(counted) if counted.at.elapsed() < counted.took * SHARE => true,
            Some(counted) if counted.at.elapsed() >= OLDEST => false,
            Some(counted) => app.store.read().await?.newest_entry().await? == counted.ledger,
        };
        if !is_right {
            self.count(app).await?;
        }
        Ok(())
    }
}

/// Keeps the counts as things are until the service is told to stop.
pub(super) async fn keep(site: Site, mut stopping: Stopping) {
    loop {
        if let Err(error) = site.counts.freshen(&site.app).await {
            tracing::debug!("the page's figures stay as they were: {error:#}");
        }
        tokio::select! {
            () = tokio::time::sleep(FRESH) => {}
            () = stopped(&mut stopping) => return,
        }
    }
}
