//! Worked sums: what an operator would work out with a pencil, and what a campaign then really takes.

use std::time::Instant;

use chrono::NaiveTime;
use chrono_tz::{America, Europe};
use proptest::prelude::*;

use super::*;
use crate::domain::rate::{DomainLimits, Limits, Preset, Rates, Verdict, release};

fn at(text: &str) -> Moment {
    text.parse().unwrap()
}

fn london() -> Calendar {
    Calendar::new(Europe::London)
}

fn batch(kind: NoticeKind, letters: u64) -> Batch {
    let category = match kind {
        NoticeKind::Compromised => Category::Compromised,
        _ => Category::Weak,
    };
    Batch {
        kind,
        category,
        zone: Europe::London,
        domain: String::new(),
        due_at: Moment::from_micros(0),
        letters,
        is_asked: true,
    }
}

fn relay(limits: Limits) -> Rates {
    Rates {
        relay: limits,
        ..Rates::default()
    }
}

fn paced(per_minute: u32) -> Rates {
    relay(Limits {
        per_minute: Some(per_minute),
        ..Limits::default()
    })
}

fn foresee(batches: &[Batch], rates: &Rates, calendar: &Calendar, now: &str) -> Expected {
    let now = at(now);
    let asked = Forecast {
        batches,
        meter: &Meter::new(rates, &[], now),
        calendar,
    };
    forecast(&asked, now)
}

fn days(expected: &Expected) -> Vec<(String, u64)> {
    expected
        .per_day
        .iter()
        .map(|(date, letters)| (date.to_string(), *letters))
        .collect()
}

#[test]
fn nine_thousand_at_thirty_a_minute_take_five_hours() {
    // A Tuesday.
    let now = "2026-03-03T09:10:00Z";
    let rates = relay(Preset::ExchangeOnline.limits());
    let expected = foresee(&[batch(NoticeKind::Weak, 9_000)], &rates, &london(), now);
    assert_eq!(expected.begins, Some(at(now)));
    assert_eq!(expected.ends, Some(at("2026-03-03T14:09:58Z")));
    assert_eq!(days(&expected), [("2026-03-03".to_owned(), 9_000)]);
    assert_eq!(expected.bound_by, Some(Why::PerMinute));
    let words = expected.words("people", &paced(30), &london(), at(now));
    assert_eq!(
        words,
        "9,000 people at 30 a minute: 5 h, done Tuesday 14:10"
    );
}

#[test]
fn first_notices_and_a_staff_wide_notice_do_not_fit_into_one_day() {
    let now = "2026-03-03T07:00:00Z";
    let rates = relay(Preset::ExchangeOnline.limits());
    let both = [
        batch(NoticeKind::Weak, 9_000),
        batch(NoticeKind::Done, 9_000),
    ];
    let expected = foresee(&both, &rates, &london(), now);
    // Nine in ten of the day's ten thousand are for ordinary letters; the next go when the first are a day old.
    let days = days(&expected);
    assert_eq!(days[0], ("2026-03-03".to_owned(), 9_000));
    assert_eq!(days.len(), 2, "{days:?}");
    assert!(
        expected.ends > Some(at("2026-03-04T12:00:00Z")),
        "{expected:?}"
    );
    assert_eq!(expected.bound_by, Some(Why::PerDay));
    // Those about compromised accounts use what is kept for them.
    let urgent = [
        batch(NoticeKind::Compromised, 1_000),
        batch(NoticeKind::Weak, 9_000),
    ];
    let expected = foresee(&urgent, &rates, &london(), now);
    assert_eq!(expected.shares[0].last_at, Some(at("2026-03-03T07:33:18Z")));
    assert_eq!(expected.per_day[0].1, 9_000, "they count among all letters");
    assert_eq!(expected.per_day[1].1, 1_000);
}

#[test]
fn what_went_before_counts() {
    let now = at("2026-03-03T09:00:00Z");
    let rates = relay(Limits {
        per_day: Some(1_000),
        reserve_percent: 0,
        ..Limits::default()
    });
    let used = [crate::domain::rate::Sent {
        key: crate::domain::rate::Key::Relay,
        minute: minute_of(at("2026-03-02T15:00:00Z")),
        letters: 600,
        free_at: now,
    }];
    let asked = Forecast {
        batches: &[batch(NoticeKind::Weak, 500)],
        meter: &Meter::new(&rates, &used, now),
        calendar: &london(),
    };
    let expected = forecast(&asked, now);
    assert_eq!(expected.begins, Some(now));
    assert_eq!(expected.ends, Some(at("2026-03-03T15:01:00Z")));
    assert_eq!(expected.bound_by, Some(Why::PerDay));
}

