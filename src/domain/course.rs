//! Course: how many accounts were open at which time, as a picture may show it: no names, and no group that is too small.

use chrono::TimeDelta;

use super::figures::FEW;
use super::moment::Moment;

/// No more points than this, however long the time.
const MOST_POINTS: i64 = 160;

/// What happened within one span of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// The end of the span.
    pub at: Moment,
    /// Cases opened.
    pub opened: u64,
    /// Cases closed, in whatever way.
    pub closed: u64,
}

/// A number of open accounts, as it may be shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// The number itself.
    Count(u64),
    /// From one to four; we do not say which.
    Few,
}

impl Level {
    /// How high it is drawn. All small groups are drawn at one height.
    pub fn height(self) -> f64 {
        match self {
            Self::Count(count) => count as f64,
            Self::Few => FEW as f64 / 2.0,
        }
    }

    /// In words, as figures are.
    pub fn shown(self) -> String {
        match self {
            Self::Count(count) => super::figures::shown(count),
            Self::Few => super::figures::shown(1),
        }
    }
}

/// The open accounts at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Point {
    /// When.
    pub at: Moment,
    /// How many.
    pub open: Level,
}

/// The points from `from` to `now`, both included; `changes` are oldest first. Empty if nothing was ever open, or if there
/// is no time between the two.
pub fn course(changes: &[Change], from: Moment, now: Moment) -> Vec<Point> {
    let begin = match changes.first() {
        Some(first) => from.max(first.at),
        None => return Vec::new(),
    };
    let span = now.since(begin);
    if span <= TimeDelta::zero() {
        return Vec::new();
    }
    // A point for each minute of a short time; never more than a picture can show.
    let count = span.num_minutes().clamp(1, MOST_POINTS);
    let micros = now.micros().saturating_sub(begin.micros());
    let (mut opened, mut closed) = (0_u64, 0_u64);
    let mut left = changes.iter().peekable();
    let mut points = Vec::new();
    for nth in 0..=count {
        let share = i64::try_from(i128::from(micros) * i128::from(nth) / i128::from(count));
        let at = Moment::from_micros(begin.micros().saturating_add(share.unwrap_or(micros)));
        // What happened in the span that is not over yet has happened.
        let is_last = nth == count;
        while let Some(change) = left.next_if(|change| is_last || change.at <= at) {
            opened = opened.saturating_add(change.opened);
            closed = closed.saturating_add(change.closed);
        }
        points.push(Point {
            at,
            open: level(opened, closed),
        });
    }
    points
}

/// A few closings are not drawn either: the accounts before and after would tell their number.
fn level(opened: u64, closed: u64) -> Level {
    let closed = if (1..FEW).contains(&closed) {
        0
    } else {
        closed
    };
    match opened.saturating_sub(closed) {
        few if (1..FEW).contains(&few) => Level::Few,
        count => Level::Count(count),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(minutes: i64) -> Moment {
        Moment::from_micros(minutes * 60_000_000)
    }

    fn change(minutes: i64, opened: u64, closed: u64) -> Change {
        Change {
            at: at(minutes),
            opened,
            closed,
        }
    }

    #[test]
    fn the_course_begins_with_the_first_account_and_ends_now() {
        let changes = [change(10, 90, 0), change(20, 0, 30), change(30, 0, 58)];
        let points = course(&changes, at(0), at(40));
        let of = |minutes: i64| {
            points
                .iter()
                .find(|point| point.at == at(minutes))
                .unwrap()
                .open
        };
        assert_eq!(points.first().unwrap().at, at(10));
        assert_eq!(of(10), Level::Count(90));
        assert_eq!(of(20), Level::Count(60));
        assert_eq!(of(40), Level::Few);
        assert_eq!(points.last().unwrap().open.shown(), "fewer than 5");
        assert_eq!(course(&changes, at(0), at(10)), []);
        assert_eq!(course(&[], at(0), at(10)), []);
        // Later than the first: what was there already is there from the beginning.
        let late = course(&changes, at(25), at(40));
        assert_eq!(
            late[0],
            Point {
                at: at(25),
                open: Level::Count(60)
            }
        );
    }

    #[test]
    fn a_few_closings_cannot_be_counted_from_the_picture() {
        let changes = [change(0, 90, 0), change(1, 0, 2), change(2, 0, 3)];
        let points = course(&changes, at(0), at(2));
        let open: Vec<_> = points.iter().map(|point| point.open).collect();
        assert_eq!(open, [Level::Count(90), Level::Count(90), Level::Count(85)]);
    }

    proptest! {
        #[test]
        fn no_small_group_is_ever_shown(changes in proptest::collection::vec((0_i64..9_000, 0_u64..9, 0_u64..9), 0..60), now in 1_i64..20_000) {
            let mut changes: Vec<Change> = changes.into_iter().map(|(at, opened, closed)| change(at, opened, closed)).collect();
            changes.sort_by_key(|change| change.at);
            let points = course(&changes, at(0), at(now));
            prop_assert!(points.len() <= 1 + MOST_POINTS as usize);
            for point in points {
                let is_small = matches!(point.open, Level::Count(count) if (1..FEW).contains(&count));
                prop_assert!(!is_small);
            }
        }
    }
}
