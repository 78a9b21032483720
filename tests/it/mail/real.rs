//! Mail through a real Postfix.

use super::*;

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
                .send(letter(FROM, &to("ada@parl.example")), None)
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
                proof: Proof::Password("sentinel-4711".to_owned().into()),
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
        let sent = session.send(letter(FROM, &to(recipient)), None).await;
        assert_eq!(
            (sent.stage, sent.outcome, sent.cause),
            (Stage::Rcpt, outcome, cause),
            "{sent:?}"
        );
        assert_eq!(codes(&sent), reply);
        assert!(!format!("{sent:?}").contains("parl.example"), "{sent:?}");
    }
    let sent = session
        .send(letter(FROM, &to("ada@parl.example")), None)
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
            .send(letter(FROM, &to("ada@parl.example")), None)
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
async fn three_hundred_letters_in_groups_arrive_once_each_byte_for_byte_and_the_refused_ones_do_not()
 {
    let postfix = Postfix::start();
    let posts: Vec<Post> = (0..330)
        .map(|nth| {
            // Each eleventh is refused, in all ways.
            let recipient = match nth % 33 {
                5 => "r550-5.1.1-bob@parl.example",
                16 => "d554-5.7.1-eve@parl.example",
                27 => "r450-4.2.1-cyd@parl.example",
                _ => "ada@parl.example",
            };
            let mut post = Post::new(&format!("n{nth}"), recipient);
            // From a few hundred bytes to more than one TLS record.
            let more = format!("{nth}\r\n..\r\n.\r\n").repeat(1 + nth * 10);
            post.bytes.extend_from_slice(more.as_bytes());
            post
        })
        .collect();
    let mut session = session(signed_in(
        &postfix,
        postfix.submission,
        Protection::StartTls,
    ));
    let sent = send_all(&mut session, &posts).await;
    session.close().await;
    for (nth, sent) in sent.iter().enumerate() {
        let expected = match nth % 33 {
            5 => (Stage::Rcpt, Outcome::FailRecipient),
            16 => (Stage::Dot, Outcome::FailMessage),
            27 => (Stage::Rcpt, Outcome::DeferRecipient),
            _ => TAKEN,
        };
        assert_eq!((sent.stage, sent.outcome), expected, "{nth} {sent:?}");
    }
    let arrived = postfix.letters("other", 300).await;
    let taken = posts
        .iter()
        .zip(&sent)
        .filter(|(_, sent)| sent.outcome == Outcome::Accepted);
    for (post, _) in taken {
        let same = arrived
            .iter()
            .filter(|letter| letter.ends_with(&post.bytes))
            .count();
        assert_eq!(same, 1, "{}", post.token);
    }
    let calls = postfix.log().matches(": connect from").count();
    assert_eq!(
        calls,
        1 + 330_usize.div_ceil(50),
        "one probe, and 50 letters each"
    );
}
