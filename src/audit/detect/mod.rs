//! Detection: the first 64 KiB of a file → the format it has, or in what way it is none that is read.
//!
//! It only proposes: a configured format wins. Every format looks at the same [`Head`] and answers yes, and what shows it,
//! or no, and what is missing. The strongest yes wins; two that are as strong are a question for the operator. Files that
//! are known and no audits ([`known`]) are named, so that nobody wonders.

mod head;
mod known;

use super::decode::{CodePage, container};
use super::{
    Format, account_names, dsinternals, dsinternals_object, dump, entra, exchange, google,
    hash_lists, hashcat, hashcat_outfile, hibp, john, logs, mapped, netexec, okta,
    passwordsolution,
};

pub(super) use head::{By, Head, Look, Shape};

/// Bytes of a file that are looked at.
pub const HEAD_BYTES: usize = 64 * 1024;

/// Formats that are named where none fits.
const NEAREST: usize = 3;

/// From here on, in per cent, two formats are so much alike that only the configuration can tell them apart.
const ALIKE: u8 = 80;

/// What a format says to a head: the one place where each reader's sign is registered.
fn look(format: Format, head: &Head<'_>) -> Look {
    match format {
        Format::MappedCsv => mapped::look(head),
        Format::HibpDomain => hibp::look(head),
        Format::HashcatShow => hashcat::look(head),
        Format::JohnShow => john::look(head),
        Format::HibpStealerLogs => hibp::look_stealer_logs(head),
        Format::PasswordSolution => passwordsolution::look(head),
        Format::Netexec => netexec::look(head),
        Format::EntraRisk => entra::risk::look(head),
        Format::EntraSignins => entra::signins::look(head),
        Format::OktaLog => okta::look(head),
        Format::GoogleLog => google::look(head),
        Format::LoginLog => logs::syslog::look(head),
        Format::IisLog => logs::iis::look(head),
        Format::WindowsEvents => logs::windows::look(head),
        Format::Ocsf => exchange::ocsf::look(head),
        Format::Stix => exchange::stix::look(head),
        Format::Intelmq => exchange::intelmq::look(head),
        Format::DsinternalsReport => dsinternals::look(head),
        Format::DsinternalsObject => dsinternals_object::look(head),
        Format::AccountNames => account_names::look(head),
        Format::Dump => dump::look(head),
        Format::HashcatOutfile => hashcat_outfile::look(head),
    }
}

/// A list of hashes, which names nobody by itself and is joined with a dump.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum HashList {
    /// Cracked ones: of hashcat or of John.
    Potfile,
    /// Cracked ones, in JSON.
    Outfile,
    /// Leaked ones.
    PwnedPasswords,
}

impl HashList {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Potfile, Self::Outfile, Self::PwnedPasswords];

    /// What a person calls it, after "this is".
    pub const fn title(self) -> &'static str {
        match self {
            Self::Potfile => "a potfile",
            Self::Outfile => "a hashcat outfile without names",
            Self::PwnedPasswords => "a list of leaked hashes",
        }
    }

    fn look(self, head: &Head<'_>) -> Look {
        match self {
            Self::Potfile => hash_lists::look_potfile(head),
            Self::Outfile => hashcat_outfile::look_nameless(head),
            Self::PwnedPasswords => hash_lists::look_pwned(head),
        }
    }
}

/// What sort of file it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// An audit.
    Audit(Format),
    /// Something that an audit is joined with.
    Hashes(HashList),
}

impl Kind {
    const fn title(self) -> &'static str {
        match self {
            Self::Audit(format) => format.title(),
            Self::Hashes(list) => list.title(),
        }
    }

    /// The format, if this is an audit by itself.
    pub fn audit(self) -> Result<Format, Refusal> {
        match self {
            Self::Audit(format) => Ok(format),
            Self::Hashes(list) => Err(Refusal::NoAccounts {
                what: list.title(),
                instead: "give the dump that it belongs to in the same command: bell intake DUMP LIST",
            }),
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Audit(format) => f.write_str(format.word()),
            Self::Hashes(list) => f.write_str(list.title()),
        }
    }
}

/// What a file seems to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Detected {
    /// What sort of file.
    pub kind: Kind,
    /// What shows it, for the operator, without a word of the file.
    pub reason: String,
}

/// A format that a file could have had, and why it has not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Near {
    /// What a person calls it.
    pub title: &'static str,
    /// What is missing, or what speaks for it.
    pub why: String,
}

/// The nearest formats, the likeliest first.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Nearest(pub Vec<Near>);

