//! Evidence from everything that is no LDAP server: services that page, throttle and fail, and files as directories write
//! them. What counts is what becomes of people's cases.

mod access;

use std::time::Instant;

use chrono::TimeDelta;
use data_encoding::BASE64URL_NOPAD;
use division_bell::domain::evidence::{Actor, Evidence, Grade};
use division_bell::steps::confirm::{Confirmed, confirm, poll};
use serde_json::{Value, json};

use crate::support::bell::Bell;
use crate::support::identity::{Answer, Identity};

const SELECT: &str = "$select=id,userPrincipalName,mail,accountEnabled,lastPasswordChangeDateTime,signInSessionsValidFromDateTime,onPremisesSyncEnabled,onPremisesSecurityIdentifier,passwordProfile";
const TOKEN: &str = "POST /westbridge/oauth2/v2.0/token";
const SECRET: &str = "s3ntinel-secret";

/// After the demo's audit, and before its clock starts.
const AFTER: &str = "2026-03-02T08:30:00Z";
const BEFORE: &str = "2025-11-03T09:14:00Z";

/// A Bell that knows the demo's people and their weak passwords, and reads one more source.
async fn bell(source: &str) -> Bell {
    let secrets = tempfile::tempdir().unwrap();
    let file = secrets.path().join("secret");
    std::fs::write(&file, SECRET).unwrap();
    let source = source.replace("SECRET_FILE", &file.display().to_string());
    let more = format!("\n[[evidence]]\nname = \"id\"\n{source}\n");
    let bell = Bell::with("sqlite:bell.db", &more).await;
    bell.people_sync().await;
    bell.intake("weak-passwords.csv").await;
    bell
}

async fn graph(service: &Identity, more: &str) -> Bell {
    let base = &service.base;
    bell(&format!(
        "kind = \"graph\"\nurl = \"{base}\"\nlogin_url = \"{base}\"\ntenant = \"westbridge\"\nclient_id = \"bell\"\nclient_secret_file = \"SECRET_FILE\"\ntimeout = \"1 s\"\npatience = \"5 s\"\n{more}"
    ))
    .await
}

async fn reads(bell: &Bell) -> Confirmed {
    let confirmed = confirm(&bell.app, None, Some("id"))
        .await
        .unwrap_or_else(|error| panic!("{error:#}"));
    assert_eq!(confirmed.failed, [""; 0]);
    confirmed
}

/// Why the source could not be read.
async fn fails(bell: &Bell) -> (Confirmed, String) {
    let confirmed = confirm(&bell.app, None, Some("id")).await.unwrap();
    let [told] = &confirmed.failed[..] else {
        panic!("{confirmed:?}")
    };
    assert!(
        !told.contains("s3ntinel") && !told.contains("127.0.0.1"),
        "{told}"
    );
    let told = told.clone();
    (confirmed, told)
}

/// What is known of the account with this name.
async fn known(bell: &Bell, sam: &str) -> Option<(Evidence, Grade)> {
    let mut tx = bell.tx().await;
    let lookup = division_bell::domain::identity::Lookup {
        kind: division_bell::domain::identity::LookupKind::Sam,
        key: sam.to_owned(),
    };
    let realm = division_bell::domain::identity::Realm("ad:WESTBRIDGE".to_owned());
    let known = tx
        .known(&realm, std::slice::from_ref(&lookup))
        .await
        .unwrap();
    let [account] = known.hits(&lookup) else {
        panic!("no {sam}")
    };
    let latest = tx.latest_evidence(&[*account]).await.unwrap();
    latest
        .get(account)
        .map(|latest| (latest.evidence.clone(), latest.grade))
}

fn number(sam: &str) -> &'static str {
    match sam {
        "okaforc" => "1102",
        "lindqvistm" => "1103",
        "penroseg" => "1104",
        "tremblayl" => "1105",
        other => panic!("{other}"),
    }
}

fn object_id(sam: &str) -> String {
    format!("00000000-0000-4000-9000-00000000{}", number(sam))
}

