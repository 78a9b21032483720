//! People, accounts and mailboxes, kept in step with a directory.

use division_bell::domain::PersonName;
use division_bell::domain::identity::{Lookup, LookupKind, Realm};
use division_bell::domain::person::{AccountKind, DirectoryEntry};
use division_bell::domain::{AccountId, Mobile, PersonId, Room};
use division_bell::store::{AccountFacts, DirectoryChange, PersonFacts, Store, SyncCounts};

use super::bed::{at, entry, lookup, mail, realm};
use super::{Bed, both};

/// Brings a whole, complete listing into the store at hour `hour`.
async fn listed(
    bed: &Bed,
    entries: &[DirectoryEntry],
    hour: i64,
) -> (SyncCounts, Vec<DirectoryChange>, Vec<DirectoryChange>) {
    let mut tx = bed.tx().await;
    let (counts, changes) = tx.sync_people(&realm(), entries, at(hour)).await.unwrap();
    let left = tx.end_sync(&realm(), true, at(hour)).await.unwrap();
    tx.commit().await.unwrap();
    (counts, changes, left)
}

/// Who has this key now.
async fn hits(bed: &Bed, kind: LookupKind, key: &str) -> Vec<AccountId> {
    let wanted = lookup(kind, key);
    let known = bed
        .read()
        .await
        .known(&realm(), std::slice::from_ref(&wanted))
        .await
        .unwrap();
    known.hits(&wanted).to_vec()
}

async fn facts(bed: &Bed, account: AccountId) -> AccountFacts {
    let all = bed.read().await.accounts([account]).await.unwrap();
    all[&account].clone()
}

async fn person(bed: &Bed, id: PersonId) -> PersonFacts {
    let all = bed.read().await.persons([id]).await.unwrap();
    all[&id].clone()
}

/// The one column of a query.
async fn column(bed: &Bed, sql: &'static str) -> Vec<String> {
    let rows = match &bed.store {
        Store::Sqlite(pool) => sqlx::query_scalar(sql).fetch_all(pool).await,
        Store::Postgres(pool) => sqlx::query_scalar(sql).fetch_all(pool).await,
    };
    rows.unwrap()
}

#[tokio::test]
async fn a_listing_that_is_read_twice_changes_nothing() {
    both(async |bed| {
        let entries = [entry(1), entry(2)];
        let (counts, changes, _) = listed(&bed, &entries, 0).await;
        let joined = SyncCounts {
            listed: 2,
            joined: 2,
            ..SyncCounts::default()
        };
        assert_eq!(counts, joined);
        let told: Vec<_> = changes.iter().map(|change| change.what).collect();
        assert_eq!(told, ["joined", "joined"]);
        assert_eq!(changes[0].department, "Committees");

        let (counts, changes, left) = listed(&bed, &entries, 24).await;
        let unchanged = SyncCounts {
            listed: 2,
            ..SyncCounts::default()
        };
        assert_eq!((counts, changes.len(), left.len()), (unchanged, 0, 0));
        assert_eq!(
            bed.read().await.accounts_present(&realm()).await.unwrap(),
            2
        );
        assert_eq!(bed.count("SELECT COUNT(*) FROM persons").await, 2);
        assert_eq!(bed.count("SELECT COUNT(*) FROM mailboxes").await, 2);
        assert_eq!(bed.count("SELECT COUNT(*) FROM account_keys").await, 10);
    })
    .await;
}

#[tokio::test]
async fn what_a_listing_says_comes_back_as_it_was() {
    both(async |bed| {
        let own = DirectoryEntry {
            second_mail: Some(mail("Home@elsewhere.example")),
            mobile: Mobile::parse("+44 7700 900123").ok(),
            room: Room::new("Room 4.12, west wing"),
            building: Some("Main house".to_owned()),
            language: Some("cy".to_owned()),
            time_zone: Some("Europe/Brussels".to_owned()),
            ..entry(1)
        };
        let bare = DirectoryEntry {
            sid: None,
            sam: None,
            upn: None,
            mail: None,
            language: None,
            time_zone: None,
            ..entry(2)
        };
        listed(&bed, &[own, bare], 0).await;
        let id = hits(&bed, LookupKind::ObjectId, "id-000001").await[0];
        let account = facts(&bed, id).await;
        let holder = account.holder.unwrap();
        assert_eq!(
            account,
            AccountFacts {
                id,
                object_id: "id-000001".to_owned(),
                sam: Some("User1".to_owned()),
                name: PersonName::new("User Number 1"),
                kind: AccountKind::Person,
                enabled: true,
                department: "Committees".to_owned(),
                holder: Some(holder),
                owner: None,
            }
        );
        assert_eq!(
            person(&bed, holder).await,
            PersonFacts {
                id: holder,
                name: PersonName::new("User Number 1"),
                address: Some(mail("User1@parl.example")),
                second_address: Some(mail("Home@elsewhere.example")),
                is_read_by_others: false,
                mobile: Mobile::parse("+447700900123").ok(),
                room: Room::new("Room 4.12, west wing"),
                language: Some("cy".to_owned()),
                time_zone: Some("Europe/Brussels".to_owned()),
                enabled: true,
                left: false,
            }
        );
        let id = hits(&bed, LookupKind::ObjectId, "id-000002").await[0];
        let bare = facts(&bed, id).await;
        assert_eq!((bare.sam, bare.owner), (None, None));
        let bare = person(&bed, bare.holder.unwrap()).await;
        assert_eq!(
            (bare.address, bare.language, bare.time_zone),
            (None, None, None)
        );
    })
    .await;
}

