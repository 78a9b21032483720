//! No window is ever exceeded, nobody waits for ever, and who is told "later" may go then.

use proptest::prelude::*;

use super::*;
use crate::domain::rate::{DomainLimits, Limits};

const START: Moment = Moment::from_micros(1_770_000_000_000_000);
const DAY: i64 = 86_400_000_000;

fn after(micros: i64) -> Moment {
    START.plus(TimeDelta::microseconds(micros))
}

fn at(text: &str) -> Moment {
    text.parse().unwrap()
}

fn ordinary(domain: &str) -> Asked<'_> {
    Asked {
        domain,
        urgent: false,
        first_notice: true,
    }
}

fn urgent(domain: &str) -> Asked<'_> {
    Asked {
        urgent: true,
        ..ordinary(domain)
    }
}

fn rates(per_minute: Option<u32>, burst: u32, per_day: Option<u32>) -> Rates {
    Rates {
        relay: Limits {
            per_minute,
            burst,
            per_day,
            ..Limits::default()
        },
        ..Rates::default()
    }
}

#[test]
fn without_limits_everything_goes_and_nothing_is_counted() {
    let mut meter = Meter::new(&Rates::default(), &[], START);
    for _ in 0..1000 {
        assert_eq!(meter.take(START, &ordinary("parl.example")), Verdict::Now);
    }
    assert_eq!(meter.taken(), []);
    assert_eq!(meter.room(START, false, 64), 64);
}

#[test]
fn a_letter_every_two_seconds_at_thirty_a_minute() {
    let mut meter = Meter::new(&rates(Some(30), 1, None), &[], START);
    assert_eq!(meter.room(START, false, 64), 1);
    assert_eq!(meter.take(START, &ordinary("a.example")), Verdict::Now);
    assert_eq!(meter.room(START, false, 64), 0);
    let later = Verdict::Later(after(2_000_000), Why::PerMinute);
    assert_eq!(meter.take(START, &ordinary("a.example")), later);
    assert_eq!(
        meter.take(after(2_000_000), &ordinary("a.example")),
        Verdict::Now
    );
}

#[test]
fn a_burst_goes_at_once_and_then_the_pace_is_even() {
    let mut meter = Meter::new(&rates(Some(30), 5, None), &[], START);
    assert_eq!(meter.room(START, false, 64), 5);
    for _ in 0..5 {
        assert_eq!(meter.take(START, &ordinary("a.example")), Verdict::Now);
    }
    let later = Verdict::Later(after(2_000_000), Why::PerMinute);
    assert_eq!(meter.take(START, &ordinary("a.example")), later);
}

#[test]
fn a_tenth_of_the_day_is_kept_for_compromised_accounts() {
    let mut meter = Meter::new(&rates(None, 1, Some(20)), &[], START);
    for _ in 0..18 {
        assert_eq!(meter.take(START, &ordinary("a.example")), Verdict::Now);
    }
    let Verdict::Later(opens, why) = meter.take(START, &ordinary("a.example")) else {
        panic!("the nineteenth went")
    };
    assert_eq!(why, Why::PerDay);
    // The whole minute of the first has to be a day old.
    assert!(
        opens > after(DAY) && opens <= after(DAY + MINUTE),
        "{opens}"
    );
    for _ in 0..2 {
        assert_eq!(meter.take(START, &urgent("a.example")), Verdict::Now);
    }
    assert_eq!(
        meter.take(START, &urgent("a.example")),
        Verdict::Later(opens, Why::PerDay)
    );
    assert_eq!(meter.take(opens, &ordinary("a.example")), Verdict::Now);
}

#[test]
fn a_window_of_one_letter_is_for_everybody() {
    let mut meter = Meter::new(&rates(None, 1, Some(1)), &[], START);
    assert_eq!(meter.take(START, &ordinary("a.example")), Verdict::Now);
}

#[test]
fn a_full_domain_holds_up_no_other_and_costs_the_relay_nothing() {
    let mut limited = rates(None, 1, Some(100));
    limited.domains.push(DomainLimits {
        name: "slow.example".to_owned(),
        per_minute: Some(1),
        per_day: None,
        connections: None,
    });
    let mut meter = Meter::new(&limited, &[], START);
    assert_eq!(meter.take(START, &ordinary("slow.example")), Verdict::Now);
    let later = Verdict::Later(after(MINUTE), Why::DomainPerMinute);
    for _ in 0..200 {
        assert_eq!(meter.take(START, &ordinary("slow.example")), later);
    }
    for _ in 0..89 {
        assert_eq!(meter.take(START, &ordinary("other.example")), Verdict::Now);
    }
    let taken: Vec<(Key, i64)> = meter
        .taken()
        .into_iter()
        .map(|sent| (sent.key, sent.letters))
        .collect();
    let slow = Key::Domain("slow.example".to_owned());
    assert_eq!(taken, [(Key::Relay, 90), (slow, 1)]);
    assert_eq!(meter.taken(), []);
}

