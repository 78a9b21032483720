//! Every row of the table by what it is meant for, and the laws that no table may break.

use proptest::prelude::*;

use super::*;
use crate::domain::delivery::{Opening, Then, opening};
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
    let texts = RelayTexts::default();
    for (number, stage, answer, means) in table {
        let ruling = ruling(*stage, answer, &texts);
        assert_eq!(
            (ruling.row, ruling.outcome),
            (*number, *means),
            "{stage} {answer:?}"
        );
    }
    for number in 0..=40 {
        // They say how the conversation goes on: see below.
        let decided_elsewhere = matches!(number, 14 | 30);
        let is_tested = table.iter().any(|(tested, ..)| *tested == number);
        let is_there = TABLE.iter().any(|row| row.ruling.row == number);
        assert_eq!(
            (is_there, is_tested),
            (!decided_elsewhere, !decided_elsewhere),
            "row {number}"
        );
    }
}

#[test]
fn row_14_a_refusal_of_parameters_is_worth_a_second_try_and_no_other_is() {
    for (stage, raw, expected) in [
        (Mail, "555 5.5.4 unsupported option: RET=HDRS", true),
        (Mail, "501 5.5.4 syntax", true),
        (Mail, "504 5.5.4 not implemented", true),
        (Rcpt, "555 5.5.4 unsupported option: NOTIFY", true),
        (Rcpt, "501 5.5.4 bad NOTIFY parameter", true),
        (Mail, "550 5.7.60 not as this sender", false),
        (Mail, "451 4.3.0 later", false),
        (Rcpt, "550 5.1.1 no such user", false),
        (Rcpt, "553 5.5.4 no", false),
        (Data, "501 5.5.4 no", false),
        (Dot, "555 5.5.4 no", false),
    ] {
        assert_eq!(
            is_about_parameters(stage, &said(raw)),
            expected,
            "{stage} {raw}"
        );
    }
    assert!(!is_about_parameters(Mail, &Answer::Lost));
}

#[test]
fn row_30_what_data_answers_after_a_refused_recipient_changes_nothing() {
    let texts = RelayTexts::default();
    let (mail, rcpt) = (said("250 2.1.0 ok"), said("550 5.1.1 no such user"));
    for (data, then) in [
        ("554 5.5.1 no valid recipients", Then::Reset),
        ("503 5.5.1 RCPT first", Then::Reset),
        ("354 go", Then::LoneDot),
    ] {
        let opening = opening(&mail, Some(&rcpt), Some(&said(data)), &texts);
        let Opening::Refused {
            stage,
            answer,
            then: next,
        } = opening
        else {
            panic!("{data}: {opening:?}")
        };
        assert_eq!((stage, next), (Rcpt, then), "{data}");
        assert_eq!(outcome(stage, &answer, &texts), FailRecipient, "{data}");
    }
}

#[test]
fn a_site_s_own_texts_mean_what_their_list_says_beside_the_built_in_ones() {
    let mut texts = RelayTexts::default();
    let answer = said("554 5.3.0 Your outbound allowance is spent");
    assert_eq!(outcome(Dot, &answer, &texts), FailRecipient);
    texts.quota.push("outbound allowance is spent".into());
    assert_eq!(outcome(Dot, &answer, &texts), Throttle);
    let built_in = said("554 5.2.0 SubmissionQuotaExceeded");
    assert_eq!(outcome(Dot, &built_in, &texts), Throttle);
}

#[test]
fn a_word_that_only_looks_like_a_rate_is_none() {
    let answer = said("450 4.2.1 held in a separate queue");
    assert_eq!(
        outcome(Rcpt, &answer, &RelayTexts::default()),
        DeferRecipient
    );
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
        let outcome = outcome(stage, &answer, &RelayTexts::default());
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
            let outcome = outcome(stage, &answer, &RelayTexts::default());
            prop_assert_ne!(outcome, FailRecipient);
            prop_assert_ne!(outcome, DeferRecipient);
        }
    }
}
