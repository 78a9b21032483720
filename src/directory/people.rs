//! People: the staff directory's CSV export, one entry a line.

use std::io::Read;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::bytes::Bytes;
use super::table::{Cells, Row, Table};
use super::{DirectoryError, Encoding, Summary, yes_or_no};
use crate::domain::address::{EmailAddress, PersonName, is_bidi};
use crate::domain::finding::{Reject, RejectReason};
use crate::domain::person::{AccountKind, DirectoryEntry};
use crate::domain::{Mobile, Room};

/// The most characters of an id or a name; a longer one is no name.
const MOST_CHARACTERS: usize = 256;

macro_rules! columns {
    ($($(#[$doc:meta])* $field:ident)*) => {
        /// What the columns are called. An empty name means that there is no such column. Only the id is needed; a name
        /// that differs from the default must be there, as somebody wrote it down.
        #[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct PeopleColumns { $($(#[$doc])* pub $field: String,)* }

        impl Default for PeopleColumns {
            fn default() -> Self {
                Self { $($field: stringify!($field).to_owned(),)* }
            }
        }

        /// Where the columns are.
        struct Places { $($field: Option<usize>,)* }

        impl Places {
            fn find<R: Read>(columns: &PeopleColumns, table: &Table<R>) -> Result<Self, DirectoryError> {
                Ok(Self { $($field: table.place(stringify!($field), &columns.$field)?,)* })
            }
        }
    };
}

columns! {
    /// The directory's immutable id.
    object_id
    /// Windows security identifier.
    sid
    /// Name without its domain.
    sam
    /// User principal name.
    upn
    /// Primary address.
    mail
    /// Further addresses, separated by `;` `,` `|` or blanks.
    aliases
    /// An address outside this directory.
    second_mail
    /// The mobile that a text goes to, with its country's code.
    mobile
    /// Where the internal post leaves a letter: one line.
    room
    /// Which round of the internal post that is.
    building
    /// The name that people know.
    display_name
    /// Where they work.
    department
    /// What the account is for, in the words of [`AccountKind::word`].
    kind
    /// Whether one can sign in.
    enabled
    /// Who answers for an account that is nobody's own.
    owner_mail
    /// Their manager.
    manager_mail
    /// Who reads their mailbox for them.
    delegate_mail
    /// Language tag.
    language
    /// IANA zone.
    time_zone
}

/// How to read a staff directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeopleOptions {
    /// What the columns are called.
    pub columns: PeopleColumns,
    /// The characters of a file without a mark.
    pub encoding: Encoding,
    /// What an account is for if the file has no such column. An unknown kind gets no mail at its own address.
    pub default_kind: AccountKind,
}

impl Default for PeopleOptions {
    fn default() -> Self {
        Self {
            columns: PeopleColumns::default(),
            encoding: Encoding::default(),
            default_kind: AccountKind::Unknown,
        }
    }
}

/// What is found on the way through the file.
#[derive(Clone, PartialEq, Debug)]
pub enum PeopleItem {
    /// An account.
    Entry {
        /// Line of the file, from 1.
        line: u64,
        /// What it says.
        entry: Box<DirectoryEntry>,
    },
    /// One cell of the entry that follows could not be used and is left empty: without it the account still exists.
    Flaw(Reject),
    /// A line that could not be used at all.
    Reject(Reject),
}

/// Reads a staff directory, and hands on what it finds until it is told to stop.
///
/// An error may come after lines were handed on, so whoever saves them does so in one transaction.
pub fn read(
    input: impl Read,
    options: &PeopleOptions,
    emit: &mut dyn FnMut(PeopleItem) -> ControlFlow<()>,
) -> Result<Summary, DirectoryError> {
    let mut table = Table::open(Bytes::open(input)?, options.encoding)?;
    let places = Places::find(&options.columns, &table)?;
    if places.object_id.is_none() {
        return Err(DirectoryError::NoColumn {
            field: "object_id",
            column: options.columns.object_id.clone(),
        });
    }
    let mut cells = Cells::new();
    let mut flaws = Vec::new();
    let mut summary = Summary::default();
    while let Some(row) = table.row(&mut cells)? {
        flaws.clear();
        let made = match row {
            Row::Bad(reject) => Err(reject),
            Row::Cells(line) => entry(&cells, &places, options.default_kind, &mut flaws)
                .map(|entry| (line, entry))
                .map_err(|reason| Reject { line, reason }),
        };
        summary.truncated |= table.truncated;
        let items = match made {
            Err(reject) => {
                summary.rejects += 1;
                vec![PeopleItem::Reject(reject)]
            }
            Ok((line, entry)) => {
                summary.rows += 1;
                summary.flaws += flaws.len() as u64;
                let flaw = |&reason: &RejectReason| PeopleItem::Flaw(Reject { line, reason });
                let entry = Box::new(entry);
                let entry = PeopleItem::Entry { line, entry };
                flaws.iter().map(flaw).chain([entry]).collect()
            }
        };
        for item in items {
            if emit(item).is_break() {
                summary.stopped = true;
                return Ok(summary);
            }
        }
    }
    Ok(summary)
}

/// One line as an entry. What makes it unusable is an error, what only costs a cell is a flaw.
fn entry(
    cells: &Cells,
    places: &Places,
    default_kind: AccountKind,
    flaws: &mut Vec<RejectReason>,
) -> Result<DirectoryEntry, RejectReason> {
    let object_id = match cells.get(places.object_id) {
        "" => return Err(RejectReason::NoKey),
        id if is_plain(id) => id.to_owned(),
        _ => return Err(RejectReason::Malformed),
    };
    let mut or_flaw = |value: Result<Option<String>, RejectReason>| {
        value.unwrap_or_else(|reason| {
            flaws.push(reason);
            None
        })
    };
    let sid = or_flaw(name(cells.get(places.sid)));
    let sam = or_flaw(name(cells.get(places.sam)));
    let upn = or_flaw(name(cells.get(places.upn)));
    let language = or_flaw(language(cells.get(places.language)));
    let time_zone = or_flaw(time_zone(cells.get(places.time_zone)));
    let mut kind = match cells.get(places.kind) {
        "" if places.kind.is_none() => default_kind,
        "" => AccountKind::Unknown,
        word => AccountKind::from_word(&word.to_lowercase()).unwrap_or_else(|| {
            flaws.push(RejectReason::BadValue);
            AccountKind::Unknown
        }),
    };
    let is_machine_name = sam.as_deref().is_some_and(|sam| sam.ends_with('$'));
    if is_machine_name && (kind == AccountKind::Unknown || places.kind.is_none()) {
        kind = AccountKind::Machine;
    }
    let enabled = match cells.get(places.enabled) {
        "" => true,
        // Telling somebody who cannot sign in does less harm than not telling somebody who can.
        word => yes_or_no(word).unwrap_or_else(|| {
            flaws.push(RejectReason::BadValue);
            true
        }),
    };
    let mut address = |cell: &str| match cell {
        "" => None,
        text => EmailAddress::parse(text)
            .map_err(|_| flaws.push(RejectReason::BadAddress))
            .ok(),
    };
    Ok(DirectoryEntry {
        object_id,
        sid,
        sam,
        upn,
        mail: address(cells.get(places.mail)),
        aliases: aliases(cells.get(places.aliases))
            .filter_map(&mut address)
            .collect(),
        second_mail: address(cells.get(places.second_mail)),
        owner_mail: address(cells.get(places.owner_mail)),
        manager_mail: address(cells.get(places.manager_mail)),
        delegate_mail: address(cells.get(places.delegate_mail)),
        mobile: mobile(cells.get(places.mobile)).unwrap_or_else(|reason| {
            flaws.push(reason);
            None
        }),
        room: Room::new(cells.get(places.room)),
        building: Some(
            PersonName::new(cells.get(places.building))
                .expose()
                .to_owned(),
        )
        .filter(|building| !building.is_empty()),
        display_name: PersonName::new(cells.get(places.display_name)),
        // A department goes into reports and letters, so it is cleaned as a name is.
        department: PersonName::new(cells.get(places.department))
            .expose()
            .to_owned(),
        kind,
        enabled,
        language,
        time_zone,
    })
}

pub(super) fn is_plain(text: &str) -> bool {
    text.chars().count() <= MOST_CHARACTERS
        && !text
            .chars()
            .any(|c| c.is_control() || is_bidi(c) || c == '\u{FFFD}')
}

fn name(text: &str) -> Result<Option<String>, RejectReason> {
    match text {
        "" => Ok(None),
        text if is_plain(text) => Ok(Some(text.to_owned())),
        _ => Err(RejectReason::Malformed),
    }
}

pub(super) fn language(text: &str) -> Result<Option<String>, RejectReason> {
    let is_tag = text.len() <= 35
        && text.split('-').all(|part| {
            (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
    match text {
        "" => Ok(None),
        text if is_tag => Ok(Some(text.to_owned())),
        _ => Err(RejectReason::BadValue),
    }
}

pub(super) fn time_zone(text: &str) -> Result<Option<String>, RejectReason> {
    match text.parse::<chrono_tz::Tz>() {
        Ok(zone) => Ok(Some(zone.name().to_owned())),
        Err(_) if text.is_empty() => Ok(None),
        Err(_) => Err(RejectReason::BadValue),
    }
}

/// A number that cannot be dialled from anywhere costs its cell, not the line.
pub(super) fn mobile(text: &str) -> Result<Option<Mobile>, RejectReason> {
    match text {
        "" => Ok(None),
        text => Mobile::parse(text)
            .map(Some)
            .map_err(|_| RejectReason::BadValue),
    }
}

/// The addresses of a list. Active Directory writes `smtp:` before each, and names other than mail's beside them.
fn aliases(list: &str) -> impl Iterator<Item = &str> {
    list.split(|c: char| matches!(c, ';' | ',' | '|') || c.is_whitespace())
        .filter_map(|alias| match alias.split_once(':') {
            Some((scheme, address)) if scheme.eq_ignore_ascii_case("smtp") => Some(address),
            Some(_) => None,
            None => Some(alias),
        })
        .filter(|alias| !alias.is_empty())
}

#[cfg(test)]
mod tests;
