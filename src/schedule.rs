//! Schedule: cron lines → "this run is due".
//!
//! A line has six fields, seconds first, and names its days. It is local time in a named zone: a run that a clock
//! change leaves out happens when the gap ends, and all runs that fall into one gap are one run there; a time that
//! comes twice is run the first time only. So **sub-hourly work pauses during the repeated hour** in autumn, unless its
//! zone is UTC; give work that a machine paces the zone UTC.
//!
//! The cron crate is only asked for local times, as if they were UTC: its own handling of zones skips runs in gaps and
//! doubles those in repeated hours.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use chrono_tz::Tz;

use crate::domain::Moment;
use crate::domain::calendar::{local_at, moment_at};

/// The years that the cron crate knows.
const YEARS: std::ops::RangeInclusive<i32> = 1970..=2100;

/// When something is to run.
#[derive(Clone, Debug)]
pub struct Schedule {
    line: cron::Schedule,
    zone: Tz,
}

/// Why a text is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The five fields of Unix cron.
    #[error("five fields: seconds come first here, write \"0 {0}\"")]
    FiveFields(String),
    /// Neither five nor six.
    #[error("{0} fields: write second, minute, hour, day of month, month and day of week")]
    Fields(usize),
    /// A day of the week as a number, which some crons count from Sunday as 0 and others as 1.
    #[error(
        "write days of the week as names (SUN, MON-FRI): as numbers they mean different days in different crons"
    )]
    NumericWeekday,
    /// The cron crate refuses it.
    #[error("this is no schedule: {0}")]
    Line(String),
    /// There is no such day, like 30 February.
    #[error("this never comes")]
    Never,
}

impl Schedule {
    /// Reads a line such as `0 30 1 * * MON-FRI`. If it names both days of the month and days of the week, both must
    /// fit.
    pub fn parse(text: &str, zone: Tz) -> Result<Self, ScheduleError> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let &[.., weekdays] = &fields[..] else {
            return Err(ScheduleError::Fields(0));
        };
        match fields.len() {
            6 => {}
            5 => return Err(ScheduleError::FiveFields(fields.join(" "))),
            count => return Err(ScheduleError::Fields(count)),
        }
        if weekdays.contains(|c: char| c.is_ascii_digit()) {
            return Err(ScheduleError::NumericWeekday);
        }
        let line: cron::Schedule =
            fields
                .join(" ")
                .parse()
                .map_err(|error: cron::error::Error| {
                    ScheduleError::Line(one_line(&error.to_string()))
                })?;
        let schedule = Self { line, zone };
        if schedule.next_after(Moment::default()).is_none() {
            return Err(ScheduleError::Never);
        }
        Ok(schedule)
    }

    /// The line, with single blanks.
    pub fn text(&self) -> &str {
        self.line.source()
    }

    /// The zone whose clock it follows.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// The first run later than `after`. None beyond the year 2100.
    pub fn next_after(&self, after: Moment) -> Option<Moment> {
        // Runs that a gap or a repeated hour has merged into an earlier one are passed over.
        self.slots_after(local_at(self.zone, after))
            .map(|slot| moment_at(self.zone, slot))
            .find(|&run| run > after)
    }

    /// The latest run after `since` and not after `now`. Those before it that were missed are merged into it.
    pub fn latest_due(&self, since: Moment, now: Moment) -> Option<Moment> {
        // Halving needs only the one direction that is known to be right: `next_after` never falls.
        let is_due = |after| self.next_after(after).filter(|&run| run <= now);
        let mut latest = is_due(since)?;
        let (mut before, mut past) = (latest.micros(), now.micros());
        while before < past {
            let middle = before + (past - before) / 2;
            match is_due(Moment::from_micros(middle)) {
                Some(run) => {
                    latest = run;
                    before = run.micros();
                }
                None => past = middle,
            }
        }
        Some(latest)
    }

    /// The next `count` runs after `now`.
    pub fn upcoming(&self, now: Moment, count: usize) -> Vec<Moment> {
        std::iter::successors(self.next_after(now), |&run| self.next_after(run))
            .take(count)
            .collect()
    }

    /// The local times of the line that are later than `after`, rising.
    fn slots_after(&self, after: NaiveDateTime) -> impl Iterator<Item = NaiveDateTime> {
        let day =
            |year| NaiveDate::from_ymd_opt(year, 1, 1).map(|day| day.and_time(NaiveTime::MIN));
        let first = day(*YEARS.start()).map(|first| first - TimeDelta::seconds(1));
        let last = day(YEARS.end() + 1);
        let from = first.map_or(after, |first| after.max(first));
        last.is_some_and(|last| from < last)
            .then(|| self.line.after_owned(from.and_utc()))
            .into_iter()
            .flatten()
            .map(|slot: DateTime<chrono::Utc>| slot.naive_utc())
    }
}

/// The parser underneath draws its errors over several lines.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
