//! Conversation: SMTP one command at a time, each within its own time, each reply looked at.

use std::error::Error as _;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use secrecy::ExposeSecret;
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::watch;
use tokio::time::timeout;

use super::stream::Held;
use super::{Limits, Login, Prepared, Protection, Relay};
use crate::domain::EmailAddress;
use crate::domain::delivery::{Answer, Reply, Stage, ruling};

/// Where a conversation stopped, and on which answer.
#[derive(Debug)]
pub(super) struct Stop {
    pub(super) stage: Stage,
    pub(super) answer: Answer,
}

/// What the relay announced in its answer to EHLO.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Can {
    /// RFC 6152: bytes above 127 in the body.
    pub(super) eight_bit: bool,
    /// RFC 6531: characters beyond ASCII in addresses.
    pub(super) smtp_utf8: bool,
}

impl Can {
    fn read<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let mut can = Self::default();
        // The first line is the relay's name.
        for line in lines.skip(1) {
            let keyword = line.split_whitespace().next().unwrap_or("");
            can.eight_bit |= keyword.eq_ignore_ascii_case("8BITMIME");
            can.smtp_utf8 |= keyword.eq_ignore_ascii_case("SMTPUTF8");
        }
        can
    }
}

/// An open conversation with a relay, from the greeting on.
pub(super) struct Conversation {
    line: AsyncSmtpConnection,
    /// Changes when all that was written has been handed to the socket.
    sent: watch::Receiver<u64>,
    can: Can,
    limits: Limits,
}

impl Conversation {
    /// Connects and comes to the point at which mail can be sent.
    pub(super) async fn open(with: &Prepared) -> Result<Self, Stop> {
        let relay = &with.relay;
        let limits = relay.limits;
        let hello = ClientId::Domain(relay.hello.clone());
        let (tcp, peer) = within(Stage::Connect, limits.connect, reach(relay)).await?;
        let (line, sent) = match relay.tls {
            Protection::Implicit => {
                let handshake = async {
                    let shaken = with.implicit.connect(&relay.host, tcp).await;
                    shaken.map_err(|error| tls_answer(&error))
                };
                let tls = within(Stage::Connect, limits.connect, handshake).await?;
                let (held, sent) = Held::new(tls, peer, false);
                greet(Box::new(held), sent, &hello, &limits).await?
            }
            Protection::StartTls | Protection::Nothing => {
                let (held, sent) = Held::new(tcp, peer, true);
                greet(Box::new(held), sent, &hello, &limits).await?
            }
        };
        let mut conversation = Self {
            line,
            sent,
            can: Can::default(),
            limits,
        };
        if relay.tls == Protection::StartTls {
            conversation.start_tls(with, &hello).await?;
        }
        conversation.learn(&relay.hello).await?;
        if let Some(login) = &relay.login {
            conversation.sign_in(login).await?;
        }
        Ok(conversation)
    }

    async fn start_tls(&mut self, with: &Prepared, hello: &ClientId) -> Result<(), Stop> {
        // Asked here and not left to lettre's error, so that clear text is never an option.
        if !self.line.can_starttls() {
            return Err(no_tls(Stage::StartTls));
        }
        let upgrade = unbroken(self.line.starttls(with.start_tls.clone(), hello));
        within(Stage::StartTls, self.limits.start_tls, upgrade).await?;
        if !self.line.is_encrypted() {
            return Err(no_tls(Stage::StartTls));
        }
        Ok(())
    }

    /// EHLO once more: lettre keeps only the keywords that it uses itself.
    async fn learn(&mut self, hello: &str) -> Result<(), Stop> {
        let response = self
            .ask(Stage::Ehlo, self.limits.ehlo, &format!("EHLO {hello}\r\n"))
            .await?;
        self.can = Can::read(response.message());
        Ok(())
    }