impl std::fmt::Display for Nearest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for near in &self.0 {
            write!(f, "\n  {}: {}", near.title, near.why)?;
        }
        Ok(())
    }
}

/// All that detection can say about a file.
#[derive(Clone, PartialEq, Debug)]
pub struct Explained {
    /// How its text is written; none if it is none.
    pub encoding: Option<&'static str>,
    /// JSON, markup or lines.
    pub shape: Option<&'static str>,
    /// What it is, or why it is refused.
    pub verdict: Result<Detected, Refusal>,
    /// What else it could have been.
    pub others: Nearest,
}

impl std::fmt::Display for Explained {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let (Some(shape), Some(encoding)) = (self.shape, self.encoding) {
            writeln!(f, "written as {shape} in {encoding}")?;
        }
        match &self.verdict {
            Ok(detected) => {
                write!(
                    f,
                    "read as {}, {}: {}",
                    detected.kind,
                    detected.kind.title(),
                    detected.reason
                )?;
                write!(f, "\nnot read as{}", self.others)
            }
            Err(refusal) => write!(f, "refused: {refusal}"),
        }
    }
}

/// Why a file is not read. Says what to do instead.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// No byte in it.
    #[error("the file is empty")]
    Empty,
    /// Compressed, or no text.
    #[error("this is {0}: unpack it, or export its content as text")]
    Container(&'static str),
    /// UTF-16 without its mark, or no text.
    #[error(
        "the file holds zero bytes and has no byte order mark: it is no text, or UTF-16; save it anew as UTF-8, or set code_page = \"utf-16le\" in its [[source]] and name that with --source"
    )]
    ZeroByte,
    /// A page of a web site.
    #[error(
        "this is an HTML page, perhaps a sign-in screen, and not the file that was meant to be downloaded"
    )]
    Html,
    /// PowerShell wrote what an object is instead of what it holds.
    #[error(
        "PowerShell wrote the names of types here instead of accounts: run Test-PasswordQuality again and end it with \"> report.txt\" or \"| ConvertTo-Json -Depth 4 > report.json\" in place of \"| Export-Csv\""
    )]
    TypeNames,
    /// PowerShell wrote the lengths of texts.
    #[error(
        "this table has one column \"Length\": PowerShell counted the letters of the names. Run it again and end it with \"> names.txt\" in place of \"| Export-Csv\""
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
    /// Same shape as a domain search, other meaning.
    #[error(
        "these are web sites and not breaches: stealer logs by e-mail domain; give it a [[source]] of kind = \"hibp_stealer_logs\""
    )]
    StealerLogs,
    /// Asked for as stealer logs, and it is not.
    #[error("this is no answer of Have I Been Pwned about stealer logs")]
    NotStealerLogs,
    /// Sites of one address that the answer does not name.
    #[error(
        "this is a list of web sites, which names no account: ask for a whole domain with \"stealerlogsbyemaildomain\""
    )]
    SitesOfNobody,
    /// The service's words for a refused request.
    #[error("this is an error that the service answered, and no result")]
    ErrorAnswer,
    /// A value that cannot be right.
    #[error("one entry is longer than 1 MiB")]
    LongValue,
    /// Its source says another thing than the file shows.
    #[error(
        "its source says that it is {wanted}, but {why}; it shows to be {found}: {reason}. Name the right --source, or the format with --format"
    )]
    Contradicted {
        /// What the source says.
        wanted: Format,
        /// Why it is not that.
        why: String,
        /// What it is.
        found: Format,
        /// Why.
        reason: String,
    },
    /// It could be one as well as another.
    #[error("this could be more than one thing; say which with --format or --source:{0}")]
    Ambiguous(Nearest),
    /// None of the above.
    #[error(
        "this is no format that is known here; if it is a table, give it a mapping file. Nearest to it are:{0}"
    )]
    Unknown(Nearest),
}

/// What the first [`HEAD_BYTES`] of a file, or all of a shorter one, show it to be. `page` is what its source says about
/// files without a byte order mark.
pub fn detect(head: &[u8], page: CodePage) -> Result<Detected, Refusal> {
    explain(head, page).verdict
}

