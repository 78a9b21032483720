//! What a report says about cases, from the definitions of section 7 down to the last cell.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;
use crate::domain::ids::PersonId;
use crate::domain::notice::NoticeKind;
use Category::{Attacked, Breached, Weak};

fn day(days: i64) -> Moment {
    "2026-02-01T09:00:00Z"
        .parse::<Moment>()
        .unwrap()
        .plus(TimeDelta::days(days))
}

fn hours(after: Moment, hours: i64) -> Moment {
    after.plus(TimeDelta::hours(hours))
}

fn header(as_of: Moment) -> Header {
    Header {
        organisation: "Example Parliament".to_owned(),
        scope: "Attack of February".to_owned(),
        as_of,
        generated_at: None,
        zone: chrono_tz::Europe::London,
        product: "division-bell 0.1.0".to_owned(),
        config_sha256: "c0".repeat(32),
        templates_sha256: "7e".repeat(32),
    }
}

fn case(id: i64, category: Category) -> CaseFacts {
    CaseFacts::open(CaseId(id), category, "Library", day(0))
}

fn report(cases: &[CaseFacts], as_of: Moment, readers: Readers) -> Report {
    with(cases, as_of, readers, Surroundings::default())
}

fn with(cases: &[CaseFacts], as_of: Moment, readers: Readers, around: Surroundings) -> Report {
    let mut builder = ReportBuilder::new(as_of, readers);
    cases.iter().for_each(|case| builder.case(case));
    builder.finish(header(as_of), around, None)
}

fn exactly(cases: &[CaseFacts], as_of: Moment) -> BTreeMap<&'static str, String> {
    let report = report(cases, as_of, Readers::Restricted);
    report
        .headline
        .iter()
        .map(|line| (line.key, line.value.to_string()))
        .collect()
}

#[test]
fn each_headline_figure_follows_its_definition() {
    let told = |id| CaseFacts {
        notice_at: Some(day(1)),
        deadline_at: Some(day(4)),
        person: Some(PersonId(id)),
        ..case(id, Weak)
    };
    let cases = [
        // Reset in time.
        CaseFacts {
            reset_at: Some(day(2)),
            recheck_pending: true,
            ..told(1)
        },
        // Reset too late.
        CaseFacts {
            reset_at: Some(day(6)),
            ..told(2)
        },
        // Disabled in time.
        CaseFacts {
            disabled_at: Some(day(3)),
            ..told(3)
        },
        // Overdue.
        told(4),
        // Exempt at the deadline and now: neither due nor overdue.
        CaseFacts {
            exempt: vec![(day(2), day(20))],
            ..told(5)
        },
        // Exempt at the deadline, no longer now: not due, but overdue again.
        CaseFacts {
            exempt: vec![(day(2), day(5))],
            ..told(6)
        },
        // Safe before the notice.
        CaseFacts {
            reset_at: Some(hours(day(0), 5)),
            ..told(7)
        },
        // Reset early, deadline ahead: not yet due.
        CaseFacts {
            reset_at: Some(day(2)),
            deadline_at: Some(day(30)),
            ..told(8)
        },
        // Tried in vain; due all the same.
        CaseFacts {
            deadline_at: Some(day(4)),
            undeliverable: true,
            ..case(9, Weak)
        },
        // Waiting for its wave.
        case(10, Weak),
        // Withdrawn, and superseded: in no figure but their own.
        CaseFacts {
            withdrawn: true,
            reset_at: Some(day(2)),
            ..told(11)
        },
        CaseFacts {
            reset_at: Some(day(2)),
            superseded_at: Some(day(7)),
            ..told(12)
        },
        // A change before the finding is no reset.
        CaseFacts {
            reset_at: Some(day(-1)),
            ..told(13)
        },
    ];
    let figures = exactly(&cases, day(10));
    for (key, text) in [
        ("made_safe", "5 of 11 (45.5 %)"),
        ("reset", "4 of 11 (36.4 %)"),
        ("recheck_pending", "1"),
        ("open", "6"),
        ("on_time", "3 of 7 (42.9 %)"),
        ("overdue", "4"),
        ("told", "9 of 11 (81.8 %)"),
        ("not_told", "2"),
        ("undeliverable", "1"),
        ("safe_before_told", "1"),
        ("exceptions", "1"),
        ("withdrawn", "1"),
        ("reopened", "1"),
        ("relapse", "n/a"),
        ("possible_duplicates", "n/a"),
    ] {
        assert_eq!(figures[key], text, "{key}");
    }
}

