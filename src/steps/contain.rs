//! Lists of what other teams did → the containment ledger → cases that are contained, and accounts that may be let in again.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::directory::{ListedContainment, read_containments};
use crate::domain::address::fold;
use crate::domain::case::CaseState;
use crate::domain::containment::{
    ContainmentAct, NotYet, blocked_since, contained_since, cut_since, restorable,
};
use crate::domain::finding::Category;
use crate::domain::{AccountId, CaseId, Moment};
use crate::report::{SigningError, SigningKey};
use crate::store::{AccountFacts, Containment, ContainmentDraft, Tx};

const PAGE: i64 = 500;
/// A list is some thousand lines; what is larger is another file.
const LARGEST: u64 = 16 << 20;

/// What a list did.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Imported {
    /// Lines that were read.
    pub lines: u64,
    /// Accounts of which something new was written down.
    pub accounts: u64,
    /// Compromised cases that are contained by it.
    pub contained: u64,
    /// Lines that were not taken, and why.
    pub rejects: Vec<(u64, String)>,
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} lines: something new about {} accounts; {} cases are contained by it",
            self.lines, self.accounts, self.contained
        )?;
        for (line, why) in &self.rejects {
            write!(f, "\n  line {line}: {why}")?;
        }
        Ok(())
    }
}

/// Takes a list in. A line that is in already changes nothing; one that is wrong holds up no other.
pub async fn import(app: &App, path: &Path, by: &str) -> anyhow::Result<Imported> {
    let now = app.clock.now();
    let size = std::fs::metadata(path)
        .with_context(|| format!("reading {}", path.display()))?
        .len();
    anyhow::ensure!(size <= LARGEST, "{} is larger than 16 MiB", path.display());
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let (listed, rejects) =
        read_containments(&bytes).with_context(|| format!("reading {}", path.display()))?;
    let mut imported = Imported {
        lines: (listed.len() + rejects.len()) as u64,
        rejects: rejects
            .into_iter()
            .map(|(line, why)| (line, why.to_owned()))
            .collect(),
        ..Imported::default()
    };
    let mut tx = app.store.begin().await?;
    let mut drafts = Vec::with_capacity(listed.len());
    for one in listed {
        match draft(&mut tx, &one, now).await? {
            Ok(draft) => drafts.push(draft),
            Err(why) => imported.rejects.push((one.line, why.to_owned())),
        }
    }
    // One line twice in a list is one line.
    drafts.sort_by_key(|draft| (draft.account, draft.act, draft.effective_at));
    drafts.dedup_by_key(|draft| (draft.account, draft.act, draft.effective_at));
    let accounts = tx.contain(&drafts, by, now).await?;
    imported.accounts = accounts.len() as u64;
    imported.contained = contain_cases(&mut tx, &accounts, by, now).await?;
    tx.commit().await?;
    imported.rejects.sort();
    Ok(imported)
}

async fn draft(
    tx: &mut Tx,
    one: &ListedContainment,
    now: Moment,
) -> anyhow::Result<Result<ContainmentDraft, &'static str>> {
    if one.at > now {
        return Ok(Err(
            "at is in the future: write it down when it has happened",
        ));
    }
    let named = tx.accounts_named(&fold(&one.account)).await?;
    let named = match (named.is_empty(), one.account.rsplit_once('\\')) {
        (true, Some((_, login))) => tx.accounts_named(&fold(login)).await?,
        _ => named,
    };
    Ok(match named[..] {
        [account] => Ok(ContainmentDraft {
            account,
            act: one.act,
            effective_at: one.at,
            done_by: one.by.clone(),
            how: one.how.clone(),
        }),
        [] => Err("the directory has no such account"),
        _ => Err("more than one account is called so: name it by its id, SID or UPN"),
    })
}

