//! Stamps: the times that directories and operating systems write as numbers or in forms of their own.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use chrono_tz::Tz;

use super::when;
use crate::domain::Moment;
use crate::domain::evidence::{Change, DateOrder};
use crate::domain::finding::Precision;

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;
/// Seconds from 1601 to 1970.
const WINDOWS_EPOCH: i64 = 11_644_473_600;
/// Before 1601 and after 2199 no password was changed.
const YEARS: std::ops::Range<i32> = 1601..2200;

fn in_our_years(at: Moment) -> Option<Moment> {
    use chrono::Datelike as _;
    YEARS.contains(&at.utc().year()).then_some(at)
}

/// A FILETIME: 100 ns since 1601-01-01 UTC. Zero and the largest number are no times.
pub(super) fn filetime(ticks: i64) -> Option<Change> {
    if ticks <= 0 || ticks == i64::MAX {
        return None;
    }
    let micros = (ticks / 10).checked_sub(WINDOWS_EPOCH.checked_mul(1_000_000)?)?;
    let at = in_our_years(Moment::from_micros(micros))?;
    Some(Change::at(at, Precision::Second))
}

/// Milliseconds since 1970.
pub(super) fn milliseconds(millis: i64) -> Option<Change> {
    let at = in_our_years(Moment::from_micros(millis.checked_mul(1_000)?))?;
    (millis > 0).then(|| Change::at(at, Precision::Second))
}

/// A day that is counted since 1970, in UTC.
pub(super) fn unix_day(day: i64) -> Option<Change> {
    let lo = in_our_years(Moment::from_micros(day.checked_mul(DAY)?))?;
    (day > 0).then_some(Change {
        lo,
        hi: Moment::from_micros(lo.micros().checked_add(DAY - 1)?),
        precision: Precision::Day,
    })
}

