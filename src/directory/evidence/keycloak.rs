//! Keycloak: users of a realm with their credentials. What is secret of a credential is passed over unread.

use serde_json::Value;

use super::EvidenceOptions;
use super::json::{Shape, flag, list, text};
use super::record::{Record, Spoken, Told, id, mail};
use crate::directory::stamps::milliseconds;
use crate::domain::evidence::{Actor, Change, Evidence, Part};
use crate::domain::finding::RejectReason;
use crate::domain::identity::Key;

/// Users of an export, or a page of them.
pub(in crate::directory) const USERS: Shape = Shape {
    path: &["users"],
    keys: &[
        "id",
        "username",
        "email",
        "enabled",
        "requiredActions",
        "federationLink",
        "credentials",
        "type",
        "createdDate",
    ],
};

/// One user. Its credentials are asked for one by one; without them its dates are unknown.
pub(in crate::directory) fn user(user: &Value, options: &EvidenceOptions) -> Spoken {
    let keys = named_by(user).into_iter().map(Some);
    let seen = options.observed_at;
    if !text(user, "federationLink").is_empty() {
        return Record::act(keys, Part::silent(seen, seen));
    }
    let disabled = flag(user, "enabled")?.map(|enabled| !enabled);
    let is_demanded = list(user, "requiredActions")
        .iter()
        .any(|action| action.as_str() == Some("UPDATE_PASSWORD"));
    let actor = match is_demanded {
        true => Actor::Admin,
        false => Actor::Unknown,
    };
    if user.get("credentials").is_none() {
        let part = Part {
            pending: user.get("requiredActions").map(|_| is_demanded),
            disabled,
            actor,
            ..Part::silent(seen, seen)
        };
        return Record::act(keys, part);
    }
    let changed = newest(list(user, "credentials"))?;
    let evidence = Evidence {
        changed,
        // It is the credential's own date: moved by a new password, not by a rehash at sign-in.
        secret_changed_at: changed.map(|change| change.lo),
        pending: is_demanded,
        disabled: disabled == Some(true),
        actor,
        ..Evidence::silent(seen)
    };
    Record::new(keys, Told::All(evidence))
}

/// All names that a user has.
pub(in crate::directory) fn named_by(user: &Value) -> Vec<Key> {
    let keys = [
        id(text(user, "id")),
        Key::login(text(user, "username")),
        mail(text(user, "email")),
    ];
    keys.into_iter().flatten().collect()
}

/// When the newest password was set; other credentials are no passwords, and old data have no date.
fn newest(credentials: &[Value]) -> Result<Option<Change>, RejectReason> {
    let mut newest: Option<Change> = None;
    for credential in credentials {
        if text(credential, "type") != "password" {
            continue;
        }
        let changed = match credential.get("createdDate") {
            None | Some(Value::Null) => continue,
            Some(date) => date.as_i64().and_then(milliseconds),
        };
        let changed = changed.ok_or(RejectReason::BadDate)?;
        newest = Some(match newest {
            Some(before) if before.lo > changed.lo => before,
            _ => changed,
        });
    }
    Ok(newest)
}
