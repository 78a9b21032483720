//! Source: the one place that knows all kinds of staff directories.

use std::path::Path;

use anyhow::bail;

use super::{file, ldap};
use crate::config::{Directory, DirectoryKind};
use crate::directory::people::PeopleItem;
use crate::domain::Moment;
use crate::steps::reading::Reading;

/// Begins to read the directory, or `file` as if it were its export.
pub(super) fn open(
    directory: &Directory,
    file: Option<&Path>,
    now: Moment,
) -> anyhow::Result<Reading<PeopleItem>> {
    match (&directory.kind, file) {
        (DirectoryKind::File(own), file) => file::open(own, file.unwrap_or(&own.file)),
        (DirectoryKind::Ldap(_), Some(_)) => {
            bail!("[directory] is no file in the config; leave the file out")
        }
        (DirectoryKind::Ldap(own), None) => ldap::open(own, now),
    }
}

/// What errors call it.
pub(super) fn place(directory: &Directory, file: Option<&Path>) -> String {
    match (&directory.kind, file) {
        (_, Some(file)) => file.display().to_string(),
        (DirectoryKind::File(own), None) => own.file.display().to_string(),
        (DirectoryKind::Ldap(own), None) => format!("[[ldap]] {:?}", own.name),
    }
}
