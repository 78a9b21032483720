//! Audit: reads credential-audit files into findings and rejects, and drops the secrets they hold.
//!
//! [`detect`] proposes a format from a file's first 64 KiB; configuration wins over it. [`read`] streams the file and
//! hands out items one by one, in memory that does not grow with the file. A password or a hash is dropped at its cell:
//! no item, error or note has a field that could hold one, and buffers that held one are wiped.
//!
//! A file may name the same finding twice: the store's dedupe key merges them, so readers do not remember what they saw.
//! Whether the keys of one line agree is decided at matching (`domain::identity::resolve`), which knows the directory.

mod account_names;
mod culture;
mod dates;
mod decode;
mod detect;
mod dsinternals;
mod dsinternals_object;
mod dump;
mod entra;
mod exchange;
mod google;
mod hash_lists;
mod hashcat;
mod hashcat_outfile;
mod hibp;
mod john;
mod json;
mod logs;
mod mapped;
mod mapping;
mod meanings;
mod netexec;
mod nt;
mod okta;
mod packed;
mod passwordsolution;
mod records;
mod stealer;
mod survey;
mod table;
#[cfg(test)]
mod tests;

use std::io::Read;

use chrono_tz::Tz;

use crate::domain::attempt::Attempt;
use crate::domain::evidence::DateOrder;
use crate::domain::finding::{AuditRow, Reject, RejectReason, Severity, Weakness};
use crate::domain::moment::Moment;

pub use crate::domain::format::Format;
pub use decode::CodePage;
pub use detect::{
    Detected, Explained, HEAD_BYTES, HashList, Kind, Near, Nearest, Refusal, detect, detect_for,
    explain,
};
pub use hash_lists::Joined;
pub use hibp::{BadCatalogue, Breach, Catalogue};
pub use mapping::{BadMapping, Mapping};
pub use meanings::Meanings;
pub use packed::{Unpacked, unpack};
pub use survey::Survey;

/// What the configuration of a source says about its files.
#[derive(Clone, Copy, Default, Debug)]
pub struct ReadOptions<'a> {
    /// What a table's columns mean. Needed for [`Format::MappedCsv`].
    pub mapping: Option<&'a Mapping>,
    /// The breaches there are. Needed for [`Format::HibpDomain`].
    pub catalogue: Option<&'a Catalogue>,
    /// The mail domain that was asked about. Needed for [`Format::HibpDomain`].
    pub domain: Option<&'a str>,
    /// The domain's security identifier: with it, a dump's relative ids name accounts for certain.
    pub domain_sid: Option<&'a str>,
    /// The zone of the auditor's clock. Without it a table's times without zone are UTC, and what a dump says about the
    /// last change is not read: taken in a wrong zone it could close a case that is open.
    pub time_zone: Option<Tz>,
    /// What is wrong with all accounts of a list. Needed for [`Format::AccountNames`].
    pub weakness: Option<Weakness>,
    /// What the first way through a dump found. Needed for [`Format::Dump`].
    pub survey: Option<&'a Survey>,
    /// What text is read as that is not UTF-8. Windows-1252 if nothing is said.
    pub code_page: CodePage,
    /// Mail domains that are ours. If there is none, all are.
    pub domains: &'a [String],
    /// What the labels and types of [`Format::Ocsf`], [`Format::Stix`] and [`Format::Intelmq`] mean, beside what is known.
    pub meanings: Option<&'a Meanings>,
    /// Whether `02/03/2026` begins with the day, where no other date of the file shows it.
    pub date_order: Option<DateOrder>,
    /// When the file was written, for lines that leave out the year. Needed for [`Format::LoginLog`].
    pub written_at: Option<Moment>,
}

impl ReadOptions<'_> {
    /// Whether a web site or a mail domain is one of ours, or lies below one.
    fn owns(&self, site: &str) -> bool {
        let site = site.trim().trim_end_matches('.').to_lowercase();
        self.domains.iter().any(|own| {
            let own = own.trim().to_lowercase();
            let below = site.strip_suffix(own.as_str());
            !own.is_empty() && below.is_some_and(|below| below.is_empty() || below.ends_with('.'))
        })
    }
}

