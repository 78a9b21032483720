//! Finish: counters and surroundings → the report, after small numbers have been withheld.

use super::count::{AGES, LISTED, ReportBuilder};
use super::facts::{ExceptionFacts, Header, Surroundings};
use super::headline::headline;
use super::keys::{DepartmentKeys, Keys, ratio};
use super::lasting::{DAY, HOUR};
use super::vault::{Opened, Vault};
use super::yardsticks::{BENCHMARKS, RATE_NAMES, TARGETS};
use super::*;
use crate::domain::survival::{Estimate, Mark, Watches};

/// Severest first: the order in which readers ask.
pub(super) const SEVEREST_FIRST: [Category; 4] = [
    Category::Compromised,
    Category::Breached,
    Category::Attacked,
    Category::Weak,
];

/// Times after the origin at which the curves are read.
const MARKS: [i64; 10] = [
    4 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    3 * DAY,
    7 * DAY,
    14 * DAY,
    30 * DAY,
    60 * DAY,
    90 * DAY,
];

/// Fewer cases than this are too few to tell an estimate without telling on them.
pub(super) const FEWEST: u64 = 5;

impl ReportBuilder {
    /// The report. `previous` is the one before, whose headline stands beside this one's.
    pub fn finish(
        mut self,
        header: Header,
        surroundings: Surroundings,
        previous: Option<&Report>,
    ) -> Report {
        let to_safe = std::mem::take(&mut self.to_safe).sorted();
        let to_reset = std::mem::take(&mut self.to_reset).sorted();
        let safe_estimate = to_safe.estimate(None, &MARKS);
        let reset_estimate = to_reset.estimate(None, &MARKS);
        let listed = self.listed();
        let mut vault = Vault::new(self.readers);
        let keys = self.put(&mut vault, &surroundings, &safe_estimate, &reset_estimate);
        let opened = vault.open();

        let by_category = self.by_category(&keys, &opened, &to_safe, &safe_estimate);
        let rates = rates(&keys, &opened);
        let tables = Surrounded::from(&surroundings, &keys, &opened, self.readers);
        let mut report = Report {
            readers: self.readers,
            units: self.units(&keys, &opened, surroundings.mailboxes),
            coverage: tables.coverage,
            headline: Vec::new(),
            targets: targets(&rates, ratio(&opened, keys.restored.0, keys.restored.1)),
            rates,
            by_department: by_department(&keys, &opened),
            time_to_safe: self.time_to_safe(&keys, &opened, &safe_estimate),
            time_to_reset: self.time_to_reset(&keys, &opened, &reset_estimate),
            overdue: self.overdue(&keys, &opened, &by_category, listed),
            exceptions: self.exceptions(&keys, &opened, surroundings.exceptions),
            delivery: tables.delivery,
            reminder_yield: waves(&keys, &opened),
            statements: surroundings.statements,
            incidents: surroundings.incidents,
            clocks: surroundings.clocks,
            provenance: surroundings.provenance,
            ledger: surroundings.ledger,
            quality: self.quality(&keys, &opened),
            burn_down: self.burn.finish(open_now(&by_category), self.readers),
            benchmarks: BENCHMARKS.to_vec(),
            by_category,
            header,
        };
        report.headline = headline(&report, &keys, &opened, previous);
        report
    }

    fn units(&self, keys: &Keys, opened: &Opened, mailboxes: Option<u64>) -> Units {
        Units {
            accounts: opened.cell(keys.all.valid),
            people: opened.cell(keys.people),
            mailboxes: Cell::alone(mailboxes.unwrap_or(self.mailboxes), self.readers),
            mailboxes_are_distinct: mailboxes.is_some(),
            withdrawn: Cell::alone(self.withdrawn, self.readers),
            reopened: Cell::alone(self.superseded, self.readers),
        }
    }

    fn time_to_safe(&self, keys: &Keys, opened: &Opened, estimate: &Estimate) -> TimeTable {
        TimeTable {
            cases: opened.cell(keys.to_safe.0),
            median: self.median(estimate),
            left_out_never_told: None,
            left_out_safe_before: None,
            left_out_impossible: opened.cell(keys.to_safe.1),
            marks: self.marks(estimate, false),
        }
    }

