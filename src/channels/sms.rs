//! Sms: texts through a gateway that is spoken to over HTTPS: one described by a template, or GOV.UK Notify.
//!
//! A text is sent under a reference of ours, the same at each attempt. Where the gateway can be asked about a reference, a
//! doubt is settled by asking before anything is repeated.

mod notify;

use std::fmt::Write as _;
use std::time::Duration;

use minijinja::{Environment, UndefinedBehavior, context};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Request, Response, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::Sent;
use crate::clock::Clock;
use crate::domain::Mobile;
use crate::domain::delivery::{Answer, Outcome, Reply, Stage};
use crate::domain::phone::without_numbers;
use crate::domain::text::{Answered, Fate, outcome};

use notify::Notify;

/// What is read of an answer.
const LONGEST_ANSWER: usize = 64 * 1024;

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Not an address.
    #[error("the address of the gateway cannot be used")]
    Url,
    /// The body's template.
    #[error("the template of the body cannot be used")]
    Body,
    /// A field of the header.
    #[error("a header of the gateway holds characters that no header may hold")]
    Header,
    /// Notify's key ends in two identities of 36 characters.
    #[error("the API key of Notify is not one; copy it whole, as it was given out")]
    Key,
    /// The HTTP client cannot be built.
    #[error("the HTTP client cannot be set up")]
    Client,
}

/// What a request's body is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// JSON: values come quoted.
    Json,
    /// application/x-www-form-urlencoded: values come encoded.
    Urlencoded,
}

/// A gateway that takes one request a text.
pub struct Template {
    /// Where it goes.
    pub url: String,
    /// PUT in place of POST.
    pub put: bool,
    /// What the body is.
    pub form: Form,
    /// With `{{ to }}`, `{{ text }}` and `{{ reference }}`.
    pub body: String,
    /// Further fields of the header: name, open text, secret after it.
    pub headers: Vec<(String, String, Option<SecretString>)>,
    /// Where the answer holds the gateway's own number.
    pub id_pointer: Option<String>,
    /// Statuses that say that this number cannot be texted.
    pub refused_status: Vec<u16>,
}

enum How {
    Template(Box<Described>),
    Notify(Box<Notify>),
}

/// What a template became.
struct Described {
    url: Url,
    method: Method,
    headers: HeaderMap,
    body: Environment<'static>,
    id_pointer: Option<String>,
    refused_status: Vec<u16>,
}

/// The way to people's telephones.
pub struct Gateway {
    client: Client,
    how: How,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let how = match self.how {
            How::Template(_) => "template",
            How::Notify(_) => "notify",
        };
        f.debug_struct("Gateway")
            .field("how", &how)
            .finish_non_exhaustive()
    }
}

/// What a gateway knows of a reference.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LookedUp {
    /// It has the text.
    There(Fate),
    /// It never got it.
    NotThere,
    /// It cannot be asked, or does not answer.
    Unknown,
}

/// The body's only template.
const BODY: &str = "body";

