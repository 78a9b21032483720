//! Audits: what came from where, whom findings name that the directory does not know, and the guard before the worst day.

use division_bell::domain::{AccountId, FindingId};
use division_bell::steps::intake::{Held, Options, bind, intake};
use division_bell::steps::people::sync;

use crate::support::flow::{Bell, Setup, databases, directory, five, staff};

const BAD: &str = "2026-03-01T08:00:00Z";

#[tokio::test]
async fn a_name_that_nobody_knows_is_bound_once_and_holds_for_later_audits() {
    for store in databases().await {
        let bell = Bell::on(store).await;
        bell.people(&five()).await;
        let first = bell
            .audit("first", &[("adaa", "weak", BAD), ("brightb", "weak", BAD)])
            .await;
        assert_eq!((first.counts.unmatched, first.opened), (1, 1));
        let mut tx = bell.app.store.read().await.unwrap();
        let unmatched = tx.unmatched_findings(FindingId(0), 10).await.unwrap();
        drop(tx);
        let [finding] = &unmatched[..] else {
            panic!("{unmatched:?}")
        };
        assert_eq!(
            (&finding.key.given[..], &finding.why[..]),
            ("PARL\\adaa", "nobody")
        );
        let ada = AccountId(
            bell.count("SELECT id FROM accounts WHERE sam = 'abaraa'")
                .await,
        );
        let strange = bind(&bell.app, finding.id, AccountId(999), "ann").await;
        assert!(strange.unwrap_err().to_string().contains("no account 999"));

        let bound = bind(&bell.app, finding.id, ada, "ann").await.unwrap();
        assert_eq!((bound.findings, bound.opened), (1, 1));
        assert_eq!(bell.cases_of("abaraa").await.len(), 1);
        let again = bind(&bell.app, finding.id, ada, "ann").await;
        assert!(
            again
                .unwrap_err()
                .to_string()
                .contains("without an account")
        );
        // A later audit that uses the same name, written otherwise, finds the same account.
        let second = bell
            .audit("second", &[("ADAA", "attacked", "2026-03-02T07:00:00Z")])
            .await;
        assert_eq!(
            (second.counts.unmatched, second.joined),
            (0, 1),
            "{second:?}"
        );
        assert_eq!(bell.cases_of("abaraa").await.len(), 1);
        let acts = bell
            .column("SELECT actor FROM ledger WHERE act = 'key.bound'")
            .await;
        assert_eq!(acts, ["ann"]);
        bell.books().await;
    }
}

#[tokio::test]
async fn a_name_of_two_accounts_is_bound_to_one_of_them() {
    let bell = Bell::new().await;
    let mut people = five();
    people.push(staff("Abaraa", "other.abara@parl.example", "Otto Abara"));
    // Names that fold alike, of two accounts.
    let text = String::from_utf8(directory(&people)).unwrap();
    let file = bell.write("in/staff.csv", text.replace("id-Abaraa", "id-other"));
    sync(&bell.app, Some(&file), true, "ann").await.unwrap();
    let first = bell.audit("first", &[("abaraa", "weak", BAD)]).await;
    assert_eq!(
        (first.counts.unmatched, first.opened),
        (1, 0),
        "never guessed"
    );
    let second = AccountId(
        bell.count("SELECT id FROM accounts WHERE display_name = 'Otto Abara'")
            .await,
    );
    let bound = bind(&bell.app, FindingId(1), second, "ann").await.unwrap();
    assert_eq!(bound.opened, 1);
}

/// A house of three hundred, and an audit that lists this many of them.
async fn house(listed: usize) -> (Bell, std::path::PathBuf) {
    let bell = Bell::with(Setup {
        more: "[intake]\nshare_percent = 50\ntimes = 10\nat_least = 100\n".to_owned(),
        ..Setup::default()
    })
    .await;
    let names: Vec<String> = (0..300).map(|nth| format!("m{nth}")).collect();
    let people: Vec<_> = names
        .iter()
        .map(|sam| staff(sam, &format!("{sam}@parl.example"), "Some Body"))
        .collect();
    bell.people(&people).await;
    let lines: Vec<_> = names[..listed]
        .iter()
        .map(|sam| (sam.as_str(), "weak", BAD))
        .collect();
    let file = bell.audit_file("large", &lines);
    (bell, file)
}

