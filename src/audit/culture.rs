//! Dates as programs write them in the culture they run in: ISO 8601, `31.12.2026 23:59:59`, `12/31/2026 11:59:59 PM`.
//!
//! Whether `a/b/yyyy` begins with the day or the month is decided once a file: a value over 12 anywhere fixes it, else the
//! configuration does, else the file is refused. Until it is decided, what has such a date is held back.

use chrono::{NaiveDate, NaiveTime};
use chrono_tz::Tz;

use super::AuditError;
use super::dates::{Dates, in_zone};
use crate::domain::evidence::DateOrder;
use crate::domain::moment::Moment;

/// Records that are held back while the order of their dates is not known.
const MAX_HELD: usize = 200_000;

/// A date as far as its text alone tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Dated {
    /// It is certain.
    At(Moment),
    /// Two numbers of which one is the day.
    Either(u32, u32, i32, NaiveTime),
}

impl Dated {
    /// The date of a text; none if it is none in any order.
    pub(super) fn read(text: &str, zone: Tz) -> Option<Self> {
        let text = text.trim();
        let iso = Dates {
            forms: Vec::new(),
            zone,
        };
        if let Some(at) = iso.read(text) {
            return Some(Self::At(at));
        }
        let (day, time) = match text.split_once([' ', 'T']) {
            Some((day, time)) => (day.trim_end_matches(','), clock(time)?),
            None => (text, NaiveTime::from_hms_opt(23, 59, 59)?),
        };
        let mark = day.chars().find(|c| !c.is_ascii_digit())?;
        if !matches!(mark, '.' | '/' | '-') {
            return None;
        }
        let mut parts = day.split(mark);
        let (first, second, third) = (parts.next()?, parts.next()?, parts.next()?);
        let rest = parts.next();
        if rest.is_some_and(|rest| !rest.trim().is_empty()) || third.len() != 4 {
            return None;
        }
        let year: i32 = third.parse().ok()?;
        let (first, second): (u32, u32) = (first.parse().ok()?, second.parse().ok()?);
        if !(1980..=2199).contains(&year) {
            return None;
        }
        // With points the day comes first wherever points are written.
        if mark == '.' {
            return moment(DateOrder::DayFirst, first, second, year, time, zone).map(Self::At);
        }
        let either = Self::Either(first, second, year, time);
        [DateOrder::DayFirst, DateOrder::MonthFirst]
            .iter()
            .any(|order| either.at(*order, zone).is_some())
            .then_some(either)
    }

    /// The order that this date alone proves.
    fn proves(self) -> Option<DateOrder> {
        match self {
            Self::Either(first, ..) if first > 12 => Some(DateOrder::DayFirst),
            Self::Either(_, second, ..) if second > 12 => Some(DateOrder::MonthFirst),
            Self::Either(..) | Self::At(_) => None,
        }
    }

    fn at(self, order: DateOrder, zone: Tz) -> Option<Moment> {
        match self {
            Self::At(at) => Some(at),
            Self::Either(first, second, year, time) => {
                moment(order, first, second, year, time, zone)
            }
        }
    }
}

fn moment(
    order: DateOrder,
    first: u32,
    second: u32,
    year: i32,
    time: NaiveTime,
    zone: Tz,
) -> Option<Moment> {
    let (day, month) = match order {
        DateOrder::DayFirst => (first, second),
        DateOrder::MonthFirst => (second, first),
    };
    in_zone(
        NaiveDate::from_ymd_opt(year, month, day)?.and_time(time),
        zone,
    )
}

/// `23:59`, `23.59.59`, `11:59:59.123 PM`.
fn clock(text: &str) -> Option<NaiveTime> {
    let folded = text.trim().to_ascii_lowercase().replace("a.m.", "am");
    let folded = folded.replace("p.m.", "pm");
    let (digits, half) = match folded.strip_suffix("am") {
        Some(digits) => (digits, Some(false)),
        None => match folded.strip_suffix("pm") {
            Some(digits) => (digits, Some(true)),
            None => (folded.as_str(), None),
        },
    };
    let digits = digits.trim_end_matches(['\u{202f}', '\u{a0}', ' ']);
    let mut parts = digits.splitn(3, [':', '.']);
    let hour: u32 = parts.next()?.parse().ok()?;
    let minute: u32 = parts.next()?.parse().ok()?;
    let second = parts.next().unwrap_or("0");
    let (second, fraction) = second.split_once(['.', ',']).unwrap_or((second, "0"));
    let second: u32 = second.parse().ok()?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let hour = match half {
        None => hour,
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(false) => hour % 12,
        Some(true) => hour % 12 + 12,
    };
    NaiveTime::from_hms_opt(hour, minute, second)
}

/// A file's records whose dates may have to wait for each other.
pub(super) struct Ordered<T> {
    zone: Tz,
    order: Option<DateOrder>,
    configured: Option<DateOrder>,
    held: Vec<(T, Option<Dated>)>,
}

/// A record with its date; none of it if it has none, or none in the file's order.
pub(super) type Settled<T> = (T, Option<Moment>);

impl<T> Ordered<T> {
    pub(super) fn new(zone: Tz, configured: Option<DateOrder>) -> Self {
        Self {
            zone,
            order: None,
            configured,
            held: Vec::new(),
        }
    }

