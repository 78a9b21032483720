//! Bounces → deliveries that did not arrive, and people who were not reached. Safe to repeat: a mail counts once.

use serde::Serialize;

use crate::app::App;
use crate::channels::inbox::{Incoming, RecipientReport, Verdict};
use crate::domain::DeliveryId;
use crate::store::{Bounce, TaskKind};

/// Mails that are looked at together.
const BATCH: usize = 200;

/// What came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Received {
    /// Letters that did not arrive.
    pub bounced: u64,
    /// Reports that a letter is late, or of progress.
    pub other_reports: u64,
    /// Reports that could not be read: somebody should look.
    pub unparsed: u64,
    /// Automatic replies.
    pub auto_replies: u64,
    /// Everything else.
    pub other: u64,
}

impl std::fmt::Display for Received {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} bounces, {} other reports, {} unreadable reports, {} automatic replies, {} other mails",
            self.bounced, self.other_reports, self.unparsed, self.auto_replies, self.other
        )
    }
}

/// Reads the bounce mailbox to its end. Without one there is nothing to do.
pub async fn receive(app: &App) -> anyhow::Result<Received> {
    let mut received = Received::default();
    let Some(inbox) = &app.inbox else {
        return Ok(received);
    };
    loop {
        let arrived = inbox.read(BATCH, |address| app.letters.whose(address))?;
        if arrived.is_empty() {
            return Ok(received);
        }
        for mail in &arrived {
            let bounce = match &mail.says {
                Incoming::Bounce {
                    delivery,
                    verdict,
                    recipients,
                } => {
                    match verdict {
                        Verdict::Failed => received.bounced += 1,
                        Verdict::Delayed | Verdict::Progress => received.other_reports += 1,
                    }
                    bounce(*delivery, *verdict, recipients)
                }
                Incoming::Unparsed { delivery } => {
                    received.unparsed += 1;
                    Some(Bounce {
                        delivery: *delivery,
                        action: "unparsed".to_owned(),
                        status: None,
                        reply: None,
                    })
                }
                Incoming::AutoReply => {
                    received.auto_replies += 1;
                    None
                }
                Incoming::Other => {
                    received.other += 1;
                    None
                }
            };
            if let Some(bounce) = bounce {
                save(app, &bounce).await?;
            }
            // Saved first, kept then: a crash in between reads it again, and a delivery bounces once.
            inbox.keep(mail)?;
        }
    }
}

fn bounce(
    delivery: DeliveryId,
    verdict: Verdict,
    recipients: &[RecipientReport],
) -> Option<Bounce> {
    let action = match verdict {
        Verdict::Progress => return None,
        Verdict::Delayed => "delayed",
        Verdict::Failed => "failed",
    };
    let first = recipients.first();
    Some(Bounce {
        delivery,
        action: action.to_owned(),
        status: first
            .and_then(|report| report.status)
            .map(|(class, subject, detail)| format!("{class}.{subject}.{detail}")),
        reply: first
            .map(|report| report.diagnostic.clone())
            .filter(|text| !text.is_empty()),
    })
}

async fn save(app: &App, bounce: &Bounce) -> anyhow::Result<()> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    if !tx.has_delivery(bounce.delivery).await? {
        // A token of ours for a delivery that is not here: another database, or a restored one.
        tracing::warn!(delivery.id = %bounce.delivery, "a bounce names a delivery that this database does not have");
        return Ok(());
    }
    if let Some(thread) = tx.bounce(bounce, now).await? {
        let cases = tx.open_cases_of(&[thread]).await?;
        let tasks: Vec<_> = cases
            .iter()
            .map(|case| (case.id, TaskKind::Reach, "bounced", None))
            .collect();
        tx.open_tasks(&tasks, now).await?;
    }
    tx.commit().await?;
    Ok(())
}
