//! `bell statement …`: its flags.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};

use crate::domain::audience::Audience;
use crate::domain::{IncidentId, Moment, StatementId};
use crate::messages::STATEMENT_TEMPLATES;

/// `bell statement …`
#[derive(Debug, Subcommand)]
#[command(after_long_help = HELP)]
pub enum Statement {
    /// Write one, or begin from a template
    Draft(Draft),
    /// Change one that is not out; an approval is void then
    Edit {
        /// Its number.
        id: StatementId,
        /// The whole new text, or - for standard input.
        #[arg(long, value_name = "TEXT", conflicts_with = "file")]
        text: Option<String>,
        /// A file with the whole new text.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// Who reads it.
        #[arg(long, value_name = "WHO", value_parser = audience())]
        audience: Option<Audience>,
        /// Where it goes; once for each place.
        #[arg(long = "where", value_name = "PLACE")]
        channels: Vec<String>,
    },
    /// See it as readers would, with its figures, their sources, and what stands in its way
    Preview {
        /// Its number.
        id: StatementId,
    },
    /// Approve exactly this, as a second person: figures are frozen, and any edit voids it
    Approve {
        /// Its number.
        id: StatementId,
        /// The hash that the preview showed: refused if it is another by now.
        #[arg(long, value_name = "HASH")]
        seen: Option<String>,
    },
    /// Have the author change it first
    SendBack {
        /// Its number.
        id: StatementId,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Answer, as a third person, for what the disclosure guard found in an approved one
    Override {
        /// Its number.
        id: StatementId,
        /// Why it goes out all the same.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Put an approved one out; it is posted with the next `announce`
    Publish {
        /// Its number.
        id: StatementId,
    },
    /// Have an approved one put out at a time, not before
    Schedule {
        /// Its number.
        id: StatementId,
        /// When: 2026-03-02T17:00:00Z.
        #[arg(long, value_name = "TIME")]
        at: Moment,
    },
    /// Take a scheduled one off the clock (it stays approved), or give up one that is not out
    Cancel {
        /// Its number.
        id: StatementId,
    },
    /// Write a new one that puts a published one right
    Correct(About),
    /// Write a new one that takes a published one back
    Withdraw(About),
    /// Its texts, and who did what
    History {
        /// Its number.
        id: StatementId,
    },
    /// All of them, newest first
    List {
        /// Of this incident only.
        #[arg(long, value_name = "NUMBER")]
        incident: Option<IncidentId>,
    },
    /// One of them
    Show {
        /// Its number.
        id: StatementId,
    },
    /// What somebody at the desk should be told now: forgotten drafts, promises, clocks, figures
    Nudges(Nudges),
}

/// `bell statement draft`
#[derive(Debug, Args)]
pub struct Draft {
    /// The incident that it is about.
    #[arg(long, value_name = "NUMBER")]
    pub incident: IncidentId,
    /// Who reads it.
    #[arg(long = "for", value_name = "WHO", value_parser = audience())]
    pub audience: Audience,
    /// Where it goes; once for each place. The usual ones of the config if left out.
    #[arg(long = "where", value_name = "PLACE")]
    pub channels: Vec<String>,
    /// The text, or - for standard input.
    #[arg(long, value_name = "TEXT", required_unless_present_any = ["file", "template"], conflicts_with_all = ["file", "template"])]
    pub text: Option<String>,
    /// A file with the text.
    #[arg(long, value_name = "FILE", conflicts_with = "template")]
    pub file: Option<PathBuf>,
    /// Begin from this template.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(STATEMENT_TEMPLATES))]
    pub template: Option<String>,
    /// Fill a gap of the template: services="remote access". Once for each; what is left can be edited.
    #[arg(long = "set", value_name = "GAP=TEXT", requires = "template", value_parser = gap)]
    pub gaps: Vec<(String, String)>,
}

/// `bell statement correct` and `bell statement withdraw`
#[derive(Debug, Args)]
pub struct About {
    /// The number of the published one.
    pub id: StatementId,
    /// The text of the new one, or - for standard input.
    #[arg(
        long,
        value_name = "TEXT",
        required_unless_present = "file",
        conflicts_with = "file"
    )]
    pub text: Option<String>,
    /// A file with it.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// `bell statement nudges`
#[derive(Debug, Args)]
pub struct Nudges {
    /// Write down that those shown were told.
    #[arg(long)]
    pub done: bool,
}

/// What `bell statement --help` teaches below the commands.
const HELP: &str = "\
The way of a statement:
  bell --as ann statement draft --incident 1 --for press --template holding --set found_when=\"On Tuesday\" …
  bell --as ann statement preview 1       shows text, figures with their sources, and a hash
  bell --as ben statement approve 1       somebody who wrote no part of it, with the role approver
  bell --as ann statement publish 1       or: schedule 1 --at 2026-03-02T17:00:00Z

Figures are written as {{ compromised }}; they come from the ledger, are rounded (\"fewer than 90\"),
and are frozen when it is approved. What is out is never rewritten: correct or withdraw it by a new
one, and the old post says so.

The disclosure guard refuses names, addresses, logins, counts below five, who is said to have done
it, phrases of the hold list, mentions, and links that are not on the list. It says where, not what.";

/// The words of the audiences.
fn audience() -> impl TypedValueParser<Value = Audience> {
    let words = Audience::ALL.map(|one| PossibleValue::new(one.word()));
    PossibleValuesParser::new(words)
        .try_map(|word| Audience::from_word(&word).ok_or("this is no audience"))
}

fn gap(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(gap, value)| (gap.trim().to_owned(), value.trim().to_owned()))
        .ok_or_else(|| "write GAP=TEXT, such as services=\"remote access\"".to_owned())
}
