//! How values are written for the config's hash: in full where their own form is masked, the same on each machine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::TimeDelta;
use encoding_rs::Encoding;
use serde::Serializer;

use crate::domain::EmailAddress;
use crate::domain::identity::RealmNames;

pub(super) fn address<S: Serializer>(address: &EmailAddress, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(address.expose())
}

pub(super) fn some_address<S: Serializer>(
    address: &Option<EmailAddress>,
    out: S,
) -> Result<S::Ok, S::Error> {
    match address {
        Some(address) => out.serialize_some(address.expose()),
        None => out.serialize_none(),
    }
}

/// A path that is not UTF-8 would otherwise be an error.
pub(super) fn path<S: Serializer>(path: &Path, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(&path.display())
}

pub(super) fn some_path<S: Serializer>(path: &Option<PathBuf>, out: S) -> Result<S::Ok, S::Error> {
    match path {
        Some(path) => out.serialize_some(&path.display().to_string()),
        None => out.serialize_none(),
    }
}

pub(super) fn span<S: Serializer>(span: &Duration, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(&format_args!("{span:?}"))
}

pub(super) fn delta<S: Serializer>(span: &TimeDelta, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(span)
}

pub(super) fn encoding<S: Serializer>(
    encoding: &&'static Encoding,
    out: S,
) -> Result<S::Ok, S::Error> {
    out.serialize_str(encoding.name())
}

pub(super) fn level<S: Serializer>(level: &tracing::Level, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(level.as_str())
}

pub(super) fn names<S: Serializer>(names: &RealmNames, out: S) -> Result<S::Ok, S::Error> {
    use serde::Serialize;
    (&names.realm, &names.netbios, &names.dns).serialize(out)
}
