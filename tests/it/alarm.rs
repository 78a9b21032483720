//! An operator is told once that something is wrong, then hourly, and once that it is over.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use division_bell::app::{App, Shared};

use crate::support::child::{Running, Start};
use crate::support::flow::{Bell, Setup, directory, five};
use crate::support::{postgres, program};

/// A bell whose alarms go to a file.
async fn bell(store: Option<String>) -> Bell {
    let mut bell = Bell::on(store).await;
    let file = bell.path("told");
    let text = format!(
        "{}\n[alarm]\ncommand = [\"sh\", \"-c\", 'cat >>\"$0\"', \"{}\"]\n",
        bell.text,
        file.display()
    );
    bell.restart_with(text).await;
    bell
}

/// What an operator got so far, of these instances.
async fn told(bell: &Bell, apps: &[&App]) -> Vec<String> {
    for app in apps {
        app.alarms.finish(Duration::from_secs(30)).await;
    }
    let text = std::fs::read_to_string(bell.path("told")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn what_is_wrong_is_told_once_then_after_an_hour_and_its_end_is_told_once() {
    for store in crate::support::flow::databases().await {
        let bell = bell(store).await;
        let (app, alarms) = (&*bell.app, &bell.app.alarms);
        for _ in 0..3 {
            alarms.raise("relay", "it does not answer").await;
        }
        assert_eq!(told(&bell, &[app]).await, ["relay: it does not answer"]);
        bell.advance(TimeDelta::minutes(59));
        alarms.raise("relay", "it does not answer").await;
        assert_eq!(told(&bell, &[app]).await.len(), 1);
        bell.advance(TimeDelta::minutes(1));
        alarms.raise("relay", "it still does not answer").await;
        alarms.raise("relay", "it still does not answer").await;
        alarms.raise("inbox", "it cannot be read").await;
        let mut all = told(&bell, &[app]).await;
        all.sort();
        assert_eq!(
            all,
            [
                "inbox: it cannot be read",
                "relay: it does not answer",
                "relay: it still does not answer"
            ]
        );
        for _ in 0..3 {
            alarms.clear("relay").await;
            alarms.clear("disk").await;
        }
        assert_eq!(
            told(&bell, &[app]).await[3..],
            ["over: relay: it still does not answer"]
        );
        // It comes and goes: not a word, until the hour is over.
        alarms.raise("relay", "again").await;
        alarms.clear("relay").await;
        assert_eq!(told(&bell, &[app]).await.len(), 4);
        bell.advance(TimeDelta::hours(1));
        alarms.raise("relay", "again").await;
        assert_eq!(told(&bell, &[app]).await[4..], ["relay: again"]);
        alarms.clear("relay").await;
        assert_eq!(told(&bell, &[app]).await[5..], ["over: relay: again"]);
    }
}

#[tokio::test]
async fn with_the_database_away_it_is_told_all_the_same_and_no_more_often() {
    let bell = bell(None).await;
    let (app, alarms) = (&*bell.app, &bell.app.alarms);
    app.store.close().await;
    for _ in 0..2 {
        for _ in 0..3 {
            bell.advance(TimeDelta::minutes(2));
            alarms.raise("database", "it does not answer").await;
        }
        bell.advance(TimeDelta::hours(1));
    }
    assert_eq!(told(&bell, &[app]).await.len(), 2);
    for _ in 0..3 {
        bell.advance(TimeDelta::minutes(2));
        alarms.clear("database").await;
    }
    assert_eq!(
        told(&bell, &[app]).await[2..],
        ["over: database: it does not answer"]
    );
}

#[tokio::test]
async fn a_database_that_comes_back_learns_what_was_told_and_what_is_over() {
    let Some((server, url)) = postgres::own().await else {
        return;
    };
    let bell = bell(Some(url)).await;
    let (app, alarms) = (&*bell.app, &bell.app.alarms);
    alarms.raise("relay", "it does not answer").await;
    server.crash();
    bell.advance(TimeDelta::minutes(2));
    alarms.raise("database", "it is away").await;
    alarms.clear("relay").await;
    assert_eq!(told(&bell, &[app]).await.len(), 3);
    server.come_back();
    bell.advance(TimeDelta::minutes(2));
    alarms.raise("database", "it is away").await;
    alarms.clear("relay").await;
    let told = told(&bell, &[app]).await;
    assert_eq!(
        told,
        [
            "relay: it does not answer",
            "database: it is away",
            "over: relay: it does not answer"
        ]
    );
    assert_eq!(
        bell.column("SELECT name FROM alarms WHERE cleared_at IS NULL")
            .await,
        ["database"]
    );
    bell.app.store.close().await;
}

#[tokio::test]
async fn two_instances_and_a_restart_tell_once() {
    let Some(url) = postgres::database().await else {
        return;
    };
    let bell = bell(Some(url)).await;
    let other: Shared = bell.again().await;
    let both = [&*bell.app, &*other];
    for app in both {
        app.alarms.raise("relay", "it does not answer").await;
    }
    assert_eq!(told(&bell, &both).await.len(), 1);
    let later = bell.again().await;
    later.alarms.raise("relay", "it does not answer").await;
    assert_eq!(told(&bell, &[&*later]).await.len(), 1);
    for app in [&other, &bell.app, &later] {
        app.alarms.clear("relay").await;
    }
    let told = told(&bell, &[&*bell.app, &*other, &*later]).await;
    assert_eq!(
        told,
        [
            "relay: it does not answer",
            "over: relay: it does not answer"
        ]
    );
}

#[tokio::test]
async fn a_new_instance_clears_what_a_dead_one_raised() {
    let bell = bell(None).await;
    bell.app.alarms.raise("relay", "it does not answer").await;
    let next = bell.again().await;
    next.alarms.clear("relay").await;
    let told = told(&bell, &[&*bell.app, &*next]).await;
    assert_eq!(told.len(), 2, "{told:?}");
}

#[tokio::test]
async fn a_person_sees_what_is_wrong_and_the_exit_code_says_whether_anything_is() {
    let bell = bell(None).await;
    let config = bell.path("bell.toml");
    let fine = program::bell(&config, &["alarms"]);
    assert_eq!((fine.code, fine.out.trim()), (0, "nothing is wrong"));
    bell.app.alarms.raise("relay", "it does not answer").await;
    let wrong = program::bell(&config, &["alarms"]);
    assert_eq!(wrong.code, 1);
    assert!(
        wrong.out.starts_with("relay ") && wrong.out.contains("it does not answer"),
        "{}",
        wrong.out
    );
    let json = program::bell(&config, &["alarms", "--json"]);
    let rows: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(rows[0]["name"], "relay");
    bell.app.alarms.clear("relay").await;
    assert_eq!(program::bell(&config, &["alarms"]).code, 0);
}

/// How often a running service told of this alarm: that it is wrong, and that it is over.
fn heard(running: &Running, alarm: &str) -> (usize, usize) {
    let said = running.said();
    let lines = said
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|line| line["alarm.name"] == alarm);
    let (over, wrong): (Vec<_>, Vec<_>) = lines.partition(|line| {
        line["message"]
            .as_str()
            .is_some_and(|text| text.starts_with("over: "))
    });
    (wrong.len(), over.len())
}

async fn until(running: &mut Running, what: &str, mut is_so: impl FnMut(&Running) -> bool) {
    let end = Instant::now() + Duration::from_secs(120);
    while !is_so(running) {
        assert!(
            !running.is_over() && Instant::now() < end,
            "waited in vain for {what}: {}",
            running.said()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_service_tells_of_a_step_that_fails_and_of_a_database_that_is_away() {
    let Some((server, url)) = postgres::own().await else {
        return;
    };
    let bell = Bell::with(Setup {
        store: Some(url),
        more: "[schedule]\nzone = \"UTC\"\npeople = \"* * * * * *\"\n[log]\nformat = \"json\"\n"
            .to_owned(),
        ..Setup::default()
    })
    .await;
    bell.app.store.close().await;
    bell.write("in/directory.csv", "this,is,no\nstaff,list,here\n");
    let mut running = Start::new(&bell, &["serve"]).run();
    let failures = |running: &Running| {
        let said = running.said();
        said.matches("\"run.name\":\"people\"").count()
    };
    until(&mut running, "a step that fails again and again", |it| {
        failures(it) >= 3
    })
    .await;
    assert_eq!(heard(&running, "schedule.people"), (1, 0));
    bell.write("in/directory.csv", directory(&five()));
    until(&mut running, "its end", |it| {
        heard(it, "schedule.people") == (1, 1)
    })
    .await;

    server.crash();
    until(&mut running, "the alarm", |it| heard(it, "database").0 > 0).await;
    server.come_back();
    until(&mut running, "its end", |it| heard(it, "database").1 > 0).await;
    assert_eq!(heard(&running, "database"), (1, 1));
    assert_eq!(heard(&running, "schedule.people"), (1, 1));
}
