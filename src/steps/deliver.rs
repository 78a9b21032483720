//! Deliveries → attempts. Intent before effect: an attempt is committed before its first byte goes out.
//!
//! One task claims and records; each connection is a task of its own. What is in flight at once is the doubt window: a
//! crash leaves no more than that in doubt. A round's transaction records the last letters and claims the next, and is
//! never open while a byte is on the wire.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use serde::Serialize;
use tokio::sync::{Mutex, mpsc, watch};

use crate::app::{App, Shared};
use crate::channels::{Sent, Session};
use crate::domain::case::CaseState;
use crate::domain::delivery::{Answer, Next, Outcome, Stage, Tried};
use crate::domain::policy::WhyNot;
use crate::domain::{DeliveryId, Moment};
use crate::store::{Claim, Finished, Recovered, TaskKind, Tx, Undelivered};

/// A worker that is silent for this long is dead. Renewed while a letter is in flight.
const LEASE: TimeDelta = TimeDelta::minutes(15);

/// A round commits when this many letters are waiting to be recorded, or when none is coming.
const ROUND: usize = 32;

/// However slow a relay is, leases are looked after this often.
const BEAT: Duration = Duration::from_secs(60);

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
    let mut pass = Pass::begin(app, stopping).await?;
    let result = pass.run().await;
    pass.end().await;
    result?;
    Ok(pass.delivered)
}

/// A letter on its way to a connection, and what became of it on its way back.
struct Job {
    claim: Claim,
    envelope_from: String,
    bytes: Vec<u8>,
}

struct Done {
    claim: Claim,
    sent: Sent,
    ended_at: Moment,
}

/// What a connection hands back.
enum Back {
    /// It was sent, or tried.
    Done(Done),
    /// No byte of it has gone out: we are to stop, or the relay refuses us.
    NotBegun(Claim),
}

type Jobs = Arc<Mutex<mpsc::Receiver<Job>>>;

struct Pass {
    app: Shared,
    stopping: Stopping,
    jobs: Option<mpsc::Sender<Job>>,
    waiting: Jobs,
    back: mpsc::Receiver<Back>,
    not_begun: Vec<Claim>,
    workers: Vec<tokio::task::JoinHandle<()>>,
    in_flight: HashMap<DeliveryId, Moment>,
    delivered: Delivered,
    /// The relay refuses us, or is away: nothing more is begun in this pass.
    is_held: Arc<AtomicBool>,
}

impl Pass {
    async fn begin(app: &Shared, stopping: &Stopping) -> anyhow::Result<Self> {
        let relay = &app.config.mail.relay;
        let window = usize::from(relay.doubt_window);
        let (jobs, receiver) = mpsc::channel::<Job>(window);
        let (sender, back) = mpsc::channel::<Back>(window);
        let waiting = Arc::new(Mutex::new(receiver));
        let is_held = Arc::new(AtomicBool::new(false));
        let workers = (0..usize::from(relay.connections).min(window))
            .map(|_| {
                tokio::spawn(connection(
                    Arc::clone(app),
                    Arc::clone(&waiting),
                    sender.clone(),
                    Arc::clone(&is_held),
                    stopping.clone(),
                ))
            })
            .collect();
        let now = app.clock.now();
        let mut tx = app.store.begin().await?;
        let recovered = tx.recover(now.plus(app.retries.least_wait), now).await?;
        tx.commit().await?;
        Ok(Self {
            app: Arc::clone(app),
            stopping: stopping.clone(),
            jobs: Some(jobs),
            waiting,
            back,
            not_begun: Vec::new(),
            workers,
            in_flight: HashMap::new(),
            delivered: Delivered {
                recovered,
                ..Delivered::default()
            },
            is_held,
        })
    }

    async fn run(&mut self) -> anyhow::Result<()> {
        // Nothing is claimed for a relay that is not there: people must not be charged for its absence.
        if !self.is_anything_due().await? || !self.is_relay_there().await {
            return Ok(());
        }
        let mut finished: Vec<Done> = Vec::new();
        loop {
            let stop = self.is_to_stop();
            if stop {
                self.take_back();
            }
            let claimed = self.round(&mut finished, stop).await?;
            if self.in_flight.is_empty() && claimed == 0 {
                return Ok(());
            }
            self.collect(&mut finished).await;
        }
    }

    fn is_to_stop(&self) -> bool {
        *self.stopping.borrow() || self.is_held.load(Ordering::SeqCst)
    }

    /// Takes back what waits for a connection: all of them may be busy for as long as the relay likes.
    fn take_back(&mut self) {
        if let Ok(mut waiting) = self.waiting.try_lock() {
            while let Ok(job) = waiting.try_recv() {
                self.not_begun.push(job.claim);
            }
        }
    }

    async fn is_anything_due(&self) -> anyhow::Result<bool> {
        let mut tx = self.app.store.read().await?;
        Ok(tx
            .next_due()
            .await?
            .is_some_and(|at| at <= self.app.clock.now()))
    }

    async fn is_relay_there(&mut self) -> bool {
        match self.app.outlet.check().await {
            Ok(()) => true,
            Err(sent) => {
                self.hold(&sent);
                false
            }
        }
    }

