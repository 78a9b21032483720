//! Calendar: a site's zone, send window, working days and holidays, and what a local time means when clocks change.
//!
//! A local time that a clock change leaves out means the moment at which the gap ends; one that it doubles means the
//! first of the two. Windows are compared as instants, so that neither can hold a moment twice.

use std::collections::BTreeSet;

use chrono::{
    DateTime, Datelike, Days, MappedLocalTime, Months, NaiveDate, NaiveDateTime, NaiveTime, Offset,
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
        // A window may run past midnight by the clock of instants only at a clock change; yesterday costs nothing.
        let mut day = self.local(now).date().checked_sub_days(Days::new(1));
        for _ in 0..SEARCH_DAYS {
            let Some(date) = day else { break };
            if let Some((start, end)) = self.window(date)
                && now < end
            {
                return now.max(start);
            }
            day = date.succ_opt();
        }
        now.plus(TimeDelta::days(i64::from(SEARCH_DAYS)))
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
mod tests {
    use super::*;
    use chrono_tz::{America, Asia, Australia, Europe, Pacific};
    use proptest::prelude::*;

    fn local(text: &str) -> NaiveDateTime {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap()
    }

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn at(text: &str) -> Moment {
        text.parse().unwrap()
    }

    fn london() -> Calendar {
        Calendar::new(Europe::London)
    }

    /// The last Sunday of a month, on which European clocks change at 01:00 UTC.
    fn last_sunday(year: i32, month: u32) -> NaiveDate {
        (25..=31)
            .filter_map(|day| NaiveDate::from_ymd_opt(year, month, day))
            .find(|day| day.weekday() == Weekday::Sun)
            .unwrap()
    }

    #[test]
    fn every_change_of_the_clocks_in_london_has_one_meaning() {
        for year in 2016..=2040 {
            let spring = last_sunday(year, 3);
            let end: Moment = spring.and_hms_opt(1, 0, 0).unwrap().and_utc().into();
            for minute in 0..60 {
                let lost = spring.and_hms_opt(1, minute, 0).unwrap();
                assert!(is_in_gap(Europe::London, lost));
                assert_eq!(moment_at(Europe::London, lost), end, "{lost}");
            }
            let two = spring.and_hms_opt(2, 0, 0).unwrap();
            assert_eq!(moment_at(Europe::London, two), end);
            assert_eq!(local_at(Europe::London, end), two);

            let autumn = last_sunday(year, 10);
            for minute in 0..60 {
                let twice = autumn.and_hms_opt(1, minute, 0).unwrap();
                let summer = twice.and_utc() - TimeDelta::hours(1);
                assert_eq!(moment_at(Europe::London, twice), summer.into(), "{twice}");
                assert_eq!(
                    both_moments_at(Europe::London, twice),
                    Some((summer.into(), twice.and_utc().into()))
                );
            }
        }
    }

    #[test]
    fn gaps_of_all_sizes_end_where_the_clock_goes_on() {
        for (zone, lost, end) in [
            (
                America::New_York,
                "2026-03-08 02:30",
                "2026-03-08T07:00:00Z",
            ),
            // Half an hour.
            (
                Australia::Lord_Howe,
                "2026-10-04 02:10",
                "2026-10-03T15:30:00Z",
            ),
            // A whole day, when Samoa crossed the date line.
            (Pacific::Apia, "2011-12-30 12:00", "2011-12-30T10:00:00Z"),
            // At midnight.
            (America::Havana, "2026-03-08 00:30", "2026-03-08T05:00:00Z"),
        ] {
            assert_eq!(moment_at(zone, local(lost)), at(end), "{zone} {lost}");
        }
        assert!(!is_in_gap(Asia::Kolkata, local("2026-03-29 01:30")));
    }

    #[test]
    fn a_message_waits_for_the_window_of_a_working_day() {
        let calendar = london().with_holidays(BTreeSet::from([date("2026-05-25")]));
        for (now, expected) in [
            ("2026-02-10 12:00", "2026-02-10 12:00"),
            ("2026-02-10 07:00", "2026-02-10 07:00"),
            ("2026-02-10 06:59", "2026-02-10 07:00"),
            ("2026-02-10 20:00", "2026-02-11 07:00"),
            ("2026-02-13 21:00", "2026-02-16 07:00"),
            // A bank holiday after a weekend.
            ("2026-05-22 20:00", "2026-05-26 07:00"),
            // The night in which the clocks go forward.
            ("2026-03-28 23:00", "2026-03-30 07:00"),
        ] {
            let now = calendar.moment(local(now));
            assert_eq!(calendar.local(calendar.next_sendable(now)), local(expected));
        }
    }

    #[test]
    fn working_days_are_counted_from_the_day_after() {
        let calendar = london().with_holidays(BTreeSet::from([date("2026-05-25")]));
        let five = NaiveTime::from_hms_opt(17, 0, 0).unwrap();
        for (from, n, expected) in [
            ("2026-02-10 09:00", 2, "2026-02-12 17:00"),
            ("2026-02-10 23:30", 2, "2026-02-12 17:00"),
            ("2026-02-13 09:00", 1, "2026-02-16 17:00"),
            ("2026-02-14 09:00", 1, "2026-02-16 17:00"),
            ("2026-02-14 09:00", 0, "2026-02-16 17:00"),
            ("2026-02-10 18:00", 0, "2026-02-10 17:00"),
            ("2026-05-22 09:00", 1, "2026-05-26 17:00"),
            ("2026-02-10 09:00", 10, "2026-02-24 17:00"),
            // Across a change of the clocks it is still five o'clock.
            ("2026-03-27 09:00", 1, "2026-03-30 17:00"),
        ] {
            let moment = calendar.add_working_days(calendar.moment(local(from)), n, five);
            assert_eq!(calendar.local(moment), local(expected), "{from} + {n}");
        }
    }

    #[test]
    fn working_hours_are_counted_back_over_nights_and_weekends() {
        let calendar = london();
        for (deadline, hours, expected) in [
            ("2026-02-12 17:00", 4, "2026-02-12 13:00"),
            ("2026-02-12 17:00", 10, "2026-02-12 07:00"),
            ("2026-02-12 17:00", 11, "2026-02-11 19:00"),
            ("2026-02-16 09:00", 4, "2026-02-13 18:00"),
            ("2026-02-15 12:00", 4, "2026-02-13 16:00"),
            ("2026-02-12 23:00", 4, "2026-02-12 16:00"),
            ("2026-02-12 23:00", 0, "2026-02-12 23:00"),
        ] {
            let moment = calendar.working_hours_before(calendar.moment(local(deadline)), hours);
            assert_eq!(
                calendar.local(moment),
                local(expected),
                "{deadline} - {hours}"
            );
        }
    }

    #[test]
    fn the_legal_clocks_of_the_facts_page_come_out() {
        let calendar = london();
        let hours = |from: &str, hours| {
            let from = chrono::DateTime::parse_from_rfc3339(from).unwrap().to_utc();
            calendar.local(Moment::from(from).plus(TimeDelta::hours(hours)))
        };
        assert_eq!(
            hours("2017-06-24T09:00:00+01:00", 72),
            local("2017-06-27 09:00")
        );
        assert_eq!(
            hours("2025-10-24T10:00:00+01:00", 72),
            local("2025-10-27 09:00")
        );
        assert_eq!(
            hours("2026-03-27T16:30:00+00:00", 72),
            local("2026-03-30 17:30")
        );

        let month = |from| calendar.local(calendar.months_after(calendar.moment(local(from)), 1));
        assert_eq!(month("2025-01-31 12:00"), local("2025-02-28 12:00"));
        assert_eq!(month("2025-02-28 12:00"), local("2025-03-28 12:00"));

        let wall_street =
            Calendar::new(America::New_York).with_holidays(BTreeSet::from([date("2026-07-03")]));
        let due = wall_street.add_working_days(
            wall_street.moment(local("2026-07-02 15:00")),
            4,
            NaiveTime::from_hms_opt(17, 30, 0).unwrap(),
        );
        assert_eq!(wall_street.local(due), local("2026-07-09 17:30"));
    }

    #[test]
    fn a_holidays_file_is_read_and_a_bad_line_is_named() {
        let text = "\u{FEFF}# England\r\n2026-12-25 # Christmas\r\n\r\n2026-12-28\n2026-12-25\n";
        let days = parse_holidays(text).unwrap();
        assert_eq!(
            days,
            BTreeSet::from([date("2026-12-25"), date("2026-12-28")])
        );
        for bad in [
            "2026-02-30",
            "25.12.2026",
            "2026-1-5",
            "+026-01-05",
            "2026-12-25 Christmas",
        ] {
            assert_eq!(
                parse_holidays(&format!("# one\n{bad}\n")),
                Err(BadHoliday { line: 2 }),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_calendar_without_a_working_hour_is_refused() {
        let time = |hour| NaiveTime::from_hms_opt(hour, 0, 0).unwrap();
        assert_eq!(
            london().with_window(time(20), time(7)),
            Err(BadCalendar::Window)
        );
        assert_eq!(
            london().with_window(time(7), time(7)),
            Err(BadCalendar::Window)
        );
        assert_eq!(london().with_workdays([]), Err(BadCalendar::NoWorkday));
        let always = london()
            .with_window(time(0), time(0))
            .and_then(|calendar| calendar.with_workdays([Weekday::Sun]))
            .unwrap();
        assert!(always.is_sendable(always.moment(local("2026-02-15 23:59"))));
        assert!(!always.is_sendable(always.moment(local("2026-02-16 00:00"))));
    }

    #[test]
    fn the_ends_of_time_and_absurd_numbers_do_no_harm() {
        let calendar = london();
        for moment in [i64::MIN, -1, 0, i64::MAX].map(Moment::from_micros) {
            calendar.next_sendable(moment);
            calendar.working_hours_before(moment, u32::MAX);
            calendar.months_after(moment, u32::MAX);
            calendar.add_working_days(moment, u32::MAX, NaiveTime::MIN);
        }
        let every_day = date("2026-01-01").iter_days().take(5_000).collect();
        let idle = london().with_holidays(every_day);
        let now = at("2026-02-10T12:00:00Z");
        assert!(idle.next_sendable(now) > now.plus(TimeDelta::days(3_000)));
    }

    fn zones() -> impl Strategy<Value = Tz> {
        proptest::sample::select(vec![
            Europe::London,
            America::New_York,
            Asia::Kolkata,
            Australia::Lord_Howe,
            America::Havana,
            Tz::UTC,
        ])
    }

    proptest! {
        /// 2016 to 2040.
        #[test]
        fn the_next_sendable_moment_is_not_before_now_is_sendable_and_stays(
            zone in zones(), seconds in 1_451_606_400_i64..2_240_524_800,
            opens in 0_u32..20, length in 1_u32..4, sundays: bool,
        ) {
            let time = |hour| NaiveTime::from_hms_opt(hour, 0, 0).unwrap();
            let mut calendar = Calendar::new(zone).with_window(time(opens), time(opens + length)).unwrap();
            if sundays {
                calendar = calendar.with_workdays([Weekday::Sun]).unwrap();
            }
            let now = Moment::from_micros(seconds * 1_000_000);
            let next = calendar.next_sendable(now);
            prop_assert!(next >= now);
            prop_assert_eq!(calendar.next_sendable(next), next);
            let (start, end) = calendar.window(calendar.local(next).date()).unwrap();
            prop_assert!(start <= next && next < end);
            prop_assert!(next == now || next == start);
        }

        #[test]
        fn later_local_times_never_mean_earlier_instants(
            zone in zones(), minutes in 24_192_000_i64..37_342_080, more in 0_i64..200,
        ) {
            let local = |minutes: i64| DateTime::from_timestamp(minutes * 60, 0).unwrap().naive_utc();
            prop_assert!(moment_at(zone, local(minutes)) <= moment_at(zone, local(minutes + more)));
        }

        #[test]
        fn what_is_counted_back_lies_in_working_time(
            zone in zones(), seconds in 1_451_606_400_i64..2_240_524_800, hours in 1_u32..100,
        ) {
            let calendar = Calendar::new(zone);
            let at = Moment::from_micros(seconds * 1_000_000);
            let before = calendar.working_hours_before(at, hours);
            prop_assert!(before <= at.minus(TimeDelta::hours(i64::from(hours))));
            prop_assert!(calendar.is_sendable(before));
        }
    }
}
