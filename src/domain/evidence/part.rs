//! Part: what a source tells that knows only some of the facts: a log of acts, or a directory that keeps no dates.

use chrono::TimeDelta;

use super::{Actor, Change, Evidence};
use crate::domain::moment::Moment;

/// How far apart two systems may write down one and the same change. Google shows it in two applications, Windows in two
/// events, and a log's time is not quite the directory's.
const ONE_ACT: TimeDelta = TimeDelta::minutes(1);

/// Some facts about one account. None is "not told", never "no".
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// When they were true: the moment of the act, or of the reading of a state.
    pub at: Moment,
    /// The last change of the password.
    pub changed: Option<Change>,
    /// When the secret itself changed: the record is of that very act.
    pub secret_changed_at: Option<Moment>,
    /// A change is demanded at the next sign-in.
    pub pending: Option<bool>,
    /// One cannot sign in.
    pub disabled: Option<bool>,
    /// Sessions opened before this moment have ended.
    pub sessions_valid_from: Option<Moment>,
    /// Who acted.
    pub actor: Actor,
    /// When the source was read.
    pub observed_at: Moment,
}

impl Part {
    /// A part that tells nothing yet.
    pub fn silent(at: Moment, observed_at: Moment) -> Self {
        Self {
            at,
            changed: None,
            secret_changed_at: None,
            pending: None,
            disabled: None,
            sessions_valid_from: None,
            actor: Actor::Unknown,
            observed_at,
        }
    }

    /// Whether it tells nothing that could move a case.
    pub fn is_silent(&self) -> bool {
        self.changed.is_none()
            && self.pending.is_none()
            && self.disabled.is_none()
            && self.sessions_valid_from.is_none()
    }

    /// Two parts about one account as one, whichever was read first. Records of one act within a minute are one change, and
    /// if either says that it is only temporary, it is.
    pub fn and(self, other: Self) -> Self {
        let (first, last) = if other.at < self.at {
            (other, self)
        } else {
            (self, other)
        };
        let one_act = last.at.since(first.at) <= ONE_ACT;
        let change_is_firsts = match (first.changed, last.changed) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(before), Some(after)) => is_same(before, after),
        };
        let (changed, actor) = match (change_is_firsts, first.changed) {
            (true, Some(_)) if first.actor == Actor::Unknown => (first.changed, last.actor),
            (true, Some(_)) => (first.changed, first.actor),
            _ => (last.changed, last.actor),
        };
        let secret_changed_at = match change_is_firsts {
            true => first.secret_changed_at.or(last.secret_changed_at),
            false => last.secret_changed_at,
        };
        Self {
            at: last.at,
            changed,
            secret_changed_at,
            pending: match one_act {
                true => first.pending.max(last.pending),
                false => last.pending.or(first.pending),
            },
            disabled: last.disabled.or(first.disabled),
            sessions_valid_from: first.sessions_valid_from.max(last.sessions_valid_from),
            actor,
            observed_at: first.observed_at.max(last.observed_at),
        }
    }

    /// All that is known of the account with this: what was known before stays where this tells nothing, or tells of
    /// something older.
    pub fn onto(&self, before: Option<&Evidence>) -> Evidence {
        let mut known = before
            .cloned()
            .unwrap_or_else(|| Evidence::silent(self.observed_at));
        // Whoever looked at the account after the act saw what came of it.
        let is_news = before.is_none_or(|before| before.observed_at <= self.at);
        if is_news {
            known.pending = self.pending.unwrap_or(known.pending);
            known.disabled = self.disabled.unwrap_or(known.disabled);
        }
        known.sessions_valid_from = known.sessions_valid_from.max(self.sessions_valid_from);
        known.observed_at = known.observed_at.max(self.observed_at);
        match (known.changed, self.changed) {
            (_, None) if is_news && self.actor != Actor::Unknown => known.actor = self.actor,
            (_, None) => {}
            (Some(there), Some(told)) if is_same(there, told) => {
                if self.actor != Actor::Unknown {
                    known.actor = self.actor;
                }
                known.secret_changed_at = known.secret_changed_at.or(self.secret_changed_at);
            }
            (Some(there), Some(told)) if told.lo <= there.hi => {}
            (_, Some(told)) => {
                known.changed = Some(told);
                known.secret_changed_at = self.secret_changed_at;
                known.date_is_zero = false;
                // A demand that went with this change holds, whatever was seen before; the holder's own change ends one.
                known.pending = match self.pending {
                    Some(pending) => pending,
                    None => known.pending && self.actor != Actor::Myself,
                };
                known.actor = self.actor;
            }
        }
        known
    }
}

/// Whether two sources tell of the same change.
fn is_same(one: Change, other: Change) -> bool {
    one.lo.minus(ONE_ACT) <= other.hi && other.lo.minus(ONE_ACT) <= one.hi
}

impl Evidence {
    /// An account that exists, and of which nothing else is known.
    pub fn silent(observed_at: Moment) -> Self {
        Self {
            changed: None,
            secret_changed_at: None,
            pending: false,
            date_is_zero: false,
            disabled: false,
            exists: true,
            sessions_valid_from: None,
            actor: Actor::Unknown,
            observed_at,
        }
    }

