//! The samples: every form that directories write, what each says, and what the rule makes of it.

use super::*;
use crate::directory::people;
use crate::domain::AccountId;
use crate::domain::evidence::{Found, Grade, Rule, Standing, assess, closes, grade};
use crate::domain::finding::{Baseline, Category};
use crate::domain::identity::{LookupKind, Match, RealmNames, resolve};
use crate::domain::person::DirectoryEntry;
use chrono::TimeDelta;
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};

const NOW: &str = "2026-02-20T08:00:00Z";
const DIRECTORY: &str = include_str!("../../../tests/evidence/directory.csv");
const EXPECTED: &str = include_str!("../../../tests/evidence/samples/expected-evidence.csv");
const DECISIONS: &str = include_str!("../../../tests/evidence/expected-decisions.csv");

macro_rules! samples {
    ($($file:literal => $form:ident;)*) => {
        /// Every sample, and the form it has.
        const SAMPLES: &[(&str, Form, &[u8])] = &[$((
            $file,
            Form::$form,
            include_bytes!(concat!("../../../tests/evidence/samples/", $file)),
        ),)*];
    };
}

samples! {
    "389ds.ldif" => Ldif;
    "ad-getaduser.csv" => GetAdUser;
    "ad-ldapsearch.ldif" => Ldif;
    "chage-l.txt" => Chage;
    "entra-directoryaudits.json" => EntraAudits;
    "freeipa-user-find.json" => Freeipa;
    "../generic-evidence.csv" => Csv;
    "google-directory-users.json" => GoogleUsers;
    "google-login-activities.json" => GoogleActivities;
    "google-password-activities.json" => GoogleActivities;
    "graph-users-delta-empty.json" => GraphUsers;
    "graph-users-page1.json" => GraphUsers;
    "graph-users-page2.json" => GraphUsers;
    "keycloak-realm-users.json" => KeycloakUsers;
    "netexec-users.log" => NetexecUsers;
    "okta-systemlog.json" => OktaLog;
    "okta-users.json" => OktaUsers;
    "openldap-ppolicy.ldif" => Ldif;
    "passwd-status-old.txt" => PasswdStatus;
    "passwd-status.txt" => PasswdStatus;
    "shadow" => Shadow;
    "windows-security-events.xml" => WindowsEvents;
}

fn at(text: &str) -> Moment {
    text.parse().unwrap()
}

/// As the samples' own tenant is: its synchronised users are believed.
fn options() -> EvidenceOptions {
    EvidenceOptions {
        synchronised: Synchronised::Here,
        zone: Tz::Europe__London,
        account: Some("abaraa".into()),
        ..EvidenceOptions::observed_at(at(NOW))
    }
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

fn sample(name: &str) -> &'static [u8] {
    let found = SAMPLES
        .iter()
        .find(|(file, ..)| file.trim_start_matches("../") == name);
    found.unwrap_or_else(|| panic!("no sample {name}")).2
}

/// What a sample says: line, names, facts, and rejects.
fn said(name: &str, options: &EvidenceOptions) -> (Vec<(Vec<Key>, Evidence)>, Vec<Reject>) {
    let (_, items) = all(sample(name), options).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (mut told, mut rejects) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            EvidenceItem::Row(row) => told.push((row.keys, row.evidence)),
            EvidenceItem::Part(row) => told.push((row.keys, row.part.onto(None))),
            EvidenceItem::Reject(reject) => rejects.push(reject),
        }
    }
    (told, rejects)
}

fn records(text: &str) -> Vec<HashMap<String, String>> {
    csv::Reader::from_reader(text.as_bytes())
        .deserialize()
        .map(Result::unwrap)
        .collect()
}

