//! Access notices: nobody hears that they lose a channel by that channel alone, and what they read is safe to paste.

use serde_json::{Value, json};

use crate::support::flow::{Bell, Setup};
use crate::support::program::{Answer, bell as program};

const CUT: &[&str] = &[
    "access",
    "restricted",
    "--services",
    "remote access",
    "--from",
    "2026-03-02T15:00:00Z",
    "--next-update",
    "2099-07-03T16:00:00Z",
];
const INSTEAD: &[&str] = &["--instead", "You can still work inside our buildings."];
const BACK: &[&str] = &[
    "access",
    "restored",
    "--services",
    "remote access",
    "--from",
    "2026-03-04T08:00:00Z",
    "--first-steps",
    "Have your phone at hand when you first sign in.",
];
const CUT_WORDS: &str = "From 3pm on Monday 2 March you cannot use remote access from outside our buildings. This is to keep our accounts safe. You can still work inside our buildings. More news here by 5pm on Friday 3 July.";
const NEVER: &str = "We will never ask you for your password.";

/// `ann` has the role security, `ben` is an approver, `cem` leads the incident.
async fn office() -> Bell {
    let more = "[[operator]]\nname = \"cem\"\nroles = [\"incident_lead\"]\n".to_owned();
    Bell::with(Setup {
        more,
        ..Setup::default()
    })
    .await
}

fn say(bell: &Bell, arguments: &[&[&str]]) -> Answer {
    program(&bell.path("bell.toml"), &arguments.concat())
}

/// Who did what, with which particulars.
async fn ledger(bell: &Bell) -> Vec<(String, String, Value)> {
    bell.rows("SELECT actor, act, detail FROM ledger WHERE act LIKE 'access.%' ORDER BY id")
        .await
        .into_iter()
        .map(|row| {
            let detail = serde_json::from_str(&row[2]).unwrap();
            (row[0].clone(), row[1].clone(), detail)
        })
        .collect()
}

#[tokio::test]
async fn staff_are_told_on_a_channel_that_survives_and_the_ledger_has_it() {
    let bell = office().await;
    let told = ["--where", "chat", "--where", "intranet", "--cuts", "mail"];
    let answer = say(&bell, &[CUT, INSTEAD, &told, &["--as", "cem"]]);
    assert_eq!(answer.code, 0, "{answer:?}");
    // Chat and intranet read the same, so it is there once, on a line of its own.
    assert_eq!(
        answer.out.lines().filter(|line| *line == CUT_WORDS).count(),
        1,
        "{answer:?}"
    );
    for channel in ["-- chat: the staff chat", "-- intranet: "] {
        assert!(answer.out.contains(channel), "{answer:?}");
    }
    let answer = say(&bell, &[BACK, &["--where", "mail", "--where", "chat"]]);
    assert_eq!(answer.code, 0, "{answer:?}");
    let back = "From 8am on Wednesday 4 March you can use remote access from outside our buildings again. Have your phone at hand when you first sign in. If something looks wrong, tell Digital Security Team.";
    assert!(answer.out.contains(back), "{answer:?}");
    assert_eq!(
        ledger(&bell).await,
        [
            (
                "cem".to_owned(),
                "access.restricted".to_owned(),
                json!({
                    "channels": ["chat", "intranet"], "cut": ["mail"], "from": "2026-03-02T15:00:00Z",
                    "next_update": "2099-07-03T16:00:00Z", "override_reason": null,
                })
            ),
            (
                "ann".to_owned(),
                "access.restored".to_owned(),
                json!({
                    "channels": ["mail", "chat"], "cut": [], "from": "2026-03-04T08:00:00Z",
                    "next_update": null, "override_reason": null,
                })
            ),
        ]
    );
    bell.books().await;
}