    /// This, with what was told before about the same change, and what a source of the whole state does not know: who made
    /// it, when the secret itself changed, and which sessions have ended.
    pub fn after(mut self, before: Option<&Self>) -> Self {
        let Some(before) = before else {
            return self;
        };
        self.sessions_valid_from = self.sessions_valid_from.or(before.sessions_valid_from);
        let same = self
            .changed
            .zip(before.changed)
            .is_some_and(|(now, then)| is_same(now, then));
        if same && self.actor == Actor::Unknown {
            self.actor = before.actor;
        }
        if same {
            self.secret_changed_at = self.secret_changed_at.or(before.secret_changed_at);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::finding::Precision;

    fn at(text: &str) -> Moment {
        format!("2026-02-16T{text}Z").parse().unwrap()
    }

    fn part(when: &str) -> Part {
        Part::silent(at(when), at("20:00:00"))
    }

    fn change(when: &str, actor: Actor) -> Part {
        Part {
            changed: Some(Change::at(at(when), Precision::Second)),
            secret_changed_at: Some(at(when)),
            actor,
            ..part(when)
        }
    }

    fn state(changed: &str, seen: &str) -> Evidence {
        Evidence {
            changed: Some(Change::at(at(changed), Precision::Second)),
            ..Evidence::silent(at(seen))
        }
    }

    #[test]
    fn two_records_of_one_act_are_one_change_whichever_comes_first() {
        let reset = change("12:00:00", Actor::Admin);
        let demand = Part {
            pending: Some(true),
            actor: Actor::Admin,
            ..part("12:00:01")
        };
        let one = reset.clone().and(demand.clone());
        assert_eq!(one, demand.and(reset.clone()));
        assert_eq!((one.changed, one.pending), (reset.changed, Some(true)));
        // The holder then chooses their own.
        let own = Part {
            pending: Some(false),
            ..change("12:05:00", Actor::Myself)
        };
        let both = own.clone().and(one);
        assert_eq!((both.changed, both.pending), (own.changed, Some(false)));
        assert_eq!(both.actor, Actor::Myself);
    }

    #[test]
    fn a_log_names_the_actor_of_a_change_that_a_directory_dates() {
        let directory = state("10:00:00", "11:00:00");
        let known = change("10:00:01", Actor::Admin).onto(Some(&directory));
        assert_eq!(known.changed, directory.changed);
        assert_eq!(known.actor, Actor::Admin);
        assert_eq!(known.secret_changed_at, Some(at("10:00:01")));
        // The directory says the same again, and the actor stays known.
        let again = state("10:00:00", "12:00:00").after(Some(&known));
        assert_eq!(
            (again.actor, again.secret_changed_at),
            (Actor::Admin, Some(at("10:00:01")))
        );
        // Another change has another actor, and nobody says that it was the secret.
        let other = state("11:30:00", "12:00:00").after(Some(&known));
        assert_eq!(
            (other.actor, other.secret_changed_at),
            (Actor::Unknown, None)
        );
    }

    #[test]
    fn what_was_seen_after_an_act_is_not_undone_by_a_log_that_comes_late() {
        let seen = Evidence {
            disabled: true,
            ..state("10:00:00", "11:00:00")
        };
        let late = Part {
            disabled: Some(false),
            pending: Some(true),
            ..part("09:00:00")
        };
        let known = late.onto(Some(&seen));
        assert!(known.disabled && !known.pending);
        let news = Part {
            at: at("12:00:00"),
            ..late
        };
        let known = news.onto(Some(&seen));
        assert!(!known.disabled && known.pending);
        assert_eq!(known.changed, seen.changed);
        // Neither does an older change take the place of a newer one.
        let older = change("08:00:00", Actor::Myself).onto(Some(&seen));
        assert_eq!((older.changed, older.actor), (seen.changed, Actor::Unknown));
    }

    #[test]
    fn a_newer_change_takes_the_place_of_a_date_and_of_a_demand() {
        let waiting = Evidence {
            pending: true,
            ..state("10:00:00", "10:30:00")
        };
        let own = change("11:00:00", Actor::Myself).onto(Some(&waiting));
        assert!(!own.pending);
        assert_eq!(own.changed.map(|change| change.lo), Some(at("11:00:00")));
        let by_admin = change("11:00:00", Actor::Admin).onto(Some(&waiting));
        assert!(by_admin.pending);
    }

    #[test]
    fn what_tells_nothing_moves_nothing() {
        assert!(part("10:00:00").is_silent());
        assert_eq!(
            part("10:00:00").onto(None),
            Evidence::silent(at("20:00:00"))
        );
        let directory = state("10:00:00", "19:00:00");
        let known = part("10:00:00").onto(Some(&directory));
        assert_eq!(
            known,
            Evidence {
                observed_at: at("20:00:00"),
                ..directory
            }
        );
    }
}
