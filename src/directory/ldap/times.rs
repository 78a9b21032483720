//! Times: how directories write them. What cannot be understood is unknown, never a time.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};

use crate::domain::Moment;

/// Microseconds from 1601 to 1970.
const FILETIME_EPOCH: i64 = 11_644_473_600_000_000;

/// A time as Active Directory writes it: units of 100 ns since 1601.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Filetime {
    /// Zero: for a password's date "must be changed", for an expiry "never".
    Zero,
    /// A time.
    At(Moment),
    /// The greatest value there is: never.
    Never,
    /// No number, or a negative one.
    Unknown,
}

pub(super) fn filetime(text: &str) -> Filetime {
    match text.trim().parse::<i64>() {
        Ok(0) => Filetime::Zero,
        Ok(i64::MAX) => Filetime::Never,
        Ok(value) if value > 0 => Filetime::At(Moment::from_micros(value / 10 - FILETIME_EPOCH)),
        Ok(_) | Err(_) => Filetime::Unknown,
    }
}

/// Seconds since 1601, as replication counts.
pub(super) fn seconds_since_1601(seconds: u64) -> Option<Moment> {
    let micros = i64::try_from(seconds).ok()?.checked_mul(1_000_000)?;
    Some(Moment::from_micros(micros.checked_sub(FILETIME_EPOCH)?))
}

/// GeneralizedTime (RFC 4517 section 3.3.13), or RFC 3339, which some servers write in its place.
pub(super) fn generalized(text: &str) -> Option<Moment> {
    let text = text.trim();
    if !text.is_ascii() {
        return None;
    }
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.to_utc().into());
    }
    let zone_at = text.find(['Z', '+', '-'])?;
    let (local, zone) = text.split_at_checked(zone_at)?;
    let (whole, fraction) = match local.split_once(['.', ',']) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (local, None),
    };
    let (naive, unit) = naive(whole)?;
    let at = naive.checked_sub_signed(offset(zone)?)?;
    let part = match fraction {
        Some(digits) => part_of(digits, unit)?,
        None => 0,
    };
    Some(Moment::from(at.and_utc()).plus(TimeDelta::microseconds(part)))
}

/// The digits before a fraction, and the microseconds of the last unit that they tell.
fn naive(digits: &str) -> Option<(NaiveDateTime, i64)> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| digits.get(from..to)?.parse::<u32>().ok();
    let (minute, second, unit) = match digits.len() {
        10 => (0, 0, 3_600_000_000),
        12 => (number(10, 12)?, 0, 60_000_000),
        14 => (number(10, 12)?, number(12, 14)?, 1_000_000),
        _ => return None,
    };
    // There was no year 0; who writes it means something else than a time.
    let year = digits
        .get(0..4)?
        .parse::<i32>()
        .ok()
        .filter(|year| *year > 0)?;
    let date = NaiveDate::from_ymd_opt(year, number(4, 6)?, number(6, 8)?)?;
    // A leap second is the second before it, as everywhere else.
    let time = NaiveTime::from_hms_opt(number(8, 10)?, minute, second.min(59))?;
    (second <= 60).then_some((date.and_time(time), unit))
}

fn part_of(digits: &str, unit: i64) -> Option<i64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = digits.get(..digits.len().min(9))?;
    let part: i128 = digits.parse().ok()?;
    let scale = 10_i128.checked_pow(u32::try_from(digits.len()).ok()?)?;
    i64::try_from(part * i128::from(unit) / scale).ok()
}

fn offset(zone: &str) -> Option<TimeDelta> {
    if zone == "Z" {
        return Some(TimeDelta::zero());
    }
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let hours: i64 = digits.get(..2)?.parse().ok()?;
    let minutes: i64 = match digits.get(2..)? {
        "" => 0,
        minutes if minutes.len() == 2 => minutes.parse().ok()?,
        _ => return None,
    };
    (hours < 24 && minutes < 60).then(|| TimeDelta::minutes(sign * (hours * 60 + minutes)))
}

/// As a filter wants it.
pub(super) fn written(at: Moment) -> String {
    at.utc().format("%Y%m%d%H%M%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filetime_is_a_time_or_one_of_three_words_and_nothing_overflows() {
        for (text, expected) in [
            ("0", Filetime::Zero),
            ("116444736000000000", Filetime::At(Moment::from_micros(0))),
            (
                "134400501274063730",
                Filetime::At(Moment::from_micros(1_795_576_527_406_373)),
            ),
            ("9223372036854775807", Filetime::Never),
            (
                "9223372036854775806",
                Filetime::At(Moment::from_micros(910_692_730_085_477_580)),
            ),
            (
                "1",
                Filetime::At(Moment::from_micros(-11_644_473_600_000_000)),
            ),
            ("-1", Filetime::Unknown),
            ("-9223372036854775808", Filetime::Unknown),
            ("9223372036854775808", Filetime::Unknown),
            ("", Filetime::Unknown),
            ("yesterday", Filetime::Unknown),
        ] {
            assert_eq!(filetime(text), expected, "{text}");
        }
        assert_eq!(seconds_since_1601(u64::MAX), None);
        assert_eq!(
            seconds_since_1601(11_644_473_600),
            Some(Moment::from_micros(0))
        );
    }

    #[test]
    fn generalized_times_are_read_in_every_form_that_servers_write() {
        let at = |text: &str| text.parse::<Moment>().unwrap();
        for (text, expected) in [
            ("20261122162136Z", Some(at("2026-11-22T16:21:36Z"))),
            ("20190428202551.941Z", Some(at("2019-04-28T20:25:51.941Z"))),
            ("20261125031531.0Z", Some(at("2026-11-25T03:15:31Z"))),
            ("202611221621Z", Some(at("2026-11-22T16:21:00Z"))),
            ("2026112216,5Z", Some(at("2026-11-22T16:30:00Z"))),
            ("20261122162136+0130", Some(at("2026-11-22T14:51:36Z"))),
            ("20261122162136-02", Some(at("2026-11-22T18:21:36Z"))),
            (
                "2026-11-22T16:21:36.5+00:00",
                Some(at("2026-11-22T16:21:36.5Z")),
            ),
            ("20161231235960Z", Some(at("2016-12-31T23:59:59Z"))),
            ("000001010000Z", None),
            ("20261322162136Z", None),
            ("20261122162136", None),
            ("20261122162136.Z", None),
            ("20261122162136+9", None),
            ("99999999999999999999Z", None),
            ("２０261122162136Z", None),
            ("", None),
            ("Z", None),
        ] {
            assert_eq!(generalized(text), expected, "{text}");
        }
        assert_eq!(written(at("2026-11-22T16:21:36.9Z")), "20261122162136Z");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_a_time_panic(text in "\\PC*") {
            let _ = (generalized(&text), filetime(&text));
        }

        #[test]
        fn what_is_written_reads_back(seconds in 0_i64..4_000_000_000) {
            let at = Moment::from_micros(seconds * 1_000_000);
            proptest::prop_assert_eq!(generalized(&written(at)), Some(at));
        }
    }
}
