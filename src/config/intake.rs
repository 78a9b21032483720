//! When an audit waits for a second operator: `[intake]`.

use serde::Serialize;

use super::section::{Read, Section};
use super::values::number;

/// What is unusual.
#[derive(Debug, Clone, Serialize)]
pub struct Intake {
    /// More of all accounts than this, in per cent.
    pub share_percent: u64,
    /// More than so many times the findings of the source's last audit.
    pub times: u64,
    /// Below so many cases nothing is unusual.
    pub at_least: u64,
}

pub(super) fn intake(root: &Section<'_>) -> Read<Intake> {
    let own = root.section("intake");
    let share_percent = own.or("share_percent", number("per cent", 1..=100), 30);
    let times = own.or("times", number("times", 2..=1_000_000), 10);
    let at_least = own.or("at_least", number("number of cases", 1..=100_000_000), 100);
    own.finish_after(|_| {
        Ok(Intake {
            share_percent: share_percent?,
            times: times?,
            at_least: at_least?,
        })
    })
}
