//! `bell completions` and `bell man`: what a package puts beside the program, made of the very flags it has.

use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;
use serde_json::json;

use super::Said;
use crate::cli::Cli;

pub(super) fn completions(shell: clap_complete::Shell) -> anyhow::Result<Said> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "bell", &mut script);
    let script = String::from_utf8(script).context("a script that is no text")?;
    let json = json!({ "shell": shell.to_string(), "script": script });
    Ok(Said::words(script, json))
}

pub(super) fn man(dir: &Path) -> anyhow::Result<Said> {
    std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    clap_mangen::generate_to(Cli::command(), dir)
        .with_context(|| format!("writing to {}", dir.display()))?;
    Ok(Said::words(
        format!("the manual is in {}; man bell begins it", dir.display()),
        json!({ "folder": dir }),
    ))
}
