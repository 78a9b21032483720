//! Crashes: the real program is killed at the worst moments, and then goes on. Nobody is lost, and nobody is told twice unseen.

mod disk;
mod faults;
mod kills;
mod servers;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use division_bell::clock::Clock;
use sqlx::{AssertSqlSafe, Connection};

use crate::support::catcher::{Catcher, Stall};
use crate::support::child::Start;
use crate::support::flow::{ALWAYS, Bell, Setup, Staff, databases, staff};
use crate::support::{files, seen};

/// What is drilled here has to be found at once, not after the timeouts of RFC 5321.
fn relay(port: u16, window: u16) -> String {
    format!(
        "kind = \"smtp\"\nhost = \"127.0.0.1\"\ntls = \"none\"\nport = {port}\nhello = \"bell.parl.example\"\nconnections = 3\ndoubt_window = {window}\nmessages_per_connection = 1000"
    )
}

/// A crowd, as large as it has to be.
fn crowd(count: usize) -> Vec<Staff> {
    (0..count)
        .map(|nth| {
            staff(
                &format!("user{nth}"),
                &format!("user{nth}@parl.example"),
                &format!("User Number {nth}"),
            )
        })
        .collect()
}

/// A bell at the present time, as the program itself has no other.
async fn bell(store: Option<String>, port: u16, window: u16) -> Bell {
    bell_with(store, relay(port, window)).await
}

async fn bell_with(store: Option<String>, relay: String) -> Bell {
    Bell::with(Setup {
        store,
        relay,
        more: ALWAYS.to_owned(),
        maildir: None,
        start: Clock::System.now(),
    })
    .await
}

/// Everybody of the crowd has a weak password.
async fn found(bell: &Bell, count: usize) {
    bell.people(&crowd(count)).await;
    let file = bell.write("in/crowd.csv", audit(count, bell));
    bell.intake(&file, "own").await.unwrap();
}

