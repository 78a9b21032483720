//! Where bounces are read: `[mail.inbox]`, a Maildir or a mailbox on a server.

use std::path::PathBuf;

use secrecy::SecretString;
use serde::Serialize;

use super::errors::quoted;
use super::hashed;
use super::secret::{PASSWORD, secret};
use super::section::{Parsed, Read, Section, Told, Value};
use super::values::{choice, host, line, number, path};

/// Where bounces and replies arrive.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Inbox {
    /// A folder on this machine.
    Maildir(#[serde(serialize_with = "hashed::path")] PathBuf),
    /// A mailbox on a server, read by IMAP over TLS.
    Imap(ImapInbox),
}

/// A mailbox on a server.
#[derive(Debug, Clone, Serialize)]
pub struct ImapInbox {
    /// Name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: InboxTls,
    /// Who we sign in as.
    pub user: String,
    /// What we sign in with.
    #[serde(skip)]
    pub password: SecretString,
    /// The folder that bounces are in, as the server writes its name.
    pub folder: String,
    /// What becomes of a mail that was read.
    pub keep: InboxKeep,
    /// Certificates to trust beside the system's, in PEM.
    #[serde(serialize_with = "hashed::some_path")]
    pub ca_file: Option<PathBuf>,
}

/// How the connection is protected. There is no "if offered", and no "never".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InboxTls {
    /// From the first byte.
    Implicit,
    /// Plain until STARTTLS, which must be offered.
    Starttls,
}

/// What becomes of a mail that was read. Nothing is ever deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InboxKeep {
    /// It is marked as seen.
    Seen,
    /// It is moved to a folder.
    Move(String),
}

const TLS: &[(&str, InboxTls)] = &[
    ("implicit", InboxTls::Implicit),
    ("starttls", InboxTls::Starttls),
];

/// All keys are read whichever way it is, so that each mistake is told at once.
pub(super) fn inbox(mail: &Section<'_>) -> Read<Option<Inbox>> {
    let own = mail.section("inbox");
    let maildir = own.optional("maildir", path);
    let imap_host = own.optional("imap_host", host);
    let port = own.optional("imap_port", number("port", 1..=65_535u16));
    let tls = own.or("imap_tls", choice(TLS), InboxTls::Implicit);
    let user = own.optional("user", line);
    let password = secret(&own, &PASSWORD);
    let folder = own.or("folder", folder, "INBOX".to_owned());
    let keep = own.or("keep", keep, InboxKeep::Seen);
    let ca_file = own.optional("ca_file", path);
    let way = match (maildir, imap_host) {
        (Ok(Some(_)), Ok(Some(_))) => {
            Err(own.wrong("imap_host", "maildir is there too; keep one of them"))
        }
        (Ok(Some(maildir)), Ok(None)) => Ok(Some(Inbox::Maildir(maildir))),
        (Ok(None), Ok(Some(host))) => {
            let user = user.and_then(|user| {
                user.ok_or_else(|| own.missing("user", "\"bounces@parl.example\""))
            });
            let password = password.and_then(|password| {
                password.ok_or_else(|| own.missing("password_env", "\"BELL_INBOX_PASSWORD\""))
            });
            match (user, password, &tls, port, &folder, &keep, &ca_file) {
                (Ok(user), Ok(password), Ok(tls), Ok(port), Ok(folder), Ok(keep), Ok(ca_file)) => {
                    Ok(Some(Inbox::Imap(ImapInbox {
                        host,
                        port: port.unwrap_or(match tls {
                            InboxTls::Implicit => 993,
                            InboxTls::Starttls => 143,
                        }),
                        tls: *tls,
                        user,
                        password,
                        folder: folder.clone(),
                        keep: keep.clone(),
                        ca_file: ca_file.clone(),
                    })))
                }
                _ => Err(Told),
            }
        }
        (Ok(None), Ok(None)) => match (&user, &password) {
            (Ok(Some(_)), _) | (_, Ok(Some(_))) => {
                Err(own.missing("imap_host", "\"imap.parl.example\""))
            }
            (Err(Told), _) | (_, Err(Told)) => Err(Told),
            (Ok(None), Ok(None)) => Ok(None),
        },
        (Err(Told), _) | (_, Err(Told)) => Err(Told),
    };
    own.finish()?;
    way
}

/// A folder's name as the server writes it: what is not ASCII is encoded there (RFC 3501 section 5.1.3), in a way that
/// mail programs show as letters.
fn folder(value: &Value<'_>) -> Parsed<String> {
    let name = line(value)?;
    folder_name(&name)
}

fn folder_name(name: &str) -> Parsed<String> {
    let fits = !name.is_empty()
        && name
            .chars()
            .all(|c| c == ' ' || (c.is_ascii_graphic() && !"\"\\*%".contains(c)));
    fits.then(|| name.to_owned()).ok_or_else(|| {
        "this is no folder's name; write it in ASCII, without \" \\ * %, as the server does (for instance \"Entw&APw-rfe\")"
            .to_owned()
    })
}

fn keep(value: &Value<'_>) -> Parsed<InboxKeep> {
    let text = line(value)?;
    if text == "seen" {
        return Ok(InboxKeep::Seen);
    }
    match text.strip_prefix("move:") {
        Some(folder) => folder_name(folder.trim()).map(InboxKeep::Move),
        None => Err(format!(
            "{} is not known; use \"seen\" or \"move:FOLDER\"",
            quoted(&text)
        )),
    }
}
