//! Policy: open cases → who is told what, by which way, or why not and whose work it is instead.

use serde::Serialize;

use super::address::EmailAddress;
use super::case::Route;
use super::evidence::Standing;
use super::finding::Category;
use super::moment::Moment;
use super::notice::NoticeKind;
use super::phone::Mobile;
use super::way::{Destination, Room, Way, Ways};

/// A person as far as writing to them is concerned.
#[derive(Clone, PartialEq, Debug)]
pub struct Reader {
    /// The address of their own mailbox.
    pub address: Option<EmailAddress>,
    /// Another address, outside the directory.
    pub second_address: Option<EmailAddress>,
    /// Their mobile.
    pub mobile: Option<Mobile>,
    /// Where the internal post leaves a letter.
    pub room: Option<Room>,
    /// Whether others read their own mailbox for them: what goes there is not for them alone.
    pub is_read_by_others: bool,
    /// Ways that do not lead to them: tried in vain, or left out by an operator.
    pub not_by: Vec<Way>,
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
    /// When the incident lead decided that its person is told before that.
    pub contain_override_at: Option<Moment>,
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
    /// Others read their mailbox, and no other way leads to them.
    ReadByOthers,
    /// Their own account is disabled.
    Disabled,
    /// They have left.
    Left,
    /// An intruder may be reading the only mailbox we could write to.
    OnlyAffectedMailbox,
    /// The config's order of ways begins with a human being.
    ByPerson,
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
            Self::ReadByOthers => "read_by_others",
            Self::Disabled => "disabled",
            Self::Left => "left",
            Self::OnlyAffectedMailbox => "only_affected_mailbox",
            Self::ByPerson => "by_person",
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
            Self::ReadByOthers => "others read their mailbox: tell them by phone or in person",
            Self::Disabled => "their own account is disabled",
            Self::Left => "they have left",
            Self::OnlyAffectedMailbox => {
                "an intruder may read the only mailbox: reach them by phone or in person"
            }
            Self::ByPerson => "the config has them told by a human being: phone or visit them",
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
            | Self::ReadByOthers
            | Self::Disabled
            | Self::Left
            | Self::OnlyAffectedMailbox
            | Self::ByPerson
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

/// Proof that an intruder is shut out of every compromised account that a notice is about; or the incident lead's word
/// that its reader is told before that.
///
/// There is no other way to one than [`Contained::all`], and no notice about a compromised account without one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Contained {
    since: Moment,
    overridden: bool,
}

impl Contained {
    /// None if one of the cases is neither contained at `now` nor overridden, or if there is none.
    pub fn all<'a>(cases: impl IntoIterator<Item = &'a Tellable>, now: Moment) -> Option<Self> {
        cases
            .into_iter()
            .try_fold(None, |all: Option<Self>, case| {
                let by = |at: Option<Moment>| at.filter(|at| *at <= now);
                let one = match (by(case.contained_at), by(case.contain_override_at)) {
                    (Some(since), _) => Self {
                        since,
                        overridden: false,
                    },
                    (None, Some(since)) => Self {
                        since,
                        overridden: true,
                    },
                    (None, None) => return None,
                };
                Some(Some(all.map_or(one, |all| Self {
                    since: all.since.max(one.since),
                    overridden: all.overridden || one.overridden,
                })))
            })?
    }

    /// Since when all of them are.
    pub const fn since(self) -> Moment {
        self.since
    }

    /// Whether the incident lead's word stands in for the proof of one of them.
    pub const fn is_overridden(self) -> bool {
        self.overridden
    }
}

/// Where a notice goes without passing a mailbox that an intruder may be reading (rule 3.9).
///
/// There is no other way to one than [`SafeWay::new`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SafeWay(Destination);

impl SafeWay {
    /// None if `to` ends in the affected mailbox: a victim's own, or another address that is the same mailbox with
    /// another tag or case.
    pub fn new(to: Destination, reader: &Reader, is_victim: bool) -> Option<Self> {
        let is_theirs = |address: &EmailAddress| {
            let plain =
                |one: &EmailAddress| one.without_tag().unwrap_or_else(|| one.clone()).folded();
            reader
                .address
                .as_ref()
                .is_some_and(|own| plain(own) == plain(address))
        };
        let is_affected = match &to {
            Destination::Mail(_) => is_victim,
            Destination::SecondMail(address) => is_victim && is_theirs(address),
            Destination::Sms(_) | Destination::Letter(_) => false,
        };
        (!is_affected).then_some(Self(to))
    }

    /// Where.
    pub const fn destination(&self) -> &Destination {
        &self.0
    }
}

