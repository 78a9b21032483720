//! Retries: when a delivery is tried again, and when that ends.

use chrono::TimeDelta;

use super::Outcome;
use crate::domain::{DeliveryId, Moment};

/// What has happened to a delivery up to and including the attempt that just ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tried {
    /// Whose jitter.
    pub delivery: DeliveryId,
    /// Attempts so far. Those that failed for the relay's sake need not be counted.
    pub attempts: u32,
    /// How many of them ended in doubt.
    pub doubts: u32,
    /// When the first began.
    pub first_at: Moment,
}

/// What is to be done with a delivery after an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Try again at this moment, not before.
    At(Moment),
    /// It was tried for long enough: undeliverable.
    Expired,
    /// No further attempt by itself: it is accepted, has failed, or a person has to decide a doubt.
    Stop,
}

/// The timetable of attempts (RFC 5321 section 4.5.4.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retries {
    /// After the first attempt: when the second, third … are due, counted from the first.
    pub offsets: Vec<TimeDelta>,
    /// Between all later ones.
    pub every: TimeDelta,
    /// How far an attempt moves either way, in percent of `every`, so that what failed together does not return together.
    pub jitter_percent: u32,
    /// When a delivery is given up, counted from the first attempt.
    pub give_up_after: TimeDelta,
    /// The shortest wait between two attempts, whatever the timetable says: after a long stop the missed ones do not
    /// follow each other in a rush.
    pub least_wait: TimeDelta,
    /// The wait after the relay asked us to slow down.
    pub throttle_wait: TimeDelta,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            offsets: vec![
                TimeDelta::minutes(30),
                TimeDelta::hours(1),
                TimeDelta::hours(3),
            ],
            every: TimeDelta::hours(3),
            jitter_percent: 10,
            give_up_after: TimeDelta::days(5),
            least_wait: TimeDelta::minutes(30),
            throttle_wait: TimeDelta::seconds(60),
        }
    }
}

impl Retries {
    /// What follows the attempt that just ended with `outcome`.
    ///
    /// What the relay is to blame for never expires: it comes back when the relay may be asked again, and the relay's
    /// own pause comes on top. A doubt is resolved by sending once more; the second doubt is left to a person.
    pub fn next(&self, tried: &Tried, outcome: Outcome, now: Moment) -> Next {
        match outcome {
            Outcome::Accepted | Outcome::FailRecipient | Outcome::FailMessage => Next::Stop,
            Outcome::Throttle => Next::At(now.plus(self.throttle_wait)),
            Outcome::DeferRelay | Outcome::HoldRelay => Next::At(now.plus(self.least_wait)),
            Outcome::InDoubt if tried.doubts > 1 => Next::Stop,
            Outcome::InDoubt => Next::At(now.plus(self.least_wait)),
            Outcome::DeferRecipient => self.after_deferral(tried, now),
        }
    }

    fn after_deferral(&self, tried: &Tried, now: Moment) -> Next {
        let due = tried.first_at.plus(self.offset(tried));
        let at = due.max(now.plus(self.least_wait));
        if at.since(tried.first_at) > self.give_up_after {
            return Next::Expired;
        }
        Next::At(at)
    }

    /// When the attempt after `tried.attempts` is due, counted from the first one.
    fn offset(&self, tried: &Tried) -> TimeDelta {
        let nth = usize::try_from(tried.attempts.saturating_sub(1)).unwrap_or(usize::MAX);
        if let Some(offset) = self.offsets.get(nth) {
            return *offset;
        }
        let last = self.offsets.last().copied().unwrap_or(TimeDelta::zero());
        let further = nth.saturating_sub(self.offsets.len()).saturating_add(1);
        let steps = i32::try_from(further).unwrap_or(i32::MAX);
        let span = self.every.checked_mul(steps).unwrap_or(TimeDelta::MAX);
        last.checked_add(&span)
            .and_then(|offset| offset.checked_add(&self.jitter(tried)))
            .unwrap_or(TimeDelta::MAX)
    }

    /// The same for the same delivery and attempt, so that a restart moves nothing.
    fn jitter(&self, tried: &Tried) -> TimeDelta {
        let widest = self.every.num_seconds().max(0) / 100 * i64::from(self.jitter_percent);
        let seed = tried.delivery.0 as u64 ^ (u64::from(tried.attempts) << 48);
        let span = (widest.unsigned_abs() * 2).saturating_add(1);
        let place = i64::try_from(scattered(seed) % span).unwrap_or(0);
        TimeDelta::try_seconds(place - widest).unwrap_or(TimeDelta::zero())
    }
}

