//! Whether a chain of seals hangs together, and whether rows are what was sealed.

use std::fmt;

use serde::Serialize;

use super::{Link, RowSeen, Seal, SealedTable, Upto, rows_hash, unpack};

/// How many seals that are gone are named one by one.
const NAMED: usize = 100;

/// What happened to a row, or to a seal, since it was sealed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Altered {
    /// It says something else, or stands in another place.
    Changed,
    /// It is not there any more.
    Removed,
    /// It was not there when what is around it was sealed.
    Inserted,
    /// It stands in another place than it was written in.
    Moved,
    /// The seal's own signature is none of this key.
    Forged,
    /// The seals before it are signed, and it is not.
    Unsigned,
}

/// Something that is not what it was.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct Break {
    /// Of which table: a sealed one, or `seals` itself.
    pub table: &'static str,
    /// Which row.
    pub id: i64,
    /// What happened to it.
    pub what: Altered,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            Altered::Changed => "changed",
            Altered::Removed => "removed",
            Altered::Inserted => "inserted",
            Altered::Moved => "moved to another place",
            Altered::Forged => "signed by somebody else",
            Altered::Unsigned => "not signed, unlike those before it",
        };
        write!(f, "{} {}: {what}", self.table, self.id)
    }
}

fn of_seals(id: i64, what: Altered) -> Break {
    Break {
        table: "seals",
        id,
        what,
    }
}

/// A chain, walked from its first seal on.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    last: Link,
    upto: Upto,
    is_signed: bool,
}

impl Chain {
    /// Takes the next seal, and says what is wrong with it. `signature` is whether its signature is one of the key that was
    /// given; none if no key was given.
    pub fn next(&mut self, seal: &Seal, signature: Option<bool>) -> Vec<Break> {
        let mut breaks = Vec::new();
        let wanted = self.last.number + 1;
        let is_next = seal.number == wanted;
        if !is_next {
            let gone = (wanted..seal.number).take(NAMED);
            breaks.extend(gone.map(|number| of_seals(number, Altered::Removed)));
        }
        let after = self.upto.insert(seal.table, seal.upto);
        let hangs_on = !is_next
            || (seal.previous == self.last.hash && seal.after == after.unwrap_or(i64::MIN));
        let is_whole = seal.hash == seal.computed() && seal.after < seal.upto;
        if seal.number < wanted || !hangs_on || !is_whole {
            breaks.push(of_seals(seal.number, Altered::Changed));
        }
        match (signature, &seal.signature) {
            (Some(false), Some(_)) => breaks.push(of_seals(seal.number, Altered::Forged)),
            (Some(_), None) if self.is_signed => {
                breaks.push(of_seals(seal.number, Altered::Unsigned));
            }
            _ => {}
        }
        self.is_signed |= seal.signature.is_some();
        self.last = seal.link();
        breaks
    }

    /// Up to where a table is sealed.
    pub fn upto(&self, table: SealedTable) -> i64 {
        self.upto.get(&table).copied().unwrap_or(i64::MIN)
    }

    /// The last seal that was taken.
    pub fn last(&self) -> &Link {
        &self.last
    }
}

/// Compares rows, in the order of their numbers, with the seal that covers them.
pub fn compare(seal: &Seal, seen: &[RowSeen]) -> Vec<Break> {
    let Some(sealed) = unpack(seal.after, &seal.leaves) else {
        return vec![of_seals(seal.number, Altered::Changed)];
    };
    let table = seal.table.word();
    let tell = |id, what| Break { table, id, what };
    let mut breaks = Vec::new();
    let (mut sealed, mut rows) = (sealed.iter().peekable(), seen.iter().peekable());
    loop {
        match (sealed.peek(), rows.peek()) {
            (None, None) => break,
            (Some(was), row) if row.is_none_or(|row| was.id < row.id) => {
                breaks.push(tell(was.id, Altered::Removed));
                sealed.next();
            }
            (was, Some(row)) if was.is_none_or(|was| row.id < was.id) => {
                breaks.push(tell(row.id, Altered::Inserted));
                rows.next();
            }
            (was, row) => {
                if let (Some(was), Some(row)) = (was, row)
                    && (!row.digest.starts_with(&was.beginning) || was.hides != row.hides)
                {
                    breaks.push(tell(row.id, Altered::Changed));
                }
                sealed.next();
                rows.next();
            }
        }
    }
    // Marks are short. If they agree and the hash over the whole does not, nobody can say which row it was.
    if breaks.is_empty() && (rows_hash(seen) != seal.rows_hash || seal.rows != seen.len() as u64) {
        breaks.push(of_seals(seal.number, Altered::Changed));
    }
    breaks
}
