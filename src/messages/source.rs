//! Source: where the texts come from: the ones in the binary, and a folder that replaces them file by file.

use std::collections::BTreeMap;
use std::path::Path;

use include_dir::{Dir, include_dir};

use super::lint::Finding;
use super::{MessagesError, PARTS};
use crate::domain::notice::NoticeKind;

static BUILT_IN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/messages");

/// The locale that is always there.
pub const DEFAULT_LOCALE: &str = "en-GB";
/// The layout that HTML parts extend.
pub(super) const LAYOUT: &str = "email/_layout/";
/// The status post.
pub(super) const STATUS: &str = "discord/status.md";
/// Texts to a mobile.
pub(super) const SMS: &str = "sms/";
/// What staff read in chat and on the intranet before a campaign.
pub(super) const HEADS_UP: &str = "chat/heads_up/";
/// What staff read when a service is cut.
pub(super) const ACCESS_RESTRICTED: &str = "chat/access_restricted/";
/// What staff read when it is back.
pub(super) const ACCESS_RESTORED: &str = "chat/access_restored/";
/// Letters to all who are concerned when a service is cut, or back.
pub(super) const LETTER: &str = "letter/";
/// What statements are drafted from.
pub(super) const STATEMENT: &str = "statement/";
/// A text is at most this long.
const MOST_BYTES: u64 = 64 * 1024;

/// One text, and how errors call it.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub text: String,
    pub shown: String,
}

/// All texts by name, such as `email/notice.weak/en-GB/body.txt`.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources(pub BTreeMap<String, Source>);

impl Sources {
    /// The texts in the binary, then those of `folder` over them.
    pub(super) fn read(folder: Option<&Path>) -> Result<Self, MessagesError> {
        let mut sources = Self::default();
        sources.embedded(&BUILT_IN);
        if let Some(folder) = folder {
            // A slip in the folder's name would leave the built-in texts in force.
            std::fs::read_dir(folder).map_err(|source| MessagesError::Read {
                file: folder.display().to_string(),
                source,
            })?;
            for top in ["email", "sms", "chat", "letter", "statement", "discord"] {
                sources.folder(folder, top)?;
            }
        }
        Ok(sources)
    }

    fn embedded(&mut self, dir: &Dir<'_>) {
        for file in dir.files() {
            let (Some(name), Some(text)) = (file.path().to_str(), file.contents_utf8()) else {
                continue;
            };
            if known(name) {
                let source = Source {
                    text: text.to_owned(),
                    shown: format!("messages/{name}"),
                };
                self.0.insert(name.to_owned(), source);
            }
        }
        for dir in dir.dirs() {
            self.embedded(dir);
        }
    }

