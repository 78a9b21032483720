//! Rates: what an operator is told of the time that letters take, and who is left alone at night.

use chrono::TimeDelta;
use serde_json::Value;

use division_bell::clock::Clock;
use division_bell::domain::Moment;
use division_bell::steps::exempt::exempt;
use division_bell::steps::{pace, plan};
use division_bell::store::Campaign;

use crate::support::flow::{ALWAYS, Bell, FOLDER, Setup, Staff, five, moment, staff};
use crate::support::program::bell;

/// A relay like a mailbox of Exchange Online, but for ten letters a minute.
const SLOW: &str = "preset = \"exchange_online\"\nper_minute = 10";

fn relay(lines: &str) -> String {
    format!("{FOLDER}\n{lines}")
}

/// `n` members of staff.
fn crowd(n: usize) -> Vec<Staff> {
    (1..=n)
        .map(|n| {
            staff(
                &format!("user{n}"),
                &format!("user{n}@parl.example"),
                &format!("User No{n}"),
            )
        })
        .collect()
}

/// A bell that knows of a weak password of each of `n` people.
async fn audited(n: usize, setup: Setup) -> Bell {
    let bell = Bell::with(setup).await;
    let people = crowd(n);
    bell.people(&people).await;
    let as_of = bell
        .now()
        .minus(TimeDelta::days(1))
        .utc()
        .format("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    let lines: Vec<(&str, &str, &str)> = people
        .iter()
        .map(|one| (one.sam.as_str(), "weak", as_of.as_str()))
        .collect();
    bell.audit("june", &lines).await;
    bell
}

async fn shown(bell: &Bell, campaign: &Campaign) -> pace::Pace {
    let mut tx = bell.app.store.read().await.unwrap();
    let campaign = tx.campaign(campaign.id).await.unwrap().unwrap();
    pace::pace(&bell.app, &mut tx, &campaign).await.unwrap()
}

#[tokio::test]
async fn a_plan_says_how_long_it_takes_and_who_is_told_when() {
    let setup = Setup {
        relay: relay(SLOW),
        ..Setup::default()
    };
    let bell = audited(90, setup).await;
    let plan = plan::plan(&bell.app).await.unwrap();
    let said = plan.to_string();
    for expected in [
        "90  notice.weak, the last of them Monday 08:09",
        "90 people at 10 a minute, 10,000 in 24 hours: 9 min, done Monday 08:09",
        "bound by what the relay takes in a minute",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert_eq!(plan.warnings, Vec::<String>::new());
    assert_eq!(
        plan.forecast.unwrap().ends,
        Some(moment("2026-03-02T08:08:54Z"))
    );
}

#[tokio::test]
async fn a_plan_warns_that_a_staff_wide_notice_does_not_fit_beside_it() {
    let setup = Setup {
        relay: relay("per_day = 20"),
        ..Setup::default()
    };
    let bell = audited(10, setup).await;
    let plan = plan::plan(&bell.app).await.unwrap();
    assert_eq!(
        plan.warnings,
        [
            "a notice to all 10 staff does not fit into the same day: the relay has room for 18 more in 24 hours, and these are 10"
        ]
    );
}

#[tokio::test]
async fn a_plan_warns_of_letters_that_do_not_fit_into_a_day_or_come_after_their_deadline() {
    let setup = Setup {
        relay: relay("per_day = 20\nreserve_percent = 0"),
        more: "[ladder.weak]\ndeadline_days = 2\nreminder_days = [1]\n".to_owned(),
        ..Setup::default()
    };
    let bell = audited(90, setup).await;
    let plan = plan::plan(&bell.app).await.unwrap();
    let said = plan.to_string();
    for expected in [
        "warning: these letters do not fit into one day: 20 on 2 March, 20 on 3 March, 20 on 4 March, the rest on 2 more days",
        "warning: the last notice.weak goes Friday 08:04, and the deadline in these letters begins at Wednesday 17:00: raise the pace, or give more days",
        "bound by what the relay takes in 24 hours",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[tokio::test]
async fn a_plan_counts_what_has_left_and_what_is_queued_already() {
    let setup = Setup {
        relay: relay("per_minute = 10"),
        ..Setup::default()
    };
    let bell = audited(30, setup).await;
    bell.campaign().await;
    let mut everybody = crowd(30);
    everybody.push(staff("late", "late@parl.example", "Lea Late"));
    bell.people(&everybody).await;
    bell.audit("july", &[("late", "weak", "2026-03-01T08:00:00Z")])
        .await;
    let plan = plan::plan(&bell.app).await.unwrap();
    // Thirty letters are before it.
    assert_eq!(
        plan.forecast.unwrap().begins,
        Some(moment("2026-03-02T08:03:00Z"))
    );
}

#[tokio::test]
async fn people_are_told_in_waves_that_the_help_desk_bears() {
    let setup = Setup {
        more: "[campaign]\nannounce_lead = \"0 s\"\nhelpdesk_contacts_per_hour = 1\nexpected_contacts_percent = 5\n"
            .to_owned(),
        ..Setup::default()
    };
    let bell = audited(50, setup).await;
    let plan = plan::plan(&bell.app).await.unwrap();
    let said = plan.to_string();
    for expected in [
        "50 people at 20 people an hour: 2 h 2 min, done Monday 10:02",
        "bound by the people whom the help desk bears in an hour",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[tokio::test]
async fn a_campaign_says_how_far_it_is_and_when_it_will_be_done() {
    let setup = Setup {
        relay: relay("per_minute = 10"),
        ..Setup::default()
    };
    let bell = audited(40, setup).await;
    let draft = bell.draft().await;
    let pace = shown(&bell, &draft).await;
    assert_eq!((pace.sent, pace.left, pace.per_minute), (0, 0, None));
    assert_eq!(
        pace.in_words,
        [
            "0 letters sent, 0 left",
            "40 people at 10 a minute: 4 min, done Monday 08:04",
            "bound by what the relay takes in a minute",
        ]
    );
    bell.approve(draft.id).await.unwrap();
    bell.notify().await;
    let pace = shown(&bell, &draft).await;
    assert_eq!((pace.sent, pace.left), (0, 40));
    assert!(
        pace.in_words[1].starts_with("40 letters at 10 a minute: 4 min"),
        "{pace:?}"
    );
    // Half an hour later, however many went: what was sent and what is left are all.
    bell.advance(TimeDelta::minutes(30));
    bell.deliver().await;
    bell.advance(TimeDelta::minutes(2));
    let pace = shown(&bell, &draft).await;
    assert_eq!(pace.sent + pace.left, 40);
    assert!(pace.sent > 0);
    let rate = pace.sent as f64 / 2.0;
    assert_eq!(pace.per_minute, Some(rate));
    let said = format!(
        "{} letters sent, {} left; {rate:.1} a minute over the last hour",
        pace.sent, pace.left
    );
    assert_eq!(pace.in_words[0], said);
}

#[tokio::test]
async fn the_command_line_tells_the_forecast_in_words_and_as_json() {
    let own = Bell::with(Setup {
        relay: relay(SLOW),
        more: ALWAYS.to_owned(),
        start: Clock::System.now(),
        ..Setup::default()
    })
    .await;
    own.people(&five()).await;
    let as_of = own
        .now()
        .minus(TimeDelta::days(1))
        .utc()
        .format("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    own.audit(
        "june",
        &[("abaraa", "weak", &as_of), ("coxc", "weak", &as_of)],
    )
    .await;
    let config = own.path("bell.toml");
    let said = bell(&config, &["plan"]);
    assert!(
        said.out
            .contains("2 people at 10 a minute, 10,000 in 24 hours: under a minute"),
        "{said:?}"
    );
    let json = |arguments: &[&str]| -> Value {
        let answer = bell(&config, &[&["--json"], arguments].concat());
        assert_eq!(answer.code, 0, "{answer:?}");
        serde_json::from_str(&answer.out).unwrap()
    };
    let plan = json(&["plan"]);
    assert_eq!(plan["forecast"]["letters"], 2, "{plan}");
    assert_eq!(plan["forecast"]["bound_by"], "per_minute");
    assert_eq!(plan["forecast"]["shares"][0]["kind"], "notice.weak");
    let ends: Moment = plan["forecast"]["ends"].as_str().unwrap().parse().unwrap();
    assert!(ends > own.now());
    own.campaign().await;
    let shown = json(&["campaign", "show", "1"]);
    assert_eq!(shown["pace"]["left"], 2, "{shown}");
    assert_eq!(shown["pace"]["forecast"]["letters"], 2);
    let said = bell(&config, &["campaign", "show", "1"]);
    assert!(said.out.contains("0 letters sent, 2 left"), "{said:?}");
    let said = bell(&config, &["campaign", "pause", "1"]);
    assert_eq!(said.code, 0, "{said:?}");
    let said = bell(&config, &["campaign", "show", "1"]);
    assert!(said.out.contains("it stands still"), "{said:?}");
}

/// When the queued letters of an account may go.
async fn due(bell: &Bell, sam: &str) -> Vec<String> {
    bell.column(&format!(
        "SELECT x.due_at FROM deliveries x JOIN cases c ON c.thread_id = x.thread_id JOIN accounts a ON a.id = c.account_id WHERE a.sam = '{sam}' AND x.state = 'queued'"
    ))
    .await
    .into_iter()
    .map(|micros| Moment::from_micros(micros.parse().unwrap()).to_string())
    .collect()
}

/// Five people of whom one works on the other side of the world.
async fn spread() -> Bell {
    let bell = Bell::new().await;
    bell.people(&five()).await;
    bell.rows(
        "UPDATE persons SET time_zone = 'America/Los_Angeles' WHERE display_name = 'Colin Cox'",
    )
    .await;
    bell
}

#[tokio::test]
async fn first_notices_wait_for_the_readers_own_morning() {
    let bell = spread().await;
    bell.audit(
        "june",
        &[
            ("abaraa", "weak", "2026-03-01T08:00:00Z"),
            ("coxc", "weak", "2026-03-01T08:00:00Z"),
        ],
    )
    .await;
    bell.campaign().await;
    assert_eq!(due(&bell, "abaraa").await, ["2026-03-02T08:00:00Z"]);
    assert_eq!(due(&bell, "coxc").await, ["2026-03-02T15:00:00Z"]);
    let plan = bell.deliver().await;
    assert_eq!(plan.accepted, 1);
}

#[tokio::test]
async fn reminders_and_thanks_wait_for_the_readers_own_morning() {
    let bell = spread().await;
    bell.audit("june", &[("coxc", "attacked", "2026-03-01T08:00:00Z")])
        .await;
    bell.campaign().await;
    bell.at("2026-03-02T16:00:00Z");
    bell.deliver().await;
    // The service was down when the reminder was due, at ten in the morning there, and comes back at ten in the evening.
    bell.at("2026-03-04T06:00:00Z");
    bell.notify().await;
    assert_eq!(due(&bell, "coxc").await, ["2026-03-04T15:00:00Z"]);
    bell.at("2026-03-04T16:00:00Z");
    bell.deliver().await;
    bell.at("2026-03-05T06:00:00Z");
    bell.evidence(&[("coxc", "2026-03-05T05:00:00Z", false)])
        .await;
    assert_eq!(due(&bell, "coxc").await, ["2026-03-05T15:00:00Z"]);
}

#[tokio::test]
async fn a_letter_that_rested_with_its_case_goes_in_the_readers_morning() {
    let bell = spread().await;
    bell.audit("june", &[("coxc", "weak", "2026-03-01T08:00:00Z")])
        .await;
    bell.campaign().await;
    let case = bell.case_of("coxc").await.id;
    // Nine in the morning in London is one in the morning there.
    let until = moment("2026-03-06T09:00:00Z");
    exempt(&bell.app, case, until, "on leave", "ann", "ben")
        .await
        .unwrap();
    assert_eq!(due(&bell, "coxc").await, ["2026-03-06T15:00:00Z"]);
}

#[tokio::test]
async fn letters_are_queued_in_the_order_of_class_and_deadline() {
    let bell = Bell::new().await;
    bell.people(&five()).await;
    bell.audit(
        "june",
        &[
            ("abaraa", "weak", "2026-03-01T08:00:00Z"),
            ("brightb", "breached", "2026-03-01T08:00:00Z"),
            ("coxc", "attacked", "2026-03-01T08:00:00Z"),
            ("deverauxd", "compromised", "2026-03-01T08:00:00Z"),
        ],
    )
    .await;
    bell.contain("deverauxd").await;
    bell.campaign().await;
    let order = bell
        .column("SELECT kind FROM deliveries ORDER BY priority")
        .await;
    assert_eq!(
        order,
        [
            "notice.compromised",
            "notice.breached",
            "notice.attacked",
            "notice.weak"
        ]
    );
    let classes = bell
        .column("SELECT priority / 1099511627776 FROM deliveries ORDER BY priority")
        .await;
    assert_eq!(classes, ["0", "30", "31", "32"]);
}
