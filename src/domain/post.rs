//! Post: one message of ours on one channel, said once: how far it is, and what a pass over it does next.
//!
//! A public text that stands there twice, or that nobody can take back, does harm. So what may be there is looked for, what
//! cannot be found and cannot safely be repeated stops, and a person decides.

use std::fmt;

use chrono::TimeDelta;
use serde::{Serialize, Serializer};

use super::moment::Moment;

/// Calls that fail for something that somebody has to put right are made no more often than this: Discord shuts out an
/// address after ten thousand of them in ten minutes.
const REST_AFTER_REFUSAL: TimeDelta = TimeDelta::minutes(10);

/// How long a channel that is busy is left alone if it does not say how long.
const REST_WHEN_BUSY: TimeDelta = TimeDelta::minutes(1);

/// Longest rest that a channel may ask for.
const LONGEST_REST: TimeDelta = TimeDelta::hours(1);

/// A call takes less than this. What was written down before is not under way any more.
const UNDER_WAY: TimeDelta = TimeDelta::minutes(1);

/// Which of an incident's messages on a channel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum What {
    /// The status post, edited in place.
    Status,
    /// A line of its timeline: the ledger's entry that it tells of.
    Line(i64),
    /// A line that says that a promise was kept: the ledger's entry that made it.
    Kept(i64),
    /// A published statement, by its number.
    Statement(i64),
}

impl What {
    /// The word that the database uses, such as `line:17`.
    pub fn word(self) -> String {
        match self {
            Self::Status => "status".to_owned(),
            Self::Line(entry) => format!("line:{entry}"),
            Self::Kept(entry) => format!("kept:{entry}"),
            Self::Statement(id) => format!("statement:{id}"),
        }
    }

    /// What a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        let Some((kind, number)) = word.split_once(':') else {
            return (word == "status").then_some(Self::Status);
        };
        let number = number.parse().ok()?;
        match kind {
            "line" => Some(Self::Line(number)),
            "kept" => Some(Self::Kept(number)),
            "statement" => Some(Self::Statement(number)),
            _ => None,
        }
    }

    /// By which the message is found again: the incident's own reference, or one below it.
    pub fn reference(self, incident: &str) -> String {
        match self {
            Self::Status => incident.to_owned(),
            Self::Line(entry) => format!("{incident}/{entry}"),
            Self::Kept(entry) => format!("{incident}/{entry}k"),
            Self::Statement(id) => format!("{incident}/S{id}"),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status => f.write_str("the status post"),
            Self::Line(_) | Self::Kept(_) => f.write_str("a line of the timeline"),
            Self::Statement(id) => write!(f, "statement {id}"),
        }
    }
}

impl Serialize for What {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&self.word())
    }
}

/// How far a post is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PostState {
    /// Written down before the call. Found so later, the process died during it.
    Intended,
    /// It is there, and says what it should.
    Posted,
    /// A call broke off: it may be there. It is looked for before anything is said again.
    InDoubt,
    /// It may be there and was not found, and saying it again could say it twice: a person decides.
    Asked,
    /// The channel would not take it now, and nothing has arrived: it goes again by itself.
    Waiting,
    /// The channel will not take it until somebody puts something right.
    Refused,
    /// Somebody deleted it on the channel: it is posted anew.
    Gone,
}

impl PostState {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Intended,
        Self::Posted,
        Self::InDoubt,
        Self::Asked,
        Self::Waiting,
        Self::Refused,
        Self::Gone,
    ];

    /// The word that the database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Posted => "posted",
            Self::InDoubt => "in_doubt",
            Self::Asked => "asked",
            Self::Waiting => "waiting",
            Self::Refused => "refused",
            Self::Gone => "gone",
        }
    }

    /// The state that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// In words for an operator.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Intended => "being said",
            Self::Posted => "there",
            Self::InDoubt => "in doubt, looked for next",
            Self::Asked => "in doubt, waits for your word",
            Self::Waiting => "waits for the channel",
            Self::Refused => "refused by the channel",
            Self::Gone => "deleted by somebody, posted anew next",
        }
    }

    /// Whether a call may have left it there without our knowing.
    pub const fn is_doubtful(self) -> bool {
        match self {
            Self::Intended | Self::InDoubt | Self::Asked => true,
            Self::Posted | Self::Waiting | Self::Refused | Self::Gone => false,
        }
    }
}

