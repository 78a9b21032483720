//! Have I Been Pwned, API v3, `breacheddomain`: one JSON object, alias → names of breaches, joined with the catalogue; and
//! the downloaded domain report (old link form), which carries its own breaches.
//!
//! The object is read an entry at a time. A domain nobody of which is in a breach is an empty object, an empty file (the
//! service's 404), or its own words for 404. An answer about stealer logs has the same shape with web sites in it; it is
//! told apart by values with a dot that are no breach's name, and refused: [`super::stealer`] reads it where the
//! configuration says that it is one.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::io::Read;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::decode::Bytes;
use super::detect::{By, Head, Look, Refusal, Shape};
use super::{AuditError, CodePage, Format, ReadOptions, Sink};
use crate::domain::address::EmailAddress;
use crate::domain::finding::{AuditRow, Category, RejectReason, Severity, Weakness};
use crate::domain::identity::{Key, KeyKind};
use crate::domain::moment::Moment;

/// Bytes that one entry may have.
pub(super) const MAX_ENTRY: usize = 1024 * 1024;

/// What the catalogue says about one breach, as far as it matters here. Flags that are missing are false.
#[derive(Clone, PartialEq, Eq, Debug, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Breach {
    /// Its stable key.
    pub name: String,
    /// What people call it.
    #[serde(default)]
    pub title: String,
    /// When the service learnt of it.
    pub added_date: Moment,
    /// What was in it.
    #[serde(default)]
    pub data_classes: Vec<String>,
    /// The service holds it to be real.
    #[serde(default)]
    pub is_verified: bool,
    /// It was made up.
    #[serde(default)]
    pub is_fabricated: bool,
    /// It is a list of addresses for spam.
    #[serde(default)]
    pub is_spam_list: bool,
    /// Malware gathered it.
    #[serde(default)]
    pub is_stealer_log: bool,
}

impl Breach {
    /// What being in this breach means.
    pub fn weakness(&self) -> Weakness {
        let passwords = |class: &String| {
            ["Passwords", "Historical passwords"]
                .iter()
                .any(|known| class.eq_ignore_ascii_case(known))
        };
        if self.is_fabricated || self.is_spam_list {
            Weakness::BreachInfo
        } else if self.is_stealer_log {
            Weakness::StealerLog
        } else if self.data_classes.iter().any(passwords) {
            Weakness::BreachPassword
        } else {
            Weakness::BreachNoPassword
        }
    }

    /// How bad, where that is not the weakness's own severity: a breach that is not verified is one lower.
    fn severity(&self) -> Option<Severity> {
        (!self.is_verified && self.weakness().category() == Some(Category::Breached))
            .then_some(Severity::Low)
    }
}

/// The catalogue is no array of breaches.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: this is no catalogue of breaches as GET /breaches gives it")]
pub struct BadCatalogue {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

/// The breaches there are, as `GET /breaches` lists them.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Catalogue(HashMap<String, Breach>);

impl Catalogue {
    /// Reads the catalogue.
    pub fn parse(json: &str) -> Result<Self, BadCatalogue> {
        let json = json.strip_prefix('\u{FEFF}').unwrap_or(json);
        let breaches: Vec<Breach> = serde_json::from_str(json).map_err(|error| BadCatalogue {
            line: error.line(),
            column: error.column(),
        })?;
        Ok(Self(
            breaches
                .into_iter()
                .map(|breach| (breach.name.clone(), breach))
                .collect(),
        ))
    }

    /// The breach of a name.
    pub fn get(&self, name: &str) -> Option<&Breach> {
        self.0.get(name)
    }

