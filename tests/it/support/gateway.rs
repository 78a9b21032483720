//! Gateways for texts, strict: whatever a test has not announced, or the real one would refuse, fails it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64URL_NOPAD;
use division_bell::clock::Clock;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

const SERVICE: &str = "26785a09-ab16-4eb0-8407-a37497a57506";
const SECRET: &str = "3d844edf-8d35-48ac-975b-e847b4f122b0";

/// An API key as Notify gives it out, where a config looks for it.
pub const NOTIFY_KEY: (&str, &str) = (
    "FLOW_NOTIFY_KEY",
    "bell-26785a09-ab16-4eb0-8407-a37497a57506-3d844edf-8d35-48ac-975b-e847b4f122b0",
);

/// The secret of a gateway by template.
pub const TOKEN: (&str, &str) = ("FLOW_SMS_TOKEN", "s3ntinel-token");

const TEMPLATE: &str = "f33517ff-2a88-4f6e-b855-c550268ce08a";

/// How a text is answered.
#[derive(Clone)]
pub enum Reply {
    /// As the gateway would: it takes it.
    Takes,
    /// With this status and body, and takes nothing.
    With(u16, Value),
    /// With a proxy's page, and takes nothing.
    Page(u16),
    /// It takes it, and does not get to say so.
    TakesSilently,
    /// It takes nothing and says nothing.
    Silent,
}

/// A text that a gateway took.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Text {
    pub to: String,
    pub text: String,
    pub reference: String,
    pub status: String,
}

#[derive(Default)]
struct Inner {
    expected: VecDeque<Reply>,
    taken: Vec<Text>,
    /// References that were ever named to it.
    named: Vec<String>,
    complaints: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Notify,
    Template,
}

#[derive(Clone)]
struct Running {
    kind: Kind,
    clock: Clock,
    inner: Arc<Mutex<Inner>>,
}

/// A running fake.
pub struct Gateway {
    pub base: String,
    kind: Kind,
    running: Running,
}

impl Gateway {
    /// GOV.UK Notify, which holds tokens of this clock to be fresh.
    pub async fn notify(clock: Clock) -> Self {
        Self::start(Kind::Notify, clock).await
    }

    /// One that is described by a template.
    pub async fn template() -> Self {
        Self::start(Kind::Template, Clock::System).await
    }

    async fn start(kind: Kind, clock: Clock) -> Self {
        let running = Running {
            kind,
            clock,
            inner: Arc::default(),
        };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(running.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            base,
            kind,
            running,
        }
    }

    /// The section of a config that speaks to it.
    pub fn config(&self) -> String {
        let base = &self.base;
        match self.kind {
            Kind::Notify => format!(
                "[sms]\nkind = \"notify\"\nurl = \"{base}\"\nkey_env = \"{}\"\ntemplate_id = \"{TEMPLATE}\"\ntimeout = \"2 s\"\n",
                NOTIFY_KEY.0
            ),
            Kind::Template => format!(
                "[sms]\nkind = \"template\"\nurl = \"{base}/send\"\nform = \"form\"\nbody = 'to={{{{ to }}}}&text={{{{ text }}}}&ref={{{{ reference }}}}'\nid_pointer = \"/message/id\"\ntimeout = \"2 s\"\n\
                 [[sms.header]]\nname = \"Authorization\"\nbefore = \"Bearer \"\nvalue_env = \"{}\"\n[[sms.header]]\nname = \"X-Sender\"\ntext = \"Bell\"\n",
                TOKEN.0
            ),
        }
    }

    /// Announces texts; they are answered in this order.
    pub fn expect(&self, replies: &[Reply]) {
        let mut inner = self.running.inner.lock().unwrap();
        inner.expected.extend(replies.iter().cloned());
    }

    /// All texts that it took, oldest first.
    pub fn taken(&self) -> Vec<Text> {
        self.running.inner.lock().unwrap().taken.clone()
    }

