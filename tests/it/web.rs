//! The page and what machines ask, over real HTTP on loopback.

mod browser;
mod machines;
mod oidc;
mod operating;
mod pages;
mod sign_in;

use data_encoding::BASE32_NOPAD;
use division_bell::desk::keys;
use division_bell::domain::totp;
use division_bell::web;
use reqwest::header::{HeaderMap, HeaderValue, SET_COOKIE};
use reqwest::{Client, RequestBuilder, StatusCode, redirect};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::flow::{Bell, Setup, five};

/// Any port of this machine.
const LOCAL: &str = "[web]\nlisten = \"127.0.0.1:0\"\n";

/// Beside ann, who is security and communications, and ben, who approves.
const MORE_PEOPLE: &str = r#"
[[operator]]
name = "Cat"
roles = ["communications"]
[[operator]]
name = "dan"
roles = ["compliance"]
"#;

/// A page that answers, until it is dropped.
struct Page {
    bell: Bell,
    at: String,
    client: Client,
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

/// What was answered.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        Self {
            status: response.status(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// `name=held` of what it has the browser hold.
    fn cookie(&self, name: &str) -> Option<String> {
        let start = format!("{name}=");
        self.headers
            .get_all(SET_COOKIE)
            .iter()
            .map(|line| line.to_str().unwrap())
            .find(|line| line.starts_with(&start))
            .map(|line| line.split(';').next().unwrap().to_owned())
    }

    /// What the first form of the page has to bring along.
    fn form(&self) -> String {
        let (_, rest) = self
            .text
            .split_once("name=\"form\" value=\"")
            .unwrap_or_else(|| panic!("no form: {}", self.text));
        rest.split('"').next().unwrap().to_owned()
    }
}

impl Page {
    async fn open(more: &str) -> Self {
        Self::of(bell(more).await).await
    }

    async fn of(bell: Bell) -> Self {
        let door = web::open(&bell.app).await.unwrap().unwrap();
        let at = format!("http://{}", door.at().unwrap());
        let (stop, stopping) = watch::channel(false);
        let task = tokio::spawn(web::run(bell.app.clone(), door, stopping));
        Self {
            bell,
            at,
            client: client(),
            stop,
            task: Some(task),
        }
    }

    fn request(&self, path: &str, cookie: &str) -> RequestBuilder {
        let request = self.client.get(format!("{}{path}", self.at));
        with_cookie(request, cookie)
    }

    async fn get(&self, path: &str, cookie: &str) -> Answer {
        Answer::of(self.request(path, cookie)).await
    }

    async fn post(&self, path: &str, cookie: &str, fields: &[(&str, &str)]) -> Answer {
        let request = self.client.post(format!("{}{path}", self.at));
        let body = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", value.replace('+', "%2B").replace(' ', "+")))
            .collect::<Vec<_>>()
            .join("&");
        let request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        Answer::of(with_cookie(request, cookie)).await
    }

    /// Gives an operator a password and a second factor.
    async fn admit(&self, name: &str) -> Key {
        let password = keys::set_password(&self.bell.app, name, None, "ben")
            .await
            .unwrap()
            .unwrap();
        let factor = keys::set_totp(&self.bell.app, name, "ben").await.unwrap();
        Key {
            name: name.to_owned(),
            password,
            secret: BASE32_NOPAD.decode(factor.secret.as_bytes()).unwrap(),
        }
    }

    /// Fills in the form.
    async fn enter(&self, name: &str, password: &str, code: &str) -> Answer {
        let form = self.get("/sign-in", "").await;
        let (held, token) = (form.cookie("bell-form").unwrap(), form.form());
        let fields = [
            ("form", &token[..]),
            ("name", name),
            ("password", password),
            ("code", code),
        ];
        self.post("/sign-in", &held, &fields).await
    }

    /// The cookie of an operator who is given a key and signs in with it.
    async fn signed_in(&self, name: &str) -> String {
        let key = self.admit(name).await;
        let answer = self.enter(name, &key.password, &key.code(self)).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        assert_eq!(answer.header("location"), "/");
        answer.cookie("bell").unwrap()
    }

    /// What it says of a page, whoever looks.
    async fn says(&self, path: &str, cookie: &str) -> String {
        let answer = self.get(path, cookie).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
        answer.text
    }

    async fn stop(&mut self) {
        self.stop.send_replace(true);
        if let Some(task) = self.task.take() {
            task.await.unwrap();
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// What somebody signs in with.
struct Key {
    name: String,
    password: String,
    secret: Vec<u8>,
}

impl Key {
    /// The code that their phone shows by the page's clock.
    fn code(&self, page: &Page) -> String {
        totp::shown(&self.secret, totp::step_at(page.bell.now()))
    }
}

fn client() -> Client {
    Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap()
}

fn with_cookie(request: RequestBuilder, cookie: &str) -> RequestBuilder {
    match cookie {
        "" => request,
        cookie => request.header("cookie", HeaderValue::from_str(cookie).unwrap()),
    }
}

/// A bell with five people in its directory.
async fn bell(more: &str) -> Bell {
    let bell = Bell::with(Setup {
        more: format!("{MORE_PEOPLE}{more}"),
        ..Setup::default()
    })
    .await;
    bell.people(&five()).await;
    bell
}

/// Two people who were told: ada, whose password is weak, and bea, whose was breached.
async fn tell_two(bell: &Bell) {
    let dump = "2026-03-01T00:00:00Z";
    let lines = [("abaraa", "weak", dump), ("brightb", "breached", dump)];
    bell.audit("two", &lines).await;
    bell.campaign().await;
    let delivered = bell.deliver().await;
    assert_eq!(delivered.accepted, 2, "{delivered}");
}
