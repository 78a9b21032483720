//! Mapping: what the columns of a table mean, one TOML file a source. It refuses to map a column named like a secret.

use std::collections::{BTreeMap, HashMap};

use chrono_tz::Tz;
use serde::Deserialize;

use super::dates::DateForm;
use super::decode::Declared;
use crate::domain::address::fold;
use crate::domain::finding::Weakness;
use crate::domain::identity::{KeyKind, Realm};

/// What the columns of a table mean.
#[derive(Clone, PartialEq, Debug)]
pub struct Mapping {
    /// The source's name, if it has one.
    pub name: Option<String>,
    /// The password store whose accounts the table names, if it says.
    pub realm: Option<Realm>,
    pub(super) encoding: Option<Declared>,
    pub(super) delimiter: Option<u8>,
    pub(super) skip_lines: u64,
    pub(super) date_forms: Vec<DateForm>,
    pub(super) time_zone: Option<Tz>,
    /// Columns that name the account.
    pub(super) keys: Vec<(KeyColumn, Column)>,
    pub(super) detail: Option<Column>,
    pub(super) severity: Option<Column>,
    pub(super) as_of: Option<Column>,
    pub(super) verdict: Verdict,
}

/// A column of the table, and where the mapping names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Column {
    /// As the mapping writes it.
    pub(super) name: String,
    /// Such as `columns.email`.
    pub(super) setting: String,
}

/// What sort of name a column holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum KeyColumn {
    /// A key of this kind.
    Of(KeyKind),
    /// A login, whose form tells its kind.
    Login,
}

/// How a row says what is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Every row is this.
    Always(Weakness),
    /// A column's text, folded, says which; none is a verdict to leave out.
    Text(Column, HashMap<String, Option<Weakness>>),
    /// Each of these columns that is set, as these texts set it, is a finding.
    Flags(Vec<(Column, Weakness)>, Vec<String>),
}

/// Why a mapping cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadMapping {
    /// It is no TOML, or has a setting that does not exist.
    #[error("line {line}: {problem}")]
    Toml {
        /// Line.
        line: usize,
        /// What the parser says.
        problem: String,
    },
    /// A setting has a value that it cannot have.
    #[error("{setting}: {problem}")]
    Value {
        /// The setting.
        setting: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// A column that is listed as secret, or is named like one, must not be read.
    #[error("{setting}: {column:?} is a secret, or is named like one; such a column is never read")]
    Secret {
        /// The setting.
        setting: String,
        /// The column.
        column: String,
    },
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: Option<String>,
    realm: Option<String>,
    encoding: Option<String>,
    delimiter: Option<String>,
    #[serde(default)]
    skip_lines: u64,
    #[serde(default)]
    date_format: OneOrMore,
    time_zone: Option<String>,
    #[serde(default)]
    columns: BTreeMap<String, OneOrMore>,
    #[serde(default)]
    secret_columns: OneOrMore,
    #[serde(default)]
    verdicts: BTreeMap<String, String>,
    constant_verdict: Option<String>,
    #[serde(default)]
    flags: BTreeMap<String, OneOrMore>,
    #[serde(default)]
    true_values: OneOrMore,
}

#[derive(Deserialize, Clone)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl Default for OneOrMore {
    fn default() -> Self {
        Self::More(Vec::new())
    }
}

impl OneOrMore {
    fn into_list(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::More(list) => list,
        }
    }
}

/// The columns that may be mapped, in the order in which their keys are tried.
const KEY_COLUMNS: [(&str, KeyColumn); 5] = [
    ("object_id", KeyColumn::Of(KeyKind::ObjectId)),
    ("sid", KeyColumn::Of(KeyKind::Sid)),
    ("upn", KeyColumn::Of(KeyKind::Upn)),
    ("account", KeyColumn::Login),
    ("email", KeyColumn::Of(KeyKind::Email)),
];

/// What the names of columns with secrets hold.
const SECRET_WORDS: [&str; 14] = [
    "password",
    "passwort",
    "passwd",
    "passphrase",
    "kennwort",
    "mot de passe",
    "pwd",
    "hash",
    "ntlm",
    "secret",
    "hint",
    "klartext",
    "plaintext",
    "cleartext",
];

