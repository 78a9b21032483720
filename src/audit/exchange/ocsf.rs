//! OCSF 1.0 to 1.3: detection findings (2004), and account changes (3001) of which only a lockout is a finding.
//!
//! `time` should be milliseconds; sensors write seconds, and some another year than in `time_dt`, which is right. The
//! status of an account change that locks is that of the sign-in and says nothing.

use std::io::Read;

use super::{date, finish, keys, meaning, row};
use crate::audit::decode::Bytes;
use crate::audit::detect::{Head, Look};
use crate::audit::json::{self, Node, Piece, Shape};
use crate::audit::{AuditError, ReadOptions, Sink, SkipReason};
use crate::domain::finding::{AuditRow, RejectReason, Severity, Weakness};
use crate::domain::identity::Key;
use crate::domain::moment::Moment;

const SHAPE: Shape = Shape {
    arrays: &["events", "records", "value"],
    wanted: &[
        "class_uid",
        "activity_id",
        "type_uid",
        "severity_id",
        "status_id",
        "time",
        "time_dt",
        "finding_info",
        "title",
        "types",
        "evidences",
        "actor",
        "user",
        "name",
        "uid",
        "email_addr",
        "type_id",
    ],
};

/// Below this a time is in seconds.
const MILLISECONDS: i64 = 100_000_000_000;

pub(in crate::audit) fn look(head: &Head<'_>) -> Look {
    head.json_with(&["class_uid"])
}

pub(in crate::audit) fn read(
    input: impl Read,
    options: &ReadOptions<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), AuditError> {
    let bytes = Bytes::open(input, None, options.code_page)?;
    let end = json::pieces(bytes, &SHAPE, &mut |piece| {
        let Piece::Record(event) = piece else {
            return Ok(());
        };
        sink.record();
        let line = sink.summary.records;
        match of_event(&event, line, options) {
            Ok(Said::Findings(rows)) => {
                for row in rows {
                    sink.row(row)?;
                }
                Ok(())
            }
            Ok(Said::Nothing(reason)) => sink.skip(line, reason),
            Err(reason) => sink.reject(line, reason),
        }
    })?;
    finish(end, sink)
}

enum Said {
    Findings(Vec<AuditRow>),
    Nothing(SkipReason),
}

fn of_event(event: &Node, line: u64, options: &ReadOptions<'_>) -> Result<Said, RejectReason> {
    let kind = event.number("type_uid");
    let class = event.number("class_uid").or(kind.map(|kind| kind / 100));
    let activity = event.number("activity_id").or(kind.map(|kind| kind % 100));
    match class {
        Some(2004) => of_finding(event, line, activity, options),
        Some(3001) => of_change(event, line, activity),
        Some(_) => Ok(Said::Nothing(SkipReason::OtherType)),
        None => Err(RejectReason::Malformed),
    }
}

fn of_finding(
    event: &Node,
    line: u64,
    activity: Option<i64>,
    options: &ReadOptions<'_>,
) -> Result<Said, RejectReason> {
    // Suppressed or resolved, or closed by whoever watches: nothing is said about a password.
    if activity == Some(3) || matches!(event.number("status_id"), Some(3 | 4)) {
        return Ok(Said::Nothing(SkipReason::Closed));
    }
    let mut users: Vec<Vec<Key>> = Vec::new();
    for evidence in event.get("evidences").items() {
        users.extend(user(evidence.get("user")));
        users.extend(user(evidence.get("actor").get("user")));
    }
    if users.is_empty() {
        users.extend(user(event.get("user")));
    }
    if users.is_empty() {
        return Ok(Said::Nothing(SkipReason::NoAccount));
    }
    users.dedup();
    let info = event.get("finding_info");
    let types = info.get("types").items().iter();
    let mut named = types.filter_map(Node::text).chain(info.text_of("title"));
    let Some(weakness) = named.find_map(|name| meaning(name, options.meanings)) else {
        return Ok(Said::Nothing(SkipReason::UnmappedType));
    };
    let at = time(event)?;
    let severity = severity(event);
    let rows = users
        .into_iter()
        .map(|keys| row(line, keys, weakness, severity, at));
    Ok(Said::Findings(rows.collect()))
}

