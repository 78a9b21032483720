//! Rate: how fast letters may leave, and when the last of them will be gone.
//!
//! A relay takes so many letters a minute, so many in any 24 hours, and so many connections at once; a recipient's domain
//! may take less, and a help desk bears so many first notices an hour. [`Meter`] knows what has left and says of each
//! letter whether it may follow now, or from when on. [`Throttle`] and [`Backoff`] heed what the relay itself says,
//! [`release`] keeps the night quiet, and [`forecast`] plays a campaign through before it goes.

mod backoff;
mod forecast;
mod meter;
mod preset;
mod quiet;
mod throttle;
mod words;

use serde::Serialize;

use super::moment::Moment;

pub use backoff::{Absentee, Backoff};
pub use forecast::{Batch, Expected, Forecast, Share, forecast};
pub use meter::Meter;
pub use preset::Preset;
pub use quiet::{is_urgent, release};
pub use throttle::{Throttle, Word};
pub use words::{span_in_words, when};

/// One minute, in microseconds.
const MINUTE: i64 = 60_000_000;
/// The relay's window, in minutes: 24 hours.
const DAY_MINUTES: i64 = 24 * 60;
/// The help desk's window, in minutes: one hour.
const HOUR_MINUTES: i64 = 60;

/// The minute, counted from 1970, that an instant lies in.
pub const fn minute_of(at: Moment) -> i64 {
    at.micros().div_euclid(MINUTE)
}

/// The instant at which a minute, counted from 1970, begins.
const fn moment_of(minute: i64) -> Moment {
    Moment::from_micros(minute.saturating_mul(MINUTE))
}

/// What a relay takes. None means: as much as we like. A limit of nothing counts as one, so that no letter waits for ever.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Limits {
    /// Letters a minute, spread evenly: one each 60 s ÷ `per_minute`.
    pub per_minute: Option<u32>,
    /// Letters that may go at once after a rest. In any minute up to `per_minute` + `burst` - 1 leave, so a burst of one
    /// never goes beyond the published number.
    pub burst: u32,
    /// Letters in any 24 hours, wherever they begin.
    pub per_day: Option<u32>,
    /// The share of `per_day` that is kept for compromised accounts, in percent. Below a hundred.
    pub reserve_percent: u8,
    /// Connections at once.
    pub connections: Option<u16>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            per_minute: None,
            burst: 1,
            per_day: None,
            reserve_percent: 10,
            connections: None,
        }
    }
}

/// What a recipient's domain takes, beside what the relay does. None means: as much as the relay.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct DomainLimits {
    /// The domain, in lower-case ASCII: what follows the `@`, exactly.
    pub name: String,
    /// Letters a minute, spread evenly.
    pub per_minute: Option<u32>,
    /// Letters in any 24 hours; the relay's share of them is kept for compromised accounts here as well.
    pub per_day: Option<u32>,
    /// Connections at once that may carry letters to it.
    pub connections: Option<u16>,
}

/// Everything that bounds how fast letters leave.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Rates {
    /// What the relay takes.
    pub relay: Limits,
    /// Domains that take less.
    pub domains: Vec<DomainLimits>,
    /// First notices in any hour, so that the help desk can answer those who call. Compromised accounts count, and do not
    /// wait.
    pub people_per_hour: Option<u32>,
}

impl Rates {
    /// Whether letters have to be counted at all.
    pub fn is_limited(&self) -> bool {
        self.relay.per_minute.is_some()
            || self.relay.per_day.is_some()
            || self.people_per_hour.is_some()
            || self
                .domains
                .iter()
                .any(|domain| domain.per_minute.is_some() || domain.per_day.is_some())
    }

    /// What a domain takes, if it has limits of its own. `name` in lower-case ASCII.
    pub fn domain(&self, name: &str) -> Option<&DomainLimits> {
        self.domains.iter().find(|domain| domain.name == name)
    }
}

/// How many people may be told in an hour if a help desk answers `contacts_per_hour`, and `percent` of those who are told
/// get in touch.
pub fn people_per_hour(contacts_per_hour: u32, percent: u8) -> u32 {
    let people = u64::from(contacts_per_hour) * 100 / u64::from(percent.max(1));
    u32::try_from(people).unwrap_or(u32::MAX).max(1)
}