/// What somebody has to put right before a channel takes anything.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// The token or the secret is not valid, or not any more.
    Token,
    /// We may not write there.
    Permission,
    /// We may not see the channel, or are not in it.
    Access,
    /// There is no such channel.
    Channel,
    /// This one message is not taken.
    Message,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Token,
        Self::Permission,
        Self::Access,
        Self::Channel,
        Self::Message,
    ];

    /// The word that the database and documents use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Permission => "permission",
            Self::Access => "access",
            Self::Channel => "channel",
            Self::Message => "message",
        }
    }

    /// The trouble that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }

    /// What an operator does about it.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Token => {
                "its token or secret is not valid any more: put a fresh one where the config says, and restart"
            }
            Self::Permission => {
                "we lack a permission there: allow the bot to view the channel, send messages, embed links, attach files and use threads"
            }
            Self::Access => "we cannot see it: add the bot to it, or correct its id in the config",
            Self::Channel => {
                "there is no such channel any more: name another one in the config, and restart"
            }
            Self::Message => "it does not take this message: read the log for its reason",
        }
    }

    /// Whether nothing at all gets through until it is put right.
    pub const fn is_of_channel(self) -> bool {
        match self {
            Self::Token | Self::Permission | Self::Access | Self::Channel => true,
            Self::Message => false,
        }
    }
}

/// How long a channel knows a repeated post by its key, and does not say it twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Repeats {
    /// Not at all.
    Never,
    /// For so long after the first try.
    For(TimeDelta),
    /// For ever.
    Always,
}

/// What a channel can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Can {
    /// Change a message that is there. Without, a change is said as a message of its own.
    pub edit: bool,
    /// Lines below a message, such as a thread.
    pub thread: bool,
    /// Show a picture.
    pub picture: bool,
    /// Say what is there.
    pub look: bool,
    /// Know a repeated post.
    pub repeats: Repeats,
}

/// A post as a pass finds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    /// How far it is.
    pub state: PostState,
    /// Whether the channel's own id of it is known.
    pub has_id: bool,
    /// When the last call was written down.
    pub intended_at: Moment,
    /// When the first call under its present key was.
    pub tried_at: Moment,
    /// Until when it rests.
    pub due_at: Option<Moment>,
}

/// What a pass does with a post.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Say it.
    Post,
    /// Change what is there.
    Edit,
    /// Look for it: it may be there.
    Look,
    /// Stop and ask.
    Ask,
    /// Leave it alone for now.
    Rest,
}

/// What a pass does with a post that has something to say; none was ever meant if it was not found.
pub fn next(found: Option<&Found>, can: Can, now: Moment) -> Next {
    let Some(found) = found else {
        return Next::Post;
    };
    // A moment far ahead is from before the clock was set back.
    let rests = |until: Moment| now < until && until.since(now) <= LONGEST_REST;
    if found.due_at.is_some_and(rests) {
        return Next::Rest;
    }
    if found.has_id && found.state != PostState::Gone {
        return if can.edit { Next::Edit } else { Next::Post };
    }
    match found.state {
        PostState::Posted | PostState::Waiting | PostState::Refused | PostState::Gone => Next::Post,
        PostState::Asked => Next::Rest,
        PostState::Intended | PostState::InDoubt => {
            let is_under_way = found.state == PostState::Intended
                && (TimeDelta::zero()..UNDER_WAY).contains(&now.since(found.intended_at));
            match (can.repeats, can.look) {
                (Repeats::Always, _) => Next::Post,
                (Repeats::For(span), _) if now.since(found.tried_at) < span => Next::Post,
                _ if is_under_way => Next::Rest,
                (Repeats::For(_) | Repeats::Never, true) => Next::Look,
                (Repeats::For(_) | Repeats::Never, false) => Next::Ask,
            }
        }
    }
}

