//! Where a source's audits are fetched, and when: the keys `fetch` and `fetch_at` of `[[source]]`, and what goes with them.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::Serialize;

use super::hashed;
use super::secret::{SecretKeys, TOKEN, secret};
use super::section::{Read, Section};
use super::services::{self, Access, Client};
use super::timetable::CronLine;
use super::values::{DAY, choice, duration, line, path};
use crate::domain::format::Format;

/// Where audits are fetched.
#[derive(Debug, Clone, Serialize)]
pub struct Fetch {
    /// What is fetched.
    pub what: Fetched,
    /// When.
    pub at: CronLine,
    /// Through which it is asked.
    pub proxy: Option<String>,
    /// Certificates to trust beside the system's, in PEM.
    #[serde(serialize_with = "hashed::some_path")]
    pub ca_file: Option<PathBuf>,
    /// How long one answer may take.
    #[serde(serialize_with = "hashed::span")]
    pub timeout: Duration,
    /// How long in all we wait because a service asks us to.
    #[serde(serialize_with = "hashed::span")]
    pub patience: Duration,
}

/// What is fetched.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fetched {
    /// A file that somebody writes anew.
    File(#[serde(serialize_with = "hashed::path")] PathBuf),
    /// What lies at an address.
    Url {
        /// The address.
        url: String,
        /// Sent along, if it takes one.
        #[serde(skip)]
        token: Option<SecretString>,
    },
    /// Have I Been Pwned's search of the source's domain.
    Hibp {
        /// Where the service is.
        url: String,
        /// The API key.
        #[serde(skip)]
        key: SecretString,
    },
    /// The risky users and risk detections of Entra ID.
    Graph {
        /// Where Graph is.
        url: String,
        /// Where tokens are given out.
        login_url: String,
        /// The tenant's id or domain.
        tenant: String,
        /// The registered application.
        access: Box<Access<Client>>,
    },
}

#[derive(Clone, Copy)]
enum How {
    File,
    Url,
    Hibp,
    Graph,
}

const HOWS: &[(&str, How)] = &[
    ("file", How::File),
    ("url", How::Url),
    ("hibp", How::Hibp),
    ("graph", How::Graph),
];

const KEY: SecretKeys = SecretKeys {
    inline: "key",
    env: "key_env",
    file: "key_file",
};

/// None: files are dropped, or given by hand.
pub(super) fn fetch(own: &Section<'_>, format: Option<Format>) -> Read<Option<Fetch>> {
    let how = own.optional("fetch", choice(HOWS));
    let Some(how) = how? else {
        return Ok(None);
    };
    let what = match how {
        How::File => own
            .required("file", path, "\"/srv/audits/weak.csv\"")
            .map(Fetched::File),
        How::Url => url(own),
        How::Hibp => hibp(own),
        How::Graph => graph(own),
    };
    let at = own.or(
        "fetch_at",
        |value| {
            let text = line(value)?;
            let line = Some(value.line);
            Ok(CronLine { text, line })
        },
        CronLine {
            text: "0 30 5 * * *".to_owned(),
            line: None,
        },
    );
    let second = Duration::from_secs(1);
    let timeout = own.or("timeout", duration(second, 600 * second), 60 * second);
    let patience = own.or("patience", duration(Duration::ZERO, DAY / 24), 120 * second);
    let proxy = own.optional("proxy", services::proxy);
    let ca_file = own.optional("ca_file", path);
    let wanted: &[Format] = match how {
        How::File | How::Url => &[],
        How::Hibp => &[Format::HibpDomain, Format::HibpStealerLogs],
        How::Graph => &[Format::EntraRisk],
    };
    if format.is_some_and(|format| !wanted.is_empty() && !wanted.contains(&format)) {
        let words: Vec<String> = wanted.iter().map(|one| format!("\"{one}\"")).collect();
        let text = format!("only kind = {} comes from there", words.join(" or "));
        return Err(own.wrong("fetch", text));
    }
    Ok(Some(Fetch {
        what: what?,
        at: at?,
        proxy: proxy?,
        ca_file: ca_file?,
        timeout: timeout?,
        patience: patience?,
    }))
}

fn url(own: &Section<'_>) -> Read<Fetched> {
    let url = own.required(
        "url",
        services::document,
        "\"https://audits.parl.example/weak.csv\"",
    );
    let token = secret(own, &TOKEN);
    Ok(Fetched::Url {
        url: url?,
        token: token?,
    })
}

fn hibp(own: &Section<'_>) -> Read<Fetched> {
    let usual = "https://haveibeenpwned.com".to_owned();
    let url = own.or("url", services::endpoint, usual);
    let key = secret(own, &KEY)
        .and_then(|key| key.ok_or_else(|| own.missing(KEY.env, "\"BELL_HIBP_KEY\"")));
    Ok(Fetched::Hibp {
        url: url?,
        key: key?,
    })
}

fn graph(own: &Section<'_>) -> Read<Fetched> {
    let usual = "https://graph.microsoft.com".to_owned();
    let url = own.or("url", services::endpoint, usual);
    let usual = "https://login.microsoftonline.com".to_owned();
    let login_url = own.or("login_url", services::endpoint, usual);
    let tenant = own.required("tenant", services::segment, "\"parl.onmicrosoft.example\"");
    let access = services::client_or_certificate(own);
    Ok(Fetched::Graph {
        url: url?,
        login_url: login_url?,
        tenant: tenant?,
        access: Box::new(access?),
    })
}
