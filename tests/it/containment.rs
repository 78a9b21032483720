//! The containment ledger: what other teams did, whose case it contains, and a signed list of those who may be let in again.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use chrono::TimeDelta;
use division_bell::steps::contain::{import, list, write_safe};

use crate::support::flow::{Bell, five};
use crate::support::program::bell as program;
use crate::support::{run, tried};

const AUDIT: &str = "2026-03-01T06:00:00Z";

/// All five are cut off since Sunday evening; Ada and Bea are weak, Colin and Dora compromised.
async fn cut_off() -> Bell {
    let bell = Bell::new().await;
    bell.people(&five()).await;
    bell.audit(
        "one",
        &[
            ("abaraa", "weak", AUDIT),
            ("brightb", "weak", AUDIT),
            ("coxc", "compromised", AUDIT),
            ("deverauxd", "compromised", AUDIT),
        ],
    )
    .await;
    let sams = ["abaraa", "brightb", "coxc", "deverauxd", "ekwuemee"];
    let lines: Vec<String> = sams
        .iter()
        .map(|sam| format!("PARL\\{sam},remote_cut,2026-03-01T20:00:00Z,network team,CHG-1"))
        .collect();
    took(&bell, &lines).await;
    bell
}

async fn took(bell: &Bell, lines: &[String]) -> division_bell::steps::contain::Imported {
    let text = format!("account,act,at,by,how\n{}\n", lines.join("\n"));
    let file = bell.write("contained.csv", text);
    import(&bell.app, &file, "ann").await.unwrap()
}

/// Who may be let in again, by login.
async fn safe(bell: &Bell) -> Vec<String> {
    let (_, restore) = list(&bell.app).await.unwrap();
    restore.into_iter().map(|one| one.login).collect()
}

#[tokio::test]
async fn only_those_whose_reset_is_proven_since_the_cut_are_let_in_again() {
    let bell = cut_off().await;
    assert!(safe(&bell).await.is_empty());
    bell.advance(TimeDelta::hours(1));
    // Ada has a new password, but for Bea it is older than the cut, and older than what was found.
    bell.evidence(&[
        ("abaraa", "2026-03-02T08:30:00Z", false),
        ("brightb", "2026-02-01T08:30:00Z", false),
        ("coxc", "2026-03-02T08:30:00Z", false),
    ])
    .await;
    // Colin's sessions are not known to be over, so an intruder may sit in one.
    assert_eq!(safe(&bell).await, ["abaraa"]);
    took(
        &bell,
        &["coxc,sessions_revoked,2026-03-02T08:40:00Z,identity team,INC-7".to_owned()],
    )
    .await;
    assert_eq!(safe(&bell).await, ["abaraa", "coxc"]);
    // Whoever is in again is not on the list any more, and whoever is found again is off it.
    took(
        &bell,
        &["abaraa,remote_restored,2026-03-02T08:50:00Z,network team,CHG-2".to_owned()],
    )
    .await;
    bell.audit("two", &[("coxc", "weak", "2026-03-02T08:55:00Z")])
        .await;
    assert!(safe(&bell).await.is_empty());
    bell.books().await;
}

