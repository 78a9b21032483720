//! The timetables of the facts page, and what is left of them after the service was down.

use super::*;
use chrono::NaiveDateTime;
use chrono_tz::Europe::London;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn london() -> Calendar {
    Calendar::new(London)
}

fn at(local: &str) -> Moment {
    london().moment(NaiveDateTime::parse_from_str(local, "%Y-%m-%d %H:%M").unwrap())
}

fn table(category: Category, first: &str) -> Timetable {
    Ladder::standard(category).schedule(at(first), &london())
}

#[test]
fn the_standard_ladders_are_the_timetable_of_the_facts_page() {
    // First told on Tuesday 10 February 2026 at 11:15.
    let first = "2026-02-10 11:15";
    for (category, deadline, rungs) in [
        (
            Category::Weak,
            "2026-02-24 17:00",
            vec![
                (Rung::Reminder1, "2026-02-16 10:00"),
                (Rung::Reminder2, "2026-02-19 10:00"),
                (Rung::ReminderFinal, "2026-02-23 10:00"),
                (Rung::Manager, "2026-02-27 10:00"),
                (Rung::HandOver, "2026-03-02 10:00"),
            ],
        ),
        (
            Category::Attacked,
            "2026-02-13 17:00",
            vec![
                (Rung::Reminder1, "2026-02-11 10:00"),
                (Rung::Reminder2, "2026-02-12 10:00"),
                (Rung::ReminderFinal, "2026-02-13 13:00"),
                (Rung::Manager, "2026-02-17 10:00"),
                (Rung::HandOver, "2026-02-18 10:00"),
            ],
        ),
        (
            Category::Breached,
            "2026-02-12 17:00",
            vec![
                (Rung::Reminder1, "2026-02-11 10:00"),
                (Rung::ReminderFinal, "2026-02-12 13:00"),
                (Rung::Manager, "2026-02-13 10:00"),
                (Rung::HandOver, "2026-02-16 10:00"),
            ],
        ),
        (
            Category::Compromised,
            "2026-02-11 11:15",
            vec![
                (Rung::Task, first),
                (Rung::Manager, first),
                (Rung::Overdue1, "2026-02-10 15:15"),
                (Rung::Overdue2, "2026-02-11 11:15"),
            ],
        ),
    ] {
        let expected: Vec<_> = rungs
            .into_iter()
            .map(|(rung, when)| (rung, at(when)))
            .collect();
        let table = table(category, first);
        assert_eq!(table.rungs, expected, "{category}");
        assert_eq!(table.deadline, at(deadline), "{category}");
        Ladder::standard(category).check().unwrap();
    }
}

#[test]
fn a_task_for_a_person_runs_through_the_weekend_and_a_reminder_does_not() {
    // Friday evening.
    let first = "2026-02-13 19:30";
    assert_eq!(
        table(Category::Compromised, first).at(Rung::Overdue1),
        Some(at("2026-02-13 23:30"))
    );
    let breached = table(Category::Breached, first);
    assert_eq!(breached.at(Rung::Reminder1), Some(at("2026-02-16 10:00")));
    assert_eq!(breached.deadline, at("2026-02-17 17:00"));
}

#[test]
fn missed_rungs_are_merged_and_each_rung_is_climbed_once() {
    use Rung::*;
    let weak = table(Category::Weak, "2026-02-10 11:15");
    for (now, already, expected) in [
        ("2026-02-16 09:59", vec![], None),
        ("2026-02-16 10:00", vec![], Some(Reminder1)),
        ("2026-02-16 10:00", vec![Reminder1], None),
        // Down from the first to the second: only the second goes, the first never.
        ("2026-02-19 10:00", vec![], Some(Reminder2)),
        ("2026-02-19 10:00", vec![Reminder2], None),
        ("2026-02-23 10:00", vec![Reminder1], Some(ReminderFinal)),
        ("2026-02-24 16:59", vec![], Some(ReminderFinal)),
        // A case that moved to a longer ladder after its last reminder starts no new series.
        ("2026-02-16 10:00", vec![ReminderFinal], None),
        // At the deadline no reminder goes any more.
        ("2026-02-24 17:00", vec![Reminder1], None),
        ("2026-02-27 10:00", vec![Reminder1], Some(Manager)),
        // Nobody was reminded, so the manager cannot be told that they were.
        ("2026-02-27 10:00", vec![], None),
        ("2026-03-02 10:00", vec![Reminder2], Some(Manager)),
        ("2026-03-02 10:00", vec![Reminder2, Manager], Some(HandOver)),
        ("2026-03-02 10:00", vec![], Some(HandOver)),
        ("2026-03-02 10:00", vec![Reminder2, HandOver], None),
        ("2027-03-02 10:00", vec![Reminder2, Manager, HandOver], None),
    ] {
        assert_eq!(weak.due(at(now), &already), expected, "{now} {already:?}");
    }
}

