//! Stated: the counts that a statement can name, rounded so that they overstate neither what was done nor hide what is wrong,
//! and never count out a few.

use super::figures::{FEW, Figures, shown};
use super::finding::Category;
use super::statement::Figure;

/// Below this a group has no rate.
pub const RATE_GROUP: u64 = 20;

/// All counts that there are, as of one instant.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// Those of the status post.
    pub figures: Figures,
    /// Accounts by category, mildest first.
    pub by_category: [u64; 4],
}

/// On which side the truth may lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    /// What is wrong: "fewer than 90".
    Under,
    /// What was done: "at least 80".
    Over,
    /// A part of a whole in per cent.
    Rate,
}

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    Accounts,
    People,
    Open,
    Overdue,
    Told,
    Reset,
    ResetRate,
    Of(Category),
}

/// A count that statements can name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stated {
    /// As the text calls it.
    pub name: &'static str,
    /// What it counts, after a number.
    pub label: &'static str,
    /// The query that it comes from.
    pub source: &'static str,
    what: What,
    side: Side,
}

const fn of_figures(name: &'static str, label: &'static str, what: What, side: Side) -> Stated {
    Stated {
        name,
        label,
        source: "figures",
        what,
        side,
    }
}

const fn of_category(category: Category, label: &'static str) -> Stated {
    Stated {
        name: category.word(),
        label,
        source: "accounts_by_category",
        what: What::Of(category),
        side: Side::Under,
    }
}

/// All of them.
pub const ALL: [Stated; 11] = [
    of_figures(
        "accounts",
        "accounts that need a new password",
        What::Accounts,
        Side::Under,
    ),
    of_figures("people", "people concerned", What::People, Side::Under),
    of_figures("open", "accounts still open", What::Open, Side::Under),
    of_figures(
        "overdue",
        "accounts past their date",
        What::Overdue,
        Side::Under,
    ),
    of_figures("told", "people told so far", What::Told, Side::Over),
    of_figures("reset", "new passwords proven", What::Reset, Side::Over),
    of_figures(
        "reset_rate",
        "of the accounts have a new password",
        What::ResetRate,
        Side::Rate,
    ),
    of_category(
        Category::Weak,
        "accounts with a password that is easy to guess",
    ),
    of_category(
        Category::Attacked,
        "accounts that somebody tried to get in to",
    ),
    of_category(
        Category::Breached,
        "accounts whose password is on a list of stolen ones",
    ),
    of_category(
        Category::Compromised,
        "accounts that somebody else has used",
    ),
];

/// Their names, and those of the words that are filled as well, for whoever mistyped one.
pub const NAMES: &str = "accounts, people, open, overdue, told, reset, reset_rate, weak, attacked, breached, compromised, \
    as_of, next_update, statement_no, reference, org, team, check_route, help_route";

/// The count that a variable names.
pub fn by_name(name: &str) -> Option<&'static Stated> {
    ALL.iter().find(|one| one.name == name)
}

/// A rate of a group that is too small for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooSmall;

impl Stated {
    /// The count itself.
    pub const fn count(&self, counts: &Counts) -> u64 {
        let figures = &counts.figures;
        let [weak, attacked, breached, compromised] = counts.by_category;
        match self.what {
            What::Accounts => figures.accounts,
            What::People => figures.people,
            What::Open => figures.open,
            What::Overdue => figures.overdue,
            What::Told => figures.told,
            What::Reset => figures.reset,
            What::ResetRate => match (figures.reset * 100).checked_div(figures.accounts) {
                Some(rate) if rate > 100 => 100,
                Some(rate) => rate,
                None => 0,
            },
            What::Of(Category::Weak) => weak,
            What::Of(Category::Attacked) => attacked,
            What::Of(Category::Breached) => breached,
            What::Of(Category::Compromised) => compromised,
        }
    }

