//! Discord as far as a status post needs it, strict: whatever a test has not announced, or Discord would refuse, fails it.

pub mod guild;
mod line;
mod rest;
mod rules;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

pub const TOKEN: &str = "test-token";
pub const CHANNEL: u64 = 21;

/// How the next request is answered.
pub enum Reply {
    /// As Discord would.
    Properly,
    /// With this status and body, and a header of how long to wait.
    With(u16, Value, Option<&'static str>),
    /// Does what was asked, and does not get to say so.
    Silently,
}

#[derive(Default)]
struct Inner {
    /// What is still expected: method, path and query, answer.
    expected: VecDeque<(&'static str, String, Reply)>,
    messages: Vec<Value>,
    complaints: Vec<String>,
}

/// A running fake.
pub struct Discord {
    pub base: String,
    inner: Arc<Mutex<Inner>>,
}

impl Discord {
    pub async fn start() -> Self {
        let inner = Arc::new(Mutex::new(Inner::default()));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(inner.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { base, inner }
    }

    /// Announces a request; they must come in this order.
    pub fn expect(&self, method: &'static str, path: &str, reply: Reply) {
        let path = format!("/api/v10/channels/{CHANNEL}/{path}");
        self.inner
            .lock()
            .unwrap()
            .expected
            .push_back((method, path, reply));
    }

    /// All messages, oldest first, each with all that was posted.
    pub fn messages(&self) -> Vec<Value> {
        self.inner.lock().unwrap().messages.clone()
    }

    /// Puts a message there that somebody else wrote, with a component that is newer than serenity.
    pub fn somebody_posts(&self, bot: bool, footer: &str) -> String {
        let posted = json!({ "embeds": [{ "title": "x", "footer": { "text": footer } }] });
        let mut inner = self.inner.lock().unwrap();
        let id = inner.add(&posted, bot);
        let newer = json!([{ "type": 1, "components": [{ "type": 99 }] }]);
        if let Some(message) = inner.messages.last_mut() {
            message["components"] = newer;
        }
        id
    }

    /// Somebody deletes all of it.
    pub fn everything_is_deleted(&self) {
        self.inner.lock().unwrap().messages.clear();
    }
}

impl Drop for Discord {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let inner = self.inner.lock().unwrap();
        assert!(
            inner.complaints.is_empty(),
            "discord complains: {:#?}",
            inner.complaints
        );
        let left: Vec<_> = inner
            .expected
            .iter()
            .map(|(method, path, _)| (method, path))
            .collect();
        assert!(left.is_empty(), "never asked: {left:?}");
    }
}

async fn answer(
    State(inner): State<Arc<Mutex<Inner>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (response, silent) = inner.lock().unwrap().answer(&method, &uri, &headers, &body);
    if silent {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    response
}

impl Inner {
    fn answer(
        &mut self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: &[u8],
    ) -> (Response, bool) {
        // serenity writes `?&limit=50`.
        let path = uri.to_string().replace("?&", "?");
        let reply = match self.expected.pop_front() {
            Some((wanted, at, reply)) if wanted == method.as_str() && at == path => reply,
            other => {
                let wanted = other.map(|(method, path, _)| format!("{method} {path}"));
                return (
                    self.complain(format!("{method} {path} came, and {wanted:?} was expected")),
                    false,
                );
            }
        };
        if headers
            .get("authorization")
            .is_none_or(|value| value != &format!("Bot {TOKEN}"))
        {
            return (
                self.complain("the authorization is not the bot's".to_owned()),
                false,
            );
        }
        if headers
            .get("user-agent")
            .is_none_or(|value| !value.as_bytes().starts_with(b"DiscordBot ("))
        {
            return (
                self.complain("the user agent is not a bot's".to_owned()),
                false,
            );
        }
        if let Reply::With(status, body, wait) = reply {
            let status = StatusCode::from_u16(status).unwrap();
            let mut response = (status, Json(body)).into_response();
            if let Some(wait) = wait {
                response
                    .headers_mut()
                    .insert("retry-after", wait.parse().unwrap());
            }
            return (response, false);
        }
        let response = match method.as_str() {
            "GET" => (
                StatusCode::OK,
                Json(Value::from_iter(self.messages.iter().rev().cloned())),
            )
                .into_response(),
            "POST" => self.post(body),
            "PATCH" => self.patch(path.rsplit('/').next().unwrap(), body),
            other => self.complain(format!("nobody announced how to answer {other}")),
        };
        (response, matches!(reply, Reply::Silently))
    }

    fn complain(&mut self, what: String) -> Response {
        self.complaints.push(what.clone());
        (
            StatusCode::BAD_REQUEST,
            Json(json!({ "code": 50035, "message": what })),
        )
            .into_response()
    }

    fn post(&mut self, body: &[u8]) -> Response {
        let posted: Value = match serde_json::from_slice(body) {
            Ok(posted) => posted,
            Err(error) => return self.complain(format!("no JSON: {error}")),
        };
        let nonce = posted["nonce"].as_str().unwrap_or_default().to_owned();
        if nonce.is_empty() || nonce.chars().count() > 25 || posted["enforce_nonce"] != true {
            return self.complain(
                "a created message needs a nonce of at most 25 characters, and enforce_nonce"
                    .to_owned(),
            );
        }
        if let Err(wrong) = check(
            &posted,
            &["embeds", "allowed_mentions", "nonce", "enforce_nonce"],
        ) {
            return self.complain(wrong);
        }
        let known = self
            .messages
            .iter()
            .find(|message| message["nonce"] == *nonce)
            .cloned();
        let message = known.unwrap_or_else(|| {
            self.add(&posted, true);
            self.messages.last().unwrap().clone()
        });
        (StatusCode::OK, Json(message)).into_response()
    }

    fn patch(&mut self, id: &str, body: &[u8]) -> Response {
        let posted: Value = match serde_json::from_slice(body) {
            Ok(posted) => posted,
            Err(error) => return self.complain(format!("no JSON: {error}")),
        };
        if let Err(wrong) = check(&posted, &["embeds", "allowed_mentions"]) {
            return self.complain(wrong);
        }
        let Some(message) = self
            .messages
            .iter_mut()
            .find(|message| message["id"] == *id)
        else {
            let unknown = json!({ "code": 10008, "message": "Unknown Message" });
            return (StatusCode::NOT_FOUND, Json(unknown)).into_response();
        };
        message["embeds"] = posted["embeds"].clone();
        (StatusCode::OK, Json(message.clone())).into_response()
    }

    fn add(&mut self, posted: &Value, bot: bool) -> String {
        let id = (1000 + self.messages.len()).to_string();
        self.messages.push(json!({
            "id": id, "channel_id": CHANNEL.to_string(), "content": "", "type": 0, "tts": false, "pinned": false,
            "author": { "id": "1", "username": "bell", "bot": bot }, "timestamp": "2026-01-01T00:00:00+00:00",
            "mention_everyone": false, "mentions": [], "mention_roles": [], "attachments": [],
            "embeds": posted["embeds"], "nonce": posted["nonce"],
        }));
        id
    }
}

/// Discord's limits on a message (resources/message#embed-limits), and our own promises.
fn check(posted: &Value, allowed: &[&str]) -> Result<(), String> {
    let object = posted.as_object().ok_or("not an object")?;
    if let Some(key) = object.keys().find(|key| !allowed.contains(&key.as_str())) {
        return Err(format!("nobody asked for {key}"));
    }
    if posted["allowed_mentions"] != json!({ "parse": [] }) {
        return Err("somebody could be mentioned".to_owned());
    }
    let embeds = posted["embeds"].as_array().ok_or("no embeds")?;
    let [embed] = &embeds[..] else {
        return Err("not one embed".to_owned());
    };
    let mut all = 0;
    let mut fits = |value: &Value, least: usize, most: usize| {
        let length = value.as_str().map_or(0, |text| text.chars().count());
        all += length;
        if (least..=most).contains(&length) {
            Ok(())
        } else {
            Err(format!("a text has {length} characters"))
        }
    };
    fits(&embed["title"], 1, 256)?;
    fits(&embed["description"], 0, 4096)?;
    fits(&embed["footer"]["text"], 1, 2048)?;
    let fields = embed["fields"].as_array().ok_or("no fields")?;
    if fields.len() > 25 {
        return Err("more than 25 fields".to_owned());
    }
    for field in fields {
        fits(&field["name"], 1, 256)?;
        fits(&field["value"], 1, 1024)?;
    }
    if all > 6000 {
        Err(format!("{all} characters in all"))
    } else {
        Ok(())
    }
}
