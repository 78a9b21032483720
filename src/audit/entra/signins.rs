//! Microsoft Entra ID, sign-in log: the portal's CSV (57 columns in the variant seen) and the older one of the module.
//!
//! Only whose, when, from where and with which code. A code says whether the password was right; the portal writes `None`
//! where there was no error. The older table has no code, only whether it went well.

use std::io::Read;

use chrono_tz::Tz;

use crate::audit::culture::{Dated, Ordered, Settled};
use crate::audit::detect::{Head, Look};
use crate::audit::logs::address;
use crate::audit::table::{self, Fault, Row};
use crate::audit::{AuditError, ReadOptions, Sink, SkipReason};
use crate::domain::attempt::{Answer, Attempt};
use crate::domain::finding::RejectReason;
use crate::domain::identity::{Key, KeyKind};
use crate::domain::moment::Moment;

/// What the codes mean that say something about a password. All others are skipped: the password was not looked at, or
/// nobody knows. The vendor may change them.
const CODES: [(&str, Answer); 12] = [
    ("none", Answer::SignedIn),
    ("0", Answer::SignedIn),
    ("50126", Answer::Failed),
    ("50053", Answer::Locked),
    ("50034", Answer::NoSuchName),
    ("50055", Answer::RightBut),
    ("50057", Answer::RightBut),
    ("50074", Answer::RightBut),
    ("50076", Answer::RightBut),
    ("50079", Answer::RightBut),
    ("53003", Answer::RightBut),
    ("50158", Answer::RightBut),
];

struct Columns {
    at: usize,
    object_id: Option<usize>,
    upn: usize,
    from: Option<usize>,
    code: Option<usize>,
    status: usize,
}

pub(in crate::audit) fn look(head: &Head<'_>) -> Look {
    let portal = head.table_with(&["date (utc)", "request id", "username"]);
    let older = head.table_with(&["createddatetime", "userprincipalname", "status"]);
    match older {
        Look::Yes { .. } => older,
        Look::No { .. } => portal,
    }
}

pub(in crate::audit) fn read(
    input: impl Read,
    options: &ReadOptions<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), AuditError> {
    let columns = |head: &table::TableHead| {
        let at = head.any(&["date (utc)", "createddatetime", "date"]);
        let upn = head.any(&["username", "userprincipalname"]);
        let status = head.find("status");
        Ok(Columns {
            at: table::needed(at, head, "Date (UTC)")?,
            object_id: head.any(&["user id", "userid"]),
            upn: table::needed(upn, head, "Username")?,
            from: head.any(&["ip address", "ipaddress"]),
            code: head.any(&["sign-in error code", "errorcode"]),
            status: table::needed(status, head, "Status")?,
        })
    };
    let mut waiting = Ordered::new(Tz::UTC, options.date_order);
    table::each(input, options, sink, columns, &mut |columns, row, sink| {
        let Some(answer) = answer(columns, row)? else {
            sink.skip(row.line, SkipReason::OtherType)?;
            return Ok(());
        };
        let date = row.text(Some(columns.at))?.ok_or(RejectReason::BadDate)?;
        let date = Dated::read(&date, Tz::UTC).ok_or(RejectReason::BadDate)?;
        let attempt = attempt(columns, row, answer)?;
        for settled in waiting.push(attempt, Some(date)) {
            hand_out(settled, sink)?;
        }
        if waiting.is_full() {
            return Err(Fault::File(AuditError::DateOrder));
        }
        Ok(())
    })?;
    for settled in waiting.end()? {
        hand_out(settled, sink)?;
    }
    Ok(())
}

/// What the row says about the password; none if nothing.
fn answer(columns: &Columns, row: &Row<'_>) -> Result<Option<Answer>, RejectReason> {
    if let Some(code) = row.text(columns.code)? {
        let code = code.to_ascii_lowercase();
        let known = CODES.iter().find(|(known, _)| *known == code);
        return Ok(known.map(|(_, answer)| *answer));
    }
    let status = row.text(Some(columns.status))?.unwrap_or_default();
    Ok(match status.to_ascii_lowercase().as_str() {
        "success" | "0" => Some(Answer::SignedIn),
        // Without a code nobody knows what failed. Taken for the password it may call somebody attacked who was not.
        "failure" if columns.code.is_none() => Some(Answer::Failed),
        _ => None,
    })
}

