//! App: store, messages, channels, policy and clock, wired from the config; what every step is handed.

mod alarm;
mod fence;
mod guests;
mod letters;
mod patience;
mod places;
mod progress;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use chrono::NaiveDate;
use chrono_tz::Tz;
use data_encoding::HEXLOWER;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use crate::channels::hand_over::{DirectorySettings, DirectoryWriter, HandOverFile, Webhook};
use crate::channels::inbox::{Imap, Inbox, Keep, Mailbox, Maildir, Waits};
use crate::channels::sms::{Form, Gateway, Template};
use crate::channels::{
    Bearer, Folder, HandOvers, Limits, Login, Outlet, Proof, Protection, Relay, Smtp, TokenSource,
};
use crate::clock::Clock;
use crate::config::{self, BodyForm, Config, RealmRules, RelayWay, SmsKind, StoreUrl};
use crate::domain::calendar::{Calendar, parse_holidays};
use crate::domain::delivery::Retries;
use crate::domain::evidence::Rule;
use crate::domain::finding::Category;
use crate::domain::identity::Realm;
use crate::domain::ladder::{Due, Ladder, Rung, Step, When};
use crate::messages::{Constants, Messages, Sourced};
use crate::store::Store;

pub use alarm::Alarms;
pub use fence::Fence;
pub use guests::Guests;
pub use letters::{Framing, Letters, Written, letter_hash, page_hash};
pub use patience::Patience;
pub use places::Place;
pub use progress::{Bar, Progress};

/// Everything a step needs. Cheap to share.
#[derive(Debug)]
pub struct App {
    /// The time.
    pub clock: Clock,
    /// The config it was wired from.
    pub config: Config,
    /// The database.
    pub store: Store,
    /// How letters are made.
    pub letters: Letters,
    /// Where letters go.
    pub outlet: Outlet,
    /// Where texts go, if anywhere.
    pub gateway: Option<Gateway>,
    /// Who can force a change, if we may ask them.
    pub hand_overs: Option<HandOvers>,
    /// Where bounces come back, if anywhere.
    pub inbox: Option<Inbox>,
    /// Where an incident's messages go, if anywhere, in the order of the config.
    pub places: Vec<Place>,
    /// The site's working time.
    pub calendar: Calendar,
    /// The business days of the SEC.
    pub sec: Calendar,
    /// When a delivery is tried again.
    pub retries: Retries,
    /// How an operator is told that something is wrong.
    pub alarms: Alarms,
    /// What failed of late, and is left alone for a while.
    pub patience: Patience,
    /// Operators whom a chat vouches for.
    pub guests: Guests,
    /// How far long work is.
    pub progress: Progress,
    /// Who we are among the instances that share a database.
    pub worker: String,
    /// Whether this database may speak.
    pub fence: Fence,
}

/// The app, and the same for tasks of its own.
pub type Shared = Arc<App>;

impl App {
    /// Wires the config: reads texts and holidays, opens the database, prepares the channels. Connects to nothing else.
    pub async fn build(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let (calendar, sec) = (calendar(&config)?, sec(&config)?);
        check_ladders(&config)?;
        let messages = Messages::load(None).context("loading the messages")?;
        let constants = constants(&config);
        let store = Self::open_store(&config).await?;
        let site_key = store.site_key().await?;
        let letters = Letters::new(&config, messages, constants, site_key)?;
        Ok(Self {
            outlet: outlet(&config)?,
            gateway: gateway(&config, &clock)?,
            hand_overs: hand_overs(&config, &clock)?,
            inbox: inbox(&config)?,
            places: places::places(&config, &clock)?,
            worker: format!("{}-{:08x}", std::process::id(), rand::random::<u32>()),
            alarms: Alarms::new(&config.alarm, store.clone(), clock.clone()),
            patience: Patience::default(),
            guests: Guests::default(),
            progress: Progress::silent(),
            fence: Fence::settle(&config, &store).await?,
            retries: Retries::default(),
            clock,
            config,
            store,
            letters,
            calendar,
            sec,
        })
    }

