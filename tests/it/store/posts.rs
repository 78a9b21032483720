//! Posts: each message of an incident on each channel, before and after its call.

use division_bell::domain::IncidentId;
use division_bell::domain::post::{Outcome, PostState, Trouble, What, after};
use division_bell::store::{Post, StoreError, Tx};

use super::bed::{Bed, at};
use super::both;

async fn incident(tx: &mut Tx) -> IncidentId {
    tx.open_incident("Attack", "ann", Some(at(9)), at(0))
        .await
        .unwrap()
        .id
}

async fn intend(tx: &mut Tx, incident: IncidentId, hash: &str, hours: i64) -> Post {
    tx.intend_post(incident, "discord", What::Status, hash, at(hours))
        .await
        .unwrap()
}

/// What a call came to; `was` is how far the post was before it.
async fn settle(
    tx: &mut Tx,
    post: &Post,
    was: PostState,
    outcome: Outcome,
    id: Option<&str>,
    hours: i64,
) {
    let after = after(was, post.external_id.is_some(), outcome, at(hours));
    tx.settle_post(post, after, id, at(hours)).await.unwrap();
}

async fn there(bed: &Bed, incident: IncidentId) -> Post {
    let mut tx = bed.read().await;
    tx.post(incident, "discord", What::Status)
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn a_post_keeps_its_nonce_until_it_is_gone() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        let incident = incident(&mut tx).await;
        let none = tx.post(incident, "discord", What::Status).await.unwrap();
        assert_eq!(none, None);
        let post = intend(&mut tx, incident, "hash-1", 1).await;
        assert_eq!(
            (post.version, &post.content_hash[..], post.state),
            (1, "hash-1", PostState::Intended)
        );
        assert_eq!(
            (post.intended_at, post.tried_at, post.said_at),
            (at(1), at(1), None)
        );
        assert!(post.nonce.len() <= 25, "{}", post.nonce);
        settle(&mut tx, &post, PostState::Waiting, Outcome::Unsure, None, 2).await;

        // Meant again after a doubt: the same nonce, so that the channel can tell, and the first try is remembered.
        let again = intend(&mut tx, incident, "hash-2", 3).await;
        assert_eq!(
            (again.id, &again.nonce, again.version, again.state),
            (post.id, &post.nonce, 2, PostState::InDoubt)
        );
        assert_eq!((again.intended_at, again.tried_at), (at(3), at(1)));
        settle(
            &mut tx,
            &again,
            PostState::InDoubt,
            Outcome::Said,
            Some("777"),
            4,
        )
        .await;

        let edit = intend(&mut tx, incident, "hash-3", 5).await;
        assert_eq!(
            (edit.state, edit.external_id.as_deref(), &edit.nonce),
            (PostState::Intended, Some("777"), &post.nonce)
        );
        settle(
            &mut tx,
            &edit,
            PostState::Waiting,
            Outcome::Said,
            Some("777"),
            6,
        )
        .await;
        tx.thread_post(edit.id, Some("778")).await.unwrap();

        // Deleted by somebody: the next one is another post, and remembers when the last was said.
        let edited = tx
            .post(incident, "discord", What::Status)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(edited.thread_id.as_deref(), Some("778"));
        settle(&mut tx, &edited, PostState::Posted, Outcome::Gone, None, 7).await;
        let gone = tx
            .post(incident, "discord", What::Status)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (gone.state, gone.external_id, gone.thread_id, gone.said_at),
            (PostState::Gone, None, None, Some(at(6)))
        );
        assert_ne!(gone.nonce, post.nonce);
        let next = intend(&mut tx, incident, "hash-3", 8).await;
        assert_eq!(
            (
                next.id,
                &next.nonce,
                next.version,
                next.state,
                next.tried_at
            ),
            (post.id, &gone.nonce, 4, PostState::Intended, at(8))
        );

        // Another channel, and another message, have a post of their own.
        for (channel, what) in [("teams", What::Status), ("discord", What::Statement(3))] {
            let other = tx
                .intend_post(incident, channel, what, "hash-1", at(9))
                .await
                .unwrap();
            assert_ne!((other.id, &other.nonce), (post.id, &next.nonce));
        }
        tx.commit().await.unwrap();
        let mut tx = bed.read().await;
        assert_eq!(tx.posts(None).await.unwrap().len(), 3);
        assert_eq!(tx.posts(Some("teams")).await.unwrap().len(), 1);
        assert_eq!(
            tx.incident_posts(incident, "discord").await.unwrap().len(),
            2
        );
        drop(tx);
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
async fn what_a_channel_refuses_keeps_its_reason_and_rests() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        let incident = incident(&mut tx).await;
        let post = intend(&mut tx, incident, "hash-1", 1).await;
        let token = Outcome::Never(Trouble::Token);
        settle(&mut tx, &post, PostState::Waiting, token, None, 1).await;
        tx.commit().await.unwrap();
        let refused = there(&bed, incident).await;
        assert_eq!(
            (refused.state, refused.trouble),
            (PostState::Refused, Some(Trouble::Token))
        );
        assert!(refused.due_at > Some(at(1)));
        // The next good call leaves nothing of it.
        let mut tx = bed.tx().await;
        let post = intend(&mut tx, incident, "hash-1", 2).await;
        settle(
            &mut tx,
            &post,
            PostState::Refused,
            Outcome::Said,
            Some("7"),
            2,
        )
        .await;
        tx.commit().await.unwrap();
        let said = there(&bed, incident).await;
        assert_eq!(
            (said.state, said.trouble, said.due_at),
            (PostState::Posted, None, None)
        );
    })
    .await;
}

