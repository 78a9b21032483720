//! Dumps and lists of hashes: which of the files in one command belong together, and what the lists know of the dump.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::reading::{Hashing, explain};
use crate::audit::{self, Format, HashList, Joined, Kind, ReadOptions, Survey, Unpacked};

/// What belongs together: a file, and the lists that it is joined with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Together {
    /// The audit.
    pub file: PathBuf,
    /// Files and folders of hashes.
    pub lists: Vec<PathBuf>,
}

/// Which files of a command belong together. A dump that is given with lists is read twice: by itself, and joined.
pub fn sort(files: &[PathBuf], format: Option<Format>) -> anyhow::Result<Vec<Together>> {
    let (mut audits, mut lists, mut dumps) = (Vec::new(), Vec::new(), Vec::new());
    for file in files {
        // What cannot be told is the reader's to refuse, with its reasons.
        match kind_of(file) {
            Some(Kind::Hashes(_)) if format.is_none() || files.len() > 1 => {
                lists.push(file.clone());
                continue;
            }
            Some(Kind::Audit(Format::Dump)) => dumps.push(file.clone()),
            Some(Kind::Audit(_) | Kind::Hashes(_)) | None => {}
        }
        audits.push(file.clone());
    }
    let alone = |file: PathBuf| Together {
        file,
        lists: Vec::new(),
    };
    let mut all: Vec<Together> = audits.into_iter().map(alone).collect();
    if lists.is_empty() {
        return Ok(all);
    }
    match dumps.as_slice() {
        [dump] => all.push(Together {
            file: dump.clone(),
            lists,
        }),
        // The reader says what is missing.
        [] => all.extend(lists.into_iter().map(alone)),
        _ => bail!(
            "these are {} dumps and lists of hashes: give one dump with the lists that belong to it",
            dumps.len()
        ),
    }
    Ok(all)
}

fn kind_of(path: &Path) -> Option<Kind> {
    if path.is_dir() {
        return Some(Kind::Hashes(HashList::PwnedPasswords));
    }
    let detected = explain(path).ok()?.verdict.ok()?;
    Some(detected.kind)
}

/// What the lists came to.
#[derive(Default)]
pub(super) struct Joins {
    pub(super) notes: Vec<String>,
    pub(super) identity: Identity,
}

/// What makes the same files the same audit: the hash of the one, or of the hashes of all.
#[derive(Default)]
pub(super) struct Identity(Vec<String>);

impl Identity {
    pub(super) fn of(&self, dump: &str) -> String {
        if self.0.is_empty() {
            return dump.to_owned();
        }
        let mut hash = Sha256::new();
        for one in std::iter::once(dump).chain(self.0.iter().map(String::as_str)) {
            hash.update(one.as_bytes());
            hash.update([0]);
        }
        HEXLOWER.encode(&hash.finalize())
    }
}

/// The first way through a dump, and each list past it.
pub(super) fn survey(
    dump: &Path,
    lists: &[PathBuf],
    options: &ReadOptions<'_>,
) -> anyhow::Result<(Survey, Joins)> {
    let mut survey = Survey::through(audit::unpack(File::open(dump)?)?, options)?;
    let mut joins = Joins::default();
    for list in lists {
        let shown = list.display();
        let joined = join(&mut survey, list, options, &mut joins.identity)
            .with_context(|| format!("reading {shown}"))?;
        let name = list.file_name().unwrap_or_default().to_string_lossy();
        joins.notes.push(format!(
            "{name}: {} hashes, {} of them in the dump, {} lines of other kinds",
            joined.hashes, joined.known, joined.others
        ));
    }
    Ok((survey, joins))
}

fn join(
    survey: &mut Survey,
    list: &Path,
    options: &ReadOptions<'_>,
    identity: &mut Identity,
) -> anyhow::Result<Joined> {
    if list.is_dir() {
        return join_folder(survey, list, options, identity);
    }
    let kind = match explain(list)?.verdict?.kind {
        Kind::Hashes(kind) => kind,
        Kind::Audit(format) => bail!("this is {format}, and no list of hashes"),
    };
    let range = range_of(list);
    join_file(survey, list, kind, range.as_deref(), options, identity)
}

fn join_file(
    survey: &mut Survey,
    list: &Path,
    kind: HashList,
    range: Option<&str>,
    options: &ReadOptions<'_>,
    identity: &mut Identity,
) -> anyhow::Result<Joined> {
    let mut hashing = Hashing::new(File::open(list)?);
    let joined = match audit::unpack(File::open(list)?)? {
        Unpacked::Plain(_) => survey.join(kind, &mut hashing, range, options)?,
        packed @ Unpacked::Packed { .. } => survey.join(kind, packed, range, options)?,
    };
    identity.0.push(hashing.finish()?.0);
    Ok(joined)
}

/// A folder of range files, of which only those are read that the dump has hashes of.
fn join_folder(
    survey: &mut Survey,
    folder: &Path,
    options: &ReadOptions<'_>,
    identity: &mut Identity,
) -> anyhow::Result<Joined> {
    let mut all = Joined::default();
    let mut any = false;
    for range in survey.prefixes() {
        let file = folder.join(format!("{range}.txt"));
        if !file.is_file() {
            continue;
        }
        any = true;
        let kind = HashList::PwnedPasswords;
        let joined = join_file(survey, &file, kind, Some(&range), options, identity)?;
        all.hashes += joined.hashes;
        all.known += joined.known;
        all.others += joined.others;
    }
    if !any {
        bail!(
            "the folder has no range file such as 00A1B.txt for any hash of the dump; give the whole list, or the folder that the downloader wrote"
        );
    }
    Ok(all)
}

/// The five digits that a range file's name gives its hashes.
fn range_of(path: &Path) -> Option<String> {
    let name = path.file_stem()?.to_str()?;
    let is_range = name.len() == 5 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_range.then(|| name.to_ascii_uppercase())
}
