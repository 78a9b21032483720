//! Meter: what has left, by relay, domain and wave, and so whether the next letter may follow.
//!
//! Windows of 24 hours and of one hour are kept in buckets of a minute. A bucket counts until all of it is older than the
//! window, so that no window is exceeded wherever it begins; a letter waits up to a minute longer for that. The pace a
//! minute is a token bucket, kept as the one moment at which it would be full: exact however often it is stored.

use std::collections::{BTreeMap, VecDeque};

use chrono::TimeDelta;

use super::{
    Asked, DAY_MINUTES, HOUR_MINUTES, Key, MINUTE, Rates, Sent, Verdict, Why, minute_of, moment_of,
};
use crate::domain::moment::Moment;

/// What has left, and what may follow.
#[derive(Clone, Debug)]
pub struct Meter {
    rates: Rates,
    relay: Gauge,
    domains: BTreeMap<String, Gauge>,
    wave: Gauge,
    taken: BTreeMap<(Key, i64), (i64, Moment)>,
}

impl Meter {
    /// A meter that goes on from `sent`, of which only the last 24 hours matter. What is counted in the future, by a clock
    /// that was set back since or by another machine's, counts as of now.
    pub fn new(rates: &Rates, sent: &[Sent], now: Moment) -> Self {
        let reserve = rates.relay.reserve_percent;
        let day = |per_day: Option<u32>| per_day.map(|all| Window::new(DAY_MINUTES, all, reserve));
        let mut meter = Self {
            relay: Gauge::new(
                Pace::new(rates.relay.per_minute, rates.relay.burst),
                day(rates.relay.per_day),
            ),
            domains: rates
                .domains
                .iter()
                .filter(|domain| domain.per_minute.is_some() || domain.per_day.is_some())
                .map(|domain| {
                    let burst = rates.relay.burst.min(domain.per_minute.unwrap_or(1));
                    let pace = Pace::new(domain.per_minute, burst);
                    (domain.name.clone(), Gauge::new(pace, day(domain.per_day)))
                })
                .collect(),
            wave: Gauge::new(
                None,
                rates
                    .people_per_hour
                    .map(|all| Window::new(HOUR_MINUTES, all, 0)),
            ),
            taken: BTreeMap::new(),
            rates: rates.clone(),
        };
        let mut sent: Vec<&Sent> = sent.iter().collect();
        sent.sort_by_key(|one| one.minute);
        for one in sent {
            let gauge = match &one.key {
                Key::Relay => &mut meter.relay,
                Key::Wave => &mut meter.wave,
                Key::Domain(name) => match meter.domains.get_mut(name) {
                    Some(gauge) => gauge,
                    None => continue,
                },
            };
            gauge.load(one, now);
        }
        meter
    }

    /// From which minute on [`Meter::new`] has to know what was sent.
    pub const fn since(now: Moment) -> i64 {
        minute_of(now) - DAY_MINUTES
    }

    /// What bounds it.
    pub const fn rates(&self) -> &Rates {
        &self.rates
    }

    /// Whether a letter may go now; if so it is counted, by everything that counts it. If anything has no room, nothing
    /// counts it.
    ///
    /// Compromised accounts use what is kept back of the daily windows, and wait for no wave.
    pub fn take(&mut self, now: Moment, letter: &Asked<'_>) -> Verdict {
        let verdict = self.look(now, letter);
        if verdict == Verdict::Now {
            self.count(now, letter, 1);
        }
        verdict
    }

    /// What [`Meter::take`] would say; counts nothing.
    pub fn look(&self, now: Moment, letter: &Asked<'_>) -> Verdict {
        match self.opens(now, letter) {
            (at, Some(why)) if at > now => Verdict::Later(at, why),
            _ => Verdict::Now,
        }
    }

    /// How many letters the relay would take at once now, whatever their domains and waves say; no more than `most`.
    pub fn room(&self, now: Moment, is_urgent: bool, most: usize) -> usize {
        let next = now.plus(TimeDelta::microseconds(1));
        let room = self.relay.room(now, next, is_urgent);
        usize::try_from(room).map_or(most, |room| room.min(most))
    }

    /// How many letters that are not urgent the relay's 24 hours have room for now; none if they are not limited.
    pub fn left_today(&self, now: Moment) -> Option<u64> {
        let window = self.relay.window?;
        let left = window.ordinary - self.relay.counted(now);
        Some(u64::try_from(left).unwrap_or(0))
    }

    /// Takes back a letter that was counted at `taken_at` and did not go. The pace stays as it is: the relay was asked.
    pub fn give_back(&mut self, taken_at: Moment, letter: &Asked<'_>) {
        self.count(taken_at, letter, -1);
    }

    /// What was counted since this was last asked: to be added to what is stored.
    pub fn taken(&mut self) -> Vec<Sent> {
        std::mem::take(&mut self.taken)
            .into_iter()
            .map(|((key, minute), (letters, free_at))| Sent {
                key,
                minute,
                letters,
                free_at,
            })
            .collect()
    }

