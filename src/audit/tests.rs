//! Tests over whole files: the samples and what is expected of them, sentinels, and any bytes at all.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::Read;

use proptest::prelude::*;

use super::*;
use crate::domain::address::{EmailAddress, fold};
use crate::domain::attempt::{Tally, Weighing, Who};
use crate::domain::finding::{Effect, dedupe_key};
use crate::domain::identity::{Key, Lookup, LookupKind, Match, Realm, RealmNames, resolve};
use crate::domain::ids::AccountId;
use crate::domain::person::AccountKind;

/// Hands out `step` bytes at a time.
pub(super) struct Trickle<'a> {
    pub(super) rest: &'a [u8],
    pub(super) step: usize,
}

impl Read for Trickle<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.step.min(into.len()).min(self.rest.len());
        into[..count].copy_from_slice(&self.rest[..count]);
        self.rest = &self.rest[count..];
        Ok(count)
    }
}

/// All items of a file, and its summary, whose counts are checked on the way.
pub(super) fn read_all(
    format: Format,
    bytes: &[u8],
    options: &ReadOptions<'_>,
) -> Result<(Vec<Item>, Summary), AuditError> {
    let mut items = Vec::new();
    let survey = surveyed(format, bytes, options)?;
    let options = &ReadOptions {
        survey: survey.as_ref().or(options.survey),
        ..*options
    };
    let summary = read(format, bytes, options, &mut |item| {
        items.push(item);
        Ok(())
    })?;
    let lines = |test: fn(&Item) -> Option<u64>| items.iter().filter_map(test).collect();
    let rejected: HashSet<u64> = lines(|item| match item {
        Item::Reject(reject) => Some(reject.line),
        Item::Row(_) | Item::Skipped(_) | Item::Attempt(_) => None,
    });
    let found: HashSet<u64> = lines(|item| match item {
        Item::Row(row) => Some(row.line),
        Item::Attempt(attempt) => Some(attempt.line),
        Item::Reject(_) | Item::Skipped(_) => None,
    });
    assert!(
        found.is_disjoint(&rejected),
        "a line was rejected and is a finding: {items:?}"
    );
    let count = |test: fn(&Item) -> bool| items.iter().filter(|item| test(item)).count() as u64;
    assert_eq!(summary.rows, count(|item| matches!(item, Item::Row(_))));
    assert_eq!(
        summary.attempts,
        count(|item| matches!(item, Item::Attempt(_)))
    );
    assert_eq!(
        summary.rejects,
        count(|item| matches!(item, Item::Reject(_)))
    );
    assert_eq!(
        summary.skipped,
        count(|item| matches!(item, Item::Skipped(_)))
    );
    Ok((items, summary))
}

/// The first way through a file of a format that needs one.
fn surveyed(
    format: Format,
    bytes: &[u8],
    options: &ReadOptions<'_>,
) -> Result<Option<Survey>, AuditError> {
    if format != Format::Dump || options.survey.is_some() {
        return Ok(None);
    }
    Survey::through(bytes, options).map(Some)
}

/// What became of each line, in a word.
pub(super) fn outcomes(items: &[Item]) -> Vec<&'static str> {
    items
        .iter()
        .map(|item| match item {
            Item::Row(row) => row.weakness.text(),
            Item::Attempt(_) => "attempt",
            Item::Reject(reject) => reject.reason.word(),
            Item::Skipped(skip) => skip.reason.word(),
        })
        .collect()
}

macro_rules! sample {
    ($name:literal) => {
        (
            $name,
            include_bytes!(concat!("../../tests/audits/", $name)).as_slice(),
        )
    };
}

const MAPPING: &str = include_str!("../../tests/audits/generic-weak-accounts.mapping.toml");
const BREACHES: &str = include_str!("../../tests/audits/hibp-breaches.json");

