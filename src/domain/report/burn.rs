//! Burn-down: how many accounts of each category were open at which time, counted in hours back from the as-of instant.

use std::collections::BTreeMap;

use serde::Serialize;

use super::cell::{Cell, FEW, Readers};
use super::lasting::HOUR;
use crate::domain::finding::Category;
use crate::domain::moment::Moment;

/// No more points than this, however long the time.
const MOST_POINTS: i64 = 140;

/// Twenty years. What is older counts as that old: a wrong date must not cost memory.
const OLDEST_HOUR: i64 = 20 * 366 * 24;

/// Steps between points, in hours, that a reader can name.
const STEPS: [i64; 9] = [1, 3, 6, 12, 24, 48, 168, 336, 1344];

/// The open accounts over time.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct BurnDown {
    /// Oldest first, equally spaced but for the first, which is the opening; the last is the as-of instant.
    pub points: Vec<BurnPoint>,
    /// When each category's deadline falls, for most of its cases.
    pub deadlines: Vec<DeadlineMark>,
}

/// The open accounts at one instant.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct BurnPoint {
    /// The instant.
    pub at: Moment,
    /// Open accounts of each category, in the order of [`Category::ALL`].
    pub open: [Cell; 4],
}

/// A category's commonest deadline.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct DeadlineMark {
    /// The category.
    pub category: Category,
    /// The deadline.
    pub at: Moment,
}

/// Counts openings and closings by the hour.
#[derive(Clone, Debug)]
pub struct BurnCounter {
    as_of: Moment,
    changes: BTreeMap<i64, [i64; 4]>,
    deadlines: [BTreeMap<i64, (u64, Moment)>; 4],
}

impl BurnCounter {
    /// Counts back from `as_of`.
    pub fn new(as_of: Moment) -> Self {
        Self {
            as_of,
            changes: BTreeMap::new(),
            deadlines: Default::default(),
        }
    }

    /// One case, its deadline and when it became safe.
    pub fn add(
        &mut self,
        category: Category,
        opened_at: Moment,
        deadline_at: Option<Moment>,
        safe_at: Option<Moment>,
    ) {
        let place = category as usize;
        let opened = self.hour(opened_at).clamp(0, OLDEST_HOUR);
        self.change(opened, place, 1);
        if let Some(safe_at) = safe_at {
            // Safe before it was opened: it was never open for longer than an instant.
            let closed = self.hour(safe_at).clamp(0, opened);
            self.change(closed, place, -1);
        }
        if let (Some(at), Some(of_category)) = (deadline_at, self.deadlines.get_mut(place)) {
            let hour = self
                .as_of
                .micros()
                .saturating_sub(at.micros())
                .div_euclid(HOUR);
            let entry = of_category
                .entry(hour.clamp(-OLDEST_HOUR, OLDEST_HOUR))
                .or_insert((0, at));
            entry.0 += 1;
            entry.1 = entry.1.min(at);
        }
    }

    /// The points, with small numbers withheld; `open_now` is what readers may see of each category's last point.
    pub fn finish(self, open_now: [Cell; 4], readers: Readers) -> BurnDown {
        let oldest = self.changes.keys().next_back().copied().unwrap_or(0);
        let step = STEPS
            .into_iter()
            .find(|step| oldest / step + 1 < MOST_POINTS)
            .unwrap_or(OLDEST_HOUR);
        let (mut open, mut points) = ([0i64; 4], Vec::new());
        let mut changes = self.changes.iter().rev().peekable();
        // Most accounts are open at the very beginning, whether or not that lies on a step.
        let beginning = (oldest % step != 0).then_some(oldest);
        let steps = (0..=oldest / step).rev().map(|back| back * step);
        for hour in beginning.into_iter().chain(steps) {
            while let Some((_, change)) = changes.next_if(|(at, _)| **at >= hour) {
                for (open, change) in open.iter_mut().zip(change) {
                    *open += change;
                }
            }
            let counts = open.map(|count| u64::try_from(count).unwrap_or(0));
            let mut cells = counts.map(Cell::Count);
            if readers != Readers::Restricted {
                for (cell, now) in cells.iter_mut().zip(open_now) {
                    *cell = withheld(*cell, now);
                }
            }
            let at = self.as_of.micros().saturating_sub(hour * HOUR);
            points.push(BurnPoint {
                at: Moment::from_micros(at),
                open: cells,
            });
        }
        let deadlines = Category::ALL.into_iter().zip(&self.deadlines);
        BurnDown {
            points,
            deadlines: deadlines
                .filter_map(|(category, of_category)| {
                    // The commonest hour; of several, the earliest, which is the largest number of hours back.
                    let (_, (_, at)) = of_category
                        .iter()
                        .max_by_key(|(hour, (count, _))| (*count, **hour))?;
                    Some(DeadlineMark { category, at: *at })
                })
                .collect(),
        }
    }