fn address(sam: &str) -> &'static str {
    match sam {
        "okaforc" => "chidi.okafor@westbridge.example",
        "lindqvistm" => "maja.lindqvist@westbridge.example",
        "penroseg" => "gwen.penrose@westbridge.example",
        "tremblayl" => "luc.tremblay@westbridge.example",
        other => panic!("{other}"),
    }
}

fn graph_user(sam: &str, changed: &str) -> Value {
    json!({
        "id": object_id(sam), "userPrincipalName": address(sam), "mail": null, "accountEnabled": true,
        "lastPasswordChangeDateTime": changed, "signInSessionsValidFromDateTime": changed,
        "onPremisesSyncEnabled": null, "passwordProfile": null,
    })
}

fn token(name: &str) -> Answer {
    Answer::json(&json!({ "token_type": "Bearer", "expires_in": 3599, "access_token": name }))
}

/// Announces that a token is asked for, with which the next questions come.
fn gives_token(service: &Identity) {
    service.expect(TOKEN, token("t0ken-1"));
    service.wants("Bearer t0ken-1");
}

fn page(users: &[Value], more: &[(&str, String)]) -> Answer {
    let mut body = json!({ "@odata.context": "…$metadata#users", "value": users });
    for (key, value) in more {
        body[*key] = value.as_str().into();
    }
    Answer::json(&body)
}

#[tokio::test]
async fn graph_is_read_page_by_page_and_then_only_what_changed() {
    let service = Identity::start().await;
    let base = service.base.clone();
    let bell = graph(&service, "").await;
    let link = |token: &str| format!("{base}/v1.0/users/delta?$skiptoken={token}");
    let delta = |token: &str| format!("{base}/v1.0/users/delta?$deltatoken={token}");
    let begins = format!("GET /v1.0/users/delta?{SELECT}");

    gives_token(&service);
    service.expect(
        &begins,
        page(
            &[graph_user("okaforc", BEFORE)],
            &[("@odata.nextLink", link("2"))],
        ),
    );
    service.expect(
        "GET /v1.0/users/delta?$skiptoken=2",
        page(&[], &[("@odata.nextLink", link("3"))]),
    );
    service.expect(
        "GET /v1.0/users/delta?$skiptoken=3",
        page(
            &[graph_user("lindqvistm", AFTER)],
            &[("@odata.deltaLink", delta("a"))],
        ),
    );
    let confirmed = reads(&bell).await;
    assert_eq!((confirmed.entries, confirmed.reset), (2, 1));
    assert_eq!(
        service.bodies(),
        [format!(
            "grant_type=client_credentials&client_id=bell&client_secret={SECRET}&scope={}%2F.default",
            base.replace(':', "%3A").replace('/', "%2F")
        )]
    );
    let (evidence, grade) = known(&bell, "lindqvistm").await.unwrap();
    assert_eq!((evidence.actor, grade), (Actor::Unknown, Grade::B));

    // The schedule leaves it in peace for a minute. The next reading asks for changes only.
    bell.directory_says(&[]);
    bell.advance(TimeDelta::seconds(59));
    assert_eq!(poll(&bell.app).await.unwrap().entries, 0);
    bell.advance(TimeDelta::seconds(1));
    gives_token(&service);
    service.expect(
        "GET /v1.0/users/delta?$deltatoken=a",
        page(
            &[graph_user("okaforc", AFTER)],
            &[("@odata.deltaLink", delta("b"))],
        ),
    );
    assert_eq!(poll(&bell.app).await.unwrap().reset, 1);

    // What Graph remembered is forgotten: everything again.
    gives_token(&service);
    service.expect("GET /v1.0/users/delta?$deltatoken=b", Answer::status(410));
    service.expect(
        &begins,
        page(
            &[graph_user("penroseg", AFTER)],
            &[("@odata.deltaLink", delta("c"))],
        ),
    );
    assert_eq!(reads(&bell).await.reset, 1);

    // And once a day all of it, whatever is remembered.
    bell.advance(TimeDelta::days(1));
    gives_token(&service);
    let removed = json!({ "id": object_id("tremblayl"), "@removed": { "reason": "changed" } });
    service.expect(
        &begins,
        page(&[removed], &[("@odata.deltaLink", delta("d"))]),
    );
    assert_eq!(reads(&bell).await.disabled, 1);
    service.is_done();
}

