//! OpenLDAP with the overlay ppolicy.

use chrono::TimeDelta;
use division_bell::steps::confirm;

use super::{Server, ask, closed, found_weak, list, standing};
use crate::support::flow::Bell;
use crate::support::program;
use crate::support::slapd::{BASE, Person, READER, READER_PASSWORD, Slapd};

const LONG_AGO: &str = "pwdChangedTime: 20200101000000Z\n";

/// People whose passwords are old.
pub fn people(names: &[&str]) -> String {
    names
        .iter()
        .map(|uid| {
            Person {
                uid,
                password: "old.password",
                more: LONG_AGO,
            }
            .ldif()
        })
        .collect()
}

/// A thousand and a half of them, named `p0000` and so on.
pub fn many() -> String {
    (0..1_500)
        .map(|n| {
            Person {
                uid: &format!("p{n:04}"),
                password: "{SSHA}x",
                more: LONG_AGO,
            }
            .ldif()
        })
        .collect()
}

pub async fn bell(slapd: &Slapd, more: &str) -> Bell {
    at(slapd, &slapd.url(), more).await
}

/// The same, by way of another address.
pub async fn at(slapd: &Slapd, url: &str, more: &str) -> Bell {
    let (ca_file, secret) = (slapd.ca_file(), slapd.secret(READER_PASSWORD));
    Server {
        profile: "openldap",
        urls: vec![url.to_owned()],
        ca_file: &ca_file,
        user: READER,
        secret: &secret,
        base: BASE,
        more,
    }
    .bell()
    .await
}

#[tokio::test]
async fn ppolicy_proves_resets_and_nothing_else_passes_for_one() {
    let names = ["ada", "boris", "clara", "dora", "emil"];
    let never = Person {
        uid: "never",
        password: "old.password",
        more: "",
    };
    let slapd = Slapd::start(&format!("{}{}", people(&names), never.ldif()));
    let bell = bell(&slapd, "page_size = 2").await;
    list(&bell).await;
    found_weak(&bell, &["ada", "boris", "clara", "dora", "emil", "never"]).await;
    let first = ask(&bell).await;
    assert_eq!(
        (standing(&first, "open"), standing(&first, "unknown")),
        (5, 1),
        "{first:?}"
    );

    slapd.change_own_password("ada", "old.password", "new.password");
    slapd.set_password("boris", "temporary");
    slapd.force(&format!(
        "dn: uid=clara,ou=people,{BASE}\nchangetype: modify\nadd: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n"
    ));
    slapd.modify(&format!(
        "dn: uid=dora,ou=people,{BASE}\nchangetype: modify\nreplace: cn\ncn: Dora Married\n\n\
         dn: uid=emil,ou=people,{BASE}\nchangetype: delete\n"
    ));
    let then = ask(&bell).await;
    assert_eq!((then.reset, then.disabled), (1, 1), "{then:?}");
    assert_eq!(standing(&then, "pending"), 1, "{then:?}");
    // The person finishes what the help desk began.
    slapd.change_own_password("boris", "temporary", "new.password");
    assert_eq!(ask(&bell).await.reset, 1);

    assert_eq!(closed(&bell).await, 3);
    bell.advance(TimeDelta::hours(25));
    let sweep = ask(&bell).await;
    assert_eq!((sweep.reset, sweep.disabled), (0, 1), "{sweep:?}");
    assert_eq!(closed(&bell).await, 4);
}

#[tokio::test]
async fn more_people_than_the_server_gives_at_once_are_read_page_by_page() {
    let slapd = Slapd::start(&many());
    let bell = bell(&slapd, "page_size = 1000").await;
    assert_eq!(list(&bell).await.counts.listed, 1_500);
    let first = ask(&bell).await;
    assert_eq!((first.entries, first.unmatched), (1_500, 0));
    // Within the overlap everything that was changed is read again, which here is all that was loaded a moment ago.
    assert_eq!(ask(&bell).await.unmatched, 0);
    let text = bell.text.replace("page_size = 1000", "page_size = 1001");
    let mut bell = bell;
    bell.restart_with(text).await;
    let failed = confirm::confirm(&bell.app, None, None).await.unwrap();
    assert!(
        failed.failed[0].contains("its limit for a page was reached; set page_size lower"),
        "{failed:?}"
    );
}

#[tokio::test]
async fn a_check_says_what_may_not_be_read() {
    let ada = Person {
        uid: "ada",
        password: "x",
        more: "",
    };
    let slapd = Slapd::start(&ada.ldif());
    let bell = bell(&slapd, "").await;
    let answer = program::bell(&bell.path("bell.toml"), &["check"]);
    assert_eq!(answer.code, 1, "{answer:?}");
    for line in [
        "ok     ldap \"parl\" attributes: entryuuid is on 1 of the first 1 entries",
        "WRONG  ldap \"parl\" attributes: pwdchangedtime is on none of the first 1 entries; let the account read it",
        "ok     ldap \"parl\" attributes: not on any of the first 1 entries, so unknown: pwdreset, pwdaccountlockedtime",
        "ok     ldap \"parl\" changes: what changed is asked for by modifyTimestamp",
    ] {
        assert!(answer.out.contains(line), "{line}\n{}", answer.out);
    }
}
