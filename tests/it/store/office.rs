//! What stands beside statements: names by index, partners, duties, nudges, and what an incident's readers were told.

use std::collections::BTreeSet;

use division_bell::domain::IncidentId;
use division_bell::domain::duty::{Decided, Duty, Trigger, Verdict};
use division_bell::domain::guard::keys_of;
use division_bell::domain::incident::{IncidentState, Word};
use division_bell::store::{PartnerDraft, StoreError};

use super::bed::at;
use super::{Bed, both};

async fn incident(bed: &Bed) -> IncidentId {
    let mut tx = bed.tx().await;
    let opened = tx
        .open_incident("Attack", "ann", Some(at(9)), at(0))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    opened.id
}

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

async fn index(bed: &Bed) -> usize {
    let people = bed.read().await.unindexed_names(2).await.unwrap();
    let keys: Vec<_> = people
        .iter()
        .map(|(id, name)| (*id, keys_of(name.expose())))
        .collect();
    let mut tx = bed.tx().await;
    tx.index_names(&keys).await.unwrap();
    tx.commit().await.unwrap();
    keys.len()
}

#[tokio::test]
async fn names_and_logins_are_found_among_words() {
    both(async |bed| {
        bed.people(3).await;
        bed.sql("UPDATE persons SET display_name = 'Zoë Müller' WHERE id = (SELECT MIN(id) FROM persons)").await.unwrap();
        assert_eq!((index(&bed).await, index(&bed).await, index(&bed).await), (2, 1, 0));
        let asked = set(&["muller zoe", "~muller", "number user", "clarke user"]);
        let found = bed.read().await.names_among(&asked).await.unwrap();
        assert_eq!(found, set(&["muller zoe", "~muller", "number user"]));
        // Whoever has another name is found by that, and not by the old one.
        bed.sql("UPDATE persons SET display_name = 'Zoë Quill' WHERE display_name = 'Zoë Müller'").await.unwrap();
        assert_eq!((index(&bed).await, index(&bed).await), (1, 0));
        let found = bed.read().await.names_among(&set(&["muller zoe", "quill zoe"])).await.unwrap();
        assert_eq!(found, set(&["quill zoe"]));
        assert_eq!(bed.read().await.names_among(&set(&[])).await.unwrap(), set(&[]));

        let asked = set(&["user1", "user2@parl.example", "id-000003", "nobody"]);
        let found = bed.read().await.logins_among(&asked).await.unwrap();
        assert_eq!(found, set(&["user1", "user2@parl.example", "id-000003"]));
    })
    .await;
}

#[tokio::test]
async fn a_partners_clearance_ends_with_another_wording() {
    both(async |bed| {
        let about = incident(&bed).await;
        let mut tx = bed.tx().await;
        let new = PartnerDraft {
            name: "NCSC",
            contact: "duty officer",
            reference: None,
            wording: Some("They help us."),
        };
        let added = tx.add_partner(about, &new, "ann", at(1)).await.unwrap();
        tx.clear_partner(&added, "press office", at(1), "ann", at(2))
            .await
            .unwrap();
        let cleared = tx.partner(added.id).await.unwrap().unwrap();
        assert_eq!(
            (cleared.cleared_at, cleared.cleared_with.as_deref()),
            (Some(at(1)), Some("press office"))
        );
        tx.edit_partner(&cleared, Some("R-1"), Some("They help us."), "ann", at(3))
            .await
            .unwrap();
        let same = tx.partner(added.id).await.unwrap().unwrap();
        assert_eq!((same.cleared_at, same.version), (Some(at(1)), 1));
        tx.edit_partner(&same, Some("R-1"), Some("They lead."), "ann", at(3))
            .await
            .unwrap();
        let lost = tx
            .clear_partner(&same, "press office", at(3), "ann", at(3))
            .await;
        assert!(
            matches!(
                lost,
                Err(StoreError::Lost {
                    table: "partners",
                    ..
                })
            ),
            "{lost:?}"
        );
        drop(tx);
        let mut tx = bed.tx().await;
        let added = tx.add_partner(about, &new, "ann", at(1)).await.unwrap();
        tx.edit_partner(&added, None, Some("They lead."), "ann", at(3))
            .await
            .unwrap();
        let listed = tx.partners(about).await.unwrap();
        assert_eq!(
            (listed.len(), listed[0].version, listed[0].cleared_at),
            (1, 2, None)
        );
    })
    .await;
}