#[tokio::test]
async fn a_check_asks_for_the_first_page_and_keeps_nothing() {
    let service = Identity::start().await;
    let bell = graph(&service, "delta = false").await;
    let asks = format!("GET /v1.0/users?{SELECT}&$top=999");
    let checks = async || {
        let checked = division_bell::steps::confirm::check(&bell.app).await;
        let [(name, result)] = &checked[..] else {
            panic!("{checked:?}")
        };
        assert_eq!(*name, "id");
        result
            .as_ref()
            .map_err(|error| format!("{error:#}"))
            .copied()
    };
    gives_token(&service);
    service.expect(&asks, page(&[graph_user("okaforc", AFTER)], &[]));
    assert_eq!(checks().await, Ok(()));
    assert!(known(&bell, "okaforc").await.is_none());
    service.expect(TOKEN, Answer::status(401));
    let told = checks().await.unwrap_err();
    assert!(
        told.contains("signing in is refused (status 401); check the client's id"),
        "{told}"
    );
}

#[tokio::test]
async fn a_service_that_throttles_or_stumbles_is_asked_again() {
    let service = Identity::start().await;
    let bell = graph(&service, "delta = false").await;
    let asks = format!("GET /v1.0/users?{SELECT}&$top=999");
    service.expect(TOKEN, Answer::status(503));
    gives_token(&service);
    let wait = Answer::status(429).header("retry-after", "1");
    service.expect(&asks, wait);
    service.expect(&asks, Answer::status(502));
    service.expect(&asks, Answer::Cut("{\"value\": [".to_owned()));
    service.expect(&asks, page(&[graph_user("okaforc", AFTER)], &[]));
    let began = Instant::now();
    assert_eq!(reads(&bell).await.reset, 1);
    assert!(began.elapsed().as_secs() >= 1, "it was asked to wait");

    // A token that is refused is fetched anew, once.
    gives_token(&service);
    service.expect(&asks, Answer::status(401));
    service.expect(TOKEN, token("t0ken-1"));
    service.expect(&asks, page(&[], &[]));
    reads(&bell).await;
    gives_token(&service);
    service.expect(&asks, Answer::status(401));
    service.expect(TOKEN, token("t0ken-1"));
    service.expect(
        &asks,
        Answer::With(
            401,
            Vec::new(),
            json!({ "error": { "code": "InvalidAuthenticationToken" } }).to_string(),
        ),
    );
    let (_, told) = fails(&bell).await;
    assert!(
        told.contains("the service refuses (status 401, InvalidAuthenticationToken)"),
        "{told}"
    );
}

#[tokio::test]
async fn a_reading_that_fails_half_way_keeps_its_facts_and_begins_again() {
    let service = Identity::start().await;
    let base = service.base.clone();
    let bell = graph(&service, "").await;
    let begins = format!("GET /v1.0/users/delta?{SELECT}");
    let next = (
        "@odata.nextLink",
        format!("{base}/v1.0/users/delta?$skiptoken=2"),
    );
    gives_token(&service);
    // More than one batch, so that the first is saved before the failure.
    let mut users: Vec<Value> = (0..600)
        .map(|nth| json!({ "id": format!("stranger-{nth}"), "accountEnabled": true, "lastPasswordChangeDateTime": AFTER }))
        .collect();
    users.insert(0, graph_user("okaforc", AFTER));
    service.expect(&begins, page(&users, &[next]));
    for _ in 0..3 {
        service.expect("GET /v1.0/users/delta?$skiptoken=2", Answer::status(500));
    }
    let (confirmed, told) = fails(&bell).await;
    assert!(told.contains("a fault of its own (status 500)"), "{told}");
    assert_eq!(confirmed.reset, 1, "a fact is a fact");
    // Nobody who was not listed is taken to be gone, and the next reading begins at the beginning.
    assert_eq!(bell.count("SELECT COUNT(*) FROM cursors").await, 0);
    gives_token(&service);
    let delta = (
        "@odata.deltaLink",
        format!("{base}/v1.0/users/delta?$deltatoken=a"),
    );
    service.expect(&begins, page(&[graph_user("lindqvistm", AFTER)], &[delta]));
    assert_eq!(reads(&bell).await.reset, 1);
}

