//! Guard: what a text must not disclose. A pure function of the text, the rules, and what the directory knows of its words.
//!
//! [`asked`] says which words to look up, a bounded number for a text of bounded length; [`findings`] says what is wrong and
//! where, never what the words are: whoever reads it may not be allowed to see names.

mod leaks;
mod names;
mod phrases;
mod words;

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

pub use names::{fold_word, keys_of};

use words::Words;

/// A kind of disclosure.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Leak {
    /// Somebody's name.
    Name,
    /// A mail address.
    Address,
    /// What somebody signs in with, or is known by in the directory.
    Account,
    /// One to four of a group.
    SmallCount,
    /// Who is said to have done it.
    Attribution,
    /// A phrase of the hold list.
    Held,
    /// Something that calls people in a chat.
    Mention,
    /// A link that is not on the list.
    Link,
}

impl Leak {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Name,
        Self::Address,
        Self::Account,
        Self::SmallCount,
        Self::Attribution,
        Self::Held,
        Self::Mention,
        Self::Link,
    ];

    /// As it is told.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Name => "a person's name",
            Self::Address => "a mail address",
            Self::Account => "an account's id",
            Self::SmallCount => "a count below five",
            Self::Attribution => "an attribution (who is said to have done it)",
            Self::Held => "a phrase of the hold list",
            Self::Mention => "a mention that calls people in a chat",
            Self::Link => "a link that is not on the list",
        }
    }
}

/// Something that a text must not hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct Finding {
    /// Where it begins, in characters from 1.
    pub at: usize,
    /// What it is.
    pub leak: Leak,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at character {}", self.leak.in_words(), self.at)
    }
}

/// What the organisation has decided.
#[derive(Clone, Copy, Default, Debug)]
pub struct Rules<'a> {
    /// Phrases that nobody may publish for now.
    pub held: &'a [String],
    /// Hosts that links may lead to, with all below them.
    pub hosts: &'a [String],
    /// Countries that texts may name, because they are the organisation's own.
    pub own_countries: &'a [String],
}

/// What to look up before [`findings`]: keys of names, and words that could be accounts' ids.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// As [`keys_of`] makes them.
    pub names: BTreeSet<String>,
    /// Folded.
    pub accounts: BTreeSet<String>,
}

/// What the directory answered.
pub type Known = Asked;

impl fmt::Debug for Asked {
    /// How many: they may be names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked")
            .field("names", &self.names.len())
            .field("accounts", &self.accounts.len())
            .finish()
    }
}

/// What to look up for a text.
pub fn asked(text: &str) -> Asked {
    let words = Words::of(text);
    Asked {
        names: names::candidates(&words)
            .into_iter()
            .map(|(_, key)| key)
            .collect(),
        accounts: leaks::account_words(&words)
            .into_iter()
            .map(|(_, word)| word)
            .collect(),
    }
}

/// Everything that `text` must not hold, in the order in which it stands there, each once.
pub fn findings(text: &str, known: &Known, rules: &Rules<'_>) -> Vec<Finding> {
    let words = Words::of(text);
    let mut found = BTreeSet::new();
    let mut add = |leak: Leak, places: Vec<usize>| {
        found.extend(places.into_iter().map(|at| Finding { at, leak }));
    };
    let named = |known: &BTreeSet<String>, candidates: Vec<(usize, String)>| {
        candidates
            .into_iter()
            .filter(|(_, key)| known.contains(key))
            .map(|(at, _)| at)
            .collect()
    };
    add(Leak::Name, named(&known.names, names::candidates(&words)));
    add(
        Leak::Account,
        named(&known.accounts, leaks::account_words(&words)),
    );
    add(Leak::Account, leaks::account_forms(&words));
    add(Leak::Address, leaks::addresses(&words));
    add(Leak::Mention, leaks::mentions(&words));
    add(Leak::Link, leaks::links(&words, rules.hosts));
    add(Leak::SmallCount, phrases::small_counts(&words));
    add(
        Leak::Attribution,
        phrases::attributions(&words, rules.own_countries),
    );
    add(Leak::Held, phrases::held(&words, rules.held));
    found.into_iter().collect()
}

/// Whether `text` holds `phrase`, as the hold list is read: without case, accents and hyphens.
pub fn holds(text: &str, phrase: &str) -> bool {
    let words = Words::of(text);
    !phrases::held(&words, &[phrase.to_owned()]).is_empty()
}

#[cfg(test)]
mod tests;
