//! Relays that misbehave: smtp-sink with its options, and a relay that says exactly what it is told to.

use std::process::{Child, Command, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::{Guard, free_ports, is_root, listens};

/// A running smtp-sink.
pub struct Sink {
    pub port: u16,
    /// Before the child, which it kills.
    guard: Option<Guard>,
    child: Child,
}

impl Sink {
    /// `-q .` hangs up after the final dot, `-f RCPT` refuses recipients; see smtp-sink(1).
    pub fn start(options: &[&str]) -> Self {
        for _ in 0..3 {
            let [port] = free_ports();
            let mut command = Command::new("/usr/sbin/smtp-sink");
            if is_root() {
                command.args(["-u", "nobody"]);
            }
            let mut child = command
                .args(options)
                .args([&format!("127.0.0.1:{port}"), "100"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("there is no smtp-sink: run tests/run, which installs it");
            let guard = Guard::new(r#"finish "$1" TERM"#, &[&child.id().to_string()]);
            if listens(port) && child.try_wait().unwrap().is_none() {
                return Self {
                    port,
                    guard: Some(guard),
                    child,
                };
            }
        }
        panic!("smtp-sink does not start with {options:?}");
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.guard.take();
        let _ = self.child.wait();
    }
}

/// What a scripted relay does at one turn.
pub enum Turn {
    /// Says this.
    Say(&'static str),
    /// Says this, which is no text.
    Bytes(&'static [u8]),
    /// Says nothing to so many lines.
    Hear(usize),
    /// Says nothing for as long as the client waits.
    Wait,
    /// Hangs up.
    HangUp,
}

/// A relay that takes one turn when it is called, and one for each line it hears. Then it waits.
pub async fn scripted(turns: Vec<Turn>) -> u16 {
    scripted_calls(vec![turns]).await
}

/// The same, with a script for each call.
pub async fn scripted_calls(calls: Vec<Vec<Turn>>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        for turns in calls {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(play(stream, turns));
        }
    });
    port
}

async fn play(mut stream: TcpStream, turns: Vec<Turn>) {
    let (reading, mut writing) = stream.split();
    let mut lines = BufReader::new(reading).split(b'\n');
    for (nth, turn) in turns.into_iter().enumerate() {
        // The client may be gone; then there is nobody left to disturb.
        if nth > 0 && !matches!(lines.next_segment().await, Ok(Some(_))) {
            return;
        }
        match turn {
            Turn::Say(text) => {
                let _ = writing.write_all(text.as_bytes()).await;
            }
            Turn::Bytes(bytes) => {
                let _ = writing.write_all(bytes).await;
            }
            Turn::Hear(count) => {
                for _ in 1..count {
                    let _ = lines.next_segment().await;
                }
            }
            Turn::Wait => break,
            Turn::HangUp => return,
        }
    }
    while let Ok(Some(_)) = lines.next_segment().await {}
}

/// A port on which nobody listens.
pub fn nobody() -> u16 {
    let [port] = free_ports();
    port
}