    /// The figure as readers see it.
    pub fn figure(&self, counts: &Counts) -> Result<Figure, TooSmall> {
        let count = self.count(counts);
        let shown = match self.side {
            Side::Under => under(count),
            Side::Over => over(count),
            Side::Rate if counts.figures.people < RATE_GROUP => return Err(TooSmall),
            Side::Rate => format!("{}%", count / 5 * 5),
        };
        Ok(Figure {
            name: self.name.to_owned(),
            count,
            shown,
            source: self.source.to_owned(),
        })
    }
}

/// The step to which a count is rounded.
const fn grain(count: u64) -> u64 {
    match count {
        0..1_000 => 10,
        1_000..10_000 => 100,
        _ => 1_000,
    }
}

/// What is wrong is rounded up: 85 is "fewer than 90".
pub fn under(count: u64) -> String {
    match count {
        0 => shown(0),
        few if few < FEW => shown(few),
        _ => {
            let grain = grain(count);
            format!("fewer than {}", shown((count / grain + 1) * grain))
        }
    }
}

/// What was done is rounded down: 85 is "at least 80".
pub fn over(count: u64) -> String {
    match count {
        few if few < FEW => shown(few),
        some if some < 10 => "at least 5".to_owned(),
        _ => {
            let grain = grain(count);
            format!("at least {}", shown(count / grain * grain))
        }
    }
}

/// How many whole `step`s the ledger has moved past a published count, either way.
pub const fn steps_past(published: u64, now: u64, step: u64) -> u64 {
    match published.abs_diff(now).checked_div(step) {
        Some(steps) => steps,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_rounded_up_and_what_was_done_is_rounded_down() {
        for (count, wrong, done) in [
            (0, "none", "none"),
            (1, "fewer than 5", "fewer than 5"),
            (4, "fewer than 5", "fewer than 5"),
            (5, "fewer than 10", "at least 5"),
            (85, "fewer than 90", "at least 80"),
            (90, "fewer than 100", "at least 90"),
            (1_000, "fewer than 1,100", "at least 1,000"),
            (8_999, "fewer than 9,000", "at least 8,900"),
            (12_345, "fewer than 13,000", "at least 12,000"),
        ] {
            assert_eq!((under(count).as_str(), over(count).as_str()), (wrong, done));
        }
    }

    #[test]
    fn every_name_has_its_own_count_and_a_small_group_has_no_rate() {
        let counts = Counts {
            figures: Figures {
                accounts: 100,
                people: 90,
                told: 80,
                reset: 63,
                open: 30,
                overdue: 20,
                ..Figures::default()
            },
            by_category: [41, 31, 21, 11],
        };
        let shown: Vec<String> = ALL
            .iter()
            .map(|one| one.figure(&counts).unwrap().shown)
            .collect();
        assert_eq!(
            shown,
            [
                "fewer than 110",
                "fewer than 100",
                "fewer than 40",
                "fewer than 30",
                "at least 80",
                "at least 60",
                "60%",
                "fewer than 50",
                "fewer than 40",
                "fewer than 30",
                "fewer than 20",
            ]
        );
        let mut few = counts;
        few.figures.people = 19;
        assert_eq!(by_name("reset_rate").unwrap().figure(&few), Err(TooSmall));
        assert!(by_name("names").is_none());
    }

    #[test]
    fn steps_are_counted_either_way() {
        assert_eq!(steps_past(85, 94, 10), 0);
        assert_eq!(steps_past(85, 95, 10), 1);
        assert_eq!(steps_past(85, 60, 10), 2);
        assert_eq!(steps_past(85, 60, 0), 0);
    }

    proptest::proptest! {
        #[test]
        fn a_rounded_count_never_understates_what_is_wrong(count in 5_u64..100_000) {
            let digits: String = under(count).chars().filter(char::is_ascii_digit).collect();
            proptest::prop_assert!(digits.parse::<u64>().unwrap() > count);
            let digits: String = over(count).chars().filter(char::is_ascii_digit).collect();
            proptest::prop_assert!(digits.parse::<u64>().unwrap() <= count);
        }
    }
}
