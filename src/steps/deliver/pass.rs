//! The clerk: claims ahead, begins what fits into the doubt window, records what came back; one transaction a round.

mod relay;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::mpsc;

use super::crew::{Crew, Done, Job};
use super::gate::{Gate, Sorted};
use super::meaning::{Ended, finish, work_of};
use super::writing::{Ready, Writing, Written};
use super::{Delivered, Stopping, Waiting, describe};
use crate::app::{Bar, Shared};

use crate::domain::case::CaseState;
use crate::domain::delivery::{Outcome, Standing};
use crate::domain::policy::WhyNot;
use crate::domain::rate::Meter;
use crate::domain::{DeliveryId, Moment};
use crate::store::{
    Begun, Delivery, Finished, GivenBack, StoreError, TaskKind, TemplateId, Tx, Undelivered,
};

/// A worker that is silent for this long is dead. Renewed while letters are in hand.
const LEASE: TimeDelta = TimeDelta::minutes(15);

/// Letters that are leased and written ahead of those that are begun.
const AHEAD: usize = 512;

/// A round commits when so many letters wait for it, or half the doubt window if that is less.
const ROUND: usize = 128;

/// What waits for a round waits no longer than this.
const PATIENCE: Duration = Duration::from_millis(2);

/// A pass goes on if a letter that a limit puts off goes within this time; else a later one sends it.
const REST: TimeDelta = TimeDelta::seconds(90);

/// One pass over what is due.
pub(super) struct Pass {
    app: Shared,
    pub(super) delivered: Delivered,
    /// What an operator has to hear about the relay.
    pub(super) alarm: Option<String>,
    crew: Option<Crew>,
    writing: Writing,
    written: mpsc::UnboundedReceiver<Written>,
    /// Leased, and being written.
    in_writing: HashMap<DeliveryId, i64>,
    /// Written, and not begun.
    ready: VecDeque<Ready>,
    /// Begun, and not recorded.
    in_flight: HashMap<DeliveryId, i64>,
    /// Came back, and waits to be recorded.
    finished: Vec<Done>,
    /// Which letters may go now.
    gate: Gate,
    /// How the relay is met, and how it was met when that was last written down.
    standing: Standing,
    /// Nothing more was found due.
    is_dry: bool,
    /// When leases were renewed.
    renewed_at: Moment,
}

impl Pass {
    pub(super) fn new(app: &Shared, delivered: Delivered, standing: Standing) -> Self {
        let (writing, written) = Writing::new(Shared::clone(app));
        Self {
            renewed_at: app.clock.now(),
            app: Shared::clone(app),
            delivered,
            alarm: None,
            crew: None,
            writing,
            written,
            in_writing: HashMap::new(),
            ready: VecDeque::new(),
            in_flight: HashMap::new(),
            finished: Vec::new(),
            gate: Gate::default(),
            standing,
            is_dry: false,
        }
    }

    pub(super) async fn run(&mut self, stopping: &Stopping) -> anyhow::Result<()> {
        // Nothing is claimed for a relay that is not there: people must not be charged for its absence.
        let Some(session) = self.reach(stopping).await? else {
            return Ok(());
        };
        let now = self.app.clock.now();
        let connections = self.standing.connections(self.connections(), now);
        let connections = usize::from(connections).min(self.window());
        self.crew = Some(Crew::start(&self.app, connections, session));
        let due = self.app.store.read().await?.due_count(now).await?;
        let bar = self.app.progress.begin("delivering", due);
        loop {
            if *stopping.borrow() {
                self.halt();
            }
            if self.is_halted() {
                self.take_back();
            }
            self.round_in_the_end(&bar, stopping).await?;
            if !self.is_over() {
                self.collect(stopping).await;
            } else if !self.rest(stopping).await {
                return self.forget().await;
            }
        }
    }

    /// Lets the connections say goodbye.
    pub(super) async fn end(&mut self) {
        let waiting = self.gate.waiting.iter();
        self.delivered.waiting = waiting
            .map(|(why, (letters, from))| Waiting {
                letters: *letters,
                why: *why,
                from: *from,
            })
            .collect();
        if let Some(crew) = &mut self.crew {
            crew.end().await;
        }
    }

    fn connections(&self) -> u16 {
        self.app.config.mail.relay.rates.connections
    }

    fn window(&self) -> usize {
        usize::from(self.app.config.mail.relay.doubt_window)
    }

