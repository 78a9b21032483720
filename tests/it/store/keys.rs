//! Keys: what operators sign in with, their sessions, and tokens for programs.

use division_bell::store::{ApiToken, Session, StoreError};

use super::bed::at;
use super::both;

#[tokio::test]
async fn a_password_and_a_second_factor_are_set_and_taken_away_and_the_ledger_says_so() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        assert_eq!(tx.credential("ann").await.unwrap(), None);
        let nobody = tx.set_totp("ann", "SECRET", "ben", at(0)).await;
        assert!(matches!(nobody, Err(StoreError::Lost { .. })), "{nobody:?}");
        tx.rollback().await.unwrap();

        let mut tx = bed.tx().await;
        tx.set_password("ann", "$argon2id$1", "ben", at(0))
            .await
            .unwrap();
        let own = tx.credential("ann").await.unwrap().unwrap();
        assert_eq!((&own.password[..], own.totp), ("$argon2id$1", None));
        tx.set_totp("ann", "SECRET", "ben", at(1)).await.unwrap();
        tx.set_password("ann", "$argon2id$2", "ben", at(2))
            .await
            .unwrap();
        let own = tx.credential("ann").await.unwrap().unwrap();
        assert_eq!(own.password, "$argon2id$2");
        assert_eq!(own.totp.as_deref(), Some("SECRET"));
        assert!(!format!("{own:?}").contains("argon2"), "{own:?}");
        assert!(tx.revoke_operator("ann", "ben", at(3)).await.unwrap());
        assert_eq!(tx.credential("ann").await.unwrap(), None);
        assert!(!tx.revoke_operator("ann", "ben", at(3)).await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(
            bed.ledger().await,
            [
                "operator.password",
                "operator.totp",
                "operator.password",
                "operator.revoked",
                "operator.revoked"
            ]
        );
        let rows = bed.read().await.ledger(0, 1).await.unwrap();
        assert_eq!(rows[0].thing.as_deref(), Some("operator:ann"));
        assert_eq!(rows[0].detail, None);
    })
    .await;
}

#[tokio::test]
async fn a_code_is_used_once_and_none_before_it() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        tx.set_password("ann", "x", "ben", at(0)).await.unwrap();
        tx.set_totp("ann", "SECRET", "ben", at(0)).await.unwrap();
        assert!(tx.use_totp("ann", 10).await.unwrap());
        assert!(!tx.use_totp("ann", 10).await.unwrap());
        assert!(!tx.use_totp("ann", 9).await.unwrap());
        assert!(tx.use_totp("ann", 11).await.unwrap());
        assert!(!tx.use_totp("ben", 11).await.unwrap());
        assert_eq!(tx.credential("ann").await.unwrap().unwrap().totp_step, 11);
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_session_lasts_until_it_is_ended_or_its_operator_gets_another_password() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        tx.begin_session("h1", "ann", None, at(8), at(0))
            .await
            .unwrap();
        tx.begin_session("h2", "ann", None, at(8), at(0))
            .await
            .unwrap();
        tx.begin_session("h3", "oidc:ben", Some("[]"), at(1), at(0))
            .await
            .unwrap();
        tx.see_session("h1", at(1)).await.unwrap();
        let expected = Session {
            operator: "ann".to_owned(),
            roles: None,
            began_at: at(0),
            seen_at: at(1),
            ends_at: at(8),
        };
        assert_eq!(tx.session("h1").await.unwrap(), Some(expected));
        tx.end_session("h1").await.unwrap();
        assert_eq!(tx.session("h1").await.unwrap(), None);
        assert!(tx.session("h2").await.unwrap().is_some());
        tx.set_password("ann", "x", "ben", at(2)).await.unwrap();
        assert_eq!(tx.session("h2").await.unwrap(), None);
        // Whoever signs in sweeps out what is over.
        let vouched = tx.session("h3").await.unwrap().unwrap();
        assert_eq!(vouched.roles.as_deref(), Some("[]"));
        tx.begin_session("h4", "ann", None, at(9), at(2))
            .await
            .unwrap();
        assert_eq!(tx.session("h3").await.unwrap(), None);
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_token_is_known_by_its_hash_until_it_is_taken_away() {
    both(async |bed| {
        let mut tx = bed.tx().await;
        assert!(
            tx.add_token("prometheus", "h1", "ann", at(0))
                .await
                .unwrap()
        );
        assert!(
            !tx.add_token("prometheus", "h2", "ann", at(1))
                .await
                .unwrap()
        );
        assert_eq!(tx.token("h2").await.unwrap(), None);
        let own = tx.token("h1").await.unwrap().unwrap();
        tx.see_token("prometheus", at(2)).await.unwrap();
        let seen = ApiToken {
            used_at: Some(at(2)),
            ..own.clone()
        };
        assert_eq!(own.used_at, None);
        assert_eq!(tx.tokens().await.unwrap(), [seen]);
        assert!(tx.revoke_token("prometheus", "ben", at(3)).await.unwrap());
        assert!(!tx.revoke_token("prometheus", "ben", at(3)).await.unwrap());
        assert_eq!(tx.token("h1").await.unwrap(), None);
        tx.commit().await.unwrap();
        assert_eq!(bed.ledger().await, ["token.made", "token.revoked"]);
    })
    .await;
}
