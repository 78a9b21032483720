//! `bell case …`: its flags.

use std::path::PathBuf;

use clap::Subcommand;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::domain::evidence::Grade;
use crate::domain::reply::{Heard, OutOfReach, Reply};
use crate::domain::{CaseId, Moment};

/// `bell case …`
#[derive(Debug, Subcommand)]
pub enum Case {
    /// The cases
    List {
        /// Closed ones too.
        #[arg(long)]
        all: bool,
    },
    /// One case: its findings' weight, its history, its letters and what the relay said
    Show {
        /// Its number.
        id: CaseId,
    },
    /// Write down that sign-in is blocked and sessions are revoked
    Contain {
        /// Its number.
        id: CaseId,
        /// How, and on what proof.
        #[arg(
            long,
            required_unless_present = "override_it",
            conflicts_with = "override_it"
        )]
        note: Option<String>,
        /// When; now if left out.
        #[arg(long, value_name = "TIME", conflicts_with = "override_it")]
        at: Option<Moment>,
        /// It is not, and as incident lead you have its person told all the same.
        #[arg(long = "override", id = "override_it", requires = "reason")]
        override_it: bool,
        /// Why they are told before that.
        #[arg(long, requires = "override_it")]
        reason: Option<String>,
    },
    /// Write down that a human being told the person: by phone, in person, by letter
    Told {
        /// Its number.
        #[arg(
            required_unless_present = "csv",
            conflicts_with = "csv",
            requires = "how"
        )]
        id: Option<CaseId>,
        /// How.
        #[arg(long, conflicts_with = "csv")]
        how: Option<String>,
        /// When; now if left out.
        #[arg(long, value_name = "TIME", conflicts_with = "csv")]
        at: Option<Moment>,
        /// Take in a round's tick sheet, filled in: reference, told (yes or no), date, by. Or a help desk's list of
        /// calls: case, told, and date, said (done, not_me, need_help) and grade (C, D, E) if it has them.
        #[arg(long, value_name = "FILE")]
        csv: Option<PathBuf>,
    },
    /// Exempt it for a while. You approve what a colleague asks for
    Exempt {
        /// Its number.
        id: CaseId,
        /// Until when, at most 90 days.
        #[arg(long, value_name = "TIME")]
        until: Moment,
        /// Why.
        #[arg(long)]
        reason: String,
        /// The operator who asks; not you.
        #[arg(long, value_name = "NAME")]
        requested_by: String,
    },
    /// Take it back: a false positive, a duplicate
    Withdraw {
        /// Its number.
        id: CaseId,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Whom nobody has reached yet, and who sees to it: first those that nobody has taken
    Unreached,
    /// Make an operator see to it that its person is reached
    Assign {
        /// Its number.
        id: CaseId,
        /// The operator, as the config names them.
        #[arg(long, value_name = "NAME")]
        to: String,
    },
    /// Put it among those whose person is not reached
    Missed {
        /// Its number.
        id: CaseId,
        /// Why.
        #[arg(long, value_parser = word_of(&OutOfReach::ALL.map(OutOfReach::word), OutOfReach::from_word))]
        why: OutOfReach,
    },
    /// Write down what its person says. It closes nothing: only the directory does
    Reply {
        /// Its number.
        id: CaseId,
        /// What they say.
        #[arg(long, value_parser = word_of(&Reply::ALL.map(Reply::word), Reply::from_word))]
        said: Reply,
        /// How you heard it.
        #[arg(long, default_value = "phone", value_parser = word_of(&Heard::ALL.map(Heard::word), Heard::from_word))]
        by: Heard,
        /// When they said it; now if left out.
        #[arg(long, value_name = "TIME")]
        at: Option<Moment>,
        /// What it is worth as evidence: C a record that people keep, D the person's word, E less.
        #[arg(long, default_value = "D", ignore_case = true, value_parser = word_of(&["C", "D", "E"], |word| Grade::from_word(&word.to_uppercase())))]
        grade: Grade,
    },
    /// Let it rest for some days, by your word alone: no letter goes, and it stays due. Not if it is compromised
    Snooze {
        /// Its number.
        id: CaseId,
        /// Until when: within seven days, and not past its deadline.
        #[arg(long, value_name = "TIME")]
        until: Moment,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Those that are exempt or snoozed, or were, and are still open
    Resting,
}

/// One of a closed set of words, as `--help` lists them.
fn word_of<T: Clone + Send + Sync + 'static>(
    words: &[&'static str],
    from_word: fn(&str) -> Option<T>,
) -> impl TypedValueParser<Value = T> + use<T> {
    PossibleValuesParser::new(words.iter().map(|word| PossibleValue::new(*word)))
        .try_map(move |word| from_word(&word).ok_or("this is none of the words"))
}