#[tokio::test]
async fn people_who_move_rename_leave_and_come_back_stay_the_same_people() {
    both(async |bed| {
        listed(&bed, &[entry(1), entry(2), entry(3), entry(4)], 0).await;
        let before: Vec<AccountId> = all_ids(&bed).await;

        let moved = DirectoryEntry {
            department: "Library".to_owned(),
            ..entry(1)
        };
        let renamed = DirectoryEntry {
            display_name: PersonName::new("Ada Lovelace"),
            upn: Some("ada@parl.example".to_owned()),
            mail: Some(mail("Ada.Lovelace@parl.example")),
            sam: Some("lovelacea".to_owned()),
            ..entry(2)
        };
        let disabled = DirectoryEntry {
            enabled: false,
            ..entry(3)
        };
        let (counts, changes, left) = listed(
            &bed,
            &[moved.clone(), renamed.clone(), disabled.clone()],
            24,
        )
        .await;
        let expected = SyncCounts {
            listed: 3,
            moved: 1,
            updated: 1,
            disabled: 1,
            ..SyncCounts::default()
        };
        assert_eq!(counts, expected);
        assert_eq!(changes[0].before.as_deref(), Some("Committees"));
        assert_eq!(changes[0].department, "Library");
        assert_eq!(changes[1].before, None);
        assert_eq!(
            (left.len(), left[0].what, left[0].account),
            (1, "left", before[3])
        );

        // The new names lead to the same account, the old ones to nobody.
        assert_eq!(hits(&bed, LookupKind::Sam, "lovelacea").await, [before[1]]);
        assert_eq!(
            hits(&bed, LookupKind::Email, "ada.lovelace@parl.example").await,
            [before[1]]
        );
        for (kind, key) in [
            (LookupKind::Sam, "user2"),
            (LookupKind::Upn, "user2@parl.example"),
            (LookupKind::Email, "user2@parl.example"),
        ] {
            assert_eq!(hits(&bed, kind, key).await, [], "{key}");
        }
        let ada = facts(&bed, before[1]).await;
        assert_eq!(ada.name, PersonName::new("Ada Lovelace"));
        let ada = person(&bed, ada.holder.unwrap()).await;
        assert_eq!(ada.name, PersonName::new("Ada Lovelace"));
        assert_eq!(ada.address, Some(mail("Ada.Lovelace@parl.example")));

        let third = facts(&bed, before[2]).await;
        assert!(!third.enabled);
        assert!(!person(&bed, third.holder.unwrap()).await.enabled);

        // Who has left is known by number, and found by no name.
        let gone = facts(&bed, before[3]).await;
        assert!(!gone.enabled);
        let gone = person(&bed, gone.holder.unwrap()).await;
        assert_eq!((gone.left, gone.enabled, gone.address), (true, false, None));
        assert_eq!(hits(&bed, LookupKind::ObjectId, "id-000004").await, []);
        assert_eq!(
            bed.read().await.accounts_present(&realm()).await.unwrap(),
            3
        );

        let (counts, _, left) = listed(
            &bed,
            &[
                moved,
                renamed,
                DirectoryEntry {
                    enabled: true,
                    ..disabled
                },
                entry(4),
            ],
            48,
        )
        .await;
        assert_eq!(
            (counts.enabled, counts.joined, counts.updated, left.len()),
            (1, 1, 0, 0)
        );
        assert_eq!(all_ids(&bed).await, before);
        let back = facts(&bed, before[3]).await;
        assert!(back.enabled);
        let back = person(&bed, back.holder.unwrap()).await;
        assert_eq!((back.left, back.enabled), (false, true));
    })
    .await;
}

