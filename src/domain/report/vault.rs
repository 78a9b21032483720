//! Vault: keeps small numbers from being read, or computed from the sums printed beside them.
//!
//! Every number of a report is put in with the sums it stands in. [`Vault::open`] withholds the small ones, and then
//! as many others as it takes until no reader can compute what is withheld: neither by bounding (each number lies
//! between what the sums leave it) nor by solving the sums as equations.

use super::cell::{Cell, FEW, Readers};

/// A number in the vault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key(usize);

/// More than any count, small enough that sums of it do not overflow.
const ENDLESS: i128 = 1 << 80;

/// A range wider than this tells a reader nothing that is worth the ink.
const WIDEST_SHOWN: u64 = 8;

/// Rounds of bounding after which we stop looking for more. Each round can only narrow.
const ROUNDS: usize = 200;

/// Of the numbers that may free a computable one, how many are tried before the smallest is taken.
const TRIES: usize = 4;

/// How many numbers are tried for having been withheld in vain: a bound on time, not on secrecy.
const GIVEN_BACK: usize = 200;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shown {
    Yes,
    /// "<5": the reader knows 1 to 4.
    Few,
    /// The reader knows only that it is not small, or, if it had to be loosened, nothing.
    No,
    Loose,
    /// Not printed at all; there only because of what it would let a reader compute.
    Silent,
}

impl Shown {
    /// Whether a reader must not be able to compute it.
    const fn is_secret(self) -> bool {
        matches!(self, Self::Few | Self::No | Self::Loose)
    }
}

/// How much a reader would miss a number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Rank {
    Part,
    Subtotal,
    Root,
}

/// A number that could be withheld: how much it would be missed, its value, its slot.
type Candidate = (Rank, u64, usize);

/// Least and greatest that a number can be for all a reader knows.
type Range = (i128, i128);

#[derive(Debug)]
struct Sum {
    total: usize,
    parts: Vec<usize>,
}

impl Sum {
    fn members(&self) -> impl Iterator<Item = usize> + '_ {
        self.parts.iter().copied().chain([self.total])
    }
}

/// Numbers, their sums, and for whom they are.
#[derive(Debug)]
pub struct Vault {
    readers: Readers,
    values: Vec<u64>,
    shown: Vec<Shown>,
    ranks: Vec<Rank>,
    sums: Vec<Sum>,
    within: Vec<(usize, usize)>,
}

/// What a reader may see of each number.
#[derive(Debug)]
pub struct Opened(Vec<Cell>);

impl Opened {
    /// The cell to print for a number.
    pub fn cell(&self, key: Key) -> Cell {
        self.0.get(key.0).copied().unwrap_or(Cell::Hidden)
    }
}

impl Vault {
    /// An empty vault.
    pub fn new(readers: Readers) -> Self {
        Self {
            readers,
            values: Vec::new(),
            shown: Vec::new(),
            ranks: Vec::new(),
            sums: Vec::new(),
            within: Vec::new(),
        }
    }

    /// Puts a number in.
    pub fn put(&mut self, value: u64) -> Key {
        let small = (1..=FEW).contains(&value) && self.readers != Readers::Restricted;
        self.values.push(value);
        self.shown.push(if small { Shown::Few } else { Shown::Yes });
        self.ranks.push(Rank::Part);
        Key(self.values.len() - 1)
    }

    /// Puts in a number about a group so small that even a nought would tell on its members.
    pub fn put_hidden(&mut self, value: u64) -> Key {
        let key = self.put(value);
        if self.readers != Readers::Restricted {
            self.shown[key.0] = Shown::Loose;
        }
        key
    }

    /// Puts in a number that is printed nowhere, but that readers know to stand in a sum.
    pub fn put_silent(&mut self, value: u64) -> Key {
        let key = self.put(value);
        self.shown[key.0] = Shown::Silent;
        key
    }

