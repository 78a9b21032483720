//! Deliveries → attempts. Intent before effect: an attempt is committed before its first byte goes out.
//!
//! Five rooms: [`writing`] turns leased deliveries into letters, on all cores and ahead of need; [`pass`] is the one clerk
//! who claims, begins and records, a round a transaction, never open while a byte is on the wire; [`gate`] says which
//! letters may go now; [`crew`] is one task a connection; [`meaning`] says what an answer means. What is begun at once is
//! the doubt window: a crash leaves no more than that in doubt, however many letters are leased and written.

mod crew;
mod gate;
mod meaning;
mod pass;
mod writing;

use serde::Serialize;
use tokio::sync::watch;

use crate::app::{App, Shared};
use crate::channels::Sent;
use crate::domain::Moment;
use crate::domain::delivery::{Answer, Stage, Standing};
use crate::domain::rate::Why;
use crate::store::Recovered;

use pass::Pass;

/// What a pass came to.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Delivered {
    /// Letters that a relay took.
    pub accepted: u64,
    /// Attempts that come back later.
    pub deferred: u64,
    /// Addresses that do not work.
    pub refused: u64,
    /// Letters that may or may not have been taken.
    pub in_doubt: u64,
    /// Letters for which a human being has to decide.
    pub stopped: u64,
    /// What a crash left behind.
    pub recovered: Recovered,
    /// Letters that were put off, and why.
    pub waiting: Vec<Waiting>,
    /// Why the pass ended early: what the relay said, and what to do.
    pub held: Option<String>,
}

/// Letters that a limit puts off.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Waiting {
    /// How many.
    pub letters: u64,
    /// For what.
    pub why: Why,
    /// When the first of them goes.
    pub from: Moment,
}

impl Delivered {
    /// Adds what a further pass came to; what waits, and why, is as the last one says.
    pub fn add(&mut self, pass: Self) {
        self.accepted += pass.accepted;
        self.deferred += pass.deferred;
        self.refused += pass.refused;
        self.in_doubt += pass.in_doubt;
        self.stopped += pass.stopped;
        self.recovered.in_doubt += pass.recovered.in_doubt;
        self.recovered.stopped += pass.recovered.stopped;
        self.recovered.unharmed += pass.recovered.unharmed;
        self.waiting = pass.waiting;
        self.held = pass.held;
    }
}

impl std::fmt::Display for Delivered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} accepted, {} deferred, {} refused, {} in doubt",
            self.accepted,
            self.deferred,
            self.refused,
            self.in_doubt + self.recovered.in_doubt
        )?;
        for waiting in &self.waiting {
            write!(
                f,
                "; {} wait for {}, from {}",
                waiting.letters,
                waiting.why.text(),
                waiting.from
            )?;
        }
        match &self.held {
            Some(why) => write!(f, "; the relay is held: {why}"),
            None => Ok(()),
        }
    }
}

/// Told to stop: nothing new is begun, what is in flight is ended and recorded.
pub type Stopping = watch::Receiver<bool>;

/// A `Stopping` that never comes.
pub fn never() -> Stopping {
    let (sender, receiver) = watch::channel(false);
    // Kept alive for ever, so that waiting for a change waits for ever.
    std::mem::forget(sender);
    receiver
}

/// Attempts everything that is due, until nothing is, the relay refuses us, or we are told to stop.
pub async fn deliver(app: &Shared, stopping: &Stopping) -> anyhow::Result<Delivered> {
    if let Some(held) = app.mute().await? {
        return Ok(Delivered {
            held: Some(held),
            ..Delivered::default()
        });
    }
    let recovered = recover(app).await?;
    let mut delivered = Delivered {
        recovered,
        ..Delivered::default()
    };
    if !is_anything_due(app).await? {
        return Ok(delivered);
    }
    if let Some(held) = relay_hold(app).await? {
        app.alarms.raise(RELAY, &held).await;
        delivered.held = Some(held);
        return Ok(delivered);
    }
    let standing = standing(app).await?;
    if let Some((until, why)) = standing.rests_until(app.clock.now()) {
        let held = format!("{why}; it is asked again at {until}");
        if standing.away_since().is_some() {
            app.alarms.raise(RELAY, &held).await;
        }
        delivered.held = Some(held);
        return Ok(delivered);
    }
    let mut pass = Pass::new(app, delivered, standing);
    let result = pass.run(stopping).await;
    pass.end().await;
    // Outside of any transaction: what is told is written down as well.
    match &pass.alarm {
        Some(what) => app.alarms.raise(RELAY, what).await,
        None if pass.delivered.accepted > 0 => app.alarms.clear(RELAY).await,
        None => {}
    }
    result?;
    // A backup from before these letters does not fit from here on.
    app.mute().await?;
    Ok(pass.delivered)
}

/// What a dead worker left in flight is in doubt. A look comes first: most passes find nothing to write.
async fn recover(app: &App) -> anyhow::Result<Recovered> {
    let now = app.clock.now();
    let expired = app.store.read().await?.has_expired_leases(now).await?;
    if !expired {
        return Ok(Recovered::default());
    }
    let mut tx = app.store.begin().await?;
    let recovered = tx.recover(now.plus(app.retries.least_wait), now).await?;
    tx.commit().await?;
    Ok(recovered)
}

async fn is_anything_due(app: &App) -> anyhow::Result<bool> {
    Ok(app
        .next_delivery_at()
        .await?
        .is_some_and(|at| at <= app.clock.now()))
}

/// Why the relay is not asked at all: it has refused us, and an operator has not released it. Asking again by itself
/// would lock an account, or make a blocked sender worse.
async fn relay_hold(app: &App) -> anyhow::Result<Option<String>> {
    let hold = app.store.read().await?.relay_hold(RELAY).await?;
    let Some(hold) = hold else { return Ok(None) };
    if hold.settings.as_deref() == Some(&app.relay_settings()) {
        return Ok(Some(format!(
            "{}; once that is mended: bell hold release {}",
            hold.reason, hold.id
        )));
    }
    let mut tx = app.store.begin().await?;
    tx.release_hold(
        hold.id,
        "bell",
        "the relay's settings have changed",
        app.clock.now(),
    )
    .await?;
    tx.commit().await?;
    Ok(None)
}

/// How the relay is met now. What an older version wrote and this one cannot read is nothing against it.
async fn standing(app: &App) -> anyhow::Result<Standing> {
    let kept = app.store.read().await?.relay_standing(RELAY).await?;
    Ok(kept
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default())
}

/// What the one relay of `[mail.relay]` is called in the store.
pub(super) const RELAY: &str = "relay";

/// What a relay did, in words for an operator.
pub fn describe(sent: &Sent) -> String {
    let stage = sent.stage.word();
    match &sent.answer {
        Answer::Reply(reply) => format!("{} at {stage}: {}", reply.code, reply.text),
        Answer::Lost if sent.stage == Stage::Connect => "no connection".to_owned(),
        Answer::Lost => format!("the connection broke at {stage}"),
        Answer::TimedOut => format!("no answer at {stage}"),
        Answer::Tls => format!(
            "TLS is required and not to be had, or the certificate does not fit, at {stage}"
        ),
        Answer::Garbled => format!("an answer at {stage} that is no SMTP"),
    }
}

impl App {
    /// The next moment at which a delivery is due, if any is queued.
    pub async fn next_delivery_at(&self) -> anyhow::Result<Option<Moment>> {
        let mut tx = self.store.read().await?;
        Ok(tx.next_due().await?)
    }
}