#[test]
fn letters_rest_at_night_over_the_weekend_and_on_holidays() {
    let calendar = london().with_holidays(["2026-03-09".parse().unwrap()].into());
    // A Friday: two hours are left of it, and Monday is a holiday.
    let now = "2026-03-06T18:00:00Z";
    let expected = foresee(
        &[batch(NoticeKind::Weak, 9_000)],
        &paced(30),
        &calendar,
        now,
    );
    assert_eq!(
        days(&expected),
        [
            ("2026-03-06".to_owned(), 3_600),
            ("2026-03-10".to_owned(), 5_400)
        ]
    );
    assert_eq!(expected.ends, Some(at("2026-03-10T09:59:58Z")));
    assert_eq!(expected.bound_by, Some(Why::PerMinute));
    let words = expected.words("people", &paced(30), &calendar, at(now));
    assert_eq!(
        words,
        "9,000 people at 30 a minute: 4 days, done Tuesday 10:00"
    );
}

#[test]
fn at_night_everything_but_the_urgent_waits_for_the_morning() {
    let now = "2026-03-03T23:00:00Z";
    let both = [
        batch(NoticeKind::Compromised, 2),
        batch(NoticeKind::Weak, 10),
    ];
    let expected = foresee(&both, &Rates::default(), &london(), now);
    assert_eq!(expected.shares[0].last_at, Some(at(now)));
    assert_eq!(expected.shares[1].last_at, Some(at("2026-03-04T07:00:00Z")));
    assert_eq!(expected.bound_by, Some(Why::SendWindow));
    let alone = foresee(&both[1..], &Rates::default(), &london(), now);
    assert_eq!(alone.begins, Some(at("2026-03-04T07:00:00Z")));
    assert_eq!(alone.bound_by, None);
    assert_eq!(
        alone.words("people", &Rates::default(), &london(), at(now)),
        "10 people as fast as the relay takes them, from Wednesday 07:00"
    );
}

#[test]
fn a_day_on_which_the_clocks_change_is_as_long_as_it_is() {
    let always = london()
        .with_window(NaiveTime::MIN, NaiveTime::MIN)
        .unwrap()
        .with_workdays((0..7).map(|n| chrono::Weekday::try_from(n).unwrap()))
        .unwrap();
    // One letter a minute over the weekend of 28 March: its Sunday has 23 hours; that of 24 October has 25.
    for (now, saturday, sunday, hours) in [
        ("2026-03-28T00:00:00Z", "2026-03-28", "2026-03-29", 23),
        ("2026-10-23T23:00:00Z", "2026-10-24", "2026-10-25", 25),
    ] {
        let letters = (24 + hours) * 60;
        let expected = foresee(&[batch(NoticeKind::Weak, letters)], &paced(1), &always, now);
        assert_eq!(
            days(&expected),
            [
                (saturday.to_owned(), 24 * 60),
                (sunday.to_owned(), hours * 60)
            ]
        );
    }
    // Working hours are the same length by the clock on the wall.
    let expected = foresee(
        &[batch(NoticeKind::Weak, 2 * 13 * 60)],
        &paced(1),
        &london(),
        "2026-03-27T07:00:00Z",
    );
    assert_eq!(
        expected.ends,
        Some(at("2026-03-30T18:59:00Z")),
        "20:00 in summer time"
    );
}

#[test]
fn the_help_desk_sets_the_pace_of_first_notices_only() {
    let rates = Rates {
        people_per_hour: Some(1_000),
        ..Rates::default()
    };
    let both = [
        batch(NoticeKind::Weak, 3_000),
        batch(NoticeKind::Reminder1, 500),
    ];
    let expected = foresee(&both, &rates, &london(), "2026-03-03T09:00:00Z");
    assert_eq!(expected.bound_by, Some(Why::Wave));
    assert_eq!(expected.shares[0].last_at, Some(at("2026-03-03T11:02:00Z")));
    assert_eq!(expected.shares[1].last_at, Some(at("2026-03-03T09:00:00Z")));
}

#[test]
fn a_slow_domain_is_late_and_holds_up_no_other() {
    let mut rates = paced(600);
    rates.domains.push(DomainLimits {
        name: "slow.example".to_owned(),
        per_minute: Some(10),
        per_day: None,
        connections: None,
    });
    let slow = Batch {
        domain: "slow.example".to_owned(),
        ..batch(NoticeKind::Reminder1, 600)
    };
    let both = [slow, batch(NoticeKind::Weak, 6_000)];
    let expected = foresee(&both, &rates, &london(), "2026-03-03T09:00:00Z");
    assert_eq!(expected.ends, Some(at("2026-03-03T09:59:54Z")));
    assert!(
        expected.shares[1].last_at < Some(at("2026-03-03T09:11:00Z")),
        "{expected:?}"
    );
    assert_eq!(expected.bound_by, Some(Why::DomainPerMinute));
}