/// A first notice that may be written, and where it goes.
#[derive(Clone, PartialEq, Debug)]
pub enum Telling {
    /// The severest finding is weak.
    Weak(Destination),
    /// The severest finding is attacked.
    Attacked(Destination),
    /// The severest finding is breached.
    Breached(Destination),
    /// Somebody else has used the account: only by a safe way, and once it is contained.
    Compromised {
        /// Where to.
        to: SafeWay,
        /// Why it may go.
        contained: Contained,
    },
}

impl Telling {
    /// The severest category of what it tells.
    pub const fn category(&self) -> Category {
        match self {
            Self::Weak(_) => Category::Weak,
            Self::Attacked(_) => Category::Attacked,
            Self::Breached(_) => Category::Breached,
            Self::Compromised { .. } => Category::Compromised,
        }
    }

    /// Which notice it is.
    pub const fn kind(&self) -> NoticeKind {
        NoticeKind::first(self.category())
    }

    /// Where it goes.
    pub const fn to(&self) -> &Destination {
        match self {
            Self::Weak(to) | Self::Attacked(to) | Self::Breached(to) => to,
            Self::Compromised { to, .. } => to.destination(),
        }
    }
}

/// What is to be done about a person's open cases.
#[derive(Clone, PartialEq, Debug)]
pub enum Decision {
    /// Tell them.
    Tell {
        /// The first notice: of the severest case.
        telling: Telling,
        /// The cases that the notice is about, by their place in what was asked.
        about: Vec<usize>,
    },
    /// Do not, and why.
    Not(WhyNot),
}

/// Decides about the open cases of one person, or of the operators if there is no person.
///
/// One notice tells of all of a person's cases, by the severest, by the first way of that category's order that leads to
/// them. Whoever has a compromised account of their own is written to at no mailbox of that account, whatever about; and
/// nothing about a compromised account goes out before containment is on record.
pub fn decide(reader: Option<&Reader>, cases: &[Tellable], ways: &Ways, now: Moment) -> Decision {
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
    let compromised = |case: &&Tellable| case.category == Category::Compromised;
    let contained = Contained::all(told.iter().copied().filter(compromised), now);
    if category == Category::Compromised && contained.is_none() {
        return Not(WhyNot::NotContained);
    }
    // Exempt or not: the intruder reads all the same.
    let is_victim = cases
        .iter()
        .any(|case| compromised(&case) && case.route == Route::Holder);
    if !reader.enabled && !is_victim {
        return Not(WhyNot::Disabled);
    }
    let to = match first_way(reader, category, ways, is_victim) {
        Ok(to) => to,
        Err(why) => return Not(why),
    };
    let telling = match (category, contained) {
        (Category::Weak, _) => Telling::Weak(to.0),
        (Category::Attacked, _) => Telling::Attacked(to.0),
        (Category::Breached, _) => Telling::Breached(to.0),
        (Category::Compromised, Some(contained)) => Telling::Compromised { to, contained },
        (Category::Compromised, None) => return Not(WhyNot::NotContained),
    };
    Decision::Tell { telling, about }
}

/// The first way of the order that leads to somebody and is safe.
fn first_way(
    reader: &Reader,
    category: Category,
    ways: &Ways,
    is_victim: bool,
) -> Result<SafeWay, WhyNot> {
    // Whoever answers for a compromised account that is not their own reads a mailbox that is not affected.
    let own_first = (category == Category::Compromised && !is_victim).then_some(&Way::Mail);
    for way in own_first.into_iter().chain(ways.of(category)) {
        let leads = match way {
            // What is for somebody alone goes past those who read their mailbox for them.
            Way::Mail if reader.is_read_by_others => None,
            Way::Mail => reader.address.clone().map(Destination::Mail),
            Way::SecondMail => reader.second_address.clone().map(Destination::SecondMail),
            Way::Sms => reader.mobile.clone().map(Destination::Sms),
            Way::Letter => reader.room.clone().map(Destination::Letter),
            Way::Person => break,
        };
        let safe = leads
            .filter(|_| !reader.not_by.contains(way))
            .and_then(|to| SafeWay::new(to, reader, is_victim));
        if let Some(safe) = safe {
            return Ok(safe);
        }
    }
    Err(if is_victim {
        WhyNot::OnlyAffectedMailbox
    } else if ways.of(category).first() == Some(&Way::Person) {
        WhyNot::ByPerson
    } else if reader.is_read_by_others {
        WhyNot::ReadByOthers
    } else {
        WhyNot::NoAddress
    })
}

/// What goes before what: compromised accounts, then what is said about an incident or about access,
/// then managers, then first notices by category, then reminders, then thanks. Gaps are for kinds to come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Urgency {
    /// About a compromised account.
    Compromised = 0,
    /// About an incident, or access that was taken or given back.
    IncidentOrAccess = 10,
    /// To a manager or a delegate.
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
            (NoticeKind::Manager | NoticeKind::Delegate, _) => Self::Escalation,
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
mod tests;
