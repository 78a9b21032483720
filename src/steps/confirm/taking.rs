//! Taking: a batch of evidence becomes stored facts, and moves the cases that it speaks of.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Confirmed;
use crate::app::App;
use crate::config::EvidenceSource;
use crate::directory::evidence::{EvidenceItem, Told};
use crate::domain::case::{CaseEvent, CaseState, ClosedAs};
use crate::domain::closing::ClosingReason;
use crate::domain::evidence::{Evidence, Grade, Rule, Standing, assess, grade};
use crate::domain::finding::Reject;
use crate::domain::identity::{Key, KeyKind, Match, Realm, resolve};
use crate::domain::{AccountId, CaseId, Moment};
use crate::steps::notify::thank;
use crate::store::{CaseClosing, CaseOpening, CaseRow, EvidenceDraft, LatestEvidence, Tx};

/// What a line says, whose account it may be.
struct Line {
    line: u64,
    keys: Vec<Key>,
    realm: Option<Realm>,
    told: Told,
}

impl Line {
    fn of(item: EvidenceItem) -> Result<Self, Reject> {
        match item {
            EvidenceItem::Row(row) => Ok(Self {
                line: row.line,
                keys: row.keys,
                realm: row.realm,
                told: Told::All(row.evidence),
            }),
            EvidenceItem::Part(row) => Ok(Self {
                line: row.line,
                keys: row.keys,
                realm: None,
                told: Told::Part(row.part),
            }),
            EvidenceItem::Reject(reject) => Err(reject),
        }
    }

    fn of_account(self, account: AccountId, said: &mut Lines) {
        let (line, told) = said
            .entry(account)
            .or_insert_with(|| (0, Vec::with_capacity(1)));
        *line = self.line;
        told.push(self.told);
    }
}

/// What a batch says, by account, with the last line that says it.
type Lines = BTreeMap<AccountId, (u64, Vec<Told>)>;

/// What a batch says, and what was known before.
#[derive(Default)]
struct Said {
    lines: Lines,
    /// Accounts that were found by their immutable id, of which all that is known came with it; whether they have cases.
    found: HashMap<AccountId, bool>,
    before: HashMap<AccountId, LatestEvidence>,
}

/// All that a batch says of one account. Its last line counts for what it knows; parts are put together first.
fn together(lines: Vec<Told>, before: Option<&Evidence>) -> Option<Evidence> {
    let (mut known, mut part) = (None, None);
    for told in lines {
        match (told, part.take()) {
            (Told::All(evidence), _) => known = Some(evidence.after(before)),
            (Told::Part(next), None) => part = Some(next),
            (Told::Part(next), Some(last)) => part = Some(last.and(next)),
        }
    }
    match part.filter(|part| !part.is_silent()) {
        Some(part) => Some(part.onto(known.as_ref().or(before))),
        None => known,
    }
}

/// What stays the same from batch to batch.
pub(super) struct Taking<'a> {
    pub app: &'a App,
    pub source: &'a EvidenceSource,
    pub rule: Rule,
    /// The directory's immutable id decides alone where the store knows it: names that moved since people were last listed
    /// are no contradiction, and need not be looked up.
    pub id_decides: bool,
    pub now: Moment,
}

