//! The bot, spoken to by a strict Discord: whole round trips over its gateway and its REST.

mod office;
mod statement;
mod trouble;

use std::time::Duration;

use division_bell::app::Shared;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::discord::guild::{DESK, GUILD, Guild, Who};
use crate::support::discord::{CHANNEL, TOKEN};
use crate::support::flow::{Bell, Setup};

/// Named in the config: she acts there as `carol`.
const CAROL: Who = Who {
    user: 31,
    roles: &[],
};
/// Known by their roles alone.
const GUEST: Who = Who {
    user: 32,
    roles: &[7, 25],
};
const READER: Who = Who {
    user: 33,
    roles: &[27],
};
/// Somebody else.
const NOBODY: Who = Who {
    user: 34,
    roles: &[7],
};

/// The sections that make a bot, and the file of its token.
fn sections(guild: &Guild, token: &std::path::Path) -> String {
    format!(
        r#"[discord]
channel_id = "{CHANNEL}"
token_file = "{}"
api_base = "{}"

[discord.bot]
guild_ids = ["{GUILD}"]
desk_channel_id = "{DESK}"

[discord.bot.roles]
communications = ["25"]
approver = ["26"]
compliance = ["27"]

[[operator]]
name = "carol"
roles = ["communications", "security"]
discord_user_id = "31"

# Not while a test runs: the status post is another test's.
[schedule]
announce = "0 0 4 1 Jan *"
"#,
        token.display(),
        guild.base
    )
}

/// A bell whose config asks for the bot of a server.
async fn bell(guild: &Guild, store: Option<String>) -> Bell {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, TOKEN).unwrap();
    let bell = Bell::with(Setup {
        store,
        more: sections(guild, &token),
        ..Setup::default()
    })
    .await;
    // Whoever starts it again reads it again.
    std::mem::forget(folder);
    bell
}

/// A bot at work.
struct Running {
    stop: watch::Sender<bool>,
    job: JoinHandle<()>,
}

impl Running {
    fn start(app: &Shared) -> Self {
        let (stop, stopping) = watch::channel(false);
        let job = tokio::spawn(division_bell::bot::run(Shared::clone(app), stopping));
        Self { stop, job }
    }

    /// Stops it, and does not wait for long.
    async fn stop(self) {
        self.stop.send_replace(true);
        tokio::time::timeout(Duration::from_secs(8), self.job)
            .await
            .expect("it stops")
            .unwrap();
    }

    fn is_over(&self) -> bool {
        self.job.is_finished()
    }
}

/// A server, and a bot that has its commands there.
async fn at_work() -> (Guild, Bell, Running) {
    let guild = Guild::start().await;
    let bell = bell(&guild, None).await;
    let bot = Running::start(&bell.app);
    guild.has_registered(1).await;
    (guild, bell, bot)
}

/// What the ledger has of this act: who did it.
async fn ledger(bell: &Bell, act: &str) -> Vec<(String, Value)> {
    let mut tx = bell.app.store.begin().await.unwrap();
    let entries = tx.ledger(0, 10_000).await.unwrap();
    entries
        .into_iter()
        .filter(|entry| entry.act == act)
        .map(|entry| {
            let detail = entry.detail.unwrap_or_default();
            (
                entry.actor,
                serde_json::from_str(&detail).unwrap_or_default(),
            )
        })
        .collect()
}

#[tokio::test]
async fn commands_are_registered_once_and_again_only_when_somebody_changed_them() {
    let (guild, bell, bot) = at_work().await;
    let names: Vec<Value> = guild
        .has_registered(1)
        .await
        .iter()
        .map(|command| command["name"].clone())
        .collect();
    assert!(names.contains(&json!("incident")) && names.contains(&json!("help")));
    bot.stop().await;

    let bot = Running::start(&bell.app);
    guild.has_identified(2).await;
    // Its answer shows that it is past the look at the commands, or will not change them.
    let help = guild.slash(&CAROL, "help", &[]);
    assert!(guild.said(help).await.contains("You are carol here"));
    bot.stop().await;
    assert_eq!(guild.registered(), 1);

    guild.commands_are(vec![
        json!({ "name": "old", "description": "Old", "type": 1 }),
    ]);
    let bot = Running::start(&bell.app);
    let commands = guild.has_registered(2).await;
    assert!(commands.iter().all(|command| command["name"] != "old"));
    bot.stop().await;
}

