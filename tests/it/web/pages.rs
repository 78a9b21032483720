//! The pages: who sees which, names only for whoever may and asks, live figures, and the question that anybody may ask.

use chrono::TimeDelta;
use division_bell::desk::incident;
use division_bell::steps;
use reqwest::StatusCode;

use super::{Answer, LOCAL, Page, bell, tell_two};
use crate::support::PATIENCE;
use crate::support::flow::assert_names_nobody;

/// Pages of numbers, and pages of single cases.
const NUMBERS: [&str; 3] = ["/", "/incidents", "/statements"];
const CASES: [&str; 7] = [
    "/campaigns",
    "/cases",
    "/deliveries",
    "/not-reached",
    "/exceptions",
    "/ledger",
    "/health",
];

/// As a template writes it into a page.
fn in_page(path: &str) -> String {
    path.replace('/', "&#x2f;")
}

#[tokio::test]
async fn each_role_sees_its_pages_and_no_page_names_anybody() {
    let bell = bell(LOCAL).await;
    tell_two(&bell).await;
    let opened = incident::open(&bell.app, "Password attack", None, "ann")
        .await
        .unwrap();
    let names = bell.names().await;
    let (case, delivery) = (
        bell.case_of("abaraa").await.id,
        bell.count("SELECT MIN(id) FROM deliveries").await,
    );
    let page = Page::of(bell).await;
    let single = [
        format!("/cases/{case}"),
        format!("/deliveries/{delivery}"),
        "/campaigns/1".to_owned(),
        "/deliveries?state=accepted".to_owned(),
        "/cases?all=true".to_owned(),
    ];
    for (operator, sees_cases) in [("ann", true), ("ben", true), ("Cat", false), ("dan", true)] {
        let cookie = page.signed_in(operator).await;
        let incident = format!("/incidents/{}", opened.id);
        for path in NUMBERS.into_iter().chain([&incident[..]]) {
            let text = page.says(path, &cookie).await;
            assert_names_nobody(&text, &names);
            assert!(text.contains(operator), "{path}: who has signed in");
        }
        for path in CASES.into_iter().chain(single.iter().map(String::as_str)) {
            let answer = page.get(path, &cookie).await;
            let expected = match sees_cases {
                true => StatusCode::OK,
                false => StatusCode::FORBIDDEN,
            };
            assert_eq!(
                answer.status, expected,
                "{operator} {path}: {}",
                answer.text
            );
            assert_names_nobody(&answer.text, &names);
        }
        let first = page.says("/", &cookie).await;
        assert_eq!(first.contains(&in_page("/cases")), sees_cases, "{operator}");
    }
    // The press sees as much as the public: two people are "fewer than 5".
    let cookie = page.signed_in("Cat").await;
    let text = page.says("/", &cookie).await;
    assert!(text.contains("fewer than 5"), "{text}");
    let text = page.says("/incidents", &cookie).await;
    assert!(text.contains("Password attack") && text.contains(&opened.reference));
    for path in CASES.into_iter().chain(NUMBERS) {
        assert_eq!(page.get(path, "").await.status, StatusCode::SEE_OTHER);
    }
    let nothing = page
        .get("/cases/999999", &page.signed_in("ann").await)
        .await;
    assert_eq!(nothing.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn where_only_sums_may_be_shown_who_reads_reports_sees_no_case() {
    let bell = bell(&format!("{LOCAL}\n[report]\naggregate_only = true\n")).await;
    tell_two(&bell).await;
    let case = format!("/cases/{}", bell.case_of("abaraa").await.id);
    let page = Page::of(bell).await;
    for (operator, sees_cases) in [("ann", true), ("ben", true), ("Cat", false), ("dan", false)] {
        let cookie = page.signed_in(operator).await;
        let expected = match sees_cases {
            true => StatusCode::OK,
            false => StatusCode::FORBIDDEN,
        };
        for path in CASES.into_iter().chain([&case[..]]) {
            let answer = page.get(path, &cookie).await;
            assert_eq!(answer.status, expected, "{operator} {path}");
        }
        let first = page.says("/", &cookie).await;
        assert_eq!(first.contains("fewer than 5"), !sees_cases, "{operator}");
    }
}

#[tokio::test]
async fn names_are_shown_to_whoever_may_see_them_and_asks_and_the_ledger_says_who_did() {
    let bell = bell(LOCAL).await;
    tell_two(&bell).await;
    let case = bell.case_of("abaraa").await.id;
    let page = Page::of(bell).await;
    let read = async || {
        page.bell
            .column("SELECT actor || ' ' || thing FROM ledger WHERE act = 'names.read' ORDER BY id")
            .await
    };
    let ann = page.signed_in("ann").await;
    let list = page.get("/cases", &ann).await;
    assert!(list.text.contains("A*** A***"), "{}", list.text);
    assert!(list.text.contains("Show names"));
    let form = list.form();
    let shown = page
        .post(
            "/cases",
            &ann,
            &[("form", &form), ("from", "0"), ("all", "false")],
        )
        .await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.text);
    assert!(shown.text.contains("Ada Abara") && shown.text.contains("Bea Bright"));
    assert_eq!(read().await, ["ann cases:after:0"]);

    let path = format!("/cases/{case}");
    let shown = page.post(&path, &ann, &[("form", &form)]).await;
    assert!(shown.text.contains("Ada Abara") && !shown.text.contains("Bea Bright"));
    assert_eq!(read().await[1], format!("ann case:{case}"));

    // Whoever may see cases and not names; and whoever may, without our own form.
    let dan = page.signed_in("dan").await;
    let list = page.get("/cases", &dan).await;
    assert!(!list.text.contains("Show names"));
    let own = list.form();
    let fields = [("form", &own[..])];
    let cat = page.signed_in("Cat").await;
    let hers = page.get("/", &cat).await.form();
    let (theirs, none) = ([("form", &hers[..])], [("form", "")]);
    for (path, cookie, fields) in [
        ("/cases", &dan, &fields),
        (&path[..], &dan, &fields),
        ("/cases", &cat, &theirs),
        ("/cases", &ann, &none),
        (&path[..], &ann, &fields),
    ] {
        let answer = page.post(path, cookie, fields).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        assert!(!answer.text.contains("Abara"));
    }
    assert_eq!(read().await.len(), 2);
}

#[tokio::test]
async fn a_letters_story_is_told_with_its_reader_masked() {
    let bell = bell(LOCAL).await;
    tell_two(&bell).await;
    let page = Page::of(bell).await;
    let ann = page.signed_in("ann").await;
    let id = page.bell.count("SELECT MIN(id) FROM deliveries").await;
    let text = page.says(&format!("/deliveries/{id}"), &ann).await;
    assert!(text.contains("***@parl.example"), "{text}");
    assert!(text.contains("<dd>accepted</dd>"), "{text}");
    let case = page.bell.case_of("abaraa").await.id;
    let text = page.says(&format!("/cases/{case}"), &ann).await;
    assert!(text.contains("notice.weak"), "{text}");
    assert!(text.contains("case.opened"), "{text}");
}

#[tokio::test]
async fn an_exemption_and_whoever_is_not_reached_are_listed_with_who_answers_for_it() {
    let bell = bell(LOCAL).await;
    tell_two(&bell).await;
    let case = bell.case_of("abaraa").await.id;
    let until = bell.now().plus(TimeDelta::days(3));
    steps::exempt::exempt(&bell.app, case, until, "on a ship", "ann", "ben")
        .await
        .unwrap();
    let other = bell.case_of("brightb").await;
    let mut tx = bell.app.store.begin().await.unwrap();
    let why = division_bell::domain::reply::OutOfReach::Absent;
    tx.miss_case(&other, why, until, "ann", bell.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let page = Page::of(bell).await;
    let dan = page.signed_in("dan").await;
    let text = page.says("/exceptions", &dan).await;
    for told in ["on a ship", ">ann<", ">ben<", "5 Mar 2026"] {
        assert!(text.contains(told), "{told}: {text}");
    }
    let text = page.says("/not-reached", &dan).await;
    assert!(
        text.contains("nobody yet") && text.contains("absent"),
        "{text}"
    );
}

#[tokio::test]
async fn what_was_typed_elsewhere_is_text_on_the_page_and_nothing_else() {
    let bell = bell(LOCAL).await;
    let mut tx = bell.app.store.begin().await.unwrap();
    tx.note(
        bell.now(),
        "<script>alert(1)</script>",
        "desk.refused",
        Some("\"><img src=x>"),
        None,
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let page = Page::of(bell).await;
    let ann = page.signed_in("ann").await;
    let text = page.says("/ledger", &ann).await;
    assert!(text.contains("&lt;script&gt;"), "{text}");
    assert!(!text.contains("<script>alert") && !text.contains("<img"));
}

#[tokio::test]
async fn figures_come_by_themselves_when_they_change_and_end_with_the_session() {
    let bell = bell(LOCAL).await;
    tell_two(&bell).await;
    let page = Page::of(bell).await;
    let ann = page.signed_in("ann").await;
    assert!(page.says("/", &ann).await.contains("src=\"/live.js\""));
    assert_eq!(page.get("/live", "").await.status, StatusCode::SEE_OTHER);

    let mut live = page.request("/live", &ann).send().await.unwrap();
    assert_eq!(live.headers()["content-type"], "text/event-stream");
    let mut next = async || -> Option<serde_json::Value> {
        let mut text = String::new();
        loop {
            let chunk = tokio::time::timeout(PATIENCE, live.chunk()).await.unwrap();
            text.push_str(&String::from_utf8_lossy(&chunk.unwrap()?));
            let data = text.lines().find_map(|line| line.strip_prefix("data: "));
            if text.ends_with("\n\n")
                && let Some(data) = data
            {
                assert!(text.contains("event: figures"), "{text}");
                return Some(serde_json::from_str(data).unwrap());
            }
        }
    };
    let first = next().await.unwrap();
    let open = |told: &serde_json::Value| told["values"][5].as_str().unwrap().to_owned();
    assert_eq!(open(&first), "2");
    page.bell.advance(TimeDelta::minutes(1));
    let case = page.bell.case_of("abaraa").await.id;
    let mut tx = page.bell.app.store.begin().await.unwrap();
    tx.withdraw_case(case, "a mistake", "ann", page.bell.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(open(&next().await.unwrap()), "1");
    let form = page.get("/", &ann).await.form();
    page.post("/sign-out", &ann, &[("form", &form)]).await;
    assert_eq!(next().await, None, "nobody has signed in any more");
}

#[tokio::test]
async fn whoever_only_looks_on_is_no_reason_not_to_stop() {
    let mut page = Page::open(LOCAL).await;
    let ann = page.signed_in("ann").await;
    let mut live = page.request("/live", &ann).send().await.unwrap();
    assert!(live.chunk().await.unwrap().is_some());
    tokio::time::timeout(PATIENCE, page.stop()).await.unwrap();
    while let Ok(Some(_)) = live.chunk().await {}
    assert!(page.request("/healthz", "").send().await.is_err());
}

#[tokio::test]
async fn anybody_may_ask_whether_a_letter_is_ours_and_learns_nothing_else() {
    let bell = bell(LOCAL).await;
    tell_two(&bell).await;
    let reference = bell.column("SELECT MIN(reference) FROM threads").await;
    let names = bell.names().await;
    let page = Page::of(bell).await;
    let typed = reference[0].to_lowercase().replace('-', "+-+");
    let ours = page.says(&format!("/verify?code={typed}"), "").await;
    assert!(ours.contains("on 2 March 2026"), "{ours}");
    assert_names_nobody(&ours, &names);
    assert!(!ours.contains("weak") && !ours.contains("breached"));
    for code in ["DB-2603-ZZZZ", "nonsense", "%3Cscript%3E"] {
        let not = page.says(&format!("/verify?code={code}"), "").await;
        assert!(not.contains("Not ours"), "{not}");
        assert!(!not.contains(code) && !not.contains("<script>"), "{not}");
    }
    let empty = page.says("/verify", "").await;
    assert!(!empty.contains("role=\"status\""), "{empty}");
    for _ in 0..6 {
        page.says("/verify?code=DB-2603-ZZZZ", "").await;
    }
    let answer = page.get(&format!("/verify?code={typed}"), "").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(!answer.text.contains("2 March"), "{}", answer.text);
    page.bell.advance(TimeDelta::minutes(10));
    assert_eq!(page.get("/verify?code=x", "").await.status, StatusCode::OK);
}

#[tokio::test]
async fn with_a_certificate_it_speaks_tls_and_with_nothing_else() {
    let mut bell = bell("").await;
    let dir = bell.path(".");
    let openssl = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost \
        -addext subjectAltName=IP:127.0.0.1,DNS:localhost -keyout web-key.pem -out web-cert.pem";
    crate::support::run(
        std::process::Command::new("sh")
            .args(["-c", openssl])
            .current_dir(&dir),
    );
    let text = format!(
        "{}\n{LOCAL}tls_cert_file = \"web-cert.pem\"\ntls_key_file = \"web-key.pem\"\n",
        bell.text
    );
    bell.restart_with(text).await;
    let mut page = Page::of(bell).await;
    let plain = page.request("/healthz", "").send().await;
    assert!(plain.is_err(), "{plain:?}");
    page.at = page.at.replace("http://", "https://");
    let pem = std::fs::read(page.bell.path("web-cert.pem")).unwrap();
    page.client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tls_built_in_root_certs(false)
        .add_root_certificate(reqwest::Certificate::from_pem(&pem).unwrap())
        .build()
        .unwrap();
    assert_eq!(page.says("/healthz", "").await, "bell runs\n");
    let form = Answer::of(page.request("/sign-in", "")).await;
    assert!(form.header("set-cookie").starts_with("__Host-bell-form="));
    assert!(form.header("set-cookie").contains("Secure"));
}