    fn hold(&mut self, sent: &Sent) {
        self.is_held.store(true, Ordering::SeqCst);
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

    /// One transaction: records what is finished, claims what fits into the doubt window. Then the letters go out.
    async fn round(&mut self, finished: &mut Vec<Done>, stop: bool) -> anyhow::Result<usize> {
        let now = self.app.clock.now();
        let window = usize::from(self.app.config.mail.relay.doubt_window);
        let ended = finished.len() + self.not_begun.len();
        let still: usize = self.in_flight.len().saturating_sub(ended);
        let room = if stop {
            0
        } else {
            window.saturating_sub(still)
        };
        let old = self.old_leases(finished, now);
        if ended == 0 && room == 0 && old.is_empty() {
            return Ok(0);
        }
        let mut tx = self.app.store.begin().await?;
        let records: Vec<Finished> = finished.iter().map(|done| self.finish(done)).collect();
        tx.record(&records, now).await?;
        work_of(&mut tx, &records, now).await?;
        tx.unclaim(&self.not_begun, now, now).await?;
        let claims = tx
            .claim(room, &self.app.worker, now.plus(LEASE), now)
            .await?;
        tx.extend_leases(&old, now.plus(LEASE)).await?;
        tx.commit().await?;
        for id in old {
            self.in_flight.insert(id, now);
        }
        for claim in self.not_begun.drain(..) {
            self.in_flight.remove(&claim.delivery.id);
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
        let ended: HashSet<DeliveryId> = finished
            .iter()
            .map(|done| &done.claim)
            .chain(&self.not_begun)
            .map(|claim| claim.delivery.id)
            .collect();
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
    async fn collect(&mut self, finished: &mut Vec<Done>) {
        if self.in_flight.is_empty() {
            return;
        }
        let is_to_stop = self.is_to_stop();
        let mut stopping = self.stopping.clone();
        let first = tokio::select! {
            back = self.back.recv() => back,
            _ = stopping.wait_for(|stop| *stop), if !is_to_stop => return,
            () = tokio::time::sleep(BEAT) => return,
        };
        self.sort(first, finished);
        while finished.len() + self.not_begun.len() < ROUND.min(self.in_flight.len()) {
            match tokio::time::timeout(Duration::from_millis(2), self.back.recv()).await {
                Ok(Some(back)) => self.sort(Some(back), finished),
                Ok(None) | Err(_) => break,
            }
        }
        let trouble: Vec<Sent> = finished
            .iter()
            .map(|done| &done.sent)
            .filter(|sent| sent.outcome.is_about_the_relay())
            .cloned()
            .collect();
        if let Some(sent) = trouble.first() {
            self.hold(sent);
        }
    }

    fn sort(&mut self, back: Option<Back>, finished: &mut Vec<Done>) {
        match back {
            Some(Back::Done(done)) => finished.push(done),
            Some(Back::NotBegun(claim)) => self.not_begun.push(claim),
            None => {}
        }
    }

    /// What an attempt means for its delivery.
    fn finish(&self, done: &Done) -> Finished {
        let delivery = &done.claim.delivery;
        let doubts = u32::from(delivery.possible_duplicate)
            + u32::from(done.sent.outcome == Outcome::InDoubt);
        let tried = Tried {
            delivery: delivery.id,
            attempts: u32::try_from(delivery.attempts).unwrap_or(u32::MAX),
            doubts,
            first_at: delivery.first_attempt_at,
        };
        let then = match (
            done.sent.outcome,
            self.app
                .retries
                .next(&tried, done.sent.outcome, done.ended_at),
        ) {
            (Outcome::Accepted, _) => Undelivered::No,
            (Outcome::FailRecipient, _) => Undelivered::Refused,
            (_, Next::At(at)) => Undelivered::Again(at),
            (_, Next::Expired) => Undelivered::Expired,
            (_, Next::Stop) => Undelivered::Stopped,
        };
        let (code, reply) = match &done.sent.answer {
            Answer::Reply(reply) => (Some(reply.code), Some(reply.text.clone())),
            Answer::Lost | Answer::TimedOut | Answer::Tls | Answer::Garbled => {
                (None, Some(describe(&done.sent)))
            }
        };
        Finished {
            delivery: delivery.id,
            thread: delivery.thread,
            kind: delivery.kind,
            attempt: done.claim.attempt,
            ended_at: done.ended_at,
            outcome: done.sent.outcome,
            stage: done.sent.stage,
            code,
            reply,
            then,
        }
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

/// One connection: takes letters as they come, one after the other. What is not begun is handed back.
async fn connection(
    app: Shared,
    jobs: Jobs,
    back: mpsc::Sender<Back>,
    is_held: Arc<AtomicBool>,
    stopping: Stopping,
) {
    let mut session: Session = app.outlet.open();
    loop {
        let job = { jobs.lock().await.recv().await };
        let Some(job) = job else { break };
        let handed = if is_held.load(Ordering::SeqCst) || *stopping.borrow() {
            Back::NotBegun(job.claim)
        } else {
            let to = &job.claim.delivery.recipient;
            let sent = session.send(&job.envelope_from, to, &job.bytes).await;
            // At once: the others are not to knock on a door that was just shut.
            if sent.outcome.is_about_the_relay() {
                is_held.store(true, Ordering::SeqCst);
            }
            let ended_at = app.clock.now();
            Back::Done(Done {
                claim: job.claim,
                sent,
                ended_at,
            })
        };
        if back.send(handed).await.is_err() {
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
