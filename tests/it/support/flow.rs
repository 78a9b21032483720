//! A bell to ring in tests: an App on a fresh database with its clock set, its files, and eyes for what a person would see.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::TimeDelta;
use division_bell::app::{App, Shared};
use division_bell::clock::Clock;
use division_bell::config::Config;
use division_bell::domain::{CampaignId, CaseId, Moment};
use division_bell::serve;
use division_bell::steps::confirm::Confirmed;
use division_bell::steps::deliver::{Delivered, deliver, never};
use division_bell::steps::intake::{Intake, Options, intake};
use division_bell::steps::notify::Queued;
use division_bell::steps::people::Synced;
use division_bell::steps::{campaign, confirm, heads_up, notify, people, plan};
use division_bell::store::{Campaign, CaseRow, Store};
use sqlx::{AssertSqlSafe, Column as _, Row as _, TypeInfo as _, ValueRef as _};

use super::files;

/// A Monday morning.
pub const MONDAY: &str = "2026-03-02T08:00:00Z";

/// The password of the test's PostgreSQL, where a config looks for it.
pub const STORE_PASSWORD: (&str, &str) = ("FLOW_STORE_PASSWORD", "pg");

/// The password of the test's Postfix.
pub const RELAY_PASSWORD: (&str, &str) = ("FLOW_RELAY_PASSWORD", super::postfix::PASSWORD);

/// A folder in place of a relay.
pub const FOLDER: &str = "kind = \"folder\"\nfolder = \"mail\"";

/// Working time at every hour of every day, for tests that cannot set the clock.
pub const ALWAYS: &str = "[calendar]\nsend_from = \"00:00\"\nsend_until = \"23:59\"\nworking_days = [\"Mon\", \"Tue\", \"Wed\", \"Thu\", \"Fri\", \"Sat\", \"Sun\"]\n";

const MAPPING: &str = r#"name = "own"
delimiter = ","
realm = "ad:PARL"
time_zone = "UTC"
date_format = "%Y-%m-%dT%H:%M:%SZ"
[columns]
account = "account"
verdict = "verdict"
as_of = "as_of"
display_name = "name"
[verdicts]
weak = "weak/cracked"
attacked = "attacked/failed_logins"
breached = "breached/breach_password"
compromised = "compromised/confirmed"
"#;

const HEADER: &str = "object_id,sid,netbios,sam,upn,mail,aliases,second_mail,display_name,department,kind,enabled,owner_mail,manager_mail,mobile,room,building";

/// One line of a staff directory.
#[derive(Clone, Debug)]
pub struct Staff {
    pub sam: String,
    pub mail: String,
    pub second: String,
    pub name: String,
    pub department: String,
    pub kind: &'static str,
    pub enabled: bool,
    pub owner: String,
    pub manager: String,
    pub mobile: String,
    pub room: String,
    pub building: String,
}

/// A member of staff with an address of their own.
pub fn staff(sam: &str, mail: &str, name: &str) -> Staff {
    Staff {
        sam: sam.to_owned(),
        mail: mail.to_owned(),
        second: String::new(),
        name: name.to_owned(),
        department: "Library".to_owned(),
        kind: "person",
        enabled: true,
        owner: String::new(),
        manager: String::new(),
        mobile: String::new(),
        room: String::new(),
        building: String::new(),
    }
}

/// Five people whom most tests are about.
pub fn five() -> Vec<Staff> {
    vec![
        staff("abaraa", "ada.abara@parl.example", "Ada Abara"),
        staff("brightb", "bea.bright@parl.example", "Bea Bright"),
        staff("coxc", "colin.cox@parl.example", "Colin Cox"),
        Staff {
            second: "dora@home.example".to_owned(),
            ..staff("deverauxd", "dora.deveraux@parl.example", "Dora Deveraux")
        },
        staff("ekwuemee", "emeka.ekwueme@parl.example", "Emeka Ekwueme"),
    ]
}

/// How a bell is set up.
pub struct Setup {
    /// A PostgreSQL URL; a file of its own if none.
    pub store: Option<String>,
    /// The lines of `[mail.relay]`.
    pub relay: String,
    /// Whole sections to add.
    pub more: String,
    /// The Maildir of bounces.
    pub maildir: Option<PathBuf>,
    /// When it starts.
    pub start: Moment,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            store: None,
            relay: FOLDER.to_owned(),
            more: String::new(),
            maildir: None,
            start: moment(MONDAY),
        }
    }
}

