//! Who is told by which way, and what never happens.

use proptest::prelude::*;

use super::*;

const NOW: Moment = Moment::from_micros(1_000_000_000);

fn reader() -> Reader {
    Reader {
        address: EmailAddress::parse("ada@parl.example").ok(),
        second_address: EmailAddress::parse("ada@home.example").ok(),
        mobile: None,
        room: None,
        is_read_by_others: false,
        not_by: Vec::new(),
        enabled: true,
        left: false,
    }
}

fn case(category: Category) -> Tellable {
    Tellable {
        category,
        route: Route::Holder,
        standing: Standing::Open,
        contained_at: None,
        contain_override_at: None,
        exempt_until: None,
    }
}

#[test]
fn who_is_told_and_why_not() {
    use Category::{Breached, Compromised, Weak};
    let later = Some(NOW.plus(chrono::TimeDelta::hours(1)));
    let contained = Tellable {
        contained_at: Some(NOW),
        ..case(Compromised)
    };
    let owned = Tellable {
        route: Route::Owner,
        ..contained
    };
    let nobody = Reader {
        address: None,
        second_address: None,
        ..reader()
    };
    let alone = Reader {
        second_address: None,
        ..reader()
    };
    let tell = |_kind: NoticeKind, category, to: &str, about: &[usize]| {
        let to = EmailAddress::parse(to).unwrap();
        let to = if to.domain() == "home.example" {
            Destination::SecondMail(to)
        } else {
            Destination::Mail(to)
        };
        Decision::Tell {
            telling: match category {
                Compromised => Telling::Compromised {
                    to: SafeWay(to),
                    contained: Contained {
                        since: NOW,
                        overridden: false,
                    },
                },
                Breached => Telling::Breached(to),
                Category::Attacked => Telling::Attacked(to),
                Weak => Telling::Weak(to),
            },
            about: about.to_vec(),
        }
    };
    for (reader, cases, expected) in [
        (
            Some(reader()),
            vec![case(Weak)],
            tell(NoticeKind::Weak, Weak, "ada@parl.example", &[0]),
        ),
        (
            Some(reader()),
            vec![case(Weak), case(Breached)],
            tell(NoticeKind::Breached, Breached, "ada@parl.example", &[0, 1]),
        ),
        (
            Some(reader()),
            vec![case(Compromised)],
            Decision::Not(WhyNot::NotContained),
        ),
        (
            Some(reader()),
            vec![case(Weak), case(Compromised)],
            Decision::Not(WhyNot::NotContained),
        ),
        (
            Some(reader()),
            vec![contained],
            tell(
                NoticeKind::Compromised,
                Compromised,
                "ada@home.example",
                &[0],
            ),
        ),
        (
            Some(alone.clone()),
            vec![contained],
            Decision::Not(WhyNot::OnlyAffectedMailbox),
        ),
        (
            Some(alone),
            vec![owned],
            tell(
                NoticeKind::Compromised,
                Compromised,
                "ada@parl.example",
                &[0],
            ),
        ),
        (
            Some(nobody),
            vec![case(Weak)],
            Decision::Not(WhyNot::NoAddress),
        ),
        // Past those who read their mailbox for them, or by a human being.
        (
            Some(Reader {
                is_read_by_others: true,
                ..reader()
            }),
            vec![case(Weak)],
            tell(NoticeKind::Weak, Weak, "ada@home.example", &[0]),
        ),
        (
            Some(Reader {
                is_read_by_others: true,
                second_address: None,
                ..reader()
            }),
            vec![case(Weak)],
            Decision::Not(WhyNot::ReadByOthers),
        ),
        (
            Some(Reader {
                enabled: false,
                ..reader()
            }),
            vec![case(Weak)],
            Decision::Not(WhyNot::Disabled),
        ),
        (
            Some(Reader {
                left: true,
                ..reader()
            }),
            vec![case(Weak)],
            Decision::Not(WhyNot::Left),
        ),
        (
            Some(reader()),
            vec![Tellable {
                exempt_until: later,
                ..case(Weak)
            }],
            Decision::Not(WhyNot::Exempt),
        ),
        (
            Some(reader()),
            vec![
                Tellable {
                    exempt_until: later,
                    ..case(Breached)
                },
                case(Weak),
            ],
            tell(NoticeKind::Weak, Weak, "ada@parl.example", &[1]),
        ),
        (
            Some(reader()),
            vec![Tellable {
                standing: Standing::Hold,
                ..case(Weak)
            }],
            Decision::Not(WhyNot::OnHold),
        ),
        (None, vec![case(Weak)], Decision::Not(WhyNot::Operators)),
    ] {
        assert_eq!(
            decide(reader.as_ref(), &cases, &Ways::default(), NOW),
            expected,
            "{cases:?}"
        );
    }
}

