//! The rule, consequence by consequence, and the laws it keeps.

use super::*;
use proptest::prelude::*;

const DUMP: &str = "2026-02-10T02:15:00Z";
const NOW: &str = "2026-02-20T08:00:00Z";

fn at(text: &str) -> Moment {
    text.parse().unwrap()
}

/// Found weak by the dump; the directory was not asked then.
fn weak() -> Found {
    Found {
        certain: true,
        category: Category::Weak,
        bad_as_of: at(DUMP),
        baseline: None,
        later_weak_as_of: None,
        later_clean_as_of: None,
    }
}

fn with_mark(text: Option<&str>, precision: Precision) -> Found {
    Found {
        baseline: Some(Baseline {
            changed_at: text.map(at),
            precision,
        }),
        ..weak()
    }
}

fn compromised() -> Found {
    Found {
        category: Category::Compromised,
        ..weak()
    }
}

fn silent() -> Evidence {
    Evidence {
        changed: None,
        secret_changed_at: None,
        pending: false,
        date_is_zero: false,
        disabled: false,
        exists: true,
        sessions_valid_from: None,
        actor: Actor::Unknown,
        observed_at: at(NOW),
    }
}

fn changed(text: &str) -> Evidence {
    Evidence {
        changed: Some(Change::at(at(text), Precision::Second)),
        ..silent()
    }
}

fn zero(secret: Option<&str>) -> Evidence {
    Evidence {
        date_is_zero: true,
        pending: true,
        secret_changed_at: secret.map(at),
        ..silent()
    }
}

fn standing(found: &Found, evidence: &Evidence) -> Standing {
    assess(found, Some(evidence), &Rule::default(), at(NOW))
}