    /// From when on a letter may go, and what it waits for.
    pub(super) fn opens(&self, now: Moment, letter: &Asked<'_>) -> (Moment, Option<Why>) {
        let mut opens = (now, None);
        for (part, gauge) in self.parts(letter) {
            if part == Part::Wave && letter.urgent {
                continue;
            }
            let (at, tight) = gauge.opens(now, letter.urgent);
            if at > opens.0 {
                opens = (at, Some(part.why(tight)));
            }
        }
        opens
    }

    /// How many letters like this may go from `now` on and before `until`, within one minute, and which pace the last of
    /// them waits for.
    pub(super) fn room_until(&self, now: Moment, until: Moment, letter: &Asked<'_>) -> u64 {
        self.parts(letter)
            .filter(|(part, _)| *part != Part::Wave || !letter.urgent)
            .map(|(_, gauge)| gauge.room(now, until, letter.urgent))
            .min()
            .unwrap_or(u64::MAX)
    }

    /// Counts `letters` from `now` on, each as soon as its pace allows. Gives when the last of them goes, and what paces it.
    pub(super) fn spend(
        &mut self,
        now: Moment,
        letter: &Asked<'_>,
        letters: u64,
    ) -> (Moment, Option<Why>) {
        let letters = i64::try_from(letters).unwrap_or(i64::MAX);
        let mut last = (now, None);
        for (part, gauge) in self.parts(letter) {
            if let Some(at) = gauge.last_of(now, letters)
                && at > last.0
            {
                last = (at, Some(part.why(Tight::Pace)));
            }
        }
        self.settle(now);
        self.parts_mut(letter)
            .for_each(|(_, gauge)| gauge.add(now, letters));
        last
    }

    /// Whether anything that counts this letter counts by the minute.
    pub(super) fn has_window(&self, letter: &Asked<'_>) -> bool {
        self.parts(letter).any(|(_, gauge)| gauge.window.is_some())
    }

    fn count(&mut self, now: Moment, letter: &Asked<'_>, letters: i64) {
        self.settle(now);
        let minute = minute_of(now);
        let counted: Vec<(Part, Moment)> = self
            .parts_mut(letter)
            .filter(|(_, gauge)| gauge.is_limited())
            .map(|(part, gauge)| {
                gauge.add(now, letters);
                (part, gauge.free_at)
            })
            .collect();
        for (part, free_at) in counted {
            let key = match part {
                Part::Relay => Key::Relay,
                Part::Domain => Key::Domain(letter.domain.to_owned()),
                Part::Wave => Key::Wave,
            };
            let sum = self.taken.entry((key, minute)).or_insert((0, free_at));
            sum.0 += letters;
            sum.1 = sum.1.max(free_at);
        }
    }

    /// Forgets what no window reaches any more.
    fn settle(&mut self, now: Moment) {
        self.relay.settle(now);
        self.wave.settle(now);
        for gauge in self.domains.values_mut() {
            gauge.settle(now);
        }
    }

    fn parts(&self, letter: &Asked<'_>) -> impl Iterator<Item = (Part, &Gauge)> {
        let domain = self.domains.get(letter.domain);
        let wave = letter.first_notice.then_some(&self.wave);
        [
            Some((Part::Relay, &self.relay)),
            domain.map(|gauge| (Part::Domain, gauge)),
            wave.map(|gauge| (Part::Wave, gauge)),
        ]
        .into_iter()
        .flatten()
    }

    fn parts_mut(&mut self, letter: &Asked<'_>) -> impl Iterator<Item = (Part, &mut Gauge)> {
        let domain = self.domains.get_mut(letter.domain);
        let wave = letter.first_notice.then_some(&mut self.wave);
        [
            Some((Part::Relay, &mut self.relay)),
            domain.map(|gauge| (Part::Domain, gauge)),
            wave.map(|gauge| (Part::Wave, gauge)),
        ]
        .into_iter()
        .flatten()
    }
}

/// Which of the three counts a letter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Relay,
    Domain,
    Wave,
}

/// Which of its two limits holds a gauge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Tight {
    Pace,
    Window,
}

impl Part {
    const fn why(self, tight: Tight) -> Why {
        match (self, tight) {
            (Self::Relay, Tight::Pace) => Why::PerMinute,
            (Self::Relay, Tight::Window) => Why::PerDay,
            (Self::Domain, Tight::Pace) => Why::DomainPerMinute,
            (Self::Domain, Tight::Window) => Why::DomainPerDay,
            (Self::Wave, Tight::Pace | Tight::Window) => Why::Wave,
        }
    }
}

/// An even pace, in microseconds.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// From one letter to the next.
    interval: i64,
    /// How far ahead of the even pace a burst may run.
    ahead: i64,
}

impl Pace {
    fn new(per_minute: Option<u32>, burst: u32) -> Option<Self> {
        let letters = i64::from(per_minute?.max(1));
        // Rounded up, so that a minute never holds one more.
        let interval = (MINUTE + letters - 1) / letters;
        Some(Self {
            interval,
            ahead: interval * i64::from(burst.max(1) - 1),
        })
    }
}

/// So many letters in so many minutes.
#[derive(Clone, Copy, Debug)]
struct Window {
    minutes: i64,
    all: i64,
    /// What those get that are not urgent; at least one.
    ordinary: i64,
}

