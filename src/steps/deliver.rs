//! Deliveries → attempts. Intent before effect: an attempt is committed before its first byte goes out.
//!
//! One task claims and records; each connection is a task of its own. What is in flight at once is the doubt window: a
//! crash leaves no more than that in doubt. A round's transaction records the last letters and claims the next, and is
//! never open while a byte is on the wire.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::TimeDelta;
use serde::Serialize;
use tokio::sync::{Mutex, mpsc, watch};

use crate::app::{App, Shared};
use crate::channels::{Outgoing, Sent, Session};
use crate::domain::case::CaseState;
use crate::domain::delivery::{Answer, Next, Outcome, Stage, Tried};
use crate::domain::policy::WhyNot;
use crate::domain::{DeliveryId, Moment};
use crate::store::{Claim, Finished, Recovered, StoreError, TaskKind, Tx, Undelivered};

/// A worker that is silent for this long is dead. Renewed while a letter is in flight.
const LEASE: TimeDelta = TimeDelta::minutes(15);

/// A round commits when this many letters are waiting to be recorded, or when none is coming.
const ROUND: usize = 32;

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
    /// Why the pass ended early: what the relay said, and what to do.
    pub held: Option<String>,
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
    let recovered = recover(app).await?;
    if !is_anything_due(app).await? {
        return Ok(Delivered {
            recovered,
            ..Delivered::default()
        });
    }
    let mut pass = Pass::begin(app, recovered);
    let result = pass.run(stopping).await;
    pass.end().await;
    result?;
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

/// A letter on its way to a connection, and what became of it on its way back.
struct Job {
    claim: Claim,
    envelope_from: String,
    bytes: Vec<u8>,
}

struct Done {
    claim: Claim,
    /// None if no byte of it went out, because we were halted first.
    sent: Option<Sent>,
    ended_at: Moment,
}

type Jobs = Arc<Mutex<mpsc::Receiver<Job>>>;

struct Pass {
    app: Shared,
    jobs: Option<mpsc::Sender<Job>>,
    waiting: Jobs,
    done: mpsc::Receiver<Done>,
    workers: Vec<tokio::task::JoinHandle<()>>,
    in_flight: HashMap<DeliveryId, Moment>,
    delivered: Delivered,
    /// The relay refuses us or is away, or we are told to stop: nothing more is begun in this pass. Shared with the
    /// connections, so that what waits behind a hanging letter is given back.
    halted: Arc<AtomicBool>,
}

impl Pass {
    fn begin(app: &Shared, recovered: Recovered) -> Self {
        let relay = &app.config.mail.relay;
        let window = usize::from(relay.doubt_window);
        let (jobs, receiver) = mpsc::channel::<Job>(window);
        let (sender, done) = mpsc::channel::<Done>(window);
        let waiting = Arc::new(Mutex::new(receiver));
        let halted = Arc::new(AtomicBool::new(false));
        let workers = (0..usize::from(relay.connections).min(window))
            .map(|_| {
                tokio::spawn(connection(
                    Arc::clone(app),
                    Arc::clone(&waiting),
                    sender.clone(),
                    Arc::clone(&halted),
                ))
            })
            .collect();
        Self {
            app: Arc::clone(app),
            jobs: Some(jobs),
            waiting,
            done,
            workers,
            in_flight: HashMap::new(),
            delivered: Delivered {
                recovered,
                ..Delivered::default()
            },
            halted,
        }
    }

    async fn run(&mut self, stopping: &Stopping) -> anyhow::Result<()> {
        // Nothing is claimed for a relay that is not there: people must not be charged for its absence.
        if !self.is_relay_there(stopping).await {
            return Ok(());
        }
        let due = self
            .app
            .store
            .read()
            .await?
            .due_count(self.app.clock.now())
            .await?;
        let bar = self.app.progress.begin("delivering", due);
        let mut finished: Vec<Done> = Vec::new();
        loop {
            bar.advance(finished.len() as u64);
            if *stopping.borrow() {
                self.halt();
            }
            if self.is_halted() {
                self.take_back(&mut finished);
            }
            let claimed = self.round_in_the_end(&mut finished, stopping).await?;
            if self.in_flight.is_empty() && claimed == 0 {
                return Ok(());
            }
            self.collect(&mut finished, stopping).await;
        }
    }

