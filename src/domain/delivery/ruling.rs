//! Ruling: the one ordered table that says what an answer at a stage means. First match wins.

use super::{Answer, Outcome, RelayTexts, Reply, Stage, words};

/// Why an attempt ended as it did, for reports and for whoever has to act.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Cause {
    /// Taken.
    Accepted,
    /// The conversation goes on; nothing is decided.
    GoesOn,
    /// Nobody answered, or the name was not found.
    Unreachable,
    /// The connection broke, or fell silent, before the message was complete.
    Lost,
    /// TLS was required and missing, or the certificate did not fit.
    Tls,
    /// The relay is busy or closing.
    Busy,
    /// The relay takes no mail from us.
    RefusesUs,
    /// Too many connections at once.
    TooManyConnections,
    /// Signing in does not work just now.
    SignInUnavailable,
    /// Signing in was refused.
    SignInRefused,
    /// A quota of messages or recipients is used up.
    Quota,
    /// Too fast.
    Rate,
    /// Our domain's authentication (SPF, DKIM, DMARC) is broken.
    Unauthenticated,
    /// The message is too large.
    TooLarge,
    /// We may not send as this sender.
    SenderRefused,
    /// Too many recipients in one go.
    TooManyRecipients,
    /// The mailbox is full: a person should look at once.
    MailboxFull,
    /// Not now; greylisting is one reason.
    NotNow,
    /// There is no such address: the directory is wrong.
    BadAddress,
    /// The mailbox is disabled.
    MailboxDisabled,
    /// The address needs SMTPUTF8, and something on the way does not know it.
    NeedsSmtpUtf8,
    /// Refused by the recipient's policy.
    Policy,
    /// We broke the protocol.
    Protocol,
    /// Refused without a better reason.
    RecipientRefused,
    /// The content is refused.
    ContentRefused,
    /// It may or may not have been taken.
    Doubt,
    /// A permanent refusal that no row knows.
    Unknown,
    /// What came is no SMTP reply.
    NotSmtp,
}

words! { Cause {
    Accepted = "accepted",
    GoesOn = "goes_on",
    Unreachable = "unreachable",
    Lost = "lost",
    Tls = "tls",
    Busy = "busy",
    RefusesUs = "refuses_us",
    TooManyConnections = "too_many_connections",
    SignInUnavailable = "sign_in_unavailable",
    SignInRefused = "sign_in_refused",
    Quota = "quota",
    Rate = "rate",
    Unauthenticated = "unauthenticated",
    TooLarge = "too_large",
    SenderRefused = "sender_refused",
    TooManyRecipients = "too_many_recipients",
    MailboxFull = "mailbox_full",
    NotNow = "not_now",
    BadAddress = "bad_address",
    MailboxDisabled = "mailbox_disabled",
    NeedsSmtpUtf8 = "needs_smtputf8",
    Policy = "policy",
    Protocol = "protocol",
    RecipientRefused = "recipient_refused",
    ContentRefused = "content_refused",
    Doubt = "doubt",
    Unknown = "unknown",
    NotSmtp = "not_smtp",
} }

/// What the table says about an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ruling {
    /// The row that matched, as the specification numbers them; 0 for replies that only let a conversation go on.
    pub row: u8,
    /// What it means for the message; none while the conversation goes on.
    pub outcome: Option<Outcome>,
    /// Why.
    pub cause: Cause,
}

/// What an answer at a stage means; `texts` are the phrases by which relays tell what their codes do not.
pub fn ruling(stage: Stage, answer: &Answer, texts: &RelayTexts) -> Ruling {
    let heard = Heard::new(stage, answer, texts);
    TABLE
        .iter()
        .find(|row| (row.applies)(&heard))
        .map_or(NOT_SMTP, |row| row.ruling)
}

/// What an attempt means that ended with this answer. Where the conversation could have gone on, nothing was handed over:
/// the relay is asked again later.
pub fn outcome(stage: Stage, answer: &Answer, texts: &RelayTexts) -> Outcome {
    ruling(stage, answer, texts)
        .outcome
        .unwrap_or(Outcome::DeferRelay)
}

/// Row 14: whether a refusal may be about the optional parameters that came with MAIL or RCPT, so that it is worth saying
/// them once without.
pub fn is_about_parameters(stage: Stage, answer: &Answer) -> bool {
    matches!(stage, Stage::Mail | Stage::Rcpt)
        && matches!(answer, Answer::Reply(reply) if matches!(reply.code, 501 | 504 | 555))
}

/// A reply as the table looks at it; zero and empty where there is none.
struct Heard<'a> {
    stage: Stage,
    answer: &'a Answer,
    code: u16,
    class: u16,
    enhanced: (u16, u16, u16),
    text: String,
    texts: &'a RelayTexts,
}

