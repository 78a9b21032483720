//! Survival: how long it takes until something happens to a case, when for many cases it has not happened yet.
//!
//! Leaving the open cases out makes a figure too good, the more so the earlier one looks. So medians here are
//! Kaplan–Meier's, their intervals Brookmeyer and Crowley's (log(−log) transform, Greenwood's variance), and outcomes
//! that compete are told apart by Aalen and Johansen's estimator. Durations are whole microseconds.

use std::collections::BTreeMap;

use serde::Serialize;

use super::moment::Moment;

/// How the watch over one case ended. The order is the order of ties: events come before censorings.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Ending {
    /// What we wait for has happened.
    Event,
    /// Something else has happened, after which it can no longer happen.
    Competing,
    /// Neither has happened by the end of the watch.
    Censored,
}

/// One case's watch. Sixteen bytes, because a report keeps a million of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Span {
    micros: i64,
    ending: Ending,
    group: u8,
}

/// Collects watches; [`Sample::sorted`] makes them ready to be asked.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    spans: Vec<Span>,
    rejected: BTreeMap<u8, u64>,
}

impl Sample {
    /// Adds one case of `group`, watched from `from` until `until`. A watch that ends before it begins is an error in
    /// the data: it is counted, and left out.
    pub fn watch(&mut self, group: u8, from: Moment, until: Moment, ending: Ending) {
        match until.micros().checked_sub(from.micros()) {
            Some(micros) if micros >= 0 => self.spans.push(Span {
                micros,
                ending,
                group,
            }),
            _ => *self.rejected.entry(group).or_default() += 1,
        }
    }

    /// The same watches, in the order of their length.
    pub fn sorted(mut self) -> Watches {
        self.spans.sort_unstable();
        Watches {
            spans: self.spans,
            rejected: self.rejected,
        }
    }
}

/// All watches, shortest first.
#[derive(Clone, Debug, Default)]
pub struct Watches {
    spans: Vec<Span>,
    rejected: BTreeMap<u8, u64>,
}

/// The state of the estimates just after one instant at which something happened.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Step {
    /// Microseconds after the origin.
    pub at: i64,
    /// Cases still watched just before.
    pub at_risk: u64,
    /// Events at this instant.
    pub events: u64,
    /// Competing events at this instant.
    pub competing: u64,
    /// Kaplan–Meier's S: the estimated share without the event, competing events counted as censored.
    pub survival: f64,
    /// Lower end of the 95 % band around S.
    pub lower: f64,
    /// Upper end of it.
    pub upper: f64,
    /// Estimated share with neither the event nor a competing one.
    pub free: f64,
    /// Aalen–Johansen: estimated share with the event by now.
    pub incidence: f64,
    /// Aalen–Johansen: estimated share with a competing event by now.
    pub competing_incidence: f64,
}

/// The estimates at a fixed time after the origin.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Mark {
    /// Microseconds after the origin.
    pub at: i64,
    /// Cases watched for at least that long.
    pub at_risk: u64,
    /// Estimated share without the event.
    pub survival: f64,
    /// Estimated share with the event by then.
    pub incidence: f64,
    /// Estimated share with a competing event by then.
    pub competing_incidence: f64,
}

/// What a set of watches says.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Estimate {
    /// Cases in the data.
    pub cases: u64,
    /// Of these, with the event.
    pub events: u64,
    /// Of these, with a competing event.
    pub competing: u64,
    /// Left out, because their watch ended before it began.
    pub rejected: u64,
    /// The smallest event time at which S is at most a half; none if S never gets there.
    pub median: Option<i64>,
    /// Lower end of the median's 95 % interval; none if not reached.
    pub median_lower: Option<i64>,
    /// Upper end of it; none if not reached.
    pub median_upper: Option<i64>,
    /// The longest watch.
    pub longest: i64,
    /// The estimates at the times asked for.
    pub marks: Vec<Mark>,
}

