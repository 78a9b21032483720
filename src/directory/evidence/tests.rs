//! The readers of evidence, and the rule itself over all decisions of the samples.

use super::*;
use crate::directory::people;
use crate::domain::AccountId;
use crate::domain::evidence::{Found, Rule, Standing, assess, closes, grade};
use crate::domain::finding::{Baseline, Category};
use crate::domain::identity::{LookupKind, Match, RealmNames, resolve};
use crate::domain::person::DirectoryEntry;
use chrono::TimeDelta;
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};

const NOW: &str = "2026-02-20T08:00:00Z";
const DIRECTORY: &str = include_str!("../../../tests/evidence/directory.csv");
const GENERIC: &str = include_str!("../../../tests/evidence/generic-evidence.csv");
const GENERIC_EXPECTED: &str = include_str!("../../../tests/evidence/expected-evidence.csv");
const DECISIONS: &str = include_str!("../../../tests/evidence/decisions.jsonl");
const DECISIONS_EXPECTED: &str = include_str!("../../../tests/evidence/expected-decisions.csv");

fn at(text: &str) -> Moment {
    text.parse().unwrap()
}

fn options() -> EvidenceOptions {
    EvidenceOptions::observed_at(at(NOW))
}

fn all(
    bytes: &[u8],
    options: &EvidenceOptions,
) -> Result<(Summary, Vec<EvidenceItem>), DirectoryError> {
    let mut items = Vec::new();
    let summary = read(bytes, options, &mut |item| {
        items.push(item);
        ControlFlow::Continue(())
    })?;
    Ok((summary, items))
}

fn rows(text: &str) -> Vec<EvidenceRow> {
    let (_, items) = all(text.as_bytes(), &options()).unwrap();
    items
        .into_iter()
        .map(|item| match item {
            EvidenceItem::Row(row) => row,
            other => panic!("{other:?}"),
        })
        .collect()
}

fn one(text: &str) -> Evidence {
    let rows = rows(text);
    assert_eq!(rows.len(), 1);
    rows.into_iter().next().unwrap().evidence
}

/// The records of a table of expectations, by column name.
fn expected(text: &str) -> Vec<HashMap<String, String>> {
    csv::Reader::from_reader(text.as_bytes())
        .deserialize()
        .map(Result::unwrap)
        .collect()
}

fn staff() -> Vec<DirectoryEntry> {
    let mut staff = Vec::new();
    people::read(
        DIRECTORY.as_bytes(),
        &people::PeopleOptions::default(),
        &mut |item| {
            if let people::PeopleItem::Entry { entry, .. } = item {
                staff.push(*entry);
            }
            ControlFlow::Continue(())
        },
    )
    .unwrap();
    staff
}

/// The sam of the one account that the keys name.
fn who(keys: &[Key], staff: &[DirectoryEntry]) -> String {
    let names = RealmNames {
        realm: Realm("ad:PARL".into()),
        netbios: vec!["PARL".into()],
        dns: vec![],
    };
    let ids: Vec<AccountId> = (0..staff.len())
        .map(|nth| AccountId(i64::try_from(nth).unwrap()))
        .collect();
    let found = resolve(keys, &names, true, |lookup| {
        let is_it = |entry: &DirectoryEntry| match lookup.kind {
            LookupKind::Email => entry
                .mail
                .iter()
                .chain(&entry.aliases)
                .any(|mail| mail.folded() == lookup.key),
            LookupKind::Sam => {
                entry.sam.as_deref().map(crate::domain::address::fold) == Some(lookup.key.clone())
            }
            LookupKind::Upn => {
                entry.upn.as_deref().map(crate::domain::address::fold) == Some(lookup.key.clone())
            }
            LookupKind::ObjectId | LookupKind::Sid => false,
        };
        match staff.iter().position(is_it) {
            Some(nth) => std::slice::from_ref(&ids[nth]),
            None => &[],
        }
    });
    match found {
        Match::Account(AccountId(nth)) => staff[usize::try_from(nth).unwrap()].sam.clone().unwrap(),
        _ => String::new(),
    }
}