#[tokio::test]
async fn nobody_who_is_open_exempt_or_on_hold_is_let_in_again() {
    let bell = cut_off().await;
    let ada = bell.case_of("abaraa").await;
    let until = bell.now().plus(TimeDelta::days(30));
    division_bell::steps::exempt::exempt(&bell.app, ada.id, until, "on leave", "ann", "ben")
        .await
        .unwrap();
    assert!(safe(&bell).await.is_empty());
    // A false alarm is no proof.
    let bea = bell.case_of("brightb").await;
    let mut tx = bell.app.store.begin().await.unwrap();
    tx.withdraw_case(bea.id, "a duplicate", "ann", bell.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert!(safe(&bell).await.is_empty());
}

#[tokio::test]
async fn a_list_contains_cases_and_reading_it_twice_changes_nothing() {
    let bell = cut_off().await;
    let lines = vec![
        "coxc,sign_in_blocked,2026-03-02T07:00:00Z,identity team,INC-7".to_owned(),
        "coxc,sessions_revoked,2026-03-02T07:30:00Z,identity team,INC-7".to_owned(),
        // Blocked only: an intruder may still be in.
        "deverauxd,sign_in_blocked,2026-03-02T07:00:00Z,identity team,INC-7".to_owned(),
        "nobody,remote_cut,2026-03-02T07:00:00Z,x,".to_owned(),
        "abaraa,remote_cut,2026-09-02T07:00:00Z,x,".to_owned(),
    ];
    let imported = took(&bell, &lines).await;
    assert_eq!(
        (imported.accounts, imported.contained),
        (2, 1),
        "{imported}"
    );
    let rejected: Vec<u64> = imported.rejects.iter().map(|(line, _)| *line).collect();
    assert_eq!(rejected, [5, 6]);
    let colin = bell.case_of("coxc").await;
    assert_eq!(
        colin.contained_at.unwrap().to_string(),
        "2026-03-02T07:30:00Z"
    );
    assert_eq!(bell.case_of("deverauxd").await.contained_at, None);
    let before = bell.count("SELECT COUNT(*) FROM ledger").await;
    let again = took(&bell, &lines).await;
    assert_eq!((again.accounts, again.contained), (0, 0));
    assert_eq!(bell.count("SELECT COUNT(*) FROM ledger").await, before);
    bell.books().await;
}

#[tokio::test]
async fn the_network_team_checks_the_list_with_openssl_alone() {
    let bell = cut_off().await;
    bell.advance(TimeDelta::hours(1));
    bell.evidence(&[("abaraa", "2026-03-02T08:30:00Z", false)])
        .await;
    let out = bell.path("restore.csv");
    let signed = write_safe(&bell.app, &out, "ann").await.unwrap();
    assert_eq!(signed.accounts, 1);
    let text = std::fs::read_to_string(&out).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(
        lines[1].starts_with(
            "id-abaraa,abaraa,remote_restored,2026-03-01T20:00:00Z,2026-03-02T08:30:00Z,"
        ),
        "{text}"
    );
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&bell.path("containment.key")), 0o600);
    assert_eq!(mode(&out), 0o600);

    let config = bell.path("bell.toml");
    let key = program(&config, &["contain", "key"]);
    assert_eq!(key.code, 0, "{}", key.err);
    let public = bell.write("bell-public.pem", &key.out);
    let verify = |file: &Path| {
        let mut command = Command::new("openssl");
        command
            .args(["pkeyutl", "-verify", "-pubin", "-inkey"])
            .arg(&public)
            .args(["-rawin", "-in"])
            .arg(file)
            .arg("-sigfile")
            .arg(&signed.signature);
        command
    };
    assert!(run(&mut verify(&out)).contains("Signature Verified Successfully"));
    // One more account in the list, and it is no list of ours.
    let forged = bell.write(
        "forged.csv",
        format!("{text}id-coxc,coxc,remote_restored,,,A,,\n"),
    );
    assert!(tried(&mut verify(&forged)).is_err());
    // The way it is checked is the one that --help shows.
    let help = program(&config, &["contain", "list", "--help"]).out;
    assert!(
        help.contains("openssl pkeyutl -verify -pubin -inkey bell-public.pem -rawin -in LIST -sigfile LIST.sig"),
        "{help}"
    );
    // A key that others could have read signs nothing.
    std::fs::set_permissions(
        bell.path("containment.key"),
        std::fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let refused = write_safe(&bell.app, &out, "ann").await.unwrap_err();
    assert!(format!("{refused:#}").contains("chmod 600"), "{refused:#}");
}

#[tokio::test]
async fn the_commands_say_what_the_ledger_holds() {
    let bell = cut_off().await;
    let config = bell.path("bell.toml");
    let shown = program(&config, &["contain", "show", "coxc"]);
    assert!(
        shown.out.contains("remote_cut") && shown.out.contains("by network team"),
        "{shown:?}"
    );
    let all = program(&config, &["contain", "list"]);
    assert_eq!(all.out.lines().count(), 5, "{}", all.out);
    assert!(all.out.contains("open"));
    let none = program(&config, &["contain", "list", "--safe-to-restore"]);
    assert!(none.out.contains("nobody may be let in again yet"));
    assert_eq!(program(&config, &["contain", "show", "nobody"]).code, 2);
}