/// What a reader hands out.
#[derive(Clone, PartialEq, Debug)]
pub enum Item {
    /// A finding.
    Row(AuditRow),
    /// An attempt to sign in, which is only a finding together with others.
    Attempt(Attempt),
    /// A line that could not be used and should be looked at.
    Reject(Reject),
    /// A line that says nothing about an account, as lines of this format may.
    Skipped(Skip),
}

/// A line that is rightly left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Skip {
    /// Line, or record, of the file, from 1.
    pub line: u64,
    /// Why.
    pub reason: SkipReason,
}

macro_rules! skip_reasons {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)*) => {
        /// Why a line is rightly left out.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub enum SkipReason { $($(#[$doc])* $name,)* }

        impl SkipReason {
            /// The word that documents use.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

skip_reasons! {
    /// The tool's own words, or a row of empty cells.
    Noise = "noise";
    /// The line that ends the listing.
    Trailer = "trailer";
    /// A password, or an event, without an account.
    NoAccount = "no_account";
    /// The place of an LM hash that is not stored.
    NoLmHash = "no_lm_hash";
    /// The mapping says that this verdict is none.
    Ignored = "ignored";
    /// None of the row's flags is set.
    NoFlag = "no_flag";
    /// The auditor guessed wrong.
    WrongPassword = "wrong_password";
    /// The answer says nothing about the password.
    Inconclusive = "inconclusive";
    /// Anybody may sign in as a guest.
    Guest = "guest";
    /// A session of nobody.
    NullSession = "null_session";
    /// The provider took the risk to be settled.
    Remediated = "remediated";
    /// An administrator dismissed the risk, which changes no password.
    Dismissed = "dismissed";
    /// The provider was told that all is well.
    ConfirmedSafe = "confirmed_safe";
    /// The user, or the alert, was deleted.
    Deleted = "deleted";
    /// A state that nobody knows yet.
    UnknownState = "unknown_state";
    /// The provider sees no risk.
    NoRisk = "no_risk";
    /// The same record again.
    Duplicate = "duplicate";
    /// A newer state of the same user is in the file.
    Superseded = "superseded";
    /// A category of a stream that says nothing about risks.
    OtherCategory = "other_category";
    /// An event that is no finding.
    OtherType = "other_type";
    /// It tells of a password's change, which is evidence and another reader's.
    Evidence = "evidence";
    /// A label without a meaning here.
    UnmappedLabel = "unmapped_label";
    /// A type without a meaning here.
    UnmappedType = "unmapped_type";
    /// Suppressed, resolved or closed by its producer.
    Closed = "closed";
    /// A change that did not take place.
    FailedChange = "failed_change";
    /// An account of somebody else's domain.
    ForeignDomain = "foreign_domain";
    /// A former password.
    History = "history";
    /// An account of one machine alone, in a dump of the domain.
    LocalSam = "local_sam";
    /// A secret of a machine's own, or one that it remembers.
    LsaOrCached = "lsa_or_cached";
    /// A Kerberos key.
    KerberosKey = "kerberos_key";
}

/// What was in a file, once it has been read to its end.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Summary {
    /// Records of the file that speak about an account, usable or not.
    pub records: u64,
    /// Findings handed out.
    pub rows: u64,
    /// Attempts handed out.
    pub attempts: u64,
    /// Lines that could not be used. Too many of them are the step's to refuse.
    pub rejects: u64,
    /// Lines rightly left out.
    pub skipped: u64,
    /// Something is missing: such a file never proves that somebody is not listed.
    pub incomplete: bool,
    /// What the operator should know, a sentence each, without a word of the file.
    pub notes: Vec<String>,
}

/// Whoever takes the items wants no more of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("reading was stopped")]
pub struct Stop;

/// Why a file cannot be read, or not to its end. Never quotes the file.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// It is not what it should be.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The system could not read it.
    #[error("the file could not be read")]
    Io(#[source] std::io::Error),
    /// UTF-16 without its mark, or no text at all.
    #[error("{}", Refusal::ZeroByte)]
    ZeroByte,
    /// It is one value, and a very long one.
    #[error("the file is longer than 50 MiB, which no file of this format is")]
    TooLarge,
    /// More accounts than there can be.
    #[error("the file has more than 20 million lines, which no dump of one organisation has")]
    LongDump,
    /// What unpacks without end.
    #[error(
        "the archive unpacks to more than {times} times its length, as only one does that was made to do harm"
    )]
    Bomb {
        /// How many times.
        times: u64,
    },
    /// An archive that cannot be unpacked.
    #[error("the archive {problem}")]
    Archive {
        /// Why.
        problem: &'static str,
    },
    /// The characters are in no encoding that the source knows.
    #[error("the characters are not in the encoding of the file; set code_page in its [[source]]")]
    BadEncoding,
    /// Something that the format needs is not configured.
    #[error("{format} needs {what}")]
    Needs {
        /// The format.
        format: Format,
        /// What is missing.
        what: &'static str,
    },
    /// The table's header cannot be read.
    #[error("line {line}: {problem}")]
    Header {
        /// Line of the header.
        line: u64,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The mapping names a column that the table does not have.
    #[error(
        "line {line}: the header has no column {column:?}, which the mapping names in {setting}"
    )]
    MissingColumn {
        /// Line of the header.
        line: u64,
        /// The column, as the mapping writes it.
        column: String,
        /// Where the mapping names it.
        setting: String,
    },
    /// The JSON is broken, or of another shape.
    #[error("line {line}, column {column}: {problem}")]
    Json {
        /// Line.
        line: usize,
        /// Column.
        column: usize,
        /// What is wrong there.
        problem: &'static str,
    },
    /// The file is what the service answers when it refuses.
    #[error("this is the service's answer {status} to a request that it refused, and no result")]
    ErrorAnswer {
        /// HTTP status.
        status: u64,
    },
    /// The XML is broken, or has a document type.
    #[error("byte {offset}: this is broken XML, or XML with a document type, which is not read")]
    Xml {
        /// Bytes before the trouble.
        offset: u64,
    },
    /// No date shows whether it begins with the day, and nobody says it.
    #[error(
        "no date of the file shows whether the day or the month comes first; set date_order = \"day_first\" or \"month_first\" in its [[source]]"
    )]
    DateOrder,
    /// More records have to be kept than there is room for.
    #[error("the file holds more records than can be compared at once; give it in parts")]
    TooManyAtOnce,
    /// Whoever takes the items wants no more.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

