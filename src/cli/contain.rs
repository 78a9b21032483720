//! `bell contain …`: who is shut out of what, and who may be let in again.

use std::path::PathBuf;

use clap::Subcommand;

/// `bell contain …`
#[derive(Debug, Subcommand)]
pub enum Contain {
    /// Take in a list of what other teams did: account, act, at, by, how
    ///
    /// A CSV file whose first line names its columns. act is one of sign_in_blocked, sign_in_restored, sessions_revoked,
    /// remote_cut, remote_restored; at is a time with its zone. A list may be read twice. A compromised case is contained
    /// once its account's sign-in is blocked and its sessions were revoked since it was found.
    Import {
        /// The list.
        file: PathBuf,
    },
    /// What was done to one account, by whom, since when
    Show {
        /// Its login, UPN, SID or object id.
        account: String,
    },
    /// All accounts to which anything was done
    #[command(after_long_help = VERIFY_HELP)]
    List {
        /// Only those whom the network team may let in again: their cases are closed by proof of grade A or B that is
        /// younger than the cut, and of compromised ones the sessions were revoked. Never open, exempt or on hold.
        #[arg(long)]
        safe_to_restore: bool,
        /// Write that list to FILE, and its signature to FILE.sig.
        #[arg(long, value_name = "FILE", requires = "safe_to_restore")]
        out: Option<PathBuf>,
    },
    /// Print the public half of the key that lists are signed with; makes the key if there is none
    #[command(after_long_help = VERIFY_HELP)]
    Key,
}

/// What `bell contain list --help` teaches below the flags.
const VERIFY_HELP: &str = "\
The list is signed with Ed25519. Give the public key to the network team once, by another way than the list:
  bell contain key > bell-public.pem
Before they act on a list they check it; it takes OpenSSL, and nothing of ours:
  openssl pkeyutl -verify -pubin -inkey bell-public.pem -rawin -in LIST -sigfile LIST.sig";
