//! Delivery: what is sent, what one attempt means for the next, and how long we go on trying.

mod bounce;
mod late;
mod opening;
mod reply;
mod retries;
mod ruling;
mod standing;
mod texts;

use serde::{Deserialize, Serialize};

pub use bounce::{Effect, Returned, Verdict, Whereabouts, effect, why};
pub use late::{LATE_AFTER, LATE_SHARE, late_at};
pub use opening::{Opening, Then, opening};
pub use reply::{Reply, masked};
pub(in crate::domain) use retries::scattered;
pub use retries::{Next, Retries, Tried};
pub use ruling::{Cause, Ruling, is_about_parameters, outcome, ruling};
pub use standing::{Beyond, Standing};
pub use texts::RelayTexts;

macro_rules! words {
    ($name:ident { $($variant:ident = $word:literal,)* }) => {
        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word that the database and documents use.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// What a word names.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.word() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}
use words;

/// Where in a conversation with a relay something happened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Name look-up, TCP, and TLS from the first byte.
    Connect,
    /// The relay's first line.
    Greeting,
    /// EHLO.
    Ehlo,
    /// STARTTLS and its handshake.
    StartTls,
    /// Signing in.
    Auth,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA, up to its 354.
    Data,
    /// The body, before its final dot.
    Body,
    /// The final dot: from here on the relay may have taken the message.
    Dot,
    /// RSET or QUIT.
    Quit,
}

/// What came back at a stage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// A reply: basic code, enhanced code if there is one, text without addresses.
    Reply(Reply),
    /// The connection broke, or was refused.
    Lost,
    /// Nothing came within the stage's time.
    TimedOut,
    /// TLS was required and not offered, or the certificate did not fit.
    Tls,
    /// Something that is no SMTP reply.
    Garbled,
}

/// What one attempt means.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The relay has taken responsibility. Not "delivered", not "read".
    Accepted,
    /// Try this recipient again later.
    DeferRecipient,
    /// Back off from the whole relay; the recipient is not at fault.
    DeferRelay,
    /// Slow down on the whole relay.
    Throttle,
    /// An operator must act; nothing is marked failed.
    HoldRelay,
    /// This recipient cannot be reached by this address.
    FailRecipient,
    /// The message itself is refused: stop this template for everybody.
    FailMessage,
    /// The relay may or may not have it.
    InDoubt,
}

words! { Stage {
    Connect = "connect",
    Greeting = "greeting",
    Ehlo = "ehlo",
    StartTls = "start_tls",
    Auth = "auth",
    Mail = "mail",
    Rcpt = "rcpt",
    Data = "data",
    Body = "body",
    Dot = "dot",
    Quit = "quit",
} }

words! { Outcome {
    Accepted = "accepted",
    DeferRecipient = "defer_recipient",
    DeferRelay = "defer_relay",
    Throttle = "throttle",
    HoldRelay = "hold_relay",
    FailRecipient = "fail_recipient",
    FailMessage = "fail_message",
    InDoubt = "in_doubt",
} }

impl Outcome {
    /// Whether this is about the relay, so that it counts against no recipient.
    pub const fn is_about_the_relay(self) -> bool {
        matches!(self, Self::DeferRelay | Self::Throttle | Self::HoldRelay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_that_serde_writes_and_read_back() {
        for stage in Stage::ALL {
            assert_eq!(Stage::from_word(stage.word()), Some(*stage));
            assert_eq!(serde_json::to_value(stage).unwrap(), stage.word());
        }
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::from_word(outcome.word()), Some(*outcome));
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.word());
        }
        assert_eq!(Outcome::from_word("erledigt"), None);
    }
}
