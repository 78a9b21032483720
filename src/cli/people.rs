//! `bell people …`

use std::path::PathBuf;

use clap::Subcommand;

use crate::domain::{Moment, PersonId};

/// `bell people …`
#[derive(Debug, Subcommand)]
pub enum People {
    /// Read the staff directory, and say who joined, left and moved
    Sync {
        /// Read this file in place of the configured one.
        file: Option<PathBuf>,
        /// It is right that more than half of the accounts are gone.
        #[arg(long)]
        confirm: bool,
    },
    /// The people, names masked
    List {
        /// Show names and addresses. That you did goes into the ledger.
        #[arg(long)]
        names: bool,
    },
    /// Somebody's own mailbox is read by others: they are told by other ways
    Delegate {
        /// Whose: their number, or an address or login of theirs.
        who: String,
        /// Who is told that there is a task, and not why: their number, or an address or login of theirs.
        #[arg(long, value_name = "WHO", required_unless_present_any = ["nobody", "end"], conflicts_with_all = ["nobody", "end"])]
        to: Option<String>,
        /// Others read it, and none of them is told anything.
        #[arg(long, conflicts_with = "end")]
        nobody: bool,
        /// Nobody else reads it any more.
        #[arg(long)]
        end: bool,
    },
    /// One person: accounts and cases
    Show {
        /// Their number, or an address of theirs.
        who: String,
        /// Show names and addresses. That you did goes into the ledger.
        #[arg(long)]
        names: bool,
    },
    /// Make a pseudonym of somebody: names, addresses and sentences go, figures stay. Two operators have to say it
    Erase {
        /// Their number.
        id: PersonId,
        /// Why, and what shows that the person asked for it. No names.
        #[arg(long)]
        reason: String,
    },
    /// Everything that is kept about somebody, as JSON, for that person. That you did goes into the ledger
    Export {
        /// Their number.
        id: PersonId,
        /// The file, for its owner's eyes only; standard output if left out.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// A legal hold: what is known of somebody, or of everybody, is kept whatever its time is
    Hold {
        /// Their number; everybody if left out.
        id: Option<PersonId>,
        /// Which proceedings or order. No names.
        #[arg(long, required_unless_present_any = ["end", "list"], requires = "review")]
        reason: Option<String>,
        /// When somebody has to look whether it is still needed.
        #[arg(long, value_name = "TIME", requires = "reason")]
        review: Option<Moment>,
        /// It is over.
        #[arg(long, conflicts_with = "reason")]
        end: bool,
        /// Show those that are in force. Exit code 1 if one is due for review.
        #[arg(long, conflicts_with_all = ["id", "reason", "end"])]
        list: bool,
    },
}
