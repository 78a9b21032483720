//! NetExec and CrackMapExec (read at c005376): what a password spray printed, on the terminal or in its `--log` file.
//!
//! Every line with an answer holds the password that was tried, and the log's first line the whole command. Of a line only
//! the name before the first colon and the status at its end are looked at.

use std::borrow::Cow;
use std::io::Read;

use chrono::NaiveDateTime;
use chrono_tz::Tz;

use super::dates::in_zone;
use super::decode::{Filled, Lines};
use super::detect::{Head, Look};
use super::{AuditError, ReadOptions, Sink, SkipReason, nt};
use crate::domain::finding::{AuditRow, RejectReason, Weakness};
use crate::domain::identity::Key;
use crate::domain::moment::Moment;

/// Answers that the producer takes for a right password on an account that may not sign in this way.
const RIGHT_BUT: [&str; 9] = [
    "PASSWORD_EXPIRED",
    "PASSWORD_MUST_CHANGE",
    "ACCOUNT_DISABLED",
    "ACCOUNT_EXPIRED",
    "ACCOUNT_RESTRICTION",
    "INVALID_LOGON_HOURS",
    "INVALID_WORKSTATION",
    "LOGON_TYPE_NOT_GRANTED",
    "NOLOGON_WORKSTATION_TRUST_ACCOUNT",
];

/// Answers that say that the password was wrong.
const WRONG: [&str; 2] = ["LOGON_FAILURE", "PREAUTH_FAILED"];

/// The protocols that the first column names.
const PROTOCOLS: [&str; 12] = [
    "SMB",
    "LDAP",
    "LDAPS",
    "WINRM",
    "WINRM-SSL",
    "SSH",
    "RDP",
    "MSSQL",
    "FTP",
    "WMI",
    "VNC",
    "NFS",
];

pub(super) fn look(head: &Head<'_>) -> Look {
    head.lines_like("a protocol, an address and what happened", |line| {
        let plain = zeroize::Zeroizing::new(without_colours(line.as_bytes()));
        message(without_prefix(&plain).1).is_some()
    })
}

pub(super) fn read(
    input: impl Read,
    options: &ReadOptions<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), AuditError> {
    let mut lines = Lines::open(input, options.code_page)?;
    let charset = lines.charset();
    let zone = options.time_zone.unwrap_or(Tz::UTC);
    while let Some(Filled {
        number,
        text,
        ended,
    }) = lines.filled(sink)?
    {
        let plain = zeroize::Zeroizing::new(without_colours(text));
        sink.record();
        match said(&plain, ended, |name| charset.text(name)) {
            Ok(Said::Guessed { login, at }) => {
                let at = match at {
                    Some(at) => in_zone(at, zone),
                    None => None,
                };
                sink.row(row(number, login, at))?;
            }
            Ok(Said::Nothing(reason)) => sink.skip(number, reason)?,
            Err(reason) => sink.reject(number, reason)?,
        }
    }
    Ok(())
}

/// What a line says.
enum Said {
    Guessed {
        login: Key,
        at: Option<NaiveDateTime>,
    },
    Nothing(SkipReason),
}

fn row(line: u64, key: Key, at: Option<Moment>) -> AuditRow {
    AuditRow {
        line,
        keys: vec![key],
        weakness: Weakness::ValidGuess,
        detail: None,
        severity: None,
        bad_as_of: at,
        discovered_at: None,
        baseline: None,
        history_unless_known: false,
    }
}