#[test]
fn the_class_comes_first_and_within_it_the_earlier_deadline() {
    use Category::{Attacked, Breached, Compromised, Weak};
    let hours = |hours| Some(NOW.plus(chrono::TimeDelta::hours(hours)));
    let order = [
        priority(Compromised, NoticeKind::Compromised, hours(24)),
        priority(Compromised, NoticeKind::Compromised, None),
        priority(Breached, NoticeKind::Breached, hours(48)),
        priority(Breached, NoticeKind::Breached, hours(49)),
        priority(Attacked, NoticeKind::Attacked, hours(1)),
        priority(Weak, NoticeKind::Weak, hours(1)),
        priority(Weak, NoticeKind::Weak, hours(240)),
        priority(Weak, NoticeKind::Weak, None),
        priority(Weak, NoticeKind::ReminderFinal, hours(4)),
        priority(Breached, NoticeKind::ReminderFinal, hours(5)),
        priority(Weak, NoticeKind::Reminder2, hours(1)),
        priority(Breached, NoticeKind::Reminder1, hours(2)),
        priority(Compromised, NoticeKind::Done, None),
    ];
    assert!(order.is_sorted_by(|a, b| a < b), "{order:?}");
    let escalation = (Urgency::Escalation as i64) << DEADLINE_BITS;
    assert!(order[1] < escalation && escalation < order[2]);
    assert!(Urgency::IncidentOrAccess < Urgency::Escalation);
}

#[test]
fn a_deadline_at_the_ends_of_time_stays_in_its_class() {
    for micros in [i64::MIN, -1, 0, i64::MAX] {
        let one = priority(
            Category::Weak,
            NoticeKind::Weak,
            Some(Moment::from_micros(micros)),
        );
        assert_eq!(one >> DEADLINE_BITS, Urgency::FirstWeak as i64, "{micros}");
    }
}

/// Where somebody is told, or why not.
fn way(reader: &Reader, cases: &[Tellable], ways: &Ways) -> Result<Way, WhyNot> {
    match decide(Some(reader), cases, ways, NOW) {
        Decision::Tell { telling, .. } => Ok(telling.to().way()),
        Decision::Not(why) => Err(why),
    }
}

#[test]
fn ways_are_tried_in_their_order_and_each_once() {
    let all = Reader {
        mobile: Mobile::parse("+447700900123").ok(),
        room: Room::new("Room 4.12"),
        ..reader()
    };
    let mut ways = Ways::default();
    let order = vec![
        Way::Mail,
        Way::SecondMail,
        Way::Sms,
        Way::Letter,
        Way::Person,
    ];
    ways.set(Category::Weak, order.clone()).unwrap();
    let mut not_by = Vec::new();
    for expected in &order[..4] {
        let reader = Reader {
            not_by: not_by.clone(),
            ..all.clone()
        };
        assert_eq!(way(&reader, &[case(Category::Weak)], &ways), Ok(*expected));
        not_by.push(*expected);
    }
    let reader = Reader {
        not_by,
        ..all.clone()
    };
    assert_eq!(
        way(&reader, &[case(Category::Weak)], &ways),
        Err(WhyNot::NoAddress)
    );
    ways.set(Category::Weak, vec![Way::Person]).unwrap();
    assert_eq!(
        way(&all, &[case(Category::Weak)], &ways),
        Err(WhyNot::ByPerson)
    );
    // A victim who can be texted is texted; one whom only the post reaches gets a letter.
    let contained = Tellable {
        contained_at: Some(NOW),
        ..case(Category::Compromised)
    };
    let texted = Reader {
        second_address: None,
        ..all.clone()
    };
    assert_eq!(way(&texted, &[contained], &ways), Ok(Way::Sms));
    assert_eq!(
        way(&texted, &[contained], &ways.clone().without(Way::Sms)),
        Ok(Way::Letter)
    );
}

