//! A guild: Discord as far as an incident's messages need it, with channels, threads, pictures and nonces that hold, strict, and
//! failing as it is told. Whatever Discord would refuse fails the test, but what it is told to refuse.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::discord::TOKEN;

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// It is refused, and nothing is done: status and Discord's own code.
    Refused(u16, i64),
    /// It is done, and the answer is a gateway's error.
    DoneBut502,
    /// It is not done, and the answer is a gateway's error.
    Only502,
}

/// A message.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: String,
    pub channel: String,
    /// All that was posted, or last changed.
    pub body: Value,
    pub picture: Option<Vec<u8>>,
    nonce: String,
    at: String,
}

impl Message {
    /// What stands in bold at its top.
    pub fn title(&self) -> &str {
        self.body["embeds"][0]["title"].as_str().unwrap()
    }

    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        let fields = self.body["embeds"][0]["fields"].as_array().unwrap();
        let field = fields.iter().find(|field| field["name"] == name)?;
        field["value"].as_str()
    }
}

#[derive(Default)]
struct Inner {
    messages: Vec<Message>,
    threads: Vec<String>,
    faults: VecDeque<Fault>,
    asked: Vec<String>,
    complaints: Vec<String>,
    forgets: bool,
    now: String,
    next: u64,
}

/// A running one. It has the channels 21 and 22.
pub struct Guild {
    pub base: String,
    inner: Arc<Mutex<Inner>>,
}

impl Guild {
    pub async fn start() -> Self {
        let inner = Arc::new(Mutex::new(Inner {
            now: "2026-03-02T09:00:00+00:00".to_owned(),
            next: 1000,
            ..Inner::default()
        }));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(inner.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { base, inner }
    }

    /// The next requests fail like this.
    pub fn fails(&self, faults: &[Fault]) {
        self.inner.lock().unwrap().faults.extend(faults);
    }

    /// The messages of a channel or thread, oldest first.
    pub fn messages(&self, channel: &str) -> Vec<Message> {
        let inner = self.inner.lock().unwrap();
        let all = inner.messages.iter();
        all.filter(|message| message.channel == channel)
            .cloned()
            .collect()
    }

    /// Method and path of every request so far.
    pub fn asked(&self) -> Vec<String> {
        self.inner.lock().unwrap().asked.clone()
    }

    /// A few minutes are over: nonces are forgotten.
    pub fn forgets_nonces(&self) {
        self.inner.lock().unwrap().forgets = true;
    }

    /// Somebody else talks.
    pub fn somebody_posts(&self, channel: &str, times: usize) {
        let mut inner = self.inner.lock().unwrap();
        let body = json!({ "embeds": [], "content": "hello" });
        for _ in 0..times {
            inner.add(channel, body.clone(), None, String::new());
        }
    }

    /// Somebody deletes a message.
    pub fn somebody_deletes(&self, id: &str) {
        let mut inner = self.inner.lock().unwrap();
        inner.messages.retain(|message| message.id != id);
    }

    /// Somebody deletes a thread, and what is in it.
    pub fn somebody_deletes_thread(&self, id: &str) {
        let mut inner = self.inner.lock().unwrap();
        inner.threads.retain(|thread| thread != id);
        inner.messages.retain(|message| message.channel != id);
    }
}

impl Drop for Guild {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let inner = self.inner.lock().unwrap();
        assert!(inner.complaints.is_empty(), "{:#?}", inner.complaints);
        assert!(inner.faults.is_empty(), "never asked: {:?}", inner.faults);
    }
}