    /// Adds a record; gives back those whose date is known now, in the order of the file.
    pub(super) fn push(&mut self, record: T, date: Option<Dated>) -> Vec<Settled<T>> {
        self.order = self.order.or_else(|| date.and_then(Dated::proves));
        self.held.push((record, date));
        let waits = self.order.is_none()
            && self
                .held
                .iter()
                .any(|(_, date)| matches!(date, Some(Dated::Either(..))));
        if !waits {
            return self.settle(self.order);
        }
        if self.held.len() >= MAX_HELD && self.configured.is_some() {
            self.order = self.configured;
            return self.settle(self.order);
        }
        Vec::new()
    }

    /// The rest, once the file has been read.
    pub(super) fn end(mut self) -> Result<Vec<Settled<T>>, AuditError> {
        let order = self.order.or(self.configured);
        let undecided = order.is_none()
            && self
                .held
                .iter()
                .any(|(_, date)| matches!(date, Some(Dated::Either(..))));
        if undecided {
            return Err(AuditError::DateOrder);
        }
        Ok(self.settle(order))
    }

    /// Whether more is held back than is right without knowing the order.
    pub(super) fn is_full(&self) -> bool {
        self.held.len() >= MAX_HELD
    }

    fn settle(&mut self, order: Option<DateOrder>) -> Vec<Settled<T>> {
        let zone = self.zone;
        std::mem::take(&mut self.held)
            .into_iter()
            .map(|(record, date)| {
                let order = order.unwrap_or(DateOrder::DayFirst);
                (record, date.and_then(|date| date.at(order, zone)))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn utc(text: &str, order: DateOrder) -> Option<String> {
        let read = Dated::read(text, Tz::UTC)?;
        read.at(order, Tz::UTC).map(|at| at.to_string())
    }

    #[test]
    fn the_cultures_of_europe_and_america_are_read() {
        use DateOrder::{DayFirst, MonthFirst};
        for (text, order, expected) in [
            (
                "03.11.2025 10:14:22",
                MonthFirst,
                Some("2025-11-03T10:14:22Z"),
            ),
            (
                "14/02/2026 06:11:09",
                DayFirst,
                Some("2026-02-14T06:11:09Z"),
            ),
            (
                "2/14/2026 6:11:09 PM",
                MonthFirst,
                Some("2026-02-14T18:11:09Z"),
            ),
            (
                "2/14/2026 12:00:09 AM",
                MonthFirst,
                Some("2026-02-14T00:00:09Z"),
            ),
            ("14-02-2026 6:11", DayFirst, Some("2026-02-14T06:11:00Z")),
            ("14.2.2026 6.11.09", DayFirst, Some("2026-02-14T06:11:09Z")),
            ("14/02/2026", DayFirst, Some("2026-02-14T23:59:59Z")),
            (
                "2026-02-14T6:11:09.1234567Z",
                DayFirst,
                Some("2026-02-14T06:11:09.123456Z"),
            ),
            ("14/02/2026 06:11:09", MonthFirst, None),
            ("31/31/2026", DayFirst, None),
            ("14/02/26", DayFirst, None),
            ("99999999999999999999/1/2026", DayFirst, None),
            ("14/02/2026 25:11:09", DayFirst, None),
            ("14/02/2026 13:11:09 PM", DayFirst, None),
            ("never", DayFirst, None),
            ("", DayFirst, None),
        ] {
            assert_eq!(utc(text, order).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn one_date_decides_for_the_whole_file_and_nothing_overtakes() {
        let mut ordered = Ordered::new(Tz::UTC, Some(DateOrder::MonthFirst));
        let mut read = |nth: u8, text: &str| ordered.push(nth, Dated::read(text, Tz::UTC));
        assert!(read(1, "2/3/2026 1:00").is_empty());
        assert!(read(2, "2026-02-03").is_empty());
        let all = read(3, "14/3/2026 1:00");
        let shown: Vec<_> = all
            .iter()
            .map(|(nth, at)| (*nth, at.unwrap().to_string()))
            .collect();
        assert_eq!(
            shown,
            [
                (1, "2026-03-02T01:00:00Z".to_owned()),
                (2, "2026-02-03T23:59:59Z".to_owned()),
                (3, "2026-03-14T01:00:00Z".to_owned())
            ]
        );
    }

    #[test]
    fn what_nothing_decides_is_configured_or_refused() {
        for (configured, expected) in [
            (Some(DateOrder::DayFirst), Some("2026-03-02T01:00:00Z")),
            (Some(DateOrder::MonthFirst), Some("2026-02-03T01:00:00Z")),
            (None, None),
        ] {
            let mut ordered = Ordered::new(Tz::UTC, configured);
            ordered.push((), Dated::read("2/3/2026 1:00", Tz::UTC));
            let end = ordered.end().ok();
            let at = end.and_then(|all| all[0].1).map(|at| at.to_string());
            assert_eq!(at.as_deref(), expected);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_date_panic(text in "[0-9/.:T AMPm-]{0,30}|.{0,20}") {
            let _ = Dated::read(&text, chrono_tz::Europe::Berlin);
        }
    }
}