    /// Opens the database that the config names.
    pub async fn open_store(config: &Config) -> anyhow::Result<Store> {
        match &config.store {
            StoreUrl::Sqlite(file) => {
                make_private(file).with_context(|| format!("making {}", file.display()))?;
                let url = format!("sqlite://{}", file.display());
                Store::open(&url, None)
                    .await
                    .with_context(|| format!("opening {}", file.display()))
            }
            StoreUrl::Postgres { url, password } => {
                Store::open(url, password.as_ref().map(ExposeSecret::expose_secret))
                    .await
                    .context("opening the PostgreSQL database that store.url names")
            }
        }
    }

    /// The names and the rule of a realm.
    pub fn realm(&self, realm: &Realm) -> anyhow::Result<&RealmRules> {
        self.config
            .realms
            .iter()
            .find(|rules| rules.names.realm == *realm)
            .with_context(|| format!("there is no [[realm]] named {realm} in the config"))
    }

    /// How evidence is weighed in a realm.
    pub fn rule(&self, realm: &Realm) -> anyhow::Result<Rule> {
        let rules = self.realm(realm)?;
        Ok(Rule {
            skew: rules.skew,
            max_age: rules.evidence_max_age,
            exposes_sessions: rules.exposes_sessions,
            ..Rule::default()
        })
    }

    /// The ladder of a category, with what the config replaces.
    pub fn ladder(&self, category: Category) -> Ladder {
        ladder(
            category,
            self.config.ladders.of(category),
            self.config.campaign.tell_managers.is_some(),
        )
    }

    /// The working time in a person's zone; the site's if they have none or it is unknown.
    pub fn calendar_in(&self, zone: Option<&str>) -> Calendar {
        match zone.and_then(|zone| zone.parse::<Tz>().ok()) {
            Some(zone) => self.calendar.in_zone(zone),
            None => self.calendar.clone(),
        }
    }

    /// What tells one relay's settings from another's; no secret is part of it.
    pub fn relay_settings(&self) -> String {
        let settings = serde_json::to_string(&self.config.mail.relay.way).unwrap_or_default();
        HEXLOWER.encode(&Sha256::digest(settings))
    }

    /// Whether an operator of this name has a role. Without any [[operator]], and any guest, nobody has.
    pub fn has_role(&self, name: &str, role: config::Role) -> bool {
        let folded = crate::domain::address::fold(name);
        self.config.operators.iter().any(|operator| {
            crate::domain::address::fold(&operator.name) == folded && operator.roles.contains(&role)
        }) || self.guests.has(name, role)
    }

    /// Whether the config, or a chat at this moment, knows an operator of this name.
    pub fn is_operator(&self, name: &str) -> bool {
        let folded = crate::domain::address::fold(name);
        self.config
            .operators
            .iter()
            .any(|operator| crate::domain::address::fold(&operator.name) == folded)
            || self.guests.knows(name)
    }
}

