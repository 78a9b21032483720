//! The two ways through a file: one that hashes and checks all of it, one that hands its items on.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::joins::{self, Joins};
use super::{BATCH, Options};
use crate::app::App;
use crate::audit::{
    self, Catalogue, CodePage, Format, Item, Kind, Mapping, Meanings, ReadOptions, Stop, Survey,
    Unpacked,
};
use crate::config::AuditSource;
use crate::domain::Moment;
use crate::domain::evidence::DateOrder;
use crate::domain::finding::Weakness;

/// A file that has been read through once: what it is, and that all of it can be read.
pub(super) struct Prepared {
    pub(super) source: AuditSource,
    pub(super) format: Format,
    pub(super) reason: String,
    reader: Reader,
    pub(super) first: Pass,
    /// Of the file's bytes, or of all files that are joined.
    pub(super) sha256: String,
    pub(super) as_of: Moment,
    pub(super) as_of_assumed: bool,
}

/// What a reader needs, owned, for a thread of its own.
#[derive(Clone, Default)]
struct Reader {
    mapping: Option<Mapping>,
    catalogue: Option<std::sync::Arc<Catalogue>>,
    domain: Option<String>,
    domain_sid: Option<String>,
    zone: Option<chrono_tz::Tz>,
    code_page: CodePage,
    domains: Vec<String>,
    meanings: Option<Meanings>,
    date_order: Option<DateOrder>,
    written_at: Option<Moment>,
    weakness: Option<Weakness>,
    survey: Option<std::sync::Arc<Survey>>,
}

impl Reader {
    fn options(&self) -> ReadOptions<'_> {
        ReadOptions {
            mapping: self.mapping.as_ref(),
            catalogue: self.catalogue.as_deref(),
            domain: self.domain.as_deref(),
            domain_sid: self.domain_sid.as_deref(),
            time_zone: self.zone,
            weakness: self.weakness,
            survey: self.survey.as_deref(),
            code_page: self.code_page,
            domains: &self.domains,
            meanings: self.meanings.as_ref(),
            date_order: self.date_order,
            written_at: self.written_at,
        }
    }
}

/// One way through a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Pass {
    pub(super) sha256: String,
    pub(super) size_bytes: u64,
    pub(super) records: u64,
    pub(super) rejects: u64,
    pub(super) newest: Option<Moment>,
    pub(super) notes: Vec<String>,
}

pub(super) struct Reading {
    pub(super) batches: tokio::sync::mpsc::Receiver<Vec<Item>>,
    pub(super) ended: tokio::task::JoinHandle<anyhow::Result<Pass>>,
}

impl Prepared {
    /// The second pass, on a thread that may block; a few batches ahead at most.
    pub(super) fn start(self, path: &Path) -> Reading {
        let (sender, batches) = tokio::sync::mpsc::channel(2);
        let (path, format, reader) = (path.to_owned(), self.format, self.reader);
        let ended = apart(move || {
            let mut batch = Vec::with_capacity(BATCH);
            let pass = read_through(&path, format, &reader, &mut |item| {
                batch.push(item);
                if batch.len() < BATCH {
                    return Ok(());
                }
                sender
                    .blocking_send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH)))
                    .map_err(|_| Stop)
            })?;
            // If nobody listens any more, they have their reason and will say so.
            let _ = sender.blocking_send(batch);
            Ok(pass)
        });
        Reading { batches, ended }
    }
}

/// Bytes of a thread's stack that are wiped after it has read an audit: several times what reading ever needs.
const STACK: usize = 512 * 1024;

/// Does work that meets secrets on a thread that may block, and wipes what it has left on the stack. Threads of the pool
/// live on.
fn apart<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    #[inline(never)]
    fn do_it<T>(work: impl FnOnce() -> T) -> T {
        work()
    }
    tokio::task::spawn_blocking(move || {
        let done = do_it(work);
        zeroize::zeroize_stack::<STACK>();
        done
    })
}

