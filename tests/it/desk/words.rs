//! `bell statement` and `bell incident`, said on the command line.

use serde_json::Value;

use division_bell::clock::Clock;
use division_bell::domain::Moment;

use crate::support::flow::{Bell, Setup, directory, five};
use crate::support::program::{Answer, bell as program};

const FULL: &str = "We know that somebody tried to get in. We do not know yet who. We are looking. Please wait. More by {{ next_update }}.";

async fn office() -> Bell {
    let bell = Bell::with(Setup {
        more: "[[operator]]\nname = \"sol\"\nroles = [\"security\"]\n".to_owned(),
        start: Clock::System.now(),
        ..Setup::default()
    })
    .await;
    bell.write("in/directory.csv", directory(&five()));
    bell
}

fn later(hours: i64) -> String {
    let at: Moment = Clock::System.now();
    at.plus(chrono::TimeDelta::hours(hours)).to_string()
}

#[tokio::test]
async fn a_statement_goes_all_its_way_by_commands_with_words_and_json() {
    let bell = office().await;
    let config = bell.path("bell.toml");
    let say = |arguments: &[&str], code: i32| -> Answer {
        let answer = program(&config, arguments);
        assert_eq!(answer.code, code, "{arguments:?}: {answer:?}");
        answer
    };
    say(&["people", "sync"], 0);
    let next = later(6);
    say(&["incident", "open", "Sign-in trouble"], 0);
    say(&["incident", "promise", "1", "--at", &next], 0);
    say(
        &["incident", "promise", "1", "--at", "2020-01-01T00:00:00Z"],
        2,
    );
    let draft = [
        "statement",
        "draft",
        "--incident",
        "1",
        "--for",
        "press",
        "--text",
    ];
    let file = bell.path("text.txt");
    std::fs::write(&file, FULL).unwrap();
    let answer = say(&[&draft[..], &["Ask Bea Bright."]].concat(), 0);
    assert!(
        answer
            .out
            .starts_with("statement 1: statement for press, incident 1, draft"),
        "{answer:?}"
    );
    let shown = say(&["statement", "preview", "1"], 1);
    assert!(
        shown.out.contains("guard: a person's name at character 5"),
        "{shown:?}"
    );
    assert!(shown.out.contains("open: what we know"), "{shown:?}");
    say(
        &["statement", "edit", "1", "--file", file.to_str().unwrap()],
        0,
    );
    let shown = say(&["--json", "statement", "preview", "1"], 0);
    let json: Value = serde_json::from_str(&shown.out).unwrap();
    let hash = json["hash"].as_str().unwrap();
    assert_eq!(json["findings"], Value::Array(Vec::new()));
    let no = say(&["statement", "approve", "1", "--seen", hash], 2);
    assert!(
        no.err
            .contains("sorry, to approve statements takes the role approver"),
        "{no:?}"
    );
    let seen = ["--as", "ben", "statement", "approve", "1", "--seen", hash];
    say(&seen, 0);
    let soon = later(1);
    say(&["statement", "schedule", "1", "--at", &soon], 0);
    let list = say(&["statement", "list"], 0);
    assert!(
        list.out
            .contains("scheduled, version 2 by ann, approved by ben, out at "),
        "{list:?}"
    );
    say(&["statement", "cancel", "1"], 0);
    say(&["statement", "publish", "1"], 0);
    say(&["statement", "publish", "1"], 2);
    say(
        &["statement", "correct", "1", "--text", "That was not right."],
        0,
    );
    say(
        &[
            "--as",
            "ben",
            "statement",
            "send-back",
            "2",
            "--reason",
            "say what",
        ],
        0,
    );
    let nudges = say(&["statement", "nudges", "--done"], 0);
    assert!(
        nudges.out.contains("statement 2 was sent back: say what"),
        "{nudges:?}"
    );
    let nudges = say(&["statement", "nudges"], 0);
    assert_eq!(nudges.out.trim(), "nothing waits for you");
    say(&["statement", "withdraw", "1", "--text", "x"], 2);
    say(&["statement", "show", "9"], 2);
    let history = say(&["statement", "history", "1"], 0);
    assert!(history.out.contains("version 2 by ann"), "{history:?}");
    assert!(history.out.contains("statement.published"), "{history:?}");

    let none = say(&["incident", "clock"], 0);
    assert!(none.out.contains("no clock runs"), "{none:?}");
    say(&["incident", "aware", "1", "--at", &later(-80)], 1);
    let late = say(&["incident", "clock"], 1);
    assert!(late.out.contains("LATE by 8 h"), "{late:?}");
    let not = [
        "incident",
        "decide",
        "1",
        "uk_gdpr",
        "--not-reported",
        "--reason",
        "no risk",
        "--deputy",
    ];
    say(&[&not[..], &["ann"]].concat(), 2);
    let decided = say(&[&not[..], &["sol"]].concat(), 0);
    assert!(decided.out.contains("not to be reported"), "{decided:?}");
    let partner = [
        "incident",
        "partner",
        "add",
        "1",
        "NCSC",
        "--contact",
        "duty desk",
        "--wording",
        "They help.",
    ];
    say(&partner, 0);
    say(
        &[
            "incident",
            "partner",
            "clear",
            "1",
            "--with",
            "press office",
        ],
        0,
    );
    let listed = say(&["incident", "partner", "list", "1"], 0);
    assert!(listed.out.contains("cleared "), "{listed:?}");
    say(
        &[
            "incident",
            "partner",
            "edit",
            "1",
            "--wording",
            "They lead.",
        ],
        0,
    );
    let log = say(&["incident", "log", "1"], 0);
    for word in [
        "INC-",
        "NOT cleared",
        "partner.cleared",
        "statement.published",
        "desk.refused",
        "duty.not_reported",
    ] {
        assert!(log.out.contains(word), "{word}: {log:?}");
    }
    let help = say(&["statement", "--help"], 0);
    assert!(help.out.contains("The way of a statement:"), "{help:?}");
}
