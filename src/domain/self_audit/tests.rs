use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;

fn hour(n: i64) -> Moment {
    Moment::from_micros(1_772_438_400_000_000).plus(TimeDelta::hours(n))
}

fn timetable() -> Timetable {
    Timetable {
        deadline: hour(240),
        rungs: vec![
            (Rung::Reminder1, hour(96)),
            (Rung::Reminder2, hour(168)),
            (Rung::ReminderFinal, hour(216)),
            (Rung::HandOver, hour(312)),
        ],
    }
}

fn letter(kind: NoticeKind, at: i64) -> WatchedLetter {
    WatchedLetter {
        kind,
        is_queued: false,
        due_at: hour(at),
        was_tried: true,
    }
}

/// A case whose person was told at hour 0, and reminded as planned until `climbed`.
fn told(climbed: &[Rung]) -> Watched {
    let mut letters = vec![letter(NoticeKind::Weak, 0)];
    letters.extend(
        climbed
            .iter()
            .filter_map(|rung| Some(letter(rung.notice()?, 0))),
    );
    Watched {
        case: CaseId(7),
        opened_at: hour(-1),
        is_told: true,
        rests_until: None,
        tasks: 0,
        deadline_at: Some(hour(240)),
        has_owner: false,
        is_blocked: false,
        is_handed_over: false,
        thread: Some(WatchedThread {
            id: 1,
            is_running: true,
            campaign: CampaignState::Running,
            timetable: Some(timetable()),
            climbed: climbed.to_vec(),
            letters,
        }),
    }
}

fn gaps(case: &Watched, now: Moment) -> Vec<Gap> {
    judge(case, &Grace::default(), now).gaps
}

#[test]
fn a_ladder_that_was_climbed_has_no_gap_and_one_that_was_forgotten_has() {
    use Rung::{HandOver, Reminder1, Reminder2, ReminderFinal};
    assert_eq!(gaps(&told(&[]), hour(95)), []);
    assert_eq!(gaps(&told(&[]), hour(96)), [], "just now");
    assert_eq!(gaps(&told(&[]), hour(98)), [Gap::RungMissing]);
    let whole = told(&[Reminder1, Reminder2, ReminderFinal]);
    assert_eq!(gaps(&whole, hour(250)), []);
    assert_eq!(judge(&whole, &Grace::default(), hour(250)).taken, 3);
    let mut over = told(&[Reminder1, Reminder2, ReminderFinal, HandOver]);
    assert_eq!(gaps(&over, hour(320)), [Gap::HandOverMissing]);
    over.is_handed_over = true;
    assert_eq!(gaps(&over, hour(320)), []);
}

#[test]
fn a_step_that_was_rightly_left_out_says_why() {
    let missed = |change: &dyn Fn(&mut Watched)| {
        let mut case = told(&[Rung::Reminder1]);
        if let Some(thread) = &mut case.thread {
            thread.letters.truncate(1);
        }
        change(&mut case);
        let verdict = judge(&case, &Grace::default(), hour(97));
        (
            verdict.gaps,
            verdict.excused.into_keys().collect::<Vec<_>>(),
        )
    };
    assert_eq!(missed(&|_| {}), (vec![Gap::ReminderMissing], vec![]));
    assert_eq!(
        missed(&|case| case.rests_until = Some(hour(100))),
        (vec![], vec![Excuse::Resting])
    );
    assert_eq!(
        missed(&|case| case.is_told = false),
        (vec![], vec![Excuse::NotReached])
    );
    assert_eq!(
        missed(&|case| case.tasks = 1),
        (vec![], vec![Excuse::NotReached])
    );
    let mut late = told(&[Rung::Reminder1, Rung::Reminder2, Rung::ReminderFinal]);
    if let Some(thread) = &mut late.thread {
        thread.letters.truncate(3);
    }
    assert_eq!(gaps(&late, hour(239)), [Gap::ReminderMissing]);
    let verdict = judge(&late, &Grace::default(), hour(240));
    assert_eq!(
        (verdict.gaps, verdict.excused[&Excuse::TooLate]),
        (vec![], 1)
    );
    let merged = missed(&|case| {
        let thread = case.thread.as_mut().unwrap();
        thread.climbed.push(Rung::Reminder2);
        thread.letters.push(letter(NoticeKind::Reminder2, 97));
    });
    assert_eq!(merged, (vec![], vec![Excuse::Merged]));
    for state in [CampaignState::Paused, CampaignState::Stopped] {
        let paused = missed(&|case| case.thread.as_mut().unwrap().campaign = state);
        assert_eq!(paused, (vec![], vec![Excuse::Paused]));
    }
}

