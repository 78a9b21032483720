//! A relay of our own: many threads, pipelining, a log of every letter that it took, and all the moods a relay can have.
//!
//! A letter is in the log from the moment before its 250 goes out: whatever becomes of the answer, the relay has it.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use division_bell::clock::Clock;
use division_bell::domain::Moment;
use sha2::{Digest, Sha256};

/// A letter that it took.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taken {
    pub to: String,
    /// SHA-256 of its bytes, without doubled dots.
    pub hash: [u8; 32],
    pub at: Moment,
    /// Which call it came in, from 1.
    pub call: u64,
}

/// Where in a conversation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum At {
    Mail,
    Rcpt,
    Data,
    Dot,
}

/// What is said to some recipients, in place of yes.
#[derive(Clone, Debug)]
pub struct No {
    pub at: At,
    /// All whose address contains this.
    pub to: String,
    pub reply: String,
}

/// A running one.
pub struct Sink {
    pub port: u16,
    inner: Arc<Inner>,
    door: Mutex<Option<JoinHandle<()>>>,
}

struct Inner {
    clock: Mutex<Clock>,
    taken: Mutex<Vec<Taken>>,
    count: AtomicUsize,
    calls: Mutex<Vec<Moment>>,
    /// Who is connected now.
    callers: Mutex<HashMap<u64, TcpStream>>,
    next_call: AtomicU64,
    is_closing: AtomicBool,
    /// Whoever calls is hung up on.
    is_deaf: AtomicBool,
    /// So many letters are taken, and nobody is told so.
    hang_ups: AtomicUsize,
    refusals: Mutex<Vec<No>>,
    /// How long each answer to a dot takes.
    dot_delay: Mutex<Duration>,
}

impl Sink {
    pub fn start() -> Self {
        let inner = Arc::new(Inner {
            clock: Mutex::new(Clock::System),
            taken: Mutex::default(),
            count: AtomicUsize::new(0),
            calls: Mutex::default(),
            callers: Mutex::default(),
            next_call: AtomicU64::new(1),
            is_closing: AtomicBool::new(false),
            is_deaf: AtomicBool::new(false),
            hang_ups: AtomicUsize::new(0),
            refusals: Mutex::default(),
            dot_delay: Mutex::default(),
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let door = Mutex::new(Some(listen(listener, &inner)));
        Self { port, inner, door }
    }

    /// Its log is in this clock's time from now on.
    pub fn follow(&self, clock: &Clock) {
        *self.inner.clock.lock().unwrap() = clock.clone();
    }

    /// The lines of `[mail.relay]` for it. What is drilled is found at once, not after the timeouts of RFC 5321.
    pub fn relay(&self, window: u16) -> String {
        relay(self.port, window)
    }

    pub fn taken(&self) -> Vec<Taken> {
        self.inner.taken.lock().unwrap().clone()
    }

    /// How many letters it took.
    pub fn count(&self) -> usize {
        self.inner.count.load(Ordering::SeqCst)
    }

    /// When it was called, each time.
    pub fn calls(&self) -> Vec<Moment> {
        self.inner.calls.lock().unwrap().clone()
    }

    pub fn call_count(&self) -> usize {
        self.inner.calls.lock().unwrap().len()
    }

    /// Whether nobody is connected any more: all that was sent has been read.
    pub fn is_idle(&self) -> bool {
        self.inner.callers.lock().unwrap().is_empty()
    }

    /// Cuts off whoever is connected.
    pub fn hang_up_on_all(&self) {
        for (_, stream) in self.inner.callers.lock().unwrap().drain() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// As when its machine dies: nobody listens, and everybody who was connected is cut off.
    pub fn go_away(&self) {
        let Some(door) = self.door.lock().unwrap().take() else {
            return;
        };
        self.inner.is_closing.store(true, Ordering::SeqCst);
        // Wakes whoever waits for a call.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        door.join().unwrap();
        self.hang_up_on_all();
    }

    /// Listens again, on the same port.
    pub fn come_back(&self) {
        let mut door = self.door.lock().unwrap();
        if door.is_some() {
            return;
        }
        self.inner.is_closing.store(false, Ordering::SeqCst);
        let listener = (0..100)
            .find_map(|_| {
                let bound = TcpListener::bind(("127.0.0.1", self.port)).ok();
                if bound.is_none() {
                    std::thread::sleep(Duration::from_millis(20));
                }
                bound
            })
            .expect("the sink's own port");
        *door = Some(listen(listener, &self.inner));
    }

    /// Hangs up on whoever calls, and counts them; or not.
    pub fn be_deaf(&self, deaf: bool) {
        self.inner.is_deaf.store(deaf, Ordering::SeqCst);
        if deaf {
            self.hang_up_on_all();
        }
    }

    /// Takes the next `count` letters and hangs up instead of saying so.
    pub fn hang_up_after_taking(&self, count: usize) {
        self.inner.hang_ups.store(count, Ordering::SeqCst);
    }

    pub fn answer_dots_after(&self, delay: Duration) {
        *self.inner.dot_delay.lock().unwrap() = delay;
    }

    /// Says no to these from now on, in place of all that it said no to before.
    pub fn refuse(&self, refusals: &[No]) {
        *self.inner.refusals.lock().unwrap() = refusals.to_vec();
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.go_away();
    }
}

/// The lines of `[mail.relay]` for a relay on this port.
pub fn relay(port: u16, window: u16) -> String {
    format!(
        "kind = \"smtp\"\nhost = \"127.0.0.1\"\ntls = \"none\"\nport = {port}\nhello = \"bell.parl.example\"\nconnections = 4\ndoubt_window = {window}\nmessages_per_connection = 1000"
    )
}

fn listen(listener: TcpListener, inner: &Arc<Inner>) -> JoinHandle<()> {
    let inner = Arc::clone(inner);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            if inner.is_closing.load(Ordering::SeqCst) {
                return;
            }
            let Ok(stream) = stream else { continue };
            let call = inner.next_call.fetch_add(1, Ordering::SeqCst);
            inner.calls.lock().unwrap().push(inner.now());
            if inner.is_deaf.load(Ordering::SeqCst) {
                continue;
            }
            let _ = stream.set_nodelay(true);
            inner
                .callers
                .lock()
                .unwrap()
                .insert(call, stream.try_clone().unwrap());
            let inner = Arc::clone(&inner);
            std::thread::spawn(move || {
                // Whoever calls may hang up whenever they like.
                let _ = converse(&stream, call, &inner);
                let _ = stream.shutdown(Shutdown::Both);
                inner.callers.lock().unwrap().remove(&call);
            });
        }
    })
}

