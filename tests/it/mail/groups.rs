//! Groups (RFC 2920): one round trip a letter, and each reply taken for what it is, whatever the relay does in between.

use super::*;
use crate::support::strict::{Act, At, Manners, Point, Seen, Strict};

/// Sends all of it to a relay with these manners, and gives what came of each and what the relay saw.
async fn sent_to(manners: Manners, posts: &[Post]) -> (Vec<Sent>, Seen) {
    let strict = Strict::start(manners).await;
    let relay = Relay {
        limits: short(),
        ..relay(strict.port, Protection::Nothing)
    };
    let mut session = session(relay);
    let sent = send_all(&mut session, posts).await;
    session.close().await;
    (sent, strict.seen())
}

/// At one point of one letter.
fn acting(letter: &'static str, at: At, act: Act) -> Manners {
    Manners::default().acting(move |point: &Point<'_>| {
        (point.letter == letter && point.at == at).then(|| act.clone())
    })
}

/// The letters that the relay took are these, each once and byte for byte.
fn assert_taken(seen: &Seen, posts: &[Post], tokens: &[&str]) {
    let expected: Vec<(String, Vec<u8>)> = posts
        .iter()
        .filter(|post| tokens.contains(&post.token.as_str()))
        .map(|post| (post.token.clone(), post.bytes.clone()))
        .collect();
    assert_eq!(seen.taken(), expected);
    assert_eq!(seen.wrong, [""; 0]);
}

const GROUP: &str = "MAIL RCPT DATA";
const BODY_AND_GROUP: &str = "<body> RSET MAIL RCPT DATA";

#[tokio::test]
async fn a_letter_costs_one_round_trip() {
    let posts = posts(["a", "b", "c", "d"]);
    let (sent, seen) = sent_to(Manners::default(), &posts).await;
    assert_eq!(outcomes(&sent), [TAKEN; 4]);
    assert_taken(&seen, &posts, &["a", "b", "c", "d"]);
    assert_eq!(
        seen.turns_of_letters(),
        [
            GROUP,
            BODY_AND_GROUP,
            BODY_AND_GROUP,
            BODY_AND_GROUP,
            "<body>"
        ]
    );
    assert_eq!(seen.calls, 1);
}

#[tokio::test]
async fn without_pipelining_every_command_waits_for_its_answer() {
    let posts = posts(["a", "b", "c"]);
    let manners = Manners::offering(&["8BITMIME"]).acting(|point| {
        (point.letter == "b" && point.at == At::Rcpt).then(|| Act::say("550 5.1.1 no such user"))
    });
    let (sent, seen) = sent_to(manners, &posts).await;
    let refused = (Stage::Rcpt, Outcome::FailRecipient);
    assert_eq!(outcomes(&sent), [TAKEN, refused, TAKEN]);
    assert_taken(&seen, &posts, &["a", "c"]);
    assert_eq!(
        seen.turns_of_letters(),
        [
            "MAIL", "RCPT", "DATA", "<body>", "MAIL", "RCPT", "RSET", "MAIL", "RCPT", "DATA",
            "<body>"
        ]
    );
}

