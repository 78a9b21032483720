//! Days without a relay, on a virtual clock, while the service's steps run by their schedules.

use chrono::TimeDelta;
use division_bell::domain::Moment;
use division_bell::serve;

use crate::support::flow::{ALWAYS, Bell, Setup, databases, five};
use crate::support::sink::{At, No, Sink};

/// The steps that letters depend on.
const STEPS: [&str; 4] = ["notify", "deliver", "inbox", "confirm"];

/// A campaign for five people that is queued and due.
async fn campaign(store: Option<String>, sink: &Sink) -> Bell {
    let bell = Bell::with(Setup {
        store,
        relay: sink.relay(16),
        // The timetable is looked at, and not the nights that put it off.
        more: ALWAYS.to_owned(),
        ..Setup::default()
    })
    .await;
    sink.follow(&bell.app.clock);
    bell.people(&five()).await;
    let lines: Vec<(&str, &str, &str)> = ["abaraa", "brightb", "coxc", "deverauxd", "ekwuemee"]
        .iter()
        .map(|sam| (*sam, "weak", "2026-03-01T02:00:00Z"))
        .collect();
    bell.audit("march", &lines).await;
    bell.campaign().await;
    bell
}

/// Runs the steps by their schedules for as long as this.
async fn live(bell: &Bell, span: TimeDelta) {
    let schedules: Vec<_> = serve::schedules(&bell.app)
        .unwrap()
        .into_iter()
        .filter(|(name, _)| STEPS.contains(name))
        .collect();
    assert_eq!(schedules.len(), STEPS.len());
    let end = bell.now().plus(span);
    let next = |after: Moment| {
        let firings = schedules
            .iter()
            .map(|(name, schedule)| (schedule.next_after(after).unwrap(), *name));
        let mut firings: Vec<_> = firings.collect();
        firings.sort();
        let first = firings[0].0;
        firings.retain(|(at, _)| *at == first);
        firings
    };
    let mut firings = next(bell.now());
    while firings[0].0 <= end {
        let now = firings[0].0;
        bell.app.clock.set(now);
        for (_, name) in &firings {
            bell.step(name).await;
        }
        firings = next(now);
    }
    bell.app.clock.set(end);
}

/// Nobody is at fault for a relay that is away: their letters wait, and a human being knows that they are late.
async fn nobody_is_blamed(bell: &Bell) {
    assert_eq!(
        bell.rows("SELECT state, COUNT(*) FROM deliveries GROUP BY state")
            .await,
        [["queued", "5"]]
    );
    assert_eq!(
        bell.count("SELECT COUNT(*) FROM cases WHERE not_reached IS NOT NULL OR state <> 'open'")
            .await,
        0
    );
    assert_eq!(
        bell.rows(
            "SELECT kind, reason, COUNT(*) FROM tasks WHERE done_at IS NULL GROUP BY kind, reason"
        )
        .await,
        [["reach", "late", "5"]]
    );
    assert_eq!(
        bell.count("SELECT COUNT(*) FROM attempts WHERE outcome IN ('fail_recipient', 'in_doubt')")
            .await,
        0
    );
}

/// Everybody has exactly one letter, and nobody is to be reached another way any more.
async fn all_are_told(bell: &Bell, sink: &Sink) {
    let mut told: Vec<String> = sink.taken().into_iter().map(|one| one.to).collect();
    told.sort();
    assert_eq!(
        told,
        [
            "ada.abara@parl.example",
            "bea.bright@parl.example",
            "colin.cox@parl.example",
            "dora.deveraux@parl.example",
            "emeka.ekwueme@parl.example",
        ]
    );
    assert_eq!(
        bell.count("SELECT COUNT(*) FROM tasks WHERE done_at IS NULL")
            .await,
        0
    );
    assert_eq!(
        bell.rows("SELECT done_by, COUNT(*) FROM tasks WHERE reason = 'late' GROUP BY done_by")
            .await,
        [["bell", "5"]]
    );
    bell.books().await;
}

#[tokio::test]
async fn a_relay_that_is_away_for_three_days_is_waited_for_and_everybody_is_told_in_the_end() {
    for store in databases().await {
        let sink = Sink::start();
        sink.go_away();
        let bell = campaign(store, &sink).await;
        let deadlines = bell
            .column("SELECT deadline_at FROM cases ORDER BY id")
            .await;
        live(&bell, TimeDelta::hours(3)).await;
        assert_eq!(bell.count("SELECT COUNT(*) FROM tasks").await, 0);
        live(&bell, TimeDelta::hours(69)).await;
        nobody_is_blamed(&bell).await;
        sink.come_back();
        // As long as a relay that was away for days may be left alone, and a letter after it.
        live(&bell, TimeDelta::minutes(75)).await;
        all_are_told(&bell, &sink).await;
        assert_eq!(
            bell.column("SELECT deadline_at FROM cases ORDER BY id")
                .await,
            deadlines
        );
    }
}