const HELLO: &str = "250-sink.parl.example\r\n250-PIPELINING\r\n250-SIZE 10000000\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 DSN\r\n";

fn converse(stream: &TcpStream, call: u64, inner: &Inner) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream);
    let mut out = BufWriter::new(stream);
    out.write_all(b"220 sink.parl.example ESMTP\r\n")?;
    let mut to: Vec<String> = Vec::new();
    loop {
        // The answers to a group go out together, once nothing of it is left.
        if lines.buffer().is_empty() {
            out.flush()?;
        }
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let verb = line
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        let answer = match verb.as_str() {
            "EHLO" => HELLO.to_owned(),
            "MAIL" => {
                to.clear();
                inner.answer(At::Mail, &line, "250 2.1.0 ok")
            }
            "RCPT" => {
                let answer = inner.answer(At::Rcpt, &line, "250 2.1.5 ok");
                if answer.starts_with('2') {
                    let start = line.find('<').map_or(0, |at| at + 1);
                    let end = line.find('>').unwrap_or(line.len());
                    to.push(line[start..end].to_owned());
                }
                answer
            }
            "DATA" if to.is_empty() => "554 5.5.1 no valid recipients\r\n".to_owned(),
            "DATA" => {
                let answer = inner.answer(At::Data, &to.join(" "), "354 go on");
                if answer.starts_with('3') {
                    out.write_all(answer.as_bytes())?;
                    out.flush()?;
                    let hash = data(&mut lines)?;
                    match inner.take(&mut to, hash, call) {
                        Some(answer) => answer,
                        None => return Ok(()),
                    }
                } else {
                    answer
                }
            }
            "RSET" => {
                to.clear();
                "250 2.0.0 ok\r\n".to_owned()
            }
            "QUIT" => {
                out.write_all(b"221 2.0.0 bye\r\n")?;
                return out.flush();
            }
            "NOOP" => "250 2.0.0 ok\r\n".to_owned(),
            _ => "502 5.5.1 not here\r\n".to_owned(),
        };
        out.write_all(answer.as_bytes())?;
    }
}

