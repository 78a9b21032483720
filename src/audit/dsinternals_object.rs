//! DSInternals, since 4.2, `Test-PasswordQuality | ConvertTo-Json`: an object with a property a weakness.
//!
//! `ConvertTo-Json` writes what lies deeper than it was told as one text, names joined by blanks; such a text is cut before
//! each `NETBIOS\`. The object may be a property of another, or one of a list.

use std::io::Read;

use serde_json::{Map, Value};

use super::decode::Bytes;
use super::detect::{Head, Look, Refusal};
use super::dsinternals::has_netbios;
use super::{AuditError, ReadOptions, Sink, nt};
use crate::domain::finding::{AuditRow, RejectReason, Weakness};
use crate::domain::identity::Key;

/// The properties, in the order of the object.
const PROPERTIES: [(&str, Weakness); 15] = [
    ("ClearTextPassword", Weakness::CleartextStored),
    ("LMHash", Weakness::LmHash),
    ("EmptyPassword", Weakness::Empty),
    ("WeakPassword", Weakness::Dictionary),
    ("SamAccountNameAsPassword", Weakness::Username),
    ("DefaultComputerPassword", Weakness::DefaultComputer),
    ("PasswordNotRequired", Weakness::NotRequired),
    ("PasswordNeverExpires", Weakness::NeverExpires),
    ("AESKeysMissing", Weakness::AesMissing),
    ("PreAuthNotRequired", Weakness::Preauth),
    ("DESEncryptionOnly", Weakness::DesOnly),
    ("Kerberoastable", Weakness::Kerberoastable),
    ("DelegatableAdmins", Weakness::DelegatableAdmin),
    ("SmartCardUsersWithPassword", Weakness::SmartcardPassword),
    ("DuplicatePasswordGroups", Weakness::SharedPassword),
];

/// Properties that show an object to be a result.
const TELLING: [&str; 6] = [
    "WeakPassword",
    "DuplicatePasswordGroups",
    "PasswordNeverExpires",
    "AESKeysMissing",
    "ClearTextPassword",
    "SmartCardUsersWithPassword",
];

/// Of these, so many.
const ENOUGH: usize = 3;

pub(super) fn look(head: &Head<'_>) -> Look {
    head.json_with_some(&TELLING, ENOUGH)
}

pub(super) fn read(
    input: impl Read,
    options: &ReadOptions<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), AuditError> {
    let mut bytes = Bytes::open(input, None, options.code_page)?;
    if bytes.empty {
        return Err(Refusal::Empty.into());
    }
    let text = bytes.whole()?;
    let value: Value = serde_json::from_str(&text).map_err(|error| AuditError::Json {
        line: error.line(),
        column: error.column(),
        problem: if error.is_eof() {
            "the file ends in the middle of its JSON"
        } else {
            "this is no JSON"
        },
    })?;
    let mut results = Vec::new();
    find(&value, 2, &mut results);
    if results.is_empty() {
        return Err(AuditError::Json {
            line: 1,
            column: 1,
            problem: "there is no object of DSInternals' properties in it",
        });
    }
    let mut groups = 0;
    for result in results {
        for (property, weakness) in PROPERTIES {
            match (result.get(property), weakness) {
                (None, _) => {}
                (Some(value), Weakness::SharedPassword) => {
                    for group in elements(value) {
                        groups += 1;
                        accounts(group, weakness, Some(groups), sink)?;
                    }
                }
                (Some(value), _) => accounts(value, weakness, None, sink)?,
            }
        }
    }
    Ok(())
}

