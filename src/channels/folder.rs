//! Folder: a relay that is a folder of .eml files, for the demo and for looking at letters in a mail program.

use std::io;
use std::path::{Path, PathBuf};

use mail_parser::MessageParser;
use sha2::{Digest, Sha256};

use super::Sent;
use crate::domain::delivery::{Answer, RelayTexts, Reply, Stage};

/// A folder into which letters are written, a file each.
#[derive(Debug, Clone)]
pub struct Folder {
    dir: PathBuf,
}

impl Folder {
    /// Letters go into `dir`, which is made when the first is written.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Where the letters are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether a letter could be written now.
    pub(super) async fn check(&self) -> Result<(), Sent> {
        let probe = self.dir.join(".probe");
        let tried = async {
            tokio::fs::create_dir_all(&self.dir).await?;
            tokio::fs::write(&probe, b"").await?;
            tokio::fs::remove_file(&probe).await
        };
        tried.await.map_err(|error| unwritable(&error))
    }

    /// Writes the bytes, and nothing but them, under a name made from the letter's own Date and Message-ID: the same letter
    /// again is the same file. A reader never sees half a letter.
    pub(super) async fn write(&self, bytes: &[u8]) -> Sent {
        let name = file_name(bytes);
        let half = self.dir.join(format!(".{name}.part"));
        let whole = self.dir.join(format!("{name}.eml"));
        let written = async {
            tokio::fs::create_dir_all(&self.dir).await?;
            tokio::fs::write(&half, bytes).await?;
            tokio::fs::rename(&half, &whole).await
        };
        match written.await {
            Ok(()) => said(Stage::Dot, 250, "2.0.0 written to a file"),
            Err(error) => unwritable(&error),
        }
    }
}

/// In the relay's words, so that the one table decides what it means: the recipient is not at fault.
fn unwritable(error: &io::Error) -> Sent {
    let text = format!(
        "4.3.0 the folder of letters cannot be written: {}",
        error.kind()
    );
    said(Stage::Connect, 451, &text)
}

fn said(stage: Stage, code: u16, text: &str) -> Sent {
    let answer = Answer::Reply(Reply::new(code, text));
    Sent::new(stage, answer, &RelayTexts::default())
}

/// Date and Message-ID, as far as a file name may hold them; the digest where the letter lacks one, or its id was cut.
fn file_name(bytes: &[u8]) -> String {
    let message = MessageParser::default().parse_headers(bytes);
    let date = message
        .as_ref()
        .and_then(|message| message.date())
        .map_or_else(
            || "undated".to_owned(),
            |date| {
                let (year, month, day) = (date.year, date.month, date.day);
                let (hour, minute, second) = (date.hour, date.minute, date.second);
                format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}")
            },
        );
    let id = message
        .as_ref()
        .and_then(|message| message.message_id())
        .unwrap_or("");
    let safe: String = id
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_=+@.".contains(c) {
                c
            } else {
                '_'
            }
        })
        .take(100)
        .collect();
    if safe == id && !id.is_empty() {
        return format!("{date}-{safe}");
    }
    let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(bytes));
    format!("{date}-{}", digest.get(..32).unwrap_or(&digest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::Outcome;

    const LETTER: &[u8] =
        b"Date: Tue, 10 Feb 2026 02:15:00 +0000\r\nMessage-ID: <d7@bell.parl.example>\r\nSubject: x\r\n\r\n.\r\nbody\r\n";

    fn files(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn the_same_letter_twice_is_one_file_with_its_own_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path().join("letters"));
        folder.check().await.unwrap();
        for _ in 0..2 {
            assert_eq!(folder.write(LETTER).await.outcome, Outcome::Accepted);
        }
        assert_eq!(
            files(folder.dir()),
            ["20260210T021500-d7@bell.parl.example.eml"]
        );
        let path = folder
            .dir()
            .join("20260210T021500-d7@bell.parl.example.eml");
        assert_eq!(std::fs::read(path).unwrap(), LETTER);
    }

    #[tokio::test]
    async fn a_name_cannot_leave_the_folder_and_two_letters_without_a_good_one_are_two_files() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path());
        for letter in [
            "Message-ID: <../../etc/x>\r\n\r\na",
            "Message-ID: <../../etc/x>\r\n\r\nb",
            "",
            "\u{0}\u{ff}",
        ] {
            assert_eq!(
                folder.write(letter.as_bytes()).await.outcome,
                Outcome::Accepted
            );
        }
        assert_eq!(files(dir.path()).len(), 4);
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_written_is_nobodys_fault() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let folder = Folder::new(file.join("under"));
        assert_eq!(folder.write(LETTER).await.outcome, Outcome::DeferRelay);
        assert_eq!(
            folder.check().await.unwrap_err().outcome,
            Outcome::DeferRelay
        );
    }
}