    fn folder(&mut self, root: &Path, name: &str) -> Result<(), MessagesError> {
        let path = root.join(name);
        let error = |source| MessagesError::Read {
            file: path.display().to_string(),
            source,
        };
        if name.starts_with("email") && name.split('/').count() > 4 {
            return Err(MessagesError::Unknown(path.display().to_string()));
        }
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            // A folder that replaces nothing of a kind need not have it.
            Err(missing)
                if missing.kind() == std::io::ErrorKind::NotFound && !name.contains('/') =>
            {
                return Ok(());
            }
            Err(other) => return Err(error(other)),
        };
        for entry in entries {
            let entry = entry.map_err(error)?;
            let Some(child) = entry
                .file_name()
                .to_str()
                .map(|child| format!("{name}/{child}"))
            else {
                return Err(MessagesError::Unknown(entry.path().display().to_string()));
            };
            let shown = entry.path().display().to_string();
            let file_error = |source| MessagesError::Read {
                file: shown.clone(),
                source,
            };
            // What editors and file managers leave behind.
            if child
                .rsplit('/')
                .next()
                .is_some_and(|file| file.starts_with('.') || file.ends_with('~'))
            {
                continue;
            }
            let about = std::fs::metadata(entry.path()).map_err(file_error)?;
            if about.is_dir() {
                self.folder(root, &child)?;
            } else if !known(&child) || about.len() > MOST_BYTES {
                return Err(MessagesError::Unknown(shown));
            } else {
                let text = std::fs::read_to_string(entry.path()).map_err(file_error)?;
                // An editor's line ends and byte-order mark are no part of a text.
                let text = text.trim_start_matches('\u{FEFF}').replace("\r\n", "\n");
                self.0.insert(child, Source { text, shown });
            }
        }
        Ok(())
    }

    /// The locales there are, each with all its files, or what is missing.
    pub(super) fn locales(&self) -> Result<Vec<String>, MessagesError> {
        let mut locales: Vec<String> = self
            .0
            .keys()
            .filter_map(|name| match name.split('/').collect::<Vec<_>>()[..] {
                ["email", kind, locale, _] if kind != "_layout" => Some(locale.to_owned()),
                _ => None,
            })
            .collect();
        locales.sort_unstable();
        locales.dedup();
        for locale in &locales {
            for kind in NoticeKind::ALL {
                for part in PARTS {
                    let name = name(kind, locale, part);
                    if !self.0.contains_key(&name) {
                        return Err(MessagesError::Missing(name));
                    }
                }
            }
        }
        Ok(locales)
    }

    /// How errors call a text.
    pub(super) fn shown(&self, name: &str) -> String {
        self.0
            .get(name)
            .map_or_else(|| name.to_owned(), |source| source.shown.clone())
    }

    /// A finding about a text; its line is the first that `at` is true of.
    pub(super) fn finding(
        &self,
        name: &str,
        (rule, reason): (u8, String),
        at: impl Fn(&str) -> bool,
    ) -> Finding {
        Finding {
            file: self.shown(name),
            line: self
                .0
                .get(name)
                .and_then(|source| source.text.lines().position(at))
                .map(|line| line + 1),
            rule,
            reason,
        }
    }
}

/// The name of a part of a letter.
pub(super) fn name(kind: NoticeKind, locale: &str, part: &str) -> String {
    format!("email/{kind}/{locale}/{part}")
}

/// Whether a file is one that messages are made of. Dates and reasons are written in English, so a locale is English.
fn known(name: &str) -> bool {
    match name.split('/').collect::<Vec<_>>()[..] {
        ["email", "_layout", file] => file.ends_with(".html"),
        ["email", kind, locale, file] => {
            NoticeKind::from_word(kind).is_some() && is_english(locale) && PARTS.contains(&file)
        }
        ["sms", "notice" | "compromised", file] => {
            file.strip_suffix(".txt").is_some_and(is_english)
        }
        [
            "chat",
            "heads_up" | "access_restricted" | "access_restored",
            file,
        ] => file.strip_suffix(".txt") == Some(DEFAULT_LOCALE),
        ["letter", "access_restricted" | "access_restored", file] => {
            file.strip_suffix(".txt") == Some(DEFAULT_LOCALE)
        }
        ["statement", template, file] => {
            super::STATEMENT_TEMPLATES.contains(&template)
                && file.strip_suffix(".txt") == Some(DEFAULT_LOCALE)
        }
        _ => name == STATUS,
    }
}

fn is_english(locale: &str) -> bool {
    locale
        .strip_prefix("en-")
        .is_some_and(|region| region.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// A template's own words: tags of the template language blanked, line breaks kept.
pub(super) fn own_words(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let (before, tag) = rest.split_at(at);
        out.push_str(before);
        let end = match tag.as_bytes().get(1) {
            Some(b'{') => tag.find("}}"),
            Some(b'%') => tag.find("%}"),
            Some(b'#') => tag.find("#}"),
            _ => None,
        };
        let length = end.map_or(1, |end| end + 2);
        let (tag, tail) = tag.split_at(length);
        // An inner word keeps its place, so that what stands around a tag does not read as one word.
        out.push(' ');
        out.extend(tag.chars().filter(|c| *c == '\n'));
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// The text of an HTML template, line by line: elements, styles and comments blanked.
pub(super) fn own_html_words(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_tag = false;
    let mut in_style = false;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        in_style = (in_style || rest.starts_with("<style")) && !rest.starts_with("</style");
        in_tag = in_tag || c == '<';
        out.push(if (in_tag || in_style) && c != '\n' {
            ' '
        } else {
            c
        });
        in_tag = in_tag && c != '>';
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    own_words(&out)
}