    /// A reader knows that `total` is the sum of `parts`. What does not add up tells nobody anything, and is ignored.
    pub fn sum(&mut self, total: Key, parts: impl IntoIterator<Item = Key>) {
        let parts: Vec<usize> = parts.into_iter().map(|key| key.0).collect();
        let adds_up = parts
            .iter()
            .map(|&part| u128::from(self.values[part]))
            .sum::<u128>()
            == u128::from(self.values[total.0]);
        if adds_up {
            self.sums.push(Sum {
                total: total.0,
                parts,
            });
        }
    }

    /// A reader knows that `part` counts some of what `whole` counts.
    pub fn within(&mut self, part: Key, whole: Key) {
        if self.values[part.0] <= self.values[whole.0] {
            self.within.push((part.0, whole.0));
        }
    }

    /// Withholds what must be withheld.
    pub fn open(mut self) -> Opened {
        self.rank();
        if self.readers != Readers::Restricted {
            loop {
                let computable = self.computable();
                if computable.is_empty() || !self.withhold_one_more(&computable) {
                    break;
                }
            }
            self.give_back();
        }
        let ranges = self.ranges();
        let cells = self.shown.iter().zip(&self.values).zip(&ranges);
        Opened(
            cells
                .map(|((shown, value), range)| match shown {
                    Shown::Yes => Cell::Count(*value),
                    Shown::Few => Cell::Few,
                    Shown::No => narrow(*range),
                    Shown::Loose | Shown::Silent => Cell::Hidden,
                })
                .collect(),
        )
    }

    fn rank(&mut self) {
        for sum in &self.sums {
            self.ranks[sum.total] = Rank::Root;
        }
        for &part in self.sums.iter().flat_map(|sum| &sum.parts) {
            if self.ranks[part] == Rank::Root {
                self.ranks[part] = Rank::Subtotal;
            }
        }
    }

    /// The withheld numbers that a reader can compute.
    fn computable(&self) -> Vec<usize> {
        let ranges = self.ranges();
        let mut found = self.solved();
        found.extend(
            (0..self.values.len())
                .filter(|&slot| self.shown[slot].is_secret() && ranges[slot].0 >= ranges[slot].1),
        );
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Shows again what was withheld in vain, what readers would miss most first: a number that was taken for one
    /// that another freed as well.
    fn give_back(&mut self) {
        let before = self.computable().len();
        let mut withheld: Vec<usize> = (0..self.values.len())
            .filter(|&slot| self.shown[slot] == Shown::No)
            .collect();
        withheld
            .sort_by_key(|&slot| std::cmp::Reverse((self.ranks[slot], self.values[slot], slot)));
        for slot in withheld.into_iter().take(GIVEN_BACK) {
            self.shown[slot] = Shown::Yes;
            if self.computable().len() > before {
                self.shown[slot] = Shown::No;
            }
        }
    }

    /// Withholds one more number: one that by itself frees a computable one, or else the one that tells least. False
    /// if there is nothing left to do.
    fn withhold_one_more(&mut self, computable: &[usize]) -> bool {
        // Where no single number frees one, it takes two: the first of them stands in the same row.
        let mut least: Option<(Rank, bool, u64, usize)> = None;
        for &pinned in computable {
            let (row, sum) = self.candidates(pinned);
            let not_root = |(rank, ..): &&Candidate| *rank != Rank::Root;
            let worth_trying = row.iter().filter(not_root);
            for &(_, _, slot) in worth_trying.chain(sum.iter().filter(not_root).take(TRIES)) {
                if self.frees(slot, pinned) {
                    self.shown[slot] = Shown::No;
                    return true;
                }
            }
            let all = row
                .into_iter()
                .map(|(rank, value, slot)| (rank, false, value, slot));
            let sum = sum
                .into_iter()
                .map(|(rank, value, slot)| (rank, true, value, slot));
            least = least.into_iter().chain(all).chain(sum).min();
        }
        if let Some((_, _, _, slot)) = least {
            self.shown[slot] = Shown::No;
            return true;
        }
        // Only small numbers and noughts around them (1 + 1 + 1 + 1 = 4): then "<5" itself says too much.
        let loosened = computable.iter().find_map(|&pinned| {
            let mut around = self.summed_with(pinned);
            around.sort_by_key(|&slot| (std::cmp::Reverse(self.ranks[slot]), slot));
            around.push(pinned);
            around
                .into_iter()
                .find(|&slot| matches!(self.shown[slot], Shown::Few | Shown::No))
        });
        if let Some(slot) = loosened {
            self.shown[slot] = Shown::Loose;
        }
        loosened.is_some()
    }

    /// What could be withheld to free `pinned`: first what stands in the same row, then what stands in the same sum,
    /// what tells least first.
    fn candidates(&self, pinned: usize) -> (Vec<Candidate>, Vec<Candidate>) {
        let silent = |slot: &usize| self.shown[*slot] == Shown::Silent;
        let held: Vec<usize> = self.beside(pinned).filter(silent).collect();
        let in_sums = |slot: usize| self.summed_with(slot).into_iter();
        // Of the numbers that hold another between bounds, only one that equals it can pin it.
        let equal = |slot: usize| {
            let beside = self.beside(slot);
            beside.filter(move |&other| self.values[other] == self.values[slot])
        };
        let row: Vec<usize> = equal(pinned)
            .chain(held.iter().flat_map(|&slot| in_sums(slot)))
            .chain(in_sums(pinned).filter(silent).flat_map(equal))
            .collect();
        (self.ranked(row), self.ranked(self.summed_with(pinned)))
    }

    /// Those that are shown and not small, what tells least first.
    fn ranked(&self, mut slots: Vec<usize>) -> Vec<Candidate> {
        slots.retain(|&slot| self.shown[slot] == Shown::Yes && self.values[slot] > FEW);
        let mut ranked: Vec<Candidate> = slots
            .into_iter()
            .map(|slot| (self.ranks[slot], self.values[slot], slot))
            .collect();
        ranked.sort_unstable();
        ranked.dedup();
        ranked
    }

    /// What is known to hold `slot`, or to be held by it.
    fn beside(&self, slot: usize) -> impl Iterator<Item = usize> + '_ {
        self.within
            .iter()
            .filter_map(move |&(part, whole)| match slot {
                _ if slot == part => Some(whole),
                _ if slot == whole => Some(part),
                _ => None,
            })
    }

