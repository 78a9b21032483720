//! What machines ask: health, readiness, metrics, figures.

use std::collections::BTreeSet;
use std::path::Path;

use division_bell::desk::keys;
use reqwest::StatusCode;

use super::{LOCAL, Page, bell, tell_two};
use crate::support::flow::assert_names_nobody;
use crate::support::run_sql;

/// The rows of a text that Prometheus reads, each checked: name, labels, value.
fn rows(text: &str) -> Vec<(String, f64)> {
    let mut families = BTreeSet::new();
    let mut rows = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(["gauge", "counter"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(families.insert(name.to_owned()), "twice: {line}");
        } else if !line.starts_with("# HELP ") {
            let (row, value) = line.rsplit_once(' ').unwrap();
            let name = row.split('{').next().unwrap();
            assert!(families.contains(name), "without a type: {line}");
            assert!(
                name.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
                "{line}"
            );
            rows.push((row.to_owned(), value.parse().unwrap()));
        }
    }
    rows
}

fn value(rows: &[(String, f64)], row: &str) -> f64 {
    rows.iter()
        .find(|(own, _)| own == row)
        .unwrap_or_else(|| panic!("no {row} in {rows:?}"))
        .1
}

#[tokio::test]
async fn it_is_alive_while_it_runs_and_ready_while_its_database_is_there_and_right() {
    let page = Page::open(LOCAL).await;
    assert_eq!(page.says("/healthz", "").await, "bell runs\n");
    assert_eq!(page.says("/readyz", "").await, "ready\n");

    let store = &page.bell.app.store;
    let newer = "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time)
                 SELECT 9999, description, installed_on, success, checksum, execution_time FROM _sqlx_migrations WHERE version = 1";
    run_sql(store, newer).await.unwrap();
    let answer = page.get("/readyz", "").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.text.contains("another version"), "{}", answer.text);
    run_sql(store, "DELETE FROM _sqlx_migrations WHERE version = 9999")
        .await
        .unwrap();
    assert_eq!(page.says("/readyz", "").await, "ready\n");

    store.close().await;
    let answer = page.get("/readyz", "").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.text.contains("does not answer"), "{}", answer.text);
    let answer = page.get("/metrics", "").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(page.says("/healthz", "").await, "bell runs\n");
}

#[tokio::test]
async fn metrics_count_what_there_is_and_name_nobody() {
    let bell = bell(LOCAL).await;
    tell_two(&bell).await;
    bell.app.alarms.raise("relay", "it is away").await;
    bell.app
        .store
        .claim_run("deliver", bell.now(), "one", bell.now())
        .await
        .unwrap();
    bell.app
        .store
        .end_run("deliver", bell.now(), "2 accepted", false, bell.now())
        .await
        .unwrap();
    let page = Page::of(bell).await;
    let answer = page.get("/metrics", "").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(
        answer
            .header("content-type")
            .starts_with("text/plain; version=0.0.4")
    );
    let rows = rows(&answer.text);
    for (row, expected) in [
        ("bell_deliveries{state=\"accepted\"}", 2.0),
        ("bell_deliveries{state=\"refused\"}", 0.0),
        ("bell_attempts_total{outcome=\"accepted\"}", 2.0),
        ("bell_attempts_total{outcome=\"fail_recipient\"}", 0.0),
        ("bell_open_tasks{kind=\"hand_over\"}", 0.0),
        ("bell_open_cases{category=\"weak\"}", 1.0),
        ("bell_open_cases{category=\"breached\"}", 1.0),
        ("bell_open_cases{category=\"compromised\"}", 0.0),
        ("bell_overdue_cases{category=\"weak\"}", 0.0),
        ("bell_not_reached_cases{category=\"weak\"}", 0.0),
        ("bell_oldest_due_seconds", 0.0),
        ("bell_alarm{name=\"relay\"}", 1.0),
        ("bell_alarms", 1.0),
        ("bell_relay_up", 0.0),
        ("bell_holds", 0.0),
        ("bell_step_last_failed{step=\"deliver\"}", 0.0),
    ] {
        assert!((value(&rows, row) - expected).abs() < 1e-9, "{row}");
    }
    // 2 March 2026, 08:00 UTC, when this bell begins.
    let ended = value(
        &rows,
        "bell_step_last_end_timestamp_seconds{step=\"deliver\"}",
    );
    assert!((ended - 1_772_438_400.0).abs() < 1e-3, "{ended}");
    assert_names_nobody(&answer.text, &page.bell.names().await);
    assert!(!answer.text.contains("Library"), "a department is named");
}

