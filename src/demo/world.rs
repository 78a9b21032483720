//! The played world: people who change their passwords sooner, later or never, and mailboxes that send letters back.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context;
use chrono::TimeDelta;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::domain::case::CaseState;
use crate::domain::finding::Category;
use crate::domain::{CaseId, DeliveryId, Moment};

/// People of the sample organisation who choose another weak password: the second audit finds them again.
const OTHER_WEAK_ONES: [&str; 2] = ["lindqvistm", "rookes"];

/// People of the sample organisation whose mailboxes do not exist any more.
const SENT_BACK: [&str; 2] = ["penroseg", "tremblayl"];

/// What the directory would tell of an account.
struct Known {
    changed_at: Moment,
    disabled: bool,
}

/// People and their mailboxes.
pub struct World {
    directory: BTreeMap<String, Known>,
    bounced: HashSet<DeliveryId>,
}

impl World {
    /// Before anything happens.
    pub fn new() -> Self {
        Self {
            directory: BTreeMap::new(),
            bounced: HashSet::new(),
        }
    }

    /// What happens up to now: some change their passwords, some letters come back. The same files, the same world.
    pub async fn turn(&mut self, app: &App, out: &Path) -> anyhow::Result<()> {
        let now = app.clock.now();
        let mut tx = app.store.read().await?;
        let cases = tx.cases(CaseId(0), true, 100_000).await?;
        let accounts = tx.accounts(cases.iter().map(|case| case.account)).await?;
        let mut letters = Vec::new();
        for case in &cases {
            let Some(account) = accounts.get(&case.account) else {
                continue;
            };
            let known = self
                .directory
                .entry(account.object_id.clone())
                .or_insert_with(|| {
                    // Long before any audit.
                    Known {
                        changed_at: case.claim.bad_as_of.minus(TimeDelta::days(200)),
                        disabled: !account.enabled,
                    }
                });
            let fate = fate(&account.object_id, case.id);
            if let CaseState::Notified { at } = case.state {
                let another_weak_one = OTHER_WEAK_ONES
                    .contains(&account.sam.as_deref().unwrap_or_default())
                    && case.reopens.is_none();
                let sent_back = SENT_BACK.contains(&account.sam.as_deref().unwrap_or_default());
                let after = if sent_back {
                    None
                } else if another_weak_one {
                    Some(TimeDelta::hours(20))
                } else {
                    patience(fate, case.claim.category, case.reopens.is_some())
                };
                if let Some(after) = after {
                    let at = at.plus(after);
                    if at <= now && known.changed_at < case.claim.bad_as_of.max(case.opened_at) {
                        known.changed_at = at;
                    }
                }
                if sent_back || (fate % 16 == 3 && !another_weak_one && case.reopens.is_none()) {
                    letters.extend(
                        tx.stories(case.id)
                            .await?
                            .into_iter()
                            .find(|story| story.state == "accepted"),
                    );
                }
            }
        }
        drop(tx);
        for letter in letters.into_iter().take(2) {
            if self.bounced.len() < 2 && self.bounced.insert(letter.id) {
                self.bounce(app, out, letter.id, letter.recipient.expose())?;
            }
        }
        self.export(out, now)
    }

    /// The directory's export, as the evidence source reads it.
    fn export(&self, out: &Path, now: Moment) -> anyhow::Result<()> {
        let mut text = "object_id,changed_at,must_change,disabled\n".to_owned();
        for (id, known) in &self.directory {
            let _ = writeln!(
                text,
                "{id},{},no,{}",
                known.changed_at,
                if known.disabled { "yes" } else { "no" }
            );
        }
        let path = out.join("in/evidence.csv");
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        // An export is as old as its file, on the demo's clock.
        let file = std::fs::File::options().append(true).open(&path)?;
        file.set_modified(now.utc().into())?;
        Ok(())
    }

    /// A report as RFC 3464 has it, from a mail system that could not deliver.
    fn bounce(
        &self,
        app: &App,
        out: &Path,
        delivery: DeliveryId,
        recipient: &str,
    ) -> anyhow::Result<()> {
        let to = app.letters.bounce_address(delivery)?;
        let text = format!(
            "Return-Path: <>\r\nDelivered-To: {to}\r\nFrom: MAILER-DAEMON@relay.example\r\nTo: {to}\r\nSubject: Undelivered Mail Returned to Sender\r\n\
             Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n\
             --b\r\nContent-Type: text/plain\r\n\r\nThe mail could not be delivered.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n\
             Reporting-MTA: dns; relay.example\r\n\r\nFinal-Recipient: rfc822; {recipient}\r\nAction: failed\r\nStatus: 5.1.1\r\n\
             Diagnostic-Code: smtp; 550 5.1.1 no such user here\r\n\r\n--b--\r\n",
            to = to.expose(),
        );
        let path = out.join("bounces/new").join(format!("{}.demo", delivery));
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    }
}

/// A number that stands for what somebody is like; the same every time.
fn fate(object_id: &str, case: CaseId) -> u32 {
    let hash = Sha256::digest(format!("{object_id}/{case}"));
    hash.first_chunk::<4>()
        .map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

/// How long somebody takes after the first notice; none if they never act by themselves.
///
/// Roughly what campuses saw: a third within a day, most within the reminders, one in eight not at all.
fn patience(fate: u32, category: Category, again: bool) -> Option<TimeDelta> {
    if fate % 16 == 3 {
        return None;
    }
    let quick = matches!(category, Category::Compromised | Category::Breached) || again;
    let hours = match fate % 8 {
        0 | 1 => i64::from(fate / 8 % 7),
        2 | 3 => 8 + i64::from(fate / 8 % 20),
        4 | 5 => 40 + i64::from(fate / 8 % 60),
        6 => 130 + i64::from(fate / 8 % 160),
        _ => return (quick && !fate.is_multiple_of(3)).then(|| TimeDelta::hours(30)),
    };
    Some(
        TimeDelta::hours(if quick { hours / 3 } else { hours })
            + TimeDelta::minutes(7 + i64::from(fate % 40)),
    )
}
