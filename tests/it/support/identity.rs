//! Identity services, strict: a question that a test has not announced, or that comes with another token, fails it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use reqwest::Url;
use serde_json::Value;

/// How a question is answered.
#[derive(Clone)]
pub enum Answer {
    /// With this status, fields of the header, and body.
    With(u16, Vec<(&'static str, String)>, String),
    /// With half of a body.
    Cut(String),
    /// With spaces, more than anybody wants.
    Endless,
    /// Not at all.
    Silent,
}

impl Answer {
    pub fn json(body: &Value) -> Self {
        Self::With(200, Vec::new(), body.to_string())
    }

    pub fn status(status: u16) -> Self {
        Self::With(status, Vec::new(), "{\"error\": \"s3ntinel\"}".to_owned())
    }

    pub fn header(self, name: &'static str, value: impl Into<String>) -> Self {
        match self {
            Self::With(status, mut headers, body) => {
                headers.push((name, value.into()));
                Self::With(status, headers, body)
            }
            other => other,
        }
    }
}

/// What is to be asked next.
struct Exchange {
    asks: String,
    answer: Answer,
}

#[derive(Default)]
struct Inner {
    expected: VecDeque<Exchange>,
    /// What questions, but for those without, come with.
    authorization: String,
    complaints: Vec<String>,
    bodies: Vec<String>,
}

/// A running fake.
pub struct Identity {
    pub base: String,
    inner: Arc<Mutex<Inner>>,
}

impl Identity {
    pub async fn start() -> Self {
        let inner = Arc::<Mutex<Inner>>::default();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(inner.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { base, inner }
    }

    /// Announces a question, such as `GET /v1.0/users?$top=999`, everything decoded; they come in this order.
    pub fn expect(&self, asks: &str, answer: Answer) {
        let mut inner = self.inner.lock().unwrap();
        inner.expected.push_back(Exchange {
            asks: asks.to_owned(),
            answer,
        });
    }

    /// From now on questions come with this.
    pub fn wants(&self, authorization: &str) {
        authorization.clone_into(&mut self.inner.lock().unwrap().authorization);
    }

    /// What was sent along with `POST`, oldest first.
    pub fn bodies(&self) -> Vec<String> {
        self.inner.lock().unwrap().bodies.clone()
    }

    /// Everything that was announced has come, and nothing else.
    pub fn is_done(&self) {
        let inner = self.inner.lock().unwrap();
        assert!(inner.complaints.is_empty(), "{:#?}", inner.complaints);
        let left: Vec<&String> = inner.expected.iter().map(|one| &one.asks).collect();
        assert!(left.is_empty(), "never asked: {left:#?}");
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.is_done();
        }
    }
}

async fn answer(
    State(inner): State<Arc<Mutex<Inner>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answer = {
        let mut inner = inner.lock().unwrap();
        inner.answer(&method, &uri, &headers, &body)
    };
    match answer {
        Answer::With(status, headers, body) => {
            let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap());
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(Body::from(body)).unwrap()
        }
        Answer::Cut(body) => {
            let lost = std::io::Error::other("lost");
            let parts = [Ok(Bytes::from(body)), Err(lost)];
            Response::new(Body::from_stream(futures_util::stream::iter(parts)))
        }
        Answer::Endless => {
            let piece = Bytes::from(vec![b' '; 1 << 20]);
            let parts = (0..80).map(move |_| Ok::<_, std::io::Error>(piece.clone()));
            Response::new(Body::from_stream(futures_util::stream::iter(parts)))
        }
        Answer::Silent => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            Response::new(Body::empty())
        }
    }
}

impl Inner {
    fn answer(&mut self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Answer {
        let asks = decoded(method, uri);
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let key = text("hibp-api-key").map(|key| format!("hibp-api-key {key}"));
        let said = match (text("authorization"), &key) {
            (Some(said), _) => said,
            (None, Some(key)) => key,
            (None, None) => "",
        };
        let is_post = method == Method::POST;
        if is_post {
            self.bodies.push(String::from_utf8_lossy(body).into_owned());
        }
        // Whoever asks for a token has none yet.
        let wanted = if is_post { "" } else { &self.authorization };
        if said != wanted {
            self.complaints
                .push(format!("{asks} comes with another token than it should"));
        }
        match self.expected.pop_front() {
            Some(next) if next.asks == asks => next.answer,
            Some(next) => {
                self.complaints
                    .push(format!("asked {asks} in place of {}", next.asks));
                Answer::status(418)
            }
            None => {
                self.complaints.push(format!("nobody announced {asks}"));
                Answer::status(418)
            }
        }
    }
}

fn decoded(method: &Method, uri: &Uri) -> String {
    let url = Url::parse(&format!("http://x{uri}")).unwrap();
    let pairs: Vec<String> = url
        .query_pairs()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    match pairs.is_empty() {
        true => format!("{method} {}", url.path()),
        false => format!("{method} {}?{}", url.path(), pairs.join("&")),
    }
}