#[test]
fn the_consequences_of_the_rule() {
    let second = Precision::Second;
    let day = |text: &str| Evidence {
        changed: Some(Change::at(at(text), Precision::Day)),
        ..silent()
    };
    let secret = |evidence: Evidence, text: &str| Evidence {
        secret_changed_at: Some(at(text)),
        ..evidence
    };
    let after = || changed("2026-02-16T09:00:00Z");
    for (name, found, evidence, expected) in [
        (
            "changed after the dump, before the report",
            weak(),
            changed("2026-02-11T10:00:00Z"),
            Standing::Reset,
        ),
        (
            "changed before the dump",
            weak(),
            changed("2026-02-09T10:00:00Z"),
            Standing::Open,
        ),
        (
            "at the very moment of the dump",
            weak(),
            changed(DUMP),
            Standing::Open,
        ),
        (
            "at the end of the skew",
            weak(),
            changed("2026-02-10T02:20:00Z"),
            Standing::Open,
        ),
        (
            "just after the skew",
            weak(),
            changed("2026-02-10T02:20:00.000001Z"),
            Standing::Reset,
        ),
        (
            "the directory's own mark needs no skew",
            with_mark(Some("2024-07-22T12:00:00Z"), Precision::Minute),
            changed("2026-02-10T02:17:00Z"),
            Standing::Reset,
        ),
        (
            "the same change told more exactly than the mark",
            with_mark(Some("2025-06-17T08:01:00Z"), Precision::Minute),
            changed("2025-06-17T08:01:05.4Z"),
            Standing::Open,
        ),
        (
            "the same change, mark to the second",
            with_mark(Some("2026-02-12T08:01:05Z"), second),
            changed("2026-02-12T08:01:05.4Z"),
            Standing::Open,
        ),
        (
            "a second later than the mark",
            with_mark(Some("2026-02-12T08:01:05Z"), second),
            changed("2026-02-12T08:01:06Z"),
            Standing::Reset,
        ),
        (
            "on the day of the dump, told to the day",
            weak(),
            day("2026-02-10T00:00:00Z"),
            Standing::Open,
        ),
        (
            "on the day after, told to the day",
            weak(),
            day("2026-02-11T00:00:00Z"),
            Standing::Reset,
        ),
        (
            "an administrator's reset",
            weak(),
            Evidence {
                actor: Actor::Admin,
                ..after()
            },
            Standing::Reset,
        ),
        (
            "an administrator's reset with must-change",
            weak(),
            Evidence {
                actor: Actor::Admin,
                pending: true,
                ..after()
            },
            Standing::Pending,
        ),
        (
            "the date moved, the secret did not",
            weak(),
            secret(after(), "2025-11-03T10:02:47Z"),
            Standing::Touched,
        ),
        (
            "date and secret changed",
            weak(),
            secret(after(), "2026-02-16T09:00:00Z"),
            Standing::Reset,
        ),
        (
            "must change, secret newer",
            weak(),
            zero(Some("2026-02-16T09:30:00Z")),
            Standing::Pending,
        ),
        (
            "must change as remediation, secret older",
            weak(),
            zero(Some("2025-09-01T08:00:00Z")),
            Standing::Open,
        ),
        (
            "must change, nothing else known",
            weak(),
            zero(None),
            Standing::Open,
        ),
        (
            "must change since the dump, when there was a date",
            with_mark(Some("2025-01-01T00:00:00Z"), second),
            zero(None),
            Standing::Pending,
        ),
        (
            "must change, as it did at the dump",
            with_mark(None, second),
            zero(None),
            Standing::Open,
        ),
        (
            "never at the dump, secret older than it",
            with_mark(None, second),
            zero(Some("2025-09-01T08:00:00Z")),
            Standing::Open,
        ),
        (
            "no date, but waiting for the person",
            weak(),
            Evidence {
                pending: true,
                ..silent()
            },
            Standing::Pending,
        ),
        ("no date at all", weak(), silent(), Standing::Unknown),
        (
            "a date in the future",
            weak(),
            changed("2026-03-01T09:00:00Z"),
            Standing::Hold,
        ),
        (
            "a secret in the future",
            weak(),
            secret(after(), "2026-03-01T09:00:00Z"),
            Standing::Hold,
        ),
        (
            "a date in the future of an account that waits",
            weak(),
            Evidence {
                pending: true,
                ..changed("2026-03-01T09:00:00Z")
            },
            Standing::Hold,
        ),
        (
            "disabled",
            weak(),
            Evidence {
                disabled: true,
                ..silent()
            },
            Standing::ClosedDisabled,
        ),
        (
            "deleted, proven by its id",
            weak(),
            Evidence {
                exists: false,
                ..silent()
            },
            Standing::ClosedDisabled,
        ),
        (
            "evidence too old",
            weak(),
            Evidence {
                observed_at: at("2026-02-12T08:00:00Z"),
                ..changed("2026-02-11T10:00:00Z")
            },
            Standing::Unknown,
        ),
        (
            "not certain, whatever else is known",
            Found {
                certain: false,
                ..weak()
            },
            Evidence {
                disabled: true,
                ..after()
            },
            Standing::Unmatched,
        ),
    ] {
        assert_eq!(standing(&found, &evidence), expected, "{name}");
    }
    assert_eq!(
        assess(&weak(), None, &Rule::default(), at(NOW)),
        Standing::Unknown
    );
}

#[test]
fn a_later_audit_reopens_or_verifies() {
    let evidence = changed("2026-02-16T09:00:00Z");
    let again = |text| Found {
        later_weak_as_of: Some(at(text)),
        ..weak()
    };
    let clean = |text| Found {
        later_clean_as_of: Some(at(text)),
        ..weak()
    };
    for (found, expected) in [
        (again("2026-02-18T02:15:00Z"), Standing::Reopened),
        (again("2026-02-16T09:00:00Z"), Standing::Reopened),
        // Taken before the change: it says nothing about the new password.
        (again("2026-02-16T08:59:59Z"), Standing::Reset),
        (clean("2026-02-18T02:15:00Z"), Standing::Verified),
        (clean("2026-02-16T09:00:00Z"), Standing::Reset),
        (
            Found {
                later_clean_as_of: Some(at("2026-02-19T00:00:00Z")),
                ..again("2026-02-18T02:15:00Z")
            },
            Standing::Reopened,
        ),
    ] {
        assert_eq!(standing(&found, &evidence), expected, "{found:?}");
    }
    // A change told to the day is over only when the day is.
    let by_day = Evidence {
        changed: Some(Change::at(at("2026-02-16T00:00:00Z"), Precision::Day)),
        ..silent()
    };
    assert_eq!(
        standing(&clean("2026-02-16T20:00:00Z"), &by_day),
        Standing::Reset
    );
    assert_eq!(
        standing(&clean("2026-02-17T00:00:00Z"), &by_day),
        Standing::Verified
    );
}