    /// When the newest breach of stealer logs was added.
    pub fn newest_stealer_log(&self) -> Option<Moment> {
        let logs = self.0.values().filter(|breach| breach.is_stealer_log);
        logs.map(|breach| breach.added_date).max()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

pub(super) fn read(
    input: impl Read,
    options: &ReadOptions<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), AuditError> {
    let needs = |what| AuditError::Needs {
        format: Format::HibpDomain,
        what,
    };
    let catalogue = options.catalogue.ok_or(needs(
        "the catalogue of breaches, as GET /breaches gives it",
    ))?;
    let domain = options
        .domain
        .ok_or(needs("the mail domain that was searched"))?;
    let end = scan(input, &mut |entry| {
        sink.record();
        match entry {
            Entry::Names(alias, names) => of_alias(alias, names, domain, catalogue, sink),
            Entry::Report(listed) => of_report(&listed, domain, sink),
        }
    })?;
    finish(end, sink)
}

/// What is said of an answer's end.
pub(super) fn finish(end: End, sink: &mut Sink<'_>) -> Result<(), AuditError> {
    match end {
        End::Nothing => sink.note("the file is empty: no address of the domain is in a breach"),
        End::Status(404) => sink.note("the service found no address of the domain in a breach"),
        End::Status(status) => return Err(AuditError::ErrorAnswer { status }),
        End::Whole => {}
        End::Cut => sink.reject(sink.summary.records + 1, RejectReason::Truncated)?,
    }
    Ok(())
}

/// The key of an alias of the domain; none if it makes no address.
pub(super) fn key_of(alias: &str, domain: &str) -> Option<Key> {
    let address = format!("{}@{}", alias.trim(), domain.trim());
    EmailAddress::parse(&address)
        .ok()
        .and_then(|address| Key::new(KeyKind::Email, address.expose()))
}

/// A name that may be kept as the detail of a finding.
pub(super) fn detail(name: &str) -> Option<String> {
    Some(name.chars().take(200).collect())
}

/// The findings of one alias. `line` is the number of its entry: the file is one line.
fn of_alias(
    alias: &str,
    names: &[String],
    domain: &str,
    catalogue: &Catalogue,
    sink: &mut Sink<'_>,
) -> Result<(), AuditError> {
    let line = sink.summary.records;
    let Some(key) = key_of(alias, domain) else {
        return sink.reject(line, RejectReason::BadAddress);
    };
    for name in names {
        let breach = catalogue.get(name);
        if breach.is_none() && name.contains('.') {
            return Err(Refusal::StealerLogs.into());
        }
        let added = breach.map(|breach| breach.added_date);
        sink.row(AuditRow {
            line,
            keys: vec![key.clone()],
            weakness: breach.map_or(Weakness::BreachUnknown, Breach::weakness),
            detail: detail(name),
            severity: breach.and_then(Breach::severity),
            bad_as_of: added,
            discovered_at: added,
            baseline: None,
            history_unless_known: false,
        })?;
    }
    Ok(())
}

/// The findings of one address of a downloaded report, in whichever of the two lists it stands.
fn of_report(listed: &Listed, domain: &str, sink: &mut Sink<'_>) -> Result<(), AuditError> {
    let line = sink.summary.records;
    let domain = match listed.domain_name.trim() {
        "" => domain,
        own => own,
    };
    let Some(key) = key_of(&listed.alias, domain) else {
        return sink.reject(line, RejectReason::BadAddress);
    };
    let row = |weakness, name: &str, severity, at| AuditRow {
        line,
        keys: vec![key.clone()],
        weakness,
        detail: detail(name),
        severity,
        bad_as_of: at,
        discovered_at: at,
        baseline: None,
        history_unless_known: false,
    };
    for breach in listed.breaches.iter().flatten() {
        let at = Some(breach.added_date);
        sink.row(row(breach.weakness(), &breach.name, breach.severity(), at))?;
    }
    for paste in listed.pastes.iter().flatten() {
        let name = format!("{} {}", paste.source, paste.id);
        sink.row(row(Weakness::Paste, name.trim(), None, paste.date))?;
    }
    Ok(())
}

/// An address of a downloaded report.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Listed {
    alias: String,
    #[serde(default)]
    domain_name: String,
    #[serde(default)]
    breaches: Option<Vec<Breach>>,
    #[serde(default)]
    pastes: Option<Vec<Paste>>,
}

/// Where an address was pasted. Its title is somebody's text and is not kept.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Paste {
    source: String,
    id: String,
    #[serde(default)]
    date: Option<Moment>,
}

/// The members of a downloaded report that are its lists.
const REPORT: [&str; 2] = ["BreachSearchResults", "PasteSearchResults"];

pub(super) fn look(head: &Head<'_>) -> Look {
    let report = head.json_with(&["BreachSearchResults"]);
    if matches!(report, Look::Yes { .. }) {
        return report;
    }
    answer(head, |shown| match shown {
        Shown::Breaches => Look::yes(
            By::Form,
            "a JSON object whose values are all lists of names",
        ),
        Shown::Sites => Look::no(80, "its lists hold web sites, not names of breaches"),
        Shown::Error => Look::no(50, "it is an error that the service answered"),
    })
}

/// The same for an answer about stealer logs.
pub(super) fn look_stealer_logs(head: &Head<'_>) -> Look {
    answer(head, |shown| match shown {
        Shown::Sites => Look::yes(
            By::Form,
            "a JSON object whose values are all lists of web sites",
        ),
        Shown::Breaches => Look::no(80, "its lists hold names, not web sites"),
        Shown::Error => Look::no(50, "it is an error that the service answered"),
    })
}

/// The same for the service's words when it refuses.
pub(super) fn look_error(head: &Head<'_>) -> Look {
    answer(head, |shown| match shown {
        Shown::Error => Look::yes(By::Sign, "JSON with the number of an HTTP status"),
        Shown::Breaches | Shown::Sites => Look::no(1, "it holds no HTTP status"),
    })
}

/// What an object of lists shows.
enum Shown {
    Breaches,
    Sites,
    Error,
}

/// An object whose values are all lists of texts; the answer no if it is none.
fn answer(head: &Head<'_>, say: impl Fn(Shown) -> Look) -> Look {
    if let Some(no) = head.unless_shape(Shape::Json) {
        return no;
    }
    let mut sites = false;
    let mut entries = 0;
    let mut report = false;
    let end = scan(head.start.as_bytes(), &mut |entry| {
        entries += 1;
        match entry {
            Entry::Names(_, names) => sites |= names.iter().any(|name| name.contains('.')),
            Entry::Report(_) => report = true,
        }
        Ok(())
    });
    let is_one = match end {
        Ok(End::Whole | End::Status(404)) => true,
        Ok(End::Cut) => !head.whole || entries > 0,
        Ok(End::Status(_)) => return say(Shown::Error),
        Ok(End::Nothing) | Err(_) => false,
    };
    match (is_one, sites) {
        (true, true) if !report => say(Shown::Sites),
        (true, _) => say(Shown::Breaches),
        (false, _) => Look::no(1, "its values are not all lists of texts"),
    }
}

/// How an answer ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// There was not a byte.
    Nothing,
    /// As it should.
    Whole,
    /// In the middle.
    Cut,
    /// It was no answer but the service's words for an HTTP status.
    Status(u64),
}