#[test]
fn the_sample_gives_exactly_the_rows_that_are_expected() {
    let staff = staff();
    let (summary, items) = all(GENERIC.as_bytes(), &options()).unwrap();
    let expected = expected(GENERIC_EXPECTED);
    assert_eq!(items.len(), expected.len());
    let yes = |text: &str| text == "yes";
    for (nth, (item, expected)) in items.iter().zip(&expected).enumerate() {
        let line = nth as u64 + 2;
        if expected["note"] == "row error: bad date" {
            assert_eq!(
                *item,
                EvidenceItem::Reject(Reject {
                    line,
                    reason: RejectReason::BadDate
                })
            );
            continue;
        }
        let EvidenceItem::Row(row) = item else {
            panic!("{item:?}")
        };
        assert_eq!(row.line, line);
        assert_eq!(row.keys[0].given, expected["account"]);
        assert_eq!(who(&row.keys, &staff), expected["matched"]);
        let changed = row.evidence.changed;
        assert_eq!(
            changed.map(|c| c.lo.to_string()).unwrap_or_default(),
            expected["changed_at"]
        );
        assert_eq!(
            changed.map(|c| c.precision.word()).unwrap_or_default(),
            expected["precision"]
        );
        assert_eq!(row.evidence.pending, yes(&expected["pending"]));
        assert_eq!(row.evidence.disabled, yes(&expected["disabled"]));
        assert_eq!(row.evidence.actor, Actor::Unknown);
        assert_eq!(row.evidence.observed_at, at(NOW));
    }
    assert_eq!(
        summary,
        Summary {
            rows: 6,
            rejects: 1,
            ..Summary::default()
        }
    );
}

/// `never`, `2025-11-03T09:14Z`, or nothing.
fn baseline(text: &str) -> Option<Baseline> {
    let changed_at = match text {
        "" => return None,
        "never" => None,
        text => Some(when::parse(text, Tz::UTC, None).unwrap().lo),
    };
    Some(Baseline {
        changed_at,
        precision: Precision::Minute,
    })
}

#[test]
fn all_decisions_of_the_samples_are_reached() {
    let known: BTreeMap<(String, String), Evidence> = rows(DECISIONS)
        .into_iter()
        .map(|row| {
            (
                (row.realm.unwrap().0, row.keys[0].given.clone()),
                row.evidence,
            )
        })
        .collect();
    let cases = expected(DECISIONS_EXPECTED);
    let staff = staff();
    let mut counts = BTreeMap::new();
    let mut without_evidence = Vec::new();
    for case in &cases {
        let category = case["finding"].split('/').next().unwrap();
        let key = Key::login(&case["account"]).unwrap();
        let again = case["evidence"]
            .split_once("by a dump of ")
            .map(|(_, when)| at(when));
        let found = Found {
            certain: who(&[key], &staff) == case["account"],
            category: Category::from_word(category).unwrap(),
            bad_as_of: at(&case["bad_as_of"]),
            baseline: baseline(&case["baseline_pwdLastSet"]),
            later_weak_as_of: again,
            later_clean_as_of: None,
        };
        let is_entra = case["realm"].starts_with("entra:");
        // Findings and evidence of a tenant come from the same clock.
        let skew = if is_entra {
            TimeDelta::zero()
        } else {
            Rule::default().skew
        };
        let rule = Rule {
            exposes_sessions: is_entra,
            skew,
            ..Rule::default()
        };
        let evidence = known.get(&(case["realm"].clone(), case["account"].clone()));
        if evidence.is_none() {
            without_evidence.push(case["case"].as_str());
        }
        let standing = assess(&found, evidence, &rule, at(NOW));
        assert_eq!(
            standing.word(),
            case["expected_state"],
            "case {}: {}",
            case["case"],
            case["why"]
        );
        *counts.entry(standing.word()).or_insert(0) += 1;
        let closing = evidence.is_some_and(|evidence| closes(standing, grade(evidence)));
        assert_eq!(
            closing,
            matches!(standing, Standing::Reset | Standing::ClosedDisabled),
            "case {}",
            case["case"]
        );
    }
    // The two that the directories say nothing about: not listed, and no such account.
    assert_eq!(without_evidence, ["13", "21"]);
    let expected = [
        ("closed_disabled", 5),
        ("hold", 1),
        ("open", 9),
        ("pending", 3),
        ("reopened", 1),
        ("reset", 12),
        ("sessions_live", 1),
        ("touched", 1),
        ("unknown", 4),
        ("unmatched", 1),
    ];
    assert_eq!(counts, BTreeMap::from(expected));
}

