//! Figures: the counts that a status post may tell the public, with small numbers left vague.

use std::fmt;

use serde::{Serialize, Serializer};

use super::finding::Category;
use super::moment::Moment;
use super::report::cell::{Cell, Readers, grouped};
use super::report::facts::CaseFacts;
use super::report::tally;
use super::report::vault::{Key, Vault};

/// One number, as the public may see it. In a sentence it reads as a number would.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Figure {
    /// The number itself.
    Exactly(u64),
    /// From 1 to 4.
    FewerThanFive,
    /// One of these; told exactly, it would give a small number away.
    Between(u64, u64),
    /// Told, it would give a small number away.
    NotGiven,
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(count) => f.write_str(&grouped(*count)),
            Self::FewerThanFive => f.write_str("fewer than 5"),
            Self::Between(low, high) => {
                write!(f, "between {} and {}", grouped(*low), grouped(*high))
            }
            Self::NotGiven => f.write_str("not given"),
        }
    }
}

impl From<Cell> for Figure {
    fn from(cell: Cell) -> Self {
        match cell {
            Cell::Count(count) => Self::Exactly(count),
            Cell::Few => Self::FewerThanFive,
            Cell::Between(low, high) => Self::Between(low, high),
            Cell::Hidden => Self::NotGiven,
        }
    }
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Exactly(count) => out.serialize_u64(*count),
            other => out.collect_str(other),
        }
    }
}

/// One category's part.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct CategoryFigures {
    /// The category.
    pub category: Category,
    /// Accounts that had, or have, to be reset.
    pub accounts: Figure,
    /// Of these, still open.
    pub open: Figure,
}

/// The counts for a status post. They are meant to be published together: withheld numbers cannot be computed from
/// the others.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Figures {
    /// The instant that they describe.
    pub as_of: Moment,
    /// Accounts that had, or have, to be reset.
    pub accounts: Figure,
    /// The people who hold them.
    pub people: Figure,
    /// Mailboxes that they open.
    pub mailboxes: Figure,
    /// Accounts neither reset nor disabled.
    pub open: Figure,
    /// Accounts whose reset is proven.
    pub reset: Figure,
    /// Accounts disabled and not reset.
    pub disabled: Figure,
    /// Accounts whose holder has been told.
    pub told: Figure,
    /// Accounts whose holder nobody has reached yet.
    pub not_reached: Figure,
    /// Open accounts past their deadline, without an exception.
    pub overdue: Figure,
    /// Each category, severest first.
    pub by_category: Vec<CategoryFigures>,
}

/// Takes cases one after the other.
#[derive(Clone, Debug)]
pub struct FiguresCounter {
    as_of: Moment,
    counts: [u64; 5],
    by_category: [(u64, u64); 4],
    people: Vec<i64>,
    mailboxes: u64,
}

impl FiguresCounter {
    /// Figures as of `as_of`.
    pub fn new(as_of: Moment) -> Self {
        Self {
            as_of,
            counts: [0; 5],
            by_category: [(0, 0); 4],
            people: Vec::new(),
            mailboxes: 0,
        }
    }

    /// Counts one case. Withdrawn and superseded ones are in no figure.
    pub fn case(&mut self, case: &CaseFacts) {
        let Some(tally) = tally(case, self.as_of) else {
            return;
        };
        let own = [
            tally.valid,
            tally.safe,
            tally.reset,
            tally.told,
            tally.overdue,
        ];
        for (count, own) in self.counts.iter_mut().zip(own) {
            *count += own;
        }
        if let Some(category) = self.by_category.get_mut(case.category as usize) {
            category.0 += tally.valid;
            category.1 += tally.open();
        }
        self.people.extend(case.person.map(|person| person.0));
        self.mailboxes += u64::from(case.mailboxes);
    }

