//! Renders a neutral status post as Discord's JSON: escaped, cut to Discord's limits, mentioning nobody.

use serde_json::{Value, json};

use crate::channels::chat::StatusPost;
use crate::domain::address::is_bidi;

/// The longest nonce that Discord takes.
pub const NONCE_LONGEST: usize = 25;

const TITLE: usize = 256;
const DESCRIPTION: usize = 4096;
const FIELDS: usize = 25;
const FIELD_NAME: usize = 256;
const FIELD_VALUE: usize = 1024;
/// Discord allows 2048; ours is a reference and a version.
const FOOTER: usize = 256;
/// Of an attachment: the words for those who do not see it.
const WORDS: usize = 1024;
/// What a picture is called.
pub(in crate::channels) const PICTURE: &str = "progress.png";
/// Over all texts of a message.
const ALL: usize = 6000;

/// A nonce that Discord would not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a nonce has 1 to 25 characters")]
pub struct BadNonce;

/// The body that creates the message.
pub(in crate::channels) fn created(post: &StatusPost, nonce: &str) -> Result<Value, BadNonce> {
    if nonce.is_empty() || nonce.chars().count() > NONCE_LONGEST {
        return Err(BadNonce);
    }
    let mut body = edited(post);
    if let Some(map) = body.as_object_mut() {
        map.insert("nonce".to_owned(), nonce.into());
        map.insert("enforce_nonce".to_owned(), true.into());
    }
    Ok(body)
}

/// The body that replaces what the message says.
pub(in crate::channels) fn edited(post: &StatusPost) -> Value {
    let title = fitted(&post.title, TITLE);
    let description = fitted_or_empty(&post.text, DESCRIPTION);
    let footer = footer(post);
    let mut left = ALL.saturating_sub(size(&title) + size(&description) + size(&footer));
    let fields = fields(post, &mut left);
    let mut embed = json!({
        "title": title,
        "description": description,
        "fields": fields,
        "footer": { "text": footer },
    });
    let Some(picture) = &post.picture else {
        return json!({ "embeds": [embed], "allowed_mentions": { "parse": [] } });
    };
    if let Some(map) = embed.as_object_mut() {
        let url = format!("attachment://{PICTURE}");
        map.insert("image".to_owned(), json!({ "url": url }));
    }
    let words = cut(printable(&picture.words).map(String::from), WORDS);
    json!({
        "embeds": [embed],
        "allowed_mentions": { "parse": [] },
        // Alone, it takes the place of the picture that was there.
        "attachments": [{ "id": 0, "filename": PICTURE, "description": words }],
    })
}

/// Not escaped: a footer knows no markdown, and we look for its exact text.
fn footer(post: &StatusPost) -> String {
    let whole = match &post.footer_note {
        Some(note) => format!("{} · {note}", post.footer_reference),
        None => post.footer_reference.clone(),
    };
    cut(printable(&whole).map(String::from), FOOTER)
}

/// The state first, then as many lines as fit; if some do not, the last says how many.
fn fields(post: &StatusPost, left: &mut usize) -> Vec<Value> {
    let more = |count: usize| field("…", &format!("{count} more"), false);
    let room_for_more = 20;
    let mut fields = Vec::new();
    *left = left.saturating_sub(room_for_more);
    if !post.state.is_empty() {
        let state = fitted(&post.state, FIELD_VALUE);
        *left = left.saturating_sub(size("State") + size(&state));
        fields.push(json!({ "name": "State", "value": state, "inline": true }));
    }
    for (nth, line) in post.lines.iter().enumerate() {
        let next = field(&line.label, &line.value, false);
        let needs = ["name", "value"]
            .iter()
            .map(|key| next.get(key).and_then(Value::as_str).map_or(0, size))
            .sum::<usize>();
        let last_place = fields.len() + 1 == FIELDS;
        if needs > *left || last_place && nth + 1 < post.lines.len() {
            fields.push(more(post.lines.len() - nth));
            break;
        }
        *left -= needs;
        fields.push(next);
    }
    fields
}

fn field(label: &str, value: &str, inline: bool) -> Value {
    json!({ "name": fitted(label, FIELD_NAME), "value": fitted(value, FIELD_VALUE), "inline": inline })
}

/// Escaped and cut; a dash where there is nothing, because Discord refuses an empty text.
fn fitted(text: &str, longest: usize) -> String {
    let fitted = fitted_or_empty(text, longest);
    if fitted.trim().is_empty() {
        "–".to_owned()
    } else {
        fitted
    }
}

/// Whether a post's text is not cut.
pub(in crate::channels) fn shows_whole(text: &str) -> bool {
    size(&fitted_or_empty(text, usize::MAX)) <= DESCRIPTION
}

fn fitted_or_empty(text: &str, longest: usize) -> String {
    let mut at_start = true;
    let mut digits = 0_usize;
    let pieces = printable(text).map(move |c| {
        let piece = escaped(c, at_start, digits > 0);
        digits = match c {
            '0'..='9' if at_start || digits > 0 => digits + 1,
            _ => 0,
        };
        at_start = c == '\n' || at_start && c == ' ';
        piece
    });
    cut(pieces, longest)
}

fn printable(text: &str) -> impl Iterator<Item = char> {
    text.chars()
        .filter(|c| (!c.is_control() || *c == '\n') && !is_bidi(*c))
}

/// One character so that it means nothing but itself. `@` is followed by a space of no width: Discord looks for mentions
/// before it looks at backslashes.
fn escaped(c: char, at_start: bool, after_number_at_start: bool) -> String {
    match c {
        '@' => "@\u{200B}".to_owned(),
        '\\' | '*' | '_' | '~' | '`' | '|' | '<' | '>' | '[' | ']' | '(' | ')' | '#' => {
            format!("\\{c}")
        }
        '-' | '+' if at_start => format!("\\{c}"),
        '.' if after_number_at_start => "\\.".to_owned(),
        other => other.to_string(),
    }
}

