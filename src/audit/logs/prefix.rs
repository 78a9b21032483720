//! What stands before a log's message: when it was written, by syslog (RFC 3164, without a year), in ISO 8601, or as TAI64N.

use chrono::{Datelike, NaiveDate, NaiveTime, TimeDelta};
use chrono_tz::Tz;

use crate::audit::dates::{Dates, in_zone};
use crate::domain::moment::Moment;

/// How much later than its file a line may be: clocks differ, and so do zones that nobody configured.
const AHEAD: TimeDelta = TimeDelta::hours(26);

/// Reads the times of a log's lines.
pub(super) struct Clock {
    /// The zone of times that name none.
    pub(super) zone: Tz,
    /// When the file was written: no line is from after it, and none is more than a year older.
    pub(super) written_at: Moment,
}

impl Clock {
    /// When a line was written, and the rest of it; none if it begins with no time.
    pub(super) fn read<'a>(&self, line: &'a str) -> Option<(Moment, &'a str)> {
        // A syslog priority, as some relays leave it.
        let line = match line.strip_prefix('<') {
            Some(rest) => rest.split_once('>').map_or(line, |(_, rest)| rest),
            None => line,
        };
        if let Some(rest) = line.strip_prefix('@') {
            let (stamp, rest) = rest.split_once(' ')?;
            return Some((tai64n(stamp)?, rest));
        }
        if line.as_bytes().first()?.is_ascii_digit() {
            return self.iso(line);
        }
        self.syslog(line)
    }

    /// `2026-02-05T03:16:00.123456+00:00 ` or `2026-02-05 03:16:00 `.
    fn iso<'a>(&self, line: &'a str) -> Option<(Moment, &'a str)> {
        let dates = Dates {
            forms: Vec::new(),
            zone: self.zone,
        };
        let (first, rest) = line.split_once(' ')?;
        if first.contains('T') {
            return Some((dates.read(first)?, rest));
        }
        let (second, rest) = rest.split_once(' ')?;
        // Python writes a comma before the thousandths.
        let at = dates.read(&format!("{first} {}", second.replace(',', ".")))?;
        Some((at, rest))
    }

    /// `Feb  5 03:10:01 `: the year is the one that puts it into the twelve months before the file was written.
    fn syslog<'a>(&self, line: &'a str) -> Option<(Moment, &'a str)> {
        let (month, rest) = line.split_at_checked(3)?;
        let month = [
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ]
        .iter()
        .position(|known| month.eq_ignore_ascii_case(known))?;
        let month = u32::try_from(month).ok()? + 1;
        let rest = rest.strip_prefix(' ')?.trim_start();
        let (day, rest) = rest.split_once(' ')?;
        let day: u32 = day.parse().ok()?;
        let (time, rest) = rest.split_once(' ')?;
        let time = NaiveTime::parse_from_str(time, "%H:%M:%S%.f").ok()?;
        let latest = self.written_at.plus(AHEAD);
        let year = latest.utc().year();
        // The 29th of February may be four years back, and once eight.
        let at = (0..=8).find_map(|back| {
            let day = NaiveDate::from_ymd_opt(year - back, month, day)?;
            let at = in_zone(day.and_time(time), self.zone)?;
            (at <= latest).then_some(at)
        })?;
        Some((at, rest))
    }
}

/// `@` and 24 hexadecimal digits: seconds since 1970 and 2^62 and ten more, then nanoseconds.
fn tai64n(stamp: &str) -> Option<Moment> {
    if stamp.len() != 24 || !stamp.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let seconds = u64::from_str_radix(stamp.get(..16)?, 16).ok()?;
    let nanos = i64::from_str_radix(stamp.get(16..)?, 16).ok()?;
    let seconds = i64::try_from(seconds.checked_sub(1 << 62)?).ok()?;
    let micros = seconds.checked_sub(10)?.checked_mul(1_000_000)?;
    // Years that no log has.
    if !(0..8_000_000_000_000_000).contains(&micros) {
        return None;
    }
    Some(Moment::from_micros(micros + nanos / 1000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(written_at: &str, line: &str) -> Option<String> {
        let clock = Clock {
            zone: Tz::UTC,
            written_at: written_at.parse().unwrap(),
        };
        let (at, rest) = clock.read(line)?;
        assert_eq!(rest, "mail rest of it", "{line}");
        Some(at.to_string())
    }

    #[test]
    fn the_year_that_syslog_leaves_out_is_the_last_one_that_fits() {
        for (written_at, line, expected) in [
            (
                "2026-02-20T00:00:00Z",
                "Feb  5 03:10:01",
                "2026-02-05T03:10:01Z",
            ),
            (
                "2026-01-02T00:00:00Z",
                "Dec 31 23:59:59",
                "2025-12-31T23:59:59Z",
            ),
            (
                "2026-01-02T00:00:00Z",
                "Jan  1 00:00:00",
                "2026-01-01T00:00:00Z",
            ),
            // Written just before midnight by a clock that is a little fast.
            (
                "2025-12-31T23:59:00Z",
                "Jan  1 00:01:00",
                "2026-01-01T00:01:00Z",
            ),
            (
                "2026-02-20T00:00:00Z",
                "Feb 22 03:10:01",
                "2025-02-22T03:10:01Z",
            ),
            (
                "2026-02-20T00:00:00Z",
                "Feb 29 03:10:01",
                "2024-02-29T03:10:01Z",
            ),
            (
                "2026-02-20T00:00:00Z",
                "<22>Feb  5 03:10:01",
                "2026-02-05T03:10:01Z",
            ),
        ] {
            let line = format!("{line} mail rest of it");
            assert_eq!(at(written_at, &line).as_deref(), Some(expected), "{line}");
        }
    }

    #[test]
    fn the_other_forms_bring_their_year() {
        for (line, expected) in [
            (
                "2026-02-05T03:16:00.123456+01:00",
                "2026-02-05T02:16:00.123456Z",
            ),
            ("2026-02-05 03:16:00,250", "2026-02-05T03:16:00.250Z"),
            ("@4000000069840b5c0fa4e000", "2026-02-05T03:15:30.262463Z"),
        ] {
            let line = format!("{line} mail rest of it");
            assert_eq!(
                at("2026-02-20T00:00:00Z", &line).as_deref(),
                Some(expected),
                "{line}"
            );
        }
        for line in [
            "Feb 30 03:10:01 x",
            "Xxx  5 03:10:01 x",
            "Feb  5 25:10:01 x",
            "@400fffffffffffffffffffff x",
            "@ffffffffffffffffffffffff x",
            "@0 x",
            "Фев  5 03:10:01 x",
            "",
            "9",
        ] {
            assert_eq!(at("2026-02-20T00:00:00Z", line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_a_clock_panic(line in "[@A-Fa-f0-9:TZ.+ <>-]{0,40}|.{0,30}") {
            let clock = Clock { zone: chrono_tz::Europe::Berlin, written_at: Moment::from_micros(0) };
            let _ = clock.read(&line);
        }
    }
}