    /// Whole hours before the as-of instant; nought is the last hour.
    fn hour(&self, at: Moment) -> i64 {
        self.as_of
            .micros()
            .saturating_sub(at.micros())
            .div_euclid(HOUR)
    }

    fn change(&mut self, hour: i64, place: usize, by: i64) {
        if let Some(count) = self.changes.entry(hour).or_default().get_mut(place) {
            *count += by;
        }
    }
}

/// A point as readers may see it. Where the present number is withheld, so is each earlier one close to it.
fn withheld(point: Cell, now: Cell) -> Cell {
    let Cell::Count(count) = point else {
        return point;
    };
    match now {
        _ if (1..=FEW).contains(&count) => Cell::Few,
        Cell::Between(low, high) if (low..=high).contains(&count) => now,
        Cell::Hidden => Cell::Hidden,
        Cell::Count(_) | Cell::Few | Cell::Between(..) => point,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SEEN: [Cell; 4] = [Cell::Count(0); 4];

    fn at(hours: i64) -> Moment {
        Moment::from_micros(hours * HOUR)
    }

    #[test]
    fn the_last_point_is_the_as_of_instant_and_counts_what_is_open_then() {
        let mut counter = BurnCounter::new(at(100));
        counter.add(Category::Weak, at(10), Some(at(90)), Some(at(50)));
        counter.add(Category::Weak, at(10), Some(at(90)), None);
        counter.add(Category::Breached, at(60), Some(at(120)), None);
        let burn = counter.finish(SEEN, Readers::Restricted);
        let open = |hour: i64, category: Category| {
            let point = burn
                .points
                .iter()
                .find(|point| point.at == at(hour))
                .unwrap();
            point.open[category as usize]
        };
        assert_eq!(open(10, Category::Weak), Cell::Count(2));
        assert_eq!(open(49, Category::Weak), Cell::Count(2));
        assert_eq!(open(50, Category::Weak), Cell::Count(1));
        assert_eq!(open(59, Category::Breached), Cell::Count(0));
        assert_eq!(open(100, Category::Breached), Cell::Count(1));
        assert_eq!(burn.points.last().unwrap().at, at(100));
        assert_eq!(burn.deadlines.len(), 2);
    }

    #[test]
    fn small_numbers_and_what_lies_beside_a_withheld_one_are_not_drawn_exactly() {
        let mut counter = BurnCounter::new(at(10));
        for _ in 0..7 {
            counter.add(Category::Weak, at(0), None, None);
        }
        counter.add(Category::Attacked, at(0), None, None);
        let mut now = SEEN;
        now[Category::Weak as usize] = Cell::Between(6, 9);
        let point = *counter.finish(now, Readers::Wider).points.last().unwrap();
        assert_eq!(point.open[Category::Weak as usize], Cell::Between(6, 9));
        assert_eq!(point.open[Category::Attacked as usize], Cell::Few);
    }

    #[test]
    fn a_date_from_another_age_costs_no_memory() {
        let mut counter = BurnCounter::new(at(0));
        counter.add(
            Category::Weak,
            Moment::from_micros(i64::MIN),
            Some(Moment::from_micros(i64::MAX)),
            None,
        );
        counter.add(
            Category::Weak,
            Moment::from_micros(i64::MAX),
            None,
            Some(Moment::from_micros(i64::MIN)),
        );
        let burn = counter.finish(SEEN, Readers::Restricted);
        assert!(burn.points.len() as i64 <= MOST_POINTS);
        assert_eq!(burn.points.last().unwrap().open[0], Cell::Count(1));
    }

    proptest! {
        #[test]
        fn each_point_counts_what_was_open_then(
            cases in proptest::collection::vec((0i64..300, 0i64..300, any::<bool>(), 0usize..4), 0..60)
        ) {
            let mut counter = BurnCounter::new(at(300));
            for (opened, lasted, closed, place) in &cases {
                let safe_at = closed.then_some(at((opened + lasted).min(300)));
                counter.add(Category::ALL[*place], at(*opened), None, safe_at);
            }
            for point in counter.finish(SEEN, Readers::Restricted).points {
                for (place, cell) in point.open.iter().enumerate() {
                    let open = cases.iter().filter(|(opened, lasted, closed, of)| {
                        let safe_at = at((opened + lasted).min(300));
                        *of == place && at(*opened) <= point.at && !(*closed && safe_at <= point.at)
                    });
                    prop_assert_eq!(*cell, Cell::Count(open.count() as u64));
                }
            }
        }
    }
}
