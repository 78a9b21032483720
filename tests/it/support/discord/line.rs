//! The gateway: identify, heartbeat, resume, in Discord's order, and nothing else.

use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::guild::{APPLICATION, GUILD, Inner, Say, Session, is_token};

/// Short, so that a test sees some.
const HEARTBEAT_MS: u64 = 1_500;

pub async fn serve(listener: TcpListener, inner: Arc<Mutex<Inner>>) {
    while let Ok((stream, _)) = listener.accept().await {
        if inner.lock().unwrap().is_dark {
            continue;
        }
        tokio::spawn(connection(stream, inner.clone()));
    }
}

async fn connection(stream: TcpStream, inner: Arc<Mutex<Inner>>) {
    let mut path = String::new();
    #[allow(clippy::result_large_err, reason = "the library's own signature")]
    let note = |request: &Request, response: Response| {
        path = request.uri().to_string();
        Ok(response)
    };
    let Ok(socket) = tokio_tungstenite::accept_hdr_async(stream, note).await else {
        return;
    };
    if path != "/?v=10" {
        inner
            .lock()
            .unwrap()
            .complain(format!("the gateway was asked for {path}"));
    }
    let (mut to, mut from) = socket.split();
    let (line, mut said) = mpsc::unbounded_channel();
    let hello =
        json!({ "op": 10, "d": { "heartbeat_interval": HEARTBEAT_MS }, "s": null, "t": null });
    let _ = line.send(Say::Event(hello.to_string()));
    let mut session = None;
    loop {
        tokio::select! {
            say = said.recv() => match say {
                Some(Say::Event(text)) => {
                    if to.send(Message::Text(text)).await.is_err() {
                        break;
                    }
                }
                Some(Say::Close(code)) => {
                    let frame = CloseFrame { code: code.into(), reason: "".into() };
                    let _ = to.send(Message::Close(Some(frame))).await;
                }
                Some(Say::Cut) | None => return,
            },
            message = from.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    inner.lock().unwrap().hears(&text, &line, &mut session);
                }
                Some(Ok(Message::Close(_))) => {
                    // The library's answer to it still has to go out.
                    let _ = to.close().await;
                    break;
                }
                Some(Err(_)) | None => break,
                Some(Ok(_)) => {}
            },
        }
    }
    // A line that is gone; the session waits for whoever resumes it.
    let mut inner = inner.lock().unwrap();
    if let Some(session) = session.and_then(|id: String| inner.session(&id))
        && session
            .line
            .as_ref()
            .is_some_and(|own| own.same_channel(&line))
    {
        session.line = None;
    }
}

impl Inner {
    fn session(&mut self, id: &str) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|session| session.id == id)
    }

    fn hears(&mut self, text: &str, line: &UnboundedSender<Say>, session: &mut Option<String>) {
        if text.len() > 4096 {
            self.complain("more than 4096 bytes were sent to the gateway");
        }
        let message: Value = serde_json::from_str(text).unwrap_or_default();
        let d = &message["d"];
        match (message["op"].as_u64(), &*session) {
            (Some(1), _) => self.beats(d, line, session.as_deref()),
            (Some(2), None) => *session = self.identifies(d, line),
            (Some(6), None) => *session = self.resumes(d, line),
            (op, _) => {
                self.complain(format!("{op:?} was sent to the gateway"));
                let _ = line.send(Say::Close(4001));
            }
        }
    }

    fn beats(&mut self, d: &Value, line: &UnboundedSender<Say>, session: Option<&str>) {
        self.heartbeats += 1;
        let last = session
            .and_then(|id| self.session(id))
            .map_or(0, |session| session.seq);
        if d.as_u64().is_some_and(|seq| seq > last) {
            self.complain(format!("a heartbeat of {d}, and {last} was the last"));
        }
        let _ = line.send(Say::Event(json!({ "op": 11 }).to_string()));
    }

    fn identifies(&mut self, d: &Value, line: &UnboundedSender<Say>) -> Option<String> {
        self.identified += 1;
        if self.is_token_revoked || !d["token"].as_str().is_some_and(is_token) {
            let _ = line.send(Say::Close(4004));
            return None;
        }
        if d["intents"] != 0 {
            self.complain(format!(
                "the intents {} are more than we need",
                d["intents"]
            ));
        }
        if d["shard"] != json!([0, 1]) || !d["properties"].is_object() {
            self.complain(format!("this is no IDENTIFY: {d}"));
        }
        let id = format!("session{}", self.identified);
        let mut session = Session {
            id: id.clone(),
            seq: 0,
            log: Vec::new(),
            line: Some(line.clone()),
            is_valid: true,
        };
        session.say("READY", &json!({
            "v": 10, "user": { "id": "1", "username": "bell", "discriminator": "0", "avatar": null, "bot": true, "verified": true, "mfa_enabled": true },
            "guilds": [{ "id": GUILD.to_string(), "unavailable": true }], "session_id": id, "resume_gateway_url": self.gateway,
            "shard": [0, 1], "application": { "id": APPLICATION, "flags": 0 },
        }));
        self.sessions.push(session);
        Some(id)
    }

    fn resumes(&mut self, d: &Value, line: &UnboundedSender<Say>) -> Option<String> {
        if self.is_token_revoked || !d["token"].as_str().is_some_and(is_token) {
            let _ = line.send(Say::Close(4004));
            return None;
        }
        let seq = d["seq"].as_u64().unwrap_or(u64::MAX);
        let id = d["session_id"].as_str().unwrap_or_default().to_owned();
        let known = self
            .session(&id)
            .filter(|session| session.is_valid && seq <= session.seq);
        let Some(session) = known else {
            let invalid = json!({ "op": 9, "d": false, "s": null, "t": null });
            let _ = line.send(Say::Event(invalid.to_string()));
            return None;
        };
        session.line = Some(line.clone());
        for (_, text) in session.log.iter().filter(|(at, _)| *at > seq) {
            let _ = line.send(Say::Event(text.clone()));
        }
        session.say("RESUMED", &json!({}));
        self.resumed += 1;
        Some(id)
    }
}