fn said<'a>(
    line: &'a [u8],
    ended: bool,
    text: impl Fn(&'a [u8]) -> Option<Cow<'a, str>>,
) -> Result<Said, RejectReason> {
    let (at, line) = without_prefix(line);
    let nothing = |reason| Ok(Said::Nothing(reason));
    let cut = || {
        if ended {
            Ok(())
        } else {
            Err(RejectReason::Truncated)
        }
    };
    let Some((right, message)) = message(line) else {
        return nothing(SkipReason::Noise);
    };
    let Some(right) = right else {
        return nothing(SkipReason::Noise);
    };
    let Some(slash) = message.iter().position(|byte| *byte == b'\\') else {
        return nothing(SkipReason::Noise);
    };
    let after = message.get(slash + 1..).unwrap_or_default();
    let Some(colon) = after.iter().position(|byte| *byte == b':') else {
        return cut().and_then(|()| nothing(SkipReason::Noise));
    };
    // A blank before the backslash: a sentence, not a domain.
    let domain = message.get(..slash).unwrap_or_default();
    if domain.is_empty() || domain.iter().any(u8::is_ascii_whitespace) {
        return nothing(SkipReason::Noise);
    }
    // Both answers end in a blank or in brackets: any other end of the file is one in the middle of a line.
    if !ended && !matches!(line.last(), Some(b' ' | b')')) {
        return Err(RejectReason::Truncated);
    }
    let secret = after.get(colon + 1..).unwrap_or_default();
    if colon == 0 {
        return nothing(SkipReason::NullSession);
    }
    let login = message.get(..slash + 1 + colon).unwrap_or_default();
    let guessed = if right {
        if secret.trim_ascii_end().ends_with(b"(Guest)") {
            return nothing(SkipReason::Guest);
        }
        true
    } else {
        let status = status(secret);
        if status.is_some_and(|status| WRONG.contains(&status)) {
            return nothing(SkipReason::WrongPassword);
        }
        status.is_some_and(|status| RIGHT_BUT.contains(&status))
    };
    if !guessed {
        return nothing(SkipReason::Inconclusive);
    }
    let login = text(login).ok_or(RejectReason::BadEncoding)?;
    let login = nt::login(&login)
        .and_then(Key::login)
        .ok_or(RejectReason::Malformed)?;
    Ok(Said::Guessed { login, at })
}

/// Terminal colours taken out.
fn without_colours(line: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first == 0x1b && tail.first() == Some(&b'[') {
            let codes = tail
                .iter()
                .skip(1)
                .take_while(|byte| byte.is_ascii_digit() || matches!(byte, b';' | b'?'));
            rest = tail.get(codes.count() + 2..).unwrap_or_default();
        } else {
            plain.push(*first);
        }
    }
    plain
}

/// The time of a log file's line, and the line behind `YYYY-MM-DD HH:MM:SS | file.py:NN - LEVEL - `.
fn without_prefix(line: &[u8]) -> (Option<NaiveDateTime>, &[u8]) {
    let Some(time) = line
        .get(..19)
        .and_then(|time| std::str::from_utf8(time).ok())
    else {
        return (None, line);
    };
    let Ok(at) = NaiveDateTime::parse_from_str(time, "%Y-%m-%d %H:%M:%S") else {
        return (None, line);
    };
    let mut rest = line.get(19..).unwrap_or_default();
    // The level stands between the first two dashes.
    for _ in 0..2 {
        let Some(dash) = rest.windows(3).position(|three| three == b" - ") else {
            return (None, line);
        };
        rest = rest.get(dash + 3..).unwrap_or_default();
    }
    (Some(at), rest)
}

/// The message behind protocol, address, port and host, and whether it says yes, no, or only informs.
fn message(line: &[u8]) -> Option<(Option<bool>, &[u8])> {
    let mut columns = line
        .split(u8::is_ascii_whitespace)
        .filter(|column| !column.is_empty());
    let protocol = columns.next()?;
    let is_protocol = |known: &&str| protocol.eq_ignore_ascii_case(known.as_bytes());
    if !PROTOCOLS.iter().any(is_protocol) {
        return None;
    }
    // The sign is the first of its kind behind three more columns: a password may look like one.
    let sign = line
        .windows(3)
        .position(|three| matches!(three, [b'[', b'+' | b'-' | b'*', b']']))?;
    let before = line.get(..sign)?;
    let columns = before
        .split(u8::is_ascii_whitespace)
        .filter(|column| !column.is_empty());
    if columns.count() < 3 {
        return None;
    }
    let message = line.get(sign + 3..)?.trim_ascii_start();
    let said = match line.get(sign + 1) {
        Some(b'+') => Some(true),
        Some(b'-') => Some(false),
        Some(_) | None => None,
    };
    Some((said, message))
}

