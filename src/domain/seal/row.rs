//! A row as bytes that are the same on every database, and its hash.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::{Column, SALT_BYTES, Seal, SealedTable, unpack};

/// A row of which the hash is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RowSeen {
    /// Its number.
    pub id: i64,
    /// Its hash.
    pub digest: [u8; 32],
    /// Whether a salted hash of something stands in it.
    pub hides: bool,
}

/// One row as a database wrote it down, in two parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RowParts<'a> {
    /// Its number.
    pub id: i64,
    /// What is sealed as it is.
    pub open: &'a [u8],
    /// What can be erased, if there is anything.
    pub personal: Option<&'a [u8]>,
}

/// The bytes are no rows of that table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("what the database writes of {0} are no rows of it")]
pub struct Unreadable(pub SealedTable);

/// Takes rows apart that a database wrote down one behind the other.
pub fn parts(table: SealedTable, mut bytes: &[u8]) -> Result<Vec<RowParts<'_>>, Unreadable> {
    let mut rows = Vec::new();
    while !bytes.is_empty() {
        let (row, rest) = one(table, bytes).ok_or(Unreadable(table))?;
        rows.push(row);
        bytes = rest;
    }
    Ok(rows)
}

fn one(table: SealedTable, bytes: &[u8]) -> Option<(RowParts<'_>, &[u8])> {
    let (mut rest, mut id, mut personal) = (bytes, None, None);
    let mut open = bytes.len();
    for column in table.columns() {
        match column {
            Column::Number(_) | Column::Flag(_) => {
                let end = rest.iter().position(|byte| *byte == b',')?;
                let (number, after) = rest.split_at_checked(end)?;
                if id.is_none() {
                    id = Some(std::str::from_utf8(number).ok()?.parse().ok()?);
                }
                rest = after.get(1..)?;
            }
            Column::Text(_) => rest = text(rest)?.1,
            Column::Personal(_) => {
                open = bytes.len() - rest.len();
                (personal, rest) = text(rest)?;
            }
        }
    }
    if table.personal().is_none() {
        open = bytes.len() - rest.len();
    }
    let row = RowParts {
        id: id?,
        open: bytes.get(..open)?,
        personal,
    };
    Some((row, rest))
}

/// A text, and what follows it.
fn text(bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    if let Some(rest) = bytes.strip_prefix(b"-") {
        return Some((None, rest));
    }
    let end = bytes.iter().position(|byte| *byte == b':')?;
    let length: usize = std::str::from_utf8(bytes.get(..end)?).ok()?.parse().ok()?;
    let (text, rest) = bytes.get(end + 1..)?.split_at_checked(length)?;
    Some((Some(text), rest))
}

/// What stands in a row's hash for something that can be erased. Without the salt nobody can try texts against it.
pub fn commitment(salt: &[u8; SALT_BYTES], personal: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"bell personal 1\n");
    hash.update(salt);
    hash.update(personal);
    hash.finalize().into()
}

/// The hash of what an erasure left in place of a text; without a salt, for it says nothing about anybody.
pub fn personal_digest(left: Option<&[u8]>) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"bell left 1\n");
    match left {
        Some(left) => {
            hash.update(b"#");
            hash.update(left);
        }
        None => hash.update(b"-"),
    }
    hash.finalize().into()
}

/// A row's hash. `hidden` stands for what can be erased.
pub fn digest(table: SealedTable, open: &[u8], hidden: Option<&[u8; 32]>) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"bell row 1\n");
    hash.update(table.word());
    hash.update(b"\n");
    hash.update(open);
    match hidden {
        Some(hidden) => {
            hash.update(b"#");
            hash.update(hidden);
        }
        None if table.personal().is_some() => hash.update(b"-"),
        None => {}
    }
    hash.finalize().into()
}

/// What an erasure left of a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Erasure {
    /// The salted hash that was sealed.
    pub commitment: [u8; 32],
    /// The hash of what stands in its place.
    pub left: [u8; 32],
}

/// Rows that are sealed for the first time: their hashes, and the salts of those that hide something, one after the other.
pub fn fresh(
    table: SealedTable,
    rows: &[RowParts<'_>],
    mut salt: impl FnMut() -> [u8; SALT_BYTES],
) -> (Vec<RowSeen>, Vec<u8>) {
    let mut salts = Vec::new();
    let seen = rows
        .iter()
        .map(|row| {
            let hidden = row.personal.map(|text| {
                let salt = salt();
                salts.extend(salt);
                commitment(&salt, text)
            });
            RowSeen {
                id: row.id,
                digest: digest(table, row.open, hidden.as_ref()),
                hides: hidden.is_some(),
            }
        })
        .collect();
    (seen, salts)
}

/// Rows that a seal covers, in the order of their numbers, with the salts that it was made with. A text that was erased goes
/// in by the hash that was kept of it, if what was left in its place is still there.
pub fn again(
    seal: &Seal,
    salts: &[u8],
    rows: &[RowParts<'_>],
    erased: &HashMap<i64, Erasure>,
) -> Vec<RowSeen> {
    let leaves = unpack(seal.after, &seal.leaves).unwrap_or_default();
    let salts = salts.as_chunks::<SALT_BYTES>().0;
    let (mut leaves, mut nth) = (leaves.iter().peekable(), 0_usize);
    rows.iter()
        .map(|row| {
            let mut salt = None;
            while let Some(leaf) = leaves.next_if(|leaf| leaf.id <= row.id) {
                if leaf.hides {
                    salt = (leaf.id == row.id).then(|| salts.get(nth)).flatten();
                    nth += 1;
                }
            }
            let hidden = match erased.get(&row.id) {
                Some(erasure) if erasure.left == personal_digest(row.personal) => {
                    Some(erasure.commitment)
                }
                // Without its salt a text cannot be what was sealed, whatever it says.
                _ => row
                    .personal
                    .map(|text| commitment(salt.unwrap_or(&[0; SALT_BYTES]), text)),
            };
            RowSeen {
                id: row.id,
                digest: digest(seal.table, row.open, hidden.as_ref()),
                hides: hidden.is_some(),
            }
        })
        .collect()
}
