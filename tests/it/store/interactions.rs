//! Interactions: one of us does what was asked, once.

use chrono::TimeDelta;
use division_bell::store::Claimed;

use super::bed::at;
use super::both;

#[tokio::test]
async fn what_was_asked_in_a_chat_is_taken_once_and_forgotten_after_a_day() {
    both(async |bed| {
        let store = &bed.store;
        let claim =
            async |id: &str, by: &str, now| store.claim_interaction(id, by, now).await.unwrap();
        assert_eq!(claim("90", "one", at(1)).await, Claimed::Ours);
        assert_eq!(claim("90", "one", at(1)).await, Claimed::Theirs);
        assert_eq!(claim("90", "two", at(2)).await, Claimed::Theirs);
        assert_eq!(claim("91", "two", at(2)).await, Claimed::Ours);
        let later = at(1).plus(TimeDelta::days(2));
        assert_eq!(claim("92", "one", later).await, Claimed::Ours);
        assert_eq!(claim("90", "one", later).await, Claimed::Ours);
    })
    .await;
}

#[tokio::test]
async fn of_two_who_take_the_same_at_once_one_has_it() {
    both(async |bed| {
        let (one, two) = (bed.store.clone(), bed.store.clone());
        let (one, two) = tokio::join!(
            one.claim_interaction("90", "one", at(1)),
            two.claim_interaction("90", "two", at(1))
        );
        let claimed = [one.unwrap(), two.unwrap()];
        assert!(claimed.contains(&Claimed::Ours) && claimed.contains(&Claimed::Theirs));
    })
    .await;
}
