//! Yardsticks: the targets we set ourselves, and what others have measured, to stand beside the reset rate.

use serde::Serialize;

use crate::domain::finding::Category;

/// Hours at which the reset rate is measured.
pub const RATE_HOURS: [i64; 6] = [24, 72, 7 * 24, 14 * 24, 30 * 24, 90 * 24];

/// The name of each of [`RATE_HOURS`].
pub const RATE_NAMES: [&str; 6] = ["24 h", "72 h", "7 d", "14 d", "30 d", "90 d"];

/// A share of a category's accounts that should be reset within a time of being told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Target {
    /// The category.
    pub category: Category,
    /// Which of [`RATE_HOURS`].
    #[serde(skip)]
    pub rate: usize,
    /// Per cent.
    pub percent: u64,
}

/// The targets with a time. The one without: compromised, all of them before sign-in is restored.
pub const TARGETS: [Target; 4] = [
    target(Category::Breached, 1, 90),
    target(Category::Attacked, 1, 80),
    target(Category::Weak, 3, 75),
    target(Category::Weak, 4, 95),
];

const fn target(category: Category, rate: usize, percent: u64) -> Target {
    Target {
        category,
        rate,
        percent,
    }
}

/// What somebody else measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Benchmark {
    /// Who was asked to do what.
    pub setting: &'static str,
    /// What came of it.
    pub result: &'static str,
    /// Why it is not quite what we measure.
    pub caveat: &'static str,
    /// Who measured it.
    pub source: &'static str,
}

/// Published results, each with what keeps it from being a target.
pub const BENCHMARKS: [Benchmark; 7] = [
    Benchmark {
        setting: "Campus staff, about 10,000 people, four weekly e-mails, then a prompt at sign-in",
        result: "5–15 % an e-mail wave; about 75 % after four; 8 in 10 of the rest at the prompt (about 95 % in all)",
        caveat: "The change was mandatory",
        source: "Mirian et al., ACSAC 2023",
    },
    Benchmark {
        setting: "LinkedIn 2016, accounts locked and one e-mail",
        result: "46 % reset, after 26.3 days on average",
        caveat: "A survey of 249 people: what they said they did",
        source: "Huh et al., CHI 2017",
    },
    Benchmark {
        setting: "Browser warning, 670,000 users, 2019",
        result: "26 % of warnings led to a new password at least as strong; 26 % were dismissed outright",
        caveat: "A warning in the browser at the moment of signing in, not a letter",
        source: "Thomas et al., USENIX Security 2019",
    },
    Benchmark {
        setting: "Breached web sites, observed behaviour",
        result: "33 % ever changed; 13 % within three months",
        caveat: "63 affected people of 249",
        source: "Bhagavatula et al., 2020",
    },
    Benchmark {
        setting: "Six real notices, 180 people",
        result: "Under a third",
        caveat: "Intention only: what they said they would do",
        source: "Golla et al., CCS 2018",
    },
    Benchmark {
        setting: "Owners of 4,754 web sites, told of a fault",
        result: "Letter from a legal sender 76.3 %; e-mail from researchers 33.9 %; nobody told 9.2 %",
        caveat: "Web sites, not passwords",
        source: "Maass et al., USENIX Security 2021",
    },
    Benchmark {
        setting: "Network owners, told of a fault",
        result: "Direct and detailed messages did best; repeats did nothing",
        caveat: "Most did not act at all; networks, not passwords",
        source: "Li et al., USENIX Security 2016",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_target_has_a_time_at_which_it_is_measured() {
        for target in TARGETS {
            assert!(RATE_HOURS.get(target.rate).is_some());
            assert!(target.percent <= 100);
        }
        assert_eq!(RATE_NAMES.len(), RATE_HOURS.len());
    }
}
