//! Text: what a text message costs, and what a gateway's answer to one means.

use super::delivery::{Cause, Outcome, Stage};

/// The most segments that one text of ours takes.
pub const MOST_SEGMENTS: usize = 3;

/// The characters of GSM 03.38 that take one place.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// Those that take two: an escape stands before them.
const EXTENDED: &str = "^{}\\[~]|€\u{C}";

/// How many segments a text takes: 160 places in GSM-7 or 70 in UCS-2 if it fits into one, else 153 or 67 each.
pub fn segments(text: &str) -> usize {
    let mut places = 0;
    for c in text.chars() {
        places += if BASIC.contains(c) {
            1
        } else if EXTENDED.contains(c) {
            2
        } else {
            return split(text.encode_utf16().count(), 70, 67);
        };
    }
    split(places, 160, 153)
}

const fn split(places: usize, alone: usize, each: usize) -> usize {
    if places <= alone {
        1
    } else {
        places.div_ceil(each)
    }
}

/// What came back of a request to a gateway.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answered {
    /// No connection: nothing was said.
    Unreachable,
    /// TLS did not come about.
    Tls,
    /// The request went out, and no whole answer came back.
    Silent,
    /// An answer with this status.
    Status {
        /// HTTP's code.
        code: u16,
        /// It says that this number cannot be texted.
        refuses_number: bool,
        /// It lacks what an answer to a text that was taken has.
        lacks_proof: bool,
    },
}

/// What an answer means for the text, where it came, and why.
pub const fn outcome(answered: Answered) -> (Outcome, Stage, Cause) {
    use Outcome::{Accepted, DeferRelay, FailRecipient, HoldRelay, InDoubt, Throttle};
    let (outcome, cause) = match answered {
        Answered::Unreachable => return (DeferRelay, Stage::Connect, Cause::Unreachable),
        Answered::Tls => return (HoldRelay, Stage::Connect, Cause::Tls),
        Answered::Silent => (InDoubt, Cause::Doubt),
        Answered::Status {
            refuses_number: true,
            ..
        } => (FailRecipient, Cause::BadAddress),
        Answered::Status {
            code, lacks_proof, ..
        } => match code {
            200..=299 if lacks_proof => (InDoubt, Cause::Doubt),
            200..=299 => (Accepted, Cause::Accepted),
            429 => (Throttle, Cause::Rate),
            // A proxy that waited in vain: the gateway behind it may have the text.
            504 => (InDoubt, Cause::Doubt),
            500..=599 => (DeferRelay, Cause::Busy),
            401 => (HoldRelay, Cause::SignInRefused),
            _ => (HoldRelay, Cause::RefusesUs),
        },
    };
    (outcome, Stage::Dot, cause)
}

/// What has become of a text that was taken, as the gateway tells later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// On its way.
    Underway,
    /// On the telephone.
    Arrived,
    /// It will not arrive.
    Failed,
}

impl Fate {
    /// The word that the database uses.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Underway => "underway",
            Self::Arrived => "arrived",
            Self::Failed => "failed",
        }
    }

    /// What a status of GOV.UK Notify means. A technical failure is theirs, and the text is not sent by them again.
    pub fn of_notify(status: &str) -> Option<Self> {
        match status {
            "created" | "sending" | "pending" | "sent" => Some(Self::Underway),
            "delivered" => Some(Self::Arrived),
            "permanent-failure" | "temporary-failure" | "technical-failure" => Some(Self::Failed),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_text_takes_as_many_segments_as_the_networks_say() {
        for (text, expected) in [
            (String::new(), 1),
            ("a".repeat(160), 1),
            ("a".repeat(161), 2),
            ("a".repeat(306), 2),
            ("a".repeat(307), 3),
            ("a".repeat(459), 3),
            ("a".repeat(460), 4),
            ("€".repeat(80), 1),
            ("€".repeat(81), 2),
            ("ł".repeat(70), 1),
            ("ł".repeat(71), 2),
            ("ł".repeat(201), 3),
            ("ł".repeat(202), 4),
            ("\u{2019}".to_owned() + &"a".repeat(70), 2),
            ("😀".repeat(35), 1),
            ("😀".repeat(36), 2),
        ] {
            assert_eq!(
                segments(&text),
                expected,
                "{} characters",
                text.chars().count()
            );
        }
    }

    #[test]
    fn what_a_gateway_answers_means_what_it_should() {
        use Outcome::{Accepted, DeferRelay, FailRecipient, HoldRelay, InDoubt, Throttle};
        let status = |code| Answered::Status {
            code,
            refuses_number: false,
            lacks_proof: false,
        };
        for (answered, expected) in [
            (Answered::Unreachable, DeferRelay),
            (Answered::Tls, HoldRelay),
            (Answered::Silent, InDoubt),
            (status(201), Accepted),
            (status(302), HoldRelay),
            (status(400), HoldRelay),
            (status(401), HoldRelay),
            (status(403), HoldRelay),
            (status(429), Throttle),
            (status(500), DeferRelay),
            (status(503), DeferRelay),
            (status(504), InDoubt),
            (
                Answered::Status {
                    code: 400,
                    refuses_number: true,
                    lacks_proof: false,
                },
                FailRecipient,
            ),
            (
                Answered::Status {
                    code: 200,
                    refuses_number: false,
                    lacks_proof: true,
                },
                InDoubt,
            ),
        ] {
            assert_eq!(outcome(answered).0, expected, "{answered:?}");
        }
    }

    proptest! {
        #[test]
        fn one_character_more_never_takes_fewer_segments(text in "[a-z€ł ]{0,400}", more in prop::sample::select(vec!['a', '€', 'ł'])) {
            let longer = format!("{text}{more}");
            prop_assert!(segments(&longer) >= segments(&text));
        }
    }
}
