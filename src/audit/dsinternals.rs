//! DSInternals, all versions, `Test-PasswordQuality` as text: a heading a weakness, and below it the accounts, indented.
//!
//! Before 3.0 a name may be followed by its plaintext password, behind a field of 20 letters. Names may hold blanks, so a
//! line is cut at that place and never at its first blank; what follows is not looked at. Since 4.2 names are
//! `NETBIOS\name`, and no plaintext is ever shown beside one of those.

use std::io::Read;

use zeroize::Zeroizing;

use super::decode::{Filled, Lines};
use super::detect::{By, Head, Look, Shape};
use super::{AuditError, ReadOptions, Sink, nt};
use crate::domain::finding::{AuditRow, RejectReason, Weakness};
use crate::domain::identity::Key;

/// Letters of the field that a name stands in where a plaintext may follow.
const NAME_FIELD: usize = 20;

/// How the headings begin, in the order of the report. The console may have wrapped them, at 80 columns or before.
const HEADINGS: [(&str, Weakness); 16] = [
    (
        "Passwords of these accounts are stored using reversible encryption",
        Weakness::CleartextStored,
    ),
    (
        "LM hashes of passwords of these accounts are present",
        Weakness::LmHash,
    ),
    ("These accounts have no password set", Weakness::Empty),
    (
        "Passwords of these accounts have been found in the dictionary",
        Weakness::Dictionary,
    ),
    (
        "Historical passwords of these accounts have been found in the dictionary",
        Weakness::HistoricalWeak,
    ),
    (
        "These groups of accounts have the same passwords",
        Weakness::SharedPassword,
    ),
    (
        "These user accounts have the SamAccountName as password",
        Weakness::Username,
    ),
    (
        "These computer accounts have default passwords",
        Weakness::DefaultComputer,
    ),
    (
        "Kerberos AES keys are missing from these accounts",
        Weakness::AesMissing,
    ),
    (
        "Kerberos pre-authentication is not required for these accounts",
        Weakness::Preauth,
    ),
    (
        "Only DES encryption is allowed to be used with these accounts",
        Weakness::DesOnly,
    ),
    (
        "These accounts are susceptible to the Kerberoasting attack",
        Weakness::Kerberoastable,
    ),
    // Two wordings, before and after 2025-02.
    ("These administrative accounts", Weakness::DelegatableAdmin),
    (
        "Passwords of these accounts will never expire",
        Weakness::NeverExpires,
    ),
    (
        "These accounts are not required to have a password",
        Weakness::NotRequired,
    ),
    (
        "These accounts that require smart card authentication have a password",
        Weakness::SmartcardPassword,
    ),
];

const TITLE: &str = "Active Directory Password Quality Report";

/// A wrapped heading has at least so many letters left on its first line.
const SHORTEST: usize = 24;

/// Where in the report a line stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Section {
    /// Before the first heading.
    Before,
    /// Below a heading, of which more may follow.
    Heading(Weakness),
    /// Among its accounts.
    Accounts(Weakness),
    /// Below a heading that nobody here knows.
    Unknown,
}

pub(super) fn look(head: &Head<'_>) -> Look {
    if let Some(no) = head.unless_shape(Shape::Lines) {
        return no;
    }
    if head.count(|line| line.starts_with(TITLE)) > 0 {
        return Look::yes(By::Sign, "it has the report's title");
    }
    let headings = head.count(|line| heading(line).is_some());
    if headings >= 2 {
        return Look::yes(
            By::Sign,
            format!("it has {headings} of DSInternals' headings"),
        );
    }
    Look::no(1, "it has not two of DSInternals' headings")
}

pub(super) fn read(
    input: impl Read,
    options: &ReadOptions<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), AuditError> {
    let mut lines = Lines::open(input, options.code_page)?;
    let charset = lines.charset();
    let mut report = Report {
        section: Section::Before,
        group: None,
        last: None,
    };
    while let Some(Filled {
        number,
        text,
        ended,
    }) = lines.filled(sink)?
    {
        match charset.text(text) {
            Some(text) => {
                let text = Zeroizing::new(text.into_owned());
                report.line(number, &text, ended, sink)?;
            }
            None => {
                sink.record();
                sink.reject(number, RejectReason::BadEncoding)?;
            }
        }
    }
    // All headings are always there, and only the very last of them is younger than the report.
    if !matches!(
        report.last,
        Some(Weakness::NotRequired | Weakness::SmartcardPassword)
    ) {
        sink.summary.incomplete = true;
        sink.note("the report ends before its last section: it was cut off");
    }
    Ok(())
}

struct Report {
    section: Section,
    group: Option<String>,
    last: Option<Weakness>,
}

impl Report {
    fn line(
        &mut self,
        number: u64,
        text: &str,
        ended: bool,
        sink: &mut Sink<'_>,
    ) -> Result<(), AuditError> {
        if !text.starts_with([' ', '\t']) {
            return self.flush_left(number, text, sink);
        }
        let weakness = match self.section {
            Section::Before => return Ok(()),
            Section::Unknown => return Ok(()),
            Section::Heading(weakness) | Section::Accounts(weakness) => weakness,
        };
        self.section = Section::Accounts(weakness);
        if weakness == Weakness::SharedPassword && !text.starts_with("    ") {
            self.group = group_label(text);
            if self.group.is_some() {
                return Ok(());
            }
        }
        sink.record();
        // A name that the file ends in may be half of one.
        if !ended {
            return sink.reject(number, RejectReason::Truncated);
        }
        let Some(name) = nt::login(name_of(text.trim_start())) else {
            return sink.reject(number, RejectReason::Malformed);
        };
        let Some(key) = Key::login(name) else {
            return sink.reject(number, RejectReason::NoKey);
        };
        let detail = self
            .group
            .clone()
            .filter(|_| weakness == Weakness::SharedPassword);
        sink.row(AuditRow {
            detail,
            ..AuditRow::bare(number, vec![key], weakness)
        })
    }

