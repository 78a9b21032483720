//! Directory: reads who works here (people) and what directories say about passwords (evidence), from files and servers.
//!
//! All readers stream: memory does not grow with the file, a line that cannot be used becomes a reject with its number
//! and a reason, and no error quotes a cell. Columns whose names look like secrets are never read into anything.

pub mod evidence;
pub mod ldap;
pub mod people;
pub mod services;

mod bytes;
mod containment;
mod stamps;
mod table;
mod when;

use serde::{Deserialize, Serialize};

pub use containment::{BadContainments, ListedContainment, read_containments};

/// The characters of a file without a mark of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Encoding {
    /// Strictly UTF-8.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// What Windows calls ANSI in western Europe. A file with a UTF-8 mark is read as UTF-8 all the same.
    #[serde(rename = "windows-1252")]
    Windows1252,
}

/// Why a file could not be read at all.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The disk, or whatever the bytes come from.
    #[error("the file cannot be read")]
    Read(#[from] std::io::Error),
    /// There is nothing in it.
    #[error("the file is empty")]
    Empty,
    /// A web page was saved in place of the file.
    #[error("this is a web page, perhaps the sign-in page, and no table")]
    WebPage,
    /// PowerShell wrote the names of types, or the lengths of texts, in place of data.
    #[error("this holds type names or lengths, not data: export the properties themselves")]
    TypeNames,
    /// UTF-16, which no export to CSV needs.
    #[error("this is UTF-16: export it with the encoding UTF8")]
    Utf16,
    /// Bytes that no text holds.
    #[error("line {line}: this is no text, or UTF-16 without its mark")]
    NoText {
        /// The line, from 1.
        line: u64,
    },
    /// The header line cannot be read.
    #[error("line {line}: the header line is damaged, too long, or in another encoding")]
    Header {
        /// The line, from 1.
        line: u64,
    },
    /// A column that is needed is not there.
    #[error("no column is called \"{column}\", which is to hold {field}")]
    NoColumn {
        /// What the column is to hold.
        field: &'static str,
        /// The name it should have.
        column: String,
    },
    /// The mapping names a column that looks like a secret.
    #[error("the column for {field} is called like a secret, and is not read")]
    SecretColumn {
        /// What the column is to hold.
        field: &'static str,
    },
    /// A line inside the file is no JSON object: the file is damaged, and who knows what is missing.
    #[error("line {line}: this is no JSON object of the form that evidence has")]
    Json {
        /// The line, from 1.
        line: u64,
    },
    /// A document breaks off, or is not of its form: who knows what is missing.
    #[error(
        "line {line}: the document is damaged or breaks off here; export it again, and name its form if it was taken for another"
    )]
    Document {
        /// The line, from 1; of events their number.
        line: u64,
    },
    /// A document of the right sort without the list that it is to hold.
    #[error(
        "the document has no list of records, perhaps an error that the service answered; export it again"
    )]
    NoRecords,
}

/// What became of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// Lines that were handed on.
    pub rows: u64,
    /// Lines that were left out.
    pub rejects: u64,
    /// Cells that were left out while their line was handed on.
    pub flaws: u64,
    /// Whoever received the lines wanted no more: the file was not read to its end.
    pub stopped: bool,
    /// The last line is cut off, so nobody can be said to be missing from this file.
    pub truncated: bool,
}

impl Summary {
    /// More than 20 lines, and more than one in a hundred, could not be used: this is the wrong file or mapping.
    pub fn is_unusable(&self) -> bool {
        self.rejects > 20
            && self.rejects.saturating_mul(100) > self.rows.saturating_add(self.rejects)
    }
}

/// Whether a column of this name may hold a password, a hash or a hint at one.
fn looks_secret(column: &str) -> bool {
    let name = column.to_lowercase();
    [
        "password",
        "passwort",
        "passwd",
        "kennwort",
        "pwd",
        "hash",
        "ntlm",
        "secret",
        "credential",
    ]
    .iter()
    .any(|part| name.contains(part))
        || name
            .split(|c: char| !c.is_alphanumeric())
            .any(|word| matches!(word, "pass" | "pw" | "hint" | "lm" | "nt"))
}

/// A yes or a no in the words that exports use; none if it is neither.
fn yes_or_no(text: &str) -> Option<bool> {
    const YES: [&str; 7] = ["yes", "true", "1", "y", "on", "ja", "oui"];
    const NO: [&str; 7] = ["no", "false", "0", "n", "off", "nein", "non"];
    let is = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(&YES) {
        Some(true)
    } else if is(&NO) {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_may_hold_secrets_are_known_by_their_names() {
        for name in [
            "Password",
            "NT-Hash",
            "ntlm",
            "Passwort (alt)",
            "pwd",
            "password_hint",
            "hint",
            "LM",
            "clientSecret",
        ] {
            assert!(looks_secret(name), "{name}");
        }
        for name in [
            "mail",
            "display_name",
            "Department",
            "object_id",
            "sAMAccountName",
            "intranet",
            "Whinting",
        ] {
            assert!(!looks_secret(name), "{name}");
        }
    }

    #[test]
    fn a_file_of_rejects_is_unusable_and_a_few_are_not() {
        let summary = |rows, rejects| Summary {
            rows,
            rejects,
            ..Summary::default()
        };
        assert!(!summary(0, 20).is_unusable());
        assert!(summary(1_000, 21).is_unusable());
        assert!(!summary(10_000, 21).is_unusable());
    }
}
