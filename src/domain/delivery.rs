//! Delivery: what is sent, what one attempt means for the next, and how long we go on trying.

use serde::{Deserialize, Serialize};

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

/// One SMTP reply (RFC 5321 section 4.2), with its enhanced code (RFC 3463).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// Basic code, 200 to 599.
    pub code: u16,
    /// Enhanced code, such as 5.1.1.
    pub enhanced: Option<(u16, u16, u16)>,
    /// The text, addresses masked, cut at 500 characters.
    pub text: String,
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