/// Every sample that is an audit by itself. A new reader adds its samples here, and all tests of this file take them.
const SAMPLES: &[(Format, (&str, &[u8]))] = &[
    (Format::MappedCsv, sample!("generic-weak-accounts.csv")),
    (Format::HibpDomain, sample!("hibp-breacheddomain.json")),
    (Format::HashcatShow, sample!("hashcat-show-username.txt")),
    (Format::JohnShow, sample!("john-show.txt")),
    (Format::JohnShow, sample!("john-show-passwd.txt")),
    (Format::HibpDomain, sample!("hibp-domain-report.json")),
    (
        Format::HibpStealerLogs,
        sample!("hibp-stealerlogs-emaildomain.json"),
    ),
    (
        Format::PasswordSolution,
        sample!("passwordsolution-quality.csv"),
    ),
    (Format::Netexec, sample!("netexec-spray.txt")),
    (Format::Netexec, sample!("netexec-spray.log")),
    (Format::EntraRisk, sample!("entra-riskyusers.json")),
    (Format::EntraRisk, sample!("entra-riskdetections.json")),
    (Format::EntraRisk, sample!("entra-riskyusers-export.csv")),
    (Format::EntraRisk, sample!("entra-diagnostic.jsonl")),
    (Format::EntraSignins, sample!("entra-signins.csv")),
    (Format::OktaLog, sample!("okta-systemlog.json")),
    (Format::GoogleLog, sample!("google-alerts.json")),
    (Format::GoogleLog, sample!("google-login-activities.json")),
    (Format::LoginLog, sample!("dovecot.log")),
    (Format::LoginLog, sample!("postfix-sasl.log")),
    (Format::LoginLog, sample!("auth.log")),
    (Format::IisLog, sample!("iis-exchange.log")),
    (
        Format::WindowsEvents,
        sample!("windows-security-events.xml"),
    ),
    (Format::Stix, sample!("stix-bundle.json")),
    (Format::Ocsf, sample!("ocsf-events.jsonl")),
    (Format::Intelmq, sample!("intelmq-events.jsonl")),
    (Format::DsinternalsReport, sample!("dsinternals-report.txt")),
    (
        Format::DsinternalsReport,
        sample!("dsinternals-report-legacy.txt"),
    ),
    (
        Format::DsinternalsObject,
        sample!("dsinternals-object.json"),
    ),
    (
        Format::DsinternalsObject,
        sample!("dsinternals-object-depth.json"),
    ),
    (Format::AccountNames, sample!("dsinternals-weak-names.txt")),
    (Format::Dump, sample!("secretsdump.ntds")),
    (Format::Dump, sample!("secretsdump-stdout.txt")),
    (Format::Dump, sample!("pwdump.txt")),
    (Format::HashcatOutfile, sample!("hashcat-outfile.jsonl")),
];

/// Lists of hashes, and what detection takes each for.
const LISTS: &[(HashList, (&str, &[u8]))] = &[
    (HashList::Potfile, sample!("hashcat.potfile")),
    (HashList::Potfile, sample!("john.pot")),
    (
        HashList::PwnedPasswords,
        sample!("pwned-passwords-ntlm.txt"),
    ),
    (HashList::PwnedPasswords, sample!("pwned-range/E4C62.txt")),
];

