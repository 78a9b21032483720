//! Okta, System Log API v1: an array of events, or one a line. Some pipelines write the members' names in small letters and
//! the time without its zone, which is UTC.
//!
//! Okta itself says which sign-in was part of a spray, so addresses are not looked at a second time: what it shows as a
//! client may be a proxy that everybody comes through.

use std::io::Read;

use chrono_tz::Tz;

use super::culture::Dated;
use super::decode::Bytes;
use super::detect::{Head, Look, Refusal};
use super::json::{self, End, Node, Piece, Shape};
use super::logs::address;
use super::{AuditError, ReadOptions, Sink, SkipReason};
use crate::domain::attempt::{Answer, Attempt};
use crate::domain::finding::{AuditRow, RejectReason, Weakness};
use crate::domain::identity::{Key, KeyKind};
use crate::domain::moment::Moment;

const SHAPE: Shape = Shape {
    arrays: &["events", "value", "items"],
    wanted: &[
        "eventtype",
        "published",
        "outcome",
        "result",
        "reason",
        "actor",
        "target",
        "id",
        "type",
        "alternateid",
        "client",
        "ipaddress",
        "debugcontext",
        "debugdata",
        "threatdetections",
        "errorcode",
    ],
};

pub(super) fn look(head: &Head<'_>) -> Look {
    head.json_with(&["eventType", "outcome", "actor"])
}

