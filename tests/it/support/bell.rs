//! Bell: an App on a fresh database, with the demo's organisation, the clock set, and letters and posts in folders.
//!
//! Each method runs one step as its command would; `app` is there for everything else. Nothing runs by itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::TimeDelta;
use division_bell::app::{App, Shared};
use division_bell::clock::Clock;
use division_bell::config::Config;
use division_bell::domain::{DeliveryId, Moment};
use division_bell::steps::announce::{Announced, announce};
use division_bell::steps::confirm::{Confirmed, confirm};
use division_bell::steps::deliver::{Delivered, deliver, never};
use division_bell::steps::inbox::{Received, receive};
use division_bell::steps::intake::{Intake, Options, intake};
use division_bell::steps::notify::{Queued, notify};
use division_bell::steps::people::{Synced, sync};
use division_bell::steps::{campaign, heads_up, plan};
use division_bell::store::{Campaign, Tx};

/// Drafts campaigns, and opens incidents.
pub const AUTHOR: &str = "ann";
/// Approves what the other has drafted.
pub const APPROVER: &str = "ben";
/// A Monday in working hours, just after the demo's audit of 2 March.
pub const START: &str = "2026-03-02T09:00:00Z";

/// An App, and the folder that everything of it is in. Gone when it is dropped.
pub struct Bell {
    pub app: Shared,
    folder: tempfile::TempDir,
}

impl Bell {
    /// On a SQLite file of its own.
    pub async fn new() -> Self {
        Self::with("sqlite:bell.db", "").await
    }

    /// On the database that `url` names, a fresh one of [`super::postgres::database`].
    pub async fn on(url: &str) -> Self {
        Self::with(url, "").await
    }

    /// With further sections at the end of the config.
    pub async fn with(url: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        lay_out(folder.path());
        let app = built(folder.path(), url, more, START.parse().unwrap()).await;
        Self { app, folder }
    }

    /// Another process on the same SQLite file, with other further sections.
    pub async fn restart_with(&mut self, more: &str) {
        let now = self.now();
        self.app.store.close().await;
        self.app = built(self.folder.path(), "sqlite:bell.db", more, now).await;
    }

