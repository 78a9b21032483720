//! Incident: what staff and public are told about, in five plain states.

use serde::{Deserialize, Serialize};

use super::moment::Moment;

/// Where an incident is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentState {
    /// Something is wrong; the cause is not known.
    Investigating,
    /// The cause is known.
    Identified,
    /// It does not spread any more.
    Contained,
    /// Things work again and are watched.
    Monitoring,
    /// It is over.
    Resolved,
}

impl IncidentState {
    /// All of them, in their usual order.
    pub const ALL: [Self; 5] = [
        Self::Investigating,
        Self::Identified,
        Self::Contained,
        Self::Monitoring,
        Self::Resolved,
    ];

    /// The word that the database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Investigating => "investigating",
            Self::Identified => "identified",
            Self::Contained => "contained",
            Self::Monitoring => "monitoring",
            Self::Resolved => "resolved",
        }
    }

    /// The state that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

/// What readers of an incident's post were told, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Word {
    /// That they would hear more by then.
    Promised {
        /// When it was said.
        at: Moment,
        /// By when.
        by: Moment,
    },
    /// Something new.
    Updated {
        /// When.
        at: Moment,
    },
}

/// Promised updates whose time has come at `as_of`, and how many of these were missed. A promise is kept by any update
/// after it was made and by its time.
pub fn promises(words: &[Word], as_of: Moment) -> (u64, u64) {
    let (mut due, mut missed) = (0, 0);
    for word in words {
        let Word::Promised { at: said, by } = word else {
            continue;
        };
        if *by > as_of {
            continue;
        }
        due += 1;
        let kept = words
            .iter()
            .any(|word| matches!(word, Word::Updated { at } if said < at && at <= by));
        missed += u64::from(!kept);
    }
    (due, missed)
}

/// The earliest promise that nothing has been said since, as far as `now` knows. It is due, and then late, until something
/// is said: another promise in its place does not take it back.
pub fn outstanding(words: &[Word]) -> Option<Moment> {
    words
        .iter()
        .filter_map(|word| match word {
            Word::Promised { at, by } => Some((*at, *by)),
            Word::Updated { .. } => None,
        })
        .filter(|(said, _)| {
            !words
                .iter()
                .any(|word| matches!(word, Word::Updated { at } if said < at))
        })
        .map(|(_, by)| by)
        .min()
}

/// How a promise stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PromiseState {
    /// There is time.
    Ahead,
    /// Its time comes within the reminder's span.
    Near,
    /// Its time has come, and nothing was said.
    Late,
}

/// How a promise of `by` stands, if it is reminded of `before` its time.
pub fn promise_state(by: Moment, before: chrono::TimeDelta, now: Moment) -> PromiseState {
    if by <= now {
        PromiseState::Late
    } else if by.minus(before) <= now {
        PromiseState::Near
    } else {
        PromiseState::Ahead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_is_kept_by_an_update_after_it_and_by_its_time() {
        let at = |hour: i64| Moment::from_micros(hour * 3_600_000_000);
        let promised = |said, by| Word::Promised {
            at: at(said),
            by: at(by),
        };
        let updated = |hour| Word::Updated { at: at(hour) };
        for (words, as_of, expected) in [
            (vec![], 9, (0, 0)),
            (vec![promised(1, 5)], 4, (0, 0)),
            (vec![promised(1, 5)], 5, (1, 1)),
            (vec![promised(1, 5), updated(5)], 9, (1, 0)),
            (vec![promised(1, 5), updated(6)], 9, (1, 1)),
            // What is said together with the promise does not keep it.
            (vec![updated(1), promised(1, 5)], 9, (1, 1)),
            (vec![promised(1, 5), updated(3), promised(3, 8)], 9, (2, 1)),
        ] {
            assert_eq!(promises(&words, at(as_of)), expected, "{words:?}");
        }
    }

    #[test]
    fn a_promise_is_outstanding_until_something_is_said_however_often_it_is_moved() {
        let at = |hour: i64| Moment::from_micros(hour * 3_600_000_000);
        let promised = |said, by| Word::Promised {
            at: at(said),
            by: at(by),
        };
        let updated = |hour| Word::Updated { at: at(hour) };
        for (words, expected) in [
            (vec![], None),
            (vec![promised(1, 5)], Some(5)),
            (vec![promised(1, 5), promised(4, 9)], Some(5)),
            (vec![promised(1, 5), updated(6)], None),
            (vec![promised(1, 5), updated(3), promised(3, 8)], Some(8)),
        ] {
            assert_eq!(outstanding(&words), expected.map(at), "{words:?}");
        }
        let half = chrono::TimeDelta::minutes(30);
        assert_eq!(promise_state(at(5), half, at(4)), PromiseState::Ahead);
        let near = at(5).minus(half);
        assert_eq!(promise_state(at(5), half, near), PromiseState::Near);
        assert_eq!(promise_state(at(5), half, at(5)), PromiseState::Late);
    }
}
