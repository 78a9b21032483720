//! Config: `config.toml` and the environment, read once and checked, or everything that is wrong with them at once.
//!
//! [`EXAMPLE`] is the annotated example that `bell init` prints. A key that nobody reads is an error, so that no typing
//! mistake passes for a default; a secret in the file is an error too. Each section has a plain struct; what reads it
//! stands below it.

mod alarm;
mod bot;
mod chats;
mod communications;
mod containment;
mod directory;
mod discord;
mod errors;
mod evidence;
mod fetch;
mod hand_over;
mod hashed;
mod inbox;
mod inputs;
mod intake;
mod ldap;
mod mail;
mod managers;
mod oidc;
mod organisation;
mod rates;
mod records;
mod relay_texts;
mod seals;
mod secret;
mod section;
mod services;
mod sign_in;
mod sources;
mod timetable;
mod values;
mod ways;
mod web;
mod weighing;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};
use toml::de::DeTable;

use self::inputs::Known;
use self::section::{Read, Reader, Section};
use crate::domain::way::Ways;

pub use self::alarm::Alarm;
pub use self::bot::{Bot, GUEST};
pub use self::chats::{Chat, ChatKind, Chats, Readers, STATUS};
pub use self::communications::Communications;
pub use self::containment::Containment;
pub use self::directory::{Directory, DirectoryFile, DirectoryKind};
pub use self::discord::Discord;
pub use self::errors::{ConfigError, ConfigErrors};
pub use self::evidence::{EvidenceFile, EvidenceKind, EvidenceSource};
pub use self::fetch::{Fetch, Fetched};
pub use self::hand_over::HandOver;
pub use self::inbox::{ImapInbox, Inbox, InboxKeep, InboxTls};
pub use self::inputs::{RealmRules, StoreUrl};
pub use self::intake::Intake;
pub use self::ldap::{Ldap, LdapProfile};
pub use self::mail::{Mail, Relay, RelayWay, Sensitivity, Smtp, Timeouts, Tls};
pub use self::managers::TellManagers;
pub use self::oidc::{Oidc, VOUCHED};
pub use self::organisation::{Campaign, Operator, Organisation, Role, Texts};
pub use self::rates::{HelpDesk, RelayRates};
pub use self::records::{LEVEL_VARIABLE, Log, LogFormat, Report, Retention};
pub use self::seals::Seals;
pub use self::services::{
    Access, Certificate, Client, ClientProof, Google, Graph, Keycloak, Okta, ServiceAccount,
    Signing, Web,
};
pub use self::sign_in::{Bearer, Proof, SignIn, TokenSource};
pub use self::sources::{AuditSource, SourceKind};
pub use self::timetable::{Calendar, CronLine, LadderOverride, Ladders, Schedule};
pub use self::ways::{BodyForm, Header, Sms, SmsKind};
pub use self::web::{Listen, TlsFiles};

/// The annotated example: every key, with its default where it has one.
pub const EXAMPLE: &str = include_str!("../../config.example.toml");

/// A config file is a few kilobytes; what is larger is another file.
const LARGEST: u64 = 1 << 20;

/// Everything that is configured. Paths start from the config file's folder.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// The file it was read from, as it was named: for errors about its lines.
    #[serde(skip)]
    pub file: PathBuf,
    /// Who writes.
    pub organisation: Organisation,
    /// Where everything is kept.
    pub store: StoreUrl,
    /// Where it is written down, outside of it, which database may speak.
    #[serde(serialize_with = "hashed::path")]
    pub epoch_file: PathBuf,
    /// The password stores; at least one.
    pub realms: Vec<RealmRules>,
    /// Who works here.
    pub directory: Directory,
    /// Who audits passwords.
    pub sources: Vec<AuditSource>,
    /// Who tells when passwords were changed.
    pub evidence: Vec<EvidenceSource>,
    /// How letters leave.
    pub mail: Mail,
    /// Where texts go, if anywhere.
    pub sms: Option<Sms>,
    /// In which order people are reached.
    pub ways: Ways,
    /// Where status posts go, if anywhere.
    pub discord: Option<Discord>,
    /// Where else they go, and who reads there.
    pub chats: Chats,
    /// When an audit waits for a second operator.
    pub intake: Intake,
    /// What differs from the timetables.
    pub ladders: Ladders,
    /// When letters may go out.
    pub calendar: Calendar,
    /// When each step runs.
    pub schedule: Schedule,
    /// Who may act.
    pub operators: Vec<Operator>,
    /// How campaigns are named and announced.
    pub campaign: Campaign,
    /// What the communications office works by.
    pub communications: Communications,
    /// How the identity provider is asked to force a change, if by us.
    pub hand_over: Option<HandOver>,
    /// How the list for the network team is signed.
    pub containment: Containment,
    /// How the record is sealed.
    pub seals: Seals,
    /// How an operator is told that something is wrong.
    pub alarm: Alarm,
    /// Where machines ask and people look, if anywhere.
    pub web: Option<Listen>,
    /// What is said about the work as it runs.
    pub log: Log,
    /// Where reports go, and how long personal data is kept.
    pub report: Report,
}

impl Config {
    /// Reads and checks a file. `env` looks up environment variables.
    pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigErrors> {
        let text = bytes_of(path)
            .and_then(text_of)
            .map_err(|(line, text)| ConfigErrors::of_file(path.to_owned(), line, text))?;
        Self::from_text(&text, path, env)
    }

