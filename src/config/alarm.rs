//! How an operator is told that something is wrong: `[alarm]`.

use std::time::Duration;

use chrono::TimeDelta;
use serde::Serialize;

use super::hashed;
use super::section::{Read, Section};
use super::values::{DAY, delta, line};

/// How an operator is told, beside the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alarm {
    /// A program and its arguments, which gets the text on its standard input; none if it is empty.
    pub command: Vec<String>,
    /// What goes on being wrong is told again after this long, not before.
    #[serde(serialize_with = "hashed::delta")]
    pub every: TimeDelta,
}

pub(super) fn alarm(root: &Section<'_>) -> Read<Alarm> {
    let own = root.section("alarm");
    let command = own.list("command", line);
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
            every: every?,
        })
    })
}