#[tokio::test]
async fn what_comes_to_a_person_promises_never_to_ask_and_a_mail_says_how_to_check_it() {
    let bell = office().await;
    let told = [
        "--where", "notice", "--where", "sms", "--where", "mail", "--cuts", "mail",
    ];
    let answer = say(&bell, &[&["--json"], CUT, INSTEAD, &told]);
    assert_eq!(answer.code, 0, "{answer:?}");
    let json: Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!(
        json["posts"],
        json!([
            { "channel": "mail", "text": format!("{CUT_WORDS}\n\nTo check that this is real, go to the staff home page, open Security notices. {NEVER}") },
            { "channel": "sms", "text": format!("{CUT_WORDS} {NEVER}") },
            { "channel": "notice", "text": CUT_WORDS },
        ])
    );
    assert_eq!(json["change"], "restricted");
    assert_eq!(json["cut"], json!(["mail"]));
}

#[tokio::test]
async fn a_notice_on_too_few_channels_is_refused_until_somebody_answers_for_it() {
    let bell = office().await;
    let (mail, chat) = (["--where", "mail"], ["--where", "chat"]);
    let cut = ["--cuts", "mail", "--cuts", "chat"];
    let over = |reason| ["--override", "--reason", reason];
    for (arguments, said) in [
        (vec![CUT, INSTEAD, &chat], "here is only chat: add mail or "),
        (vec![CUT, INSTEAD, &chat, &chat], "here is only chat"),
        (
            vec![CUT, INSTEAD, &mail, &chat, &cut],
            "mail and chat are cut with it: add intranet or sms or notice",
        ),
        (vec![BACK, &chat], "here is only chat"),
        (vec![CUT, INSTEAD, &mail, &cut, &over(" ")], "says why"),
        (
            vec![CUT, INSTEAD, &mail, &cut, &over("x"), &["--as", "ben"]],
            "incident_lead or security",
        ),
        (
            vec![CUT, INSTEAD, &mail, &chat, &["--as", "ben"]],
            "incident_lead or security",
        ),
    ] {
        let answer = say(&bell, &arguments);
        assert_eq!(answer.code, 2, "{arguments:?}: {answer:?}");
        assert!(
            answer.err.contains(said) && answer.err.contains("rule 3.10"),
            "{arguments:?}: {answer:?}"
        );
        assert_eq!(answer.out, "", "{arguments:?}");
    }
    // Without a reason, or for what is back, there is no override at all.
    for arguments in [
        vec![CUT, INSTEAD, &mail, &["--override"]],
        vec![CUT, INSTEAD, &mail, &["--reason", "x"]],
        vec![BACK, &mail, &over("x")],
        vec![CUT, INSTEAD, &["--where", "pigeon"]],
        vec![CUT, INSTEAD],
    ] {
        assert_eq!(say(&bell, &arguments).code, 2, "{arguments:?}");
    }
    assert_eq!(ledger(&bell).await, []);

    let reason = "the chat is down, and nobody can print";
    let answer = say(&bell, &[CUT, INSTEAD, &mail, &cut, &over(reason)]);
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(answer.out.contains(CUT_WORDS), "{answer:?}");
    let [(who, act, detail)] = &ledger(&bell).await[..] else {
        panic!("one row, for the notice that went")
    };
    assert_eq!((who.as_str(), act.as_str()), ("ann", "access.restricted"));
    assert_eq!(detail["override_reason"], reason);
    assert_eq!(detail["channels"], json!(["mail"]));
    assert_eq!(detail["cut"], json!(["mail", "chat"]));
}

#[tokio::test]
async fn words_that_could_be_phishing_are_refused_and_not_repeated() {
    let bell = office().await;
    let told = ["--where", "chat", "--where", "intranet"];
    for hostile in [
        "Use the new portal at https://portal.example/login.",
        "Go to portal.example and sign in.",
        "Write to helpdesk@parl.example.",
        "Call 020 7946 0000.",
        "Use the\u{1b}[2Jportal.",
        "Use the portal.\nAnd more.",
        "Use the \u{202e}latrop.",
        "Use {{ org }}.",
        "Click on the pop-up.",
        "Sign in now!",
        "COME TO THE OFFICE.",
        "We have seen no sign of harm.",
        "Interdepartmental infrastructure modernisation necessitates organisational participation.",
        "no full stop",
        "",
    ] {
        let answer = say(&bell, &[CUT, &told, &["--instead", hostile]]);
        assert_eq!(answer.code, 2, "{hostile:?}: {answer:?}");
        assert!(
            answer.err.contains("access notice"),
            "{hostile:?}: {answer:?}"
        );
        assert_eq!(answer.out, "", "{hostile:?}");
        let quoted = !hostile.is_empty() && answer.err.contains(hostile);
        assert!(!quoted, "{answer:?}");
    }
    let mut late = CUT.to_vec();
    late[7] = "2026-03-02T15:00:00Z";
    let answer = say(&bell, &[&late, INSTEAD, &told]);
    assert_eq!(answer.code, 2, "{answer:?}");
    assert!(answer.err.contains("has passed"), "{answer:?}");
    assert_eq!(ledger(&bell).await, []);
}

