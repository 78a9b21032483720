//! Sign-in: AUTH (RFC 4954) with a password (PLAIN, LOGIN) or a token (XOAUTH2, OAUTHBEARER of RFC 7628), of which only what
//! the relay offers is tried.
//!
//! lettre is not asked to: it has no OAUTHBEARER, and gives up on the challenge in which a relay says why it refuses a
//! token, so that the refusal itself is never read.

use data_encoding::{BASE64, BASE64_NOPAD};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::Bearer;
use super::conversation::{Conversation, Ended};
use crate::domain::delivery::{Answer, Reply, Stage};

/// Who signs in, and with what.
pub(super) struct Identity<'a> {
    pub(super) user: &'a str,
    pub(super) secret: SecretString,
    pub(super) kind: Kind<'a>,
}

/// What the secret is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    Password,
    /// A token, for a relay of this name and port.
    Token(Bearer, &'a str, u16),
}

/// What is said by one mechanism.
struct Script {
    first: Zeroizing<String>,
    /// An answer for each challenge.
    then: Vec<Zeroizing<String>>,
}

/// A challenge (RFC 4954 section 4).
const CHALLENGE: u16 = 334;

/// What replaces the text of a reply that repeats what we signed in with.
const REPEATED: &str = "(the text repeated what we signed in with)";

/// Signs in, once. The error tells neither password nor token, whatever the relay says.
pub(super) async fn sign_in(to: &mut Conversation, who: &Identity<'_>) -> Result<(), Ended> {
    let script = script(&to.can().auth, who)?;
    let mut answer = to.say(Stage::Auth, &script.first).await;
    let mut was_challenged = false;
    for words in &script.then {
        if !is_challenge(&answer) {
            break;
        }
        was_challenged = true;
        answer = to.say(Stage::Auth, words).await;
    }
    let is_token = who.kind != Kind::Password;
    let answer = match answer {
        Answer::Reply(reply) if reply.class() == 2 => return Ok(()),
        Answer::Reply(reply) if reply.class() == 3 => Answer::Garbled,
        Answer::Reply(reply) => Answer::Reply(without_secret(reply, who.secret.expose_secret())),
        // The challenge was the refusal; some relays hang up upon it.
        Answer::Lost | Answer::Garbled if is_token && was_challenged => {
            return Err(Ended::ours(
                Stage::Auth,
                535,
                "5.7.8 the relay refused the token and hung up",
            ));
        }
        answer @ (Answer::Lost | Answer::TimedOut | Answer::Tls | Answer::Garbled) => answer,
    };
    Err(Ended::new(Stage::Auth, answer))
}

fn is_challenge(answer: &Answer) -> bool {
    matches!(answer, Answer::Reply(reply) if reply.code == CHALLENGE)
}

fn script(offered: &[String], who: &Identity<'_>) -> Result<Script, Ended> {
    let offers = |mechanism: &str| offered.iter().any(|one| one == mechanism);
    let missing = |text: &str| Err(Ended::ours(Stage::Auth, 504, text));
    let secret = who.secret.expose_secret();
    let user = who.user;
    match who.kind {
        Kind::Password if offers("PLAIN") => {
            let words = Zeroizing::new(format!("\0{user}\0{secret}"));
            Ok(Script::new("AUTH PLAIN ", &words, &[]))
        }
        Kind::Password if offers("LOGIN") => Ok(Script {
            first: Zeroizing::new("AUTH LOGIN\r\n".to_owned()),
            then: vec![line("", user), line("", secret)],
        }),
        Kind::Password => {
            missing("5.5.4 not sent: the relay offers neither AUTH PLAIN nor LOGIN; use a token")
        }
        Kind::Token(Bearer::Xoauth2, ..) if offers("XOAUTH2") => {
            let words = Zeroizing::new(format!("user={user}\x01auth=Bearer {secret}\x01\x01"));
            // An empty line takes note of why it is refused.
            Ok(Script::new("AUTH XOAUTH2 ", &words, &[""]))
        }
        Kind::Token(Bearer::OauthBearer, host, port) if offers("OAUTHBEARER") => {
            // RFC 5801 section 4: these two would end the name.
            let name = user.replace('=', "=3D").replace(',', "=2C");
            let words = Zeroizing::new(format!(
                "n,a={name},\x01host={host}\x01port={port}\x01auth=Bearer {secret}\x01\x01"
            ));
            // RFC 7628 section 3.2.3: one byte, 1.
            Ok(Script::new("AUTH OAUTHBEARER ", &words, &["\x01"]))
        }
        Kind::Token(Bearer::Xoauth2, ..) => missing(
            "5.5.4 not sent: the relay does not offer AUTH XOAUTH2; set auth to what it offers",
        ),
        Kind::Token(Bearer::OauthBearer, ..) => missing(
            "5.5.4 not sent: the relay does not offer AUTH OAUTHBEARER; set auth to what it offers",
        ),
    }
}

impl Script {
    fn new(command: &str, words: &str, then: &[&str]) -> Self {
        Self {
            first: line(command, words),
            then: then.iter().map(|words| line("", words)).collect(),
        }
    }
}

fn line(command: &str, words: &str) -> Zeroizing<String> {
    let encoded = Zeroizing::new(BASE64.encode(words.as_bytes()));
    Zeroizing::new([command, encoded.as_str(), "\r\n"].concat())
}