    /// Whether withholding `slot` is enough that nobody can compute `pinned`.
    fn frees(&mut self, slot: usize, pinned: usize) -> bool {
        self.shown[slot] = Shown::No;
        let (low, high) = self.ranges()[pinned];
        let free = low < high && !self.solved().contains(&pinned);
        self.shown[slot] = Shown::Yes;
        free
    }

    fn summed_with(&self, of: usize) -> Vec<usize> {
        let sums = self
            .sums
            .iter()
            .filter(|sum| sum.members().any(|slot| slot == of));
        sums.flat_map(Sum::members)
            .filter(|&slot| slot != of)
            .collect()
    }

    /// What a reader knows of one number before looking at any other.
    fn at_sight(&self, slot: usize) -> Range {
        let value = i128::from(self.values[slot]);
        match self.shown[slot] {
            Shown::Yes => (value, value),
            Shown::Few => (1, i128::from(FEW)),
            // That it was withheld says that it was not small.
            Shown::No => (i128::from(FEW) + 1, ENDLESS),
            Shown::Loose | Shown::Silent => (0, ENDLESS),
        }
    }

    /// What a reader knows of each number after looking at all of them.
    fn ranges(&self) -> Vec<Range> {
        let mut ranges: Vec<Range> = (0..self.values.len())
            .map(|slot| self.at_sight(slot))
            .collect();
        for _ in 0..ROUNDS {
            let mut changed = false;
            for sum in &self.sums {
                changed |= bound_sum(sum, &mut ranges);
            }
            for &(part, whole) in &self.within {
                let (low, high) = (ranges[part].0, ranges[whole].1);
                changed |= tighten(&mut ranges[part], (0, high));
                changed |= tighten(&mut ranges[whole], (low, ENDLESS));
            }
            if !changed {
                break;
            }
        }
        ranges
    }

