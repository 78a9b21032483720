//! File: one line an account, appended as a whole or not at all, for somebody else's program to read.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::HandOverRequest;
use crate::domain::hand_over::Answer;

/// A file of hand-overs.
#[derive(Debug, Clone)]
pub struct HandOverFile {
    path: PathBuf,
}

const HEADER: [&str; 6] = ["account", "login", "demand", "reference", "at", "key"];

impl HandOverFile {
    /// Lines go to the end of `path`, which is made when the first is written, for its owner and group to read.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a line for each, in one write that is on the disk before it counts. A reader that takes an exclusive lock
    /// (`flock`) before it takes lines away sees whole lines only.
    pub(super) async fn append(&self, requests: &[HandOverRequest]) -> Vec<Answer> {
        let Ok(lines) = requests.iter().map(line).collect::<Result<Vec<_>, _>>() else {
            let answer = Answer::Refused {
                word: "no_csv",
                proof: None,
            };
            return vec![answer; requests.len()];
        };
        let path = self.path.clone();
        let block = lines.clone();
        let written = tokio::task::spawn_blocking(move || append(&path, &block))
            .await
            .unwrap_or(Err(Failed::InDoubt));
        match written {
            Ok(()) => lines
                .iter()
                .map(|line| Answer::Done {
                    word: "written",
                    proof: format!("sha256 {}", HEXLOWER.encode(&Sha256::digest(line))),
                })
                .collect(),
            Err(Failed::Nothing) => vec![Answer::Later { word: "unwritable" }; requests.len()],
            Err(Failed::InDoubt) => {
                vec![
                    Answer::InDoubt {
                        word: "half_written"
                    };
                    requests.len()
                ]
            }
        }
    }
}

#[derive(Debug)]
enum Failed {
    /// The file is what it was.
    Nothing,
    /// Lines may be in it, or parts of them.
    InDoubt,
}

fn line(request: &HandOverRequest) -> Result<Vec<u8>, csv::Error> {
    let at = request.at.to_string();
    record(&[
        &request.account,
        &request.login,
        request.demand.word(),
        &request.reference,
        &at,
        &request.key,
    ])
}

fn record(fields: &[&str]) -> Result<Vec<u8>, csv::Error> {
    let mut out = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    out.write_record(fields)?;
    out.into_inner()
        .map_err(|error| csv::Error::from(io::Error::other(error.into_error().to_string())))
}

fn append(path: &Path, lines: &[Vec<u8>]) -> Result<(), Failed> {
    let nothing = |_: io::Error| Failed::Nothing;
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
        .map_err(nothing)?;
    file.lock().map_err(nothing)?;
    let before = file.metadata().map_err(nothing)?.len();
    let mut block = Vec::new();
    if before == 0 {
        block.extend(record(&HEADER).map_err(|_| Failed::Nothing)?);
    }
    block.extend(lines.iter().flatten());
    let written = file.write_all(&block).and_then(|()| file.sync_all());
    match written {
        Ok(()) => Ok(()),
        // What a full disk has cut off is taken back, while nobody else looks.
        Err(_) => undo(&file, before),
    }
}

fn undo(file: &File, before: u64) -> Result<(), Failed> {
    match file.set_len(before).and_then(|()| file.sync_all()) {
        Ok(()) => Err(Failed::Nothing),
        Err(_) => Err(Failed::InDoubt),
    }
}