#[tokio::test]
async fn no_answer_takes_the_token_elsewhere_or_passes_for_a_listing() {
    let service = Identity::start().await;
    let elsewhere = Identity::start().await;
    let bell = graph(&service, "delta = false").await;
    let asks = format!("GET /v1.0/users?{SELECT}&$top=999");
    let away = format!("{}/v1.0/users?$skiptoken=2", elsewhere.base);
    let here = format!(
        "{}/v1.0/users?%24select={}&%24top=999",
        service.base,
        SELECT.replace("$select=", "").replace(',', "%2C")
    );
    for (answer, expected) in [
        (
            page(&[], &[("@odata.nextLink", away.clone())]),
            "the next page is at another address",
        ),
        (
            page(&[], &[("@odata.nextLink", here)]),
            "the next page is one that was read already",
        ),
        (
            page(&[], &[("@odata.nextLink", "file:///etc/passwd".to_owned())]),
            "at another address",
        ),
        (
            Answer::status(302).header("location", away),
            "sends us elsewhere (status 302)",
        ),
        (Answer::Endless, "more than 50 MB"),
        (Answer::status(403), "the service refuses (status 403)"),
        (
            Answer::status(429).header("retry-after", "3600"),
            "asks to wait for 3600 s",
        ),
        (
            Answer::With(200, Vec::new(), "<html>s3ntinel</html>".to_owned()),
            "the document is damaged",
        ),
        (
            Answer::json(&json!({ "error": "s3ntinel" })),
            "no list of records",
        ),
        (
            Answer::With(
                200,
                Vec::new(),
                "{\"value\": [{\"id\": \"s3ntinel".to_owned(),
            ),
            "breaks off",
        ),
    ] {
        gives_token(&service);
        service.expect(&asks, answer);
        let (confirmed, told) = fails(&bell).await;
        assert!(told.contains(expected), "{told}");
        assert_eq!((confirmed.entries, confirmed.reset), (0, 0));
    }
    gives_token(&service);
    for _ in 0..3 {
        service.expect(&asks, Answer::Silent);
    }
    let (_, told) = fails(&bell).await;
    assert!(told.contains("does not answer in time"), "{told}");
    service.expect(
        TOKEN,
        Answer::With(
            400,
            Vec::new(),
            json!({ "error": "invalid_client" }).to_string(),
        ),
    );
    let (_, told) = fails(&bell).await;
    assert!(
        told.contains("signing in is refused (status 400, invalid_client)"),
        "{told}"
    );
    for body in [json!({ "access_token": "two words" }), json!({})] {
        service.expect(TOKEN, Answer::json(&body));
        let (_, told) = fails(&bell).await;
        assert!(told.contains("in place of a token is none"), "{told}");
    }
    assert_eq!(bell.count("SELECT COUNT(*) FROM cursors").await, 0);
}

#[tokio::test]
async fn synchronised_users_move_nothing_and_the_audit_log_names_who_acted() {
    let service = Identity::start().await;
    let bell = graph(&service, "delta = false\nlog = true").await;
    let asks = format!("GET /v1.0/users?{SELECT}&$top=999");
    gives_token(&service);
    let mut synchronised = graph_user("okaforc", AFTER);
    synchronised["onPremisesSyncEnabled"] = true.into();
    service.expect(
        &asks,
        page(&[synchronised, graph_user("penroseg", AFTER)], &[]),
    );
    let audit = |sam: &str, what: &str, at: &str| {
        json!({ "result": "success", "activityDisplayName": what, "activityDateTime": at,
            "targetResources": [{ "type": "User", "id": object_id(sam), "userPrincipalName": address(sam) }] })
    };
    service.expect(
        "GET /v1.0/auditLogs/directoryAudits?$filter=loggedByService eq 'Self-service Password Management' and activityDateTime ge 2026-01-31T09:00:00Z&$top=999",
        Answer::json(&json!({ "value": [
            audit("lindqvistm", "Unlock user account (self-service)", AFTER),
            audit("penroseg", "Reset password (by admin)", "2026-03-02T08:29:58Z"),
        ] })),
    );
    let confirmed = reads(&bell).await;
    assert_eq!(confirmed.reset, 1);
    let (evidence, _) = known(&bell, "okaforc").await.unwrap();
    assert_eq!(evidence.changed, None, "the other directory is asked");
    assert!(evidence.sessions_valid_from.is_some());
    assert!(
        known(&bell, "lindqvistm").await.is_none(),
        "unlocking is no change"
    );
    let (evidence, grade) = known(&bell, "penroseg").await.unwrap();
    assert_eq!((evidence.actor, grade), (Actor::Admin, Grade::A));
}