/// A database that is not there yet is made for its owner's eyes only; SQLite's other files take its mode over.
fn make_private(file: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    match std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
    {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn calendar(config: &Config) -> anyhow::Result<Calendar> {
    let holidays = holidays(config.calendar.holidays.as_deref())?;
    Ok(Calendar::new(config.organisation.time_zone)
        .with_window(config.calendar.send_from, config.calendar.send_until)?
        .with_workdays(config.calendar.working_days.iter().copied())?
        .with_holidays(holidays))
}

/// The SEC's business days. Without its holidays they come too early, and never too late.
fn sec(config: &Config) -> anyhow::Result<Calendar> {
    let holidays = holidays(config.communications.sec_holidays.as_deref())?;
    Ok(Calendar::new(chrono_tz::America::New_York).with_holidays(holidays))
}

fn holidays(file: Option<&Path>) -> anyhow::Result<BTreeSet<NaiveDate>> {
    let Some(file) = file else {
        return Ok(BTreeSet::new());
    };
    let text =
        std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    parse_holidays(&text).with_context(|| format!("reading {}", file.display()))
}

fn ladder(category: Category, over: &config::LadderOverride, tells_manager: bool) -> Ladder {
    let mut ladder = Ladder::standard(category);
    if let Some(days) = over.deadline_days {
        ladder.due = Due::Day(days);
    }
    if over.reminder_days.is_some() || over.final_hours_before.is_some() {
        let days = over.reminder_days.clone().unwrap_or_default();
        ladder.steps.retain(|step| !step.rung.is_reminder());
        let last_by_day = over.final_hours_before.is_none() && days.len() > 1;
        let names = [Rung::Reminder1, Rung::Reminder2, Rung::ReminderFinal];
        let last = days.len().saturating_sub(1);
        ladder
            .steps
            .extend(days.iter().enumerate().filter_map(|(nth, day)| {
                let rung = if last_by_day && nth == last {
                    Rung::ReminderFinal
                } else {
                    *names.get(nth)?
                };
                Some(Step {
                    rung,
                    when: When::Day(*day),
                })
            }));
        if let Some(hours) = over.final_hours_before {
            ladder.steps.push(Step {
                rung: Rung::ReminderFinal,
                when: When::HoursBeforeDeadline(hours),
            });
        }
    }
    if let Some(days) = over.manager_days {
        for step in ladder
            .steps
            .iter_mut()
            .filter(|step| step.rung == Rung::Manager)
        {
            step.when = When::DaysAfterDeadline(days);
        }
    }
    if tells_manager {
        ladder
    } else {
        ladder.without_manager()
    }
}

/// A ladder that the config has bent out of shape is told before anything runs, not when a case opens.
fn check_ladders(config: &Config) -> anyhow::Result<()> {
    for category in Category::ALL {
        let tells_manager = config.campaign.tell_managers.is_some();
        ladder(category, config.ladders.of(category), tells_manager)
            .check()
            .with_context(|| {
                format!(
                    "{}: [ladder.{category}] does not fit together with what it leaves at its default",
                    config.file.display()
                )
            })?;
    }
    Ok(())
}

fn constants(config: &Config) -> Constants {
    let organisation = &config.organisation;
    let texts = &organisation.texts;
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    // Whoever sets one of these lines in the config vouches for it; the config file is the record.
    let sourced = |line: &str| Sourced {
        text: line.to_owned(),
        evidence: "config".to_owned(),
    };
    let checked = texts.no_sign_line.starts_with("We have checked");
    Constants {
        org: organisation.name.clone(),
        team: organisation.team.clone(),
        signatory: organisation.signatory.clone(),
        how_to_reset: texts.how_to_reset.clone(),
        check_route: texts.check_route.clone(),
        help_route: texts.help_route.clone(),
        help_hours: some(&texts.help_hours),
        in_person: some(&texts.in_person),
        no_sign_line: checked.then(|| sourced(&texts.no_sign_line)),
        authority_line: texts.authority_line.as_deref().map(sourced),
        source_line: texts.source_line.as_deref().map(sourced),
        changes_line: some(&texts.changes_line),
        attack_when: some(&texts.attack_when),
        audit_note: texts.audit_note.clone(),
        consequence: texts.consequence.clone(),
        manager_line: config.campaign.tell_managers.is_some(),
        containment_line: texts.containment_line.clone(),
        seen_when: some(&texts.seen_when),
        next_contact: some(&texts.next_contact),
        zone: organisation.time_zone,
    }
}

fn outlet(config: &Config) -> anyhow::Result<Outlet> {
    let relay = &config.mail.relay;
    let smtp = match &relay.way {
        RelayWay::Folder(dir) => return Ok(Outlet::Folder(Folder::new(dir))),
        RelayWay::Smtp(smtp) => smtp,
    };
    let tls = match smtp.tls {
        config::Tls::Starttls => Protection::StartTls,
        config::Tls::Implicit => Protection::Implicit,
        config::Tls::None => Protection::Nothing,
    };
    let hello = smtp.hello.clone().unwrap_or_else(host_name);
    let mut to = Relay::new(smtp.host.clone(), smtp.port, tls, hello);
    to.login = smtp.sign_in.as_ref().map(login);
    to.ca_file.clone_from(&smtp.ca_file);
    to.messages_per_connection = relay.messages_per_connection;
    to.connection_age = relay.connection_age;
    to.texts.clone_from(&relay.texts);
    let timeouts = &relay.timeouts;
    to.limits = Limits {
        connect: timeouts.connect,
        greeting: timeouts.greeting,
        ehlo: timeouts.greeting,
        start_tls: timeouts.greeting,
        auth: timeouts.greeting,
        mail: timeouts.mail,
        rcpt: timeouts.rcpt,
        data: timeouts.data,
        body: timeouts.block,
        dot: timeouts.dot,
        ..Limits::default()
    };
    Ok(Outlet::Smtp(Smtp::new(to).context("mail.relay")?))
}

fn login(sign_in: &config::SignIn) -> Login {
    let proof = match &sign_in.proof {
        config::Proof::Password(password) => Proof::Password(password.clone()),
        config::Proof::Token {
            bearer,
            source,
            lifetime,
        } => Proof::Token {
            bearer: match bearer {
                config::Bearer::Xoauth2 => Bearer::Xoauth2,
                config::Bearer::OauthBearer => Bearer::OauthBearer,
            },
            source: match source {
                config::TokenSource::File(path) => TokenSource::File(path.clone()),
                config::TokenSource::Command(words) => TokenSource::Command(words.clone()),
            },
            lifetime: *lifetime,
        },
    };
    Login {
        user: sign_in.user.clone(),
        proof,
    }
}

fn gateway(config: &Config, clock: &Clock) -> anyhow::Result<Option<Gateway>> {
    let Some(sms) = &config.sms else {
        return Ok(None);
    };
    let gateway = match &sms.kind {
        SmsKind::Template {
            url,
            put,
            form,
            body,
            headers,
            id_pointer,
            refused_status,
        } => {
            let header =
                |one: &config::Header| (one.name.clone(), one.text.clone(), one.secret.clone());
            let template = Template {
                url: url.clone(),
                put: *put,
                form: match form {
                    BodyForm::Json => Form::Json,
                    BodyForm::Form => Form::Urlencoded,
                },
                body: body.clone(),
                headers: headers.iter().map(header).collect(),
                id_pointer: id_pointer.clone(),
                refused_status: refused_status.clone(),
            };
            Gateway::by_template(template, sms.timeout)
        }
        SmsKind::Notify {
            url,
            key,
            template_id,
            placeholder,
        } => Gateway::notify(
            url,
            key,
            template_id,
            placeholder,
            clock.clone(),
            sms.timeout,
        ),
    };
    gateway.context("sms").map(Some)
}

fn hand_overs(config: &Config, clock: &Clock) -> anyhow::Result<Option<HandOvers>> {
    let made = match &config.hand_over {
        None => return Ok(None),
        Some(config::HandOver::File(path)) => Ok(HandOvers::File(HandOverFile::new(path))),
        Some(config::HandOver::Webhook {
            url,
            secret,
            timeout,
        }) => Webhook::new(url, secret, clock.clone(), *timeout).map(HandOvers::Webhook),
        Some(config::HandOver::Ldap {
            server,
            bind_dn,
            password,
            base_dn,
            ca_file,
            timeout,
        }) => DirectoryWriter::new(DirectorySettings {
            url: server.clone(),
            bind_dn: bind_dn.clone(),
            password: password.clone(),
            base_dn: base_dn.clone(),
            ca_file: ca_file.clone(),
            timeout: *timeout,
        })
        .map(HandOvers::Ldap),
    };
    made.context("hand_over").map(Some)
}

fn inbox(config: &Config) -> anyhow::Result<Option<Inbox>> {
    let imap = match &config.mail.inbox {
        None => return Ok(None),
        Some(config::Inbox::Maildir(dir)) => return Ok(Some(Inbox::Maildir(Maildir::new(dir)))),
        Some(config::Inbox::Imap(imap)) => imap,
    };
    let mailbox = Mailbox {
        host: imap.host.clone(),
        port: imap.port,
        starttls: imap.tls == config::InboxTls::Starttls,
        user: imap.user.clone(),
        password: imap.password.clone(),
        folder: imap.folder.clone(),
        keep: match &imap.keep {
            config::InboxKeep::Seen => Keep::Seen,
            config::InboxKeep::Move(folder) => Keep::Move(folder.clone()),
        },
        ca_file: imap.ca_file.clone(),
        waits: Waits::default(),
    };
    Ok(Some(Inbox::Imap(Imap::new(mailbox).context("mail.inbox")?)))
}

/// What the machine calls itself; relays only log it.
fn host_name() -> String {
    match lettre::transport::smtp::extension::ClientId::default() {
        lettre::transport::smtp::extension::ClientId::Domain(name) => name,
        other => other.to_string(),
    }
}
