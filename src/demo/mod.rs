//! `bell demo`: the whole flow on a sample organisation, three weeks on a virtual clock. Nothing leaves the machine.
//!
//! Everything of ours is real: config, database, steps, letters, schedules. Only the world is played: when people change
//! their passwords, which letters bounce, and when auditors come.

mod config;
mod office;
mod world;

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use chrono::TimeDelta;
use serde::Serialize;

use crate::app::{App, Shared};
use crate::cli::Demo;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::Moment;
use crate::domain::incident::IncidentState;
use crate::serve;
use crate::steps::{self, deliver};
use world::World;

const DIRECTORY: &str = include_str!("../../tests/audits/demo/directory.csv");
const WEAK: &str = include_str!("../../tests/audits/demo/weak-passwords.csv");
const WEAK_AGAIN: &str = include_str!("../../tests/audits/demo/weak-passwords-2.csv");
const MAPPING: &str = include_str!("../../tests/audits/demo/weak-passwords.mapping.toml");
const BREACHED: &str = include_str!("../../tests/audits/demo/breacheddomain.json");
const BREACHES: &str = include_str!("../../tests/audits/demo/breaches.json");

/// How long the demo runs, on its own clock.
const LASTS: TimeDelta = TimeDelta::days(21);

/// What happened, one line an arrow, and where to look.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Told {
    /// Moment, arrow, what it did.
    pub lines: Vec<(Moment, String, String)>,
    /// What to open.
    pub look: Vec<(String, PathBuf)>,
    /// The config that goes on from here.
    pub config: PathBuf,
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, arrow, what) in &self.lines {
            let mut rows = what.lines();
            writeln!(
                f,
                "{}  {arrow:<9} {}",
                at.utc().format("%a %e %b %H:%M"),
                rows.next().unwrap_or("")
            )?;
            for row in rows {
                writeln!(f, "{:28}{row}", "")?;
            }
        }
        writeln!(f, "\nWhere to look")?;
        for (what, path) in &self.look {
            writeln!(f, "  {what:<22} {}", path.display())?;
        }
        write!(
            f,
            "\nGo on from here:  bell --config {} case list --all",
            self.config.display()
        )
    }
}

/// Runs the demo.
pub async fn run(options: &Demo) -> anyhow::Result<Told> {
    let out = folder(options)?;
    let own = options.directory.is_some();
    // The sample's audit is of this Monday; one's own files start from now.
    let start: Moment = if own {
        Clock::System.now()
    } else {
        "2026-03-02T08:00:00Z".parse()?
    };
    let audits = lay_out(options, &out)?;
    let file = out.join("bell.toml");
    let (short, domain) = names_of(options)?;
    let text = config::text(&short, &domain);
    std::fs::write(&file, &text).with_context(|| format!("writing {}", file.display()))?;
    let config = Config::from_text(&text, &file, &|_| None)?;
    let clock = Clock::at(start);
    let app: Shared = App::build(config, clock).await?.into();
    let mut play = Play {
        app,
        out,
        start,
        lines: Vec::new(),
        world: World::new(),
        stopping: deliver::never(),
        day: Day::default(),
    };
    play.first_morning(&audits).await?;
    play.three_weeks(!own).await?;
    play.end(file).await
}

/// The audits of the first morning.
struct Audits {
    files: Vec<PathBuf>,
}

fn folder(options: &Demo) -> anyhow::Result<PathBuf> {
    let out = match &options.out {
        Some(out) => {
            let taken = out
                .read_dir()
                .is_ok_and(|mut entries| entries.next().is_some());
            ensure!(
                !taken,
                "{} is not empty; give the demo a folder of its own",
                out.display()
            );
            std::fs::create_dir_all(out).with_context(|| format!("making {}", out.display()))?;
            out.clone()
        }
        None => tempfile::Builder::new()
            .prefix("bell-demo-")
            .tempdir()
            .context("making a folder")?
            .keep(),
    };
    Ok(out.canonicalize()?)
}

