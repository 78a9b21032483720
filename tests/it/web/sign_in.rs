//! Signing in and out: what is taken, what is not, and what a browser holds meanwhile.

use chrono::TimeDelta;
use division_bell::desk::keys;
use reqwest::StatusCode;

use super::{Answer, LOCAL, Page};

#[tokio::test]
async fn name_password_and_code_together_let_an_operator_in_and_nothing_less_does() {
    let page = Page::open(LOCAL).await;
    let ann = page.admit("ann").await;
    let code = ann.code(&page);
    let his = page.admit("ben").await.code(&page);
    let hers = &ann.password[..];
    for (name, password, code) in [
        ("ann", "wrong-password-of-hers", &code[..]),
        ("ann", hers, "000000"),
        ("ann", hers, ""),
        ("ann", "", &code[..]),
        ("ben", hers, &code[..]),
        ("ann", hers, &his[..]),
        ("nobody", hers, &code[..]),
        ("", "", ""),
    ] {
        let answer = page.enter(name, password, code).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name}");
        assert!(answer.text.contains("do not go together"));
        assert_eq!(answer.cookie("bell"), None);
        assert!(!answer.text.contains(&ann.password));
    }
    // However the name is written, and with the blank that phones show.
    let (first, last) = code.split_at(3);
    let answer = page
        .enter("ANN", &ann.password, &format!("{first} {last}"))
        .await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    let cookie = answer.cookie("bell").unwrap();
    assert!(page.says("/", &cookie).await.contains("Overview"));
    // A code is taken once.
    let answer = page.enter("ann", &ann.password, &code).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    page.bell.advance(TimeDelta::seconds(30));
    let answer = page.enter("ann", &ann.password, &ann.code(&page)).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let acts = page
        .bell
        .column("SELECT act FROM ledger WHERE act LIKE 'web.%'")
        .await;
    assert_eq!(acts.iter().filter(|act| *act == "web.signed_in").count(), 2);
    assert!(acts.iter().any(|act| act == "web.sign_in_refused"));
    // Nothing that anybody typed or holds is kept.
    let kept = format!("{:?}", page.bell.content().await);
    let held = cookie.strip_prefix("bell=").unwrap();
    for secret in [&ann.password[..], held, "wrong-password-of-hers"] {
        assert!(!kept.contains(secret));
    }
}

