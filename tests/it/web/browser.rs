//! The page in a real Chromium: entered through a real OpenID provider, and read by each role, on every screen and on paper.
//! What was seen is kept in `target/screenshots`.

mod chromium;

use std::collections::HashSet;
use std::process::Command;

use chrono::TimeDelta;
use division_bell::clock::Clock;
use division_bell::desk::incident;
use division_bell::desk::statement::{self, Body, NewDraft};
use division_bell::domain::audience::Audience;
use division_bell::domain::reply::OutOfReach;
use division_bell::steps;

use self::chromium::{Chromium, Killed, Look, npm};
use super::{LOCAL, Page, bell, tell_two};
use crate::support::flow::{Bell, assert_names_nobody};
use crate::support::{free_ports, listens};

/// A screen of a desk, and the narrowest that a page has to fit on (WCAG 2.2, 1.4.10).
const WIDE: u32 = 1280;
const NARROW: u32 = 320;

/// Just wide enough for tables.
const MIDDLING: u32 = 900;

const HEADING: &str = "document.querySelector('h1')?.textContent ?? ''";

/// Address and heading of each page of numbers, and of each page of single cases, with something on each.
const NUMBERS: [(&str, &str); 5] = [
    ("/", "Overview"),
    ("/incidents", "Incidents"),
    ("/incidents/1", "Incident INC-"),
    ("/statements", "Statements"),
    ("/statements/1", "Statement 1"),
];
const CASES: [(&str, &str); 12] = [
    ("/campaigns", "Campaigns"),
    ("/campaigns/1", "Campaign "),
    ("/cases", "Open cases"),
    ("/cases?all=true", "All cases"),
    ("/cases/1", "Case 1"),
    ("/deliveries", "Deliveries"),
    ("/deliveries?state=accepted", "Deliveries"),
    ("/deliveries/1", "Delivery 1"),
    ("/not-reached", "Not reached"),
    ("/exceptions", "Exceptions"),
    ("/ledger", "Ledger"),
    ("/health", "Health"),
];

