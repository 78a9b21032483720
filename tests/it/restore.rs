//! Backups that are put back, and databases that are copied: nobody is told again, and nothing is said, until an operator
//! says that this is the database that speaks.

use std::sync::Arc;

use chrono::TimeDelta;
use division_bell::app::Shared;
use division_bell::clock::Clock;
use division_bell::desk::incident;
use division_bell::steps::announce::announce;
use division_bell::steps::deliver::{Delivered, deliver, never};
use division_bell::steps::{letters, notify, statements};

use crate::support::flow::{Bell, Setup, build, five};
use crate::support::{postgres, program};

const DUMP: &str = "2026-03-01T02:00:00Z";

/// Three people have been told; letters to two more are queued.
async fn in_the_middle(store: Option<String>) -> Bell {
    let bell = Bell::with(Setup {
        store,
        more: "[discord]\nfile = \"discord\"".to_owned(),
        ..Setup::default()
    })
    .await;
    bell.people(&five()).await;
    bell.audit(
        "first",
        &[
            ("abaraa", "weak", DUMP),
            ("brightb", "weak", DUMP),
            ("coxc", "weak", DUMP),
        ],
    )
    .await;
    bell.campaign().await;
    assert_eq!(bell.deliver().await.accepted, 3);
    bell.advance(TimeDelta::minutes(1));
    bell.audit(
        "second",
        &[("deverauxd", "weak", DUMP), ("ekwuemee", "weak", DUMP)],
    )
    .await;
    bell.campaign().await;
    bell
}

/// What leaves in a pass: nothing, and the reason is told.
async fn is_mute(app: &Shared, why: &str) {
    let held = deliver(app, &never()).await.unwrap();
    assert_eq!(held.accepted, 0, "{held}");
    let text = held.held.unwrap();
    assert!(
        text.contains(why) && text.contains("bell epoch advance"),
        "{text}"
    );
    let said = announce(app).await.unwrap();
    assert_eq!((said.posted, said.edited), (0, 0));
    assert!(said.waiting[0].contains(why), "{said}");
    let posted = statements::post(app).await.unwrap();
    assert!(
        posted.posted == 0 && posted.waiting[0].contains(why),
        "{posted}"
    );
    let out = tempfile::tempdir().unwrap();
    let printed = letters::hand_out(app, out.path(), None, false, "ann").await;
    assert!(printed.unwrap_err().to_string().contains(why));
    notify::notify(app).await.unwrap();
    assert_eq!(deliver(app, &never()).await.unwrap().accepted, 0);
    let alarms = app.store.read().await.unwrap().alarms().await.unwrap();
    assert!(
        alarms.iter().any(|alarm| alarm.name == "epoch"),
        "{alarms:?}"
    );
}

async fn delivered(app: &Shared) -> Delivered {
    deliver(app, &never()).await.unwrap()
}

#[tokio::test]
async fn a_backup_that_is_restored_in_the_middle_of_a_campaign_tells_nobody_again_until_an_operator_says_so()
 {
    let bell = in_the_middle(None).await;
    let (config, backup) = (bell.path("bell.toml"), bell.path("backup.db"));
    let name = backup.to_str().unwrap();
    let made = program::bell(&config, &["backup", name]);
    assert_eq!(made.code, 0, "{}", made.err);
    assert_eq!(
        program::bell(&config, &["backup", name]).code,
        1,
        "it is not overwritten"
    );
    assert_eq!(bell.deliver().await.accepted, 2);
    incident::open(&bell.app, "Attack on passwords", None, "ann")
        .await
        .unwrap();
    assert_eq!(announce(&bell.app).await.unwrap().posted, 1);
    let told = bell.told();
    bell.app.store.close().await;

    let refused = program::bell(&config, &["restore", name]);
    assert!(
        refused.code == 2 && refused.err.contains("--force"),
        "{}",
        refused.err
    );
    let nothing = bell.write("nothing", "none");
    let no_backup = program::bell(&config, &["restore", nothing.to_str().unwrap(), "--force"]);
    assert!(
        no_backup.code == 1 && no_backup.err.contains("no whole database"),
        "{}",
        no_backup.err
    );
    let restored = program::bell(&config, &["restore", name, "--force"]);
    assert_eq!(restored.code, 0, "{}", restored.err);
    assert!(
        restored.out.contains("bell epoch advance"),
        "{}",
        restored.out
    );
    let aside = crate::support::files(bell.dir.path())
        .into_iter()
        .filter(|path| path.display().to_string().contains("bell.db.before-"))
        .count();
    assert!(aside >= 1, "what was there is kept");

    let app = build(&bell.text, bell.dir.path(), Clock::at(bell.now())).await;
    is_mute(&app, "another database than the one that spoke here last").await;
    assert_eq!(bell.told(), told);
    let shown = program::bell(&config, &["epoch", "show"]);
    assert!(
        shown.code == 1 && shown.out.contains("another database"),
        "{}",
        shown.out
    );
    let nobody = program::run(
        program::command()
            .arg("--config")
            .arg(&config)
            .args(["epoch", "advance", "--reason", "x", "--as", "eve"]),
    );
    assert_eq!(nobody.code, 2);

    let advanced = program::bell(
        &config,
        &["epoch", "advance", "--reason", "the old disk is gone"],
    );
    assert_eq!(advanced.code, 0, "{}", advanced.err);
    let after = delivered(&app).await;
    assert_eq!(
        (after.accepted, after.held),
        (2, None),
        "an operator answers for these"
    );
    let rows = crate::support::flow::rows(&app.store, "SELECT actor, act FROM ledger WHERE act LIKE 'epoch.%' OR act LIKE 'database.%' ORDER BY id").await;
    assert_eq!(
        rows,
        [
            ["ann", "database.backed_up"],
            ["ann", "database.restored"],
            ["ann", "epoch.advanced"]
        ]
    );
    let alarms = app.store.read().await.unwrap().alarms().await.unwrap();
    assert!(
        alarms.iter().all(|alarm| alarm.name != "epoch"),
        "{alarms:?}"
    );
}

