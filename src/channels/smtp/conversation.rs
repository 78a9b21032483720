//! Conversation: SMTP with one relay. Where it takes groups (RFC 2920) the next letter is named in the same write that
//! hands over the last one; else one command at a time. Each reply is looked at, and waited for in its own time.

use std::time::Duration;

use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::Extension;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::answer::{heard, unbroken};
use super::dial::{greet, reach, within};
use super::plan::{Can, Plan};
use super::sign_in::{Identity, sign_in};
use super::stream::{Held, Wire};
use super::{Limits, Prepared, Protection};
use crate::channels::Outgoing;
use crate::domain::delivery::{
    Answer, Opening, RelayTexts, Reply, Stage, Then, is_about_parameters, opening, ruling,
};

/// What clears a transaction, or does nothing where none is open.
const RESET: &str = "RSET\r\n";

/// Where a conversation or a transaction ended, and on which answer.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) stage: Stage,
    pub(super) answer: Answer,
}

impl Ended {
    pub(super) const fn new(stage: Stage, answer: Answer) -> Self {
        Self { stage, answer }
    }

    /// A refusal of our own, in the relay's words, so that the one table decides what it means.
    pub(super) fn ours(stage: Stage, code: u16, text: &str) -> Self {
        Self::new(stage, Answer::Reply(Reply::new(code, text)))
    }
}

/// An open conversation with a relay, from the greeting on.
pub(super) struct Conversation {
    line: AsyncSmtpConnection,
    wire: Wire<TcpStream>,
    can: Can,
    limits: Limits,
    texts: RelayTexts,
    /// What the letter that was named ahead was named by. Its replies are still to be heard.
    named: Option<[String; 3]>,
    /// What has to be said before the next MAIL.
    owed: Option<Then>,
    /// The relay advertises parameters that it does not take (row 14).
    bare: bool,
    /// Nothing more may be said.
    over: bool,
}

impl Conversation {
    /// Connects and comes to the point at which mail can be sent.
    pub(super) async fn open(with: &Prepared, who: Option<&Identity<'_>>) -> Result<Self, Ended> {
        let relay = &with.relay;
        let limits = relay.limits;
        let (tcp, peer) = within(Stage::Connect, limits.connect, reach(relay)).await?;
        let (held, wire) = Held::new(tcp, peer);
        if relay.tls == Protection::Implicit {
            let handshake = wire.protect(with.tls.as_ref(), &relay.host);
            within(Stage::Connect, limits.connect, handshake).await?;
        }
        let (line, wire) = greet(held, wire, relay).await?;
        let mut conversation = Self {
            line,
            wire,
            can: Can::default(),
            limits,
            texts: relay.texts.clone(),
            named: None,
            owed: None,
            bare: false,
            over: false,
        };
        if relay.tls == Protection::StartTls {
            conversation.start_tls(with).await?;
        }
        conversation.learn(&relay.hello).await?;
        if let Some(who) = who {
            sign_in(&mut conversation, who).await?;
        }
        Ok(conversation)
    }

    /// What the relay announced.
    pub(super) const fn can(&self) -> &Can {
        &self.can
    }

    /// Whether nothing more may be said.
    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    /// Whether a letter has been named that was not sent yet.
    pub(super) const fn has_named(&self) -> bool {
        self.named.is_some()
    }

    async fn start_tls(&mut self, with: &Prepared) -> Result<(), Ended> {
        let stage = Stage::StartTls;
        // Clear text is never an option.
        if !self
            .line
            .server_info()
            .supports_feature(Extension::StartTls)
        {
            return Err(Ended::new(stage, Answer::Tls));
        }
        self.ask(stage, "STARTTLS\r\n").await?;
        let handshake = self.wire.protect(with.tls.as_ref(), &with.relay.host);
        within(stage, self.limits.start_tls, handshake).await?;
        if !self.wire.is_protected() {
            return Err(Ended::new(stage, Answer::Tls));
        }
        Ok(())
    }

