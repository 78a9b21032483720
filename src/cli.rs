//! Every command and flag of `bell`; no behaviour.

mod access;
mod case;
mod contain;
mod hand_over;
mod incident;
mod keep;
mod keys;
mod ledger;
mod people;
mod single;
mod statement;

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::domain::format::Format;
use crate::domain::{AuditId, CampaignId, DeliveryId, FindingId, Moment};

pub use access::Access;
pub use case::Case;
pub use contain::Contain;
pub use hand_over::{HandOver, HandOverCommand, HandOverVerdict};
pub use incident::{Decide, Incident, IncidentState, PartnerCommand};
pub use keep::{Backup, Epoch, Restore};
pub use keys::{OperatorCommand, Token};
pub use ledger::Ledger;
pub use people::People;
pub use statement::{About, Draft, Nudges, Statement};

/// After an attack on passwords: tells each person concerned, and keeps at it until the directory itself proves the reset.
///
///   audit file → findings → cases → notices → deliveries → attempts → evidence → closed case → report
///
/// Try it first: `bell demo`. Then `bell init` writes a config, and `bell check` says what is still wrong with it.
///
/// Exit codes: 0 done, 1 something to look at, 2 used wrongly, 75 try again later.
#[derive(Debug, Parser)]
#[command(
    name = "bell",
    version,
    propagate_version = true,
    verbatim_doc_comment,
    max_term_width = 110
)]
pub struct Cli {
    /// The config file.
    #[arg(
        long,
        short,
        global = true,
        env = "BELL_CONFIG",
        default_value = "bell.toml",
        value_name = "FILE"
    )]
    pub config: PathBuf,
    /// Answer with JSON on standard output.
    #[arg(long, global = true)]
    pub json: bool,
    /// Who you are, as the config's [[operator]] list names you. It goes into the ledger.
    #[arg(long = "as", global = true, env = "BELL_OPERATOR", value_name = "NAME")]
    pub operator: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands, in the order in which a newcomer meets them.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The whole flow on a sample organisation: three weeks on a virtual clock, in seconds. Sends nothing
    Demo(Demo),
    /// Write an annotated config to begin with
    Init {
        /// Replace a config that is there.
        #[arg(long)]
        force: bool,
    },
    /// Check config, messages, database, relay, inbox and Discord, and say everything that is wrong at once
    Check {
        /// Connect to nothing but the database.
        #[arg(long)]
        offline: bool,
    },
    /// Run everything by the schedule, until it is told to stop
    Serve,
    /// The staff directory: persons, accounts, mailboxes
    #[command(subcommand)]
    People(People),
    /// Take in credential audits: findings, and the cases they open
    Intake(Intake),
    /// The audits that were taken in, and whom their findings name
    #[command(subcommand)]
    Audits(Audits),
    /// Who would be told what, when, and why not. Changes nothing
    Plan,
    /// Campaigns: each is drafted by one operator and approved by another
    #[command(subcommand)]
    Campaign(Campaign),
    /// Queue what is due: first notices of approved campaigns, reminders. `serve` does this by itself
    Notify,
    /// Send what is queued and due, and wait for what is due within the hour. `serve` does this by itself
    Deliver {
        /// One pass: send what may go now, and leave the rest.
        #[arg(long)]
        once: bool,
    },
    /// Send the texts that are queued and due, in one pass. `serve` does this by itself, after mail
    Text,
    /// Print the letters that wait for the internal post, by building, each with its tick sheet
    Letters(Letters),
    /// Read what came back to the bounce address, in one pass. `serve` does this by itself
    Inbox(Inbox),
    /// Read the evidence sources, in one pass, and close what they prove. `serve` does this by itself
    Confirm {
        /// Read this file in place of the configured one.
        file: Option<PathBuf>,
        /// The [[evidence]] source to read.
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
    },
    /// Cases: one for each account that needs a new password
    #[command(subcommand)]
    Case(Case),
    /// Letters, one by one: did somebody get theirs, and what did the relay say?
    #[command(subcommand)]
    Delivery(Delivery),
    /// Whether a letter is ours, by the reference in it. Says on which day it was sent, and nothing else. Exit code 1 if not
    Verify {
        /// Such as DB-2507-K7M4.
        code: String,
    },
    /// What keeps letters back until an operator acts: a relay that refuses us, a text that was refused
    #[command(subcommand)]
    Hold(Hold),
    /// Who is shut out of what, on whose word; and whom the network team may let in again
    #[command(subcommand)]
    Contain(Contain),
    /// The last rung: ask the identity provider to force what reminders did not bring about. `serve` does this by itself
    HandOver(HandOver),
    /// What human beings have to do: people to reach another way, accounts to contain, doubts to decide
    Tasks {
        /// End this one: help that was given, an account whose holder was found. The others end by what is done about
        /// their cases.
        #[arg(long, value_name = "NUMBER", requires = "note")]
        done: Option<i64>,
        /// What came of it.
        #[arg(long, requires = "done")]
        note: Option<String>,
    },
    /// Whether every step that was due about every open case was taken, once, and if not, why not. `serve` does this by
    /// itself, each hour. Exit code 1 if something was forgotten
    AuditSteps,
    /// What is wrong with the service itself: relay, database, disk, mailbox, steps. Exit code 1 if anything is
    Alarms,
    /// Incidents: what staff and public are told about
    #[command(subcommand)]
    Incident(Incident),
    /// Statements: drafted by one operator, approved by another, published, never rewritten
    #[command(subcommand)]
    Statement(Statement),
    /// A service is cut or back: what staff are told, on channels that still reach them
    #[command(subcommand)]
    Access(Access),
    /// Bring the status posts up to date. `serve` does this by itself
    Announce,
    /// The compliance report
    Report(Report),
    /// The texts: check them, or look at them
    #[command(subcommand)]
    Messages(Messages),
    /// The append-only record of who did what, and the seals over it
    #[command(subcommand)]
    Ledger(Ledger),
    /// Erase what was kept for as long as [report.retention] says. `serve` does this by itself, each night
    Purge,
    /// Copy the database into a file, while everything goes on
    Backup(Backup),
    /// Put a backup in the place of the database. It is mute until `bell epoch advance`
    Restore(Restore),
    /// Which database speaks: one that was copied or restored does not, until an operator says so
    #[command(subcommand)]
    Epoch(Epoch),
    /// What operators sign in to the page with
    #[command(subcommand)]
    Operator(OperatorCommand),
    /// What programs show that read figures from the page
    #[command(subcommand)]
    Token(Token),
    /// Print what makes a shell complete our commands, for instance: bell completions bash
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual, a page a command, for man(1)
    Man {
        /// The folder, such as /usr/local/share/man/man1.
        dir: PathBuf,
    },
}