#[test]
fn letters_that_are_not_asked_about_take_their_place() {
    let ahead = Batch {
        is_asked: false,
        ..batch(NoticeKind::Breached, 600)
    };
    let behind = Batch {
        is_asked: false,
        ..batch(NoticeKind::Done, 600)
    };
    let all = [ahead, batch(NoticeKind::Weak, 60), behind];
    let expected = foresee(&all, &paced(60), &london(), "2026-03-03T09:00:00Z");
    assert_eq!((expected.letters, expected.shares.len()), (60, 1));
    assert_eq!(expected.begins, Some(at("2026-03-03T09:10:00Z")));
    assert_eq!(expected.ends, Some(at("2026-03-03T09:10:59Z")));
    assert_eq!(days(&expected), [("2026-03-03".to_owned(), 60)]);
}

#[test]
fn readers_in_another_zone_have_their_own_morning() {
    let there = Batch {
        zone: America::Los_Angeles,
        ..batch(NoticeKind::Weak, 5)
    };
    let both = [batch(NoticeKind::Weak, 5), there];
    let now = "2026-03-03T09:00:00Z";
    let expected = foresee(&both, &paced(60), &london(), now);
    assert_eq!(expected.begins, Some(at(now)));
    assert_eq!(expected.ends, Some(at("2026-03-03T15:00:04Z")));
    let unlimited = foresee(&both, &Rates::default(), &london(), now);
    assert_eq!(
        unlimited.words("people", &Rates::default(), &london(), at(now)),
        "10 people as fast as the relay takes them, from Tuesday 09:00, the last from Tuesday 15:00"
    );
    assert_eq!(days(&expected), [("2026-03-03".to_owned(), 10)]);
}

#[test]
fn nothing_to_say_is_said_at_once_and_what_never_goes_has_no_end() {
    let none = foresee(&[], &paced(30), &london(), "2026-03-03T09:00:00Z");
    assert_eq!(
        (none.letters, none.begins, none.ends, none.bound_by),
        (0, None, None, None)
    );
    let rates = relay(Limits {
        per_day: Some(1),
        ..Limits::default()
    });
    let never = foresee(
        &[batch(NoticeKind::Weak, 9_000)],
        &rates,
        &london(),
        "2026-03-03T09:00:00Z",
    );
    assert_eq!(never.ends, None);
    assert_eq!(never.shares[0].last_at, None);
    assert_eq!(never.bound_by, Some(Why::PerDay));
}

#[test]
fn a_million_letters_are_foreseen_at_once() {
    let million = [batch(NoticeKind::Weak, 1_000_000)];
    for rates in [paced(30), relay(Preset::ExchangeOnline.limits())] {
        let began = Instant::now();
        let expected = foresee(&million, &rates, &london(), "2026-03-03T09:00:00Z");
        let took = began.elapsed();
        assert!(
            expected.ends > Some(at("2026-04-28T00:00:00Z")),
            "{expected:?}"
        );
        assert_eq!(
            expected
                .per_day
                .iter()
                .map(|(_, letters)| letters)
                .sum::<u64>(),
            1_000_000
        );
        // Fifty milliseconds as it is shipped; this is the unoptimised build, on a machine that may be busy.
        assert!(took.as_millis() < 2_000, "{took:?}");
    }
}

/// What really happens: each letter asks the meter, the first that may go goes.
fn really(batch: &Batch, rates: &Rates, calendar: &Calendar, now: Moment) -> Moment {
    let mut meter = Meter::new(rates, &[], now);
    let letter = Asked {
        domain: &batch.domain,
        urgent: is_urgent(batch.kind, batch.category),
        first_notice: batch.kind.is_first(),
    };
    let mut now = now;
    for _ in 0..batch.letters {
        loop {
            now = release(batch.kind, batch.category, calendar, now).at(now);
            match meter.take(now, &letter) {
                Verdict::Now => break,
                Verdict::Later(at, _) => now = at,
            }
        }
    }
    now
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_forecast_comes_true(
        letters in 1_u64..1_500,
        per_minute in prop::option::of(1_u32..40),
        burst in 1_u32..5,
        per_day in prop::option::of(50_u32..900),
        wave in prop::option::of(20_u32..200),
        start in 0_i64..7 * 24 * 3600,
        kind in prop_oneof![Just(NoticeKind::Weak), Just(NoticeKind::Reminder1), Just(NoticeKind::Compromised)],
    ) {
        let rates = Rates {
            relay: Limits { per_minute, burst, per_day, ..Limits::default() },
            people_per_hour: wave,
            ..Rates::default()
        };
        let now = at("2026-03-24T00:00:00Z").plus(TimeDelta::seconds(start));
        let batch = batch(kind, letters);
        let expected = foresee(std::slice::from_ref(&batch), &rates, &london(), &now.to_string());
        prop_assert_eq!(expected.ends, Some(really(&batch, &rates, &london(), now)));
        prop_assert_eq!(expected.per_day.iter().map(|(_, letters)| letters).sum::<u64>(), letters);
    }
}
