//! Slack: `chat.postMessage` and `chat.update` with a bot's token; lines stand in the post's own thread.
//!
//! All text is `plain_text`, which Slack neither marks up nor searches for mentions. A repeated post is not recognised, so our
//! reference goes along as metadata and is looked for before anything is said again; that takes the scope `channels:history`.

use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::http::{ChatError, Reply, ask, below, client, is_token, plain_word, refusal};
use super::render::{Plain, cut, has_room, plain};
use super::{Looked, MessageId, Miss, StatusPost};
use crate::domain::Moment;
use crate::domain::post::Trouble;

/// Slack's own address.
pub const SLACK: &str = "https://slack.com";

/// Longest text of a section, and of a header.
const SECTION: usize = 2_900;
const HEADER: usize = 150;
/// Blocks of a message: fifty, less the header, the footer and twenty paragraphs.
const FACTS: usize = 26;
/// How many messages are looked through.
const LOOK_BACK: usize = 100;
/// How far our clock and Slack's may differ, in seconds.
const SKEW: i64 = 300;
/// By which our messages are told from those of others.
const EVENT: &str = "division_bell_post";

/// A bot's way to one channel.
#[derive(Clone)]
pub struct Slack {
    client: Client,
    base: String,
    token: SecretString,
    channel: String,
}

impl std::fmt::Debug for Slack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slack")
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

impl Slack {
    /// `base` replaces [`SLACK`], for a test.
    pub fn new(token: &SecretString, channel: &str, base: Option<&str>) -> Result<Self, ChatError> {
        if !is_token(token.expose_secret()) {
            return Err(ChatError::Token);
        }
        let base = base.unwrap_or(SLACK);
        below(base, "api/chat.postMessage")?;
        Ok(Self {
            client: client()?,
            base: base.to_owned(),
            token: token.clone(),
            channel: channel.to_owned(),
        })
    }

    pub(super) async fn say(
        &self,
        thread: Option<&MessageId>,
        post: &StatusPost,
    ) -> Result<MessageId, Miss> {
        let mut body = self.body(post);
        if let Some(map) = body.as_object_mut() {
            map.insert("unfurl_links".to_owned(), false.into());
            map.insert("unfurl_media".to_owned(), false.into());
            if let Some(thread) = thread {
                map.insert("thread_ts".to_owned(), thread.0.clone().into());
            }
        }
        let answer = self.call("chat.postMessage", &body).await?;
        // A yes without the message's own id: it is there, and we do not know where.
        let id = answer.get("ts").and_then(Value::as_str);
        id.map(|id| MessageId(id.to_owned())).ok_or(Miss::Unsure)
    }

    pub(super) async fn edit(&self, message: &MessageId, post: &StatusPost) -> Result<(), Miss> {
        let mut body = self.body(post);
        if let Some(map) = body.as_object_mut() {
            map.insert("ts".to_owned(), message.0.clone().into());
        }
        self.call("chat.update", &body).await.map(|_| ())
    }

    pub(super) async fn look(
        &self,
        thread: Option<&MessageId>,
        reference: &str,
        since: Moment,
    ) -> Result<Looked, Miss> {
        let seconds = since.micros().div_euclid(1_000_000).saturating_sub(SKEW);
        // What reads takes a form, and no JSON.
        let mut form = vec![
            ("channel", self.channel.clone()),
            ("oldest", seconds.max(0).to_string()),
            ("limit", LOOK_BACK.to_string()),
            ("include_all_metadata", "true".to_owned()),
        ];
        let method = match thread {
            Some(thread) => {
                form.push(("ts", thread.0.clone()));
                "conversations.replies"
            }
            None => "conversations.history",
        };
        let answer = match understood(self.request(method).form(&form)).await {
            Err(Miss::Never(why)) if why.trouble == Trouble::Permission => {
                return Ok(Looked::Perhaps);
            }
            answer => answer?,
        };
        let messages = answer.get("messages").and_then(Value::as_array);
        let ours = messages.into_iter().flatten().find(|message| {
            let said = message.pointer("/metadata/event_payload/reference");
            said.and_then(Value::as_str) == Some(reference)
        });
        if let Some(id) = ours.and_then(|ours| ours.get("ts")).and_then(Value::as_str) {
            return Ok(Looked::Found(MessageId(id.to_owned())));
        }
        let has_more = answer.get("has_more").and_then(Value::as_bool);
        Ok(match has_more {
            Some(true) => Looked::Perhaps,
            Some(false) | None => Looked::Absent,
        })
    }

