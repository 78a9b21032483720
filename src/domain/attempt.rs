//! Attempts: lines of logs about sign-ins → which accounts were attacked, and whose password an attacker gave right.
//!
//! Names are matched first and counted afterwards, so that an alias, an address with a plus and another spelling are one
//! account. Attempts are kept as runs of equal ones within a minute, so that memory grows with what an attacker tried and
//! not with how often.

use std::collections::HashMap;

use chrono::TimeDelta;

use super::finding::{AuditRow, Severity, Weakness};
use super::identity::Key;
use super::ids::AccountId;
use super::moment::Moment;

/// Equal attempts that are kept as one lie this close together.
const RUN_MICROS: i64 = 60 * 1_000_000;
/// How soon after their mistakes a person who types gets it right.
const TYPING: TimeDelta = TimeDelta::minutes(10);
/// More mistakes than that before a success are no person's: somebody guessed, and guessed right.
const TYPED_AT_MOST: u32 = 20;
/// Names that an address has to fail for to be a sprayer.
const SPRAYED_NAMES: usize = 3;
/// Runs that are weighed at once.
const MAX_RUNS: usize = 2_000_000;

/// What a service answered to an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Answer {
    /// Wrong password.
    Failed,
    /// The log itself says that there is no such name.
    NoSuchName,
    /// The account is, or was just, locked.
    Locked,
    /// The password was right, but something else was in the way: a second factor, a policy, an expired password.
    RightBut,
    /// Signed in.
    SignedIn,
}

/// One line about a sign-in. It has no field for what was typed.
#[derive(Clone, PartialEq, Debug)]
pub struct Attempt {
    /// Line, or record, of the file, from 1.
    pub line: u64,
    /// All names that the line gives the account.
    pub keys: Vec<Key>,
    /// Where it came from, if the line says.
    pub from: Option<Origin>,
    /// How it ended.
    pub answer: Answer,
    /// When.
    pub at: Moment,
    /// How many the line stands for.
    pub times: u32,
}

/// The address that an attempt came from, as the number that an IPv6 address is; an IPv4 address mapped into it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin(pub u128);

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Origin(***)")
    }
}

/// Whose name was tried.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Who {
    /// An account of the directory.
    Account(AccountId),
    /// Nobody that matched: the folded name. The internet tries every name, and some people type their password there.
    Name(String),
}

impl std::fmt::Debug for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Account(id) => write!(f, "Account({})", id.0),
            Self::Name(_) => f.write_str("Name(***)"),
        }
    }
}

/// How attempts are weighed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Weighing {
    /// Failed attempts on one account, within the window, that make a finding.
    pub failed_logins_at: u32,
    /// What is looked at together.
    pub window: TimeDelta,
    /// Whether addresses are looked at; not where the service itself says which attempt was part of a spray.
    pub sprays: bool,
}

impl Default for Weighing {
    fn default() -> Self {
        Self {
            failed_logins_at: 10,
            window: TimeDelta::hours(24),
            sprays: true,
        }
    }
}

/// What came of the attempts.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Weighed {
    /// The findings, and whose they are.
    pub findings: Vec<(Who, AuditRow)>,
    /// Sign-ins, also ones that needed more than the password, from where nobody was sprayed.
    pub ordinary: u64,
    /// A person's own mistakes.
    pub typing: u64,
    /// Attempts on names that the log itself calls unknown.
    pub no_such_name: u64,
    /// Failures too few to mean anything.
    pub few: u64,
}

/// There are more different attempts than are weighed at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "the log holds more than {MAX_RUNS} different sign-ins, which is more than can be weighed at once: give it a day at a time"
)]
pub struct TooMany;

/// Equal attempts close together.
#[derive(Clone, Copy)]
struct Run {
    who: u32,
    from: Option<u32>,
    answer: Answer,
    first: i64,
    last: i64,
    times: u32,
    line: u64,
}

impl Run {
    /// The failures that point at somebody who guesses.
    const fn fails(&self) -> bool {
        matches!(self.answer, Answer::Failed | Answer::NoSuchName)
    }

    const fn is_right(&self) -> bool {
        matches!(self.answer, Answer::SignedIn | Answer::RightBut)
    }
}

/// Gathers attempts until all have been seen.
#[derive(Default)]
pub struct Tally {
    names: HashMap<Who, u32>,
    whose: Vec<(Who, Vec<Key>)>,
    addresses: HashMap<Origin, u32>,
    runs: Vec<Run>,
    latest: HashMap<(u32, Option<u32>, Answer), usize>,
}