    async fn sign_in(&mut self, login: &Login) -> Result<(), Stop> {
        const KNOWN: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];
        if self.line.server_info().get_auth_mechanism(&KNOWN).is_none() {
            return Err(ours(
                Stage::Auth,
                504,
                "5.5.4 not sent: the relay offers neither AUTH PLAIN nor LOGIN",
            ));
        }
        let password = login.password.expose_secret();
        let who = Credentials::new(login.user.clone(), password.to_owned());
        let signing = unbroken(self.line.auth(&KNOWN, &who));
        match within(Stage::Auth, self.limits.auth, signing).await {
            Ok(response) => expected(Stage::Auth, response).map(|_| ()),
            Err(stop) => Err(without_secret(stop, password)),
        }
    }

    /// One message to one recipient, to the reply to its final dot. The reply to the dot that is `Ok` is positive.
    pub(super) async fn deliver(
        &mut self,
        from: &str,
        to: &EmailAddress,
        bytes: &[u8],
    ) -> Result<Reply, Stop> {
        let plan = Plan::new(self.can, from, to, bytes)?;
        self.ask(Stage::Mail, self.limits.mail, &plan.mail).await?;
        self.ask(Stage::Rcpt, self.limits.rcpt, &plan.rcpt).await?;
        self.ask(Stage::Data, self.limits.data, "DATA\r\n").await?;
        self.hand_over(&plan.body).await
    }

    /// The body and its dot. Until the last byte is handed to the socket a loss is only a loss; from then on it is a doubt.
    async fn hand_over(&mut self, body: &str) -> Result<Reply, Stop> {
        self.sent.mark_unchanged();
        let gone = self.sent.clone();
        let answer = {
            let reply = unbroken(self.line.command(body));
            in_two(self.limits.body, self.sent.clone(), self.limits.dot, reply).await
        };
        let stage = if gone.has_changed().unwrap_or(true) {
            Stage::Dot
        } else {
            Stage::Body
        };
        match answer {
            // A reply to a body that has not been sent was never meant for it.
            Ok(_) if stage == Stage::Body => Err(Stop {
                stage,
                answer: Answer::Garbled,
            }),
            Ok(response) => expected(stage, response).map(|response| reply(&response)),
            Err(answer) => Err(Stop { stage, answer }),
        }
    }

    /// Ends a transaction that was refused.
    pub(super) async fn reset(&mut self) -> Result<(), Stop> {
        self.ask(Stage::Quit, self.limits.quit, "RSET\r\n")
            .await
            .map(|_| ())
    }

    /// Says goodbye, and does not mind the answer.
    pub(super) async fn quit(mut self) {
        // Whatever happens here, each message has its answer already.
        let _ = timeout(self.limits.quit, self.line.abort()).await;
    }

    /// One command and its reply. A reply that was there before the command had left was not meant for it.
    async fn ask(
        &mut self,
        stage: Stage,
        limit: Duration,
        command: &str,
    ) -> Result<Response, Stop> {
        self.sent.mark_unchanged();
        let response = within(stage, limit, unbroken(self.line.command(command))).await?;
        if !self.sent.has_changed().unwrap_or(true) {
            return Err(Stop {
                stage,
                answer: Answer::Garbled,
            });
        }
        expected(stage, response)
    }
}

/// What is written for one message, checked before its first byte goes out.
struct Plan {
    mail: String,
    rcpt: String,
    body: String,
}

impl Plan {
    fn new(can: Can, from: &str, to: &EmailAddress, bytes: &[u8]) -> Result<Self, Stop> {
        if !is_envelope_address(from) {
            return Err(ours(
                Stage::Mail,
                553,
                "5.1.8 not sent: the envelope sender is no plain address",
            ));
        }
        let international = !to.local().is_ascii();
        if international && !can.smtp_utf8 {
            return Err(ours(
                Stage::Rcpt,
                553,
                "5.6.7 not sent: the relay does not offer SMTPUTF8, which this address needs",
            ));
        }
        let eight_bit = !bytes.is_ascii();
        if eight_bit && !can.eight_bit {
            return Err(ours(
                Stage::Dot,
                554,
                "5.6.3 not sent: the message holds bytes above 127 and the relay does not offer 8BITMIME",
            ));
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|_| ours(Stage::Dot, 554, "5.6.0 not sent: the message is not UTF-8"))?;
        if has_bare_line_end(text) {
            return Err(ours(
                Stage::Dot,
                554,
                "5.6.0 not sent: a line of the message does not end with CRLF",
            ));
        }
        let body_kind = if eight_bit { " BODY=8BITMIME" } else { "" };
        let utf8 = if international { " SMTPUTF8" } else { "" };
        Ok(Self {
            mail: format!("MAIL FROM:<{from}>{body_kind}{utf8}\r\n"),
            rcpt: format!("RCPT TO:<{}@{}>\r\n", to.local(), to.domain_ascii()),
            body: stuffed(text),
        })
    }
}

