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

fn is_plain(text: &str) -> bool {
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

fn language(text: &str) -> Result<Option<String>, RejectReason> {
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

fn time_zone(text: &str) -> Result<Option<String>, RejectReason> {
    match text.parse::<chrono_tz::Tz>() {
        Ok(zone) => Ok(Some(zone.name().to_owned())),
        Err(_) if text.is_empty() => Ok(None),
        Err(_) => Err(RejectReason::BadValue),
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
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const DIRECTORY: &str = include_str!("../../tests/evidence/directory.csv");

    fn all(
        bytes: &[u8],
        options: &PeopleOptions,
    ) -> Result<(Summary, Vec<PeopleItem>), DirectoryError> {
        let mut items = Vec::new();
        let summary = read(bytes, options, &mut |item| {
            items.push(item);
            ControlFlow::Continue(())
        })?;
        Ok((summary, items))
    }

    fn entries(text: &str) -> Vec<DirectoryEntry> {
        let (_, items) = all(text.as_bytes(), &PeopleOptions::default()).unwrap();
        items
            .into_iter()
            .map(|item| match item {
                PeopleItem::Entry { entry, .. } => *entry,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn the_sample_directory_has_the_accounts_that_its_page_counts() {
        let people = entries(DIRECTORY);
        let mut kinds = BTreeMap::new();
        for entry in &people {
            *kinds.entry((entry.kind.word(), entry.enabled)).or_insert(0) += 1;
        }
        assert_eq!(people.len(), 39);
        let expected = [
            (("admin", true), 1),
            (("builtin", false), 2),
            (("builtin", true), 1),
            (("machine", true), 2),
            (("person", false), 1),
            (("person", true), 29),
            (("service", true), 2),
            (("shared", false), 1),
        ];
        assert_eq!(kinds, BTreeMap::from(expected));

        let by_sam = |sam: &str| {
            people
                .iter()
                .find(|entry| entry.sam.as_deref() == Some(sam))
                .unwrap()
        };
        let muller = by_sam("müllerj");
        assert_eq!(muller.display_name.expose(), "Jürgen Müller");
        assert_eq!(muller.aliases[0].expose(), "j.mueller@parl.example");
        assert_eq!(
            by_sam("quinnq").display_name.expose(),
            "Quinn, Quentin (Rt Hon)"
        );
        assert_eq!(
            by_sam("hansard").owner_mail.as_ref().unwrap().expose(),
            "bea.bright@parl.example"
        );
        assert_eq!(by_sam("svc-backup").mail, None);
        assert!(by_sam("krbtgt").is_for_operators() && by_sam("PARLDC01$").is_for_operators());
    }

    #[test]
    fn columns_can_be_called_otherwise() {
        let options = PeopleOptions {
            columns: PeopleColumns {
                object_id: "Kennung".into(),
                mail: "E-Mail".into(),
                aliases: "proxyAddresses".into(),
                enabled: "aktiv".into(),
                ..PeopleColumns::default()
            },
            encoding: Encoding::Windows1252,
            default_kind: AccountKind::Person,
        };
        let text = b"sep=;\r\nKENNUNG;e-mail;proxyAddresses;aktiv;display_name;sam\r\n\
            7;a@x.example;SMTP:a@x.example;ja;J\xFCrgen;j\r\n\
            8;;smtp:b@x.example|smtp:c@x.example,d@x.example X500:/o=x;nein;Bea;PC$\r\n";
        let (summary, items) = all(text, &options).unwrap();
        assert_eq!(
            summary,
            Summary {
                rows: 2,
                ..Summary::default()
            }
        );
        let [
            PeopleItem::Entry {
                line: 3,
                entry: first,
            },
            PeopleItem::Entry {
                line: 4,
                entry: second,
            },
        ] = &items[..]
        else {
            panic!("{items:?}");
        };
        assert_eq!(
            (first.display_name.expose(), first.kind, first.enabled),
            ("Jürgen", AccountKind::Person, true)
        );
        let addresses: Vec<_> = second.aliases.iter().map(EmailAddress::expose).collect();
        assert_eq!(addresses, ["b@x.example", "c@x.example", "d@x.example"]);
        assert_eq!((second.kind, second.enabled), (AccountKind::Machine, false));
    }

    #[test]
    fn a_bad_cell_costs_the_cell_and_a_bad_line_the_line() {
        let text = "object_id,mail,aliases,kind,enabled,time_zone,language\n\
            1,no address,x y@z.example,king,perhaps,Mars/Olympus,not a language\n\
            ,a@x.example,,person,true,,\n\
            2,a@x.example,,person,true,Europe/London,en-GB\n\
            3,a@x.example\n";
        let (summary, items) = all(text.as_bytes(), &PeopleOptions::default()).unwrap();
        assert_eq!(
            summary,
            Summary {
                rows: 2,
                rejects: 2,
                flaws: 6,
                ..Summary::default()
            }
        );
        let flaws = items
            .iter()
            .filter(|item| matches!(item, PeopleItem::Flaw(reject) if reject.line == 2))
            .count();
        assert_eq!(flaws, 6);
        let rejects: Vec<_> = items
            .iter()
            .filter_map(|item| match item {
                PeopleItem::Reject(reject) => Some((reject.line, reject.reason)),
                _ => None,
            })
            .collect();
        assert_eq!(
            rejects,
            [(3, RejectReason::NoKey), (5, RejectReason::Malformed)]
        );
        let shown = format!("{items:?}");
        assert!(
            !shown.contains("no address")
                && !shown.contains("perhaps")
                && !shown.contains("Olympus")
        );
    }

    #[test]
    fn files_that_are_no_staff_directory_are_refused() {
        let refused = |text: &str| {
            all(text.as_bytes(), &PeopleOptions::default())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            refused("mail,sid\na@x.example,S-1\n"),
            "no column is called \"object_id\", which is to hold object_id"
        );
        assert_eq!(refused("<html>"), DirectoryError::WebPage.to_string());
        assert_eq!(refused("\n"), DirectoryError::Empty.to_string());
        assert_eq!(
            refused("\"Length\"\n\"11\"\n"),
            DirectoryError::TypeNames.to_string()
        );
    }

    #[test]
    fn a_column_that_was_asked_for_must_be_there_and_a_secret_one_never_is() {
        let with = |department: &str| PeopleOptions {
            columns: PeopleColumns {
                department: department.into(),
                ..PeopleColumns::default()
            },
            ..PeopleOptions::default()
        };
        let text = b"object_id,Passwort\n1,FAKE-1\n";
        assert!(matches!(
            all(text, &with("Abteilung")),
            Err(DirectoryError::NoColumn {
                field: "department",
                ..
            })
        ));
        assert!(matches!(
            all(text, &with("Passwort")),
            Err(DirectoryError::SecretColumn {
                field: "department"
            })
        ));
        let (_, items) = all(text, &PeopleOptions::default()).unwrap();
        let PeopleItem::Entry { entry, .. } = &items[0] else {
            panic!()
        };
        assert!(!format!("{entry:?}").contains("FAKE"));
        assert!(entry.department.is_empty());
    }

    #[test]
    fn reading_stops_when_told_to() {
        let mut seen = 0;
        let summary = read(DIRECTORY.as_bytes(), &PeopleOptions::default(), &mut |_| {
            seen += 1;
            if seen == 3 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
        .unwrap();
        assert_eq!((seen, summary.rows, summary.stopped), (3, 3, true));
    }

    #[test]
    fn a_large_directory_is_read_line_by_line() {
        /// Lines made on demand, so that only the reader could keep them.
        struct Endless(u64, Vec<u8>);
        impl Read for Endless {
            fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
                if self.1.is_empty() && self.0 < 50_000 {
                    self.0 += 1;
                    self.1 = format!("{},p{}@parl.example,Person {}\n", self.0, self.0, self.0)
                        .into_bytes();
                }
                let count = into.len().min(self.1.len());
                into[..count].copy_from_slice(&self.1[..count]);
                self.1.drain(..count);
                Ok(count)
            }
        }
        let input = b"object_id,mail,display_name\n".chain(Endless(0, Vec::new()));
        let mut last = String::new();
        let summary = read(input, &PeopleOptions::default(), &mut |item| {
            if let PeopleItem::Entry { entry, .. } = item {
                last = entry.object_id;
            }
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!((summary.rows, last.as_str()), (50_000, "50000"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..400), headed: bool, ansi: bool,
        ) {
            let mut text = if headed { b"object_id,mail,aliases,enabled\n".to_vec() } else { Vec::new() };
            text.extend(bytes);
            let encoding = if ansi { Encoding::Windows1252 } else { Encoding::Utf8 };
            let _ = all(&text, &PeopleOptions { encoding, ..PeopleOptions::default() });
        }

        #[test]
        fn any_damage_to_a_good_file_costs_a_few_lines(at in 0_usize..5_000, byte: u8) {
            let mut text = DIRECTORY.as_bytes().to_vec();
            let header = DIRECTORY.find('\n').unwrap() + 1;
            let at = header + at % (text.len() - header);
            text[at] = byte;
            if byte != 0 {
                let (summary, _) = all(&text, &PeopleOptions::default()).unwrap();
                prop_assert!(summary.rows >= 37, "{summary:?}");
            }
        }
    }
}
