//! A server of Discord, with its gateway, its REST and its people, on loopback. Strict: it refuses what Discord refuses, and
//! whatever arrives that no test has looked at fails the test.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;

use super::{TOKEN, line, rest};
use crate::support::seen;

/// The application, the server, the channel of status posts, and the private one of the desk.
pub const APPLICATION: &str = "1";
pub const GUILD: u64 = 2;
pub const DESK: u64 = 22;

/// Somebody with an account on Discord.
#[derive(Clone, Copy)]
pub struct Who {
    pub user: u64,
    pub roles: &'static [u64],
}

/// What the stand-in says to one connection.
pub(super) enum Say {
    Event(String),
    Close(u16),
    /// Not even good-bye.
    Cut,
}

/// What Discord keeps of a connection that was identified.
pub(super) struct Session {
    pub id: String,
    pub seq: u64,
    /// Everything that was said in it, for whoever comes back.
    pub log: Vec<(u64, String)>,
    pub line: Option<UnboundedSender<Say>>,
    pub is_valid: bool,
}

/// Something that somebody wanted, and what was answered.
pub(super) struct Wanted {
    pub token: String,
    pub kind: u64,
    pub event: Value,
    pub asked_at: Instant,
    pub first: Option<Value>,
    pub edited: Option<Value>,
    pub follow_ups: Vec<Value>,
    /// How many of the answers a test has looked at.
    pub seen: [usize; 3],
}

/// A refusal that comes in place of the next proper answer.
pub(super) struct Trouble {
    pub method: &'static str,
    pub path: &'static str,
    pub status: u16,
    pub retry_after: Option<&'static str>,
    pub body: Value,
}

#[derive(Default)]
pub(super) struct Inner {
    pub gateway: String,
    pub complaints: Vec<String>,
    pub sessions: Vec<Session>,
    pub identified: usize,
    pub resumed: usize,
    pub heartbeats: usize,
    pub is_token_revoked: bool,
    pub is_dark: bool,
    pub commands: Vec<Value>,
    pub registered: usize,
    pub wanted: BTreeMap<u64, Wanted>,
    pub posts: Vec<(u64, Value)>,
    pub posts_seen: usize,
    pub troubles: VecDeque<Trouble>,
    last_id: u64,
}

impl Inner {
    pub fn complain(&mut self, what: impl Into<String>) {
        self.complaints.push(what.into());
    }

    pub fn fresh(&mut self) -> u64 {
        self.last_id += 1;
        1_000 + self.last_id
    }

    /// Says an event in every session; who is away hears it when they resume.
    fn dispatch(&mut self, kind: &str, d: &Value) {
        for session in self.sessions.iter_mut().filter(|session| session.is_valid) {
            session.say(kind, d);
        }
    }
}

impl Session {
    pub fn say(&mut self, kind: &str, d: &Value) {
        self.seq += 1;
        let text = json!({ "op": 0, "s": self.seq, "t": kind, "d": d }).to_string();
        self.log.push((self.seq, text.clone()));
        if let Some(line) = &self.line {
            let _ = line.send(Say::Event(text));
        }
    }

    fn tell(&self, say: Say) {
        if let Some(line) = &self.line {
            let _ = line.send(say);
        }
    }
}

/// A running server.
pub struct Guild {
    pub base: String,
    inner: Arc<Mutex<Inner>>,
}

