//! A list of account names, any producer: one `NETBIOS\name` a line. What is wrong with them is the configuration's to say.
//!
//! DSInternals gives one with `Select-Object -ExpandProperty WeakPassword`.

use std::io::Read;

use super::decode::{Filled, Lines};
use super::detect::{Head, Look};
use super::{AuditError, Format, ReadOptions, Sink, nt};
use crate::domain::finding::{AuditRow, RejectReason};
use crate::domain::identity::Key;

pub(super) fn look(head: &Head<'_>) -> Look {
    head.lines_like("a domain, a backslash and a name", |line| {
        line.split_once('\\').is_some_and(|(domain, name)| {
            !domain.is_empty()
                && !domain.contains(' ')
                && !name.is_empty()
                && !line.contains([',', ';', '\t', ':'])
        })
    })
}

pub(super) fn read(
    input: impl Read,
    options: &ReadOptions<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), AuditError> {
    let weakness = options.weakness.ok_or(AuditError::Needs {
        format: Format::AccountNames,
        what: "the weakness that all its accounts have",
    })?;
    let mut lines = Lines::open(input, options.code_page)?;
    let charset = lines.charset();
    while let Some(Filled {
        number,
        text,
        ended,
    }) = lines.filled(sink)?
    {
        sink.record();
        if !ended {
            sink.reject(number, RejectReason::Truncated)?;
            continue;
        }
        let Some(name) = charset.text(text) else {
            sink.reject(number, RejectReason::BadEncoding)?;
            continue;
        };
        // With a colon it is a line of something else, and what follows may be a password.
        match nt::login(&name).filter(|name| is_name(name)) {
            Some(name) => match Key::login(name) {
                Some(key) => sink.row(AuditRow::bare(number, vec![key], weakness))?,
                None => sink.reject(number, RejectReason::NoKey)?,
            },
            None => sink.reject(number, RejectReason::Malformed)?,
        }
    }
    Ok(())
}

/// Whether it is a name and nothing more: no account's is longer than 20 letters behind its domain, and a password may
/// follow a blank.
fn is_name(name: &str) -> bool {
    let own = name.split_once('\\').map_or(name, |(_, own)| own);
    own.chars().count() <= 20 && !name.contains([':', ',', ';']) && !name.contains("  ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::tests::{outcomes, read_all};
    use crate::domain::finding::Weakness;

    #[test]
    fn what_is_wrong_with_all_of_them_must_be_said() {
        let names = b"PARL\\ada\nPARL\\bea kiosk\nada:FAKE-x\nPARL\\c";
        let none = read_all(Format::AccountNames, names, &ReadOptions::default());
        assert!(none.unwrap_err().to_string().contains("the weakness"));
        let options = ReadOptions {
            weakness: Some(Weakness::Dictionary),
            ..ReadOptions::default()
        };
        let (items, _) = read_all(Format::AccountNames, names, &options).unwrap();
        let expected = [
            "weak/dictionary",
            "weak/dictionary",
            "malformed",
            "truncated",
        ];
        assert_eq!(outcomes(&items), expected);
    }
}
