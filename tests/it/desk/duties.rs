//! Partners who agree to be named, and the clocks of those who have to be told.

use chrono::TimeDelta;
use division_bell::desk::clock::{self, Decision};
use division_bell::desk::partner::{self, PartnerEdit};
use division_bell::desk::{incident, nudges, statement};
use division_bell::domain::duty::{Duty, Trigger};
use division_bell::store::PartnerDraft;

use super::*;

#[tokio::test]
async fn a_partner_agrees_to_one_wording_and_an_edit_voids_it() {
    let desk = Desk::new().await;
    let new = PartnerDraft {
        name: "NCSC",
        contact: "incident management",
        reference: None,
        wording: None,
    };
    let ncsc = partner::add(desk.app(), desk.incident, &new, WRITER)
        .await
        .unwrap();
    let no =
        declined(partner::clear(desk.app(), ncsc.id, "their press office", None, WRITER).await);
    assert!(no.contains("no wording"), "{no}");
    let edit = PartnerEdit {
        wording: Some("The National Cyber Security Centre helps us."),
        reference: Some("NCSC-1"),
    };
    partner::edit(desk.app(), ncsc.id, &edit, WRITER)
        .await
        .unwrap();
    let cleared = partner::clear(desk.app(), ncsc.id, "their press office", None, WRITER)
        .await
        .unwrap();
    assert_eq!(cleared.cleared_at, Some(desk.bell.now()));
    let edit = PartnerEdit {
        reference: Some("NCSC-2"),
        ..PartnerEdit::default()
    };
    let same = partner::edit(desk.app(), ncsc.id, &edit, WRITER)
        .await
        .unwrap();
    assert!(same.cleared_at.is_some(), "the wording is the same");
    let edit = PartnerEdit {
        wording: Some("The NCSC leads."),
        ..PartnerEdit::default()
    };
    partner::edit(desk.app(), ncsc.id, &edit, WRITER)
        .await
        .unwrap();
    let listed = partner::list(desk.app(), desk.incident, READER)
        .await
        .unwrap();
    assert_eq!((listed[0].cleared_at, listed[0].version), (None, 3));
}

#[tokio::test]
async fn a_text_names_a_partner_in_the_words_that_they_agreed_to_or_not_at_all() {
    let desk = Desk::new().await;
    let words = "The National Cyber Security Centre helps us.";
    let new = PartnerDraft {
        name: "National Cyber Security Centre",
        contact: "incident management",
        reference: None,
        wording: Some(words),
    };
    let ncsc = partner::add(desk.app(), desk.incident, &new, WRITER)
        .await
        .unwrap();
    let own = desk
        .draft(&format!("{TEXT} The National Cyber Security Centre leads."))
        .await;
    let theirs = desk.draft(&format!("{TEXT} {words}")).await;
    for id in [own, theirs] {
        let no = declined(statement::approve(desk.app(), id, None, APPROVER).await);
        assert!(
            no.contains("is named in words that they have not agreed to"),
            "{no}"
        );
    }
    partner::clear(desk.app(), ncsc.id, "their press office", None, WRITER)
        .await
        .unwrap();
    declined(statement::approve(desk.app(), own, None, APPROVER).await);
    statement::approve(desk.app(), theirs, None, APPROVER)
        .await
        .unwrap();
    // Another wording in between: what was approved is theirs no more.
    let edit = PartnerEdit {
        wording: Some("The National Cyber Security Centre helps us. A lot."),
        ..PartnerEdit::default()
    };
    partner::edit(desk.app(), ncsc.id, &edit, WRITER)
        .await
        .unwrap();
    let no = declined(statement::publish(desk.app(), theirs, WRITER).await);
    assert!(no.contains("have it cleared first"), "{no}");
}

