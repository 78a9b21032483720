//! How the record is sealed: `[seals]`.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::hashed;
use super::section::{Read, Section};
use super::values::{duration, path};

/// How the record is sealed.
#[derive(Debug, Clone, Serialize)]
pub struct Seals {
    /// How long after a pass the next one begins.
    #[serde(serialize_with = "hashed::span")]
    pub every: Duration,
    /// The private key that seals are signed with; made when it is first needed. None: they are not signed.
    #[serde(serialize_with = "hashed::some_path")]
    pub key_file: Option<PathBuf>,
}

pub(super) fn seals(root: &Section<'_>) -> Read<Seals> {
    let own = root.section("seals");
    let every = own.or(
        "every",
        duration(Duration::from_secs(1), Duration::from_secs(3600)),
        Duration::from_secs(5),
    );
    let key_file = own.optional("key_file", path);
    own.finish()?;
    Ok(Seals {
        every: every?,
        key_file: key_file?,
    })
}
