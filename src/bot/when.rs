//! When: a moment as people type it at a desk: `14:30`, `2026-03-02 14:30`, `in 2 h`, or as RFC 3339 writes it.

use chrono::{LocalResult, NaiveDateTime, NaiveTime, TimeDelta, TimeZone};
use chrono_tz::Tz;

use crate::domain::Moment;

/// What cannot be read as a moment; says how to write one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write the time as 14:30, as 2026-03-02 14:30, or as in 2 h")]
pub struct NoTime;

/// Reads a moment. A time of day alone is the next one in `zone`; one that a clock change skips is read as the moment at
/// which the clocks go on, and of one that comes twice the first is meant.
pub fn read(text: &str, now: Moment, zone: Tz) -> Result<Moment, NoTime> {
    let text = text.trim();
    if let Ok(moment) = text.parse() {
        return Ok(moment);
    }
    if let Some(span) = text.strip_prefix("in ").or_else(|| text.strip_prefix('+')) {
        return self::span(span).map(|span| now.plus(span)).ok_or(NoTime);
    }
    if let Ok(time) = NaiveTime::parse_from_str(text, "%H:%M") {
        let today = now.utc().with_timezone(&zone).date_naive();
        let days = [Some(today), today.succ_opt()];
        let mut later = days
            .into_iter()
            .flatten()
            .filter_map(|day| settled(day.and_time(time), zone));
        return later.find(|moment| *moment > now).ok_or(NoTime);
    }
    ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
        .and_then(|local| settled(local, zone))
        .ok_or(NoTime)
}

fn settled(local: NaiveDateTime, zone: Tz) -> Option<Moment> {
    // No gap is longer than a day.
    (0..=96).find_map(|quarter| {
        let later = local.checked_add_signed(TimeDelta::minutes(15 * quarter))?;
        match zone.from_local_datetime(&later) {
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => {
                Some(Moment::from(at.to_utc()))
            }
            LocalResult::None => None,
        }
    })
}

/// `2 h`, `90 min`, `1 day`; up to a month.
fn span(text: &str) -> Option<TimeDelta> {
    let text = text.trim();
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(at)?;
    let number: i64 = number.parse().ok()?;
    let minutes = match unit.trim() {
        "m" | "min" | "minute" | "minutes" => 1,
        "h" | "hour" | "hours" => 60,
        "d" | "day" | "days" => 24 * 60,
        _ => return None,
    };
    let all = number.checked_mul(minutes)?;
    (1..=31 * 24 * 60)
        .contains(&all)
        .then(|| TimeDelta::minutes(all))
}

/// A moment as people at the site read it.
pub fn shown(at: Moment, zone: Tz) -> String {
    at.utc()
        .with_timezone(&zone)
        .format("%-d %B %Y, %H:%M")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_as_people_write_it() {
        let now: Moment = "2026-03-02T09:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("14:30", "2026-03-02T14:30:00Z"),
            (" 08:30 ", "2026-03-03T08:30:00Z"),
            ("in 2 h", "2026-03-02T11:00:00Z"),
            ("+90min", "2026-03-02T10:30:00Z"),
            ("in 1 day", "2026-03-03T09:00:00Z"),
            ("2026-07-01 12:00", "2026-07-01T11:00:00Z"),
            ("2026-03-02T10:00:00Z", "2026-03-02T10:00:00Z"),
            // Skipped, and doubled, by the change of clocks.
            ("2026-03-29 01:30", "2026-03-29T01:00:00Z"),
            ("2026-10-25 01:30", "2026-10-25T00:30:00Z"),
        ] {
            assert_eq!(
                read(text, now, Tz::Europe__London).map(|at| at.to_string()),
                Ok(expected.to_owned()),
                "{text}"
            );
        }
        for bad in [
            "",
            "soon",
            "25:00",
            "in 0 h",
            "in 99999999999999999999 h",
            "in 32 days",
            "in h",
            "2026-02-30 10:00",
            "in 2 ℏ",
        ] {
            assert_eq!(read(bad, now, Tz::Europe__London), Err(NoTime), "{bad}");
        }
    }
}