#[tokio::test]
async fn okta_is_read_by_its_links_and_then_by_what_was_updated() {
    let service = Identity::start().await;
    let base = service.base.clone();
    let bell = bell(&format!(
        "kind = \"okta\"\nurl = \"{base}/\"\ntoken_file = \"SECRET_FILE\"\nlog = true\npatience = \"5 s\""
    ))
    .await;
    service.wants(&format!("SSWS {SECRET}"));
    let user = |sam: &str, status: &str, provider: &str, changed: Value| {
        json!({ "id": format!("00u{sam}"), "status": status, "passwordChanged": changed,
            "profile": { "login": address(sam), "email": address(sam) },
            "credentials": { "password": {}, "provider": { "type": provider } } })
    };
    let first = "GET /api/v1/users?limit=200&search=lastUpdated gt \"1970-01-01T00:00:00.000Z\"";
    let log = |from: &str, until: &str| {
        format!(
            "GET /api/v1/logs?since={from}&until={until}&filter=eventType eq \"user.account.update_password\" or eventType eq \"user.account.reset_password\" or eventType eq \"user.account.expire_password\"&limit=1000"
        )
    };
    // The clock stands at 09:00:00; the limit ends a second later.
    let reset = (bell.now().micros() / 1_000_000 + 1).to_string();
    service.expect(
        first,
        Answer::status(429).header("x-rate-limit-reset", reset),
    );
    service.expect(
        first,
        Answer::json(&json!([
            user("okaforc", "ACTIVE", "OKTA", AFTER.into()),
            user("lindqvistm", "RECOVERY", "OKTA", AFTER.into())
        ]))
        .header(
            "link",
            format!("<{base}/api/v1/users?limit=200>; rel=\"self\""),
        )
        .header(
            "link",
            format!("<{base}/api/v1/users?after=x,y&limit=200>; rel=\"next\""),
        ),
    );
    service.expect(
        "GET /api/v1/users?after=x,y&limit=200",
        Answer::json(&json!([
            user("penroseg", "ACTIVE", "ACTIVE_DIRECTORY", AFTER.into()),
            user("tremblayl", "DEPROVISIONED", "OKTA", Value::Null),
        ])),
    );
    let event = json!({ "eventType": "user.account.update_password", "published": "2026-03-02T08:30:00.500Z",
        "outcome": { "result": "SUCCESS" }, "actor": { "id": "00uokaforc" },
        "target": [{ "id": "00uokaforc", "type": "User", "alternateId": address("okaforc") }] });
    let next = format!("<{base}/api/v1/logs?after=1>; rel=\"next\"");
    service.expect(
        &log("2025-12-02T09:00:00.000Z", "2026-03-02T09:00:00.000Z"),
        Answer::json(&json!([event])).header("link", next.clone()),
    );
    service.expect(
        "GET /api/v1/logs?after=1",
        Answer::json(&json!([])).header("link", next),
    );
    let confirmed = reads(&bell).await;
    assert_eq!((confirmed.reset, confirmed.disabled), (1, 1));
    let (evidence, grade) = known(&bell, "okaforc").await.unwrap();
    assert_eq!((evidence.actor, grade), (Actor::Myself, Grade::A));
    assert!(known(&bell, "lindqvistm").await.unwrap().0.pending);
    assert!(
        known(&bell, "penroseg").await.is_none(),
        "its password is elsewhere"
    );

    bell.advance(TimeDelta::minutes(1));
    service.expect(
        "GET /api/v1/users?limit=200&search=lastUpdated gt \"2026-03-02T08:50:00.000Z\"",
        Answer::json(&json!([user(
            "lindqvistm",
            "ACTIVE",
            "OKTA",
            "2026-03-02T09:00:30.000Z".into()
        )])),
    );
    service.expect(
        &log("2026-03-02T08:50:00.000Z", "2026-03-02T09:01:00.000Z"),
        Answer::json(&json!([])),
    );
    assert_eq!(reads(&bell).await.reset, 1);
}