#[tokio::test]
async fn a_clock_runs_from_being_aware_warns_and_rings_until_it_is_decided() {
    let desk = Desk::with("\n[communications]\nduties = [\"uk_gdpr\", \"nis2_warning\", \"nis2_notification\", \"nis2_final\"]\n").await;
    let aware = desk.bell.now();
    let no = declined(
        clock::start(
            desk.app(),
            desk.incident,
            Trigger::Aware,
            desk.hours(1),
            GUARD,
        )
        .await,
    );
    assert!(no.contains("after now"), "{no}");
    let clocks = clock::start(desk.app(), desk.incident, Trigger::Aware, aware, GUARD)
        .await
        .unwrap();
    let left: Vec<_> = clocks
        .iter()
        .map(|one| (one.clock.duty, one.minutes_left))
        .collect();
    assert_eq!(
        left,
        [
            (Duty::UkGdpr, Some(72 * 60)),
            (Duty::Nis2Warning, Some(24 * 60)),
            (Duty::Nis2Notification, Some(72 * 60)),
            (Duty::Nis2Final, None),
        ]
    );
    // What is told about the clocks is for the security lead.
    let to_security = async || {
        let due = nudges::due(desk.app()).await.unwrap();
        due.iter().filter(|one| one.to == "role:security").count()
    };
    desk.bell.advance(TimeDelta::hours(12));
    desk.pass().await;
    assert_eq!(to_security().await, 1);
    desk.bell.advance(TimeDelta::hours(13));
    desk.pass().await;
    assert!(
        desk.alarms()
            .await
            .contains(&"duty.INC-2603-1.nis2_warning".to_owned())
    );

    let late = Decision::Reported {
        at: None,
        reference: Some("C-1"),
        reason: None,
        advice: None,
    };
    let no =
        declined(clock::decide(desk.app(), desk.incident, Duty::Nis2Warning, &late, GUARD).await);
    assert!(no.contains("give the reason"), "{no}");
    let late = Decision::Reported {
        at: None,
        reference: Some("C-1"),
        reason: Some("the portal was down"),
        advice: None,
    };
    clock::decide(desk.app(), desk.incident, Duty::Nis2Warning, &late, GUARD)
        .await
        .unwrap();
    desk.pass().await;
    assert!(
        !desk
            .alarms()
            .await
            .iter()
            .any(|name| name.starts_with("duty."))
    );

    let not = |deputy| Decision::NotReported {
        reason: "no personal data",
        advice: Some("the data protection officer agrees"),
        deputy,
    };
    for nobody in [GUARD, "stranger"] {
        let no = declined(
            clock::decide(desk.app(), desk.incident, Duty::UkGdpr, &not(nobody), GUARD).await,
        );
        assert!(no.contains("name a deputy"), "{no}");
    }
    let clocks = clock::decide(desk.app(), desk.incident, Duty::UkGdpr, &not(LEAD), GUARD)
        .await
        .unwrap();
    assert_eq!(clocks[0].minutes_left, None);
    let sent = Decision::Reported {
        at: None,
        reference: None,
        reason: None,
        advice: None,
    };
    let clocks = clock::decide(
        desk.app(),
        desk.incident,
        Duty::Nis2Notification,
        &sent,
        GUARD,
    )
    .await
    .unwrap();
    assert!(
        clocks[3].clock.due_at.is_some(),
        "the final report's clock has started"
    );

    // The report tells of the clocks as they stood at each moment.
    let of = async |moment| division_bell::steps::report::report(desk.app(), Some(moment)).await;
    let then = of(aware.plus(TimeDelta::hours(1))).await.unwrap();
    let names: Vec<_> = then
        .clocks
        .iter()
        .map(|one| (&one.name[..], one.applies))
        .collect();
    assert_eq!(
        names,
        [
            ("INC-2603-1: UK GDPR art. 33(1)", None),
            ("INC-2603-1: NIS2 early warning", None),
            ("INC-2603-1: NIS2 notification", None),
        ]
    );
    let now = of(desk.bell.now()).await.unwrap();
    let stands: Vec<_> = now
        .clocks
        .iter()
        .map(|one| (one.applies, one.reference.as_deref()))
        .collect();
    assert_eq!(
        stands,
        [
            (Some(false), None),
            (Some(true), Some("C-1")),
            (Some(true), None),
            (None, None),
        ]
    );

    let log = incident::log(desk.app(), desk.incident, READER)
        .await
        .unwrap();
    let acts: Vec<_> = log.entries.iter().map(|entry| entry.act.as_str()).collect();
    for act in [
        "incident.opened",
        "duty.started",
        "duty.reported",
        "duty.not_reported",
        "desk.refused",
    ] {
        assert!(acts.contains(&act), "{act}: {acts:?}");
    }
    let log = incident::log(desk.app(), desk.incident, WRITER)
        .await
        .unwrap();
    assert_eq!(log.clocks, [], "the clocks are not for everybody");
}
