//! Get-ADUser: what `Get-ADUser … | Export-Csv` writes. The raw `pwdLastSet` is believed; without it the date that
//! PowerShell wrote, in the order and the zone of whoever ran it.

use std::io::Read;
use std::ops::ControlFlow;

use super::EvidenceOptions;
use super::record::{Record, Spoken, Told, id, mail};
use crate::directory::bytes::Bytes;
use crate::directory::stamps::{Local, filetime};
use crate::directory::table::{Cells, Row, Table};
use crate::directory::{DirectoryError, yes_or_no};
use crate::domain::evidence::{DateOrder, Evidence};
use crate::domain::finding::RejectReason;
use crate::domain::identity::{Key, KeyKind};

/// Rows that may wait for the first date that shows the order of day and month.
const MOST_WAITING: usize = 50_000;

struct Places {
    guid: Option<usize>,
    sid: Option<usize>,
    sam: Option<usize>,
    upn: Option<usize>,
    mail: Option<usize>,
    enabled: Option<usize>,
    never_expires: Option<usize>,
    ticks: Option<usize>,
    date: Option<usize>,
}

impl Places {
    fn find<R: Read>(table: &Table<R>) -> Result<Self, DirectoryError> {
        let column = |name: &str| table.column(name);
        let places = Self {
            guid: column("ObjectGUID"),
            sid: column("SID").or_else(|| column("objectSid")),
            sam: column("SamAccountName"),
            upn: column("UserPrincipalName"),
            mail: column("mail").or_else(|| column("EmailAddress")),
            enabled: column("Enabled"),
            never_expires: column("PasswordNeverExpires"),
            ticks: column("pwdLastSet"),
            date: column("PasswordLastSet"),
        };
        match places.ticks.or(places.date) {
            Some(_) => Ok(places),
            None => Err(DirectoryError::NoColumn {
                field: "the last change",
                column: "pwdLastSet".to_owned(),
            }),
        }
    }
}

/// A row whose date can be read two ways.
struct Waiting {
    line: u64,
    keys: Vec<Option<Key>>,
    evidence: Evidence,
    date: Local,
}

/// Hands on what each row says.
pub(super) fn read<R: Read>(
    bytes: Bytes<R>,
    options: &EvidenceOptions,
    each: &mut dyn FnMut(u64, Spoken) -> ControlFlow<()>,
) -> Result<bool, DirectoryError> {
    let mut table = Table::open(bytes, options.encoding)?;
    let places = Places::find(&table)?;
    let mut cells = Cells::new();
    let mut order = None;
    let mut waiting = Vec::new();
    while let Some(row) = table.row(&mut cells)? {
        let (line, told) = match row {
            Row::Bad(reject) => (reject.line, Err(reject.reason)),
            Row::Cells(line) => {
                let read = one(&cells, &places, options);
                order = order.or(read.as_ref().ok().and_then(|read| read.shows));
                match read {
                    Err(reason) => (line, Err(reason)),
                    Ok(read) => match read.date {
                        None => (line, Record::new(read.keys, Told::All(read.evidence))),
                        Some(date) if order.is_none() && waiting.len() < MOST_WAITING => {
                            let Seen { keys, evidence, .. } = read;
                            waiting.push(Waiting {
                                line,
                                keys,
                                evidence,
                                date,
                            });
                            continue;
                        }
                        Some(date) => (line, dated(read.keys, read.evidence, date, order, options)),
                    },
                }
            }
        };
        if each(line, told).is_break() {
            return Ok(true);
        }
    }
    let order = order.or(options.date_order);
    for row in waiting {
        let told = dated(row.keys, row.evidence, row.date, order, options);
        if each(row.line, told).is_break() {
            return Ok(true);
        }
    }
    Ok(!table.truncated)
}

fn dated(
    keys: Vec<Option<Key>>,
    evidence: Evidence,
    date: Local,
    order: Option<DateOrder>,
    options: &EvidenceOptions,
) -> Spoken {
    let changed = date
        .change(order, options.zone)
        .ok_or(RejectReason::BadDate)?;
    let evidence = Evidence {
        changed: Some(changed),
        ..evidence
    };
    Record::new(keys, Told::All(evidence))
}

struct Seen {
    keys: Vec<Option<Key>>,
    evidence: Evidence,
    /// A date that is still to be read.
    date: Option<Local>,
    /// The order that it shows.
    shows: Option<DateOrder>,
}

fn one(cells: &Cells, places: &Places, options: &EvidenceOptions) -> Result<Seen, RejectReason> {
    let flag = |place| match cells.get(place) {
        "" => Ok(None),
        word => yes_or_no(word).map(Some).ok_or(RejectReason::BadValue),
    };
    let keys = vec![
        id(cells.get(places.guid)),
        Key::new(KeyKind::Sid, cells.get(places.sid)),
        Key::new(KeyKind::Upn, cells.get(places.upn)),
        // What PowerShell could not write in ASCII became a question mark, and names nobody.
        Key::login(cells.get(places.sam)),
        mail(cells.get(places.mail)),
    ];
    let mut evidence = Evidence {
        disabled: flag(places.enabled)? == Some(false),
        ..Evidence::silent(options.observed_at)
    };
    let demanded = flag(places.never_expires)? != Some(true);
    let (ticks, date) = (cells.get(places.ticks), cells.get(places.date));
    let (mut waits, mut shows) = (None, None);
    if !ticks.is_empty() {
        match ticks.parse().map_err(|_| RejectReason::BadDate)? {
            0_i64 => {
                evidence.pending = demanded;
                evidence.date_is_zero = demanded;
            }
            ticks => evidence.changed = Some(filetime(ticks).ok_or(RejectReason::BadDate)?),
        }
    } else if !date.is_empty() {
        let local = Local::parse(date).ok_or(RejectReason::BadDate)?;
        shows = local.order(date);
        waits = Some(local);
    }
    Ok(Seen {
        keys,
        evidence,
        date: waits,
        shows,
    })
}
