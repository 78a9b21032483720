//! Ruling: the one ordered table that says what an answer at a stage means. First match wins.

use super::{Answer, Outcome, Reply, Stage, words};

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

/// What an answer at a stage means.
pub fn ruling(stage: Stage, answer: &Answer) -> Ruling {
    let heard = Heard::new(stage, answer);
    TABLE
        .iter()
        .find(|row| (row.applies)(&heard))
        .map_or(NOT_SMTP, |row| row.ruling)
}

/// What an attempt means that ended with this answer. Where the conversation could have gone on, nothing was handed over:
/// the relay is asked again later.
pub fn outcome(stage: Stage, answer: &Answer) -> Outcome {
    ruling(stage, answer).outcome.unwrap_or(Outcome::DeferRelay)
}

/// A reply as the table looks at it; zero and empty where there is none.
struct Heard<'a> {
    stage: Stage,
    answer: &'a Answer,
    code: u16,
    class: u16,
    enhanced: (u16, u16, u16),
    text: String,
}

impl<'a> Heard<'a> {
    fn new(stage: Stage, answer: &'a Answer) -> Self {
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
        }
    }

    fn is(&self, stage: Stage) -> bool {
        self.stage == stage
    }

    /// A refusal of either kind, at a stage that still decides something.
    fn refused(&self) -> bool {
        self.class >= 4 && self.stage != Stage::Quit
    }

    fn says(&self, texts: &[&str]) -> bool {
        texts.iter().any(|text| self.text.contains(text))
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

/// In the order, and with the numbers, of the specification. Rows 14 (repeat MAIL without optional parameters) and 30
/// (replies to DATA in a group whose RCPT was refused) are the conversation's business, not an outcome.
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
            && (h.code == 432 && h.enhanced == (4, 3, 2)
                || h.says(&["concurrent connections limit", "sender thread limit"]))
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
        h.refused()
            && (h.code == 550 && h.enhanced == (5, 4, 5)
                || h.says(&[
                    "daily message quota exceeded",
                    "daily smtp relay limit exceeded",
                    "submissionquotaexceeded",
                    "recipient rate limit",
                ]))
    }),
    row(11, Throttle, Cause::Rate, |h| {
        h.refused()
            && (h.enhanced == (4, 7, 28)
                || h.code == 450 && h.enhanced == (4, 2, 1) && h.says_word(&["rate", "limit"])
                || h.says(&[
                    "throttling failure",
                    "maximum sending rate",
                    "peak smtp relay limit",
                ]))
    }),
    row(12, HoldRelay, Cause::Unauthenticated, |h| {
        h.refused()
            && h.class == 5
            && (matches!(h.enhanced, (5, 7, 20..=26 | 515))
                || h.says(&["unauthenticated", "dmarc"]))
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
                || h.code == 552 && h.says(&["too many recipients"]))
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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use Stage::{Body, Ehlo, Greeting, StartTls};

    fn said(raw: &str) -> Answer {
        Answer::Reply(Reply::parse(raw).expect(raw))
    }

    #[test]
    fn each_row_is_reached_by_what_it_is_meant_for() {
        let goes_on = None;
        let table: &[(u8, Stage, Answer, Option<Outcome>)] = &[
            (1, Connect, Answer::Lost, Some(DeferRelay)),
            (1, Connect, Answer::TimedOut, Some(DeferRelay)),
            (2, Connect, Answer::Tls, Some(HoldRelay)),
            (2, StartTls, Answer::Tls, Some(HoldRelay)),
            (
                3,
                Greeting,
                said("421 4.7.0 too many connections"),
                Some(DeferRelay),
            ),
            (
                3,
                StartTls,
                said("454 4.7.0 TLS not available"),
                Some(DeferRelay),
            ),
            (4, Greeting, said("554 no service"), Some(HoldRelay)),
            (4, Ehlo, said("521 takes no mail"), Some(HoldRelay)),
            (5, Rcpt, said("421 4.3.2 closing"), Some(DeferRelay)),
            (5, Dot, said("421 4.3.2 closing"), Some(DeferRelay)),
            (6, Mail, Answer::Lost, Some(DeferRelay)),
            (6, Body, Answer::Lost, Some(DeferRelay)),
            (6, Rcpt, Answer::TimedOut, Some(DeferRelay)),
            (
                7,
                Dot,
                said("432 4.3.2 Concurrent connections limit exceeded"),
                Some(Throttle),
            ),
            (8, Auth, said("454 4.7.0 later"), Some(DeferRelay)),
            (9, Auth, said("535 5.7.8 wrong"), Some(HoldRelay)),
            (9, Auth, said("432 4.7.12 change it"), Some(HoldRelay)),
            (9, Auth, said("550 5.7.30 Basic is off"), Some(HoldRelay)),
            (
                10,
                Rcpt,
                said("550 5.4.5 Daily SMTP relay limit exceeded"),
                Some(Throttle),
            ),
            (
                10,
                Dot,
                said("554 5.2.0 SubmissionQuotaExceeded"),
                Some(Throttle),
            ),
            (
                10,
                Dot,
                said("454 Throttling failure: Daily message quota exceeded"),
                Some(Throttle),
            ),
            (
                11,
                Dot,
                said("454 Throttling failure: Maximum sending rate exceeded"),
                Some(Throttle),
            ),
            (
                11,
                Rcpt,
                said("450 4.2.1 The user is over the rate limit"),
                Some(Throttle),
            ),
            (12, Dot, said("550 5.7.26 unauthenticated"), Some(HoldRelay)),
            (13, Mail, said("451 4.3.0 later"), Some(DeferRelay)),
            (15, Mail, said("552 5.3.4 too large"), Some(FailMessage)),
            (
                16,
                Mail,
                said("550 5.7.60 not as this sender"),
                Some(HoldRelay),
            ),
            (16, Mail, said("501 syntax"), Some(HoldRelay)),
            (17, Rcpt, said("250 2.1.5 ok"), goes_on),
            (17, Rcpt, said("251 will forward"), goes_on),
            (18, Rcpt, said("452 4.5.3 too many"), Some(DeferRecipient)),
            (
                18,
                Rcpt,
                said("552 Too many recipients"),
                Some(DeferRecipient),
            ),
            (
                19,
                Rcpt,
                said("451 4.3.5 configuration error"),
                Some(DeferRelay),
            ),
            (
                20,
                Rcpt,
                said("552 5.2.2 mailbox full"),
                Some(DeferRecipient),
            ),
            (
                20,
                Dot,
                said("452 4.2.2 mailbox full"),
                Some(DeferRecipient),
            ),
            (
                21,
                Rcpt,
                said("450 4.2.1 said the test"),
                Some(DeferRecipient),
            ),
            (21, Rcpt, said("451 4.7.1 Greylisted"), Some(DeferRecipient)),
            (
                22,
                Rcpt,
                said("550 5.1.1 no such user"),
                Some(FailRecipient),
            ),
            (
                22,
                Rcpt,
                said("556 5.1.10 takes no mail"),
                Some(FailRecipient),
            ),
            (23, Rcpt, said("550 5.2.1 disabled"), Some(FailRecipient)),
            (
                24,
                Rcpt,
                said("553 5.6.7 not by SMTPUTF8"),
                Some(FailRecipient),
            ),
            (
                25,
                Rcpt,
                said("550 5.7.1 not from outside"),
                Some(FailRecipient),
            ),
            (26, Rcpt, said("503 5.5.1 MAIL first"), Some(HoldRelay)),
            (27, Rcpt, said("550 no"), Some(FailRecipient)),
            (28, Data, said("354 go"), goes_on),
            (29, Data, said("451 4.3.0 later"), Some(DeferRelay)),
            (31, Dot, said("250 2.0.0 queued"), Some(Accepted)),
            (31, Dot, said("252 2.0.0 queued"), Some(Accepted)),
            (32, Dot, said("451 4.3.0 later"), Some(DeferRecipient)),
            (33, Dot, said("552 5.3.4 too large"), Some(FailMessage)),
            (33, Dot, said("554 5.6.0 malformed"), Some(FailMessage)),
            (34, Dot, said("554 5.7.1 spam"), Some(FailMessage)),
            (35, Dot, said("554 transaction failed"), Some(FailRecipient)),
            (36, Dot, Answer::TimedOut, Some(InDoubt)),
            (36, Dot, Answer::Lost, Some(InDoubt)),
            (37, Quit, Answer::Lost, goes_on),
            (37, Quit, said("421 4.3.2 closing"), goes_on),
            (0, Mail, said("250 2.1.0 ok"), goes_on),
            (38, Auth, said("451 4.3.0 later"), Some(DeferRelay)),
            (
                39,
                Data,
                said("554 5.5.1 no valid recipients"),
                Some(HoldRelay),
            ),
            (40, Greeting, Answer::Garbled, Some(DeferRelay)),
            (40, Mail, said("354 what"), Some(DeferRelay)),
            (40, Dot, Answer::Garbled, Some(InDoubt)),
            (40, Dot, said("354 what"), Some(InDoubt)),
        ];
        for (number, stage, answer, means) in table {
            let ruling = ruling(*stage, answer);
            assert_eq!(
                (ruling.row, ruling.outcome),
                (*number, *means),
                "{stage} {answer:?}"
            );
        }
        for row in TABLE {
            assert!(
                table.iter().any(|(number, ..)| *number == row.ruling.row),
                "row {} has no test",
                row.ruling.row
            );
        }
    }

    #[test]
    fn a_word_that_only_looks_like_a_rate_is_none() {
        let answer = said("450 4.2.1 held in a separate queue");
        assert_eq!(outcome(Rcpt, &answer), DeferRecipient);
    }

    #[test]
    fn causes_have_words_of_their_own() {
        for cause in Cause::ALL {
            assert_eq!(Cause::from_word(cause.word()), Some(*cause));
        }
    }

    fn any_answer() -> impl Strategy<Value = Answer> {
        prop_oneof![
            Just(Answer::Lost),
            Just(Answer::TimedOut),
            Just(Answer::Tls),
            Just(Answer::Garbled),
            (
                200_u16..600,
                prop::option::of((2_u16..6, 0_u16..40, 0_u16..40)),
                ".{0,40}"
            )
                .prop_map(|(code, enhanced, text)| Answer::Reply(Reply {
                    code,
                    enhanced,
                    text
                })),
        ]
    }

    proptest! {
        #[test]
        fn only_a_positive_reply_to_the_dot_is_acceptance_and_silence_after_it_is_doubt(
            stage in prop::sample::select(Stage::ALL), answer in any_answer(),
        ) {
            let outcome = outcome(stage, &answer);
            let positive = matches!(&answer, Answer::Reply(reply) if reply.class() == 2);
            prop_assert_eq!(outcome == Accepted, stage == Dot && positive);
            let replied = matches!(&answer, Answer::Reply(reply) if reply.class() != 3);
            prop_assert_eq!(outcome == InDoubt, stage == Dot && !replied);
        }

        #[test]
        fn nobody_is_unreachable_before_their_own_address_was_named(
            stage in prop::sample::select(Stage::ALL), answer in any_answer(),
        ) {
            if stage != Dot && stage != Rcpt {
                prop_assert_ne!(outcome(stage, &answer), FailRecipient);
                prop_assert_ne!(outcome(stage, &answer), DeferRecipient);
            }
        }
    }
}
