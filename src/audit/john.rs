//! John the Ripper (jumbo, any version), `--show`: `login:plaintext:` and the rest of the line that was cracked.
//!
//! The plaintext is raw, colons and all, so a line is read from its right end. What that end looks like (a dump, a
//! `passwd` file, or nothing) is decided by the first line and holds for the file. The last line counts the others.

use std::io::Read;

use chrono::NaiveDateTime;

use super::decode::{Charset, Filled, Lines};
use super::detect::{By, Head, Look, Shape};
use super::{AuditError, ReadOptions, Sink, SkipReason, dates, nt};
use crate::domain::finding::{AuditRow, Baseline, Precision, RejectReason, Weakness};
use crate::domain::identity::{Key, KeyKind};

/// How the lines begin that John says and nobody needs.
const NOISE: [&[u8]; 6] = [
    b"Warning: ",
    b"Using default ",
    b"Loaded ",
    b"Note: ",
    b"Proceeding with ",
    b"Remaining ",
];

/// What follows the plaintext.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// `:rid:lm:nt:::`, and perhaps what secretsdump adds.
    Dump,
    /// `:uid:gid:gecos:home:shell`.
    Passwd,
    /// Nothing.
    Bare,
}

/// One line, cut up. The plaintext stays a slice of the line.
pub(super) struct Shown<'a> {
    pub(super) login: &'a [u8],
    pub(super) plain: &'a [u8],
    /// Relative id, and the NT field, of a dump.
    dump: Option<(&'a [u8], &'a [u8])>,
    /// What follows the last colons of a dump.
    rest: &'a [u8],
}

pub(super) fn read(
    input: impl Read,
    options: &ReadOptions<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), AuditError> {
    let mut lines = Lines::open(input, options.code_page)?;
    let charset = lines.charset();
    let mut form = None;
    let mut counted = None;
    while let Some(Filled {
        number,
        text,
        ended,
    }) = lines.filled(sink)?
    {
        if let Some(count) = trailer(text) {
            counted = Some(count);
            sink.skip(number, SkipReason::Trailer)?;
            continue;
        }
        if NOISE.iter().any(|noise| text.starts_with(noise)) {
            sink.skip(number, SkipReason::Noise)?;
            continue;
        }
        sink.record();
        let cut = match form {
            Some(form) => split(text, form),
            None => form_of(text).and_then(|found| {
                form = Some(found);
                split(text, found)
            }),
        };
        match cut {
            Some(shown) => one(number, &shown, charset, options, sink)?,
            None if ended => sink.reject(number, RejectReason::Malformed)?,
            None => sink.reject(number, RejectReason::Truncated)?,
        }
    }
    check_count(counted, sink);
    Ok(())
}

pub(super) fn look(head: &Head<'_>) -> Look {
    if let Some(no) = head.unless_shape(Shape::Lines) {
        return no;
    }
    if head.count(|line| trailer(line.as_bytes()).is_some()) > 0 {
        return Look::yes(By::Sign, "it has the line with which John ends");
    }
    let dump = head.lines_like(
        "of a dump with something between the name and its relative id",
        |line| form_of(line.as_bytes()) == Some(Form::Dump),
    );
    if let Look::Yes { .. } = dump {
        return dump;
    }
    let passwd = head.lines_like(
        "of a passwd file with something in the password's place",
        |line| {
            form_of(line.as_bytes()) == Some(Form::Passwd)
                && !matches!(line.split(':').nth(1), Some("x" | "*" | "!"))
        },
    );
    match passwd {
        Look::Yes { .. } => passwd,
        Look::No { .. } => dump,
    }
}

fn check_count(counted: Option<u64>, sink: &mut Sink<'_>) {
    let records = sink.summary.records;
    match counted {
        Some(count) if count == records => {}
        Some(count) => {
            sink.summary.incomplete = true;
            sink.note(format!(
                "the last line counts {count} cracked hashes, but the file shows {records}: some are missing"
            ));
        }
        None => {
            sink.summary.incomplete = true;
            sink.note("the last line, which counts the others, is missing: the file was cut off");
        }
    }
}

