//! Relays that are away, refuse, fall silent or talk nonsense, spoken to one command at a time.

use super::*;
use crate::support::relay::{Sink, Turn, nobody, scripted, scripted_calls};

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
                .send(letter(FROM, &to("ada@parl.example")), None)
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