pub(super) fn read(
    input: impl Read,
    options: &ReadOptions<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), AuditError> {
    let bytes = Bytes::open(input, None, options.code_page)?;
    let end = json::pieces(bytes, &SHAPE, &mut |piece| {
        let Piece::Record(event) = piece else {
            return Ok(());
        };
        if event.get("errorcode").is_something() && !event.get("eventtype").is_something() {
            return Err(Refusal::ErrorAnswer.into());
        }
        sink.record();
        let line = sink.summary.records;
        match of_event(&event, line) {
            Ok(Said::Finding(row)) => sink.row(*row),
            Ok(Said::Attempt(attempt)) => sink.attempt(attempt),
            Ok(Said::Nothing(reason)) => sink.skip(line, reason),
            Err(reason) => sink.reject(line, reason),
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

/// What an event says.
enum Said {
    Finding(Box<AuditRow>),
    Attempt(Attempt),
    Nothing(SkipReason),
}

fn of_event(event: &Node, line: u64) -> Result<Said, RejectReason> {
    let Some(kind) = event.text_of("eventtype") else {
        return Err(RejectReason::Malformed);
    };
    let outcome = event.get("outcome");
    let went_well = outcome
        .text_of("result")
        .is_some_and(|result| result.eq_ignore_ascii_case("SUCCESS"));
    let because = |reason: &str| {
        outcome
            .text_of("reason")
            .is_some_and(|given| given.eq_ignore_ascii_case(reason))
    };
    let sprayed = event
        .get("debugcontext")
        .get("debugdata")
        .text_of("threatdetections")
        .is_some_and(|detections| detections.to_lowercase().contains("password spray"));
    let finding = |weakness| finding(event, line, weakness);
    match kind.to_ascii_lowercase().as_str() {
        "user.account.lock" if !went_well && because("LOCKED_OUT") => finding(Weakness::Lockout),
        "user.session.start" if sprayed && went_well => finding(Weakness::PasswordAccepted),
        "user.session.start" if sprayed && because("INVALID_CREDENTIALS") => {
            finding(Weakness::PasswordSpray)
        }
        "user.session.start" if went_well => attempt(event, line, Answer::SignedIn),
        "user.session.start" if because("INVALID_CREDENTIALS") => {
            attempt(event, line, Answer::Failed)
        }
        "user.account.report_suspicious_activity_by_enduser" => finding(Weakness::UserReported),
        "user.account.update_password"
        | "user.account.reset_password"
        | "user.account.expire_password"
            if went_well =>
        {
            Ok(Said::Nothing(SkipReason::Evidence))
        }
        _ => Ok(Said::Nothing(SkipReason::OtherType)),
    }
}

fn finding(event: &Node, line: u64, weakness: Weakness) -> Result<Said, RejectReason> {
    let Some(keys) = keys(event) else {
        return Ok(Said::Nothing(SkipReason::NoAccount));
    };
    let at = published(event)?;
    Ok(Said::Finding(Box::new(AuditRow {
        line,
        keys,
        weakness,
        detail: None,
        severity: super::severity_of_log(weakness),
        bad_as_of: Some(at),
        discovered_at: None,
        baseline: None,
        history_unless_known: false,
    })))
}

fn attempt(event: &Node, line: u64, answer: Answer) -> Result<Said, RejectReason> {
    let Some(keys) = keys(event) else {
        return Ok(Said::Nothing(SkipReason::NoAccount));
    };
    let from = event.get("client").text_of("ipaddress").and_then(address);
    Ok(Said::Attempt(Attempt {
        line,
        keys,
        from,
        answer,
        at: published(event)?,
        times: 1,
    }))
}

/// The names of whoever acted, if it was a person and not an address.
fn keys(event: &Node) -> Option<Vec<Key>> {
    let actor = event.get("actor");
    if !actor.text_of("type")?.eq_ignore_ascii_case("User") {
        return None;
    }
    let known = |text: &&str| !text.eq_ignore_ascii_case("unknown");
    let login = actor
        .text_of("alternateid")
        .filter(known)
        .and_then(Key::login);
    let id = actor.text_of("id").filter(known);
    let id = id.and_then(|id| Key::new(KeyKind::ObjectId, id));
    let keys: Vec<Key> = login.into_iter().chain(id).collect();
    (!keys.is_empty()).then_some(keys)
}

fn published(event: &Node) -> Result<Moment, RejectReason> {
    let text = event.text_of("published").ok_or(RejectReason::BadDate)?;
    match Dated::read(text, Tz::UTC) {
        Some(Dated::At(at)) => Ok(at),
        Some(Dated::Either(..)) | None => Err(RejectReason::BadDate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Format;
    use crate::audit::tests::{outcomes, read_all};

    fn of(text: &str) -> Vec<&'static str> {
        let (items, _) =
            read_all(Format::OktaLog, text.as_bytes(), &ReadOptions::default()).unwrap();
        outcomes(&items)
    }

    fn event(kind: &str, result: &str, reason: &str, debug: &str) -> String {
        format!(
            r#"{{"actor":{{"id":"00u1","type":"User","alternateId":"ada@b.example"}},"client":{{"ipAddress":"203.0.113.7"}},"eventType":"{kind}","outcome":{{"result":"{result}","reason":"{reason}"}},"published":"2026-02-06T01:00:00.000Z","debugContext":{{"debugData":{{{debug}}}}},"target":null}}"#
        )
    }

    #[test]
    fn events_mean_what_okta_says() {
        let spray = r#""threatDetections":"{\"Password Spray\":\"HIGH\"}""#;
        for (kind, result, reason, debug, expected) in [
            (
                "user.account.lock",
                "FAILURE",
                "LOCKED_OUT",
                "",
                "attacked/lockout",
            ),
            (
                "user.session.start",
                "FAILURE",
                "INVALID_CREDENTIALS",
                "",
                "attempt",
            ),
            (
                "user.session.start",
                "FAILURE",
                "INVALID_CREDENTIALS",
                spray,
                "attacked/password_spray",
            ),
            (
                "user.session.start",
                "SUCCESS",
                "",
                spray,
                "compromised/password_accepted",
            ),
            ("user.session.start", "SUCCESS", "", "", "attempt"),
            (
                "user.session.start",
                "FAILURE",
                "VERIFICATION_ERROR",
                "",
                "other_type",
            ),
            (
                "user.account.update_password",
                "SUCCESS",
                "",
                "",
                "evidence",
            ),
            (
                "user.account.update_password",
                "FAILURE",
                "",
                "",
                "other_type",
            ),
            ("system.api_token.create", "SUCCESS", "", "", "other_type"),
        ] {
            let text = event(kind, result, reason, debug);
            assert_eq!(of(&text), [expected], "{kind} {reason}");
        }
    }

    #[test]
    fn a_pipelines_small_letters_and_zoneless_time_are_read() {
        let text = event("user.account.lock", "FAILURE", "LOCKED_OUT", "")
            .replace("eventType", "eventtype")
            .replace("2026-02-06T01:00:00.000Z", "2022-06-22 18:18:29.015");
        let (items, _) =
            read_all(Format::OktaLog, text.as_bytes(), &ReadOptions::default()).unwrap();
        let crate::audit::Item::Row(row) = &items[0] else {
            panic!("no finding")
        };
        assert_eq!(
            row.bad_as_of.unwrap().to_string(),
            "2022-06-22T18:18:29.015Z"
        );
    }

    #[test]
    fn hostile_events_are_left_out() {
        for (text, expected) in [
            (r#"[{"eventType":["x"]}]"#, "malformed"),
            (r#"[5]"#, "malformed"),
            (
                r#"[{"eventType":"user.account.lock","outcome":"LOCKED_OUT"}]"#,
                "other_type",
            ),
            (
                r#"[{"eventType":"user.account.lock","outcome":{"reason":"LOCKED_OUT"},"actor":{"type":"IP address","alternateId":"unknown"}}]"#,
                "no_account",
            ),
            (
                r#"[{"eventType":"user.account.lock","outcome":{"reason":"LOCKED_OUT"},"actor":{"type":"User","alternateId":"\u0000\u0007"}}]"#,
                "no_account",
            ),
            (
                r#"[{"eventType":"user.account.lock","outcome":{"reason":"LOCKED_OUT"},"published":99999999999999999999,"actor":{"type":"User","alternateId":"a"}}]"#,
                "bad_date",
            ),
            (r#"[{"eventType":"user.acc"#, "truncated"),
        ] {
            assert_eq!(of(text), [expected], "{text}");
        }
        let refused = read_all(
            Format::OktaLog,
            br#"{"errorCode":"E0000011","errorSummary":"Invalid token provided"}"#,
            &ReadOptions::default(),
        );
        assert!(
            refused
                .unwrap_err()
                .to_string()
                .contains("error that the service")
        );
    }
}
