//! Count: one case after the other into counters, so that a million cases cost megabytes.

use std::collections::{BTreeMap, BinaryHeap};

use super::burn::BurnCounter;
use super::cell::Readers;
use super::facts::CaseFacts;
use super::lasting::{DAY, HOUR};
use super::yardsticks::RATE_HOURS;
use super::{NextStep, OverdueCase};
use crate::domain::finding::Category;
use crate::domain::ids::CaseId;
use crate::domain::moment::Moment;
use crate::domain::survival::{Ending, Sample};

/// Overdue cases that are listed at most: the oldest.
pub const LISTED: usize = 1_000;

/// Upper ends of the ages of overdue cases, in words. The last has none.
pub const AGES: [(&str, i64); 5] = [
    ("up to 1 d", DAY),
    ("up to 3 d", 3 * DAY),
    ("up to 7 d", 7 * DAY),
    ("up to 30 d", 30 * DAY),
    ("more than 30 d", i64::MAX),
];

/// After this time without being found again a reset holds; found again within it, it has relapsed.
const RELAPSE: i64 = 90 * DAY;

/// A reset this soon after a wave of reminders is counted to it.
const YIELD: i64 = 72 * HOUR;

/// The figures of one group of cases. Every case in it is valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::domain) struct Tally {
    pub valid: u64,
    pub told: u64,
    pub safe: u64,
    pub reset: u64,
    pub due: u64,
    pub on_time: u64,
    pub overdue: u64,
    /// Tried, and nobody reached.
    pub failed: u64,
    pub recheck: u64,
    /// Safe before anybody was told, or without anybody having been told.
    pub safe_untold: u64,
    /// Reset within each of [`RATE_HOURS`], and told at least that long ago.
    pub rates: [(u64, u64); 6],
}

impl Tally {
    pub fn open(&self) -> u64 {
        self.valid.saturating_sub(self.safe)
    }

    pub fn add(&mut self, other: &Self) {
        self.valid += other.valid;
        self.told += other.told;
        self.safe += other.safe;
        self.reset += other.reset;
        self.due += other.due;
        self.on_time += other.on_time;
        self.overdue += other.overdue;
        self.failed += other.failed;
        self.recheck += other.recheck;
        self.safe_untold += other.safe_untold;
        for (own, other) in self.rates.iter_mut().zip(&other.rates) {
            own.0 += other.0;
            own.1 += other.1;
        }
    }
}

/// Where one valid case stands at the as-of instant, by the definitions of the specification's section 7.
#[derive(Clone, Copy, Debug)]
struct Standing {
    notice_at: Option<Moment>,
    reset_at: Option<Moment>,
    safe_at: Option<Moment>,
    due: bool,
    overdue: bool,
    on_time: bool,
    /// Safe before the first notice: no message can have done it.
    safe_before_notice: bool,
}

impl Standing {
    fn of(case: &CaseFacts, as_of: Moment) -> Self {
        let by_now = |at: Option<Moment>| at.filter(|at| *at <= as_of);
        let notice_at = by_now(case.notice_at);
        let reset_at = by_now(case.reset_at).filter(|at| *at > case.found_at);
        let disabled_at = by_now(case.disabled_at);
        let safe_at = [reset_at, disabled_at].into_iter().flatten().min();
        let due = case
            .deadline_at
            .is_some_and(|at| at <= as_of && !exempt(case, at));
        Self {
            notice_at,
            reset_at,
            safe_at,
            due,
            overdue: safe_at.is_none()
                && case.deadline_at.is_some_and(|at| at < as_of)
                && !exempt(case, as_of),
            on_time: due && safe_at.is_some_and(|at| Some(at) <= case.deadline_at),
            safe_before_notice: matches!((safe_at, notice_at), (Some(safe), Some(told)) if safe < told),
        }
    }

    fn tally(&self, case: &CaseFacts, as_of: Moment) -> Tally {
        let count = u64::from;
        let mut tally = Tally {
            valid: 1,
            told: count(self.notice_at.is_some()),
            safe: count(self.safe_at.is_some()),
            reset: count(self.reset_at.is_some()),
            due: count(self.due),
            on_time: count(self.on_time),
            overdue: count(self.overdue),
            failed: count(case.undeliverable && self.notice_at.is_none()),
            recheck: count(case.recheck_pending && self.reset_at.is_some()),
            safe_untold: count(
                self.safe_at.is_some() && (self.notice_at.is_none() || self.safe_before_notice),
            ),
            rates: [(0, 0); 6],
        };
        if let Some(told) = self.notice_at.filter(|_| !self.safe_before_notice) {
            for (rate, hours) in tally.rates.iter_mut().zip(RATE_HOURS) {
                let within = hours * HOUR;
                if as_of.micros().saturating_sub(told.micros()) >= within {
                    rate.1 = 1;
                    rate.0 = count(self.reset_at.is_some_and(|reset| {
                        reset.micros().saturating_sub(told.micros()) <= within
                    }));
                }
            }
        }
        tally
    }
}

