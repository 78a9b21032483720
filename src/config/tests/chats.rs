//! Chats and audiences: what is right, and each mistake.

use super::*;
use crate::domain::audience::Audience;

fn with(more: &str) -> String {
    format!("{EXAMPLE}\n[discord]\nchannel_id = \"21\"\ntoken_env = \"BELL_DISCORD_TOKEN\"\n{more}")
}

fn chat(name: &str, kind: &str) -> String {
    format!("[[chat]]\nname = \"{name}\"\n{kind}\n")
}

const SLACK: &str = "kind = \"slack\"\nchannel = \"C1\"\ntoken_env = \"BELL_SLACK_TOKEN\"";

#[test]
fn without_audiences_everybody_in_the_house_reads_everything() {
    let config = read(&with(&chat("slack", SLACK))).unwrap_or_else(|wrong| panic!("{wrong}"));
    let readers = config.chats.readers_of(STATUS).unwrap();
    assert_eq!((readers.audience, readers.status), (Audience::Staff, true));
    assert!(config.chats.readers_of("slack").is_some());
    assert!(config.chats.readers_of("elsewhere").is_none());
    let nothing = read(EXAMPLE).unwrap();
    assert!(nothing.chats.readers_of(STATUS).is_none());
}

#[test]
fn status_posts_are_for_staff_unless_somebody_says_otherwise() {
    let audiences = "[[audience]]\nname = \"staff\"\nchannels = [\"status\"]\n[[audience]]\nname = \"press\"\nchannels = [\"slack\"]\n";
    let text = with(&format!("{}{audiences}", chat("slack", SLACK)));
    let config = read(&text).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(config.chats.readers_of(STATUS).unwrap().status);
    assert!(!config.chats.readers_of("slack").unwrap().status);
}

#[test]
fn no_channel_is_read_by_two_audiences_and_every_mistake_says_what_to_do() {
    let audience = |name: &str, channel: &str| {
        format!("[[audience]]\nname = \"{name}\"\nchannels = [\"{channel}\"]\n")
    };
    for (more, wanted) in [
        (
            audience("staff", "status") + &audience("press", "status"),
            "\"status\" is read by staff already",
        ),
        (audience("staff", "stauts"), "did you mean status?"),
        (
            audience("staff", "status") + &audience("staff", "status"),
            "this audience is there already",
        ),
        (
            "[[audience]]\nname = \"staff\"\n".to_owned(),
            "channels: it is missing",
        ),
        (chat("status", SLACK), "\"status\" is there already"),
        (
            chat(
                "a",
                "kind = \"slack\"\nchannel = \"#general\"\ntoken_env = \"BELL_SLACK_TOKEN\"",
            ),
            "copy the id, not the name",
        ),
        (
            chat(
                "a",
                "kind = \"slack\"\nchannel = \"C1\"\ntoken = \"xoxb-s3ntinel\"",
            ),
            "a secret does not belong in this file",
        ),
        (
            chat(
                "a",
                "kind = \"mattermost\"\nurl = \"http://chat.parl.example\"\nchannel = \"c\"\ntoken_env = \"BELL_MATTERMOST_TOKEN\"",
            ),
            "use https://",
        ),
        (
            chat(
                "a",
                "kind = \"teams\"\nurl = \"https://x.example/s3ntinel\"",
            ),
            "a secret does not belong in this file",
        ),
        (
            chat("a", "kind = \"teams\"\nurl_env = \"BELL_SLACK_TOKEN\""),
            "no address to post to",
        ),
        (
            chat("a", "kind = \"webhook\"\nurl = \"https://x.example/\""),
            "secret_env: it is missing",
        ),
        (chat("a", "kind = \"irc\""), "known are"),
    ] {
        let told = errors(&with(&more)).join("\n");
        assert!(told.contains(wanted), "{more}: {told}");
        assert!(!told.contains("s3ntinel"), "{told}");
    }
    let folder = format!(
        "{EXAMPLE}\n[discord]\nfile = \"x\"\n{}",
        chat("a", "kind = \"discord\"\nchannel_id = \"5\"")
    );
    let told = errors(&folder).join("\n");
    assert!(told.contains("there is no bot"), "{told}");
}
