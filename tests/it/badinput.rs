//! Bad input: configs, audits and listings that are broken, huge, changing or hostile.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use division_bell::messages::Messages;
use division_bell::steps::notify::notify;
use division_bell::steps::people;
use division_bell::store::{Store, StoreError};

use crate::support::flow::{Bell, Setup, Staff, databases, five, sample, staff};
use crate::support::program::{bell, command};
use crate::support::seen;

#[tokio::test]
async fn everything_that_is_wrong_with_a_config_is_said_at_once_with_its_line() {
    let right = Bell::new().await;
    let text = right
        .text
        .replace(
            "time_zone = \"Europe/London\"",
            "time_zone = \"Europe/Lodnon\"",
        )
        .replace(
            "from_address = \"security@parl.example\"",
            "from_adress = \"security@parl.example\"",
        )
        .replace("roles = [\"approver\"]", "roles = [\"aprover\"]");
    let file = right.write("wrong.toml", &text);
    for arguments in [&["plan"][..], &["check"], &["serve"], &["--json", "plan"]] {
        let answer = bell(&file, arguments);
        assert_eq!(answer.code, 2, "{answer:?}");
        for (what, line) in [
            ("Lodnon", "Europe/Lodnon"),
            ("from_adress", "from_adress"),
            ("aprover", "aprover"),
        ] {
            let nth = 1 + text.lines().position(|own| own.contains(line)).unwrap();
            let said = answer
                .err
                .lines()
                .any(|own| own.contains(what) && own.contains(&format!("wrong.toml:{nth}:")));
            assert!(said, "{what} on line {nth} is not in {}", answer.err);
        }
    }
    for (name, bytes) in [
        ("empty.toml", &b""[..]),
        ("latin.toml", b"name = \"M\xFCller\""),
        ("broken.toml", b"[organisation\nname = "),
    ] {
        let file = right.write(name, bytes);
        let answer = bell(&file, &["plan"]);
        assert_eq!(answer.code, 2, "{name}: {answer:?}");
        assert!(answer.err.contains(name), "{answer:?}");
    }
    let answer = bell(&right.path("nowhere.toml"), &["plan"]);
    assert_eq!(answer.code, 2, "{answer:?}");
    let answer = bell(&right.path("in"), &["plan"]);
    assert_eq!(answer.code, 2, "{answer:?}");
    assert!(answer.err.contains("folder"), "{answer:?}");
}

#[tokio::test]
async fn a_file_that_is_none_of_ours_is_refused_by_its_name_and_takes_nothing_in() {
    let own = Bell::new().await;
    people::sync(&own.app, None, false, "ann").await.unwrap();
    let before = own.content().await;
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty.csv", Vec::new()),
        ("blank.csv", b"\n\n \n".to_vec()),
        (
            "packed.csv.gz",
            b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03abc".to_vec(),
        ),
        (
            "page.csv",
            b"<!DOCTYPE html><html><body>Sign in</body></html>".to_vec(),
        ),
        (
            "sixteen.csv",
            "account,verdict\n"
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect(),
        ),
        (
            "prose.txt",
            b"Dear all,\nplease find the audit attached.\n".to_vec(),
        ),
    ];
    for (name, bytes) in cases {
        let file = own.write(&format!("in/{name}"), bytes);
        let answer = bell(&own.path("bell.toml"), &["intake", file.to_str().unwrap()]);
        assert_eq!(answer.code, 1, "{name}: {answer:?}");
        assert!(answer.err.contains(name), "{name}: {answer:?}");
        assert_eq!(answer.err.lines().count(), 1, "{name}: {answer:?}");
        assert!(own.content().await == before, "{name}");
    }
    for name in ["in", "in/nowhere.csv"] {
        let answer = bell(
            &own.path("bell.toml"),
            &["intake", own.path(name).to_str().unwrap()],
        );
        assert_eq!(answer.code, 1, "{name}: {answer:?}");
        assert!(answer.err.contains(name), "{name}: {answer:?}");
    }
    for name in [
        "in/empty.csv",
        "in/page.csv",
        "in/packed.csv.gz",
        "in",
        "in/nowhere.csv",
    ] {
        for arguments in [&["people", "sync"][..], &["confirm"]] {
            let path = own.path(name);
            let answer = bell(
                &own.path("bell.toml"),
                &[arguments, &[path.to_str().unwrap()]].concat(),
            );
            assert_eq!(answer.code, 1, "{arguments:?} {name}: {answer:?}");
            assert!(
                answer.err.contains(name),
                "{arguments:?} {name}: {answer:?}"
            );
        }
    }
    assert!(own.content().await == before);
}