pub fn moment(text: &str) -> Moment {
    text.parse().unwrap()
}

/// The environment of a config.
pub fn env(name: &str) -> Option<String> {
    [
        STORE_PASSWORD,
        RELAY_PASSWORD,
        super::gateway::NOTIFY_KEY,
        super::gateway::TOKEN,
    ]
    .iter()
    .find(|(key, _)| *key == name)
    .map(|(_, value)| (*value).to_owned())
}

/// Both databases: none is SQLite. PostgreSQL is left out only aloud.
pub async fn databases() -> Vec<Option<String>> {
    let mut all = vec![None];
    all.extend(super::postgres::database().await.map(Some));
    all
}

pub struct Bell {
    pub app: Shared,
    pub dir: tempfile::TempDir,
    pub text: String,
}

/// A letter in the folder.
#[derive(Clone, Debug)]
pub struct Letter {
    pub to: String,
    pub subject: String,
    pub text: String,
    pub bytes: Vec<u8>,
}

/// The letters of a folder, oldest name first.
pub fn letters_in(dir: &Path) -> Vec<Letter> {
    files(dir)
        .iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "eml"))
        .map(|path| letter(std::fs::read(path).unwrap()))
        .collect()
}

/// What a reader sees of a letter.
pub fn letter(bytes: Vec<u8>) -> Letter {
    let message = mail_parser::MessageParser::default().parse(&bytes).unwrap();
    Letter {
        to: message
            .to()
            .and_then(|to| to.first())
            .and_then(|to| to.address())
            .unwrap_or_default()
            .to_owned(),
        subject: message.subject().unwrap_or_default().to_owned(),
        text: message.body_text(0).unwrap_or_default().into_owned(),
        bytes,
    }
}

impl Bell {
    pub async fn new() -> Self {
        Self::with(Setup::default()).await
    }

    /// A bell on this database.
    pub async fn on(store: Option<String>) -> Self {
        Self::with(Setup {
            store,
            ..Setup::default()
        })
        .await
    }

