//! Section: reads one table of the file by name and type, and records what is wrong instead of stopping.
//!
//! Each read registers its key, so a section knows its own keys without a second list: [`Section::finish`] calls all
//! others unknown. A read that went wrong gives [`Told`], which a caller passes on with `?` once every key is read.

use std::cell::RefCell;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::errors::{ConfigError, quoted};
use super::values;

/// The error is on record already; there is nothing left to say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told;

/// What one read gives.
pub(super) type Read<T> = Result<T, Told>;

/// What a parser of one value says is wrong, and what to do.
pub(super) type Parsed<T> = Result<T, String>;

/// What all sections of one file share: where it is, where its lines are, and what is wrong with it so far.
pub(super) struct Reader<'a> {
    /// Byte offsets at which lines begin.
    line_starts: Vec<usize>,
    /// The folder that relative paths start from.
    pub(super) folder: &'a Path,
    /// The environment.
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    faults: RefCell<Vec<Fault>>,
}

struct Fault {
    error: ConfigError,
    /// Something is not there: where the file is broken, it may only not have been understood.
    missing: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        text: &str,
        folder: &'a Path,
        env: &'a dyn Fn(&str) -> Option<String>,
    ) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            line_starts: std::iter::once(0).chain(after_breaks).collect(),
            folder,
            env,
            faults: RefCell::default(),
        }
    }

    /// The line, from 1, on which a span begins.
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        self.line_starts
            .partition_point(|start| *start <= span.start)
            .max(1)
    }

    pub(super) fn record(&self, line: Option<usize>, key: String, text: String) -> Told {
        self.push(line, key, text, false)
    }

    fn push(&self, line: Option<usize>, key: String, text: String, missing: bool) -> Told {
        let error = ConfigError { line, key, text };
        self.faults.borrow_mut().push(Fault { error, missing });
        Told
    }

    /// Takes back that `key` is missing: a misspelt key stands in its place, and one mistake is one error.
    fn not_missing(&self, section_line: Option<usize>, key: &str) {
        let is_it = |fault: &Fault| {
            fault.missing && fault.error.key == key && fault.error.line == section_line
        };
        self.faults.borrow_mut().retain(|fault| !is_it(fault));
    }

    /// All errors in the order of their lines. `syntax` are those of the TOML itself: where there are any, what seems to
    /// be missing, or stands on the same line, is left out, because it follows from them.
    pub(super) fn into_errors(self, syntax: Vec<ConfigError>) -> Vec<ConfigError> {
        let broken: Vec<_> = syntax.iter().filter_map(|error| error.line).collect();
        let follows = |fault: &Fault| {
            fault.missing || fault.error.line.is_some_and(|line| broken.contains(&line))
        };
        let faults = self.faults.into_inner().into_iter();
        let mut errors: Vec<_> = faults
            .filter(|fault| syntax.is_empty() || !follows(fault))
            .map(|fault| fault.error)
            .collect();
        errors.extend(syntax);
        errors.sort_by(|a, b| (a.line, &a.key).cmp(&(b.line, &b.key)));
        errors
    }
}

/// One value of the file, where it stands.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    pub(super) raw: &'a DeValue<'a>,
    pub(super) line: usize,
    pub(super) reader: &'a Reader<'a>,
}

impl<'a> Value<'a> {
    fn new(reader: &'a Reader<'a>, spanned: &'a Spanned<DeValue<'a>>) -> Self {
        Self {
            raw: spanned.get_ref(),
            line: reader.line(&spanned.span()),
            reader,
        }
    }

    /// What to say when a value is of another type than `wanted`.
    pub(super) fn not(&self, wanted: &str) -> String {
        format!("this is {}; write {wanted}", kind(self.raw))
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// What stands where a section was looked for.
#[derive(Clone, Copy)]
enum Given<'a> {
    Table(&'a DeTable<'a>),
    Nothing,
    /// Something that is no table, or a required section that is not there: the error is on record.
    Wrong,
}

/// One table of the file.
pub(super) struct Section<'a> {
    reader: &'a Reader<'a>,
    path: String,
    line: Option<usize>,
    given: Given<'a>,
    known: RefCell<Vec<&'static str>>,
    refused: RefCell<Vec<&'static str>>,
}

impl<'a> Section<'a> {
    /// The file itself.
    pub(super) fn root(reader: &'a Reader<'a>, table: &'a DeTable<'a>) -> Self {
        Self::new(reader, String::new(), None, Given::Table(table))
    }

    fn new(reader: &'a Reader<'a>, path: String, line: Option<usize>, given: Given<'a>) -> Self {
        Self {
            reader,
            path,
            line,
            given,
            known: RefCell::default(),
            refused: RefCell::default(),
        }
    }

