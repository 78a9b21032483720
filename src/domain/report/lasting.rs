//! Lasting: a length of time in the two largest units that it fills; and Median, half of the cases within one.

use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::domain::survival::Estimate;

/// A length of time, in microseconds. Serialised in whole seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Lasting(pub i64);

/// Microseconds in a day.
pub const DAY: i64 = 24 * HOUR;
/// Microseconds in an hour.
pub const HOUR: i64 = 3_600 * SECOND;
const MINUTE: i64 = 60 * SECOND;
const SECOND: i64 = 1_000_000;

impl fmt::Display for Lasting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s")];
        let Some(first) = units.iter().position(|(unit, _)| self.0 >= *unit) else {
            return f.write_str("0 s");
        };
        let mut rest = self.0;
        let mut apart = "";
        for (unit, name) in units.iter().skip(first).take(2) {
            if rest >= *unit {
                write!(f, "{apart}{} {name}", rest / unit)?;
                apart = " ";
            }
            rest %= unit;
        }
        Ok(())
    }
}

impl Serialize for Lasting {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_i64(self.0 / SECOND)
    }
}

/// Half of the cases within this time, as Kaplan and Meier estimate it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Median {
    /// Too few cases to tell without telling on them, or none.
    Hidden,
    /// Fewer than half have got there yet.
    NotReached {
        /// The longest time for which a case has been watched.
        longest: Lasting,
    },
    /// Half have.
    Reached {
        /// After this time.
        median: Lasting,
        /// The 95 % interval, if there are cases enough: its ends, the upper one none if it is not reached.
        interval: Option<(Lasting, Option<Lasting>)>,
    },
}

impl Median {
    /// What an estimate says about the median.
    pub fn of(estimate: &Estimate) -> Self {
        match estimate.median {
            None => Self::NotReached {
                longest: Lasting(estimate.longest),
            },
            Some(median) => Self::Reached {
                median: Lasting(median),
                interval: estimate
                    .median_lower
                    .filter(|_| estimate.interval_is_sound())
                    .map(|low| (Lasting(low), estimate.median_upper.map(Lasting))),
            },
        }
    }
}

impl fmt::Display for Median {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hidden => f.write_str("n/a"),
            Self::NotReached { longest } => {
                write!(f, "not reached (longest follow-up {longest})")
            }
            Self::Reached { median, interval } => match interval {
                None => median.fmt(f),
                Some((low, Some(high))) => write!(f, "{median} (95 %: {low} to {high})"),
                Some((low, None)) => write!(f, "{median} (95 %: {low} to not reached)"),
            },
        }
    }
}

impl Serialize for Median {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut shown = out.serialize_struct("Median", 4)?;
        let (median, interval, longest) = match self {
            Self::Hidden => (None, None, None),
            Self::NotReached { longest } => (None, None, Some(longest)),
            Self::Reached { median, interval } => (Some(median), interval.as_ref(), None),
        };
        shown.serialize_field("median_seconds", &median)?;
        shown.serialize_field("lower_seconds", &interval.map(|(low, _)| low))?;
        shown.serialize_field("upper_seconds", &interval.and_then(|(_, high)| *high))?;
        shown.serialize_field("longest_follow_up_seconds", &longest)?;
        shown.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::moment::Moment;
    use crate::domain::survival::{Ending, Sample};

    #[test]
    fn a_time_is_told_in_the_two_largest_units_that_it_fills() {
        for (micros, text) in [
            (0, "0 s"),
            (999_999, "0 s"),
            (45 * SECOND, "45 s"),
            (90 * SECOND, "1 min 30 s"),
            (20 * HOUR, "20 h"),
            (DAY + 30 * MINUTE, "1 d"),
            (26 * DAY + 7 * HOUR + MINUTE, "26 d 7 h"),
            (-DAY, "0 s"),
        ] {
            assert_eq!(Lasting(micros).to_string(), text);
        }
    }

    fn median(data: &[(i64, Ending)]) -> String {
        let mut sample = Sample::default();
        for (hours, ending) in data {
            let until = Moment::from_micros(hours * HOUR);
            sample.watch(0, Moment::from_micros(0), until, *ending);
        }
        Median::of(&sample.sorted().estimate(None, &[])).to_string()
    }

    #[test]
    fn a_median_never_uses_the_last_observation_and_has_no_interval_below_ten_cases() {
        use Ending::{Censored, Event};
        let ten = [2, 5, 5, 8, 12, 20, 24, 30, 48, 72].map(|hours| {
            let open = [8, 24, 48, 72].contains(&hours);
            (hours, if open { Censored } else { Event })
        });
        assert_eq!(median(&ten), "20 h (95 %: 2 h to not reached)");
        assert_eq!(
            median(
                &ten[..9]
                    .iter()
                    .map(|(h, _)| (*h, Event))
                    .collect::<Vec<_>>()
            ),
            "12 h"
        );
        assert_eq!(
            median(&[(7, Censored), (7, Censored), (9, Censored)]),
            "not reached (longest follow-up 9 h)"
        );
    }
}
