//! Operations: whatever an operator, a relay and crashes do to a campaign in whatever order, nobody is lost, nobody is told
//! twice unseen, and nothing leaves while it stands still.

use std::collections::HashMap;

use chrono::TimeDelta;
use division_bell::domain::campaign::CampaignState;
use division_bell::steps::campaign;
use proptest::prelude::*;

use crate::support::flow::{Bell, Setup, Staff, staff};
use crate::support::program;
use crate::support::sink::Sink;

const PEOPLE: usize = 24;
const WINDOW: u16 = 8;

/// Something that happens to a campaign.
#[derive(Clone, Copy, Debug)]
enum Act {
    Pause,
    Resume,
    /// A pass over what is due.
    Deliver,
    /// A worker leases so many, begins so many of them, and dies.
    Dies(usize, usize),
    /// The relay takes so many more letters, and hangs up in place of its answers.
    HangsUp(usize),
    GoesAway,
    ComesBack,
    /// So many minutes go by.
    Later(i64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        2 => Just(Act::Pause),
        3 => Just(Act::Resume),
        4 => Just(Act::Deliver),
        2 => (0..12_usize, 0..=usize::from(WINDOW)).prop_map(|(all, some)| Act::Dies(all, some)),
        2 => (1..4_usize).prop_map(Act::HangsUp),
        1 => Just(Act::GoesAway),
        2 => Just(Act::ComesBack),
        4 => (1..40_i64).prop_map(Act::Later),
    ];
    prop::collection::vec(act, 1..30)
}

fn crowd() -> Vec<Staff> {
    (0..PEOPLE)
        .map(|nth| {
            let name = format!("user{nth}");
            staff(
                &name,
                &format!("{name}@parl.example"),
                &format!("User Number {nth}"),
            )
        })
        .collect()
}

async fn a_campaign(sink: &Sink) -> Bell {
    let bell = Bell::with(Setup {
        relay: sink.relay(WINDOW),
        ..Setup::default()
    })
    .await;
    sink.follow(&bell.app.clock);
    bell.people(&crowd()).await;
    let names: Vec<String> = (0..PEOPLE).map(|nth| format!("user{nth}")).collect();
    let lines: Vec<(&str, &str, &str)> = names
        .iter()
        .map(|name| (name.as_str(), "weak", "2026-03-01T02:00:00Z"))
        .collect();
    bell.audit("march", &lines).await;
    bell.campaign().await;
    bell
}

async fn state(bell: &Bell) -> CampaignState {
    let mut tx = bell.app.store.read().await.unwrap();
    tx.campaigns().await.unwrap().remove(0).state
}

async fn happens(bell: &Bell, sink: &Sink, act: Act) {
    let id = division_bell::domain::CampaignId(1);
    match act {
        Act::Pause if state(bell).await == CampaignState::Running => {
            campaign::pause(&bell.app, id, "ann", None).await.unwrap();
        }
        Act::Resume if state(bell).await == CampaignState::Paused => {
            campaign::resume(&bell.app, id, "ann").await.unwrap();
        }
        Act::Pause | Act::Resume => {}
        Act::Deliver => {
            let paused = state(bell).await == CampaignState::Paused;
            let before = sink.count();
            bell.deliver().await;
            assert!(
                !paused || sink.count() == before,
                "it went on while it stood still"
            );
        }
        Act::Dies(all, some) => {
            let now = bell.now();
            let mut tx = bell.app.store.begin().await.unwrap();
            let until = now.plus(TimeDelta::minutes(15));
            let leased = tx.claim(all, "dead", until, now).await.unwrap();
            let begun: Vec<_> = leased
                .iter()
                .take(some)
                .map(|one| (one.id, one.thread))
                .collect();
            tx.begin_attempts(&begun, "dead", now).await.unwrap();
            tx.commit().await.unwrap();
        }
        Act::HangsUp(count) => sink.hang_up_after_taking(count),
        Act::GoesAway => sink.go_away(),
        Act::ComesBack => sink.come_back(),
        Act::Later(minutes) => bell.advance(TimeDelta::minutes(minutes)),
    }
}

/// Everything is well again, and enough time goes by.
async fn ends_well(bell: &Bell, sink: &Sink) {
    sink.come_back();
    sink.hang_up_after_taking(0);
    happens(bell, sink, Act::Resume).await;
    bell.at("2026-03-03T08:00:00Z");
    for _ in 0..6 {
        bell.deliver().await;
        bell.advance(TimeDelta::minutes(40));
    }
}

