//! `bell operator …` and `bell token …`

use clap::Subcommand;

/// `bell operator …`
#[derive(Debug, Subcommand)]
pub enum OperatorCommand {
    /// Give an operator a fresh password, and print it once. Their sessions end
    Password {
        /// As the config's [[operator]] list names them.
        name: String,
        /// Take the first line of standard input instead.
        #[arg(long)]
        stdin: bool,
    },
    /// Give an operator who has a password a second factor for their phone, and print it once. Their sessions end
    Totp {
        /// As the config's [[operator]] list names them.
        name: String,
    },
    /// Take both away, and end their sessions
    Revoke {
        /// Who; they need not be in the config any more.
        name: String,
    },
}

/// `bell token …`
#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make one that reads figures and metrics, and print it once
    New {
        /// What it is for, such as prometheus.
        name: String,
    },
    /// All of them, and when they were last used
    List,
    /// Take one away
    Revoke {
        /// Which.
        name: String,
    },
}
