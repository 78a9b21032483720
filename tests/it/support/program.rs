//! The program itself, run to its end.

use std::path::Path;
use std::process::{Command, Stdio};

use super::flow::{RELAY_PASSWORD, STORE_PASSWORD};

/// What it answered.
#[derive(Debug)]
pub struct Answer {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// The program with this config, by `ann` unless the arguments say otherwise.
pub fn bell(config: &Path, arguments: &[&str]) -> Answer {
    run(command().arg("--config").arg(config).args(arguments))
}

/// The program without anything of ours in its environment.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bell"));
    command
        .env_remove("BELL_CONFIG")
        .env_remove("BELL_OPERATOR")
        .env_remove("BELL_LOG")
        .env("BELL_OPERATOR", "ann")
        .env(STORE_PASSWORD.0, STORE_PASSWORD.1)
        .env(RELAY_PASSWORD.0, RELAY_PASSWORD.1);
    command
}

pub fn run(command: &mut Command) -> Answer {
    let out = command.stdin(Stdio::null()).output().unwrap();
    Answer {
        code: out.status.code().unwrap_or(-1),
        out: String::from_utf8(out.stdout).unwrap(),
        err: String::from_utf8(out.stderr).unwrap(),
    }
}