impl Estimate {
    /// An interval from fewer cases than this says nothing, and is not printed.
    pub const FEWEST_FOR_INTERVAL: u64 = 10;

    /// Whether the interval may be printed.
    pub fn interval_is_sound(&self) -> bool {
        self.cases >= Self::FEWEST_FOR_INTERVAL
    }
}

/// The 97.5 % point of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// "At most a half" must hold for what is a half but for rounding.
const HALF: f64 = 0.5 + 1e-9;

impl Watches {
    /// One step for each distinct time at which an event or a competing event happened, of one group or of all.
    pub fn steps(&self, group: Option<u8>) -> impl Iterator<Item = Step> + '_ {
        Steps {
            at_risk: self.of(group).count() as u64,
            spans: self.of(group).peekable(),
            survival: Product::default(),
            free: Product::default(),
            variance: 0.0,
            incidence: 0.0,
            competing_incidence: 0.0,
        }
    }

    /// The median, its interval, and the estimates at `marks` (microseconds), of one group or of all.
    pub fn estimate(&self, group: Option<u8>, marks: &[i64]) -> Estimate {
        let mut estimate = Estimate {
            rejected: match group {
                Some(group) => self.rejected.get(&group).copied().unwrap_or(0),
                None => self.rejected.values().sum(),
            },
            longest: self.of(group).map(|span| span.micros).max().unwrap_or(0),
            marks: marks.iter().map(|&at| Mark::start(at)).collect(),
            ..Estimate::default()
        };
        for span in self.of(group) {
            estimate.cases += 1;
            for mark in &mut estimate.marks {
                mark.at_risk += u64::from(span.micros >= mark.at);
            }
        }
        for step in self.steps(group) {
            estimate.events += step.events;
            estimate.competing += step.competing;
            for mark in &mut estimate.marks {
                if step.at <= mark.at {
                    mark.survival = step.survival;
                    mark.incidence = step.incidence;
                    mark.competing_incidence = step.competing_incidence;
                }
            }
            if step.events > 0 {
                let reached = |found: Option<i64>, share: f64| {
                    found.or_else(|| (share <= HALF).then_some(step.at))
                };
                estimate.median = reached(estimate.median, step.survival);
                estimate.median_lower = reached(estimate.median_lower, step.lower);
                estimate.median_upper = reached(estimate.median_upper, step.upper);
            }
        }
        estimate
    }

    fn of(&self, group: Option<u8>) -> impl Iterator<Item = Span> + '_ {
        self.spans
            .iter()
            .copied()
            .filter(move |span| group.is_none_or(|group| span.group == group))
    }
}

impl Mark {
    fn start(at: i64) -> Self {
        Self {
            at,
            at_risk: 0,
            survival: 1.0,
            incidence: 0.0,
            competing_incidence: 0.0,
        }
    }
}

/// A product of (1 − d/n). While nobody is censored the factors telescope, so the product is one exact division and
/// does not drift over a million steps.
#[derive(Clone, Copy)]
struct Product {
    base: f64,
    of: u64,
    left: u64,
}

impl Default for Product {
    fn default() -> Self {
        Self {
            base: 1.0,
            of: 0,
            left: 0,
        }
    }
}

impl Product {
    fn value(self) -> f64 {
        if self.of == 0 {
            self.base
        } else {
            self.base * (self.left as f64 / self.of as f64)
        }
    }

    fn fall(&mut self, at_risk: u64, events: u64) {
        if self.left != at_risk {
            self.base = self.value();
            self.of = at_risk;
        }
        self.left = at_risk.saturating_sub(events);
    }
}

struct Steps<I: Iterator<Item = Span>> {
    spans: std::iter::Peekable<I>,
    at_risk: u64,
    survival: Product,
    free: Product,
    /// Greenwood's sum.
    variance: f64,
    incidence: f64,
    competing_incidence: f64,
}