fn one(
    number: u64,
    shown: &Shown<'_>,
    charset: Charset,
    options: &ReadOptions<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), AuditError> {
    if shown.login == b"?" {
        return sink.skip(number, SkipReason::NoAccount);
    }
    let Some(weakness) = weakness(shown) else {
        return sink.skip(number, SkipReason::NoLmHash);
    };
    let Some(name) = charset.text(shown.login) else {
        return sink.reject(number, RejectReason::BadEncoding);
    };
    let Some(name) = nt::login(&name) else {
        return sink.reject(number, RejectReason::Malformed);
    };
    let Some(key) = Key::login(name) else {
        return sink.reject(number, RejectReason::NoKey);
    };
    let history = nt::is_history(name);
    let rid = shown
        .dump
        .and_then(|(rid, _)| std::str::from_utf8(rid).ok());
    // A former password's line carries the account's own id, which must not make it the account's present one.
    let sid = match (options.domain_sid, rid) {
        (Some(domain), Some(rid)) if !history => Key::new(KeyKind::Sid, &format!("{domain}-{rid}")),
        (Some(_) | None, Some(_) | None) => None,
    };
    sink.row(AuditRow {
        line: number,
        keys: std::iter::once(key).chain(sid).collect(),
        weakness,
        detail: None,
        severity: None,
        bad_as_of: None,
        discovered_at: None,
        baseline: baseline(shown.rest, options).filter(|_| !history),
        history_unless_known: history,
    })
}

/// What a line says is wrong; none if it only shows that there is no LM hash.
///
/// Somebody's password may be the words `NO PASSWORD`, so they count only where no hash contradicts them.
fn weakness(shown: &Shown<'_>) -> Option<Weakness> {
    let says_none = shown.plain.is_empty() || shown.plain == b"NO PASSWORD";
    match shown.dump {
        Some((_, hash)) if hash.eq_ignore_ascii_case(nt::EMPTY_NT) => Some(Weakness::Empty),
        Some((_, hash)) if nt::is_hash(hash) && shown.plain.is_empty() => None,
        Some((_, hash)) if nt::is_hash(hash) => Some(Weakness::Cracked),
        Some(_) | None if says_none => Some(Weakness::Empty),
        Some(_) | None => Some(Weakness::Cracked),
    }
}

/// The directory's own mark, which secretsdump adds in the auditor's local time.
pub(super) fn baseline(rest: &[u8], options: &ReadOptions<'_>) -> Option<Baseline> {
    let zone = options.time_zone?;
    let rest = std::str::from_utf8(rest).ok()?;
    let (_, after) = rest.split_once("(pwdLastSet=")?;
    let (text, _) = after.split_once(')')?;
    let changed_at = match text {
        "never" => None,
        text => Some(dates::in_zone(
            NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").ok()?,
            zone,
        )?),
    };
    Some(Baseline {
        changed_at,
        precision: Precision::Minute,
    })
}

/// The form of a line that is no trailer.
pub(super) fn form_of(line: &[u8]) -> Option<Form> {
    [Form::Dump, Form::Passwd, Form::Bare]
        .into_iter()
        .find(|form| split(line, *form).is_some())
}

/// Cuts a line of a known form; none if it is not of that form.
pub(super) fn split(line: &[u8], form: Form) -> Option<Shown<'_>> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (login, after) = (line.get(..colon)?, line.get(colon + 1..)?);
    match form {
        Form::Dump => split_dump(login, after),
        Form::Passwd => {
            let mut fields = after.rsplitn(6, |byte| *byte == b':');
            let (_shell, _home, _gecos) = (fields.next()?, fields.next()?, fields.next()?);
            let (gid, uid, plain) = (fields.next()?, fields.next()?, fields.next()?);
            (is_number(gid) && is_number(uid)).then_some(Shown {
                login,
                plain,
                dump: None,
                rest: &[],
            })
        }
        Form::Bare => Some(Shown {
            login,
            plain: after,
            dump: None,
            rest: &[],
        }),
    }
}

/// `plain:rid:lm:nt:::rest`, the right-most that fits, because the plaintext may look like anything.
fn split_dump<'a>(login: &'a [u8], after: &'a [u8]) -> Option<Shown<'a>> {
    let mut end = after.len();
    while let Some(at) = after
        .get(..end)?
        .windows(3)
        .rposition(|window| window == b":::")
    {
        let mut fields = after.get(..at)?.rsplitn(4, |byte| *byte == b':');
        if let (Some(hash), Some(lm), Some(rid), Some(plain)) =
            (fields.next(), fields.next(), fields.next(), fields.next())
            && nt::is_hash_field(hash)
            && nt::is_hash_field(lm)
            && is_number(rid)
        {
            return Some(Shown {
                login,
                plain,
                dump: Some((rid, hash)),
                rest: after.get(at + 3..)?,
            });
        }
        end = at + 2;
    }
    None
}

pub(super) fn is_number(field: &[u8]) -> bool {
    (1..=10).contains(&field.len()) && field.iter().all(u8::is_ascii_digit)
}

