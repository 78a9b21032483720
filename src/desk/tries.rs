//! Tries: who tried something of late, and how often, so that nobody guesses on and on. Only in this process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::TimeDelta;

use crate::domain::Moment;

/// So many are remembered; beyond that those whose time is over are forgotten, then nobody new is let in.
const REMEMBERED: usize = 10_000;

/// At most so many tries within a span, for each who tries.
#[derive(Debug)]
pub struct Tries {
    most: u32,
    span: TimeDelta,
    known: Mutex<HashMap<String, (Moment, u32)>>,
}

impl Tries {
    /// At most `most` within each `span`.
    pub fn new(most: u32, span: TimeDelta) -> Self {
        Self {
            most,
            span,
            known: Mutex::default(),
        }
    }

    /// Counts one more try; false: too many.
    pub fn admits(&self, who: &str, now: Moment) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.retain(|_, (since, _)| self.is_within(*since, now));
            if known.len() >= REMEMBERED && !known.contains_key(who) {
                return false;
            }
        }
        let (since, count) = known.entry(who.to_owned()).or_insert((now, 0));
        if !self.is_within(*since, now) {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count <= self.most
    }

    /// Forgets the tries of somebody who has succeeded.
    pub fn forget(&self, who: &str) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(who);
    }

    /// A clock that was set back locks nobody out.
    fn is_within(&self, since: Moment, now: Moment) -> bool {
        (TimeDelta::zero()..self.span).contains(&now.since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_let_in_and_again_when_the_span_is_over() {
        let tries = Tries::new(3, TimeDelta::minutes(10));
        let start: Moment = "2026-03-02T09:00:00Z".parse().unwrap();
        for _ in 0..3 {
            assert!(tries.admits("a", start));
        }
        assert!(!tries.admits("a", start.plus(TimeDelta::minutes(9))));
        assert!(tries.admits("b", start));
        assert!(tries.admits("a", start.plus(TimeDelta::minutes(10))));
        for _ in 0..3 {
            tries.admits("c", start);
        }
        tries.forget("c");
        assert!(tries.admits("c", start));
        // The clock was set back.
        assert!(tries.admits("a", start.minus(TimeDelta::hours(1))));
    }
}