/// What is known of each run beside itself.
#[derive(Clone, Copy, Default)]
struct Marks {
    sprayed: bool,
    typed: bool,
}

impl Tally {
    /// Whether there is nothing to weigh.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Adds one.
    pub fn add(&mut self, who: Who, attempt: Attempt) -> Result<(), TooMany> {
        let next = u32::try_from(self.whose.len()).map_err(|_| TooMany)?;
        let who = *self.names.entry(who).or_insert_with_key(|who| {
            self.whose.push((who.clone(), attempt.keys));
            next
        });
        let next = u32::try_from(self.addresses.len()).map_err(|_| TooMany)?;
        let from = attempt
            .from
            .map(|from| *self.addresses.entry(from).or_insert(next));
        let at = attempt.at.micros();
        let latest = self.latest.entry((who, from, attempt.answer));
        let run = match &latest {
            std::collections::hash_map::Entry::Occupied(at) => self.runs.get_mut(*at.get()),
            std::collections::hash_map::Entry::Vacant(_) => None,
        };
        if let Some(run) = run {
            let (first, last) = (run.first.min(at), run.last.max(at));
            if last.saturating_sub(first) <= RUN_MICROS {
                if at >= run.last {
                    run.line = attempt.line;
                }
                (run.first, run.last) = (first, last);
                run.times = run.times.saturating_add(attempt.times);
                return Ok(());
            }
        }
        if self.runs.len() >= MAX_RUNS {
            return Err(TooMany);
        }
        latest.insert_entry(self.runs.len());
        self.runs.push(Run {
            who,
            from,
            answer: attempt.answer,
            first: at,
            last: at,
            times: attempt.times,
            line: attempt.line,
        });
        Ok(())
    }

    /// What all of them come to.
    pub fn weigh(mut self, rule: &Weighing) -> Weighed {
        let window = rule.window.num_microseconds().unwrap_or(i64::MAX);
        self.runs.sort_by_key(|run| (run.first, run.line));
        let mut marks = vec![Marks::default(); self.runs.len()];
        let with_address = |run: &Run| run.from.map(|from| from as usize);
        for own in grouped(&self.runs, self.addresses.len(), with_address) {
            if rule.sprays {
                mark_sprayed(&self.runs, &own, window, &mut marks);
            }
            mark_typed(&self.runs, &own, window, &mut marks);
        }
        let mut weighed = Weighed::default();
        for (run, marks) in self.runs.iter().zip(&marks) {
            let times = u64::from(run.times);
            match run.answer {
                Answer::NoSuchName => weighed.no_such_name += times,
                Answer::Failed if marks.typed => weighed.typing += times,
                Answer::SignedIn | Answer::RightBut if !marks.sprayed => weighed.ordinary += times,
                Answer::Failed | Answer::Locked | Answer::SignedIn | Answer::RightBut => {}
            }
        }
        let by_name = grouped(&self.runs, self.whose.len(), |run| Some(run.who as usize));
        for ((who, keys), own) in self.whose.iter().zip(by_name) {
            let (found, few) = of_account(&self.runs, &own, &marks, rule, window);
            weighed.few += few;
            for (weakness, run) in found {
                // A lockout is often no more than an old telephone with the saved password.
                let severity = (weakness == Weakness::Lockout).then_some(Severity::Low);
                let row = AuditRow {
                    line: run.line,
                    keys: keys.clone(),
                    weakness,
                    detail: None,
                    severity,
                    bad_as_of: Some(Moment::from_micros(run.last)),
                    discovered_at: None,
                    baseline: None,
                    history_unless_known: false,
                };
                weighed.findings.push((who.clone(), row));
            }
        }
        weighed
    }
}

/// The places of the runs of each group, in time.
fn grouped(runs: &[Run], groups: usize, of: impl Fn(&Run) -> Option<usize>) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new(); groups];
    for (at, run) in runs.iter().enumerate() {
        if let Some(group) = of(run).and_then(|group| all.get_mut(group)) {
            group.push(at);
        }
    }
    all
}

