//! Google Workspace: Alert Center v1beta1 `alerts`, and Reports API v1 activities of the application `login`.
//!
//! A closed alert still counts: to close it resets nothing. Pipelines flatten activities: `parameters` may be an object
//! instead of a list, and an event's `name` may stand in the activity itself.

use std::io::Read;

use chrono_tz::Tz;

use super::culture::Dated;
use super::decode::Bytes;
use super::detect::{By, Head, Look, Refusal};
use super::json::{self, End, Node, Piece, Shape};
use super::logs::address;
use super::{AuditError, ReadOptions, Sink, SkipReason};
use crate::domain::attempt::{Answer, Attempt};
use crate::domain::finding::{AuditRow, RejectReason, Weakness};
use crate::domain::identity::{Key, KeyKind};
use crate::domain::moment::Moment;

const SHAPE: Shape = Shape {
    arrays: &["alerts", "items"],
    wanted: &[
        "nextpagetoken",
        "error",
        "code",
        "alertid",
        "starttime",
        "createtime",
        "type",
        "deleted",
        "data",
        "email",
        "logindetails",
        "logintime",
        "id",
        "time",
        "actor",
        "ipaddress",
        "events",
        "name",
        "value",
        "parameters",
        "affected_email_address",
    ],
};

pub(super) fn look(head: &Head<'_>) -> Look {
    if head.has_text("admin#reports#activit") {
        return Look::yes(By::Sign, "JSON with \"admin#reports#activity\"");
    }
    head.json_with(&["alertId"])
}

pub(super) fn read(
    input: impl Read,
    options: &ReadOptions<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), AuditError> {
    let bytes = Bytes::open(input, None, options.code_page)?;
    let end = json::pieces(bytes, &SHAPE, &mut |piece| match piece {
        Piece::Around(node) => {
            sink.summary.incomplete |= node.text_of("nextpagetoken").is_some();
            Ok(())
        }
        Piece::Record(node) if node.get("error").is_something() => Err(Refusal::ErrorAnswer.into()),
        Piece::Record(node) => {
            sink.record();
            let line = sink.summary.records;
            if node.get("alertid").is_something() {
                match of_alert(&node, line) {
                    Ok(said) => said.hand_out(line, sink),
                    Err(reason) => sink.reject(line, reason),
                }
            } else {
                of_activity(&node, line, sink)
            }
        }
    })?;
    match end {
        End::Empty => Err(Refusal::Empty.into()),
        End::Whole => Ok(()),
        End::Cut => {
            sink.record();
            sink.reject(sink.summary.records, RejectReason::Truncated)
        }
    }
}

/// What an alert or an event says.
enum Said {
    Finding(Box<AuditRow>),
    Attempt(Attempt),
    Nothing(SkipReason),
}

impl Said {
    fn hand_out(self, line: u64, sink: &mut Sink<'_>) -> Result<(), AuditError> {
        match self {
            Self::Finding(row) => sink.row(*row),
            Self::Attempt(attempt) => sink.attempt(attempt),
            Self::Nothing(reason) => sink.skip(line, reason),
        }
    }
}

fn of_alert(alert: &Node, line: u64) -> Result<Said, RejectReason> {
    if alert.is_true("deleted") {
        return Ok(Said::Nothing(SkipReason::Deleted));
    }
    let kind = alert.text_of("type").ok_or(RejectReason::Malformed)?;
    let weakness = match kind.to_ascii_lowercase().as_str() {
        "leaked password" => Weakness::LeakedCredentials,
        "suspicious login"
        | "suspicious login (less secure app)"
        | "suspicious programmatic login" => Weakness::RiskSignin,
        "government attack warning" => Weakness::Targeted,
        _ => return Ok(Said::Nothing(SkipReason::OtherType)),
    };
    let data = alert.get("data");
    let key = mail(data.text_of("email"))?;
    let started = alert.text_of("starttime").or(alert.text_of("createtime"));
    let login = data.get("logindetails").text_of("logintime");
    let detail = (weakness == Weakness::RiskSignin).then(|| kind.to_owned());
    Ok(Said::Finding(Box::new(AuditRow {
        detail,
        ..row(line, key, weakness, date(login.or(started))?)
    })))
}

/// The events of one activity, each by itself.
fn of_activity(activity: &Node, line: u64, sink: &mut Sink<'_>) -> Result<(), AuditError> {
    let lifted = [activity.clone()];
    let events = match activity.get("events") {
        Node::Nothing if activity.text_of("name").is_some() => lifted.as_slice(),
        events => events.items(),
    };
    if events.is_empty() {
        return sink.reject(line, RejectReason::Malformed);
    }
    // A line that is rejected makes no finding.
    let said: Result<Vec<Said>, RejectReason> = events
        .iter()
        .map(|event| of_event(activity, event, line))
        .collect();
    match said {
        Ok(all) => all
            .into_iter()
            .try_for_each(|said| said.hand_out(line, sink)),
        Err(reason) => sink.reject(line, reason),
    }
}