impl Guild {
    pub async fn start() -> Self {
        let bind = || tokio::net::TcpListener::bind(("127.0.0.1", 0));
        let (gateway, web) = (bind().await.unwrap(), bind().await.unwrap());
        let inner = Arc::new(Mutex::new(Inner {
            gateway: format!("ws://{}", gateway.local_addr().unwrap()),
            ..Inner::default()
        }));
        let base = format!("http://{}", web.local_addr().unwrap());
        tokio::spawn(line::serve(gateway, inner.clone()));
        let app = axum::Router::new()
            .fallback(rest::answer)
            .with_state(inner.clone());
        tokio::spawn(async move { axum::serve(web, app).await.unwrap() });
        Self { base, inner }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    // What people do.

    /// Somebody gives a command, such as `incident open`.
    pub fn slash(&self, who: &Who, words: &str, options: &[(&str, &str)]) -> u64 {
        self.slash_in(Some(GUILD), who, words, options)
    }

    /// The same in another server, or in a direct message.
    pub fn slash_in(
        &self,
        guild: Option<u64>,
        who: &Who,
        words: &str,
        options: &[(&str, &str)],
    ) -> u64 {
        let options = options
            .iter()
            .map(|(name, value)| json!({ "name": name, "type": 3, "value": value }))
            .collect();
        self.ask(guild, who, 2, command(words, options))
    }

    /// Somebody types into an option of a command.
    pub fn types(&self, who: &Who, words: &str, option: &str, typed: &str) -> u64 {
        let option = json!({ "name": option, "type": 3, "value": typed, "focused": true });
        self.ask(Some(GUILD), who, 4, command(words, vec![option]))
    }

    /// Somebody presses a button, which need not be there.
    pub fn presses(&self, who: &Who, button: &str) -> u64 {
        let data = json!({ "custom_id": button, "component_type": 2 });
        self.ask(Some(GUILD), who, 3, data)
    }

    /// Somebody sends a form off.
    pub fn fills_in(&self, who: &Who, form: &str, fields: &[(&str, &str)]) -> u64 {
        let rows: Vec<Value> = fields
            .iter()
            .enumerate()
            .map(|(nth, (name, value))| {
                let field =
                    json!({ "type": 4, "id": 2 * nth + 2, "custom_id": name, "value": value });
                json!({ "type": 1, "id": 2 * nth + 1, "components": [field] })
            })
            .collect();
        let data = json!({ "custom_id": form, "components": rows });
        self.ask(Some(GUILD), who, 5, data)
    }

    fn ask(&self, guild: Option<u64>, who: &Who, kind: u64, data: Value) -> u64 {
        let mut inner = self.inner();
        let id = inner.fresh();
        let event = event(id, guild, who, kind, data);
        inner.want(id, kind, event);
        id
    }

    /// The same, whatever it is: what a newer Discord, or somebody hostile, may send.
    pub fn sends(&self, change: impl FnOnce(&mut Value)) -> u64 {
        let who = Who {
            user: 31,
            roles: &[],
        };
        let mut inner = self.inner();
        let id = inner.fresh();
        let mut event = event(id, Some(GUILD), &who, 2, command("help", Vec::new()));
        change(&mut event);
        inner.want(id, 2, event);
        id
    }

    /// Discord says the same once more.
    pub fn again(&self, id: u64) {
        let mut inner = self.inner();
        let event = inner.wanted[&id].event.clone();
        inner.dispatch("INTERACTION_CREATE", &event);
    }

    // What Discord does.

    /// Lines break, without a word.
    pub fn cuts(&self) {
        for session in &mut self.inner().sessions {
            session.tell(Say::Cut);
            session.line = None;
        }
    }

    /// Discord asks everybody to come back on a new line.
    pub fn asks_to_reconnect(&self) {
        let text = json!({ "op": 7, "d": null, "s": null, "t": null }).to_string();
        for session in &self.inner().sessions {
            session.tell(Say::Event(text.clone()));
        }
    }

    /// Discord forgets all sessions.
    pub fn forgets(&self) {
        let text = json!({ "op": 9, "d": false, "s": null, "t": null }).to_string();
        for session in &mut self.inner().sessions {
            session.is_valid = false;
            session.tell(Say::Event(text.clone()));
        }
    }

    /// The token is none any more: lines are closed, and nobody gets in.
    pub fn revokes_the_token(&self) {
        let mut inner = self.inner();
        inner.is_token_revoked = true;
        for session in &mut inner.sessions {
            session.is_valid = false;
            session.tell(Say::Close(4004));
        }
    }

    /// Nobody gets a line.
    pub fn goes_dark(&self, is_dark: bool) {
        self.inner().is_dark = is_dark;
    }

    /// The next request of this kind is refused.
    pub fn refuses(
        &self,
        method: &'static str,
        path: &'static str,
        status: u16,
        retry_after: Option<&'static str>,
        body: Value,
    ) {
        self.inner().troubles.push_back(Trouble {
            method,
            path,
            status,
            retry_after,
            body,
        });
    }

    // What was seen.

    /// Waits until so many sessions were begun.
    pub async fn has_identified(&self, times: usize) {
        seen("a bot that identifies", || {
            let inner = self.inner();
            (inner.identified >= times && inner.is_connected()).then_some(())
        })
        .await;
        assert_eq!(self.inner().identified, times, "IDENTIFY");
    }

    /// Waits until so many sessions were resumed.
    pub async fn has_resumed(&self, times: usize) {
        seen("a bot that resumes", || {
            let inner = self.inner();
            (inner.resumed >= times && inner.is_connected()).then_some(())
        })
        .await;
    }

    pub fn identified(&self) -> usize {
        self.inner().identified
    }

    pub fn heartbeats(&self) -> usize {
        self.inner().heartbeats
    }

    /// Waits until the commands were registered so often.
    pub async fn has_registered(&self, times: usize) -> Vec<Value> {
        seen("commands that are registered", || {
            (self.inner().registered >= times).then_some(())
        })
        .await;
        assert_eq!(self.registered(), times);
        self.inner().commands.clone()
    }

    pub fn registered(&self) -> usize {
        self.inner().registered
    }

    /// Somebody changes the commands by another program.
    pub fn commands_are(&self, commands: Vec<Value>) {
        self.inner().commands = commands;
    }

    /// The first answer, whole.
    pub async fn answer(&self, id: u64) -> Value {
        seen("a first answer", || {
            let mut inner = self.inner();
            let wanted = inner.wanted.get_mut(&id).unwrap();
            let first = wanted.first.clone()?;
            wanted.seen[0] = 1;
            Some(first)
        })
        .await
    }

    /// What the asker reads in the end, at once or after "thinking".
    pub async fn said(&self, id: u64) -> String {
        let first = self.answer(id).await;
        match first["type"].as_u64() {
            Some(4 | 7) => words(&first["data"]),
            Some(5) => words(&self.edited(id).await),
            other => panic!("no words: {other:?}"),
        }
    }

    /// What the first answer was replaced by.
    pub async fn edited(&self, id: u64) -> Value {
        seen("an answer that was edited", || {
            let mut inner = self.inner();
            let wanted = inner.wanted.get_mut(&id).unwrap();
            let edited = wanted.edited.clone()?;
            wanted.seen[1] = 1;
            Some(edited)
        })
        .await
    }

    /// A further answer beside the first.
    pub async fn followed_up(&self, id: u64) -> Value {
        seen("a further answer", || {
            let mut inner = self.inner();
            let wanted = inner.wanted.get_mut(&id).unwrap();
            let nth = wanted.seen[2];
            let follow_up = wanted.follow_ups.get(nth).cloned()?;
            wanted.seen[2] += 1;
            Some(follow_up)
        })
        .await
    }

    /// Whether it has not been answered at all.
    pub fn is_unanswered(&self, id: u64) -> bool {
        self.inner().wanted[&id].first.is_none()
    }

    /// The next message of a channel that nobody has looked at.
    pub async fn posted(&self, channel: u64) -> Value {
        seen("a message in a channel", || {
            let mut inner = self.inner();
            let (at, post) = inner.posts.get(inner.posts_seen).cloned()?;
            assert_eq!(at, channel);
            inner.posts_seen += 1;
            Some(post)
        })
        .await
    }
}

impl Inner {
    fn is_connected(&self) -> bool {
        self.sessions
            .iter()
            .any(|session| session.is_valid && session.line.is_some())
    }