/// Whoever is shut out of a compromised account by what is on record now can be told of it.
async fn contain_cases(
    tx: &mut Tx,
    accounts: &[AccountId],
    by: &str,
    now: Moment,
) -> anyhow::Result<u64> {
    let acts = acts_of(&tx.containments_of(accounts).await?);
    let deciding = tx.deciding(accounts).await?;
    let mut contained = 0;
    for account in accounts {
        let Some(case) = deciding.open.get(account).filter(|case| {
            case.claim.category == Category::Compromised
                && case.contained_at.is_none()
                && !matches!(case.state, CaseState::Closed { .. })
        }) else {
            continue;
        };
        let acts = acts.get(account).map_or(&[][..], Vec::as_slice);
        if let Some(at) = contained_since(acts, case.claim.bad_as_of, now) {
            let note = "sign-in blocked and sessions revoked, by the containment ledger";
            tx.contain_case(case.id, at, note, by, now).await?;
            contained += 1;
        }
    }
    Ok(contained)
}

type Acts = HashMap<AccountId, Vec<(ContainmentAct, Moment)>>;

fn acts_of(all: &[Containment]) -> Acts {
    let mut acts = Acts::new();
    for one in all {
        acts.entry(one.account)
            .or_default()
            .push((one.act, one.effective_at));
    }
    acts
}

/// One account of the containment ledger.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Contained {
    /// Its number.
    pub account: AccountId,
    /// What the directory knows it by.
    pub object_id: String,
    /// Its login without the domain.
    pub login: String,
    /// Since when nobody can sign in, if so.
    pub blocked_since: Option<Moment>,
    /// Since when it cannot be used from outside, if so.
    pub cut_since: Option<Moment>,
    /// Why it is not let in again yet; none if it may be.
    pub not_yet: Option<NotYet>,
}

/// One account that may be let in again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Restore {
    /// What the directory knows it by.
    pub object_id: String,
    /// Its login without the domain.
    pub login: String,
    /// Since when it is cut off.
    pub cut_at: Moment,
    /// When its password was changed, as the directory says.
    pub proven_at: Moment,
    /// How good that proof is.
    pub grade: &'static str,
    /// The case that proves it.
    pub case: Option<CaseId>,
}

/// All accounts of the containment ledger, and those that may be let in again.
pub async fn list(app: &App) -> anyhow::Result<(Vec<Contained>, Vec<Restore>)> {
    let now = app.clock.now();
    let mut tx = app.store.read().await?;
    let (mut all, mut restore, mut after) = (Vec::new(), Vec::new(), AccountId(0));
    loop {
        let accounts = tx.contained_accounts(after, PAGE).await?;
        let Some(last) = accounts.last() else {
            return Ok((all, restore));
        };
        after = *last;
        let facts = tx.accounts(accounts.iter().copied()).await?;
        let acts = acts_of(&tx.containments_of(&accounts).await?);
        let cases = tx.ended_cases(&accounts).await?;
        for account in &accounts {
            let Some(facts) = facts.get(account) else {
                continue;
            };
            let acts = acts.get(account).map_or(&[][..], Vec::as_slice);
            let cases = cases.get(account).map_or(&[][..], Vec::as_slice);
            let ended: Vec<_> = cases.iter().map(|(_, ended)| *ended).collect();
            let found = restorable(acts, &ended, now);
            if let Ok(found) = found {
                let proof = cases
                    .iter()
                    .find(|(_, ended)| ended.safe_at == Some(found.proven_at));
                restore.push(Restore {
                    object_id: facts.object_id.clone(),
                    login: login(facts),
                    cut_at: found.cut_at,
                    proven_at: found.proven_at,
                    grade: found.grade.word(),
                    case: proof.map(|(case, _)| *case),
                });
            }
            all.push(Contained {
                account: *account,
                object_id: facts.object_id.clone(),
                login: login(facts),
                blocked_since: blocked_since(acts, now),
                cut_since: cut_since(acts, now),
                not_yet: found.err(),
            });
        }
    }
}

