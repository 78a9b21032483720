//! Detection: the first 64 KiB of a file → the format it has, or in what way it is none that is read.
//!
//! It only proposes: a configured format wins. Formats that are not read yet are named, so that nobody wonders.

use std::borrow::Cow;

use encoding_rs::UTF_8;
use zeroize::Zeroizing;

use super::decode::{byte_order_mark, container};
use super::mapping::header;
use super::{AuditError, Format, hashcat, hibp, john, nt, records};

/// Bytes of a file that are looked at.
pub const HEAD_BYTES: usize = 64 * 1024;

/// What a file seems to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Detected {
    /// Its format.
    pub format: Format,
    /// What shows it, for the operator, without a word of the file.
    pub reason: String,
}

/// Why a file is not read. Says what to do instead.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// No byte in it.
    #[error("the file is empty")]
    Empty,
    /// Compressed, or no text.
    #[error("this is {0}: unpack it, or export its content as text")]
    Container(&'static str),
    /// UTF-16 without its mark, or no text.
    #[error(
        "the file holds zero bytes and has no byte order mark: it is no text, or UTF-16 that has to be saved anew, as UTF-8"
    )]
    ZeroByte,
    /// A page of a web site.
    #[error(
        "this is an HTML page, perhaps a sign-in screen, and not the file that was meant to be downloaded"
    )]
    Html,
    /// PowerShell wrote what an object is instead of what it holds.
    #[error(
        "PowerShell wrote the names of types here instead of accounts: export with \"ConvertTo-Json\", or send the report itself to a file, but not with \"Export-Csv\""
    )]
    TypeNames,
    /// PowerShell wrote the lengths of texts.
    #[error(
        "this table has one column \"Length\": PowerShell counted the letters of the names. Write the list itself to a file, not with \"Export-Csv\""
    )]
    LengthColumn,
    /// Hashes or breaches, but nobody they belong to.
    #[error("this is {what}, which names no accounts: {instead}")]
    NoAccounts {
        /// What it is.
        what: &'static str,
        /// What to do instead.
        instead: &'static str,
    },
    /// A known format.
    #[error(
        "this is {0}, which is not read yet; where it is a table, a mapping file makes it one that is"
    )]
    NotRead(&'static str),
    /// Same shape as a domain search, other meaning.
    #[error(
        "these are web sites and not breaches: stealer logs by e-mail domain, which are not read yet"
    )]
    StealerLogs,
    /// The service's words for a refused request.
    #[error("this is an error that the service answered, and no result")]
    ErrorAnswer,
    /// A value that cannot be right.
    #[error("one entry is longer than 1 MiB")]
    LongValue,
    /// None of the above.
    #[error("this is no format that is known here; if it is a table, give it a mapping file")]
    Unknown,
}

/// What the first [`HEAD_BYTES`] of a file, or all of a shorter one, show it to be.
pub fn detect(head: &[u8]) -> Result<Detected, Refusal> {
    let whole = head.len() < HEAD_BYTES;
    let head = head.get(..HEAD_BYTES).unwrap_or(head);
    if head.is_empty() {
        return Err(Refusal::Empty);
    }
    if let Some(what) = container(head) {
        return Err(Refusal::Container(what));
    }
    let text = text(head)?;
    let start = text.trim_start();
    if start.is_empty() {
        return Err(if whole {
            Refusal::Empty
        } else {
            Refusal::Unknown
        });
    }
    match start.as_bytes() {
        [b'<', ..] => Err(markup(start)),
        [b'{' | b'[', ..] if !start.starts_with("[*]") && !start.starts_with("[20") => {
            json(start, whole)
        }
        _ => lines(&text, whole),
    }
}

fn found(format: Format, reason: impl Into<String>) -> Result<Detected, Refusal> {
    Ok(Detected {
        format,
        reason: reason.into(),
    })
}

/// The head as text. What is in no encoding becomes U+FFFD: only the shape matters here.
fn text(head: &[u8]) -> Result<Zeroizing<String>, Refusal> {
    let text = match byte_order_mark(head) {
        Some((encoding, mark)) if encoding != UTF_8 => {
            encoding
                .decode_without_bom_handling(head.get(mark..).unwrap_or_default())
                .0
        }
        Some((_, mark)) => String::from_utf8_lossy(head.get(mark..).unwrap_or_default()),
        None => String::from_utf8_lossy(head),
    };
    if text.contains('\0') {
        return Err(Refusal::ZeroByte);
    }
    Ok(Zeroizing::new(match text {
        Cow::Owned(text) => text,
        Cow::Borrowed(text) => text.to_owned(),
    }))
}