#[tokio::test]
async fn a_refusal_in_a_group_is_its_own_letters_only() {
    let refused_rcpt = (Stage::Rcpt, Outcome::FailRecipient);
    let no_user = Act::say("550 5.1.1 no such user");
    for (at, act, without_recipient, outcome, then) in [
        // DATA is refused as well: a RSET clears the sender.
        (
            At::Rcpt,
            no_user.clone(),
            "554 5.5.1 no valid recipients",
            refused_rcpt,
            "RSET MAIL RCPT DATA",
        ),
        (
            At::Rcpt,
            no_user.clone(),
            "503 5.5.1 RCPT first",
            refused_rcpt,
            "RSET MAIL RCPT DATA",
        ),
        // DATA waits for a letter that nobody takes: a lone dot.
        (
            At::Rcpt,
            no_user,
            "354 go on",
            refused_rcpt,
            "<body> MAIL RCPT DATA",
        ),
        (
            At::Mail,
            Act::say("550 5.7.60 not as this sender"),
            "503 5.5.1 RCPT first",
            (Stage::Mail, Outcome::HoldRelay),
            "RSET MAIL RCPT DATA",
        ),
        (
            At::Data,
            Act::say("451 4.3.0 later"),
            "",
            (Stage::Data, Outcome::DeferRelay),
            "RSET MAIL RCPT DATA",
        ),
    ] {
        // Named ahead, and as the first of the connection.
        for refused in ["b", "a"] {
            let what = format!("{at:?} {without_recipient} {refused}");
            let posts = posts(["a", "b", "c"]);
            let manners = Manners {
                without_recipient: without_recipient.into(),
                ..acting(refused, at, act.clone())
            };
            let (sent, seen) = sent_to(manners, &posts).await;
            let (expected, taken, turns) = if refused == "b" {
                (
                    [TAKEN, outcome, TAKEN],
                    ["a", "c"],
                    vec![GROUP, BODY_AND_GROUP, then, "<body>"],
                )
            } else {
                (
                    [outcome, TAKEN, TAKEN],
                    ["b", "c"],
                    vec![GROUP, then, BODY_AND_GROUP, "<body>"],
                )
            };
            assert_eq!(outcomes(&sent), expected, "{what}");
            assert_taken(&seen, &posts, &taken);
            assert_eq!(seen.turns_of_letters(), turns, "{what}");
            assert_eq!(seen.calls, 1, "{what}");
        }
    }
}

#[tokio::test]
async fn the_last_letters_refusal_is_cleared_before_the_goodbye() {
    let posts = posts(["a"]);
    let manners = Manners {
        without_recipient: "354 go on".into(),
        ..acting("a", At::Rcpt, Act::say("450 4.2.1 not now"))
    };
    let (sent, seen) = sent_to(manners, &posts).await;
    assert_eq!(outcomes(&sent), [(Stage::Rcpt, Outcome::DeferRecipient)]);
    assert_taken(&seen, &posts, &[]);
    assert_eq!(seen.turns_of_letters(), [GROUP, "<body>"]);
}

#[tokio::test]
async fn a_connection_that_ends_at_the_dot_is_that_letters_trouble_and_not_the_next_ones() {
    for (act, outcome) in [
        (Act::HangUp, Outcome::InDoubt),
        (Act::Reset, Outcome::InDoubt),
        (Act::Silence, Outcome::InDoubt),
        (Act::say("thank you"), Outcome::InDoubt),
        (Act::say("354 what"), Outcome::InDoubt),
        (Act::say("421 4.3.2 closing"), Outcome::DeferRelay),
    ] {
        let what = format!("{act:?}");
        let posts = posts(["a", "b", "c"]);
        let (sent, seen) = sent_to(acting("b", At::Dot, act), &posts).await;
        assert_eq!(
            outcomes(&sent),
            [TAKEN, (Stage::Dot, outcome), TAKEN],
            "{what}"
        );
        assert_taken(&seen, &posts, &["a", "c"]);
        assert_eq!(seen.calls, 2, "{what}");
    }
}