#[test]
fn a_wave_holds_first_notices_and_neither_reminders_nor_compromised_accounts() {
    let mut limited = Rates {
        people_per_hour: Some(3),
        ..Rates::default()
    };
    limited.relay.reserve_percent = 10;
    let mut meter = Meter::new(&limited, &[], at("2026-03-02T09:00:30Z"));
    let now = at("2026-03-02T09:00:30Z");
    for _ in 0..2 {
        assert_eq!(meter.take(now, &ordinary("a.example")), Verdict::Now);
    }
    // They count: the help desk hears from them as well.
    assert_eq!(meter.take(now, &urgent("a.example")), Verdict::Now);
    let later = Verdict::Later(at("2026-03-02T10:01:00Z"), Why::Wave);
    assert_eq!(meter.take(now, &ordinary("a.example")), later);
    assert_eq!(meter.take(now, &urgent("a.example")), Verdict::Now);
    let reminder = Asked {
        first_notice: false,
        ..ordinary("a.example")
    };
    assert_eq!(meter.take(now, &reminder), Verdict::Now);
}

#[test]
fn what_was_given_back_makes_room() {
    let mut meter = Meter::new(&rates(None, 1, Some(1)), &[], START);
    assert_eq!(meter.take(START, &ordinary("a.example")), Verdict::Now);
    assert!(matches!(
        meter.look(START, &ordinary("a.example")),
        Verdict::Later(..)
    ));
    meter.give_back(START, &ordinary("a.example"));
    assert_eq!(meter.look(START, &ordinary("a.example")), Verdict::Now);
    assert_eq!(meter.taken()[0].letters, 0);
}

#[test]
fn a_restart_changes_nothing() {
    let limited = rates(Some(30), 3, Some(10));
    let mut meter = Meter::new(&limited, &[], START);
    let mut stored = Vec::new();
    for nth in 0..12 {
        let now = after(nth * 700_000);
        let kept = Meter::new(&limited, &stored, now);
        assert_eq!(
            kept.look(now, &ordinary("a.example")),
            meter.look(now, &ordinary("a.example")),
            "{nth}"
        );
        meter.take(now, &ordinary("a.example"));
        stored.extend(meter.taken());
    }
}

#[test]
fn a_clock_that_was_set_back_a_year_stops_nobody_for_a_year() {
    let limited = rates(Some(30), 1, Some(10));
    let future = Sent {
        key: Key::Relay,
        minute: minute_of(after(365 * DAY)),
        letters: 10,
        free_at: after(365 * DAY),
    };
    let meter = Meter::new(&limited, &[future], START);
    let Verdict::Later(opens, Why::PerDay) = meter.look(START, &ordinary("a.example")) else {
        panic!("a full window is open")
    };
    assert!(opens <= after(DAY + MINUTE), "{opens}");
}

/// A letter asks, some time after the one before.
#[derive(Clone, Copy, Debug)]
struct Ask {
    wait: i64,
    domain: &'static str,
    urgent: bool,
    first_notice: bool,
}

fn asks() -> impl Strategy<Value = Vec<Ask>> {
    let wait = prop_oneof![
        4 => 0_i64..2_000_000,
        2 => 0_i64..120_000_000,
        1 => 0_i64..8 * 3_600_000_000,
    ];
    let domain = prop_oneof![Just("slow.example"), Just("other.example")];
    let ask = (wait, domain, prop::bool::weighted(0.2), any::<bool>());
    let ask = ask.prop_map(|(wait, domain, urgent, first_notice)| Ask {
        wait,
        domain,
        urgent,
        first_notice,
    });
    prop::collection::vec(ask, 1..200)
}

fn some_rates() -> impl Strategy<Value = Rates> {
    let small = || prop::option::of(1_u32..20);
    (
        small(),
        1_u32..6,
        small(),
        0_u8..100,
        small(),
        small(),
        small(),
    )
        .prop_map(
            |(per_minute, burst, per_day, reserve_percent, slow_minute, slow_day, wave)| Rates {
                relay: Limits {
                    per_minute,
                    burst,
                    per_day,
                    reserve_percent,
                    connections: None,
                },
                domains: vec![DomainLimits {
                    name: "slow.example".to_owned(),
                    per_minute: slow_minute,
                    per_day: slow_day,
                    connections: None,
                }],
                people_per_hour: wave,
            },
        )
}