fn of_change(event: &Node, line: u64, activity: Option<i64>) -> Result<Said, RejectReason> {
    let succeeded = event.number("status_id") == Some(1);
    match activity {
        Some(9) => match user(event.get("user")) {
            Some(keys) => {
                let at = time(event)?;
                Ok(Said::Findings(vec![row(
                    line,
                    keys,
                    Weakness::Lockout,
                    None,
                    at,
                )]))
            }
            None => Ok(Said::Nothing(SkipReason::NoAccount)),
        },
        Some(3..=6) if succeeded => Ok(Said::Nothing(SkipReason::Evidence)),
        Some(3..=6) => Ok(Said::Nothing(SkipReason::FailedChange)),
        Some(_) | None => Ok(Said::Nothing(SkipReason::OtherType)),
    }
}

fn user(user: &Node) -> Option<Vec<Key>> {
    let keys = keys(
        user.text_of("uid"),
        user.text_of("name"),
        user.text_of("email_addr"),
    );
    (!keys.is_empty()).then_some(keys)
}

fn time(event: &Node) -> Result<Option<Moment>, RejectReason> {
    if let Some(at) = date(event.text_of("time_dt"))? {
        return Ok(Some(at));
    }
    let Some(text) = event.text_of("time") else {
        return Ok(None);
    };
    let number: i64 = text.parse().map_err(|_| RejectReason::BadDate)?;
    let micros = if number >= MILLISECONDS {
        number.checked_mul(1000)
    } else {
        number.checked_mul(1_000_000)
    };
    micros
        .filter(|micros| (1..=7_258_118_400_000_000).contains(micros))
        .map(|micros| Some(Moment::from_micros(micros)))
        .ok_or(RejectReason::BadDate)
}

fn severity(event: &Node) -> Option<Severity> {
    Some(match event.number("severity_id")? {
        1 | 2 => Severity::Low,
        3 => Severity::Medium,
        4 => Severity::High,
        5 | 6 => Severity::Critical,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::tests::{outcomes, read_all};
    use crate::audit::{Format, Item};

    fn of(text: &str) -> Vec<Item> {
        read_all(Format::Ocsf, text.as_bytes(), &ReadOptions::default())
            .unwrap()
            .0
    }

    #[test]
    fn the_time_is_the_one_that_can_be_right() {
        for (members, expected) in [
            (r#""time":1770278400000"#, Some("2026-02-05T08:00:00Z")),
            (r#""time":1770278400"#, Some("2026-02-05T08:00:00Z")),
            (
                r#""time":1738742400,"time_dt":"2026-02-05T08:00:00.000Z""#,
                Some("2026-02-05T08:00:00Z"),
            ),
            (r#""x":1"#, None),
        ] {
            let text = format!(r#"{{"type_uid":300109,"user":{{"name":"ada"}},{members}}}"#);
            let Item::Row(row) = &of(&text)[0] else {
                panic!("no finding")
            };
            let at = row.bad_as_of.map(|at| at.to_string());
            assert_eq!(at.as_deref(), expected, "{members}");
        }
    }

    #[test]
    fn hostile_events_are_left_out() {
        for (text, expected) in [
            (r#"{"class_uid":"x"}"#, "malformed"),
            (r#"{"class_uid":2004,"finding_info":7}"#, "no_account"),
            (
                r#"{"class_uid":2004,"evidences":{"user":{"name":"ada"}},"finding_info":{"types":"leak"},"time":99999999999999999}"#,
                "bad_date",
            ),
            (
                r#"{"class_uid":2004,"evidences":[{"user":{"name":"ada"}}],"finding_info":{"types":["x"],"title":"Leaked credentials"}}"#,
                "compromised/leaked_credentials",
            ),
            (
                r#"{"class_uid":2004,"evidences":[[[]]],"user":{"name":"ada"},"finding_info":{"types":["x"]}}"#,
                "unmapped_type",
            ),
            (
                r#"{"class_uid":3001,"activity_id":9,"user":{"name":["ada"]}}"#,
                "no_account",
            ),
            (
                r#"{"class_uid":3001,"activity_id":3,"status_id":2}"#,
                "failed_change",
            ),
            (
                r#"{"class_uid":3001,"activity_id":1,"status_id":1}"#,
                "other_type",
            ),
            (r#"{"class_uid":1,"acti"#, "truncated"),
        ] {
            assert_eq!(outcomes(&of(text)), [expected], "{text}");
        }
    }
}