impl AuditError {
    /// What reading met: an error of ours that went through the system's, or the system's own.
    pub fn from_io(error: std::io::Error) -> Self {
        if error.get_ref().is_some_and(|inner| inner.is::<Self>()) {
            if let Some(own) = error
                .into_inner()
                .and_then(|inner| inner.downcast::<Self>().ok())
            {
                return *own;
            }
            return Self::Archive {
                problem: "is broken",
            };
        }
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Self::Archive {
                problem: "ends too early: it was cut off",
            },
            // What an unpacker says of bytes that it did not write.
            std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData => Self::Archive {
                problem: "is damaged",
            },
            _ => Self::Io(error),
        }
    }
}

/// Reads `input` as `format` and hands each item to `emit`, in the order of the file.
///
/// Blocks; belongs on a thread that may. Items handed out before an error are good as far as they go, but the file was
/// not read to its end: keep all of it or nothing.
pub fn read(
    format: Format,
    input: impl Read,
    options: &ReadOptions<'_>,
    emit: &mut dyn FnMut(Item) -> Result<(), Stop>,
) -> Result<Summary, AuditError> {
    let mut sink = Sink {
        emit,
        summary: Summary::default(),
    };
    match format {
        Format::MappedCsv => mapped::read(input, options, &mut sink)?,
        Format::HibpDomain => hibp::read(input, options, &mut sink)?,
        Format::HashcatShow => hashcat::read(input, options, &mut sink)?,
        Format::JohnShow => john::read(input, options, &mut sink)?,
        Format::HibpStealerLogs => stealer::read(input, options, &mut sink)?,
        Format::PasswordSolution => passwordsolution::read(input, options, &mut sink)?,
        Format::Netexec => netexec::read(input, options, &mut sink)?,
        Format::EntraRisk => entra::risk::read(input, options, &mut sink)?,
        Format::EntraSignins => entra::signins::read(input, options, &mut sink)?,
        Format::OktaLog => okta::read(input, options, &mut sink)?,
        Format::GoogleLog => google::read(input, options, &mut sink)?,
        Format::LoginLog => logs::syslog::read(input, options, &mut sink)?,
        Format::IisLog => logs::iis::read(input, options, &mut sink)?,
        Format::WindowsEvents => logs::windows::read(input, options, &mut sink)?,
        Format::Ocsf => exchange::ocsf::read(input, options, &mut sink)?,
        Format::Stix => exchange::stix::read(input, options, &mut sink)?,
        Format::Intelmq => exchange::intelmq::read(input, options, &mut sink)?,
        Format::DsinternalsReport => dsinternals::read(input, options, &mut sink)?,
        Format::DsinternalsObject => dsinternals_object::read(input, options, &mut sink)?,
        Format::AccountNames => account_names::read(input, options, &mut sink)?,
        Format::Dump => dump::read(input, options, &mut sink)?,
        Format::HashcatOutfile => hashcat_outfile::read(input, options, &mut sink)?,
    }
    Ok(sink.summary)
}

