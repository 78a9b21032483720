//! A strict relay: it knows RFC 5321 and RFC 2920, does what its script says, and writes down what its caller does wrong.
//!
//! It answers as RFC 2920 section 3.2 asks: all that came at once is worked through, then all answers go out at once. Such a
//! turn is what a caller pays a round trip for.

use std::sync::{Arc, Mutex};

use data_encoding::BASE64;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// Where a letter is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum At {
    Mail,
    Rcpt,
    Data,
    Dot,
}

/// What is done in place of the usual answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Act {
    /// Says this. With 421 it hangs up behind it.
    Say(String),
    /// Agrees, and forgets to say so.
    Skip,
    /// Hangs up.
    HangUp,
    /// Breaks the connection, as a machine does that falls over.
    Reset,
    /// Says nothing for ever.
    Silence,
}

impl Act {
    pub fn say(text: &str) -> Self {
        Self::Say(text.into())
    }
}

/// Which letter is at which point: the token of its envelope sender, and whether it is the first of this call.
pub struct Point<'a> {
    pub letter: &'a str,
    pub at: At,
    pub is_first: bool,
}

type Script = Box<dyn Fn(&Point<'_>) -> Option<Act> + Send + Sync>;

/// What it offers, and how it answers.
pub struct Manners {
    pub keywords: Vec<String>,
    pub script: Script,
    /// To DATA when nobody takes the letter.
    pub without_recipient: String,
    /// To the lone dot that may follow.
    pub lone_dot: String,
    /// Takes little at once, and breaks the connection after so many bytes of a letter.
    pub breaks_after: Option<usize>,
    /// The token that signs in, if one is wanted, and what a refusal is followed by.
    pub token: Option<String>,
    /// Hangs up in place of the reply that follows the challenge.
    pub hangs_up_on_bad_token: bool,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            keywords: vec!["PIPELINING".into(), "8BITMIME".into()],
            script: Box::new(|_| None),
            without_recipient: "554 5.5.1 no valid recipients".into(),
            lone_dot: "554 5.5.1 no valid recipients".into(),
            breaks_after: None,
            token: None,
            hangs_up_on_bad_token: false,
        }
    }
}

impl Manners {
    pub fn offering(keywords: &[&str]) -> Self {
        Self {
            keywords: keywords.iter().map(|&keyword| keyword.into()).collect(),
            ..Self::default()
        }
    }

    pub fn acting(
        mut self,
        script: impl Fn(&Point<'_>) -> Option<Act> + Send + Sync + 'static,
    ) -> Self {
        self.script = Box::new(script);
        self
    }
}

/// What it has seen.
#[derive(Default, Clone, Debug)]
pub struct Seen {
    pub calls: usize,
    /// The commands of each turn; `<body>` for a letter's bytes.
    pub turns: Vec<Vec<String>>,
    /// Token, bytes, and what was answered to the dot: every letter that was complete.
    pub letters: Vec<(String, Vec<u8>, String)>,
    /// What the caller did that no caller may do.
    pub wrong: Vec<String>,
}

impl Seen {
    /// Token and bytes of the letters that it has taken.
    pub fn taken(&self) -> Vec<(String, Vec<u8>)> {
        let taken = self.letters.iter().filter(|(.., said)| is_positive(said));
        taken
            .map(|(letter, bytes, _)| (letter.clone(), bytes.clone()))
            .collect()
    }

