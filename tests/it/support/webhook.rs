//! A strict webhook on loopback: takes signed requests, remembers keys, and answers, fails or falls silent as it is told.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use data_encoding::HEXLOWER;
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;

/// What it signs and checks with.
pub const SECRET: &str = "a s3ntinel for the webhook";

/// How it answers a request.
#[derive(Clone, Copy, Debug)]
pub enum Answers {
    /// It does what it is asked, and says so.
    Well,
    /// This status, and nothing is done.
    Status(u16),
    /// It does what it is asked, and falls silent for so long.
    DoesAndHangs(Duration),
}

#[derive(Default)]
struct Inner {
    next: Mutex<Vec<Answers>>,
    seen: Mutex<Vec<Value>>,
    done: Mutex<HashSet<String>>,
    complaints: Mutex<Vec<String>>,
}

/// A running one.
pub struct Webhook {
    pub url: String,
    inner: Arc<Inner>,
}

impl Webhook {
    /// Answers the first requests as told, then well.
    pub async fn start(answers: &[Answers]) -> Self {
        let inner = Arc::new(Inner::default());
        *inner.next.lock().unwrap() = answers.iter().rev().copied().collect();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let url = format!("http://{}/hand-over", listener.local_addr().unwrap());
        let app = Router::new()
            .route("/hand-over", post(take))
            .with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, inner }
    }

    /// What was asked, in the order in which it came, repeats included.
    pub fn seen(&self) -> Vec<Value> {
        self.complain();
        self.inner.seen.lock().unwrap().clone()
    }

    /// How many different hand-overs were done.
    pub fn done(&self) -> usize {
        self.complain();
        self.inner.done.lock().unwrap().len()
    }

    fn complain(&self) {
        let complaints = self.inner.complaints.lock().unwrap();
        assert!(complaints.is_empty(), "{complaints:?}");
    }
}

async fn take(
    State(inner): State<Arc<Inner>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let json: Value = serde_json::from_slice(&body).unwrap_or_default();
    if let Some(complaint) = complaint(&headers, &body, &json) {
        inner.complaints.lock().unwrap().push(complaint);
        return (StatusCode::BAD_REQUEST, String::new());
    }
    let key = json["key"].as_str().unwrap().to_owned();
    inner.seen.lock().unwrap().push(json);
    let answer = inner.next.lock().unwrap().pop().unwrap_or(Answers::Well);
    match answer {
        Answers::Status(code) => (StatusCode::from_u16(code).unwrap(), String::new()),
        Answers::Well => {
            inner.done.lock().unwrap().insert(key.clone());
            (StatusCode::ACCEPTED, format!("{{\"id\":\"idp-{key}\"}}"))
        }
        Answers::DoesAndHangs(time) => {
            inner.done.lock().unwrap().insert(key);
            tokio::time::sleep(time).await;
            (StatusCode::ACCEPTED, String::new())
        }
    }
}

/// What is wrong with a request.
fn complaint(headers: &HeaderMap, body: &[u8], json: &Value) -> Option<String> {
    let field = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let mut names: Vec<&str> = json.as_object()?.keys().map(String::as_str).collect();
    names.sort_unstable();
    if names != ["account", "at", "demand", "key", "login", "reference"] {
        return Some(format!("unknown fields: {names:?}"));
    }
    if field("content-type") != Some("application/json") {
        return Some("it is no JSON".to_owned());
    }
    if field("idempotency-key") != json["key"].as_str() {
        return Some("the key is not that of the body".to_owned());
    }
    let signature = field("bell-signature").unwrap_or_default();
    let (seconds, tag) = signature
        .strip_prefix("t=")
        .and_then(|rest| rest.split_once(",v1="))
        .unwrap_or_default();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body);
    let expected = HEXLOWER.encode(&mac.finalize().into_bytes());
    (tag != expected).then(|| "the signature is not ours".to_owned())
}
