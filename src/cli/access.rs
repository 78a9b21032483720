//! `bell access …`: its flags.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};

use crate::domain::Moment;
use crate::domain::access::Channel;

/// `bell access …`
#[derive(Debug, Subcommand)]
pub enum Access {
    /// A service is cut, or will be: print what staff are told, for each channel. It goes into the ledger
    Restricted {
        /// What is cut, and where it is told.
        #[command(flatten)]
        about: About,
        /// What people use in its place, in whole sentences.
        #[arg(long, value_name = "TEXT")]
        instead: String,
        /// When you will say more, also if nothing has changed.
        #[arg(long, value_name = "TIME")]
        next_update: Moment,
        /// There are no other channels, and you have it go on these. You answer for it.
        #[arg(long = "override", id = "override_it", requires = "reason")]
        override_it: bool,
        /// Why it goes on too few.
        #[arg(long, requires = "override_it")]
        reason: Option<String>,
    },
    /// A service is back, or will be: print what staff are told, for each channel. It goes into the ledger
    Restored {
        /// What is back, and where it is told.
        #[command(flatten)]
        about: About,
        /// What people do when they first sign in, in whole sentences.
        #[arg(long, value_name = "TEXT")]
        first_steps: String,
    },
}

/// What both notices say.
#[derive(Debug, Args)]
pub struct About {
    /// What it is about, as it reads after "you cannot use": "remote access".
    #[arg(long, value_name = "TEXT")]
    pub services: String,
    /// Since when, or from when on.
    #[arg(long, value_name = "TIME")]
    pub from: Moment,
    /// Where it is told; once for each channel. At least two, and one that works without the service.
    #[arg(long = "where", required = true, value_name = "CHANNEL", value_parser = channel())]
    pub channels: Vec<Channel>,
    /// A channel that people lose with the service; once for each.
    #[arg(long = "cuts", value_name = "CHANNEL", value_parser = channel())]
    pub cut: Vec<Channel>,
    /// Write the full letter for mail to FILE, as a mail system takes it: it adds the recipients.
    #[arg(long, value_name = "FILE", requires_all = ["who", "reference"])]
    pub letter: Option<PathBuf>,
    /// Whom it affects, as it reads after "this affects" or "this is for": "all staff who work from home".
    #[arg(long, value_name = "TEXT", requires = "letter")]
    pub who: Option<String>,
    /// A sentence that says why, without attackers: "Someone is trying to get in to our accounts."
    #[arg(long, value_name = "TEXT", requires = "letter")]
    pub why: Option<String>,
    /// A sentence about work inside the buildings.
    #[arg(long, value_name = "TEXT", requires = "letter")]
    pub inside: Option<String>,
    /// What the notice is found by on the intranet: DB-2507.
    #[arg(long, value_name = "REFERENCE", requires = "letter")]
    pub reference: Option<String>,
}

/// The words of the channels, each with what it is.
fn channel() -> impl TypedValueParser<Value = Channel> {
    let words = Channel::ALL.map(|one| PossibleValue::new(one.word()).help(one.in_words()));
    PossibleValuesParser::new(words)
        .try_map(|word| Channel::from_word(&word).ok_or("this is no channel"))
}