impl<'a> Heard<'a> {
    fn new(stage: Stage, answer: &'a Answer, texts: &'a RelayTexts) -> Self {
        let reply = match answer {
            Answer::Reply(reply) => Some(reply),
            Answer::Lost | Answer::TimedOut | Answer::Tls | Answer::Garbled => None,
        };
        Self {
            stage,
            answer,
            code: reply.map_or(0, |reply| reply.code),
            class: reply.map_or(0, Reply::class),
            enhanced: reply.and_then(|reply| reply.enhanced).unwrap_or_default(),
            text: reply
                .map(|reply| reply.text.to_lowercase())
                .unwrap_or_default(),
            texts,
        }
    }

    fn is(&self, stage: Stage) -> bool {
        self.stage == stage
    }

    /// A refusal of either kind, at a stage that still decides something.
    fn refused(&self) -> bool {
        self.class >= 4 && self.stage != Stage::Quit
    }

    fn says(&self, texts: &[String]) -> bool {
        texts.iter().any(|text| self.text.contains(text.as_str()))
    }

    /// Whether a word of the text begins like this: "rate", but not "separate".
    fn says_word(&self, beginnings: &[&str]) -> bool {
        self.text
            .split(|c: char| !c.is_alphanumeric())
            .any(|word| beginnings.iter().any(|start| word.starts_with(start)))
    }

    fn silent(&self) -> bool {
        matches!(self.answer, Answer::Lost | Answer::TimedOut)
    }

    fn opening(&self) -> bool {
        matches!(self.stage, Stage::Greeting | Stage::Ehlo | Stage::StartTls)
    }

    fn before_the_dot(&self) -> bool {
        self.stage < Stage::Dot
    }
}

struct Row {
    ruling: Ruling,
    applies: fn(&Heard) -> bool,
}

const fn row(number: u8, outcome: Outcome, cause: Cause, applies: fn(&Heard) -> bool) -> Row {
    Row {
        ruling: Ruling {
            row: number,
            outcome: Some(outcome),
            cause,
        },
        applies,
    }
}

const fn goes_on(number: u8, applies: fn(&Heard) -> bool) -> Row {
    Row {
        ruling: Ruling {
            row: number,
            outcome: None,
            cause: Cause::GoesOn,
        },
        applies,
    }
}

const NOT_SMTP: Ruling = Ruling {
    row: 40,
    outcome: Some(Outcome::DeferRelay),
    cause: Cause::NotSmtp,
};

use Outcome::{
    Accepted, DeferRecipient, DeferRelay, FailMessage, FailRecipient, HoldRelay, InDoubt, Throttle,
};
use Stage::{Auth, Connect, Data, Dot, Mail, Quit, Rcpt};