    /// A file or folder of this Bell.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn now(&self) -> Moment {
        self.app.clock.now()
    }

    pub fn advance(&self, span: TimeDelta) {
        self.app.clock.advance(span);
    }

    /// Moves the clock to an instant as RFC 3339 writes it.
    pub fn set(&self, moment: &str) {
        self.app.clock.set(moment.parse().unwrap());
    }

    /// A transaction that may write.
    pub async fn tx(&self) -> Tx {
        self.app.store.begin().await.unwrap()
    }

    /// Reads the staff directory, `in/directory.csv`.
    pub async fn people_sync(&self) -> Synced {
        sync(&self.app, None, false, AUTHOR).await.unwrap()
    }

    /// Takes in a file of `tests/audits/demo`, such as `weak-passwords.csv`.
    pub async fn intake(&self, name: &str) -> Intake {
        self.try_intake(name)
            .await
            .unwrap_or_else(|error| panic!("{error:#}"))
    }

    pub async fn try_intake(&self, name: &str) -> anyhow::Result<Intake> {
        intake(&self.app, &demo(name), &Options::default(), AUTHOR).await
    }

    /// Drafts a campaign about everybody who is not in one; none if there is nobody to tell.
    pub async fn draft(&self) -> Option<Campaign> {
        plan::draft(&self.app, AUTHOR).await.unwrap()
    }

    /// Has the newest campaign approved and announced, and drafts one first if there is none to approve.
    pub async fn approve(&self) -> Campaign {
        let newest = self.tx().await.campaigns().await.unwrap().pop();
        let draft = newest.filter(|campaign| {
            campaign.state == division_bell::domain::campaign::CampaignState::Draft
        });
        let campaign = match draft {
            Some(campaign) => campaign,
            None => self.draft().await.expect("there is somebody to tell"),
        };
        let approved = campaign::approve(&self.app, campaign.id, APPROVER)
            .await
            .unwrap_or_else(|error| panic!("{error:#}"));
        let places = &self.app.config.campaign.announce_where;
        heads_up::announced(&self.app, campaign.id, places, None, AUTHOR)
            .await
            .unwrap_or_else(|error| panic!("{error:#}"));
        approved
    }

    pub async fn notify(&self) -> Queued {
        notify(&self.app)
            .await
            .unwrap_or_else(|error| panic!("{error:#}"))
    }

    pub async fn deliver(&self) -> Delivered {
        deliver(&self.app, &never())
            .await
            .unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// The directory, the audit, a campaign, and its first letters: the shortest way to people who were told.
    pub async fn tell_everybody(&self) -> Delivered {
        self.people_sync().await;
        self.intake("weak-passwords.csv").await;
        self.approve().await;
        self.notify().await;
        self.deliver().await
    }

    /// Writes what the directory says now: `object_id,changed_at,must_change,disabled`, a line an account.
    pub fn directory_says(&self, lines: &[String]) {
        let path = self.path("in/evidence.csv");
        let text = format!(
            "object_id,changed_at,must_change,disabled\n{}\n",
            lines.join("\n")
        );
        std::fs::write(&path, text).unwrap();
        // An export is as old as its file, on this Bell's clock.
        let file = std::fs::File::options().append(true).open(&path).unwrap();
        file.set_modified(self.now().utc().into()).unwrap();
    }

    /// Reads what [`Bell::directory_says`] has written.
    pub async fn confirm(&self) -> Confirmed {
        confirm(&self.app, None, None)
            .await
            .unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// A mail system reports that it could not deliver.
    pub fn bounces(&self, delivery: DeliveryId, recipient: &str) {
        let to = self.app.letters.bounce_address(delivery).unwrap();
        let text = format!(
            "Return-Path: <>\r\nDelivered-To: {to}\r\nFrom: MAILER-DAEMON@relay.example\r\nTo: {to}\r\nSubject: Undelivered Mail Returned to Sender\r\n\
             Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n\
             --b\r\nContent-Type: text/plain\r\n\r\nThe mail could not be delivered.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n\
             Reporting-MTA: dns; relay.example\r\n\r\nFinal-Recipient: rfc822; {recipient}\r\nAction: failed\r\nStatus: 5.1.1\r\n\
             Diagnostic-Code: smtp; 550 5.1.1 no such user here\r\n\r\n--b--\r\n",
            to = to.expose(),
        );
        std::fs::write(self.path(&format!("bounces/new/{delivery}.mail")), text).unwrap();
    }

    /// Reads what came back.
    pub async fn receive(&self) -> Received {
        receive(&self.app)
            .await
            .unwrap_or_else(|error| panic!("{error:#}"))
    }

    pub async fn announce(&self) -> Announced {
        announce(&self.app)
            .await
            .unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// The letters that have left, as text, in the order of their file names: by date, then Message-ID.
    pub fn letters(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.path("mail")];
        while let Some(folder) = folders.pop() {
            for path in super::files(&folder) {
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.push(String::from_utf8(std::fs::read(&path).unwrap()).unwrap());
                }
            }
        }
        found
    }

    /// How many rows `sql` counts, on whichever database this is.
    pub async fn count(&self, sql: &'static str) -> i64 {
        super::count(&self.app.store, sql).await
    }
}

async fn built(folder: &Path, url: &str, more: &str, now: Moment) -> Shared {
    let (url, password) = without_password(url);
    let env = move |name: &str| (name == "BELL_STORE_PASSWORD").then(|| password.clone())?;
    let text = format!("{}{more}", config_text(&url));
    let config = Config::from_text(&text, &folder.join("config.toml"), &env)
        .unwrap_or_else(|errors| panic!("{errors}"));
    let app = App::build(config, Clock::at(now))
        .await
        .unwrap_or_else(|error| panic!("{error:#}"));
    Arc::new(app)
}

/// A file of the demo's organisation.
pub fn demo(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/audits/demo")
        .join(name)
}

/// What the config names has to be there.
fn lay_out(folder: &Path) {
    for name in ["in", "bounces/new", "bounces/cur", "bounces/tmp"] {
        std::fs::create_dir_all(folder.join(name)).unwrap();
    }
    for (from, to) in [
        ("directory.csv", "directory.csv"),
        ("breaches.json", "breaches.json"),
        ("weak-passwords.mapping.toml", "mapping.toml"),
    ] {
        std::fs::copy(demo(from), folder.join("in").join(to)).unwrap();
    }
}