#[tokio::test]
async fn an_incident_is_opened_moved_and_shown_by_slash_commands() {
    let (guild, bell, bot) = at_work().await;
    let open = guild.slash(
        &CAROL,
        "incident open",
        &[("title", "*Phishing* [x](y)"), ("next_update", "10:30")],
    );
    let first = guild.answer(open).await;
    assert_eq!(first["data"]["flags"], 64);
    let said = guild.said(open).await;
    assert!(said.contains("**INC\\-2603\\-1**"), "{said}");
    assert!(said.contains("\\*Phishing\\* \\[x\\]"), "{said}");
    assert!(
        said.contains("next update by 2 March 2026, 10:30"),
        "{said}"
    );

    let state = guild.slash(
        &CAROL,
        "incident state",
        &[("incident", "1"), ("state", "contained")],
    );
    assert!(guild.said(state).await.contains("contained since"));
    let show = guild.slash(&CAROL, "incident show", &[]);
    let said = guild.said(show).await;
    assert!(
        said.contains("contained") && said.contains("Still open: **none**"),
        "{said}"
    );

    let opened = ledger(&bell, "incident.opened").await;
    assert_eq!(opened[0].0, "carol");
    bot.stop().await;
}

#[tokio::test]
async fn a_guest_acts_by_the_roles_of_the_moment_under_a_name_of_their_own() {
    let (guild, bell, bot) = at_work().await;
    let open = guild.slash(&GUEST, "incident open", &[("title", "Phishing")]);
    assert!(guild.said(open).await.starts_with("Opened."));
    assert_eq!(ledger(&bell, "incident.opened").await[0].0, "discord:32");

    // The same person, whose role was taken away.
    let gone = Who {
        user: GUEST.user,
        roles: &[7],
    };
    let again = guild.slash(&gone, "incident open", &[("title", "Phishing")]);
    assert!(guild.said(again).await.starts_with("You have no role"));

    // A role that reads.
    let open = guild.slash(&READER, "incident open", &[("title", "Phishing")]);
    let said = guild.said(open).await;
    assert!(said.starts_with("That did not work:"), "{said}");
    let progress = guild.slash(&READER, "reset progress", &[]);
    assert!(
        guild
            .said(progress)
            .await
            .contains("New password proven: **none**")
    );
    assert_eq!(ledger(&bell, "incident.opened").await.len(), 1);
    bot.stop().await;
}

#[tokio::test]
async fn strangers_get_a_polite_no_and_a_line_in_the_ledger() {
    let (guild, bell, bot) = at_work().await;
    let title = [("title", "s3ntinel")];
    for (at, who, no, why) in [
        (None, &CAROL, "not in direct messages", "direct_message"),
        (Some(3), &CAROL, "not one of the servers", "unknown_server"),
        (Some(GUILD), &NOBODY, "You have no role", "no_role"),
    ] {
        let before = ledger(&bell, "chat.refused").await.len();
        let open = guild.slash_in(at, who, "incident open", &title);
        let said = guild.said(open).await;
        assert!(said.contains(no), "{said}");
        let refused = ledger(&bell, "chat.refused").await;
        assert_eq!(refused.len(), before + 1);
        let (actor, detail) = refused.last().unwrap();
        assert_eq!(*actor, format!("discord:{}", who.user));
        assert_eq!(*detail, json!({ "why": why, "wanted": "incident open" }));
    }
    // What they typed as a command's name is nowhere.
    let strange = guild.slash_in(Some(3), &NOBODY, "s3ntinel", &[]);
    guild.said(strange).await;
    let refused = ledger(&bell, "chat.refused").await;
    assert_eq!(refused.last().unwrap().1["wanted"], "an unknown command");
    assert!(ledger(&bell, "incident.opened").await.is_empty());
    bot.stop().await;
}