fn lay_out(options: &Demo, out: &Path) -> anyhow::Result<Audits> {
    for folder in ["in", "bounces/new", "bounces/cur", "bounces/tmp"] {
        std::fs::create_dir_all(out.join(folder))?;
    }
    let put = |name: &str, text: &str| -> anyhow::Result<PathBuf> {
        let path = out.join("in").join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    };
    put("breaches.json", BREACHES)?;
    put("weak-passwords-2.csv", WEAK_AGAIN)?;
    let copy = |from: &Path, name: &str| -> anyhow::Result<PathBuf> {
        let to = out.join("in").join(name);
        std::fs::copy(from, &to).with_context(|| format!("reading {}", from.display()))?;
        Ok(to)
    };
    match &options.mapping {
        Some(mapping) => copy(mapping, "mapping.toml")?,
        None => put("mapping.toml", MAPPING)?,
    };
    match &options.directory {
        Some(directory) => copy(directory, "directory.csv")?,
        None => put("directory.csv", DIRECTORY)?,
    };
    let files = match (&options.audit, &options.directory) {
        (Some(audit), _) => vec![audit.clone()],
        (None, Some(_)) => Vec::new(),
        (None, None) => vec![
            put("weak-passwords.csv", WEAK)?,
            put("breacheddomain.json", BREACHED)?,
        ],
    };
    std::fs::write(
        out.join("in/evidence.csv"),
        "object_id,changed_at,must_change,disabled\n",
    )?;
    Ok(Audits { files })
}

/// The realm, NetBIOS and DNS names as the staff directory shows them.
fn names_of(options: &Demo) -> anyhow::Result<(String, String)> {
    let text = match &options.directory {
        Some(path) => {
            std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?
        }
        None => DIRECTORY.to_owned(),
    };
    let mut rows = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(text.as_bytes());
    let header = rows.headers()?.clone();
    let column = |name: &str| {
        header
            .iter()
            .position(|own| own.trim().eq_ignore_ascii_case(name))
    };
    let (netbios, upn, mail) = (column("netbios"), column("upn"), column("mail"));
    let (mut domain, mut short) = (None, None);
    for row in rows.records() {
        let row = row?;
        let cell = |at: Option<usize>| {
            at.and_then(|at| row.get(at))
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
        };
        short = short.or(cell(netbios).map(str::to_owned));
        domain = domain.or(cell(upn)
            .or(cell(mail))
            .and_then(|name| name.rsplit_once('@'))
            .map(|(_, domain)| domain.to_owned()));
        if domain.is_some() && short.is_some() {
            break;
        }
    }
    let plain = |text: String| {
        text.chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'))
            .collect::<String>()
    };
    let domain = plain(domain.unwrap_or_else(|| "example.org".to_owned()));
    let short =
        plain(short.unwrap_or_else(|| domain.split('.').next().unwrap_or("ORG").to_uppercase()));
    Ok((short, domain))
}

/// The play: our app, the world around it, and what is told of it.
struct Play {
    app: Shared,
    out: PathBuf,
    start: Moment,
    lines: Vec<(Moment, String, String)>,
    world: World,
    stopping: deliver::Stopping,
    day: Day,
}

