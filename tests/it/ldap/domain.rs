//! A domain: Samba as its controller.

use std::time::{Duration, Instant};

use chrono::TimeDelta;

use super::{Server, ask, closed, found_weak_as_of, list, now, standing};
use crate::support::child::Start;
use crate::support::flow::Bell;
use crate::support::program;
use crate::support::samba::{BASE, READER, Samba};

async fn bell(samba: &Samba) -> Bell {
    let (ca_file, secret) = (samba.ca_file(), samba.secret());
    Server {
        profile: "active_directory",
        urls: vec![samba.url()],
        ca_file: &ca_file,
        user: READER,
        secret: &secret,
        base: BASE,
        // Small, so that there are several.
        more: "page_size = 3\n[ldap.columns]\ndelegate = \"assistant\"",
    }
    .bell()
    .await
}

/// Opens a case about each of these, as of a moment since the domain was made, and waits until that is past.
async fn found(bell: &Bell, accounts: &[&str]) {
    let as_of = Samba::made_at().plus(TimeDelta::seconds(2));
    while now() < as_of.plus(TimeDelta::seconds(3)) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bell.app.clock.set(now());
    found_weak_as_of(bell, as_of, accounts).await;
}

#[tokio::test]
async fn people_of_a_domain_are_listed_with_what_is_known_of_them() {
    let samba = Samba::start();
    samba.set("boris", "manager", &Samba::dn("ada"));
    samba.set("boris", "assistant", &Samba::dn("clara"));
    samba.modify(&format!(
        "dn: {}\nchangetype: modify\nadd: proxyAddresses\nproxyAddresses: SMTP:boris@parl.example\nproxyAddresses: smtp:b.test@parl.example\nproxyAddresses: sip:boris@parl.example\n",
        Samba::dn("boris")
    ));
    samba.set("clara", "userAccountControl", "514");
    let bell = bell(&samba).await;

    let synced = list(&bell).await;
    assert_eq!(synced.rejected, 0, "{:?}", synced.rejects);
    let mut tx = bell.app.store.begin().await.unwrap();
    let boris = tx.person_by_address("b.test@parl.example").await.unwrap();
    let ada = tx.person_by_login("ada").await.unwrap().unwrap();
    let clara = tx.person_by_login("clara").await.unwrap().unwrap();
    let facts = tx.persons([boris.unwrap(), ada, clara]).await.unwrap();
    let boris = &facts[&boris.unwrap()];
    assert_eq!(boris.name.expose(), "boris Test");
    assert_eq!(
        boris.address.as_ref().unwrap().expose(),
        "boris@parl.example"
    );
    assert_eq!(boris.room.as_ref().unwrap().expose(), "Room 2");
    assert!(boris.enabled && !facts[&clara].enabled);
    assert!(boris.is_read_by_others && !facts[&ada].is_read_by_others);
    // A computer is nobody.
    assert_eq!(tx.person_by_login("desk1$").await.unwrap(), None);
    tx.commit().await.unwrap();
    let managed = crate::support::count(
        &bell.app.store,
        "SELECT COUNT(*) FROM persons p JOIN persons m ON m.id = p.manager_id WHERE p.display_name = 'boris Test' AND m.display_name = 'ada Test'",
    );
    assert_eq!(managed.await, 1);
    let delegates = "SELECT COUNT(*) FROM delegates d JOIN persons g ON g.id = d.delegate_id WHERE g.display_name = 'clara Test'";
    assert_eq!(crate::support::count(&bell.app.store, delegates).await, 1);
    // Administrator, Guest and krbtgt are nobody's own.
    let builtin = "SELECT COUNT(*) FROM accounts WHERE kind = 'builtin' AND holder_id IS NULL";
    assert_eq!(crate::support::count(&bell.app.store, builtin).await, 3);

    // A listing that says the same changes nothing; whoever was deleted has left.
    samba.delete("emil");
    let again = list(&bell).await.counts;
    assert_eq!(
        (again.left, again.joined, again.updated),
        (1, 0, 0),
        "{again:?}"
    );
}

#[tokio::test]
async fn a_domain_proves_resets_and_nothing_else_passes_for_one() {
    let samba = Samba::start();
    let bell = bell(&samba).await;
    list(&bell).await;
    found(&bell, &["ada", "boris", "clara", "dora", "emil"]).await;
    let first = ask(&bell).await;
    assert_eq!(standing(&first, "open"), 5, "{first:?}");

    samba.change_own_password("ada", "A.new.one.1");
    samba.set_temporary_password("boris", "A.temporary.1");
    // "Must change" on and off again moves the date, and nothing else.
    samba.set("clara", "pwdLastSet", "0");
    samba.set("clara", "pwdLastSet", "-1");
    samba.set("dora", "userAccountControl", "514");
    let then = ask(&bell).await;
    assert_eq!((then.reset, then.disabled), (1, 1), "{then:?}");
    assert_eq!(standing(&then, "pending"), 1, "{then:?}");
    assert_eq!(standing(&then, "touched"), 1, "{then:?}");
    // Only what changed was read.
    assert!(then.entries < first.entries, "{then:?}");

    let grades = crate::support::count(
        &bell.app.store,
        "SELECT COUNT(*) FROM cases c JOIN evidence e ON e.id = c.evidence_id JOIN accounts a ON a.id = c.account_id WHERE a.sam = 'ada' AND e.grade = 'A'",
    );
    assert_eq!(
        grades.await,
        1,
        "the directory told when the secret itself changed"
    );
}