/// SplitMix64: neighbouring ids give distant numbers.
pub(in crate::domain) const fn scattered(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Moment = Moment::from_micros(1_770_000_000_000_000);

    fn tried(attempts: u32, doubts: u32) -> Tried {
        Tried {
            delivery: DeliveryId(7),
            attempts,
            doubts,
            first_at: START,
        }
    }

    #[test]
    fn a_deferred_letter_follows_the_timetable_and_expires_after_five_days() {
        let retries = Retries::default();
        let mut now = START;
        let mut waits = Vec::new();
        let mut attempts = 1;
        while let Next::At(at) = retries.next(&tried(attempts, 0), Outcome::DeferRecipient, now) {
            waits.push(at.since(START));
            now = at;
            attempts += 1;
        }
        assert_eq!(
            &waits[..3],
            [
                TimeDelta::minutes(30),
                TimeDelta::hours(1),
                TimeDelta::hours(3)
            ]
        );
        for (nth, wait) in waits.iter().enumerate().skip(3) {
            let plain = TimeDelta::hours(3 * (nth as i64 - 1));
            assert!((*wait - plain).abs() <= TimeDelta::minutes(18), "{nth}");
        }
        // 3 h, 6 h … 117 h, and 120 h only where the jitter pulls it into the five days.
        assert!((41..=42).contains(&waits.len()), "{}", waits.len());
        assert_eq!(
            retries.next(&tried(attempts, 0), Outcome::DeferRecipient, now),
            Next::Expired
        );
    }

    #[test]
    fn a_doubt_is_sent_again_once_and_then_left_to_a_person() {
        let retries = Retries::default();
        let half_an_hour = Next::At(START.plus(TimeDelta::minutes(30)));
        for attempts in [1, 9] {
            let next = retries.next(&tried(attempts, 1), Outcome::InDoubt, START);
            assert_eq!(next, half_an_hour);
            let next = retries.next(&tried(attempts, 2), Outcome::InDoubt, START);
            assert_eq!(next, Next::Stop);
        }
    }

    #[test]
    fn the_relays_troubles_expire_nothing() {
        let retries = Retries::default();
        let late = START.plus(TimeDelta::days(30));
        for (outcome, wait) in [
            (Outcome::DeferRelay, TimeDelta::minutes(30)),
            (Outcome::HoldRelay, TimeDelta::minutes(30)),
            (Outcome::Throttle, TimeDelta::seconds(60)),
        ] {
            assert!(outcome.is_about_the_relay());
            assert_eq!(
                retries.next(&tried(60, 0), outcome, late),
                Next::At(late.plus(wait))
            );
        }
    }

    #[test]
    fn what_is_decided_is_not_tried_again() {
        for outcome in [
            Outcome::Accepted,
            Outcome::FailRecipient,
            Outcome::FailMessage,
        ] {
            assert_eq!(
                Retries::default().next(&tried(1, 0), outcome, START),
                Next::Stop
            );
        }
    }

    #[test]
    fn after_a_long_stop_missed_attempts_do_not_come_in_a_rush() {
        let late = START.plus(TimeDelta::days(2));
        assert_eq!(
            Retries::default().next(&tried(1, 0), Outcome::DeferRecipient, late),
            Next::At(late.plus(TimeDelta::minutes(30)))
        );
    }

    proptest! {
        #[test]
        fn the_next_attempt_is_half_an_hour_away_at_least_and_within_five_days(
            delivery: i64, attempts: u32, doubts: u32, after in 0_i64..(6 * 86_400),
        ) {
            let now = START.plus(TimeDelta::seconds(after));
            let tried = Tried { delivery: DeliveryId(delivery), attempts, doubts, first_at: START };
            let retries = Retries::default();
            let next = retries.next(&tried, Outcome::DeferRecipient, now);
            prop_assert_eq!(next, retries.next(&tried, Outcome::DeferRecipient, now));
            if let Next::At(at) = next {
                prop_assert!(at.since(now) >= TimeDelta::minutes(30));
                prop_assert!(at.since(START) <= TimeDelta::days(5));
            }
        }
    }
}