    /// The turns that are about letters, each in one line.
    pub fn turns_of_letters(&self) -> Vec<String> {
        let verbs = |turn: &Vec<String>| {
            let verbs = turn
                .iter()
                .filter_map(|said| said.split([' ', '\r']).next());
            verbs.collect::<Vec<_>>().join(" ")
        };
        let turns = self.turns.iter().map(verbs);
        turns
            .filter(|turn| !matches!(turn.as_str(), "EHLO" | "QUIT" | "" | "AUTH"))
            .collect()
    }
}

/// Whether a letter that was answered like this is the relay's from now on.
pub fn is_positive(said: &str) -> bool {
    said.lines().all(|line| line.starts_with('2'))
}

/// A running one.
pub struct Strict {
    pub port: u16,
    seen: Arc<Mutex<Seen>>,
}

impl Strict {
    pub async fn start(manners: Manners) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        if manners.breaks_after.is_some() {
            socket.set_recv_buffer_size(4096).unwrap();
        }
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(64).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (manners, shared) = (Arc::new(manners), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.lock().unwrap().calls += 1;
                let talk = Talk::new(stream, Arc::clone(&manners), Arc::clone(&shared));
                tokio::spawn(talk.run());
            }
        });
        Self { port, seen }
    }

    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Commands,
    Body,
    /// The answer to a challenge, and whether that ends it.
    Challenge,
}

struct Talk {
    stream: TcpStream,
    manners: Arc<Manners>,
    seen: Arc<Mutex<Seen>>,
    unread: Vec<u8>,
    answers: String,
    turn: Vec<String>,
    takes: Takes,
    letter: Option<String>,
    has_recipient: bool,
    letters: usize,
    body: Vec<u8>,
    size: Option<usize>,
    /// What to say to a challenge.
    expects: &'static str,
    signed_in: bool,
}

/// Why a talk ends.
struct Over;

