//! Signing in with a token: what is said, what a refusal leads to, and that nobody gets to read the token.

use division_bell::channels::{Bearer, TokenSource};

use super::*;
use crate::support::strict::{Manners, Seen, Strict};

const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.c2VudGluZWwtNDcxMQ.c2ln";

fn relay_with(port: u16, bearer: Bearer, source: TokenSource, lifetime: Duration) -> Relay {
    Relay {
        login: Some(Login {
            user: "bell".into(),
            proof: Proof::Token {
                bearer,
                source,
                lifetime,
            },
        }),
        limits: short(),
        ..relay(port, Protection::Nothing)
    }
}

fn manners(mechanism: &str) -> Manners {
    Manners {
        token: Some(TOKEN.into()),
        ..Manners::offering(&["PIPELINING", &format!("AUTH {mechanism}")])
    }
}

fn prints(token: &str) -> TokenSource {
    TokenSource::Command(["printf", "%s\\n", token].map(str::to_owned).into())
}

/// How often somebody tried to sign in.
fn tries(seen: &Seen) -> usize {
    let said = seen.turns.iter().flatten();
    said.filter(|said| said.starts_with("AUTH")).count()
}

const BOTH: [(&str, Bearer); 2] = [
    ("XOAUTH2", Bearer::Xoauth2),
    ("OAUTHBEARER", Bearer::OauthBearer),
];

#[tokio::test]
async fn a_token_signs_in() {
    for (mechanism, bearer) in BOTH {
        let strict = Strict::start(manners(mechanism)).await;
        let relay = relay_with(strict.port, bearer, prints(TOKEN), Duration::from_secs(300));
        assert!(!format!("{:?}", Smtp::new(relay.clone()).unwrap()).contains(TOKEN));
        let mut session = session(relay);
        let posts = posts(["a", "b"]);
        let sent = send_all(&mut session, &posts).await;
        session.close().await;
        assert_eq!(outcomes(&sent), [TAKEN; 2], "{mechanism}");
        let seen = strict.seen();
        assert_eq!((seen.wrong.as_slice(), tries(&seen)), (&[][..], 1));
    }
}

#[tokio::test]
async fn a_refused_token_that_stays_the_same_holds_the_relay_after_one_try_and_is_never_told() {
    let bad = "sentinel.bad.token-sentinel.bad.token";
    for (mechanism, bearer) in BOTH {
        for hangs_up_on_bad_token in [false, true] {
            let manners = Manners {
                hangs_up_on_bad_token,
                ..manners(mechanism)
            };
            let strict = Strict::start(manners).await;
            let relay = relay_with(strict.port, bearer, prints(bad), Duration::from_secs(300));
            let refused = sent(relay, "ada@parl.example").await;
            assert_eq!(
                (refused.stage, refused.outcome, refused.cause),
                (Stage::Auth, Outcome::HoldRelay, Cause::SignInRefused)
            );
            assert_eq!(codes(&refused), "535 5.7.8");
            // The strict relay tells the token again in its refusal.
            assert!(!format!("{refused:?}").contains("sentinel"), "{refused:?}");
            let seen = strict.seen();
            assert_eq!((seen.wrong.as_slice(), tries(&seen)), (&[][..], 1));
        }
    }
}

#[tokio::test]
async fn a_token_that_ran_out_is_fetched_anew_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "old.token").unwrap();
    for (mechanism, bearer) in BOTH {
        let strict = Strict::start(manners(mechanism)).await;
        let source = TokenSource::File(file.clone());
        let outlet = Outlet::Smtp(
            Smtp::new(relay_with(
                strict.port,
                bearer,
                source,
                Duration::from_secs(3600),
            ))
            .unwrap(),
        );
        // The old one is kept, and refused.
        assert_eq!(
            outlet.check().await.unwrap_err().outcome,
            Outcome::HoldRelay
        );
        std::fs::write(&file, TOKEN).unwrap();
        let mut session = outlet.open();
        let [a] = posts(["a"]);
        let sent = session.send(a.going(), None).await;
        session.close().await;
        assert_eq!(outcomes(&[sent]), [TAKEN], "{mechanism}");
        // Once each for the check, the kept one and the new one.
        assert_eq!(tries(&strict.seen()), 3);
        std::fs::write(&file, "old.token").unwrap();
    }
}

#[tokio::test]
async fn a_way_to_sign_in_that_is_not_offered_is_not_tried() {
    for (offered, bearer) in [
        ("PLAIN LOGIN OAUTHBEARER", Bearer::Xoauth2),
        ("PLAIN LOGIN XOAUTH2", Bearer::OauthBearer),
    ] {
        let strict = Strict::start(manners(offered)).await;
        let relay = relay_with(strict.port, bearer, prints(TOKEN), Duration::from_secs(300));
        let refused = sent(relay, "ada@parl.example").await;
        assert_eq!(
            (refused.stage, refused.outcome),
            (Stage::Auth, Outcome::HoldRelay)
        );
        assert_eq!(tries(&strict.seen()), 0);
    }
}

#[tokio::test]
async fn without_a_token_nothing_is_said_and_the_reason_is_told() {
    let strict = Strict::start(manners("XOAUTH2")).await;
    let fails = ["sh", "-c", "echo sentinel; exit 3"].map(str::to_owned);
    for (source, outcome) in [
        (TokenSource::Command(fails.into()), Outcome::DeferRelay),
        (
            TokenSource::File("/no/such/token".into()),
            Outcome::HoldRelay,
        ),
    ] {
        let relay = relay_with(strict.port, Bearer::Xoauth2, source, Duration::ZERO);
        let refused = sent(relay, "ada@parl.example").await;
        assert_eq!((refused.stage, refused.outcome), (Stage::Auth, outcome));
        let told = format!("{refused:?}");
        assert!(
            told.contains("token_") && !told.contains("sentinel"),
            "{told}"
        );
    }
    assert_eq!(strict.seen().calls, 0);
}