async fn nobody_is_lost_and_nobody_told_twice_unseen(bell: &Bell, sink: &Sink) {
    let mut got: HashMap<String, Vec<_>> = HashMap::new();
    for taken in sink.taken() {
        got.entry(taken.to.clone()).or_default().push(taken);
    }
    let doubtful = bell
        .column("SELECT recipient FROM deliveries WHERE possible_duplicate")
        .await;
    for (to, letters) in &got {
        assert!(
            letters.len() == 1 || doubtful.contains(to),
            "{to} was told twice unseen"
        );
        assert!(
            letters.windows(2).all(|two| two[0].hash == two[1].hash),
            "{to}"
        );
    }
    // Whoever got nothing is a human being's work: in doubt twice.
    let stopped = bell
        .column("SELECT recipient FROM deliveries WHERE state = 'stopped' AND possible_duplicate")
        .await;
    let states = bell
        .rows("SELECT state, COUNT(*) FROM deliveries WHERE state NOT IN ('accepted', 'stopped') GROUP BY state")
        .await;
    assert!(states.is_empty(), "{states:?}");
    assert!(got.len() + stopped.len() >= PEOPLE, "somebody was lost");
    let tasks = bell
        .count("SELECT COUNT(*) FROM tasks WHERE kind = 'decide' AND done_at IS NULL")
        .await;
    let untold = "SELECT COUNT(*) FROM deliveries x JOIN cases c ON c.thread_id = x.thread_id WHERE x.state = 'stopped' AND c.state = 'open'";
    assert_eq!(tasks, bell.count(untold).await);
    bell.books().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn pauses_crashes_and_faults_in_any_order_lose_nobody(acts in acts()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let sink = Sink::start();
            let bell = a_campaign(&sink).await;
            for act in &acts {
                happens(&bell, &sink, *act).await;
            }
            ends_well(&bell, &sink).await;
            nobody_is_lost_and_nobody_told_twice_unseen(&bell, &sink).await;
        });
    }
}

#[tokio::test]
async fn what_was_stopped_is_said_no_more_and_its_people_are_free_for_the_next() {
    let sink = Sink::start();
    let bell = a_campaign(&sink).await;
    happens(&bell, &sink, Act::Dies(4, 2)).await;
    let id = division_bell::domain::CampaignId(1);
    campaign::stop(&bell.app, id, "ann", Some("the wrong audit"))
        .await
        .unwrap();
    bell.advance(TimeDelta::hours(2));
    bell.deliver().await;
    assert_eq!(sink.count(), 0);
    let plan = division_bell::steps::plan::plan(&bell.app).await.unwrap();
    assert!(plan.people_told() >= (PEOPLE - 2) as u64, "{plan}");
}

#[tokio::test]
async fn whoever_asks_did_x_get_it_is_told_the_whole_story() {
    let sink = Sink::start();
    let bell = a_campaign(&sink).await;
    bell.deliver().await;
    let config = bell.path("bell.toml");
    let answer = program::bell(&config, &["delivery", "of", "user3@parl.example"]);
    assert_eq!(answer.code, 0, "{}", answer.err);
    for part in [
        "notice.weak by mail",
        "accepted",
        "queued",
        "attempt",
        "dot 250",
    ] {
        assert!(answer.out.contains(part), "{part}: {}", answer.out);
    }
    assert!(
        !answer.out.contains("user3@"),
        "addresses are masked: {}",
        answer.out
    );
    let answer = program::bell(&config, &["delivery", "show", "1", "--json"]);
    assert_eq!(
        (answer.code, answer.out.contains("\"attempts\"")),
        (0, true),
        "{}",
        answer.err
    );
    let answer = program::bell(&config, &["delivery", "show", "999"]);
    assert!(
        answer.code == 1 && answer.err.contains("there is no delivery 999"),
        "{}",
        answer.err
    );
    let answer = program::bell(
        &config,
        &[
            "--as", "ann", "delivery", "decide", "1", "again", "--reason", "x",
        ],
    );
    assert!(
        answer.code == 2 && answer.err.contains("not stopped in doubt"),
        "{}",
        answer.err
    );
}

#[tokio::test]
async fn a_relay_that_refuses_the_password_is_held_until_an_operator_releases_it() {
    use crate::support::sink::{At, No};
    let sink = Sink::start();
    let bell = a_campaign(&sink).await;
    sink.refuse(&[No {
        at: At::Mail,
        to: String::new(),
        reply: "550 5.7.60 not as this sender".to_owned(),
    }]);
    let delivered = bell.deliver().await;
    assert!(delivered.held.is_some(), "{delivered}");
    sink.refuse(&[]);
    let calls = sink.call_count();
    bell.advance(TimeDelta::minutes(45));
    let delivered = bell.deliver().await;
    assert!(delivered.held.unwrap().contains("bell hold release 1"));
    assert_eq!(sink.call_count(), calls, "it is not even called");
    let failed = bell
        .count("SELECT COUNT(*) FROM deliveries WHERE state NOT IN ('queued')")
        .await;
    assert_eq!(failed, 0, "nobody is marked for the relay's refusal");
    let config = bell.path("bell.toml");
    let answer = program::bell(&config, &["hold", "list"]);
    assert!(
        answer.code == 1 && answer.out.contains("550 at mail"),
        "{}",
        answer.out
    );
    let answer = program::bell(&config, &["alarms"]);
    assert!(
        answer.code == 1 && answer.out.contains("relay"),
        "{}",
        answer.out
    );
    let answer = program::bell(
        &config,
        &["--as", "ann", "hold", "release", "1", "--reason", "mended"],
    );
    assert_eq!(answer.code, 0, "{}", answer.err);
    let delivered = bell.deliver().await;
    assert_eq!(delivered.accepted, PEOPLE as u64, "{delivered}");
    let answer = program::bell(&config, &["alarms"]);
    assert_eq!(answer.code, 0, "{}", answer.out);
}