    /// The figures. `mailboxes` are the distinct ones, if the caller knows them; else each account's are added up.
    pub fn finish(mut self, mailboxes: Option<u64>) -> Figures {
        self.people.sort_unstable();
        self.people.dedup();
        let [valid, safe, reset, told, overdue] = self.counts;
        let mut vault = Vault::new(Readers::Wider);
        let [
            accounts,
            open,
            reset,
            disabled,
            told,
            not_reached,
            overdue,
            people,
        ] = [
            valid,
            valid.saturating_sub(safe),
            reset,
            safe.saturating_sub(reset),
            told,
            valid.saturating_sub(told),
            overdue,
            self.people.len() as u64,
        ]
        .map(|count| vault.put(count));
        vault.sum(accounts, [open, reset, disabled]);
        vault.sum(accounts, [told, not_reached]);
        vault.within(overdue, open);
        vault.within(people, accounts);
        let mut parts: Vec<(Category, Key, Key)> = Vec::new();
        for (category, (all, open)) in Category::ALL.into_iter().zip(self.by_category).rev() {
            let (all, open) = (vault.put(all), vault.put(open));
            vault.within(open, all);
            parts.push((category, all, open));
        }
        vault.sum(accounts, parts.iter().map(|part| part.1));
        vault.sum(open, parts.iter().map(|part| part.2));
        let opened = vault.open();
        let figure = |key| Figure::from(opened.cell(key));
        Figures {
            as_of: self.as_of,
            accounts: figure(accounts),
            people: figure(people),
            mailboxes: Cell::alone(mailboxes.unwrap_or(self.mailboxes), Readers::Wider).into(),
            open: figure(open),
            reset: figure(reset),
            disabled: figure(disabled),
            told: figure(told),
            not_reached: figure(not_reached),
            overdue: figure(overdue),
            by_category: parts
                .iter()
                .map(|(category, all, open)| CategoryFigures {
                    category: *category,
                    accounts: figure(*all),
                    open: figure(*open),
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::ids::{CaseId, PersonId};

    fn hour(hours: i64) -> Moment {
        Moment::from_micros(0).plus(TimeDelta::hours(hours))
    }

    fn case(id: i64, category: Category) -> CaseFacts {
        CaseFacts {
            person: Some(PersonId(id / 2)),
            mailboxes: 1,
            ..CaseFacts::open(CaseId(id), category, "", hour(0))
        }
    }

    fn figures(cases: &[CaseFacts]) -> Figures {
        let mut counter = FiguresCounter::new(hour(100));
        cases.iter().for_each(|case| counter.case(case));
        counter.finish(None)
    }

    #[test]
    fn a_post_tells_what_is_large_and_leaves_what_is_small_vague() {
        let mut cases: Vec<CaseFacts> = (0..60).map(|id| case(id, Category::Weak)).collect();
        for case in &mut cases[..50] {
            case.notice_at = Some(hour(1));
            case.reset_at = Some(hour(9));
        }
        cases[0].withdrawn = true;
        cases[58].category = Category::Compromised;
        let figures = figures(&cases);
        assert_eq!(figures.accounts.to_string(), "59");
        assert_eq!(figures.people.to_string(), "30");
        assert_eq!(figures.reset.to_string(), "49");
        assert_eq!(figures.open.to_string(), "10");
        assert_eq!(figures.disabled.to_string(), "0");
        let severest = figures.by_category[0];
        assert_eq!(severest.category, Category::Compromised);
        assert_eq!(severest.accounts.to_string(), "fewer than 5");
        // 59 less the other category would tell it.
        assert_eq!(
            figures.by_category[3].accounts.to_string(),
            "between 55 and 58"
        );
    }

    #[test]
    fn no_case_at_all_is_nought_and_not_fewer_than_five() {
        assert_eq!(figures(&[]).accounts, Figure::Exactly(0));
    }

    proptest! {
        #[test]
        fn no_figure_from_one_to_four_is_ever_told_nor_left_by_subtraction(
            kinds in proptest::collection::vec((0usize..4, 0u8..4), 0..40)
        ) {
            let cases: Vec<CaseFacts> = (0i64..)
                .zip(&kinds)
                .map(|(id, (category, end))| CaseFacts {
                    reset_at: (*end == 1).then(|| hour(5)),
                    disabled_at: (*end == 2).then(|| hour(6)),
                    notice_at: (*end != 3).then(|| hour(4)),
                    ..case(id, Category::ALL[*category])
                })
                .collect();
            let told = figures(&cases);
            let exact = |figure: Figure| match figure {
                Figure::Exactly(count) => Some(count),
                _ => None,
            };
            let parts = [told.open, told.reset, told.disabled];
            for figure in parts.into_iter().chain([told.accounts, told.told, told.not_reached]) {
                prop_assert!(exact(figure).is_none_or(|count| !(1..=4).contains(&count)));
            }
            if exact(told.accounts).is_some() {
                prop_assert_ne!(parts.iter().filter(|part| exact(**part).is_none()).count(), 1);
                let reached = exact(told.told).is_some();
                prop_assert_eq!(reached, exact(told.not_reached).is_some());
            }
        }
    }
}
