//! Seals: what proves that the record was not rewritten. A seal covers a range of rows of one table, and the seal before it.
//!
//! Of each row the same bytes are made on every database ([`SealedTable::columns`] says of what), and of these a hash. What
//! a human being typed about somebody is hashed with a salt first, and only that hash goes on: once the salt is destroyed
//! and the text erased, nothing leads back to it, and the chain holds as before. A seal keeps a short mark of each row,
//! which says where to look; the hash over all rows says whether anything is wrong at all.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Moment;

mod check;
mod row;
#[cfg(test)]
mod tests;

pub use check::{Altered, Break, Chain, compare};
pub use row::{
    Erasure, RowParts, RowSeen, Unreadable, again, commitment, digest, fresh, parts,
    personal_digest,
};

/// What a first seal names as the one before it.
pub const BEGINNING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The length of a salt.
pub const SALT_BYTES: usize = 16;

/// A table that is only ever added to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SealedTable {
    /// Who did what.
    Ledger,
    /// Files that were taken in.
    Audits,
    /// The texts that letters were made of.
    Templates,
    /// What came back.
    Bounces,
    /// What people said.
    Replies,
    /// Who was shut out of what.
    Containments,
    /// What was ever written in a statement.
    StatementVersions,
    /// What started a regulator's clock.
    Awareness,
    /// What was reported, or why not.
    DutyDecisions,
    /// Which texts about somebody were erased.
    Erasures,
}

/// One column of a sealed table, and how its value is written down. Personal ones come last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Column {
    /// A whole number, or nothing: its digits, or `-`, and a comma.
    Number(&'static str),
    /// Yes or no: `1` or `0`, and a comma.
    Flag(&'static str),
    /// A text: its length in bytes, a colon and the bytes; or `-`.
    Text(&'static str),
    /// A text that may say something about a person. It can be erased; a salted hash of it stays.
    Personal(&'static str),
}

impl SealedTable {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Ledger,
        Self::Audits,
        Self::Templates,
        Self::Bounces,
        Self::Replies,
        Self::Containments,
        Self::StatementVersions,
        Self::Awareness,
        Self::DutyDecisions,
        Self::Erasures,
    ];

    /// Its name in the database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Audits => "audits",
            Self::Templates => "templates",
            Self::Bounces => "bounces",
            Self::Replies => "replies",
            Self::Containments => "containments",
            Self::StatementVersions => "statement_versions",
            Self::Awareness => "awareness",
            Self::DutyDecisions => "duty_decisions",
            Self::Erasures => "erasures",
        }
    }

    /// The table of that name.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.word() == word)
    }

    /// What is sealed of it, in this order, for ever: the first is its number. A later version that adds a column seals it
    /// under a new table's name.
    pub const fn columns(self) -> &'static [Column] {
        use Column::{Flag, Number, Personal, Text};
        match self {
            Self::Ledger => &[
                Number("id"),
                Number("at"),
                Text("actor"),
                Text("act"),
                Number("case_id"),
                Text("thing"),
                Number("effective_at"),
                Personal("detail"),
            ],
            Self::Audits => &[
                Number("id"),
                Text("sha256"),
                Text("source"),
                Text("realm"),
                Text("format"),
                Text("file_name"),
                Number("size_bytes"),
                Number("as_of"),
                Flag("as_of_assumed"),
                Number("imported_at"),
                Text("imported_by"),
                Number("records"),
                Number("findings"),
                Number("sighted"),
                Number("unmatched"),
                Number("rejected"),
            ],
            Self::Templates => &[
                Number("id"),
                Text("hash"),
                Text("kind"),
                Text("locale"),
                Text("source"),
                Number("kept_at"),
            ],
            Self::Bounces => &[
                Number("id"),
                Number("delivery_id"),
                Number("received_at"),
                Text("action"),
                Text("status"),
                Personal("reply"),
            ],
            Self::Replies => &[
                Number("id"),
                Number("case_id"),
                Text("said"),
                Text("by_way"),
                Number("said_at"),
                Number("noted_at"),
                Text("noted_by"),
                Text("grade"),
            ],
            Self::Containments => &[
                Number("id"),
                Number("account_id"),
                Text("act"),
                Number("effective_at"),
                Text("done_by"),
                Number("noted_at"),
                Text("noted_by"),
                Personal("how"),
            ],
            Self::StatementVersions => &[
                Number("id"),
                Number("statement_id"),
                Number("version"),
                Text("body"),
                Text("written_by"),
                Number("written_at"),
            ],
            Self::Awareness => &[
                Number("id"),
                Number("incident_id"),
                Text("what"),
                Number("since"),
                Number("noted_at"),
                Text("noted_by"),
            ],
            Self::DutyDecisions => &[
                Number("id"),
                Number("incident_id"),
                Text("duty"),
                Text("verdict"),
                Number("effective_at"),
                Text("reference"),
                Text("reason"),
                Text("advice"),
                Text("deputy"),
                Number("noted_at"),
                Text("noted_by"),
            ],
            Self::Erasures => &[
                Number("id"),
                Text("table_name"),
                Number("row_id"),
                Text("commitment"),
                Text("left_hash"),
                Number("erased_at"),
            ],
        }
    }

    /// The column that can be erased, if it has one.
    pub const fn personal(self) -> Option<&'static str> {
        match self.columns().last() {
            Some(Column::Personal(name)) => Some(name),
            _ => None,
        }
    }
}

