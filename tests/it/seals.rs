//! The sealed record: whatever somebody alters, `bell ledger verify` names it; nobody who writes waits, and nobody's row is
//! left out; what is on paper catches who rewrites everything.

use std::process::Command;
use std::time::Duration;

use division_bell::desk::incident;
use division_bell::domain::seal::Mark;
use division_bell::report::VerifyingKey;
use division_bell::steps::announce::announce;
use division_bell::steps::report::report;
use division_bell::steps::seal::{Verified, export, seal, verify, verify_export};
use division_bell::store::Store;

use crate::support::child::Start;
use crate::support::flow::{Bell, Setup, assert_names_nobody, databases, five};
use crate::support::{PATIENCE, files, program, run, run_sql};

/// A campaign with two letters, whose every row is sealed.
async fn told(store: Option<String>, more: &str) -> Bell {
    let bell = Bell::with(Setup {
        store,
        more: more.to_owned(),
        ..Setup::default()
    })
    .await;
    bell.people(&five()).await;
    let dump = "2026-03-01T02:00:00Z";
    bell.audit(
        "march",
        &[("abaraa", "weak", dump), ("brightb", "weak", dump)],
    )
    .await;
    bell.campaign().await;
    bell.deliver().await;
    seal(&bell.app).await.unwrap();
    bell
}

async fn verified(bell: &Bell) -> Verified {
    verify(&bell.app.store, None, None).await.unwrap()
}

async fn breaks(bell: &Bell) -> Vec<String> {
    let verified = verified(bell).await;
    verified.breaks.iter().map(ToString::to_string).collect()
}

/// Past all that keeps honest hands off: whoever owns a database can do this.
async fn unlock(bell: &Bell, table: &str) {
    match &bell.app.store {
        Store::Sqlite(_) => {
            let names = format!(
                "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = '{table}'"
            );
            for name in bell.column(&names).await {
                sql(bell, &format!("DROP TRIGGER {name}")).await;
            }
        }
        Store::Postgres(_) => sql(bell, &format!("ALTER TABLE {table} DISABLE TRIGGER USER")).await,
    }
}

async fn sql(bell: &Bell, text: &str) {
    run_sql(&bell.app.store, text)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"));
}

/// Puts rows that were kept aside back into the ledger, with other numbers if `id` says so.
async fn put_back(bell: &Bell, id: &str) {
    let own_numbers = match bell.app.store {
        Store::Sqlite(_) => "",
        Store::Postgres(_) => "OVERRIDING SYSTEM VALUE",
    };
    let text = format!(
        "INSERT INTO ledger (id, at, actor, act, case_id, thing, effective_at, detail) {own_numbers}
         SELECT {id}, at, actor, act, case_id, thing, effective_at, detail FROM kept"
    );
    sql(bell, &text).await;
}

