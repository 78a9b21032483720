//! A draft → an approved campaign, bound to what was approved; and its pausing, resuming and stopping.

use std::collections::HashMap;

use anyhow::{Context, ensure};

use super::plan::content;
use crate::app::App;
use crate::config::Role;
use crate::domain::campaign::{CampaignState, ContentHash, NotApproved, approve as may_approve};
use crate::domain::finding::Category;
use crate::domain::policy::{Decision, Reader, Tellable, decide};
use crate::domain::{CampaignId, EmailAddress, Moment};
use crate::store::{AccountFacts, Campaign, CaseRow, PersonFacts, Thread, ThreadState, Tx};

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
        let (Some(person), Some(to)) = (self.persons.get(&thread.person), self.address(thread))
        else {
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

    /// Where a thread's letters go now, decided anew.
    pub fn address(&self, thread: &Thread) -> Option<EmailAddress> {
        let person = self.persons.get(&thread.person)?;
        let reader = Reader {
            address: person.address.clone(),
            second_address: person.second_address.clone(),
            enabled: true,
            left: false,
        };
        let cases: Vec<Tellable> = self
            .of(thread)
            .iter()
            .map(|case| Tellable {
                category: case.claim.category,
                route: case.route,
                standing: crate::domain::evidence::Standing::Open,
                contained_at: case.contained_at,
                exempt_until: None,
            })
            .collect();
        match decide(Some(&reader), &cases, Moment::from_micros(i64::MAX)) {
            Decision::Tell { to, kind, .. } if kind == thread.kind => Some(to),
            Decision::Tell { .. } | Decision::Not(_) => None,
        }
    }
}