impl fmt::Display for SealedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A seal as people print it and type it in again: its number and the beginning of its hash, `118-9f2c77ab01d4e6f3`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mark {
    /// Which one in the chain.
    pub number: i64,
    /// The first 16 hexadecimal digits of its hash.
    pub beginning: String,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.number, self.beginning)
    }
}

impl Serialize for Mark {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

/// The text is no seal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "this is no seal; it is printed as its number and 16 hexadecimal digits, such as 118-9f2c77ab01d4e6f3"
)]
pub struct NoMark;

impl FromStr for Mark {
    type Err = NoMark;

    fn from_str(text: &str) -> Result<Self, NoMark> {
        let (number, beginning) = text.trim().split_once('-').ok_or(NoMark)?;
        let number = number.parse().map_err(|_| NoMark)?;
        let beginning = beginning.to_ascii_lowercase();
        let is_hex = beginning.bytes().all(|byte| byte.is_ascii_hexdigit());
        match beginning.len() == 16 && is_hex {
            true => Ok(Self { number, beginning }),
            false => Err(NoMark),
        }
    }
}

/// One seal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seal {
    /// Its place in the chain, from 1.
    pub number: i64,
    /// When it was made.
    pub made_at: Moment,
    /// Whose rows it covers.
    pub table: SealedTable,
    /// It covers the rows whose numbers are above this one …
    pub after: i64,
    /// … and not above this one.
    pub upto: i64,
    /// How many there were.
    pub rows: u64,
    /// SHA-256 over their hashes, in hexadecimal.
    pub rows_hash: String,
    /// A short mark of each row: see [`pack`].
    pub leaves: Vec<u8>,
    /// The hash of the seal before it.
    pub previous: String,
    /// Its own, in hexadecimal.
    pub hash: String,
    /// Ed25519 over the hash's digits, in hexadecimal.
    pub signature: Option<String>,
}

/// Where a seal goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// The number of the seal before it; 0 if there is none.
    pub number: i64,
    /// Its hash.
    pub hash: String,
}

impl Link {
    /// As people print it; none if there is no seal yet.
    pub fn mark(&self) -> Option<Mark> {
        (self.number > 0).then(|| Mark {
            number: self.number,
            beginning: self.hash.chars().take(16).collect(),
        })
    }
}

impl Default for Link {
    fn default() -> Self {
        Self {
            number: 0,
            hash: BEGINNING.to_owned(),
        }
    }
}

impl Seal {
    /// Seals rows, which are in the order of their numbers, as the next of a chain.
    pub fn over(
        table: SealedTable,
        range: (i64, i64),
        rows: &[RowSeen],
        before: &Link,
        made_at: Moment,
    ) -> Self {
        let (after, upto) = range;
        let mut seal = Self {
            number: before.number + 1,
            made_at,
            table,
            after,
            upto,
            rows: rows.len() as u64,
            rows_hash: rows_hash(rows),
            leaves: pack(after, rows),
            previous: before.hash.clone(),
            hash: String::new(),
            signature: None,
        };
        seal.hash = seal.computed();
        seal
    }

    /// What its hash has to be.
    pub fn computed(&self) -> String {
        let text = format!(
            "bell seal 1\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n",
            self.number,
            self.made_at.micros(),
            self.table,
            self.after,
            self.upto,
            self.rows,
            self.rows_hash,
            HEXLOWER.encode(&Sha256::digest(&self.leaves)),
            self.previous
        );
        HEXLOWER.encode(&Sha256::digest(text))
    }

    /// What the next one hangs on.
    pub fn link(&self) -> Link {
        Link {
            number: self.number,
            hash: self.hash.clone(),
        }
    }
}

fn rows_hash(rows: &[RowSeen]) -> String {
    let mut all = Sha256::new();
    rows.iter().for_each(|row| all.update(row.digest));
    HEXLOWER.encode(&all.finalize())
}

/// The mark that a seal keeps of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leaf {
    /// The row's number.
    pub id: i64,
    /// Whether it had something that can be erased, of which a salted hash was sealed.
    pub hides: bool,
    /// The beginning of its hash.
    pub beginning: [u8; 8],
}

/// The marks of rows as bytes: the distance to the number before in groups of seven bits, whether it hides something, and
/// the beginning of the hash.
pub fn pack(after: i64, rows: &[RowSeen]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(rows.len() * 10);
    let mut before = after.max(0);
    for row in rows {
        let mut distance = row.id.wrapping_sub(before).cast_unsigned();
        before = row.id;
        while distance >= 0x80 {
            packed.push((distance & 0x7f) as u8 | 0x80);
            distance >>= 7;
        }
        packed.push(distance as u8);
        packed.push(u8::from(row.hides));
        packed.extend(row.digest.iter().take(8));
    }
    packed
}

/// The marks that were packed; none if these bytes are no marks.
pub fn unpack(after: i64, packed: &[u8]) -> Option<Vec<Leaf>> {
    let (mut leaves, mut rest, mut before) = (Vec::new(), packed, after.max(0));
    while !rest.is_empty() {
        let (mut distance, mut shift) = (0_u64, 0_u32);
        loop {
            let (byte, further) = rest.split_first()?;
            rest = further;
            distance |= u64::from(byte & 0x7f).checked_shl(shift)?;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let (hides, further) = rest.split_first()?;
        let (beginning, further) = further.split_first_chunk::<8>()?;
        rest = further;
        before = before.wrapping_add(distance.cast_signed());
        leaves.push(Leaf {
            id: before,
            hides: *hides == 1,
            beginning: *beginning,
        });
    }
    Some(leaves)
}

/// Up to where each table is sealed.
pub type Upto = BTreeMap<SealedTable, i64>;
