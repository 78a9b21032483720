//! Messages: loads the texts, checks them, and turns a person's facts into subject, text and HTML.
//!
//! Everything that could go wrong with a text goes wrong at start: [`Messages::load`] compiles every template, knows every
//! variable it names, renders every message with every sample and lints what comes out. What is left to go wrong with
//! one letter is a fact about one person, and is refused as such.

use std::path::Path;

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::notice::NoticeKind;

mod access;
mod access_letter;
mod check;
pub mod constants;
pub mod context;
mod html;
pub mod letter;
pub mod lint;
mod measure;
mod preview;
mod samples;
mod source;
mod statement;
pub mod status;
#[cfg(test)]
mod tests;
mod text;
mod token;
mod words;

pub use access::{AccessFacts, AccessPost, Advice, BadAccess};
pub use access_letter::AccessLetter;
pub use constants::{BadValue, Constants, Sourced};
pub use context::{BadFact, Personal, Reference, Staff, account_label};
pub use lint::Finding;
pub use measure::reading_grade;
pub use source::DEFAULT_LOCALE;
pub use statement::STATEMENT_TEMPLATES;
pub use status::{BadStatus, StatusContext};
pub use text::FrozenText;
pub use words::moment as moment_in_words;

use context::Words;
use source::{LAYOUT, STATUS, Source, Sources};

/// The three files of a letter.
const PARTS: [&str; 3] = ["subject.txt", "body.txt", "body.html"];

/// A letter's text, before it is a letter.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line of at most 72 characters.
    pub subject: String,
    /// The plain part; paragraphs are single lines, ended by `\n`.
    pub text: String,
    /// The HTML part, which says the same.
    pub html: String,
}

impl std::fmt::Debug for Rendered {
    /// Sizes only: the text is somebody's.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rendered")
            .field("text_bytes", &self.text.len())
            .field("html_bytes", &self.html.len())
            .finish_non_exhaustive()
    }
}

