//! Dumps: impacket secretsdump 0.9 to 0.13 (`.ntds`, its companions, or its terminal output), pwdump, and the views
//! `PWDump`, `HashcatNT` and `JohnNT` of DSInternals: `[prefix\]name:rid:lm:nt:::`, or `name:hash`.
//!
//! By itself a dump shows who has no password, the same one as somebody else, or an LM hash. Joined with lists of hashes
//! ([`super::Survey`]) it shows whose password is known, and nothing else. Only the part of a terminal output that is of
//! the domain counts. Former passwords never do, and a line is one only if its number repeats that of the account.

use std::collections::HashMap;
use std::io::Read;

use super::decode::{Charset, Line, Lines};
use super::detect::{By, Head, Look, Shape};
use super::survey::{Found, Survey};
use super::{AuditError, Format, ReadOptions, Sink, SkipReason, john, nt};
use crate::domain::finding::{AuditRow, RejectReason, Weakness};
use crate::domain::identity::{Key, KeyKind};

/// Lines that a dump may have.
const MAX_LINES: u64 = 20_000_000;

/// One account's line, cut up.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) name: &'a [u8],
    /// Relative id, where the form has one.
    pub(super) rid: Option<&'a [u8]>,
    lm: Option<&'a [u8]>,
    /// The NT hash, or the words that there is none.
    nt: &'a [u8],
    rest: &'a [u8],
}

impl Entry<'_> {
    /// The NT hash as 16 bytes; none if the line says that there is none.
    pub(super) fn hash(&self) -> Option<[u8; 16]> {
        nt::bytes(self.nt)
    }

    pub(super) fn is_machine(&self) -> bool {
        self.name.ends_with(b"$")
    }

    /// The account whose former password this may be: the name without `_history` and its number.
    pub(super) fn former_of(&self) -> Option<&[u8]> {
        let digits = self.name.iter().rev().take_while(|b| b.is_ascii_digit());
        let digits = digits.count();
        let before = self.name.get(..self.name.len().checked_sub(digits)?)?;
        let base = before.strip_suffix(b"_history")?;
        (digits > 0 && !base.is_empty()).then_some(base)
    }

    fn has_lm(&self) -> bool {
        self.lm
            .is_some_and(|lm| nt::is_hash(lm) && !lm.eq_ignore_ascii_case(nt::EMPTY_LM))
    }

    fn is_empty(&self) -> bool {
        self.nt.eq_ignore_ascii_case(nt::EMPTY_NT) || self.nt.starts_with(b"NO PASSWORD")
    }
}

/// What a line is.
pub(super) enum Seen<'a> {
    Account(Entry<'a>),
    /// An account whose password is stored in a form that can be read back. The password itself is not looked at.
    Cleartext(&'a [u8]),
    Skip(SkipReason),
    Bad(RejectReason),
}

/// Part of a terminal output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Section {
    Domain,
    LocalSam,
    Lsa,
    Kerberos,
    Cleartext,
}

pub(super) fn look(head: &Head<'_>) -> Look {
    if let Some(no) = head.unless_shape(Shape::Lines) {
        return no;
    }
    if head.count(|line| line.starts_with("[*] Dumping ")) > 0 {
        return Look::yes(By::Sign, "it has the words of secretsdump");
    }
    head.lines_like(
        "a name, a number and two hashes, or a name and a hash",
        |line| {
            let line = line.as_bytes();
            entry(line).is_some() || cleartext(line).is_some()
        },
    )
}

