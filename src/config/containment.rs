//! With which key the list for the network team is signed: `[containment]`.

use std::path::PathBuf;

use serde::Serialize;

use super::hashed;
use super::section::{Read, Section};
use super::values::path;

/// How the list of those who may be let in again is signed.
#[derive(Debug, Clone, Serialize)]
pub struct Containment {
    /// The private key; made when it is first asked for.
    #[serde(serialize_with = "hashed::path")]
    pub key_file: PathBuf,
}

pub(super) fn containment(root: &Section<'_>) -> Read<Containment> {
    let own = root.section("containment");
    let key_file = own.or("key_file", path, own.folder().join("containment.key"));
    own.finish()?;
    Ok(Containment {
        key_file: key_file?,
    })
}