async fn all_ids(bed: &Bed) -> Vec<AccountId> {
    let mut all = Vec::new();
    for n in 1..=4 {
        all.extend(hits(bed, LookupKind::ObjectId, &format!("id-{n:06}")).await);
    }
    all
}

#[tokio::test]
async fn an_incomplete_listing_lets_nobody_leave() {
    both(async |bed| {
        listed(&bed, &[entry(1), entry(2)], 0).await;
        let mut tx = bed.tx().await;
        tx.sync_people(&realm(), &[entry(1)], at(24)).await.unwrap();
        assert_eq!(tx.end_sync(&realm(), false, at(24)).await.unwrap(), []);
        tx.commit().await.unwrap();
        assert_eq!(
            bed.read().await.accounts_present(&realm()).await.unwrap(),
            2
        );
    })
    .await;
}

#[tokio::test]
async fn a_listing_of_one_realm_says_nothing_about_another() {
    both(async |bed| {
        listed(&bed, &[entry(1)], 0).await;
        let other = Realm("unix:HOST".to_owned());
        let mut tx = bed.tx().await;
        tx.sync_people(&other, &[entry(1)], at(1)).await.unwrap();
        let left = tx.end_sync(&other, true, at(1)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(left, []);
        assert_eq!(
            bed.read().await.accounts_present(&realm()).await.unwrap(),
            1
        );

        // The same login in two realms is two accounts, and a look-up stays in its own.
        let wanted = lookup(LookupKind::Sam, "user1");
        let mut tx = bed.read().await;
        let here = tx
            .known(&realm(), std::slice::from_ref(&wanted))
            .await
            .unwrap();
        let there = tx
            .known(&other, std::slice::from_ref(&wanted))
            .await
            .unwrap();
        assert_eq!(
            (here.hits(&wanted).len(), there.hits(&wanted).len()),
            (1, 1)
        );
        assert_ne!(here.hits(&wanted), there.hits(&wanted));
        assert!(here.facts(there.hits(&wanted)[0]).is_none());
    })
    .await;
}

#[tokio::test]
async fn an_alias_leads_to_its_account_and_a_shared_key_to_all_who_have_it() {
    both(async |bed| {
        let aliased = DirectoryEntry {
            aliases: vec![mail("Ada@parl.example"), mail("a.l@parl.example")],
            ..entry(1)
        };
        let twin = DirectoryEntry {
            sam: Some("USER1".to_owned()),
            aliases: vec![mail("a.l@parl.example")],
            ..entry(2)
        };
        listed(&bed, &[aliased, twin], 0).await;
        let first = hits(&bed, LookupKind::ObjectId, "id-000001").await[0];
        assert_eq!(hits(&bed, LookupKind::Email, "ada@parl.example").await, [first]);
        assert_eq!(hits(&bed, LookupKind::Sam, "user1").await.len(), 2);
        assert_eq!(hits(&bed, LookupKind::Email, "a.l@parl.example").await.len(), 2);
        assert_eq!(hits(&bed, LookupKind::Email, "nobody@parl.example").await, []);
        assert_eq!(bed.count("SELECT COUNT(*) FROM aliases").await, 2);

        // An alias that wanders is the other's from then on.
        let bare = DirectoryEntry { sam: Some("USER1".to_owned()), ..entry(2) };
        let heir = DirectoryEntry { aliases: vec![mail("ADA@parl.example")], ..bare };
        listed(&bed, &[entry(1), heir], 24).await;
        let second = hits(&bed, LookupKind::ObjectId, "id-000002").await[0];
        assert_eq!(hits(&bed, LookupKind::Email, "ada@parl.example").await, [second]);
        let owned = "SELECT COUNT(*) FROM aliases x JOIN mailboxes m ON m.id = x.mailbox_id WHERE x.folded = 'ada@parl.example' AND m.folded = 'user2@parl.example'";
        assert_eq!(bed.count(owned).await, 1);
    })
    .await;
}

#[tokio::test]
async fn many_keys_are_looked_up_at_once_and_repeats_hit_once() {
    both(async |bed| {
        listed(&bed, &[entry(1), entry(2)], 0).await;
        let one = lookup(LookupKind::Sam, "user1");
        let two = lookup(LookupKind::Sid, "s-1-5-21-1-2");
        let none = lookup(LookupKind::Upn, "user1");
        let known = bed
            .read()
            .await
            .known(
                &realm(),
                &[one.clone(), two.clone(), one.clone(), none.clone()],
            )
            .await
            .unwrap();
        assert_eq!(
            (
                known.hits(&one).len(),
                known.hits(&two).len(),
                known.hits(&none).len()
            ),
            (1, 1, 0)
        );
        let nothing = bed.read().await.known(&realm(), &[]).await.unwrap();
        assert!(nothing.hits(&one).is_empty());
    })
    .await;
}

#[tokio::test]
async fn owners_and_managers_are_found_by_address_even_if_listed_later() {
    both(async |bed| {
        let shared = DirectoryEntry {
            kind: AccountKind::Shared,
            owner_mail: Some(mail("USER2@parl.example")),
            ..entry(1)
        };
        let boss = DirectoryEntry {
            aliases: vec![mail("boss@parl.example")],
            ..entry(3)
        };
        let staff = DirectoryEntry {
            manager_mail: Some(mail("Boss@parl.example")),
            ..entry(2)
        };
        listed(&bed, &[shared.clone(), staff.clone(), boss], 0).await;
        let id = hits(&bed, LookupKind::ObjectId, "id-000001").await[0];
        let owner = hits(&bed, LookupKind::ObjectId, "id-000002").await[0];
        let account = facts(&bed, id).await;
        assert_eq!(account.holder, None);
        assert_eq!(account.owner, facts(&bed, owner).await.holder);
        let manages = "SELECT COUNT(*) FROM persons p JOIN persons m ON m.id = p.manager_id WHERE m.display_name = 'User Number 3'";
        assert_eq!(bed.count(manages).await, 1);
        let answers = "SELECT COUNT(*) FROM mailboxes m JOIN persons p ON p.id = m.owner_id WHERE m.folded = 'user1@parl.example' AND p.display_name = 'User Number 2'";
        assert_eq!(bed.count(answers).await, 1);

        // When the manager and the owner's address go, so do the links.
        let orphan = DirectoryEntry { owner_mail: None, ..shared };
        let (_, _, left) = listed(&bed, &[orphan, staff], 24).await;
        assert_eq!(left.len(), 1);
        assert_eq!(facts(&bed, id).await.owner, None);
        assert_eq!(bed.count(manages).await, 0, "who has left manages nobody");
    })
    .await;
}

#[tokio::test]
async fn an_account_that_becomes_nobodys_own_has_no_holder() {
    both(async |bed| {
        listed(&bed, &[entry(1)], 0).await;
        let service = DirectoryEntry {
            kind: AccountKind::Service,
            ..entry(1)
        };
        let (counts, ..) = listed(&bed, &[service], 24).await;
        assert_eq!(counts.updated, 1);
        let id = hits(&bed, LookupKind::ObjectId, "id-000001").await[0];
        let account = facts(&bed, id).await;
        assert_eq!((account.kind, account.holder), (AccountKind::Service, None));
        assert_eq!(
            bed.count("SELECT COUNT(*) FROM persons WHERE left_at IS NOT NULL")
                .await,
            1
        );
    })
    .await;
}

#[tokio::test]
async fn people_are_listed_by_number_and_found_by_address_or_login() {
    both(async |bed| {
        let people = bed.people(5).await;
        let mut tx = bed.read().await;
        let first = tx.person_ids(PersonId(0), 2).await.unwrap();
        assert_eq!(first, [people[0].person, people[1].person]);
        let rest = tx.person_ids(first[1], 100).await.unwrap();
        assert_eq!(rest.len(), 3);
        assert_eq!(tx.person_ids(rest[2], 100).await.unwrap(), []);
        assert_eq!(
            tx.person_by_address("user4@parl.example").await.unwrap(),
            Some(people[3].person)
        );
        assert_eq!(
            tx.person_by_login("user4").await.unwrap(),
            Some(people[3].person)
        );
        assert_eq!(
            tx.person_by_login("user4@parl.example").await.unwrap(),
            None
        );
        assert_eq!(
            tx.person_by_address("nobody@parl.example").await.unwrap(),
            None
        );
    })
    .await;
}

#[tokio::test]
async fn an_address_that_was_given_to_somebody_new_leads_to_them() {
    both(async |bed| {
        listed(&bed, &[entry(1)], 0).await;
        let heir = DirectoryEntry {
            sam: Some("User1".to_owned()),
            mail: Some(mail("user1@parl.example")),
            ..entry(2)
        };
        listed(&bed, &[heir], 24).await;
        let id = hits(&bed, LookupKind::ObjectId, "id-000002").await[0];
        let heir = facts(&bed, id).await.holder;
        let mut tx = bed.read().await;
        assert_eq!(
            tx.person_by_address("user1@parl.example").await.unwrap(),
            heir
        );
        assert_eq!(tx.person_by_login("user1").await.unwrap(), heir);
    })
    .await;
}

#[tokio::test]
async fn an_empty_batch_is_no_listing_of_nobody() {
    both(async |bed| {
        bed.people(2).await;
        let mut tx = bed.tx().await;
        let (counts, changes) = tx.sync_people(&realm(), &[], at(1)).await.unwrap();
        assert_eq!((counts, changes.len()), (SyncCounts::default(), 0));
        tx.commit().await.unwrap();
        assert_eq!(
            bed.read().await.accounts_present(&realm()).await.unwrap(),
            2
        );
        assert_eq!(bed.read().await.accounts([]).await.unwrap().len(), 0);
        assert_eq!(
            bed.read()
                .await
                .persons([PersonId(99)])
                .await
                .unwrap()
                .len(),
            0
        );
    })
    .await;
}

#[tokio::test]
async fn ten_thousand_people_are_one_batch() {
    both(async |bed| {
        let people = bed.people(10_000).await;
        assert_eq!(people.len(), 10_000);
        assert_eq!(
            bed.read().await.accounts_present(&realm()).await.unwrap(),
            10_000
        );
        let wanted: Vec<Lookup> = (1..=10_000)
            .map(|n| lookup(LookupKind::Email, &format!("user{n}@parl.example")))
            .collect();
        let known = bed.read().await.known(&realm(), &wanted).await.unwrap();
        assert!(
            wanted
                .iter()
                .zip(&people)
                .all(|(wanted, who)| known.hits(wanted) == [who.account])
        );
        let persons = bed
            .read()
            .await
            .persons(people.iter().map(|who| who.person))
            .await
            .unwrap();
        assert_eq!(persons.len(), 10_000);
    })
    .await;
}

#[tokio::test]
async fn whoever_reads_a_mailbox_by_the_directorys_word_does_so_until_it_says_otherwise_and_operators_know_better()
 {
    both(async |bed| {
        let with = |number, delegate: Option<&str>| DirectoryEntry {
            delegate_mail: delegate.map(mail),
            ..entry(number)
        };
        let delegates = async || {
            let sql = "SELECT p.display_name || ' by ' || COALESCE(g.display_name, 'nobody known') || ', noted by ' || d.noted_by
                 FROM delegates d JOIN persons p ON p.id = d.person_id LEFT JOIN persons g ON g.id = d.delegate_id ORDER BY p.id";
            column(&bed, sql).await
        };
        let acts = async || {
            let sql = "SELECT act FROM ledger WHERE act LIKE 'person.delegate%' ORDER BY id";
            column(&bed, sql).await
        };
        let all = [
            with(1, Some("USER3@parl.example")),
            with(2, Some("stranger@parl.example")),
            // Nobody is their own.
            with(3, Some("User3@parl.example")),
            with(4, None),
        ];
        listed(&bed, &all, 0).await;
        let first = [
            "User Number 1 by User Number 3, noted by bell",
            "User Number 2 by nobody known, noted by bell",
        ];
        assert_eq!(delegates().await, first);
        assert_eq!(acts().await, ["person.delegated", "person.delegated"]);

        // The same again is no news, and neither is what an operator decided.
        let who = hits(&bed, LookupKind::ObjectId, "id-000002").await[0];
        let second = facts(&bed, who).await.holder.unwrap();
        let mut tx = bed.tx().await;
        tx.set_delegate(second, None, "ann", at(1)).await.unwrap();
        tx.commit().await.unwrap();
        listed(&bed, &all, 2).await;
        let decided = [first[0], "User Number 2 by nobody known, noted by ann"];
        assert_eq!(delegates().await, decided);

        let moved = [
            with(1, Some("User4@parl.example")),
            with(2, Some("User4@parl.example")),
            entry(3),
            entry(4),
        ];
        listed(&bed, &moved, 3).await;
        assert_eq!(
            delegates().await,
            ["User Number 1 by User Number 4, noted by bell", decided[1]]
        );
        listed(&bed, &[entry(1), entry(2), entry(3), entry(4)], 4).await;
        assert_eq!(delegates().await, [decided[1]]);
        assert_eq!(acts().await.last().unwrap(), "person.delegate_ended");
        assert_eq!(acts().await.len(), 5);
    })
    .await;
}