fn attempt(columns: &Columns, row: &Row<'_>, answer: Answer) -> Result<Attempt, RejectReason> {
    let mut keys = Vec::new();
    if let Some(upn) = row.text(Some(columns.upn))? {
        keys.extend(Key::new(KeyKind::Upn, &upn));
    }
    if let Some(id) = row.text(columns.object_id)? {
        keys.extend(Key::new(KeyKind::ObjectId, &id));
    }
    if keys.is_empty() {
        return Err(RejectReason::NoKey);
    }
    Ok(Attempt {
        line: row.line,
        keys,
        from: row.text(columns.from)?.as_deref().and_then(address),
        answer,
        at: Moment::default(),
        times: 1,
    })
}

fn hand_out((attempt, at): Settled<Attempt>, sink: &mut Sink<'_>) -> Result<(), AuditError> {
    match at {
        Some(at) => sink.attempt(Attempt { at, ..attempt }),
        None => sink.reject(attempt.line, RejectReason::BadDate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::logs::shown;
    use crate::audit::tests::read_all;
    use crate::audit::{Format, Item};

    const HEAD: &str =
        "\u{FEFF}Date (UTC),User ID,User,Username,IP address,Status,Sign-in error code\r\n";

    fn of(rows: &str) -> Vec<String> {
        let text = format!("{HEAD}{rows}");
        let (items, _) = read_all(
            Format::EntraSignins,
            text.as_bytes(),
            &ReadOptions::default(),
        )
        .unwrap();
        let shown = items.into_iter().map(|item| match item {
            Item::Attempt(attempt) => format!(
                "{:?} {} {}",
                attempt.answer,
                shown(attempt.from),
                attempt.at
            ),
            Item::Reject(reject) => reject.reason.word().to_owned(),
            Item::Skipped(skip) => skip.reason.word().to_owned(),
            Item::Row(_) => panic!("a sign-in by itself is no finding"),
        });
        shown.collect()
    }

    #[test]
    fn a_code_says_whether_the_password_was_right() {
        for (status, code, expected) in [
            ("Failure", "50126", "Failed"),
            ("Failure", "50053", "Locked"),
            ("Failure", "50034", "NoSuchName"),
            ("Interrupted", "50074", "RightBut"),
            ("Success", "None", "SignedIn"),
            ("Success", "0", "SignedIn"),
            ("Success", "", "SignedIn"),
            ("Failure", "", "other_type"),
            ("Failure", "700016", "other_type"),
        ] {
            let row = format!(
                "2026-02-05T03:10:00Z,u1,Ada,ada@b.example,::ffff:203.0.113.7,{status},{code}\r\n"
            );
            let seen = &of(&row)[0];
            assert!(seen.starts_with(expected), "{code}: {seen}");
            if expected != "other_type" {
                assert!(seen.ends_with("203.0.113.7 2026-02-05T03:10:00Z"), "{seen}");
            }
        }
    }

    #[test]
    fn rows_without_a_date_or_a_name_are_rejected() {
        assert_eq!(of(",u1,Ada,ada@b.example,,Success,0\n"), ["bad_date"]);
        assert_eq!(of("soon,u1,Ada,ada@b.example,,Success,0\n"), ["bad_date"]);
        assert_eq!(of("2026-02-05,,Ada,,1.2.3.4,Success,0\n"), ["no_key"]);
        assert_eq!(of("2026-02-05,u1,Ada,ada@b.ex"), ["truncated"]);
        assert_eq!(
            of("2026-02-05,u1,Ada,ada@b.example,x,Success,0\n"),
            ["SignedIn - 2026-02-05T23:59:59Z"]
        );
    }

    #[test]
    fn the_older_table_is_read_by_its_own_names() {
        let text = "CreatedDateTime,UserPrincipalName,UserDisplayName,IPAddress,Status\n\
                    14/02/2026 01:00:00,ada@b.example,Ada,203.0.113.7,Failure\n\
                    03/02/2026 01:00:00,ada@b.example,Ada,203.0.113.7,Success\n";
        let (items, _) = read_all(
            Format::EntraSignins,
            text.as_bytes(),
            &ReadOptions::default(),
        )
        .unwrap();
        let times: Vec<_> = items
            .iter()
            .map(|item| match item {
                Item::Attempt(attempt) => attempt.at.to_string(),
                Item::Reject(_) | Item::Skipped(_) | Item::Row(_) => panic!("no attempt"),
            })
            .collect();
        assert_eq!(times, ["2026-02-14T01:00:00Z", "2026-02-03T01:00:00Z"]);
    }
}