/// `bell demo`
#[derive(Debug, Args)]
pub struct Demo {
    /// An audit of your own, in the form of the sample or any that is recognised by its content.
    #[arg(long, value_name = "FILE", requires = "directory")]
    pub audit: Option<PathBuf>,
    /// Your own staff directory, in the form of the sample.
    #[arg(long, value_name = "FILE")]
    pub directory: Option<PathBuf>,
    /// How to read the audit's columns, if it is a table.
    #[arg(long, value_name = "FILE", requires = "audit")]
    pub mapping: Option<PathBuf>,
    /// The folder for everything it writes; a new one beside the other temporary files if left out.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// `bell intake …`
#[derive(Debug, Args)]
pub struct Intake {
    /// The audit files. A dump of hashes and the lists that it is joined with go into one command: bell intake DUMP LIST…
    #[arg(required_unless_present = "unmatched")]
    pub files: Vec<PathBuf>,
    /// Only say what each file is, what shows it, and what else it could have been. Reads its first 64 KiB; writes nothing.
    #[arg(long)]
    pub explain: bool,
    /// List the findings that name nobody the directory knows, and why; the same as `bell audits unmatched`.
    #[arg(long, conflicts_with_all = ["files", "explain", "format", "source", "taken_at", "dry_run", "confirm"])]
    pub unmatched: bool,
    /// Read them as this, whatever they look like.
    #[arg(long, value_name = "FORMAT", value_parser = PossibleValuesParser::new(Format::WORDS))]
    pub format: Option<String>,
    /// The [[source]] they come from, if the format does not tell.
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// When the data were taken (not when the report was written): 2026-02-10T02:15:00Z. Whoever changed since is not asked.
    #[arg(long, value_name = "TIME")]
    pub taken_at: Option<Moment>,
    /// Say what would open, change and close; write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Take in an audit that concerns unusually many, and that another operator tried to take in before you.
    #[arg(long, conflicts_with = "dry_run")]
    pub confirm: bool,
}

/// `bell audits …`
#[derive(Debug, Subcommand)]
pub enum Audits {
    /// All that were taken in, oldest first: what came from where, and who ran it
    List,
    /// One of them: findings by category and reason, and the lines that could not be used
    Show {
        /// Its number.
        id: AuditId,
    },
    /// Ask a [[source]] that has `fetch` now, whenever it is due. `serve` does this by itself
    Fetch {
        /// Its name in the config.
        source: String,
    },
    /// Findings that name nobody the directory knows, or more than one, and why
    Unmatched {
        /// Show the names; the ledger keeps that you did.
        #[arg(long)]
        names: bool,
    },
    /// Say whose a name is that the directory does not know. It holds for later audits as well
    Bind {
        /// The finding's number, as `unmatched` shows it.
        finding: FindingId,
        /// The account: its number, login, principal name or address.
        #[arg(long, value_name = "ACCOUNT")]
        to: String,
    },
}

/// `bell letters`
#[derive(Debug, Args)]
pub struct Letters {
    /// The folder for the files. They hold names.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Only those of this building, as the directory calls it.
    #[arg(long, value_name = "NAME")]
    pub building: Option<String>,
    /// Those that are handed out already as well.
    #[arg(long)]
    pub again: bool,
}

/// `bell inbox`
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_long_help = INBOX_HELP)]
pub struct Inbox {
    /// Take one mail from standard input, as a mail system hands it over, in place of reading the mailbox.
    #[arg(long, requires = "recipient")]
    pub stdin: bool,
    /// The address that this mail came to, as the envelope had it: bounce+…@your domain.
    #[arg(long, value_name = "ADDRESS", requires = "stdin")]
    pub recipient: Option<String>,
}

