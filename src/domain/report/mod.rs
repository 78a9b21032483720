//! Report: cases as of an instant → rows and totals, with small numbers withheld.
//!
//! [`ReportBuilder`] takes the cases one after the other and keeps counters and durations only;
//! [`ReportBuilder::finish`] makes the [`Report`], a value that the edge prints as HTML, CSV or JSON. The same facts
//! and the same as-of instant give the same report, whatever the order of the cases.

mod burn;
pub mod cell;
mod count;
pub mod facts;
mod finish;
mod headline;
mod keys;
pub mod lasting;
#[cfg(test)]
mod tests;
pub mod vault;
pub mod yardsticks;

use serde::Serialize;

pub use burn::{BurnDown, BurnPoint, DeadlineMark};
pub use cell::{Cell, Ratio, Readers};
pub use count::ReportBuilder;
pub use facts::*;
pub use lasting::{Lasting, Median};

use super::finding::Category;
use super::ids::CaseId;
use super::moment::Moment;
use yardsticks::Benchmark;

/// Everything that a report says.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    /// What it is, and of when.
    pub header: Header,
    /// For whom it is made.
    pub readers: Readers,
    /// What was counted, in each unit.
    pub units: Units,
    /// R1: was everybody looked at?
    pub coverage: Vec<CoverageRow>,
    /// R2: how are we doing?
    pub headline: Vec<Metric>,
    /// R3: is the severe end done first?
    pub by_category: CategoryTable,
    /// R3: how soon do people act once told?
    pub rates: RateTable,
    /// The targets, and how far we are.
    pub targets: Vec<TargetRow>,
    /// R4: where is help needed?
    pub by_department: DepartmentTable,
    /// R5: how long were the accounts exposed? From the finding until safe.
    pub time_to_safe: TimeTable,
    /// R5: what do our messages do? From the first notice until the reset.
    pub time_to_reset: TimeTable,
    /// R6: what is overdue?
    pub overdue: Overdue,
    /// R7: who accepted the risk?
    pub exceptions: Exceptions,
    /// R8: did the words arrive?
    pub delivery: DeliveryTable,
    /// What followed each wave of reminders.
    pub reminder_yield: Vec<WaveRow>,
    /// R9: who approved which words?
    pub statements: Vec<StatementFacts>,
    /// How soon the first statement came.
    pub incidents: Vec<IncidentFacts>,
    /// R10: were the legal deadlines met?
    pub clocks: Vec<ClockFacts>,
    /// R12: can the numbers be rebuilt?
    pub provenance: Vec<Provenance>,
    /// R13: was anything altered?
    pub ledger: Option<LedgerFacts>,
    /// How many accounts were open at which time.
    pub burn_down: BurnDown,
    /// What the data could not tell, or told wrongly.
    pub quality: Quality,
    /// What others have measured.
    pub benchmarks: Vec<Benchmark>,
}

/// What was counted, in each unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Units {
    /// Valid cases: one account each.
    pub accounts: Cell,
    /// Distinct people who hold them.
    pub people: Cell,
    /// Mailboxes that these accounts open.
    pub mailboxes: Cell,
    /// Each mailbox is counted once, however many accounts open it.
    pub mailboxes_are_distinct: bool,
    /// Cases withdrawn: in no other figure.
    pub withdrawn: Cell,
    /// Cases whose reset turned out void; their successors count instead.
    pub reopened: Cell,
}

/// One source's coverage.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct CoverageRow {
    /// The source.
    pub source: String,
    /// When it was run.
    pub run_at: Moment,
    /// Accounts looked at, of those in scope.
    pub assessed: Ratio,
    /// Accounts not looked at, by reason.
    pub not_assessed: Vec<(String, Cell)>,
}

/// One line of the headline table.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Metric {
    /// Its stable name for machines.
    pub key: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What it counts, or leaves out.
    pub note: &'static str,
    /// Its value.
    pub value: Measure,
    /// Its value in the report before, if there is one.
    pub previous: Option<Measure>,
}

/// A metric's value.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(untagged)]
pub enum Measure {
    /// So many of so many.
    Ratio(Ratio),
    /// So many.
    Count(Cell),
    /// Half of them within this time.
    Median(Median),
    /// This long, if it has ended.
    Lasting(Option<Lasting>),
}

impl std::fmt::Display for Measure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ratio(ratio) => ratio.fmt(f),
            Self::Count(cell) => cell.fmt(f),
            Self::Median(median) => median.fmt(f),
            Self::Lasting(Some(lasting)) => lasting.fmt(f),
            Self::Lasting(None) => f.write_str("not yet"),
        }
    }
}

/// The main figures of each category.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct CategoryTable {
    /// One row a category that has cases, severest first.
    pub rows: Vec<CategoryRow>,
    /// All of them.
    pub total: CategoryRow,
}

/// The main figures of one category, or of all.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct CategoryRow {
    /// Which; none for all.
    pub category: Option<Category>,
    /// Valid cases.
    pub valid: Cell,
    /// Told, of the valid.
    pub told: Ratio,
    /// Reset and verified, of the valid.
    pub reset: Ratio,
    /// Reset or disabled, of the valid.
    pub safe: Ratio,
    /// Neither reset nor disabled.
    pub open: Cell,
    /// Safe by their deadline, of those whose deadline has come.
    pub on_time: Ratio,
    /// Past their deadline, open, without an exception.
    pub overdue: Cell,
    /// Median time from the finding until safe.
    pub time_to_safe: Median,
}

/// The reset rate at fixed times after the first notice.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct RateTable {
    /// The times, in words.
    pub within: [&'static str; 6],
    /// One row a category that has cases, severest first, then all.
    pub rows: Vec<RateRow>,
}