    /// What became of all that it took.
    pub fn all_end_as(&self, status: &str) {
        for text in &mut self.running.inner.lock().unwrap().taken {
            status.clone_into(&mut text.status);
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let inner = self.running.inner.lock().unwrap();
        assert!(
            inner.complaints.is_empty(),
            "the gateway complains: {:#?}",
            inner.complaints
        );
        assert!(
            inner.expected.is_empty(),
            "{} texts never came",
            inner.expected.len()
        );
    }
}

async fn answer(
    State(running): State<Running>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (response, silent) = {
        let mut inner = running.inner.lock().unwrap();
        let known = match running.kind {
            Kind::Notify => is_fresh(&running.clock, &headers),
            Kind::Template => is_named(&headers),
        };
        let answered = known.and_then(|()| match running.kind {
            Kind::Notify if method == Method::GET => inner.look_up(&uri),
            Kind::Notify => read_notify(&method, &uri, &body).map(|text| inner.take(text)),
            Kind::Template => {
                read_form(&method, &uri, &headers, &body).map(|text| inner.take(text))
            }
        });
        answered.unwrap_or_else(|complaint| {
            inner.complaints.push(complaint);
            ((StatusCode::IM_A_TEAPOT, "").into_response(), false)
        })
    };
    if silent {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    response
}

impl Inner {
    fn take(&mut self, text: Text) -> (Response, bool) {
        self.named.push(text.reference.clone());
        let proper = json!({
            "id": "740e5834-3a29-46b4-9a6f-16142fde533a", "reference": text.reference,
            "message": { "id": 4711 },
        });
        match self.expected.pop_front() {
            Some(Reply::Takes) => {
                self.taken.push(text);
                (json_with(201, &proper), false)
            }
            Some(Reply::TakesSilently) => {
                self.taken.push(text);
                (json_with(201, &proper), true)
            }
            Some(Reply::Silent) => (json_with(500, &proper), true),
            Some(Reply::With(code, body)) => (json_with(code, &body), false),
            Some(Reply::Page(code)) => {
                let page = "<html><body>Something went wrong for +447700900123</body></html>";
                let code = StatusCode::from_u16(code).unwrap();
                ((code, page).into_response(), false)
            }
            None => {
                self.complaints
                    .push("a text that nobody announced".to_owned());
                (json_with(418, &proper), false)
            }
        }
    }

    fn look_up(&mut self, uri: &Uri) -> Result<(Response, bool), String> {
        let reference = uri
            .query()
            .and_then(|query| query.strip_prefix("reference="))
            .filter(|_| uri.path() == "/v2/notifications")
            .ok_or_else(|| format!("it cannot be asked that: {}", uri.path()))?;
        if !self.named.iter().any(|named| named == reference) {
            return Err("asked about a text that was never sent to it".to_owned());
        }
        let found: Vec<Value> = self
            .taken
            .iter()
            .filter(|text| text.reference == reference)
            .map(|text| json!({ "id": "1", "reference": reference, "status": text.status, "type": "sms" }))
            .collect();
        Ok((
            json_with(200, &json!({ "notifications": found, "links": {} })),
            false,
        ))
    }
}

fn json_with(code: u16, body: &Value) -> Response {
    let code = StatusCode::from_u16(code).unwrap();
    (code, axum::Json(body.clone())).into_response()
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers
        .get("authorization")?
        .to_str()
        .ok()?
        .strip_prefix("Bearer ")
}

/// What Notify checks of a token: HS256 by this service's secret, issued within half a minute.
fn is_fresh(clock: &Clock, headers: &HeaderMap) -> Result<(), String> {
    let token = bearer(headers).ok_or("there is no token")?;
    let (signed, mac) = token.rsplit_once('.').ok_or("the token is none")?;
    let mut expected = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    expected.update(signed.as_bytes());
    let mac = BASE64URL_NOPAD
        .decode(mac.as_bytes())
        .map_err(|_| "no base64url")?;
    expected
        .verify_slice(&mac)
        .map_err(|_| "the token is signed by another")?;
    let (header, claims) = signed.split_once('.').ok_or("the token is none")?;
    let read = |part: &str| -> Result<Value, String> {
        let bytes = BASE64URL_NOPAD
            .decode(part.as_bytes())
            .map_err(|_| "no base64url")?;
        serde_json::from_slice(&bytes).map_err(|_| "no JSON".to_owned())
    };
    let (header, claims) = (read(header)?, read(claims)?);
    let now = clock.now().micros() / 1_000_000;
    let age = claims["iat"].as_i64().map(|at| (now - at).abs());
    if header != json!({ "typ": "JWT", "alg": "HS256" }) || claims["iss"] != SERVICE {
        return Err(format!("the token says {header} {claims}"));
    }
    if age.is_none_or(|age| age > 30) {
        return Err("the token is not of now".to_owned());
    }
    Ok(())
}

fn is_named(headers: &HeaderMap) -> Result<(), String> {
    let sender = headers
        .get("x-sender")
        .and_then(|value| value.to_str().ok());
    if bearer(headers) != Some(TOKEN.1) || sender != Some("Bell") {
        return Err("the headers are not those of the config".to_owned());
    }
    Ok(())
}

fn read_notify(method: &Method, uri: &Uri, body: &Bytes) -> Result<Text, String> {
    if method != Method::POST || uri.path() != "/v2/notifications/sms" {
        return Err(format!("Notify has no {method} {}", uri.path()));
    }
    let body: Value = serde_json::from_slice(body).map_err(|_| "no JSON".to_owned())?;
    let keys: Vec<&String> = body
        .as_object()
        .map(|all| all.keys().collect())
        .unwrap_or_default();
    let mut known = [
        "personalisation",
        "phone_number",
        "reference",
        "template_id",
    ]
    .to_vec();
    known.sort_unstable();
    let mut sorted: Vec<&str> = keys.iter().map(|key| key.as_str()).collect();
    sorted.sort_unstable();
    if sorted != known || body["template_id"] != TEMPLATE {
        return Err(format!("Notify does not know {sorted:?}"));
    }
    let word = |value: &Value| value.as_str().map(str::to_owned).ok_or("it lacks a field");
    Ok(Text {
        to: word(&body["phone_number"])?,
        text: word(&body["personalisation"]["text"])?,
        reference: word(&body["reference"])?,
        status: "sending".to_owned(),
    })
}

fn read_form(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Text, String> {
    let content = headers
        .get("content-type")
        .and_then(|value| value.to_str().ok());
    if method != Method::POST
        || uri.path() != "/send"
        || content != Some("application/x-www-form-urlencoded")
    {
        return Err(format!("it has no {method} {} of {content:?}", uri.path()));
    }
    let body = String::from_utf8(body.to_vec()).map_err(|_| "no UTF-8")?;
    let url = reqwest::Url::parse(&format!("http://x/?{body}")).map_err(|_| "no form")?;
    let find = |name: &str| {
        url.query_pairs()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
            .ok_or_else(|| format!("it lacks {name}"))
    };
    Ok(Text {
        to: find("to")?,
        text: find("text")?,
        reference: find("ref")?,
        status: String::new(),
    })
}