#[tokio::test]
async fn whoever_is_renamed_stays_the_same_and_whoever_is_deleted_is_missed_by_id() {
    let samba = Samba::start();
    let bell = bell(&samba).await;
    list(&bell).await;
    found(&bell, &["ada", "emil"]).await;
    ask(&bell).await;

    // Married, and in another place in the tree, before people are listed again.
    samba.modify(&format!(
        "dn: {}\nchangetype: modify\nreplace: sAMAccountName\nsAMAccountName: lovelace\n-\nreplace: userPrincipalName\nuserPrincipalName: lovelace@parl.example\n-\nreplace: mail\nmail: lovelace@parl.example\n\n\
         dn: {}\nchangetype: modrdn\nnewrdn: CN=Ada Lovelace\ndeleteoldrdn: 1\nnewsuperior: {BASE}\n",
        Samba::dn("ada"),
        Samba::dn("ada"),
    ));
    samba.set_temporary_password("boris", "unrelated.1");
    samba.modify(&format!(
        "dn: CN=Ada Lovelace,{BASE}\nchangetype: modify\nreplace: pwdLastSet\npwdLastSet: 0\n"
    ));
    samba.delete("emil");
    let then = ask(&bell).await;
    assert_eq!(closed(&bell).await, 0, "{then:?}");

    // What is not among the changes is not gone; what is not there at all is.
    bell.advance(TimeDelta::hours(25));
    let sweep = ask(&bell).await;
    assert_eq!((sweep.reset, sweep.disabled), (0, 1), "{sweep:?}");
    let emil = crate::support::count(
        &bell.app.store,
        "SELECT COUNT(*) FROM cases c JOIN accounts a ON a.id = c.account_id WHERE a.sam = 'emil' AND c.state = 'closed'",
    );
    assert_eq!(emil.await, 1);
}

#[tokio::test]
async fn the_next_server_is_asked_when_one_is_away_and_then_everything_is_read() {
    let (one, two) = (Samba::start(), Samba::start());
    let authorities =
        [one.ca_file(), two.ca_file()].map(|file| std::fs::read_to_string(file).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, authorities.concat()).unwrap();
    let secret = one.secret();
    let bell = Server {
        profile: "active_directory",
        urls: vec![one.url(), two.url()],
        ca_file: &ca_file,
        user: READER,
        secret: &secret,
        base: BASE,
        more: "",
    }
    .bell()
    .await;
    list(&bell).await;
    let first = ask(&bell).await;
    assert!(first.entries >= 5, "{first:?}");
    assert_eq!(ask(&bell).await.entries, 0);
    one.stop();
    // Both are copies of one server, with one invocation id. A second controller has its own: to the second server the count
    // that is kept must look like another's, so it is given another's name.
    let another = "UPDATE cursors SET position = json_set(position, '$.server', '6f9619ff-8b86-d011-b42d-00cf4fc964ff')";
    crate::support::run_sql(&bell.app.store, another)
        .await
        .unwrap();
    let second = ask(&bell).await;
    assert_eq!(second.entries, first.entries, "{second:?}");
    assert_eq!(ask(&bell).await.entries, 0);
    two.stop();
    let failed = division_bell::steps::confirm::confirm(&bell.app, None, None)
        .await
        .unwrap();
    assert_eq!(failed.failed.len(), 1);
    assert!(
        failed.failed[0].contains("no server can be used"),
        "{failed:?}"
    );
}

#[tokio::test]
async fn a_domain_is_read_over_starttls_as_well() {
    let samba = Samba::start();
    let (ca_file, secret) = (samba.ca_file(), samba.secret());
    let bell = Server {
        profile: "active_directory",
        urls: vec![samba.starttls_url()],
        ca_file: &ca_file,
        user: READER,
        secret: &secret,
        base: BASE,
        more: "starttls = true",
    }
    .bell()
    .await;
    assert!(list(&bell).await.counts.listed >= 5);
}

#[tokio::test]
async fn serving_closes_a_case_within_a_minute_of_the_change() {
    let samba = Samba::start();
    let bell = bell(&samba).await;
    list(&bell).await;
    found(&bell, &["ada", "boris"]).await;
    let serving = Start::new(&bell, &["serve"]).run();
    let patience = Duration::from_secs(60);
    // Once it has read everything, it waits for changes as it would for ever.
    let start = Instant::now();
    while crate::support::count(&bell.app.store, "SELECT COUNT(*) FROM cursors").await == 0 {
        assert!(start.elapsed() < patience, "{}", serving.said());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    samba.change_own_password("ada", "A.new.one.1");
    let changed = Instant::now();
    while closed(&bell).await == 0 {
        assert!(changed.elapsed() < patience, "{}", serving.said());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("closed {:?} after the change", changed.elapsed());
    assert_eq!(closed(&bell).await, 1);
}

#[tokio::test]
async fn a_check_says_what_may_be_read() {
    let samba = Samba::start();
    let bell = bell(&samba).await;
    let answer = program::bell(&bell.path("bell.toml"), &["check"]);
    for line in [
        format!(
            "ok     ldap \"parl\" server: {} answers, protects and lets us in",
            samba.url()
        ),
        "ok     ldap \"parl\" base: the first page has 3 entries".to_owned(),
        "ok     ldap \"parl\" attributes: objectguid is on 3 of the first 3 entries".to_owned(),
        "ok     ldap \"parl\" attributes: pwdlastset is on 3 of the first 3 entries".to_owned(),
        "ok     ldap \"parl\" changes: what changed is asked for by uSNChanged".to_owned(),
    ] {
        assert!(answer.out.contains(&line), "{line}\n{}", answer.out);
    }
    assert!(
        answer
            .out
            .contains("ok     ldap \"parl\" clock: the server's clock and ours are "),
        "{}",
        answer.out
    );
}
