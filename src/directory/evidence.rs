//! Evidence: what directories say about passwords, in the normal form, as CSV or one JSON object a line, and in the
//! [forms](Form) that directories themselves write.
//!
//! | column | it holds |
//! |---|---|
//! | `account` `email` `upn` `sid` `object_id` | who; at least one, and all must name the same account |
//! | `realm` | the password store, if the file describes several |
//! | `changed_at` | the last change; empty is unknown, `0` or `never` is a directory's zero date ("must change") |
//! | `precision` | `second`, `minute` or `day`, if the source is less exact than it writes |
//! | `secret_changed_at` | when the secret itself changed, if the directory tells |
//! | `must_change` | a change is demanded at the next sign-in |
//! | `disabled` | one cannot sign in |
//! | `exists` | `no` only if the deletion is confirmed by id |
//! | `sessions_valid_from` | sessions opened before have ended |
//! | `actor` | `self`, `admin` or `unknown` |
//!
//! Whatever else is there is passed over unread. A line with a time or word that cannot be understood is left out:
//! half understood evidence could close a case.

use std::io::Read;
use std::ops::ControlFlow;

use chrono_tz::Tz;
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::bytes::Bytes;
use super::table::{Cells, Row, Table};
use super::{DirectoryError, Encoding, Summary, when, yes_or_no};
use crate::domain::Moment;
use crate::domain::evidence::{Actor, DateOrder, Evidence, Form, Part, Synchronised};
use crate::domain::finding::{Precision, Reject, RejectReason};
use crate::domain::identity::{Key, KeyKind, Realm};

mod detect;
mod entry;
pub(super) mod forms;
mod freeipa;
mod get_ad_user;
mod google;
pub(super) mod graph;
pub(super) mod json;
pub(super) mod keycloak;
mod ldif;
mod netexec;
mod okta;
pub(super) mod record;
mod unix;
mod windows;

pub use record::Told;

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident)*) => {
        /// What the columns of a CSV file are called. An empty name means that there is no such column; a name that
        /// differs from the default must be there. JSON lines have the default names.
        #[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct EvidenceColumns { $($(#[$doc])* pub $name: String,)* }

        impl Default for EvidenceColumns {
            fn default() -> Self {
                Self { $($name: stringify!($name).to_owned(),)* }
            }
        }

        /// Where the columns are.
        struct Places { $($name: Option<usize>,)* }

        impl Places {
            fn find<R: Read>(columns: &EvidenceColumns, table: &Table<R>) -> Result<Self, DirectoryError> {
                Ok(Self { $($name: place(table, stringify!($name), &columns.$name)?,)* })
            }

            fn take(&self, cells: &Cells) -> Raw {
                Raw { $($name: cells.get(self.$name).to_owned(),)* }
            }
        }

        /// One record's texts; what is not given is empty.
        #[derive(Default)]
        struct Raw { $($name: String,)* }

        impl<'de> Visitor<'de> for RawVisitor {
            type Value = Raw;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("one record of evidence")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
                let mut raw = Raw::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        $(stringify!($name) if raw.$name.is_empty() => raw.$name = map.next_value::<Word>()?.0,)*
                        $(stringify!($name) => return Err(de::Error::duplicate_field(stringify!($name))),)*
                        _ => { map.next_value::<IgnoredAny>()?; }
                    }
                }
                Ok(raw)
            }
        }
    };
}

struct RawVisitor;

fields! {
    /// A login: `PREFIX\name`, `name@suffix` or a bare name.
    account
    /// Mail address.
    email
    /// Windows security identifier.
    sid
    /// The directory's immutable id.
    object_id
    /// User principal name.
    upn
    /// The password store.
    realm
    /// The last change.
    changed_at
    /// How exactly.
    precision
    /// The secret's own last change.
    secret_changed_at
    /// A change is demanded at the next sign-in.
    must_change
    /// One cannot sign in.
    disabled
    /// The account exists.
    exists
    /// Sessions opened before have ended.
    sessions_valid_from
    /// Who changed it.
    actor
}

/// How to read evidence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EvidenceOptions {
    /// What the columns of a CSV file are called.
    pub columns: EvidenceColumns,
    /// The characters of a CSV file without a mark. JSON is always UTF-8.
    pub encoding: Encoding,
    /// The zone of times that are written without one.
    pub zone: Tz,
    /// When the source was read.
    pub observed_at: Moment,
    /// In what it is written; if none is named, what it begins with shows it.
    pub form: Option<Form>,
    /// Whose it is, where the file names nobody.
    pub account: Option<String>,
    /// What is believed of users whose password another directory keeps.
    pub synchronised: Synchronised,
    /// Whether the day or the month comes first, where no date of the file shows it.
    pub date_order: Option<DateOrder>,
}

