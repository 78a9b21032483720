//! Headline: the lines of table R2, in the order of reading.

use super::keys::{Keys, ratio};
use super::vault::Opened;
use super::{Lasting, Measure, Metric, Ratio, Report};

/// The lines, with those of the report before beside them.
pub(super) fn headline(
    report: &Report,
    keys: &Keys,
    opened: &Opened,
    previous: Option<&Report>,
) -> Vec<Metric> {
    let all = &keys.all;
    let of_valid = |key| Measure::Ratio(ratio(opened, key, all.valid));
    let count = |key| Measure::Count(opened.cell(key));
    // Key, name, what it counts or leaves out, value.
    let mut lines = vec![
        (
            "made_safe",
            "Made safe",
            "reset and verified, or disabled",
            of_valid(all.safe),
        ),
        (
            "reset",
            "Reset",
            "verified by the directory; falls when new cases open",
            of_valid(all.reset),
        ),
        (
            "recheck_pending",
            "Re-check pending",
            "of the resets: no audit has looked at the new password yet",
            count(keys.recheck),
        ),
        (
            "open",
            "Still open",
            "neither reset nor disabled",
            count(all.open),
        ),
        (
            "on_time",
            "On time",
            "safe by the deadline, of those whose deadline has come",
            Measure::Ratio(ratio(opened, all.on_time, all.due)),
        ),
        (
            "overdue",
            "Overdue",
            "open past the deadline, without an exception in force",
            count(all.overdue),
        ),
        (
            "median_time_to_safe",
            "Half made safe within",
            "from the finding; open cases are counted, not dropped",
            Measure::Median(report.by_category.total.time_to_safe.clone()),
        ),
        (
            "median_time_to_reset",
            "Half reset within",
            "from the first notice; cases safe before it are left out",
            Measure::Median(report.time_to_reset.median.clone()),
        ),
        (
            "told",
            "Told",
            "a notice was accepted and stands, or somebody spoke to them; accepted is not read",
            of_valid(all.told),
        ),
        (
            "not_told",
            "Not reached",
            "no notice stands, and nobody has spoken to them",
            count(keys.untold),
        ),
        (
            "undeliverable",
            "Tried in vain",
            "of those not reached; the rest has not been tried yet",
            count(keys.failed),
        ),
        (
            "safe_before_told",
            "Safe before being told",
            "counted as safe; says nothing about the messages",
            count(keys.safe_untold),
        ),
        (
            "possible_duplicates",
            "May have arrived twice",
            "letters ever in doubt, of those attempted",
            Measure::Ratio(report.delivery.total.in_doubt),
        ),
        (
            "exceptions",
            "Exceptions in force",
            "accepted risk: these accounts still count as not reset",
            count(keys.in_force),
        ),
        (
            "relapse",
            "Relapsed",
            "found again within 90 days, of the resets older than that",
            Measure::Ratio(ratio(opened, keys.relapse.0, keys.relapse.1)),
        ),
        (
            "withdrawn",
            "Withdrawn",
            "false positive or duplicate; in no other figure",
            Measure::Count(report.units.withdrawn),
        ),
        (
            "reopened",
            "Reopened",
            "the reset did not hold; a new case counts instead",
            Measure::Count(report.units.reopened),
        ),
    ];
    if let Some(incident) = report.incidents.first() {
        let latency = incident.first_statement_at.map(|at| {
            Lasting(
                at.since(incident.declared_at)
                    .num_microseconds()
                    .unwrap_or(0),
            )
        });
        lines.push((
            "statement_latency",
            "First official statement after",
            "from the declaration of the first incident",
            Measure::Lasting(latency),
        ));
        let (missed, due) = report
            .incidents
            .iter()
            .fold((0, 0), |(missed, due), incident| {
                (
                    missed + incident.promises_missed,
                    due + incident.promises_due,
                )
            });
        lines.push((
            "promises_missed",
            "Promised updates missed",
            "of those whose time has come",
            Measure::Ratio(Ratio::of(missed, due)),
        ));
    }
    let before = |key: &str| {
        let line = previous?.headline.iter().find(|line| line.key == key)?;
        Some(line.value.clone())
    };
    lines
        .into_iter()
        .map(|(key, name, note, value)| Metric {
            key,
            name,
            note,
            value,
            previous: before(key),
        })
        .collect()
}
