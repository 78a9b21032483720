//! What goes wrong between Discord and the bot: nothing is done twice, nothing is lost silently, and it comes back.

use std::time::Duration;

use super::*;
use crate::support::child::Start;
use crate::support::seen;

async fn alarm(bell: &Bell) -> Option<String> {
    let mut tx = bell.app.store.begin().await.unwrap();
    let alarms = tx.alarms().await.unwrap();
    alarms
        .into_iter()
        .find(|alarm| alarm.name.starts_with("discord."))
        .map(|alarm| alarm.text)
}

async fn alarmed(bell: &Bell) -> String {
    let until = std::time::Instant::now() + crate::support::PATIENCE;
    loop {
        if let Some(text) = alarm(bell).await {
            return text;
        }
        assert!(std::time::Instant::now() < until, "no alarm");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whether it answers at all.
async fn answers(guild: &Guild) {
    let help = guild.slash(&CAROL, "help", &[]);
    assert!(guild.said(help).await.contains("You are carol here"));
}

#[tokio::test]
async fn what_was_asked_while_the_line_was_down_is_answered_once_it_is_resumed() {
    let (guild, bell, bot) = at_work().await;
    let before = guild.slash(&CAROL, "incident open", &[("title", "Before")]);
    guild.said(before).await;
    for nth in 1..=2 {
        guild.cuts();
        let between = guild.slash(&CAROL, "incident open", &[("title", "Between")]);
        assert!(guild.said(between).await.starts_with("Opened."));
        guild.has_resumed(nth).await;
    }
    guild.asks_to_reconnect();
    guild.has_resumed(3).await;
    answers(&guild).await;
    assert_eq!(guild.identified(), 1);
    assert_eq!(guild.registered(), 1);
    assert_eq!(ledger(&bell, "incident.opened").await.len(), 3);
    bot.stop().await;
}

#[tokio::test]
async fn the_same_thing_heard_twice_is_done_once() {
    let (guild, bell, bot) = at_work().await;
    let open = guild.slash(&CAROL, "incident open", &[("title", "Once")]);
    for _ in 0..3 {
        guild.again(open);
    }
    assert!(guild.said(open).await.starts_with("Opened."));
    guild.again(open);
    answers(&guild).await;
    assert_eq!(ledger(&bell, "incident.opened").await.len(), 1);
    bot.stop().await;
}

#[tokio::test]
async fn two_instances_with_one_database_do_what_is_asked_once() {
    let (guild, bell, one) = at_work().await;
    let two = Running::start(&bell.again().await);
    guild.has_identified(2).await;
    for title in ["One", "Two", "Three"] {
        let open = guild.slash(&CAROL, "incident open", &[("title", title)]);
        assert!(guild.said(open).await.starts_with("Opened."));
    }
    one.stop().await;
    let alone = guild.slash(&CAROL, "incident open", &[("title", "Four")]);
    assert!(guild.said(alone).await.starts_with("Opened."));
    assert_eq!(ledger(&bell, "incident.opened").await.len(), 4);
    two.stop().await;
}

#[tokio::test]
async fn a_session_that_discord_forgot_is_begun_anew_and_its_commands_are_left_alone() {
    let (guild, _bell, bot) = at_work().await;
    guild.forgets();
    guild.has_identified(2).await;
    answers(&guild).await;
    assert_eq!(guild.registered(), 1);
    bot.stop().await;
}

#[tokio::test]
async fn heartbeats_keep_the_line_alive() {
    let (guild, _bell, bot) = at_work().await;
    seen("heartbeats", || (guild.heartbeats() >= 2).then_some(())).await;
    assert_eq!(guild.identified(), 1);
    bot.stop().await;
}

#[tokio::test]
async fn a_token_that_was_revoked_ends_the_bot_with_an_alarm_and_without_a_storm() {
    let (guild, bell, bot) = at_work().await;
    guild.revokes_the_token();
    let text = alarmed(&bell).await;
    assert!(text.contains("does not know its token"), "{text}");
    assert!(!text.contains(TOKEN));
    seen("its end", || bot.is_over().then_some(())).await;
    let identified = guild.identified();
    assert!(identified <= 2, "{identified}");

    // Nor does it begin with one that is none.
    let again = Running::start(&bell.app);
    seen("its end", || again.is_over().then_some(())).await;
    assert_eq!(guild.identified(), identified);
}

#[tokio::test]
async fn an_answer_that_takes_longer_is_announced_within_three_seconds_and_comes_later() {
    let (guild, bell, bot) = at_work().await;
    // Somebody else writes, and for a while nobody can.
    let busy = bell.app.store.begin().await.unwrap();
    let open = guild.slash(&CAROL, "incident open", &[("title", "Slow")]);
    let first = guild.answer(open).await;
    assert_eq!(first, json!({ "type": 5, "data": { "flags": 64 } }));
    let pressed = guild.presses(&CAROL, "st:old");
    assert_eq!(guild.answer(pressed).await, json!({ "type": 6 }));
    busy.rollback().await.unwrap();
    assert!(guild.said(open).await.starts_with("Opened."));
    let further = guild.followed_up(pressed).await;
    assert_eq!(further["flags"], 64);
    assert_eq!(ledger(&bell, "incident.opened").await.len(), 1);
    bot.stop().await;
}

#[tokio::test]
async fn a_call_that_discord_slows_down_or_loses_is_made_again() {
    let guild = Guild::start().await;
    let bell = bell(&guild, None).await;
    let slow =
        json!({ "message": "You are being rate limited.", "retry_after": 0.3, "global": false });
    guild.refuses("GET", "/gateway", 503, None, json!({}));
    guild.refuses("GET", "/commands", 429, Some("1"), slow.clone());
    guild.refuses("PUT", "/commands", 429, Some("1"), json!("slow down"));
    guild.refuses("PUT", "/commands", 502, None, json!("bad gateway"));
    let bot = Running::start(&bell.app);
    guild.has_registered(1).await;
    guild.refuses("POST", "/callback", 429, Some("1"), slow);
    answers(&guild).await;
    assert_eq!(alarm(&bell).await, None);
    bot.stop().await;
}

#[tokio::test]
async fn commands_that_discord_does_not_take_are_an_alarm_that_says_what_to_do() {
    let guild = Guild::start().await;
    let bell = bell(&guild, None).await;
    let no = json!({ "code": 50001, "message": "Missing Access" });
    guild.refuses("GET", "/commands", 403, None, no);
    let bot = Running::start(&bell.app);
    let text = alarmed(&bell).await;
    assert!(text.contains("applications.commands"), "{text}");
    // The bot is there all the same.
    answers(&guild).await;
    bot.stop().await;
}

#[tokio::test]
async fn where_nobody_answers_it_waits_and_stops_when_it_is_told() {
    let guild = Guild::start().await;
    let bell = bell(&guild, None).await;
    guild.goes_dark(true);
    let bot = Running::start(&bell.app);
    tokio::task::yield_now().await;
    bot.stop().await;
    assert_eq!(guild.identified(), 0);
}

#[tokio::test]
async fn a_killed_program_that_is_started_again_goes_on_and_the_bot_ends_with_serve() {
    let guild = Guild::start().await;
    let bell = bell(&guild, None).await;
    let first = Start::new(&bell, &["serve"]).run();
    guild.has_registered(1).await;
    answers(&guild).await;
    first.kill();

    let mut second = Start::new(&bell, &["serve"]).run();
    guild.has_identified(2).await;
    let open = guild.slash(&CAROL, "incident open", &[("title", "After")]);
    assert!(guild.said(open).await.starts_with("Opened."));
    assert_eq!(guild.registered(), 1);
    crate::support::run(
        std::process::Command::new("kill").args(["-TERM", &second.pid().to_string()]),
    );
    let status = second.ended(Duration::from_secs(10)).await;
    assert!(status.success(), "{}", second.said());
    assert!(!second.said().contains(TOKEN));
}

#[tokio::test]
async fn a_bot_that_cannot_come_in_holds_up_no_letter() {
    let guild = Guild::start().await;
    let bell = bell(&guild, None).await;
    guild.revokes_the_token();
    let mut serving = Start::new(&bell, &["serve"]).run();
    let text = alarmed(&bell).await;
    assert!(text.contains("everything else goes on"), "{text}");
    assert!(!serving.is_over());
    crate::support::run(
        std::process::Command::new("kill").args(["-TERM", &serving.pid().to_string()]),
    );
    assert!(serving.ended(Duration::from_secs(10)).await.success());
}