/// One entry of an answer.
pub(super) enum Entry<'a> {
    /// An alias, and the names that are listed of it.
    Names(&'a str, &'a [String]),
    /// An address of a downloaded report.
    Report(Listed),
}

/// What takes the entries.
pub(super) type Take<'a> = &'a mut dyn FnMut(Entry<'_>) -> Result<(), AuditError>;

/// Reads an answer an entry at a time, in bounded memory.
pub(super) fn scan(input: impl Read, take: Take<'_>) -> Result<End, AuditError> {
    scan_bytes(Bytes::open(input, None, CodePage::default())?, take)
}

/// The same, of a file that was opened before.
pub(super) fn scan_bytes<R: Read>(bytes: Bytes<R>, take: Take<'_>) -> Result<End, AuditError> {
    if bytes.empty {
        return Ok(End::Nothing);
    }
    let left = Cell::new(MAX_ENTRY);
    let trouble = RefCell::new(None);
    let mut json = serde_json::Deserializer::from_reader(Metered::new(bytes, &left, &trouble));
    let entries = Entries {
        take,
        left: &left,
        trouble: &trouble,
    };
    let result = json
        .deserialize_map(entries)
        .and_then(|status| json.end().map(|()| status));
    // An error of ours went through serde_json, which would have turned it into words.
    if let Some(error) = trouble.take() {
        return Err(error);
    }
    match result {
        Ok(Some(status)) => Ok(End::Status(status)),
        Ok(None) => Ok(End::Whole),
        Err(error) if error.is_eof() => Ok(End::Cut),
        Err(error) => Err(AuditError::Json {
            line: error.line(),
            column: error.column(),
            problem: "this is no JSON object of lists of breach names",
        }),
    }
}

/// Lets one entry's bytes through, and no more.
pub(super) struct Metered<'a, R> {
    bytes: Bytes<R>,
    left: &'a Cell<usize>,
    trouble: &'a RefCell<Option<AuditError>>,
}