fn staff() -> Vec<DirectoryEntry> {
    let mut staff = Vec::new();
    let options = people::PeopleOptions::default();
    people::read(DIRECTORY.as_bytes(), &options, &mut |item| {
        if let people::PeopleItem::Entry { entry, .. } = item {
            staff.push(*entry);
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    staff
}

/// The sam of the one account that the keys name.
fn who(keys: &[Key], staff: &[DirectoryEntry]) -> String {
    use crate::domain::address::fold;
    let names = RealmNames {
        realm: Realm("ad:PARL".into()),
        netbios: vec!["PARL".into()],
        dns: vec!["parl.example".into()],
    };
    let ids: Vec<AccountId> = (0..staff.len())
        .map(|nth| AccountId(i64::try_from(nth).unwrap()))
        .collect();
    let found = resolve(keys, &names, true, |lookup| {
        let is = |text: Option<&str>| text.map(fold).as_deref() == Some(lookup.key.as_str());
        let is_it = |entry: &DirectoryEntry| match lookup.kind {
            LookupKind::Email => entry
                .mail
                .iter()
                .chain(&entry.aliases)
                .any(|mail| mail.folded() == lookup.key),
            LookupKind::Sam => is(entry.sam.as_deref()),
            LookupKind::Upn => is(entry.upn.as_deref()),
            LookupKind::ObjectId => is(Some(&entry.object_id)),
            LookupKind::Sid => is(entry.sid.as_deref()),
        };
        match staff.iter().position(is_it) {
            Some(nth) => std::slice::from_ref(&ids[nth]),
            None => &[],
        }
    });
    match found {
        Match::Account(AccountId(nth)) => staff[usize::try_from(nth).unwrap()]
            .sam
            .clone()
            .unwrap_or_default(),
        _ => String::new(),
    }
}

#[test]
fn every_sample_is_recognised_by_what_it_begins_with() {
    for (name, form, bytes) in SAMPLES {
        assert_eq!(detect::detect(bytes), *form, "{name}");
    }
}

#[test]
fn every_sample_says_what_is_expected_of_it_and_nothing_else() {
    let staff = staff();
    let mut expected: BTreeMap<String, Vec<HashMap<String, String>>> = BTreeMap::new();
    for row in records(EXPECTED) {
        let file = row["file"].trim_start_matches("../").to_owned();
        expected.entry(file).or_default().push(row);
    }
    for (file, rows) in &expected {
        let (mut told, rejects) = said(file, &options());
        let bad_rows = rows
            .iter()
            .filter(|row| row["note"].starts_with("row error"));
        assert_eq!(rejects.len(), bad_rows.count(), "{file}: {rejects:?}");
        for row in rows {
            if row["note"].starts_with("row error") {
                continue;
            }
            let name = &row["account"];
            let is_named = |key: &Key| {
                let given = key.given.to_lowercase();
                let given = given.rsplit('\\').next().unwrap();
                given == name.to_lowercase()
                    || (given.contains('@')
                        && row["matched"] == who(std::slice::from_ref(key), &staff))
            };
            let place = told
                .iter()
                .position(|(keys, _)| keys.iter().any(is_named))
                .unwrap_or_else(|| panic!("{file}: nothing about {name}"));
            let (keys, evidence) = told.remove(place);
            assert_eq!(who(&keys, &staff), row["matched"], "{file} {name}");
            let changed_at = match row["changed_at"].as_str() {
                "" => None,
                text => Some(when::parse(text, Tz::UTC, None).unwrap().lo),
            };
            let changed = evidence.changed;
            assert_eq!(changed.map(|change| change.lo), changed_at, "{file} {name}");
            let precision = changed.map_or("", |change| change.precision.word());
            assert_eq!(precision, row["precision"], "{file} {name}");
            let yes = |column: &str| row[column] == "yes";
            assert_eq!(evidence.pending, yes("pending"), "{file} {name}: pending");
            assert_eq!(
                evidence.disabled,
                yes("disabled"),
                "{file} {name}: disabled"
            );
            let actor = match row["actor"].as_str() {
                "self" => Actor::Myself,
                "admin" => Actor::Admin,
                "" => Actor::Unknown,
                other => panic!("{other}"),
            };
            assert_eq!(evidence.actor, actor, "{file} {name}: actor");
            assert_eq!(evidence.observed_at, at(NOW), "{file} {name}");
        }
        // Who is not expected to say anything says nothing.
        for (keys, evidence) in told {
            assert_eq!(file, "google-directory-users.json", "{file}: {keys:?}");
            assert_eq!(evidence, Evidence::silent(at(NOW)));
        }
    }
    assert_eq!(records(EXPECTED).len(), 99);
}

#[test]
fn samples_without_a_table_of_their_own_are_read_too() {
    let staff = staff();
    let days = |name: &str| -> BTreeMap<String, String> {
        let (told, rejects) = said(name, &options());
        assert_eq!(rejects, []);
        let shown = |evidence: &Evidence| {
            let day = evidence.changed.map_or("unknown".to_owned(), |change| {
                assert_eq!(change.precision, Precision::Day);
                change.lo.to_string()[..10].to_owned()
            });
            let more = [
                (evidence.pending, " pending"),
                (evidence.disabled, " disabled"),
            ];
            more.iter()
                .filter(|(is, _)| *is)
                .fold(day, |day, (_, word)| day + word)
        };
        told.iter()
            .map(|(keys, evidence)| (keys[0].given.clone(), shown(evidence)))
            .collect()
    };
    let expected = |rows: &[(&str, &str)]| -> BTreeMap<String, String> {
        rows.iter()
            .map(|(name, day)| ((*name).to_owned(), (*day).to_owned()))
            .collect()
    };
    let status = [
        ("abaraa", "2026-02-16"),
        ("brightb", "2025-06-17"),
        ("coxc", "2026-02-10"),
        ("daemon", "2020-10-01 disabled"),
        ("ivanovai", "unknown pending"),
        ("levequel", "unknown"),
        ("obriens", "2026-02-11"),
        ("oldnews", "2019-01-01"),
        ("root", "2020-10-01"),
        ("svc-backup", "2018-03-03"),
        ("tempt", "2026-02-12 disabled"),
    ];
    assert_eq!(days("passwd-status.txt"), expected(&status));
    // Both tools read the same file.
    assert_eq!(days("shadow"), expected(&status));
    let old = [
        ("abaraa", "2026-02-16"),
        ("brightb", "2025-06-17"),
        ("tempt", "2026-02-12 disabled"),
    ];
    assert_eq!(days("passwd-status-old.txt"), expected(&old));
    assert_eq!(days("chage-l.txt"), expected(&[("abaraa", "2026-02-16")]));

    let (login, _) = said("google-login-activities.json", &options());
    let [(keys, evidence)] = &login[..] else {
        panic!("{login:?}")
    };
    assert_eq!(who(keys, &staff), "pateln");
    assert_eq!(evidence.changed.unwrap().lo, at("2026-02-11T13:00:00Z"));

    let (summary, items) = all(sample("graph-users-delta-empty.json"), &options()).unwrap();
    assert!(
        items.is_empty() && summary.truncated,
        "it says that there is more"
    );
    let (summary, _) = all(sample("graph-users-page2.json"), &options()).unwrap();
    assert!(!summary.truncated);
}

#[test]
fn active_directory_is_read_the_same_from_both_of_its_exports() {
    let staff = staff();
    let of = |told: Vec<(Vec<Key>, Evidence)>| -> BTreeMap<String, Evidence> {
        told.into_iter()
            .map(|(keys, evidence)| (who(&keys, &staff), evidence))
            .collect()
    };
    let (entries, rejects) = said("ad-ldapsearch.ldif", &options());
    assert_eq!(
        (entries.len(), &rejects[..]),
        (36, &[][..]),
        "no group, no referral"
    );
    let from_ldap = of(entries);
    let (rows, rejects) = said("ad-getaduser.csv", &options());
    assert_eq!((rows.len(), &rejects[..]), (17, &[][..]));
    let from_csv = of(rows);
    assert!(from_csv.contains_key("müllerj"), "by its SID");
    // Without the raw number the date itself is read: local, the day first, as other rows show.
    let text = String::from_utf8(sample("ad-getaduser.csv").to_vec()).unwrap();
    let dates_only: String = text
        .lines()
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let kept = cells.iter().enumerate().filter(|(nth, _)| *nth != 5);
            kept.map(|(_, cell)| *cell).collect::<Vec<_>>().join(",") + "\r\n"
        })
        .collect();
    let (_, items) = all(dates_only.as_bytes(), &options()).unwrap();
    let mut by_date = BTreeMap::new();
    for item in items {
        let EvidenceItem::Row(row) = item else {
            panic!("{item:?}")
        };
        by_date.insert(who(&row.keys, &staff), row.evidence);
    }
    for (name, evidence) in &from_csv {
        let seconds = |evidence: &Evidence| {
            evidence
                .changed
                .map(|change| change.lo.micros() / 1_000_000)
        };
        let ldap = &from_ldap[name];
        assert_eq!(seconds(evidence), seconds(ldap), "{name}");
        assert_eq!(seconds(&by_date[name]), seconds(ldap), "{name} by date");
        let flags =
            |evidence: &Evidence| (evidence.pending, evidence.date_is_zero, evidence.disabled);
        assert_eq!(flags(evidence), flags(ldap), "{name}");
    }
    // Only the server itself knows when the secret changed.
    assert!(
        from_csv
            .values()
            .all(|evidence| evidence.secret_changed_at.is_none())
    );
    assert_eq!(grade(&from_ldap["abaraa"]), Grade::A);
    assert_eq!(grade(&from_ldap["SmithJ3"]), Grade::B);
    assert_eq!(grade(&from_csv["abaraa"]), Grade::B);
}

#[test]
fn only_sources_that_date_the_secret_itself_are_of_the_first_grade() {
    let best = |name: &str| {
        let (told, _) = said(name, &options());
        told.iter()
            .map(|(_, evidence)| grade(evidence))
            .min()
            .unwrap()
    };
    for (name, expected) in [
        ("ad-ldapsearch.ldif", Grade::A),
        ("keycloak-realm-users.json", Grade::A),
        ("entra-directoryaudits.json", Grade::A),
        ("okta-systemlog.json", Grade::A),
        ("google-password-activities.json", Grade::A),
        ("windows-security-events.xml", Grade::A),
        ("ad-getaduser.csv", Grade::B),
        ("graph-users-page1.json", Grade::B),
        ("graph-users-page2.json", Grade::B),
        ("okta-users.json", Grade::B),
        ("google-directory-users.json", Grade::B),
        ("openldap-ppolicy.ldif", Grade::B),
        ("389ds.ldif", Grade::B),
        ("freeipa-user-find.json", Grade::B),
        ("shadow", Grade::B),
        ("passwd-status.txt", Grade::B),
        ("netexec-users.log", Grade::B),
    ] {
        assert_eq!(best(name), expected, "{name}");
    }
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
fn all_38_decisions_are_reached_from_the_files_themselves() {
    let staff = staff();
    let cases = records(DECISIONS);
    assert_eq!(cases.len(), 38);
    for case in &cases {
        let (told, _) = said(&case["evidence_file"], &options());
        let mine: Vec<Evidence> = told
            .into_iter()
            .filter(|(keys, _)| who(keys, &staff) == case["account"])
            .map(|(_, evidence)| evidence)
            .collect();
        assert!(mine.len() < 2, "case {}", case["case"]);
        // The one whose actor only the event log knows.
        let (acts, _) = said("windows-security-events.xml", &options());
        let act = acts
            .iter()
            .find(|(keys, _)| who(keys, &staff) == case["account"]);
        let evidence = mine.into_iter().next().map(|evidence| match act {
            Some((_, act)) if case["why"].contains("actor admin") => evidence.after(Some(act)),
            _ => evidence,
        });
        let category = case["finding"].split('/').next().unwrap();
        let again = case["evidence"].split_once("by a dump of ");
        let found = Found {
            certain: who(&[Key::login(&case["account"]).unwrap()], &staff) == case["account"],
            category: Category::from_word(category).unwrap(),
            bad_as_of: at(&case["bad_as_of"]),
            baseline: baseline(&case["baseline_pwdLastSet"]),
            later_weak_as_of: again.map(|(_, when)| at(when)),
            later_clean_as_of: None,
        };
        // Findings and evidence of a tenant come from the same clock, and it tells of sessions.
        let is_entra = case["realm"].starts_with("entra:");
        let rule = Rule {
            exposes_sessions: is_entra,
            skew: match is_entra {
                true => TimeDelta::zero(),
                false => Rule::default().skew,
            },
            ..Rule::default()
        };
        let standing = assess(&found, evidence.as_ref(), &rule, at(NOW));
        let (nth, why) = (&case["case"], &case["why"]);
        assert_eq!(
            standing.word(),
            case["expected_state"],
            "case {nth}: {why}: {evidence:?}"
        );
        let closing = evidence
            .as_ref()
            .is_some_and(|evidence| closes(standing, grade(evidence)));
        let ends = matches!(standing, Standing::Reset | Standing::ClosedDisabled);
        assert_eq!(closing, ends, "case {nth}");
        if why.contains("actor admin") {
            assert_eq!(evidence.unwrap().actor, Actor::Admin, "case {nth}");
        }
    }
}

#[test]
fn synchronised_users_are_unknown_unless_the_config_says_otherwise() {
    let careful = EvidenceOptions {
        synchronised: Synchronised::Elsewhere,
        ..options()
    };
    let (told, _) = said("graph-users-page1.json", &careful);
    let staff = staff();
    for (keys, evidence) in told {
        let is_cloud_only = who(&keys, &staff) == "deverauxd";
        assert_eq!(evidence.changed.is_some(), is_cloud_only, "{keys:?}");
        // Their sessions are Entra's all the same.
        assert!(evidence.sessions_valid_from.is_some() && !evidence.disabled);
    }
}

#[test]
fn no_secret_leaves_a_reader() {
    for (name, _, bytes) in SAMPLES {
        let (_, items) = all(bytes, &options()).unwrap();
        let mut everything = format!("{items:?}");
        for item in &items {
            let keys = match item {
                EvidenceItem::Row(row) => &row.keys,
                EvidenceItem::Part(row) => &row.keys,
                EvidenceItem::Reject(_) => continue,
            };
            everything.extend(keys.iter().map(|key| format!(" {}", key.given)));
        }
        for canary in [
            "FAKE-", "FAKE:", "FAKE ", "FAKEFAKE", "FAKEOTP", "RkFLR", "{SSHA}", "$y$",
        ] {
            assert!(!everything.contains(canary), "{name} lets out {canary}");
        }
    }
}

#[test]
fn what_breaks_off_is_damaged_and_not_the_end() {
    for (name, form, bytes) in SAMPLES {
        if form.json().is_none() && *form != Form::WindowsEvents {
            continue;
        }
        let cut = &bytes[..bytes.len() - 20];
        let told = all(cut, &options()).expect_err(name);
        assert!(
            matches!(told, DirectoryError::Document { .. }),
            "{name}: {told:?}"
        );
        let shown = format!("{told} {told:?}");
        assert!(
            !shown.contains("FAKE") && !shown.contains("parl.example"),
            "{shown}"
        );
    }
    // A search that the server ended early says so in its last lines, or has none.
    let whole = String::from_utf8(sample("ad-ldapsearch.ldif").to_vec()).unwrap();
    assert!(!all(whole.as_bytes(), &options()).unwrap().0.truncated);
    let limited = whole.replace("result: 0 Success", "result: 4 Size limit exceeded");
    assert!(all(limited.as_bytes(), &options()).unwrap().0.truncated);
    let cut = &whole[..whole.find("# search result").unwrap()];
    assert!(all(cut.as_bytes(), &options()).unwrap().0.truncated);
    // So does a listing of FreeIPA.
    let ipa = String::from_utf8(sample("freeipa-user-find.json").to_vec()).unwrap();
    let limited = ipa.replace("\"truncated\": false", "\"truncated\": true");
    assert!(all(limited.as_bytes(), &options()).unwrap().0.truncated);
}

#[test]
fn an_answer_without_its_list_is_no_empty_listing() {
    let refused =
        br#"{"error": {"code": "InvalidAuthenticationToken", "message": "FAKE-token expired"}}"#;
    for form in [
        Form::GraphUsers,
        Form::OktaUsers,
        Form::KeycloakUsers,
        Form::Freeipa,
    ] {
        let options = EvidenceOptions {
            form: Some(form),
            ..options()
        };
        let told = all(refused, &options).unwrap_err();
        assert!(
            matches!(told, DirectoryError::NoRecords),
            "{form:?}: {told}"
        );
    }
}

#[test]
fn a_value_of_another_sort_costs_its_record_only() {
    let text = r#"{"@odata.context": "https://graph.example/$metadata#users", "value": [
        {"id": "1", "accountEnabled": "maybe", "lastPasswordChangeDateTime": "2026-02-16T09:00:00Z"},
        {"id": "2", "accountEnabled": true, "lastPasswordChangeDateTime": "yesterday"},
        {"id": "3", "accountEnabled": true, "lastPasswordChangeDateTime": 5},
        "four",
        {"accountEnabled": true, "lastPasswordChangeDateTime": null},
        {"id": "6", "accountEnabled": true, "lastPasswordChangeDateTime": "2026-02-16T09:00:00.1234567Z"},
        {"id": "7", "@removed": {"reason": "deleted"}},
        {"id": "8", "@removed": {"reason": "changed"}}]}"#;
    let (summary, items) = all(text.as_bytes(), &options()).unwrap();
    assert_eq!((summary.rows, summary.rejects), (3, 5));
    use RejectReason::{BadDate, BadValue, Malformed, NoKey};
    let reasons: Vec<_> = items
        .iter()
        .filter_map(|item| match item {
            EvidenceItem::Reject(reject) => Some((reject.line, reject.reason)),
            EvidenceItem::Row(_) | EvidenceItem::Part(_) => None,
        })
        .collect();
    assert_eq!(
        reasons,
        [
            (1, BadValue),
            (2, BadDate),
            (3, BadDate),
            (4, Malformed),
            (5, NoKey)
        ]
    );
    let EvidenceItem::Row(deleted) = &items[6] else {
        panic!("{items:?}")
    };
    assert!(!deleted.evidence.exists);
    let EvidenceItem::Part(removed) = &items[7] else {
        panic!("{items:?}")
    };
    assert_eq!(removed.part.disabled, Some(true));
}

