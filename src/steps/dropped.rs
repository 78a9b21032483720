//! Drop folders → audits. A file that was taken in moves to `taken-in`, one that was refused to `refused`; nothing is lost.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use serde::Serialize;

use super::intake::{Intake, Options, intake};
use crate::app::App;

/// A file that changed this recently may still be being written.
const SETTLED: Duration = Duration::from_secs(10);

/// What the drop folders held.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Dropped {
    /// Files that were taken in.
    pub taken: Vec<Intake>,
    /// Files that were refused, and why.
    pub refused: Vec<String>,
}

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} audit files taken in, {} refused",
            self.taken.len(),
            self.refused.len()
        )
    }
}

/// Takes in what lies in the sources' folders. A source without one has a folder of its name in the schedule's.
pub async fn take(app: &App) -> anyhow::Result<Dropped> {
    let mut dropped = Dropped::default();
    for source in &app.config.sources {
        let folder = source
            .folder
            .clone()
            .unwrap_or_else(|| app.config.schedule.drop_folder.join(&source.name));
        for file in waiting(&folder)? {
            let options = Options {
                source: Some(source.name.clone()),
                ..Options::default()
            };
            match intake(app, &file, &options, "bell").await {
                Ok(intake) => {
                    put_away(&file, "taken-in")?;
                    dropped.taken.push(intake);
                }
                // A database that is away is no fault of the file.
                Err(error)
                    if error
                        .chain()
                        .any(|cause| cause.is::<crate::store::StoreError>()) =>
                {
                    return Err(error);
                }
                Err(error) => {
                    tracing::error!(source.name = %source.name, "an audit file was refused: {error:#}");
                    put_away(&file, "refused")?;
                    dropped.refused.push(format!("{error:#}"));
                }
            }
        }
    }
    Ok(dropped)
}

/// Files that are whole, in the order of their names. A folder that is not there holds none.
fn waiting(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("reading {}", folder.display())),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        let about = entry.metadata()?;
        let settled = about
            .modified()
            .ok()
            .and_then(|at| SystemTime::elapsed(&at).ok())
            .is_some_and(|age| age >= SETTLED);
        if about.is_file() && settled && !entry.file_name().as_encoded_bytes().starts_with(b".") {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

fn put_away(file: &Path, folder: &str) -> anyhow::Result<()> {
    let (Some(parent), Some(name)) = (file.parent(), file.file_name()) else {
        return Ok(());
    };
    let folder = parent.join(folder);
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let mut to = folder.join(name);
    let mut nth = 1;
    while to.exists() {
        nth += 1;
        to = folder.join(format!("{}.{nth}", name.to_string_lossy()));
    }
    std::fs::rename(file, &to)
        .with_context(|| format!("moving {} to {}", file.display(), to.display()))
}