/// In the order, and with the numbers, of the specification. Rows 14 (repeat MAIL without optional parameters,
/// [`is_about_parameters`]) and 30 (replies to DATA in a group whose RCPT was refused, [`super::opening`]) say how the
/// conversation goes on; they are no outcome.
static TABLE: &[Row] = &[
    row(1, DeferRelay, Cause::Unreachable, |h| {
        h.is(Connect) && h.silent()
    }),
    row(2, HoldRelay, Cause::Tls, |h| {
        h.before_the_dot() && *h.answer == Answer::Tls
    }),
    row(3, DeferRelay, Cause::Busy, |h| h.opening() && h.class == 4),
    row(4, HoldRelay, Cause::RefusesUs, |h| {
        h.opening() && h.class == 5
    }),
    row(5, DeferRelay, Cause::Busy, |h| h.refused() && h.code == 421),
    row(6, DeferRelay, Cause::Lost, |h| {
        h.before_the_dot() && h.silent()
    }),
    // Not 4.7.12, which is a password that must be changed.
    row(7, Throttle, Cause::TooManyConnections, |h| {
        h.refused()
            && (h.code == 432 && h.enhanced == (4, 3, 2) || h.says(&h.texts.too_many_connections))
    }),
    row(8, DeferRelay, Cause::SignInUnavailable, |h| {
        h.is(Auth) && h.code == 454
    }),
    // Never tried again by itself: repeating a wrong password locks the account.
    row(9, HoldRelay, Cause::SignInRefused, |h| {
        h.is(Auth) && (h.class == 5 || h.code == 432)
    }),
    // Permanent codes that are quotas: as recipients' failures they would burn a whole campaign. Before row 11, because
    // Amazon's quota texts speak of throttling as well.
    row(10, Throttle, Cause::Quota, |h| {
        h.refused() && (h.code == 550 && h.enhanced == (5, 4, 5) || h.says(&h.texts.quota))
    }),
    row(11, Throttle, Cause::Rate, |h| {
        h.refused()
            && (h.enhanced == (4, 7, 28)
                || h.code == 450 && h.enhanced == (4, 2, 1) && h.says_word(&["rate", "limit"])
                || h.says(&h.texts.rate))
    }),
    row(12, HoldRelay, Cause::Unauthenticated, |h| {
        h.refused()
            && h.class == 5
            && (matches!(h.enhanced, (5, 7, 20..=26 | 515)) || h.says(&h.texts.unauthenticated))
    }),
    row(13, DeferRelay, Cause::Busy, |h| h.is(Mail) && h.class == 4),
    row(15, FailMessage, Cause::TooLarge, |h| {
        h.is(Mail) && h.code == 552 && h.enhanced == (5, 3, 4)
    }),
    row(16, HoldRelay, Cause::SenderRefused, |h| {
        h.is(Mail) && h.class == 5
    }),
    goes_on(17, |h| h.is(Rcpt) && h.class == 2),
    row(18, DeferRecipient, Cause::TooManyRecipients, |h| {
        h.is(Rcpt)
            && (h.code == 452 && h.enhanced == (4, 5, 3)
                || h.code == 552 && h.says(&h.texts.too_many_recipients))
    }),
    row(19, DeferRelay, Cause::Busy, |h| {
        h.is(Rcpt)
            && (h.code == 452 && h.enhanced == (4, 3, 1)
                || h.code == 451 && matches!(h.enhanced, (4, 3, _)))
    }),
    // RFC 3463 section 3.3 means 5.2.2 as a persistent transient failure: a full mailbox can be emptied.
    row(20, DeferRecipient, Cause::MailboxFull, |h| {
        (h.is(Rcpt) || h.is(Dot)) && h.refused() && matches!(h.enhanced, (4 | 5, 2, 2))
    }),
    row(21, DeferRecipient, Cause::NotNow, |h| {
        h.is(Rcpt) && h.class == 4
    }),
    row(22, FailRecipient, Cause::BadAddress, |h| {
        h.is(Rcpt)
            && (h.code == 556
                || matches!(h.code, 550 | 551 | 553)
                    && matches!(h.enhanced, (5, 1, 1 | 2 | 3 | 6 | 10)))
    }),
    row(23, FailRecipient, Cause::MailboxDisabled, |h| {
        h.is(Rcpt) && h.class == 5 && h.enhanced == (5, 2, 1)
    }),
    row(24, FailRecipient, Cause::NeedsSmtpUtf8, |h| {
        h.is(Rcpt) && h.class == 5 && matches!(h.enhanced, (5, 6, 7 | 9))
    }),
    // Five of these in a row hold the relay; the sender counts them.
    row(25, FailRecipient, Cause::Policy, |h| {
        h.is(Rcpt) && h.class == 5 && matches!(h.enhanced, (5, 7, _))
    }),
    row(26, HoldRelay, Cause::Protocol, |h| {
        h.is(Rcpt) && matches!(h.code, 500..=504)
    }),
    row(27, FailRecipient, Cause::RecipientRefused, |h| {
        h.is(Rcpt) && h.class == 5
    }),
    goes_on(28, |h| h.is(Data) && h.code == 354),
    row(29, DeferRelay, Cause::Busy, |h| h.is(Data) && h.class == 4),
    row(31, Accepted, Cause::Accepted, |h| h.is(Dot) && h.class == 2),
    // RFC 5321 section 4.2.5: the relay must not deliver it later, so sending it again makes no second copy.
    row(32, DeferRecipient, Cause::NotNow, |h| {
        h.is(Dot) && h.class == 4
    }),
    row(33, FailMessage, Cause::TooLarge, |h| {
        h.is(Dot) && h.code == 552 && h.enhanced == (5, 3, 4)
    }),
    row(33, FailMessage, Cause::ContentRefused, |h| {
        h.is(Dot) && h.class == 5 && matches!(h.enhanced, (5, 6, _))
    }),
    row(34, FailMessage, Cause::ContentRefused, |h| {
        h.is(Dot) && matches!(h.code, 550 | 554) && matches!(h.enhanced, (5, 7, _))
    }),
    row(35, FailRecipient, Cause::RecipientRefused, |h| {
        h.is(Dot) && h.class == 5
    }),
    row(36, InDoubt, Cause::Doubt, |h| {
        h.is(Dot) && (h.silent() || *h.answer == Answer::Tls)
    }),
    goes_on(37, |h| h.is(Quit)),
    goes_on(0, |h| {
        h.class == 2
            && matches!(
                h.stage,
                Stage::Greeting | Stage::Ehlo | Stage::StartTls | Auth | Mail
            )
    }),
    row(38, DeferRelay, Cause::Busy, |h| h.class == 4),
    // Unknown trouble must not mark people unreachable.
    row(39, HoldRelay, Cause::Unknown, |h| h.class == 5),
    row(40, InDoubt, Cause::Doubt, |h| h.is(Dot)),
    Row {
        ruling: NOT_SMTP,
        applies: |_| true,
    },
];

#[cfg(test)]
mod tests;
