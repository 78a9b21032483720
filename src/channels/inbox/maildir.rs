//! Maildir: a folder on this machine that a mail system delivers to, one file a mail.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::LONGEST_READ;

/// A Maildir that bounces are delivered to.
#[derive(Debug, Clone)]
pub struct Maildir {
    dir: PathBuf,
}

impl Maildir {
    /// The Maildir at `dir`, the folder that holds `new` and `cur`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The files of mails that were not kept yet, oldest name first.
    pub(super) fn waiting(&self) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for folder in ["new", "cur"] {
            for entry in std::fs::read_dir(self.dir.join(folder))? {
                let entry = entry?;
                let name = entry.file_name();
                let hidden = name.as_encoded_bytes().starts_with(b".");
                if !hidden && !is_seen(&name) && entry.file_type()?.is_file() {
                    files.push(entry.path());
                }
            }
        }
        files.sort_by(|one, other| one.file_name().cmp(&other.file_name()));
        Ok(files)
    }

    /// The beginning of a mail, as much as is ever read; none if another reader was faster, or a mail program moved it.
    pub(super) fn contents(file: &Path) -> io::Result<Option<Vec<u8>>> {
        let file = match std::fs::File::open(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let mut bytes = Vec::new();
        file.take(LONGEST_READ).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Marks a mail as seen: it goes to `cur` with the flag S and is not read again.
    pub(super) fn keep(&self, file: &Path) -> io::Result<()> {
        let Some(name) = file.file_name() else {
            return Ok(());
        };
        match std::fs::rename(file, self.dir.join("cur").join(seen_name(name))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

/// The flags of a Maildir name stand behind `:2,`.
fn flags(name: &[u8]) -> Option<&[u8]> {
    let at = name.windows(3).rposition(|window| window == b":2,")?;
    name.get(at + 3..)
}

fn is_seen(name: &OsString) -> bool {
    flags(name.as_encoded_bytes()).is_some_and(|flags| flags.contains(&b'S'))
}

fn seen_name(name: &OsStr) -> OsString {
    let mut seen = name.to_owned();
    match flags(name.as_encoded_bytes()) {
        // Flags are kept in ASCII order, and those we leave alone are all before S or T.
        Some(flags) if flags.contains(&b'T') => {
            let kept = name.to_string_lossy();
            let (before, after) = kept.rsplit_once('T').unwrap_or((&kept, ""));
            return format!("{before}ST{after}").into();
        }
        Some(_) => seen.push("S"),
        None => seen.push(":2,S"),
    }
    seen
}
