//! Microsoft Teams: a workflow's webhook gets an Adaptive Card. What was said can neither be changed nor looked for, so a
//! change is said as a message of its own.
//!
//! The address holds its own signature, so it is a secret. Text goes as text runs, which are not marked up.

use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::http::{ChatError, ask, client};
use super::render::{Plain, has_room, plain};
use super::{MessageId, Miss, StatusPost};

/// Teams takes 28 KB; less is kept of each piece until the card fits.
const LARGEST: usize = 27_000;
const PIECES: [usize; 5] = [4_000, 1_500, 600, 250, 100];
const FACTS: usize = 12;

/// A workflow's way to one channel.
#[derive(Clone)]
pub struct Teams {
    client: Client,
    url: SecretString,
}

impl std::fmt::Debug for Teams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Teams").finish_non_exhaustive()
    }
}

impl Teams {
    /// `url` is what Teams shows for "post to a channel when a webhook request is received".
    pub fn new(url: &SecretString) -> Result<Self, ChatError> {
        Url::parse(url.expose_secret()).map_err(|_| ChatError::Url)?;
        Ok(Self {
            client: client()?,
            url: url.clone(),
        })
    }

    /// Teams names no message, so our own key stands for it.
    pub(super) async fn say(&self, post: &StatusPost, key: &str) -> Result<MessageId, Miss> {
        let request = self
            .client
            .post(self.url.expose_secret())
            .header("content-type", "application/json")
            .body(fitting(post));
        let reply = ask(request).await?;
        match reply.is_good() {
            true => Ok(MessageId(key.to_owned())),
            false => Err(reply.miss("teams")),
        }
    }
}

/// Whether a post's text is not cut, with room for what stands around it.
pub(super) fn shows_whole(text: &str) -> bool {
    let [longest, ..] = PIECES;
    let post = StatusPost {
        text: text.to_owned(),
        ..StatusPost::default()
    };
    has_room(text, longest) && card(&post, longest).to_string().len() <= LARGEST - longest
}

fn fitting(post: &StatusPost) -> String {
    let mut fitted = String::new();
    for piece in PIECES {
        fitted = card(post, piece).to_string();
        if fitted.len() <= LARGEST {
            break;
        }
    }
    fitted
}

fn card(post: &StatusPost, piece: usize) -> Value {
    let Plain {
        title,
        paragraphs,
        facts,
        footer,
    } = plain(post, piece, FACTS);
    let line = |label: &str, text: &str| {
        let mut runs = Vec::new();
        if !label.is_empty() {
            runs.push(json!({ "type": "TextRun", "text": label, "weight": "Bolder" }));
        }
        if !text.is_empty() {
            runs.push(json!({ "type": "TextRun", "text": text }));
        }
        json!({ "type": "RichTextBlock", "inlines": runs })
    };
    let mut body = vec![line(&title, "")];
    body.extend(paragraphs.iter().map(|text| line("", text)));
    let facts = facts.iter();
    body.extend(facts.map(|(label, value)| line(&format!("{label}: "), value)));
    body.push(line("", &footer));
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": body,
            },
        }],
    })
}
