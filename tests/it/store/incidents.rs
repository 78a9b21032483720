//! Incidents, and their one post on each channel.

use division_bell::domain::IncidentId;
use division_bell::domain::incident::IncidentState;
use division_bell::store::{Incident, PostState, StoreError};

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

#[tokio::test]
async fn a_post_keeps_its_nonce_until_it_is_gone() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        let incident = tx
            .open_incident("Attack", "ann", None, at(0))
            .await
            .unwrap()
            .id;
        assert_eq!(tx.post(incident, "discord").await.unwrap(), None);
        let post = tx
            .intend_post(incident, "discord", "hash-1", at(1))
            .await
            .unwrap();
        assert_eq!(
            (
                post.incident,
                post.version,
                &post.content_hash[..],
                post.state
            ),
            (incident, 1, "hash-1", PostState::Intended)
        );
        assert_eq!(
            (post.external_id.as_deref(), post.intended_at, post.said_at),
            (None, at(1), None)
        );
        tx.settle_post(&post, PostState::InDoubt, None, at(2))
            .await
            .unwrap();

        // Meant again after a doubt: the same nonce, so that the channel can tell.
        let again = tx
            .intend_post(incident, "discord", "hash-2", at(3))
            .await
            .unwrap();
        assert_eq!(
            (again.id, &again.nonce, again.version),
            (post.id, &post.nonce, 2)
        );
        assert_eq!(
            (&again.content_hash[..], again.state, again.intended_at),
            ("hash-2", PostState::InDoubt, at(3))
        );
        tx.settle_post(&again, PostState::Posted, Some("777"), at(4))
            .await
            .unwrap();
        let there = tx.post(incident, "discord").await.unwrap().unwrap();
        assert_eq!(
            (there.state, there.external_id.as_deref(), there.said_at),
            (PostState::Posted, Some("777"), Some(at(4)))
        );
        assert_eq!(there.nonce, post.nonce);

        let edit = tx
            .intend_post(incident, "discord", "hash-3", at(5))
            .await
            .unwrap();
        tx.settle_post(&edit, PostState::Posted, Some("777"), at(6))
            .await
            .unwrap();

        // Deleted by somebody: the next one is another post, and remembers when the last was said.
        let edited = tx.post(incident, "discord").await.unwrap().unwrap();
        tx.settle_post(&edited, PostState::Gone, None, at(7))
            .await
            .unwrap();
        let gone = tx.post(incident, "discord").await.unwrap().unwrap();
        assert_eq!(
            (gone.state, gone.external_id.as_deref(), gone.said_at),
            (PostState::Gone, None, Some(at(6)))
        );
        assert_ne!(gone.nonce, post.nonce);
        let next = tx
            .intend_post(incident, "discord", "hash-3", at(8))
            .await
            .unwrap();
        assert_eq!(
            (next.id, &next.nonce, next.version),
            (post.id, &gone.nonce, 4)
        );

        // Another channel has a post of its own.
        let other = tx
            .intend_post(incident, "teams", "hash-1", at(9))
            .await
            .unwrap();
        assert_ne!(other.id, post.id);
        tx.commit().await.unwrap();
        assert_eq!(
            bed.ledger().await,
            [
                "incident.opened",
                "post.in_doubt",
                "post.posted",
                "post.edited",
                "post.gone"
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn a_post_that_was_never_meant_cannot_be_settled() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        let incident = tx
            .open_incident("Attack", "ann", None, at(0))
            .await
            .unwrap()
            .id;
        let post = tx
            .intend_post(incident, "discord", "hash-1", at(1))
            .await
            .unwrap();
        let never = division_bell::store::Post {
            id: post.id + 1,
            ..post
        };
        let lost = tx.settle_post(&never, PostState::Posted, None, at(2)).await;
        assert!(
            matches!(lost, Err(StoreError::Lost { table: "posts", .. })),
            "{lost:?}"
        );
    })
    .await;
}
