//! The sealed record → a file, and whether such a file is what was sealed. It holds no text about anybody: only the salted
//! hashes that the chain covers.
//!
//! One JSON object a line. The first says what the file is; then comes each seal, and after it the rows that it covers, each
//! as the bytes that are hashed, and with `hidden` where a text stands that is not passed on.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};

use super::verify::Verified;
use crate::app::App;
use crate::domain::Moment;
use crate::domain::seal::{
    Altered, Break, Chain, Mark, RowParts, RowSeen, SALT_BYTES, Seal, SealedTable, commitment,
    compare, digest, parts, unpack,
};
use crate::report::VerifyingKey;
use crate::store::StoredSeal;

/// What the first line says.
const FORMAT: &str = "bell ledger 1";

/// Seals that are read at once.
const SEALS: i64 = 20;

/// What was written.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Exported {
    /// Seals.
    pub seals: u64,
    /// Rows.
    pub rows: u64,
    /// The newest seal: whoever has it on paper can tell whether a file was cut short.
    pub newest: Option<Mark>,
}

impl std::fmt::Display for Exported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} rows under {} seals", self.rows, self.seals)?;
        match &self.newest {
            Some(mark) => write!(f, "; the newest is {mark}"),
            None => f.write_str("; there is no seal yet"),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Head {
        format: String,
    },
    Seal {
        seal: Box<SealLine>,
    },
    Row {
        row: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hidden: Option<String>,
    },
}

#[derive(Serialize, Deserialize)]
struct SealLine {
    number: i64,
    made_at_micros: i64,
    table: SealedTable,
    after: i64,
    upto: i64,
    rows: u64,
    rows_hash: String,
    leaves: String,
    previous: String,
    hash: String,
    signature: Option<String>,
}

impl From<&Seal> for SealLine {
    fn from(seal: &Seal) -> Self {
        Self {
            number: seal.number,
            made_at_micros: seal.made_at.micros(),
            table: seal.table,
            after: seal.after,
            upto: seal.upto,
            rows: seal.rows,
            rows_hash: seal.rows_hash.clone(),
            leaves: BASE64.encode(&seal.leaves),
            previous: seal.previous.clone(),
            hash: seal.hash.clone(),
            signature: seal.signature.clone(),
        }
    }
}

impl SealLine {
    fn seal(self) -> Seal {
        Seal {
            number: self.number,
            made_at: Moment::from_micros(self.made_at_micros),
            table: self.table,
            after: self.after,
            upto: self.upto,
            rows: self.rows,
            rows_hash: self.rows_hash,
            // Marks that are none are another hash than the seal's.
            leaves: BASE64.decode(self.leaves.as_bytes()).unwrap_or_default(),
            previous: self.previous,
            hash: self.hash,
            signature: self.signature,
        }
    }
}

/// Writes every seal and every row that is sealed. What was there before is replaced as a whole, or not at all.
pub async fn export(app: &App, out: &Path) -> anyhow::Result<Exported> {
    let name = out
        .file_name()
        .with_context(|| format!("{} names no file", out.display()))?;
    let part = out.with_file_name(format!(".{}.{}.part", name.to_string_lossy(), app.worker));
    let written = write_all(app, &part).await;
    let done = written.and_then(|exported| {
        std::fs::rename(&part, out)?;
        Ok(exported)
    });
    if done.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    done.with_context(|| format!("writing {}", out.display()))
}

async fn write_all(app: &App, part: &Path) -> anyhow::Result<Exported> {
    let mut file = BufWriter::new(std::fs::File::create(part)?);
    let mut exported = Exported::default();
    put(
        &mut file,
        &Line::Head {
            format: FORMAT.to_owned(),
        },
    )?;
    let mut after = 0;
    loop {
        let page = app.store.read().await?.seals(after, SEALS).await?;
        let Some(last) = page.last() else { break };
        after = last.seal.number;
        exported.newest = last.seal.link().mark();
        for sealed in &page {
            let seal = Box::new(SealLine::from(&sealed.seal));
            put(&mut file, &Line::Seal { seal })?;
            exported.seals += 1;
            exported.rows += put_rows(app, sealed, &mut file).await?;
        }
    }
    file.into_inner()
        .map_err(|error| error.into_error())?
        .sync_all()?;
    Ok(exported)
}

