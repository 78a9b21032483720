//! Known files that are no audits, or are not read yet: each is named, and says what to do instead.

use super::super::{hibp, john, nt};
use super::Refusal;
use super::head::{By, Head, Look, Shape};

/// A file that is known, and why it is not read.
pub(super) struct Known {
    pub(super) title: &'static str,
    pub(super) look: fn(&Head<'_>) -> Look,
    why: Why,
}

enum Why {
    Html,
    TypeNames,
    LengthColumn,
    ErrorAnswer,
    Instead(&'static str),
    NotYet,
}

impl Known {
    pub(super) const fn refusal(&self) -> Refusal {
        match self.why {
            Why::Html => Refusal::Html,
            Why::TypeNames => Refusal::TypeNames,
            Why::LengthColumn => Refusal::LengthColumn,
            Why::ErrorAnswer => Refusal::ErrorAnswer,
            Why::Instead(instead) => Refusal::NoAccounts {
                what: self.title,
                instead,
            },
            Why::NotYet => Refusal::NotRead(self.title),
        }
    }
}

const fn known(title: &'static str, why: Why, look: fn(&Head<'_>) -> Look) -> Known {
    Known { title, look, why }
}

const fn not_yet(title: &'static str, look: fn(&Head<'_>) -> Look) -> Known {
    known(title, Why::NotYet, look)
}

/// All of them.
pub(super) const KNOWN: &[Known] = &[
    known("an HTML page", Why::Html, html),
    known("an export of type names", Why::TypeNames, type_names),
    known("an export of lengths", Why::LengthColumn, length_column),
    known(
        "an error that a service answered",
        Why::ErrorAnswer,
        hibp::look_error,
    ),
    known(
        "the Have I Been Pwned catalogue of breaches",
        Why::Instead("configure it as the catalogue that a domain search is joined with"),
        |head| {
            head.json_with(&["Name", "BreachDate", "DataClasses"])
                .unless(
                    &head.json_with(&["BreachSearchResults"]),
                    "it names accounts",
                )
        },
    ),
    known(
        "a passwd file with no finding in it",
        Why::Instead("crack it, and give what \"john --show\" prints"),
        passwd,
    ),
    not_yet("a DSInternals result as JSON", |head| {
        head.json_with_some(&DSINTERNALS, 3)
    }),
    not_yet("a DSInternals password quality report", dsinternals_report),
    not_yet("a list of account names", |head| {
        head.lines_like("a domain, a backslash and a name", down_level)
    }),
    known(
        "a dump of hashes with no finding in it",
        Why::Instead(
            "crack it, and give what \"hashcat --show --username\" or \"john --show\" prints",
        ),
        dump,
    ),
    not_yet("a hashcat outfile in JSON", |head| {
        head.json_with_some(&["username_hex", "hash_hex"], 1)
    }),
];

fn html(head: &Head<'_>) -> Look {
    if let Some(no) = head.unless_shape(Shape::Markup) {
        return no;
    }
    let start: String = head
        .start
        .chars()
        .take(2000)
        .collect::<String>()
        .to_ascii_lowercase();
    let signs = [
        "<!doctype html",
        "<html",
        "<head",
        "<body",
        "<!-- saved from",
    ];
    if signs.iter().any(|sign| start.contains(sign)) {
        Look::yes(By::Sign, "it begins as a page of a web site")
    } else {
        Look::no(1, "it has no element of HTML")
    }
}

fn type_names(head: &Head<'_>) -> Look {
    head.line_with(
        "the name \"System.Collections.Generic.SortedSet\"",
        |line| line.contains("System.Collections.Generic.SortedSet"),
    )
}

fn length_column(head: &Head<'_>) -> Look {
    match head.columns() {
        [only] if only == "length" => Look::yes(By::Sign, "its only column is \"Length\""),
        _ => Look::no(0, "its only column is not \"Length\""),
    }
}

/// The properties of a DSInternals result.
const DSINTERNALS: [&str; 6] = [
    "WeakPassword",
    "DuplicatePasswordGroups",
    "PasswordNeverExpires",
    "AESKeysMissing",
    "ClearTextPassword",
    "SmartCardUsersWithPassword",
];

/// Headings of DSInternals' report.
const HEADINGS: [&str; 5] = [
    "Passwords of these accounts are stored using reversible encryption",
    "LM hashes of passwords of these accounts are present",
    "These accounts have no password set",
    "Passwords of these accounts have been found in the dictionary",
    "These groups of accounts have the same passwords",
];

fn dsinternals_report(head: &Head<'_>) -> Look {
    let headings = HEADINGS
        .iter()
        .filter(|heading| head.count(|line| line.starts_with(**heading)) > 0)
        .count();
    head.line_with("DSInternals' headings", |line| {
        headings >= 2 || line.starts_with("Active Directory Password Quality Report")
    })
}

fn down_level(line: &str) -> bool {
    line.split_once('\\').is_some_and(|(domain, name)| {
        !domain.is_empty() && !name.is_empty() && !line.contains([',', ';', '\t', ':'])
    })
}

fn passwd(head: &Head<'_>) -> Look {
    head.lines_like("of a passwd file whose passwords are elsewhere", |line| {
        john::form_of(line.as_bytes()) == Some(john::Form::Passwd)
            && matches!(line.split(':').nth(1), Some("x" | "*" | "!"))
    })
}

/// What hashcat or John keep of what they cracked.
pub(in crate::audit) fn potfile(head: &Head<'_>) -> Look {
    head.lines_like("a hash and what it was made of", is_potfile)
        .unless(&pwned_passwords(head), "every hash is followed by a count")
}

/// `hash:plaintext`, of hashcat or of John.
fn is_potfile(line: &str) -> bool {
    line.starts_with("$NT$")
        || line.starts_with("$LM$")
        || line
            .split_once(':')
            .is_some_and(|(hash, _)| nt::is_hash(hash.as_bytes()))
}

pub(in crate::audit) fn pwned_passwords(head: &Head<'_>) -> Look {
    head.lines_like("a hash in capitals and a count", is_hash_count)
}

/// `HEX32:count` or a range file's `HEX27:count`.
fn is_hash_count(line: &str) -> bool {
    line.trim_end()
        .split_once(':')
        .is_some_and(|(hash, count)| {
            matches!(hash.len(), 27 | 32)
                && hash
                    .bytes()
                    .all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_lowercase())
                && !count.is_empty()
                && count.bytes().all(|byte| byte.is_ascii_digit())
        })
}

fn dump(head: &Head<'_>) -> Look {
    if head.count(|line| line.starts_with("[*] Dumping ")) > 0 {
        return Look::yes(By::Sign, "it has the words of secretsdump");
    }
    head.lines_like("a name, a number and two hashes", is_dump)
}

/// `name:rid:lm:nt:::`, as a dump has it, before anything was cracked.
fn is_dump(line: &str) -> bool {
    let mut fields = line.split(':');
    let (name, rid, lm, hash) = (fields.next(), fields.next(), fields.next(), fields.next());
    name.is_some_and(|name| !name.is_empty())
        && rid.is_some_and(|rid| !rid.is_empty() && rid.bytes().all(|byte| byte.is_ascii_digit()))
        && [lm, hash]
            .iter()
            .all(|field| field.is_some_and(|field| nt::is_hash_field(field.as_bytes())))
        && (fields.next(), fields.next()) == (Some(""), Some(""))
}