    /// EHLO once more: lettre keeps only the keywords that it uses itself, and what was said before TLS does not count
    /// (RFC 3207 section 4.2).
    async fn learn(&mut self, hello: &str) -> Result<(), Ended> {
        let question = format!("EHLO {hello}\r\n");
        let response = timeout(self.limits.ehlo, unbroken(self.line.command(question))).await;
        let lines = match response.unwrap_or(Err(Answer::TimedOut)) {
            Ok(response) => {
                let lines: Vec<String> = response.message().map(str::to_owned).collect();
                let code = response.code().into();
                self.expected(Stage::Ehlo, Answer::Reply(Reply::new(code, "")))?;
                lines
            }
            Err(answer) => return Err(Ended::new(Stage::Ehlo, answer)),
        };
        self.can = Can::read(lines.iter().map(String::as_str));
        Ok(())
    }

    /// One letter to one recipient, to the answer that decides it; a positive reply to the dot is the only acceptance.
    /// `next` is named on the way if the relay takes groups.
    pub(super) async fn deliver(
        &mut self,
        letter: Outgoing<'_>,
        next: Option<Outgoing<'_>>,
    ) -> Ended {
        let plan = match Plan::new(&self.can, letter) {
            Ok(plan) => plan,
            // Not a byte of it goes out; what else was begun stays as it is.
            Err(ended) => return ended,
        };
        if let Err(ended) = self.begin(&plan).await {
            return ended;
        }
        let next = next
            .filter(|_| self.can.pipelining)
            .and_then(|next| Plan::new(&self.can, next).ok())
            .map(|plan| plan.commands(self.bare));
        self.hand_over(plan.body(), next).await
    }

    /// MAIL, RCPT and DATA, unless they were said already.
    async fn begin(&mut self, plan: &Plan<'_>) -> Result<(), Ended> {
        let commands = plan.commands(self.bare);
        let first = match self.named.take() {
            Some(named) if named == commands => {
                let reset = self.hear(Stage::Mail).await;
                self.hear_opening(Some(Then::Reset), reset).await
            }
            // Another letter was promised, and the relay waits for its body: a dot would send an empty one.
            Some(_) => return Err(self.hang_up(Ended::new(Stage::Mail, Answer::Lost))),
            None => self.say_opening(&commands).await,
        };
        let Opening::Refused { stage, answer, .. } = &first else {
            return Ok(());
        };
        let could_be_bare = !self.bare && plan.has_options();
        if !could_be_bare || !is_about_parameters(*stage, answer) {
            return self.settle(first);
        }
        let refused_at = *stage;
        // It is owed what clears the refused one; if that cannot be said, this is the outcome.
        let refused = self.settle(first);
        if self.over {
            return refused;
        }
        let second = self.say_opening(&plan.commands(true)).await;
        // Only what helped is kept: the address may be what is wrong.
        self.bare = match &second {
            Opening::Open => true,
            Opening::Refused { stage, .. } => *stage > refused_at,
        };
        self.settle(second)
    }

    /// Remembers what a refusal leaves to be said.
    fn settle(&mut self, opening: Opening) -> Result<(), Ended> {
        match opening {
            Opening::Open => Ok(()),
            Opening::Refused {
                stage,
                answer,
                then,
            } => {
                self.owed = Some(then);
                self.over |= then == Then::HangUp;
                Err(Ended::new(stage, answer))
            }
        }
    }

    fn hang_up(&mut self, ended: Ended) -> Ended {
        self.over = true;
        ended
    }

    /// Says the three commands, after what is owed: at once where groups are taken, else one after the other for as long as
    /// the transaction goes on.
    async fn say_opening(&mut self, commands: &[String; 3]) -> Opening {
        let owed = self.owed.take();
        let before = match owed {
            Some(Then::Reset) => RESET,
            Some(Then::LoneDot) => ".\r\n",
            Some(Then::HangUp) | None => "",
        };
        if self.can.pipelining {
            let group = [before, &commands.concat()].concat();
            let first = self.say(Stage::Mail, &group).await;
            if before.is_empty() {
                return self.hear_rest(first).await;
            }
            return self.hear_opening(owed, first).await;
        }
        if !before.is_empty() && !is_cleared(owed, &self.say(Stage::Mail, before).await) {
            return gone();
        }
        let [mail, rcpt, data] = commands;
        let mail = self.say(Stage::Mail, mail).await;
        let so_far = opening(&mail, None, None, &self.texts);
        if so_far != Opening::Open {
            return so_far;
        }
        let rcpt = self.say(Stage::Rcpt, rcpt).await;
        let so_far = opening(&mail, Some(&rcpt), None, &self.texts);
        if so_far != Opening::Open {
            return so_far;
        }
        let data = self.say(Stage::Data, data).await;
        opening(&mail, Some(&rcpt), Some(&data), &self.texts)
    }