    /// All withheld numbers that the sums determine: Gauss–Jordan elimination, then the rows with one unknown.
    fn solved(&self) -> Vec<usize> {
        let mut unknowns: Vec<usize> = self
            .sums
            .iter()
            .flat_map(Sum::members)
            .filter(|&slot| self.shown[slot] != Shown::Yes)
            .collect();
        unknowns.sort_unstable();
        unknowns.dedup();
        let mut rows: Vec<Vec<f64>> = self
            .sums
            .iter()
            .map(|sum| coefficients(sum, &unknowns))
            .filter(|row| row.iter().any(|factor| *factor != 0.0))
            .collect();
        eliminate(&mut rows, unknowns.len());
        rows.iter()
            .filter_map(|row| {
                let mut filled = row
                    .iter()
                    .enumerate()
                    .filter(|(_, factor)| factor.abs() > 1e-9);
                match (filled.next(), filled.next()) {
                    (Some((column, _)), None) => unknowns
                        .get(column)
                        .copied()
                        .filter(|&slot| self.shown[slot].is_secret()),
                    _ => None,
                }
            })
            .collect()
    }
}

/// One equation: how often each unknown stands in it.
fn coefficients(sum: &Sum, unknowns: &[usize]) -> Vec<f64> {
    let mut row = vec![0.0; unknowns.len()];
    let mut add = |slot: usize, factor: f64| {
        if let Ok(column) = unknowns.binary_search(&slot) {
            row[column] += factor;
        }
    };
    for &part in &sum.parts {
        add(part, 1.0);
    }
    add(sum.total, -1.0);
    row
}

/// Brings the rows to reduced echelon form. There are few rows (one a sum), however many numbers there are.
fn eliminate(rows: &mut [Vec<f64>], columns: usize) {
    let mut done = 0;
    for column in 0..columns {
        let Some(pivot) = (done..rows.len()).find(|&row| rows[row][column].abs() > 1e-9) else {
            continue;
        };
        rows.swap(done, pivot);
        let divisor = rows[done][column];
        rows[done].iter_mut().for_each(|factor| *factor /= divisor);
        let lead = rows[done].clone();
        for (place, row) in rows.iter_mut().enumerate() {
            let factor = row[column];
            if place != done && factor.abs() > 1e-9 {
                for (cell, lead) in row.iter_mut().zip(&lead) {
                    *cell -= factor * lead;
                }
            }
        }
        done += 1;
    }
}

/// Narrows a sum's members by one another. True if something changed.
fn bound_sum(sum: &Sum, ranges: &mut [Range]) -> bool {
    let low: i128 = sum.parts.iter().map(|&part| ranges[part].0).sum();
    let high: i128 = sum.parts.iter().map(|&part| ranges[part].1).sum();
    let mut changed = tighten(&mut ranges[sum.total], (low, high));
    let total = ranges[sum.total];
    for &part in &sum.parts {
        let own = ranges[part];
        changed |= tighten(
            &mut ranges[part],
            (total.0 - (high - own.1), total.1 - (low - own.0)),
        );
    }
    changed
}

fn tighten(range: &mut Range, by: Range) -> bool {
    let narrower = (range.0.max(by.0), range.1.min(by.1));
    let changed = narrower != *range;
    *range = narrower;
    changed
}