    fn flush_left(
        &mut self,
        number: u64,
        text: &str,
        sink: &mut Sink<'_>,
    ) -> Result<(), AuditError> {
        if let Some(weakness) = heading(text) {
            self.section = Section::Heading(weakness);
            self.group = None;
            self.last = Some(weakness);
            return Ok(());
        }
        match self.section {
            // The title, a prompt, or the rest of a heading that was wrapped.
            Section::Before | Section::Heading(_) | Section::Unknown => Ok(()),
            Section::Accounts(_) => {
                self.section = Section::Unknown;
                sink.summary.incomplete = true;
                sink.note(format!(
                    "line {number} begins a section that is not known here; its accounts are left out"
                ));
                Ok(())
            }
        }
    }
}

/// The weakness that a line is the heading of.
fn heading(line: &str) -> Option<Weakness> {
    let line = line.trim_end();
    let mut fitting = HEADINGS.iter().filter(|(heading, _)| {
        line.starts_with(heading) || (line.len() >= SHORTEST && heading.starts_with(line))
    });
    match (fitting.next(), fitting.next()) {
        (Some((_, weakness)), None) => Some(*weakness),
        (Some(_) | None, _) => None,
    }
}

/// `Group n:`, without its colon.
fn group_label(text: &str) -> Option<String> {
    let number = text.trim().strip_prefix("Group ")?.strip_suffix(':')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && number.len() <= 9).then(|| format!("Group {number}"))
}

/// The name at the head of a line, without a plaintext that may follow it.
fn name_of(text: &str) -> &str {
    if has_netbios(text) {
        return text.trim_end();
    }
    let Some((at, letter)) = text.char_indices().nth(NAME_FIELD) else {
        return text.trim_end();
    };
    let end = if letter == ' ' {
        at
    } else {
        let rest = text.get(at..).unwrap_or_default();
        rest.find(' ').map_or(text.len(), |blank| at + blank)
    };
    text.get(..end).unwrap_or_default().trim_end()
}

/// Whether it begins `NETBIOS\`, as it does since 4.2. A backslash further on may be a password's.
pub(super) fn has_netbios(text: &str) -> bool {
    text.split_once('\\').is_some_and(|(domain, name)| {
        (1..=15).contains(&domain.chars().count())
            && !domain.contains(' ')
            && !name.starts_with(' ')
            && !name.is_empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::tests::{outcomes, read_all};
    use crate::audit::{Format, Item};

    fn report(text: &str) -> (Vec<Item>, super::super::Summary) {
        read_all(
            Format::DsinternalsReport,
            text.as_bytes(),
            &ReadOptions::default(),
        )
        .unwrap()
    }

    fn names(items: &[Item]) -> Vec<&str> {
        items
            .iter()
            .filter_map(|item| match item {
                Item::Row(row) => Some(row.keys[0].given.as_str()),
                Item::Attempt(_) | Item::Reject(_) | Item::Skipped(_) => None,
            })
            .collect()
    }

    #[test]
    fn a_plaintext_behind_the_name_is_cut_at_the_names_field() {
        for (line, name) in [
            ("abaraa               FAKE-Winter2025!", "abaraa"),
            ("library kiosk 1      FAKE two words", "library kiosk 1"),
            ("tempaccountlongnamexx FAKE-Long1", "tempaccountlongnamexx"),
            ("abaraa               FAKE\\back", "abaraa"),
            ("exactly20letters1234 FAKE-x", "exactly20letters1234"),
            ("a                    ", "a"),
            ("short", "short"),
            (r"PARL\library kiosk desk 1", r"PARL\library kiosk desk 1"),
            (r"PARL\a", r"PARL\a"),
        ] {
            assert_eq!(name_of(line), name, "{line}");
        }
    }

    #[test]
    fn a_heading_is_known_by_how_it_begins() {
        for (line, weakness) in [
            (
                "These administrative accounts (current or former ones) are allowed to be",
                Some(Weakness::DelegatableAdmin),
            ),
            (
                "These administrative accounts are allowed to be delegated to a service:",
                Some(Weakness::DelegatableAdmin),
            ),
            (
                "These accounts that require smart card authentication have",
                Some(Weakness::SmartcardPassword),
            ),
            // Three headings begin so.
            ("Passwords of these accounts", None),
            ("delegated:", None),
            (TITLE, None),
        ] {
            assert_eq!(heading(line), weakness, "{line}");
        }
    }

    #[test]
    fn accounts_below_an_unknown_heading_are_left_out_and_said_to_be() {
        let (items, summary) = report(
            "These accounts have no password set:\n  PARL\\ada\n\nThese accounts are new in version 9:\n  PARL\\bea\n\
             \nThese accounts are not required to have a password:\n  PARL\\cox\n",
        );
        assert_eq!(names(&items), [r"PARL\ada", r"PARL\cox"]);
        assert!(summary.incomplete);
        assert!(summary.notes[0].contains("line 4"), "{:?}", summary.notes);
    }

    #[test]
    fn a_report_that_was_cut_off_does_not_make_up_a_name() {
        let (items, summary) =
            report("These accounts have no password set:\n  PARL\\ada\n  PARL\\be");
        assert_eq!(outcomes(&items), ["weak/empty", "truncated"]);
        assert!(summary.incomplete);
    }
}
