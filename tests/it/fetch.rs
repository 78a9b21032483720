//! Audits that come by themselves: from services that page, throttle, cut and refuse, each by its own cron line.

use division_bell::serve::gather;
use division_bell::steps::fetch::{Gathered, now};
use serde_json::json;

use crate::support::flow::{Bell, Setup, five, moment};
use crate::support::identity::{Answer, Identity};

const SECRET: &str = "s3ntinel-key";
const USERS: &str = "GET /v1.0/identityProtection/riskyUsers?$select=id,isDeleted,isProcessing,riskLevel,riskState,riskDetail,riskLastUpdatedDateTime,userPrincipalName&$top=500";
const DETECTIONS: &str = "GET /v1.0/identityProtection/riskDetections?$top=500";
const TOKEN: &str = "POST /westbridge/oauth2/v2.0/token";
const AUDIT: &str = "account,verdict,as_of,name\nPARL\\abaraa,weak,2026-03-01T08:00:00Z,x\n";

/// Of one test alone.
const MINE: &str = "account,verdict,as_of,name\nPARL\\coxc,weak,2026-03-01T08:00:00Z,x\n";

/// A Bell of five people with one source that is asked.
async fn bell(service: &Identity, keys: &str) -> (Bell, tempfile::TempDir) {
    let secrets = tempfile::tempdir().unwrap();
    let file = secrets.path().join("secret");
    std::fs::write(&file, SECRET).unwrap();
    let keys = keys
        .replace("BASE", &service.base)
        .replace("SECRET_FILE", &file.display().to_string());
    let more = format!(
        "[[source]]\nname = \"asked\"\nfetch_at = \"0 30 5 * * *\"\npatience = \"5 s\"\ntimeout = \"1 s\"\n{keys}\n"
    );
    let bell = Bell::with(Setup {
        more,
        ..Setup::default()
    })
    .await;
    bell.people(&five()).await;
    (bell, secrets)
}

async fn table(service: &Identity, more: &str) -> (Bell, tempfile::TempDir) {
    let keys = format!(
        "kind = \"mapped_csv\"\nmapping = \"in/own.toml\"\nfetch = \"url\"\nurl = \"BASE/audits/weak.csv?week=9\"\n{more}"
    );
    bell(service, &keys).await
}

async fn asked(bell: &Bell) -> Gathered {
    now(&bell.app, "asked", "ann").await.unwrap()
}

fn csv(text: &str) -> Answer {
    Answer::With(200, Vec::new(), text.to_owned())
}

#[tokio::test]
async fn a_document_behind_a_token_is_taken_in_once_and_kept_nowhere() {
    let service = Identity::start().await;
    let (bell, _secrets) = table(&service, "token_file = \"SECRET_FILE\"").await;
    service.wants(&format!("Bearer {SECRET}"));
    let weak = "GET /audits/weak.csv?week=9";
    service.expect(weak, csv(MINE));
    let first = asked(&bell).await;
    assert_eq!((first.taken.len(), first.known), (1, 0), "{first:?}");
    assert_eq!(first.taken[0].opened, 1);
    service.expect(weak, csv(MINE));
    let again = asked(&bell).await;
    assert_eq!((again.taken.len(), again.known), (0, 1), "{again:?}");
    let files = bell.column("SELECT file_name FROM audits").await;
    assert_eq!(files, ["asked-1"]);
    // Other tests may be fetching at this moment, but not this.
    let left: Vec<_> = std::fs::read_dir(std::env::temp_dir())
        .unwrap()
        .filter_map(Result::ok)
        .filter(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .starts_with("bell-audit-")
        })
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("asked-1")).ok())
        .filter(|text| text == MINE)
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_source_is_asked_when_its_own_line_says_so() {
    let service = Identity::start().await;
    let (bell, _secrets) = table(&service, "").await;
    let weak = "GET /audits/weak.csv?week=9";
    // It was never asked.
    service.expect(weak, csv(AUDIT));
    assert_eq!(gather(&bell.app).await.unwrap().taken.len(), 1);
    // Until half past five nobody asks.
    assert_eq!(gather(&bell.app).await.unwrap(), Gathered::default());
    bell.at("2026-03-03T05:29:59Z");
    assert_eq!(gather(&bell.app).await.unwrap(), Gathered::default());
    bell.at("2026-03-03T05:30:00Z");
    service.expect(weak, csv(AUDIT));
    assert_eq!(gather(&bell.app).await.unwrap().known, 1);
}