/// Why the texts cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MessagesError {
    /// A file could not be read.
    #[error("reading {file}: {source}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file that no message is made of: a slip in its name would leave the built-in text in force.
    #[error(
        "{0}: no message is made of this file; expected email/KIND/en-REGION/(subject.txt, body.txt, body.html), email/_layout/*.html, sms/(notice, compromised)/en-REGION.txt, chat/(heads_up, access_restricted, access_restored)/en-GB.txt, letter/(access_restricted, access_restored)/en-GB.txt, statement/TEMPLATE/en-GB.txt, discord/status.md, each at most 64 kB"
    )]
    Unknown(String),
    /// A locale without one of its files.
    #[error("{0} is missing: a locale has all three files of every kind")]
    Missing(String),
    /// What is wrong with the texts, one line each.
    #[error("{}", lines(.0))]
    Broken(Vec<Finding>),
    /// A stored template that cannot be read back.
    #[error("the stored template is no document of a template")]
    Document,
    /// A preview could not be written.
    #[error("writing {file}: {source}")]
    Write {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// A preview's letter could not be built.
    #[error(transparent)]
    Letter(#[from] letter::LetterError),
}

fn lines(findings: &[Finding]) -> String {
    findings
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

/// Why one letter cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// There are no texts in this locale.
    #[error("there is no {kind} in this locale")]
    Locale {
        /// The kind that was asked for.
        kind: NoticeKind,
    },
    /// A fact is missing or may not be printed.
    #[error("{kind}: {bad}")]
    Fact {
        /// The kind that was asked for.
        kind: NoticeKind,
        /// What is wrong with which fact.
        bad: BadFact,
    },
    /// A template stopped.
    #[error("{file}: line {line}: {reason}")]
    Template {
        /// The template.
        file: String,
        /// Its line, 0 if unknown.
        line: usize,
        /// What the template language says; never a value.
        reason: String,
    },
    /// The finished text breaks a rule.
    #[error("{kind}: rule {rule}: {reason}")]
    Rule {
        /// The kind that was asked for.
        kind: NoticeKind,
        /// The rule, 1 to 8.
        rule: u8,
        /// What is wrong; never the text itself.
        reason: &'static str,
    },
    /// A status post that may not be printed.
    #[error(transparent)]
    Status(#[from] BadStatus),
    /// An access notice that may not be printed.
    #[error(transparent)]
    Access(#[from] BadAccess),
    /// An announcement that breaks a rule.
    #[error("the announcement: rule {rule}: {reason}")]
    HeadsUp {
        /// The rule, 1 to 8.
        rule: u8,
        /// What is wrong; never the text itself.
        reason: &'static str,
    },
}

impl RenderError {
    /// Whether only this person's letter is concerned: a piece of work for a human being, not a reason to stop a campaign.
    pub const fn is_personal(&self) -> bool {
        match self {
            Self::Fact { bad, .. } => bad.is_personal(),
            // The constants and the templates passed this rule at start, so the person's facts break it.
            Self::Rule { .. } => true,
            Self::Locale { .. }
            | Self::Template { .. }
            | Self::Status(_)
            | Self::Access(_)
            | Self::HeadsUp { .. } => false,
        }
    }
}

/// All texts, compiled and checked.
pub struct Messages {
    env: Environment<'static>,
    sources: Sources,
    locales: Vec<String>,
}

impl std::fmt::Debug for Messages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Messages")
            .field("locales", &self.locales)
            .finish_non_exhaustive()
    }
}

impl Messages {
    /// Reads the built-in texts and those of `override_dir` over them, compiles, renders every sample, and lints.
    pub fn load(override_dir: Option<&Path>) -> Result<Self, MessagesError> {
        let sources = Sources::read(override_dir)?;
        let locales = sources.locales()?;
        let messages = Self {
            env: compile(&sources)?,
            sources,
            locales,
        };
        let mut findings = messages.check_sources();
        if findings.is_empty() {
            findings = messages.check_samples(None);
        }
        if findings.is_empty() {
            Ok(messages)
        } else {
            Err(MessagesError::Broken(findings))
        }
    }

    /// The locale to write to somebody in: theirs if there is one, else another of their language, else British English.
    pub fn locale(&self, wanted: Option<&str>) -> &str {
        let exact = |wanted: &str| {
            self.locales
                .iter()
                .find(|one| one.eq_ignore_ascii_case(wanted))
        };
        wanted
            .and_then(exact)
            .map_or(DEFAULT_LOCALE, String::as_str)
    }

    /// The locales there are.
    pub fn locales(&self) -> &[String] {
        &self.locales
    }

    /// Writes a person's letter. The same arguments give the same text; nothing is read but the arguments.
    pub fn render(
        &self,
        kind: NoticeKind,
        locale: &str,
        constants: &Constants,
        personal: &Personal,
    ) -> Result<Rendered, RenderError> {
        compose(&self.env, kind, locale, constants, personal)
    }

    /// Whether a person's letter can be written at all, its rules aside: only a fact about that person can break those.
    pub fn rehearse(
        &self,
        kind: NoticeKind,
        locale: &str,
        constants: &Constants,
        personal: &Personal,
    ) -> Result<(), RenderError> {
        fill_in(&self.env, kind, locale, constants, personal).map(|_| ())
    }

    /// Writes the words of the status post, as plain text: each channel escapes for itself.
    pub fn render_status(&self, status: &StatusContext) -> Result<String, RenderError> {
        let words = Value::from_serialize(status::StatusWords::new(status)?);
        let text = self
            .env
            .get_template(STATUS)
            .and_then(|template| template.render(words))
            .map_err(|error| stopped(&error))?;
        let text = text.trim().to_owned();
        if text.chars().count() > 600 {
            return Err(BadStatus::TooLong.into());
        }
        Ok(text)
    }

    /// The SHA-256 of [`Messages::document`]: covers the three files, the layout and the constants.
    pub fn template_hash(
        &self,
        kind: NoticeKind,
        locale: &str,
        constants: &Constants,
    ) -> Option<[u8; 32]> {
        self.document(kind, locale, constants)
            .map(|document| Sha256::digest(document).into())
    }

    /// Everything that a letter of this kind is made of but the person's facts, as one text to be kept under its hash.
    /// [`Frozen::read`] makes letters from it, whatever became of the texts since.
    pub fn document(
        &self,
        kind: NoticeKind,
        locale: &str,
        constants: &Constants,
    ) -> Option<String> {
        let [subject, text, html] = PARTS.map(|part| {
            let name = source::name(kind, locale, part);
            self.sources.0.get(&name).map(|source| source.text.clone())
        });
        let document = Document {
            kind,
            locale: locale.to_owned(),
            subject: subject?,
            text: text?,
            html: html?,
            layout: self
                .sources
                .0
                .iter()
                .filter(|(name, _)| name.starts_with(LAYOUT))
                .map(|(name, source)| (name.clone(), source.text.clone()))
                .collect(),
            constants: constants.clone(),
        };
        serde_json::to_string(&document).ok()
    }
}

/// What a letter is made of, as it is kept under its hash.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    kind: NoticeKind,
    locale: String,
    subject: String,
    text: String,
    html: String,
    layout: Vec<(String, String)>,
    constants: Constants,
}

