//! Every change of the clocks, and what working time comes to.

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
