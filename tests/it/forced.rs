//! The last rung in a real directory: looked at first, written for people only, and read back.

use chrono::TimeDelta;
use division_bell::channels::HandOvers;
use division_bell::channels::hand_over::{
    DirectorySettings, DirectoryWriter, HandOverRequest, Look,
};
use division_bell::clock::Clock;
use division_bell::domain::ladder::Demand;
use division_bell::domain::{CaseId, Moment};
use division_bell::steps::hand_over::{HandedOver, hand_over, rehearse};
use division_bell::store::HandOver;

use crate::support::flow::{ALWAYS, Bell, Setup, five};
use crate::support::samba::{BASE, FORCE, FORCE_PASSWORD, Samba};

fn config(dc: &Samba, url: String, password: &str) -> String {
    format!(
        "[hand_over]\nkind = \"ldap\"\nserver = \"{}\"\nbind_dn = \"{FORCE}\"\npassword_file = \"{}\"\nbase_dn = \"{BASE}\"\nca_file = \"{}\"\ntimeout = \"5 s\"\n{ALWAYS}",
        url,
        dc.holding("secret", password).display(),
        dc.ca_file().display()
    )
}

/// All five are at their last rung at the present time of the directory: all were attacked but Bea, who is on a list of
/// stolen passwords.
async fn at_the_end(more: String) -> Bell {
    // Whole seconds, as audits write them.
    let now = Clock::System.now().micros() / 1_000_000 * 1_000_000;
    let now = Moment::from_micros(now);
    let bell = Bell::with(Setup {
        more,
        start: now.minus(TimeDelta::days(12)),
        ..Setup::default()
    })
    .await;
    bell.people(&five()).await;
    let found = now.minus(TimeDelta::days(13)).to_string();
    bell.audit(
        "one",
        &[
            ("abaraa", "attacked", &found),
            ("brightb", "breached", &found),
            ("coxc", "attacked", &found),
            ("deverauxd", "attacked", &found),
            ("ekwuemee", "attacked", &found),
        ],
    )
    .await;
    bell.campaign().await;
    bell.deliver().await;
    bell.app.clock.set(now);
    bell.notify().await;
    bell
}

async fn pass(bell: &Bell) -> HandedOver {
    hand_over(&bell.app).await.unwrap()
}

async fn outcomes(bell: &Bell) -> Vec<(String, String)> {
    let mut tx = bell.app.store.read().await.unwrap();
    let all: Vec<HandOver> = tx.hand_overs(0, false, 100).await.unwrap();
    all.into_iter()
        .map(|one| (one.state, one.outcome.unwrap_or_default()))
        .collect()
}

fn of(state: &str, outcome: &str) -> (String, String) {
    (state.to_owned(), outcome.to_owned())
}

#[tokio::test]
async fn people_are_forced_after_a_look_and_nobody_else_is_touched() {
    let dc = Samba::start();
    let before = dc.attribute("abaraa", "pwdLastSet");
    assert_ne!(before, "0");
    let bell = at_the_end(config(&dc, dc.url(), FORCE_PASSWORD)).await;
    let waiting = pass(&bell).await;
    assert_eq!((waiting.done, waiting.unrehearsed), (0, 5), "{waiting}");
    assert_eq!(dc.attribute("abaraa", "pwdLastSet"), before);

    let look = rehearse(&bell.app, "ann").await.unwrap().unwrap();
    let would: Vec<&str> = look.would.iter().map(|one| one.would).collect();
    assert_eq!(
        would,
        [
            "would_force",
            "cannot_block",
            "never_expires",
            "protected",
            "disabled"
        ]
    );
    assert_eq!(
        dc.attribute("abaraa", "pwdLastSet"),
        before,
        "a look writes nothing"
    );

    let handed = pass(&bell).await;
    assert_eq!((handed.done, handed.by_hand), (1, 4), "{handed}");
    assert_eq!(dc.attribute("abaraa", "pwdLastSet"), "0");
    for other in ["brightb", "coxc", "deverauxd", "ekwuemee"] {
        assert_ne!(dc.attribute(other, "pwdLastSet"), "0", "{other}");
    }
    let mut all = outcomes(&bell).await;
    all.sort();
    assert_eq!(
        all,
        [
            of("done", "forced"),
            of("refused", "cannot_block"),
            of("refused", "disabled"),
            of("refused", "never_expires"),
            of("refused", "protected"),
        ]
    );
    assert!(bell.tasks_of("abaraa").await.is_empty());
    assert_eq!(
        bell.tasks_of("coxc").await,
        [("hand_over".to_owned(), "never_expires".to_owned())]
    );
    assert!(!format!("{:?}", bell.content().await).contains(FORCE_PASSWORD));
    bell.books().await;
}

