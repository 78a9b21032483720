//! Forecast: plays letters through the limits and the send windows before they go, and says when the last is gone.
//!
//! It goes by the same [`Meter`] that will say of each letter whether it may go, minute by minute where a window is
//! counted by the minute, and otherwise from one opening to the next close. What the relay defers or refuses is not
//! foreseen.

use std::collections::BTreeMap;

use chrono::{NaiveDate, TimeDelta};
use chrono_tz::Tz;
use serde::Serialize;

use super::{Asked, MINUTE, Meter, Why, is_urgent, minute_of, moment_of};
use crate::domain::calendar::Calendar;
use crate::domain::finding::Category;
use crate::domain::moment::Moment;
use crate::domain::notice::NoticeKind;

/// How far it looks ahead.
const HORIZON: TimeDelta = TimeDelta::days(3_660);

/// Letters that are alike.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// What they say.
    pub kind: NoticeKind,
    /// About what.
    pub category: Category,
    /// Their readers' zone.
    pub zone: Tz,
    /// Their readers' domain in lower-case ASCII; empty if it has no limits of its own.
    pub domain: String,
    /// Not before this moment.
    pub due_at: Moment,
    /// How many.
    pub letters: u64,
    /// Whether they are asked about; others only take their place among them.
    pub is_asked: bool,
}

/// What is to be foreseen.
#[derive(Clone, Debug)]
pub struct Forecast<'a> {
    /// The letters, those that go first first.
    pub batches: &'a [Batch],
    /// The limits, and what they have let through already.
    pub meter: &'a Meter,
    /// The site's working time; each batch has it in its readers' zone.
    pub calendar: &'a Calendar,
}

/// What of a forecast concerns one kind of letter.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Share {
    /// Which.
    pub kind: NoticeKind,
    /// How many.
    pub letters: u64,
    /// When the last of them is gone; none if that is not within ten years.
    pub last_at: Option<Moment>,
}

/// When it will be done.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Expected {
    /// All letters.
    pub letters: u64,
    /// When the first goes.
    pub begins: Option<Moment>,
    /// When the last is gone; none if there is none, or not within ten years.
    pub ends: Option<Moment>,
    /// How many go on each of the site's days.
    pub per_day: Vec<(NaiveDate, u64)>,
    /// What makes it take as long as it does; none if nothing does.
    pub bound_by: Option<Why>,
    /// Kind by kind, in the order in which they go.
    pub shares: Vec<Share>,
}

/// Plays the letters through.
pub fn forecast(asked: &Forecast<'_>, now: Moment) -> Expected {
    let mut play = Play::new(asked, now);
    let until = now.plus(HORIZON);
    while play.lines.iter().any(|line| line.batch.is_asked) && play.now < until {
        play.round();
    }
    play.expected()
}

/// A batch that is not gone yet.
struct Line<'a> {
    batch: &'a Batch,
    letter: Asked<'a>,
    calendar: Option<Calendar>,
    left: u64,
    /// When it may go next as far as night and due time are concerned, and until when.
    opens: Moment,
    closes: Moment,
}

impl Line<'_> {
    fn new<'a>(batch: &'a Batch, site: &Calendar, now: Moment) -> Line<'a> {
        let urgent = is_urgent(batch.kind, batch.category);
        let mut line = Line {
            batch,
            letter: Asked {
                domain: &batch.domain,
                urgent,
                first_notice: batch.kind.is_first(),
            },
            calendar: (!urgent).then(|| site.in_zone(batch.zone)),
            left: batch.letters,
            opens: now,
            closes: Moment::from_micros(i64::MAX),
        };
        line.open(now.max(batch.due_at));
        line
    }

    /// Finds the window for letters that might go at `at`.
    fn open(&mut self, at: Moment) {
        let Some(calendar) = &self.calendar else {
            self.opens = at;
            return;
        };
        let far = Moment::from_micros(i64::MAX);
        let (start, end) = calendar.send_window(at).unwrap_or((far, far));
        (self.opens, self.closes) = (start.max(at), end);
    }
}

struct Play<'a> {
    meter: Meter,
    site: &'a Calendar,
    lines: Vec<Line<'a>>,
    now: Moment,
    /// The site's day, and where the next begins.
    today: (NaiveDate, Moment),
    per_day: BTreeMap<NaiveDate, u64>,
    shares: Vec<Share>,
    begins: Option<Moment>,
    ends: Option<Moment>,
    /// How long each limit has held us.
    cost: BTreeMap<Why, TimeDelta>,
}

