//! Policy: open cases → who is told what, by which way, or why not and whose work it is instead.

use serde::Serialize;

use super::address::EmailAddress;
use super::case::Route;
use super::evidence::Standing;
use super::finding::Category;
use super::moment::Moment;
use super::notice::NoticeKind;

/// A person as far as writing to them is concerned.
#[derive(Clone, PartialEq, Debug)]
pub struct Reader {
    /// The address of their own mailbox.
    pub address: Option<EmailAddress>,
    /// Another address, outside the directory.
    pub second_address: Option<EmailAddress>,
    /// Whether an account of their own can sign in.
    pub enabled: bool,
    /// Whether they have left.
    pub left: bool,
}

/// An open case as far as telling its person is concerned.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Tellable {
    /// Its category.
    pub category: Category,
    /// Whose work it is.
    pub route: Route,
    /// What the directory's word amounts to.
    pub standing: Standing,
    /// When sign-in was blocked and sessions were revoked.
    pub contained_at: Option<Moment>,
    /// Until when it is exempt.
    pub exempt_until: Option<Moment>,
}

/// Why nobody is written to now.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyNot {
    /// All their cases are exempt for now.
    Exempt,
    /// The directory's word is not to be trusted: an operator looks first.
    OnHold,
    /// The directory has no address for them.
    NoAddress,
    /// Their own account is disabled.
    Disabled,
    /// They have left.
    Left,
    /// An intruder may be reading the only mailbox we could write to.
    OnlyAffectedMailbox,
    /// Sign-in is not blocked yet, or sessions are not revoked.
    NotContained,
    /// Nobody answers for the account, or it is a machine's: the operators reset it.
    Operators,
    /// A letter about these facts could not be written.
    Unwritable,
}

impl WhyNot {
    /// The word that the database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Exempt => "exempt",
            Self::OnHold => "on_hold",
            Self::NoAddress => "no_address",
            Self::Disabled => "disabled",
            Self::Left => "left",
            Self::OnlyAffectedMailbox => "only_affected_mailbox",
            Self::NotContained => "not_contained",
            Self::Operators => "operators",
            Self::Unwritable => "unwritable",
        }
    }

    /// What to tell an operator.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Exempt => "exempt for now",
            Self::OnHold => "the directory tells a change in the future: look at its clock first",
            Self::NoAddress => "the directory has no address: reach them another way",
            Self::Disabled => "their own account is disabled",
            Self::Left => "they have left",
            Self::OnlyAffectedMailbox => {
                "an intruder may read the only mailbox: reach them by phone or in person"
            }
            Self::NotContained => {
                "block sign-in and revoke sessions first, then `bell case contain`"
            }
            Self::Operators => {
                "an account of the operators: reset it and rotate what depends on it"
            }
            Self::Unwritable => {
                "a letter about these facts could not be written: tell them by hand"
            }
        }
    }

    /// Which work it is for a human being, if any.
    pub const fn work(self) -> Option<Work> {
        match self {
            Self::Exempt => None,
            Self::NoAddress
            | Self::Disabled
            | Self::Left
            | Self::OnlyAffectedMailbox
            | Self::Unwritable => Some(Work::Reach),
            Self::NotContained => Some(Work::Contain),
            Self::Operators | Self::OnHold => Some(Work::Operators),
        }
    }
}

/// Work for a human being.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Work {
    /// Reach the person another way.
    Reach,
    /// Block sign-in, revoke sessions.
    Contain,
    /// Deal with the account itself.
    Operators,
}

/// What is to be done about a person's open cases.
#[derive(Clone, PartialEq, Debug)]
pub enum Decision {
    /// Write to them.
    Tell {
        /// The first notice: of the severest case.
        kind: NoticeKind,
        /// That case's category.
        category: Category,
        /// Where to.
        to: EmailAddress,
        /// The cases that the notice is about, by their place in what was asked.
        about: Vec<usize>,
    },
    /// Do not, and why.
    Not(WhyNot),
}

