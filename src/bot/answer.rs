//! Answer: what somebody is told, and its JSON within Discord's limits. Nobody is ever mentioned by it.

use serde_json::{Map, Value, json};

use crate::domain::address::is_bidi;

/// Discord's limit on a message's own text, in UTF-16 units: no count of characters is larger.
const CONTENT: usize = 2000;
/// On the text of an embed.
const EMBED: usize = 4096;
/// On all embeds of a message together.
const EMBEDS: usize = 6000;
/// On what is written on a form's or a field's top.
const LABEL: usize = 45;
/// On what is filled in.
const FIELD: usize = 4000;
/// On suggestions, and on each of them.
const SUGGESTIONS: usize = 25;
const SUGGESTION: usize = 100;

/// Only the asker sees it.
const EPHEMERAL: u64 = 64;

/// What somebody is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Words for the asker alone.
    Words(String),
    /// Words for the asker alone, and what can be done next.
    Offer(String, Vec<Button>),
    /// A form to fill in. Has to be the first answer.
    Form(Form),
    /// The message whose button was pressed says this from now on, and has no buttons any more.
    Settled(String),
}

/// What can be pressed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Button {
    /// What comes back when it is; all that outlives a restart. 100 characters at most.
    pub id: String,
    /// What stands on it.
    pub label: &'static str,
    /// Whether it is the usual next thing.
    pub usual: bool,
}

/// A form of one to five fields.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Form {
    /// What comes back with it. 100 characters at most.
    pub id: String,
    /// What stands above it.
    pub title: String,
    /// Its fields.
    pub fields: Vec<Field>,
}

/// One field of a form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    /// Its name, by which its text comes back.
    pub id: &'static str,
    /// What stands above it.
    pub label: &'static str,
    /// What stands in it already.
    pub text: String,
    /// How much may be filled in, in characters.
    pub most: usize,
}

/// The first answer to a command or a form.
pub fn first(answer: &Answer) -> Value {
    match answer {
        Answer::Words(_) | Answer::Offer(..) => json!({ "type": 4, "data": whispered(answer) }),
        Answer::Form(form) => json!({ "type": 9, "data": of_form(form) }),
        Answer::Settled(text) => json!({ "type": 7, "data": settled(text) }),
    }
}

/// Says that an answer will come: to a press without a new message, as it may change the one with the button.
pub fn later(is_press: bool) -> Value {
    if is_press {
        json!({ "type": 6 })
    } else {
        json!({ "type": 5, "data": { "flags": EPHEMERAL } })
    }
}

/// What an answer that came late is: the new text of the message that stands for it.
pub fn late(answer: &Answer) -> Value {
    match answer {
        Answer::Words(text) => message(text, &[]),
        Answer::Offer(text, buttons) => message(text, buttons),
        Answer::Form(_) => message(
            "That took too long for a form to be shown. Please ask again.",
            &[],
        ),
        Answer::Settled(text) => settled(text),
    }
}

/// A message of its own that only the asker sees.
pub fn whispered(answer: &Answer) -> Value {
    let mut message = late(answer);
    if let Some(map) = message.as_object_mut() {
        map.insert("flags".to_owned(), EPHEMERAL.into());
    }
    message
}

fn settled(text: &str) -> Value {
    let mut message = message(text, &[]);
    if let Some(map) = message.as_object_mut() {
        map.insert("components".to_owned(), json!([]));
        // What stood there before goes, whichever form it had.
        map.entry("embeds").or_insert(json!([]));
        map.entry("content").or_insert(json!(""));
    }
    message
}

/// A message that everybody in a channel sees, with buttons; sent again with the same nonce it is there once.
pub fn posted(text: &str, buttons: &[Button], nonce: &str) -> Value {
    let mut message = message(text, buttons);
    if let Some(map) = message.as_object_mut() {
        map.insert("nonce".to_owned(), nonce.into());
        map.insert("enforce_nonce".to_owned(), true.into());
    }
    message
}

fn message(text: &str, buttons: &[Button]) -> Value {
    let text = printable(text).trim().to_owned();
    let mut body = Map::new();
    body.insert("allowed_mentions".to_owned(), json!({ "parse": [] }));
    if text.trim().is_empty() {
        body.insert("content".to_owned(), "–".into());
    } else if size(&text) <= CONTENT {
        body.insert("content".to_owned(), text.into());
    } else {
        let (one, rest) = split(&text, EMBED);
        let (two, rest) = split(rest, EMBEDS - EMBED - 2);
        let two = match rest {
            "" => two.to_owned(),
            _ => format!("{two}\n…"),
        };
        let embeds: Vec<Value> = [one, &two]
            .into_iter()
            .filter(|part| !part.trim().is_empty())
            .map(|part| json!({ "description": part }))
            .collect();
        body.insert("embeds".to_owned(), embeds.into());
    }
    if !buttons.is_empty() {
        let row: Vec<Value> = buttons
            .iter()
            .take(5)
            .map(|button| {
                let style = if button.usual { 1 } else { 2 };
                json!({ "type": 2, "style": style, "label": button.label, "custom_id": button.id })
            })
            .collect();
        body.insert(
            "components".to_owned(),
            json!([{ "type": 1, "components": row }]),
        );
    }
    Value::Object(body)
}