fn login(facts: &AccountFacts) -> String {
    facts.sam.clone().unwrap_or_default()
}

/// What was done to one account, oldest first; none if no account, or more than one, is called so.
pub async fn show(app: &App, who: &str) -> anyhow::Result<Option<Vec<Containment>>> {
    let mut tx = app.store.read().await?;
    let named = tx.accounts_named(&fold(who)).await?;
    let [account] = named[..] else {
        return Ok(None);
    };
    Ok(Some(tx.containments_of(&[account]).await?))
}

/// A list that was written and signed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Signed {
    /// The list.
    pub list: PathBuf,
    /// Its signature.
    pub signature: PathBuf,
    /// As of when it is true.
    pub as_of: Moment,
    /// How many may be let in again.
    pub accounts: usize,
    /// How many may not yet, by the reason.
    pub not_yet: BTreeMap<&'static str, usize>,
}

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} accounts may be let in again: {}, signed in {}",
            self.accounts,
            self.list.display(),
            self.signature.display()
        )?;
        for (why, count) in &self.not_yet {
            write!(f, "\n  not yet: {count} {why}")?;
        }
        write!(
            f,
            "\nwhoever gets it checks it first: {}",
            crate::report::HOW_TO_VERIFY
        )
    }
}

/// Writes the list of those who may be let in again, and its signature beside it, for its owner's eyes only.
pub async fn write_safe(app: &App, out: &Path, by: &str) -> anyhow::Result<Signed> {
    let key = key(app)?;
    let as_of = app.clock.now();
    let (all, restore) = list(app).await?;
    let bytes = render(&restore, as_of)?;
    let signature = key.sign(&bytes)?;
    let mut beside = out.as_os_str().to_owned();
    beside.push(".sig");
    let beside = PathBuf::from(beside);
    // The signature first: a list without one is not to be acted on, and the other way round nothing is lost.
    put(&beside, &signature)?;
    put(out, &bytes)?;
    let mut not_yet = BTreeMap::new();
    for why in all
        .iter()
        .filter_map(|one| one.not_yet)
        .filter(|why| *why != NotYet::NotCut)
    {
        *not_yet.entry(why.word()).or_default() += 1;
    }
    let detail = serde_json::json!({
        "accounts": restore.len(), "as_of": as_of, "sha256": HEXLOWER.encode(&Sha256::digest(&bytes)),
    });
    let mut tx = app.store.begin().await?;
    tx.note(
        as_of,
        by,
        "containment.list_signed",
        None,
        Some(&detail.to_string()),
    )
    .await?;
    tx.commit().await?;
    Ok(Signed {
        list: out.to_owned(),
        signature: beside,
        as_of,
        accounts: restore.len(),
        not_yet,
    })
}

/// The key that lists are signed with; made if there is none.
pub fn key(app: &App) -> anyhow::Result<SigningKey> {
    let path = &app.config.containment.key_file;
    SigningKey::read_or_make(path)
        .map_err(|error: SigningError| anyhow::Error::from(error))
        .with_context(|| path.display().to_string())
}

/// The list as CSV. Each line says as of when it is true: lines may be cut out of a file.
fn render(restore: &[Restore], as_of: Moment) -> anyhow::Result<Vec<u8>> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record([
        "account",
        "login",
        "act",
        "cut_at",
        "proven_at",
        "grade",
        "case",
        "as_of",
    ])?;
    for one in restore {
        out.write_record([
            one.object_id.as_str(),
            &one.login,
            ContainmentAct::RemoteRestored.word(),
            &one.cut_at.to_string(),
            &one.proven_at.to_string(),
            one.grade,
            &one.case.map(|case| case.to_string()).unwrap_or_default(),
            &as_of.to_string(),
        ])?;
    }
    out.into_inner()
        .map_err(|error| anyhow::anyhow!("writing the list: {}", error.error()))
}

fn put(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let written = || {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    written().with_context(|| format!("writing {}", path.display()))
}