#[test]
fn csv_and_json_say_the_same() {
    let csv = "account,sid,realm,changed_at,precision,secret_changed_at,must_change,disabled,exists,sessions_valid_from,actor\n\
        PARL\\ada,S-1-5,ad:PARL,2026-02-16T09:00:00Z,minute,2026-02-16T09:00:01Z,yes,no,no,2026-02-16,self\n";
    let json = r#"{"account":"PARL\\ada","sid":"S-1-5","realm":"ad:PARL","changed_at":"2026-02-16T09:00:00Z","precision":"minute",
        "secret_changed_at":"2026-02-16T09:00:01Z","must_change":true,"disabled":0,"exists":false,
        "sessions_valid_from":"2026-02-16","actor":"self","more":{"password":["FAKE"]}}"#;
    let (from_csv, from_json) = (rows(csv), rows(&json.replace('\n', "")));
    assert_eq!(from_csv[0].evidence, from_json[0].evidence);
    assert_eq!(from_csv[0].keys, from_json[0].keys);
    assert_eq!(from_csv[0].keys.len(), 2);
    let evidence = &from_csv[0].evidence;
    assert!(evidence.pending && !evidence.disabled && !evidence.exists);
    assert_eq!(
        evidence.changed.unwrap().hi,
        at("2026-02-16T09:00:59.999999Z")
    );
    assert_eq!(
        evidence.sessions_valid_from,
        Some(at("2026-02-16T00:00:00Z"))
    );
    assert_eq!(evidence.actor, Actor::Myself);
}

#[test]
fn an_empty_date_is_unknown_and_a_zero_date_is_a_demand() {
    for text in [
        "account,changed_at\nada,\n",
        "{\"account\":\"ada\"}",
        "{\"account\":\"ada\",\"changed_at\":null}\n",
    ] {
        let evidence = one(text);
        assert!(
            evidence.changed.is_none() && !evidence.date_is_zero,
            "{text}"
        );
    }
    for text in [
        "account,changed_at\nada,0\n",
        "account,changed_at\nada,<never>\n",
        "{\"account\":\"ada\",\"changed_at\":0}",
    ] {
        let evidence = one(text);
        assert!(
            evidence.changed.is_none() && evidence.date_is_zero,
            "{text}"
        );
    }
}

#[test]
fn what_is_half_understood_is_left_out() {
    let text = "account,changed_at,must_change,precision,actor,secret_changed_at\n\
        a,2026-02-30,no,,,\n\
        b,2026-02-16,maybe,,,\n\
        c,2026-02-16,,week,,\n\
        d,2026-02-16,,,helpdesk,\n\
        e,2026-02-16,,,,yesterday\n\
        ,2026-02-16,,,,\n\
        f,2026-02-16,,,,\n";
    let (summary, items) = all(text.as_bytes(), &options()).unwrap();
    let reasons: Vec<_> = items
        .iter()
        .filter_map(|item| match item {
            EvidenceItem::Reject(reject) => Some((reject.line, reject.reason)),
            EvidenceItem::Row(_) | EvidenceItem::Part(_) => None,
        })
        .collect();
    use RejectReason::{BadDate, BadValue, NoKey};
    assert_eq!(
        reasons,
        [
            (2, BadDate),
            (3, BadValue),
            (4, BadValue),
            (5, BadValue),
            (6, BadDate),
            (7, NoKey)
        ]
    );
    assert_eq!((summary.rows, summary.rejects), (1, 6));
}