/// One kind of letter as it was when a campaign was approved.
pub struct Frozen {
    env: Environment<'static>,
    kind: NoticeKind,
    locale: String,
    constants: Constants,
}

impl Frozen {
    /// Reads what [`Messages::document`] wrote. The caller compares the hash.
    pub fn read(document: &str) -> Result<Self, MessagesError> {
        let document: Document =
            serde_json::from_str(document).map_err(|_| MessagesError::Document)?;
        let mut sources = Sources::default();
        let parts = PARTS
            .map(|part| source::name(document.kind, &document.locale, part))
            .into_iter()
            .zip([document.subject, document.text, document.html]);
        for (name, text) in parts.chain(document.layout) {
            let shown = format!("stored {name}");
            sources.0.insert(name, Source { text, shown });
        }
        Ok(Self {
            env: compile(&sources)?,
            kind: document.kind,
            locale: document.locale,
            constants: document.constants,
        })
    }

    /// The kind of letter.
    pub const fn kind(&self) -> NoticeKind {
        self.kind
    }

    /// The locale it is written in.
    pub fn locale(&self) -> &str {
        &self.locale
    }

    /// Writes a person's letter, as [`Messages::render`] did when this was frozen. The rules were kept then; the caller
    /// compares the hash of the bytes, so they are not looked at again.
    pub fn render(&self, personal: &Personal) -> Result<Rendered, RenderError> {
        fill_in(
            &self.env,
            self.kind,
            &self.locale,
            &self.constants,
            personal,
        )
    }
}

fn compile(sources: &Sources) -> Result<Environment<'static>, MessagesError> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_auto_escape_callback(|name| {
        if name.ends_with(".html") {
            AutoEscape::Html
        } else {
            AutoEscape::None
        }
    });
    let mut findings = Vec::new();
    for (name, source) in &sources.0 {
        if let Err(error) = env.add_template_owned(name.clone(), source.text.clone()) {
            findings.push(Finding {
                file: source.shown.clone(),
                line: error.line(),
                rule: 3,
                // A template holds no facts, so what the compiler says about it can be shown whole.
                reason: error
                    .detail()
                    .map_or_else(|| error.kind().to_string(), str::to_owned),
            });
        }
    }
    if findings.is_empty() {
        Ok(env)
    } else {
        Err(MessagesError::Broken(findings))
    }
}

fn compose(
    env: &Environment<'static>,
    kind: NoticeKind,
    locale: &str,
    constants: &Constants,
    personal: &Personal,
) -> Result<Rendered, RenderError> {
    let letter = fill_in(env, kind, locale, constants, personal)?;
    match lint::rendered(&letter.subject, &letter.text) {
        Some((rule, reason)) => Err(RenderError::Rule { kind, rule, reason }),
        None => Ok(letter),
    }
}

fn fill_in(
    env: &Environment<'static>,
    kind: NoticeKind,
    locale: &str,
    constants: &Constants,
    personal: &Personal,
) -> Result<Rendered, RenderError> {
    let words = Words::new(kind, locale, constants, personal)
        .map_err(|bad| RenderError::Fact { kind, bad })?;
    // Once for all three parts.
    let words = Value::from_serialize(&words);
    let part = |part| {
        env.get_template(&source::name(kind, locale, part))
            .map_err(|error| match error.kind() {
                minijinja::ErrorKind::TemplateNotFound => RenderError::Locale { kind },
                _ => stopped(&error),
            })?
            .render(&words)
            .map_err(|error| stopped(&error))
    };
    let [subject, text, html] = PARTS;
    Ok(Rendered {
        subject: part(subject)?.trim_end().to_owned(),
        text: part(text)?,
        html: part(html)?,
    })
}

/// The template's place and the kind of error. Its detail could quote a value, so it is left out.
fn stopped(error: &minijinja::Error) -> RenderError {
    RenderError::Template {
        file: error.name().unwrap_or_default().to_owned(),
        line: error.line().unwrap_or_default(),
        reason: error.kind().to_string(),
    }
}