    /// Whether the file says nothing about this section.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self.given, Given::Nothing)
    }

    fn path_of(&self, key: &str) -> String {
        let key = match key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
        {
            true if !key.is_empty() => key.to_owned(),
            _ => quoted(key),
        };
        match self.path.as_str() {
            "" => key,
            path => format!("{path}.{key}"),
        }
    }

    fn look_up(&self, key: &'static str) -> Read<Option<Value<'a>>> {
        self.known.borrow_mut().push(key);
        match self.given {
            Given::Table(table) => Ok(table.get(key).map(|value| Value::new(self.reader, value))),
            Given::Nothing => Ok(None),
            Given::Wrong => Err(Told),
        }
    }

    /// Records an error about `key` of this section: on its own line, or on the section's if it has none.
    pub(super) fn wrong(&self, key: &str, text: impl Into<String>) -> Told {
        let own = match self.given {
            Given::Table(table) => table.get(key).map(|value| self.reader.line(&value.span())),
            Given::Nothing | Given::Wrong => None,
        };
        self.reader
            .record(own.or(self.line), self.path_of(key), text.into())
    }

    /// Records that `key` is not there. `example` is a value as one would write it.
    pub(super) fn missing(&self, key: &str, example: &str) -> Told {
        let text = format!("it is missing; add for instance {key} = {example}");
        self.reader.push(self.line, self.path_of(key), text, true)
    }

    /// A key that must be there.
    pub(super) fn required<T>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&Value<'a>) -> Parsed<T>,
        example: &str,
    ) -> Read<T> {
        self.optional(key, parse)?
            .ok_or_else(|| self.missing(key, example))
    }

    /// A key that may be left out.
    pub(super) fn optional<T>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&Value<'a>) -> Parsed<T>,
    ) -> Read<Option<T>> {
        let Some(value) = self.look_up(key)? else {
            return Ok(None);
        };
        parse(&value).map(Some).map_err(|text| {
            self.reader
                .record(Some(value.line), self.path_of(key), text)
        })
    }

    /// A key with a default.
    pub(super) fn or<T>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&Value<'a>) -> Parsed<T>,
        default: T,
    ) -> Read<T> {
        Ok(self.optional(key, parse)?.unwrap_or(default))
    }

    /// A list that may be left out; every wrong item is an error of its own, on its own line.
    pub(super) fn list<T>(
        &self,
        key: &'static str,
        parse: impl Fn(&Value<'a>) -> Parsed<T>,
    ) -> Read<Option<Vec<T>>> {
        let Some(value) = self.look_up(key)? else {
            return Ok(None);
        };
        let Some(array) = value.raw.as_array() else {
            return Err(self.wrong(key, value.not("a list in square brackets")));
        };
        let items: Vec<_> = array
            .iter()
            .map(|item| {
                let item = Value::new(self.reader, item);
                parse(&item)
                    .map_err(|text| self.reader.record(Some(item.line), self.path_of(key), text))
            })
            .collect();
        items.into_iter().collect::<Read<Vec<T>>>().map(Some)
    }

    /// The key `name`, which no other section of the same kind may have.
    pub(super) fn unique_name(&self, taken: &mut Vec<String>, example: &str) -> Read<String> {
        let name = self.required("name", values::line, example)?;
        if taken.contains(&name) {
            let text = format!("{} is there already; give each its own name", quoted(&name));
            return Err(self.wrong("name", text));
        }
        taken.push(name.clone());
        Ok(name)
    }

    /// A key that must not be there, with what to do instead. Its value is not looked at.
    pub(super) fn refuse(&self, key: &'static str, text: impl Into<String>) -> Read<()> {
        self.refused.borrow_mut().push(key);
        match self.given {
            Given::Table(table) if table.contains_key(key) => Err(self.wrong(key, text)),
            Given::Table(_) | Given::Nothing | Given::Wrong => Ok(()),
        }
    }

    /// A section that may be left out; its keys then have their defaults.
    pub(super) fn section(&self, key: &'static str) -> Section<'a> {
        let path = self.path_of(key);
        match self.look_up(key) {
            Ok(None) => Self::new(self.reader, path, None, Given::Nothing),
            Err(Told) => Self::new(self.reader, path, None, Given::Wrong),
            Ok(Some(value)) => {
                let given = match value.raw.as_table() {
                    Some(table) => Given::Table(table),
                    None => {
                        let text = value.not(&format!("a section, [{path}]"));
                        self.wrong(key, text);
                        Given::Wrong
                    }
                };
                Self::new(self.reader, path, Some(value.line), given)
            }
        }
    }

    /// A section that must be there.
    pub(super) fn required_section(&self, key: &'static str) -> Section<'a> {
        let mut section = self.section(key);
        if section.is_absent() {
            let text = format!(
                "the section is missing; add [{}] (\"bell init\" shows it)",
                section.path
            );
            self.reader
                .push(self.line, section.path.clone(), text, true);
            section.given = Given::Wrong;
        }
        section
    }

    /// Records that not one section of a kind is there.
    pub(super) fn missing_section(&self, header: &str, key: &str) -> Told {
        let text = format!("not one is there; add {header} (\"bell init\" shows it)");
        self.reader.push(self.line, self.path_of(key), text, true)
    }

    /// Sections that come any number of times, as `[[key]]`.
    pub(super) fn sections(&self, key: &'static str) -> Read<Vec<Section<'a>>> {
        let path = self.path_of(key);
        let Some(value) = self.look_up(key)? else {
            return Ok(Vec::new());
        };
        let wanted = format!("[[{path}]] with two brackets, as often as you need it");
        let Some(array) = value.raw.as_array() else {
            return Err(self.wrong(key, value.not(&wanted)));
        };
        let sections = array.iter().map(|item| {
            let item = Value::new(self.reader, item);
            match item.raw.as_table() {
                Some(table) => {
                    let given = Given::Table(table);
                    Ok(Self::new(self.reader, path.clone(), Some(item.line), given))
                }
                None => {
                    let text = item.not(&wanted);
                    Err(self.reader.record(Some(item.line), path.clone(), text))
                }
            }
        });
        sections.collect::<Vec<_>>().into_iter().collect()
    }

    /// All keys of this section and their values, for a map whose keys are free.
    pub(super) fn entries<T>(
        &self,
        parse: impl Fn(&Value<'a>) -> Parsed<T>,
    ) -> Read<Vec<(String, T)>> {
        let table = match self.given {
            Given::Table(table) => table,
            Given::Nothing => return Ok(Vec::new()),
            Given::Wrong => return Err(Told),
        };
        let entries = table.iter().map(|(key, value)| {
            let value = Value::new(self.reader, value);
            let key = key.get_ref().as_ref();
            parse(&value)
                .map(|parsed| (key.to_owned(), parsed))
                .map_err(|text| {
                    self.reader
                        .record(Some(value.line), self.path_of(key), text)
                })
        });
        entries.collect::<Vec<_>>().into_iter().collect()
    }

    /// What all sections of the file share.
    pub(super) fn reader(&self) -> &'a Reader<'a> {
        self.reader
    }

    /// The folder that relative paths start from.
    pub(super) fn folder(&self) -> &'a Path {
        self.reader.folder
    }

    /// [`finish`](Self::finish), and what `assemble` makes of the keys read: both say what is wrong.
    pub(super) fn finish_after<T>(self, assemble: impl FnOnce(&Self) -> Read<T>) -> Read<T> {
        let assembled = assemble(&self);
        self.finish()?;
        assembled
    }

    /// Calls every key that nobody asked for unknown, and names the nearest known one. To be called after all reads.
    pub(super) fn finish(self) -> Read<()> {
        let Given::Table(table) = self.given else {
            return Ok(());
        };
        let (known, refused) = (self.known.borrow(), self.refused.borrow());
        let mut all = Ok(());
        for key in table.keys() {
            let name: &str = key.get_ref();
            if !known.contains(&name) && !refused.contains(&name) {
                let line = Some(self.reader.line(&key.span()));
                if let Some(meant) = nearest(name, &known) {
                    self.reader.not_missing(self.line, &self.path_of(meant));
                }
                let text = format!("there is no such key here; {}", instead(name, &known));
                all = Err(self.reader.record(line, self.path_of(name), text));
            }
        }
        all
    }
}

/// What to do about a word that is not among `known`: the nearest one, or all of them.
pub(super) fn instead(word: &str, known: &[&str]) -> String {
    match nearest(word, known) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("known are {}", known.join(", ")),
    }
}

/// The known word that `word` is most likely meant to be, if one is near enough to name it: few letters apart, or one
/// holds the other.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    // Comparing costs the product of both lengths, and no key is that long.
    if word.len() > 64 {
        return None;
    }
    let word = word.to_lowercase().replace('-', "_");
    let apart =
        |known: &str| strsim::damerau_levenshtein(&word, &known.to_lowercase().replace('-', "_"));
    let holds = |known: &str| {
        word.len().min(known.len()) > 3 && (known.contains(&word) || word.contains(known))
    };
    known
        .iter()
        .map(|known| (apart(known), *known))
        .filter(|(apart, known)| apart * 3 <= known.len().max(3) || holds(known))
        .min_by_key(|(apart, _)| *apart)
        .map(|(_, known)| known)
}