impl EvidenceOptions {
    /// The normal form, in UTC.
    pub fn observed_at(observed_at: Moment) -> Self {
        Self {
            columns: EvidenceColumns::default(),
            encoding: Encoding::default(),
            zone: Tz::UTC,
            observed_at,
            form: None,
            account: None,
            synchronised: Synchronised::default(),
            date_order: None,
        }
    }
}

/// What one line says about one account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EvidenceRow {
    /// Line of the file, from 1.
    pub line: u64,
    /// All names that the line gives the account. They must agree.
    pub keys: Vec<Key>,
    /// The password store, if the line says; else the source's.
    pub realm: Option<Realm>,
    /// The facts.
    pub evidence: Evidence,
}

/// What a source that knows only a part says about one account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartRow {
    /// Line, or record, of the file, from 1.
    pub line: u64,
    /// All names that it gives the account. They must agree.
    pub keys: Vec<Key>,
    /// The facts it knows.
    pub part: Part,
}

/// What is found on the way through the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EvidenceItem {
    /// A line that can be used.
    Row(EvidenceRow),
    /// The same, of a source that does not know everything.
    Part(PartRow),
    /// A line that cannot.
    Reject(Reject),
}

/// Reads evidence, and hands on what it finds until it is told to stop.
///
/// An error may come after lines were handed on, so whoever saves them does so in one transaction.
pub fn read(
    input: impl Read,
    options: &EvidenceOptions,
    emit: &mut dyn FnMut(EvidenceItem) -> ControlFlow<()>,
) -> Result<Summary, DirectoryError> {
    let bytes = Bytes::open_any(input)?;
    let form = options
        .form
        .unwrap_or_else(|| match detect::detect(bytes.window()) {
            // Whoever names columns means a table that has them.
            Form::GetAdUser if options.columns != EvidenceColumns::default() => Form::Csv,
            form => form,
        });
    let is_markup = bytes.window().trim_ascii_start().starts_with(b"<");
    if is_markup && form != Form::WindowsEvents {
        return Err(DirectoryError::WebPage);
    }
    let mut hand_on = HandOn {
        options,
        summary: Summary::default(),
        emit,
    };
    match form {
        Form::Csv => read_csv(bytes, &mut hand_on)?,
        Form::Jsonl => read_json_lines(bytes, &mut hand_on)?,
        form => forms::read(form, bytes, &mut hand_on)?,
    }
    Ok(hand_on.summary)
}

struct HandOn<'a> {
    options: &'a EvidenceOptions,
    summary: Summary,
    emit: &'a mut dyn FnMut(EvidenceItem) -> ControlFlow<()>,
}

impl HandOn<'_> {
    fn item(&mut self, item: EvidenceItem) -> ControlFlow<()> {
        match &item {
            EvidenceItem::Row(_) | EvidenceItem::Part(_) => self.summary.rows += 1,
            EvidenceItem::Reject(reject) => {
                self.summary.rejects += 1;
                self.summary.truncated |= reject.reason == RejectReason::Truncated;
            }
        }
        let flow = (self.emit)(item);
        self.summary.stopped = flow.is_break();
        flow
    }

    fn record(&mut self, line: u64, raw: Result<Raw, RejectReason>) -> ControlFlow<()> {
        self.item(match raw.and_then(|raw| row(line, &raw, self.options)) {
            Ok(row) => EvidenceItem::Row(row),
            Err(reason) => EvidenceItem::Reject(Reject { line, reason }),
        })
    }
}

fn read_csv<R: Read>(bytes: Bytes<R>, hand_on: &mut HandOn<'_>) -> Result<(), DirectoryError> {
    let mut table = Table::open(bytes, hand_on.options.encoding)?;
    let columns = &hand_on.options.columns;
    let places = Places::find(columns, &table)?;
    let names = [
        places.account,
        places.email,
        places.sid,
        places.object_id,
        places.upn,
    ];
    let missing = if names.iter().all(Option::is_none) {
        Some(("account", &columns.account))
    } else if places.changed_at.is_none() {
        Some(("changed_at", &columns.changed_at))
    } else {
        None
    };
    if let Some((field, column)) = missing {
        return Err(DirectoryError::NoColumn {
            field,
            column: column.clone(),
        });
    }
    let mut cells = Cells::new();
    while let Some(row) = table.row(&mut cells)? {
        let flow = match row {
            Row::Cells(line) => hand_on.record(line, Ok(places.take(&cells))),
            Row::Bad(reject) => hand_on.record(reject.line, Err(reject.reason)),
        };
        hand_on.summary.truncated |= table.truncated;
        if flow.is_break() {
            break;
        }
    }
    Ok(())
}

