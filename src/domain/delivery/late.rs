//! Late: when a notice that no relay has taken becomes a human being's work as well.
//!
//! How long a letter is tried and how urgent its case is are two different clocks: a person is reached another way long
//! before the letter is given up.

use chrono::TimeDelta;

use crate::domain::Moment;

/// A notice is late after this long at the latest.
pub const LATE_AFTER: TimeDelta = TimeDelta::hours(4);

/// And after this part of the time that its reader has: a quarter.
pub const LATE_SHARE: i32 = 4;

/// When a first notice that was due at `due_at` is late, if no copy of it was accepted until then.
pub fn late_at(due_at: Moment, deadline_at: Option<Moment>) -> Moment {
    let share =
        deadline_at.map(|deadline| deadline.since(due_at).max(TimeDelta::zero()) / LATE_SHARE);
    due_at.plus(share.map_or(LATE_AFTER, |share| share.min(LATE_AFTER)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_late_after_four_hours_or_a_quarter_of_the_time_that_is_left() {
        let due: Moment = "2026-03-02T08:00:00Z".parse().unwrap();
        for (hours, minutes) in [
            (Some(240), 240),
            (Some(16), 240),
            (Some(8), 120),
            (Some(1), 15),
            (Some(0), 0),
            (Some(-5), 0),
            (None, 240),
        ] {
            let deadline = hours.map(|hours| due.plus(TimeDelta::hours(hours)));
            assert_eq!(
                late_at(due, deadline),
                due.plus(TimeDelta::minutes(minutes)),
                "{hours:?}"
            );
        }
    }
}