#[tokio::test]
async fn keycloak_is_asked_for_credentials_only_where_a_case_is_open() {
    let service = Identity::start().await;
    let base = service.base.clone();
    let bell = bell(&format!(
        "kind = \"keycloak\"\nurl = \"{base}\"\nkeycloak_realm = \"west\"\nclient_id = \"bell\"\nclient_secret_file = \"SECRET_FILE\""
    ))
    .await;
    service.expect(
        "POST /realms/west/protocol/openid-connect/token",
        token("t0ken-1"),
    );
    service.wants("Bearer t0ken-1");
    let user = |id: &str, name: &str, more: Value| {
        let mut user =
            json!({ "id": id, "username": name, "enabled": true, "requiredActions": [] });
        for (key, value) in more.as_object().unwrap() {
            user[key] = value.clone();
        }
        user
    };
    let asks = |first: u64| {
        format!("GET /admin/realms/west/users?briefRepresentation=false&max=100&first={first}")
    };
    let none = json!({});
    service.expect(
        &asks(0),
        Answer::json(&json!([
            user("k1", "okaforc", none.clone()),
            // Nobody waits for her; she has no case.
            user("k2", "harrowe", none.clone()),
            user("k3", "lindqvistm", json!({ "federationLink": "ldap" })),
            user(
                "k4",
                "penroseg",
                json!({ "requiredActions": ["UPDATE_PASSWORD"] })
            ),
            user("k5", "tremblayl", none),
        ])),
    );
    let at = |text: &str| {
        text.parse::<division_bell::domain::Moment>()
            .unwrap()
            .micros()
            / 1000
    };
    let credentials = |date: Value| {
        Answer::json(&json!([
            { "id": "c", "type": "password", "createdDate": date, "secretData": "{\"value\":\"FAKE-hash\"}" },
            { "id": "o", "type": "otp", "createdDate": at("2026-03-02T08:59:00Z") },
        ]))
    };
    service.expect(
        "GET /admin/realms/west/users/k1/credentials",
        credentials(at(AFTER).into()),
    );
    service.expect(
        "GET /admin/realms/west/users/k4/credentials",
        credentials(at(AFTER).into()),
    );
    service.expect(
        "GET /admin/realms/west/users/k5/credentials",
        Answer::status(404),
    );
    service.expect(&asks(5), Answer::json(&json!([])));
    let confirmed = reads(&bell).await;
    assert_eq!((confirmed.entries, confirmed.reset), (5, 1));
    let (evidence, grade) = known(&bell, "okaforc").await.unwrap();
    assert_eq!(
        (grade, evidence.secret_changed_at),
        (Grade::A, Some(AFTER.parse().unwrap()))
    );
    let (evidence, _) = known(&bell, "penroseg").await.unwrap();
    assert!(evidence.pending && evidence.actor == Actor::Admin);
    assert!(
        known(&bell, "lindqvistm").await.is_none(),
        "another directory keeps it"
    );
    let stored = bell
        .count("SELECT COUNT(*) FROM evidence WHERE facts LIKE '%FAKE%'")
        .await;
    assert_eq!(stored, 0);
}