impl Talk {
    fn new(stream: TcpStream, manners: Arc<Manners>, seen: Arc<Mutex<Seen>>) -> Self {
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            manners,
            seen,
            unread: Vec::new(),
            answers: "220 strict.parl.example ESMTP\r\n".into(),
            turn: Vec::new(),
            takes: Takes::Commands,
            letter: None,
            has_recipient: false,
            letters: 0,
            body: Vec::new(),
            size: None,
            expects: "",
            signed_in: false,
        }
    }

    async fn run(mut self) {
        // Whoever calls may hang up whenever they like.
        while self.step().await.is_ok() {}
    }

    async fn step(&mut self) -> Result<(), Over> {
        let Some(end) = self.unread.windows(2).position(|two| two == b"\r\n") else {
            self.flush().await?;
            return self.read().await;
        };
        let line: Vec<u8> = self.unread.drain(..end + 2).collect();
        match self.takes {
            Takes::Body => self.body_line(&line).await,
            Takes::Challenge => self.challenged(&line).await,
            Takes::Commands => self.command(&String::from_utf8_lossy(&line)).await,
        }
    }

    async fn read(&mut self) -> Result<(), Over> {
        let small = self.manners.breaks_after.is_some();
        let mut space = vec![0; if small { 512 } else { 1 << 20 }];
        match self.stream.read(&mut space).await {
            Ok(count) if count > 0 => self.unread.extend_from_slice(&space[..count]),
            _ => return Err(Over),
        }
        Ok(())
    }

    /// Ends a turn.
    async fn flush(&mut self) -> Result<(), Over> {
        if self.answers.is_empty() {
            return Ok(());
        }
        let turn = std::mem::take(&mut self.turn);
        self.seen.lock().unwrap().turns.push(turn);
        let answers = std::mem::take(&mut self.answers);
        self.stream
            .write_all(answers.as_bytes())
            .await
            .map_err(|_| Over)
    }

    fn wrong(&self, what: &str) {
        self.seen.lock().unwrap().wrong.push(what.to_owned());
    }

    fn say(&mut self, text: &str) {
        self.answers.push_str(text);
        self.answers.push_str("\r\n");
    }

    fn offers(&self, keyword: &str) -> bool {
        self.manners.keywords.iter().any(|one| one == keyword)
    }

    /// Does what the script says, or gives the usual answer. True if that is a positive one.
    async fn act(&mut self, at: At, usual: &str) -> Result<bool, Over> {
        let point = Point {
            letter: self.letter.as_deref().unwrap_or_default(),
            at,
            is_first: self.letters == 1,
        };
        let act = (self.manners.script)(&point).unwrap_or_else(|| Act::say(usual));
        let text = match act {
            Act::Say(text) => text,
            Act::Skip => return Ok(true),
            Act::HangUp => {
                self.flush().await?;
                return Err(Over);
            }
            Act::Reset => {
                self.flush().await?;
                self.reset();
                return Err(Over);
            }
            Act::Silence => {
                self.flush().await?;
                while self.read().await.is_ok() {}
                return Err(Over);
            }
        };
        self.say(&text);
        if at == At::Dot {
            let letter = (
                self.letter.clone().unwrap_or_default(),
                std::mem::take(&mut self.body),
                text.clone(),
            );
            self.seen.lock().unwrap().letters.push(letter);
        }
        if text.starts_with("421") {
            self.flush().await?;
            return Err(Over);
        }
        Ok(matches!(text.as_bytes().first(), Some(b'2' | b'3')))
    }

    fn reset(&self) {
        // The kernel then sends a reset in place of an orderly end.
        self.stream.set_zero_linger().unwrap();
    }

    async fn command(&mut self, line: &str) -> Result<(), Over> {
        self.turn.push(line.trim_end().to_owned());
        let verb = line
            .split_whitespace()
            .next()
            .unwrap_or("")
            .to_ascii_uppercase();
        if !self.unread.is_empty() {
            if !self.offers("PIPELINING") {
                self.wrong("says more than one thing at once without PIPELINING");
            }
            if matches!(
                verb.as_str(),
                "EHLO" | "DATA" | "QUIT" | "AUTH" | "STARTTLS"
            ) {
                self.wrong(&format!("{verb} is not the last of its group"));
            }
        }
        if self.manners.token.is_some() && !self.signed_in && verb == "MAIL" {
            self.wrong("MAIL before AUTH");
        }
        match verb.as_str() {
            "EHLO" => {
                let mut lines = vec!["strict.parl.example".to_owned()];
                lines.extend(self.manners.keywords.iter().cloned());
                let last = lines.pop().unwrap();
                for line in lines {
                    self.say(&format!("250-{line}"));
                }
                self.say(&format!("250 {last}"));
            }
            "AUTH" => self.auth(line),
            "MAIL" => return self.mail(line).await,
            "RCPT" if self.letter.is_none() => self.unbidden("RCPT", "503 5.5.1 MAIL first"),
            "RCPT" => self.has_recipient |= self.act(At::Rcpt, "250 2.1.5 ok").await?,
            "DATA" if !self.has_recipient => {
                let text = self.manners.without_recipient.clone();
                if text.starts_with("354") {
                    self.takes = Takes::Body;
                }
                self.unbidden("DATA", &text);
            }
            "DATA" => {
                if self.act(At::Data, "354 go on").await? {
                    self.takes = Takes::Body;
                }
            }
            "RSET" => {
                self.end_transaction();
                self.say("250 2.0.0 ok");
            }
            "QUIT" => {
                self.say("221 2.0.0 bye");
                self.flush().await?;
                return Err(Over);
            }
            _ => {
                self.wrong(&format!("no command: {verb}"));
                self.say("500 5.5.2 what");
            }
        }
        Ok(())
    }

    /// Where no group is spoken, the caller knows already that this has no place.
    fn unbidden(&mut self, verb: &str, text: &str) {
        if !self.offers("PIPELINING") {
            self.wrong(&format!("{verb} out of place"));
        }
        self.say(text);
    }

    async fn mail(&mut self, line: &str) -> Result<(), Over> {
        if self.letter.is_some() {
            self.wrong("MAIL in mid-transaction");
            self.say("503 5.5.1 nested MAIL");
            return Ok(());
        }
        self.letters += 1;
        let local = line.split(['<', '@']).nth(1).unwrap_or("");
        let letter = local.split_once('+').map_or(local, |(_, token)| token);
        self.letter = Some(letter.to_owned());
        self.size = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix("SIZE=")?.parse().ok());
        for (option, keyword) in [
            ("SIZE=", "SIZE"),
            ("RET=", "DSN"),
            ("BODY=", "8BITMIME"),
            ("SMTPUTF8", "SMTPUTF8"),
        ] {
            let offered = self
                .manners
                .keywords
                .iter()
                .any(|one| one.starts_with(keyword));
            if line.contains(&format!(" {option}")) && !offered {
                self.wrong(&format!("{option} without {keyword}"));
            }
        }
        if !self.act(At::Mail, "250 2.1.0 ok").await? {
            self.letter = None;
        }
        Ok(())
    }

    fn end_transaction(&mut self) {
        self.letter = None;
        self.has_recipient = false;
        self.body.clear();
        self.takes = Takes::Commands;
    }

    async fn body_line(&mut self, line: &[u8]) -> Result<(), Over> {
        if line != b".\r\n" {
            self.body
                .extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
            if self
                .manners
                .breaks_after
                .is_some_and(|most| self.body.len() > most)
            {
                self.reset();
                return Err(Over);
            }
            return Ok(());
        }
        self.turn.push("<body>".into());
        if !self.unread.is_empty() && !self.offers("PIPELINING") {
            self.wrong("says more behind a letter without PIPELINING");
        }
        if self.has_recipient {
            if self.size.is_some_and(|size| size != self.body.len()) {
                self.wrong("another SIZE than was announced");
            }
            if !self.act(At::Dot, "250 2.0.0 taken").await? {
                // As Postfix does, against RFC 5321 section 4.1.1.4: the transaction stays open.
                self.takes = Takes::Commands;
                return Ok(());
            }
        } else {
            if !self.body.is_empty() {
                self.wrong("a letter that nobody takes");
            }
            let text = self.manners.lone_dot.clone();
            self.say(&text);
        }
        self.end_transaction();
        Ok(())
    }

    fn auth(&mut self, line: &str) {
        let mut words = line.split_whitespace().skip(1);
        let mechanism = words.next().unwrap_or_default();
        if !self.manners.keywords.iter().any(|one| {
            one.starts_with("AUTH") && one.split(' ').any(|offered| offered == mechanism)
        }) {
            self.wrong("a way to sign in that was not offered");
        }
        let said = BASE64
            .decode(words.next().unwrap_or_default().as_bytes())
            .unwrap_or_default();
        let token = self.manners.token.clone().unwrap_or_default();
        let expected = match mechanism {
            "XOAUTH2" => format!("user=bell\x01auth=Bearer {token}\x01\x01"),
            "OAUTHBEARER" => format!(
                "n,a=bell,\x01host=localhost\x01port={}\x01auth=Bearer {token}\x01\x01",
                self.stream.local_addr().unwrap().port()
            ),
            _ => format!("\0bell\0{token}"),
        };
        if said == expected.as_bytes() {
            self.signed_in = true;
            self.say("235 2.7.0 welcome");
            return;
        }
        self.expects = match mechanism {
            "XOAUTH2" => "",
            "OAUTHBEARER" => "AQ==",
            _ => return self.say("535 5.7.8 wrong"),
        };
        self.takes = Takes::Challenge;
        let why = BASE64.encode(br#"{"status":"invalid_token"}"#);
        let said = String::from_utf8_lossy(&said).replace('\x01', " ");
        self.turn.push(format!("refused: {said}"));
        self.say(&format!("334 {why}"));
    }

    async fn challenged(&mut self, line: &[u8]) -> Result<(), Over> {
        let said = String::from_utf8_lossy(line);
        if said.trim_end() != self.expects {
            self.wrong("a challenge is not answered as it should be");
        }
        self.takes = Takes::Commands;
        let refused = self.last_refused().unwrap_or_default();
        if self.manners.hangs_up_on_bad_token {
            return Err(Over);
        }
        self.say(&format!("535 5.7.8 no: {refused}"));
        Ok(())
    }

    /// What was refused: as some relays do, it is told again.
    fn last_refused(&self) -> Option<String> {
        let seen = self.seen.lock().unwrap();
        let last = seen.turns.iter().flatten().rev();
        last.into_iter()
            .find_map(|said| said.strip_prefix("refused: "))
            .map(str::to_owned)
    }
}