    /// The replies to a group after the first, which is that to what was owed.
    async fn hear_opening(&mut self, owed: Option<Then>, first: Answer) -> Opening {
        if !is_cleared(owed, &first) {
            return gone();
        }
        let mail = self.hear(Stage::Mail).await;
        self.hear_rest(mail).await
    }

    async fn hear_rest(&mut self, mail: Answer) -> Opening {
        let rcpt = self.hear_after(&mail, Stage::Rcpt).await;
        let data = self.hear_after(&rcpt, Stage::Data).await;
        opening(&mail, Some(&rcpt), Some(&data), &self.texts)
    }

    /// After a relay fell silent there is nothing to wait for.
    async fn hear_after(&mut self, before: &Answer, stage: Stage) -> Answer {
        match before {
            Answer::Reply(reply) if reply.code != 421 => self.hear(stage).await,
            Answer::Reply(_) | Answer::Lost | Answer::TimedOut | Answer::Tls | Answer::Garbled => {
                Answer::Lost
            }
        }
    }

    /// The body and its dot, with the next letter's group behind them. Until the dot's last byte is handed to the socket a
    /// loss is only a loss; from then on it is a doubt.
    async fn hand_over(&mut self, mut text: String, next: Option<[String; 3]>) -> Ended {
        let before = self.wire.handed();
        let dot_at = before + text.len() as u64;
        if let Some(next) = &next {
            // A refusal after the dot leaves the transaction open in Postfix: without it the next recipient would join it.
            text.push_str(RESET);
            next.iter().for_each(|command| text.push_str(command));
        }
        let all_at = before + text.len() as u64;
        let answer = {
            let reply = heard(self.line.command(text));
            in_two(&mut self.wire, dot_at, &self.limits, reply).await
        };
        let handed = self.wire.handed();
        let stage = stage_of(before, dot_at, handed);
        let answer = match answer {
            // A reply to a body that has not been sent was never meant for it.
            Answer::Reply(reply) if stage != Stage::Dot && reply.code != 421 => Answer::Garbled,
            Answer::Reply(reply) if reply.class() == 3 => Answer::Garbled,
            answer => answer,
        };
        match &answer {
            Answer::Reply(reply) if reply.code != 421 && handed == all_at => {
                let is_refused = reply.class() != 2;
                self.owed = (is_refused && next.is_none()).then_some(Then::Reset);
                self.named = next;
            }
            _ => self.over = true,
        }
        Ended::new(stage, answer)
    }

    /// Says goodbye, and does not mind the answer.
    pub(super) async fn quit(mut self) {
        // With a letter named the relay may be waiting for its body, and would take a QUIT for that.
        if self.over || self.named.is_some() {
            return;
        }
        let limit = self.limits.quit;
        let goodbye = async {
            if self.owed == Some(Then::LoneDot) {
                self.say(Stage::Data, ".\r\n").await;
            }
            self.line.abort().await;
        };
        // Whatever happens here, each message has its answer already.
        let _ = timeout(limit, goodbye).await;
    }

    /// One command and its reply, which must be one that lets the conversation go on.
    async fn ask(&mut self, stage: Stage, command: &str) -> Result<(), Ended> {
        let answer = self.say(stage, command).await;
        self.expected(stage, answer)
    }

