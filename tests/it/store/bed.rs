//! Bed: a store with people, cases, campaigns and letters in it, as few or as many as a test needs.

use std::collections::HashMap;

use chrono::TimeDelta;
use division_bell::domain::campaign::{Announced, Cleared};
use division_bell::domain::case::{Claim as CaseClaim, Route};
use division_bell::domain::delivery::{Cause, Outcome, Stage};
use division_bell::domain::evidence::{Actor, Change, Evidence, Standing};
use division_bell::domain::finding::{Category, Precision, Severity};
use division_bell::domain::identity::{Lookup, LookupKind, Realm};
use division_bell::domain::notice::NoticeKind;
use division_bell::domain::person::{AccountKind, DirectoryEntry};
use division_bell::domain::{
    AccountId, AttemptId, CampaignId, CaseId, EmailAddress, Moment, PersonId, PersonName,
};
use division_bell::store::{
    Campaign, CaseOpening, CaseRow, Delivery, DeliveryDraft, EvidenceDraft, Finished, GivenBack,
    LatestEvidence, Store, StoreError, Thread, ThreadDraft, ThreadQueued, ThreadState, Tx,
    Undelivered,
};

use crate::support::{count, run_sql};

/// A store, and what the tests put into it.
pub struct Bed {
    pub store: Store,
}

/// An account, and whose own it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Someone {
    pub account: AccountId,
    pub person: PersonId,
}

/// `hours` after a Monday morning.
pub fn at(hours: i64) -> Moment {
    let start: Moment = "2026-03-02T09:00:00Z".parse().unwrap();
    start.plus(TimeDelta::hours(hours))
}

pub fn realm() -> Realm {
    Realm("ad:PARL".to_owned())
}

