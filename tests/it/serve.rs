//! `bell serve` as a child process: it takes in, drafts, delivers, stops in time, and shares its work.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use division_bell::clock::Clock;

use crate::support::catcher::{Catcher, Stall};
use crate::support::flow::{
    ALWAYS, Bell, FOLDER, RELAY_PASSWORD, STORE_PASSWORD, Setup, assert_names_nobody, five,
};
use crate::support::{PATIENCE, files, postgres};

/// Every step as often as a schedule allows.
const EACH_SECOND: &str = r#"[schedule]
zone = "UTC"
people = "* * * * * *"
intake = "* * * * * *"
plan = "* * * * * *"
notify = "* * * * * *"
deliver = "* * * * * *"
inbox = "* * * * * *"
confirm = "* * * * * *"
announce = "* * * * * *"
report = "* * * * * *"
drop_folder = "drop"
[log]
format = "json"
"#;

struct Serving {
    child: Child,
    log: std::path::PathBuf,
}

impl Serving {
    fn start(bell: &Bell, name: &str) -> Self {
        let log = bell.path(name);
        let child = Command::new(env!("CARGO_BIN_EXE_bell"))
            .arg("--config")
            .arg(bell.path("bell.toml"))
            .arg("serve")
            .env(STORE_PASSWORD.0, STORE_PASSWORD.1)
            .env(RELAY_PASSWORD.0, RELAY_PASSWORD.1)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Self { child, log }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// SIGTERM; how it ended, how long that took, and what it said at last.
    async fn stop(&mut self) -> (ExitStatus, Duration, String) {
        let pid = self.child.id().to_string();
        crate::support::run(Command::new("kill").args(["-TERM", &pid]));
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                let mut said = String::new();
                self.child
                    .stdout
                    .take()
                    .unwrap()
                    .read_to_string(&mut said)
                    .unwrap();
                return (status, start.elapsed(), said);
            }
            assert!(
                start.elapsed() < Duration::from_secs(15),
                "it does not stop: {}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn bell(store: Option<String>, relay: &str, schedule: &str) -> Bell {
    let bell = Bell::with(Setup {
        store,
        relay: relay.to_owned(),
        more: format!("{ALWAYS}\n{schedule}"),
        maildir: None,
        start: Clock::System.now(),
    })
    .await;
    bell.write("in/directory.csv", crate::support::flow::directory(&five()));
    bell
}

/// Waits until a query's only number is at least `wanted`.
async fn until(bell: &Bell, sql: &str, wanted: i64, serving: &Serving) {
    let end = Instant::now() + PATIENCE;
    while bell.count(sql).await < wanted {
        assert!(
            Instant::now() < end,
            "waited in vain for {sql}: {}",
            serving.log()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn yesterday(bell: &Bell) -> String {
    bell.now()
        .minus(TimeDelta::days(1))
        .utc()
        .format("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

/// An audit file, dropped long enough ago to be whole.
fn drop_audit(bell: &Bell, name: &str, lines: &[(&str, &str)]) {
    let dump = yesterday(bell);
    let mut text = "account,verdict,as_of,name\n".to_owned();
    for (sam, verdict) in lines {
        text.push_str(&format!("PARL\\{sam},{verdict},{dump},x\n"));
    }
    std::fs::create_dir_all(bell.path("drop/own")).unwrap();
    let path = bell.write(&format!("drop/own/{name}"), text);
    let long_ago = Clock::System.now().minus(TimeDelta::minutes(5)).utc();
    std::fs::File::options()
        .append(true)
        .open(path)
        .unwrap()
        .set_modified(long_ago.into())
        .unwrap();
}

#[tokio::test]
async fn a_dropped_audit_is_taken_in_and_drafted_and_what_a_second_operator_approves_goes_out() {
    for store in crate::support::flow::databases().await {
        let bell = bell(store, FOLDER, EACH_SECOND).await;
        bell.people(&five()).await;
        drop_audit(
            &bell,
            "june.csv",
            &[("abaraa", "weak"), ("brightb", "breached")],
        );
        std::fs::create_dir_all(bell.path("drop/hibp")).unwrap();
        let broken = bell.write("drop/hibp/broken.json", "{\"ada.abara\": [");
        let long_ago = Clock::System.now().minus(TimeDelta::minutes(5)).utc();
        std::fs::File::options()
            .append(true)
            .open(broken)
            .unwrap()
            .set_modified(long_ago.into())
            .unwrap();
        let fresh = bell.write("drop/own/fresh.csv", "account,ver");
        let mut serving = Serving::start(&bell, "log");
        until(&bell, "SELECT COUNT(*) FROM campaigns", 1, &serving).await;
        assert!(bell.path("drop/own/taken-in/june.csv").exists());
        assert!(fresh.exists(), "what may still be written is left alone");
        let id = bell.count("SELECT id FROM campaigns").await;
        assert_eq!(files(&bell.path("mail")).len(), 0, "nobody has approved it");
        // What serves goes by the machine's clock.
        bell.app.clock.set(Clock::System.now());
        bell.approve(division_bell::domain::CampaignId(id))
            .await
            .unwrap();
        until(
            &bell,
            "SELECT COUNT(*) FROM deliveries WHERE state = 'accepted'",
            2,
            &serving,
        )
        .await;
        assert!(
            bell.path("drop/hibp/refused/broken.json").exists(),
            "{}",
            serving.log()
        );
        let (status, took, said) = serving.stop().await;
        assert_eq!(status.code(), Some(0), "{}", serving.log());
        assert!(took < Duration::from_secs(10), "{took:?}");
        assert_eq!(said.trim(), "stopped");
        assert_eq!(
            bell.readers(),
            ["ada.abara@parl.example", "bea.bright@parl.example"]
        );
        let log = serving.log();
        for line in log.lines() {
            serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|_| panic!("{line}"));
        }
        assert_names_nobody(&log, &bell.names().await);
        assert_eq!(
            bell.count("SELECT COUNT(*) FROM runs WHERE ended_at IS NULL")
                .await,
            0
        );
        bell.books().await;
    }
}

#[tokio::test]
async fn a_relay_that_hangs_holds_up_nothing_else_and_keeps_nobody_from_stopping() {
    let catcher = Catcher::start(Stall::Dot);
    let relay = format!(
        "kind = \"smtp\"\nhost = \"127.0.0.1\"\ntls = \"none\"\nport = {}\nhello = \"bell.parl.example\"\nconnections = 1\ndoubt_window = 4",
        catcher.port
    );
    let bell = bell(None, &relay, EACH_SECOND).await;
    bell.people(&five()).await;
    let dump = yesterday(&bell);
    bell.audit(
        "first",
        &[
            ("abaraa", "weak", &dump),
            ("brightb", "weak", &dump),
            ("coxc", "weak", &dump),
        ],
    )
    .await;
    bell.campaign().await;
    let mut serving = Serving::start(&bell, "log");
    let end = Instant::now() + PATIENCE;
    while catcher.stalled() < 1 {
        assert!(Instant::now() < end, "{}", serving.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The relay hangs, and whoever changes their password is seen all the same.
    let told = catcher.letters().remove(0).0;
    let (other, _) = [("brightb", "bea"), ("coxc", "colin")]
        .into_iter()
        .find(|(_, name)| !told.starts_with(name))
        .unwrap();
    let change = Clock::System
        .now()
        .utc()
        .format("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    bell.write(
        "in/evidence.csv",
        format!("account,changed_at,must_change,disabled\nPARL\\{other},{change},no,no\n"),
    );
    until(
        &bell,
        "SELECT COUNT(*) FROM cases WHERE closed_as = 'reset'",
        1,
        &serving,
    )
    .await;
    let (status, took, said) = serving.stop().await;
    assert_eq!(
        (status.code(), said.trim()),
        (Some(0), "stopped"),
        "{}",
        serving.log()
    );
    assert!(took < Duration::from_secs(10), "{took:?}");
    // What had not begun is not in doubt; what hung is, and nobody else.
    let states = bell
        .rows("SELECT recipient, state FROM deliveries WHERE state = 'leased'")
        .await;
    assert_eq!(states, [[told, "leased".to_owned()]]);
    assert_eq!(catcher.letters().len(), 1);
    catcher.behave();
    bell.app.clock.set(Clock::System.now());
    for _ in 0..3 {
        bell.advance(TimeDelta::minutes(31));
        bell.deliver().await;
    }
    let twice: Vec<_> = catcher.letters().into_iter().map(|(to, _)| to).collect();
    assert_eq!(twice.len(), 3, "{twice:?}");
    assert_eq!(
        bell.count("SELECT COUNT(*) FROM deliveries WHERE possible_duplicate")
            .await,
        1
    );
    bell.books().await;
}

#[tokio::test]
async fn two_instances_on_one_database_share_the_firings_between_them() {
    let Some(url) = postgres::database().await else {
        return;
    };
    let bell = bell(Some(url), FOLDER, EACH_SECOND).await;
    bell.people(&five()).await;
    let dump = yesterday(&bell);
    bell.audit(
        "first",
        &[("abaraa", "weak", &dump), ("brightb", "weak", &dump)],
    )
    .await;
    bell.campaign().await;
    let (mut one, mut other) = (
        Serving::start(&bell, "one.log"),
        Serving::start(&bell, "other.log"),
    );
    until(
        &bell,
        "SELECT COUNT(DISTINCT claimed_by) FROM runs",
        2,
        &one,
    )
    .await;
    until(
        &bell,
        "SELECT COUNT(*) FROM deliveries WHERE state = 'accepted'",
        2,
        &one,
    )
    .await;
    for serving in [&mut one, &mut other] {
        assert_eq!(serving.stop().await.0.code(), Some(0), "{}", serving.log());
    }
    let log = format!("{}\n{}", one.log(), other.log());
    let mut fired: Vec<(String, String)> = log
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|line| {
            Some((
                line["run.name"].as_str()?.to_owned(),
                line["run.due_at"].as_str()?.to_owned(),
            ))
        })
        .collect();
    let all = fired.len();
    fired.sort();
    fired.dedup();
    assert!(all > 0 && fired.len() == all, "a firing ran twice: {log}");
    assert_eq!(bell.count("SELECT COUNT(*) FROM attempts").await, 2);
    assert_eq!(bell.letters().len(), 2);
}

#[tokio::test]
async fn runs_that_were_missed_are_merged_into_one() {
    let schedule = EACH_SECOND
        .replace("notify = \"* * * * * *\"", "notify = \"0 0 0 1 1 *\"")
        .replace("confirm = \"* * * * * *\"", "confirm = \"0 0 * * * *\"");
    let bell = bell(None, FOLDER, &schedule).await;
    bell.people(&five()).await;
    // It last ran two days ago.
    let long_ago = bell.now().minus(TimeDelta::days(2));
    bell.app
        .store
        .claim_run("confirm", long_ago, "before", long_ago)
        .await
        .unwrap();
    bell.app
        .store
        .end_run("confirm", long_ago, "done", false, long_ago)
        .await
        .unwrap();
    let mut serving = Serving::start(&bell, "log");
    until(
        &bell,
        "SELECT COUNT(*) FROM runs WHERE name = 'confirm' AND ended_at IS NOT NULL",
        2,
        &serving,
    )
    .await;
    until(
        &bell,
        "SELECT COUNT(*) FROM runs WHERE name = 'deliver'",
        2,
        &serving,
    )
    .await;
    assert_eq!(serving.stop().await.0.code(), Some(0));
    // One for all that were missed; the hour may have struck meanwhile.
    let runs = bell
        .count("SELECT COUNT(*) FROM runs WHERE name = 'confirm'")
        .await;
    assert!((2..=3).contains(&runs), "{runs}");
}

#[tokio::test]
async fn it_stops_in_time_while_a_long_file_is_read() {
    let bell = bell(None, FOLDER, EACH_SECOND).await;
    bell.people(&five()).await;
    let dump = yesterday(&bell);
    let mut text = "account,verdict,as_of,name\n".to_owned();
    for nth in 0..2_000_000 {
        text.push_str(&format!("PARL\\nobody{nth},weak,{dump},x\n"));
    }
    std::fs::create_dir_all(bell.path("drop/own")).unwrap();
    let path = bell.write("drop/own/long.csv", text);
    let long_ago = Clock::System.now().minus(TimeDelta::minutes(5)).utc();
    std::fs::File::options()
        .append(true)
        .open(path)
        .unwrap()
        .set_modified(long_ago.into())
        .unwrap();
    let mut serving = Serving::start(&bell, "log");
    until(
        &bell,
        "SELECT COUNT(*) FROM runs WHERE name = 'intake'",
        1,
        &serving,
    )
    .await;
    until(
        &bell,
        "SELECT COUNT(*) FROM runs WHERE name = 'deliver'",
        2,
        &serving,
    )
    .await;
    let (status, took, _) = serving.stop().await;
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(
        bell.path("drop/own/long.csv").exists(),
        "it is taken in after the next start"
    );
    assert_eq!(bell.count("SELECT COUNT(*) FROM audits").await, 0);
}

#[tokio::test]
async fn a_schedule_that_cannot_be_read_is_told_at_the_start_with_its_line() {
    let bell = bell(
        None,
        FOLDER,
        &EACH_SECOND
            .replace("plan = \"* * * * * *\"", "plan = \"0 0 6 * * 1-5\"")
            .replace("report = \"* * * * * *\"", "report = \"0 7 * * Mon\""),
    )
    .await;
    let mut serving = Serving::start(&bell, "log");
    let end = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = serving.child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(status.code(), Some(2), "{}", serving.log());
    let log = serving.log();
    assert!(
        log.contains("schedule.plan")
            && log.contains("schedule.report")
            && log.contains("bell.toml:"),
        "{log}"
    );
}