impl Gateway {
    /// A gateway that a template describes.
    pub fn by_template(template: Template, timeout: Duration) -> Result<Self, GatewayError> {
        let mut headers = HeaderMap::new();
        let content = match template.form {
            Form::Json => "application/json",
            Form::Urlencoded => "application/x-www-form-urlencoded",
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content));
        for (name, text, secret) in &template.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| GatewayError::Header)?;
            let mut whole = text.clone();
            if let Some(secret) = secret {
                whole.push_str(secret.expose_secret());
            }
            let mut value = HeaderValue::from_str(&whole).map_err(|_| GatewayError::Header)?;
            value.set_sensitive(secret.is_some());
            headers.insert(name, value);
        }
        let mut body = Environment::new();
        body.set_undefined_behavior(UndefinedBehavior::Strict);
        body.add_template_owned(BODY, template.body)
            .map_err(|_| GatewayError::Body)?;
        let form = template.form;
        // Every value comes out quoted or encoded, so that none can end its place early.
        body.set_formatter(move |out, _, value| {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            let written = match form {
                Form::Json => Value::String(text).to_string(),
                Form::Urlencoded => urlencoded(&text),
            };
            out.write_str(&written).map_err(minijinja::Error::from)
        });
        Ok(Self {
            client: client(timeout)?,
            how: How::Template(Box::new(Described {
                url: Url::parse(&template.url).map_err(|_| GatewayError::Url)?,
                method: if template.put {
                    Method::PUT
                } else {
                    Method::POST
                },
                headers,
                body,
                id_pointer: template.id_pointer,
                refused_status: template.refused_status,
            })),
        })
    }

    /// GOV.UK Notify at `url`. The clock dates its tokens.
    pub fn notify(
        url: &str,
        key: &SecretString,
        template_id: &str,
        placeholder: &str,
        clock: Clock,
        timeout: Duration,
    ) -> Result<Self, GatewayError> {
        Ok(Self {
            client: client(timeout)?,
            how: How::Notify(Box::new(Notify::new(
                url,
                key,
                template_id,
                placeholder,
                clock,
            )?)),
        })
    }

    /// Sends one text. Never an error: what happened is the answer.
    pub async fn send(&self, reference: &str, to: &Mobile, text: &str) -> Sent {
        let request = match &self.how {
            How::Template(described) => self.by_the_template(described, reference, to, text),
            How::Notify(notify) => notify.text(&self.client, reference, to, text),
        };
        let Ok(request) = request else {
            let text = "the request to the gateway cannot be written from its template";
            return sent(
                Answered::Status {
                    code: 400,
                    refuses_number: false,
                    lacks_proof: false,
                },
                Answer::Reply(Reply::new(400, text)),
            );
        };
        match self.client.execute(request).await {
            Ok(response) => self.read(response).await,
            Err(error) => broken(&error),
        }
    }

    /// What the gateway knows of a reference that may or may not have reached it.
    pub async fn look_up(&self, reference: &str) -> LookedUp {
        match &self.how {
            How::Template(_) => LookedUp::Unknown,
            How::Notify(notify) => notify.look_up(&self.client, reference).await,
        }
    }

    /// Whether it can be asked what became of a text.
    pub const fn can_look_up(&self) -> bool {
        matches!(self.how, How::Notify(_))
    }

    fn by_the_template(
        &self,
        described: &Described,
        reference: &str,
        to: &Mobile,
        text: &str,
    ) -> Result<Request, ()> {
        let body = described
            .body
            .get_template(BODY)
            .and_then(|body| body.render(context! { to => to.expose(), text, reference }))
            .map_err(|_| ())?;
        self.client
            .request(described.method.clone(), described.url.clone())
            .headers(described.headers.clone())
            .body(body)
            .build()
            .map_err(|_| ())
    }

    async fn read(&self, response: Response) -> Sent {
        let code = response.status().as_u16();
        let body = body_of(response).await;
        let json: Option<Value> = serde_json::from_slice(&body).ok();
        let (answered, text) = match &self.how {
            How::Template(described) => {
                let id = described
                    .id_pointer
                    .as_ref()
                    .map(|pointer| json.as_ref().and_then(|json| id_at(json, pointer)));
                let text = match &id {
                    Some(Some(id)) if code < 300 => format!("taken as {id}"),
                    _ if code < 300 => "taken".to_owned(),
                    _ => String::from_utf8_lossy(&body).into_owned(),
                };
                let answered = Answered::Status {
                    code,
                    refuses_number: described.refused_status.contains(&code),
                    lacks_proof: matches!(id, Some(None)),
                };
                (answered, text)
            }
            How::Notify(_) => notify::understood(code, json.as_ref()),
        };
        let text: String = without_numbers(&text).chars().take(200).collect();
        sent(answered, Answer::Reply(Reply::new(code, &text)))
    }
}

