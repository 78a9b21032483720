//! The gate: which of the letters that are ready may go now, and when the others may. Night and week-end, what the relay
//! and a recipient's domain take, and how many people the help desk bears in an hour; all of it decided in the domain.

use std::collections::{BTreeMap, HashMap};

use super::writing::Ready;
use crate::app::App;
use crate::domain::rate::{Asked, Meter, Rates, Verdict, Why, is_urgent, release};
use crate::domain::{DeliveryId, Moment};
use crate::store::{Begun, Delivery, Tx};

/// How far ahead a letter's place is looked for, in steps: from one limit to the next that holds it.
const STEPS: usize = 16;

/// What became of the letters that were looked at, by their places among those that are ready.
#[derive(Default)]
pub(super) struct Sorted {
    /// They may go.
    pub(super) go: Vec<usize>,
    /// They may not go before this moment.
    pub(super) later: Vec<(usize, Moment)>,
}

/// What keeps letters back in this pass.
#[derive(Default)]
pub(super) struct Gate {
    /// What has left, as of this round; none if nothing is limited.
    meter: Option<Meter>,
    /// The same with all that was given a place later on, so that no two get the same.
    ahead: Option<Meter>,
    /// In flight, by domain; only those with a limit of connections.
    in_flight: HashMap<String, usize>,
    /// Letters that wait, by reason, and when the first of them goes.
    pub(super) waiting: BTreeMap<Why, (u64, Moment)>,
}

impl Gate {
    /// Looks at the letters in their order until `room` of them may go.
    pub(super) async fn sort<'a>(
        &mut self,
        app: &App,
        tx: &mut Tx,
        ready: impl Iterator<Item = &'a Ready>,
        room: usize,
        now: Moment,
    ) -> anyhow::Result<Sorted> {
        let rates = app.config.rates();
        self.load(tx, &rates, now).await?;
        let mut sorted = Sorted::default();
        let mut hours: HashMap<(&str, bool), Verdict> = HashMap::new();
        for (place, letter) in ready.enumerate() {
            if sorted.go.len() >= room {
                break;
            }
            let delivery = &letter.delivery;
            let urgent = is_urgent(delivery.kind, delivery.category);
            let hour = *hours.entry((&delivery.zone, urgent)).or_insert_with(|| {
                let calendar = app.calendar_in(Some(&delivery.zone));
                release(delivery.kind, delivery.category, &calendar, now)
            });
            if let Verdict::Later(at, why) = hour {
                sorted.later.push((place, self.wait(why, at)));
                continue;
            }
            if self.meter.is_none() {
                sorted.go.push(place);
                continue;
            }
            match self.pass(app, &rates, delivery, now) {
                Some(Verdict::Now) => sorted.go.push(place),
                Some(Verdict::Later(at, why)) => sorted.later.push((place, self.wait(why, at))),
                // All connections that its domain bears are busy: it stays where it is.
                None => {}
            }
        }
        Ok(sorted)
    }

    async fn load(&mut self, tx: &mut Tx, rates: &Rates, now: Moment) -> anyhow::Result<()> {
        if !rates.is_limited() && rates.domains.is_empty() {
            return Ok(());
        }
        tx.lock_rates().await?;
        let sent = tx.sent_since(Meter::since(now)).await?;
        let meter = Meter::new(rates, &sent, now);
        if self.ahead.is_none() {
            self.ahead = Some(meter.clone());
        }
        self.meter = Some(meter);
        Ok(())
    }

    fn wait(&mut self, why: Why, at: Moment) -> Moment {
        let waiting = self.waiting.entry(why).or_insert((0, at));
        *waiting = (waiting.0 + 1, waiting.1.min(at));
        at
    }

    /// None if its domain has no connection left.
    fn pass(
        &mut self,
        app: &App,
        rates: &Rates,
        delivery: &Delivery,
        now: Moment,
    ) -> Option<Verdict> {
        let domain = delivery.recipient.domain_ascii();
        let cap = rates.domain(&domain).and_then(|known| known.connections);
        let busy = self.in_flight.get(&domain).copied().unwrap_or(0);
        if cap.is_some_and(|cap| busy >= usize::from(cap)) {
            return None;
        }
        let asked = asked(delivery, &domain);
        let meter = self.meter.as_mut()?;
        match meter.take(now, &asked) {
            Verdict::Now => {
                if cap.is_some() {
                    *self.in_flight.entry(domain).or_default() += 1;
                }
                Some(Verdict::Now)
            }
            Verdict::Later(at, why) => Some(Verdict::Later(
                self.place(app, delivery, &asked, at, now),
                why,
            )),
        }
    }

    /// When a letter's turn comes, after all that were given theirs: else they would all come back at once.
    fn place(
        &mut self,
        app: &App,
        delivery: &Delivery,
        asked: &Asked<'_>,
        from: Moment,
        now: Moment,
    ) -> Moment {
        let Some(ahead) = &mut self.ahead else {
            return from;
        };
        let calendar = app.calendar_in(Some(&delivery.zone));
        let mut at = from.max(now);
        for _ in 0..STEPS {
            at = release(delivery.kind, delivery.category, &calendar, at).at(at);
            match ahead.take(at, asked) {
                Verdict::Now => break,
                Verdict::Later(later, _) => at = later.max(at),
            }
        }
        at
    }

    /// When the next of the letters that were put off goes.
    pub(super) fn next_at(&self) -> Option<Moment> {
        self.waiting.values().map(|(_, at)| *at).min()
    }

    /// A new look: what was put off may be due.
    pub(super) fn start_over(&mut self) {
        self.waiting.clear();
        self.ahead = None;
    }

    /// Takes back what was counted for letters that were not begun after all, and writes down the rest.
    pub(super) async fn settle(
        &mut self,
        tx: &mut Tx,
        chosen: &[&Ready],
        begun: &HashMap<DeliveryId, Begun>,
        now: Moment,
    ) -> anyhow::Result<()> {
        let Some(meter) = &mut self.meter else {
            return Ok(());
        };
        for letter in chosen {
            if !begun.contains_key(&letter.delivery.id) {
                let domain = letter.delivery.recipient.domain_ascii();
                meter.give_back(now, &asked(&letter.delivery, &domain));
                if let Some(count) = self.in_flight.get_mut(&domain) {
                    *count = count.saturating_sub(1);
                }
            }
        }
        tx.count_sent(&meter.taken()).await?;
        Ok(())
    }

    /// A letter came back: its domain bears another.
    pub(super) fn back(&mut self, delivery: &Delivery) {
        if self.in_flight.is_empty() {
            return;
        }
        if let Some(count) = self.in_flight.get_mut(&delivery.recipient.domain_ascii()) {
            *count = count.saturating_sub(1);
        }
    }
}

fn asked<'a>(delivery: &Delivery, domain: &'a str) -> Asked<'a> {
    Asked {
        domain,
        urgent: is_urgent(delivery.kind, delivery.category),
        first_notice: delivery.kind.is_first(),
    }
}
