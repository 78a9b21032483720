//! Throttle: heeding a relay that asks us to slow down, and trusting it again.
//!
//! The numbers follow rows 7, 10 and 11 of the table of replies.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::domain::delivery::{Cause, Outcome, Ruling};
use crate::domain::moment::Moment;

/// The first pause after "too fast" or "too many connections".
const SHORTEST: TimeDelta = TimeDelta::seconds(60);
/// The longest pause after "too fast".
const LONGEST: TimeDelta = TimeDelta::minutes(15);
/// How often we ask whether a used-up quota is free again.
const POLL: TimeDelta = TimeDelta::hours(1);
/// How long it has to be calm before one more connection is tried.
const CALM: TimeDelta = TimeDelta::minutes(10);

/// What a relay says about our pace.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Word {
    /// It took a letter.
    Took,
    /// Too many connections at once (row 7).
    Connections,
    /// The quota of a day is used up (row 10).
    Quota,
    /// Too fast (row 11).
    Rate,
}

impl Word {
    /// What a ruling says about our pace; none if it is about something else.
    pub const fn of(ruling: &Ruling) -> Option<Self> {
        match (ruling.outcome, ruling.cause) {
            (Some(Outcome::Accepted), _) => Some(Self::Took),
            (Some(Outcome::Throttle), Cause::TooManyConnections) => Some(Self::Connections),
            (Some(Outcome::Throttle), Cause::Quota) => Some(Self::Quota),
            // Whatever else asks for patience is met like "too fast".
            (Some(Outcome::Throttle), _) => Some(Self::Rate),
            (_, _) => None,
        }
    }
}

/// How a relay is to be met for now. Kept for as long as the relay is used; made anew it trusts the relay fully.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Throttle {
    /// Connections at once, at least one.
    pub connections_now: u16,
    /// Nothing goes out before this moment.
    pub until: Option<Moment>,
    /// How long the next "too fast" will pause us, in seconds.
    pause_seconds: i64,
    /// Since when there was neither trouble nor a connection more; none if there never was any.
    calm_since: Option<Moment>,
}

impl Throttle {
    /// Nothing is known against the relay: all of `connections` are used.
    pub fn new(connections: u16) -> Self {
        Self {
            connections_now: connections.max(1),
            until: None,
            pause_seconds: SHORTEST.num_seconds(),
            calm_since: None,
        }
    }

    /// What follows from the relay's word. What several letters in flight hear during one pause is one trouble.
    pub fn heard(self, word: Word, now: Moment) -> Self {
        if word == Word::Took {
            let pause_seconds = (self.pause_seconds / 2).max(SHORTEST.num_seconds());
            return Self {
                pause_seconds,
                ..self
            };
        }
        let is_pausing = self.until.is_some_and(|until| until > now);
        let calm = Self {
            calm_since: Some(now),
            ..self
        };
        match word {
            Word::Took => self,
            // However short the pause: a quota is not free again in a minute.
            Word::Quota => calm.paused(POLL, now),
            Word::Connections | Word::Rate if is_pausing => calm,
            Word::Connections => Self {
                connections_now: self.connections_now.saturating_sub(1).max(1),
                ..calm.paused(SHORTEST, now)
            },
            Word::Rate => Self {
                pause_seconds: (self.pause_seconds * 2).min(LONGEST.num_seconds()),
                ..calm.paused(TimeDelta::seconds(self.pause_seconds), now)
            },
        }
    }

    fn paused(self, span: TimeDelta, now: Moment) -> Self {
        let until = now.plus(span);
        Self {
            until: Some(self.until.map_or(until, |known| known.max(until))),
            ..self
        }
    }

    /// The same as time passes: a pause that is over is gone, and after every ten calm minutes one more connection is
    /// tried, up to `connections`.
    pub fn rested(self, connections: u16, now: Moment) -> Self {
        let most = connections.max(1);
        let connections_now = self.connections_now.clamp(1, most);
        let until = self.until.filter(|until| *until > now);
        let Some(since) = self.calm_since.filter(|_| connections_now < most) else {
            return Self {
                connections_now,
                until,
                ..self
            };
        };
        let steps = now.since(since).num_seconds().max(0) / CALM.num_seconds();
        let steps = u16::try_from(steps).unwrap_or(u16::MAX);
        Self {
            connections_now: connections_now.saturating_add(steps).min(most),
            until,
            calm_since: Some(since.plus(CALM * i32::from(steps))),
            ..self
        }
    }