/// What `bell inbox --help` teaches below the flags.
const INBOX_HELP: &str = "\
Only delivery reports (RFC 3464) that come to an address with one of our tokens say
anything about a letter:
  failed       the letter did not arrive. Unless another one did, or somebody told the person,
               there is a task to reach them another way (`bell tasks`).
  unreadable   counts as failed, and a person should look.
  delayed, delivered, relayed, expanded
               no failure. They settle a letter that was in doubt: it is not sent again.
Automatic replies, out-of-office notes, challenges, replies by people, spam and forged tokens
are counted, no more. Nothing is answered and nothing is deleted. A mail counts once, however
often it is read.

Where mails come from is set in [mail.inbox]: a Maildir, or a mailbox on a server by IMAP.
A server that refuses the password is left alone for an hour, so that the account is not
locked; `bell check` tries at once.

Without a mailbox, a mail system can hand mails over one by one. For Postfix, if letters come
from bounce+TOKEN@bounces.example (bounce_domain in [mail]):
  master.cf    bell unix - n n - 4 pipe flags=R user=bell argv=/usr/bin/bell
                 --config /etc/bell/bell.toml
                 inbox --stdin --recipient ${original_recipient}
  main.cf      relay_domains = bounces.example
               transport_maps = inline:{ bounces.example=bell: }
               bell_destination_recipient_limit = 1
Then 0 means that the mail is taken, and 75 that the mail system is to keep it and try again,
whatever was wrong here.

Exit codes without --stdin: 0 done, 1 something to look at (unreadable reports, replies by
people, a refused password), 75 try again later.";