fn with_options<T>(test: impl FnOnce(&ReadOptions<'_>) -> T) -> T {
    let mapping = Mapping::parse(MAPPING).unwrap();
    let catalogue = Catalogue::parse(BREACHES).unwrap();
    test(&ReadOptions {
        mapping: Some(&mapping),
        catalogue: Some(&catalogue),
        domain: Some("parl.example"),
        domain_sid: None,
        time_zone: Some(chrono_tz::Europe::London),
        weakness: Some(Weakness::Dictionary),
        survey: None,
        code_page: CodePage::default(),
        domains: &["parl.example".to_owned()],
        meanings: None,
        date_order: None,
        written_at: Some("2026-02-20T08:00:00Z".parse().unwrap()),
    })
}

/// One account of the sample directory.
struct Account {
    sam: String,
    object_id: String,
    kind: AccountKind,
    enabled: bool,
}

struct Directory {
    accounts: Vec<Account>,
    index: HashMap<Lookup, Vec<AccountId>>,
}

impl Directory {
    fn read(csv: &[u8]) -> Self {
        let mut index: HashMap<Lookup, Vec<AccountId>> = HashMap::new();
        let mut accounts = Vec::new();
        let mut table = csv::Reader::from_reader(csv);
        for row in table.deserialize::<HashMap<String, String>>() {
            let row = row.unwrap();
            let id = AccountId(accounts.len() as i64);
            let mut keys = BTreeSet::from([
                (LookupKind::ObjectId, fold(&row["object_id"])),
                (LookupKind::Sid, fold(&row["sid"])),
                (LookupKind::Sam, fold(&row["sam"])),
                (LookupKind::Upn, fold(&row["upn"])),
            ]);
            for address in row["aliases"]
                .split([' ', '|', ';'])
                .chain([row["mail"].as_str()])
            {
                if let Ok(address) = EmailAddress::parse(address) {
                    keys.insert((LookupKind::Email, address.folded()));
                }
            }
            for (kind, key) in keys.into_iter().filter(|(_, key)| !key.is_empty()) {
                index.entry(Lookup { kind, key }).or_default().push(id);
            }
            accounts.push(Account {
                sam: row["sam"].clone(),
                object_id: row["object_id"].clone(),
                kind: AccountKind::from_word(&row["kind"]).unwrap(),
                enabled: row["enabled"] == "true",
            });
        }
        Self { accounts, index }
    }

    fn find(&self, keys: &[Key], names: &RealmNames) -> Match {
        resolve(keys, names, true, |lookup| {
            self.index.get(lookup).map_or(&[][..], Vec::as_slice)
        })
    }
}

/// What is made of a file: findings as `account,reason,detail,route`, counts, and what was left out.
#[derive(Default)]
struct Made {
    findings: BTreeSet<[String; 4]>,
    counts: BTreeMap<String, u64>,
    accounts: BTreeMap<&'static str, HashSet<String>>,
    skipped: BTreeMap<&'static str, u64>,
}

fn names(netbios: &str, dns: &str) -> RealmNames {
    RealmNames {
        realm: Realm(format!("ad:{netbios}")),
        netbios: vec![netbios.into()],
        dns: vec![dns.into()],
    }
}

fn make(file: &str, format: Format, items: &[Item]) -> Made {
    let directory = Directory::read(include_bytes!("../../tests/audits/directory.csv"));
    let names = names("PARL", "parl.example");
    let mut made = Made::default();
    let mut seen = HashSet::new();
    let mut rows = Vec::new();
    let mut tally = Tally::default();
    for item in items {
        match item {
            Item::Row(row) => rows.push(row.clone()),
            Item::Attempt(attempt) => {
                let who = match directory.find(&attempt.keys, &names) {
                    Match::Account(id) => Who::Account(id),
                    _ => Who::Name(attempt.keys[0].folded()),
                };
                tally.add(who, attempt.clone()).unwrap();
            }
            Item::Reject(reject) => {
                *made.skipped.entry(reject.reason.word()).or_default() += 1;
            }
            Item::Skipped(skip) => {
                *made.skipped.entry(skip.reason.word()).or_default() += 1;
            }
        }
    }
    let weighed = tally.weigh(&Weighing {
        failed_logins_at: 3,
        sprays: !format.tells_sprays(),
        ..Weighing::default()
    });
    rows.extend(weighed.findings.into_iter().map(|(_, row)| row));
    for (word, count) in [
        ("ordinary", weighed.ordinary),
        ("typing", weighed.typing),
        ("no_such_user", weighed.no_such_name),
    ] {
        made.skipped.extend((count > 0).then_some((word, count)));
    }
    for row in &rows {
        let account = match directory.find(&row.keys, &names) {
            Match::Account(id) => Some(&directory.accounts[id.0 as usize]),
            Match::Nobody | Match::Ambiguous if row.history_unless_known => {
                *made.skipped.entry("history").or_default() += 1;
                continue;
            }
            Match::Nobody | Match::Ambiguous => None,
            Match::Conflict => {
                *made.skipped.entry("conflicting_keys").or_default() += 1;
                continue;
            }
        };
        let key = dedupe_key(
            format.word(),
            &names.realm,
            account.map(|account| account.object_id.as_str()),
            &row.keys[0],
            row.weakness,
            row.detail.as_deref(),
        );
        if !seen.insert(key) {
            let word = match file {
                "hibp-breacheddomain.json" => "duplicate_after_match",
                _ => "duplicate",
            };
            *made.skipped.entry(word).or_default() += 1;
            continue;
        }
        let severity = row
            .severity
            .unwrap_or(row.weakness.default_severity(AccountKind::Person));
        let route = match (row.weakness.effect_at(severity), account) {
            (Effect::Record, _) => "none",
            (Effect::Tell, None) => "unmatched",
            (Effect::Tell, Some(account)) if account.kind != AccountKind::Person => "owner",
            (Effect::Tell, Some(account)) if account.enabled => "mail",
            (Effect::Tell, Some(_)) => "disabled",
        };
        let name = account.map_or(row.keys[0].given.clone(), |account| account.sam.clone());
        made.accounts.entry(route).or_default().insert(name.clone());
        *made.counts.entry(row.weakness.text().into()).or_default() += 1;
        made.findings.insert([
            name,
            row.weakness.text().into(),
            // The number of a group is for display: every run counts anew.
            row.detail
                .clone()
                .filter(|_| row.weakness != Weakness::SharedPassword)
                .unwrap_or_default(),
            route.into(),
        ]);
    }
    made
}

fn expected_findings(file: &str) -> BTreeSet<[String; 4]> {
    csv::Reader::from_reader(include_bytes!("../../tests/audits/expected-findings.csv").as_slice())
        .deserialize::<(String, String, String, String, String)>()
        .map(Result::unwrap)
        .filter(|row| row.0.trim_start_matches("unverified/") == file)
        .map(|(_, account, reason, detail, route)| [account, reason, detail, route])
        .collect()
}

/// Compares what was made of a sample with all that is expected of it.
fn check(file: &str, expected_as: &str, format: Format, items: &[Item], summary: &Summary) {
    let mut made = make(file, format, items);
    let findings = expected_findings(file);
    assert!(!findings.is_empty(), "nothing is expected of {file}");
    assert_eq!(made.findings, findings, "{file}");
    let expected = expected_of(expected_as);
    assert_eq!(
        serde_json::to_value(&made.counts).unwrap(),
        expected["findings"],
        "{file}"
    );
    let evidence = made.skipped.remove("evidence");
    if let Some(evidence) = evidence {
        assert_eq!(Some(evidence), expected["evidence"].as_u64(), "{file}");
    }
    // Of logs the lines that are left out were only counted where they are a service's own answers.
    if summary.attempts == 0 || expected["skipped"] != serde_json::json!({}) {
        assert_eq!(
            serde_json::to_value(&made.skipped).unwrap(),
            expected["skipped"],
            "{file}"
        );
    }
    for (route, count) in expected["accounts"].as_object().unwrap() {
        let found = made.accounts.get(route.as_str()).map_or(0, HashSet::len) as u64;
        assert_eq!(Some(found), count.as_u64(), "{file}: {route}");
    }
    if let Some(records) = expected["records"].as_u64() {
        assert_eq!(summary.records, records, "{file}");
    }
    if let Some(pairs) = expected["pairs"].as_u64() {
        assert_eq!(summary.rows, pairs, "{file}");
    }
}

/// What is expected of a sample beside its findings.
fn expected_of(sample: &str) -> serde_json::Value {
    let all: serde_json::Value =
        serde_json::from_slice(include_bytes!("../../tests/audits/expected.json")).unwrap();
    all[sample].clone()
}

/// Whether a sample was cut off, or says itself that more is to come.
fn is_incomplete(sample: &str) -> bool {
    let expected = expected_of(sample);
    // Of logs it is not counted what was left out of them.
    let log_is_cut = sample == "dovecot.log";
    expected["incomplete"] == true || !expected["skipped"]["truncated"].is_null() || log_is_cut
}

#[test]
fn every_sample_gives_exactly_the_findings_that_are_expected_of_it() {
    with_options(|options| {
        for (format, (name, bytes)) in SAMPLES.iter().copied() {
            let (items, summary) = read_all(format, bytes, options).unwrap();
            check(name, name, format, &items, &summary);
            assert_eq!(summary.incomplete, is_incomplete(name), "{name}");
            assert!(summary.notes.is_empty(), "{name}: {:?}", summary.notes);
            let seen = detect(&bytes[..bytes.len().min(HEAD_BYTES)], CodePage::default()).unwrap();
            assert_eq!(seen.kind, Kind::Audit(format), "{name}: {}", seen.reason);
        }
    });
}

#[test]
fn tables_of_vendors_are_read_by_the_mappings_that_come_with_us() {
    macro_rules! vendor {
        ($mapping:literal, $table:literal) => {
            (
                include_str!(concat!("../../mappings/", $mapping)),
                $table,
                include_bytes!(concat!("../../tests/audits/", $table)).as_slice(),
            )
        };
    }
    for (mapping, name, bytes) in [
        vendor!("knowbe4-weak-password-test.toml", "knowbe4-wpt.csv"),
        vendor!(
            "specops-password-auditor.toml",
            "specops-breached-passwords.csv"
        ),
        vendor!(
            "enzoic-compromised-users.toml",
            "enzoic-compromised-users.csv"
        ),
    ] {
        let mapping = Mapping::parse(mapping).unwrap();
        let options = ReadOptions {
            mapping: Some(&mapping),
            ..ReadOptions::default()
        };
        let (items, summary) = read_all(Format::MappedCsv, bytes, &options).unwrap();
        let expected_as = format!("unverified/{name}");
        check(name, &expected_as, Format::MappedCsv, &items, &summary);
    }
}

#[test]
fn a_dump_joined_with_a_list_gives_exactly_what_the_list_knows() {
    let dump = include_bytes!("../../tests/audits/secretsdump.ntds").as_slice();
    with_options(|options| {
        for (list, (name, bytes)) in LISTS {
            let mut survey = Survey::through(dump, options).unwrap();
            let range = name.contains("range").then_some("E4C62");
            if let Some(range) = range {
                assert!(survey.prefixes().iter().any(|prefix| prefix == range));
            }
            let joined = survey.join(*list, *bytes, range, options).unwrap();
            let shown = name.split('/').next().unwrap();
            let records = expected_of(shown)["records"].as_u64().unwrap();
            assert_eq!(joined.hashes + joined.others, records, "{name}");
            let options = ReadOptions {
                survey: Some(&survey),
                ..*options
            };
            let (items, mut summary) = read_all(Format::Dump, dump, &options).unwrap();
            let sample = format!("JOIN secretsdump.ntds + {shown}");
            check(&sample, &sample, Format::Dump, &items, &summary);
            assert_no_secret(&spilled(&items), name);
            // Every line of the dump was looked at.
            assert_eq!(std::mem::take(&mut summary.records), 42);
        }
    });
}

#[test]
fn lists_of_hashes_are_recognised_and_are_no_audits_by_themselves() {
    for (list, (name, bytes)) in LISTS {
        let seen = detect(bytes, CodePage::default()).unwrap();
        assert_eq!(seen.kind, Kind::Hashes(*list), "{name}");
        let refusal = seen.kind.audit().unwrap_err().to_string();
        assert!(refusal.contains("bell intake DUMP LIST"), "{refusal}");
    }
    let nameless = b"{\"hash_hex\": \"65\", \"password_hex\": \"\"}\n";
    let seen = detect(nameless, CodePage::default()).unwrap();
    assert_eq!(seen.kind, Kind::Hashes(HashList::Outfile));
}

#[test]
fn an_unknown_file_is_refused_with_the_three_nearest_formats_and_what_each_misses() {
    let explained = explain(b"{\"WeakPassword\":[],\"x\":1}", CodePage::default());
    let refusal = explained.verdict.unwrap_err();
    let Refusal::Unknown(nearest) = &refusal else {
        panic!("{refusal}");
    };
    assert_eq!(nearest.0.len(), 3);
    assert_eq!(nearest.0[0].title, Format::DsinternalsObject.title());
    let text = refusal.to_string();
    assert!(
        text.contains("it has no \"DuplicatePasswordGroups\""),
        "{text}"
    );
    assert_eq!(explained.encoding, Some("UTF-8"));
}

#[test]
fn a_file_that_could_be_two_things_is_a_question() {
    // A dump's line, and one that hashcat shows.
    let hash = "e4c62a4c4febfe31cdb0ba3e3a8f0235";
    let lines = format!("ada:{hash}:FAKE-x\nPARL\\ada\n");
    let lines = lines.repeat(2) + &format!("ada:{hash}:FAKE-x\n");
    assert!(detect(lines.as_bytes(), CodePage::default()).is_ok());
    let both = "admin#reports#activity";
    let json = format!("{{\"kind\":\"{both}\",\"class_uid\":2004}}");
    let refusal = detect(json.as_bytes(), CodePage::default()).unwrap_err();
    assert!(matches!(refusal, Refusal::Ambiguous(_)), "{refusal}");
    assert!(refusal.to_string().contains("OCSF"), "{refusal}");
    assert!(refusal.to_string().contains("Google"), "{refusal}");
}

#[test]
fn a_source_that_says_what_its_files_are_is_believed_unless_they_are_plainly_not() {
    let read =
        |wanted, bytes: &[u8]| detect_for(wanted, bytes, CodePage::default()).map(|seen| seen.kind);
    let sites = include_bytes!("../../tests/audits/hibp-stealerlogs-emaildomain.json");
    // The reader has the catalogue, and refuses sites that are no breaches of it.
    assert_eq!(
        read(Format::HibpDomain, sites),
        Ok(Kind::Audit(Format::HibpDomain))
    );
    with_options(|options| {
        let refused = read_all(Format::HibpDomain, sites, options).unwrap_err();
        assert!(refused.to_string().contains("stealer logs"), "{refused}");
    });
    let risky = include_bytes!("../../tests/audits/entra-riskyusers-export.csv");
    assert_eq!(
        read(Format::MappedCsv, risky),
        Ok(Kind::Audit(Format::MappedCsv))
    );
    assert_eq!(
        read(Format::AccountNames, b"ada\nbea\n"),
        Ok(Kind::Audit(Format::AccountNames))
    );
    let report = include_bytes!("../../tests/audits/dsinternals-report-legacy.txt");
    let refusal = read(Format::AccountNames, report).unwrap_err().to_string();
    assert!(refusal.contains("dsinternals_report"), "{refusal}");
    let html = b"<!DOCTYPE html><html>";
    assert_eq!(read(Format::MappedCsv, html), Err(Refusal::Html));
}

#[test]
fn utf_16_without_its_mark_is_read_where_the_source_says_so() {
    let page = CodePage::from_name("utf-16le").unwrap();
    let marked = include_bytes!("../../tests/audits/dsinternals-report.txt");
    let bare = &marked[2..];
    assert_eq!(
        detect(bare, CodePage::default()).unwrap_err(),
        Refusal::ZeroByte
    );
    let seen = detect(bare, page).unwrap();
    assert_eq!(seen.kind, Kind::Audit(Format::DsinternalsReport));
    let options = ReadOptions {
        code_page: page,
        ..ReadOptions::default()
    };
    let (bare, _) = read_all(Format::DsinternalsReport, bare, &options).unwrap();
    let (marked, _) = read_all(Format::DsinternalsReport, marked, &ReadOptions::default()).unwrap();
    assert_eq!(bare, marked);
}

#[test]
fn no_reader_needs_more_memory_for_a_longer_file() {
    struct Endless<'a>(std::iter::Cycle<std::slice::Iter<'a, u8>>, usize);
    impl Read for Endless<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let count = into.len().min(self.1);
            for (to, from) in into[..count].iter_mut().zip(&mut self.0) {
                *to = *from;
            }
            self.1 -= count;
            Ok(count)
        }
    }
    let peak = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
            / 1024
    };
    with_options(|options| {
        let empty = Survey::default();
        let options = ReadOptions {
            survey: Some(&empty),
            ..*options
        };
        let before = peak();
        for format in Format::ALL.iter().copied() {
            for pattern in ["a", "a:b\n"] {
                let input = Endless(pattern.as_bytes().iter().cycle(), 4 * 1024 * 1024);
                let _ = read(format, input, &options, &mut |_| Ok(()));
            }
        }
        let grown = peak() - before;
        assert!(grown < 48, "{grown} MiB");
    });
}