#[tokio::test]
async fn a_letter_that_was_only_named_when_the_connection_ended_goes_over_a_fresh_one() {
    for at in [At::Mail, At::Rcpt, At::Data] {
        for act in [
            Act::HangUp,
            Act::Reset,
            Act::Silence,
            Act::say("421 4.3.2 enough for today"),
        ] {
            let what = format!("{at:?} {act:?}");
            let posts = posts(["a", "b", "c"]);
            let script = act.clone();
            let manners = Manners::default().acting(move |point| {
                let here = point.letter == "b" && point.at == at && !point.is_first;
                here.then(|| script.clone())
            });
            let (sent, seen) = sent_to(manners, &posts).await;
            assert_eq!(outcomes(&sent), [TAKEN; 3], "{what}");
            assert_taken(&seen, &posts, &["a", "b", "c"]);
            assert_eq!(seen.calls, 2, "{what}");
            // Where it ends there as well, that is the relay's trouble.
            let posts = self::posts(["a", "b"]);
            let (sent, seen) = sent_to(acting("b", at, act), &posts).await;
            assert_eq!(sent[1].outcome, Outcome::DeferRelay, "{what}");
            assert!(sent[1].stage < Stage::Body, "{what}");
            assert_taken(&seen, &posts, &["a"]);
            assert_eq!(seen.calls, 2, "{what}");
        }
    }
}

#[tokio::test]
async fn a_letter_that_breaks_off_in_its_body_is_lost_and_not_in_doubt() {
    let mut large = Post::new("large", "large@parl.example");
    large.bytes = b"0123456789abcdef0123456789abcdef\r\n".repeat(1 << 19);
    let manners = Manners {
        breaks_after: Some(100_000),
        ..Manners::default()
    };
    let strict = Strict::start(manners).await;
    let mut session = session(relay(strict.port, Protection::Nothing));
    let next = Post::new("b", "b@parl.example");
    let sent = session.send(large.going(), Some(next.going())).await;
    assert_eq!(
        (sent.stage, &sent.answer, sent.outcome),
        (Stage::Body, &Answer::Lost, Outcome::DeferRelay)
    );
    // The next was to be named behind the dot, and no byte of that left.
    let sent = session.send(next.going(), None).await;
    assert_eq!(outcomes(&[sent]), [TAKEN]);
    session.close().await;
    assert_taken(&strict.seen(), &[next], &["b"]);
}

#[tokio::test]
async fn nonsense_among_the_answers_of_a_group_ends_the_connection_and_accepts_nothing() {
    let nonsense = |text: &str| Act::say(text);
    for (at, act, stage) in [
        (At::Mail, nonsense("good morning"), Stage::Mail),
        (At::Rcpt, nonsense("250"), Stage::Rcpt),
        (At::Rcpt, nonsense("250-a\r\n550 b"), Stage::Rcpt),
        (At::Data, nonsense("999 what"), Stage::Data),
        // A 354 where none belongs, and none where one does.
        (At::Mail, nonsense("354 go on"), Stage::Mail),
        (At::Rcpt, nonsense("354 go on"), Stage::Rcpt),
        (At::Data, nonsense("250 taken"), Stage::Data),
        // One answer too few: the others are taken for the wrong questions.
        (At::Mail, Act::Skip, Stage::Mail),
        (At::Rcpt, Act::Skip, Stage::Rcpt),
        (At::Data, Act::Skip, Stage::Data),
        // One too many.
        (At::Mail, nonsense("250 ok\r\n250 ok"), Stage::Data),
        (At::Rcpt, nonsense("250 ok\r\n250 ok"), Stage::Data),
        (At::Data, nonsense("354 go on\r\n250 taken"), Stage::Data),
    ] {
        let what = format!("{at:?} {act:?}");
        let posts = posts(["a", "b", "c"]);
        let (sent, seen) = sent_to(acting("b", at, act.clone()), &posts).await;
        assert_eq!(sent[0].outcome, Outcome::Accepted, "{what}");
        assert_eq!(sent[2].outcome, Outcome::Accepted, "{what}");
        assert!(
            matches!(sent[1].outcome, Outcome::DeferRelay | Outcome::HoldRelay),
            "{what} {:?}",
            sent[1]
        );
        if act != Act::Skip {
            assert_eq!(
                (sent[1].stage, &sent[1].answer),
                (stage, &Answer::Garbled),
                "{what}"
            );
        }
        assert_taken(&seen, &posts, &["a", "c"]);
    }
}

