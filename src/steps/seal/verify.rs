//! The database → whether every sealed row, and every seal, is what it was.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::app::App;
use crate::domain::Moment;
use crate::domain::seal::{Break, Chain, Mark, RowParts, Seal, SealedTable, again, compare, parts};
use crate::report::VerifyingKey;
use crate::store::{LEDGER_VERIFIED, Store, StoredSeal};

/// Seals that are read at once.
const SEALS: i64 = 100;

/// Rows that are read at once, unless one seal covers more.
const ROWS: u64 = 20_000;

/// Ranges that are looked at side by side: the database reads one while another is hashed. SQLite has four connections for
/// everybody.
const AT_ONCE: usize = 2;

/// Breaks that are named; the rest is counted.
const NAMED: usize = 1_000;

/// What a walk along the chain came to.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Verified {
    /// The newest seal, as people print it.
    pub newest: Option<Mark>,
    /// When it was made.
    pub newest_at: Option<Moment>,
    /// Seals that were walked along.
    pub seals: u64,
    /// Of them those that are signed.
    pub signed: u64,
    /// Whether there was a key to check signatures with.
    pub checked_signatures: bool,
    /// Rows that were looked at.
    pub rows: u64,
    /// Of them those in which a text was erased.
    pub erased: u64,
    /// Rows that no seal covers yet.
    pub unsealed: u64,
    /// Whether a seal that somebody had on paper stands in the chain; none if there was none to look for.
    pub printed: Option<bool>,
    /// What is not what it was; the first thousand.
    pub breaks: Vec<Break>,
    /// How many there are.
    pub broken: u64,
}

impl Verified {
    /// Whether everything is what it was.
    pub fn is_good(&self) -> bool {
        self.broken == 0 && self.printed != Some(false)
    }

    pub(super) fn broke(&mut self, breaks: Vec<Break>) {
        self.broken += breaks.len() as u64;
        let room = NAMED.saturating_sub(self.breaks.len());
        self.breaks.extend(breaks.into_iter().take(room));
    }

    /// Takes the next seal of the chain.
    pub(super) fn seal(
        &mut self,
        chain: &mut Chain,
        seal: &Seal,
        key: Option<&VerifyingKey>,
        printed: Option<&Mark>,
    ) -> anyhow::Result<()> {
        let proven = match (key, &seal.signature) {
            (None, _) => None,
            (Some(_), None) => Some(false),
            (Some(key), Some(signature)) => {
                let signature = HEXLOWER.decode(signature.as_bytes()).unwrap_or_default();
                Some(key.proves(seal.hash.as_bytes(), &signature)?)
            }
        };
        self.seals += 1;
        self.signed += u64::from(seal.signature.is_some());
        self.newest = seal.link().mark();
        self.newest_at = Some(seal.made_at);
        if self.newest.is_some() && self.newest.as_ref() == printed {
            self.printed = Some(true);
        }
        self.broke(chain.next(seal, proven));
        Ok(())
    }
}

impl std::fmt::Display for Verified {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for one in &self.breaks {
            writeln!(f, "{one}")?;
        }
        let more = self.broken - self.breaks.len() as u64;
        if more > 0 {
            writeln!(f, "… and {more} more")?;
        }
        match (&self.newest, &self.newest_at) {
            (Some(mark), Some(at)) => writeln!(f, "newest seal {mark}, made {at}")?,
            _ => writeln!(f, "there is no seal yet")?,
        }
        write!(f, "{} rows under {} seals", self.rows, self.seals)?;
        match (self.checked_signatures, self.signed) {
            (true, signed) => write!(f, ", {signed} of them signed")?,
            (false, 0) => {}
            (false, _) => {
                f.write_str(", their signatures not checked: name the public key with --key")?
            }
        }
        write!(
            f,
            "; {} texts erased, {} rows not sealed yet",
            self.erased, self.unsealed
        )?;
        match self.printed {
            Some(true) => f.write_str("\nthe seal that you have is in this chain")?,
            Some(false) => f.write_str(
                "\nthe seal that you have is not in this chain: the record was rewritten, cut short, or is another one",
            )?,
            None => {}
        }
        match self.broken {
            0 => f.write_str("\neverything is what it was when it was sealed"),
            1 => f.write_str("\n1 thing is not what it was when it was sealed"),
            many => write!(
                f,
                "\n{many} things are not what they were when they were sealed"
            ),
        }
    }
}