fn exempt(case: &CaseFacts, at: Moment) -> bool {
    case.exempt
        .iter()
        .any(|(granted, expires)| *granted <= at && at < *expires)
}

/// An overdue case; the order is the order of the list, oldest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Late {
    deadline_at: Moment,
    id: CaseId,
    category: Category,
    last_contact_at: Option<Moment>,
    next_step: NextStep,
}

/// Takes cases one after the other. [`ReportBuilder::finish`] makes the report.
#[derive(Debug)]
pub struct ReportBuilder {
    pub(super) as_of: Moment,
    pub(super) readers: Readers,
    pub(super) categories: [Tally; 4],
    pub(super) departments: BTreeMap<String, Tally>,
    pub(super) people: Vec<i64>,
    pub(super) mailboxes: u64,
    pub(super) withdrawn: u64,
    pub(super) superseded: u64,
    pub(super) to_safe: Sample,
    pub(super) to_reset: Sample,
    pub(super) never_told: u64,
    pub(super) safe_before_notice: u64,
    pub(super) ages: [u64; 5],
    late: BinaryHeap<Late>,
    /// In force, ending within a week, over and the case open.
    pub(super) exceptions: (u64, u64, u64),
    pub(super) waves: BTreeMap<u8, (u64, u64)>,
    /// Found again within 90 days, of the resets that are older.
    pub(super) relapse: (u64, u64),
    /// Compromised accounts that were reset before sign-in was opened again, of those opened again.
    pub(super) restored: (u64, u64),
    pub(super) found_date_only: u64,
    pub(super) reset_before_found: u64,
    pub(super) burn: BurnCounter,
}

impl ReportBuilder {
    /// A report as of `as_of`, for `readers`.
    pub fn new(as_of: Moment, readers: Readers) -> Self {
        Self {
            as_of,
            readers,
            categories: [Tally::default(); 4],
            departments: BTreeMap::new(),
            people: Vec::new(),
            mailboxes: 0,
            withdrawn: 0,
            superseded: 0,
            to_safe: Sample::default(),
            to_reset: Sample::default(),
            never_told: 0,
            safe_before_notice: 0,
            ages: [0; 5],
            late: BinaryHeap::new(),
            exceptions: (0, 0, 0),
            waves: BTreeMap::new(),
            relapse: (0, 0),
            restored: (0, 0),
            found_date_only: 0,
            reset_before_found: 0,
            burn: BurnCounter::new(as_of),
        }
    }

    /// Counts one case.
    pub fn case(&mut self, case: &CaseFacts) {
        if case.withdrawn {
            self.withdrawn += 1;
            return;
        }
        self.count_relapse(case);
        if case.superseded_at.is_some_and(|at| at <= self.as_of) {
            self.superseded += 1;
            return;
        }
        let standing = Standing::of(case, self.as_of);
        let tally = standing.tally(case, self.as_of);
        if let Some(own) = self.categories.get_mut(case.category as usize) {
            own.add(&tally);
        }
        let department = case.department.trim();
        match self.departments.get_mut(department) {
            Some(own) => own.add(&tally),
            None => {
                self.departments.insert(department.to_owned(), tally);
            }
        }
        self.people.extend(case.person.map(|person| person.0));
        self.mailboxes += u64::from(case.mailboxes);
        self.found_date_only += u64::from(case.found_date_only);
        self.reset_before_found += u64::from(case.reset_at.is_some_and(|at| at <= case.found_at));
        self.burn.add(
            case.category,
            case.opened_at,
            case.deadline_at,
            standing.safe_at,
        );
        self.watch(case, &standing);
        self.count_exceptions(case, &standing);
        self.count_waves(case, &standing);
        self.count_restored(case, &standing);
        if standing.overdue {
            self.count_overdue(case, &standing);
        }
    }