fn of_event(activity: &Node, event: &Node, line: u64) -> Result<Said, RejectReason> {
    let name = event.text_of("name").ok_or(RejectReason::Malformed)?;
    let name = name.to_ascii_lowercase();
    let affected = affected(event);
    let who = || mail(affected.or(activity.get("actor").text_of("email")));
    let at = || {
        date(
            activity
                .get("id")
                .text_of("time")
                .or(activity.text_of("time")),
        )
    };
    let finding = |weakness| {
        let detail = (weakness == Weakness::RiskSignin).then(|| name.clone());
        Ok(Said::Finding(Box::new(AuditRow {
            detail,
            ..row(line, who()?, weakness, at()?)
        })))
    };
    let attempt = |answer| {
        Ok(Said::Attempt(Attempt {
            line,
            keys: vec![who()?],
            from: activity.text_of("ipaddress").and_then(address),
            answer,
            at: at()?,
            times: 1,
        }))
    };
    match name.as_str() {
        "account_disabled_password_leak" => finding(Weakness::LeakedCredentials),
        "account_disabled_hijacked" => finding(Weakness::Confirmed),
        "suspicious_login"
        | "suspicious_login_less_secure_app"
        | "suspicious_programmatic_login" => finding(Weakness::RiskSignin),
        "gov_attack_warning" => finding(Weakness::Targeted),
        "login_failure" => attempt(Answer::Failed),
        "login_success" => attempt(Answer::SignedIn),
        "password_edit"
        | "account_disabled_generic"
        | "account_disabled_spamming"
        | "account_disabled_spamming_through_relay" => Ok(Said::Nothing(SkipReason::Evidence)),
        _ => Ok(Said::Nothing(SkipReason::OtherType)),
    }
}

/// The user that an event is about, where that is not the actor.
fn affected(event: &Node) -> Option<&str> {
    let parameters = event.get("parameters");
    let listed = parameters.items().iter().find(|parameter| {
        parameter
            .text_of("name")
            .is_some_and(|name| name.eq_ignore_ascii_case("affected_email_address"))
    });
    listed
        .and_then(|parameter| parameter.text_of("value"))
        .or_else(|| parameters.text_of("affected_email_address"))
}

fn mail(text: Option<&str>) -> Result<Key, RejectReason> {
    text.and_then(|text| Key::new(KeyKind::Email, text))
        .ok_or(RejectReason::NoKey)
}

fn date(text: Option<&str>) -> Result<Moment, RejectReason> {
    match text.and_then(|text| Dated::read(text, Tz::UTC)) {
        Some(Dated::At(at)) => Ok(at),
        Some(Dated::Either(..)) | None => Err(RejectReason::BadDate),
    }
}

fn row(line: u64, key: Key, weakness: Weakness, at: Moment) -> AuditRow {
    AuditRow {
        line,
        keys: vec![key],
        weakness,
        detail: None,
        severity: None,
        bad_as_of: Some(at),
        discovered_at: None,
        baseline: None,
        history_unless_known: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::tests::{outcomes, read_all};
    use crate::audit::{Format, Item};

    fn of(text: &str) -> Vec<Item> {
        read_all(Format::GoogleLog, text.as_bytes(), &ReadOptions::default())
            .unwrap()
            .0
    }

    #[test]
    fn a_flattened_activity_says_the_same_as_a_whole_one() {
        let whole = r#"{"items":[{"id":{"time":"2026-02-11T10:58:00.000Z"},"actor":{"email":"x@b.example"},"events":[{"type":"account_warning","name":"suspicious_login","parameters":[{"name":"affected_email_address","value":"bea@b.example"}]}]}]}"#;
        let flat = r#"{"time":"2026-02-11 10:58:00","type":"account_warning","name":"suspicious_login","parameters":{"affected_email_address":"bea@b.example"},"actor":{"email":"x@b.example"}}"#;
        assert_eq!(of(whole), of(flat));
        let Some(Item::Row(row)) = of(flat).into_iter().next() else {
            panic!("no finding")
        };
        assert_eq!(row.keys[0].given, "bea@b.example");
        assert_eq!(row.detail.as_deref(), Some("suspicious_login"));
    }

    #[test]
    fn a_login_alert_is_dated_by_the_login_and_a_closed_one_counts() {
        let items = of(
            r#"{"alerts":[{"alertId":"1","type":"Suspicious login","startTime":"2026-02-11T11:00:00Z","deleted":false,"metadata":{"status":"CLOSED"},"data":{"email":"bea@b.example","loginDetails":{"loginTime":"2026-02-11T10:58:00Z"}}}],"nextPageToken":"x"}"#,
        );
        let Item::Row(row) = &items[0] else {
            panic!("no finding")
        };
        assert_eq!(row.bad_as_of.unwrap().to_string(), "2026-02-11T10:58:00Z");
    }

    #[test]
    fn hostile_alerts_and_activities_are_rejected() {
        for (text, expected) in [
            (r#"{"alerts":[{"alertId":"1"}]}"#, "malformed"),
            (
                r#"{"alerts":[{"alertId":"1","type":"Leaked password"}]}"#,
                "no_key",
            ),
            (
                r#"{"alerts":[{"alertId":"1","type":"Leaked password","data":{"email":"a@b.example"},"startTime":1e12}]}"#,
                "bad_date",
            ),
            (r#"{"items":[{"events":[]}]}"#, "malformed"),
            (
                r#"{"items":[{"events":[{"name":"gov_attack_warning","parameters":7}]}]}"#,
                "no_key",
            ),
            (
                r#"{"items":[{"events":{"name":"login_failure"},"actor":{"email":"a@b.example"}}]}"#,
                "bad_date",
            ),
            (r#"{"items":[{"events":[{"name":"login_fai"#, "truncated"),
        ] {
            assert_eq!(outcomes(&of(text)), [expected], "{text}");
        }
    }
}
