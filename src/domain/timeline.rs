//! Timeline: what readers of an incident were told, a line for each change: from the ledger alone, so that it can be made anew.

use super::incident::IncidentState;
use super::moment::Moment;
use super::post::What;

/// One entry of the ledger about an incident.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// Its place in the ledger.
    pub entry: i64,
    /// When.
    pub at: Moment,
    /// What was done: `incident.opened`, `post.edited`.
    pub act: String,
    /// By when more was promised, if it was.
    pub next_update_at: Option<Moment>,
    /// The statement that it speaks of, if it does.
    pub statement: Option<i64>,
}

/// What a line says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Says {
    /// It began.
    Opened,
    /// It is in this state now.
    State(IncidentState),
    /// A statement was published.
    Spoken(i64),
    /// More was promised, and nothing else changed.
    Promised,
    /// Readers heard more by the time that they were promised.
    Kept {
        /// The time that was promised.
        by: Moment,
    },
}

/// A line of the timeline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line {
    /// Which message it is.
    pub what: What,
    /// Since when it is true.
    pub at: Moment,
    /// What it says.
    pub says: Says,
    /// By when readers hear more, if that was said together with it.
    pub next_update_at: Option<Moment>,
}

/// The lines that `told` makes, oldest first. `told` is in the order of the ledger.
pub fn lines(told: &[Told]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut waiting: Option<&Told> = None;
    let mut is_out = false;
    for one in told {
        let says = says(one);
        let is_update = match one.act.as_str() {
            // The first post publishes what was promised; what follows keeps it.
            "post.posted" => std::mem::replace(&mut is_out, true),
            "post.edited" | "post.statement" => true,
            _ => says.is_some_and(|says| matches!(says, Says::State(_) | Says::Spoken(_))),
        };
        let kept = waiting.and_then(|promise| {
            let by = promise.next_update_at?;
            (is_update && promise.at < one.at && one.at <= by).then_some((promise.entry, by))
        });
        if let Some((entry, by)) = kept {
            waiting = None;
            lines.push(Line {
                what: What::Kept(entry),
                at: one.at,
                says: Says::Kept { by },
                next_update_at: None,
            });
        }
        if let Some(says) = says {
            lines.push(Line {
                what: What::Line(one.entry),
                at: one.at,
                says,
                next_update_at: one.next_update_at,
            });
            if one.next_update_at.is_some() {
                waiting = Some(one);
            }
        }
    }
    lines
}

/// What an entry says to readers; none if it says nothing.
fn says(told: &Told) -> Option<Says> {
    let word = told.act.strip_prefix("incident.")?;
    if word == "opened" {
        return Some(Says::Opened);
    }
    match (IncidentState::from_word(word), told.statement) {
        (Some(state), _) => Some(Says::State(state)),
        (None, Some(id)) => Some(Says::Spoken(id)),
        (None, None) => told.next_update_at.map(|_| Says::Promised),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Moment {
        Moment::from_micros(hour * 3_600_000_000)
    }

    fn told(entry: i64, hour: i64, act: &str, promised: Option<i64>) -> Told {
        Told {
            entry,
            at: at(hour),
            act: act.to_owned(),
            next_update_at: promised.map(at),
            statement: act
                .strip_prefix("incident.spoken:")
                .map(|id| id.parse().unwrap()),
        }
    }

    fn in_short(told: &[Told]) -> Vec<(What, Says)> {
        lines(told)
            .iter()
            .map(|line| (line.what, line.says))
            .collect()
    }

    #[test]
    fn every_change_of_state_and_every_promise_kept_is_one_line() {
        let told = [
            told(1, 1, "incident.opened", Some(5)),
            told(2, 1, "post.posted", None),
            told(3, 3, "incident.contained", Some(8)),
            told(4, 3, "post.edited", None),
            told(5, 9, "incident.resolved", None),
        ];
        assert_eq!(
            in_short(&told),
            [
                (What::Line(1), Says::Opened),
                (What::Kept(1), Says::Kept { by: at(5) }),
                (What::Line(3), Says::State(IncidentState::Contained)),
                // The second promise was broken, and no line claims anything else.
                (What::Line(5), Says::State(IncidentState::Resolved)),
            ]
        );
    }

    #[test]
    fn what_is_said_together_with_a_promise_does_not_keep_it_and_one_promise_is_kept_once() {
        let told = [
            told(1, 1, "incident.opened", Some(5)),
            told(2, 1, "post.posted", None),
            told(3, 2, "post.in_doubt", None),
            told(4, 3, "post.edited", None),
            told(5, 4, "post.statement", None),
            told(6, 6, "incident.promised", Some(9)),
            told(7, 7, "incident.partner", None),
            told(8, 8, "incident.spoken:4", None),
        ];
        assert_eq!(
            in_short(&told),
            [
                (What::Line(1), Says::Opened),
                (What::Kept(1), Says::Kept { by: at(5) }),
                (What::Line(6), Says::Promised),
                (What::Kept(6), Says::Kept { by: at(9) }),
                (What::Line(8), Says::Spoken(4)),
            ]
        );
    }
}