/// A config never holds a password; the URL of a test database does.
fn without_password(url: &str) -> (String, Option<String>) {
    let Some((user, place)) = url.split_once('@') else {
        return (url.to_owned(), None);
    };
    let scheme = user.find("://").map_or(0, |at| at + 3);
    match user[scheme..].split_once(':') {
        Some((name, password)) => (
            format!("{}{name}@{place}", &user[..scheme]),
            Some(password.to_owned()),
        ),
        None => (url.to_owned(), None),
    }
}

fn config_text(url: &str) -> String {
    let password = if url.starts_with("sqlite:") {
        ""
    } else {
        "password_env = \"BELL_STORE_PASSWORD\""
    };
    format!(
        r#"[organisation]
name = "Westbridge Council"
team = "Digital Security Team"
signatory = "Sam Lee"
time_zone = "Europe/London"

[organisation.texts]
how_to_reset = "On your work computer, press Ctrl, Alt and Delete. Then choose Change a password."
check_route = "go to the staff home page, open Security notices"
help_route = "Call the number on the back of your staff pass."
help_hours = "We are open from 8am to 8pm."
in_person = "the help desk at the main entrance"
changes_line = "We have made it harder to guess passwords from outside."
attack_when = "At the weekend"
containment_line = "We have blocked sign-in to keep you safe."
seen_when = "at the weekend"
next_contact = "within two working days"

[store]
url = "{url}"
{password}

[[realm]]
name = "ad:WESTBRIDGE"
netbios = ["WESTBRIDGE"]
dns = ["westbridge.example"]

[directory]
file = "in/directory.csv"

[[source]]
name = "password-audit"
kind = "mapped_csv"
mapping = "in/mapping.toml"
bare_sam = true

[[source]]
name = "have-i-been-pwned"
kind = "hibp_domain"
catalogue = "in/breaches.json"
domain = "westbridge.example"

[[evidence]]
name = "directory-export"
file = "in/evidence.csv"

[mail]
from_address = "security@westbridge.example"

[mail.relay]
kind = "folder"
folder = "mail"

[mail.inbox]
maildir = "bounces"

[discord]
file = "discord"

[campaign]
announce_lead = "0 s"

[intake]
share_percent = 100

[[operator]]
name = "{AUTHOR}"
roles = ["security", "communications"]

[[operator]]
name = "{APPROVER}"
roles = ["approver"]
"#
    )
}

#[tokio::test]
async fn a_bell_tells_the_demo_organisation_once() {
    let bell = Bell::new().await;
    told_once(&bell).await;
}

#[tokio::test]
async fn a_bell_on_postgresql_tells_the_demo_organisation_once() {
    let Some(url) = super::postgres::database().await else {
        return;
    };
    told_once(&Bell::on(&url).await).await;
}

async fn told_once(bell: &Bell) {
    let delivered = bell.tell_everybody().await;
    assert!(delivered.accepted > 10, "{delivered}");
    let letters = bell.letters();
    assert_eq!(letters.len() as u64, delivered.accepted);
    assert!(letters.iter().all(|letter| !letter.contains("FAKE")));
    assert!(bell.intake("weak-passwords.csv").await.known);
    assert_eq!(bell.notify().await, Queued::default());
    assert_eq!(bell.deliver().await, Delivered::default());
    let told = bell
        .count("SELECT COUNT(*) FROM cases WHERE notice_at IS NOT NULL")
        .await;
    // A letter is about all that its reader has to reset.
    assert!(told >= delivered.accepted.cast_signed());

    let object = "00000000-0000-4000-9000-000000001103";
    bell.advance(TimeDelta::hours(5));
    bell.directory_says(&[format!("{object},2026-03-02T11:00:00Z,no,no")]);
    bell.advance(TimeDelta::minutes(1));
    let confirmed = bell.confirm().await;
    assert_eq!((confirmed.reset, confirmed.thanks), (1, 1));
    bell.deliver().await;
    assert_eq!(bell.letters().len(), letters.len() + 1);
}
