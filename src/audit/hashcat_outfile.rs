//! hashcat 7, `--outfile-json`: an object a line, whose values are the hexadecimal digits of a text.
//!
//! The password's digits are passed over by the parser and never stand in memory of ours but in the line. Lines without a
//! name are of a run without `--username`: joined with the dump they are a list of hashes.

use std::borrow::Cow;
use std::io::Read;

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::decode::{Charset, Filled, Lines};
use super::detect::{By, Head, Look};
use super::{AuditError, ReadOptions, Sink, SkipReason, nt};
use crate::domain::finding::{AuditRow, RejectReason, Weakness};
use crate::domain::identity::Key;

/// One line. It has no field for the password.
#[derive(Deserialize)]
pub(super) struct Outfile<'a> {
    #[serde(borrow)]
    username_hex: Option<Cow<'a, str>>,
    #[serde(borrow)]
    hash_hex: Option<Cow<'a, str>>,
}

impl Outfile<'_> {
    /// The hash as text; none if there is none.
    pub(super) fn hash(&self) -> Option<Zeroizing<Vec<u8>>> {
        digits(self.hash_hex.as_deref()?)
    }
}

fn digits(hex: &str) -> Option<Zeroizing<Vec<u8>>> {
    HEXLOWER_PERMISSIVE
        .decode(hex.as_bytes())
        .ok()
        .map(Zeroizing::new)
}

pub(super) fn look(head: &Head<'_>) -> Look {
    match head.json_with_some(&["username_hex", "hash_hex"], 1) {
        Look::Yes { .. } if !head.has_key("username_hex") => {
            Look::no(80, "none of its lines has \"username_hex\"")
        }
        other => other,
    }
}

/// The same for lines that name nobody.
pub(super) fn look_nameless(head: &Head<'_>) -> Look {
    match head.json_with(&["hash_hex"]) {
        Look::Yes { .. } if head.has_key("username_hex") => Look::no(80, "it names accounts"),
        Look::Yes { .. } => Look::yes(By::Sign, "JSON with \"hash_hex\" and no \"username_hex\""),
        no @ Look::No { .. } => no,
    }
}

pub(super) fn read(
    input: impl Read,
    options: &ReadOptions<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), AuditError> {
    let mut lines = Lines::open(input, options.code_page)?;
    let charset = lines.charset();
    while let Some(Filled {
        number,
        text,
        ended,
    }) = lines.filled(sink)?
    {
        sink.record();
        match serde_json::from_slice::<Outfile<'_>>(text) {
            Ok(line) => one(number, &line, charset, options, sink)?,
            Err(_) if !ended => sink.reject(number, RejectReason::Truncated)?,
            Err(error) => return Err(broken(number, &error)),
        }
    }
    Ok(())
}

/// A broken line that others follow: the file is not what it seems.
pub(super) fn broken(number: u64, error: &serde_json::Error) -> AuditError {
    AuditError::Json {
        line: usize::try_from(number).unwrap_or(usize::MAX),
        column: error.column(),
        problem: "this line is broken, and others follow it: the file is damaged",
    }
}

fn one(
    number: u64,
    line: &Outfile<'_>,
    charset: Charset,
    options: &ReadOptions<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), AuditError> {
    let Some(name) = &line.username_hex else {
        return sink.skip(number, SkipReason::NoAccount);
    };
    let (Some(name), Some(hash)) = (digits(name), line.hash()) else {
        return sink.reject(number, RejectReason::Malformed);
    };
    if hash.eq_ignore_ascii_case(nt::EMPTY_LM) {
        return sink.skip(number, SkipReason::NoLmHash);
    }
    if !nt::is_hash(&hash) {
        return sink.reject(number, RejectReason::Malformed);
    }
    // The digits are of the name's own encoding, whatever that of the file is.
    let page = Charset::Utf8Or(options.code_page);
    let charset = match charset {
        Charset::Utf8 | Charset::Utf8Or(_) => page,
        own @ Charset::Page(_) => own,
    };
    let Some(name) = charset.text(&name) else {
        return sink.reject(number, RejectReason::BadEncoding);
    };
    let Some(name) = nt::login(&name) else {
        return sink.reject(number, RejectReason::Malformed);
    };
    let Some(key) = Key::login(name) else {
        return sink.reject(number, RejectReason::NoKey);
    };
    let weakness = if hash.eq_ignore_ascii_case(nt::EMPTY_NT) {
        Weakness::Empty
    } else {
        Weakness::Cracked
    };
    sink.row(AuditRow {
        history_unless_known: nt::is_history(name),
        ..AuditRow::bare(number, vec![key], weakness)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Format;
    use crate::audit::tests::{outcomes, read_all};

    const HASH: &str = "6534633632613463346665626665333163646230626133653361386630323335";

    #[test]
    fn a_broken_last_line_is_told_and_a_broken_inner_one_fails_the_file() {
        let read = |text: &str| {
            read_all(
                Format::HashcatOutfile,
                text.as_bytes(),
                &ReadOptions::default(),
            )
        };
        let good = format!(
            "{{\"username_hex\":\"616461\",\"hash_hex\":\"{HASH}\",\"password_hex\":\"46414b452d78\"}}\n"
        );
        let (items, summary) = read(&format!("{good}{}", &good[..30])).unwrap();
        assert_eq!(outcomes(&items), ["weak/cracked", "truncated"]);
        assert!(summary.incomplete);
        let error = read(&format!("{}\n{good}", &good[..30])).unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
        let other = good.replace(HASH, "3132");
        assert_eq!(outcomes(&read(&other).unwrap().0), ["malformed"]);
    }
}