    fn round_size(&self) -> usize {
        ROUND.min(self.window() / 2).max(1)
    }

    fn is_over(&self) -> bool {
        self.in_writing.is_empty()
            && self.ready.is_empty()
            && self.in_flight.is_empty()
            && (self.is_dry || self.is_halted())
    }

    /// Waits for the next letter that a limit puts off, if it is not long. A clock that stands is not waited for.
    async fn rest(&mut self, stopping: &Stopping) -> bool {
        let Some(at) = self.gate.next_at() else {
            return false;
        };
        let wait = at.since(self.app.clock.now());
        if self.is_halted() || !self.app.clock.runs() || wait > REST {
            return false;
        }
        let mut told = stopping.clone();
        let stopped = tokio::time::timeout(
            wait.to_std().unwrap_or_default() + Duration::from_millis(1),
            told.wait_for(|stop| *stop),
        )
        .await;
        self.gate.start_over();
        self.is_dry = false;
        stopped.is_err()
    }

    /// No window reaches back further than this.
    async fn forget(&self) -> anyhow::Result<()> {
        if !self.app.config.rates().is_limited() {
            return Ok(());
        }
        let mut tx = self.app.store.begin().await?;
        tx.forget_sent(Meter::since(self.app.clock.now())).await?;
        tx.commit().await?;
        Ok(())
    }

    fn halt(&self) {
        if let Some(crew) = &self.crew {
            crew.halt();
        }
    }

    fn is_halted(&self) -> bool {
        self.crew.as_ref().is_some_and(Crew::is_halted)
    }

    fn take_back(&mut self) {
        let now = self.app.clock.now();
        if let Some(crew) = &self.crew {
            self.finished.extend(crew.take_back(now));
        }
    }

