//! What falls due by itself: promises, forgotten drafts, held statements, and figures that have moved.

use chrono::TimeDelta;
use division_bell::desk::{incident, nudges, statement};
use division_bell::domain::incident::IncidentState;
use division_bell::domain::statement::StatementState;

use super::*;

#[tokio::test]
async fn a_promise_is_brought_to_mind_before_its_time_and_rings_until_something_is_said() {
    let desk = Desk::new().await;
    desk.bell.advance(TimeDelta::minutes(269));
    assert_eq!(desk.pass().await.nudged, 0);
    desk.bell.advance(TimeDelta::minutes(1));
    assert_eq!(desk.pass().await.nudged, 1);
    assert_eq!(desk.pass().await.nudged, 0, "once");
    let due = nudges::due(desk.app()).await.unwrap();
    assert_eq!(due[0].to, "role:communications");
    assert!(due[0].text.contains("by 2pm on Monday 2 March"), "{due:?}");
    assert!(nudges::is_for(desk.app(), &due[0], WRITER));
    assert!(!nudges::is_for(desk.app(), &due[0], READER));
    // Another promise in its place does not keep it.
    incident::promise(desk.app(), desk.incident, desk.hours(3), WRITER)
        .await
        .unwrap();
    desk.bell.advance(TimeDelta::minutes(30));
    desk.pass().await;
    assert_eq!(desk.alarms().await, ["promise.INC-2603-1"]);
    // The status post shows what is promised now.
    desk.bell.announce().await;
    let posts = desk.posts();
    assert!(
        posts.iter().any(|post| post.contains("Next update by")),
        "{posts:?}"
    );
    desk.published(TEXT).await;
    desk.pass().await;
    assert_eq!(desk.alarms().await, [""; 0]);
    // What was promised together with the statement is a promise of its own.
    desk.bell.advance(TimeDelta::hours(3));
    desk.pass().await;
    assert_eq!(desk.alarms().await, ["promise.INC-2603-1"]);
    incident::move_to(
        desk.app(),
        desk.incident,
        IncidentState::Resolved,
        None,
        LEAD,
    )
    .await
    .unwrap();
    desk.pass().await;
    assert_eq!(desk.alarms().await, [""; 0]);
}

#[tokio::test]
async fn a_draft_that_nobody_touches_is_brought_to_its_authors_mind() {
    let desk = Desk::new().await;
    let id = desk.draft(TEXT).await;
    desk.bell.advance(TimeDelta::minutes(119));
    assert_eq!(desk.pass().await.nudged, 0);
    desk.bell.advance(TimeDelta::minutes(1));
    assert_eq!(desk.pass().await.nudged, 1);
    assert_eq!(desk.pass().await.nudged, 0);
    let due = nudges::due(desk.app()).await.unwrap();
    assert_eq!(due[0].to, "operator:cleo");
    statement::approve(desk.app(), id, None, APPROVER)
        .await
        .unwrap();
    desk.bell.advance(TimeDelta::hours(2));
    assert_eq!(desk.pass().await.nudged, 0, "it is no draft any more");
}

#[tokio::test]
async fn a_time_that_comes_while_something_stands_in_the_way_publishes_nothing() {
    let desk = Desk::new().await;
    let id = desk.approved(&format!("{TEXT} See evil.example.")).await;
    statement::schedule(desk.app(), id, desk.hours(1), WRITER)
        .await
        .unwrap();
    desk.bell.advance(TimeDelta::hours(1));
    let passed = desk.pass().await;
    assert_eq!((passed.published, passed.held, passed.nudged), (0, 1, 1));
    let held = desk.statement(id).await;
    assert_eq!(
        (held.state, held.publish_at),
        (StatementState::Approved, None)
    );
    let due = nudges::due(desk.app()).await.unwrap();
    assert!(
        due[0].text.contains("a link that is not on the list"),
        "{due:?}"
    );
    assert_eq!(desk.pass().await.held, 0);
}

#[tokio::test]
async fn a_published_figure_that_the_ledger_moves_past_has_a_correction_drafted_once_a_step() {
    let desk = Desk::new().await;
    desk.bell.intake("weak-passwords.csv").await;
    let id = desk
        .published(&TEXT.replace("{{ weak }}", "{{ told }} of the"))
        .await;
    assert_eq!(desk.pass().await.corrections, 0);
    desk.bell.approve().await;
    desk.bell.notify().await;
    desk.bell.deliver().await;
    let passed = desk.pass().await;
    assert_eq!((passed.corrections, passed.nudged), (1, 1), "{passed}");
    assert_eq!(desk.pass().await.corrections, 0);
    let all = statement::list(desk.app(), Some(desk.incident), WRITER)
        .await
        .unwrap();
    let correction = &all[0];
    assert_eq!(
        (correction.author.as_str(), correction.about),
        ("bell", Some(id))
    );
    let shown = statement::preview(desk.app(), correction.id, APPROVER)
        .await
        .unwrap();
    assert!(
        shown
            .wording
            .text
            .contains("We said: none people told so far. Now it is: at least 20."),
        "{}",
        shown.wording.text
    );
    // A person approves what nobody has written.
    statement::approve(desk.app(), correction.id, None, APPROVER)
        .await
        .unwrap();
    statement::publish(desk.app(), correction.id, WRITER)
        .await
        .unwrap();
    assert_eq!(desk.statement(id).await.state, StatementState::Corrected);
    assert_eq!(desk.pass().await.corrections, 0);
}