/// What letters are counted by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Key {
    /// All letters.
    Relay,
    /// Letters to one domain, in lower-case ASCII.
    Domain(String),
    /// First notices.
    Wave,
}

impl Key {
    /// The word that the database uses.
    pub fn word(&self) -> String {
        match self {
            Self::Relay => "relay".to_owned(),
            Self::Domain(name) => format!("domain:{name}"),
            Self::Wave => "wave".to_owned(),
        }
    }

    /// What a word of the database names.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "relay" => Some(Self::Relay),
            "wave" => Some(Self::Wave),
            other => other
                .strip_prefix("domain:")
                .map(|name| Self::Domain(name.to_owned())),
        }
    }
}

/// What was sent in one minute, by one key: all that has to be kept for a [`Meter`] to go on after a restart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sent {
    /// What it is counted by.
    pub key: Key,
    /// The minute, counted from 1970.
    pub minute: i64,
    /// How many letters; less than nothing where some were given back.
    pub letters: i64,
    /// When the next letter would be due at the even pace, as of the last of these: later than now by as much as the burst
    /// is used up.
    pub free_at: Moment,
}

/// A letter that asks whether it may go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asked<'a> {
    /// Its recipient's domain, in lower-case ASCII.
    pub domain: &'a str,
    /// Whether it may use what is kept back, see [`is_urgent`].
    pub urgent: bool,
    /// Whether it is a first notice.
    pub first_notice: bool,
}

/// Whether a letter may go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It may, and is counted.
    Now,
    /// It may from this moment on, if nothing else goes before it; and what it waits for.
    Later(Moment, Why),
}

impl Verdict {
    /// When it may go: `now`, or later.
    pub fn at(self, now: Moment) -> Moment {
        match self {
            Self::Now => now,
            Self::Later(at, _) => at,
        }
    }
}

/// What holds letters back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The relay's letters a minute.
    PerMinute,
    /// The relay's letters a day, less what is kept back.
    PerDay,
    /// A domain's letters a minute.
    DomainPerMinute,
    /// A domain's letters a day, less what is kept back.
    DomainPerDay,
    /// The help desk's people an hour.
    Wave,
    /// Night, week-end, holiday.
    SendWindow,
}

impl Why {
    /// All of them, in order.
    pub const ALL: [Self; 6] = [
        Self::PerMinute,
        Self::PerDay,
        Self::DomainPerMinute,
        Self::DomainPerDay,
        Self::Wave,
        Self::SendWindow,
    ];

    /// What to tell an operator; follows "bound by".
    pub const fn text(self) -> &'static str {
        match self {
            Self::PerMinute => "what the relay takes in a minute",
            Self::PerDay => "what the relay takes in 24 hours",
            Self::DomainPerMinute => "what one domain takes in a minute",
            Self::DomainPerDay => "what one domain takes in 24 hours",
            Self::Wave => "the people whom the help desk bears in an hour",
            Self::SendWindow => "the hours in which letters may go out",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_from_its_word() {
        for key in [
            Key::Relay,
            Key::Wave,
            Key::Domain("parl.example".to_owned()),
        ] {
            assert_eq!(Key::from_word(&key.word()), Some(key));
        }
        assert_eq!(Key::from_word("erledigt"), None);
    }

    #[test]
    fn a_help_desk_that_answers_thirty_an_hour_bears_a_thousand_people() {
        for (contacts, percent, people) in [(30, 3, 1000), (1, 3, 33), (1, 100, 1), (0, 3, 1)] {
            assert_eq!(
                people_per_hour(contacts, percent),
                people,
                "{contacts} {percent}"
            );
        }
    }

    #[test]
    fn connections_alone_need_no_counting() {
        let mut rates = Rates::default();
        rates.relay.connections = Some(3);
        assert!(!rates.is_limited());
        rates.people_per_hour = Some(100);
        assert!(rates.is_limited());
    }
}
