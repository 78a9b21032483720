//! The servers around it die while it runs on: the relay, and the database.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use division_bell::clock::Clock;
use division_bell::steps::deliver::{deliver, never};
use rand::Rng;

use super::kills::chance;
use super::{bell_with, found, go_on};
use crate::support::child::{Hours, Running, Start};
use crate::support::flow::{Bell, databases};
use crate::support::postgres;
use crate::support::proxy::{Deed, Proxy};
use crate::support::seen;
use crate::support::sink::Sink;

/// Everybody was told, nobody twice without a mark, and the same bytes each time. Gives how many came twice.
pub async fn everybody_is_told(bell: &Bell, sink: &Sink, people: usize) -> usize {
    let states = bell
        .rows("SELECT state, COUNT(*) FROM deliveries GROUP BY state ORDER BY state")
        .await;
    let stopped: HashSet<String> = bell
        .column("SELECT x.recipient FROM tasks k JOIN cases c ON c.id = k.case_id JOIN deliveries x ON x.thread_id = c.thread_id WHERE k.kind = 'decide' AND k.done_at IS NULL AND x.state = 'stopped'")
        .await.into_iter().collect();
    let accepted = people - stopped.len();
    let mut wanted = vec![vec!["accepted".to_owned(), accepted.to_string()]];
    if !stopped.is_empty() {
        wanted.push(vec!["stopped".to_owned(), stopped.len().to_string()]);
    }
    assert_eq!(states, wanted);
    let doubtful: HashSet<String> = bell
        .column("SELECT recipient FROM deliveries WHERE possible_duplicate")
        .await
        .into_iter()
        .collect();
    let mut got: HashMap<String, Vec<[u8; 32]>> = HashMap::new();
    for one in sink.taken() {
        got.entry(one.to).or_default().push(one.hash);
    }
    let told = got.keys().filter(|to| !stopped.contains(*to)).count();
    assert_eq!(told, accepted, "somebody was lost");
    for (to, letters) in &got {
        if letters.len() > 1 {
            assert!(doubtful.contains(to), "{to} was told twice unseen");
            assert_eq!((letters.len(), letters[0]), (2, letters[1]), "{to}");
        }
    }
    bell.books().await;
    got.values().filter(|letters| letters.len() > 1).count()
}

#[tokio::test]
async fn a_relay_that_dies_in_the_middle_of_a_campaign_and_comes_back_costs_nobody_a_letter() {
    for store in databases().await {
        let sink = Sink::start();
        let bell = bell_with(store, sink.relay(16)).await;
        found(&bell, 200).await;
        bell.campaign().await;
        for wanted in [40, 100, 150] {
            let dies = async {
                seen("some letters", || (sink.count() >= wanted).then_some(())).await;
                sink.go_away();
            };
            let (delivered, ()) = tokio::join!(bell.deliver(), dies);
            assert!(delivered.held.is_some(), "{delivered}");
            let before = sink.count();
            bell.advance(TimeDelta::minutes(31));
            assert!(bell.deliver().await.held.is_some(), "it is away still");
            assert_eq!(sink.count(), before);
            sink.come_back();
            bell.advance(TimeDelta::minutes(31));
        }
        go_on(&bell).await;
        let doubles = everybody_is_told(&bell, &sink, 200).await;
        assert!(doubles <= 3 * 16, "{doubles}");
        let blamed = bell
            .count("SELECT COUNT(*) FROM cases WHERE not_reached IS NOT NULL")
            .await;
        assert_eq!(blamed, 0, "nobody is at fault for a relay that is away");
    }
}

/// Waits until a running service has sent so many letters more. One whose letters are all leased or in doubt is taken half
/// an hour further.
fn more(sink: &Sink, running: &mut Running, hours: &Hours, letters: usize) {
    let (begun, mut since) = (sink.count(), Instant::now());
    let until = since + Duration::from_secs(90);
    let mut last = begun;
    while last < begun + letters {
        assert!(!running.is_over(), "it has ended: {}", running.said());
        assert!(
            Instant::now() < until,
            "nothing is sent any more: {}",
            running.said()
        );
        std::thread::sleep(Duration::from_millis(2));
        if sink.count() > last {
            (last, since) = (sink.count(), Instant::now());
        } else if since.elapsed() > Duration::from_secs(6) {
            hours.advance(Duration::from_secs(31 * 60));
            since = Instant::now();
        }
    }
}

#[tokio::test]
async fn a_database_that_crashes_twenty_times_beneath_a_running_service_costs_nobody_a_letter() {
    let Some((server, url)) = postgres::own().await else {
        return;
    };
    let (people, window) = (1200, 32);
    let mut chance = chance();
    let sink = Sink::start();
    let bell = bell_with(Some(url), sink.relay(window)).await;
    found(&bell, people).await;
    bell.campaign().await;
    // The relay is what it waits for, so that there is something to do until the last crash.
    sink.answer_dots_after(Duration::from_millis(10));
    let text = format!(
        "{}\n[schedule]\nzone = \"UTC\"\ndeliver = \"* * * * * *\"\n",
        bell.text
    );
    bell.write("bell.toml", &text);
    let hours = Hours::new(bell.path("hours"));
    let mut running = Start::new(&bell, &["serve"]).hours(&hours).run();
    for nth in 0..20 {
        more(&sink, &mut running, &hours, chance.random_range(5..40));
        server.crash();
        std::thread::sleep(Duration::from_millis(chance.random_range(0..700)));
        assert!(
            !running.is_over(),
            "crash {nth}: it has ended: {}",
            running.said()
        );
        server.come_back();
    }
    more(&sink, &mut running, &hours, 1);
    sink.answer_dots_after(Duration::ZERO);
    running.kill();
    bell.app.clock.set(Clock::System.now().plus(hours.ahead()));
    go_on(&bell).await;
    go_on(&bell).await;
    let twice = everybody_is_told(&bell, &sink, people).await;
    eprintln!("{twice} letters came twice");
    assert!(twice <= 21 * usize::from(window));
    bell.app.store.close().await;
}

#[tokio::test]
async fn a_database_whose_connections_are_cut_is_asked_again_and_nobody_is_lost() {
    for deed in [Deed::Cut, Deed::Reset] {
        let Some(url) = postgres::database().await else {
            return;
        };
        let port = postgres::server().port();
        let proxy = Proxy::plain(port);
        let through = url.replace(&format!(":{port}/"), &format!(":{}/", proxy.port));
        let sink = Arc::new(Sink::start());
        let bell = bell_with(Some(through), sink.relay(16)).await;
        found(&bell, 200).await;
        bell.campaign().await;
        let letters = Arc::clone(&sink);
        let cutter = std::thread::spawn(move || {
            for wanted in [30, 60, 90, 120] {
                while letters.count() < wanted {
                    std::thread::sleep(Duration::from_millis(1));
                }
                proxy.cut_all(deed);
            }
            proxy
        });
        for _ in 0..12 {
            // A pass may end with the connection that it was on; the next one goes on.
            let _ = deliver(&bell.app, &never()).await;
            bell.advance(TimeDelta::minutes(31));
        }
        let _proxy = cutter.join().unwrap();
        go_on(&bell).await;
        everybody_is_told(&bell, &sink, 200).await;
        bell.app.store.close().await;
    }
}
