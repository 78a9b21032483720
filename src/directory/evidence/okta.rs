//! Okta: users, and the system log.

use serde_json::Value;

use super::EvidenceOptions;
use super::json::{Shape, list, text, time};
use super::record::{Record, Spoken, Told, changed_by, id, mail};
use crate::domain::evidence::{Actor, Evidence, Part};
use crate::domain::finding::RejectReason;
use crate::domain::identity::Key;

/// Users.
pub(in crate::directory) const USERS: Shape = Shape {
    path: &["users"],
    keys: &[
        "id",
        "status",
        "passwordChanged",
        "lastUpdated",
        "profile",
        "login",
        "email",
        "credentials",
        "provider",
        "type",
    ],
};

/// The system log.
pub(in crate::directory) const LOG: Shape = Shape {
    path: &["events"],
    keys: &[
        "eventType",
        "outcome",
        "result",
        "published",
        "actor",
        "target",
        "id",
        "type",
        "alternateId",
    ],
};

/// One user. A password that lives in another directory is unknown here, whatever date stands beside it.
pub(in crate::directory) fn user(user: &Value, options: &EvidenceOptions) -> Spoken {
    let none = Value::Null;
    let profile = user.get("profile").unwrap_or(&none);
    let keys = [
        id(text(user, "id")),
        Key::login(text(profile, "login")),
        mail(text(profile, "email")),
    ];
    let seen = options.observed_at;
    let (pending, disabled) = match text(user, "status") {
        "ACTIVE" | "LOCKED_OUT" => (false, false),
        "PASSWORD_EXPIRED" | "RECOVERY" | "STAGED" | "PROVISIONED" => (true, false),
        "SUSPENDED" | "DEPROVISIONED" => (false, true),
        _ => return Err(RejectReason::BadValue),
    };
    let provider = user.pointer("/credentials/provider").unwrap_or(&none);
    if !matches!(text(provider, "type"), "OKTA" | "IMPORT" | "") {
        return Record::act(keys, Part::silent(seen, seen));
    }
    let evidence = Evidence {
        changed: time(user, "passwordChanged")?,
        pending,
        disabled,
        ..Evidence::silent(seen)
    };
    Record::new(keys, Told::All(evidence))
}

/// One event. What only starts a reset, or ends the password's validity, is a demand and no change.
pub(in crate::directory) fn event(event: &Value, options: &EvidenceOptions) -> Spoken {
    let kind = text(event, "eventType");
    let is_change = kind == "user.account.update_password";
    let is_demand = matches!(
        kind,
        "user.account.reset_password" | "user.account.expire_password"
    );
    let outcome = event.get("outcome").unwrap_or(&Value::Null);
    if !(is_change || is_demand) || text(outcome, "result") != "SUCCESS" {
        return Ok(None);
    }
    let at = time(event, "published")?.ok_or(RejectReason::BadDate)?.lo;
    let target = list(event, "target")
        .iter()
        .find(|target| text(target, "type") == "User")
        .ok_or(RejectReason::NoKey)?;
    let keys = [
        id(text(target, "id")),
        Key::login(text(target, "alternateId")),
    ];
    let actor = event.get("actor").map_or("", |actor| text(actor, "id"));
    let actor = match (actor, text(target, "id")) {
        ("", _) | (_, "") => Actor::Unknown,
        (one, other) if one == other => Actor::Myself,
        _ => Actor::Admin,
    };
    let seen = options.observed_at;
    let part = match is_change {
        true => changed_by(actor, at, seen),
        false => Part {
            pending: Some(true),
            actor,
            ..Part::silent(at, seen)
        },
    };
    Record::act(keys, part)
}