/// A withheld number's range, where it is narrow enough to be of use.
fn narrow((low, high): Range) -> Cell {
    match (u64::try_from(low), u64::try_from(high)) {
        (Ok(low), Ok(high)) if high.saturating_sub(low) <= WIDEST_SHOWN => Cell::Between(low, high),
        _ => Cell::Hidden,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// A total, and its parts.
    type Line = (usize, Vec<usize>);

    /// A table with row and column totals: `cells[row][column]`.
    fn seal(table: &[Vec<u64>], rows_are_summed: bool) -> (Vec<Cell>, Vec<Line>, Vec<u64>) {
        let mut vault = Vault::new(Readers::Wider);
        let (mut values, mut sums, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        let mut grid: Vec<Vec<Key>> = Vec::new();
        let mut put = |vault: &mut Vault, value: u64| {
            let key = vault.put(value);
            values.push(value);
            keys.push(key);
            key
        };
        for row in table {
            grid.push(row.iter().map(|value| put(&mut vault, *value)).collect());
        }
        let width = table[0].len();
        let totals: Vec<u64> = (0..width)
            .map(|c| table.iter().map(|row| row[c]).sum())
            .collect();
        let mut lines: Vec<(Key, Vec<Key>)> = Vec::new();
        for (column, total) in totals.iter().enumerate() {
            let total = put(&mut vault, *total);
            lines.push((total, grid.iter().map(|row| row[column]).collect()));
        }
        if rows_are_summed {
            let bottom: Vec<Key> = lines.iter().map(|line| line.0).collect();
            for (row, keys) in table.iter().zip(&grid) {
                let total = put(&mut vault, row.iter().sum());
                lines.push((total, keys.clone()));
            }
            let right: Vec<Key> = lines[width..].iter().map(|line| line.0).collect();
            let all = put(&mut vault, totals.iter().sum());
            lines.push((all, bottom));
            lines.push((all, right));
        }
        for (total, parts) in lines {
            vault.sum(total, parts.clone());
            sums.push((total.0, parts.iter().map(|key| key.0).collect()));
        }
        let opened = vault.open();
        (
            keys.iter().map(|key| opened.cell(*key)).collect(),
            sums,
            values,
        )
    }

    /// Every way in which the withheld cells can be filled so that all sums hold: what each cell can be.
    fn readings(cells: &[Cell], sums: &[Line], most: u64) -> Vec<BTreeSet<u64>> {
        let choices: Vec<Vec<u64>> = cells
            .iter()
            .map(|cell| match cell {
                Cell::Count(count) => vec![*count],
                Cell::Few => (1..=FEW).collect(),
                Cell::Between(low, high) => (*low..=*high).collect(),
                Cell::Hidden => (0..=most).collect(),
            })
            .collect();
        let mut found = vec![BTreeSet::new(); cells.len()];
        fill(&choices, sums, &mut Vec::new(), &mut found);
        found
    }

    fn fill(
        choices: &[Vec<u64>],
        sums: &[Line],
        chosen: &mut Vec<u64>,
        found: &mut [BTreeSet<u64>],
    ) {
        for (total, parts) in sums {
            let value = |slot: usize| chosen.get(slot).copied();
            let known = |slot: usize, least: bool| {
                value(slot).unwrap_or_else(|| {
                    let all = choices[slot].iter().copied();
                    if least { all.min() } else { all.max() }.unwrap()
                })
            };
            let least: u64 = parts.iter().map(|part| known(*part, true)).sum();
            let most: u64 = parts.iter().map(|part| known(*part, false)).sum();
            if least > known(*total, false) || most < known(*total, true) {
                return;
            }
        }
        // Two readings of every withheld number are all we ask for.
        if found
            .iter()
            .zip(choices)
            .all(|(set, all)| set.len() > 1 || all.len() == 1)
        {
            return;
        }
        if chosen.len() == choices.len() {
            for (set, value) in found.iter_mut().zip(chosen.iter()) {
                set.insert(*value);
            }
            return;
        }
        let slot = chosen.len();
        let summed = sums
            .iter()
            .find(|(total, parts)| *total == slot && parts.iter().all(|part| *part < slot));
        let only: Option<u64> =
            summed.map(|(_, parts)| parts.iter().map(|part| chosen[*part]).sum());
        let allowed = choices[slot]
            .iter()
            .filter(|value| only.is_none_or(|only| only == **value));
        for value in allowed {
            chosen.push(*value);
            fill(choices, sums, chosen, found);
            chosen.pop();
        }
    }

    fn nothing_can_be_computed(table: &[Vec<u64>], rows_are_summed: bool) {
        let (cells, sums, values) = seal(table, rows_are_summed);
        let most = values.iter().copied().max().unwrap_or(0) + 5;
        let readings = readings(&cells, &sums, most);
        for ((cell, value), readings) in cells.iter().zip(&values).zip(&readings) {
            assert!(
                cell.count().is_none_or(|count| count == *value),
                "{table:?}: {cells:?}"
            );
            if let Cell::Between(low, high) = cell {
                assert!(low <= value && value <= high, "{table:?}: {cells:?}");
            }
            if (1..=FEW).contains(value) {
                assert_eq!(cell.count(), None, "{table:?}: {cells:?}");
            }
            if cell.count().is_none() {
                assert!(
                    readings.len() > 1,
                    "{value} can be computed: {table:?}: {cells:?}"
                );
            }
        }
    }

    #[test]
    fn a_small_number_takes_the_smallest_other_with_it_if_the_sum_would_tell() {
        let (cells, ..) = seal(&[vec![3], vec![40], vec![90]], false);
        assert_eq!(
            cells,
            [
                Cell::Few,
                Cell::Between(39, 42),
                Cell::Count(90),
                Cell::Count(133)
            ]
        );
    }

    #[test]
    fn two_small_numbers_that_are_not_both_at_an_end_are_enough() {
        let (cells, ..) = seal(&[vec![3], vec![2], vec![90]], false);
        assert_eq!(
            cells,
            [Cell::Few, Cell::Few, Cell::Count(90), Cell::Count(95)]
        );
        let (cells, ..) = seal(&[vec![1], vec![1], vec![90]], false);
        assert_eq!(cells[2], Cell::Between(84, 90));
        let (cells, ..) = seal(&[vec![4], vec![4]], false);
        assert_eq!(cells[2].count(), None, "4 + 4 = 8 tells both");
    }

    #[test]
    fn a_table_without_small_numbers_is_printed_as_it_is() {
        let (cells, ..) = seal(&[vec![0, 5], vec![9, 12]], true);
        assert!(cells.iter().all(|cell| cell.count().is_some()), "{cells:?}");
    }

    #[test]
    fn every_small_list_with_a_total_keeps_its_secrets() {
        for a in 0..8 {
            for b in 0..8 {
                nothing_can_be_computed(&[vec![a], vec![b]], false);
                for c in 0..8 {
                    nothing_can_be_computed(&[vec![a], vec![b], vec![c]], false);
                }
            }
        }
    }

    #[test]
    fn a_part_that_would_pin_its_whole_is_withheld() {
        // 9 of 10 are due: withheld, since 1 is not. That 9 of them were on time would give it away.
        let mut vault = Vault::new(Readers::Wider);
        let (all, due, not_due) = (vault.put(10), vault.put(9), vault.put(1));
        let on_time = vault.put(9);
        vault.sum(all, [due, not_due]);
        vault.within(on_time, due);
        let opened = vault.open();
        assert_eq!(opened.cell(not_due), Cell::Few);
        assert_eq!(opened.cell(due).count(), None);
        assert_eq!(opened.cell(on_time).count(), None);
    }

    #[test]
    fn restricted_readers_see_every_number() {
        let mut vault = Vault::new(Readers::Restricted);
        let (total, one, two) = (vault.put(5), vault.put(1), vault.put(4));
        vault.sum(total, [one, two]);
        let opened = vault.open();
        assert_eq!(opened.cell(one), Cell::Count(1));
        assert_eq!(opened.cell(two), Cell::Count(4));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn no_list_with_a_total_lets_a_small_number_be_computed(
            list in proptest::collection::vec(0u64..12, 1..5)
        ) {
            let table: Vec<Vec<u64>> = list.into_iter().map(|value| vec![value]).collect();
            nothing_can_be_computed(&table, false);
        }

        #[test]
        fn no_table_with_row_and_column_totals_lets_a_small_number_be_computed(
            table in proptest::collection::vec(proptest::collection::vec(0u64..8, 2), 2..4)
        ) {
            nothing_can_be_computed(&table, true);
        }
    }
}
