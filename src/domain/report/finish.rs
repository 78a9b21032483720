//! Finish: counters and surroundings → the report, after small numbers have been withheld.

use super::count::{AGES, LISTED, ReportBuilder, Tally};
use super::facts::{DeliveriesOfKind, DeliveryFacts, Header, Surroundings};
use super::lasting::{DAY, HOUR};
use super::vault::{Key, Opened, Vault};
use super::yardsticks::{BENCHMARKS, RATE_NAMES, TARGETS};
use super::*;
use crate::domain::survival::{Estimate, Mark, Watches};

/// Severest first: the order in which readers ask.
const SEVEREST_FIRST: [Category; 4] = [
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
const FEWEST: u64 = 5;

/// One group's figures in the vault.
struct GroupKeys {
    category: Option<Category>,
    valid: Key,
    told: Key,
    safe: Key,
    reset: Key,
    open: Key,
    due: Key,
    on_time: Key,
    overdue: Key,
    rates: [(Key, Key); 6],
}

impl GroupKeys {
    fn put(vault: &mut Vault, category: Option<Category>, tally: &Tally, total: &Tally) -> Self {
        let mut put = |own: u64, of: u64| put_in(vault, own, of, tally);
        let keys = Self {
            category,
            told: put(tally.told, total.told),
            safe: put(tally.safe, total.safe),
            reset: put(tally.reset, total.reset),
            open: put(tally.open(), total.open()),
            due: put(tally.due, total.due),
            on_time: put(tally.on_time, total.on_time),
            overdue: put(tally.overdue, total.overdue),
            rates: std::array::from_fn(|place| {
                let rate = |tally: &Tally| tally.rates.get(place).copied().unwrap_or_default();
                let (own, of) = (rate(tally), rate(total));
                (put(own.0, of.0), put(own.1, of.1))
            }),
            valid: vault.put(tally.valid),
        };
        vault.sum(keys.valid, [keys.safe, keys.open]);
        for (part, whole) in [
            (keys.told, keys.valid),
            (keys.reset, keys.safe),
            (keys.due, keys.valid),
            (keys.on_time, keys.due),
            (keys.on_time, keys.safe),
            (keys.overdue, keys.open),
        ] {
            vault.within(part, whole);
        }
        for (reset, told) in keys.rates {
            vault.within(reset, told);
            vault.within(reset, keys.reset);
            vault.within(told, keys.told);
        }
        keys
    }

    /// Each figure, in a fixed order, so that groups can be summed figure by figure.
    fn columns(&self) -> Vec<Key> {
        let mut all = vec![
            self.valid,
            self.told,
            self.safe,
            self.reset,
            self.open,
            self.due,
            self.on_time,
            self.overdue,
        ];
        all.extend(self.rates.iter().flat_map(|(reset, told)| [*reset, *told]));
        all
    }

    fn row(&self, opened: &Opened, time_to_safe: Median) -> CategoryRow {
        let cell = |key| opened.cell(key);
        CategoryRow {
            category: self.category,
            valid: cell(self.valid),
            told: ratio(opened, self.told, self.valid),
            reset: ratio(opened, self.reset, self.valid),
            safe: ratio(opened, self.safe, self.valid),
            open: cell(self.open),
            on_time: ratio(opened, self.on_time, self.due),
            overdue: cell(self.overdue),
            time_to_safe,
        }
    }

    fn rates(&self, opened: &Opened) -> RateRow {
        RateRow {
            category: self.category,
            rates: self.rates.map(|(reset, told)| ratio(opened, reset, told)),
        }
    }
}

/// One department's figures in the vault.
struct DepartmentKeys {
    valid: Key,
    safe: Key,
    due: Key,
    on_time: Key,
    overdue: Key,
}

impl DepartmentKeys {
    fn put(vault: &mut Vault, tally: &Tally, total: &Tally) -> Self {
        let mut put = |own: u64, of: u64| put_in(vault, own, of, tally);
        let keys = Self {
            safe: put(tally.safe, total.safe),
            due: put(tally.due, total.due),
            on_time: put(tally.on_time, total.on_time),
            overdue: put(tally.overdue, total.overdue),
            valid: vault.put(tally.valid),
        };
        // Not in the table, but anybody can subtract.
        let open = vault.put_silent(tally.open());
        vault.sum(keys.valid, [keys.safe, open]);
        for (part, whole) in [
            (keys.due, keys.valid),
            (keys.on_time, keys.due),
            (keys.on_time, keys.safe),
            (keys.overdue, open),
        ] {
            vault.within(part, whole);
        }
        keys
    }

    fn of_all(all: &GroupKeys) -> Self {
        Self {
            valid: all.valid,
            safe: all.safe,
            due: all.due,
            on_time: all.on_time,
            overdue: all.overdue,
        }
    }

    fn columns(&self) -> [Key; 5] {
        [self.valid, self.safe, self.due, self.on_time, self.overdue]
    }

    fn row(&self, department: Option<&str>, opened: &Opened) -> DepartmentRow {
        DepartmentRow {
            department: department.map(|name| match name {
                "" => "(no department known)".to_owned(),
                name => name.to_owned(),
            }),
            valid: opened.cell(self.valid),
            safe: ratio(opened, self.safe, self.valid),
            due: opened.cell(self.due),
            on_time: ratio(opened, self.on_time, self.due),
            overdue: opened.cell(self.overdue),
        }
    }
}

/// The letters of one kind, in the vault.
struct DeliveryKeys {
    kind: Option<crate::domain::notice::NoticeKind>,
    columns: [Key; 8],
}

impl DeliveryKeys {
    fn put(
        vault: &mut Vault,
        kind: Option<crate::domain::notice::NoticeKind>,
        facts: &DeliveryFacts,
    ) -> Self {
        let columns = [
            facts.queued,
            facts.attempted,
            facts.accepted,
            facts.refused,
            facts.expired,
            facts.trying,
            facts.bounced,
            facts.in_doubt,
        ]
        .map(|count| vault.put(count));
        let [
            _,
            attempted,
            accepted,
            refused,
            expired,
            trying,
            bounced,
            in_doubt,
        ] = columns;
        vault.sum(attempted, [accepted, refused, expired, trying]);
        vault.within(bounced, accepted);
        vault.within(in_doubt, attempted);
        Self { kind, columns }
    }

    fn row(&self, opened: &Opened) -> DeliveryRow {
        let [
            queued,
            attempted,
            accepted,
            refused,
            expired,
            trying,
            bounced,
            in_doubt,
        ] = self.columns;
        DeliveryRow {
            kind: self.kind,
            queued: opened.cell(queued),
            attempted: opened.cell(attempted),
            accepted: ratio(opened, accepted, attempted),
            refused: opened.cell(refused),
            expired: opened.cell(expired),
            trying: opened.cell(trying),
            bounced: opened.cell(bounced),
            in_doubt: ratio(opened, in_doubt, attempted),
        }
    }
}

/// Everything that was put in the vault, so that it can be read when it is opened.
struct Keys {
    all: GroupKeys,
    groups: Vec<GroupKeys>,
    departments: Vec<(String, DepartmentKeys)>,
    untold: Key,
    failed: Key,
    recheck: Key,
    safe_untold: Key,
    people: Key,
    ages: [Key; 5],
    coverage: Vec<(Key, Key, Vec<Key>)>,
    in_force: Key,
    expiring: Key,
    relapse: (Key, Key),
    restored: (Key, Key),
    waves: Vec<(u8, Key, Key)>,
    to_safe: (Key, Key),
    /// Cases, safe before they were told, impossible.
    to_reset: (Key, Key, Key),
    deliveries: Vec<DeliveryKeys>,
    delivered: DeliveryKeys,
}

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
        let open_now = Category::ALL.map(|category| {
            let row = by_category
                .rows
                .iter()
                .find(|row| row.category == Some(category));
            row.map_or(Cell::Count(0), |row| row.open)
        });
        let median_to_reset = self.median(&reset_estimate);
        let time_to_reset = TimeTable {
            cases: opened.cell(keys.to_reset.0),
            median: median_to_reset.clone(),
            left_out_never_told: Some(opened.cell(keys.untold)),
            left_out_safe_before: Some(opened.cell(keys.to_reset.1)),
            left_out_impossible: opened.cell(keys.to_reset.2),
            marks: self.marks(&reset_estimate, true),
        };
        let time_to_safe = TimeTable {
            cases: opened.cell(keys.to_safe.0),
            median: by_category.total.time_to_safe.clone(),
            left_out_never_told: None,
            left_out_safe_before: None,
            left_out_impossible: opened.cell(keys.to_safe.1),
            marks: self.marks(&safe_estimate, false),
        };
        let delivery = DeliveryTable {
            rows: keys
                .deliveries
                .iter()
                .map(|keys| keys.row(&opened))
                .collect(),
            total: keys.delivered.row(&opened),
            tasks_open: Cell::alone(surroundings.tasks_open, self.readers),
        };
        let rates = RateTable {
            within: RATE_NAMES,
            rows: keys
                .groups
                .iter()
                .chain([&keys.all])
                .map(|keys| keys.rates(&opened))
                .collect(),
        };
        let mut report = Report {
            readers: self.readers,
            units: Units {
                accounts: opened.cell(keys.all.valid),
                people: opened.cell(keys.people),
                mailboxes: Cell::alone(
                    surroundings.mailboxes.unwrap_or(self.mailboxes),
                    self.readers,
                ),
                mailboxes_are_distinct: surroundings.mailboxes.is_some(),
                withdrawn: Cell::alone(self.withdrawn, self.readers),
                reopened: Cell::alone(self.superseded, self.readers),
            },
            coverage: coverage(&surroundings, &keys, &opened),
            headline: Vec::new(),
            targets: targets(&rates, ratio(&opened, keys.restored.0, keys.restored.1)),
            rates,
            by_department: DepartmentTable {
                rows: keys
                    .departments
                    .iter()
                    .map(|(name, keys)| keys.row(Some(name), &opened))
                    .collect(),
                total: DepartmentKeys::of_all(&keys.all).row(None, &opened),
            },
            time_to_safe,
            time_to_reset,
            overdue: self.overdue(&keys, &opened, &by_category, listed),
            exceptions: Exceptions {
                in_force: opened.cell(keys.in_force),
                expiring: opened.cell(keys.expiring),
                expired: Cell::alone(self.exceptions.2, self.readers),
                list: match self.readers {
                    Readers::Restricted => surroundings.exceptions,
                    Readers::Wider | Readers::AggregateOnly => Vec::new(),
                },
            },
            delivery,
            reminder_yield: keys
                .waves
                .iter()
                .map(|(wave, reset, mailed)| WaveRow {
                    wave: *wave,
                    reset: ratio(&opened, *reset, *mailed),
                })
                .collect(),
            statements: surroundings.statements,
            incidents: surroundings.incidents,
            clocks: surroundings.clocks,
            provenance: surroundings.provenance,
            ledger: surroundings.ledger,
            burn_down: self.burn.finish(open_now, self.readers),
            quality: Quality {
                found_date_only: Cell::alone(self.found_date_only, self.readers),
                reset_before_found: Cell::alone(self.reset_before_found, self.readers),
                no_department: keys
                    .departments
                    .iter()
                    .find(|(name, _)| name.is_empty())
                    .map_or(Cell::Count(0), |(_, keys)| opened.cell(keys.valid)),
            },
            benchmarks: BENCHMARKS.to_vec(),
            by_category,
            header,
        };
        report.headline = headline(&report, &keys, &opened, median_to_reset, previous);
        report
    }

    fn put(
        &mut self,
        vault: &mut Vault,
        surroundings: &Surroundings,
        safe_estimate: &Estimate,
        reset_estimate: &Estimate,
    ) -> Keys {
        let mut total = Tally::default();
        self.categories.iter().for_each(|tally| total.add(tally));
        let all = GroupKeys::put(vault, None, &total, &total);
        let untold = vault.put(total.valid.saturating_sub(total.told));
        vault.sum(all.valid, [all.told, untold]);

        let groups: Vec<GroupKeys> = SEVEREST_FIRST
            .into_iter()
            .filter_map(|category| {
                let tally = self.categories.get(category as usize)?;
                (tally.valid > 0).then(|| GroupKeys::put(vault, Some(category), tally, &total))
            })
            .collect();
        sum_columns(
            vault,
            &all.columns(),
            groups.iter().map(GroupKeys::columns).collect(),
        );
        let departments: Vec<(String, DepartmentKeys)> = self
            .departments
            .iter()
            .map(|(name, tally)| (name.clone(), DepartmentKeys::put(vault, tally, &total)))
            .collect();
        sum_columns(
            vault,
            &DepartmentKeys::of_all(&all).columns(),
            departments
                .iter()
                .map(|(_, keys)| keys.columns().to_vec())
                .collect(),
        );

        self.people.sort_unstable();
        self.people.dedup();
        let ages = self.ages.map(|count| vault.put(count));
        vault.sum(all.overdue, ages);
        let to_safe = (
            vault.put(safe_estimate.cases),
            vault.put(safe_estimate.rejected),
        );
        vault.sum(all.valid, [to_safe.0, to_safe.1]);
        let to_reset = (
            vault.put(reset_estimate.cases),
            vault.put(self.safe_before_notice),
            vault.put(reset_estimate.rejected),
        );
        vault.sum(all.told, [to_reset.0, to_reset.1, to_reset.2]);

        let deliveries: Vec<DeliveryKeys> = surroundings
            .deliveries
            .iter()
            .map(|(kind, facts)| DeliveryKeys::put(vault, Some(*kind), facts))
            .collect();
        let delivered = DeliveryKeys::put(vault, None, &add_up(&surroundings.deliveries));
        sum_columns(
            vault,
            &delivered.columns,
            deliveries
                .iter()
                .map(|keys| keys.columns.to_vec())
                .collect(),
        );
        let keys = Keys {
            untold,
            failed: vault.put(total.failed),
            recheck: vault.put(total.recheck),
            safe_untold: vault.put(total.safe_untold),
            people: vault.put(self.people.len() as u64),
            ages,
            coverage: put_coverage(vault, surroundings),
            in_force: vault.put(self.exceptions.0),
            expiring: vault.put(self.exceptions.1),
            relapse: (vault.put(self.relapse.0), vault.put(self.relapse.1)),
            restored: (vault.put(self.restored.0), vault.put(self.restored.1)),
            waves: self
                .waves
                .iter()
                .map(|(wave, (reset, mailed))| (*wave, vault.put(*reset), vault.put(*mailed)))
                .collect(),
            to_safe,
            to_reset,
            deliveries,
            delivered,
            all,
            groups,
            departments,
        };
        for (part, whole) in [
            (keys.failed, keys.untold),
            (keys.recheck, keys.all.reset),
            (keys.safe_untold, keys.all.safe),
            (keys.people, keys.all.valid),
            (keys.to_reset.1, keys.safe_untold),
            (keys.expiring, keys.in_force),
            (keys.relapse.0, keys.relapse.1),
            (keys.restored.0, keys.restored.1),
        ] {
            vault.within(part, whole);
        }
        if let Some(own) = keys
            .groups
            .iter()
            .find(|own| own.category == Some(Category::Compromised))
        {
            vault.within(keys.restored.0, own.reset);
            vault.within(keys.restored.1, own.valid);
        }
        for (_, reset, mailed) in &keys.waves {
            vault.within(*reset, *mailed);
        }
        keys
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

/// A group of fewer than five shows none of its figures, not even a nought, unless nobody at all has one.
fn put_in(vault: &mut Vault, own: u64, of_all: u64, group: &Tally) -> Key {
    if group.valid < FEWEST && of_all > 0 {
        vault.put_hidden(own)
    } else {
        vault.put(own)
    }
}

fn ratio(opened: &Opened, numerator: Key, denominator: Key) -> Ratio {
    Ratio {
        numerator: opened.cell(numerator),
        denominator: opened.cell(denominator),
    }
}

/// Each total is the sum of its column.
fn sum_columns(vault: &mut Vault, totals: &[Key], rows: Vec<Vec<Key>>) {
    for (column, total) in totals.iter().enumerate() {
        let parts: Vec<Key> = rows
            .iter()
            .filter_map(|row| row.get(column).copied())
            .collect();
        vault.sum(*total, parts);
    }
}

fn add_up(deliveries: &[DeliveriesOfKind]) -> DeliveryFacts {
    let mut sum = DeliveryFacts::default();
    for (_, facts) in deliveries {
        sum.queued += facts.queued;
        sum.attempted += facts.attempted;
        sum.accepted += facts.accepted;
        sum.refused += facts.refused;
        sum.expired += facts.expired;
        sum.trying += facts.trying;
        sum.bounced += facts.bounced;
        sum.in_doubt += facts.in_doubt;
    }
    sum
}

fn put_coverage(vault: &mut Vault, surroundings: &Surroundings) -> Vec<(Key, Key, Vec<Key>)> {
    let put = |row: &Coverage| {
        let (scope, assessed) = (vault.put(row.in_scope), vault.put(row.assessed));
        let reasons: Vec<Key> = row
            .not_assessed
            .iter()
            .map(|(_, count)| vault.put(*count))
            .collect();
        vault.sum(scope, reasons.iter().copied().chain([assessed]));
        (scope, assessed, reasons)
    };
    surroundings.coverage.iter().map(put).collect()
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

fn headline(
    report: &Report,
    keys: &Keys,
    opened: &Opened,
    median_to_reset: Median,
    previous: Option<&Report>,
) -> Vec<Metric> {
    let all = &keys.all;
    let of_valid = |key| Measure::Ratio(ratio(opened, key, all.valid));
    let count = |key| Measure::Count(opened.cell(key));
    let mut lines: Vec<(&'static str, &'static str, &'static str, Measure)> = vec![
        (
            "made_safe",
            "Made safe",
            "reset and verified, or disabled",
            of_valid(all.safe),
        ),
        (
            "reset",
            "Reset",
            "verified by the directory; falls when new cases open",
            of_valid(all.reset),
        ),
        (
            "recheck_pending",
            "Re-check pending",
            "of the resets: no audit has looked at the new password yet",
            count(keys.recheck),
        ),
        (
            "open",
            "Still open",
            "neither reset nor disabled",
            count(all.open),
        ),
        (
            "on_time",
            "On time",
            "safe by the deadline, of those whose deadline has come",
            Measure::Ratio(ratio(opened, all.on_time, all.due)),
        ),
        (
            "overdue",
            "Overdue",
            "open past the deadline, without an exception in force",
            count(all.overdue),
        ),
        (
            "median_time_to_safe",
            "Half made safe within",
            "from the finding; open cases are counted, not dropped",
            Measure::Median(report.by_category.total.time_to_safe.clone()),
        ),
        (
            "median_time_to_reset",
            "Half reset within",
            "from the first notice; cases safe before it are left out",
            Measure::Median(median_to_reset),
        ),
        (
            "told",
            "Told",
            "a notice was accepted and stands, or somebody spoke to them; accepted is not read",
            of_valid(all.told),
        ),
        (
            "not_told",
            "Not reached",
            "no notice stands, and nobody has spoken to them",
            count(keys.untold),
        ),
        (
            "undeliverable",
            "Tried in vain",
            "of those not reached; the rest has not been tried yet",
            count(keys.failed),
        ),
        (
            "safe_before_told",
            "Safe before being told",
            "counted as safe; says nothing about the messages",
            count(keys.safe_untold),
        ),
        (
            "possible_duplicates",
            "May have arrived twice",
            "letters ever in doubt, of those attempted",
            Measure::Ratio(report.delivery.total.in_doubt),
        ),
        (
            "exceptions",
            "Exceptions in force",
            "accepted risk: these accounts still count as not reset",
            count(keys.in_force),
        ),
        (
            "relapse",
            "Relapsed",
            "found again within 90 days, of the resets older than that",
            Measure::Ratio(ratio(opened, keys.relapse.0, keys.relapse.1)),
        ),
        (
            "withdrawn",
            "Withdrawn",
            "false positive or duplicate; in no other figure",
            Measure::Count(report.units.withdrawn),
        ),
        (
            "reopened",
            "Reopened",
            "the reset did not hold; a new case counts instead",
            Measure::Count(report.units.reopened),
        ),
    ];
    if let Some(incident) = report.incidents.first() {
        let latency = incident.first_statement_at.map(|at| {
            Lasting(
                at.since(incident.declared_at)
                    .num_microseconds()
                    .unwrap_or(0),
            )
        });
        lines.push((
            "statement_latency",
            "First official statement after",
            "from the declaration of the first incident",
            Measure::Lasting(latency),
        ));
        let (missed, due) = report
            .incidents
            .iter()
            .fold((0, 0), |(missed, due), incident| {
                (
                    missed + incident.promises_missed,
                    due + incident.promises_due,
                )
            });
        lines.push((
            "promises_missed",
            "Promised updates missed",
            "of those whose time has come",
            Measure::Ratio(Ratio::of(missed, due)),
        ));
    }
    let before = |key: &str| {
        let line = previous?.headline.iter().find(|line| line.key == key)?;
        Some(line.value.clone())
    };
    lines
        .into_iter()
        .map(|(key, name, note, value)| Metric {
            key,
            name,
            note,
            value,
            previous: before(key),
        })
        .collect()
}