#[tokio::test]
async fn without_a_second_factor_nobody_is_let_in() {
    let page = Page::open(LOCAL).await;
    let password = keys::set_password(&page.bell.app, "ann", None, "ben")
        .await
        .unwrap()
        .unwrap();
    let answer = page.enter("ann", &password, "000000").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn whoever_tries_too_often_waits() {
    let page = Page::open(LOCAL).await;
    let ann = page.admit("ann").await;
    for _ in 0..10 {
        let answer = page.enter("ann", "not hers at all", "123456").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
    let answer = page.enter("ann", &ann.password, &ann.code(&page)).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.cookie("bell"), None);
    page.bell.advance(TimeDelta::minutes(10));
    let answer = page.enter(&ann.name, &ann.password, &ann.code(&page)).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_session_ends_by_itself_by_signing_out_and_with_its_password() {
    let page = Page::open(&format!(
        "{LOCAL}session_lasts = \"2 h\"\nsession_idle = \"30 min\"\n"
    ))
    .await;
    let goes_to_sign_in = async |cookie: &str| {
        let answer = page.get("/", cookie).await;
        answer.status == StatusCode::SEE_OTHER && answer.header("location") == "/sign-in"
    };
    assert!(goes_to_sign_in("").await);
    assert!(goes_to_sign_in(&format!("bell={}", "A".repeat(43))).await);

    let idle = page.signed_in("ann").await;
    assert!(!goes_to_sign_in(&idle).await);
    page.bell.advance(TimeDelta::minutes(30));
    assert!(
        goes_to_sign_in(&idle).await,
        "nobody looked for half an hour"
    );

    let busy = page.signed_in("ann").await;
    let seen = "SELECT COUNT(*) FROM sessions WHERE seen_at > began_at";
    for round in 1..=4 {
        page.bell.advance(TimeDelta::minutes(25));
        assert!(!goes_to_sign_in(&busy).await, "{round}");
        let until = page.bell.now().micros();
        let sql = format!("{seen} AND seen_at = {until}");
        let end = std::time::Instant::now() + crate::support::PATIENCE;
        while page.bell.count(&sql).await < 1 {
            assert!(
                std::time::Instant::now() < end,
                "its use is not written down"
            );
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    page.bell.advance(TimeDelta::minutes(21));
    assert!(goes_to_sign_in(&busy).await, "two hours are over");

    let left = page.signed_in("ann").await;
    let form = page.get("/", &left).await.form();
    let answer = page.post("/sign-out", &left, &[("form", &form)]).await;
    assert_eq!(answer.header("location"), "/sign-in");
    assert!(answer.header("set-cookie").contains("Max-Age=0"));
    assert!(goes_to_sign_in(&left).await);

    let before = page.signed_in("ann").await;
    page.admit("ann").await;
    assert!(goes_to_sign_in(&before).await, "she has a new password");
    let revoked = page.signed_in("ann").await;
    assert!(keys::revoke(&page.bell.app, "ann", "ben").await.unwrap());
    assert!(goes_to_sign_in(&revoked).await);
}

#[tokio::test]
async fn each_sign_in_is_a_session_of_its_own_and_ends_the_one_before() {
    let page = Page::open(LOCAL).await;
    let ann = page.admit("ann").await;
    let first = page
        .enter("ann", &ann.password, &ann.code(&page))
        .await
        .cookie("bell")
        .unwrap();
    page.bell.advance(TimeDelta::minutes(1));
    let form = page.get("/sign-in", "").await;
    let held = format!("{}; {first}", form.cookie("bell-form").unwrap());
    let (token, code) = (form.form(), ann.code(&page));
    let fields = [
        ("form", &token[..]),
        ("name", "ann"),
        ("password", &ann.password[..]),
        ("code", &code[..]),
    ];
    let answer = page.post("/sign-in", &held, &fields).await;
    let second = answer.cookie("bell").unwrap();
    assert_ne!(first, second);
    assert_eq!(page.get("/", &first).await.status, StatusCode::SEE_OTHER);
    assert_eq!(page.get("/", &second).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_form_that_is_not_our_own_changes_nothing() {
    let page = Page::open(LOCAL).await;
    let ann = page.admit("ann").await;
    let code = ann.code(&page);
    let form = page.get("/sign-in", "").await;
    let held = form.cookie("bell-form").unwrap();
    let fill = |token: &str| {
        [
            ("form", token.to_owned()),
            ("name", "ann".to_owned()),
            ("password", ann.password.clone()),
            ("code", code.clone()),
        ]
    };
    let elsewhere = page.get("/sign-in", "").await.form();
    let ours = form.form();
    for (cookie, token) in [
        (&held[..], ""),
        (&held[..], &elsewhere[..]),
        ("", &ours[..]),
    ] {
        let fields = fill(token);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, &v[..])).collect();
        let answer = page.post("/sign-in", cookie, &fields).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{token}");
        assert_eq!(answer.cookie("bell"), None);
    }
    let cookie = page.signed_in("ann").await;
    for token in ["", "0", &ours[..]] {
        let answer = page.post("/sign-out", &cookie, &[("form", token)]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{token}");
    }
    let token = page.get("/", &cookie).await.form();
    let request = page
        .client
        .post(format!("{}/sign-out", page.at))
        .header("cookie", &cookie)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "cross-site")
        .body(format!("form={token}"));
    assert_eq!(Answer::of(request).await.status, StatusCode::FORBIDDEN);
    assert_eq!(page.get("/", &cookie).await.status, StatusCode::OK);
}

#[tokio::test]
async fn every_answer_tells_the_browser_what_it_may_not_do() {
    let page = Page::open(LOCAL).await;
    let cookie = page.signed_in("ann").await;
    for (path, cookie) in [
        ("/", &cookie[..]),
        ("/", ""),
        ("/sign-in", ""),
        ("/verify", ""),
        ("/nothing", ""),
        ("/healthz", ""),
        ("/style.css", ""),
        ("/live.js", ""),
    ] {
        let answer = page.get(path, cookie).await;
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'none'"), "{path}: {policy}");
        assert!(policy.contains("script-src 'self'"), "{path}: {policy}");
        assert!(
            policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("referrer-policy"), "same-origin");
        // The policy would stop what is written into the page itself.
        for inline in ["<style", " style=", " onclick", "<script>"] {
            assert!(!answer.text.contains(inline), "{path}: {inline}");
        }
    }
    let answer = page.enter("ann", "wrong", "0").await;
    for line in answer.headers.get_all("set-cookie") {
        let line = line.to_str().unwrap();
        assert!(line.contains("; HttpOnly; SameSite=Strict"), "{line}");
        assert!(
            !line.contains("Secure"),
            "plain HTTP on this machine: {line}"
        );
    }
}

#[tokio::test]
async fn behind_a_proxy_cookies_are_for_tls_only_and_whom_it_names_is_counted() {
    let page = Page::open(&format!("{LOCAL}behind_proxy = true\n")).await;
    let form = page.get("/sign-in", "").await;
    let cookie = form.header("set-cookie").to_owned();
    assert!(cookie.starts_with("__Host-bell-form="), "{cookie}");
    assert!(cookie.ends_with("; Secure"), "{cookie}");
    assert!(
        form.header("strict-transport-security")
            .starts_with("max-age=")
    );
    let ask = async |by: &str| {
        let request = page
            .request("/verify?code=DB-2603-AAAA", "")
            .header("x-forwarded-for", by);
        Answer::of(request).await.status
    };
    for n in 0..10 {
        // What stands before the last one is what the asker made up.
        let by = format!("192.0.2.{n}, 198.51.100.7");
        assert_eq!(ask(&by).await, StatusCode::OK);
    }
    assert_eq!(
        ask("192.0.2.99, 198.51.100.7").await,
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(ask("198.51.100.8").await, StatusCode::OK);
}