#[test]
fn nothing_due_is_not_a_perfect_score() {
    let early = CaseFacts {
        deadline_at: Some(day(9)),
        reset_at: Some(day(1)),
        ..case(1, Weak)
    };
    assert_eq!(exactly(&[early], day(2))["on_time"], "n/a");
    assert_eq!(exactly(&[], day(2))["made_safe"], "n/a");
}

#[test]
fn what_lies_after_the_as_of_instant_has_not_happened() {
    let later = CaseFacts {
        notice_at: Some(day(5)),
        reset_at: Some(day(6)),
        superseded_at: Some(day(7)),
        ..case(1, Weak)
    };
    let figures = exactly(&[later], day(4));
    assert_eq!(figures["reset"], "0 of 1 (0.0 %)");
    assert_eq!(figures["told"], "0 of 1 (0.0 %)");
    assert_eq!(figures["reopened"], "0");
}

#[test]
fn the_reset_rate_at_a_time_has_only_mature_cases_on_both_sides() {
    let told = |id, at| CaseFacts {
        notice_at: Some(at),
        ..case(id, Breached)
    };
    let cases = [
        CaseFacts {
            reset_at: Some(hours(day(1), 24)),
            ..told(1, day(1))
        },
        CaseFacts {
            reset_at: Some(hours(day(1), 25)),
            ..told(2, day(1))
        },
        told(3, day(1)),
        // Told an hour ago and reset at once: not mature.
        CaseFacts {
            reset_at: Some(hours(day(9), 23)),
            ..told(4, hours(day(9), 23))
        },
        // Safe before being told: on neither side.
        CaseFacts {
            disabled_at: Some(hours(day(0), 1)),
            ..told(5, day(1))
        },
    ];
    let report = report(&cases, day(10), Readers::Restricted);
    let rates: Vec<String> = report.rates.rows[0]
        .rates
        .iter()
        .map(Ratio::to_string)
        .collect();
    assert_eq!(
        rates,
        [
            "1 of 3 (33.3 %)",
            "2 of 3 (66.7 %)",
            "2 of 3 (66.7 %)",
            "n/a",
            "n/a",
            "n/a"
        ]
    );
    let target = report
        .targets
        .iter()
        .find(|row| row.category == Breached)
        .unwrap();
    assert_eq!((target.when, target.reached), ("72 h", Some(false)));
}

#[test]
fn a_target_is_judged_by_counts_and_never_against_what_is_withheld() {
    let rows = |reset: i64| {
        let cases: Vec<CaseFacts> = (1..=2000)
            .map(|id| CaseFacts {
                notice_at: Some(day(1)),
                reset_at: (id <= reset).then(|| day(2)),
                ..case(id, Breached)
            })
            .collect();
        let report = report(&cases, day(10), Readers::Wider);
        report
            .targets
            .iter()
            .find(|row| row.category == Breached)
            .unwrap()
            .clone()
    };
    // 89.95 % prints as 90.0 %, and is none.
    assert_eq!(rows(1799).measured.to_string(), "1,799 of 2,000 (90.0 %)");
    assert_eq!(rows(1799).reached, Some(false));
    assert_eq!(rows(1800).reached, Some(true));
    assert_eq!(rows(3).reached, None);
}

#[test]
fn a_relapse_is_counted_once_its_ninety_days_have_passed() {
    let reset = |id| CaseFacts {
        reset_at: Some(day(1)),
        ..case(id, Weak)
    };
    let cases = [
        reset(1),
        CaseFacts {
            superseded_at: Some(day(40)),
            ..reset(2)
        },
        CaseFacts {
            superseded_at: Some(day(95)),
            ..reset(3)
        },
        CaseFacts {
            reset_at: Some(day(50)),
            superseded_at: Some(day(60)),
            ..case(4, Weak)
        },
    ];
    assert_eq!(exactly(&cases, day(90))["relapse"], "n/a");
    assert_eq!(exactly(&cases, day(100))["relapse"], "1 of 3 (33.3 %)");
}