/// LDAP's GeneralizedTime: `20260216090000Z`, without seconds or minutes, with a fraction, or with an offset; and RFC 3339,
/// which lldap wrote in its place.
pub(super) fn generalized(text: &str) -> Option<Change> {
    let text = text.trim();
    if text.contains('-') && text.get(4..5) == Some("-") {
        return when::parse(text, Tz::UTC, None);
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (clock, rest) = text.split_at_checked(digits)?;
    let (fraction, zone) = match rest.strip_prefix(['.', ',']) {
        Some(rest) => {
            let end = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (fraction, zone) = rest.split_at_checked(end)?;
            (
                Some(fraction).filter(|digits| !digits.is_empty() && digits.len() <= 9)?,
                zone,
            )
        }
        None => ("0", rest),
    };
    // A fraction of a minute or an hour is legal, and nobody writes it.
    if fraction != "0" && clock.len() != 14 {
        return None;
    }
    let two = |at: usize| clock.get(at..at + 2)?.parse::<u32>().ok();
    let date = NaiveDate::from_ymd_opt(clock.get(..4)?.parse().ok()?, two(4)?, two(6)?)?;
    let (minute, second, unit) = match clock.len() {
        14 => (two(10)?, two(12)?, 0),
        12 => (two(10)?, 0, Precision::Minute.span_micros()),
        10 => (0, 0, 3_599_999_999),
        _ => return None,
    };
    let micros = fraction.parse::<u64>().ok()? * 1_000_000
        / 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let time = NaiveTime::from_hms_micro_opt(two(8)?, minute, second, u32::try_from(micros).ok()?)?;
    let local = date.and_time(time);
    let at = in_our_years(Moment::from(
        local.checked_sub_signed(offset(zone)?)?.and_utc(),
    ))?;
    Some(Change {
        lo: at,
        hi: Moment::from_micros(at.micros().checked_add(unit)?),
        precision: if unit == 0 {
            Precision::Second
        } else {
            Precision::Minute
        },
    })
}

/// `Z`, `+0100` or `-05`. A time without a zone could be anybody's.
fn offset(text: &str) -> Option<TimeDelta> {
    if text == "Z" {
        return Some(TimeDelta::zero());
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits = text.strip_prefix(['+', '-'])?;
    if !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let hours: i64 = digits.get(..2)?.parse().ok()?;
    let minutes: i64 = digits
        .get(2..4)
        .map_or(Some(0), |minutes| minutes.parse().ok())?;
    (hours < 24 && minutes < 60).then(|| TimeDelta::minutes(sign * (hours * 60 + minutes)))
}

/// A time in the words of somebody's Windows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Local {
    /// Exactly this.
    At(NaiveDateTime),
    /// One of two, by the order of day and month.
    Either {
        /// If the day comes first.
        day_first: NaiveDateTime,
        /// If the month does.
        month_first: NaiveDateTime,
    },
}

impl Local {
    /// `16/02/2026 09:00:00`, `2/16/2026 9:00:00 AM`, `16.02.2026 09:00`, `2026-02-16 09:00:00`, or a date alone.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, "00:00:00"));
        let time = clock(time.trim())?;
        let mark = date
            .find(['/', '.', '-'])
            .and_then(|at| date.get(at..=at))?;
        let mut parts = date.split(mark);
        let (one, two, three) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let number = |text: &str, longest: usize| -> Option<u32> {
            let fits =
                (1..=longest).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
            fits.then(|| text.parse().ok()).flatten()
        };
        let day = |year: &str, month: u32, day: u32| {
            let year = i32::try_from(number(year, 4).filter(|_| year.len() == 4)?).ok()?;
            let date = NaiveDate::from_ymd_opt(
                Some(year).filter(|year| YEARS.contains(year))?,
                month,
                day,
            )?;
            Some(date.and_time(time))
        };
        if one.len() == 4 {
            return day(one, number(two, 2)?, number(three, 2)?).map(Self::At);
        }
        let (one, two) = (number(one, 2)?, number(two, 2)?);
        // With points the day always comes first.
        match (
            day(three, two, one),
            day(three, one, two).filter(|_| mark != "."),
        ) {
            (Some(day_first), Some(month_first)) if day_first != month_first => {
                Some(Self::Either {
                    day_first,
                    month_first,
                })
            }
            (Some(at), _) | (None, Some(at)) => Some(Self::At(at)),
            (None, None) => None,
        }
    }

    /// Which order this shows its file to have, if it shows one.
    pub(super) fn order(self, text: &str) -> Option<DateOrder> {
        let Self::At(_) = self else { return None };
        let mut parts = text.trim().split('/');
        let (one, two): (u32, u32) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        match (one > 12, two > 12) {
            (true, false) => Some(DateOrder::DayFirst),
            (false, true) => Some(DateOrder::MonthFirst),
            _ => None,
        }
    }

    /// The change at this time in `zone`, which is what its writer's clock showed.
    pub(super) fn change(self, order: Option<DateOrder>, zone: Tz) -> Option<Change> {
        let local = match (self, order) {
            (Self::At(at), _) => at,
            (Self::Either { day_first, .. }, Some(DateOrder::DayFirst)) => day_first,
            (Self::Either { month_first, .. }, Some(DateOrder::MonthFirst)) => month_first,
            (Self::Either { .. }, None) => return None,
        };
        when::parse(&local.format("%Y-%m-%d %H:%M:%S").to_string(), zone, None)
    }
}