impl<'a, R> Metered<'a, R> {
    /// Lets `left` bytes through. What stops it is put into `trouble`.
    pub(super) const fn new(
        bytes: Bytes<R>,
        left: &'a Cell<usize>,
        trouble: &'a RefCell<Option<AuditError>>,
    ) -> Self {
        Self {
            bytes,
            left,
            trouble,
        }
    }
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let stop = |error| {
            *self.trouble.borrow_mut() = Some(error);
            std::io::Error::other("stopped")
        };
        let chunk = self.bytes.chunk().map_err(stop)?;
        let count = chunk.len().min(into.len());
        for (to, from) in into.iter_mut().zip(chunk) {
            *to = *from;
        }
        self.bytes.consume(count);
        if self.left.get() < count {
            return Err(stop(Refusal::LongValue.into()));
        }
        self.left.set(self.left.get() - count);
        Ok(count)
    }
}

/// Visits the object. Its value is the status of an error answer, if it was one.
struct Entries<'a, 'b> {
    take: Take<'a>,
    left: &'b Cell<usize>,
    trouble: &'b RefCell<Option<AuditError>>,
}

impl Entries<'_, '_> {
    fn hand_out<E: de::Error>(&mut self, entry: Entry<'_>) -> Result<(), E> {
        self.left.set(MAX_ENTRY);
        (self.take)(entry).map_err(|error| {
            *self.trouble.borrow_mut() = Some(error);
            E::custom("stopped")
        })
    }
}

/// Hands out one list of a downloaded report, which may be null.
struct Report<'s, 'a, 'b>(&'s mut Entries<'a, 'b>);

impl<'de> DeserializeSeed<'de> for Report<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Report<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of addresses, or null")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(listed) = seq.next_element::<Listed>()? {
            self.0.hand_out(Entry::Report(listed))?;
        }
        Ok(())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }
}

impl<'de> Visitor<'de> for Entries<'_, '_> {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of lists of names")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut status = None;
        while let Some(alias) = map.next_key::<String>()? {
            if REPORT.contains(&alias.as_str()) {
                map.next_value_seed(Report(&mut self))?;
                continue;
            }
            match map.next_value::<Names>()? {
                Names::List(names) => self.hand_out(Entry::Names(&alias, &names))?,
                Names::Number(number) if alias == "statusCode" => status = Some(number),
                Names::Text if alias == "message" => {}
                Names::Number(_) | Names::Text => {
                    return Err(de::Error::custom("no list of names"));
                }
            }
            self.left.set(MAX_ENTRY);
        }
        Ok(status)
    }
}

/// The value of an entry.
enum Names {
    List(Vec<String>),
    Number(u64),
    Text,
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(NamesVisitor)
    }
}