    fn body(&self, post: &StatusPost) -> Value {
        let plain = plain(post, SECTION, FACTS);
        json!({
            "channel": self.channel,
            // What a notification shows, and programs that read blocks aloud.
            "text": escaped(&cut(&plain.on_lines(), SECTION)),
            "mrkdwn": false,
            "parse": "none",
            "link_names": false,
            "blocks": blocks(&plain),
            "metadata": { "event_type": EVENT, "event_payload": { "reference": post.footer_reference } },
        })
    }

    async fn call(&self, method: &str, body: &Value) -> Result<Value, Miss> {
        let request = self
            .request(method)
            .header("content-type", "application/json; charset=utf-8")
            .body(body.to_string());
        understood(request).await
    }

    fn request(&self, method: &str) -> RequestBuilder {
        let url = format!("{}/api/{method}", self.base.trim_end_matches('/'));
        self.client
            .post(url)
            .bearer_auth(self.token.expose_secret())
    }
}

/// Whether a post's text is not cut.
pub(super) fn shows_whole(text: &str) -> bool {
    has_room(text, SECTION)
}

async fn understood(request: RequestBuilder) -> Result<Value, Miss> {
    let reply = ask(request).await?;
    if !reply.is_good() {
        return Err(reply.miss("slack"));
    }
    match reply.json.get("ok").and_then(Value::as_bool) {
        Some(true) => Ok(reply.json),
        Some(false) => Err(refused(&reply)),
        None => Err(Miss::Unsure),
    }
}

/// Slack says yes to every request, and no in its own words.
fn refused(reply: &Reply) -> Miss {
    let word = reply.json.get("error").and_then(Value::as_str);
    let word = plain_word(word.unwrap_or_default());
    let trouble = match word.as_str() {
        "ratelimited" | "rate_limited" => return Miss::Later(reply.wait),
        "internal_error" | "fatal_error" | "request_timeout" | "service_unavailable" => {
            return Miss::Unsure;
        }
        "message_not_found" | "thread_not_found" => return Miss::Gone,
        "invalid_auth" | "not_authed" | "account_inactive" | "token_revoked" | "token_expired" => {
            Trouble::Token
        }
        "channel_not_found" | "is_archived" => Trouble::Channel,
        "not_in_channel" => Trouble::Access,
        "missing_scope"
        | "no_permission"
        | "restricted_action"
        | "ekm_access_denied"
        | "cant_update_message" => Trouble::Permission,
        _ => Trouble::Message,
    };
    refusal(trouble, format!("slack refused: {word}"))
}

/// The only three characters that mean something in a text.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn blocks(plain: &Plain) -> Vec<Value> {
    let text = |text: &str| json!({ "type": "plain_text", "text": text, "emoji": false });
    let section = |words: &str| json!({ "type": "section", "text": text(words) });
    let mut blocks = Vec::new();
    if !plain.title.trim().is_empty() {
        blocks.push(json!({ "type": "header", "text": text(&cut(&plain.title, HEADER)) }));
    }
    blocks.extend(plain.paragraphs.iter().map(|words| section(words)));
    let facts = plain.facts.iter();
    blocks.extend(facts.map(|(label, value)| section(&cut(&format!("{label}: {value}"), SECTION))));
    blocks.push(json!({ "type": "context", "elements": [text(&plain.footer)] }));
    blocks
}