impl Window {
    fn new(minutes: i64, all: u32, reserve_percent: u8) -> Self {
        let all = i64::from(all.max(1));
        let kept = all * i64::from(reserve_percent.min(100)) / 100;
        Self {
            minutes,
            all,
            ordinary: (all - kept).max(1),
        }
    }

    const fn limit(&self, is_urgent: bool) -> i64 {
        if is_urgent { self.all } else { self.ordinary }
    }
}

/// One key's count.
#[derive(Clone, Debug)]
struct Gauge {
    pace: Option<Pace>,
    window: Option<Window>,
    /// Minute and letters, ascending; what may still lie in the window.
    buckets: VecDeque<(i64, i64)>,
    /// Their letters together.
    total: i64,
    /// When the pace would have all of its burst again.
    free_at: Moment,
}

impl Gauge {
    fn new(pace: Option<Pace>, window: Option<Window>) -> Self {
        Self {
            pace,
            window,
            buckets: VecDeque::new(),
            total: 0,
            free_at: Moment::from_micros(0),
        }
    }

    const fn is_limited(&self) -> bool {
        self.pace.is_some() || self.window.is_some()
    }

    /// Takes in what was stored, in the order of its minutes.
    fn load(&mut self, sent: &Sent, now: Moment) {
        if let Some(pace) = self.pace {
            let latest = now.plus(TimeDelta::microseconds(pace.ahead + pace.interval));
            self.free_at = self.free_at.max(sent.free_at.min(latest));
        }
        self.put(sent.minute.min(minute_of(now)), sent.letters);
    }

    fn put(&mut self, minute: i64, letters: i64) {
        if self.window.is_none() {
            return;
        }
        let place = self.buckets.partition_point(|(known, _)| *known < minute);
        match self.buckets.get_mut(place) {
            Some(bucket) if bucket.0 == minute => bucket.1 = bucket.1.saturating_add(letters),
            _ => self.buckets.insert(place, (minute, letters)),
        }
        self.total = self.total.saturating_add(letters);
    }

    fn add(&mut self, now: Moment, letters: i64) {
        if let Some(pace) = self.pace.filter(|_| letters > 0) {
            let span = TimeDelta::microseconds(pace.interval.saturating_mul(letters));
            self.free_at = self.free_at.max(now).plus(span);
        }
        self.put(minute_of(now), letters);
    }

    fn settle(&mut self, now: Moment) {
        let gone = self.outside(now).count();
        self.total -= self.outside(now).map(|(_, count)| count).sum::<i64>();
        self.buckets.drain(..gone);
    }

    /// The buckets that lie before the window for certain.
    fn outside(&self, now: Moment) -> impl Iterator<Item = (i64, i64)> {
        let oldest = self
            .window
            .map_or(i64::MIN, |window| minute_of(now) - window.minutes);
        self.buckets
            .iter()
            .copied()
            .take_while(move |(minute, _)| *minute < oldest)
    }

    /// The letters that may still lie in the window.
    fn counted(&self, now: Moment) -> i64 {
        self.total - self.outside(now).map(|(_, count)| count).sum::<i64>()
    }

    /// When one more may go, and what it waits for.
    fn opens(&self, now: Moment, is_urgent: bool) -> (Moment, Tight) {
        let by_pace = self.pace.map_or(now, |pace| {
            let earliest = self.free_at.minus(TimeDelta::microseconds(pace.ahead));
            earliest.max(now)
        });
        let by_window = self.window.map_or(now, |window| {
            let limit = window.limit(is_urgent);
            let mut counted = self.counted(now);
            let mut opens = now;
            for (minute, count) in self.buckets.iter().skip(self.outside(now).count()) {
                if counted < limit {
                    break;
                }
                counted -= count;
                opens = moment_of(minute + window.minutes + 1);
            }
            opens
        });
        if by_window > by_pace {
            (by_window, Tight::Window)
        } else {
            (by_pace, Tight::Pace)
        }
    }

    /// How many may go from `now` on and before `until`; the window is taken as it is now.
    fn room(&self, now: Moment, until: Moment, is_urgent: bool) -> u64 {
        let by_pace = self.pace.map_or(i64::MAX, |pace| {
            let base = self.free_at.max(now);
            let span = until.micros() - base.micros() + pace.ahead;
            (span + pace.interval - 1).div_euclid(pace.interval).max(0)
        });
        let by_window = self.window.map_or(i64::MAX, |window| {
            (window.limit(is_urgent) - self.counted(now)).max(0)
        });
        match by_pace.min(by_window) {
            i64::MAX => u64::MAX,
            room => room.unsigned_abs(),
        }
    }

    /// When the last of so many goes that begin now; none if nothing paces them.
    fn last_of(&self, now: Moment, letters: i64) -> Option<Moment> {
        let pace = self.pace?;
        let span = pace.interval.saturating_mul(letters - 1) - pace.ahead;
        Some(
            self.free_at
                .max(now)
                .plus(TimeDelta::microseconds(span))
                .max(now),
        )
    }
}

#[cfg(test)]
mod tests;
