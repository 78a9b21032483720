//! Secrets come from their places, and no error, print or hash shows one.

use std::fs;

use secrecy::ExposeSecret;

use super::*;

#[test]
fn secrets_come_from_the_environment_or_a_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("relay-password"), "s3ntinel-file\r\n").unwrap();
    let smtp = |key: &str| {
        let text = format!("kind = \"smtp\"\nhost = \"mx.parl.example\"\nuser = \"bell\"\n{key}");
        let text = example("kind = \"folder\"", &text);
        let config = Config::from_text(&text, &folder.path().join(FILE), &env).unwrap();
        let RelayWay::Smtp(smtp) = config.mail.relay.way else {
            panic!("no relay")
        };
        let Some(SignIn {
            proof: Proof::Password(password),
            ..
        }) = smtp.sign_in
        else {
            panic!("no password")
        };
        password.expose_secret().to_owned()
    };
    assert_eq!(
        smtp("password_env = \"BELL_RELAY_PASSWORD\""),
        "s3ntinel-relay"
    );
    assert_eq!(smtp("password_file = \"relay-password\""), "s3ntinel-file");

    let text = "[store]\nurl = \"postgres://bell@db.parl.example/bell\"\npassword_env = \"BELL_STORE_PASSWORD\"\n#";
    let config = read(&example("[store]\n", text)).unwrap();
    let StoreUrl::Postgres { url, password } = config.store else {
        panic!("no server")
    };
    assert_eq!(url, "postgres://bell@db.parl.example/bell");
    assert_eq!(password.unwrap().expose_secret(), "s3ntinel-store");

    let text = "[discord]\nchannel_id = \"1139876543210987654\"\ntoken_env = \"BELL_DISCORD_TOKEN\"\napi_base = \"http://127.0.0.1:8080\"";
    let config = read(&example("##[discord]", text)).unwrap();
    let Some(Discord::Channel {
        channel_id, token, ..
    }) = config.discord
    else {
        panic!("no channel")
    };
    assert_eq!(channel_id.get(), 1_139_876_543_210_987_654);
    assert_eq!(token.expose_secret(), "s3ntinel-token");
}

/// Ways to put a secret in the wrong place, or to name its place wrongly: every one is an error that does not show it.
#[test]
fn no_error_shows_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    file("two-lines", b"s3ntinel\ns3ntinel\n");
    file("empty", b"\n");
    file("binary", b"s3ntinel\xff");
    file("large", "s3ntinel".repeat(2000).as_bytes());
    for (from, to) in [
        ("[mail.relay]", "[mail.relay]\npassword = \"s3ntinel\""),
        ("[mail.relay]", "[mail.relay]\npassword = [\"s3ntinel\"]"),
        ("[mail.relay]", "[mail.relay]\npassword_env = \"s3ntinel!\""),
        ("[mail.relay]", "[mail.relay]\npassword_env = \"s3ntinel\""),
        ("[mail.relay]", "[mail.relay]\npassword_env = \"BROKEN\""),
        ("[mail.relay]", "[mail.relay]\npassword_env = \"EMPTY\""),
        ("[mail.relay]", "[mail.relay]\npassword_file = \"s3ntinel\""),
        (
            "[mail.relay]",
            "[mail.relay]\npassword_file = \"two-lines\"",
        ),
        ("[mail.relay]", "[mail.relay]\npassword_file = \"empty\""),
        ("[mail.relay]", "[mail.relay]\npassword_file = \"binary\""),
        ("[mail.relay]", "[mail.relay]\npassword_file = \"large\""),
        ("[mail.relay]", "[mail.relay]\npassword_file = \".\""),
        (
            "[mail.relay]",
            "[mail.relay]\npassword_file = \"binary\"\npassword_env = \"BROKEN\"",
        ),
        ("[mail.relay]", "[mail.relay]\npasswd = \"s3ntinel\""),
        ("[mail.relay]", "[mail.relay]\npassword = \"s3ntinel"),
        ("[mail.relay]", "[mail.relay]\npassword = s3ntinel"),
        (
            "##[discord]",
            "[discord]\ntoken = \"s3ntinel\"\nchannel_id = 5\ntoken_env = \"EMPTY\"",
        ),
        (
            "##[discord]",
            "[discord]\nchannel_id = 5\ntoken_env = \"BELL_DISCORD_TOKEN\"\napi_base = \"https://s3ntinel:s3ntinel@discord.example\"",
        ),
        (
            "[store]",
            "[store]\nurl = \"postgres://bell:s3ntinel@db/bell\"",
        ),
        (
            "[store]",
            "[store]\nurl = \"postgres://bell@db/bell?password=s3ntinel\"",
        ),
        (
            "[store]",
            "[store]\nurl = \"postgres://bell@db/bell?p%61ssword=s3ntinel\"",
        ),
        (
            "[store]",
            "[store]\nurl = \"postgres://bell:s3ntinel@[db/bell\"",
        ),
        ("[store]", "[store]\npassword = \"s3ntinel\""),
    ] {
        let text = example(from, to);
        let wrong = Config::from_text(&text, &folder.path().join(FILE), &env).expect_err(to);
        assert!(!wrong.to_string().contains("s3ntinel"), "{wrong}");
        assert!(!format!("{wrong:?}").contains("s3ntinel"), "{wrong:?}");
    }
}

#[test]
fn a_config_with_secrets_shows_none_of_them_and_its_hash_knows_none_of_them() {
    let text = example("kind = \"folder\"", "kind = \"smtp\"\nhost = \"mx.parl.example\"\nuser = \"bell\"\npassword_env = \"BELL_RELAY_PASSWORD\"")
        .replace("##[discord]", "[discord]\nchannel_id = 5\ntoken_env = \"BELL_DISCORD_TOKEN\"")
        .replace("[store]\n", "[store]\nurl = \"postgres://bell@db/bell\"\npassword_env = \"BELL_STORE_PASSWORD\"\n");
    let config = read(&text).unwrap();
    let shown = format!("{config:?} {}", serde_json::to_string(&config).unwrap());
    assert!(!shown.contains("s3ntinel"), "{shown}");
    let changed = |name: &str| env(name).map(|value| value.replace("s3ntinel", "an0ther"));
    let other = Config::from_text(&text, Path::new(FILE), &changed).unwrap();
    assert_eq!(config.hash(), other.hash());
}