/// Drops the text of a reply that repeats the secret, or a telling part of it, in the clear or as AUTH encodes it.
fn without_secret(reply: Reply, secret: &str) -> Reply {
    if !repeats(&reply.text, secret.as_bytes()) {
        return reply;
    }
    Reply {
        text: REPEATED.to_owned(),
        ..reply
    }
}

/// So many bytes of a long secret tell too much already; a reply is cut at 500 characters.
const TELLING: usize = 12;

fn repeats(text: &str, secret: &[u8]) -> bool {
    let length = secret.len().min(TELLING);
    if length == 0 {
        return false;
    }
    let shows = |seen: &[u8]| {
        seen.windows(length)
            .any(|seen| secret.windows(length).any(|part| part == seen))
    };
    shows(text.as_bytes())
        || text
            .split(|c: char| !(c.is_ascii_alphanumeric() || "+/-_".contains(c)))
            .any(|word| decodings(word).any(|seen| shows(&seen)))
}

/// What a word may stand for in base64, whatever stands before it and however it was cut.
fn decodings(word: &str) -> impl Iterator<Item = Vec<u8>> {
    let word = word.replace('-', "+").replace('_', "/");
    (0..4).filter_map(move |skip| {
        let rest = word.as_bytes().get(skip..)?;
        let whole = rest.get(..rest.len() / 4 * 4)?;
        // A last group of two or three letters holds one or two bytes more.
        let mut seen = BASE64_NOPAD.decode(whole).ok()?;
        let tail = rest.get(whole.len()..).unwrap_or_default();
        let mut padded = tail.to_vec();
        padded.resize(4, b'A');
        if tail.len() > 1
            && let Ok(bytes) = BASE64_NOPAD.decode(&padded)
        {
            seen.extend(bytes.iter().take(tail.len() - 1));
        }
        Some(seen)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn identity(kind: Kind<'static>) -> Identity<'static> {
        Identity {
            user: "bell,1=2",
            secret: SecretString::from("tok.en"),
            kind,
        }
    }

    fn said(line: &str) -> String {
        let words = line.trim_end().rsplit(' ').next().unwrap();
        String::from_utf8(BASE64.decode(words.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn each_mechanism_says_what_its_standard_wants() {
        let offered = ["PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"].map(str::to_owned);
        let plain = script(&offered, &identity(Kind::Password)).ok().unwrap();
        assert!(plain.first.starts_with("AUTH PLAIN "));
        assert_eq!(said(&plain.first), "\0bell,1=2\0tok.en");

        let login = script(&offered[1..], &identity(Kind::Password))
            .ok()
            .unwrap();
        assert_eq!(*login.first, "AUTH LOGIN\r\n");
        assert_eq!(said(&login.then[0]), "bell,1=2");
        assert_eq!(said(&login.then[1]), "tok.en");

        let token = |bearer| identity(Kind::Token(bearer, "mx.example", 587));
        let xoauth2 = script(&offered, &token(Bearer::Xoauth2)).ok().unwrap();
        assert!(xoauth2.first.starts_with("AUTH XOAUTH2 "));
        assert_eq!(
            said(&xoauth2.first),
            "user=bell,1=2\x01auth=Bearer tok.en\x01\x01"
        );
        assert_eq!(*xoauth2.then[0], "\r\n");

        let bearer = script(&offered, &token(Bearer::OauthBearer)).ok().unwrap();
        assert!(bearer.first.starts_with("AUTH OAUTHBEARER "));
        assert_eq!(
            said(&bearer.first),
            "n,a=bell=2C1=3D2,\x01host=mx.example\x01port=587\x01auth=Bearer tok.en\x01\x01"
        );
        assert_eq!(*bearer.then[0], "AQ==\r\n");
    }

    #[test]
    fn what_the_relay_does_not_offer_is_not_tried() {
        let other = ["CRAM-MD5".to_owned()];
        for kind in [
            Kind::Password,
            Kind::Token(Bearer::Xoauth2, "x", 1),
            Kind::Token(Bearer::OauthBearer, "x", 1),
        ] {
            let ended = script(&other, &identity(kind)).err().unwrap();
            assert!(matches!(&ended.answer, Answer::Reply(reply) if reply.code == 504));
        }
    }

    #[test]
    fn a_reply_that_repeats_the_secret_loses_its_text() {
        let long = "eyJhbGciOiJSUzI1NiJ9.c2VudGluZWwtNDcxMQ.".repeat(40);
        for secret in ["sentinel-4711", "s3", long.as_str()] {
            let both = format!("\0bell\0{secret}");
            for text in [
                format!("no: {secret}"),
                format!("no ({})", BASE64.encode(secret.as_bytes())),
                format!("no: {}", BASE64.encode(both.as_bytes())),
                format!(
                    "no: token={}",
                    data_encoding::BASE64URL.encode(both.as_bytes())
                ),
            ] {
                // Cut, as every reply is.
                let reply = without_secret(Reply::new(535, &format!("5.7.8 {text}")), secret);
                assert_eq!((reply.code, reply.text.as_str()), (535, REPEATED), "{text}");
            }
            let reply = without_secret(Reply::new(535, "5.7.8 Authentication failed"), secret);
            assert_eq!(reply.text, "Authentication failed");
        }
    }

    proptest! {
        #[test]
        fn no_reply_to_auth_makes_the_search_for_the_secret_panic(text in "\\PC{0,80}", secret in "\\PC{0,20}") {
            let _ = repeats(&text, secret.as_bytes());
        }
    }
}