#[tokio::test]
async fn a_source_that_fails_raises_an_alarm_and_is_asked_again_after_a_while() {
    let service = Identity::start().await;
    let (bell, _secrets) = table(&service, "").await;
    let weak = "GET /audits/weak.csv?week=9";
    service.expect(weak, Answer::status(403));
    let failed = gather(&bell.app).await.unwrap();
    let [told] = &failed.failed[..] else {
        panic!("{failed:?}")
    };
    assert!(
        told.contains("the service refuses (status 403") && !told.contains("s3ntinel"),
        "{told}"
    );
    let alarms = bell
        .app
        .store
        .begin()
        .await
        .unwrap()
        .alarms()
        .await
        .unwrap();
    assert_eq!(alarms[0].name, "audit.asked");
    // It is left alone for half a minute.
    assert_eq!(gather(&bell.app).await.unwrap(), Gathered::default());
    bell.advance(chrono::TimeDelta::minutes(1));
    // The connection is cut in the middle, and then it is not.
    service.expect(weak, Answer::Cut(AUDIT[..40].to_owned()));
    service.expect(weak, csv(AUDIT));
    assert_eq!(gather(&bell.app).await.unwrap().taken.len(), 1);
    let alarms = bell
        .app
        .store
        .begin()
        .await
        .unwrap()
        .alarms()
        .await
        .unwrap();
    assert_eq!(alarms, []);
}

#[tokio::test]
async fn what_is_no_audit_is_refused_and_changes_nothing() {
    let service = Identity::start().await;
    let (bell, _secrets) = table(&service, "").await;
    service.expect(
        "GET /audits/weak.csv?week=9",
        csv("<html>please sign in</html>"),
    );
    let failed = asked(&bell).await;
    assert_eq!(failed.failed.len(), 1, "{failed:?}");
    assert_eq!(bell.count("SELECT COUNT(*) FROM audits").await, 0);
}

#[tokio::test]
async fn have_i_been_pwned_is_asked_with_its_key_and_as_slowly_as_it_wants() {
    let service = Identity::start().await;
    let keys = "kind = \"hibp_domain\"\ncatalogue = \"in/hibp-breaches.json\"\ndomain = \"parl.example\"\nfetch = \"hibp\"\nurl = \"BASE\"\nkey_file = \"SECRET_FILE\"";
    let (bell, _secrets) = bell(&service, keys).await;
    service.wants(&format!("hibp-api-key {SECRET}"));
    let domain = "GET /api/v3/breacheddomain/parl.example";
    let busy =
        json!({ "statusCode": 429, "message": "Rate limit is exceeded. Try again in 2 seconds." });
    service.expect(
        domain,
        Answer::With(429, vec![("retry-after", "1".to_owned())], busy.to_string()),
    );
    let found = json!({ "ada.abara": ["Adobe"], "nobody.of.ours": ["Adobe"] });
    service.expect(domain, Answer::json(&found));
    let first = asked(&bell).await;
    assert_eq!(first.failed, [""; 0]);
    assert_eq!(first.taken[0].counts.findings, 2, "{first:?}");
    assert_eq!(first.taken[0].counts.unmatched, 1);
    // Nobody of the domain is in any breach any more.
    service.expect(domain, Answer::status(404));
    assert_eq!(asked(&bell).await.failed, [""; 0]);
    // A wrong key is an operator's matter.
    service.expect(domain, Answer::status(401));
    let failed = asked(&bell).await;
    assert!(failed.failed[0].contains("status 401"), "{failed:?}");
}

