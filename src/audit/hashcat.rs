//! hashcat 7, `--show --username`: `user:hash:plaintext`, a line an account.
//!
//! Only NT hashes (32 digits). The line is cut at its first two colons, and what follows is never looked at: it is the
//! password. The tool's own words may be mixed in when its error stream went into the same file.

use std::io::Read;

use super::decode::{Filled, Lines};
use super::detect::{Head, Look};
use super::hash_lists::look_potfile;
use super::{AuditError, ReadOptions, Sink, SkipReason, nt};
use crate::domain::finding::{AuditRow, RejectReason, Weakness};
use crate::domain::identity::Key;

/// How the lines begin that hashcat says and nobody needs.
const NOISE: [&[u8]; 12] = [
    b"Mixing --show",
    b"hashcat (",
    b"Failed to parse hashes",
    b"Hashfile '",
    b"Skipping ",
    b"Initialized ",
    b"INFO:",
    b"Session.",
    b"Status.",
    b"Hash.",
    b"Started:",
    b"Stopped:",
];

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
        let Some((name, hash, _)) = split(text) else {
            if NOISE.iter().any(|noise| text.starts_with(noise)) {
                sink.skip(number, SkipReason::Noise)?;
            } else {
                sink.record();
                let reason = if ended {
                    RejectReason::Malformed
                } else {
                    RejectReason::Truncated
                };
                sink.reject(number, reason)?;
            }
            continue;
        };
        sink.record();
        if hash.eq_ignore_ascii_case(nt::EMPTY_LM) {
            sink.skip(number, SkipReason::NoLmHash)?;
            continue;
        }
        let Some(name) = charset.text(name) else {
            sink.reject(number, RejectReason::BadEncoding)?;
            continue;
        };
        let Some(name) = nt::login(&name) else {
            sink.reject(number, RejectReason::Malformed)?;
            continue;
        };
        let Some(key) = Key::login(name) else {
            sink.reject(number, RejectReason::NoKey)?;
            continue;
        };
        let weakness = if hash.eq_ignore_ascii_case(nt::EMPTY_NT) {
            Weakness::Empty
        } else {
            Weakness::Cracked
        };
        sink.row(AuditRow {
            line: number,
            history_unless_known: nt::is_history(name),
            keys: vec![key],
            weakness,
            detail: None,
            severity: None,
            bad_as_of: None,
            discovered_at: None,
            baseline: None,
        })?;
    }
    Ok(())
}

pub(super) fn look(head: &Head<'_>) -> Look {
    head.lines_like("a name, an NT hash and something more", |line| {
        split(line.as_bytes()).is_some()
    })
    .unless(
        &look_potfile(head),
        "they begin with the hash, not with a name",
    )
}

/// A line's name and hash, and its rest; none if it is no line of this format.
pub(super) fn split(line: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let mut fields = line.splitn(3, |byte| *byte == b':');
    let (name, hash, rest) = (fields.next()?, fields.next()?, fields.next()?);
    nt::is_hash(hash).then_some((name, hash, rest))
}

#[cfg(test)]
mod tests {
    use crate::audit::tests::{outcomes, read_all};
    use crate::audit::{Format, Item, ReadOptions};

    const HASH: &str = "e4c62a4c4febfe31cdb0ba3e3a8f0235";

    #[test]
    fn a_line_says_what_its_form_allows_and_no_more() {
        for (line, expected) in [
            (format!("ada:{HASH}:FAKE-x\n"), "weak/cracked"),
            (
                format!("ada:{}:FAKE:x:y\r\n", HASH.to_uppercase()),
                "weak/cracked",
            ),
            (format!("ada:{HASH}:FAKE-cut"), "weak/cracked"),
            (format!("ada:{HASH}:"), "weak/cracked"),
            (format!("ada:{HASH}"), "truncated"),
            (format!("ada:{HASH}\n"), "malformed"),
            (
                "ada:31d6cfe0d16ae931b73c59d7e0c089c0:\n".into(),
                "weak/empty",
            ),
            (
                "ada:aad3b435b51404eeaad3b435b51404ee:\n".into(),
                "no_lm_hash",
            ),
            (format!(":{HASH}:FAKE-x\n"), "no_key"),
            (format!("{HASH}:{HASH}:FAKE-x\n"), "malformed"),
            ("ada:$2a$05$FAKE:FAKE-x\n".into(), "malformed"),
            ("Session..........: hashcat\n".into(), "noise"),
            (format!("Started:{HASH}:FAKE-x\n"), "weak/cracked"),
        ] {
            let (items, _) = read_all(
                Format::HashcatShow,
                line.as_bytes(),
                &ReadOptions::default(),
            )
            .unwrap();
            assert_eq!(outcomes(&items), [expected], "{line:?}");
        }
    }

    #[test]
    fn a_password_in_another_encoding_leaves_the_name_alone() {
        let line = [b"m\xC3\xBCllerj:", HASH.as_bytes(), b":FAKE-\xE4\xFF\n"].concat();
        let (items, _) = read_all(Format::HashcatShow, &line, &ReadOptions::default()).unwrap();
        let Item::Row(row) = &items[0] else {
            panic!("no finding");
        };
        assert_eq!(row.keys[0].given, "müllerj");
    }
}