#[test]
fn a_case_without_a_conversation_has_an_owner_or_is_young_or_rests() {
    let lone = Watched {
        thread: None,
        is_told: false,
        ..told(&[])
    };
    assert_eq!(gaps(&lone, hour(10)), []);
    assert_eq!(gaps(&lone, hour(30)), [Gap::NoNextStep]);
    assert_eq!(
        gaps(
            &Watched {
                tasks: 1,
                ..lone.clone()
            },
            hour(30)
        ),
        []
    );
    assert_eq!(
        gaps(
            &Watched {
                rests_until: Some(hour(40)),
                ..lone
            },
            hour(30)
        ),
        []
    );
}

#[test]
fn who_was_told_by_hand_has_an_owner_until_the_deadline_and_is_handed_over_then() {
    let by_hand = Watched {
        thread: None,
        has_owner: true,
        ..told(&[])
    };
    assert_eq!(gaps(&by_hand, hour(239)), []);
    assert_eq!(gaps(&by_hand, hour(242)), [Gap::NoNextStep]);
    let handed = Watched {
        is_handed_over: true,
        ..by_hand.clone()
    };
    assert_eq!(gaps(&handed, hour(242)), []);
    let blocked = Watched {
        is_blocked: true,
        ..by_hand.clone()
    };
    assert_eq!(gaps(&blocked, hour(999)), []);
    let nobody = Watched {
        has_owner: false,
        ..by_hand
    };
    assert_eq!(gaps(&nobody, hour(30)), [Gap::NoNextStep]);
}

#[test]
fn what_happened_twice_or_lies_idle_is_found() {
    let mut case = told(&[Rung::Reminder1]);
    case.thread
        .as_mut()
        .unwrap()
        .letters
        .push(letter(NoticeKind::Reminder1, 97));
    assert_eq!(gaps(&case, hour(98)), [Gap::ReminderTwice]);
    let mut case = told(&[]);
    let idle = WatchedLetter {
        is_queued: true,
        was_tried: false,
        ..letter(NoticeKind::Weak, 0)
    };
    case.thread.as_mut().unwrap().letters = vec![idle];
    assert_eq!(gaps(&case, hour(1)), []);
    assert_eq!(gaps(&case, hour(3)), [Gap::LetterIdle]);
    let held = Grace {
        held_back: true,
        ..Grace::default()
    };
    let verdict = judge(&case, &held, hour(3));
    assert_eq!(
        (verdict.gaps, verdict.excused[&Excuse::HeldBack]),
        (vec![], 1)
    );
    let mut started = told(&[]);
    started.thread.as_mut().unwrap().is_running = false;
    assert_eq!(gaps(&started, hour(1)), [Gap::NoticeMissing]);
}

proptest! {
    #[test]
    fn every_rung_that_is_due_is_taken_excused_or_a_gap(
        climbed in proptest::sample::subsequence(Rung::ALL.to_vec(), 0..8), now in -10_i64..400, rests in proptest::option::of(-10_i64..400),
        tasks in 0_u64..2, is_told in any::<bool>(), is_handed_over in any::<bool>(),
    ) {
        let case = Watched { rests_until: rests.map(hour), tasks, is_told, is_handed_over, ..told(&climbed) };
        let verdict = judge(&case, &Grace::default(), hour(now));
        let due = timetable().rungs.iter().filter(|(_, at)| *at <= hour(now)).count() as u64;
        let seen = verdict.taken + verdict.excused.values().sum::<u64>();
        prop_assert!(seen <= due);
        prop_assert!(seen == due || !verdict.gaps.is_empty());
    }
}