pub(super) async fn prepare(
    app: &App,
    path: &Path,
    options: &Options,
    now: Moment,
) -> anyhow::Result<Prepared> {
    let (head, modified) = {
        let path = path.to_owned();
        apart(move || head(&path)).await??
    };
    let detected = match options.format {
        Some(format) => audit::Detected {
            kind: Kind::Audit(format),
            reason: "as asked for".to_owned(),
        },
        None => match named(app, options.source.as_deref())? {
            Some(source) => audit::detect_for(source.kind.format, &head, page(source))?,
            None => audit::detect(&head, CodePage::default())?,
        },
    };
    let format = detected.kind.audit()?;
    let source = source_for(app, options.source.as_deref(), format)?.clone();
    let mut reader = reader(&source)?;
    // Lines without a year are from before the data were taken, or the file was written.
    reader.written_at = Some(
        options
            .as_of
            .map_or(modified, |as_of| as_of.min(modified))
            .min(now),
    );
    if source.kind.log.domains.is_none() {
        reader.domains = app.realm(&source.realm)?.names.dns.clone();
    }
    let mut joined = Joins::default();
    if format == Format::Dump {
        let (path, lists, own) = (path.to_owned(), options.lists.clone(), reader.clone());
        let surveyed = apart(move || joins::survey(&path, &lists, &own.options()));
        let (survey, joins) = surveyed.await??;
        reader.survey = Some(std::sync::Arc::new(survey));
        joined = joins;
    }
    let mut first = {
        let (path, reader, format) = (path.to_owned(), reader.clone(), format);
        apart(move || {
            let mut newest: Option<Moment> = None;
            let mut pass = read_through(&path, format, &reader, &mut |item| {
                match item {
                    Item::Row(row) => newest = newest.max(row.bad_as_of),
                    Item::Attempt(attempt) => newest = newest.max(Some(attempt.at)),
                    Item::Reject(_) | Item::Skipped(_) => {}
                }
                Ok(())
            })?;
            pass.newest = newest;
            anyhow::Ok(pass)
        })
        .await??
    };
    first.notes.splice(0..0, joined.notes);
    if first.records == 0 && first.rejects > 0 {
        bail!("it is cut off before the end of its first record; nothing was taken in");
    }
    if first.rejects > 20 && first.rejects.saturating_mul(100) > first.records {
        bail!(
            "{} of {} rows could not be used; this is the wrong file, format or mapping, and nothing was taken in",
            first.rejects,
            first.records
        );
    }
    // All that stand in for the time of the dump are later than it, so at worst somebody who has changed is asked again.
    let (as_of, as_of_assumed) = match options.as_of {
        Some(as_of) => (as_of.min(now), false),
        None => (stand_in(format, first.newest, modified).min(now), true),
    };
    Ok(Prepared {
        sha256: joined.identity.of(&first.sha256),
        source,
        format,
        reason: detected.reason,
        reader,
        first,
        as_of,
        as_of_assumed,
    })
}

/// What stands in for the time of the data where nobody says it. A breach's own dates tell nothing about when our domain
/// was looked up.
fn stand_in(format: Format, newest: Option<Moment>, modified: Moment) -> Moment {
    match format {
        Format::HibpDomain | Format::HibpStealerLogs => modified,
        _ => newest.unwrap_or(modified),
    }
}

/// The first part of a file's content, in memory that is wiped.
fn first_bytes(content: impl Read) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let mut head = Zeroizing::new(Vec::with_capacity(audit::HEAD_BYTES + 1));
    content
        .take(audit::HEAD_BYTES as u64)
        .read_to_end(&mut head)
        .map_err(audit::AuditError::from_io)?;
    Ok(head)
}

/// What a file's content shows it to be, and what else it could have been.
pub fn explain(path: &Path) -> anyhow::Result<audit::Explained> {
    let file = File::open(path)?;
    ensure!(file.metadata()?.is_file(), "this is no file");
    Ok(audit::explain(
        &first_bytes(audit::unpack(file)?)?,
        CodePage::default(),
    ))
}

fn head(path: &Path) -> anyhow::Result<(Zeroizing<Vec<u8>>, Moment)> {
    let file = File::open(path)?;
    let about = file.metadata()?;
    ensure!(about.is_file(), "this is no file");
    let modified = about
        .modified()
        .ok()
        .map_or(Moment::from_micros(i64::MAX), |at| {
            Moment::from(chrono::DateTime::<chrono::Utc>::from(at))
        });
    Ok((first_bytes(audit::unpack(file)?)?, modified))
}

/// The source of a name.
fn named<'a>(app: &'a App, name: Option<&str>) -> anyhow::Result<Option<&'a AuditSource>> {
    let Some(name) = name else { return Ok(None) };
    let source = app.config.sources.iter().find(|source| source.name == name);
    let source =
        source.with_context(|| format!("there is no [[source]] named {name:?} in the config"))?;
    Ok(Some(source))
}