#[tokio::test]
async fn whatever_is_altered_is_found_and_named_and_nothing_else_is() {
    for store in databases().await {
        let bell = told(store, "").await;
        let whole = verified(&bell).await;
        assert!(whole.is_good() && whole.rows > 10, "{whole}");
        assert_eq!((whole.unsealed, whole.erased), (0, 0), "{whole}");
        for table in ["ledger", "audits", "templates", "seals"] {
            unlock(&bell, table).await;
        }
        let ids = bell.column("SELECT id FROM ledger ORDER BY id").await;
        let (one, two) = (&ids[1], &ids[2]);
        let with_detail = &bell
            .column("SELECT id FROM ledger WHERE detail IS NOT NULL ORDER BY id")
            .await[0];
        let template = &bell.column("SELECT MIN(id) FROM templates").await[0];
        // What is done, and how it is undone.
        let longer = |column: &str| format!("{column} = {column} || 'x'");
        let shorter =
            |column: &str| format!("{column} = SUBSTR({column}, 1, LENGTH({column}) - 1)");
        for (done, undone, expected) in [
            (
                format!("UPDATE ledger SET {} WHERE id = {one}", longer("actor")),
                format!("UPDATE ledger SET {} WHERE id = {one}", shorter("actor")),
                format!("ledger {one}: changed"),
            ),
            (
                format!(
                    "UPDATE ledger SET {} WHERE id = {with_detail}",
                    longer("detail")
                ),
                format!(
                    "UPDATE ledger SET {} WHERE id = {with_detail}",
                    shorter("detail")
                ),
                format!("ledger {with_detail}: changed"),
            ),
            (
                format!("UPDATE ledger SET at = at + 1 WHERE id = {two}"),
                format!("UPDATE ledger SET at = at - 1 WHERE id = {two}"),
                format!("ledger {two}: changed"),
            ),
            (
                format!(
                    "UPDATE templates SET {} WHERE id = {template}",
                    longer("source")
                ),
                format!(
                    "UPDATE templates SET {} WHERE id = {template}",
                    shorter("source")
                ),
                format!("templates {template}: changed"),
            ),
            (
                "UPDATE audits SET rejected = rejected + 1".to_owned(),
                "UPDATE audits SET rejected = rejected - 1".to_owned(),
                "audits 1: changed".to_owned(),
            ),
            (
                "UPDATE seals SET made_at = made_at - 1 WHERE number = 2".to_owned(),
                "UPDATE seals SET made_at = made_at + 1 WHERE number = 2".to_owned(),
                "seals 2: changed".to_owned(),
            ),
        ] {
            sql(&bell, &done).await;
            assert_eq!(breaks(&bell).await, [expected], "{done}");
            sql(&bell, &undone).await;
            assert_eq!(breaks(&bell).await, [""; 0], "{undone}");
        }

        // Taken out, put in at another place, and put back.
        sql(
            &bell,
            &format!("CREATE TABLE kept AS SELECT * FROM ledger WHERE id IN ({one}, {two})"),
        )
        .await;
        sql(
            &bell,
            &format!("DELETE FROM ledger WHERE id IN ({one}, {two})"),
        )
        .await;
        let gone = [
            format!("ledger {one}: removed"),
            format!("ledger {two}: removed"),
        ];
        assert_eq!(breaks(&bell).await, gone);
        put_back(&bell, &format!("{one} + {two} - id")).await;
        let swapped = [
            format!("ledger {one}: changed"),
            format!("ledger {two}: changed"),
        ];
        assert_eq!(breaks(&bell).await, swapped, "they have changed places");
        sql(
            &bell,
            &format!("DELETE FROM ledger WHERE id IN ({one}, {two})"),
        )
        .await;
        put_back(&bell, "id").await;
        assert_eq!(breaks(&bell).await, [""; 0]);
        put_back(&bell, "id - 1000").await;
        let (before, other) = (
            one.parse::<i64>().unwrap() - 1000,
            two.parse::<i64>().unwrap() - 1000,
        );
        let more = [
            format!("ledger {before}: inserted"),
            format!("ledger {other}: inserted"),
        ];
        assert_eq!(breaks(&bell).await, more);
        sql(&bell, "DELETE FROM ledger WHERE id < 0").await;

        sql(&bell, "DELETE FROM seals WHERE number = 1").await;
        assert_eq!(breaks(&bell).await, ["seals 1: removed"]);
    }
}

#[tokio::test]
async fn who_rewrites_everything_is_caught_by_a_seal_on_paper_and_by_the_key() {
    for store in databases().await {
        let bell = told(store, "[seals]\nkey_file = \"seals.key\"").await;
        let public = program::bell(&bell.path("bell.toml"), &["ledger", "key"]);
        assert_eq!(public.code, 0, "{}", public.err);
        let key = VerifyingKey::read(&bell.write("public.pem", &public.out)).unwrap();
        let honest = verify(&bell.app.store, Some(&key), None).await.unwrap();
        assert!(
            honest.is_good() && honest.signed == honest.seals,
            "{honest}"
        );
        let paper: Mark = honest.newest.unwrap().to_string().parse().unwrap();
        let found = verify(&bell.app.store, Some(&key), Some(&paper))
            .await
            .unwrap();
        assert_eq!(found.printed, Some(true));

        // Another key, another past, and a chain that fits it.
        unlock(&bell, "ledger").await;
        unlock(&bell, "seals").await;
        std::fs::remove_file(bell.path("seals.key")).unwrap();
        sql(&bell, "DELETE FROM seals").await;
        sql(&bell, "UPDATE ledger SET actor = 'eve' WHERE actor = 'ann'").await;
        seal(&bell.app).await.unwrap();
        let forged = verify(&bell.app.store, None, Some(&paper)).await.unwrap();
        assert_eq!(
            (forged.broken, forged.printed),
            (0, Some(false)),
            "{forged}"
        );
        assert!(!forged.is_good() && forged.to_string().contains("is not in this chain"));
        let by_key = verify(&bell.app.store, Some(&key), None).await.unwrap();
        assert_eq!(by_key.broken, by_key.seals, "{by_key}");
        assert!(
            by_key
                .to_string()
                .contains("seals 1: signed by somebody else")
        );
    }
}