#[test]
fn reminders_are_judged_by_the_three_days_after_them() {
    let mailed = |id| CaseFacts {
        notice_at: Some(day(1)),
        reminders: vec![(1, day(2)), (2, day(8))],
        ..case(id, Weak)
    };
    let cases = [
        CaseFacts {
            reset_at: Some(day(3)),
            ..mailed(1)
        },
        CaseFacts {
            reset_at: Some(day(6)),
            ..mailed(2)
        },
        mailed(3),
        // Safe before the reminder: it should not have been mailed, and is not counted.
        CaseFacts {
            disabled_at: Some(day(1)),
            ..mailed(4)
        },
    ];
    let told = |as_of| -> Vec<String> {
        let waves = report(&cases, as_of, Readers::Restricted).reminder_yield;
        waves
            .iter()
            .map(|row| format!("{}: {}", row.wave, row.reset))
            .collect()
    };
    assert_eq!(told(day(10)), ["1: 1 of 3 (33.3 %)"]);
    assert_eq!(told(day(11)), ["1: 1 of 3 (33.3 %)", "2: 0 of 1 (0.0 %)"]);
}

#[test]
fn times_are_kaplan_and_meiers_with_the_disabled_as_a_competing_outcome() {
    // The first test vector, in hours from the notice; 5 (the second) and 20 are disabled.
    let data = [
        (2, 'r'),
        (5, 'r'),
        (5, 'd'),
        (8, '+'),
        (12, 'r'),
        (20, 'd'),
        (24, '+'),
        (30, 'r'),
        (48, '+'),
        (72, '+'),
    ];
    let as_of = day(0);
    let cases: Vec<CaseFacts> = data
        .iter()
        .zip(1..)
        .map(|((at, ending), id)| {
            let told = match ending {
                '+' => hours(as_of, -at),
                _ => hours(as_of, -100),
            };
            let ended = hours(told, *at);
            CaseFacts {
                found_at: told,
                opened_at: told,
                notice_at: Some(told),
                reset_at: (*ending == 'r').then_some(ended),
                disabled_at: (*ending == 'd').then_some(ended),
                ..case(id, Attacked)
            }
        })
        .collect();
    let report = report(&cases, as_of, Readers::Restricted);
    assert_eq!(
        report.time_to_safe.median.to_string(),
        "20 h (95 %: 2 h to not reached)"
    );
    let mark = report
        .time_to_reset
        .marks
        .iter()
        .find(|mark| mark.after == Lasting(48 * lasting::HOUR));
    let mark = mark.unwrap();
    assert_eq!((mark.reset, mark.disabled), (Some(472), Some(217)));
}

#[test]
fn an_event_before_its_origin_is_counted_and_left_out() {
    let gone = CaseFacts {
        disabled_at: Some(day(-3)),
        ..case(1, Weak)
    };
    let report = report(&[gone, case(2, Weak)], day(3), Readers::Restricted);
    assert_eq!(report.time_to_safe.left_out_impossible, Cell::Count(1));
    assert_eq!(report.time_to_safe.cases, Cell::Count(1));
}

#[test]
fn overdue_cases_are_listed_oldest_first_with_what_comes_next() {
    let late = |id, due, told: bool| CaseFacts {
        deadline_at: Some(due),
        notice_at: told.then_some(day(1)),
        ..case(id, Weak)
    };
    let mut cases: Vec<CaseFacts> = (11..=30).map(|id| late(id, day(8), true)).collect();
    cases.push(CaseFacts {
        handed_over_at: Some(day(9)),
        ..late(6, day(2), true)
    });
    cases.push(late(7, day(5), false));
    let exact = report(&cases, day(10), Readers::Restricted);
    let listed: Vec<(i64, NextStep)> = exact
        .overdue
        .cases
        .iter()
        .take(3)
        .map(|case| (case.id.0, case.next_step))
        .collect();
    assert_eq!(
        listed,
        [
            (6, NextStep::AwaitForcedChange),
            (7, NextStep::ReachAnotherWay),
            (11, NextStep::HandOver)
        ]
    );
    let ages: Vec<u64> = exact
        .overdue
        .by_age
        .iter()
        .filter_map(|(_, cell)| cell.count())
        .collect();
    assert_eq!(ages, [0, 20, 1, 1, 0]);

    let wider = report(&cases, day(10), Readers::Wider);
    assert_eq!(wider.overdue.total, Cell::Count(22));
    assert_eq!(wider.overdue.cases.len(), 22);
    assert!(
        wider.overdue.cases[0].age.is_none(),
        "its age would tell how few are that old"
    );
    assert!(
        report(&cases, day(10), Readers::AggregateOnly)
            .overdue
            .cases
            .is_empty()
    );
    assert!(
        report(&cases[19..], day(10), Readers::Wider)
            .overdue
            .cases
            .is_empty()
    );
}

