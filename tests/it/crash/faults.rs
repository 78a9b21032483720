//! The network between us and the relay spoils conversations, at each place and in each way. The work goes on when it stops.

use std::time::Duration;

use chrono::TimeDelta;
use division_bell::clock::Clock;

use super::servers::everybody_is_told;
use super::{bell_with, found};
use crate::support::flow::{Bell, build};
use crate::support::proxy::{Deed, PLACES, Place, Proxy, Whom};
use crate::support::sink::{At, No, Sink, relay};

const PEOPLE: usize = 200;
const WINDOW: u16 = 16;

/// The lines of `[mail.relay]`, with the shortest patience that a config may ask for.
fn impatient(port: u16) -> String {
    format!(
        "{}\n[mail.relay.timeouts]\nconnect = \"1 s\"\ngreeting = \"1 s\"\nmail = \"1 s\"\nrcpt = \"1 s\"\ndata = \"1 s\"\nblock = \"1 s\"\ndot = \"1 s\"",
        relay(port, WINDOW)
    )
}

/// A queued campaign, to be copied.
async fn queued() -> Bell {
    let bell = bell_with(None, impatient(1)).await;
    found(&bell, PEOPLE).await;
    bell.campaign().await;
    bell.app.store.close().await;
    bell
}

/// The same campaign on a database of its own, with another relay.
async fn copy(of: &Bell, port: u16) -> Bell {
    let dir = tempfile::Builder::new().prefix("bell").tempdir().unwrap();
    std::fs::create_dir(dir.path().join("in")).unwrap();
    for file in [
        "bell.db",
        "in/own.toml",
        "in/evidence.csv",
        "in/hibp-breaches.json",
        "in/generic-weak-accounts.mapping.toml",
        "in/directory.csv",
    ] {
        std::fs::copy(of.path(file), dir.path().join(file)).unwrap();
    }
    let text = of.text.replace("port = 1\n", &format!("port = {port}\n"));
    assert_ne!(text, of.text);
    let app = build(&text, dir.path(), Clock::at(of.now())).await;
    // Copied on purpose.
    app.advance_epoch("a copy", "ann").await.unwrap();
    Bell { app, dir, text }
}

/// Passes, half an hour apart, until nothing is on its way.
async fn go_on(bell: &Bell) {
    for _ in 0..30 {
        bell.deliver().await;
        bell.advance(TimeDelta::minutes(31));
        if bell
            .count("SELECT COUNT(*) FROM deliveries WHERE state IN ('queued', 'leased')")
            .await
            == 0
        {
            return;
        }
    }
    panic!(
        "it does not come to an end: {:?}",
        bell.rows("SELECT state, COUNT(*) FROM deliveries GROUP BY state")
            .await
    );
}

/// One campaign through a spoilt network; how many letters came twice.
async fn spoilt(of: &Bell, place: Place, deed: Deed, whom: Whom) -> usize {
    let sink = Sink::start();
    let proxy = Proxy::smtp(sink.port, place, deed, whom);
    let bell = copy(of, proxy.port).await;
    go_on(&bell).await;
    println!("{place:?} {deed:?}: {} spoilt", proxy.spoilt());
    assert!(proxy.spoilt() > 0, "{place:?} {deed:?}: nothing was spoilt");
    let doubles = everybody_is_told(&bell, &sink, PEOPLE).await;
    let blamed = bell
        .count("SELECT COUNT(*) FROM cases WHERE not_reached IS NOT NULL")
        .await;
    assert_eq!(
        blamed, 0,
        "{place:?} {deed:?}: nobody is at fault for the network"
    );
    bell.app.store.close().await;
    doubles
}

/// Each place, all at once. Where the relay cannot have had a letter, nobody gets a second one.
async fn at_each_place(deed: Deed, may_double: bool) {
    let bell = &queued().await;
    let all = PLACES.map(|place| async move {
        let doubles = spoilt(bell, place, deed, Whom::First(5)).await;
        if place.leaves_doubt() && may_double {
            assert!(
                doubles > 0,
                "{place:?}: the relay had the letter, and nobody knew"
            );
        } else {
            assert_eq!(doubles, 0, "{place:?}");
        }
    });
    futures_util::future::join_all(all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_come_late_at_any_place_change_nothing() {
    at_each_place(Deed::Delay(Duration::from_millis(300)), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conversations_that_are_cut_at_any_place_go_on_later() {
    at_each_place(Deed::Cut, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conversations_that_are_reset_at_any_place_go_on_later() {
    at_each_place(Deed::Reset, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_never_come_at_any_place_are_waited_for_no_longer_than_allowed() {
    at_each_place(Deed::Swallow, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_spoils_a_tenth_of_all_conversations_by_chance_loses_nobody() {
    let bell = queued().await;
    let text = bell.text.replace(
        "messages_per_connection = 1000",
        "messages_per_connection = 5",
    );
    let bell = Bell { text, ..bell };
    for (seed, deed) in [(1, Deed::Cut), (2, Deed::Reset)] {
        spoilt(&bell, Place::MidReply, deed, Whom::Percent(10, seed)).await;
    }
}

#[tokio::test]
async fn a_network_that_passes_one_byte_at_a_time_is_as_good_as_any() {
    let sink = Sink::start();
    let proxy = Proxy::smtp(
        sink.port,
        Place::Greeting,
        Deed::Slice,
        Whom::First(usize::MAX),
    );
    let bell = bell_with(None, relay(proxy.port, WINDOW)).await;
    found(&bell, 8).await;
    bell.campaign().await;
    go_on(&bell).await;
    assert_eq!(everybody_is_told(&bell, &sink, 8).await, 0);
}

#[tokio::test]
async fn a_relay_that_takes_letters_and_hangs_up_leaves_as_many_in_doubt_and_no_more() {
    let sink = Sink::start();
    let bell = bell_with(None, impatient(sink.port)).await;
    found(&bell, 40).await;
    bell.campaign().await;
    sink.hang_up_after_taking(3);
    go_on(&bell).await;
    assert_eq!(everybody_is_told(&bell, &sink, 40).await, 3);
}

#[tokio::test]
async fn what_a_relay_says_at_each_stage_about_some_concerns_them_alone() {
    let sink = Sink::start();
    let bell = bell_with(None, impatient(sink.port)).await;
    found(&bell, 40).await;
    bell.campaign().await;
    let no = |at, to: &str, reply: &str| No {
        at,
        to: to.to_owned(),
        reply: reply.to_owned(),
    };
    sink.refuse(&[
        no(At::Rcpt, "user1@", "450 4.2.1 not now"),
        no(At::Rcpt, "user2@", "550 5.1.1 no such user"),
        no(At::Dot, "user3@", "451 4.3.0 not now"),
        no(At::Dot, "user4@", "550 5.2.0 never"),
    ]);
    bell.deliver().await;
    assert_eq!(sink.count(), 36);
    assert_eq!(
        bell.rows(
            "SELECT recipient, state FROM deliveries WHERE state <> 'accepted' ORDER BY recipient"
        )
        .await,
        [
            ["user1@parl.example", "queued"],
            ["user2@parl.example", "refused"],
            ["user3@parl.example", "queued"],
            ["user4@parl.example", "refused"],
        ]
    );
    sink.refuse(&[]);
    bell.advance(TimeDelta::minutes(31));
    bell.deliver().await;
    assert_eq!(sink.count(), 38);
    assert_eq!(
        bell.count("SELECT COUNT(*) FROM deliveries WHERE possible_duplicate")
            .await,
        0
    );
    bell.books().await;
}
