//! Clock: the system's time, or the time that a test or a demo set. The only file that reads the wall clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{TimeDelta, Utc};

use crate::domain::Moment;

/// Where `now` comes from. A clone of a set clock shares its time.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's own clock.
    #[default]
    System,
    /// A clock that stands until it is moved: microseconds since 1970.
    Set(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `moment`.
    pub fn at(moment: Moment) -> Self {
        Self::Set(Arc::new(AtomicI64::new(moment.micros())))
    }

    /// The time it is. A step reads it once and passes it down.
    #[allow(clippy::disallowed_methods)] // the one place where the wall clock is read
    pub fn now(&self) -> Moment {
        match self {
            Self::System => Utc::now().into(),
            Self::Set(micros) => Moment::from_micros(micros.load(Ordering::SeqCst)),
        }
    }

    /// Whether time passes by itself, so that waiting for a moment makes sense.
    pub fn runs(&self) -> bool {
        matches!(self, Self::System)
    }

    /// Moves a set clock, and all its clones, to `moment`. The system's clock stays as it is.
    pub fn set(&self, moment: Moment) {
        match self {
            Self::System => {}
            Self::Set(micros) => micros.store(moment.micros(), Ordering::SeqCst),
        }
    }

    /// Moves a set clock, and all its clones, by `delta`, back if it is negative. The system's clock stays as it is.
    pub fn advance(&self, delta: TimeDelta) {
        match self {
            Self::System => {}
            Self::Set(micros) => {
                let moved = |before| Some(Moment::from_micros(before).plus(delta).micros());
                // The closure never gives None, so the update cannot be refused.
                let _ = micros.fetch_update(Ordering::SeqCst, Ordering::SeqCst, moved);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_clock_stands_until_it_is_moved_and_its_clones_move_with_it() {
        let start: Moment = "2017-06-23T07:00:00Z".parse().unwrap();
        let clock = Clock::at(start);
        let clone = clock.clone();
        assert_eq!(clock.now(), start);
        assert_eq!(clock.now(), start);

        clock.advance(TimeDelta::hours(2));
        assert_eq!(clone.now().to_string(), "2017-06-23T09:00:00Z");
        clone.advance(TimeDelta::hours(-3));
        assert_eq!(clock.now().to_string(), "2017-06-23T06:00:00Z");
        clone.set(start);
        assert_eq!(clock.now(), start);
    }

    #[test]
    fn two_set_clocks_do_not_share_their_time() {
        let (one, other) = (Clock::at(Moment::default()), Clock::at(Moment::default()));
        one.advance(TimeDelta::seconds(1));
        assert_eq!(other.now(), Moment::default());
    }

    #[test]
    fn the_system_clock_runs_and_cannot_be_moved() {
        let clock = Clock::System;
        let before = clock.now();
        clock.set(Moment::default());
        clock.advance(TimeDelta::days(-400));
        assert!(clock.now() >= before);
        assert!(before > "2024-01-01T00:00:00Z".parse().unwrap());
    }
}
