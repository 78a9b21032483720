//! Opening: what the answers to MAIL, RCPT and DATA mean together, whether they came one by one or as a group.

use super::{Answer, RelayTexts, Stage, ruling};

/// What came of a transaction before its body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Opening {
    /// Sender and recipient were taken and DATA got its 354: the body is waited for.
    Open,
    /// The first answer that does not let the transaction go on decides it; later ones change nothing (row 30).
    Refused {
        /// Whose answer it is.
        stage: Stage,
        /// What it is; a positive reply that has no place there is [`Answer::Garbled`].
        answer: Answer,
        /// What has to be said before the next MAIL.
        then: Then,
    },
}

/// How a transaction that was refused is got out of the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Then {
    /// RSET: a sender may still be named.
    Reset,
    /// A lone dot, which is expected to fail: DATA got its 354 though there is no recipient (RFC 2920 section 3.1).
    LoneDot,
    /// Hanging up: the relay is closing, or what it says cannot be relied on.
    HangUp,
}

/// What the answers mean; `rcpt` and `data` are none where they were not asked.
pub fn opening(
    mail: &Answer,
    rcpt: Option<&Answer>,
    data: Option<&Answer>,
    texts: &RelayTexts,
) -> Opening {
    let asked = [
        Some((Stage::Mail, mail)),
        rcpt.map(|answer| (Stage::Rcpt, answer)),
        data.map(|answer| (Stage::Data, answer)),
    ];
    let asked = asked.into_iter().flatten();
    let heard: Vec<(Stage, Heard)> = asked
        .clone()
        .map(|(stage, answer)| (stage, Heard::new(stage, answer, texts)))
        .collect();
    let first = asked
        .zip(&heard)
        .find(|(_, (_, heard))| *heard != Heard::GoesOn);
    let Some(((stage, answer), (_, heard_first))) = first else {
        return Opening::Open;
    };
    let of = |wanted: Stage| {
        let found = heard.iter().find(|(stage, _)| *stage == wanted);
        found.map(|(_, heard)| *heard)
    };
    let then = match (of(Stage::Rcpt), of(Stage::Data)) {
        _ if heard.iter().any(|(_, heard)| *heard == Heard::Nonsense) => Then::HangUp,
        // With a recipient that was taken a lone dot would be a message without content.
        (Some(Heard::Refused), Some(Heard::GoesOn)) => Then::LoneDot,
        (_, Some(Heard::GoesOn)) => Then::HangUp,
        (_, _) => Then::Reset,
    };
    let answer = match (answer, heard_first) {
        (Answer::Reply(reply), Heard::Nonsense) if reply.code != 421 => Answer::Garbled,
        (answer, _) => answer.clone(),
    };
    Opening::Refused {
        stage,
        answer,
        then,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    GoesOn,
    Refused,
    /// Nothing more can be said over this connection.
    Nonsense,
}

impl Heard {
    fn new(stage: Stage, answer: &Answer, texts: &RelayTexts) -> Self {
        let Answer::Reply(reply) = answer else {
            return Self::Nonsense;
        };
        let ruling = ruling(stage, answer, texts);
        match ruling.outcome {
            None => Self::GoesOn,
            Some(_) if reply.code == 421 || reply.class() < 4 => Self::Nonsense,
            Some(_) => Self::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::delivery::Reply;

    fn said(raw: &str) -> Answer {
        match raw {
            "lost" => Answer::Lost,
            "garbled" => Answer::Garbled,
            raw => Answer::Reply(Reply::parse(raw).expect(raw)),
        }
    }

    #[test]
    fn the_first_refusal_decides_and_the_rest_says_how_to_go_on() {
        use Stage::{Data, Mail, Rcpt};
        for (answers, expected) in [
            (["250 a", "250 b", "354 c"], None),
            (["250 a", "251 b", "354 c"], None),
            (["550 a", "503 b", "503 c"], Some((Mail, Then::Reset))),
            (["550 a", "503 b", "354 c"], Some((Mail, Then::LoneDot))),
            (["550 a", "250 b", "354 c"], Some((Mail, Then::HangUp))),
            (["250 a", "450 b", "354 c"], Some((Rcpt, Then::LoneDot))),
            (["250 a", "450 b", "554 c"], Some((Rcpt, Then::Reset))),
            (["250 a", "450 b", "421 c"], Some((Rcpt, Then::HangUp))),
            (["250 a", "450 b", "250 c"], Some((Rcpt, Then::HangUp))),
            (["250 a", "450 b", "lost"], Some((Rcpt, Then::HangUp))),
            (["250 a", "354 b", "354 c"], Some((Rcpt, Then::HangUp))),
            (["421 a", "lost", "lost"], Some((Mail, Then::HangUp))),
            (["250 a", "250 b", "451 c"], Some((Data, Then::Reset))),
            (["250 a", "250 b", "250 c"], Some((Data, Then::HangUp))),
            (["garbled", "lost", "lost"], Some((Mail, Then::HangUp))),
        ] {
            let [mail, rcpt, data] = answers.map(said);
            let got = match opening(&mail, Some(&rcpt), Some(&data), &RelayTexts::default()) {
                Opening::Open => None,
                Opening::Refused { stage, then, .. } => Some((stage, then)),
            };
            assert_eq!(got, expected, "{answers:?}");
        }
    }

    #[test]
    fn one_by_one_nothing_is_asked_after_a_refusal_and_a_reset_clears_it() {
        let texts = RelayTexts::default();
        let refused = said("550 5.7.60 no");
        let Opening::Refused { stage, then, .. } = opening(&refused, None, None, &texts) else {
            panic!("open")
        };
        assert_eq!((stage, then), (Stage::Mail, Then::Reset));
    }

    fn any_answer() -> impl Strategy<Value = Answer> {
        prop_oneof![
            Just(Answer::Lost),
            Just(Answer::TimedOut),
            Just(Answer::Garbled),
            (200_u16..600).prop_map(|code| Answer::Reply(Reply::new(code, "x"))),
        ]
    }

    proptest! {
        #[test]
        fn a_body_is_waited_for_only_when_all_three_said_so_and_a_lone_dot_never_makes_a_letter(
            mail in any_answer(), rcpt in any_answer(), data in any_answer(),
        ) {
            let class = |answer: &Answer| match answer {
                Answer::Reply(reply) => reply.code / 100,
                _ => 0,
            };
            let go = matches!(&data, Answer::Reply(reply) if reply.code == 354);
            let all = class(&mail) == 2 && class(&rcpt) == 2 && go;
            match opening(&mail, Some(&rcpt), Some(&data), &RelayTexts::default()) {
                Opening::Open => prop_assert!(all),
                Opening::Refused { then: Then::LoneDot, .. } => {
                    prop_assert!(go && class(&rcpt) >= 4);
                }
                Opening::Refused { then: Then::Reset, .. } => prop_assert!(!all && !go),
                Opening::Refused { then: Then::HangUp, .. } => prop_assert!(!all),
            }
        }
    }
}
