//! Each change of the clocks, run through.

use super::*;
use chrono::{Datelike, Days, Timelike, Weekday};
use chrono_tz::{America, Asia, Australia, Europe};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn at(text: &str) -> Moment {
    text.parse().unwrap()
}

fn schedule(line: &str, zone: Tz) -> Schedule {
    Schedule::parse(line, zone).unwrap()
}

/// All runs in `(from, to]`.
fn runs(schedule: &Schedule, from: Moment, to: Moment) -> Vec<Moment> {
    std::iter::successors(schedule.next_after(from), |&run| schedule.next_after(run))
        .take_while(|&run| run <= to)
        .collect()
}

/// The days on which a zone's clocks change, from 2016 to 2040: noon in UTC before, and the size of the change.
fn changes(zone: Tz) -> Vec<(NaiveDate, TimeDelta)> {
    let offset = |day: NaiveDate| {
        let noon = day.and_hms_opt(12, 0, 0).unwrap().and_utc();
        local_at(zone, noon.into()) - noon.naive_utc()
    };
    NaiveDate::from_ymd_opt(2016, 1, 1)
        .unwrap()
        .iter_days()
        .take_while(|day| day.year() <= 2040)
        .filter_map(|day| {
            let change = offset(day.succ_opt().unwrap()) - offset(day);
            (!change.is_zero()).then_some((day, change))
        })
        .collect()
}

/// The local times that a line means, minute by minute: what it says without any crate's help.
fn meant(days: &[NaiveDate], fits: impl Fn(NaiveDateTime) -> bool) -> Vec<NaiveDateTime> {
    let minutes = |day: &NaiveDate| {
        let midnight = day.and_time(NaiveTime::MIN);
        (0..1_440).map(move |minute| midnight + TimeDelta::minutes(minute))
    };
    days.iter()
        .flat_map(minutes)
        .filter(|&local| fits(local))
        .collect()
}

/// Around every change of a zone's clocks: each local time of the line exactly once, those in the gap once together at
/// its end, nothing twice and nothing else.
fn check_all_changes(
    line: &str,
    zone: Tz,
    fits: fn(NaiveDateTime) -> bool,
    expected_changes: usize,
) {
    let schedule = schedule(line, zone);
    let changes = changes(zone);
    assert_eq!(changes.len(), expected_changes, "{zone}");
    for (day, _) in changes {
        let days: Vec<_> = day
            .checked_sub_days(Days::new(1))
            .unwrap()
            .iter_days()
            .take(4)
            .collect();
        let start = moment_at(zone, days[0].and_time(NaiveTime::MIN));
        let end = moment_at(zone, (days[3] + Days::new(1)).and_time(NaiveTime::MIN));
        let just_before = |moment: Moment| moment.minus(TimeDelta::microseconds(1));
        let got = runs(&schedule, just_before(start), just_before(end));
        let slots = meant(&days, fits);
        let expected: BTreeSet<Moment> = slots.iter().map(|&slot| moment_at(zone, slot)).collect();
        assert_eq!(
            got,
            expected.into_iter().collect::<Vec<_>>(),
            "{line} {zone} {day}"
        );
        assert!(
            got.is_sorted_by(|one, next| one < next),
            "{line} {zone} {day}"
        );
        // Seen on the wall, every time that exists is there once, and no other.
        let seen: Vec<_> = got.iter().map(|&run| local_at(zone, run)).collect();
        let once: BTreeSet<_> = seen.iter().copied().collect();
        assert_eq!(once.len(), seen.len(), "{line} {zone} {day}");
        for slot in slots {
            let lost = crate::domain::calendar::is_in_gap(zone, slot);
            assert!(lost || once.contains(&slot), "{line} {zone} {slot}");
        }
    }
}

fn half_past_one(local: NaiveDateTime) -> bool {
    (local.hour(), local.minute()) == (1, 30)
}

fn every_ten_minutes(local: NaiveDateTime) -> bool {
    local.minute().is_multiple_of(10)
}

fn hourly(local: NaiveDateTime) -> bool {
    local.minute() == 0
}

fn sunday_at_two(local: NaiveDateTime) -> bool {
    local.weekday() == Weekday::Sun && (local.hour(), local.minute()) == (2, 0)
}

#[test]
fn every_change_of_the_clocks_runs_each_local_time_once() {
    // Two a year; Lord Howe moves by half an hour, India never.
    for (zone, changes) in [
        (Europe::London, 50),
        (America::New_York, 50),
        (Australia::Lord_Howe, 50),
        (Asia::Kolkata, 0),
        (Tz::UTC, 0),
    ] {
        check_all_changes("0 30 1 * * *", zone, half_past_one, changes);
        check_all_changes("0 */10 * * * *", zone, every_ten_minutes, changes);
        check_all_changes("0 0 * * * *", zone, hourly, changes);
        check_all_changes("0 0 2 * * SUN", zone, sunday_at_two, changes);
    }
}

