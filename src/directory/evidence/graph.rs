//! Graph: Entra's users and audit log, as Microsoft Graph gives them.

use serde_json::Value;

use super::EvidenceOptions;
use super::json::{Shape, flag, list, text, time};
use super::record::{Record, Spoken, Told, changed_by, id, mail};
use crate::domain::evidence::{Actor, Evidence, Part, Synchronised};
use crate::domain::finding::RejectReason;
use crate::domain::identity::{Key, KeyKind};

/// What is asked for: the dates come only by name.
pub(in crate::directory) const SELECT: &str = "id,userPrincipalName,mail,accountEnabled,lastPasswordChangeDateTime,signInSessionsValidFromDateTime,onPremisesSyncEnabled,onPremisesSecurityIdentifier,passwordProfile";

/// Users, whole or since the last time.
pub(in crate::directory) const USERS: Shape = Shape {
    path: &["value"],
    keys: &[
        "id",
        "userPrincipalName",
        "mail",
        "accountEnabled",
        "lastPasswordChangeDateTime",
        "signInSessionsValidFromDateTime",
        "onPremisesSyncEnabled",
        "onPremisesSecurityIdentifier",
        "passwordProfile",
        "forceChangePasswordNextSignIn",
        "forceChangePasswordNextSignInWithMfa",
        "@removed",
        "reason",
    ],
};

/// The audit log.
pub(in crate::directory) const AUDITS: Shape = Shape {
    path: &["value"],
    keys: &[
        "result",
        "activityDisplayName",
        "activityDateTime",
        "targetResources",
        "type",
        "id",
        "userPrincipalName",
    ],
};

/// One user.
pub(in crate::directory) fn user(user: &Value, options: &EvidenceOptions) -> Spoken {
    let keys = || {
        [
            id(text(user, "id")),
            Key::new(KeyKind::Sid, text(user, "onPremisesSecurityIdentifier")),
            Key::new(KeyKind::Upn, text(user, "userPrincipalName")),
            mail(text(user, "mail")),
        ]
    };
    let seen = options.observed_at;
    if let Some(removed) = user.get("@removed") {
        return Record::new(keys(), removal(removed, options));
    }
    let sessions = time(user, "signInSessionsValidFromDateTime")?.map(|change| change.lo);
    let is_synchronised = flag(user, "onPremisesSyncEnabled")? == Some(true);
    if is_synchronised && options.synchronised == Synchronised::Elsewhere {
        // Its password and its state are the other directory's; its sessions are here.
        let part = Part {
            sessions_valid_from: sessions,
            ..Part::silent(seen, seen)
        };
        return Record::act(keys(), part);
    }
    let profile = user.get("passwordProfile").unwrap_or(&Value::Null);
    let forced = flag(profile, "forceChangePasswordNextSignIn")?
        .max(flag(profile, "forceChangePasswordNextSignInWithMfa")?);
    let actor = match forced {
        Some(true) => Actor::Admin,
        Some(false) | None => Actor::Unknown,
    };
    let disabled = flag(user, "accountEnabled")?.map(|enabled| !enabled);
    let changed = time(user, "lastPasswordChangeDateTime")?;
    if user.get("lastPasswordChangeDateTime").is_none() {
        // Not selected, or not part of what has changed.
        let part = Part {
            pending: forced,
            disabled,
            sessions_valid_from: sessions,
            actor,
            ..Part::silent(seen, seen)
        };
        return Record::act(keys(), part);
    }
    let evidence = Evidence {
        changed,
        pending: forced == Some(true),
        disabled: disabled == Some(true),
        sessions_valid_from: sessions,
        actor,
        ..Evidence::silent(seen)
    };
    Record::new(keys(), Told::All(evidence))
}

/// Deleted for good, or put where it can be restored from: until then nobody signs in.
fn removal(removed: &Value, options: &EvidenceOptions) -> Told {
    let seen = options.observed_at;
    match text(removed, "reason") {
        "deleted" => Told::All(Evidence {
            exists: false,
            ..Evidence::silent(seen)
        }),
        _ => Told::Part(Part {
            disabled: Some(true),
            ..Part::silent(seen, seen)
        }),
    }
}

/// One act of the audit log. Unlocking, registering and steps on the way to a reset change no password.
pub(in crate::directory) fn audit(entry: &Value, options: &EvidenceOptions) -> Spoken {
    let actor = match text(entry, "activityDisplayName") {
        "Reset password (self-service)" | "Change password (self-service)" => Actor::Myself,
        "Reset password (by admin)" => Actor::Admin,
        _ => return Ok(None),
    };
    if text(entry, "result") != "success" {
        return Ok(None);
    }
    let at = time(entry, "activityDateTime")?
        .ok_or(RejectReason::BadDate)?
        .lo;
    let target = list(entry, "targetResources")
        .iter()
        .find(|target| matches!(text(target, "type"), "User" | ""))
        .ok_or(RejectReason::NoKey)?;
    let keys = [
        id(text(target, "id")),
        Key::new(KeyKind::Upn, text(target, "userPrincipalName")),
    ];
    Record::act(keys, changed_by(actor, at, options.observed_at))
}