    /// A round, tried again while the database is away: what a relay has taken must not be forgotten, or it would be in
    /// doubt and sent again.
    async fn round_in_the_end(&mut self, bar: &Bar, stopping: &Stopping) -> anyhow::Result<()> {
        let mut told = false;
        loop {
            let error = match self.round(bar).await {
                Ok(()) if told => {
                    self.app.alarms.clear("database").await;
                    return Ok(());
                }
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let is_passing = error
                .downcast_ref::<StoreError>()
                .is_some_and(StoreError::is_passing);
            if !is_passing || *stopping.borrow() {
                return Err(error);
            }
            told = true;
            let text = format!("what was sent is recorded when it is back: {error:#}");
            self.app.alarms.raise("database", &text).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// One transaction: records what came back, begins what fits into the doubt window, claims ahead. Then the letters go
    /// out. Nothing of ours changes before the commit, so that it can be tried again.
    async fn round(&mut self, bar: &Bar) -> anyhow::Result<()> {
        let now = self.app.clock.now();
        let halted = self.is_halted();
        let still = self.in_flight.len() - self.finished.len();
        let room = self.window().saturating_sub(still);
        let ahead = self.ready.len() + self.in_writing.len();
        let (begin, claim) = match halted {
            true => (0, 0),
            false if ahead < AHEAD / 2 => (room.min(self.ready.len()), AHEAD - ahead),
            false => (room.min(self.ready.len()), 0),
        };
        let renew = now.since(self.renewed_at) > LEASE / 3;
        let give_up = halted && !self.ready.is_empty();
        let claim = if self.is_dry { 0 } else { claim };
        if self.finished.is_empty() && begin == 0 && claim == 0 && !renew && !give_up {
            return Ok(());
        }
        let mut tx = self.app.store.begin().await?;
        tx.hold_campaigns_of(&self.threads(begin)).await?;
        let records = self.record(&mut tx, now).await?;
        let sorted = self
            .gate
            .sort(&self.app, &mut tx, self.ready.iter(), begin, now)
            .await?;
        let begun = self.begin_attempts(&mut tx, &sorted, now).await?;
        self.give_back(&mut tx, halted, &sorted, &begun, now)
            .await?;
        let claims = tx
            .claim(claim, &self.app.worker, now.plus(LEASE), now)
            .await?;
        if renew {
            tx.extend_leases(&self.in_hand(), now.plus(LEASE)).await?;
        }
        tx.commit().await?;
        if renew {
            self.renewed_at = now;
        }
        bar.advance(self.finished.len() as u64);
        for done in self.finished.drain(..) {
            self.in_flight.remove(&done.job.letter.delivery.id);
            self.gate.back(&done.job.letter.delivery);
        }
        self.count(&records);
        self.dispatch(&sorted, &begun);
        if halted {
            self.ready.clear();
        }
        self.is_dry = !halted && claim > 0 && claims.len() < claim;
        self.write(claims).await
    }

    /// The threads of the letters that this round is about.
    fn threads(&self, begin: usize) -> Vec<i64> {
        let finished = self.finished.iter();
        let finished = finished.map(|done| done.job.letter.delivery.thread);
        let ready = self.ready.iter().take(begin);
        finished
            .chain(ready.map(|ready| ready.delivery.thread))
            .collect()
    }

    /// Records what was sent, and what it leads to.
    async fn record(&mut self, tx: &mut Tx, now: Moment) -> anyhow::Result<Vec<Finished>> {
        let mut records = Vec::with_capacity(self.finished.len());
        let mut refused: Vec<(TemplateId, String)> = Vec::new();
        let mut trouble = None;
        for done in &self.finished {
            let Some(sent) = &done.sent else { continue };
            let delivery = &done.job.letter.delivery;
            if sent.outcome == Outcome::FailMessage {
                refused.push((delivery.template, describe(sent)));
            }
            if sent.outcome.is_about_the_relay() {
                trouble.get_or_insert_with(|| sent.clone());
            }
            records.push(finish(
                &self.app,
                &Ended {
                    delivery,
                    begun: done.job.begun,
                    sent,
                    at: done.at,
                },
            ));
        }
        tx.record(&records, now).await?;
        work_of(tx, &records, now).await?;
        self.hear_all(tx, now).await?;
        for (template, what) in &refused {
            if tx.hold_template(*template, what, now).await? {
                tracing::error!(
                    template.id = template.0,
                    "a text is refused and held: {what}"
                );
            }
        }
        if let Some(sent) = trouble {
            self.trouble(tx, &sent).await?;
        }
        Ok(records)
    }

    async fn begin_attempts(
        &mut self,
        tx: &mut Tx,
        sorted: &Sorted,
        now: Moment,
    ) -> anyhow::Result<HashMap<DeliveryId, Begun>> {
        let chosen: Vec<&Ready> = sorted
            .go
            .iter()
            .filter_map(|place| self.ready.get(*place))
            .collect();
        let wanted: Vec<(DeliveryId, i64)> = chosen
            .iter()
            .map(|ready| (ready.delivery.id, ready.delivery.thread))
            .collect();
        let begun = tx.begin_attempts(&wanted, &self.app.worker, now).await?;
        let begun = begun.into_iter().map(|one| (one.delivery, one)).collect();
        self.gate.settle(tx, &chosen, &begun, now).await?;
        Ok(begun)
    }

    /// What came back unsent, what may not be begun any more, and what may only later.
    async fn give_back(
        &self,
        tx: &mut Tx,
        halted: bool,
        sorted: &Sorted,
        begun: &HashMap<DeliveryId, Begun>,
        now: Moment,
    ) -> anyhow::Result<()> {
        let unsent = self
            .finished
            .iter()
            .filter(|done| done.sent.is_none())
            .map(|done| {
                let delivery = &done.job.letter.delivery;
                given_back(delivery, Some(&done.job.begun), None)
            });
        let unbegun = (0..self.ready.len())
            .filter(|place| halted || sorted.go.contains(place))
            .filter_map(|place| self.ready.get(place))
            .filter(|ready| !begun.contains_key(&ready.delivery.id))
            .map(|ready| given_back(&ready.delivery, None, None));
        let later = sorted.later.iter().filter_map(|(place, at)| {
            let ready = self.ready.get(*place)?;
            Some(given_back(&ready.delivery, None, Some(*at)))
        });
        let given: Vec<GivenBack> = unsent.chain(unbegun).chain(later).collect();
        tx.give_back(&given, &self.app.worker, now).await?;
        Ok(())
    }

    fn dispatch(&mut self, sorted: &Sorted, begun: &HashMap<DeliveryId, Begun>) {
        let Some(crew) = &self.crew else { return };
        let last = sorted
            .go
            .iter()
            .chain(sorted.later.iter().map(|(at, _)| at))
            .max();
        let looked_at = last.map_or(0, |last| last + 1).min(self.ready.len());
        let mut stay = Vec::new();
        for (place, letter) in self.ready.drain(..looked_at).enumerate() {
            if let Some(begun) = begun.get(&letter.delivery.id) {
                self.in_flight
                    .insert(letter.delivery.id, letter.delivery.thread);
                crew.send(Job {
                    letter: Arc::new(letter),
                    begun: *begun,
                });
            } else if !sorted.go.contains(&place) && sorted.later.iter().all(|(at, _)| *at != place)
            {
                stay.push(letter);
            }
        }
        for letter in stay.into_iter().rev() {
            self.ready.push_front(letter);
        }
    }

    async fn write(&mut self, claims: Vec<Delivery>) -> anyhow::Result<()> {
        self.in_writing
            .extend(claims.iter().map(|delivery| (delivery.id, delivery.thread)));
        self.writing.write(claims).await
    }

    fn in_hand(&self) -> Vec<DeliveryId> {
        let ready = self.ready.iter().map(|ready| ready.delivery.id);
        let leased = self.in_writing.keys().chain(self.in_flight.keys()).copied();
        leased.chain(ready).collect()
    }

    /// Waits until a round is worth its transaction.
    async fn collect(&mut self, stopping: &Stopping) {
        let mut told = stopping.clone();
        let halted = self.is_halted();
        while !self.is_worth_a_round() {
            let waits = !self.finished.is_empty() || self.could_begin() > 0;
            // Long before a lease runs out: time to renew those of slow letters.
            let patience = if waits {
                PATIENCE
            } else {
                Duration::from_secs(60)
            };
            let Some(crew) = &mut self.crew else { return };
            let mut hand_in = None;
            tokio::select! {
                done = crew.done() => self.finished.extend(done),
                written = self.written.recv() => hand_in = written,
                () = async { let _ = told.wait_for(|stop| *stop).await; }, if !halted => return,
                () = tokio::time::sleep(patience) => return,
            }
            if let Some(written) = hand_in {
                self.take_in(written).await;
            }
            let Some(crew) = &mut self.crew else { return };
            while let Some(done) = crew.done_already() {
                self.finished.push(done);
            }
        }
    }

    fn could_begin(&self) -> usize {
        let still = self.in_flight.len() - self.finished.len();
        self.ready.len().min(self.window().saturating_sub(still))
    }

    fn is_worth_a_round(&self) -> bool {
        let (finished, begin, round) = (self.finished.len(), self.could_begin(), self.round_size());
        let idle = self.in_flight.len() == finished;
        if self.is_halted() {
            return !self.ready.is_empty()
                || idle && self.in_writing.is_empty()
                || finished >= round;
        }
        finished >= round
            || begin >= round
            || idle && finished + begin > 0
            || idle && self.in_writing.is_empty()
    }

    /// Letters that were written, and deliveries whose letters could not be.
    async fn take_in(&mut self, written: Written) {
        for ready in written.ready {
            self.in_writing.remove(&ready.delivery.id);
            self.ready.push_back(ready);
        }
        for (delivery, error) in written.unwritable {
            tracing::error!(delivery.id = %delivery.id, "{error:#}");
            if let Err(error) = self.stop_unwritable(&delivery).await {
                // It stays leased, and the next pass after the lease tries again.
                tracing::error!(delivery.id = %delivery.id, "{error:#}");
            }
            self.in_writing.remove(&delivery.id);
        }
    }

    async fn stop_unwritable(&mut self, delivery: &Delivery) -> anyhow::Result<()> {
        let now = self.app.clock.now();
        let mut tx = self.app.store.begin().await?;
        tx.stop_delivery(
            delivery.id,
            &self.app.worker,
            "the letter cannot be written as it was queued",
            now,
        )
        .await?;
        let tasks: Vec<_> = tx
            .open_cases_of(&[delivery.thread])
            .await?
            .iter()
            .filter(|case| matches!(case.state, CaseState::Open))
            .map(|case| (case.id, TaskKind::Reach, WhyNot::Unwritable.word(), None))
            .collect();
        tx.open_tasks(&tasks, now).await?;
        tx.commit().await?;
        self.delivered.stopped += 1;
        Ok(())
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
}

fn given_back(delivery: &Delivery, begun: Option<&Begun>, due_at: Option<Moment>) -> GivenBack {
    GivenBack {
        delivery: delivery.id,
        thread: delivery.thread,
        attempt: begun.map(|begun| begun.attempt),
        due_at,
    }
}