async fn answer(
    State(inner): State<Arc<Mutex<Inner>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut inner = inner.lock().unwrap();
    let path = uri.path().trim_start_matches("/api/v10/").to_owned();
    inner.asked.push(format!("{method} {path}"));
    if headers
        .get("authorization")
        .is_none_or(|value| value != &format!("Bot {TOKEN}"))
    {
        return inner.complain("the authorization is not the bot's");
    }
    let fault = inner.faults.pop_front();
    if let Some(Fault::Refused(status, code)) = fault {
        let status = StatusCode::from_u16(status).unwrap();
        return (status, Json(json!({ "code": code, "message": "because" }))).into_response();
    }
    if let Some(Fault::Only502) = fault {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    let parts: Vec<&str> = path.split('/').collect();
    let done = match (method.as_str(), &parts[..]) {
        ("GET", ["channels", channel, "messages"]) => inner.list(channel),
        ("POST", ["channels", channel, "messages"]) => inner.post(channel, &headers, &body),
        ("PATCH", ["channels", channel, "messages", id]) => {
            inner.patch(channel, id, &headers, &body)
        }
        ("POST", ["channels", _, "messages", id, "threads"]) => inner.thread(id, &body),
        _ => inner.complain(&format!("nobody asks for {method} {path}")),
    };
    match fault {
        Some(Fault::DoneBut502) => StatusCode::BAD_GATEWAY.into_response(),
        _ => done,
    }
}

fn refused(status: StatusCode, code: i64, words: &str) -> Response {
    (status, Json(json!({ "code": code, "message": words }))).into_response()
}

impl Inner {
    fn complain(&mut self, what: &str) -> Response {
        self.complaints.push(what.to_owned());
        refused(StatusCode::BAD_REQUEST, 50035, what)
    }

    fn knows(&self, channel: &str) -> bool {
        ["21", "22"].contains(&channel) || self.threads.iter().any(|thread| thread == channel)
    }

    fn list(&mut self, channel: &str) -> Response {
        if !self.knows(channel) {
            return refused(StatusCode::NOT_FOUND, 10003, "Unknown Channel");
        }
        let own = self.messages.iter().rev();
        let own = own.filter(|message| message.channel == channel).take(50);
        Json(Value::from_iter(own.map(seen))).into_response()
    }

    fn post(&mut self, channel: &str, headers: &HeaderMap, body: &[u8]) -> Response {
        if !self.knows(channel) {
            return refused(StatusCode::NOT_FOUND, 10003, "Unknown Channel");
        }
        let (posted, picture) = match content(headers, body) {
            Ok(content) => content,
            Err(why) => return self.complain(&why),
        };
        let nonce = posted["nonce"].as_str().unwrap_or_default().to_owned();
        if nonce.is_empty() || nonce.len() > 25 || posted["enforce_nonce"] != true {
            return self.complain("a created message needs a nonce, and enforce_nonce");
        }
        let known = self
            .messages
            .iter()
            .find(|message| !self.forgets && message.nonce == nonce && message.channel == channel);
        let message = match known {
            Some(message) => message.clone(),
            None => self.add(channel, posted, picture, nonce),
        };
        Json(seen(&message)).into_response()
    }

    fn patch(&mut self, channel: &str, id: &str, headers: &HeaderMap, body: &[u8]) -> Response {
        let (posted, picture) = match content(headers, body) {
            Ok(content) => content,
            Err(why) => return self.complain(&why),
        };
        let mut own = self.messages.iter_mut();
        let Some(message) = own.find(|message| message.id == id && message.channel == channel)
        else {
            return refused(StatusCode::NOT_FOUND, 10008, "Unknown Message");
        };
        message.body = posted;
        message.picture = picture;
        Json(seen(message)).into_response()
    }

    fn thread(&mut self, id: &str, body: &[u8]) -> Response {
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        let name = asked["name"].as_str().unwrap_or_default();
        if name.is_empty() || name.chars().count() > 100 {
            return self.complain("a thread's name has 1 to 100 characters");
        }
        if ![60, 1440, 4320, 10080].contains(&asked["auto_archive_duration"].as_i64().unwrap_or(0))
        {
            return self.complain("a thread folds away after 60, 1440, 4320 or 10080 minutes");
        }
        if !self.messages.iter().any(|message| message.id == id) {
            return refused(StatusCode::NOT_FOUND, 10008, "Unknown Message");
        }
        if self.threads.iter().any(|thread| thread == id) {
            return refused(
                StatusCode::BAD_REQUEST,
                160_004,
                "A thread has already been created",
            );
        }
        self.threads.push(id.to_owned());
        let thread = json!({ "id": id, "type": 11, "name": name });
        (StatusCode::CREATED, Json(thread)).into_response()
    }

    fn add(
        &mut self,
        channel: &str,
        body: Value,
        picture: Option<Vec<u8>>,
        nonce: String,
    ) -> Message {
        self.next += 1;
        let message = Message {
            id: self.next.to_string(),
            channel: channel.to_owned(),
            body,
            picture,
            nonce,
            at: self.now.clone(),
        };
        self.messages.push(message.clone());
        message
    }
}

/// A message as Discord gives it.
fn seen(message: &Message) -> Value {
    let is_ours = !message.nonce.is_empty();
    json!({
        "id": message.id, "channel_id": message.channel, "content": "", "type": 0, "tts": false, "pinned": false,
        "author": { "id": "1", "username": "bell", "bot": is_ours }, "timestamp": message.at,
        "mention_everyone": false, "mentions": [], "mention_roles": [], "attachments": [], "embeds": message.body["embeds"],
    })
}

/// The JSON of a request, and the picture that came with it.
fn content(headers: &HeaderMap, body: &[u8]) -> Result<(Value, Option<Vec<u8>>), String> {
    let kind = headers["content-type"].to_str().unwrap_or_default();
    let (json, picture) = match kind.split_once("boundary=") {
        Some((_, boundary)) => parts(body, boundary.trim_matches('"'))?,
        None => (body.to_vec(), None),
    };
    let posted: Value = serde_json::from_slice(&json).map_err(|error| error.to_string())?;
    let known = [
        "embeds",
        "allowed_mentions",
        "attachments",
        "nonce",
        "enforce_nonce",
    ];
    let object = posted.as_object().ok_or("no object")?;
    if let Some(key) = object.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!("nobody asked for {key}"));
    }
    if posted["allowed_mentions"] != json!({ "parse": [] }) {
        return Err("somebody could be mentioned".to_owned());
    }
    let named = posted["attachments"].as_array().map_or(0, Vec::len);
    if named != usize::from(picture.is_some()) {
        return Err(format!(
            "{named} attachments are named, and the picture is another matter"
        ));
    }
    let words = posted["attachments"][0]["description"].as_str();
    if picture.is_some() && words.is_none_or(|words| words.is_empty() || words.len() > 1024) {
        return Err("the picture has no words for those who do not see it".to_owned());
    }
    let title = posted["embeds"][0]["title"].as_str().unwrap_or_default();
    if !(1..=256).contains(&title.chars().count()) {
        return Err("the title does not fit".to_owned());
    }
    Ok((posted, picture))
}

/// `payload_json` and `files[0]` of a form.
fn parts(body: &[u8], boundary: &str) -> Result<(Vec<u8>, Option<Vec<u8>>), String> {
    let mark = format!("--{boundary}");
    let (mut json, mut file) = (None, None);
    let mut rest = body;
    while let Some(start) = find(rest, mark.as_bytes()) {
        let part = &rest[start + mark.len()..];
        let end = find(part, format!("\r\n{mark}").as_bytes()).unwrap_or(part.len());
        rest = &part[end.min(part.len())..];
        let Some(head) = find(part, b"\r\n\r\n") else {
            break;
        };
        let names = String::from_utf8_lossy(&part[..head]).into_owned();
        let content = part[head + 4..end].to_vec();
        if names.contains("name=\"payload_json\"") {
            json = Some(content);
        } else if names.contains("name=\"files[0]\"") && names.contains("filename=\"progress.png\"")
        {
            if !content.starts_with(b"\x89PNG\r\n\x1a\n") {
                return Err("the picture is no PNG".to_owned());
            }
            file = Some(content);
        } else {
            return Err(format!("an unknown part: {names}"));
        }
    }
    Ok((json.ok_or("no payload_json")?, file))
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}