impl<I: Iterator<Item = Span>> Iterator for Steps<I> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        loop {
            let at = self.spans.peek()?.micros;
            let at_risk = self.at_risk;
            let (mut events, mut competing) = (0, 0);
            while let Some(span) = self.spans.next_if(|span| span.micros == at) {
                self.at_risk -= 1;
                match span.ending {
                    Ending::Event => events += 1,
                    Ending::Competing => competing += 1,
                    Ending::Censored => {}
                }
            }
            if events + competing > 0 {
                return Some(self.step(at, at_risk, events, competing));
            }
        }
    }
}

impl<I: Iterator<Item = Span>> Steps<I> {
    fn step(&mut self, at: i64, at_risk: u64, events: u64, competing: u64) -> Step {
        let before = self.free.value();
        let share = before / at_risk as f64;
        self.incidence += share * events as f64;
        self.competing_incidence += share * competing as f64;
        self.free.fall(at_risk, events + competing);
        if events > 0 {
            self.survival.fall(at_risk, events);
            let left = (at_risk - events) as f64;
            self.variance += events as f64 / (at_risk as f64 * left);
        }
        let survival = self.survival.value();
        let (lower, upper) = band(survival, self.variance);
        Step {
            at,
            at_risk,
            events,
            competing,
            survival,
            lower,
            upper,
            free: self.free.value(),
            incidence: self.incidence,
            competing_incidence: self.competing_incidence,
        }
    }
}

