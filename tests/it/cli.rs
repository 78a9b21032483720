//! The command line: help, exit codes, JSON, and the first steps of a newcomer.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use chrono::TimeDelta;
use division_bell::clock::Clock;
use serde_json::Value;

use crate::support::flow::{ALWAYS, Bell, Setup, five};
use crate::support::program::{bell, command, run};

/// Every command that there is.
const COMMANDS: &[&[&str]] = &[
    &["demo"],
    &["init"],
    &["check"],
    &["serve"],
    &["people", "sync"],
    &["people", "list"],
    &["people", "show"],
    &["people", "erase"],
    &["people", "export"],
    &["people", "hold"],
    &["purge"],
    &["audits", "list"],
    &["audits", "show"],
    &["audits", "fetch"],
    &["audits", "unmatched"],
    &["audits", "bind"],
    &["intake"],
    &["plan"],
    &["campaign", "draft"],
    &["campaign", "list"],
    &["campaign", "show"],
    &["campaign", "approve"],
    &["campaign", "announcement"],
    &["campaign", "announced"],
    &["campaign", "ways"],
    &["campaign", "pause"],
    &["campaign", "resume"],
    &["campaign", "stop"],
    &["notify"],
    &["deliver"],
    &["text"],
    &["letters"],
    &["inbox"],
    &["confirm"],
    &["verify"],
    &["case", "list"],
    &["case", "show"],
    &["case", "contain"],
    &["case", "told"],
    &["case", "exempt"],
    &["case", "withdraw"],
    &["tasks"],
    &["incident", "open"],
    &["incident", "state"],
    &["incident", "show"],
    &["incident", "promise"],
    &["incident", "partner"],
    &["incident", "aware"],
    &["incident", "clock"],
    &["incident", "decide"],
    &["incident", "log"],
    &["statement", "draft"],
    &["statement", "edit"],
    &["statement", "preview"],
    &["statement", "approve"],
    &["statement", "send-back"],
    &["statement", "override"],
    &["statement", "publish"],
    &["statement", "schedule"],
    &["statement", "cancel"],
    &["statement", "correct"],
    &["statement", "withdraw"],
    &["statement", "history"],
    &["statement", "list"],
    &["statement", "show"],
    &["statement", "nudges"],
    &["incident", "posts"],
    &["incident", "posted"],
    &["access", "restricted"],
    &["access", "restored"],
    &["announce"],
    &["report"],
    &["messages", "check"],
    &["messages", "preview"],
    &["backup"],
    &["restore"],
    &["epoch", "show"],
    &["epoch", "advance"],
    &["epoch", "join"],
    &["ledger", "list"],
    &["ledger", "verify"],
    &["ledger", "seal"],
    &["ledger", "export"],
    &["ledger", "key"],
    &["operator", "password"],
    &["operator", "totp"],
    &["operator", "revoke"],
    &["token", "new"],
    &["token", "list"],
    &["token", "revoke"],
    &["completions"],
    &["man"],
];

async fn newcomer() -> Bell {
    let own = Bell::with(Setup {
        more: ALWAYS.to_owned(),
        start: Clock::System.now(),
        ..Setup::default()
    })
    .await;
    own.write("in/directory.csv", crate::support::flow::directory(&five()));
    own
}

#[test]
fn help_names_every_command_and_each_has_its_own() {
    let help = run(command().arg("--help"));
    assert_eq!(help.code, 0);
    for words in COMMANDS {
        assert!(help.out.contains(words[0]), "{words:?}");
        if words.len() > 1 {
            let group = run(command().args(&words[..1]).arg("--help"));
            assert_eq!(group.code, 0);
            assert!(group.out.contains(words[1]), "{words:?}");
        }
        let own = run(command().args(*words).arg("--help"));
        assert_eq!(own.code, 0, "{words:?}");
        assert!(own.out.contains("Usage: bell"), "{words:?}: {}", own.out);
    }
    assert!(run(command().arg("--version")).out.starts_with("bell "));
}

