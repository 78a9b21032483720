//! When: the times that exports write, as the interval in which the change must lie.

use chrono::{Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use chrono_tz::Tz;

use crate::domain::Moment;
use crate::domain::calendar::{both_moments_at, is_in_gap, local_at, moment_at};
use crate::domain::evidence::Change;
use crate::domain::finding::Precision;

/// Reads RFC 3339, the same with a blank for its `T`, without seconds, with one digit for the hour or with up to nine
/// for the fraction, a time without a zone (it is local in `zone`), or a date alone (that whole local day).
///
/// `coarsest` widens the interval if the source is less exact than it writes. None if there is no such time; a local
/// time that a clock change left out is no time either, and one that it doubled is an interval of both.
pub(super) fn parse(text: &str, zone: Tz, coarsest: Option<Precision>) -> Option<Change> {
    let text = text.trim();
    let (date, rest) = text.split_at_checked(10)?;
    let date = parse_date(date)?;
    if rest.is_empty() {
        return day(zone, date, date);
    }
    let (time, precision, offset) = parse_time(rest.strip_prefix(['T', 't', ' '])?)?;
    let (first, last) = instants(zone, date.and_time(time), offset)?;
    let precision = coarsest.map_or(precision, |stated| stated.max(precision));
    match precision {
        Precision::Second => Some(Change {
            hi: last,
            ..Change::at(first, precision)
        }),
        Precision::Minute => {
            let floor =
                |at: Moment| Moment::from_micros(at.micros() - at.micros().rem_euclid(60_000_000));
            let hi = Change::at(floor(last), precision).hi;
            Some(Change {
                hi,
                ..Change::at(floor(first), precision)
            })
        }
        Precision::Day => day(
            zone,
            local_at(zone, first).date(),
            local_at(zone, last).date(),
        ),
    }
}

/// From the start of one local day to the end of another.
fn day(zone: Tz, first: NaiveDate, last: NaiveDate) -> Option<Change> {
    let midnight = |date: NaiveDate| moment_at(zone, date.and_time(NaiveTime::MIN));
    let next = last.checked_add_days(Days::new(1))?;
    Some(Change {
        lo: midnight(first),
        hi: midnight(next).minus(TimeDelta::microseconds(1)),
        precision: Precision::Day,
    })
}

/// The first and the last instant that a written time can mean.
fn instants(
    zone: Tz,
    written: NaiveDateTime,
    offset: Option<TimeDelta>,
) -> Option<(Moment, Moment)> {
    if let Some(offset) = offset {
        let at = Moment::from(written.checked_sub_signed(offset)?.and_utc());
        return Some((at, at));
    }
    if is_in_gap(zone, written) {
        return None;
    }
    let at = moment_at(zone, written);
    Some(both_moments_at(zone, written).unwrap_or((at, at)))
}

fn parse_date(text: &str) -> Option<NaiveDate> {
    let mut parts = text.split('-');
    let year = digits(parts.next()?, 4..=4)?;
    let month = digits(parts.next()?, 2..=2)?;
    let day = digits(parts.next()?, 2..=2)?;
    // Before 1601 and after 2199 no password was changed; staying between keeps all arithmetic in bounds.
    NaiveDate::from_ymd_opt(
        i32::try_from(year)
            .ok()
            .filter(|year| (1601..2200).contains(year))?,
        month,
        day,
    )
    .filter(|_| parts.next().is_none())
}

/// Time of day, how exactly it is written, and its offset from UTC if it has one.
fn parse_time(text: &str) -> Option<(NaiveTime, Precision, Option<TimeDelta>)> {
    let zone_at = text.find(['Z', 'z', '+', '-', ' ']).unwrap_or(text.len());
    let (clock, zone) = text.split_at_checked(zone_at)?;
    let mut parts = clock.split(':');
    let hour = digits(parts.next()?, 1..=2)?;
    let minute = digits(parts.next()?, 2..=2)?;
    let seconds = parts.next();
    if parts.next().is_some() {
        return None;
    }
    let (second, micros, precision) = match seconds {
        None => (0, 0, Precision::Minute),
        Some(seconds) => {
            let (whole, fraction) = seconds.split_once(['.', ',']).unwrap_or((seconds, "0"));
            let digits_given = u32::try_from(fraction.len()).ok()?;
            let value = u64::from(digits(fraction, 1..=9)?);
            // Finer than a microsecond is dropped.
            let micros = value * 1_000_000 / 10_u64.checked_pow(digits_given)?;
            (
                digits(whole, 2..=2)?,
                u32::try_from(micros).ok()?,
                Precision::Second,
            )
        }
    };
    let time = NaiveTime::from_hms_micro_opt(hour, minute, second, micros)?;
    Some((time, precision, parse_offset(zone.trim())?))
}

/// The offset that is written, if one is; none at all if it is none.
#[allow(clippy::option_option)]
fn parse_offset(text: &str) -> Option<Option<TimeDelta>> {
    if text.is_empty() {
        return Some(None);
    }
    if text.eq_ignore_ascii_case("z") {
        return Some(Some(TimeDelta::zero()));
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let rest = text.strip_prefix(['+', '-'])?;
    let (hours, minutes) = match rest.split_once(':') {
        Some(parts) => parts,
        None => rest.split_at_checked(2)?,
    };
    let minutes = if minutes.is_empty() {
        0
    } else {
        digits(minutes, 2..=2)?
    };
    let minutes = digits(hours, 2..=2).filter(|hours| *hours < 24)? * 60
        + Some(minutes).filter(|m| *m < 60)?;
    Some(Some(TimeDelta::minutes(sign * i64::from(minutes))))
}

/// A number of so many ASCII digits, and nothing else.
fn digits(text: &str, count: std::ops::RangeInclusive<usize>) -> Option<u32> {
    (count.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::Europe::London;
    use proptest::prelude::*;

    fn shown(change: Change) -> String {
        format!("{} {} {}", change.lo, change.hi, change.precision.word())
    }

    #[test]
    fn the_forms_that_exports_write_are_read() {
        for (text, expected) in [
            (
                "2026-02-16T09:00:00Z",
                "2026-02-16T09:00:00Z 2026-02-16T09:00:00Z second",
            ),
            (
                "2026-02-16 09:00:00+0100",
                "2026-02-16T08:00:00Z 2026-02-16T08:00:00Z second",
            ),
            (
                "2026-02-16T09:00:00.1234567-05:30",
                "2026-02-16T14:30:00.123456Z 2026-02-16T14:30:00.123456Z second",
            ),
            (
                "2026-02-16T9:00:00 +01",
                "2026-02-16T08:00:00Z 2026-02-16T08:00:00Z second",
            ),
            (
                "2026-02-16T09:00Z",
                "2026-02-16T09:00:00Z 2026-02-16T09:00:59.999999Z minute",
            ),
            // Local: winter, summer, and the hour that comes twice.
            (
                "2026-02-16 09:00:00",
                "2026-02-16T09:00:00Z 2026-02-16T09:00:00Z second",
            ),
            (
                "2026-07-16 09:00:00",
                "2026-07-16T08:00:00Z 2026-07-16T08:00:00Z second",
            ),
            (
                "2026-10-25 01:30:00",
                "2026-10-25T00:30:00Z 2026-10-25T01:30:00Z second",
            ),
            (
                "2026-07-16",
                "2026-07-15T23:00:00Z 2026-07-16T22:59:59.999999Z day",
            ),
            // A day of 25 hours.
            (
                "2026-10-25",
                "2026-10-24T23:00:00Z 2026-10-25T23:59:59.999999Z day",
            ),
        ] {
            assert_eq!(
                parse(text, London, None).map(shown).as_deref(),
                Some(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn a_source_may_be_less_exact_than_it_writes() {
        let read = |text, stated| parse(text, London, Some(stated)).map(shown).unwrap();
        assert_eq!(
            read("2026-02-16T09:00:42Z", Precision::Minute),
            "2026-02-16T09:00:00Z 2026-02-16T09:00:59.999999Z minute"
        );
        assert_eq!(
            read("2026-02-16T09:00:42Z", Precision::Day),
            "2026-02-16T00:00:00Z 2026-02-16T23:59:59.999999Z day"
        );
        // It cannot be more exact.
        assert!(read("2026-02-16", Precision::Second).ends_with(" day"));
    }

    #[test]
    fn what_is_no_time_is_no_time() {
        for text in [
            "",
            "not a date",
            "2026-02-30",
            "2026-2-3",
            "16.02.2026",
            "16/02/2026 09:00",
            "2026-02-16T",
            "2026-02-16T24:00:00Z",
            "2026-02-16T09",
            "2026-02-16T09:0:00Z",
            "2026-02-16T09:00:60Z",
            "2026-02-16T09:00:00.Z",
            "2026-02-16T09:00:00+1",
            "2026-02-16T09:00:00+24:00",
            "2026-02-16T09:00:00Zulu",
            "2026-02-16x09:00:00Z",
            "+026-02-16",
            "1600-01-01",
            "9999-12-31",
            "2026-02-16T09:00:00.1234567891Z",
            "٢٠٢٦-٠٢-١٦",
            // London's clocks went over it.
            "2026-03-29 01:30:00",
        ] {
            assert_eq!(parse(text, London, None), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "[0-9TZtz:.,+\\- ]{0,30}|\\PC{0,20}") {
            if let Some(change) = parse(&text, London, None) {
                prop_assert!(change.lo <= change.hi);
            }
        }

        #[test]
        fn what_a_moment_prints_reads_back(micros in -11_000_000_000_000_000_i64..7_000_000_000_000_000) {
            let at = Moment::from_micros(micros);
            prop_assert_eq!(parse(&at.to_string(), London, None), Some(Change::at(at, Precision::Second)));
        }
    }
}