/// What came of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It is there.
    Said,
    /// Not now; perhaps the channel said how long to wait. Nothing has arrived.
    Later(Option<TimeDelta>),
    /// It may have arrived.
    Unsure,
    /// What was to be changed is not there.
    Gone,
    /// Not before somebody puts something right.
    Never(Trouble),
}

/// How far a post is after a call, and until when it rests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct After {
    /// How far.
    pub state: PostState,
    /// What somebody has to put right.
    pub trouble: Option<Trouble>,
    /// Until when it rests.
    pub due_at: Option<Moment>,
}

/// What a call leaves behind. `was` is how far the post was before it; `has_id` whether it is there for certain, so that
/// the call could only change it.
pub fn after(was: PostState, has_id: bool, outcome: Outcome, now: Moment) -> After {
    // An earlier try may still have left it there, whatever became of this one.
    let not_there = |state: PostState| match was.is_doubtful() && !has_id {
        true => PostState::InDoubt,
        false => state,
    };
    let (state, trouble, rest) = match outcome {
        Outcome::Said => (PostState::Posted, None, None),
        Outcome::Gone => (PostState::Gone, None, None),
        Outcome::Unsure => (PostState::InDoubt, None, None),
        Outcome::Later(wait) => {
            let wait = wait.unwrap_or(REST_WHEN_BUSY);
            let wait = wait.clamp(TimeDelta::seconds(1), LONGEST_REST);
            (not_there(PostState::Waiting), None, Some(wait))
        }
        Outcome::Never(trouble) => (
            not_there(PostState::Refused),
            Some(trouble),
            Some(REST_AFTER_REFUSAL),
        ),
    };
    After {
        state,
        trouble,
        due_at: rest.map(|rest| now.plus(rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISCORD: Can = Can {
        edit: true,
        thread: true,
        picture: true,
        look: true,
        repeats: Repeats::For(TimeDelta::minutes(2)),
    };
    const TEAMS: Can = Can {
        edit: false,
        thread: false,
        picture: false,
        look: false,
        repeats: Repeats::Never,
    };
    const SLACK: Can = Can {
        repeats: Repeats::Never,
        ..DISCORD
    };
    const WEBHOOK: Can = Can {
        repeats: Repeats::Always,
        ..TEAMS
    };

    fn at(minutes: i64) -> Moment {
        Moment::from_micros(minutes * 60_000_000)
    }

    fn found(state: PostState) -> Found {
        Found {
            state,
            has_id: false,
            intended_at: at(0),
            tried_at: at(0),
            due_at: None,
        }
    }

    #[test]
    fn what_may_be_there_is_said_again_only_where_that_is_known_to_be_safe() {
        for state in [PostState::Intended, PostState::InDoubt] {
            let found = found(state);
            assert_eq!(next(Some(&found), DISCORD, at(1)), Next::Post);
            assert_eq!(next(Some(&found), DISCORD, at(3)), Next::Look);
            assert_eq!(next(Some(&found), SLACK, at(3)), Next::Look);
            assert_eq!(next(Some(&found), TEAMS, at(3)), Next::Ask);
            assert_eq!(next(Some(&found), WEBHOOK, at(3)), Next::Post);
        }
        // Somebody else may be at it.
        let begun = found(PostState::Intended);
        assert_eq!(next(Some(&begun), SLACK, at(0)), Next::Rest);
        assert_eq!(
            next(Some(&found(PostState::InDoubt)), SLACK, at(0)),
            Next::Look
        );
        // Nobody goes on before a person has spoken.
        for can in [DISCORD, SLACK, TEAMS, WEBHOOK] {
            assert_eq!(
                next(Some(&found(PostState::Asked)), can, at(900)),
                Next::Rest
            );
        }
    }

    #[test]
    fn what_is_not_there_is_said_and_what_is_there_is_changed() {
        assert_eq!(next(None, TEAMS, at(0)), Next::Post);
        for state in [PostState::Waiting, PostState::Refused, PostState::Gone] {
            assert_eq!(next(Some(&found(state)), TEAMS, at(1)), Next::Post);
        }
        for state in PostState::ALL {
            let known = Found {
                has_id: true,
                ..found(state)
            };
            let wanted = if state == PostState::Gone {
                Next::Post
            } else {
                Next::Edit
            };
            assert_eq!(next(Some(&known), DISCORD, at(1)), wanted, "{state:?}");
        }
    }

    #[test]
    fn a_channel_that_is_busy_or_refuses_is_left_alone_for_a_while() {
        let busy = after(
            PostState::Intended,
            true,
            Outcome::Later(Some(TimeDelta::seconds(90))),
            at(0),
        );
        let waiting = Found {
            due_at: busy.due_at,
            ..found(busy.state)
        };
        assert_eq!(next(Some(&waiting), DISCORD, at(1)), Next::Rest);
        assert_eq!(next(Some(&waiting), DISCORD, at(2)), Next::Post);
        let silent = after(PostState::Waiting, false, Outcome::Later(None), at(0));
        assert_eq!(silent.due_at, Some(at(1)));
        // Nobody makes us wait for days, nor does a clock that was set back.
        let long = Outcome::Later(Some(TimeDelta::days(400)));
        let long = after(PostState::Waiting, false, long, at(0));
        assert_eq!(long.due_at, Some(at(60)));
        let refused = after(
            PostState::Waiting,
            false,
            Outcome::Never(Trouble::Token),
            at(0),
        );
        assert_eq!(
            (refused.state, refused.trouble, refused.due_at),
            (PostState::Refused, Some(Trouble::Token), Some(at(10)))
        );
        let set_back = Found {
            due_at: Some(at(9_000)),
            ..found(PostState::Waiting)
        };
        assert_eq!(next(Some(&set_back), DISCORD, at(0)), Next::Post);
    }

    #[test]
    fn a_doubt_stays_one_until_it_is_settled() {
        for was in [PostState::Intended, PostState::InDoubt, PostState::Asked] {
            for outcome in [
                Outcome::Unsure,
                Outcome::Later(None),
                Outcome::Never(Trouble::Token),
            ] {
                let after = after(was, false, outcome, at(0));
                assert_eq!(after.state, PostState::InDoubt, "{was:?} {outcome:?}");
            }
            assert_eq!(
                after(was, false, Outcome::Said, at(0)).state,
                PostState::Posted
            );
        }
        let fresh = after(PostState::Gone, false, Outcome::Later(None), at(0));
        assert_eq!(fresh.state, PostState::Waiting);
        let edit = after(PostState::InDoubt, true, Outcome::Later(None), at(0));
        assert_eq!(edit.state, PostState::Waiting);
    }

    #[test]
    fn every_word_names_what_it_is_the_word_of() {
        for state in PostState::ALL {
            assert_eq!(PostState::from_word(state.word()), Some(state));
        }
        for trouble in Trouble::ALL {
            assert_eq!(Trouble::from_word(trouble.word()), Some(trouble));
        }
        for what in [
            What::Status,
            What::Line(7),
            What::Kept(7),
            What::Statement(7),
        ] {
            assert_eq!(What::from_word(&what.word()), Some(what));
        }
        for bad in ["", "line", "line:", "line:x", "other:1", "status:1"] {
            assert_eq!(What::from_word(bad), None, "{bad}");
        }
    }
}
