//! Names: how the words of a text and of the directory are compared: without case, accents, hyphens, apostrophes and order, and with
//! letters of other alphabets that look the same.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::words::{Word, Words, is_inside};

/// Words before or after a name that are no part of it.
const TITLES: [&str; 33] = [
    "dr",
    "mr",
    "mrs",
    "ms",
    "miss",
    "mx",
    "sir",
    "dame",
    "lord",
    "lady",
    "baroness",
    "baron",
    "prof",
    "professor",
    "rt",
    "hon",
    "rev",
    "mp",
    "msp",
    "mla",
    "phd",
    "obe",
    "mbe",
    "cbe",
    "kc",
    "qc",
    "jr",
    "sr",
    "ii",
    "iii",
    "councillor",
    "cllr",
    "the",
];

/// Titles that make the word behind them a name.
const CALLS: [&str; 17] = [
    "dr",
    "mr",
    "mrs",
    "ms",
    "miss",
    "mx",
    "sir",
    "dame",
    "lord",
    "lady",
    "baroness",
    "baron",
    "prof",
    "professor",
    "councillor",
    "cllr",
    "rev",
];

/// Words that are names and English as well: two of them in small letters are taken for English.
const ENGLISH: [&str; 52] = [
    "will", "may", "mark", "rose", "grace", "frank", "bill", "rob", "jack", "sue", "hope", "faith",
    "joy", "young", "long", "short", "good", "day", "new", "white", "black", "brown", "green",
    "grey", "stone", "wood", "hill", "field", "page", "price", "rich", "sharp", "small", "early",
    "art", "drew", "guy", "chase", "grant", "pat", "dean", "law", "banks", "bell", "cook", "baker",
    "king", "march", "april", "june", "august", "summer",
];

/// A few words of one display name at most make its keys.
const MOST_WORDS: usize = 6;

/// Of a word with hyphens, itself and a few of its parts: pairs of them are looked up.
const MOST_FORMS: usize = 4;

/// Letters that look like Latin ones, and ligatures, as the Latin letters.
const fn latin(c: char) -> Option<&'static str> {
    Some(match c {
        'а' | 'α' => "a",
        'в' | 'β' => "b",
        'с' | 'ϲ' => "c",
        'ԁ' | 'đ' | 'ð' => "d",
        'е' | 'ε' => "e",
        'ɡ' => "g",
        'н' | 'η' | 'һ' => "h",
        'і' | 'ι' | 'ı' => "i",
        'ј' => "j",
        'к' | 'κ' => "k",
        'ӏ' | 'ł' => "l",
        'м' | 'μ' => "m",
        'ν' => "n",
        'о' | 'ο' | 'ø' => "o",
        'р' | 'ρ' => "p",
        'ѕ' => "s",
        'т' | 'τ' => "t",
        'у' | 'υ' => "y",
        'х' | 'χ' => "x",
        'ζ' => "z",
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        _ => return None,
    })
}

/// A word as it is compared.
pub fn fold_word(word: &str) -> String {
    if word.is_ascii() {
        return word
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect();
    }
    let mut folded = String::with_capacity(word.len());
    for c in word
        .nfkd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase)
    {
        match latin(c) {
            Some(same) => folded.push_str(same),
            None if c.is_alphanumeric() => folded.push(c),
            None => {}
        }
    }
    folded
}

/// A word and, if it is made of several with hyphens, each of them: folded, two letters at least.
fn forms(raw: &str) -> Vec<String> {
    let mut forms = vec![fold_word(raw)];
    if raw.contains(['-', '\u{2010}', '\u{2011}']) {
        forms.extend(raw.split(['-', '\u{2010}', '\u{2011}']).map(fold_word));
    }
    forms.retain(|form| form.chars().count() >= 2);
    forms.dedup();
    forms.truncate(MOST_FORMS);
    forms
}

fn pair(one: &str, other: &str) -> String {
    if one <= other {
        format!("{one} {other}")
    } else {
        format!("{other} {one}")
    }
}

fn called(word: &str) -> String {
    format!("~{word}")
}

/// The keys by which a display name is found again: each two of its words in alphabetical order, and each word by itself
/// behind a `~`, for whoever is called by a title.
pub fn keys_of(display_name: &str) -> Vec<String> {
    let words: Vec<Vec<String>> = display_name
        .split(|c: char| !(c.is_alphanumeric() || is_inside(c) || is_combining_mark(c)))
        .map(|word| forms(word.trim_matches(is_inside)))
        .filter(|forms| {
            forms
                .first()
                .is_some_and(|word| !TITLES.contains(&word.as_str()))
        })
        .take(MOST_WORDS)
        .collect();
    let mut keys = Vec::new();
    for (nth, forms) in words.iter().enumerate() {
        keys.extend(
            forms
                .iter()
                .filter(|form| form.chars().count() >= 3)
                .map(|form| called(form)),
        );
        for others in words.iter().skip(nth + 1) {
            for one in forms {
                keys.extend(others.iter().map(|other| pair(one, other)));
            }
        }
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// What could be a name: two words that follow each other or have one between them, and words behind a title.
pub(super) fn candidates(text: &Words<'_>) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let words: Vec<(&Word<'_>, Vec<String>)> = text
        .words
        .iter()
        .map(|word| (word, forms(word.raw)))
        .collect();
    for (nth, (word, own)) in words.iter().enumerate() {
        let next = words.get(nth + 1);
        if CALLS.contains(&word.folded.as_str())
            && let Some((_, forms)) = next
        {
            found.extend(forms.iter().map(|form| (word.at, called(form))));
        }
        // A middle name or an initial may stand between.
        for (other, forms) in words.iter().skip(nth + 1).take(2) {
            if are_english(word, other) {
                continue;
            }
            for one in own {
                found.extend(forms.iter().map(|form| (word.at, pair(one, form))));
            }
        }
    }
    found
}

fn are_english(one: &Word<'_>, other: &Word<'_>) -> bool {
    [one, other].iter().all(|word| {
        word.raw.chars().all(char::is_lowercase) && ENGLISH.contains(&word.folded.as_str())
    })
}

/// Whether a word alone is English, though somebody may sign in with it.
pub(super) fn is_english(word: &str) -> bool {
    ENGLISH.contains(&word)
}