#[test]
fn a_name_in_xml_is_read_with_all_its_letters_or_matches_nobody() {
    let named = |name: &str| {
        let text = format!(
            "<Event><System><EventID>4723</EventID><Keywords>0x8020000000000000</Keywords><TimeCreated SystemTime='2026-02-16T09:00:00Z'/></System>\
             <EventData><Data Name='TargetUserName'>{name}</Data><Data Name='Password'>FAKE-1</Data></EventData></Event>"
        );
        let (_, items) = all(text.as_bytes(), &options()).unwrap();
        let [EvidenceItem::Part(row)] = &items[..] else {
            panic!("{items:?}")
        };
        row.keys[0].clone()
    };
    assert_eq!(named("O&apos;Brien").given, "O'Brien");
    assert_eq!(named("m&#252;ller").given, "müller");
    assert_eq!(named("<![CDATA[a&b]]>").given, "a&b");
    assert!(named("ada&who;").is_lossy());
}

#[test]
fn an_ambiguous_date_is_no_date_without_an_order() {
    let text = "SamAccountName,PasswordLastSet\nada,02/03/2026 09:00:00\nbea,03/04/2026 09:00:00\n";
    let of = |date_order| {
        let options = EvidenceOptions {
            date_order,
            ..options()
        };
        let (_, items) = all(text.as_bytes(), &options).unwrap();
        let lo = |item: &EvidenceItem| match item {
            EvidenceItem::Row(row) => row.evidence.changed.unwrap().lo.to_string(),
            other => format!("{other:?}"),
        };
        lo(&items[0])
    };
    assert!(of(None).contains("BadDate"));
    assert_eq!(of(Some(DateOrder::DayFirst)), "2026-03-02T09:00:00Z");
    assert_eq!(of(Some(DateOrder::MonthFirst)), "2026-02-03T09:00:00Z");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damage_to_any_sample_never_panics_and_never_shows_a_secret(
        nth in 0..SAMPLES.len(), place in 0_usize..20_000, byte: u8, cut in proptest::option::of(0_usize..20_000),
    ) {
        let mut bytes = SAMPLES[nth].2.to_vec();
        let length = bytes.len();
        bytes[place % length] = byte;
        if let Some(cut) = cut {
            bytes.truncate(cut % length);
        }
        let options = EvidenceOptions { form: Some(SAMPLES[nth].1), ..options() };
        if let Err(error) = all(&bytes, &options) {
            let shown = format!("{error} {error:?}");
            prop_assert!(!shown.contains("FAKE"), "{shown}");
        }
    }
}
