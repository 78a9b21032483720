//! Whether managers are told that a task of their staff is overdue: `tell_managers` in `[campaign]`. Off unless HR has
//! agreed, by name and date.

use serde::Serialize;

use super::section::{Parsed, Read, Section, Value};
use super::values::{line, yes_or_no};

/// Who agreed that managers are told, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TellManagers {
    /// Who answers for it in HR.
    pub agreed_by: String,
    /// On which day: 2026-03-02.
    pub agreed_on: String,
}

/// None: managers are not told.
pub(super) fn managers(own: &Section<'_>) -> Read<Option<TellManagers>> {
    let is_on = own.or("tell_managers", yes_or_no, false);
    let agreed_by = own.optional("managers_agreed_by", line);
    let agreed_on = own.optional("managers_agreed_on", day);
    if !is_on? {
        agreed_by?;
        agreed_on?;
        return Ok(None);
    }
    Ok(Some(TellManagers {
        agreed_by: agreed_by?
            .ok_or_else(|| own.missing("managers_agreed_by", "\"Joan Hill, head of HR\""))?,
        agreed_on: agreed_on?.ok_or_else(|| own.missing("managers_agreed_on", "\"2026-03-02\""))?,
    }))
}

fn day(value: &Value<'_>) -> Parsed<String> {
    let text = match value.raw {
        toml::de::DeValue::Datetime(given) if given.time.is_none() && given.offset.is_none() => {
            given.to_string()
        }
        _ => line(value)?,
    };
    match chrono::NaiveDate::parse_from_str(&text, "%Y-%m-%d") {
        Ok(_) => Ok(text),
        Err(_) => Err("this is no day; write one such as \"2026-03-02\"".into()),
    }
}