#[test]
fn what_is_no_command_or_lacks_something_is_wrong_use() {
    for arguments in [
        &[][..],
        &["frobnicate"],
        &["intake"],
        &["plan", "--frobnicate"],
        &["campaign", "approve"],
        &["campaign", "approve", "x"],
        &["campaign", "announced", "1"],
        &["campaign", "announced", "1", "--skip"],
        &["campaign", "announced", "1", "--where", "pigeon"],
        &[
            "campaign",
            "ways",
            "1",
            "--without",
            "person",
            "--reason",
            "x",
        ],
        &["case", "contain", "1"],
        &["case", "contain", "1", "--override"],
        &["case", "told", "1"],
        &["case", "exempt", "1"],
        &["incident", "decide", "1", "uk_gdpr"],
        &["incident", "decide", "1", "uk_gdpr", "--not-reported"],
        &["statement", "draft", "--incident", "1", "--for", "staff"],
        &[
            "statement",
            "draft",
            "--incident",
            "1",
            "--for",
            "nobody",
            "--text",
            "x",
        ],
        &["statement", "correct", "1"],
        &["intake", "x", "--format", "y"],
        &["access", "restored"],
        &["incident", "posted", "1"],
        &["incident", "posted", "1", "--yes", "--no"],
        &["incident", "posted", "1", "--no", "--message", "5"],
        &["inbox", "--stdin"],
        &["inbox", "--recipient", "bounce+x@parl.example"],
    ] {
        let answer = run(command().args(arguments));
        assert_eq!(answer.code, 2, "{arguments:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_newcomer_goes_from_an_empty_config_to_the_first_letters() {
    let own = newcomer().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bell.toml");
    assert_eq!(bell(&file, &["init"]).code, 0);
    assert_eq!(
        bell(&file, &["init"]).code,
        2,
        "what is there is not replaced"
    );
    assert_eq!(bell(&file, &["init", "--force"]).code, 0);
    let answer = bell(&file, &["check", "--offline"]);
    assert_eq!(answer.code, 1, "there is work to do still: {answer:?}");
    assert!(answer.out.contains("directory.csv"), "{answer:?}");
    // Edited as it says: the directory, operators, and no more.
    std::fs::copy(
        own.path("in/directory.csv"),
        dir.path().join("directory.csv"),
    )
    .unwrap();
    let mut text = std::fs::read_to_string(&file).unwrap();
    text.push_str("\n[[operator]]\nname = \"ann\"\nroles = [\"security\"]\n[[operator]]\nname = \"ben\"\nroles = [\"approver\"]\n");
    std::fs::write(&file, text).unwrap();
    let answer = bell(&file, &["check"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    let answer = bell(&file, &["people", "sync"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(answer.out.contains("5 joined"), "{answer:?}");
}

#[tokio::test]
async fn every_command_answers_with_json_and_the_whole_flow_can_be_gone_by_hand() {
    let own = newcomer().await;
    let config = own.path("bell.toml");
    let dump = own
        .now()
        .minus(TimeDelta::days(1))
        .utc()
        .format("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    let audit = own.audit_file(
        "june",
        &[
            ("abaraa", "weak", &dump),
            ("brightb", "compromised", &dump),
            ("coxc", "weak", &dump),
        ],
    );
    let audit = audit.to_str().unwrap();
    let preview = own.path("preview");
    let letters = own.path("letters");
    let later = Clock::System.now().plus(TimeDelta::days(3)).to_string();
    let steps: Vec<(Vec<&str>, i32)> = vec![
        (vec!["check"], 0),
        (vec!["people", "sync"], 0),
        (vec!["people", "list"], 0),
        (vec!["people", "list", "--names"], 0),
        (vec!["people", "show", "1"], 0),
        (vec!["people", "show", "nobody@parl.example"], 1),
        (vec!["intake", audit, "--source", "own", "--dry-run"], 0),
        (vec!["intake", audit, "--source", "own"], 0),
        (vec!["intake", audit, "--source", "nobody"], 1),
        (vec!["plan"], 0),
        (vec!["case", "list"], 0),
        (vec!["case", "show", "1"], 0),
        (vec!["case", "show", "99"], 1),
        (
            vec![
                "case",
                "contain",
                "2",
                "--note",
                "blocked by the identity team",
            ],
            0,
        ),
        (vec!["case", "contain", "99", "--note", "x"], 1),
        (vec!["campaign", "draft"], 0),
        (vec!["campaign", "list"], 0),
        (vec!["campaign", "show", "1"], 0),
        (vec!["campaign", "approve", "1"], 1),
        (vec!["--as", "ben", "campaign", "approve", "1"], 0),
        (vec!["--as", "carla", "campaign", "stop", "1"], 2),
        (vec!["campaign", "announcement", "1"], 0),
        (vec!["campaign", "announcement", "9"], 1),
        (vec!["campaign", "announced", "1", "--where", "intranet"], 0),
        (
            vec![
                "--as",
                "ben",
                "campaign",
                "announced",
                "1",
                "--skip",
                "--reason",
                "x",
            ],
            1,
        ),
        (
            vec![
                "campaign",
                "announced",
                "1",
                "--skip",
                "--reason",
                "the chat is down",
            ],
            0,
        ),
        (
            vec!["case", "contain", "2", "--override", "--reason", "x"],
            2,
        ),
        (vec!["notify"], 0),
        (vec!["deliver"], 0),
        (vec!["text"], 1),
        (vec!["letters", "--out", letters.to_str().unwrap()], 0),
        (vec!["case", "told", "--csv", audit], 1),
        (
            vec![
                "campaign",
                "ways",
                "1",
                "--without",
                "sms",
                "--reason",
                "no contract",
            ],
            0,
        ),
        (vec!["inbox"], 0),
        (vec!["confirm"], 0),
        (vec!["tasks"], 0),
        (vec!["case", "told", "2", "--how", "by phone"], 0),
        (
            vec![
                "--as",
                "ben",
                "case",
                "exempt",
                "3",
                "--until",
                &later,
                "--reason",
                "on leave",
                "--requested-by",
                "ann",
            ],
            0,
        ),
        (
            vec![
                "case",
                "exempt",
                "3",
                "--until",
                &later,
                "--reason",
                "on leave",
                "--requested-by",
                "ann",
            ],
            2,
        ),
        (vec!["case", "withdraw", "3", "--reason", "a mistake"], 0),
        (vec!["campaign", "pause", "1", "--reason", "wait"], 0),
        (vec!["campaign", "resume", "1"], 0),
        (vec!["campaign", "stop", "1"], 0),
        (vec!["incident", "open", "Weak passwords"], 0),
        (vec!["incident", "state", "1", "contained"], 0),
        (vec!["incident", "show"], 0),
        (vec!["incident", "posts"], 0),
        (vec!["incident", "posted", "7", "--no"], 2),
        (
            vec![
                "access",
                "restored",
                "--services",
                "remote access",
                "--from",
                &later,
                "--first-steps",
                "Sign in as you always do.",
                "--where",
                "chat",
                "--where",
                "mail",
            ],
            0,
        ),
        (vec!["announce"], 1),
        (vec!["messages", "check"], 0),
        (
            vec!["messages", "preview", "--out", preview.to_str().unwrap()],
            0,
        ),
        (vec!["ledger", "list"], 0),
    ];
    let names = [
        "Ada Abara",
        "ada.abara@parl.example",
        "Bea Bright",
        "colin.cox@",
    ];
    for (arguments, code) in steps {
        let answer = bell(&config, &[&["--json"], arguments.as_slice()].concat());
        assert_eq!(answer.code, code, "{arguments:?}: {answer:?}");
        let json: Value = serde_json::from_str(&answer.out)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {answer:?}"));
        if code != 0 {
            assert_eq!(json["exit_code"], code, "{arguments:?}: {answer:?}");
            assert!(
                json["error"].as_str().is_some_and(|text| !text.is_empty()),
                "{answer:?}"
            );
        }
        if !arguments.contains(&"--names") && !arguments.contains(&"nobody@parl.example") {
            for name in names {
                assert!(
                    !answer.out.contains(name),
                    "{arguments:?}: {name} is in {}",
                    answer.out
                );
            }
        }
    }
    assert_eq!(
        own.readers(),
        ["ada.abara@parl.example", "colin.cox@parl.example"]
    );
    let seen = own
        .column("SELECT actor FROM ledger WHERE act = 'names.read'")
        .await;
    assert_eq!(seen, ["ann"], "whoever looks at names is named");
    own.books().await;
}

#[tokio::test]
async fn whoever_acts_has_to_be_an_operator() {
    let own = newcomer().await;
    let config = own.path("bell.toml");
    for (who, expected) in [("", "who are you"), ("carla", "no operator")] {
        let answer = run(command()
            .env("BELL_OPERATOR", who)
            .arg("--config")
            .arg(&config)
            .args(["people", "sync"]));
        assert_eq!(answer.code, 2, "{answer:?}");
        assert!(answer.err.contains(expected), "{answer:?}");
    }
    assert_eq!(own.count("SELECT COUNT(*) FROM persons").await, 0);
}

#[tokio::test]
async fn a_database_that_is_away_means_try_again_later() {
    let own = newcomer().await;
    let [port] = crate::support::free_ports();
    let text = own.text.replace(
        "url = \"sqlite:bell.db\"",
        &format!("url = \"postgres://bell@127.0.0.1:{port}/bell\""),
    );
    let file = own.write("away.toml", text);
    let answer = bell(&file, &["plan"]);
    assert_eq!(answer.code, 75, "{answer:?}");
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_error() {
    let own = newcomer().await;
    own.people(&five()).await;
    let mut tx = own.app.store.begin().await.unwrap();
    for nth in 0..5_000 {
        tx.note(
            own.now(),
            "ann",
            "test.noted",
            Some(&format!("thing:{nth}")),
            None,
        )
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();
    let mut child = command()
        .arg("--config")
        .arg(own.path("bell.toml"))
        .args(["ledger", "list", "--limit", "100000"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    drop(out);
    let ended = child.wait_with_output().unwrap();
    assert!(line.contains("people.synced"), "{line}");
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
}
