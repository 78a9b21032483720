//! Mail, spoken to a real Postfix and to relays that misbehave.

use std::time::{Duration, Instant};

use division_bell::channels::{Limits, Login, Outlet, Protection, Relay, Sent, Smtp};
use division_bell::domain::EmailAddress;
use division_bell::domain::delivery::{Answer, Cause, Outcome, Reply, Stage};

use crate::support::postfix::{PASSWORD, Postfix, USER};
use crate::support::relay::{Sink, Turn, nobody, scripted, scripted_calls};

const FROM: &str = "bounces+42@parl.example";

/// Dots where they hurt, an empty line at the end, and a line that looks like the end of a mail.
const LETTER: &str = "From: The Office <office@parl.example>\r\nTo: <ada@parl.example>\r\nSubject: a test\r\n\
    Date: Tue, 10 Feb 2026 02:15:00 +0000\r\nMessage-ID: <d42@bell.parl.example>\r\nMIME-Version: 1.0\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\r\n.\r\n..\r\n.one\r\ntwo.\r\n.\r\nMAIL FROM:<>\r\n\r\n";

fn to(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

fn relay(port: u16, tls: Protection) -> Relay {
    Relay::new("localhost", port, tls, "bell.parl.example")
}

fn signed_in(postfix: &Postfix, port: u16, tls: Protection) -> Relay {
    Relay {
        login: Some(Login {
            user: USER.into(),
            password: PASSWORD.to_owned().into(),
        }),
        ca_file: Some(postfix.ca_file()),
        ..relay(port, tls)
    }
}

/// Each limit as short as a test can wait.
fn short() -> Limits {
    let limit = Duration::from_millis(600);
    Limits {
        connect: limit,
        greeting: limit,
        ehlo: limit,
        start_tls: limit,
        auth: limit,
        mail: limit,
        rcpt: limit,
        data: limit,
        body: limit,
        dot: limit,
        quit: limit,
    }
}

async fn sent(relay: Relay, recipient: &str) -> Sent {
    let mut session = Outlet::Smtp(Smtp::new(relay).unwrap()).open();
    let sent = session.send(FROM, &to(recipient), LETTER.as_bytes()).await;
    session.close().await;
    sent
}

/// The codes of the reply.
fn codes(sent: &Sent) -> String {
    match &sent.answer {
        Answer::Reply(Reply {
            code,
            enhanced: Some((a, b, c)),
            ..
        }) => format!("{code} {a}.{b}.{c}"),
        Answer::Reply(Reply {
            code,
            enhanced: None,
            ..
        }) => code.to_string(),
        Answer::Lost | Answer::TimedOut | Answer::Tls | Answer::Garbled => String::new(),
    }
}

#[tokio::test]
async fn a_letter_sent_twice_by_starttls_and_sign_in_arrives_twice_byte_for_byte() {
    let postfix = Postfix::start();
    let outlet = Outlet::Smtp(
        Smtp::new(signed_in(
            &postfix,
            postfix.submission,
            Protection::StartTls,
        ))
        .unwrap(),
    );
    outlet.check().await.unwrap();
    // In a task of its own, as a worker sends.
    let worker = tokio::spawn(async move {
        let mut session = outlet.open();
        for _ in 0..2 {
            let sent = session
                .send(FROM, &to("ada@parl.example"), LETTER.as_bytes())
                .await;
            assert_eq!(
                (sent.stage, sent.outcome),
                (Stage::Dot, Outcome::Accepted),
                "{sent:?}"
            );
        }
        session.close().await;
    });
    worker.await.unwrap();
    for letter in postfix.letters("other", 2).await {
        let head = String::from_utf8_lossy(&letter);
        assert!(letter.ends_with(LETTER.as_bytes()), "{head}");
        assert!(
            head.starts_with("Return-Path: <bounces+42@parl.example>"),
            "{head}"
        );
        // TLS and a sign-in.
        assert!(head.contains("ESMTPSA"), "{head}");
    }
}

#[tokio::test]
async fn tls_from_the_first_byte_delivers_as_well() {
    let postfix = Postfix::start();
    let sent = sent(
        signed_in(&postfix, postfix.smtps, Protection::Implicit),
        "ada@parl.example",
    )
    .await;
    assert_eq!(sent.outcome, Outcome::Accepted, "{sent:?}");
    let letters = postfix.letters("other", 1).await;
    assert!(letters[0].ends_with(LETTER.as_bytes()));
}

#[tokio::test]
async fn without_the_right_password_or_certificate_the_relay_is_held_and_no_letter_leaves() {
    let postfix = Postfix::start();
    let ada = "ada@parl.example";
    for (port, tls) in [
        (postfix.submission, Protection::StartTls),
        (postfix.smtps, Protection::Implicit),
    ] {
        let good = signed_in(&postfix, port, tls);
        let wrong_password = Relay {
            login: Some(Login {
                user: USER.into(),
                password: "sentinel-4711".to_owned().into(),
            }),
            ..good.clone()
        };
        let refused = sent(wrong_password, ada).await;
        assert_eq!(
            (refused.stage, refused.outcome),
            (Stage::Auth, Outcome::HoldRelay),
            "{refused:?}"
        );
        assert_eq!(codes(&refused), "535 5.7.8");
        assert!(!format!("{refused:?}").contains("sentinel"));

        let handshake = if tls == Protection::StartTls {
            Stage::StartTls
        } else {
            Stage::Connect
        };
        let wrong_ca = Relay {
            ca_file: Some(postfix.other_ca_file()),
            ..good.clone()
        };
        // The certificate does not name the address.
        let wrong_name = Relay {
            host: "127.0.0.1".into(),
            ..good.clone()
        };
        for relay in [wrong_ca, wrong_name] {
            let refused = sent(relay, ada).await;
            assert_eq!(
                (refused.stage, &refused.answer, refused.outcome),
                (handshake, &Answer::Tls, Outcome::HoldRelay)
            );
        }
    }
    let no_tls = sent(
        signed_in(&postfix, postfix.plain, Protection::StartTls),
        ada,
    )
    .await;
    assert_eq!(
        (no_tls.stage, no_tls.answer, no_tls.outcome),
        (Stage::StartTls, Answer::Tls, Outcome::HoldRelay)
    );
    // Signing in is not offered in clear text.
    let no_auth = sent(signed_in(&postfix, postfix.plain, Protection::Nothing), ada).await;
    assert_eq!(
        (no_auth.stage, no_auth.outcome),
        (Stage::Auth, Outcome::HoldRelay)
    );
    assert!(crate::support::files(&postfix.maildir("other").join("new")).is_empty());
}

#[tokio::test]
async fn a_refused_recipient_is_told_apart_and_does_not_spoil_the_connection() {
    let postfix = Postfix::start();
    let mut session =
        Outlet::Smtp(Smtp::new(relay(postfix.plain, Protection::Nothing)).unwrap()).open();
    for (recipient, reply, outcome, cause) in [
        (
            "r450-4.2.1-anna@parl.example",
            "450 4.2.1",
            Outcome::DeferRecipient,
            Cause::NotNow,
        ),
        (
            "r550-5.1.1-bob@parl.example",
            "550 5.1.1",
            Outcome::FailRecipient,
            Cause::BadAddress,
        ),
        (
            "r550-5.7.1-eve@parl.example",
            "550 5.7.1",
            Outcome::FailRecipient,
            Cause::Policy,
        ),
        (
            "unknown-carl@parl.example",
            "550 5.1.1",
            Outcome::FailRecipient,
            Cause::BadAddress,
        ),
    ] {
        let sent = session.send(FROM, &to(recipient), LETTER.as_bytes()).await;
        assert_eq!(
            (sent.stage, sent.outcome, sent.cause),
            (Stage::Rcpt, outcome, cause),
            "{sent:?}"
        );
        assert_eq!(codes(&sent), reply);
        assert!(!format!("{sent:?}").contains("parl.example"), "{sent:?}");
    }
    let sent = session
        .send(FROM, &to("ada@parl.example"), LETTER.as_bytes())
        .await;
    assert_eq!(sent.outcome, Outcome::Accepted);
    session.close().await;
    postfix.letters("other", 1).await;
    assert_eq!(
        postfix.log().matches(": connect from").count(),
        2,
        "one probe, one session"
    );
}

#[tokio::test]
async fn a_worn_out_connection_is_replaced() {
    let postfix = Postfix::start();
    let relay = Relay {
        messages_per_connection: 2,
        ..relay(postfix.plain, Protection::Nothing)
    };
    let mut session = Outlet::Smtp(Smtp::new(relay).unwrap()).open();
    for _ in 0..5 {
        let sent = session
            .send(FROM, &to("ada@parl.example"), LETTER.as_bytes())
            .await;
        assert_eq!(sent.outcome, Outcome::Accepted);
    }
    session.close().await;
    postfix.letters("other", 5).await;
    assert_eq!(
        postfix.log().matches(": connect from").count(),
        1 + 3,
        "one probe, three connections"
    );
}

#[tokio::test]
async fn a_relay_that_closed_a_used_connection_is_called_again_once() {
    // The letter's lines and its dot, without the last line, which the answer follows.
    let lines = LETTER.matches('\n').count();
    let one_letter = || {
        [
            "220 x\r\n",
            "250 x\r\n",
            "250 x\r\n",
            "250 ok\r\n",
            "250 ok\r\n",
            "354 go\r\n",
        ]
        .map(Turn::Say)
        .into_iter()
        .chain([Turn::Hear(lines), Turn::Say("250 queued\r\n")])
    };
    for goodbye in [Turn::HangUp, Turn::Say("421 4.4.2 idle for too long\r\n")] {
        let closes = one_letter().chain([goodbye]).collect();
        let port = scripted_calls(vec![closes, one_letter().collect(), vec![Turn::HangUp]]).await;
        let mut session = Outlet::Smtp(Smtp::new(relay(port, Protection::Nothing)).unwrap()).open();
        for _ in 0..2 {
            let sent = session
                .send(FROM, &to("ada@parl.example"), LETTER.as_bytes())
                .await;
            assert_eq!(sent.outcome, Outcome::Accepted, "{sent:?}");
        }
    }
    // Where it hangs up on a new connection as well, that is the relay's trouble.
    let hangs_up = || {
        ["220 x\r\n", "250 x\r\n", "250 x\r\n"]
            .map(Turn::Say)
            .into_iter()
            .chain([Turn::HangUp])
            .collect()
    };
    let port = scripted_calls(vec![hangs_up(), hangs_up()]).await;
    let sent = sent(relay(port, Protection::Nothing), "ada@parl.example").await;
    assert_eq!(
        (sent.stage, sent.outcome),
        (Stage::Mail, Outcome::DeferRelay)
    );
}

#[tokio::test]
async fn when_the_last_answer_is_late_the_letter_is_in_doubt_and_arrives_all_the_same() {
    let postfix = Postfix::start();
    let relay = Relay {
        limits: Limits {
            dot: Duration::from_millis(500),
            ..Limits::default()
        },
        ..relay(postfix.late, Protection::Nothing)
    };
    let sent = sent(relay, "ada@parl.example").await;
    assert_eq!(
        (sent.stage, sent.answer, sent.outcome),
        (Stage::Dot, Answer::TimedOut, Outcome::InDoubt)
    );
    let letters = postfix.letters("other", 1).await;
    assert!(letters[0].ends_with(LETTER.as_bytes()));
}

#[tokio::test]
async fn a_relay_that_hangs_up_leaves_a_doubt_only_after_the_dot() {
    for (option, stage, outcome) in [
        (".", Stage::Dot, Outcome::InDoubt),
        ("DATA", Stage::Data, Outcome::DeferRelay),
        ("RCPT", Stage::Rcpt, Outcome::DeferRelay),
        ("MAIL", Stage::Mail, Outcome::DeferRelay),
        ("CONNECT", Stage::Greeting, Outcome::DeferRelay),
    ] {
        let sink = Sink::start(&["-q", option]);
        let sent = sent(relay(sink.port, Protection::Nothing), "ada@parl.example").await;
        assert_eq!(
            (sent.stage, sent.answer, sent.outcome),
            (stage, Answer::Lost, outcome),
            "{option}"
        );
    }
}

#[tokio::test]
async fn a_refusal_at_each_stage_means_what_the_table_says() {
    for (options, stage, outcome) in [
        (
            ["-f", "CONNECT", "-B", "554 no service"],
            Stage::Greeting,
            Outcome::HoldRelay,
        ),
        (
            ["-r", "EHLO", "-b", "421 4.3.2 closing"],
            Stage::Ehlo,
            Outcome::DeferRelay,
        ),
        (
            ["-r", "MAIL", "-b", "451 4.3.0 later"],
            Stage::Mail,
            Outcome::DeferRelay,
        ),
        (
            ["-f", "MAIL", "-B", "550 5.7.60 not you"],
            Stage::Mail,
            Outcome::HoldRelay,
        ),
        (
            ["-Q", "RCPT", "-M", "1000"],
            Stage::Rcpt,
            Outcome::DeferRelay,
        ),
        (
            ["-f", "DATA", "-B", "554 5.5.1 no"],
            Stage::Data,
            Outcome::HoldRelay,
        ),
        (
            ["-r", ".", "-b", "451 4.3.0 later"],
            Stage::Dot,
            Outcome::DeferRecipient,
        ),
        (
            ["-f", ".", "-B", "554 5.7.1 spam"],
            Stage::Dot,
            Outcome::FailMessage,
        ),
    ] {
        let sink = Sink::start(&options);
        let sent = sent(relay(sink.port, Protection::Nothing), "ada@parl.example").await;
        assert_eq!(
            (sent.stage, sent.outcome),
            (stage, outcome),
            "{options:?} {sent:?}"
        );
        assert!(
            matches!(sent.answer, Answer::Reply(_)),
            "{options:?} {sent:?}"
        );
    }
}

#[tokio::test]
async fn a_relay_that_is_not_there_or_falls_silent_is_given_up_at_the_stages_limit() {
    let sent_to = |port| {
        let relay = Relay {
            limits: short(),
            ..relay(port, Protection::Nothing)
        };
        sent(relay, "ada@parl.example")
    };
    let absent = sent_to(nobody()).await;
    assert_eq!(
        (absent.stage, absent.answer, absent.outcome),
        (Stage::Connect, Answer::Lost, Outcome::DeferRelay)
    );

    let turns = |silent_at: usize| -> Vec<Turn> {
        // The greeting, EHLO twice (once for lettre, once for us), MAIL, RCPT, DATA.
        let mut turns: Vec<Turn> = [
            "220 x\r\n",
            "250 x\r\n",
            "250 x\r\n",
            "250 ok\r\n",
            "250 ok\r\n",
            "354 go\r\n",
        ]
        .into_iter()
        .take(silent_at)
        .map(Turn::Say)
        .collect();
        turns.push(Turn::Wait);
        turns
    };
    for (silent_at, stage, outcome) in [
        (0, Stage::Greeting, Outcome::DeferRelay),
        (1, Stage::Ehlo, Outcome::DeferRelay),
        (2, Stage::Ehlo, Outcome::DeferRelay),
        (3, Stage::Mail, Outcome::DeferRelay),
        (4, Stage::Rcpt, Outcome::DeferRelay),
        (5, Stage::Data, Outcome::DeferRelay),
        (6, Stage::Dot, Outcome::InDoubt),
    ] {
        let began = Instant::now();
        let silent = sent_to(scripted(turns(silent_at)).await).await;
        assert_eq!(
            (silent.stage, silent.answer, silent.outcome),
            (stage, Answer::TimedOut, outcome),
            "{silent_at}"
        );
        assert!(began.elapsed() < Duration::from_secs(5), "{silent_at}");
    }
}

#[tokio::test]
async fn what_is_no_smtp_is_nobodys_fault_and_harms_nothing() {
    let ehlo = "250 x\r\n";
    let cases: Vec<(&str, Vec<Turn>, Stage, Outcome)> = vec![
        (
            "garbage",
            vec![Turn::Say("SSH-2.0-OpenSSH\r\n")],
            Stage::Greeting,
            Outcome::DeferRelay,
        ),
        (
            "not UTF-8",
            vec![Turn::Bytes(b"220 \xff\xfe\r\n")],
            Stage::Greeting,
            Outcome::DeferRelay,
        ),
        (
            "a blank keyword",
            vec![
                Turn::Say("220 x\r\n"),
                Turn::Say("250-x\r\n250- \r\n250 y\r\n"),
            ],
            Stage::Ehlo,
            Outcome::DeferRelay,
        ),
        (
            "two codes",
            vec![
                Turn::Say("220 x\r\n"),
                Turn::Say("250-x\r\n550 y\r\n"),
                // lettre says QUIT, and waits for the answer, before it tells.
                Turn::Say("221 x\r\n"),
            ],
            Stage::Ehlo,
            Outcome::DeferRelay,
        ),
        // An answer that came before its question, which would be taken for the answer to the letter.
        (
            "answers in advance",
            vec![
                Turn::Say("220 x\r\n"),
                Turn::Say(ehlo),
                Turn::Say(ehlo),
                Turn::Say("250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n"),
            ],
            Stage::Rcpt,
            Outcome::DeferRelay,
        ),
        (
            "354 for RCPT",
            vec![
                Turn::Say("220 x\r\n"),
                Turn::Say(ehlo),
                Turn::Say(ehlo),
                Turn::Say("250 ok\r\n"),
                Turn::Say("354 go\r\n"),
            ],
            Stage::Rcpt,
            Outcome::DeferRelay,
        ),
        (
            "garbage after the dot",
            vec![
                Turn::Say("220 x\r\n"),
                Turn::Say(ehlo),
                Turn::Say(ehlo),
                Turn::Say("250 ok\r\n"),
                Turn::Say("250 ok\r\n"),
                Turn::Say("354 go\r\n"),
                Turn::Say("thank you\r\n"),
            ],
            Stage::Dot,
            Outcome::InDoubt,
        ),
    ];
    for (what, turns, stage, outcome) in cases {
        let relay = Relay {
            limits: short(),
            ..relay(scripted(turns).await, Protection::Nothing)
        };
        let sent = sent(relay, "ada@parl.example").await;
        assert_eq!(
            (sent.stage, &sent.answer, sent.outcome),
            (stage, &Answer::Garbled, outcome),
            "{what}"
        );
    }
}

#[tokio::test]
async fn lines_slipped_in_before_the_handshake_break_it() {
    let port = scripted(vec![
        Turn::Say("220 x\r\n"),
        Turn::Say("250-x\r\n250 STARTTLS\r\n"),
        Turn::Say("220 go\r\n250-evil\r\n250 AUTH PLAIN\r\n"),
    ])
    .await;
    let relay = Relay {
        limits: short(),
        ..relay(port, Protection::StartTls)
    };
    let sent = sent(relay, "ada@parl.example").await;
    assert_eq!(
        (sent.stage, sent.answer, sent.outcome),
        (Stage::StartTls, Answer::Tls, Outcome::HoldRelay)
    );
}

#[tokio::test]
async fn clear_text_never_leaves_this_machine() {
    // TEST-NET-1 (RFC 5737): refused before anybody is called.
    let relay = Relay {
        host: "192.0.2.1".into(),
        limits: short(),
        ..relay(25, Protection::Nothing)
    };
    let sent = sent(relay, "ada@parl.example").await;
    assert_eq!(
        (sent.stage, sent.outcome),
        (Stage::Connect, Outcome::HoldRelay)
    );
}