    /// When the next letter may go: `now`, or at the end of the pause.
    pub fn opens_at(&self, now: Moment) -> Moment {
        self.until.map_or(now, |until| until.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::{Answer, RelayTexts, Reply, Stage, ruling};

    const START: Moment = Moment::from_micros(1_770_000_000_000_000);

    fn after(seconds: i64) -> Moment {
        START.plus(TimeDelta::seconds(seconds))
    }

    fn said(stage: Stage, code: u16, text: &str) -> Option<Word> {
        let reply = Reply::new(code, text);
        Word::of(&ruling(
            stage,
            &Answer::Reply(reply),
            &RelayTexts::default(),
        ))
    }

    #[test]
    fn the_relays_words_are_understood() {
        for (stage, code, text, expected) in [
            (Stage::Dot, 250, "2.0.0 Ok", Some(Word::Took)),
            (
                Stage::Mail,
                432,
                "4.3.2 Concurrent connections limit exceeded",
                Some(Word::Connections),
            ),
            (
                Stage::Dot,
                454,
                "Throttling failure: Daily message quota exceeded",
                Some(Word::Quota),
            ),
            (
                Stage::Rcpt,
                550,
                "5.4.5 Daily sending quota exceeded",
                Some(Word::Quota),
            ),
            (
                Stage::Dot,
                454,
                "Throttling failure: Maximum sending rate exceeded",
                Some(Word::Rate),
            ),
            (Stage::Rcpt, 550, "5.1.1 no such user", None),
            (Stage::Rcpt, 450, "4.2.0 greylisted", None),
        ] {
            assert_eq!(said(stage, code, text), expected, "{code} {text}");
        }
    }

    /// Words at seconds, and what holds right after each: connections, and the pause's end in seconds.
    #[test]
    fn a_relay_that_complains_is_met_with_patience() {
        use Word::{Connections, Quota, Rate, Took};
        type Told = (i64, Word, u16, Option<i64>);
        let stories: &[(&str, &[Told])] = &[
            (
                "each complaint about connections costs one, and the last one stays",
                &[
                    (0, Connections, 2, Some(60)),
                    (60, Connections, 1, Some(120)),
                    (120, Connections, 1, Some(180)),
                ],
            ),
            (
                "what letters in flight hear during a pause is the same complaint",
                &[
                    (0, Connections, 2, Some(60)),
                    (1, Connections, 2, Some(60)),
                    (2, Rate, 2, Some(60)),
                ],
            ),
            (
                "a minute, then twice as long each time, up to fifteen minutes",
                &[
                    (0, Rate, 3, Some(60)),
                    (60, Rate, 3, Some(180)),
                    (180, Rate, 3, Some(420)),
                    (420, Rate, 3, Some(900)),
                    (900, Rate, 3, Some(1800)),
                    (1800, Rate, 3, Some(2700)),
                ],
            ),
            (
                "a letter that is taken halves the next pause",
                &[
                    (0, Rate, 3, Some(60)),
                    (60, Rate, 3, Some(180)),
                    (180, Took, 3, None),
                    (181, Rate, 3, Some(301)),
                    (301, Took, 3, None),
                    (302, Took, 3, None),
                    (303, Took, 3, None),
                    (304, Rate, 3, Some(364)),
                ],
            ),
            (
                "a quota is asked after every hour, whatever pause there is",
                &[
                    (0, Rate, 3, Some(60)),
                    (1, Quota, 3, Some(3601)),
                    (2, Rate, 3, Some(3601)),
                    (3601, Quota, 3, Some(7201)),
                ],
            ),
        ];
        for (story, told) in stories {
            let mut throttle = Throttle::new(3);
            for (at, word, connections, until) in *told {
                throttle = throttle.rested(3, after(*at)).heard(*word, after(*at));
                let shown = (throttle.connections_now, throttle.until);
                assert_eq!(shown, (*connections, until.map(after)), "{story}: {at}");
            }
        }
    }

    #[test]
    fn after_every_ten_calm_minutes_one_more_connection_is_tried() {
        let shy = Throttle::new(3).heard(Word::Connections, START);
        let shy = shy.rested(3, after(60)).heard(Word::Connections, after(60));
        for (at, connections) in [
            (61, 1),
            (659, 1),
            (660, 2),
            (1259, 2),
            (1260, 3),
            (90_000, 3),
        ] {
            assert_eq!(
                shy.rested(3, after(at)).connections_now,
                connections,
                "{at}"
            );
        }
        // Asked often or seldom, it comes to the same.
        let mut often = shy;
        for at in 61..=1260 {
            often = often.rested(3, after(at));
        }
        assert_eq!(often.connections_now, 3);
        let troubled = shy.rested(3, after(600)).heard(Word::Rate, after(600));
        assert_eq!(troubled.rested(3, after(1199)).connections_now, 1);
        assert_eq!(troubled.rested(3, after(1200)).connections_now, 2);
        // The config may have changed meanwhile.
        assert_eq!(Throttle::new(8).rested(2, START).connections_now, 2);
    }

    #[test]
    fn it_opens_when_the_pause_is_over() {
        let paused = Throttle::new(4).heard(Word::Rate, START);
        assert_eq!(paused.opens_at(after(10)), after(60));
        assert_eq!(paused.opens_at(after(70)), after(70));
        assert_eq!(paused.rested(4, after(60)).until, None);
        let text = serde_json::to_string(&paused).unwrap();
        assert_eq!(serde_json::from_str::<Throttle>(&text).unwrap(), paused);
    }
}