fn audit(count: usize, bell: &Bell) -> String {
    let dump = bell
        .now()
        .minus(TimeDelta::days(1))
        .utc()
        .format("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    let mut text = "account,verdict,as_of,name\n".to_owned();
    for nth in 0..count {
        text.push_str(&format!("PARL\\user{nth},weak,{dump},x\n"));
    }
    text
}

/// Delivers until nothing is left, each pass half an hour after the one before.
async fn go_on(bell: &Bell) {
    for _ in 0..4 {
        bell.advance(TimeDelta::minutes(31));
        bell.deliver().await;
    }
}

/// Everybody got their letter; whoever got two is known, and got the same bytes twice.
async fn nobody_lost_and_nobody_twice_unseen(
    bell: &Bell,
    catcher: &Catcher,
    count: usize,
    window: usize,
) -> usize {
    let states = bell
        .rows("SELECT state, COUNT(*) FROM deliveries GROUP BY state")
        .await;
    assert_eq!(states, [["accepted".to_owned(), count.to_string()]]);
    assert_eq!(
        bell.count("SELECT COUNT(*) FROM cases WHERE state = 'notified'")
            .await,
        count as i64
    );
    let doubtful = bell
        .column("SELECT recipient FROM deliveries WHERE possible_duplicate")
        .await;
    assert!(
        doubtful.len() <= window,
        "{} in doubt, and {window} were promised at most",
        doubtful.len()
    );
    let mut got: HashMap<String, Vec<Vec<u8>>> = HashMap::new();
    for (to, bytes) in catcher.letters() {
        got.entry(to).or_default().push(bytes);
    }
    assert_eq!(got.len(), count, "somebody was lost");
    let mut doubles = 0;
    for (to, letters) in &got {
        if letters.len() > 1 {
            doubles += 1;
            assert!(doubtful.contains(to), "{to} was told twice unseen");
            assert_eq!(letters.len(), 2, "{to}");
            assert_eq!(letters[0], letters[1], "{to}");
        }
    }
    bell.books().await;
    doubles
}

#[tokio::test]
async fn killed_between_claim_and_send_everybody_is_told_once() {
    for store in databases().await {
        let catcher = Catcher::start(Stall::Mail);
        let bell = bell(store, catcher.port, 16).await;
        found(&bell, 40).await;
        bell.campaign().await;
        let running = Start::new(&bell, &["deliver"]).run();
        seen("letters that are stuck at MAIL", || {
            (catcher.stalled() >= 3).then_some(())
        })
        .await;
        running.kill();
        let begun = "SELECT COUNT(*) FROM attempts WHERE ended_at IS NULL";
        let in_flight = bell.count(begun).await;
        assert!((3..=16).contains(&in_flight), "{in_flight}");
        catcher.behave();
        bell.app.clock.set(Clock::System.now());
        bell.deliver().await;
        assert_eq!(
            bell.count(begun).await,
            in_flight,
            "a lease holds for a quarter of an hour"
        );
        go_on(&bell).await;
        let doubles = nobody_lost_and_nobody_twice_unseen(&bell, &catcher, 40, 16).await;
        assert_eq!(doubles, 0, "no byte of them had gone out");
    }
}

#[tokio::test]
async fn killed_between_send_and_record_a_letter_comes_twice_with_the_same_bytes_and_is_marked() {
    for store in databases().await {
        let catcher = Catcher::start(Stall::Dot);
        let bell = bell(store, catcher.port, 16).await;
        found(&bell, 40).await;
        bell.campaign().await;
        let running = Start::new(&bell, &["deliver"]).run();
        seen("letters that were taken and not confirmed", || {
            (catcher.stalled() >= 3).then_some(())
        })
        .await;
        running.kill();
        assert_eq!(catcher.letters().len(), 3);
        catcher.behave();
        bell.app.clock.set(Clock::System.now());
        go_on(&bell).await;
        let doubles = nobody_lost_and_nobody_twice_unseen(&bell, &catcher, 40, 16).await;
        assert_eq!(doubles, 3);
    }
}

#[tokio::test]
async fn killed_again_and_again_while_it_delivers_nobody_is_lost() {
    let catcher = Catcher::start(Stall::Nowhere);
    let bell = bell(None, catcher.port, 8).await;
    found(&bell, 150).await;
    bell.campaign().await;
    for wanted in [20, 60] {
        let mut running = Start::new(&bell, &["deliver"]).run();
        seen("some letters", || {
            (catcher.letters().len() >= wanted || running.is_over()).then_some(())
        })
        .await;
        running.kill();
    }
    bell.app.clock.set(Clock::System.now());
    go_on(&bell).await;
    nobody_lost_and_nobody_twice_unseen(&bell, &catcher, 150, 16).await;
}

#[tokio::test]
async fn killed_in_the_middle_of_an_intake_all_of_it_is_there_or_nothing() {
    let count = 600;
    let bell = bell(None, 1, 8).await;
    bell.people(&crowd(count)).await;
    let before = bell.content().await;
    let file = bell.write("in/crowd.csv", audit(count, &bell));
    let shown = file.to_str().unwrap().to_owned();
    // Each time a little later, until it has come through.
    let mut kills = 0;
    for wait in (0..).map(|nth| Duration::from_millis(40 * 3_u64.pow(nth) / 2_u64.pow(nth))) {
        let mut running = Start::new(&bell, &["intake", &shown, "--source", "own"]).run();
        let until = Instant::now() + wait;
        seen("its time to die", || {
            (Instant::now() >= until || running.is_over()).then_some(())
        })
        .await;
        if running.is_over() {
            break;
        }
        running.kill();
        kills += 1;
        if bell.count("SELECT COUNT(*) FROM audits").await == 1 {
            break;
        }
        assert!(
            bell.content().await == before,
            "after {wait:?} a part of it was there"
        );
    }
    assert!(kills >= 2, "{kills}");
    for sql in [
        "SELECT COUNT(*) FROM cases",
        "SELECT COUNT(*) FROM findings",
        "SELECT findings FROM audits",
    ] {
        assert_eq!(bell.count(sql).await, count as i64, "{sql}");
    }
    bell.books().await;
}

#[tokio::test]
async fn killed_in_the_middle_of_queuing_a_campaign_the_rest_is_queued_and_nothing_twice() {
    let count = 700;
    let bell = bell(None, 1, 8).await;
    found(&bell, count).await;
    let draft = bell.draft().await;
    bell.approve(draft.id).await.unwrap();
    let mut running = Start::new(&bell, &["notify"]).run();
    let mut db =
        sqlx::SqliteConnection::connect(&format!("sqlite:{}", bell.path("bell.db").display()))
            .await
            .unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    let queued = loop {
        let (queued,): (i64,) =
            sqlx::query_as(AssertSqlSafe("SELECT COUNT(*) FROM deliveries".to_owned()))
                .fetch_one(&mut db)
                .await
                .unwrap();
        if queued > 0 {
            break queued;
        }
        assert!(
            !running.is_over() && Instant::now() < until,
            "nothing was queued"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    running.kill();
    assert!(
        queued < count as i64,
        "it was too fast to be killed in the middle"
    );
    bell.app.clock.set(Clock::System.now());
    let queued = bell.notify().await;
    assert_eq!(queued.void.len(), 0);
    assert_eq!(
        bell.count("SELECT COUNT(*) FROM deliveries").await,
        count as i64
    );
    assert_eq!(
        bell.count("SELECT COUNT(DISTINCT thread_id) FROM deliveries")
            .await,
        count as i64
    );
    assert_eq!(
        bell.column("SELECT state FROM campaigns").await,
        ["running"]
    );
    assert!(files(&bell.path("mail")).is_empty());
    bell.books().await;
}
