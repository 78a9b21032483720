//! Particulars: what the ledger keeps beside an entry, as a person reads it.

use serde_json::Value;

use super::Web;
use crate::domain::Moment;

/// A number within these is a moment in microseconds (2001 to 2096): nothing that is counted gets so far.
const MOMENTS: std::ops::Range<i64> = 1_000_000_000_000_000..4_000_000_000_000_000;

/// So much of a hash tells it from others.
const ENOUGH: usize = 12;

impl Web {
    /// In words, if it is what we write; else as it is.
    pub(super) fn particulars(&self, detail: Option<&str>) -> String {
        in_words(detail.unwrap_or_default(), |at| self.time(at))
    }
}

fn in_words(detail: &str, time: impl Fn(Moment) -> String) -> String {
    let Ok(Value::Object(all)) = serde_json::from_str(detail) else {
        return detail.to_owned();
    };
    all.iter()
        .map(|(key, value)| format!("{}: {}", key.replace('_', " "), said(value, &time)))
        .collect::<Vec<_>>()
        .join(", ")
}

fn said(value: &Value, time: &impl Fn(Moment) -> String) -> String {
    let is_hash = |text: &str| text.len() >= 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    match value {
        Value::String(text) if is_hash(text) => text.chars().take(ENOUGH).chain(['…']).collect(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_i64().filter(|own| MOMENTS.contains(own)) {
            Some(micros) => time(Moment::from_micros(micros)),
            None => number.to_string(),
        },
        Value::Null => "none".to_owned(),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_ledger_keeps_is_read_as_words() {
        let hash = "e0b85d1069f82de578c7276d910dc32d8c2d1b720f06d6216293152fdc826bd4";
        let long = format!(r#"{{"content":"{hash}"}}"#);
        for (detail, expected) in [
            ("", ""),
            (
                r#"{"category":"weak","mailboxes":1}"#,
                "category: weak, mailboxes: 1",
            ),
            (r#"{"next_update":1772438400000000}"#, "next update: then"),
            (long.as_str(), "content: e0b85d1069f8…"),
            (r#"["security"]"#, r#"["security"]"#),
            ("typed by hand", "typed by hand"),
        ] {
            assert_eq!(
                in_words(detail, |_| "then".to_owned()),
                expected,
                "{detail}"
            );
        }
    }
}