/// The most memory that a process ever held, in KiB; none once it is gone.
fn most_memory(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[tokio::test]
async fn a_file_of_two_gigabytes_is_refused_in_little_memory() {
    let own = Bell::new().await;
    own.people(&five()).await;
    for (name, head, source) in [
        (
            "huge.csv",
            "account,verdict,as_of,name\nPARL\\abaraa,weak,2026-03-01T02:00:00Z,",
            "own",
        ),
        (
            "huge.txt",
            "PARL\\abaraa:8846f7eaee8fb117ad06bdd830b7586c:",
            "hashcat",
        ),
    ] {
        let path = own.write(&format!("in/{name}"), head);
        std::fs::File::options()
            .append(true)
            .open(&path)
            .unwrap()
            .set_len(2 << 30)
            .unwrap();
        let mut child = command()
            .arg("--config")
            .arg(own.path("bell.toml"))
            .args(["intake", path.to_str().unwrap(), "--source", source])
            .args([
                "--format",
                if source == "own" {
                    "mapped_csv"
                } else {
                    "hashcat_show"
                },
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut most = 0;
        let until = std::time::Instant::now() + Duration::from_secs(90);
        let status = loop {
            most = most_memory(child.id()).unwrap_or(0).max(most);
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(std::time::Instant::now() < until, "{name} takes too long");
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        assert_eq!((status.code(), status.signal()), (Some(1), None), "{name}");
        assert!((1..100_000).contains(&most), "{name} took {most} KiB");
        assert_eq!(own.count("SELECT COUNT(*) FROM audits").await, 0);
    }
}

#[tokio::test]
async fn a_file_that_changes_between_its_two_readings_is_not_taken_in() {
    let own = Bell::new().await;
    own.people(&five()).await;
    let file = own.audit_file("first", &[("abaraa", "weak", "2026-03-01T02:00:00Z")]);
    let Store::Sqlite(pool) = &own.app.store else {
        unreachable!()
    };
    let held = || pool.size() as usize - pool.num_idle();
    seen("nobody to use the database", || (held() == 0).then_some(())).await;
    // Somebody else writes just now, so that the step waits between its readings.
    let other = own.app.store.begin().await.unwrap();
    let app = Arc::clone(&own.app);
    let path = file.clone();
    let taking = tokio::spawn(async move {
        let options = division_bell::steps::intake::Options {
            source: Some("own".to_owned()),
            ..Default::default()
        };
        division_bell::steps::intake::intake(&app, &path, &options, "ann").await
    });
    seen("the step to wait for its turn", || {
        (held() >= 2).then_some(())
    })
    .await;
    own.audit_file(
        "first",
        &[
            ("abaraa", "weak", "2026-03-01T02:00:00Z"),
            ("brightb", "weak", "2026-03-01T02:00:00Z"),
        ],
    );
    drop(other);
    let refused = format!("{:#}", taking.await.unwrap().unwrap_err());
    assert!(refused.contains("changed while it was read"), "{refused}");
    assert_eq!(own.count("SELECT COUNT(*) FROM findings").await, 0);
    assert_eq!(own.intake(&file, "own").await.unwrap().opened, 2);
}

#[tokio::test]
async fn hostile_names_end_in_harmless_letters() {
    let hostile = [
        "Ada\r\nBcc: everybody@parl.example\r\n\r\nClick here",
        "\u{202e}egaP nI-ngiS\u{202c} Ada",
        "{{ 7*7 }}{% for x in range(9) %}x{% endfor %}",
        "<script>alert(1)</script><img src=x onerror=y>",
        "Ada \"; DROP TABLE persons; --",
        "=HYPERLINK(\"http://203.0.113.7/\")",
        "https://evil.example/sign-in",
        "\u{1b}[31mAda\u{7}",
        "evil@evil.example",
    ];
    let long = "Ada ".repeat(2_500);
    for store in databases().await {
        let own = Bell::on(store).await;
        let mut all: Vec<Staff> = hostile
            .iter()
            .copied()
            .chain([long.as_str()])
            .enumerate()
            .map(|(nth, name)| Staff {
                department: name.to_owned(),
                ..staff(
                    &format!("user{nth}"),
                    &format!("user{nth}@parl.example"),
                    name,
                )
            })
            .collect();
        all.push(Staff {
            owner: "user0@parl.example".to_owned(),
            kind: "service",
            mail: String::new(),
            ..staff("svc", "", hostile[0])
        });
        let synced = own.people(&all).await;
        assert!(synced.counts.listed >= 10, "{synced}");
        let sams: Vec<String> = all.iter().map(|one| one.sam.clone()).collect();
        let lines: Vec<(&str, &str, &str)> = sams
            .iter()
            .map(|sam| (sam.as_str(), "weak", "2026-03-01T02:00:00Z"))
            .collect();
        own.audit("first", &lines).await;
        own.campaign().await;
        own.deliver().await;
        let letters = own.letters();
        assert!(letters.len() >= 4, "{}", letters.len());
        for letter in &letters {
            let message = mail_parser::MessageParser::default()
                .parse(&letter.bytes)
                .unwrap();
            let (text, html) = (message.body_text(0).unwrap(), message.body_html(0).unwrap());
            assert_eq!(message.to().unwrap().iter().count(), 1, "{text}");
            assert!(message.bcc().is_none(), "{text}");
            assert!(
                !text.contains("49") && !text.contains("xxxxxxxxx"),
                "{text}"
            );
            assert!(
                !html.contains("<script") && !html.contains("<img"),
                "{html}"
            );
            for bad in [
                "\u{202e}",
                "\u{1b}",
                "\u{7}",
                "\u{0}",
                "https://",
                "http://",
                "evil.example",
            ] {
                assert!(
                    !text.contains(bad) && !html.contains(bad),
                    "{bad:?} in {text}"
                );
            }
            assert!(text.lines().all(|line| line.len() < 1_000));
        }
        // Whoever cannot be written to is somebody's work.
        let told = letters.len() as i64;
        let work = own
            .count("SELECT COUNT(DISTINCT case_id) FROM tasks WHERE kind = 'reach'")
            .await;
        let cases = own
            .count("SELECT COUNT(DISTINCT person_id) FROM cases")
            .await;
        assert!(
            told + work >= cases,
            "{told} told, {work} to reach, of {cases}"
        );
        own.books().await;
    }
}

#[tokio::test]
async fn hostile_lines_of_an_audit_are_findings_or_rejects_on_both_databases() {
    for store in databases().await {
        let own = Bell::on(store).await;
        own.people(&five()).await;
        let mut text = b"account,verdict,as_of,name\n".to_vec();
        let bad: [&[u8]; 8] = [
            b"PARL\\ab\x1Baraa",
            b"PARL\\'; DROP TABLE cases; --",
            b"{{ 7*7 }}@parl.example",
            b"\xF0\x9F\x94\x94@parl.example",
            b"\xFF\xFE",
            b"PARL\\\xE2\x80\xAEaraba",
            b"=cmd|' /C calc'!A0",
            b"\"PARL\\line\nbreak\"",
        ];
        for cell in bad {
            text.extend_from_slice(cell);
            text.extend_from_slice(b",weak,2026-03-01T02:00:00Z,x\n");
        }
        let good = 40;
        for _ in 0..good {
            text.extend_from_slice(b"PARL\\abaraa,weak,2026-03-01T02:00:00Z,x\n");
        }
        let file = own.write("in/hostile.csv", &text);
        let taken = own.intake(&file, "own").await.unwrap();
        assert_eq!(taken.opened, 1, "{taken:?}");
        assert_eq!(taken.counts.records, good + bad.len() as u64, "{taken:?}");
        let skipped: u64 = taken.skipped.values().sum();
        assert_eq!(
            taken.counts.findings + taken.counts.rejected + skipped,
            taken.counts.records,
            "{taken:?}"
        );
        own.books().await;
    }
}

#[tokio::test]
async fn zero_bytes_are_refused_before_a_database_sees_them() {
    for store in databases().await {
        let own = Bell::on(store).await;
        own.people(&five()).await;
        own.evidence(&[("abaraa", "2025-03-01T03:00:00Z", false)])
            .await;
        let before = own.content().await;
        let mut all = five();
        all[0].department = "Li\u{0}brary".to_owned();
        let listing = own.write("in/zero-people.csv", crate::support::flow::directory(&all));
        let evidence = own.write(
            "in/zero-evidence.csv",
            "account,changed_at\nPARL\\co\0xc,2026-03-01T03:00:00Z\n",
        );
        let early = own.audit_file(
            "zero-early",
            &[("ab\0araa", "weak", "2026-03-01T02:00:00Z")],
        );
        // Beyond what is looked at to see what a file is.
        let mut lines = vec![("abaraa", "weak", "2026-03-01T02:00:00Z"); 3_000];
        lines.push(("ab\0araa", "weak", "2026-03-01T02:00:00Z"));
        let late = own.audit_file("zero-late", &lines);
        let (listing, evidence) = (
            people::sync(&own.app, Some(&listing), true, "ann")
                .await
                .map(|_| ()),
            division_bell::steps::confirm::confirm(&own.app, Some(&evidence), None)
                .await
                .map(|_| ()),
        );
        for refused in [
            listing,
            evidence,
            own.intake(&early, "own").await.map(|_| ()),
        ] {
            let refused = refused.unwrap_err();
            assert!(
                !refused.chain().any(|cause| cause.is::<StoreError>()),
                "{refused:#}"
            );
        }
        assert!(own.content().await == before);
        let escaped = own.write(
            "in/escaped.json",
            r#"{"ab\u0000c": ["ExampleForum"], "ada.abara": ["Exa\u0000mple"]}"#,
        );
        let taken = own.intake(&escaped, "hibp").await.unwrap();
        assert_eq!(
            (taken.counts.rejected, taken.counts.findings),
            (2, 0),
            "{taken:?}"
        );
        let jsonl = own.write(
            "in/escaped.jsonl",
            "{\"account\":\"PARL\\\\co\\u0000xc\",\"changed_at\":\"2026-03-01T03:00:00Z\"}\n",
        );
        let confirmed = division_bell::steps::confirm::confirm(&own.app, Some(&jsonl), None)
            .await
            .unwrap();
        assert_eq!(confirmed.entries, 1, "{confirmed:?}");
        if let Err(refused) = own.intake(&late, "own").await {
            assert!(
                !refused.chain().any(|cause| cause.is::<StoreError>()),
                "{refused:#}"
            );
        }
    }
}

#[tokio::test]
async fn a_file_that_was_cut_off_says_so_and_proves_nothing_about_those_it_does_not_list() {
    let own = Bell::new().await;
    people::sync(&own.app, None, false, "ann").await.unwrap();
    let whole = std::fs::read(sample("hibp-breacheddomain.json")).unwrap();
    let file = own.write("in/cut.json", &whole[..whole.len() / 2]);
    let answer = bell(&own.path("bell.toml"), &["intake", file.to_str().unwrap()]);
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(
        answer.out.contains("the file ends inside this line"),
        "{answer:?}"
    );
    own.books().await;
}

#[tokio::test]
async fn a_text_that_fails_for_one_person_stops_the_campaign_with_nobody_told() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("email/notice.weak/en-GB");
    std::fs::create_dir_all(&folder).unwrap();
    let built_in = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("messages/email/notice.weak/en-GB/body.txt");
    let body = std::fs::read_to_string(built_in).unwrap();
    // Every sample passes it.
    let trap = body.replacen(
        "Dear {{ full_name }},",
        "Dear {{ full_name }}{% if full_name == \"Bea Bright\" %}{{ 1 // 0 }}{% endif %},",
        1,
    );
    assert_ne!(trap, body);
    std::fs::write(folder.join("body.txt"), trap).unwrap();

    let own = Bell::with(Setup::default()).await;
    own.people(&five()).await;
    own.audit("earlier", &[("ekwuemee", "weak", "2026-03-01T02:00:00Z")])
        .await;
    own.campaign().await;
    own.deliver().await;
    // A reminder of the earlier campaign is due as well.
    own.at("2026-03-06T12:00:00Z");
    own.audit(
        "first",
        &[
            ("abaraa", "weak", "2026-03-01T02:00:00Z"),
            ("brightb", "weak", "2026-03-01T02:00:00Z"),
            ("coxc", "breached", "2026-03-01T02:00:00Z"),
        ],
    )
    .await;
    let Bell { app, dir: _dir, .. } = own;
    let mut app = Arc::into_inner(app).unwrap();
    app.letters.messages = Messages::load(Some(dir.path())).unwrap();
    let app = Arc::new(app);
    let draft = division_bell::steps::plan::draft(&app, "ann")
        .await
        .unwrap()
        .unwrap();
    division_bell::steps::campaign::approve(&app, draft.id, "ben")
        .await
        .unwrap();
    let places = &app.config.campaign.announce_where;
    division_bell::steps::heads_up::announced(&app, draft.id, places, None, "ann")
        .await
        .unwrap();
    for _ in 0..2 {
        let refused = format!("{:#}", notify(&app).await.unwrap_err());
        assert!(
            refused.contains("body.txt") && refused.contains("nobody was told"),
            "{refused}"
        );
        assert!(!refused.contains("Bea"), "{refused}");
    }
    let queued =
        crate::support::flow::rows(&app.store, "SELECT kind FROM deliveries ORDER BY id").await;
    assert_eq!(queued, [["notice.weak"], ["reminder.1"]]);
}