/// The 95 % band around S. Where S is 0 or 1 the transform has no value and the band is S itself.
fn band(survival: f64, variance: f64) -> (f64, f64) {
    if survival <= 0.0 || survival >= 1.0 {
        return (survival, survival);
    }
    let log = survival.ln();
    let reach = Z * variance.sqrt() / log.abs();
    ((log * reach.exp()).exp(), (log * (-reach).exp()).exp())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3_600_000_000;

    /// `2, 5, 8+`: hours, `+` censored, `x` competing.
    fn watches(text: &str) -> Watches {
        let mut sample = Sample::default();
        for word in text.split(", ") {
            let (hours, ending) = match (word.strip_suffix('+'), word.strip_suffix('x')) {
                (Some(hours), _) => (hours, Ending::Censored),
                (_, Some(hours)) => (hours, Ending::Competing),
                (None, None) => (word, Ending::Event),
            };
            let until = Moment::from_micros(hours.parse::<i64>().unwrap() * HOUR);
            sample.watch(0, Moment::from_micros(0), until, ending);
        }
        sample.sorted()
    }

    /// Data, S at event times in hours, median and the ends of its interval.
    type Vector = (
        &'static str,
        &'static [(i64, f64)],
        Option<i64>,
        Option<i64>,
        Option<i64>,
    );

    #[test]
    fn the_test_vectors_come_out_as_an_independent_library_has_them() {
        #[rustfmt::skip]
        let table: [Vector; 5] = [
            ("2, 5, 5, 8+, 12, 20, 24+, 30, 48+, 72+",
             &[(2, 0.9), (5, 0.7), (12, 0.583_333), (20, 0.466_667), (30, 0.311_111)], Some(20), Some(2), None),
            ("1, 3+, 4+, 6+, 9", &[(1, 0.8), (9, 0.0)], Some(9), Some(1), Some(9)),
            ("4, 10, 10+, 16, 22", &[(4, 0.8), (10, 0.6), (16, 0.3), (22, 0.0)], Some(16), Some(4), Some(22)),
            ("1, 2, 3, 4", &[(1, 0.75), (2, 0.5), (3, 0.25), (4, 0.0)], Some(2), Some(1), Some(4)),
            ("7+, 7+, 9+", &[], None, None, None),
        ];
        for (data, expected, median, lower, upper) in table {
            let watches = watches(data);
            let steps: Vec<Step> = watches.steps(None).collect();
            assert_eq!(steps.len(), expected.len(), "{data}");
            for (step, (hours, survival)) in steps.iter().zip(expected) {
                assert_eq!(step.at, hours * HOUR, "{data}");
                assert!((step.survival - survival).abs() < 5e-7, "{data}: {step:?}");
            }
            let estimate = watches.estimate(None, &[]);
            let hours = |at: Option<i64>| at.map(|at| at / HOUR);
            assert_eq!(hours(estimate.median), median, "{data}");
            assert_eq!(hours(estimate.median_lower), lower, "{data}");
            assert_eq!(hours(estimate.median_upper), upper, "{data}");
        }
    }

    #[test]
    fn competing_outcomes_come_out_as_the_test_vector_has_them() {
        let watches = watches("2, 5, 5x, 8+, 12, 20x, 24+, 30, 48+, 72+");
        let at = |hours: i64| {
            watches
                .steps(None)
                .find(|step| step.at == hours * HOUR)
                .unwrap()
        };
        for (hours, reset, disabled) in [
            (2, 0.1, 0.0),
            (5, 0.2, 0.1),
            (12, 0.316_667, 0.1),
            (20, 0.316_667, 0.216_667),
            (30, 0.472_222, 0.216_667),
        ] {
            let step = at(hours);
            assert!((step.incidence - reset).abs() < 5e-7, "{hours}: {step:?}");
            assert!(
                (step.competing_incidence - disabled).abs() < 5e-7,
                "{hours}: {step:?}"
            );
        }
        assert!((at(30).free - 0.311_111).abs() < 5e-7);
        assert!((at(30).free + at(30).incidence + at(30).competing_incidence - 1.0).abs() < 1e-12);
        // Kaplan and Meier's 1 − S overstates the chance of a reset: that is why both are printed.
        assert!(1.0 - at(30).survival > at(30).incidence);
    }

    #[test]
    fn ties_at_one_instant_put_the_event_before_the_censoring() {
        let tied = watches("10, 10+, 22");
        let step = tied.steps(None).next().unwrap();
        assert_eq!((step.at_risk, step.events), (3, 1));
    }

    #[test]
    fn a_watch_that_ends_before_it_begins_is_counted_and_left_out_and_one_of_no_length_is_kept() {
        let mut sample = Sample::default();
        let (early, late) = (Moment::from_micros(5), Moment::from_micros(9));
        sample.watch(1, late, early, Ending::Event);
        sample.watch(
            1,
            Moment::from_micros(i64::MIN),
            Moment::from_micros(i64::MAX),
            Ending::Event,
        );
        sample.watch(1, late, late, Ending::Event);
        sample.watch(2, early, late, Ending::Event);
        let watches = sample.sorted();
        let (one, all) = (watches.estimate(Some(1), &[]), watches.estimate(None, &[]));
        assert_eq!(
            (one.cases, one.events, one.rejected, one.median),
            (1, 1, 2, Some(0))
        );
        assert_eq!((all.cases, all.events, all.rejected), (2, 2, 2));
    }

    #[test]
    fn the_marks_tell_who_is_still_watched_and_what_has_happened_by_then() {
        let estimate = watches("2, 5, 5, 8+, 12, 20, 24+, 30, 48+, 72+")
            .estimate(None, &[HOUR, 5 * HOUR, 24 * HOUR, 100 * HOUR]);
        let told: Vec<(u64, i64)> = estimate
            .marks
            .iter()
            .map(|mark| (mark.at_risk, (mark.survival * 1e6).round() as i64))
            .collect();
        assert_eq!(
            told,
            [(10, 1_000_000), (9, 700_000), (4, 466_667), (0, 311_111)]
        );
        assert_eq!(estimate.longest, 72 * HOUR);
        assert!(estimate.interval_is_sound());
        assert!(
            !watches("1, 2, 3, 4")
                .estimate(None, &[])
                .interval_is_sound()
        );
    }

    #[test]
    fn no_watch_at_all_gives_no_figure() {
        let estimate = Watches::default().estimate(None, &[HOUR]);
        assert_eq!(
            (estimate.cases, estimate.median, estimate.longest),
            (0, None, 0)
        );
        assert_eq!(estimate.marks[0].at_risk, 0);
    }

    #[test]
    fn a_watch_takes_sixteen_bytes() {
        assert_eq!(size_of::<Span>(), 16);
    }

    fn ending() -> impl Strategy<Value = Ending> {
        prop_oneof![
            Just(Ending::Event),
            Just(Ending::Competing),
            Just(Ending::Censored)
        ]
    }

    fn sample(data: &[(i64, Ending)]) -> Sample {
        let mut sample = Sample::default();
        for &(micros, ending) in data {
            sample.watch(
                0,
                Moment::from_micros(0),
                Moment::from_micros(micros),
                ending,
            );
        }
        sample
    }

    proptest! {
        #[test]
        fn s_only_falls_between_one_and_nought_and_the_outcomes_sum_to_one(
            data in proptest::collection::vec((0i64..60, ending()), 0..120)
        ) {
            let (mut before, mut seen) = (1.0f64, 0.0f64);
            for step in sample(&data).sorted().steps(None) {
                prop_assert!(step.survival <= before + 1e-12 && step.survival >= 0.0);
                prop_assert!(step.lower <= step.survival + 1e-12 && step.survival <= step.upper + 1e-12);
                prop_assert!(step.lower >= 0.0 && step.upper <= 1.0);
                prop_assert!(step.incidence + step.competing_incidence >= seen - 1e-12);
                prop_assert!((step.free + step.incidence + step.competing_incidence - 1.0).abs() < 1e-9);
                before = step.survival;
                seen = step.incidence + step.competing_incidence;
            }
        }

        #[test]
        fn the_product_of_the_steps_is_what_the_definition_says(
            data in proptest::collection::vec((0i64..30, ending()), 1..80)
        ) {
            let mut product = 1.0;
            for step in sample(&data).sorted().steps(None) {
                let at_risk = data.iter().filter(|(micros, _)| *micros >= step.at).count() as f64;
                let events = data
                    .iter()
                    .filter(|(micros, ending)| *micros == step.at && *ending == Ending::Event)
                    .count() as f64;
                product *= 1.0 - events / at_risk;
                prop_assert!((step.survival - product).abs() < 1e-9);
            }
        }

        #[test]
        fn another_open_case_at_the_end_never_makes_the_figure_better(
            data in proptest::collection::vec((0i64..60, ending()), 1..80)
        ) {
            let mut longer = data.clone();
            longer.push((60, Ending::Censored));
            let (one, two) = (sample(&data).sorted(), sample(&longer).sorted());
            for (one, two) in one.steps(None).zip(two.steps(None)) {
                prop_assert!(one.at == two.at && two.survival >= one.survival - 1e-12);
            }
            match (one.estimate(None, &[]).median, two.estimate(None, &[]).median) {
                (Some(one), Some(two)) => prop_assert!(two >= one),
                (None, Some(_)) => prop_assert!(false, "a median appeared"),
                (_, None) => {}
            }
        }

        #[test]
        fn when_nothing_is_censored_the_median_is_the_plain_one(
            data in proptest::collection::vec(0i64..1000, 1..200)
        ) {
            let mut plain = data.clone();
            plain.sort_unstable();
            let events: Vec<_> = data.iter().map(|&at| (at, Ending::Event)).collect();
            let median = sample(&events).sorted().estimate(None, &[]).median;
            prop_assert_eq!(median, Some(plain[plain.len().div_ceil(2) - 1]));
        }

        #[test]
        fn the_order_in_which_cases_come_changes_nothing(
            data in proptest::collection::vec((0i64..60, ending()), 0..60)
        ) {
            let backwards: Vec<_> = data.iter().rev().copied().collect();
            prop_assert_eq!(
                sample(&data).sorted().estimate(None, &[7, 30]),
                sample(&backwards).sorted().estimate(None, &[7, 30])
            );
        }
    }
}