#[test]
fn the_times_of_a_mapped_table_are_those_of_its_zone() {
    with_options(|options| {
        let (items, _) = read_all(Format::MappedCsv, SAMPLES[0].1.1, options).unwrap();
        let times: BTreeSet<String> = items
            .iter()
            .filter_map(|item| match item {
                Item::Row(row) => row.bad_as_of.map(|at| at.to_string()),
                Item::Reject(_) | Item::Skipped(_) | Item::Attempt(_) => None,
            })
            .collect();
        for time in [
            "2026-02-05T03:05:00Z",
            "2026-02-06T22:59:59Z",
            "2025-12-01T22:59:59Z",
        ] {
            assert!(times.contains(time), "{time}: {times:?}");
        }
    });
}

#[test]
fn the_demo_has_forty_affected_accounts_of_all_four_categories() {
    macro_rules! demo {
        ($name:literal) => {
            include_str!(concat!("../../tests/audits/demo/", $name))
        };
    }
    let mapping = Mapping::parse(demo!("weak-passwords.mapping.toml")).unwrap();
    let catalogue = Catalogue::parse(demo!("breaches.json")).unwrap();
    let options = ReadOptions {
        mapping: Some(&mapping),
        catalogue: Some(&catalogue),
        domain: Some("westbridge.example"),
        ..ReadOptions::default()
    };
    let directory = Directory::read(demo!("directory.csv").as_bytes());
    let names = names("WESTBRIDGE", "westbridge.example");
    assert_eq!(mapping.realm.as_ref(), Some(&names.realm));
    assert_eq!(directory.accounts.len(), 46);
    let told = |format, text: &str| -> Vec<(i64, AuditRow)> {
        let (items, summary) = read_all(format, text.as_bytes(), &options).unwrap();
        assert_eq!((summary.rejects, summary.skipped), (0, 0));
        assert_no_secret(&spilled(&items), "the demo");
        let rows = items.into_iter().map(|item| match item {
            Item::Row(row) => row,
            Item::Reject(_) | Item::Skipped(_) | Item::Attempt(_) => panic!("not a finding"),
        });
        rows.filter(|row| row.weakness.effect() == Effect::Tell)
            .map(|row| match directory.find(&row.keys, &names) {
                Match::Account(id) => (id.0, row),
                other => panic!("line {} is {other:?}", row.line),
            })
            .collect()
    };
    let first = told(Format::MappedCsv, demo!("weak-passwords.csv"));
    let breaches = told(Format::HibpDomain, demo!("breacheddomain.json"));
    let second = told(Format::MappedCsv, demo!("weak-passwords-2.csv"));
    assert_eq!(first.len(), 30);
    let affected: BTreeMap<i64, Option<_>> = first
        .iter()
        .chain(&breaches)
        .map(|(id, row)| (*id, row.weakness.category()))
        .collect();
    assert_eq!(affected.len(), 40);
    let categories: HashSet<_> = affected.values().flatten().collect();
    assert_eq!(categories.len(), 4);
    let weak_before: HashSet<i64> = first.iter().map(|(id, _)| *id).collect();
    assert_eq!(second.len(), 2);
    assert!(second.iter().all(|(id, _)| weak_before.contains(id)));
    let newest = |rows: &[(i64, AuditRow)]| rows.iter().filter_map(|(_, row)| row.bad_as_of).max();
    let days = newest(&second)
        .unwrap()
        .since(newest(&first).unwrap())
        .num_days();
    assert!((11..=12).contains(&days), "{days}");
}

