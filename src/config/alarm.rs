//! How an operator is told that something is wrong: `[alarm]`.

use std::time::Duration;

use chrono::TimeDelta;
use reqwest::Url;
use serde::Serialize;

use super::hashed;
use super::section::{Parsed, Read, Section, Value};
use super::values::{DAY, delta, is_private, line};

/// How an operator is told, beside the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alarm {
    /// A program and its arguments, which gets the text on its standard input; none if it is empty.
    pub command: Vec<String>,
    /// Who hears that a self-audit was good. Whoever misses it raises the alarm that we cannot.
    pub heartbeat: Option<Heartbeat>,
    /// What goes on being wrong is told again after this long, not before.
    #[serde(serialize_with = "hashed::delta")]
    pub every: TimeDelta,
}

/// An address that is asked for after each good round; its path may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Heartbeat(Url);

impl Heartbeat {
    /// The address.
    pub const fn url(&self) -> &Url {
        &self.0
    }
}

impl std::fmt::Debug for Heartbeat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Heartbeat(…)")
    }
}

impl Serialize for Heartbeat {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.0.as_str())
    }
}

fn heartbeat(value: &Value<'_>) -> Parsed<Heartbeat> {
    let text = line(value)?;
    let url = Url::parse(&text).ok().filter(is_private);
    url.map(Heartbeat).ok_or_else(|| {
        "this is no address to ask for; use https://, or http:// on this machine".into()
    })
}

pub(super) fn alarm(root: &Section<'_>) -> Read<Alarm> {
    let own = root.section("alarm");
    let command = own.list("command", line);
    let heartbeat = own.optional("heartbeat", heartbeat);
    let every = own.or(
        "every",
        delta(Duration::from_secs(60), 7 * DAY),
        TimeDelta::hours(1),
    );
    own.finish_after(|own| {
        let command = match command? {
            None => Vec::new(),
            Some(words) if words.is_empty() => {
                return Err(own.wrong(
                    "command",
                    "no program is named; name one, or leave the key out",
                ));
            }
            Some(mut words) => {
                // As everywhere in the file, a relative path starts from its folder; a bare name is looked up in PATH.
                if let Some(program) = words.first_mut().filter(|word| word.contains('/')) {
                    *program = own.folder().join(&*program).display().to_string();
                }
                words
            }
        };
        Ok(Alarm {
            command,
            heartbeat: heartbeat?,
            every: every?,
        })
    })
}