#[test]
fn a_group_of_fewer_than_five_shows_nothing_but_that_it_is_small() {
    let mut cases: Vec<CaseFacts> = (1..=30).map(|id| case(id, Weak)).collect();
    for case in &mut cases[..3] {
        case.department = "Vote Office".to_owned();
        case.reset_at = Some(day(1));
    }
    let report = report(&cases, day(3), Readers::Wider);
    let row = report
        .by_department
        .rows
        .iter()
        .find(|row| row.department.as_deref() == Some("Vote Office"));
    let row = row.unwrap();
    assert_eq!(row.valid, Cell::Few);
    assert_eq!(
        (row.safe.to_string(), row.on_time.to_string()),
        ("hidden".into(), "n/a".into())
    );
    // The only other department would give it away.
    let other = report
        .by_department
        .rows
        .iter()
        .find(|row| row.department.as_deref() == Some("Library"));
    assert_eq!(other.unwrap().valid.count(), None);
}

#[test]
fn the_order_of_the_cases_changes_nothing() {
    let cases: Vec<CaseFacts> = (0..60)
        .map(|id| CaseFacts {
            department: format!("Office {}", id % 7),
            notice_at: Some(day(1)),
            deadline_at: Some(day(2 + id % 5)),
            reset_at: (id % 3 == 0).then(|| day(2 + id % 4)),
            ..case(id, Category::ALL[id as usize % 4])
        })
        .collect();
    let backwards: Vec<CaseFacts> = cases.iter().rev().cloned().collect();
    for readers in [Readers::Restricted, Readers::Wider, Readers::AggregateOnly] {
        assert_eq!(
            report(&cases, day(9), readers),
            report(&backwards, day(9), readers)
        );
    }
}

#[test]
fn deliveries_are_summed_over_their_kinds() {
    let facts = DeliveryFacts {
        attempted: 40,
        accepted: 30,
        refused: 6,
        trying: 4,
        in_doubt: 8,
        ..DeliveryFacts::default()
    };
    let around = Surroundings {
        deliveries: vec![(NoticeKind::Weak, facts), (NoticeKind::Reminder1, facts)],
        ..Surroundings::default()
    };
    let report = with(
        &[case(1, Weak)],
        day(1),
        Readers::Restricted,
        around.clone(),
    );
    assert_eq!(
        report.delivery.total.accepted.to_string(),
        "60 of 80 (75.0 %)"
    );
    assert_eq!(
        report.delivery.total.in_doubt.to_string(),
        "16 of 80 (20.0 %)"
    );
    let wider = with(&[case(1, Weak)], day(1), Readers::Wider, around);
    assert_eq!(wider.delivery.rows[0].trying, Cell::Few);
}

#[test]
fn a_report_of_many_departments_with_small_numbers_is_made_in_no_time() {
    let mut builder = ReportBuilder::new(day(9), Readers::Wider);
    for id in 0..9_000i64 {
        builder.case(&CaseFacts {
            department: format!("Office {}", (id * id) % 401),
            notice_at: Some(day(1)),
            deadline_at: Some(day(4)),
            reset_at: (id % 7 != 0).then(|| day(2)),
            disabled_at: (id % 35 == 0).then(|| day(3)),
            ..case(id, Category::ALL[(id % 4) as usize])
        });
    }
    let report = builder.finish(header(day(9)), Surroundings::default(), None);
    assert_eq!(report.by_department.total.valid, Cell::Count(9_000));
    assert!(report.by_department.rows.len() > 100);
}