#[tokio::test]
async fn an_answer_to_a_letter_that_was_not_sent_yet_is_none() {
    // In the turn that answers the dot of "a" and names "b", an answer to the dot of "b" comes along.
    let posts = posts(["a", "b", "c"]);
    let manners = acting("b", At::Data, Act::say("354 go on\r\n250 2.0.0 taken"));
    let (sent, seen) = sent_to(manners, &posts).await;
    assert_eq!(
        (sent[1].stage, &sent[1].answer, sent[1].outcome),
        (Stage::Data, &Answer::Garbled, Outcome::DeferRelay)
    );
    assert_taken(&seen, &posts, &["a", "c"]);
}

#[tokio::test]
async fn a_relay_that_grew_tired_of_waiting_for_a_named_letter_is_called_again() {
    let posts = posts(["a", "b", "c"]);
    let manners = Manners::default().acting(|point| {
        let here = point.letter == "b" && point.at == At::Data && !point.is_first;
        here.then(|| Act::say("354 go on\r\n421 4.4.2 idle for too long"))
    });
    let (sent, seen) = sent_to(manners, &posts).await;
    assert_eq!(outcomes(&sent), [TAKEN; 3]);
    assert_taken(&seen, &posts, &["a", "b", "c"]);
    assert_eq!(seen.calls, 2);
}

#[tokio::test]
async fn what_is_promised_and_not_sent_harms_nothing() {
    let [a, b, c] = posts(["a", "b", "c"]);
    let strict = Strict::start(Manners::default()).await;
    let mut session = session(relay(strict.port, Protection::Nothing));
    // Promised "b", sent "c", then "b" without a promise, and "a" promised for ever.
    assert!(!session.takes_groups());
    for (letter, next) in [(&a, Some(&b)), (&c, None), (&b, Some(&a))] {
        let sent = session.send(letter.going(), next.map(Post::going)).await;
        assert_eq!(sent.outcome, Outcome::Accepted);
        assert!(session.takes_groups());
    }
    session.close().await;
    let seen = strict.seen();
    assert_taken(&seen, &[a, c, b], &["a", "b", "c"]);
    assert_eq!(seen.calls, 2);
}

#[tokio::test]
async fn the_last_letter_of_a_connection_names_no_other() {
    let posts = posts(["a", "b", "c", "d", "e"]);
    let strict = Strict::start(Manners::default()).await;
    let relay = Relay {
        messages_per_connection: 2,
        ..relay(strict.port, Protection::Nothing)
    };
    let mut session = session(relay);
    let sent = send_all(&mut session, &posts).await;
    session.close().await;
    assert_eq!(outcomes(&sent), [TAKEN; 5]);
    let seen = strict.seen();
    assert_taken(&seen, &posts, &["a", "b", "c", "d", "e"]);
    assert_eq!(
        seen.turns_of_letters(),
        [
            GROUP,
            BODY_AND_GROUP,
            "<body>",
            GROUP,
            BODY_AND_GROUP,
            "<body>",
            GROUP,
            "<body>"
        ]
    );
    let quits = seen.turns.iter().filter(|turn| *turn == &["QUIT"]).count();
    assert_eq!((seen.calls, quits), (3, 3));
}

#[tokio::test]
async fn what_a_relay_offers_is_asked_for() {
    let posts = [
        Post::new("42", "ada+home@parl.example"),
        Post::new("43", "jürgen@bücher.example"),
    ];
    let manners = Manners::offering(&["PIPELINING", "SIZE 100000", "DSN", "SMTPUTF8", "8BITMIME"]);
    let (sent, seen) = sent_to(manners, &posts).await;
    assert_eq!(outcomes(&sent), [TAKEN; 2]);
    assert_taken(&seen, &posts, &["42", "43"]);
    let size = posts[0].bytes.len();
    let said: Vec<&String> = seen.turns.iter().flatten().collect();
    for line in [
        format!("MAIL FROM:<bounces+42@parl.example> SIZE={size} RET=HDRS ENVID=42"),
        "RCPT TO:<ada+home@parl.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;ada+2Bhome@parl.example"
            .to_owned(),
        format!("MAIL FROM:<bounces+43@parl.example> SMTPUTF8 SIZE={size} RET=HDRS ENVID=43"),
        "RCPT TO:<jürgen@xn--bcher-kva.example> NOTIFY=FAILURE,DELAY ORCPT=utf-8;j\\x{FC}rgen@xn--bcher-kva.example"
            .to_owned(),
    ] {
        assert!(said.contains(&&line), "{line}\n{said:?}");
    }
}

