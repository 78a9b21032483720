//! `bell backup`, `bell restore`, `bell epoch …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `bell backup`
#[derive(Debug, Args)]
pub struct Backup {
    /// The file; it must not be there. It will hold names.
    pub file: PathBuf,
}

/// `bell restore`
#[derive(Debug, Args)]
pub struct Restore {
    /// A file of `bell backup`.
    pub file: PathBuf,
    /// Move a database that is there aside.
    #[arg(long)]
    pub force: bool,
}

/// `bell epoch …`
#[derive(Debug, Subcommand)]
pub enum Epoch {
    /// Whether this database may speak, and if not, why. Exit code 1 if it may not
    Show,
    /// From now on this database is the one that speaks. See to it first that no other does
    Advance {
        /// What happened, and how you know that no other database speaks.
        #[arg(long)]
        reason: String,
    },
    /// This machine speaks for the database as well, beside others that share it
    Join {
        /// Which machine this is.
        #[arg(long)]
        reason: String,
    },
}
