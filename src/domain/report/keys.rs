//! Keys: every number of a report goes into the vault here, with the sums that readers know it to stand in.

use super::cell::Ratio;
use super::count::{ReportBuilder, Tally};
use super::facts::{DeliveriesOfKind, DeliveryFacts, Surroundings};
use super::finish::{FEWEST, SEVEREST_FIRST};
use super::vault::{Key, Opened, Vault};
use super::{CategoryRow, Coverage, DeliveryRow, DepartmentRow, Median, RateRow};
use crate::domain::finding::Category;
use crate::domain::notice::NoticeKind;
use crate::domain::survival::Estimate;

/// One group's figures in the vault.
pub(super) struct GroupKeys {
    pub(super) category: Option<Category>,
    pub(super) valid: Key,
    pub(super) told: Key,
    pub(super) safe: Key,
    pub(super) reset: Key,
    pub(super) open: Key,
    pub(super) due: Key,
    pub(super) on_time: Key,
    pub(super) overdue: Key,
    pub(super) rates: [(Key, Key); 6],
}

impl GroupKeys {
    pub(super) fn put(
        vault: &mut Vault,
        category: Option<Category>,
        tally: &Tally,
        total: &Tally,
    ) -> Self {
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
    pub(super) fn columns(&self) -> Vec<Key> {
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

    pub(super) fn row(&self, opened: &Opened, time_to_safe: Median) -> CategoryRow {
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

    pub(super) fn rates(&self, opened: &Opened) -> RateRow {
        RateRow {
            category: self.category,
            rates: self.rates.map(|(reset, told)| ratio(opened, reset, told)),
        }
    }
}

/// One department's figures in the vault.
pub(super) struct DepartmentKeys {
    pub(super) valid: Key,
    pub(super) safe: Key,
    pub(super) due: Key,
    pub(super) on_time: Key,
    pub(super) overdue: Key,
}

impl DepartmentKeys {
    pub(super) fn put(vault: &mut Vault, tally: &Tally, total: &Tally) -> Self {
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

    pub(super) fn of_all(all: &GroupKeys) -> Self {
        Self {
            valid: all.valid,
            safe: all.safe,
            due: all.due,
            on_time: all.on_time,
            overdue: all.overdue,
        }
    }

    pub(super) fn columns(&self) -> [Key; 5] {
        [self.valid, self.safe, self.due, self.on_time, self.overdue]
    }

    pub(super) fn row(&self, department: Option<&str>, opened: &Opened) -> DepartmentRow {
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
pub(super) struct DeliveryKeys {
    pub(super) kind: Option<NoticeKind>,
    pub(super) columns: [Key; 8],
}

impl DeliveryKeys {
    pub(super) fn put(vault: &mut Vault, kind: Option<NoticeKind>, facts: &DeliveryFacts) -> Self {
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

    pub(super) fn row(&self, opened: &Opened) -> DeliveryRow {
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
pub(super) struct Keys {
    pub(super) all: GroupKeys,
    pub(super) groups: Vec<GroupKeys>,
    pub(super) departments: Vec<(String, DepartmentKeys)>,
    pub(super) untold: Key,
    pub(super) failed: Key,
    pub(super) recheck: Key,
    pub(super) safe_untold: Key,
    pub(super) people: Key,
    pub(super) ages: [Key; 5],
    pub(super) coverage: Vec<(Key, Key, Vec<Key>)>,
    pub(super) in_force: Key,
    pub(super) expiring: Key,
    pub(super) relapse: (Key, Key),
    pub(super) restored: (Key, Key),
    pub(super) waves: Vec<(u8, Key, Key)>,
    pub(super) to_safe: (Key, Key),
    /// Cases, safe before they were told, impossible.
    pub(super) to_reset: (Key, Key, Key),
    pub(super) deliveries: Vec<DeliveryKeys>,
    pub(super) delivered: DeliveryKeys,
}

impl ReportBuilder {
    pub(super) fn put(
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
}

/// A group of fewer than five shows none of its figures, not even a nought, unless nobody at all has one.
pub(super) fn put_in(vault: &mut Vault, own: u64, of_all: u64, group: &Tally) -> Key {
    if group.valid < FEWEST && of_all > 0 {
        vault.put_hidden(own)
    } else {
        vault.put(own)
    }
}

pub(super) fn ratio(opened: &Opened, numerator: Key, denominator: Key) -> Ratio {
    Ratio {
        numerator: opened.cell(numerator),
        denominator: opened.cell(denominator),
    }
}

/// Each total is the sum of its column.
pub(super) fn sum_columns(vault: &mut Vault, totals: &[Key], rows: Vec<Vec<Key>>) {
    for (column, total) in totals.iter().enumerate() {
        let parts: Vec<Key> = rows
            .iter()
            .filter_map(|row| row.get(column).copied())
            .collect();
        vault.sum(*total, parts);
    }
}

pub(super) fn add_up(deliveries: &[DeliveriesOfKind]) -> DeliveryFacts {
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

pub(super) fn put_coverage(
    vault: &mut Vault,
    surroundings: &Surroundings,
) -> Vec<(Key, Key, Vec<Key>)> {
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
