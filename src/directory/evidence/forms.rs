//! Forms: files as directories and logs write them → what they say, each form by its own reader.

use std::collections::BTreeMap;
use std::io::Read;
use std::ops::ControlFlow;

use serde_json::Value;

use super::json::{Document, Shape, records};
use super::record::{Record, Spoken, Told};
use super::{
    EvidenceItem, EvidenceOptions, EvidenceRow, HandOn, PartRow, freeipa, get_ad_user, google,
    graph, keycloak, ldif, netexec, okta, unix, windows,
};
use crate::directory::DirectoryError;
use crate::directory::bytes::Bytes;
use crate::domain::evidence::Form;
use crate::domain::finding::{Reject, RejectReason};

/// How the records of a JSON document are read.
#[derive(Clone, Copy)]
pub(in crate::directory) struct JsonForm {
    /// Where they are, and what is kept of them.
    pub shape: Shape,
    /// What one says.
    pub one: fn(&Value, &EvidenceOptions) -> Spoken,
    /// Each is an act, and several may be about one account.
    pub is_log: bool,
}

impl Form {
    /// How a JSON document of this form is read; none if the form is no such document.
    pub(in crate::directory) fn json(self) -> Option<JsonForm> {
        let form = |shape, one, is_log| Some(JsonForm { shape, one, is_log });
        match self {
            Self::GraphUsers => form(graph::USERS, graph::user, false),
            Self::EntraAudits => form(graph::AUDITS, graph::audit, true),
            Self::OktaUsers => form(okta::USERS, okta::user, false),
            Self::OktaLog => form(okta::LOG, okta::event, true),
            Self::KeycloakUsers => form(keycloak::USERS, keycloak::user, false),
            Self::GoogleUsers => form(google::USERS, google::user, false),
            Self::GoogleActivities => form(google::ACTIVITIES, google::activity, true),
            Self::Freeipa => form(freeipa::USERS, freeipa::user, false),
            Self::Csv
            | Self::Jsonl
            | Self::Ldif
            | Self::GetAdUser
            | Self::NetexecUsers
            | Self::WindowsEvents
            | Self::Shadow
            | Self::PasswdStatus
            | Self::Chage => None,
        }
    }
}

/// What was said, on its way out: acts wait until all of them were read, so that those of one account are one.
#[derive(Default)]
pub(in crate::directory) struct Said {
    acts: BTreeMap<String, PartRow>,
}

impl Said {
    /// What is to be handed on at once; nothing if the record says nothing, or waits.
    pub fn take(&mut self, line: u64, spoken: Spoken, is_log: bool) -> Option<EvidenceItem> {
        let Record { keys, told } = match spoken {
            Ok(record) => record?,
            Err(reason) => return Some(EvidenceItem::Reject(Reject { line, reason })),
        };
        let part = match told {
            Told::All(evidence) => {
                return Some(EvidenceItem::Row(EvidenceRow {
                    line,
                    keys,
                    realm: None,
                    evidence,
                }));
            }
            Told::Part(part) => part,
        };
        if !is_log {
            return Some(EvidenceItem::Part(PartRow { line, keys, part }));
        }
        let name = keys.first().map(|key| key.folded()).unwrap_or_default();
        let row = match self.acts.remove(&name) {
            Some(before) => PartRow {
                line: before.line.min(line),
                part: before.part.and(part),
                keys: before.keys,
            },
            None => PartRow { line, keys, part },
        };
        self.acts.insert(name, row);
        None
    }

    /// What has waited.
    pub fn rest(self) -> impl Iterator<Item = EvidenceItem> {
        self.acts.into_values().map(EvidenceItem::Part)
    }
}

/// Reads one document, or page, of JSON.
pub(in crate::directory) fn read_json(
    input: impl Read,
    form: JsonForm,
    options: &EvidenceOptions,
    each: &mut dyn FnMut(u64, Spoken) -> ControlFlow<()>,
) -> Result<Document, DirectoryError> {
    records(input, form.shape, &mut |line, record| {
        each(line, record.and_then(|record| (form.one)(&record, options)))
    })
}

/// Reads a file of any form but our own.
pub(super) fn read<R: Read>(
    form: Form,
    bytes: Bytes<R>,
    hand_on: &mut HandOn<'_>,
) -> Result<(), DirectoryError> {
    let options = hand_on.options;
    let mut said = Said::default();
    let is_log = form == Form::WindowsEvents || form.json().is_some_and(|json| json.is_log);
    let mut each = |line: u64, spoken: Spoken| match said.take(line, spoken, is_log) {
        Some(item) => hand_on.item(item),
        None => ControlFlow::Continue(()),
    };
    let is_whole = match form.json() {
        Some(json) => {
            let document = read_json(bytes, json, options, &mut each)?;
            // Google leaves out a list that would be empty.
            if !document.found && !is_log && form != Form::GoogleUsers {
                return Err(DirectoryError::NoRecords);
            }
            document.next.is_none() && !document.truncated
        }
        None => read_text(form, bytes, options, &mut each)?,
    };
    hand_on.summary.truncated |= !is_whole;
    for item in said.rest() {
        if hand_on.summary.stopped || hand_on.item(item).is_break() {
            break;
        }
    }
    Ok(())
}

/// True if nothing of it is missing.
fn read_text<R: Read>(
    form: Form,
    bytes: Bytes<R>,
    options: &EvidenceOptions,
    each: &mut dyn FnMut(u64, Spoken) -> ControlFlow<()>,
) -> Result<bool, DirectoryError> {
    let mut chage = unix::Chage::default();
    let mut table = netexec::Table::default();
    match form {
        Form::Ldif => ldif::read(bytes, options, each),
        Form::GetAdUser => get_ad_user::read(bytes, options, each),
        Form::WindowsEvents => windows::read(bytes, options, each).map(|()| true),
        Form::Shadow => lines(bytes, each, |line| unix::shadow(line, options)),
        Form::PasswdStatus => lines(bytes, each, |line| unix::passwd_status(line, options)),
        Form::Chage => lines(bytes, each, |line| chage.line(line, options)),
        Form::NetexecUsers => lines(bytes, each, |line| table.line(line, options)),
        Form::Csv
        | Form::Jsonl
        | Form::GraphUsers
        | Form::EntraAudits
        | Form::OktaUsers
        | Form::OktaLog
        | Form::KeycloakUsers
        | Form::GoogleUsers
        | Form::GoogleActivities
        | Form::Freeipa => Ok(true),
    }
}

fn lines<R: Read>(
    mut bytes: Bytes<R>,
    each: &mut dyn FnMut(u64, Spoken) -> ControlFlow<()>,
    mut one: impl FnMut(&[u8]) -> Spoken,
) -> Result<bool, DirectoryError> {
    while let Some((span, said)) = bytes.take_line(&mut one)? {
        let spoken = match said {
            Ok(Err(_)) if span.is_cut => Err(RejectReason::Truncated),
            Ok(spoken) => spoken,
            Err(reason) => Err(reason),
        };
        if each(span.line, spoken).is_break() {
            break;
        }
    }
    Ok(true)
}