async fn put_rows(app: &App, sealed: &StoredSeal, file: &mut impl Write) -> anyhow::Result<u64> {
    let seal = &sealed.seal;
    let (bytes, erased) = {
        let mut tx = app.store.read().await?;
        let bytes = tx
            .written_rows(seal.table, seal.after, seal.upto, i64::MAX)
            .await?;
        (bytes, tx.erasures(seal.table, seal.after, seal.upto).await?)
    };
    let rows = parts(seal.table, &bytes)?;
    let salts = salts(sealed);
    for row in &rows {
        let hidden = match (erased.get(&row.id), row.personal) {
            (Some(erasure), _) => Some(erasure.commitment),
            (None, Some(text)) => {
                let salt = salts.get(&row.id).copied().unwrap_or_default();
                Some(commitment(&salt, text))
            }
            (None, None) => None,
        };
        put(file, &line(row, hidden))?;
    }
    Ok(rows.len() as u64)
}

/// The salt of each row that hides something.
fn salts(sealed: &StoredSeal) -> HashMap<i64, [u8; SALT_BYTES]> {
    let leaves = unpack(sealed.seal.after, &sealed.seal.leaves).unwrap_or_default();
    let hiding = leaves.iter().filter(|leaf| leaf.hides).map(|leaf| leaf.id);
    hiding
        .zip(sealed.salts.as_chunks().0.iter().copied())
        .collect()
}

fn line(row: &RowParts<'_>, hidden: Option<[u8; 32]>) -> Line {
    Line::Row {
        row: String::from_utf8_lossy(row.open).into_owned(),
        hidden: hidden.map(|hash| HEXLOWER.encode(&hash)),
    }
}

fn put(file: &mut impl Write, line: &Line) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *file, line)?;
    Ok(file.write_all(b"\n")?)
}

/// Walks along the chain in a file that [`export`] wrote. Needs no database.
pub fn verify_export(
    path: &Path,
    key: Option<&VerifyingKey>,
    printed: Option<&Mark>,
) -> anyhow::Result<Verified> {
    let file = std::fs::File::open(path).with_context(|| format!("reading {}", path.display()))?;
    let mut verified = Verified {
        checked_signatures: key.is_some(),
        printed: printed.map(|_| false),
        ..Verified::default()
    };
    let (mut chain, mut open) = (Chain::default(), None);
    for (nth, text) in BufReader::new(file).lines().enumerate() {
        let at = || format!("{}: line {}", path.display(), nth + 1);
        let line: Line = serde_json::from_str(&text.with_context(at)?)
            .map_err(|_| anyhow::anyhow!("this is no line of such a file"))
            .with_context(at)?;
        match line {
            Line::Head { format } => {
                ensure!(
                    nth == 0 && format == FORMAT,
                    "{}: it is none of `bell ledger export`",
                    at()
                );
            }
            Line::Seal { seal } => {
                close(&mut verified, open.take());
                let seal = seal.seal();
                verified.seal(&mut chain, &seal, key, printed)?;
                open = Some((seal, Vec::new()));
            }
            Line::Row { row, hidden } => {
                let Some((seal, rows)) = &mut open else {
                    bail!("{}: a row before any seal", at());
                };
                let seen = seen(seal.table, &row, hidden.as_deref()).with_context(at)?;
                rows.push(seen);
            }
        }
    }
    close(&mut verified, open);
    verified.breaks.sort_unstable();
    Ok(verified)
}

fn seen(table: SealedTable, row: &str, hidden: Option<&str>) -> anyhow::Result<RowSeen> {
    let id = row.split(',').next().and_then(|id| id.parse().ok());
    let hash = match hidden {
        Some(hidden) => {
            let hash: Option<[u8; 32]> = HEXLOWER
                .decode(hidden.as_bytes())
                .ok()
                .and_then(|hash| hash.try_into().ok());
            Some(hash.unwrap_or_default())
        }
        None => None,
    };
    Ok(RowSeen {
        id: id.context("a row without its number")?,
        digest: digest(table, row.as_bytes(), hash.as_ref()),
        hides: hash.is_some(),
    })
}

/// All rows of a seal were read.
fn close(verified: &mut Verified, open: Option<(Seal, Vec<RowSeen>)>) {
    let Some((seal, mut rows)) = open else { return };
    verified.rows += rows.len() as u64;
    let moved = rows.windows(2).filter_map(|two| match two {
        [one, next] if next.id <= one.id => Some(Break {
            table: seal.table.word(),
            id: next.id,
            what: Altered::Moved,
        }),
        _ => None,
    });
    let moved: Vec<Break> = moved.collect();
    verified.broke(moved);
    rows.sort_by_key(|row| row.id);
    verified.broke(compare(&seal, &rows));
}
