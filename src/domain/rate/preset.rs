//! Preset: the limits that well-known relays publish, by name.

use super::Limits;

/// A relay whose limits are known, or whose operator has to know them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Preset {
    /// One of our own: no limits but those that are written down.
    Own,
    /// Exchange Online, one mailbox by SMTP AUTH.
    ExchangeOnline,
    /// Exchange Online High Volume Email: internal recipients only, outside the mailbox limits.
    ExchangeHve,
    /// The Google Workspace SMTP relay, one user.
    GoogleRelay,
    /// A Google Workspace mailbox by SMTP.
    GoogleMailbox,
    /// Amazon SES before it is let out of its sandbox.
    SesSandbox,
    /// Amazon SES: each account has its own numbers, and they are not published.
    Ses,
    /// GOV.UK Notify.
    GovukNotify,
}

impl Preset {
    /// All of them, by their names in the config.
    pub const ALL: [(&'static str, Self); 8] = [
        ("own", Self::Own),
        ("exchange_online", Self::ExchangeOnline),
        ("exchange_hve", Self::ExchangeHve),
        ("google_relay", Self::GoogleRelay),
        ("google_mailbox", Self::GoogleMailbox),
        ("ses_sandbox", Self::SesSandbox),
        ("ses", Self::Ses),
        ("govuk_notify", Self::GovukNotify),
    ];

    /// Its name in the config.
    pub fn word(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, preset)| *preset == self)
            .map_or("own", |(word, _)| word)
    }

    /// What its operator publishes.
    pub fn limits(self) -> Limits {
        let (per_minute, per_day, connections) = match self {
            Self::Own | Self::ExchangeHve | Self::Ses => (None, None, None),
            Self::ExchangeOnline => (Some(30), Some(10_000), Some(3)),
            Self::GoogleRelay => (None, Some(10_000), None),
            Self::GoogleMailbox => (None, Some(2_000), None),
            // One a second.
            Self::SesSandbox => (Some(60), Some(200), None),
            Self::GovukNotify => (Some(3_000), Some(250_000), None),
        };
        Limits {
            per_minute,
            burst: Self::burst(per_minute),
            per_day,
            connections,
            ..Limits::default()
        }
    }

    /// Whether its numbers are the account's own, so that the config has to say them.
    pub const fn needs_numbers(self) -> bool {
        matches!(self, Self::Ses)
    }

    /// The burst that goes with a pace if none is written down: a second's worth, so that a slow relay's number is kept to
    /// the letter and a fast one is not asked for each letter by itself.
    pub fn burst(per_minute: Option<u32>) -> u32 {
        per_minute.map_or(1, |letters| (letters / 60).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_relays_publish_is_preset() {
        for (name, per_minute, per_day, connections) in [
            ("own", None, None, None),
            ("exchange_online", Some(30), Some(10_000), Some(3)),
            ("exchange_hve", None, None, None),
            ("google_relay", None, Some(10_000), None),
            ("google_mailbox", None, Some(2_000), None),
            ("ses_sandbox", Some(60), Some(200), None),
            ("ses", None, None, None),
            ("govuk_notify", Some(3_000), Some(250_000), None),
        ] {
            let (_, preset) = Preset::ALL
                .into_iter()
                .find(|(word, _)| *word == name)
                .unwrap();
            let limits = preset.limits();
            assert_eq!(
                (limits.per_minute, limits.per_day, limits.connections),
                (per_minute, per_day, connections),
                "{name}"
            );
            assert_eq!(preset.word(), name);
            assert_eq!(limits.reserve_percent, 10);
        }
    }

    #[test]
    fn a_burst_is_a_second_of_the_pace() {
        for (per_minute, burst) in [(None, 1), (Some(1), 1), (Some(30), 1), (Some(3_000), 50)] {
            assert_eq!(Preset::burst(per_minute), burst);
        }
    }
}