impl Inner {
    fn now(&self) -> Moment {
        self.clock.lock().unwrap().now()
    }

    fn answer(&self, at: At, about: &str, yes: &str) -> String {
        let refusals = self.refusals.lock().unwrap();
        let no = refusals
            .iter()
            .find(|no| no.at == at && about.contains(&no.to));
        format!("{}\r\n", no.map_or(yes, |no| &no.reply))
    }

    /// What is answered to a dot; none if it is time to hang up.
    fn take(&self, to: &mut Vec<String>, hash: [u8; 32], call: u64) -> Option<String> {
        let delay = *self.dot_delay.lock().unwrap();
        if !delay.is_zero() {
            std::thread::sleep(delay);
        }
        let answer = self.answer(At::Dot, &to.join(" "), "250 2.0.0 taken");
        if answer.starts_with('2') {
            let mut taken = self.taken.lock().unwrap();
            for to in to.drain(..) {
                let at = self.now();
                taken.push(Taken { to, hash, at, call });
                self.count.fetch_add(1, Ordering::SeqCst);
            }
            let left = |left: usize| left.checked_sub(1);
            if self
                .hang_ups
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, left)
                .is_ok()
            {
                return None;
            }
        }
        Some(answer)
    }
}

/// Up to the final dot, without the dots that were doubled.
fn data(lines: &mut BufReader<&TcpStream>) -> std::io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(hash.finalize().into());
        }
        hash.update(line.strip_prefix(b".").unwrap_or(&line));
    }
}

#[test]
fn a_group_is_answered_in_its_order_and_what_was_taken_is_known() {
    let sink = Sink::start();
    let refusal = |at, to: &str, reply: &str| No {
        at,
        to: to.to_owned(),
        reply: reply.to_owned(),
    };
    sink.refuse(&[refusal(At::Rcpt, "bea@", "450 4.2.1 not now")]);
    let stream = TcpStream::connect(("127.0.0.1", sink.port)).unwrap();
    let mut lines = BufReader::new(&stream).lines().map(Result::unwrap);
    let say = |text: &str| (&stream).write_all(text.as_bytes()).unwrap();
    assert!(lines.next().unwrap().starts_with("220"));
    say("EHLO x\r\n");
    assert!(lines.by_ref().any(|line| line == "250 DSN"));
    say("MAIL FROM:<>\r\nRCPT TO:<ada@parl.example>\r\nRCPT TO:<bea@parl.example>\r\nDATA\r\n");
    let answers: Vec<String> = lines.by_ref().take(4).collect();
    assert_eq!(
        answers.iter().map(|one| &one[..3]).collect::<Vec<_>>(),
        ["250", "250", "450", "354"]
    );
    say("one\r\n..two\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<bea@parl.example>\r\nDATA\r\nRSET\r\n");
    let answers: Vec<String> = lines.by_ref().take(5).collect();
    assert_eq!(
        answers.iter().map(|one| &one[..3]).collect::<Vec<_>>(),
        ["250", "250", "450", "554", "250"]
    );
    let taken = sink.taken();
    assert_eq!(
        (taken.len(), taken[0].to.as_str(), taken[0].call),
        (1, "ada@parl.example", 1)
    );
    assert_eq!(
        taken[0].hash,
        <[u8; 32]>::from(Sha256::digest(b"one\r\n.two\r\n"))
    );
    sink.hang_up_after_taking(1);
    say("MAIL FROM:<>\r\nRCPT TO:<ada@parl.example>\r\nDATA\r\n");
    assert_eq!(lines.by_ref().take(3).count(), 3);
    say("three\r\n.\r\n");
    assert_eq!(lines.next(), None);
    assert_eq!(sink.count(), 2);
    sink.go_away();
    assert!(TcpStream::connect(("127.0.0.1", sink.port)).is_err());
    sink.come_back();
    assert!(TcpStream::connect(("127.0.0.1", sink.port)).is_ok());
}