#[tokio::test]
async fn incidents_are_suggested_while_a_name_is_typed_and_to_operators_only() {
    let (guild, _bell, bot) = at_work().await;
    for title in ["Phishing", "Stolen list"] {
        let open = guild.slash(&CAROL, "incident open", &[("title", title)]);
        guild.said(open).await;
    }
    for (who, typed, found) in [
        (&CAROL, "", vec!["2", "1"]),
        (&CAROL, "phish", vec!["1"]),
        (&CAROL, "nothing like it", vec![]),
        (&NOBODY, "", vec![]),
    ] {
        let typing = guild.types(who, "incident state", "incident", typed);
        let answer = guild.answer(typing).await;
        assert_eq!(answer["type"], 8);
        let values: Vec<&str> = answer["data"]["choices"]
            .as_array()
            .unwrap()
            .iter()
            .map(|choice| choice["value"].as_str().unwrap())
            .collect();
        assert_eq!(values, found, "{typed}");
    }
    bot.stop().await;
}

#[tokio::test]
async fn what_cannot_be_is_said_politely_and_nothing_breaks() {
    let (guild, bell, bot) = at_work().await;
    let long = "x".repeat(6000);
    for (words, options, no) in [
        ("incident open", vec![("title", "")], "1 to 200 characters"),
        (
            "incident open",
            vec![("title", long.as_str())],
            "1 to 200 characters",
        ),
        (
            "incident open",
            vec![("title", "write to a@b.example")],
            "no addresses",
        ),
        (
            "incident open",
            vec![("title", "x"), ("next_update", "soon")],
            "write the time as",
        ),
        (
            "incident state",
            vec![("incident", "1; DROP"), ("state", "contained")],
            "choose an incident",
        ),
        (
            "incident state",
            vec![("incident", "99"), ("state", "contained")],
            "nothing of this number",
        ),
        (
            "incident state",
            vec![("incident", "1"), ("state", "s3ntinel")],
            "no such state",
        ),
        ("incident dance", vec![], "no such command"),
        (
            "reset progress",
            vec![("department", "Ministry")],
            "Nobody in a department",
        ),
    ] {
        let asked = guild.slash(&CAROL, words, &options);
        let said = guild.said(asked).await;
        assert!(said.contains(no), "{words}: {said}");
        assert!(!said.contains("s3ntinel"), "{said}");
    }
    let pressed = guild.presses(&CAROL, "st:ok:1:2");
    assert!(
        guild
            .said(pressed)
            .await
            .contains("takes the role approver")
    );
    let pressed = guild.presses(&CAROL, "st:ok:1; DROP:2");
    assert!(guild.said(pressed).await.contains("from another time"));
    let sent = guild.fills_in(&CAROL, "st:9", &[("text", "x")]);
    assert!(guild.said(sent).await.contains("from another time"));
    // What serenity cannot read, and what nobody can.
    for change in [
        (|event: &mut Value| event["data"] = json!(7)) as fn(&mut Value),
        |event| event["data"]["options"] = json!("x"),
        |event| event["type"] = json!(77),
        |event| event["member"]["user"]["id"] = json!("x"),
    ] {
        let id = guild.sends(change);
        assert!(guild.said(id).await.contains("did not understand"));
    }
    // A form of Discord that is newer than serenity is read all the same.
    let newer = guild.sends(|event| {
        let map = event.as_object_mut().unwrap();
        map.remove("entitlements");
        map.remove("attachment_size_limit");
    });
    assert!(guild.said(newer).await.contains("You are carol here"));
    assert!(ledger(&bell, "incident.opened").await.is_empty());
    bot.stop().await;
}