#[test]
fn a_hundred_thousand_cases_are_held_as_counters_and_spans() {
    let mut builder = ReportBuilder::new(day(30), Readers::Wider);
    let departments = 50;
    for id in 0..100_000 {
        builder.case(&CaseFacts {
            department: format!("Department {}", id % departments),
            person: Some(PersonId(id)),
            deadline_at: Some(day(3)),
            reminders: vec![(1, day(1)), (2, day(2))],
            exempt: vec![(day(1), day(2))],
            ..case(id, Category::ALL[id as usize % 4])
        });
    }
    // Of a case itself there remain a number for its person, and two spans of time of 16 bytes each.
    assert_eq!(builder.people.len(), 100_000);
    assert_eq!(builder.departments.len(), departments as usize);
    assert_eq!(builder.waves.len(), 2);
    assert_eq!(builder.listed().len(), count::LISTED);
    let report = builder.finish(header(day(30)), Surroundings::default(), None);
    assert_eq!(report.overdue.cases.len(), 0, "they were taken out above");
    assert!(report.burn_down.points.len() <= 140);
    assert_eq!(report.by_category.total.valid, Cell::Count(100_000));
}

fn any_case() -> impl Strategy<Value = CaseFacts> {
    let when = || proptest::option::of(0i64..20);
    (
        0usize..4,
        0usize..3,
        when(),
        when(),
        when(),
        when(),
        any::<bool>(),
    )
        .prop_map(
            |(category, office, notice, deadline, reset, disabled, exempt)| CaseFacts {
                department: ["Library", "Hansard", "Vote Office"][office].to_owned(),
                notice_at: notice.map(day),
                deadline_at: deadline.map(day),
                reset_at: reset.map(day),
                disabled_at: disabled.map(day),
                exempt: if exempt {
                    vec![(day(3), day(9))]
                } else {
                    Vec::new()
                },
                ..case(1, Category::ALL[category])
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn parts_add_up_to_their_totals(cases in proptest::collection::vec(any_case(), 0..80)) {
        let report = report(&cases, day(12), Readers::Restricted);
        let count = |cell: Cell| cell.count().unwrap();
        let total = &report.by_category.total;
        let rows = &report.by_category.rows;
        prop_assert_eq!(rows.iter().map(|row| count(row.valid)).sum::<u64>(), cases.len() as u64);
        prop_assert_eq!(rows.iter().map(|row| count(row.overdue)).sum::<u64>(), count(total.overdue));
        prop_assert_eq!(count(total.safe.numerator) + count(total.open), count(total.valid));
        prop_assert!(count(total.reset.numerator) <= count(total.safe.numerator));
        prop_assert!(count(total.on_time.numerator) <= count(total.on_time.denominator));
        prop_assert!(count(total.overdue) <= count(total.open));
        let departments = &report.by_department.rows;
        prop_assert_eq!(departments.iter().map(|row| count(row.due)).sum::<u64>(), count(total.on_time.denominator));
        let aged: u64 = report.overdue.by_age.iter().map(|(_, cell)| count(*cell)).sum();
        prop_assert_eq!(aged, count(total.overdue));
        let last = report.burn_down.points.last().unwrap();
        prop_assert_eq!(last.open.iter().map(|cell| count(*cell)).sum::<u64>(), count(total.open));
    }

    #[test]
    fn wider_readers_see_no_small_number_and_nothing_that_contradicts_the_truth(
        cases in proptest::collection::vec(any_case(), 0..60)
    ) {
        let exact = report(&cases, day(12), Readers::Restricted);
        let wider = report(&cases, day(12), Readers::Wider);
        let (mut truth, mut shown) = (Vec::new(), Vec::new());
        cells(&serde_json::to_value(exact.by_department).unwrap(), &mut truth);
        cells(&serde_json::to_value(wider.by_department).unwrap(), &mut shown);
        prop_assert_eq!(truth.len(), shown.len());
        for (truth, shown) in truth.iter().zip(&shown) {
            let small = truth.as_u64().is_some_and(|count| (1..=4).contains(&count));
            match shown.as_u64() {
                Some(count) => prop_assert!(!small && truth.as_u64() == Some(count)),
                None => prop_assert!(shown.is_string()),
            }
        }
    }
}

/// Every count in a table: numbers and the words that stand for withheld ones.
fn cells(value: &serde_json::Value, found: &mut Vec<serde_json::Value>) {
    match value {
        serde_json::Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| *name != "percent" && *name != "department")
            .for_each(|(_, value)| cells(value, found)),
        serde_json::Value::Array(rows) => rows.iter().for_each(|row| cells(row, found)),
        other => found.push(other.clone()),
    }
}
