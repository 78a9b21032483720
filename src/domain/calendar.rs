//! Calendar: a site's zone, send window, working days and holidays, and what a local time means when clocks change.
//!
//! A local time that a clock change leaves out means the moment at which the gap ends; one that it doubles means the
//! first of the two. Windows are compared as instants, so that neither can hold a moment twice.

use std::collections::BTreeSet;

use chrono::{
    DateTime, Datelike, MappedLocalTime, Months, NaiveDate, NaiveDateTime, NaiveTime, Offset,
    TimeDelta, TimeZone, Weekday,
};
use chrono_tz::Tz;

use super::moment::Moment;

/// How many days a search looks at before it gives up: more than any run of holidays, and a bound on the work that a
/// strange calendar or a strange number can cause.
const SEARCH_DAYS: u32 = 3_660;

/// The local time in `zone` at an instant. Instants outside the years 1 to 9999 are taken as the nearest bound.
pub fn local_at(zone: Tz, at: Moment) -> NaiveDateTime {
    let bound = |year: i32| {
        NaiveDate::from_ymd_opt(year, 6, 30).map_or(0, |day| {
            day.and_time(NaiveTime::MIN).and_utc().timestamp_micros()
        })
    };
    let at = Moment::from_micros(at.micros().clamp(bound(1), bound(9999)));
    at.utc().with_timezone(&zone).naive_local()
}

/// The instant that a local time in `zone` means: the end of the gap if a clock change leaves it out, the first of two
/// if a clock change doubles it.
pub fn moment_at(zone: Tz, local: NaiveDateTime) -> Moment {
    match zone.from_local_datetime(&local) {
        MappedLocalTime::Single(at) => at.to_utc().into(),
        MappedLocalTime::Ambiguous(one, other) => {
            Moment::from(one.to_utc()).min(other.to_utc().into())
        }
        MappedLocalTime::None => end_of_gap(zone, local),
    }
}

/// Whether a clock change leaves this local time out.
pub fn is_in_gap(zone: Tz, local: NaiveDateTime) -> bool {
    matches!(zone.from_local_datetime(&local), MappedLocalTime::None)
}

/// Both instants of a local time that a clock change doubles, the earlier first.
pub fn both_moments_at(zone: Tz, local: NaiveDateTime) -> Option<(Moment, Moment)> {
    match zone.from_local_datetime(&local) {
        MappedLocalTime::Ambiguous(one, other) => {
            let (one, other) = (Moment::from(one.to_utc()), Moment::from(other.to_utc()));
            Some((one.min(other), one.max(other)))
        }
        MappedLocalTime::Single(_) | MappedLocalTime::None => None,
    }
}

/// Zones lie less than a day from UTC, so the change lies less than two days from the local time read as if it were
/// UTC. Local time is before `local` at one end and after it at the other; where it jumps over `local` is the gap.
fn end_of_gap(zone: Tz, local: NaiveDateTime) -> Moment {
    let is_past = |seconds: i64| {
        DateTime::from_timestamp(seconds, 0).is_none_or(|at| {
            let offset = zone.offset_from_utc_datetime(&at.naive_utc()).fix();
            at.naive_utc()
                .checked_add_offset(offset)
                .is_none_or(|there| there >= local)
        })
    };
    let around = local.and_utc().timestamp();
    let (mut before, mut past) = (around - 2 * 86_400, around + 2 * 86_400);
    while past - before > 1 {
        let middle = before + (past - before) / 2;
        if is_past(middle) {
            past = middle;
        } else {
            before = middle;
        }
    }
    Moment::from_micros(past.saturating_mul(1_000_000))
}

/// When a site works, and when its people may be written to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Calendar {
    zone: Tz,
    opens: NaiveTime,
    closes: NaiveTime,
    workdays: [bool; 7],
    holidays: BTreeSet<NaiveDate>,
}

/// A calendar on which nothing could ever be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCalendar {
    /// The window closes before it opens.
    #[error("the send window closes before it opens")]
    Window,
    /// There is no working day in the week.
    #[error("no day of the week is a working day")]
    NoWorkday,
}

impl Calendar {
    /// Monday to Friday, 07:00 to 20:00, no holidays.
    pub fn new(zone: Tz) -> Self {
        Self {
            zone,
            opens: NaiveTime::MIN + TimeDelta::hours(7),
            closes: NaiveTime::MIN + TimeDelta::hours(20),
            workdays: [true, true, true, true, true, false, false],
            holidays: BTreeSet::new(),
        }
    }

    /// With another send window, local time. Closing at midnight means the end of the day.
    pub fn with_window(self, opens: NaiveTime, closes: NaiveTime) -> Result<Self, BadCalendar> {
        if closes <= opens && closes != NaiveTime::MIN {
            return Err(BadCalendar::Window);
        }
        Ok(Self {
            opens,
            closes,
            ..self
        })
    }

    /// With other working days.
    pub fn with_workdays(
        self,
        days: impl IntoIterator<Item = Weekday>,
    ) -> Result<Self, BadCalendar> {
        let mut workdays = [false; 7];
        for day in days {
            if let Some(slot) = workdays.get_mut(day.num_days_from_monday() as usize) {
                *slot = true;
            }
        }
        if !workdays.contains(&true) {
            return Err(BadCalendar::NoWorkday);
        }
        Ok(Self { workdays, ..self })
    }