fn read_json_lines<R: Read>(
    mut bytes: Bytes<R>,
    hand_on: &mut HandOn<'_>,
) -> Result<(), DirectoryError> {
    while let Some((span, parsed)) =
        bytes.take_line(|line| serde_json::from_slice::<Raw>(line).ok())?
    {
        let raw = match parsed {
            Ok(Some(raw)) => Ok(raw),
            Ok(None) if span.is_cut => Err(RejectReason::Truncated),
            Ok(None) => return Err(DirectoryError::Json { line: span.line }),
            Err(reason) => Err(reason),
        };
        if hand_on.record(span.line, raw).is_break() {
            break;
        }
    }
    Ok(())
}

/// Where a column is. Names are kept and shown, so they are not read from a column that looks like a secret.
fn place<R: Read>(
    table: &Table<R>,
    field: &'static str,
    column: &str,
) -> Result<Option<usize>, DirectoryError> {
    match field {
        "account" | "email" | "sid" | "object_id" | "upn" | "realm" => table.place(field, column),
        _ => table.time_place(field, column),
    }
}

/// One record as evidence.
fn row(line: u64, raw: &Raw, options: &EvidenceOptions) -> Result<EvidenceRow, RejectReason> {
    let keys: Vec<Key> = [
        Key::new(KeyKind::ObjectId, &raw.object_id),
        Key::new(KeyKind::Sid, &raw.sid),
        Key::new(KeyKind::Upn, &raw.upn),
        Key::login(&raw.account),
        Key::new(KeyKind::Email, &raw.email),
    ]
    .into_iter()
    .flatten()
    .collect();
    if keys.is_empty() {
        return Err(RejectReason::NoKey);
    }
    let precision = match raw.precision.trim() {
        "" => None,
        word => Some(Precision::from_word(&word.to_lowercase()).ok_or(RejectReason::BadValue)?),
    };
    let time = |text: &str| match text.trim() {
        "" => Ok(None),
        text => when::parse(text, options.zone, None)
            .map(|told| Some(told.lo))
            .ok_or(RejectReason::BadDate),
    };
    let date_is_zero = matches!(raw.changed_at.trim(), "0" | "never" | "<never>");
    let changed = match raw.changed_at.trim() {
        "" => None,
        _ if date_is_zero => None,
        text => Some(when::parse(text, options.zone, precision).ok_or(RejectReason::BadDate)?),
    };
    Ok(EvidenceRow {
        line,
        keys,
        realm: Some(raw.realm.trim())
            .filter(|realm| !realm.is_empty())
            .map(|realm| Realm(realm.to_owned())),
        evidence: Evidence {
            changed,
            secret_changed_at: time(&raw.secret_changed_at)?,
            pending: flag(&raw.must_change, false)?,
            date_is_zero,
            disabled: flag(&raw.disabled, false)?,
            exists: flag(&raw.exists, true)?,
            sessions_valid_from: time(&raw.sessions_valid_from)?,
            actor: actor(&raw.actor)?,
            observed_at: options.observed_at,
        },
    })
}

fn flag(text: &str, if_empty: bool) -> Result<bool, RejectReason> {
    match text.trim() {
        "" => Ok(if_empty),
        word => yes_or_no(word).ok_or(RejectReason::BadValue),
    }
}

fn actor(text: &str) -> Result<Actor, RejectReason> {
    match text.trim().to_lowercase().as_str() {
        "self" | "myself" => Ok(Actor::Myself),
        "admin" => Ok(Actor::Admin),
        "" | "unknown" => Ok(Actor::Unknown),
        _ => Err(RejectReason::BadValue),
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_map(RawVisitor)
    }
}

/// A JSON value that is one word: text, a number, yes or no, or nothing.
struct Word(String);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Any {
            Text(String),
            Number(serde_json::Number),
            Flag(bool),
            Nothing(()),
        }
        Ok(Self(match Any::deserialize(input)? {
            Any::Text(text) => text,
            Any::Number(number) => number.to_string(),
            Any::Flag(flag) => flag.to_string(),
            Any::Nothing(()) => String::new(),
        }))
    }
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