impl Mapping {
    /// Reads a mapping and checks all that can be checked without a table.
    pub fn parse(text: &str) -> Result<Self, BadMapping> {
        let mut written: Written = toml::from_str(text).map_err(|error| BadMapping::Toml {
            line: error
                .span()
                .and_then(|span| text.get(..span.start))
                .map_or(1, |before| before.matches('\n').count() + 1),
            problem: error.message().to_owned(),
        })?;
        // TOML counts what stands after a [table] to that table, wherever its author meant it to be.
        let mut secrets = std::mem::take(&mut written.secret_columns).into_list();
        if let Some(more) = written.columns.remove("secret_columns") {
            secrets.extend(more.into_list());
        }
        let secrets: Vec<String> = secrets.iter().map(|name| header(name)).collect();
        let mut columns = Columns::of(&written.columns, &secrets)?;
        let mut keys = Vec::new();
        for (word, kind) in KEY_COLUMNS {
            if let Some(column) = columns.take(word) {
                keys.push((kind, column));
            }
        }
        if keys.is_empty() {
            return Err(bad(
                "columns",
                "none of object_id, sid, upn, account, email is named, so no row names an account",
            ));
        }
        let verdict = verdict(&mut written, columns.take("verdict"), &secrets)?;
        Ok(Self {
            encoding: setting(
                written.encoding,
                "encoding",
                Declared::from_name,
                "this is neither UTF-8, UTF-16 nor an 8-bit code page",
            )?,
            delimiter: setting(
                written.delimiter,
                "delimiter",
                delimiter,
                "this is not one of , ; | and a tab",
            )?,
            skip_lines: written.skip_lines,
            date_forms: date_forms(written.date_format)?,
            time_zone: setting(
                written.time_zone,
                "time_zone",
                |name| name.parse().ok(),
                "this is no IANA time zone",
            )?,
            detail: columns.take("detail"),
            severity: columns.take("severity"),
            as_of: columns.take("as_of"),
            keys,
            verdict,
            name: written.name,
            realm: written.realm.map(Realm),
        })
    }

    /// The columns that the table must have.
    pub(super) fn columns(&self) -> impl Iterator<Item = &Column> {
        let verdict: Vec<&Column> = match &self.verdict {
            Verdict::Always(_) => Vec::new(),
            Verdict::Text(column, _) => vec![column],
            Verdict::Flags(flags, _) => flags.iter().map(|(column, _)| column).collect(),
        };
        self.keys
            .iter()
            .map(|(_, column)| column)
            .chain(&self.detail)
            .chain(&self.severity)
            .chain(&self.as_of)
            .chain(verdict)
    }
}