/// The last status of a line, without the word that it begins with.
fn status(text: &[u8]) -> Option<&str> {
    let is_part = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'_';
    text.split(|byte| !is_part(byte))
        .rev()
        .filter_map(|word| std::str::from_utf8(word).ok())
        .find_map(|word| {
            ["STATUS_", "KDC_ERR_"]
                .iter()
                .find_map(|start| word.strip_prefix(start))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::tests::{outcomes, read_all};
    use crate::audit::{Format, Item};

    fn of(text: &str) -> Vec<Item> {
        read_all(Format::Netexec, text.as_bytes(), &ReadOptions::default())
            .unwrap()
            .0
    }

    const START: &str = "SMB         192.0.2.10      445    DC01             ";

    #[test]
    fn a_line_means_what_its_answer_says_whatever_the_password_looks_like() {
        for (message, expected) in [
            (r"[+] b.example\ada:FAKE-x ", "weak/valid_guess"),
            (r"[+] b.example\ada:FAKE-x (Pwn3d!)", "weak/valid_guess"),
            (r"[+] b.example\ada:FAKE-x (Guest)", "guest"),
            (r"[+] b.example\: ", "null_session"),
            (
                r"[-] b.example\ada:FAKE: x (y) STATUS_LOGON_FAILURE ",
                "wrong_password",
            ),
            (
                r"[-] b.example\ada:STATUS_PASSWORD_EXPIRED STATUS_LOGON_FAILURE ",
                "wrong_password",
            ),
            (
                r"[-] b.example\ada:FAKE STATUS_PASSWORD_EXPIRED (The user's password)",
                "weak/valid_guess",
            ),
            (
                r"[-] b.example\ada:FAKE KDC_ERR_PREAUTH_FAILED ",
                "wrong_password",
            ),
            (
                r"[-] b.example\ada:FAKE KDC_ERR_CLIENT_REVOKED ",
                "inconclusive",
            ),
            (
                r"[-] b.example\ada:FAKE STATUS_ACCOUNT_LOCKED_OUT ",
                "inconclusive",
            ),
            (r"[-] b.example\ada:FAKE [+] x ", "inconclusive"),
            (r"[-] Connection Error: C:\x:y", "noise"),
            (r"[*] Windows (domain:b.example) a\b:c", "noise"),
            (r"[+] Enumerated shares", "noise"),
            ("[+] b.example\\a\u{7}b:FAKE ", "malformed"),
        ] {
            let items = of(&format!("{START}{message}\n"));
            assert_eq!(outcomes(&items), [expected], "{message}");
        }
    }

    #[test]
    fn a_line_that_the_file_cuts_off_says_nothing() {
        for (message, expected) in [
            (r"[-] b.example\ada:FAKE-x STATUS_PASSWORD_EXP", "truncated"),
            (r"[+] b.example\ada:FAKE", "truncated"),
            (r"[+] b.example\ad", "truncated"),
            (r"[+] b.example\ada:FAKE-x (Pwn3d!)", "weak/valid_guess"),
            (
                r"[-] b.example\ada:FAKE-x STATUS_LOGON_FAILURE ",
                "wrong_password",
            ),
        ] {
            let items = of(&format!("{START}{message}"));
            assert_eq!(outcomes(&items), [expected], "{message}");
        }
    }

    #[test]
    fn a_log_files_time_is_the_auditors() {
        let options = ReadOptions {
            time_zone: Some(chrono_tz::Europe::Berlin),
            ..ReadOptions::default()
        };
        let line = format!(
            "2026-02-12 09:31:01 | smb.py:536 - INFO - {START}[+] b.example\\ada:******** \n"
        );
        let (items, _) = read_all(Format::Netexec, line.as_bytes(), &options).unwrap();
        let Item::Row(row) = &items[0] else {
            panic!("no finding")
        };
        assert_eq!(row.bad_as_of.unwrap().to_string(), "2026-02-12T08:31:01Z");
    }

    #[test]
    fn the_command_line_is_passed_over() {
        let items = of("[2026-02-12 09:30:58]> nxc smb 192.0.2.10 -u a\\b -p FAKE:x [+] y\\z:w\n");
        assert_eq!(outcomes(&items), ["noise"]);
    }
}
