//! Genuine: "did you really send me this?" Anybody may ask; nobody learns more than that a letter with this reference went
//! out, and on which day.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::TimeDelta;
use serde::Serialize;

use super::roles::Declined;
use crate::app::App;
use crate::domain::Moment;
use crate::domain::genuine::reference;

/// The answer to whoever asks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Genuine {
    /// A letter with this reference was sent.
    Sent {
        /// The local day on which it first was.
        on: chrono::NaiveDate,
    },
    /// No letter with this reference was ever sent.
    NotOurs,
}

impl Genuine {
    /// The answer in a sentence or two. A reference is no proof (section 3.6): whoever copies a letter copies it too.
    pub fn in_words(&self, app: &App) -> String {
        let constants = &app.letters.constants;
        let check = constants.check_route.trim().trim_end_matches('.');
        match self {
            Self::Sent { on } => format!(
                "We sent a letter with this reference on {}. Somebody could have copied it, so it proves nothing alone: to be sure of what you have before you, {check}.",
                on.format("%-d %B %Y")
            ),
            Self::NotOurs => format!(
                "Not ours: we sent no letter with this reference. Please follow nothing that it says, and report it; to reach us, {check}."
            ),
        }
    }
}

/// How often one and the same may ask within [`SPAN`].
const MOST: u32 = 10;
const SPAN: TimeDelta = TimeDelta::minutes(10);
/// How many askers are remembered; beyond that the oldest are forgotten.
const ASKERS: usize = 10_000;

/// Who asked of late, so that nobody tries references one by one. Only in this process.
#[derive(Debug, Default)]
pub struct Askings(Mutex<HashMap<String, (Moment, u32)>>);

impl Askings {
    /// Counts one more question; false: too many.
    fn admits(&self, asker: &str, now: Moment) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= ASKERS {
            all.retain(|_, (since, _)| now.since(*since) < SPAN);
            if all.len() >= ASKERS {
                return false;
            }
        }
        let (since, count) = all.entry(asker.to_owned()).or_insert((now, 0));
        if !(TimeDelta::zero()..SPAN).contains(&now.since(*since)) {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count <= MOST
    }
}

/// Whether a letter with this reference is ours. `asker` is only counted.
pub async fn genuine(
    app: &App,
    askings: &Askings,
    typed: &str,
    asker: &str,
) -> anyhow::Result<Genuine> {
    if !askings.admits(asker, app.clock.now()) {
        let why = "that were many questions in a short time; please wait ten minutes";
        return Err(Declined(why.to_owned()).into());
    }
    // What cannot be ours is looked up all the same: the answer takes as long.
    let read = reference(typed).unwrap_or_default();
    let sent = app.store.read().await?.first_sent(&read).await?;
    Ok(match sent {
        Some(at) => Genuine::Sent {
            on: app.calendar.local(at).date(),
        },
        None => Genuine::NotOurs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_asks_more_than_ten_times_in_ten_minutes() {
        let askings = Askings::default();
        let start: Moment = "2026-03-02T09:00:00Z".parse().unwrap();
        for _ in 0..10 {
            assert!(askings.admits("a", start));
        }
        assert!(!askings.admits("a", start.plus(TimeDelta::minutes(9))));
        assert!(askings.admits("b", start));
        assert!(askings.admits("a", start.plus(TimeDelta::minutes(10))));
        // A clock that was set back locks nobody out.
        assert!(askings.admits("a", start));
    }
}