/// The objects that are results: this one, or those up to `depth` levels below it.
fn find<'a>(value: &'a Value, depth: usize, results: &mut Vec<&'a Map<String, Value>>) {
    match value {
        Value::Object(object) => {
            let known = TELLING.iter().filter(|name| object.contains_key(**name));
            if known.count() >= ENOUGH {
                results.push(object);
            } else if depth > 0 {
                for value in object.values() {
                    find(value, depth - 1, results);
                }
            }
        }
        Value::Array(values) if depth > 0 => {
            for value in values {
                find(value, depth - 1, results);
            }
        }
        Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The elements of a list. PowerShell 5.1 at times writes `{"value":[…],"Count":n}` for one.
fn elements(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(values) => values.iter().collect(),
        Value::Object(object) => object.get("value").map(elements).unwrap_or_default(),
        Value::Null => Vec::new(),
        Value::String(_) | Value::Bool(_) | Value::Number(_) => vec![value],
    }
}

/// The findings of one property, or of one group.
fn accounts(
    value: &Value,
    weakness: Weakness,
    group: Option<u32>,
    sink: &mut Sink<'_>,
) -> Result<(), AuditError> {
    for element in elements(value) {
        let Value::String(text) = element else {
            sink.record();
            let line = sink.summary.records;
            sink.reject(line, RejectReason::Malformed)?;
            continue;
        };
        if text.contains("System.Collections.") {
            return Err(Refusal::TypeNames.into());
        }
        for name in names(text) {
            sink.record();
            // The file may be one line: what is counted is its accounts.
            let line = sink.summary.records;
            match nt::login(name).and_then(Key::login) {
                Some(key) => sink.row(AuditRow {
                    detail: group.map(|number| format!("Group {number}")),
                    ..AuditRow::bare(line, vec![key], weakness)
                })?,
                None => sink.reject(line, RejectReason::Malformed)?,
            }
        }
    }
    Ok(())
}

/// One name, or those that were joined by blanks: cut before each `NETBIOS\`. Names may hold blanks themselves.
fn names(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut from = 0;
    for (blank, _) in text.match_indices(' ') {
        let rest = text.get(blank + 1..).unwrap_or_default();
        let word = rest.split(' ').next().unwrap_or_default();
        if has_netbios(word) {
            names.push(text.get(from..blank).unwrap_or_default());
            from = blank + 1;
        }
    }
    names.push(text.get(from..).unwrap_or_default());
    names.retain(|name| !name.trim().is_empty());
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Format;
    use crate::audit::tests::{outcomes, read_all};

    #[test]
    fn joined_names_are_cut_before_each_domain() {
        for (text, expected) in [
            (
                r"PARL\abaraa PARL\adm-coxc",
                vec![r"PARL\abaraa", r"PARL\adm-coxc"],
            ),
            (
                r"PARL\library kiosk 1 PARL\b",
                vec![r"PARL\library kiosk 1", r"PARL\b"],
            ),
            (r"PARL\one", vec![r"PARL\one"]),
            ("", vec![]),
        ] {
            assert_eq!(names(text), expected, "{text}");
        }
    }

    #[test]
    fn every_shape_that_powershell_gives_a_list_is_read() {
        let json = r#"{"Result":{"WeakPassword":{"value":["PARL\\a"],"Count":1},"EmptyPassword":"PARL\\b PARL\\c",
            "PasswordNeverExpires":null,"AESKeysMissing":[],"LMHash":[7],"ClearTextPassword":["PARL\\d"]}}"#;
        let read = |json: &str| {
            read_all(
                Format::DsinternalsObject,
                json.as_bytes(),
                &ReadOptions::default(),
            )
        };
        let (items, _) = read(json).unwrap();
        assert_eq!(
            outcomes(&items),
            [
                "hygiene/cleartext_stored",
                "malformed",
                "weak/empty",
                "weak/empty",
                "weak/dictionary"
            ]
        );
        let types = r#"{"WeakPassword":"System.Collections.Generic.SortedSet`1[System.String]","AESKeysMissing":[],"ClearTextPassword":[]}"#;
        let refused = read(types).unwrap_err().to_string();
        assert!(refused.contains("ConvertTo-Json"), "{refused}");
        let cut = read(&json[..40]).unwrap_err().to_string();
        assert!(cut.contains("ends in the middle"), "{cut}");
    }
}