    fn expected(&self, stage: Stage, answer: Answer) -> Result<(), Ended> {
        let ruling = ruling(stage, &answer, &self.texts);
        match (ruling.outcome, &answer) {
            (None, _) => Ok(()),
            // A positive reply that has no place here is none that we can go on with.
            (Some(_), Answer::Reply(reply)) if reply.class() < 4 => {
                Err(Ended::new(stage, Answer::Garbled))
            }
            (Some(_), _) => Err(Ended::new(stage, answer)),
        }
    }

    /// Says it, one command or a group, and hears the first answer. One that was there before all of it had left was not
    /// meant for it, unless it is that the relay is closing.
    pub(super) async fn say(&mut self, stage: Stage, text: &str) -> Answer {
        let all_at = self.wire.handed() + text.len() as u64;
        let limit = self.limits.of(stage);
        let answer = timeout(limit, heard(self.line.command(text)))
            .await
            .unwrap_or(Answer::TimedOut);
        match answer {
            Answer::Reply(reply) if reply.code != 421 && self.wire.handed() < all_at => {
                Answer::Garbled
            }
            answer => answer,
        }
    }

    /// A further answer to what was said.
    async fn hear(&mut self, stage: Stage) -> Answer {
        let limit = self.limits.of(stage);
        timeout(limit, heard(self.line.read_response()))
            .await
            .unwrap_or(Answer::TimedOut)
    }
}

impl Limits {
    /// How long one reply may take.
    const fn of(&self, stage: Stage) -> Duration {
        match stage {
            Stage::Connect => self.connect,
            Stage::Greeting => self.greeting,
            Stage::Ehlo => self.ehlo,
            Stage::StartTls => self.start_tls,
            Stage::Auth => self.auth,
            Stage::Mail => self.mail,
            Stage::Rcpt => self.rcpt,
            Stage::Data => self.data,
            Stage::Body => self.body,
            Stage::Dot => self.dot,
            Stage::Quit => self.quit,
        }
    }
}

/// How far a body came that begins behind `before` bytes and ends with the `dot_at`th, when so many were `handed` over.
const fn stage_of(before: u64, dot_at: u64, handed: u64) -> Stage {
    if handed >= dot_at {
        Stage::Dot
    } else if handed > before {
        Stage::Body
    } else {
        // Not a byte of it has left: the relay stopped waiting.
        Stage::Data
    }
}

/// Whether the transaction before is out of the way. A lone dot is expected to fail.
fn is_cleared(owed: Option<Then>, answer: &Answer) -> bool {
    match (owed, answer) {
        (Some(Then::LoneDot), Answer::Reply(reply)) => reply.code != 421 && reply.class() != 3,
        (_, Answer::Reply(reply)) => reply.class() == 2,
        (_, Answer::Lost | Answer::TimedOut | Answer::Tls | Answer::Garbled) => false,
    }
}

/// The connection ended before this letter's turn.
const fn gone() -> Opening {
    Opening::Refused {
        stage: Stage::Mail,
        answer: Answer::Lost,
        then: Then::HangUp,
    }
}

/// Waits for the answer to a dot whose last byte is the `dot_at`th. Until it is handed over each further part may take the
/// body's time; from then on the answer has the dot's.
async fn in_two(
    wire: &mut Wire<TcpStream>,
    dot_at: u64,
    limits: &Limits,
    work: impl Future<Output = Answer>,
) -> Answer {
    let mut work = std::pin::pin!(work);
    while wire.handed() < dot_at {
        let part = timeout(limits.body, async {
            tokio::select! {
                biased;
                done = &mut work => Some(done),
                () = wire.moved() => None,
            }
        });
        match part.await {
            Ok(Some(done)) => return done,
            Ok(None) => {}
            Err(_) => return Answer::TimedOut,
        }
    }
    timeout(limits.dot, work).await.unwrap_or(Answer::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dots_last_byte_parts_a_loss_from_a_doubt_whatever_is_written_behind_it() {
        // 100 bytes are gone, the body with its dot has 40, and a group follows.
        for (handed, stage) in [
            (100, Stage::Data),
            (101, Stage::Body),
            (139, Stage::Body),
            (140, Stage::Dot),
            (141, Stage::Dot),
            (300, Stage::Dot),
        ] {
            assert_eq!(stage_of(100, 140, handed), stage, "{handed}");
        }
    }
}
