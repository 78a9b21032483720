//! Netexec: the table that `--users` prints, from a terminal or its log.
//!
//! Only the name and the date of a row are taken. Descriptions may hold passwords, and the log's first line does.

use chrono_tz::Tz;

use super::EvidenceOptions;
use super::record::{Record, Spoken, Told};
use crate::directory::when;
use crate::domain::evidence::Evidence;
use crate::domain::finding::RejectReason;
use crate::domain::identity::Key;

const HEAD: &str = "-Last PW Set-";
const NEVER: &str = "<never>";

/// Reads the table, a line at a time.
#[derive(Default)]
pub(super) struct Table {
    /// Where the message begins, once the head of the table was seen.
    message_at: Option<usize>,
}

impl Table {
    /// What this line says. Lines outside the table say nothing.
    pub fn line(&mut self, line: &[u8], options: &EvidenceOptions) -> Spoken {
        let Ok(line) = std::str::from_utf8(line) else {
            return Err(RejectReason::BadEncoding);
        };
        let line = without_colours(line);
        let said = match line.find(" - INFO - ") {
            Some(at) => line.get(at + " - INFO - ".len()..).unwrap_or_default(),
            None => line.as_str(),
        };
        if said.contains(HEAD) {
            self.message_at = said.find("-Username-");
            return Ok(None);
        }
        let Some(message) = self.message_at.and_then(|at| said.get(at..)) else {
            return Ok(None);
        };
        let Some((name, date)) = row(message) else {
            return Ok(None);
        };
        // SMB tells UTC; LDAP the time of the auditor's machine.
        let zone = match said.trim_start().starts_with("LDAP") {
            true => options.zone,
            false => Tz::UTC,
        };
        let is_zero = date == NEVER;
        let changed = match is_zero {
            true => None,
            false => Some(when::parse(date, zone, None).ok_or(RejectReason::BadDate)?),
        };
        let evidence = Evidence {
            changed,
            pending: is_zero,
            date_is_zero: is_zero,
            ..Evidence::silent(options.observed_at)
        };
        Record::new([Key::login(name)], Told::All(evidence))
    }
}

/// Name and date of a row: the date stands between the name and the count of wrong passwords.
fn row(message: &str) -> Option<(&str, &str)> {
    for (at, _) in message.match_indices(' ') {
        let (name, rest) = message.split_at_checked(at + 1)?;
        let length = match rest.starts_with(NEVER) {
            true => NEVER.len(),
            false => "2026-02-16 09:00:00".len(),
        };
        let Some((date, after)) = rest.split_at_checked(length) else {
            continue;
        };
        let is_date = date == NEVER || is_stamp(date);
        let count = after.trim_start().bytes().next();
        if is_date && after.starts_with(' ') && count.is_some_and(|byte| byte.is_ascii_digit()) {
            let name = name.trim();
            return (!name.is_empty()).then_some((name, date));
        }
    }
    None
}

fn is_stamp(text: &str) -> bool {
    text.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        10 => byte == b' ',
        13 | 16 => byte == b':',
        _ => byte.is_ascii_digit(),
    })
}

/// The text without what colours it on a terminal.
fn without_colours(line: &str) -> zeroize::Zeroizing<String> {
    let mut plain = zeroize::Zeroizing::new(String::with_capacity(line.len()));
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    plain.push_str(rest);
    plain
}