#[test]
fn a_run_in_the_gap_happens_once_when_it_ends() {
    // London, 29 March 2026: 01:00 to 02:00 does not exist.
    for (line, from, expected) in [
        (
            "0 30 1 * * *",
            "2026-03-28T12:00:00Z",
            vec!["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
        ),
        (
            "0 */10 * * * *",
            "2026-03-29T00:40:00Z",
            vec![
                "2026-03-29T00:50:00Z",
                "2026-03-29T01:00:00Z",
                "2026-03-29T01:10:00Z",
            ],
        ),
        (
            "0 0 * * * *",
            "2026-03-29T00:00:00Z",
            vec!["2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"],
        ),
        (
            "0 0 2 * * SUN",
            "2026-03-23T00:00:00Z",
            vec!["2026-03-29T01:00:00Z", "2026-04-05T01:00:00Z"],
        ),
    ] {
        let expected: Vec<_> = expected.into_iter().map(at).collect();
        assert_eq!(
            schedule(line, Europe::London).upcoming(at(from), expected.len()),
            expected,
            "{line}"
        );
    }
}

#[test]
fn a_time_that_comes_twice_is_run_the_first_time() {
    // London, 25 October 2026: 01:00 to 02:00 is there twice, the second time from 01:00Z.
    for (line, from, expected) in [
        (
            "0 30 1 * * *",
            "2026-10-24T12:00:00Z",
            vec!["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
        ),
        (
            "0 */10 * * * *",
            "2026-10-25T00:40:00Z",
            vec!["2026-10-25T00:50:00Z", "2026-10-25T02:00:00Z"],
        ),
        // Asked in the middle of the second time.
        (
            "0 */10 * * * *",
            "2026-10-25T01:25:00Z",
            vec!["2026-10-25T02:00:00Z"],
        ),
        (
            "0 0 2 * * SUN",
            "2026-10-25T01:25:00Z",
            vec!["2026-10-25T02:00:00Z"],
        ),
    ] {
        let expected: Vec<_> = expected.into_iter().map(at).collect();
        assert_eq!(
            schedule(line, Europe::London).upcoming(at(from), expected.len()),
            expected,
            "{line}"
        );
    }
}

#[test]
fn utc_goes_on_through_every_night() {
    let machine = schedule("0 */10 * * * *", Tz::UTC);
    let night = runs(
        &machine,
        at("2026-10-25T00:00:00Z"),
        at("2026-10-25T03:00:00Z"),
    );
    assert_eq!(night.len(), 18);
}

#[test]
fn missed_runs_are_merged_into_the_latest() {
    let hourly = schedule("0 0 * * * *", Europe::London);
    for (since, now, expected) in [
        ("2026-02-10T00:00:00Z", "2026-02-10T00:59:59Z", None),
        (
            "2026-02-10T00:00:00Z",
            "2026-02-10T01:00:00Z",
            Some("2026-02-10T01:00:00Z"),
        ),
        (
            "2026-02-01T00:00:00Z",
            "2026-02-10T08:59:59.999999Z",
            Some("2026-02-10T08:00:00Z"),
        ),
        ("2026-02-10T09:00:00Z", "2026-02-10T08:00:00Z", None),
        // In the second of two like hours there is nothing newer than the first.
        (
            "2026-10-24T00:00:00Z",
            "2026-10-25T01:30:00Z",
            Some("2026-10-25T00:00:00Z"),
        ),
        ("2026-10-25T00:00:00Z", "2026-10-25T01:30:00Z", None),
        (
            "1970-01-01T00:00:00Z",
            "2026-02-10T08:30:00Z",
            Some("2026-02-10T08:00:00Z"),
        ),
    ] {
        assert_eq!(
            hourly.latest_due(at(since), at(now)),
            expected.map(at),
            "{since} {now}"
        );
    }
}

#[test]
fn lines_that_could_be_misunderstood_are_refused_with_a_hint() {
    let refused = |line: &str| Schedule::parse(line, Tz::UTC).unwrap_err();
    assert_eq!(
        refused("30 1 * * *"),
        ScheduleError::FiveFields("30 1 * * *".into())
    );
    assert_eq!(
        refused("30  1 * * 1").to_string(),
        "five fields: seconds come first here, write \"0 30 1 * * 1\""
    );
    for (line, count) in [("", 0), ("@daily", 1), ("0 0 0 1 1 * 2026", 7)] {
        assert_eq!(refused(line), ScheduleError::Fields(count), "{line}");
    }
    for line in [
        "0 0 9 * * 1",
        "0 0 9 * * 1-5",
        "0 0 9 * * MON,3",
        "0 0 9 * * */2",
    ] {
        assert_eq!(refused(line), ScheduleError::NumericWeekday, "{line}");
    }
    for line in [
        "0 0 25 * * *",
        "a b c d e f",
        "0 0 9 * * FRI-MON",
        "0 0 9 * * Montag",
        "0 */0 * * * *",
    ] {
        let ScheduleError::Line(text) = refused(line) else {
            panic!("{line}")
        };
        assert!(!text.contains('\n'), "{text}");
    }
    assert_eq!(refused("0 0 0 30 FEB *"), ScheduleError::Never);
    let fine = schedule(" 0  30 1 ? *  MON-FRI ", Europe::London);
    assert_eq!(
        (fine.text(), fine.zone()),
        ("0 30 1 ? * MON-FRI", Europe::London)
    );
}

#[test]
fn names_of_days_mean_those_days() {
    let monday = schedule("0 0 9 * * MON", Tz::UTC).next_after(at("2026-02-10T00:00:00Z"));
    assert_eq!(monday, Some(at("2026-02-16T09:00:00Z")));
    let both = schedule("0 0 9 13 * FRI", Tz::UTC).upcoming(at("2026-02-01T00:00:00Z"), 3);
    assert_eq!(
        both,
        [
            "2026-02-13T09:00:00Z",
            "2026-03-13T09:00:00Z",
            "2026-11-13T09:00:00Z"
        ]
        .map(at)
    );
    let leap = schedule("59 59 23 29 FEB *", Tz::UTC).upcoming(at("2026-02-01T00:00:00Z"), 2);
    assert_eq!(
        leap,
        ["2028-02-29T23:59:59Z", "2032-02-29T23:59:59Z"].map(at)
    );
}

#[test]
fn the_ends_of_time_are_quiet() {
    let hourly = schedule("0 0 * * * *", Europe::London);
    for end in [i64::MIN, i64::MAX].map(Moment::from_micros) {
        hourly.next_after(end);
        hourly.latest_due(end, Moment::default());
        hourly.latest_due(Moment::default(), end);
    }
    assert_eq!(hourly.next_after(Moment::from_micros(i64::MAX)), None);
    assert_eq!(hourly.next_after(at("2100-12-31T23:30:00Z")), None);
    assert_eq!(
        hourly.next_after(at("1901-01-01T00:00:00Z")),
        Some(at("1969-12-31T23:00:00Z"))
    );
}

fn lines() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "0 30 1 * * *",
        "0 */10 * * * *",
        "*/7 * * * * *",
        "0 0 * * * *",
        "0 0 2 * * SUN",
        "0 15,45 0-3 * MAR,OCT,NOV SAT,SUN",
        "30 5 1 29-31 * *",
        "59 59 23 31 DEC *",
    ])
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

