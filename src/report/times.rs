//! Times as people read them: in the site's zone, with its name.

use chrono::{DateTime, TimeZone};
use chrono_tz::Tz;

use crate::domain::moment::Moment;

/// `10 February 2026, 09:00 GMT`.
pub fn in_full(at: Moment, zone: Tz) -> String {
    local(at, zone).format("%-d %B %Y, %H:%M %Z").to_string()
}

/// `10 Feb 2026 09:00 GMT`.
pub fn in_table(at: Moment, zone: Tz) -> String {
    local(at, zone).format("%-d %b %Y %H:%M %Z").to_string()
}

/// `10 Feb`.
pub fn day(at: Moment, zone: Tz) -> String {
    local(at, zone).format("%-d %b").to_string()
}

/// `10 Feb 09:00`.
pub fn day_and_hour(at: Moment, zone: Tz) -> String {
    local(at, zone).format("%-d %b %H:%M").to_string()
}

/// The instant in its zone. Years that chrono cannot shift become the end of time.
pub fn local(at: Moment, zone: Tz) -> DateTime<Tz> {
    // Shifting the very first or last instant by an offset would leave chrono's range.
    let utc = at.utc().naive_utc();
    let safe = utc.clamp(
        chrono::NaiveDate::from_ymd_opt(1, 1, 1)
            .unwrap_or_default()
            .and_time(chrono::NaiveTime::MIN),
        chrono::NaiveDate::from_ymd_opt(9999, 12, 30)
            .unwrap_or_default()
            .and_time(chrono::NaiveTime::MIN),
    );
    zone.from_utc_datetime(&safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_in_the_zone_with_its_name() {
        let winter: Moment = "2026-02-10T09:00:00Z".parse().unwrap();
        let summer: Moment = "2026-07-10T09:00:00Z".parse().unwrap();
        let london = chrono_tz::Europe::London;
        assert_eq!(in_full(winter, london), "10 February 2026, 09:00 GMT");
        assert_eq!(in_table(summer, london), "10 Jul 2026 10:00 BST");
        assert_eq!(
            day_and_hour(summer, chrono_tz::Europe::Berlin),
            "10 Jul 11:00"
        );
    }

    #[test]
    fn the_ends_of_time_do_not_panic() {
        for micros in [i64::MIN, i64::MAX] {
            assert!(!in_full(Moment::from_micros(micros), chrono_tz::Pacific::Auckland).is_empty());
        }
    }
}