/// A header as it is compared: trimmed, blanks inside collapsed, folded.
pub(super) fn header(name: &str) -> String {
    let name = name.trim_start_matches('\u{FEFF}');
    fold(&name.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Whether a column's name says that it holds secrets.
fn is_named_like_a_secret(header: &str) -> bool {
    SECRET_WORDS.iter().any(|word| header.contains(word))
}

fn bad(setting: impl Into<String>, problem: &'static str) -> BadMapping {
    BadMapping::Value {
        setting: setting.into(),
        problem,
    }
}

fn setting<T>(
    text: Option<String>,
    name: &str,
    parse: impl Fn(&str) -> Option<T>,
    problem: &'static str,
) -> Result<Option<T>, BadMapping> {
    text.map(|text| parse(&text).ok_or_else(|| bad(name, problem)))
        .transpose()
}

fn delimiter(text: &str) -> Option<u8> {
    match text {
        "," => Some(b','),
        ";" => Some(b';'),
        "|" => Some(b'|'),
        "\t" | "tab" => Some(b'\t'),
        _ => None,
    }
}

fn date_forms(written: OneOrMore) -> Result<Vec<DateForm>, BadMapping> {
    written
        .into_list()
        .iter()
        .map(|form| {
            DateForm::parse(form).ok_or_else(|| {
                bad(
                    "date_format",
                    "a form is no whole date as strftime writes it",
                )
            })
        })
        .collect()
}

/// The `[columns]` of a mapping, checked.
struct Columns(BTreeMap<String, Column>);

impl Columns {
    fn of(written: &BTreeMap<String, OneOrMore>, secrets: &[String]) -> Result<Self, BadMapping> {
        // Not read, but a mapping may say which column it is.
        const OTHERS: [&str; 5] = ["display_name", "verdict", "detail", "severity", "as_of"];
        let mut columns = BTreeMap::new();
        for (word, name) in written {
            let setting = format!("columns.{word}");
            let known = KEY_COLUMNS
                .iter()
                .map(|(known, _)| *known)
                .chain(OTHERS)
                .any(|known| known == word);
            if !known {
                return Err(bad(setting, "there is no such column"));
            }
            let OneOrMore::One(name) = name else {
                return Err(bad(setting, "this takes the name of one column"));
            };
            let compared = header(name);
            if compared.is_empty() {
                return Err(bad(setting, "the name is empty"));
            }
            if secrets.contains(&compared) || is_named_like_a_secret(&compared) {
                return Err(BadMapping::Secret {
                    setting,
                    column: name.clone(),
                });
            }
            columns.insert(
                word.clone(),
                Column {
                    name: name.clone(),
                    setting,
                },
            );
        }
        Ok(Self(columns))
    }

    fn take(&mut self, word: &str) -> Option<Column> {
        self.0.remove(word)
    }
}

/// The one way in which the rows say what is wrong.
fn verdict(
    written: &mut Written,
    column: Option<Column>,
    secrets: &[String],
) -> Result<Verdict, BadMapping> {
    let flags = std::mem::take(&mut written.flags);
    let constant = written.constant_verdict.take();
    let ways = [constant.is_some(), column.is_some(), !flags.is_empty()];
    if ways.iter().filter(|way| **way).count() != 1 {
        return Err(bad(
            "constant_verdict, columns.verdict, flags",
            "exactly one of them has to say what is wrong with a row's account",
        ));
    }
    if let Some(text) = constant {
        return Weakness::from_text(&text)
            .map(Verdict::Always)
            .ok_or_else(|| bad("constant_verdict", "this is no category/reason"));
    }
    match column {
        Some(column) => verdict_of_text(column, &written.verdicts),
        None => verdict_of_flags(flags, std::mem::take(&mut written.true_values), secrets),
    }
}

fn verdict_of_text(
    column: Column,
    written: &BTreeMap<String, String>,
) -> Result<Verdict, BadMapping> {
    let mut verdicts = HashMap::new();
    for (text, meaning) in written {
        let weakness = match meaning.trim() {
            "ignore" => None,
            meaning => Some(Weakness::from_text(meaning).ok_or_else(|| {
                bad(
                    format!("verdicts.{text}"),
                    "this is neither a category/reason nor \"ignore\"",
                )
            })?),
        };
        verdicts.insert(fold(text), weakness);
    }
    if verdicts.is_empty() {
        return Err(bad(
            "verdicts",
            "columns.verdict is named, but no verdict has a meaning",
        ));
    }
    Ok(Verdict::Text(column, verdicts))
}

/// Columns of flags are named after what is wrong ("Weak Password"), so here only a listed secret, or a name that is
/// nothing but a secret's, is refused. Their cells are compared with the true values and never kept.
fn verdict_of_flags(
    mut written: BTreeMap<String, OneOrMore>,
    true_values: OneOrMore,
    secrets: &[String],
) -> Result<Verdict, BadMapping> {
    let mut true_values = true_values.into_list();
    if let Some(OneOrMore::More(more)) = written.get("true_values").cloned() {
        written.remove("true_values");
        true_values.extend(more);
    }
    if true_values.is_empty() {
        true_values = ["true", "yes", "1", "x"].map(str::to_owned).to_vec();
    }
    let mut flags = Vec::new();
    for (name, meaning) in written {
        let setting = format!("flags.{name}");
        let compared = header(&name);
        if secrets.contains(&compared) || SECRET_WORDS.contains(&compared.as_str()) {
            return Err(BadMapping::Secret {
                setting,
                column: name,
            });
        }
        let weakness = match meaning {
            OneOrMore::One(text) => Weakness::from_text(&text),
            OneOrMore::More(_) => None,
        };
        let weakness =
            weakness.ok_or_else(|| bad(setting.clone(), "this is no category/reason"))?;
        flags.push((Column { name, setting }, weakness));
    }
    Ok(Verdict::Flags(
        flags,
        true_values.iter().map(|value| fold(value)).collect(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "constant_verdict = \"weak/cracked\"\n[columns]\nemail = \"Mail\"\n";

    #[test]
    fn columns_named_like_secrets_are_refused_by_name() {
        for name in [
            "Password",
            "Passwort",
            "pwd",
            "NT Hash",
            "NTLM",
            "Client secret",
            "Password hint",
            "  PASSWORD  (plain)",
            "Notes",
        ] {
            let text = format!("secret_columns = [\" notes\"]\n{GOOD}detail = \"{name}\"\n");
            let refused = Mapping::parse(&text).unwrap_err();
            assert!(
                matches!(refused, BadMapping::Secret { .. }),
                "{name}: {refused}"
            );
        }
        assert!(Mapping::parse(&format!("{GOOD}detail = \"Bemerkung\"\n")).is_ok());
    }

    #[test]
    fn secret_columns_may_stand_before_or_inside_the_columns() {
        for text in [
            format!("secret_columns = [\"Mail\"]\n{GOOD}"),
            format!("{GOOD}secret_columns = [\"Mail\"]\n"),
            format!("{GOOD}secret_columns = \"mail\"\n"),
        ] {
            let refused = Mapping::parse(&text).unwrap_err();
            assert!(
                matches!(refused, BadMapping::Secret { .. }),
                "{text}: {refused}"
            );
        }
    }

    #[test]
    fn a_flag_may_be_named_after_a_weakness_but_not_after_a_secret() {
        let of =
            |flags: &str| Mapping::parse(&format!("[columns]\nemail = \"Mail\"\n[flags]\n{flags}"));
        assert!(of("\"Weak Password\" = \"weak/dictionary\"\ntrue_values = [\"Ja\"]").is_ok());
        assert!(matches!(
            of("Password = \"weak/dictionary\""),
            Err(BadMapping::Secret { .. })
        ));
        assert!(matches!(
            of("Weak = \"weak\""),
            Err(BadMapping::Value { .. })
        ));
    }

    #[test]
    fn what_cannot_work_is_refused_with_the_setting_to_mend() {
        for (text, expected) in [
            ("constant_verdict = \"weak/cracked\"", "columns: none of"),
            ("[columns]\nemail = \"Mail\"", "exactly one"),
            (
                "constant_verdict = \"weak\"\n[columns]\nemail = \"Mail\"",
                "constant_verdict: this",
            ),
            (
                "[columns]\nemail = \"Mail\"\nverdict = \"V\"",
                "verdicts: columns.verdict",
            ),
            (
                "[columns]\nemail = \"Mail\"\nverdict = \"V\"\n[verdicts]\nx = \"y\"",
                "verdicts.x",
            ),
            (
                "encoding = \"shift_jis\"\nconstant_verdict = \"weak/cracked\"\n[columns]\nemail = \"M\"",
                "encoding: this",
            ),
            (
                "delimiter = \"ab\"\nconstant_verdict = \"weak/cracked\"\n[columns]\nemail = \"M\"",
                "delimiter: this",
            ),
            (
                "time_zone = \"Mars\"\nconstant_verdict = \"weak/cracked\"\n[columns]\nemail = \"M\"",
                "time_zone: this",
            ),
            (
                "date_format = [\"%Q\"]\nconstant_verdict = \"weak/cracked\"\n[columns]\nemail = \"M\"",
                "date_format: a form",
            ),
            (
                "constant_verdict = \"weak/cracked\"\n[columns]\nmail = \"M\"",
                "columns.mail: there is",
            ),
            ("name = \"x\"\nrealms = \"y\"", "line 2: unknown field"),
        ] {
            let refused = Mapping::parse(text).unwrap_err().to_string();
            assert!(
                refused.starts_with(expected) || refused.contains(expected),
                "{text}: {refused}"
            );
        }
    }
}
