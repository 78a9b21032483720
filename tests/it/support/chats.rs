//! Other chats' services on loopback, strict: Slack, Mattermost, a Teams workflow, and a webhook that checks signatures. Each
//! answers as it is told, once, and otherwise well; what the real one would refuse fails the test.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

/// What all of them know us by.
pub const TOKEN: &str = "xoxb-s3ntinel";

/// Which service it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Slack,
    Mattermost,
    Teams,
    Webhook,
}

/// An answer that a service gives in place of its usual one.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
    pub retry_after: Option<&'static str>,
    /// Whether it does what it is asked all the same.
    pub does: bool,
}

/// Status and body, and nothing is done.
pub fn only(status: u16, body: Value) -> Answer {
    Answer {
        status,
        body,
        retry_after: None,
        does: false,
    }
}

struct Inner {
    kind: Kind,
    answers: VecDeque<Answer>,
    /// Id, thread and content of each message, oldest first.
    messages: Vec<(String, String, Value)>,
    seen: Vec<String>,
    complaints: Vec<String>,
}

/// A running one.
pub struct Service {
    pub base: String,
    inner: Arc<Mutex<Inner>>,
}

impl Service {
    pub async fn start(kind: Kind) -> Self {
        let inner = Arc::new(Mutex::new(Inner {
            kind,
            answers: VecDeque::new(),
            messages: Vec::new(),
            seen: Vec::new(),
            complaints: Vec::new(),
        }));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(take).with_state(inner.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { base, inner }
    }

    pub fn answers(&self, answer: Answer) {
        self.inner.lock().unwrap().answers.push_back(answer);
    }

    /// Thread and content of each message.
    pub fn messages(&self) -> Vec<(String, Value)> {
        let inner = self.inner.lock().unwrap();
        let all = inner.messages.iter();
        all.map(|(_, thread, content)| (thread.clone(), content.clone()))
            .collect()
    }

    pub fn seen(&self) -> Vec<String> {
        self.inner.lock().unwrap().seen.clone()
    }

    pub fn everything_is_deleted(&self) {
        self.inner.lock().unwrap().messages.clear();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let inner = self.inner.lock().unwrap();
        assert!(inner.complaints.is_empty(), "{:#?}", inner.complaints);
        assert!(inner.answers.is_empty(), "never asked: {:?}", inner.answers);
    }
}

async fn take(
    State(inner): State<Arc<Mutex<Inner>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut inner = inner.lock().unwrap();
    let path = uri.to_string();
    inner.seen.push(format!("{method} {path}"));
    let told = inner.answers.pop_front();
    if let Some(answer) = told.as_ref().filter(|answer| !answer.does) {
        return answered(answer);
    }
    let done = match inner.kind {
        Kind::Slack => inner.slack(&path, &headers, &body),
        Kind::Mattermost => inner.mattermost(&method, &path, &headers, &body),
        Kind::Teams => inner.teams(&body),
        Kind::Webhook => inner.webhook(&headers, &body),
    };
    match (done, told) {
        (Ok(_), Some(answer)) => answered(&answer),
        (Ok(response), None) => response,
        (Err(complaint), _) => {
            inner.complaints.push(complaint);
            StatusCode::BAD_REQUEST.into_response()
        }
    }
}

fn answered(answer: &Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap();
    let mut response = (status, answer.body.to_string()).into_response();
    if let Some(wait) = answer.retry_after {
        let wait = wait.parse().unwrap();
        response.headers_mut().insert("retry-after", wait);
    }
    response
}

fn bearer(headers: &HeaderMap) -> Result<(), String> {
    match headers.get("authorization") {
        Some(value) if value == &format!("Bearer {TOKEN}") => Ok(()),
        _ => Err("the token is not ours".to_owned()),
    }
}

fn json_of(headers: &HeaderMap, body: &[u8]) -> Result<Value, String> {
    let kind = headers
        .get("content-type")
        .and_then(|kind| kind.to_str().ok());
    if kind.is_none_or(|kind| !kind.starts_with("application/json")) {
        return Err("it is no JSON".to_owned());
    }
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

fn yes(body: &Value) -> Response {
    body.to_string().into_response()
}

impl Inner {
    fn add(&mut self, thread: &str, content: Value) -> String {
        let id = format!("{}", 1000 + self.messages.len());
        self.messages.push((id.clone(), thread.to_owned(), content));
        id
    }

    fn slack(&mut self, path: &str, headers: &HeaderMap, body: &[u8]) -> Result<Response, String> {
        bearer(headers)?;
        if path == "/api/conversations.history" || path == "/api/conversations.replies" {
            let form = String::from_utf8_lossy(body);
            if !form.contains("channel=C1") || !form.contains("include_all_metadata=true") {
                return Err(format!("an odd form: {form}"));
            }
            let messages = self.messages.iter().rev();
            let messages: Vec<Value> = messages
                .map(|(id, _, content)| json!({ "ts": id, "metadata": content["metadata"] }))
                .collect();
            return Ok(yes(
                &json!({ "ok": true, "messages": messages, "has_more": false }),
            ));
        }
        let content = json_of(headers, body)?;
        if content["channel"] != "C1" || content["mrkdwn"] != false || content["parse"] != "none" {
            return Err(format!("something could be marked up: {content}"));
        }
        for block in content["blocks"].as_array().ok_or("no blocks")? {
            let text = block.get("text").or_else(|| block["elements"].get(0));
            let text = text.ok_or("a block without text")?;
            let length = text["text"].as_str().map_or(0, |text| text.chars().count());
            let most = if block["type"] == "header" { 150 } else { 3000 };
            if text["type"] != "plain_text" || !(1..=most).contains(&length) {
                return Err(format!("a block of {length} characters: {block}"));
            }
        }
        match path {
            "/api/chat.postMessage" => {
                let thread = content["thread_ts"].as_str().unwrap_or_default().to_owned();
                let ts = self.add(&thread, content);
                Ok(yes(&json!({ "ok": true, "channel": "C1", "ts": ts })))
            }
            "/api/chat.update" => {
                let own = self.messages.iter_mut().find(|one| content["ts"] == *one.0);
                match own {
                    Some(own) => {
                        own.2 = content;
                        Ok(yes(&json!({ "ok": true })))
                    }
                    None => Ok(yes(&json!({ "ok": false, "error": "message_not_found" }))),
                }
            }
            other => Err(format!("nobody asks for {other}")),
        }
    }

    fn mattermost(
        &mut self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Response, String> {
        bearer(headers)?;
        if method == Method::GET {
            if !path.starts_with("/api/v4/channels/c1/posts?since=") {
                return Err(format!("nobody asks for {path}"));
            }
            let posts: serde_json::Map<String, Value> = self
                .messages
                .iter()
                .map(|(id, _, content)| {
                    let post = json!({ "id": id, "delete_at": 0, "props": content["props"] });
                    (id.clone(), post)
                })
                .collect();
            return Ok(yes(&json!({ "order": [], "posts": posts })));
        }
        let content = json_of(headers, body)?;
        let text = content["message"].as_str().unwrap_or_default();
        if text.is_empty() || text.chars().count() > 16_383 || text.contains("@all") {
            return Err(format!("the message does not fit: {text}"));
        }
        if method == Method::POST && path == "/api/v4/posts" {
            if content["channel_id"] != "c1" {
                return Err("another channel".to_owned());
            }
            let root = content["root_id"].as_str().unwrap_or_default().to_owned();
            let id = self.add(&root, content);
            let answer = json!({ "id": id }).to_string();
            return Ok((StatusCode::CREATED, answer).into_response());
        }
        let id = path
            .strip_prefix("/api/v4/posts/")
            .and_then(|rest| rest.strip_suffix("/patch"))
            .filter(|_| method == Method::PUT)
            .ok_or_else(|| format!("nobody asks for {method} {path}"))?;
        match self.messages.iter_mut().find(|one| one.0 == id) {
            Some(own) => {
                own.2 = content;
                Ok(yes(&json!({ "id": id })))
            }
            None => Ok((StatusCode::NOT_FOUND, "{}").into_response()),
        }
    }

    fn teams(&mut self, body: &[u8]) -> Result<Response, String> {
        if body.len() > 28_000 {
            return Err(format!("{} bytes", body.len()));
        }
        let content: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let card = &content["attachments"][0]["content"];
        if content["type"] != "message" || card["type"] != "AdaptiveCard" {
            return Err("it is no card".to_owned());
        }
        for block in card["body"].as_array().ok_or("no body")? {
            let runs = block["inlines"]
                .as_array()
                .ok_or("something else than text runs")?;
            if runs.is_empty() || runs.iter().any(|run| run["type"] != "TextRun") {
                return Err(format!("an odd block: {block}"));
            }
        }
        self.add("", content);
        Ok(StatusCode::ACCEPTED.into_response())
    }

    fn webhook(&mut self, headers: &HeaderMap, body: &[u8]) -> Result<Response, String> {
        let field = |name: &str| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.map(str::to_owned).ok_or(format!("no {name}"))
        };
        let (id, seconds) = (field("webhook-id")?, field("webhook-timestamp")?);
        let mut mac = Hmac::<Sha256>::new_from_slice(TOKEN.as_bytes()).unwrap();
        mac.update(format!("{id}.{seconds}.").as_bytes());
        mac.update(body);
        let wanted = format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes()));
        if field("webhook-signature")? != wanted {
            return Err("the signature is not ours".to_owned());
        }
        let content = json_of(headers, body)?;
        // It knows a repeated request by its id.
        if self.messages.iter().all(|(_, known, _)| *known != id) {
            self.add(&id, content);
        }
        Ok(StatusCode::OK.into_response())
    }
}