impl Taking<'_> {
    /// Saves what a batch of the reading `id` says, and decides what it does to cases.
    pub async fn take(
        &self,
        tx: &mut Tx,
        id: i64,
        items: Vec<EvidenceItem>,
        confirmed: &mut Confirmed,
    ) -> anyhow::Result<()> {
        let mut rows = Vec::with_capacity(items.len());
        for item in items {
            match Line::of(item) {
                Ok(line) => rows.push(line),
                Err(reject) => {
                    confirmed.rejected += 1;
                    if confirmed.rejects.len() < 100 {
                        confirmed.rejects.push(reject);
                    }
                }
            }
        }
        confirmed.entries += rows.len() as u64;
        let said = self.matched(tx, rows, confirmed).await?;
        let (mut accounts, mut named) = (Vec::new(), Vec::new());
        for account in said.lines.keys() {
            match said.found.get(account) {
                Some(true) => accounts.push(*account),
                Some(false) => {}
                None => named.push(*account),
            }
        }
        let before = said.before;
        let drafts = drafts(said.lines, &before);
        tx.add_evidence(id, &drafts, &before).await?;
        if !named.is_empty() {
            accounts.extend(tx.accounts_with_cases(&named).await?);
        }
        self.decide(tx, &accounts, confirmed).await
    }

    /// Whose each line is, and what is known with it. A line of another realm says nothing here; an account that is named
    /// twice counts once.
    async fn matched(
        &self,
        tx: &mut Tx,
        rows: Vec<Line>,
        confirmed: &mut Confirmed,
    ) -> anyhow::Result<Said> {
        let names = &self.app.realm(&self.source.realm)?.names;
        let mut said = Said::default();
        let rows = match self.id_decides {
            true => self.by_id(tx, rows, &mut said).await?,
            false => rows,
        };
        if rows.is_empty() {
            return Ok(said);
        }
        let lookups: BTreeSet<_> = rows
            .iter()
            .flat_map(|row| &row.keys)
            .flat_map(|key| key.lookups(names, true))
            .collect();
        let known = tx
            .known(&names.realm, &lookups.into_iter().collect::<Vec<_>>())
            .await?;
        for row in rows {
            if row
                .realm
                .as_ref()
                .is_some_and(|realm| *realm != names.realm)
            {
                continue;
            }
            match resolve(&row.keys, names, true, |lookup| known.hits(lookup)) {
                Match::Account(account) => row.of_account(account, &mut said.lines),
                Match::Nobody | Match::Ambiguous | Match::Conflict => confirmed.unmatched += 1,
            }
        }
        let named = said.lines.keys().copied();
        let named: Vec<AccountId> = named.filter(|id| !said.found.contains_key(id)).collect();
        said.before.extend(tx.latest_evidence(&named).await?);
        Ok(said)
    }

    /// Takes out the rows whose immutable id the store knows; gives back the others.
    async fn by_id(
        &self,
        tx: &mut Tx,
        rows: Vec<Line>,
        said: &mut Said,
    ) -> anyhow::Result<Vec<Line>> {
        let id = |row: &Line| {
            let own = row.keys.iter().find(|key| key.kind == KeyKind::ObjectId);
            own.map(Key::folded)
        };
        let ids: Vec<Option<String>> = rows.iter().map(id).collect();
        // In the order in which the database keeps them, each once.
        let mut asked: Vec<&str> = ids.iter().flatten().map(String::as_str).collect();
        asked.sort_unstable();
        asked.dedup();
        let mut known = tx.known_by_object(&self.source.realm, &asked).await?;
        let mut others = Vec::new();
        for (row, id) in rows.into_iter().zip(&ids) {
            match id.as_ref().and_then(|id| known.get_mut(id)) {
                Some(known) => {
                    let account = known.account;
                    row.of_account(account, &mut said.lines);
                    said.found.insert(account, known.has_cases);
                    let latest = known.latest.take();
                    said.before.extend(latest.map(|latest| (account, latest)));
                }
                None => others.push(row),
            }
        }
        Ok(others)
    }

    /// What is known now does to the cases of these accounts, which have or had one.
    async fn decide(
        &self,
        tx: &mut Tx,
        accounts: &[AccountId],
        confirmed: &mut Confirmed,
    ) -> anyhow::Result<()> {
        if accounts.is_empty() {
            return Ok(());
        }
        let deciding = tx.deciding(accounts).await?;
        let latest = &deciding.evidence;
        let mut open: Vec<&CaseRow> = deciding.open.values().collect();
        open.sort_by_key(|case| case.id);
        let (mut closings, mut closed, mut standings) = (Vec::new(), Vec::new(), Vec::new());
        for case in open {
            let Some(latest) = latest.get(&case.account) else {
                continue;
            };
            let standing = assess(
                &case.claim.found(),
                Some(&latest.evidence),
                &self.rule,
                self.now,
            );
            let event = CaseEvent::Seen {
                at: self.now,
                standing,
                grade: latest.grade,
            };
            match case.state.after(event)? {
                CaseState::Closed { closed_as, .. } => {
                    let safe_at = closed_as.safe_at(&latest.evidence);
                    closings.push(CaseClosing {
                        case: case.id,
                        closed_as,
                        safe_at,
                        evidence: latest.id,
                        grade: latest.grade,
                        reason: ClosingReason::of(closed_as, &latest.evidence),
                        standing,
                    });
                    closed.push((
                        closed_as,
                        CaseRow {
                            safe_at,
                            ..case.clone()
                        },
                    ));
                }
                CaseState::Open | CaseState::Notified { .. } => {
                    *confirmed.standings.entry(standing.word()).or_default() += 1;
                    if standing != case.standing {
                        standings.push((case.id, standing));
                    }
                }
            }
        }
        tx.close_cases(&closings, "bell", self.now).await?;
        tx.restand(&standings, self.now).await?;
        confirmed.moved += standings.len() as u64;
        confirmed.disabled += closed
            .iter()
            .filter(|(closed_as, _)| *closed_as == ClosedAs::Disabled)
            .count() as u64;
        let reset: Vec<CaseRow> = closed
            .iter()
            .filter(|(closed_as, _)| *closed_as == ClosedAs::Reset)
            .map(|(_, case)| case.clone())
            .collect();
        confirmed.reset += reset.len() as u64;
        confirmed.thanks += thank(self.app, tx, &reset, self.now).await?;
        let threads: BTreeSet<i64> = closed.iter().filter_map(|(_, case)| case.thread).collect();
        tx.end_threads(&threads.into_iter().collect::<Vec<_>>(), self.now)
            .await?;
        confirmed.reopened += self.reopen(tx, accounts, latest).await?;
        Ok(())
    }

    /// A case that was closed because nobody could sign in opens again when somebody can, unless the password was changed.
    async fn reopen(
        &self,
        tx: &mut Tx,
        accounts: &[AccountId],
        latest: &HashMap<AccountId, LatestEvidence>,
    ) -> anyhow::Result<u64> {
        let enabled: Vec<AccountId> = accounts
            .iter()
            .filter(|id| {
                latest
                    .get(id)
                    .is_some_and(|latest| !latest.evidence.disabled && latest.evidence.exists)
            })
            .copied()
            .collect();
        let cases = tx.closed_as_disabled(&enabled).await?;
        let mut openings = Vec::new();
        for case in cases {
            let Some(latest) = latest.get(&case.account) else {
                continue;
            };
            if let Some(opening) = self.successor(&case, &latest.evidence, latest.grade) {
                openings.push(opening);
            }
        }
        let opened: Vec<CaseId> = tx.open_cases(&openings, "bell", self.now).await?;
        Ok(opened.len() as u64)
    }

    fn successor(&self, case: &CaseRow, evidence: &Evidence, grade: Grade) -> Option<CaseOpening> {
        let standing = assess(&case.claim.found(), Some(evidence), &self.rule, self.now);
        if ClosedAs::on(standing, grade).is_some() || standing == Standing::Unknown {
            return None;
        }
        Some(CaseOpening {
            account: case.account,
            person: case.person,
            route: case.route,
            department: case.department.clone(),
            claim: case.claim,
            reopens: Some(case.id),
            standing,
        })
    }
}

/// What is known of each account with what a batch says of it.
fn drafts(lines: Lines, before: &HashMap<AccountId, LatestEvidence>) -> Vec<EvidenceDraft> {
    let drafts = lines.into_iter().filter_map(|(account, (line, told))| {
        let before = before.get(&account).map(|latest| &latest.evidence);
        let evidence = together(told, before)?;
        Some(EvidenceDraft {
            account,
            line,
            grade: grade(&evidence),
            evidence,
        })
    });
    drafts.collect()
}
