//! Metrics: how much there is to do and what is wrong, in the text form of Prometheus. Labels are words of the flow and of
//! the config; never a person, an account, an address or a department.

use std::fmt::Write as _;

use super::Web;
use crate::domain::Moment;
use crate::domain::delivery::Outcome;
use crate::domain::finding::Category;
use crate::store::{OpenCases, TaskKind};

/// What the text is, for whoever asks.
pub(super) const FORM: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The states of a delivery, so that one without any is a nought and not a gap.
const STATES: [&str; 10] = [
    "queued",
    "leased",
    "accepted",
    "handed_out",
    "refused",
    "bounced",
    "expired",
    "dropped",
    "paused",
    "stopped",
];

/// The alarm of the relay.
const RELAY: &str = "relay";

/// All of it, as of now.
pub(super) async fn written(web: &Web) -> anyhow::Result<String> {
    let app = &web.app;
    let now = app.clock.now();
    let mut tx = app.store.read().await?;
    let mut page = Page::default();
    page.gauge(
        "bell_info",
        "Which version runs.",
        [(Some(("version", env!("CARGO_PKG_VERSION"))), 1.0)],
    );

    let states = tx.delivery_states().await?;
    page.gauge(
        "bell_deliveries",
        "Deliveries by how far they are.",
        with_noughts("state", STATES, &states),
    );
    let outcomes = tx.attempt_outcomes().await?;
    page.counter(
        "bell_attempts_total",
        "Conversations with relays and gateways by what came of them.",
        with_noughts(
            "outcome",
            Outcome::ALL.iter().map(|own| own.word()),
            &outcomes,
        ),
    );
    let since = tx
        .next_due()
        .await?
        .map_or(0, |at| now.since(at).num_milliseconds());
    page.one(
        "bell_oldest_due_seconds",
        "For how long the letter that is due longest has been due; 0 if none is.",
        seconds(since.max(0)),
    );
    cases(&mut page, &tx.open_by_category(now).await?);
    let tasks = tx.open_task_kinds().await?;
    page.gauge(
        "bell_open_tasks",
        "What human beings have to do.",
        with_noughts("kind", TaskKind::ALL.map(TaskKind::word), &tasks),
    );

    let (alarms, holds) = (tx.alarms().await?, tx.holds().await?);
    page.gauge(
        "bell_alarm",
        "What is wrong with the service itself; a row each.",
        alarms
            .iter()
            .map(|alarm| (Some(("name", alarm.name.as_str())), 1.0)),
    );
    page.one(
        "bell_alarms",
        "How much is wrong with the service itself.",
        alarms.len() as f64,
    );
    page.one(
        "bell_holds",
        "What keeps letters back until an operator acts.",
        holds.len() as f64,
    );
    let is_away = alarms.iter().any(|alarm| alarm.name == RELAY)
        || holds.iter().any(|hold| hold.relay.is_some());
    page.one(
        "bell_relay_up",
        "Whether the relay takes letters, so far as we know.",
        truth(!is_away),
    );

    let mut runs = Vec::new();
    for (name, _) in app.config.schedule.lines() {
        if let Some(run) = tx.last_ended_run(name).await? {
            runs.push((Some(("step", name)), run));
        }
    }
    tx.rollback().await?;
    page.gauge(
        "bell_step_last_end_timestamp_seconds",
        "When the latest firing of a step came to its end.",
        runs.iter()
            .map(|(step, run)| (*step, run.ended_at.map_or(0.0, timestamp))),
    );
    page.gauge(
        "bell_step_last_failed",
        "Whether the latest firing of a step that came to its end went wrong.",
        runs.iter().map(|(step, run)| (*step, truth(run.failed))),
    );
    Ok(page.0)
}

fn cases(page: &mut Page, open: &[OpenCases]) {
    let of = |count: fn(&OpenCases) -> i64| {
        Category::ALL.map(|category| {
            let own = open.iter().find(|own| own.category == category.word());
            let label = Some(("category", category.word()));
            (label, own.map_or(0, count) as f64)
        })
    };
    page.gauge("bell_open_cases", "Open cases.", of(|own| own.open));
    page.gauge(
        "bell_overdue_cases",
        "Open cases past their deadline, and not exempt.",
        of(|own| own.overdue),
    );
    page.gauge(
        "bell_not_reached_cases",
        "Open cases whose person was not reached.",
        of(|own| own.not_reached),
    );
}

fn truth(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}

fn seconds(millis: i64) -> f64 {
    millis as f64 / 1_000.0
}

fn timestamp(at: Moment) -> f64 {
    seconds(at.utc().timestamp_millis())
}

/// One label of a row, and its word.
type Label<'a> = Option<(&'static str, &'a str)>;

/// The counted words, and those of `all` that were not counted.
fn with_noughts<'a>(
    label: &'static str,
    all: impl IntoIterator<Item = &'a str>,
    counted: &'a [(String, i64)],
) -> Vec<(Label<'a>, f64)> {
    let mut rows: Vec<_> = counted
        .iter()
        .map(|(word, count)| (Some((label, word.as_str())), *count as f64))
        .collect();
    for word in all {
        if !counted.iter().any(|(own, _)| own == word) {
            rows.push((Some((label, word)), 0.0));
        }
    }
    rows
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn one(&mut self, name: &str, help: &str, value: f64) {
        self.gauge(name, help, [(None, value)]);
    }

    fn gauge<'a>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (Label<'a>, f64)>,
    ) {
        self.family(name, "gauge", help, rows);
    }

    fn counter<'a>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (Label<'a>, f64)>,
    ) {
        self.family(name, "counter", help, rows);
    }

    fn family<'a>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        rows: impl IntoIterator<Item = (Label<'a>, f64)>,
    ) {
        // Writing to a text cannot go wrong.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (label, value) in rows {
            let _ = match label {
                None => writeln!(self.0, "{name} {value}"),
                Some((label, word)) => {
                    writeln!(self.0, "{name}{{{label}=\"{}\"}} {value}", escaped(word))
                }
            };
        }
    }
}

/// As the text form wants it.
fn escaped(word: &str) -> String {
    word.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_written_as_prometheus_reads_it() {
        let mut page = Page::default();
        let name = Some(("name", "evidence.a\"b\\c\nd"));
        page.gauge("bell_alarm", "What is wrong.", [(name, 1.0)]);
        page.counter("bell_attempts_total", "Tried.", [(None, 2.5)]);
        let expected = r#"# HELP bell_alarm What is wrong.
# TYPE bell_alarm gauge
bell_alarm{name="evidence.a\"b\\c\nd"} 1
# HELP bell_attempts_total Tried.
# TYPE bell_attempts_total counter
bell_attempts_total 2.5
"#;
        assert_eq!(page.0, expected);
    }

    #[test]
    fn what_was_not_counted_is_a_nought() {
        let counted = [("queued".to_owned(), 3)];
        let rows = with_noughts("state", ["leased", "queued"], &counted);
        assert_eq!(
            rows,
            [
                (Some(("state", "queued")), 3.0),
                (Some(("state", "leased")), 0.0)
            ]
        );
    }
}