    pub async fn with(setup: Setup) -> Self {
        let dir = tempfile::Builder::new().prefix("bell").tempdir().unwrap();
        for folder in ["in", "bounces/new", "bounces/cur", "bounces/tmp"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        let text = config_text(&setup);
        let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        put("in/own.toml", MAPPING);
        put(
            "in/evidence.csv",
            "account,changed_at,must_change,disabled\n",
        );
        for name in [
            "generic-weak-accounts.mapping.toml",
            "hibp-breaches.json",
            "directory.csv",
        ] {
            std::fs::copy(sample(name), dir.path().join("in").join(name)).unwrap();
        }
        put("bell.toml", &text);
        let app = build(&text, dir.path(), Clock::at(setup.start)).await;
        Self { app, dir, text }
    }

    /// Another app on the same files and database, as after a restart, at the same time of day.
    pub async fn again(&self) -> Shared {
        build(&self.text, self.dir.path(), Clock::at(self.now())).await
    }

    /// Starts anew with another config, from where we are.
    pub async fn restart_with(&mut self, text: String) {
        let clock = Clock::at(self.now());
        self.app.store.close().await;
        std::fs::write(self.path("bell.toml"), &text).unwrap();
        self.text = text;
        self.app = build(&self.text, self.dir.path(), clock).await;
    }

    pub fn now(&self) -> Moment {
        self.app.clock.now()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn advance(&self, span: TimeDelta) {
        self.app.clock.advance(span);
    }

    pub fn at(&self, text: &str) {
        self.app.clock.set(moment(text));
    }

    /// Takes this staff list in.
    pub async fn people(&self, staff: &[Staff]) -> Synced {
        let file = self.write("in/staff.csv", directory(staff));
        people::sync(&self.app, Some(&file), true, "ann")
            .await
            .unwrap()
    }

    /// Takes an audit of lines `sam,verdict,as_of` in.
    pub async fn audit(&self, name: &str, lines: &[(&str, &str, &str)]) -> Intake {
        let file = self.audit_file(name, lines);
        self.intake(&file, "own").await.unwrap()
    }

    pub fn audit_file(&self, name: &str, lines: &[(&str, &str, &str)]) -> PathBuf {
        let mut text = "account,verdict,as_of,name\n".to_owned();
        for (sam, verdict, as_of) in lines {
            text.push_str(&format!("PARL\\{sam},{verdict},{as_of},x\n"));
        }
        self.write(&format!("in/{name}.csv"), text)
    }

    pub async fn intake(&self, file: &Path, source: &str) -> anyhow::Result<Intake> {
        let options = Options {
            source: Some(source.to_owned()),
            ..Options::default()
        };
        intake(&self.app, file, &options, "ann").await
    }

    /// What the directory says now: sam, last change, disabled.
    pub async fn evidence(&self, lines: &[(&str, &str, bool)]) -> Confirmed {
        let mut text = "account,changed_at,must_change,disabled\n".to_owned();
        for (sam, changed_at, disabled) in lines {
            let disabled = if *disabled { "yes" } else { "no" };
            text.push_str(&format!("PARL\\{sam},{changed_at},no,{disabled}\n"));
        }
        let path = self.write("in/evidence.csv", text);
        let file = std::fs::File::options().append(true).open(path).unwrap();
        file.set_modified(self.now().utc().into()).unwrap();
        let confirmed = confirm::confirm(&self.app, None, None).await.unwrap();
        assert!(confirmed.failed.is_empty(), "{confirmed:?}");
        confirmed
    }

    pub async fn draft(&self) -> Campaign {
        plan::draft(&self.app, "ann")
            .await
            .unwrap()
            .expect("somebody to tell")
    }

    /// Has a draft approved and announced.
    pub async fn approve(&self, id: CampaignId) -> anyhow::Result<Campaign> {
        let approved = campaign::approve(&self.app, id, "ben").await?;
        let places = &self.app.config.campaign.announce_where;
        heads_up::announced(&self.app, id, places, None, "ann").await?;
        Ok(approved)
    }

    /// Drafts, approves and queues a campaign.
    pub async fn campaign(&self) -> Campaign {
        let draft = self.draft().await;
        let approved = self.approve(draft.id).await.unwrap();
        let queued = self.notify().await;
        assert_eq!(queued.void, Vec::<String>::new());
        approved
    }

    pub async fn notify(&self) -> Queued {
        notify::notify(&self.app).await.unwrap()
    }

    pub async fn deliver(&self) -> Delivered {
        deliver(&self.app, &never()).await.unwrap()
    }

    pub async fn step(&self, name: &str) -> String {
        serve::step(&self.app, name, &never()).await.unwrap()
    }

    /// Reminders and deliveries at every half hour until `end`.
    pub async fn run_until(&self, end: &str) {
        while self.now() < moment(end) {
            self.advance(TimeDelta::minutes(30));
            self.notify().await;
            self.deliver().await;
        }
    }

    /// All letters in the folder.
    pub fn letters(&self) -> Vec<Letter> {
        letters_in(&self.path("mail"))
    }

    /// Recipient and subject of all letters, sorted.
    pub fn told(&self) -> Vec<(String, String)> {
        let mut told: Vec<_> = self
            .letters()
            .into_iter()
            .map(|one| (one.to, one.subject))
            .collect();
        told.sort();
        told
    }

    /// Who got letters, sorted, each as often as they did.
    pub fn readers(&self) -> Vec<String> {
        self.told().into_iter().map(|(to, _)| to).collect()
    }

    pub async fn cases(&self) -> Vec<CaseRow> {
        let mut tx = self.app.store.read().await.unwrap();
        tx.cases(CaseId(0), false, 100_000).await.unwrap()
    }

    /// The cases of an account, oldest first.
    pub async fn cases_of(&self, sam: &str) -> Vec<CaseRow> {
        let ids = self.column(&format!("SELECT c.id FROM cases c JOIN accounts a ON a.id = c.account_id WHERE a.sam = '{sam}' ORDER BY c.id")).await;
        self.cases()
            .await
            .into_iter()
            .filter(|case| ids.contains(&case.id.to_string()))
            .collect()
    }

    /// The only case of an account.
    pub async fn case_of(&self, sam: &str) -> CaseRow {
        let mut cases = self.cases_of(sam).await;
        assert_eq!(cases.len(), 1, "cases of {sam}");
        cases.remove(0)
    }

    pub async fn contain(&self, sam: &str) {
        let case = self.cases_of(sam).await.pop().unwrap();
        let mut tx = self.app.store.begin().await.unwrap();
        tx.contain_case(
            case.id,
            self.now(),
            "sign-in blocked, sessions revoked",
            "ann",
            self.now(),
        )
        .await
        .unwrap();
        tx.commit().await.unwrap();
    }

    /// Kind and reason of the open tasks of an account's cases, sorted.
    pub async fn tasks_of(&self, sam: &str) -> Vec<(String, String)> {
        self.rows(&format!(
            "SELECT t.kind, t.reason FROM tasks t JOIN cases c ON c.id = t.case_id JOIN accounts a ON a.id = c.account_id WHERE a.sam = '{sam}' AND t.done_at IS NULL ORDER BY t.kind, t.reason"
        )).await.into_iter().map(|mut row| (row.remove(0), row.remove(0))).collect()
    }

    /// The cells of a query, as text.
    pub async fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        rows(&self.app.store, sql).await
    }

    /// The first column of a query.
    pub async fn column(&self, sql: &str) -> Vec<String> {
        self.rows(sql)
            .await
            .into_iter()
            .map(|mut row| row.remove(0))
            .collect()
    }

    /// The one cell of a query, as a number.
    pub async fn count(&self, sql: &str) -> i64 {
        self.column(sql).await[0].parse().unwrap()
    }

    /// All rows of all tables.
    pub async fn content(&self) -> BTreeMap<String, Vec<Vec<String>>> {
        content(&self.app.store).await
    }

    /// Cases are where the ledger says that they are, and what is kept about the work names nobody.
    pub async fn books(&self) {
        let mut replayed: HashMap<String, &str> = HashMap::new();
        let acts = self
            .rows("SELECT case_id, act FROM ledger WHERE case_id IS NOT NULL ORDER BY id")
            .await;
        for row in &acts {
            let state = match row[1].as_str() {
                "case.opened" | "case.reopened" | "case.bounced" => "open",
                "case.notified" | "case.reminded" | "case.told" => "notified",
                act if act.starts_with("case.closed.") => "closed",
                _ => continue,
            };
            let before = replayed.insert(row[0].clone(), state);
            assert_ne!(before, Some("closed"), "{row:?} moves a closed case");
        }
        for row in self.rows("SELECT id, state FROM cases ORDER BY id").await {
            assert_eq!(
                replayed.remove(&row[0]),
                Some(row[1].as_str()),
                "case {}",
                row[0]
            );
        }
        assert!(replayed.is_empty(), "{replayed:?}");
        // Of a crowd, some stand for all.
        let mut names = self.names().await;
        names.truncate(40);
        for sql in [
            "SELECT act, COALESCE(thing, ''), COALESCE(detail, '') FROM ledger",
            "SELECT name, COALESCE(result, '') FROM runs",
            "SELECT COALESCE(reply, '') FROM attempts",
            "SELECT COALESCE(reply, '') FROM bounces",
        ] {
            let all: Vec<String> = self
                .rows(sql)
                .await
                .into_iter()
                .map(|row| row.join(" "))
                .collect();
            assert_names_nobody(&all.join("\n"), &names);
        }
    }

    /// Names and addresses of everybody in the directory.
    pub async fn names(&self) -> Vec<String> {
        self.column(
            "SELECT display_name FROM persons UNION SELECT address FROM mailboxes UNION SELECT address FROM aliases UNION SELECT second_address FROM persons WHERE second_address IS NOT NULL",
        )
        .await
    }
}

/// Nothing of a text is somebody's name or address.
pub fn assert_names_nobody(text: &str, names: &[String]) {
    let folded = text.to_lowercase();
    for name in names {
        let name = name.to_lowercase();
        let line = folded.lines().find(|line| line.contains(&name));
        assert_eq!(line, None, "{name:?} is named");
    }
}

/// The staff list as the directory exports it.
pub fn directory(staff: &[Staff]) -> Vec<u8> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(HEADER.split(',')).unwrap();
    for one in staff {
        out.write_record([
            format!("id-{}", one.sam).as_str(),
            "",
            "PARL",
            one.sam.as_str(),
            one.mail.as_str(),
            one.mail.as_str(),
            "",
            one.second.as_str(),
            one.name.as_str(),
            one.department.as_str(),
            one.kind,
            if one.enabled { "true" } else { "false" },
            one.owner.as_str(),
            one.manager.as_str(),
            one.mobile.as_str(),
            one.room.as_str(),
            one.building.as_str(),
        ])
        .unwrap();
    }
    out.into_inner().unwrap()
}

