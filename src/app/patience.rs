//! Patience: what fails is asked again soon, and less and less often. A directory is not to be loaded with readings that
//! end in the middle, nor an account locked by a password that is wrong every time.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;

use crate::domain::Moment;

/// After the first failure; twice that after each further one.
const FIRST: TimeDelta = TimeDelta::seconds(30);

/// Never longer than that.
const LONGEST: TimeDelta = TimeDelta::minutes(8);

/// What has failed since this process began, and when it is tried again. Every process has its own.
#[derive(Debug, Default)]
pub struct Patience(Mutex<HashMap<String, Failing>>);

#[derive(Clone, Copy, Debug)]
struct Failing {
    wait: TimeDelta,
    until: Moment,
}

impl Patience {
    /// Whether something may be tried now.
    pub fn may(&self, name: &str, now: Moment) -> bool {
        self.all()
            .get(name)
            .is_none_or(|failing| failing.until <= now)
    }

    /// It failed. Gives how long it is left alone.
    pub fn failed(&self, name: &str, now: Moment) -> TimeDelta {
        let mut all = self.all();
        let wait = match all.get(name) {
            Some(failing) => (failing.wait * 2).min(LONGEST),
            None => FIRST,
        };
        let until = now.plus(wait);
        all.insert(name.to_owned(), Failing { wait, until });
        wait
    }

    /// It worked.
    pub fn worked(&self, name: &str) {
        self.all().remove(name);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Failing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_again_and_again_is_left_alone_for_longer_up_to_eight_minutes() {
        let patience = Patience::default();
        let mut now: Moment = "2026-03-02T09:00:00Z".parse().unwrap();
        assert!(patience.may("ad", now));
        for seconds in [30, 60, 120, 240, 480, 480] {
            let wait = patience.failed("ad", now);
            assert_eq!(wait, TimeDelta::seconds(seconds));
            assert!(!patience.may("ad", now.plus(wait - TimeDelta::seconds(1))));
            assert!(patience.may("okta", now));
            now = now.plus(wait);
            assert!(patience.may("ad", now));
        }
        patience.worked("ad");
        assert_eq!(patience.failed("ad", now), FIRST);
    }
}