/// As many pieces as fit, none of them in half, with `…` where something is missing.
fn cut(pieces: impl Iterator<Item = String>, longest: usize) -> String {
    let mut out = String::new();
    let mut used = 0;
    let mut before_last = 0;
    for piece in pieces {
        let needs = size(&piece);
        if used + needs > longest {
            out.truncate(before_last);
            out.push('…');
            return out;
        }
        used += needs;
        out.push_str(&piece);
        // The longest prefix that leaves room for the `…`.
        if used < longest {
            before_last = out.len();
        }
    }
    out
}

/// Discord counts as JavaScript does; the other ways to count give no more.
fn size(text: &str) -> usize {
    text.encode_utf16().count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::channels::chat::{Picture, StatusLine};

    fn post(lines: usize, text: &str) -> StatusPost {
        StatusPost {
            title: text.to_owned(),
            state: text.to_owned(),
            text: text.to_owned(),
            lines: (0..lines)
                .map(|_| StatusLine {
                    label: text.to_owned(),
                    value: text.to_owned(),
                })
                .collect(),
            footer_reference: text.to_owned(),
            footer_note: Some(text.to_owned()),
            picture: None,
        }
    }

    #[test]
    fn a_picture_says_what_it_shows_to_those_who_do_not_see_it() {
        let mut post = post(1, "x");
        post.picture = Some(Picture {
            png: Vec::new(),
            words: "y".repeat(2000),
        });
        let body = edited(&post);
        let attachment = &body["attachments"][0];
        assert_eq!(attachment["filename"], PICTURE);
        assert_eq!(size(attachment["description"].as_str().unwrap()), WORDS);
        assert_eq!(
            body["embeds"][0]["image"]["url"],
            "attachment://progress.png"
        );
    }

    #[test]
    fn a_message_without_a_state_has_no_field_for_it() {
        let mut post = post(0, "x");
        post.state = String::new();
        assert_eq!(edited(&post)["embeds"][0]["fields"], json!([]));
    }

    fn texts(body: &Value) -> Vec<(usize, String)> {
        let embed = &body["embeds"][0];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let mut all = vec![
            (TITLE, text(&embed["title"])),
            (DESCRIPTION, text(&embed["description"])),
            (2048, text(&embed["footer"]["text"])),
        ];
        for field in embed["fields"].as_array().unwrap() {
            all.push((FIELD_NAME, text(&field["name"])));
            all.push((FIELD_VALUE, text(&field["value"])));
        }
        all
    }

    #[test]
    fn markdown_links_and_mentions_mean_only_themselves() {
        for (text, seen) in [
            (
                "**a** _b_ ~c~ `d` ||e||",
                "\\*\\*a\\*\\* \\_b\\_ \\~c\\~ \\`d\\` \\|\\|e\\|\\|",
            ),
            ("<@123> @everyone", "\\<@\u{200B}123\\> @\u{200B}everyone"),
            ("[x](https://x.example)", "\\[x\\]\\(https://x.example\\)"),
            ("<t:1> <#2>", "\\<t:1\\> \\<\\#2\\>"),
            ("- a\n-# b\n1. c\n1.5", "\\- a\n\\-\\# b\n1\\. c\n1\\.5"),
            ("well-known 1.5", "well-known 1.5"),
            ("a\u{202e}b\u{7}", "ab"),
        ] {
            assert_eq!(fitted(text, 1000), seen);
        }
    }

    #[test]
    fn what_does_not_fit_ends_with_a_mark_and_no_half_escape() {
        assert_eq!(fitted("abcd", 4), "abcd");
        assert_eq!(fitted("abcde", 4), "abc…");
        assert_eq!(fitted("abc*", 4), "abc…");
        assert_eq!(fitted("ab*", 4), "ab\\*");
        assert_eq!(fitted("ab😀😀", 5), "ab😀…");
        assert_eq!(fitted(" ", 4), "–");
    }

    #[test]
    fn lines_beyond_the_limit_are_counted_in_the_last_one() {
        let body = edited(&post(30, "x"));
        let fields = body["embeds"][0]["fields"].as_array().unwrap();
        assert_eq!(fields.len(), FIELDS);
        assert_eq!(fields[24]["value"], "7 more");
        let body = edited(&post(24, "x"));
        assert_eq!(
            body["embeds"][0]["fields"].as_array().unwrap().len(),
            FIELDS
        );
        assert_eq!(body["embeds"][0]["fields"][24]["value"], "x");
    }

    #[test]
    fn a_message_is_created_with_its_nonce_and_mentions_nobody() {
        let body = created(&post(1, "x"), "st42v3").unwrap();
        assert_eq!(body["nonce"], "st42v3");
        assert_eq!(body["enforce_nonce"], true);
        assert_eq!(body["allowed_mentions"], json!({ "parse": [] }));
        assert_eq!(created(&post(1, "x"), ""), Err(BadNonce));
        assert_eq!(created(&post(1, "x"), &"n".repeat(26)), Err(BadNonce));
    }

    proptest! {
        #[test]
        fn no_text_breaks_a_limit(lines in 0_usize..40, text in "(.|\n|[*@<>#]){0,300}", times in 1_usize..30) {
            let body = edited(&post(lines, &text.repeat(times)));
            let texts = texts(&body);
            for (longest, text) in &texts {
                prop_assert!(size(text) <= *longest);
            }
            prop_assert!(texts.iter().map(|(_, text)| size(text)).sum::<usize>() <= ALL);
            prop_assert!(body["embeds"][0]["fields"].as_array().unwrap().len() <= FIELDS);
        }
    }
}
