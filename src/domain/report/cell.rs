//! Cell: one number of a report, as readers may see it; and Ratio, two of them with their percentage.

use std::fmt;

use serde::{Serialize, Serializer};

/// Numbers from 1 to this are small: few enough that a reader may know who is meant. Nought is nobody.
pub const FEW: u64 = 4;

/// A count, as readers may see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cell {
    /// The number itself.
    Count(u64),
    /// From 1 to 4, and we do not say which.
    Few,
    /// Withheld, because a small number could be computed from it; a reader can tell that it lies between these two.
    Between(u64, u64),
    /// Withheld, and nothing useful can be told.
    Hidden,
}

impl Cell {
    /// The number, if it is shown.
    pub fn count(self) -> Option<u64> {
        match self {
            Self::Count(count) => Some(count),
            Self::Few | Self::Between(..) | Self::Hidden => None,
        }
    }

    /// A number that stands in no sum: withheld only if it is small itself.
    pub fn alone(count: u64, readers: Readers) -> Self {
        if (1..=FEW).contains(&count) && readers != Readers::Restricted {
            Self::Few
        } else {
            Self::Count(count)
        }
    }

    /// Without grouping, as a machine reads it.
    pub fn plain(self) -> String {
        match self {
            Self::Count(count) => count.to_string(),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => f.write_str(&grouped(*count)),
            Self::Few => f.write_str("<5"),
            Self::Between(low, high) => write!(f, "{}–{}", grouped(*low), grouped(*high)),
            Self::Hidden => f.write_str("hidden"),
        }
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => out.serialize_u64(*count),
            other => out.serialize_str(&other.plain()),
        }
    }
}

/// For whom a report is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Readers {
    /// The few who work on single cases: every number and every overdue case is shown.
    Restricted,
    /// Everybody else: small numbers are withheld; overdue cases are listed by pseudonym.
    Wider,
    /// As [`Readers::Wider`], and no case is listed at all.
    AggregateOnly,
}

/// `numerator` of `denominator`, never one without the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ratio {
    /// How many.
    pub numerator: Cell,
    /// Of how many.
    pub denominator: Cell,
}

impl Ratio {
    /// A ratio of two numbers that are both shown.
    pub fn of(numerator: u64, denominator: u64) -> Self {
        Self {
            numerator: Cell::Count(numerator),
            denominator: Cell::Count(denominator),
        }
    }

    /// Tenths of a per cent, half away from zero; none if the denominator is nought, or either number is withheld.
    pub fn tenths(self) -> Option<u64> {
        tenths(self.numerator.count()?, self.denominator.count()?)
    }

    /// `40.1 %`, `98.7–99.7 %`, or nothing.
    pub fn percent(self) -> Option<String> {
        match (self.numerator, self.denominator) {
            (Cell::Between(low, high), Cell::Count(of)) => Some(format!(
                "{}–{} %",
                one_decimal(tenths(low, of)?),
                one_decimal(tenths(high, of)?)
            )),
            _ => Some(format!("{} %", one_decimal(self.tenths()?))),
        }
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.denominator == Cell::Count(0) {
            return f.write_str("n/a");
        }
        if self.numerator == Cell::Hidden {
            return f.write_str("hidden");
        }
        write!(f, "{} of {}", self.numerator, self.denominator)?;
        match self.percent() {
            Some(percent) => write!(f, " ({percent})"),
            None => Ok(()),
        }
    }
}

impl Serialize for Ratio {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown {
            numerator: Cell,
            denominator: Cell,
            percent: Option<f64>,
        }
        Shown {
            numerator: self.numerator,
            denominator: self.denominator,
            percent: self.tenths().map(|tenths| tenths as f64 / 10.0),
        }
        .serialize(out)
    }
}

/// Tenths of a per cent, half away from zero; none of nothing is no number.
fn tenths(numerator: u64, denominator: u64) -> Option<u64> {
    let (numerator, denominator) = (u128::from(numerator), u128::from(denominator));
    let doubled = (numerator * 2000 + denominator).checked_div(denominator * 2)?;
    u64::try_from(doubled).ok()
}

fn one_decimal(tenths: u64) -> String {
    format!("{}.{}", grouped(tenths / 10), tenths % 10)
}

/// Digits in groups of three.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_prints_both_numbers_and_one_decimal_half_away_from_zero() {
        for (numerator, denominator, text) in [
            (1, 3, "1 of 3 (33.3 %)"),
            (2, 3, "2 of 3 (66.7 %)"),
            (1, 2000, "1 of 2,000 (0.1 %)"),
            (1, 2001, "1 of 2,001 (0.0 %)"),
            (3, 2000, "3 of 2,000 (0.2 %)"),
            (9_000, 9_000, "9,000 of 9,000 (100.0 %)"),
            (0, 7, "0 of 7 (0.0 %)"),
            (0, 0, "n/a"),
            (
                u64::MAX,
                u64::MAX,
                "18,446,744,073,709,551,615 of 18,446,744,073,709,551,615 (100.0 %)",
            ),
        ] {
            assert_eq!(Ratio::of(numerator, denominator).to_string(), text);
        }
    }

    #[test]
    fn what_is_withheld_has_no_percentage_that_gives_it_away() {
        let ratio = |numerator| Ratio {
            numerator,
            denominator: Cell::Count(300),
        };
        assert_eq!(ratio(Cell::Few).to_string(), "<5 of 300");
        assert_eq!(
            ratio(Cell::Between(296, 299)).to_string(),
            "296–299 of 300 (98.7–99.7 %)"
        );
        assert_eq!(ratio(Cell::Hidden).to_string(), "hidden");
        assert_eq!(
            serde_json::to_string(&ratio(Cell::Few)).unwrap(),
            r#"{"numerator":"<5","denominator":300,"percent":null}"#
        );
        assert_eq!(
            serde_json::to_string(&Ratio::of(1, 3)).unwrap(),
            r#"{"numerator":1,"denominator":3,"percent":33.3}"#
        );
    }

    #[test]
    fn a_number_that_stands_alone_is_withheld_from_one_to_four() {
        for (count, text) in [(0, "0"), (1, "<5"), (4, "<5"), (5, "5"), (1_234, "1,234")] {
            assert_eq!(Cell::alone(count, Readers::Wider).to_string(), text);
        }
        assert_eq!(Cell::alone(3, Readers::Restricted), Cell::Count(3));
    }
}
