//! IntelMQ 2 and 3, events as JSON: flat objects with dots in their names, a line each or in an array, as CERTs send them.
//!
//! `raw` and `extra.*` may hold passwords and are never copied out. Accounts of other domains are other people's.

use std::io::Read;

use super::{date, finish, meaning, row};
use crate::audit::decode::Bytes;
use crate::audit::detect::{Head, Look};
use crate::audit::json::{self, Node, Piece, Shape};
use crate::audit::{AuditError, ReadOptions, Sink, SkipReason};
use crate::domain::address::EmailAddress;
use crate::domain::finding::{AuditRow, RejectReason};
use crate::domain::identity::Key;

const SHAPE: Shape = Shape {
    arrays: &[],
    wanted: &[
        "classification.type",
        "source.account",
        "time.source",
        "time.observation",
    ],
};

pub(in crate::audit) fn look(head: &Head<'_>) -> Look {
    head.json_with(&["classification.type"])
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
            Ok(Ok(row)) => sink.row(row),
            Ok(Err(reason)) => sink.skip(line, reason),
            Err(reason) => sink.reject(line, reason),
        }
    })?;
    finish(end, sink)
}

fn of_event(
    event: &Node,
    line: u64,
    options: &ReadOptions<'_>,
) -> Result<Result<AuditRow, SkipReason>, RejectReason> {
    let Some(kind) = event.text_of("classification.type") else {
        return Err(RejectReason::Malformed);
    };
    let Some(weakness) = meaning(kind, options.meanings) else {
        return Ok(Err(SkipReason::UnmappedType));
    };
    let Some(account) = event.text_of("source.account") else {
        return Ok(Err(SkipReason::NoAccount));
    };
    let key = match EmailAddress::parse(account) {
        Ok(address) => {
            if !options.domains.is_empty() && !options.owns(address.domain()) {
                return Ok(Err(SkipReason::ForeignDomain));
            }
            Key::new(crate::domain::identity::KeyKind::Email, account)
        }
        Err(_) => crate::audit::nt::login(account).and_then(Key::login),
    };
    let key = key.ok_or(RejectReason::NoKey)?;
    let at = date(event.text_of("time.source"))?;
    let seen = date(event.text_of("time.observation"))?;
    Ok(Ok(AuditRow {
        discovered_at: seen,
        ..row(line, vec![key], weakness, None, at)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::tests::{outcomes, read_all};
    use crate::audit::{Format, Item};

    fn of(text: &str) -> Vec<Item> {
        let domains = ["b.example".to_owned()];
        let options = ReadOptions {
            domains: &domains,
            ..ReadOptions::default()
        };
        read_all(Format::Intelmq, text.as_bytes(), &options)
            .unwrap()
            .0
    }

    #[test]
    fn events_are_ours_or_left_out() {
        for (text, expected) in [
            (
                r#"{"classification.type":"leak","source.account":"a@b.example","raw":"FAKE"}"#,
                "compromised/leaked_credentials",
            ),
            (
                r#"{"classification.type":"leak","source.account":"a@sub.B.example"}"#,
                "compromised/leaked_credentials",
            ),
            (
                r#"{"classification.type":"leak","source.account":"a@notb.example"}"#,
                "foreign_domain",
            ),
            (
                r#"{"classification.type":"leak","source.account":"ada"}"#,
                "compromised/leaked_credentials",
            ),
            (
                r#"{"classification.type":"leak","source.account":"e4c62a4c4febfe31cdb0ba3e3a8f0235"}"#,
                "no_key",
            ),
            (
                r#"{"classification.type":"leak","source.account":["x"]}"#,
                "no_account",
            ),
            (
                r#"{"classification.type":"spam","source.account":"a@b.example"}"#,
                "unmapped_type",
            ),
            (
                r#"{"classification.type":"leak","source.account":"a@b.example","time.source":-1e18}"#,
                "bad_date",
            ),
            (r#"{"source.account":"a@b.example"}"#, "malformed"),
            (r#"{"classification.type":"le"#, "truncated"),
        ] {
            assert_eq!(outcomes(&of(text)), [expected], "{text}");
        }
    }
}