/// Walks the whole chain and all rows that it covers. Needs nothing but the database. `printed` is a seal that somebody has
/// on paper: a record that was rewritten as a whole, seals and all, has other ones.
pub async fn verify(
    store: &Store,
    key: Option<&VerifyingKey>,
    printed: Option<&Mark>,
) -> anyhow::Result<Verified> {
    let mut verified = Verified {
        checked_signatures: key.is_some(),
        printed: printed.map(|_| false),
        ..Verified::default()
    };
    let (mut chain, mut jobs) = (Chain::default(), JoinSet::new());
    loop {
        let page = store
            .read()
            .await?
            .seals(chain.last().number, SEALS)
            .await?;
        if page.is_empty() {
            break;
        }
        for sealed in &page {
            verified.seal(&mut chain, &sealed.seal, key, printed)?;
        }
        for range in ranges(page) {
            while jobs.len() >= AT_ONCE {
                take(&mut verified, jobs.join_next().await)?;
            }
            jobs.spawn(look(store.clone(), range));
        }
    }
    while let Some(looked) = jobs.join_next().await {
        take(&mut verified, Some(looked))?;
    }
    let mut tx = store.read().await?;
    for table in SealedTable::ALL {
        verified.unsealed += tx.rows_above(table, chain.upto(table)).await?;
    }
    verified.breaks.sort_unstable();
    Ok(verified)
}

type Looked = Result<anyhow::Result<Range>, tokio::task::JoinError>;

fn take(verified: &mut Verified, looked: Option<Looked>) -> anyhow::Result<()> {
    if let Some(looked) = looked {
        let range = looked??;
        verified.rows += range.rows;
        verified.erased += range.erased;
        verified.broke(range.breaks);
    }
    Ok(())
}

/// What came of a range of rows.
#[derive(Default)]
struct Range {
    rows: u64,
    erased: u64,
    breaks: Vec<Break>,
}

/// Seals of one table that follow one another, together: many small ones are read like a large one.
fn ranges(page: Vec<StoredSeal>) -> Vec<Vec<StoredSeal>> {
    let mut tables: BTreeMap<SealedTable, Vec<Vec<StoredSeal>>> = BTreeMap::new();
    for sealed in page {
        let own = tables.entry(sealed.seal.table).or_default();
        let fits = own.last().is_some_and(|range| {
            let rows: u64 = range.iter().map(|one| one.seal.rows).sum();
            rows.saturating_add(sealed.seal.rows) <= ROWS
        });
        match own.last_mut().filter(|_| fits) {
            Some(range) => range.push(sealed),
            None => own.push(vec![sealed]),
        }
    }
    tables.into_values().flatten().collect()
}

/// Compares the rows of a range with the seals that cover it.
async fn look(store: Store, range: Vec<StoredSeal>) -> anyhow::Result<Range> {
    let (Some(first), Some(last)) = (range.first(), range.last()) else {
        return Ok(Range::default());
    };
    let (table, after, upto) = (first.seal.table, first.seal.after, last.seal.upto);
    let (bytes, erased) = {
        // One moment of the database: an erasure is seen as a whole or not at all.
        let mut tx = store.read().await?;
        let bytes = tx.written_rows(table, after, upto, i64::MAX).await?;
        (bytes, tx.erasures(table, after, upto).await?)
    };
    let mut rows = parts(table, &bytes)?;
    rows.sort_by_key(|row| row.id);
    let mut looked = Range {
        rows: rows.len() as u64,
        erased: erased.len() as u64,
        breaks: Vec::new(),
    };
    for sealed in &range {
        let seal = &sealed.seal;
        let own = between(&rows, seal.after, seal.upto);
        looked
            .breaks
            .extend(compare(seal, &again(seal, &sealed.salts, own, &erased)));
    }
    Ok(looked)
}

/// The rows above one number and not above another.
fn between<'a, 'b>(rows: &'a [RowParts<'b>], after: i64, upto: i64) -> &'a [RowParts<'b>] {
    let from = rows.partition_point(|row| row.id <= after);
    let to = rows.partition_point(|row| row.id <= upto);
    rows.get(from..to).unwrap_or_default()
}

/// Walks the chain of the app's own database, with the key that is configured unless another is given, and writes down that
/// this was done and what came of it.
pub async fn verify_and_note(
    app: &App,
    key: Option<&VerifyingKey>,
    printed: Option<&Mark>,
    by: &str,
) -> anyhow::Result<Verified> {
    let own = match (key, super::signing_key(app)?) {
        (None, Some(own)) => Some(own.verifying()?),
        _ => None,
    };
    let verified = verify(&app.store, key.or(own.as_ref()), printed).await?;
    let detail = serde_json::json!({
        "seals": verified.seals, "rows": verified.rows, "breaks": verified.broken,
    })
    .to_string();
    let thing = verified.newest.as_ref().map(|mark| format!("seal:{mark}"));
    let mut tx = app.store.begin().await?;
    tx.note(
        app.clock.now(),
        by,
        LEDGER_VERIFIED,
        thing.as_deref(),
        Some(&detail),
    )
    .await?;
    tx.commit().await?;
    Ok(verified)
}