#[test]
fn a_task_comes_first_and_of_two_naggings_only_the_later() {
    use Rung::*;
    let table = table(Category::Compromised, "2026-02-10 11:15");
    for (now, already, expected) in [
        ("2026-02-10 11:15", vec![], Some(Task)),
        ("2026-02-10 11:15", vec![Task], Some(Manager)),
        ("2026-02-10 11:15", vec![Task, Manager], None),
        ("2026-02-10 15:15", vec![Task, Manager], Some(Overdue1)),
        ("2026-02-11 11:15", vec![Task, Manager], Some(Overdue2)),
        ("2026-02-11 11:15", vec![Task, Manager, Overdue2], None),
        ("2026-02-12 11:15", vec![], Some(Task)),
    ] {
        assert_eq!(table.due(at(now), &already), expected, "{now} {already:?}");
    }
}

#[test]
fn reminders_are_numbered_as_planned() {
    let breached = table(Category::Breached, "2026-02-10 11:15");
    assert_eq!(breached.reminder_number(Rung::Reminder1), Some((1, 2)));
    assert_eq!(breached.reminder_number(Rung::ReminderFinal), Some((2, 2)));
    assert_eq!(breached.reminder_number(Rung::Reminder2), None);
    let weak = table(Category::Weak, "2026-02-10 11:15");
    assert_eq!(weak.reminder_number(Rung::ReminderFinal), Some((3, 3)));
    assert_eq!(weak.reminder_number(Rung::Manager), None);
}

#[test]
fn a_plan_shows_the_next_rung() {
    let weak = table(Category::Weak, "2026-02-10 11:15");
    assert_eq!(
        weak.next(at("2026-02-16 10:00"), &[]),
        Some((Rung::Reminder2, at("2026-02-19 10:00")))
    );
    assert_eq!(weak.next(at("2026-03-02 10:00"), &[]), None);
}

#[test]
fn the_manager_can_be_left_out() {
    let ladder = Ladder::standard(Category::Weak).without_manager();
    ladder.check().unwrap();
    let table = ladder.schedule(at("2026-02-10 11:15"), &london());
    assert_eq!(
        table.due(at("2026-03-02 10:00"), &[Rung::Reminder1]),
        Some(Rung::HandOver)
    );
}

#[test]
fn what_is_frozen_reads_back_the_same() {
    for category in Category::ALL {
        let ladder = Ladder::standard(category);
        assert_eq!(Ladder::from_json(&ladder.to_json()), Ok(ladder));
    }
    assert_eq!(
        Ladder::standard(Category::Breached).to_json(),
        concat!(
            r#"{"category":"breached","due":{"day":2},"due_at":"17:00:00","remind_at":"10:00:00","steps":["#,
            r#"{"rung":"reminder.1","when":{"day":1}},"#,
            r#"{"rung":"reminder.final","when":{"hours_before_deadline":4}},"#,
            r#"{"rung":"manager","when":{"days_after_deadline":1}},"#,
            r#"{"rung":"hand_over","when":{"days_after_deadline":2}}],"demand":"block_sign_in"}"#
        )
    );
    assert_eq!(Ladder::from_json("{}"), Err(BadLadder::Json));
    for rung in Rung::ALL {
        assert_eq!(Rung::from_word(rung.word()), Some(rung));
        assert_eq!(serde_json::to_string(&rung).unwrap(), format!("\"{rung}\""));
    }
}

