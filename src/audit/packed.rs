//! Packed files: gzip and ZIP archives → the bytes of the one file in them, with a bound on what they may unpack to.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Take};

use flate2::read::{DeflateDecoder, MultiGzDecoder};
use zip::{CompressionMethod, ZipArchive};

use super::AuditError;
use super::detect::Refusal;

/// Up to here an archive may unpack as it likes.
const FREE: u64 = 64 * 1024 * 1024;

/// Beyond that, to so many times its own length. Text packs to a twentieth, very dull text to a hundredth.
const TIMES: u64 = 300;

/// Signs at the head of what is a ZIP archive as well, but a document.
const DOCUMENTS: [&str; 4] = ["[Content_Types].xml", "mimetype", "META-INF/", "word/"];

/// A file's content, whatever it was packed with.
pub enum Unpacked {
    /// As it is.
    Plain(File),
    /// Out of an archive.
    Packed {
        /// What it was packed with.
        with: &'static str,
        /// Its bytes.
        content: Box<dyn Read + Send>,
    },
}

impl Unpacked {
    /// What it was packed with.
    pub const fn with(&self) -> Option<&'static str> {
        match self {
            Self::Plain(_) => None,
            Self::Packed { with, .. } => Some(with),
        }
    }
}

impl std::fmt::Debug for Unpacked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Unpacked").field(&self.with()).finish()
    }
}

impl Read for Unpacked {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(into),
            Self::Packed { content, .. } => content.read(into),
        }
    }
}

/// The content of a file. What it was packed with is told by its first bytes, never by its name.
pub fn unpack(mut file: File) -> Result<Unpacked, AuditError> {
    let mut magic = Vec::with_capacity(4);
    let io = AuditError::Io;
    (&mut file).take(4).read_to_end(&mut magic).map_err(io)?;
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    match magic.as_slice() {
        [0x1f, 0x8b, ..] => Ok(Unpacked::Packed {
            with: "gzip",
            content: Box::new(Bounded::new(MultiGzDecoder::new(file), length)),
        }),
        [b'P', b'K', 3, 4] => unzip(file),
        _ => Ok(Unpacked::Plain(file)),
    }
}

fn unzip(file: File) -> Result<Unpacked, AuditError> {
    let bad = |problem| AuditError::Archive { problem };
    let broken = |_| bad("is broken");
    let mut archive = ZipArchive::new(file).map_err(broken)?;
    let mut found = None;
    for at in 0..archive.len() {
        let entry = archive.by_index_raw(at).map_err(broken)?;
        let name = entry.name().map_err(broken)?;
        if DOCUMENTS.iter().any(|sign| name.starts_with(sign)) {
            return Err(Refusal::Container("a workbook or a document").into());
        }
        // What macOS and Windows add by themselves.
        let is_extra = name.starts_with("__MACOSX/")
            || name.ends_with(".DS_Store")
            || name.ends_with("Thumbs.db");
        if entry.is_dir() || is_extra {
            continue;
        }
        if entry.encrypted() {
            return Err(bad("has a password: unpack it"));
        }
        if found.is_some() {
            return Err(bad(
                "holds more than one file: unpack it, and give them one by one",
            ));
        }
        let start = entry.data_start().ok_or(bad("is broken"))?;
        found = Some((start, entry.compressed_size(), entry.compression()));
    }
    let (start, length, method) = found.ok_or(bad("holds no file"))?;
    let mut file = archive.into_inner();
    file.seek(SeekFrom::Start(start)).map_err(AuditError::Io)?;
    let packed: Take<File> = file.take(length);
    let content: Box<dyn Read + Send> = match method {
        CompressionMethod::Stored => Box::new(packed),
        CompressionMethod::Deflated => Box::new(Bounded::new(DeflateDecoder::new(packed), length)),
        _ => {
            return Err(bad(
                "is packed in a way that is not read here: unpack it, or pack it with \"deflate\"",
            ));
        }
    };
    Ok(Unpacked::Packed {
        with: "zip",
        content,
    })
}

/// What an archive gives, as long as that bears a relation to its length.
struct Bounded<R> {
    input: R,
    left: u64,
}

impl<R> Bounded<R> {
    const fn new(input: R, packed: u64) -> Self {
        Self {
            input,
            left: FREE.saturating_add(packed.saturating_mul(TIMES)),
        }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.input.read(into)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| std::io::Error::other(AuditError::Bomb { times: TIMES }))?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        file
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    }

    fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let stored =
            zip::write::SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        for (name, bytes) in files {
            archive.start_file(*name, stored).unwrap();
            archive.write_all(bytes).unwrap();
        }
        archive.finish().unwrap().into_inner()
    }

    fn content(bytes: &[u8]) -> Result<Vec<u8>, String> {
        let mut unpacked = unpack(file(bytes)).map_err(|error| error.to_string())?;
        let mut all = Vec::new();
        let read = unpacked.read_to_end(&mut all);
        read.map_err(|error| error.to_string())?;
        Ok(all)
    }

    #[test]
    fn what_is_in_an_archive_is_read_as_if_it_were_not() {
        let text = b"PARL\\ada\nPARL\\bea\n";
        assert_eq!(content(text).unwrap(), text);
        assert_eq!(content(&gzip(text)).unwrap(), text);
        let two = [gzip(b"PARL\\ada\n"), gzip(b"PARL\\bea\n")].concat();
        assert_eq!(content(&two).unwrap(), text);
        let zipped = zip(&[("__MACOSX/._weak.txt", b"x"), ("weak.txt", text)]);
        assert_eq!(content(&zipped).unwrap(), text);
        assert_eq!(content(b"").unwrap(), b"");
    }

    #[test]
    fn an_archive_that_is_not_one_file_of_text_is_refused() {
        for (bytes, expected) in [
            (
                zip(&[("a.txt", b"a"), ("b.txt", b"b")]),
                "more than one file",
            ),
            (zip(&[]), "broken"),
            (
                zip(&[("[Content_Types].xml", b"x"), ("xl/workbook.xml", b"x")]),
                "workbook",
            ),
            (b"PK\x03\x04....".to_vec(), "broken"),
        ] {
            if bytes.starts_with(b"PK\x05\x06") {
                continue; // An empty archive has another sign, and is a container like any other.
            }
            let error = content(&bytes).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn what_unpacks_without_end_is_stopped() {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        let dull = vec![b'a'; 1024 * 1024];
        for _ in 0..100 {
            packer.write_all(&dull).unwrap();
        }
        let bomb = packer.finish().unwrap();
        let mut unpacked = unpack(file(&bomb[..bomb.len()])).unwrap();
        let small = Bounded::new(&mut unpacked, 0);
        let read = std::io::copy(&mut { small }, &mut std::io::sink());
        assert!(read.unwrap_err().to_string().contains("do harm"));
    }
}
