//! Mail, spoken to a real Postfix and to relays that misbehave.

mod faults;
mod groups;
mod law;
mod real;
mod signing_in;
mod table;

use std::time::{Duration, Instant};

use division_bell::channels::{
    Limits, Login, Outgoing, Outlet, Proof, Protection, Relay, Sent, Session, Smtp,
};
use division_bell::domain::EmailAddress;
use division_bell::domain::delivery::{Answer, Cause, Outcome, Reply, Stage};

use crate::support::postfix::{PASSWORD, Postfix, USER};

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
            proof: Proof::Password(PASSWORD.to_owned().into()),
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

/// The test's letter.
fn letter<'a>(envelope_from: &'a str, to: &'a EmailAddress) -> Outgoing<'a> {
    Outgoing {
        envelope_from,
        to,
        bytes: LETTER.as_bytes(),
    }
}

fn session(relay: Relay) -> Session {
    Outlet::Smtp(Smtp::new(relay).unwrap()).open()
}

async fn sent(relay: Relay, recipient: &str) -> Sent {
    let mut session = session(relay);
    let sent = session.send(letter(FROM, &to(recipient)), None).await;
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

/// One of several letters, each with a token and bytes of its own.
struct Post {
    token: String,
    from: String,
    to: EmailAddress,
    bytes: Vec<u8>,
}

impl Post {
    fn new(token: &str, recipient: &str) -> Self {
        Self {
            token: token.into(),
            from: format!("bounces+{token}@parl.example"),
            to: to(recipient),
            bytes: LETTER.replace("d42", token).into_bytes(),
        }
    }

    fn going(&self) -> Outgoing<'_> {
        Outgoing {
            envelope_from: &self.from,
            to: &self.to,
            bytes: &self.bytes,
        }
    }
}

/// Letters with these tokens.
fn posts<const N: usize>(tokens: [&str; N]) -> [Post; N] {
    tokens.map(|token| Post::new(token, &format!("{token}@parl.example")))
}

/// Sends them one after the other, each with the next one named.
async fn send_all(session: &mut Session, posts: &[Post]) -> Vec<Sent> {
    let mut sent = Vec::new();
    for (nth, post) in posts.iter().enumerate() {
        let next = posts.get(nth + 1).map(Post::going);
        sent.push(session.send(post.going(), next).await);
    }
    sent
}

fn outcomes(sent: &[Sent]) -> Vec<(Stage, Outcome)> {
    sent.iter().map(|sent| (sent.stage, sent.outcome)).collect()
}

const TAKEN: (Stage, Outcome) = (Stage::Dot, Outcome::Accepted);