/// The gateway's own number, if there is one: a word or a number that is not empty.
fn id_at(json: &Value, pointer: &str) -> Option<String> {
    match json.pointer(pointer)? {
        Value::String(text) if !text.is_empty() => Some(text.chars().take(64).collect()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn client(timeout: Duration) -> Result<Client, GatewayError> {
    Client::builder()
        .use_native_tls()
        .timeout(timeout)
        // Shorter, so that a gateway that is not there is never taken for one that is silent.
        .connect_timeout(timeout.min(Duration::from_secs(20)) / 2)
        // A proxy from the environment would see the secret; a redirect could take it elsewhere.
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_idle_timeout(Duration::from_secs(15))
        .user_agent(concat!("division-bell/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|_| GatewayError::Client)
}

fn sent(answered: Answered, answer: Answer) -> Sent {
    let (outcome, stage, cause) = outcome(answered);
    Sent {
        stage,
        answer,
        outcome,
        cause,
    }
}

/// A request without an answer: nothing was said if there was no connection, and anything may have been otherwise.
fn broken(error: &reqwest::Error) -> Sent {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut is_tls = false;
    while let Some(one) = cause {
        is_tls |= one.is::<native_tls::Error>();
        cause = one.source();
    }
    if is_tls {
        sent(Answered::Tls, Answer::Tls)
    } else if error.is_connect() {
        sent(Answered::Unreachable, Answer::Lost)
    } else if error.is_timeout() {
        sent(Answered::Silent, Answer::TimedOut)
    } else {
        sent(Answered::Silent, Answer::Lost)
    }
}

/// As much of a body as came, up to a limit.
async fn body_of(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = LONGEST_ANSWER.saturating_sub(body.len());
        body.extend(chunk.iter().take(room));
        if room <= chunk.len() {
            break;
        }
    }
    body
}

fn urlencoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'*' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            // Writing to a String cannot go wrong.
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

impl Sent {
    /// A text that the gateway has already: found by its reference before it was repeated.
    pub fn found() -> Self {
        Self {
            stage: Stage::Dot,
            answer: Answer::Reply(Reply::new(200, "the gateway has it already")),
            outcome: Outcome::Accepted,
            cause: crate::domain::delivery::Cause::Accepted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rendered(form: Form, body: &str, text: &str) -> String {
        let gateway = Gateway::by_template(
            Template {
                url: "https://sms.example/".to_owned(),
                put: false,
                form,
                body: body.to_owned(),
                headers: Vec::new(),
                id_pointer: None,
                refused_status: Vec::new(),
            },
            Duration::from_secs(1),
        )
        .unwrap();
        let to = Mobile::parse("+447700900123").unwrap();
        let How::Template(described) = &gateway.how else {
            panic!("not by a template")
        };
        let request = gateway
            .by_the_template(described, "ref-1", &to, text)
            .unwrap();
        let body = request.body().unwrap().as_bytes().unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    proptest! {
        #[test]
        fn whatever_a_text_says_it_stays_in_its_place(text in "\\PC{0,80}") {
            let json = rendered(Form::Json, r#"{"to": {{ to }}, "t": {{ text }}, "r": {{ reference }}}"#, &text);
            let json: Value = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(json, serde_json::json!({ "to": "+447700900123", "t": text.clone(), "r": "ref-1" }));
            let form = rendered(Form::Urlencoded, "to={{ to }}&t={{ text }}", &text);
            let url = Url::parse(&format!("https://x.example/?{form}")).unwrap();
            let pairs: Vec<_> = url.query_pairs().into_owned().collect();
            prop_assert_eq!(pairs, [("to".to_owned(), "+447700900123".to_owned()), ("t".to_owned(), text)]);
        }
    }

    #[test]
    fn a_secret_in_a_header_is_not_printed() {
        let secret = SecretString::from("s3ntinel");
        let template = Template {
            url: "https://sms.example/".to_owned(),
            put: true,
            form: Form::Json,
            body: "{{ to }}{{ text }}".to_owned(),
            headers: vec![(
                "Authorization".to_owned(),
                "Bearer ".to_owned(),
                Some(secret),
            )],
            id_pointer: None,
            refused_status: Vec::new(),
        };
        let gateway = Gateway::by_template(template, Duration::from_secs(1)).unwrap();
        assert!(!format!("{gateway:?}").contains("s3ntinel"));
        let How::Template(described) = &gateway.how else {
            panic!("not by a template")
        };
        assert!(!format!("{:?}", described.headers).contains("s3ntinel"));
    }
}