/// Decides about the open cases of one person, or of the operators if there is no person.
///
/// One notice tells of all of a person's cases, by the severest. A compromised account's own mailbox is never written
/// to, and nothing goes out before containment is on record.
pub fn decide(reader: Option<&Reader>, cases: &[Tellable], now: Moment) -> Decision {
    use Decision::Not;
    let Some(reader) = reader else {
        return Not(WhyNot::Operators);
    };
    let waiting = |case: &Tellable| case.exempt_until.is_some_and(|until| until > now);
    let about: Vec<usize> = cases
        .iter()
        .enumerate()
        .filter(|(_, case)| !waiting(case) && case.standing != Standing::Hold)
        .map(|(at, _)| at)
        .collect();
    let told: Vec<&Tellable> = about.iter().filter_map(|at| cases.get(*at)).collect();
    let Some(category) = told.iter().map(|case| case.category).max() else {
        return Not(if cases.iter().all(waiting) {
            WhyNot::Exempt
        } else {
            WhyNot::OnHold
        });
    };
    if reader.left {
        return Not(WhyNot::Left);
    }
    let compromised: Vec<&&Tellable> = told
        .iter()
        .filter(|case| case.category == Category::Compromised)
        .collect();
    if compromised
        .iter()
        .any(|case| case.contained_at.is_none_or(|at| at > now))
    {
        return Not(WhyNot::NotContained);
    }
    let is_victim = compromised.iter().any(|case| case.route == Route::Holder);
    if !reader.enabled && !is_victim {
        return Not(WhyNot::Disabled);
    }
    let to = match (is_victim, &reader.address, &reader.second_address) {
        (true, _, Some(second)) => second.clone(),
        (true, _, None) => return Not(WhyNot::OnlyAffectedMailbox),
        (false, Some(own), _) => own.clone(),
        (false, None, _) => return Not(WhyNot::NoAddress),
    };
    Decision::Tell {
        kind: NoticeKind::first(category),
        category,
        to,
        about,
    }
}

/// What goes before what: compromised accounts, then what is said about an incident or about access,
/// then managers, then first notices by category, then reminders, then thanks. Gaps are for kinds to come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Urgency {
    /// About a compromised account.
    Compromised = 0,
    /// About an incident, or access that was taken or given back.
    IncidentOrAccess = 10,
    /// To a manager.
    Escalation = 20,
    /// First notice, breached.
    FirstBreached = 30,
    /// First notice, attacked.
    FirstAttacked = 31,
    /// First notice, weak.
    FirstWeak = 32,
    /// The last reminder before the deadline.
    FinalReminder = 40,
    /// Any other reminder.
    Reminder = 50,
    /// Thanks.
    Thanks = 60,
}

impl Urgency {
    /// The class of a letter.
    pub const fn of(category: Category, kind: NoticeKind) -> Self {
        match (kind, category) {
            (NoticeKind::Done, _) => Self::Thanks,
            (NoticeKind::Compromised, _) | (_, Category::Compromised) => Self::Compromised,
            (NoticeKind::Breached, _) => Self::FirstBreached,
            (NoticeKind::Attacked, _) => Self::FirstAttacked,
            (NoticeKind::Weak, _) => Self::FirstWeak,
            (NoticeKind::ReminderFinal, _) => Self::FinalReminder,
            (NoticeKind::Reminder1 | NoticeKind::Reminder2, _) => Self::Reminder,
        }
    }
}

/// How many bits hold a deadline, in minutes since 1970: two million years of them.
const DEADLINE_BITS: u32 = 40;

/// Who is told first, in one number: the class, and within it the earlier deadline. Smaller goes first; without a deadline
/// a letter is the last of its class.
pub fn priority(category: Category, kind: NoticeKind, deadline: Option<Moment>) -> i64 {
    let last = (1 << DEADLINE_BITS) - 1;
    let minutes = deadline.map_or(last, |at| at.micros().div_euclid(60_000_000).clamp(0, last));
    ((Urgency::of(category, kind) as i64) << DEADLINE_BITS) | minutes
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_micros(1_000_000_000);

    fn reader() -> Reader {
        Reader {
            address: EmailAddress::parse("ada@parl.example").ok(),
            second_address: EmailAddress::parse("ada@home.example").ok(),
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
        let tell = |kind, category, to: &str, about: &[usize]| Decision::Tell {
            kind,
            category,
            to: EmailAddress::parse(to).unwrap(),
            about: about.to_vec(),
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
            assert_eq!(decide(reader.as_ref(), &cases, NOW), expected, "{cases:?}");
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
}
