//! Logs of attacks: lines about sign-ins are matched, weighed and become cases, and what strangers typed is kept nowhere.

use division_bell::domain::finding::Category;

use crate::support::flow::{Bell, Setup, databases, five};

/// Sources that read logs; a small number of failures is an attack.
const SOURCES: &str = r#"
[[source]]
name = "bastion"
kind = "login_log"
realm = "ad:PARL"
bare_sam = true
time_zone = "UTC"
failed_logins_at = 3

[[source]]
name = "domain-controller"
kind = "windows_events"
realm = "ad:PARL"
bare_sam = true
"#;

async fn bell(store: Option<String>) -> Bell {
    let bell = Bell::with(Setup {
        store,
        more: SOURCES.to_owned(),
        ..Setup::default()
    })
    .await;
    bell.people(&five()).await;
    bell
}

fn failed(second: u32, name: &str, from: &str) -> String {
    format!(
        "Mar  1 05:00:{second:02} bastion sshd[1]: Failed password for {name} from {from} port 1 ssh2\n"
    )
}

fn accepted(second: u32, name: &str, from: &str) -> String {
    failed(second, name, from).replace("Failed", "Accepted")
}

const EVIL: &str = "203.0.113.77";

#[tokio::test]
async fn a_spray_makes_cases_and_what_strangers_typed_is_kept_nowhere() {
    for store in databases().await {
        let bell = bell(store).await;
        let mut log: Vec<String> = (0..3)
            .map(|second| failed(second, "abaraa", EVIL))
            .collect();
        log.push(failed(3, "PARL\\brightb", EVIL));
        log.push(failed(4, "invalid user hunter2-of-somebody", EVIL));
        log.push(accepted(5, "coxc", EVIL));
        // A person who mistypes, at home.
        log.push(failed(6, "deverauxd", "192.0.2.200"));
        log.push(accepted(7, "deverauxd", "192.0.2.200"));
        // The log knows this name, our directory does not.
        log.extend(
            (8..20).map(|second| failed(second, "stranger-of-another-realm", "203.0.113.80")),
        );
        let file = bell.write("in/auth.log", log.concat());
        let intake = bell.intake(&file, "bastion").await.unwrap();
        let found: Vec<_> = intake
            .weaknesses
            .iter()
            .map(|(word, count)| (*word, *count))
            .collect();
        assert_eq!(
            found,
            [
                ("attacked/failed_logins", 1),
                ("attacked/password_spray", 2),
                ("compromised/password_accepted", 1)
            ]
        );
        let left_out = |word: &str| intake.skipped.get(word).copied().unwrap_or_default();
        for (word, count) in [
            ("typing", 1),
            ("ordinary", 1),
            ("no_such_user", 1),
            ("attacked_nobody", 1),
        ] {
            assert_eq!(left_out(word), count, "{word}: {intake:?}");
        }
        assert_eq!(intake.counts.records, log.len() as u64);
        assert_eq!(intake.counts.unmatched, 0, "{intake:?}");
        for (sam, category, at) in [
            ("abaraa", Category::Attacked, "2026-03-01T05:00:02Z"),
            ("brightb", Category::Attacked, "2026-03-01T05:00:03Z"),
            ("coxc", Category::Compromised, "2026-03-01T05:00:05Z"),
        ] {
            let case = bell.case_of(sam).await;
            assert_eq!(
                (
                    case.claim.category,
                    case.claim.bad_as_of.to_string().as_str()
                ),
                (category, at),
                "{sam}"
            );
        }
        for sam in ["deverauxd", "ekwuemee"] {
            assert!(bell.cases_of(sam).await.is_empty(), "{sam}");
        }
        let kept = format!("{:?}", bell.content().await);
        for typed in ["hunter2", "stranger-of", EVIL] {
            assert!(!kept.contains(typed), "{typed} is in the database");
        }
        let again = bell.intake(&file, "bastion").await.unwrap();
        assert!(again.known, "{again:?}");
    }
}

fn lockout(name: &str, at: &str) -> String {
    format!(
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><EventID>4740</EventID><TimeCreated SystemTime='{at}'/></System><EventData><Data Name='TargetUserName'>{name}</Data><Data Name='TargetDomainName'>OLDPHONE</Data></EventData></Event>"
    )
}

#[tokio::test]
async fn a_lockout_soon_after_a_persons_own_change_is_an_old_telephone() {
    for store in databases().await {
        let bell = bell(store).await;
        bell.evidence(&[
            ("abaraa", "2026-02-28T10:00:00Z", false),
            ("brightb", "2026-02-20T10:00:00Z", false),
        ])
        .await;
        let events: String = ["abaraa", "brightb", "coxc"]
            .iter()
            .map(|name| lockout(name, "2026-03-01T09:00:00Z"))
            .collect();
        let file = bell.write("in/security.xml", format!("<Events>{events}</Events>"));
        let intake = bell.intake(&file, "domain-controller").await.unwrap();
        assert_eq!(intake.weaknesses["attacked/lockout"], 3);
        assert_eq!(intake.recorded, 1, "{intake:?}");
        assert!(bell.cases_of("abaraa").await.is_empty());
        for sam in ["brightb", "coxc"] {
            assert_eq!(
                bell.case_of(sam).await.claim.category,
                Category::Attacked,
                "{sam}"
            );
        }
    }
}