/// The moments of these calls that lie in the day that begins at `from`.
fn calls_of_a_day(calls: &[Moment], from: Moment) -> usize {
    let until = from.plus(TimeDelta::days(1));
    calls
        .iter()
        .filter(|at| (from..until).contains(*at))
        .count()
}

#[tokio::test]
async fn a_relay_that_hangs_up_for_five_days_expires_nobody() {
    let sink = Sink::start();
    sink.be_deaf(true);
    let bell = campaign(None, &sink).await;
    live(&bell, TimeDelta::hours(120)).await;
    nobody_is_blamed(&bell).await;
    sink.be_deaf(false);
    live(&bell, TimeDelta::minutes(75)).await;
    all_are_told(&bell, &sink).await;
}

#[tokio::test]
async fn a_relay_that_is_away_is_asked_at_a_decent_interval() {
    let sink = Sink::start();
    sink.be_deaf(true);
    let bell = campaign(None, &sink).await;
    let start = bell.now().plus(TimeDelta::hours(1));
    live(&bell, TimeDelta::hours(74)).await;
    for day in 0..3 {
        let from = start.plus(TimeDelta::days(day));
        let calls = calls_of_a_day(&sink.calls(), from);
        assert!((1..=60).contains(&calls), "day {day}: {calls} calls");
    }
}

#[tokio::test]
async fn a_recipient_who_is_deferred_for_days_is_tried_by_the_timetable_and_then_reached_another_way()
 {
    let sink = Sink::start();
    sink.refuse(&[No {
        at: At::Rcpt,
        to: "ada.abara".to_owned(),
        reply: "450 4.2.0 not now".to_owned(),
    }]);
    let bell = campaign(None, &sink).await;
    live(&bell, TimeDelta::hours(5)).await;
    assert_eq!(
        bell.tasks_of("abaraa").await,
        [("reach".to_owned(), "late".to_owned())]
    );
    live(&bell, TimeDelta::hours(118)).await;
    let started = bell
        .column("SELECT a.started_at FROM attempts a JOIN deliveries x ON x.id = a.delivery_id WHERE x.recipient LIKE 'ada.abara%' ORDER BY a.id")
        .await;
    let offsets: Vec<i64> = started
        .iter()
        .map(|at| (at.parse::<i64>().unwrap() - started[0].parse::<i64>().unwrap()) / 60_000_000)
        .collect();
    for (nth, minutes) in offsets.iter().enumerate() {
        // It is looked at each minute; from the fourth on chance moves it a little.
        let (wanted, play) = match nth {
            0 => (0, 0),
            1 => (30, 0),
            2 => (60, 0),
            3 => (180, 0),
            nth => (180 * (nth as i64 - 2), 18),
        };
        assert!(
            (wanted - play..=wanted + play + 2).contains(minutes),
            "attempt {nth}: {minutes} and not {wanted} minutes: {offsets:?}"
        );
    }
    assert!((41..=43).contains(&offsets.len()), "{offsets:?}");
    assert_eq!(
        bell.rows("SELECT state, COUNT(*) FROM deliveries WHERE kind = 'notice.weak' GROUP BY state ORDER BY state")
            .await,
        [["accepted", "4"], ["expired", "1"]]
    );
    assert_eq!(
        bell.tasks_of("abaraa").await,
        [("reach".to_owned(), "undeliverable".to_owned())]
    );
    assert_eq!(
        bell.case_of("abaraa").await.not_reached.as_deref(),
        Some("undeliverable")
    );
    // Whoever the notice has not reached is not reminded of it.
    assert!(sink.taken().iter().all(|one| !one.to.starts_with("ada")));
    bell.books().await;
}

#[tokio::test]
async fn whoever_resets_meanwhile_is_no_longer_to_be_reached() {
    let sink = Sink::start();
    sink.be_deaf(true);
    let bell = campaign(None, &sink).await;
    live(&bell, TimeDelta::hours(5)).await;
    assert_eq!(bell.tasks_of("coxc").await.len(), 1);
    bell.evidence(&[("coxc", "2026-03-02T10:00:00Z", false)])
        .await;
    assert_eq!(bell.tasks_of("coxc").await, []);
    sink.be_deaf(false);
    live(&bell, TimeDelta::minutes(75)).await;
    assert_eq!(sink.count(), 4, "a closed case needs no notice");
}
