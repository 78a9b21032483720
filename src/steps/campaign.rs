//! A draft → an approved campaign, bound to what was approved; and its pausing, resuming and stopping.

use std::collections::HashMap;

use anyhow::{Context, ensure};

use super::plan::{content, reader};
use crate::app::App;
use crate::config::Role;
use crate::domain::campaign::{CampaignState, ContentHash, NotApproved, approve as may_approve};
use crate::domain::finding::Category;
use crate::domain::policy::{Decision, Tellable, decide};
use crate::domain::{CampaignId, Destination, Moment, Way};
use crate::store::{AccountFacts, Campaign, CaseRow, PersonFacts, Thread, ThreadState, Tried, Tx};

const BATCH: i64 = 500;

/// Approves a draft as a second operator. Recipients and texts are hashed anew: what has changed since the draft is not
/// approved.
pub async fn approve(app: &App, id: CampaignId, approver: &str) -> anyhow::Result<Campaign> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let campaign = find(&mut tx, id).await?;
    let content = content_of(app, &mut tx, &campaign).await?;
    let is_approver = app.has_role(approver, Role::Approver);
    let allowed = may_approve(
        campaign.state,
        &campaign.author,
        approver,
        is_approver,
        &campaign.content_hash,
        &content,
    );
    if let Err(refused) = allowed {
        if refused == NotApproved::Changed {
            // Nobody can approve it any more: its cases are free for the next draft.
            let reason = "recipients or texts have changed since it was drafted";
            tx.void_campaign(id, reason, now).await?;
            tx.commit().await?;
        }
        return Err(refused).with_context(|| format!("approving campaign {}", campaign.reference));
    }
    tx.approve_campaign(&campaign, approver, now).await?;
    let campaign = find(&mut tx, id).await?;
    tx.commit().await?;
    Ok(campaign)
}

/// Lets a campaign stand still; nothing is lost.
pub async fn pause(
    app: &App,
    id: CampaignId,
    by: &str,
    reason: Option<&str>,
) -> anyhow::Result<Campaign> {
    step(
        app,
        id,
        &[CampaignState::Running],
        CampaignState::Paused,
        by,
        reason,
    )
    .await
}

/// Lets a paused campaign go on where it stood.
pub async fn resume(app: &App, id: CampaignId, by: &str) -> anyhow::Result<Campaign> {
    step(
        app,
        id,
        &[CampaignState::Paused],
        CampaignState::Running,
        by,
        None,
    )
    .await
}

/// Ends a campaign before its time; cases nobody was told about are free for the next.
pub async fn stop(
    app: &App,
    id: CampaignId,
    by: &str,
    reason: Option<&str>,
) -> anyhow::Result<Campaign> {
    let from = [
        CampaignState::Draft,
        CampaignState::Approved,
        CampaignState::Running,
        CampaignState::Paused,
    ];
    step(app, id, &from, CampaignState::Stopped, by, reason).await
}

async fn step(
    app: &App,
    id: CampaignId,
    from: &[CampaignState],
    to: CampaignState,
    by: &str,
    reason: Option<&str>,
) -> anyhow::Result<Campaign> {
    ensure!(
        app.is_operator(by),
        "{by:?} is no operator; the config's [[operator]] list says who is"
    );
    let mut tx = app.store.begin().await?;
    let campaign = find(&mut tx, id).await?;
    ensure!(
        from.contains(&campaign.state),
        "campaign {} is {} and cannot become {}",
        campaign.reference,
        campaign.state.word(),
        to.word()
    );
    tx.move_campaign(id, from, to, by, reason, app.clock.now())
        .await?;
    let campaign = find(&mut tx, id).await?;
    tx.commit().await?;
    Ok(campaign)
}

async fn find(tx: &mut Tx, id: CampaignId) -> anyhow::Result<Campaign> {
    tx.campaign(id)
        .await?
        .with_context(|| format!("there is no campaign {id}; `bell campaign list` shows them"))
}

/// The hash of what a campaign's threads would say now. Threads in which nothing will be said stand as they were drafted:
/// whoever is done, or gone, drops out, and what was approved for all others holds.
pub(super) async fn content_of(
    app: &App,
    tx: &mut Tx,
    campaign: &Campaign,
) -> anyhow::Result<String> {
    let mut hash = ContentHash::default();
    let mut after = 0;
    loop {
        let threads = tx.all_threads(campaign.id, after, BATCH).await?;
        let Some(last) = threads.last() else { break };
        after = last.id;
        let about = About::load(tx, &threads).await?;
        for thread in &threads {
            hash.add(&thread.reference, &about.content(app, thread)?);
        }
    }
    Ok(hash.finish())
}

/// What a set of threads is about.
pub(super) struct About {
    pub cases: HashMap<i64, Vec<CaseRow>>,
    pub persons: HashMap<crate::domain::PersonId, PersonFacts>,
    pub accounts: HashMap<crate::domain::AccountId, AccountFacts>,
    /// How the first notices went so far.
    tried: HashMap<i64, Vec<Tried>>,
    /// What campaigns go without.
    left_out: Vec<(CampaignId, Way)>,
}

