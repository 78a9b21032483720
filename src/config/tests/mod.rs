//! What people see of the config: the example, its defaults, and every error with its line.

mod bot;
mod chats;
mod example;
mod files;
mod hostile;
mod inbox;
mod ldap;
mod mistakes;
mod rates;
mod secrets;
mod ways;
mod web;

use std::path::Path;

use super::*;

const FILE: &str = "config.toml";

fn no_env(_: &str) -> Option<String> {
    None
}

fn env(name: &str) -> Option<String> {
    let value = match name {
        "BELL_RELAY_PASSWORD" => "s3ntinel-relay",
        "BELL_STORE_PASSWORD" => "s3ntinel-store",
        "BELL_DISCORD_TOKEN" => "s3ntinel-token",
        "BELL_LDAP_PASSWORD" => "s3ntinel-ldap",
        "BELL_NOTIFY_KEY" => "s3ntinel-notify",
        "BELL_SMS_TOKEN" => "s3ntinel-sms",
        "BELL_GRAPH_SECRET" => "s3ntinel-graph",
        "BELL_SLACK_TOKEN" => "s3ntinel-slack",
        "BELL_MATTERMOST_TOKEN" => "s3ntinel-mattermost",
        "BELL_TEAMS_URL" => "https://teams.example/s3ntinel",
        "BELL_WEBHOOK_SECRET" => "s3ntinel-webhook",
        "BELL_HIBP_KEY" => "s3ntinel-hibp",
        "BELL_AUDIT_TOKEN" => "s3ntinel-audit",
        "BELL_OKTA_TOKEN" => "s3ntinel-okta",
        "BELL_KEYCLOAK_SECRET" => "s3ntinel-keycloak",
        "BELL_OIDC_SECRET" => "s3ntinel-oidc",
        "BROKEN" => "s3ntinel\nbroken",
        "EMPTY" => "",
        _ => return None,
    };
    Some(value.to_owned())
}

fn read(text: &str) -> Result<Config, ConfigErrors> {
    Config::from_text(text, Path::new(FILE), &env)
}

/// The lines of what is wrong, as a person sees them.
fn errors(text: &str) -> Vec<String> {
    let wrong = read(text).expect_err("this text is wrong");
    wrong.to_string().lines().map(str::to_owned).collect()
}

/// The example with `from`, which must be there, replaced.
fn example(from: &str, to: &str) -> String {
    assert!(EXAMPLE.contains(from), "{from}");
    EXAMPLE.replacen(from, to, 1)
}

/// The example with its marks taken away: those of defaults, and those of examples if asked for.
fn unmarked(examples_too: bool) -> String {
    let unmark = |line: &'static str| {
        let is_key = |rest: &str| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[');
        match (line.strip_prefix("##"), line.strip_prefix('#')) {
            (Some(rest), _) if examples_too && is_key(rest) => rest,
            (None, Some(rest)) if is_key(rest) => rest,
            _ => line,
        }
    };
    EXAMPLE.lines().map(unmark).collect::<Vec<_>>().join("\n")
}