    /// Checks a text as if it stood in `file`, which need not be there.
    pub fn from_text(
        text: &str,
        file: &Path,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigErrors> {
        let (table, syntax) = DeTable::parse_recoverable(text);
        if syntax.is_empty() && table.get_ref().is_empty() {
            let text = "the file is empty; \"bell init\" prints an annotated example to begin with";
            return Err(ConfigErrors::of_file(file.to_owned(), None, text));
        }
        // Where the program was started must change neither what the config says nor its hash.
        let whole = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let folder = whole.parent().unwrap_or(Path::new(""));
        let reader = Reader::new(text, folder, env);
        // TOML's own messages are fixed sentences; its Display would quote the line, and with it what stands there.
        let syntax: Vec<_> = syntax
            .iter()
            .map(|error| ConfigError {
                line: error.span().map(|span| reader.line(&span)),
                key: String::new(),
                text: format!("this is not TOML: {}", error.message()),
            })
            .collect();
        let config = config(&reader, table.get_ref(), file, syntax.is_empty());
        let errors = reader.into_errors(syntax);
        match config {
            Ok(config) if errors.is_empty() => Ok(config),
            _ => Err(ConfigErrors {
                file: file.to_owned(),
                errors,
            }),
        }
    }

    /// SHA-256 over all effective values, without secrets and without where they stand in the file.
    pub fn hash(&self) -> [u8; 32] {
        // Cannot be refused: map keys are text, and `hashed` writes paths that are not.
        let written = serde_json::to_vec(self).unwrap_or_default();
        Sha256::digest(written).into()
    }
}

/// Reads every section before it gives up on any. `whole` says whether all of the file was understood.
fn config(reader: &Reader<'_>, table: &DeTable<'_>, file: &Path, whole: bool) -> Read<Config> {
    let root = Section::root(reader, table);
    let organisation = organisation::organisation(&root);
    let site = organisation.as_ref().ok().map(|own| own.time_zone);
    let team = organisation.as_ref().ok().map(|own| own.team.as_str());
    let store = inputs::store(&root);
    let (realms, realm_names) = inputs::realms(&root);
    let ldap = ldap::all(&root);
    let known = Known {
        realms: realm_names.as_deref().filter(|_| whole),
        zone: site,
        ldap: ldap.as_deref().ok().filter(|_| whole),
    };
    let directory = directory::directory(&root, known);
    let sources = sources::sources(&root, known);
    let evidence = evidence::evidence(&root, known);
    let mail = mail::mail(&root, team);
    let sms = ways::sms(&root);
    let ways = ways::ways(&root, sms.as_ref().is_ok_and(Option::is_some));
    let discord = discord::discord(&root);
    let intake = intake::intake(&root);
    let chats = chats::chats(&root, discord.as_ref().ok());
    let ladders = timetable::ladders(&root);
    let calendar = timetable::calendar(&root);
    let schedule = timetable::schedule(&root, site);
    let operators = organisation::operators(&root);
    let campaign = organisation::campaign(&root);
    let communications = communications::communications(&root);
    let hand_over = hand_over::hand_over(&root);
    let containment = containment::containment(&root);
    let seals = seals::seals(&root);
    let alarm = alarm::alarm(&root);
    let web = web::listen(&root);
    let log = records::log(&root);
    let tells_managers = campaign
        .as_ref()
        .is_ok_and(|own| own.tell_managers.is_some());
    let report = records::report(&root, tells_managers);
    root.finish()?;
    let (store, epoch_file) = store?;
    // Whoever names one has it.
    ldap?;
    Ok(Config {
        file: file.to_owned(),
        organisation: organisation?,
        store,
        epoch_file,
        realms: realms?,
        directory: directory?,
        sources: sources?,
        evidence: evidence?,
        mail: mail?,
        sms: sms?,
        ways: ways?,
        discord: discord?,
        chats: chats?,
        intake: intake?,
        ladders: ladders?,
        calendar: calendar?,
        schedule: schedule?,
        operators: operators?,
        campaign: campaign?,
        communications: communications?,
        hand_over: hand_over?,
        containment: containment?,
        seals: seals?,
        alarm: alarm?,
        web: web?,
        log: log?,
        report: report?,
    })
}

/// What is wrong with a file as a whole, with a line if it has one.
type Unfit = (Option<usize>, String);

fn bytes_of(path: &Path) -> Result<Vec<u8>, Unfit> {
    let unread = |error: std::io::Error| {
        let text = match error.kind() {
            std::io::ErrorKind::NotFound => {
                "there is no such file; \"bell init\" prints an annotated example to begin with"
                    .into()
            }
            std::io::ErrorKind::IsADirectory => "this is a folder; name the file in it".into(),
            kind => format!("it cannot be read ({kind}); check its owner and its permissions"),
        };
        (None, text)
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unread)?;
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(unread)?;
    Ok(bytes)
}

fn text_of(bytes: Vec<u8>) -> Result<String, Unfit> {
    if bytes.len() as u64 > LARGEST {
        let text = "it is larger than 1 MiB, which no config is; name another file";
        return Err((None, text.into()));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let before = error.as_bytes().iter().take(good);
        let line = 1 + before.filter(|byte| **byte == b'\n').count();
        (
            Some(line),
            "this is not UTF-8; save the file as UTF-8".into(),
        )
    })
}