pub(super) fn read(
    input: impl Read,
    options: &ReadOptions<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), AuditError> {
    let survey = options.survey.ok_or(AuditError::Needs {
        format: Format::Dump,
        what: "a first way through the file",
    })?;
    let mut groups = HashMap::new();
    walk(input, options, &mut |number, charset, seen| match seen {
        Seen::Skip(reason) => {
            if reason == SkipReason::History {
                sink.record();
            }
            sink.skip(number, reason)
        }
        Seen::Bad(reason) => {
            sink.record();
            sink.reject(number, reason)
        }
        Seen::Cleartext(name) => {
            sink.record();
            if survey.is_joined() {
                return Ok(());
            }
            let account = keys(number, name, None, charset, options, sink)?;
            match account {
                Some(keys) => sink.row(AuditRow::bare(number, keys, Weakness::CleartextStored)),
                None => Ok(()),
            }
        }
        Seen::Account(entry) => {
            sink.record();
            let found = survey.of(&entry);
            let weaknesses = weaknesses(&entry, found, survey);
            if weaknesses.is_empty() && !found.is_former {
                return Ok(());
            }
            if found.is_former {
                // In a join, only a former password that the lists know is worth a word.
                return match survey.is_joined() && !found.is_listed() {
                    true => Ok(()),
                    false => sink.skip(number, SkipReason::History),
                };
            }
            let Some(keys) = keys(number, entry.name, entry.rid, charset, options, sink)? else {
                return Ok(());
            };
            for weakness in weaknesses {
                let detail = (weakness == Weakness::SharedPassword).then(|| {
                    let next = groups.len() + 1;
                    format!("Group {}", groups.entry(found.group).or_insert(next))
                });
                sink.row(AuditRow {
                    detail,
                    baseline: john::baseline(entry.rest, options),
                    history_unless_known: entry.rid.is_none() && entry.former_of().is_some(),
                    ..AuditRow::bare(number, keys.clone(), weakness)
                })?;
            }
            Ok(())
        }
    })
}

fn weaknesses(entry: &Entry<'_>, found: Found, survey: &Survey) -> Vec<Weakness> {
    let mut all = Vec::new();
    if survey.is_joined() {
        if found.is_listed() && entry.is_empty() {
            return vec![Weakness::Empty];
        }
        if found.is_cracked {
            all.push(Weakness::Cracked);
        }
        if found.is_leaked {
            all.push(Weakness::PwnedHash);
        }
        return all;
    }
    if entry.is_empty() {
        all.push(Weakness::Empty);
    } else if found.is_shared && !entry.is_machine() {
        all.push(Weakness::SharedPassword);
    }
    if entry.has_lm() {
        all.push(Weakness::LmHash);
    }
    all
}

/// The keys of a line's account; none, and a reject, if it names none.
fn keys(
    number: u64,
    name: &[u8],
    rid: Option<&[u8]>,
    charset: Charset,
    options: &ReadOptions<'_>,
    sink: &mut Sink<'_>,
) -> Result<Option<Vec<Key>>, AuditError> {
    let Some(name) = charset.text(name) else {
        sink.reject(number, RejectReason::BadEncoding)?;
        return Ok(None);
    };
    let Some(name) = nt::login(&name) else {
        sink.reject(number, RejectReason::Malformed)?;
        return Ok(None);
    };
    let Some(key) = Key::login(name) else {
        sink.reject(number, RejectReason::NoKey)?;
        return Ok(None);
    };
    let rid = rid.and_then(|rid| std::str::from_utf8(rid).ok());
    let sid = match (options.domain_sid, rid) {
        (Some(domain), Some(rid)) => Key::new(KeyKind::Sid, &format!("{domain}-{rid}")),
        (Some(_) | None, _) => None,
    };
    Ok(Some(std::iter::once(key).chain(sid).collect()))
}

/// Whoever takes the lines.
type Take<'a> = &'a mut dyn FnMut(u64, Charset, Seen<'_>) -> Result<(), AuditError>;

/// Goes through a dump once and hands out what each line is.
pub(super) fn walk(
    input: impl Read,
    options: &ReadOptions<'_>,
    take: Take<'_>,
) -> Result<(), AuditError> {
    let mut lines = Lines::open(input, options.code_page)?;
    let charset = lines.charset();
    let mut section = Section::Domain;
    while let Some(line) = lines.next()? {
        let (number, seen) = match line {
            Line::TooLong { number } => (number, Some(Seen::Bad(RejectReason::TooLong))),
            Line::Whole {
                number,
                text,
                ended,
            } => (number, see(text.trim_ascii_end(), ended, &mut section)),
        };
        if number > MAX_LINES {
            return Err(AuditError::LongDump);
        }
        if let Some(seen) = seen {
            take(number, charset, seen)?;
        }
    }
    Ok(())
}

/// What a line is; none if it is the tool's own words, or blank.
fn see<'a>(line: &'a [u8], ended: bool, section: &mut Section) -> Option<Seen<'a>> {
    if line.is_empty() || line.starts_with(b"Impacket v") {
        return None;
    }
    if [b"[*] ", b"[+] ", b"[-] ", b"[!] "]
        .iter()
        .any(|sign| line.starts_with(*sign))
    {
        if let Some(next) = next_section(line) {
            *section = next;
        }
        return None;
    }
    Some(match *section {
        Section::LocalSam => Seen::Skip(SkipReason::LocalSam),
        Section::Lsa => Seen::Skip(SkipReason::LsaOrCached),
        Section::Kerberos => Seen::Skip(SkipReason::KerberosKey),
        Section::Cleartext | Section::Domain => match (entry(line), cleartext(line)) {
            (Some(entry), _) if ended || entry.rid.is_some() => Seen::Account(entry),
            // Without the colons at its end a hash may be cut, and a hash that is cut is another one.
            (Some(_), _) => Seen::Bad(RejectReason::Truncated),
            (None, Some(name)) => Seen::Cleartext(name),
            (None, None) if is_kerberos_key(line) => Seen::Skip(SkipReason::KerberosKey),
            (None, None) if ended => Seen::Bad(RejectReason::Malformed),
            (None, None) => Seen::Bad(RejectReason::Truncated),
        },
    })
}