#[tokio::test]
async fn a_signature_is_one_that_openssl_itself_accepts() {
    let bell = told(None, "[seals]\nkey_file = \"seals.key\"").await;
    let public = program::bell(&bell.path("bell.toml"), &["ledger", "key"]);
    let row = bell
        .rows("SELECT hash, signature FROM seals WHERE number = 1")
        .await;
    bell.write("public.pem", &public.out);
    bell.write("hash", &row[0][0]);
    let signature = data_encoding::HEXLOWER
        .decode(row[0][1].as_bytes())
        .unwrap();
    bell.write("signature", signature);
    let said = run(Command::new("openssl").current_dir(bell.path("")).args(
        "pkeyutl -verify -pubin -inkey public.pem -rawin -in hash -sigfile signature".split(' '),
    ));
    assert!(said.contains("Verified Successfully"), "{said}");
}

#[tokio::test]
async fn an_export_proves_the_same_without_the_database_and_says_nothing_about_anybody() {
    for store in databases().await {
        let bell = told(store, "").await;
        let file = bell.path("record.jsonl");
        let exported = export(&bell.app, &file).await.unwrap();
        let from_database = verified(&bell).await;
        let whole = verify_export(&file, None, exported.newest.as_ref()).unwrap();
        assert_eq!(
            (whole.rows, whole.seals, &whole.newest, whole.printed),
            (
                from_database.rows,
                from_database.seals,
                &from_database.newest,
                Some(true)
            )
        );
        assert!(whole.is_good(), "{whole}");
        let text = std::fs::read_to_string(&file).unwrap();
        assert_names_nobody(&text, &bell.names().await);
        assert!(!text.contains("\\\"category\\\""), "particulars are hidden");

        let ids = bell.column("SELECT id FROM ledger ORDER BY id").await;
        let lines: Vec<&str> = text.lines().collect();
        let at = |id: &str| {
            let row = format!("{{\"row\":\"{id},");
            let ledger = text
                .lines()
                .position(|line| line.contains("\"table\":\"ledger\""))
                .unwrap();
            ledger
                + lines[ledger..]
                    .iter()
                    .position(|line| line.starts_with(&row))
                    .unwrap()
        };
        let (one, two) = (at(&ids[1]), at(&ids[2]));
        let altered = |alter: &dyn Fn(&mut Vec<String>)| {
            let mut lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            alter(&mut lines);
            let file = bell.write("altered.jsonl", lines.join("\n"));
            let told = verify_export(&file, None, None).unwrap();
            told.breaks
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        let first = &ids[1];
        let changed = altered(&|lines| {
            lines[one] = lines[one].replace(":ann", ":eve").replace(":bell", ":hell")
        });
        assert_eq!(changed, [format!("ledger {first}: changed")]);
        let removed = altered(&|lines| drop(lines.remove(one)));
        assert_eq!(removed, [format!("ledger {first}: removed")]);
        let inserted = altered(&|lines| {
            lines.insert(two, lines[one].replace(&format!("\"{first},"), "\"-7,"))
        });
        assert!(
            inserted.contains(&"ledger -7: inserted".to_owned()),
            "{inserted:?}"
        );
        let moved = altered(&|lines| lines.swap(one, two));
        assert_eq!(moved, [format!("ledger {first}: moved to another place")]);
        // A file that was cut off is whole in itself: only the newest seal tells.
        let last = lines
            .iter()
            .rposition(|line| line.starts_with("{\"seal\""))
            .unwrap();
        let cut = bell.write("cut.jsonl", lines[..last].join("\n"));
        let short = verify_export(&cut, None, exported.newest.as_ref()).unwrap();
        assert_eq!((short.broken, short.is_good()), (0, false), "{short}");
    }
}

#[tokio::test]
async fn a_row_that_is_committed_after_a_later_one_is_sealed_with_it_and_nobody_waits() {
    for store in databases().await {
        let Some(url) = store else { continue };
        let bell = told(Some(url), "").await;
        let now = bell.now();
        let sealed_before = verified(&bell).await;
        let mut slow = bell.app.store.begin().await.unwrap();
        slow.note(now, "ann", "note.slow", None, None)
            .await
            .unwrap();
        let mut quick = bell.app.store.begin().await.unwrap();
        quick
            .note(now, "ann", "note.quick", None, None)
            .await
            .unwrap();
        quick.commit().await.unwrap();

        let app = std::sync::Arc::clone(&bell.app);
        let sealing = tokio::spawn(async move { seal(&app).await.unwrap() });
        // While it waits, others write and are not kept waiting.
        for _ in 0..5 {
            let mut other = bell.app.store.begin().await.unwrap();
            other
                .note(now, "ann", "note.other", None, None)
                .await
                .unwrap();
            tokio::time::timeout(PATIENCE, other.commit())
                .await
                .unwrap()
                .unwrap();
        }
        assert_eq!(verified(&bell).await.seals, sealed_before.seals);
        slow.commit().await.unwrap();
        let sealed = tokio::time::timeout(PATIENCE, sealing)
            .await
            .unwrap()
            .unwrap();
        assert!(sealed.rows >= 2 && sealed.waiting.is_empty(), "{sealed}");
        seal(&bell.app).await.unwrap();
        let after = verified(&bell).await;
        assert!(after.is_good() && after.unsealed == 0, "{after}");
        assert_eq!(after.rows, sealed_before.rows + 7);
    }
}

#[tokio::test]
async fn writers_and_sealers_side_by_side_leave_a_whole_chain_and_no_row_out() {
    for store in databases().await {
        let bell = Bell::on(store).await;
        let other = bell.again().await;
        let mut jobs = tokio::task::JoinSet::new();
        for writer in 0..4_u64 {
            let app = std::sync::Arc::clone(&bell.app);
            jobs.spawn(async move {
                for nth in 0..40_u64 {
                    let mut tx = app.store.begin().await.unwrap();
                    for _ in 0..5 {
                        tx.note(app.clock.now(), "ann", "note.made", None, Some("{\"n\":1}"))
                            .await
                            .unwrap();
                    }
                    // Some of them change their minds: their numbers are never there.
                    match (nth + writer) % 7 {
                        0 => tx.rollback().await.unwrap(),
                        _ => tx.commit().await.unwrap(),
                    }
                }
            });
        }
        for app in [std::sync::Arc::clone(&bell.app), other] {
            jobs.spawn(async move {
                for _ in 0..20 {
                    seal(&app).await.unwrap();
                }
            });
        }
        while let Some(done) = jobs.join_next().await {
            done.unwrap();
        }
        seal(&bell.app).await.unwrap();
        let rows = bell.count("SELECT COUNT(*) FROM ledger").await;
        let after = verified(&bell).await;
        assert!(after.is_good() && after.unsealed == 0, "{after}");
        assert_eq!(after.rows, rows.unsigned_abs());
    }
}

#[tokio::test]
async fn the_service_seals_by_itself() {
    let bell = Bell::with(Setup {
        more: "[seals]\nevery = \"1 s\"".to_owned(),
        start: division_bell::clock::Clock::System.now(),
        ..Setup::default()
    })
    .await;
    bell.people(&five()).await;
    let mut serving = Start::new(&bell, &["serve"]).run();
    let end = std::time::Instant::now() + PATIENCE;
    while bell.count("SELECT COUNT(*) FROM seals").await == 0 {
        assert!(
            !serving.is_over() && std::time::Instant::now() < end,
            "{}",
            serving.said()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    serving.kill();
    let verified = verified(&bell).await;
    assert!(verified.is_good() && verified.rows > 0, "{verified}");
}

#[tokio::test]
async fn the_newest_seal_stands_in_status_posts_and_reports_and_moves_no_post_by_itself() {
    let bell = told(None, "[discord]\nfile = \"discord\"").await;
    incident::open(&bell.app, "Attack on passwords", None, "ann")
        .await
        .unwrap();
    let mark = verified(&bell).await.newest.unwrap().to_string();
    assert_eq!(announce(&bell.app).await.unwrap().posted, 1);
    let said: String = files(&bell.path("discord"))
        .iter()
        .filter(|path| path.is_file())
        .map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned())
        .collect();
    assert!(said.contains(&format!("seal {mark}")), "{mark}: {said}");
    // A new seal alone is no news.
    seal(&bell.app).await.unwrap();
    assert_ne!(verified(&bell).await.newest.unwrap().to_string(), mark);
    let again = announce(&bell.app).await.unwrap();
    assert_eq!(
        (again.posted, again.edited, again.unchanged),
        (0, 0, 1),
        "{again}"
    );

    let now = bell.now();
    bell.advance(chrono::TimeDelta::minutes(1));
    let first = report(&bell.app, Some(now)).await.unwrap();
    let head = first.ledger.clone().unwrap().head;
    let newest = verified(&bell).await.newest.unwrap();
    assert!(head.starts_with(&newest.beginning), "{head} {newest}");
    let page = division_bell::report::render_html(&first).unwrap();
    assert!(page.contains("Newest seal of the record") && page.contains(&head));
    // As of that moment it stays the same, whatever is sealed later.
    bell.evidence(&[("abaraa", "2026-03-02T08:30:00Z", false)])
        .await;
    seal(&bell.app).await.unwrap();
    let later = report(&bell.app, Some(now)).await.unwrap();
    assert_eq!(later.ledger, first.ledger);
}

#[tokio::test]
async fn verify_says_with_its_exit_code_whether_somebody_has_to_look_and_writes_down_that_it_was_done()
 {
    let bell = told(None, "").await;
    let config = bell.path("bell.toml");
    let good = program::bell(&config, &["ledger", "verify"]);
    assert_eq!(good.code, 0, "{}{}", good.out, good.err);
    assert!(
        good.out.contains("everything is what it was"),
        "{}",
        good.out
    );
    let file = bell.path("record.jsonl");
    let exported = program::bell(&config, &["ledger", "export", file.to_str().unwrap()]);
    assert_eq!(exported.code, 0, "{}", exported.err);
    unlock(&bell, "ledger").await;
    sql(&bell, "UPDATE ledger SET actor = 'eve' WHERE id = 2").await;
    let bad = program::bell(&config, &["--json", "ledger", "verify"]);
    assert_eq!(bad.code, 1, "{}", bad.out);
    let json: serde_json::Value = serde_json::from_str(&bad.out).unwrap();
    let expected = serde_json::json!([{ "table": "ledger", "id": 2, "what": "changed" }]);
    assert_eq!(json["breaks"], expected);
    let from_file = program::bell(
        &config,
        &["ledger", "verify", "--export", file.to_str().unwrap()],
    );
    assert_eq!(from_file.code, 0, "{}", from_file.out);
    let acts = bell
        .column("SELECT actor || ' ' || act FROM ledger WHERE act LIKE 'ledger.%' ORDER BY id")
        .await;
    assert_eq!(
        acts,
        [
            "ann ledger.verified",
            "ann ledger.exported",
            "ann ledger.verified"
        ]
    );
    let wrong = program::bell(&config, &["ledger", "verify", "--seal", "nonsense"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains("118-9f2c77ab01d4e6f3"), "{}", wrong.err);

    let nightly =
        division_bell::serve::step(&bell.app, "verify", &division_bell::steps::deliver::never())
            .await
            .unwrap();
    assert!(nightly.ends_with("1 breaks"), "{nightly}");
    let alarms = bell.app.store.read().await.unwrap().alarms().await.unwrap();
    assert_eq!(alarms.len(), 1);
    assert!(alarms[0].name == "record" && alarms[0].text.contains("bell ledger verify"));
}