/// A moment from 2016 to 2040, often within hours of a change of London's or New York's clocks.
fn moments() -> impl Strategy<Value = Moment> {
    let near = |zone: Tz| {
        let days: Vec<_> = changes(zone).into_iter().map(|(day, _)| day).collect();
        (proptest::sample::select(days), 0_i64..30 * 3_600_000_000).prop_map(|(day, micros)| {
            let noon: Moment = day.and_hms_opt(12, 0, 0).unwrap().and_utc().into();
            noon.plus(TimeDelta::microseconds(micros))
        })
    };
    prop_oneof![
        (1_451_606_400_000_000_i64..2_240_524_800_000_000).prop_map(Moment::from_micros),
        near(Europe::London),
        near(America::New_York),
    ]
}

proptest! {
    #[test]
    fn the_next_run_is_later_and_later_questions_never_have_earlier_answers(
        line in lines(), zone in zones(), one in moments(), more in 0_i64..200_000_000_000,
    ) {
        let schedule = schedule(line, zone);
        let first = schedule.next_after(one).unwrap();
        prop_assert!(first > one);
        prop_assert!(schedule.next_after(first).unwrap() > first);
        let other = schedule.next_after(one.plus(TimeDelta::microseconds(more))).unwrap();
        prop_assert!(other >= first);
        // Nothing lies between a question and its answer.
        prop_assert_eq!(schedule.next_after(first.minus(TimeDelta::microseconds(1))), Some(first));
    }

    #[test]
    fn what_is_due_is_the_last_of_all_runs_until_now(
        line in lines(), zone in zones(), since in moments(), more in 0_i64..20_000_000_000,
    ) {
        let schedule = schedule(line, zone);
        let now = since.plus(TimeDelta::microseconds(more));
        let all = runs(&schedule, since, now);
        prop_assert_eq!(schedule.latest_due(since, now), all.last().copied());
    }

    #[test]
    fn any_line_is_read_or_refused_without_a_panic(line in "[0-9*/,?\\-A-Z ]{0,24}|\\PC{0,24}") {
        if let Ok(schedule) = Schedule::parse(&line, Europe::London) {
            schedule.next_after(Moment::from_micros(1_700_000_000_000_000));
        }
    }
}