/// The part of the output that a line of secretsdump's own words begins.
fn next_section(line: &[u8]) -> Option<Section> {
    let words = line.get(4..)?;
    [
        (b"Dumping local SAM".as_slice(), Section::LocalSam),
        (b"Dumping cached domain logon", Section::Lsa),
        (b"Dumping LSA", Section::Lsa),
        (b"Dumping Domain Credentials", Section::Domain),
        (b"Kerberos keys", Section::Kerberos),
        (b"Kerberos keys from", Section::Kerberos),
        (b"ClearText passwords", Section::Cleartext),
    ]
    .into_iter()
    .find(|(sign, _)| words.starts_with(sign))
    .map(|(_, section)| section)
}

/// Cuts an account's line; none if it is none.
pub(super) fn entry(line: &[u8]) -> Option<Entry<'_>> {
    let mut fields = line.splitn(7, |byte| *byte == b':');
    let (name, second) = (fields.next()?, fields.next()?);
    if name.is_empty() {
        return None;
    }
    let (third, fourth) = (fields.next(), fields.next());
    let Some(nt) = fourth else {
        let hash = second.strip_prefix(b"$NT$").unwrap_or(second);
        let is_view = third.is_none() && nt::is_hash(hash) && !nt::is_hash(name);
        return is_view.then_some(Entry {
            name,
            rid: None,
            lm: None,
            nt: hash,
            rest: &[],
        });
    };
    let lm = third?;
    let ends = fields.next() == Some(b"") && fields.next() == Some(b"");
    let fits = john::is_number(second) && nt::is_hash_field(lm) && nt::is_hash_field(nt);
    (ends && fits).then_some(Entry {
        name,
        rid: Some(second),
        lm: Some(lm),
        nt,
        rest: fields.next().unwrap_or_default(),
    })
}

/// The name of `name:CLEARTEXT:password`.
fn cleartext(line: &[u8]) -> Option<&[u8]> {
    let mut fields = line.splitn(3, |byte| *byte == b':');
    let (name, word) = (fields.next()?, fields.next()?);
    (word == b"CLEARTEXT" && fields.next().is_some() && !name.is_empty()).then_some(name)
}

