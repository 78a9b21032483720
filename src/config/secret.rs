//! Secrets: named in the file by an environment variable or a file of their own, never written in it.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::section::{Parsed, Read, Section, Value};
use super::values;

/// The keys of one secret: none of them holds it.
pub(super) struct SecretKeys {
    /// `password`: refused.
    pub inline: &'static str,
    /// `password_env`: the name of an environment variable.
    pub env: &'static str,
    /// `password_file`: a file that holds nothing else.
    pub file: &'static str,
}

pub(super) const PASSWORD: SecretKeys = SecretKeys {
    inline: "password",
    env: "password_env",
    file: "password_file",
};

pub(super) const TOKEN: SecretKeys = SecretKeys {
    inline: "token",
    env: "token_env",
    file: "token_file",
};

/// Reads a secret from wherever the section says it is. No error of this function quotes a value: what stands there may
/// be the secret itself, put in the wrong place.
pub(super) fn secret(section: &Section<'_>, keys: &SecretKeys) -> Read<Option<SecretString>> {
    let SecretKeys { inline, env, file } = *keys;
    let refused = section.refuse(
        inline,
        format!(
            "a secret does not belong in this file; remove it, change it where it is used, and name its place \
             with {env} or {file}"
        ),
    );
    let from_env = section.optional(env, variable);
    let from_file = section.optional(file, contents);
    refused?;
    match (from_env?, from_file?) {
        (Some(_), Some(_)) => {
            Err(section.wrong(file, format!("{env} is there too; keep one of them")))
        }
        (from_env, from_file) => Ok(from_env.or(from_file)),
    }
}

fn variable(value: &Value<'_>) -> Parsed<SecretString> {
    let name = value
        .raw
        .as_str()
        .ok_or_else(|| value.not("the name of an environment variable in quotes"))?;
    let is_name = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        return Err("this is no name of an environment variable; use letters, digits and _".into());
    }
    let given = (value.reader.env)(name).map(Zeroizing::new);
    let given = given.filter(|given| !given.is_empty());
    let given = given.ok_or("the variable that it names is not set, or empty; set it")?;
    clean(&given).ok_or_else(|| "the variable that it names holds a line break; set it anew".into())
}

fn contents(value: &Value<'_>) -> Parsed<SecretString> {
    let path = values::path(value)?;
    let bytes = read(&path).map_err(|error| {
        let why = error.kind();
        format!("the file that it names cannot be read ({why}); check its name and its owner")
    })?;
    std::str::from_utf8(&bytes)
        .ok()
        .filter(|text| text.len() <= LARGEST)
        .map(|text| text.trim_end_matches(['\r', '\n']))
        .filter(|text| !text.is_empty())
        .and_then(clean)
        .ok_or_else(|| {
            "the file that it names is empty, or holds more than one line of text; let it hold the secret alone"
                .into()
        })
}

const LARGEST: usize = 8192;

fn read(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    // Room for all of it at once: a buffer that grows would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LARGEST + 64));
    let mut most = File::open(path)?.take(LARGEST as u64 + 1);
    most.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Nothing that would end a header or a command early.
fn clean(text: &str) -> Option<SecretString> {
    (!text.chars().any(char::is_control)).then(|| SecretString::from(text))
}