/// Empty, or an ASCII address that cannot end its angle brackets early.
fn is_envelope_address(from: &str) -> bool {
    from.is_empty()
        || from.is_ascii() && EmailAddress::parse(from).is_ok_and(|parsed| parsed.expose() == from)
}

/// A lone CR or LF. Relays disagree about them, and a dot between two can end the message early for one and not for another.
fn has_bare_line_end(text: &str) -> bool {
    text.replace("\r\n", "").contains(['\r', '\n'])
}

/// The message with its dots doubled (RFC 5321 section 4.5.2) and the final dot. A message that ends with CRLF, as all do,
/// arrives with exactly its own bytes.
fn stuffed(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 64 + 8);
    for line in text.split_inclusive("\r\n") {
        if line.starts_with('.') {
            out.push('.');
        }
        out.push_str(line);
    }
    if !out.is_empty() && !out.ends_with("\r\n") {
        out.push_str("\r\n");
    }
    out.push_str(".\r\n");
    out
}

/// Connects to the first address of the relay that answers. Without TLS each of them must be on this machine, or none is
/// tried.
async fn reach(relay: &Relay) -> Result<(TcpStream, SocketAddr), Answer> {
    let found = lookup_host((relay.host.as_str(), relay.port)).await;
    let addresses: Vec<SocketAddr> = found.map_err(|_| Answer::Lost)?.collect();
    if relay.tls == Protection::Nothing && !addresses.iter().all(|at| at.ip().is_loopback()) {
        return Err(Answer::Tls);
    }
    let tcp = TcpStream::connect(&addresses[..])
        .await
        .map_err(|_| Answer::Lost)?;
    // Without it Nagle's algorithm waits for the receiver's delayed acknowledgement: 40 ms a message.
    tcp.set_nodelay(true).map_err(|_| Answer::Lost)?;
    let peer = tcp.peer_addr().map_err(|_| Answer::Lost)?;
    Ok((tcp, peer))
}

type Opened = (AsyncSmtpConnection, watch::Receiver<u64>);

/// The greeting and the first EHLO, which lettre does in one go; what was sent tells them apart.
async fn greet(
    stream: Box<dyn lettre::transport::smtp::client::AsyncTokioStream>,
    sent: watch::Receiver<u64>,
    hello: &ClientId,
    limits: &Limits,
) -> Result<Opened, Stop> {
    let opening = unbroken(AsyncSmtpConnection::connect_with_transport(stream, hello));
    let opened = in_two(limits.greeting, sent.clone(), limits.ehlo, opening).await;
    match opened {
        Ok(line) => Ok((line, sent)),
        Err(answer) => {
            let stage = if sent.has_changed().unwrap_or_else(|_| *sent.borrow() > 0) {
                Stage::Ehlo
            } else {
                Stage::Greeting
            };
            Err(Stop { stage, answer })
        }
    }
}

/// Runs lettre's part. A relay can send a line over which lettre 0.11.23 panics (a blank one in the answer to EHLO); that
/// is no reason to take the worker down.
async fn unbroken<T>(work: impl Future<Output = Result<T, SmtpError>>) -> Result<T, Answer> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(answer(&error)),
        Err(_) => Err(Answer::Garbled),
    }
}