/// Everything that leaves a reader, unmasked.
fn spilled(items: &[Item]) -> String {
    let mut text = format!("{items:?}");
    for item in items {
        let keys: &[Key] = match item {
            Item::Row(row) => &row.keys,
            Item::Attempt(attempt) => &attempt.keys,
            Item::Reject(_) | Item::Skipped(_) => &[],
        };
        for key in keys {
            text.push('\n');
            text.push_str(&key.given);
        }
    }
    text
}

fn assert_no_secret(text: &str, file: &str) {
    for canary in [
        "FAKE-", "FAKE:", "FAKE ", "46414b45", "46414B45", "RkFLR", "PASSWOR",
    ] {
        assert!(!text.contains(canary), "{file} lets {canary} through");
    }
    assert!(!nt::holds_hash(text), "{file} lets a hash through");
}

#[test]
fn no_secret_of_any_sample_leaves_a_reader_wherever_the_file_is_cut() {
    with_options(|options| {
        for (format, (name, bytes)) in SAMPLES.iter().copied() {
            let step = (bytes.len() / 120).max(13);
            for length in (0..bytes.len()).step_by(step).chain([bytes.len()]) {
                match read_all(format, &bytes[..length], options) {
                    Ok((items, summary)) => {
                        assert_no_secret(&spilled(&items), name);
                        assert_no_secret(&format!("{summary:?}"), name);
                    }
                    Err(error) => assert_no_secret(&format!("{error:?} {error}"), name),
                }
            }
        }
    });
}