#[test]
fn ladders_that_would_do_harm_are_refused() {
    let with = |category, steps: &[(Rung, When)]| {
        let mut ladder = Ladder::standard(category);
        ladder.steps = steps
            .iter()
            .map(|&(rung, when)| Step { rung, when })
            .collect();
        ladder.check()
    };
    use {BadLadder::*, Rung::*, When::*};
    for (category, steps, expected) in [
        (
            Category::Weak,
            vec![(Reminder1, Day(1)), (Reminder1, Day(2))],
            Twice(Reminder1),
        ),
        (
            Category::Weak,
            vec![(Reminder1, Day(3)), (Reminder2, Day(2))],
            Order(Reminder2),
        ),
        (
            Category::Weak,
            vec![(Reminder1, Day(2)), (Reminder2, Day(2))],
            Order(Reminder2),
        ),
        (
            Category::Weak,
            vec![(ReminderFinal, Day(11))],
            Order(ReminderFinal),
        ),
        (
            Category::Weak,
            vec![(Reminder1, Hours(0))],
            Order(Reminder1),
        ),
        (Category::Weak, vec![(HandOver, Day(3))], Order(HandOver)),
        (
            Category::Weak,
            vec![
                (Manager, DaysAfterDeadline(3)),
                (HandOver, DaysAfterDeadline(2)),
            ],
            Order(HandOver),
        ),
        (Category::Weak, vec![(Reminder1, Day(u32::MAX))], Range),
        (Category::Weak, vec![(Reminder1, Day(0))], Range),
        (
            Category::Compromised,
            vec![(Reminder1, Hours(2))],
            CompromisedByMail,
        ),
    ] {
        assert_eq!(with(category, &steps), Err(expected), "{steps:?}");
    }
}

proptest! {
    /// 2016 to 2040, with a fortnight of holidays somewhere.
    #[test]
    fn reminders_lie_in_the_window_between_first_notice_and_deadline(
        seconds in 1_451_606_400_i64..2_240_524_800, off in 0_u64..40, which in 0_usize..4,
    ) {
        let first = Moment::from_micros(seconds * 1_000_000);
        let from = london().local(first).date() + chrono::Days::new(off);
        let holidays: BTreeSet<_> = from.iter_days().take(14).collect();
        let calendar = london().with_holidays(holidays);
        let table = Ladder::standard(Category::ALL[which]).schedule(first, &calendar);
        prop_assert!(table.deadline > first);
        prop_assert!(table.rungs.is_sorted_by_key(|&(_, at)| at));
        for &(rung, at) in table.rungs.iter().filter(|(rung, _)| rung.is_reminder()) {
            prop_assert!(first < at && at < table.deadline, "{rung}");
            prop_assert!(calendar.is_sendable(at), "{rung}");
        }
    }

    /// Whatever gaps the service had, a case sends at most three reminders, in order, and comes to an end.
    #[test]
    fn climbing_never_repeats_and_never_goes_back(
        which in 0_usize..4, mut looks in proptest::collection::vec(0_i64..50 * 86_400, 0..60),
    ) {
        let first = at("2026-02-10 11:15");
        let table = Ladder::standard(Category::ALL[which]).schedule(first, &london());
        looks.sort_unstable();
        let mut climbed: Vec<Rung> = Vec::new();
        for look in looks {
            let now = first.plus(TimeDelta::seconds(look));
            while let Some(rung) = table.due(now, &climbed) {
                prop_assert!(!climbed.contains(&rung));
                prop_assert!(table.at(rung).unwrap() <= now);
                let lower = climbed.iter().all(|&before| !before.merges_with(rung) || before < rung);
                prop_assert!(lower, "{climbed:?} then {rung}");
                climbed.push(rung);
            }
        }
        let reminders = climbed.iter().filter(|rung| rung.is_reminder()).count();
        prop_assert!(reminders <= MOST_REMINDERS);
    }
}
