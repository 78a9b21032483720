//! Google: the directory, which keeps no date of a change, and the reports, which tell of each.

use serde_json::Value;

use super::EvidenceOptions;
use super::json::{Shape, flag, list, text, time};
use super::record::{Record, Spoken, changed_by, id, mail};
use crate::domain::evidence::{Actor, Part};
use crate::domain::finding::RejectReason;

/// Users of the directory.
pub(in crate::directory) const USERS: Shape = Shape {
    path: &["users"],
    keys: &[
        "id",
        "primaryEmail",
        "suspended",
        "archived",
        "changePasswordAtNextLogin",
    ],
};

/// Activities of the reports.
pub(in crate::directory) const ACTIVITIES: Shape = Shape {
    path: &["items"],
    keys: &[
        "id",
        "time",
        "actor",
        "email",
        "events",
        "type",
        "name",
        "parameters",
        "value",
    ],
};

/// One user.
pub(in crate::directory) fn user(user: &Value, options: &EvidenceOptions) -> Spoken {
    let keys = [id(text(user, "id")), mail(text(user, "primaryEmail"))];
    let seen = options.observed_at;
    let part = Part {
        pending: flag(user, "changePasswordAtNextLogin")?,
        disabled: flag(user, "suspended")?.max(flag(user, "archived")?),
        ..Part::silent(seen, seen)
    };
    Record::act(keys, part)
}

/// One activity: a user's own change, an administrator's, or an administrator's demand.
pub(in crate::directory) fn activity(activity: &Value, options: &EvidenceOptions) -> Spoken {
    let by = activity
        .get("actor")
        .map_or("", |actor| text(actor, "email"));
    for event in list(activity, "events") {
        let (whose, demands) = match (text(event, "name"), text(event, "type")) {
            ("password_edit", "password_change") => (by, false),
            ("CHANGE_PASSWORD", _) => (parameter(event, "USER_EMAIL"), false),
            ("CHANGE_PASSWORD_ON_NEXT_LOGIN", _) => (parameter(event, "USER_EMAIL"), true),
            _ => continue,
        };
        let at = activity.get("id").unwrap_or(&Value::Null);
        let at = time(at, "time")?.ok_or(RejectReason::BadDate)?.lo;
        let actor = match whose.eq_ignore_ascii_case(by) {
            true => Actor::Myself,
            false => Actor::Admin,
        };
        let seen = options.observed_at;
        let part = match demands {
            // A demand can also be taken back, and the directory says which of the two it was.
            true => Part {
                pending: Some(parameter(event, "NEW_VALUE") != "false"),
                actor,
                ..Part::silent(at, seen)
            },
            false => Part {
                pending: Some(false),
                ..changed_by(actor, at, seen)
            },
        };
        return Record::act([mail(whose)], part);
    }
    Ok(None)
}

fn parameter<'a>(event: &'a Value, name: &str) -> &'a str {
    list(event, "parameters")
        .iter()
        .find(|parameter| text(parameter, "name") == name)
        .map_or("", |parameter| text(parameter, "value"))
}