async fn within<T>(
    stage: Stage,
    limit: Duration,
    work: impl Future<Output = Result<T, Answer>>,
) -> Result<T, Stop> {
    let answer = match timeout(limit, work).await {
        Ok(Ok(done)) => return Ok(done),
        Ok(Err(answer)) => answer,
        Err(_) => Answer::TimedOut,
    };
    Err(Stop { stage, answer })
}

/// Waits `first` until everything is sent, and from then on `then` for the end of it.
async fn in_two<T>(
    first: Duration,
    mut sent: watch::Receiver<u64>,
    then: Duration,
    work: impl Future<Output = Result<T, Answer>>,
) -> Result<T, Answer> {
    let mut work = std::pin::pin!(work);
    let early = timeout(first, async {
        tokio::select! {
            biased;
            done = &mut work => Some(done),
            _ = sent.changed() => None,
        }
    });
    match early.await {
        Ok(Some(done)) => done,
        Ok(None) => timeout(then, work).await.unwrap_or(Err(Answer::TimedOut)),
        Err(_) => Err(Answer::TimedOut),
    }
}

/// A positive reply that has no place at this stage is no reply we can go on with.
fn expected(stage: Stage, response: Response) -> Result<Response, Stop> {
    let answer = Answer::Reply(reply(&response));
    match ruling(stage, &answer).row {
        40 => Err(Stop {
            stage,
            answer: Answer::Garbled,
        }),
        _ => Ok(response),
    }
}

fn reply(response: &Response) -> Reply {
    let lines: Vec<&str> = response.message().collect();
    Reply::new(response.code().into(), &lines.join(" "))
}

/// What lettre's error means in our words.
fn answer(error: &SmtpError) -> Answer {
    let said = || error.source().map(ToString::to_string).unwrap_or_default();
    if let Some(code) = error.status() {
        return Answer::Reply(Reply::new(code.into(), &said()));
    }
    if error.is_response() {
        // lettre's word for the end of the stream in the middle of a reply, or before it.
        return if said() == "incomplete response" {
            Answer::Lost
        } else {
            Answer::Garbled
        };
    }
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(error) = inner.downcast_ref::<native_tls::Error>() {
            return tls_answer(error);
        }
        if let Some(error) = inner.downcast_ref::<std::io::Error>() {
            // A reply that is not UTF-8.
            let garbled = error.kind() == std::io::ErrorKind::InvalidData;
            return if garbled {
                Answer::Garbled
            } else {
                Answer::Lost
            };
        }
        source = inner.source();
    }
    if error.is_client() {
        Answer::Garbled
    } else {
        Answer::Lost
    }
}

/// A handshake that broke because the connection did is a loss; all else needs an operator.
fn tls_answer(error: &native_tls::Error) -> Answer {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = source {
        if inner.downcast_ref::<std::io::Error>().is_some()
            || inner.to_string().contains("unexpected eof")
        {
            return Answer::Lost;
        }
        source = inner.source();
    }
    Answer::Tls
}

fn no_tls(stage: Stage) -> Stop {
    Stop {
        stage,
        answer: Answer::Tls,
    }
}

/// A refusal of our own, in the relay's words, so that the one table decides what it means.
fn ours(stage: Stage, code: u16, text: &str) -> Stop {
    Stop {
        stage,
        answer: Answer::Reply(Reply::new(code, text)),
    }
}