#[tokio::test]
async fn an_older_state_that_somebody_has_copied_into_place_by_hand_is_mute_as_well() {
    let bell = in_the_middle(None).await;
    bell.app
        .store
        .copy_into(&bell.path("copy.db"))
        .await
        .unwrap();
    assert_eq!(bell.deliver().await.accepted, 2);
    bell.app.store.close().await;
    for beside in ["bell.db-wal", "bell.db-shm"] {
        let _ = std::fs::remove_file(bell.path(beside));
    }
    std::fs::copy(bell.path("copy.db"), bell.path("bell.db")).unwrap();
    let app = bell.again().await;
    is_mute(&app, "an older state").await;
    assert_eq!(app.advance_epoch("on purpose", "ann").await.unwrap(), 2);
    assert_eq!(delivered(&app).await.accepted, 2);
    assert_eq!(app.mute().await.unwrap(), None);
}

#[tokio::test]
async fn a_copy_on_another_machine_or_in_another_place_is_mute_and_the_first_one_goes_on() {
    let bell = in_the_middle(None).await;
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(place.path().join("in")).unwrap();
    for name in crate::support::files(&bell.path("in")) {
        std::fs::copy(
            &name,
            place.path().join("in").join(name.file_name().unwrap()),
        )
        .unwrap();
    }
    bell.app
        .store
        .copy_into(&place.path().join("bell.db"))
        .await
        .unwrap();
    let clock = Clock::at(bell.now());
    let alone = build(&bell.text, place.path(), clock.clone()).await;
    is_mute(&alone, "this machine has never spoken for this database").await;
    std::fs::copy(bell.path("bell.epoch"), place.path().join("bell.epoch")).unwrap();
    is_mute(&alone, "it may be a copy").await;
    assert_eq!(bell.deliver().await.accepted, 2);

    // A machine that shares a database joins; who was there before goes on.
    let epoch = alone.join_epoch("the second machine", "ann").await.unwrap();
    assert_eq!((epoch, alone.mute().await.unwrap()), (1, None));
    assert_eq!(bell.app.mute().await.unwrap(), None);
}

#[tokio::test]
async fn a_database_that_was_lost_and_made_anew_is_mute() {
    let bell = in_the_middle(None).await;
    bell.app.store.close().await;
    for name in ["bell.db", "bell.db-wal", "bell.db-shm"] {
        let _ = std::fs::remove_file(bell.path(name));
    }
    let app = bell.again().await;
    let why = app.mute().await.unwrap().unwrap();
    assert!(why.contains("another one was here before it"), "{why}");
    assert_eq!(app.advance_epoch("we begin anew", "ann").await.unwrap(), 2);
    assert_eq!(app.mute().await.unwrap(), None);
}

#[tokio::test]
async fn a_postgresql_database_is_dumped_while_running_and_mute_when_it_is_restored() {
    let Some(url) = postgres::database().await else {
        return;
    };
    let bell = in_the_middle(Some(url.clone())).await;
    let (config, backup) = (bell.path("bell.toml"), bell.path("backup.dump"));
    let name = backup.to_str().unwrap();
    let made = program::bell(&config, &["backup", name]);
    assert_eq!(made.code, 0, "{}", made.err);
    assert_eq!(bell.deliver().await.accepted, 2);
    bell.app.store.close().await;
    let refused = program::bell(&config, &["restore", name]);
    assert!(
        refused.code == 2 && refused.err.contains("not empty"),
        "{}",
        refused.err
    );

    let (server, database) = url.rsplit_once('/').unwrap();
    let admin = sqlx::PgPool::connect(&format!("{server}/postgres"))
        .await
        .unwrap();
    for text in [
        format!("ALTER DATABASE {database} RENAME TO {database}_before"),
        format!("CREATE DATABASE {database}"),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(text))
            .execute(&admin)
            .await
            .unwrap();
    }
    admin.close().await;
    let restored = program::bell(&config, &["restore", name]);
    assert_eq!(restored.code, 0, "{}", restored.err);
    let app = build(&bell.text, bell.dir.path(), Clock::at(bell.now())).await;
    is_mute(&app, "another database").await;
    app.advance_epoch("on purpose", "ann").await.unwrap();
    assert_eq!(delivered(&Arc::clone(&app)).await.accepted, 2);
}