/// One category's reset rates.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct RateRow {
    /// Which; none for all.
    pub category: Option<Category>,
    /// Reset within that time, of the cases told at least that long ago.
    pub rates: [Ratio; 6],
}

/// One target.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct TargetRow {
    /// For which category.
    pub category: Category,
    /// When it is measured, in words.
    pub when: &'static str,
    /// Per cent that should be reset by then.
    pub target_percent: u64,
    /// What was measured.
    pub measured: Ratio,
    /// Whether it was reached; none if it is too early, or withheld.
    pub reached: Option<bool>,
}

/// The departments' figures.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct DepartmentTable {
    /// One row a department, by name: it is no ranking.
    pub rows: Vec<DepartmentRow>,
    /// All of them.
    pub total: DepartmentRow,
}

/// One department's figures.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct DepartmentRow {
    /// Its name; none for all.
    pub department: Option<String>,
    /// Valid cases.
    pub valid: Cell,
    /// Reset or disabled, of the valid.
    pub safe: Ratio,
    /// Cases whose deadline has come.
    pub due: Cell,
    /// Safe by their deadline, of those.
    pub on_time: Ratio,
    /// Past their deadline, open, without an exception.
    pub overdue: Cell,
}

/// How long something takes.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct TimeTable {
    /// Cases in the data.
    pub cases: Cell,
    /// The median and its interval.
    pub median: Median,
    /// Left out: never told.
    pub left_out_never_told: Option<Cell>,
    /// Left out: safe before they were told.
    pub left_out_safe_before: Option<Cell>,
    /// Left out: the event lies before the origin, which is an error in the data.
    pub left_out_impossible: Cell,
    /// The estimates at fixed times.
    pub marks: Vec<TimeMark>,
}

/// The estimates at one time after the origin.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct TimeMark {
    /// The time.
    #[serde(rename = "after_seconds")]
    pub after: Lasting,
    /// Cases still watched then.
    pub at_risk: Cell,
    /// Tenths of a per cent with the event by then; none if fewer than five are left to tell.
    #[serde(rename = "happened_permille")]
    pub happened: Option<u64>,
    /// Aalen–Johansen: tenths of a per cent reset by then.
    #[serde(rename = "reset_permille")]
    pub reset: Option<u64>,
    /// Aalen–Johansen: tenths of a per cent disabled by then.
    #[serde(rename = "disabled_permille")]
    pub disabled: Option<u64>,
}

/// What is overdue.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Overdue {
    /// How many.
    pub total: Cell,
    /// By how long, in words.
    pub by_age: Vec<(&'static str, Cell)>,
    /// The oldest of them, as far as readers may see them.
    pub cases: Vec<OverdueCase>,
    /// Why some, or all, are not listed.
    pub note: Option<&'static str>,
}

/// One overdue case, under its pseudonym.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct OverdueCase {
    /// The case's number.
    pub id: CaseId,
    /// Its category.
    pub category: Category,
    /// For how long it has been overdue; none if that would give a small number away.
    #[serde(rename = "age_seconds")]
    pub age: Option<Lasting>,
    /// When we last reached out.
    pub last_contact_at: Option<Moment>,
    /// What comes next.
    pub next_step: NextStep,
}

/// What comes next for an overdue case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NextStep {
    /// Nobody has been reached: find another way.
    ReachAnotherWay,
    /// Ask the identity provider to force a change.
    HandOver,
    /// It was asked: wait for the evidence.
    AwaitForcedChange,
}

impl NextStep {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::ReachAnotherWay => "Reach the holder another way",
            Self::HandOver => "Hand over to the identity provider",
            Self::AwaitForcedChange => "Forced change asked for; await evidence",
        }
    }
}

/// Exceptions.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Exceptions {
    /// In force at the as-of instant.
    pub in_force: Cell,
    /// Of these, ending within seven days.
    pub expiring: Cell,
    /// Over, and the case still open: overdue again.
    pub expired: Cell,
    /// Each of them, for restricted readers only.
    pub list: Vec<ExceptionFacts>,
}

/// What became of the letters.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct DeliveryTable {
    /// One row a kind of letter.
    pub rows: Vec<DeliveryRow>,
    /// All of them.
    pub total: DeliveryRow,
    /// Tasks for human beings that are open.
    pub tasks_open: Cell,
}

/// What became of the letters of one kind.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct DeliveryRow {
    /// The kind; none for all.
    pub kind: Option<crate::domain::notice::NoticeKind>,
    /// Waiting for a first attempt.
    pub queued: Cell,
    /// Attempted.
    pub attempted: Cell,
    /// Taken by a relay, of those attempted.
    pub accepted: Ratio,
    /// Refused for good.
    pub refused: Cell,
    /// Given up.
    pub expired: Cell,
    /// Still being tried.
    pub trying: Cell,
    /// Accepted, and came back.
    pub bounced: Cell,
    /// May have arrived twice, of those attempted.
    pub in_doubt: Ratio,
}

/// What followed one wave of reminders.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct WaveRow {
    /// Which wave; 1 is the first reminder.
    pub wave: u8,
    /// Reset within 72 hours, of those open and mailed at least 72 hours ago.
    pub reset: Ratio,
}

/// What the data could not tell, or told wrongly.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Quality {
    /// Cases whose finding is dated to the day only.
    pub found_date_only: Cell,
    /// Resets that are no later than the finding: not counted as resets.
    pub reset_before_found: Cell,
    /// Cases without a department.
    pub no_department: Cell,
}
