//! Patience: which sources have failed of late, and until when each is left alone.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;

use crate::domain::Moment;
use crate::domain::rate::{Absentee, Backoff};

/// What has failed since this process began. Every process has its own.
#[derive(Debug, Default)]
pub struct Patience(Mutex<HashMap<String, (Backoff, Moment)>>);

impl Patience {
    /// Whether a source may be asked now.
    pub fn may(&self, name: &str, now: Moment) -> bool {
        self.all().get(name).is_none_or(|(_, until)| *until <= now)
    }

    /// It failed. Gives how long it is left alone.
    pub fn failed(&self, name: &str, now: Moment) -> TimeDelta {
        let mut all = self.all();
        let backoff = all.get(name).map(|(backoff, _)| *backoff);
        let who = u64::from(std::process::id());
        let next = backoff
            .unwrap_or_default()
            .after_failure(Absentee::Source, who, now);
        all.insert(name.to_owned(), next);
        next.1.since(now)
    }

    /// It worked.
    pub fn worked(&self, name: &str) {
        self.all().remove(name);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, (Backoff, Moment)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_is_left_alone_for_its_own_failures_until_it_works() {
        let patience = Patience::default();
        let now: Moment = "2026-03-02T09:00:00Z".parse().unwrap();
        assert!(patience.may("ad", now));
        let first = patience.failed("ad", now);
        let then = now.plus(first);
        assert!(!patience.may("ad", then.minus(TimeDelta::seconds(1))));
        assert!(patience.may("okta", now));
        assert!(patience.may("ad", then));
        assert!(patience.failed("ad", then) > first);
        patience.worked("ad");
        assert!(patience.may("ad", then));
        assert_eq!(patience.failed("ad", then), first);
    }
}
