//! Mattermost: posts and their changes by its REST interface with a bot's token; lines stand in the post's own thread.
//!
//! Our reference goes along among the post's properties, and is looked for before anything is said again.

use reqwest::{Client, Method, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::http::{ChatError, Reply, ask, below, client, is_token, plain_word, refusal};
use super::render::{Plain, cut, has_room, plain};
use super::{Looked, MessageId, Miss, StatusPost};
use crate::domain::Moment;
use crate::domain::post::Trouble;

/// Mattermost takes 16383 characters; escapes double some of ours.
const LONGEST: usize = 16_000;
const PIECE: usize = 4_000;
const FACTS: usize = 40;
/// How far our clock and the server's may differ, in milliseconds.
const SKEW: i64 = 300_000;

/// A bot's way to one channel.
#[derive(Clone)]
pub struct Mattermost {
    client: Client,
    url: Url,
    token: SecretString,
    channel: String,
}

impl std::fmt::Debug for Mattermost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mattermost")
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

impl Mattermost {
    /// `url` is the server's own address; `channel` the channel's id, not its name.
    pub fn new(token: &SecretString, url: &str, channel: &str) -> Result<Self, ChatError> {
        if !is_token(token.expose_secret()) {
            return Err(ChatError::Token);
        }
        Ok(Self {
            client: client()?,
            url: below(url, "api/v4/")?,
            token: token.clone(),
            channel: channel.to_owned(),
        })
    }

    pub(super) async fn say(
        &self,
        thread: Option<&MessageId>,
        post: &StatusPost,
    ) -> Result<MessageId, Miss> {
        let body = json!({
            "channel_id": self.channel,
            "root_id": thread.map(|thread| thread.0.as_str()).unwrap_or_default(),
            "message": message(post),
            "props": { "division_bell": post.footer_reference },
        });
        let reply = self.call(Method::POST, "posts", Some(&body)).await?;
        if !reply.is_good() {
            return Err(match (refused(&reply), thread) {
                // The thread's first post is what is not there.
                (Miss::Never(why), Some(_)) if is_root_gone(&reply, why.trouble) => Miss::Gone,
                (miss, _) => miss,
            });
        }
        let id = reply.json.get("id").and_then(Value::as_str);
        id.map(|id| MessageId(id.to_owned())).ok_or(Miss::Unsure)
    }

    pub(super) async fn edit(&self, id: &MessageId, post: &StatusPost) -> Result<(), Miss> {
        if !id.0.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Miss::Gone);
        }
        let body = json!({
            "message": message(post),
            "props": { "division_bell": post.footer_reference },
        });
        let path = format!("posts/{id}/patch");
        let reply = self.call(Method::PUT, &path, Some(&body)).await?;
        match reply.status {
            200..=299 => Ok(()),
            404 => Err(Miss::Gone),
            _ => Err(refused(&reply)),
        }
    }

    pub(super) async fn look(&self, reference: &str, since: Moment) -> Result<Looked, Miss> {
        let since = since.micros().div_euclid(1_000).saturating_sub(SKEW).max(1);
        let path = format!("channels/{}/posts?since={since}", self.channel);
        let reply = self.call(Method::GET, &path, None).await?;
        if !reply.is_good() {
            return Err(refused(&reply));
        }
        let Some(posts) = reply.json.get("posts").and_then(Value::as_object) else {
            return Err(Miss::Unsure);
        };
        let ours = posts.iter().find(|(_, post)| {
            let is_deleted = post.get("delete_at").and_then(Value::as_i64) > Some(0);
            let said = post.pointer("/props/division_bell");
            !is_deleted && said.and_then(Value::as_str) == Some(reference)
        });
        Ok(match ours {
            Some((id, _)) => Looked::Found(MessageId(id.clone())),
            // The server gives no more than a thousand.
            None if posts.len() >= 1_000 => Looked::Perhaps,
            None => Looked::Absent,
        })
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Reply, Miss> {
        let url = self
            .url
            .join(path)
            .map_err(|_| super::Refusal::message("mattermost: check the address in the config"))?;
        let mut request = self
            .client
            .request(method, url)
            .bearer_auth(self.token.expose_secret());
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        ask(request).await
    }
}

/// Mattermost names the error; without its name only the status is left.
fn refused(reply: &Reply) -> Miss {
    let word = reply.json.get("id").and_then(Value::as_str);
    let word = plain_word(word.unwrap_or_default());
    match (reply.status, word.as_str()) {
        (400, "api.post.create_post.can_not_post_to_deleted.error") => refusal(
            Trouble::Channel,
            "mattermost: the channel is archived".to_owned(),
        ),
        (400, _) => refusal(Trouble::Message, format!("mattermost refused: {word}")),
        _ => reply.miss("mattermost"),
    }
}

/// Whether it was the thread that is not there.
fn is_root_gone(reply: &Reply, trouble: Trouble) -> bool {
    let word = reply.json.get("id").and_then(Value::as_str);
    trouble == Trouble::Message && word.is_some_and(|word| word.contains("root_id"))
}

/// Whether a post's text is not cut, with room for what stands around it.
pub(super) fn shows_whole(text: &str) -> bool {
    has_room(text, PIECE) && escaped(text).chars().count() <= LONGEST - 2 * PIECE
}

/// In Mattermost's Markdown, with everything that means something in it escaped.
fn message(post: &StatusPost) -> String {
    let Plain {
        title,
        paragraphs,
        facts,
        footer,
    } = plain(post, PIECE, FACTS);
    let mut text = format!("**{}**\n", escaped(&title));
    for paragraph in &paragraphs {
        text.push_str(&format!("{}\n", escaped(paragraph)));
    }
    for (label, value) in &facts {
        text.push_str(&format!("**{}:** {}\n", escaped(label), escaped(value)));
    }
    text.push_str(&escaped(&footer));
    cut(&text, LONGEST)
}

/// `@` is followed by a space of no width: mentions are looked for before backslashes are.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        match c {
            '@' => out.push_str("@\u{200B}"),
            '\\' | '*' | '_' | '~' | '`' | '|' | '<' | '>' | '[' | ']' | '(' | ')' | '#' | '+'
            | '-' | '!' => {
                out.push('\\');
                out.push(c);
            }
            // An emoji, or a link without brackets. A time of day is neither.
            ':' if letters
                .peek()
                .is_some_and(|next| !next.is_whitespace() && !next.is_ascii_digit()) =>
            {
                out.push_str(":\u{200B}");
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_mentioned_and_nothing_is_marked_up() {
        assert_eq!(
            escaped("@all **x** [y](https://z.example) :tada:"),
            "@\u{200B}all \\*\\*x\\*\\* \\[y\\]\\(https:\u{200B}//z.example\\) :\u{200B}tada:"
        );
        assert_eq!(escaped("by 14:00: more"), "by 14:00: more");
    }
}
