//! The relay as a pass meets it: reached, heard, paused, held.

use super::super::{RELAY, Stopping, describe};
use super::Pass;
use crate::channels::{Sent, Session};
use crate::domain::delivery::{Beyond, Outcome};
use crate::domain::{DeliveryId, Moment};
use crate::store::Tx;

impl Pass {
    /// A session that is open to the relay.
    pub(super) async fn reach(&mut self, stopping: &Stopping) -> anyhow::Result<Option<Session>> {
        let mut told = stopping.clone();
        let mut session = self.app.outlet.open();
        let ready = tokio::select! {
            ready = session.ready() => ready,
            () = async { let _ = told.wait_for(|stop| *stop).await; } => return Ok(None),
        };
        match ready {
            Ok(()) => Ok(Some(session)),
            Err(sent) => {
                let now = self.app.clock.now();
                let mut tx = self.app.store.begin().await?;
                self.hear(&mut tx, &[(None, &sent, now)], now).await?;
                self.trouble(&mut tx, &sent).await?;
                tx.commit().await?;
                Ok(None)
            }
        }
    }

    /// What trouble with the relay leads to: a pause, or a hold that an operator ends.
    pub(super) async fn trouble(&mut self, tx: &mut Tx, sent: &Sent) -> anyhow::Result<()> {
        let what = describe(sent);
        if sent.outcome == Outcome::HoldRelay {
            return self.hold_relay(tx, &what, self.app.clock.now()).await;
        }
        self.halt();
        // To be asked to slow down is nothing that an operator has to mend.
        if sent.outcome == Outcome::DeferRelay {
            self.alarm
                .get_or_insert_with(|| format!("letters wait for the relay: {what}"));
        }
        tracing::warn!(
            relay.outcome = sent.outcome.word(),
            "letters wait for the relay: {what}"
        );
        self.delivered.held.get_or_insert(what);
        Ok(())
    }

    /// What the relay's answers mean for how it is met, in their order; written down where that changes.
    async fn hear(
        &mut self,
        tx: &mut Tx,
        answers: &[(Option<DeliveryId>, &Sent, Moment)],
        now: Moment,
    ) -> anyhow::Result<()> {
        let (connections, who) = (self.connections(), u64::from(std::process::id()));
        let mut standing = self.standing.clone();
        for (delivery, sent, at) in answers {
            match standing.heard(*delivery, sent.outcome, sent.cause, connections, who, *at) {
                Beyond::Nothing => {}
                Beyond::PolicyRun(refused) => {
                    tx.unrefuse(&refused, now).await?;
                    self.hold_relay(
                        tx,
                        &format!("{}, {} times in a row", describe(sent), refused.len()),
                        now,
                    )
                    .await?;
                }
            }
        }
        if standing != self.standing {
            let text = serde_json::to_string(&standing)?;
            tx.set_relay_standing(RELAY, &text, now).await?;
            self.standing = standing;
        }
        Ok(())
    }

    async fn hold_relay(&mut self, tx: &mut Tx, what: &str, now: Moment) -> anyhow::Result<()> {
        self.halt();
        if tx
            .hold_relay(RELAY, &self.app.relay_settings(), what, now)
            .await?
        {
            tracing::error!("the relay refuses us and is held until an operator acts: {what}");
        }
        self.alarm = Some(format!(
            "the relay refuses us: {what}; once that is mended: bell hold list"
        ));
        self.delivered.held.get_or_insert_with(|| what.to_owned());
        Ok(())
    }

    pub(super) async fn hear_all(&mut self, tx: &mut Tx, now: Moment) -> anyhow::Result<()> {
        let finished = std::mem::take(&mut self.finished);
        let answers: Vec<(Option<DeliveryId>, &Sent, Moment)> = finished
            .iter()
            .filter_map(|done| {
                let id = done.job.letter.delivery.id;
                Some((Some(id), done.sent.as_ref()?, done.at))
            })
            .collect();
        let heard = self.hear(tx, &answers, now).await;
        self.finished = finished;
        heard
    }
}