#[tokio::test]
async fn google_is_read_by_its_reports_on_the_word_of_a_service_account() {
    let service = Identity::start().await;
    let base = service.base.clone();
    let folder = tempfile::tempdir().unwrap();
    let rsa = openssl::rsa::Rsa::generate(2048).unwrap();
    let key = openssl::pkey::PKey::from_rsa(rsa).unwrap();
    let pem = String::from_utf8(key.private_key_to_pem_pkcs8().unwrap()).unwrap();
    let key_file = folder.path().join("key.json");
    let written = json!({ "type": "service_account", "client_email": "bell@project.example", "private_key": pem, "token_uri": "https://elsewhere.invalid/token" });
    std::fs::write(&key_file, written.to_string()).unwrap();
    let bell = bell(&format!(
        "kind = \"google\"\nurl = \"{base}\"\nlogin_url = \"{base}\"\nkey_file = \"{}\"\nsubject = \"admin@westbridge.example\"",
        key_file.display()
    ))
    .await;
    let reports = |application: &str, event: &str, from: &str| {
        format!(
            "GET /admin/reports/v1/activity/users/all/applications/{application}?eventName={event}&startTime={from}&maxResults=1000"
        )
    };
    let users =
        "GET /admin/directory/v1/users?customer=my_customer&maxResults=500&projection=basic";
    let act = |name: &str, kind: &str, by: &str, whose: &str, at: &str| {
        let parameters = json!([{ "name": "USER_EMAIL", "value": whose }]);
        json!({ "id": { "time": at }, "actor": { "email": by }, "events": [{ "type": kind, "name": name, "parameters": parameters }] })
    };
    let announces = |from: &str, own: Value, admins: Value, demands: Value| {
        service.expect("POST /token", token("t0ken-1"));
        service.wants("Bearer t0ken-1");
        service.expect(
            &reports("user_accounts", "password_edit", from),
            Answer::json(&own),
        );
        service.expect(
            &reports("admin", "CHANGE_PASSWORD", from),
            Answer::json(&admins),
        );
        service.expect(
            &reports("admin", "CHANGE_PASSWORD_ON_NEXT_LOGIN", from),
            Answer::json(&demands),
        );
    };
    let kind = "admin#reports#activities";
    let own = act(
        "password_edit",
        "password_change",
        address("okaforc"),
        "",
        AFTER,
    );
    let admin = "admin@westbridge.example";
    let reset = act(
        "CHANGE_PASSWORD",
        "USER_SETTINGS",
        admin,
        address("penroseg"),
        AFTER,
    );
    let demand = act(
        "CHANGE_PASSWORD_ON_NEXT_LOGIN",
        "USER_SETTINGS",
        admin,
        address("penroseg"),
        "2026-03-02T08:30:00.010Z",
    );
    announces(
        "2025-09-03T09:00:00.000Z",
        json!({ "kind": kind, "items": [own] }),
        json!({ "kind": kind, "items": [reset] }),
        json!({ "kind": kind, "items": [demand] }),
    );
    let person = |sam: &str, must: bool, suspended: bool| json!({ "id": number(sam), "primaryEmail": address(sam), "changePasswordAtNextLogin": must, "suspended": suspended, "archived": false });
    service.expect(
        users,
        Answer::json(&json!({ "users": [person("okaforc", false, false), person("penroseg", true, false)], "nextPageToken": "p 2" })),
    );
    service.expect(
        &format!("{users}&pageToken=p 2"),
        Answer::json(&json!({ "users": [person("tremblayl", false, true)] })),
    );
    let confirmed = reads(&bell).await;
    assert_eq!((confirmed.reset, confirmed.disabled), (1, 1));
    let (evidence, _) = known(&bell, "penroseg").await.unwrap();
    assert!(
        evidence.pending && evidence.actor == Actor::Admin,
        "{evidence:?}"
    );

    // The statement is signed, for this administrator, for now.
    let body = &service.bodies()[0];
    let statement = body
        .strip_prefix("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=")
        .unwrap();
    let (signed, signature) = statement.rsplit_once('.').unwrap();
    let digest = openssl::hash::MessageDigest::sha256();
    let mut verifier = openssl::sign::Verifier::new(digest, &key).unwrap();
    let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
    assert!(
        verifier
            .verify_oneshot(&signature, signed.as_bytes())
            .unwrap()
    );
    let claims = BASE64URL_NOPAD
        .decode(signed.split_once('.').unwrap().1.as_bytes())
        .unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let now = bell.now().micros() / 1_000_000;
    assert_eq!(claims["iss"], "bell@project.example");
    assert_eq!(claims["sub"], "admin@westbridge.example");
    assert_eq!(claims["aud"], format!("{base}/token"));
    assert_eq!(
        (claims["iat"].as_i64(), claims["exp"].as_i64()),
        (Some(now), Some(now + 3600))
    );

    // She chooses her own; the reports of the last day are read again, because some come late.
    bell.advance(TimeDelta::minutes(10));
    let own = act(
        "password_edit",
        "password_change",
        address("penroseg"),
        "",
        "2026-03-02T09:05:00Z",
    );
    announces(
        "2026-03-01T09:00:00.000Z",
        json!({ "kind": kind, "items": [own] }),
        json!({ "kind": kind }),
        json!({ "kind": kind }),
    );
    service.expect(
        users,
        Answer::json(&json!({ "users": [person("penroseg", false, false)] })),
    );
    assert_eq!(reads(&bell).await.reset, 1);
    let (evidence, grade) = known(&bell, "penroseg").await.unwrap();
    assert_eq!((evidence.actor, grade), (Actor::Myself, Grade::A));
}