    /// The overdue cases that are listed, oldest first.
    pub(super) fn listed(&mut self) -> Vec<(usize, OverdueCase)> {
        let as_of = self.as_of;
        std::mem::take(&mut self.late)
            .into_sorted_vec()
            .into_iter()
            .map(|late| {
                let age = as_of.micros().saturating_sub(late.deadline_at.micros());
                let case = OverdueCase {
                    id: late.id,
                    category: late.category,
                    age: Some(super::Lasting(age)),
                    last_contact_at: late.last_contact_at,
                    next_step: late.next_step,
                };
                (age_place(age), case)
            })
            .collect()
    }

    fn watch(&mut self, case: &CaseFacts, standing: &Standing) {
        let group = case.category as u8;
        let (until, ending) = match standing.safe_at {
            Some(at) => (at, Ending::Event),
            None => (self.as_of, Ending::Censored),
        };
        self.to_safe.watch(group, case.found_at, until, ending);
        match standing.notice_at {
            None => self.never_told += 1,
            Some(_) if standing.safe_before_notice => self.safe_before_notice += 1,
            Some(told) => {
                let (until, ending) = match (standing.safe_at, standing.reset_at) {
                    (None, _) => (self.as_of, Ending::Censored),
                    (Some(safe), Some(reset)) if safe == reset => (safe, Ending::Event),
                    (Some(safe), _) => (safe, Ending::Competing),
                };
                self.to_reset.watch(group, told, until, ending);
            }
        }
    }

    fn count_relapse(&mut self, case: &CaseFacts) {
        let Some(reset) = case.reset_at.filter(|at| *at > case.found_at) else {
            return;
        };
        if self.as_of.micros().saturating_sub(reset.micros()) >= RELAPSE {
            self.relapse.1 += 1;
            self.relapse.0 += u64::from(case.superseded_at.is_some_and(|again| {
                again <= self.as_of && again.micros().saturating_sub(reset.micros()) <= RELAPSE
            }));
        }
    }

    fn count_exceptions(&mut self, case: &CaseFacts, standing: &Standing) {
        let in_force = case
            .exempt
            .iter()
            .filter(|(granted, expires)| *granted <= self.as_of && self.as_of < *expires)
            .map(|(_, expires)| *expires)
            .max();
        match in_force {
            Some(expires) => {
                self.exceptions.0 += 1;
                let left = expires.micros().saturating_sub(self.as_of.micros());
                self.exceptions.1 += u64::from(left <= 7 * DAY);
            }
            None => {
                let over = case
                    .exempt
                    .iter()
                    .any(|(_, expires)| *expires <= self.as_of);
                self.exceptions.2 += u64::from(over && standing.safe_at.is_none());
            }
        }
    }

    fn count_waves(&mut self, case: &CaseFacts, standing: &Standing) {
        for (wave, mailed) in &case.reminders {
            let old_enough = self.as_of.micros().saturating_sub(mailed.micros()) >= YIELD;
            if old_enough && standing.safe_at.is_none_or(|safe| safe > *mailed) {
                let counted = self.waves.entry(*wave).or_default();
                counted.1 += 1;
                counted.0 += u64::from(standing.reset_at.is_some_and(|reset| {
                    reset > *mailed && reset.micros().saturating_sub(mailed.micros()) <= YIELD
                }));
            }
        }
    }

    fn count_restored(&mut self, case: &CaseFacts, standing: &Standing) {
        let restored = case.restored_at.filter(|at| *at <= self.as_of);
        if let (Category::Compromised, Some(restored)) = (case.category, restored) {
            self.restored.1 += 1;
            self.restored.0 += u64::from(standing.reset_at.is_some_and(|reset| reset <= restored));
        }
    }

    fn count_overdue(&mut self, case: &CaseFacts, standing: &Standing) {
        let Some(deadline_at) = case.deadline_at else {
            return;
        };
        let age = self.as_of.micros().saturating_sub(deadline_at.micros());
        if let Some(count) = self.ages.get_mut(age_place(age)) {
            *count += 1;
        }
        let next_step = if standing.notice_at.is_none() {
            NextStep::ReachAnotherWay
        } else if case.handed_over_at.is_some() {
            NextStep::AwaitForcedChange
        } else {
            NextStep::HandOver
        };
        self.late.push(Late {
            deadline_at,
            id: case.id,
            category: case.category,
            last_contact_at: case.last_contact_at,
            next_step,
        });
        if self.late.len() > LISTED {
            self.late.pop();
        }
    }
}

/// Which of [`AGES`] an age falls into.
fn age_place(age: i64) -> usize {
    AGES.iter().position(|(_, most)| age <= *most).unwrap_or(0)
}
