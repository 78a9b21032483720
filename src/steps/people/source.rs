//! Source: the one place that knows all kinds of staff directories.

use std::path::Path;

use super::file;
use crate::config::{Directory, DirectoryKind};
use crate::directory::people::PeopleItem;
use crate::steps::reading::Reading;

/// Begins to read the directory, or `file` as if it were its export.
pub(super) async fn open(
    directory: &Directory,
    file: Option<&Path>,
) -> anyhow::Result<Reading<PeopleItem>> {
    match &directory.kind {
        DirectoryKind::File(own) => file::open(own, file.unwrap_or(&own.file)),
    }
}

/// What errors call it.
pub(super) fn place(directory: &Directory, file: Option<&Path>) -> String {
    match (&directory.kind, file) {
        (_, Some(file)) => file.display().to_string(),
        (DirectoryKind::File(own), None) => own.file.display().to_string(),
    }
}