    fn time_to_reset(&self, keys: &Keys, opened: &Opened, estimate: &Estimate) -> TimeTable {
        TimeTable {
            cases: opened.cell(keys.to_reset.0),
            median: self.median(estimate),
            left_out_never_told: Some(opened.cell(keys.untold)),
            left_out_safe_before: Some(opened.cell(keys.to_reset.1)),
            left_out_impossible: opened.cell(keys.to_reset.2),
            marks: self.marks(estimate, true),
        }
    }

    fn exceptions(&self, keys: &Keys, opened: &Opened, list: Vec<ExceptionFacts>) -> Exceptions {
        Exceptions {
            in_force: opened.cell(keys.in_force),
            expiring: opened.cell(keys.expiring),
            expired: Cell::alone(self.exceptions.2, self.readers),
            list: match self.readers {
                Readers::Restricted => list,
                Readers::Wider | Readers::AggregateOnly => Vec::new(),
            },
        }
    }

    fn quality(&self, keys: &Keys, opened: &Opened) -> Quality {
        let mut departments = keys.departments.iter();
        let nameless = departments.find(|(name, _)| name.is_empty());
        Quality {
            found_date_only: Cell::alone(self.found_date_only, self.readers),
            reset_before_found: Cell::alone(self.reset_before_found, self.readers),
            no_department: nameless.map_or(Cell::Count(0), |(_, keys)| opened.cell(keys.valid)),
        }
    }

    fn by_category(
        &self,
        keys: &Keys,
        opened: &Opened,
        to_safe: &Watches,
        of_all: &Estimate,
    ) -> CategoryTable {
        let rows = keys.groups.iter().map(|group| {
            let estimate = to_safe.estimate(group.category.map(|category| category as u8), &[]);
            group.row(opened, self.median(&estimate))
        });
        CategoryTable {
            rows: rows.collect(),
            total: keys.all.row(opened, self.median(of_all)),
        }
    }

    fn median(&self, estimate: &Estimate) -> Median {
        let too_few = estimate.cases < FEWEST && self.readers != Readers::Restricted;
        if estimate.cases == 0 || too_few {
            Median::Hidden
        } else {
            Median::of(estimate)
        }
    }

    fn marks(&self, estimate: &Estimate, competing: bool) -> Vec<TimeMark> {
        let tell = |mark: &Mark| mark.at_risk >= FEWEST || self.readers == Readers::Restricted;
        let permille = |share: f64| (share * 1000.0).round() as u64;
        estimate
            .marks
            .iter()
            .filter(|mark| mark.at_risk > 0)
            .map(|mark| TimeMark {
                after: Lasting(mark.at),
                at_risk: Cell::alone(mark.at_risk, self.readers),
                happened: tell(mark).then(|| permille(1.0 - mark.survival)),
                reset: (competing && tell(mark)).then(|| permille(mark.incidence)),
                disabled: (competing && tell(mark)).then(|| permille(mark.competing_incidence)),
            })
            .collect()
    }