pub async fn build(text: &str, dir: &Path, clock: Clock) -> Shared {
    let config = Config::from_text(text, &dir.join("bell.toml"), &env)
        .unwrap_or_else(|errors| panic!("{errors}"));
    Arc::new(App::build(config, clock).await.unwrap())
}

/// A file of `tests/audits`.
pub fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/audits")
        .join(name)
}

fn config_text(setup: &Setup) -> String {
    let store = match &setup.store {
        None => "url = \"sqlite:bell.db\"".to_owned(),
        Some(url) => format!(
            "url = \"{}\"\npassword_env = \"{}\"",
            url.replace("pg:pg@", "pg@"),
            STORE_PASSWORD.0
        ),
    };
    let maildir = setup
        .maildir
        .as_ref()
        .map_or_else(|| "bounces".to_owned(), |dir| dir.display().to_string());
    format!(
        r#"[organisation]
name = "Parliament"
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
{store}

[[realm]]
name = "ad:PARL"
netbios = ["PARL"]
dns = ["parl.example"]

[directory]
file = "in/directory.csv"

[[source]]
name = "own"
kind = "mapped_csv"
mapping = "in/own.toml"
bare_sam = true

[[source]]
name = "external"
kind = "mapped_csv"
mapping = "in/generic-weak-accounts.mapping.toml"
bare_sam = true

[[source]]
name = "hibp"
kind = "hibp_domain"
catalogue = "in/hibp-breaches.json"
domain = "parl.example"

[[source]]
name = "hashcat"
kind = "hashcat_show"
bare_sam = true

[[source]]
name = "john"
kind = "john_show"
bare_sam = true

[[evidence]]
name = "directory-export"
file = "in/evidence.csv"

[mail]
from_address = "security@parl.example"
bounce_domain = "parl.example"

[mail.relay]
{relay}

[mail.inbox]
maildir = "{maildir}"

{campaign}

{intake}

[[operator]]
name = "ann"
roles = ["security", "communications"]

[[operator]]
name = "ben"
roles = ["approver"]

{more}
"#,
        relay = setup.relay,
        more = setup.more,
        intake = if setup.more.contains("[intake]") {
            ""
        } else {
            "[intake]\nshare_percent = 100"
        },
        // A test with its own section says all of it.
        campaign = if setup.more.contains("[campaign]") {
            ""
        } else {
            "[campaign]\nannounce_lead = \"0 s\""
        },
    )
}