struct NamesVisitor;

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = Names;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of names")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Names, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = seq.next_element::<String>()? {
            names.push(name);
        }
        Ok(Names::List(names))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Names, E> {
        Ok(Names::Number(number))
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Names, E> {
        Ok(Names::Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::tests::{outcomes, read_all};
    use crate::audit::{Item, Summary};

    const CATALOGUE: &str = r#"[
        {"Name": "PlumMail", "AddedDate": "2025-11-02T21:00:11Z", "DataClasses": ["Passwords"], "IsVerified": true},
        {"Name": "Rumour", "AddedDate": "2025-11-02T21:00:11Z", "DataClasses": ["Passwords"], "NewField": {"a": 1}},
        {"Name": "dotted.name", "AddedDate": "2025-11-02T21:00:11Z", "IsVerified": true}
    ]"#;

    fn answer(json: &str) -> Result<(Vec<Item>, Summary), AuditError> {
        let catalogue = Catalogue::parse(CATALOGUE).unwrap();
        let options = ReadOptions {
            catalogue: Some(&catalogue),
            domain: Some("parl.example"),
            ..ReadOptions::default()
        };
        read_all(Format::HibpDomain, json.as_bytes(), &options)
    }

    #[test]
    fn an_unverified_breach_is_one_lower_and_the_date_is_that_of_its_addition() {
        let (items, _) = answer(r#"{"ada":["PlumMail","Rumour","Newest"]}"#).unwrap();
        let severities: Vec<_> = items
            .iter()
            .map(|item| match item {
                Item::Row(row) => (
                    row.severity,
                    row.bad_as_of.is_some(),
                    row.bad_as_of == row.discovered_at,
                ),
                Item::Reject(_) | Item::Skipped(_) | Item::Attempt(_) => panic!("no finding"),
            })
            .collect();
        assert_eq!(
            severities,
            [
                (None, true, true),
                (Some(Severity::Low), true, true),
                (None, false, true)
            ]
        );
    }

    #[test]
    fn nobody_in_a_breach_is_no_error() {
        for json in [
            "{}",
            "",
            "\u{FEFF}{ }\r\n",
            r#"{"statusCode":404,"message":"x"}"#,
        ] {
            let (items, summary) = answer(json).unwrap();
            assert!(items.is_empty() && !summary.incomplete, "{json}");
        }
    }

    #[test]
    fn an_answer_that_is_none_is_refused() {
        for (json, expected) in [
            (
                r#"{"statusCode":429,"message":"Rate limit is exceeded."}"#,
                "answer 429",
            ),
            (r#"{"ada":["netflix.com"]}"#, "stealer"),
            (r#"{"ada":"PlumMail"}"#, "no JSON object of lists"),
            (r#"[]"#, "no JSON object of lists"),
            (r#"{"ada":["PlumMail"]} x"#, "no JSON object of lists"),
            (r#"{"ada":[1]}"#, "no JSON object of lists"),
        ] {
            let refused = answer(json).unwrap_err().to_string();
            assert!(refused.contains(expected), "{json}: {refused}");
        }
        let long = format!(r#"{{"ada":["{}"]}}"#, "x".repeat(MAX_ENTRY));
        assert!(answer(&long).unwrap_err().to_string().contains("1 MiB"));
    }

    #[test]
    fn a_cut_answer_gives_what_it_has_and_says_that_it_is_cut() {
        let (items, summary) = answer(r#"{"ada":["dotted.name"],"bea":["Plum"#).unwrap();
        assert_eq!(
            outcomes(&items),
            ["breached/breach_no_password", "truncated"]
        );
        assert!(summary.incomplete);
    }

    #[test]
    fn an_alias_that_makes_no_address_is_rejected() {
        let (items, _) = answer(r#"{"a b":["PlumMail"],"":["PlumMail"],"ada":[]}"#).unwrap();
        assert_eq!(outcomes(&items), ["bad_address", "bad_address"]);
    }

    #[test]
    fn a_downloaded_report_brings_its_own_breaches_and_pastes() {
        let report = r#"{"BreachSearchResults":[
            {"DomainName":"parl.example","Alias":"ada","Breaches":[
                {"Name":"Rumour","AddedDate":"2025-11-02T21:00:11Z","DataClasses":["Passwords"],"IsVerified":false}]},
            {"Alias":"a b","Breaches":null}],
            "PasteSearchResults":[{"DomainName":"parl.example","Alias":"bea","Pastes":[
                {"Source":"Pastebin","Id":"x1","Title":"FAKE-Title","Date":null,"EmailCount":7}]}]}"#;
        let (items, summary) = answer(report).unwrap();
        assert_eq!(
            outcomes(&items),
            ["breached/breach_password", "bad_address", "breached/paste"]
        );
        assert_eq!(summary.records, 3);
        assert!(!format!("{items:?}").contains("FAKE"));
        for nothing in [
            r#"{"BreachSearchResults":null,"PasteSearchResults":null}"#,
            r#"{"BreachSearchResults":[]}"#,
        ] {
            assert!(answer(nothing).unwrap().0.is_empty());
        }
        for broken in [
            r#"{"BreachSearchResults":[{"Alias":7}]}"#,
            r#"{"BreachSearchResults":{"a":[]}}"#,
        ] {
            assert!(answer(broken).is_err(), "{broken}");
        }
        let (items, summary) = answer(&report[..report.len() - 60]).unwrap();
        assert_eq!(outcomes(&items).last(), Some(&"truncated"));
        assert!(summary.incomplete);
    }

    #[test]
    fn it_needs_a_catalogue_and_a_domain() {
        let read = |options: &ReadOptions<'_>| {
            let refused = read_all(Format::HibpDomain, b"{}", options).unwrap_err();
            refused.to_string()
        };
        assert!(read(&ReadOptions::default()).contains("catalogue"));
        let catalogue = Catalogue::default();
        let options = ReadOptions {
            catalogue: Some(&catalogue),
            ..ReadOptions::default()
        };
        assert!(read(&options).contains("domain"));
    }
}