/// A bell with something on each of its pages.
async fn full(config: &str) -> Bell {
    let bell = bell(config).await;
    tell_two(&bell).await;
    let until = bell.now().plus(TimeDelta::days(3));
    let opened = incident::open(&bell.app, "Password attack", Some(until), "ann")
        .await
        .unwrap();
    let new = NewDraft {
        incident: opened.id,
        audience: Audience::Press,
        channels: &[],
        text: Body::Text(
            "We know that {{ weak }} accounts have a password that is easy to guess. We do not know yet if anybody used one. \
             We are writing to each person by name. You do not need to do anything unless we write to you. We will tell you more by {{ next_update }}.",
        ),
    };
    let drafted = statement::draft(&bell.app, &new, "ann").await.unwrap();
    statement::approve(&bell.app, drafted.id, None, "ben")
        .await
        .unwrap();
    let case = bell.case_of("abaraa").await.id;
    let why = "on a ship until Thursday";
    steps::exempt::exempt(&bell.app, case, until, why, "ann", "ben")
        .await
        .unwrap();
    let other = bell.case_of("brightb").await;
    let mut tx = bell.app.store.begin().await.unwrap();
    tx.miss_case(&other, OutOfReach::Absent, until, "ann", bell.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let wrong = "it does not answer; nothing is lost, and letters wait";
    bell.app.alarms.raise("relay", wrong).await;
    bell
}

/// A name for what is kept of a page.
fn called(path: &str) -> String {
    match path {
        "/" => "overview".to_owned(),
        path => path.trim_matches('/').replace(['/', '?', '='], "-"),
    }
}

/// Looks at the page that is open like this; whether somebody would have to scroll sideways.
async fn too_wide(browser: &Chromium, what: &str, look: Look) -> Option<String> {
    browser.look(look).await;
    let excess = browser.excess().await;
    (excess > 0).then(|| format!("{what}: {excess} pixels too wide"))
}

/// What axe-core objects to, as the page is looked at.
async fn objections(browser: &Chromium, what: &str) -> Vec<String> {
    let all = browser.violations().await;
    all.into_iter()
        .map(|own| format!("{what}: {own}"))
        .collect()
}

/// npm's oidc-provider, which sends browsers back to `redirect`.
fn provider(port: u16, redirect: &str, secret: &str) -> Killed {
    // A module is looked up from where the script is.
    let script = npm().join(format!("provider-{port}.mjs"));
    std::fs::write(&script, include_str!("browser/provider.mjs")).unwrap_or_else(|error| {
        panic!("oidc-provider: {error}: run tests/run, which installs what is missing")
    });
    let issuer = format!("http://127.0.0.1:{port}");
    let node = Killed::start(Command::new("node").arg(&script).args([
        &issuer,
        &port.to_string(),
        redirect,
        secret,
    ]));
    assert!(listens(port), "oidc-provider does not listen");
    std::fs::remove_file(script).unwrap();
    node
}

/// By the provider, as somebody who is in the group of their own name.
async fn sign_in_as(browser: &Chromium, at: &str, group: &str, expected: &str) {
    browser.forget().await;
    browser.go(&format!("{at}/sign-in")).await;
    browser.press("a.button").await;
    browser.type_into("input[name=login]", group).await;
    browser.type_into("input[name=password]", "anything").await;
    browser.press("button[type=submit]").await;
    // It asks whether we may know.
    browser.press("form:has(input[value=consent]) button").await;
    browser.until(HEADING, expected).await;
}

#[tokio::test]
async fn each_role_enters_by_a_real_openid_provider_and_reads_its_pages_and_no_others() {
    let [own, theirs] = free_ports();
    let at = format!("http://127.0.0.1:{own}");
    let secret = "of-the-client-and-long-enough";
    let _provider = provider(theirs, &format!("{at}/sign-in/back"), secret);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, secret).unwrap();
    let bell = full(&format!(
        "[web]\nlisten = \"127.0.0.1:{own}\"\n[web.oidc]\nissuer = \"http://127.0.0.1:{theirs}\"\nclient_id = \"bell\"\n\
         client_secret_file = \"{}\"\npage_url = \"{at}\"\n[web.oidc.roles]\n\
         security = [\"soc\"]\napprover = [\"heads\"]\ncommunications = [\"press\"]\ncompliance = [\"audit\"]\nincident_lead = [\"leads\"]\n",
        file.display()
    ))
    .await;
    // A real provider goes by the machine's clock.
    bell.app.clock.set(Clock::System.now());
    let names = bell.names().await;
    let page = Page::of(bell).await;
    let browser = Chromium::start().await;
    let (mut faults, mut judged) = (Vec::new(), HashSet::new());
    for (group, sees_cases, sees_names) in [
        ("soc", true, true),
        ("heads", true, false),
        ("press", false, false),
        ("audit", true, false),
        ("leads", true, true),
    ] {
        sign_in_as(&browser, &page.at, group, "Overview").await;
        let all = NUMBERS.map(|(path, heading)| (path, heading, true));
        let all = all
            .into_iter()
            .chain(CASES.map(|(path, heading)| (path, heading, sees_cases)));
        for (path, heading, is_theirs) in all {
            browser.go(&format!("{}{path}", page.at)).await;
            let what = format!("{group} {path}");
            let (status, text) = (browser.status().await, browser.text().await);
            assert_names_nobody(&text, &names);
            match is_theirs {
                true => {
                    assert_eq!(status, 200, "{what}: {text}");
                    let found = browser.says(HEADING).await;
                    let found = found.as_str().unwrap();
                    assert!(found.starts_with(heading), "{what}: {found}");
                    assert!(text.contains(&format!("oidc:{group}")), "{what}: {text}");
                }
                false => {
                    assert_eq!(status, 403, "{what}: {text}");
                    assert!(text.contains("Your roles do not show you this"), "{text}");
                }
            }
            let lists_names = path.starts_with("/cases") && !path.ends_with("all=true");
            if lists_names {
                assert_eq!(text.contains("Show names"), sees_names, "{what}: {text}");
            }
            faults.extend(too_wide(&browser, &what, Look::Light(NARROW)).await);
            // What another role was shown as well was judged then.
            if judged.insert(browser.markup().await) {
                faults.extend(objections(&browser, &what).await);
            }
        }
        browser.go(&page.at).await;
        browser.look(Look::Light(WIDE)).await;
        browser
            .keep(&format!("overview-as-{group}"), Look::Light(WIDE))
            .await;
        browser.press("form.leave button").await;
        browser.until("location.pathname", "/sign-in").await;
        browser.go(&format!("{}/incidents", page.at)).await;
        assert_eq!(browser.says("location.pathname").await, "/sign-in");
    }
    // Known there, and nobody here.
    sign_in_as(&browser, &page.at, "canteen", "Division Bell").await;
    let text = browser.text().await;
    assert!(text.contains("have no role here"), "{text}");
    faults.extend(too_wide(&browser, "no role", Look::Light(NARROW)).await);
    faults.extend(objections(&browser, "no role").await);
    browser.keep("no-role", Look::Light(NARROW)).await;
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// With a password and the phone's code.
async fn sign_in(browser: &Chromium, page: &Page, name: &str) {
    let key = page.admit(name).await;
    browser.go(&format!("{}/sign-in", page.at)).await;
    browser.type_into("#name", name).await;
    browser.type_into("#password", &key.password).await;
    browser.type_into("#code", &key.code(page)).await;
    browser.press("form.fields button").await;
    browser.until(HEADING, "Overview").await;
}

#[tokio::test]
async fn every_page_can_be_read_on_every_screen_in_the_dark_and_on_paper() {
    let page = Page::of(full(LOCAL).await).await;
    let browser = Chromium::start().await;
    let mut faults = Vec::new();
    for path in [
        "/sign-in",
        "/verify",
        "/verify?code=DB-2603-AAAA",
        "/nowhere",
    ] {
        faults.extend(looked_at(&browser, &page, path).await);
    }
    sign_in(&browser, &page, "ann").await;
    for (path, _) in NUMBERS.into_iter().chain(CASES) {
        faults.extend(looked_at(&browser, &page, path).await);
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

async fn looked_at(browser: &Chromium, page: &Page, path: &str) -> Vec<String> {
    browser.go(&format!("{}{path}", page.at)).await;
    let mut faults = Vec::new();
    for (name, look) in [
        ("wide", Look::Light(WIDE)),
        ("dark", Look::Dark(WIDE)),
        ("middling", Look::Light(MIDDLING)),
        ("narrow", Look::Light(NARROW)),
        ("narrow-dark", Look::Dark(NARROW)),
        ("paper", Look::Paper),
    ] {
        let what = format!("{path} {name}");
        faults.extend(too_wide(browser, &what, look).await);
        // Narrow in the light was judged for each role; narrow in the dark differs in nothing that these do not tell.
        if [Look::Light(WIDE), Look::Dark(WIDE)].contains(&look) {
            faults.extend(objections(browser, &what).await);
        }
        let kept = format!("{}-{name}", called(path));
        browser.keep(&kept, look).await;
    }
    // What can only be pressed is of no use on paper.
    let shown = "[...document.querySelectorAll('nav, .top button, .unmask')].filter((own) => own.offsetParent).length";
    if browser.says(shown).await != 0 {
        faults.push(format!("{path}: what nobody can press is on paper"));
    }
    browser.print(&called(path)).await;
    faults
}

#[tokio::test]
async fn figures_move_while_somebody_looks_and_names_are_shown_by_the_button_that_says_so() {
    let page = Page::of(full(LOCAL).await).await;
    let browser = Chromium::start().await;
    sign_in(&browser, &page, "ann").await;
    let open = "document.querySelector('[data-figure=\"5\"]').textContent";
    assert_eq!(browser.says(open).await, "2");
    let case = page.bell.case_of("brightb").await.id;
    let mut tx = page.bell.app.store.begin().await.unwrap();
    tx.withdraw_case(case, "a mistake", "ann", page.bell.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    browser.until(open, "1").await;
    // A script that somebody smuggles in is not run.
    let smuggled = "(() => { const own = document.createElement('script'); own.textContent = 'window.smuggled = 1'; document.body.append(own); return window.smuggled === undefined; })()";
    assert_eq!(browser.says(smuggled).await, true);
    // Whoever goes by keys alone is taken past the list of pages.
    browser.go(&page.at).await;
    browser.type_into("body", "\u{e004}").await;
    let first = "document.activeElement.getAttribute('href')";
    assert_eq!(browser.says(first).await, "#main");

    browser.go(&format!("{}/cases?all=true", page.at)).await;
    let text = browser.text().await;
    assert!(!text.contains("Abara"), "{text}");
    browser.press("form.unmask button").await;
    browser
        .until("document.body.innerText.includes('Ada Abara')", true)
        .await;
    let read = "SELECT COUNT(*) FROM ledger WHERE act = 'names.read' AND actor = 'ann'";
    assert_eq!(page.bell.count(read).await, 1);
}