/// The cells of a query, as text.
pub async fn rows(store: &Store, sql: &str) -> Vec<Vec<String>> {
    match store {
        Store::Sqlite(pool) => sqlx::query(AssertSqlSafe(sql.to_owned()))
            .fetch_all(pool)
            .await
            .unwrap()
            .iter()
            .map(|row| {
                (0..row.len())
                    .map(|at| {
                        row.try_get_unchecked::<Option<String>, _>(at)
                            .unwrap()
                            .unwrap_or_else(|| "NULL".to_owned())
                    })
                    .collect()
            })
            .collect(),
        Store::Postgres(pool) => sqlx::query(AssertSqlSafe(sql.to_owned()))
            .fetch_all(pool)
            .await
            .unwrap()
            .iter()
            .map(|row| (0..row.len()).map(|at| postgres_cell(row, at)).collect())
            .collect(),
    }
}

fn postgres_cell(row: &sqlx::postgres::PgRow, at: usize) -> String {
    if row.try_get_raw(at).unwrap().is_null() {
        return "NULL".to_owned();
    }
    match row.column(at).type_info().name() {
        "BOOL" => i64::from(row.get::<bool, _>(at)).to_string(),
        "INT4" => row.get::<i32, _>(at).to_string(),
        "INT8" => row.get::<i64, _>(at).to_string(),
        _ => row.get::<String, _>(at),
    }
}

/// All rows of all tables.
pub async fn content(store: &Store) -> BTreeMap<String, Vec<Vec<String>>> {
    let tables = match store {
        Store::Sqlite(_) => {
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> '_sqlx_migrations'"
        }
        Store::Postgres(_) => {
            "SELECT CAST(table_name AS TEXT) FROM information_schema.tables WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations'"
        }
    };
    let mut content = BTreeMap::new();
    for table in rows(store, tables).await {
        let mut all = rows(store, &format!("SELECT * FROM {}", table[0])).await;
        all.sort();
        content.insert(table[0].clone(), all);
    }
    content
}