#[test]
fn times_without_a_zone_are_local_to_the_source() {
    let london = EvidenceOptions {
        zone: chrono_tz::Europe::London,
        ..options()
    };
    let text = "account,changed_at\nada,2026-07-16 09:00:00\n";
    let (_, items) = all(text.as_bytes(), &london).unwrap();
    let EvidenceItem::Row(row) = &items[0] else {
        panic!()
    };
    assert_eq!(row.evidence.changed.unwrap().lo, at("2026-07-16T08:00:00Z"));
}

#[test]
fn columns_can_be_called_otherwise_but_names_never_come_from_a_secret_one() {
    let columns = |account: &str| EvidenceColumns {
        account: account.into(),
        changed_at: "PasswordLastSet".into(),
        ..EvidenceColumns::default()
    };
    let with = |account: &str| EvidenceOptions {
        columns: columns(account),
        ..options()
    };
    let text = b"SamAccountName;PasswordLastSet;NTHash\nada;2026-02-16;FAKE\n";
    let (summary, _) = all(text, &with("SamAccountName")).unwrap();
    assert_eq!(summary.rows, 1);
    assert!(matches!(
        all(text, &with("NTHash")),
        Err(DirectoryError::SecretColumn { field: "account" })
    ));
    assert!(matches!(
        all(text, &with("Login")),
        Err(DirectoryError::NoColumn {
            field: "account",
            ..
        })
    ));
    // Without the config's word it is what PowerShell writes, and the same is read of it.
    let (summary, _) = all(text, &options()).unwrap();
    assert_eq!(summary.rows, 1);
    let other = b"Login;PasswordLastSet;NTHash\nada;2026-02-16;FAKE\n";
    assert!(matches!(
        all(other, &options()),
        Err(DirectoryError::NoColumn {
            field: "account",
            ..
        })
    ));
    let undated = b"account,disabled\nada,yes\n";
    assert!(matches!(
        all(undated, &options()),
        Err(DirectoryError::NoColumn {
            field: "changed_at",
            ..
        })
    ));
}

#[test]
fn a_json_line_broken_inside_fails_the_file_and_at_its_end_is_reported() {
    let good = "{\"account\":\"ada\",\"changed_at\":\"2026-02-16\"}\n";
    let broken = format!("{good}{{\"account\":\"be\n{good}");
    assert!(matches!(
        all(broken.as_bytes(), &options()),
        Err(DirectoryError::Json { line: 2 })
    ));
    for wrong in [
        "[]",
        "{\"account\":{}}",
        "{\"account\":\"a\",\"account\":\"b\"}",
    ] {
        let text = format!("{good}{wrong}\n");
        assert!(
            matches!(
                all(text.as_bytes(), &options()),
                Err(DirectoryError::Json { line: 2 })
            ),
            "{wrong}"
        );
    }
    let cut = format!("{good}{{\"account\":\"be");
    let (summary, items) = all(cut.as_bytes(), &options()).unwrap();
    assert_eq!(
        items[1],
        EvidenceItem::Reject(Reject {
            line: 2,
            reason: RejectReason::Truncated
        })
    );
    assert!(summary.truncated);
}

#[test]
fn nothing_of_a_line_shows_in_what_is_printed() {
    let (_, items) = all(GENERIC.as_bytes(), &options()).unwrap();
    let shown = format!("{items:?}");
    assert!(
        !shown.contains("abara") && !shown.contains("not a date"),
        "{shown}"
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_without_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..400), head in 0_usize..4,
    ) {
        let heads = ["", "account,changed_at,must_change\n", "{\"account\":\"ada\"}\n", "{\"account\":"];
        let mut text = heads[head].as_bytes().to_vec();
        text.extend(bytes);
        let _ = all(&text, &options());
    }

    #[test]
    fn any_damage_to_good_evidence_never_moves_a_change_to_another_account(at in 0_usize..10_000, byte: u8) {
        let mut text = DECISIONS.as_bytes().to_vec();
        let at = at % text.len();
        text[at] = byte;
        if let Ok((_, items)) = all(&text, &options()) {
            let good = rows(DECISIONS);
            let same = items
                .iter()
                .filter(|item| matches!(item, EvidenceItem::Row(row) if good.contains(row)))
                .count();
            prop_assert!(same + 2 >= good.len(), "{same}");
        }
    }
}