    fn want(&mut self, id: u64, kind: u64, event: Value) {
        self.dispatch("INTERACTION_CREATE", &event);
        self.wanted.insert(
            id,
            Wanted {
                token: format!("tok{id}"),
                kind,
                event,
                asked_at: Instant::now(),
                first: None,
                edited: None,
                follow_ups: Vec::new(),
                seen: [0; 3],
            },
        );
    }
}

impl Wanted {
    /// Discord's three seconds.
    pub fn is_late(&self) -> bool {
        self.asked_at.elapsed() > Duration::from_secs(3)
    }
}

/// All that a message says.
pub fn words(message: &Value) -> String {
    let embeds = message["embeds"].as_array().cloned().unwrap_or_default();
    let embeds = embeds
        .iter()
        .filter_map(|embed| embed["description"].as_str().map(str::to_owned));
    message["content"]
        .as_str()
        .map(str::to_owned)
        .into_iter()
        .chain(embeds)
        .collect()
}

/// What stands on the back of the button of a message that is labelled so.
pub fn button(message: &Value, label: &str) -> String {
    message["components"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|row| row["components"].as_array().into_iter().flatten())
        .find(|button| button["label"] == label)
        .unwrap_or_else(|| panic!("there is no button {label}: {message:#}"))["custom_id"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// `incident open` as Discord nests it.
fn command(words: &str, options: Vec<Value>) -> Value {
    let mut words: Vec<&str> = words.split(' ').collect();
    let name = words.remove(0);
    let mut inner = Value::from(options);
    for (nth, word) in words.iter().enumerate().rev() {
        let kind = if nth + 1 < words.len() { 2 } else { 1 };
        inner = json!([{ "name": word, "type": kind, "options": inner }]);
    }
    json!({ "id": "50", "name": name, "type": 1, "guild_id": GUILD.to_string(), "options": inner })
}

fn event(id: u64, guild: Option<u64>, who: &Who, kind: u64, data: Value) -> Value {
    let user = json!({ "id": who.user.to_string(), "username": format!("user{}", who.user), "discriminator": "0", "avatar": null, "global_name": null });
    let roles: Vec<String> = who.roles.iter().map(u64::to_string).collect();
    let mut event = json!({
        "id": id.to_string(), "application_id": APPLICATION, "type": kind, "token": format!("tok{id}"), "version": 1,
        "channel_id": "21", "channel": { "id": "21", "type": 0, "name": "status", "permissions": "8192" },
        "locale": "en-GB", "app_permissions": "8", "entitlements": [], "authorizing_integration_owners": { "0": "2" }, "context": 0,
        "attachment_size_limit": 26_214_400, "data": data,
    });
    match guild {
        Some(guild) => {
            event["guild_id"] = json!(guild.to_string());
            event["guild_locale"] = json!("en-GB");
            event["member"] = json!({
                "user": user, "nick": null, "roles": roles, "joined_at": "2026-01-01T00:00:00+00:00", "deaf": false, "mute": false,
                "flags": 0, "permissions": "8192",
            });
        }
        None => event["user"] = user,
    }
    if kind == 3 {
        event["message"] = rest::message(900, 21, &json!({ "content": "press" }));
    }
    event
}

impl Drop for Guild {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let inner = self.inner();
        assert!(
            inner.complaints.is_empty(),
            "discord complains: {:#?}",
            inner.complaints
        );
        for (id, wanted) in &inner.wanted {
            let came = [
                usize::from(wanted.first.is_some()),
                usize::from(wanted.edited.is_some()),
                wanted.follow_ups.len(),
            ];
            assert_eq!(
                came, wanted.seen,
                "answers to {id} that nobody looked at: {:#?} {:#?} {:#?}",
                wanted.first, wanted.edited, wanted.follow_ups
            );
        }
        assert_eq!(
            inner.posts_seen,
            inner.posts.len(),
            "messages that nobody looked at: {:#?}",
            inner.posts
        );
        assert!(inner.troubles.is_empty(), "a refusal that never came");
    }
}

/// Whether this is the bot's own token, with or without the word before it.
pub(super) fn is_token(given: &str) -> bool {
    given.strip_prefix("Bot ").unwrap_or(given) == TOKEN
}
