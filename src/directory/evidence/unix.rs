//! Unix: `/etc/shadow`, `passwd -Sa` and `chage -l` → when passwords were set, to the day (UTC).
//!
//! Of shadow's second field only the first byte is looked at.

use super::EvidenceOptions;
use super::record::{Record, Spoken, Told};
use crate::directory::stamps::{Local, unix_day};
use crate::domain::evidence::{Change, DateOrder, Evidence};
use crate::domain::finding::{Precision, RejectReason};
use crate::domain::identity::Key;

/// One line of `/etc/shadow`.
pub(super) fn shadow(line: &[u8], options: &EvidenceOptions) -> Spoken {
    let mut fields = line.trim_ascii_end().split(|&byte| byte == b':');
    let (name, secret, day) = (fields.next(), fields.next(), fields.next());
    let (Some(name), Some(secret), Some(day)) = (name, secret, day) else {
        return Err(RejectReason::Malformed);
    };
    if fields.count() != 6 {
        return Err(RejectReason::Malformed);
    }
    let disabled = matches!(secret.first(), Some(b'!' | b'*'));
    let day = std::str::from_utf8(day).map_err(|_| RejectReason::BadDate)?;
    let since = match day {
        "" => Since::Unknown,
        "0" => Since::Demanded,
        day => {
            let day = day.parse().map_err(|_| RejectReason::BadDate)?;
            Since::Day(unix_day(day).ok_or(RejectReason::BadDate)?)
        }
    };
    account(name, since, disabled, options)
}

/// One line of `passwd -Sa`: `ada P 2026-02-16 …`, with the American date that older versions write, or `never`.
pub(super) fn passwd_status(line: &[u8], options: &EvidenceOptions) -> Spoken {
    let mut words = line
        .split(|byte| byte.is_ascii_whitespace())
        .filter(|word| !word.is_empty());
    let (Some(name), Some(status), Some(date)) = (words.next(), words.next(), words.next()) else {
        return Err(RejectReason::Malformed);
    };
    let disabled = match status {
        b"L" | b"LK" => true,
        b"P" | b"PS" | b"NP" => false,
        _ => return Err(RejectReason::BadValue),
    };
    let since = match date {
        b"never" => Since::Unknown,
        b"1970-01-01" | b"01/01/1970" => Since::Demanded,
        date => Since::Day(day(date, Some(DateOrder::MonthFirst)).ok_or(RejectReason::BadDate)?),
    };
    account(name, since, disabled, options)
}

/// Reads `chage -l`, a line at a time. It names nobody: the account stands on a line of its own before it, as in `ada:`, or
/// in the config.
#[derive(Default)]
pub(super) struct Chage {
    named: Option<Vec<u8>>,
}

impl Chage {
    /// What this line adds; the account's state is in one line only.
    pub fn line(&mut self, line: &[u8], options: &EvidenceOptions) -> Spoken {
        let line = line.trim_ascii();
        let (label, value) = match line.iter().position(|&byte| byte == b':') {
            Some(at) => line.split_at(at),
            None => (line, &b""[..]),
        };
        let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
        let label = label.trim_ascii();
        if value.is_empty() && !label.is_empty() && !label.contains(&b' ') {
            self.named = Some(label.to_vec());
            return Ok(None);
        }
        if label != b"Last password change" {
            return Ok(None);
        }
        let since = match value {
            b"never" => Since::Unknown,
            b"password must be changed" => Since::Demanded,
            date => Since::Day(english_day(date).ok_or(RejectReason::BadDate)?),
        };
        let configured = options
            .account
            .as_ref()
            .map(|name| name.as_bytes().to_vec());
        let name = self
            .named
            .take()
            .or(configured)
            .ok_or(RejectReason::NoKey)?;
        account(&name, since, false, options)
    }
}

enum Since {
    Unknown,
    Demanded,
    Day(Change),
}

fn account(name: &[u8], since: Since, disabled: bool, options: &EvidenceOptions) -> Spoken {
    let name = std::str::from_utf8(name).map_err(|_| RejectReason::BadEncoding)?;
    let (changed, pending) = match since {
        Since::Unknown => (None, false),
        Since::Demanded => (None, true),
        Since::Day(change) => (Some(change), false),
    };
    let evidence = Evidence {
        changed,
        pending,
        disabled,
        ..Evidence::silent(options.observed_at)
    };
    Record::new([Key::login(name)], Told::All(evidence))
}

fn day(date: &[u8], order: Option<DateOrder>) -> Option<Change> {
    let date = std::str::from_utf8(date).ok()?;
    let start = Local::parse(date)?.change(order, chrono_tz::Tz::UTC)?;
    Some(Change::at(start.lo, Precision::Day))
}

/// `Feb 16, 2026`: the form of the locale C, and of no other.
fn english_day(date: &[u8]) -> Option<Change> {
    let date = std::str::from_utf8(date).ok()?;
    let date = chrono::NaiveDate::parse_from_str(date, "%b %d, %Y").ok()?;
    day(date.format("%Y-%m-%d").to_string().as_bytes(), None)
}