/// The same for a file whose source says that it is `wanted`: that wins, as long as the file is not plainly another thing.
pub fn detect_for(wanted: Format, head: &[u8], page: CodePage) -> Result<Detected, Refusal> {
    let told = |reason: &str| Detected {
        kind: Kind::Audit(wanted),
        reason: reason.to_owned(),
    };
    match detect(head, page) {
        Ok(Detected {
            kind: Kind::Audit(found),
            reason,
        }) if found != wanted => {
            let whole = head.len() < HEAD_BYTES;
            let (text, _) = head::text(head.get(..HEAD_BYTES).unwrap_or(head), page)?;
            // A mapping names columns, and refuses a table that has not got them.
            if wanted == Format::MappedCsv {
                return Ok(told("its source has a mapping for it"));
            }
            match look(wanted, &Head::new(&text, whole)) {
                Look::Yes { reason, .. } => Ok(told(&reason)),
                Look::No { near, .. } if near >= ALIKE => Ok(told("its source says so")),
                Look::No { why, .. } => Err(Refusal::Contradicted {
                    wanted,
                    why,
                    found,
                    reason,
                }),
            }
        }
        Err(Refusal::Unknown(_) | Refusal::Ambiguous(_)) => Ok(told("its source says so")),
        other => other,
    }
}

/// The same, and what else it could have been.
pub fn explain(head: &[u8], page: CodePage) -> Explained {
    let refused = |refusal| Explained {
        encoding: None,
        shape: None,
        verdict: Err(refusal),
        others: Nearest::default(),
    };
    let whole = head.len() < HEAD_BYTES;
    let head = head.get(..HEAD_BYTES).unwrap_or(head);
    if head.is_empty() {
        return refused(Refusal::Empty);
    }
    if let Some(what) = container(head) {
        return refused(Refusal::Container(what));
    }
    let (text, encoding) = match head::text(head, page) {
        Ok(text) => text,
        Err(refusal) => return refused(refusal),
    };
    let head = Head::new(&text, whole);
    if head.start.is_empty() && whole {
        return refused(Refusal::Empty);
    }
    let (verdict, others) = judge(&head);
    Explained {
        encoding: Some(encoding),
        shape: Some(head.shape.title()),
        verdict,
        others,
    }
}

/// One that was asked.
struct Asked {
    title: &'static str,
    is: Is,
    look: Look,
}

enum Is {
    Kind(Kind),
    Known(Refusal),
}

fn judge(head: &Head<'_>) -> (Result<Detected, Refusal>, Nearest) {
    let mut asked = ask(head);
    // The strongest first; equally strong ones stay in their order.
    asked.sort_by_key(|one| {
        std::cmp::Reverse(match &one.look {
            Look::Yes { by, .. } => (1, *by as u8),
            Look::No { near, .. } => (0, *near),
        })
    });
    let best = asked.first().and_then(|one| match &one.look {
        Look::Yes { by, .. } => Some(*by),
        Look::No { .. } => None,
    });
    let Some(best) = best else {
        let nearest = nearest(&asked);
        return (Err(Refusal::Unknown(nearest.clone())), nearest);
    };
    let as_strong = |one: &&Asked| matches!(&one.look, Look::Yes { by, .. } if *by == best);
    let equals = asked.iter().filter(as_strong).count();
    if equals > 1 {
        let nearest = nearest(asked.get(..equals).unwrap_or(&asked));
        return (Err(Refusal::Ambiguous(nearest.clone())), nearest);
    }
    let others = nearest(asked.get(1..).unwrap_or_default());
    let verdict = match asked.into_iter().next() {
        Some(Asked {
            is: Is::Kind(kind),
            look: Look::Yes { reason, .. } | Look::No { why: reason, .. },
            ..
        }) => Ok(Detected { kind, reason }),
        Some(Asked {
            is: Is::Known(refusal),
            ..
        }) => Err(refusal),
        None => Err(Refusal::Empty),
    };
    (verdict, others)
}

fn ask(head: &Head<'_>) -> Vec<Asked> {
    let audits = Format::ALL.iter().map(|format| {
        let kind = Kind::Audit(*format);
        (kind.title(), Is::Kind(kind), look(*format, head))
    });
    let lists = HashList::ALL.iter().map(|list| {
        let kind = Kind::Hashes(*list);
        (kind.title(), Is::Kind(kind), list.look(head))
    });
    let known = known::KNOWN
        .iter()
        .map(|known| (known.title, Is::Known(known.refusal()), (known.look)(head)));
    audits
        .chain(lists)
        .chain(known)
        .map(|(title, is, look)| Asked { title, is, look })
        .collect()
}

fn nearest(asked: &[Asked]) -> Nearest {
    let near = asked.iter().take(NEAREST).map(|one| Near {
        title: one.title,
        why: match &one.look {
            Look::Yes { reason, .. } => reason.clone(),
            Look::No { why, .. } => why.clone(),
        },
    });
    Nearest(near.collect())
}