#[test]
fn the_incident_lead_can_have_somebody_told_before_containment_but_not_in_the_affected_mailbox() {
    let overridden = Tellable {
        contain_override_at: Some(NOW),
        ..case(Category::Compromised)
    };
    let Decision::Tell {
        telling: Telling::Compromised { to, contained },
        ..
    } = decide(Some(&reader()), &[overridden], &Ways::default(), NOW)
    else {
        panic!("nobody is told")
    };
    assert!(contained.is_overridden());
    assert_eq!(to.destination().way(), Way::SecondMail);
    let alone = Reader {
        second_address: None,
        ..reader()
    };
    assert_eq!(
        way(&alone, &[overridden], &Ways::default()),
        Err(WhyNot::OnlyAffectedMailbox)
    );
    // A second address that is the same mailbox under another tag is no second one.
    for second in ["ADA@parl.example", "ada+home@PARL.example"] {
        let same = Reader {
            second_address: EmailAddress::parse(second).ok(),
            ..reader()
        };
        assert_eq!(
            way(&same, &[overridden], &Ways::default()),
            Err(WhyNot::OnlyAffectedMailbox),
            "{second}"
        );
    }
}

fn some_moment() -> impl Strategy<Value = Option<Moment>> {
    prop::option::of((-2_i64..3).prop_map(|hours| NOW.plus(chrono::TimeDelta::hours(hours))))
}

prop_compose! {
    fn some_case()(
        category in prop::sample::select(Category::ALL.to_vec()),
        route in prop::sample::select(vec![Route::Holder, Route::Owner, Route::Operators]),
        standing in prop::sample::select(vec![Standing::Open, Standing::Hold]),
        contained_at in some_moment(),
        contain_override_at in some_moment(),
        exempt_until in some_moment(),
    ) -> Tellable {
        Tellable { category, route, standing, contained_at, contain_override_at, exempt_until }
    }
}

prop_compose! {
    fn some_reader()(
        address in prop::option::of(prop::sample::select(vec!["ada@parl.example", "ada+x@parl.example"])),
        second in prop::option::of(prop::sample::select(vec!["ada@home.example", "Ada@PARL.example", "ada+y@parl.example"])),
        mobile in any::<bool>(),
        room in any::<bool>(),
        not_by in prop::sample::subsequence(Way::ALL.to_vec(), 0..=5),
        enabled in any::<bool>(),
    ) -> Reader {
        let parse = |text: Option<&str>| text.and_then(|text| EmailAddress::parse(text).ok());
        Reader {
            address: parse(address),
            second_address: parse(second),
            mobile: Mobile::parse("+447700900123").ok().filter(|_| mobile),
            room: Room::new("Room 4.12").filter(|_| room),
            is_read_by_others: false,
            not_by,
            enabled,
            left: false,
        }
    }
}

prop_compose! {
    fn some_ways()(orders in prop::collection::vec(Just(Way::ALL[..4].to_vec()).prop_shuffle(), 4), most in prop::collection::vec(0_usize..=4, 4)) -> Ways {
        let mut ways = Ways::default();
        for ((category, mut order), most) in Category::ALL.into_iter().zip(orders).zip(most) {
            order.truncate(most);
            order.push(Way::Person);
            // The one order that the config refuses stays as it was.
            let _ = ways.set(category, order);
        }
        ways
    }
}

proptest! {
    #[test]
    fn nothing_ever_goes_to_the_mailbox_of_a_compromised_account(
        reader in some_reader(),
        cases in prop::collection::vec(some_case(), 1..5),
        ways in some_ways(),
    ) {
        let is_victim = cases.iter().any(|case| case.category == Category::Compromised && case.route == Route::Holder);
        if let Decision::Tell { telling, about } = decide(Some(&reader), &cases, &ways, NOW) {
            if is_victim {
                let own = "ada@parl.example";
                let to = telling.to().expose().to_lowercase().replace("+x", "").replace("+y", "");
                prop_assert_ne!(telling.to().way(), Way::Mail);
                prop_assert!(reader.address.is_none() || to != own);
            }
            for case in about.iter().map(|at| &cases[*at]).filter(|case| case.category == Category::Compromised) {
                prop_assert!([case.contained_at, case.contain_override_at].iter().flatten().any(|at| *at <= NOW));
            }
            prop_assert!(!reader.not_by.contains(&telling.to().way()));
        }
    }
}
