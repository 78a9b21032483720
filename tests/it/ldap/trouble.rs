//! Trouble: servers that are not who they should be, that refuse, that die in mid-sentence, and entries that nobody wrote in
//! good faith.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::TimeDelta;
use data_encoding::BASE64;
use division_bell::steps::{confirm, people};

use super::openldap::{at, bell, many, people as old_people};
use super::{Server, ask, closed, found_weak, list, now};
use crate::support::count;
use crate::support::slapd::{BASE, READER, READER_PASSWORD, Slapd};

#[tokio::test]
async fn a_server_with_another_authority_or_that_does_not_know_us_is_an_error_that_says_so() {
    let slapd = Slapd::start(&old_people(&["ada"]));
    let (ca_file, other) = (slapd.ca_file(), slapd.other_ca_file());
    let (right, wrong) = (slapd.secret(READER_PASSWORD), slapd.secret("guessed"));
    let url = slapd.url();
    let plain = format!("ldap://127.0.0.1:{}", slapd.port);
    let nobody = "ldaps://127.0.0.1:1".to_owned();
    for (urls, ca_file, secret, base, more, expected) in [
        (
            vec![url.clone()],
            &other,
            &right,
            BASE,
            "",
            "TLS cannot be agreed on",
        ),
        (
            vec![url.clone()],
            &ca_file,
            &wrong,
            BASE,
            "",
            "the name or the password that we sign in with is wrong",
        ),
        (
            vec![nobody.clone()],
            &ca_file,
            &right,
            BASE,
            "",
            "nobody listens there",
        ),
        (
            vec![url.clone()],
            &ca_file,
            &right,
            "dc=nowhere",
            "",
            "there is no such entry, or it may not be read",
        ),
        (
            vec![url.clone()],
            &ca_file,
            &right,
            "people",
            "",
            "base is not in the form of a name",
        ),
        // The authority of another is asked only if the first does not answer, and a server of no use is no reason to stop.
        (vec![nobody, url.clone()], &ca_file, &right, BASE, "", ""),
        (vec![plain], &ca_file, &right, BASE, "starttls = true", ""),
    ] {
        let bell = Server {
            profile: "openldap",
            urls: urls.clone(),
            ca_file,
            user: READER,
            secret,
            base,
            more,
        }
        .bell()
        .await;
        bell.app.clock.set(now());
        let confirmed = confirm::confirm(&bell.app, None, None).await.unwrap();
        if expected.is_empty() {
            assert_eq!(confirmed.entries, 1, "{confirmed:?}");
            continue;
        }
        assert_eq!(confirmed.failed.len(), 1, "{expected} {confirmed:?}");
        assert!(
            confirmed.failed[0].contains(expected),
            "{expected}: {confirmed:?}"
        );
        assert!(!confirmed.failed[0].contains("guessed"));
        let listed = people::sync(&bell.app, None, false, "ann").await;
        assert!(
            format!("{:#}", listed.unwrap_err()).contains(expected),
            "{expected}"
        );
        bell.app.store.close().await;
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_an_alarm_until_it_can() {
    let slapd = Slapd::start(&old_people(&["ada"]));
    let line = Cutter::to(slapd.tls_port);
    let bell = at(&slapd, &line.url(), "").await;
    list(&bell).await;
    line.after(0);
    // It is asked again after half a minute, then after a minute, a tenth more or less: not at every pass.
    for (seconds, failed) in [(0, 1), (26, 0), (8, 1), (53, 0), (14, 1)] {
        bell.advance(TimeDelta::seconds(seconds));
        let confirmed = confirm::poll(&bell.app).await.unwrap();
        assert_eq!(confirmed.failed.len(), failed, "{confirmed:?}");
    }
    let wrong = "SELECT COUNT(*) FROM alarms WHERE name = 'evidence.server' AND cleared_at IS NULL";
    assert_eq!(count(&bell.app.store, wrong).await, 1);
    line.after(usize::MAX);
    bell.advance(TimeDelta::minutes(3));
    assert_eq!(confirm::poll(&bell.app).await.unwrap().entries, 1);
    assert_eq!(count(&bell.app.store, wrong).await, 0);
}

#[tokio::test]
async fn a_server_that_dies_in_the_middle_of_a_page_loses_nothing_and_nobody_has_gone() {
    let slapd = Slapd::start(&many());
    let line = Cutter::to(slapd.tls_port);
    let bell = at(&slapd, &line.url(), "page_size = 200\ntimeout = \"5 s\"").await;
    list(&bell).await;
    found_weak(&bell, &["p0007", "p1499"]).await;
    ask(&bell).await;
    let here = "SELECT COUNT(*) FROM accounts WHERE left_at IS NULL";
    assert_eq!(count(&bell.app.store, here).await, 1_500);
    let swept = "SELECT COUNT(*) FROM cursors WHERE swept_at < read_at";
    assert_eq!(count(&bell.app.store, swept).await, 0);

    // A day later everything is read again, and the changes since are somewhere behind the cut.
    slapd.force(&format!(
        "dn: uid=p1499,ou=people,{BASE}\nchangetype: modify\nreplace: pwdChangedTime\npwdChangedTime: {}\n",
        now().utc().format("%Y%m%d%H%M%SZ")
    ));
    bell.advance(TimeDelta::hours(25));
    for bytes in [20_000, 60_000, 120_000] {
        line.after(bytes);
        let cut = confirm::confirm(&bell.app, None, None).await.unwrap();
        assert_eq!(cut.failed.len(), 1, "{bytes} {cut:?}");
        assert!(
            cut.failed[0].contains("what had not come is not known"),
            "{cut:?}"
        );
        assert!(people::sync(&bell.app, None, true, "ann").await.is_err());
    }
    assert_eq!(closed(&bell).await, 0);
    assert_eq!(count(&bell.app.store, here).await, 1_500);

    line.after(usize::MAX);
    let then = ask(&bell).await;
    assert_eq!(
        (then.reset, then.disabled, then.entries),
        (1, 0, 1_500),
        "{then:?}"
    );
    assert_eq!(list(&bell).await.counts.left, 0);
}

#[tokio::test]
async fn so_many_at_once_are_no_deletion_but_a_right_that_was_lost() {
    let slapd = Slapd::start(&many());
    let bell = bell(&slapd, "").await;
    list(&bell).await;
    let names: Vec<String> = (0..60).map(|n| format!("p{n:04}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    found_weak(&bell, &names).await;
    ask(&bell).await;
    let ldif: String = names
        .iter()
        .map(|name| format!("dn: uid={name},ou=people,{BASE}\nchangetype: delete\n\n"))
        .collect();
    slapd.modify(&ldif);
    bell.advance(TimeDelta::hours(25));
    let confirmed = confirm::confirm(&bell.app, None, None).await.unwrap();
    assert!(
        confirmed.failed[0].contains("so many at once is no deletion"),
        "{confirmed:?}"
    );
    assert_eq!(closed(&bell).await, 0);
}

#[tokio::test]
async fn entries_that_nobody_wrote_in_good_faith_prove_nothing_and_stop_nobody() {
    // As Active Directory's, but of bytes without any rule.
    let schema = ["objectGUID", "objectSid", "sAMAccountName", "pwdLastSet", "userAccountControl", "accountExpires", "proxyAddresses", "physicalDeliveryOfficeNameX"]
        .iter()
        .enumerate()
        .map(|(n, name)| format!("attributetype ( 1.1.2.{n} NAME '{name}' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 )\n"))
        .collect::<String>()
        + "objectclass ( 1.1.3.1 NAME 'wild' SUP top AUXILIARY MAY ( objectGUID $ objectSid $ sAMAccountName $ pwdLastSet $ userAccountControl $ accountExpires $ proxyAddresses $ physicalDeliveryOfficeNameX ) )\n";
    let huge = vec![b'x'; 10 * 1024 * 1024];
    let odd: [(&str, &[u8]); 12] = [
        ("pwdLastSet", b"9223372036854775808"),
        ("pwdLastSet", b"9223372036854775807"),
        ("pwdLastSet", b"-1"),
        ("pwdLastSet", b"1"),
        ("pwdLastSet", b"13\x004400501274063730"),
        ("pwdLastSet", b"\xFF\xFE"),
        ("pwdLastSet", &huge),
        ("userAccountControl", b"99999999999999999999"),
        ("proxyAddresses", b"smtp:\xFF\xFF@x"),
        ("sAMAccountName", b"p\x00q"),
        ("objectSid", b"\x01\xFF"),
        ("physicalDeliveryOfficeNameX", &huge),
    ];
    let mut ldif = String::new();
    for (n, (name, value)) in odd.iter().enumerate() {
        let mut guid = [0; 16];
        guid[15] = n as u8;
        ldif.push_str(&format!(
            "dn: uid=w{n},ou=people,{BASE}\nobjectClass: inetOrgPerson\nobjectClass: wild\nuid: w{n}\ncn: w{n}\nsn: w{n}\nobjectGUID:: {}\n",
            BASE64.encode(&guid)
        ));
        if *name != "sAMAccountName" {
            ldif.push_str(&format!("sAMAccountName: w{n}\n"));
        }
        ldif.push_str(&format!("{name}:: {}\n\n", BASE64.encode(value)));
    }
    // One without an id at all.
    ldif.push_str(&format!("dn: uid=none,ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: none\ncn: none\nsn: none\n\n"));
    let slapd = Slapd::with(&ldif, &schema);
    let (ca_file, secret) = (slapd.ca_file(), slapd.secret(READER_PASSWORD));
    let bell = Server {
        profile: "active_directory",
        urls: vec![slapd.url()],
        ca_file: &ca_file,
        user: READER,
        secret: &secret,
        base: BASE,
        more: "filter = \"(objectClass=inetOrgPerson)\"\n[ldap.columns]\nroom = \"physicalDeliveryOfficeNameX\"",
    }
    .bell()
    .await;
    let synced = list(&bell).await;
    assert_eq!(
        (synced.counts.listed, synced.rejected),
        (12, 1),
        "{synced:?}"
    );
    found_weak(
        &bell,
        &[
            "w0", "w1", "w2", "w3", "w4", "w5", "w6", "w7", "w8", "w10", "w11",
        ],
    )
    .await;
    let confirmed = ask(&bell).await;
    assert_eq!(confirmed.entries, 12, "{confirmed:?}");
    assert_eq!(closed(&bell).await, 0);
    // A date in the year 1601 is one; all others are none, and unknown.
    assert_eq!(confirmed.standings.get("open"), Some(&1), "{confirmed:?}");
    assert_eq!(
        confirmed.standings.get("unknown"),
        Some(&10),
        "{confirmed:?}"
    );
}

/// A line to a server that breaks after so many bytes from it.
struct Cutter {
    port: u16,
    most: Arc<AtomicUsize>,
}

impl Cutter {
    fn to(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let most = Arc::new(AtomicUsize::new(usize::MAX));
        let shared = Arc::clone(&most);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else {
                    continue;
                };
                let most = shared.load(Ordering::SeqCst);
                let (to_server, to_client) =
                    (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || pass(client, to_server, usize::MAX));
                std::thread::spawn(move || pass(server, to_client, most));
            }
        });
        Self { port, most }
    }

    fn url(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.port)
    }

    /// The lines that are made from now on break after so many bytes.
    fn after(&self, bytes: usize) {
        self.most.store(bytes, Ordering::SeqCst);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, mut most: usize) {
    let mut buffer = [0; 4096];
    while most > 0 {
        let Ok(count @ 1..) = from.read(&mut buffer) else {
            break;
        };
        let count = count.min(most);
        most -= count;
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
