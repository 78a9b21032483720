//! A proxy between the program and a relay or a database that spoils conversations at a chosen place.
//!
//! It passes everything on but what it was told to spoil. A network never loses the middle of a conversation, so whatever
//! swallows an answer swallows all that follows it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use socket2::SockRef;

/// Where an SMTP conversation is spoiled: at the answer to this, unless it says otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Greeting,
    Ehlo,
    Mail,
    Rcpt,
    Data,
    /// When the relay has a part of the letter.
    MidBody,
    /// When the relay has all of the letter but its dot.
    BeforeDot,
    /// When the relay has the letter, before its answer passes.
    AfterDot,
    /// When a part of that answer has passed.
    MidReply,
}

pub const PLACES: [Place; 9] = [
    Place::Greeting,
    Place::Ehlo,
    Place::Mail,
    Place::Rcpt,
    Place::Data,
    Place::MidBody,
    Place::BeforeDot,
    Place::AfterDot,
    Place::MidReply,
];

impl Place {
    /// Whether the relay has the letter, and the program cannot know.
    pub fn leaves_doubt(self) -> bool {
        matches!(self, Self::AfterDot | Self::MidReply)
    }
}

/// What is done there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deed {
    Delay(Duration),
    /// FIN to both.
    Cut,
    /// RST to both.
    Reset,
    /// Nothing more comes through, and nobody is told.
    Swallow,
    /// From the beginning, one byte at a time.
    Slice,
}

/// Whose conversations are spoiled.
#[derive(Clone, Copy, Debug)]
pub enum Whom {
    /// The first that call.
    First(usize),
    /// So many in a hundred, by this seed.
    Percent(u64, u64),
}

/// A running one.
pub struct Proxy {
    pub port: u16,
    inner: Arc<Inner>,
}

struct Inner {
    to: u16,
    spoils: Option<(Place, Deed, Whom)>,
    calls: AtomicUsize,
    spoilt: AtomicUsize,
    is_over: AtomicBool,
    /// Those who talk own their line: it is closed when both of them have ended.
    lines: Mutex<Vec<Weak<Line>>>,
}

impl Proxy {
    /// In front of a relay on this port.
    pub fn smtp(to: u16, place: Place, deed: Deed, whom: Whom) -> Self {
        Self::start(to, Some((place, deed, whom)))
    }

    /// In front of anything; it passes on what it hears until it is told to cut.
    pub fn plain(to: u16) -> Self {
        Self::start(to, None)
    }

    fn start(to: u16, spoils: Option<(Place, Deed, Whom)>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let inner = Arc::new(Inner {
            to,
            spoils,
            calls: AtomicUsize::new(0),
            spoilt: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
            lines: Mutex::default(),
        });
        let shared = Arc::clone(&inner);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                shared.call(stream);
            }
        });
        Self { port, inner }
    }

    /// How many conversations were spoilt so far.
    pub fn spoilt(&self) -> usize {
        self.inner.spoilt.load(Ordering::SeqCst)
    }

    /// Spoils nothing any more.
    pub fn behave(&self) {
        self.inner.is_over.store(true, Ordering::SeqCst);
    }

    /// Ends all conversations at once.
    pub fn cut_all(&self, deed: Deed) {
        let lines: Vec<_> = self.inner.lines.lock().unwrap().drain(..).collect();
        for line in lines.iter().filter_map(Weak::upgrade) {
            line.end(deed);
        }
    }
}

impl Inner {
    fn call(self: &Arc<Self>, client: TcpStream) {
        let nth = self.calls.fetch_add(1, Ordering::SeqCst);
        // Whoever the server does not take is not taken here.
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.to)) else {
            return;
        };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let is_ours = |whom| match whom {
            Whom::First(count) => nth < count,
            Whom::Percent(percent, seed) => {
                scattered(seed.wrapping_add(nth as u64)) % 100 < percent
            }
        };
        let spoils = self
            .spoils
            .filter(|(_, _, whom)| !self.is_over.load(Ordering::SeqCst) && is_ours(*whom))
            .map(|(place, deed, _)| (place, deed));
        let line = Arc::new(Line {
            inner: Arc::clone(self),
            client,
            server,
            spoils,
            asked: Mutex::new(VecDeque::from([Place::Greeting])),
            is_mute: AtomicBool::new(false),
            is_reset: AtomicBool::new(false),
        });
        self.lines.lock().unwrap().push(Arc::downgrade(&line));
        let other = Arc::clone(&line);
        std::thread::spawn(move || {
            let _ = other.hear_server();
            other.hang_up_on(&other.client);
        });
        std::thread::spawn(move || {
            let _ = line.hear_client();
            line.hang_up_on(&line.server);
        });
    }
}

/// One conversation.
struct Line {
    inner: Arc<Inner>,
    client: TcpStream,
    server: TcpStream,
    spoils: Option<(Place, Deed)>,
    /// What the server still has to answer.
    asked: Mutex<VecDeque<Place>>,
    is_mute: AtomicBool,
    is_reset: AtomicBool,
}