    fn overdue(
        &self,
        keys: &Keys,
        opened: &Opened,
        by_category: &CategoryTable,
        listed: Vec<(usize, OverdueCase)>,
    ) -> Overdue {
        let total = opened.cell(keys.all.overdue);
        let by_age: Vec<(&'static str, Cell)> = AGES
            .iter()
            .zip(keys.ages)
            .map(|((name, _), key)| (*name, opened.cell(key)))
            .collect();
        let shown = |category: Option<Category>| {
            let row = by_category.rows.iter().find(|row| row.category == category);
            row.is_some_and(|row| row.overdue.count().is_some())
        };
        let mut cases = Vec::new();
        let mut left_out = false;
        for (place, mut case) in listed {
            // Even without its category, its age would tell: everybody knows when each category was due.
            if !shown(Some(case.category)) {
                left_out = true;
                continue;
            }
            let age_is_shown = by_age
                .get(place)
                .is_some_and(|(_, cell)| cell.count().is_some());
            case.age = case.age.filter(|_| age_is_shown);
            cases.push(case);
        }
        let note = match (self.readers, total) {
            (Readers::AggregateOnly, _) => Some("Single cases are left to the identity team."),
            (_, Cell::Few | Cell::Between(..) | Cell::Hidden) => {
                Some("Only the restricted report lists cases of so small, or withheld, a number.")
            }
            (_, Cell::Count(_)) if left_out => Some(
                "Cases of a category whose number is withheld are listed in the restricted report only.",
            ),
            (_, Cell::Count(count)) if count > LISTED as u64 => {
                Some("Only the oldest 1,000 are listed.")
            }
            (_, Cell::Count(_)) => None,
        };
        if self.readers == Readers::AggregateOnly || total.count().is_none() {
            cases.clear();
        }
        Overdue {
            total,
            by_age,
            cases,
            note,
        }
    }
}

/// What readers may see of each category's open accounts now, in the order of [`Category::ALL`].
fn open_now(by_category: &CategoryTable) -> [Cell; 4] {
    Category::ALL.map(|category| {
        let mut rows = by_category.rows.iter();
        let own = rows.find(|row| row.category == Some(category));
        own.map_or(Cell::Count(0), |row| row.open)
    })
}

fn rates(keys: &Keys, opened: &Opened) -> RateTable {
    let groups = keys.groups.iter().chain([&keys.all]);
    RateTable {
        within: RATE_NAMES,
        rows: groups.map(|keys| keys.rates(opened)).collect(),
    }
}

fn by_department(keys: &Keys, opened: &Opened) -> DepartmentTable {
    let rows = keys.departments.iter();
    DepartmentTable {
        rows: rows
            .map(|(name, keys)| keys.row(Some(name), opened))
            .collect(),
        total: DepartmentKeys::of_all(&keys.all).row(None, opened),
    }
}

fn waves(keys: &Keys, opened: &Opened) -> Vec<WaveRow> {
    let row = |(wave, reset, mailed): &(u8, _, _)| WaveRow {
        wave: *wave,
        reset: ratio(opened, *reset, *mailed),
    };
    keys.waves.iter().map(row).collect()
}

/// The tables that are not counted from cases, and hold small numbers all the same.
struct Surrounded {
    coverage: Vec<CoverageRow>,
    delivery: DeliveryTable,
}

impl Surrounded {
    fn from(surroundings: &Surroundings, keys: &Keys, opened: &Opened, readers: Readers) -> Self {
        let rows = keys.deliveries.iter();
        Self {
            coverage: coverage(surroundings, keys, opened),
            delivery: DeliveryTable {
                rows: rows.map(|keys| keys.row(opened)).collect(),
                total: keys.delivered.row(opened),
                tasks_open: Cell::alone(surroundings.tasks_open, readers),
            },
        }
    }
}

fn coverage(surroundings: &Surroundings, keys: &Keys, opened: &Opened) -> Vec<CoverageRow> {
    surroundings
        .coverage
        .iter()
        .zip(&keys.coverage)
        .map(|(row, (scope, assessed, reasons))| CoverageRow {
            source: row.source.clone(),
            run_at: row.run_at,
            assessed: ratio(opened, *assessed, *scope),
            not_assessed: row
                .not_assessed
                .iter()
                .zip(reasons)
                .map(|((reason, _), key)| (reason.clone(), opened.cell(*key)))
                .collect(),
        })
        .collect()
}

/// Whether a target was reached, as far as the numbers that are shown tell. Counted, not rounded: 89.96 % is not 90 %.
fn reached(measured: Ratio, percent: u64) -> Option<bool> {
    let whole = measured.denominator.count().filter(|whole| *whole > 0)?;
    let enough = |part: u64| u128::from(part) * 100 >= u128::from(whole) * u128::from(percent);
    match measured.numerator {
        Cell::Count(part) => Some(enough(part)),
        Cell::Between(low, high) => (enough(low) == enough(high)).then(|| enough(low)),
        Cell::Few | Cell::Hidden => None,
    }
}

fn targets(rates: &RateTable, restored: Ratio) -> Vec<TargetRow> {
    let judged = |category, when, percent: u64, measured: Ratio| TargetRow {
        category,
        when,
        target_percent: percent,
        measured,
        reached: reached(measured, percent),
    };
    let mut rows = vec![judged(
        Category::Compromised,
        "before sign-in is restored",
        100,
        restored,
    )];
    for target in TARGETS {
        let row = rates
            .rows
            .iter()
            .find(|row| row.category == Some(target.category));
        let measured = row.and_then(|row| row.rates.get(target.rate).copied());
        let when = RATE_NAMES.get(target.rate).copied().unwrap_or_default();
        rows.push(judged(
            target.category,
            when,
            target.percent,
            measured.unwrap_or(Ratio::of(0, 0)),
        ));
    }
    rows
}
