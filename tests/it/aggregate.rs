//! Only sums, as works councils want it: what is about single people is shown to who acts for them and to nobody else.

use chrono::TimeDelta;
use division_bell::domain::report::{Cell, Readers, Report};
use division_bell::report::{render_csv, render_html, render_json};
use division_bell::steps::report::report;

use crate::support::flow::{Bell, Setup, assert_names_nobody, five};
use crate::support::program;

const DUMP: &str = "2026-03-01T02:00:00Z";
const COUNCIL: &str = "[report]\naggregate_only = true";
/// Somebody who reads reports, and acts for nobody.
const READER: &str = "[[operator]]\nname = \"cara\"\nroles = [\"compliance\", \"communications\"]";

/// Five who were told a month ago, and have not done anything.
async fn overdue(more: &str) -> Bell {
    let bell = Bell::with(Setup {
        more: format!("{more}\n\n{READER}"),
        ..Setup::default()
    })
    .await;
    bell.people(&five()).await;
    let sams = ["abaraa", "brightb", "coxc", "deverauxd", "ekwuemee"];
    bell.audit("march", &sams.map(|sam| (sam, "weak", DUMP)))
        .await;
    bell.campaign().await;
    assert_eq!(bell.deliver().await.accepted, 5);
    bell.advance(TimeDelta::days(30));
    bell
}

fn printed(report: &Report) -> Vec<String> {
    let mut all = vec![render_html(report).unwrap(), render_json(report).unwrap()];
    all.extend(render_csv(report).unwrap().into_iter().map(|file| file.1));
    all
}

#[tokio::test]
async fn reports_have_the_sums_and_list_no_case() {
    let usual = report(&overdue("").await.app, None).await.unwrap();
    assert_eq!(usual.overdue.total, Cell::Count(5));
    assert_eq!(usual.overdue.cases.len(), 5);

    let bell = overdue(COUNCIL).await;
    let sums = report(&bell.app, None).await.unwrap();
    assert_eq!(sums.readers, Readers::AggregateOnly);
    assert_eq!(sums.overdue.total, Cell::Count(5));
    assert_eq!(sums.overdue.cases, []);
    assert_eq!(sums.by_category.total.valid, Cell::Count(5));
    let names = bell.names().await;
    for text in printed(&sums) {
        assert_names_nobody(&text, &names);
    }
}

#[tokio::test]
async fn small_numbers_are_withheld() {
    let bell = overdue(COUNCIL).await;
    bell.evidence(&[("abaraa", "2026-03-20T08:00:00Z", false)])
        .await;
    let sums = report(&bell.app, None).await.unwrap();
    assert_eq!(sums.overdue.total.count(), None, "four are few");
    assert_eq!(sums.overdue.cases, []);
}

#[tokio::test]
async fn single_people_are_shown_to_who_acts_for_them_only() {
    let bell = overdue(COUNCIL).await;
    let config = bell.path("bell.toml");
    let about_people: [&[&str]; 18] = [
        &["people", "list"],
        &["people", "list", "--names"],
        &["people", "show", "1"],
        &["people", "export", "1"],
        &["people", "hold", "--list"],
        &["case", "list"],
        &["case", "show", "1"],
        &["case", "unreached"],
        &["case", "resting"],
        &["delivery", "of", "1"],
        &["contain", "list"],
        &["hand-over", "list"],
        &["tasks"],
        &["plan"],
        &["audit-steps"],
        &["audits", "unmatched"],
        &["campaign", "draft"],
        &["ledger", "list"],
    ];
    for command in about_people {
        let refused = program::bell(&config, &[command, &["--as", "cara"]].concat());
        assert_eq!(refused.code, 2, "{command:?}: {}", refused.out);
        assert_eq!(refused.out, "", "{command:?}");
        assert!(
            refused.err.contains("aggregate_only") && refused.err.contains("bell report"),
            "{command:?}: {}",
            refused.err
        );
        let shown = program::bell(&config, command);
        assert!(
            !shown.err.contains("aggregate_only"),
            "{command:?}: {}",
            shown.err
        );
    }
    for command in [
        &["ledger", "verify"][..],
        &["audits", "list"],
        &["campaign", "list"],
        &["report", "--out", "report.html"],
    ] {
        let mut own = program::command();
        own.current_dir(bell.path(""))
            .arg("--config")
            .arg(&config)
            .args(command)
            .args(["--as", "cara"]);
        let shown = program::run(&mut own);
        assert_eq!(shown.code, 0, "{command:?}: {}{}", shown.out, shown.err);
        assert_names_nobody(&shown.out, &bell.names().await);
    }
    // Where nothing was agreed, who reads reports looks at cases as well.
    let usual = overdue("").await;
    let shown = program::bell(&usual.path("bell.toml"), &["case", "list", "--as", "cara"]);
    assert_eq!(shown.code, 0, "{}", shown.err);
}
