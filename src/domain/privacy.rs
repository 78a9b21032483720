//! Privacy: what stays of a text in the record when what a human being typed in it is erased.

use serde_json::Value;

/// What stands where something was erased.
pub const ERASED: &str = "erased";

/// An address that nobody has, where one was erased.
pub const NO_ADDRESS: &str = "erased@erased.invalid";

/// A number that nobody has, where one was erased.
pub const NO_NUMBER: &str = "+99900000000";

/// The particulars of an act, as JSON, without the sentences in them: a word that we chose stays, and so do numbers and codes,
/// of which figures are made. None if there is no sentence in them.
pub fn without_sentences(detail: &str) -> Option<String> {
    let mut value: Value = match serde_json::from_str(detail) {
        Ok(value) => value,
        // Nothing of ours writes that; then nothing of it stays.
        Err(_) => return Some("{}".to_owned()),
    };
    blank(&mut value).then(|| value.to_string())
}

/// Blanks every sentence; whether there was one.
fn blank(value: &mut Value) -> bool {
    match value {
        Value::String(text) if text != ERASED && text.contains(char::is_whitespace) => {
            *value = Value::String(ERASED.to_owned());
            true
        }
        Value::Array(items) => items.iter_mut().fold(false, |any, item| blank(item) | any),
        Value::Object(members) => members
            .values_mut()
            .fold(false, |any, member| blank(member) | any),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_go_and_what_figures_are_made_of_stays() {
        for (detail, expected) in [
            (
                r#"{"reason":"on sick leave until May","requested_by":"ann"}"#,
                Some(r#"{"reason":"erased","requested_by":"ann"}"#),
            ),
            (r#"{"category":"weak","mailboxes":2}"#, None),
            (r#"{"reason":"no_address"}"#, None),
            (
                r#"{"said":["done",{"note":"called her at home"}],"kind":"reminder.1"}"#,
                Some(r#"{"kind":"reminder.1","said":["done",{"note":"erased"}]}"#),
            ),
            ("no JSON at all", Some("{}")),
        ] {
            let left = without_sentences(detail);
            let same = |a: &str, b: &str| {
                serde_json::from_str::<Value>(a).unwrap()
                    == serde_json::from_str::<Value>(b).unwrap()
            };
            match (&left, expected) {
                (Some(left), Some(expected)) => assert!(same(left, expected), "{left}"),
                (left, expected) => assert_eq!(left.as_deref(), expected, "{detail}"),
            }
        }
    }

    #[test]
    fn what_was_erased_once_has_nothing_left_to_erase() {
        let once = without_sentences(r#"{"reason":"on sick leave"}"#).unwrap();
        assert_eq!(without_sentences(&once), None);
    }
}
