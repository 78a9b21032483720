//! Incidents.

use division_bell::domain::IncidentId;
use division_bell::domain::incident::IncidentState;
use division_bell::store::{Incident, StoreError};

use super::bed::at;
use super::both;

#[tokio::test]
async fn an_incident_is_opened_moved_and_listed() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        let first = tx
            .open_incident("Attack on passwords", "ann", Some(at(4)), at(0))
            .await
            .unwrap();
        let expected = Incident {
            id: first.id,
            reference: "INC-2603-1".to_owned(),
            title: "Attack on passwords".to_owned(),
            state: IncidentState::Investigating,
            opened_at: at(0),
            changed_at: at(0),
            next_update_at: Some(at(4)),
        };
        assert_eq!(first, expected);
        let second = tx
            .open_incident("Another", "ann", None, at(1))
            .await
            .unwrap();
        assert_eq!(
            (&second.reference[..], second.next_update_at),
            ("INC-2603-2", None)
        );
        // A move without a new promise keeps the old one.
        tx.move_incident(first.id, IncidentState::Contained, "ben", None, at(2))
            .await
            .unwrap();
        tx.move_incident(
            second.id,
            IncidentState::Resolved,
            "ben",
            Some(at(9)),
            at(3),
        )
        .await
        .unwrap();
        tx.commit().await.unwrap();

        let listed = bed.read().await.incidents().await.unwrap();
        let states: Vec<_> = listed
            .iter()
            .map(|one| (one.id, one.state, one.changed_at, one.next_update_at))
            .collect();
        assert_eq!(
            states,
            [
                (second.id, IncidentState::Resolved, at(3), Some(at(9))),
                (first.id, IncidentState::Contained, at(2), Some(at(4))),
            ]
        );
        assert_eq!(
            bed.ledger().await,
            [
                "incident.opened",
                "incident.opened",
                "incident.contained",
                "incident.resolved"
            ]
        );
        let entries = bed.read().await.ledger(0, 10).await.unwrap();
        assert_eq!(entries[2].thing, Some(format!("incident:{}", first.id)));
    })
    .await;
}

#[tokio::test]
async fn an_incident_that_is_not_there_cannot_be_moved() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        let lost = tx
            .move_incident(IncidentId(9), IncidentState::Resolved, "ben", None, at(0))
            .await;
        assert!(
            matches!(
                lost,
                Err(StoreError::Lost {
                    table: "incidents",
                    id: 9
                })
            ),
            "{lost:?}"
        );
    })
    .await;
}