async fn take(bell: &Bell, file: &std::path::Path, confirm: bool, by: &str) -> Result<u64, Held> {
    let options = Options {
        source: Some("own".to_owned()),
        confirm,
        ..Options::default()
    };
    match intake(&bell.app, file, &options, by).await {
        Ok(intake) => Ok(intake.opened),
        Err(error) => Err(error.downcast().unwrap_or_else(|error| panic!("{error:#}"))),
    }
}

#[tokio::test]
async fn an_audit_of_most_of_the_house_waits_for_a_second_operator() {
    let (bell, file) = house(151).await;
    // A rehearsal says so, and is no first try.
    let rehearsed = {
        let options = Options {
            source: Some("own".to_owned()),
            dry_run: true,
            ..Options::default()
        };
        intake(&bell.app, &file, &options, "ben").await.unwrap()
    };
    assert_eq!(rehearsed.opened, 151);
    assert_eq!(rehearsed.moves.len(), 100, "the first hundred");
    assert!(
        rehearsed
            .notes
            .iter()
            .any(|note| note.contains("151 of 300 accounts")),
        "{rehearsed:?}"
    );
    assert_eq!(take(&bell, &file, true, "ben").await, Err(Held::Untried));
    let held = Held::Share {
        opened: 151,
        all: 300,
        share: 50,
    };
    assert_eq!(take(&bell, &file, false, "ann").await, Err(held));
    assert_eq!(bell.count("SELECT COUNT(*) FROM cases").await, 0);
    assert_eq!(take(&bell, &file, true, "ann").await, Err(Held::Alone));
    assert_eq!(take(&bell, &file, true, "ben").await, Ok(151));
    let acts = bell
        .rows("SELECT actor, act FROM ledger WHERE act LIKE 'audit.%' ORDER BY id")
        .await;
    assert_eq!(
        acts,
        [vec!["ann", "audit.held"], vec!["ben", "audit.taken_in"]]
    );
}

#[tokio::test]
async fn half_of_the_house_is_no_surprise_and_ten_times_the_last_audit_is() {
    let (bell, file) = house(150).await;
    let few = bell.audit("few", &[("m299", "weak", BAD)]).await;
    assert_eq!(few.opened, 1);
    let leap = Held::Leap {
        findings: 150,
        before: 1,
    };
    assert_eq!(take(&bell, &file, false, "ann").await, Err(leap));
    assert_eq!(take(&bell, &file, true, "ben").await, Ok(150));
    let (bell, file) = house(150).await;
    assert_eq!(take(&bell, &file, false, "ann").await, Ok(150));
}

#[tokio::test]
async fn what_was_taken_in_is_listed_and_shown_and_names_are_masked() {
    let bell = Bell::new().await;
    bell.people(&five()).await;
    bell.audit(
        "first",
        &[("adaa", "weak", BAD), ("brightb", "strange", BAD)],
    )
    .await;
    let config = bell.path("bell.toml");
    let say = |arguments: &[&str]| {
        let answer = crate::support::program::bell(&config, arguments);
        assert_eq!(answer.code, 0, "{answer:?}");
        answer.out
    };
    let list = say(&["audits", "list"]);
    assert!(
        list.starts_with("audit 1: first.csv by own as mapped_csv, as of 2026-03-01T08:00:00Z"),
        "{list}"
    );
    assert!(
        list.contains("taken in 2026-03-02T08:00:00Z by ann: 2 rows"),
        "{list}"
    );
    let shown = say(&["audits", "show", "1"]);
    assert!(shown.contains("weak/cracked"), "{shown}");
    assert!(shown.contains("line 3: "), "{shown}");
    let unmatched = say(&["intake", "--unmatched"]);
    assert!(
        unmatched.contains("PARL\\a*** (own, audit 1 line 2)"),
        "{unmatched}"
    );
    assert!(!unmatched.contains("adaa"), "{unmatched}");
    let named = say(&["--as", "ann", "audits", "unmatched", "--names"]);
    assert!(named.contains("PARL\\adaa"), "{named}");
    assert_eq!(
        bell.count("SELECT COUNT(*) FROM ledger WHERE act = 'names.read'")
            .await,
        1
    );
    let bound = say(&["--as", "ann", "audits", "bind", "1", "--to", "PARL\\abaraa"]);
    assert!(
        bound.contains("1 findings have their account: 1 cases opened"),
        "{bound}"
    );
}
