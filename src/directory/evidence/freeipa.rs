//! FreeIPA: what `user_find` answers, whose values are lists of texts or of objects with a date in them.

use serde_json::Value;

use super::EvidenceOptions;
use super::entry::{Entry, told};
use super::json::Shape;
use super::record::Spoken;

/// The answer of `user_find` with `all: true`.
pub(in crate::directory) const USERS: Shape = Shape {
    path: &["result", "result"],
    keys: &[
        "uid",
        "mail",
        "ipauniqueid",
        "nsaccountlock",
        "krblastpwdchange",
        "krbpasswordexpiration",
        "__datetime__",
    ],
};

/// One user, as the entry that LDAP would give.
pub(in crate::directory) fn user(user: &Value, options: &EvidenceOptions) -> Spoken {
    let mut entry = Entry::default();
    for (name, values) in user.as_object().into_iter().flatten() {
        let values = match values {
            Value::Array(values) => values.as_slice(),
            one => std::slice::from_ref(one),
        };
        for value in values {
            let value = value.get("__datetime__").unwrap_or(value);
            match value {
                Value::String(text) => entry.add(name, text.as_bytes()),
                Value::Bool(flag) => entry.add(name, flag.to_string().as_bytes()),
                Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => {}
            }
        }
    }
    // Without a single date it would look like any LDAP entry.
    entry.is_freeipa = true;
    told(&entry, options)
}
