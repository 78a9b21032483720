//! The REST that a bot needs: commands, answers, messages. What is not here, nobody may ask for.

use std::sync::{Arc, Mutex};

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::guild::{APPLICATION, Inner, Wanted, is_token};
use super::rules;

/// Status and body; none is an empty body.
type Answer = (u16, Option<Value>);

pub async fn answer(
    State(inner): State<Arc<Mutex<Inner>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut inner = inner.lock().unwrap();
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if !header("user-agent").is_some_and(|agent| agent.starts_with("DiscordBot (")) {
        inner.complain("the user agent is not a bot's");
    }
    let trouble = inner
        .troubles
        .iter()
        .position(|trouble| trouble.method == method.as_str() && uri.path().contains(trouble.path));
    if let Some(trouble) = trouble.and_then(|nth| inner.troubles.remove(nth)) {
        let status = StatusCode::from_u16(trouble.status).unwrap();
        let mut response = (status, Json(trouble.body)).into_response();
        if let Some(wait) = trouble.retry_after {
            let headers = response.headers_mut();
            headers.insert("retry-after", wait.parse().unwrap());
            headers.insert("x-ratelimit-scope", "user".parse().unwrap());
        }
        return response;
    }
    if inner.is_token_revoked || !header("authorization").is_some_and(is_token) {
        let body = json!({ "message": "401: Unauthorized", "code": 0 });
        return (StatusCode::UNAUTHORIZED, Json(body)).into_response();
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let path = uri.path().strip_prefix("/api/v10/").unwrap_or_default();
    let path: Vec<&str> = path.split('/').collect();
    let (status, body) = inner.route(method.as_str(), &path, &body);
    let status = StatusCode::from_u16(status).unwrap();
    match body {
        Some(body) => (status, Json(body)).into_response(),
        None => status.into_response(),
    }
}

impl Inner {
    fn route(&mut self, method: &str, path: &[&str], body: &Value) -> Answer {
        match (method, path) {
            ("GET", ["gateway"]) => (200, Some(json!({ "url": self.gateway }))),
            ("GET", ["applications", APPLICATION, "guilds", _, "commands"]) => {
                (200, Some(Value::from(self.commands.clone())))
            }
            ("PUT", ["applications", APPLICATION, "guilds", _, "commands"]) => self.register(body),
            ("POST", ["interactions", id, token, "callback"]) => self.called_back(id, token, body),
            ("PATCH", ["webhooks", APPLICATION, token, "messages", "@original"]) => {
                self.edited(token, body)
            }
            ("POST", ["webhooks", APPLICATION, token]) => self.followed_up(token, body),
            ("POST", ["channels", channel, "messages"]) => self.post(channel, body),
            ("GET", ["channels", _, "messages"]) => (200, Some(json!([]))),
            ("PATCH", ["channels", _, "messages", _]) => {
                (200, Some(message(self.fresh(), 21, body)))
            }
            _ => {
                self.complain(format!("{method} {}", path.join("/")));
                (404, Some(json!({ "message": "404: Not Found", "code": 0 })))
            }
        }
    }

    fn refuse(&mut self, status: u16, code: u64, why: &str) -> Answer {
        self.complain(format!("code {code}: {why}"));
        (status, Some(json!({ "code": code, "message": why })))
    }

    fn register(&mut self, body: &Value) -> Answer {
        if let Err(why) = rules::commands(body) {
            return self.refuse(400, 50035, &why);
        }
        self.registered += 1;
        let mut commands = body.as_array().cloned().unwrap_or_default();
        for command in &mut commands {
            let id = self.fresh().to_string();
            for (key, value) in [
                ("id", json!(id)),
                ("application_id", json!(APPLICATION)),
                ("version", json!(id)),
                ("default_member_permissions", Value::Null),
                ("nsfw", json!(false)),
                ("description_localizations", Value::Null),
            ] {
                command[key] = value;
            }
        }
        self.commands = commands.clone();
        (200, Some(Value::from(commands)))
    }

    fn called_back(&mut self, id: &str, token: &str, body: &Value) -> Answer {
        let id = id.parse().unwrap_or_default();
        let Some(wanted) = self
            .wanted
            .get_mut(&id)
            .filter(|wanted| wanted.token == token)
        else {
            return self.refuse(404, 10062, "Unknown interaction");
        };
        if wanted.is_late() {
            return self.refuse(404, 10062, "Unknown interaction: three seconds are over");
        }
        if wanted.first.is_some() {
            let why = "Interaction has already been acknowledged";
            return self.refuse(400, 40060, why);
        }
        if let Err(why) = rules::callback(wanted.kind, body) {
            return self.refuse(400, 50035, &why);
        }
        wanted.first = Some(body.clone());
        (204, None)
    }

    fn by_token(&mut self, token: &str) -> Option<&mut Wanted> {
        let mut all = self.wanted.values_mut();
        all.find(|wanted| wanted.token == token && wanted.first.is_some())
    }

    fn edited(&mut self, token: &str, body: &Value) -> Answer {
        if let Err(why) = rules::message(body, &[]) {
            return self.refuse(400, 50035, &why);
        }
        match self.by_token(token) {
            Some(wanted) => wanted.edited = Some(body.clone()),
            None => return self.refuse(404, 10015, "Unknown Webhook"),
        }
        (200, Some(message(self.fresh(), 21, body)))
    }

    fn followed_up(&mut self, token: &str, body: &Value) -> Answer {
        if let Err(why) = rules::message(body, &["flags"]) {
            return self.refuse(400, 50035, &why);
        }
        match self.by_token(token) {
            Some(wanted) => wanted.follow_ups.push(body.clone()),
            None => return self.refuse(404, 10015, "Unknown Webhook"),
        }
        (200, Some(message(self.fresh(), 21, body)))
    }

    fn post(&mut self, channel: &str, body: &Value) -> Answer {
        let channel = channel.parse().unwrap_or_default();
        if let Err(why) = rules::message(body, &["nonce", "enforce_nonce"]) {
            return self.refuse(400, 50035, &why);
        }
        let nonce = body["nonce"].as_str().unwrap_or_default();
        if !(1..=25).contains(&nonce.chars().count()) || body["enforce_nonce"] != true {
            return self.refuse(400, 50035, "a message without a nonce could be there twice");
        }
        let is_known = self
            .posts
            .iter()
            .any(|(at, post)| *at == channel && post["nonce"] == nonce);
        if !is_known {
            self.posts.push((channel, body.clone()));
        }
        (200, Some(message(self.fresh(), channel, body)))
    }
}

/// A message as Discord gives it back.
pub(super) fn message(id: u64, channel: u64, body: &Value) -> Value {
    let or = |key: &str, other: Value| match &body[key] {
        Value::Null => other,
        value => value.clone(),
    };
    json!({
        "id": id.to_string(), "channel_id": channel.to_string(), "content": or("content", json!("")), "type": 0, "tts": false,
        "pinned": false, "author": { "id": APPLICATION, "username": "bell", "discriminator": "0", "avatar": null, "bot": true },
        "timestamp": "2026-01-01T00:00:00+00:00", "mention_everyone": false, "mentions": [], "mention_roles": [],
        "attachments": [], "embeds": or("embeds", json!([])), "components": or("components", json!([])),
    })
}