/// `name:aes256-cts-hmac-sha1-96:key`, and the like.
fn is_kerberos_key(line: &[u8]) -> bool {
    let mut fields = line.splitn(3, |byte| *byte == b':');
    let (Some(_), Some(kind), Some(key)) = (fields.next(), fields.next(), fields.next()) else {
        return false;
    };
    let kinds = [
        b"aes256-cts-hmac".as_slice(),
        b"aes128-cts-hmac",
        b"des-cbc-",
        b"dec-cbc-",
        b"rc4_hmac",
        b"rc4-hmac",
    ];
    let is_kind = |known: &&[u8]| kind.starts_with(known);
    (kinds.iter().any(is_kind) || kind.starts_with(b"0x")) && key.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Item;
    use crate::audit::tests::{outcomes, read_all};

    const A: &str = "e4c62a4c4febfe31cdb0ba3e3a8f0235";
    const B: &str = "e4fea9db8c86bab6f82f4ab32d3401ab";
    const EMPTY: &str = "31d6cfe0d16ae931b73c59d7e0c089c0";
    const NO_LM: &str = "aad3b435b51404eeaad3b435b51404ee";

    fn dumped(text: &str) -> (Vec<Item>, super::super::Summary) {
        read_all(Format::Dump, text.as_bytes(), &ReadOptions::default()).unwrap()
    }

    #[test]
    fn a_line_says_what_its_fields_allow_and_no_more() {
        for (line, expected) in [
            (format!("ada:1103:{NO_LM}:{A}:::\n"), vec![]),
            (format!("ada:1103:{NO_LM}:{EMPTY}:::\n"), vec!["weak/empty"]),
            (format!("ada:1103:{B}:{A}:::\n"), vec!["hygiene/lm_hash"]),
            (
                "ada:1103:NO PASSWORD*********************:NO PASSWORD*********************:::\n"
                    .into(),
                vec!["weak/empty"],
            ),
            (format!("ada:{EMPTY}\n"), vec!["weak/empty"]),
            (format!("ada:$NT${EMPTY}\n"), vec!["weak/empty"]),
            (format!("ada:{EMPTY}"), vec!["truncated"]),
            (format!("ada:1103:{NO_LM}:{EMPTY}:::"), vec!["weak/empty"]),
            (format!("ada:1103:{NO_LM}:31d6cf"), vec!["truncated"]),
            (format!("ada:1103:{NO_LM}:31d6cf\n"), vec!["malformed"]),
            (
                "ada:CLEARTEXT:FAKE:x\n".into(),
                vec!["hygiene/cleartext_stored"],
            ),
            (
                "ada:aes256-cts-hmac-sha1-96:00ff\n".into(),
                vec!["kerberos_key"],
            ),
            (format!("{A}:1103:{NO_LM}:{EMPTY}:::\n"), vec!["malformed"]),
        ] {
            assert_eq!(outcomes(&dumped(&line).0), expected, "{line:?}");
        }
    }

    #[test]
    fn a_shared_password_is_no_machines_no_former_one_and_not_the_empty_one() {
        let text = format!(
            "ada:1:{NO_LM}:{A}:::\nbea:2:{NO_LM}:{A}:::\nWS$:3:{NO_LM}:{B}:::\ncox:4:{NO_LM}:{B}:::\n\
             dee_history0:5:{NO_LM}:{B}:::\ndee:5:{NO_LM}:{EMPTY}:::\neli:6:{NO_LM}:{EMPTY}:::\n"
        );
        let (items, _) = dumped(&text);
        let expected = [
            "weak/shared",
            "weak/shared",
            "history",
            "weak/empty",
            "weak/empty",
        ];
        assert_eq!(outcomes(&items), expected);
        let Item::Row(row) = &items[0] else {
            panic!("no finding");
        };
        assert_eq!(row.detail.as_deref(), Some("Group 1"));
    }

    #[test]
    fn an_account_that_is_named_like_a_former_password_is_one_unless_its_number_repeats() {
        let text = format!(
            "ada:1:{NO_LM}:{A}:::\nada_history0:2:{NO_LM}:{A}:::\nada_history1:1:{NO_LM}:{A}:::\n"
        );
        let (items, _) = dumped(&text);
        assert_eq!(outcomes(&items), ["weak/shared", "weak/shared", "history"]);
        let Item::Row(row) = &items[1] else {
            panic!("no finding");
        };
        assert!(!row.history_unless_known);
    }

    #[test]
    fn with_the_domains_identifier_a_line_names_its_account_for_certain() {
        let options = ReadOptions {
            domain_sid: Some("S-1-5-21-1-2-3"),
            time_zone: Some(chrono_tz::Europe::London),
            ..ReadOptions::default()
        };
        let line =
            format!("p.example\\ada:1103:{NO_LM}:{EMPTY}::: (pwdLastSet=never) (status=Enabled)\n");
        let (items, _) = read_all(Format::Dump, line.as_bytes(), &options).unwrap();
        let Item::Row(row) = &items[0] else {
            panic!("no finding");
        };
        assert_eq!(row.keys[1].given, "S-1-5-21-1-2-3-1103");
        assert_eq!(row.baseline.unwrap().changed_at, None);
    }
}