/// The findings about one name, each with the run that counted last, and how many failures came to nothing.
fn of_account(
    runs: &[Run],
    own: &[usize],
    marks: &[Marks],
    rule: &Weighing,
    window: i64,
) -> (Vec<(Weakness, Run)>, u64) {
    let all = || {
        own.iter()
            .filter_map(|at| Some((*runs.get(*at)?, *marks.get(*at)?)))
    };
    let last_of = |test: &dyn Fn(&Run, &Marks) -> bool| {
        all()
            .filter(|(run, marks)| test(run, marks))
            .map(|(run, _)| run)
            .max_by_key(|run| run.last)
    };
    let failures: Vec<Run> = all()
        .filter(|(run, marks)| run.answer == Answer::Failed && !marks.typed)
        .map(|(run, _)| run)
        .collect();
    let many = many(&failures, rule.failed_logins_at, window);
    let sprayed = last_of(&|run, marks| run.answer == Answer::Failed && marks.sprayed);
    let few = match (many, sprayed) {
        (None, None) => failures.iter().map(|run| u64::from(run.times)).sum(),
        (Some(_), _) | (_, Some(_)) => 0,
    };
    let accepted = last_of(&|run, marks| run.is_right() && marks.sprayed);
    let locked = last_of(&|run, _| run.answer == Answer::Locked);
    let found = [
        (Weakness::FailedLogins, many),
        (Weakness::PasswordSpray, sprayed),
        (Weakness::Lockout, locked),
        (Weakness::PasswordAccepted, accepted),
    ];
    let found = found
        .into_iter()
        .filter_map(|(weakness, run)| run.map(|run| (weakness, run)))
        .collect();
    (found, few)
}

/// The last failure of the last window that holds as many as it takes.
fn many(failures: &[Run], least: u32, window: i64) -> Option<Run> {
    let mut from = failures.iter().peekable();
    let mut sum: u64 = 0;
    let mut found = None;
    for run in failures {
        sum += u64::from(run.times);
        while let Some(old) = from.next_if(|old| run.last.saturating_sub(old.first) > window) {
            sum -= u64::from(old.times);
        }
        if sum >= u64::from(least.max(1)) {
            found = Some(*run);
        }
    }
    found
}

/// Marks all that an address did in a window in which it failed for three names.
fn mark_sprayed(runs: &[Run], own: &[usize], window: i64, marks: &mut [Marks]) {
    let mut failing: HashMap<u32, u32> = HashMap::new();
    let mut from = 0;
    let mut marked = 0;
    for (to, at) in own.iter().enumerate() {
        let Some(run) = runs.get(*at) else { continue };
        if run.fails() {
            *failing.entry(run.who).or_default() += 1;
        }
        while let Some(old) = own.get(from).and_then(|at| runs.get(*at)) {
            if run.last.saturating_sub(old.first) <= window {
                break;
            }
            if old.fails()
                && let Some(count) = failing.get_mut(&old.who)
            {
                *count -= 1;
                if *count == 0 {
                    failing.remove(&old.who);
                }
            }
            from += 1;
        }
        if failing.len() >= SPRAYED_NAMES {
            let places = own.get(from.max(marked)..=to).unwrap_or_default();
            for at in places {
                if let Some(marks) = marks.get_mut(*at) {
                    marks.sprayed = true;
                }
            }
            marked = to + 1;
        }
    }
}

/// Marks failures that were a person's own mistakes: their address tried no other name, and soon it was right.
fn mark_typed(runs: &[Run], own: &[usize], window: i64, marks: &mut [Marks]) {
    let all: Vec<(usize, Run)> = own
        .iter()
        .filter_map(|at| Some((*at, *runs.get(*at)?)))
        .collect();
    let near_other = |order: &mut dyn Iterator<Item = &(usize, Run)>| {
        // The nearest failures on this side, for the last two different names: one of them is another name.
        let mut nearest: [Option<Run>; 2] = [None, None];
        let mut near = HashMap::new();
        for (at, run) in order.filter(|(_, run)| run.fails()) {
            let other = nearest
                .iter()
                .flatten()
                .find(|before| before.who != run.who);
            let apart = other.map(|other| {
                let later = run.first.max(other.first);
                let earlier = run.last.min(other.last);
                later.saturating_sub(earlier)
            });
            near.insert(*at, apart.is_some_and(|apart| apart <= window));
            if nearest[0].is_none_or(|before| before.who != run.who) {
                nearest[1] = nearest[0];
            }
            nearest[0] = Some(*run);
        }
        near
    };
    let before = near_other(&mut all.iter());
    let after = near_other(&mut all.iter().rev());
    let mut settle = |mistakes: Mistakes| {
        if mistakes.times > TYPED_AT_MOST {
            return;
        }
        for at in mistakes.at {
            if let Some(marks) = marks.get_mut(at) {
                marks.typed = true;
            }
        }
    };
    let typing = TYPING.num_microseconds().unwrap_or(0);
    let mut right: HashMap<u32, Mistakes> = HashMap::new();
    for (at, run) in all.iter().rev() {
        if run.answer == Answer::SignedIn {
            let fresh = Mistakes {
                until: run.last,
                ..Mistakes::default()
            };
            if let Some(before) = right.insert(run.who, fresh) {
                settle(before);
            }
        }
        let alone = before.get(at) == Some(&false) && after.get(at) == Some(&false);
        if run.answer == Answer::Failed
            && alone
            && let Some(mistakes) = right.get_mut(&run.who)
            && (0..=typing).contains(&mistakes.until.saturating_sub(run.last))
        {
            mistakes.times = mistakes.times.saturating_add(run.times);
            mistakes.at.push(*at);
        }
    }
    right.into_values().for_each(settle);
}