/// What a source says about files without a byte order mark.
fn page(source: &AuditSource) -> CodePage {
    CodePage::from_name(source.code_page.name()).unwrap_or_default()
}

/// The source that a file belongs to: the one that was named, else the only one of its format.
fn source_for<'a>(
    app: &'a App,
    named: Option<&str>,
    format: Format,
) -> anyhow::Result<&'a AuditSource> {
    let reads = |source: &AuditSource| source.kind.format == format;
    if let Some(source) = self::named(app, named)? {
        let name = &source.name;
        ensure!(
            reads(source),
            "the file is {format}, and the source {name:?} is for {}",
            source.kind.format
        );
        return Ok(source);
    }
    let mut fitting = app.config.sources.iter().filter(|source| reads(source));
    match (fitting.next(), fitting.next()) {
        (Some(source), None) => Ok(source),
        (None, _) => {
            bail!("the file is {format}, and the config has no [[source]] of that kind; add one")
        }
        (Some(_), Some(_)) => bail!(
            "the file is {format}, and the config has more than one [[source]] of that kind; name it with --source"
        ),
    }
}

/// Whether a source's own files, its mapping or its catalogue, can be read.
pub fn check_source(source: &AuditSource) -> anyhow::Result<String> {
    reader(source).map(|_| format!("for {}", source.kind.format))
}

fn reader(source: &AuditSource) -> anyhow::Result<Reader> {
    let mut reader = Reader {
        zone: Some(source.time_zone),
        code_page: page(source),
        ..Reader::default()
    };
    let text = |path: &PathBuf| {
        std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
    };
    if let Some(mapping) = &source.kind.mapping {
        let parsed = Mapping::parse(&text(mapping)?);
        let parsed = parsed.with_context(|| format!("reading {}", mapping.display()))?;
        reader.mapping = Some(parsed);
    }
    if let Some(catalogue) = &source.kind.catalogue {
        let parsed = Catalogue::parse(&text(catalogue)?);
        let parsed = parsed.with_context(|| format!("reading {}", catalogue.display()))?;
        reader.catalogue = Some(std::sync::Arc::new(parsed));
    }
    reader.domain = source.kind.domain.clone();
    reader.domain_sid = source.kind.domain_sid.clone();
    let log = &source.kind.log;
    reader.domains = log.domains.clone().unwrap_or_default();
    reader.date_order = log.date_order;
    let labels = log.labels.iter();
    reader.meanings = Some(Meanings::new(
        labels.map(|(label, weakness)| (label.clone(), *weakness)),
    ));
    reader.weakness = source.kind.weakness;
    Ok(reader)
}

/// Reads all of a file, hashing its bytes as they lie on the disk.
fn read_through(
    path: &Path,
    format: Format,
    reader: &Reader,
    emit: &mut dyn FnMut(Item) -> Result<(), Stop>,
) -> anyhow::Result<Pass> {
    let options = reader.options();
    let mut hashing = Hashing::new(File::open(path)?);
    let summary = match audit::unpack(File::open(path)?)? {
        Unpacked::Plain(_) => audit::read(format, &mut hashing, &options, emit)?,
        packed @ Unpacked::Packed { .. } => audit::read(format, packed, &options, emit)?,
    };
    let (sha256, size_bytes) = hashing.finish()?;
    Ok(Pass {
        sha256,
        size_bytes,
        records: summary.records,
        rejects: summary.rejects,
        newest: None,
        notes: summary.notes,
    })
}

/// A file that is hashed as it is read.
pub(super) struct Hashing {
    file: File,
    hash: Sha256,
    size_bytes: u64,
}

impl Hashing {
    pub(super) fn new(file: File) -> Self {
        Self {
            file,
            hash: Sha256::new(),
            size_bytes: 0,
        }
    }

    /// Passes over what is left; the hash in hexadecimal, and the length.
    pub(super) fn finish(mut self) -> std::io::Result<(String, u64)> {
        // In memory that is wiped: what an archive stores unpacked may be plaintexts.
        let mut passed = Zeroizing::new(vec![0; audit::HEAD_BYTES]);
        while self.read(&mut passed)? > 0 {}
        Ok((HEXLOWER.encode(&self.hash.finalize()), self.size_bytes))
    }
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.hash.update(buffer.get(..count).unwrap_or_default());
        self.size_bytes += count as u64;
        Ok(count)
    }
}