#[test]
fn a_compromised_account_needs_its_old_sessions_ended() {
    let rule = Rule {
        exposes_sessions: true,
        ..Rule::default()
    };
    let evidence = |sessions: Option<&str>| Evidence {
        sessions_valid_from: sessions.map(at),
        ..changed("2026-02-16T09:00:00Z")
    };
    for (found, sessions, expected) in [
        (compromised(), None, Standing::SessionsLive),
        (
            compromised(),
            Some("2026-02-10T02:14:59Z"),
            Standing::SessionsLive,
        ),
        (compromised(), Some(DUMP), Standing::Reset),
        (weak(), None, Standing::Reset),
    ] {
        let standing = assess(&found, Some(&evidence(sessions)), &rule, at(NOW));
        assert_eq!(standing, expected, "{sessions:?}");
    }
    // A realm that does not tell cannot be asked to.
    assert_eq!(standing(&compromised(), &evidence(None)), Standing::Reset);
}

#[test]
fn a_policy_may_want_compromised_people_to_choose_themselves() {
    let rule = Rule {
        self_change_required_for_compromised: true,
        ..Rule::default()
    };
    for (found, actor, expected) in [
        (compromised(), Actor::Admin, Standing::Pending),
        (compromised(), Actor::Myself, Standing::Reset),
        (compromised(), Actor::Unknown, Standing::Reset),
        (weak(), Actor::Admin, Standing::Reset),
    ] {
        let evidence = Evidence {
            actor,
            ..changed("2026-02-16T09:00:00Z")
        };
        assert_eq!(
            assess(&found, Some(&evidence), &rule, at(NOW)),
            expected,
            "{actor:?}"
        );
    }
}

#[test]
fn one_clock_needs_no_skew() {
    let evidence = changed("2026-02-10T02:15:49Z");
    let assess = |rule| assess(&weak(), Some(&evidence), &rule, at(NOW));
    assert_eq!(assess(Rule::same_clock()), Standing::Reset);
    assert_eq!(assess(Rule::default()), Standing::Open);
}

#[test]
fn a_secret_rounded_up_is_not_a_newer_one() {
    let found = with_mark(Some("2026-02-12T08:01:05.7Z"), Precision::Second);
    let evidence = |secret| Evidence {
        secret_changed_at: Some(at(secret)),
        ..changed("2026-02-16T09:00:00Z")
    };
    assert_eq!(
        standing(&found, &evidence("2026-02-12T08:01:06Z")),
        Standing::Touched
    );
    assert_eq!(
        standing(&found, &evidence("2026-02-12T08:01:08Z")),
        Standing::Reset
    );
}

#[test]
fn only_good_evidence_of_a_safe_account_closes_a_case() {
    let secret = Evidence {
        secret_changed_at: Some(at(DUMP)),
        ..changed(DUMP)
    };
    // Who moved a date says nothing about the secret.
    let named = Evidence {
        actor: Actor::Myself,
        ..changed(DUMP)
    };
    assert_eq!(grade(&secret), Grade::A);
    assert_eq!(grade(&named), Grade::B);
    assert_eq!(grade(&changed(DUMP)), Grade::B);
    assert_eq!(
        grade(&Evidence {
            disabled: true,
            ..silent()
        }),
        Grade::B
    );
    assert_eq!(
        grade(&Evidence {
            actor: Actor::Admin,
            ..silent()
        }),
        Grade::E
    );

    for standing in Standing::ALL {
        let safe = matches!(
            standing,
            Standing::Reset | Standing::Verified | Standing::ClosedDisabled
        );
        for (grade, good) in [
            (Grade::A, true),
            (Grade::B, true),
            (Grade::C, false),
            (Grade::D, false),
            (Grade::E, false),
        ] {
            assert_eq!(
                closes(standing, grade),
                safe && good,
                "{standing} {grade:?}"
            );
        }
        assert_eq!(Standing::from_word(standing.word()), Some(standing));
    }
}