    async fn is_relay_there(&mut self, stopping: &Stopping) -> bool {
        let mut told = stopping.clone();
        let checked = tokio::select! {
            checked = self.app.outlet.check() => checked,
            () = async { let _ = told.wait_for(|stop| *stop).await; } => return false,
        };
        match checked {
            Ok(()) => true,
            Err(sent) => {
                self.hold(&sent);
                false
            }
        }
    }

    fn halt(&self) {
        self.halted.store(true, Ordering::Relaxed);
    }

    /// Takes back what waits for a connection: all of them may be busy for as long as the relay likes.
    fn take_back(&self, finished: &mut Vec<Done>) {
        let Ok(mut waiting) = self.waiting.try_lock() else {
            // A connection waits for work: it gives back what comes.
            return;
        };
        while let Ok(job) = waiting.try_recv() {
            finished.push(Done {
                claim: job.claim,
                sent: None,
                ended_at: self.app.clock.now(),
            });
        }
    }

    fn is_halted(&self) -> bool {
        self.halted.load(Ordering::Relaxed)
    }

    fn hold(&mut self, sent: &Sent) {
        self.halt();
        let what = describe(sent);
        if sent.outcome == Outcome::HoldRelay {
            tracing::error!(
                relay.outcome = sent.outcome.word(),
                "the relay refuses us: {what}"
            );
        } else {
            tracing::warn!(
                relay.outcome = sent.outcome.word(),
                "the relay is not there: {what}"
            );
        }
        self.delivered.held.get_or_insert(what);
    }