impl<'a> Play<'a> {
    fn new(asked: &Forecast<'a>, now: Moment) -> Self {
        let mut shares: Vec<Share> = Vec::new();
        for batch in asked
            .batches
            .iter()
            .filter(|batch| batch.is_asked && batch.letters > 0)
        {
            match shares.iter_mut().find(|share| share.kind == batch.kind) {
                Some(share) => share.letters += batch.letters,
                None => shares.push(Share {
                    kind: batch.kind,
                    letters: batch.letters,
                    last_at: None,
                }),
            }
        }
        Self {
            meter: asked.meter.clone(),
            site: asked.calendar,
            lines: asked
                .batches
                .iter()
                .filter(|batch| batch.letters > 0)
                .map(|batch| Line::new(batch, asked.calendar, now))
                .collect(),
            now,
            today: day_of(asked.calendar, now),
            per_day: BTreeMap::new(),
            shares,
            begins: None,
            ends: None,
            cost: BTreeMap::new(),
        }
    }

    /// Lets go what may go from now on until something changes, then moves on to when something may go again.
    fn round(&mut self) {
        let until = self.until();
        for nth in 0..self.lines.len() {
            self.let_go(nth, until);
        }
        self.lines.retain(|line| line.left > 0);
        let mut next: Option<(Moment, Why)> = None;
        for line in &mut self.lines {
            let (mut at, mut why) = if line.opens > self.now {
                (line.opens, Why::SendWindow)
            } else {
                let (at, why) = self.meter.opens(self.now, &line.letter);
                (at.max(until), why.unwrap_or(Why::SendWindow))
            };
            if at >= line.closes {
                line.open(at);
                if line.opens > at {
                    (at, why) = (line.opens, Why::SendWindow);
                }
            }
            if next.is_none_or(|(known, _)| at < known) {
                next = Some((at, why));
            }
        }
        if let Some((at, why)) = next {
            self.pay(why, at);
            self.now = at;
        }
    }

    /// Until when nothing changes: a minute's bucket, a window, a day.
    fn until(&mut self) -> Moment {
        if self.now >= self.today.1 {
            self.today = day_of(self.site, self.now);
        }
        let mut until = self.today.1;
        for line in &self.lines {
            let edge = if line.opens > self.now {
                line.opens
            } else {
                line.closes
            };
            until = until.min(edge);
            if line.opens <= self.now && self.meter.has_window(&line.letter) {
                until = until.min(moment_of(minute_of(self.now) + 1));
            }
        }
        until
    }

    fn let_go(&mut self, nth: usize, until: Moment) {
        let Some(line) = self
            .lines
            .get_mut(nth)
            .filter(|line| line.opens <= self.now)
        else {
            return;
        };
        let until = until.min(line.closes);
        let letters = self
            .meter
            .room_until(self.now, until, &line.letter)
            .min(line.left);
        if letters == 0 {
            return;
        }
        let (first, _) = self.meter.opens(self.now, &line.letter);
        let (last, why) = self.meter.spend(self.now, &line.letter, letters);
        line.left -= letters;
        if !line.batch.is_asked {
            return;
        }
        let (kind, is_done) = (line.batch.kind, line.left == 0);
        *self.per_day.entry(self.today.0).or_default() += letters;
        self.begins = Some(self.begins.map_or(first, |known| known.min(first)));
        self.ends = self.ends.max(Some(last));
        if let Some(share) = self
            .shares
            .iter_mut()
            .find(|share| share.kind == kind && is_done)
        {
            share.last_at = share.last_at.max(Some(last));
        }
        if let Some(why) = why.filter(|_| is_done) {
            self.pay(why, last);
        }
    }

    fn pay(&mut self, why: Why, until: Moment) {
        // Before the first letter nothing takes long: it has not begun.
        if self.begins.is_some() {
            let cost = self.cost.entry(why).or_default();
            *cost = cost
                .checked_add(&until.since(self.now))
                .unwrap_or(TimeDelta::MAX);
        }
    }

    fn expected(mut self) -> Expected {
        // What is not gone has no end, and neither has its kind.
        self.lines.retain(|line| line.batch.is_asked);
        for line in &self.lines {
            for share in &mut self.shares {
                if share.kind == line.batch.kind {
                    share.last_at = None;
                }
            }
        }
        let is_done = self.lines.is_empty();
        // Nights are long, but it is because of a limit that letters are left for the next day.
        let night = self.cost.remove_entry(&Why::SendWindow);
        let dearest = self.cost.into_iter().max_by_key(|(_, cost)| *cost);
        Expected {
            letters: self.shares.iter().map(|share| share.letters).sum(),
            begins: self.begins,
            ends: self.ends.filter(|_| is_done),
            per_day: self.per_day.into_iter().collect(),
            bound_by: dearest
                .or(night)
                .filter(|(_, cost)| *cost > TimeDelta::zero())
                .map(|(why, _)| why),
            shares: self.shares,
        }
    }
}

/// The site's day at an instant, and where the next begins; never more than a day ahead, and never behind.
fn day_of(site: &Calendar, at: Moment) -> (NaiveDate, Moment) {
    let date = site.local(at).date();
    let next = date.succ_opt().map_or(at, |next| {
        site.moment(next.and_time(chrono::NaiveTime::MIN))
    });
    (date, next.max(at.plus(TimeDelta::microseconds(MINUTE))))
}

#[cfg(test)]
mod tests;