/// How many cracked hashes the last line counts; none if this is not that line.
pub(super) fn trailer(line: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(line.trim_ascii()).ok()?;
    let (count, rest) = text.split_once(" password hash")?;
    let left = rest
        .strip_prefix("es")
        .unwrap_or(rest)
        .strip_prefix(" cracked, ")?
        .strip_suffix(" left")?;
    left.parse::<u64>().ok()?;
    count.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::tests::{outcomes, read_all};
    use crate::audit::{Format, Item};

    const HASH: &str = "e4c62a4c4febfe31cdb0ba3e3a8f0235";
    const EMPTY: &str = "31d6cfe0d16ae931b73c59d7e0c089c0";
    const NO_LM: &str = "aad3b435b51404eeaad3b435b51404ee";

    fn shown(lines: &str) -> (Vec<Item>, super::super::Summary) {
        read_all(Format::JohnShow, lines.as_bytes(), &ReadOptions::default()).unwrap()
    }

    #[test]
    fn a_line_says_what_its_hash_field_allows_and_no_more() {
        for (line, expected) in [
            (
                format!("ada:FAKE-x:1103:{NO_LM}:{HASH}:::\n"),
                "weak/cracked",
            ),
            (
                format!("ada:NO PASSWORD:1103:{NO_LM}:{HASH}:::\n"),
                "weak/cracked",
            ),
            (format!("ada::1103:{NO_LM}:{EMPTY}:::\n"), "weak/empty"),
            (format!("ada::1103:{NO_LM}:{HASH}:::\n"), "no_lm_hash"),
            (
                "ada:NO PASSWORD:1103:NO PASSWORD****:NO PASSWORD****:::\n".into(),
                "weak/empty",
            ),
            (
                format!("ada:FAKE:1:{NO_LM}:{EMPTY}:::x:1103:{NO_LM}:{HASH}::: (status=Enabled)\n"),
                "weak/cracked",
            ),
            (
                "ada:NO PASSWORD:1:1:Ada:/home/ada:/bin/sh\n".into(),
                "weak/empty",
            ),
            (
                "ada:FAKE:::1:1:Ada:/home/ada:/bin/sh\n".into(),
                "weak/cracked",
            ),
            ("ada:FAKE:x:y\n".into(), "weak/cracked"),
            ("ada:NO PASSWORD\n".into(), "weak/empty"),
            ("ada:\n".into(), "weak/empty"),
            ("?:FAKE-x\n".into(), "no_account"),
            (format!("$NT${HASH}:FAKE-x\n"), "malformed"),
            (format!("{HASH}:FAKE-x\n"), "malformed"),
            ("no colon at all\n".into(), "malformed"),
            ("ada".into(), "truncated"),
            ("1 password hash cracked, 0 left\n".into(), "trailer"),
        ] {
            assert_eq!(outcomes(&shown(&line).0), [expected], "{line:?}");
        }
    }

    #[test]
    fn a_dumps_cut_line_is_not_taken_for_another_form() {
        let (items, summary) = shown(&format!("ada:FAKE-x:1103:{NO_LM}:{HASH}:::\nbea:FAKE-Ha"));
        assert_eq!(outcomes(&items), ["weak/cracked", "truncated"]);
        assert!(summary.incomplete);
    }

    #[test]
    fn the_trailer_must_count_what_is_there() {
        let line = format!("ada:FAKE-x:1103:{NO_LM}:{HASH}:::\n");
        let right = shown(&format!("{line}\n1 password hash cracked, 0 left\n")).1;
        assert!(!right.incomplete && right.notes.is_empty(), "{right:?}");
        let wrong = shown(&format!("{line}\n2 password hashes cracked, 0 left\n")).1;
        assert!(
            wrong.incomplete && wrong.notes[0].contains("counts 2"),
            "{wrong:?}"
        );
        let none = shown(&line).1;
        assert!(
            none.incomplete && none.notes[0].contains("missing"),
            "{none:?}"
        );
    }

    #[test]
    fn what_a_dump_says_about_the_last_change_needs_the_auditors_zone() {
        let line = format!("ada:FAKE-x:1103:{NO_LM}:{HASH}::: (pwdLastSet=2025-07-03 09:14)\n");
        let of = |options: &ReadOptions<'_>| {
            let (items, _) = read_all(Format::JohnShow, line.as_bytes(), options).unwrap();
            let Item::Row(row) = items.into_iter().next().unwrap() else {
                panic!("no finding");
            };
            row
        };
        assert_eq!(of(&ReadOptions::default()).baseline, None);
        let row = of(&ReadOptions {
            time_zone: Some(chrono_tz::Europe::London),
            domain_sid: Some("S-1-5-21-1-2-3"),
            ..ReadOptions::default()
        });
        assert_eq!(
            row.baseline,
            Some(Baseline {
                changed_at: Some("2025-07-03T08:14:00Z".parse().unwrap()),
                precision: Precision::Minute,
            })
        );
        assert_eq!(row.keys[1].given, "S-1-5-21-1-2-3-1103");
    }
}