    /// With these holidays, in place of any it had.
    pub fn with_holidays(self, holidays: BTreeSet<NaiveDate>) -> Self {
        Self { holidays, ..self }
    }

    /// The same working days and window in another zone: a person's own place of work.
    pub fn in_zone(&self, zone: Tz) -> Self {
        Self {
            zone,
            ..self.clone()
        }
    }

    /// Its zone.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// The local time here at an instant.
    pub fn local(&self, at: Moment) -> NaiveDateTime {
        local_at(self.zone, at)
    }

    /// The instant that a local time here means, see [`moment_at`].
    pub fn moment(&self, local: NaiveDateTime) -> Moment {
        moment_at(self.zone, local)
    }

    /// Whether people work on this day.
    pub fn is_working_day(&self, date: NaiveDate) -> bool {
        let day = date.weekday().num_days_from_monday() as usize;
        self.workdays.get(day).copied().unwrap_or(false) && !self.holidays.contains(&date)
    }

    /// Whether a message may be sent at this instant.
    pub fn is_sendable(&self, at: Moment) -> bool {
        self.next_sendable(at) == at
    }

    /// `now` if it lies in the send window of a working day, else the next opening. If there is none within ten years
    /// the answer lies beyond them: a strange calendar keeps silent rather than sends at night.
    pub fn next_sendable(&self, now: Moment) -> Moment {
        self.send_window(now).map_or_else(
            || now.plus(TimeDelta::days(i64::from(SEARCH_DAYS))),
            |(start, _)| now.max(start),
        )
    }

    /// The send window that `now` lies in, else the next one: its opening, and its end, at which nothing is sent any more.
    /// None if there is none within ten years.
    pub fn send_window(&self, now: Moment) -> Option<(Moment, Moment)> {
        let mut day = Some(self.local(now).date());
        for _ in 0..SEARCH_DAYS {
            let date = day?;
            if let Some((start, end)) = self.window(date)
                && now < end
            {
                return Some((start, end));
            }
            day = date.succ_opt();
        }
        None
    }

    /// `at` local time on the `n`-th working day after the local day of `from`. `n` of zero is that day itself, or the
    /// first working day after it. No more than ten years ahead.
    pub fn add_working_days(&self, from: Moment, n: u32, at: NaiveTime) -> Moment {
        let mut date = self.local(from).date();
        let mut left = n;
        for _ in 0..SEARCH_DAYS {
            if left == 0 && self.is_working_day(date) {
                break;
            }
            let Some(next) = date.succ_opt() else { break };
            date = next;
            if left > 0 && self.is_working_day(date) {
                left -= 1;
            }
        }
        self.moment(date.and_time(at))
    }

    /// The instant from which `span` of working time (the send window of working days) is left until `at`.
    /// A `span` of nothing, or less, is `at` itself.
    pub fn working_time_before(&self, at: Moment, span: TimeDelta) -> Moment {
        let mut left = span;
        let mut day = self.local(at).date().succ_opt();
        for _ in 0..SEARCH_DAYS {
            if left <= TimeDelta::zero() {
                return at;
            }
            let Some(date) = day else { break };
            if let Some((start, end)) = self.window(date) {
                let end = end.min(at);
                let here = end.since(start);
                if here >= left {
                    return end.minus(left);
                }
                left -= here.max(TimeDelta::zero());
            }
            day = date.pred_opt();
        }
        at.minus(TimeDelta::days(i64::from(SEARCH_DAYS)))
    }

    /// [`Self::working_time_before`] for whole hours.
    pub fn working_hours_before(&self, at: Moment, hours: u32) -> Moment {
        self.working_time_before(at, TimeDelta::hours(i64::from(hours)))
    }

    /// The same local time on the same day of the month, `months` later; the month's last day if it is too short.
    pub fn months_after(&self, at: Moment, months: u32) -> Moment {
        let local = self.local(at);
        local
            .checked_add_months(Months::new(months.min(1_200)))
            .map_or(at, |later| self.moment(later))
    }

    /// The send window of a day as instants, if it is a working day and the window is not swallowed by a gap.
    fn window(&self, date: NaiveDate) -> Option<(Moment, Moment)> {
        if !self.is_working_day(date) {
            return None;
        }
        let last = if self.closes == NaiveTime::MIN {
            date.succ_opt()?
        } else {
            date
        };
        let start = self.moment(date.and_time(self.opens));
        let end = self.moment(last.and_time(self.closes));
        (start < end).then_some((start, end))
    }
}

/// A line of a holidays file that is no date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: this is no date as 2026-12-25 is one")]
pub struct BadHoliday {
    /// The line, from 1.
    pub line: usize,
}

/// Reads a holidays file: one ISO date a line, `#` starts a comment.
pub fn parse_holidays(text: &str) -> Result<BTreeSet<NaiveDate>, BadHoliday> {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let mut holidays = BTreeSet::new();
    for (nth, line) in text.lines().enumerate() {
        let date = line.split('#').next().unwrap_or_default().trim();
        if date.is_empty() {
            continue;
        }
        // chrono alone would take signs, blanks and years of any length.
        let exact = date.len() == 10 && date.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let parsed = NaiveDate::parse_from_str(date, "%Y-%m-%d").ok();
        match parsed.filter(|_| exact) {
            Some(date) => holidays.insert(date),
            None => return Err(BadHoliday { line: nth + 1 }),
        };
    }
    Ok(holidays)
}

#[cfg(test)]
mod tests;