/// What a day's steps came to.
#[derive(Default)]
struct Day(Vec<(&'static str, u64)>);

impl Day {
    fn add(&mut self, what: &'static str, count: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == what) {
            Some((_, sum)) => *sum += count,
            None => self.0.push((what, count)),
        }
    }

    fn told(&self) -> Option<String> {
        let order = [
            "resets proven",
            "closed as disabled",
            "thanks",
            "first notices",
            "reminders",
            "letters sent",
            "bounced, so not reached",
            "tasks for people",
            "edits of the status post",
        ];
        let parts: Vec<String> = order
            .iter()
            .filter_map(|what| {
                self.0
                    .iter()
                    .find(|(known, count)| known == what && *count > 0)
            })
            .map(|(what, count)| format!("{count} {what}"))
            .collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

impl Play {
    fn tell(&mut self, arrow: &str, what: impl Into<String>) {
        self.lines
            .push((self.app.clock.now(), arrow.to_owned(), what.into()));
    }

    fn at(&self, minutes: i64) {
        self.app
            .clock
            .set(self.start.plus(TimeDelta::minutes(minutes)));
    }

    /// Audits, containment, an incident, a draft, and its approval by a second operator.
    async fn first_morning(&mut self, audits: &Audits) -> anyhow::Result<()> {
        let synced = steps::people::sync(&self.app, None, false, "ann").await?;
        self.tell("people", synced.to_string());
        self.at(10);
        for file in &audits.files {
            let intake =
                steps::intake::intake(&self.app, file, &steps::intake::Options::default(), "ann")
                    .await?;
            self.tell("intake", intake.to_string());
        }
        self.at(20);
        let incident = crate::desk::incident::open(
            &self.app,
            "Weak and stolen passwords",
            Some(self.start.plus(office::PROMISED)),
            "ann",
        )
        .await?;
        self.tell(
            "incident",
            format!("{} opened: {}", incident.reference, incident.title),
        );
        self.at(25);
        let plan = steps::plan::plan(&self.app).await?;
        self.tell("plan", plan.to_string());
        self.at(40);
        let contained = self.contain().await?;
        self.tell(
            "contain",
            format!("{contained} compromised accounts blocked, their sessions revoked"),
        );
        self.at(45);
        self.campaign().await?;
        // Staff know of it for a quarter of an hour before the first notice.
        self.at(60);
        let told = self.step("notify").await?;
        self.tell("notify", told);
        let told = self.step("deliver").await?;
        self.tell("deliver", told);
        let told = self.step("announce").await?;
        self.tell("announce", told);
        self.at(75);
        self.statement().await
    }

    async fn contain(&mut self) -> anyhow::Result<u64> {
        let now = self.app.clock.now();
        let mut tx = self.app.store.begin().await?;
        let cases = tx.cases(crate::domain::CaseId(0), true, 10_000).await?;
        let mut contained = 0;
        for case in cases.iter().filter(|case| {
            case.claim.category == crate::domain::finding::Category::Compromised
                && case.contained_at.is_none()
        }) {
            tx.contain_case(
                case.id,
                now,
                "sign-in blocked and sessions revoked by the identity team",
                "ann",
                now,
            )
            .await?;
            contained += 1;
        }
        tx.commit().await?;
        Ok(contained)
    }

    async fn campaign(&mut self) -> anyhow::Result<()> {
        let Some(draft) = steps::plan::draft(&self.app, "ann").await? else {
            return Ok(());
        };
        self.tell(
            "campaign",
            format!(
                "{} drafted by ann for {} people",
                draft.reference, draft.people
            ),
        );
        let approved = steps::campaign::approve(&self.app, draft.id, "ben").await?;
        self.tell(
            "campaign",
            format!(
                "{} approved by ben: what changes now voids it",
                approved.reference
            ),
        );
        let places = &self.app.config.campaign.announce_where;
        let announcement = steps::heads_up::announcement(&self.app, draft.id).await?;
        steps::heads_up::announced(&self.app, draft.id, places, None, "ann").await?;
        self.tell(
            "announced",
            format!("on intranet and chat: {}", announcement.text),
        );
        Ok(())
    }

    async fn step(&self, name: &'static str) -> anyhow::Result<String> {
        serve::step(&self.app, name, &self.stopping).await
    }

    /// Every scheduled step at its time, and the world in between.
    async fn three_weeks(&mut self, with_second_audit: bool) -> anyhow::Result<()> {
        let schedules = serve::schedules(&self.app)?;
        let end = self.start.plus(LASTS);
        let second = self
            .start
            .plus(TimeDelta::days(14) + TimeDelta::minutes(30));
        let mut audited = !with_second_audit;
        let promised = self.start.plus(office::KEPT);
        let mut is_kept = false;
        loop {
            let now = self.app.clock.now();
            let next = schedules
                .iter()
                .filter_map(|(name, schedule)| Some((schedule.next_after(now)?, *name)))
                .min();
            let Some((at, _)) = next.filter(|(at, _)| *at <= end) else {
                break;
            };
            if !audited && at > second {
                audited = true;
                self.app.clock.set(second);
                self.second_audit().await?;
                continue;
            }
            if !is_kept && at > promised {
                is_kept = true;
                self.app.clock.set(promised);
                self.keep_the_promise().await?;
                continue;
            }
            if !self.is_same_day(now, at) {
                self.tell_day();
            }
            self.app.clock.set(at);
            self.world.turn(&self.app, &self.out).await?;
            for (name, schedule) in &schedules {
                if schedule.latest_due(now, at) == Some(at) {
                    self.scheduled(name).await?;
                }
            }
        }
        self.tell_day();
        self.app.clock.set(end);
        Ok(())
    }

    fn is_same_day(&self, one: Moment, other: Moment) -> bool {
        self.app.calendar.local(one).date() == self.app.calendar.local(other).date()
    }

    /// A step that fell due. What it did is told once a day.
    async fn scheduled(&mut self, name: &str) -> anyhow::Result<()> {
        let (app, day) = (&self.app, &mut self.day);
        match name {
            "people" => {
                steps::people::sync(app, None, false, "bell").await?;
            }
            "notify" => {
                let queued = steps::notify::notify(app).await?;
                day.add("first notices", queued.notices);
                day.add("reminders", queued.reminders);
                day.add("tasks for people", queued.tasks);
            }
            "deliver" => day.add(
                "letters sent",
                deliver::deliver(app, &self.stopping).await?.accepted,
            ),
            "inbox" => day.add(
                "bounced, so not reached",
                steps::inbox::receive(app).await?.bounced,
            ),
            "confirm" => {
                let confirmed = steps::confirm::confirm(app, None, None).await?;
                day.add("resets proven", confirmed.reset);
                day.add("closed as disabled", confirmed.disabled);
                day.add("thanks", confirmed.thanks);
            }
            "announce" => day.add(
                "edits of the status post",
                steps::announce::announce(app).await?.edited,
            ),
            "statements" => {
                let posted = serve::step(app, name, &self.stopping).await?;
                tracing::debug!("{posted}");
            }
            "report" => {
                let told = steps::report::write_scheduled(app).await?;
                self.tell("report", told);
            }
            // Nothing is dropped into folders, and every campaign is drafted by ann.
            _ => {}
        }
        Ok(())
    }

    /// One line for a day on which something happened.
    fn tell_day(&mut self) {
        let day = std::mem::take(&mut self.day);
        if let Some(text) = day.told() {
            self.tell("day's sum", text);
        }
    }

    async fn second_audit(&mut self) -> anyhow::Result<()> {
        let file = self.out.join("in/weak-passwords-2.csv");
        let intake =
            steps::intake::intake(&self.app, &file, &steps::intake::Options::default(), "ann")
                .await?;
        self.tell("intake", intake.to_string());
        self.campaign().await
    }

    async fn end(mut self, config: PathBuf) -> anyhow::Result<Told> {
        let incident = crate::domain::IncidentId(1);
        crate::desk::incident::move_to(&self.app, incident, IncidentState::Resolved, None, "ann")
            .await?;
        let told = self.step("announce").await?;
        self.tell("announce", format!("resolved; {told}"));
        let report = self.out.join("report.html");
        let told =
            steps::report::write(&self.app, None, crate::report::Format::Html, &report).await?;
        self.tell("report", told);
        self.app.store.close().await;
        let look = vec![
            ("the report".to_owned(), report),
            ("letters (.eml)".to_owned(), self.out.join("mail")),
            (
                "what Discord would get".to_owned(),
                self.out.join("discord"),
            ),
            ("the database".to_owned(), self.out.join("bell.db")),
        ];
        Ok(Told {
            lines: self.lines,
            look,
            config,
        })
    }
}