#[tokio::test]
async fn parameters_that_a_relay_offers_and_does_not_take_are_left_out_from_then_on() {
    for (refused_at, reply) in [
        (At::Mail, "555 5.5.4 unsupported option: RET"),
        (At::Mail, "501 5.5.4 syntax"),
        (At::Mail, "504 5.5.4 no"),
        (At::Rcpt, "555 5.5.4 unsupported option: NOTIFY"),
        (At::Rcpt, "501 5.5.4 syntax"),
    ] {
        for keywords in [&["PIPELINING", "DSN"][..], &["DSN"]] {
            let what = format!("{reply} {keywords:?}");
            let posts = posts(["a", "b", "c"]);
            let tries = std::sync::atomic::AtomicUsize::new(0);
            let manners = Manners::offering(keywords).acting(move |point| {
                let once = point.at == refused_at
                    && tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
                once.then(|| Act::say(reply))
            });
            let (sent, seen) = sent_to(manners, &posts).await;
            assert_eq!(outcomes(&sent), [TAKEN; 3], "{what}");
            assert_taken(&seen, &posts, &["a", "b", "c"]);
            assert_eq!(seen.calls, 1, "{what}");
            let mails: Vec<bool> = seen
                .turns
                .iter()
                .flatten()
                .filter(|said| said.starts_with("MAIL"))
                .map(|said| said.contains("RET="))
                .collect();
            assert_eq!(mails, [true, false, false, false], "{what}");
        }
    }
}

#[tokio::test]
async fn a_refusal_that_stays_without_the_parameters_stands_and_they_are_said_again() {
    let posts = posts(["a", "b"]);
    let manners = Manners::offering(&["PIPELINING", "DSN"]).acting(|point| {
        (point.letter == "a" && point.at == At::Rcpt).then(|| Act::say("501 5.1.3 bad address"))
    });
    let (sent, seen) = sent_to(manners, &posts).await;
    assert_eq!(outcomes(&sent), [(Stage::Rcpt, Outcome::HoldRelay), TAKEN]);
    assert_taken(&seen, &posts, &["b"]);
    let rcpts: Vec<bool> = seen
        .turns
        .iter()
        .flatten()
        .filter(|said| said.starts_with("RCPT"))
        .map(|said| said.contains("NOTIFY="))
        .collect();
    assert_eq!(rcpts, [true, false, true]);
}

#[tokio::test]
async fn a_letter_larger_than_the_relay_takes_stays_here() {
    let mut posts = posts(["a", "large", "c"]);
    posts[1].bytes = b"Subject: x\r\n\r\n0123456789\r\n".repeat(100);
    let manners = Manners::offering(&["PIPELINING", "SIZE 1000"]);
    let (sent, seen) = sent_to(manners, &posts).await;
    assert_eq!(
        outcomes(&sent),
        [TAKEN, (Stage::Mail, Outcome::FailMessage), TAKEN]
    );
    assert_eq!(sent[1].cause, Cause::TooLarge);
    assert_eq!(codes(&sent[1]), "552 5.3.4");
    assert_taken(&seen, &posts, &["a", "c"]);
    let said = seen.turns.iter().flatten();
    assert!(
        !said.clone().any(|said| said.contains("large@")),
        "{seen:?}"
    );
}
