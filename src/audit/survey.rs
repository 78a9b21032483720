//! Survey: the first way through a dump, which finds who shares a password, and what lists of hashes then know of it.
//!
//! It holds the dump's hashes, 17 bytes a line, in memory that is wiped, and the lists pass by it, however long they are.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;

use zeroize::Zeroize;

use super::dump::{Entry, Seen, walk};
use super::{AuditError, ReadOptions};

/// An NT hash. Wiped where it is dropped in numbers.
type NtHash = [u8; 16];

const SHARED: u8 = 1;
const CRACKED: u8 = 2;
const LEAKED: u8 = 4;

/// What the whole of a dump, and the lists it was joined with, say about its lines.
#[derive(Default)]
pub struct Survey {
    /// Sorted, each once.
    hashes: Vec<NtHash>,
    /// What is known of each.
    marks: Vec<u8>,
    /// Name and number of every account, hashed, sorted: to tell former passwords by.
    owners: Vec<u64>,
    joined: bool,
}

impl Drop for Survey {
    fn drop(&mut self) {
        self.hashes.zeroize();
    }
}

impl std::fmt::Debug for Survey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Survey")
            .field("hashes", &self.hashes.len())
            .field("joined", &self.joined)
            .finish()
    }
}

/// What is known about one line.
#[derive(Clone, Copy, Default)]
pub(super) struct Found {
    /// Which hash it is, for the number of its group.
    pub(super) group: usize,
    pub(super) is_shared: bool,
    pub(super) is_cracked: bool,
    pub(super) is_leaked: bool,
    /// It is a former password.
    pub(super) is_former: bool,
}

impl Found {
    pub(super) const fn is_listed(self) -> bool {
        self.is_cracked || self.is_leaked
    }
}

/// The dump's hashes while they are gathered: whether each may be one of a group.
#[derive(Default)]
struct Gathered {
    hashes: Vec<(NtHash, bool)>,
    owners: Vec<u64>,
    /// Lines named like a former password: their hash, and the account they would be of.
    doubtful: Vec<(NtHash, u64)>,
}

impl Drop for Gathered {
    fn drop(&mut self) {
        for (hash, _) in &mut self.hashes {
            hash.zeroize();
        }
        for (hash, _) in &mut self.doubtful {
            hash.zeroize();
        }
    }
}

impl Survey {
    /// Goes through a dump once.
    pub fn through(input: impl Read, options: &ReadOptions<'_>) -> Result<Self, AuditError> {
        let mut all = Gathered::default();
        walk(input, options, &mut |_, _, seen| {
            if let Seen::Account(entry) = seen {
                all.add(&entry);
            }
            Ok(())
        })?;
        all.owners.sort_unstable();
        all.owners.dedup();
        let owners = std::mem::take(&mut all.owners);
        let doubtful = std::mem::take(&mut all.doubtful);
        for (hash, owner) in doubtful {
            let is_current = owners.binary_search(&owner).is_err();
            all.hashes.push((hash, is_current));
        }
        all.hashes.sort_unstable();
        let mut survey = Self {
            hashes: Vec::with_capacity(all.hashes.len()),
            marks: Vec::with_capacity(all.hashes.len()),
            owners,
            joined: false,
        };
        for group in all.hashes.chunk_by(|one, other| one.0 == other.0) {
            let Some((hash, _)) = group.first() else {
                continue;
            };
            let members = group.iter().filter(|(_, may_share)| *may_share).count();
            survey.hashes.push(*hash);
            survey.marks.push(if members > 1 { SHARED } else { 0 });
        }
        Ok(survey)
    }

    /// Whether a list was joined: then only what lists know counts.
    pub const fn is_joined(&self) -> bool {
        self.joined
    }

    /// The first five digits of its hashes, in capitals, each once: the range files that are worth reading.
    pub fn prefixes(&self) -> Vec<String> {
        let prefix = |hash: &NtHash| {
            let [a, b, c, ..] = *hash;
            format!("{a:02X}{b:02X}{:X}", c >> 4)
        };
        let mut prefixes: Vec<String> = self.hashes.iter().map(prefix).collect();
        prefixes.dedup();
        prefixes
    }

    /// A list begins to pass by.
    pub(super) const fn begin(&mut self) {
        self.joined = true;
    }

    /// A list knows this hash. True if the dump has it.
    pub(super) fn mark(&mut self, hash: &NtHash, is_leaked: bool) -> bool {
        let Ok(at) = self.hashes.binary_search(hash) else {
            return false;
        };
        if let Some(mark) = self.marks.get_mut(at) {
            *mark |= if is_leaked { LEAKED } else { CRACKED };
        }
        true
    }

    /// What is known about a line.
    pub(super) fn of(&self, entry: &Entry<'_>) -> Found {
        let is_former =
            owner_of_former(entry).is_some_and(|owner| self.owners.binary_search(&owner).is_ok());
        let at = entry
            .hash()
            .and_then(|hash| self.hashes.binary_search(&hash).ok());
        let mark = at.and_then(|at| self.marks.get(at)).copied().unwrap_or(0);
        Found {
            group: at.unwrap_or_default(),
            is_shared: mark & SHARED != 0,
            is_cracked: mark & CRACKED != 0,
            is_leaked: mark & LEAKED != 0,
            is_former,
        }
    }
}

impl Gathered {
    fn add(&mut self, entry: &Entry<'_>) {
        let former = owner_of_former(entry);
        if former.is_none()
            && let Some(rid) = entry.rid
        {
            self.owners.push(owner(entry.name, rid));
        }
        let Some(hash) = entry.hash() else { return };
        match former {
            Some(owner) => self.doubtful.push((hash, owner)),
            // Without a number nobody can tell a former password from an account's.
            None => {
                let may_share =
                    !entry.is_machine() && (entry.rid.is_some() || entry.former_of().is_none());
                self.hashes.push((hash, may_share));
            }
        }
    }
}

/// Whose former password a line may be: it is named like one, and has a number.
fn owner_of_former(entry: &Entry<'_>) -> Option<u64> {
    Some(owner(entry.former_of()?, entry.rid?))
}

fn owner(name: &[u8], rid: &[u8]) -> u64 {
    let mut hash = DefaultHasher::new();
    name.to_ascii_lowercase().hash(&mut hash);
    rid.hash(&mut hash);
    hash.finish()
}
