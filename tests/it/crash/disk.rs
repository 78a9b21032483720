//! Disks that fill up and disks that fail: the error is told, the database stays whole, and the work goes on afterwards.

use std::time::{Duration, Instant};

use division_bell::clock::Clock;
use sqlx::Connection;

use super::servers::everybody_is_told;
use super::{audit, bell_with, crowd, found, go_on};
use crate::support::child::{Running, Start};
use crate::support::disk::Disk;
use crate::support::flow::Bell;
use crate::support::sink::Sink;
use crate::support::{program, seen};

/// Moves the database to this disk, closes it, and leaves only so many kilobytes.
async fn move_to(bell: &mut Bell, disk: &Disk, left: u32) {
    bell.app.store.close().await;
    let file = disk.path().join("bell.db");
    std::fs::copy(bell.path("bell.db"), &file).unwrap();
    let text = bell
        .text
        .replace("sqlite:bell.db", &format!("sqlite:{}", file.display()));
    bell.restart_with(text).await;
    // Moved on purpose.
    bell.app.advance_epoch("another disk", "ann").await.unwrap();
    bell.app.store.close().await;
    disk.resize(disk.used() + left);
}

/// The same app again, where others may have changed its database.
async fn reopen(bell: &mut Bell) {
    let text = bell.text.clone();
    bell.restart_with(text).await;
}

async fn is_whole(bell: &Bell) {
    assert_eq!(bell.column("PRAGMA integrity_check").await, ["ok"]);
}

/// It says that there is no room, and either ends, to be started again, or waits.
async fn says_that_the_disk_is_full(running: &mut Running) {
    let until = Instant::now() + Duration::from_secs(30);
    while !running.said().contains("disk is full") {
        assert!(
            Instant::now() < until,
            "it says nothing: {}",
            running.said()
        );
        if running.is_over() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(
        running.said().contains("disk is full"),
        "{}",
        running.said()
    );
    if running.is_over() {
        let status = running.ended(Duration::from_secs(1)).await;
        assert_eq!(status.code(), Some(75), "{}", running.said());
    }
}

#[tokio::test]
async fn a_disk_that_is_full_while_letters_go_out_stops_them_and_loses_none() {
    let Some(disk) = Disk::of(100_000) else {
        return;
    };
    let people = 600;
    let sink = Sink::start();
    let mut bell = bell_with(None, sink.relay(16)).await;
    found(&bell, people).await;
    bell.campaign().await;
    // Room for the lease of those that are written ahead, and for some of the letters.
    move_to(&mut bell, &disk, 1500).await;
    let mut running = Start::new(&bell, &["deliver"]).run();
    says_that_the_disk_is_full(&mut running).await;
    assert!((1..people).contains(&sink.count()), "{}", sink.count());
    let sent = sink.count();
    // Nothing tells that nothing is sent: it tries its database once a second, and this is longer.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(
        sink.count() <= sent + 16,
        "what cannot be recorded is not sent"
    );
    // Whoever waits for room goes on by itself; whoever has ended is started again.
    disk.resize(100_000);
    if running.is_over() {
        running = Start::new(&bell, &["deliver"]).run();
    }
    let status = running.ended(Duration::from_secs(60)).await;
    assert_eq!(status.code(), Some(0), "{}", running.said());
    reopen(&mut bell).await;
    is_whole(&bell).await;
    bell.app.clock.set(Clock::System.now());
    go_on(&bell).await;
    let doubles = everybody_is_told(&bell, &sink, people).await;
    assert!(doubles <= 16, "{doubles}");
    bell.app.store.close().await;
}

#[tokio::test]
async fn a_disk_that_is_full_while_an_audit_is_taken_in_leaves_nothing_of_it_and_says_so() {
    let Some(disk) = Disk::of(100_000) else {
        return;
    };
    let people = 2000;
    let mut bell = bell_with(None, super::relay(1, 8)).await;
    bell.people(&crowd(people)).await;
    let file = bell.write("in/crowd.csv", audit(people, &bell));
    move_to(&mut bell, &disk, 200).await;
    let shown = file.to_str().unwrap();
    let arguments = ["intake", shown, "--source", "own"];
    let answer = program::bell(&bell.path("bell.toml"), &arguments);
    assert_eq!(answer.code, 75, "{}", answer.err);
    assert!(
        answer.err.contains("database or disk is full"),
        "{}",
        answer.err
    );
    assert!(!answer.err.contains("user1"), "{}", answer.err);
    // The database itself has to be opened to be looked at, and needs a little room for that.
    disk.resize(100_000);
    reopen(&mut bell).await;
    is_whole(&bell).await;
    for table in [
        "audits",
        "findings",
        "cases",
        "ledger WHERE act LIKE 'case.%'",
    ] {
        let count: i64 = bell.column(&format!("SELECT COUNT(*) FROM {table}")).await[0]
            .parse()
            .unwrap();
        assert_eq!(count, 0, "{table}");
    }
    bell.app.store.close().await;
    let answer = program::bell(&bell.path("bell.toml"), &arguments);
    assert_eq!(answer.code, 0, "{}", answer.err);
    reopen(&mut bell).await;
    assert_eq!(
        bell.count("SELECT COUNT(*) FROM cases").await,
        people as i64
    );
    is_whole(&bell).await;
    bell.app.store.close().await;
}

