//! `bell check`: everything that is wrong, at once.

use std::path::Path;

use serde_json::json;

use super::Said;
use crate::app::App;
use crate::channels::LookedUp;
use crate::cli::Cli;
use crate::clock::Clock;
use crate::config::{Config, DirectoryKind, EvidenceKind, STATUS};
use crate::schedule::Schedule;
use crate::{steps, web};

/// What was looked at, and what is wrong with it.
#[derive(Default)]
struct Checks {
    lines: Vec<String>,
    wrong: Vec<String>,
}

impl Checks {
    fn add<E: std::fmt::Display>(&mut self, what: &str, result: Result<String, E>) {
        match result {
            Ok(fine) => self.lines.push(format!("ok     {what}: {fine}")),
            Err(error) => {
                self.lines.push(format!("WRONG  {what}: {error}"));
                self.wrong.push(format!("{what}: {error}"));
            }
        }
    }
}

pub(super) async fn run(cli: &Cli, offline: bool) -> anyhow::Result<Said> {
    let config = Config::load(&cli.config, &|name| std::env::var(name).ok())?;
    let mut checks = Checks::default();
    checks.add::<String>(
        "config",
        Ok(format!("{} can be read", cli.config.display())),
    );
    files(&config, &mut checks);
    schedules(&config, &mut checks);
    people(&config, &mut checks);
    if let Some(listen) = &config.web {
        checks.add(
            "web",
            web::check(listen)
                .await
                .map_err(|error| format!("{error:#}")),
        );
    }
    match App::build(config, Clock::System).await {
        Err(error) => checks.add("start", Err(format!("{error:#}"))),
        Ok(app) => {
            checks.add::<String>("messages", Ok("all texts keep the rules".to_owned()));
            checks.add::<String>(
                "database",
                Ok("opened, and its schema is this version's".to_owned()),
            );
            match app.mute().await {
                Ok(None) => checks.add::<String>("epoch", Ok("this database may speak".to_owned())),
                Ok(Some(why)) => checks.add::<String>("epoch", Err(why)),
                Err(error) => checks.add::<String>("epoch", Err(format!("{error:#}"))),
            }
            if !offline {
                outside(&app, &mut checks).await;
            }
            app.store.close().await;
        }
    }
    let wrong = !checks.wrong.is_empty();
    Ok(Said::words(
        checks.lines.join("\n"),
        json!({ "checks": checks.lines, "wrong": checks.wrong }),
    )
    .look_if(wrong))
}

fn files(config: &Config, checks: &mut Checks) {
    let readable = |path: &Path| {
        std::fs::File::open(path)
            .map(|_| format!("{} can be read", path.display()))
            .map_err(|error| format!("{}: {error}", path.display()))
    };
    match &config.directory.kind {
        DirectoryKind::File(own) => checks.add("directory.file", readable(&own.file)),
        // It is asked below.
        DirectoryKind::Ldap(_) => {}
    }
    for source in &config.sources {
        checks.add(
            &format!("source {:?}", source.name),
            steps::intake::check_source(source).map_err(|error| format!("{error:#}")),
        );
    }
    for source in &config.evidence {
        match &source.kind {
            EvidenceKind::File(own) => {
                checks.add(&format!("evidence {:?}", source.name), readable(&own.file))
            }
            EvidenceKind::Ldap(_)
            | EvidenceKind::Graph(_)
            | EvidenceKind::Okta(_)
            | EvidenceKind::Keycloak(_)
            | EvidenceKind::Google(_) => {}
        }
    }
}

fn schedules(config: &Config, checks: &mut Checks) {
    for (name, line) in config.schedule.lines() {
        let at = line
            .line
            .map(|line| format!("{}:{line}: ", config.file.display()))
            .unwrap_or_default();
        let parsed = Schedule::parse(&line.text, config.schedule.zone)
            .map_err(|error| format!("{at}{error}"));
        if let Err(error) = parsed {
            checks.add(&format!("schedule.{name}"), Err::<String, _>(error));
        }
    }
}

fn people(config: &Config, checks: &mut Checks) {
    use crate::config::Role::{Approver, Security};
    let has = |role| {
        config
            .operators
            .iter()
            .filter(|operator| operator.roles.contains(&role))
            .count()
    };
    checks.add(
        "operators",
        if config.operators.len() < 2 || has(Approver) == 0 || has(Security) == 0 {
            Err("who drafts cannot approve: name at least two operators, one with the role security and one with approver")
        } else {
            Ok(format!("{}, of whom {} approve", config.operators.len(), has(Approver)))
        },
    );
}

async fn outside(app: &App, checks: &mut Checks) {
    let relay = app
        .outlet
        .check()
        .await
        .map(|()| "answers, protects and lets us in".to_owned());
    checks.add(
        "relay",
        relay.map_err(|sent| steps::deliver::describe(&sent)),
    );
    for (name, answered) in steps::confirm::check(app).await {
        checks.add(
            &format!("evidence {name:?}"),
            answered
                .map(|()| "answers and lets us read".to_owned())
                .map_err(|error| format!("{error:#}")),
        );
    }
    for (what, result) in steps::ldap::check(app).await {
        checks.add(&what, result);
    }
    if let Some(hand_overs) = &app.hand_overs {
        checks.add("hand-over", hand_overs.check().await);
    }
    if app.inbox.is_some() {
        let read = steps::inbox::check(app).await;
        checks.add(
            "inbox",
            read.map(|()| "can be read".to_owned())
                .map_err(|error| format!("{error:#}")),
        );
    }
    if let Some(gateway) = &app.gateway
        && gateway.can_look_up()
    {
        let asked = gateway.look_up("bell-check").await;
        checks.add(
            "sms",
            match asked {
                LookedUp::There(_) | LookedUp::NotThere => Ok("answers and lets us in".to_owned()),
                LookedUp::Unknown => Err("does not answer, or does not let us in"),
            },
        );
    }
    if let Some(listen) = &app.config.web
        && let Some(answered) = web::check_provider(listen).await
    {
        checks.add("web.oidc", answered.map_err(|error| format!("{error:#}")));
    }
    for place in &app.places {
        let channel = &place.channel;
        let name = match place.name == STATUS {
            true => "discord".to_owned(),
            false => format!("chat {}", place.name),
        };
        let told = match channel.can().look {
            true => "the channel can be read",
            false => "nothing can be read there: the first message will tell",
        };
        checks.add(&name, channel.check().await.map(|()| told.to_owned()));
    }
}
