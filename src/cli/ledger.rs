//! `bell ledger …`

use std::path::PathBuf;

use clap::Subcommand;

use crate::domain::seal::Mark;

/// `bell ledger …`
#[derive(Debug, Subcommand)]
pub enum Ledger {
    /// Its rows, oldest first
    List {
        /// From this row on.
        #[arg(long, default_value_t = 0)]
        after: i64,
        /// So many at most.
        #[arg(long, default_value_t = 200)]
        limit: i64,
    },
    /// Whether every sealed row, of every table that is only added to, is what it was; names each that is not. Exit code 1
    /// if any is. `serve` does this by itself, each night
    Verify {
        /// A file of `bell ledger export` in place of the database.
        #[arg(long, value_name = "FILE")]
        export: Option<PathBuf>,
        /// A seal that you have on paper, from a status post or a report: whether it is in this chain.
        #[arg(long, value_name = "SEAL")]
        seal: Option<Mark>,
        /// The public key, in PEM, that seals must be signed with; that of the config if left out.
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
    /// Seal what was added. `serve` does this by itself, every few seconds
    Seal,
    /// Write all that is sealed to a file that can be verified without the database. It holds no text about anybody
    Export {
        /// The file; one object of JSON a line.
        file: PathBuf,
    },
    /// Print the public half of the key that seals are signed with
    Key,
}