/// The first byte that is no blank; none in an empty file.
fn first_sign<R: Read>(bytes: &mut decode::Bytes<R>) -> Result<Option<u8>, AuditError> {
    loop {
        let chunk = bytes.chunk()?;
        let blanks = chunk.iter().take_while(|byte| byte.is_ascii_whitespace());
        let blanks = blanks.count();
        if let Some(sign) = chunk.get(blanks) {
            return Ok(Some(*sign));
        }
        if chunk.is_empty() {
            return Ok(None);
        }
        bytes.consume(blanks);
    }
}

/// How bad a log's finding is, where that is not its weakness's own severity: a lockout is often no more than an old
/// telephone with the saved password.
fn severity_of_log(weakness: Weakness) -> Option<Severity> {
    (weakness == Weakness::Lockout).then_some(Severity::Low)
}

/// Counts what goes out.
struct Sink<'a> {
    emit: &'a mut dyn FnMut(Item) -> Result<(), Stop>,
    summary: Summary,
}

impl Sink<'_> {
    fn record(&mut self) {
        self.summary.records += 1;
    }

    fn row(&mut self, row: AuditRow) -> Result<(), AuditError> {
        self.summary.rows += 1;
        Ok((self.emit)(Item::Row(row))?)
    }

    fn attempt(&mut self, attempt: Attempt) -> Result<(), AuditError> {
        self.summary.attempts += 1;
        Ok((self.emit)(Item::Attempt(attempt))?)
    }

    fn reject(&mut self, line: u64, reason: RejectReason) -> Result<(), AuditError> {
        self.summary.rejects += 1;
        // Behind these, findings may have been lost that nobody knows of.
        if matches!(reason, RejectReason::Truncated | RejectReason::TooLong) {
            self.summary.incomplete = true;
        }
        Ok((self.emit)(Item::Reject(Reject { line, reason }))?)
    }

    fn skip(&mut self, line: u64, reason: SkipReason) -> Result<(), AuditError> {
        self.summary.skipped += 1;
        Ok((self.emit)(Item::Skipped(Skip { line, reason }))?)
    }

    fn note(&mut self, text: impl Into<String>) {
        self.summary.notes.push(text.into());
    }
}