#[tokio::test]
async fn every_alert_of_the_example_asks_for_a_metric_that_there_is() {
    let bell = bell(LOCAL).await;
    bell.app.alarms.raise("relay", "it is away").await;
    bell.app
        .store
        .claim_run("deliver", bell.now(), "one", bell.now())
        .await
        .unwrap();
    bell.app
        .store
        .end_run("deliver", bell.now(), "done", true, bell.now())
        .await
        .unwrap();
    let page = Page::of(bell).await;
    let text = page.says("/metrics", "").await;
    let names: BTreeSet<String> = rows(&text)
        .iter()
        .map(|(row, _)| row.split('{').next().unwrap().to_owned())
        .collect();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/prometheus-alerts.yml");
    let alerts = std::fs::read_to_string(file).unwrap();
    let mut asked = 0;
    for line in alerts.lines().filter(|line| line.contains("expr: ")) {
        for word in line.split(|c: char| !(c.is_ascii_lowercase() || c == '_')) {
            if word.starts_with("bell_") {
                assert!(names.contains(word), "{word}");
                asked += 1;
            }
        }
    }
    assert!(asked >= 9, "{asked}");
    // A label's word that is never counted would be an alert that never comes.
    for word in [
        "bell_attempts_total{outcome=\"",
        "bell_overdue_cases{category=\"",
    ] {
        let (_, rest) = alerts.split_once(word).unwrap();
        let row = format!("{word}{}\"}}", rest.split('"').next().unwrap());
        assert!(rows(&text).iter().any(|(own, _)| *own == row), "{row}");
    }
}

#[tokio::test]
async fn behind_a_proxy_metrics_and_figures_ask_for_a_token() {
    // Told before it is counted for the first time.
    let bell = bell(&format!("{LOCAL}behind_proxy = true\n")).await;
    tell_two(&bell).await;
    let page = Page::of(bell).await;
    let token = keys::new_token(&page.bell.app, "prometheus", "ann")
        .await
        .unwrap()
        .unwrap();
    for path in ["/metrics", "/api/figures"] {
        for shown in ["", "Bearer wrong", "Bearer ", &token] {
            let request = page.request(path, "").header("authorization", shown);
            let answer = super::Answer::of(request).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path} {shown}");
            assert!(!answer.text.contains("bell_"), "{}", answer.text);
        }
        let request = page.request(path, "").bearer_auth(&token);
        let answer = super::Answer::of(request).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_names_nobody(&answer.text, &page.bell.names().await);
    }
    let figures: serde_json::Value = serde_json::from_str(
        &super::Answer::of(page.request("/api/figures", "").bearer_auth(&token))
            .await
            .text,
    )
    .unwrap();
    assert_eq!(figures["figures"]["accounts"], 2);
    assert_eq!(figures["figures"]["told"], 2);
    // A token reads, and opens no page.
    let answer = super::Answer::of(page.request("/", "").bearer_auth(&token)).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);

    assert!(
        keys::revoke_token(&page.bell.app, "prometheus", "ann")
            .await
            .unwrap()
    );
    let answer = super::Answer::of(page.request("/metrics", "").bearer_auth(&token)).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    // What is kept of it is no token.
    let kept = page.bell.content().await;
    assert!(!format!("{kept:?}").contains(&token));
}

#[tokio::test]
async fn on_this_machine_alone_it_answers_to_names_of_this_machine_only() {
    let page = Page::open(LOCAL).await;
    for (host, expected) in [
        ("localhost", StatusCode::OK),
        ("127.0.0.1:9", StatusCode::OK),
        ("[::1]:9", StatusCode::OK),
        ("bell.evil.example", StatusCode::FORBIDDEN),
        ("127.0.0.1.evil.example", StatusCode::FORBIDDEN),
    ] {
        let request = page.request("/healthz", "").header("host", host);
        assert_eq!(super::Answer::of(request).await.status, expected, "{host}");
    }
    // A proxy that the config does not know of would make everybody somebody of this machine.
    for name in ["x-forwarded-for", "forwarded", "via"] {
        let request = page.request("/metrics", "").header(name, "192.0.2.7");
        let answer = super::Answer::of(request).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name}");
        assert!(answer.text.contains("web.behind_proxy"), "{}", answer.text);
    }
}