#[test]
fn no_secret_leaves_a_reader_that_was_given_a_file_of_another_format() {
    with_options(|options| {
        let files = OTHERS
            .iter()
            .map(|(file, _)| *file)
            .chain(SAMPLES.iter().map(|(_, file)| *file))
            .chain(LISTS.iter().map(|(_, file)| *file));
        for (name, bytes) in files {
            assert_no_secret(&format!("{:?}", detect(bytes, CodePage::default())), name);
            // A bare "name:password" of John is the one form that almost any line has: it is only read when asked for.
            let others = Format::ALL.iter().copied();
            for format in others.filter(|format| *format != Format::JohnShow) {
                match read_all(format, bytes, options) {
                    Ok((items, _)) => assert_no_secret(&spilled(&items), name),
                    Err(error) => assert_no_secret(&format!("{error:?} {error}"), name),
                }
            }
        }
        for (_, (name, bytes)) in LISTS.iter().copied() {
            let (items, _) = read_all(Format::JohnShow, bytes, options).unwrap();
            assert_no_secret(&spilled(&items), name);
        }
    });
}

macro_rules! other {
    ($name:literal, $expected:literal) => {
        (
            (
                $name,
                include_bytes!(concat!("../../tests/audits/others/", $name)).as_slice(),
            ),
            $expected,
        )
    };
}