/// Drops the text of a reply that repeats the password, plain or as AUTH encodes it.
fn without_secret(stop: Stop, password: &str) -> Stop {
    let Answer::Reply(mut reply) = stop.answer else {
        return stop;
    };
    let encoded = data_encoding::BASE64.encode(password.as_bytes());
    // AUTH PLAIN encodes the name before it as well, so what follows is compared in the clear.
    let plain = reply
        .text
        .split(|c: char| !(c.is_ascii_alphanumeric() || "+/=".contains(c)))
        .any(|word| {
            data_encoding::BASE64
                .decode(word.as_bytes())
                .is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(password))
        });
    if plain || reply.text.contains(password) || reply.text.contains(&encoded) {
        reply.text = "(the text repeated the password)".to_owned();
    }
    Stop {
        stage: stop.stage,
        answer: Answer::Reply(reply),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a relay makes of it (RFC 5321 section 4.5.2).
    fn received(wire: &str) -> String {
        let body = wire.strip_suffix(".\r\n").unwrap();
        body.split_inclusive("\r\n")
            .map(|line| line.strip_prefix('.').unwrap_or(line))
            .collect()
    }

    fn to(text: &str) -> EmailAddress {
        EmailAddress::parse(text).unwrap()
    }

    const ALL: Can = Can {
        eight_bit: true,
        smtp_utf8: true,
    };

    fn refused(can: Can, from: &str, to: &EmailAddress, bytes: &[u8]) -> u8 {
        let stop = Plan::new(can, from, to, bytes).err().unwrap();
        ruling(stop.stage, &stop.answer).row
    }

    #[test]
    fn dots_are_doubled_at_the_start_of_a_line_only() {
        assert_eq!(stuffed("a.b\r\n.\r\n..c\r\n"), "a.b\r\n..\r\n...c\r\n.\r\n");
        assert_eq!(stuffed(""), ".\r\n");
        assert_eq!(stuffed("no end"), "no end\r\n.\r\n");
    }

    #[test]
    fn what_cannot_be_sent_is_refused_before_a_byte_goes_out() {
        let ada = to("ada@parl.example");
        assert_eq!(refused(ALL, "a> RCPT TO:<b", &ada, b""), 16);
        assert_eq!(refused(ALL, " a@b.example", &ada, b""), 16);
        assert_eq!(
            refused(Can::default(), "", &to("jürgen@parl.example"), b""),
            24
        );
        assert_eq!(refused(Can::default(), "", &ada, "ü".as_bytes()), 33);
        assert_eq!(refused(ALL, "", &ada, &[0xff]), 33);
        assert_eq!(refused(ALL, "", &ada, b"a\n.\r\nMAIL"), 33);
        assert_eq!(refused(ALL, "", &ada, b"a\r.\r\n"), 33);
    }

    #[test]
    fn parameters_are_sent_only_where_they_are_needed() {
        let plan = Plan::new(ALL, "b+1@parl.example", &to("ada@parl.example"), b"x")
            .ok()
            .unwrap();
        assert_eq!(plan.mail, "MAIL FROM:<b+1@parl.example>\r\n");
        let plan = Plan::new(ALL, "", &to("jürgen@bücher.example"), "ü".as_bytes())
            .ok()
            .unwrap();
        assert_eq!(plan.mail, "MAIL FROM:<> BODY=8BITMIME SMTPUTF8\r\n");
        assert_eq!(plan.rcpt, "RCPT TO:<jürgen@xn--bcher-kva.example>\r\n");
    }

    #[test]
    fn keywords_are_read_whatever_their_case_and_not_from_the_name() {
        let can = Can::read(["SMTPUTF8 relay", "", " ", "8bitmime", "SIZE 1"].into_iter());
        assert_eq!(
            can,
            Can {
                eight_bit: true,
                smtp_utf8: false
            }
        );
    }

    #[test]
    fn a_reply_that_repeats_the_password_loses_its_text() {
        let encoded = data_encoding::BASE64.encode(b"\0bell\0sentinel-4711");
        for text in ["no: sentinel-4711", &format!("no: {encoded}")] {
            let stop = without_secret(ours(Stage::Auth, 535, text), "sentinel-4711");
            assert!(!format!("{stop:?}").contains("sentinel"));
            assert!(!format!("{stop:?}").contains(&encoded));
        }
    }

    proptest! {
        #[test]
        fn what_is_stuffed_arrives_as_it_was(text in "([.a]{0,3}(\r\n)?){0,20}\r\n") {
            let wire = stuffed(&text);
            prop_assert!(!wire.trim_end_matches(".\r\n").contains("\r\n.\r\n"));
            prop_assert_eq!(received(&wire), text);
        }
    }
}
