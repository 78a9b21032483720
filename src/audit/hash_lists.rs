//! Lists of hashes that a dump is joined with: hashcat's and John's potfiles, hashcat's outfile without names, and Pwned
//! Passwords (NTLM, ordered by hash, as one file or a folder of range files).
//!
//! A list passes by the dump's hashes a line at a time, however long it is. Plaintexts are never looked at.

use std::io::Read;

use super::decode::{Bytes, Line, Lines};
use super::detect::{HashList, Head, Look, Refusal};
use super::hashcat_outfile::{Outfile, broken};
use super::survey::Survey;
use super::{AuditError, ReadOptions, nt};

/// What a list came to.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Joined {
    /// Lines that are NT hashes.
    pub hashes: u64,
    /// Of these, those that the dump has.
    pub known: u64,
    /// Lines that are hashes of another kind, or nothing of the sort.
    pub others: u64,
}

impl Survey {
    /// Lets a list pass by. `range` is the five digits that its hashes begin with, where it is a range file.
    pub fn join(
        &mut self,
        list: HashList,
        input: impl Read,
        range: Option<&str>,
        options: &ReadOptions<'_>,
    ) -> Result<Joined, AuditError> {
        self.begin();
        let bytes = Bytes::open(input, None, options.code_page)?;
        if bytes.empty {
            return match range {
                Some(_) => Ok(Joined::default()),
                None => Err(Refusal::Empty.into()),
            };
        }
        let mut joined = Joined::default();
        let mut lines = Lines::new(bytes);
        while let Some(line) = lines.next()? {
            let (number, text, ended) = match line {
                Line::TooLong { .. } => {
                    joined.others += 1;
                    continue;
                }
                Line::Whole { text, .. } if text.trim_ascii().is_empty() => continue,
                Line::Whole {
                    number,
                    text,
                    ended,
                } => (number, text, ended),
            };
            let hash = match list {
                HashList::Potfile => pot_hash(text),
                HashList::PwnedPasswords => pwned_hash(text, range),
                HashList::Outfile => match serde_json::from_slice::<Outfile<'_>>(text) {
                    Ok(line) => line.hash().and_then(|hash| nt::bytes(&hash)),
                    Err(error) if ended => return Err(broken(number, &error)),
                    Err(_) => None,
                },
            };
            match hash {
                Some(hash) => {
                    joined.hashes += 1;
                    joined.known += u64::from(self.mark(&hash, list == HashList::PwnedPasswords));
                }
                None => joined.others += 1,
            }
        }
        Ok(joined)
    }
}

/// The hash of a potfile's line: hashcat's `hash:plain`, cut at the last separator, or John's `$NT$hash:plain`, whose
/// plaintext may hold any.
fn pot_hash(line: &[u8]) -> Option<[u8; 16]> {
    let (hash, rest, is_john) = match line.strip_prefix(b"$NT$") {
        Some(line) => (line.get(..32)?, line.get(32..)?, true),
        None => (line.get(..32)?, line.get(32..)?, false),
    };
    let plain = rest.strip_prefix(b":")?;
    // A further separator makes it a hash with a salt, which is another kind.
    (is_john || !plain.contains(&b':')).then_some(())?;
    nt::bytes(hash)
}

/// The hash of `HEX32:count`, or of a range file's `HEX27:count`. A count of 0 only pads the service's answer.
fn pwned_hash(line: &[u8], range: Option<&str>) -> Option<[u8; 16]> {
    let line = line.trim_ascii();
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (digits, count) = (line.get(..colon)?, line.get(colon + 1..)?);
    let is_count = !count.is_empty() && count.iter().all(u8::is_ascii_digit);
    if !is_count || count.iter().all(|digit| *digit == b'0') {
        return None;
    }
    match range {
        Some(range) if digits.len() == 27 => nt::bytes(&[range.as_bytes(), digits].concat()),
        Some(_) => None,
        None => nt::bytes(digits),
    }
}

/// What hashcat or John keep of what they cracked.
pub(super) fn look_potfile(head: &Head<'_>) -> Look {
    head.lines_like("a hash and what it was made of", |line| {
        line.starts_with("$NT$")
            || line.starts_with("$LM$")
            || line
                .split_once(':')
                .is_some_and(|(hash, _)| nt::is_hash(hash.as_bytes()))
    })
    .unless(&look_pwned(head), "every hash is followed by a count")
}

pub(super) fn look_pwned(head: &Head<'_>) -> Look {
    head.lines_like("a hash in capitals and a count", |line| {
        line.trim_end()
            .split_once(':')
            .is_some_and(|(hash, count)| {
                let is_capital = |byte: u8| byte.is_ascii_hexdigit() && !byte.is_ascii_lowercase();
                matches!(hash.len(), 27 | 32)
                    && hash.bytes().all(is_capital)
                    && !count.is_empty()
                    && count.bytes().all(|byte| byte.is_ascii_digit())
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "e4c62a4c4febfe31cdb0ba3e3a8f0235";

    #[test]
    fn only_nt_hashes_of_a_potfile_count() {
        for (line, counts) in [
            (format!("{A}:FAKE-x"), true),
            (format!("{}:FAKE-x", A.to_uppercase()), true),
            (format!("{A}:"), true),
            (format!("$NT${A}:FAKE:x:y"), true),
            (format!("{A}:salt:FAKE-x"), false),
            (format!("$LM${}:FAKE", &A[..16]), false),
            (format!("{}:FAKE", &A[..16]), false),
            ("$2b$12$FAKEsaltFAKE:FAKE-bcrypt".into(), false),
            (A.into(), false),
        ] {
            assert_eq!(pot_hash(line.as_bytes()).is_some(), counts, "{line}");
        }
    }

    #[test]
    fn a_leaked_hash_has_a_count_and_in_a_range_file_27_digits() {
        let whole = A.to_uppercase();
        for (line, range, counts) in [
            (format!("{whole}:5\r"), None, true),
            (format!("{whole}:0"), None, false),
            (whole.clone(), None, false),
            (format!("{}:3", &whole[5..]), Some("E4C62"), true),
            (format!("{}:3", &whole[5..]), None, false),
            (format!("{whole}:3"), Some("E4C62"), false),
        ] {
            assert_eq!(
                pwned_hash(line.as_bytes(), range).is_some(),
                counts,
                "{line}"
            );
        }
    }
}
