//! Backoff: how long to stay away from what is not there.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::domain::delivery::scattered;
use crate::domain::moment::Moment;

/// What is not there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Absentee {
    /// A relay. Whatever waits for it waits for hours.
    Relay,
    /// A source of evidence. A reset is to be seen within the minute again soon after it is back; but a directory is not to
    /// be loaded with readings that end in the middle, nor our account locked by a password that is wrong every time.
    Source,
}

impl Absentee {
    /// Seconds from each failure to the next try; the last stands for all that follow.
    const fn seconds(self) -> &'static [i64] {
        match self {
            Self::Relay => &[60, 120, 300, 600, 900, 1800],
            Self::Source => &[30, 60, 120, 240, 480],
        }
    }
}

/// How far a wait moves either way, in percent: instances that lost it together do not come back together.
const JITTER_PERCENT: i64 = 10;

/// How often it was not there in a row.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Backoff {
    /// Failures in a row.
    pub failures: u32,
}

impl Backoff {
    /// It was not there: when to knock again. `who` is whose jitter, an instance's for example; the same for the same `who`
    /// and failure.
    pub fn after_failure(self, what: Absentee, who: u64, now: Moment) -> (Self, Moment) {
        let nth = usize::try_from(self.failures).unwrap_or(usize::MAX);
        let waits = what.seconds();
        let seconds = waits.get(nth).or(waits.last()).copied().unwrap_or(60);
        let widest = seconds * JITTER_PERCENT / 100;
        let seed = who ^ (u64::from(self.failures) << 48);
        let place = scattered(seed) % (widest.unsigned_abs() * 2 + 1);
        let jitter = i64::try_from(place).unwrap_or(0) - widest;
        let next = Self {
            failures: self.failures.saturating_add(1),
        };
        (next, now.plus(TimeDelta::seconds(seconds + jitter)))
    }

    /// It answered.
    pub const fn after_success(self) -> Self {
        Self { failures: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_micros(1_770_000_000_000_000);

    fn asked_after(what: Absentee, waits: &[i64]) {
        for who in [0, 1, 7, u64::MAX] {
            let mut backoff = Backoff::default();
            for (nth, seconds) in waits.iter().enumerate() {
                let (next, at) = backoff.after_failure(what, who, NOW);
                assert_eq!(at, backoff.after_failure(what, who, NOW).1);
                let (wait, plain) = (at.since(NOW), TimeDelta::seconds(*seconds));
                assert!((wait - plain).abs() <= plain / 10, "{nth}: {wait}");
                backoff = next;
            }
            assert_eq!(backoff.failures as usize, waits.len());
            assert_eq!(backoff.after_success(), Backoff::default());
        }
    }

    #[test]
    fn an_absent_relay_is_asked_less_and_less_often_and_at_least_every_half_hour() {
        let minutes = [1, 2, 5, 10, 15, 30, 30, 30];
        asked_after(Absentee::Relay, &minutes.map(|minutes| minutes * 60));
    }

    #[test]
    fn an_absent_source_is_asked_less_and_less_often_and_at_least_every_eight_minutes() {
        asked_after(Absentee::Source, &[30, 60, 120, 240, 480, 480, 480]);
    }

    #[test]
    fn two_instances_do_not_come_back_at_the_same_moment() {
        let far = Backoff { failures: u32::MAX };
        let moments: std::collections::BTreeSet<Moment> = (0..20)
            .map(|who| far.after_failure(Absentee::Relay, who, NOW).1)
            .collect();
        assert!(moments.len() > 15, "{}", moments.len());
    }
}
