//! Moment: an instant in UTC, in whole microseconds, which is what both databases give back exactly.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant in UTC, in whole microseconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(i64);

impl Moment {
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The instant as chrono sees it. Values outside chrono's years become its nearest bound.
    pub fn utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or(if self.0 < 0 {
            DateTime::<Utc>::MIN_UTC
        } else {
            DateTime::<Utc>::MAX_UTC
        })
    }

    /// This instant, `span` later. Saturates at the ends of time.
    pub fn plus(self, span: TimeDelta) -> Self {
        Self(
            self.0
                .saturating_add(span.num_microseconds().unwrap_or(i64::MAX)),
        )
    }

    /// This instant, `span` earlier. Saturates at the ends of time.
    pub fn minus(self, span: TimeDelta) -> Self {
        Self(
            self.0
                .saturating_sub(span.num_microseconds().unwrap_or(i64::MAX)),
        )
    }

    /// How long after `earlier` this is; negative if it is before.
    pub fn since(self, earlier: Self) -> TimeDelta {
        TimeDelta::microseconds(self.0.saturating_sub(earlier.0))
    }
}

impl From<DateTime<Utc>> for Moment {
    /// Drops what is finer than a microsecond.
    fn from(at: DateTime<Utc>) -> Self {
        Self(at.timestamp_micros())
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.utc().to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no instant in RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no instant as RFC 3339 writes it, such as 2026-02-10T02:15:00Z")]
pub struct BadMoment;

impl FromStr for Moment {
    type Err = BadMoment;

    fn from_str(text: &str) -> Result<Self, BadMoment> {
        DateTime::parse_from_rfc3339(text.trim())
            .map(|at| Self::from(at.to_utc()))
            .map_err(|_| BadMoment)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_the_same() {
        for text in ["2026-02-10T02:15:00Z", "2026-02-10T02:15:00.123456Z"] {
            let moment: Moment = text.parse().unwrap();
            assert_eq!(moment.to_string(), text);
            assert_eq!(Moment::from_micros(moment.micros()), moment);
        }
    }

    #[test]
    fn the_ends_of_time_do_not_panic() {
        let end = Moment::from_micros(i64::MAX);
        assert_eq!(end.plus(TimeDelta::days(1)), end);
        assert!(!end.to_string().is_empty());
        assert!(!Moment::from_micros(i64::MIN).to_string().is_empty());
    }
}