    /// A round, tried again while the database is away: what a relay has taken must not be forgotten, or it would be in
    /// doubt and sent again.
    async fn round_in_the_end(
        &mut self,
        finished: &mut Vec<Done>,
        stopping: &Stopping,
    ) -> anyhow::Result<usize> {
        let mut told = false;
        loop {
            let error = match self.round(finished).await {
                Ok(claimed) => return Ok(claimed),
                Err(error) => error,
            };
            let is_passing = error
                .downcast_ref::<StoreError>()
                .is_some_and(StoreError::is_passing);
            if !is_passing || *stopping.borrow() {
                return Err(error);
            }
            if !std::mem::replace(&mut told, true) {
                tracing::error!(
                    "the database is away; what was sent is recorded when it is back: {error:#}"
                );
            }
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    }

    /// One transaction: records what is finished, gives back what was not begun, claims what fits into the doubt window.
    /// Then the letters go out.
    async fn round(&mut self, finished: &mut Vec<Done>) -> anyhow::Result<usize> {
        let now = self.app.clock.now();
        let window = usize::from(self.app.config.mail.relay.doubt_window);
        let still: usize = self.in_flight.len() - finished.len();
        let room = if self.is_halted() {
            0
        } else {
            window.saturating_sub(still)
        };
        let old = self.old_leases(finished, now);
        if finished.is_empty() && room == 0 && old.is_empty() {
            return Ok(0);
        }
        let records: Vec<Finished> = finished
            .iter()
            .filter_map(|done| self.finish(done))
            .collect();
        let unbegun: Vec<Claim> = finished
            .iter()
            .filter(|done| done.sent.is_none())
            .map(|done| done.claim.clone())
            .collect();
        let mut tx = self.app.store.begin().await?;
        tx.record(&records, now).await?;
        tx.unclaim(&unbegun, now, now).await?;
        work_of(&mut tx, &records, now).await?;
        let claims = tx
            .claim(room, &self.app.worker, now.plus(LEASE), now)
            .await?;
        tx.extend_leases(&old, now.plus(LEASE)).await?;
        tx.commit().await?;
        for id in old {
            self.in_flight.insert(id, now);
        }
        for done in finished.drain(..) {
            self.in_flight.remove(&done.claim.delivery.id);
        }
        self.count(&records);
        let count = claims.len();
        self.send(claims, now).await?;
        Ok(count)
    }

    /// Letters that are in flight for long: they keep their lease, however full the window is.
    fn old_leases(&self, finished: &[Done], now: Moment) -> Vec<DeliveryId> {
        let ended: HashSet<DeliveryId> =
            finished.iter().map(|done| done.claim.delivery.id).collect();
        self.in_flight
            .iter()
            .filter(|(id, since)| !ended.contains(id) && now.since(**since) > LEASE / 3)
            .map(|(id, _)| *id)
            .collect()
    }

    async fn send(&mut self, claims: Vec<Claim>, now: Moment) -> anyhow::Result<()> {
        for claim in claims {
            self.in_flight.insert(claim.delivery.id, now);
            match self
                .app
                .letters
                .write(&self.app.store, &claim.delivery)
                .await
            {
                Ok(letter) => {
                    let job = Job {
                        claim,
                        envelope_from: letter.envelope_from.expose().to_owned(),
                        bytes: letter.bytes,
                    };
                    if let Some(jobs) = &self.jobs {
                        // The window is as large as the queue, so this never waits.
                        let _ = jobs.send(job).await;
                    }
                }
                Err(error) => {
                    tracing::error!(delivery.id = %claim.delivery.id, "{error:#}");
                    let mut tx = self.app.store.begin().await?;
                    tx.stop_delivery(&claim, "the letter cannot be written as it was queued", now)
                        .await?;
                    let tasks: Vec<_> = tx
                        .open_cases_of(&[claim.delivery.thread])
                        .await?
                        .iter()
                        .filter(|case| matches!(case.state, CaseState::Open))
                        .map(|case| (case.id, TaskKind::Reach, WhyNot::Unwritable.word(), None))
                        .collect();
                    tx.open_tasks(&tasks, now).await?;
                    tx.commit().await?;
                    self.in_flight.remove(&claim.delivery.id);
                    self.delivered.stopped += 1;
                }
            }
        }
        Ok(())
    }

    /// Waits for a letter to come back, and takes along what else is there, up to a round's worth.
    async fn collect(&mut self, finished: &mut Vec<Done>, stopping: &Stopping) {
        if self.in_flight.is_empty() {
            return;
        }
        let mut told = stopping.clone();
        let halted = self.is_halted();
        let first = tokio::select! {
            done = self.done.recv() => done,
            () = async { let _ = told.wait_for(|stop| *stop).await; }, if !halted => None,
            // Long before a lease runs out: time to renew those of slow letters.
            () = tokio::time::sleep(std::time::Duration::from_secs(60)) => None,
        };
        finished.extend(first);
        while finished.len() < ROUND.min(self.in_flight.len()) {
            match tokio::time::timeout(std::time::Duration::from_millis(2), self.done.recv()).await
            {
                Ok(Some(done)) => finished.push(done),
                Ok(None) | Err(_) => break,
            }
        }
        let trouble = finished
            .iter()
            .filter_map(|done| done.sent.as_ref())
            .find(|sent| sent.outcome.is_about_the_relay())
            .cloned();
        if let Some(sent) = trouble {
            self.hold(&sent);
        }
    }

    /// What an attempt means for its delivery.
    fn finish(&self, done: &Done) -> Option<Finished> {
        let sent = done.sent.as_ref()?;
        let delivery = &done.claim.delivery;
        let doubts =
            u32::from(delivery.possible_duplicate) + u32::from(sent.outcome == Outcome::InDoubt);
        let tried = Tried {
            delivery: delivery.id,
            attempts: u32::try_from(delivery.attempts).unwrap_or(u32::MAX),
            doubts,
            first_at: delivery.first_attempt_at,
        };
        let then = match (
            sent.outcome,
            self.app.retries.next(&tried, sent.outcome, done.ended_at),
        ) {
            (Outcome::Accepted, _) => Undelivered::No,
            (Outcome::FailRecipient, _) => Undelivered::Refused,
            (_, Next::At(at)) => Undelivered::Again(at),
            (_, Next::Expired) => Undelivered::Expired,
            (_, Next::Stop) => Undelivered::Stopped,
        };
        let (code, reply) = match &sent.answer {
            Answer::Reply(reply) => (Some(reply.code), Some(reply.text.clone())),
            Answer::Lost | Answer::TimedOut | Answer::Tls | Answer::Garbled => {
                (None, Some(describe(sent)))
            }
        };
        Some(Finished {
            delivery: delivery.id,
            thread: delivery.thread,
            kind: delivery.kind,
            attempt: done.claim.attempt,
            ended_at: done.ended_at,
            outcome: sent.outcome,
            stage: sent.stage,
            code,
            reply,
            then,
        })
    }

    fn count(&mut self, records: &[Finished]) {
        for record in records {
            let delivered = &mut self.delivered;
            match (record.outcome, record.then) {
                (Outcome::Accepted, _) => delivered.accepted += 1,
                (Outcome::InDoubt, then) => {
                    delivered.in_doubt += 1;
                    delivered.stopped += u64::from(then == Undelivered::Stopped);
                }
                (_, Undelivered::Refused) => delivered.refused += 1,
                (_, Undelivered::Stopped | Undelivered::Expired) => delivered.stopped += 1,
                (_, Undelivered::Again(_) | Undelivered::No) => delivered.deferred += 1,
            }
        }
    }

    /// Lets the connections say goodbye.
    async fn end(&mut self) {
        self.jobs = None;
        for worker in self.workers.drain(..) {
            // A worker that panicked has left its letters leased; they come back in doubt.
            let _ = worker.await;
        }
    }
}

/// One connection: takes letters as they come, one after the other. Once halted it gives them back unbegun.
async fn connection(app: Shared, jobs: Jobs, done: mpsc::Sender<Done>, halted: Arc<AtomicBool>) {
    let mut session: Session = app.outlet.open();
    loop {
        let job = { jobs.lock().await.recv().await };
        let Some(job) = job else { break };
        let sent = if halted.load(Ordering::Relaxed) {
            None
        } else {
            Some(
                session
                    .send(
                        Outgoing {
                            envelope_from: &job.envelope_from,
                            to: &job.claim.delivery.recipient,
                            bytes: &job.bytes,
                        },
                        None,
                    )
                    .await,
            )
        };
        // At once: the others are not to knock on a door that was just shut.
        if sent
            .as_ref()
            .is_some_and(|sent| sent.outcome.is_about_the_relay())
        {
            halted.store(true, Ordering::Relaxed);
        }
        let ended_at = app.clock.now();
        if done
            .send(Done {
                claim: job.claim,
                sent,
                ended_at,
            })
            .await
            .is_err()
        {
            break;
        }
    }
    session.close().await;
}

/// Whom no letter reaches is reached by a human being: the address is wrong, time is up, or a doubt must be decided.
async fn work_of(tx: &mut Tx, records: &[Finished], now: Moment) -> anyhow::Result<()> {
    let mut reasons: HashMap<i64, (TaskKind, &'static str)> = HashMap::new();
    for record in records
        .iter()
        .filter(|record| record.kind != crate::domain::notice::NoticeKind::Done)
    {
        match record.then {
            Undelivered::Refused => reasons.insert(record.thread, (TaskKind::Reach, "refused")),
            Undelivered::Expired => {
                reasons.insert(record.thread, (TaskKind::Reach, "undeliverable"))
            }
            Undelivered::Stopped => reasons.insert(record.thread, (TaskKind::Decide, "in_doubt")),
            Undelivered::No | Undelivered::Again(_) => None,
        };
    }
    if reasons.is_empty() {
        return Ok(());
    }
    let threads: Vec<i64> = reasons.keys().copied().collect();
    let cases = tx.open_cases_of(&threads).await?;
    let tasks: Vec<_> = cases
        .iter()
        .filter(|case| matches!(case.state, CaseState::Open))
        .filter_map(|case| {
            reasons
                .get(&case.thread?)
                .map(|(kind, why)| (case.id, *kind, *why, None))
        })
        .collect();
    tx.open_tasks(&tasks, now).await?;
    Ok(())
}

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