/// The failures before one success.
#[derive(Default)]
struct Mistakes {
    until: i64,
    times: u32,
    at: Vec<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::identity::KeyKind;
    use Answer::{Failed, Locked, NoSuchName, RightBut, SignedIn};

    /// Minutes, name, address, answer, times.
    type Line = (i64, &'static str, u128, Answer, u32);

    fn weigh(lines: &[Line], rule: &Weighing) -> (Vec<(String, &'static str, i64)>, Weighed) {
        let mut tally = Tally::default();
        for (nth, (minutes, name, from, answer, times)) in lines.iter().enumerate() {
            let attempt = Attempt {
                line: nth as u64 + 1,
                keys: Key::new(KeyKind::Sam, name).into_iter().collect(),
                from: (*from != 0).then_some(Origin(*from)),
                answer: *answer,
                at: Moment::from_micros(minutes * 60_000_000),
                times: *times,
            };
            tally.add(Who::Name((*name).into()), attempt).unwrap();
        }
        let weighed = tally.weigh(rule);
        let found = weighed.findings.iter().map(|(who, row)| {
            let Who::Name(name) = who else {
                panic!("no account was given")
            };
            let minutes = row.bad_as_of.unwrap().micros() / 60_000_000;
            (name.clone(), row.weakness.text(), minutes)
        });
        (found.collect(), weighed)
    }

    fn three() -> Weighing {
        Weighing {
            failed_logins_at: 3,
            ..Weighing::default()
        }
    }

    const EVIL: u128 = 77;
    const HOME: u128 = 200;

    #[test]
    fn three_failing_names_make_an_address_a_sprayer_and_its_successes_intrusions() {
        let (found, weighed) = weigh(
            &[
                (0, "ada", EVIL, Failed, 1),
                (1, "bea", EVIL, Failed, 1),
                (2, "nobody", EVIL, NoSuchName, 1),
                (3, "colin", EVIL, RightBut, 1),
                (4, "dora", EVIL, SignedIn, 1),
                (5, "emeka", HOME, SignedIn, 1),
            ],
            &Weighing::default(),
        );
        assert_eq!(
            found,
            [
                ("ada".to_owned(), "attacked/password_spray", 0),
                ("bea".to_owned(), "attacked/password_spray", 1),
                ("colin".to_owned(), "compromised/password_accepted", 3),
                ("dora".to_owned(), "compromised/password_accepted", 4),
            ]
        );
        assert_eq!((weighed.ordinary, weighed.no_such_name), (1, 1));
    }

    #[test]
    fn a_success_before_its_address_failed_is_the_sprayers_too_and_one_a_day_later_is_not() {
        let day = 24 * 60;
        let (found, _) = weigh(
            &[
                (0, "zoe", EVIL, SignedIn, 1),
                (1, "ada", EVIL, Failed, 1),
                (2, "bea", EVIL, Failed, 1),
                (3, "colin", EVIL, Failed, 1),
                (3 + day + 1, "emeka", EVIL, SignedIn, 1),
            ],
            &Weighing::default(),
        );
        assert!(found.contains(&("zoe".to_owned(), "compromised/password_accepted", 0)));
        assert!(found.iter().all(|(name, ..)| name != "emeka"), "{found:?}");
    }

    #[test]
    fn names_that_failed_days_apart_are_no_spray() {
        let day = 24 * 60;
        let lines = [
            (0, "ada", EVIL, Failed, 1),
            (day + 1, "bea", EVIL, Failed, 1),
            (2 * day + 2, "colin", EVIL, Failed, 1),
        ];
        let (found, weighed) = weigh(&lines, &Weighing::default());
        assert!(found.is_empty(), "{found:?}");
        assert_eq!(weighed.few, 3);
    }

    #[test]
    fn failures_count_within_the_window_and_the_last_counted_one_dates_the_finding() {
        let day = 24 * 60;
        for (lines, expected) in [
            (vec![(0, 9), (5, 1)], Some(5)),
            (vec![(0, 9), (day + 5, 1)], None),
            (vec![(0, 10), (2 * day, 1)], Some(0)),
            (vec![(0, 10), (60, 1)], Some(60)),
        ] {
            let lines: Vec<Line> = lines
                .iter()
                .map(|(minutes, times)| (*minutes, "ada", EVIL, Failed, *times))
                .collect();
            let (found, _) = weigh(&lines, &Weighing::default());
            let at = found.first().map(|(_, _, minutes)| *minutes);
            assert_eq!(at, expected, "{lines:?}");
        }
    }

    #[test]
    fn a_person_who_types_is_no_attack() {
        let typing = |gap: i64, other: Option<Line>| {
            let mut lines = vec![
                (0, "ada", HOME, Failed, 2),
                (1, "ada", HOME, Failed, 2),
                (1 + gap, "ada", HOME, SignedIn, 1),
            ];
            lines.extend(other);
            let (found, weighed) = weigh(&lines, &three());
            (found.len(), weighed.typing)
        };
        assert_eq!(typing(9, None), (0, 4));
        // Another's success, and another's failure two days later, change nothing.
        assert_eq!(typing(9, Some((3, "bea", HOME, SignedIn, 1))), (0, 4));
        assert_eq!(typing(9, Some((3000, "bea", HOME, Failed, 1))), (0, 4));
        assert_eq!(typing(9, Some((3, "bea", HOME, Failed, 1))), (1, 0));
        assert_eq!(typing(9, Some((3, "x", HOME, NoSuchName, 1))), (1, 0));
        assert_eq!(typing(12, None), (1, 0));
    }

    #[test]
    fn whoever_guesses_for_long_before_it_is_right_is_no_person_who_types() {
        let lines = [(0, "ada", HOME, Failed, 500), (1, "ada", HOME, SignedIn, 1)];
        assert_eq!(weigh(&lines, &three()).0.len(), 1);
    }

    #[test]
    fn a_second_factor_that_was_asked_for_forgives_nothing() {
        let lines = [(0, "ada", HOME, Failed, 3), (1, "ada", HOME, RightBut, 1)];
        assert_eq!(weigh(&lines, &three()).0.len(), 1);
    }

    #[test]
    fn without_an_address_failures_count_and_sprays_do_not() {
        let lines = [
            (0, "ada", 0, Failed, 3),
            (1, "bea", 0, Failed, 1),
            (2, "colin", 0, Failed, 1),
            (3, "dora", 0, Locked, 1),
        ];
        let (found, _) = weigh(&lines, &three());
        assert_eq!(
            found,
            [
                ("ada".to_owned(), "attacked/failed_logins", 0),
                ("dora".to_owned(), "attacked/lockout", 3)
            ]
        );
    }

    #[test]
    fn the_order_of_the_lines_does_not_matter() {
        let mut lines = vec![
            (0, "ada", EVIL, Failed, 1),
            (1, "bea", EVIL, Failed, 4),
            (2, "colin", EVIL, NoSuchName, 1),
            (3, "dora", EVIL, SignedIn, 1),
            (5, "emeka", HOME, Failed, 3),
            (6, "emeka", HOME, SignedIn, 1),
        ];
        let mut expected = weigh(&lines, &three()).0;
        lines.reverse();
        let mut found = weigh(&lines, &three()).0;
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_long_attack_takes_no_more_room_than_its_minutes() {
        let mut tally = Tally::default();
        for second in 0..100_000_i64 {
            let attempt = Attempt {
                line: 1,
                keys: Vec::new(),
                from: Some(Origin(EVIL)),
                answer: Failed,
                at: Moment::from_micros(second * 10_000),
                times: 1,
            };
            tally.add(Who::Account(AccountId(1)), attempt).unwrap();
        }
        assert!(tally.runs.len() <= 20, "{}", tally.runs.len());
        let weighed = tally.weigh(&Weighing::default());
        assert_eq!(weighed.findings.len(), 1);
    }
}
