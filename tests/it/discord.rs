//! Status posts, spoken to a strict stand-in for Discord.

use std::time::Duration;

use division_bell::channels::{Discord, Miss, StatusChannel, StatusLine, StatusPost};
use secrecy::SecretString;
use serde_json::json;

use crate::support::discord::{CHANNEL, Discord as Fake, Reply, TOKEN};

fn channel(fake: &Fake) -> StatusChannel {
    let token = SecretString::from(TOKEN.to_owned());
    let discord = Discord::new(&token, CHANNEL, Some(&fake.base)).unwrap();
    StatusChannel::Discord(discord.with_limit(Duration::from_millis(500)))
}

fn post(state: &str) -> StatusPost {
    StatusPost {
        title: "Password resets".into(),
        state: state.into(),
        text: "We are telling everybody **concerned**. @everyone <@31>".into(),
        lines: vec![StatusLine {
            label: "Reset".into(),
            value: "12 of 90".into(),
        }],
        footer_reference: "DB-2026-0001".into(),
        footer_note: Some("v1".into()),
        picture: None,
    }
}

#[tokio::test]
async fn a_status_is_posted_once_however_often_it_is_posted_and_then_edited_in_place() {
    let fake = Fake::start().await;
    let channel = channel(&fake);
    fake.expect("POST", "messages", Reply::Properly);
    fake.expect("POST", "messages", Reply::Properly);
    let id = channel
        .post(&post("investigating"), "st42v1")
        .await
        .unwrap();
    assert_eq!(
        channel.post(&post("investigating"), "st42v1").await,
        Ok(id.clone())
    );
    fake.expect("PATCH", &format!("messages/{id}"), Reply::Properly);
    channel.edit(&id, &post("resolved")).await.unwrap();
    let messages = fake.messages();
    assert_eq!(messages.len(), 1);
    let embed = &messages[0]["embeds"][0];
    assert_eq!(embed["fields"][0]["value"], "resolved");
    assert_eq!(
        embed["fields"][1],
        json!({ "name": "Reset", "value": "12 of 90", "inline": false })
    );
    assert_eq!(embed["footer"]["text"], "DB-2026-0001 · v1");
    let text = embed["description"].as_str().unwrap();
    assert!(
        !text.contains("@everyone") && !text.contains("<@31>") && !text.contains(" **"),
        "{text}"
    );
}

#[tokio::test]
async fn a_post_that_nobody_confirmed_is_found_again_by_its_reference() {
    let fake = Fake::start().await;
    let channel = channel(&fake);
    fake.expect("POST", "messages", Reply::Silently);
    assert_eq!(
        channel.post(&post("investigating"), "st42v1").await,
        Err(Miss::Unsure)
    );
    fake.somebody_posts(true, "DB-2026-00011");
    fake.somebody_posts(false, "DB-2026-0001");
    for _ in 0..2 {
        fake.expect("GET", "messages?limit=50", Reply::Properly);
    }
    let found = channel.find_recent("DB-2026-0001").await.unwrap().unwrap();
    assert_eq!(fake.messages()[0]["id"], found.0);
    assert_eq!(channel.find_recent("DB-2026-0002").await, Ok(None));
    fake.expect("POST", "messages", Reply::Properly);
    assert_eq!(
        channel.post(&post("investigating"), "st42v1").await,
        Ok(found)
    );
    assert_eq!(fake.messages().len(), 3);
}

#[tokio::test]
async fn a_deleted_message_is_gone_and_can_be_posted_anew() {
    let fake = Fake::start().await;
    let channel = channel(&fake);
    fake.expect("POST", "messages", Reply::Properly);
    let id = channel
        .post(&post("investigating"), "st42v1")
        .await
        .unwrap();
    fake.everything_is_deleted();
    fake.expect("PATCH", &format!("messages/{id}"), Reply::Properly);
    assert_eq!(channel.edit(&id, &post("resolved")).await, Err(Miss::Gone));
    fake.expect("POST", "messages", Reply::Properly);
    channel.post(&post("resolved"), "st42v2").await.unwrap();
    assert_eq!(fake.messages().len(), 1);
}

#[tokio::test]
async fn each_refusal_says_whether_repeating_helps() {
    let fake = Fake::start().await;
    let channel = channel(&fake);
    let code = |code: i64| json!({ "code": code, "message": "because" });
    let slow = json!({ "message": "slow down", "retry_after": 1.5, "global": false });
    for (reply, miss) in [
        // serenity keeps neither the header nor the time in the body.
        (Reply::With(429, slow, Some("2")), Miss::Later(None)),
        (
            Reply::With(429, json!("no object"), Some("2")),
            Miss::Later(None),
        ),
        (Reply::With(502, json!("bad gateway"), None), Miss::Unsure),
        (Reply::With(200, json!("no message"), None), Miss::Unsure),
        (Reply::Silently, Miss::Unsure),
    ] {
        fake.expect("POST", "messages", reply);
        assert_eq!(channel.post(&post("open"), "st42v1").await, Err(miss));
    }
    for (status, number, words) in [
        (401, 0, "the bot's token is not valid"),
        (403, 50013, "the bot lacks a permission"),
        (404, 10003, "there is no such channel"),
        (400, 50035, "discord refused"),
    ] {
        fake.expect("POST", "messages", Reply::With(status, code(number), None));
        let Err(Miss::Never(why)) = channel.post(&post("open"), "st42v1").await else {
            panic!("{status}");
        };
        assert!(why.words.starts_with(words), "{why}");
    }
    assert_eq!(fake.messages().len(), 1, "the one whose answer was lost");
}

#[tokio::test]
async fn where_nobody_listens_nothing_has_arrived() {
    let token = SecretString::from(TOKEN.to_owned());
    let base = format!("http://127.0.0.1:{}", crate::support::relay::nobody());
    let channel = StatusChannel::Discord(Discord::new(&token, CHANNEL, Some(&base)).unwrap());
    assert_eq!(
        channel.post(&post("open"), "st42v1").await,
        Err(Miss::Later(None))
    );
    assert_eq!(channel.check().await, Err(Miss::Later(None)));
}

#[tokio::test]
async fn whatever_the_text_discord_takes_it() {
    let fake = Fake::start().await;
    let channel = channel(&fake);
    let long = "*<@1> #x [y](z) 😀\n".repeat(1000);
    let line = StatusLine {
        label: long.clone(),
        value: String::new(),
    };
    let huge = StatusPost {
        title: String::new(),
        state: long.clone(),
        text: long.clone(),
        lines: vec![line; 40],
        footer_reference: long.clone(),
        footer_note: Some(long),
        picture: None,
    };
    fake.expect("POST", "messages", Reply::Properly);
    channel.post(&huge, &"n".repeat(25)).await.unwrap();
    let Err(Miss::Never(_)) = channel.post(&huge, &"n".repeat(26)).await else {
        panic!("a nonce that is too long was sent");
    };
}
