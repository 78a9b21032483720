//! File: the staff directory's CSV export.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::ensure;
use zeroize::Zeroizing;

use crate::config::DirectoryFile;
use crate::directory::Encoding;
use crate::directory::people::{PeopleColumns, PeopleItem, PeopleOptions, read};
use crate::steps::reading::{Ended, Reading};

/// Begins to read the export at `path`, which has the form of the configured one.
pub(super) fn open(own: &DirectoryFile, path: &Path) -> anyhow::Result<Reading<PeopleItem>> {
    let mut options = PeopleOptions {
        columns: columns(&own.columns)?,
        encoding: encoding(own.code_page),
        ..PeopleOptions::default()
    };
    let path = path.to_owned();
    Ok(Reading::blocking(move |sink| {
        // Most exports are UTF-8 without a mark; the configured code page is for those that are not.
        if is_utf8(File::open(&path)?)? {
            options.encoding = Encoding::Utf8;
        }
        let summary = read(File::open(&path)?, &options, &mut |item| {
            sink.put_blocking(item)
        })?;
        Ok(Ended::sweep(summary))
    }))
}

/// The columns' names, with what the config replaces.
fn columns(named: &BTreeMap<String, String>) -> anyhow::Result<PeopleColumns> {
    let mut all = serde_json::to_value(PeopleColumns::default())?;
    for (ours, theirs) in named {
        let known = all.as_object().is_some_and(|all| all.contains_key(ours));
        ensure!(
            known,
            "[directory.columns] has {ours:?}, which is none of our columns"
        );
        if let Some(all) = all.as_object_mut() {
            all.insert(ours.clone(), theirs.clone().into());
        }
    }
    Ok(serde_json::from_value(all)?)
}

/// Whether all of a file is UTF-8. A few kilobytes are held at a time.
fn is_utf8(mut file: impl Read) -> std::io::Result<bool> {
    let mut buffer = Zeroizing::new(vec![0; 64 * 1024]);
    let mut kept = 0;
    loop {
        let count = match file.read(buffer.get_mut(kept..).unwrap_or_default()) {
            Ok(0) => return Ok(kept == 0),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let end = kept + count;
        kept = match std::str::from_utf8(buffer.get(..end).unwrap_or_default()) {
            Ok(_) => 0,
            // A character that goes on in the next piece.
            Err(error) if error.error_len().is_none() => {
                buffer.copy_within(error.valid_up_to()..end, 0);
                end - error.valid_up_to()
            }
            Err(_) => return Ok(false),
        };
    }
}

fn encoding(code_page: &'static encoding_rs::Encoding) -> Encoding {
    if code_page == encoding_rs::UTF_8 {
        Encoding::Utf8
    } else {
        Encoding::Windows1252
    }
}

#[cfg(test)]
mod tests {
    use super::is_utf8;

    #[test]
    fn a_character_on_the_seam_of_two_pieces_is_still_utf8() {
        for before in [0, 65_533, 65_534, 65_535, 65_536, 131_070] {
            let text = format!("{}é€😀", "a".repeat(before));
            assert!(is_utf8(text.as_bytes()).unwrap(), "{before}");
            let cut = &text.as_bytes()[..text.len() - 1];
            assert!(!is_utf8(cut).unwrap(), "{before}");
            let ansi = [text.as_bytes(), b"M\xFCller"].concat();
            assert!(!is_utf8(&*ansi).unwrap(), "{before}");
        }
    }
}