#[tokio::test]
async fn the_full_letter_is_a_message_that_a_mail_system_takes() {
    let bell = office().await;
    let file = bell.path("cut.eml");
    let shown = file.display().to_string();
    let letter = [
        "--letter",
        &shown,
        "--who",
        "all staff who work from home",
        "--why",
        "Someone is trying to get in to our accounts.",
        "--reference",
        "DB-2603",
    ];
    let where_to = ["--where", "mail", "--where", "chat", "--cuts", "mail"];
    let said = say(&bell, &[CUT, INSTEAD, &where_to, &letter]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.out.contains("the full letter for mail is in"),
        "{}",
        said.out
    );
    let bytes = std::fs::read(&file).unwrap();
    let message = mail_parser::MessageParser::default().parse(&bytes).unwrap();
    assert_eq!(
        message.subject(),
        Some("Security notice DB-2603: no remote access off site")
    );
    let text = message.body_text(0).unwrap();
    for words in [
        "From 3pm on Monday 2 March you cannot use remote access from outside our buildings. This affects all staff who work from home.",
        "Someone is trying to get in to our accounts. We have done this to keep our accounts safe.",
        "You can still work inside our buildings.",
        "We will send news by 5pm on Friday 3 July, even if nothing has changed.",
        NEVER,
    ] {
        assert!(
            text.replace(" \r\n", " ")
                .replace(" \n", " ")
                .contains(words),
            "{words}: {text}"
        );
    }
    assert_eq!(
        message
            .header("Auto-Submitted")
            .and_then(|value| value.as_text()),
        Some("auto-generated")
    );

    let back = bell.path("back.eml").display().to_string();
    let letter = [
        "--letter",
        &back,
        "--who",
        "all staff",
        "--reference",
        "DB-2603",
    ];
    let said = say(
        &bell,
        &[BACK, &["--where", "mail", "--where", "chat"], &letter],
    );
    assert_eq!(said.code, 0, "{}", said.err);
    let bytes = std::fs::read_to_string(bell.path("back.eml")).unwrap();
    assert!(
        bytes.contains("Subject: Security notice DB-2603: remote access off site is back"),
        "{bytes}"
    );
    let acts: Vec<Value> = ledger(&bell)
        .await
        .into_iter()
        .map(|(.., detail)| detail["letter"].clone())
        .collect();
    assert_eq!(acts, [json!(true), json!(true)]);
}

#[tokio::test]
async fn a_letter_goes_by_mail_or_not_at_all_and_keeps_the_rules() {
    let bell = office().await;
    let file = bell.path("cut.eml").display().to_string();
    let letter = [
        "--letter",
        &file,
        "--who",
        "all staff",
        "--reference",
        "DB-2603",
    ];
    let said = say(
        &bell,
        &[
            CUT,
            INSTEAD,
            &["--where", "sms", "--where", "chat"],
            &letter,
        ],
    );
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(
        said.err.contains("add mail to the channels"),
        "{}",
        said.err
    );
    let why = ["--why", "Go to www.example.org now."];
    let said = say(
        &bell,
        &[
            CUT,
            INSTEAD,
            &["--where", "mail", "--where", "chat"],
            &letter,
            &why,
        ],
    );
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(!bell.path("cut.eml").exists());
    assert!(ledger(&bell).await.is_empty());
}
