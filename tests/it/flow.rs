//! The whole flow, step by step and from end to end, on both databases, through a folder and through a real Postfix.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use division_bell::app::letter_hash;
use division_bell::domain::CampaignId;
use division_bell::domain::campaign::CampaignState;
use division_bell::domain::case::{CaseState, ClosedAs};
use division_bell::domain::finding::Category;
use division_bell::steps::exempt::exempt;
use division_bell::steps::intake::{Options, intake};
use division_bell::steps::{campaign, people, plan};

use crate::support::flow::{
    Bell, RELAY_PASSWORD, Setup, Staff, assert_names_nobody, databases, five, moment, sample, staff,
};
use crate::support::postfix::{Postfix, USER};

/// When the auditors took their data.
const DUMP: &str = "2026-03-01T02:00:00Z";

fn weak<'a>(sams: &[&'a str]) -> Vec<(&'a str, &'a str, &'a str)> {
    sams.iter().map(|sam| (*sam, "weak", DUMP)).collect()
}

/// Who is told so far in a folder, by the local part.
fn heads(bell: &Bell) -> Vec<String> {
    bell.readers()
        .iter()
        .map(|to| to.split('@').next().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_second_listing_tells_who_joined_left_moved_and_was_disabled() {
    for store in databases().await {
        let bell = Bell::on(store).await;
        let first = bell.people(&five()).await;
        assert_eq!(
            (first.counts.listed, first.counts.joined, first.counts.left),
            (5, 5, 0)
        );
        bell.advance(TimeDelta::days(1));
        let mut staff_now = five();
        staff_now.remove(4);
        staff_now[0].department = "Hansard".to_owned();
        staff_now[1].enabled = false;
        staff_now[2].mail = "colin.cox-jones@parl.example".to_owned();
        staff_now.push(staff("foxf", "fay.fox@parl.example", "Fay Fox"));
        let second = bell.people(&staff_now).await;
        let counts = &second.counts;
        assert_eq!(
            (
                counts.listed,
                counts.joined,
                counts.left,
                counts.moved,
                counts.disabled,
                counts.enabled
            ),
            (5, 1, 1, 1, 1, 0),
            "{second}"
        );
        let told: BTreeSet<(&str, String)> = second
            .changes
            .iter()
            .filter(|change| change.what != "updated")
            .map(|change| (change.what, change.department.clone()))
            .collect();
        assert!(told.contains(&("moved", "Hansard".to_owned())), "{told:?}");
        assert_eq!(
            told.iter().map(|(what, _)| *what).collect::<BTreeSet<_>>(),
            BTreeSet::from(["disabled", "joined", "left", "moved"])
        );
        bell.advance(TimeDelta::days(1));
        let third = bell.people(&staff_now).await;
        assert_eq!(third.changes.len(), 0, "{third}");
        bell.books().await;
    }
}

#[tokio::test]
async fn names_come_out_right_whether_the_listing_is_utf8_or_of_the_code_page() {
    let text = "object_id,netbios,sam,mail,display_name,department,kind\n1,PARL,mullerj,j@parl.example,Jürgen Müller,Büro,person\n";
    let ansi: Vec<u8> = text
        .chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap())
        .collect();
    for bytes in [
        text.as_bytes().to_vec(),
        ["\u{feff}".as_bytes(), text.as_bytes()].concat(),
        ansi,
    ] {
        let bell = Bell::new().await;
        let file = bell.write("in/staff.csv", bytes);
        people::sync(&bell.app, Some(&file), false, "ann")
            .await
            .unwrap();
        assert_eq!(
            bell.rows("SELECT display_name, department FROM persons")
                .await,
            [["Jürgen Müller", "Büro"]]
        );
    }
}

#[tokio::test]
async fn a_listing_that_lost_most_accounts_changes_nothing_unless_an_operator_says_so() {
    let bell = Bell::new().await;
    bell.people(&five()).await;
    let before = bell.content().await;
    let file = bell.write(
        "in/staff.csv",
        crate::support::flow::directory(&five()[..2]),
    );
    let refused = people::sync(&bell.app, Some(&file), false, "ann")
        .await
        .unwrap_err();
    assert!(format!("{refused:#}").contains("--confirm"), "{refused:#}");
    assert_eq!(bell.content().await, before);
}

#[tokio::test]
async fn the_samples_come_in_with_the_counts_that_are_expected_of_them() {
    let expected: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(&std::fs::read(sample("expected.json")).unwrap()).unwrap();
    for store in databases().await {
        for (file, source) in [
            ("generic-weak-accounts.csv", "external"),
            ("hibp-breacheddomain.json", "hibp"),
            ("hashcat-show-username.txt", "hashcat"),
            ("john-show.txt", "john"),
            ("john-show-passwd.txt", "john"),
        ] {
            let bell = match &store {
                None => Bell::new().await,
                Some(_) => Bell::on(crate::support::postgres::database().await).await,
            };
            people::sync(&bell.app, None, false, "ann").await.unwrap();
            let taken = bell.intake(&sample(file), source).await.unwrap();
            let wanted = &expected[file];
            assert_eq!(
                serde_json::to_value(&taken.weaknesses).unwrap(),
                wanted["findings"],
                "{file}"
            );
            let mut left_out: BTreeMap<String, u64> = taken
                .skipped
                .iter()
                .map(|(why, count)| ((*why).to_owned(), *count))
                .collect();
            for reject in &taken.rejects {
                *left_out.entry(reject.reason.word().to_owned()).or_default() += 1;
            }
            let mut wanted_out: BTreeMap<String, u64> =
                serde_json::from_value(wanted["skipped"].clone()).unwrap();
            if let Some(count) = wanted_out.remove("duplicate_after_match") {
                *wanted_out.entry("duplicate".to_owned()).or_default() += count;
            }
            assert_eq!(left_out, wanted_out, "{file}");
            assert_eq!(routes(&bell).await, wanted["accounts"], "{file}");
            let found: u64 = taken.weaknesses.values().sum();
            assert_eq!(
                bell.count("SELECT COUNT(*) FROM findings").await,
                found as i64,
                "{file}"
            );
            bell.books().await;
        }
    }
}

/// Whose the accounts with findings are, as the expectations count them.
async fn routes(bell: &Bell) -> serde_json::Value {
    let mut counts = BTreeMap::from([("mail", 0), ("owner", 0), ("disabled", 0), ("unmatched", 0)]);
    for row in bell
        .rows("SELECT DISTINCT a.id, a.kind, a.enabled FROM findings f JOIN accounts a ON a.id = f.account_id WHERE f.case_id IS NOT NULL")
        .await
    {
        let whose = match (row[1].as_str(), row[2].as_str()) {
            ("person", "1") => "mail",
            ("person", _) => "disabled",
            _ => "owner",
        };
        *counts.get_mut(whose).unwrap() += 1;
    }
    let nobody = bell.count("SELECT COUNT(*) FROM (SELECT DISTINCT key_kind, key_given FROM findings WHERE account_id IS NULL AND weakness NOT IN ('breached/breach_no_password', 'breached/breach_info', 'breached/breach_unknown')) AS keys").await;
    counts.insert("unmatched", nobody);
    serde_json::to_value(counts).unwrap()
}

#[tokio::test]
async fn the_same_file_taken_in_twice_changes_nothing_at_all() {
    for store in databases().await {
        let bell = Bell::on(store).await;
        people::sync(&bell.app, None, false, "ann").await.unwrap();
        for (file, source) in [
            ("generic-weak-accounts.csv", "external"),
            ("hibp-breacheddomain.json", "hibp"),
        ] {
            let first = bell.intake(&sample(file), source).await.unwrap();
            assert!(!first.known && first.opened > 0);
            let before = bell.content().await;
            bell.advance(TimeDelta::days(1));
            let copy = bell.path("in/another-name.txt");
            std::fs::copy(sample(file), &copy).unwrap();
            for path in [sample(file), copy] {
                let again = bell.intake(&path, source).await.unwrap();
                assert!(again.known && again.audit.is_none());
            }
            assert_eq!(bell.content().await, before);
        }
    }
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen_and_leaves_the_database_as_it_was() {
    for store in databases().await {
        let bell = Bell::on(store).await;
        people::sync(&bell.app, None, false, "ann").await.unwrap();
        bell.intake(&sample("john-show.txt"), "john").await.unwrap();
        let before = bell.content().await;
        let dry = Options {
            source: Some("external".to_owned()),
            dry_run: true,
            ..Options::default()
        };
        let said = intake(&bell.app, &sample("generic-weak-accounts.csv"), &dry, "ann")
            .await
            .unwrap();
        assert_eq!(bell.content().await, before);
        let done = bell
            .intake(&sample("generic-weak-accounts.csv"), "external")
            .await
            .unwrap();
        assert_eq!(
            (
                said.counts,
                said.opened,
                said.joined,
                said.settled,
                said.weaknesses,
                said.audit
            ),
            (
                done.counts,
                done.opened,
                done.joined,
                done.settled,
                done.weaknesses,
                None
            )
        );
    }
}

#[tokio::test]
async fn a_later_audit_opens_a_successor_and_an_older_one_moves_nothing() {
    for store in databases().await {
        let bell = Bell::on(store).await;
        bell.people(&five()).await;
        bell.audit("first", &weak(&["abaraa"])).await;
        bell.campaign().await;
        bell.deliver().await;
        bell.advance(TimeDelta::hours(3));
        let confirmed = bell
            .evidence(&[("abaraa", "2026-03-02T10:00:00Z", false)])
            .await;
        assert_eq!(confirmed.reset, 1);
        let first = bell.case_of("abaraa").await;
        assert!(matches!(
            first.state,
            CaseState::Closed {
                closed_as: ClosedAs::Reset,
                ..
            }
        ));

        bell.advance(TimeDelta::days(1));
        let older = bell
            .audit("older", &[("abaraa", "breached", "2026-02-20T00:00:00Z")])
            .await;
        assert_eq!((older.opened, older.settled), (0, 1), "{older:?}");
        assert_eq!(bell.case_of("abaraa").await.state, first.state);

        let later = bell
            .audit("later", &[("abaraa", "weak", "2026-03-03T09:00:00Z")])
            .await;
        assert_eq!((later.opened, later.reopened), (1, 1), "{later:?}");
        let cases = bell.cases_of("abaraa").await;
        assert_eq!(cases.len(), 2);
        assert_eq!(cases[0].state, first.state);
        assert_eq!(
            (cases[1].state, cases[1].reopens),
            (CaseState::Open, Some(first.id))
        );
        bell.books().await;
    }
}

#[tokio::test]
async fn whoever_changed_their_password_since_the_dump_is_closed_at_intake_and_never_mailed() {
    for store in databases().await {
        let bell = Bell::on(store).await;
        bell.people(&five()).await;
        bell.evidence(&[
            ("abaraa", "2026-03-01T20:00:00Z", false),
            ("brightb", "2025-01-01T00:00:00Z", false),
            ("coxc", "2025-01-01T00:00:00Z", true),
        ])
        .await;
        let taken = bell
            .audit("first", &weak(&["abaraa", "brightb", "coxc"]))
            .await;
        assert_eq!((taken.opened, taken.closed_at_once), (3, 2), "{taken:?}");
        bell.campaign().await;
        bell.deliver().await;
        bell.run_until("2026-03-20T18:00:00Z").await;
        assert_eq!(
            heads(&bell).into_iter().collect::<BTreeSet<_>>(),
            BTreeSet::from(["bea.bright".to_owned()])
        );
        bell.books().await;
    }
}

#[tokio::test]
async fn a_person_gets_one_notice_for_all_that_was_found_severest_first() {
    let bell = Bell::new().await;
    let mut all = five();
    all.push(Staff {
        kind: "admin",
        mail: String::new(),
        owner: "colin.cox@parl.example".to_owned(),
        ..staff("adm-coxc", "", "Colin Cox (admin)")
    });
    all.push(Staff {
        kind: "service",
        mail: String::new(),
        owner: "colin.cox@parl.example".to_owned(),
        ..staff("svc-backup", "", "Backup")
    });
    bell.people(&all).await;
    bell.audit(
        "mixed",
        &[
            ("svc-backup", "weak", DUMP),
            ("coxc", "weak", DUMP),
            ("coxc", "attacked", DUMP),
            ("adm-coxc", "breached", DUMP),
            ("abaraa", "attacked", DUMP),
            ("abaraa", "weak", DUMP),
        ],
    )
    .await;
    let plan = plan::plan(&bell.app).await.unwrap();
    assert_eq!((plan.people_told(), plan.cases), (2, 4));
    bell.campaign().await;
    let delivered = bell.deliver().await;
    assert_eq!(delivered.accepted, 2);
    let letters = bell.letters();
    let cox = letters
        .iter()
        .find(|letter| letter.to == "colin.cox@parl.example")
        .unwrap();
    let places: Vec<usize> = [
        "your admin account",
        "your work account",
        "the Backup service account",
    ]
    .iter()
    .map(|sam| {
        cox.text
            .find(sam)
            .unwrap_or_else(|| panic!("{sam} is not in {}", cox.text))
    })
    .collect();
    assert_eq!(places[0], *places.iter().min().unwrap(), "{}", cox.text);
    let kinds = bell.rows("SELECT p.display_name, d.kind FROM deliveries d JOIN threads t ON t.id = d.thread_id JOIN persons p ON p.id = t.person_id ORDER BY 1").await;
    assert_eq!(
        kinds,
        [
            ["Ada Abara", "notice.attacked"],
            ["Colin Cox", "notice.breached"]
        ]
    );
    bell.books().await;
}

#[tokio::test]
async fn service_accounts_go_to_their_owners_and_machines_to_the_operators() {
    let bell = Bell::new().await;
    people::sync(&bell.app, None, false, "ann").await.unwrap();
    bell.audit(
        "services",
        &weak(&[
            "svc-backup",
            "svc_print",
            "adm-coxc",
            "Administrator",
            "Guest",
            "krbtgt",
            "PARLDC01$",
            "WS-LOBBY07$",
        ]),
    )
    .await;
    bell.campaign().await;
    bell.deliver().await;
    assert_eq!(bell.readers(), ["colin.cox@parl.example"]);
    for sam in ["Guest", "krbtgt", "PARLDC01$", "WS-LOBBY07$"] {
        assert_eq!(
            bell.tasks_of(sam).await,
            [("operators".to_owned(), "operators".to_owned())],
            "{sam}"
        );
        let text = bell.letters()[0].text.clone();
        assert!(!text.contains(sam), "{sam}");
    }
    for sam in ["svc-backup", "svc_print", "adm-coxc"] {
        assert_eq!(bell.tasks_of(sam).await, [], "{sam}");
        assert!(
            matches!(bell.case_of(sam).await.state, CaseState::Notified { .. }),
            "{sam}"
        );
    }
    bell.books().await;
}

#[tokio::test]
async fn nothing_goes_to_a_compromised_account_before_it_is_contained_and_then_only_to_the_second_address()
 {
    for store in databases().await {
        let bell = Bell::on(store).await;
        bell.people(&five()).await;
        bell.audit(
            "stolen",
            &[
                ("deverauxd", "compromised", DUMP),
                ("deverauxd", "weak", DUMP),
                ("abaraa", "compromised", DUMP),
                ("brightb", "weak", DUMP),
            ],
        )
        .await;
        bell.campaign().await;
        bell.deliver().await;
        assert_eq!(heads(&bell), ["bea.bright"]);
        for sam in ["deverauxd", "abaraa"] {
            assert_eq!(
                bell.tasks_of(sam).await,
                [("contain".to_owned(), "not_contained".to_owned())]
            );
            bell.contain(sam).await;
            assert_eq!(bell.tasks_of(sam).await, []);
        }
        // In the middle of the night: an intruder does not wait for office hours.
        bell.at("2026-03-03T02:00:00Z");
        bell.campaign().await;
        bell.deliver().await;
        assert_eq!(
            bell.readers(),
            ["bea.bright@parl.example", "dora@home.example"]
        );
        assert_eq!(
            bell.tasks_of("abaraa").await,
            [("reach".to_owned(), "only_affected_mailbox".to_owned())]
        );
        assert_eq!(
            bell.case_of("abaraa").await.not_reached.as_deref(),
            Some("only_affected_mailbox")
        );
        bell.run_until("2026-03-20T18:00:00Z").await;
        assert!(
            !bell
                .readers()
                .iter()
                .any(|to| to.starts_with("dora.deveraux") || to.starts_with("ada"))
        );
        assert_eq!(
            bell.readers()
                .iter()
                .filter(|to| *to == "dora@home.example")
                .count(),
            1,
            "no reminders by mail"
        );
        bell.books().await;
    }
}

#[tokio::test]
async fn a_case_that_turns_out_to_be_compromised_is_contained_first_and_its_mailbox_left_alone() {
    let bell = Bell::new().await;
    bell.people(&five()).await;
    // On a Friday evening, so that the letter waits.
    bell.at("2026-03-06T21:00:00Z");
    bell.audit("first", &weak(&["abaraa", "brightb"])).await;
    bell.campaign().await;
    bell.deliver().await;
    assert_eq!(bell.letters().len(), 0);
    bell.audit(
        "second",
        &[("abaraa", "compromised", "2026-03-06T20:00:00Z")],
    )
    .await;
    assert_eq!(
        bell.tasks_of("abaraa").await,
        [("contain".to_owned(), "not_contained".to_owned())]
    );
    bell.run_until("2026-03-27T18:00:00Z").await;
    assert_eq!(
        heads(&bell).into_iter().collect::<BTreeSet<_>>(),
        BTreeSet::from(["bea.bright".to_owned()])
    );
    bell.books().await;
}

#[tokio::test]
async fn nobody_is_told_before_a_second_operator_who_may_has_approved() {
    let bell = Bell::new().await;
    bell.people(&five()).await;
    bell.audit("first", &weak(&["abaraa", "brightb"])).await;
    let draft = bell.draft().await;
    assert_eq!(draft.people, 2);
    for who in ["ann", "ANN", "carla", ""] {
        let refused = campaign::approve(&bell.app, draft.id, who)
            .await
            .unwrap_err();
        assert!(
            format!("{refused:#}").contains("operator"),
            "{who}: {refused:#}"
        );
    }
    bell.notify().await;
    bell.deliver().await;
    assert_eq!(bell.count("SELECT COUNT(*) FROM deliveries").await, 0);
    assert!(
        plan::draft(&bell.app, "ann").await.unwrap().is_none(),
        "a draft holds its cases"
    );
    bell.approve(draft.id).await.unwrap();
    assert_eq!(bell.count("SELECT COUNT(*) FROM deliveries").await, 0);
    assert!(bell.approve(draft.id).await.is_err(), "once is enough");
    bell.notify().await;
    bell.notify().await;
    assert_eq!(bell.count("SELECT COUNT(*) FROM deliveries").await, 2);
    bell.deliver().await;
    assert_eq!(heads(&bell), ["ada.abara", "bea.bright"]);
    bell.books().await;
}

#[tokio::test]
async fn an_approver_who_drafted_it_cannot_approve_it() {
    let mut bell = Bell::new().await;
    let text = bell.text.replace(
        "roles = [\"security\", \"communications\"]",
        "roles = [\"security\", \"approver\"]",
    );
    bell.restart_with(text).await;
    bell.people(&five()).await;
    bell.audit("first", &weak(&["abaraa"])).await;
    let draft = bell.draft().await;
    for who in ["ann", " Ann "] {
        let refused = campaign::approve(&bell.app, draft.id, who)
            .await
            .unwrap_err();
        assert!(
            format!("{refused:#}").contains("second operator"),
            "{refused:#}"
        );
    }
    bell.approve(draft.id).await.unwrap();
}

/// What may change under an approver's eyes.
#[derive(Clone, Copy, Debug)]
enum Change {
    Address,
    Text,
    Account,
}

async fn change(bell: &mut Bell, what: Change) {
    bell.advance(TimeDelta::minutes(10));
    let mut staff = five();
    match what {
        Change::Address => staff[0].mail = "someone.else@parl.example".to_owned(),
        Change::Account => staff[0].name = "Ada Able".to_owned(),
        Change::Text => {
            let text = bell.text.replace(
                "Call the number on the back of your staff pass.",
                "Call the help desk.",
            );
            return bell.restart_with(text).await;
        }
    }
    bell.people(&staff).await;
}

#[tokio::test]
async fn what_changes_between_draft_and_approval_voids_the_draft_and_the_next_one_tells_everybody()
{
    for what in [Change::Address, Change::Text, Change::Account] {
        let mut bell = Bell::new().await;
        bell.people(&five()).await;
        bell.audit("first", &weak(&["abaraa", "brightb"])).await;
        let draft = bell.draft().await;
        change(&mut bell, what).await;
        let refused = bell.approve(draft.id).await.unwrap_err();
        assert!(
            format!("{refused:#}").contains("have changed"),
            "{what:?}: {refused:#}"
        );
        bell.notify().await;
        bell.deliver().await;
        assert_eq!(bell.letters().len(), 0, "{what:?}");
        let again = bell.campaign().await;
        assert_ne!(again.reference, draft.reference);
        bell.deliver().await;
        assert_eq!(bell.letters().len(), 2, "{what:?}");
        bell.books().await;
    }
}

#[tokio::test]
async fn what_changes_between_approval_and_queuing_voids_the_campaign_and_the_next_one_tells_everybody()
 {
    for what in [Change::Address, Change::Text, Change::Account] {
        let mut bell = Bell::new().await;
        bell.people(&five()).await;
        bell.audit("first", &weak(&["abaraa", "brightb"])).await;
        let draft = bell.draft().await;
        bell.approve(draft.id).await.unwrap();
        change(&mut bell, what).await;
        let queued = bell.notify().await;
        assert_eq!(
            queued.void,
            std::slice::from_ref(&draft.reference),
            "{what:?}"
        );
        bell.deliver().await;
        assert_eq!(bell.letters().len(), 0, "{what:?}");
        bell.campaign().await;
        bell.deliver().await;
        assert_eq!(bell.letters().len(), 2, "{what:?}");
        bell.books().await;
    }
}

#[tokio::test]
async fn whoever_resets_in_between_just_drops_out() {
    for before_approval in [true, false] {
        for store in databases().await {
            let bell = Bell::on(store).await;
            bell.people(&five()).await;
            bell.audit("first", &weak(&["abaraa", "brightb", "coxc"]))
                .await;
            let draft = bell.draft().await;
            if !before_approval {
                bell.approve(draft.id).await.unwrap();
            }
            bell.advance(TimeDelta::minutes(30));
            bell.evidence(&[("abaraa", "2026-03-02T08:10:00Z", false)])
                .await;
            if before_approval {
                bell.approve(draft.id).await.unwrap();
            }
            let queued = bell.notify().await;
            assert_eq!(
                (queued.notices, queued.void.len()),
                (2, 0),
                "before approval: {before_approval}"
            );
            bell.deliver().await;
            assert_eq!(heads(&bell), ["bea.bright", "colin.cox"]);
            bell.books().await;
        }
    }
}

#[tokio::test]
async fn whoever_resets_between_queuing_and_sending_is_not_told() {
    let bell = Bell::new().await;
    bell.people(&five()).await;
    bell.at("2026-03-06T21:00:00Z");
    bell.audit("first", &weak(&["abaraa", "brightb"])).await;
    bell.campaign().await;
    bell.at("2026-03-07T12:00:00Z");
    bell.evidence(&[("abaraa", "2026-03-07T11:00:00Z", false)])
        .await;
    bell.at("2026-03-09T08:00:00Z");
    bell.deliver().await;
    assert_eq!(heads(&bell), ["bea.bright"]);
    bell.books().await;
}

#[tokio::test]
async fn whoever_leaves_or_is_disabled_between_approval_and_queuing_becomes_somebodys_work() {
    for leaves in [true, false] {
        let bell = Bell::new().await;
        bell.people(&five()).await;
        bell.audit("first", &weak(&["abaraa", "brightb"])).await;
        let draft = bell.draft().await;
        bell.approve(draft.id).await.unwrap();
        bell.advance(TimeDelta::minutes(10));
        let mut staff = five();
        if leaves {
            staff.remove(0);
        } else {
            staff[0].enabled = false;
        }
        bell.people(&staff).await;
        assert_eq!(bell.notify().await.void.len(), 0);
        bell.deliver().await;
        assert_eq!(heads(&bell), ["bea.bright"]);
        plan::draft(&bell.app, "ann").await.unwrap();
        let reason = if leaves { "left" } else { "disabled" };
        assert_eq!(
            bell.tasks_of("abaraa").await,
            [("reach".to_owned(), reason.to_owned())]
        );
        bell.books().await;
    }
}

#[tokio::test]
async fn an_exemption_holds_the_letter_until_it_ends() {
    for queued_before in [true, false] {
        let bell = Bell::new().await;
        bell.people(&five()).await;
        bell.at("2026-03-06T21:00:00Z");
        bell.audit("first", &weak(&["abaraa", "brightb"])).await;
        let draft = bell.draft().await;
        bell.approve(draft.id).await.unwrap();
        if queued_before {
            bell.notify().await;
        }
        let case = bell.case_of("abaraa").await;
        let until = moment("2026-03-12T22:00:00Z");
        exempt(&bell.app, case.id, until, "in hospital", "ann", "ben")
            .await
            .unwrap();
        bell.run_until("2026-03-13T06:30:00Z").await;
        assert_eq!(
            heads(&bell).into_iter().collect::<BTreeSet<_>>(),
            BTreeSet::from(["bea.bright".to_owned()])
        );
        bell.run_until("2026-03-13T08:00:00Z").await;
        assert_eq!(
            heads(&bell).iter().filter(|to| *to == "ada.abara").count(),
            1,
            "queued before: {queued_before}"
        );
        bell.books().await;
    }
}

#[tokio::test]
async fn a_reminder_that_is_due_within_an_exemption_does_not_go() {
    let bell = Bell::new().await;
    bell.people(&five()).await;
    bell.audit("first", &weak(&["abaraa"])).await;
    bell.campaign().await;
    bell.deliver().await;
    bell.at("2026-03-06T12:00:00Z");
    bell.notify().await;
    assert_eq!(
        bell.count(
            "SELECT COUNT(*) FROM deliveries WHERE kind = 'reminder.1' AND state = 'queued'"
        )
        .await,
        1
    );
    let case = bell.case_of("abaraa").await;
    exempt(
        &bell.app,
        case.id,
        moment("2026-03-12T12:00:00Z"),
        "in hospital",
        "ann",
        "ben",
    )
    .await
    .unwrap();
    bell.run_until("2026-03-27T12:00:00Z").await;
    let sent = bell
        .column("SELECT kind FROM deliveries WHERE state = 'accepted' ORDER BY id")
        .await;
    assert_eq!(sent, ["notice.weak", "reminder.final"]);
    bell.books().await;
}

#[tokio::test]
async fn reminders_follow_the_ladder_and_there_are_three_at_most() {
    let bell = Bell::new().await;
    bell.people(&five()).await;
    bell.audit(
        "first",
        &[
            ("abaraa", "weak", DUMP),
            ("brightb", "breached", DUMP),
            ("coxc", "attacked", DUMP),
        ],
    )
    .await;
    bell.campaign().await;
    bell.deliver().await;
    bell.run_until("2026-04-10T18:00:00Z").await;
    let rows = bell.rows("SELECT p.display_name, d.kind, d.due_at FROM deliveries d JOIN threads t ON t.id = d.thread_id JOIN persons p ON p.id = t.person_id ORDER BY p.display_name, d.due_at, d.id").await;
    let told: Vec<(String, String, String)> = rows
        .into_iter()
        .map(|row| {
            let at = division_bell::domain::Moment::from_micros(row[2].parse().unwrap());
            (
                row[0].clone(),
                row[1].clone(),
                at.utc().format("%a %d %b").to_string(),
            )
        })
        .collect();
    let of = |name: &str| -> Vec<(String, String)> {
        told.iter()
            .filter(|one| one.0 == name)
            .map(|one| (one.1.clone(), one.2.clone()))
            .collect()
    };
    let say = |list: &[(&str, &str)]| -> Vec<(String, String)> {
        list.iter()
            .map(|(kind, day)| ((*kind).to_owned(), (*day).to_owned()))
            .collect()
    };
    assert_eq!(
        of("Ada Abara"),
        say(&[
            ("notice.weak", "Mon 02 Mar"),
            ("reminder.1", "Fri 06 Mar"),
            ("reminder.2", "Wed 11 Mar"),
            ("reminder.final", "Fri 13 Mar")
        ])
    );
    assert_eq!(
        of("Bea Bright"),
        say(&[
            ("notice.breached", "Mon 02 Mar"),
            ("reminder.1", "Tue 03 Mar"),
            ("reminder.final", "Wed 04 Mar")
        ])
    );
    assert_eq!(
        of("Colin Cox"),
        say(&[
            ("notice.attacked", "Mon 02 Mar"),
            ("reminder.1", "Tue 03 Mar"),
            ("reminder.2", "Wed 04 Mar"),
            ("reminder.final", "Thu 05 Mar")
        ])
    );
    for sam in ["abaraa", "brightb", "coxc"] {
        assert_eq!(
            bell.tasks_of(sam).await,
            [("hand_over".to_owned(), "deadline_passed".to_owned())],
            "{sam}"
        );
    }
    // The letters of a person are one conversation.
    let first: Vec<_> = bell
        .letters()
        .into_iter()
        .filter(|letter| letter.to.starts_with("ada"))
        .collect();
    assert_eq!(first.len(), 4);
    for letter in &first[1..] {
        let head = String::from_utf8_lossy(&letter.bytes);
        assert!(head.contains("In-Reply-To:"), "{head}");
    }
    bell.books().await;
}

#[tokio::test]
async fn no_reminder_goes_to_whoever_is_done_or_was_never_reached() {
    let bell = Bell::new().await;
    bell.people(&five()).await;
    bell.audit("first", &weak(&["abaraa", "brightb"])).await;
    bell.campaign().await;
    bell.deliver().await;
    let bounced = bell
        .column("SELECT d.id FROM deliveries d WHERE d.recipient LIKE 'bea%'")
        .await
        .remove(0);
    bounce(&bell, bounced.parse().unwrap(), "bea.bright@parl.example");
    assert_eq!(bell.step("inbox").await, "1 bounces, 1 cases not reached");
    assert_eq!(
        bell.tasks_of("brightb").await,
        [("reach".to_owned(), "bad_address".to_owned())]
    );
    let case = bell.case_of("brightb").await;
    assert_eq!(
        (case.state, case.not_reached.as_deref()),
        (CaseState::Open, Some("bounced"))
    );
    bell.at("2026-03-06T07:00:00Z");
    bell.evidence(&[("abaraa", "2026-03-05T12:00:00Z", false)])
        .await;
    bell.run_until("2026-04-10T18:00:00Z").await;
    let kinds = bell
        .column("SELECT kind FROM deliveries WHERE kind LIKE 'reminder%'")
        .await;
    assert_eq!(kinds, Vec::<String>::new());
    assert_eq!(bell.tasks_of("abaraa").await, []);
    bell.books().await;
}

/// A mail system's report that a delivery did not arrive.
fn bounce(bell: &Bell, delivery: i64, recipient: &str) {
    let to = bell
        .app
        .letters
        .bounce_address(division_bell::domain::DeliveryId(delivery))
        .unwrap();
    let text = format!(
        "Return-Path: <>\r\nDelivered-To: {to}\r\nFrom: MAILER-DAEMON@relay.example\r\nTo: {to}\r\nSubject: Undelivered Mail Returned to Sender\r\n\
         Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nThe mail could not be delivered.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n\
         Reporting-MTA: dns; relay.example\r\n\r\nFinal-Recipient: rfc822; {recipient}\r\nAction: failed\r\nStatus: 5.1.1\r\n\
         Diagnostic-Code: smtp; 550 5.1.1 <{recipient}>: no such user here\r\n\r\n--b--\r\n",
        to = to.expose(),
    );
    bell.write(&format!("bounces/new/{delivery}.test"), text);
}

#[tokio::test]
async fn reminders_that_were_missed_for_days_are_merged_into_one() {
    let bell = Bell::new().await;
    bell.people(&five()).await;
    bell.audit("first", &weak(&["abaraa"])).await;
    bell.campaign().await;
    bell.deliver().await;
    bell.at("2026-03-13T15:00:00Z");
    let queued = bell.notify().await;
    assert_eq!(queued.reminders, 1);
    bell.deliver().await;
    bell.run_until("2026-04-10T18:00:00Z").await;
    let kinds = bell.column("SELECT kind FROM deliveries ORDER BY id").await;
    assert_eq!(kinds, ["notice.weak", "reminder.final"]);
    bell.books().await;
}

#[tokio::test]
async fn thanks_go_once_to_all_addresses_of_whoever_was_told() {
    for store in databases().await {
        let bell = Bell::on(store).await;
        bell.people(&five()).await;
        bell.audit(
            "first",
            &[
                ("deverauxd", "compromised", DUMP),
                ("abaraa", "weak", DUMP),
                ("brightb", "weak", DUMP),
            ],
        )
        .await;
        bell.contain("deverauxd").await;
        let draft = bell.draft().await;
        bell.approve(draft.id).await.unwrap();
        bell.notify().await;
        bell.deliver().await;
        assert_eq!(bell.letters().len(), 3);
        bell.advance(TimeDelta::hours(3));
        let lines = [
            ("deverauxd", "2026-03-02T10:00:00Z", false),
            ("abaraa", "2026-03-02T10:00:00Z", false),
        ];
        assert_eq!(bell.evidence(&lines).await.thanks, 3);
        bell.deliver().await;
        for _ in 0..3 {
            bell.advance(TimeDelta::hours(2));
            assert_eq!(bell.evidence(&lines).await.thanks, 0);
            bell.deliver().await;
        }
        let thanked = bell.column("SELECT recipient FROM deliveries WHERE kind = 'notice.done' AND state = 'accepted' ORDER BY recipient").await;
        assert_eq!(
            thanked,
            [
                "ada.abara@parl.example",
                "dora.deveraux@parl.example",
                "dora@home.example"
            ]
        );
        assert_eq!(bell.letters().len(), 6);
        bell.books().await;
    }
}

/// The lines of `[mail.relay]` for a Postfix that wants TLS and a sign-in.
fn through(postfix: &Postfix) -> String {
    format!(
        "kind = \"smtp\"\nhost = \"localhost\"\nport = {}\nuser = \"{USER}\"\npassword_env = \"{}\"\nca_file = \"{}\"\nhello = \"bell.parl.example\"",
        postfix.submission,
        RELAY_PASSWORD.0,
        postfix.ca_file().display()
    )
}

/// The part of a received mail that is byte for byte what we meant to send, if there is one.
fn as_sent(mail: &[u8], hashes: &[String]) -> Option<Vec<u8>> {
    let starts = std::iter::once(0).chain(
        mail.windows(2)
            .enumerate()
            .filter(|(_, pair)| *pair == b"\r\n")
            .map(|(at, _)| at + 2),
    );
    starts
        .map(|at| &mail[at..])
        .find(|rest| hashes.contains(&letter_hash(rest)))
        .map(<[u8]>::to_vec)
}

#[tokio::test]
async fn the_whole_chain_through_a_real_postfix() {
    for store in databases().await {
        let postfix = Postfix::start();
        let bell = Bell::with(Setup {
            store,
            relay: through(&postfix),
            maildir: Some(postfix.maildir("bounces")),
            more: String::new(),
            ..Setup::default()
        })
        .await;
        let text = bell.text.replace(
            "bounce_domain = \"parl.example\"",
            "bounce_domain = \"parl.example\"\nenvelope_prefix = \"bounces\"",
        );
        let mut bell = bell;
        bell.restart_with(text).await;
        bell.people(&[
            staff("abaraa", "ada.abara@parl.example", "Ada Abara"),
            staff("brightb", "r450-4.2.1-bea@parl.example", "Bea Bright"),
            staff("coxc", "r550-5.1.1-colin@parl.example", "Colin Cox"),
            staff("deverauxd", "late-dora@parl.example", "Dora Deveraux"),
        ])
        .await;
        bell.audit("first", &weak(&["abaraa", "brightb", "coxc", "deverauxd"]))
            .await;
        bell.campaign().await;
        let delivered = bell.deliver().await;
        assert_eq!(
            (
                delivered.accepted,
                delivered.deferred,
                delivered.refused,
                delivered.held
            ),
            (2, 1, 1, None)
        );
        assert_eq!(
            bell.tasks_of("coxc").await,
            [("reach".to_owned(), "refused".to_owned())]
        );
        assert_eq!(
            bell.case_of("coxc").await.not_reached.as_deref(),
            Some("refused")
        );
        assert!(matches!(
            bell.case_of("deverauxd").await.state,
            CaseState::Notified { .. }
        ));

        // What was deferred comes back as it was, and is not counted against anybody until then.
        let hashes = bell
            .column("SELECT letter_hash FROM deliveries ORDER BY id")
            .await;
        let deferred = "SELECT letter_hash, message_ids, attempts, d.state FROM deliveries d JOIN threads t ON t.id = d.thread_id WHERE recipient LIKE 'r450%'";
        let before = bell.rows(deferred).await;
        assert_eq!(before[0][2..], ["1", "queued"]);
        assert_eq!(bell.deliver().await.deferred, 0, "not before its time");
        bell.advance(TimeDelta::minutes(31));
        assert_eq!(bell.deliver().await.deferred, 1);
        let after = bell.rows(deferred).await;
        assert_eq!(after[0][..2], before[0][..2]);
        assert_eq!(after[0][2..], ["2", "queued"]);
        assert_eq!(bell.case_of("brightb").await.state, CaseState::Open);

        let arrived = postfix.letters("other", 1).await;
        assert!(
            as_sent(&arrived[0], &hashes).is_some(),
            "{}",
            String::from_utf8_lossy(&arrived[0])
        );
        let head = String::from_utf8_lossy(&arrived[0]);
        assert!(head.contains("ESMTPSA"), "{head}");

        // The bounce is read from the Maildir.
        postfix.letters("bounces", 1).await;
        assert!(bell.step("inbox").await.starts_with("1 bounces"));
        let case = bell.case_of("deverauxd").await;
        assert_eq!(
            (case.state, case.not_reached.as_deref()),
            (CaseState::Open, Some("bounced"))
        );
        assert_eq!(
            bell.column("SELECT state FROM deliveries WHERE recipient LIKE 'late-%'")
                .await,
            ["bounced"]
        );
        assert_eq!(
            bell.tasks_of("deverauxd").await,
            [("reach".to_owned(), "bad_address".to_owned())]
        );
        assert!(
            bell.step("inbox").await.starts_with("0 bounces"),
            "a mail counts once"
        );
        bell.books().await;
    }
}

#[tokio::test]
async fn a_letter_in_doubt_and_its_retry_are_the_same_bytes() {
    let postfix = Postfix::start();
    let relay = |dot: &str| {
        format!(
            "kind = \"smtp\"\nhost = \"localhost\"\ntls = \"none\"\nport = {}\nhello = \"bell.parl.example\"\n[mail.relay.timeouts]\ndot = \"{dot}\"",
            postfix.late
        )
    };
    let mut bell = Bell::with(Setup {
        relay: relay("1 s"),
        ..Setup::default()
    })
    .await;
    bell.people(&five()).await;
    bell.audit("first", &weak(&["abaraa"])).await;
    bell.campaign().await;
    assert_eq!(bell.deliver().await.in_doubt, 1);
    let text = bell.text.replace("dot = \"1 s\"", "dot = \"60 s\"");
    bell.restart_with(text).await;
    bell.advance(TimeDelta::minutes(31));
    assert_eq!(bell.deliver().await.accepted, 1);
    let hashes = bell.column("SELECT letter_hash FROM deliveries").await;
    let twice = postfix.letters("other", 2).await;
    let letters: Vec<_> = twice
        .iter()
        .map(|mail| as_sent(mail, &hashes).expect("as it was queued"))
        .collect();
    assert_eq!(letters[0], letters[1]);
    assert_eq!(
        bell.rows("SELECT state, possible_duplicate, attempts FROM deliveries")
            .await,
        [["accepted", "1", "2"]]
    );
    bell.books().await;
}

#[tokio::test]
async fn a_letter_twice_in_doubt_waits_for_a_human_being() {
    let postfix = Postfix::start();
    let relay = format!(
        "kind = \"smtp\"\nhost = \"localhost\"\ntls = \"none\"\nport = {}\nhello = \"bell.parl.example\"\n[mail.relay.timeouts]\ndot = \"1 s\"",
        postfix.late
    );
    let bell = Bell::with(Setup {
        relay,
        ..Setup::default()
    })
    .await;
    bell.people(&five()).await;
    bell.audit("first", &weak(&["abaraa"])).await;
    bell.campaign().await;
    bell.deliver().await;
    bell.advance(TimeDelta::minutes(31));
    let delivered = bell.deliver().await;
    assert_eq!((delivered.in_doubt, delivered.stopped), (1, 1));
    bell.advance(TimeDelta::days(1));
    bell.deliver().await;
    assert_eq!(
        bell.column("SELECT state FROM deliveries").await,
        ["stopped"]
    );
    assert_eq!(
        bell.tasks_of("abaraa").await,
        [("decide".to_owned(), "in_doubt".to_owned())]
    );
    bell.books().await;
}

/// A worker that died with letters in its hands.
async fn dies_with_what_it_holds(bell: &Bell) -> usize {
    let mut tx = bell.app.store.begin().await.unwrap();
    let now = bell.now();
    let claims = tx
        .claim(64, "dead", now.plus(TimeDelta::minutes(15)), now)
        .await
        .unwrap();
    let wanted: Vec<_> = claims.iter().map(|one| (one.id, one.thread)).collect();
    tx.begin_attempts(&wanted, "dead", now).await.unwrap();
    tx.commit().await.unwrap();
    claims.len()
}

#[tokio::test]
async fn what_a_dead_worker_held_is_not_sent_to_whoever_is_done_or_withdrawn_meanwhile() {
    for store in databases().await {
        let bell = Bell::on(store).await;
        bell.people(&five()).await;
        bell.audit("first", &weak(&["abaraa", "brightb", "coxc"]))
            .await;
        bell.campaign().await;
        assert_eq!(dies_with_what_it_holds(&bell).await, 3);
        bell.advance(TimeDelta::minutes(10));
        bell.evidence(&[("abaraa", "2026-03-02T08:05:00Z", false)])
            .await;
        let case = bell.case_of("brightb").await;
        let mut tx = bell.app.store.begin().await.unwrap();
        tx.withdraw_case(case.id, "a false positive", "ann", bell.now())
            .await
            .unwrap();
        tx.end_threads(&[case.thread.unwrap()], bell.now())
            .await
            .unwrap();
        tx.commit().await.unwrap();
        bell.advance(TimeDelta::minutes(10));
        bell.deliver().await;
        bell.advance(TimeDelta::minutes(40));
        bell.deliver().await;
        assert_eq!(heads(&bell), ["colin.cox"]);
        bell.books().await;
    }
}

#[tokio::test]
async fn what_a_dead_worker_held_of_a_stopped_campaign_is_not_sent_and_of_a_paused_one_waits() {
    for stops in [true, false] {
        let bell = Bell::new().await;
        bell.people(&five()).await;
        bell.audit("first", &weak(&["abaraa"])).await;
        let id = bell.campaign().await.id;
        dies_with_what_it_holds(&bell).await;
        if stops {
            campaign::stop(&bell.app, id, "ann", Some("wrong list"))
                .await
                .unwrap();
        } else {
            campaign::pause(&bell.app, id, "ann", None).await.unwrap();
        }
        for _ in 0..3 {
            bell.advance(TimeDelta::minutes(40));
            bell.deliver().await;
        }
        assert_eq!(bell.letters().len(), 0, "stops: {stops}");
        if !stops {
            campaign::resume(&bell.app, id, "ann").await.unwrap();
            bell.deliver().await;
            assert_eq!(bell.letters().len(), 1);
        }
        bell.books().await;
    }
}

#[tokio::test]
async fn what_two_crashes_left_in_doubt_is_work_for_a_human_being() {
    let bell = Bell::new().await;
    bell.people(&five()).await;
    bell.audit("first", &weak(&["abaraa"])).await;
    bell.campaign().await;
    for _ in 0..2 {
        assert_eq!(dies_with_what_it_holds(&bell).await, 1);
        bell.advance(TimeDelta::minutes(16));
        let mut tx = bell.app.store.begin().await.unwrap();
        tx.recover(bell.now(), bell.now()).await.unwrap();
        tx.commit().await.unwrap();
    }
    bell.deliver().await;
    assert_eq!(bell.letters().len(), 0);
    assert_eq!(
        bell.tasks_of("abaraa").await,
        [("decide".to_owned(), "in_doubt".to_owned())]
    );
}

#[tokio::test]
async fn a_campaign_that_stands_still_says_nothing_and_goes_on_where_it_stood() {
    let bell = Bell::new().await;
    bell.people(&five()).await;
    bell.audit("first", &weak(&["abaraa", "brightb"])).await;
    let id = bell.campaign().await.id;
    campaign::pause(&bell.app, id, "ann", Some("wait for the press office"))
        .await
        .unwrap();
    bell.run_until("2026-03-05T18:00:00Z").await;
    assert_eq!(bell.letters().len(), 0);
    campaign::resume(&bell.app, id, "ben").await.unwrap();
    bell.at("2026-03-06T08:00:00Z");
    bell.deliver().await;
    assert_eq!(bell.letters().len(), 2);
    campaign::stop(&bell.app, id, "ann", None).await.unwrap();
    bell.run_until("2026-04-01T18:00:00Z").await;
    assert_eq!(
        bell.letters().len(),
        2,
        "no reminders of a stopped campaign"
    );
    assert!(campaign::resume(&bell.app, id, "ann").await.is_err());
    bell.books().await;
}

#[tokio::test]
async fn cases_of_a_stopped_campaign_that_nobody_was_told_of_are_free_for_the_next() {
    let bell = Bell::new().await;
    bell.people(&five()).await;
    bell.audit("first", &weak(&["abaraa", "brightb"])).await;
    let id = bell.campaign().await.id;
    campaign::stop(&bell.app, id, "ann", None).await.unwrap();
    bell.deliver().await;
    assert_eq!(bell.letters().len(), 0);
    bell.campaign().await;
    bell.deliver().await;
    assert_eq!(heads(&bell), ["ada.abara", "bea.bright"]);
    bell.books().await;
}

#[tokio::test]
async fn withdrawing_a_case_ends_its_letters_and_its_work() {
    let bell = Bell::new().await;
    bell.people(&five()).await;
    bell.audit("first", &[("abaraa", "compromised", DUMP)])
        .await;
    plan::draft(&bell.app, "ann").await.unwrap();
    assert_eq!(bell.tasks_of("abaraa").await.len(), 1);
    let mut tx = bell.app.store.begin().await.unwrap();
    tx.withdraw_case(
        bell.case_of("abaraa").await.id,
        "a false positive",
        "ann",
        bell.now(),
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(bell.tasks_of("abaraa").await, []);
    bell.books().await;
}

#[tokio::test]
async fn every_act_of_an_operator_is_in_the_ledger_under_their_name() {
    for store in databases().await {
        let bell = Bell::on(store).await;
        bell.people(&five()).await;
        bell.audit(
            "first",
            &[
                ("abaraa", "compromised", DUMP),
                ("brightb", "weak", DUMP),
                ("coxc", "weak", DUMP),
            ],
        )
        .await;
        bell.contain("abaraa").await;
        let now = bell.now();
        let (ada, cox) = (
            bell.case_of("abaraa").await.id,
            bell.case_of("coxc").await.id,
        );
        let mut tx = bell.app.store.begin().await.unwrap();
        tx.tell_case(ada, now, "by phone", "ann", now)
            .await
            .unwrap();
        tx.exempt_case(
            cox,
            now.plus(TimeDelta::days(3)),
            "on leave",
            "ann",
            "ben",
            now,
        )
        .await
        .unwrap();
        tx.commit().await.unwrap();
        let id = bell.campaign().await.id;
        campaign::pause(&bell.app, id, "ann", None).await.unwrap();
        campaign::resume(&bell.app, id, "ben").await.unwrap();
        campaign::stop(&bell.app, id, "ann", None).await.unwrap();
        let mut tx = bell.app.store.begin().await.unwrap();
        tx.withdraw_case(cox, "a mistake", "ben", now)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let acts: Vec<(String, String)> = bell
            .rows("SELECT act, actor FROM ledger WHERE actor <> 'bell' AND act NOT LIKE 'case.opened' ORDER BY id")
            .await
            .into_iter()
            .map(|mut row| (row.remove(0), row.remove(0)))
            .collect();
        let wanted = [
            ("people.synced", "ann"),
            ("audit.taken_in", "ann"),
            ("case.contained", "ann"),
            ("case.told", "ann"),
            ("case.exempted", "ben"),
            ("campaign.drafted", "ann"),
            ("campaign.approved", "ben"),
            ("campaign.announced", "ann"),
            ("campaign.announced", "ann"),
            ("campaign.paused", "ann"),
            ("campaign.running", "ben"),
            ("campaign.stopped", "ann"),
            ("case.closed.withdrawn", "ben"),
        ];
        assert_eq!(
            acts,
            wanted.map(|(act, actor)| (act.to_owned(), actor.to_owned()))
        );
        bell.books().await;
    }
}

#[tokio::test]
async fn no_name_and_no_address_is_in_a_log_at_trace_level_a_run_or_the_json_of_a_step() {
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let page = Page::default();
    let kept = page.clone();
    let log = division_bell::config::Log {
        level: tracing::Level::TRACE,
        format: division_bell::config::LogFormat::Json,
    };
    let _log = tracing::subscriber::set_default(division_bell::logging::subscriber(
        &log,
        move || page.clone(),
        false,
    ));
    tracing::info!(target: "division_bell::test", "the log runs");

    let postfix = Postfix::start();
    let bell = Bell::with(Setup {
        relay: through(&postfix),
        ..Setup::default()
    })
    .await;
    let mut all = five();
    all[0].mail = "r550-5.1.1-ada@parl.example".to_owned();
    all[1].mail = "r450-4.2.1-bea@parl.example".to_owned();
    // A name that no letter can hold.
    all[2].name = "{{ 7*7 }} visit https://evil.example".to_owned();
    let mut said = vec![serde_json::to_string(&bell.people(&all).await).unwrap()];
    said.push(
        serde_json::to_string(
            &bell
                .audit(
                    "first",
                    &[
                        ("abaraa", "weak", DUMP),
                        ("brightb", "weak", DUMP),
                        ("coxc", "weak", DUMP),
                        ("deverauxd", "compromised", DUMP),
                        ("ekwuemee", "breached", DUMP),
                        ("nobody", "weak", DUMP),
                    ],
                )
                .await,
        )
        .unwrap(),
    );
    said.push(serde_json::to_string(&plan::plan(&bell.app).await.unwrap()).unwrap());
    said.push(serde_json::to_string(&bell.campaign().await).unwrap());
    said.push(serde_json::to_string(&bell.deliver().await).unwrap());
    bell.advance(TimeDelta::hours(3));
    said.push(
        serde_json::to_string(
            &bell
                .evidence(&[("ekwuemee", "2026-03-02T10:00:00Z", false)])
                .await,
        )
        .unwrap(),
    );
    for name in [
        "people", "plan", "notify", "deliver", "inbox", "confirm", "announce",
    ] {
        said.push(bell.step(name).await);
    }
    let names = bell.names().await;
    assert!(names.len() > 8, "{names:?}");
    for text in &said {
        assert_names_nobody(text, &names);
    }
    let log = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("the log runs"), "{log}");
    assert_names_nobody(&log, &names);
    bell.books().await;
}

#[tokio::test]
async fn the_category_of_a_thread_rules_who_is_told_first() {
    let bell = Bell::with(Setup {
        relay: "kind = \"folder\"\nfolder = \"mail\"\nconnections = 1\ndoubt_window = 1".to_owned(),
        ..Setup::default()
    })
    .await;
    bell.people(&five()).await;
    bell.audit(
        "first",
        &[
            ("abaraa", "weak", DUMP),
            ("brightb", "attacked", DUMP),
            ("coxc", "breached", DUMP),
            ("deverauxd", "compromised", DUMP),
        ],
    )
    .await;
    bell.contain("deverauxd").await;
    bell.campaign().await;
    bell.deliver().await;
    let order = bell.column("SELECT t.category FROM attempts a JOIN deliveries d ON d.id = a.delivery_id JOIN threads t ON t.id = d.thread_id ORDER BY a.id").await;
    let wanted = [
        Category::Compromised,
        Category::Breached,
        Category::Attacked,
        Category::Weak,
    ];
    assert_eq!(order, wanted.map(|category| category.word().to_owned()));
}

#[tokio::test]
async fn an_unknown_campaign_is_no_campaign() {
    let bell = Bell::new().await;
    let refused = bell.approve(CampaignId(7)).await.unwrap_err();
    assert!(
        format!("{refused:#}").contains("no campaign 7"),
        "{refused:#}"
    );
    assert_ne!(CampaignState::Draft, CampaignState::Void);
}
