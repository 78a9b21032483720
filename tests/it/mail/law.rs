//! The law of groups: whatever a relay answers, and wherever the connection ends, each letter comes to what it would have
//! come to one command at a time.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::support::strict::{Act, At, Manners, Seen, Strict, is_positive};

const TOKENS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// What a relay does to one letter: at MAIL, RCPT, DATA and the dot; none is the usual answer.
type Acts = [Option<Act>; 4];

/// For each letter: on a connection that was used before, and on a fresh one.
type Script = Vec<[Acts; 2]>;

fn any_act() -> impl Strategy<Value = Option<Act>> {
    let code = prop::sample::select(vec![
        "250 2.0.0 ok",
        "251 2.1.5 will forward",
        "354 go on",
        "421 4.3.2 closing",
        "432 4.3.2 concurrent connections limit",
        "450 4.2.1 not now",
        "451 4.3.5 configuration error",
        "452 4.5.3 too many recipients",
        "500 5.5.2 syntax",
        "501 5.5.4 syntax",
        "503 5.5.1 out of place",
        "550-5.1.1 no such user,\r\n550 5.1.1 ask anna@parl.example",
        "550 5.7.1 policy",
        "550 5.4.5 daily limit",
        "552 5.2.2 mailbox full",
        "552 5.3.4 too large",
        "554 5.6.0 malformed",
        "555 5.5.4 unsupported option",
        "250-a\r\n550 b",
        "good morning",
        "999 what",
    ]);
    prop_oneof![
        8 => Just(None),
        5 => code.prop_map(|text| Some(Act::say(text))),
        1 => Just(Some(Act::HangUp)),
        1 => Just(Some(Act::Reset)),
    ]
}

fn any_script() -> impl Strategy<Value = Script> {
    let acts = prop::array::uniform4(any_act());
    prop::collection::vec(prop::array::uniform2(acts), 1..=TOKENS.len())
}

fn manners(script: &Script, keywords: &[&str], without_recipient: &str, lone_dot: &str) -> Manners {
    let script: HashMap<&str, [Acts; 2]> = TOKENS.into_iter().zip(script.iter().cloned()).collect();
    Manners {
        without_recipient: without_recipient.into(),
        lone_dot: lone_dot.into(),
        ..Manners::offering(keywords)
    }
    .acting(move |point| {
        let at = match point.at {
            At::Mail => 0,
            At::Rcpt => 1,
            At::Data => 2,
            At::Dot => 3,
        };
        script[point.letter][usize::from(point.is_first)][at].clone()
    })
}

async fn conversation(manners: Manners, promises: &[bool]) -> (Vec<Sent>, Seen) {
    let strict = Strict::start(manners).await;
    let relay = Relay {
        limits: Limits {
            quit: Duration::from_secs(1),
            ..Limits::default()
        },
        ..relay(strict.port, Protection::Nothing)
    };
    let mut session = session(relay);
    let mut sent = Vec::new();
    let posts: Vec<Post> = posts(TOKENS).into_iter().take(promises.len()).collect();
    for (nth, post) in posts.iter().enumerate() {
        let next = posts.get(nth + 1).filter(|_| promises[nth]);
        sent.push(session.send(post.going(), next.map(Post::going)).await);
    }
    session.close().await;
    let seen = strict.seen();
    (sent, seen)
}

/// Every letter that counts as accepted has its own positive reply to its own dot, and arrived as it was.
fn assert_sound(sent: &[Sent], seen: &Seen) -> Result<(), TestCaseError> {
    prop_assert_eq!(&seen.wrong, &[""; 0]);
    let posts = posts(TOKENS);
    for (post, sent) in posts.iter().zip(sent) {
        let arrived = seen
            .letters
            .iter()
            .filter(|(token, ..)| *token == post.token);
        for (_, bytes, _) in arrived.clone() {
            prop_assert_eq!(bytes, &post.bytes);
        }
        let taken = arrived.filter(|(.., said)| is_positive(said)).count();
        let accepted = sent.outcome == Outcome::Accepted;
        prop_assert_eq!(taken, usize::from(accepted), "{} {:?}", post.token, sent);
    }
    Ok(())
}

proptest! {
    #[test]
    fn in_groups_each_letter_comes_to_what_it_comes_to_one_command_at_a_time(
        script in any_script(),
        promises in prop::collection::vec(prop::bool::weighted(0.8), TOKENS.len()),
        offers in prop::sample::subsequence(vec!["DSN", "SIZE 100000"], 0..=2),
        without_recipient in prop::sample::select(vec!["354 go on", "554 5.5.1 none", "503 5.5.1 RCPT first"]),
        lone_dot in prop::sample::select(vec!["554 5.5.1 none", "503 5.5.1 none", "250 2.0.0 ok"]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let promises = &promises[..script.len()];
        let talk = |groups: bool| {
            let mut keywords = offers.clone();
            keywords.extend(groups.then_some("PIPELINING"));
            let manners = manners(&script, &keywords, without_recipient, lone_dot);
            runtime.block_on(conversation(manners, promises))
        };
        let (in_groups, seen_in_groups) = talk(true);
        let (one_by_one, seen_one_by_one) = talk(false);
        prop_assert_eq!(&in_groups, &one_by_one);
        prop_assert_eq!(seen_in_groups.taken(), seen_one_by_one.taken());
        assert_sound(&in_groups, &seen_in_groups)?;
        assert_sound(&one_by_one, &seen_one_by_one)?;
    }
}