impl About {
    pub async fn load(tx: &mut Tx, threads: &[Thread]) -> anyhow::Result<Self> {
        let rows = tx
            .cases_of(&threads.iter().map(|thread| thread.id).collect::<Vec<_>>())
            .await?;
        let accounts = tx.accounts(rows.iter().map(|case| case.account)).await?;
        let persons = tx
            .persons(threads.iter().map(|thread| thread.person))
            .await?;
        let mut cases: HashMap<i64, Vec<CaseRow>> = HashMap::with_capacity(threads.len());
        for case in rows {
            if let Some(thread) = case.thread {
                cases.entry(thread).or_default().push(case);
            }
        }
        Ok(Self {
            cases,
            persons,
            accounts,
            tried: tx
                .tried(&threads.iter().map(|thread| thread.id).collect::<Vec<_>>())
                .await?,
            left_out: tx.ways_left_out().await?,
        })
    }

    pub fn of(&self, thread: &Thread) -> &[CaseRow] {
        self.cases.get(&thread.id).map_or(&[], Vec::as_slice)
    }

    /// The hash of what a thread would say now, about all the cases it was drafted with: that one of them is done
    /// meanwhile makes a letter shorter, and is no change of what was approved.
    pub fn content(&self, app: &App, thread: &Thread) -> anyhow::Result<String> {
        if thread.state == ThreadState::Ended || self.is_gone(thread) {
            return Ok(thread.content_hash.clone());
        }
        // By the way that was approved: that a way fails, or is left out, is no change of it.
        let (Some(person), Some(to)) = (
            self.persons.get(&thread.person),
            self.decided(app, thread, Vec::new(), |case| case.claim.category),
        ) else {
            return Ok("nobody".to_owned());
        };
        let cases: Vec<&CaseRow> = self.of(thread).iter().collect();
        content(
            app,
            thread.kind,
            person,
            &to,
            &cases,
            &self.accounts,
            &thread.ladder,
            &thread.zone,
        )
    }

    /// Whether a thread's person cannot be written to any more: they have left, or their account is disabled. That makes
    /// work for a human being; it does not change what was approved for all others.
    pub fn is_gone(&self, thread: &Thread) -> bool {
        let victim = thread.category == Category::Compromised;
        self.persons
            .get(&thread.person)
            .is_none_or(|person| person.left || (!person.enabled && !victim))
    }

    /// Where a thread's next first notice goes, decided anew: by the first way that has not failed and is not left out.
    pub fn destination(&self, app: &App, thread: &Thread) -> Option<Destination> {
        let mut not_by = self.without(thread);
        let tried = self.tried.get(&thread.id).map_or(&[][..], Vec::as_slice);
        not_by.extend(tried.iter().map(|tried| tried.way));
        self.decided(app, thread, not_by, |case| case.claim.category)
    }

    /// Where a thread's reminders go: where its first notice arrived, else by the first way that has not failed.
    pub fn reminded_at(&self, app: &App, thread: &Thread) -> Option<Destination> {
        let mut not_by = self.without(thread);
        let tried = self.tried.get(&thread.id).map_or(&[][..], Vec::as_slice);
        match tried.iter().rev().find(|tried| tried.state == "accepted") {
            Some(arrived) => not_by.extend(Way::ALL.iter().filter(|way| **way != arrived.way)),
            None => not_by.extend(tried.iter().map(|tried| tried.way)),
        }
        // A later audit may have raised a category. The ladder stays as it was frozen, and so does the reminder; only where
        // an intruder may read along nothing more is said.
        let category = |case: &CaseRow| match case.claim.category {
            Category::Compromised => Category::Compromised,
            Category::Breached | Category::Attacked | Category::Weak => thread.category,
        };
        self.decided(app, thread, not_by, category)
    }

    /// Whether each way of a thread's first notice has ended in vain.
    pub fn is_in_vain(&self, thread: &Thread) -> bool {
        let without = self.without(thread);
        self.tried.get(&thread.id).is_some_and(|tried| {
            tried.iter().all(|tried| match tried.state.as_str() {
                "refused" | "bounced" | "expired" => true,
                "dropped" => without.contains(&tried.way),
                _ => false,
            })
        })
    }

    /// Whether a way of a thread's first notice was left out.
    pub fn is_left_out(&self, thread: &Thread) -> bool {
        let tried = self.tried.get(&thread.id).map_or(&[][..], Vec::as_slice);
        tried.iter().any(|tried| tried.state == "dropped")
    }

    fn without(&self, thread: &Thread) -> Vec<Way> {
        self.left_out
            .iter()
            .filter(|(campaign, _)| *campaign == thread.campaign)
            .map(|(_, way)| *way)
            .collect()
    }

    fn decided(
        &self,
        app: &App,
        thread: &Thread,
        not_by: Vec<Way>,
        category: impl Fn(&CaseRow) -> Category,
    ) -> Option<Destination> {
        let mut reader = reader(self.persons.get(&thread.person)?);
        (reader.enabled, reader.left, reader.not_by) = (true, false, not_by);
        let cases: Vec<Tellable> = self
            .of(thread)
            .iter()
            .map(|case| Tellable {
                category: category(case),
                route: case.route,
                standing: crate::domain::evidence::Standing::Open,
                contained_at: case.contained_at,
                contain_override_at: case.contain_override_at,
                exempt_until: None,
            })
            .collect();
        let ways = &app.config.ways;
        match decide(Some(&reader), &cases, ways, Moment::from_micros(i64::MAX)) {
            Decision::Tell { telling, .. } if telling.kind() == thread.kind => {
                Some(telling.to().clone())
            }
            Decision::Tell { .. } | Decision::Not(_) => None,
        }
    }
}