fn markup(start: &str) -> Refusal {
    let head: String = start
        .chars()
        .take(2000)
        .collect::<String>()
        .to_ascii_lowercase();
    if [
        "<!doctype html",
        "<html",
        "<head",
        "<body",
        "<!-- saved from",
    ]
    .iter()
    .any(|sign| head.contains(sign))
    {
        Refusal::Html
    } else if head.contains("schemas.microsoft.com/win/2004/08/events") {
        Refusal::NotRead("a Windows security log")
    } else {
        Refusal::Unknown
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

fn json(start: &str, whole: bool) -> Result<Detected, Refusal> {
    let folded = Zeroizing::new(start.to_lowercase());
    let has = |word: &str| folded.contains(&format!("\"{}\"", word.to_lowercase()));
    let all = |words: &[&str]| words.iter().all(|word| has(word));
    let not_read = |what| Err(Refusal::NotRead(what));
    if DSINTERNALS.iter().filter(|name| has(name)).count() >= 3 {
        return not_read("a DSInternals result as JSON");
    }
    if has("BreachSearchResults") {
        return not_read("a downloaded Have I Been Pwned domain report");
    }
    if all(&["Name", "BreachDate", "DataClasses"]) {
        return Err(Refusal::NoAccounts {
            what: "the Have I Been Pwned catalogue of breaches",
            instead: "configure it as the catalogue that a domain search is joined with",
        });
    }
    if has("username_hex") || has("hash_hex") {
        return not_read("a hashcat outfile in JSON");
    }
    if has("riskState") && has("riskEventType") {
        return not_read("a list of Entra risk detections");
    }
    if has("riskState") && has("userPrincipalName") {
        return not_read("a list of Entra risky users");
    }
    if all(&["eventType", "outcome", "actor"]) {
        return not_read("an Okta system log");
    }
    if has("alertId") || folded.contains("admin#reports#activit") {
        return not_read("a Google Workspace log");
    }
    if has("class_uid") {
        return not_read("a list of OCSF events");
    }
    if has("classification.type") {
        return not_read("a list of IntelMQ events");
    }
    if has("spec_version") || (has("type") && has("bundle")) {
        return not_read("a STIX bundle");
    }
    domain_search(start, whole)
}

/// An object whose values are all lists of texts.
fn domain_search(start: &str, whole: bool) -> Result<Detected, Refusal> {
    let mut sites = false;
    let mut entries = 0;
    let end = hibp::scan(start.as_bytes(), &mut |_, names| {
        entries += 1;
        sites |= names.iter().any(|name| name.contains('.'));
        Ok(())
    });
    let is_one = match end {
        Ok(hibp::End::Whole) => true,
        Ok(hibp::End::Cut) => !whole || entries > 0,
        Ok(hibp::End::Status(404)) => true,
        Ok(hibp::End::Status(_)) => return Err(Refusal::ErrorAnswer),
        Ok(hibp::End::Nothing)
        | Err(
            AuditError::Json { .. }
            | AuditError::Refused(_)
            | AuditError::Io(_)
            | AuditError::ZeroByte
            | AuditError::Needs { .. }
            | AuditError::Header { .. }
            | AuditError::MissingColumn { .. }
            | AuditError::ErrorAnswer { .. }
            | AuditError::Stopped(_),
        ) => false,
    };
    match (is_one, sites) {
        (false, _) => Err(Refusal::Unknown),
        (true, true) => Err(Refusal::StealerLogs),
        (true, false) => found(
            Format::HibpDomain,
            "a JSON object whose values are all lists of names",
        ),
    }
}

/// Headings of DSInternals' report.
const HEADINGS: [&str; 5] = [
    "Passwords of these accounts are stored using reversible encryption",
    "LM hashes of passwords of these accounts are present",
    "These accounts have no password set",
    "Passwords of these accounts have been found in the dictionary",
    "These groups of accounts have the same passwords",
];

fn lines(text: &str, whole: bool) -> Result<Detected, Refusal> {
    let mut all: Vec<&str> = text.lines().collect();
    // The head's last line is cut at no place in particular.
    if !whole && all.len() > 1 {
        all.pop();
    }
    let all: Vec<&str> = all
        .into_iter()
        .filter(|line| !line.trim().is_empty())
        .take(400)
        .collect();
    let any = |test: &dyn Fn(&str) -> bool| all.iter().any(|line| test(line));
    let most =
        |test: &dyn Fn(&str) -> bool| 2 * all.iter().filter(|line| test(line)).count() > all.len();
    let headings = HEADINGS
        .iter()
        .filter(|heading| any(&|line| line.starts_with(**heading)))
        .count();
    if headings >= 2 || any(&|line| line.starts_with("Active Directory Password Quality Report")) {
        return Err(Refusal::NotRead("a DSInternals password quality report"));
    }
    if any(&|line| line.starts_with("#Fields:")) {
        return Err(Refusal::NotRead("an IIS log"));
    }
    if most(&is_netexec) {
        return Err(Refusal::NotRead("what NetExec or CrackMapExec printed"));
    }
    hashes(&any, &most).unwrap_or_else(|| other_lines(&all, &most))
}

type Ask<'a> = &'a dyn Fn(&dyn Fn(&str) -> bool) -> bool;

/// The formats of lines with hashes in them.
fn hashes(any: Ask<'_>, most: Ask<'_>) -> Option<Result<Detected, Refusal>> {
    let form = |line: &str| john::form_of(line.as_bytes());
    if most(&is_hash_count) {
        return Some(Err(Refusal::NoAccounts {
            what: "a list of leaked hashes",
            instead: "it has to be joined with a dump first",
        }));
    }
    if any(&|line| line.starts_with("[*] Dumping ")) || most(&is_dump) {
        return Some(Err(Refusal::NoAccounts {
            what: "a dump of hashes with no finding in it",
            instead: "crack it, and give what \"hashcat --show --username\" or \"john --show\" prints",
        }));
    }
    if most(&|line| form(line) == Some(john::Form::Dump)) {
        return Some(found(
            Format::JohnShow,
            "lines of a dump with something between the name and its relative id",
        ));
    }
    if most(&is_potfile) {
        return Some(Err(Refusal::NoAccounts {
            what: "a potfile",
            instead: "give what \"hashcat --show --username\" or \"john --show\" prints for the dump",
        }));
    }
    if most(&|line| hashcat::split(line.as_bytes()).is_some()) {
        return Some(found(
            Format::HashcatShow,
            "lines of a name, an NT hash and something more",
        ));
    }
    if any(&|line| john::trailer(line.as_bytes()).is_some()) {
        return Some(found(Format::JohnShow, "the line with which John ends"));
    }
    if most(&|line| form(line) == Some(john::Form::Passwd)) {
        let unused = |line: &str| matches!(line.split(':').nth(1), Some("x" | "*" | "!"));
        return Some(if most(&unused) {
            Err(Refusal::NoAccounts {
                what: "a passwd file with no finding in it",
                instead: "crack it, and give what \"john --show\" prints",
            })
        } else {
            found(
                Format::JohnShow,
                "lines of a passwd file with something in the password's place",
            )
        });
    }
    None
}

fn other_lines(all: &[&str], most: Ask<'_>) -> Result<Detected, Refusal> {
    if most(&is_mail_or_system_log) {
        return Err(Refusal::NotRead("a mail or system log"));
    }
    let down_level = |line: &str| {
        line.split_once('\\').is_some_and(|(domain, name)| {
            !domain.is_empty() && !name.is_empty() && !line.contains([',', ';', '\t', ':'])
        })
    };
    if most(&down_level) {
        return Err(Refusal::NotRead("a list of account names"));
    }
    table(all)
}

fn table(all: &[&str]) -> Result<Detected, Refusal> {
    if all
        .iter()
        .any(|line| line.contains("System.Collections.Generic.SortedSet"))
    {
        return Err(Refusal::TypeNames);
    }
    let head = all
        .iter()
        .find(|line| !line.starts_with("#TYPE ") && !line.starts_with("sep="))
        .ok_or(Refusal::Unknown)?;
    let delimiter = records::likely_delimiter(head.as_bytes());
    let names: Vec<String> = records::cut(head.as_bytes(), delimiter)
        .unwrap_or_default()
        .iter()
        .map(|cell| header(&String::from_utf8_lossy(cell)))
        .collect();
    let has = |name: &str| names.iter().any(|known| known == name);
    match names.as_slice() {
        [only] if only == "length" => Err(Refusal::LengthColumn),
        [] | [_] => Err(Refusal::Unknown),
        [first, second, ..] if first == "date (utc)" && second == "request id" => {
            Err(Refusal::NotRead("a list of Entra sign-ins"))
        }
        _ if has("riskstate") && has("userprincipalname") => {
            Err(Refusal::NotRead("a list of Entra risky users"))
        }
        _ if has("rulename") && has("duplicatepasswordgroups") => {
            Err(Refusal::NotRead("a PasswordSolution quality table"))
        }
        _ => found(
            Format::MappedCsv,
            format!(
                "a table of {} columns, which needs a mapping file",
                names.len()
            ),
        ),
    }
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

/// `hash:plaintext`, of hashcat or of John.
fn is_potfile(line: &str) -> bool {
    line.starts_with("$NT$")
        || line.starts_with("$LM$")
        || line
            .split_once(':')
            .is_some_and(|(hash, _)| nt::is_hash(hash.as_bytes()))
}

/// Protocol, address, port, host, and what happened.
fn is_netexec(line: &str) -> bool {
    ["[+]", "[-]", "[*]"].iter().any(|sign| line.contains(sign))
        && [
            "SMB", "LDAP", "LDAPS", "WINRM", "SSH", "RDP", "MSSQL", "FTP", "WMI", "VNC",
        ]
        .iter()
        .any(|protocol| {
            line.split(|c: char| !c.is_ascii_alphanumeric())
                // A terminal copy has its colours: `ESC[34mSMB`.
                .any(|word| word.strip_prefix("34m").unwrap_or(word) == *protocol)
        })
}

fn is_mail_or_system_log(line: &str) -> bool {
    [
        "dovecot",
        "postfix/",
        "sshd[",
        "sshd-session[",
        "pam_unix(",
        "sudo:",
        "fail2ban",
    ]
    .iter()
    .any(|program| line.contains(program))
}