fn of_form(form: &Form) -> Value {
    let rows: Vec<Value> = form
        .fields
        .iter()
        .take(5)
        .map(|field| {
            let most = field.most.min(FIELD);
            let mut own = json!({
                "type": 4, "custom_id": field.id, "label": split(field.label, LABEL).0, "style": if most > 200 { 2 } else { 1 },
                "min_length": 1, "max_length": most, "required": true,
            });
            if let (false, Some(map)) = (field.text.is_empty(), own.as_object_mut()) {
                map.insert("value".to_owned(), split(&field.text, most).0.into());
            }
            json!({ "type": 1, "components": [own] })
        })
        .collect();
    json!({ "custom_id": form.id, "title": split(&printable(&form.title), LABEL).0, "components": rows })
}

/// Suggestions while somebody types: what they see, and what is then the option's value.
pub fn suggestions(all: &[(String, String)]) -> Value {
    let choices: Vec<Value> = all
        .iter()
        .filter(|(_, value)| size(value) <= SUGGESTION)
        .take(SUGGESTIONS)
        .map(|(name, value)| json!({ "name": split(&printable(name), SUGGESTION).0, "value": value }))
        .collect();
    json!({ "type": 8, "data": { "choices": choices } })
}

/// What is shown as it is: no markdown, no link with another text, nobody mentioned.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '*' | '_' | '~' | '`' | '|' | '>' | '<' | '[' | ']' | '(' | ')' | '#' | '\\' | '-' => {
                out.extend(['\\', c]);
            }
            // A zero-width joiner, so that no name follows the sign.
            '@' => out.extend(['@', '\u{2060}']),
            c => out.push(c),
        }
    }
    out
}

/// Without what would disturb: no control characters but line breaks, nothing that turns the writing round.
fn printable(text: &str) -> String {
    text.chars()
        .filter(|c| *c == '\n' || !c.is_control() && !is_bidi(*c))
        .collect()
}

fn size(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The longest beginning of `most` UTF-16 units at most, and the rest.
fn split(text: &str, most: usize) -> (&str, &str) {
    let mut left = most;
    for (at, c) in text.char_indices() {
        match left.checked_sub(c.len_utf16()) {
            Some(less) => left = less,
            None => return text.split_at(at),
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(message: &Value) -> Vec<String> {
        let embeds = message["embeds"].as_array().cloned().unwrap_or_default();
        embeds
            .iter()
            .map(|embed| embed["description"].as_str().unwrap().to_owned())
            .chain(message["content"].as_str().map(str::to_owned))
            .collect()
    }

    #[test]
    fn a_short_text_is_the_message_and_a_long_one_is_framed() {
        let short = late(&Answer::Words("fine".to_owned()));
        assert_eq!(short["content"], "fine");
        assert_eq!(short["allowed_mentions"], json!({ "parse": [] }));
        let long = late(&Answer::Words("x".repeat(5000)));
        assert_eq!(texts(&long).concat().len(), 5000);
        assert_eq!(long.get("content"), None);
    }

    #[test]
    fn a_pressed_button_is_gone_with_what_stood_above_it() {
        let settled = first(&Answer::Settled("Approved by ben.".to_owned()));
        assert_eq!(settled["type"], 7);
        assert_eq!(settled["data"]["components"], json!([]));
        assert_eq!(settled["data"]["embeds"], json!([]));
    }

    #[test]
    fn what_others_typed_is_shown_as_it_is() {
        assert_eq!(plain("*x* [y](z) #1"), "\\*x\\* \\[y\\]\\(z\\) \\#1");
        assert!(!plain("@everyone <@31>").contains("@everyone"));
        assert!(!plain("<@31>").contains("<@3"));
    }

    proptest! {
        #[test]
        fn whatever_is_said_discord_takes_it(text in ".{0,200}", times in 0_usize..60) {
            let text = text.repeat(times);
            let message = whispered(&Answer::Words(text.clone()));
            let parts = texts(&message);
            prop_assert!(!parts.is_empty() && parts.iter().all(|part| !part.trim().is_empty()));
            let sizes: Vec<usize> = parts.iter().map(|part| size(part)).collect();
            prop_assert!(sizes.iter().all(|size| *size <= EMBED) && sizes.iter().sum::<usize>() <= EMBEDS);
            if message.get("content").is_some() {
                prop_assert!(sizes[0] <= CONTENT);
            }
            let form = Form { id: "f".into(), title: text.clone(), fields: vec![Field { id: "a", label: "A", text, most: 4000 }] };
            let form = of_form(&form);
            prop_assert!(size(form["title"].as_str().unwrap()) <= LABEL);
        }
    }
}
