//! Standing: how a relay is met now, given what it last said. What it is to blame for counts against nobody.

use serde::{Deserialize, Serialize};

use super::{Cause, Outcome, Ruling};
use crate::domain::rate::{Absentee, Backoff, Throttle, Word};
use crate::domain::{DeliveryId, Moment};

/// So many refusals for policy in a row are no longer about people (row 25 of the table of replies).
pub const POLICY_RUN: usize = 5;

/// How a relay is met now.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Standing {
    /// It asked us to slow down.
    throttle: Option<Throttle>,
    /// It was not there.
    away: Option<Away>,
    /// The last refusals for policy in a row.
    refused: Vec<DeliveryId>,
}

/// A relay that was not there.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Away {
    since: Moment,
    until: Moment,
    backoff: Backoff,
}

/// What an attempt means beyond its own letter.
#[derive(Clone, PartialEq, Debug)]
pub enum Beyond {
    /// Nothing.
    Nothing,
    /// These were refused in a row for policy, the last one included: the relay is held, and they are queued as before.
    PolicyRun(Vec<DeliveryId>),
}

impl Standing {
    /// From when on the relay may be asked, and why not before; none if it may be now.
    pub fn rests_until(&self, now: Moment) -> Option<(Moment, &'static str)> {
        let away = self
            .away
            .map(|away| (away.until, "the relay was not there"))
            .filter(|(until, _)| *until > now);
        let throttle = self
            .throttle
            .map(|throttle| {
                (
                    throttle.opens_at(now),
                    "the relay has asked us to slow down",
                )
            })
            .filter(|(until, _)| *until > now);
        away.into_iter()
            .chain(throttle)
            .max_by_key(|(until, _)| *until)
    }

    /// Since when the relay is not there.
    pub fn away_since(&self) -> Option<Moment> {
        self.away.map(|away| away.since)
    }

    /// How many of `connections` are used now.
    pub fn connections(&mut self, connections: u16, now: Moment) -> u16 {
        match &mut self.throttle {
            Some(throttle) => {
                *throttle = throttle.rested(connections, now);
                throttle.connections_now
            }
            None => connections,
        }
    }

    /// What the relay's answer to one letter changes. `connections` is how many there may be, `who` whose jitter.
    pub fn heard(
        &mut self,
        delivery: Option<DeliveryId>,
        outcome: Outcome,
        cause: Cause,
        connections: u16,
        who: u64,
        now: Moment,
    ) -> Beyond {
        match outcome {
            Outcome::DeferRelay => self.absent(who, now),
            Outcome::Throttle => {
                let ruling = Ruling {
                    row: 0,
                    outcome: Some(outcome),
                    cause,
                };
                let word = Word::of(&ruling).unwrap_or(Word::Rate);
                let throttle = self.throttle.unwrap_or(Throttle::new(connections));
                self.throttle = Some(throttle.heard(word, now));
                self.away = None;
            }
            Outcome::HoldRelay => {}
            Outcome::Accepted => {
                self.throttle = self
                    .throttle
                    .map(|throttle| throttle.heard(Word::Took, now));
                self.away = None;
                self.refused.clear();
            }
            Outcome::FailRecipient if cause == Cause::Policy => {
                self.away = None;
                self.refused.extend(delivery);
                if self.refused.len() >= POLICY_RUN {
                    return Beyond::PolicyRun(std::mem::take(&mut self.refused));
                }
            }
            // The relay answered about the letter itself.
            Outcome::DeferRecipient | Outcome::FailRecipient | Outcome::FailMessage => {
                self.away = None;
                self.refused.clear();
            }
            Outcome::InDoubt => {}
        }
        Beyond::Nothing
    }

    /// What several letters in flight find during one absence is one failure.
    fn absent(&mut self, who: u64, now: Moment) {
        let known = self.away;
        if known.is_some_and(|away| away.until > now) {
            return;
        }
        let backoff = known.map(|away| away.backoff).unwrap_or_default();
        let (backoff, until) = backoff.after_failure(Absentee::Relay, who, now);
        self.away = Some(Away {
            since: known.map_or(now, |away| away.since),
            until,
            backoff,
        });
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::domain::delivery::{Answer, RelayTexts, Reply, Stage, ruling};

    const START: Moment = Moment::from_micros(1_770_000_000_000_000);

    fn said(
        standing: &mut Standing,
        delivery: i64,
        stage: Stage,
        answer: &Answer,
        now: Moment,
    ) -> Beyond {
        let ruling = ruling(stage, answer, &RelayTexts::default());
        let (outcome, cause) = (ruling.outcome.unwrap(), ruling.cause);
        standing.heard(Some(DeliveryId(delivery)), outcome, cause, 4, 7, now)
    }

    fn reply(code: u16, text: &str) -> Answer {
        Answer::Reply(Reply::new(code, text))
    }

    #[test]
    fn an_absent_relay_is_asked_ever_less_often_until_it_answers() {
        let mut standing = Standing::default();
        let mut now = START;
        let mut waits = Vec::new();
        for _ in 0..8 {
            said(&mut standing, 1, Stage::Connect, &Answer::Lost, now);
            // The others in flight find the same, and it is one absence.
            said(&mut standing, 2, Stage::Mail, &Answer::Lost, now);
            let (until, _) = standing.rests_until(now).unwrap();
            waits.push(until.since(now).num_minutes());
            now = until;
        }
        assert!(waits.is_sorted() || waits[6] >= 27, "{waits:?}");
        assert!(waits[0] <= 1 && waits[7] >= 27, "{waits:?}");
        assert_eq!(standing.away_since(), Some(START));
        said(&mut standing, 1, Stage::Dot, &reply(250, "2.0.0 Ok"), now);
        assert_eq!(
            (standing.rests_until(now), standing.away_since()),
            (None, None)
        );
    }

    #[test]
    fn too_many_connections_costs_one_and_a_minute() {
        let mut standing = Standing::default();
        assert_eq!(standing.connections(4, START), 4);
        let busy = reply(432, "4.3.2 Concurrent connections limit exceeded");
        said(&mut standing, 1, Stage::Mail, &busy, START);
        assert_eq!(standing.connections(4, START), 3);
        let (until, _) = standing.rests_until(START).unwrap();
        assert_eq!(until.since(START), TimeDelta::seconds(60));
        assert_eq!(standing.rests_until(until), None);
    }

    #[test]
    fn five_refusals_for_policy_in_a_row_are_the_relays_and_four_are_not() {
        let policy = reply(550, "5.7.1 not from outside");
        let gone = reply(550, "5.1.1 no such user");
        let mut standing = Standing::default();
        for id in 1..=4 {
            let beyond = said(&mut standing, id, Stage::Rcpt, &policy, START);
            assert_eq!(beyond, Beyond::Nothing);
        }
        said(&mut standing, 5, Stage::Rcpt, &gone, START);
        for id in 6..=9 {
            let beyond = said(&mut standing, id, Stage::Rcpt, &policy, START);
            assert_eq!(beyond, Beyond::Nothing);
        }
        let beyond = said(&mut standing, 10, Stage::Rcpt, &policy, START);
        assert_eq!(
            beyond,
            Beyond::PolicyRun((6..=10).map(DeliveryId).collect())
        );
    }

    #[test]
    fn it_is_kept_as_json_and_read_back() {
        let mut standing = Standing::default();
        said(&mut standing, 1, Stage::Connect, &Answer::Lost, START);
        let text = serde_json::to_string(&standing).unwrap();
        assert_eq!(serde_json::from_str::<Standing>(&text).unwrap(), standing);
    }
}