/// Files of formats that are not read, and what is said of each.
const OTHERS: &[((&str, &[u8]), &str)] = &[
    other!("dsinternals-bad-export.csv", "names of types"),
    other!("dsinternals-bad-strings.csv", "one column \"Length\""),
];

#[test]
fn files_of_other_formats_are_named_and_not_read() {
    for ((name, bytes), expected) in OTHERS.iter().copied() {
        let seen = detect(&bytes[..bytes.len().min(HEAD_BYTES)], CodePage::default());
        match seen.and_then(|seen| seen.kind.audit()) {
            Err(refusal) => assert!(refusal.to_string().contains(expected), "{name}: {refusal}"),
            Ok(seen) => panic!("{name} passes for {seen:?}"),
        }
    }
}

#[test]
fn files_that_are_nothing_of_the_kind_are_refused_with_a_reason() {
    let cases: [(&[u8], &str); 14] = [
        (b"", "empty"),
        (b"\xEF\xBB\xBF\r\n \n", "empty"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"PK\x03\x04....", "ZIP"),
        (b"SQLite format 3\x00", "SQLite"),
        (b"a\0b\0c\0", "UTF-16"),
        (b"\xFF\xFE\0\0a\0\0\0", "zero bytes"),
        (
            b"\r\n<!DOCTYPE html><html><title>Sign in</title>",
            "HTML page",
        ),
        (b"<?xml version='1.0'?><x/>", "no format"),
        (
            b"{\"statusCode\":429,\"message\":\"Rate limit is exceeded.\"}",
            "an error that the service",
        ),
        (b"{\"a\":1}", "no format"),
        (b"hello", "no format"),
        (b"root:x:0:0:root:/root:/bin/bash\n", "a passwd file"),
        (b"[]", "no format"),
    ];
    for (bytes, expected) in cases {
        let refusal = detect(bytes, CodePage::default()).unwrap_err().to_string();
        assert!(refusal.contains(expected), "{bytes:?}: {refusal}");
    }
}

#[test]
fn small_files_of_each_format_are_recognised() {
    let cases: [(&[u8], Format); 6] = [
        (b"{}", Format::HibpDomain),
        (b"{\"ada\":[\"PlumMail\"]", Format::HibpDomain),
        (
            b"ada:NO PASSWORD\n\n1 password hash cracked, 0 left\n",
            Format::JohnShow,
        ),
        (
            b"ada:e4c62a4c4febfe31cdb0ba3e3a8f0235:FAKE-x",
            Format::HashcatShow,
        ),
        (b"sep=;\r\nName;Mail\r\n", Format::MappedCsv),
        (b"\xFF\xFEM\0a\0i\0l\0,\0L\0o\0g\0i\0n\0", Format::MappedCsv),
    ];
    for (bytes, format) in cases {
        assert_eq!(
            detect(bytes, CodePage::default()).unwrap().kind,
            Kind::Audit(format),
            "{bytes:?}"
        );
    }
}

#[test]
fn every_reader_refuses_an_archive_a_zero_byte_and_where_it_matters_an_empty_file() {
    with_options(|options| {
        for format in Format::ALL.iter().copied() {
            let of =
                |bytes: &[u8]| read_all(format, bytes, options).map_err(|error| error.to_string());
            assert!(
                of(b"\x1f\x8b\x08\x00").unwrap_err().contains("gzip"),
                "{format}"
            );
            assert!(
                of(b"{a\0b\0c\0").unwrap_err().contains("zero bytes"),
                "{format}"
            );
            let none_is_a_result = [Format::HibpDomain, Format::HibpStealerLogs].contains(&format);
            assert_eq!(of(b"").is_ok(), none_is_a_result, "{format}");
            assert_eq!(Format::from_word(format.word()), Some(format));
        }
    });
}

#[test]
fn mixed_line_ends_and_encodings_change_nothing() {
    with_options(|options| {
        let mut seen = 0;
        for (format, (name, bytes)) in SAMPLES.iter().copied() {
            let Ok(text) = std::str::from_utf8(bytes) else {
                continue;
            };
            let text = text.trim_start_matches('\u{FEFF}');
            if text.contains('\r') || format == Format::HibpDomain {
                continue;
            }
            seen += 1;
            let (plain, _) = read_all(format, bytes, options).unwrap();
            let mixed: String = text
                .split_inclusive('\n')
                .enumerate()
                .map(|(nth, line)| match line.strip_suffix('\n') {
                    Some(line) if nth % 2 == 0 => format!("{line}\r\n"),
                    Some(_) | None => line.to_owned(),
                })
                .collect();
            let wide: Vec<u8> = std::iter::once(0xFEFF)
                .chain(mixed.encode_utf16())
                .flat_map(u16::to_le_bytes)
                .collect();
            assert_eq!(
                read_all(format, mixed.as_bytes(), options).unwrap().0,
                plain,
                "{name}"
            );
            assert_eq!(read_all(format, &wide, options).unwrap().0, plain, "{name}");
            assert_eq!(
                detect(&wide, CodePage::default()).unwrap().kind,
                Kind::Audit(format),
                "{name}"
            );
        }
        assert!(seen > 10, "{seen}");
    });
}