#[tokio::test]
async fn of_several_moments_of_being_aware_the_earliest_counts_and_decisions_are_kept_in_order() {
    both(async |bed| {
        let about = incident(&bed).await;
        let mut tx = bed.tx().await;
        for hour in [3, 2, 4] {
            tx.note_trigger(about, Trigger::Aware, at(hour), "sol", at(5))
                .await
                .unwrap();
        }
        tx.note_trigger(about, Trigger::HighRisk, at(4), "sol", at(5))
            .await
            .unwrap();
        assert_eq!(
            tx.triggers().await.unwrap(),
            [
                (about, Trigger::Aware, at(2)),
                (about, Trigger::HighRisk, at(4))
            ]
        );
        let decided = Decided {
            duty: Duty::UkGdpr,
            verdict: Verdict::NotReported,
            at: at(5),
            reference: None,
            reason: Some("no risk".to_owned()),
            advice: Some("the officer agrees".to_owned()),
            deputy: Some("lea".to_owned()),
            by: "sol".to_owned(),
        };
        let later = Decided {
            verdict: Verdict::Reported,
            reference: Some("IC-1".to_owned()),
            reason: None,
            deputy: None,
            ..decided.clone()
        };
        tx.decide_duty(about, &decided, at(5)).await.unwrap();
        tx.decide_duty(about, &later, at(6)).await.unwrap();
        assert_eq!(tx.triggers_as_of(at(4)).await.unwrap(), []);
        assert_eq!(tx.triggers_as_of(at(5)).await.unwrap().len(), 2);
        assert_eq!(
            tx.duty_decisions_as_of(about, at(5)).await.unwrap(),
            std::slice::from_ref(&decided)
        );
        assert_eq!(tx.duty_decisions(about).await.unwrap(), [decided, later]);
    })
    .await;
}

#[tokio::test]
async fn somebody_is_nudged_once_until_a_channel_carries_it() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        assert_eq!(tx.nudged_at("k").await.unwrap(), None);
        assert!(tx.nudge("k", "operator:ann", "come", at(1)).await.unwrap());
        assert!(!tx.nudge("k", "operator:ann", "come", at(2)).await.unwrap());
        assert_eq!(tx.nudged_at("k").await.unwrap(), Some(at(1)));
        let due = tx.nudges_due().await.unwrap();
        assert_eq!(
            (due.len(), &due[0].to[..], &due[0].text[..]),
            (1, "operator:ann", "come")
        );
        tx.carry_nudge(due[0].id, at(3)).await.unwrap();
        assert_eq!(tx.nudges_due().await.unwrap(), []);
        let twice = tx.carry_nudge(due[0].id, at(3)).await;
        assert!(
            matches!(
                twice,
                Err(StoreError::Lost {
                    table: "nudges",
                    ..
                })
            ),
            "{twice:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn what_readers_were_told_are_moves_and_statements_and_a_promise_alone_keeps_none() {
    both(async |bed| {
        let about = incident(&bed).await;
        let mut tx = bed.tx().await;
        tx.promise_update(about, at(7), "ann", at(1)).await.unwrap();
        tx.note_trigger(about, Trigger::Aware, at(0), "sol", at(2))
            .await
            .unwrap();
        tx.move_incident(about, IncidentState::Contained, "ann", None, at(3))
            .await
            .unwrap();
        let told = tx.told_of(about).await.unwrap();
        assert_eq!(
            told,
            [
                Word::Promised {
                    at: at(0),
                    by: at(9)
                },
                Word::Promised {
                    at: at(1),
                    by: at(7)
                },
                Word::Updated { at: at(3) },
            ]
        );
        let now = tx.incident(about).await.unwrap().unwrap();
        assert_eq!(
            (now.next_update_at, now.state),
            (Some(at(7)), IncidentState::Contained)
        );
        assert_eq!(tx.incident(IncidentId(99)).await.unwrap(), None);
        tx.move_incident(about, IncidentState::Resolved, "ann", None, at(4))
            .await
            .unwrap();
        let over = tx.promise_update(about, at(8), "ann", at(5)).await;
        assert!(
            matches!(
                over,
                Err(StoreError::Lost {
                    table: "incidents",
                    ..
                })
            ),
            "{over:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn accounts_are_counted_by_category() {
    both(async |bed| {
        assert_eq!(
            bed.read().await.accounts_by_category().await.unwrap(),
            [0; 4]
        );
        bed.cases(3).await;
        bed.sql("UPDATE cases SET category = 'compromised' WHERE id = (SELECT MIN(id) FROM cases)")
            .await
            .unwrap();
        assert_eq!(
            bed.read().await.accounts_by_category().await.unwrap(),
            [2, 0, 0, 1]
        );
    })
    .await;
}
