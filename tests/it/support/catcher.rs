//! A relay that takes letters and keeps them, and falls silent where it is told to.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Where it falls silent, until it is told to behave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stall {
    Nowhere,
    /// When somebody calls.
    Greeting,
    /// When a sender is named: nothing of a letter has gone out.
    Mail,
    /// When a letter is complete: it was taken, and nobody is told so.
    Dot,
}

#[derive(Default)]
struct Inner {
    letters: Mutex<Vec<(String, Vec<u8>)>>,
    stalled: AtomicUsize,
    behaves: AtomicBool,
}

/// A running one.
pub struct Catcher {
    pub port: u16,
    inner: Arc<Inner>,
}

impl Catcher {
    pub fn start(stall: Stall) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let inner = Arc::new(Inner::default());
        let shared = Arc::clone(&inner);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let inner = Arc::clone(&shared);
                std::thread::spawn(move || {
                    // Whoever calls may hang up whenever they like.
                    let _ = converse(&stream, stall, &inner);
                });
            }
        });
        Self { port, inner }
    }

    /// Recipients and letters, in the order in which they came.
    pub fn letters(&self) -> Vec<(String, Vec<u8>)> {
        self.inner.letters.lock().unwrap().clone()
    }

    /// How many callers wait for an answer that does not come.
    pub fn stalled(&self) -> usize {
        self.inner.stalled.load(Ordering::SeqCst)
    }

    /// Answers properly from now on; those who wait already are not answered.
    pub fn behave(&self) {
        self.inner.behaves.store(true, Ordering::SeqCst);
    }
}

impl Inner {
    /// Falls silent for ever, if this is the place. True if the caller is never to be answered.
    fn is_silent(&self, here: Stall, stall: Stall) -> bool {
        let silent = here == stall && !self.behaves.load(Ordering::SeqCst);
        if silent {
            self.stalled.fetch_add(1, Ordering::SeqCst);
        }
        silent
    }
}

fn converse(mut stream: &TcpStream, stall: Stall, inner: &Inner) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream);
    let silence =
        |lines: &mut BufReader<&TcpStream>| std::io::copy(lines, &mut std::io::sink()).map(|_| ());
    if inner.is_silent(Stall::Greeting, stall) {
        return silence(&mut lines);
    }
    stream.write_all(b"220 catcher.parl.example ESMTP\r\n")?;
    let mut to = String::new();
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let verb = line
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => stream
                .write_all(b"250-catcher.parl.example\r\n250-8BITMIME\r\n250 SIZE 10000000\r\n")?,
            "MAIL" if inner.is_silent(Stall::Mail, stall) => return silence(&mut lines),
            "RCPT" => {
                let start = line.find('<').map_or(0, |at| at + 1);
                let end = line.rfind('>').unwrap_or(line.len());
                line[start..end].clone_into(&mut to);
                stream.write_all(b"250 2.1.5 ok\r\n")?;
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n")?;
                let letter = data(&mut lines)?;
                inner.letters.lock().unwrap().push((to.clone(), letter));
                if inner.is_silent(Stall::Dot, stall) {
                    return silence(&mut lines);
                }
                stream.write_all(b"250 2.0.0 taken\r\n")?;
            }
            "QUIT" => return stream.write_all(b"221 2.0.0 bye\r\n"),
            _ => stream.write_all(b"250 2.0.0 ok\r\n")?,
        }
    }
}

/// Up to the final dot, without the dots that were doubled.
fn data(lines: &mut BufReader<&TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut letter = Vec::new();
    loop {
        let mut line = Vec::new();
        if lines.read_until(b'\n', &mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(letter);
        }
        letter.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}