#[test]
fn whoever_takes_the_items_can_stop_the_reader() {
    with_options(|options| {
        for (format, (name, bytes)) in SAMPLES.iter().copied() {
            let mut taken = 0;
            let survey = surveyed(format, bytes, options).unwrap();
            let options = &ReadOptions {
                survey: survey.as_ref(),
                ..*options
            };
            let result = read(format, bytes, options, &mut |_| {
                taken += 1;
                if taken == 3 { Err(Stop) } else { Ok(()) }
            });
            assert!(
                matches!(result, Err(AuditError::Stopped(Stop))),
                "{name}: {result:?}"
            );
            assert_eq!(taken, 3, "{name}");
        }
    });
}

#[test]
fn every_reader_is_fuzzed() {
    let fuzzed = include_str!("../../fuzz/Cargo.toml");
    for format in Format::ALL {
        let name = format!("name = \"{format}\"\npath = \"fuzz_targets/reader.rs\"");
        assert!(
            fuzzed.contains(&name),
            "{format} is no target of fuzz/Cargo.toml"
        );
    }
}

/// Bytes that look a little like something, so that more than the first check is reached.
fn likely_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => proptest::collection::vec(any::<u8>(), 0..12),
        6 => proptest::sample::select(vec![
            ":", ";", ",", "\"", "\n", "\r\n", "{", "}", "[", "]", "\\", "$NT$", ":::", "NO PASSWORD", "?", "ada",
            "31d6cfe0d16ae931b73c59d7e0c089c0", "e4c62a4c4febfe31cdb0ba3e3a8f0235", "1103", "_history0", "PARL\\", "  ",
            "These accounts have no password set:\n", "These groups of accounts have the same passwords:\n", "  Group 1:\n",
            "ada:1103:aad3b435b51404eeaad3b435b51404ee:e4c62a4c4febfe31cdb0ba3e3a8f0235:::\n", ":CLEARTEXT:", "[*] Dumping LSA Secrets\n",
            "[*] Dumping Domain Credentials\n", "\"WeakPassword\":", "\"EmptyPassword\":", "\"DuplicatePasswordGroups\":",
            "{\"username_hex\":\"616461\",\"hash_hex\":\"6534633632613463346665626665333163646230626133653361386630323335\"}\n", "\u{FEFF}",
            "1 password hash cracked, 0 left", "Name;E-Mail;Login;Befund;Gefunden am;Passwort;Bemerkung\n", "sep=;\n",
            "schwach", "05.02.2026 04:05", "a@b.example", "[\"PlumMail\"]", "\"ada\":", "#TYPE x", "\0", "(pwdLastSet=",
            "2026-02-05 04:05)", "\u{FFFD}", "\"value\":", "\"riskState\":\"atRisk\"", "\"id\":\"1\"", ",", "null", "1e99",
            "\"eventType\":\"user.account.lock\"", "\"class_uid\":2004", "\"type\":\"bundle\"", "\"objects\":", "<Event>",
            "</Event>", "<EventID>4740</EventID>", "<Data Name='TargetUserName'>", "</Data>", "&#x41;", "#Fields: date time",
            "Feb  5 03:10:01 mail ", "sshd[1]: Failed password for ", " from 203.0.113.7 port 1 ssh2", "dovecot: ",
            "imap-login: Login: user=<", "SMB 192.0.2.10 445 DC01 [+] ", "b.example\\ada:x ", "RiskLevel,UserPrincipalName\n",
            "Date (UTC),Username,Status\n", "SamAccountName,WeakPassword\n", "2026-02-05T03:10:01Z", "2/3/2026",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => Just(b"\xFF\xFE".to_vec()),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_bytes_give_items_or_an_error_and_never_a_panic(bytes in likely_bytes(), step in 1usize..70) {
        let _ = detect(&bytes, CodePage::default());
        with_options(|options| {
            for format in Format::ALL.iter().copied() {
                let whole = read_all(format, &bytes, options);
                let mut items = Vec::new();
                let Ok(survey) = surveyed(format, &bytes, options) else {
                    assert!(whole.is_err());
                    continue;
                };
                let options = &ReadOptions { survey: survey.as_ref(), ..*options };
                let input = Trickle { rest: &bytes, step };
                let pieces = read(format, input, options, &mut |item| { items.push(item); Ok(()) });
                // In whatever pieces the bytes come, they mean the same.
                match (whole, pieces) {
                    (Ok((expected, summary)), Ok(found)) => {
                        assert_eq!(items, expected);
                        assert_eq!(found, summary);
                    }
                    // Which of two troubles is met first may depend on the pieces.
                    (Err(_), Err(_)) => {}
                    (expected, found) => panic!("{expected:?} is not {found:?}"),
                }
            }
        });
    }
}
