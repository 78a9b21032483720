//! The bot's section: as the example shows it, and every mistake with its line.

use super::*;

const REAL: &str =
    "[discord]\nchannel_id = \"1139876543210987654\"\ntoken_env = \"BELL_DISCORD_TOKEN\"\n";

/// What the example shows of the bot, as somebody would write it who follows it.
fn shown() -> String {
    let lines = EXAMPLE
        .lines()
        .skip_while(|line| !line.ends_with("[discord.bot]"));
    lines
        .take_while(|line| line.starts_with("#   "))
        .map(|line| {
            let line = line.trim_start_matches(['#', ' ']);
            line.split("    ").next().unwrap_or_default().to_owned() + "\n"
        })
        .collect()
}

fn with(text: &str) -> String {
    example("##[discord]", &format!("{REAL}{text}\n"))
}

#[test]
fn a_bot_is_read_as_the_example_shows_it() {
    let text = shown();
    assert!(text.contains("[discord.bot.roles]"), "{text}");
    let config = read(&with(&text)).unwrap_or_else(|wrong| panic!("{wrong}\n{text}"));
    let bot = config.discord.as_ref().unwrap().bot().unwrap();
    assert_eq!(bot.guilds.len(), 1);
    assert!(bot.desk_channel.is_some());
    let roles: Vec<Role> = bot.roles.iter().map(|(_, role)| *role).collect();
    assert_eq!(roles, [Role::Approver, Role::Communications]);
}

#[test]
fn without_its_section_there_is_no_bot() {
    let config = read(&with("")).unwrap();
    assert!(config.discord.unwrap().bot().is_none());
}

#[test]
fn what_cannot_be_right_is_told() {
    for (text, told) in [
        ("[discord.bot]", "discord.bot.guild_ids: it is missing"),
        (
            "[discord.bot]\nguild_ids = []",
            "discord.bot.guild_ids: it is missing",
        ),
        (
            "[discord.bot]\nguild_ids = [\"ours\"]",
            "this is no id of Discord's",
        ),
        (
            "[discord.bot]\nguild_ids = [0]",
            "this is no id of Discord's",
        ),
        (
            "[discord.bot]\nguild_ids = [1]\ndesk_chanel_id = 2",
            "did you mean desk_channel_id?",
        ),
        (
            "[discord.bot]\nguild_ids = [1]\n[discord.bot.roles]\npress = [2]",
            "there is no such key here",
        ),
    ] {
        let told_all = errors(&with(text)).join("\n");
        assert!(told_all.contains(told), "{told_all}");
    }
    let folder = example(
        "##[discord]",
        "[discord]\nfile = \"discord\"\n[discord.bot]\nguild_ids = [1]\n",
    );
    let told = errors(&folder).join("\n");
    assert!(told.contains("a bot needs the real Discord"), "{told}");
}

#[test]
fn a_person_on_discord_is_one_operator_and_nobody_is_called_as_we_call_guests() {
    let operator = |name: &str, user: u64| {
        format!(
            "[[operator]]\nname = \"{name}\"\nroles = [\"security\"]\ndiscord_user_id = {user}\n"
        )
    };
    let both = |one: &str, other: &str| example("##[[operator]]", &format!("{one}{other}\n"));
    read(&both(&operator("ann", 31), &operator("ben", 32))).unwrap();
    let told = errors(&both(&operator("ann", 31), &operator("ben", 31))).join("\n");
    assert!(told.contains("a person is one operator"), "{told}");
    let told = errors(&both(&operator("Discord:31", 31), "")).join("\n");
    assert!(told.contains("such a name is given by us"), "{told}");
}
