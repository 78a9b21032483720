//! `bell hand-over …`: the last rung.

use clap::{Args, Subcommand, ValueEnum};

/// `bell hand-over`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct HandOver {
    /// Say what would be handed over, and hand nothing over. The directory is written only after this was asked about the same set.
    #[arg(long)]
    pub dry_run: bool,
    /// What else.
    #[command(subcommand)]
    pub command: Option<HandOverCommand>,
}

/// What else there is about hand-overs.
#[derive(Debug, Subcommand)]
pub enum HandOverCommand {
    /// What was asked for, when, and on what proof
    List {
        /// What is done, too.
        #[arg(long)]
        all: bool,
    },
    /// Decide about one that was left to a human being
    Decide {
        /// Its number.
        id: i64,
        /// What is true of it.
        verdict: HandOverVerdict,
        /// How you know; without names.
        #[arg(long)]
        reason: String,
    },
}

/// What is true of a hand-over that was left to a human being.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HandOverVerdict {
    /// It is done.
    Done,
    /// It is not: ask once more.
    Again,
}