#[tokio::test]
async fn a_disk_that_cannot_sync_once_costs_nobody_a_letter() {
    let (trace, fault) = ("fdatasync", "error=EIO:when=4");
    let people = 150;
    let sink = Sink::start();
    let mut bell = bell_with(None, sink.relay(16)).await;
    found(&bell, people).await;
    bell.campaign().await;
    bell.app.store.close().await;
    let wal = bell.path("bell.db-wal");
    let strace = [
        "strace",
        "-f",
        "-o",
        "/dev/null",
        "-P",
        wal.to_str().unwrap(),
        "-e",
        &format!("trace={trace}"),
        "-e",
        &format!("inject={trace}:{fault}"),
    ];
    let mut running = Start::below(&bell, &strace, &["deliver"]).run();
    let status = running.ended(Duration::from_secs(90)).await;
    assert!(
        matches!(status.code(), Some(0 | 75)),
        "{fault}: {status}: {}",
        running.said()
    );
    seen("the end of what is on the wire", || {
        sink.is_idle().then_some(())
    })
    .await;
    let mut db =
        sqlx::SqliteConnection::connect(&format!("sqlite:{}", bell.path("bell.db").display()))
            .await
            .unwrap();
    let (whole,): (String,) = sqlx::query_as("PRAGMA integrity_check")
        .fetch_one(&mut db)
        .await
        .unwrap();
    assert_eq!(whole, "ok", "{fault}");
    db.close().await.unwrap();
    reopen(&mut bell).await;
    bell.app.clock.set(Clock::System.now());
    go_on(&bell).await;
    let doubles = everybody_is_told(&bell, &sink, people).await;
    println!("{trace} {fault}: {status}, {doubles} doubles");
    assert!(doubles <= 16, "{fault}: {doubles}");
    bell.app.store.close().await;
}

/// Delivers with a disk that fails until the program has said so, and is sound again from then on.
async fn with_a_disk_that_fails_for_a_while(error: &str, said: &str) {
    let people = 200;
    let sink = Sink::start();
    let mut bell = bell_with(None, sink.relay(16)).await;
    found(&bell, people).await;
    bell.campaign().await;
    bell.app.store.close().await;
    // Slow enough that there is something to do yet when the disk fails.
    sink.answer_dots_after(Duration::from_millis(80));
    let mut running = Start::new(&bell, &["deliver"]).run();
    seen("a letter", || (sink.count() > 0).then_some(())).await;
    let (wal, pid) = (bell.path("bell.db-wal"), running.pid().to_string());
    let inject = format!("inject=pwrite64:error={error}");
    let mut strace = std::process::Command::new("strace")
        .args(["-f", "-o", "/dev/null", "-p", &pid, "-P"])
        .arg(&wal)
        .args(["-e", "trace=pwrite64", "-e", &inject])
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("there is no strace: run tests/run, which installs it");
    let what = format!("an error that says {said:?}");
    seen(&what, || running.said().contains(said).then_some(())).await;
    // It lets go of the program, which goes on.
    crate::support::run(
        std::process::Command::new("kill").args(["-TERM", &strace.id().to_string()]),
    );
    strace.wait().unwrap();
    sink.answer_dots_after(Duration::ZERO);
    let status = running.ended(Duration::from_secs(60)).await;
    assert!(
        matches!(status.code(), Some(0 | 75)),
        "{error}: {status}: {}",
        running.said()
    );
    reopen(&mut bell).await;
    is_whole(&bell).await;
    bell.app.clock.set(Clock::System.now());
    go_on(&bell).await;
    let doubles = everybody_is_told(&bell, &sink, people).await;
    println!("{error}: {status}, {doubles} doubles");
    assert!(doubles <= 16, "{error}: {doubles}");
    bell.app.store.close().await;
}

#[tokio::test]
async fn a_disk_that_cannot_write_for_a_while_costs_nobody_a_letter() {
    with_a_disk_that_fails_for_a_while("EIO", "disk I/O error").await;
}

#[tokio::test]
async fn a_disk_that_is_full_for_a_while_costs_nobody_a_letter() {
    with_a_disk_that_fails_for_a_while("ENOSPC", "disk is full").await;
}

#[tokio::test]
async fn killed_at_a_sync_its_database_is_whole_and_nobody_is_lost() {
    let people = 150;
    for nth in [3, 5, 8] {
        let sink = Sink::start();
        let mut bell = bell_with(None, sink.relay(16)).await;
        found(&bell, people).await;
        bell.campaign().await;
        bell.app.store.close().await;
        let inject = format!("inject=fdatasync:signal=KILL:when={nth}");
        let strace = [
            "strace",
            "-f",
            "-o",
            "/dev/null",
            "-e",
            "trace=fdatasync",
            "-e",
            &inject,
        ];
        let mut running = Start::below(&bell, &strace, &["deliver"]).run();
        running.ended(Duration::from_secs(60)).await;
        seen("the end of what is on the wire", || {
            sink.is_idle().then_some(())
        })
        .await;
        reopen(&mut bell).await;
        is_whole(&bell).await;
        bell.app.clock.set(Clock::System.now());
        go_on(&bell).await;
        let doubles = everybody_is_told(&bell, &sink, people).await;
        assert!(doubles <= 16, "{doubles}");
        bell.app.store.close().await;
    }
}