fn risky(number: &str, who: &str, level: &str) -> serde_json::Value {
    json!({
        "id": format!("00000000-0000-4000-8000-0000000000{number}"), "isDeleted": false, "isProcessing": false,
        "riskLevel": level, "riskState": "atRisk", "riskDetail": "none",
        "riskLastUpdatedDateTime": "2026-03-01T10:00:00Z", "userPrincipalName": format!("{who}@parl.example"),
    })
}

#[tokio::test]
async fn graph_is_asked_page_by_page_and_an_expired_token_is_renewed() {
    let service = Identity::start().await;
    let keys = "kind = \"entra_risk\"\nfetch = \"graph\"\nurl = \"BASE\"\nlogin_url = \"BASE\"\ntenant = \"westbridge\"\nclient_id = \"bell\"\nclient_secret_file = \"SECRET_FILE\"";
    let (bell, _secrets) = bell(&service, keys).await;
    let token = |name: &str| {
        Answer::json(&json!({ "token_type": "Bearer", "expires_in": 3599, "access_token": name }))
    };
    service.wants("Bearer one");
    service.expect(TOKEN, token("one"));
    let next = format!(
        "{}/v1.0/identityProtection/riskyUsers?$skiptoken=2",
        service.base
    );
    service.expect(
        USERS,
        Answer::json(
            &json!({ "value": [risky("01", "ada.abara", "high")], "@odata.nextLink": next }),
        ),
    );
    // Throttled, and nobody says for how long.
    let second = "GET /v1.0/identityProtection/riskyUsers?$skiptoken=2";
    service.expect(second, Answer::With(429, Vec::new(), "{}".to_owned()));
    service.expect(
        second,
        Answer::json(&json!({ "value": [risky("02", "bea.bright", "low")] })),
    );
    service.expect(DETECTIONS, Answer::json(&json!({ "value": [] })));
    let first = asked(&bell).await;
    assert_eq!(first.failed, [""; 0]);
    assert_eq!(first.taken.len() as u64 + first.known, 2, "{first:?}");
    assert_eq!(first.taken[0].counts.findings, 2, "{first:?}");
    assert!(service.bodies()[0].contains("client_secret=s3ntinel-key"));

    // The next page is at another address: nothing goes there, and nothing is taken in.
    let before = bell.count("SELECT COUNT(*) FROM audits").await;
    service.expect(TOKEN, token("one"));
    service.expect(
        USERS,
        Answer::json(&json!({ "value": [], "@odata.nextLink": "https://evil.example/next" })),
    );
    let failed = asked(&bell).await;
    assert!(
        failed.failed[0].contains("at another address"),
        "{failed:?}"
    );
    assert_eq!(bell.count("SELECT COUNT(*) FROM audits").await, before);
}

#[tokio::test]
async fn a_file_that_is_written_anew_is_taken_in_when_it_changes() {
    let service = Identity::start().await;
    let keys = "kind = \"mapped_csv\"\nmapping = \"in/own.toml\"\nfetch = \"file\"\nfile = \"in/fresh.csv\"";
    let (bell, _secrets) = bell(&service, keys).await;
    let missing = asked(&bell).await;
    assert_eq!(missing.failed.len(), 1, "{missing:?}");
    bell.write("in/fresh.csv", AUDIT);
    assert_eq!(asked(&bell).await.taken.len(), 1);
    assert_eq!(asked(&bell).await.known, 1);
    bell.write(
        "in/fresh.csv",
        format!("{AUDIT}PARL\\brightb,weak,2026-03-01T08:00:00Z,x\n"),
    );
    assert_eq!(asked(&bell).await.taken[0].opened, 1);
    assert!(bell.now() >= moment("2026-03-02T08:00:00Z"));
    assert!(bell.path("in/fresh.csv").exists(), "it is somebody else's");
}