/// `bell campaign …`
#[derive(Debug, Subcommand)]
pub enum Campaign {
    /// Draft one that tells everybody who can be told now
    Draft,
    /// All of them
    List,
    /// One of them
    Show {
        /// Its number.
        id: CampaignId,
    },
    /// Let a draft go, as a second operator. The approval is bound to its recipients and texts
    Approve {
        /// Its number.
        id: CampaignId,
    },
    /// Print its announcement, ready to be pasted: it has to be out before the first notice
    Announcement {
        /// Its number.
        id: CampaignId,
    },
    /// Write down that its announcement is out
    Announced {
        /// Its number.
        id: CampaignId,
        /// Where; once for each place.
        #[arg(
            long = "where",
            value_enum,
            required_unless_present = "skip",
            conflicts_with = "skip"
        )]
        places: Vec<Place>,
        /// Since when; now if left out.
        #[arg(long, value_name = "TIME", conflicts_with = "skip")]
        at: Option<Moment>,
        /// Let it go without one. You answer for it.
        #[arg(long, requires = "reason")]
        skip: bool,
        /// Why it goes without one.
        #[arg(long, requires = "skip")]
        reason: Option<String>,
    },
    /// Leave a way out, such as mail while mail is down: what is queued by it goes by the next
    Ways {
        /// Its number.
        id: CampaignId,
        /// Which; once for each.
        #[arg(long, required = true, value_name = "WAY", value_parser = ["mail", "mail.2", "sms", "letter"])]
        without: Vec<String>,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Let it stand still
    Pause {
        /// Its number.
        id: CampaignId,
        /// Why.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Let it go on where it stood
    Resume {
        /// Its number.
        id: CampaignId,
    },
    /// End it before its time
    Stop {
        /// Its number.
        id: CampaignId,
        /// Why.
        #[arg(long)]
        reason: Option<String>,
    },
}

/// Where an announcement can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Place {
    /// The page that lists our notices.
    Intranet,
    /// The staff chat.
    Chat,
}

/// `bell delivery …`
#[derive(Debug, Subcommand)]
pub enum Delivery {
    /// One letter's story: its attempts, the relay's replies, what came back
    Show {
        /// Its number.
        id: DeliveryId,
    },
    /// All letters to one person
    Of {
        /// Their number, or an address or login of theirs.
        who: String,
    },
    /// Decide about a letter that was in doubt twice, after a look at the relay's log
    Decide {
        /// Its number.
        id: DeliveryId,
        /// What is true of it.
        verdict: Verdict,
        /// How you know.
        #[arg(long)]
        reason: String,
    },
}

/// What is true of a letter in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Verdict {
    /// It has arrived.
    Arrived,
    /// It has not: send it once more, with the same bytes.
    Again,
}

/// `bell hold …`
#[derive(Debug, Subcommand)]
pub enum Hold {
    /// What is held, and why
    List,
    /// Let it go on, once its cause is mended
    Release {
        /// Its number.
        id: i64,
        /// What was done about it.
        #[arg(long)]
        reason: String,
    },
}

/// `bell report`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Report {
    /// What is different between two moments.
    #[command(subcommand)]
    pub command: Option<ReportCommand>,
    /// As of a past moment; the same bytes whenever it is asked. Now if left out.
    #[arg(long, value_name = "TIME")]
    pub as_of: Option<Moment>,
    /// In which form.
    #[arg(long, value_enum, default_value_t = ReportFormat::Html)]
    pub format: ReportFormat,
    /// The file, or for csv the folder, to write; the config's report folder if left out.
    #[arg(long, short, value_name = "PATH")]
    pub out: Option<PathBuf>,
}

/// The report's forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// One page to read and print.
    Html,
    /// One file a table.
    Csv,
    /// For other programs.
    Json,
    /// A workbook: one sheet a table.
    Xlsx,
}

/// `bell report …`
#[derive(Debug, Subcommand)]
pub enum ReportCommand {
    /// What is different between two moments, such as two statements: each figure that changed
    Diff {
        /// The earlier one.
        from: Moment,
        /// The later one; now if left out.
        to: Option<Moment>,
    },
}

/// `bell messages …`
#[derive(Debug, Subcommand)]
pub enum Messages {
    /// Lint every text with the config's own sentences
    Check,
    /// Write every letter as .eml, .html and .txt, and an index to open in a browser
    Preview {
        /// The folder.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}