#[tokio::test]
async fn a_post_that_asks_is_settled_by_a_person_once() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        let incident = incident(&mut tx).await;
        let post = intend(&mut tx, incident, "hash-1", 1).await;
        let too_early = tx.decide_post(&post, Some("7"), "ann", at(1)).await;
        assert!(matches!(
            too_early,
            Err(StoreError::Lost { table: "posts", .. })
        ));
        let asked = division_bell::domain::post::After {
            state: PostState::Asked,
            trouble: None,
            due_at: None,
        };
        tx.settle_post(&post, asked, None, at(1)).await.unwrap();
        tx.decide_post(&post, None, "ann", at(2)).await.unwrap();
        let again = tx.decide_post(&post, None, "ann", at(2)).await;
        assert!(matches!(
            again,
            Err(StoreError::Lost { table: "posts", .. })
        ));
        let post = intend(&mut tx, incident, "hash-1", 3).await;
        assert_eq!((post.state, post.tried_at), (PostState::Intended, at(3)));
        tx.settle_post(&post, asked, None, at(3)).await.unwrap();
        tx.decide_post(&post, Some("777"), "ben", at(4))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let there = there(&bed, incident).await;
        assert_eq!(
            (there.state, there.external_id.as_deref(), there.said_at),
            (PostState::Posted, Some("777"), Some(at(4)))
        );
        let entries = bed.read().await.ledger(0, 10).await.unwrap();
        let told: Vec<_> = entries
            .iter()
            .map(|entry| (&entry.act[..], &entry.actor[..]))
            .collect();
        assert_eq!(
            told,
            [
                ("incident.opened", "ann"),
                ("post.asked", "bell"),
                ("post.absent", "ann"),
                ("post.asked", "bell"),
                ("post.posted", "ben"),
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn where_nothing_can_be_changed_the_next_version_is_a_message_of_its_own() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        let incident = incident(&mut tx).await;
        let post = intend(&mut tx, incident, "hash-1", 1).await;
        settle(
            &mut tx,
            &post,
            PostState::Waiting,
            Outcome::Said,
            Some("7"),
            1,
        )
        .await;
        tx.renew_post(&post).await.unwrap();
        let next = intend(&mut tx, incident, "hash-2", 2).await;
        assert_eq!((next.id, next.external_id.as_deref()), (post.id, None));
        assert_eq!((next.state, next.tried_at), (PostState::Intended, at(2)));
        assert_ne!(next.nonce, post.nonce);
    })
    .await;
}

#[tokio::test]
async fn the_ledger_tells_an_incidents_timeline_and_no_other() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        let incident = incident(&mut tx).await;
        tx.open_incident("Another", "ann", None, at(1))
            .await
            .unwrap();
        let post = intend(&mut tx, incident, "hash-1", 1).await;
        settle(
            &mut tx,
            &post,
            PostState::Waiting,
            Outcome::Said,
            Some("7"),
            1,
        )
        .await;
        let told = tx.incident_timeline(incident).await.unwrap();
        let in_short: Vec<_> = told
            .iter()
            .map(|one| (&one.act[..], one.at, one.next_update_at, one.statement))
            .collect();
        assert_eq!(
            in_short,
            [
                ("incident.opened", at(0), Some(at(9)), None),
                ("post.posted", at(1), None, None),
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn a_post_that_was_never_meant_cannot_be_settled() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        let incident = incident(&mut tx).await;
        let post = intend(&mut tx, incident, "hash-1", 1).await;
        let never = Post {
            id: post.id + 1,
            ..post
        };
        let said = after(PostState::Waiting, false, Outcome::Said, at(2));
        let lost = tx.settle_post(&never, said, None, at(2)).await;
        assert!(
            matches!(lost, Err(StoreError::Lost { table: "posts", .. })),
            "{lost:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn openings_and_closings_are_counted_in_spans_of_time() {
    both(async |bed| {
        assert_eq!(bed.read().await.course_changes().await.unwrap(), []);
        bed.cases(3).await;
        let changes = bed.read().await.course_changes().await.unwrap();
        let [change] = changes[..] else {
            panic!("{changes:?}");
        };
        assert_eq!((change.opened, change.closed), (3, 0));
        assert!(change.at > at(0) && change.at <= at(0).plus(chrono::TimeDelta::minutes(10)));
    })
    .await;
}