impl Line {
    fn hear_client(&self) -> std::io::Result<()> {
        if self.inner.spoils.is_none() {
            return self.pass_all(&self.client, &self.server);
        }
        let mut lines = BufReader::new(&self.client);
        let (mut in_body, mut body_lines) = (false, 0);
        let mut line = Vec::new();
        loop {
            line.clear();
            if lines.read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            if in_body {
                body_lines += 1;
                if body_lines == 8 {
                    self.maybe_spoil(Place::MidBody)?;
                }
                if line == b".\r\n" {
                    in_body = false;
                    self.maybe_spoil(Place::BeforeDot)?;
                    self.asked.lock().unwrap().push_back(Place::AfterDot);
                }
            } else {
                let place = match line.get(..4).unwrap_or_default() {
                    b"EHLO" => Place::Ehlo,
                    b"MAIL" => Place::Mail,
                    b"RCPT" => Place::Rcpt,
                    b"DATA" => Place::Data,
                    // Nobody spoils these; they stand for whatever they are.
                    _ => Place::MidBody,
                };
                self.asked.lock().unwrap().push_back(place);
            }
            self.pass(&self.server, &line)?;
            // A client waits for the 354 before it sends a letter.
            if line.starts_with(b"DATA") && !in_body {
                in_body = self.waits_for_354();
                body_lines = 0;
            }
        }
    }

    /// Whether the answer to DATA is yes; it has passed by then.
    fn waits_for_354(&self) -> bool {
        while self.asked.lock().unwrap().contains(&Place::Data) {
            if self.is_mute.load(Ordering::SeqCst) {
                return false;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        // Whoever was refused sends a command next, and those never begin like a letter's first field.
        let mut start = [0; 4];
        match self.client.peek(&mut start) {
            Ok(4) => !matches!(&start, b"RSET" | b"MAIL" | b"QUIT"),
            _ => true,
        }
    }

    fn hear_server(&self) -> std::io::Result<()> {
        if self.inner.spoils.is_none() {
            return self.pass_all(&self.server, &self.client);
        }
        let mut lines = BufReader::new(&self.server);
        let mut reply = Vec::new();
        loop {
            let start = reply.len();
            if lines.read_until(b'\n', &mut reply)? == 0 {
                return Ok(());
            }
            if reply.get(start + 3) == Some(&b'-') {
                continue;
            }
            let place = self.asked.lock().unwrap().front().copied();
            if let Some(place) = place {
                self.maybe_spoil(place)?;
            }
            let half = reply.len() / 2;
            if place == Some(Place::AfterDot)
                && self
                    .spoils
                    .is_some_and(|(place, _)| place == Place::MidReply)
            {
                self.pass(&self.client, &reply[..half])?;
                self.maybe_spoil(Place::MidReply)?;
                self.pass(&self.client, &reply[half..])?;
            } else {
                self.pass(&self.client, &reply)?;
            }
            self.asked.lock().unwrap().pop_front();
            reply.clear();
        }
    }

    fn pass_all(&self, mut from: &TcpStream, to: &TcpStream) -> std::io::Result<()> {
        let mut block = [0; 16_384];
        loop {
            let count = from.read(&mut block)?;
            if count == 0 {
                return Ok(());
            }
            self.pass(to, &block[..count])?;
        }
    }

    fn pass(&self, mut to: &TcpStream, bytes: &[u8]) -> std::io::Result<()> {
        if self.is_mute.load(Ordering::SeqCst) {
            return Ok(());
        }
        if !matches!(self.spoils, Some((_, Deed::Slice))) {
            return to.write_all(bytes);
        }
        bytes.chunks(1).try_for_each(|byte| to.write_all(byte))
    }

    /// Ends it for both: properly, or by RST. A socket says RST when it is closed and was told not to linger, so those who
    /// read are woken and let go of it; a shutdown would say FIN.
    fn end(&self, deed: Deed) {
        let is_reset = deed == Deed::Reset;
        self.is_reset.store(is_reset, Ordering::SeqCst);
        for stream in [&self.client, &self.server] {
            if is_reset {
                let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
                let _ = stream.shutdown(Shutdown::Read);
            } else {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }

    fn hang_up_on(&self, stream: &TcpStream) {
        if !self.is_reset.load(Ordering::SeqCst) {
            let _ = stream.shutdown(Shutdown::Write);
        }
    }

    /// Does what is to be done here, if this is the place. An error ends the conversation.
    fn maybe_spoil(&self, here: Place) -> std::io::Result<()> {
        let Some((place, deed)) = self.spoils else {
            return Ok(());
        };
        if place != here || self.is_mute.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.inner.spoilt.fetch_add(1, Ordering::SeqCst);
        match deed {
            Deed::Slice => Ok(()),
            Deed::Delay(span) => {
                std::thread::sleep(span);
                Ok(())
            }
            Deed::Swallow => {
                self.is_mute.store(true, Ordering::SeqCst);
                Ok(())
            }
            Deed::Cut | Deed::Reset => {
                self.end(deed);
                Err(std::io::ErrorKind::ConnectionAborted.into())
            }
        }
    }
}

/// SplitMix64: a number that looks like chance, the same each time.
pub fn scattered(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
