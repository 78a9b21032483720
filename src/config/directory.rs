//! Who works here: `[directory]`, by the kind of place that the listing comes from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use encoding_rs::{Encoding, WINDOWS_1252};
use serde::Serialize;

use super::hashed;
use super::inputs::{Known, columns};
use super::ldap::{self, Ldap};
use super::section::{Read, Section, Told};
use super::values::{choice, code_page, path, yes_or_no};
use crate::domain::identity::Realm;

/// The staff directory.
#[derive(Debug, Clone, Serialize)]
pub struct Directory {
    /// Whose accounts it lists.
    pub realm: Realm,
    /// Whether an account that is not listed has left.
    pub complete: bool,
    /// Where the listing comes from.
    #[serde(flatten)]
    pub kind: DirectoryKind,
}

/// Where the listing of people comes from. One variant a kind, each with a reader of its own.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DirectoryKind {
    /// A CSV export.
    File(DirectoryFile),
    /// An LDAP server.
    Ldap(Box<Ldap>),
}

/// A CSV export.
#[derive(Debug, Clone, Serialize)]
pub struct DirectoryFile {
    /// The export.
    #[serde(serialize_with = "hashed::path")]
    pub file: PathBuf,
    /// How to read it where it is neither UTF-8 nor marked.
    #[serde(serialize_with = "hashed::encoding")]
    pub code_page: &'static Encoding,
    /// Our names of columns to the export's headers. What is not named here goes by its own name.
    pub columns: BTreeMap<String, String>,
}

#[derive(Clone, Copy)]
enum Kind {
    File,
    Ldap,
}

const KINDS: &[(&str, Kind)] = &[("file", Kind::File), ("ldap", Kind::Ldap)];

pub(super) fn directory(root: &Section<'_>, known: Known<'_>) -> Read<Directory> {
    let own = root.required_section("directory");
    let kind = own.or("kind", choice(KINDS), Kind::File);
    let realm = known.realm_of(&own);
    let complete = own.or("complete", yes_or_no, true);
    let kind = kind.and_then(|kind| match kind {
        Kind::File => file(&own).map(DirectoryKind::File),
        Kind::Ldap => ldap::named(&own, known)?
            .map(|ldap| DirectoryKind::Ldap(Box::new(ldap)))
            .ok_or(Told),
    });
    own.finish_after(|_| {
        Ok(Directory {
            realm: realm?,
            complete: complete?,
            kind: kind?,
        })
    })
}

fn file(own: &Section<'_>) -> Read<DirectoryFile> {
    let file = own.required("file", path, "\"directory.csv\"");
    let code_page = own.or("code_page", code_page, WINDOWS_1252);
    let columns = columns(own);
    Ok(DirectoryFile {
        file: file?,
        code_page: code_page?,
        columns: columns?,
    })
}