/// `09:00:00`, `9:00`, `9:00:00 AM`.
fn clock(text: &str) -> Option<NaiveTime> {
    let (time, half) = match text.split_once([' ', '\u{202f}', '\u{a0}']) {
        Some((time, half)) => (time, Some(half.trim().to_ascii_uppercase())),
        None => (text, None),
    };
    let mut parts = time.split(':').map(|part| part.parse::<u32>().ok());
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    let hour = match half.as_deref() {
        None => hour,
        Some("AM") if (1..=12).contains(&hour) => hour % 12,
        Some("PM") if (1..=12).contains(&hour) => hour % 12 + 12,
        Some(_) => return None,
    };
    NaiveTime::from_hms_opt(hour, minute, second).filter(|_| parts.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::Europe::London;
    use proptest::prelude::*;

    fn shown(change: Option<Change>) -> String {
        change.map_or_else(
            || "none".to_owned(),
            |change| format!("{} {}", change.lo, change.precision.word()),
        )
    }

    #[test]
    fn the_numbers_of_directories_are_times_or_nothing() {
        for (change, expected) in [
            (
                filetime(134_157_060_001_234_567),
                "2026-02-16T09:00:00.123456Z second",
            ),
            (
                filetime(131_645_197_830_000_000),
                "2018-03-03T03:03:03Z second",
            ),
            (filetime(0), "none"),
            (filetime(-1), "none"),
            (filetime(i64::MIN), "none"),
            (filetime(i64::MAX), "none"),
            (filetime(i64::MAX - 1), "none"),
            (
                milliseconds(1_771_232_400_000),
                "2026-02-16T09:00:00Z second",
            ),
            (milliseconds(0), "none"),
            (milliseconds(i64::MAX), "none"),
            (unix_day(20_500), "2026-02-16T00:00:00Z day"),
            (unix_day(0), "none"),
            (unix_day(-3), "none"),
            (unix_day(i64::MAX), "none"),
            (unix_day(99_999_999), "none"),
        ] {
            assert_eq!(shown(change), expected);
        }
    }

    #[test]
    fn generalized_times_are_read_in_all_their_forms() {
        for (text, expected) in [
            ("20260216090000Z", "2026-02-16T09:00:00Z second"),
            ("20260211100000.941Z", "2026-02-11T10:00:00.941Z second"),
            ("20260205042000+0100", "2026-02-05T03:20:00Z second"),
            ("20260205042000-05", "2026-02-05T09:20:00Z second"),
            ("202601050830Z", "2026-01-05T08:30:00Z minute"),
            ("2026010508Z", "2026-01-05T08:00:00Z minute"),
            ("2026-02-16T09:00:00.5Z", "2026-02-16T09:00:00.500Z second"),
            ("000001010000Z", "none"),
            ("20260216090000", "none"),
            ("20260216090060Z", "none"),
            ("20261316090000Z", "none"),
            ("20260216090000.Z", "none"),
            ("20260216090000+2400", "none"),
            ("99990216090000Z", "none"),
            ("never", "none"),
            ("", "none"),
        ] {
            assert_eq!(shown(generalized(text)), expected, "{text:?}");
        }
    }

    #[test]
    fn day_and_month_are_told_apart_or_left_open() {
        let at = |text: &str, order| {
            shown(Local::parse(text).and_then(|local| local.change(order, London)))
        };
        let (day, month) = (Some(DateOrder::DayFirst), Some(DateOrder::MonthFirst));
        for (text, order, expected) in [
            ("16/02/2026 09:00:00", month, "2026-02-16T09:00:00Z second"),
            ("17/06/2025 09:01:05", day, "2025-06-17T08:01:05Z second"),
            ("02/03/2026 09:00:00", day, "2026-03-02T09:00:00Z second"),
            ("02/03/2026 09:00:00", month, "2026-02-03T09:00:00Z second"),
            ("2/3/2026 9:00:00 PM", month, "2026-02-03T21:00:00Z second"),
            ("2/3/2026 12:00:00 AM", month, "2026-02-03T00:00:00Z second"),
            ("02.03.2026 09:00", month, "2026-03-02T09:00:00Z second"),
            ("2026-02-16 09:00:00", day, "2026-02-16T09:00:00Z second"),
            ("02/03/2026 09:00:00", None, "none"),
            ("31/31/2026 09:00:00", day, "none"),
            ("29/03/2026 01:30:00", day, "none"),
            ("1/2/26 09:00:00", day, "none"),
            ("1/2/2026 13:00:00 PM", day, "none"),
            ("heute", day, "none"),
        ] {
            assert_eq!(at(text, order), expected, "{text:?}");
        }
        let order = |text: &str| Local::parse(text).and_then(|local| local.order(text));
        assert_eq!(order("16/02/2026 09:00:00"), day);
        assert_eq!(order("2/16/2026 9:00:00 AM"), month);
        assert_eq!(order("02/03/2026 09:00:00"), None);
        assert_eq!(order("03/03/2026 09:00:00"), None);
    }

    proptest! {
        #[test]
        fn no_text_and_no_number_makes_a_panic(text in "[0-9/.:+ ZAPM-]{0,24}|\\PC{0,20}", number: i64) {
            let _ = (generalized(&text), filetime(number), milliseconds(number), unix_day(number));
            if let Some(local) = Local::parse(&text) {
                let _ = (local.order(&text), local.change(Some(DateOrder::DayFirst), London));
            }
        }
    }
}
