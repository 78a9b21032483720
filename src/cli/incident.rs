//! `bell incident …`: its flags.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};

use crate::domain::duty::{Duty, Trigger};
use crate::domain::{IncidentId, Moment, PartnerId};

/// `bell incident …`
#[derive(Debug, Subcommand)]
pub enum Incident {
    /// Open one; its status post goes out with the next `announce`
    Open {
        /// What it is about, without names.
        title: String,
        /// When you will say more.
        #[arg(long, value_name = "TIME")]
        next_update: Option<Moment>,
    },
    /// Move it to another state
    State {
        /// Its number.
        id: IncidentId,
        /// Where it is now.
        state: IncidentState,
        /// When you will say more.
        #[arg(long, value_name = "TIME")]
        next_update: Option<Moment>,
    },
    /// All of them, with their figures
    Show,
    /// Promise to say more by a time. You are reminded before it, and it is an alarm if nothing was said
    #[command(after_long_help = PROMISE_HELP)]
    Promise {
        /// Its number.
        id: IncidentId,
        /// By when: 2026-03-02T17:00:00Z.
        #[arg(long, value_name = "TIME")]
        at: Moment,
    },
    /// Whom you speak to about it (NCSC, NCA, ICO, others), and how they have agreed to be named
    #[command(subcommand)]
    Partner(PartnerCommand),
    /// Since when you are aware of it, or found it to be worse: the regulators' clocks start
    #[command(after_long_help = AWARE_HELP)]
    Aware {
        /// Its number.
        id: IncidentId,
        /// What is true since then.
        #[arg(long, default_value = Trigger::Aware.word(), value_parser = trigger())]
        trigger: Trigger,
        /// Since when. Said again, the earliest counts.
        #[arg(long, value_name = "TIME")]
        at: Moment,
    },
    /// The regulators' clocks, with the hours left. Exit code 1 if one is late
    Clock {
        /// Of this incident only.
        id: Option<IncidentId>,
    },
    /// Write down that a regulator was told, or decide with a deputy that it is not reported
    #[command(after_long_help = DECIDE_HELP)]
    Decide(Decide),
    /// Their messages on each channel: how far each is, and what a channel is waiting for
    Posts,
    /// Say whether a message that asks is there. Look on the channel first: a wrong "no" says it twice
    #[command(group = clap::ArgGroup::new("word").required(true).args(["yes", "no"]))]
    Posted {
        /// Its number, as `incident posts` shows it.
        id: i64,
        /// It is there.
        #[arg(long)]
        yes: bool,
        /// It is not there; it is said with the next `announce`.
        #[arg(long)]
        no: bool,
        /// The channel's own id of it: without, it could never be brought up to date.
        #[arg(long, value_name = "ID", requires = "yes")]
        message: Option<String>,
    },
    /// The whole story: states, promises, statements, partners, clocks
    Log {
        /// Its number.
        id: IncidentId,
    },
}

/// `bell incident decide`
#[derive(Debug, Args)]
pub struct Decide {
    /// The incident's number.
    pub id: IncidentId,
    /// Which clock.
    #[arg(value_parser = duty())]
    pub duty: Duty,
    /// It went in. You did that: bell files nothing.
    #[arg(long, conflicts_with_all = ["not_reported", "deputy"], required_unless_present = "not_reported")]
    pub reported: bool,
    /// When it went in; now if left out.
    #[arg(long, value_name = "TIME", requires = "reported")]
    pub at: Option<Moment>,
    /// The authority's number for it.
    #[arg(long, value_name = "TEXT", requires = "reported")]
    pub reference: Option<String>,
    /// It is not reported: it does not apply, or the risk is too small.
    #[arg(long, requires_all = ["reason", "deputy"])]
    pub not_reported: bool,
    /// Why it is not reported, or why it is late.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// What the authority, or the data protection officer, advised.
    #[arg(long, value_name = "TEXT")]
    pub advice: Option<String>,
    /// The second person who decided it: another operator.
    #[arg(long, value_name = "NAME", requires = "not_reported")]
    pub deputy: Option<String>,
}

/// `bell incident partner …`
#[derive(Debug, Subcommand)]
pub enum PartnerCommand {
    /// Write one down
    Add {
        /// The incident's number.
        incident: IncidentId,
        /// NCSC, NCA, ICO, or another.
        name: String,
        /// Whom you speak to there: a role or a team.
        #[arg(long, value_name = "TEXT")]
        contact: String,
        /// Their number for it.
        #[arg(long, value_name = "TEXT")]
        reference: Option<String>,
        /// How you want to name them: "The National Cyber Security Centre helps us."
        #[arg(long, value_name = "TEXT")]
        wording: Option<String>,
    },
    /// Another reference or wording. Another wording has to be cleared anew
    Edit {
        /// The partner's number.
        id: PartnerId,
        /// Their number for it.
        #[arg(long, value_name = "TEXT")]
        reference: Option<String>,
        /// How you want to name them.
        #[arg(long, value_name = "TEXT")]
        wording: Option<String>,
    },
    /// All of an incident, with what is cleared
    List {
        /// The incident's number.
        incident: IncidentId,
    },
    /// They have agreed to be named in exactly the wording on record
    Clear {
        /// The partner's number.
        id: PartnerId,
        /// Who agreed, over there: a role or a team.
        #[arg(long = "with", value_name = "TEXT")]
        cleared_with: String,
        /// When; now if left out.
        #[arg(long, value_name = "TIME")]
        at: Option<Moment>,
    },
}

/// The five plain states.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum IncidentState {
    /// Something is wrong; the cause is not known.
    Investigating,
    /// The cause is known.
    Identified,
    /// It does not spread any more.
    Contained,
    /// Things work again and are watched.
    Monitoring,
    /// It is over.
    Resolved,
}

/// What `bell incident promise --help` teaches below the flags.
const PROMISE_HELP: &str = "\
A promise is kept by saying something: publish a statement, or move the incident to another state.
Another promise in its place does not keep it. The office is reminded before its time
([communications] promise_reminder), and at its time there is an alarm until something is said.";

/// What `bell incident aware --help` teaches below the flags.
const AWARE_HELP: &str = "\
Whose clocks there are, the config says: [communications] duties. Said again, the earliest time counts.
  bell incident aware 3 --at 2026-03-02T09:00:00Z
  bell incident aware 3 --trigger high_risk --at 2026-03-03T11:00:00Z";

/// What `bell incident decide --help` teaches below the flags.
const DECIDE_HELP: &str = "\
Not to report is decided by two people, with a reason, and the ledger keeps both.
  bell incident decide 3 uk_gdpr --reported --reference IC-123456
  bell incident decide 3 uk_gdpr --not-reported --reason \"no personal data\" --deputy priya";

/// The words of what starts clocks, each with what it is.
fn trigger() -> impl TypedValueParser<Value = Trigger> {
    let words = Trigger::ALL.map(|one| PossibleValue::new(one.word()).help(one.in_words()));
    PossibleValuesParser::new(words)
        .try_map(|word| Trigger::from_word(&word).ok_or("this starts no clock"))
}

/// The words of the clocks, each with what it is.
fn duty() -> impl TypedValueParser<Value = Duty> {
    let words = Duty::ALL.map(|one| PossibleValue::new(one.word()).help(one.in_words()));
    PossibleValuesParser::new(words)
        .try_map(|word| Duty::from_word(&word).ok_or("this is no clock"))
}