#[tokio::test]
async fn files_as_directories_write_them_close_cases_without_being_described() {
    let bell = Bell::new().await;
    bell.people_sync().await;
    bell.intake("weak-passwords.csv").await;
    let file = |name: &str, text: &str| {
        let path = bell.path(name);
        std::fs::write(&path, text).unwrap();
        let file = std::fs::File::options().append(true).open(&path).unwrap();
        file.set_modified(bell.now().utc().into()).unwrap();
        path
    };
    let export = json!({ "realm": "west", "users": [{ "id": "k1", "username": "okaforc", "enabled": true, "requiredActions": [],
        "credentials": [{ "type": "password", "createdDate": 1_772_440_200_000_i64, "secretData": "FAKE-hash" }] }] });
    let event = "<Events><Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><EventID>4724</EventID><Keywords>0x8020000000000000</Keywords>\
        <TimeCreated SystemTime='2026-03-02T08:31:00.0000000Z'/></System><EventData><Data Name='TargetUserName'>lindqvistm</Data><Data Name='TargetDomainName'>WESTBRIDGE</Data>\
        <Data Name='TargetSid'>S-1-5-21-2020202020-3030303030-4040404040-1103</Data><Data Name='SubjectUserSid'>S-1-5-18</Data></EventData></Event></Events>";
    bell.advance(TimeDelta::days(1));
    for (name, text, reset) in [
        ("realm-export.json", export.to_string(), 1),
        ("security.xml", event.to_owned(), 1),
        ("shadow", "penroseg:$y$FAKEFAKE:20515:0:99999:7:::\ntremblayl:$y$FAKEFAKE:20514:0:99999:7:::\n".to_owned(), 1),
        ("entries.ldif", "dn: uid=tremblayl,dc=x\nuid: tremblayl\nuserPassword: FAKE-hash\npwdChangedTime: 20260303080000Z\n".to_owned(), 1),
    ] {
        let path = file(name, &text);
        let confirmed = confirm(&bell.app, Some(&path), Some("directory-export")).await.unwrap();
        assert_eq!((confirmed.reset, confirmed.rejected), (reset, 0), "{name}: {confirmed:?}");
    }
    let (evidence, grade) = known(&bell, "lindqvistm").await.unwrap();
    assert_eq!((evidence.actor, grade), (Actor::Admin, Grade::A));
    assert_eq!(
        bell.count("SELECT COUNT(*) FROM evidence WHERE facts LIKE '%FAKE%'")
            .await,
        0
    );
    // A page of a sign-in is no export, and half a document is none.
    for (name, text) in [
        ("login.html", "<html>FAKE-token</html>"),
        (
            "half.json",
            "{\"realm\": \"west\", \"users\": [{\"requiredActions\": [], \"secretData\": \"FAKE-",
        ),
    ] {
        let path = file(name, text);
        let error = confirm(&bell.app, Some(&path), Some("directory-export"))
            .await
            .unwrap_err();
        assert!(
            !format!("{error:#} {error:?}").contains("FAKE"),
            "{error:#}"
        );
    }
}