/// The most of these moments that lie in any span of this length, its end left out.
fn most_within(moments: &[i64], span: i64) -> i64 {
    let mut most = 0;
    let mut first = 0;
    for (nth, moment) in moments.iter().enumerate() {
        while moments[first] <= moment - span {
            first += 1;
        }
        most = most.max(nth + 1 - first);
    }
    most as i64
}

proptest! {
    #[test]
    fn no_window_is_ever_exceeded(rates in some_rates(), asks in asks(), restarts in any::<u64>()) {
        let mut meter = Meter::new(&rates, &[], START);
        let mut stored: Vec<Sent> = Vec::new();
        let mut now = START;
        let mut gone: Vec<(i64, Ask)> = Vec::new();
        for (nth, ask) in asks.iter().enumerate() {
            now = now.plus(TimeDelta::microseconds(ask.wait));
            let letter = Asked { domain: ask.domain, urgent: ask.urgent, first_notice: ask.first_notice };
            if restarts >> (nth % 64) & 1 == 1 {
                stored.extend(meter.taken());
                meter = Meter::new(&rates, &stored, now);
            }
            if meter.take(now, &letter) == Verdict::Now {
                gone.push((now.micros(), *ask));
            }
        }
        let moments = |wanted: &dyn Fn(&Ask) -> bool| -> Vec<i64> {
            gone.iter().filter(|(_, ask)| wanted(ask)).map(|(at, _)| *at).collect()
        };
        let (all, slow) = (moments(&|_| true), moments(&|ask| ask.domain == "slow.example"));
        let reserve = |all: u32| i64::from(all) - i64::from(all) * i64::from(rates.relay.reserve_percent) / 100;
        if let Some(per_minute) = rates.relay.per_minute {
            prop_assert!(most_within(&all, MINUTE) < i64::from(per_minute + rates.relay.burst));
        }
        if let Some(per_day) = rates.relay.per_day {
            prop_assert!(most_within(&all, DAY) <= i64::from(per_day));
            prop_assert!(most_within(&moments(&|ask| !ask.urgent), DAY) <= reserve(per_day).max(1));
        }
        let domain = &rates.domains[0];
        if let Some(per_minute) = domain.per_minute {
            let burst = rates.relay.burst.min(per_minute);
            prop_assert!(most_within(&slow, MINUTE) < i64::from(per_minute + burst));
        }
        if let Some(per_day) = domain.per_day {
            prop_assert!(most_within(&slow, DAY) <= i64::from(per_day));
        }
        if let Some(wave) = rates.people_per_hour {
            let first = moments(&|ask| ask.first_notice && !ask.urgent);
            prop_assert!(most_within(&first, 3_600_000_000) <= i64::from(wave));
        }
    }

    #[test]
    fn who_is_told_later_may_go_then_and_later_comes_within_a_day(rates in some_rates(), asks in asks()) {
        let mut meter = Meter::new(&rates, &[], START);
        let mut now = START;
        for ask in asks {
            now = now.plus(TimeDelta::microseconds(ask.wait));
            let letter = Asked { domain: ask.domain, urgent: ask.urgent, first_notice: ask.first_notice };
            let looked = meter.look(now, &letter);
            prop_assert_eq!(looked, meter.clone().take(now, &letter));
            if let Verdict::Later(at, _) = meter.take(now, &letter) {
                prop_assert!(at > now);
                prop_assert!(at.since(now) <= TimeDelta::microseconds(DAY + MINUTE));
                prop_assert_eq!(meter.clone().take(at, &letter), Verdict::Now);
                // Not a microsecond too late either.
                let before = at.minus(TimeDelta::microseconds(1));
                prop_assert!(before < now || meter.look(before, &letter) != Verdict::Now);
            }
        }
    }

    #[test]
    fn of_equal_letters_none_overtakes_one_that_asked_before(rates in some_rates(), asks in asks(), wait in 0_i64..DAY) {
        let mut meter = Meter::new(&rates, &[], START);
        let mut now = START;
        for ask in asks {
            now = now.plus(TimeDelta::microseconds(ask.wait));
            let letter = Asked { domain: ask.domain, urgent: ask.urgent, first_notice: ask.first_notice };
            let first = meter.look(now, &letter).at(now);
            let later = now.plus(TimeDelta::microseconds(wait));
            prop_assert!(meter.look(later, &letter).at(later) >= first);
            // Whoever goes first pushes nobody forward.
            meter.take(now, &letter);
            prop_assert!(meter.look(now, &letter).at(now) >= first);
        }
    }
}
