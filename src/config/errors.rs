//! ConfigErrors: all that is wrong with a config file, at once, each with its line and what to do.

use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Line of the file, from 1; none where the trouble has no line, such as a section that is not there.
    pub line: Option<usize>,
    /// The key's path, such as `mail.relay.port`; empty where the trouble is the file itself.
    pub key: String,
    /// What is wrong, and what to do. Never quotes a secret.
    pub text: String,
}

/// Everything that is wrong with one config file, in the order of its lines. Prints one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    /// The file, as it was named.
    pub file: PathBuf,
    /// At least one.
    pub errors: Vec<ConfigError>,
}

impl ConfigErrors {
    /// One trouble with the file as a whole.
    pub(super) fn of_file(file: PathBuf, line: Option<usize>, text: impl Into<String>) -> Self {
        let error = ConfigError {
            line,
            key: String::new(),
            text: text.into(),
        };
        Self {
            file,
            errors: vec![error],
        }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, error) in self.errors.iter().enumerate() {
            if nth > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:", self.file.display())?;
            if let Some(line) = error.line {
                write!(f, "{line}:")?;
            }
            if !error.key.is_empty() {
                write!(f, " {}:", error.key)?;
            }
            write!(f, " {}", error.text)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// A text as errors quote it: escaped, and cut at 40 characters.
pub(super) fn quoted(text: &str) -> String {
    let cut: String = text.chars().take(40).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{:?}", cut + more)
}