#[test]
fn an_earlier_change_than_before_is_noticed() {
    let (early, late) = (
        changed("2026-02-11T10:00:00Z"),
        changed("2026-02-16T09:00:00Z"),
    );
    assert!(regresses(&late, &early));
    assert!(!regresses(&early, &late) && !regresses(&late, &late) && !regresses(&late, &silent()));
}

fn moments() -> impl Strategy<Value = Moment> {
    // Within a month of the dump, often within minutes.
    let dump = at(DUMP).micros();
    prop_oneof![
        (-30_i64 * 86_400..10 * 86_400)
            .prop_map(move |s| Moment::from_micros(dump + s * 1_000_000)),
        (-900_000_000_i64..900_000_000).prop_map(move |us| Moment::from_micros(dump + us)),
    ]
}

prop_compose! {
    fn any_evidence()(
        lo in proptest::option::of(moments()), secret in proptest::option::of(moments()),
        sessions in proptest::option::of(moments()), observed_at in moments(),
        flags in any::<[bool; 3]>(), kind in 0_u8..9, rare in 0_u8..20,
    ) -> Evidence {
        let precision = [Precision::Second, Precision::Minute, Precision::Day][usize::from(kind % 3)];
        Evidence {
            changed: lo.map(|lo| Change::at(lo, precision)),
            secret_changed_at: secret,
            pending: flags[0],
            date_is_zero: lo.is_none() && flags[1],
            disabled: rare == 0,
            exists: rare != 1,
            sessions_valid_from: sessions.filter(|_| flags[2]),
            actor: [Actor::Myself, Actor::Admin, Actor::Unknown][usize::from(kind / 3)],
            observed_at: observed_at.plus(TimeDelta::days(5)),
        }
    }
}

prop_compose! {
    fn any_found()(
        category in 0_usize..4, bad_as_of in moments(), mark in proptest::option::of(moments()),
        weak in proptest::option::of(moments()), clean in proptest::option::of(moments()), known: bool,
    ) -> Found {
        Found {
            certain: true,
            category: Category::ALL[category],
            bad_as_of,
            baseline: known.then_some(Baseline { changed_at: mark, precision: Precision::Minute }),
            later_weak_as_of: weak,
            later_clean_as_of: clean,
        }
    }
}

proptest! {
    #[test]
    fn evidence_that_is_not_newer_than_the_finding_never_resets(found in any_found(), evidence in any_evidence()) {
        let found = Found { baseline: None, ..found };
        let standing = standing(&found, &evidence);
        if standing.is_reset() {
            let change = evidence.changed.unwrap();
            prop_assert!(change.lo > found.bad_as_of.plus(TimeDelta::minutes(5)));
            prop_assert!(!evidence.pending && !evidence.disabled && evidence.exists);
            prop_assert!(evidence.secret_changed_at.is_none_or(|secret| secret > found.bad_as_of));
            prop_assert!(found.later_weak_as_of.is_none_or(|again| again < change.lo));
        }
    }

    #[test]
    fn a_later_finding_never_turns_an_open_case_into_a_reset(
        found in any_found(), evidence in any_evidence(), later in 0_i64..1_000_000_000_000,
    ) {
        let later = Found { bad_as_of: found.bad_as_of.plus(TimeDelta::microseconds(later)), ..found };
        if standing(&later, &evidence).is_reset() {
            prop_assert!(standing(&found, &evidence).is_reset());
        }
    }

    #[test]
    fn a_later_change_that_is_not_in_the_future_never_takes_a_reset_away(
        found in any_found(), evidence in any_evidence(), later in 0_i64..1_000_000_000_000,
    ) {
        let before = standing(&found, &evidence);
        if let (true, Some(change)) = (before.is_reset(), evidence.changed) {
            let lo = change.lo.plus(TimeDelta::microseconds(later));
            let moved = Evidence { changed: Some(Change::at(lo, change.precision)), ..evidence };
            prop_assert!(lo > at(NOW) || standing(&found, &moved).is_reset());
        }
    }

    #[test]
    fn an_uncertain_match_is_never_anything_else(found in any_found(), evidence in any_evidence()) {
        let found = Found { certain: false, ..found };
        prop_assert_eq!(standing(&found, &evidence), Standing::Unmatched);
    }
}
