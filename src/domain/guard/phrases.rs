//! Phrases: counts that are too small, who is said to have done it, and what is held back for now.

use super::names::fold_word;
use super::words::{Word, Words};

/// One to four, in words and figures.
const FEW: [&str; 8] = ["one", "two", "three", "four", "1", "2", "3", "4"];

/// What is counted in groups of people.
const GROUP: [&str; 31] = [
    "people",
    "person",
    "persons",
    "account",
    "accounts",
    "user",
    "users",
    "staff",
    "colleague",
    "colleagues",
    "member",
    "members",
    "employee",
    "employees",
    "mailbox",
    "mailboxes",
    "victim",
    "victims",
    "mp",
    "mps",
    "peer",
    "peers",
    "officer",
    "officers",
    "worker",
    "workers",
    "resident",
    "residents",
    "councillor",
    "councillors",
    "administrators",
];

/// What stands before a number that counts nothing.
const NUMBERED: [&str; 9] = [
    "update",
    "statement",
    "step",
    "phase",
    "day",
    "level",
    "section",
    "number",
    "part",
];

/// How far behind a number its group may stand.
const REACH: usize = 3;

/// Phrases that say who did it.
const BLAME: [&str; 33] = [
    "state actor",
    "state actors",
    "nation state",
    "nation states",
    "state sponsored",
    "state backed",
    "hostile state",
    "hostile states",
    "hostile actor",
    "hostile actors",
    "foreign state",
    "foreign power",
    "foreign government",
    "foreign intelligence",
    "intelligence service",
    "intelligence services",
    "secret service",
    "organised crime",
    "organized crime",
    "ransomware gang",
    "ransomware group",
    "hacker group",
    "hacking group",
    "criminal group",
    "criminal gang",
    "attributed to",
    "responsible for this attack",
    "behind this attack",
    "behind the attack",
    "insider",
    "disgruntled",
    "terrorists",
    "hacktivists",
];

/// Countries, and what belongs to them. Those that are words as well count with a capital letter only.
const COUNTRIES: &str = "afghanistan|afghan|albania|albanian|algeria|algerian|angola|argentina|armenia|armenian|australia|australian|austria|austrian|\
azerbaijan|azerbaijani|bahrain|bangladesh|belarus|belarusian|belarussian|belgium|belgian|bolivia|bosnia|brazil|brazilian|bulgaria|bulgarian|cambodia|\
cameroon|canada|canadian|chile|chinese|colombia|colombian|congo|costa rica|croatia|croatian|cuba|cuban|cyprus|cypriot|czech|czechia|denmark|danish|\
ecuador|egypt|egyptian|eritrea|estonia|estonian|ethiopia|ethiopian|finland|finnish|france|german|germany|ghana|greece|hungary|hungarian|iceland|\
india|indian|indonesia|indonesian|iran|iranian|iraq|iraqi|ireland|israel|israeli|italy|italian|japan|japanese|kazakhstan|kenya|kosovo|kuwait|kyrgyzstan|\
latvia|latvian|lebanon|lebanese|libya|libyan|lithuania|lithuanian|luxembourg|malaysia|malaysian|mexico|mexican|moldova|mongolia|montenegro|morocco|\
moroccan|mozambique|myanmar|namibia|nepal|netherlands|dutch|new zealand|nicaragua|nigeria|nigerian|north korea|north korean|north koreans|norway|\
norwegian|oman|pakistan|pakistani|palestine|palestinian|panama|peru|philippines|filipino|poland|portugal|portuguese|qatar|qatari|romania|romanian|\
russia|russian|russians|rwanda|saudi|saudi arabia|senegal|serbia|serbian|singapore|slovakia|slovenia|somalia|south africa|south african|south korea|\
south korean|spain|spanish|sri lanka|sudan|sweden|swedish|switzerland|syria|syrian|taiwan|taiwanese|tajikistan|tanzania|thailand|thai|tunisia|\
turkish|turkmenistan|uganda|ukraine|ukrainian|emirates|emirati|uruguay|uzbekistan|venezuela|venezuelan|vietnam|vietnamese|yemen|yemeni|zambia|\
zimbabwe|united states|american|americans|kremlin|beijing|moscow|tehran|pyongyang";

/// Countries whose names are words too.
const CAPITAL: &str =
    "China|Turkey|Chad|Jordan|Georgia|Georgian|Guinea|Mali|Niger|Polish|Swiss|French|Greek|Irish";

pub(super) fn small_counts(text: &Words<'_>) -> Vec<usize> {
    let words = &text.words;
    let mut found = Vec::new();
    for (nth, word) in words.iter().enumerate() {
        let before = nth.checked_sub(1).and_then(|before| words.get(before));
        let counts_nothing =
            before.is_some_and(|before| !before.ends && NUMBERED.contains(&before.folded.as_str()));
        if !FEW.contains(&word.folded.as_str()) || counts_nothing || word.ends {
            continue;
        }
        for near in words.iter().skip(nth + 1).take(REACH) {
            if GROUP.contains(&near.folded.as_str()) {
                found.push(word.at);
                break;
            }
            if near.ends {
                break;
            }
        }
    }
    found
}

pub(super) fn attributions(text: &Words<'_>, own: &[String]) -> Vec<usize> {
    let own: Vec<String> = own.iter().map(|one| folded(one)).collect();
    let mut found = Vec::new();
    for phrase in BLAME.iter().copied().chain(COUNTRIES.split('|')) {
        if !own.iter().any(|one| one == phrase) {
            found.extend(places(&text.words, phrase));
        }
    }
    for word in &text.words {
        let is_country =
            CAPITAL.split('|').any(|one| one == word.raw) && !own.contains(&word.folded);
        // APT28 and its like.
        let is_group = word
            .folded
            .strip_prefix("apt")
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()));
        if is_country || is_group {
            found.push(word.at);
        }
    }
    found
}

pub(super) fn held(text: &Words<'_>, phrases: &[String]) -> Vec<usize> {
    phrases
        .iter()
        .flat_map(|phrase| places(&text.words, &folded(phrase)))
        .collect()
}

/// A phrase as it is compared: words folded, single blanks. A hyphen parts words here.
fn folded(phrase: &str) -> String {
    phrase
        .split(|c: char| !c.is_alphanumeric() && !matches!(c, '\'' | '\u{2019}'))
        .map(fold_word)
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Where a folded phrase stands. A word with a hyphen counts as its parts.
fn places(words: &[Word<'_>], phrase: &str) -> Vec<usize> {
    if phrase.is_empty() {
        return Vec::new();
    }
    let is_here = |from: usize| {
        let mut rest = phrase;
        for word in words.iter().skip(from) {
            let own = match word.raw.contains('-') {
                true => folded(word.raw),
                false => word.folded.clone(),
            };
            match rest.strip_prefix(own.as_str()) {
                Some("") => return true,
                // The phrase may end inside a word with a hyphen, never inside a plain one.
                Some(tail) => match tail.strip_prefix(' ') {
                    Some(tail) => rest = tail,
                    None => return false,
                },
                None => {
                    return own
                        .strip_prefix(rest)
                        .is_some_and(|more| more.starts_with(' '));
                }
            }
            if word.ends {
                return false;
            }
        }
        false
    };
    (0..words.len())
        .filter(|from| is_here(*from))
        .filter_map(|from| words.get(from).map(|word| word.at))
        .collect()
}