pub fn mail(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

/// Person number `n` of the directory.
pub fn entry(n: usize) -> DirectoryEntry {
    DirectoryEntry {
        object_id: format!("id-{n:06}"),
        sid: Some(format!("S-1-5-21-1-{n}")),
        sam: Some(format!("User{n}")),
        upn: Some(format!("user{n}@parl.example")),
        mail: Some(mail(&format!("User{n}@parl.example"))),
        aliases: Vec::new(),
        second_mail: None,
        mobile: None,
        room: None,
        building: None,
        display_name: PersonName::new(&format!("User Number {n}")),
        department: "Committees".to_owned(),
        kind: AccountKind::Person,
        enabled: true,
        owner_mail: None,
        manager_mail: None,
        delegate_mail: None,
        language: Some("en".to_owned()),
        time_zone: Some("Europe/London".to_owned()),
    }
}

pub fn lookup(kind: LookupKind, key: &str) -> Lookup {
    Lookup {
        kind,
        key: key.to_owned(),
    }
}

pub fn weak(found_at: Moment) -> CaseClaim {
    CaseClaim {
        category: Category::Weak,
        severity: Severity::High,
        bad_as_of: found_at.minus(TimeDelta::hours(1)),
        baseline: None,
        found_at,
    }
}

pub fn opening(who: Someone, found_at: Moment) -> CaseOpening {
    CaseOpening {
        account: who.account,
        person: Some(who.person),
        route: Route::Holder,
        department: "Committees".to_owned(),
        claim: weak(found_at),
        reopens: None,
        standing: Standing::Open,
    }
}

/// What a directory says: changed at `changed`, seen at `observed_at`.
pub fn changed(changed: Option<Moment>, observed_at: Moment) -> Evidence {
    Evidence {
        changed: changed.map(|at| Change::at(at, Precision::Second)),
        secret_changed_at: None,
        pending: false,
        date_is_zero: false,
        disabled: false,
        exists: true,
        sessions_valid_from: None,
        actor: Actor::Myself,
        observed_at,
    }
}

/// A delivery that is ours, and the attempt that is written down.
#[derive(Clone, PartialEq, Debug)]
pub struct Claim {
    pub delivery: Delivery,
    pub attempt: AttemptId,
    pub started_at: Moment,
}

/// Claims and begins in one transaction.
pub async fn claim_in(
    tx: &mut Tx,
    limit: usize,
    by: &str,
    until: Moment,
    now: Moment,
) -> Vec<Claim> {
    let deliveries = tx.claim(limit, by, until, now).await.unwrap();
    let wanted: Vec<_> = deliveries.iter().map(|one| (one.id, one.thread)).collect();
    let begun = tx.begin_attempts(&wanted, by, now).await.unwrap();
    deliveries
        .into_iter()
        .filter_map(|delivery| {
            let begun = begun.iter().find(|one| one.delivery == delivery.id)?;
            Some(Claim {
                delivery,
                attempt: begun.attempt,
                started_at: begun.started_at,
            })
        })
        .collect()
}

/// Claims, and then begins, each in a transaction of its own, as who delivers does.
pub async fn claim_on(
    store: &Store,
    limit: usize,
    by: &str,
    until: Moment,
    now: Moment,
) -> Result<Vec<Claim>, StoreError> {
    let mut tx = store.begin().await?;
    let deliveries = tx.claim(limit, by, until, now).await?;
    tx.commit().await?;
    let wanted: Vec<_> = deliveries.iter().map(|one| (one.id, one.thread)).collect();
    let mut tx = store.begin().await?;
    let begun = tx.begin_attempts(&wanted, by, now).await?;
    tx.commit().await?;
    let of = |id| begun.iter().find(|one| one.delivery == id).copied();
    Ok(deliveries
        .into_iter()
        .filter_map(|delivery| {
            let begun = of(delivery.id)?;
            Some(Claim {
                delivery,
                attempt: begun.attempt,
                started_at: begun.started_at,
            })
        })
        .collect())
}

/// Gives claims of `worker-1` back, of which no byte has gone out.
pub async fn unclaim_in(tx: &mut Tx, claims: &[Claim], due_at: Moment, now: Moment) {
    let given: Vec<GivenBack> = claims
        .iter()
        .map(|claim| GivenBack {
            delivery: claim.delivery.id,
            thread: claim.delivery.thread,
            attempt: Some(claim.attempt),
            due_at: Some(due_at),
        })
        .collect();
    tx.give_back(&given, "worker-1", now).await.unwrap();
}

/// How an attempt of this claim ended.
pub fn ended(claim: &Claim, outcome: Outcome, then: Undelivered, ended_at: Moment) -> Finished {
    Finished {
        delivery: claim.delivery.id,
        thread: claim.delivery.thread,
        kind: claim.delivery.kind,
        attempt: claim.attempt,
        started_at: claim.started_at,
        ended_at,
        outcome,
        stage: Stage::Dot,
        cause: Cause::Accepted,
        code: Some(250),
        reply: Some("2.0.0 Ok: queued as 4XyZ".to_owned()),
        then,
    }
}

pub fn accepted(claim: &Claim, ended_at: Moment) -> Finished {
    ended(claim, Outcome::Accepted, Undelivered::No, ended_at)
}

impl Bed {
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    pub async fn tx(&self) -> Tx {
        self.store.begin().await.unwrap()
    }

    /// A transaction that only reads: it waits for nobody.
    pub async fn read(&self) -> Tx {
        self.store.read().await.unwrap()
    }

    /// How many rows a statement counts.
    pub async fn count(&self, sql: &'static str) -> i64 {
        count(&self.store, sql).await
    }

    /// Runs a statement past the store.
    pub async fn sql(&self, sql: &str) -> Result<u64, sqlx::Error> {
        run_sql(&self.store, sql).await
    }

    /// The acts that the ledger tells of this case, in their order.
    pub async fn acts(&self, case: CaseId) -> Vec<String> {
        let history = self.read().await.case_history(case).await.unwrap();
        history.into_iter().map(|entry| entry.act).collect()
    }

    /// All acts of the ledger, in their order.
    pub async fn ledger(&self) -> Vec<String> {
        let entries = self.read().await.ledger(0, 100_000).await.unwrap();
        entries.into_iter().map(|entry| entry.act).collect()
    }

    pub async fn case(&self, id: CaseId) -> CaseRow {
        self.read().await.case(id).await.unwrap().unwrap()
    }

    /// Deliveries by state: `queued 3, stopped 1`.
    pub async fn states(&self) -> String {
        let states = self.read().await.delivery_states().await.unwrap();
        let states: Vec<String> = states
            .into_iter()
            .map(|(state, count)| format!("{state} {count}"))
            .collect();
        states.join(", ")
    }

    /// The first `n` people of the directory.
    pub async fn people(&self, n: usize) -> Vec<Someone> {
        let entries: Vec<DirectoryEntry> = (1..=n).map(entry).collect();
        let mut tx = self.tx().await;
        tx.sync_people(&realm(), &entries, at(0)).await.unwrap();
        tx.end_sync(&realm(), true, at(0)).await.unwrap();
        let wanted: Vec<Lookup> = entries
            .iter()
            .map(|entry| lookup(LookupKind::ObjectId, &entry.object_id))
            .collect();
        let known = tx.known(&realm(), &wanted).await.unwrap();
        let people = wanted
            .iter()
            .map(|wanted| {
                let facts = known.facts(known.hits(wanted)[0]).unwrap();
                Someone {
                    account: facts.id,
                    person: facts.holder.unwrap(),
                }
            })
            .collect();
        tx.commit().await.unwrap();
        people
    }

    /// `n` people with an open case each.
    pub async fn cases(&self, n: usize) -> (Vec<Someone>, Vec<CaseId>) {
        let people = self.people(n).await;
        let openings: Vec<CaseOpening> = people.iter().map(|who| opening(*who, at(0))).collect();
        let mut tx = self.tx().await;
        let cases = tx.open_cases(&openings, "ann", at(0)).await.unwrap();
        tx.commit().await.unwrap();
        (people, cases)
    }

    /// A draft that tells `n` people of a case each.
    pub async fn drafted(&self, n: usize) -> (Campaign, Vec<CaseId>) {
        let (people, cases) = self.cases(n).await;
        let mut tx = self.tx().await;
        let campaign = tx.draft_campaign("DB", "ann", at(0)).await.unwrap();
        let drafts: Vec<ThreadDraft> = people
            .iter()
            .zip(&cases)
            .map(|(who, case)| thread(&campaign, *who, &[*case]))
            .collect();
        tx.add_threads(campaign.id, &drafts).await.unwrap();
        tx.end_draft(campaign.id, "hash-1", n as u64, "ann", at(0))
            .await
            .unwrap();
        let campaign = tx.campaign(campaign.id).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        (campaign, cases)
    }

    /// The same, approved: its threads wait for their first letters.
    pub async fn approved(&self, n: usize) -> (Campaign, Vec<CaseId>) {
        let (campaign, cases) = self.drafted(n).await;
        let mut tx = self.tx().await;
        tx.approve_campaign(&campaign, "ben", at(1)).await.unwrap();
        tx.commit().await.unwrap();
        (self.campaign(campaign.id).await, cases)
    }

    /// The same, running: the first letters are queued, due at once; the next rung of each thread is due at hour 48.
    pub async fn running(&self, n: usize) -> (Campaign, Vec<CaseId>) {
        let (campaign, cases) = self.approved(n).await;
        let mut tx = self.tx().await;
        let threads = tx
            .threads(campaign.id, ThreadState::Waiting, 0, 100_000)
            .await
            .unwrap();
        let drafts = self.letters(&mut tx, &threads, NoticeKind::Weak).await;
        tx.queue(&drafts, at(2)).await.unwrap();
        tx.start_threads(cleared(campaign.id), &started(&threads), at(2))
            .await
            .unwrap();
        use division_bell::domain::campaign::CampaignState::{Approved, Running};
        tx.move_campaign(campaign.id, &[Approved], Running, "bell", None, at(2))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        (self.campaign(campaign.id).await, cases)
    }

    pub async fn campaign(&self, id: CampaignId) -> Campaign {
        self.read().await.campaign(id).await.unwrap().unwrap()
    }

    /// One letter a thread, about nothing in particular, due at hour 2.
    pub async fn letters(
        &self,
        tx: &mut Tx,
        threads: &[Thread],
        kind: NoticeKind,
    ) -> Vec<DeliveryDraft> {
        let template = tx
            .keep_template("template-1", kind.word(), "en-GB", "{}", at(2))
            .await
            .unwrap();
        threads
            .iter()
            .map(|thread| DeliveryDraft {
                thread: thread.id,
                kind,
                seq: 1,
                channel: "mail".to_owned(),
                recipient: mail("user@parl.example"),
                template,
                facts: "{}".to_owned(),
                letter_hash: "letter-1".to_owned(),
                queued_at: at(2),
                priority: 30,
                due_at: at(2),
            })
            .collect()
    }

    /// Claims what is due at `now`, with a lease of one hour.
    pub async fn claim(&self, limit: usize, now: Moment) -> Vec<Claim> {
        let mut tx = self.tx().await;
        let until = now.plus(TimeDelta::hours(1));
        let claims = claim_in(&mut tx, limit, "worker-1", until, now).await;
        tx.commit().await.unwrap();
        claims
    }

    pub async fn record(&self, finished: &[Finished], now: Moment) {
        let mut tx = self.tx().await;
        tx.record(finished, now).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// A running campaign whose first letters were all accepted at hour 3.
    pub async fn told(&self, n: usize) -> (Campaign, Vec<CaseId>) {
        let (campaign, cases) = self.running(n).await;
        let claims = self.claim(n, at(3)).await;
        let finished: Vec<Finished> = claims.iter().map(|claim| accepted(claim, at(3))).collect();
        self.record(&finished, at(3)).await;
        (campaign, cases)
    }
}

/// A conversation with somebody about these cases.
pub fn thread(campaign: &Campaign, who: Someone, cases: &[CaseId]) -> ThreadDraft {
    ThreadDraft {
        person: who.person,
        reference: format!("{}-K{:05}", campaign.reference, who.person.0),
        kind: NoticeKind::Weak,
        category: Category::Weak,
        content_hash: "content-1".to_owned(),
        ladder: "[]".to_owned(),
        zone: "Europe/London".to_owned(),
        cases: cases.to_vec(),
    }
}

/// Leave for a campaign's first notices: no announcement is asked for.
pub fn cleared(campaign: CampaignId) -> Cleared {
    let none = Announced::default();
    Cleared::new(campaign, &none, &[], TimeDelta::zero(), at(0)).unwrap()
}

/// First letters due at hour 2, deadlines at hour 240, the next rung at hour 48.
pub fn started(threads: &[Thread]) -> Vec<ThreadQueued> {
    threads
        .iter()
        .map(|thread| ThreadQueued {
            id: thread.id,
            first_at: at(2).micros(),
            deadline_at: at(240).micros(),
            timetable: "{\"rungs\":[]}".to_owned(),
            next_at: Some(at(48).micros()),
            message_ids: format!("<t{}@bell.example>", thread.id),
        })
        .collect()
}

/// Keeps what a reading says, after what was known; gives the newest of each account that it speaks of.
pub async fn said(
    tx: &mut Tx,
    read: i64,
    drafts: &[EvidenceDraft],
) -> HashMap<AccountId, LatestEvidence> {
    let accounts: Vec<AccountId> = drafts.iter().map(|draft| draft.account).collect();
    let before = tx.latest_evidence(&accounts).await.unwrap();
    tx.add_evidence(read, drafts, &before).await.unwrap();
    tx.latest_evidence(&accounts).await.unwrap()
}