#[tokio::test]
async fn another_set_than_the_one_that_was_looked_at_is_not_written() {
    let dc = Samba::start();
    let bell = at_the_end(config(&dc, dc.starttls_url(), FORCE_PASSWORD)).await;
    rehearse(&bell.app, "ann").await.unwrap();
    let bea = bell.case_of("brightb").await;
    let mut tx = bell.app.store.begin().await.unwrap();
    tx.withdraw_case(bea.id, "none", "ann", bell.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(pass(&bell).await.unrehearsed, 4);
    assert_ne!(dc.attribute("abaraa", "pwdLastSet"), "0");
    rehearse(&bell.app, "ann").await.unwrap();
    assert_eq!(pass(&bell).await.done, 1);
}

#[tokio::test]
async fn whoever_changes_the_password_after_a_crash_is_not_asked_for_another() {
    let dc = Samba::start();
    let bell = at_the_end(config(&dc, dc.url(), FORCE_PASSWORD)).await;
    rehearse(&bell.app, "ann").await.unwrap();
    // A worker was at it when it died; and then the person changed it.
    let now = bell.now();
    let mut tx = bell.app.store.begin().await.unwrap();
    let due = tx.hand_overs_due(CaseId(0), 10, now).await.unwrap();
    let drafts: Vec<_> = due
        .iter()
        .map(|one| division_bell::store::HandOverDraft {
            case_id: one.case.0,
            demand: one.demand.word(),
            kind: "ldap",
            key: format!("{}-{}", one.reference, one.case),
        })
        .collect();
    tx.begin_hand_overs(&drafts, now.plus(TimeDelta::minutes(15)), now)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    dc.new_password("abaraa");
    bell.advance(TimeDelta::minutes(20));
    pass(&bell).await;
    assert_ne!(dc.attribute("abaraa", "pwdLastSet"), "0");
    assert!(
        outcomes(&bell)
            .await
            .contains(&of("refused", "changed_since"))
    );
}

#[tokio::test]
async fn a_directory_that_is_away_or_refuses_us_is_tried_again() {
    let dc = Samba::start();
    let mut bell = at_the_end(config(&dc, dc.url(), FORCE_PASSWORD)).await;
    rehearse(&bell.app, "ann").await.unwrap();
    let good = bell.text.clone();
    let wrong = dc.holding("secret", "Passw0rd.Wrong");
    bell.restart_with(good.clone()).await;
    let handed = pass(&bell).await;
    assert_eq!((handed.done, handed.again), (0, 4), "{handed}");
    assert!(outcomes(&bell).await.contains(&of("again", "bind_refused")));
    std::fs::write(wrong, FORCE_PASSWORD).unwrap();
    dc.stop();
    bell.restart_with(good).await;
    bell.advance(TimeDelta::minutes(2));
    assert_eq!(pass(&bell).await.again, 4);
    assert!(outcomes(&bell).await.contains(&of("again", "unreachable")));
}

#[tokio::test]
async fn a_check_tells_whether_the_account_could_write_and_writes_nothing() {
    let dc = Samba::start();
    let before = dc.attribute("abaraa", "pwdLastSet");
    let check = async |bind_dn: &str, password: &str, base: &str| {
        let settings = DirectorySettings {
            url: dc.url(),
            bind_dn: bind_dn.to_owned(),
            password: password.into(),
            base_dn: base.to_owned(),
            ca_file: Some(dc.ca_file()),
            timeout: std::time::Duration::from_secs(5),
        };
        let way = HandOvers::Ldap(DirectoryWriter::new(settings).unwrap());
        way.check().await
    };
    let fine = check(FORCE, FORCE_PASSWORD, BASE).await.unwrap();
    // Its right is for everybody below CN=Users who is no administrator's business.
    assert!(
        fine.contains("lets us in; pwdLastSet may be written for "),
        "{fine}"
    );
    assert!(!fine.contains("written for 0 of"), "{fine}");
    // Everybody may see, and write nothing of others.
    let told = check("brightb@parl.example", "Passw0rd.Old", BASE).await;
    assert!(
        told.as_ref()
            .is_err_and(|told| told.contains("give the account the right to write it")),
        "{told:?}"
    );
    let told = check(FORCE, "s3ntinel", BASE).await.unwrap_err();
    assert!(told.contains("look at bind_dn, at its password"), "{told}");
    let told = check(FORCE, FORCE_PASSWORD, &format!("OU=None,{BASE}")).await;
    assert!(
        told.as_ref()
            .is_err_and(|told| told.contains("look at base_dn")),
        "{told:?}"
    );
    assert_eq!(dc.attribute("abaraa", "pwdLastSet"), before);
    dc.stop();
    let told = check(FORCE, FORCE_PASSWORD, BASE).await.unwrap_err();
    assert!(told.contains("look at server and ca_file"), "{told}");
}

#[tokio::test]
async fn an_account_is_found_by_the_directorys_own_number() {
    let dc = Samba::start();
    let settings = DirectorySettings {
        url: dc.url(),
        bind_dn: FORCE.to_owned(),
        password: FORCE_PASSWORD.into(),
        base_dn: BASE.to_owned(),
        ca_file: Some(dc.ca_file()),
        timeout: std::time::Duration::from_secs(5),
    };
    let way = HandOvers::Ldap(DirectoryWriter::new(settings).unwrap());
    let request = |account: &str, login: &str| HandOverRequest {
        account: account.to_owned(),
        login: login.to_owned(),
        demand: Demand::ForceChange,
        reference: "DB-2603-K7M4".to_owned(),
        at: Clock::System.now(),
        key: "key".to_owned(),
    };
    let number = dc.attribute("abaraa", "objectGUID");
    let long_ago = HandOverRequest {
        at: Moment::from_micros(0),
        ..request(&number, "")
    };
    let looks = way
        .look(&[
            request(&number, "somebody else"),
            long_ago,
            request("00000000-0000-4000-9000-000000001103", "abaraa"),
            request("id-1", "*"),
        ])
        .await;
    let words: Vec<&str> = looks.iter().map(Look::word).collect();
    assert_eq!(
        words,
        ["would_force", "changed_since", "not_found", "not_found"]
    );
}
